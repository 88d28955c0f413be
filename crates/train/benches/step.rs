//! Tokens a second of training steps at two shapes, with the share of this machine's f32 peak:
//! `cargo bench --package train --bench step -- [15m|110m] [f32|bf16] [STEPS]`.
//!
//! Weights and tokens are random: speed does not depend on them.

use std::time::Instant;

use base::Rng;
use kernels::{machine, pool};
use models::families::LLAMA;
use models::parameters::{Head, Parameters};
use ops::Precision;
use train::{Batch, Batches, Error, Facts, Knobs, Training};

struct Random {
    rng: Rng,
    shape: [usize; 2],
}

const VOCABULARY: usize = 32_000;

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
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let word = |index: usize| arguments.get(index).map(String::as_str);
    let shape = word(0).unwrap_or("15m");
    let precision = if word(1) == Some("bf16") { Precision::Bf16 } else { Precision::F32 };
    let steps: u64 = word(2).and_then(|word| word.parse().ok()).unwrap_or(8).max(2);
    let [layers, width, feed_forward, heads, batch, length] = match shape {
        "110m" => [12, 768, 2048, 12, 4, 512],
        _ => [6, 288, 768, 6, 8, 256],
    };
    let knobs = Knobs {
        width: Some(width),
        layers: Some(layers),
        heads: Some(heads),
        feed_forward: Some(feed_forward),
        batch: Some(batch),
        length: Some(length),
        steps: Some(steps),
        precision: Some(precision),
        ..Knobs::default()
    };
    let facts = Facts { n_tokens: 1 << 30, vocabulary: VOCABULARY, has_16_bit_units: false };
    let plan = knobs.plan(facts).expect("the sizes fit");
    let config = plan.sizes.config();
    let parameters =
        Parameters::random(config, Head::Tied, &LLAMA.gguf, &mut Rng::new(1), &ops::device::cpu());
    let n_values = parameters.n_values();
    let mut training = Training::new(parameters, plan.settings).expect("the settings are right");
    let mut batches = Random { rng: Rng::new(2), shape: [batch, length] };
    // The first step takes its memory from the system; the others find it.
    training.step(&mut batches).expect("random tokens can be learned");
    let spent = processor_seconds();
    let mut seconds: Vec<f64> = (1..steps)
        .map(|_| {
            let begun = Instant::now();
            training.step(&mut batches).expect("random tokens can be learned");
            begun.elapsed().as_secs_f64()
        })
        .collect();
    let [user, system] =
        std::array::from_fn(|kind| (processor_seconds()[kind] - spent[kind]) / (steps - 1) as f64);
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let n_tokens = (batch * length) as f64;
    // Six for each weight and token; attention's products forward (4) and backward (10 over half the square).
    let attention = 7 * layers * width * length;
    let flops = n_tokens * (6 * n_values + attention) as f64;
    let (begun, before) = (Instant::now(), processor_seconds()[0]);
    let peak_flops = machine::multiply_add(kernels::isa::current(), pool::active_threads(), 1 << 26) as f64;
    let peak = peak_flops / begun.elapsed().as_secs_f64();
    let peak_of_a_processor = peak_flops / (processor_seconds()[0] - before);
    println!(
        "{shape} {precision:?}: {:.0} tokens/s, {:.3} s a step, {:.0} GFLOP/s, {:.0} % of the f32 peak of {:.0}, {} MB at most",
        n_tokens / median,
        median,
        flops / median / 1e9,
        100.0 * flops / median / peak,
        peak / 1e9,
        peak_memory_mb(),
    );
    // On a machine that others use as well, wall time tells of them; processor time tells of this program.
    println!(
        "processors: {user:.3} s in the program and {system:.3} s in the system a step, {:.0} % of what their peak of {:.0} needs",
        100.0 * flops / (user + system) / peak_of_a_processor,
        peak_of_a_processor / 1e9,
    );
}

/// Seconds of all processors that this process has used, in the program and in the system, in steps of 10 ms; zeros
/// where the system does not tell.
fn processor_seconds() -> [f64; 2] {
    let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, counted behind the name in brackets, which is the second.
    let ticks: Vec<&str> = line.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].map(|index| ticks.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / 100.0)
}

/// The most memory that this process ever had, in MB; 0 where the system does not tell.
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
