//! The headers that a transfer depends on: `Content-Range`, `Retry-After`, `ETag`, the hashes that servers announce.
//!
//! Not a header library: only what is needed, and nothing is guessed. Source: RFC 9110 (HTTP), RFC 9530 (digests).

use std::time::Duration;

use crate::Digest;

/// What part of how much a `206` brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub first: u64,
    /// The last byte, itself included.
    pub last: u64,
    /// The length of the whole; `None` where the server writes `*`.
    pub total: Option<u64>,
}

/// Reads `bytes <first>-<last>/<total>`.
pub(crate) fn content_range(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(number(total)?) };
    let range = ContentRange { first: number(first)?, last: number(last)?, total };
    let is_sound = range.first <= range.last && total.is_none_or(|total| range.last < total);
    (unit.eq_ignore_ascii_case("bytes") && is_sound).then_some(range)
}

/// Reads `Retry-After`: seconds, or a date that is compared with `now_unix_ms`. A date in the past is no wait.
pub(crate) fn retry_after(text: &str, now_unix_ms: u64) -> Option<RetryAfter> {
    let text = text.trim();
    if let Some(seconds) = number(text) {
        return Some(RetryAfter::Seconds(seconds));
    }
    let at_s = http_date(text)?;
    Some(RetryAfter::Until(Duration::from_millis(at_s.saturating_mul(1000).saturating_sub(now_unix_ms))))
}

/// How long a server wants to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// It says how long.
    Seconds(u64),
    /// It says until when: this far from now, if this machine's clock is right.
    Until(Duration),
}

/// A strong validator, quotes included; a weak one proves nothing about bytes.
pub(crate) fn strong_etag(text: &str) -> Option<String> {
    const MAX_BYTES: usize = 256;
    let text = text.trim();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let allowed = inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    (allowed && text.len() <= MAX_BYTES).then(|| text.to_owned())
}

/// The SHA-256 in `X-Linked-Etag`, which Hugging Face sends for every file that is kept outside Git.
pub(crate) fn linked_digest(text: &str) -> Option<Digest> {
    Digest::parse(&format!("sha256:{}", text.trim().trim_matches('"'))).ok()
}

/// The SHA-256 in `Repr-Digest: sha-256=:<base64>:` (RFC 9530), also among other algorithms.
pub(crate) fn repr_digest(text: &str) -> Option<Digest> {
    let value = text.split(',').find_map(|part| part.trim().strip_prefix("sha-256="))?;
    let encoded = value.trim().strip_prefix(':')?.strip_suffix(':')?;
    let bytes = base64_of_32_bytes(encoded)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::parse(&format!("sha256:{hex}")).ok()
}

/// Digits and nothing else: `str::parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may send (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let clock: Vec<u64> = time.split(':').map(number).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    let (day, year) = (number(day)?, number(year)?);
    let is_sound = (1970..=9999).contains(&year) && (1..=31).contains(&day);
    let is_time = hour < 24 && minute < 60 && second <= 60;
    (is_sound && is_time)
        .then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Source: the civil calendar's rule, counted in years that begin in March, so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    const DAYS_BEFORE_1970: u64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_of_months = (153 * month + 2) / 5;
    365 * year + year / 4 - year / 100 + year / 400 + days_of_months + day - 1 - DAYS_BEFORE_1970
}

/// RFC 4648: 43 letters and one `=` hold 32 bytes.
fn base64_of_32_bytes(text: &str) -> Option<[u8; 32]> {
    let letters: &[u8; 43] = text.strip_suffix('=')?.as_bytes().try_into().ok()?;
    let (mut bytes, mut bits, mut n_bits, mut n_bytes) = ([0; 32], 0_u32, 0_u32, 0);
    for letter in letters {
        bits = bits << 6 & 0xffff | u32::from(sextet(*letter)?);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            *bytes.get_mut(n_bytes)? = (bits >> n_bits & 0xff) as u8;
            n_bytes += 1;
        }
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u8> {
    match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_lies_are_not() {
        let range = |first, last, total| Some(ContentRange { first, last, total });
        let check = |text, expected| assert_eq!(content_range(text), expected, "{text}");
        check("bytes 0-9/100", range(0, 9, Some(100)));
        check("Bytes 5-5/*", range(5, 5, None));
        for lie in [
            "",
            "bytes",
            "bytes 1",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "bytes -1/9",
            "bytes +0-1/9",
            "items 0-1/9",
            "bytes */100",
            "bytes 0-99999999999999999999/*",
        ] {
            check(lie, None);
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        // The date of RFC 9110 is 784,111,777 s after 1970.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after("120", 0), Some(RetryAfter::Seconds(120)));
        let until = |now| retry_after(date, now).unwrap();
        assert_eq!(until(784_111_770_000), RetryAfter::Until(Duration::from_secs(7)));
        assert_eq!(until(u64::MAX), RetryAfter::Until(Duration::ZERO));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        for text in ["", "-1", "soon", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(text, 0), None, "{text}");
        }
    }

    #[test]
    fn hashes_and_validators_are_taken_from_their_headers() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(linked_digest(&format!("\"{hex}\"")), Some(Digest::of(b"abc")));
        assert_eq!(linked_digest("\"d41d8cd98f00b204e9800998ecf8427e\""), None);
        let header = "sha-512=:AA==:, sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
        assert_eq!(repr_digest(header), Some(Digest::of(b"abc")));
        assert_eq!(repr_digest("sha-256=:AAAA:"), None);
        assert_eq!(strong_etag(" \"v1\" "), Some("\"v1\"".into()));
        for weak in ["W/\"v1\"", "v1", "\"", "\"a\"b\"", "\"a\r\nX: y\""] {
            assert_eq!(strong_etag(weak), None, "{weak}");
        }
    }
}
