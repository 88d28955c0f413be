//! Documents on disk to streams of training batches.
//!
//! A [`Folder`] finds the files, [`Documents`] streams what they say and reports what was left out, a
//! [`Fingerprint`] tells later whether they are still the same. [`tokens::write`] makes a token file of them once,
//! divided into a part to train on and a part that is held out; a [`packing::Packer`] gives
//! batches of it without end, in an
//! order that follows from a seed and can be taken up again at any place, and a [`packing::Sweep`] goes through it once.
//!
//! Does not: know models, load a vocabulary (tokens come from the caller's closure), compute on tensors, read the
//! clock, or print.

mod digest;
mod document;
mod documents;
mod error;
mod fingerprint;
mod folder;
pub mod fuzz;
mod json_lines;
pub mod packing;
mod plain;
mod skipped;
mod split;
pub mod tokens;

pub use digest::Digest;
pub use document::{Content, Document, Extent, Message, Origin};
pub use documents::Documents;
pub use error::Error;
pub use fingerprint::{Difference, FileFacts, Fingerprint};
pub use folder::Folder;
pub use skipped::{Reason, Report, Skip};
