//! Python's two ways to put values into a pattern: `'%s is %5.1f' % (name, x)` and `'{} is {x:>5.1f}'.format(name)`.
//!
//! Source: "The Python Standard Library", "printf-style String Formatting" and "Format Specification Mini-Language";
//! of the number types `d i u s r f F x X o b c` and `%`. Marks on letters ([`super::twins`]) are kept.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::printing;
use super::scope::{Call, Fail, fail};

/// Widest field and most digits after the point.
const MAX_WIDTH: usize = 4096;

/// How one value is laid out.
#[derive(Debug)]
struct Field {
    fill: char,
    /// `<`, `>`, `^`, `=`, or none given.
    align: Option<char>,
    /// `+`, `-` or a space.
    sign: char,
    /// `0x` and its kin stand before the number.
    has_prefix: bool,
    /// `,` or `_` between thousands.
    groups: Option<char>,
    width: usize,
    precision: Option<usize>,
    /// The last letter, `s` where none is given.
    kind: Option<char>,
}

impl Default for Field {
    fn default() -> Self {
        let (fill, sign) = (' ', '-');
        Self {
            fill,
            align: None,
            sign,
            has_prefix: false,
            groups: None,
            width: 0,
            precision: None,
            kind: None,
        }
    }
}

/// `pattern % value`: the subject is the pattern, a list stands for a tuple.
pub(crate) fn percent(call: &Call<'_>, values: &Value) -> Result<Value, Fail> {
    let pattern = call.subject_text()?;
    let is_list = values.kind() == ValueKind::Seq;
    let all = if is_list { call.scope.items(values)? } else { vec![values.clone()] };
    let (mut out, mut rest, mut next) = (String::new(), pattern, 0);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (name, after) = match after.strip_prefix('(') {
            Some(after) => {
                let (name, after) =
                    after.split_once(')').ok_or_else(|| fail("a format has no `)`".into()))?;
                (Some(name), after)
            }
            None => (None, after),
        };
        let (field, after) = percent_field(after)?;
        rest = after;
        if field.kind == Some('%') {
            out.push('%');
            continue;
        }
        let value = match name {
            Some(name) => values.get_attr(name)?,
            None => {
                next += 1;
                all.get(next - 1).cloned().ok_or_else(|| fail("not enough values for a format".into()))?
            }
        };
        out.push_str(&laid_out(call, &value, &field)?);
        call.scope.charge_string(out.len())?;
    }
    if next < all.len() && is_list {
        return Err(fail("not all values of a format are used".into()));
    }
    out.push_str(rest);
    call.scope.charge_string(out.len())?;
    Ok(Value::from(out))
}

/// What stands between `%` and the end of the field, and the rest.
fn percent_field(text: &str) -> Result<(Field, &str), Fail> {
    let mut field = Field { align: Some('>'), ..Field::default() };
    let flags = text.len() - text.trim_start_matches(['-', '+', ' ', '0', '#']).len();
    for flag in text[..flags].chars() {
        match flag {
            '-' => field.align = Some('<'),
            '+' => field.sign = '+',
            ' ' => field.sign = ' ',
            '#' => field.has_prefix = true,
            _ if field.align == Some('>') => (field.fill, field.align) = ('0', Some('=')),
            _ => {}
        }
    }
    let rest = size(&text[flags..], &mut field)?;
    let kind = rest.chars().next().ok_or_else(|| fail("a format is incomplete".into()))?;
    field.kind = Some(kind);
    if field.fill == '0' && matches!(kind, 's' | 'r' | 'c') {
        (field.fill, field.align) = (' ', Some('>'));
    }
    Ok((field, &rest[kind.len_utf8()..]))
}

/// Width and precision, and the rest.
fn size<'a>(text: &'a str, field: &mut Field) -> Result<&'a str, Fail> {
    let digits = |text: &'a str| {
        text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len())
    };
    let number = |text: &str| match text.parse::<usize>() {
        Ok(n) if n <= MAX_WIDTH => Ok(n),
        _ => Err(fail(format!("a format is wider than {MAX_WIDTH}"))),
    };
    let (width, mut rest) = digits(text);
    field.width = if width.is_empty() { 0 } else { number(width)? };
    if let Some(after) = rest.strip_prefix([',', '_']) {
        field.groups = rest.chars().next();
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after);
        field.precision = Some(if precision.is_empty() { 0 } else { number(precision)? });
        rest = after;
    }
    Ok(rest)
}

/// `'{} {0} {name} {x:>8.2f} {y!r}'.format(…)`.
pub(crate) fn braces(call: &Call<'_>) -> Result<Value, Fail> {
    let pattern = call.subject_text()?;
    let (mut out, mut next, mut rest) = (String::new(), 0, pattern);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let inner = rest.split_once('}').filter(|_| brace == "{");
        let (inner, after) = inner.ok_or_else(|| fail("a brace is alone in a format".into()))?;
        rest = after;
        let (path, specification) = inner.split_once(':').unwrap_or((inner, ""));
        let (path, conversion) = path.split_once('!').map_or((path, None), |(path, to)| (path, Some(to)));
        let mut value = named_value(call, path, &mut next)?;
        if conversion == Some("r") {
            value = Value::from(printing::quoted_text(call.scope, &value)?);
        }
        out.push_str(&laid_out(call, &value, &brace_field(specification)?)?);
        call.scope.charge_string(out.len())?;
    }
    out.push_str(rest);
    call.scope.charge_string(out.len())?;
    Ok(Value::from(out))
}

