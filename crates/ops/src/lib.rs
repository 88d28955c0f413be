//! Fused tensor operations as an extension of Burn.
//!
//! Each file holds one op: its definition (a composition of Burn primitives, which runs on every device, is
//! differentiable and judges everything else), its CPU override on `kernels`, its backward and its cost.
//!
//! Does not: know models, families, sequences or files.

pub mod activation;
pub mod adam_w;
pub mod attention;
mod buffers;
pub mod causal_attention;
pub mod cost;
pub mod device;
pub mod embedding;
pub mod experts;
pub mod head_loss;
mod host;
pub mod linear;
pub mod norm;
mod quantised;
pub mod rope;
mod rows;
pub mod softmax;
mod value;
pub mod weight;

#[cfg(test)]
mod tests;

pub use buffers::Buffers;
pub use linear::Linear;
pub use rows::{Precision, Rows};
pub use weight::Weight;

use burn::backend::Backend;

/// Every op of Hearth on one backend.
pub trait Ops:
    Backend
    + activation::clamped_swiglu::ClampedSwigluOp
    + activation::geglu::GegluOp
    + activation::gelu::GeluOp
    + activation::pointwise::PointwiseOp
    + activation::swiglu::SwigluOp
    + adam_w::AdamWOp
    + attention::AttentionOp
    + attention::whole::WholeAttentionOp
    + causal_attention::CausalAttentionOp
    + embedding::EmbeddingOp
    + head_loss::HeadLossOp
    + linear::LinearOp
    + linear::bias::BiasOp
    + linear::convolution::ConvolutionOp
    + linear::convolution::doubled::DoubledOp
    + linear::low_rank::LowRankOp
    + norm::group_norm::GroupNormOp
    + norm::layer_norm::LayerNormOp
    + norm::rms_norm::RmsNormOp
    + rope::RopeOp
    + softmax::SoftmaxOp
{
}

impl<B> Ops for B where
    B: Backend
        + activation::clamped_swiglu::ClampedSwigluOp
        + activation::geglu::GegluOp
        + activation::gelu::GeluOp
        + activation::pointwise::PointwiseOp
        + activation::swiglu::SwigluOp
        + adam_w::AdamWOp
        + attention::AttentionOp
        + attention::whole::WholeAttentionOp
        + causal_attention::CausalAttentionOp
        + embedding::EmbeddingOp
        + head_loss::HeadLossOp
        + linear::LinearOp
        + linear::bias::BiasOp
        + linear::convolution::ConvolutionOp
        + linear::convolution::doubled::DoubledOp
        + linear::low_rank::LowRankOp
        + norm::group_norm::GroupNormOp
        + norm::layer_norm::LayerNormOp
        + norm::rms_norm::RmsNormOp
        + rope::RopeOp
        + softmax::SoftmaxOp
{
}

/// A GPU behind Burn's CubeCL backends.
#[cfg(feature = "gpu")]
pub(crate) type Gpu = burn::backend::Cube;
