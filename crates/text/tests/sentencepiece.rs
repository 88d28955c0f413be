//! `tokenizer.model` files: small ones, each text with the ids that the sentencepiece library gives it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base::TokenId;
use serde_json::Value;
use text::{Special, Tokenizer, VocabularyKind, VocabularyParts};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(testkit::shared::root().join("fixtures/sentencepiece").join(name)).unwrap()
}

#[test]
fn ids_are_those_of_the_library() {
    let cases: Value = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let texts: Vec<String> = serde_json::from_value(cases["texts"].clone()).unwrap();
    for (name, expected) in cases["models"].as_object().unwrap() {
        let parts = VocabularyParts::from_sentencepiece(&fixture(&format!("{name}.model"))).unwrap();
        let is_unigram = name.starts_with("unigram");
        assert_eq!(parts.kind, if is_unigram { VocabularyKind::Unigram } else { VocabularyKind::Spm });
        let tokenizer = Tokenizer::from_parts(parts).unwrap();
        let expected: Vec<Vec<u32>> = serde_json::from_value(expected.clone()).unwrap();
        assert!(texts.len() > 80 && expected.len() == texts.len());
        let ids = |text: &String| -> Vec<u32> {
            tokenizer.encode(text, Special::Plain).unwrap().into_iter().map(|TokenId(id)| id).collect()
        };
        let others: Vec<_> = texts
            .iter()
            .zip(&expected)
            .map(|(text, expected)| (text, ids(text), expected))
            .filter(|(_, ids, expected)| ids != *expected)
            .collect();
        assert!(others.is_empty(), "{name}: {} of {}: {others:?}", others.len(), texts.len());
    }
}

/// What no `tokenizer.json` can say is left out: which space stands behind an added token, that the text of a control
/// token is nothing to the likeliest segmentation, and a map of several letters at once.
#[test]
fn what_is_written_as_json_gives_the_same_ids() {
    let cases: Value = serde_json::from_slice(&fixture("cases.json")).unwrap();
    let texts: Vec<String> = serde_json::from_value(cases["texts"].clone()).unwrap();
    for name in cases["models"].as_object().unwrap().keys() {
        let parts = VocabularyParts::from_sentencepiece(&fixture(&format!("{name}.model"))).unwrap();
        let json = parts.to_tokenizer_json().unwrap().unwrap().to_string();
        let (is_unigram, n_tokens) = (parts.kind == VocabularyKind::Unigram, parts.tokens.len());
        let (own, read) =
            (Tokenizer::from_parts(parts).unwrap(), Tokenizer::from_json(json.as_bytes()).unwrap());
        assert_eq!((read.len(), read.bos().is_some()), (n_tokens, own.bos().is_some() && own.add_bos()));
        let ids = |tokenizer: &Tokenizer, text| tokenizer.encode(text, Special::Plain).unwrap();
        let is_said = |text: &&String| {
            let is_map = name == "unigram-rules" && text.contains("...");
            let is_control = is_unigram && text.contains("<s>");
            !(text.contains("<tool>") || is_control || is_map)
        };
        let said: Vec<&String> = texts.iter().filter(is_said).collect();
        assert!(said.len() > 60);
        let others: Vec<&&String> = said.iter().filter(|text| ids(&own, text) != ids(&read, text)).collect();
        assert!(others.is_empty(), "{name}: {} of {}: {others:?}", others.len(), said.len());
        for text in said.iter().filter(|text| !text.starts_with(' ')) {
            let ids = ids(&own, text);
            assert_eq!(read.decode(&ids), own.decode(&ids), "{name} {text:?}");
        }
    }
}

#[test]
fn a_file_cut_or_changed_anywhere_is_an_error_or_a_vocabulary() {
    let file = fixture("bpe-unknown.model");
    let mut refused = 0;
    for at in 0..file.len() {
        refused += usize::from(VocabularyParts::from_sentencepiece(&file[..at]).is_err());
        let mut changed = file.clone();
        changed[at] ^= 0x5A;
        if let Ok(tokenizer) = VocabularyParts::from_sentencepiece(&changed).and_then(Tokenizer::from_parts) {
            tokenizer.encode("the sea", Special::Plain).unwrap();
        }
    }
    assert!(refused > file.len() / 2, "{refused} of {} are refused", file.len());
}
