//! A file that the operating system shows as memory: read only, loaded page by page when it is touched.
//!
//! What is read again and again can be held: read once into memory of large pages, which a processor goes through a
//! third faster than a file's pages of 4 kB. That memory takes the place of the file's, piece by piece, at the same addresses:
//! who reads meanwhile reads the same bytes, and nothing is there twice but a piece. The home of `unsafe` in this crate,
//! with [`held`]. Not for files that are being written.
//!
//! What happens when somebody changes the file meanwhile: overwritten bytes show up as other weights, and a
//! file that was cut makes the system send SIGBUS on the first touch behind its new end. Both are outside what
//! a process can prevent on Linux, so the store keeps its model files read-only and replaces them by rename
//! (which leaves the mapped file as it was), and a job calls [`Mapped::check_unchanged`] before it begins.

#[cfg(target_os = "linux")]
mod held;

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::Mmap;

use crate::error::Error;

/// A read-only mapping of a whole file.
pub struct Mapped {
    map: Option<Mmap>,
    /// How much of it is held; locked while that changes.
    held: Mutex<Held>,
    file: File,
    opened: Metadata,
    label: Arc<str>,
}

/// How much of a file lies in memory of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Held {
    #[default]
    Nothing,
    Some,
    All,
}

impl Mapped {
    /// Opens `path` for reading and maps all of it. `label` names it in errors.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::NotAFile`] for a directory, pipe or device (a pipe is not opened: that would
    /// wait for its writer).
    pub fn open(path: &Path, label: Arc<str>) -> Result<Self, Error> {
        let io = |source| Error::Io { file: label.clone(), source };
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::NotAFile { file: label.clone() });
        }
        let file = File::open(path).map_err(io)?;
        let opened = file.metadata().map_err(io)?;
        if !opened.is_file() {
            return Err(Error::NotAFile { file: label.clone() });
        }
        let map = if opened.len() == 0 { None } else { Some(map_file(&file).map_err(io)?) };
        Ok(Self { map, held: Mutex::default(), file, opened, label })
    }

    /// All bytes of the file as it was when it was opened.
    pub fn as_slice(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }

    /// Reads all of the file into memory of large pages that takes the place of the file's, on so many threads, as long as
    /// that is wanted. Whether all of it is there: where the system does not give such memory, or the file cannot be read,
    /// the rest stays the file's.
    pub fn hold(&self, n_threads: usize, is_wanted: &(dyn Fn() -> bool + Sync)) -> bool {
        // Where two do it at once, the second has nothing left to do.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != Held::All
            && let Some(map) = &self.map
        {
            *held = Held::Some;
            if hold(map, &self.file, n_threads, is_wanted).is_ok_and(|is_all| is_all) {
                *held = Held::All;
            }
        }
        *held == Held::All
    }

    /// Lets the system take the memory back in which it shows these bytes; they are read anew when they are touched again.
    /// Pages that hold other bytes too stay, and all of a file that is held: its memory could not be read anew.
    pub fn forget(&self, range: &Range<usize>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == Held::Nothing
            && let Some(map) = self.map.as_ref().filter(|map| range.end <= map.len())
        {
            forget(map, range);
        }
    }

    /// Whether length and time of change are still those of the moment when it was opened.
    ///
    /// # Errors
    /// [`Error::Changed`] when they are not, [`Error::Io`] when they cannot be read.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let now = self.file.metadata().map_err(|source| Error::Io { file: self.label.clone(), source })?;
        if now.len() != self.opened.len() || now.modified().ok() != self.opened.modified().ok() {
            return Err(Error::Changed { file: self.label.clone() });
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
fn map_file(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is private to reads and lives as long as the slices that borrow it. That nobody cuts
    // or rewrites the file meanwhile is upheld by whoever owns the folder; the store writes models once and
    // replaces them only by rename. What follows when a stranger does it is described at the top of this file.
    unsafe { Mmap::map(file) }
}

#[cfg(target_os = "linux")]
use held::hold;

#[cfg(not(target_os = "linux"))]
fn hold(_: &Mmap, _: &File, _: usize, _: &(dyn Fn() -> bool + Sync)) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn forget(map: &Mmap, range: &Range<usize>) {
    /// Any page size of Linux divides it, so that no other one is touched.
    const PAGE: usize = 64 << 10;
    let (start, end) = (range.start.next_multiple_of(PAGE), range.end & !(PAGE - 1));
    let Some(length) = end.checked_sub(start).filter(|length| *length > 0) else { return };
    // SAFETY: the mapping is of a file and never written, so that dropped pages come back with the same bytes; the range
    // lies inside it, as the caller has checked.
    let taken = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, length) };
    // It is advice: pages that stay are only memory.
    let _ = taken;
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &Mmap, _: &Range<usize>) {}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open(path: &Path) -> Result<Mapped, Error> {
        Mapped::open(path, "test.bin".into())
    }

    #[test]
    fn a_file_shows_its_bytes_and_a_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, b"weights").unwrap();
        let mapped = open(&path).unwrap();
        assert_eq!(mapped.as_slice(), b"weights");
        mapped.check_unchanged().unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"more").unwrap();
        assert!(matches!(mapped.check_unchanged(), Err(Error::Changed { .. })));
        assert_eq!(mapped.as_slice(), b"weights");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_held_is_the_same_and_outlives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        let bytes: Vec<u8> = (0..5_000_001u32).map(|place| (place * 7 / 3) as u8).collect();
        let wanted: &(dyn Fn() -> bool + Sync) = &|| true;
        for n_threads in [0, 1, 2, 7] {
            std::fs::write(&path, &bytes).unwrap();
            let mapped = open(&path).unwrap();
            let before = mapped.as_slice();
            assert!(mapped.hold(n_threads, wanted) && mapped.hold(n_threads, wanted));
            assert!(before == bytes && before.as_ptr() == mapped.as_slice().as_ptr());
            mapped.forget(&(0..5_000_000));
            File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
            assert!(mapped.as_slice() == bytes);
            let cut = open(&path).unwrap();
            std::fs::write(&path, b"").unwrap();
            assert!(!cut.hold(n_threads, wanted) && !open(&path).unwrap().hold(n_threads, wanted));
        }
    }

    /// Whoever reads while memory takes the place of the file reads the same bytes; what is wanted no longer ends early, and
    /// what was put by then is not forgotten.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_read_while_it_is_being_held_is_the_same() {
        use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        let bytes: Vec<u8> = (0..150_000_001u32).map(|place| (place * 7 / 3) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        for n_pieces in [0, 2, usize::MAX] {
            let mapped = open(&path).unwrap();
            let (is_done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
            std::thread::scope(|scope| {
                let read = || {
                    while !is_done.load(Ordering::Relaxed) {
                        assert!(mapped.as_slice() == bytes);
                    }
                };
                let readers = [scope.spawn(read), scope.spawn(read)];
                let is_wanted = || asked.fetch_add(1, Ordering::Relaxed) < n_pieces;
                assert_eq!(mapped.hold(1, &is_wanted), n_pieces == usize::MAX);
                is_done.store(true, Ordering::Relaxed);
                readers.into_iter().for_each(|reader| reader.join().unwrap());
            });
            mapped.forget(&(0..bytes.len()));
            assert!(mapped.as_slice() == bytes);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_forgotten_is_no_longer_in_memory_and_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        let bytes: Vec<u8> = (0..8_000_001u32).map(|place| (place * 7 / 3) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mapped = open(&path).unwrap();
        // How much of this mapping is in memory, by the process's own list of mappings.
        let resident_kb = || -> u64 {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let of_file = maps.split_once(path.to_str().unwrap()).unwrap().1;
            let line = of_file.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
            line.trim().trim_end_matches("kB").trim().parse().unwrap()
        };
        assert!(mapped.as_slice() == bytes && resident_kb() > 7_000);
        mapped.forget(&(100..7_900_000));
        assert!(resident_kb() < 1_000);
        assert!(mapped.as_slice() == bytes && resident_kb() > 7_000);
        mapped.forget(&(8_000_000..9_000_000));
        mapped.forget(&(10..11));
        assert!(mapped.as_slice() == bytes);
    }

    #[test]
    fn a_cut_is_seen_though_the_time_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, b"weights").unwrap();
        let mapped = open(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(3).unwrap();
        file.set_modified(mapped.opened.modified().unwrap()).unwrap();
        assert!(matches!(mapped.check_unchanged(), Err(Error::Changed { .. })));
    }

    #[test]
    fn a_rename_over_the_file_leaves_the_mapping_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, b"old").unwrap();
        let mapped = open(&path).unwrap();
        std::fs::write(folder.path().join("new"), b"newer").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        mapped.check_unchanged().unwrap();
        assert_eq!(mapped.as_slice(), b"old");
    }

    #[test]
    fn an_empty_file_a_folder_and_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        File::create(&path).unwrap();
        assert_eq!(open(&path).unwrap().as_slice(), b"");
        assert!(matches!(open(folder.path()), Err(Error::NotAFile { .. })));
        assert!(matches!(open(&folder.path().join("none")), Err(Error::Io { .. })));
    }
}
