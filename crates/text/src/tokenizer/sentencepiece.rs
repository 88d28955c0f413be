//! SentencePiece's `tokenizer.model`: its pieces, how it segments, and how it normalises.
//!
//! Of the four kinds of model, byte-pair merging and unigram; not the word and letter models, nor marks for spaces behind
//! words, which no language model in use has. An added token that begins a text gets no space before it, as in GGUF files
//! and other than in the library. Source: `sentencepiece_model.proto` of T. Kudo's SentencePiece.

use base::TokenId;

use super::parts::MAX_TOKENS;
use super::protobuf::{Field, Message, Wrong};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

/// Longest file, in bytes; those in use have up to 5 MB.
const MAX_FILE_BYTES: usize = 256 << 20;

impl VocabularyParts {
    /// Reads a `tokenizer.model`.
    ///
    /// # Errors
    /// [`Error::BadSentencePiece`] with the place and what is wrong there; [`Error::TooMany`].
    pub fn from_sentencepiece(file: &[u8]) -> Result<Self, Error> {
        if file.len() > MAX_FILE_BYTES {
            let field = "bytes of tokenizer.model";
            return Err(Error::TooMany { field, found: file.len(), limit: MAX_FILE_BYTES });
        }
        let parts = read(file).map_err(|Wrong { at, reason }| Error::BadSentencePiece { at, reason })?;
        match parts.tokens.len() {
            0 => Err(Error::MissingField { field: "tokens" }),
            _ => Ok(parts),
        }
    }
}

fn read(file: &[u8]) -> Result<VocabularyParts, Wrong> {
    // What a message leaves out has the default of its field.
    let mut parts = VocabularyParts {
        add_space_prefix: Some(true),
        remove_extra_spaces: Some(true),
        ..VocabularyParts::new(VocabularyKind::Unigram, Vec::new())
    };
    let mut ids = [Some(0), Some(1), Some(2), None];
    let mut message = Message::new(file, 0);
    while let Some(field) = message.next()? {
        match field.number {
            1 => piece(&field, &mut parts)?,
            2 => training(&field, &mut parts, &mut ids)?,
            3 => normalization(&field, &mut parts)?,
            _ => {}
        }
    }
    let id = |id: Option<u32>| id.filter(|id| (*id as usize) < parts.tokens.len()).map(TokenId);
    let [unk, bos, eos, pad] = ids.map(id);
    Ok(VocabularyParts { unk, bos, eos, pad, ..parts })
}

/// The fields of a message inside another.
fn inside<'a>(field: &Field<'a>) -> Result<Message<'a>, Wrong> {
    // The tag and the length before it have a few bytes; an error inside may be placed so many too early.
    Ok(Message::new(field.bytes()?, field.at))
}

fn piece(field: &Field, parts: &mut VocabularyParts) -> Result<(), Wrong> {
    if parts.tokens.len() >= MAX_TOKENS {
        return Err(field.wrong("it has more pieces than any real vocabulary"));
    }
    let (mut text, mut score, mut kind) = ("", 0.0, TokenType::Normal);
    let mut message = inside(field)?;
    while let Some(field) = message.next()? {
        match field.number {
            1 => text = field.text()?,
            2 => score = field.float()?,
            3 => kind = TokenType::from_gguf(i32::try_from(field.number()?).unwrap_or_default()),
            _ => {}
        }
    }
    parts.tokens.push(text.to_owned());
    parts.scores.push(score);
    parts.token_types.push(kind);
    Ok(())
}

fn training(field: &Field, parts: &mut VocabularyParts, ids: &mut [Option<u32>; 4]) -> Result<(), Wrong> {
    let mut message = inside(field)?;
    while let Some(field) = message.next()? {
        match field.number {
            3 => {
                parts.kind = match field.number()? {
                    1 => VocabularyKind::Unigram,
                    2 => VocabularyKind::Spm,
                    _ => return Err(field.wrong("its model is neither unigram nor byte-pair merging")),
                }
            }
            24 if field.number()? != 0 => {
                return Err(field.wrong("it marks spaces behind words, which is not known here"));
            }
            // A negative id is none.
            number @ 40..=43 => ids[number as usize - 40] = u32::try_from(field.number()?).ok(),
            _ => {}
        }
    }
    Ok(())
}

fn normalization(field: &Field, parts: &mut VocabularyParts) -> Result<(), Wrong> {
    let mut message = inside(field)?;
    while let Some(field) = message.next()? {
        match field.number {
            2 => parts.letter_map = field.bytes()?.to_vec(),
            3 => parts.add_space_prefix = Some(field.number()? != 0),
            4 => parts.remove_extra_spaces = Some(field.number()? != 0),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that holds bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn what_a_file_leaves_out_has_its_default() {
        let file =
            [field(1, &field(1, b"a")), field(1, &[&field(1, "▁".as_bytes())[..], &[0x18, 3]].concat())];
        let parts = VocabularyParts::from_sentencepiece(&file.concat()).unwrap();
        assert_eq!((parts.kind, &parts.tokens[..]), (VocabularyKind::Unigram, &["a".into(), "▁".into()][..]));
        assert_eq!(parts.token_types, [TokenType::Normal, TokenType::Control]);
        assert_eq!((parts.unk, parts.bos, parts.eos), (Some(TokenId(0)), Some(TokenId(1)), None));
        assert_eq!((parts.add_space_prefix, parts.remove_extra_spaces), (Some(true), Some(true)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |file: &[u8], expected: &str| {
            let error = VocabularyParts::from_sentencepiece(file).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(b"", "vocabulary: tokens is missing");
        check(&field(1, &field(1, &[0xFF])), "tokenizer.model: byte 0: a text is not UTF-8");
        check(&[0x0A, 9], "tokenizer.model: byte 2: the message ends too early");
        let word_model = field(2, &[0x18, 3]);
        check(&word_model, "tokenizer.model: byte 0: its model is neither unigram nor byte-pair merging");
        let suffix = field(2, &[0xC0, 0x01, 1]);
        check(&suffix, "tokenizer.model: byte 0: it marks spaces behind words, which is not known here");
    }
}
