//! Lines that programs put before a system prompt and that change with each request.
//!
//! A prompt is computed anew from its first token that is another one. A line at its very beginning that changes would
//! have everything computed anew, so such lines are taken away or put behind the prompt, before a model sees it. Only
//! the lines of the table are touched, and only those that stand before everything else.
//!
//! Does not: look into the middle of a prompt, or touch what a person wrote there.

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It says nothing to a model.
    Goes,
    /// A model may need it: it comes behind the prompt.
    ComesLast,
}

/// How the lines begin, in small letters, and what becomes of them. Source: what coding agents and chat programs were
/// seen to send.
const LINES: &[(&str, Fate)] = &[
    ("x-anthropic-billing-header:", Fate::Goes),
    ("today's date:", Fate::ComesLast),
    ("today's date is", Fate::ComesLast),
    ("current date:", Fate::ComesLast),
    ("current time:", Fate::ComesLast),
    ("current date and time:", Fate::ComesLast),
    ("the current date is", Fate::ComesLast),
    ("the current time is", Fate::ComesLast),
];

fn fate(line: &str) -> Option<Fate> {
    let line = line.trim_start().to_ascii_lowercase();
    LINES.iter().find(|(begin, _)| line.starts_with(begin)).map(|(_, fate)| *fate)
}

/// The system prompt with such lines gone or behind it.
pub fn settled(prompt: &str) -> String {
    let (mut rest, mut last) = (prompt, Vec::new());
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        match fate(line) {
            Some(Fate::Goes) => {}
            Some(Fate::ComesLast) => last.push(line.trim()),
            // Empty lines between such lines are theirs.
            None if line.trim().is_empty() && after_is_volatile(after) => {}
            None => break,
        }
        rest = after;
    }
    if rest.len() == prompt.len() {
        return prompt.to_owned();
    }
    let rest = rest.trim_start_matches(['\r', '\n']);
    if last.is_empty() {
        return rest.to_owned();
    }
    let between = if rest.is_empty() { "" } else { "\n\n" };
    format!("{rest}{between}{}", last.join("\n"))
}

fn after_is_volatile(text: &str) -> bool {
    let next = text.lines().find(|line| !line.trim().is_empty());
    next.is_some_and(|line| fate(line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_change_do_not_stand_first() {
        let check = |prompt: &str, expected: &str| assert_eq!(settled(prompt), expected, "{prompt:?}");
        check("x-anthropic-billing-header: cc_version=2; cch=1a2b3;\nYou are an agent.", "You are an agent.");
        check(
            "x-anthropic-billing-header: a\n\nYou are.\nDate: in the middle",
            "You are.\nDate: in the middle",
        );
        check("Today's date: 2026-11-21\nYou are.\n", "You are.\n\n\nToday's date: 2026-11-21");
        check(
            "\nX-Anthropic-Billing-Header: a\n\nCurrent time: 10:01\r\nBe brief.",
            "Be brief.\n\nCurrent time: 10:01",
        );
        check("Today is a good day.", "Today is a good day.");
        check("You are.\nx-anthropic-billing-header: a", "You are.\nx-anthropic-billing-header: a");
        check("\n\nYou are.", "\n\nYou are.");
        check("x-anthropic-billing-header: a", "");
        check("", "");
    }

    #[test]
    fn two_requests_begin_alike() {
        let settled =
            |n: u32| settled(&format!("x-anthropic-billing-header: cch={n};\nToday's date: {n}\nLong."));
        let alike = settled(1).bytes().zip(settled(2).bytes()).take_while(|(a, b)| a == b).count();
        assert!(alike > "Long.".len());
    }
}
