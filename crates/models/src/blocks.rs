//! Which blocks a family is made of, as data: a kind of block is one line here and one body in `layer`.
//!
//! Does not: hold weights or compute.

use ops::activation::gelu::Gelu;

/// The blocks of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// What normalises the stream.
    pub norm: NormKind,
    /// How a token knows where it stands.
    pub positions: PositionsKind,
    /// What stands between two attentions.
    pub feed_forward: FeedForwardKind,
    /// What a model that is made from scratch adds after its products and norms. A model from a file has the biases
    /// that its file has.
    pub biases: Biases,
}

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
    /// `down(gelu(up(x)))`.
    Gelu(Gelu),
}

/// Where there are biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// Nowhere.
    None,
    /// After every product but the head's, and in every norm that can have one.
    All,
}
