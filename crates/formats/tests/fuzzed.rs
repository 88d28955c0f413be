//! The fuzz targets in the gate (TRUST T05): the kept corpus, then seeded mutations of it, none over a second.
//!
//! Longer runs are a command of their own.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use base::Rng;
use formats::fuzz::{TARGETS, Target, mutate};
use testkit::stopwatch::Stopwatch;

/// About two seconds a target in a development build.
const CASES: usize = 120_000;
const SEED: u64 = 20_260_101;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target.name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Runs a case; on a panic prints the input, so that it can be kept.
fn run(target: &Target, bytes: &[u8]) {
    let watch = Stopwatch::start();
    let result = std::panic::catch_unwind(|| (target.run)(bytes));
    assert!(result.is_ok(), "{}: broken by {}", target.name, bytes.escape_ascii());
    assert!(watch.computed() < Duration::from_secs(1), "{}: slow: {}", target.name, bytes.escape_ascii());
}

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let kept = corpus(target);
    for seed in (target.seeds)().unwrap() {
        assert!(kept.contains(&seed), "{name}: the corpus lacks a seed: make it anew with the example");
    }
    kept.iter().for_each(|bytes| run(target, bytes));
    println!("{name}: {} kept, {CASES} mutations, seed {SEED}", kept.len());
    let mut rng = Rng::new(SEED);
    for _ in 0..CASES {
        run(target, &mutate(&kept, &mut rng));
    }
}

#[test]
fn gguf() {
    check("gguf");
}

#[test]
fn safetensors() {
    check("safetensors");
}

#[test]
fn llama2c() {
    check("llama2c");
}

#[test]
fn llama2c_tokenizer() {
    check("llama2c_tokenizer");
}

#[test]
fn pytorch() {
    check("pytorch");
}

#[test]
fn pytorch_pickle() {
    check("pytorch_pickle");
}

#[test]
fn metadata() {
    check("metadata");
}

#[test]
fn shards() {
    check("shards");
}

#[test]
fn gguf_split() {
    check("gguf_split");
}

#[test]
fn adapter() {
    check("adapter");
}

#[test]
fn any() {
    check("any");
    assert_eq!(TARGETS.len(), 11, "a target without its test");
}
