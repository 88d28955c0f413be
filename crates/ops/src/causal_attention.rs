//! Attention of whole sequences to themselves, as in training: nothing is kept for later.
//!
//! The mathematics is that of [`crate::attention`] with no past; the sequences of a batch are equally long.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::Tensor;
use kernels::causal_attention as kernel;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// How the rows make sequences, and by what the scores are multiplied.
#[derive(Clone, Copy, Debug)]
pub struct Causal {
    /// Sequences of equal length, `B`.
    pub sequences: usize,
    /// The factor of the scores, usually `d^(-1/2)`.
    pub scale: f32,
}

/// The output `[B·T, H, d]` with what the backward pass needs of it: `log Σ exp(score)` of every row and head,
/// `[B·T, H]`.
#[derive(ExtensionType)]
pub struct Attended<B: Backend> {
    pub(crate) output: FloatTensor<B>,
    pub(crate) log_sums: FloatTensor<B>,
}

/// What the forward pass leaves for the backward pass.
#[derive(ExtensionType, Clone, Debug)]
pub struct Saved<B: Backend> {
    pub(crate) q: FloatTensor<B>,
    pub(crate) k: FloatTensor<B>,
    pub(crate) v: FloatTensor<B>,
    pub(crate) output: FloatTensor<B>,
    pub(crate) log_sums: FloatTensor<B>,
}

/// The gradients for queries, keys and values, in their shapes.
#[derive(ExtensionType)]
pub struct ForQkv<B: Backend> {
    pub(crate) q: FloatTensor<B>,
    pub(crate) k: FloatTensor<B>,
    pub(crate) v: FloatTensor<B>,
}

/// The op; see [`causal_attention`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait CausalAttentionOp: Backend {
    /// `q` `[B·T, H, d]`, `k` and `v` `[B·T, K, d]` → output `[B·T, H, d]` and log sums `[B·T, H]`.
    fn causal_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        causal: Causal,
    ) -> Attended<Self> {
        definition::<Self>([q, k, v], causal)
    }

    /// The gradients of [`CausalAttentionOp::causal_attention`], given that of its output, `[B·T, H, d]`.
    fn causal_attention_gradients(
        #[extension_type] saved: Saved<Self>,
        gradient: FloatTensor<Self>,
        causal: Causal,
    ) -> ForQkv<Self> {
        gradients_by_primitives::<Self>(saved, gradient, causal)
    }
}

/// The sizes of one call.
#[derive(Clone, Copy)]
struct Sizes {
    sequences: usize,
    length: usize,
    heads: usize,
    groups: usize,
    size: usize,
}

impl Sizes {
    fn new(q: &[usize], k: &[usize], sequences: usize) -> Self {
        let &[rows, heads, size] = q else { panic!("causal_attention: q must be [R, H, d]") };
        Self { sequences, length: rows / sequences, heads, groups: k[1], size }
    }

    /// `[B·T, heads, d]` → `[B, K, heads/K · T, d]`: the rows of all heads that share keys, one after another.
    fn by_group<B: Backend>(self, x: Value<B>) -> Value<B> {
        let heads = x.dims()[1];
        let x = x.reshape([self.sequences, self.length, heads, self.size]).permute(&[0, 2, 1, 3]);
        x.reshape([self.sequences, self.groups, heads / self.groups * self.length, self.size])
    }

    /// The way back.
    fn by_row<B: Backend>(self, x: Value<B>, heads: usize) -> FloatTensor<B> {
        let x = x.reshape([self.sequences, heads, self.length, self.size]).permute(&[0, 2, 1, 3]);
        x.reshape([self.sequences * self.length, heads, self.size]).0
    }

    /// The scores under the mask, `[B, H, T, T]`.
    fn scores<B: Backend>(self, q: Value<B>, k: Value<B>, scale: f32) -> Value<B> {
        let shape = [self.sequences, self.heads, self.length, self.length];
        let scores = q.matmul(k.transpose()).reshape(shape).scale(scale);
        let mask = scores.causal_mask(self.length, 0).reshape([1, 1, self.length, self.length]);
        scores + mask
    }

