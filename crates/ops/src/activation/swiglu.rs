//! The gated activation `silu(gate) · up`, where `silu(x) = x / (1 + exp(−x))`.
//!
//! Source: N. Shazeer, "GLU Variants Improve Transformer" (2020), equation 5.

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

/// The op; see [`swiglu`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait SwigluOp: Backend {
    /// `gate` and `up` `[R, F]` → `[R, F]`.
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        definition::<Self>(gate, up)
    }

    /// The gradients of [`SwigluOp::swiglu`] for `gate` and `up`, all `[R, F]`.
    fn swiglu_gradients(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        gradients_definition::<Self>([gate, up, gradient])
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(gate: FloatTensor<B>, up: FloatTensor<B>) -> FloatTensor<B> {
    let gate = Value::<B>(gate);
    (gate.clone() * gate.sigmoid() * Value::<B>(up)).0 // [R, F]
}

/// The gradients for `gate` and `up`, from them and the gradient of the output, in Burn primitives.
pub(crate) fn gradients_definition<B: Backend>(
    operands: [FloatTensor<B>; 3],
) -> (FloatTensor<B>, FloatTensor<B>) {
    let [gate, up, gradient] = operands.map(Value::<B>);
    let sigmoid = gate.clone().sigmoid();
    let silu = gate * sigmoid.clone();
    // silu'(x) = σ(x) · (1 + x · (1 − σ(x))) = σ(x) + silu(x) · (1 − σ(x)).
    let slope = sigmoid.clone() + silu.clone() * sigmoid.negate().shift(1.0);
    ((gradient.clone() * up * slope).0, (gradient * silu).0) // [R, F] both
}

impl SwigluOp for Flex {
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let (gate, up) = (host(gate), host(up));
        let mut y = unwritten(gate.values().len());
        kernels::activation::swiglu::swiglu(gate.values(), up.values(), &mut y);
        from_host(y, gate.dims())
    }

    fn swiglu_gradients(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (gate, up, gradient) = (host(gate), host(up), host(gradient));
        let operands = [gate.values(), up.values(), gradient.values()];
        let (mut for_gate, mut for_up) = (unwritten(operands[0].len()), unwritten(operands[0].len()));
        kernels::activation::swiglu::swiglu_backward(operands, &mut for_gate, &mut for_up);
        (from_host(for_gate, gate.dims()), from_host(for_up, up.dims()))
    }
}

#[cfg(feature = "gpu")]
impl SwigluOp for crate::Gpu {}

#[derive(Debug)]
struct SwigluBackward;

impl<B: SwigluOp> Backward<B, 2> for SwigluBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (gate, up) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let (for_gate, for_up) = B::swiglu_gradients(gate, up, gradient);
        let [gate_node, up_node] = step.parents;
        if let Some(node) = gate_node {
            gradients.register::<B>(node.id, for_gate);
        }
        if let Some(node) = up_node {
            gradients.register::<B>(node.id, for_up);
        }
    }
}

impl<B: SwigluOp, C: CheckpointStrategy> SwigluOp for Autodiff<B, C> {
    fn swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = SwigluBackward.prepare::<C>([gate.node(), up.node()]).compute_bound();
        let (gate, up) = (gate.into_primitive(), up.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::swiglu(gate.clone(), up.clone());
                step.finish((gate, up), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::swiglu(gate, up)),
        }
    }
}

/// `silu(gate) · up`, element by element.
///
/// # Shapes
/// `gate` and `up` `[R, F]` → `[R, F]`.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::swiglu(gate.into_dispatch(), up.into_dispatch()))
}

/// Work of one call over `values` values; `exp` and the division count as one each.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 5 * values, bytes: 12 * values }
}
