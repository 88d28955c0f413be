//! The directory of a zip archive, with and without the 64-bit fields, checked against its entries.
//!
//! Source: APPNOTE 6.3.3 of the zip format (sections 4.3.7, 4.3.9, 4.3.12 to 4.3.16, 4.5.3), as facts.

use std::ops::Range;

use crate::FileBytes;
use crate::cursor::Cursor;
use crate::error::{Error, Place, Quoted};

const MAX_ENTRIES: usize = 1 << 16;
const MAX_DIRECTORY: usize = 32 << 20;
const MAX_NAME: u16 = 1024;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const END_BYTES: usize = 22;
const END_64_BYTES: usize = 56;
const LOCATOR_64_BYTES: usize = 20;
const CENTRAL_BYTES: usize = 46;
/// Where a field of 32 or 16 bits says that its value stands in 64 bits elsewhere.
const FULL: u64 = 0xffff_ffff;
const FULL_16: u64 = 0xffff;
/// Flags: encrypted, sizes follow the data, strongly encrypted, names hidden.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const SIZES_FOLLOW: u16 = 1 << 3;
/// What follows the data then: checksum and two sizes, with or without a signature, of 32 or 64 bits.
const DESCRIPTORS: &[u64] = &[0, 12, 16, 20, 24];

/// An entry of the archive.
#[derive(Clone, Debug)]
pub(in crate::pytorch) struct Entry<'a> {
    pub name: &'a str,
    /// Its bytes in the file.
    pub data: Range<usize>,
    /// Where the directory speaks of it.
    pub offset: usize,
    /// Where its own header stands.
    header: u64,
    size: u64,
    flags: u16,
}

impl Entry<'_> {
    pub fn place(&self, file: &FileBytes) -> Place {
        let field = format!("entry {}", Quoted(self.name));
        Place { file: file.shared_label(), field, offset: self.offset as u64 }
    }
}

/// Where the directory stands, and how many entries it has.
struct Directory {
    range: Range<usize>,
    count: usize,
}

/// All entries, by name.
pub(in crate::pytorch) fn entries(file: &FileBytes) -> Result<Vec<Entry<'_>>, Error> {
    let directory = find_directory(file)?;
    let bytes = file.as_slice().get(..directory.range.end).unwrap_or_default();
    let mut cursor = Cursor::at(file.shared_label(), bytes, directory.range.start, directory.range.end);
    let mut entries = Vec::with_capacity(directory.count);
    for _ in 0..directory.count {
        entries.push(central(&mut cursor)?);
    }
    if cursor.left() > 0 {
        let at = cursor.place(&"central directory", cursor.position());
        let (start, end) = (cursor.position() as u64, directory.range.end as u64);
        return Err(Error::Hole { at, start, end });
    }
    entries.sort_by_key(|entry| entry.header);
    place_entries(file, &mut entries, directory.range.start)?;
    entries.sort_by_key(|entry| entry.name);
    let twice = entries.windows(2).find_map(|pair| match pair {
        [first, second] if first.name == second.name => Some(second),
        _ => None,
    });
    match twice {
        Some(second) => Err(Error::Duplicate { at: second.place(file) }),
        None => Ok(entries),
    }
}

fn find_directory(file: &FileBytes) -> Result<Directory, Error> {
    const FIELD: &str = "end of central directory";
    let bytes = file.as_slice();
    let whole = Cursor::new(file.shared_label(), bytes, usize::MAX);
    let Some(end) = bytes.len().checked_sub(END_BYTES) else {
        let at = whole.place(&FIELD, 0);
        return Err(Error::Truncated { at, needed: END_BYTES as u64, left: bytes.len() as u64 });
    };
    let mut cursor = Cursor::at(file.shared_label(), bytes, end, usize::MAX);
    let invalid =
        |found: String, expected| Err(Error::Invalid { at: whole.place(&FIELD, end), found, expected });
    let signature = cursor.u32(&FIELD)?;
    if signature != END {
        return invalid(format!("0x{signature:08x}"), "0x06054b50 in the last 22 bytes of the file");
    }
    let disks = u64::from(cursor.u32(&FIELD)?);
    let here: u64 = cursor.u16(&FIELD)?.into();
    let count: u64 = cursor.u16(&FIELD)?.into();
    let size: u64 = cursor.u32(&FIELD)?.into();
    let offset: u64 = cursor.u32(&FIELD)?.into();
    let comment = cursor.u16(&FIELD)?;
    if disks != 0 && disks != FULL {
        return invalid(format!("disks 0x{disks:08x}"), "one disk");
    }
    if comment != 0 {
        return invalid(format!("a comment of {comment} bytes"), "none");
    }
    if here != count {
        return invalid(format!("{here} of {count} entries"), "all entries in one file");
    }
    let short = [count, size, offset];
    let Some((wide, end)) = end_64(file, end)? else {
        if count == FULL_16 || size == FULL || offset == FULL {
            return invalid("fields that point to 64 bits".into(), "a directory of 64 bits before it");
        }
        return directory(&whole, short, end);
    };
    let limits = [FULL_16, FULL, FULL];
    let agrees = |((short, wide), full): ((&u64, &u64), &u64)| short == full || short == wide;
    if !short.iter().zip(&wide).zip(&limits).all(agrees) {
        return invalid(format!("{short:?} and in 64 bits {wide:?}"), "the same count, size and place");
    }
    directory(&whole, wide, end)
}

