//! A training on disk: weights, moments, and how far it is, as one safetensors file.

use super::optimiser::Moments;
use anyhow::{Context, Result};
use formats::metadata::Value;
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, safetensors};
use models::parameters::Parameters;
use std::path::Path;

/// The file in the checkpoint folder.
const FILE: &str = "training.safetensors";

/// How far a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub steps: u32,
    /// Time spent on them, in seconds.
    pub seconds: f64,
}

/// Writes a checkpoint; an older one stays until the new one is complete.
pub fn save(folder: &Path, parameters: &Parameters, moments: &[Moments], progress: Progress) -> Result<()> {
    let mut metadata = Metadata::new(FILE);
    metadata.insert("steps", Value::String(progress.steps.to_string()));
    metadata.insert("seconds", Value::String(progress.seconds.to_string()));
    let mut specs = Vec::new();
    for kind in ["weight", "first", "second"] {
        specs.extend(parameters.iter().map(|parameter| TensorSpec {
            name: format!("{kind}/{}", parameter.name),
            dtype: Dtype::F32,
            shape: parameter.shape.clone(),
        }));
    }
    let mut writer = safetensors::write(Vec::new(), &metadata, &specs)?;
    for parameter in parameters.iter() {
        writer.append(&bytes(&parameter.tensor.values()))?;
    }
    for moments in moments {
        writer.append(&bytes(&moments.first))?;
    }
    for moments in moments {
        writer.append(&bytes(&moments.second))?;
    }
    std::fs::create_dir_all(folder)?;
    let beside = folder.join("training.new");
    std::fs::write(&beside, writer.finish()?)?;
    std::fs::rename(beside, folder.join(FILE))?;
    Ok(())
}

/// A checkpoint that was read.
pub struct Saved {
    file: TensorFile,
    /// How far it is.
    pub progress: Progress,
}

impl Saved {
    /// Reads the checkpoint in `folder`.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = FileBytes::open(&path).with_context(|| format!("no checkpoint: {}", path.display()))?;
        let file = safetensors::read(&bytes)?;
        let steps = file.metadata().read::<&str>("steps")?.parse()?;
        let seconds = file.metadata().read::<&str>("seconds")?.parse()?;
        Ok(Self { file, progress: Progress { steps, seconds } })
    }

    /// The weights of the tensor called `name`.
    pub fn weight(&self, name: &str) -> Result<Vec<f32>> {
        self.read("weight", name)
    }

    /// The moments of the tensor called `name`.
    pub fn moments(&self, name: &str) -> Result<Moments> {
        Ok(Moments { first: self.read("first", name)?, second: self.read("second", name)? })
    }

    fn read(&self, kind: &str, name: &str) -> Result<Vec<f32>> {
        let bytes = self.file.tensor_bytes(self.file.tensor(&format!("{kind}/{name}"))?)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
