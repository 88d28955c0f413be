//! Reads the header of a GGUF file and checks every claim in it against the bytes that are there.

use std::collections::BTreeSet;

use super::value::Reader;
use super::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, MAX_ALIGNMENT, MAX_DIMENSIONS, MAX_HEADER, MAX_KEY,
    MAX_METADATA, MAX_NAME, MAX_TENSORS, align_up,
};
use crate::cursor::Cursor;
use crate::dtype::{Dtype, unknown_ggml};
use crate::error::{Error, Place, Quoted};
use crate::metadata::{Metadata, Value};
use crate::tensors::{Claim, TensorFile, check_ranges};
use crate::{FileBytes, FileKind, sniff};

/// The smallest a metadata entry can be: length, one byte of key, type, one byte of value.
const LEAST_METADATA: usize = 8 + 1 + 4 + 1;
/// The smallest a tensor's description can be: length, one byte of name, dimensions, one of them, type, offset.
const LEAST_TENSOR: usize = 8 + 1 + 4 + 8 + 4 + 8;

/// Reads the header of a GGUF file; the tensors stay where they are.
///
/// # Errors
/// [`Error::WrongKind`] for other files, [`Error::Version`] and [`Error::BigEndian`] for files of another make,
/// else the first thing that is wrong, with file, field and offset.
pub fn read(file: &FileBytes) -> Result<TensorFile, Error> {
    read_beginning(file, file.size_bytes())
}

/// Reads the header of a GGUF file of `file_bytes` bytes of which only the beginning is here. The bytes of its tensors
/// cannot be had: asking for them is [`Error::Range`].
///
/// # Errors
/// [`Error::Truncated`] where the header reaches beyond what is here, else those of [`read`].
pub fn read_beginning(file: &FileBytes, file_bytes: u64) -> Result<TensorFile, Error> {
    let bytes = file.as_slice();
    if !bytes.starts_with(MAGIC) {
        let found = sniff(bytes);
        return Err(Error::WrongKind { file: file.shared_label(), wanted: "a GGUF file", found });
    }
    let mut cursor = Cursor::new(file.shared_label(), bytes, MAX_HEADER);
    cursor.take(MAGIC.len(), &"magic")?;
    check_version(&mut cursor)?;
    let n_tensors = cursor.count(&"tensor count", MAX_TENSORS, LEAST_TENSOR)?;
    let n_metadata = cursor.count(&"metadata count", MAX_METADATA, LEAST_METADATA)?;
    let (metadata, alignment) = read_metadata(&mut cursor, n_metadata)?;
    let claims = read_tensors(&mut cursor, n_tensors, alignment)?;
    let claims = place_in_file(&cursor, claims, alignment);
    let tensors = check_ranges(file, file_bytes, claims)?;
    Ok(TensorFile::new(file.clone(), FileKind::Gguf, metadata, tensors))
}

fn check_version(cursor: &mut Cursor) -> Result<(), Error> {
    let offset = cursor.position();
    let version = cursor.u32(&"version")?;
    let at = || cursor.place(&"version", offset);
    match version {
        2 | 3 => Ok(()),
        // A small number read from the wrong end has only high bytes.
        swapped if swapped & 0xffff == 0 && swapped != 0 => Err(Error::BigEndian { at: at() }),
        found => Err(Error::Version { at: at(), found, readable: "2 and 3" }),
    }
}

fn read_metadata(cursor: &mut Cursor, count: usize) -> Result<(Metadata, u32), Error> {
    let label = cursor.label();
    let mut reader = Reader::new(cursor);
    let mut seen = BTreeSet::new();
    let mut entries = Vec::with_capacity(count);
    let mut alignment = DEFAULT_ALIGNMENT;
    for index in 0..count {
        let offset = reader.cursor.position();
        let key = read_name(reader.cursor, &format!("metadata key {index}"), MAX_KEY)?;
        let field = format_args!("metadata key {}", Quoted(key));
        if !seen.insert(key) {
            return Err(Error::Duplicate { at: reader.cursor.place(&field, offset) });
        }
        let offset = reader.cursor.position();
        let value = reader.value(key)?;
        if key == ALIGNMENT_KEY {
            alignment = check_alignment(&value, || reader.cursor.place(&field, offset))?;
        }
        entries.push((key.to_owned(), value));
    }
    Ok((Metadata::from_entries(label, entries), alignment))
}

