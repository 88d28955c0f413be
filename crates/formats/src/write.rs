//! Streams tensor data behind a header that is written already.
//!
//! Holds no tensor: bytes go on to the writer as they come. Counts them, so that a file never says one thing
//! and holds another. Does not know any format: `gguf::write` and `safetensors::write` give it the layout.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};

use crate::error::{Error, Place, Quoted};
use crate::{Metadata, TensorSpec};

/// One tensor's place in the data that follows a header.
pub(crate) struct Section {
    pub name: String,
    pub bytes: u64,
    /// Zero bytes behind it.
    pub padding: u64,
}

/// Takes the data of the announced tensors, in order.
///
/// ```
/// use formats::{Dtype, FileBytes, Metadata, TensorSpec, gguf};
/// let spec = TensorSpec { name: "w".into(), dtype: Dtype::F32, shape: vec![2] };
/// let mut writer = gguf::write(Vec::new(), &Metadata::new("new.gguf"), &[spec])?;
/// writer.append(&1.0f32.to_le_bytes())?;
/// writer.append(&2.0f32.to_le_bytes())?;
/// let file = gguf::read(&FileBytes::from_vec("new.gguf", writer.finish()?))?;
/// assert_eq!(file.tensor_bytes(file.tensor("w")?)?, [0, 0, 128, 63, 0, 0, 0, 64]);
/// # Ok::<(), formats::Error>(())
/// ```
pub struct TensorWriter<W> {
    out: W,
    sections: std::vec::IntoIter<Section>,
    current: Option<Section>,
    /// Bytes of the current tensor that are still to come.
    left: u64,
}

impl<W: Write> TensorWriter<W> {
    pub(crate) fn new(out: W, sections: Vec<Section>) -> Result<Self, Error> {
        let mut writer = Self { out, sections: sections.into_iter(), current: None, left: 0 };
        writer.next_section();
        writer.close_full_sections()?;
        Ok(writer)
    }

    /// Adds bytes to the current tensor; when it is full, the next one begins. One call may not reach over the
    /// end of a tensor.
    ///
    /// # Errors
    /// [`Error::Unbalanced`] for more bytes than were announced, [`Error::Io`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let given = bytes.len() as u64;
        let Some(left) = self.left.checked_sub(given) else {
            return Err(Error::Unbalanced { field: self.field(), expected: self.left, given });
        };
        self.out.write_all(bytes).map_err(write_error)?;
        self.left = left;
        self.close_full_sections()
    }

    /// The name of the tensor that the next bytes belong to; `None` when all are written.
    pub fn expects(&self) -> Option<&str> {
        self.current.as_ref().map(|section| section.name.as_str())
    }

    /// Gives the writer back when every tensor is complete. Neither flushes nor syncs it.
    ///
    /// # Errors
    /// [`Error::Unbalanced`] when bytes are missing.
    pub fn finish(self) -> Result<W, Error> {
        match &self.current {
            None => Ok(self.out),
            Some(section) => Err(Error::Unbalanced {
                field: self.field(),
                expected: section.bytes,
                given: section.bytes.saturating_sub(self.left),
            }),
        }
    }

    fn close_full_sections(&mut self) -> Result<(), Error> {
        while self.left == 0
            && let Some(section) = &self.current
        {
            let padding = &mut io::Read::take(io::repeat(0), section.padding);
            io::copy(padding, &mut self.out).map_err(write_error)?;
            self.next_section();
        }
        Ok(())
    }

    fn next_section(&mut self) {
        self.current = self.sections.next();
        self.left = self.current.as_ref().map_or(0, |section| section.bytes);
    }

    fn field(&self) -> String {
        match &self.current {
            Some(section) => format!("tensor {}", Quoted(&section.name)),
            None => "the end of the file".to_owned(),
        }
    }
}

pub(crate) fn write_error(source: io::Error) -> Error {
    Error::Io { file: "writing".into(), source }
}

/// Names are there, short enough, and different.
pub(crate) fn check_names(metadata: &Metadata, tensors: &[TensorSpec], limit: usize) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for tensor in tensors {
        let field = format_args!("tensor {}", Quoted(&tensor.name));
        check_name(metadata, &field, &tensor.name, limit)?;
        if !seen.insert(&tensor.name) {
            return Err(Error::Duplicate { at: place(metadata, &field) });
        }
    }
    Ok(())
}

pub(crate) fn check_name(
    metadata: &Metadata,
    field: &dyn Display,
    name: &str,
    limit: usize,
) -> Result<(), Error> {
    if name.is_empty() {
        let at = place(metadata, field);
        return Err(Error::Invalid { at, found: "an empty name".into(), expected: "a name" });
    }
    check_limit(metadata, field, name.len(), limit)
}

pub(crate) fn check_limit(
    metadata: &Metadata,
    field: &dyn Display,
    claimed: usize,
    limit: usize,
) -> Result<(), Error> {
    if claimed <= limit {
        return Ok(());
    }
    Err(Error::Limit { at: place(metadata, field), claimed: claimed as u64, limit: limit as u64 })
}

pub(crate) fn place(metadata: &Metadata, field: &dyn Display) -> Place {
    Place { file: metadata.label(), field: field.to_string(), offset: 0 }
}

pub(crate) fn shape_error(metadata: &Metadata, tensor: &TensorSpec, problem: &'static str) -> Error {
    let at = place(metadata, &format_args!("tensor {}", Quoted(&tensor.name)));
    let shape = tensor.shape.iter().map(|&size| size as u64).collect();
    Error::Shape { at, shape, dtype: tensor.dtype, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(sizes: &[(u64, u64)]) -> TensorWriter<Vec<u8>> {
        let sections = sizes.iter().enumerate().map(|(index, &(bytes, padding))| Section {
            name: format!("t{index}"),
            bytes,
            padding,
        });
        TensorWriter::new(Vec::new(), sections.collect()).unwrap()
    }

    #[test]
    fn pieces_come_out_in_order_and_padded() {
        let mut writer = writer(&[(3, 2), (0, 0), (1, 0)]);
        assert_eq!(writer.expects(), Some("t0"));
        writer.append(b"ab").unwrap();
        writer.append(b"c").unwrap();
        assert_eq!(writer.expects(), Some("t2"));
        writer.append(b"d").unwrap();
        assert_eq!(writer.expects(), None);
        assert_eq!(writer.finish().unwrap(), b"abc\0\0d");
    }

    #[test]
    fn too_much_and_too_little_are_refused() {
        let mut writer = writer(&[(3, 0)]);
        let error = writer.append(b"abcd").unwrap_err().to_string();
        assert_eq!(error, "writing tensor \"t0\": 4 bytes given, 3 announced");
        writer.append(b"ab").unwrap();
        assert!(matches!(writer.finish(), Err(Error::Unbalanced { expected: 3, given: 2, .. })));
    }
}
