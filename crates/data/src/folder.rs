//! A folder of documents: which of its files are read, in which order, and what is passed over.
//!
//! The order is that of the names, byte by byte, a folder's files and folders mixed, each folder gone through where
//! its name stands. Links to files are read, links to folders are not followed; nothing but a plain file is ever
//! opened. Does not read what the files hold (that is [`crate::Documents`]).

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::disk::{Disk, Entry, Kind};

use crate::digest::of_stream;
use crate::{Documents, Error, FileFacts, Fingerprint, Reason, Report};

/// Deepest folders that are looked into.
const MAX_DEPTH: usize = 32;
/// Most files of one data set.
const MAX_FILES: usize = 1 << 20;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `.txt` and `.md`.
    Plain,
    /// `.jsonl`.
    JsonLines,
}

/// A file that is read.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub name: String,
    pub path: Arc<PathBuf>,
    pub format: Format,
}

/// The files of a data set.
pub struct Folder {
    pub(crate) disk: Arc<dyn Disk>,
    root: PathBuf,
    pub(crate) files: Vec<Found>,
    pub(crate) passed_over: Report,
}

impl Folder {
    /// Looks through a folder, or at one file.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAccepted`] for a file of another kind, [`Error::NoFiles`] for a folder with
    /// none that can be read, [`Error::TooMany`], [`Error::Io`].
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, Error> {
        let facts = disk.facts(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
            _ => Error::io("look at", path, error),
        })?;
        let mut folder =
            Self { disk, root: path.to_owned(), files: Vec::new(), passed_over: Report::default() };
        match (facts.kind, format_of(path)) {
            (Kind::Directory, _) => folder.look_into(path, "", 0)?,
            (Kind::File, Some(format)) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                drop(folder.disk.open(path).map_err(|error| Error::io("open", path, error))?);
                folder.files.push(Found { name, path: Arc::new(path.to_owned()), format });
            }
            _ => return Err(Error::NotAccepted { path: path.to_owned() }),
        }
        if folder.files.is_empty() {
            return Err(Error::NoFiles { path: path.to_owned(), n_skipped: folder.passed_over.n_skipped });
        }
        Ok(folder)
    }

    /// The path that was opened.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of the files below the folder, in the order in which they are read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// What was passed over while looking.
    pub fn passed_over(&self) -> &Report {
        &self.passed_over
    }

    /// All documents, file after file.
    pub fn documents(&self) -> Documents<'_> {
        Documents::of(self)
    }

    /// Reads every file once for its digest.
    ///
    /// # Errors
    /// [`Error::Io`] with the file.
    pub fn fingerprint(&self) -> Result<Fingerprint, Error> {
        let facts = |file: &Found| {
            let failed = |error| Error::io("read", &file.path, error);
            let mut reader = self.disk.open(&file.path).map_err(failed)?;
            let (digest, size_bytes) = of_stream(&mut *reader).map_err(failed)?;
            Ok(FileFacts { name: file.name.clone(), size_bytes, digest })
        };
        Ok(Fingerprint { files: self.files.iter().map(facts).collect::<Result<_, Error>>()? })
    }

    fn look_into(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        let entries = match self.disk.list(folder) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(Error::io("list", folder, error)),
            Err(error) => {
                self.passed_over.skip(folder, None, Reason::Unreadable { message: error.to_string() });
                return Ok(());
            }
        };
        for entry in entries {
            let path = folder.join(&entry.name);
            let Some(name) = entry.name.to_str().map(|name| format!("{prefix}{name}")) else {
                self.passed_over.skip(&path, None, Reason::NameNotText);
                continue;
            };
            match self.judge(&entry, &path, depth) {
                Ok(Some(format)) => self.files.push(Found { name, path: Arc::new(path), format }),
                Ok(None) => self.look_into(&path, &format!("{name}/"), depth + 1)?,
                Err(reason) => self.passed_over.skip(&path, None, reason),
            }
            if self.files.len() > MAX_FILES {
                let path = self.root.clone();
                return Err(Error::TooMany { path, what: "files", limit: MAX_FILES });
            }
        }
        Ok(())
    }

    /// How a file is read, `None` for a folder, or why the entry is passed over.
    fn judge(&self, entry: &Entry, path: &Path, depth: usize) -> Result<Option<Format>, Reason> {
        if entry.name.as_encoded_bytes().starts_with(b".") {
            return Err(Reason::Hidden);
        }
        match entry.kind {
            Kind::Directory if depth == MAX_DEPTH => return Err(Reason::TooDeep { limit: MAX_DEPTH }),
            Kind::Directory => return Ok(None),
            Kind::File => {}
            Kind::Other => match self.disk.facts(path).map(|facts| facts.kind) {
                Ok(Kind::File) => {}
                Ok(Kind::Directory) => return Err(Reason::LinkToFolder),
                Ok(Kind::Other) => return Err(Reason::SpecialFile),
                Err(_) => return Err(Reason::BrokenLink),
            },
        }
        let format = format_of(path).ok_or(Reason::OtherKind)?;
        match self.disk.open(path) {
            Ok(_) => Ok(Some(format)),
            Err(error) => Err(Reason::Unreadable { message: error.to_string() }),
        }
    }
}

fn format_of(path: &Path) -> Option<Format> {
    let extension = path.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
    match extension.as_str() {
        "txt" | "md" => Some(Format::Plain),
        "jsonl" => Some(Format::JsonLines),
        _ => None,
    }
}
