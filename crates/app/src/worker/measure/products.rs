//! How long the products of a model take here: each shape of its matrices in each way of storing, timed when it is first
//! asked for.
//!
//! The matrices are made up and lie beside each other in as much memory as those of the model, or more than any cache
//! holds: what a product reads, it reads from where the model's would. No number of any machine or model stands here.

use std::collections::HashMap;

use formats::Dtype;
use kernels::pool;
use ops::device::Tensor;
use ops::weight::{Lent, Storage};
use ops::{Linear, Rows, Weight};

use super::machine::{middle, usual};

/// Most bytes of matrices that are read in turn: more than any cache of a personal machine holds.
const MOST_BYTES: usize = 96 << 20;
/// Numbers of which rows are made: a multiple of every block.
const STRETCH: usize = 4096;
/// Seconds that one product over many rows takes about; of larger ones some of the outputs are computed.
const ABOUT_S: f64 = 0.01;

/// A matrix, and the rows that it is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    dtype: Dtype,
    shape: [usize; 2],
    rows: usize,
    is_prompt: bool,
}

/// What was timed.
pub(crate) struct Products {
    /// Operations a second that this machine does at most: so large are the products that are tried.
    flops_per_s: f64,
    /// Bytes of matrices that are read in turn.
    n_bytes: usize,
    /// The numbers of the type that was asked for last.
    made: Option<(Dtype, Lent)>,
    /// Seconds of each, a number for each round in which it was asked for.
    known: HashMap<Key, Vec<f64>>,
    /// How many times each is timed.
    n_rounds: usize,
}

impl Products {
    /// Of a model whose weights take so many bytes, nothing timed yet.
    pub fn new(flops_per_s: f64, model_bytes: u64) -> Self {
        let n_bytes = usize::try_from(model_bytes).unwrap_or(usize::MAX).clamp(1 << 16, MOST_BYTES);
        Self { flops_per_s, n_bytes, made: None, known: HashMap::new(), n_rounds: 1 }
    }

    /// What is asked for from now on is timed once more, and the middle of its times counts: whatever else the machine
    /// did for a moment has then gone by.
    pub fn again(&mut self) {
        self.n_rounds += 1;
    }

    /// Seconds of one matrix `[N, K]` and these rows, all prompt's or all generated; nothing where Hearth cannot compute
    /// with matrices that are stored so.
    pub fn seconds(&mut self, dtype: Dtype, shape: [usize; 2], rows: Rows) -> Option<f64> {
        let key = Key { dtype, shape, rows: rows.total(), is_prompt: rows.prompt > 0 };
        if self.known.get(&key).is_none_or(|times| times.len() < self.n_rounds) {
            let seconds = self.time(dtype, shape, rows)?;
            self.known.entry(key).or_default().push(seconds);
        }
        self.known.get(&key).map(|times| middle(times))
    }

    fn time(&mut self, dtype: Dtype, [outputs, inputs]: [usize; 2], rows: Rows) -> Option<f64> {
        let storage = models::tensors::storage(dtype)?;
        let row_bytes = storage.size_bytes(&[inputs])?.max(1);
        let flops = 2.0 * (rows.total() * inputs) as f64;
        let few = (self.flops_per_s * ABOUT_S / flops) as usize;
        // No fewer than keep all threads busy.
        let few = few.max(64 * pool::active_threads());
        let tried = outputs.min(self.n_bytes / row_bytes).min(few).max(1);
        let matrix_bytes = row_bytes * tried;
        let made = self.numbers(dtype, storage, matrix_bytes);
        let n_matrices = if rows.prompt > 1 { 1 } else { (made.as_slice().len() / matrix_bytes).max(1) };
        let device = ops::device::cpu();
        let matrix = |at: usize| {
            let bytes = made.part(at * matrix_bytes..(at + 1) * matrix_bytes)?;
            Some(Linear::new(Weight::new(bytes, [tried, inputs], storage, &device).ok()?))
        };
        let matrices: Vec<Linear> = (0..n_matrices).map(matrix).collect::<Option<_>>()?;
        let x = Tensor::<2>::full([rows.total(), inputs], 0.25, &device);
        let seconds = usual(|| {
            for matrix in &matrices {
                std::hint::black_box(matrix.forward(x.clone(), rows));
            }
        });
        Some(seconds / n_matrices as f64 * outputs as f64 / tried as f64)
    }

    /// Numbers of a type, that many bytes of them at least; neither zero nor all the same.
    fn numbers(&mut self, dtype: Dtype, storage: Storage, at_least: usize) -> Lent {
        if let Some((made, numbers)) = &self.made
            && *made == dtype
            && numbers.as_slice().len() >= at_least
        {
            return numbers.clone();
        }
        // Let go of first: two types beside each other would take twice the memory.
        self.made = None;
        let values: Vec<f32> = (0..STRETCH).map(|at| (at as f32 * 0.7).sin() * 0.05).collect();
        let stretch = if storage.is_writable() { storage.narrow(&values) } else { some_blocks(storage) };
        let n_stretches = self.n_bytes.max(at_least).div_ceil(stretch.len());
        let numbers = Lent::new(stretch.repeat(n_stretches));
        self.made = Some((dtype, numbers.clone()));
        numbers
    }
}

/// Blocks of a type that can only be read. No byte is 64 or more, so every half-precision number among them is below 2.
fn some_blocks(storage: Storage) -> Vec<u8> {
    let n_bytes = storage.size_bytes(&[STRETCH]).expect("a stretch is whole blocks of every type");
    (0..n_bytes).map(|at| (at * 37 + 11) as u8 & 63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usable_type_can_be_timed() {
        let mut products = Products::new(1e9, 1 << 16);
        for dtype in (0..64).filter_map(Dtype::from_ggml).filter(|dtype| dtype.is_usable()) {
            for rows in [Rows::generated(1), Rows::prompt(3)] {
                let seconds = products.seconds(dtype, [8, 512], rows);
                assert!(seconds.is_some_and(|seconds| seconds > 0.0), "{dtype}: {seconds:?}");
                assert_eq!(products.seconds(dtype, [8, 512], rows), seconds, "it is timed once in a round");
            }
        }
        assert_eq!(products.seconds(Dtype::Q4_K, [8, 100], Rows::generated(1)), None, "no whole blocks");
        products.again();
        products.again();
        let rows = Rows::generated(1);
        products.seconds(Dtype::Q8_0, [8, 512], rows);
        let key = Key { dtype: Dtype::Q8_0, shape: [8, 512], rows: 1, is_prompt: false };
        assert_eq!(products.known[&key].len(), 2, "in a round, once");
    }
}
