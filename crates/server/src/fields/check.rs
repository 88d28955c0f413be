//! Holds a body against its table.

use serde_json::{Map, Value as Json};

use super::{Field, Kind, Need};

/// What is wrong with a body, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The path of the field, as `messages[2].content`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Holds an object against its table.
///
/// # Errors
/// The first field that is not as the table says.
pub fn check(body: &Map<String, Json>, fields: &[Field]) -> Result<(), Wrong> {
    object(body, fields, "")
}

fn object(body: &Map<String, Json>, fields: &[Field], path: &str) -> Result<(), Wrong> {
    for field in fields {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        match body.get(field.name) {
            None | Some(Json::Null) if field.need == Need::Must => return Err(wrong(&path, "it is missing")),
            None | Some(Json::Null) => {}
            Some(value) => fits(value, &field.kind, &path)?,
        }
    }
    Ok(())
}

fn fits(value: &Json, kind: &Kind, path: &str) -> Result<(), Wrong> {
    let is_so = |holds: bool| if holds { Ok(()) } else { Err(wrong(path, &unfit(value, kind))) };
    match (kind, value) {
        (Kind::Any, _) | (Kind::Flag, Json::Bool(_)) | (Kind::File, Json::String(_)) => Ok(()),
        (Kind::Text { most }, Json::String(text)) => is_so(text.len() <= *most),
        (Kind::OneOf(words), Json::String(text)) => is_so(words.contains(&text.as_str())),
        (Kind::Integer { least, most }, Json::Number(_)) => {
            is_so(whole(value).is_some_and(|number| (*least..=*most).contains(&number)))
        }
        (Kind::Number { least, most }, Json::Number(number)) => {
            is_so(number.as_f64().is_some_and(|number| (*least..=*most).contains(&number)))
        }
        (Kind::List { of, least, most }, Json::Array(list)) => {
            is_so((*least..=*most).contains(&list.len()))?;
            list.iter().enumerate().try_for_each(|(at, value)| fits(value, of, &format!("{path}[{at}]")))
        }
        (Kind::Map { of, most }, Json::Object(map)) => {
            is_so(map.len() <= *most)?;
            map.iter().try_for_each(|(key, value)| fits(value, of, &format!("{path}.{key}")))
        }
        (Kind::Object(fields), Json::Object(map)) => object(map, fields, path),
        (Kind::Either(kinds), _) => either(value, kinds, path),
        _ => Err(wrong(path, &unfit(value, kind))),
    }
}

/// Fits the first kind that it fits; else what is wrong with it as the first one of its JSON type.
fn either(value: &Json, kinds: &[Kind], path: &str) -> Result<(), Wrong> {
    let mut told = None;
    for kind in kinds {
        match fits(value, kind, path) {
            Ok(()) => return Ok(()),
            Err(wrong) if is_of_type(value, kind) => told = told.or(Some(wrong)),
            Err(_) => {}
        }
    }
    let words: Vec<String> = kinds.iter().map(words).collect();
    Err(told.unwrap_or_else(|| wrong(path, &format!("it is {}, not {}", shown(value), words.join(" or ")))))
}

fn is_of_type(value: &Json, kind: &Kind) -> bool {
    match kind {
        Kind::Text { .. } | Kind::OneOf(_) | Kind::File => value.is_string(),
        Kind::Integer { .. } | Kind::Number { .. } => value.is_number(),
        Kind::Flag => value.is_boolean(),
        Kind::List { .. } => value.is_array(),
        Kind::Map { .. } | Kind::Object(_) => value.is_object(),
        Kind::Either(kinds) => kinds.iter().any(|kind| is_of_type(value, kind)),
        Kind::Any => true,
    }
}

/// A whole number, also one that is written with a point.
pub fn whole(value: &Json) -> Option<i64> {
    let written = value.as_i64();
    written.or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)?;
        Some(number as i64)
    })
}

fn wrong(field: &str, problem: &str) -> Wrong {
    Wrong { field: field.to_owned(), problem: problem.to_owned() }
}

fn unfit(value: &Json, kind: &Kind) -> String {
    format!("it is {}, not {}", shown(value), words(kind))
}

/// A value, short enough for a message.
fn shown(value: &Json) -> String {
    match value {
        Json::String(text) if text.len() > 40 => format!("a text of {} bytes", text.len()),
        Json::Array(list) => format!("a list of {}", list.len()),
        Json::Object(_) => "an object".to_owned(),
        value => value.to_string(),
    }
}

