//! The older files of a vocabulary: GPT-2's `vocab.json` with `merges.txt`, BERT's `vocab.txt`, and what
//! `tokenizer_config.json` adds to any of them.
//!
//! Source: the files of GPT-2 (2019) and BERT (2018) as published, and `added_tokens_decoder` of the transformers
//! library.

use std::collections::BTreeMap;

use base::TokenId;
use serde::Deserialize;
use serde_json::Value;

use super::parts::{MAX_GAP, MAX_TOKENS};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

/// Longest of these files, in bytes.
const MAX_FILE_BYTES: usize = 64 << 20;
const VOCAB_JSON: &str = "vocab.json";
const CONFIG_JSON: &str = "tokenizer_config.json";

impl VocabularyParts {
    /// Reads `vocab.json` (texts in GPT-2's letters to ids) and `merges.txt`. Ids that the file leaves out are tokens
    /// that nothing produces.
    ///
    /// # Errors
    /// What is wrong in which file; [`Error::UnknownPreTokenizer`].
    pub fn from_vocab_json(vocabulary: &[u8], merges: &[u8], pre_tokenizer: &str) -> Result<Self, Error> {
        super::pretokenizer::find(pre_tokenizer)?;
        let ids: BTreeMap<String, u32> = json(VOCAB_JSON, vocabulary)?;
        let mut parts =
            Self { pre_tokenizer: pre_tokenizer.into(), ..Self::new(VocabularyKind::ByteBpe, Vec::new()) };
        let mut ids: Vec<(u32, String)> = ids.into_iter().map(|(text, id)| (id, text)).collect();
        ids.sort_unstable();
        for (id, text) in ids {
            parts.place(VOCAB_JSON, id, text, TokenType::Normal)?;
        }
        for text in lines("merges.txt", merges)? {
            if !text.is_empty() && !text.starts_with("#version") {
                parts.merges.push(text.into());
            }
        }
        Ok(parts)
    }

    /// Reads `vocab.txt`: a piece per line, those that continue a word marked by `##`. The tokens `[UNK]`, `[CLS]`,
    /// `[SEP]`, `[PAD]` and `[MASK]` are special; whether case counts says [`VocabularyParts::lowercase`].
    ///
    /// # Errors
    /// [`Error::BadVocabularyLine`] for a line that is no UTF-8.
    pub fn from_vocab_txt(file: &[u8]) -> Result<Self, Error> {
        let mut parts = Self::new(VocabularyKind::WordPiece, Vec::new());
        let mut texts = lines("vocab.txt", file)?;
        texts.truncate(texts.iter().rposition(|text| !text.is_empty()).map_or(0, |last| last + 1));
        for (id, text) in (0..).map(TokenId).zip(texts) {
            let field = match text {
                "[UNK]" => Some(&mut parts.unk),
                "[CLS]" => Some(&mut parts.cls),
                "[SEP]" => Some(&mut parts.sep),
                "[PAD]" => Some(&mut parts.pad),
                _ => None,
            };
            let is_special = field.is_some() || text == "[MASK]";
            if let Some(field) = field {
                field.get_or_insert(id);
            }
            parts.tokens.push(match text.strip_prefix("##") {
                _ if is_special => text.into(),
                Some(rest) if !rest.is_empty() => rest.into(),
                _ => format!("\u{2581}{text}"),
            });
            parts.token_types.push(match text {
                "[UNK]" => TokenType::Unknown,
                _ if is_special => TokenType::Control,
                _ => TokenType::Normal,
            });
        }
        Ok(parts)
    }

    /// The same vocabulary with these special tokens at their ids; it grows where they lie past its end.
    ///
    /// # Errors
    /// [`Error::TooMany`] for an id above every real vocabulary's, or the field that does not fit the others.
    pub fn with_special_tokens<'a>(
        mut self,
        tokens: impl IntoIterator<Item = (TokenId, &'a str)>,
    ) -> Result<Self, Error> {
        self.spell_out_types()?;
        for (id, text) in tokens {
            self.set(id.0, text.into(), TokenType::Control)?;
        }
        Ok(self)
    }

