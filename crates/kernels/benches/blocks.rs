//! Products over quantised weights, every type and body, as a Markdown table.
//!
//! `cargo bench -p kernels --bench blocks [-- NAME [BODY]]` measures the types whose name contains NAME, with the bodies
//! of one instruction set or all. For few rows: bytes
//! of weights a second, and the share of the bandwidth of reading memory in the same run. For many rows: operations
//! (a multiplication and an addition are two) a second. Not a comparison with other programs.

use std::hint::black_box;
use std::time::Instant;

use base::Rng;
use kernels::blocks::{BlockType, Blocks, TYPES};
use kernels::isa::{self, Isa};
use kernels::product::{Role, Shape, Weights, product};
use kernels::{machine, pool};
use testkit::bench::median;

const THREADS: [usize; 2] = [1, 2];
const N_RUNS: usize = 5;
/// The scalar body, which goes output by output, would take minutes for many rows.
#[cfg(not(target_arch = "aarch64"))]
const BODIES: [Isa; 3] = [Isa::Avx2, Isa::Avx512Vnni, Isa::Amx];
#[cfg(target_arch = "aarch64")]
const BODIES: [Isa; 3] = [Isa::Neon, Isa::NeonDotprod, Isa::NeonI8mm];
/// Rows of those that are generated at once, where reading the weights is the limit.
const FEW: [usize; 4] = [1, 4, 8, 16];
const MANY: usize = 512;
/// As the feed-forward layers of a model of one billion weights.
const INNER: usize = 2048;
const OUTER: usize = 8192;
/// So many times the same rows, so that weights come from memory and not from a cache.
const N_COPIES: usize = 16;

fn main() {
    let mut words = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (filter, body) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let memory = vec![1.0f32; 1 << 27];
    let heads: Vec<String> = FEW.iter().map(|rows| format!("{rows} rows, GB/s (share)")).collect();
    println!("| type | body | threads | {} | {MANY} rows, TOPS |", heads.join(" | "));
    println!("|---|---|---|{}---|", "---|".repeat(FEW.len()));
    for kind in TYPES.iter().filter(|kind| kind.name().contains(&filter)) {
        let weights = weights(kind);
        for isa in BODIES.into_iter().filter(|isa| *isa <= isa::detected()) {
            if !isa.name().contains(&body) {
                continue;
            }
            isa::limit(isa);
            for threads in THREADS {
                pool::set_active_threads(threads);
                println!("| {} | {isa} | {threads} |{}", kind.name(), row(kind, &weights, &memory));
            }
        }
        isa::limit(Isa::Amx);
    }
}

/// Random weights in blocks of a type, or random blocks where it can only be read; one row in 64 is made, because a search
/// takes its time.
fn weights(kind: &BlockType) -> Vec<u8> {
    let made = 64;
    let numbers = numbers(1, made * INNER);
    let mut bytes = vec![0; kind.size_bytes(numbers.len()).expect("whole blocks")];
    if kind.is_writable() {
        kind.quantise(&numbers, &mut bytes);
    } else {
        // Any bytes are some weights, and take as long as others.
        let mut rng = Rng::new(2);
        bytes.iter_mut().for_each(|byte| *byte = rng.below(256) as u8);
    }
    bytes.repeat(OUTER / made * N_COPIES)
}

fn numbers(seed: u64, length: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..length).map(|_| rng.normal() as f32).collect()
}

/// The cells of one body.
fn row(kind: &'static BlockType, weights: &[u8], memory: &[f32]) -> String {
    let mut cells = String::new();
    for rows in FEW {
        let seconds = seconds(kind, weights, rows);
        let rate = weights.len() as f64 / seconds;
        let share = 100.0 * rate / bandwidth(memory);
        cells += &format!(" {:.1} ({share:.0} %) |", rate / 1e9);
    }
    let few = &weights[..weights.len() / N_COPIES];
    let operations = 2.0 * (MANY * INNER * OUTER) as f64;
    cells + &format!(" {:.3} |", operations / seconds(kind, few, MANY) / 1e12)
}

/// Bytes read a second by as many threads as are active.
fn bandwidth(memory: &[f32]) -> f64 {
    let once = || {
        let begun = Instant::now();
        black_box(machine::read(memory, pool::active_threads()));
        size_of_val(memory) as f64 / begun.elapsed().as_secs_f64()
    };
    median((0..N_RUNS).map(|_| once()).collect())
}

/// Seconds of one product with all weights, the median after one that warms up.
fn seconds(kind: &'static BlockType, weights: &[u8], rows: usize) -> f64 {
    let blocks = Blocks::new(kind, weights);
    let shape = Shape { rows, inner: INNER, outer: blocks.len() / INNER };
    let (x, mut y) = (numbers(2, rows * INNER), vec![0.0; rows * shape.outer]);
    let mut once = || {
        let begun = Instant::now();
        product(Role::Generated, &x, Weights::Blocks(blocks), &mut y, shape);
        black_box(&mut y);
        begun.elapsed().as_secs_f64()
    };
    once();
    median((0..N_RUNS).map(|_| once()).collect())
}
