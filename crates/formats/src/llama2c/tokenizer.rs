//! The tokenizer file of llama2.c: the longest token's length, then per token its score, length and text.
//!
//! The file does not say how many tokens it has: that is the checkpoint's number, and the file must hold exactly
//! as many. Does not tokenise.

use crate::FileBytes;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::metadata::Strings;

/// Score and length.
const LEAST_TOKEN: usize = 8;
const MAX_TOKEN: i32 = 1 << 16;
const MAX_HEADER: usize = 256 << 20;

/// The tokens of a vocabulary and their scores, by id.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokenizer {
    /// Bytes of the longest token.
    pub max_token_length: usize,
    /// The text of each token.
    pub tokens: Strings,
    /// How much each token is wanted when neighbours are merged; the highest goes first.
    pub scores: Vec<f32>,
}

/// Reads a tokenizer file of `vocab_size` tokens.
///
/// # Errors
/// [`Error::Truncated`] when the file has fewer tokens, [`Error::Size`] when it has more; [`Error::Invalid`] and
/// [`Error::Text`] for tokens that cannot be.
pub fn read_tokenizer(file: &FileBytes, vocab_size: usize) -> Result<Tokenizer, Error> {
    let mut cursor = Cursor::new(file.shared_label(), file.as_slice(), MAX_HEADER);
    let max_token_length = read_length(&mut cursor, "max_token_length", MAX_TOKEN)?;
    let needed = vocab_size.saturating_mul(LEAST_TOKEN);
    if needed > cursor.left() {
        let at = cursor.place(&format_args!("a vocabulary of {vocab_size} tokens"), cursor.position());
        return Err(Error::Truncated { at, needed: needed as u64, left: cursor.left() as u64 });
    }
    let text_bytes = cursor.left().saturating_sub(needed);
    let mut tokens = Strings::with_capacity(vocab_size, text_bytes);
    let mut scores = Vec::with_capacity(vocab_size);
    for id in 0..vocab_size {
        let (score, text) = read_token(&mut cursor, id, max_token_length)?;
        scores.push(score);
        tokens.push(text);
    }
    if cursor.left() > 0 {
        let at = cursor.place(&format_args!("a vocabulary of {vocab_size} tokens"), cursor.position());
        return Err(Error::Size { at, expected: cursor.position() as u64, found: file.size_bytes() });
    }
    Ok(Tokenizer { max_token_length, tokens, scores })
}

fn read_token<'a>(cursor: &mut Cursor<'a>, id: usize, longest: usize) -> Result<(f32, &'a str), Error> {
    let offset = cursor.position();
    let score = cursor.f32(&format_args!("score of token {id}"))?;
    if !score.is_finite() {
        let at = cursor.place(&format_args!("score of token {id}"), offset);
        return Err(Error::Invalid { at, found: score.to_string(), expected: "a finite number" });
    }
    let offset = cursor.position();
    let length = read_length(cursor, &format!("length of token {id}"), MAX_TOKEN)?;
    if length > longest {
        let at = cursor.place(&format_args!("length of token {id}"), offset);
        return Err(Error::Invalid { at, found: length.to_string(), expected: "at most max_token_length" });
    }
    let text = cursor.utf8(length, &format_args!("token {id}"))?;
    Ok((score, text))
}

fn read_length(cursor: &mut Cursor, field: &str, limit: i32) -> Result<usize, Error> {
    let offset = cursor.position();
    let found = cursor.i32(&field)?;
    match usize::try_from(found) {
        Ok(length) if found <= limit => Ok(length),
        Ok(length) => Err(Error::Limit {
            at: cursor.place(&field, offset),
            claimed: length as u64,
            limit: limit.unsigned_abs().into(),
        }),
        Err(_) => Err(Error::Invalid {
            at: cursor.place(&field, offset),
            found: found.to_string(),
            expected: "a length that is not negative",
        }),
    }
}

/// Whether a file begins like a tokenizer: three sound tokens, none empty.
pub(crate) fn looks_like_tokenizer(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new("".into(), bytes, MAX_HEADER);
    let Ok(longest @ 1..) = read_length(&mut cursor, "", MAX_TOKEN) else { return false };
    (0..3).all(|id| read_token(&mut cursor, id, longest).is_ok_and(|(_, text)| !text.is_empty()))
}
