//! Hearth's side of `cargo xtask bench --case losses-15m`: the loss of every step from the weights and batches that
//! the peer wrote into the folder, with the peer's optimiser, clipping and schedule.
//!
//! `weights.safetensors` has the names and the order of pairs of `transformers`; `batches.i32` has for each step the
//! 8 × 256 tokens and then their successors, little-endian.

use std::path::Path;

use kernels::{isa, pool};
use models::Config;
use models::families::LLAMA;
use models::parameters::{Head, Parameters};
use ops::Precision;
use testkit::bench::{Options, Outcome};
use train::{Batch, Batches, Error, Facts, Knobs, Schedule, Training};

const VOCABULARY: usize = 32_000;
const SEQUENCES: usize = 8;
const LENGTH: usize = 256;
const N_STEPS: u64 = 200;

/// Batches in the order of the file.
struct Fixed {
    batches: std::vec::IntoIter<Batch>,
}

impl Fixed {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the peer has written the batches");
        let (words, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty() && words.len().is_multiple_of(2 * SEQUENCES * LENGTH), "whole batches");
        let ids: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let batch = |both: &[u32]| {
            let (ids, targets) = both.split_at(SEQUENCES * LENGTH);
            Batch { sequences: SEQUENCES, ids: ids.to_vec(), targets: targets.to_vec() }
        };
        let batches: Vec<Batch> = ids.chunks(2 * SEQUENCES * LENGTH).map(batch).collect();
        Self { batches: batches.into_iter() }
    }
}

impl Batches for Fixed {
    fn next(&mut self) -> Result<Batch, Error> {
        self.batches.next().ok_or_else(|| Error::Data("the peer wrote fewer batches than steps".into()))
    }

    fn position(&self) -> String {
        String::new()
    }
}

fn main() {
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let precision = match options.word(0, "f32") {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => panic!("the precision is f32 or bf16, not {other}"),
    };
    let knobs = Knobs { precision: Some(precision), ..knobs(options.steps.unwrap_or(N_STEPS)) };
    let facts = Facts { n_tokens: 1 << 30, vocabulary: VOCABULARY, has_16_bit_units: false };
    let plan = knobs.plan(facts).expect("the sizes fit");
    let config = Config { rope_layout: LLAMA.hugging_face.rope_layout, ..plan.sizes.config() };
    let file = formats::FileBytes::open(&options.folder().join("weights.safetensors"));
    let file =
        formats::safetensors::read(&file.expect("the peer has written weights")).expect("they are whole");
    let mut values = |name: &str, n: usize| {
        let entry = file.tensor(name).expect("the peer wrote every tensor");
        let (words, _) = file.tensor_bytes(entry).expect("the entry is of this file").as_chunks::<4>();
        assert_eq!(words.len(), n, "{name}");
        words.iter().map(|word| f32::from_le_bytes(*word)).collect()
    };
    let device = ops::device::cpu();
    let parameters = Parameters::from_values(config, Head::Tied, &LLAMA.hugging_face, &device, &mut values);
    let mut training = Training::new(parameters, plan.settings).expect("the settings are right");
    let mut batches = Fixed::read(&options.folder().join("batches.i32"));
    let mut losses = Vec::new();
    while !training.is_done() {
        losses.push(training.step(&mut batches).expect("these tokens can be learned").loss);
    }
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    losses.last().into_iter().for_each(|loss| _ = outcome.figure("last_loss", *loss));
    outcome.series("losses", &losses).print();
}

/// The shape, the optimiser and the schedule of the case.
fn knobs(steps: u64) -> Knobs {
    Knobs {
        width: Some(288),
        layers: Some(6),
        heads: Some(6),
        kv_heads: Some(6),
        feed_forward: Some(768),
        batch: Some(SEQUENCES),
        length: Some(LENGTH),
        accumulation: Some(1),
        steps: Some(steps),
        learning_rate: Some(1e-3),
        last_learning_rate: Some(1e-4),
        warm_up: Some(20),
        schedule: Some(Schedule::Cosine),
        beta_1: Some(0.9),
        beta_2: Some(0.95),
        epsilon: Some(1e-8),
        weight_decay: Some(0.1),
        clip: Some(1.0),
        ..Knobs::default()
    }
}
