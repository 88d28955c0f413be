//! `cargo run --release -p data --example prepare -- FOLDER TOKENS_FILE SIZE`: learns a vocabulary of SIZE tokens from
//! the documents of a folder, writes them as tokens, packs one epoch, and tells how long each took.
#![allow(clippy::unwrap_used, reason = "an example may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use base::disk::RealDisk;
use data::packing::{Batch, Packer, Shape};
use data::tokens::{Encoded, Header, Part, Plan, Refused, Tokens, write};
use data::{Digest, Document, Folder};
use text::learn::{LearnVocabulary, Settings};
use text::{Special, Tokenizer};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = Path::new(&arguments[1]);
    let folder = Folder::open(Arc::new(RealDisk), Path::new(&arguments[0])).unwrap();
    let clock = Instant::now();
    let fingerprint = folder.fingerprint().unwrap();
    println!(
        "{:7.2} s: {} bytes, {}",
        clock.elapsed().as_secs_f64(),
        fingerprint.size_bytes(),
        fingerprint.digest()
    );

    let settings = Settings::new(arguments[2].parse().unwrap(), &["<|endoftext|>"]);
    let mut learning = LearnVocabulary::new(settings).unwrap();
    for document in folder.documents() {
        document.unwrap().texts().for_each(|text| learning.add(text));
    }
    let learned = learning.finish().unwrap();
    let n_tokens = learned.parts.tokens.len();
    println!("{:7.2} s: {n_tokens} tokens of {} words", clock.elapsed().as_secs_f64(), learned.n_words);

    let tokenizer = Tokenizer::from_parts(learned.parts.clone()).unwrap();
    let mut encode = |document: &Document| -> Result<Encoded, Refused> {
        let mut ids = Vec::new();
        for text in document.texts() {
            let more = tokenizer.encode(text, Special::Plain);
            ids.extend(more.map_err(|error| Refused::Skip(error.to_string()))?);
        }
        Ok(Encoded { is_counted: vec![true; ids.len()], ids })
    };
    let header = Header {
        vocabulary: Digest::of(learned.parts.merges.join("\n").as_bytes()),
        n_vocabulary: n_tokens as u32,
        data: fingerprint.digest(),
        end: tokenizer.find("<|endoftext|>"),
        held_out_ppm: 50_000,
    };
    let mut documents = folder.documents();
    let summary = write(&mut documents, &mut encode, &Plan { disk: &RealDisk, path, header }).unwrap();
    println!("{:7.2} s: {summary:?}", clock.elapsed().as_secs_f64());
    documents.report().skipped.iter().for_each(|skip| println!("  left out: {skip}"));

    let mut tokens = Tokens::open(path).unwrap();
    tokens.verify().unwrap();
    println!(
        "{:7.2} s: {} tokens to train on verified",
        clock.elapsed().as_secs_f64(),
        tokens.n_tokens(Part::Training)
    );
    let mut packer = Packer::new(tokens, Shape { n_rows: 32, n_tokens: 256 }, 1).unwrap();
    let (n_batches, mut batch) = (packer.n_rows_in_epoch() / 32, Batch::default());
    (0..n_batches).for_each(|_| packer.next_batch(&mut batch).unwrap());
    println!("{:7.2} s: {n_batches} batches of an epoch", clock.elapsed().as_secs_f64());
}
