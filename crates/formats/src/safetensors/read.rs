//! Reads the header of a safetensors file and checks every claim in it against the bytes that are there.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::header::{Header, RawTensor, scan};
use super::{MAX_HEADER, MAX_NAME, MAX_TEXT};
use crate::cursor::Cursor;
use crate::error::{Error, Place, Quoted, json_error};
use crate::metadata::{Metadata, Value};
use crate::tensors::{Claim, TensorEntry, TensorFile, check_ranges};
use crate::{Dtype, FileBytes, FileKind, sniff};

/// The length before the header.
const LENGTH_BYTES: usize = 8;

/// Reads the header of a safetensors file; the tensors stay where they are.
///
/// # Errors
/// [`Error::WrongKind`] for other files, [`Error::Json`] for a header that is not the JSON of this format, else
/// the first thing that is wrong, with file, field and offset.
pub fn read(file: &FileBytes) -> Result<TensorFile, Error> {
    read_beginning(file, file.size_bytes())
}

/// Reads the header of a safetensors file of `file_bytes` bytes of which only the beginning is here. The bytes of its
/// tensors cannot be had: asking for them is [`Error::Range`].
///
/// # Errors
/// [`Error::Truncated`] where the header reaches beyond what is here, else those of [`read`].
pub fn read_beginning(file: &FileBytes, file_bytes: u64) -> Result<TensorFile, Error> {
    let bytes = file.as_slice();
    let found = sniff(bytes);
    if !matches!(found, FileKind::Safetensors | FileKind::Unknown | FileKind::Empty) {
        return Err(Error::WrongKind { file: file.shared_label(), wanted: "a safetensors file", found });
    }
    let mut cursor = Cursor::new(file.shared_label(), bytes, LENGTH_BYTES.saturating_add(MAX_HEADER));
    let length = cursor.count(&"header length", MAX_HEADER, 1)?;
    let text = cursor.take(length, &"header")?;
    let keys = scan(text, MAX_TEXT).map_err(|over| Error::Limit {
        at: cursor.place(&over.field, over.offset.saturating_add(LENGTH_BYTES)),
        claimed: over.claimed as u64,
        limit: over.limit as u64,
    })?;
    let header: Header = serde_json::from_slice(text)
        .map_err(|problem| json_error(&cursor, "header", (text, LENGTH_BYTES), &problem))?;
    check_names(&cursor, &header.tensors, &keys)?;
    let metadata = read_metadata(&cursor, header.metadata)?;
    let claims = header.tensors.into_iter().map(|tensor| claim(&cursor, tensor, &keys));
    let claims = claims.collect::<Result<Vec<Claim>, Error>>()?;
    let tensors = check_ranges(file, file_bytes, claims)?;
    let end = usize::try_from(file_bytes).unwrap_or(usize::MAX);
    check_holes(file, &tensors, cursor.position()..end)?;
    Ok(TensorFile::new(file.clone(), FileKind::Safetensors, metadata, tensors))
}

/// Where in the file the tensor's name stands.
fn offset_of(tensor: &RawTensor, keys: &[u32]) -> usize {
    LENGTH_BYTES.saturating_add(keys.get(tensor.key).copied().unwrap_or_default() as usize)
}

fn check_names(cursor: &Cursor, tensors: &[RawTensor], keys: &[u32]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for tensor in tensors {
        let at = || cursor.place(&format_args!("tensor {}", Quoted(&tensor.name)), offset_of(tensor, keys));
        if tensor.name.is_empty() {
            return Err(Error::Invalid { at: at(), found: "an empty name".into(), expected: "a name" });
        }
        if tensor.name.len() > MAX_NAME {
            let claimed = tensor.name.len() as u64;
            return Err(Error::Limit { at: at(), claimed, limit: MAX_NAME as u64 });
        }
        if !seen.insert(&tensor.name) {
            return Err(Error::Duplicate { at: at() });
        }
    }
    Ok(())
}

fn read_metadata(cursor: &Cursor, pairs: Vec<(String, String)>) -> Result<Metadata, Error> {
    let mut seen = BTreeSet::new();
    if let Some((key, _)) = pairs.iter().find(|(key, _)| !seen.insert(key)) {
        let field = format_args!("metadata key {}", Quoted(key));
        return Err(Error::Duplicate { at: cursor.place(&field, LENGTH_BYTES) });
    }
    let entries = pairs.into_iter().map(|(key, text)| (key, Value::String(text))).collect();
    Ok(Metadata::from_entries(cursor.label(), entries))
}

fn claim(cursor: &Cursor, tensor: RawTensor, keys: &[u32]) -> Result<Claim, Error> {
    let offset = offset_of(&tensor, keys);
    let RawTensor { name, facts, .. } = tensor;
    let at = || cursor.place(&format_args!("tensor {}", Quoted(&name)), offset);
    let Some(dtype) = Dtype::from_safetensors(&facts.dtype) else {
        return Err(Error::UnknownDtype { at: at(), code: Quoted(&facts.dtype).to_string() });
    };
    let shape = facts.shape.0;
    let (begin, end) = facts.data_offsets;
    let shape_error = |problem| Error::Shape { at: at(), shape: shape.clone(), dtype, problem };
    let size = dtype.size_bytes(&shape).map_err(shape_error)?;
    let sizes = shape.iter().map(|&size| usize::try_from(size));
    let sizes =
        sizes.collect::<Result<Vec<usize>, _>>().map_err(|_| shape_error("too large for this machine"))?;
    // Sums that cannot be counted end at `u64::MAX`, which lies outside every file.
    let data = cursor.position() as u64;
    let (start, stop) = (data.saturating_add(begin), data.saturating_add(end));
    if end.checked_sub(begin).is_some_and(|range| range != size) {
        let found = format!("data_offsets of {} bytes", end.saturating_sub(begin));
        return Err(Error::Invalid { at: at(), found, expected: "as many bytes as its shape and type take" });
    }
    Ok(Claim { name, dtype, shape: sizes, start, end: stop, offset })
}

/// Every byte behind the header belongs to a tensor.
fn check_holes(file: &FileBytes, tensors: &[TensorEntry], data: Range<usize>) -> Result<(), Error> {
    let mut by_start: Vec<&TensorEntry> = tensors.iter().collect();
    by_start.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
    let mut reached = data.start;
    for tensor in by_start {
        if tensor.range.start > reached {
            return Err(hole(file.shared_label(), tensor.field(), reached, tensor.range.start));
        }
        reached = tensor.range.end;
    }
    if reached != data.end {
        return Err(hole(file.shared_label(), "the end of the data".to_owned(), reached, data.end));
    }
    Ok(())
}

fn hole(file: Arc<str>, field: String, start: usize, end: usize) -> Error {
    let at = Place { file, field, offset: start as u64 };
    Error::Hole { at, start: start as u64, end: end as u64 }
}
