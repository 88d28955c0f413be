//! A row in a batch has the bits of the row alone: whatever its neighbours, the pieces in which its sequence came,
//! where its pages lie, and how many threads work.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use ops::activation::swiglu::swiglu;
use ops::attention::{KvPool, PoolShape, Scoring, Sight, Span, Spans, attention};
use ops::linear::linear;
use ops::linear::low_rank::{AdapterId, AdapterRows, LowRank, MixedRows};
use ops::norm::rms_norm::rms_norm;
use ops::softmax::softmax;
use ops::weight::{Lent, Quantised, Storage};
use ops::{Linear, Rows, Weight};

const THREADS: [usize; 4] = [1, 2, 3, 5];

fn cpu() -> Device {
    ops::device::cpu()
}

fn numbers(rng: &mut Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.normal() as f32).collect()
}

fn matrix(numbers: Vec<f32>, columns: usize) -> Tensor<2> {
    let rows = numbers.len() / columns;
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), &cpu())
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    tensor.into_data().iter::<f32>().map(f32::to_bits).collect()
}

/// Some of `n` rows, in any order, at least one.
fn some(rng: &mut Rng, n: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    for place in (1..n).rev() {
        rows.swap(place, rng.below(place + 1));
    }
    rows.truncate(1 + rng.below(n));
    rows
}

fn gather<T: Copy>(values: &[T], width: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|&row| &values[row * width..(row + 1) * width]).copied().collect()
}

fn random_weight(rng: &mut Rng, shape: [usize; 2], storage: Storage) -> Weight {
    if let Some(kind) = storage.blocks() {
        let mut blocks = vec![0; storage.size_bytes(&shape).unwrap()];
        kind.quantise(&numbers(rng, shape[0] * shape[1]), &mut blocks);
        return Weight::new(Lent::new(blocks), shape, storage, &cpu()).unwrap();
    }
    let number = |rng: &mut Rng| {
        let bytes = (rng.normal() as f32).to_le_bytes();
        match storage {
            Storage::F32 => bytes.to_vec(),
            Storage::Bf16 => bytes[2..].to_vec(),
            // Any pattern with a small exponent: a finite f16.
            Storage::F16 => vec![bytes[1], bytes[2] & 0b1011_1011],
            Storage::Blocks(_) => unreachable!("blocks are made above"),
        }
    };
    let bytes: Vec<u8> = (0..shape[0] * shape[1]).flat_map(|_| number(rng)).collect();
    Weight::new(Lent::new(bytes), shape, storage, &cpu()).unwrap()
}

#[test]
fn a_row_of_a_linear_layer_is_the_same_in_any_batch() {
    const N_ROWS: usize = 80;
    const ODD: [usize; 2] = [523, 300];
    const WHOLE_BLOCKS: [usize; 2] = [523, 256];
    let mut rng = Rng::new(1);
    let x = numbers(&mut rng, N_ROWS * ODD[1]);
    for storage in
        [Storage::F32, Storage::Bf16, Storage::F16, Storage::Q8_0, Storage::Blocks(Quantised::Q4_K)]
    {
        let shape = if storage.blocks().is_some() { WHOLE_BLOCKS } else { ODD };
        let weight = random_weight(&mut rng, shape, storage);
        let alone = |row: usize, rows: Rows| {
            bits(linear(matrix(gather(&x, shape[1], &[row]), shape[1]), &weight, rows))
        };
        kernels::pool::set_active_threads(1);
        let as_prompt: Vec<u32> = (0..N_ROWS).flat_map(|row| alone(row, Rows::prompt(1))).collect();
        let as_generated: Vec<u32> = (0..N_ROWS).flat_map(|row| alone(row, Rows::generated(1))).collect();
        let are_same = as_prompt == as_generated;
        if storage.blocks().is_some() {
            assert!(are_same, "{storage:?} has one arithmetic for both roles");
        } else if cfg!(target_arch = "x86_64") {
            assert!(!are_same, "the roles differ in arithmetic, or this test sees little");
        }
        for round in 0..24 {
            let chosen = some(&mut rng, N_ROWS);
            let prompt = rng.below(chosen.len() + 1);
            let rows = Rows { prompt, generated: chosen.len() - prompt, training: None };
            let mut expected = gather(&as_prompt, shape[0], &chosen[..prompt]);
            expected.extend(gather(&as_generated, shape[0], &chosen[prompt..]));
            for threads in THREADS {
                kernels::pool::set_active_threads(threads);
                let batch = matrix(gather(&x, shape[1], &chosen), shape[1]);
                let found = bits(linear(batch, &weight, rows));
                assert!(found == expected, "{storage:?}, round {round}, {rows:?}, {threads} threads");
            }
        }
    }
}

