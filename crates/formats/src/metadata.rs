//! What a file says about itself: named values, in the file's order, with typed reading.
//!
//! Does not know which keys a model needs: whoever asks says which type it wants, and an error names the key,
//! the wanted and the found type.

mod json;
mod strings;
mod value;

use std::sync::Arc;

pub use json::read_json;
pub use strings::Strings;
pub use value::{Array, FromValue, Value};

use crate::error::Error;

/// Named values in the order of the file.
#[derive(Clone, Debug)]
pub struct Metadata {
    file: Arc<str>,
    entries: Vec<(String, Value)>,
    /// Positions in `entries`, sorted by key.
    by_key: Vec<u32>,
}

impl Metadata {
    /// No values yet. `file` names the file in errors.
    pub fn new(file: &str) -> Self {
        Self { file: file.into(), entries: Vec::new(), by_key: Vec::new() }
    }

    /// From the entries of a file; of a key that stands twice only the first is found. Readers refuse those
    /// before they come here.
    pub(crate) fn from_entries(file: Arc<str>, entries: Vec<(String, Value)>) -> Self {
        let mut by_key: Vec<u32> = (0..u32::try_from(entries.len()).unwrap_or(u32::MAX)).collect();
        let key = |position: &u32| entries.get(*position as usize).map(|(key, _)| key.as_str());
        by_key.sort_by(|a, b| key(a).cmp(&key(b)));
        Self { file, entries, by_key }
    }

    /// The file's label.
    pub(crate) fn label(&self) -> Arc<str> {
        self.file.clone()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All keys and values, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let position = *self.by_key.get(self.search(key).ok()?)?;
        self.entries.get(position as usize).map(|(_, value)| value)
    }

    /// Sets `key`: in place where it stands already, else at the end.
    pub fn insert(&mut self, key: &str, value: Value) {
        match self.search(key) {
            Ok(at) => {
                let position = self.by_key.get(at).copied().unwrap_or_default();
                if let Some(entry) = self.entries.get_mut(position as usize) {
                    entry.1 = value;
                }
            }
            Err(at) => {
                self.by_key.insert(at, u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
                self.entries.push((key.to_owned(), value));
            }
        }
    }

    /// Reads a key that must be there: `let n_layers: usize = metadata.read("llama.block_count")?`.
    ///
    /// # Errors
    /// [`Error::MissingKey`], and [`Error::WrongType`] for another type or a number that does not fit.
    pub fn read<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, Error> {
        self.find(key)?.ok_or_else(|| Error::MissingKey {
            file: self.file.clone(),
            key: key.to_owned(),
            expected: T::EXPECTED,
        })
    }

    /// Reads a key that may be absent.
    ///
    /// # Errors
    /// [`Error::WrongType`] for another type or a number that does not fit.
    pub fn find<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match T::from_value(value) {
            Some(read) => Ok(Some(read)),
            None => Err(Error::WrongType {
                file: self.file.clone(),
                key: key.to_owned(),
                expected: T::EXPECTED,
                found: value.describe(),
            }),
        }
    }

    fn search(&self, key: &str) -> Result<usize, usize> {
        self.by_key.binary_search_by(|position| {
            self.entries.get(*position as usize).map(|(name, _)| name.as_str()).unwrap_or_default().cmp(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_finds_by_name() {
        let mut metadata = Metadata::new("m.gguf");
        for (index, key) in ["zebra", "apple", "mango"].into_iter().enumerate() {
            metadata.insert(key, Value::U32(index as u32));
        }
        metadata.insert("apple", Value::U32(7));
        let keys: Vec<&str> = metadata.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["zebra", "apple", "mango"]);
        assert_eq!(metadata.read::<usize>("apple").unwrap(), 7);
        assert_eq!(metadata.find::<usize>("pear").unwrap(), None);
    }

    #[test]
    fn an_error_names_key_and_both_types() {
        let mut metadata = Metadata::new("m.gguf");
        metadata.insert("llama.block_count", Value::I32(-1));
        metadata.insert("general.name", Value::String("a".into()));
        let check = |error: Error, text: &str| assert_eq!(error.to_string(), text);
        check(
            metadata.read::<usize>("llama.block_count").unwrap_err(),
            "m.gguf: metadata key \"llama.block_count\" is i32 -1, expected a count",
        );
        check(
            metadata.read::<f32>("general.name").unwrap_err(),
            "m.gguf: metadata key \"general.name\" is string, expected a number",
        );
        check(
            metadata.read::<&str>("general.file").unwrap_err(),
            "m.gguf: metadata key \"general.file\" is missing, expected text",
        );
    }
}
