//! Taking a model away.
//!
//! Does not: touch files in place. What else nobody names any more goes with it.

use std::io;

use crate::versions::Removed;
use crate::write::check_writable;
use crate::{Error, ModelName, Result, Store};

impl Store {
    /// Removes a name with all its versions, then the blobs that nobody else names. Also removes a name whose
    /// record is damaged.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the nearest names, [`Error::NotOwn`], [`Error::Pinned`], and those of a write. A failure to collect is no error: the
    /// name is gone, and the answer says what stayed.
    pub fn remove(&self, name: &ModelName) -> Result<Removed> {
        check_writable(name)?;
        let path = self.layout.record(name);
        match self.disk.facts(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.not_own(name)),
            _ => {}
        }
        let _lock = self.begin_write()?;
        match self.check_unpinned(name) {
            Ok(()) | Err(Error::FutureVersion { .. }) => {}
            refused => return refused.map(|()| Removed::default()),
        }
        match self.disk.remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.not_own(name)),
            other => other.map_err(|error| Error::io("remove", &path, error))?,
        }
        let folders = self.layout.record_folders(name);
        // Durable before any blob goes: otherwise a power loss could bring back a model without its bytes.
        self.sync_folder(&folders[2])?;
        for folder in folders.iter().rev() {
            if self.disk.remove_dir(folder).is_err() {
                break; // Another tag or model lives in it.
            }
        }
        Ok(self.collect_unused())
    }
}
