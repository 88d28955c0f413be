//! What the `config.json` of a part of an image model says, by key, with every size bounded.

use serde_json::Value;

use crate::Error;

/// The largest size that a file may claim for any dimension; products of two stay far below 2⁶⁴.
const MAX_SIZE: u64 = 1 << 20;

/// The settings of one part of a model.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub config: &'a Value,
    /// How errors name the file.
    pub file: &'a str,
}

impl<'a> Settings<'a> {
    /// What is wrong with what stands under `key`.
    pub fn wrong(self, key: &str, reason: impl Into<String>) -> Error {
        Error::Setting { file: self.file.into(), key: key.into(), reason: reason.into() }
    }

    /// What stands under `key`; nothing where it is null.
    pub fn find(self, key: &str) -> Option<&'a Value> {
        self.config.get(key).filter(|value| !value.is_null())
    }

    fn as_size(self, key: &str, value: &Value) -> Result<usize, Error> {
        let size = value.as_u64().filter(|size| (1..=MAX_SIZE).contains(size));
        let size = size.ok_or_else(|| self.wrong(key, format!("{value} is no size from 1 to {MAX_SIZE}")))?;
        Ok(size as usize)
    }

    /// A size, where there is one.
    pub fn some_size(self, key: &str) -> Result<Option<usize>, Error> {
        self.find(key).map(|value| self.as_size(key, value)).transpose()
    }

    /// A size that must be there.
    pub fn size(self, key: &str) -> Result<usize, Error> {
        self.some_size(key)?.ok_or_else(|| self.wrong(key, "is missing"))
    }

    /// A size, `default` where the file does not say it, and at most `most`.
    pub fn size_or(self, key: &str, default: usize, most: usize) -> Result<usize, Error> {
        let size = self.some_size(key)?.unwrap_or(default);
        self.at_most(key, size, most)
    }

    fn at_most(self, key: &str, size: usize, most: usize) -> Result<usize, Error> {
        if size > most {
            return Err(
                self.wrong(key, format!("{size} is more than {most}, the most that is computed with"))
            );
        }
        Ok(size)
    }

    /// Sizes in a list of at most `most`.
    pub fn sizes(self, key: &str, most: usize) -> Result<Vec<usize>, Error> {
        let list = self.find(key).and_then(Value::as_array).filter(|list| (1..=most).contains(&list.len()));
        let list = list.ok_or_else(|| self.wrong(key, format!("is no list of 1 to {most} sizes")))?;
        list.iter().map(|value| self.as_size(key, value)).collect()
    }

    /// A size for each of `n` levels, each at most `most`: a list of them, or one for all.
    pub fn sizes_of_levels(self, key: &str, n: usize, most: usize) -> Result<Option<Vec<usize>>, Error> {
        let sizes = match self.find(key) {
            None => return Ok(None),
            Some(Value::Array(_)) => self.sizes(key, n)?,
            Some(value) => vec![self.as_size(key, value)?; n],
        };
        if sizes.len() != n {
            return Err(self.wrong(key, format!("has {} sizes for {n} levels", sizes.len())));
        }
        sizes.iter().try_for_each(|size| self.at_most(key, *size, most).map(drop))?;
        Ok(Some(sizes))
    }

    /// Words in a list.
    pub fn words(self, key: &str) -> Result<Vec<&'a str>, Error> {
        let words = self.find(key).and_then(Value::as_array);
        let words = words.and_then(|list| list.iter().map(Value::as_str).collect());
        words.ok_or_else(|| self.wrong(key, "is no list of words"))
    }

    /// A number above 0.
    pub fn positive(self, key: &str) -> Result<Option<f32>, Error> {
        match self.find(key) {
            None => Ok(None),
            Some(value) => {
                let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
                let number =
                    number.ok_or_else(|| self.wrong(key, format!("{value} is no number above 0")))?;
                Ok(Some(number as f32))
            }
        }
    }

    /// A truth value, where there is one.
    pub fn truth(self, key: &str) -> Result<Option<bool>, Error> {
        let truth = |value: &Value| {
            value.as_bool().ok_or_else(|| self.wrong(key, format!("{value} is not true or false")))
        };
        self.find(key).map(truth).transpose()
    }

    /// Refuses what is not computed: a key may be absent, null or one of `known`.
    pub fn only(self, key: &str, known: &[Value]) -> Result<(), Error> {
        match self.find(key) {
            Some(found) if !known.contains(found) => {
                Err(self.wrong(key, format!("{found} is not computed yet")))
            }
            _ => Ok(()),
        }
    }
}
