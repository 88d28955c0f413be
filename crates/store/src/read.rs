//! Reading what stands on disk about models: records, manifests, and the names that there are.
//!
//! Does not: write or lock. A writer may be at work meanwhile: what it takes away reads as missing.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base::disk::{Entry, Kind};

use crate::layout::Layout;
use crate::manifest::{MAX_TEXT_BYTES, Record};
use crate::nearest::nearest;
use crate::{Digest, Error, Manifest, Model, ModelName, Problem, Result, Store};

impl Store {
    /// Reads a model once. The outer error is final; an inner [`Error::FileMissing`] may be a writer's doing.
    pub(crate) fn read_model(&self, name: &ModelName) -> Result<Result<Model>> {
        let Some(mut record) = self.read_record(name)? else { return Err(self.not_found(name)) };
        let digest = name.digest().unwrap_or(record.current);
        if !record.versions.contains(&digest) {
            return Err(Error::VersionNotFound { name: record.name.to_string(), digest });
        }
        record.current = digest;
        Ok(self.read_manifest(&digest).map(|manifest| Model::of(record, manifest)))
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
            Ok(facts) if facts.kind != Kind::File || facts.size_bytes > MAX_TEXT_BYTES => {
                let rule = "it must be a plain file of at most 4 MiB";
                return Err(Error::corrupt(path, Problem::BreaksRule { rule }));
            }
            Ok(_) => {}
        }
        let mut bytes = Vec::new();
        match self.disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(file) => file.take(MAX_TEXT_BYTES).read_to_end(&mut bytes).map_err(failed)?,
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

    pub(crate) fn entries(&self, folder: &Path) -> Result<Vec<Entry>> {
        match self.disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|error| Error::io("list", folder, error)),
        }
    }

    /// Why a name that the store has not cannot be changed or removed.
    pub(crate) fn not_own(&self, name: &ModelName) -> Error {
        match self.owner(name) {
            Some(place) => Error::NotOwn { name: name.to_string(), place },
            None => self.not_found(name),
        }
    }

    pub(crate) fn not_found(&self, name: &ModelName) -> Error {
        let own = self.record_names().unwrap_or_default().into_iter().flatten().map(|name| name.to_string());
        let here = own.chain(self.names_elsewhere());
        let wanted = name.without_digest().to_string();
        Error::NotFound { nearest: nearest(&wanted, here), name: wanted }
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
