//! What this machine does at most, timed here and now, for a few hundredths of a second each; no number of any machine
//! stands in this file.

use std::hint::black_box;
use std::time::{Duration, Instant};

use kernels::{isa, machine, pool};

use crate::event::measure::Machine;

/// Bytes that are read to measure bandwidth: more than any cache of a personal machine holds.
const STREAM_BYTES: usize = 192 << 20;
const TIMES: usize = 5;
/// No call is timed again when so much time went into it.
const ENOUGH: Duration = Duration::from_millis(100);

/// Measures what the machine can do at most.
pub(crate) fn measure() -> Machine {
    let n_threads = pool::active_threads();
    let values = vec![1.0f32; STREAM_BYTES / 4];
    let read_s = fastest(|| {
        black_box(machine::read(&values, n_threads));
    });
    drop(values);
    let mut n_flops = 0;
    let flops_s = fastest(|| n_flops = machine::multiply_add(isa::current(), n_threads, 1 << 20));
    Machine {
        n_threads,
        read_bytes_per_s: STREAM_BYTES as f64 / read_s,
        flops_per_s: n_flops as f64 / flops_s,
        available_bytes: super::memory::available(),
    }
}

/// Seconds of the quickest of a few calls, after one that warms up.
fn fastest(mut work: impl FnMut()) -> f64 {
    work();
    let time = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    };
    (0..TIMES).map(time).fold(f64::INFINITY, f64::min)
}

/// Seconds that a call usually takes: the middle of a few, after one that warms up; of one that takes long, of fewer.
pub(crate) fn usual(mut work: impl FnMut()) -> f64 {
    work();
    let (begun, mut seconds) = (Instant::now(), Vec::new());
    while seconds.is_empty() || seconds.len() < TIMES && begun.elapsed() < ENOUGH {
        let begun = Instant::now();
        work();
        seconds.push(begun.elapsed().as_secs_f64());
    }
    middle(&seconds)
}

/// The middle of some numbers.
///
/// # Panics
/// When there are none.
pub(crate) fn middle(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
