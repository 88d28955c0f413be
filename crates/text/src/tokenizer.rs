//! A tokenizer: text to token ids, and what each id is.
//!
//! Does not stream ids back into text (that is [`crate::Detokenizer`]) and does not decide whether a prompt gets
//! its begin token: the caller asks [`Tokenizer::add_bos`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use base::TokenId;

use crate::{Begin, Detokenizer, Error, ShowSpecial};
use byte_bpe::ByteBpe;
use json::JsonModel;
use parts::{TokenType, VocabularyKind, VocabularyParts};
use special::{SpecialTokens, Stretch};
use spm::Spm;
use wordpiece::WordPiece;

pub(crate) mod byte_bpe;
mod json;
mod merge;
pub mod parts;
pub(crate) mod pretokenizer;
mod special;
mod spm;
mod wordpiece;
mod write_json;

/// Longest text that one call encodes, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 << 20;

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
    tokens: Vec<Token>,
    by_text: HashMap<Box<str>, u32>,
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    add_bos: bool,
    add_eos: bool,
    /// Whether the first word of a text carries a space that the text does not have.
    first_space: FirstSpace,
}

/// Whether the first token of a text begins with a space that is not the text's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstSpace {
    Added,
    Own,
}

#[derive(Debug)]
struct Token {
    bytes: Box<[u8]>,
    token_type: TokenType,
    is_end: bool,
}

#[derive(Debug)]
enum Model {
    Spm(Spm),
    WordPiece(WordPiece),
    ByteBpe(Box<ByteBpe>),
    Json(Box<JsonModel>),
}

impl Tokenizer {
    /// Checks a vocabulary and makes it ready.
    ///
    /// # Errors
    /// Names the field that is missing, too long, out of range, or does not fit the others.
    pub fn from_parts(parts: VocabularyParts) -> Result<Self, Error> {
        parts::validate(&parts)?;
        let types = parts::token_types(&parts);
        let unknown = parts.unk.map(|id| id.0);
        let is_bert = parts.kind == VocabularyKind::WordPiece;
        let adds_space = parts.add_space_prefix.unwrap_or(parts.kind == VocabularyKind::Spm);
        let first_space = if adds_space || is_bert { FirstSpace::Added } else { FirstSpace::Own };
        let model = match parts.kind {
            VocabularyKind::Spm => {
                Model::Spm(Spm::new(&parts.tokens, &parts.scores, &types, unknown, first_space))
            }
            VocabularyKind::WordPiece => Model::WordPiece(WordPiece::new(&parts.tokens, &types, unknown)),
            VocabularyKind::ByteBpe => Model::ByteBpe(Box::new(ByteBpe::new(&parts, &types)?)),
        };
        let bos = if is_bert { parts.cls.or(parts.bos) } else { parts.bos };
        let eos = if is_bert { parts.sep.or(parts.eos) } else { parts.eos };
        let adds_bos = match &model {
            Model::ByteBpe(model) => model.adds_bos(),
            Model::Spm(_) | Model::WordPiece(_) | Model::Json(_) => true,
        };
        let by_text = parts
            .tokens
            .iter()
            .enumerate()
            .rev()
            .map(|(id, token)| (token.as_str().into(), id as u32))
            .collect();
        let mut ends = parts.ends.clone();
        ends.extend(eos);
        Ok(Self {
            model,
            special: SpecialTokens::new(&parts.tokens, &types),
            tokens: tokens(&parts, &types, &ends),
            by_text,
            bos,
            eos,
            add_bos: parts.add_bos.unwrap_or(adds_bos) && bos.is_some(),
            add_eos: parts.add_eos.unwrap_or(is_bert) && eos.is_some(),
            first_space,
        })
    }

