//! Root-mean-square normalisation: `y = x / sqrt(mean(x²) + ε) · w`.
//!
//! Source: B. Zhang and R. Sennrich, "Root Mean Square Layer Normalization" (2019), equation 4.

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

/// The op; see [`rms_norm`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait RmsNormOp: Backend {
    /// `x` `[R, D]`, `weight` `[D]` → `[R, D]`.
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        definition::<Self>(x, weight, epsilon)
    }

    /// The gradients of [`RmsNormOp::rms_norm`] for `x` `[R, D]` and `weight` `[D]`, given that of its output
    /// `[R, D]`.
    fn rms_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        gradients_definition::<Self>(x, weight, gradient, epsilon)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    epsilon: f32,
) -> FloatTensor<B> {
    let (x, weight) = (Value::<B>(x), Value::<B>(weight));
    let width = x.dims()[1];
    let scale = inverse_rms(&x, epsilon);
    (x * scale * weight.reshape([1, width])).0 // [R, D]
}

/// The gradients in Burn primitives.
pub(crate) fn gradients_definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    epsilon: f32,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (x, gradient) = (Value::<B>(x), Value::<B>(gradient));
    let width = x.dims()[1];
    let scale = inverse_rms(&x, epsilon); // [R, 1]
    let weighted = gradient.clone() * Value::<B>(weight).reshape([1, width]); // [R, D]
    let overlap = (weighted.clone() * x.clone()).mean(1); // [R, 1]
    let cubed = scale.clone() * scale.clone() * scale.clone();
    let for_x = weighted * scale.clone() - x.clone() * overlap * cubed; // [R, D]
    (for_x.0, (gradient * x * scale).sum(0).reshape([width]).0)
}

/// `1 / sqrt(mean(x²) + ε)` of each row: `[R, 1]`.
fn inverse_rms<B: Backend>(x: &Value<B>, epsilon: f32) -> Value<B> {
    (x.clone() * x.clone()).mean(1).shift(epsilon).sqrt().reciprocal()
}

impl RmsNormOp for Flex {
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        let (x, weight) = (host(x), host(weight));
        let mut y = unwritten(x.values().len());
        kernels::norm::rms_norm::rms_norm(x.values(), weight.values(), epsilon, &mut y);
        from_host(y, x.dims())
    }

    fn rms_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, weight, gradient) = (host(x), host(weight), host(gradient));
        let (values, weight) = (x.values(), weight.values());
        let (mut dx, mut dw) = (unwritten(values.len()), unwritten(weight.len()));
        let gradient = gradient.values();
        kernels::norm::rms_norm::rms_norm_backward(values, weight, gradient, epsilon, &mut dx, &mut dw);
        (from_host(dx, x.dims()), from_host(dw, vec![weight.len()]))
    }
}

#[cfg(feature = "gpu")]
impl RmsNormOp for crate::Gpu {}

#[derive(Debug)]
struct RmsNormBackward {
    epsilon: f32,
}

impl<B: RmsNormOp> Backward<B, 2> for RmsNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let (for_x, for_weight) = B::rms_norm_gradients(x, weight, gradient, self.epsilon);
        let [x_node, weight_node] = step.parents;
        if let Some(node) = x_node {
            gradients.register::<B>(node.id, for_x);
        }
        if let Some(node) = weight_node {
            gradients.register::<B>(node.id, for_weight);
        }
    }
}

impl<B: RmsNormOp, C: CheckpointStrategy> RmsNormOp for Autodiff<B, C> {
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        let step = RmsNormBackward { epsilon }.prepare::<C>([x.node(), weight.node()]).compute_bound();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::rms_norm(x.clone(), weight.clone(), epsilon);
                step.finish((x, weight), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::rms_norm(x, weight, epsilon)),
        }
    }
}

/// Root-mean-square normalisation of every row.
///
/// # Shapes
/// `x` `[R, D]`, `weight` `[D]` → `[R, D]`.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f32) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::rms_norm(x.into_dispatch(), weight.into_dispatch(), epsilon))
}

/// Work of one call over `rows` rows of width `width`.
pub fn cost(rows: usize, width: usize) -> Cost {
    Cost { flops: 4 * rows * width, bytes: 4 * (2 * rows * width + width) }
}
