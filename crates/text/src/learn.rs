//! Learning a vocabulary from text: which pieces of it deserve a token of their own.
//!
//! [`LearnVocabulary`] counts the words of documents as they come, in bounded memory, and then either merges the
//! most frequent neighbours until there are as many tokens as asked for (byte-level byte-pair merging: any text can
//! be written), or gives each character a token (what small experiments with one book use). The result is plain
//! [`VocabularyParts`], from which [`crate::Tokenizer::from_parts`] makes a tokenizer and which a model file carries.
//!
//! Does not: read files, choose the end tokens (the caller fills in `bos` and `eos`), or learn SentencePiece or
//! WordPiece vocabularies.
//!
//! Sources: R. Sennrich and others, "Neural Machine Translation of Rare Words with Subword Units" (2016), algorithm
//! 1; A. Radford and others, "Language Models are Unsupervised Multitask Learners" (GPT-2, 2019), for bytes as
//! letters; for characters, A. Karpathy's nanoGPT and its tinyshakespeare.

use std::collections::{BTreeMap, HashSet};

use crate::tokenizer::byte_bpe::letter_of;
use crate::tokenizer::parts::{MAX_TOKEN_BYTES, MAX_TOKENS};
use crate::tokenizer::pretokenizer::{self, PreTokenizer};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};
use merges::Merger;
use words::Words;

mod merges;
mod words;

/// The cut into words where nothing else is asked for: digits stand alone, which is how a small model learns sums;
/// contractions are words; a word carries the space before it and no other mark.
pub const PRE_TOKENIZER: &str = "smollm";
/// Most control tokens.
const MAX_SPECIAL: usize = 4096;
/// How many bytes of a document are cut into words at once.
const PIECE_BYTES: usize = 1 << 20;

/// What a token of ordinary text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes and what they merge to, inside the words of the pre-tokenizer with this name. Any text can be written.
    Merges {
        /// Its name, as `tokenizer.ggml.pre` spells it; [`PRE_TOKENIZER`] is a good one.
        pre_tokenizer: String,
    },
    /// The characters of the text. A character that did not occur is [`Error::NoTokenFor`] when it is encoded. A
    /// character beyond ASCII also brings the bytes that it is written with, which make one token together.
    Characters,
}

impl Default for Unit {
    fn default() -> Self {
        Self::Merges { pre_tokenizer: PRE_TOKENIZER.to_owned() }
    }
}

/// What to learn, and how much memory it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tokens wanted, control tokens among them; of characters the most that there may be.
    pub size: usize,
    /// What a token is.
    pub unit: Unit,
    /// Control tokens; their ids are their places here.
    pub special: Vec<String>,
    /// Different words that are counted at once; together they may have 16 bytes for each. When there are more, the
    /// rarer half is forgotten, and with it all that came no more often than the most frequent of that half. The
    /// same documents in the same order always lose the same words.
    pub max_words: usize,
}

impl Settings {
    /// A vocabulary of `size` tokens made by merging, with these control tokens.
    pub fn new(size: usize, special: &[&str]) -> Self {
        let special = special.iter().map(|text| (*text).to_owned()).collect();
        Self { size, unit: Unit::default(), special, max_words: 1 << 20 }
    }
}

/// A vocabulary in the making: [`add`](Self::add) documents, then [`finish`](Self::finish).
///
/// ```
/// use text::Tokenizer;
/// use text::learn::{LearnVocabulary, Settings};
///
/// let mut learning = LearnVocabulary::new(Settings::new(300, &["<|endoftext|>"]))?;
/// for verse in ["She sells sea shells", "on the sea shore", "the shells she sells"] {
///     learning.add(verse);
/// }
/// let learned = learning.finish()?;
/// let tokenizer = Tokenizer::from_parts(learned.parts)?;
/// assert_eq!(tokenizer.encode(" sea", text::Special::Plain)?.len(), 1);
/// # Ok::<(), text::Error>(())
/// ```
#[derive(Debug)]
pub struct LearnVocabulary {
    settings: Settings,
    counts: Counts,
    n_bytes: u64,
}

#[derive(Debug)]
enum Counts {
    Words(&'static PreTokenizer, Words),
    Characters(BTreeMap<char, u64>),
}

/// What was learned.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The vocabulary: control tokens, then the bytes (or characters), then what they merge to, most frequent
    /// first. It has fewer tokens than were asked for when the text has no more pairs that occur twice.
    pub parts: VocabularyParts,
    /// Tokens that were asked for.
    pub n_wanted: usize,
    /// Bytes of text that were seen.
    pub n_bytes: u64,
    /// Different words (or characters) that were counted at the end.
    pub n_words: usize,
    /// Occurrences of words that were forgotten because memory is bounded; they count for nothing.
    pub n_forgotten: u64,
}

