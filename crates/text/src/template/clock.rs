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

impl CivilTime {
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
        let is_leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let february = if is_leap { 29 } else { 28 };
        let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        days.iter().take(self.month.clamp(1, 12) as usize - 1).sum::<u32>() + self.day.min(31)
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

#[cfg(test)]
mod tests {
    use super::*;

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
