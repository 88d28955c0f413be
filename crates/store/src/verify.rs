//! Reading every byte of a model and comparing it with its digest.
//!
//! Does not: mend anything; importing the model again does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::disk::Kind;

use crate::digest::{Hasher, for_each_chunk};
use crate::{Digest, Error, FileRef, Model, ModelName, Result, Role, Store};

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far, over all files.
    pub done_bytes: u64,
    /// Bytes to read, over all files.
    pub total_bytes: u64,
}

/// What was found about one file of one model.
#[derive(Debug)]
pub struct FileCheck {
    /// The model.
    pub name: ModelName,
    /// What the model uses the file for.
    pub role: Role,
    /// Where it lies.
    pub path: PathBuf,
    /// The digest that it must have.
    pub expected: Digest,
    /// What it is.
    pub outcome: Outcome,
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Every byte is right.
    Right,
    /// There is no such file.
    Missing,
    /// It has another content.
    Wrong {
        /// The digest of what is there.
        found: Digest,
        /// The number of bytes that are there.
        found_bytes: u64,
    },
    /// It could not be read.
    Unreadable {
        /// What the disk says.
        reason: String,
    },
}

impl Store {
    /// Checks every file of one model. `progress` is called at least once per file and per 256 KiB.
    ///
    /// # Errors
    /// Those of [`Store::get`]; what is wrong with a file is in the answer.
    pub fn verify(&self, name: &ModelName, progress: &mut dyn FnMut(Progress)) -> Result<Vec<FileCheck>> {
        Ok(self.check_models(&[self.get(name)?], progress))
    }

    /// Checks every file of a model that was found, whosever it is. `progress` as in [`Store::verify`].
    pub fn verify_model(&self, model: &Model, progress: &mut dyn FnMut(Progress)) -> Vec<FileCheck> {
        self.check_models(std::slice::from_ref(model), progress)
    }

    /// Checks every file of every model, each blob once. The second part is what [`Store::list`] could not read.
    ///
    /// # Errors
    /// Those of [`Store::list`].
    pub fn verify_all(&self, progress: &mut dyn FnMut(Progress)) -> Result<(Vec<FileCheck>, Vec<Error>)> {
        let listing = self.list()?;
        Ok((self.check_models(&listing.models, progress), listing.broken))
    }

    fn check_models(&self, models: &[Model], progress: &mut dyn FnMut(Progress)) -> Vec<FileCheck> {
        let files =
            || models.iter().flat_map(|model| model.manifest.files.iter().map(move |file| (model, file)));
        let sizes: BTreeMap<PathBuf, u64> =
            files().map(|(_, file)| (self.path(file), file.size_bytes)).collect();
        let total_bytes = sizes.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
        let mut state = Progress { done_bytes: 0, total_bytes };
        let mut known: BTreeMap<(PathBuf, Digest), Outcome> = BTreeMap::new();
        let mut check = |model: &Model, file: &FileRef| {
            let path = self.path(file);
            let outcome = known
                .entry((path.clone(), file.digest))
                .or_insert_with(|| {
                    let (before, outcome) = (state.done_bytes, self.check_file(file, &mut state, progress));
                    // A file of another length must not push the sum off its course.
                    state.done_bytes = before.saturating_add(file.size_bytes).min(total_bytes);
                    progress(state);
                    outcome
                })
                .clone();
            FileCheck { name: model.name.clone(), role: file.role, path, expected: file.digest, outcome }
        };
        files().map(|(model, file)| check(model, file)).collect()
    }

    fn check_file(
        &self,
        file: &FileRef,
        state: &mut Progress,
        progress: &mut dyn FnMut(Progress),
    ) -> Outcome {
        let path = self.path(file);
        let unreadable = |reason: String| Outcome::Unreadable { reason };
        match self.disk.facts(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Outcome::Missing,
            Err(error) => return unreadable(error.to_string()),
            Ok(facts) if facts.kind != Kind::File => return unreadable("it is no plain file".into()),
            Ok(_) => {}
        }
        let mut reader = match self.disk.open(&path) {
            Ok(reader) => reader,
            Err(error) => return unreadable(error.to_string()),
        };
        let mut hasher = Hasher::default();
        let read = for_each_chunk(&mut *reader, &path, |chunk| {
            hasher.update(chunk);
            state.done_bytes = state.done_bytes.saturating_add(chunk.len() as u64).min(state.total_bytes);
            progress(*state);
            Ok(())
        });
        match (read, hasher.finish()) {
            (Err(error), _) => unreadable(error.to_string()),
            (Ok(()), (found, _)) if found == file.digest => Outcome::Right,
            (Ok(()), (found, found_bytes)) => Outcome::Wrong { found, found_bytes },
        }
    }
}
