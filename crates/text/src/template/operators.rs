//! Python's operators on template values: `+ - * / // % **`, `~`, comparisons, `in`, subscripts, slices, and list
//! and map literals.
//!
//! Strings here may carry marks ([`super::twins`]): what is built keeps them, what is compared ignores them.
//! Source: "The Python Language Reference", chapter 6.

use std::cmp::Ordering;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::objects::{Method, is_generator, no_generator};
use super::scope::{Call, Fail, Scope, fail};
use super::{filters, formats, methods, printing};

type Operation = fn(&Call<'_>) -> Result<Value, Fail>;

/// Every operator by the name that [`super::rewrite`] gives it.
pub(crate) static OPERATORS: &[(&str, Operation)] = &[
    ("#add", add),
    ("#sub", |call| arithmetic(call, "-")),
    ("#mul", multiply),
    ("#div", |call| arithmetic(call, "/")),
    ("#floordiv", |call| arithmetic(call, "//")),
    ("#rem", |call| match call.subject()?.as_str() {
        Some(_) => formats::percent(call, &right(call)?),
        None => arithmetic(call, "%"),
    }),
    ("#pow", |call| arithmetic(call, "**")),
    ("#concat", concat),
    ("#eq", |call| Ok(Value::from(equal(call)?))),
    ("#ne", |call| Ok(Value::from(!equal(call)?))),
    ("#lt", |call| compare(call, Ordering::is_lt)),
    ("#le", |call| compare(call, Ordering::is_le)),
    ("#gt", |call| compare(call, Ordering::is_gt)),
    ("#ge", |call| compare(call, Ordering::is_ge)),
    ("#in", |call| Ok(Value::from(contains(call)?))),
    ("#notin", |call| Ok(Value::from(!contains(call)?))),
    ("#slice", slice),
    ("#item", |call| item(call.scope, call.subject()?, &right(call)?)),
    ("#attribute", attribute),
    ("#iterable", iterable),
];

/// List and map literals, which the rewriter turns into calls.
pub(crate) static LITERALS: &[(&str, Operation)] = &[("#list", list), ("#map", map)];

fn right(call: &Call<'_>) -> Result<Value, Fail> {
    call.args.get(1).cloned().ok_or_else(|| fail("the right side is missing".into()))
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) && !is_generator(value)
}

fn add(call: &Call<'_>) -> Result<Value, Fail> {
    let (left, right) = (call.subject()?, right(call)?);
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        if left.is_safe() || right.is_safe() {
            // HTML that is marked as safe escapes what is added to it.
            let joined = filters::escaped(call, left)? + &filters::escaped(call, &right)?;
            call.scope.charge_string(joined.len())?;
            return Ok(Value::from_safe_string(joined));
        }
        call.scope.charge_string(a.len() + b.len())?;
        return Ok(Value::from([a, b].concat()));
    }
    if is_list(left) && is_list(&right) {
        let mut items = call.scope.items(left)?;
        items.extend(call.scope.items(&right)?);
        return Ok(Value::from(items));
    }
    arithmetic(call, "+")
}

fn multiply(call: &Call<'_>) -> Result<Value, Fail> {
    let (left, right) = (call.subject()?.clone(), right(call)?);
    for (repeated, times) in [(&left, &right), (&right, &left)] {
        let count = || times.as_i64().map(|n| usize::try_from(n).unwrap_or(0));
        if let (Some(text), Some(n)) = (repeated.as_str(), count()) {
            call.scope.charge_string(text.len().saturating_mul(n))?;
            return Ok(Value::from(text.repeat(n)));
        }
        if let (true, Some(n)) = (is_list(repeated), count()) {
            let items = call.scope.items(repeated)?;
            call.scope.charge(items.len().saturating_mul(n).saturating_mul(size_of::<Value>()))?;
            return Ok(std::iter::repeat_n(items, n).flatten().collect());
        }
    }
    arithmetic(call, "*")
}

