//! A model in several files, as `transformers` writes them: in a folder, or in the store under the names that they had
//! there.

use std::path::{Path, PathBuf};

use formats::{FileBytes, TensorFile, safetensors, shards};
use models::Config;
use serde_json::Value;
use store::Store;
use text::{Tokenizer, VocabularyParts};

use crate::Failure;

/// The longest settings that are read.
const MAX_SETTINGS_BYTES: u64 = 16 << 20;
/// Weights, the better format first; of shards their list.
const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Finds a file by its name; `None` where there is none.
type Open<'a> = Box<dyn Fn(&str) -> Result<Option<FileBytes>, Failure> + 'a>;

/// The files of a model.
pub(crate) struct Folder<'a> {
    /// How errors name it.
    label: String,
    open: Open<'a>,
}

impl<'a> Folder<'a> {
    /// A folder on disk.
    pub fn at(path: &Path) -> Self {
        let root: PathBuf = path.to_owned();
        let open = move |name: &str| {
            let path = root.join(name);
            match path.is_file() {
                true => Ok(Some(FileBytes::open(&path)?)),
                false => Ok(None),
            }
        };
        Self { label: path.display().to_string(), open: Box::new(open) }
    }

    /// A model in the store.
    pub fn of(store: &'a Store, model: &'a store::Model) -> Self {
        let open = move |name: &str| {
            let found = model.manifest.files.iter().find(|file| file.name.as_deref() == Some(name));
            match found {
                Some(file) => Ok(Some(FileBytes::open(&store.locate(file)?)?.with_label(name))),
                None => Ok(None),
            }
        };
        Self { label: model.name.to_string(), open: Box::new(open) }
    }

    /// How errors name it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A file of settings; `None` where there is none.
    pub fn settings(&self, name: &str) -> Result<Option<Value>, Failure> {
        let Some(file) = (self.open)(name)? else { return Ok(None) };
        let bad = |reason: String| {
            let message = format!("{}: {name}: {reason}", self.label);
            Failure::new("bad_file", message, "fetch the model again from its source")
        };
        if file.size_bytes() > MAX_SETTINGS_BYTES {
            return Err(bad(format!("{} bytes, at most {MAX_SETTINGS_BYTES} are read", file.size_bytes())));
        }
        serde_json::from_slice(file.as_slice()).map(Some).map_err(|error| bad(error.to_string()))
    }

    /// `config.json`.
    pub fn config(&self) -> Result<Value, Failure> {
        self.settings("config.json")?.ok_or_else(|| self.missing("config.json"))
    }

    /// The weights, in however many files.
    pub fn weights(&self) -> Result<TensorFile, Failure> {
        for name in WEIGHTS {
            let Some(file) = (self.open)(name)? else { continue };
            return Ok(match name {
                "model.safetensors" => safetensors::read(&file)?,
                "pytorch_model.bin" => formats::pytorch::read(&file)?,
                _ => shards::read(&file, |shard| self.shard(shard))?,
            });
        }
        Err(self.missing(WEIGHTS[0]))
    }

    fn shard(&self, name: &str) -> Result<FileBytes, formats::Error> {
        let missing =
            || formats::Error::MissingPart { file: self.label.as_str().into(), part: name.to_owned() };
        (self.open)(name).ok().flatten().ok_or_else(missing)
    }

    /// The vocabulary.
    pub fn tokenizer(&self) -> Result<Tokenizer, Failure> {
        if let Some(file) = (self.open)("tokenizer.json")? {
            return Ok(Tokenizer::from_json(file.as_slice())?);
        }
        let Some(file) = (self.open)("vocab.txt")? else { return Err(self.missing("tokenizer.json")) };
        let mut parts = VocabularyParts::from_vocab_txt(file.as_slice())?;
        if let Some(config) = (self.open)("tokenizer_config.json")? {
            parts = parts.with_tokenizer_config(config.as_slice())?;
        }
        Ok(Tokenizer::from_parts(parts)?)
    }

    /// Its family and its sizes.
    pub fn family(&self) -> Result<(&'static models::Family, Config), Failure> {
        let config = self.config()?;
        let family = models::families::recognise_config(&config, &self.label)?;
        let config = Config::from_hugging_face(&config, &family.hugging_face, &self.label)?;
        Ok((family, config))
    }

    fn missing(&self, name: &str) -> Failure {
        let message = format!("{}: there is no {name}", self.label);
        Failure::new("bad_file", message, "name a folder with config.json, the weights and the vocabulary")
    }
}
