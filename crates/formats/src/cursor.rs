//! A bounds-checked walk through the bytes of a file, little endian.
//!
//! Knows file, field and offset, so that every error can name them. Does not know any format, and never
//! allocates before it has seen that the bytes are there.

use std::fmt::Display;
use std::sync::Arc;

use crate::error::{Error, Place};

/// Reads forward through `bytes`, at most up to a limit of header bytes.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The most header bytes that a format accepts.
    limit: usize,
    file: Arc<str>,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first byte; more than `limit` bytes are never walked through.
    pub fn new(file: Arc<str>, bytes: &'a [u8], limit: usize) -> Self {
        Self { bytes, position: 0, limit, file }
    }

    /// A cursor at `position`, which walks to the end of `bytes` and never behind `limit`.
    pub fn at(file: Arc<str>, bytes: &'a [u8], position: usize, limit: usize) -> Self {
        Self { bytes, position, limit, file }
    }

    /// The label of the file.
    pub fn label(&self) -> Arc<str> {
        self.file.clone()
    }

    /// The offset of the next byte.
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes follow.
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// A place at `offset`.
    pub fn place(&self, field: &dyn Display, offset: usize) -> Place {
        Place { file: self.file.clone(), field: field.to_string(), offset: offset as u64 }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize, field: &dyn Display) -> Result<&'a [u8], Error> {
        let end = self.position.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let (Some(end), Some(taken)) = (end, taken) else {
            let at = self.place(field, self.position);
            return Err(Error::Truncated { at, needed: count as u64, left: self.left() as u64 });
        };
        if end > self.limit {
            let at = self.place(field, self.position);
            return Err(Error::Limit { at, claimed: end as u64, limit: self.limit as u64 });
        }
        self.position = end;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, field: &dyn Display) -> Result<[u8; N], Error> {
        let taken = self.take(N, field)?;
        let at = || self.place(field, self.position);
        taken.first_chunk::<N>().copied().ok_or_else(|| Error::Truncated {
            at: at(),
            needed: N as u64,
            left: 0,
        })
    }

    /// The next byte.
    pub fn u8(&mut self, field: &dyn Display) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    /// The next two bytes as an unsigned number.
    pub fn u16(&mut self, field: &dyn Display) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    /// The next four bytes as an unsigned number.
    pub fn u32(&mut self, field: &dyn Display) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// The next four bytes as a signed number.
    pub fn i32(&mut self, field: &dyn Display) -> Result<i32, Error> {
        Ok(i32::from_le_bytes(self.array(field)?))
    }

    /// The next four bytes as a floating-point number.
    pub fn f32(&mut self, field: &dyn Display) -> Result<f32, Error> {
        Ok(f32::from_le_bytes(self.array(field)?))
    }

    /// The next eight bytes as an unsigned number.
    pub fn u64(&mut self, field: &dyn Display) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// An eight-byte count of things of at least `least_bytes` each, refused when it is over `limit` or when
    /// that many things cannot be in the bytes that are left.
    pub fn count(&mut self, field: &dyn Display, limit: usize, least_bytes: usize) -> Result<usize, Error> {
        let offset = self.position;
        let claimed = self.u64(field)?;
        if claimed > limit as u64 {
            return Err(Error::Limit { at: self.place(field, offset), claimed, limit: limit as u64 });
        }
        let needed = claimed.saturating_mul(least_bytes as u64);
        let left = self.left() as u64;
        if needed > left {
            return Err(Error::Truncated { at: self.place(field, offset), needed, left });
        }
        Ok(usize::try_from(claimed).unwrap_or(usize::MAX))
    }

    /// UTF-8 text that a line feed ends, of at most `limit` bytes; the line feed is taken and not given.
    pub fn line(&mut self, field: &dyn Display, limit: usize) -> Result<&'a str, Error> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let Some(length) = rest.iter().take(limit.saturating_add(1)).position(|byte| *byte == b'\n') else {
            let at = self.place(field, self.position);
            return Err(if rest.len() > limit {
                Error::Limit { at, claimed: rest.len() as u64, limit: limit as u64 }
            } else {
                Error::Truncated { at, needed: rest.len().saturating_add(1) as u64, left: rest.len() as u64 }
            });
        };
        let text = self.utf8(length, field)?;
        self.take(1, field)?;
        Ok(text)
    }

    /// UTF-8 text behind an eight-byte length.
    pub fn text(&mut self, field: &dyn Display, limit: usize) -> Result<&'a str, Error> {
        let length = self.count(field, limit, 1)?;
        self.utf8(length, field)
    }

    /// The next `length` bytes as UTF-8 text.
    pub fn utf8(&mut self, length: usize, field: &dyn Display) -> Result<&'a str, Error> {
        let offset = self.position;
        let taken = self.take(length, field)?;
        std::str::from_utf8(taken).map_err(|problem| Error::Text {
            at: self.place(field, offset.saturating_add(problem.valid_up_to())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(bytes: &[u8]) -> Cursor<'_> {
        Cursor::new("x.bin".into(), bytes, 64)
    }

    #[test]
    fn a_count_is_checked_against_what_is_left() {
        let mut bytes = 3u64.to_le_bytes().to_vec();
        bytes.extend([0; 12]);
        assert_eq!(cursor(&bytes).count(&"n", 10, 4).unwrap(), 3);
        let text = cursor(&bytes).count(&"n", 10, 5).unwrap_err().to_string();
        assert_eq!(text, "x.bin: n: needs 15 bytes where 12 are left (byte 0)");
        let text = cursor(&bytes).count(&"n", 2, 1).unwrap_err().to_string();
        assert_eq!(text, "x.bin: n: 3 is over the limit of 2 (byte 0)");
    }

    #[test]
    fn nothing_is_taken_behind_the_end_or_the_limit() {
        let bytes = [0; 80];
        let mut cursor = cursor(&bytes);
        assert!(matches!(cursor.take(usize::MAX, &"all"), Err(Error::Truncated { left: 80, .. })));
        assert!(matches!(cursor.take(65, &"most"), Err(Error::Limit { limit: 64, .. })));
        assert_eq!(cursor.take(64, &"some").unwrap().len(), 64);
        assert_eq!(cursor.position(), 64);
    }

    #[test]
    fn text_names_the_first_bad_byte() {
        let mut bytes = 3u64.to_le_bytes().to_vec();
        bytes.extend(b"ab\xff");
        let error = cursor(&bytes).text(&"name", 10).unwrap_err();
        assert!(matches!(error, Error::Text { at } if at.offset == 10));
    }
}
