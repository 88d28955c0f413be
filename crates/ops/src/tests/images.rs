//! Ops over images: a line for each way to call them that takes another path, and for their backward ops.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::Case;
use super::cases::{EPSILON, Values, case};
use crate::activation::pointwise::{self, Pointwise, PointwiseOp};
use crate::attention::whole::{self, Whole, WholeAttentionOp};
use crate::linear::bias::{self, BiasOp};
use crate::linear::convolution::doubled::{self, DoubledOp};
use crate::linear::convolution::{self, Convolution, ConvolutionOp, Padding, Pixels, Window};
use crate::norm::group_norm::{self, GroupNormOp, Grouping};
use crate::rows::Precision;
use crate::value::Value;
use crate::weight::{Weight, WeightTensor};

const GROUPS: Grouping = Grouping { groups: 3, epsilon: EPSILON };
const SAME: Window = Window::same(3);
const HALF: Window = Window { kernel: [3, 3], stride: 2, padding: Padding { before: 0, after: 1 } };
const POINT: Window = Window::same(1);
const WIDE: Window = Window::same(5).every(2);

pub(super) static CASES: &[Case] = &[
    case("convolution", &[&[2, 5, 6, 3], &[4, 27]], 2, op::<0>, definition::<0>),
    case("convolution, half", &[&[1, 6, 8, 3], &[5, 27]], 2, op::<1>, definition::<1>),
    case("convolution, points", &[&[2, 3, 4, 7], &[5, 7]], 2, op::<2>, definition::<2>),
    case("convolution, wide", &[&[1, 7, 9, 2], &[3, 50]], 2, op::<3>, definition::<3>),
    case("convolution, with what is added", ADDED, 4, with_added, added),
    case("convolution backward", &[&[2, 5, 6, 3], &[4, 27], &[2, 5, 6, 4]], 0, gradients, their_definition),
    case("bias", &[&[2, 5, 6, 3], &[3]], 2, bias, bias_definition),
    case("bias backward, many rows", &[&[9, 100, 90, 2]], 0, bias_gradient, bias_gradient_definition),
    case("doubled", &[&[2, 3, 4, 5]], 1, twice, twice_definition),
    case("doubled backward", &[&[2, 6, 8, 5]], 0, twice_gradient, twice_gradient_definition),
    case(
        "whole_attention backward",
        &[&[20, 4, 6], &[14, 2, 6], &[14, 2, 6], &[20, 4, 6]],
        0,
        attend_gradients::<2>,
        attend_gradients_definition::<2>,
    ),
    // More rows than are computed at once.
    case(
        "whole_attention backward, many rows",
        &[&[150, 2, 8], &[5, 1, 8], &[5, 1, 8], &[150, 2, 8]],
        0,
        attend_gradients::<1>,
        attend_gradients_definition::<1>,
    ),
    case("whole_attention", &[&[20, 4, 6], &[14, 2, 6], &[14, 2, 6]], 3, attend::<2>, attend_definition::<2>),
    case(
        "whole_attention, wide head",
        &[&[70, 1, 72], &[70, 1, 72], &[70, 1, 72]],
        3,
        attend::<1>,
        attend_definition::<1>,
    ),
    case(
        "whole_attention, weights",
        &[&[20, 3, 6], &[14, 3, 6], &[14, 3, 6]],
        3,
        attend_by_weights,
        attend_definition::<2>,
    ),
    case("group_norm", &[&[2, 4, 5, 6], &[6], &[6]], 3, norm, norm_definition),
    case("relu", &[&[5, 67]], 1, curve::<0>, curve_definition::<0>),
    case("silu", &[&[5, 67]], 1, curve::<1>, curve_definition::<1>),
    case("quick gelu", &[&[5, 67]], 1, curve::<2>, curve_definition::<2>),
    case("relu backward", PAIR, 0, curve_gradient::<0>, curve_gradient_definition::<0>),
    case("silu backward", PAIR, 0, curve_gradient::<1>, curve_gradient_definition::<1>),
    case("quick gelu backward", PAIR, 0, curve_gradient::<2>, curve_gradient_definition::<2>),
    case("group_norm, many pixels", &[&[1, 9, 21, 3], &[3], &[3]], 3, norm, norm_definition),
    case(
        "group_norm backward",
        &[&[2, 4, 5, 6], &[6], &[2, 4, 5, 6]],
        0,
        norm_gradients,
        their_norm_definition,
    ),
];

const PAIR: &[&[usize]] = &[&[5, 67], &[5, 67]];
/// An image, kernels, and what is added: kernels of the same window, and points.
const ADDED: &[&[usize]] = &[&[1, 6, 8, 3], &[5, 27], &[2, 27], &[5, 2]];
const CURVES: [Pointwise; 3] = [Pointwise::Relu, Pointwise::Silu, Pointwise::QuickGelu];
const WINDOWS: [Window; 4] = [SAME, HALF, POINT, WIDE];

fn op<const WINDOW: usize>(x: Values<'_>) -> Value<Dispatch> {
    let weight = Weight::from_tensor(Tensor::<2>::from_dispatch(x[1].0.clone()));
    let layer = Convolution::new(weight, WINDOWS[WINDOW]);
    Value(layer.forward(Tensor::from_dispatch(x[0].0.clone()), Precision::F32).into_dispatch())
}

