//! Attention of whole sequences to whole sequences: every row sees every token, as in image models, where the tokens may
//! be those of a text.
//!
//! The mathematics is that of [`crate::attention`] without a mask. Keys and values have a length of their own; within a
//! batch all sequences have the same. On the processor no matrix of T × S scores is ever in memory.

mod backward;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
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

    /// The gradients of [`WholeAttentionOp::whole_attention`] for `q`, `k` and `v` in their shapes, given that of its
    /// output, `[B·T, H, d]`.
    fn whole_attention_gradients(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        whole: Whole,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        gradients_definition::<Self>([q, k, v, gradient], whole)
    }
}

/// `softmax(q · Kᵀ · scale) · V` in Burn primitives.
pub(crate) fn definition<B: Backend>(
    [q, k, v]: [FloatTensor<B>; 3],
    Whole { sequences, scale }: Whole,
) -> FloatTensor<B> {
    let [q, k, v] = [q, k, v].map(Value::<B>);
    let (heads, groups) = (q.dims()[1], k.dims()[1]);
    let [q, k, v] = [q, k, v].map(|x| by_group(x, sequences, groups));
    let weights = q.matmul(k.transpose()).scale(scale).softmax(3); // [B, K, H/K · T, S]
    by_row(weights.matmul(v), heads) // [B·T, H, d]
}

/// The gradients for `q`, `k` and `v` in Burn primitives, from them and the gradient of the output.
pub(crate) fn gradients_definition<B: Backend>(
    operands: [FloatTensor<B>; 4],
    Whole { sequences, scale }: Whole,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let [q, k, v, gradient] = operands.map(Value::<B>);
    let (heads, groups) = (q.dims()[1], k.dims()[1]);
    let [q, k, v, gradient] = [q, k, v, gradient].map(|x| by_group(x, sequences, groups));
    let weights = q.clone().matmul(k.clone().transpose()).scale(scale).softmax(3); // [B, K, H/K · T, S]
    let for_v = weights.clone().transpose().matmul(gradient.clone()); // [B, K, S, d]
    let for_weights = gradient.matmul(v.transpose()); // [B, K, H/K · T, S]
    let overlap = (for_weights.clone() * weights.clone()).sum(3); // [B, K, H/K · T, 1]
    let for_scores = (weights * (for_weights - overlap)).scale(scale);
    let for_q = for_scores.clone().matmul(k); // [B, K, H/K · T, d]
    let for_k = for_scores.transpose().matmul(q); // [B, K, S, d]
    (by_row(for_q, heads), by_row(for_k, groups), by_row(for_v, groups))
}

/// `[B·T, heads, d]` → `[B, K, heads/K · T, d]`: the rows of all heads that share keys, one after another.
fn by_group<B: Backend>(x: Value<B>, sequences: usize, groups: usize) -> Value<B> {
    let [rows, heads, size] = three(&x.dims());
    let x = x.reshape([sequences, rows / sequences, heads, size]).permute(&[0, 2, 1, 3]);
    x.reshape([sequences, groups, heads / groups * (rows / sequences), size])
}

/// The way back.
fn by_row<B: Backend>(x: Value<B>, heads: usize) -> FloatTensor<B> {
    let [sequences, groups, rows, size] = x.dims()[..] else { panic!("the rows of groups are [B, K, R, d]") };
    let length = groups * rows / heads;
    let x = x.reshape([sequences, heads, length, size]).permute(&[0, 2, 1, 3]);
    x.reshape([sequences * length, heads, size]).0
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

    fn whole_attention_gradients(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        whole: Whole,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [q, k, v, gradient] = [q, k, v, gradient].map(host);
        let sizes = backward::Sizes::new(&q.dims(), &k.dims(), whole.sequences);
        let operands = [q.values(), k.values(), v.values(), gradient.values()];
        let [for_q, for_k, for_v] = backward::gradients(operands, whole.scale, sizes);
        (from_host(for_q, q.dims()), from_host(for_k, k.dims()), from_host(for_v, v.dims()))
    }
}

#[cfg(feature = "gpu")]
impl WholeAttentionOp for crate::Gpu {}

#[derive(Debug)]
struct WholeAttentionBackward {
    whole: Whole,
}

impl<B: WholeAttentionOp> Backward<B, 3> for WholeAttentionBackward {
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (q, k, v) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let (for_q, for_k, for_v) = B::whole_attention_gradients(q, k, v, gradient, self.whole);
        for (node, gradient) in step.parents.into_iter().zip([for_q, for_k, for_v]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: WholeAttentionOp, C: CheckpointStrategy> WholeAttentionOp for Autodiff<B, C> {
    fn whole_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        whole: Whole,
    ) -> FloatTensor<Self> {
        let step = WholeAttentionBackward { whole }.prepare::<C>([q.node(), k.node(), v.node()]);
        let (q, k, v) = (q.into_primitive(), k.into_primitive(), v.into_primitive());
        match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let y = B::whole_attention(q.clone(), k.clone(), v.clone(), whole);
                step.finish((q, k, v), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::whole_attention(q, k, v, whole)),
        }
    }
}

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
