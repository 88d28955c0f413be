//! A vocabulary as a `tokenizer.json`, for programs that read that.
//!
//! What no such file can say: SentencePiece's merging puts a space before a text behind a control token and none behind an
//! added one, while a file does both or neither; here it does both. Letters that are mapped by a table are mapped as the
//! library `tokenizers` does it, letter group by letter group. Source: the serialised form of that library, as the
//! `tokenizer.json` of published models show it.

mod sentencepiece;
mod word_pieces;

use serde_json::{Value, json};

use super::pretokenizer::{self, Adds};
use crate::{Error, TokenType, VocabularyKind, VocabularyParts};

/// What differs between the kinds of vocabularies.
struct Pipeline {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Value,
}

impl VocabularyParts {
    /// This vocabulary as a `tokenizer.json`; `None` when it is byte-level and has no list of merges
    /// ([`VocabularyParts::with_listed_merges`] makes one), or its letters stand for themselves.
    ///
    /// # Errors
    /// [`Error::UnknownPreTokenizer`], or the field that does not fit the others.
    pub fn to_tokenizer_json(&self) -> Result<Option<Value>, Error> {
        super::parts::validate(self)?;
        let types = super::parts::token_types(self);
        let pipeline = match self.kind {
            VocabularyKind::ByteBpe => self.byte_level(&types)?,
            VocabularyKind::Spm => Some(sentencepiece::merging(self, &types)?),
            VocabularyKind::Unigram => Some(sentencepiece::unigram(self, &types)),
            VocabularyKind::WordPiece => Some(word_pieces::pipeline(self, &types)),
        };
        let Some(Pipeline { normalizer, pre_tokenizer, decoder, model }) = pipeline else { return Ok(None) };
        Ok(Some(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens(&types),
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": self.post_processor()?,
            "decoder": decoder,
            "model": model,
        })))
    }

    fn byte_level(&self, types: &[TokenType]) -> Result<Option<Pipeline>, Error> {
        let cut = pretokenizer::find(&self.pre_tokenizer)?;
        let merges_by_number = self.merges.is_empty()
            && types
                .iter()
                .zip(&self.tokens)
                .any(|(kind, text)| *kind == TokenType::Normal && text.chars().nth(1).is_some());
        if merges_by_number || cut.letters == pretokenizer::Letters::Text {
            return Ok(None);
        }
        let split = |regex: &&str| json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
        let byte_level = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let stages: Vec<Value> = cut.regexes().iter().map(split).chain([byte_level.clone()]).collect();
        let vocabulary: serde_json::Map<String, Value> =
            self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
        let merges: Vec<Vec<&str>> = self.merges.iter().map(|merge| merge.split(' ').collect()).collect();
        Ok(Some(Pipeline {
            normalizer: Value::Null,
            pre_tokenizer: json!({ "type": "Sequence", "pretokenizers": stages }),
            decoder: byte_level,
            model: json!({
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
            }),
        }))
    }

    /// The tokens that are found in a text before anything is cut.
    fn added_tokens(&self, types: &[TokenType]) -> Vec<Value> {
        let is_added = |kind: &TokenType| match kind {
            TokenType::Control | TokenType::UserDefined => true,
            // Byte-level vocabularies name one only because others do.
            TokenType::Unknown => self.kind != VocabularyKind::ByteBpe,
            TokenType::Normal | TokenType::Unused | TokenType::Byte => false,
        };
        let kinds = types.iter().enumerate().filter(|(_, kind)| is_added(kind));
        kinds
            .map(|(id, kind)| {
                json!({
                    "id": id,
                    "content": self.tokens[id],
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": *kind != TokenType::UserDefined,
                })
            })
            .collect()
    }

    /// The tokens around a text, and those around two.
    fn post_processor(&self) -> Result<Value, Error> {
        let adds = super::adds(self)?;
        let is_bert = self.kind == VocabularyKind::WordPiece;
        let (bos, eos) =
            if is_bert { (self.cls.or(self.bos), self.sep.or(self.eos)) } else { (self.bos, self.eos) };
        let adds_bos = self.add_bos.unwrap_or(matches!(adds, Adds::Begin | Adds::BeginAndEnd));
        let adds_eos = self.add_eos.unwrap_or(matches!(adds, Adds::End | Adds::BeginAndEnd));
        let (bos, eos) = (bos.filter(|_| adds_bos), eos.filter(|_| adds_eos));
        if bos.is_none() && eos.is_none() {
            return Ok(Value::Null);
        }
        let text = |id: base::TokenId| &self.tokens[id.index()];
        let token = |id: Option<base::TokenId>, kind: u32| {
            id.map(|id| json!({ "SpecialToken": { "id": text(id), "type_id": kind } }))
        };
        let sequence = |name: &str, kind: u32| Some(json!({ "Sequence": { "id": name, "type_id": kind } }));
        let single = [token(bos, 0), sequence("A", 0), token(eos, 0)];
        // BERT tells the second text by its type; RoBERTa puts a second end between them.
        let second = u32::from(is_bert);
        let between = match (bos, eos) {
            (Some(_), Some(eos)) if !is_bert => token(Some(eos), 0),
            (Some(_), Some(_)) => None,
            _ => token(bos, second),
        };
        let pair = single.clone().into_iter().chain([between, sequence("B", second), token(eos, second)]);
        let special: serde_json::Map<String, Value> = bos
            .into_iter()
            .chain(eos)
            .map(|id| (text(id).clone(), json!({ "id": text(id), "ids": [id.0], "tokens": [text(id)] })))
            .collect();
        Ok(json!({
            "type": "TemplateProcessing",
            "single": single.into_iter().flatten().collect::<Vec<_>>(),
            "pair": pair.flatten().collect::<Vec<_>>(),
            "special_tokens": special,
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::learn::{LearnVocabulary, Settings, Unit};
    use crate::{Special, Tokenizer};
    use serde_json::{Value, json};

    const TEXTS: [&str; 6] = [
        "She sells 12 sea shells, 345 in all!\n\n  Don't",
        "Grüße 世界 🦊\t1.5",
        "<|end|>She",
        "",
        "e\u{301}té ABCdef 1234567 'S we'LL  한국 かな",
        "x/y\r\n\n  // ½²",
    ];

    /// The same file with a token that swallows spaces and never comes: only its library runs such a file.
    fn for_the_library(mut file: Value) -> Value {
        let id = file["model"]["vocab"].as_object().unwrap().len();
        file["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": id, "content": "\u{E123}never", "single_word": false, "lstrip": true, "rstrip": false,
            "normalized": false, "special": true,
        }));
        file
    }

    #[test]
    fn what_is_written_reads_texts_as_the_vocabulary_does() {
        let names = [
            "gpt-2",
            "smollm",
            "llama-bpe",
            "qwen2",
            "qwen35",
            "gpt-4o",
            "tekken",
            "deepseek-v3",
            "deepseek-llm",
            "falcon",
            "bloom",
            "superbpe",
        ];
        let merges = |name: &str| Unit::Merges { pre_tokenizer: name.into() };
        for unit in names.map(merges).into_iter().chain([Unit::Characters]) {
            let settings = Settings { unit: unit.clone(), ..Settings::new(400, &["<|end|>"]) };
            let mut learning = LearnVocabulary::new(settings).unwrap();
            TEXTS.iter().for_each(|text| learning.add(text));
            let parts = learning.finish().unwrap().parts;
            let json = parts.to_tokenizer_json().unwrap().unwrap();
            let own = Tokenizer::from_parts(parts).unwrap();
            let read = |json: Value| Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
            let (read, library) = (read(json.clone()), read(for_the_library(json)));
            assert!(library.to_compiled(&[0; 32]).is_none());
            if unit != Unit::Characters {
                assert!(read.to_compiled(&[0; 32]).is_some(), "{unit:?}");
            }
            for text in TEXTS {
                for special in [Special::Parse, Special::Plain] {
                    let ids = own.encode(text, special).unwrap();
                    assert_eq!(read.encode(text, special).unwrap(), ids, "{unit:?} {text:?}");
                    assert_eq!(library.encode(text, special).unwrap(), ids, "{unit:?} {text:?}");
                }
                let ids = own.encode(text, Special::Parse).unwrap();
                assert_eq!(read.decode(&ids), own.decode(&ids), "{unit:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_file_that_composes_letters_is_read_as_its_library_does() {
        let settings = Settings {
            unit: Unit::Merges { pre_tokenizer: "qwen2".into() },
            ..Settings::new(400, &["<|end|>"])
        };
        let mut learning = LearnVocabulary::new(settings).unwrap();
        TEXTS.iter().for_each(|text| learning.add(text));
        let mut json = learning.finish().unwrap().parts.to_tokenizer_json().unwrap().unwrap();
        json["normalizer"] = json!({ "type": "NFC" });
        let read = |json: Value| Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
        let (own, library) = (read(json.clone()), read(for_the_library(json)));
        assert!(own.to_compiled(&[0; 32]).is_some());
        for text in TEXTS {
            assert_eq!(own.encode(text, Special::Parse), library.encode(text, Special::Parse), "{text:?}");
        }
        let (composed, not) = ("été", "e\u{301}te\u{301}");
        assert_eq!(own.encode(composed, Special::Plain), own.encode(not, Special::Plain));
    }
}
