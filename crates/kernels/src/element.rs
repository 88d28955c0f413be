//! Sums and products, element by element. Plain loops that the compiler turns into vector code: memory is
//! their limit, so they have one body.
//!
//! Not a general expression: only what a decoder needs between its kernels.

use crate::disjoint::Disjoint;
use crate::{pool, row_sums};

/// Elements of one task: 64 kB of each operand.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// `y += x`.
///
/// # Shapes
/// x, y: any, the same.
///
/// # Panics
/// When the lengths differ.
pub fn add_assign(y: &mut [f32], x: &[f32]) {
    zip(y, x, |y, x| *y += x);
}

/// `y *= x`.
///
/// # Shapes
/// x, y: any, the same.
///
/// # Panics
/// When the lengths differ.
pub fn mul_assign(y: &mut [f32], x: &[f32]) {
    zip(y, x, |y, x| *y *= x);
}

/// `y = a + b`.
///
/// # Shapes
/// a, b, y: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    assert!(a.len() == b.len() && b.len() == y.len(), "element: operands differ in length");
    let output = Disjoint::new(y);
    pool::run_ranges(a.len(), ELEMENTS_PER_TASK, &|range| {
        let (a, b) = (&a[range.clone()], &b[range.clone()]);
        // SAFETY: ranges do not overlap.
        let part = unsafe { output.part(range) };
        part.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a + b);
    });
}

/// `y = y · factor`, for every element.
pub fn scale(y: &mut [f32], factor: f32) {
    let output = Disjoint::new(y);
    pool::run_ranges(output.len(), ELEMENTS_PER_TASK, &|range| {
        // SAFETY: ranges do not overlap.
        let part = unsafe { output.part(range) };
        part.iter_mut().for_each(|y| *y *= factor);
    });
}

/// `sums[c] = Σ x[r, c]` over all rows, in an order that depends on the number of rows alone: the gradient of a
/// bias.
///
/// # Shapes
/// `x [R, D]`, `sums [D]`.
///
/// # Panics
/// When x is not a whole number of rows.
pub fn sum_rows(x: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    if width == 0 {
        return assert!(x.is_empty(), "sum_rows: rows of width 0");
    }
    assert!(x.len().is_multiple_of(width), "sum_rows: x is not a whole number of rows of {width}");
    row_sums::over_rows(x.len() / width, sums, &|rows, partial| {
        for row in x[rows.start * width..rows.end * width].chunks_exact(width) {
            partial.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
    });
}

#[inline(always)]
fn zip(y: &mut [f32], x: &[f32], step: impl Fn(&mut f32, f32) + Sync) {
    assert_eq!(y.len(), x.len(), "element: operands differ in length");
    let output = Disjoint::new(y);
    pool::run_ranges(x.len(), ELEMENTS_PER_TASK, &|range| {
        let from = &x[range.clone()];
        // SAFETY: ranges do not overlap.
        let part = unsafe { output.part(range) };
        part.iter_mut().zip(from).for_each(|(y, x)| step(y, *x));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_touched_once() {
        for length in [0, 1, 17, 100_003] {
            let x: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let mut y = vec![1.0; length];
            add_assign(&mut y, &x);
            mul_assign(&mut y, &x);
            scale(&mut y, 0.5);
            assert!(y.iter().zip(&x).all(|(y, x)| *y == (x + 1.0) * x * 0.5));
            let mut sum = vec![9.0; length];
            add(&x, &y, &mut sum);
            assert!(sum.iter().zip(x.iter().zip(&y)).all(|(sum, (x, y))| *sum == x + y));
        }
    }
}