/// Count, size and place in 64 bits where the file has them, and where that record begins.
fn end_64(file: &FileBytes, end: usize) -> Result<Option<([u64; 3], usize)>, Error> {
    const FIELD: &str = "end of central directory in 64 bits";
    let bytes = file.as_slice();
    let Some(locator) = end.checked_sub(LOCATOR_64_BYTES) else { return Ok(None) };
    let mut cursor = Cursor::at(file.shared_label(), bytes, locator, usize::MAX);
    if cursor.u32(&FIELD)? != LOCATOR_64 {
        return Ok(None);
    }
    let (disk, start, disks) = (cursor.u32(&FIELD)?, cursor.u64(&FIELD)?, cursor.u32(&FIELD)?);
    let expected = locator.checked_sub(END_64_BYTES);
    let invalid = |found: String, expected| {
        let at = Cursor::new(file.shared_label(), bytes, 0).place(&FIELD, locator);
        Err(Error::Invalid { at, found, expected })
    };
    let Some(record) = expected.filter(|record| *record as u64 == start && disk == 0 && disks == 1) else {
        return invalid(format!("byte {start} of disk {disk} of {disks}"), "the 56 bytes before it");
    };
    let mut cursor = Cursor::at(file.shared_label(), bytes, record, usize::MAX);
    let (signature, length) = (cursor.u32(&FIELD)?, cursor.u64(&FIELD)?);
    if signature != END_64 || length != (END_64_BYTES as u64).saturating_sub(12) {
        return invalid(format!("0x{signature:08x} of {length} bytes"), "0x06064b50 of 44 bytes");
    }
    cursor.take(4, &FIELD)?;
    let (disks, here) = (cursor.u64(&FIELD)?, cursor.u64(&FIELD)?);
    let wide = [cursor.u64(&FIELD)?, cursor.u64(&FIELD)?, cursor.u64(&FIELD)?];
    if disks != 0 || wide.first() != Some(&here) {
        return invalid(format!("disks 0x{disks:x} and {here} entries here"), "all entries in one file");
    }
    Ok(Some((wide, record)))
}

/// The directory ends where the records about it begin.
fn directory(whole: &Cursor, [count, size, offset]: [u64; 3], end: usize) -> Result<Directory, Error> {
    let field = "central directory";
    let at = || whole.place(&field, end);
    if offset.checked_add(size) != Some(end as u64) {
        let found = format!("{size} bytes from byte {offset}");
        return Err(Error::Invalid {
            at: at(),
            found,
            expected: "a directory that ends where its end begins",
        });
    }
    let limit = |claimed, limit: usize| Error::Limit { at: at(), claimed, limit: limit as u64 };
    if count > MAX_ENTRIES as u64 {
        return Err(limit(count, MAX_ENTRIES));
    }
    if size > MAX_DIRECTORY as u64 {
        return Err(limit(size, MAX_DIRECTORY));
    }
    let needed = count.saturating_mul(CENTRAL_BYTES as u64);
    if needed > size {
        return Err(Error::Truncated { at: at(), needed, left: size });
    }
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(Directory { range: index(offset)..end, count: index(count) })
}

/// One entry as the directory describes it; where its bytes are is not known yet.
fn central<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Error> {
    const FIELD: &str = "central directory";
    let offset = cursor.position();
    let signature = cursor.u32(&FIELD)?;
    if signature != CENTRAL {
        let at = cursor.place(&FIELD, offset);
        let found = format!("0x{signature:08x}");
        return Err(Error::Invalid { at, found, expected: "0x02014b50, an entry" });
    }
    cursor.take(4, &FIELD)?;
    let (flags, method) = (cursor.u16(&FIELD)?, cursor.u16(&FIELD)?);
    cursor.take(8, &FIELD)?;
    let (packed, size): (u64, u64) = (cursor.u32(&FIELD)?.into(), cursor.u32(&FIELD)?.into());
    let (name_bytes, extra_bytes) = (cursor.u16(&FIELD)?, cursor.u16(&FIELD)?);
    let (comment_bytes, disk) = (cursor.u16(&FIELD)?, cursor.u16(&FIELD)?);
    cursor.take(6, &FIELD)?;
    let header: u64 = cursor.u32(&FIELD)?.into();
    if name_bytes > MAX_NAME {
        let at = cursor.place(&FIELD, offset);
        return Err(Error::Limit { at, claimed: name_bytes.into(), limit: MAX_NAME.into() });
    }
    let name = cursor.utf8(name_bytes.into(), &"central directory: a name")?;
    let extra = cursor.take(extra_bytes.into(), &FIELD)?;
    cursor.take(comment_bytes.into(), &FIELD)?;
    let at = || cursor.place(&format_args!("entry {}", Quoted(name)), offset);
    let invalid = |found: String, expected| Err(Error::Invalid { at: at(), found, expected });
    if flags & ENCRYPTED != 0 {
        return invalid("an encrypted entry".into(), "one in clear");
    }
    if method != 0 {
        return invalid(format!("compression {method}"), "none (0), as PyTorch writes");
    }
    let [size, packed, header] = widen([size, packed, header], extra).ok_or_else(|| Error::Invalid {
        at: at(),
        found: "an extra field without the sizes it should hold".into(),
        expected: "sizes of 64 bits",
    })?;
    if packed != size || disk != 0 {
        return invalid(format!("{packed} bytes for {size} on disk {disk}"), "as many, in this file");
    }
    if name.is_empty() {
        return invalid("an empty name".into(), "a name");
    }
    Ok(Entry { name, data: 0..0, offset, header, size, flags })
}

