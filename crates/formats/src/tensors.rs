//! What every readable format comes to: metadata, and tensors as checked ranges of the file.
//!
//! Shapes are row-major, outermost first: a matrix [rows, columns] stores row after row. GGUF writes its
//! dimensions innermost first; its reader turns them round. A model in several files comes to the same: one set
//! of tensors, each with the number of the part that it stands in. Does not know what a tensor is for.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Place, Quoted};
use crate::{ByteView, Dtype, FileBytes, FileKind, Metadata};

/// A tensor's name, type and shape, before it has a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name, unique in its file.
    pub name: String,
    /// The type of its elements or blocks.
    pub dtype: Dtype,
    /// Row-major, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// How many bytes its data takes.
    ///
    /// # Errors
    /// What is wrong with the shape for this type.
    pub fn size_bytes(&self) -> Result<u64, &'static str> {
        let shape: Vec<u64> = self.shape.iter().map(|&size| size as u64).collect();
        self.dtype.size_bytes(&shape)
    }
}

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Its name, unique in its file.
    pub name: String,
    /// The type of its elements or blocks.
    pub dtype: Dtype,
    /// Row-major, outermost first.
    pub shape: Vec<usize>,
    /// The part of the [`TensorFile`] that holds it; 0 where there is one file.
    pub part: usize,
    /// Where its data stands in that part.
    pub range: Range<usize>,
}

impl TensorEntry {
    /// How many elements it has. The readers have seen that the product can be counted.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }

    /// The same tensor without its place, for writing it elsewhere.
    pub fn spec(&self) -> TensorSpec {
        TensorSpec { name: self.name.clone(), dtype: self.dtype, shape: self.shape.clone() }
    }

    pub(crate) fn field(&self) -> String {
        format!("tensor {}", Quoted(&self.name))
    }
}

/// A file, or a set of files that belong together, read and checked: its metadata and its tensors.
#[derive(Clone, Debug)]
pub struct TensorFile {
    file: FileBytes,
    /// What holds the tensors' bytes; one file is its own only part.
    parts: Vec<FileBytes>,
    kind: FileKind,
    metadata: Metadata,
    tensors: Vec<TensorEntry>,
    /// Positions in `tensors`, sorted by name.
    by_name: Vec<u32>,
}

impl TensorFile {
    pub(crate) fn new(
        file: FileBytes,
        kind: FileKind,
        metadata: Metadata,
        tensors: Vec<TensorEntry>,
    ) -> Self {
        let parts = vec![file.clone()];
        Self { file, parts, kind, metadata, tensors, by_name: Vec::new() }.sorted()
    }

    /// The same set of tensors, whose entries stand in these parts.
    pub(crate) fn with_parts(self, parts: Vec<FileBytes>, tensors: Vec<TensorEntry>) -> Self {
        Self { parts, tensors, ..self }.sorted()
    }

    /// The same set under what another file says of it.
    pub(crate) fn described_by(self, file: FileBytes, metadata: Metadata) -> Self {
        Self { file, metadata, ..self }
    }

    /// The same set with the names that `rename` gives its tensors, less those that it gives none.
    ///
    /// # Errors
    /// [`Error::Duplicate`] when two tensors come to the same name.
    pub fn renamed(self, rename: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let entry = |entry: &TensorEntry| Some(TensorEntry { name: rename(&entry.name)?, ..entry.clone() });
        let tensors = self.tensors.iter().filter_map(entry).collect();
        let renamed = Self { tensors, ..self }.sorted();
        let name = |position: &u32| renamed.tensors.get(*position as usize);
        let pairs = renamed.by_name.iter().zip(renamed.by_name.iter().skip(1));
        let mut entries = pairs.filter_map(|(a, b)| Some((name(a)?, name(b)?)));
        let twice = entries.find(|(a, b)| a.name == b.name).map(|(entry, _)| entry.clone());
        match twice {
            None => Ok(renamed),
            Some(entry) => {
                let file = renamed.file.shared_label();
                let at = Place { file, field: entry.field(), offset: entry.range.start as u64 };
                Err(Error::Duplicate { at })
            }
        }
    }

    /// The same set with other numbers for one tensor of the same shape, which are held in memory.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], and [`Error::Unbalanced`] for more or fewer bytes than its shape takes.
    pub fn replaced(mut self, name: &str, dtype: Dtype, bytes: Vec<u8>) -> Result<Self, Error> {
        let spec = TensorSpec { dtype, ..self.tensor(name)?.spec() };
        let (field, given) = (format!("tensor {}", Quoted(name)), bytes.len() as u64);
        let expected = spec.size_bytes().unwrap_or(u64::MAX);
        if given != expected {
            return Err(Error::Unbalanced { field, expected, given });
        }
        let (part, range) = (self.parts.len(), 0..bytes.len());
        if let Some(entry) = self.tensors.iter_mut().find(|entry| entry.name == name) {
            *entry = TensorEntry { name: spec.name, dtype, shape: spec.shape, part, range };
        }
        self.parts.push(FileBytes::from_vec(self.file.label(), bytes));
        Ok(self)
    }

