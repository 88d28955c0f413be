//! A tokenizer: text to token ids, and what each id is.
//!
//! Does not stream ids back into text (that is [`crate::Detokenizer`]) and does not decide whether a prompt gets
//! its begin token: the caller asks [`Tokenizer::add_bos`].

use std::borrow::Cow;
use std::ops::Range;

use base::TokenId;

use crate::{Begin, Detokenizer, Error, ShowSpecial};
use byte_bpe::ByteBpe;
pub(crate) use cache::seal;
use json::JsonModel;
use normalizer::{Beside, ExtraSpaces, LetterMap, Normalizer};
use parts::{Casing, TokenType, VocabularyKind, VocabularyParts};
use pretokenizer::Adds;
use special::{SpecialTokens, Stretch};
use spm::Spm;
use strings::{Lookup, Strings};
use unigram::Unigram;
use wordpiece::WordPiece;

pub(crate) mod byte_bpe;
mod cache;
mod compiled;
mod json;
mod json_native;
mod json_parts;
mod listed_merges;
pub(crate) mod merge;
pub(crate) mod merge_table;
mod normalizer;
pub mod parts;
pub(crate) mod pretokenizer;
mod protobuf;
mod sentencepiece;
mod special;
mod spm;
mod strings;
mod tekken;
mod tiktoken;
mod unigram;
mod vocabulary_files;
mod wordpiece;
mod write_json;

/// Longest text that one call encodes, in bytes.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Texts by which models name tokens at which a turn or the generation ends. They count only for tokens that are
/// special, never for ordinary text.
const END_NAMES: &[&str] = &[
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<turn|>",
    "<|endofturn|>",
    "<|eos|>",
    "<|end_of_role|>",
    "<|END_OF_TURN_TOKEN|>",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
];

/// Whether texts that spell special tokens become them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// They stay text: for what a person wrote.
    Plain,
    /// They become the tokens: for a template's own text.
    Parse,
}

/// Whose text a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The template's own: special tokens count.
    Trusted,
    /// A person's or a document's: special tokens stay text.
    Untrusted,
}

/// A stretch of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its text.
    pub text: String,
    /// Whose it is.
    pub trust: Trust,
}

/// A vocabulary with its algorithm.
#[derive(Debug)]
pub struct Tokenizer {
    model: Model,
    special: SpecialTokens,
    /// The texts in the vocabulary file, with their ids.
    names: Lookup,
    /// What each token stands for.
    bytes: Strings,
    types: Vec<TokenType>,
    is_end: Vec<bool>,
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    add_bos: bool,
    add_eos: bool,
    /// Whether the first word of a text carries a space that the text does not have.
    first_space: FirstSpace,
    /// What a `tokenizer.json` puts around two texts.
    pair: Option<Pair>,
}

/// What stands around two texts that are read as one, and which type their tokens are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Before the first, of type 0 like it.
    pub before: Vec<TokenId>,
    /// Between them, of type 0.
    pub between: Vec<TokenId>,
    /// Behind the second, of its type.
    pub after: Vec<TokenId>,
    /// The type of the second text.
    pub second_type: u32,
}

/// Whether the first token of a text begins with a space that is not the text's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstSpace {
    Added,
    Own,
}

#[derive(Debug)]
enum Model {
    Spm(Box<Spm>),
    WordPiece(WordPiece),
    ByteBpe(Box<ByteBpe>),
    Unigram(Box<Unigram>),
    Json(Box<JsonModel>),
}

impl Tokenizer {
    /// Longest text that one call encodes, in bytes.
    pub const MAX_TEXT_BYTES: usize = MAX_TEXT_BYTES;

