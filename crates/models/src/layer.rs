//! The blocks of a decoder with their weights: norms, positions, feed-forward.
//!
//! Does not: attend (`attend`), order the blocks (`decoder`), or know where weights come from.

use burn::tensor::{Device, Tensor, TensorData};
use ops::activation::gelu::{Gelu, gelu};
use ops::activation::swiglu::swiglu;
use ops::norm::layer_norm::layer_norm;
use ops::norm::rms_norm::rms_norm;
use ops::{Linear, Rows, Weight};

use crate::blocks::NormKind;

/// One layer's weights.
#[derive(Clone)]
pub(crate) struct Layer {
    pub attention_norm: Norm,
    pub queries: Linear,
    pub keys: Linear,
    pub values: Linear,
    pub attention_output: Linear,
    pub feed_forward_norm: Norm,
    pub feed_forward: FeedForward,
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
    /// `down(silu(gate(x)) · up(x))`.
    SwiGlu { gate: Box<Linear>, up: Linear, down: Linear },
    /// `down(gelu(up(x)))`.
    Gelu { up: Linear, down: Linear, form: Gelu },
}

impl FeedForward {
    /// # Shapes
    /// `x` `[R, D]` → `[R, D]`.
    pub fn forward(&self, x: Tensor<2>, rows: Rows) -> Tensor<2> {
        match self {
            Self::SwiGlu { gate, up, down } => {
                let gate = gate.forward(x.clone(), rows); // [R, F]
                let up = up.forward(x, rows); // [R, F]
                down.forward(swiglu(gate, up), rows) // [R, D]
            }
            Self::Gelu { up, down, form } => {
                let inner = gelu(up.forward(x, rows), *form); // [R, F]
                down.forward(inner, rows) // [R, D]
            }
        }
    }
}
