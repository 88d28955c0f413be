//! Attention of whole sequences to whole sequences: every row sees every token, as in image models, where the tokens may
//! be those of a text.
//!
//! The mathematics is that of [`crate::attention`] without a mask. Keys and values have a length of their own; within a
//! batch all sequences have the same. On the processor no matrix of T × S scores is ever in memory.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, activation};
use kernels::attention as kernel;
use kernels::kv::{Kept, kv_write};

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// How the rows make sequences, and by what the scores are multiplied.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// Sequences, `B`.
    pub sequences: usize,
    /// The factor of the scores, usually `d^(-1/2)`; positive.
    pub scale: f32,
}

/// The op; see [`whole_attention`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait WholeAttentionOp: Backend {
    /// `q` `[B·T, H, d]`, `k` and `v` `[B·S, K, d]` → `[B·T, H, d]`.
    fn whole_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        whole: Whole,
    ) -> FloatTensor<Self> {
        definition::<Self>([q, k, v], whole)
    }
}

/// `softmax(q · Kᵀ · scale) · V` in Burn primitives.
pub(crate) fn definition<B: Backend>(
    [q, k, v]: [FloatTensor<B>; 3],
    Whole { sequences, scale }: Whole,
) -> FloatTensor<B> {
    let (q, k, v) = (Value::<B>(q), Value::<B>(k), Value::<B>(v));
    let ([rows, heads, size], groups) = (three(&q.dims()), k.dims()[1]);
    let by_group = |x: Value<B>| {
        let [rows, heads, size] = three(&x.dims());
        let x = x.reshape([sequences, rows / sequences, heads, size]).permute(&[0, 2, 1, 3]);
        x.reshape([sequences, groups, heads / groups * (rows / sequences), size])
    };
    let weights = by_group(q).matmul(by_group(k).transpose()).scale(scale).softmax(3); // [B, K, H/K · T, S]
    let mixed = weights.matmul(by_group(v)); // [B, K, H/K · T, d]
    let mixed = mixed.reshape([sequences, heads, rows / sequences, size]).permute(&[0, 2, 1, 3]);
    mixed.reshape([rows, heads, size]).0
}

fn three(dims: &[usize]) -> [usize; 3] {
    dims.try_into().expect("whole_attention: operands are [R, heads, d]")
}

impl WholeAttentionOp for Flex {
    fn whole_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        Whole { sequences, scale }: Whole,
    ) -> FloatTensor<Self> {
        let (q, k, v) = (host(q), host(k), host(v));
        let [tokens, n_key_heads, head_size] = three(&k.dims());
        let (rows, length) = (q.dims()[0], tokens / sequences);
        // One page a sequence, in which each head's tokens lie side by side.
        let pages = kernel::Pages { n_key_heads, head_size, block_size: length };
        let slots: Vec<u32> = (0..tokens as u32).collect();
        let paged = |x: &[f32]| {
            let mut pool = unwritten(x.len());
            kv_write(x, &slots, &mut Kept::F32(&mut pool), pages);
            pool
        };
        let (keys, values) = (paged(k.values()), paged(v.values()));
        let tables: Vec<u32> = (0..sequences as u32).collect();
        let row =
            |row| kernel::Row { table_start: row / (rows / sequences), first_visible: 0, n_visible: length };
        let sight: Vec<kernel::Row> = (0..rows).map(row).collect();
        let (keys, values) = (keys.as_slice().into(), values.as_slice().into());
        let cache = kernel::Cache { keys, values, tables: &tables, pages };
        let mut output = unwritten(q.values().len());
        kernel::attention(q.values(), &cache, &sight, kernel::Scoring::scaled(scale), &mut output);
        from_host(output, q.dims())
    }
}

#[cfg(feature = "gpu")]
impl WholeAttentionOp for crate::Gpu {}

// The definition is differentiable.
impl<B: WholeAttentionOp, C: CheckpointStrategy> WholeAttentionOp for Autodiff<B, C> {}

/// Lets every row attend to all tokens that belong to its sequence.
///
/// # Shapes
/// `q` `[B·T, H, d]`, `k` and `v` `[B·S, K, d]`, `H` a multiple of `K`, `B` sequences → `[B·T, H, d]`.
///
/// # Panics
/// When there are no rows or tokens, or their shapes do not fit together.
pub fn whole_attention([q, k, v]: [Tensor<3>; 3], whole: Whole) -> Tensor<3> {
    check(&q, &k, whole.sequences);
    assert_eq!(k.dims(), v.dims(), "whole_attention: keys and values differ in shape");
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    Tensor::from_dispatch(Dispatch::whole_attention(q, k, v, whole))
}

/// The weights of [`whole_attention`], for who looks at them: all are in memory then.
///
/// # Shapes
/// `q` `[B·T, H, d]`, `k` `[B·S, H, d]` → `[B, H, T, S]`.
///
/// # Panics
/// As [`whole_attention`].
pub fn whole_attention_weights([q, k]: [Tensor<3>; 2], Whole { sequences, scale }: Whole) -> Tensor<4> {
    check(&q, &k, sequences);
    let by_head = |x: Tensor<3>| {
        let [rows, heads, size] = x.dims();
        x.reshape([sequences, rows / sequences, heads, size]).swap_dims(1, 2) // [B, H, ·, d]
    };
    let scores = by_head(q).matmul(by_head(k).swap_dims(2, 3)).mul_scalar(scale); // [B, H, T, S]
    activation::softmax(scores, 3)
}

fn check(q: &Tensor<3>, k: &Tensor<3>, sequences: usize) {
    let ([rows, heads, size], [tokens, key_heads, key_size]) = (q.dims(), k.dims());
    let fits = sequences > 0
        && rows > 0
        && tokens > 0
        && rows.is_multiple_of(sequences)
        && tokens.is_multiple_of(sequences)
        && heads.is_multiple_of(key_heads.max(1))
        && size == key_size;
    let shapes = (q.dims(), k.dims());
    assert!(fits, "whole_attention: q and k are {shapes:?} in {sequences} sequences");
}

/// Work of one call: `sequences` of `[T, S]` rows and tokens with `heads` query heads of `size` values.
pub fn cost(sequences: usize, [rows, tokens]: [usize; 2], heads: usize, size: usize) -> Cost {
    let pairs = sequences * rows * tokens;
    Cost { flops: 4 * pairs * heads * size, bytes: 8 * sequences * (rows + tokens) * heads * size }
}
