//! The filters and tests of Jinja that chat templates use, each on a budget.
//!
//! A filter that is not in these lists is an error. Source: "Template Designer Documentation" of Jinja 3.1,
//! "List of Builtin Filters" and "List of Builtin Tests".

use std::cmp::Ordering;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::methods::{self, Side, replace, trim};
use super::objects::{Generator, Method, is_generator, no_generator};
use super::scope::{Call, Fail, fail};
use super::{formats, operators, printing};

type Filter = fn(&Call<'_>) -> Result<Value, Fail>;
type Test = fn(&Call<'_>) -> Result<bool, Fail>;

/// All filters by name.
pub(crate) static FILTERS: &[(&str, Filter)] = &[
    ("abs", abs),
    ("bool", |call| Ok(Value::from(call.subject()?.is_true()))),
    ("attr", attr),
    ("batch", batch),
    ("capitalize", capitalize),
    ("center", |call| methods::justified(call, Side::Both)),
    ("count", length),
    ("d", default),
    ("default", default),
    ("dictsort", dictsort),
    ("e", escape),
    ("escape", escape),
    ("first", |call| Ok(call.items()?.into_iter().next().unwrap_or(Value::UNDEFINED))),
    ("float", float),
    ("forceescape", escape),
    ("format", |call| formats::percent(call, &Value::from(call.args.get(1..).unwrap_or_default().to_vec()))),
    ("from_json", from_json),
    ("groupby", groupby),
    ("indent", indent),
    ("int", int),
    ("items", items),
    ("join", |call| {
        let separator = call.argument(1, "d").map(|value| printing::text(call.scope, &value)).transpose()?;
        match call.argument(2, "attribute") {
            None => joined(call, call.args.first(), &separator.unwrap_or_default()),
            Some(name) => {
                let values: Result<Vec<_>, _> =
                    call.items()?.iter().map(|item| at(call, item, &name)).collect();
                joined(call, Some(&Value::from(values?)), &separator.unwrap_or_default())
            }
        }
    }),
    ("last", |call| Ok(call.items()?.pop().unwrap_or(Value::UNDEFINED))),
    ("length", length),
    ("list", |call| Ok(Value::from(call.items()?))),
    ("lower", lower),
    ("map", map),
    ("max", |call| extreme(call, Ordering::is_gt)),
    ("min", |call| extreme(call, Ordering::is_lt)),
    ("reject", |call| select(call, 1, |_, item| Ok(item.clone()), Keep::Others)),
    ("rejectattr", |call| select(call, 2, attribute_of, Keep::Others)),
    ("replace", replace),
    ("reverse", reverse),
    ("round", round),
    ("safe", |call| printing::text(call.scope, call.subject()?).map(Value::from_safe_string)),
    ("select", |call| select(call, 1, |_, item| Ok(item.clone()), Keep::Matching)),
    ("selectattr", |call| select(call, 2, attribute_of, Keep::Matching)),
    ("sort", sort),
    ("string", |call| printing::text(call.scope, call.subject()?).map(Value::from)),
    ("sum", sum),
    ("title", title),
    ("tojson", printing::tojson),
    ("trim", trim),
    ("unique", unique),
    ("upper", upper),
    ("wordcount", |call| Ok(Value::from(call.scope.plain(call.subject()?).map_or(0, |text| n_words(&text))))),
];

/// An attribute, which a key of a map is not.
fn attr(call: &Call<'_>) -> Result<Value, Fail> {
    let (subject, name) = (call.subject()?, call.text(1, "name")?.unwrap_or_default());
    match methods::has(subject, &name) {
        true => Method::value(call.scope, subject, &name),
        false if methods::has(subject, "get") => Ok(Value::UNDEFINED),
        false => subject.get_attr(&name),
    }
}

/// Words as Jinja counts them: runs of letters, digits and `_`.
fn n_words(text: &str) -> usize {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
        .count()
}

/// Lists of so many elements each, the last filled up where there is something to fill with.
fn batch(call: &Call<'_>) -> Result<Value, Fail> {
    let size = call.integer(1, "linecount")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let size = size.ok_or_else(|| fail("a batch needs a size".into()))?;
    let mut batches = Vec::new();
    for part in call.items()?.chunks(size) {
        let mut part = part.to_vec();
        if let Some(fill) = call.argument(2, "fill_with").filter(|fill| !fill.is_none()) {
            call.scope.charge((size - part.len()).saturating_mul(size_of::<Value>()))?;
            part.resize(size, fill);
        }
        batches.push(Value::from(part));
    }
    Generator::value(call.scope, batches)
}

/// `(value, elements)` for each value of an attribute, in the order of the values.
fn groupby(call: &Call<'_>) -> Result<Value, Fail> {
    let name = call.argument(1, "attribute").ok_or_else(|| fail("groupby needs an attribute".into()))?;
    let mut keyed = Vec::new();
    for item in call.items()? {
        let key = at(call, &item, &name)?;
        let key = if key.is_undefined() { call.argument(2, "default").unwrap_or(key) } else { key };
        let order =
            call.scope.plain(&key).map_or_else(|| key.clone(), |text| Value::from(text.to_lowercase()));
        keyed.push((order, key, item));
    }
    keyed.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let groups = keyed.chunk_by(|(a, ..), (b, ..)| a == b);
    let group = |group: &[(Value, Value, Value)]| {
        let items: Vec<Value> = group.iter().map(|(_, _, item)| item.clone()).collect();
        Value::from(vec![group[0].1.clone(), Value::from(items)])
    };
    let groups = Value::from(groups.map(group).collect::<Vec<_>>());
    call.scope.check_depth(&groups)?;
    Ok(groups)
}

/// The elements, none where the value counts as false.
fn items_or_none(call: &Call<'_>) -> Result<Vec<Value>, Fail> {
    if call.subject()?.is_true() { call.items() } else { Ok(Vec::new()) }
}

/// All tests by name.
pub(crate) static TESTS: &[(&str, Test)] = &[
    ("boolean", |call| Ok(call.subject()?.kind() == ValueKind::Bool)),
    ("callable", |call| Ok(call.subject()?.kind() == ValueKind::Plain)),
    ("defined", |call| Ok(!call.subject()?.is_undefined())),
    ("divisibleby", |call| Ok(whole(call, 0)?.checked_rem(whole(call, 1)?) == Some(0))),
    ("eq", equal),
    ("equalto", equal),
    ("==", equal),
    ("even", |call| Ok(whole(call, 0)? % 2 == 0)),
    ("false", |call| Ok(call.subject()?.kind() == ValueKind::Bool && !call.subject()?.is_true())),
    ("float", |call| Ok(call.subject()?.kind() == ValueKind::Number && !call.subject()?.is_integer())),
    ("ge", |call| order(call, Ordering::is_ge)),
    ("greaterthan", |call| order(call, Ordering::is_gt)),
    ("gt", |call| order(call, Ordering::is_gt)),
    ("in", |call| operators::is_in(call.scope, call.subject()?, &second(call)?)),
    ("integer", |call| Ok(call.subject()?.kind() == ValueKind::Number && call.subject()?.is_integer())),
    ("iterable", |call| {
        let kind = call.subject()?.kind();
        Ok(kind == ValueKind::Undefined || has_elements(kind))
    }),
    ("le", |call| order(call, Ordering::is_le)),
    ("lessthan", |call| order(call, Ordering::is_lt)),
    ("lower", |call| Ok(call.scope.plain(call.subject()?).is_some_and(|text| text.to_lowercase() == text))),
    ("lt", |call| order(call, Ordering::is_lt)),
    ("mapping", |call| Ok(call.subject()?.kind() == ValueKind::Map)),
    ("ne", |call| Ok(!equal(call)?)),
    ("none", |call| Ok(call.subject()?.is_none())),
    ("number", |call| Ok(matches!(call.subject()?.kind(), ValueKind::Number | ValueKind::Bool))),
    ("odd", |call| Ok(whole(call, 0)? % 2 != 0)),
    ("sameas", equal),
    ("sequence", |call| {
        let kind = call.subject()?.kind();
        Ok(kind == ValueKind::Undefined || has_elements(kind) && !is_generator(call.subject()?))
    }),
    ("string", |call| Ok(is_string(call))),
    ("true", |call| Ok(call.subject()?.kind() == ValueKind::Bool && call.subject()?.is_true())),
    ("undefined", |call| Ok(call.subject()?.is_undefined())),
    ("upper", |call| Ok(call.scope.plain(call.subject()?).is_some_and(|text| text.to_uppercase() == text))),
];

fn has_elements(kind: ValueKind) -> bool {
    matches!(kind, ValueKind::Seq | ValueKind::Iterable | ValueKind::String | ValueKind::Map)
}

fn second(call: &Call<'_>) -> Result<Value, Fail> {
    call.args.get(1).cloned().ok_or_else(|| fail("an argument is missing".into()))
}

fn is_string(call: &Call<'_>) -> bool {
    call.args.first().is_some_and(|value| value.as_str().is_some())
}

fn equal(call: &Call<'_>) -> Result<bool, Fail> {
    call.scope.equal(call.subject()?, &second(call)?)
}

fn order(call: &Call<'_>, holds: fn(Ordering) -> bool) -> Result<bool, Fail> {
    Ok(holds(call.scope.order(call.subject()?, &second(call)?)?))
}

fn whole(call: &Call<'_>, place: usize) -> Result<i64, Fail> {
    let value = call.args.get(place).and_then(Value::as_i64);
    value.ok_or_else(|| fail("expected a whole number".into()))
}

fn length(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    if let Some(text) = subject.as_str() {
        call.scope.charge(text.len())?;
        return Ok(Value::from(text.chars().count()));
    }
    no_generator(subject, "length")?;
    match subject.len() {
        Some(length) => Ok(Value::from(length)),
        None if subject.is_undefined() => Ok(Value::from(0)),
        None => Err(fail(format!("{} has no length", subject.kind()))),
    }
}

/// HTML's escapes, which keep the marks of what they stand for.
fn escape(call: &Call<'_>) -> Result<Value, Fail> {
    escaped(call, call.subject()?).map(Value::from_safe_string)
}

/// A value as text with HTML's escapes; text that is marked as safe stays as it is.
pub(crate) fn escaped(call: &Call<'_>, value: &Value) -> Result<String, Fail> {
    let text = printing::text(call.scope, value)?;
    if value.is_safe() {
        return Ok(text);
    }
    let mut out = String::with_capacity(text.len());
    for marked in text.chars() {
        let entity = match call.scope.twins.letter(marked) {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\'' => "&#39;",
            '"' => "&#34;",
            _ => {
                out.push(marked);
                continue;
            }
        };
        out.extend(entity.chars().map(|letter| call.scope.twins.like(marked, letter)));
    }
    call.scope.charge_string(out.len())?;
    Ok(out)
}

fn default(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    let for_false = call.argument(2, "boolean").is_some_and(|value| value.is_true());
    match subject.is_undefined() || (for_false && !subject.is_true()) {
        true => Ok(call.argument(1, "default_value").unwrap_or_else(|| Value::from(""))),
        false => Ok(subject.clone()),
    }
}

/// Letter by letter, keeping marks.
fn recase(call: &Call<'_>, case: impl Fn(char, char, &mut String)) -> Result<Value, Fail> {
    let text = printing::text(call.scope, call.subject()?)?;
    call.scope.charge_string(text.len())?;
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for marked in text.chars() {
        let letter = call.scope.twins.letter(marked);
        let mut cased = String::new();
        case(before, letter, &mut cased);
        out.extend(cased.chars().map(|letter| call.scope.twins.like(marked, letter)));
        before = letter;
    }
    Ok(Value::from(out))
}

pub(crate) fn upper(call: &Call<'_>) -> Result<Value, Fail> {
    recase(call, |_, letter, out| out.extend(letter.to_uppercase()))
}

pub(crate) fn lower(call: &Call<'_>) -> Result<Value, Fail> {
    recase(call, |_, letter, out| out.extend(letter.to_lowercase()))
}

pub(crate) fn swapcase(call: &Call<'_>) -> Result<Value, Fail> {
    recase(call, |_, letter, out| match letter.is_uppercase() {
        true => out.extend(letter.to_lowercase()),
        false => out.extend(letter.to_uppercase()),
    })
}

pub(crate) fn title(call: &Call<'_>) -> Result<Value, Fail> {
    recase(call, |before, letter, out| match before.is_alphabetic() {
        true => out.extend(letter.to_lowercase()),
        false => out.extend(letter.to_uppercase()),
    })
}

pub(crate) fn capitalize(call: &Call<'_>) -> Result<Value, Fail> {
    let text = lower(call)?;
    let text = text.as_str().unwrap_or_default();
    let Some(first) = text.chars().next() else { return Ok(Value::from("")) };
    let upper = call.scope.twins.letter(first).to_uppercase();
    let mut out: String = upper.map(|letter| call.scope.twins.like(first, letter)).collect();
    out.push_str(&text[first.len_utf8()..]);
    Ok(Value::from(out))
}

/// Elements as text with a separator between them.
pub(crate) fn joined(call: &Call<'_>, list: Option<&Value>, separator: &str) -> Result<Value, Fail> {
    let list = list.ok_or_else(|| fail("there is nothing to join".into()))?;
    let mut out = String::new();
    for (place, item) in call.scope.items(list)?.iter().enumerate() {
        let text = printing::text(call.scope, item)?;
        call.scope.charge(separator.len() + text.len())?;
        out.push_str(if place > 0 { separator } else { "" });
        out.push_str(&text);
    }
    call.scope.charge_string(out.len())?;
    Ok(Value::from(out))
}

fn indent(call: &Call<'_>) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    let width = match call.argument(1, "width") {
        Some(value) if value.as_str().is_some() => value.as_str().unwrap_or_default().to_owned(),
        _ => " ".repeat(call.integer(1, "width")?.unwrap_or(4).clamp(0, 256) as usize),
    };
    let is_set = |place, name| call.argument(place, name).is_some_and(|value: Value| value.is_true());
    let (first, blank) = (is_set(2, "first"), is_set(3, "blank"));
    let n_lines = text.matches('\n').count() + 1;
    call.scope.charge_string(text.len().saturating_add(width.len().saturating_mul(n_lines)))?;
    let mut out = String::new();
    for (place, line) in text.split('\n').enumerate() {
        out.push_str(if place > 0 { "\n" } else { "" });
        let wanted = if place == 0 { first } else { blank || !line.is_empty() };
        out.push_str(if wanted { &width } else { "" });
        out.push_str(line);
    }
    Ok(Value::from(out))
}

/// `(key, value)` for each entry of a map.
pub(crate) fn items(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    if subject.is_undefined() {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    if subject.kind() != ValueKind::Map {
        return Err(fail(format!("{} has no items", subject.kind())));
    }
    let pair = |key: Value| subject.get_item(&key).map(|value| Value::from(vec![key, value]));
    let pairs: Result<Vec<Value>, Fail> = call.items()?.into_iter().map(pair).collect();
    let pairs = Value::from(pairs?);
    call.scope.check_depth(&pairs)?;
    Ok(pairs)
}

fn dictsort(call: &Call<'_>) -> Result<Value, Fail> {
    let by = if call.text(2, "by")?.as_deref() == Some("value") { 1 } else { 0 };
    let mut pairs = call.scope.items(&items(call)?)?;
    let key = |pair: &Value| {
        let value = pair.get_item_by_index(by).unwrap_or_default();
        call.scope.plain(&value).map_or_else(|| value.clone(), |text| Value::from(text.to_lowercase()))
    };
    pairs.sort_by_cached_key(key);
    if call.argument(3, "reverse").is_some_and(|value| value.is_true()) {
        pairs.reverse();
    }
    Ok(Value::from(pairs))
}

fn sort(call: &Call<'_>) -> Result<Value, Fail> {
    let (attribute, is_set) = (call.argument(3, "attribute"), |place, name| {
        call.argument(place, name).is_some_and(|v: Value| v.is_true())
    });
    let (reverse, exact) = (is_set(1, "reverse"), is_set(2, "case_sensitive"));
    let mut keyed = Vec::new();
    for item in call.items()? {
        let key = attribute.as_ref().map_or_else(|| Ok(item.clone()), |name| at(call, &item, name))?;
        let key = match call.scope.plain(&key) {
            Some(text) if exact => Value::from(text.into_owned()),
            Some(text) => Value::from(text.to_lowercase()),
            None if matches!(key.kind(), ValueKind::Number | ValueKind::Bool) => key,
            None => return Err(fail(format!("{} has no order", key.kind()))),
        };
        call.scope.charge(key.as_str().map_or(1, str::len))?;
        keyed.push((key, item));
    }
    keyed.sort_by(|(a, _), (b, _)| if reverse { b.cmp(a) } else { a.cmp(b) });
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn unique(call: &Call<'_>) -> Result<Value, Fail> {
    let mut kept: Vec<Value> = Vec::new();
    for item in call.items()? {
        if !operators::is_in(call.scope, &item, &Value::from(kept.clone()))? {
            kept.push(item);
        }
    }
    Generator::value(call.scope, kept)
}

fn reverse(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    if is_string(call) {
        return Ok(call.subject_text()?.chars().rev().collect::<String>().into());
    }
    let mut items = call.scope.items(subject)?;
    items.reverse();
    Generator::value(call.scope, items)
}

fn extreme(call: &Call<'_>, wins: fn(Ordering) -> bool) -> Result<Value, Fail> {
    let mut best: Option<Value> = None;
    for item in call.items()? {
        let better = match &best {
            Some(best) => wins(call.scope.order(&item, best)?),
            None => true,
        };
        best = if better { Some(item) } else { best };
    }
    Ok(best.unwrap_or(Value::UNDEFINED))
}

fn sum(call: &Call<'_>) -> Result<Value, Fail> {
    let mut total = 0.0;
    let mut whole = Some(0i64);
    for item in call.items()? {
        whole = item.as_i64().filter(|_| item.is_integer()).zip(whole).and_then(|(a, b)| a.checked_add(b));
        total += f64::try_from(item).map_err(|_| fail("only numbers have a sum".into()))?;
    }
    Ok(whole.map_or_else(|| Value::from(total), Value::from))
}

fn abs(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    match subject.as_i64().filter(|_| subject.is_integer()) {
        Some(n) => n.checked_abs().map(Value::from).ok_or_else(|| fail("the number is too large".into())),
        None => Ok(Value::from(f64::try_from(subject.clone())?.abs())),
    }
}

fn round(call: &Call<'_>) -> Result<Value, Fail> {
    let digits = call.integer(1, "precision")?.unwrap_or(0).clamp(-15, 15) as i32;
    let scaled = f64::try_from(call.subject()?.clone())? * 10f64.powi(digits);
    let rounded = match call.text(2, "method")?.as_deref() {
        Some("ceil") => scaled.ceil(),
        Some("floor") => scaled.floor(),
        _ => scaled.round_ties_even(),
    };
    Ok(Value::from(rounded / 10f64.powi(digits)))
}

fn int(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    let fallback = call.integer(1, "default")?.unwrap_or(0);
    let base = call.integer(2, "base")?.and_then(|base| u32::try_from(base).ok()).unwrap_or(10);
    let number = match call.scope.plain(subject) {
        Some(text) if (2..=36).contains(&base) && base != 10 => {
            let prefix = match base {
                2 => "0b",
                8 => "0o",
                16 => "0x",
                _ => "",
            };
            let text = text.trim().to_lowercase();
            i64::from_str_radix(text.strip_prefix(prefix).unwrap_or(&text), base).ok()
        }
        Some(text) => {
            text.trim().parse::<i64>().ok().or_else(|| text.trim().parse::<f64>().ok().map(|n| n as i64))
        }
        None if subject.kind() == ValueKind::Bool => Some(i64::from(subject.is_true())),
        None => subject.as_i64().or_else(|| f64::try_from(subject.clone()).ok().map(|n| n as i64)),
    };
    Ok(Value::from(number.unwrap_or(fallback)))
}

fn float(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    let number = match call.scope.plain(subject) {
        Some(text) => text.trim().parse::<f64>().ok(),
        None => f64::try_from(subject.clone()).ok(),
    };
    Ok(Value::from(number.unwrap_or(0.0)))
}

fn from_json(call: &Call<'_>) -> Result<Value, Fail> {
    let text = call.subject_text()?;
    call.scope.charge(text.len().saturating_mul(8))?;
    let parsed: serde_json::Value = serde_json::from_str(&call.scope.twins.plain(text))
        .map_err(|error| fail(format!("from_json: {error}")))?;
    let is_marked = text.chars().any(|letter| call.scope.twins.is_marked(letter));
    let parsed = if is_marked { super::marked(parsed, &call.scope.twins) } else { parsed };
    let value = Value::from_serialize(parsed);
    call.scope.check_depth(&value)?;
    Ok(value)
}

/// An attribute by name, or by path with dots.
fn at(call: &Call<'_>, item: &Value, name: &Value) -> Result<Value, Fail> {
    let Some(path) = name.as_str() else { return item.get_item(name) };
    call.scope.charge(path.len())?;
    path.split('.').try_fold(item.clone(), |value, part| match part.parse::<usize>() {
        Ok(place) => value.get_item_by_index(place),
        Err(_) => value.get_attr(part),
    })
}

fn attribute_of(call: &Call<'_>, item: &Value) -> Result<Value, Fail> {
    at(call, item, &second(call)?)
}

#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Matching,
    Others,
}

/// `select`, `reject` and their `attr` kin: keeps items by a test, or by truth without one.
fn select(
    call: &Call<'_>,
    test_place: usize,
    look_at: fn(&Call<'_>, &Value) -> Result<Value, Fail>,
    keep: Keep,
) -> Result<Value, Fail> {
    let test = call.text(test_place, "")?;
    let rest = call.args.get(test_place + 1..).unwrap_or_default();
    let mut kept = Vec::new();
    for item in items_or_none(call)? {
        let looked = look_at(call, &item)?;
        let holds = match &test {
            None => looked.is_true(),
            Some(test) => {
                let args: Vec<Value> = std::iter::once(looked).chain(rest.iter().cloned()).collect();
                call.state.perform_test(test, &args)?
            }
        };
        if holds == (keep == Keep::Matching) {
            kept.push(item);
        }
    }
    Generator::value(call.scope, kept)
}

fn map(call: &Call<'_>) -> Result<Value, Fail> {
    let attribute = call.argument(usize::MAX, "attribute");
    let filter = call.text(1, "")?;
    let rest = call.args.get(2..).unwrap_or_default();
    let mut mapped = Vec::new();
    for item in items_or_none(call)? {
        mapped.push(match (&attribute, &filter) {
            (Some(name), _) => {
                let value = at(call, &item, name)?;
                match value.is_undefined() {
                    true => call.argument(usize::MAX, "default").unwrap_or(value),
                    false => value,
                }
            }
            (None, Some(filter)) => {
                let args: Vec<Value> = std::iter::once(item).chain(rest.iter().cloned()).collect();
                call.state.apply_filter(filter, &args)?
            }
            (None, None) => return Err(fail("map needs a filter or an attribute".into())),
        });
    }
    Generator::value(call.scope, mapped)
}
