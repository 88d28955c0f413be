//! A training on disk, as one safetensors file: settings, progress, weights, and moments.
//!
//! The file is written beside the old one, made durable, and then takes its name: whoever reads finds the old
//! checkpoint or the new one, whole. Not for trained models: those go into the store.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::disk::{Disk, replace};
use burn::tensor::Device;
use formats::metadata::Value;
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, safetensors};
use models::parameters::{Learned, Parameter, Parameters};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::training::{Progress, Training};
use crate::{Error, Settings};

/// What the three groups of tensors begin with.
const WEIGHT: &str = "weight/";
const MOMENTS: [&str; 2] = ["first/", "second/"];

/// Writes a checkpoint to `path`. `notes` is whatever the caller wants to read back.
///
/// # Errors
/// [`Error::Io`], [`Error::Format`]; the older checkpoint is then still there.
pub fn save(disk: &dyn Disk, path: &Path, training: &Training, notes: &str) -> Result<(), Error> {
    let learners = [Learner {
        parameters: training.parameters().iter().collect(),
        moments: &training.optimiser.moments,
    }];
    let words = Words { settings: json(training.settings()), progress: json(training.progress()), notes };
    save_all(disk, path, &words, &learners)
}

/// What a checkpoint says besides its numbers.
pub(crate) struct Words<'a> {
    pub settings: String,
    pub progress: String,
    pub notes: &'a str,
}

/// Tensors that learn together.
pub(crate) struct Learner<'a> {
    pub parameters: Vec<&'a Parameter>,
    pub moments: &'a [[Learned; 2]],
}

/// Settings or progress as they are written down.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("settings and progress are plain values")
}

/// Writes a checkpoint of everything that learns.
pub(crate) fn save_all(
    disk: &dyn Disk,
    path: &Path,
    words: &Words<'_>,
    learners: &[Learner<'_>],
) -> Result<(), Error> {
    let io = |action, path: &Path, source| Error::Io { action, path: path.to_path_buf(), source };
    replace(disk, path, |out| write(out, path, words, learners), io)
}

fn write(out: &mut dyn Write, path: &Path, words: &Words<'_>, learners: &[Learner<'_>]) -> Result<(), Error> {
    let format = |source| match source {
        formats::Error::Io { source, .. } => Error::Io { action: "write", path: path.to_path_buf(), source },
        source => Error::Format { path: path.to_path_buf(), source },
    };
    let mut metadata = Metadata::new(&path.display().to_string());
    let Words { settings, progress, notes } = words;
    for (key, value) in [("settings", settings.as_str()), ("progress", progress), ("notes", notes)] {
        metadata.insert(key, Value::String(value.to_owned()));
    }
    let mut writer = safetensors::write(out, &metadata, &specs(learners)).map_err(format)?;
    for parameter in learners.iter().flat_map(|learner| &learner.parameters) {
        writer.append(&bytes(&parameter.tensor)).map_err(format)?;
    }
    for index in 0..MOMENTS.len() {
        for moments in learners.iter().flat_map(|learner| learner.moments) {
            writer.append(&bytes(&moments[index])).map_err(format)?;
        }
    }
    writer.finish().map_err(format)?;
    Ok(())
}

fn specs(learners: &[Learner<'_>]) -> Vec<TensorSpec> {
    let of = |group: &'static str| {
        learners.iter().flat_map(|learner| &learner.parameters).map(move |parameter| TensorSpec {
            name: format!("{group}{}", parameter.name),
            dtype: Dtype::F32,
            shape: parameter.shape.clone(),
        })
    };
    of(WEIGHT).chain(of(MOMENTS[0])).chain(of(MOMENTS[1])).collect()
}

