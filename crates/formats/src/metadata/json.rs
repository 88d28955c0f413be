//! Settings in JSON (`config.json`, `generation_config.json`, `tokenizer_config.json`, an index of shards) as
//! metadata.
//!
//! Inner objects become keys with dots (`rope_scaling.factor`), lists of one type of value lists, other lists
//! keys with numbers (`added_tokens.0.content`); `null` says nothing and is left out. What is kept is counted
//! while it is read, so that a file cannot make more of it than a limit. Does not know what a key means, and
//! does not read `NaN` and `Infinity`, which are no JSON.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Array, Metadata, Strings, Value};
use crate::cursor::Cursor;
use crate::error::{Error, Quoted, json_error};
use crate::{FileBytes, FileKind, sniff};

const MAX_BYTES: usize = 32 << 20;
const MAX_KEYS: usize = 1 << 17;
/// Letters of one key with its dots, and of all keys.
const MAX_KEY: usize = 1024;
const MAX_KEYS_BYTES: usize = 12 << 20;
/// Values in lists.
const MAX_ELEMENTS: usize = 1 << 17;
const MAX_DEPTH: usize = 16;

/// Reads an object of settings.
///
/// # Errors
/// [`Error::WrongKind`] for other files, [`Error::Limit`] for a file over 32 MiB, [`Error::Json`] for text that is
/// no JSON object, holds a key twice, or more than is kept.
pub fn read_json(file: &FileBytes) -> Result<Metadata, Error> {
    let bytes = file.as_slice();
    let found = sniff(bytes);
    if found != FileKind::Json {
        return Err(Error::WrongKind { file: file.shared_label(), wanted: "settings in JSON", found });
    }
    let cursor = Cursor::new(file.shared_label(), bytes, MAX_BYTES);
    if bytes.len() > MAX_BYTES {
        let (claimed, limit) = (bytes.len() as u64, MAX_BYTES as u64);
        return Err(Error::Limit { at: cursor.place(&"settings", 0), claimed, limit });
    }
    let kept = RefCell::new(Kept::default());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let top = Key { kept: &kept, outer: None, name: Name::Place(0), depth: 0 };
    let read = top.deserialize(&mut deserializer).and_then(|found| {
        deserializer.end()?;
        Ok(found)
    });
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    match read {
        Ok(None) if is_object => Ok(Metadata::from_entries(file.shared_label(), kept.into_inner().entries)),
        Ok(_) => {
            let at = cursor.place(&"settings", 0);
            Err(Error::Json { at, problem: "a value, expected an object".into() })
        }
        Err(problem) => Err(json_error(&cursor, "settings", (bytes, 0), &problem)),
    }
}

/// What was read so far.
#[derive(Default)]
struct Kept {
    entries: Vec<(String, Value)>,
    key_bytes: usize,
    elements: usize,
}

/// Reads the value of a key: objects and mixed lists go into `kept`, anything else comes back.
#[derive(Clone, Copy)]
struct Key<'k> {
    kept: &'k RefCell<Kept>,
    /// The key that this one stands inside.
    outer: Option<&'k Key<'k>>,
    name: Name<'k>,
    depth: usize,
}

/// A key of an object, or a place in a list.
#[derive(Clone, Copy)]
enum Name<'k> {
    Text(&'k str),
    Place(usize),
}

