//! Looking inside a forward pass: a probe is told each part as it is done.
//!
//! Absent, it costs nothing. A probe that notes the time at each call learns how long each part took.

use std::fmt;

use burn::tensor::Tensor;

/// A part of a forward pass. Displays as its name, such as `layers.3.attention.output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The rows of the embedding table, with those of their positions where these are learned.
    Embedding,
    /// The normalised input of a layer's attention.
    AttentionNorm(usize),
    /// Queries of a layer, turned where positions are told so.
    Queries(usize),
    /// Keys of a layer, turned where positions are told so.
    Keys(usize),
    /// Values of a layer.
    Values(usize),
    /// What attention mixed, before its output projection.
    AttentionMix(usize),
    /// What a layer's attention adds to the stream.
    AttentionOutput(usize),
    /// The normalised input of a layer's feed-forward block.
    FeedForwardNorm(usize),
    /// What the last product of a layer's feed-forward block takes.
    FeedForwardInner(usize),
    /// Of a layer with experts, the rows that go to one: layer and expert. An expert without rows is not told.
    ExpertInput(usize, usize),
    /// What the last product of an expert takes: layer and expert.
    ExpertInner(usize, usize),
    /// What a layer's feed-forward block adds to the stream.
    FeedForwardOutput(usize),
    /// The stream after a layer.
    LayerOutput(usize),
    /// The stream after the last normalisation.
    Norm,
    /// The logits.
    Logits,
}

impl Part {
    /// What kind of work it is, the same for every layer.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::AttentionNorm(_) | Self::FeedForwardNorm(_) | Self::Norm => "normalisation",
            Self::Queries(_) | Self::Keys(_) | Self::Values(_) => "queries, keys, values",
            Self::AttentionMix(_) => "attention",
            Self::AttentionOutput(_) => "attention output",
            Self::FeedForwardInner(_) | Self::FeedForwardOutput(_) => "feed-forward",
            Self::ExpertInput(..) | Self::ExpertInner(..) => "feed-forward",
            Self::LayerOutput(_) => "residual sums",
            Self::Logits => "logits",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedding => write!(f, "embedding"),
            Self::AttentionNorm(layer) => write!(f, "layers.{layer}.attention.norm"),
            Self::Queries(layer) => write!(f, "layers.{layer}.attention.queries"),
            Self::Keys(layer) => write!(f, "layers.{layer}.attention.keys"),
            Self::Values(layer) => write!(f, "layers.{layer}.attention.values"),
            Self::AttentionMix(layer) => write!(f, "layers.{layer}.attention.mix"),
            Self::AttentionOutput(layer) => write!(f, "layers.{layer}.attention.output"),
            Self::FeedForwardNorm(layer) => write!(f, "layers.{layer}.feed_forward.norm"),
            Self::FeedForwardInner(layer) => write!(f, "layers.{layer}.feed_forward.inner"),
            Self::ExpertInput(layer, expert) => write!(f, "layers.{layer}.experts.{expert}.input"),
            Self::ExpertInner(layer, expert) => write!(f, "layers.{layer}.experts.{expert}.inner"),
            Self::FeedForwardOutput(layer) => write!(f, "layers.{layer}.feed_forward.output"),
            Self::LayerOutput(layer) => write!(f, "layers.{layer}.output"),
            Self::Norm => write!(f, "norm"),
            Self::Logits => write!(f, "logits"),
        }
    }
}

/// Somebody who looks into a forward pass.
pub trait Probe {
    /// `part` of this batch is done; `activation` is `[R, ·]`, for [`Part::Norm`] and [`Part::Logits`] only the
    /// rows that were wanted.
    fn record(&mut self, part: Part, activation: &Tensor<2>);
}
