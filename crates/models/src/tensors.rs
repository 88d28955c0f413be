//! Where a model's weights come from: anything that finds a tensor by name.

pub mod adapter;
pub mod recorded;
pub mod translate;

mod fp8;
mod scaled;

use std::ops::Range;

use formats::{Dtype, TensorFile};
use ops::weight::{Lent, Storage};

use crate::Error;
use crate::images::adapter::Addition;
use crate::images::learning::Layer;
use crate::parameters::Learned;

/// A tensor that was found.
pub struct Found {
    /// Row-major, outermost first.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub storage: Storage,
    /// Its numbers, little-endian.
    pub bytes: Lent,
}

impl Found {
    /// Some rows of a matrix, over the same bytes.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        let row_bytes = self.bytes.as_slice().len() / self.shape[0].max(1);
        let bytes = self.bytes.part(rows.start * row_bytes..rows.end * row_bytes);
        let bytes = bytes.expect("the rows lie inside the matrix");
        Self { shape: vec![rows.len(), self.shape[1]], storage: self.storage, bytes }
    }

    /// Some rows of a matrix in any order: over the same bytes where they follow one another, else copied.
    pub(crate) fn gathered(&self, rows: &[usize]) -> Self {
        let first = rows.first().copied().unwrap_or(0);
        if rows.iter().zip(first..).all(|(row, expected)| *row == expected) {
            return self.rows(first..first + rows.len());
        }
        let bytes = self.bytes.as_slice();
        let row_bytes = bytes.len() / self.shape[0].max(1);
        let row = |row: &usize| bytes[row * row_bytes..(row + 1) * row_bytes].iter().copied();
        let copied: Vec<u8> = rows.iter().flat_map(row).collect();
        Self { shape: vec![rows.len(), self.shape[1]], storage: self.storage, bytes: Lent::new(copied) }
    }

    /// A matrix with rows and columns exchanged, copied.
    pub(crate) fn transposed(&self) -> Self {
        let (rows, columns) = (self.shape[0], self.shape[1]);
        let bytes = self.bytes.as_slice();
        let turned = match bytes.len() / (rows * columns).max(1) {
            4 => turn(bytes.as_chunks::<4>().0, columns).into_flattened(),
            _ => turn(bytes.as_chunks::<2>().0, columns).into_flattened(),
        };
        Self { shape: vec![columns, rows], storage: self.storage, bytes: Lent::new(turned) }
    }
}

/// Rows and columns exchanged, in stretches of columns that stay in the cache.
fn turn<T: Copy + Default>(numbers: &[T], columns: usize) -> Vec<T> {
    const STRETCH: usize = 64;
    let rows = numbers.len() / columns.max(1);
    let mut turned = vec![T::default(); numbers.len()];
    for first in (0..columns).step_by(STRETCH) {
        for row in 0..rows {
            for column in first..columns.min(first + STRETCH) {
                turned[column * rows + row] = numbers[row * columns + column];
            }
        }
    }
    turned
}

/// Anything that has tensors under names.
pub trait Tensors: Sync {
    /// How errors name it.
    fn label(&self) -> &str;

    /// The tensor called `name`, `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Storage`] when its numbers are stored in a way that cannot be computed with, [`Error::File`].
    fn find(&self, name: &str) -> Result<Option<Found>, Error>;

    /// Shape and bytes of the tensor called `name`, whatever they mean; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::File`].
    fn raw(&self, name: &str) -> Result<Option<(Vec<usize>, Lent)>, Error> {
        Ok(self.find(name)?.map(|found| (found.shape, found.bytes)))
    }

    /// The tensor called `name` where it is one that learns, in the shape that the layer has it in; `None` in files.
    fn learned(&self, _name: &str, _layer: Layer) -> Option<Learned> {
        None
    }

    /// What is added to the layer whose weights are called `name`; nothing in files.
    ///
    /// # Errors
    /// [`Error::Storage`] for numbers that cannot be computed with, [`Error::File`].
    fn additions(&self, _name: &str, _layer: Layer) -> Result<Vec<Addition>, Error> {
        Ok(Vec::new())
    }
}

/// Bytes of a block of MXFP4 besides its scale: two numbers each.
const MXFP4_BYTES: usize = 16;

