//! The gated activation `gelu(gate) · up`, with either form of GELU.
//!
//! Source: N. Shazeer, "GLU Variants Improve Transformer" (2020), equation 5.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::gelu::{self, Gelu};
use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// The op; see [`geglu`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait GegluOp: Backend {
    /// `gate` and `up` `[R, F]` → `[R, F]`.
    fn geglu(gate: FloatTensor<Self>, up: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        definition::<Self>(gate, up, form)
    }

    /// The gradients of [`GegluOp::geglu`] for `gate` and `up`, all `[R, F]`.
    fn geglu_gradients(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        form: Gelu,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        gradients_definition::<Self>([gate, up, gradient], form)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(gate: FloatTensor<B>, up: FloatTensor<B>, form: Gelu) -> FloatTensor<B> {
    (Value::<B>(gelu::definition::<B>(gate, form)) * Value(up)).0 // [R, F]
}

/// The gradients for `gate` and `up`, from them and the gradient of the output, in Burn primitives.
pub(crate) fn gradients_definition<B: Backend>(
    operands: [FloatTensor<B>; 3],
    form: Gelu,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [gate, up, gradient] = operands.map(Value::<B>);
    let (value, slope) = gelu::value_and_slope(gate, form);
    ((gradient.clone() * up * slope).0, (gradient * value).0) // [R, F] both
}

impl GegluOp for Flex {
    fn geglu(gate: FloatTensor<Self>, up: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        let (gate, up) = (host(gate), host(up));
        let mut y = unwritten(gate.values().len());
        kernels::activation::geglu::geglu(form, gate.values(), up.values(), &mut y);
        from_host(y, gate.dims())
    }

    fn geglu_gradients(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        form: Gelu,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (gate, up, gradient) = (host(gate), host(up), host(gradient));
        let operands = [gate.values(), up.values(), gradient.values()];
        let (mut for_gate, mut for_up) = (unwritten(operands[0].len()), unwritten(operands[0].len()));
        kernels::activation::geglu::geglu_backward(form, operands, &mut for_gate, &mut for_up);
        (from_host(for_gate, gate.dims()), from_host(for_up, up.dims()))
    }
}

#[cfg(feature = "gpu")]
impl GegluOp for crate::Gpu {}

#[derive(Debug)]
struct GegluBackward {
    form: Gelu,
}

impl<B: GegluOp> Backward<B, 2> for GegluBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (gate, up) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let (for_gate, for_up) = B::geglu_gradients(gate, up, gradient, self.form);
        let [gate_node, up_node] = step.parents;
        if let Some(node) = gate_node {
            gradients.register::<B>(node.id, for_gate);
        }
        if let Some(node) = up_node {
            gradients.register::<B>(node.id, for_up);
        }
    }
}

impl<B: GegluOp, C: CheckpointStrategy> GegluOp for Autodiff<B, C> {
    fn geglu(gate: FloatTensor<Self>, up: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        let step = GegluBackward { form }.prepare::<C>([gate.node(), up.node()]).compute_bound();
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::geglu(gate.clone(), up.clone(), form);
                step.finish((gate, up), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::geglu(gate, up, form)),
        }
    }
}

/// `gelu(gate) · up`, element by element.
///
/// # Shapes
/// `gate` and `up` `[R, F]` → `[R, F]`.
pub fn geglu(gate: Tensor<2>, up: Tensor<2>, form: Gelu) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::geglu(gate.into_dispatch(), up.into_dispatch(), form))
}

/// Work of one call over `values` values; `exp` and the division count as one each.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 9 * values, bytes: 12 * values }
}
