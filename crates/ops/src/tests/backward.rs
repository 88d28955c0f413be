//! The backward ops against their own definitions, for the devices that run those: a line for each.
//!
//! Does not: judge the definitions, which [`super::cases`] does through automatic derivatives on such a device; on
//! the CPU the kernels here are held against both.

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;

use super::Case;
use super::cases::{EPSILON, Values, case};
use crate::activation::gelu::Gelu;
use crate::rope::Layout;
use crate::value::Value;

const MATRICES: &[&[usize]] = &[&[5, 67], &[5, 67], &[5, 67]];
const HEADS: &[&[usize]] = &[&[3, 2, 16], &[3, 5], &[3, 5]];

pub(super) static BACKWARD: &[Case] = &[
    case("rms_norm backward", &[&[5, 67], &[67], &[5, 67]], 0, op::rms_norm, definition::rms_norm),
    case("layer_norm backward", &[&[5, 67], &[67], &[5, 67]], 0, op::layer_norm, definition::layer_norm),
    case("gelu backward, tanh", MATRICES, 0, op::gelu_tanh, definition::gelu_tanh),
    case("gelu backward, erf", MATRICES, 0, op::gelu_erf, definition::gelu_erf),
    case("geglu backward, tanh", MATRICES, 0, op::geglu_tanh, definition::geglu_tanh),
    case("geglu backward, erf", MATRICES, 0, op::geglu_erf, definition::geglu_erf),
    case("swiglu backward", MATRICES, 0, op::swiglu, definition::swiglu),
    case("rope backward, halves", HEADS, 0, op::rope_halves, definition::rope_halves),
    case("rope backward, interleaved", HEADS, 0, op::rope_pairs, definition::rope_pairs),
];

type Primitive = FloatTensor<Dispatch>;

fn operands<const N: usize>(x: Values<'_>) -> [Primitive; N] {
    std::array::from_fn(|index| x[index].0.clone())
}

/// All numbers, one result after the other.
fn flat(results: Vec<Primitive>) -> Value<Dispatch> {
    let flat = |result| {
        let value = Value::<Dispatch>(result);
        let length: usize = value.dims().iter().product();
        value.reshape([length])
    };
    Value::concatenate(results.into_iter().map(flat).collect(), 0)
}

/// The ops.
mod op {
    use super::*;
    use crate::activation::geglu::GegluOp;
    use crate::activation::gelu::GeluOp;
    use crate::activation::swiglu::SwigluOp;
    use crate::norm::layer_norm::LayerNormOp;
    use crate::norm::rms_norm::RmsNormOp;
    use crate::rope::RopeOp;

    pub fn rms_norm(x: Values<'_>) -> Value<Dispatch> {
        let [x, weight, gradient] = operands(x);
        let (for_x, for_weight) = Dispatch::rms_norm_gradients(x, weight, gradient, EPSILON);
        flat(vec![for_x, for_weight])
    }

    pub fn layer_norm(x: Values<'_>) -> Value<Dispatch> {
        let [x, weight, gradient] = operands(x);
        let (for_x, for_weight, for_bias) = Dispatch::layer_norm_gradients(x, weight, gradient, EPSILON);
        flat(vec![for_x, for_weight, for_bias])
    }

    pub fn gelu_tanh(x: Values<'_>) -> Value<Dispatch> {
        let [x, gradient] = operands(x);
        Value(Dispatch::gelu_gradient(x, gradient, Gelu::Tanh))
    }

    pub fn gelu_erf(x: Values<'_>) -> Value<Dispatch> {
        let [x, gradient] = operands(x);
        Value(Dispatch::gelu_gradient(x, gradient, Gelu::Erf))
    }

    fn geglu(x: Values<'_>, form: Gelu) -> Value<Dispatch> {
        let [gate, up, gradient] = operands(x);
        let (for_gate, for_up) = Dispatch::geglu_gradients(gate, up, gradient, form);
        flat(vec![for_gate, for_up])
    }

    pub fn geglu_tanh(x: Values<'_>) -> Value<Dispatch> {
        geglu(x, Gelu::Tanh)
    }

    pub fn geglu_erf(x: Values<'_>) -> Value<Dispatch> {
        geglu(x, Gelu::Erf)
    }

    pub fn swiglu(x: Values<'_>) -> Value<Dispatch> {
        let [gate, up, gradient] = operands(x);
        let (for_gate, for_up) = Dispatch::swiglu_gradients(gate, up, gradient);
        flat(vec![for_gate, for_up])
    }

    fn rope(x: Values<'_>, layout: Layout) -> Value<Dispatch> {
        let [gradient, cos, sin] = operands(x);
        Value(Dispatch::rope_gradient(gradient, cos, sin, layout))
    }

    pub fn rope_halves(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Halves)
    }

    pub fn rope_pairs(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Interleaved)
    }
}

/// What each of them means, in Burn primitives.
mod definition {
    use super::*;
    use crate::activation::{geglu, gelu, swiglu};
    use crate::norm::{layer_norm, rms_norm};

    pub fn rms_norm(x: Values<'_>) -> Value<Dispatch> {
        let [x, weight, gradient] = operands(x);
        let (for_x, for_weight) = rms_norm::gradients_definition::<Dispatch>(x, weight, gradient, EPSILON);
        flat(vec![for_x, for_weight])
    }

    pub fn layer_norm(x: Values<'_>) -> Value<Dispatch> {
        let [x, weight, gradient] = operands(x);
        let (for_x, for_weight, for_bias) =
            layer_norm::gradients_definition::<Dispatch>(x, weight, gradient, EPSILON);
        flat(vec![for_x, for_weight, for_bias])
    }

    pub fn gelu_tanh(x: Values<'_>) -> Value<Dispatch> {
        let [x, gradient] = operands(x);
        Value(gelu::gradient_definition::<Dispatch>(x, gradient, Gelu::Tanh))
    }

    pub fn gelu_erf(x: Values<'_>) -> Value<Dispatch> {
        let [x, gradient] = operands(x);
        Value(gelu::gradient_definition::<Dispatch>(x, gradient, Gelu::Erf))
    }

    pub fn geglu_tanh(x: Values<'_>) -> Value<Dispatch> {
        let (for_gate, for_up) = geglu::gradients_definition::<Dispatch>(operands(x), Gelu::Tanh);
        flat(vec![for_gate, for_up])
    }

    pub fn geglu_erf(x: Values<'_>) -> Value<Dispatch> {
        let (for_gate, for_up) = geglu::gradients_definition::<Dispatch>(operands(x), Gelu::Erf);
        flat(vec![for_gate, for_up])
    }

    pub fn swiglu(x: Values<'_>) -> Value<Dispatch> {
        let (for_gate, for_up) = swiglu::gradients_definition::<Dispatch>(operands(x));
        flat(vec![for_gate, for_up])
    }

    fn rope(x: Values<'_>, layout: Layout) -> Value<Dispatch> {
        let [gradient, cos, sin] = operands(x);
        let sin = Value::<Dispatch>(sin).negate().0;
        Value(crate::rope::definition::<Dispatch>(gradient, cos, sin, layout))
    }

    pub fn rope_halves(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Halves)
    }

    pub fn rope_pairs(x: Values<'_>) -> Value<Dispatch> {
        rope(x, Layout::Interleaved)
    }
}
