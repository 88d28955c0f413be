//! The merges of a vocabulary: again and again the most frequent pair of neighbours becomes one token.
//!
//! Knows words and counts only, not where they came from. Each pair knows its count and the words that it stands
//! in, and a heap gives the most frequent pair, so that a merge costs what it changes: O(n log n) over the letters
//! of all different words. Source: R. Sennrich and others, "Neural Machine Translation of Rare Words with Subword
//! Units" (2016), algorithm 1.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use super::Pieces;
use crate::tokenizer::byte_bpe::letter_of;
use crate::tokenizer::parts::MAX_MERGES;

/// A pair that came once is no reason for a token.
const MIN_COUNT: u64 = 2;

type Pair = (u32, u32);

/// The state of learning.
pub(super) struct Merger<'a> {
    /// Texts of the tokens, which are the symbols of the words; first the letters of the 256 bytes.
    texts: Vec<Arc<str>>,
    /// Texts that no merge may make.
    taken: HashSet<&'a str>,
    words: Vec<Word>,
    pairs: HashMap<Pair, Occurrences>,
    heap: BinaryHeap<Candidate>,
}

struct Word {
    symbols: Vec<u32>,
    count: u64,
}

#[derive(Default)]
struct Occurrences {
    count: u64,
    /// Words that the pair stands in, or stood in before other merges; the last is never there twice in a row.
    words: Vec<u32>,
}

/// A pair in the heap. Its count may have fallen since; the order is the count, then the first by text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    count: u64,
    texts: Reverse<(Arc<str>, Arc<str>)>,
    pair: Pair,
}

impl<'a> Merger<'a> {
    /// `words` with their counts, each once; `taken` are texts that no token of ordinary text may have.
    pub fn new(words: &[(Box<str>, u64)], taken: HashSet<&'a str>) -> Self {
        let texts: Vec<Arc<str>> = (0..=255).map(|byte| Arc::from(letter_of(byte).to_string())).collect();
        let spell = |(word, count): &(Box<str>, u64)| Word {
            symbols: word.bytes().map(u32::from).collect(),
            count: *count,
        };
        let words: Vec<Word> = words.iter().map(spell).collect();
        let mut pairs: HashMap<Pair, Occurrences> = HashMap::new();
        for (index, word) in (0u32..).zip(&words) {
            for pair in word.symbols.windows(2) {
                pairs.entry((pair[0], pair[1])).or_default().add(index, word.count);
            }
        }
        let mut merger = Self { texts, taken, words, pairs, heap: BinaryHeap::new() };
        let candidates: Vec<Candidate> =
            merger.pairs.iter().map(|(pair, found)| merger.candidate(*pair, found.count)).collect();
        merger.heap = candidates.into();
        merger
    }

    /// Merges until there are `room` tokens, or until no pair occurs twice.
    pub fn learn(mut self, room: usize) -> Pieces {
        let mut merges = Vec::new();
        while self.texts.len() < room && merges.len() < MAX_MERGES {
            let Some(pair) = self.next_pair() else { break };
            let (left, right) = (self.text(pair.0), self.text(pair.1));
            let text = format!("{left}{right}");
            if self.taken.contains(text.as_str()) {
                self.pairs.remove(&pair);
                continue;
            }
            merges.push((left.to_string(), right.to_string()));
            let made = self.texts.len() as u32;
            self.texts.push(text.into());
            self.merge(pair, made);
        }
        Pieces { tokens: self.texts.iter().map(|text| text.to_string()).collect(), merges }
    }

    /// The most frequent pair. What became rarer since it was put into the heap goes back to its new place.
    fn next_pair(&mut self) -> Option<Pair> {
        while let Some(candidate) = self.heap.pop() {
            let count = self.pairs.get(&candidate.pair).map_or(0, |found| found.count);
            if count == candidate.count && count >= MIN_COUNT {
                return Some(candidate.pair);
            }
            if (MIN_COUNT..candidate.count).contains(&count) {
                self.heap.push(Candidate { count, ..candidate });
            }
        }
        None
    }

    /// Writes `made` for the pair in every word, and mends the counts of the neighbours. The pair never comes back:
    /// nothing makes its two sides again.
    fn merge(&mut self, pair: Pair, made: u32) {
        let Some(found) = self.pairs.remove(&pair) else { return };
        let mut fresh = HashSet::new();
        for index in found.words {
            self.merge_in(index, pair, made, &mut fresh);
        }
        for pair in fresh {
            let count = self.pairs.get(&pair).map_or(0, |found| found.count);
            self.heap.push(self.candidate(pair, count));
        }
    }

    /// The same in one word; the pairs with what was made are put into `fresh`.
    fn merge_in(&mut self, index: u32, pair: Pair, made: u32, fresh: &mut HashSet<Pair>) {
        let word = &mut self.words[index as usize];
        let before = word.symbols.clone();
        if !replace(&mut word.symbols, pair, made) {
            return;
        }
        for old in before.windows(2) {
            if let Some(found) = self.pairs.get_mut(&(old[0], old[1])) {
                found.count = found.count.saturating_sub(word.count);
            }
        }
        for new in word.symbols.windows(2) {
            let new = (new[0], new[1]);
            let found = self.pairs.entry(new).or_default();
            if new.0 == made || new.1 == made {
                found.add(index, word.count);
                fresh.insert(new);
            } else {
                found.count += word.count;
            }
        }
    }