/// A layer with two adapters of different rank; the second is none of the layer where `n` is 1.
fn adapted(rng: &mut Rng, weight: Weight, n: u8) -> Linear {
    let [outer, inner] = weight.shape();
    let mut linear = Linear::new(weight);
    for index in 0..n {
        let rank = 3 + 13 * usize::from(index);
        let down = (numbers(rng, rank * inner), [rank, inner]);
        let low_rank = LowRank::from_values(down, (numbers(rng, outer * rank), outer), 0.3, &cpu());
        linear.attach(AdapterId([index; 32]), low_rank);
    }
    linear
}

/// Which rows have which of two adapters, from what each row has.
fn adapter_rows(of_rows: &[Option<u8>]) -> Vec<AdapterRows> {
    let rows = |index: u8| (0..of_rows.len() as u32).filter(move |&row| of_rows[row as usize] == Some(index));
    let some = |index| AdapterRows { adapter: AdapterId([index; 32]), rows: rows(index).collect() };
    [0, 1].map(some).into()
}

#[test]
fn a_row_with_an_adapter_is_the_same_in_any_batch_and_one_without_is_not_touched() {
    const N_ROWS: usize = 60;
    const SHAPE: [usize; 2] = [131, 256];
    let mut rng = Rng::new(4);
    let x = numbers(&mut rng, N_ROWS * SHAPE[1]);
    for storage in [Storage::F32, Storage::Bf16, Storage::Q8_0] {
        let weight = random_weight(&mut rng, SHAPE, storage);
        let layer = adapted(&mut rng, weight.clone(), 2);
        let alone = |row: usize, has: Option<u8>, rows: Rows| {
            let x = matrix(gather(&x, SHAPE[1], &[row]), SHAPE[1]);
            bits(layer.forward(x, MixedRows { roles: rows, adapters: &adapter_rows(&[has]) }))
        };
        kernels::pool::set_active_threads(1);
        for row in [0, N_ROWS - 1] {
            let x = matrix(gather(&x, SHAPE[1], &[row]), SHAPE[1]);
            let plain = bits(linear(x, &weight, Rows::prompt(1)));
            assert!(alone(row, None, Rows::prompt(1)) == plain, "no adapter, no difference");
            assert!(alone(row, Some(0), Rows::prompt(1)) != plain, "or this test sees little");
            assert!(alone(row, Some(0), Rows::prompt(1)) != alone(row, Some(1), Rows::prompt(1)));
            if storage.blocks().is_some() {
                let both = [Rows::prompt(1), Rows::generated(1)].map(|rows| alone(row, Some(1), rows));
                assert!(both[0] == both[1], "an adapter makes no difference between roles");
            }
        }
        for round in 0..16 {
            let chosen = some(&mut rng, N_ROWS);
            let prompt = rng.below(chosen.len() + 1);
            let rows = Rows { prompt, generated: chosen.len() - prompt, training: None };
            let of_rows: Vec<Option<u8>> =
                chosen.iter().map(|_| [None, Some(0), Some(1)][rng.below(3)]).collect();
            kernels::pool::set_active_threads(1);
            let expected: Vec<u32> = (0..chosen.len())
                .flat_map(|place| {
                    let role = if place < prompt { Rows::prompt(1) } else { Rows::generated(1) };
                    alone(chosen[place], of_rows[place], role)
                })
                .collect();
            let adapters = adapter_rows(&of_rows);
            for threads in THREADS {
                kernels::pool::set_active_threads(threads);
                let batch = matrix(gather(&x, SHAPE[1], &chosen), SHAPE[1]);
                let found = bits(layer.forward(batch, MixedRows { roles: rows, adapters: &adapters }));
                assert!(found == expected, "{storage:?}, round {round}, {rows:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn an_adapter_that_a_layer_does_not_know_changes_nothing() {
    let mut rng = Rng::new(5);
    let weight = random_weight(&mut rng, [7, 9], Storage::F32);
    let mut layer = adapted(&mut rng, weight.clone(), 1);
    let x = matrix(numbers(&mut rng, 2 * 9), 9);
    let adapters = adapter_rows(&[Some(0), Some(1)]);
    let rows = MixedRows { roles: Rows::prompt(2), adapters: &adapters };
    let plain = bits(linear(x.clone(), &weight, Rows::prompt(2)));
    let found = bits(layer.forward(x.clone(), rows));
    assert!(found[..7] != plain[..7] && found[7..] == plain[7..]);
    layer.detach(AdapterId([0; 32]));
    assert!(bits(layer.forward(x, rows)) == plain);
}

#[test]
fn a_row_of_an_op_on_rows_is_the_same_in_any_batch() {
    const N_ROWS: usize = 70;
    const WIDTH: usize = 197;
    type Op = fn(Tensor<2>) -> Tensor<2>;
    let ops: [(&str, Op); 3] = [
        ("rms_norm", |x| rms_norm(x, Tensor::from_data([0.7f32; WIDTH], &cpu()), 1e-5)),
        ("softmax", softmax),
        ("swiglu", |x| swiglu(x.clone(), x + 0.5)),
    ];
    let mut rng = Rng::new(2);
    let x = numbers(&mut rng, N_ROWS * WIDTH);
    for (name, op) in ops {
        let alone = |row: usize| bits(op(matrix(gather(&x, WIDTH, &[row]), WIDTH)));
        let alone: Vec<u32> = (0..N_ROWS).flat_map(alone).collect();
        for threads in THREADS {
            kernels::pool::set_active_threads(threads);
            for _ in 0..8 {
                let chosen = some(&mut rng, N_ROWS);
                let found = bits(op(matrix(gather(&x, WIDTH, &chosen), WIDTH)));
                assert!(found == gather(&alone, WIDTH, &chosen), "{name}, {threads} threads");
            }
        }
    }
}

const HEADS: usize = 6;
const KV_HEADS: usize = 2;
const SIZE: usize = 96;
/// How keys and values are kept.
const KEPT: [Storage; 4] =
    [Storage::F32, Storage::F16, Storage::Blocks(Quantised::Q8_0), Storage::Blocks(Quantised::Q4_0)];
/// A window that ends within a page and within a group of tokens.
const SCORING: Scoring = Scoring { scale: 0.3, soft_cap: Some(3.0), window: Some(45), sight: Sight::Causal };

fn sinks() -> Tensor<1> {
    Tensor::from_data([-1.0f32, 0.5, 2.0, 0.0, 1.0, -0.5], &cpu())
}

/// Queries, keys and values of every token of one sequence.
struct Sequence {
    n_tokens: usize,
    qkv: [Vec<f32>; 3],
}

impl Sequence {
    fn new(rng: &mut Rng, n_tokens: usize) -> Self {
        let widths = [HEADS, KV_HEADS, KV_HEADS];
        Self { n_tokens, qkv: widths.map(|heads| numbers(rng, n_tokens * heads * SIZE)) }
    }

    fn part(&self, which: usize, tokens: std::ops::Range<usize>) -> &[f32] {
        let width = if which == 0 { HEADS * SIZE } else { KV_HEADS * SIZE };
        &self.qkv[which][tokens.start * width..tokens.end * width]
    }

    /// The output of every token when nobody else is there and all come at once, on pages in order.
    fn alone(&self, storage: Storage) -> Vec<u32> {
        let blocks = self.n_tokens.div_ceil(16);
        let shape = PoolShape { blocks, kv_heads: KV_HEADS, block: 16, size: SIZE };
        let table: Arc<[u32]> = (0..blocks as u32).collect();
        let span = Span { table, past: 0, rows: self.n_tokens };
        let qkv = [0, 1, 2].map(|which| heads(self.part(which, 0..self.n_tokens).to_vec(), which));
        let pool = KvPool::new(shape, storage, &cpu());
        let (output, _) = attention(qkv, pool, &Arc::new(Spans(vec![span])), SCORING, Some(&sinks()));
        bits(output)
    }
}

fn heads(numbers: Vec<f32>, which: usize) -> Tensor<3> {
    let heads = if which == 0 { HEADS } else { KV_HEADS };
    let rows = numbers.len() / heads / SIZE;
    Tensor::from_data(TensorData::new(numbers, [rows, heads, SIZE]), &cpu())
}

#[test]
fn a_sequence_attends_the_same_in_any_company_and_in_any_pieces() {
    let mut rng = Rng::new(3);
    let sequences: Vec<Sequence> =
        [1, 7, 33, 64, 90, 150].iter().map(|&n_tokens| Sequence::new(&mut rng, n_tokens)).collect();
    for storage in KEPT {
        kernels::pool::set_active_threads(1);
        let alone: Vec<Vec<u32>> = sequences.iter().map(|sequence| sequence.alone(storage)).collect();
        for threads in THREADS {
            kernels::pool::set_active_threads(threads);
            for block in [5, 16] {
                let together = in_company(&mut rng, &sequences, block, storage);
                assert!(together == alone, "{storage:?}, {threads} threads, pages of {block} tokens");
            }
        }
    }
}

/// Runs all sequences at once on shuffled pages: each step takes a random piece of some of them.
fn in_company(rng: &mut Rng, sequences: &[Sequence], block: usize, storage: Storage) -> Vec<Vec<u32>> {
    let n_pages: Vec<usize> = sequences.iter().map(|sequence| sequence.n_tokens.div_ceil(block)).collect();
    let blocks = n_pages.iter().sum::<usize>() + 3;
    let mut free: Vec<u32> = (0..blocks as u32).collect();
    for place in (1..blocks).rev() {
        free.swap(place, rng.below(place + 1));
    }
    let tables: Vec<Arc<[u32]>> = n_pages.iter().map(|&n| free.drain(..n).collect()).collect();
    let mut pool = KvPool::new(PoolShape { blocks, kv_heads: KV_HEADS, block, size: SIZE }, storage, &cpu());
    let mut outputs = vec![Vec::new(); sequences.len()];
    let mut past = vec![0; sequences.len()];
    while past.iter().zip(sequences).any(|(past, sequence)| *past < sequence.n_tokens) {
        let mut spans = Vec::new();
        let mut members = Vec::new();
        let mut qkv: [Vec<f32>; 3] = Default::default();
        for (index, sequence) in sequences.iter().enumerate() {
            let rows = rng.below(sequence.n_tokens - past[index] + 1).min(1 + rng.below(40));
            if rows == 0 {
                continue;
            }
            let tokens = past[index]..past[index] + rows;
            for (which, part) in qkv.iter_mut().enumerate() {
                part.extend_from_slice(sequence.part(which, tokens.clone()));
            }
            spans.push(Span { table: Arc::clone(&tables[index]), past: past[index], rows });
            members.push((index, rows));
            past[index] += rows;
        }
        if members.is_empty() {
            continue;
        }
        let mut which = 0..3;
        let qkv = qkv.map(|part| heads(part, which.next().expect("three parts")));
        let (output, next) = attention(qkv, pool, &Arc::new(Spans(spans)), SCORING, Some(&sinks()));
        pool = next;
        let output = bits(output);
        let mut rest = &output[..];
        for (index, rows) in members {
            let (own, others) = rest.split_at(rows * HEADS * SIZE);
            outputs[index].extend_from_slice(own);
            rest = others;
        }
    }
    outputs
}
