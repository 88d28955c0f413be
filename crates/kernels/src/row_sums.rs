//! Sums over the rows of a matrix, as the gradients of biases and of the weights of norms need them, in an
//! order that the number of rows alone decides: blocks of rows from first to last, then the blocks' sums from
//! first to last. So every number of threads gives the same bits.
//!
//! Not a product: the sums over rows in `gᵀ · x` are [`crate::product`]'s.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::pool;

/// Rows of one block at least: fewer, and adding up the blocks would be felt.
const MIN_ROWS: usize = 16;
/// The most blocks: what they hold between the two steps stays small, whatever the number of rows.
const MAX_BLOCKS: usize = 64;
/// Columns of one task of the second step.
const COLUMNS_PER_TASK: usize = 256;

/// Fills `sums` with what `add` adds up for all rows: it is called for blocks of rows, each with zeros as long
/// as `sums` to add to.
pub(crate) fn over_rows(n_rows: usize, sums: &mut [f32], add: &(dyn Fn(Range<usize>, &mut [f32]) + Sync)) {
    let (rows_per_block, width) = (n_rows.div_ceil(MAX_BLOCKS).max(MIN_ROWS), sums.len());
    let n_blocks = n_rows.div_ceil(rows_per_block);
    let mut partials = vec![0.0; n_blocks * width];
    let blocks = Disjoint::new(&mut partials);
    pool::run_ranges(n_rows, rows_per_block, &|rows| {
        let block = rows.start / rows_per_block;
        // SAFETY: blocks do not overlap.
        add(rows, unsafe { blocks.part(block * width..(block + 1) * width) });
    });
    let output = Disjoint::new(sums);
    pool::run_ranges(width, COLUMNS_PER_TASK, &|columns| {
        // SAFETY: ranges of columns do not overlap.
        let total = unsafe { output.part(columns.clone()) };
        total.fill(0.0);
        for block in 0..n_blocks {
            let partial = &partials[block * width..][columns.clone()];
            total.iter_mut().zip(partial).for_each(|(sum, x)| *sum += x);
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_near, assert_same_bits, normal, on_every_number_of_threads};
    use crate::element::sum_rows;
    use base::Rng;

    #[test]
    fn every_row_counts_once() {
        for (rows, width) in [(0, 3), (1, 1), (15, 700), (16, 5), (17, 33), (1023, 3), (5000, 2), (9, 0)] {
            let x: Vec<f32> = (0..rows * width).map(|i| (i % 13) as f32).collect();
            let mut sums = vec![f32::NAN; width];
            sum_rows(&x, &mut sums);
            for (column, sum) in sums.into_iter().enumerate() {
                assert_eq!(sum, (0..rows).map(|row| x[row * width + column]).sum::<f32>(), "{rows}, {width}");
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits_near_the_exact_sum() {
        let (rows, width) = (3001, 130);
        let x = normal(&mut Rng::new(4), rows * width);
        let column = |column: usize| (0..rows).map(|row| f64::from(x[row * width + column])).sum::<f64>();
        let exact: Vec<f32> = (0..width).map(|index| column(index) as f32).collect();
        let mut first: Option<Vec<f32>> = None;
        on_every_number_of_threads(|n_threads| {
            let mut sums = vec![0.0; width];
            sum_rows(&x, &mut sums);
            assert_near(&sums, &exact, (0.0, 1e-4), "against f64");
            assert_same_bits(&sums, first.get_or_insert(sums.clone()), &format!("{n_threads} threads"));
        });
    }
}
