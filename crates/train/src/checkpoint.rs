//! A training on disk, as one safetensors file: settings, progress, weights, and moments.
//!
//! The file is written beside the old one, made durable, and then takes its name: whoever reads finds the old
//! checkpoint or the new one, whole. Not for trained models: those go into the store.

use std::io::Write;
use std::path::{Path, PathBuf};

use base::disk::{Disk, replace};
use formats::metadata::Value;
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, safetensors};
use models::parameters::{Learned, Parameter, Parameters};
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
    let io = |action, path: &Path, source| Error::Io { action, path: path.to_path_buf(), source };
    replace(disk, path, |out| write(out, path, training, notes), io)
}

fn write(out: &mut dyn Write, path: &Path, training: &Training, notes: &str) -> Result<(), Error> {
    let format = |source| match source {
        formats::Error::Io { source, .. } => Error::Io { action: "write", path: path.to_path_buf(), source },
        source => Error::Format { path: path.to_path_buf(), source },
    };
    let mut metadata = Metadata::new(&path.display().to_string());
    let json = |value: serde_json::Result<String>| value.expect("settings and progress are plain values");
    let entries = [
        ("settings", json(serde_json::to_string(training.settings()))),
        ("progress", json(serde_json::to_string(training.progress()))),
        ("notes", notes.to_owned()),
    ];
    for (key, value) in entries {
        metadata.insert(key, Value::String(value));
    }
    let parameters = training.parameters();
    let mut writer = safetensors::write(out, &metadata, &specs(parameters)).map_err(format)?;
    for parameter in parameters.iter() {
        writer.append(&bytes(&parameter.tensor)).map_err(format)?;
    }
    for index in 0..MOMENTS.len() {
        for moments in &training.optimiser.moments {
            writer.append(&bytes(&moments[index])).map_err(format)?;
        }
    }
    writer.finish().map_err(format)?;
    Ok(())
}

fn specs(parameters: &Parameters) -> Vec<TensorSpec> {
    let of = |group: &'static str| {
        parameters.iter().map(move |parameter| TensorSpec {
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
    path: PathBuf,
    file: TensorFile,
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
        let format = |source| Error::Format { path: path.to_path_buf(), source };
        let bytes = FileBytes::open(path).map_err(format)?;
        let file = safetensors::read(&bytes).map_err(format)?;
        let text = |key: &str| file.metadata().read::<&str>(key).map_err(format);
        let settings = parse(path, "settings", text("settings")?)?;
        let progress = parse(path, "progress", text("progress")?)?;
        let notes = text("notes")?.to_owned();
        Ok(Self { path: path.to_path_buf(), settings, progress, notes, file })
    }

    /// The weights of the tensor called `name`.
    ///
    /// # Errors
    /// [`Error::Format`] when there is none, [`Error::Mismatch`] when it has not `n` values.
    pub fn weights(&self, name: &str, n: usize) -> Result<Vec<f32>, Error> {
        self.values(&format!("{WEIGHT}{name}"), n)
    }

    /// The training as it was, given parameters of its model with any values.
    ///
    /// # Errors
    /// Those of [`Saved::weights`].
    pub fn restore(self, parameters: Parameters) -> Result<Training, Error> {
        let mut training = Training::new(parameters, self.settings.clone())?;
        let of = |parameter: &Parameter| (parameter.name.clone(), parameter.shape.clone());
        let planned: Vec<(String, Vec<usize>)> = training.parameters().iter().map(of).collect();
        let device = training.parameters().device().clone();
        let read = |group: &str, (name, shape): &(String, Vec<usize>)| {
            let values = self.values(&format!("{group}{name}"), shape.iter().product())?;
            Ok(Learned::new(values, shape, &device))
        };
        // One after the other, so that no second set of them exists.
        for (index, parameter) in planned.iter().enumerate() {
            training.optimiser.moments[index] = [read(MOMENTS[0], parameter)?, read(MOMENTS[1], parameter)?];
            training.replace_weight(index, read(WEIGHT, parameter)?);
        }
        training.progress = self.progress;
        Ok(training)
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

fn parse<T: DeserializeOwned>(path: &Path, what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let problem = format!("its {what} cannot be read: {error}");
        Error::Mismatch { path: path.to_path_buf(), problem }
    })
}
