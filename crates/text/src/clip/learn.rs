//! A vocabulary for the prompts of an image model that is trained from scratch, learned from its captions: the most frequent
//! neighbours within words are merged until each word that comes twice is one token, or there are as many as asked for.
//!
//! Source: R. Sennrich and others, "Neural Machine Translation of Rare Words with Subword Units" (2016), algorithm 1.
//!
//! Does not: know the captions' order; the same words in any order give the same vocabulary.

use std::collections::BTreeMap;

use super::{MARKS, WORD_END, word_bytes};
use crate::tokenizer::byte_bpe::letter_of;
use unicode_normalization::UnicodeNormalization;

/// Each byte within a word and at its end, and the two marks.
pub const FEWEST: usize = 2 * 256 + MARKS.len();
/// Different words that are counted; later ones that are new are left to their letters.
const MAX_WORDS: usize = 1 << 13;
/// Letters of a word that is counted.
const MAX_WORD_BYTES: usize = 64;

/// The words of captions, counted.
#[derive(Debug, Default)]
pub struct Words {
    counts: BTreeMap<String, u64>,
}

/// A vocabulary as files have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// `vocab.json`.
    pub vocabulary: String,
    /// `merges.txt`.
    pub merges: String,
    /// Tokens.
    pub n_tokens: usize,
}

impl Words {
    /// Counts the words of a caption.
    pub fn add(&mut self, caption: &str) {
        let small: String = caption.nfc().flat_map(char::to_lowercase).collect();
        let mut rest = small.as_str();
        while let Some(first) = rest.chars().next() {
            if first.is_whitespace() {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (word, behind) = rest.split_at(word_bytes(rest, first));
            rest = behind;
            if word.len() > MAX_WORD_BYTES {
                continue;
            }
            if self.counts.len() < MAX_WORDS || self.counts.contains_key(word) {
                *self.counts.entry(word.to_owned()).or_default() += 1;
            }
        }
    }

    /// A vocabulary of at most `size` tokens, and of at least [`FEWEST`].
    pub fn learn(&self, size: usize) -> Files {
        let letters: Vec<String> = (0..=255).map(|byte| letter_of(byte).to_string()).collect();
        let ends = letters.iter().map(|letter| format!("{letter}{WORD_END}"));
        let mut tokens: Vec<String> = letters.iter().cloned().chain(ends).collect();
        let mut words: Vec<(Vec<String>, u64)> =
            self.counts.iter().map(|(word, count)| (symbols(word), *count)).collect();
        let mut merges = String::from("#version: 0.2\n");
        while tokens.len() + MARKS.len() < size {
            let Some((left, right)) = most_frequent(&words) else { break };
            for (symbols, _) in &mut words {
                merge(symbols, &left, &right);
            }
            merges += &format!("{left} {right}\n");
            let made = left + &right;
            // Two pairs may make the same token.
            if !tokens.contains(&made) {
                tokens.push(made);
            }
        }
        tokens.extend(MARKS.map(str::to_owned));
        let n_tokens = tokens.len();
        let ids: serde_json::Map<_, _> =
            tokens.into_iter().zip(0u32..).map(|(token, id)| (token, id.into())).collect();
        Files { vocabulary: serde_json::Value::from(ids).to_string(), merges, n_tokens }
    }
}

/// The bytes of a word as letters, the last one marked.
fn symbols(word: &str) -> Vec<String> {
    let mut symbols: Vec<String> = word.bytes().map(|byte| letter_of(byte).to_string()).collect();
    if let Some(last) = symbols.last_mut() {
        last.push_str(WORD_END);
    }
    symbols
}

/// The neighbours that come most often, more than once; of several the first by their letters.
fn most_frequent(words: &[(Vec<String>, u64)]) -> Option<(String, String)> {
    let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (symbols, count) in words {
        for pair in symbols.windows(2) {
            *pairs.entry((&pair[0], &pair[1])).or_default() += count;
        }
    }
    let (pair, count) = pairs.into_iter().rev().max_by_key(|(_, count)| *count)?;
    (count > 1).then(|| (pair.0.to_owned(), pair.1.to_owned()))
}

fn merge(symbols: &mut Vec<String>, left: &str, right: &str) {
    let mut at = 0;
    while at + 1 < symbols.len() {
        if symbols[at] == left && symbols[at + 1] == right {
            let next = symbols.remove(at + 1);
            symbols[at].push_str(&next);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::ClipTokenizer;

    fn learned(captions: &[&str], size: usize) -> (Files, ClipTokenizer) {
        let mut words = Words::default();
        captions.iter().for_each(|caption| words.add(caption));
        let files = words.learn(size);
        let tokenizer =
            ClipTokenizer::from_files(files.vocabulary.as_bytes(), files.merges.as_bytes()).unwrap();
        (files, tokenizer)
    }

    #[test]
    fn words_that_come_twice_are_one_token() {
        let captions =
            ["Two red circles above a green house", "two GREEN circles", "a red house", "once upon"];
        let (files, tokenizer) = learned(&captions, 1000);
        assert!(files.n_tokens < 1000, "{}", files.n_tokens);
        for word in ["two", "red", "circles", "a", "green", "house"] {
            assert_eq!(tokenizer.encode(word), [tokenizer.token(&format!("{word}</w>")).unwrap()], "{word}");
        }
        assert!(tokenizer.encode("once").len() > 1, "what comes once stays in pieces");
        // Anything can be written.
        assert!(!tokenizer.encode("Ωmega 🦀").contains(&tokenizer.end()));
    }

    #[test]
    fn a_size_is_kept_and_the_order_of_captions_does_not_matter() {
        let (files, _) = learned(&["red green", "green red", "red"], FEWEST + 3);
        assert_eq!(files.n_tokens, FEWEST + 3);
        assert_eq!(files, learned(&["red", "red green", "green red"], FEWEST + 3).0);
        assert_eq!(learned(&[], 0).0.n_tokens, FEWEST);
    }
}