    fn sorted(self) -> Self {
        let tensors = &self.tensors;
        let mut by_name: Vec<u32> = (0..u32::try_from(tensors.len()).unwrap_or(u32::MAX)).collect();
        let name = |position: &u32| tensors.get(*position as usize).map(|tensor| tensor.name.as_str());
        by_name.sort_by(|a, b| name(a).cmp(&name(b)));
        Self { by_name, ..self }
    }

    /// The bytes that it was read from: the file, or what lists the parts of a set.
    pub fn file(&self) -> &FileBytes {
        &self.file
    }

    /// What holds the tensors' bytes: the file itself, or the parts of a set in their order.
    pub fn parts(&self) -> &[FileBytes] {
        &self.parts
    }

    /// Lets go of the memory in which a mapped file shows this tensor; see [`FileBytes::forget`].
    pub fn forget(&self, entry: &TensorEntry) {
        if let Some(part) = self.parts.get(entry.part) {
            part.forget(&entry.range);
        }
    }

    /// Whether every file on disk is still as it was when it was opened.
    ///
    /// # Errors
    /// [`Error::Changed`] and [`Error::Io`].
    pub fn check_unchanged(&self) -> Result<(), Error> {
        self.file.check_unchanged()?;
        self.parts.iter().try_for_each(FileBytes::check_unchanged)
    }

    /// The format that it was read as.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// What the file says about itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// All tensors, in the order of the file's header.
    pub fn tensors(&self) -> &[TensorEntry] {
        &self.tensors
    }

    /// The tensor called `name`, where there is one.
    pub fn find(&self, name: &str) -> Option<&TensorEntry> {
        let entry = |position: &u32| self.tensors.get(*position as usize);
        let found = self.by_name.binary_search_by(|position| {
            entry(position).map(|t| t.name.as_str()).unwrap_or_default().cmp(name)
        });
        self.by_name.get(found.ok()?).and_then(entry)
    }

    /// The tensor called `name`, which must be there.
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<&TensorEntry, Error> {
        self.find(name).ok_or_else(|| Error::MissingTensor {
            file: self.file.shared_label(),
            name: name.to_owned(),
            n_tensors: self.tensors.len(),
        })
    }

    /// The bytes of a tensor, in place. Not aligned for every file: see [`ByteView::aligned`].
    ///
    /// # Errors
    /// [`Error::Range`] when `entry` is of another file.
    pub fn tensor_bytes(&self, entry: &TensorEntry) -> Result<&[u8], Error> {
        self.part(entry)?.slice(&entry.range, &entry.field())
    }

    /// The bytes of a tensor with their owner, to be kept or handed on without a copy.
    ///
    /// # Errors
    /// [`Error::Range`] when `entry` is of another file.
    pub fn tensor_view(&self, entry: &TensorEntry) -> Result<ByteView, Error> {
        self.part(entry)?.view(entry.range.clone(), &entry.field())
    }

    fn part(&self, entry: &TensorEntry) -> Result<&FileBytes, Error> {
        self.parts.get(entry.part).ok_or_else(|| Error::Range {
            at: Place { file: self.file.shared_label(), field: entry.field(), offset: 0 },
            start: entry.range.start as u64,
            end: entry.range.end as u64,
            file_bytes: 0,
        })
    }

    /// Whether a tensor's data can be read in place as its type.
    ///
    /// # Errors
    /// [`Error::Range`] when `entry` is of another file.
    pub fn is_aligned(&self, entry: &TensorEntry) -> Result<bool, Error> {
        Ok(self.tensor_view(entry)?.is_aligned(entry.dtype.alignment()))
    }

    /// Refuses tensors of types that Hearth cannot compute with today.
    ///
    /// # Errors
    /// [`Error::UnsupportedDtype`].
    pub fn require_usable(&self, entry: &TensorEntry) -> Result<(), Error> {
        if entry.dtype.is_usable() {
            return Ok(());
        }
        let file = self.part(entry)?.shared_label();
        let at = Place { file, field: entry.field(), offset: entry.range.start as u64 };
        Err(Error::UnsupportedDtype { at, dtype: entry.dtype })
    }
}

/// One tensor as a header gives it, before its range is known to be sound.
pub(crate) struct Claim {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// In the file; may reach outside.
    pub start: u64,
    pub end: u64,
    /// Where in the header the range is written.
    pub offset: usize,
}

impl Claim {
    pub fn place(&self, file: &Arc<str>) -> Place {
        let field = format!("tensor {}", Quoted(&self.name));
        Place { file: file.clone(), field, offset: self.offset as u64 }
    }
}

