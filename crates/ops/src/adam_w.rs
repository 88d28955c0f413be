//! One step of AdamW on one tensor, and the length of a gradient: what is done with gradients once they are there.
//!
//! Values and moments go in and come out by value: on the CPU they are changed in place, in one pass. Nothing here
//! is differentiable. Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization" (2019),
//! algorithm 2, with the defaults and the order of PyTorch's `AdamW`.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, ExtensionType, Flex, backend_extension};
use burn::tensor::Tensor;
pub use kernel::AdamW;
use kernels::optimiser as kernel;

use crate::cost::Cost;
use crate::host::{from_host, host, values_mut};
use crate::value::Value;

/// A tensor that learns, with the running means of its gradient and of its square, all of one shape.
#[derive(ExtensionType)]
pub struct State<B: Backend> {
    pub(crate) value: FloatTensor<B>,
    pub(crate) first: FloatTensor<B>,
    pub(crate) second: FloatTensor<B>,
}

/// The ops; see [`adam_w`] and [`sum_of_squares`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait AdamWOp: Backend {
    /// A step of `state` against `gradient`, of the same shape.
    fn adam_w(#[extension_type] state: State<Self>, gradient: FloatTensor<Self>, step: AdamW) -> State<Self> {
        definition::<Self>(state, gradient, &step)
    }

    /// The sum of the squares of `values` `[…]` → `[1]`.
    fn sum_of_squares(values: FloatTensor<Self>) -> FloatTensor<Self> {
        let values = Value::<Self>(values);
        let length: usize = values.dims().iter().product();
        (values.clone() * values).reshape([length]).sum(0).0
    }
}

/// The step in Burn primitives.
pub(crate) fn definition<B: Backend>(state: State<B>, gradient: FloatTensor<B>, step: &AdamW) -> State<B> {
    let unbias = |beta: f64| 1.0 / (1.0 - beta.powf(step.step as f64));
    let scaled = |x: Value<B>, factor: f64| x.scale(factor as f32);
    let gradient = scaled(Value(gradient), step.gradient_factor);
    let square = gradient.clone() * gradient.clone();
    let first = scaled(Value(state.first), step.beta_1) + scaled(gradient, 1.0 - step.beta_1);
    let second = scaled(Value(state.second), step.beta_2) + scaled(square, 1.0 - step.beta_2);
    let below = scaled(second.clone(), unbias(step.beta_2)).sqrt().shift(step.epsilon as f32);
    let direction = scaled(first.clone(), unbias(step.beta_1)) / below;
    let value = scaled(Value(state.value), 1.0 - step.rate * step.decay) - scaled(direction, step.rate);
    State { value: value.0, first: first.0, second: second.0 }
}

impl AdamWOp for Flex {
    fn adam_w(mut state: State<Self>, gradient: FloatTensor<Self>, step: AdamW) -> State<Self> {
        let gradient = host(gradient);
        let value = values_mut(&mut state.value);
        let (first, second) = (values_mut(&mut state.first), values_mut(&mut state.second));
        kernel::adam_w(&step, value, gradient.values(), first, second);
        state
    }

    fn sum_of_squares(values: FloatTensor<Self>) -> FloatTensor<Self> {
        from_host(vec![kernel::sum_of_squares(host(values).values()) as f32], vec![1])
    }
}

#[cfg(feature = "gpu")]
impl AdamWOp for crate::Gpu {}

impl<B: AdamWOp, C: CheckpointStrategy> AdamWOp for Autodiff<B, C> {}

/// Moves a tensor against its gradient and returns it with its moments.
///
/// # Shapes
/// `[value, first, second]` and `gradient`: all the same.
pub fn adam_w<const D: usize>(state: [Tensor<D>; 3], gradient: Tensor<D>, step: AdamW) -> [Tensor<D>; 3] {
    let [value, first, second] = state.map(Tensor::into_dispatch);
    let state = Dispatch::adam_w(State { value, first, second }, gradient.into_dispatch(), step);
    [state.value, state.first, state.second].map(Tensor::from_dispatch)
}

/// The sum of the squares of all numbers of a tensor. Not a number or infinite when one of them is.
///
/// # Shapes
/// Any → `[1]`.
pub fn sum_of_squares<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::sum_of_squares(values.into_dispatch()))
}

/// Work of one step over `n` values.
pub fn cost(n: usize) -> Cost {
    Cost { flops: 14 * n, bytes: 28 * n }
}
