//! JSON schemas: what of them can be kept, and how deep they go.
//!
//! Every key is known here, or the schema is refused with the key and its place. Keys that only describe are let through,
//! and so are the `x-` keys of vendors. References lead into the same schema; nothing is fetched.
//!
//! Source: JSON Schema 2020-12, and what its drafts 4, 6, 7 and 2019-09 say otherwise.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::{MAX_DEPTH, check_length};
use crate::Error;

/// Values of a schema, at most.
const MAX_VALUES: usize = 20_000;
/// The largest number of items, letters or keys that a schema may ask for.
const MAX_COUNT: u64 = 1 << 16;
/// Properties of one object: what comes next is looked for among all that are optional.
const MAX_PROPERTIES: usize = 400;
/// The product of all numbers that others have to be multiples of, without their zeros: remainders are counted.
const MAX_MULTIPLE: u64 = 10_000;
/// White space between the parts of JSON: a few spaces, or a line break and as many as a deep value is moved in.
const WHITE_SPACE: &str = r"[ \t]{1,8}|\r?\n[ \t]{0,64}";

/// Keys that describe and ask for nothing.
const ANNOTATIONS: &[&str] = &[
    "$anchor",
    "$comment",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
    "discriminator",
];
/// Keys that hold one schema.
pub(crate) const SCHEMA: &[&str] = &["items", "additionalItems", "additionalProperties"];
/// Keys that hold a list of schemas.
pub(crate) const LIST: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems", "items"];
/// Keys that hold schemas by name.
pub(crate) const NAMED: &[&str] = &["properties", "patternProperties", "$defs", "definitions"];
/// Keys that hold a number of things.
const COUNT: &[&str] = &["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];
/// Keys that hold a value.
const VALUE: &[&str] = &[
    "const",
    "enum",
    "type",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];
/// What `format` may say.
const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];
/// The drafts whose keys mean what they mean here.
const DRAFTS: &[&str] = &[
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
];

/// A schema whose every key is kept, as an object.
///
/// # Errors
/// The first key that is not, with its place; a reference that leads nowhere; what is too long or too deep.
pub(crate) fn check(schema: &Json, kind: &'static str) -> Result<Json, Error> {
    check_size(schema, kind)?;
    let mut walk = Walk { root: schema, kind, seen: HashSet::new(), multiples: HashSet::new() };
    walk.schema(schema, &mut Place::default(), 0)?;
    match schema {
        Json::Bool(true) => Ok(Json::Object(Map::new())),
        schema => Ok(schema.clone()),
    }
}

/// A grammar for a schema that was checked.
pub(crate) fn as_lark(schema: Json) -> String {
    format!("start: {}", embedded(schema))
}

/// A checked schema as a part of a grammar.
pub(crate) fn embedded(mut schema: Json) -> String {
    if let Json::Object(keys) = &mut schema {
        keys.insert("x-guidance".into(), serde_json::json!({ "whitespace_pattern": WHITE_SPACE }));
    }
    format!("%json {schema}")
}

/// # Errors
/// When a value is nested too deep, has too many parts, or would be too long as a text. Looks at nothing twice, and needs
/// no stack.
fn check_size(schema: &Json, kind: &'static str) -> Result<(), Error> {
    let too_large = |what, found, limit| Err(Error::GrammarTooLarge { kind, what, found, limit });
    let (mut left, mut n_values, mut n_bytes) = (vec![(schema, 1)], 0, 0);
    while let Some((value, depth)) = left.pop() {
        n_values += 1;
        if depth > MAX_DEPTH {
            return too_large("levels of nesting", depth, MAX_DEPTH);
        }
        if n_values > MAX_VALUES {
            return too_large("values", n_values, MAX_VALUES);
        }
        match value {
            Json::String(text) => n_bytes += text.len() + 2,
            Json::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
            Json::Object(entries) => {
                n_bytes += entries.keys().map(|key| key.len() + 4).sum::<usize>();
                left.extend(entries.values().map(|value| (value, depth + 1)));
            }
            _ => n_bytes += 8,
        }
        check_length(kind, n_bytes)?;
    }
    Ok(())
}

/// Where in a schema something stands.
#[derive(Clone, Debug, Default)]
struct Place(Vec<String>);

