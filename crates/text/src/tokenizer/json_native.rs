//! Tells whether a `tokenizer.json` is byte-level merging with a known cut, which this crate runs itself: faster, and in a
//! form that can be compiled.
//!
//! Whatever it does not know to be the same is left to the file's own library. Source: the serialised form of the
//! `tokenizers` library, as the `tokenizer.json` of published models show it.

use serde::Deserialize;
use serde_json::Value;

use super::byte_bpe::{ByteBpe, Form};
use super::pretokenizer;
use crate::{TokenType, VocabularyKind, VocabularyParts};

/// What is read of the file.
#[derive(Deserialize)]
struct File {
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    decoder: Option<Value>,
    model: Merging,
}

/// A model that merges; a file of another kind does not have these fields and is not read.
#[derive(Deserialize)]
struct Merging {
    #[serde(default)]
    dropout: Option<f32>,
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: Option<bool>,
    #[serde(default)]
    ignore_merges: Option<bool>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair(String, String),
}

/// The model of a file, for these tokens; `None` where it is not one of those that are known.
pub(super) fn model(bytes: &[u8], tokens: &[String], types: &[TokenType]) -> Option<ByteBpe> {
    let (parts, form) = parts(bytes, tokens)?;
    ByteBpe::new(&parts, types).ok().map(|model| model.of_form(form)).filter(ByteBpe::knows_every_byte)
}

/// The same as plain values, without types; and the form in which the file wants its text.
pub(super) fn parts(bytes: &[u8], tokens: &[String]) -> Option<(VocabularyParts, Form)> {
    let file: File = serde_json::from_slice(bytes).ok()?;
    let form = match &file.normalizer {
        None => Form::AsWritten,
        Some(normalizer) if normalizer["type"] == "NFC" => Form::Composed,
        Some(_) => return None,
    };
    let model = file.model;
    let is_plain = model.dropout.is_none()
        && model.unk_token.is_none()
        && model.continuing_subword_prefix.is_none_or(|prefix| prefix.is_empty())
        && model.end_of_word_suffix.is_none_or(|suffix| suffix.is_empty())
        && model.byte_fallback != Some(true)
        && !model.merges.is_empty()
        && file.decoder?["type"] == "ByteLevel";
    if !is_plain {
        return None;
    }
    let regexes = regexes(file.pre_tokenizer.as_ref()?)?;
    let ignores_merges = model.ignore_merges == Some(true);
    let row = pretokenizer::all_by_regexes(&regexes).find(|row| row.whole_words_first == ignores_merges)?;
    let line = |merge| match merge {
        Merge::Line(line) => line,
        Merge::Pair(left, right) => format!("{left} {right}"),
    };
    let parts = VocabularyParts {
        merges: model.merges.into_iter().map(line).collect(),
        pre_tokenizer: row.name.into(),
        ..VocabularyParts::new(VocabularyKind::ByteBpe, tokens.to_vec())
    };
    Some((parts, form))
}

/// The regular expressions by which a pipeline cuts before it turns text into bytes.
fn regexes(pre_tokenizer: &Value) -> Option<Vec<&str>> {
    let alone = std::slice::from_ref(pre_tokenizer);
    let stages = pre_tokenizer["pretokenizers"].as_array().map_or(alone, Vec::as_slice);
    let (last, splits) = stages.split_last()?;
    let is_bytes = last["type"] == "ByteLevel" && last["add_prefix_space"] == false;
    let mut regexes = Vec::new();
    for split in splits {
        regexes.push(match split["type"].as_str()? {
            "Digits" if split["individual_digits"] == true => r"\p{N}",
            "Split" if split["behavior"] == "Isolated" && split["invert"] == false => {
                split["pattern"]["Regex"].as_str()?
            }
            _ => return None,
        });
    }
    // GPT-2's own cut is built into this stage, unless the file turns it off.
    if last["use_regex"] != false {
        regexes.extend(pretokenizer::find(pretokenizer::GPT_2_NAME).ok()?.regexes());
    }
    is_bytes.then_some(regexes)
}