/// Size, packed size and place, in 64 bits where the extra field with number 1 holds them.
fn widen(short: [u64; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    if !short.contains(&FULL) {
        return Some(short);
    }
    while let Some((head, rest)) = extra.split_first_chunk::<4>() {
        let [id_low, id_high, low, high] = *head;
        let (field, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        if [id_low, id_high] != [1, 0] {
            extra = rest;
            continue;
        }
        let mut numbers = field.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut wide = short;
        for number in wide.iter_mut().filter(|number| **number == FULL) {
            *number = numbers.next()?;
        }
        return Some(wide);
    }
    None
}

/// Finds the bytes of entries that stand in the order of the file: one behind the other, nothing between them.
fn place_entries(file: &FileBytes, entries: &mut [Entry], directory: usize) -> Result<(), Error> {
    let bytes = file.as_slice().get(..directory).unwrap_or_default();
    let (mut reached, mut gaps) = (0u64, DESCRIPTORS.get(..1).unwrap_or_default());
    let mut before = "the beginning".to_owned();
    for entry in entries.iter_mut() {
        let gap = entry.header.checked_sub(reached);
        let Some(gap) = gap else {
            let (start, end) = (entry.header, entry.header.saturating_add(entry.size));
            return Err(Error::Overlap { at: entry.place(file), start, end, other: before });
        };
        if !gaps.contains(&gap) {
            return Err(Error::Hole { at: entry.place(file), start: reached, end: entry.header });
        }
        entry.data = local(file, bytes, entry)?;
        reached = entry.data.end as u64;
        gaps = DESCRIPTORS.get(..if entry.flags & SIZES_FOLLOW == 0 { 1 } else { 5 }).unwrap_or_default();
        before = format!("entry {}", Quoted(entry.name));
    }
    let end = directory as u64;
    if end.checked_sub(reached).is_none_or(|gap| !gaps.contains(&gap)) {
        let at = Place { file: file.shared_label(), field: "central directory".into(), offset: end };
        return Err(Error::Hole { at, start: reached, end });
    }
    Ok(())
}

/// The bytes of an entry, behind its own header, which must say what the directory says.
fn local(file: &FileBytes, bytes: &[u8], entry: &Entry) -> Result<Range<usize>, Error> {
    let field = format_args!("entry {}: header", Quoted(entry.name)).to_string();
    let position = usize::try_from(entry.header).unwrap_or(usize::MAX);
    let mut cursor = Cursor::at(file.shared_label(), bytes, position, usize::MAX);
    let signature = cursor.u32(&field)?;
    cursor.take(2, &field)?;
    let (flags, method) = (cursor.u16(&field)?, cursor.u16(&field)?);
    cursor.take(8, &field)?;
    let (packed, size): (u64, u64) = (cursor.u32(&field)?.into(), cursor.u32(&field)?.into());
    let (name_bytes, extra_bytes) = (cursor.u16(&field)?, cursor.u16(&field)?);
    let name = cursor.take(name_bytes.into(), &field)?;
    let extra = cursor.take(extra_bytes.into(), &field)?;
    let follows = flags & SIZES_FOLLOW != 0;
    let wide = widen([size, packed, 0], extra).unwrap_or([size, packed, 0]);
    let agrees = |said: u64| said == entry.size || follows && said == 0;
    let [size, packed, _] = wide;
    let same = signature == LOCAL && method == 0 && flags == entry.flags && name == entry.name.as_bytes();
    if !same || !agrees(size) || !agrees(packed) {
        let found = "another signature, name, size or method than in the directory".to_owned();
        return Err(Error::Invalid { at: cursor.place(&field, position), found, expected: "the same" });
    }
    let start = cursor.position();
    let length = usize::try_from(entry.size).unwrap_or(usize::MAX);
    cursor.take(length, &format_args!("entry {}", Quoted(entry.name)))?;
    Ok(start..cursor.position())
}