fn definition<const WINDOW: usize>(x: Values<'_>) -> Value<Dispatch> {
    let weight = WeightTensor::Dense(x[1].0.clone());
    Value(convolution::definition::<Dispatch>(x[0].0.clone(), weight, WINDOWS[WINDOW]))
}

fn with_added(x: Values<'_>) -> Value<Dispatch> {
    let layer = |index: usize, window| {
        let weight = Weight::from_tensor(Tensor::<2>::from_dispatch(x[index].0.clone()));
        Convolution::new(weight, window)
    };
    let layer = layer(1, HALF).with_added(vec![layer(2, HALF), layer(3, POINT)]);
    Value(layer.forward(Tensor::from_dispatch(x[0].0.clone()), Precision::F32).into_dispatch())
}

fn added(x: Values<'_>) -> Value<Dispatch> {
    let through = |x: &Value<Dispatch>, weight: &Value<Dispatch>, window| {
        let weight = WeightTensor::Dense(weight.0.clone());
        Value(convolution::definition::<Dispatch>(x.0.clone(), weight, window))
    };
    through(&x[0], &x[1], HALF) + through(&through(&x[0], &x[2], HALF), &x[3], POINT)
}

/// All numbers, one result after the other.
fn flat(results: impl IntoIterator<Item = Value<Dispatch>>) -> Value<Dispatch> {
    let flat = |value: Value<Dispatch>| {
        let length: usize = value.dims().iter().product();
        value.reshape([length])
    };
    Value::concatenate(results.into_iter().map(flat).collect(), 0)
}

fn gradients(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, gradient] = [0, 1, 2].map(|index: usize| x[index].clone());
    let pixels = Pixels([2, 5, 6, 3]);
    let (dense, f32) = (WeightTensor::Dense(weight.0), Precision::F32);
    let for_x = Dispatch::convolution_input_gradient(gradient.0.clone(), dense, pixels, SAME, f32);
    let for_weight = Dispatch::convolution_weight_gradient(gradient.0, x.0, SAME, f32);
    flat([Value(for_x), Value(for_weight)])
}

/// The sums of the formula, written out with products of matrices: each place of the kernel takes the pixels that it saw.
fn their_definition(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, gradient] = [0, 1, 2].map(|index: usize| x[index].clone());
    let (n, height, width, inputs, outputs) = (2, 5, 6, 3, 4);
    let rows = n * height * width;
    let border = |value: Value<Dispatch>, channels: usize| {
        let zeros = value.constant(
            vec![0.0; n * (height + 2) * (width + 2) * channels],
            [n, height + 2, width + 2, channels],
        );
        zeros.slice_assign(&[0..n, 1..height + 1, 1..width + 1, 0..channels], value)
    };
    let seen = |value: &Value<Dispatch>, row: usize, column: usize, channels: usize| {
        value
            .clone()
            .slice(&[0..n, row..row + height, column..column + width, 0..channels])
            .reshape([rows, channels])
    };
    let (x, g) = (border(x, inputs), border(gradient.clone(), outputs));
    let gradient = gradient.reshape([rows, outputs]);
    let mut for_x: Option<Value<Dispatch>> = None;
    let mut for_weight = Vec::new();
    for place in 0..9 {
        let (row, column) = (place / 3, place % 3);
        let at_place = weight.clone().slice(&[0..outputs, place * inputs..(place + 1) * inputs]);
        let part = seen(&g, 2 - row, 2 - column, outputs).matmul(at_place); // [R, C]
        for_x = Some(match for_x {
            Some(sum) => sum + part,
            None => part,
        });
        for_weight.push(gradient.clone().transpose().matmul(seen(&x, row, column, inputs))); // [O, C]
    }
    flat([for_x.expect("a kernel has places"), Value::concatenate(for_weight, 1)])
}

fn curve<const CURVE: usize>(x: Values<'_>) -> Value<Dispatch> {
    Value(pointwise::pointwise::<2>(Tensor::from_dispatch(x[0].0.clone()), CURVES[CURVE]).into_dispatch())
}

fn curve_definition<const CURVE: usize>(x: Values<'_>) -> Value<Dispatch> {
    Value(pointwise::definition::<Dispatch>(x[0].0.clone(), CURVES[CURVE]))
}

fn curve_gradient<const CURVE: usize>(x: Values<'_>) -> Value<Dispatch> {
    Value(Dispatch::pointwise_gradient(x[0].0.clone(), x[1].0.clone(), CURVES[CURVE]))
}

fn curve_gradient_definition<const CURVE: usize>(x: Values<'_>) -> Value<Dispatch> {
    Value(pointwise::gradient_definition::<Dispatch>(x[0].0.clone(), x[1].0.clone(), CURVES[CURVE]))
}

fn bias(x: Values<'_>) -> Value<Dispatch> {
    let [x, added] = [0, 1].map(|index: usize| x[index].0.clone());
    Value(bias::biased(Tensor::<4>::from_dispatch(x), Tensor::from_dispatch(added)).into_dispatch())
}

