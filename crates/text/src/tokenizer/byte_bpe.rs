//! Byte-level byte-pair merging: any text is bytes, bytes are letters of the vocabulary, and a ranked list says
//! which neighbours merge.
//!
//! Where a vocabulary has no list, neighbours merge by the number of the token that they make (tiktoken); where its
//! letters stand for themselves (Gemma 4), a letter without a token falls back to its bytes.
//!
//! Source: A. Radford and others, "Language Models are Unsupervised Multitask Learners" (GPT-2, 2019).

use std::collections::HashMap;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::compiled::{Reader, Writer, sound};
use super::merge::{Symbol, merge};
use super::merge_table::MergeTable;
use super::normalizer::plain_spaces;
use super::parts::TokenType;
use super::pretokenizer::{self, Letters, PreTokenizer};
use super::strings::Lookup;
use crate::{Error, VocabularyParts};

#[derive(Debug)]
pub(crate) struct ByteBpe {
    pre_tokenizer: &'static PreTokenizer,
    /// The token of each byte.
    bytes: Box<[Option<u32>; 256]>,
    merges: Merges,
    /// Bytes of a token → token; only for what the other fields ask of it.
    words: Lookup,
    whole_words: WholeWords,
    unknown: Option<u32>,
    form: Form,
}

/// Whether a text is put in Unicode's normal form C before it is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    AsWritten,
    Composed,
}

#[derive(Debug)]
enum Merges {
    /// By the list.
    Listed(MergeTable),
    /// Into the token with the smallest number.
    ByNumber,
}

