//! GGUF, the format of GGML: versions 2 and 3, little endian, read and written.
//!
//! A file is: `GGUF`, version, counts of tensors and metadata; the metadata; per tensor its name, dimensions
//! (innermost first), type and offset; padding to the alignment (32, or `general.alignment`); the data.
//! Numbers are little endian, texts and lists stand behind a 64-bit length. Version 1 (32-bit lengths) and
//! big-endian files are refused by name. A model split over several files is joined by [`join`]. Does not decode
//! quantised blocks.
//!
//! Source: the GGUF specification in the documentation of the GGML project, as facts.

mod read;
mod split;
mod value;
mod write;

pub use read::{read, read_beginning};
pub use split::join;
pub use write::write;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u32 = 32;
/// A huge page has two of them; more would only be padding.
const MAX_ALIGNMENT: u32 = 1 << 20;

/// The longest header that is walked through; the largest vocabularies take about 15 MB.
const MAX_HEADER: usize = 256 << 20;
const MAX_METADATA: usize = 1 << 16;
const MAX_TENSORS: usize = 1 << 17;
/// The specification's limit for keys.
const MAX_KEY: usize = (1 << 16) - 1;
/// The specification says 64; tools for images write longer ones.
const MAX_NAME: usize = 1024;
/// Dimensions of a tensor in GGML.
const MAX_DIMENSIONS: u32 = 4;

