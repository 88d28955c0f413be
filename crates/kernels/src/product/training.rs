//! The three products of a training step: `y = x · Wᵀ` and its gradients `dx = g · W` and `dW = gᵀ · x`, each
//! put into its output or added to it.
//!
//! Holds no arithmetic: which operand runs which way, and which arithmetic a [`Precision`] takes. In
//! [`Precision::F32`] that is the one of [`Role::Prompt`](super::Role::Prompt): each output one chain of fused
//! multiply-adds over the summed index, which begins at zero or at what stood in the output.

use super::half::{self, HALF};
use super::operand::Operand;
use super::prompt::{self, Size};
use super::tile::PROMPT;
use super::weights::Weights;
use super::{Shape, check_lengths};

/// How exact a training product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Operands as they are, sums in f32.
    F32,
    /// Operands may be rounded to 8 or more bits of significand; sums in f32.
    Bf16,
}

/// What happens to what stands in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Into {
    /// It is overwritten, whatever it was.
    Replace,
    /// It is where the sums begin.
    Add,
}

/// How a training product computes and where its result goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct How {
    /// How exact it is.
    pub precision: Precision,
    /// Whether it replaces the output.
    pub into: Into,
}

impl How {
    /// Exact operands, a new output.
    pub const F32: How = How { precision: Precision::F32, into: Into::Replace };
    /// Exact operands, added to the output.
    pub const F32_ADD: How = How { precision: Precision::F32, into: Into::Add };
}

/// Whether [`Precision::Bf16`] is faster here than [`Precision::F32`]: the machine has units for sixteen bits.
pub fn has_16_bit_units() -> bool {
    HALF.body().is_some()
}

/// `y = x · Wᵀ`, or `y += x · Wᵀ`.
///
/// # Shapes
/// `x [rows, inner]`, `w [outer, inner]`, `y [rows, outer]`, all row by row.
///
/// # Panics
/// When the lengths do not fit the shape.
pub fn training_product<'a>(
    how: How,
    x: &[f32],
    w: impl std::convert::Into<Weights<'a>>,
    y: &mut [f32],
    shape: Shape,
) {
    let w = w.into();
    check_lengths("training_product", (x.len(), w.len(), y.len()), shape);
    let Shape { rows, inner, outer } = shape;
    let operands = (Operand::by_rows(Weights::F32(x), inner), Operand::by_rows(w, inner));
    multiply(how, operands, y, Size { m: rows, n: outer, k: inner });
}

/// `dx = g · W`, or `dx += g · W`: the gradient of a product with respect to its input.
///
/// # Shapes
/// `g [rows, outer]`, `w [outer, inner]`, `dx [rows, inner]`, for the same shape as the product's.
///
/// # Panics
/// When the lengths do not fit the shape.
pub fn product_backward_input<'a>(
    how: How,
    g: &[f32],
    w: impl std::convert::Into<Weights<'a>>,
    dx: &mut [f32],
    shape: Shape,
) {
    let w = w.into();
    check_lengths("product_backward_input", (dx.len(), w.len(), g.len()), shape);
    let Shape { rows, inner, outer } = shape;
    let operands = (Operand::by_rows(Weights::F32(g), outer), Operand::by_columns(w, inner));
    multiply(how, operands, dx, Size { m: rows, n: inner, k: outer });
}

/// `dW = gᵀ · x`, or `dW += gᵀ · x`: the gradient of a product with respect to its weights.
///
/// # Shapes
/// `g [rows, outer]`, `x [rows, inner]`, `dw [outer, inner]`, for the same shape as the product's.
///
/// # Panics
/// When the lengths do not fit the shape.
pub fn product_backward_weights(how: How, g: &[f32], x: &[f32], dw: &mut [f32], shape: Shape) {
    check_lengths("product_backward_weights", (x.len(), dw.len(), g.len()), shape);
    let Shape { rows, inner, outer } = shape;
    let operands = (Operand::by_columns(Weights::F32(g), outer), Operand::by_columns(Weights::F32(x), inner));
    multiply(how, operands, dw, Size { m: outer, n: inner, k: rows });
}

/// `c = a · bᵀ` or `c += a · bᵀ`, in the arithmetic of its precision.
pub(crate) fn multiply(how: How, operands: (Operand<'_>, Operand<'_>), c: &mut [f32], size: Size) {
    let is_quantised = [operands.0, operands.1].iter().any(|one| matches!(one.values, Weights::Blocks(_)));
    match (how.precision, HALF.body()) {
        (Precision::Bf16, Some(half)) if !is_quantised => half::multiply(half, operands, how.into, c, size),
        // The full significand is one of those that `Bf16` allows.
        _ => prompt::multiply(PROMPT.body(), operands, how.into, c, size),
    }
}