fn bias_definition(x: Values<'_>) -> Value<Dispatch> {
    Value(bias::definition::<Dispatch>(x[0].0.clone(), x[1].0.clone()))
}

fn bias_gradient(x: Values<'_>) -> Value<Dispatch> {
    Value(Dispatch::bias_gradient(x[0].0.clone()))
}

fn bias_gradient_definition(x: Values<'_>) -> Value<Dispatch> {
    Value(bias::gradient_definition::<Dispatch>(x[0].0.clone()))
}

fn twice(x: Values<'_>) -> Value<Dispatch> {
    Value(doubled::doubled(Tensor::from_dispatch(x[0].0.clone())).into_dispatch())
}

/// The definition again is no judge of copies: each place of the result by itself.
fn twice_definition(x: Values<'_>) -> Value<Dispatch> {
    let [images, height, width, channels] = x[0].dims()[..] else { panic!("x is [N, H, W, C]") };
    let row = |row: usize| {
        let place = |column: usize| {
            let (row, column) = (row / 2, column / 2);
            x[0].clone().slice(&[0..images, row..row + 1, column..column + 1, 0..channels])
        };
        Value::concatenate((0..2 * width).map(place).collect(), 2)
    };
    Value::concatenate((0..2 * height).map(row).collect(), 1)
}

fn twice_gradient(x: Values<'_>) -> Value<Dispatch> {
    Value(Dispatch::doubled_gradient(x[0].0.clone()))
}

fn twice_gradient_definition(x: Values<'_>) -> Value<Dispatch> {
    Value(doubled::gradient_definition::<Dispatch>(x[0].0.clone()))
}

const SCALE: f32 = 0.4;

fn attend_gradients<const SEQUENCES: usize>(x: Values<'_>) -> Value<Dispatch> {
    let [q, k, v, gradient] = [0, 1, 2, 3].map(|index: usize| x[index].0.clone());
    let whole = Whole { sequences: SEQUENCES, scale: SCALE };
    let (for_q, for_k, for_v) = Dispatch::whole_attention_gradients(q, k, v, gradient, whole);
    flat([for_q, for_k, for_v].map(Value))
}

fn attend_gradients_definition<const SEQUENCES: usize>(x: Values<'_>) -> Value<Dispatch> {
    let operands = [0, 1, 2, 3].map(|index: usize| x[index].0.clone());
    let whole = Whole { sequences: SEQUENCES, scale: SCALE };
    let (for_q, for_k, for_v) = whole::gradients_definition::<Dispatch>(operands, whole);
    flat([for_q, for_k, for_v].map(Value))
}

fn attend<const SEQUENCES: usize>(x: Values<'_>) -> Value<Dispatch> {
    let qkv = [0, 1, 2].map(|index: usize| Tensor::<3>::from_dispatch(x[index].0.clone()));
    let whole = Whole { sequences: SEQUENCES, scale: SCALE };
    Value(whole::whole_attention(qkv, whole).into_dispatch())
}

/// What the weights that are shown make of the values, two sequences of ten rows and seven tokens.
fn attend_by_weights(x: Values<'_>) -> Value<Dispatch> {
    let [q, k, v] = [0, 1, 2].map(|index: usize| Tensor::<3>::from_dispatch(x[index].0.clone()));
    let weights = whole::whole_attention_weights([q, k], Whole { sequences: 2, scale: SCALE });
    let mixed = weights.matmul(v.reshape([2, 7, 3, 6]).swap_dims(1, 2)); // [2, 3, 10, 6]
    Value(mixed.swap_dims(1, 2).reshape([20, 3, 6]).into_dispatch())
}

fn attend_definition<const SEQUENCES: usize>(x: Values<'_>) -> Value<Dispatch> {
    let qkv = [0, 1, 2].map(|index: usize| x[index].0.clone());
    Value(whole::definition::<Dispatch>(qkv, Whole { sequences: SEQUENCES, scale: SCALE }))
}

fn norm(x: Values<'_>) -> Value<Dispatch> {
    let [weight, bias] = [1, 2].map(|index: usize| Tensor::from_dispatch(x[index].0.clone()));
    Value(group_norm::group_norm(Tensor::from_dispatch(x[0].0.clone()), weight, bias, GROUPS).into_dispatch())
}

fn norm_definition(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, bias] = [0, 1, 2].map(|index: usize| x[index].0.clone());
    Value(group_norm::definition::<Dispatch>(x, weight, bias, GROUPS))
}

fn norm_gradients(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, gradient] = [0, 1, 2].map(|index: usize| x[index].0.clone());
    let (for_x, for_weight, for_bias) = Dispatch::group_norm_gradients(x, weight, gradient, GROUPS);
    flat([Value(for_x), Value(for_weight), Value(for_bias)])
}

fn their_norm_definition(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, gradient] = [0, 1, 2].map(|index: usize| x[index].0.clone());
    let (for_x, for_weight, for_bias) =
        group_norm::gradients_definition::<Dispatch>(x, weight, gradient, GROUPS);
    flat([Value(for_x), Value(for_weight), Value(for_bias)])
}
