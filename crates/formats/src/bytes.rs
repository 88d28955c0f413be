//! The bytes of a file, wherever they live: mapped from disk, part of the binary, or in memory.
//!
//! A [`ByteView`] is a piece of them that keeps its owner alive, so that a tensor can be handed on without
//! being copied (anything that takes an owner with `AsRef<[u8]> + Send + 'static` can hold one). Does not know
//! what the bytes mean.

use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Place};
use crate::mmap::Mapped;

/// A file's bytes and its label for errors; cheap to clone.
#[derive(Clone)]
pub struct FileBytes {
    label: Arc<str>,
    owner: Owner,
}

#[derive(Clone)]
enum Owner {
    Mapped(Arc<Mapped>),
    Static(&'static [u8]),
    Memory(Arc<Vec<u8>>),
}

impl FileBytes {
    /// Maps the file at `path`; its label is the file's name.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::NotAFile`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let label: Arc<str> = name.escape_debug().to_string().into();
        let owner = Owner::Mapped(Arc::new(Mapped::open(path, label.clone())?));
        Ok(Self { label, owner })
    }

    /// Bytes that are part of the binary.
    pub fn from_static(label: &str, bytes: &'static [u8]) -> Self {
        Self { label: label.into(), owner: Owner::Static(bytes) }
    }

    /// Bytes in memory.
    pub fn from_vec(label: &str, bytes: Vec<u8>) -> Self {
        Self { label: label.into(), owner: Owner::Memory(Arc::new(bytes)) }
    }

    /// The same bytes under another name, for example the model's instead of a blob's.
    pub fn with_label(self, label: &str) -> Self {
        Self { label: label.into(), ..self }
    }

    /// How errors name the file.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.owner {
            Owner::Mapped(mapped) => mapped.as_slice(),
            Owner::Static(bytes) => bytes,
            Owner::Memory(bytes) => bytes,
        }
    }

    /// Reads a mapped file once into memory of large pages, on so many threads, for what goes through it again and again. That
    /// memory takes the place of the file's: views stay good. Where that cannot be, the file stays mapped.
    pub fn hold(&self, n_threads: usize) {
        if let Owner::Mapped(mapped) = &self.owner {
            mapped.hold(n_threads, &|| true);
        }
    }

    /// The same on one thread, and only as long as somebody else has these bytes too.
    pub fn hold_for_others(&self) {
        if let Owner::Mapped(mapped) = &self.owner {
            mapped.hold(1, &|| Arc::strong_count(mapped) > 1);
        }
    }

    /// Lets go of the memory in which a mapped file shows these bytes, for what was read for the last time; touched again,
    /// they are read again.
    pub fn forget(&self, range: &Range<usize>) {
        if let Owner::Mapped(mapped) = &self.owner {
            mapped.forget(range);
        }
    }

    /// How many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        self.as_slice().len() as u64
    }

    /// Whether the file on disk is still as it was when it was opened; always, for bytes that are no file.
    ///
    /// # Errors
    /// [`Error::Changed`] and [`Error::Io`].
    pub fn check_unchanged(&self) -> Result<(), Error> {
        match &self.owner {
            Owner::Mapped(mapped) => mapped.check_unchanged(),
            Owner::Static(_) | Owner::Memory(_) => Ok(()),
        }
    }

    /// A piece of the bytes that keeps them alive. `field` names it in the error.
    ///
    /// # Errors
    /// [`Error::Range`] when it reaches outside.
    pub fn view(&self, range: Range<usize>, field: &str) -> Result<ByteView, Error> {
        self.slice(&range, field)?;
        Ok(ByteView { file: self.clone(), range })
    }

    /// The bytes of `range`, or [`Error::Range`].
    pub(crate) fn slice(&self, range: &Range<usize>, field: &str) -> Result<&[u8], Error> {
        self.as_slice().get(range.clone()).ok_or_else(|| Error::Range {
            at: Place { file: self.label.clone(), field: field.to_owned(), offset: range.start as u64 },
            start: range.start as u64,
            end: range.end as u64,
            file_bytes: self.size_bytes(),
        })
    }

    pub(crate) fn shared_label(&self) -> Arc<str> {
        self.label.clone()
    }
}

impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({}, {} bytes)", self.label, self.size_bytes())
    }
}

/// A piece of a file's bytes that keeps the file open; cheap to clone, never copied unless asked.
#[derive(Clone, Debug)]
pub struct ByteView {
    file: FileBytes,
    /// Inside the file: checked by [`FileBytes::view`], and the bytes of a [`FileBytes`] never get fewer.
    range: Range<usize>,
}

impl ByteView {
    /// Whether the first byte's address is a multiple of `alignment`.
    pub fn is_aligned(&self, alignment: usize) -> bool {
        is_aligned(self, alignment)
    }

    /// The same bytes at an aligned address: itself when it is aligned already, else a copy in memory.
    pub fn aligned(self, alignment: usize) -> Self {
        if self.is_aligned(alignment) { self } else { aligned_copy(self.file.label(), &self, alignment) }
    }
}

impl Deref for ByteView {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.file.as_slice().get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for ByteView {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

fn is_aligned(bytes: &[u8], alignment: usize) -> bool {
    bytes.as_ptr().addr().checked_rem(alignment).unwrap_or_default() == 0
}

/// Copies `bytes` behind as much padding as brings them to an address that is a multiple of `alignment`.
fn aligned_copy(label: &str, bytes: &[u8], alignment: usize) -> ByteView {
    let mut buffer: Vec<u8> = Vec::with_capacity(bytes.len().saturating_add(alignment));
    let beyond = buffer.as_ptr().addr().checked_rem(alignment).unwrap_or_default();
    let padding = if beyond == 0 { 0 } else { alignment.saturating_sub(beyond) };
    buffer.resize(padding, 0);
    buffer.extend_from_slice(bytes);
    let range = padding..buffer.len();
    ByteView { file: FileBytes::from_vec(label, buffer), range }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_outlives_its_file_value_and_stays_inside() {
        let file = FileBytes::from_vec("a.bin", (0..100).collect());
        let view = file.view(10..20, "tensor").unwrap();
        let error = file.view(90..101, "tensor \"w\"").unwrap_err().to_string();
        assert_eq!(error, "a.bin: tensor \"w\": range 90..101 ends outside the file of 100 bytes (byte 90)");
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = file.view(20..10, "tensor");
        assert!(backwards.is_err());
        drop(file);
        assert_eq!(view.first(), Some(&10));
        assert_eq!(view.len(), 10);
    }

    #[test]
    fn an_aligned_copy_is_aligned_and_equal() {
        let file = FileBytes::from_vec("a.bin", (0..=255).collect());
        for start in 0..9 {
            for alignment in [1, 2, 4, 8, 64, 4096] {
                let view = file.view(start..200, "tensor").unwrap();
                let aligned = view.clone().aligned(alignment);
                assert!(aligned.is_aligned(alignment));
                assert_eq!(&*aligned, &*view);
                if view.is_aligned(alignment) {
                    assert_eq!(aligned.as_ptr(), view.as_ptr(), "no copy where none is needed");
                }
            }
        }
    }

    #[test]
    fn views_can_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<ByteView>();
        check::<FileBytes>();
    }
}
