//! Writes what any reader gave as one safetensors file, as an import of a PyTorch checkpoint does.
//!
//! Numbers stay as they are stored, down to the bit; tensors that share bytes are written once each. Quantised
//! blocks have no name in this format, so a GGUF file that holds some is refused.

use std::io::Write;

use super::write;
use crate::error::Error;
use crate::metadata::{Metadata, Value};
use crate::{TensorEntry, TensorFile, TensorSpec};

/// Bytes that are handed on at once.
const PIECE_BYTES: usize = 1 << 20;

/// Writes all tensors of `file` behind each other, wide types first (the format has no padding), and its single
/// values as texts. Neither flushes nor syncs.
///
/// # Errors
/// What [`write`](super::write()) refuses: types without a name in this format among them; [`Error::Io`].
pub fn convert<W: Write>(file: &TensorFile, out: W) -> Result<W, Error> {
    let mut entries: Vec<&TensorEntry> = file.tensors().iter().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.dtype.alignment()));
    let specs: Vec<TensorSpec> = entries.iter().map(|entry| entry.spec()).collect();
    let mut writer = write(out, &texts(file), &specs)?;
    for entry in entries {
        for piece in file.tensor_bytes(entry)?.chunks(PIECE_BYTES) {
            writer.append(piece)?;
        }
    }
    writer.finish()
}

/// Metadata of this format is text only. It says what PyTorch's own files say of themselves.
fn texts(file: &TensorFile) -> Metadata {
    let mut texts = Metadata::new(file.file().label());
    texts.insert("format", "pt".into());
    for (key, value) in file.metadata().iter() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::F32(number) => number.to_string(),
            Value::F64(number) => number.to_string(),
            other => match other.integer() {
                Some(number) => number.to_string(),
                None => continue,
            },
        };
        texts.insert(key, text.into());
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dtype, FileBytes, gguf, safetensors};

    #[test]
    fn narrow_tensors_go_last_and_values_become_texts() {
        let mut metadata = Metadata::new("a.gguf");
        metadata.insert("epoch", Value::U32(3));
        metadata.insert("list", vec![1i32].into());
        let spec = |name: &str, dtype, size| TensorSpec { name: name.into(), dtype, shape: vec![size] };
        let specs = [spec("half", Dtype::F16, 3), spec("bytes", Dtype::I8, 5), spec("wide", Dtype::F32, 2)];
        let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
        for (spec, byte) in specs.iter().zip(1u8..) {
            writer.append(&vec![byte; spec.size_bytes().unwrap() as usize]).unwrap();
        }
        let file = gguf::read(&FileBytes::from_vec("a.gguf", writer.finish().unwrap())).unwrap();
        let written = FileBytes::from_vec("a.safetensors", convert(&file, Vec::new()).unwrap());
        let copy = safetensors::read(&written).unwrap();
        let names: Vec<&str> = copy.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["wide", "half", "bytes"]);
        for tensor in copy.tensors() {
            let original = file.tensor(&tensor.name).unwrap();
            assert_eq!(tensor.spec(), original.spec());
            assert_eq!(copy.tensor_bytes(tensor).unwrap(), file.tensor_bytes(original).unwrap());
        }
        assert_eq!(copy.metadata().read::<&str>("epoch").unwrap(), "3");
        assert_eq!(copy.metadata().len(), 2);
        let blocks = [spec("q", Dtype::Q8_0, 32)];
        let mut writer = gguf::write(Vec::new(), &metadata, &blocks).unwrap();
        writer.append(&[0; 34]).unwrap();
        let file = gguf::read(&FileBytes::from_vec("q.gguf", writer.finish().unwrap())).unwrap();
        assert!(matches!(convert(&file, Vec::new()), Err(Error::UnknownDtype { .. })));
    }
}
