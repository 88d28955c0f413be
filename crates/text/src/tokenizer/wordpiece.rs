//! BERT's WordPiece: the text is cleaned, lower-cased and cut into words; each word is the greedy longest match
//! of tokens, or unknown.
//!
//! Not cased: the vocabularies that GGUF files carry for this kind are uncased. Source: J. Devlin and others,
//! "BERT" (2018), with the basic tokenizer that its authors published.

use std::collections::HashMap;

use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_normalization::UnicodeNormalization;

use super::parts::TokenType;

/// A longer word is unknown, as in BERT's published vocabularies.
const LONGEST_WORD_LETTERS: usize = 100;
/// The mark that a GGUF vocabulary puts before the first piece of a word.
const WORD_MARK: char = '\u{2581}';

#[derive(Debug)]
pub(crate) struct WordPiece {
    by_text: HashMap<Box<str>, u32>,
    unknown: Option<u32>,
    longest: usize,
}

impl WordPiece {
    pub fn new(tokens: &[String], types: &[TokenType], unknown: Option<u32>) -> Self {
        let mut by_text = HashMap::with_capacity(tokens.len());
        let mut longest = 0;
        for (id, (token, token_type)) in (0u32..).zip(tokens.iter().zip(types)) {
            if !matches!(token_type, TokenType::Control | TokenType::Unknown) {
                longest = longest.max(token.len());
                by_text.entry(token.clone().into_boxed_str()).or_insert(id);
            }
        }
        Self { by_text, unknown, longest }
    }

    /// Appends the tokens of one run of text between special tokens.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        for word in words(text) {
            let first = ids.len();
            if !self.encode_word(&word, ids) {
                ids.truncate(first);
                ids.extend(self.unknown);
            }
        }
    }

    /// Greedy longest match; false where a part has no token.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) -> bool {
        if word.chars().count() > LONGEST_WORD_LETTERS {
            return false;
        }
        let marked = format!("{WORD_MARK}{word}");
        let mut start = 0;
        while start < marked.len() {
            let farthest = marked.floor_char_boundary(start + self.longest);
            let ends = (start + 1..=farthest).rev().filter(|end| marked.is_char_boundary(*end));
            let found = ends.into_iter().find_map(|end| Some((end, *self.by_text.get(&marked[start..end])?)));
            let Some((end, id)) = found else { return false };
            ids.push(id);
            start = end;
        }
        true
    }
}

/// Lower-case words without accents; each punctuation mark and each Chinese letter is a word of its own.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.nfd() {
        if letter.is_whitespace() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else if is_dropped(letter) {
        } else if is_punctuation(letter) || is_chinese(letter) {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            words.push(letter.to_string());
        } else {
            word.extend(letter.to_lowercase());
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Control and format characters, U+0000, U+FFFD and, after decomposition, accents.
fn is_dropped(letter: char) -> bool {
    let category = get_general_category(letter);
    letter == '\u{FFFD}'
        || matches!(
            category,
            Category::Control
                | Category::Format
                | Category::Unassigned
                | Category::PrivateUse
                | Category::NonspacingMark
        )
}

fn is_punctuation(letter: char) -> bool {
    letter.is_ascii_punctuation() || super::pretokenizer::is_punctuation(letter)
}

/// The blocks of Chinese letters that BERT's authors name; Japanese kana and Korean are words like others.
fn is_chinese(letter: char) -> bool {
    matches!(u32::from(letter),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        | 0x2B820..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_case_and_accents() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text), expected, "{text:?}");
        check("", &[]);
        check(" Führer \t\u{200D}Été", &["fuhrer", "ete"]);
        check("y'all!我想x", &["y", "'", "all", "!", "我", "想", "x"]);
        check("a\u{0}b\u{FFFD}c", &["abc"]);
    }

    #[test]
    fn a_word_without_tokens_is_unknown_once() {
        let tokens = ["[UNK]", "▁a", "b"].map(String::from);
        let types = [TokenType::Unknown, TokenType::Normal, TokenType::Normal];
        let vocabulary = WordPiece::new(&tokens, &types, Some(0));
        let encode = |text: &str| {
            let mut ids = Vec::new();
            vocabulary.encode(text, &mut ids);
            ids
        };
        assert_eq!(encode("abb ac a"), [1, 2, 2, 0, 1]);
        assert_eq!(encode(&"a".repeat(101)), [0]);
    }
}
