//! An adapter added to the weights of a file once and for all: `W + s · B · A`.
//!
//! Numbers keep their storage; blocks, in which a small sum would be lost, become f16. Does not: write a file.

use std::collections::BTreeMap;

use formats::adapter::Naming;
use formats::{Dtype, TensorFile};
use ops::weight::Storage;

use super::{Adapter, Part};
use crate::tensors::translate::{Spot, spot};
use crate::tensors::{dtype_of, storage};
use crate::{Config, Error, Family};

/// Matrices whose scales stand apart, which the sum would have to go through.
const SCALED_APART: [Dtype; 3] = [Dtype::F8_E4M3, Dtype::F8_E5M2, Dtype::NVFP4];

impl Adapter {
    /// The tensors of the model of `config` and `family`, whose file has the names of `base`, with this adapter in them. What
    /// it changes is held in memory.
    ///
    /// # Errors
    /// [`Error::Storage`] for weights with scales of their own, [`Error::MissingTensor`] and those of the file.
    pub fn merged(
        &self,
        mut tensors: TensorFile,
        config: &Config,
        (family, base): (&'static Family, Naming),
    ) -> Result<TensorFile, Error> {
        let dialect = match base {
            Naming::Gguf => &family.gguf,
            Naming::HuggingFace => &family.hugging_face,
        };
        for layer in 0..config.n_layers {
            let mut sums = BTreeMap::new();
            for part in self.parts.iter().filter(|part| part.layer == layer) {
                let found = spot(&tensors, config, [dialect; 2], (part.matrix, layer))?;
                let missing = || Error::MissingTensor {
                    file: tensors.file().label().into(),
                    name: format!("{:?} of layer {layer}", part.matrix),
                };
                let spot = found.ok_or_else(missing)?;
                if !sums.contains_key(&spot.tensor) {
                    sums.insert(spot.tensor.clone(), numbers(&tensors, &spot.tensor)?);
                }
                let (_, values) = sums.get_mut(&spot.tensor).expect("it was just put there");
                add(values, part, &spot);
            }
            for (name, (storage, values)) in sums {
                tensors = tensors.replaced(&name, dtype_of(storage), storage.narrow(&values))?;
            }
        }
        Ok(tensors)
    }
}

/// How a sum is stored that takes the place of a tensor, and the numbers of that.
fn numbers(tensors: &TensorFile, name: &str) -> Result<(Storage, Vec<f32>), Error> {
    let entry = tensors.tensor(name)?;
    let stored = storage(entry.dtype).filter(|_| !SCALED_APART.contains(&entry.dtype)).ok_or_else(|| {
        let (file, name) = (tensors.file().label().into(), name.into());
        Error::Storage { file, name, found: entry.dtype.to_string() }
    })?;
    let target = if stored.blocks().is_some() { Storage::F16 } else { stored };
    Ok((target, stored.widen(tensors.tensor_bytes(entry)?)))
}

/// Adds what a part adds to the rows of its matrix, in f64.
fn add(values: &mut [f32], part: &Part, spot: &Spot) {
    let (down, up, scale) = part.low_rank.values();
    let (rank, inner) = (part.low_rank.rank(), spot.n_columns);
    for (place, &row) in spot.rows.iter().enumerate() {
        for column in 0..inner {
            let products =
                (0..rank).map(|at| f64::from(up[place * rank + at]) * f64::from(down[at * inner + column]));
            let sum = f64::from(scale) * products.sum::<f64>();
            let at = if spot.is_turned() { column * spot.n_rows + row } else { row * inner + column };
            values[at] = (f64::from(values[at]) + sum) as f32;
        }
    }
}
