//! Makes the kept corpus anew: `cargo run -p formats --example fuzz_corpus -- fuzz/corpus`.
//!
//! Per target the seeds, and for every distinct complaint that mutation provokes the smallest input that does.
//! Mutations are seeded, so two runs give the same files. Inputs added by hand or found by a fuzzer are left.

use std::collections::BTreeMap;
use std::path::Path;

use base::Rng;
use formats::fuzz::{TARGETS, Target, mutate};
use formats::{Error, FileBytes, gguf, llama2c, metadata, pytorch, safetensors};

const CASES: usize = 200_000;
/// So that the corpus stays small: at most so many files of a target, each at most so long.
const MAX_FILES: usize = 60;
const MAX_BYTES: usize = 1500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: fuzz_corpus FOLDER")?;
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        std::fs::create_dir_all(&folder)?;
        let seeds = (target.seeds)()?;
        for (index, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{index:02}")), seed)?;
        }
        for (index, bytes) in complaints(target, &seeds).iter().enumerate() {
            std::fs::write(folder.join(format!("refused-{index:02}")), bytes)?;
        }
    }
    Ok(())
}

/// The smallest input for each distinct complaint.
fn complaints(target: &Target, seeds: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(1);
    let mut smallest: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for _ in 0..CASES {
        let bytes = mutate(seeds, &mut rng);
        if bytes.len() > MAX_BYTES {
            continue;
        }
        if let Some(error) = refusal(target.name, &bytes) {
            let known = smallest.entry(signature(&error)).or_insert_with(|| bytes.clone());
            if bytes.len() < known.len() {
                *known = bytes;
            }
        }
    }
    smallest.into_values().take(MAX_FILES).collect()
}

fn refusal(target: &str, bytes: &[u8]) -> Option<Error> {
    let file = FileBytes::from_vec("f", bytes.to_vec());
    match target {
        "gguf" => gguf::read(&file).err(),
        "safetensors" => safetensors::read(&file).err(),
        "llama2c" => llama2c::read(&file).err(),
        "llama2c_tokenizer" => llama2c::read_tokenizer(&file, 4).err(),
        "pytorch" => pytorch::read(&file).err(),
        "metadata" | "shards" => metadata::read_json(&file).err(),
        // These targets build the file from their bytes themselves; mutation of the seeds is corpus enough.
        "pytorch_pickle" | "gguf_split" => None,
        _ => formats::read(&file).err(),
    }
}

/// The complaint without its numbers and names.
fn signature(error: &Error) -> String {
    let text = error.to_string();
    let outside = text.split('"').step_by(2).collect::<String>();
    outside.chars().filter(|letter| letter.is_ascii_alphabetic() || *letter == ' ').collect()
}
