//! Python's methods of strings, maps and lists, as far as chat templates call them.
//!
//! Marks on letters ([`super::twins`]) are ignored by what searches and kept by what cuts. Source: "The Python
//! Standard Library", sections "String Methods" and "Mapping Types". Nothing here changes a value in place: the
//! renderers that templates are written for forbid it too.

use std::ops::Range;

use minijinja::value::ValueKind;
use minijinja::{ErrorKind, Value};

use super::operators;
use super::scope::{Call, Fail, fail};
use super::{filters, formats, printing};

type Method = fn(&Call<'_>) -> Result<Value, Fail>;

static OF_STRINGS: &[(&str, Method)] = &[
    ("strip", |call| strip(call, Side::Both)),
    ("lstrip", |call| strip(call, Side::Start)),
    ("rstrip", |call| strip(call, Side::End)),
    ("split", |call| split(call, Side::Start)),
    ("rsplit", |call| split(call, Side::End)),
    ("splitlines", lines),
    ("partition", |call| partition(call, Side::Start)),
    ("rpartition", |call| partition(call, Side::End)),
    ("startswith", |call| affix(call, |text, part| text.starts_with(part))),
    ("endswith", |call| affix(call, |text, part| text.ends_with(part))),
    ("removeprefix", remove_prefix),
    ("removesuffix", remove_suffix),
    ("replace", replace),
    ("find", |call| Ok(Value::from(find(call, Side::Start)?))),
    ("rfind", |call| Ok(Value::from(find(call, Side::End)?))),
    ("index", index),
    ("count", |call| Ok(Value::from(matches(call, &part(call, 1)?)?.len()))),
    ("join", |call| filters::joined(call, call.args.get(1), call.subject()?.as_str().unwrap_or_default())),
    ("upper", filters::upper),
    ("lower", filters::lower),
    ("casefold", filters::lower),
    ("title", filters::title),
    ("capitalize", filters::capitalize),
    ("isdigit", |call| every(call, char::is_numeric)),
    ("isnumeric", |call| every(call, char::is_numeric)),
    ("isdecimal", |call| every(call, char::is_numeric)),
    ("isalpha", |call| every(call, char::is_alphabetic)),
    ("isalnum", |call| every(call, char::is_alphanumeric)),
    ("isspace", |call| every(call, char::is_whitespace)),
    ("isupper", |call| cased(call, char::is_lowercase)),
    ("islower", |call| cased(call, char::is_uppercase)),
    ("format", formats::braces),
    ("ljust", |call| justified(call, Side::Start)),
    ("rjust", |call| justified(call, Side::End)),
    ("center", |call| justified(call, Side::Both)),
    ("zfill", zfill),
    ("swapcase", filters::swapcase),
];

static OF_MAPS: &[(&str, Method)] = &[
    ("items", filters::items),
    ("keys", |call| Ok(Value::from(call.items()?))),
    ("values", values),
    ("get", get),
    ("copy", |call| Ok(call.subject()?.clone())),
];

static OF_LISTS: &[(&str, Method)] = &[
    ("count", |call| Ok(Value::from(equal_places(call)?.len()))),
    ("index", |call| match equal_places(call)?.first() {
        Some(place) => Ok(Value::from(*place)),
        None => Err(fail("the value is not in the list".into())),
    }),
    ("copy", |call| Ok(call.subject()?.clone())),
];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Start,
    End,
    Both,
}

fn table(subject: &Value) -> &'static [(&'static str, Method)] {
    match subject.kind() {
        ValueKind::String => OF_STRINGS,
        ValueKind::Map => OF_MAPS,
        ValueKind::Seq | ValueKind::Iterable => OF_LISTS,
        _ => &[],
    }
}

/// Whether a value has a method of this name. A namespace has only what was put into it.
pub(crate) fn has(subject: &Value, name: &str) -> bool {
    let is_plain = match subject.kind() {
        ValueKind::Map => subject.as_object().is_none_or(|object| object.type_name().contains("::IndexMap<")),
        _ => true,
    };
    is_plain && table(subject).iter().any(|(known, _)| *known == name)
}

