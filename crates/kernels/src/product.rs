//! Dense products: `y = x · Wᵀ`, and the two of its backward pass, `g · W` and `gᵀ · x`.
//!
//! Adds no bias. Weights that are numbers take two arithmetics, by the [`Role`] of the rows:
//!
//! - **Prompt**, and training: tiles of outputs; each output is one chain of fused multiply-adds over k = 0,
//!   1, 2, …, in the tile's middle as at its edge. Relative to Σ|x·w| the error is at most K · 2⁻²⁴.
//! - **Generated**: each weight row is read once, for up to 32 rows of x; each output is sixteen chains, lane
//!   i over k ≡ i (mod 16), added up over one tree. The error is at most (K/16 + 5) · 2⁻²⁴.
//!
//! The scalar bodies multiply and add in two roundings, in the same order. Weights of 16 bits are widened exactly.
//!
//! Quantised weights take one arithmetic in both roles and every body: rows of x are rounded to eight bits, sums of
//! whole numbers are exact ([`integer`]).
//!
//! So an output depends on its row of x, its row of W and, but for quantised weights, the role, and on nothing else.
//! The products of a training step round no operand to eight bits: they take blocks as [`crate::blocks`] widens them.
//!
//! Source of the blocking: K. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
//! (2008).

mod generated;
mod half;
pub mod integer;
mod operand;
mod panels;
mod prompt;
mod tile;
mod training;
mod weights;

pub use generated::GENERATED;
pub use tile::PROMPT;
pub use training::{How, Into, Precision, has_16_bit_units};
pub use training::{product_backward_input, product_backward_weights, training_product};
pub use weights::Weights;

pub(crate) use operand::{Axis, Fold, Operand};
pub(crate) use prompt::Size;
pub(crate) use training::multiply;
pub(crate) use weights::{from_f16, to_f16};

use crate::blocks::Blocks;
use generated::Body;
use tile::Tile;

/// Which arithmetic a row takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A row of a prompt, or of training: many at once.
    Prompt,
    /// A row that was generated or is being verified: few at once, limited by reading the weights.
    Generated,
}

/// The sizes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of x and y (M).
    pub rows: usize,
    /// The size that is summed over: columns of x and W (K).
    pub inner: usize,
    /// Rows of W, columns of y (N).
    pub outer: usize,
}

/// `y = x · Wᵀ`.
///
/// # Shapes
/// `x [rows, inner]`, `w [outer, inner]`, `y [rows, outer]`, all row by row.
///
/// # Panics
/// When the lengths do not fit the shape.
pub fn product(role: Role, x: &[f32], w: Weights<'_>, y: &mut [f32], shape: Shape) {
    match (w, role) {
        (Weights::Blocks(blocks), _) => blocks_product(blocks.kind().product.body(), x, blocks, y, shape),
        (_, Role::Prompt) => prompt_product(PROMPT.body(), x, w, y, shape),
        (_, Role::Generated) => generated_product(GENERATED.body(), x, w, y, shape),
    }
}

fn blocks_product(body: integer::Body, x: &[f32], w: Blocks<'_>, y: &mut [f32], shape: Shape) {
    check_lengths("product", (x.len(), w.len(), y.len()), shape);
    let (kind, size) = (w.kind(), w.kind().n_weights());
    assert!(shape.inner.is_multiple_of(size), "product: rows of {} are no blocks of {kind:?}", shape.inner);
    integer::multiply(body, x, w, y, shape);
}

fn prompt_product(tile: Tile, x: &[f32], w: Weights<'_>, y: &mut [f32], shape: Shape) {
    check_lengths("product", (x.len(), w.len(), y.len()), shape);
    let Shape { rows, inner, outer } = shape;
    let a = Operand::by_rows(Weights::F32(x), inner);
    let b = Operand::by_rows(w, inner);
    prompt::multiply(tile, (a, b), Into::Replace, y, Size { m: rows, n: outer, k: inner });
}

fn generated_product(body: Body, x: &[f32], w: Weights<'_>, y: &mut [f32], shape: Shape) {
    check_lengths("product", (x.len(), w.len(), y.len()), shape);
    generated::multiply(body, x, w, y, shape);
}

fn check_lengths(name: &str, (x, w, y): (usize, usize, usize), shape: Shape) {
    let Shape { rows, inner, outer } = shape;
    let fits = rows.checked_mul(inner) == Some(x)
        && outer.checked_mul(inner) == Some(w)
        && rows.checked_mul(outer) == Some(y);
    assert!(fits, "{name}: {x}, {w} and {y} elements do not fit {rows} rows, {inner} inner, {outer} outer");
}

#[cfg(test)]
mod tests;
