//! A file on its way here: its pieces at their places, a journal of those that came, and the check of the whole.
//!
//! Not visible to readers. It lies in `models/partial/` as `<key>.part` beside `<key>.journal`, locked while a pull
//! works on it; when it is whole it gets its digest's name there, and when all files of the model are whole they move
//! to the blobs together. So nobody who collects unused blobs takes away half a model.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::disk::FillFile;
use sha1::Digest as _;

use super::Problem;
use super::journal::{self, Journal, Known, Shape};
use super::plan::Wanted;
use super::problem::Announced;
use super::progress::Meter;
use super::session::Session;
use crate::digest::Hasher;
use crate::{Digest, Error, Result, Store};

/// Bytes read at once while hashing.
const CHUNK_BYTES: usize = 256 << 10;

/// A partly fetched file that this pull holds.
pub(super) struct Partial<'a> {
    store: &'a Store,
    pub path: PathBuf,
    journal_path: PathBuf,
    pub file: Arc<dyn FillFile>,
    journal: Journal,
    pub shape: Shape,
    known: Known,
}

/// What a file that is here turned out to hold.
pub(super) struct Hashes {
    pub digest: Digest,
    git: [u8; 20],
}

impl Store {
    /// The folder of partly fetched files.
    pub(super) fn partial_folder(&self) -> PathBuf {
        self.layout.models.join("partial")
    }

    /// Makes that folder.
    pub(super) fn begin_partial(&self) -> Result<PathBuf> {
        let _lock = self.begin_write()?;
        let folder = self.partial_folder();
        self.ensure_folder(&folder)?;
        Ok(folder)
    }

    /// Where a file's pieces lie, and their journal.
    fn partial_paths(&self, wanted: &Wanted) -> (PathBuf, PathBuf) {
        let (folder, key) = (self.partial_folder(), key_of(wanted));
        (folder.join(format!("{key}.part")), folder.join(format!("{key}.journal")))
    }

    /// Removes the journal of a file that is a blob now. Where this fails it is a leftover and nothing more.
    pub(super) fn remove_journal(&self, wanted: &Wanted) {
        let (_, path) = self.partial_paths(wanted);
        let _ = self.disk.remove_file(&path);
    }

    /// Where a file lies that is whole while others of its model are not.
    pub(super) fn finished_path(&self, digest: &Digest) -> PathBuf {
        self.partial_folder().join(digest.file_name())
    }

    /// The length of a file, if it is there.
    pub(super) fn size_of(&self, path: &Path) -> Result<Option<u64>> {
        match self.disk.facts(path) {
            Ok(facts) => Ok(Some(facts.size_bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", path, error)),
        }
    }
}

impl<'a> Partial<'a> {
    /// Takes a partly fetched file over, or begins one. No piece counts before [`Partial::check_pieces`].
    pub fn open(store: &'a Store, session: &Session<'_>, wanted: &Wanted, shape: Shape) -> Result<Self> {
        let (path, journal_path) = store.partial_paths(wanted);
        let open = |path: &Path| match store.disk.open_to_fill(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(session.failed(Problem::UnderWay)),
            other => other.map_err(|error| Error::io("open", path, error)),
        };
        // Under the store's lock, as the renaming is: so that nobody holds a file that has become another's.
        let lock = store.begin_write()?;
        let folder = store.partial_folder();
        store.ensure_folder(&folder)?;
        let file = open(&path)?;
        let journal = open(&journal_path)?;
        store.sync_folder(&folder)?;
        drop(lock);
        let opened = Journal::open(journal, &shape).map_err(|error| Error::io("read", &journal_path, error));
        let (journal, known) = opened?;
        Ok(Self { store, path, journal_path, file: file.into(), journal, shape, known })
    }

    /// Hashes the pieces that the journal names and forgets those that are not what it says. Gives the bytes of the
    /// others.
    pub fn check_pieces(&mut self, session: &Session<'_>, meter: &mut Meter<'_>) -> Result<u64> {
        let before = self.present_bytes();
        for piece in 0..self.known.pieces.len() {
            let Some(expected) = self.known.pieces[piece] else { continue };
            let (begin, n_bytes) = self.shape.bounds(piece);
            let mut hasher = Hasher::default();
            chunks(&*self.file, &self.path, (begin, n_bytes), &mut |chunk| {
                hasher.update(chunk);
                Ok(())
            })?;
            if hasher.finish() != (expected, n_bytes) {
                self.known.pieces[piece] = None;
            }
            stop_if(meter.tick().is_break(), session)?;
        }
        let after = self.present_bytes();
        if after < before {
            self.rewrite()?;
        }
        Ok(after)
    }

    /// The numbers of the pieces that are not here.
    pub fn missing(&self) -> Vec<usize> {
        let missing = self.known.pieces.iter().enumerate().filter(|(_, digest)| digest.is_none());
        missing.map(|(piece, _)| piece).collect()
    }

    /// The bytes of the pieces that are here.
    pub fn present_bytes(&self) -> u64 {
        self.shape.size_bytes - self.shape.missing_bytes(&self.known)
    }

    /// Notes that a piece is here.
    pub fn note(&mut self, piece: usize, digest: Digest) -> Result<()> {
        self.known.pieces[piece] = Some(digest);
        self.journal.note(piece, &digest).map_err(|error| Error::io("write", &self.journal_path, error))
    }

    /// Begins anew, under another shape perhaps.
    pub fn forget(&mut self, shape: Shape) -> Result<()> {
        self.file.set_size(0).map_err(|error| Error::io("write", &self.path, error))?;
        self.known = Known { pieces: vec![None; shape.n_pieces()], finished: None };
        self.shape = shape;
        self.rewrite()
    }

    /// Removes both files, as after content that nobody can use.
    pub fn remove(self) -> Result<()> {
        for path in [&self.path, &self.journal_path] {
            self.store.disk.remove_file(path).map_err(|error| Error::io("remove", path, error))?;
        }
        Ok(())
    }

    /// Hashes the whole.
    pub fn hash(&self, session: &Session<'_>, meter: &mut Meter<'_>) -> Result<Hashes> {
        // What lies beyond the end came from a longer file that lay here once.
        self.file.set_size(self.shape.size_bytes).map_err(|error| Error::io("write", &self.path, error))?;
        hash(&*self.file, &self.path, self.shape.size_bytes, &mut || {
            stop_if(meter.tick().is_break(), session)
        })
    }

    /// Makes the whole file durable under its digest's name. The journal says so, which a later pull needs where no
    /// announced digest leads to the file.
    pub fn finish(mut self, digest: Digest) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("make durable", &self.path, error))?;
        self.known.finished = Some(digest);
        self.rewrite()?;
        let to = self.store.finished_path(&digest);
        let _lock = self.store.begin_write()?;
        self.store.disk.rename(&self.path, &to).map_err(|error| Error::io("rename to", &to, error))?;
        self.store.sync_folder(&self.store.partial_folder())
    }

