//! Points in time as Ollama's clients read them.
//!
//! Source: RFC 3339; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.

use std::time::{SystemTime, UNIX_EPOCH};

const NS_PER_S: u64 = 1_000_000_000;
const S_PER_DAY: u64 = 86_400;

/// Nanoseconds since 1970.
pub fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970 as `2024-05-01T12:00:00.000000001Z`.
pub fn written(ns: u64) -> String {
    let (seconds, fraction) = (ns / NS_PER_S, ns % NS_PER_S);
    let (days, second) = (seconds / S_PER_DAY, seconds % S_PER_DAY);
    // Years begin in March here, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

/// Milliseconds as whole nanoseconds.
pub fn ns(ms: f64) -> u64 {
    // A time of an answer is far below the 2^64 ns at which this would saturate.
    (ms * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_written() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(written(seconds * NS_PER_S), expected);
        }
        assert_eq!(written(1_500_000_001), "1970-01-01T00:00:01.500000001Z");
        assert!(written(u64::MAX).starts_with("2554-"));
    }
}
