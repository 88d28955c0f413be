//! Writes the header of a GGUF file (version 3); the data is streamed behind it.

use std::io::Write;

use super::read::check_alignment;
use super::value::{write_text, write_value};
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, MAX_DIMENSIONS, MAX_KEY, MAX_METADATA, MAX_NAME, MAX_TENSORS,
    VERSION, align_up,
};
use crate::error::{Error, Quoted};
use crate::write::{
    Section, TensorWriter, check_limit, check_name, check_names, place, shape_error, write_error,
};
use crate::{Metadata, TensorSpec};

/// Writes the header for `tensors` and gives back what takes their data, in the same order.
///
/// The metadata stands in its own order; `general.alignment` in it, where present, is obeyed.
///
/// # Errors
/// What [`read`](super::read) would refuse: names that stand twice, shapes that no tensor of the type has, types
/// that GGUF lacks; [`Error::Io`].
pub fn write<W: Write>(
    mut out: W,
    metadata: &Metadata,
    tensors: &[TensorSpec],
) -> Result<TensorWriter<W>, Error> {
    let alignment = check_metadata(metadata)?;
    check_limit(metadata, &"tensor count", tensors.len(), MAX_TENSORS)?;
    check_names(metadata, tensors, MAX_NAME)?;
    let (sections, infos) = lay_out(metadata, tensors, alignment)?;
    let mut header: Vec<u8> = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        write_text(&mut header, key).map_err(write_error)?;
        write_value(&mut header, value).map_err(write_error)?;
    }
    header.extend(infos);
    if !tensors.is_empty() {
        let aligned = align_up(header.len() as u64, alignment).unwrap_or_default();
        header.resize(usize::try_from(aligned).unwrap_or_default().max(header.len()), 0);
    }
    out.write_all(&header).map_err(write_error)?;
    TensorWriter::new(out, sections)
}

fn check_metadata(metadata: &Metadata) -> Result<u32, Error> {
    check_limit(metadata, &"metadata count", metadata.len(), MAX_METADATA)?;
    for (key, _) in metadata.iter() {
        check_name(metadata, &format_args!("metadata key {}", Quoted(key)), key, MAX_KEY)?;
    }
    match metadata.get(ALIGNMENT_KEY) {
        Some(value) => check_alignment(value, || place(metadata, &ALIGNMENT_KEY)),
        None => Ok(DEFAULT_ALIGNMENT),
    }
}

/// Where each tensor's data goes, and the bytes that describe all of them.
fn lay_out(
    metadata: &Metadata,
    tensors: &[TensorSpec],
    alignment: u32,
) -> Result<(Vec<Section>, Vec<u8>), Error> {
    let mut sections = Vec::with_capacity(tensors.len());
    let mut infos = Vec::new();
    let mut offset: u64 = 0;
    for tensor in tensors {
        let size = check_tensor(metadata, tensor)?;
        let end = offset.checked_add(size);
        let next = end.and_then(|end| Some((end, align_up(end, alignment)?)));
        let (end, next) =
            next.ok_or_else(|| shape_error(metadata, tensor, "more bytes than can be counted"))?;
        describe(&mut infos, tensor, offset).map_err(write_error)?;
        sections.push(Section { name: tensor.name.clone(), bytes: size, padding: next.saturating_sub(end) });
        offset = next;
    }
    Ok((sections, infos))
}

fn describe(out: &mut Vec<u8>, tensor: &TensorSpec, offset: u64) -> std::io::Result<()> {
    write_text(out, &tensor.name)?;
    out.extend((u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX)).to_le_bytes());
    for size in tensor.shape.iter().rev() {
        out.extend((*size as u64).to_le_bytes());
    }
    out.extend(tensor.dtype.ggml().unwrap_or(u32::MAX).to_le_bytes());
    out.extend(offset.to_le_bytes());
    Ok(())
}

fn check_tensor(metadata: &Metadata, tensor: &TensorSpec) -> Result<u64, Error> {
    if tensor.dtype.ggml().is_none() {
        let at = place(metadata, &format_args!("tensor {}", Quoted(&tensor.name)));
        return Err(Error::UnknownDtype { at, code: tensor.dtype.name().to_owned() });
    }
    if tensor.shape.is_empty() || tensor.shape.len() > MAX_DIMENSIONS as usize {
        return Err(shape_error(metadata, tensor, "not 1 to 4 dimensions"));
    }
    if tensor.shape.contains(&0) {
        return Err(shape_error(metadata, tensor, "a dimension of zero"));
    }
    tensor.size_bytes().map_err(|problem| shape_error(metadata, tensor, problem))
}
