//! Calls that are no JSON: `name(key=value)` as in Python, and `call:name{key:value}` with quotes of its own.
//!
//! Each is collected until its brackets close, then read. Sources: "The Python Language Reference", "Literals"; the
//! chat template of Gemma 4.

use serde_json::{Map, Value as Json};

use super::sink::{Reason, Sink, Step};

/// Deepest nesting of values.
const MAX_DEPTH: usize = 64;

/// One call, or a list of them, being read.
#[derive(Debug)]
pub(crate) struct PythonCalls {
    is_list: bool,
    /// After a call of a list: `,` or `]`.
    is_between: bool,
    text: String,
    depth: usize,
    quote: Option<char>,
    is_escaped: bool,
}

impl PythonCalls {
    pub fn new() -> Self {
        Self {
            is_list: false,
            is_between: false,
            text: String::new(),
            depth: 0,
            quote: None,
            is_escaped: false,
        }
    }

    pub fn step(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        if self.text.is_empty() && letter.is_whitespace() {
            return Step::More;
        }
        if self.is_between {
            self.is_between = letter != ',';
            return match letter {
                ',' => Step::More,
                ']' => Step::Done,
                _ => Step::Broken(Reason::Malformed),
            };
        }
        if self.text.is_empty() && letter == '[' && !self.is_list {
            self.is_list = true;
            return Step::More;
        }
        let is_name = letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
        if self.depth == 0 && letter != '(' && !is_name {
            return Step::Broken(Reason::Malformed);
        }
        self.text.push(letter);
        if letter == '(' && self.depth <= 1 {
            // The name stands before the first bracket that is not one of `print`.
            if let Err(reason) = self.begin(sink) {
                return Step::Broken(reason);
            }
        }
        self.follow(letter);
        if self.depth > 0 || letter != ')' {
            return Step::More;
        }
        let text = std::mem::take(&mut self.text);
        let Some((name, arguments)) = python_call(&text) else { return Step::Broken(Reason::Malformed) };
        if let Err(reason) = sink.finish(&name, &Json::Object(arguments).to_string()) {
            return Step::Broken(reason);
        }
        self.is_between = self.is_list;
        if self.is_list { Step::More } else { Step::Done }
    }

    fn begin(&mut self, sink: &mut Sink<'_>) -> Result<(), Reason> {
        let name = self.text.trim_end_matches('(');
        let name = name.strip_prefix("print(").unwrap_or(name);
        if name == "print" || *sink.has_begun {
            return Ok(());
        }
        sink.begin(short_name(name))
    }

