//! Numbers as people read them: bytes, milliseconds, probabilities, dates.

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// `1.1 MB`: decimal units, two to three digits.
pub fn bytes(size: u64) -> String {
    with_prefix(size, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// The milliseconds of a time that a person wrote: `500ms`, `8s`, `30m`, `12h`, `90d`, `8w`.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match &text[number.len()..] {
        "ms" => Some(1),
        "s" => Some(SECOND_MS),
        "m" => Some(MINUTE_MS),
        "h" => Some(HOUR_MS),
        "d" => Some(DAY_MS),
        "w" => Some(7 * DAY_MS),
        _ => None,
    };
    let ms =
        number.trim().parse::<u64>().ok().zip(unit_ms).and_then(|(number, unit)| number.checked_mul(unit));
    ms.ok_or_else(|| format!("`{text}` is no time, such as 8s, 30m, 12h, 90d or 8w"))
}

/// The bytes that a person wrote: `2GB`, `500 MB`, `1.5GiB`, `4096`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) =
        text.split_at(text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KIB" => f64::from(1 << 10),
        "MIB" => f64::from(1 << 20),
        "GIB" => f64::from(1 << 30),
        "TIB" => (1u64 << 40) as f64,
        _ => return Err(format!("`{text}` is no number of bytes, such as 2GB")),
    };
    match number.trim().parse::<f64>() {
        // A cast of what is too large gives the largest number, by definition of `as`.
        Ok(number) if number.is_finite() && number >= 0.0 => Ok((number * factor) as u64),
        _ => Err(format!("`{text}` is no number of bytes, such as 2GB")),
    }
}

/// `1 token`, `2 tokens`.
pub fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `1.1 M`: a count.
pub fn count(count: u64) -> String {
    with_prefix(count, &["", "k", "M", "G", "T", "P", "E"]).trim_end().to_owned()
}

fn with_prefix(number: u64, units: &[&str]) -> String {
    let mut value = number as f64;
    let mut unit = 0;
    // 999.5 would be written as 1000.
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 9.95);
    format!("{value:.digits$} {}", units[unit])
}

/// `0.0512`, `23.4`, `1234`: so many a second, in three digits or more.
pub fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 99.95 => format!("{rate:.0}"),
        rate if rate >= 9.995 => format!("{rate:.1}"),
        rate if rate >= 0.9995 => format!("{rate:.2}"),
        rate => format!("{rate:.4}"),
    }
}

/// `0.12 ms`, `12.3 ms`, `1.23 s`.
pub fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms >= 1000.0 => format!("{:.2} s", ms / 1000.0),
        ms if ms >= 1.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.2} ms"),
    }
}

/// `8.2 s`, `2 min 3 s`, `1 h 5 min`, `3 days 4 h`: how long something takes.
pub fn duration(seconds: f64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    // A cast of NaN gives 0 and one of infinity the largest number, by definition of `as`.
    match seconds.max(0.0).round() as u64 {
        _ if seconds < 9.95 => format!("{:.1} s", seconds.max(0.0)),
        whole if whole < MINUTE => format!("{whole} s"),
        whole if whole < HOUR => format!("{} min {} s", whole / MINUTE, whole % MINUTE),
        whole if whole < DAY => format!("{} h {} min", whole / HOUR, whole % HOUR / MINUTE),
        whole => format!("{} {} h", many((whole / DAY) as usize, "day"), whole % DAY / HOUR),
    }
}

/// A value as it was written, but a number with a long tail with the digits that people compare:
/// `0.00030000000000000003` becomes `3.00e-4`.
pub fn brief(value: &str) -> String {
    const LONG: usize = 10;
    match value.parse::<f64>() {
        Ok(number) if value.contains('.') && value.len() > LONG => match number.abs() {
            0.001.. => format!("{number:.4}"),
            _ => format!("{number:.2e}"),
        },
        _ => value.to_owned(),
    }
}

