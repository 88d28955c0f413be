//! A training on pictures on disk, in the form of every checkpoint.

use std::path::Path;

use base::disk::Disk;
use models::parameters::Parameter;

use super::painting::{Learner, Painting, Progress};
use super::settings::Settings;
use crate::Error;
use crate::checkpoint::{self, Stored, Words, json, planned};

/// Writes a checkpoint to `path`. `notes` is whatever the caller wants to read back.
///
/// # Errors
/// [`Error::Io`], [`Error::Format`]; the older checkpoint is then still there.
pub fn save(disk: &dyn Disk, path: &Path, painting: &Painting, notes: &str) -> Result<(), Error> {
    let learners = painting.learners.each_ref().map(|learner| checkpoint::Learner {
        parameters: learner.weights.iter().collect::<Vec<&Parameter>>(),
        moments: &learner.optimiser.moments,
    });
    let words = Words { settings: json(&painting.settings), progress: json(&painting.progress), notes };
    checkpoint::save_all(disk, path, &words, &learners)
}

/// A checkpoint that was read.
pub struct Saved {
    stored: Stored,
    settings: Settings,
    progress: Progress,
    /// What the caller of [`save`] wrote down.
    pub notes: String,
}

impl Saved {
    /// Reads the checkpoint at `path`; its tensors stay on disk.
    ///
    /// # Errors
    /// [`Error::Format`] and [`Error::Mismatch`] when it is no checkpoint of a training on pictures, or a broken one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let stored = Stored::open(path)?;
        let (settings, progress) = (stored.parse("settings")?, stored.parse("progress")?);
        Ok(Self { settings, progress, notes: stored.text("notes")?.to_owned(), stored })
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.progress.steps
    }

    /// The training as it was.
    ///
    /// # Errors
    /// As [`Saved::open`], and those of [`Painting::new`] where its settings are no settings.
    pub fn restore(self) -> Result<Painting, Error> {
        let mut painting = Painting::new(self.settings)?;
        for Learner { weights, optimiser } in &mut painting.learners {
            let device = weights.device().clone();
            let names = planned(weights.iter());
            for ((tensor, moments), name) in weights.tensors_mut().zip(&mut optimiser.moments).zip(&names) {
                [*tensor, moments[0], moments[1]] = self.stored.learned(name, &device)?;
            }
        }
        painting.progress = self.progress;
        Ok(painting)
    }
}
