//! The output head and the loss as one op: `loss = Σ wᵣ · (log Σᵥ exp(zᵣᵥ) − zᵣₜ)` with `z = x · Wᵀ`, where `t` is
//! the token that follows row `r`.
//!
//! On the CPU the logits `[R, V]` never exist whole: they are made, used and overwritten in chunks of rows. Where a
//! gradient is wanted it is computed in the same pass, so that no logit is computed twice.
//! Source of the idea: P.-L. Hsu et al., "Liger Kernel: Efficient Triton Kernels for LLM Training" (2024),
//! section 3.2.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};
use kernels::cross_entropy;
use kernels::product::{How, Into, Precision};

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// What each row is to say.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The token that follows each row, or [`Targets::IGNORED`].
    pub ids: Arc<[u32]>,
    /// What the loss of a row that counts is multiplied with: 1 over the rows that count gives their mean.
    pub weight: f32,
    /// How exact the products are.
    pub precision: Precision,
}

impl Targets {
    /// The target of a row that does not count.
    pub const IGNORED: u32 = u32::MAX;

    /// The mean loss of the rows that count.
    pub fn mean(ids: Arc<[u32]>, precision: Precision) -> Self {
        let n_counted = ids.iter().filter(|&&id| id != Self::IGNORED).count();
        Self { ids, weight: 1.0 / n_counted.max(1) as f32, precision }
    }
}

/// A loss with its gradients.
#[derive(ExtensionType)]
pub struct WithGradients<B: Backend> {
    /// `[1]`.
    pub(crate) loss: FloatTensor<B>,
    /// For `x`, `[R, D]`.
    pub(crate) x: FloatTensor<B>,
    /// For the weight, `[V, D]`.
    pub(crate) weight: FloatTensor<B>,
}

/// The op; see [`head_loss`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait HeadLossOp: Backend {
    /// `x` `[R, D]`, `weight` `[V, D]` → `[1]`.
    fn head_loss(x: FloatTensor<Self>, weight: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self> {
        definition::<Self>(x, weight, &targets)
    }

    /// The same with the gradients for `x` and `weight`.
    fn head_loss_with_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: Targets,
    ) -> WithGradients<Self> {
        let loss = definition::<Self>(x.clone(), weight.clone(), &targets);
        let (x, weight) = (Value::<Self>(x), Value::<Self>(weight));
        let logits = x.clone().matmul(weight.clone().transpose()); // [R, V]
        let (chosen, counts) = chosen(&logits, &targets);
        let slope = (logits.softmax(1) - chosen) * counts; // [R, V]
        let for_x = slope.clone().matmul(weight); // [R, D]
        WithGradients { loss, x: for_x.0, weight: slope.transpose().matmul(x).0 }
    }

    /// `gradient` `[…]` times the one number in `factor` `[1]`.
    fn scaled_gradient(gradient: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        (Value::<Self>(gradient) * Value::<Self>(factor).reshape([1, 1])).0
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    targets: &Targets,
) -> FloatTensor<B> {
    let logits = Value::<B>(x).matmul(Value::<B>(weight).transpose()); // [R, V]
    let (chosen, counts) = chosen(&logits, targets);
    let largest = logits.clone().max(1).detached(); // [R, 1]
    let sums = (logits.clone() - largest.clone()).exp().sum(1); // [R, 1]
    let losses = sums.log() + largest - (logits * chosen).sum(1); // [R, 1]
    (losses * counts).sum(0).reshape([1]).0
}

/// 1 at the target of each row `[R, V]`, and what each row's loss is multiplied with `[R, 1]`.
fn chosen<B: Backend>(logits: &Value<B>, targets: &Targets) -> (Value<B>, Value<B>) {
    let [rows, vocabulary] = logits.dims()[..] else { panic!("logits are [R, V]") };
    let mut chosen = vec![0.0f32; rows * vocabulary];
    let mut counts = vec![0.0f32; rows];
    for (row, &id) in targets.ids.iter().enumerate().filter(|(_, id)| **id != Targets::IGNORED) {
        chosen[row * vocabulary + id as usize] = 1.0;
        counts[row] = targets.weight;
    }
    let (device, dtype) = (logits.0.device(), logits.0.dtype());
    let constant = |values: Vec<f32>, shape: [usize; 2]| {
        Value(B::float_from_data(TensorData::new(values, shape).convert_dtype(dtype), &device))
    };
    (constant(chosen, [rows, vocabulary]), constant(counts, [rows, 1]))
}

