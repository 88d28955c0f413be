//! The store: finding models and their files, and giving them further names.
//!
//! Not a cache: every call reads the disk, so that two processes on one home always agree.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::disk::{Disk, Kind};
use serde::Serialize;

use crate::draft::hash_file;
use crate::found::{Elsewhere, Folder, Found, Place, Skipped};
use crate::layout::Layout;
use crate::manifest::Record;
use crate::write::check_writable;
use crate::{Digest, Error, FileRef, Location, Manifest, ModelInfo, ModelName, Problem, Result};

/// How long a writer waits for another one before it gives up.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How often a reader starts again when a writer took away what it was reading.
const MAX_READS: usize = 8;

/// The models of one home. Cheap to open, safe to share between threads and processes.
pub struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) layout: Layout,
    pub(crate) lock_wait: Duration,
    /// Where others keep models.
    pub(crate) folders: Vec<Folder>,
}

/// A model that was found: its name, the version, and what it consists of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The name as it was typed when it was made.
    pub name: ModelName,
    /// The digest of the manifest: what stands behind `@` in a name.
    pub digest: Digest,
    /// The files and settings.
    pub manifest: Manifest,
    /// The digests of all versions that are kept, the oldest first.
    pub versions: Vec<Digest>,
    /// Whether nothing may move the name to another version.
    pub is_pinned: bool,
    /// Whose files these are, where they are not the store's own but used in place.
    pub place: Option<Place>,
}

impl Model {
    /// The model of which a record speaks, in the version that it calls current.
    pub(crate) fn of(record: Record, manifest: Manifest) -> Self {
        let Record { name, current: digest, versions, is_pinned, .. } = record;
        Self { name, digest, manifest, versions, is_pinned, place: None }
    }
}

/// All models of a home.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read, sorted by name.
    pub models: Vec<Model>,
    /// What is wrong with the others; each names its file.
    pub broken: Vec<Error>,
    /// Models of others, which are used in place; shown by their full names where the short ones are taken.
    pub found: Vec<Found>,
    /// What others have that is no model, or not whole.
    pub skipped: Vec<Skipped>,
}

impl Store {
    /// The store below `home` (`HEARTH_HOME`). Nothing is created before the first write.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Permission`] when `home` exists and is no folder that can be looked into.
    pub fn open(disk: Arc<dyn Disk>, home: &Path) -> Result<Self> {
        match disk.facts(home) {
            Ok(facts) if facts.kind != Kind::Directory => {
                Err(Error::io("use as home", home, io::ErrorKind::NotADirectory.into()))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("look at", home, error)),
            _ => Ok(Self { disk, layout: Layout::new(home), lock_wait: LOCK_WAIT, folders: Vec::new() }),
        }
    }

    /// The folder that it lies in, with everything else that is kept.
    pub fn home(&self) -> &Path {
        &self.layout.home
    }

    /// The same store, whose writers wait this long for another process instead of 30 s.
    #[must_use]
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        Self { lock_wait, ..self }
    }

    /// The model of this name: its current version, or the one that the name's digest asks for. Where the store has
    /// none, the one that others have.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names, [`Error::VersionNotFound`], [`Error::Corrupt`],
    /// [`Error::FutureVersion`]; [`Error::Unusable`] for a model of others that is not whole.
    pub fn get(&self, name: &ModelName) -> Result<Model> {
        match self.get_own(name) {
            Err(not_found @ Error::NotFound { .. }) => self.find_elsewhere(name, &|_| true)?.ok_or(not_found),
            own => own,
        }
    }

    /// The store's own model of this name.
    pub(crate) fn get_own(&self, name: &ModelName) -> Result<Model> {
        let mut read = self.read_model(name)?;
        for _ in 1..MAX_READS {
            // A manifest that is gone while its record names it was removed by a writer between two reads.
            if !matches!(read, Err(Error::FileMissing { .. })) {
                break;
            }
            read = self.read_model(name)?;
        }
        read
    }

    /// All models, also where some cannot be read.
    ///
    /// # Errors
    /// Only when the folder of the manifests itself cannot be listed.
    pub fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for found in self.record_names()? {
            match found.and_then(|name| self.get_own(&name)) {
                Ok(model) => listing.models.push(model),
                Err(Error::NotFound { .. }) => {} // Removed by a writer since the folder was read.
                Err(error) => listing.broken.push(error),
            }
        }
        listing.models.sort_by(|a, b| a.name.cmp(&b.name));
        match self.elsewhere() {
            Ok(Elsewhere { models, skipped }) => (listing.found, listing.skipped) = (models, skipped),
            Err(error) => listing.broken.push(error), // A folder of others costs nothing of the store's own.
        }
        for found in &mut listing.found {
            if listing.models.iter().any(|own| found.has_name(&own.name)) {
                found.shown = found.full_name();
            }
        }
        Ok(listing)
    }

    /// The path under which a model's file can be read or mapped. A file in place whose length or time of
    /// change differs from the import's is hashed again first.
    ///
    /// # Errors
    /// [`Error::FileMissing`], [`Error::Corrupt`] for a blob of the wrong length, [`Error::Changed`].
    pub fn locate(&self, file: &FileRef) -> Result<PathBuf> {
        let path = self.path(file);
        let facts = match self.disk.facts(&path) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::FileMissing { path }),
            Err(error) => return Err(Error::io("look at", &path, error)),
        };
        if facts.kind != Kind::File {
            return Err(Error::corrupt(&path, Problem::BreaksRule { rule: "it is no plain file" }));
        }
        let same_size = facts.size_bytes == file.size_bytes;
        match &file.location {
            Location::Blob if same_size => Ok(path),
            Location::Blob => {
                let (expected, found) = (file.size_bytes, facts.size_bytes);
                Err(Error::corrupt(&path, Problem::WrongSize { expected, found }))
            }
            Location::InPlace { modified_ns, .. } if same_size && *modified_ns == facts.modified_ns => {
                Ok(path)
            }
            Location::InPlace { .. } => match hash_file(&*self.disk, &path)? {
                (found, _) if found == file.digest => Ok(path),
                (found, _) => Err(Error::Changed { path, expected: file.digest, found }),
            },
        }
    }

    /// Where a file of a model lies, whether or not it is there.
    pub(crate) fn path(&self, file: &FileRef) -> PathBuf {
        match &file.location {
            Location::Blob => self.layout.blob(&file.digest),
            Location::InPlace { path, .. } => path.clone(),
        }
    }

    /// Makes `to` a name for the version that `from` names. What `to` named before stays among its versions. The
    /// files of a model of others stay where they are.
    ///
    /// # Errors
    /// Those of [`Store::get`] for `from`, and those of a write.
    pub fn copy(&self, from: &ModelName, to: &ModelName) -> Result<Model> {
        check_writable(to)?;
        let model = self.get(from)?;
        if model.place.is_some() {
            let Manifest { files, parameters, source, created_ms, .. } = model.manifest;
            return self.import_beside(to, files, Vec::new(), (ModelInfo { parameters, source }, created_ms));
        }
        let _lock = self.begin_write()?;
        let model = self.get_own(from)?;
        let record = self.write_record(to, model.digest)?;
        Ok(Model::of(record, model.manifest))
    }
}
