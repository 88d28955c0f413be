//! Small damage to a file: the kinds of it that parsers get wrong.
//!
//! Seeded, so that a failure can be run again. Not guided by coverage: an engine that is brings its own.

use base::Rng;

/// Longer inputs only make cases slow.
const MAX_BYTES: usize = 1 << 16;

/// Values at which sums and counts go wrong.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    33,
    255,
    256,
    65_535,
    65_536,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX - 7,
    u64::MAX,
];

/// A copy of one of the `seeds` with one to four changes.
pub fn mutate(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = pick(seeds, rng).cloned().unwrap_or_default();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len().saturating_add(1));
        match rng.below(9) {
            0 => flip_bit(&mut bytes, at, rng),
            1 => put(&mut bytes, at, &[byte(rng)]),
            2 => put(&mut bytes, at, pick(EDGES, rng).copied().unwrap_or_default().to_le_bytes().as_slice()),
            3 => put(&mut bytes, at, edge_of_4_bytes(rng).as_slice()),
            4 => bytes.truncate(at),
            5 => remove(&mut bytes, at, rng),
            6 => repeat(&mut bytes, at, rng),
            7 => put_digits(&mut bytes, at, rng),
            _ => splice(&mut bytes, at, pick(seeds, rng), rng),
        }
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn pick<'a, T>(list: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    list.get(rng.below(list.len()))
}

fn byte(rng: &mut Rng) -> u8 {
    rng.next_u64().to_le_bytes().first().copied().unwrap_or_default()
}

fn edge_of_4_bytes(rng: &mut Rng) -> [u8; 4] {
    let edge = pick(EDGES, rng).copied().unwrap_or_default();
    edge.to_le_bytes().first_chunk().copied().unwrap_or_default()
}

fn flip_bit(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    let bit = u8::try_from(rng.below(8)).unwrap_or_default();
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1u8.rotate_left(bit.into());
    }
}

/// Overwrites what stands at `at`, as far as there is room.
fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (old, new) in bytes.iter_mut().skip(at).zip(new) {
        *old = *new;
    }
}

fn remove(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let end = at.saturating_add(rng.below(32)).min(bytes.len());
    bytes.drain(at.min(end)..end);
}

fn repeat(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let end = at.saturating_add(rng.below(64)).min(bytes.len());
    let piece = bytes.get(at..end).unwrap_or_default().to_vec();
    bytes.splice(at..at, piece);
}

/// Replaces the digits from `at` on by another number: most of a JSON header's claims are such.
fn put_digits(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let Some(skipped) = bytes.iter().skip(at).position(u8::is_ascii_digit) else { return };
    let start = at.saturating_add(skipped);
    let length = bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit()).count();
    let number = pick(EDGES, rng).copied().unwrap_or_default().to_string();
    bytes.splice(start..start.saturating_add(length), number.into_bytes());
}

/// Continues as another seed does from the same place on.
fn splice(bytes: &mut Vec<u8>, at: usize, other: Option<&Vec<u8>>, rng: &mut Rng) {
    let Some(other) = other else { return };
    let start = if rng.below(2) == 0 { at } else { rng.below(other.len().saturating_add(1)) };
    bytes.truncate(at);
    bytes.extend(other.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_damage_and_most_of_it_differs() {
        let seeds = vec![(0..200).collect::<Vec<u8>>(), b"{\"a\":[0,12]}".to_vec()];
        let run = |seed| {
            let mut rng = Rng::new(seed);
            (0..500).map(|_| mutate(&seeds, &mut rng)).collect::<Vec<_>>()
        };
        let first = run(1);
        assert_eq!(first, run(1));
        assert_ne!(first, run(2));
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert!(distinct.len() > 400, "{}", distinct.len());
        assert!(mutate(&[], &mut Rng::new(3)).len() <= 64);
    }
}