    /// The same vocabulary with what a `tokenizer_config.json` says: added tokens, begin, end, unknown and padding
    /// tokens, whether they stand around a prompt, and whether case counts.
    ///
    /// # Errors
    /// [`Error::BadVocabularyJson`]; [`Error::TooMany`] for an id above every real vocabulary's.
    pub fn with_tokenizer_config(mut self, file: &[u8]) -> Result<Self, Error> {
        let config: Config = json(CONFIG_JSON, file)?;
        self.spell_out_types()?;
        let number = |(id, added): (String, Added)| match id.parse::<u32>() {
            Ok(number) => Ok((number, added)),
            Err(_) => Err(bad(CONFIG_JSON, format!("the id {id:?} of an added token is no number"))),
        };
        let added = config.added_tokens_decoder.into_iter().map(number);
        let mut added = added.collect::<Result<Vec<(u32, Added)>, Error>>()?;
        added.sort_unstable_by_key(|(number, _)| *number);
        for (number, added) in added {
            let kind = if added.special { TokenType::Control } else { TokenType::UserDefined };
            self.set(number, added.content, kind)?;
        }
        let find = |named: Option<Value>| -> Option<TokenId> {
            let named = named?;
            let text = named.as_str().or(named["content"].as_str())?;
            let place = self.tokens.iter().rposition(|token| token == text)?;
            Some(TokenId(place as u32))
        };
        let (bos, eos) = (find(config.bos_token).or(self.bos), find(config.eos_token).or(self.eos));
        let (unk, pad) = (find(config.unk_token).or(self.unk), find(config.pad_token).or(self.pad));
        let (sep, cls) = (find(config.sep_token).or(self.sep), find(config.cls_token).or(self.cls));
        (self.bos, self.eos, self.unk, self.pad, self.sep, self.cls) = (bos, eos, unk, pad, sep, cls);
        self.add_bos = config.add_bos_token.or(self.add_bos);
        self.add_eos = config.add_eos_token.or(self.add_eos);
        self.lowercase = config.do_lower_case.or(self.lowercase);
        Ok(self)
    }

    /// Before a special token is added, every token has a type of its own.
    fn spell_out_types(&mut self) -> Result<(), Error> {
        super::parts::validate(self)?;
        if self.token_types.is_empty() {
            self.token_types = super::parts::token_types(self);
        }
        Ok(())
    }

    /// Puts a token at its id, which nothing else may have.
    fn place(&mut self, file: &'static str, id: u32, text: String, kind: TokenType) -> Result<(), Error> {
        if self.tokens.get(id as usize).is_some() && self.token_types[id as usize] != TokenType::Unused {
            return Err(bad(file, format!("two tokens have the id {id}")));
        }
        self.set(id, text, kind)
    }

    /// Puts a token at its id, whatever stood there.
    fn set(&mut self, id: u32, text: String, kind: TokenType) -> Result<(), Error> {
        let place = id as usize;
        if place >= MAX_TOKENS {
            return Err(Error::TooMany { field: "tokens", found: place, limit: MAX_TOKENS });
        }
        let n_tokens = self.tokens.len();
        if place > n_tokens + MAX_GAP {
            return Err(Error::IdOutOfRange { field: "the id of a token", id: TokenId(id), n_tokens });
        }
        while self.tokens.len() <= place {
            self.tokens.push(format!("<unused {}>", self.tokens.len()));
            self.token_types.push(TokenType::Unused);
            if matches!(self.kind, VocabularyKind::Spm | VocabularyKind::Unigram) {
                self.scores.push(0.0);
            }
        }
        (self.tokens[place], self.token_types[place]) = (text, kind);
        Ok(())
    }
}

/// What is read of a `tokenizer_config.json`. A named token is its text, or an object with its `content`.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, Added>,
    bos_token: Option<Value>,
    eos_token: Option<Value>,
    unk_token: Option<Value>,
    pad_token: Option<Value>,
    sep_token: Option<Value>,
    cls_token: Option<Value>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    do_lower_case: Option<bool>,
}

#[derive(Deserialize)]
struct Added {
    content: String,
    #[serde(default)]
    special: bool,
}