/// Turns claims into entries: every range inside a file of so many bytes, none shares a byte with another.
pub(crate) fn check_ranges(
    file: &FileBytes,
    file_bytes: u64,
    claims: Vec<Claim>,
) -> Result<Vec<TensorEntry>, Error> {
    let label = file.shared_label();
    for claim in &claims {
        let Claim { start, end, .. } = *claim;
        if start > end || end > file_bytes {
            return Err(Error::Range { at: claim.place(&label), start, end, file_bytes });
        }
    }
    check_overlaps(&label, &claims)?;
    let index = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    Ok(claims
        .into_iter()
        .map(|claim| TensorEntry {
            range: index(claim.start)..index(claim.end),
            part: 0,
            name: claim.name,
            dtype: claim.dtype,
            shape: claim.shape,
        })
        .collect())
}

fn check_overlaps(label: &Arc<str>, claims: &[Claim]) -> Result<(), Error> {
    let mut by_start: Vec<&Claim> = claims.iter().filter(|claim| claim.start < claim.end).collect();
    by_start.sort_by_key(|claim| (claim.start, claim.end));
    for (before, after) in by_start.iter().zip(by_start.iter().skip(1)) {
        if after.start < before.end {
            let other = format!("tensor {}", Quoted(&before.name));
            return Err(Error::Overlap { at: after.place(label), start: after.start, end: after.end, other });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, start: u64, end: u64) -> Claim {
        Claim { name: name.into(), dtype: Dtype::I8, shape: vec![1], start, end, offset: 0 }
    }

    #[test]
    fn ranges_are_inside_and_apart() {
        let file = FileBytes::from_vec("f", vec![0; 100]);
        let check =
            |claims: Vec<Claim>| check_ranges(&file, file.size_bytes(), claims).map(|entries| entries.len());
        assert_eq!(check(vec![claim("b", 50, 100), claim("a", 0, 50)]).unwrap(), 2);
        assert!(matches!(check(vec![claim("a", 50, 101)]), Err(Error::Range { .. })));
        assert!(matches!(check(vec![claim("a", 60, 50)]), Err(Error::Range { .. })));
        assert!(matches!(check(vec![claim("a", u64::MAX, u64::MAX)]), Err(Error::Range { .. })));
        let error = check(vec![claim("b", 49, 100), claim("a", 0, 50)]).unwrap_err().to_string();
        assert_eq!(error, "f: tensor \"b\": range 49..100 overlaps tensor \"a\" (byte 0)");
        assert!(matches!(
            check(vec![claim("a", 0, 90), claim("b", 10, 20), claim("c", 30, 40)]),
            Err(Error::Overlap { .. })
        ));
    }

    #[test]
    fn a_tensor_gets_other_numbers_of_the_same_shape() {
        let bytes = FileBytes::from_vec("f", vec![7; 8]);
        let entries = check_ranges(&bytes, 8, vec![claim("z", 0, 1), claim("a", 1, 2)]).unwrap();
        let file = TensorFile::new(bytes, FileKind::Gguf, Metadata::new("f"), entries);
        let file = file.replaced("a", Dtype::F16, vec![1, 2]).unwrap();
        let found = |name: &str| file.tensor_bytes(file.tensor(name).unwrap()).unwrap().to_vec();
        assert_eq!((found("a"), found("z")), (vec![1, 2], vec![7]));
        assert_eq!(file.tensor("a").unwrap().dtype, Dtype::F16);
        let refused =
            |name: &str, bytes: Vec<u8>| file.clone().replaced(name, Dtype::F16, bytes).unwrap_err();
        assert!(matches!(refused("b", vec![1, 2]), Error::MissingTensor { .. }));
        assert!(matches!(refused("a", vec![1]), Error::Unbalanced { given: 1, expected: 2, .. }));
    }

    #[test]
    fn tensors_are_found_by_name_and_a_foreign_entry_is_refused() {
        let bytes = FileBytes::from_vec("f", vec![7; 8]);
        let entries = check_ranges(&bytes, 8, vec![claim("z", 0, 1), claim("a", 1, 2)]).unwrap();
        let file = TensorFile::new(bytes, FileKind::Gguf, Metadata::new("f"), entries);
        assert_eq!(file.tensor("a").unwrap().range, 1..2);
        assert_eq!(file.tensor_bytes(file.tensor("z").unwrap()).unwrap(), [7]);
        assert!(matches!(file.tensor("b"), Err(Error::MissingTensor { .. })));
        let foreign =
            TensorEntry { name: "x".into(), dtype: Dtype::I8, shape: vec![9], part: 0, range: 0..9 };
        let elsewhere = TensorEntry { part: 1, range: 0..1, ..foreign.clone() };
        assert!(matches!(file.tensor_bytes(&elsewhere), Err(Error::Range { .. })));
        assert!(matches!(file.tensor_bytes(&foreign), Err(Error::Range { .. })));
        assert!(matches!(file.tensor_view(&foreign), Err(Error::Range { .. })));
        assert!(matches!(file.require_usable(&foreign), Err(Error::UnsupportedDtype { .. })));
    }
}
