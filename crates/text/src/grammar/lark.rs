//! Grammars in Lark's notation, as a person gives them: what of them can be kept, and how deep they go.
//!
//! Read is only the outside of a grammar: texts, expressions and remarks are passed over, and schemas in it are checked as
//! schemas are. The grammar itself is read by the library that matches.
//!
//! Source: Lark's reference of its grammars; llguidance's documentation of what it adds.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::{MAX_DEPTH, schema};
use crate::Error;

/// The largest number that a grammar may hold: how often something is repeated.
const MAX_NUMBER: u64 = 1 << 16;
/// What a rule may have in brackets behind its name.
const ATTRIBUTES: &[&str] = &["lazy", "suffix", "max_tokens"];
/// What stands in the way of ours being the only ones: they name tokens, change how one is chosen, or hide a part.
const REFUSED: &[&str] = &["capture", "stop", "stop_capture", "temperature"];

/// A regular expression as a terminal. The ends of a text are always those of the expression, so marks for them are left
/// out.
pub(crate) fn regex(regex: &str) -> String {
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let inner = match inner.strip_suffix('$') {
        Some(text) if !is_escaped(text) => text,
        _ => inner,
    };
    match inner {
        "" => "\"\"".to_owned(),
        inner => format!("/{}/", llguidance::regex_to_lark(inner, "")),
    }
}

