//! Template values as text: what `{{ value }}` prints, Python's `repr` inside lists, and `tojson`.
//!
//! Sources: Python's `str`, `repr` and `json.dumps`, with the arguments that the `transformers` library passes
//! (`ensure_ascii=False`, keys in the order given, no HTML escapes).

use minijinja::Value;
use minijinja::value::ValueKind;

use super::objects::is_generator;
use super::scope::{Call, Fail, MAX_DEPTH, Scope, fail};

/// What `{{ value }}` prints.
pub(crate) fn text(scope: &Scope, value: &Value) -> Result<String, Fail> {
    if let Some(text) = value.as_str() {
        scope.charge(text.len())?;
        return Ok(text.to_owned());
    }
    if value.is_undefined() {
        return Ok(String::new());
    }
    let mut out = String::new();
    repr(scope, value, 0, &mut out)?;
    Ok(out)
}

/// Python's `repr`.
pub(crate) fn quoted_text(scope: &Scope, value: &Value) -> Result<String, Fail> {
    let mut out = String::new();
    repr(scope, value, 0, &mut out)?;
    Ok(out)
}

fn repr(scope: &Scope, value: &Value, depth: usize, out: &mut String) -> Result<(), Fail> {
    if depth > MAX_DEPTH {
        return Err(fail("values are nested too deeply".into()));
    }
    scope.charge(1)?;
    match value.kind() {
        ValueKind::None => out.push_str("None"),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => out.push_str(&number(value, ["nan", "inf", "-inf"])),
        ValueKind::String => quoted(scope, value.as_str().unwrap_or_default(), out)?,
        ValueKind::Iterable if is_generator(value) => out.push_str("<generator object>"),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (place, item) in scope.items(value)?.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                repr(scope, item, depth + 1, out)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (place, key) in scope.items(value)?.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                repr(scope, key, depth + 1, out)?;
                out.push_str(": ");
                repr(scope, &value.get_item(key)?, depth + 1, out)?;
            }
            out.push('}');
        }
        other => return Err(fail(format!("{other} cannot be printed"))),
    }
    Ok(())
}

/// Python's quotes: single, unless only that one occurs inside.
fn quoted(scope: &Scope, text: &str, out: &mut String) -> Result<(), Fail> {
    scope.charge_string(text.len())?;
    let twins = &scope.twins;
    let has = |quote: char| text.chars().any(|letter| twins.letter(letter) == quote);
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.push(quote);
    for marked in text.chars() {
        let letter = twins.letter(marked);
        let escape = match letter {
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\\' => '\\',
            _ if letter == quote => quote,
            _ => {
                out.push(marked);
                continue;
            }
        };
        out.extend([twins.like(marked, '\\'), twins.like(marked, escape)]);
    }
    out.push(quote);
    Ok(())
}

/// How `tojson` lays out.
struct Layout {
    indent: Option<String>,
    item: String,
    key: String,
    is_ascii: bool,
    sorts: bool,
}

/// The filter `tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(crate) fn tojson(call: &Call<'_>) -> Result<Value, Fail> {
    let named = |name: &str| call.argument(usize::MAX, name).filter(|value| !value.is_none());
    let indent = match call.argument(1, "indent").or_else(|| named("indent")).filter(|value| !value.is_none())
    {
        None => None,
        Some(value) => Some(match value.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(call.integer(1, "indent")?.unwrap_or(0).clamp(0, 64) as usize),
        }),
    };
    let mut separators = (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned());
    if let Some(given) = named("separators") {
        let part = |place| {
            call.scope
                .items(&given)
                .map(|parts| parts.get(place).and_then(|p| call.scope.plain(p).map(String::from)))
        };
        separators = (part(0)?.unwrap_or(separators.0), part(1)?.unwrap_or(separators.1));
    }
    let is_set = |name: &str| named(name).is_some_and(|value| value.is_true());
    let layout = Layout {
        indent,
        item: separators.0,
        key: separators.1,
        is_ascii: is_set("ensure_ascii"),
        sorts: is_set("sort_keys"),
    };
    let mut out = String::new();
    json(call.scope, call.subject()?, &layout, 0, &mut out)?;
    Ok(Value::from(out))
}

fn json(scope: &Scope, value: &Value, layout: &Layout, depth: usize, out: &mut String) -> Result<(), Fail> {
    if depth > MAX_DEPTH {
        return Err(fail("values are nested too deeply".into()));
    }
    scope.charge(1)?;
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value, ["NaN", "Infinity", "-Infinity"])),
        ValueKind::String => json_string(scope, value.as_str().unwrap_or_default(), layout, out)?,
        ValueKind::Iterable if is_generator(value) => return Err(fail("a generator has no JSON".into())),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = scope.items(value)?;
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                next(scope, layout, depth + 1, place, out)?;
                json(scope, item, layout, depth + 1, out)?;
            }
            if !items.is_empty() {
                new_line(scope, layout, depth, out)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            let mut keys = scope.items(value)?;
            if layout.sorts {
                keys.sort_by_cached_key(|key| scope.plain(key).map(String::from));
            }
            out.push('{');
            for (place, key) in keys.iter().enumerate() {
                next(scope, layout, depth + 1, place, out)?;
                match key.as_str() {
                    Some(text) => json_string(scope, text, layout, out)?,
                    None => json_string(scope, &text(scope, key)?, layout, out)?,
                }
                out.push_str(&layout.key);
                json(scope, &value.get_item(key)?, layout, depth + 1, out)?;
            }
            if !keys.is_empty() {
                new_line(scope, layout, depth, out)?;
            }
            out.push('}');
        }
        other => return Err(fail(format!("{other} has no JSON"))),
    }
    Ok(())
}

/// A number as Python writes it; `odd` are its words for what is no number, for infinity and its negative.
fn number(value: &Value, odd: [&str; 3]) -> String {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => float_text(float, odd),
        _ => value.to_string(),
    }
}

/// Python's shortest digits that read back as the same number, with an exponent below -4 and from 16 on.
fn float_text(float: f64, odd: [&str; 3]) -> String {
    if !float.is_finite() {
        let place = if float.is_nan() { 0 } else { 1 + usize::from(float < 0.0) };
        return odd[place].to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{float:?}"),
    }
}

/// Before an element: the separator, and a new line where the layout has lines.
fn next(scope: &Scope, layout: &Layout, depth: usize, place: usize, out: &mut String) -> Result<(), Fail> {
    out.push_str(if place > 0 { &layout.item } else { "" });
    new_line(scope, layout, depth, out)
}

fn new_line(scope: &Scope, layout: &Layout, depth: usize, out: &mut String) -> Result<(), Fail> {
    if let Some(indent) = &layout.indent {
        scope.charge_string(indent.len() * depth)?;
        out.push('\n');
        (0..depth).for_each(|_| out.push_str(indent));
    }
    Ok(())
}

fn json_string(scope: &Scope, text: &str, layout: &Layout, out: &mut String) -> Result<(), Fail> {
    scope.charge_string(text.len())?;
    out.push('"');
    for marked in text.chars() {
        let letter = scope.twins.letter(marked);
        let escape = match letter {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            '\u{8}' => "\\b".into(),
            '\u{C}' => "\\f".into(),
            '\0'..='\u{1F}' => format!("\\u{:04x}", u32::from(letter)),
            _ if layout.is_ascii && !letter.is_ascii() => {
                letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            }
            _ => {
                out.push(marked);
                continue;
            }
        };
        out.extend(escape.chars().map(|one| scope.twins.like(marked, one)));
    }
    out.push('"');
    Ok(())
}
