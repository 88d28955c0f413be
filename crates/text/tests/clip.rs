//! The ids of image models' prompts beside those that `transformers` gives: `fixtures/clip/prompts.json`.

#![allow(clippy::unwrap_used)]

use std::io::Read;

use serde_json::Value as Json;
use text::clip::ClipTokenizer;

/// Merges of the published file that CLIP has.
const N_MERGES: usize = 49_152 - 256 - 2;
const CASES: &str = include_str!("../../../fixtures/clip/prompts.json");

/// The letters of all bytes in the order of the published file: those that can be printed first.
fn letters() -> Vec<char> {
    let is_printable = |byte: &u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let n_others = (0..256).filter(|byte| !is_printable(byte)).count() as u32;
    let printable = (0..256).filter(is_printable);
    printable.chain(0x100..0x100 + n_others).map(|letter| char::from_u32(letter).unwrap()).collect()
}

#[test]
fn prompts_have_the_ids_of_transformers() {
    let Some(shared) = testkit::shared::shared("prompts_have_the_ids_of_transformers") else { return };
    let path = shared.join("tokenizer/clip/bpe_simple_vocab_16e6.txt.gz");
    let mut file = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut file).unwrap();
    let merges: Vec<&str> = file.lines().skip(1).take(N_MERGES).collect();
    let ends = letters().into_iter().map(|letter| format!("{letter}</w>"));
    let tokens = letters().into_iter().map(String::from).chain(ends);
    let tokens = tokens.chain(merges.iter().map(|merge| merge.replace(' ', "")));
    let tokens = tokens.chain(["<|startoftext|>", "<|endoftext|>"].map(str::to_owned));
    let ids: serde_json::Map<_, _> = tokens.zip(0..).map(|(token, id)| (token, id.into())).collect();
    let vocabulary = Json::from(ids).to_string();
    let tokenizer = ClipTokenizer::from_files(vocabulary.as_bytes(), merges.join("\n").as_bytes()).unwrap();
    assert_eq!((tokenizer.begin(), tokenizer.end()), (49_406, 49_407));
    let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
    let wrong = cases.iter().filter_map(|case| {
        let text = case["text"].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        let found = tokenizer.encode(text);
        (found != expected).then(|| format!("{text:?}: {found:?}, not {expected:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() > 20);
}
