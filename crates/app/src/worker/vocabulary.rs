//! The vocabulary and chat template that a GGUF file carries.
//!
//! Source: the `tokenizer.*` keys of the GGUF specification.

mod compiled;

use base::TokenId;
use formats::Metadata;
use formats::metadata::{Array, Strings, Value};
use text::{TokenType, Tokenizer, VocabularyKind, VocabularyParts};

pub(crate) use compiled::read_or_compile;

use crate::Failure;
use crate::event::Piece;

/// Reads the vocabulary.
///
/// # Errors
/// A key that is missing or of another type, a kind of vocabulary that is not known, or parts that do not fit.
pub(crate) fn read(metadata: &Metadata, file: &str) -> Result<Tokenizer, Failure> {
    Ok(Tokenizer::from_parts(parts(metadata, file)?)?)
}

/// The vocabulary as plain values.
///
/// # Errors
/// A key that is missing or of another type, or a kind of vocabulary that is not known.
pub(crate) fn parts(metadata: &Metadata, file: &str) -> Result<VocabularyParts, Failure> {
    let strings = |key: &str| -> Result<Vec<String>, formats::Error> {
        let found = metadata.find::<&Strings>(key)?;
        Ok(found.map(|list| list.iter().map(str::to_owned).collect()).unwrap_or_default())
    };
    let id = |key: &str| -> Result<Option<TokenId>, formats::Error> {
        Ok(metadata.find::<u32>(&format!("tokenizer.ggml.{key}_token_id"))?.map(TokenId))
    };
    let flag = |key: &str| metadata.find::<bool>(&format!("tokenizer.ggml.{key}"));
    let model: &str = metadata.read("tokenizer.ggml.model")?;
    let pre = metadata.find::<&str>("tokenizer.ggml.pre")?.unwrap_or_default();
    let mut parts = VocabularyParts::from_gguf(model, pre, strings("tokenizer.ggml.tokens")?)
        .map_err(|error| unknown_kind(&error, file))?;
    let scores = metadata.find::<&[f32]>("tokenizer.ggml.scores")?;
    parts.scores = scores.map(<[f32]>::to_vec).unwrap_or_default();
    let types = metadata.find::<Vec<i64>>("tokenizer.ggml.token_type")?.unwrap_or_default();
    let number = |number: i64| TokenType::from_gguf(i32::try_from(number).unwrap_or_default());
    parts.token_types = types.into_iter().map(number).collect();
    parts.merges = strings("tokenizer.ggml.merges")?;
    (parts.bos, parts.eos) = (id("bos")?, id("eos")?);
    (parts.unk, parts.pad) = (id("unknown")?, id("padding")?);
    // The specification writes this key with one "a" too few.
    (parts.sep, parts.cls) = (id("seperator")?, id("cls")?);
    parts.ends = [id("eot")?, id("eom")?].into_iter().flatten().collect();
    (parts.add_bos, parts.add_eos) = (flag("add_bos_token")?, flag("add_eos_token")?);
    parts.add_space_prefix = flag("add_space_prefix")?;
    parts.remove_extra_spaces = flag("remove_extra_whitespaces")?;
    let map = metadata.find::<Vec<i64>>("tokenizer.ggml.precompiled_charsmap")?.unwrap_or_default();
    parts.letter_map = map.into_iter().map(|byte| byte as u8).collect();
    Ok(parts)
}

fn unknown_kind(error: &text::Error, file: &str) -> Failure {
    let hint = "llama, gpt2, bert, t5 and gemma4 vocabularies are known";
    Failure::new("unknown_vocabulary", format!("{file}: {error}"), hint)
}

/// A token as people read it.
pub(crate) fn piece(tokenizer: &Tokenizer, id: TokenId) -> Piece {
    let (text, bytes) = (tokenizer.token_text(id).into_owned(), tokenizer.token_bytes(id));
    Piece { id: id.0, bytes: (bytes != text.as_bytes()).then(|| bytes.to_vec()), text }
}

/// Writes a vocabulary, and the chat template that goes with it, into the metadata of a GGUF file.
pub(crate) fn describe(parts: &VocabularyParts, template: Option<&str>, metadata: &mut Metadata) {
    let mut text = |key: &str, value: &str| metadata.insert(key, Value::String(value.into()));
    text("tokenizer.ggml.model", parts.gguf_model());
    let pre = if parts.pre_tokenizer.is_empty() { "default" } else { &parts.pre_tokenizer };
    text("tokenizer.ggml.pre", pre);
    if let Some(template) = template {
        text("tokenizer.chat_template", template);
    }
    let strings = |list: &[String]| Value::Array(Array::Strings(list.iter().collect()));
    metadata.insert("tokenizer.ggml.tokens", strings(&parts.tokens));
    if !parts.merges.is_empty() || parts.kind == VocabularyKind::ByteBpe {
        metadata.insert("tokenizer.ggml.merges", strings(&parts.merges));
    }
    let types = parts.token_types.iter().map(|kind| kind.to_gguf());
    metadata.insert("tokenizer.ggml.token_type", Value::Array(Array::I32(types.collect())));
    if !parts.scores.is_empty() {
        metadata.insert("tokenizer.ggml.scores", Value::Array(Array::F32(parts.scores.clone())));
    }
    let ids = [
        ("bos", parts.bos),
        ("eos", parts.eos),
        ("unknown", parts.unk),
        ("padding", parts.pad),
        ("eot", parts.ends.first().copied()),
    ];
    for (key, id) in ids {
        if let Some(id) = id {
            metadata.insert(&format!("tokenizer.ggml.{key}_token_id"), Value::U32(id.0));
        }
    }
    for (key, flag) in [("bos", parts.add_bos), ("eos", parts.add_eos)] {
        if let Some(flag) = flag {
            metadata.insert(&format!("tokenizer.ggml.add_{key}_token"), Value::Bool(flag));
        }
    }
    super::one_file::describe_more(parts, metadata);
}
