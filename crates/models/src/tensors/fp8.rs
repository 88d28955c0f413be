//! Weights in floating-point numbers of eight bits, as folders hold them: widened to bf16 when they are read.
//!
//! The scales of the tensor `NAME` stand in `NAME_scale_inv` or `NAME_scale`: one for all of it, one for each row, or one
//! for each square of 128 by 128. Under either name a weight is its number times its scale; the product is rounded to
//! bf16, which has four bits more than the number. Without scales the number is the weight.
//!
//! Not for activations in eight bits: what such files say of them is left alone.
//!
//! Source: OCP 8-bit Floating Point Specification (OFP8) 1.0, section 5; the names and the squares are those of
//! DeepSeek-V3's files and of the library compressed-tensors, as facts.

use formats::{Dtype, TensorEntry, TensorFile};
use ops::weight::{Lent, Storage};

use super::{Found, Tensors, storage};
use crate::Error;

/// Rows and columns of a square under one scale.
const SIDE: usize = 128;

/// A tensor of eight bits in bf16; nothing where it is of another type.
///
/// # Errors
/// [`Error::Shape`] where scales do not fit the tensor, [`Error::Storage`] where they are no plain numbers.
pub(super) fn widened(file: &TensorFile, entry: &TensorEntry) -> Result<Option<Found>, Error> {
    let numbers = match entry.dtype {
        Dtype::F8_E4M3 => numbers(e4m3),
        Dtype::F8_E5M2 => numbers(e5m2),
        _ => return Ok(None),
    };
    let (columns, rows) = entry.shape.split_last().unwrap_or((&1, &[]));
    let (rows, columns) = (rows.iter().product(), *columns);
    let scales = Scales::of(file, entry, [rows, columns])?;
    let view = file.tensor_view(entry)?;
    let codes: &[u8] = view.as_ref();
    let mut bytes = Vec::with_capacity(2 * codes.len());
    for (row, codes) in codes.chunks(columns.max(1)).enumerate() {
        let weight = |(column, code): (usize, &u8)| numbers[usize::from(*code)] * scales.at(row, column);
        bytes.extend(Storage::Bf16.narrow(&codes.iter().enumerate().map(weight).collect::<Vec<f32>>()));
    }
    Ok(Some(Found { shape: entry.shape.clone(), storage: Storage::Bf16, bytes: Lent::new(bytes) }))
}

/// Scales, each of an area of the tensor.
struct Scales {
    numbers: Vec<f32>,
    height: usize,
    width: usize,
    /// Areas beside each other.
    across: usize,
}

impl Scales {
    fn of(file: &TensorFile, entry: &TensorEntry, [rows, columns]: [usize; 2]) -> Result<Self, Error> {
        let names = ["_scale_inv", "_scale"].map(|end| format!("{}{end}", entry.name));
        let Some(found) = names.iter().find_map(|name| TensorFile::find(file, name)) else {
            return Ok(Self { numbers: vec![1.0], height: rows.max(1), width: columns.max(1), across: 1 });
        };
        let squares = [rows.div_ceil(SIDE), columns.div_ceil(SIDE)];
        let [height, width] = match found.shape[..] {
            [] | [1] | [1, 1] => [rows, columns],
            [n] | [n, 1] if n == rows => [1, columns],
            [n, m] if [n, m] == squares => [SIDE, SIDE],
            _ => {
                let (file, name) = (file.label().into(), found.name.clone());
                return Err(Error::Shape {
                    file,
                    name,
                    found: found.shape.clone(),
                    expected: squares.to_vec(),
                });
            }
        };
        let stored = storage(found.dtype).filter(|storage| storage.blocks().is_none()).ok_or_else(|| {
            let (file, name) = (file.label().into(), found.name.clone());
            Error::Storage { file, name, found: found.dtype.to_string() }
        })?;
        let numbers = stored.widen(file.tensor_view(found)?.as_ref());
        let (height, width) = (height.max(1), width.max(1));
        Ok(Self { numbers, height, width, across: columns.div_ceil(width) })
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        self.numbers[row / self.height * self.across + column / self.width]
    }
}

