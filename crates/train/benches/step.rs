//! Hearth's side of `cargo xtask bench --case train-15m` and `train-110m`: tokens a second of training steps, and the
//! most memory that they took: `cargo bench --package train --bench step -- 15m|110m f32|bf16 [--steps N]`.
//!
//! Weights and tokens are random: speed does not depend on them.

use std::time::Instant;

use base::Rng;
use kernels::{isa, machine, pool};
use models::families::LLAMA;
use models::parameters::{Head, Parameters};
use ops::Precision;
use testkit::bench::{Options, Outcome, median, peak_memory_mb};
use train::{Batch, Batches, Error, Facts, Knobs, Training};

struct Random {
    rng: Rng,
    shape: [usize; 2],
}

const VOCABULARY: usize = 32_000;
/// Steps that warm up and are not counted.
const WARM_UP: u64 = 2;

impl Batches for Random {
    fn next(&mut self) -> Result<Batch, Error> {
        let [sequences, length] = self.shape;
        let mut ids = || (0..sequences * length).map(|_| self.rng.below(VOCABULARY) as u32).collect();
        Ok(Batch { sequences, ids: ids(), targets: ids() })
    }

    fn position(&self) -> String {
        String::new()
    }
}

fn main() {
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let (layers, width, feed_forward, heads, shape, segments) = match options.word(0, "15m") {
        "15m" => (6, 288, 768, 6, [8, 256], 1),
        // Half of the forward pass twice, for a sixth of the memory.
        "110m" => (12, 768, 2048, 12, [4, 512], 2),
        other => panic!("the shape is 15m or 110m, not {other}"),
    };
    let precision = match options.word(1, "bf16") {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => panic!("the precision is f32 or bf16, not {other}"),
    };
    let n_steps = options.steps.unwrap_or(10).max(1) + WARM_UP;
    let knobs = Knobs {
        width: Some(width),
        layers: Some(layers),
        heads: Some(heads),
        feed_forward: Some(feed_forward),
        batch: Some(shape[0]),
        length: Some(shape[1]),
        steps: Some(n_steps),
        precision: Some(precision),
        segments: Some(segments),
        ..Knobs::default()
    };
    let facts = Facts { n_tokens: 1 << 30, vocabulary: VOCABULARY, has_16_bit_units: false };
    let plan = knobs.plan(facts).expect("the sizes fit");
    let config = plan.sizes.config();
    let mut rng = Rng::new(options.seed);
    let parameters = Parameters::random(config, Head::Tied, &LLAMA.gguf, &mut rng, &ops::device::cpu());
    let n_values = parameters.n_values();
    let mut training = Training::new(parameters, plan.settings).expect("the settings are right");
    let mut batches = Random { rng, shape };
    let mut step = || {
        let begun = Instant::now();
        training.step(&mut batches).expect("random tokens can be learned");
        begun.elapsed().as_secs_f64()
    };
    let seconds: Vec<f64> = (0..n_steps).map(|_| step()).skip(WARM_UP as usize).collect();
    let n_tokens = (shape[0] * shape[1]) as f64;
    // Six for each weight and token; attention's products forward (4) and backward (10 over half the square).
    let attention = 7 * layers * width * shape[1];
    let speed = n_tokens * (6 * n_values + attention) as f64 / median(seconds.clone());
    let peak = peak(options.threads);
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    outcome.figure("tokens_per_second", n_tokens / median(seconds));
    peak_memory_mb().into_iter().for_each(|memory| _ = outcome.figure("memory_mb", memory));
    outcome.figure("tflops", speed / 1e12).figure("share of f32 peak", speed / peak);
    outcome.figure("peak_tflops", peak / 1e12).print();
}

/// Floating-point operations a second of multiply-adds in registers.
fn peak(n_threads: usize) -> f64 {
    let begun = Instant::now();
    let operations = machine::multiply_add(isa::current(), n_threads, 1 << 24);
    operations as f64 / begun.elapsed().as_secs_f64()
}