    /// Reads a Hugging Face `tokenizer.json`. Its post-processor tells the begin and end tokens that are added to a
    /// text; other ends stand in other files: [`Tokenizer::with_ends`] adds them.
    ///
    /// # Errors
    /// [`Error::BadTokenizerJson`] with what is wrong, or a limit that the file exceeds.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let read = json::read(bytes)?;
        let special = SpecialTokens::new(&read.tokens, &read.types);
        let by_text = read.tokens.iter().enumerate().filter(|(_, text)| !text.is_empty());
        let by_text = by_text.map(|(id, text)| (text.as_str().into(), id as u32)).collect();
        let token = |((text, bytes), token_type): ((&String, Vec<u8>), TokenType)| {
            let is_end = token_type == TokenType::Control && END_NAMES.contains(&text.as_str());
            Token { bytes: bytes.into(), token_type, is_end }
        };
        let tokenizer = Self {
            model: Model::Json(Box::new(read.model)),
            special,
            tokens: read.tokens.iter().zip(read.bytes).zip(read.types).map(token).collect(),
            by_text,
            bos: None,
            eos: None,
            add_bos: read.bos.is_some(),
            add_eos: read.eos.is_some(),
            first_space: read.first_space,
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
        let n_tokens = self.tokens.len();
        let named = [("bos", bos), ("eos", eos)].into_iter().filter_map(|(field, id)| Some((field, id?)));
        for (field, id) in named.chain(ends.iter().map(|id| ("ends", *id))) {
            if id.index() >= n_tokens {
                return Err(Error::IdOutOfRange { field, id, n_tokens });
            }
        }
        (self.bos, self.eos) = (bos.or(self.bos), eos.or(self.eos));
        for end in eos.iter().chain(ends) {
            self.tokens[end.index()].is_end = true;
        }
        Ok(self)
    }

    /// Token ids of a text, without begin or end tokens.
    ///
    /// # Errors
    /// [`Error::TextTooLong`] above [`MAX_TEXT_BYTES`]; [`Error::NoTokenFor`] where a vocabulary lacks single bytes
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
    /// [`Error::TextTooLong`] above [`MAX_TEXT_BYTES`]; [`Error::NoTokenFor`] where a vocabulary lacks single bytes
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
        for stretch in stretches {
            match stretch {
                Stretch::Token(id, _) => ids.push(id),
                Stretch::Text(range) => self.encode_text(text, range, &mut ids)?,
            }
        }
        Ok(ids.into_iter().map(TokenId).collect())
    }

    /// Appends the tokens of a stretch without special tokens.
    fn encode_text(&self, text: &str, range: Range<usize>, ids: &mut Vec<u32>) -> Result<(), Error> {
        let start = range.start;
        match &self.model {
            Model::Spm(model) => model.encode(&text[range], ids),
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
        self.tokens.len()
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

    /// Whether generation ends at this token.
    pub fn is_end(&self, id: TokenId) -> bool {
        self.tokens.get(id.index()).is_some_and(|token| token.is_end)
    }

    /// Whether this token steers the model and is no text.
    pub fn is_special(&self, id: TokenId) -> bool {
        self.token_type(id).is_some_and(|kind| matches!(kind, TokenType::Control | TokenType::Unknown))
    }

    /// The type of a token; `None` past the vocabulary.
    pub fn token_type(&self, id: TokenId) -> Option<TokenType> {
        Some(self.tokens.get(id.index())?.token_type)
    }

    /// The token with exactly this text in the vocabulary file.
    pub fn find(&self, text: &str) -> Option<TokenId> {
        self.by_text.get(text).copied().map(TokenId)
    }

    /// The bytes that a token stands for, special tokens by their name; empty past the vocabulary.
    pub fn token_bytes(&self, id: TokenId) -> &[u8] {
        self.tokens.get(id.index()).map_or(&[], |token| &token.bytes)
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

fn tokens(parts: &VocabularyParts, types: &[TokenType], ends: &[TokenId]) -> Vec<Token> {
    let mut tokens: Vec<Token> = parts
        .tokens
        .iter()
        .zip(types)
        .map(|(text, token_type)| {
            let is_text = matches!(token_type, TokenType::Normal | TokenType::Unused);
            let bytes = match (parts.kind, token_type) {
                (_, TokenType::Byte) => parts::byte_of(text).map_or_else(Vec::new, |byte| vec![byte]),
                (VocabularyKind::ByteBpe, _) if is_text => byte_bpe::piece_bytes(text),
                (VocabularyKind::Spm | VocabularyKind::WordPiece, _) if is_text => {
                    spm::plain_spaces(text).into()
                }
                _ => text.as_bytes().to_vec(),
            };
            let is_end = *token_type == TokenType::Control && END_NAMES.contains(&text.as_str());
            Token { bytes: bytes.into(), token_type: *token_type, is_end }
        })
        .collect();
    for end in ends {
        tokens[end.index()].is_end = true;
    }
    tokens
}
