//! Taking a model in: copy or refer to its files, hash them, write the manifest, point the name at it.
//!
//! Does not: look inside the files; whoever calls has checked that they are a model. The call returns when
//! everything would survive a power loss, and until then no reader sees any of it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base::disk::{Facts, Kind};
use serde_json::{Map, Value};

use crate::draft::{Draft, hash_file};
use crate::manifest::{self, MAX_FILES};
use crate::write::check_writable;
use crate::{Digest, Error, FileRef, Location, Manifest, Model, ModelName, Result, Role, Store};

/// Room that an import leaves free, so that the records of other models can still be written.
pub(crate) const SPARE_BYTES: u64 = 16 << 20;

/// A file that a model is to have.
pub struct NewFile<'a> {
    /// What the model uses it for.
    pub role: Role,
    /// Its format, such as `gguf`, `safetensors`, `llama2c`; at most 64 bytes.
    pub format: String,
    /// Its name among the files of the model, where it has several of one role or is found by its name; at most 255
    /// bytes, with `/` between folders.
    pub name: Option<String>,
    /// Where its bytes come from.
    pub source: Source<'a>,
}

/// Where the bytes of a new file come from.
pub enum Source<'a> {
    /// A file, copied into the store (sharing its blocks where the file system can).
    Copy(PathBuf),
    /// A file that stays where it is. The path is absolute.
    InPlace(PathBuf),
    /// What the store has already, under its digest.
    Stored(Digest),
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// A stream of at most so many bytes.
    Reader {
        /// The stream.
        reader: &'a mut dyn Read,
        /// An error when it gives more.
        at_most_bytes: u64,
    },
}

/// What is said of a model beside its files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// Settings that go with it, by name.
    pub parameters: Map<String, Value>,
    /// Where it came from, in words or as an address.
    pub source: String,
}

impl Store {
    /// Makes `name` stand for a model of these files. What it stood for before stays among its versions.
    /// `now_ms` is the time of day, in milliseconds since 1970, for showing only.
    ///
    /// # Errors
    /// [`Error::NoFiles`], [`Error::BadSource`], [`Error::TooLarge`], [`Error::DiskFull`] and the others of a write. After an error
    /// the name stands for what it stood for before.
    pub fn import(
        &self,
        name: &ModelName,
        files: Vec<NewFile<'_>>,
        info: ModelInfo,
        now_ms: u64,
    ) -> Result<Model> {
        self.import_beside(name, Vec::new(), files, (info, now_ms))
    }

    /// An import whose model has the files `kept` of another model too, by reference.
    pub(crate) fn import_beside(
        &self,
        name: &ModelName,
        kept: Vec<FileRef>,
        files: Vec<NewFile<'_>>,
        (info, now_ms): (ModelInfo, u64),
    ) -> Result<Model> {
        check_writable(name)?;
        if files.is_empty() && kept.is_empty() {
            return Err(Error::NoFiles { name: name.to_string() });
        }
        if files.len().saturating_add(kept.len()) > MAX_FILES {
            return Err(Error::TooLarge { what: "the number of files", limit: MAX_FILES as u64 });
        }
        self.check_files(&files)?;
        self.check_unpinned(name)?;
        let drafts = self.drafts_for(&files)?;
        let mut taken: Vec<_> = kept.into_iter().map(|file| (file, None)).collect();
        for (file, draft) in files.into_iter().zip(drafts) {
            taken.push(self.take_in(file, draft)?);
        }
        self.publish(name, taken, info, now_ms)
    }

