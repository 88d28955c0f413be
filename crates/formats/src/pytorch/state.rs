//! From the values of a pickle to tensors: finds the state dict, checks every tensor against its storage.
//!
//! A tensor whose elements follow each other is a range of the file. One that is transposed or strided is copied
//! into a part of its own; what is copied never takes more than is there, nor more than a limit.

use std::collections::BTreeSet;
use std::ops::Range;

use super::rebuild::tensor_field;
use super::values::{Item, Pickled, Storage, Tensor};
use super::{Locate, MAX_COPIED, MAX_NAME, MAX_NAMES};
use crate::error::{Error, Place};
use crate::metadata::{Metadata, Value};
use crate::tensors::{TensorEntry, TensorFile};
use crate::{FileBytes, FileKind};

/// Where trainers put the state dict, when it is not the whole.
const HOLDERS: &[&str] =
    &["state_dict", "model_state_dict", "model", "module", "string_to_param", "params_ema", "params"];
/// How deep it is looked for: `{"model": {"state_dict": …}}`.
const MAX_DEPTH: usize = 3;
/// Single values beside it, such as an epoch, that are kept as metadata.
const MAX_METADATA: usize = 1024;

impl Storage {
    /// How many bytes it takes; `None` when that cannot be counted.
    pub(super) fn size_bytes(&self) -> Option<u64> {
        let width = self.dtype.map_or(1, |dtype| dtype.block_bytes() as u64);
        self.n_elements.checked_mul(width)
    }
}

/// The tensors of the state dict in `pickled`.
pub(super) fn tensors(
    file: &FileBytes,
    kind: FileKind,
    pickled: Pickled,
    locate: Locate,
) -> Result<TensorFile, Error> {
    let named = named_tensors(file, &pickled)?;
    let metadata = read_metadata(file, &pickled);
    let mut pieces = Vec::with_capacity(named.len());
    let mut copied = 0u64;
    for (name, tensor) in &named {
        let storage = pickled.storages.get(tensor.storage as usize).copied();
        let storage = storage.ok_or_else(|| outside(file, name, tensor, 0..0, u64::MAX))?;
        let range = locate(&pickled, &storage)?;
        let piece = Piece::new(file, name, tensor, range)?;
        copied = copied.saturating_add(piece.copied_bytes(tensor));
        if copied > MAX_COPIED {
            let at =
                place(file, &format!("{}: bytes of tensors in several pieces", tensor_field(name)), tensor);
            return Err(Error::Limit { at, claimed: copied, limit: MAX_COPIED });
        }
        pieces.push(piece);
    }
    let mut copies = Vec::with_capacity(usize::try_from(copied).unwrap_or_default());
    let mut entries = Vec::with_capacity(named.len());
    for ((name, tensor), piece) in named.iter().zip(pieces) {
        let (part, range) = piece.place(file, tensor, &mut copies);
        let size = |size: &u64| usize::try_from(*size).unwrap_or(usize::MAX);
        let shape = tensor.shape.iter().map(size).collect();
        entries.push(TensorEntry { name: (*name).to_owned(), dtype: tensor.dtype, shape, part, range });
    }
    let mut parts = vec![file.clone()];
    if !copies.is_empty() {
        parts.push(FileBytes::from_vec(file.label(), copies));
    }
    let whole = TensorFile::new(file.clone(), kind, metadata, Vec::new());
    Ok(whole.with_parts(parts, entries))
}

fn place(file: &FileBytes, field: &str, tensor: &Tensor) -> Place {
    Place { file: file.shared_label(), field: field.to_owned(), offset: tensor.offset as u64 }
}