    /// `[B, H, T, T]` → `[B, K, H/K · T, T]`.
    fn scores_by_group<B: Backend>(self, scores: Value<B>) -> Value<B> {
        scores.reshape([self.sequences, self.groups, self.heads / self.groups * self.length, self.length])
    }
}

/// `softmax(q · Kᵀ · scale) · V` under a causal mask, in Burn primitives.
pub(crate) fn definition<B: Backend>([q, k, v]: [FloatTensor<B>; 3], causal: Causal) -> Attended<B> {
    let (q, k, v) = (Value::<B>(q), Value::<B>(k), Value::<B>(v));
    let sizes = Sizes::new(&q.dims(), &k.dims(), causal.sequences);
    let scores = sizes.scores(sizes.by_group(q), sizes.by_group(k), causal.scale); // [B, H, T, T]
    let largest = scores.clone().max(3).detached(); // [B, H, T, 1]
    let exponentials = (scores - largest.clone()).exp();
    let sums = exponentials.clone().sum(3); // [B, H, T, 1]
    let weights = sizes.scores_by_group(exponentials / sums.clone());
    let output = sizes.by_row(weights.matmul(sizes.by_group(v)), sizes.heads); // [B·T, H, d]
    let log_sums = (sums.log() + largest).permute(&[0, 2, 1, 3]);
    let log_sums = log_sums.reshape([sizes.sequences * sizes.length, sizes.heads]).0;
    Attended { output, log_sums }
}

/// The gradients with the weights made again from the scores.
fn gradients_by_primitives<B: Backend>(
    saved: Saved<B>,
    gradient: FloatTensor<B>,
    Causal { sequences, scale }: Causal,
) -> ForQkv<B> {
    let (q, k, v) = (Value::<B>(saved.q), Value::<B>(saved.k), Value::<B>(saved.v));
    let sizes = Sizes::new(&q.dims(), &k.dims(), sequences);
    let [q, k, v, gradient] = [q, k, v, Value(gradient)].map(|x| sizes.by_group(x));
    let weights = sizes.scores_by_group(sizes.scores(q.clone(), k.clone(), scale).softmax(3));
    let for_v = weights.clone().transpose().matmul(gradient.clone()); // [B, K, T, d]
    let for_weights = gradient.matmul(v.transpose()); // [B, K, H/K · T, T]
    let overlap = (for_weights.clone() * weights.clone()).sum(3); // [B, K, H/K · T, 1]
    let for_scores = (weights * (for_weights - overlap)).scale(scale);
    let for_q = for_scores.clone().matmul(k); // [B, K, H/K · T, d]
    let for_k = for_scores.transpose().matmul(q); // [B, K, T, d]
    ForQkv {
        q: sizes.by_row(for_q, sizes.heads),
        k: sizes.by_row(for_k, sizes.groups),
        v: sizes.by_row(for_v, sizes.groups),
    }
}

fn sizes_for_kernel(q: &[usize], k: &[usize], sequences: usize) -> kernel::Sequences {
    let Sizes { length, heads, groups, size, .. } = Sizes::new(q, k, sequences);
    kernel::Sequences { sequences, length, heads, kv_heads: groups, size }
}

