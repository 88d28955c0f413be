//! The compiled form of a vocabulary: the tables that encode, as bytes, for a cache that opens in milliseconds.
//!
//! Not a format to exchange: a reader accepts only what the same version wrote, for the same source, undamaged, and says
//! otherwise what is wrong, so that the caller compiles again. Layout, little-endian: the magic, the version (u32), the
//! digest of the source (32 bytes), the checksum of all that follows (u64), then arrays, each with its length before it.

use super::strings::hash;
use crate::Error;

const MAGIC: &[u8; 8] = b"HEARTHTV";
/// Grows with every change to what is written or to how it is read.
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 32 + 8;
const CHECKSUM_SEED: u64 = 0x4845_4152_5448_5456;

/// Collects what is written.
#[derive(Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    pub fn number(&mut self, number: u32) {
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    pub fn word(&mut self, word: u64) {
        self.out.extend_from_slice(&word.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    pub fn numbers(&mut self, numbers: &[u32]) {
        self.word(numbers.len() as u64);
        numbers.iter().for_each(|number| self.number(*number));
    }

    pub fn words(&mut self, words: &[u64]) {
        self.word(words.len() as u64);
        words.iter().for_each(|word| self.word(*word));
    }

    /// An id, or none.
    pub fn id(&mut self, id: Option<u32>) {
        self.word(id.map_or(u64::MAX, u64::from));
    }

    #[cfg(test)]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Starts with what was written before.
    pub fn of(out: Vec<u8>) -> Self {
        Self { out }
    }

    /// All that was written, behind its header.
    pub fn finish(self, source: &[u8; 32]) -> Vec<u8> {
        let mut file = Vec::with_capacity(HEADER + self.out.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(&VERSION.to_le_bytes());
        file.extend_from_slice(source);
        file.extend_from_slice(&hash(CHECKSUM_SEED, &self.out).to_le_bytes());
        file.extend_from_slice(&self.out);
        file
    }
}

/// Reads what a [`Writer`] wrote; never past the end, never more memory than there are bytes.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// A fact without which the file is damaged.
pub(crate) fn sound(holds: bool) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::CompiledDamaged) }
}

impl<'a> Reader<'a> {
    #[cfg(test)]
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Checks the header.
    pub fn open(file: &'a [u8], source: &[u8; 32]) -> Result<Self, Error> {
        let mut reader = Self { rest: file };
        let magic = reader.take(MAGIC.len())?;
        sound(magic == MAGIC)?;
        let found = reader.number()?;
        if found != VERSION {
            return Err(Error::CompiledVersion { found, expected: VERSION });
        }
        if reader.take(32)? != source {
            return Err(Error::CompiledFromAnother);
        }
        let checksum = reader.word()?;
        sound(hash(CHECKSUM_SEED, reader.rest) == checksum)?;
        Ok(reader)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Error::CompiledDamaged)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self.take(N)?.try_into().expect("so many bytes were taken"))
    }

    /// Bytes of an array whose length stands before it.
    fn list(&mut self, item: usize) -> Result<&'a [u8], Error> {
        let n = usize::try_from(self.word()?).map_err(|_| Error::CompiledDamaged)?;
        self.take(n.checked_mul(item).ok_or(Error::CompiledDamaged)?)
    }

    pub fn number(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn word(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        self.list(1)
    }

    pub fn numbers(&mut self) -> Result<Vec<u32>, Error> {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("a chunk has four bytes"));
        Ok(self.list(4)?.chunks_exact(4).map(number).collect())
    }

    pub fn words(&mut self) -> Result<Vec<u64>, Error> {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("a chunk has eight bytes"));
        Ok(self.list(8)?.chunks_exact(8).map(word).collect())
    }

    /// An id below `n_tokens`, or none.
    pub fn id(&mut self, n_tokens: usize) -> Result<Option<u32>, Error> {
        match self.word()? {
            u64::MAX => Ok(None),
            id if id < n_tokens as u64 => Ok(Some(id as u32)),
            _ => Err(Error::CompiledDamaged),
        }
    }

    /// Ids, each below `n_tokens` or none.
    pub fn ids<const N: usize>(&mut self, n_tokens: usize) -> Result<Box<[Option<u32>; N]>, Error> {
        let mut ids = Box::new([None; N]);
        for id in ids.iter_mut() {
            *id = self.id(n_tokens)?;
        }
        Ok(ids)
    }

    /// One of a few choices, by its number.
    pub fn choice<T: Copy>(&mut self, choices: &[T]) -> Result<T, Error> {
        let number = self.number()? as usize;
        choices.get(number).copied().ok_or(Error::CompiledDamaged)
    }

    /// Nothing may follow.
    pub fn finish(self) -> Result<(), Error> {
        sound(self.rest.is_empty())
    }
}