/// `value.name(args)`: the arguments are the value, the name, then those of the method.
pub(crate) fn call(mut call: Call<'_>) -> Result<Value, Fail> {
    let name = match call.args.get(1).and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => return Err(fail("a method has no name".into())),
    };
    let subject = call.subject()?.clone();
    if let Some((_, method)) = table(&subject).iter().find(|(known, _)| *known == name) {
        call.args.remove(1);
        return method(&call);
    }
    // A macro in a namespace, `loop.cycle`, and the like.
    let is_object = matches!(subject.kind(), ValueKind::Map | ValueKind::Plain);
    if is_object {
        let named = call.named();
        let mut args = call.args.split_off(2);
        if !named.is_empty() {
            args.push(named.into_iter().collect::<minijinja::value::Kwargs>().into());
        }
        return subject.call_method(call.state, &name, &args);
    }
    Err(Fail::new(ErrorKind::UnknownMethod, format!("{} has no method {name}", subject.kind())))
}

/// An argument that has to be a string, without marks.
fn part(call: &Call<'_>, place: usize) -> Result<String, Fail> {
    let missing = || fail(format!("argument {place} has to be a string"));
    call.text(place, "")?.ok_or_else(missing)
}

/// Places of a text in the string that is operated on, one after the other, as ranges of its bytes.
fn matches(call: &Call<'_>, wanted: &str) -> Result<Vec<Range<usize>>, Fail> {
    let text = call.subject_text()?;
    if wanted.is_empty() {
        return Err(fail("the text to look for is empty".into()));
    }
    let plain = call.scope.twins.plain(text);
    call.scope.charge(plain.len().saturating_mul(16))?;
    let mut ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let mut letters = 0;
    let (mut at, mut reached) = (0, 0);
    let mut found = Vec::new();
    for (start, _) in plain.match_indices(wanted) {
        let mut advance = |to: usize, at: &mut usize| {
            let steps = plain[reached..to].chars().count();
            (reached, letters) = (to, letters + steps);
            if steps > 0 {
                *at = ends.nth(steps - 1).unwrap_or(text.len());
            }
            *at
        };
        let first = advance(start, &mut at);
        let last = advance(start + wanted.len(), &mut at);
        found.push(first..last);
    }
    Ok(found)
}

fn strip(call: &Call<'_>, side: Side) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let given = call.text(1, "chars")?;
    let goes = |letter: char| match &given {
        Some(letters) => letters.contains(call.scope.twins.letter(letter)),
        None => letter.is_whitespace() || matches!(letter, '\u{1C}'..='\u{1F}'),
    };
    call.scope.charge(given.as_ref().map_or(0, |letters| letters.len()))?;
    let text = if side != Side::End { text.trim_start_matches(goes) } else { text };
    let text = if side != Side::Start { text.trim_end_matches(goes) } else { text };
    Ok(Value::from(text))
}

/// The filter `trim`.
pub(crate) fn trim(call: &Call<'_>) -> Result<Value, Fail> {
    let text = Value::from(printing::text(call.scope, call.subject()?)?);
    let args = std::iter::once(text).chain(call.args.get(1).cloned()).collect();
    strip(&call.with(args), Side::Both)
}

fn split(call: &Call<'_>, from: Side) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let most = match call.integer(2, "maxsplit")? {
        Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let Some(separator) = call.text(1, "sep")? else { return words(call, most, from) };
    let mut places = matches(call, &separator)?;
    if places.len() > most {
        match from {
            Side::Start | Side::Both => places.truncate(most),
            Side::End => drop(places.drain(..places.len() - most)),
        }
    }
    call.scope.charge(places.len() * size_of::<Value>())?;
    let mut start = 0;
    let mut parts = Vec::with_capacity(places.len() + 1);
    for place in places {
        parts.push(Value::from(&text[start..place.start]));
        start = place.end;
    }
    parts.push(Value::from(&text[start..]));
    Ok(Value::from(parts))
}