    fn rewrite(&mut self) -> Result<()> {
        let done = self.journal.rewrite(&self.shape, &self.known);
        done.map_err(|error| Error::io("write", &self.journal_path, error))
    }
}

impl Hashes {
    /// The announced hash and the one that is here, where they differ.
    pub fn difference(&self, announced: Announced) -> Option<(String, String)> {
        match announced {
            Announced::Sha256(expected) if expected != self.digest => {
                Some((expected.to_string(), self.digest.to_string()))
            }
            Announced::GitBlob(expected) if expected != self.git => {
                Some((git_text(&expected), git_text(&self.git)))
            }
            _ => None,
        }
    }
}

/// What the journal says of a file, without taking it over.
pub(super) fn known(store: &Store, wanted: &Wanted, shape: &Shape) -> Result<Known> {
    let (_, path) = store.partial_paths(wanted);
    let mut bytes = Vec::new();
    match store.disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("open", &path, error)),
        Ok(file) => {
            let read = file.take(journal::MAX_BYTES).read_to_end(&mut bytes);
            read.map_err(|error| Error::io("read", &path, error))?;
        }
    }
    Ok(journal::read(&bytes, shape))
}

/// Hashes a file that lies here already.
pub(super) fn hash_here(
    store: &Store,
    path: &Path,
    size_bytes: u64,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<Hashes> {
    let mut file = store.disk.open(path).map_err(|error| Error::io("open", path, error))?;
    let mut hashes = HashBoth::new(size_bytes);
    crate::digest::for_each_chunk(&mut *file, path, |chunk| {
        hashes.update(chunk);
        tick()
    })?;
    Ok(hashes.finish())
}

fn hash(
    file: &dyn FillFile,
    path: &Path,
    size_bytes: u64,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<Hashes> {
    let mut hashes = HashBoth::new(size_bytes);
    chunks(file, path, (0, size_bytes), &mut |chunk| {
        hashes.update(chunk);
        tick()
    })?;
    Ok(hashes.finish())
}

/// SHA-256 and Git's name at once.
struct HashBoth {
    sha256: Hasher,
    git: sha1::Sha1,
}

impl HashBoth {
    /// Git hashes the length before the bytes.
    fn new(size_bytes: u64) -> Self {
        Self { sha256: Hasher::default(), git: sha1::Sha1::new_with_prefix(format!("blob {size_bytes}\0")) }
    }

    fn update(&mut self, chunk: &[u8]) {
        self.sha256.update(chunk);
        self.git.update(chunk);
    }

    fn finish(self) -> Hashes {
        Hashes { digest: self.sha256.finish().0, git: self.git.finalize().into() }
    }
}

/// Reads a range, or as much of it as there is.
fn chunks(
    file: &dyn FillFile,
    path: &Path,
    (begin, n_bytes): (u64, u64),
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done = 0;
    while done < n_bytes {
        let room = usize::try_from(n_bytes - done).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        match file.read_at(&mut chunk[..room], begin.saturating_add(done)) {
            Ok(0) => return Ok(()),
            Ok(n_read) => {
                each(&chunk[..n_read])?;
                done += n_read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
    }
    Ok(())
}

pub(super) fn stop_if(is_break: bool, session: &Session<'_>) -> Result<()> {
    if !is_break {
        return Ok(());
    }
    session.stop();
    Err(session.failed(Problem::Stopped))
}

/// A name for what is fetched that says nothing about it: the announced hash, or the address.
fn key_of(wanted: &Wanted) -> String {
    let identity = match wanted.announced {
        Announced::Sha256(digest) => digest.to_string(),
        Announced::GitBlob(name) => git_text(&name),
        Announced::Nothing => wanted.address.to_string(),
    };
    Digest::of(identity.as_bytes()).file_name()["sha256-".len()..][..32].to_owned()
}

fn git_text(name: &[u8; 20]) -> String {
    let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("git:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_names_are_gits() {
        // `printf hello | git hash-object --stdin`, and that of nothing.
        let name = |bytes: &[u8]| {
            let mut hashes = HashBoth::new(bytes.len() as u64);
            hashes.update(bytes);
            git_text(&hashes.finish().git)
        };
        assert_eq!(name(b"hello"), "git:b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0");
        assert_eq!(name(b""), "git:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
