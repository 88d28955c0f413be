//! Damages bytes the way that files are damaged, by accident or by design: the source of cases for fuzzing.
//!
//! Not coverage-guided: it knows nothing of the parser. A case follows from the corpus, a seed and an index
//! alone, so that a finding needs no file to be seen again.

use base::Rng;

/// How many bytes a case may be longer than the corpus file that it began as.
const MAX_GROWTH_BYTES: usize = 4096;
/// How many steps are taken at most from a corpus file to a case.
const MAX_STEPS: usize = 6;

/// One kind of damage.
enum Step {
    /// Changes bytes where they stand.
    Edit(fn(&mut Rng, &mut [u8])),
    /// Makes the file longer or shorter.
    Resize(fn(&mut Rng, &mut Vec<u8>)),
    /// Takes a piece of a second file of the corpus.
    Mix(fn(&mut Rng, &mut Vec<u8>, &[u8])),
}

/// Every kind of damage; what is worth more stands twice.
static STEPS: &[Step] = &[
    Step::Edit(flip_bit),
    Step::Edit(flip_bit),
    Step::Edit(set_byte),
    Step::Edit(nudge_byte),
    Step::Edit(set_integer),
    Step::Edit(set_integer),
    Step::Resize(truncate),
    Step::Resize(delete),
    Step::Resize(insert),
    Step::Resize(repeat),
    Step::Resize(set_word),
    Step::Mix(splice),
];

/// Values at which counts, lengths and offsets go wrong.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    32,
    63,
    64,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
    0x1_0000_0000,
    0x3fff_ffff_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fff0,
    0xffff_ffff_ffff_ffff,
];