    /// Checks a vocabulary and makes it ready.
    ///
    /// # Errors
    /// Names the field that is missing, too long, out of range, or does not fit the others.
    pub fn from_parts(parts: VocabularyParts) -> Result<Self, Error> {
        parts::validate(&parts)?;
        let types = parts::token_types(&parts);
        let is_bert = parts.kind == VocabularyKind::WordPiece;
        let model = model(&parts, &types)?;
        let bos = if is_bert { parts.cls.or(parts.bos) } else { parts.bos };
        let eos = if is_bert { parts.sep.or(parts.eos) } else { parts.eos };
        let adds = adds(&parts)?;
        let mut is_end: Vec<bool> = types.iter().zip(&parts.tokens).map(is_named_end).collect();
        for end in parts.ends.iter().chain(&eos) {
            is_end[end.index()] = true;
        }
        let adds_bos = matches!(adds, Adds::Begin | Adds::BeginAndEnd);
        let adds_eos = matches!(adds, Adds::End | Adds::BeginAndEnd);
        Ok(Self {
            model,
            special: SpecialTokens::new(&parts.tokens, &types),
            bytes: Strings::new(
                parts.tokens.iter().zip(&types).map(|(text, kind)| bytes_of(&parts, text, *kind)),
            ),
            names: Lookup::new(parts.tokens.iter().map(Some)),
            types,
            is_end,
            bos,
            eos,
            add_bos: parts.add_bos.unwrap_or(adds_bos) && bos.is_some(),
            add_eos: parts.add_eos.unwrap_or(adds_eos) && eos.is_some(),
            first_space: if is_bert { FirstSpace::Added } else { first_space(&parts) },
            pair: None,
        })
    }

