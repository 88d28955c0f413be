//! tiktoken files: one line per token, its bytes in base 64, a space and its number.
//!
//! The file holds neither the cut nor the special tokens: the caller names the cut and adds the others with
//! [`VocabularyParts::with_special_tokens`] or [`VocabularyParts::with_tokenizer_config`]. Source: the files
//! `*.tiktoken` and `tokenizer.model` that OpenAI, Qwen, Llama 3 and Kimi published; base 64 by RFC 4648.

use base::TokenId;

use super::byte_bpe::letter_of;
use super::parts::{MAX_GAP, MAX_TOKEN_BYTES, MAX_TOKENS};
use super::pretokenizer::{self, PreTokenizer};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

impl VocabularyParts {
    /// Reads a tiktoken file. `pre_tokenizer` is a name that [`VocabularyParts::pre_tokenizer`] may have, such as
    /// `cl100k_base`, or the pattern of a known one to the letter. Numbers that the file leaves out are tokens that
    /// nothing produces.
    ///
    /// # Errors
    /// [`Error::BadVocabularyLine`] with the line; [`Error::UnknownPreTokenizer`]; [`Error::TooMany`].
    pub fn from_tiktoken(file: &[u8], pre_tokenizer: &str) -> Result<Self, Error> {
        let row = row_of(pre_tokenizer)?;
        let mut tokens: Vec<Option<String>> = Vec::new();
        for (line, text) in (1..).zip(file.split(|byte| *byte == b'\n')) {
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let (rank, token) = entry(text).map_err(|reason| Error::BadVocabularyLine {
                file: "tiktoken file",
                line,
                reason,
            })?;
            if rank >= MAX_TOKENS {
                return Err(Error::TooMany { field: "tokens", found: rank, limit: MAX_TOKENS });
            }
            if rank > tokens.len() + MAX_GAP {
                let (id, n_tokens) = (TokenId(rank as u32), tokens.len());
                return Err(Error::IdOutOfRange { field: "the id of a token", id, n_tokens });
            }
            if rank >= tokens.len() {
                tokens.resize(rank + 1, None);
            }
            if tokens[rank].replace(token).is_some() {
                let reason = "its number stands on an earlier line too";
                return Err(Error::BadVocabularyLine { file: "tiktoken file", line, reason });
            }
        }
        let type_of = |token: &Option<String>| match token {
            Some(_) => TokenType::Normal,
            None => TokenType::Unused,
        };
        let token_types = tokens.iter().map(type_of).collect();
        let named = (0..).zip(tokens).map(|(id, token)| token.unwrap_or_else(|| format!("<unused {id}>")));
        let pre_tokenizer = row.name.into();
        Ok(Self { token_types, pre_tokenizer, ..Self::new(VocabularyKind::ByteBpe, named.collect()) })
    }

    /// Whether a file begins as tiktoken files do: Llama 3 and GLM 4 call theirs `tokenizer.model`, as SentencePiece calls
    /// its own.
    pub fn looks_like_tiktoken(file: &[u8]) -> bool {
        let line = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
        line.len() <= 2 * MAX_TOKEN_BYTES && entry(line.trim_ascii_end()).is_ok()
    }
}

/// The cut that a name, or the pattern of a known one to the letter, stands for.
pub(super) fn row_of(pre_tokenizer: &str) -> Result<&'static PreTokenizer, Error> {
    match pretokenizer::find_by_regexes(&[pre_tokenizer]) {
        Some(row) => Ok(row),
        None => pretokenizer::find(pre_tokenizer),
    }
}