/// `split()` without a separator: runs of white space divide, none is kept at the ends.
fn words(call: &Call<'_>, most: usize, from: Side) -> Result<Value, Fail> {
    let text = call.subject_text()?.trim();
    call.scope.charge(text.len())?;
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && parts.len() < most {
        let cut = match from {
            Side::Start | Side::Both => rest.split_once(char::is_whitespace),
            Side::End => rest.rsplit_once(char::is_whitespace).map(|(before, word)| (word, before)),
        };
        let Some((word, others)) = cut else { break };
        parts.push(Value::from(word));
        rest = others.trim();
    }
    parts.extend((!rest.is_empty()).then(|| Value::from(rest)));
    if from == Side::End {
        parts.reverse();
    }
    call.scope.charge(parts.len() * size_of::<Value>())?;
    Ok(Value::from(parts))
}

fn lines(call: &Call<'_>) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let lines: Vec<Value> = text.lines().map(Value::from).collect();
    call.scope.charge(lines.len() * size_of::<Value>())?;
    Ok(Value::from(lines))
}

fn partition(call: &Call<'_>, from: Side) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let places = matches(call, &part(call, 1)?)?;
    let place = if from == Side::Start { places.first() } else { places.last() };
    let parts = match (place, from) {
        (Some(place), _) => [&text[..place.start], &text[place.clone()], &text[place.end..]],
        (None, Side::Start | Side::Both) => [text, "", ""],
        (None, Side::End) => ["", "", text],
    };
    Ok(Value::from(parts.map(Value::from).to_vec()))
}