/// What every byte stands for.
fn numbers(number: fn(u8) -> f32) -> [f32; 256] {
    std::array::from_fn(|code| number(code as u8))
}

/// Four bits of exponent with bias 7, three of fraction; no infinity, and NaN only where all of them are set.
fn e4m3(code: u8) -> f32 {
    let (exponent, fraction) = (i32::from(code >> 3 & 15), f32::from(code & 7));
    let magnitude = match (exponent, code & 7) {
        (15, 7) => f32::NAN,
        (0, _) => fraction * f32::powi(2.0, -9),
        _ => (8.0 + fraction) * f32::powi(2.0, exponent - 10),
    };
    if code >> 7 == 1 { -magnitude } else { magnitude }
}

/// Five bits of exponent with bias 15, two of fraction: the upper half of a half-precision number.
fn e5m2(code: u8) -> f32 {
    Storage::F16.widen(&[0, code])[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::{FileBytes, Metadata, TensorSpec, safetensors};

    /// A matrix `w` whose bytes are all 56, which is 1, and scales beside it.
    fn folder([rows, columns]: [usize; 2], end: &str, shape: &[usize], scales: &[f32]) -> TensorFile {
        let spec = |name: String, dtype, shape: &[usize]| TensorSpec { name, dtype, shape: shape.to_vec() };
        // Wide numbers first, so that they lie aligned.
        let specs =
            [spec(format!("w{end}"), Dtype::F32, shape), spec("w".into(), Dtype::F8_E4M3, &[rows, columns])];
        let mut writer = safetensors::write(Vec::new(), &Metadata::new("f"), &specs).unwrap();
        writer.append(&Storage::F32.narrow(scales)).unwrap();
        writer.append(&vec![56; rows * columns]).unwrap();
        safetensors::read(&FileBytes::from_vec("f", writer.finish().unwrap())).unwrap()
    }

    fn weights(file: &TensorFile) -> Vec<f32> {
        let found = Tensors::find(file, "w").unwrap().unwrap();
        assert_eq!(found.storage, Storage::Bf16);
        found.storage.widen(found.bytes.as_slice())
    }

    #[test]
    fn scales_are_of_the_tensor_of_rows_or_of_squares() {
        assert_eq!(weights(&folder([2, 3], "_scale", &[1], &[0.5])), [0.5; 6]);
        assert_eq!(weights(&folder([2, 3], "_scale", &[], &[0.5])), [0.5; 6]);
        assert_eq!(weights(&folder([2, 2], "_scale", &[2, 1], &[2.0, 4.0])), [2.0, 2.0, 4.0, 4.0]);
        assert_eq!(weights(&folder([2, 2], "_other", &[2, 1], &[2.0, 4.0])), [1.0; 4]);
        let found = weights(&folder([130, 257], "_scale_inv", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        for (place, weight) in found.into_iter().enumerate() {
            let (row, column) = (place / 257, place % 257);
            assert_eq!(weight, (3 * (row / 128) + column / 128 + 1) as f32, "{row} {column}");
        }
    }

    #[test]
    fn scales_that_do_not_fit_are_refused() {
        let file = folder([2, 3], "_scale_inv", &[3, 2], &[1.0; 6]);
        assert!(matches!(Tensors::find(&file, "w"), Err(Error::Shape { .. })));
    }

    /// The tables of the specification: greatest, least normal and least numbers, and what is none.
    #[test]
    fn bytes_are_the_numbers_of_the_specification() {
        let of_e4m3 = [0x7e, 0x08, 0x07, 0x01, 0xfe, 0x38].map(e4m3);
        assert_eq!(of_e4m3, [448.0, 0.015_625, 0.013_671_875, 0.001_953_125, -448.0, 1.0]);
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan());
        let of_e5m2 = [0x7b, 0x04, 0x01, 0x7c, 0xfc, 0x3c].map(e5m2);
        let least = f32::powi(2.0, -16);
        assert_eq!(of_e5m2, [57344.0, 4.0 * least, least, f32::INFINITY, f32::NEG_INFINITY, 1.0]);
        assert!([0x7d, 0x7e, 0x7f].map(e5m2).iter().all(|number| number.is_nan()));
    }
}