    /// Reads a Hugging Face `tokenizer.json`. Its post-processor tells the begin and end tokens that are added to a
    /// text; other ends stand in other files: [`Tokenizer::with_ends`] adds them.
    ///
    /// # Errors
    /// [`Error::BadTokenizerJson`] with what is wrong, or a limit that the file exceeds.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let read = json::read(bytes)?;
        let native = match read.model.is_plain() {
            true => json_native::model(bytes, &read.tokens, &read.types),
            false => None,
        };
        let tokenizer = Self {
            model: match native {
                Some(model) => Model::ByteBpe(Box::new(model)),
                None => Model::Json(Box::new(read.model)),
            },
            special: SpecialTokens::new(&read.tokens, &read.types),
            names: Lookup::new(read.tokens.iter().map(|text| (!text.is_empty()).then_some(text))),
            bytes: Strings::new(&read.bytes),
            is_end: read.types.iter().zip(&read.tokens).map(is_named_end).collect(),
            types: read.types,
            bos: None,
            eos: None,
            add_bos: read.bos.is_some(),
            add_eos: read.eos.is_some(),
            first_space: read.first_space,
            pair: read.pair,
        };
        tokenizer.with_ends(read.bos.map(TokenId), read.eos.map(TokenId), &[])
    }

    /// The same tokenizer with these begin and end tokens, where they are given, and further tokens that end a
    /// generation.
    ///
    /// # Errors
    /// [`Error::IdOutOfRange`] for an id that is no token.
    pub fn with_ends(
        mut self,
        bos: Option<TokenId>,
        eos: Option<TokenId>,
        ends: &[TokenId],
    ) -> Result<Self, Error> {
        let n_tokens = self.len();
        let named = [("bos", bos), ("eos", eos)].into_iter().filter_map(|(field, id)| Some((field, id?)));
        for (field, id) in named.chain(ends.iter().map(|id| ("ends", *id))) {
            if id.index() >= n_tokens {
                return Err(Error::IdOutOfRange { field, id, n_tokens });
            }
        }
        (self.bos, self.eos) = (bos.or(self.bos), eos.or(self.eos));
        for end in eos.iter().chain(ends) {
            self.is_end[end.index()] = true;
        }
        Ok(self)
    }

    /// Token ids of a text, without begin or end tokens.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] above [`Tokenizer::MAX_TEXT_BYTES`]; [`Error::NoTokenFor`] where a vocabulary lacks single bytes
    /// and has no token for what is unknown.
    pub fn encode(&self, text: &str, special: Special) -> Result<Vec<TokenId>, Error> {
        let trusted = 0..text.len();
        self.encode_trusting(
            text,
            if special == Special::Parse { std::slice::from_ref(&trusted) } else { &[] },
        )
    }

    /// Token ids of a prompt in segments: exactly those of the whole text, except that special tokens count only
    /// where all of their text is trusted.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] above [`Tokenizer::MAX_TEXT_BYTES`]; [`Error::NoTokenFor`] where a vocabulary lacks single bytes
    /// and has no token for what is unknown.
    pub fn encode_segments(&self, segments: &[Segment]) -> Result<Vec<TokenId>, Error> {
        let found = segments.iter().map(|segment| segment.text.len()).sum();
        check_length(found)?;
        let mut text = String::with_capacity(found);
        let mut trusted: Vec<Range<usize>> = Vec::new();
        for segment in segments {
            let start = text.len();
            text.push_str(&segment.text);
            match trusted.last_mut() {
                _ if segment.trust == Trust::Untrusted => {}
                Some(last) if last.end == start => last.end = text.len(),
                _ => trusted.push(start..text.len()),
            }
        }
        self.encode_trusting(&text, &trusted)
    }

    fn encode_trusting(&self, text: &str, trusted: &[Range<usize>]) -> Result<Vec<TokenId>, Error> {
        check_length(text.len())?;
        let stretches = self.special.cut(text, trusted);
        let mut ids = Vec::new();
        if let Model::Json(model) = &self.model {
            ids = model.encode(text, stretches)?;
            return Ok(ids.into_iter().map(TokenId).collect());
        }
        for (place, stretch) in stretches.iter().enumerate() {
            match stretch {
                Stretch::Token(id, _) => ids.push(*id),
                Stretch::Text(range) => {
                    let beside = |place: Option<usize>| match stretches.get(place?) {
                        Some(Stretch::Token(id, _)) if !self.is_special(TokenId(*id)) => Some(Beside::Text),
                        _ => None,
                    };
                    let before = beside(place.checked_sub(1)).unwrap_or(Beside::Edge);
                    let after = beside(Some(place + 1)).unwrap_or(Beside::Edge);
                    self.encode_text(text, range.clone(), (before, after), &mut ids)?;
                }
            }
        }
        Ok(ids.into_iter().map(TokenId).collect())
    }

    /// Appends the tokens of a stretch without special tokens.
    fn encode_text(
        &self,
        text: &str,
        range: Range<usize>,
        beside: (Beside, Beside),
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let start = range.start;
        match &self.model {
            Model::Spm(model) => model.encode(&text[range], beside, ids)?,
            Model::Unigram(model) => model.encode(&text[range], beside, ids)?,
            Model::WordPiece(model) => model.encode(&text[range], ids),
            Model::ByteBpe(model) => model.encode(&text[range], ids).map_err(|at| {
                let at = text.floor_char_boundary(start + at);
                let character =
                    text[at..].chars().next().expect("a byte without a token stands at this place");
                Error::NoTokenFor { character, at }
            })?,
            Model::Json(_) => {}
        }
        Ok(())
    }

    /// The text of ids at the start of a text, without special tokens. Bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        let mut detokenizer = Detokenizer::new(Begin::Text, ShowSpecial::No);
        let mut text: String = ids.iter().map(|id| detokenizer.push(self, *id)).collect();
        text.push_str(&detokenizer.finish());
        text
    }

    /// Number of tokens.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// The begin token (BERT: `[CLS]`).
    pub fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// The end token (BERT: `[SEP]`).
    pub fn eos(&self) -> Option<TokenId> {
        self.eos
    }

    /// Whether a prompt begins with [`Tokenizer::bos`].
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether a prompt ends with [`Tokenizer::eos`].
    pub fn add_eos(&self) -> bool {
        self.add_eos
    }

    /// What stands around two texts that are read as one: as the file says it, else as models of this kind of vocabulary
    /// have learned it. BERT tells the second text by its type, RoBERTa by a second end between them.
    pub fn pair(&self) -> Pair {
        if let Some(pair) = &self.pair {
            return pair.clone();
        }
        let is_bert = matches!(self.model, Model::WordPiece(_));
        let (begin, end) = (Vec::from_iter(self.bos), Vec::from_iter(self.eos));
        let between = if is_bert { end.clone() } else { end.repeat(2) };
        Pair { before: begin, between, after: end, second_type: u32::from(is_bert) }
    }

    /// Whether generation ends at this token.
    pub fn is_end(&self, id: TokenId) -> bool {
        self.is_end.get(id.index()).copied().unwrap_or(false)
    }

    /// Whether this token steers the model and is no text.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.token_type(id).is_some_and(|kind| matches!(kind, TokenType::Control | TokenType::Unknown))
    }

    /// The type of a token; `None` past the vocabulary.
    pub fn token_type(&self, id: TokenId) -> Option<TokenType> {
        self.types.get(id.index()).copied()
    }

    /// The token with exactly this text in the vocabulary file.
    pub fn find(&self, text: &str) -> Option<TokenId> {
        self.names.find(text.as_bytes()).map(TokenId)
    }

    /// The bytes that a token stands for, special tokens by their name; empty past the vocabulary.
    pub fn token_bytes(&self, id: TokenId) -> &[u8] {
        self.bytes.get(id.index()).unwrap_or(&[])
    }

    /// A token as a person reads it: its text with spaces as spaces; bytes that are no text as `<0xXX>`.
    pub fn token_text(&self, id: TokenId) -> Cow<'_, str> {
        let bytes = self.token_bytes(id);
        match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(bytes.iter().map(|byte| format!("<0x{byte:02X}>")).collect()),
        }
    }

    pub(crate) fn first_space(&self) -> FirstSpace {
        self.first_space
    }
}

