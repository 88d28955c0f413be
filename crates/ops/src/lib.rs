//! Fused tensor operations as an extension of Burn.
//!
//! Each file holds one op: its definition (a composition of Burn primitives, which runs on every device, is
//! differentiable and judges everything else), its CPU override on `kernels`, its backward and its cost.
//!
//! Does not: know models, families, sequences or files.

pub mod attention;
pub mod causal_attention;
pub mod cost;
pub mod device;
pub mod embedding;
mod host;
pub mod linear;
mod quantised;
pub mod rms_norm;
pub mod rope;
mod rows;
pub mod softmax;
pub mod swiglu;
mod value;
mod weight;

#[cfg(test)]
mod tests;

pub use burn::tensor::{Device, Tensor};

pub use linear::Linear;
pub use rows::Rows;
pub use weight::{Lent, Storage, Weight, WeightError};

use burn::backend::Backend;

/// Every op of Hearth on one backend.
pub trait Ops:
    Backend
    + attention::AttentionOp
    + causal_attention::CausalAttentionOp
    + embedding::EmbeddingOp
    + linear::LinearOp
    + rms_norm::RmsNormOp
    + rope::RopeOp
    + softmax::SoftmaxOp
    + swiglu::SwigluOp
{
}

impl<B> Ops for B where
    B: Backend
        + attention::AttentionOp
        + causal_attention::CausalAttentionOp
        + embedding::EmbeddingOp
        + linear::LinearOp
        + rms_norm::RmsNormOp
        + rope::RopeOp
        + softmax::SoftmaxOp
        + swiglu::SwigluOp
{
}

/// A GPU behind Burn's CubeCL backends.
#[cfg(feature = "gpu")]
pub(crate) type Gpu = burn::backend::Cube;
