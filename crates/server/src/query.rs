//! What stands behind the question mark of a request, read by the route's table.
//!
//! As in bodies, names that no table knows are passed over, and known ones are as the table says. A list is its name
//! several times, with or without brackets behind it.
//!
//! Source: URL standard, "application/x-www-form-urlencoded parsing".

use serde_json::{Map, Value as Json};

use crate::fields::{Field, Kind, check};
use crate::refusal::Refusal;

/// Names and values at most: the same as keys of any map in a body.
const MOST: usize = 4096;

/// Reads a query by its table.
///
/// # Errors
/// The first value that is not as the table says.
pub fn read(query: Option<&str>, fields: &[Field]) -> Result<Map<String, Json>, Refusal> {
    let mut found = Map::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).take(MOST) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name), decoded(value));
        let name = name.strip_suffix("[]").unwrap_or(&name);
        let Some(field) = fields.iter().find(|field| field.name == name) else { continue };
        let value = typed(value, &field.kind);
        match (found.get_mut(name), &field.kind) {
            (Some(Json::Array(list)), _) => list.push(value),
            // What is no list and there twice is refused by its kind.
            (Some(first), _) => *first = Json::Array(vec![first.take(), value]),
            (None, Kind::List { .. }) => {
                found.insert(name.to_owned(), Json::Array(vec![value]));
            }
            (None, _) => {
                found.insert(name.to_owned(), value);
            }
        }
    }
    match check(&found, fields) {
        Ok(()) => Ok(found),
        Err(wrong) => Err(Refusal::field(&wrong.field, wrong.problem)),
    }
}

/// A value as its kind is written in JSON; what cannot be read so stays a text, which the table refuses.
pub fn typed(value: String, kind: &Kind) -> Json {
    match kind {
        Kind::Integer { .. } | Kind::Number { .. } => {
            value.parse::<serde_json::Number>().map_or(Json::String(value), Json::Number)
        }
        Kind::Flag => match value.as_str() {
            "true" | "True" | "1" => Json::Bool(true),
            "false" | "False" | "0" => Json::Bool(false),
            _ => Json::String(value),
        },
        Kind::List { of, .. } => typed(value, of),
        _ => Json::String(value),
    }
}

/// A name or a value without its escapes; bytes that are no text become signs that say so.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let escaped = bytes.get(at + 1..at + 3).and_then(hexadecimal).filter(|_| bytes[at] == b'%');
        out.push(escaped.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(digits[0])? * 16 + digit(digits[1])?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::SHORT;
    use serde_json::json;

    const FIELDS: [Field; 4] = [
        Field::may("limit", Kind::Integer { least: 1, most: 100 }, ""),
        Field::may("stream", Kind::Flag, ""),
        Field::may("order", Kind::OneOf(&["asc", "desc"]), ""),
        Field::may("include", Kind::List { of: &SHORT, least: 0, most: 2 }, ""),
    ];

    #[test]
    fn queries_are_read_by_their_table() {
        let check = |query: &str, expected: Json| {
            assert_eq!(Json::Object(read(Some(query), &FIELDS).unwrap()), expected, "{query}");
        };
        check("", json!({}));
        check("&&other=1&=2&x", json!({}));
        check("limit=7&stream=true&order=asc", json!({ "limit": 7, "stream": true, "order": "asc" }));
        check("include[]=a+b&include%5B%5D=%C3%A4", json!({ "include": ["a b", "ä"] }));
        check("include=a&include=%", json!({ "include": ["a", "%"] }));
        assert_eq!(read(None, &FIELDS).unwrap(), Map::new());
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_name() {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=many", "limit"),
            ("limit", "limit"),
            ("limit=1&limit=2", "limit"),
            ("stream=perhaps", "stream"),
            ("order=ascending", "order"),
            ("include=a&include=b&include=c", "include"),
        ] {
            let refusal = read(Some(query), &FIELDS).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some(field), "{query}");
        }
    }
}