fn check_length(found: usize) -> Result<(), Error> {
    match found > MAX_TEXT_BYTES {
        true => Err(Error::TextTooLong { found, limit: MAX_TEXT_BYTES }),
        false => Ok(()),
    }
}

/// Whether a special token is called as models call the end of a turn.
fn is_named_end((kind, text): (&TokenType, &String)) -> bool {
    *kind == TokenType::Control && END_NAMES.contains(&text.as_str())
}

fn first_space(parts: &VocabularyParts) -> FirstSpace {
    let is_usual = matches!(parts.kind, VocabularyKind::Spm | VocabularyKind::Unigram);
    match parts.add_space_prefix.unwrap_or(is_usual) {
        true => FirstSpace::Added,
        false => FirstSpace::Own,
    }
}

/// What a prompt gets where a vocabulary does not say it.
fn adds(parts: &VocabularyParts) -> Result<Adds, Error> {
    Ok(match parts.kind {
        VocabularyKind::ByteBpe => pretokenizer::find(&parts.pre_tokenizer)?.adds,
        VocabularyKind::Spm => Adds::Begin,
        VocabularyKind::WordPiece => Adds::BeginAndEnd,
        VocabularyKind::Unigram => Adds::End,
    })
}

fn model(parts: &VocabularyParts, types: &[TokenType]) -> Result<Model, Error> {
    let unknown = parts.unk.map(|id| id.0);
    let is_unigram = parts.kind == VocabularyKind::Unigram;
    let extra_spaces = match parts.remove_extra_spaces.unwrap_or(is_unigram) {
        true => ExtraSpaces::Removed,
        false => ExtraSpaces::Kept,
    };
    let normalizer = || -> Result<Normalizer, Error> {
        let map = LetterMap::read(&parts.letter_map)?;
        Ok(Normalizer { first_space: first_space(parts), extra_spaces, map })
    };
    let (tokens, scores) = (&parts.tokens, &parts.scores);
    Ok(match parts.kind {
        VocabularyKind::Spm => Model::Spm(Box::new(Spm::new(tokens, scores, types, unknown, normalizer()?))),
        VocabularyKind::Unigram => {
            Model::Unigram(Box::new(Unigram::new(tokens, scores, types, unknown, normalizer()?)))
        }
        VocabularyKind::WordPiece => {
            let casing = if parts.lowercase == Some(false) { Casing::Kept } else { Casing::Folded };
            Model::WordPiece(WordPiece::new(tokens, types, unknown, casing))
        }
        VocabularyKind::ByteBpe => Model::ByteBpe(Box::new(ByteBpe::new(parts, types)?)),
    })
}

/// The bytes that a token stands for.
fn bytes_of(parts: &VocabularyParts, text: &str, token_type: TokenType) -> Vec<u8> {
    match (parts.kind, token_type) {
        (_, TokenType::Byte) => parts::byte_of(text).into_iter().collect(),
        (VocabularyKind::ByteBpe, TokenType::Normal | TokenType::Unused) => {
            let letters = pretokenizer::find(&parts.pre_tokenizer).map(|row| row.letters);
            byte_bpe::word_bytes(letters.unwrap_or(pretokenizer::Letters::Bytes), text)
        }
        (_, TokenType::Normal | TokenType::Unused) => normalizer::plain_spaces(text).into(),
        _ => text.as_bytes().to_vec(),
    }
}
