//! Every kernel and body against what this machine can do at most, as a Markdown table.
//!
//! `cargo bench -p kernels [-- NAME]` runs the rows whose name contains NAME. Not a comparison with other
//! programs. The limits are measured in the same run: multiply-adds in registers for each instruction set,
//! and reading memory. A row stands under the limit that it meets first; "below" is the speed relative to the
//! body below.

use std::hint::black_box;
use std::time::Instant;

use base::Rng;
use kernels::activation::Gelu;
use kernels::activation::geglu::{geglu, geglu_backward};
use kernels::activation::gelu::{gelu, gelu_backward};
use kernels::activation::swiglu::{swiglu, swiglu_backward};
use kernels::attention::{Cache, Pages, Row, Scoring, attention};
use kernels::blocks::TYPES;
use kernels::causal_attention::{self as causal, causal_attention, causal_attention_backward};
use kernels::cross_entropy::{HeadLoss, head_loss, head_loss_with_gradients};
use kernels::element::{add, add_assign, sum_rows};
use kernels::embedding::{embedding, embedding_backward};
use kernels::isa::{self, Isa};
use kernels::norm::layer_norm::{Gradients, layer_norm, layer_norm_backward};
use kernels::norm::rms_norm::{rms_norm, rms_norm_backward};
use kernels::optimiser::{AdamW, adam_w, sum_of_squares};
use kernels::product::{How, Into, Precision, Role, Shape, Weights, product};
use kernels::product::{product_backward_input, product_backward_weights, training_product};
use kernels::rope::{Heads, Layout, rope};
use kernels::softmax::softmax;
use kernels::{machine, pool};

const N_THREADS: usize = 2;
const N_RUNS: usize = 5;
#[cfg(not(target_arch = "aarch64"))]
const BODIES: [Isa; 3] = [Isa::Scalar, Isa::Avx2, Isa::Avx512];
#[cfg(target_arch = "aarch64")]
const BODIES: [Isa; 2] = [Isa::Scalar, Isa::Neon];

/// What a row is a share of.
#[derive(Clone, Copy, PartialEq)]
enum Limit {
    /// Floating-point operations of one call, against multiply-adds in registers.
    Arithmetic(f64),
    /// Bytes from memory of one call, against reading memory.
    Memory(f64),
}

struct Bench {
    filter: String,
    /// Larger than any cache, and touched, so that it is memory and not the zero page.
    memory: Vec<f32>,
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    pool::set_active_threads(N_THREADS);
    let bench = Bench { filter, memory: vec![1.0; 1 << 27] };
    println!("## This machine\n\n| limit | 1 thread | {N_THREADS} threads |\n|---|---|---|");
    bench.machine();
    println!("\n## Kernels on {N_THREADS} threads, median of {N_RUNS}\n");
    println!(
        "| kernel | body | time | rate | of the limit | below | why not twice |\n|---|---|---|---|---|---|---|"
    );
    products(&bench);
    rows(&bench);
    norms(&bench);
    activation(&bench);
    optimiser(&bench);
    attentions(&bench);
    long_attention(&bench);
    causal_attentions(&bench);
    cross_entropies(&bench);
}

