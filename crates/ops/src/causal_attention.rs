//! Attention of whole sequences to themselves, as in training: nothing is kept for later.
//!
//! The mathematics is that of [`crate::attention`] with no past; the sequences of a batch are equally long.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::cost::Cost;
use crate::value::Value;

/// The op; see [`causal_attention`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait CausalAttentionOp: Backend {
    /// `q` `[B·T, H, d]`, `k` and `v` `[B·T, K, d]` for `B` sequences → `[B·T, H, d]`.
    fn causal_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        sequences: usize,
        scale: f32,
    ) -> FloatTensor<Self> {
        definition::<Self>([q, k, v], sequences, scale)
    }
}

/// `softmax(q · Kᵀ · scale) · V` under a causal mask, in Burn primitives.
pub(crate) fn definition<B: Backend>(
    [q, k, v]: [FloatTensor<B>; 3],
    sequences: usize,
    scale: f32,
) -> FloatTensor<B> {
    let (q, k, v) = (Value::<B>(q), Value::<B>(k), Value::<B>(v));
    let [rows, heads, size] = q.dims()[..] else { panic!("causal_attention: q must be [R, H, d]") };
    let (groups, length) = (k.dims()[1], rows / sequences);
    let by_head = |x: Value<B>, heads| {
        let x = x.reshape([sequences, length, heads, size]);
        x.permute(&[0, 2, 1, 3]) // [B, heads, T, d]
    };
    let q = by_head(q, heads).reshape([sequences, groups, heads / groups * length, size]);
    let k = by_head(k, groups); // [B, K, T, d]
    let v = by_head(v, groups); // [B, K, T, d]
    let scores = q.matmul(k.transpose()).reshape([sequences, heads, length, length]).scale(scale);
    let mask = scores.causal_mask(length, 0).reshape([1, 1, length, length]);
    let weights = (scores + mask).softmax(3);
    let weights = weights.reshape([sequences, groups, heads / groups * length, length]);
    let mixed = weights.matmul(v).reshape([sequences, heads, length, size]);
    mixed.permute(&[0, 2, 1, 3]).reshape([rows, heads, size]).0 // [B·T, H, d]
}

impl CausalAttentionOp for Flex {}

#[cfg(feature = "gpu")]
impl CausalAttentionOp for crate::Gpu {}

impl<B: CausalAttentionOp, C: CheckpointStrategy> CausalAttentionOp for Autodiff<B, C> {}

/// Lets every row attend to its own sequence up to itself.
///
/// # Shapes
/// `q` `[B·T, H, d]`, `k` and `v` `[B·T, K, d]`, `H` a multiple of `K`, `B` sequences → `[B·T, H, d]`.
pub fn causal_attention([q, k, v]: [Tensor<3>; 3], sequences: usize, scale: f32) -> Tensor<3> {
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    Tensor::from_dispatch(Dispatch::causal_attention(q, k, v, sequences, scale))
}

/// Work of one call: `sequences` of `length` tokens with `heads` query heads of `size` values.
pub fn cost(sequences: usize, length: usize, heads: usize, size: usize) -> Cost {
    let pairs = sequences * length * (length + 1) / 2;
    Cost { flops: 4 * pairs * heads * size, bytes: 16 * sequences * length * heads * size }
}