/// Whether what would follow has a backslash before it that counts.
pub(crate) fn is_escaped(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// A text as a terminal.
pub(crate) fn literal(text: &str) -> String {
    // What JSON leaves as it is, but Lark does not.
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// # Errors
/// What cannot be kept, by its line; what is too deep or repeated too often.
pub(crate) fn check(grammar: &str, kind: &'static str) -> Result<(), Error> {
    let mut check = Check { kind, line: 1, opened: 0, rules: Rules::default(), attributes: false };
    let mut rest = grammar;
    let mut is_first = true;
    while let Some(letter) = rest.chars().next() {
        let taken = check.piece(rest, letter, is_first)?;
        let piece = &rest[..taken];
        check.line += piece.matches('\n').count();
        is_first = match letter {
            '\n' => check.opened == 0,
            ' ' | '\t' | '\r' | '!' | '?' => is_first,
            _ => false,
        };
        rest = &rest[taken..];
    }
    let depth = check.rules.depth();
    match depth > MAX_DEPTH {
        true => check.too_large("rules within rules", depth, MAX_DEPTH),
        false => Ok(()),
    }
}

struct Check {
    kind: &'static str,
    line: usize,
    /// Brackets that are open.
    opened: usize,
    rules: Rules,
    /// Whether the brackets are those behind the name of a rule.
    attributes: bool,
}

impl Check {
    /// How many bytes the next piece has.
    fn piece(&mut self, rest: &str, letter: char, is_first: bool) -> Result<usize, Error> {
        match letter {
            '"' => self.quoted(rest, '"'),
            '/' if rest.starts_with("//") => Ok(line_end(rest)),
            '/' => self.quoted(rest, '/'),
            '#' => Ok(line_end(rest)),
            '(' | '[' | '{' => {
                self.attributes |= letter == '[' && self.rules.is_head;
                self.opened += 1;
                match self.opened > MAX_DEPTH {
                    true => self.too_large("open brackets", self.opened, MAX_DEPTH).map(|()| 1),
                    false => Ok(1),
                }
            }
            ')' | ']' | '}' => {
                self.opened = self.opened.saturating_sub(1);
                self.attributes &= self.opened > 0;
                Ok(1)
            }
            ':' => {
                self.rules.is_head = false;
                Ok(1)
            }
            '<' => self.refuse("a token by its name"),
            '@' => self.refuse("another grammar by its name"),
            '%' => self.directive(rest),
            '0'..='9' => self.number(rest),
            letter if letter.is_ascii_alphabetic() || letter == '_' => self.name(rest, is_first),
            letter => Ok(letter.len_utf8()),
        }
    }

    /// A text or an expression.
    fn quoted(&self, rest: &str, quote: char) -> Result<usize, Error> {
        let mut is_escaped = false;
        for (at, letter) in rest.char_indices().skip(1) {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                letter if letter == quote => return Ok(at + 1),
                _ => {}
            }
        }
        let reason = format!("line {}: what begins with {quote} does not end", self.line);
        Err(Error::BadGrammar { kind: self.kind, reason })
    }

    fn directive(&self, rest: &str) -> Result<usize, Error> {
        let length = 1 + word(&rest[1..]);
        match &rest[..length] {
            "%json" => Ok(length + self.json(&rest[length..])?),
            "%llguidance" => {
                let text = rest[length..].trim_start();
                match text.starts_with("{}") {
                    true => Ok(length),
                    false => self.refuse("%llguidance with options"),
                }
            }
            "%regex" => self.refuse("%regex"),
            _ => Ok(length),
        }
    }

    /// The length of a schema within the grammar.
    fn json(&self, rest: &str) -> Result<usize, Error> {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Json>();
        let bad = |reason: String| Error::BadGrammar {
            kind: self.kind,
            reason: format!("line {}: %json: {reason}", self.line),
        };
        let read = values.next().ok_or_else(|| bad("there is no schema".into()))?;
        schema::check(&read.map_err(|error| bad(error.to_string()))?, self.kind)?;
        Ok(values.byte_offset())
    }

    fn number(&self, rest: &str) -> Result<usize, Error> {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        match rest[..length].parse::<u64>() {
            Ok(number) if number <= MAX_NUMBER => Ok(length),
            Ok(number) => {
                self.too_large("repetitions", number.try_into().unwrap_or(usize::MAX), MAX_NUMBER as usize)?;
                Ok(length)
            }
            Err(_) => {
                self.too_large("repetitions", usize::MAX, MAX_NUMBER as usize)?;
                Ok(length)
            }
        }
    }

    fn name(&mut self, rest: &str, is_first: bool) -> Result<usize, Error> {
        let length = word(rest);
        let name = &rest[..length];
        if self.attributes {
            let is_value = !rest[length..].trim_start().starts_with(['=', ',', ']']);
            if REFUSED.contains(&name) || !is_value && !ATTRIBUTES.contains(&name) {
                return self.refuse(&format!("the attribute {name:?}"));
            }
        }
        match is_first && self.opened == 0 {
            true => self.rules.begin(name),
            false => self.rules.mention(name),
        }
        Ok(length)
    }

    fn refuse<T>(&self, key: &str) -> Result<T, Error> {
        let at = format!("line {}", self.line);
        Err(Error::GrammarUnsupported { kind: self.kind, key: key.to_owned(), at })
    }

    fn too_large(&self, what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
        Err(Error::GrammarTooLarge { kind: self.kind, what, found, limit })
    }
}

fn line_end(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

/// The length of a name.
fn word(rest: &str) -> usize {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())
}

/// Which rules mention which.
#[derive(Debug, Default)]
struct Rules {
    numbers: HashMap<String, usize>,
    mentions: Vec<Vec<usize>>,
    current: Option<usize>,
    /// The name of a rule has come, and not what it stands for.
    is_head: bool,
}

impl Rules {
    fn number(&mut self, name: &str) -> usize {
        let next = self.mentions.len();
        let number = *self.numbers.entry(name.to_owned()).or_insert(next);
        if number == next {
            self.mentions.push(Vec::new());
        }
        number
    }

    fn begin(&mut self, name: &str) {
        self.current = Some(self.number(name));
        self.is_head = true;
    }

    fn mention(&mut self, name: &str) {
        let number = self.number(name);
        if let Some(current) = self.current {
            self.mentions[current].push(number);
        }
    }

    /// How deep rules are within rules when each is followed where it is mentioned first.
    fn depth(&self) -> usize {
        let mut seen = HashSet::new();
        let mut deepest = 0;
        let starts = self.numbers.get("start").copied().into_iter().chain(0..self.mentions.len());
        for start in starts {
            if !seen.insert(start) {
                continue;
            }
            let mut path = vec![(start, 0)];
            while let Some((rule, next)) = path.last_mut() {
                match self.mentions[*rule].get(*next) {
                    None => drop(path.pop()),
                    Some(&mentioned) => {
                        *next += 1;
                        if seen.insert(mentioned) {
                            path.push((mentioned, 0));
                            deepest = deepest.max(path.len());
                        }
                    }
                }
            }
        }
        deepest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(grammar: &str) -> String {
        check(grammar, "Lark grammar").expect_err(grammar).to_string()
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_its_line() {
        for (grammar, said) in [
            ("start: <|im_end|>", "a token by its name at line 1"),
            ("start: \"a\"\n  | <[5]>", "a token by its name at line 2"),
            ("start: @other", "another grammar"),
            ("%llguidance {\"no_forcing\": true}\nstart: \"a\"", "%llguidance with options at line 1"),
            ("start[capture]: /a/", "\"capture\""),
            ("start: x\nx[lazy, temperature=0.5]: /a/", "\"temperature\" at line 2"),
            ("start[stop=\"x\"]: /a/", "\"stop\""),
            ("start: %json {\"uniqueItems\": true}", "the key \"uniqueItems\" at #"),
            ("start: %json {", "%json: EOF"),
            ("start: %regex {\"substring_words\": \"a\"}", "%regex"),
            ("start: \"a", "does not end"),
            ("start: \"a\"{1000000}", "1000000 repetitions"),
            ("start: \"a\"{99999999999999999999}", "repetitions"),
        ] {
            let found = wrong(grammar);
            assert!(found.contains(said), "{grammar}: {found}");
        }
        assert!(wrong(&format!("start: {}", "(".repeat(200))).contains("open brackets"));
        let chain: String = (0..400).map(|index| format!("r{index}: r{}\n", index + 1)).collect();
        assert!(wrong(&format!("start: r0\n{chain}r400: \"a\"")).contains("rules within rules"));
    }

    #[test]
    fn what_only_looks_like_it_is_let_through() {
        for grammar in [
            "start: \"<|im_end|> @x \\\" %json (((\" // <b> @y\n",
            "start: /<[a-z]+>\\/@/ # <b>",
            "%llguidance {}\nstart[lazy]: /a*/",
            "start: text\ntext[suffix=\"</a>\", max_tokens=40]: /(?s:.*)/",
            "start: stop temperature\nstop: \"a\"\ntemperature: \"b\"",
            "?start: a | b\n  | c\na: \"a\"\nb: \"b\"{2,5}\nc: %json {\"type\": [\"string\", \"null\"]} \"x\"",
        ] {
            assert_eq!(check(grammar, "Lark grammar"), Ok(()), "{grammar}");
        }
    }

    #[test]
    fn ends_of_an_expression_are_those_of_the_text() {
        assert_eq!(regex("^ab$"), "/ab/");
        assert_eq!(regex("ab\\$"), "/ab\\$/");
        assert_eq!((regex("^$").as_str(), regex("").as_str()), ("\"\"", "\"\""));
        assert_eq!(regex("a/b"), "/a\\/b/");
    }
}
