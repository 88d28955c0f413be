//! Jobs that make models: training, and writing models for other programs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
pub use train::pictures::{Knobs as PictureKnobs, Storage as PictureStorage};
pub use train::{Kind, Knobs, Size};

/// Train a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// The name that the model gets, and the run; to go on with, the run's name or its model's.
    pub name: String,
    /// New, or going on.
    pub start: Start,
}

/// How a training starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// From random weights, or from those of a model.
    New(Box<NewTraining>),
    /// An image model from random weights.
    NewPictures(Box<NewPictures>),
    /// From the last checkpoint of the run.
    Resume,
}

/// A training from its first step on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTraining {
    /// A folder of `.txt`, `.md` and `.jsonl` files, or one of them.
    pub data: PathBuf,
    /// What was set; the rest is derived.
    pub knobs: Knobs,
    /// What a token is.
    pub vocabulary: Vocabulary,
    /// A model whose weights to go on from, with its vocabulary and its sizes; random weights when absent.
    #[serde(default)]
    pub weights_from: Option<String>,
    /// When to look at what is being made.
    pub watch: Watch,
}

/// A training of an image model from its first step on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewPictures {
    /// A folder of PNG files with a `metadata.jsonl`, or with a `.txt` beside each.
    pub data: PathBuf,
    /// What was set; the rest is derived.
    pub knobs: PictureKnobs,
}

/// Where the vocabulary comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vocabulary {
    /// Byte pairs, learned from the data.
    #[default]
    Learned,
    /// One token for each character of the data.
    Characters,
    /// That of a model.
    Of(String),
}

/// When to look at what is being made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// Share of the documents that only measure; a twentieth when absent.
    pub held_out: Option<f64>,
    /// Steps from one measurement of the held-out part to the next; a twentieth of all when absent.
    pub evaluate_every: Option<u64>,
    /// What the model is given to go on with after each measurement; the start of a held-out text when absent.
    pub sample: Option<String>,
    /// Measurements without a new lowest loss after which the training ends; 0 never ends it early, and 10 when absent.
    pub patience: Option<u64>,
    /// Seconds from one checkpoint to the next; 300 when absent.
    pub save_every_s: Option<f64>,
}

/// What to tell of runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runs {
    /// All of them.
    List,
    /// One with its curve.
    Show(String),
    /// Two beside each other.
    Compare(String, String),
}

/// Write a model for other programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The model's name, or the path of a model file.
    pub model: String,
    /// What it is written as.
    pub format: Format,
    /// How its matrices are stored; as they are when absent.
    pub storage: Option<Storage>,
    /// The file, or the folder of a safetensors model.
    pub out: PathBuf,
}

/// What a model is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One GGUF file, as llama.cpp and Ollama read it.
    Gguf,
    /// A folder with safetensors, `config.json` and `tokenizer.json`, as `transformers` reads it.
    Safetensors,
}

/// How matrices are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// The upper half of them.
    Bf16,
    /// IEEE half precision.
    F16,
    /// Blocks of 32 eight-bit numbers with a scale; rows that are no whole number of blocks stay 32-bit floats.
    Q8_0,
}