/// The alignment in a metadata value: a u32 that is a power of two.
pub(super) fn check_alignment(value: &Value, at: impl Fn() -> Place) -> Result<u32, Error> {
    match *value {
        Value::U32(alignment) if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT => Ok(alignment),
        _ => {
            let found = value.describe();
            Err(Error::Invalid { at: at(), found, expected: "a u32 that is a power of two up to 1 MiB" })
        }
    }
}

fn read_name<'a>(cursor: &mut Cursor<'a>, field: &str, limit: usize) -> Result<&'a str, Error> {
    let offset = cursor.position();
    let name = cursor.text(&field, limit)?;
    if name.is_empty() {
        let at = cursor.place(&field, offset);
        return Err(Error::Invalid { at, found: "an empty name".into(), expected: "a name" });
    }
    Ok(name)
}

/// The tensors' descriptions; `start` and `end` still count from the beginning of the data.
fn read_tensors(cursor: &mut Cursor, count: usize, alignment: u32) -> Result<Vec<Claim>, Error> {
    let mut seen = BTreeSet::new();
    let mut claims = Vec::with_capacity(count);
    for index in 0..count {
        let offset = cursor.position();
        let name = read_name(cursor, &format!("name of tensor {index}"), MAX_NAME)?;
        if !seen.insert(name) {
            return Err(Error::Duplicate {
                at: cursor.place(&format_args!("tensor {}", Quoted(name)), offset),
            });
        }
        claims.push(read_tensor(cursor, name, alignment)?);
    }
    Ok(claims)
}

fn read_tensor(cursor: &mut Cursor, name: &str, alignment: u32) -> Result<Claim, Error> {
    let field = format_args!("tensor {}", Quoted(name));
    let shape_offset = cursor.position();
    let shape = read_shape(cursor, &field)?;
    let dtype_offset = cursor.position();
    let id = cursor.u32(&field)?;
    let dtype = Dtype::from_ggml(id).ok_or_else(|| Error::UnknownDtype {
        at: cursor.place(&field, dtype_offset),
        code: unknown_ggml(id),
    })?;
    let shape_error = |problem| Error::Shape {
        at: cursor.place(&field, shape_offset),
        shape: shape.clone(),
        dtype,
        problem,
    };
    if shape.contains(&0) {
        return Err(shape_error("a dimension of zero"));
    }
    let size = dtype.size_bytes(&shape).map_err(shape_error)?;
    let sizes = shape.iter().map(|&size| usize::try_from(size));
    let sizes =
        sizes.collect::<Result<Vec<usize>, _>>().map_err(|_| shape_error("too large for this machine"))?;
    let offset = cursor.position();
    let start = cursor.u64(&field)?;
    if start.checked_rem(alignment.into()) != Some(0) {
        let at = cursor.place(&field, offset);
        return Err(Error::Misaligned { at, position: start, alignment: alignment.into() });
    }
    let end = start.saturating_add(size);
    Ok(Claim { name: name.to_owned(), dtype, shape: sizes, start, end, offset })
}

/// The dimensions, turned round to outermost first.
fn read_shape(cursor: &mut Cursor, field: &dyn std::fmt::Display) -> Result<Vec<u64>, Error> {
    let offset = cursor.position();
    let n_dimensions = cursor.u32(field)?;
    if n_dimensions == 0 || n_dimensions > MAX_DIMENSIONS {
        let at = cursor.place(&format_args!("{field}: number of dimensions"), offset);
        return Err(Error::Invalid { at, found: n_dimensions.to_string(), expected: "1 to 4" });
    }
    let mut shape = Vec::with_capacity(MAX_DIMENSIONS as usize);
    for _ in 0..n_dimensions {
        shape.push(cursor.u64(field)?);
    }
    shape.reverse();
    Ok(shape)
}

/// Moves the claims from the beginning of the data to the beginning of the file.
fn place_in_file(cursor: &Cursor, mut claims: Vec<Claim>, alignment: u32) -> Vec<Claim> {
    let base = align_up(cursor.position() as u64, alignment).unwrap_or(u64::MAX);
    for claim in &mut claims {
        // A sum that cannot be counted ends at `u64::MAX`, which lies outside every file.
        claim.start = claim.start.saturating_add(base);
        claim.end = claim.end.saturating_add(base);
    }
    claims
}
