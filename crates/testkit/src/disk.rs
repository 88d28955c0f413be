//! A disk that fails when it is told to: full, broken, read-only, or without power at any operation.
//!
//! Not a file system: it passes everything on to the real disk below one folder and remembers what of it would
//! survive a power loss. There the rules are POSIX's weakest: bytes survive when their file was synced, names
//! when their folder was, and of the rest any part may.

mod shadow;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base::disk::{Disk, Entry, Facts, FillFile, Lock, RealDisk, WriteFile};

use self::shadow::Shadow;

/// How the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room: what needs some fails with `ENOSPC`, a write after half its bytes.
    NoSpace,
    /// Any operation fails with `EIO`.
    Io,
    /// Everything but reading fails with `EROFS`.
    ReadOnly,
    /// Any operation fails with `EACCES`.
    Permission,
    /// Syncs of files and folders fail with `EIO`.
    SyncFails,
    /// The power goes: the operation and all later ones fail, and the folder is left as it might be found then.
    PowerLoss(Survives),
}

/// What is found after a power loss of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// Nothing.
    Nothing,
    /// All names, with a part of each file's bytes: the writes were put off, the renames were not.
    Names,
    /// Each name or its older state, by chance, and a part of each file's bytes.
    Chance,
}

/// How long a fault lasts. A power loss lasts for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// One operation.
    Once,
    /// That operation and all after it.
    FromThenOn,
}

/// When a disk fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How it fails.
    pub fault: Fault,
    /// At which of the operations that can fail so, from 0.
    pub at: u64,
    /// For how long.
    pub lasting: Lasting,
    /// For what a power loss leaves to chance.
    pub seed: u64,
}

/// A disk that fails by plan below one folder.
pub struct FaultyDisk {
    shared: Arc<Mutex<State>>,
    free_bytes: Option<u64>,
    can_reflink: bool,
}

struct State {
    plan: Option<Plan>,
    n_operations: u64,
    struck: bool,
    is_dead: bool,
    shadow: Shadow,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Remove,
    Sync,
}

impl FaultyDisk {
    /// A disk below `root`, an existing folder whose whole content counts as durable.
    pub fn new(root: &Path, plan: Option<Plan>) -> Self {
        let state = State { plan, n_operations: 0, struck: false, is_dead: false, shadow: Shadow::of(root) };
        Self { shared: Arc::new(Mutex::new(state)), free_bytes: None, can_reflink: false }
    }

    /// The same disk, which says that it has this much room.
    #[must_use]
    pub fn with_free_bytes(self, free_bytes: u64) -> Self {
        Self { free_bytes: Some(free_bytes), ..self }
    }

    /// The same disk, which can share blocks between files.
    #[must_use]
    pub fn with_reflinks(self) -> Self {
        Self { can_reflink: true, ..self }
    }

    /// Whether the fault has come.
    pub fn struck(&self) -> bool {
        self.state().struck
    }

    /// Takes the power away now, between two operations.
    pub fn cut_power(&self, survives: Survives, seed: u64) {
        let mut state = self.state();
        state.is_dead = true;
        state.shadow.lose_power(survives, seed);
    }

    /// How many operations there were that could have failed as planned; all, without a plan.
    pub fn n_operations(&self) -> u64 {
        self.state().n_operations
    }

    fn state(&self) -> MutexGuard<'_, State> {
        state_of(&self.shared)
    }

    /// Does `act` on the real disk and `note` in the shadow, unless the fault comes first.
    fn attempt<T>(
        &self,
        operation: Operation,
        act: impl FnOnce() -> io::Result<T>,
        note: impl FnOnce(&mut Shadow, &T),
    ) -> io::Result<T> {
        let mut state = self.state();
        state.enter(operation)?;
        let done = act()?;
        note(&mut state.shadow, &done);
        Ok(done)
    }
}

impl State {
    /// Counts an operation and fails it if its time has come.
    fn enter(&mut self, operation: Operation) -> io::Result<()> {
        if self.is_dead {
            return Err(io::Error::other("the power is off"));
        }
        let Some(plan) = self.plan else {
            self.n_operations += 1;
            return Ok(());
        };
        if !plan.fault.can_hit(operation) {
            return Ok(());
        }
        let index = self.n_operations;
        self.n_operations += 1;
        if index != plan.at && !(plan.lasting == Lasting::FromThenOn && index > plan.at) {
            return Ok(());
        }
        self.struck = true;
        if let Fault::PowerLoss(survives) = plan.fault {
            self.is_dead = true;
            self.shadow.lose_power(survives, plan.seed);
        }
        Err(plan.fault.error())
    }
}

impl Fault {
    fn can_hit(self, operation: Operation) -> bool {
        match self {
            Self::NoSpace => matches!(operation, Operation::Write | Operation::Sync),
            Self::ReadOnly => operation != Operation::Read,
            Self::SyncFails => operation == Operation::Sync,
            Self::Io | Self::Permission | Self::PowerLoss(_) => true,
        }
    }