pub(super) fn json<'a, T: Deserialize<'a>>(file: &'static str, bytes: &'a [u8]) -> Result<T, Error> {
    limit(file, bytes)?;
    serde_json::from_slice(bytes).map_err(|error| bad(file, error.to_string()))
}

fn lines<'a>(file: &'static str, bytes: &'a [u8]) -> Result<Vec<&'a str>, Error> {
    limit(file, bytes)?;
    let line = |(line, text): (usize, &'a [u8])| {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let reason = "it is not UTF-8";
        std::str::from_utf8(text).map_err(|_| Error::BadVocabularyLine { file, line, reason })
    };
    (1..).zip(bytes.split(|byte| *byte == b'\n')).map(line).collect()
}

fn limit(file: &'static str, bytes: &[u8]) -> Result<(), Error> {
    match bytes.len() > MAX_FILE_BYTES {
        true => Err(Error::TooMany { field: file, found: bytes.len(), limit: MAX_FILE_BYTES }),
        false => Ok(()),
    }
}

pub(super) fn bad(file: &'static str, reason: String) -> Error {
    Error::BadVocabularyJson { file, reason: reason.chars().take(300).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Special, Tokenizer};

    fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode(text, Special::Parse).unwrap().into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_vocab_json_with_its_merges_and_configuration() {
        let vocabulary = br#"{"a": 0, "b": 1, "ab": 2, "\u0120": 4}"#;
        let parts = VocabularyParts::from_vocab_json(vocabulary, b"#version: 0.2\na b\r\n", "gpt-2").unwrap();
        let config = br#"{"added_tokens_decoder": {"6": {"content": "<|end|>", "special": true}, "7": {"content": "bb"}},
            "eos_token": {"content": "<|end|>"}, "bos_token": "<|end|>", "add_bos_token": true, "other": [1]}"#;
        let tokenizer = Tokenizer::from_parts(parts.with_tokenizer_config(config).unwrap()).unwrap();
        assert_eq!(encode(&tokenizer, "ab bb<|end|>"), [2, 4, 7, 6]);
        assert_eq!((tokenizer.len(), tokenizer.add_bos(), tokenizer.eos()), (8, true, Some(TokenId(6))));
        assert!(tokenizer.is_end(TokenId(6)) && tokenizer.token_type(TokenId(5)) == Some(TokenType::Unused));
    }

    #[test]
    fn a_vocab_txt_cased_and_not() {
        let file = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##a\n##\nUn\n,\n\n";
        let parts = VocabularyParts::from_vocab_txt(file).unwrap();
        assert_eq!((parts.tokens.len(), parts.pad, parts.cls), (9, Some(TokenId(0)), Some(TokenId(2))));
        let cased = VocabularyParts { lowercase: Some(false), ..parts.clone() };
        let (folded, cased) = (Tokenizer::from_parts(parts).unwrap(), Tokenizer::from_parts(cased).unwrap());
        assert_eq!(encode(&folded, "Una, un"), [4, 5, 8, 4]);
        assert_eq!(encode(&cased, "Una, una"), [7, 5, 8, 4, 5]);
        assert!(folded.add_bos() && folded.add_eos());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let read = |vocabulary: &[u8], merges: &[u8]| {
            let parts = VocabularyParts::from_vocab_json(vocabulary, merges, "")?;
            Tokenizer::from_parts(parts).map(|_| ())
        };
        let check = |found: Result<(), Error>, expected: &str| {
            assert_eq!(found.unwrap_err().to_string(), expected);
        };
        check(read(b"{", b""), "vocab.json: EOF while parsing an object at line 1 column 1");
        check(read(br#"{"a": 0, "b": 0}"#, b""), "vocab.json: two tokens have the id 0");
        check(
            read(br#"{"a": 4000000000}"#, b""),
            "vocabulary: tokens has 4000000000 entries, the limit is 2097152",
        );
        check(read(br#"{"a": 0}"#, b"\xFF"), "merges.txt: line 1: it is not UTF-8");
        check(read(br#"{"a": 0}"#, b"a a"), "vocabulary: merge 0 needs the token \"aa\", which is not there");
        check(read(b"{}", b""), "vocabulary: tokens is missing");
    }
}
