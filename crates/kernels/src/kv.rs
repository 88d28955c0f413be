//! Writing new keys and values into their pages.
//!
//! Does not choose the slots: `infer` owns the blocks. A copy, so every body would give the same bits; there
//! is one.

use crate::attention::Pages;
use crate::disjoint::Disjoint;
use crate::pool;

/// Elements that one task copies at least.
const ELEMENTS_PER_TASK: usize = 32 * 1024;

/// Copies row r of `rows` into slot `slots[r]` (block · block size + place in the block) of a pool of pages.
/// Called once for keys and once for values.
///
/// # Shapes
/// `rows [R, K, d]`, `slots [R]`, `pool [blocks, K, block size, d]`.
///
/// # Panics
/// When the lengths do not fit together, a slot lies outside the pool or two slots are the same.
pub fn kv_write(rows: &[f32], slots: &[u32], pool: &mut [f32], pages: Pages) {
    let Pages { n_key_heads, head_size, block_size } = pages;
    let width = n_key_heads * head_size;
    assert_eq!(Some(rows.len()), slots.len().checked_mul(width), "kv_write: rows and slots differ in number");
    if rows.is_empty() {
        return;
    }
    let n_slots = pages.n_blocks(pool.len()) * block_size;
    check_slots(slots, n_slots);
    let output = Disjoint::new(pool);
    pool::run_ranges(slots.len(), ELEMENTS_PER_TASK.div_ceil(width), &|range| {
        for row in range {
            let (block, place) = (slots[row] as usize / block_size, slots[row] as usize % block_size);
            for head in 0..n_key_heads {
                let start = ((block * n_key_heads + head) * block_size + place) * head_size;
                let from = &rows[row * width + head * head_size..][..head_size];
                // SAFETY: slots differ, so no two rows write the same place.
                unsafe { output.part(start..start + head_size) }.copy_from_slice(from);
            }
        }
    });
}

fn check_slots(slots: &[u32], n_slots: usize) {
    let mut sorted = slots.to_vec();
    sorted.sort_unstable();
    assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "kv_write: two rows for one slot");
    let last = sorted.last().expect("the rows are not empty");
    assert!((*last as usize) < n_slots, "kv_write: slot {last} of {n_slots}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: Pages = Pages { n_key_heads: 2, head_size: 3, block_size: 4 };

    #[test]
    fn rows_land_in_their_slots_and_nowhere_else() {
        let mut pool = vec![-1.0; 3 * 2 * 4 * 3];
        let rows: Vec<f32> = (0..12).map(|i| i as f32).collect();
        kv_write(&rows, &[6, 1], &mut pool, PAGES);
        let at = |block: usize, head: usize, place: usize| &pool[((block * 2 + head) * 4 + place) * 3..][..3];
        assert_eq!(at(1, 0, 2), [0.0, 1.0, 2.0]);
        assert_eq!(at(1, 1, 2), [3.0, 4.0, 5.0]);
        assert_eq!(at(0, 0, 1), [6.0, 7.0, 8.0]);
        assert_eq!(at(0, 1, 1), [9.0, 10.0, 11.0]);
        assert_eq!(pool.iter().filter(|x| **x == -1.0).count(), pool.len() - 12);
    }

    #[test]
    #[should_panic(expected = "slot 12 of 12")]
    fn a_slot_beyond_the_pool_is_a_bug() {
        kv_write(&[0.0; 6], &[12], &mut vec![0.0; 72], PAGES);
    }

    #[test]
    #[should_panic(expected = "two rows for one slot")]
    fn a_slot_given_twice_is_a_bug() {
        kv_write(&[0.0; 12], &[3, 3], &mut vec![0.0; 72], PAGES);
    }
}
