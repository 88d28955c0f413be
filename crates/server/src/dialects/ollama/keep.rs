//! How long a model stays in memory, as Ollama's clients say it: seconds, or a duration of Go's.
//!
//! Source: docs/faq.md, "How do I keep a model loaded in memory"; Go's `time.ParseDuration`.

use app::job::Keep;
use serde_json::Value as Json;

use crate::call::Call;
use crate::fields::{Field, Kind, SHORT};
use crate::refusal::Refusal;

pub const KEEP_ALIVE: Field = Field::may(
    "keep_alive",
    Kind::Either(&[SHORT, Kind::Number { least: -1e12, most: 1e12 }]),
    "How long the model stays in memory: seconds, or a duration such as 1h30m; below 0 for good, 0 not at all.",
);

/// Units of a duration, in seconds; no unit begins with an earlier one.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
];

/// Reads it.
///
/// # Errors
/// A text that is no duration.
pub fn read(call: &Call) -> Result<Option<Keep>, Refusal> {
    match call.get("keep_alive") {
        None => Ok(None),
        Some(Json::String(text)) => parse(text).map(|seconds| Some(keep(seconds))).ok_or_else(|| {
            Refusal::field("keep_alive", format!("{text:?} is no duration such as 5m, 1h30m or -1"))
        }),
        Some(value) => Ok(value.as_f64().map(keep)),
    }
}

/// Parts of a second count as a whole one.
fn keep(seconds: f64) -> Keep {
    match seconds < 0.0 {
        true => Keep::Always,
        false => Keep::Seconds(seconds.ceil() as u64),
    }
}

/// The seconds of a duration; a number without a unit is seconds.
fn parse(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(seconds) = number(rest) {
        return Some(sign * seconds);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, behind) = rest.split_at(end);
        let (unit, length) = UNITS.iter().find(|(unit, _)| behind.starts_with(unit))?;
        seconds += number(digits)? * length;
        rest = &behind[unit.len()..];
    }
    (!text.trim_start_matches(['-', '+']).is_empty()).then_some(sign * seconds)
}

fn number(digits: &str) -> Option<f64> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("5m", Some(300.0)),
            ("1h30m", Some(5400.0)),
            ("1.5h", Some(5400.0)),
            ("300ms", Some(0.3)),
            ("0", Some(0.0)),
            ("42", Some(42.0)),
            ("-1", Some(-1.0)),
            ("-1m", Some(-60.0)),
            ("", None),
            ("-", None),
            ("5 m", None),
            ("m", None),
            ("5x", None),
            ("1h-5m", None),
            ("inf", None),
            ("1e9", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!((keep(0.3), keep(0.0), keep(-0.5)), (Keep::Seconds(1), Keep::Seconds(0), Keep::Always));
    }
}
