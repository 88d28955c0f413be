//! The store: finding and reading models, and what every write begins and ends with.
//!
//! Not a cache: every call reads the disk, so that two processes on one home always agree.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base::disk::{Disk, Kind, Lock};
use serde::Serialize;

use crate::draft::{Draft, hash_file};
use crate::layout::Layout;
use crate::manifest::{self, Record};
use crate::nearest::nearest;
use crate::{Digest, Error, FileRef, Location, Manifest, ModelName, Problem, Result};

/// How long a writer waits for another one before it gives up.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How often a reader starts again when a writer took away what it was reading.
const MAX_READS: usize = 8;

/// The models of one home. Cheap to open, safe to share between threads and processes.
pub struct Store {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) layout: Layout,
    lock_wait: Duration,
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
}

/// All models of a home.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read, sorted by name.
    pub models: Vec<Model>,
    /// What is wrong with the others; each names its file.
    pub broken: Vec<Error>,
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
            _ => Ok(Self { disk, layout: Layout::new(home), lock_wait: LOCK_WAIT }),
        }
    }

    /// The same store, whose writers wait this long for another process instead of 30 s.
    #[must_use]
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        Self { lock_wait, ..self }
    }

    /// The model of this name: its current version, or the one that the name's digest asks for.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names, [`Error::VersionNotFound`], [`Error::Corrupt`],
    /// [`Error::FutureVersion`].
    pub fn get(&self, name: &ModelName) -> Result<Model> {
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
            match found.and_then(|name| self.get(&name)) {
                Ok(model) => listing.models.push(model),
                Err(Error::NotFound { .. }) => {} // Removed by a writer since the folder was read.
                Err(error) => listing.broken.push(error),
            }
        }
        listing.models.sort_by(|a, b| a.name.cmp(&b.name));
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

    /// Makes `to` a name for the version that `from` names. What `to` named before stays among its versions.
    ///
    /// # Errors
    /// Those of [`Store::get`] for `from`, and those of a write.
    pub fn copy(&self, from: &ModelName, to: &ModelName) -> Result<Model> {
        check_writable(to)?;
        let _lock = self.begin_write()?;
        let model = self.get(from)?;
        let versions = self.write_record(to, model.digest)?;
        Ok(Model { name: to.clone(), versions, ..model })
    }

    /// Reads a model once. The outer error is final; an inner [`Error::FileMissing`] may be a writer's doing.
    fn read_model(&self, name: &ModelName) -> Result<Result<Model>> {
        let Some(record) = self.read_record(name)? else { return Err(self.not_found(name)) };
        let digest = name.digest().unwrap_or(record.current);
        if !record.versions.contains(&digest) {
            return Err(Error::VersionNotFound { name: record.name.to_string(), digest });
        }
        Ok(self.read_manifest(&digest).map(|manifest| Model {
            name: record.name,
            digest,
            manifest,
            versions: record.versions,
        }))
    }

    pub(crate) fn read_record(&self, name: &ModelName) -> Result<Option<Record>> {
        let path = self.layout.record(name);
        let Some(bytes) = self.read_text(&path)? else { return Ok(None) };
        Record::from_json(&bytes, name, &path).map(Some)
    }

    /// Reads a manifest and checks it against its digest.
    pub(crate) fn read_manifest(&self, digest: &Digest) -> Result<Manifest> {
        let path = self.layout.blob(digest);
        let Some(bytes) = self.read_text(&path)? else { return Err(Error::FileMissing { path }) };
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(Error::corrupt(&path, Problem::WrongHash { found }));
        }
        Manifest::from_json(&bytes, &path)
    }

    /// Reads a small file whole; `None` when there is none.
    fn read_text(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let failed = |error| Error::io("read", path, error);
        match self.disk.facts(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(facts) if facts.kind != Kind::File || facts.size_bytes > manifest::MAX_TEXT_BYTES => {
                let rule = "it must be a plain file of at most 4 MiB";
                return Err(Error::corrupt(path, Problem::BreaksRule { rule }));
            }
            Ok(_) => {}
        }
        let mut bytes = Vec::new();
        match self.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(file) => file.take(manifest::MAX_TEXT_BYTES).read_to_end(&mut bytes).map_err(failed)?,
        };
        Ok(Some(bytes))
    }

    /// The names of all records; an error for a record whose path is no name.
    pub(crate) fn record_names(&self) -> Result<Vec<Result<ModelName>>> {
        let mut names = Vec::new();
        for host in self.folders_in(&self.layout.manifests)? {
            for namespace in self.folders_in(&host)? {
                for model in self.folders_in(&namespace)? {
                    self.names_in(&model, &mut names)?;
                }
            }
        }
        Ok(names)
    }

    fn names_in(&self, folder: &Path, names: &mut Vec<Result<ModelName>>) -> Result<()> {
        for entry in self.entries(folder)?.into_iter().filter(|entry| entry.kind == Kind::File) {
            let path = folder.join(entry.name);
            if path.extension().is_some_and(|extension| extension == "json") {
                names.push(name_of_record(&path, &self.layout));
            }
        }
        Ok(())
    }

    fn folders_in(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let entries = self.entries(folder)?.into_iter();
        Ok(entries
            .filter(|entry| entry.kind == Kind::Directory)
            .map(|entry| folder.join(entry.name))
            .collect())
    }

    pub(crate) fn entries(&self, folder: &Path) -> Result<Vec<base::disk::Entry>> {
        match self.disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|error| Error::io("list", folder, error)),
        }
    }

    pub(crate) fn not_found(&self, name: &ModelName) -> Error {
        let here = self.record_names().unwrap_or_default().into_iter().flatten().map(|name| name.to_string());
        let wanted = name.without_digest().to_string();
        Error::NotFound { nearest: nearest(&wanted, here), name: wanted }
    }

    /// Makes the folders, takes the one writer's lock and removes what dead writers left.
    pub(crate) fn begin_write(&self) -> Result<Lock> {
        let layout = &self.layout;
        self.ensure_home()?;
        self.ensure_folder(&layout.models)?;
        let lock = self.disk.lock(&layout.lock, self.lock_wait).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let waited_ms = u64::try_from(self.lock_wait.as_millis()).unwrap_or(u64::MAX);
                Error::Locked { path: layout.lock.clone(), waited_ms }
            }
            _ => Error::io("lock", &layout.lock, error),
        })?;
        for folder in [&layout.drafts, &layout.blobs, &layout.manifests] {
            self.ensure_folder(folder)?;
        }
        Draft::remove_leftovers(&*self.disk, &layout.drafts)?;
        Ok(lock)
    }

    /// Points a name at a manifest, durably. The caller holds the lock, and the manifest is durable.
    /// Gives the versions that the record now keeps.
    pub(crate) fn write_record(&self, name: &ModelName, current: Digest) -> Result<Vec<Digest>> {
        let before = match self.read_record(name) {
            Err(Error::Corrupt { .. }) => None, // What cannot be read is replaced: so an import mends it.
            other => other?,
        };
        let folders = self.layout.record_folders(name);
        for folder in &folders {
            self.ensure_folder(folder)?;
        }
        let record = Record::after(before, name, current);
        let path = self.layout.record(name);
        let mut draft = Draft::create(&*self.disk, &self.layout.drafts)?;
        draft.fill(&mut &*manifest::to_json(&record), &path)?;
        draft.publish(&path)?;
        self.sync_folder(&folders[2])?;
        Ok(record.versions)
    }

    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.disk.sync_dir(folder).map_err(|error| Error::io("make durable", folder, error))
    }

    /// Makes a folder and its name durable. The name is synced also where the folder exists: the process that
    /// made it may have died before it did so.
    fn ensure_folder(&self, folder: &Path) -> Result<()> {
        self.disk.create_dir(folder).map_err(|error| Error::io("create", folder, error))?;
        match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.sync_folder(parent),
            None => Ok(()),
        }
    }

    /// Makes the home and what is missing above it.
    fn ensure_home(&self) -> Result<()> {
        let mut missing = Vec::new();
        for folder in self.layout.home.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
            match self.disk.facts(folder) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(folder),
                Err(error) => return Err(Error::io("look at", folder, error)),
            }
        }
        missing.iter().rev().try_for_each(|folder| self.ensure_folder(folder))
    }
}

/// A name that is written to must not ask for a version.
pub(crate) fn check_writable(name: &ModelName) -> Result<()> {
    match name.digest() {
        None => Ok(()),
        Some(_) => Err(Error::BadName {
            given: name.to_string(),
            rule: "a version (@sha256:…) can be read, but not written or removed",
        }),
    }
}

/// The name that a record's path stands for: four parts that are a name and fold to themselves.
fn name_of_record(path: &Path, layout: &Layout) -> Result<ModelName> {
    let problem = Problem::BreaksRule { rule: "its path is not host/namespace/name/tag.json in lower case" };
    let parts: Option<Vec<&str>> = path
        .strip_prefix(&layout.manifests)
        .ok()
        .and_then(|path| path.iter().map(|part| part.to_str()).collect());
    let name = match parts.as_deref() {
        Some([host, namespace, model, file]) => {
            let tag = file.strip_suffix(".json").unwrap_or(file);
            ModelName::parse(&format!("{host}/{namespace}/{model}:{tag}")).ok()
        }
        _ => None,
    };
    name.filter(|name| layout.record(name) == path).ok_or_else(|| Error::corrupt(path, problem))
}
