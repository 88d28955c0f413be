//! Which blocks a family is made of, as data: a kind of block is one line here and one body in `layer`.
//!
//! Does not: hold weights or compute.

use ops::activation::gelu::Gelu;
pub use ops::experts::Weighing;

/// The blocks of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// What normalises the stream.
    pub norm: NormKind,
    /// How a token knows where it stands.
    pub positions: PositionsKind,
    /// What stands between two attentions; of a model with experts, what each of them is.
    pub feed_forward: FeedForwardKind,
    /// What a model that is made from scratch adds after its products and norms. A model from a file has the biases
    /// that its file has.
    pub biases: Biases,
    /// What the two parts of a layer read.
    pub residual: Residual,
    /// By what the rows of the embedding table are multiplied.
    pub embedding_scale: EmbeddingScale,
    /// Which layers see no more than a window, where the file names one and does not say it by layer.
    pub windows: Pattern,
    /// Which layers turn queries and keys, where the file does not say it by layer.
    pub turned: Pattern,
    /// The base of the angles of layers that see a window, where they have one of their own and the file does not say
    /// it.
    pub local_base: Option<u32>,
    /// By what scores are multiplied, where the file does not say it.
    pub score_scale: ScoreScale,
    /// How the weights of chosen experts are made, where the file does not say it.
    pub weighing: Weighing,
    /// Between which pairs YaRN changes over, where the file does not say it.
    pub yarn_range: YarnRange,
}

/// The blocks of most families; each says what it has otherwise.
pub(crate) const PLAIN: Blocks = Blocks {
    norm: NormKind::RootMeanSquare,
    positions: PositionsKind::Rotary,
    feed_forward: FeedForwardKind::SwiGlu,
    biases: Biases::None,
    residual: Residual::Sequential,
    embedding_scale: EmbeddingScale::One,
    windows: Pattern::Every,
    turned: Pattern::Every,
    local_base: None,
    score_scale: ScoreScale::HeadSize,
    weighing: Weighing::AmongChosen,
    yarn_range: YarnRange::WholePairs,
};

/// A normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// By the root of the mean square.
    RootMeanSquare,
    /// By mean and deviation.
    Layer,
}

/// A way to tell positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionsKind {
    /// Queries and keys are turned.
    Rotary,
    /// A learned row for each position is added to the embedding.
    Learned,
}

/// A feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// `down(silu(gate(x)) · up(x))`.
    SwiGlu,
    /// `down(gelu(gate(x)) · up(x))`.
    GeGlu(Gelu),
    /// As SwiGLU, with operands held within limits and a gate that is never shut.
    ClampedSwiGlu,
    /// `down(gelu(up(x)))`.
    Gelu(Gelu),
}

impl FeedForwardKind {
    /// Whether there is a gate beside the way up.
    pub(crate) fn is_gated(self) -> bool {
        !matches!(self, Self::Gelu(_))
    }
}

/// Where there are biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// Nowhere.
    None,
    /// After the products that make queries, keys and values.
    QueriesKeysValues,
    /// After every product but the head's, and in every norm that can have one.
    All,
}

/// What the two parts of a layer read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// The feed-forward block reads the stream to which attention was added.
    Sequential,
    /// Both read the stream before the layer.
    Parallel,
}

/// By what the rows of the embedding table are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingScale {
    /// By nothing.
    One,
    /// By the root of the width.
    RootOfWidth,
}

/// Some of the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Every layer.
    Every,
    /// All but each n-th: of 4, the fourth, the eighth and so on.
    AllButEach(usize),
}

impl Pattern {
    /// Whether it has layer number `layer`, counted from 0.
    pub(crate) fn has(self, layer: usize) -> bool {
        match self {
            Self::Every => true,
            Self::AllButEach(n) => !(layer + 1).is_multiple_of(n.max(1)),
        }
    }
}

/// By what scores are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreScale {
    /// One over the root of the size of a head.
    HeadSize,
    /// So too, but in the model with this many layers one over the root of the width by head: what a file that does
    /// not say it leaves to be known.
    WidthByHeadsIn {
        /// The layers of that model.
        n_layers: usize,
    },
}

/// Between which pairs YaRN changes from interpolated to unchanged angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YarnRange {
    /// Between whole pairs, rounded outwards.
    WholePairs,
    /// Where the formula says.
    Exact,
}
