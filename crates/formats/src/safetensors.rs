//! Safetensors, the format of the Hugging Face libraries: read and written.
//!
//! A file is: the header's length (64 bits), the header (a JSON object: per tensor its type, shape and range;
//! under `__metadata__` a map of texts), the data without holes. A tensor may have a dimension of zero, as the
//! format allows, or none (one element). Offsets need not be aligned: see [`ByteView::aligned`]. Indexes
//! over several files are read by [`shards`](crate::shards).
//!
//! Source: the format page of the safetensors project, as facts.
//!
//! [`ByteView::aligned`]: crate::ByteView::aligned

mod convert;
mod header;
mod read;
mod write;

pub use convert::convert;
pub use read::{read, read_beginning};
pub use write::write;

const METADATA_KEY: &str = "__metadata__";
/// The limit that the format sets.
const MAX_HEADER: usize = 100_000_000;
const MAX_TENSORS: usize = 1 << 17;
const MAX_METADATA: usize = 1 << 16;
/// One text in the header; training settings of several MB are seen.
const MAX_TEXT: usize = 8 << 20;
const MAX_NAME: usize = 1024;
const MAX_DIMENSIONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dtype, Error, FileBytes, Metadata, TensorSpec};

    fn spec(name: &str, dtype: Dtype, shape: &[usize]) -> TensorSpec {
        TensorSpec { name: name.into(), dtype, shape: shape.to_vec() }
    }

    fn bytes(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 1);
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut metadata = Metadata::new("new.safetensors");
        metadata.insert("format", "pt".into());
        metadata.insert("quote \" and \u{1} and é", "line\nline".into());
        let specs = [
            spec("z \"q\"", Dtype::F32, &[2, 3]),
            spec("scalar", Dtype::F32, &[]),
            spec("b", Dtype::BF16, &[5]),
            spec("none", Dtype::F16, &[4, 0]),
            spec("flags", Dtype::Bool, &[3]),
        ];
        let mut writer = write(Vec::new(), &metadata, &specs).unwrap();
        for (index, spec) in specs.iter().enumerate() {
            writer.append(&vec![index as u8; spec.size_bytes().unwrap() as usize]).unwrap();
        }
        let file = read(&FileBytes::from_vec("new.safetensors", writer.finish().unwrap())).unwrap();
        assert_eq!(file.metadata().iter().collect::<Vec<_>>(), metadata.iter().collect::<Vec<_>>());
        assert_eq!(file.tensors().len(), specs.len());
        for (index, (entry, spec)) in file.tensors().iter().zip(&specs).enumerate() {
            assert_eq!(&entry.spec(), spec);
            assert_eq!(file.tensor_bytes(entry).unwrap(), vec![index as u8; entry.range.len()]);
        }
        assert_eq!(file.tensors()[0].range.start % 8, 0);
    }

    #[test]
    fn the_beginning_of_a_file_tells_what_the_whole_does() {
        let specs = [spec("a", Dtype::F32, &[2, 3]), spec("b", Dtype::BF16, &[5])];
        let mut writer = write(Vec::new(), &Metadata::new("f"), &specs).unwrap();
        specs.iter().for_each(|spec| writer.append(&vec![1; spec.size_bytes().unwrap() as usize]).unwrap());
        let bytes = writer.finish().unwrap();
        let whole = read(&FileBytes::from_vec("f", bytes.clone())).unwrap();
        let data = whole.tensors()[0].range.start;
        for n_bytes in 8..=data {
            let part = FileBytes::from_vec("f", bytes[..n_bytes].to_vec());
            match read_beginning(&part, bytes.len() as u64) {
                Err(Error::Truncated { needed, left, .. }) => {
                    assert_eq!(needed - left, (data - n_bytes) as u64, "what is missing of the header");
                }
                Err(error) => panic!("{n_bytes}: {error}"),
                Ok(file) => assert_eq!((file.tensors(), n_bytes), (whole.tensors(), data)),
            }
        }
        let short = read_beginning(&FileBytes::from_vec("f", bytes.clone()), bytes.len() as u64 + 1);
        assert!(matches!(short, Err(Error::Hole { .. })));
    }

    #[test]
    fn the_writer_refuses_what_a_reader_would() {
        let check = |specs: &[TensorSpec]| write(Vec::new(), &Metadata::new("f"), specs).err().unwrap();
        let twice = [spec("w", Dtype::F32, &[1]), spec("w", Dtype::F32, &[1])];
        assert!(matches!(check(&twice), Error::Duplicate { .. }));
        assert!(matches!(check(&[spec("w", Dtype::Q4_K, &[256])]), Error::UnknownDtype { .. }));
        assert!(matches!(check(&[spec(METADATA_KEY, Dtype::F32, &[1])]), Error::Duplicate { .. }));
        let odd = [spec("b", Dtype::F16, &[1]), spec("a", Dtype::F32, &[1])];
        assert!(matches!(check(&odd), Error::Misaligned { .. }));
        let mut metadata = Metadata::new("f");
        metadata.insert("count", 1u32.into());
        assert!(matches!(write(Vec::new(), &metadata, &[]).err().unwrap(), Error::WrongType { .. }));
    }

    #[test]
    fn tensors_may_stand_in_any_order_but_not_apart() {
        let entry = |name: &str, start: usize, end: usize| {
            format!(r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{start},{end}]}}"#, end - start)
        };
        let check = |header: String| read(&FileBytes::from_vec("f", bytes(&header, 8)));
        let file = check(format!("{{{},{}}}   ", entry("b", 4, 8), entry("a", 0, 4))).unwrap();
        assert_eq!(file.tensors()[0].name, "b");
        let error = check(format!("{{{},{}}}", entry("a", 0, 3), entry("b", 4, 8))).unwrap_err();
        assert!(matches!(&error, Error::Hole { end, start, .. } if end - start == 1), "{error}");
        let error = check(format!("{{{}}}", entry("a", 0, 7))).unwrap_err();
        assert!(matches!(&error, Error::Hole { .. }), "{error}");
        assert!(error.to_string().contains("end of the data"), "{error}");
    }

    #[test]
    fn an_error_says_where_the_tensor_stands() {
        let header = r#"{ "a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[9],"data_offsets":[8,17]}}"#;
        let error = read(&FileBytes::from_vec("f", bytes(header, 8))).unwrap_err().to_string();
        let offset = 8 + header.find("\"b\"").unwrap();
        let (start, end) = (8 + header.len() + 8, 8 + header.len() + 17);
        assert_eq!(
            error,
            format!(
                "f: tensor \"b\": range {start}..{end} ends outside the file of {start} bytes (byte {offset})"
            )
        );
    }
}
