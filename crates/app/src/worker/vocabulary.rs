//! The vocabulary and chat template that a GGUF file carries.
//!
//! Source: the `tokenizer.*` keys of the GGUF specification.

use base::TokenId;
use formats::Metadata;
use formats::metadata::Strings;
use text::{TokenType, Tokenizer, VocabularyKind, VocabularyParts};

use crate::Failure;
use crate::event::Piece;

/// Reads the vocabulary.
///
/// # Errors
/// A key that is missing or of another type, a kind of vocabulary that is not known, or parts that do not fit.
pub(crate) fn read(metadata: &Metadata, file: &str) -> Result<Tokenizer, Failure> {
    let strings = |key: &str| -> Result<Vec<String>, formats::Error> {
        let found = metadata.find::<&Strings>(key)?;
        Ok(found.map(|list| list.iter().map(str::to_owned).collect()).unwrap_or_default())
    };
    let id = |key: &str| -> Result<Option<TokenId>, formats::Error> {
        Ok(metadata.find::<u32>(&format!("tokenizer.ggml.{key}_token_id"))?.map(TokenId))
    };
    let flag = |key: &str| metadata.find::<bool>(&format!("tokenizer.ggml.{key}"));
    let kind = kind(metadata.read("tokenizer.ggml.model")?, file)?;
    let mut parts = VocabularyParts::new(kind, strings("tokenizer.ggml.tokens")?);
    let scores = metadata.find::<&[f32]>("tokenizer.ggml.scores")?;
    parts.scores = scores.map(<[f32]>::to_vec).unwrap_or_default();
    let types = metadata.find::<Vec<i64>>("tokenizer.ggml.token_type")?.unwrap_or_default();
    let number = |number: i64| TokenType::from_gguf(i32::try_from(number).unwrap_or_default());
    parts.token_types = types.into_iter().map(number).collect();
    parts.merges = strings("tokenizer.ggml.merges")?;
    parts.pre_tokenizer = metadata.find::<&str>("tokenizer.ggml.pre")?.unwrap_or_default().to_owned();
    (parts.bos, parts.eos) = (id("bos")?, id("eos")?);
    (parts.unk, parts.pad) = (id("unknown")?, id("padding")?);
    // The specification writes this key with one "a" too few.
    (parts.sep, parts.cls) = (id("seperator")?, id("cls")?);
    parts.ends = [id("eot")?, id("eom")?].into_iter().flatten().collect();
    (parts.add_bos, parts.add_eos) = (flag("add_bos_token")?, flag("add_eos_token")?);
    parts.add_space_prefix = flag("add_space_prefix")?;
    Ok(Tokenizer::from_parts(parts)?)
}

fn kind(name: &str, file: &str) -> Result<VocabularyKind, Failure> {
    match name {
        "llama" => Ok(VocabularyKind::Spm),
        "bert" => Ok(VocabularyKind::WordPiece),
        "gpt2" => Ok(VocabularyKind::ByteBpe),
        other => {
            let message = format!("{file}: vocabularies of kind {other:?} are not known");
            Err(Failure::new("unknown_vocabulary", message, "llama, gpt2 and bert vocabularies are"))
        }
    }
}

/// A token as people read it.
pub(crate) fn piece(tokenizer: &Tokenizer, id: TokenId) -> Piece {
    Piece { id: id.0, text: tokenizer.token_text(id).into_owned() }
}