fn bytes(tensor: &Learned) -> Vec<u8> {
    tensor.values().iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A checkpoint that was read.
pub struct Saved {
    stored: Stored,
    /// How it trained.
    pub settings: Settings,
    /// How far it is.
    pub progress: Progress,
    /// What the caller of [`save`] wrote down.
    pub notes: String,
}

impl Saved {
    /// Reads the checkpoint at `path`; its tensors stay on disk.
    ///
    /// # Errors
    /// [`Error::Format`] and [`Error::Mismatch`] when it is no checkpoint, or a broken one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let stored = Stored::open(path)?;
        let (settings, progress) = (stored.parse("settings")?, stored.parse("progress")?);
        Ok(Self { settings, progress, notes: stored.text("notes")?.to_owned(), stored })
    }

    /// The weights of the tensor called `name`.
    ///
    /// # Errors
    /// [`Error::Format`] when there is none, [`Error::Mismatch`] when it has not `n` values.
    pub fn weights(&self, name: &str, n: usize) -> Result<Vec<f32>, Error> {
        self.stored.values(&format!("{WEIGHT}{name}"), n)
    }

    /// The training as it was, given parameters of its model with any values.
    ///
    /// # Errors
    /// Those of [`Saved::weights`].
    pub fn restore(self, parameters: Parameters) -> Result<Training, Error> {
        let mut training = Training::new(parameters, self.settings.clone())?;
        let planned = planned(training.parameters().iter());
        let device = training.parameters().device().clone();
        // One after the other, so that no second set of them exists.
        for (index, parameter) in planned.iter().enumerate() {
            let [weight, moments @ ..] = self.stored.learned(parameter, &device)?;
            training.optimiser.moments[index] = moments;
            training.replace_weight(index, weight);
        }
        training.progress = self.progress;
        Ok(training)
    }
}

/// Name and shape of a tensor that is read back.
pub(crate) type Planned = (String, Vec<usize>);

/// What is to be read back for `parameters`.
pub(crate) fn planned<'a>(parameters: impl Iterator<Item = &'a Parameter>) -> Vec<Planned> {
    parameters.map(|parameter| (parameter.name.clone(), parameter.shape.clone())).collect()
}

/// The file of a checkpoint.
pub(crate) struct Stored {
    path: PathBuf,
    file: TensorFile,
}

impl Stored {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let format = |source| Error::Format { path: path.to_path_buf(), source };
        let bytes = FileBytes::open(path).map_err(format)?;
        let file = safetensors::read(&bytes).map_err(format)?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    pub fn text(&self, key: &str) -> Result<&str, Error> {
        let text = self.file.metadata().read::<&str>(key);
        text.map_err(|source| Error::Format { path: self.path.clone(), source })
    }

    /// What is written down under `key`.
    pub fn parse<T: DeserializeOwned>(&self, key: &str) -> Result<T, Error> {
        serde_json::from_str(self.text(key)?).map_err(|error| {
            let problem = format!("its {key} cannot be read: {error}");
            Error::Mismatch { path: self.path.clone(), problem }
        })
    }

    /// The weight and both moments of one tensor.
    pub fn learned(&self, (name, shape): &Planned, device: &Device) -> Result<[Learned; 3], Error> {
        let read = |group: &str| {
            let values = self.values(&format!("{group}{name}"), shape.iter().product())?;
            Ok::<_, Error>(Learned::new(values, shape, device))
        };
        Ok([read(WEIGHT)?, read(MOMENTS[0])?, read(MOMENTS[1])?])
    }

    fn values(&self, name: &str, n: usize) -> Result<Vec<f32>, Error> {
        let format = |source| Error::Format { path: self.path.clone(), source };
        let entry = self.file.tensor(name).map_err(format)?;
        let bytes = self.file.tensor_bytes(entry).map_err(format)?;
        if entry.dtype != Dtype::F32 || bytes.len() != 4 * n {
            let problem = format!("{name} is {} {:?}, not F32 of {n} values", entry.dtype, entry.shape);
            return Err(Error::Mismatch { path: self.path.clone(), problem });
        }
        let values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        self.file.forget(entry);
        Ok(values)
    }
}