impl HeadLossOp for Flex {
    fn head_loss(x: FloatTensor<Self>, weight: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self> {
        let (x, weight) = (host(x), host(weight));
        let mut losses = unwritten(targets.ids.len());
        let input =
            cross_entropy::HeadLoss { x: x.values(), weights: weight.values(), targets: &targets.ids };
        cross_entropy::head_loss(&input, targets.precision, &mut losses);
        total(&losses, targets.weight)
    }

    fn head_loss_with_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: Targets,
    ) -> WithGradients<Self> {
        let (x, weight) = (host(x), host(weight));
        let mut losses = unwritten(targets.ids.len());
        let mut for_x = unwritten(x.values().len());
        let mut for_weight = unwritten(weight.values().len());
        let input =
            cross_entropy::HeadLoss { x: x.values(), weights: weight.values(), targets: &targets.ids };
        cross_entropy::head_loss_with_gradients(
            &input,
            How { precision: targets.precision, into: Into::Replace },
            &mut losses,
            &mut for_x,
            &mut for_weight,
            targets.weight,
        );
        WithGradients {
            loss: total(&losses, targets.weight),
            x: from_host(for_x, x.dims()),
            weight: from_host(for_weight, weight.dims()),
        }
    }

    fn scaled_gradient(gradient: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        // A loss that is the end of the tape has the gradient 1, and 100 MB need not be touched.
        if host(factor.clone()).values() == [1.0] {
            return gradient;
        }
        (Value::<Self>(gradient) * Value::<Self>(factor).reshape([1, 1])).0
    }
}

fn total(losses: &[f32], weight: f32) -> FloatTensor<Flex> {
    let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
    from_host(vec![(sum * f64::from(weight)) as f32], vec![1])
}

#[cfg(feature = "gpu")]
impl HeadLossOp for crate::Gpu {}

#[derive(Debug)]
struct HeadLossBackward;

impl<B: HeadLossOp> Backward<B, 2> for HeadLossBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let factor = gradients.consume::<B>(&step.node);
        let (for_x, for_weight) = step.state;
        for (node, gradient) in step.parents.into_iter().zip([for_x, for_weight]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, B::scaled_gradient(gradient, factor.clone()));
            }
        }
    }
}

impl<B: HeadLossOp, C: CheckpointStrategy> HeadLossOp for Autodiff<B, C> {
    fn head_loss(x: FloatTensor<Self>, weight: FloatTensor<Self>, targets: Targets) -> FloatTensor<Self> {
        let step = HeadLossBackward.prepare::<C>([x.node(), weight.node()]).compute_bound();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let found = B::head_loss_with_gradients(x, weight, targets);
                step.finish((found.x, found.weight), found.loss)
            }
            OpsKind::UnTracked(step) => step.finish(B::head_loss(x, weight, targets)),
        }
    }
}

/// The loss of rows that are read by the output head.
///
/// # Shapes
/// `x` `[R, D]`, `weight` `[V, D]`, `R` targets, each below `V` or ignored → `[1]`, in nats.
///
/// # Panics
/// When `x` has not a row for each target.
pub fn head_loss(x: Tensor<2>, weight: Tensor<2>, targets: Targets) -> Tensor<1> {
    assert_eq!(x.dims()[0], targets.ids.len(), "head_loss: a target for each row");
    Tensor::from_dispatch(Dispatch::head_loss(x.into_dispatch(), weight.into_dispatch(), targets))
}

/// Work of one call with its gradients.
pub fn cost(rows: usize, [vocabulary, width]: [usize; 2]) -> Cost {
    Cost { flops: 6 * rows * vocabulary * width, bytes: 12 * vocabulary * width + 8 * rows * width }
}