impl LearnVocabulary {
    /// Begins with nothing counted.
    ///
    /// # Errors
    /// [`Error::TooMany`] or [`Error::VocabularyTooSmall`] for a size that cannot be, [`Error::BadSpecial`] for a
    /// control token that is empty, too long or there twice, [`Error::UnknownPreTokenizer`].
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let (counts, n_fixed) = match &settings.unit {
            Unit::Merges { pre_tokenizer } => {
                let words = Words::new(settings.max_words.max(1));
                (Counts::Words(pretokenizer::find(pre_tokenizer)?, words), 256)
            }
            Unit::Characters => (Counts::Characters(BTreeMap::new()), 1),
        };
        check_special(&settings.special)?;
        let least = n_fixed + settings.special.len();
        match settings.size {
            found if found > MAX_TOKENS => Err(Error::TooMany { field: "tokens", found, limit: MAX_TOKENS }),
            wanted if wanted < least => Err(Error::VocabularyTooSmall { wanted, least }),
            _ => Ok(Self { settings, counts, n_bytes: 0 }),
        }
    }

    /// Counts the words of a document. Texts of control tokens inside it are ordinary text.
    pub fn add(&mut self, document: &str) {
        self.n_bytes = self.n_bytes.saturating_add(document.len() as u64);
        match &mut self.counts {
            Counts::Words(pre_tokenizer, words) => {
                for piece in pieces(document) {
                    pre_tokenizer.split(piece).into_iter().for_each(|word| words.add(&piece[word]));
                }
            }
            Counts::Characters(counts) => {
                document.chars().for_each(|character| *counts.entry(character).or_default() += 1);
            }
        }
    }

    /// Makes the vocabulary. The same documents in the same order give the same one, on every machine.
    ///
    /// # Errors
    /// [`Error::NothingToLearn`] without any text; [`Error::TooMany`] when there are more characters than tokens
    /// were asked for.
    pub fn finish(self) -> Result<Learned, Error> {
        if self.n_bytes == 0 {
            return Err(Error::NothingToLearn);
        }
        let Self { settings, counts, n_bytes } = self;
        let (n_words, n_forgotten, pre_tokenizer, learned) = match counts {
            Counts::Words(row, words) => {
                let n_forgotten = words.n_forgotten();
                let words = words.into_sorted();
                let room = settings.size - settings.special.len();
                let taken = settings.special.iter().map(String::as_str).collect();
                let learned = Merger::new(&words, taken).learn(room);
                (words.len(), n_forgotten, row.gguf_name, learned)
            }
            Counts::Characters(counts) => (counts.len(), 0, pretokenizer::GPT_2_NAME, spell(counts.keys())),
        };
        let found = settings.special.len() + learned.tokens.len();
        if found > settings.size {
            return Err(Error::TooMany { field: "characters", found, limit: settings.size });
        }
        let parts = parts(settings.special, learned, pre_tokenizer);
        Ok(Learned { parts, n_wanted: settings.size, n_bytes, n_words, n_forgotten })
    }
}

/// Tokens of ordinary text in letters of bytes, and the merges that make them.
pub(crate) struct Pieces {
    pub tokens: Vec<String>,
    pub merges: Vec<(String, String)>,
}

/// The characters as tokens. One of several bytes is merged from the left: its bytes and beginnings are tokens too.
fn spell<'a>(characters: impl Iterator<Item = &'a char>) -> Pieces {
    let mut pieces = Pieces { tokens: Vec::new(), merges: Vec::new() };
    let mut known = HashSet::new();
    for character in characters {
        let mut made = String::new();
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            let letter = letter_of(byte).to_string();
            if known.insert(letter.clone()) {
                pieces.tokens.push(letter.clone());
            }
            let longer = format!("{made}{letter}");
            if known.insert(longer.clone()) {
                pieces.tokens.push(longer.clone());
                pieces.merges.push((made, letter));
            }
            made = longer;
        }
    }
    pieces
}

fn parts(special: Vec<String>, learned: Pieces, pre_tokenizer: &str) -> VocabularyParts {
    let n_special = special.len();
    let mut tokens = special;
    tokens.extend(learned.tokens);
    let kind = |id: usize| if id < n_special { TokenType::Control } else { TokenType::Normal };
    VocabularyParts {
        token_types: (0..tokens.len()).map(kind).collect(),
        merges: learned.merges.into_iter().map(|(left, right)| format!("{left} {right}")).collect(),
        pre_tokenizer: pre_tokenizer.to_owned(),
        ..VocabularyParts::new(VocabularyKind::ByteBpe, tokens)
    }
}

fn check_special(special: &[String]) -> Result<(), Error> {
    if special.len() > MAX_SPECIAL {
        return Err(Error::TooMany { field: "special", found: special.len(), limit: MAX_SPECIAL });
    }
    let mut seen = HashSet::new();
    for token in special {
        let rule = match token {
            _ if token.len() > MAX_TOKEN_BYTES => "a control token has at most 4096 bytes",
            _ if token.chars().nth(1).is_none() => "a control token has at least two letters",
            _ if !seen.insert(token) => "each control token stands once",
            _ => continue,
        };
        return Err(Error::BadSpecial { token: token.chars().take(64).collect(), rule });
    }
    Ok(())
}

