//! The activations of image models, element by element: ReLU, silu, quick GELU.
//!
//! Sources: V. Nair and G. Hinton, "Rectified Linear Units" (2010); S. Elfwing, E. Uchibe and K. Doya, "Sigmoid-Weighted
//! Linear Units" (2018); D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units" (2016), section 2.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use kernels::activation::pointwise as kernel;
pub use kernels::activation::pointwise::Pointwise;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// As in [`Pointwise::QuickGelu`].
const QUICK: f32 = 1.702;

/// The op; see [`pointwise`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait PointwiseOp: Backend {
    /// `x` of any shape → the same.
    fn pointwise_values(x: FloatTensor<Self>, curve: Pointwise) -> FloatTensor<Self> {
        definition::<Self>(x, curve)
    }

    /// The gradient of [`PointwiseOp::pointwise_values`], all of one shape.
    fn pointwise_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        curve: Pointwise,
    ) -> FloatTensor<Self> {
        gradient_definition::<Self>(x, gradient, curve)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(x: FloatTensor<B>, curve: Pointwise) -> FloatTensor<B> {
    let x = Value::<B>(x);
    match curve {
        // (x + |x|) / 2, which is exact.
        Pointwise::Relu => (x.clone() + x.absolute()).scale(0.5).0,
        Pointwise::Silu => (x.clone() * x.sigmoid()).0,
        Pointwise::QuickGelu => (x.clone() * x.scale(QUICK).sigmoid()).0,
    }
}

/// The gradient in Burn primitives.
pub(crate) fn gradient_definition<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
    curve: Pointwise,
) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let bent = |factor: f32| {
        let (share, grown) = (x.clone().scale(factor).sigmoid(), x.clone().scale(factor));
        share.clone() + grown * share.clone() * share.negate().shift(1.0)
    };
    let slope = match curve {
        Pointwise::Relu => (x.clone().sign() + x.clone().sign().absolute()).scale(0.5),
        Pointwise::Silu => bent(1.0),
        Pointwise::QuickGelu => bent(QUICK),
    };
    (Value::<B>(gradient) * slope).0
}

impl PointwiseOp for Flex {
    fn pointwise_values(x: FloatTensor<Self>, curve: Pointwise) -> FloatTensor<Self> {
        let x = host(x);
        let mut y = unwritten(x.values().len());
        kernel::pointwise(curve, x.values(), &mut y);
        from_host(y, x.dims())
    }

    fn pointwise_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        curve: Pointwise,
    ) -> FloatTensor<Self> {
        let (x, gradient) = (host(x), host(gradient));
        let mut for_x = unwritten(x.values().len());
        kernel::pointwise_backward(curve, x.values(), gradient.values(), &mut for_x);
        from_host(for_x, x.dims())
    }
}

#[cfg(feature = "gpu")]
impl PointwiseOp for crate::Gpu {}

#[derive(Debug)]
struct PointwiseBackward {
    curve: Pointwise,
}

impl<B: PointwiseOp> Backward<B, 1> for PointwiseBackward {
    type State = FloatTensor<B>;

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        let [node] = step.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::pointwise_gradient(step.state, gradient, self.curve));
        }
    }
}

impl<B: PointwiseOp, C: CheckpointStrategy> PointwiseOp for Autodiff<B, C> {
    fn pointwise_values(x: FloatTensor<Self>, curve: Pointwise) -> FloatTensor<Self> {
        let step = PointwiseBackward { curve }.prepare::<C>([x.node()]).compute_bound();
        let x = x.into_primitive();
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::pointwise_values(x.clone(), curve);
                step.finish(x, y)
            }
            OpsKind::UnTracked(step) => step.finish(B::pointwise_values(x, curve)),
        }
    }
}

/// The curve of every number.
///
/// # Shapes
/// `x` of any shape → the same.
pub fn pointwise<const D: usize>(x: Tensor<D>, curve: Pointwise) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::pointwise_values(x.into_dispatch(), curve))
}

/// Work of one call over `values` values; `exp` and the division count as one each.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 5 * values, bytes: 8 * values }
}