/// Rounds `position` up to a multiple of `alignment`; `None` when that cannot be counted.
fn align_up(position: u64, alignment: u32) -> Option<u64> {
    position.checked_next_multiple_of(alignment.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Array, Strings, Value};
    use crate::{Dtype, Error, FileBytes, Metadata, TensorSpec};

    fn every_value() -> Metadata {
        let mut metadata = Metadata::new("new.gguf");
        let texts: Strings = ["", "▁a", "b"].iter().collect();
        let values = [
            Value::U8(255),
            Value::I8(-128),
            Value::U16(65_535),
            Value::I16(-32_768),
            Value::U32(u32::MAX),
            Value::I32(i32::MIN),
            Value::U64(u64::MAX),
            Value::I64(i64::MIN),
            Value::F32(0.1),
            Value::F64(-0.1),
            Value::Bool(true),
            Value::String("Ünïcode\0".into()),
            Value::Array(Array::U8(vec![1, 2])),
            Value::Array(Array::I8(vec![-1])),
            Value::Array(Array::U16(vec![500])),
            Value::Array(Array::I16(vec![-500])),
            Value::Array(Array::U32(vec![])),
            Value::Array(Array::I32(vec![-7, 7])),
            Value::Array(Array::U64(vec![1 << 60])),
            Value::Array(Array::I64(vec![-1])),
            Value::Array(Array::F32(vec![1.5, -0.0])),
            Value::Array(Array::F64(vec![1e300])),
            Value::Array(Array::Bool(vec![true, false])),
            Value::Array(Array::Strings(texts.clone())),
            Value::Array(Array::Arrays(vec![
                Array::U8(vec![3]),
                Array::Strings(texts),
                Array::Arrays(vec![]),
            ])),
        ];
        for (index, value) in values.into_iter().enumerate() {
            metadata.insert(&format!("test.{index}"), value);
        }
        metadata
    }

    fn spec(name: &str, dtype: Dtype, shape: &[usize]) -> TensorSpec {
        TensorSpec { name: name.into(), dtype, shape: shape.to_vec() }
    }

    fn round_trip(alignment: Option<u32>) {
        let mut metadata = every_value();
        if let Some(alignment) = alignment {
            metadata.insert(ALIGNMENT_KEY, Value::U32(alignment));
        }
        let specs = [
            spec("a", Dtype::F32, &[2, 3]),
            spec("b", Dtype::BF16, &[5]),
            spec("c", Dtype::F16, &[1, 2, 3, 1]),
            spec("d", Dtype::Q8_0, &[3, 64]),
            spec("e", Dtype::Q6_K, &[256]),
        ];
        let mut writer = write(Vec::new(), &metadata, &specs).unwrap();
        let data = |spec: &TensorSpec, index: usize| {
            vec![u8::try_from(index + 1).unwrap(); usize::try_from(spec.size_bytes().unwrap()).unwrap()]
        };
        for (index, spec) in specs.iter().enumerate() {
            writer.append(&data(spec, index)).unwrap();
        }
        let file = read(&FileBytes::from_vec("new.gguf", writer.finish().unwrap())).unwrap();
        let found: Vec<_> = file.metadata().iter().collect();
        assert_eq!(found, metadata.iter().collect::<Vec<_>>());
        for (index, (entry, spec)) in file.tensors().iter().zip(&specs).enumerate() {
            assert_eq!(&entry.spec(), spec);
            assert_eq!(entry.range.start % alignment.unwrap_or(32) as usize, 0);
            assert_eq!(file.tensor_bytes(entry).unwrap(), data(spec, index));
        }
        assert_eq!(file.tensors().len(), specs.len());
    }

    #[test]
    fn what_is_written_is_read_back() {
        round_trip(None);
        round_trip(Some(8));
        round_trip(Some(4096));
    }

    /// However little of a file is here, either its header is known as it is in the whole file, or more is asked for.
    #[test]
    fn the_beginning_of_a_file_tells_what_the_whole_does() {
        let specs = [spec("a", Dtype::F32, &[2, 300]), spec("b", Dtype::Q8_0, &[3, 64])];
        let mut writer = write(Vec::new(), &every_value(), &specs).unwrap();
        for spec in &specs {
            writer.append(&vec![1; usize::try_from(spec.size_bytes().unwrap()).unwrap()]).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let whole = read(&FileBytes::from_vec("f", bytes.clone())).unwrap();
        let data = whole.tensors()[0].range.start;
        for n_bytes in 4..data {
            let part = FileBytes::from_vec("f", bytes[..n_bytes].to_vec());
            match read_beginning(&part, bytes.len() as u64) {
                Err(Error::Truncated { needed, left, .. }) => assert!(needed > left, "{n_bytes}"),
                Err(error) => panic!("{n_bytes}: {error}"),
                Ok(file) => {
                    assert_eq!(file.tensors(), whole.tensors(), "{n_bytes}");
                    assert!(data - n_bytes < 32, "nothing but padding is missing");
                    assert!(matches!(file.tensor_bytes(&file.tensors()[0]), Err(Error::Range { .. })));
                }
            }
        }
        let error = read_beginning(&FileBytes::from_vec("f", bytes[..data].to_vec()), data as u64);
        assert!(matches!(error, Err(Error::Range { .. })), "the tensors are not in a file of this length");
    }

    #[test]
    fn dimensions_are_turned_round() {
        let metadata = Metadata::new("new.gguf");
        let bytes = write(Vec::new(), &metadata, &[spec("w", Dtype::F32, &[2, 3])]);
        let mut writer = bytes.unwrap();
        writer.append(&[0; 24]).unwrap();
        let bytes = writer.finish().unwrap();
        // Behind magic, version, two counts, the name and the number of dimensions: innermost first.
        assert_eq!(&bytes[37..53], [3u64.to_le_bytes(), 2u64.to_le_bytes()].concat());
    }

    #[test]
    fn the_writer_refuses_what_the_reader_would() {
        let check = |key: &str, value: Value, specs: &[TensorSpec]| {
            let mut metadata = Metadata::new("new.gguf");
            metadata.insert(key, value);
            write(Vec::new(), &metadata, specs).err().unwrap()
        };
        let fine = Value::U32(1);
        assert!(matches!(check(ALIGNMENT_KEY, Value::U32(48), &[]), Error::Invalid { .. }));
        assert!(matches!(check("", fine.clone(), &[]), Error::Limit { .. } | Error::Invalid { .. }));
        let rows = [spec("w", Dtype::Q8_0, &[33])];
        assert!(matches!(check("k", fine.clone(), &rows), Error::Shape { .. }));
        let zero = [spec("w", Dtype::F32, &[3, 0])];
        assert!(matches!(check("k", fine.clone(), &zero), Error::Shape { .. }));
        let five = [spec("w", Dtype::F32, &[1; 5])];
        assert!(matches!(check("k", fine.clone(), &five), Error::Shape { .. }));
        let twice = [spec("w", Dtype::F32, &[1]), spec("w", Dtype::F32, &[1])];
        assert!(matches!(check("k", fine.clone(), &twice), Error::Duplicate { .. }));
        let other = [spec("w", Dtype::U16, &[1])];
        assert!(matches!(check("k", fine, &other), Error::UnknownDtype { .. }));
    }
}
