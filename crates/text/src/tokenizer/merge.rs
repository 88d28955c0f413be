//! Byte-pair merging: of all neighbouring pairs that may merge, the most urgent merges first, the left one on a
//! tie, until none is left.
//!
//! Knows neither texts nor vocabularies: the caller says what a pair becomes. O(n log n) by a heap over a linked
//! list. Source: R. Sennrich and others, "Neural Machine Translation of Rare Words with Subword Units" (2016).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A run of the text that is one symbol so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Its token, where it is one.
    pub id: Option<u32>,
}

/// What a pair becomes: the order (smaller merges first) and the token.
pub(crate) type Merge = (u64, u32);

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

/// A waiting merge; the ends tell whether both sides are still what they were.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    order: u64,
    left: u32,
    right: u32,
    left_end: u32,
    right_end: u32,
    id: u32,
}

/// Merges neighbouring symbols until `pair` knows no further merge.
pub(crate) fn merge(symbols: &mut Vec<Symbol>, pair: impl Fn(Symbol, Symbol) -> Option<Merge>) {
    let n = symbols.len() as u32;
    let mut links: Vec<Link> = (0..n)
        .map(|i| Link { previous: i.wrapping_sub(1), next: if i + 1 < n { i + 1 } else { NONE } })
        .collect();
    let mut heap = BinaryHeap::with_capacity(symbols.len());
    let propose = |symbols: &[Symbol], left: u32, right: u32| {
        let (l, r) = (symbols[left as usize], symbols[right as usize]);
        pair(l, r)
            .map(|(order, id)| Reverse(Waiting { order, left, right, left_end: l.end, right_end: r.end, id }))
    };
    for right in 1..n {
        heap.extend(propose(symbols, right - 1, right));
    }
    while let Some(Reverse(waiting)) = heap.pop() {
        let (left, right) = (waiting.left as usize, waiting.right as usize);
        let stale = symbols[left].end != waiting.left_end
            || symbols[right].end != waiting.right_end
            || links[left].next != waiting.right;
        if stale {
            continue;
        }
        symbols[left] = Symbol { start: symbols[left].start, end: symbols[right].end, id: Some(waiting.id) };
        let next = links[right].next;
        // A swallowed symbol is empty, so that whatever waits on it is stale.
        symbols[right].end = symbols[right].start;
        links[left].next = next;
        if next != NONE {
            links[next as usize].previous = waiting.left;
            heap.extend(propose(symbols, waiting.left, next));
        }
        let previous = links[left].previous;
        if previous != NONE {
            heap.extend(propose(symbols, previous, waiting.left));
        }
    }
    symbols.retain(|symbol| symbol.end > symbol.start);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn singles(n: u32) -> Vec<Symbol> {
        (0..n).map(|i| Symbol { start: i, end: i + 1, id: Some(1) }).collect()
    }

    fn lengths(symbols: &[Symbol]) -> Vec<u32> {
        symbols.iter().map(|s| s.end - s.start).collect()
    }

    #[test]
    fn the_left_pair_merges_first_on_a_tie() {
        let mut symbols = singles(5);
        merge(&mut symbols, |l, r| (l.end - l.start == 1 && r.end - r.start == 1).then_some((0, 2)));
        assert_eq!(lengths(&symbols), [2, 2, 1]);
    }

    #[test]
    fn the_most_urgent_pair_merges_before_its_neighbours() {
        let mut symbols = singles(4);
        merge(&mut symbols, |l, r| {
            (l.start == 1 && r.end == 3).then_some((0, 2)).or((r.end == 2).then_some((1, 3)))
        });
        assert_eq!(lengths(&symbols), [1, 2, 1]);
    }

    #[test]
    fn nothing_to_merge_changes_nothing() {
        for n in [0, 1, 3] {
            let mut symbols = singles(n);
            merge(&mut symbols, |_, _| None);
            assert_eq!(symbols, singles(n));
        }
    }
}
