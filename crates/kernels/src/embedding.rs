//! Rows of a table by index: `y[r] = table[ids[r]]`, widened exactly to f32.
//!
//! Not a search and not a product with one-hot rows; no scaling. Nothing is rounded, so every body gives the
//! same bits; the work is one copy, limited by memory.

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
