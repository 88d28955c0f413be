//! BERT's word pieces as stages of a `tokenizer.json`.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Pipeline;
use crate::{TokenType, VocabularyParts};

/// What a piece begins with that continues a word.
const CONTINUES: &str = "##";

pub(super) fn pipeline(parts: &VocabularyParts, types: &[TokenType]) -> Pipeline {
    let mut seen = HashSet::with_capacity(parts.tokens.len());
    let mut vocabulary = serde_json::Map::new();
    for (id, (token, kind)) in parts.tokens.iter().zip(types).enumerate() {
        let mut text = text_of(token, *kind);
        if !seen.insert(text.clone()) {
            text = format!("<double {id}>");
        }
        vocabulary.insert(text, json!(id));
    }
    let unknown = parts.unk.map_or("[UNK]", |id| &parts.tokens[id.index()]);
    Pipeline {
        normalizer: json!({
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": parts.lowercase.unwrap_or(true),
        }),
        pre_tokenizer: json!({ "type": "BertPreTokenizer" }),
        decoder: json!({ "type": "WordPiece", "prefix": CONTINUES, "cleanup": true }),
        model: json!({
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": CONTINUES,
            "max_input_chars_per_word": 100, "vocab": Value::Object(vocabulary),
        }),
    }
}

/// A token as BERT's `vocab.txt` writes it.
fn text_of(token: &str, kind: TokenType) -> String {
    // Places that are kept free, such as `[unused7]`, have no mark in a GGUF file; no word has such a part.
    let is_free = token.len() > 1 && token.starts_with('[') && token.ends_with(']');
    match token.strip_prefix('\u{2581}') {
        _ if is_free || !matches!(kind, TokenType::Normal | TokenType::Unused) => token.to_owned(),
        Some(word) => word.to_owned(),
        None => format!("{CONTINUES}{token}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Special, Tokenizer, VocabularyParts};
    use serde_json::json;

    #[test]
    fn what_is_written_is_the_list_that_was_read() {
        let pieces = [
            "[PAD]",
            "[unused0]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            "un",
            "##a",
            "##b",
            "b",
            "[",
            "##",
            "é",
        ];
        let mut parts = VocabularyParts::from_vocab_txt(pieces.join("\n").as_bytes()).unwrap();
        parts.tokens[1] = "[unused0]".into();
        let json = parts.to_tokenizer_json().unwrap().unwrap();
        for (id, piece) in pieces.iter().enumerate() {
            assert_eq!(json["model"]["vocab"][piece], json!(id), "{piece}");
        }
        for lowercase in [None, Some(false)] {
            let parts = VocabularyParts { lowercase, ..parts.clone() };
            let json = parts.to_tokenizer_json().unwrap().unwrap().to_string();
            let read = Tokenizer::from_json(json.as_bytes()).unwrap();
            let again = VocabularyParts::from_tokenizer_json(json.as_bytes()).unwrap().unwrap();
            assert_eq!(again.lowercase, Some(lowercase.is_none()));
            let own = Tokenizer::from_parts(parts).unwrap();
            for text in ["una b", "Una [B] é É", "[CLS] b[SEP]", "unc", "", "#", "[unused0]"] {
                let ids = own.encode(text, Special::Parse);
                assert_eq!(read.encode(text, Special::Parse), ids, "{text:?}");
            }
            assert!(read.add_bos() && read.add_eos());
            assert_eq!((read.bos(), read.eos()), (own.bos(), own.eos()));
        }
    }
}
