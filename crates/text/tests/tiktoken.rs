//! tiktoken files and `tekken.json`: small ones, each text with the ids that their libraries give it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use text::{Special, Tokenizer, VocabularyParts};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(testkit::shared::root().join("fixtures/tiktoken").join(name)).unwrap()
}

/// Reads the vocabulary whose cut has this name.
fn read(cut: &str) -> VocabularyParts {
    match cut {
        "tekken" => VocabularyParts::from_tekken(&fixture("tekken.json")).unwrap(),
        cut => VocabularyParts::from_tiktoken(&fixture(&format!("{cut}.tiktoken")), cut).unwrap(),
    }
}

#[test]
fn ids_are_those_of_the_libraries_by_number_and_by_list() {
    let cases: Value = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let texts: Vec<String> = serde_json::from_value(cases["texts"].clone()).unwrap();
    assert_eq!(cases["ids"].as_object().unwrap().len(), 3);
    for (cut, expected) in cases["ids"].as_object().unwrap() {
        let parts = read(cut);
        assert_eq!(&parts.pre_tokenizer, cut);
        let listed = parts.clone().with_listed_merges().unwrap();
        let json = listed.to_tokenizer_json().unwrap().unwrap().to_string();
        let tokenizers = [
            ("by number", Tokenizer::from_parts(parts).unwrap()),
            ("by list", Tokenizer::from_parts(listed).unwrap()),
            ("from json", Tokenizer::from_json(json.as_bytes()).unwrap()),
        ];
        let expected: Vec<Vec<u32>> = serde_json::from_value(expected.clone()).unwrap();
        assert!(texts.len() > 80 && expected.len() == texts.len());
        for (way, tokenizer) in &tokenizers {
            for (text, expected) in texts.iter().zip(&expected) {
                let ids = tokenizer.encode(text, Special::Plain).unwrap();
                let ids: Vec<u32> = ids.into_iter().map(|id| id.0).collect();
                assert_eq!(&ids, expected, "{cut} {way} {text:?}");
            }
        }
    }
}

#[test]
fn the_special_tokens_of_tekken_have_the_names_that_its_library_gives_them() {
    let cases: Value = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let names: Vec<String> = serde_json::from_value(cases["names"].clone()).unwrap();
    let parts = read("tekken");
    assert_eq!(parts.tokens[..names.len()], names);
    assert_eq!(parts.tokens.len(), 350, "ranks past the size of the vocabulary are left out");
    let tokenizer = Tokenizer::from_parts(parts).unwrap();
    let ids = tokenizer.encode("[INST]the[/INST]", Special::Parse).unwrap();
    assert_eq!([ids[0].0, ids[ids.len() - 1].0], [3, 4]);
}

#[test]
fn a_file_cut_or_changed_anywhere_is_an_error_or_a_vocabulary() {
    let whole = fixture("tekken.json");
    let mut refused = 0;
    for at in (0..whole.len()).step_by(41) {
        refused += usize::from(VocabularyParts::from_tekken(&whole[..at]).is_err());
        let mut changed = whole.clone();
        changed[at] ^= 0x5A;
        if let Ok(tokenizer) = VocabularyParts::from_tekken(&changed).and_then(Tokenizer::from_parts) {
            // A byte may have lost its token.
            let _ = tokenizer.encode("the sea", Special::Plain);
        }
    }
    assert_eq!(refused, whole.len().div_ceil(41), "no beginning of it is a whole file");
}
