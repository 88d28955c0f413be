//! Hearth's side of `cargo xtask bench --case minilm`: texts a second of an encoder, from the weights and the tokens that the
//! peer wrote into the folder, and the lowest cosine of a vector to the peer's own.

use std::path::Path;
use std::time::Instant;

use formats::{FileBytes, safetensors};
use kernels::{isa, pool};
use models::encoder::{Encoder, Pooling};
use models::{Config, families};
use testkit::bench::{Options, Outcome, median, peak_memory_mb};

/// Tokens of a text.
const LENGTH: usize = 128;

fn main() {
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let encoder = encoder(options.folder());
    let ids: Vec<u32> = words(&options.folder().join("ids.i32")).map(u32::from_le_bytes).collect();
    let lengths = vec![LENGTH; ids.len() / LENGTH];
    let vectors = encoder.embed(&ids, &lengths, Pooling::Mean);
    let timing = |_| {
        let begun = Instant::now();
        encoder.embed(&ids, &lengths, Pooling::Mean);
        begun.elapsed().as_secs_f64()
    };
    let seconds = median((0..options.steps.unwrap_or(10).max(1)).map(timing).collect());
    let expected: Vec<f32> = words(&options.folder().join("vectors.f32")).map(f32::from_le_bytes).collect();
    let cosine = |(vector, expected): (&Vec<f32>, &[f32])| -> f64 {
        vector.iter().zip(expected).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let cosines = vectors.iter().zip(expected.chunks_exact(encoder.config().width)).map(cosine);
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    outcome.figure("texts_per_second", lengths.len() as f64 / seconds);
    outcome.figure("lowest_cosine", cosines.fold(1.0, f64::min));
    peak_memory_mb().into_iter().for_each(|memory| _ = outcome.figure("memory_mb", memory));
    outcome.print();
}

fn encoder(folder: &Path) -> Encoder {
    let config = std::fs::read(folder.join("config.json")).expect("the peer has written the settings");
    let config = serde_json::from_slice(&config).expect("they are JSON");
    let family = families::recognise_config(&config, "config.json").expect("an encoder");
    let config = Config::from_hugging_face(&config, &family.hugging_face, "config.json").expect("its sizes");
    let file = FileBytes::open(&folder.join("model.safetensors")).expect("the peer has written weights");
    let file = safetensors::read(&file).expect("they are whole");
    Encoder::load(&file, config, &family.hugging_face, &ops::device::cpu()).expect("every weight is there")
}

/// A file's words of four bytes.
fn words(path: &Path) -> impl Iterator<Item = [u8; 4]> {
    let bytes = std::fs::read(path).expect("the peer has written what both need");
    bytes.as_chunks::<4>().0.to_vec().into_iter()
}