/// Names and tensors of the innermost dict that trainers' names lead to and that holds any.
fn named_tensors<'p, 'a>(
    file: &FileBytes,
    pickled: &'p Pickled<'a>,
) -> Result<Vec<(&'a str, &'p Tensor)>, Error> {
    let mut found = None;
    let mut current = Some(pickled.root);
    for _ in 0..MAX_DEPTH {
        let Some(pairs) = current.and_then(|item| pickled.dict(item)) else { break };
        if pairs.iter().any(|(_, value)| matches!(value, Item::Tensor(_))) {
            found = Some(pairs);
        }
        current = HOLDERS.iter().find_map(|holder| value_of(pickled, pairs, holder));
    }
    let Some(pairs) = found else { return Err(no_tensors(file, pickled)) };
    let mut named = Vec::with_capacity(pairs.len());
    let mut seen = BTreeSet::new();
    let mut bytes = 0usize;
    for (key, value) in pairs {
        let Item::Tensor(number) = *value else { continue };
        let Some(tensor) = pickled.tensors.get(number as usize) else { continue };
        let Item::Text(span) = *key else {
            let at = place(file, "a tensor's name", tensor);
            return Err(Error::Invalid { at, found: pickled.describe(*key), expected: "a text" });
        };
        let name = pickled.text(span);
        let at = |field: String| place(file, &field, tensor);
        if name.is_empty() {
            let found = "an empty name".into();
            return Err(Error::Invalid { at: at(tensor_field(name)), found, expected: "a name" });
        }
        bytes = bytes.saturating_add(name.len());
        for (claimed, limit) in [(name.len(), MAX_NAME), (bytes, MAX_NAMES)] {
            if claimed > limit {
                let at = at(format!("{}: letters of its name", tensor_field(name)));
                return Err(Error::Limit { at, claimed: claimed as u64, limit: limit as u64 });
            }
        }
        if !seen.insert(name) {
            return Err(Error::Duplicate { at: at(tensor_field(name)) });
        }
        named.push((name, tensor));
    }
    Ok(named)
}

/// The value of a key, when it is a dict.
fn value_of(pickled: &Pickled, pairs: &[(Item, Item)], wanted: &str) -> Option<Item> {
    let is_wanted = |key: Item| matches!(key, Item::Text(span) if pickled.text(span) == wanted);
    let (_, value) = pairs.iter().find(|(key, _)| is_wanted(*key))?;
    pickled.dict(*value).is_some().then_some(*value)
}

fn no_tensors(file: &FileBytes, pickled: &Pickled) -> Error {
    let keys = pickled.dict(pickled.root).unwrap_or_default().iter().take(3);
    let shown: Vec<String> = keys.map(|(key, _)| pickled.describe(*key)).collect();
    let mut found = pickled.describe(pickled.root);
    if !shown.is_empty() {
        found = format!("{found} with {}", shown.join(", "));
    }
    let at = Place { file: file.shared_label(), field: "state dict".into(), offset: pickled.start as u64 };
    Error::Invalid {
        at,
        found,
        expected: "names and tensors, at the top, under `state_dict` or under `model`",
    }
}

/// The single values at the top: an epoch, a step, a name.
fn read_metadata(file: &FileBytes, pickled: &Pickled) -> Metadata {
    let mut metadata = Metadata::new(file.label());
    for (key, value) in pickled.dict(pickled.root).unwrap_or_default().iter().take(MAX_METADATA) {
        let value = match *value {
            Item::Bool(flag) => Value::Bool(flag),
            Item::Int(number) => Value::I64(number),
            Item::Float(number) => Value::F64(number),
            Item::Text(span) if pickled.text(span).len() <= MAX_NAME => pickled.text(span).into(),
            _ => continue,
        };
        if let Item::Text(span) = *key
            && pickled.text(span).len() <= MAX_NAME
        {
            metadata.insert(pickled.text(span), value);
        }
    }
    metadata
}

/// Where a tensor's elements lie.
enum Piece {
    /// One behind the other, here in the file.
    Whole(Range<usize>),
    /// Apart from each other, in this storage.
    Apart(Range<usize>),
}

