//! Rows of a table by index: `y[r] = table[ids[r]]`, widened exactly to f32; and backward, where the gradient of
//! every row is added to the row of the table that it came from.
//!
//! Not a search and not a product with one-hot rows; no scaling. The copy rounds nothing; the sums are taken
//! in the order of the rows, one after the other, so every body and every number of threads gives the same
//! bits. The work is limited by memory.

use crate::disjoint::Disjoint;
use crate::pool;
use crate::product::Weights;

/// Elements that one task copies at least.
const ELEMENTS_PER_TASK: usize = 32 * 1024;

/// Copies row `ids[r]` of `table` to row `r` of `y`.
///
/// # Shapes
/// `table [V, width]`, `ids [R]`, `y [R, width]`.
///
/// # Panics
/// When the lengths do not fit together or an id is not below V: the caller checks ids against its
/// vocabulary.
pub fn embedding(table: Weights<'_>, width: usize, ids: &[u32], y: &mut [f32]) {
    assert_eq!(
        Some(y.len()),
        ids.len().checked_mul(width),
        "embedding: y is not one row of {width} for each id"
    );
    if width == 0 {
        return;
    }
    let n_rows = table.len() / width;
    assert_eq!(table.len() % width, 0, "embedding: the table is not a whole number of rows of {width}");
    if let Some(id) = ids.iter().find(|id| **id as usize >= n_rows) {
        panic!("embedding: row {id} of a table of {n_rows}");
    }
    let output = Disjoint::new(y);
    pool::run_ranges(ids.len(), ELEMENTS_PER_TASK.div_ceil(width), &|rows| {
        for row in rows {
            let start = ids[row] as usize * width;
            // SAFETY: rows of the output do not overlap.
            let to = unsafe { output.part(row * width..(row + 1) * width) };
            table.widen(start..start + width, to);
        }
    });
}

/// Adds row r of `gradient` to row `ids[r]` of `table_gradient`, for r = 0, 1, 2, …
///
/// # Shapes
/// `ids [R]`, `gradient [R, width]`, `table_gradient [V, width]`.
///
/// # Panics
/// When the lengths do not fit together or an id is not below V.
pub fn embedding_backward(ids: &[u32], gradient: &[f32], width: usize, table_gradient: &mut [f32]) {
    let fits = Some(gradient.len()) == ids.len().checked_mul(width);
    assert!(fits, "embedding_backward: the gradient is not one row of {width} for each id");
    if width == 0 {
        return;
    }
    let n_rows = table_gradient.len() / width;
    let is_whole = table_gradient.len().is_multiple_of(width);
    assert!(is_whole, "embedding_backward: the table is not a whole number of rows of {width}");
    // By id, and for one id by position.
    let mut order: Vec<(u32, usize)> = ids.iter().copied().zip(0..).collect();
    order.sort_unstable();
    if let Some((id, _)) = order.last().filter(|(id, _)| *id as usize >= n_rows) {
        panic!("embedding_backward: row {id} of a table of {n_rows}");
    }
    let output = Disjoint::new(table_gradient);
    // One task for the rows of some ids, so that no two write to the same row of the table.
    let runs: Vec<&[(u32, usize)]> = order.chunk_by(|a, b| a.0 == b.0).collect();
    let runs_per_task = ELEMENTS_PER_TASK.div_ceil(width);
    pool::run_ranges(runs.len(), runs_per_task, &|range| {
        for run in &runs[range] {
            let start = run[0].0 as usize * width;
            // SAFETY: each id has one run, so no two parts overlap.
            let total = unsafe { output.part(start..start + width) };
            for (_, row) in *run {
                let from = &gradient[row * width..][..width];
                total.iter_mut().zip(from).for_each(|(total, g)| *total += g);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{assert_same_bits, normal, on_every_number_of_threads};
    use base::Rng;

    #[test]
    fn rows_come_in_the_order_of_the_ids_from_every_type() {
        let f32s: [f32; 6] = [1.0, -2.0, 0.5, 4.0, 3.0, -0.25];
        let bf16: Vec<u16> = f32s.iter().map(|x| (x.to_bits() >> 16) as u16).collect();
        let f16: Vec<u16> = vec![0x3c00, 0xc000, 0x3800, 0x4400, 0x4200, 0xb400];
        for table in [Weights::F32(&f32s), Weights::Bf16(&bf16), Weights::F16(&f16)] {
            let mut y = [9.0; 6];
            embedding(table, 2, &[2, 0, 2], &mut y);
            assert_eq!(y, [3.0, -0.25, 1.0, -2.0, 3.0, -0.25]);
        }
        embedding(Weights::F32(&f32s), 2, &[], &mut []);
    }

    #[test]
    fn many_rows_are_all_copied() {
        let (rows, width) = (97, 1001);
        let table: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
        let ids: Vec<u32> = (0..500u32).map(|i| i * 31 % rows as u32).collect();
        let mut y = vec![0.0; ids.len() * width];
        embedding(Weights::F32(&table), width, &ids, &mut y);
        for (row, id) in y.chunks(width).zip(ids) {
            assert_eq!(row, &table[id as usize * width..][..width]);
        }
    }

    #[test]
    #[should_panic(expected = "row 3 of a table of 3")]
    fn an_id_beyond_the_table_is_a_bug() {
        embedding(Weights::F32(&[0.0; 6]), 2, &[3], &mut [0.0; 2]);
    }

    #[test]
    fn gradients_are_added_in_the_order_of_the_rows_on_any_number_of_threads() {
        let (rows, width, n_ids) = (53, 1001, 700);
        let mut rng = Rng::new(3);
        let ids: Vec<u32> = (0..n_ids).map(|_| rng.below(rows) as u32 * rng.below(2) as u32).collect();
        let (gradient, start) = (normal(&mut rng, n_ids * width), normal(&mut rng, rows * width));
        let mut expected = start.clone();
        for (id, gradient) in ids.iter().zip(gradient.chunks(width)) {
            for (sum, g) in expected[*id as usize * width..][..width].iter_mut().zip(gradient) {
                *sum += g;
            }
        }
        on_every_number_of_threads(|n_threads| {
            let mut table = start.clone();
            embedding_backward(&ids, &gradient, width, &mut table);
            assert_same_bits(&table, &expected, &format!("{n_threads} threads"));
        });
        embedding_backward(&[], &[], width, &mut []);
    }

    #[test]
    #[should_panic(expected = "row 3 of a table of 3")]
    fn a_gradient_beyond_the_table_is_a_bug() {
        embedding_backward(&[0, 3], &[0.0; 4], 2, &mut [0.0; 6]);
    }
}
