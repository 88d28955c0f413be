//! What stands around two texts that are read as one, against what `transformers` made of questions and texts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base::TokenId;
use serde_json::{Value, json};
use text::{Special, Tokenizer, VocabularyKind, VocabularyParts};

fn read(name: &str, file: &str) -> Value {
    let path = testkit::shared::root().join("fixtures/rerankers").join(name).join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn tokenizer(file: &Value) -> Tokenizer {
    Tokenizer::from_json(file.to_string().as_bytes()).unwrap()
}

fn numbers(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The tokens of a pair and their types.
fn paired(tokenizer: &Tokenizer, [first, second]: [&str; 2]) -> (Vec<u32>, Vec<u32>) {
    let pair = tokenizer.pair();
    let encode = |text| tokenizer.encode(text, Special::Plain).unwrap();
    let first = [pair.before, encode(first), pair.between].concat();
    let second = [encode(second), pair.after].concat();
    let types = [vec![0; first.len()], vec![pair.second_type; second.len()]].concat();
    let ids = [first, second].concat().into_iter().map(|TokenId(id)| id).collect();
    (ids, types)
}

#[test]
fn two_texts_are_one_as_in_transformers() {
    for name in ["bert", "xlm-roberta"] {
        let file = read(name, "tokenizer.json");
        let parts = VocabularyParts::from_tokenizer_json(file.to_string().as_bytes()).unwrap();
        // Where a GGUF file can have it, which says nothing of pairs, it is read from there too.
        let plain = parts.map(|parts| Tokenizer::from_parts(parts).unwrap());
        assert_eq!(plain.is_some(), name == "bert");
        for tokenizer in std::iter::once(tokenizer(&file)).chain(plain) {
            let mut n_pairs = 0;
            for question in read(name, "pairs.json").as_array().unwrap() {
                let documents = question["documents"].as_array().unwrap().iter();
                for document in documents.filter(|document| document["is_cut"] == false) {
                    let texts = [&question["query"], &document["text"]].map(|text| text.as_str().unwrap());
                    let expected = (numbers(&document["ids"]), numbers(&document["types"]));
                    assert_eq!(paired(&tokenizer, texts), expected, "{name}: {texts:?}");
                    n_pairs += 1;
                }
            }
            assert!(n_pairs > 6, "{n_pairs}");
        }
    }
}

/// As GGUF files of XLM-RoBERTa have it.
#[test]
fn pieces_of_sentences_have_two_ends_between() {
    let file = read("xlm-roberta", "tokenizer.json");
    let pieces = file["model"]["vocab"].as_array().unwrap();
    let tokens = pieces.iter().map(|piece| piece[0].as_str().unwrap().to_owned()).collect();
    let plain = VocabularyParts {
        scores: pieces.iter().map(|piece| piece[1].as_f64().unwrap() as f32).collect(),
        bos: Some(TokenId(0)),
        eos: Some(TokenId(2)),
        unk: Some(TokenId(3)),
        ..VocabularyParts::new(VocabularyKind::Unigram, tokens)
    };
    assert_eq!(Tokenizer::from_parts(plain).unwrap().pair(), tokenizer(&file).pair());
}

#[test]
fn a_file_says_what_stands_between() {
    let ids = |list: &[u32]| list.iter().copied().map(TokenId).collect::<Vec<_>>();
    let check = |name: &str, post_processor: Value, expected: (&[u32], &[u32], &[u32], u32)| {
        let mut file = read(name, "tokenizer.json");
        file["post_processor"] = post_processor;
        let (before, between, after, second_type) = expected;
        let expected = (ids(before), ids(between), ids(after), second_type);
        let pair = tokenizer(&file).pair();
        let found = (pair.before, pair.between, pair.after, pair.second_type);
        assert_eq!(found, expected, "{}", file["post_processor"]);
    };
    let bert = json!({ "type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0] });
    check("xlm-roberta", bert, (&[0], &[2], &[2], 1));
    let roberta = json!({ "type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2],
        "trim_offsets": true, "add_prefix_space": false });
    check("bert", roberta, (&[2], &[3, 3], &[3], 0));
    let special = json!({ "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] } });
    let token = json!({ "SpecialToken": { "id": "[SEP]", "type_id": 0 } });
    let sequence = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let between_only = json!({ "type": "TemplateProcessing", "single": [sequence("A")],
        "pair": [sequence("A"), token, sequence("B")], "special_tokens": special });
    check("bert", between_only, (&[], &[3], &[], 0));
}

/// A file of XLM-RoBERTa's kind with a map of letters, in either way in which `transformers` writes the rest, comes to the
/// values of a GGUF file; without the map, what it does with ends of lines cannot be said there.
#[test]
fn pieces_of_sentences_with_their_letters_are_said_by_plain_values() {
    let model = testkit::shared::root().join("fixtures/sentencepiece/unigram-nfkc.model");
    let written = VocabularyParts::from_sentencepiece(&std::fs::read(model).unwrap()).unwrap();
    let written = written.to_tokenizer_json().unwrap().unwrap();
    let stages = written["normalizer"]["normalizers"].as_array().unwrap();
    let map = stages.iter().find(|stage| stage["type"] == "Precompiled").unwrap();
    let plain = read("xlm-roberta", "tokenizer.json");
    let marks = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    let end = json!({ "type": "Strip", "strip_left": false, "strip_right": true });
    let run = json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "▁" });
    let cut = json!({ "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, marks] });
    for (normalizer, pre_tokenizer, is_said) in [
        (map.clone(), cut.clone(), true),
        (json!({ "type": "Sequence", "normalizers": [map, end, run] }), marks.clone(), true),
        (json!({ "type": "Sequence", "normalizers": [map, run] }), marks, false),
        (json!({ "type": "Lowercase" }), cut, false),
    ] {
        let mut file = plain.clone();
        (file["normalizer"], file["pre_tokenizer"]) = (normalizer, pre_tokenizer);
        let parts = VocabularyParts::from_tokenizer_json(file.to_string().as_bytes()).unwrap();
        assert_eq!(parts.is_some(), is_said, "{}", file["normalizer"]["type"]);
        let Some(parts) = parts else { continue };
        let (own, given) = (Tokenizer::from_parts(parts).unwrap(), tokenizer(&file));
        assert_eq!(own.pair(), given.pair());
        for text in ["", "how many pandas", "  what\tdo\n\n they  eat? ", "Ｈｏｗ many 世 ½"] {
            let [a, b] = [&own, &given].map(|tokenizer| tokenizer.encode(text, Special::Plain).unwrap());
            assert_eq!(a, b, "{text:?}");
        }
    }
}