/// Floating-point operations per second of the register-only loop, over about 20 ms.
fn arithmetic(isa: Isa, n_threads: usize) -> f64 {
    let start = Instant::now();
    let operations = machine::multiply_add(isa, n_threads, 1_000_000);
    operations as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn seconds(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

impl Bench {
    fn machine(&self) {
        let medians = |measure: &dyn Fn(usize) -> f64| {
            [1, N_THREADS].map(|n_threads| median((0..N_RUNS).map(|_| measure(n_threads)).collect()) / 1e9)
        };
        for isa in BODIES.into_iter().filter(|isa| *isa <= isa::detected()) {
            let [one, all] = medians(&|n_threads| arithmetic(isa, n_threads));
            println!("| f32 multiply-add, {isa} | {one:.0} GFLOP/s | {all:.0} GFLOP/s |");
        }
        let [one, all] = medians(&|n_threads| self.bandwidth(n_threads));
        println!("| read 512 MiB of anonymous memory | {one:.1} GB/s | {all:.1} GB/s |");
    }

    /// Bytes read per second.
    fn bandwidth(&self, n_threads: usize) -> f64 {
        let time = seconds(|| {
            black_box(machine::read(&self.memory, n_threads));
        });
        self.memory.len() as f64 * 4.0 / time
    }

    /// One row of the table for each body; `why` says why a body may be less than twice as fast as the one
    /// below. The limit is measured between the runs, so that both see the machine in the same state.
    fn row(&self, name: &str, limit: Limit, why: &str, work: impl FnMut()) {
        self.row_of(&BODIES, name, limit, why, work);
    }

    /// [`Self::row`] for the instruction sets in which this kernel has bodies of its own.
    fn row_of(&self, bodies: &[Isa], name: &str, limit: Limit, why: &str, mut work: impl FnMut()) {
        if !name.contains(&self.filter) {
            return;
        }
        let mut below: Option<f64> = None;
        for isa in bodies.iter().copied().filter(|isa| *isa <= isa::detected()) {
            isa::limit(isa);
            // As many calls as take about 20 ms, after one that warms up.
            work();
            let n_calls = (0.02 / seconds(&mut work)).ceil().clamp(1.0, 1e6);
            let (mut times, mut shares) = (Vec::new(), Vec::new());
            for _ in 0..N_RUNS {
                let time = seconds(|| (0..n_calls as usize).for_each(|_| work())) / n_calls;
                shares.push(match limit {
                    Limit::Arithmetic(operations) => operations / time / arithmetic(isa, N_THREADS),
                    Limit::Memory(bytes) => bytes / time / self.bandwidth(N_THREADS),
                });
                times.push(time);
            }
            let time = median(times);
            let (rate, unit) = match limit {
                Limit::Arithmetic(operations) => (operations / time / 1e9, "GFLOP/s"),
                Limit::Memory(bytes) => (bytes / time / 1e9, "GB/s"),
            };
            let times = below.map_or("".into(), |below| format!("{:.1} x", below / time));
            let reason = if below.is_some_and(|below| below / time < 2.0) { why } else { "" };
            let (micros, share) = (time * 1e6, 100.0 * median(shares));
            println!(
                "| {name} | {isa} | {micros:.1} µs | {rate:.1} {unit} | {share:.0} % | {times} | {reason} |"
            );
            below = Some(time);
        }
        isa::limit(Isa::Amx);
    }
}

fn numbers(seed: u64, length: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..length).map(|_| rng.uniform() as f32 - 0.5).collect()
}

const WIDER: &str = "the peaks themselves differ by less";
const READING: &str = "limited by memory";

fn products(bench: &Bench) {
    let n = 2048;
    let (x, w) = (numbers(1, n * n), numbers(2, n * n));
    let halves: Vec<u16> = w.iter().map(|w| (w.to_bits() >> 16) as u16).collect();
    let mut y = vec![0.0; n * n];
    let shape = Shape { rows: n, inner: n, outer: n };
    let all = Limit::Arithmetic(2.0 * (n * n * n) as f64);
    bench.row("product prompt f32 2048x2048x2048", all, WIDER, || {
        product(Role::Prompt, &x, Weights::F32(&w), &mut y, shape);
    });
    bench.row("product prompt bf16 2048x2048x2048", all, WIDER, || {
        product(Role::Prompt, &x, Weights::Bf16(&halves), &mut y, shape);
    });
    bench.row("product backward input f32 2048x2048x2048", all, WIDER, || {
        product_backward_input(How::F32, &x, &w, &mut y, shape);
    });
    bench.row("product backward weights f32 2048x2048x2048", all, WIDER, || {
        product_backward_weights(How::F32, &x, &w, &mut y, shape);
    });
    for (rows, inner, outer) in [(512, 288, 768), (64, 2048, 2048), (16, 2048, 2048)] {
        let shape = Shape { rows, inner, outer };
        let limit = Limit::Arithmetic(2.0 * (rows * inner * outer) as f64);
        let (x, w, y) = (&x[..rows * inner], Weights::F32(&w[..inner * outer]), &mut y[..rows * outer]);
        bench.row(&format!("product prompt f32 {rows}x{inner}x{outer}"), limit, "packing; memory", || {
            product(Role::Prompt, x, w, y, shape);
        });
    }
    training(bench);
    generated(bench);
    blocks(bench);
}

/// The products of a training step of 2048 rows at 15 and at 110 million parameters.
fn training(bench: &Bench) {
    for (rows, inner, outer) in [
        (2048, 288, 288),
        (2048, 288, 768),
        (2048, 768, 288),
        (256, 288, 32000),
        (2048, 768, 768),
        (2048, 768, 2048),
        (2048, 2048, 768),
    ] {
        let shape = Shape { rows, inner, outer };
        let limit = Limit::Arithmetic(2.0 * (rows * inner * outer) as f64);
        let (mut x, mut w) = (numbers(1, rows * inner), numbers(2, outer * inner));
        let mut y = numbers(3, rows * outer);
        let name = |which: &str| format!("product training {which} {rows}x{inner}x{outer}");
        bench.row(&name("forward"), limit, WIDER, || training_product(How::F32, &x, &w, &mut y, shape));
        bench.row(&name("input"), limit, WIDER, || product_backward_input(How::F32, &y, &w, &mut x, shape));
        bench.row(&name("weights"), limit, WIDER, || {
            product_backward_weights(How::F32, &y, &x, &mut w, shape);
        });
    }
    training_of_16_bits(bench);
}

/// The same with 16-bit operands, as a share of the peak of f32; the body below is the f32 one.
fn training_of_16_bits(bench: &Bench) {
    const HOW: How = How { precision: Precision::Bf16, into: Into::Replace };
    const BODIES: &[Isa] = &[Isa::Avx512, Isa::Avx512Bf16, Isa::Avx512Fp16, Isa::Amx];
    const WHY: &str = "packing; f16 sums are widened";
    for (rows, inner, outer) in
        [(2048, 288, 768), (2048, 768, 288), (256, 288, 32000), (2048, 768, 2048), (2048, 2048, 2048)]
    {
        let shape = Shape { rows, inner, outer };
        let limit = Limit::Arithmetic(2.0 * (rows * inner * outer) as f64);
        let (x, w, g) = (numbers(1, rows * inner), numbers(2, outer * inner), numbers(3, rows * outer));
        let (mut y, mut dx, mut dw) = (g.clone(), x.clone(), w.clone());
        let name = |which: &str| format!("product training 16 bits {which} {rows}x{inner}x{outer}");
        bench.row_of(BODIES, &name("forward"), limit, WHY, || training_product(HOW, &x, &w, &mut y, shape));
        bench.row_of(BODIES, &name("input"), limit, WHY, || {
            product_backward_input(HOW, &g, &w, &mut dx, shape);
        });
        bench.row_of(BODIES, &name("weights"), limit, WHY, || {
            product_backward_weights(HOW, &g, &x, &mut dw, shape);
        });
    }
}

fn generated(bench: &Bench) {
    // 512 MiB of f32 weights, 256 MiB of 16-bit ones, so that they come from memory.
    let (inner, outer) = (4096, 32768);
    let w = vec![0.5f32; inner * outer];
    let bits = vec![0x3c00u16; inner * outer];
    let x = numbers(3, 32 * inner);
    let mut y = vec![0.0; 32 * outer];
    for (kind, weights, bytes) in
        [("f32", Weights::F32(&w), 4), ("bf16", Weights::Bf16(&bits), 2), ("f16", Weights::F16(&bits), 2)]
    {
        for rows in [1, 4, 32] {
            let shape = Shape { rows, inner, outer };
            let limit = match rows {
                32 => Limit::Arithmetic(2.0 * (rows * inner * outer) as f64),
                _ => Limit::Memory((inner * outer * bytes) as f64),
            };
            let why = if rows == 32 { "x comes from the second cache" } else { READING };
            bench.row(&format!("product generated {kind} {rows}x{inner}x{outer}"), limit, why, || {
                product(Role::Generated, &x[..rows * inner], weights, &mut y[..rows * outer], shape);
            });
        }
    }
    let (inner, outer) = (288, 768);
    let limit = Limit::Memory((inner * outer * 4) as f64);
    bench.row("product generated f32 1x288x768 (in cache)", limit, "handing out tasks", || {
        let shape = Shape { rows: 1, inner, outer };
        product(Role::Generated, &x[..inner], Weights::F32(&w[..inner * outer]), &mut y[..outer], shape);
    });
}

/// Every type of quantised block: made where it can be, and widened. Products with them are in the bench `blocks`.
fn blocks(bench: &Bench) {
    let n = 2048;
    let w = numbers(9, n * n);
    for kind in TYPES {
        let (name, size) = (kind.name(), kind.size_bytes(n * n).expect("whole blocks"));
        let (mut bytes, mut y) = (vec![0; size], vec![0.0; n * n]);
        let traffic = Limit::Memory((size + 4 * n * n) as f64);
        if kind.is_writable() {
            bench.row(&format!("blocks quantise {name} {n}x{n}"), traffic, "one body", || {
                kind.quantise(&w, &mut bytes);
            });
        }
        let (few, few_bytes) = (4096, kind.size_bytes(4096).expect("whole blocks"));
        let traffic = Limit::Memory((few_bytes + 4 * few) as f64);
        bench.row(&format!("blocks dequantise {name} {few} (in cache)"), traffic, "loads and stores", || {
            kind.dequantise(&bytes[..few_bytes], &mut y[..few]);
        });
    }
}

/// Kernels that go over rows of 4096, 128 MiB of each operand in all, so that they come from memory.
fn rows(bench: &Bench) {
    let (n_rows, width) = (8 * 1024, 4096);
    let size = n_rows * width;
    let (x, up) = (vec![0.5f32; size], vec![0.25f32; size]);
    let mut y = vec![0.0; size];
    let bytes = |n_operands: usize| Limit::Memory((n_operands * size * 4) as f64);
    bench.row("rms_norm 8192x4096", bytes(2), READING, || rms_norm(&x, &up[..width], 1e-5, &mut y));
    bench.row("softmax 8192x4096", bytes(2), READING, || softmax(&x, width, &mut y));
    bench.row("swiglu 8192x4096", bytes(3), READING, || swiglu(&x, &up, &mut y));
    bench.row("add_assign 8192x4096", bytes(3), "one body; limited by memory", || add_assign(&mut y, &x));
    for layout in [Layout::Interleaved, Layout::Halves] {
        let heads = Heads { n_heads: 32, head_size: 128, rotary_size: 128, layout };
        let (cosines, sines) = (&x[..n_rows * 64], &up[..n_rows * 64]);
        bench.row(&format!("rope {layout:?} 8192x32x128"), bytes(2), READING, || {
            rope(&mut y, cosines, sines, heads);
        });
    }
    let ids: Vec<u32> = (0..n_rows as u32).map(|i| i.wrapping_mul(40503) % n_rows as u32).collect();
    bench.row("embedding f32 8192x4096", bytes(2), "one body; limited by memory", || {
        embedding(Weights::F32(&x), width, &ids, &mut y);
    });
    // The same over what fits the caches: 64 rows.
    let size = 64 * width;
    let (x, up, y) = (&x[..size], &up[..size], &mut y[..size]);
    let limit = |per_element: f64| Limit::Arithmetic(per_element * size as f64);
    bench.row("rms_norm 64x4096 (in cache)", limit(4.0), "loads and stores", || {
        rms_norm(x, &up[..width], 1e-5, y)
    });
    bench.row("softmax 64x4096 (in cache)", limit(30.0), "loads and stores", || softmax(x, width, y));
    bench.row("swiglu 64x4096 (in cache)", limit(30.0), "division", || swiglu(x, up, y));
}

/// Backward passes over rows of 4096, and the norm that has a mean.
fn norms(bench: &Bench) {
    let (n_rows, width) = (8 * 1024, 4096);
    let size = n_rows * width;
    let (x, gradient) = (numbers(8, size), numbers(9, size));
    let [weight, bias, mut dw, mut db] = [10, 11, 12, 13].map(|seed| numbers(seed, width));
    let mut dx = vec![0.0; size];
    let bytes = |n_operands: usize| Limit::Memory((n_operands * size * 4) as f64);
    bench.row("rms_norm_backward 8192x4096", bytes(3), READING, || {
        rms_norm_backward(&x, &weight, &gradient, 1e-5, &mut dx, &mut dw);
    });
    bench.row("layer_norm 8192x4096", bytes(2), READING, || layer_norm(&x, &weight, &bias, 1e-5, &mut dx));
    bench.row("layer_norm_backward 8192x4096", bytes(3), READING, || {
        let gradients = Gradients { dx: &mut dx, dw: &mut dw, db: &mut db };
        layer_norm_backward(&x, &weight, &gradient, 1e-5, gradients);
    });
    bench.row("sum_rows 8192x4096", bytes(1), "one body; limited by memory", || sum_rows(&x, &mut dw));
    bench.row("add 8192x4096", bytes(3), "one body; limited by memory", || add(&x, &gradient, &mut dx));
    // Each row of a table of half as many rows twice: the gradient is read, the table read and written.
    let ids: Vec<u32> = (0..n_rows as u32).map(|i| i.wrapping_mul(40503) % 4096).collect();
    bench.row("embedding_backward 8192x4096", bytes(2), "one body; limited by memory", || {
        embedding_backward(&ids, &x, width, &mut dx[..4096 * width]);
    });
}

/// 128 MiB of each operand.
fn activation(bench: &Bench) {
    let size = 32 << 20;
    let (x, up, gradient) = (numbers(14, size), numbers(15, size), numbers(16, size));
    let (mut y, mut dup) = (vec![0.0; size], vec![0.0; size]);
    let bytes = |n_operands: usize| Limit::Memory((n_operands * size * 4) as f64);
    bench.row("swiglu_backward 32M", bytes(5), READING, || {
        swiglu_backward([&x, &up, &gradient], &mut y, &mut dup);
    });
    for form in [Gelu::Tanh, Gelu::Erf] {
        bench.row(&format!("gelu {form:?} 32M"), bytes(2), READING, || gelu(form, &x, &mut y));
        bench.row(&format!("gelu_backward {form:?} 32M"), bytes(3), READING, || {
            gelu_backward(form, &x, &gradient, &mut y);
        });
        bench.row(&format!("geglu {form:?} 32M"), bytes(3), READING, || geglu(form, &x, &up, &mut y));
        bench.row(&format!("geglu_backward {form:?} 32M"), bytes(5), READING, || {
            geglu_backward(form, [&x, &up, &gradient], &mut y, &mut dup);
        });
    }
}

/// 128 MiB of each operand.
fn optimiser(bench: &Bench) {
    let size = 32 << 20;
    let (mut value, gradient) = (numbers(17, size), numbers(18, size));
    let (mut first, mut second) = (vec![0.0; size], vec![0.0; size]);
    let settings = AdamW { step: 100, ..AdamW::default() };
    bench.row("adam_w 32M", Limit::Memory((7 * size * 4) as f64), READING, || {
        adam_w(&settings, &mut value, &gradient, &mut first, &mut second);
    });
    bench.row("sum_of_squares 32M", Limit::Memory((size * 4) as f64), READING, || {
        black_box(sum_of_squares(&gradient));
    });
}

fn attentions(bench: &Bench) {
    let pages = Pages { n_key_heads: 8, head_size: 128, block_size: 16 };
    let n_tokens = 4096;
    let size = n_tokens * 8 * 128;
    let (keys, values) = (numbers(5, size), numbers(6, size));
    let tables: Vec<u32> = (0..n_tokens as u32 / 16).collect();
    let cache = Cache { keys: (&keys).into(), values: (&values).into(), tables: &tables, pages };
    for (name, n_heads, n_rows) in [("grouped", 32, 64), ("plain", 8, 64), ("grouped", 32, 1)] {
        let rows: Vec<Row> = (0..n_rows)
            .map(|row| Row { table_start: 0, first_visible: 0, n_visible: n_tokens - n_rows + row + 1 })
            .collect();
        let q = numbers(7, n_rows * n_heads * 128);
        let mut y = vec![0.0; q.len()];
        let limit = Limit::Arithmetic(4.0 * (n_rows * n_heads * 128 * n_tokens) as f64);
        bench.row(
            &format!("attention {name} {n_rows} rows, {n_heads}x128, 4096 tokens"),
            limit,
            "exponentials; loads from the second cache",
            || {
                attention(&q, &cache, &rows, Scoring::scaled(0.1), &mut y);
            },
        );
    }
}

/// One row behind many tokens in f16, each head with keys and values of its own: what one answer's step reads of its context.
fn long_attention(bench: &Bench) {
    let pages = Pages { n_key_heads: 12, head_size: 64, block_size: 16 };
    let n_tokens: usize = 32_768;
    let halves = |seed| -> Vec<u16> {
        // Positive normal numbers below two: any such bits will do.
        numbers(seed, n_tokens * 12 * 64)
            .iter()
            .map(|x| 0x3000 | (x.to_bits() >> 13) as u16 & 0xfff)
            .collect()
    };
    let (keys, values) = (halves(5), halves(6));
    let tables: Vec<u32> = (0..(n_tokens / pages.block_size) as u32).collect();
    let cache = Cache { keys: Weights::F16(&keys), values: Weights::F16(&values), tables: &tables, pages };
    let row = [Row { table_start: 0, first_visible: 0, n_visible: n_tokens }];
    let (q, mut y) = (numbers(7, 12 * 64), vec![0.0; 12 * 64]);
    let limit = Limit::Memory((4 * keys.len()) as f64);
    bench.row("attention 1 row, 12x64 in f16, 32768 tokens", limit, "turning keys", || {
        attention(&q, &cache, &row, Scoring::scaled(0.1), &mut y);
    });
}

/// Operations that causality leaves: half of the scores.
fn causal_attentions(bench: &Bench) {
    for (sequences, length, heads, size) in [(8, 256, 6, 48), (4, 512, 12, 64), (12, 64, 4, 32)] {
        let s = causal::Sequences { sequences, length, heads, kv_heads: heads, size };
        let n = sequences * length * heads * size;
        let [q, k, v, dy] = [1, 2, 3, 4].map(|seed| numbers(seed, n));
        let mut log_sums = vec![0.0; n / size];
        let [mut y, mut dq, mut dk, mut dv] = [(); 4].map(|()| vec![0.0; n]);
        let scale = 1.0 / (size as f32).sqrt();
        let name = format!("{sequences}x{length}, {heads}x{size}");
        let scores = (sequences * heads * length * length * size) as f64;
        bench.row(&format!("causal_attention {name}"), Limit::Arithmetic(2.0 * scores), WIDER, || {
            causal_attention(&q, &k, &v, scale, &mut y, &mut log_sums, s);
        });
        let saved = causal::Saved { q: &q, k: &k, v: &v, y: &y, log_sums: &log_sums };
        bench.row(
            &format!("causal_attention_backward {name}"),
            Limit::Arithmetic(5.0 * scores),
            WIDER,
            || {
                let gradients = causal::Gradients { q: &mut dq, k: &mut dk, v: &mut dv };
                causal_attention_backward(saved, &dy, scale, gradients, s);
            },
        );
    }
}

/// One product for the loss, three with its gradients.
fn cross_entropies(bench: &Bench) {
    for (rows, width, vocabulary) in [(2048, 288, 4096), (512, 576, 49152)] {
        let (x, weights) = (numbers(1, rows * width), numbers(2, vocabulary * width));
        let targets: Vec<u32> = (0..rows as u32).map(|i| i.wrapping_mul(40503) % vocabulary as u32).collect();
        let input = HeadLoss { x: &x, weights: &weights, targets: &targets };
        let (mut losses, mut dx, mut dw) = (vec![0.0; rows], x.clone(), weights.clone());
        let product = 2.0 * (rows * width * vocabulary) as f64;
        let name = format!("{rows}x{width}, {vocabulary} ids");
        bench.row(&format!("cross_entropy {name}"), Limit::Arithmetic(product), WIDER, || {
            head_loss(&input, Precision::F32, &mut losses);
        });
        bench.row(
            &format!("cross_entropy gradients {name}"),
            Limit::Arithmetic(3.0 * product),
            WIDER,
            || {
                head_loss_with_gradients(&input, How::F32, &mut losses, &mut dx, &mut dw, 1.0);
            },
        );
    }
}
