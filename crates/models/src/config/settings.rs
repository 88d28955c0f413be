//! What a file says about itself, by key: the metadata of a GGUF file or a Hugging Face `config.json`, unchecked.
//!
//! Does not: know what a key means. An empty key is one that nobody says anything under.

use formats::Metadata;
use formats::metadata::{self, Array};
use serde_json::Value;

use crate::Error;

/// The name by which a setting is written that has been called several.
pub(crate) fn first(key: &'static str) -> &'static str {
    key.split('|').next().unwrap_or(key)
}

/// The settings of a file.
#[derive(Clone, Copy)]
pub(super) enum Settings<'a> {
    /// Keys stand behind the architecture's name and a dot.
    Gguf {
        metadata: &'a Metadata,
        architecture: &'a str,
        file: &'a str,
    },
    HuggingFace {
        config: &'a Value,
        file: &'a str,
    },
}

impl<'a> Settings<'a> {
    /// How the file calls `key`.
    fn name(&self, key: &str) -> String {
        match self {
            Self::Gguf { architecture, .. } => format!("{architecture}.{key}"),
            Self::HuggingFace { .. } => key.split('|').next().unwrap_or(key).to_owned(),
        }
    }

    /// What is wrong with what the file says under `key`.
    pub fn wrong(&self, key: &str, reason: impl Into<String>) -> Error {
        let (Self::Gguf { file, .. } | Self::HuggingFace { file, .. }) = self;
        Error::Setting { file: (*file).into(), key: self.name(key), reason: reason.into() }
    }

    /// The value in a `config.json`, where it is one and has it.
    pub fn json(&self, key: &str) -> Option<&'a Value> {
        match self {
            Self::HuggingFace { config, .. } if !key.is_empty() => {
                key.split('|').find_map(|key| config.get(key).filter(|value| !value.is_null()))
            }
            _ => None,
        }
    }

    fn find<T: metadata::FromValue<'a>>(&self, key: &str) -> Result<Option<T>, Error> {
        match self {
            Self::Gguf { metadata, .. } if !key.is_empty() => Ok(metadata.find(&self.name(key))?),
            _ => Ok(None),
        }
    }

    /// A whole number.
    pub fn count(&self, key: &str) -> Result<Option<u64>, Error> {
        Ok(self.find(key)?.or(self.json(key).and_then(Value::as_u64)))
    }

    /// A number.
    pub fn real(&self, key: &str) -> Result<Option<f64>, Error> {
        let real: Option<f32> = self.find(key)?;
        Ok(real.map(f64::from).or(self.json(key).and_then(Value::as_f64)))
    }

    /// A number above 0.
    pub fn positive(&self, key: &str) -> Result<Option<f64>, Error> {
        match self.real(key)? {
            Some(real) if !(real.is_finite() && real > 0.0) => {
                Err(self.wrong(key, format!("{real} is not a positive number")))
            }
            real => Ok(real),
        }
    }

    /// A truth value.
    pub fn truth(&self, key: &str) -> Result<Option<bool>, Error> {
        Ok(self.find(key)?.or(self.json(key).and_then(Value::as_bool)))
    }

    /// A word.
    pub fn word(&self, key: &str) -> Result<Option<&'a str>, Error> {
        Ok(self.find(key)?.or(self.json(key).and_then(Value::as_str)))
    }

    /// Words in a list.
    pub fn words(&self, key: &str) -> Option<Vec<&'a str>> {
        self.json(key)?.as_array()?.iter().map(Value::as_str).collect()
    }

    /// Truth values in a list; a number is true unless it is 0.
    pub fn truths(&self, key: &str) -> Result<Option<Vec<bool>>, Error> {
        let truth = |value: &Value| value.as_bool().or(value.as_u64().map(|number| number != 0));
        if let Some(list) = self.json(key).and_then(Value::as_array) {
            return Ok(list.iter().map(truth).collect());
        }
        if let Self::Gguf { metadata, .. } = self
            && let Some(metadata::Value::Array(array)) = metadata.get(&self.name(key))
        {
            return Ok(match array {
                Array::Bool(list) => Some(list.clone()),
                array => array.integers().map(|list| list.iter().map(|number| *number != 0).collect()),
            });
        }
        Ok(None)
    }

    /// A whole number, where the file does not have a list under the key.
    pub fn lone_count(&self, key: &str) -> Result<Option<u64>, Error> {
        if let Self::Gguf { metadata, .. } = self
            && let Some(metadata::Value::Array(_)) = metadata.get(&self.name(key))
        {
            return Ok(None);
        }
        self.count(key)
    }
}
