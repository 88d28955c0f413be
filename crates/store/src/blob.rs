//! Files that come before it is known which model they are for: each a blob, under the digest that was announced for it.
//!
//! Does not: keep a byte of a file whose content has another digest, or hold on to a blob that no model names: the next
//! collection takes it away.

use std::io::{self, Read};
use std::path::PathBuf;

use base::disk::Kind;

use crate::draft::Draft;
use crate::import::SPARE_BYTES;
use crate::{Digest, Error, Result, Store};

impl Store {
    /// How many bytes the blob of this content has; `None` where there is none.
    ///
    /// # Errors
    /// Those of looking at the disk.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.layout.blob(digest);
        match self.disk.facts(&path) {
            Ok(facts) if facts.kind == Kind::File => Ok(Some(facts.size_bytes)),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", &path, error)),
        }
    }

    /// Where the blob of this content lies.
    ///
    /// # Errors
    /// [`Error::FileMissing`], and those of looking at the disk.
    pub fn blob_path(&self, digest: &Digest) -> Result<PathBuf> {
        let path = self.layout.blob(digest);
        match self.blob_size(digest)? {
            Some(_) => Ok(path),
            None => Err(Error::FileMissing { path }),
        }
    }

    /// Takes in a file of at most so many bytes as the blob of `digest`, and gives its length. Until all of it is there and
    /// has that digest, no reader sees any of it.
    ///
    /// # Errors
    /// [`Error::OtherContent`], [`Error::TooLarge`], [`Error::DiskFull`] and the others of a write; nothing of the file
    /// stays then.
    pub fn put_blob(&self, digest: &Digest, reader: &mut dyn Read, at_most_bytes: u64) -> Result<u64> {
        let mut draft = {
            let _lock = self.begin_write()?;
            Draft::create(&*self.disk, &self.layout.drafts)?
        };
        let folder = &self.layout.drafts;
        let free = self.disk.free_bytes(folder).map_err(|error| Error::io("look at", folder, error))?;
        let room = free.map_or(u64::MAX, |free| free.saturating_sub(SPARE_BYTES));
        let most = at_most_bytes.min(room);
        let (found, size_bytes) = draft.fill(&mut reader.take(most.saturating_add(1)), folder)?;
        if size_bytes > at_most_bytes {
            return Err(Error::TooLarge { what: "the file", limit: at_most_bytes });
        }
        if size_bytes > room {
            return Err(Error::DiskFull { path: folder.clone(), needed_bytes: None, free_bytes: free });
        }
        if found != *digest {
            return Err(Error::OtherContent { expected: *digest, found });
        }
        let _lock = self.begin_write()?;
        draft.publish(&self.layout.blob(digest))?;
        self.sync_folder(&self.layout.blobs)?;
        Ok(size_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::disk::RealDisk;

    use super::*;
    use crate::{ModelInfo, ModelName, NewFile, Role, Source};

    fn home() -> (tempfile::TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(Arc::new(RealDisk), home.path()).unwrap();
        (home, store)
    }

    fn n_files(home: &tempfile::TempDir, folder: &str) -> usize {
        std::fs::read_dir(home.path().join("models").join(folder)).unwrap().count()
    }

    #[test]
    fn a_file_is_kept_under_its_digest_alone() {
        let (home, store) = home();
        let digest = Digest::of(b"weights");
        assert_eq!(store.blob_size(&digest).unwrap(), None);
        assert!(matches!(store.blob_path(&digest), Err(Error::FileMissing { .. })));
        assert_eq!(store.put_blob(&digest, &mut &b"weights"[..], 7).unwrap(), 7);
        assert_eq!(store.blob_size(&digest).unwrap(), Some(7));
        assert_eq!(std::fs::read(store.blob_path(&digest).unwrap()).unwrap(), b"weights");
        assert_eq!((n_files(&home, "tmp"), n_files(&home, "blobs")), (0, 1));
    }

    #[test]
    fn nothing_stays_of_other_content_or_of_too_much() {
        let (home, store) = home();
        let digest = Digest::of(b"weights");
        let wrong = store.put_blob(&digest, &mut &b"weightz"[..], 100);
        assert!(
            matches!(wrong, Err(Error::OtherContent { expected, found }) if expected == digest && found != digest)
        );
        let half = store.put_blob(&digest, &mut &b"weig"[..], 100);
        assert!(matches!(half, Err(Error::OtherContent { .. })));
        let long = store.put_blob(&digest, &mut &b"weights"[..], 6);
        assert!(matches!(long, Err(Error::TooLarge { limit: 6, .. })));
        assert_eq!((n_files(&home, "tmp"), n_files(&home, "blobs")), (0, 0));
    }

    #[test]
    fn a_model_takes_a_blob_over_without_a_copy_and_others_are_collected() {
        let (_home, store) = home();
        let (used, unused) = (Digest::of(b"weights"), Digest::of(b"nobody's"));
        for (digest, bytes) in [(used, &b"weights"[..]), (unused, b"nobody's")] {
            store.put_blob(&digest, &mut &*bytes, 100).unwrap();
        }
        let file = |digest| NewFile {
            role: Role::Model,
            format: "gguf".into(),
            name: None,
            source: Source::Stored(digest),
        };
        let name = ModelName::parse("made").unwrap();
        let model = store.import(&name, vec![file(used)], ModelInfo::default(), 0).unwrap();
        let weights = model.manifest.file(Role::Model).unwrap();
        assert_eq!((weights.digest, weights.size_bytes), (used, 7));
        assert_eq!(store.locate(weights).unwrap(), store.blob_path(&used).unwrap());
        store.collect().unwrap();
        assert_eq!(store.blob_size(&unused).unwrap(), None);
        assert_eq!(store.blob_size(&used).unwrap(), Some(7));
        let gone = store.import(&name, vec![file(unused)], ModelInfo::default(), 0);
        assert!(matches!(gone, Err(Error::FileMissing { .. })));
    }
}
