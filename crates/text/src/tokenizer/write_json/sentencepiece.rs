//! SentencePiece's two models as stages of a `tokenizer.json`: merging by score, and the likeliest segmentation.
//!
//! Merging by score becomes merging by list: each way to make a token of two others, the highest score first. Spaces are
//! marks from the start, and a text is one word.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Pipeline;
use crate::tokenizer::listed_merges::ways_to_make;
use crate::{Error, TokenType, VocabularyParts};

const MARK: &str = "\u{2581}";

/// Merging by score.
pub(super) fn merging(parts: &VocabularyParts, types: &[TokenType]) -> Result<Pipeline, Error> {
    let texts = texts(parts, types);
    let mut pieces: Vec<(f32, &str)> = Vec::with_capacity(texts.len());
    for ((text, kind), score) in texts.iter().zip(types).zip(&parts.scores) {
        let is_piece = match kind {
            TokenType::Normal | TokenType::Unused => true,
            // Added text with a space is found as it is written, before spaces are marked.
            TokenType::UserDefined => !text.contains(' '),
            TokenType::Byte | TokenType::Control | TokenType::Unknown => false,
        };
        if is_piece {
            pieces.push((score + 0.0, text));
        }
    }
    // Of equal scores the first token stays first.
    pieces.sort_by(|a, b| b.0.total_cmp(&a.0));
    let pieces: Vec<&str> = pieces.into_iter().map(|(_, text)| text).collect();
    let merges: Vec<[&str; 2]> =
        ways_to_make(&pieces)?.into_iter().map(|(left, right)| [left, right]).collect();
    let vocabulary: serde_json::Map<String, Value> =
        texts.iter().enumerate().map(|(id, text)| (text.clone(), json!(id))).collect();
    let model = json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": parts.unk.map(|id| &texts[id.index()]),
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": true,
        "byte_fallback": types.contains(&TokenType::Byte),
        "ignore_merges": false,
        "vocab": vocabulary,
        "merges": merges,
    });
    Ok(pipeline(parts, model))
}

/// The likeliest segmentation.
pub(super) fn unigram(parts: &VocabularyParts, types: &[TokenType]) -> Pipeline {
    let texts = texts(parts, types);
    let piece = |(id, text): (usize, &String)| match types[id] {
        TokenType::Normal | TokenType::UserDefined => json!([text, parts.scores[id]]),
        // No text is to spell it, nor is it to be the least likely.
        TokenType::Unused => json!([format!("<unused {id}>"), 0.0]),
        TokenType::Byte | TokenType::Control | TokenType::Unknown => json!([text, 0.0]),
    };
    let vocabulary: Vec<Value> = texts.iter().enumerate().map(piece).collect();
    let model = json!({
        "type": "Unigram",
        "unk_id": parts.unk.map(|id| id.0),
        "vocab": vocabulary,
        "byte_fallback": types.contains(&TokenType::Byte),
    });
    pipeline(parts, model)
}

/// A text for each token, no two alike: spaces are marks, and a token that text cannot reach has one that no text has.
fn texts(parts: &VocabularyParts, types: &[TokenType]) -> Vec<String> {
    let mut seen = HashSet::with_capacity(parts.tokens.len());
    let mut texts = Vec::with_capacity(parts.tokens.len());
    for (id, (token, kind)) in parts.tokens.iter().zip(types).enumerate() {
        let text = match kind {
            TokenType::Control | TokenType::Unknown | TokenType::UserDefined | TokenType::Byte => {
                token.clone()
            }
            TokenType::Normal | TokenType::Unused => token.replace(' ', MARK),
        };
        let is_new = !text.is_empty() && seen.insert(text.clone());
        texts.push(if is_new { text } else { format!("<double {id}>") });
    }
    texts
}

fn pipeline(parts: &VocabularyParts, model: Value) -> Pipeline {
    let adds_space = parts.add_space_prefix.unwrap_or(true);
    let mark = json!({ "type": "Replace", "pattern": { "String": MARK }, "content": " " });
    let mut decoders = vec![mark, json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    if adds_space {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    Pipeline {
        normalizer: normalizer(parts, adds_space),
        pre_tokenizer: Value::Null,
        decoder: json!({ "type": "Sequence", "decoders": decoders }),
        model,
    }
}

/// What is done to a text before its tokens are looked for.
fn normalizer(parts: &VocabularyParts, adds_space: bool) -> Value {
    let is_unigram = parts.kind == crate::VocabularyKind::Unigram;
    let is_single = parts.remove_extra_spaces.unwrap_or(is_unigram);
    let replace =
        |pattern: Value, content: &str| json!({ "type": "Replace", "pattern": pattern, "content": content });
    let mut stages = Vec::new();
    if !parts.letter_map.is_empty() {
        let map = super::super::tiktoken::to_base_64(&parts.letter_map);
        stages.push(json!({ "type": "Precompiled", "precompiled_charsmap": map }));
    }
    if is_single {
        stages.push(replace(json!({ "Regex": r"\A +" }), ""));
        stages.push(replace(json!({ "Regex": " {2,}" }), " "));
    }
    if adds_space {
        stages.push(json!({ "type": "Prepend", "prepend": MARK }));
    }
    stages.push(replace(json!({ "String": " " }), MARK));
    if is_single {
        stages.push(replace(json!({ "Regex": format!(r"{MARK}+\z") }), ""));
    }
    json!({ "type": "Sequence", "normalizers": stages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Special, Tokenizer, VocabularyKind};

    #[test]
    fn no_two_tokens_have_the_same_text() {
        let tokens = ["<unk>", "<s>", " a", "\u{2581}a", "", "b", "<0x41>", "<0x41>"].map(String::from);
        let mut parts = VocabularyParts::new(VocabularyKind::Spm, tokens.to_vec());
        parts.scores = vec![0.0; tokens.len()];
        let types = crate::tokenizer::parts::token_types(&parts);
        let texts = texts(&parts, &types);
        assert_eq!(
            texts,
            ["<unk>", "<s>", "\u{2581}a", "<double 3>", "<double 4>", "b", "<0x41>", "<double 7>"]
        );
        let json = parts.to_tokenizer_json().unwrap().unwrap();
        assert_eq!(Tokenizer::from_json(json.to_string().as_bytes()).unwrap().len(), tokens.len());
    }

    /// The highest score merges first, wherever its token stands.
    #[test]
    fn scores_are_the_order_of_the_merges() {
        let tokens = ["<unk>", "\u{2581}", "a", "b", "ab", "ba", "aba"].map(String::from);
        let mut parts = VocabularyParts::new(VocabularyKind::Spm, tokens.to_vec());
        (parts.scores, parts.unk) = (vec![0.0, 0.0, 0.0, 0.0, -2.0, -1.0, -3.0], Some(base::TokenId(0)));
        parts.add_space_prefix = Some(false);
        let json = parts.to_tokenizer_json().unwrap().unwrap();
        assert_eq!(json["model"]["merges"], json!([["b", "a"], ["a", "b"], ["a", "ba"], ["ab", "a"]]));
        let read = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
        let own = Tokenizer::from_parts(parts).unwrap();
        for text in ["aba", "abab ba", "abcba", "  a"] {
            assert_eq!(read.encode(text, Special::Plain), own.encode(text, Special::Plain), "{text:?}");
        }
    }
}