    /// Everything that can be refused before the first byte is written.
    fn check_files(&self, files: &[NewFile<'_>]) -> Result<()> {
        const MAX_FORMAT_BYTES: usize = 64;
        const MAX_NAME_BYTES: usize = 255;
        for file in files {
            if file.name.as_ref().is_some_and(|name| name.len() > MAX_NAME_BYTES) {
                return Err(Error::TooLarge { what: "the name of a file", limit: MAX_NAME_BYTES as u64 });
            }
            if file.format.len() > MAX_FORMAT_BYTES {
                return Err(Error::TooLarge { what: "the name of a format", limit: MAX_FORMAT_BYTES as u64 });
            }
            match &file.source {
                Source::Copy(path) => drop(self.source_facts(path)?),
                Source::InPlace(path) if !path.is_absolute() || path.to_str().is_none() => {
                    let rule = "a file in place needs an absolute path in UTF-8";
                    return Err(Error::BadSource { path: path.clone(), rule });
                }
                Source::InPlace(path) => drop(self.source_facts(path)?),
                Source::Stored(digest) => drop(self.blob_path(digest)?),
                Source::Bytes(_) | Source::Reader { .. } => {}
            }
        }
        Ok(())
    }

    fn source_facts(&self, path: &Path) -> Result<Facts> {
        let bad = |rule| Err(Error::BadSource { path: path.to_owned(), rule });
        match self.disk.facts(path) {
            Ok(facts) if facts.kind == Kind::File => Ok(facts),
            Ok(_) => bad("it is no plain file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bad("there is no such file"),
            Err(error) => Err(Error::io("look at", path, error)),
        }
    }

    /// A draft for each file that is to be copied.
    fn drafts_for(&self, files: &[NewFile<'_>]) -> Result<Vec<Option<Draft<'_>>>> {
        let _lock = self.begin_write()?;
        let draft_for = |file: &NewFile<'_>| match file.source {
            Source::InPlace(_) | Source::Stored(_) => Ok(None),
            _ => Draft::create(&*self.disk, &self.layout.drafts).map(Some),
        };
        files.iter().map(draft_for).collect()
    }

    /// Reads a file into its draft, which is durable then, or hashes it where it lies. No lock is held: others
    /// may write meanwhile.
    fn take_in<'a>(
        &self,
        file: NewFile<'_>,
        draft: Option<Draft<'a>>,
    ) -> Result<(FileRef, Option<Draft<'a>>)> {
        let NewFile { role, format, name, source } = file;
        let Some(mut draft) = draft else {
            let (digest, size_bytes, location) = self.refer(source)?;
            return Ok((FileRef { role, digest, size_bytes, format, name, location }, None));
        };
        let (digest, size_bytes) = match source {
            Source::Copy(path) => self.copy_unchanged(&path, &mut draft)?,
            Source::InPlace(_) | Source::Stored(_) => unreachable!("what is referred to has no draft"),
            Source::Bytes(mut bytes) => {
                self.check_room(bytes.len() as u64)?;
                draft.fill(&mut bytes, &self.layout.drafts)?
            }
            Source::Reader { reader, at_most_bytes } => {
                let taken =
                    draft.fill(&mut reader.take(at_most_bytes.saturating_add(1)), &self.layout.drafts)?;
                if taken.1 > at_most_bytes {
                    return Err(Error::TooLarge { what: "the stream", limit: at_most_bytes });
                }
                taken
            }
        };
        let location = Location::Blob;
        Ok((FileRef { role, digest, size_bytes, format, name, location }, Some(draft)))
    }

    /// The digest, length and place of a file that is not copied.
    fn refer(&self, source: Source<'_>) -> Result<(Digest, u64, Location)> {
        match source {
            Source::InPlace(path) => {
                let (facts, digest) = self.hash_unchanged(&path)?;
                let location = Location::InPlace { path, modified_ns: facts.modified_ns };
                Ok((digest, facts.size_bytes, location))
            }
            Source::Stored(digest) => {
                let path = self.layout.blob(&digest);
                let size_bytes = self.blob_size(&digest)?.ok_or(Error::FileMissing { path })?;
                Ok((digest, size_bytes, Location::Blob))
            }
            _ => unreachable!("only what is referred to has no draft"),
        }
    }

    /// Hashes a file that must not change meanwhile.
    fn hash_unchanged(&self, path: &Path) -> Result<(Facts, Digest)> {
        let before = self.source_facts(path)?;
        let (digest, size_bytes) = hash_file(&*self.disk, path)?;
        self.check_unchanged(path, before, size_bytes)?;
        Ok((before, digest))
    }

    /// Copies a file that must not change meanwhile.
    fn copy_unchanged(&self, path: &Path, draft: &mut Draft<'_>) -> Result<(Digest, u64)> {
        let before = self.source_facts(path)?;
        let taken = if draft.reflink(path) {
            draft.hash()?
        } else {
            self.check_room(before.size_bytes)?;
            let file = self.disk.open(path).map_err(|error| Error::io("open", path, error))?;
            draft.fill(&mut file.take(before.size_bytes.saturating_add(1)), path)?
        };
        self.check_unchanged(path, before, taken.1)?;
        Ok(taken)
    }

    fn check_unchanged(&self, path: &Path, before: Facts, size_bytes: u64) -> Result<()> {
        if size_bytes == before.size_bytes && self.source_facts(path)? == before {
            return Ok(());
        }
        Err(Error::BadSource { path: path.to_owned(), rule: "it changed while it was read" })
    }

    fn check_room(&self, wanted_bytes: u64) -> Result<()> {
        let path = &self.layout.drafts;
        let needed_bytes = wanted_bytes.saturating_add(SPARE_BYTES);
        match self.disk.free_bytes(path).map_err(|error| Error::io("look at", path, error))? {
            Some(free) if free < needed_bytes => Err(Error::DiskFull {
                path: path.clone(),
                needed_bytes: Some(needed_bytes),
                free_bytes: Some(free),
            }),
            _ => Ok(()),
        }
    }

    /// Under the lock: blobs, then the manifest, then the record; each durable before the next.
    fn publish(
        &self,
        name: &ModelName,
        taken: Vec<(FileRef, Option<Draft<'_>>)>,
        info: ModelInfo,
        now_ms: u64,
    ) -> Result<Model> {
        let (files, drafts): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
        let manifest = Manifest::new(files, info, now_ms);
        let text = manifest::to_json(&manifest);
        if text.len() as u64 > manifest::MAX_TEXT_BYTES {
            return Err(Error::TooLarge { what: "the manifest", limit: manifest::MAX_TEXT_BYTES });
        }
        let _lock = self.begin_write()?;
        let mut manifest_draft = Draft::create(&*self.disk, &self.layout.drafts)?;
        let (digest, _) = manifest_draft.fill(&mut &*text, &self.layout.drafts)?;
        for (file, draft) in manifest.files.iter().zip(drafts) {
            match draft {
                // A blob that is there already is replaced by the same content: so an import mends a damaged one.
                Some(draft) => draft.publish(&self.layout.blob(&file.digest))?,
                // A file by reference may have been collected since its model was read.
                None if file.location == Location::Blob => drop(self.locate(file)?),
                None => {}
            }
        }
        manifest_draft.publish(&self.layout.blob(&digest))?;
        self.sync_folder(&self.layout.blobs)?;
        let record = self.write_record(name, digest)?;
        Ok(Model::of(record, manifest))
    }
}
