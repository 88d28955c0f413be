//! Writes the header of a safetensors file; the data is streamed behind it.

use std::io::Write;

use super::{MAX_DIMENSIONS, MAX_HEADER, MAX_METADATA, MAX_NAME, MAX_TENSORS, METADATA_KEY};
use crate::TensorSpec;
use crate::error::{Error, Quoted};
use crate::metadata::Metadata;
use crate::write::{Section, TensorWriter, check_limit, check_names, place, shape_error, write_error};

/// Writes the header for `tensors` and gives back what takes their data, in the same order. Metadata of this
/// format is text only.
///
/// # Errors
/// What [`read`](super::read) would refuse; [`Error::WrongType`] for metadata that is no text;
/// [`Error::Misaligned`] when a tensor would not begin at a multiple of its own width, since the format has no
/// padding: put the wider types first; [`Error::Io`].
pub fn write<W: Write>(
    mut out: W,
    metadata: &Metadata,
    tensors: &[TensorSpec],
) -> Result<TensorWriter<W>, Error> {
    check_limit(metadata, &"metadata count", metadata.len(), MAX_METADATA)?;
    check_limit(metadata, &"tensor count", tensors.len(), MAX_TENSORS)?;
    check_names(metadata, tensors, MAX_NAME)?;
    let mut header = String::from("{");
    if !metadata.is_empty() {
        push_metadata(&mut header, metadata)?;
    }
    let sections = push_tensors(&mut header, metadata, tensors)?;
    header.push('}');
    let padded = header.len().next_multiple_of(8);
    header.extend(std::iter::repeat_n(' ', padded.saturating_sub(header.len())));
    check_limit(metadata, &"header", header.len(), MAX_HEADER)?;
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(write_error)?;
    out.write_all(header.as_bytes()).map_err(write_error)?;
    TensorWriter::new(out, sections)
}

fn push_metadata(header: &mut String, metadata: &Metadata) -> Result<(), Error> {
    header.push_str(&format!("{}:{{", quoted(METADATA_KEY)));
    for (index, (key, _)) in metadata.iter().enumerate() {
        let text: &str = metadata.read(key)?;
        let comma = if index == 0 { "" } else { "," };
        header.push_str(&format!("{comma}{}:{}", quoted(key), quoted(text)));
    }
    header.push('}');
    Ok(())
}

fn push_tensors(
    header: &mut String,
    metadata: &Metadata,
    tensors: &[TensorSpec],
) -> Result<Vec<Section>, Error> {
    let mut sections = Vec::with_capacity(tensors.len());
    let mut start: u64 = 0;
    for tensor in tensors {
        let bytes = check_tensor(metadata, tensor, start)?;
        let end = start.checked_add(bytes);
        let end = end.ok_or_else(|| shape_error(metadata, tensor, "more bytes than can be counted"))?;
        if header.len() > 1 {
            header.push(',');
        }
        header.push_str(&format!(
            r#"{}:{{"dtype":"{}","shape":{:?},"data_offsets":[{start},{end}]}}"#,
            quoted(&tensor.name),
            tensor.dtype.safetensors().unwrap_or_default(),
            tensor.shape,
        ));
        sections.push(Section { name: tensor.name.clone(), bytes, padding: 0 });
        start = end;
    }
    Ok(sections)
}

fn check_tensor(metadata: &Metadata, tensor: &TensorSpec, start: u64) -> Result<u64, Error> {
    let at = || place(metadata, &format_args!("tensor {}", Quoted(&tensor.name)));
    if tensor.name == METADATA_KEY {
        return Err(Error::Duplicate { at: at() });
    }
    if tensor.dtype.safetensors().is_none() {
        return Err(Error::UnknownDtype { at: at(), code: tensor.dtype.name().to_owned() });
    }
    if tensor.shape.len() > MAX_DIMENSIONS {
        return Err(shape_error(metadata, tensor, "more than 8 dimensions"));
    }
    let alignment = tensor.dtype.alignment() as u64;
    if start.checked_rem(alignment) != Some(0) {
        return Err(Error::Misaligned { at: at(), position: start, alignment });
    }
    tensor.size_bytes().map_err(|problem| shape_error(metadata, tensor, problem))
}

/// A JSON text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