/// The value that `0`, `name`, `name.attribute`, `name[key]` or nothing stands for.
fn named_value(call: &Call<'_>, path: &str, next: &mut usize) -> Result<Value, Fail> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, steps) = path.split_at(end);
    let value = match name.parse::<usize>() {
        Ok(place) => call.args.get(place.saturating_add(1)).cloned(),
        Err(_) if name.is_empty() => {
            *next += 1;
            call.args.get(*next).cloned()
        }
        Err(_) => call.argument(usize::MAX, name),
    };
    let mut value = value.ok_or_else(|| fail(format!("a format has no value for {{{name}}}")))?;
    for step in steps.split(['.', '[']).filter(|step| !step.is_empty()) {
        let step = step.trim_end_matches(']');
        value = match step.parse::<usize>() {
            Ok(place) => value.get_item_by_index(place)?,
            Err(_) => value.get_attr(step)?,
        };
    }
    Ok(value)
}

fn brace_field(text: &str) -> Result<Field, Fail> {
    let mut field = Field::default();
    let mut rest = text;
    let mut letters = text.chars();
    let (first, second) = (letters.next(), letters.next());
    let is_align = |letter: Option<char>| letter.is_some_and(|letter| "<>^=".contains(letter));
    if let (Some(fill), true) = (first, is_align(second)) {
        (field.fill, field.align) = (fill, second);
        rest = &text[fill.len_utf8() + 1..];
    } else if is_align(first) {
        field.align = first;
        rest = &text[1..];
    }
    if let Some(after) = rest.strip_prefix(['+', '-', ' ']) {
        field.sign = rest.chars().next().unwrap_or('-');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('#') {
        field.has_prefix = true;
        rest = after;
    }
    if rest.starts_with('0') && field.align.is_none() {
        (field.fill, field.align) = ('0', Some('='));
    }
    let rest = size(rest, &mut field)?;
    let mut kind = rest.chars();
    field.kind = kind.next();
    match kind.next() {
        None => Ok(field),
        Some(_) => Err(fail(format!("a format cannot be read: {text:?}"))),
    }
}

fn laid_out(call: &Call<'_>, value: &Value, field: &Field) -> Result<String, Fail> {
    let is_number = matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    let (body, is_text) = match field.kind {
        Some('r') => (printing::quoted_text(call.scope, value)?, true),
        Some('s') | None if !is_number => {
            let text = printing::text(call.scope, value)?;
            (text.chars().take(field.precision.unwrap_or(usize::MAX)).collect(), true)
        }
        Some('s') => (printing::text(call.scope, value)?, true),
        None if value.kind() == ValueKind::Bool && field.width == 0 => {
            (printing::text(call.scope, value)?, true)
        }
        None if field.precision.is_some() => (number(value, field, 'f')?, false),
        None => (signed(&grouped(&printing::text(call.scope, value)?, field), field), false),
        Some(kind) => (number(value, field, kind)?, false),
    };
    call.scope.charge_string(body.len().saturating_add(field.width))?;
    let missing = field.width.saturating_sub(body.chars().count());
    let fill = |n: usize| std::iter::repeat_n(field.fill, n).collect::<String>();
    Ok(match field.align.unwrap_or(if is_text { '<' } else { '>' }) {
        '<' => body + &fill(missing),
        '^' => fill(missing / 2) + &body + &fill(missing - missing / 2),
        '=' => {
            let digits = body.find(|letter: char| letter.is_ascii_digit()).unwrap_or(0);
            [&body[..digits], &fill(missing), &body[digits..]].concat()
        }
        _ => fill(missing) + &body,
    })
}

fn signed(digits: &str, field: &Field) -> String {
    match field.sign {
        '+' | ' ' if !digits.starts_with('-') => format!("{}{digits}", field.sign),
        _ => digits.to_owned(),
    }
}

fn number(value: &Value, field: &Field, kind: char) -> Result<String, Fail> {
    let float = || match value.kind() {
        ValueKind::Bool => Ok(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()),
        other => Err(fail(format!("a number is wanted by a format, {other} is given"))),
    };
    let whole = || match value.kind() {
        ValueKind::Number if value.is_integer() => {
            i128::try_from(value.clone()).map_err(|_| fail("a number is too large for a format".into()))
        }
        _ => float().map(|float| float.trunc() as i128),
    };
    let digits = match kind {
        'd' | 'i' | 'u' => grouped(&whole()?.to_string(), field),
        'f' | 'F' => grouped(&format!("{:.*}", field.precision.unwrap_or(6), float()?), field),
        '%' => format!("{:.*}%", field.precision.unwrap_or(6), float()? * 100.0),
        'c' => u32::try_from(whole()?).ok().and_then(char::from_u32).map(String::from).unwrap_or_default(),
        'x' | 'X' | 'o' | 'b' => {
            let whole = whole()?;
            let (prefix, digits) = match kind {
                'x' => ("0x", format!("{:x}", whole.unsigned_abs())),
                'X' => ("0X", format!("{:X}", whole.unsigned_abs())),
                'o' => ("0o", format!("{:o}", whole.unsigned_abs())),
                _ => ("0b", format!("{:b}", whole.unsigned_abs())),
            };
            let minus = if whole < 0 { "-" } else { "" };
            [minus, if field.has_prefix { prefix } else { "" }, &digits].concat()
        }
        other => return Err(fail(format!("a format wants {other:?}, which is not known"))),
    };
    Ok(signed(&digits, field))
}

/// Digits with a separator between thousands, where one is asked for.
fn grouped(digits: &str, field: &Field) -> String {
    let Some(separator) = field.groups else { return digits.to_owned() };
    let start = usize::from(digits.starts_with('-'));
    let end = digits.find('.').unwrap_or(digits.len());
    let mut out = digits[..start].to_owned();
    for (place, digit) in digits[start..end].chars().enumerate() {
        if place > 0 && (end - start - place).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out + &digits[end..]
}
