//! Learned vocabularies in use: any text comes back, the same text gives the same vocabulary, and it is about as
//! short as a reference learner's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use base::Rng;
use testkit::stopwatch::Stopwatch;
use text::learn::{LearnVocabulary, Settings, Unit};
use text::{Error, Special, Tokenizer, VocabularyParts};

fn learn(settings: Settings, documents: &[&str]) -> VocabularyParts {
    let mut learning = LearnVocabulary::new(settings).unwrap();
    documents.iter().for_each(|document| learning.add(document));
    learning.finish().unwrap().parts
}

/// A text of random words of a made-up language, frequent ones first.
fn language(seed: u64, n_words: usize) -> String {
    let mut rng = Rng::new(seed);
    let syllables = ["ka", "lo", "mi", "ren", "tu", "ö", "sha", "11", "'s", "\n", "ы", "q"];
    let word = |rng: &mut Rng| -> String { (0..=rng.below(3)).map(|_| syllables[rng.below(12)]).collect() };
    let words: Vec<String> = (0..200).map(|_| word(&mut rng)).collect();
    let rank = |rng: &mut Rng| (200.0_f64.powf(rng.uniform()) as usize - 1).min(199);
    (0..n_words).map(|_| format!("{} ", words[rank(&mut rng)])).collect()
}

#[test]
fn any_text_comes_back() {
    let text = language(1, 3000);
    let tokenizer = Tokenizer::from_parts(learn(Settings::new(500, &["<|end|>"]), &[&text])).unwrap();
    let mut rng = Rng::new(2);
    for _ in 0..300 {
        let noise: String =
            (0..rng.below(60)).map(|_| char::from_u32(rng.below(0x11_0000) as u32).unwrap_or('\0')).collect();
        let mixed = format!("{noise}{}<|end|>{noise}", language(rng.next_u64(), 5));
        let ids = tokenizer.encode(&mixed, Special::Plain).unwrap();
        assert_eq!(tokenizer.decode(&ids), mixed);
    }
    // Any bytes: each has a token of its own.
    for byte in 0..=255u8 {
        assert!((0..500).any(|id| tokenizer.token_bytes(base::TokenId(id)) == [byte]), "{byte}");
    }
    assert!(tokenizer.encode(&text, Special::Plain).unwrap().len() * 2 < text.len());
}

#[test]
fn the_same_text_gives_the_same_vocabulary() {
    let texts: Vec<String> = (0..8).map(|seed| language(seed, 500)).collect();
    let forward: Vec<&str> = texts.iter().map(String::as_str).collect();
    let backward: Vec<&str> = forward.iter().rev().copied().collect();
    let one = learn(Settings::new(600, &[]), &forward);
    for documents in [forward.clone(), backward] {
        let other = learn(Settings::new(600, &[]), &documents);
        assert_eq!((&one.tokens, &one.merges), (&other.tokens, &other.merges));
    }
    // Also when words are forgotten, as long as the order is the same.
    let few = Settings { max_words: 40, ..Settings::new(600, &[]) };
    assert_eq!(learn(few.clone(), &forward).merges, learn(few, &forward).merges);
}

#[test]
fn every_pre_tokenizer_can_be_learned_for() {
    let text = language(3, 2000);
    for name in ["gpt-2", "falcon", "llama-bpe", "qwen2", "smollm"] {
        let unit = Unit::Merges { pre_tokenizer: name.to_owned() };
        let parts = learn(Settings { unit, ..Settings::new(400, &[]) }, &[&text]);
        assert_eq!(parts.pre_tokenizer, name);
        let tokenizer = Tokenizer::from_parts(parts).unwrap();
        assert_eq!(tokenizer.decode(&tokenizer.encode(&text, Special::Plain).unwrap()), text);
    }
}

#[test]
fn digits_are_tokens_of_their_own() {
    let parts = learn(Settings::new(400, &[]), &[&"12 + 12 = 24, 1212 ".repeat(50)]);
    let tokenizer = Tokenizer::from_parts(parts).unwrap();
    let ids = tokenizer.encode("1212", Special::Plain).unwrap();
    assert_eq!(ids.len(), 4);
}

fn shared_text(test: &str, file: &str) -> Option<String> {
    let folder = testkit::shared::shared(test)?;
    Some(std::fs::read_to_string(folder.join(Path::new("text")).join(file)).unwrap())
}

#[test]
fn tinyshakespeare_has_sixty_five_characters() {
    let name = "text::learn::tinyshakespeare_has_sixty_five_characters";
    let Some(text) = shared_text(name, "tinyshakespeare/input.txt") else { return };
    let parts = learn(Settings { unit: Unit::Characters, ..Settings::new(512, &[]) }, &[&text]);
    assert_eq!(parts.tokens.len(), 65);
    let tokenizer = Tokenizer::from_parts(parts).unwrap();
    let ids = tokenizer.encode(&text, Special::Plain).unwrap();
    assert_eq!((ids.len(), tokenizer.decode(&ids) == text), (1_115_394, true));
    let error = tokenizer.encode("To b€", Special::Plain).unwrap_err();
    assert_eq!(error, Error::NoTokenFor { character: '€', at: 4 });
}

/// Tokens of the whole text with the vocabularies that `tokenizers` 0.23.3 learns from it (`BpeTrainer`, digits one
/// by one, GPT-2's cut, pairs that occur twice). Among equally frequent pairs it decides otherwise, so its merges
/// differ a little where many are rare.
#[test]
fn texts_become_as_short_as_with_a_reference_learner() {
    let name = "text::learn::texts_become_as_short_as_with_a_reference_learner";
    let cases = [
        ("tinyshakespeare/input.txt", 512, 575_809),
        ("tinyshakespeare/input.txt", 4096, 344_104),
        ("tinystories/tiny_stories.txt", 512, 409_240),
        ("tinystories/tiny_stories.txt", 4096, 237_920),
    ];
    for (file, size, expected) in cases {
        let Some(text) = shared_text(name, file) else { return };
        let tokenizer =
            Tokenizer::from_parts(learn(Settings::new(size, &["<|endoftext|>"]), &[&text])).unwrap();
        let found = tokenizer.encode(&text, Special::Plain).unwrap().len();
        assert!(found.abs_diff(expected) * 1000 < expected, "{file}, {size}: {found} tokens, not {expected}");
        assert_eq!(tokenizer.len(), size);
    }
}

/// A merge costs what it changes, not another look at all words.
#[test]
fn a_large_vocabulary_is_learned_in_seconds() {
    let mut rng = Rng::new(5);
    let mut letters = || char::from(b'a' + (rng.uniform() * rng.uniform() * 26.0) as u8);
    let text: String = (0..400_000).map(|at| if at % 7 == 6 { ' ' } else { letters() }).collect();
    let watch = Stopwatch::start();
    let parts = learn(Settings::new(12_000, &[]), &[&text]);
    let took = watch.computed();
    assert_eq!(parts.tokens.len(), 12_000);
    // Counting every pair anew before every merge would be four thousand million look-ups, which is minutes.
    assert!(took.as_secs() < 30, "{took:?}");
}
