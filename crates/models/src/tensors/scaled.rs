//! Matrices beside a scale of the whole tensor, as GGUF files with NVFP4 have them: multiplied when they are read.
//!
//! The scale of `NAME.weight` stands in `NAME.scale` (or `NAME.weight.scale`): one number, or one for each expert of a
//! stack. No block of four-bit numbers can hold the product, so a matrix in blocks becomes bf16, whose rounding moves a
//! weight by at most 2⁻⁹ of itself; other storages become f32. Not read: `NAME.input_scale`, which other programs use to
//! round activations.
//!
//! Source: the tensors that llama.cpp's conversion writes for models in NVFP4, as facts.

use formats::{TensorEntry, TensorFile};
use ops::weight::{Lent, Storage};

use super::{Found, Tensors, storage};
use crate::Error;

/// How the names of such scales end, after the name of the tensor with or without its `.weight`.
const ENDS: [&str; 2] = [".scale", ".input_scale"];
const WEIGHT: &str = ".weight";

/// The matrix times its scale; as it is where it has none.
///
/// # Errors
/// [`Error::Shape`] for a scale that is neither one number nor one for each expert, [`Error::Storage`] where it is no
/// plain number.
pub(super) fn scaled(file: &TensorFile, entry: &TensorEntry, found: Found) -> Result<Found, Error> {
    if found.shape.len() < 2 {
        return Ok(found);
    }
    let Some(scale) = scale_of(file, &entry.name) else { return Ok(found) };
    let n_experts = if found.shape.len() == 3 { found.shape[0] } else { 1 };
    let n_scales: usize = scale.shape.iter().product();
    let is_flat = scale.shape.iter().filter(|size| **size != 1).count() <= 1;
    if !is_flat || n_scales == 0 || (n_scales != 1 && n_scales != n_experts) {
        let (file, name) = (file.label().into(), scale.name.clone());
        return Err(Error::Shape { file, name, found: scale.shape.clone(), expected: vec![n_experts] });
    }
    let stored = storage(scale.dtype).filter(|storage| storage.blocks().is_none()).ok_or_else(|| {
        let (file, name) = (file.label().into(), scale.name.clone());
        Error::Storage { file, name, found: scale.dtype.to_string() }
    })?;
    let scales = stored.widen(file.tensor_view(scale)?.as_ref());
    let target = if found.storage.blocks().is_some() { Storage::Bf16 } else { Storage::F32 };
    Ok(multiplied(found, &scales, target))
}

/// A matrix with each of its equal parts times a number, stored otherwise, a row at a time.
fn multiplied(found: Found, scales: &[f32], target: Storage) -> Found {
    let n_rows: usize = found.shape.iter().rev().skip(1).product();
    let bytes = found.bytes.as_slice();
    let row_bytes = (bytes.len() / n_rows.max(1)).max(1);
    let per_scale = (n_rows / scales.len()).max(1);
    let mut made = Vec::new();
    for (row, bytes) in bytes.chunks_exact(row_bytes).enumerate() {
        let scale = scales[(row / per_scale).min(scales.len() - 1)];
        let mut numbers = found.storage.widen(bytes);
        numbers.iter_mut().for_each(|number| *number *= scale);
        made.extend(target.narrow(&numbers));
    }
    Found { shape: found.shape, storage: target, bytes: Lent::new(made) }
}

fn scale_of<'a>(file: &'a TensorFile, name: &str) -> Option<&'a TensorEntry> {
    let stem = name.strip_suffix(WEIGHT).unwrap_or(name);
    [stem, name].iter().find_map(|stem| TensorFile::find(file, &format!("{stem}{}", ENDS[0])))
}

/// The names of the tensors that the scale called `name` may be of; none where it is called otherwise.
pub(super) fn owners(name: &str) -> Option<[String; 2]> {
    let stem = ENDS.iter().find_map(|end| name.strip_suffix(end))?;
    Some([format!("{stem}{WEIGHT}"), stem.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::{Dtype, FileBytes, Metadata, TensorSpec, gguf, safetensors};
    use std::path::Path;

    fn fixture(name: &str) -> TensorFile {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/nvfp4").join(name);
        let file = FileBytes::open(&path).unwrap();
        if name.ends_with(".gguf") { gguf::read(&file).unwrap() } else { safetensors::read(&file).unwrap() }
    }

    fn weights(file: &TensorFile, name: &str) -> (Vec<usize>, Vec<f32>) {
        let found = Tensors::find(file, name).unwrap().unwrap();
        let numbers = found.storage.widen(found.bytes.as_slice());
        (found.shape, numbers)
    }

    #[test]
    fn weights_are_the_blocks_times_the_scale() {
        let (file, expected) = (fixture("scaled.gguf"), fixture("expected.safetensors"));
        let mut n = 0;
        for entry in expected.tensors() {
            let (shape, found) = weights(&file, &entry.name);
            let (wanted_shape, wanted) = weights(&expected, &entry.name);
            assert_eq!(shape, wanted_shape, "{}", entry.name);
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() <= wanted.abs() / 256.0, "{}: {found} {wanted}", entry.name);
            }
            n += wanted.iter().filter(|number| **number != 0.0).count();
        }
        assert!(n > 500, "{n}");
        // Without a scale the blocks stay as they are.
        let plain = Tensors::find(&file, "blk.0.attn_q.weight").unwrap().unwrap();
        assert!(plain.storage.blocks().is_some());
    }

    fn file(dtype: Dtype, bytes: &[u8], [name, scale]: [&str; 2], shape: &[usize]) -> TensorFile {
        let spec =
            |name: &str, dtype, shape: &[usize]| TensorSpec { name: name.into(), dtype, shape: shape.into() };
        let specs = [spec(name, dtype, &[2, 32]), spec(scale, Dtype::F32, shape)];
        let mut writer = gguf::write(Vec::new(), &Metadata::new("f"), &specs).unwrap();
        writer.append(bytes).unwrap();
        writer.append(&2.0f32.to_le_bytes().repeat(shape.iter().product())).unwrap();
        gguf::read(&FileBytes::from_vec("f", writer.finish().unwrap())).unwrap()
    }

    #[test]
    fn either_name_is_a_scale_and_others_are_not() {
        let ones = 1.0f32.to_le_bytes().repeat(64);
        for (scale, expected) in
            [("a.scale", 2.0), ("a.weight.scale", 2.0), ("b.scale", 1.0), ("a.input_scale", 1.0)]
        {
            let file = file(Dtype::F32, &ones, ["a.weight", scale], &[1]);
            assert_eq!(weights(&file, "a.weight").1, [expected; 64], "{scale}");
        }
        assert_eq!(owners("a.input_scale"), Some(["a.weight".into(), "a".into()]));
        assert_eq!(owners("a.weight"), None);
    }

    #[test]
    fn a_scale_that_does_not_fit_is_refused() {
        for shape in [&[2][..], &[64], &[2, 2]] {
            let file = file(Dtype::Q8_0, &[0; 68], ["a.weight", "a.scale"], shape);
            assert!(matches!(Tensors::find(&file, "a.weight"), Err(Error::Shape { .. })), "{shape:?}");
        }
    }
}
