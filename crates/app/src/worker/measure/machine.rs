//! What this machine does at most, and at what speed its products run on each way of storing weights.
//!
//! Everything is timed here and now, for a few hundredths of a second each; no number of any machine or model
//! stands in this file.

use std::hint::black_box;
use std::time::Instant;

use formats::Dtype;
use kernels::blocks::{self, BlockType, Blocks};
use kernels::product::{Role, Shape, Weights, product};
use kernels::{isa, machine, pool};

use crate::event::measure::Machine;

/// Bytes that are read to measure bandwidth: more than any cache of a personal machine holds.
const STREAM_BYTES: usize = 192 << 20;
const TIMES: usize = 5;

/// How fast products run over one way of storing weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Operations a second of a product over the rows of a prompt.
    pub prompt_flops_per_s: f64,
    /// Bytes of weights a second of a product over one generated row.
    pub generated_bytes_per_s: f64,
}

/// Measures what the machine can do at most.
pub(crate) fn measure() -> Machine {
    let n_threads = pool::active_threads();
    let values = vec![1.0f32; STREAM_BYTES / 4];
    let read_s = fastest(|| {
        black_box(machine::read(&values, n_threads));
    });
    let mut n_flops = 0;
    let flops_s = fastest(|| n_flops = machine::multiply_add(isa::current(), n_threads, 1 << 20));
    Machine {
        n_threads,
        read_bytes_per_s: STREAM_BYTES as f64 / read_s,
        flops_per_s: n_flops as f64 / flops_s,
        available_bytes: super::memory::available(),
    }
}

/// Measures the products over weights of one type; nothing where Hearth cannot compute with it.
pub(crate) fn rates(dtype: Dtype) -> Option<Rates> {
    let matrix = Matrix::new(dtype)?;
    Some(Rates { prompt_flops_per_s: matrix.prompt(), generated_bytes_per_s: matrix.generated() })
}

/// Weights whose values do not matter, but are neither zero nor all the same.
enum Matrix {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    F16(Vec<u16>),
    Blocks(&'static BlockType, Vec<u8>),
}

/// Columns of the matrix that is measured: a multiple of every block.
const INNER: usize = 4096;

impl Matrix {
    fn new(dtype: Dtype) -> Option<Self> {
        let row: Vec<f32> = (0..INNER).map(|at| (at as f32 * 0.7).sin() * 0.05).collect();
        let rows = |row_bytes: usize| STREAM_BYTES / 2 / row_bytes;
        Some(match dtype {
            Dtype::F32 => Self::F32(row.repeat(rows(4 * INNER))),
            Dtype::BF16 => {
                let bits: Vec<u16> = row.iter().map(|value| (value.to_bits() >> 16) as u16).collect();
                Self::Bf16(bits.repeat(rows(2 * INNER)))
            }
            // 0x2c00 is 2⁻⁴; the low bits vary the fraction.
            Dtype::F16 => {
                let bits: Vec<u16> = (0..INNER).map(|at| 0x2c00 | ((at * 37) as u16 & 0x83ff)).collect();
                Self::F16(bits.repeat(rows(2 * INNER)))
            }
            other => {
                let kind = *blocks::TYPES.iter().find(|kind| kind.name() == other.name())?;
                let mut bytes = vec![0; kind.size_bytes(INNER)?];
                kind.quantise(&row, &mut bytes);
                let n_rows = rows(bytes.len());
                Self::Blocks(kind, bytes.repeat(n_rows))
            }
        })
    }

    fn weights(&self) -> Weights<'_> {
        match self {
            Self::F32(values) => Weights::F32(values),
            Self::Bf16(bits) => Weights::Bf16(bits),
            Self::F16(bits) => Weights::F16(bits),
            Self::Blocks(kind, bytes) => Weights::Blocks(Blocks::new(kind, bytes)),
        }
    }

    /// The first rows.
    fn part(&self, n_rows: usize) -> Weights<'_> {
        match self {
            Self::F32(values) => Weights::F32(&values[..n_rows * INNER]),
            Self::Bf16(bits) => Weights::Bf16(&bits[..n_rows * INNER]),
            Self::F16(bits) => Weights::F16(&bits[..n_rows * INNER]),
            Self::Blocks(kind, bytes) => {
                let n_bytes = bytes.len() / (self.weights().len() / INNER) * n_rows;
                Weights::Blocks(Blocks::new(kind, &bytes[..n_bytes]))
            }
        }
    }

    fn prompt(&self) -> f64 {
        let shape = Shape { rows: 128, inner: INNER, outer: 1024 };
        let x: Vec<f32> = (0..shape.rows * INNER).map(|at| (at as f32 * 0.3).cos()).collect();
        let mut y = vec![0.0; shape.rows * shape.outer];
        let seconds = fastest(|| product(Role::Prompt, &x, self.part(shape.outer), &mut y, shape));
        black_box(&y);
        2.0 * (shape.rows * shape.inner * shape.outer) as f64 / seconds
    }

    fn generated(&self) -> f64 {
        let weights = self.weights();
        let shape = Shape { rows: 1, inner: INNER, outer: weights.len() / INNER };
        let x: Vec<f32> = (0..INNER).map(|at| (at as f32 * 0.3).cos()).collect();
        let mut y = vec![0.0; shape.outer];
        let seconds = fastest(|| product(Role::Generated, &x, weights, &mut y, shape));
        black_box(&y);
        weights.size_bytes() as f64 / seconds
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usable_type_makes_a_matrix_of_numbers() {
        let usable = (0..64).filter_map(Dtype::from_ggml).filter(|dtype| dtype.is_usable());
        for dtype in usable {
            let matrix = Matrix::new(dtype).unwrap_or_else(|| panic!("{dtype}"));
            let mut row = vec![0.0; INNER];
            matrix.part(1).widen(0..INNER, &mut row);
            assert!(
                row.iter().all(|value| value.is_finite()) && row.iter().any(|value| *value != 0.0),
                "{dtype}"
            );
        }
    }
}
