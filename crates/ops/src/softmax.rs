//! Softmax over rows: `y = exp(x − max x) / Σ exp(x − max x)`.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// The op; see [`softmax`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait SoftmaxOp: Backend {
    /// `x` `[R, D]` → `[R, D]`.
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        definition::<Self>(x)
    }

    /// The gradient of [`SoftmaxOp::softmax_rows`] from its output: all `[R, D]`.
    fn softmax_gradient(y: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let (y, gradient) = (Value::<Self>(y), Value::<Self>(gradient));
        let overlap = (y.clone() * gradient.clone()).sum(1); // [R, 1]
        (y * (gradient - overlap)).0
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    Value::<B>(x).softmax(1).0 // [R, D]
}

impl SoftmaxOp for Flex {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = host(x);
        let mut y = unwritten(x.values().len());
        kernels::softmax::softmax(x.values(), x.dims()[1], &mut y);
        from_host(y, x.dims())
    }
}

#[cfg(feature = "gpu")]
impl SoftmaxOp for crate::Gpu {}

#[derive(Debug)]
struct SoftmaxBackward;

impl<B: SoftmaxOp> Backward<B, 1> for SoftmaxBackward {
    type State = FloatTensor<B>;

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        let [node] = step.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::softmax_gradient(step.state, gradient));
        }
    }
}

impl<B: SoftmaxOp, C: CheckpointStrategy> SoftmaxOp for Autodiff<B, C> {
    fn softmax_rows(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = SoftmaxBackward.prepare::<C>([x.node()]).compute_bound();
        let y = B::softmax_rows(x.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => step.finish(y.clone(), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

/// Turns every row into probabilities.
///
/// # Shapes
/// `x` `[R, D]` → `[R, D]`.
pub fn softmax(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::softmax_rows(x.into_dispatch()))
}

/// Work of one call over `values` values.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 4 * values, bytes: 8 * values }
}