impl CausalAttentionOp for Flex {
    fn causal_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        Causal { sequences, scale }: Causal,
    ) -> Attended<Self> {
        let (q, k, v) = (host(q), host(k), host(v));
        let sizes = sizes_for_kernel(&q.dims(), &k.dims(), sequences);
        let rows = sequences * sizes.length;
        let mut output = unwritten(q.values().len());
        let mut log_sums = unwritten(rows * sizes.heads);
        let (dims, qkv) = (q.dims(), [q.values(), k.values(), v.values()]);
        kernel::causal_attention(qkv[0], qkv[1], qkv[2], scale, &mut output, &mut log_sums, sizes);
        Attended { output: from_host(output, dims), log_sums: from_host(log_sums, vec![rows, sizes.heads]) }
    }

    fn causal_attention_gradients(
        saved: Saved<Self>,
        gradient: FloatTensor<Self>,
        Causal { sequences, scale }: Causal,
    ) -> ForQkv<Self> {
        let (q, k, v) = (host(saved.q), host(saved.k), host(saved.v));
        let (output, log_sums, gradient) = (host(saved.output), host(saved.log_sums), host(gradient));
        let sizes = sizes_for_kernel(&q.dims(), &k.dims(), sequences);
        let [mut for_q, mut for_k, mut for_v] = [&q, &k, &v].map(|operand| unwritten(operand.values().len()));
        let saved = kernel::Saved {
            q: q.values(),
            k: k.values(),
            v: v.values(),
            y: output.values(),
            log_sums: log_sums.values(),
        };
        let gradients = kernel::Gradients { q: &mut for_q, k: &mut for_k, v: &mut for_v };
        kernel::causal_attention_backward(saved, gradient.values(), scale, gradients, sizes);
        ForQkv { q: from_host(for_q, q.dims()), k: from_host(for_k, k.dims()), v: from_host(for_v, v.dims()) }
    }
}

#[cfg(feature = "gpu")]
impl CausalAttentionOp for crate::Gpu {}

#[derive(Debug)]
struct CausalAttentionBackward {
    causal: Causal,
}

impl<B: CausalAttentionOp> Backward<B, 3> for CausalAttentionBackward {
    type State = Saved<B>;

    fn backward(self, step: Parents<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        let found = B::causal_attention_gradients(step.state, gradient, self.causal);
        for (node, gradient) in step.parents.into_iter().zip([found.q, found.k, found.v]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: CausalAttentionOp, C: CheckpointStrategy> CausalAttentionOp for Autodiff<B, C> {
    fn causal_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        causal: Causal,
    ) -> Attended<Self> {
        let step = CausalAttentionBackward { causal }.prepare::<C>([q.node(), k.node(), v.node()]);
        let (q, k, v) = (q.into_primitive(), k.into_primitive(), v.into_primitive());
        let (output, log_sums) = match step.compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let found = B::causal_attention(q.clone(), k.clone(), v.clone(), causal);
                let (output, log_sums) = (found.output, found.log_sums);
                let saved = Saved { q, k, v, output: output.clone(), log_sums: log_sums.clone() };
                (step.finish(saved, output), log_sums)
            }
            OpsKind::UnTracked(step) => {
                let found = B::causal_attention(q, k, v, causal);
                (step.finish(found.output), found.log_sums)
            }
        };
        // Nothing is learned through the log sums: they are only read by the backward pass.
        Attended { output, log_sums: <Self as burn::backend::AutodiffBackend>::from_inner(log_sums) }
    }
}

/// Lets every row attend to its own sequence up to itself.
///
/// # Shapes
/// `q` `[B·T, H, d]`, `k` and `v` `[B·T, K, d]`, `H` a multiple of `K`, `B` sequences → `[B·T, H, d]`.
pub fn causal_attention([q, k, v]: [Tensor<3>; 3], sequences: usize, scale: f32) -> Tensor<3> {
    let (q, k, v) = (q.into_dispatch(), k.into_dispatch(), v.into_dispatch());
    Tensor::from_dispatch(Dispatch::causal_attention(q, k, v, Causal { sequences, scale }).output)
}

/// Work of one call: `sequences` of `length` tokens with `heads` query heads of `size` values.
pub fn cost(sequences: usize, length: usize, heads: usize, size: usize) -> Cost {
    let pairs = sequences * length * (length + 1) / 2;
    Cost { flops: 4 * pairs * heads * size, bytes: 16 * sequences * length * heads * size }
}
