//! Whole vocabularies against reference encodings: each of the five has 47 texts with their token ids.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/gguf.rs"]
mod gguf;

use std::path::PathBuf;

use base::{Rng, TokenId};
use testkit::stopwatch::Stopwatch;
use text::{Begin, Detokenizer, ShowSpecial, Special, Tokenizer};

const NAMES: &[&str] = &["gpt-2", "llama-spm", "bert-bge", "falcon", "phi-3"];

fn shared(test: &str, path: &str) -> Option<PathBuf> {
    testkit::shared::shared(test).map(|folder| folder.join(path))
}

fn load(test: &str, name: &str) -> Option<Tokenizer> {
    let path = shared(test, &format!("tokenizer/ggml-vocab/ggml-vocab-{name}.gguf"))?;
    Some(Tokenizer::from_parts(gguf::vocabulary(&path)).unwrap())
}

#[test]
fn the_reference_cases_of_five_vocabularies() {
    for name in NAMES {
        let file = format!("tokenizer/ggml-vocab/ggml-vocab-{name}.gguf");
        let Some(path) = shared("the_reference_cases_of_five_vocabularies", &file) else { return };
        let tokenizer = Tokenizer::from_parts(gguf::vocabulary(&path)).unwrap();
        let read = |suffix: &str| std::fs::read_to_string(format!("{}.{suffix}", path.display())).unwrap();
        let (texts, ids) = (read("inp"), read("out"));
        let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
        let ids: Vec<&str> = ids.split('\n').collect();
        assert!(texts.len() >= 47 && ids.len() >= 47, "{name}: {} texts, {} ids", texts.len(), ids.len());
        for (case, (text, expected)) in texts.iter().zip(&ids).take(47).enumerate() {
            let expected: Vec<TokenId> =
                expected.split_whitespace().map(|id| TokenId(id.parse().unwrap())).collect();
            assert_eq!(
                tokenizer.encode(text, Special::Plain).unwrap(),
                expected,
                "{name} case {case}: {text:?}"
            );
        }
    }
}

#[test]
fn written_as_json_a_vocabulary_gives_the_same_ids() {
    for name in NAMES {
        let test = "written_as_json_a_vocabulary_gives_the_same_ids";
        let file = format!("tokenizer/ggml-vocab/ggml-vocab-{name}.gguf");
        let Some(path) = shared(test, &file) else { return };
        let parts = gguf::vocabulary(&path);
        let json = parts.to_tokenizer_json().unwrap().unwrap().to_string();
        let (own, read) =
            (Tokenizer::from_parts(parts).unwrap(), Tokenizer::from_json(json.as_bytes()).unwrap());
        let texts = std::fs::read_to_string(format!("{}.inp", path.display())).unwrap();
        for text in texts.split("\n__ggml_vocab_test__\n") {
            let ids = own.encode(text, Special::Plain).unwrap();
            assert_eq!(read.encode(text, Special::Plain).unwrap(), ids, "{name} {text:?}");
        }
        assert_eq!((own.len(), own.add_bos(), own.add_eos()), (read.len(), read.add_bos(), read.add_eos()));
    }
}

#[test]
fn decoding_gives_the_text_back_and_streaming_gives_the_same() {
    for name in ["gpt-2", "llama-spm", "falcon", "phi-3"] {
        let Some(tokenizer) = load("decoding_gives_the_text_back_and_streaming_gives_the_same", name) else {
            return;
        };
        for text in ["", "Hello, y'all! 😶‍🌫️", "  two  spaces\n\n\tកាន់ ½", " lead"] {
            let ids = tokenizer.encode(text, Special::Plain).unwrap();
            assert_eq!(tokenizer.decode(&ids), text, "{name}");
        }
        let mut rng = Rng::new(3);
        for _ in 0..300 {
            // Ids past the vocabulary too: a model's rows of logits may be longer.
            let ids: Vec<TokenId> =
                (0..rng.below(20)).map(|_| TokenId(rng.below(tokenizer.len() + 8) as u32)).collect();
            let mut stream = Detokenizer::new(Begin::Text, ShowSpecial::No);
            let mut text: String = ids.iter().map(|id| stream.push(&tokenizer, *id)).collect();
            text.push_str(&stream.finish());
            assert_eq!(text, tokenizer.decode(&ids));
            let bytes: Vec<u8> = ids
                .iter()
                .filter(|id| !tokenizer.is_special(**id))
                .flat_map(|id| tokenizer.token_bytes(*id).to_vec())
                .collect();
            let whole = String::from_utf8_lossy(&bytes).into_owned();
            let lacks_space = name == "llama-spm" || name == "phi-3";
            let whole = whole.strip_prefix(' ').filter(|_| lacks_space).unwrap_or(&whole);
            assert_eq!(text, whole, "{name} {ids:?}");
        }
    }
}

#[test]
fn a_megabyte_of_anything_takes_bounded_time() {
    let texts = [
        "a".repeat(1 << 20),
        "🦙".repeat(1 << 18),
        " ".repeat(1 << 20),
        "antidisestablishmentarianism".repeat(37449),
        "<|endoftext|>".repeat(80659),
    ];
    for name in NAMES {
        let Some(tokenizer) = load("a_megabyte_of_anything_takes_bounded_time", name) else { return };
        for text in &texts {
            let watch = Stopwatch::start();
            let ids = tokenizer.encode(text, Special::Plain).unwrap();
            let seconds = watch.computed().as_secs_f64();
            let head: String = text.chars().take(6).collect();
            println!("{name} {head:?}: {} ids in {seconds:.2} s", ids.len());
            assert!(seconds < 10.0, "{name} {head:?}: {seconds:.1} s");
        }
    }
}

#[test]
fn what_a_person_types_is_never_a_special_token() {
    for (name, spelled) in [("gpt-2", "<|endoftext|>"), ("llama-spm", "<s></s>"), ("phi-3", "</s><|end|>")] {
        let Some(tokenizer) = load("what_a_person_types_is_never_a_special_token", name) else { return };
        let plain = tokenizer.encode(spelled, Special::Plain).unwrap();
        assert!(plain.iter().all(|id| !tokenizer.is_special(*id)), "{name}: {plain:?}");
        assert_eq!(tokenizer.decode(&plain), spelled);
        let parsed = tokenizer.encode(spelled, Special::Parse).unwrap();
        assert!(parsed.iter().all(|id| tokenizer.is_special(*id)), "{name}: {parsed:?}");
    }
}