/// What a kind is called.
fn words(kind: &Kind) -> String {
    match kind {
        Kind::Text { most } => format!("a text of at most {most} bytes"),
        Kind::Integer { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Number { least, most } => format!("a number from {least} to {most}"),
        Kind::Flag => "true or false".to_owned(),
        Kind::OneOf(known) => format!("one of {}", known.join(", ")),
        Kind::List { least, most, .. } => format!("a list of {least} to {most}"),
        Kind::Map { most, .. } => format!("an object of at most {most} keys"),
        Kind::Object(_) => "an object".to_owned(),
        Kind::Either(kinds) => kinds.iter().map(words).collect::<Vec<_>>().join(" or "),
        Kind::File => "a file".to_owned(),
        Kind::Any => "anything".to_owned(),
    }
}

/// The outermost field in which byte `offset` of a JSON text stands, as far as the text can be read.
pub fn field_at(text: &[u8], offset: usize) -> Option<String> {
    let text = &text[..offset.min(text.len())];
    let (mut depth, mut at, mut field) = (0usize, 0, None);
    while at < text.len() {
        match text[at] {
            b'"' => {
                let begin = at + 1;
                at = string_end(text, begin);
                let is_key =
                    text[at.min(text.len())..].iter().skip(1).find(|byte| !byte.is_ascii_whitespace());
                if depth == 1 && is_key == Some(&b':') {
                    field = Some(String::from_utf8_lossy(&text[begin..at]).into_owned());
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    field
}

fn string_end(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::super::{COUNT, LONG, SHORT, STOP};
    use super::*;
    use serde_json::json;

    const PART: [Field; 2] =
        [Field::must("type", Kind::OneOf(&["text", "image"]), ""), Field::may("text", LONG, "")];
    const PARTS: Kind = Kind::List { of: &Kind::Object(&PART), least: 1, most: 3 };
    const FIELDS: [Field; 5] = [
        Field::must("model", SHORT, ""),
        Field::may("temperature", Kind::Number { least: 0.0, most: 2.0 }, ""),
        Field::may("n", COUNT, ""),
        Field::may("stop", STOP, ""),
        Field::may("content", Kind::Either(&[LONG, PARTS]), ""),
    ];

    fn told(body: Json) -> String {
        match check(body.as_object().unwrap(), &FIELDS) {
            Ok(()) => String::new(),
            Err(wrong) => format!("{}: {}", wrong.field, wrong.problem),
        }
    }

    #[test]
    fn bodies_are_held_against_their_table() {
        assert_eq!(told(json!({"model": "m", "temperature": 1, "n": 2.0, "other": [1]})), "");
        assert_eq!(told(json!({"model": "m", "stop": "a", "temperature": null})), "");
        assert_eq!(told(json!({"model": "m", "stop": ["a"], "content": [{"type": "text"}]})), "");
        assert_eq!(told(json!({})), "model: it is missing");
        assert_eq!(told(json!({"model": null})), "model: it is missing");
        assert_eq!(told(json!({"model": 7})), "model: it is 7, not a text of at most 4096 bytes");
        let check = |field: &str, value: Json, problem: &str| {
            let body = json!({"model": "m", field: value});
            assert_eq!(told(body), problem);
        };
        check("temperature", json!(2.5), "temperature: it is 2.5, not a number from 0 to 2");
        check("temperature", json!(1e308), "temperature: it is 1e+308, not a number from 0 to 2");
        check("n", json!(-1), "n: it is -1, not a whole number from 0 to 4294967295");
        check(
            "n",
            json!(9_223_372_036_854_775_808u64),
            "n: it is 9223372036854775808, not a whole number from 0 to 4294967295",
        );
        check("n", json!(1.5), "n: it is 1.5, not a whole number from 0 to 4294967295");
        check("stop", json!([1]), "stop[0]: it is 1, not a text of at most 4096 bytes");
        check(
            "stop",
            json!({}),
            "stop: it is an object, not a text of at most 4096 bytes or a list of 0 to 64",
        );
        check(
            "content",
            json!([{"type": "text"}, {"type": "sound"}]),
            "content[1].type: it is \"sound\", not one of text, image",
        );
        check("content", json!([]), "content: it is a list of 0, not a list of 1 to 3");
    }

    #[test]
    fn the_field_of_a_mistake_is_found_in_the_text() {
        let at = |text: &str, mark: &str| field_at(text.as_bytes(), text.find(mark).unwrap());
        assert_eq!(at(r#"{"a": 1, "b": NaN}"#, "NaN").as_deref(), Some("b"));
        assert_eq!(at(r#"{"a": {"c": [1, "\"x"]}, "b" : [{"d": !"#, "!").as_deref(), Some("b"));
        assert_eq!(at("[1, !", "!"), None);
        assert_eq!(field_at(b"{\"a", 900), None);
    }
}