impl<'k> Key<'k> {
    fn inner<E: serde::de::Error>(&'k self, name: Name<'k>) -> Result<Key<'k>, E> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(E::custom("objects and lists nest more than 16 deep"));
        }
        Ok(Key { kept: self.kept, outer: Some(self), name, depth })
    }

    /// The names from the outermost to this one, with dots between them.
    fn path<E: serde::de::Error>(&self) -> Result<String, E> {
        let outermost = |key: &&Key| key.outer.is_some();
        let mut keys: Vec<&Key> = Vec::with_capacity(self.depth);
        keys.extend(std::iter::successors(Some(self), |key| key.outer).take_while(outermost));
        let mut path = String::new();
        for key in keys.into_iter().rev() {
            if !path.is_empty() {
                path.push('.');
            }
            match key.name {
                Name::Text(text) if text.len() > MAX_KEY => return Err(too_long()),
                Name::Text(text) => path.push_str(text),
                Name::Place(place) => path.push_str(&place.to_string()),
            }
        }
        if path.len() > MAX_KEY { Err(too_long()) } else { Ok(path) }
    }

    fn keep<E: serde::de::Error>(&self, value: Found) -> Result<(), E> {
        let Some(value) = value.settled() else { return Ok(()) };
        let path = self.path()?;
        let mut kept = self.kept.borrow_mut();
        kept.key_bytes = kept.key_bytes.saturating_add(path.len());
        if kept.entries.len() >= MAX_KEYS || kept.key_bytes > MAX_KEYS_BYTES {
            return Err(E::custom("more keys than are kept"));
        }
        kept.entries.push((path, value));
        Ok(())
    }

    fn count_element<E: serde::de::Error>(&self) -> Result<(), E> {
        let mut kept = self.kept.borrow_mut();
        kept.elements = kept.elements.saturating_add(1);
        if kept.elements > MAX_ELEMENTS {
            return Err(E::custom("more values in lists than are kept"));
        }
        Ok(())
    }
}

fn too_long<E: serde::de::Error>() -> E {
    E::custom("a key of more than 1024 letters")
}

/// A value that is not kept yet.
enum Found {
    Null,
    One(Value),
}