/// `72.4%` of a share between 0 and 1.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        share if share >= 99.95 => "100%".to_owned(),
        share if share > 0.0 && share < 0.05 => "<0.1%".to_owned(),
        share => format!("{share:.1}%"),
    }
}

/// How long ago `then_ms` was, both in milliseconds since 1970; a date after thirty days.
pub fn age(now_ms: u64, then_ms: u64) -> String {
    let ago = |count: u64, unit: &str| many(count as usize, unit) + " ago";
    match now_ms.saturating_sub(then_ms) {
        _ if then_ms == 0 => "built in".to_owned(),
        ms if ms < MINUTE_MS => "just now".to_owned(),
        ms if ms < HOUR_MS => ago(ms / MINUTE_MS, "minute"),
        ms if ms < DAY_MS => ago(ms / HOUR_MS, "hour"),
        ms if ms < 30 * DAY_MS => ago(ms / DAY_MS, "day"),
        _ => date(then_ms),
    }
}

/// The day of `ms` since 1970 in UTC, as `2026-11-20`.
///
/// Days are counted from 0000-03-01, so that the leap day ends a year: a period of 400 years has
/// 146,097 days, one of 4 years 1,461, and five months from March on have 153.
pub fn date(ms: u64) -> String {
    const DAYS_BEFORE_1970: u64 = 719_468;
    let days = ms / DAY_MS + DAYS_BEFORE_1970;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_are_written() {
        let check = |text: &str, expected: u64| assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        check("4096", 4096);
        check("2GB", 2_000_000_000);
        check("500 mb", 500_000_000);
        check("1.5GiB", 3 << 29);
        check("0", 0);
        check("0.5kB", 500);
        check("99999999999TB", u64::MAX);
        for wrong in ["", "GB", "-1", "2 XB", "nan", "inf", "2GB2"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_keep_two_or_three_digits() {
        let cases =
            [(0, "0 B"), (999, "999 B"), (1_049_000, "1.0 MB"), (9_960_000, "10 MB"), (999_600, "1.0 MB")];
        for (size, expected) in cases {
            assert_eq!(bytes(size), expected);
        }
        assert_eq!(bytes(u64::MAX), "18 EB");
        assert_eq!((count(7), count(260_032)), ("7".to_owned(), "260 k".to_owned()));
    }

    #[test]
    fn shares_and_times() {
        assert_eq!([1.0, 0.7241, 0.0001, 0.0].map(percent), ["100%", "72.4%", "<0.1%", "0.0%"]);
        assert_eq!([0.123, 12.34, 1234.0].map(milliseconds), ["0.12 ms", "12.3 ms", "1.23 s"]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (-1.0, "0.0 s"),
            (8.24, "8.2 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 0 s"),
            (3599.0, "59 min 59 s"),
            (3900.0, "1 h 5 min"),
            (273_600.0, "3 days 4 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(duration(f64::NAN), "0 s");
        assert!(duration(f64::INFINITY).contains("days"));
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_709_164_800_000, "2024-02-29"),
            (4_107_542_400_000, "2100-03-01"),
            (1_763_596_800_000, "2025-11-20"),
        ];
        for (ms, expected) in cases {
            assert_eq!(date(ms), expected);
        }
        // Nothing overflows, however wrong a clock is.
        assert!(date(u64::MAX).ends_with("-08-17") || date(u64::MAX).len() > 10);
    }

    #[test]
    fn ages() {
        let now = 100 * DAY_MS;
        let cases = [
            (0, "built in"),
            (now, "just now"),
            (now + 5, "just now"),
            (now - MINUTE_MS, "1 minute ago"),
            (now - 3 * HOUR_MS, "3 hours ago"),
            (now - 29 * DAY_MS, "29 days ago"),
            (now - 31 * DAY_MS, "1970-03-11"),
        ];
        for (then, expected) in cases {
            assert_eq!(age(now, then), expected);
        }
    }
}
