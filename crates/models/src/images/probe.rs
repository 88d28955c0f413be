//! Looking inside a step of an image model: a probe is told each part that it wants, as it is done.
//!
//! Absent, it costs nothing. Of the weights of attention only those over the text can be asked for: of pixels over pixels
//! there are too many.

use std::fmt;

use burn::tensor::Tensor;

/// A block of a U-Net. Displays as its name, such as `down.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A level on the way to fewer pixels, the first counted 0.
    Down(usize),
    /// Between the two ways.
    Middle,
    /// A level on the way back, the first that is gone counted 0.
    Up(usize),
}

/// A part of a step. Displays as its name, such as `down.1.attentions.0.layers.2.cross_attention.weights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// What a residual block of a stage gives, `[N, H, W, C]`.
    Residual(Stage, usize),
    /// What a transformer of a stage gives, `[N, H, W, C]`.
    Transformer(Stage, usize),
    /// How much each pixel takes from each token of the text, in one layer of a transformer: stage, transformer, layer;
    /// `[N, heads, H·W, S]`.
    CrossAttention(Stage, usize, usize),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down(level) => write!(f, "down.{level}"),
            Self::Middle => write!(f, "middle"),
            Self::Up(level) => write!(f, "up.{level}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Residual(stage, block) => write!(f, "{stage}.residuals.{block}.output"),
            Self::Transformer(stage, block) => write!(f, "{stage}.attentions.{block}.output"),
            Self::CrossAttention(stage, block, layer) => {
                write!(f, "{stage}.attentions.{block}.layers.{layer}.cross_attention.weights")
            }
        }
    }
}

/// Somebody who looks into a step.
pub trait Probe {
    /// Whether it wants to see `part`. What nobody wants is not computed.
    fn wants(&self, part: Part) -> bool;

    /// `part` is done; [`Part`] says its shape.
    fn record(&mut self, part: Part, activation: &Tensor<4>);
}

/// The probe, where there is one.
pub(super) struct Watch<'a>(pub Option<&'a mut dyn Probe>);

impl Watch<'_> {
    /// Tells a part that is computed where it is wanted.
    pub fn tell(&mut self, part: Part, activation: impl FnOnce() -> Tensor<4>) {
        if let Some(probe) = &mut self.0
            && probe.wants(part)
        {
            probe.record(part, &activation());
        }
    }
}
