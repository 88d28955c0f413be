//! A byte-level vocabulary as a `tokenizer.json`, for programs that read that.
//!
//! Not for SentencePiece and WordPiece vocabularies. Source: the serialised form of the `tokenizers` library, as the
//! `tokenizer.json` of published models show it.

use serde_json::{Value, json};

use super::pretokenizer;
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

impl VocabularyParts {
    /// This vocabulary as a `tokenizer.json`; `None` when it is not byte-level.
    ///
    /// # Errors
    /// [`Error::UnknownPreTokenizer`].
    pub fn to_tokenizer_json(&self) -> Result<Option<Value>, Error> {
        if self.kind != VocabularyKind::ByteBpe {
            return Ok(None);
        }
        let cut = pretokenizer::find(&self.pre_tokenizer)?;
        let split = |regex: &&str| json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
        let byte_level = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let stages: Vec<Value> = cut.regexes().iter().map(split).chain([byte_level.clone()]).collect();
        let vocabulary: serde_json::Map<String, Value> =
            self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
        let merges: Vec<Vec<&str>> = self.merges.iter().map(|merge| merge.split(' ').collect()).collect();
        Ok(Some(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens(),
            "normalizer": null,
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": stages },
            "post_processor": null,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": cut.whole_words_first,
                "vocab": vocabulary,
                "merges": merges,
            },
        })))
    }

    /// The tokens that are found in a text before anything is cut.
    fn added_tokens(&self) -> Vec<Value> {
        let kinds = self.token_types.iter().enumerate();
        kinds
            .filter(|(_, kind)| matches!(kind, TokenType::Control | TokenType::UserDefined))
            .map(|(id, kind)| {
                json!({
                    "id": id,
                    "content": self.tokens[id],
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": *kind == TokenType::Control,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::learn::{LearnVocabulary, Settings, Unit};
    use crate::{Special, Tokenizer};

    #[test]
    fn what_is_written_reads_texts_as_the_vocabulary_does() {
        let texts =
            ["She sells 12 sea shells, 345 in all!\n\n  Don't", "Grüße 世界 🦊\t1.5", "<|end|>She", ""];
        let merges = |name: &str| Unit::Merges { pre_tokenizer: name.into() };
        for unit in
            [merges("gpt-2"), merges("smollm"), merges("llama-bpe"), merges("qwen2"), Unit::Characters]
        {
            let settings = Settings { unit: unit.clone(), ..Settings::new(400, &["<|end|>"]) };
            let mut learning = LearnVocabulary::new(settings).unwrap();
            texts.iter().for_each(|text| learning.add(text));
            let parts = learning.finish().unwrap().parts;
            let json = parts.to_tokenizer_json().unwrap().unwrap().to_string();
            let (own, read) =
                (Tokenizer::from_parts(parts).unwrap(), Tokenizer::from_json(json.as_bytes()).unwrap());
            for text in texts {
                for special in [Special::Parse, Special::Plain] {
                    let ids = own.encode(text, special).unwrap();
                    assert_eq!(read.encode(text, special).unwrap(), ids, "{unit:?} {text:?}");
                }
                let ids = own.encode(text, Special::Parse).unwrap();
                assert_eq!(read.decode(&ids), own.decode(&ids), "{unit:?} {text:?}");
            }
        }
    }
}