/// A tensor in MXFP4 whose blocks and scales stand apart, as `transformers` writes those of gpt-oss: put together as
/// GGUF files have them, copied; `None` where there are none of this name. In its blocks neighbours share a byte; in
/// GGUF's a number and the sixteenth behind it do.
///
/// # Shapes
/// Blocks `[.., K/32, 16]` and scales `[.., K/32]` give `[.., K]`.
///
/// # Errors
/// [`Error::Shape`] where scales and blocks do not fit.
pub(crate) fn blocks_and_scales(tensors: &dyn Tensors, name: &str) -> Result<Option<Found>, Error> {
    let (blocks, scales) = (format!("{name}_blocks"), format!("{name}_scales"));
    let (Some((shape, blocks)), Some((found, scales))) = (tensors.raw(&blocks)?, tensors.raw(&scales)?)
    else {
        return Ok(None);
    };
    let expected: usize = found.iter().product();
    let (blocks, scales) = (blocks.as_slice(), scales.as_slice());
    let is_sound = shape.split_last() == Some((&MXFP4_BYTES, &found))
        && scales.len() == expected
        && blocks.len() == expected * MXFP4_BYTES;
    let (Some(storage), Some((groups, rows)), true) =
        (Storage::blocks_named("MXFP4"), found.split_last(), is_sound)
    else {
        let (file, name) = (tensors.label().into(), name.into());
        return Err(Error::Shape { file, name, found: shape, expected: found });
    };
    let mut bytes = Vec::with_capacity(expected * (MXFP4_BYTES + 1));
    for (block, scale) in blocks.as_chunks::<MXFP4_BYTES>().0.iter().zip(scales) {
        bytes.push(*scale);
        let number = |at: usize| block[at / 2] >> (4 * (at % 2)) & 15;
        bytes.extend((0..MXFP4_BYTES).map(|at| number(at) | number(at + MXFP4_BYTES) << 4));
    }
    let shape = [rows, &[groups * 2 * MXFP4_BYTES]].concat();
    Ok(Some(Found { shape, storage, bytes: Lent::new(bytes) }))
}

/// Whether there is a tensor of this name in blocks whose scales stand apart.
pub(crate) fn has_blocks(tensors: &dyn Tensors, name: &str) -> Result<bool, Error> {
    Ok(tensors.raw(&format!("{name}_blocks"))?.is_some())
}

/// The type of a file's tensor whose numbers are stored so.
///
/// # Panics
/// Never: every storage is that of a type.
pub fn dtype_of(stored: Storage) -> Dtype {
    let all = (0..u32::from(u8::MAX)).filter_map(Dtype::from_ggml);
    let mut same = all.filter(|dtype| storage(*dtype) == Some(stored));
    same.next().expect("every storage is that of a type")
}

/// How the numbers of a tensor of this type are stored in memory; `None` where they cannot be computed with.
pub fn storage(dtype: Dtype) -> Option<Storage> {
    match dtype {
        Dtype::F32 => Some(Storage::F32),
        Dtype::BF16 => Some(Storage::Bf16),
        Dtype::F16 => Some(Storage::F16),
        other => Storage::blocks_named(other.name()),
    }
}

impl Tensors for TensorFile {
    fn label(&self) -> &str {
        self.file().label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(entry) = Self::find(self, name) else { return Ok(None) };
        if let Some(found) = fp8::widened(self, entry)? {
            return Ok(Some(found));
        }
        let storage = storage(entry.dtype).ok_or_else(|| {
            let (file, name) = (self.file().label().into(), name.into());
            Error::Storage { file, name, found: entry.dtype.to_string() }
        })?;
        let view = self.tensor_view(entry)?;
        let found = Found { shape: entry.shape.clone(), storage, bytes: Lent::new(view) };
        scaled::scaled(self, entry, found).map(Some)
    }

    fn raw(&self, name: &str) -> Result<Option<(Vec<usize>, Lent)>, Error> {
        let Some(entry) = Self::find(self, name) else { return Ok(None) };
        Ok(Some((entry.shape.clone(), Lent::new(self.tensor_view(entry)?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_calls_usable_can_be_computed_with() {
        let all = (0..64).filter_map(Dtype::from_ggml);
        let n_usable =
            all.inspect(|dtype| assert_eq!(storage(*dtype).is_some(), dtype.is_usable(), "{dtype}"));
        assert_eq!(n_usable.filter(|dtype| dtype.is_usable()).count(), 3 + ops::weight::Quantised::ALL.len());
    }

    /// Numbers of a byte lie side by side in the blocks of a folder; scales are powers of two.
    #[test]
    fn blocks_and_scales_become_the_numbers_that_they_stand_for() {
        struct Both(Vec<u8>);
        impl Tensors for Both {
            fn label(&self) -> &str {
                "both"
            }
            fn find(&self, _: &str) -> Result<Option<Found>, Error> {
                Ok(None)
            }
            fn raw(&self, name: &str) -> Result<Option<(Vec<usize>, Lent)>, Error> {
                Ok(match name {
                    "w_blocks" => Some((vec![1, 2, 16], Lent::new(self.0.clone()))),
                    "w_scales" => Some((vec![1, 2], Lent::new(vec![127u8, 129]))),
                    _ => None,
                })
            }
        }
        // What four bits stand for, by the specification of microscaling formats (OCP MX 1.0), section 5.3.
        let numbers =
            [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];
        let bytes: Vec<u8> = (0..32u8).map(|at| (at * 7 % 16) | (at * 5 % 16) << 4).collect();
        let expected = bytes.iter().enumerate().flat_map(|(at, byte)| {
            let scale = if at < 16 { 1.0 } else { 4.0 };
            [byte & 15, byte >> 4].map(|bits| scale * numbers[usize::from(bits)])
        });
        let expected: Vec<f32> = expected.collect();
        let found = blocks_and_scales(&Both(bytes.clone()), "w").unwrap().unwrap();
        assert_eq!(found.shape, [1, 64]);
        assert_eq!(found.storage.widen(found.bytes.as_slice()), expected);
        assert!(blocks_and_scales(&Both(bytes), "v").unwrap().is_none());
        assert!(matches!(blocks_and_scales(&Both(vec![0; 31]), "w"), Err(Error::Shape { .. })));
    }
}
