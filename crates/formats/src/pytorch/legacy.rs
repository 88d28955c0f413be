//! The form before PyTorch 1.6: five pickles, then the storages in the order that the last of them gives.
//!
//! A magic number, a version, facts of the machine, the state dict, the keys of its storages; then for each its
//! number of elements in 64 bits and its bytes, to the end of the file.

use std::collections::BTreeMap;
use std::ops::Range;

use super::values::{Item, Pickled, Storage};
use super::{MAX_PICKLE, MAX_TENSORS, machine, state};
use crate::cursor::Cursor;
use crate::error::{Error, Place, Quoted};
use crate::tensors::TensorFile;
use crate::{FileBytes, FileKind};

/// 0x1950a86a20f9469cfc6c, the number that begins such a file.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

/// Reads a checkpoint of the form before PyTorch 1.6.
pub(super) fn read(file: &FileBytes) -> Result<TensorFile, Error> {
    let magic = pickle(file, 0, "magic")?;
    if !matches!(magic.root, Item::Long(span) if magic.bytes(span) == MAGIC) {
        let wanted = "a PyTorch checkpoint";
        return Err(Error::WrongKind { file: file.shared_label(), wanted, found: FileKind::Pickle });
    }
    let version = pickle(file, magic.end, "version")?;
    if version.root != Item::Int(VERSION) {
        let at = place(file, "version", version.start);
        let found = version.describe(version.root);
        return Err(Error::Invalid { at, found, expected: "1001" });
    }
    let machine = pickle(file, version.end, "machine")?;
    check_order(file, &machine)?;
    let state = pickle(file, machine.end, "state dict")?;
    let keys = pickle(file, state.end, "storage keys")?;
    let ranges = storages(file, &state, &keys)?;
    let locate = |pickled: &Pickled, storage: &Storage| locate(file, &ranges, pickled, storage);
    state::tensors(file, FileKind::Pickle, state, &locate)
}

fn pickle<'a>(file: &'a FileBytes, start: usize, name: &'static str) -> Result<Pickled<'a>, Error> {
    let limit = start.saturating_add(MAX_PICKLE);
    machine::run(Cursor::at(file.shared_label(), file.as_slice(), start, limit), file.as_slice(), name)
}

fn place(file: &FileBytes, field: &str, offset: usize) -> Place {
    Place { file: file.shared_label(), field: field.to_owned(), offset: offset as u64 }
}

fn check_order(file: &FileBytes, machine: &Pickled) -> Result<(), Error> {
    let pairs = machine.dict(machine.root).unwrap_or_default();
    let is_order = |key: Item| matches!(key, Item::Text(span) if machine.text(span) == "little_endian");
    match pairs.iter().find(|(key, _)| is_order(*key)) {
        Some((_, Item::Bool(true))) => Ok(()),
        Some((_, Item::Bool(false))) => Err(Error::BigEndian { at: place(file, "machine", machine.start) }),
        _ => {
            let at = place(file, "machine", machine.start);
            let found = machine.describe(machine.root);
            Err(Error::Invalid { at, found, expected: "a dict that says `little_endian`" })
        }
    }
}

/// The bytes of every storage by its key. The list must name each storage of the state dict once and no other.
fn storages<'a>(
    file: &'a FileBytes,
    state: &Pickled<'a>,
    keys: &Pickled<'a>,
) -> Result<BTreeMap<&'a str, Range<usize>>, Error> {
    let claims: BTreeMap<&str, &Storage> =
        state.storages.iter().map(|storage| (state.text(storage.key), storage)).collect();
    let list = keys.sequence(keys.root).filter(|list| list.len() <= MAX_TENSORS);
    let invalid = |field: &str, offset, found, expected| Error::Invalid {
        at: place(file, field, offset),
        found,
        expected,
    };
    let list =
        list.ok_or_else(|| invalid("storage keys", keys.start, keys.describe(keys.root), "a list of keys"))?;
    let mut ranges = BTreeMap::new();
    let mut cursor = Cursor::at(file.shared_label(), file.as_slice(), keys.end, usize::MAX);
    for item in list {
        let Item::Text(span) = *item else {
            return Err(invalid("storage keys", keys.start, keys.describe(*item), "a key"));
        };
        let key = keys.text(span);
        let field = format!("storage {}", Quoted(key));
        let offset = cursor.position();
        let Some(claim) = claims.get(key) else {
            return Err(invalid(
                &field,
                keys.start,
                "a key of no tensor".into(),
                "a storage of the state dict",
            ));
        };
        let count = cursor.u64(&field)?;
        let size = claim.size_bytes().filter(|_| count == claim.n_elements);
        let size = size.and_then(|size| usize::try_from(size).ok()).ok_or_else(|| {
            let found = format!("{count} elements");
            let expected = "as many as the state dict says";
            Error::Invalid { at: place(file, &field, offset), found, expected }
        })?;
        cursor.take(size, &field)?;
        if ranges.insert(key, cursor.position().saturating_sub(size)..cursor.position()).is_some() {
            return Err(Error::Duplicate { at: place(file, &field, offset) });
        }
    }
    if cursor.left() > 0 {
        let (start, end) = (cursor.position(), file.size_bytes());
        return Err(Error::Hole { at: place(file, "the end of the data", start), start: start as u64, end });
    }
    Ok(ranges)
}

fn locate(
    file: &FileBytes,
    ranges: &BTreeMap<&str, Range<usize>>,
    pickled: &Pickled,
    storage: &Storage,
) -> Result<Range<usize>, Error> {
    let key = pickled.text(storage.key);
    let range = ranges.get(key).filter(|range| storage.size_bytes() == Some(range.len() as u64));
    range.cloned().ok_or_else(|| Error::Invalid {
        at: place(file, &format!("storage {}", Quoted(key)), storage.offset),
        found: format!("{} elements", storage.n_elements),
        expected: "a storage of the file, with as many",
    })
}
