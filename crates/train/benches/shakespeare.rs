//! Hearth's side of `cargo xtask bench --case shakespeare`: nanoGPT's published small configuration on the characters
//! of a text: the seconds of its 2,000 steps, and the loss over the whole last tenth of the text.
//!
//! `cargo bench --package train --bench shakespeare -- TEXT [f32|bf16]`. The weights begin as Hearth begins them, not
//! as nanoGPT does; everything else is the published configuration.

use std::time::Instant;

use base::Rng;
use kernels::{isa, pool};
use models::blocks::{Biases, Blocks, FeedForwardKind};
use models::families::GPT2;
use models::parameters::{Head, Parameters};
use models::{Config, Dialect};
use ops::Precision;
use ops::activation::gelu::Gelu;
use testkit::bench::{Options, Outcome, peak_memory_mb};
use train::{Batch, Batches, Error, Schedule, Settings, Training};

const SEQUENCES: usize = 12;
const LENGTH: usize = 64;
const N_STEPS: u64 = 2_000;

/// GPT-2's blocks as nanoGPT builds them for characters: no bias, the GELU of the error function.
const DIALECT: Dialect = Dialect {
    blocks: Blocks {
        biases: Biases::None,
        feed_forward: FeedForwardKind::Gelu(Gelu::Erf),
        ..GPT2.gguf.blocks
    },
    ..GPT2.gguf
};

/// Windows of a text, each as likely as the others.
struct Windows {
    tokens: Vec<u32>,
    rng: Rng,
}

impl Batches for Windows {
    fn next(&mut self) -> Result<Batch, Error> {
        let mut batch = Batch { sequences: SEQUENCES, ..Batch::default() };
        for _ in 0..SEQUENCES {
            let start = self.rng.below(self.tokens.len() - LENGTH);
            batch.ids.extend(&self.tokens[start..start + LENGTH]);
            batch.targets.extend(&self.tokens[start + 1..start + LENGTH + 1]);
        }
        Ok(batch)
    }

    fn position(&self) -> String {
        String::new()
    }
}

fn main() {
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let text = std::fs::read(options.word(0, "")).expect("the first word is a text's path");
    let mut characters = text.clone();
    characters.sort_unstable();
    characters.dedup();
    let place = |character: &u8| characters.binary_search(character).expect("each stands in the list") as u32;
    let tokens: Vec<u32> = text.iter().map(place).collect();
    let (learned, held_out) = tokens.split_at(tokens.len() * 9 / 10);

    let mut rng = Rng::new(options.seed);
    let config = Config::new([characters.len(), 128, 4, 512, LENGTH], [4, 4], &DIALECT);
    let parameters = Parameters::random(config, Head::Tied, &DIALECT, &mut rng, &ops::device::cpu());
    let precision = match options.word(1, "f32") {
        "bf16" => Precision::Bf16,
        _ => Precision::F32,
    };
    let settings = settings(options.steps.unwrap_or(N_STEPS), precision, options.seed);
    let mut training = Training::new(parameters, settings).expect("the settings are right");
    let mut windows = Windows { tokens: learned.to_vec(), rng };
    let begun = Instant::now();
    while !training.is_done() {
        training.step(&mut windows).expect("a text can be learned");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let loss = training.held_out_loss(&in_order(held_out)).expect("a tenth of the text is a window or more");
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    outcome.figure("seconds", seconds).figure("validation_loss", loss);
    peak_memory_mb().into_iter().for_each(|memory| _ = outcome.figure("memory_mb", memory));
    outcome.print();
}

/// Every whole window of `tokens`, one behind the other.
fn in_order(tokens: &[u32]) -> Vec<Batch> {
    let ids = tokens[..tokens.len() - 1].chunks_exact(LENGTH);
    let windows: Vec<_> = ids.zip(tokens[1..].chunks_exact(LENGTH)).collect();
    let batch = |some: &[(&[u32], &[u32])]| Batch {
        sequences: some.len(),
        ids: some.iter().flat_map(|(ids, _)| ids.iter().copied()).collect(),
        targets: some.iter().flat_map(|(_, targets)| targets.iter().copied()).collect(),
    };
    windows.chunks(SEQUENCES).map(batch).collect()
}

fn settings(steps: u64, precision: Precision, seed: u64) -> Settings {
    Settings {
        steps,
        length: LENGTH,
        batch: SEQUENCES,
        accumulation: 1,
        learning_rate: 1e-3,
        last_learning_rate: 1e-4,
        warm_up: 100,
        schedule: Schedule::Cosine,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.1,
        clip: 1.0,
        precision,
        segments: 1,
        seed,
    }
}
