//! Writing new keys and values into their pages.
//!
//! Does not choose the slots: `infer` owns the blocks. A copy, or the rounding that a way of keeping numbers defines,
//! so every body would give the same bits; there is one.

use crate::attention::Pages;
use crate::blocks::{BlockType, Blocks};
use crate::disjoint::Disjoint;
use crate::pool;
use crate::product::{Weights, to_f16};

/// The numbers of a pool, to be written.
#[derive(Debug)]
pub enum Kept<'a> {
    /// Single precision.
    F32(&'a mut [f32]),
    /// The bits of IEEE half-precision numbers: rounded to the nearest, ties to even; beyond the greatest, infinity.
    F16(&'a mut [u16]),
    /// Quantised blocks, of which a head is a whole number.
    Blocks(&'static BlockType, &'a mut [u8]),
}

impl Kept<'_> {
    /// The same to be read.
    pub fn view(&self) -> Weights<'_> {
        match self {
            Kept::F32(values) => Weights::F32(values),
            Kept::F16(bits) => Weights::F16(bits),
            Kept::Blocks(kind, bytes) => Weights::Blocks(Blocks::new(kind, bytes)),
        }
    }
}

/// Elements that one task copies at least.
const ELEMENTS_PER_TASK: usize = 32 * 1024;

/// Puts row r of `rows` into slot `slots[r]` (block · block size + place in the block) of a pool of pages, as the
/// pool keeps numbers. Called once for keys and once for values.
///
/// # Shapes
/// `rows [R, K, d]`, `slots [R]`, `pool [blocks, K, block size, d]`.
///
/// # Panics
/// When the lengths do not fit together, a head is no whole number of blocks, a slot lies outside the pool or two
/// slots are the same.
pub fn kv_write(rows: &[f32], slots: &[u32], pool: &mut Kept<'_>, pages: Pages) {
    let width = pages.n_key_heads * pages.head_size;
    assert_eq!(Some(rows.len()), slots.len().checked_mul(width), "kv_write: rows and slots differ in number");
    if rows.is_empty() {
        return;
    }
    let n_slots = pages.n_blocks(pool.view().len()) * pages.block_size;
    check_slots(slots, n_slots);
    let heads = Heads { rows, slots, pages };
    match pool {
        Kept::F32(pool) => heads.write(pool, pages.head_size, |from, to| to.copy_from_slice(from)),
        Kept::F16(pool) => heads.write(pool, pages.head_size, |from, to| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = to_f16(*from));
        }),
        Kept::Blocks(kind, pool) => {
            let n_bytes = kind.size_bytes(pages.head_size);
            let n_bytes = n_bytes.expect("a head is a whole number of blocks, by the contract");
            heads.write(pool, n_bytes, |from, to| kind.quantise_here(from, to));
        }
    }
}

/// New rows and where they go.
#[derive(Clone, Copy)]
struct Heads<'a> {
    rows: &'a [f32],
    slots: &'a [u32],
    pages: Pages,
}

impl Heads<'_> {
    /// Writes every head of every row to its `size` elements of the pool.
    fn write<E: Copy + Send + Sync>(
        self,
        pool: &mut [E],
        size: usize,
        write: impl Fn(&[f32], &mut [E]) + Sync,
    ) {
        let Pages { n_key_heads, head_size, block_size } = self.pages;
        let width = n_key_heads * head_size;
        let output = Disjoint::new(pool);
        pool::run_ranges(self.slots.len(), ELEMENTS_PER_TASK.div_ceil(width), &|range| {
            for row in range {
                let slot = self.slots[row] as usize;
                let (block, place) = (slot / block_size, slot % block_size);
                for head in 0..n_key_heads {
                    let start = ((block * n_key_heads + head) * block_size + place) * size;
                    let from = &self.rows[row * width + head * head_size..][..head_size];
                    // SAFETY: slots differ, so no two rows write the same place.
                    write(from, unsafe { output.part(start..start + size) });
                }
            }
        });
    }
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
        kv_write(&rows, &[6, 1], &mut Kept::F32(&mut pool), PAGES);
        let at = |block: usize, head: usize, place: usize| &pool[((block * 2 + head) * 4 + place) * 3..][..3];
        assert_eq!(at(1, 0, 2), [0.0, 1.0, 2.0]);
        assert_eq!(at(1, 1, 2), [3.0, 4.0, 5.0]);
        assert_eq!(at(0, 0, 1), [6.0, 7.0, 8.0]);
        assert_eq!(at(0, 1, 1), [9.0, 10.0, 11.0]);
        assert_eq!(pool.iter().filter(|x| **x == -1.0).count(), pool.len() - 12);
    }

    /// The numbers of slot 5 of a pool of two pages of two heads of 32, where what it keeps is `pool`.
    fn slot_5(pool: &Kept<'_>) -> Vec<f32> {
        let mut found = vec![0.0; 64];
        for (head, found) in found.chunks_exact_mut(32).enumerate() {
            let start = ((2 + head) * 4 + 1) * 32;
            pool.view().widen(start..start + 32, found);
        }
        found
    }

    #[test]
    fn rows_are_rounded_as_the_pool_keeps_them() {
        let pages = Pages { n_key_heads: 2, head_size: 32, block_size: 4 };
        let rows = crate::check::normal(&mut base::Rng::new(1), 64);
        let n = 2 * 2 * 4 * 32;
        let mut halves = vec![0; n];
        let mut pool = Kept::F16(&mut halves);
        kv_write(&rows, &[5], &mut pool, pages);
        let expected: Vec<f32> = rows.iter().map(|x| crate::product::from_f16(to_f16(*x))).collect();
        assert_eq!(slot_5(&pool), expected);
        for kind in [&crate::blocks::q8_0::Q8_0, &crate::blocks::q4_0::Q4_0] {
            let mut bytes = vec![0; kind.size_bytes(n).unwrap()];
            let mut pool = Kept::Blocks(kind, &mut bytes);
            kv_write(&rows, &[5], &mut pool, pages);
            let mut blocks = vec![0; kind.size_bytes(64).unwrap()];
            kind.quantise(&rows, &mut blocks);
            let mut expected = vec![0.0; 64];
            kind.dequantise(&blocks, &mut expected);
            assert_eq!(slot_5(&pool), expected, "{kind:?}");
        }
    }

    #[test]
    #[should_panic(expected = "slot 12 of 12")]
    fn a_slot_beyond_the_pool_is_a_bug() {
        kv_write(&[0.0; 6], &[12], &mut Kept::F32(&mut [0.0; 72]), PAGES);
    }

    #[test]
    #[should_panic(expected = "two rows for one slot")]
    fn a_slot_given_twice_is_a_bug() {
        kv_write(&[0.0; 12], &[3, 3], &mut Kept::F32(&mut [0.0; 72]), PAGES);
    }
}
