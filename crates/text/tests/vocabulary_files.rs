//! The older files of published vocabularies against reference encodings: GPT-2's `vocab.json` and `merges.txt`, BERT's
//! `vocab.txt`, cased and not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use text::{Special, Tokenizer, VocabularyParts};

fn folder(test: &str) -> Option<PathBuf> {
    testkit::shared::shared(test).map(|shared| shared.join("tokenizer/gpt2-bert/reftests"))
}

/// Whether a tokenizer gives a text of the folder the ids of its reference.
fn check(folder: &Path, tokenizer: &Tokenizer, text: &str, reference: &str) {
    let text = std::fs::read_to_string(folder.join(text)).unwrap();
    let reference: Value = serde_json::from_slice(&std::fs::read(folder.join(reference)).unwrap()).unwrap();
    let mut expected: Vec<u32> = serde_json::from_value(reference["token_ids"].clone()).unwrap();
    if tokenizer.add_bos() {
        assert_eq!(expected.remove(0), tokenizer.bos().unwrap().0);
        assert_eq!(expected.pop(), tokenizer.eos().map(|id| id.0));
    }
    let ids: Vec<u32> = tokenizer.encode(&text, Special::Plain).unwrap().into_iter().map(|id| id.0).collect();
    assert!(expected.len() > 500);
    assert_eq!(ids, expected);
}

#[test]
fn gpt_2_from_its_two_files() {
    let Some(folder) = folder("gpt_2_from_its_two_files") else { return };
    let read = |name: &str| std::fs::read(folder.join("models/gpt2").join(name)).unwrap();
    let parts = VocabularyParts::from_vocab_json(&read("vocab.json"), &read("merges.txt"), "gpt-2").unwrap();
    let tokenizer = Tokenizer::from_parts(parts).unwrap();
    check(&folder, &tokenizer, "monty-python-credits.txt", "monty-python-credits-gpt2.json");
    let json = Tokenizer::from_json(&read("tokenizer.json")).unwrap();
    assert!(json.to_compiled(&[0; 32]).is_some());
    check(&folder, &json, "monty-python-credits.txt", "monty-python-credits-gpt2.json");
}

#[test]
fn bert_from_its_list_of_pieces() {
    let Some(folder) = folder("bert_from_its_list_of_pieces") else { return };
    let read = |name: &str| {
        let file = std::fs::read(folder.join("models").join(name).join("vocab.txt")).unwrap();
        VocabularyParts::from_vocab_txt(&file).unwrap()
    };
    let folded = Tokenizer::from_parts(read("bert-base-uncased")).unwrap();
    let cased = VocabularyParts { lowercase: Some(false), ..read("bert-base-cased") };
    let cased = Tokenizer::from_parts(cased).unwrap();
    for name in ["Metal_umlaut", "Rust_(programming_language)", "monty-python-credits"] {
        check(&folder, &folded, &format!("{name}.txt"), &format!("{name}-bert-base-uncased.json"));
    }
    let name = "Rust_(programming_language)";
    check(&folder, &cased, &format!("{name}.txt"), &format!("{name}-bert-base-cased.json"));
}