/// `startswith` and `endswith`: one text or several.
fn affix(call: &Call<'_>, has: fn(&str, &str) -> bool) -> Result<Value, Fail> {
    let plain = call.scope.twins.plain(call.subject_text()?);
    let wanted = call.args.get(1).ok_or_else(|| fail("an argument is missing".into()))?;
    let wanted = if wanted.as_str().is_some() { vec![wanted.clone()] } else { call.scope.items(wanted)? };
    for one in &wanted {
        let one = call.scope.plain(one).ok_or_else(|| fail("the argument has to be a string".into()))?;
        if has(&plain, &one) {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn remove_prefix(call: &Call<'_>) -> Result<Value, Fail> {
    let (text, prefix) = (call.subject_text()?, part(call, 1)?);
    match call.scope.twins.plain(text).starts_with(&prefix) {
        true => Ok(text.chars().skip(prefix.chars().count()).collect::<String>().into()),
        false => Ok(Value::from(text)),
    }
}

fn remove_suffix(call: &Call<'_>) -> Result<Value, Fail> {
    let (text, suffix) = (call.subject_text()?, part(call, 1)?);
    match call.scope.twins.plain(text).ends_with(&suffix) {
        true => {
            let kept = text.chars().count() - suffix.chars().count();
            Ok(text.chars().take(kept).collect::<String>().into())
        }
        false => Ok(Value::from(text)),
    }
}

/// The places before, between and after letters, as empty ranges.
fn gaps(text: &str) -> Vec<Range<usize>> {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.chain([text.len()]).map(|at| at..at).collect()
}

/// The method and the filter `replace`.
pub(crate) fn replace(call: &Call<'_>) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let (old, new) =
        (part(call, 1)?, call.argument(2, "new").ok_or_else(|| fail("nothing to put in".into()))?);
    let new = new.as_str().ok_or_else(|| fail("the text to put in has to be a string".into()))?;
    let mut places = if old.is_empty() { gaps(text) } else { matches(call, &old)? };
    if let Some(most) = call.integer(3, "count")? {
        places.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    }
    call.scope.charge_string(text.len().saturating_add(new.len().saturating_mul(places.len())))?;
    let mut out = String::new();
    let mut start = 0;
    for place in places {
        out.push_str(&text[start..place.start]);
        out.push_str(new);
        start = place.end;
    }
    out.push_str(&text[start..]);
    Ok(Value::from(out))
}

/// The place in letters, or -1.
fn find(call: &Call<'_>, from: Side) -> Result<i64, Fail> {
    let text = call.subject_text()?;
    let wanted = part(call, 1)?;
    if wanted.is_empty() {
        return Ok(if from == Side::Start { 0 } else { text.chars().count() as i64 });
    }
    let places = matches(call, &wanted)?;
    let place = if from == Side::Start { places.first() } else { places.last() };
    Ok(place.map_or(-1, |place| text[..place.start].chars().count() as i64))
}

/// `ljust`, `rjust` and `center`: filled up to a width on the other side, or on both.
pub(crate) fn justified(call: &Call<'_>, text_at: Side) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let width = usize::try_from(call.integer(1, "width")?.unwrap_or(80)).unwrap_or(0);
    let fill = call.text(2, "fillchar")?.unwrap_or_else(|| " ".into());
    let missing = width.saturating_sub(text.chars().count());
    call.scope.charge_string(text.len().saturating_add(missing.saturating_mul(fill.len())))?;
    let before = match text_at {
        Side::Start => 0,
        Side::End => missing,
        // Python puts the odd one before the text where the width is odd.
        Side::Both => missing / 2 + (missing & width & 1),
    };
    Ok(Value::from([&fill.repeat(before), text, &fill.repeat(missing - before)].concat()))
}

fn zfill(call: &Call<'_>) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let width = usize::try_from(call.integer(1, "width")?.unwrap_or(0)).unwrap_or(0);
    let missing = width.saturating_sub(text.chars().count());
    call.scope.charge_string(text.len().saturating_add(missing))?;
    let sign = if call.scope.twins.plain(text).starts_with(['+', '-']) {
        text.chars().next().map_or(0, char::len_utf8)
    } else {
        0
    };
    Ok(Value::from([&text[..sign], &"0".repeat(missing), &text[sign..]].concat()))
}

fn index(call: &Call<'_>) -> Result<Value, Fail> {
    match find(call, Side::Start)? {
        -1 => Err(fail("the text is not there".into())),
        place => Ok(Value::from(place)),
    }
}

fn every(call: &Call<'_>, is: fn(char) -> bool) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    Ok(Value::from(!text.is_empty() && text.chars().all(|letter| is(call.scope.twins.letter(letter)))))
}

/// `isupper` and `islower`: there is a cased letter, and none of the other case.
fn cased(call: &Call<'_>, is_other: fn(char) -> bool) -> Result<Value, Fail> {
    let plain = call.scope.twins.plain(call.subject_text()?);
    let is_cased = |letter: char| letter.is_lowercase() || letter.is_uppercase();
    Ok(Value::from(plain.contains(is_cased) && !plain.contains(is_other)))
}

fn values(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    call.items()?.iter().map(|key| subject.get_item(key)).collect::<Result<Vec<_>, _>>().map(Value::from)
}

fn get(call: &Call<'_>) -> Result<Value, Fail> {
    let key = call.args.get(1).ok_or_else(|| fail("get needs a key".into()))?;
    let found = operators::item(call.scope, call.subject()?, key)?;
    match found.is_undefined() {
        true => Ok(call.args.get(2).cloned().unwrap_or_else(|| Value::from(()))),
        false => Ok(found),
    }
}

fn equal_places(call: &Call<'_>) -> Result<Vec<usize>, Fail> {
    let wanted = call.args.get(1).ok_or_else(|| fail("an argument is missing".into()))?;
    let mut places = Vec::new();
    for (place, item) in call.items()?.iter().enumerate() {
        if call.scope.equal(item, wanted)? {
            places.push(place);
        }
    }
    Ok(places)
}
