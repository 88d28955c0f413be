//! Which pairs of tokens merge, how urgently, and into what.
//!
//! Knows no texts. Two flat arrays: a table of pairs with their ranks, eight bytes each, and the token of each rank.

use super::compiled::{Reader, Writer, sound};
use super::parts::{MAX_MERGES, MAX_TOKENS};
use super::strings::{check_slots, fold, slots_for};
use crate::Error;

/// Bits of a token's id and of a rank; two ids and a rank fill a word.
const ID_BITS: u32 = 21;
const RANK_BITS: u32 = 22;
const _: () =
    assert!(MAX_TOKENS <= 1 << ID_BITS && MAX_MERGES < 1 << RANK_BITS && 2 * ID_BITS + RANK_BITS == 64);
/// No rank has all bits set, because there are fewer merges.
const EMPTY: u64 = u64::MAX;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Debug)]
pub(crate) struct MergeTable {
    /// Left id, right id, rank; at most half are taken.
    slots: Vec<u64>,
    /// By rank.
    made: Vec<u32>,
    seed: u64,
}

impl MergeTable {
    /// Merges by rank: left, right and what they become, or `None` where a rank is unused. Of two merges of one pair the
    /// first counts.
    pub fn new(merges: &[Option<(u32, u32, u32)>]) -> Self {
        let slots = vec![EMPTY; slots_for(merges.len())];
        let made = merges.iter().map(|merge| merge.map_or(0, |(_, _, made)| made)).collect();
        // As with texts, the seed follows from the content.
        let mix = |state, (left, right, made): &(u32, u32, u32)| {
            fold(state ^ pair_key(*left, *right), SEED) ^ u64::from(*made)
        };
        let seed = merges.iter().flatten().fold(SEED, mix);
        let mut table = Self { slots, made, seed };
        for (rank, merge) in (0u64..).zip(merges) {
            if let Some((left, right, _)) = merge
                && let Err(at) = table.place(*left, *right)
            {
                table.slots[at] = pair_key(*left, *right) << RANK_BITS | rank;
            }
        }
        table
    }

    fn place(&self, left: u32, right: u32) -> Result<u32, usize> {
        let (key, mask) = (pair_key(left, right), self.slots.len() - 1);
        let mut at = (fold(key ^ self.seed, SEED) >> 7) as usize & mask;
        while self.slots[at] != EMPTY {
            if self.slots[at] >> RANK_BITS == key {
                return Ok(self.slots[at] as u32 & ((1 << RANK_BITS) - 1));
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    /// The rank of a pair's merge and what it becomes.
    pub fn find(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let rank = self.place(left, right).ok()?;
        Some((rank, *self.made.get(rank as usize)?))
    }

    pub fn write(&self, writer: &mut Writer) {
        writer.words(&self.slots);
        writer.numbers(&self.made);
        writer.word(self.seed);
    }

    pub fn read(reader: &mut Reader, n_tokens: usize) -> Result<Self, Error> {
        let (slots, made, seed) = (reader.words()?, reader.numbers()?, reader.word()?);
        check_slots(&slots, made.len(), EMPTY)?;
        sound(made.iter().all(|id| (*id as usize) < n_tokens))?;
        Ok(Self { slots, made, seed })
    }
}

fn pair_key(left: u32, right: u32) -> u64 {
    u64::from(left) << ID_BITS | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_found_with_its_first_rank() {
        let last = (1 << ID_BITS) - 1;
        let merges = [Some((1, 2, 3)), None, Some((1, 2, 4)), Some((2, 1, 5)), Some((last, last, 6))];
        let table = MergeTable::new(&merges);
        assert_eq!(table.find(1, 2), Some((0, 3)));
        assert_eq!(table.find(2, 1), Some((3, 5)));
        assert_eq!(table.find(last, last), Some((4, 6)));
        assert_eq!(table.find(2, 2), None);
        assert_eq!(MergeTable::new(&[]).find(0, 0), None);
    }
}
