//! The zip archive of a checkpoint: one directory, entries that stand apart, nothing compressed.
//!
//! Stricter than zip: the directory ends the file, every byte before it belongs to one entry, and both places
//! that describe an entry agree. So no two readers can see two things in one file. Does not unpack anything, so
//! names are names and no paths; checksums are not looked at, since PyTorch may leave them out.

use std::ops::Range;

use super::values::{Pickled, Storage};
use super::{MAX_PICKLE, machine, state};
use crate::cursor::Cursor;
use crate::error::{Error, Quoted};
use crate::tensors::TensorFile;
use crate::{FileBytes, FileKind};

mod directory;

pub(super) use directory::{Entry, entries};

const PICKLE: &str = "data.pkl";

/// Reads a checkpoint of the form since PyTorch 1.6.
pub(super) fn read(file: &FileBytes) -> Result<TensorFile, Error> {
    let entries = entries(file)?;
    let (folder, pickle) = find_pickle(file, &entries)?;
    check_order(file, &entries, folder)?;
    let range = pickle.data.clone();
    let cursor = Cursor::new(file.shared_label(), file.as_slice(), usize::MAX);
    if range.len() > MAX_PICKLE {
        let (claimed, limit) = (range.len() as u64, MAX_PICKLE as u64);
        return Err(Error::Limit { at: cursor.place(&PICKLE, pickle.offset), claimed, limit });
    }
    let bytes = file.as_slice().get(..range.end).unwrap_or_default();
    let cursor = Cursor::at(file.shared_label(), bytes, range.start, range.end);
    let pickled = machine::run(cursor, bytes, PICKLE)?;
    if pickled.end != range.end {
        let at = Cursor::new(file.shared_label(), bytes, 0).place(&PICKLE, pickled.end);
        return Err(Error::Hole { at, start: pickled.end as u64, end: range.end as u64 });
    }
    let locate = |pickled: &Pickled, storage: &Storage| locate(file, &entries, folder, pickled, storage);
    state::tensors(file, FileKind::Zip, pickled, &locate)
}

/// The one pickle of the archive and the folder that it stands in, with its slash.
fn find_pickle<'e, 'a>(
    file: &FileBytes,
    entries: &'e [Entry<'a>],
) -> Result<(&'a str, &'e Entry<'a>), Error> {
    let folder = |entry: &Entry<'a>| {
        let folder = entry.name.strip_suffix(PICKLE)?;
        let is_one = folder.is_empty() || folder.find('/') == folder.len().checked_sub(1);
        is_one.then_some(folder)
    };
    let mut found = entries.iter().filter_map(|entry| Some((folder(entry)?, entry)));
    let Some(first) = found.next() else {
        let wanted = "a PyTorch checkpoint";
        return Err(Error::WrongKind { file: file.shared_label(), wanted, found: FileKind::Zip });
    };
    if let Some((_, second)) = found.next() {
        return Err(Error::Duplicate { at: second.place(file) });
    }
    let program = format!("{}constants.pkl", first.0);
    if let Some(entry) = find(entries, &program) {
        let found = "a TorchScript program".to_owned();
        return Err(Error::Invalid { at: entry.place(file), found, expected: "a state dict" });
    }
    Ok(first)
}

fn find<'e, 'a>(entries: &'e [Entry<'a>], name: &str) -> Option<&'e Entry<'a>> {
    let found = entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
    entries.get(found)
}

fn check_order(file: &FileBytes, entries: &[Entry], folder: &str) -> Result<(), Error> {
    let Some(entry) = find(entries, &format!("{folder}byteorder")) else { return Ok(()) };
    match file.slice(&entry.data, "byteorder")? {
        b"little" => Ok(()),
        b"big" => Err(Error::BigEndian { at: entry.place(file) }),
        other => {
            let shown: String =
                other.iter().take(16).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
            Err(Error::Invalid { at: entry.place(file), found: shown, expected: "little or big" })
        }
    }
}

/// Where a storage stands: as long as the pickle says, to the byte.
fn locate(
    file: &FileBytes,
    entries: &[Entry],
    folder: &str,
    pickled: &Pickled,
    storage: &Storage,
) -> Result<Range<usize>, Error> {
    let key = pickled.text(storage.key);
    let place = Cursor::new(file.shared_label(), &[], 0)
        .place(&format_args!("{PICKLE}: storage {}", Quoted(key)), storage.offset);
    let Some(entry) = find(entries, &format!("{folder}data/{key}")) else {
        let found = "no entry of the archive".to_owned();
        return Err(Error::Invalid { at: place, found, expected: "one that holds its bytes" });
    };
    let claimed = storage.size_bytes();
    if claimed != Some(entry.data.len() as u64) {
        let found = format!("{} elements of it in {} bytes", storage.n_elements, entry.data.len());
        return Err(Error::Invalid { at: place, found, expected: "as many bytes as its elements take" });
    }
    Ok(entry.data.clone())
}