impl Place {
    fn within<T>(&mut self, keys: &[&str], then: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        self.0.extend(keys.iter().map(|key| (*key).to_owned()));
        let result = then(self);
        self.0.truncate(length);
        result
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("#")?;
        self.0.iter().try_for_each(|key| write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")))
    }
}

struct Walk<'a> {
    root: &'a Json,
    kind: &'static str,
    /// References that were followed.
    seen: HashSet<&'a str>,
    /// Numbers that others have to be multiples of, without their zeros.
    multiples: HashSet<u64>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Json, place: &mut Place, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            let what = "levels of nesting and references";
            return Err(Error::GrammarTooLarge { kind: self.kind, what, found: depth, limit: MAX_DEPTH });
        }
        match schema {
            Json::Bool(_) => Ok(()),
            Json::Object(keys) => keys.iter().try_for_each(|(key, value)| self.key(key, value, place, depth)),
            _ => self.bad(place, "a schema is an object, true or false"),
        }
    }

    fn key(&mut self, key: &'a str, value: &'a Json, place: &mut Place, depth: usize) -> Result<(), Error> {
        match (key, value) {
            ("$ref", Json::String(to)) => self.reference(to, place, depth),
            ("$schema", Json::String(draft)) => match DRAFTS.contains(&draft.trim_end_matches('#')) {
                true => Ok(()),
                false => self.refuse(&format!("$schema {draft:?}"), place),
            },
            ("$id" | "id", Json::String(_)) if place.0.is_empty() => Ok(()),
            ("format", Json::String(format)) if !FORMATS.contains(&format.as_str()) => {
                self.refuse(&format!("format {format:?}"), place)
            }
            ("required", value) => self.required(value, place),
            ("properties", Json::Object(all)) if all.len() > MAX_PROPERTIES => self.too_many(all.len()),
            ("multipleOf", value) => self.multiple(value, place),
            (key, Json::Array(all)) if LIST.contains(&key) => {
                all.iter().enumerate().try_for_each(|(index, schema)| {
                    place.within(&[key, &index.to_string()], |place| self.schema(schema, place, depth + 1))
                })
            }
            (key, value) if SCHEMA.contains(&key) => {
                place.within(&[key], |place| self.schema(value, place, depth + 1))
            }
            (key, Json::Object(all)) if NAMED.contains(&key) => all.iter().try_for_each(|(name, schema)| {
                place.within(&[key, name], |place| self.schema(schema, place, depth + 1))
            }),
            (key, value) if COUNT.contains(&key) => self.count(key, value, place),
            (key, _) if LIST.contains(&key) || NAMED.contains(&key) || key == "$ref" => {
                self.bad(place, &format!("{key} does not hold what it should"))
            }
            (key, _) if VALUE.contains(&key) || ANNOTATIONS.contains(&key) => Ok(()),
            (key, _) if key.starts_with("x-") && key != "x-guidance" => Ok(()),
            (key, _) => self.refuse(&format!("the key {key:?}"), place),
        }
    }

    fn required(&self, names: &Json, place: &Place) -> Result<(), Error> {
        match names.as_array().filter(|names| names.iter().all(Json::is_string)) {
            Some(names) if names.len() > MAX_PROPERTIES => self.too_many(names.len()),
            Some(_) => Ok(()),
            None => self.bad(place, "required is no list of names"),
        }
    }

    fn too_many(&self, found: usize) -> Result<(), Error> {
        let what = "properties of one object";
        Err(Error::GrammarTooLarge { kind: self.kind, what, found, limit: MAX_PROPERTIES })
    }

    fn multiple(&mut self, value: &Json, place: &Place) -> Result<(), Error> {
        let text = value.as_number().map(ToString::to_string).unwrap_or_default();
        let digits: String = text.split(['e', 'E']).next().unwrap_or_default().replace(['.', '-'], "");
        let Ok(digits) = digits.trim_matches('0').parse::<u64>() else {
            return self.bad(place, "multipleOf is no number above 0");
        };
        self.multiples.insert(digits);
        let product = self.multiples.iter().try_fold(1_u64, |product, digits| product.checked_mul(*digits));
        match product.is_some_and(|product| product <= MAX_MULTIPLE) {
            true => Ok(()),
            false => self.bad(place, &format!("multipleOf {value} makes too many remainders to count")),
        }
    }

    fn count(&self, key: &str, value: &Json, place: &Place) -> Result<(), Error> {
        match value.as_u64() {
            Some(count) if count <= MAX_COUNT => Ok(()),
            Some(count) => self.bad(place, &format!("{key} is {count}, the limit is {MAX_COUNT}")),
            None => self.bad(place, &format!("{key} is no whole number")),
        }
    }

    /// Follows a reference the first time that it comes.
    fn reference(&mut self, to: &'a str, place: &mut Place, depth: usize) -> Result<(), Error> {
        let path = match to.strip_prefix('#') {
            Some("") => "",
            Some(path) if path.starts_with('/') && !path.contains(['~', '%']) && path.len() > 1 => path,
            _ => return self.refuse(&format!("$ref {to:?}, which leads out of this schema,"), place),
        };
        let Some(found) = self.root.pointer(path) else {
            return self.bad(place, &format!("$ref {to:?} leads nowhere"));
        };
        if !self.seen.insert(to) {
            return Ok(());
        }
        let mut there = Place(path.split('/').skip(1).map(str::to_owned).collect());
        self.schema(found, &mut there, depth + 1)
    }

    fn refuse(&self, key: &str, place: &Place) -> Result<(), Error> {
        Err(Error::GrammarUnsupported { kind: self.kind, key: key.to_owned(), at: place.to_string() })
    }

    fn bad(&self, place: &Place, what: &str) -> Result<(), Error> {
        Err(Error::BadGrammar { kind: self.kind, reason: format!("{place}: {what}") })
    }
}
