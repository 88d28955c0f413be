//! The disk behind a trait, so that tests can inject faults and a later guard can seal what is written.
//!
//! Does not: know what the files mean, retry a failed write, or decide where anything lives. Errors are plain
//! `std::io::Error`; the caller knows the path and the action and adds them.
//!
//! Source of the durability rules (write, fsync the file, rename, fsync the directory): POSIX.1-2017 `fsync`,
//! `rename`, and T. Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// What Hearth asks of a disk. Every write goes through it.
pub trait Disk: Send + Sync {
    /// Opens a file for reading, following links.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// Creates a file that must not exist, for the owner alone (0600). The file is locked while it is open,
    /// so that [`Disk::remove_leftover`] can tell a living writer's file from a dead one's.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file that is filled in any order and over several runs, created when missing, for the owner alone
    /// (0600). It is locked while it is open: `ErrorKind::WouldBlock` when somebody else holds it.
    fn open_to_fill(&self, path: &Path) -> io::Result<Box<dyn FillFile>>;

    /// Creates one directory, for the owner alone (0700). One that exists is left as it is.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Gives a file a new name, replacing what had that name, in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a file unless a living writer holds it; `false` when one does.
    fn remove_leftover(&self, path: &Path) -> io::Result<bool>;

    /// Whether a file is one that [`Disk::remove_leftover`] would remove now: no living writer holds it.
    fn is_leftover(&self, path: &Path) -> io::Result<bool>;

    /// Where a path leads once every link on the way is followed; the file must be there.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf>;

    /// Removes a directory, which must be empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes names that were created, renamed or removed in this directory survive a power loss.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name, links not followed.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// What is known of a file or directory without reading it, following links.
    fn facts(&self, path: &Path) -> io::Result<Facts>;

    /// Makes now the time at which a file was last changed, where the system can, and changes nothing else.
    fn touch(&self, path: &Path) -> io::Result<()>;

    /// Bytes that may still be written below this existing path; `None` where the system does not tell.
    fn free_bytes(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Takes the one exclusive lock that this file stands for (created when missing, 0600), waiting at most
    /// `wait`; then the error is `ErrorKind::WouldBlock`. A process that dies lets go.
    fn lock(&self, path: &Path, wait: Duration) -> io::Result<Lock>;
}

/// A file that is being written. Dropping it closes it and makes nothing durable.
pub trait WriteFile: Write + Send {
    /// Makes the bytes written so far survive a power loss. After an error the bytes count as lost: writing
    /// the file anew is the only way on, a second `sync` proves nothing.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes this empty file share the blocks of `source`, where the file system can
    /// (`ErrorKind::Unsupported` or another error where it cannot; then nothing was written).
    fn reflink(&mut self, source: &Path) -> io::Result<()>;
}

/// A file whose bytes come in any order, from several threads at once. Dropping it closes it and makes nothing
/// durable.
pub trait FillFile: Send + Sync {
    /// Writes all bytes at an offset; what lies before it and was never written reads as zeros.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads at an offset, at most as much as there is room for; 0 at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Cuts the file off, or lengthens it with zeros.
    fn set_size(&self, size_bytes: u64) -> io::Result<()>;