impl Found {
    fn settled(self) -> Option<Value> {
        match self {
            Self::Null => None,
            Self::One(value) => Some(value),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    /// `None` when all of it was kept already.
    type Value = Option<Found>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Some(Found::Null))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(Found::One(Value::Bool(flag))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Found::One(Value::I64(number))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Found::One(i64::try_from(number).map_or(Value::U64(number), Value::I64))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Found::One(Value::F64(number))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Found::One(Value::String(text.to_owned()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if seen.len() >= MAX_KEYS {
                return Err(A::Error::custom("more keys than are kept"));
            }
            if seen.contains(&name) {
                return Err(A::Error::custom(format_args!("the key {} stands twice", Quoted(&name))));
            }
            let key = self.inner(Name::Text(&name))?;
            if let Some(found) = map.next_value_seed(key)? {
                key.keep(found)?;
            }
            seen.insert(name);
        }
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values: Vec<(usize, Found)> = Vec::new();
        let mut is_mixed = false;
        let mut index = 0usize;
        while let Some(found) = list.next_element_seed(self.inner(Name::Place(index))?)? {
            self.count_element()?;
            match found {
                Some(found) => values.push((index, found)),
                None => is_mixed = true,
            }
            index = index.saturating_add(1);
        }
        let values = if is_mixed { Err(values) } else { array(values) };
        match values {
            Ok(array) => Ok(Some(Found::One(Value::Array(array)))),
            Err(values) => {
                for (index, found) in values {
                    self.inner(Name::Place(index))?.keep(found)?;
                }
                Ok(None)
            }
        }
    }
}

/// One list, when all values are of one type; whole numbers among others count as such.
fn array(values: Vec<(usize, Found)>) -> Result<Array, Vec<(usize, Found)>> {
    let is = |test: fn(&Value) -> bool| {
        values.iter().all(|(_, found)| matches!(found, Found::One(value) if test(value)))
    };
    let (texts, flags) =
        (is(|value| matches!(value, Value::String(_))), is(|value| matches!(value, Value::Bool(_))));
    let (whole, numbers) = (is(|value| matches!(value, Value::I64(_))), is(|value| number(value).is_some()));
    let lists = is(|value| matches!(value, Value::Array(_)));
    let settled = |values: Vec<(usize, Found)>| values.into_iter().filter_map(|(_, found)| found.settled());
    if values.is_empty() || texts {
        let texts = settled(values)
            .filter_map(|value| if let Value::String(text) = value { Some(text) } else { None });
        return Ok(Array::Strings(texts.collect::<Strings>()));
    }
    if whole {
        let numbers = settled(values)
            .filter_map(|value| if let Value::I64(number) = value { Some(number) } else { None });
        return Ok(Array::I64(numbers.collect()));
    }
    if numbers {
        return Ok(Array::F64(settled(values).filter_map(|value| number(&value)).collect()));
    }
    if flags {
        let flags =
            settled(values).filter_map(|value| if let Value::Bool(flag) = value { Some(flag) } else { None });
        return Ok(Array::Bool(flags.collect()));
    }
    if lists {
        let lists = settled(values)
            .filter_map(|value| if let Value::Array(list) = value { Some(list) } else { None });
        return Ok(Array::Arrays(lists.collect()));
    }
    Err(values)
}

fn number(value: &Value) -> Option<f64> {
    match *value {
        Value::F64(number) => Some(number),
        Value::I64(number) => Some(number as f64),
        Value::U64(number) => Some(number as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Metadata, Error> {
        read_json(&FileBytes::from_vec("config.json", text.as_bytes().to_vec()))
    }

    #[test]
    fn objects_become_dots_and_lists_lists() {
        let text = r#" {"model_type": "llama", "hidden_size": 64, "rope_scaling": {"factor": 8.0, "type": null},
            "eos_token_id": [1, 2], "theta": 1e-05, "tie": true, "mixed": [1, "a", {"b": [2.5, 1]}], "big":
            18446744073709551615, "none": [], "texts": ["x", ""], "deep": [[1], [2, 3]], "flags": [false]}"#;
        let metadata = read(text).unwrap();
        let keys: Vec<&str> = metadata.iter().map(|(key, _)| key).collect();
        let expected = "model_type hidden_size rope_scaling.factor eos_token_id theta tie mixed.2.b mixed.0 mixed.1 \
                        big none texts deep flags";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(metadata.read::<&str>("model_type").unwrap(), "llama");
        assert_eq!(metadata.read::<usize>("hidden_size").unwrap(), 64);
        assert_eq!(metadata.read::<f64>("rope_scaling.factor").unwrap(), 8.0);
        assert_eq!(metadata.read::<Vec<i64>>("eos_token_id").unwrap(), [1, 2]);
        assert_eq!(metadata.read::<f32>("theta").unwrap(), 1e-5);
        assert_eq!(metadata.get("mixed.2.b"), Some(&Value::Array(Array::F64(vec![2.5, 1.0]))));
        assert_eq!(metadata.read::<u64>("big").unwrap(), u64::MAX);
        assert_eq!(metadata.read::<&Strings>("texts").unwrap().get(0), Some("x"));
        let deep = Array::Arrays(vec![Array::I64(vec![1]), Array::I64(vec![2, 3])]);
        assert_eq!(metadata.get("deep"), Some(&Value::Array(deep)));
    }

    #[test]
    fn what_is_no_settings_is_refused_where_it_stands() {
        let check = |text: &str, expected: &str| {
            let error = read(text).unwrap_err().to_string();
            assert_eq!(error, format!("config.json: {expected}"));
        };
        check("", "not settings in JSON: it is empty");
        check("[1]", "settings: a value, expected an object (byte 0)");
        check("{\"a\": 1, \"a\": 2}", "settings: the key \"a\" stands twice (byte 12)");
        check("{\"a\": NaN}", "settings: expected value (byte 7)");
        check("{\"a\": 1} x", "settings: trailing characters (byte 10)");
        check("{\"a\": 1", "settings: EOF while parsing an object (byte 7)");
        check(
            &format!("{{\"a\":{}", "[".repeat(99)),
            "settings: objects and lists nest more than 16 deep (byte 21)",
        );
    }
}
