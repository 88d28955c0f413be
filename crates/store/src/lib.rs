//! Models on disk: files named by their content, names and versions that point at them, crash-safe.
//!
//! Does not: know what is inside a model file, read the wall clock or the environment, or print. Only [`pull`] opens
//! outgoing connections.
//!
//! ```text
//! models/blobs/sha256-<64 hex>                             a file's bytes, or a manifest; written once
//! models/manifests/<host>/<namespace>/<name>/<tag>.json    a record: which manifest is current, and the older
//! models/tmp/                                              drafts; locked while their writer lives
//! models/partial/                                          files on their way here, kept over a kill
//! models/lock                                              one writer at a time; readers never ask
//! models/cache/<kind>/sha256-<64 hex>                      what can be made again, by what it was made from
//! models/cache/prefixes/sha256-<64 hex>                    computed beginnings of texts, where a person keeps them
//! ```
//!
//! Models of others ([`found`]) stand behind the store's own and are used where they lie. A model's [`versions`] are
//! the manifests in its record: going back moves the pointer, a pin holds it, a collection shortens the list. What is
//! said [`about`] a model (parameters, system prompt, template, licence, card) lies in its manifest and in small files
//! beside the weights, so that a model made from another one by a Modelfile shares its weights.
//!
//! A write is acknowledged when it would survive a power loss: file, fsync, rename, fsync of the directory;
//! blobs first, then the manifest, the record last. A reader therefore sees the old state or the new one.
//!
//! ```
//! use store::{ModelInfo, ModelName, NewFile, Role, Source, Store};
//! # let home = tempfile::tempdir().unwrap();
//! # let home = home.path();
//! let store = Store::open(std::sync::Arc::new(base::disk::RealDisk), home)?;
//! let name = ModelName::parse("anna/poems:small")?;
//! let weights = NewFile { role: Role::Model, format: "gguf".into(), name: None, source: Source::Bytes(b"GGUF...") };
//! store.import(&name, vec![weights], ModelInfo::default(), 1_700_000_000_000)?;
//!
//! let model = store.get(&name)?;
//! let path = store.locate(model.manifest.file(Role::Model).expect("it was just imported"))?;
//! assert_eq!(std::fs::read(path).unwrap(), b"GGUF...");
//! # Ok::<(), store::Error>(())
//! ```

pub mod about;
mod blob;
mod cache;
mod create;
mod digest;
mod draft;
mod error;
pub mod found;
pub mod fuzz;
mod import;
mod layout;
mod manifest;
mod name;
mod nearest;
pub mod prefixes;
pub mod pull;
mod read;
mod remove;
mod store;
pub mod verify;
pub mod versions;
mod write;

pub use digest::Digest;
pub use error::{Error, Problem};
pub use import::{ModelInfo, NewFile, Source};
pub use manifest::{FileRef, Location, Manifest, Role};
pub use name::ModelName;
pub use store::{Model, Store};

/// What a call of this crate gives, or why not.
pub(crate) type Result<T> = std::result::Result<T, Error>;
