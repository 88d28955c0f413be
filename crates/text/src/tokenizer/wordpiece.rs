//! BERT's WordPiece: the text is cleaned, lower-cased and cut into words; each word is the greedy longest match
//! of tokens, or unknown.
//!
//! GGUF files do not say whether case counts; where nobody says it, it does not. Source: J. Devlin and others,
//! "BERT" (2018), with the basic tokenizer that its authors published.

use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_normalization::UnicodeNormalization;

use super::compiled::{Reader, Writer, sound};
use super::parts::{Casing, TokenType};
use super::strings::Lookup;
use crate::Error;

/// A longer word is unknown, as in BERT's published vocabularies.
const LONGEST_WORD_LETTERS: usize = 100;
/// The mark that a GGUF vocabulary puts before the first piece of a word.
const WORD_MARK: char = '\u{2581}';

#[derive(Debug)]
pub(crate) struct WordPiece {
    pieces: Lookup,
    unknown: Option<u32>,
    casing: Casing,
}

impl WordPiece {
    pub fn new(tokens: &[String], types: &[TokenType], unknown: Option<u32>, casing: Casing) -> Self {
        let is_piece =
            |token_type: &TokenType| !matches!(token_type, TokenType::Control | TokenType::Unknown);
        let pieces = tokens.iter().zip(types).map(|(token, kind)| is_piece(kind).then_some(token));
        Self { pieces: Lookup::new(pieces), unknown, casing }
    }

    /// Appends the tokens of one run of text between special tokens.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        for word in words(text, self.casing) {
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
            let farthest = marked.floor_char_boundary(start + self.pieces.longest());
            let ends = (start + 1..=farthest).rev().filter(|end| marked.is_char_boundary(*end));
            let found = ends
                .into_iter()
                .find_map(|end| Some((end, self.pieces.find(&marked.as_bytes()[start..end])?)));
            let Some((end, id)) = found else { return false };
            ids.push(id);
            start = end;
        }
        true
    }

    pub fn write(&self, writer: &mut Writer) {
        self.pieces.write(writer);
        writer.id(self.unknown);
        writer.number(u32::from(self.casing == Casing::Kept));
    }

    pub fn read(reader: &mut Reader, n_tokens: usize) -> Result<Self, Error> {
        let pieces = Lookup::read(reader)?;
        sound(pieces.strings().len() == n_tokens)?;
        let unknown = reader.id(n_tokens)?;
        Ok(Self { pieces, unknown, casing: reader.choice(&[Casing::Folded, Casing::Kept])? })
    }
}

/// Words, in lower case without accents unless case counts; each punctuation mark and each Chinese letter is a word of
/// its own.
fn words(text: &str, casing: Casing) -> Vec<String> {
    let letters: Vec<char> = match casing {
        Casing::Folded => text.nfd().collect(),
        Casing::Kept => text.chars().collect(),
    };
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in letters {
        if letter.is_whitespace() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else if is_dropped(letter) || casing == Casing::Folded && is_accent(letter) {
        } else if is_punctuation(letter) || is_chinese(letter) {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            words.push(letter.to_string());
        } else if casing == Casing::Kept {
            word.push(letter);
        } else {
            word.extend(letter.to_lowercase());
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// After decomposition, the accents.
fn is_accent(letter: char) -> bool {
    get_general_category(letter) == Category::NonspacingMark
}

/// Control and format characters, U+0000 and U+FFFD.
fn is_dropped(letter: char) -> bool {
    let category = get_general_category(letter);
    letter == '\u{FFFD}'
        || matches!(
            category,
            Category::Control | Category::Format | Category::Unassigned | Category::PrivateUse
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
        let check =
            |text: &str, expected: &[&str]| assert_eq!(words(text, Casing::Folded), expected, "{text:?}");
        check("", &[]);
        check(" Führer \t\u{200D}Été", &["fuhrer", "ete"]);
        check("y'all!我想x", &["y", "'", "all", "!", "我", "想", "x"]);
        check("a\u{0}b\u{FFFD}c", &["abc"]);
        assert_eq!(words("Été, A\u{301}", Casing::Kept), ["Été", ",", "A\u{301}"]);
    }

    #[test]
    fn a_word_without_tokens_is_unknown_once() {
        let tokens = ["[UNK]", "▁a", "b"].map(String::from);
        let types = [TokenType::Unknown, TokenType::Normal, TokenType::Normal];
        let vocabulary = WordPiece::new(&tokens, &types, Some(0), Casing::Folded);
        let encode = |text: &str| {
            let mut ids = Vec::new();
            vocabulary.encode(text, &mut ids);
            ids
        };
        assert_eq!(encode("abb ac a"), [1, 2, 2, 0, 1]);
        assert_eq!(encode(&"a".repeat(101)), [0]);
    }
}
