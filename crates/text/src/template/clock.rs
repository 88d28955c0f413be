//! A civil time as a value, and Python's `strftime` on it.
//!
//! Never looks at a clock: whoever renders says what time it is. Source: C's `strftime` in the C locale.

/// A moment in some time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilTime {
    /// Year of the Gregorian calendar.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Days of 400 years; the calendar repeats after them.
const DAYS_OF_CYCLE: i64 = 146_097;

impl CivilTime {
    /// The moment so many milliseconds after 1970-01-01 00:00, in UTC.
    pub fn from_unix_ms(unix_ms: u64) -> Self {
        let seconds = unix_ms / 1000;
        let (mut day, second) = ((seconds / 86_400) as i64, (seconds % 86_400) as u32);
        // 1970 is as far into its cycle as every 400 years later.
        let mut year = 1970 + day / DAYS_OF_CYCLE * 400;
        day %= DAYS_OF_CYCLE;
        while day >= days_of_year(year) {
            day -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while day >= days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        Self {
            year: i32::try_from(year).unwrap_or(i32::MAX),
            month,
            day: day as u32 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }

    /// The time in words. A directive that is not known stays as it is written.
    pub(crate) fn format(&self, pattern: &str) -> String {
        let mut out = String::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some('-') => match letters.next() {
                    Some(letter) => out.push_str(trim_zeros(&self.directive(letter))),
                    None => out.push_str("%-"),
                },
                Some(letter) => out.push_str(&self.directive(letter)),
                None => out.push('%'),
            }
        }
        out
    }

    fn directive(&self, letter: char) -> String {
        let month = MONTHS[(self.month.clamp(1, 12) - 1) as usize];
        let day = DAYS[self.weekday()];
        let half = if self.hour.is_multiple_of(12) { 12 } else { self.hour % 12 };
        match letter {
            'Y' => format!("{:04}", self.year),
            'y' => format!("{:02}", self.year.rem_euclid(100)),
            'm' => format!("{:02}", self.month),
            'B' => month.into(),
            'b' | 'h' => month[..3].into(),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'A' => day.into(),
            'a' => day[..3].into(),
            'w' => self.weekday().to_string(),
            'j' => format!("{:03}", self.day_of_year()),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{half:02}"),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.into(),
            'F' => self.format("%Y-%m-%d"),
            'T' => self.format("%H:%M:%S"),
            'D' => self.format("%m/%d/%y"),
            '%' => "%".into(),
            other => format!("%{other}"),
        }
    }

    fn day_of_year(&self) -> u32 {
        let before = (1..self.month.clamp(1, 12)).map(|month| days_of_month(self.year.into(), month));
        before.sum::<i64>() as u32 + self.day.min(31)
    }

    /// 0 is Sunday. Source: T. Sakamoto's method (1992).
    fn weekday(&self) -> usize {
        const SHIFT: [i64; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let month = self.month.clamp(1, 12);
        let year = i64::from(self.year) - i64::from(month < 3);
        let days = year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        (days + SHIFT[month as usize - 1] + i64::from(self.day)).rem_euclid(7) as usize
    }
}

fn trim_zeros(text: &str) -> &str {
    let trimmed = text.trim_start_matches(['0', ' ']);
    if trimmed.is_empty() { &text[text.len() - 1..] } else { trimmed }
}

/// Source: the Gregorian calendar.
fn days_of_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: i64, month: u32) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_a_date() {
        let date = |unix_ms| CivilTime::from_unix_ms(unix_ms).format("%Y-%m-%d %H:%M:%S");
        assert_eq!(date(0), "1970-01-01 00:00:00");
        assert_eq!(date(951_825_599_999), "2000-02-29 11:59:59");
        assert_eq!(date(4_107_542_399_000), "2100-02-28 23:59:59");
        assert_eq!(date(4_107_542_400_000), "2100-03-01 00:00:00");
        assert_eq!(date(1_795_132_800_000), "2026-11-20 00:00:00");
        assert_eq!(date(12_622_780_800_000 + 951_825_599_999), "2400-02-29 11:59:59");
        assert!(CivilTime::from_unix_ms(u64::MAX).year > 500_000_000);
    }

    #[test]
    fn formats_as_c_does() {
        let time = CivilTime { year: 2024, month: 7, day: 6, hour: 0, minute: 5, second: 9 };
        let check = |pattern, expected: &str| assert_eq!(time.format(pattern), expected, "{pattern}");
        check("%d %b %Y", "06 Jul 2024");
        check("%A, %B %-d, %Y", "Saturday, July 6, 2024");
        check("%Y-%m-%dT%H:%M:%S %I %p %j %y %a %%", "2024-07-06T00:05:09 12 AM 188 24 Sat %");
        check("%-H|%é|%", "0|%é|%");
    }

    #[test]
    fn any_numbers_are_survived() {
        let far =
            CivilTime { year: i32::MIN, month: 99, day: u32::MAX, hour: u32::MAX, minute: 0, second: 0 };
        far.format("%Y %B %A %j %I %p %e");
    }
}
