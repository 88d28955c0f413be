//! How often each word came, in bounded memory.
//!
//! The idea of forgetting the rarest and going on: G. Manku and R. Motwani, "Approximate Frequency Counts over Data
//! Streams" (2002).

use std::collections::HashMap;

/// A longer word, which is no word, is counted in parts of at most so many bytes: no token needs more.
const MAX_WORD_BYTES: usize = 256;
/// Bytes of text for each word that may be counted; no language's words are longer on average.
const BYTES_PER_WORD: usize = 16;

/// The counts.
#[derive(Debug)]
pub(crate) struct Words {
    counts: HashMap<Box<str>, u64>,
    max_words: usize,
    n_bytes: usize,
    n_forgotten: u64,
}

impl Words {
    pub fn new(max_words: usize) -> Self {
        Self { counts: HashMap::new(), max_words, n_bytes: 0, n_forgotten: 0 }
    }

    /// Counts one word.
    pub fn add(&mut self, word: &str) {
        let mut rest = word;
        while !rest.is_empty() {
            let part;
            (part, rest) = rest.split_at(rest.floor_char_boundary(MAX_WORD_BYTES));
            self.add_part(part);
        }
    }

    fn add_part(&mut self, part: &str) {
        if let Some(count) = self.counts.get_mut(part) {
            *count += 1;
            return;
        }
        self.counts.insert(part.into(), 1);
        self.n_bytes += part.len();
        if self.is_over(self.max_words) {
            self.forget();
        }
    }

    fn is_over(&self, n_words: usize) -> bool {
        self.counts.len() > n_words || self.n_bytes > n_words.saturating_mul(BYTES_PER_WORD)
    }

    /// Forgets the rarer half of the words, and whatever came no more often than the most frequent of that half.
    fn forget(&mut self) {
        while self.is_over(self.max_words / 2) {
            let mut counts: Vec<u64> = self.counts.values().copied().collect();
            let middle = counts.len() / 2;
            let (_, floor, _) = counts.select_nth_unstable(middle);
            let (n_bytes, n_forgotten) = (&mut self.n_bytes, &mut self.n_forgotten);
            self.counts.retain(|word, count| {
                let stays = *count > *floor;
                if !stays {
                    *n_bytes -= word.len();
                    *n_forgotten += *count;
                }
                stays
            });
        }
    }

    /// Occurrences that were forgotten.
    pub fn n_forgotten(&self) -> u64 {
        self.n_forgotten
    }

    /// All words with their counts, in the order of their texts.
    pub fn into_sorted(self) -> Vec<(Box<str>, u64)> {
        let mut words: Vec<(Box<str>, u64)> = self.counts.into_iter().collect();
        words.sort_unstable();
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(words: Words) -> Vec<(String, u64)> {
        words.into_sorted().into_iter().map(|(word, count)| (word.into(), count)).collect()
    }

    #[test]
    fn the_rarest_words_are_forgotten_and_counted_as_such() {
        let mut words = Words::new(4);
        "aaaabbbccdaf".chars().for_each(|letter| words.add(&letter.to_string()));
        // With f there are five words; the middle one of their counts is that of c.
        assert_eq!(words.n_forgotten(), 4);
        assert_eq!(counted(words), [("a".to_owned(), 5), ("b".to_owned(), 3)]);
    }

    #[test]
    fn many_different_words_end_at_a_bounded_number() {
        let mut words = Words::new(1000);
        for index in 0..100_000u32 {
            words.add("often");
            words.add(&index.to_string());
            assert!(words.counts.len() <= 1000);
        }
        let forgotten = words.n_forgotten();
        let counts = counted(words);
        assert_eq!(counts.iter().find(|(word, _)| word == "often").unwrap().1, 100_000);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>() + forgotten, 200_000);
    }

    #[test]
    fn a_long_word_is_counted_in_parts_between_letters() {
        let mut words = Words::new(100);
        words.add(&"€".repeat(100));
        let parts = counted(words);
        assert_eq!(parts.iter().map(|(part, _)| part.len()).collect::<Vec<_>>(), [45, 255]);
        let mut bounded = Words::new(10);
        (0..50u8).for_each(|byte| bounded.add(&char::from(b'A' + byte).to_string().repeat(100)));
        assert!(bounded.n_bytes <= 160);
    }
}
