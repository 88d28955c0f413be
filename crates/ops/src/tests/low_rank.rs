//! What an adapter adds, judged like every op: see [`super::CASES`](super::cases::CASES).

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::Case;
use super::cases::{Values, case};
use crate::linear::Linear;
use crate::linear::low_rank::{self, LowRank, Part};
use crate::rows::{Precision, Rows};
use crate::value::Value;
use crate::weight::Weight;

const SCALE: f32 = 0.7;
/// Of nine rows, in no order.
const SOME: &[u32] = &[7, 0, 3, 4];
const NONE: &[u32] = &[];

/// `y`, `x`, the way down, the way up.
const OPERANDS: &[&[usize]] = &[&[9, 33], &[9, 67], &[5, 67], &[33, 5]];
const LARGER: &[&[usize]] = &[&[70, 300], &[70, 130], &[16, 130], &[300, 16]];

pub(super) static CASES: &[Case] = &[
    case("low rank, some rows", OPERANDS, 4, op_some, definition_some),
    case("low rank, no rows", OPERANDS, 1, op_none, definition_none),
    case("low rank, one", &[&[1, 9], &[1, 8], &[1, 8], &[9, 1]], 4, op_all::<1>, definition_all::<1>),
    case("linear, with what is added", &[&[9, 67], &[33, 67], &[5, 67], &[33, 5]], 4, with_added, merged),
    case("low rank, larger", LARGER, 4, op_all::<70>, definition_all::<70>),
];

fn with_added(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, down, up] =
        [0, 1, 2, 3].map(|index: usize| Tensor::<2>::from_dispatch(x[index].0.clone()));
    let [weight, down, up] = [weight, down, up].map(|matrix| Linear::new(Weight::from_tensor(matrix)));
    let rows = Rows::training(x.dims()[0], Precision::F32);
    Value(weight.with_added(down, up).forward(x, rows).into_dispatch())
}

fn merged(x: Values<'_>) -> Value<Dispatch> {
    let [x, weight, down, up] = [0, 1, 2, 3].map(|index: usize| x[index].clone());
    x.matmul((weight + up.matmul(down)).transpose())
}

fn op(x: Values<'_>, rows: Arc<[u32]>) -> Value<Dispatch> {
    let [y, x, down, up] = [0, 1, 2, 3].map(|index: usize| Tensor::<2>::from_dispatch(x[index].0.clone()));
    Value(LowRank::new(down, up, SCALE).add(y, x, rows).into_dispatch())
}

fn definition(x: Values<'_>, rows: Arc<[u32]>) -> Value<Dispatch> {
    let [y, x, down, up] = [0, 1, 2, 3].map(|index: usize| x[index].0.clone());
    let part = Part { rows, scale: SCALE };
    Value(low_rank::definition::<Dispatch>(y, x, [down, up], part))
}

fn op_some(x: Values<'_>) -> Value<Dispatch> {
    op(x, SOME.into())
}

fn definition_some(x: Values<'_>) -> Value<Dispatch> {
    definition(x, SOME.into())
}

fn op_none(x: Values<'_>) -> Value<Dispatch> {
    op(x, NONE.into())
}

fn definition_none(x: Values<'_>) -> Value<Dispatch> {
    x[0].clone()
}

fn op_all<const ROWS: usize>(x: Values<'_>) -> Value<Dispatch> {
    op(x, (0..ROWS as u32).collect())
}

fn definition_all<const ROWS: usize>(x: Values<'_>) -> Value<Dispatch> {
    definition(x, (0..ROWS as u32).collect())
}
