//! The blocks of a decoder with their weights: norms, positions, feed-forward.
//!
//! Does not: attend (`attend`), order the blocks (`decoder`), or know where weights come from.

use burn::tensor::{Device, Tensor, TensorData};
use ops::activation::clamped_swiglu::{Clamp, clamped_swiglu};
use ops::activation::geglu::geglu;
use ops::activation::gelu::gelu;
use ops::activation::swiglu::swiglu;
use ops::experts::{Routes, Weighing, experts};
use ops::linear::low_rank::MixedRows;
use ops::norm::layer_norm::layer_norm;
use ops::norm::rms_norm::rms_norm;
use ops::{Linear, Weight};

use crate::blocks::{FeedForwardKind, NormKind};
use crate::pass::Watch;
use crate::probe::Part;

/// One layer's weights.
#[derive(Clone)]
pub(crate) struct Layer {
    pub attention_norm: Norm,
    pub queries: Linear,
    pub keys: Linear,
    pub values: Linear,
    /// Normalises each query.
    pub query_norm: Option<Norm>,
    /// Normalises each key.
    pub key_norm: Option<Norm>,
    /// A score for each head that belongs to no token, `[H]`.
    pub sinks: Option<Tensor<1>>,
    pub attention_output: Linear,
    /// Normalises what attention adds to the stream.
    pub attention_post_norm: Option<Norm>,
    pub feed_forward_norm: Norm,
    pub feed_forward: FeedForward,
    /// Normalises what the feed-forward block adds to the stream.
    pub feed_forward_post_norm: Option<Norm>,
}

impl Layer {
    /// Whether a row of a prompt and a generated one are computed alike, to the bit: products over quantised blocks have
    /// one arithmetic, and nothing else in a layer knows what a row is for.
    pub fn computes_roles_alike(&self) -> bool {
        let attention = [&self.queries, &self.keys, &self.values, &self.attention_output];
        attention
            .into_iter()
            .chain(self.feed_forward.products())
            .all(|linear| linear.storage().blocks().is_some())
    }
}

/// A normalisation with its weights, `[D]` each.
#[derive(Clone)]
pub(crate) enum Norm {
    RootMeanSquare { weight: Tensor<1> },
    Layer { weight: Tensor<1>, bias: Box<Tensor<1>> },
}

impl Norm {
    /// Without a bias there are zeros in its place.
    pub fn new(kind: NormKind, weight: Tensor<1>, bias: Option<Tensor<1>>, device: &Device) -> Self {
        match kind {
            NormKind::RootMeanSquare => Self::RootMeanSquare { weight },
            NormKind::Layer => {
                let zeros = || TensorData::zeros::<f32, _>(weight.dims());
                let bias = bias.unwrap_or_else(|| Tensor::from_data(zeros(), device));
                Self::Layer { weight, bias: Box::new(bias) }
            }
        }
    }

    /// Normalises every head by itself.
    ///
    /// # Shapes
    /// `x` `[R, heads, d]` → `[R, heads, d]`.
    pub fn forward_heads(&self, x: Tensor<3>, epsilon: f32) -> Tensor<3> {
        let [rows, heads, size] = x.dims();
        let x = x.reshape([rows * heads, size]); // [R · heads, d]
        self.forward(x, epsilon).reshape([rows, heads, size])
    }

    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn forward(&self, x: Tensor<2>, epsilon: f32) -> Tensor<2> {
        match self {
            Self::RootMeanSquare { weight } => rms_norm(x, weight.clone(), epsilon),
            Self::Layer { weight, bias } => layer_norm(x, weight.clone(), (**bias).clone(), epsilon),
        }
    }
}

/// How a token knows where it stands.
#[derive(Clone)]
pub(crate) enum Positions {
    /// Queries and keys are turned by the angles of the configuration.
    Rotary,
    /// A row for each position, `[context, D]`.
    Learned(Box<Weight>),
}

/// A feed-forward block with its weights.
#[derive(Clone)]
pub(crate) enum FeedForward {
    /// One way through, for every row.
    Plain(Box<Ways>),
    /// Some of many, which each row chooses.
    Experts(Box<Experts>),
}

impl FeedForward {
    /// Every product of the block.
    fn products(&self) -> Vec<&Linear> {
        match self {
            Self::Plain(ways) => ways.products().collect(),
            Self::Experts(experts) => {
                let ways = experts.list.iter().flat_map(Ways::products);
                std::iter::once(&experts.router).chain(ways).collect()
            }
        }
    }

    /// The block of layer `index`.
    ///
    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn forward(
        &self,
        x: Tensor<2>,
        rows: MixedRows<'_>,
        (index, watch): (usize, &mut Watch<'_>),
    ) -> Tensor<2> {
        match self {
            Self::Plain(ways) => {
                ways.forward(x, rows, |inner| watch.tell(Part::FeedForwardInner(index), inner))
            }
            Self::Experts(experts) => experts.forward(x, rows, (index, watch)),
        }
    }
}

/// The products of a feed-forward block.
#[derive(Clone)]
pub(crate) struct Ways {
    pub kind: FeedForwardKind,
    /// There where the kind has a gate.
    pub gate: Option<Box<Linear>>,
    pub up: Linear,
    pub down: Linear,
}

impl Ways {
    fn products(&self) -> impl Iterator<Item = &Linear> {
        self.gate.as_deref().into_iter().chain([&self.up, &self.down])
    }

    /// `tell` is told what the last product takes, `[R, F]`.
    ///
    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn forward(&self, x: Tensor<2>, rows: MixedRows<'_>, tell: impl FnOnce(&Tensor<2>)) -> Tensor<2> {
        let gate = || {
            let gate = self.gate.as_ref().expect("a gated block is loaded with its gate");
            gate.forward(x.clone(), rows) // [R, F]
        };
        let up = self.up.forward(x.clone(), rows); // [R, F]
        let inner = match self.kind {
            FeedForwardKind::SwiGlu => swiglu(gate(), up),
            FeedForwardKind::GeGlu(form) => geglu(gate(), up, form),
            FeedForwardKind::ClampedSwiGlu => clamped_swiglu(gate(), up, Clamp::GPT_OSS),
            FeedForwardKind::Gelu(form) => gelu(up, form),
        };
        tell(&inner);
        self.down.forward(inner, rows) // [R, D]
    }
}

/// Experts, and what chooses among them.
#[derive(Clone)]
pub(crate) struct Experts {
    /// `[E, D]`.
    pub router: Linear,
    pub list: Vec<Ways>,
    pub n_chosen: usize,
    pub weighing: Weighing,
}

impl Experts {
    /// The experts of layer `index`.
    ///
    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn forward(
        &self,
        x: Tensor<2>,
        rows: MixedRows<'_>,
        (index, watch): (usize, &mut Watch<'_>),
    ) -> Tensor<2> {
        let logits = self.router.forward(x.clone(), rows); // [R, E]
        let routes = Routes::new(logits, self.n_chosen, self.weighing);
        experts(x, &routes, rows.roles, &mut |expert, x, rows| {
            watch.tell(Part::ExpertInput(index, expert), &x);
            let tell = |inner: &Tensor<2>| watch.tell(Part::ExpertInner(index, expert), inner);
            self.list[expert].forward(x, rows.into(), tell)
        })
    }
}