    /// Makes the bytes written so far survive a power loss. After an error they count as lost.
    fn sync(&self) -> io::Result<()>;
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
#[must_use = "the lock is let go when this is dropped"]
pub struct Lock {
    _file: File,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name within its directory.
    pub name: OsString,
    /// What stands under the name.
    pub kind: Kind,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link (in a listing), device, pipe or socket.
    Other,
}

/// What a disk knows of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the path leads to.
    pub kind: Kind,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// When it was last changed, in nanoseconds since 1970 (negative before, 0 where unknown).
    pub modified_ns: i64,
}

/// Puts a file that `write` makes in the place of what may be at `path`: written beside it, made durable, renamed.
/// Whoever reads finds the old file or the new one, whole; after an error the old one. What an earlier writer left
/// beside it is removed. `failed` turns an error into the caller's, from what was tried and with which file.
///
/// # Errors
/// That of `write`, or what `failed` makes of the disk's.
pub fn replace<E>(
    disk: &dyn Disk,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    failed: impl Fn(&'static str, &Path, io::Error) -> E,
) -> Result<(), E> {
    const BUFFER_BYTES: usize = 1 << 20;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    match disk.remove_leftover(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace", beside, error));
        }
        _ => {}
    }
    // A file that is there now is a living writer's: it stays.
    let file = disk.create_new(beside).map_err(|error| failed("create", beside, error))?;
    let written = || {
        let mut out = io::BufWriter::with_capacity(BUFFER_BYTES, file);
        write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error);
        let mut file = file.map_err(|error| failed("write", beside, error))?;
        file.sync().map_err(|error| failed("make durable", beside, error))
    };
    if let Err(error) = written() {
        let _ = disk.remove_file(beside);
        return Err(error);
    }
    disk.rename(beside, path).map_err(|error| failed("replace", path, error))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.sync_dir(folder).map_err(|error| failed("make durable", folder, error))
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let file = open_private(path, OpenOptions::new().read(true).write(true).create_new(true))?;
        file.lock()?;
        Ok(Box::new(RealFile { file }))
    }

    fn open_to_fill(&self, path: &Path) -> io::Result<Box<dyn FillFile>> {
        let file =
            open_private(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealFile { file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match create_private_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_leftover(&self, path: &Path) -> io::Result<bool> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => fs::remove_file(path).map(|()| true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn is_leftover(&self, path: &Path) -> io::Result<bool> {
        match File::open(path)?.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Only Unix lets a directory be opened and flushed; NTFS journals names by itself.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = fs::read_dir(path)?
            .map(|entry| {
                let entry = entry?;
                Ok(Entry { name: entry.file_name(), kind: Kind::of(entry.file_type()?) })
            })
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let metadata = fs::metadata(path)?;
        Ok(Facts {
            kind: Kind::of(metadata.file_type()),
            size_bytes: metadata.len(),
            modified_ns: nanoseconds_since_1970(&metadata),
        })
    }

    #[cfg(unix)]
    fn touch(&self, path: &Path) -> io::Result<()> {
        use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    #[cfg(not(unix))]
    fn touch(&self, path: &Path) -> io::Result<()> {
        fs::metadata(path).map(drop)
    }

    #[cfg(unix)]
    fn free_bytes(&self, path: &Path) -> io::Result<Option<u64>> {
        let facts = rustix::fs::statvfs(path)?;
        Ok(Some(facts.f_bavail.saturating_mul(facts.f_frsize)))
    }

    #[cfg(not(unix))]
    fn free_bytes(&self, _path: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }

    fn lock(&self, path: &Path, wait: Duration) -> io::Result<Lock> {
        // Asking again every 5 ms costs nothing beside the fsyncs that the holder waits for.
        const ASK_AGAIN: Duration = Duration::from_millis(5);
        let file =
            open_private(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if start.elapsed() < wait => std::thread::sleep(ASK_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Kind {
    fn of(file_type: fs::FileType) -> Self {
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else {
            Self::Other
        }
    }
}

struct RealFile {
    file: File,
}

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for RealFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn reflink(&mut self, source: &Path) -> io::Result<()> {
        Ok(rustix::fs::ioctl_ficlone(&self.file, File::open(source)?)?)
    }

    #[cfg(not(target_os = "linux"))]
    fn reflink(&mut self, _source: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl FillFile for RealFile {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let n_bytes = std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset)?;
            if n_bytes == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[n_bytes..];
            offset += n_bytes as u64;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, bytes, offset)
    }

    fn set_size(&self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Opens with mode 0600 from the first moment on, then sets it again: the umask can only have taken bits away.
fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o777 != 0o600 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        fs::DirBuilder::new().mode(0o700).create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
    }
    #[cfg(not(unix))]
    fs::create_dir(path)
}

fn nanoseconds_since_1970(metadata: &fs::Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else { return 0 };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_once_and_its_name_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let mut file = RealDisk.create_new(&a).unwrap();
        file.write_all(b"words").unwrap();
        file.sync().unwrap();
        assert_eq!(RealDisk.create_new(&a).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
        drop(file);
        RealDisk.rename(&a, &b).unwrap();
        RealDisk.sync_dir(folder.path()).unwrap();
        let mut text = String::new();
        RealDisk.open(&b).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "words");
        assert_eq!(RealDisk.facts(&b).unwrap().size_bytes, 5);
        assert_eq!(RealDisk.list(folder.path()).unwrap(), [Entry { name: "b".into(), kind: Kind::File }]);
    }

    #[test]
    fn a_living_writers_file_is_no_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("temp");
        let file = RealDisk.create_new(&path).unwrap();
        assert!(!RealDisk.is_leftover(&path).unwrap());
        assert!(!RealDisk.remove_leftover(&path).unwrap());
        drop(file);
        assert!(RealDisk.is_leftover(&path).unwrap());
        assert!(RealDisk.remove_leftover(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_is_filled_in_any_order_by_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parts");
        let file = RealDisk.open_to_fill(&path).unwrap();
        file.write_at(b"cd", 2).unwrap();
        let refused = RealDisk.open_to_fill(&path).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(file);
        let file = RealDisk.open_to_fill(&path).unwrap();
        let mut bytes = [9; 8];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
        assert_eq!(&bytes[..4], b"\0\0cd");
        file.write_at(b"ab", 0).unwrap();
        file.set_size(3).unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn a_lock_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path, Duration::ZERO).unwrap();
        let refused = RealDisk.lock(&path, Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        let _again = RealDisk.lock(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_directory_that_exists_is_kept_and_a_file_in_its_place_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        RealDisk.create_dir(&path).unwrap();
        RealDisk.create_dir(&path).unwrap();
        RealDisk.remove_dir(&path).unwrap();
        drop(RealDisk.create_new(&path).unwrap());
        assert_eq!(RealDisk.create_dir(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_that_is_touched_is_the_newest_and_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        fs::write(&path, b"words").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        assert_eq!(RealDisk.facts(&path).unwrap().modified_ns, 0);
        RealDisk.touch(&path).unwrap();
        assert_eq!(RealDisk.facts(&path).unwrap().modified_ns > 0, cfg!(unix));
        assert_eq!(fs::read(&path).unwrap(), b"words");
        assert!(RealDisk.touch(&folder.path().join("none")).is_err());
    }

    #[test]
    fn free_space_is_told_on_unix() {
        let free = RealDisk.free_bytes(&std::env::temp_dir()).unwrap();
        assert_eq!(free.is_some(), cfg!(unix));
    }
}