/// The number and the token of one line; the token in GPT-2's letters.
fn entry(line: &[u8]) -> Result<(usize, String), &'static str> {
    let space = line.iter().position(|byte| *byte == b' ').ok_or("there is no space before a number")?;
    let number = std::str::from_utf8(&line[space + 1..]).ok().and_then(|number| number.parse().ok());
    let rank: u32 = number.ok_or("what follows the space is no number")?;
    if space > MAX_TOKEN_BYTES {
        return Err("the token is longer than any real one");
    }
    let bytes = base_64(&line[..space]).ok_or("the token is not written in base 64")?;
    if bytes.is_empty() {
        return Err("the token is empty");
    }
    Ok((rank as usize, bytes.into_iter().map(letter_of).collect()))
}

/// The bytes of a text in base 64, padded or not.
pub(super) fn base_64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut n_bits) = (0u32, 0);
    for letter in text {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 & 0xFFFF | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    // A single letter left over holds no byte, and the bits after the last byte are zero.
    (n_bits < 6 && bits & ((1 << n_bits) - 1) == 0).then_some(bytes)
}

/// Bytes in base 64, padded.
pub(super) fn to_base_64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Special, Tokenizer};

    #[test]
    fn base_64_is_read_as_the_standard_says() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(base_64(text.as_bytes()).as_deref(), expected, "{text:?}");
        };
        check("", Some(b""));
        check("Zg==", Some(b"f"));
        check("Zm8=", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("Zm9vYmE", Some(b"fooba"));
        check("//79", Some(&[0xFF, 0xFE, 0xFD]));
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0xFF, 0, 0x7F, 0x80]] {
            check(&to_base_64(bytes), Some(bytes));
        }
        assert_eq!(to_base_64(b"fo"), "Zm8=");
        check("Z", None);
        check("Zh==", None);
        check("Zm9v Zg==", None);
    }

    #[test]
    fn neighbours_merge_into_the_smallest_number_the_left_ones_first() {
        // a b aa aaa, each line "base64 rank".
        let file = b"YQ== 0\nYg== 1\nYWE= 2\n\nYWFh 4\r\n";
        let parts = VocabularyParts::from_tiktoken(file, "cl100k_base").unwrap();
        assert_eq!(parts.token_types[3], TokenType::Unused);
        let tokenizer = Tokenizer::from_parts(parts).unwrap();
        let encode = |text: &str| -> Vec<u32> {
            tokenizer.encode(text, Special::Plain).unwrap().into_iter().map(|id| id.0).collect()
        };
        assert_eq!(encode("aaab"), [4, 1]);
        assert_eq!(encode("aaaa"), [2, 2]);
        assert_eq!(encode("aaaaa"), [2, 4]);
    }

    #[test]
    fn a_file_is_told_from_sentencepieces_by_its_first_line() {
        let check = |file: &[u8], expected: bool| {
            assert_eq!(VocabularyParts::looks_like_tiktoken(file), expected, "{file:?}");
        };
        check(b"IQ== 0\nIg== 1", true);
        check(b"IQ== 0\r\n", true);
        check(b"IQ== 0", true);
        check(b"", false);
        check(b"\nIQ== 0", false);
        check(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", false);
        check(&[b'A'; 20_000], false);
    }

    #[test]
    fn a_bad_line_is_named() {
        let check = |file: &str, expected: &str| {
            let error = VocabularyParts::from_tiktoken(file.as_bytes(), "qwen2").unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("YQ== 0\nYQ==", "tiktoken file: line 2: there is no space before a number");
        check("YQ== x", "tiktoken file: line 1: what follows the space is no number");
        check("Y* 0", "tiktoken file: line 1: the token is not written in base 64");
        check("= 0", "tiktoken file: line 1: the token is empty");
        check("YQ== 0\nYg== 0", "tiktoken file: line 2: its number stands on an earlier line too");
        check("YQ== 0\nYg== 4098", "vocabulary: the id of a token is 4098, but there are only 1 tokens");
        check("YQ== 4294967295", "vocabulary: tokens has 4294967295 entries, the limit is 2097152");
        let error = VocabularyParts::from_tiktoken(b"", "cl100k_bas").unwrap_err().to_string();
        assert!(error.contains("cl100k_base"), "{error}");
    }
}
