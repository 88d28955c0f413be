//! Layer normalisation: `y = (x − mean(x)) / sqrt(mean((x − mean(x))²) + ε) · w + b`.
//!
//! Source: J. Ba, J. Kiros and G. Hinton, "Layer Normalization" (2016), equation 4.

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

/// The op; see [`layer_norm`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait LayerNormOp: Backend {
    /// `x` `[R, D]`, `weight` and `bias` `[D]` → `[R, D]`.
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        definition::<Self>(x, weight, bias, epsilon)
    }

    /// The gradients of [`LayerNormOp::layer_norm_rows`] for `x` `[R, D]`, `weight` `[D]` and `bias` `[D]`, given that of
    /// its output `[R, D]`.
    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        gradients_definition::<Self>(x, weight, gradient, epsilon)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    epsilon: f32,
) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let width = x.dims()[1];
    let row = |vector| Value::<B>(vector).reshape([1, width]);
    let (normal, _) = normalised(x, epsilon);
    (normal * row(weight) + row(bias)).0 // [R, D]
}

/// The gradients in Burn primitives.
pub(crate) fn gradients_definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    epsilon: f32,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (x, gradient) = (Value::<B>(x), Value::<B>(gradient));
    let width = x.dims()[1];
    let (normal, scale) = normalised(x, epsilon); // [R, D], [R, 1]
    let weighted = gradient.clone() * Value::<B>(weight).reshape([1, width]); // [R, D]
    let overlap = (weighted.clone() * normal.clone()).mean(1); // [R, 1]
    let for_x = (weighted.clone() - weighted.mean(1) - normal.clone() * overlap) * scale; // [R, D]
    let for_weight = (gradient.clone() * normal).sum(0).reshape([width]); // [D]
    (for_x.0, for_weight.0, gradient.sum(0).reshape([width]).0)
}

/// Each row with mean 0 and variance 1, `[R, D]`, and one over its deviation, `[R, 1]`.
fn normalised<B: Backend>(x: Value<B>, epsilon: f32) -> (Value<B>, Value<B>) {
    let centred = x.clone() - x.mean(1);
    let variance = (centred.clone() * centred.clone()).mean(1);
    let scale = variance.shift(epsilon).sqrt().reciprocal();
    (centred * scale.clone(), scale)
}

impl LayerNormOp for Flex {
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let (x, weight, bias) = (host(x), host(weight), host(bias));
        let mut y = unwritten(x.values().len());
        kernels::norm::layer_norm::layer_norm(x.values(), weight.values(), bias.values(), epsilon, &mut y);
        from_host(y, x.dims())
    }

    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (x, weight, gradient) = (host(x), host(weight), host(gradient));
        let width = weight.values().len();
        let (mut dx, mut dw, mut db) = (unwritten(x.values().len()), unwritten(width), unwritten(width));
        let gradients = kernels::norm::layer_norm::Gradients { dx: &mut dx, dw: &mut dw, db: &mut db };
        let (values, weight) = (x.values(), weight.values());
        kernels::norm::layer_norm::layer_norm_backward(values, weight, gradient.values(), epsilon, gradients);
        (from_host(dx, x.dims()), from_host(dw, vec![width]), from_host(db, vec![width]))
    }
}

#[cfg(feature = "gpu")]
impl LayerNormOp for crate::Gpu {}

#[derive(Debug)]
struct LayerNormBackward {
    epsilon: f32,
}

impl<B: LayerNormOp> Backward<B, 3> for LayerNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let (for_x, for_weight, for_bias) = B::layer_norm_gradients(x, weight, gradient, self.epsilon);
        for (node, gradient) in step.parents.into_iter().zip([for_x, for_weight, for_bias]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: LayerNormOp, C: CheckpointStrategy> LayerNormOp for Autodiff<B, C> {
    fn layer_norm_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let step = LayerNormBackward { epsilon }.prepare::<C>(nodes).compute_bound();
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::layer_norm_rows(x.clone(), weight.clone(), bias, epsilon);
                step.finish((x, weight), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::layer_norm_rows(x, weight, bias, epsilon)),
        }
    }
}

/// Layer normalisation of every row. A model without bias gives zeros.
///
/// # Shapes
/// `x` `[R, D]`, `weight` and `bias` `[D]` → `[R, D]`.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f32) -> Tensor<2> {
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::layer_norm_rows(x.into_dispatch(), weight, bias, epsilon))
}

/// Work of one call over `rows` rows of width `width`.
pub fn cost(rows: usize, width: usize) -> Cost {
    Cost { flops: 8 * rows * width, bytes: 4 * (2 * rows * width + 2 * width) }
}