/// Which words are tokens at once, whatever the merges say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum WholeWords {
    None,
    NewLines,
    All,
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
        let mut listed = Vec::with_capacity(parts.merges.len());
        for (index, merge) in parts.merges.iter().enumerate() {
            let (left, right, made) = resolve(&by_text, index, merge)?;
            listed.push(is_text(made).then_some((left, right, made)));
        }
        let merges =
            if listed.is_empty() { Merges::ByNumber } else { Merges::Listed(MergeTable::new(&listed)) };
        let whole_words = match (&merges, pre_tokenizer.letters) {
            _ if pre_tokenizer.whole_words_first => WholeWords::All,
            (Merges::ByNumber, _) => WholeWords::All,
            (_, Letters::Text) => WholeWords::NewLines,
            (_, Letters::Bytes) => WholeWords::None,
        };
        let needs_words = whole_words != WholeWords::None;
        let words = parts.tokens.iter().zip(types).map(|(token, kind)| {
            (needs_words && *kind == TokenType::Normal).then(|| word_bytes(pre_tokenizer.letters, token))
        });
        Ok(Self {
            pre_tokenizer,
            bytes: Box::new(std::array::from_fn(|byte| {
                let token = match pre_tokenizer.letters {
                    Letters::Bytes => letter_of(byte as u8).to_string(),
                    Letters::Text => format!("<0x{byte:02X}>"),
                };
                by_text.get(token.as_str()).copied().filter(|id| is_text(*id))
            })),
            merges,
            words: Lookup::new(words),
            whole_words,
            unknown: parts.unk.map(|id| id.0),
            form: Form::AsWritten,
        })
    }

    /// The same for texts in another form.
    pub fn of_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// Whether any text can be written.
    pub fn knows_every_byte(&self) -> bool {
        self.bytes.iter().all(Option::is_some)
    }

    /// Appends the tokens of one run of text between special tokens.
    ///
    /// # Errors
    /// The place of a byte that no token stands for.
    pub fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), usize> {
        let changed = match (self.pre_tokenizer.letters, self.form) {
            (Letters::Text, _) => Some(plain_spaces(text)),
            (Letters::Bytes, Form::Composed) if !is_nfc(text) => Some(text.nfc().collect()),
            (Letters::Bytes, _) => None,
        };
        let text = changed.as_deref().unwrap_or(text);
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
        let is_whole = match self.whole_words {
            WholeWords::None => false,
            WholeWords::NewLines => word.iter().all(|byte| *byte == b'\n'),
            WholeWords::All => true,
        };
        if is_whole && let Some(id) = self.words.find(word) {
            ids.push(id);
            return Ok(());
        }
        let mut symbols = self.letters(word);
        merge(&mut symbols, |left, right| match &self.merges {
            Merges::Listed(table) => {
                let (rank, made) = table.find(left.id?, right.id?)?;
                Some((u64::from(rank), made))
            }
            Merges::ByNumber => {
                let made = self.words.find(&word[left.start as usize..right.end as usize])?;
                Some((u64::from(made), made))
            }
        });
        for symbol in symbols {
            if let Some(id) = symbol.id {
                ids.push(id);
                continue;
            }
            // A letter that is no token: its bytes, or what stands for the unknown.
            for (at, byte) in (symbol.start as usize..symbol.end as usize).map(|at| (at, word[at])) {
                ids.push(self.bytes[usize::from(byte)].or(self.unknown).ok_or(at)?);
            }
        }
        Ok(())
    }

    /// The symbols with which merging begins: bytes, or whole letters.
    fn letters(&self, word: &[u8]) -> Vec<Symbol> {
        let symbol =
            |start: usize, end: usize, id: Option<u32>| Symbol { start: start as u32, end: end as u32, id };
        match self.pre_tokenizer.letters {
            Letters::Bytes => {
                let letter = |(at, byte): (usize, &u8)| symbol(at, at + 1, self.bytes[usize::from(*byte)]);
                word.iter().enumerate().map(letter).collect()
            }
            Letters::Text => {
                let starts = (0..word.len()).filter(|at| word[*at] & 0xC0 != 0x80);
                let ends = starts.clone().skip(1).chain([word.len()]);
                starts
                    .zip(ends)
                    .map(|(start, end)| symbol(start, end, self.words.find(&word[start..end])))
                    .collect()
            }
        }
    }

    pub fn write(&self, writer: &mut Writer) {
        writer.bytes(self.pre_tokenizer.name.as_bytes());
        self.bytes.iter().for_each(|id| writer.id(*id));
        writer.number(self.whole_words as u32);
        writer.number(u32::from(matches!(self.merges, Merges::Listed(_))));
        if let Merges::Listed(table) = &self.merges {
            table.write(writer);
        }
        self.words.write(writer);
        writer.id(self.unknown);
        writer.number(u32::from(self.form == Form::Composed));
    }

    pub fn read(reader: &mut Reader, n_tokens: usize) -> Result<Self, Error> {
        let name = std::str::from_utf8(reader.bytes()?).map_err(|_| Error::CompiledDamaged)?;
        let pre_tokenizer = pretokenizer::find(name).map_err(|_| Error::CompiledDamaged)?;
        let bytes = reader.ids(n_tokens)?;
        let whole_words = reader.choice(&[WholeWords::None, WholeWords::NewLines, WholeWords::All])?;
        let merges = match reader.choice(&[false, true])? {
            true => Merges::Listed(MergeTable::read(reader, n_tokens)?),
            false => Merges::ByNumber,
        };
        let words = Lookup::read(reader)?;
        sound(words.strings().len() == n_tokens)?;
        let unknown = reader.id(n_tokens)?;
        let form = reader.choice(&[Form::AsWritten, Form::Composed])?;
        Ok(Self { pre_tokenizer, bytes, merges, words, whole_words, unknown, form })
    }
}

/// What a token says, as the words of a text are compared.
pub(crate) fn word_bytes(letters: Letters, token: &str) -> Vec<u8> {
    match letters {
        Letters::Bytes => piece_bytes(token),
        Letters::Text => plain_spaces(token).into_bytes(),
    }
}

/// The tokens of a merge: left, right, and what they become.
pub(crate) fn resolve(
    by_text: &HashMap<&str, u32>,
    index: usize,
    merge: &str,
) -> Result<(u32, u32, u32), Error> {
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
