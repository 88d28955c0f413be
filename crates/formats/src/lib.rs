//! Bytes → names, shapes, ranges and metadata, and back: GGUF, safetensors, PyTorch and llama2.c checkpoints, adapters.
//!
//! Every reader takes a [`FileBytes`] (a mapped file, or bytes that are part of the binary) and gives a
//! [`TensorFile`]: what the file says, checked, with each tensor as a range of the file. Nothing is copied
//! but the header, and tensors that a PyTorch checkpoint does not hold in one piece. A model in several files
//! comes to one [`TensorFile`] as well: see [`shards`].
//!
//! Does not: compute on weights, know what a tensor means, download, or execute anything that a file holds.
//!
//! What every reader keeps, whatever the bytes say: no panic; at most 64 MiB + 2 × header bytes allocated; a
//! range that is handed out lies inside the file; an error names file, field and offset.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic))]

mod bytes;
mod cursor;
mod dtype;
mod error;
mod mmap;
mod tensors;
mod write;

pub mod adapter;
pub mod fuzz;
pub mod gguf;
pub mod llama2c;
pub mod metadata;
pub mod pytorch;
pub mod safetensors;
pub mod shards;
pub mod sniff;

pub use bytes::{ByteView, FileBytes};
pub use dtype::Dtype;
pub use error::{Error, Place};
pub use metadata::Metadata;
pub use tensors::{TensorEntry, TensorFile, TensorSpec};
pub use write::TensorWriter;

use sniff::{FileKind, sniff};

/// One format that Hearth reads models from.
struct Format {
    /// What [`sniff`] says of such a file.
    kind: FileKind,
    /// Reads and checks the header; tensors stay where they are.
    read: fn(&FileBytes) -> Result<TensorFile, Error>,
}

/// Every readable format; a new one is one file and one line here.
static FORMATS: &[Format] = &[
    Format { kind: FileKind::Gguf, read: gguf::read },
    Format { kind: FileKind::Safetensors, read: safetensors::read },
    Format { kind: FileKind::Zip, read: pytorch::read },
    Format { kind: FileKind::Pickle, read: pytorch::read },
    Format { kind: FileKind::Llama2c, read: |file| llama2c::read(file).map(|checkpoint| checkpoint.file) },
];

/// Reads a model file of any readable format.
///
/// # Errors
/// [`Error::WrongKind`] with a hint for files that are something else, or the reader's own error.
pub fn read(file: &FileBytes) -> Result<TensorFile, Error> {
    let found = sniff(file.as_slice());
    match FORMATS.iter().find(|format| format.kind == found) {
        Some(format) => (format.read)(file),
        None => Err(Error::WrongKind { file: file.label().into(), wanted: "a model file", found }),
    }
}