fn concat(call: &Call<'_>) -> Result<Value, Fail> {
    let (left, right) =
        (printing::text(call.scope, call.subject()?)?, printing::text(call.scope, &right(call)?)?);
    call.scope.charge_string(left.len() + right.len())?;
    Ok(Value::from(left + &right))
}

fn equal(call: &Call<'_>) -> Result<bool, Fail> {
    call.scope.equal(call.subject()?, &right(call)?)
}

fn compare(call: &Call<'_>, holds: fn(Ordering) -> bool) -> Result<Value, Fail> {
    Ok(Value::from(holds(call.scope.order(call.subject()?, &right(call)?)?)))
}

fn contains(call: &Call<'_>) -> Result<bool, Fail> {
    is_in(call.scope, call.subject()?, &right(call)?)
}

/// Python's `value in container`.
pub(crate) fn is_in(scope: &Scope, value: &Value, container: &Value) -> Result<bool, Fail> {
    if let Some(text) = container.as_str() {
        scope.charge(text.len())?;
        let part =
            scope.plain(value).ok_or_else(|| fail(format!("a string cannot hold {}", value.kind())))?;
        return Ok(text.contains(part.as_ref()) || scope.twins.plain(text).contains(part.as_ref()));
    }
    if container.kind() == ValueKind::Map {
        return Ok(!item(scope, container, value)?.is_undefined());
    }
    if container.is_undefined() {
        return Ok(false);
    }
    for item in scope.items(container)? {
        if scope.equal(value, &item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `value[key]`; a key that is not there is undefined.
pub(crate) fn item(scope: &Scope, value: &Value, key: &Value) -> Result<Value, Fail> {
    if let (Some(text), Some(index)) = (value.as_str(), key.as_i64()) {
        scope.charge(text.len())?;
        let n = text.chars().count() as i64;
        let place = if index < 0 { index + n } else { index };
        let letter = usize::try_from(place).ok().and_then(|place| text.chars().nth(place));
        return Ok(letter.map_or(Value::UNDEFINED, |letter| Value::from(letter.to_string())));
    }
    let found = value.get_item(key)?;
    match scope.plain(key) {
        // A name that a person wrote finds the key that a template or a schema wrote.
        Some(plain) if found.is_undefined() => value.get_item(&Value::from(plain.into_owned())),
        _ => Ok(found),
    }
}

/// `value.name`: a method of that name comes before a key.
fn attribute(call: &Call<'_>) -> Result<Value, Fail> {
    let (value, name) = (call.subject()?, right(call)?);
    let name = name.as_str().ok_or_else(|| fail("an attribute has no name".into()))?;
    match methods::has(value, name) {
        true => Method::value(call.scope, value, name),
        false => value.get_attr(name),
    }
}

fn iterable(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    if subject.is_none() {
        return Err(fail("none has no elements".into()));
    }
    call.scope.charge(subject.as_str().map_or(1, str::len))?;
    Ok(subject.clone())
}

fn list(call: &Call<'_>) -> Result<Value, Fail> {
    for item in &call.args {
        call.scope.check_depth(item)?;
    }
    call.scope.charge(call.args.len())?;
    Ok(Value::from(call.args.clone()))
}

fn map(call: &Call<'_>) -> Result<Value, Fail> {
    call.scope.charge(call.args.len())?;
    let (pairs, _) = call.args.as_chunks::<2>();
    let mut entries = Vec::with_capacity(pairs.len());
    for [key, value] in pairs {
        if !matches!(key.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool | ValueKind::None) {
            return Err(fail(format!("{} cannot be a key", key.kind())));
        }
        call.scope.check_depth(value)?;
        entries.push((key.clone(), value.clone()));
    }
    Ok(entries.into_iter().collect())
}

/// Python's slice: bounds may be missing, negative or past the ends; the step may be negative.
fn slice(call: &Call<'_>) -> Result<Value, Fail> {
    let subject = call.subject()?;
    let step = call.integer(3, "step")?.unwrap_or(1);
    if step == 0 {
        return Err(fail("the step of a slice is zero".into()));
    }
    let bounds = (call.integer(1, "start")?, call.integer(2, "stop")?);
    if let Some(text) = subject.as_str() {
        call.scope.charge(4 * text.len())?;
        let letters: Vec<char> = text.chars().collect();
        let kept: String = places(letters.len(), bounds, step).map(|place| letters[place]).collect();
        return Ok(Value::from(kept));
    }
    if subject.is_undefined() || subject.is_none() {
        return Err(fail(format!("{} has no slices", subject.kind())));
    }
    no_generator(subject, "slices")?;
    let items = call.scope.items(subject)?;
    Ok(places(items.len(), bounds, step).map(|place| items[place].clone()).collect())
}

fn places(n: usize, (start, stop): (Option<i64>, Option<i64>), step: i64) -> impl Iterator<Item = usize> {
    let n = n as i64;
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let bound = |place: i64| if place < 0 { place.saturating_add(n).max(low) } else { place.min(high) };
    let first = start.map_or(if step > 0 { 0 } else { n - 1 }, bound);
    let end = stop.map_or(if step > 0 { n } else { -1 }, bound);
    let mut place = first;
    std::iter::from_fn(move || {
        let is_inside = if step > 0 { place < end } else { place > end };
        let now = is_inside.then_some(place as usize);
        place = place.saturating_add(step);
        now
    })
}

fn arithmetic(call: &Call<'_>, sign: &str) -> Result<Value, Fail> {
    let (left, right) = (call.subject()?, right(call)?);
    let wrong = || fail(format!("{} {sign} {} is not possible", left.kind(), right.kind()));
    let is_number = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if !is_number(left) || !is_number(&right) {
        return Err(wrong());
    }
    let whole = |value: &Value| match value.kind() {
        ValueKind::Bool => Some(i64::from(value.is_true())),
        _ if value.is_integer() => value.as_i64(),
        _ => None,
    };
    let too_large = || fail(format!("{left} {sign} {right} is too large or undefined"));
    if let (Some(a), Some(b)) = (whole(left), whole(&right))
        && sign != "/"
        && !(sign == "**" && b < 0)
    {
        let floor = |a: i64, b: i64| {
            a.checked_div_euclid(b).map(|q| if b < 0 && a.rem_euclid(b) != 0 { q - 1 } else { q })
        };
        let result = match sign {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "//" => floor(a, b),
            "%" => floor(a, b).and_then(|quotient| a.checked_sub(quotient.checked_mul(b)?)),
            _ => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        };
        return result.map(Value::from).ok_or_else(too_large);
    }
    let float = |value: &Value| f64::try_from(value.clone()).unwrap_or(f64::from(u8::from(value.is_true())));
    let (a, b) = (float(left), float(&right));
    if b == 0.0 && matches!(sign, "/" | "//" | "%") {
        return Err(fail("division by zero".into()));
    }
    Ok(Value::from(match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "//" => (a / b).floor(),
        "%" => a - b * (a / b).floor(),
        _ => a.powf(b),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_pythons() {
        let check = |n, start, stop, step, expected: &[usize]| {
            let got: Vec<usize> = places(n, (start, stop), step).collect();
            assert_eq!(got, expected, "{n} {start:?} {stop:?} {step}");
        };
        check(4, None, None, 1, &[0, 1, 2, 3]);
        check(4, None, None, -1, &[3, 2, 1, 0]);
        check(4, Some(1), Some(-1), 1, &[1, 2]);
        check(4, Some(-9), Some(9), 2, &[0, 2]);
        check(4, Some(9), Some(-9), -3, &[3, 0]);
        check(4, Some(2), Some(0), -1, &[2, 1]);
        check(0, None, None, -1, &[]);
        check(4, None, None, i64::MAX, &[0]);
    }
}