    fn follow(&mut self, letter: char) {
        if let Some(quote) = self.quote {
            let ends = letter == quote && !self.is_escaped;
            self.is_escaped = letter == '\\' && !self.is_escaped;
            self.quote = if ends { None } else { self.quote };
            return;
        }
        match letter {
            '"' | '\'' => self.quote = Some(letter),
            '(' | '[' | '{' => self.depth += 1,
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// `library.tool` and `tool.call` are the tool.
fn short_name(name: &str) -> &str {
    let name = name.strip_suffix(".call").unwrap_or(name);
    name.rsplit('.').next().unwrap_or(name)
}

/// Name and arguments of a call in Python's notation, `print(…)` around it or not.
pub(crate) fn python_call(text: &str) -> Option<(String, Map<String, Json>)> {
    let text = text.trim();
    let inner = text.strip_prefix("print(").and_then(|inner| inner.strip_suffix(')'));
    let (name, rest) = inner.unwrap_or(text).trim().split_once('(')?;
    let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let mut reader = Reader { rest, quote: "", assigns: '=' };
    let arguments = reader.entries(')', 0)?;
    reader.rest.trim().is_empty().then(|| (short_name(name).to_owned(), arguments))
}

/// `call:name{…}`, being read.
#[derive(Debug)]
pub(crate) struct BracesCall {
    before: &'static str,
    quote: &'static str,
    text: String,
    depth: usize,
    is_quoted: bool,
}

impl BracesCall {
    pub fn new(before: &'static str, quote: &'static str) -> Self {
        Self { before, quote, text: String::new(), depth: 0, is_quoted: false }
    }

    pub fn step(&mut self, letter: char, sink: &mut Sink<'_>) -> Step {
        self.text.push(letter);
        if self.depth == 0 && letter != '{' {
            let begins = self.before.starts_with(&self.text) || self.text.starts_with(self.before);
            let is_name = letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-' | ':');
            return if begins && is_name { Step::More } else { Step::Broken(Reason::Malformed) };
        }
        if self.depth == 0 {
            let name = self.text.strip_prefix(self.before).unwrap_or_default().trim_end_matches('{');
            if let Err(reason) = sink.begin(name) {
                return Step::Broken(reason);
            }
        }
        if self.text.ends_with(self.quote) {
            self.is_quoted = !self.is_quoted;
        }
        match letter {
            '{' | '[' if !self.is_quoted => self.depth += 1,
            '}' | ']' if !self.is_quoted => self.depth -= 1,
            _ => {}
        }
        if self.depth > 0 {
            return Step::More;
        }
        let Some((name, rest)) = self.text.strip_prefix(self.before).and_then(|text| text.split_once('{'))
        else {
            return Step::Broken(Reason::Malformed);
        };
        let mut reader = Reader { rest, quote: self.quote, assigns: ':' };
        let finished = match reader.entries('}', 0) {
            Some(arguments) => sink.finish(name, &Json::Object(arguments).to_string()),
            None => Err(Reason::Malformed),
        };
        finished.map_or_else(Step::Broken, |()| Step::Done)
    }
}

/// Reads literals: Python's, and those of [`BracesCall`].
struct Reader<'a> {
    rest: &'a str,
    /// What stands around texts besides `"` and `'`; empty for nothing.
    quote: &'static str,
    /// What stands between an argument's name and its value.
    assigns: char,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `name=value, …` up to and with `end`.
    fn entries(&mut self, end: char, depth: usize) -> Option<Map<String, Json>> {
        let mut entries = Map::new();
        while !self.skip(end) {
            self.rest = self.rest.trim_start();
            let key = match self.text()? {
                Some(key) => key,
                None => self.word().to_owned(),
            };
            let is_assigned = self.skip(self.assigns) || self.skip(':');
            if key.is_empty() || !is_assigned {
                return None;
            }
            entries.insert(key, self.value(depth + 1)?);
            if !self.skip(',') && !self.rest.trim_start().starts_with(end) {
                return None;
            }
        }
        Some(entries)
    }

    fn word(&mut self) -> &'a str {
        let is_end = |letter: char| letter.is_whitespace() || ",:=()[]{}\"'".contains(letter);
        let (word, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    /// A text between quotes; the inner `None` where none begins here.
    fn text(&mut self) -> Option<Option<String>> {
        if !self.quote.is_empty()
            && let Some(rest) = self.rest.strip_prefix(self.quote)
        {
            let (text, rest) = rest.split_once(self.quote)?;
            self.rest = rest;
            return Some(Some(text.to_owned()));
        }
        let Some(quote) = self.rest.chars().next().filter(|letter| matches!(letter, '"' | '\'')) else {
            return Some(None);
        };
        let mut out = String::new();
        let mut letters = self.rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.rest = &self.rest[1 + at + 1..];
                return Some(Some(out));
            }
            if letter != '\\' {
                out.push(letter);
                continue;
            }
            match letters.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'u' => {
                    let code: String = letters.by_ref().take(4).map(|(_, letter)| letter).collect();
                    out.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?).unwrap_or('\u{FFFD}'));
                }
                other if matches!(other, '\\' | '\'' | '"') => out.push(other),
                other => out.extend(['\\', other]),
            }
        }
        None
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.rest = self.rest.trim_start();
        if let Some(text) = self.text()? {
            return Some(Json::from(text));
        }
        if self.skip('{') {
            return self.entries('}', depth).map(Json::Object);
        }
        for (opens, closes) in [('[', ']'), ('(', ')')] {
            if self.skip(opens) {
                return self.list(closes, depth);
            }
        }
        match self.word() {
            "True" | "true" => Some(Json::Bool(true)),
            "False" | "false" => Some(Json::Bool(false)),
            "None" | "null" => Some(Json::Null),
            word => serde_json::from_str(word).ok().filter(Json::is_number),
        }
    }

    fn list(&mut self, end: char, depth: usize) -> Option<Json> {
        let mut items = Vec::new();
        while !self.skip(end) {
            items.push(self.value(depth + 1)?);
            if !self.skip(',') && !self.rest.trim_start().starts_with(end) {
                return None;
            }
        }
        Some(Json::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_python_become_json() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let read = python_call(text).map(|(name, arguments)| (name, Json::Object(arguments).to_string()));
            let read = read.as_ref().map(|(name, arguments)| (name.as_str(), arguments.as_str()));
            assert_eq!(read, expected, "{text}");
        };
        check("f()", Some(("f", "{}")));
        check("print(api.f(a='x\\'y', b=[1, -2.5, True],))", Some(("f", r#"{"a":"x'y","b":[1,-2.5,true]}"#)));
        check("search.call(query=\"a, (b)\")", Some(("search", r#"{"query":"a, (b)"}"#)));
        check("f(d={'k': None, \"l\": (1, 2)})", Some(("f", r#"{"d":{"k":null,"l":[1,2]}}"#)));
        for wrong in
            ["f", "f(", "f(1)", "f(a=)", "f(a=b)", "f(a=1", "f(a=1) b", "f g(a=1)", "f(a='x)", "f(a=[1)"]
        {
            check(wrong, None);
        }
        let deep = format!("f(a={}{})", "[".repeat(5000), "]".repeat(5000));
        check(&deep, None);
    }
}