    fn text(&self, symbol: u32) -> Arc<str> {
        Arc::clone(&self.texts[symbol as usize])
    }

    fn candidate(&self, pair: Pair, count: u64) -> Candidate {
        Candidate { count, texts: Reverse((self.text(pair.0), self.text(pair.1))), pair }
    }
}

impl Occurrences {
    fn add(&mut self, word: u32, count: u64) {
        self.count = self.count.saturating_add(count);
        if self.words.last() != Some(&word) {
            self.words.push(word);
        }
    }
}

/// Writes `made` for every `pair`, from the left; whether there was one.
fn replace(symbols: &mut Vec<u32>, pair: Pair, made: u32) -> bool {
    let (mut read, mut write) = (0, 0);
    while read < symbols.len() {
        let is_pair = symbols[read] == pair.0 && symbols.get(read + 1) == Some(&pair.1);
        symbols[write] = if is_pair { made } else { symbols[read] };
        read += 1 + usize::from(is_pair);
        write += 1;
    }
    let changed = write < read;
    symbols.truncate(write);
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;
    use std::collections::BTreeMap;

    type Merges = Vec<(String, String)>;

    /// Sennrich's algorithm to the letter, over texts: counts all pairs anew before every merge.
    fn slowly(words: &[(String, u64)], room: usize, taken: &[&str]) -> (Vec<String>, Merges) {
        let mut tokens: Vec<String> = (0..=255).map(|byte| letter_of(byte).to_string()).collect();
        let mut merges = Merges::new();
        let mut spelled: Vec<(Vec<String>, u64)> = words
            .iter()
            .map(|(word, count)| (word.bytes().map(|byte| letter_of(byte).to_string()).collect(), *count))
            .collect();
        while tokens.len() < room {
            let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
            for (symbols, count) in &spelled {
                for pair in symbols.windows(2) {
                    *counts.entry((pair[0].clone(), pair[1].clone())).or_default() += count;
                }
            }
            counts.retain(|pair, count| *count >= 2 && !taken.contains(&&*format!("{}{}", pair.0, pair.1)));
            let most = counts.values().max().copied();
            let Some((pair, _)) = counts.into_iter().find(|(_, count)| Some(*count) == most) else { break };
            let made = format!("{}{}", pair.0, pair.1);
            for (symbols, _) in &mut spelled {
                while let Some(at) = symbols.windows(2).position(|two| two[0] == pair.0 && two[1] == pair.1) {
                    // What was merged is set apart until the whole word is done, so that it cannot merge again.
                    symbols.splice(at..at + 2, [format!("{made}\0")]);
                }
                symbols.iter_mut().for_each(|symbol| *symbol = symbol.replace('\0', ""));
            }
            if !merges.contains(&pair) {
                merges.push(pair);
            }
            if !tokens.contains(&made) {
                tokens.push(made);
            }
        }
        (tokens, merges)
    }

    fn random_words(rng: &mut Rng) -> Vec<(String, u64)> {
        let n_letters = 1 + rng.below(4);
        let mut words = BTreeMap::new();
        let longest = 2 + rng.below(20);
        for _ in 0..rng.below(30) {
            let length = rng.below(longest);
            let word: String = (0..length).map(|_| ['a', 'b', 'é', 'c'][rng.below(n_letters)]).collect();
            words.insert(word, 1 + rng.below(5) as u64);
        }
        words.into_iter().collect()
    }

    fn quickly(words: &[(String, u64)], room: usize, taken: &[&str]) -> (Vec<String>, Merges) {
        let words: Vec<(Box<str>, u64)> =
            words.iter().map(|(word, count)| (word.as_str().into(), *count)).collect();
        let learned = Merger::new(&words, taken.iter().copied().collect()).learn(room);
        (learned.tokens, learned.merges)
    }

    #[test]
    fn the_heap_merges_as_the_definition_does() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let words = random_words(&mut rng);
            let room = 256 + rng.below(150);
            let taken: &[&str] = if seed % 3 == 0 { &["ab", "aaa"] } else { &[] };
            let (tokens, merges) = quickly(&words, room, taken);
            let (expected_tokens, expected_merges) = slowly(&words, room, taken);
            assert_eq!((&tokens, &merges), (&expected_tokens, &expected_merges), "seed {seed}");
        }
    }

    #[test]
    fn merges_are_learned_in_the_order_of_their_use() {
        let words = [("ab", 3), ("abc", 4), ("bc", 5)].map(|(word, count)| (word.to_owned(), count));
        let pair = |left: &str, right: &str| (left.to_owned(), right.to_owned());
        let (_, merges) = quickly(&words, 300, &[]);
        assert_eq!(merges, [pair("b", "c"), pair("a", "bc"), pair("a", "b")]);
    }

    #[test]
    fn among_equals_the_first_by_text_is_merged() {
        let words = [("yz", 5), ("ab", 5), ("ac", 5)].map(|(word, count)| (word.to_owned(), count));
        let (tokens, _) = quickly(&words, 259, &[]);
        assert_eq!(tokens[256..], ["ab", "ac", "yz"]);
    }

    #[test]
    fn a_run_of_one_letter_merges_from_the_left() {
        let mut symbols = vec![7, 7, 7, 7, 7];
        assert!(replace(&mut symbols, (7, 7), 9));
        assert_eq!(symbols, [9, 9, 7]);
        assert!(!replace(&mut symbols, (7, 7), 9));
    }
}