/// A document in pieces that are cut after a line where there is one, so that its words need little memory.
fn pieces(document: &str) -> impl Iterator<Item = &str> {
    let mut rest = document;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let most = rest.floor_char_boundary(PIECE_BYTES);
        let end = if most == rest.len() { most } else { rest[..most].rfind('\n').map_or(most, |at| at + 1) };
        let piece;
        (piece, rest) = rest.split_at(end);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Special, Tokenizer};

    fn learn(settings: Settings, documents: &[&str]) -> Result<Learned, Error> {
        let mut learning = LearnVocabulary::new(settings)?;
        documents.iter().for_each(|document| learning.add(document));
        learning.finish()
    }

    #[test]
    fn control_tokens_come_first_then_bytes_then_merges() {
        let learned = learn(Settings::new(260, &["<s>", "</s>"]), &["low low lower lowest"]).unwrap();
        let tokens = &learned.parts.tokens;
        assert_eq!(tokens[..4], ["<s>", "</s>", "Ā", "ā"]);
        assert_eq!(tokens[258..], ["lo", "low"]);
        assert_eq!(learned.parts.merges, ["l o", "lo w"]);
        assert_eq!((learned.n_wanted, learned.n_words, learned.n_bytes), (260, 4, 20));
    }

    #[test]
    fn little_text_gives_a_smaller_vocabulary() {
        let learned = learn(Settings::new(5000, &[]), &["ab ab ab"]).unwrap();
        assert_eq!(learned.parts.merges, ["a b", "Ġ ab"]);
        assert_eq!((learned.parts.tokens.len(), learned.n_wanted), (258, 5000));
    }

    #[test]
    fn a_merge_never_makes_a_control_token() {
        let learned = learn(Settings::new(400, &["low"]), &["low low lower lowest low"]).unwrap();
        assert!(!learned.parts.tokens[1..].contains(&"low".to_owned()));
        let tokenizer = Tokenizer::from_parts(learned.parts).unwrap();
        let ids = tokenizer.encode("low lower", Special::Plain).unwrap();
        assert!(ids.iter().all(|id| id.0 != 0));
        assert_eq!(tokenizer.decode(&ids), "low lower");
    }

    #[test]
    fn characters_have_one_token_each_and_others_are_an_error() {
        let text = "naïve ☃ 🦊, naïve!\n";
        let settings = Settings { unit: Unit::Characters, ..Settings::new(100, &["<|endoftext|>"]) };
        let learned = learn(settings.clone(), &[text]).unwrap();
        let tokenizer = Tokenizer::from_parts(learned.parts).unwrap();
        let ids = tokenizer.encode(text, Special::Plain).unwrap();
        assert_eq!((ids.len(), tokenizer.decode(&ids).as_str()), (text.chars().count(), text));
        let error = tokenizer.encode("nav☂", Special::Plain).unwrap_err();
        assert_eq!(error, Error::NoTokenFor { character: '☂', at: 3 });
        let plain = learn(settings, &["to be or not to be"]).unwrap();
        assert_eq!(plain.parts.tokens.len(), 1 + 7);
    }

    #[test]
    fn more_characters_than_tokens_are_refused() {
        let settings = Settings { unit: Unit::Characters, ..Settings::new(5, &[]) };
        let error = learn(settings, &["abcdef"]).unwrap_err();
        assert_eq!(error, Error::TooMany { field: "characters", found: 6, limit: 5 });
    }

    #[test]
    fn what_cannot_be_learned_is_refused_by_name() {
        let check = |settings: Settings, expected: Error| {
            assert_eq!(learn(settings, &["text"]).unwrap_err(), expected);
        };
        check(Settings::new(256, &["<s>"]), Error::VocabularyTooSmall { wanted: 256, least: 257 });
        let limit = MAX_TOKENS;
        check(Settings::new(limit + 1, &[]), Error::TooMany { field: "tokens", found: limit + 1, limit });
        let bad = |token: &str, rule| Error::BadSpecial { token: token.to_owned(), rule };
        check(Settings::new(999, &["a"]), bad("a", "a control token has at least two letters"));
        check(Settings::new(999, &["ab", "ab"]), bad("ab", "each control token stands once"));
        let unit = Unit::Merges { pre_tokenizer: "smolm".to_owned() };
        let expected = Error::UnknownPreTokenizer { name: "smolm".to_owned(), nearest: "smollm" };
        check(Settings { unit, ..Settings::new(999, &[]) }, expected);
        assert_eq!(learn(Settings::new(999, &[]), &[""]).unwrap_err(), Error::NothingToLearn);
    }

    #[test]
    fn long_documents_are_cut_after_lines_and_between_letters() {
        let lines = "é line\n".repeat(PIECE_BYTES / 4);
        assert_eq!(pieces(&lines).collect::<String>(), lines);
        assert!(pieces(&lines).all(|piece| piece.len() <= PIECE_BYTES && piece.ends_with('\n')));
        let one = "é".repeat(PIECE_BYTES);
        assert_eq!(pieces(&one).map(str::len).collect::<Vec<_>>(), [PIECE_BYTES, PIECE_BYTES]);
    }
}
