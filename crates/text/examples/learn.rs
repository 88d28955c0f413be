//! `cargo run --release -p text --example learn -- FILE SIZE [TIMES] [PRE_TOKENIZER]`: learns a vocabulary from a
//! text file, seen so many times over with its words changed a little each time, and tells how long that took.
#![allow(clippy::unwrap_used, reason = "an example may panic")]

use std::time::Instant;
use text::learn::{LearnVocabulary, Settings, Unit};
use text::{Special, Tokenizer};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let document = std::fs::read_to_string(&arguments[0]).unwrap();
    let size: usize = arguments[1].parse().unwrap();
    let times: u8 = arguments.get(2).map_or(1, |times| times.parse().unwrap());
    let mut settings = Settings::new(size, &["<|endoftext|>"]);
    if let Some(name) = arguments.get(3) {
        settings.unit = Unit::Merges { pre_tokenizer: name.clone() };
    }
    let mut learning = LearnVocabulary::new(settings).unwrap();
    let begun = Instant::now();
    for time in 0..times {
        let shifted = |letter: char| match letter {
            'a'..='z' => char::from((letter as u8 - b'a' + time % 26) % 26 + b'a'),
            _ => letter,
        };
        let changed: String = document.chars().map(shifted).collect();
        learning.add(&changed);
    }
    let counted = begun.elapsed();
    let learned = learning.finish().unwrap();
    println!(
        "{} bytes, {} different words, {} forgotten: counted in {:.2} s, {} tokens learned in {:.2} s",
        learned.n_bytes,
        learned.n_words,
        learned.n_forgotten,
        counted.as_secs_f64(),
        learned.parts.tokens.len(),
        (begun.elapsed() - counted).as_secs_f64()
    );
    let tokenizer = Tokenizer::from_parts(learned.parts.clone()).unwrap();
    let mut n_ids = 0;
    for piece in document.as_bytes().chunks(1 << 20) {
        let ids = tokenizer.encode(&String::from_utf8_lossy(piece), Special::Plain).unwrap();
        n_ids += ids.len();
    }
    println!("{n_ids} tokens for {} bytes of it", document.len());
    println!("{}", learned.parts.merges[..40.min(learned.parts.merges.len())].join(", "));
}
