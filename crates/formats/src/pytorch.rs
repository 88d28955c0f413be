//! PyTorch checkpoints (`.bin`, `.pth`, `.pt`), read and never run.
//!
//! A checkpoint is a pickle (a program that builds Python objects) and the bytes of its storages: since PyTorch
//! 1.6 as entries of a zip archive without compression, before that one behind the other. Of the pickle only what
//! names weights is followed: the list stands in `names`. Tensors that lie in one piece stay where they are;
//! others (transposed, strided) are copied, up to a limit; two that share their storage may share bytes. The
//! state dict is looked for at the top and under the names that trainers put it. Does not write this format, and
//! does not read TorchScript, sparse, complex or quantised tensors.
//!
//! Source: `torch/serialization.py` and `torch/_utils.py` of the PyTorch project, `pickletools.py` of Python,
//! APPNOTE 6.3.3 of the zip format, all as facts.

mod archive;
mod legacy;
mod machine;
mod names;
mod rebuild;
mod state;
mod values;

use std::ops::Range;

use crate::error::Error;
use crate::tensors::TensorFile;
use crate::{FileBytes, FileKind, sniff};
use values::{Pickled, Storage};

/// The longest pickle that is walked through; that of a file with 30,000 tensors takes 6 MB.
const MAX_PICKLE: usize = 32 << 20;
const MAX_OPERATIONS: usize = 1 << 22;
const MAX_STACK: usize = 1 << 16;
const MAX_MEMO: usize = 1 << 19;
/// Containers, and values in all of them together: about five and twenty for a tensor.
const MAX_NODES: usize = 1 << 17;
const MAX_HELD: usize = 1 << 19;
/// Tensors of one file, and storages.
const MAX_TENSORS: usize = 1 << 15;
const MAX_DIMENSIONS: usize = 8;
const MAX_NAME: usize = 1024;
/// The names of all tensors together.
const MAX_NAMES: usize = 8 << 20;
/// What is copied of tensors that do not lie in one piece, together.
const MAX_COPIED: u64 = 32 << 20;

/// Where the bytes of a storage stand, checked against its size.
type Locate<'a> = &'a dyn Fn(&Pickled, &Storage) -> Result<Range<usize>, Error>;

/// Reads the state dict of a checkpoint; tensors in one piece stay where they are.
///
/// # Errors
/// [`Error::WrongKind`] for other files, [`Error::Refused`] for a pickle that asks for more than weights, else the
/// first thing that is wrong, with file, field and offset.
pub fn read(file: &FileBytes) -> Result<TensorFile, Error> {
    match sniff(file.as_slice()) {
        FileKind::Zip => archive::read(file),
        FileKind::Pickle => legacy::read(file),
        found => Err(Error::WrongKind { file: file.shared_label(), wanted: "a PyTorch checkpoint", found }),
    }
}