    fn error(self) -> io::Error {
        match self {
            Self::NoSpace => io::ErrorKind::StorageFull.into(),
            Self::ReadOnly => io::ErrorKind::ReadOnlyFilesystem.into(),
            Self::Permission => io::ErrorKind::PermissionDenied.into(),
            Self::Io | Self::SyncFails => io::Error::other("input/output error"),
            Self::PowerLoss(_) => io::Error::other("the power is off"),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let file = self.attempt(Operation::Read, || RealDisk.open(path), |_, _| ())?;
        Ok(Box::new(FaultyReader { file, shared: self.shared.clone() }))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let note = |shadow: &mut Shadow, _: &_| shadow.create_file(path);
        let file = self.attempt(Operation::Write, || RealDisk.create_new(path), note)?;
        let shared = self.shared.clone();
        let file_number = state_of(&shared).shadow.number(path);
        Ok(Box::new(FaultyFile { file, file_number, shared, can_reflink: self.can_reflink }))
    }

    fn open_to_fill(&self, path: &Path) -> io::Result<Box<dyn FillFile>> {
        let note = |shadow: &mut Shadow, _: &_| shadow.create_file(path);
        let file = self.attempt(Operation::Write, || RealDisk.open_to_fill(path), note)?;
        let shared = self.shared.clone();
        let file_number = state_of(&shared).shadow.number(path);
        Ok(Box::new(FaultyFillFile { file, file_number, shared }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let note = |shadow: &mut Shadow, (): &()| shadow.create_folder(path);
        self.attempt(Operation::Write, || RealDisk.create_dir(path), note)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let note = |shadow: &mut Shadow, (): &()| shadow.rename(from, to);
        self.attempt(Operation::Write, || RealDisk.rename(from, to), note)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let note = |shadow: &mut Shadow, (): &()| shadow.remove(path);
        self.attempt(Operation::Remove, || RealDisk.remove_file(path), note)
    }

    fn remove_leftover(&self, path: &Path) -> io::Result<bool> {
        let note = |shadow: &mut Shadow, gone: &bool| {
            if *gone {
                shadow.remove(path);
            }
        };
        self.attempt(Operation::Remove, || RealDisk.remove_leftover(path), note)
    }

    fn is_leftover(&self, path: &Path) -> io::Result<bool> {
        self.attempt(Operation::Read, || RealDisk.is_leftover(path), |_, _| ())
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        self.attempt(Operation::Read, || RealDisk.real_path(path), |_, _| ())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let note = |shadow: &mut Shadow, (): &()| shadow.remove(path);
        self.attempt(Operation::Remove, || RealDisk.remove_dir(path), note)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // The real sync is left out: the shadow knows better what survives, and tests run a thousand of them.
        let exists = || RealDisk.facts(path).map(drop);
        self.attempt(Operation::Sync, exists, |shadow, ()| shadow.sync_folder(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.attempt(Operation::Read, || RealDisk.list(path), |_, _| ())
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        self.attempt(Operation::Read, || RealDisk.facts(path), |_, _| ())
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        self.attempt(Operation::Write, || RealDisk.touch(path), |_, _| ())
    }

    fn free_bytes(&self, path: &Path) -> io::Result<Option<u64>> {
        let real = || RealDisk.free_bytes(path);
        let told = self.attempt(Operation::Read, real, |_, _| ())?;
        Ok(self.free_bytes.or(told))
    }

    fn lock(&self, path: &Path, wait: Duration) -> io::Result<Lock> {
        self.state().enter(Operation::Write)?;
        // Not under the mutex: the holder may need this disk to go on.
        let lock = RealDisk.lock(path, wait)?;
        self.state().shadow.create_file(path);
        Ok(lock)
    }
}

struct FaultyReader {
    file: Box<dyn Read + Send>,
    shared: Arc<Mutex<State>>,
}

impl Read for FaultyReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        state_of(&self.shared).enter(Operation::Read)?;
        self.file.read(bytes)
    }
}

struct FaultyFile {
    file: Box<dyn WriteFile>,
    file_number: usize,
    shared: Arc<Mutex<State>>,
    can_reflink: bool,
}

impl FaultyFile {
    fn append(&mut self, state: &mut State, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        state.shadow.append(self.file_number, bytes);
        Ok(())
    }
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shared = self.shared.clone();
        let mut state = state_of(&shared);
        if let Err(error) = state.enter(Operation::Write) {
            if !state.is_dead {
                self.append(&mut state, &bytes[..bytes.len() / 2])?;
            }
            return Err(error);
        }
        self.append(&mut state, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = state_of(&self.shared);
        state.enter(Operation::Sync)?;
        state.shadow.sync_file(self.file_number);
        Ok(())
    }

    fn reflink(&mut self, source: &Path) -> io::Result<()> {
        let shared = self.shared.clone();
        let mut state = state_of(&shared);
        state.enter(Operation::Write)?;
        if !self.can_reflink {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let bytes = std::fs::read(source)?;
        self.append(&mut state, &bytes)
    }
}

struct FaultyFillFile {
    file: Box<dyn FillFile>,
    file_number: usize,
    shared: Arc<Mutex<State>>,
}

impl FillFile for FaultyFillFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = state_of(&self.shared);
        let (written, outcome) = match state.enter(Operation::Write) {
            Ok(()) => (bytes, Ok(())),
            Err(error) if state.is_dead => return Err(error),
            Err(error) => (&bytes[..bytes.len() / 2], Err(error)),
        };
        self.file.write_at(written, offset)?;
        state.shadow.write_at(self.file_number, written, offset);
        outcome
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        state_of(&self.shared).enter(Operation::Read)?;
        self.file.read_at(bytes, offset)
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = state_of(&self.shared);
        state.enter(Operation::Write)?;
        self.file.set_size(size_bytes)?;
        state.shadow.set_size(self.file_number, size_bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = state_of(&self.shared);
        state.enter(Operation::Sync)?;
        state.shadow.sync_file(self.file_number);
        Ok(())
    }
}

fn state_of(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().expect("a test that panicked here has failed already")
}

/// A folder for tests of the disk: in memory where there is such a place, since the faults are simulated.
pub fn quick_folder() -> io::Result<tempfile::TempDir> {
    let in_memory = PathBuf::from("/dev/shm");
    match tempfile::tempdir_in(in_memory) {
        Ok(folder) => Ok(folder),
        Err(_) => tempfile::tempdir(),
    }
}

/// What lies in a folder, in the order of the names, or nothing where there is no such folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
