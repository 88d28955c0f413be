//! A `tokenizer.json` as plain vocabulary values, for files that keep a vocabulary so: the way back of `write_json`.
//!
//! Knows byte-level merging with a known cut, SentencePiece's merging and its likeliest pieces as `transformers` converts
//! them, and BERT's word pieces. Whatever else a file asks for cannot be said in these values. Source: the serialised form of the
//! `tokenizers` library, as the `tokenizer.json` of published models show it.

use std::collections::HashMap;

use base::TokenId;
use serde_json::Value;

use super::tiktoken::base_64;
use super::{json, json_native};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

impl VocabularyParts {
    /// Reads a `tokenizer.json`; `None` where its pipeline is none that these values can say.
    ///
    /// # Errors
    /// Those of [`Tokenizer::from_json`](crate::Tokenizer::from_json).
    pub fn from_tokenizer_json(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let read = json::read(bytes)?;
        let file: Value = serde_json::from_slice(bytes)
            .map_err(|error| Error::BadTokenizerJson { reason: error.to_string() })?;
        let found = match json_native::parts(bytes, &read.tokens) {
            Some((parts, _)) => Some(parts),
            None => spm(&file, &read.tokens)
                .or_else(|| unigram(&file, &read.tokens))
                .or_else(|| word_pieces(&file, &read.tokens)),
        };
        let Some(mut parts) = found else { return Ok(None) };
        let is_bert = parts.kind == VocabularyKind::WordPiece;
        let unknown = file["model"]["unk_token"].as_str();
        let unknown = unknown.and_then(|text| read.tokens.iter().position(|token| token == text));
        let unknown = unknown.or_else(|| usize::try_from(file["model"]["unk_id"].as_u64()?).ok());
        let unknown = unknown.filter(|place| *place < read.tokens.len());
        parts.token_types = read.types;
        if let Some(place) = unknown {
            parts.token_types[place] = TokenType::Unknown;
            parts.unk = Some(TokenId(place as u32));
        }
        for (place, text) in parts.tokens.iter_mut().enumerate().filter(|(_, text)| text.is_empty()) {
            *text = format!("<unused {place}>");
        }
        let id = |id: Option<u32>| id.map(TokenId);
        (parts.bos, parts.eos) = (id(read.bos), id(read.eos));
        if is_bert {
            (parts.cls, parts.sep) = (parts.bos, parts.eos);
        }
        (parts.add_bos, parts.add_eos) = (Some(read.bos.is_some()), Some(read.eos.is_some()));
        Ok(Some(parts))
    }
}