impl Piece {
    /// Checks that all elements lie inside `storage`.
    fn new(file: &FileBytes, name: &str, tensor: &Tensor, storage: Range<usize>) -> Result<Self, Error> {
        let shape_error = |problem| Error::Shape {
            at: place(file, &tensor_field(name), tensor),
            shape: tensor.shape.to_vec(),
            dtype: tensor.dtype,
            problem,
        };
        let size = tensor.dtype.size_bytes(&tensor.shape).map_err(shape_error)?;
        let width = tensor.dtype.block_bytes() as u64;
        let end = tensor.end().and_then(|end| end.checked_mul(width));
        let end = end.filter(|end| *end <= storage.len() as u64);
        let Some(end) = end.and_then(|end| usize::try_from(end).ok()) else {
            return Err(outside(file, name, tensor, storage, tensor.end().unwrap_or(u64::MAX)));
        };
        if size == 0 {
            return Ok(Self::Whole(storage.start..storage.start));
        }
        if tensor.is_contiguous() {
            let end = storage.start.saturating_add(end);
            let length = usize::try_from(size).unwrap_or(usize::MAX);
            return Ok(Self::Whole(end.saturating_sub(length)..end));
        }
        if size > storage.len() as u64 {
            return Err(shape_error("more elements than its storage has: it repeats itself"));
        }
        Ok(Self::Apart(storage))
    }

    /// How much of it must be copied, with what brings the next copy to a place for any type.
    fn copied_bytes(&self, tensor: &Tensor) -> u64 {
        match self {
            Self::Whole(_) => 0,
            Self::Apart(_) => {
                let size = tensor.dtype.size_bytes(&tensor.shape).ok();
                size.and_then(|size| size.checked_next_multiple_of(8)).unwrap_or(u64::MAX)
            }
        }
    }

    /// The part and the range where the tensor stands in the end.
    fn place(self, file: &FileBytes, tensor: &Tensor, copies: &mut Vec<u8>) -> (usize, Range<usize>) {
        match self {
            Self::Whole(range) => (0, range),
            Self::Apart(storage) => {
                let start = copies.len();
                gather(file.as_slice().get(storage).unwrap_or_default(), tensor, copies);
                let end = copies.len();
                copies.resize(end.next_multiple_of(8), 0);
                (1, start..end)
            }
        }
    }
}

fn outside(file: &FileBytes, name: &str, tensor: &Tensor, storage: Range<usize>, end: u64) -> Error {
    let found = format!("elements {}..{end} of a storage of {} bytes", tensor.first, storage.len());
    let at = place(file, &tensor_field(name), tensor);
    Error::Invalid { at, found, expected: "a tensor inside its storage" }
}

impl Tensor {
    /// One past the last element in the storage; `None` when that cannot be counted.
    fn end(&self) -> Option<u64> {
        if self.shape.contains(&0) {
            return Some(self.first);
        }
        let mut last = self.first;
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)?;
        }
        last.checked_add(1)
    }

    /// Whether its elements follow each other, outermost dimension first.
    fn is_contiguous(&self) -> bool {
        let mut expected = 1u64;
        for (size, stride) in self.shape.iter().zip(&self.strides).rev() {
            if *size != 1 && *stride != expected {
                return false;
            }
            expected = expected.saturating_mul(*size);
        }
        true
    }
}

/// Copies the elements of a tensor one behind the other. All lie inside `storage`, which was checked.
fn gather(storage: &[u8], tensor: &Tensor, copies: &mut Vec<u8>) {
    let width = tensor.dtype.block_bytes();
    let bytes = |elements: u64| usize::try_from(elements).unwrap_or(usize::MAX).saturating_mul(width);
    let mut index = vec![0u64; tensor.shape.len()];
    let mut position = bytes(tensor.first);
    loop {
        let element = storage.get(position..position.saturating_add(width)).unwrap_or_default();
        copies.extend_from_slice(element);
        // The innermost dimension that has not reached its end goes on; those inside it begin again.
        let mut carried = true;
        for ((at, size), stride) in index.iter_mut().zip(&tensor.shape).zip(&tensor.strides).rev() {
            if at.saturating_add(1) < *size {
                *at = at.saturating_add(1);
                position = position.saturating_add(bytes(*stride));
                carried = false;
                break;
            }
            position = position.saturating_sub(bytes(at.saturating_mul(*stride)));
            *at = 0;
        }
        if carried {
            return;
        }
    }
}
