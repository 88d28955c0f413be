//! Bodies of forms: fields and files, one behind the other, as browsers and clients send files.
//!
//! Source: RFC 7578, "multipart/form-data"; RFC 2046, section 5.1. The body is in memory already, bounded as every body is;
//! files are pieces of it and not copied.

use axum::body::Bytes;
use serde_json::{Map, Value as Json};

use crate::fields::{Field, Kind, check};
use crate::query;
use crate::refusal::Refusal;

/// Parts of one body.
const MAX_PARTS: usize = 256;
/// The longest boundary. Source: RFC 2046, section 5.1.1.
const MAX_BOUNDARY: usize = 70;
/// The longest head of a part.
const MAX_HEAD: usize = 8 << 10;
const LINE_END: &[u8] = b"\r\n";

/// A file of a form.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The field that it came as.
    pub field: &'static str,
    pub bytes: Bytes,
}

/// Reads a form by its table. Fields that no table knows are passed over; an empty text is nothing, for which forms have no
/// other sign.
///
/// # Errors
/// A body that is no form, or the first field that is not as the table says.
pub fn read(
    kind: Option<&str>,
    body: &Bytes,
    fields: &'static [Field],
) -> Result<(Map<String, Json>, Vec<Upload>), Refusal> {
    let boundary = kind.and_then(boundary).ok_or_else(|| {
        Refusal::field("body", "it is no form: its type is not multipart/form-data with a boundary")
    })?;
    let (mut found, mut files) = (Map::new(), Vec::new());
    for (name, value) in parts(body, &boundary)? {
        let name = name.strip_suffix("[]").unwrap_or(&name);
        let Some(field) = fields.iter().find(|field| field.name == name) else { continue };
        if found.contains_key(field.name) {
            return Err(Refusal::field(field.name, "it is there twice, and one is taken"));
        }
        let value = match field.kind {
            Kind::File => {
                files.push(Upload { field: field.name, bytes: value });
                Json::String(String::new())
            }
            _ => {
                let text = str::from_utf8(&value).map_err(|_| Refusal::field(field.name, "it is no text"))?;
                if text.is_empty() && matches!(field.kind, Kind::Text { .. }) {
                    continue;
                }
                query::typed(text.to_owned(), &field.kind)
            }
        };
        found.insert(field.name.to_owned(), value);
    }
    match check(&found, fields) {
        Ok(()) => Ok((found, files)),
        Err(wrong) => Err(Refusal::field(&wrong.field, wrong.problem)),
    }
}

/// The boundary that a media type names.
fn boundary(kind: &str) -> Option<Vec<u8>> {
    let mut pieces = kind.split(';').map(str::trim);
    if !pieces.next()?.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut named = pieces.filter_map(|piece| piece.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim().trim_matches('"');
    let is_one = (1..=MAX_BOUNDARY).contains(&value.len()) && value.is_ascii();
    is_one.then(|| [b"--", value.as_bytes()].concat())
}

/// Names and contents of all parts.
fn parts(body: &Bytes, delimiter: &[u8]) -> Result<Vec<(String, Bytes)>, Refusal> {
    let broken = || Refusal::field("body", "it is no whole form: a part does not end");
    let next = [LINE_END, delimiter].concat();
    // What stands before the first boundary is nothing.
    let mut at = match body.starts_with(delimiter) {
        true => delimiter.len(),
        false => position(body, &next).ok_or_else(broken)? + next.len(),
    };
    let mut found = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(LINE_END) {
            return Err(broken());
        }
        // The line's end belongs to a head that is empty, too.
        let begin = at + padding;
        let head_length =
            position(&body[begin..body.len().min(begin + MAX_HEAD)], b"\r\n\r\n").ok_or_else(broken)?;
        let content = begin + head_length + 4;
        let length = match body[content - 2..].starts_with(&next) {
            true => 0,
            false => position(&body[content..], &next).ok_or_else(broken)?,
        };
        let name = name(&body[begin..begin + head_length])
            .ok_or_else(|| Refusal::field("body", "it is no form: a part does not say which field it is"))?;
        found.push((name, body.slice(content..content + length)));
        if found.len() > MAX_PARTS {
            return Err(Refusal::field("body", format!("it has more than {MAX_PARTS} parts")));
        }
        at = content + length + next.len();
        if at > body.len() {
            return Err(broken());
        }
    }
}

fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// The field that the head of a part names.
fn name(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let mut named = line.split(';').filter_map(|piece| piece.trim().split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("name"))?;
    Some(value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::SHORT;
    use serde_json::json;
    use testkit::{fuzz, mutate};

    const FIELDS: &[Field] = &[
        Field::must("image", Kind::File, ""),
        Field::may("n", Kind::Integer { least: 1, most: 10 }, ""),
        Field::may("prompt", SHORT, ""),
        Field::may("format", Kind::OneOf(&["png"]), ""),
    ];
    const KIND: &str = "multipart/form-data; boundary=\"xyz\"";

    fn part(line: &str, content: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; {line}\r\nContent-Type: a/b\r\n\r\n{content}\r\n")
    }

    fn of(text: String) -> Result<(Map<String, Json>, Vec<Upload>), String> {
        let told =
            |refusal: Refusal| format!("{}: {}", refusal.field.unwrap_or_default(), refusal.failure.message);
        read(Some(KIND), &Bytes::from(text), FIELDS).map_err(told)
    }

    #[test]
    fn fields_and_files_are_read() {
        let form = format!(
            "before\r\n{}{}{}{}--xyz--\r\nbehind",
            part("name=\"image[]\"; filename=\"a;b.png\"", "\r\n--xy\r\n\0png"),
            part("name=n", "3"),
            part("name=\"other\"", "…"),
            part("name=\"prompt\"", ""),
        );
        let (found, files) = of(form).unwrap();
        assert_eq!(Json::Object(found), json!({ "image": "", "n": 3 }));
        assert_eq!((files[0].field, &files[0].bytes[..]), ("image", &b"\r\n--xy\r\n\0png"[..]));
        let (_, files) = of(format!("{}--xyz--", part("name=image", ""))).unwrap();
        assert_eq!(files[0].bytes.len(), 0);
    }

    #[test]
    fn what_is_no_form_is_refused_by_its_field() {
        let image = part("name=image", "x");
        for (form, field) in [
            (format!("{image}{}--xyz--", part("name=n", "11")), "n"),
            (format!("{image}{}--xyz--", part("name=n", "many")), "n"),
            (format!("{image}{}--xyz--", part("name=n", "")), "n"),
            (format!("{image}{}--xyz--", part("name=format", "")), "format"),
            (format!("{image}{image}--xyz--"), "image"),
            (format!("{}--xyz--", part("name=n", "1")), "image"),
            (image.clone(), "body"),
            ("--xyz--".into(), "image"),
            (String::new(), "body"),
            ("--xyz".into(), "body"),
            ("--xyz\r\n\r\n".into(), "body"),
            (format!("{}--xyz--", part("filename=x", "x")), "body"),
            (format!("{}--xyz--", part("name=other", "x").repeat(300)), "body"),
        ] {
            let told = of(form.clone()).unwrap_err();
            assert!(told.starts_with(&format!("{field}: ")), "{told} of {form:?}");
        }
        for kind in [
            None,
            Some("application/json"),
            Some("multipart/form-data"),
            Some("multipart/form-data; boundary="),
        ] {
            assert!(read(kind, &Bytes::from(image.clone()), FIELDS).is_err(), "{kind:?}");
        }
    }

    /// Any bytes are read without a panic: cut anywhere, and with anything else done to them.
    #[test]
    fn any_bytes_are_read() {
        let whole = format!("{}{}--xyz--", part("name=image", "abc"), part("name=n", "3")).into_bytes();
        let target = |bytes: &[u8]| {
            let _ = read(Some(KIND), &Bytes::copy_from_slice(bytes), FIELDS);
        };
        (0..whole.len()).for_each(|at| target(&whole[..at]));
        let corpus = vec![whole, b"--xyz\r\n\r\n--xyz--".to_vec()];
        for index in 0..3000 {
            let bytes = mutate::case(&corpus, 5, index);
            let judged = fuzz::judge(target, &bytes).filter(|what| what.starts_with("panics"));
            assert_eq!(judged, None, "case {index}");
        }
    }
}
