//! The table of the check for what only training does.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Tensor, TensorData};

use super::{Call, Case};
use crate::adam_w::{self, AdamW, State};
use crate::head_loss::{self, Targets};
use crate::value::Value;
use crate::{Precision, Rows, Weight, linear};

type Values<'a> = &'a [Value<Dispatch>];

pub(super) static CASES: &[Case] = &[
    case("linear, training", &[&[9, 67], &[33, 67]], 2, linear_op, linear_definition),
    case("head_loss", &[&[6, 19], &[23, 19]], 2, head_loss_op, head_loss_definition),
    case("head_loss, one token", &[&[6, 19], &[1, 19]], 0, head_loss_op, head_loss_definition),
    case("embedding, gradient", &[&[7, 19], &[5, 19]], 0, add_gradient_op, add_gradient_definition),
    case("adam_w, value", MOMENTS, 0, adam_w_op::<0>, adam_w_definition::<0>),
    case("adam_w, first moment", MOMENTS, 0, adam_w_op::<1>, adam_w_definition::<1>),
    case("adam_w, second moment", MOMENTS, 0, adam_w_op::<2>, adam_w_definition::<2>),
    case("sum_of_squares", &[&[5, 67]], 0, square_op, square_definition),
];

/// Value, first moment, the root of the second, gradient.
const MOMENTS: &[&[usize]] = &[&[5, 67], &[5, 67], &[5, 67], &[5, 67]];

const fn case(
    name: &'static str,
    operands: &'static [&'static [usize]],
    differentiable: usize,
    op: Call,
    definition: Call,
) -> Case {
    Case { name, operands, differentiable, op, definition, smooth: None }
}

fn tensor<const D: usize>(x: &Value<Dispatch>) -> Tensor<D> {
    Tensor::from_dispatch(x.0.clone())
}

fn linear_op(x: Values<'_>) -> Value<Dispatch> {
    let rows = Rows::training(9, Precision::F32);
    Value(linear::linear(tensor(&x[0]), &Weight::from_tensor(tensor(&x[1])), rows).into_dispatch())
}

fn linear_definition(x: Values<'_>) -> Value<Dispatch> {
    x[0].clone().matmul(x[1].clone().transpose())
}

/// Six rows, one of which does not count; with a vocabulary of one every token is that one.
fn targets(x: Values<'_>) -> Targets {
    let last = x[1].dims()[0] as u32 - 1;
    let ids =
        [3, 0, Targets::IGNORED, 22, 3, 17].map(|id| if id == Targets::IGNORED { id } else { id.min(last) });
    Targets { ids: Arc::new(ids), weight: 0.3, precision: Precision::F32 }
}

fn head_loss_op(x: Values<'_>) -> Value<Dispatch> {
    let loss = head_loss::head_loss(tensor(&x[0]), tensor(&x[1]), targets(x));
    // Not the end of the tape, so that the gradient of the loss is not 1.
    Value((loss.clone() * loss).into_dispatch())
}

fn head_loss_definition(x: Values<'_>) -> Value<Dispatch> {
    let loss = Value(head_loss::definition::<Dispatch>(x[0].0.clone(), x[1].0.clone(), &targets(x)));
    loss.clone() * loss
}

/// An id twice, one never.
const IDS: [u32; 5] = [4, 0, 4, 6, 1];

fn add_gradient_op(x: Values<'_>) -> Value<Dispatch> {
    Value(crate::embedding::add_gradient(tensor(&x[0]), &IDS, tensor(&x[1])).into_dispatch())
}

/// As a product with the matrix of choices.
fn add_gradient_definition(x: Values<'_>) -> Value<Dispatch> {
    let mut chosen = vec![0.0; 7 * IDS.len()];
    for (row, &id) in IDS.iter().enumerate() {
        chosen[id as usize * IDS.len() + row] = 1.0;
    }
    let device = tensor::<2>(&x[0]).device();
    let dtype = burn::backend::TensorMetadata::dtype(&x[0].0);
    let data = TensorData::new::<f32, _>(chosen, [7, IDS.len()]).convert_dtype(dtype);
    let chosen = Tensor::<2>::from_data(data, (&device, dtype));
    x[0].clone() + Value(chosen.into_dispatch()).matmul(x[1].clone())
}

const STEP: AdamW = AdamW {
    rate: 0.125,
    beta_1: 0.875,
    beta_2: 0.9375,
    epsilon: 0.0009765625,
    decay: 0.25,
    step: 3,
    gradient_factor: 0.5,
};

fn state(x: Values<'_>) -> State<Dispatch> {
    let second = x[2].clone() * x[2].clone();
    State { value: x[0].0.clone(), first: x[1].0.clone(), second: second.0 }
}

fn adam_w_op<const PART: usize>(x: Values<'_>) -> Value<Dispatch> {
    let State { value, first, second } = state(x);
    let state = [value, first, second].map(Tensor::<2>::from_dispatch);
    let [value, first, second] = adam_w::adam_w(state, tensor(&x[3]), STEP);
    Value([value, first, second][PART].clone().into_dispatch())
}

fn adam_w_definition<const PART: usize>(x: Values<'_>) -> Value<Dispatch> {
    let State { value, first, second } = adam_w::definition::<Dispatch>(state(x), x[3].0.clone(), &STEP);
    Value([value, first, second][PART].clone())
}

fn square_op(x: Values<'_>) -> Value<Dispatch> {
    Value(adam_w::sum_of_squares(tensor::<2>(&x[0])).into_dispatch())
}

fn square_definition(x: Values<'_>) -> Value<Dispatch> {
    (x[0].clone() * x[0].clone()).reshape([5 * 67]).sum(0)
}
