//! Hearth's side of `cargo xtask bench --case product`: dense products in TFLOP/s, with their share of the f32 peak
//! of the same run.
//!
//! Both operands are f32 in memory, as the weights of a training are: what rounding and packing them costs is counted.
//! But few rows are those of generated tokens, which meet weights as a file stores them.

use std::time::Instant;

use base::Rng;
use kernels::product::{How, Into, Precision, Role, Shape, Weights, product, training_product};
use kernels::{isa, machine, pool};
use testkit::bench::{Options, Outcome, median};

/// Rows, inner size, outer size; a square one, three of trainings, one of a prompt.
const SHAPES: [[usize; 3]; 5] =
    [[2048, 2048, 2048], [2048, 288, 768], [2048, 288, 32_000], [16, 2048, 8192], [512, 2048, 8192]];
const PRECISIONS: [(&str, Precision); 2] = [("f32", Precision::F32), ("bf16", Precision::Bf16)];
/// Rows that have the arithmetic of generated ones.
const GENERATED: usize = 32;
/// What is timed at once takes at least this long.
const SHORTEST_S: f64 = 0.02;

fn main() {
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let peak = peak(options.threads);
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    outcome.figure("peak_tflops", peak / 1e12);
    let mut rng = Rng::new(options.seed);
    for [rows, inner, outer] in SHAPES {
        let mut values = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.uniform() as f32 - 0.5).collect() };
        let (x, w, mut y) = (values(rows * inner), values(outer * inner), values(rows * outer));
        let shape = Shape { rows, inner, outer };
        for (name, precision) in PRECISIONS {
            let how = How { precision, into: Into::Replace };
            let n_timings = options.steps.unwrap_or(5);
            let seconds = if rows <= GENERATED {
                let halves: Vec<u16> = w.iter().map(|w: &f32| (w.to_bits() >> 16) as u16).collect();
                let weights =
                    if precision == Precision::F32 { Weights::F32(&w) } else { Weights::Bf16(&halves) };
                seconds(n_timings, &mut || product(Role::Generated, &x, weights, &mut y, shape))
            } else {
                seconds(n_timings, &mut || training_product(how, &x, w.as_slice(), &mut y, shape))
            };
            let speed = 2.0 * (rows * inner * outer) as f64 / seconds;
            outcome.figure(&format!("tflops {name} {rows}x{inner}x{outer}"), speed / 1e12);
            outcome.figure(&format!("share of f32 peak, {name} {rows}x{inner}x{outer}"), speed / peak);
        }
    }
    outcome.print();
}

/// Floating-point operations a second of multiply-adds in registers.
fn peak(n_threads: usize) -> f64 {
    let once = || {
        let begun = Instant::now();
        let operations = machine::multiply_add(isa::current(), n_threads, 1 << 22);
        operations as f64 / begun.elapsed().as_secs_f64()
    };
    median((0..5).map(|_| once()).collect())
}

/// Seconds of one call, the median of `n_timings`, after one that warms up.
fn seconds(n_timings: u64, work: &mut dyn FnMut()) -> f64 {
    work();
    let begun = Instant::now();
    work();
    let n_calls = (SHORTEST_S / begun.elapsed().as_secs_f64()).ceil().clamp(1.0, 1e4) as u32;
    let mut timing = || {
        let begun = Instant::now();
        (0..n_calls).for_each(|_| work());
        begun.elapsed().as_secs_f64() / f64::from(n_calls)
    };
    median((0..n_timings.max(1)).map(|_| timing()).collect())
}
