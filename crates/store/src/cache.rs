//! What can be made again at any time and is kept so that it need not be: files below `models/cache`, named by the
//! digest of what they were made from.
//!
//! Not a part of any model: nothing is lost with a file. So nothing here fails: what cannot be had is not there, what
//! cannot be kept is not kept, and no home is made for it. What is given back was kept once; whether it is sound, who
//! asks has to check.

use std::io::Read;
use std::path::{Path, PathBuf};

use base::disk::{Kind, replace};

use crate::{Digest, Error, Result, Store};

/// The longest file.
const MAX_BYTES: u64 = 256 << 20;
/// The most files of one kind; beyond them the oldest goes.
const MAX_FILES: usize = 16;

impl Store {
    /// What was kept of `kind` for this source, such as `vocabularies`; `None` where nothing is or can be read.
    pub fn cached(&self, kind: &'static str, source: &Digest) -> Option<Vec<u8>> {
        let path = self.layout.cache.join(kind).join(source.file_name());
        let facts = self.disk.facts(&path).ok()?;
        if facts.kind != Kind::File || facts.size_bytes > MAX_BYTES {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(facts.size_bytes).ok()?);
        self.disk.open(&path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Keeps `bytes` of `kind` for this source, where there is a home that can be written to.
    pub fn keep_cached(&self, kind: &'static str, source: &Digest, bytes: &[u8]) {
        let has_home = self.disk.facts(&self.layout.models).is_ok_and(|facts| facts.kind == Kind::Directory);
        if has_home && bytes.len() as u64 <= MAX_BYTES {
            // A cache that cannot be written costs time at the next start, and nothing else.
            let _ = self.try_to_keep(&self.layout.cache.join(kind), source, bytes);
        }
    }

    fn try_to_keep(&self, folder: &Path, source: &Digest, bytes: &[u8]) -> Result<()> {
        self.ensure_folder(&self.layout.cache)?;
        self.ensure_folder(folder)?;
        let path = folder.join(source.file_name());
        replace(
            &*self.disk,
            &path,
            |file| file.write_all(bytes).map_err(|error| Error::io("write", &path, error)),
            Error::io,
        )?;
        self.forget_oldest(folder)
    }

    /// Removes the oldest files beyond [`MAX_FILES`].
    fn forget_oldest(&self, folder: &Path) -> Result<()> {
        let mut files: Vec<(i64, PathBuf)> = Vec::new();
        for entry in self.entries(folder)? {
            let is_kept = entry.name.to_str().and_then(Digest::from_file_name).is_some();
            let path = folder.join(entry.name);
            if let Some(facts) = self.disk.facts(&path).ok().filter(|_| is_kept) {
                files.push((facts.modified_ns, path));
            }
        }
        files.sort();
        let n_beyond = files.len().saturating_sub(MAX_FILES);
        for (_, path) in &files[..n_beyond] {
            self.disk.remove_file(path).map_err(|error| Error::io("remove", path, error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::disk::RealDisk;
    use testkit::disk::{Fault, FaultyDisk, Lasting, Plan, Survives};

    use super::*;

    const KIND: &str = "words";

    fn with_home(disk: impl base::disk::Disk + 'static, home: &Path) -> Store {
        std::fs::create_dir_all(home.join("models")).unwrap();
        Store::open(Arc::new(disk), home).unwrap()
    }

    fn digest(number: usize) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    #[test]
    fn what_is_kept_is_found_by_kind_and_source_and_replaced() {
        let home = tempfile::tempdir().unwrap();
        let store = with_home(RealDisk, home.path());
        assert_eq!(store.cached(KIND, &digest(1)), None);
        for bytes in [&b"first"[..], b"second", b""] {
            store.keep_cached(KIND, &digest(1), bytes);
            assert_eq!(store.cached(KIND, &digest(1)).as_deref(), Some(bytes));
        }
        assert_eq!((store.cached("others", &digest(1)), store.cached(KIND, &digest(2))), (None, None));
        assert!(store.list().unwrap().broken.is_empty(), "it is no model");
        assert!(store.gc_plan(crate::versions::Keep::default()).unwrap().is_empty(), "nor a blob");
    }

    #[test]
    fn the_oldest_goes() {
        let home = tempfile::tempdir().unwrap();
        let store = with_home(RealDisk, home.path());
        for number in 0..MAX_FILES + 3 {
            store.keep_cached(KIND, &digest(number), b"x");
            let file = std::fs::File::options()
                .write(true)
                .open(store.layout.cache.join(KIND).join(digest(number).file_name()));
            let age = std::time::Duration::from_secs(number as u64);
            file.unwrap().set_modified(std::time::UNIX_EPOCH + age).unwrap();
        }
        let kept = |number: usize| store.cached(KIND, &digest(number)).is_some();
        // The newest is always younger than what was set by hand.
        let expected: Vec<bool> = (0..MAX_FILES + 3).map(|number| number >= 3).collect();
        assert_eq!((0..MAX_FILES + 3).map(kept).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_home_is_made_and_none_that_fails_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let store = Store::open(Arc::new(RealDisk), &home).unwrap();
        store.keep_cached(KIND, &digest(1), b"x");
        assert!(store.cached(KIND, &digest(1)).is_none() && !home.exists());
        let faults =
            [Fault::ReadOnly, Fault::Permission, Fault::NoSpace, Fault::PowerLoss(Survives::Nothing)];
        for fault in faults {
            for at in 0..12 {
                let home = folder.path().join(format!("{fault:?} {at}"));
                std::fs::create_dir_all(home.join("models")).unwrap();
                let plan = Plan { fault, at, lasting: Lasting::FromThenOn, seed: at };
                let store = Store::open(Arc::new(FaultyDisk::new(&home, Some(plan))), &home);
                if let Ok(store) = store {
                    store.keep_cached(KIND, &digest(1), b"whole");
                }
                let after = Store::open(Arc::new(RealDisk), &home).unwrap().cached(KIND, &digest(1));
                assert!(after.is_none_or(|bytes| bytes == b"whole"), "{fault:?} at {at}");
            }
        }
    }
}