/// Words at which text formats go wrong.
const WORDS: &[&str] = &[
    "-1",
    "0",
    "1e308",
    "1e-400",
    "9223372036854775808",
    "18446744073709551616",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[[[[[[[[[",
    "{{",
    "}}",
    "{%",
    "%}",
    "null",
    "true",
    ",",
    ":",
    "\u{0}",
    "\u{feff}",
    "\n",
    "../",
    "<s>",
    "\u{1f525}",
];

/// The case number `index` of the run that `seed` names: first the corpus as it is, then damaged copies.
///
/// An empty corpus counts as one empty file.
pub fn case(corpus: &[Vec<u8>], seed: u64, index: u64) -> Vec<u8> {
    let empty = [Vec::new()];
    let corpus = if corpus.is_empty() { &empty[..] } else { corpus };
    if let Some(file) = usize::try_from(index).ok().and_then(|index| corpus.get(index)) {
        return file.clone();
    }
    // An odd multiplier gives every index its own seed.
    let mut rng = Rng::new(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (first, second) = (&corpus[rng.below(corpus.len())], &corpus[rng.below(corpus.len())]);
    mutate(&mut rng, first, second)
}

/// A copy of `bytes` with one to six kinds of damage; `other` is what splices are cut from.
pub fn mutate(rng: &mut Rng, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for _ in 0..=rng.below(MAX_STEPS) {
        match STEPS[rng.below(STEPS.len())] {
            Step::Edit(edit) => edit(rng, &mut damaged),
            Step::Resize(resize) => resize(rng, &mut damaged),
            Step::Mix(mix) => mix(rng, &mut damaged, other),
        }
    }
    damaged.truncate(bytes.len().saturating_add(MAX_GROWTH_BYTES));
    damaged
}

/// A place in `0..length`, in half of the cases near the beginning, where headers stand.
fn place(rng: &mut Rng, length: usize) -> usize {
    if rng.below(2) == 0 { rng.below(length) } else { rng.below(length.min(256)) }
}

/// A short range inside `0..length`.
fn range(rng: &mut Rng, length: usize) -> std::ops::Range<usize> {
    let begin = place(rng, length);
    let long = if rng.below(4) == 0 { length } else { 32 };
    begin..(begin + 1 + rng.below(long)).min(length)
}

fn flip_bit(rng: &mut Rng, bytes: &mut [u8]) {
    let at = place(rng, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.below(8);
    }
}

fn set_byte(rng: &mut Rng, bytes: &mut [u8]) {
    let at = place(rng, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte = rng.below(256) as u8;
    }
}

fn nudge_byte(rng: &mut Rng, bytes: &mut [u8]) {
    let at = place(rng, bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte = byte.wrapping_add([1, 255, 2, 254][rng.below(4)]);
    }
}

fn set_integer(rng: &mut Rng, bytes: &mut [u8]) {
    let value = EDGES[rng.below(EDGES.len())].to_le_bytes();
    let width = [1, 2, 4, 8][rng.below(4)];
    let at = place(rng, bytes.len());
    // Whole values at even places hit fields more often than any place does.
    let at = if rng.below(2) == 0 { at & !3 } else { at };
    let length = bytes.len();
    let target = &mut bytes[at..(at + width).min(length)];
    let n = target.len();
    target.copy_from_slice(&value[..n]);
    if rng.below(4) == 0 {
        target.reverse();
    }
}

fn truncate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    bytes.truncate(rng.below(bytes.len() + 1));
}

fn delete(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if !bytes.is_empty() {
        bytes.drain(range(rng, bytes.len()));
    }
}

fn insert(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let at = rng.below(bytes.len() + 1);
    let fill = rng.below(256) as u8;
    let is_noise = rng.below(2) == 0;
    let new: Vec<u8> =
        (0..=rng.below(32)).map(|_| if is_noise { rng.below(256) as u8 } else { fill }).collect();
    bytes.splice(at..at, new);
}

fn repeat(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let range = range(rng, bytes.len());
    let at = range.end;
    let times = 1 + rng.below(8);
    let piece = bytes[range].repeat(times);
    bytes.splice(at..at, piece.into_iter().take(MAX_GROWTH_BYTES));
}

fn splice(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    if other.is_empty() {
        return;
    }
    let piece = other[range(rng, other.len())].to_vec();
    let begin = rng.below(bytes.len() + 1);
    let end = (begin + rng.below(2 * piece.len() + 1)).min(bytes.len());
    bytes.splice(begin..end, piece.into_iter().take(MAX_GROWTH_BYTES));
}

fn set_word(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let word = WORDS[rng.below(WORDS.len())];
    let begin = rng.below(bytes.len() + 1);
    let end = (begin + rng.below(word.len() + 1)).min(bytes.len());
    bytes.splice(begin..end, word.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_case_follows_from_seed_and_index_alone() {
        let corpus = vec![b"GGUF\x03\x00\x00\x00".to_vec(), b"{\"a\": [1, 2]}".to_vec()];
        assert_eq!(case(&corpus, 5, 0), corpus[0]);
        assert_eq!(case(&corpus, 5, 1), corpus[1]);
        assert_eq!(case(&corpus, 5, 77), case(&corpus, 5, 77));
        assert_ne!(case(&corpus, 5, 77), case(&corpus, 6, 77));
        let different: HashSet<Vec<u8>> = (2..1002).map(|index| case(&corpus, 5, index)).collect();
        assert!(different.len() > 900, "{}", different.len());
    }

    #[test]
    fn damage_reaches_every_byte_and_every_length() {
        let corpus = vec![vec![0u8; 600]];
        let (mut touched, mut shorter, mut longer) = (HashSet::new(), 0, 0);
        for index in 1..20_000 {
            let case = case(&corpus, 1, index);
            touched
                .extend(case.iter().take(600).enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at));
            shorter += usize::from(case.len() < 600);
            longer += usize::from(case.len() > 600);
            assert!(case.len() <= 600 + MAX_GROWTH_BYTES);
        }
        assert_eq!(touched.len(), 600);
        assert!(shorter > 1000 && longer > 1000, "{shorter} {longer}");
    }

    #[test]
    fn tiny_files_and_an_empty_corpus_are_damaged_too() {
        for corpus in [vec![], vec![vec![]], vec![vec![7]], vec![vec![], vec![1, 2, 3]]] {
            let grown = (0..2000).filter(|index| !case(&corpus, 3, *index).is_empty()).count();
            assert!(grown > 500, "{grown}");
        }
    }
}