/// Merging over letters with a token for each byte, spaces as `▁`: SentencePiece's, with the rank of a merge as the score
/// of what it makes.
fn spm(file: &Value, tokens: &[String]) -> Option<VocabularyParts> {
    let model = &file["model"];
    let merges = model["merges"].as_array().filter(|merges| !merges.is_empty())?;
    let is_spm = model["byte_fallback"] == true
        && model["dropout"].is_null()
        && model["continuing_subword_prefix"].as_str().is_none_or(str::is_empty)
        && model["end_of_word_suffix"].as_str().is_none_or(str::is_empty);
    let adds_space = first_space(file)?;
    if !is_spm {
        return None;
    }
    let mut rank: HashMap<String, usize> = HashMap::with_capacity(merges.len());
    for (place, merge) in merges.iter().enumerate() {
        let made = match merge {
            Value::String(line) => line.split_once(' ').map(|(left, right)| format!("{left}{right}")),
            pair => Some(format!("{}{}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
        };
        rank.entry(made?).or_insert(place);
    }
    // A token that nothing merges into is a single letter: its score is never asked for.
    let score = |token: &String| rank.get(token).map_or(0.0, |rank| -(*rank as f32) - 1.0);
    Some(VocabularyParts {
        scores: tokens.iter().map(score).collect(),
        add_space_prefix: Some(adds_space),
        ..VocabularyParts::new(VocabularyKind::Spm, tokens.to_vec())
    })
}

/// The likeliest pieces with SentencePiece's map of letters, runs of spaces being one: XLM-RoBERTa's.
fn unigram(file: &Value, tokens: &[String]) -> Option<VocabularyParts> {
    let model = &file["model"];
    if model["type"] != "Unigram" || model["byte_fallback"] == true {
        return None;
    }
    let letter_map = single_spaces(file)?;
    let mut scores = Vec::with_capacity(tokens.len());
    for piece in model["vocab"].as_array()?.iter().take(tokens.len()) {
        scores.push(piece.get(1)?.as_f64()? as f32);
    }
    scores.resize(tokens.len(), 0.0);
    Some(VocabularyParts {
        scores,
        letter_map,
        add_space_prefix: Some(true),
        remove_extra_spaces: Some(true),
        ..VocabularyParts::new(VocabularyKind::Unigram, tokens.to_vec())
    })
}

/// The map of letters of a pipeline that makes one space of many, and none of those around a text; `None` for any other.
fn single_spaces(file: &Value) -> Option<Vec<u8>> {
    let list = |value: &Value, key: &str| match value[key].as_array() {
        Some(stages) => stages.clone(),
        None => vec![value.clone()],
    };
    let (stages, cuts) =
        (list(&file["normalizer"], "normalizers"), list(&file["pre_tokenizer"], "pretokenizers"));
    let (map, stages) = stages.split_first()?;
    let (marks, cuts) = cuts.split_last()?;
    let adds_mark = match marks["prepend_scheme"].as_str() {
        Some(scheme) => scheme == "always",
        None => marks["add_prefix_space"] == true,
    };
    if map["type"] != "Precompiled" || marks["type"] != "Metaspace" || !adds_mark {
        return None;
    }
    let is_end = |stage: &Value| stage["type"] == "Strip" && stage["strip_right"] == true;
    let is_run = |stage: &Value| stage["type"] == "Replace" && stage["pattern"]["Regex"] == " {2,}";
    let is_single = match (stages, cuts) {
        ([], [cut]) => cut["type"] == "WhitespaceSplit",
        ([end, run], []) => is_end(end) && is_run(run),
        _ => false,
    };
    is_single.then(|| base_64(map["precompiled_charsmap"].as_str()?.as_bytes()))?
}

/// Whether a space is put before a text; `None` where a text is changed in another way too.
fn first_space(file: &Value) -> Option<bool> {
    let normalizer = &file["normalizer"];
    let alone = std::slice::from_ref(normalizer);
    let stages = normalizer["normalizers"].as_array().map_or(alone, Vec::as_slice);
    let is_marks = |stage: &Value| stage["pattern"]["String"] == " " && stage["content"] == "\u{2581}";
    let mut adds = false;
    for stage in stages.iter().filter(|stage| !stage.is_null()) {
        match stage["type"].as_str()? {
            "Prepend" if stage["prepend"] == "\u{2581}" => adds = true,
            "Replace" if is_marks(stage) => {}
            _ => return None,
        }
    }
    let cut = &file["pre_tokenizer"];
    match cut["type"].as_str() {
        None => Some(adds),
        Some("Metaspace") => {
            let scheme = cut["prepend_scheme"].as_str();
            Some(adds || scheme.map_or(cut["add_prefix_space"] == true, |scheme| scheme != "never"))
        }
        // It cuts at spaces that are marks by then, so nowhere.
        Some("Split") if cut["pattern"]["String"] == " " => Some(adds),
        Some(_) => None,
    }
}

/// BERT's longest match.
fn word_pieces(file: &Value, tokens: &[String]) -> Option<VocabularyParts> {
    let model = &file["model"];
    let is_known = model["type"] == "WordPiece"
        && model["continuing_subword_prefix"] == "##"
        && file["normalizer"]["type"] == "BertNormalizer"
        && file["pre_tokenizer"]["type"] == "BertPreTokenizer";
    if !is_known {
        return None;
    }
    let parts = VocabularyParts::from_vocab_txt(tokens.join("\n").as_bytes()).ok()?;
    let is_whole = parts.tokens.len() == tokens.len();
    is_whole.then(|| VocabularyParts { lowercase: file["normalizer"]["lowercase"].as_bool(), ..parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{LearnVocabulary, Settings, Unit};
    use crate::{Special, Tokenizer};
    use serde_json::json;

    const TEXTS: [&str; 5] = ["", "She sells  sea shells", " Grüße 世界 🦊\t1.5", "a<|end|>b", "\n\nabab"];

    fn check(file: &Value) -> VocabularyParts {
        let bytes = file.to_string();
        let parts = VocabularyParts::from_tokenizer_json(bytes.as_bytes()).unwrap().unwrap();
        let own = Tokenizer::from_parts(parts.clone()).unwrap();
        let read = Tokenizer::from_json(bytes.as_bytes()).unwrap();
        for text in TEXTS {
            for special in [Special::Parse, Special::Plain] {
                let (a, b) = (own.encode(text, special).unwrap(), read.encode(text, special).unwrap());
                assert_eq!(a, b, "{text:?}");
            }
        }
        assert_eq!(own.len(), read.len());
        parts
    }

    #[test]
    fn a_byte_level_file_comes_to_the_values_that_it_was_written_from() {
        for name in ["llama-bpe", "qwen2", "gpt-2", "tekken"] {
            let unit = Unit::Merges { pre_tokenizer: name.into() };
            let mut learning =
                LearnVocabulary::new(Settings { unit, ..Settings::new(400, &["<|end|>"]) }).unwrap();
            TEXTS.iter().for_each(|text| learning.add(text));
            let parts = learning.finish().unwrap().parts;
            let found = check(&parts.to_tokenizer_json().unwrap().unwrap());
            assert_eq!((found.tokens, found.merges), (parts.tokens, parts.merges));
            assert_eq!(found.pre_tokenizer, name);
        }
    }

    fn sentencepiece() -> Value {
        let mut vocabulary: Vec<String> = ["<unk>", "<s>", "<|end|>"].map(str::to_owned).to_vec();
        vocabulary.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>")));
        vocabulary.extend("\u{2581}Sheslab".chars().map(String::from));
        let merges = ["s h", "\u{2581} s", "e l", "sh el", "\u{2581}s h", "a b", "ab ab"];
        vocabulary.extend(merges.iter().map(|merge| merge.replace(' ', "")));
        vocabulary.dedup();
        let mut ids = serde_json::Map::new();
        for text in vocabulary {
            let id = ids.len();
            ids.entry(text).or_insert(json!(id));
        }
        let added = |id: usize, content: &str| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
        };
        json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [added(0, "<unk>"), added(1, "<s>"), added(2, "<|end|>")],
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "Prepend", "prepend": "\u{2581}" },
                { "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}" },
            ] },
            "pre_tokenizer": null, "post_processor": null,
            "decoder": { "type": "Sequence", "decoders": [
                { "type": "Replace", "pattern": { "String": "\u{2581}" }, "content": " " },
                { "type": "ByteFallback" }, { "type": "Fuse" },
                { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
            ] },
            "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true,
                "byte_fallback": true, "vocab": ids, "merges": merges },
        })
    }

    #[test]
    fn sentencepiece_in_json_keeps_the_order_of_its_merges() {
        let parts = check(&sentencepiece());
        assert_eq!(
            (parts.kind, parts.unk, parts.add_space_prefix),
            (VocabularyKind::Spm, Some(TokenId(0)), Some(true))
        );
        assert_eq!(parts.token_types[3], TokenType::Byte);
    }

    #[test]
    fn a_pipeline_that_cannot_be_said_is_told() {
        let mut file = sentencepiece();
        file["normalizer"] = json!({ "type": "Lowercase" });
        assert!(VocabularyParts::from_tokenizer_json(file.to_string().as_bytes()).unwrap().is_none());
    }
}
