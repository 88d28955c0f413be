//! What every write begins and ends with: the folders, the one writer's lock, and the record that is replaced in
//! one step.
//!
//! Does not: hold the lock while a model is copied; a living writer's drafts are locked by themselves.

use std::io;
use std::path::Path;

use base::disk::Lock;

use crate::draft::Draft;
use crate::manifest::{self, Record};
use crate::{Digest, Error, ModelName, Result, Store};

impl Store {
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
    /// Gives what the record says now.
    pub(crate) fn write_record(&self, name: &ModelName, current: Digest) -> Result<Record> {
        let before = match self.read_record(name) {
            Err(Error::Corrupt { .. }) => None, // What cannot be read is replaced: so an import mends it.
            other => other?,
        };
        if let Some(before) = before.as_ref().filter(|before| before.is_pinned && before.current != current) {
            return Err(Error::Pinned { name: name.to_string(), digest: before.current });
        }
        let record = Record::after(before, name, current);
        self.put_record(&record)?;
        Ok(record)
    }

    /// Puts a record in the place of the one that its name has, durably. The caller holds the lock.
    pub(crate) fn put_record(&self, record: &Record) -> Result<()> {
        let (path, folders) = (self.layout.record(&record.name), self.layout.record_folders(&record.name));
        let mut draft = Draft::create(&*self.disk, &self.layout.drafts)?;
        draft.fill(&mut &*manifest::to_json(record), &path)?;
        for folder in &folders {
            self.ensure_folder(folder)?;
        }
        draft.publish(&path)?;
        self.sync_folder(&folders[2])
    }

    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.disk.sync_dir(folder).map_err(|error| Error::io("make durable", folder, error))
    }

    /// Makes a folder and its name durable. The name is synced also where the folder exists: the process that
    /// made it may have died before it did so.
    pub(crate) fn ensure_folder(&self, folder: &Path) -> Result<()> {
        self.disk.create_dir(folder).map_err(|error| Error::io("create", folder, error))?;
        match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.sync_folder(parent),
            None => Ok(()),
        }
    }

    /// Makes the home and what is missing above it.
    pub(crate) fn ensure_home(&self) -> Result<()> {
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
