//! Rows of random numbers, stored as a file has them: a few of each length, type and size, repeated in a random order.
//!
//! Storing numbers in blocks is slow, copying them is not, and speed does not depend on which numbers they are.

use std::collections::HashMap;

use base::Rng;
use formats::{Dtype, TensorSpec};
use models::parameters::Listed;

/// Different rows of one length, type and size.
const N_ROWS: usize = 64;
/// The deviation of what begins all the same: such numbers are like no model's that has learned.
const LEARNED_DEVIATION: f32 = 0.02;
const SEED: u64 = 0x5eed;

/// Length, type, mean and deviation of rows, and how many of them there are.
type Key = (usize, Dtype, [u32; 2], usize);

/// Rows that were made already.
#[derive(Default)]
pub(super) struct Rows {
    made: HashMap<Key, Vec<u8>>,
}

impl Rows {
    /// Gives away the bytes of a tensor, a row at a time. The same tensor has the same bytes every time.
    pub fn write<E>(
        &mut self,
        listed: &Listed,
        spec: &TensorSpec,
        give: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let columns = spec.shape.last().copied().unwrap_or(1).max(1);
        let n_rows = spec.shape.iter().product::<usize>() / columns;
        let seed = spec.name.bytes().fold(SEED, |seed, byte| seed.wrapping_mul(31) ^ u64::from(byte));
        let mut rng = Rng::new(seed);
        let deviation = if listed.deviation > 0.0 { listed.deviation } else { LEARNED_DEVIATION };
        let n_made = n_rows.min(N_ROWS);
        let key = (columns, spec.dtype, [listed.mean, deviation].map(f32::to_bits), n_made);
        let made = self.made.entry(key).or_insert_with(|| {
            let storage = models::tensors::storage(spec.dtype).expect("mixes have types that can be stored");
            let number = |_| listed.mean + deviation * rng.normal() as f32;
            storage.narrow(&(0..n_made * columns).map(number).collect::<Vec<f32>>())
        });
        let row_bytes = made.len() / n_made.max(1);
        for _ in 0..n_rows {
            let row = rng.below(n_made);
            give(&made[row * row_bytes..(row + 1) * row_bytes])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_full_of_numbers_that_differ() {
        for (dtype, shape) in [
            (Dtype::F32, vec![96]),
            (Dtype::BF16, vec![9, 100]),
            (Dtype::Q4_K, vec![3, 8, 256]),
            (Dtype::Q8_0, vec![200, 64]),
        ] {
            let spec = TensorSpec { name: "w".into(), dtype, shape: shape.clone() };
            let listed = Listed { name: "w".into(), shape, mean: 1.0, deviation: 0.0 };
            let mut bytes = Vec::new();
            let write = |rows: &mut Rows, bytes: &mut Vec<u8>| {
                let mut give = |row: &[u8]| -> Result<(), ()> {
                    bytes.extend(row);
                    Ok(())
                };
                rows.write(&listed, &spec, &mut give).unwrap();
            };
            write(&mut Rows::default(), &mut bytes);
            assert_eq!(bytes.len() as u64, spec.size_bytes().unwrap());
            let values = models::tensors::storage(dtype).unwrap().widen(&bytes);
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            assert!((mean - 1.0).abs() < 0.05 && values.windows(2).any(|two| two[0] != two[1]), "{dtype}");
            let mut again = Vec::new();
            write(&mut Rows::default(), &mut again);
            assert_eq!(bytes, again);
        }
    }
}
