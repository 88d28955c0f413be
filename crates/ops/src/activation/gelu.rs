//! The activation GELU in both of its forms: `x·Φ(x)` by the error function, and its approximation
//! `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
//!
//! Source: D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units" (2016), section 2.

use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
pub use kernels::activation::Gelu;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// √(2/π).
const ROOT: f64 = FRAC_2_SQRT_PI / SQRT_2;
const CUBIC: f64 = 0.044_715;

/// The op; see [`gelu`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait GeluOp: Backend {
    /// `x` `[R, F]` → `[R, F]`.
    fn gelu_rows(x: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        definition::<Self>(x, form)
    }

    /// The gradient of [`GeluOp::gelu_rows`], all `[R, F]`.
    fn gelu_gradient(x: FloatTensor<Self>, gradient: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        gradient_definition::<Self>(x, gradient, form)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(x: FloatTensor<B>, form: Gelu) -> FloatTensor<B> {
    let x = Value::<B>(x);
    (x.clone() * share(&x, form)).0 // [R, F]
}

/// The gradient in Burn primitives.
pub(crate) fn gradient_definition<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
    form: Gelu,
) -> FloatTensor<B> {
    (Value::<B>(gradient) * value_and_slope(Value(x), form).1).0 // [R, F]
}

/// By how much each number is let through, between 0 and 1: `gelu(x) = x · share(x)`.
fn share<B: Backend>(x: &Value<B>, form: Gelu) -> Value<B> {
    let between = match form {
        Gelu::Tanh => {
            let square = x.clone() * x.clone();
            (x.clone() * square.scale(CUBIC as f32).shift(1.0)).scale(ROOT as f32).tanh()
        }
        Gelu::Erf => x.clone().scale(1.0 / SQRT_2 as f32).erf(),
    };
    between.shift(1.0).scale(0.5)
}

/// `gelu(x)` and its slope there.
pub(crate) fn value_and_slope<B: Backend>(x: Value<B>, form: Gelu) -> (Value<B>, Value<B>) {
    let share = share(&x, form);
    let square = x.clone() * x.clone();
    let steepness = match form {
        // For t = tanh(u): t' = (1 − t²)·u', and with s = (1 + t)/2: s' = 2·s·(1 − s)·u'.
        Gelu::Tanh => {
            let slope = square.scale(3.0 * CUBIC as f32).shift(1.0).scale(2.0 * ROOT as f32);
            share.clone() * share.clone().negate().shift(1.0) * slope
        }
        // The normal density exp(−x²/2) / √(2π).
        Gelu::Erf => square.scale(-0.5).exp().scale(0.5 * ROOT as f32),
    };
    (x.clone() * share.clone(), share + x * steepness)
}

impl GeluOp for Flex {
    fn gelu_rows(x: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        let x = host(x);
        let mut y = unwritten(x.values().len());
        kernels::activation::gelu::gelu(form, x.values(), &mut y);
        from_host(y, x.dims())
    }

    fn gelu_gradient(x: FloatTensor<Self>, gradient: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        let (x, gradient) = (host(x), host(gradient));
        let mut for_x = unwritten(x.values().len());
        kernels::activation::gelu::gelu_backward(form, x.values(), gradient.values(), &mut for_x);
        from_host(for_x, x.dims())
    }
}

#[cfg(feature = "gpu")]
impl GeluOp for crate::Gpu {}

#[derive(Debug)]
struct GeluBackward {
    form: Gelu,
}

impl<B: GeluOp> Backward<B, 1> for GeluBackward {
    type State = FloatTensor<B>;

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        let [node] = step.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::gelu_gradient(step.state, gradient, self.form));
        }
    }
}

impl<B: GeluOp, C: CheckpointStrategy> GeluOp for Autodiff<B, C> {
    fn gelu_rows(x: FloatTensor<Self>, form: Gelu) -> FloatTensor<Self> {
        let step = GeluBackward { form }.prepare::<C>([x.node()]).compute_bound();
        let x = x.into_primitive();
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::gelu_rows(x.clone(), form);
                step.finish(x, y)
            }
            OpsKind::UnTracked(step) => step.finish(B::gelu_rows(x, form)),
        }
    }
}

/// GELU of every number.
///
/// # Shapes
/// `x` `[R, F]` → `[R, F]`.
pub fn gelu(x: Tensor<2>, form: Gelu) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::gelu_rows(x.into_dispatch(), form))
}

/// Work of one call over `values` values; `exp` and the division count as one each.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 8 * values, bytes: 8 * values }
}
