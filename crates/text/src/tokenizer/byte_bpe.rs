//! Byte-level byte-pair merging: any text is bytes, bytes are letters of the vocabulary, and a ranked list says
//! which neighbours merge.
//!
//! Source: A. Radford and others, "Language Models are Unsupervised Multitask Learners" (GPT-2, 2019).

use std::collections::HashMap;

use super::merge::{Symbol, merge};
use super::parts::TokenType;
use super::pretokenizer::{self, Adds, PreTokenizer};
use crate::{Error, VocabularyParts};

#[derive(Debug)]
pub(crate) struct ByteBpe {
    pre_tokenizer: &'static PreTokenizer,
    letters: Box<[Option<u32>; 256]>,
    /// Pair of tokens → rank and the token that they become.
    merges: HashMap<(u32, u32), (u32, u32)>,
    /// Text of a whole word → token; empty unless the pre-tokenizer asks for it.
    words: HashMap<Box<[u8]>, u32>,
    unknown: Option<u32>,
}

impl ByteBpe {
    /// Resolves the merges. Control tokens are never the result of one: text cannot spell them.
    pub fn new(parts: &VocabularyParts, types: &[TokenType]) -> Result<Self, Error> {
        let pre_tokenizer = pretokenizer::find(&parts.pre_tokenizer)?;
        let mut by_text = HashMap::with_capacity(parts.tokens.len());
        for (id, token) in (0u32..).zip(&parts.tokens) {
            by_text.entry(token.as_str()).or_insert(id);
        }
        let is_text = |id: u32| !matches!(types[id as usize], TokenType::Control | TokenType::Unknown);
        let mut letters = Box::new([None; 256]);
        for byte in 0..=255u8 {
            let letter = letter_of(byte).to_string();
            letters[usize::from(byte)] = by_text.get(letter.as_str()).copied().filter(|id| is_text(*id));
        }
        let mut merges = HashMap::with_capacity(parts.merges.len());
        for (rank, merge) in (0u32..).zip(&parts.merges) {
            let (left, right, made) = resolve(&by_text, rank as usize, merge)?;
            if is_text(made) {
                merges.entry((left, right)).or_insert((rank, made));
            }
        }
        let mut words = HashMap::new();
        if pre_tokenizer.whole_words_first {
            let normal = by_text.iter().filter(|(_, id)| types[**id as usize] == TokenType::Normal);
            words = normal.map(|(text, id)| (piece_bytes(text).into_boxed_slice(), *id)).collect();
        }
        let unknown = parts.unk.map(|id| id.0);
        Ok(Self { pre_tokenizer, letters, merges, words, unknown })
    }

    /// Whether prompts begin with the begin token where the file says nothing.
    pub fn adds_bos(&self) -> bool {
        self.pre_tokenizer.adds != Adds::Nothing
    }

    /// Appends the tokens of one run of text between special tokens.
    ///
    /// # Errors
    /// The place of a byte that no token stands for.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), usize> {
        // A word that came before is copied from where its tokens lie.
        let mut seen = HashMap::new();
        for range in self.pre_tokenizer.split(text) {
            let (at, word) = (range.start, &text[range]);
            if let Some(known) = seen.get(word) {
                ids.extend_from_within(std::ops::Range::clone(known));
                continue;
            }
            let start = ids.len();
            self.encode_word(word.as_bytes(), ids).map_err(|place| at + place)?;
            seen.insert(word, start..ids.len());
        }
        Ok(())
    }

    fn encode_word(&self, word: &[u8], ids: &mut Vec<u32>) -> Result<(), usize> {
        if let Some(id) = self.words.get(word) {
            ids.push(*id);
            return Ok(());
        }
        let letter =
            |(at, byte): (u32, &u8)| Symbol { start: at, end: at + 1, id: self.letters[usize::from(*byte)] };
        let mut symbols: Vec<Symbol> = (0u32..).zip(word).map(letter).collect();
        merge(&mut symbols, |left, right| {
            let (rank, made) = *self.merges.get(&(left.id?, right.id?))?;
            Some((u64::from(rank), made))
        });
        for symbol in symbols {
            ids.push(symbol.id.or(self.unknown).ok_or(symbol.start as usize)?);
        }
        Ok(())
    }
}

fn resolve(by_text: &HashMap<&str, u32>, index: usize, merge: &str) -> Result<(u32, u32, u32), Error> {
    // The left part may itself begin with a space in vocabularies that do not map it to a letter.
    let space = merge.char_indices().skip(1).find(|(_, letter)| *letter == ' ').map(|(at, _)| at);
    let bad = || Error::BadMerge { index, merge: merge.chars().take(64).collect() };
    let (left, right) = merge.split_at(space.ok_or_else(bad)?);
    let right = &right[1..];
    if right.is_empty() {
        return Err(bad());
    }
    let id = |token: &str| {
        let missing = || Error::MergeUnresolved { index, token: token.chars().take(64).collect() };
        by_text.get(token).copied().ok_or_else(missing)
    };
    Ok((id(left)?, id(right)?, id(&format!("{left}{right}"))?))
}

/// GPT-2's letter for a byte: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and on.
pub(crate) fn letter_of(byte: u8) -> char {
    let is_printable = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if is_printable(&byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|other| !is_printable(other)).count() as u32;
    char::from_u32(0x100 + place).expect("U+0100 and 67 after it are letters")
}

/// The bytes of a byte-level token; a text with a letter that stands for no byte is taken as it is.
pub(crate) fn piece_bytes(token: &str) -> Vec<u8> {
    static BYTES: std::sync::LazyLock<HashMap<char, u8>> =
        std::sync::LazyLock::new(|| (0..=255).map(|byte| (letter_of(byte), byte)).collect());
    let bytes: Option<Vec<u8>> = token.chars().map(|letter| BYTES.get(&letter).copied()).collect();
    bytes.unwrap_or_else(|| token.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_own_letter() {
        assert_eq!(
            [letter_of(b' '), letter_of(b'\n'), letter_of(b'a'), letter_of(0xAD)],
            ['Ġ', 'Ċ', 'a', 'Ń']
        );
        for byte in 0..=255 {
            assert_eq!(piece_bytes(&letter_of(byte).to_string()), [byte]);
        }
        assert_eq!(piece_bytes("a b"), b"a b");
    }
}
