//! Grammars in the notation of llama.cpp (GBNF), said in Lark's.
//!
//! A rule that leads to no recursion becomes one terminal, whose meaning is kept to the letter. In the others each run of
//! parts without recursion is a terminal, which takes as much as it can: where such a run could end earlier and what
//! follows begins alike, fewer texts are allowed than the grammar has, never more.
//!
//! Source: llama.cpp, `grammars/README.md`.

use std::collections::HashMap;
use std::fmt::Write;

use super::{MAX_DEPTH, lark};
use crate::Error;

/// How often something may be repeated.
const MAX_REPETITIONS: u32 = 1 << 16;
/// How many signs of repetition may follow each other.
const MAX_SIGNS: usize = 3;
/// How many brackets may be open: each becomes several.
const MAX_BRACKETS: usize = MAX_DEPTH / 4;

/// The grammar in Lark's notation.
///
/// # Errors
/// [`Error::BadGrammar`] with the line; [`Error::GrammarUnsupported`] for tokens by name.
pub(crate) fn to_lark(grammar: &str, kind: &'static str) -> Result<String, Error> {
    let mut reader = Reader { rest: grammar, line: 1, kind, names: HashMap::new(), rules: Vec::new() };
    reader.grammar()?;
    let Some(&root) = reader.names.get("root") else {
        return Err(Error::BadGrammar { kind, reason: "there is no rule called root".into() });
    };
    let mut rules = Vec::with_capacity(reader.rules.len());
    for rule in reader.rules {
        let Named { name, line, node } = rule;
        let Some(node) = node else {
            let reason = format!("line {line}: no rule is called {name:?}");
            return Err(Error::BadGrammar { kind, reason });
        };
        rules.push(node);
    }
    Ok(Writer { regular: regular(&rules), lines: String::new(), n_runs: 0 }.write(&rules, root))
}

/// A part of a grammar.
#[derive(Debug, PartialEq)]
enum Node {
    Text(String),
    /// One letter, as an expression.
    Letter(String),
    Rule(usize),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

impl Node {
    fn rules(&self, found: &mut Vec<usize>) {
        match self {
            Self::Text(_) | Self::Letter(_) => {}
            Self::Rule(rule) => found.push(*rule),
            Self::Sequence(parts) | Self::Choice(parts) => parts.iter().for_each(|part| part.rules(found)),
            Self::Repeat(part, ..) => part.rules(found),
        }
    }
}

/// A rule that was mentioned, and what it stands for once that is known.
struct Named {
    name: String,
    line: usize,
    node: Option<Node>,
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    kind: &'static str,
    names: HashMap<String, usize>,
    rules: Vec<Named>,
}

impl Reader<'_> {
    fn bad<T>(&self, what: &str) -> Result<T, Error> {
        Err(Error::BadGrammar { kind: self.kind, reason: format!("line {}: {what}", self.line) })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.rest = &self.rest[letter.len_utf8()..];
        self.line += usize::from(letter == '\n');
        Some(letter)
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// White space and remarks of this line.
    fn space(&mut self) {
        while let Some(letter) = self.peek() {
            match letter {
                ' ' | '\t' | '\r' => drop(self.next()),
                '#' => self.rest = &self.rest[self.rest.find('\n').unwrap_or(self.rest.len())..],
                _ => break,
            }
        }
    }

    fn lines(&mut self) {
        self.space();
        while self.peek() == Some('\n') {
            self.next();
            self.space();
        }
    }

    fn name(&mut self) -> Option<String> {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let length = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn rule(&mut self, name: String) -> usize {
        let (next, line) = (self.rules.len(), self.line);
        let number = *self.names.entry(name.clone()).or_insert(next);
        if number == next {
            self.rules.push(Named { name, line, node: None });
        }
        number
    }

    fn grammar(&mut self) -> Result<(), Error> {
        self.lines();
        while self.peek().is_some() {
            let Some(name) = self.name() else { return self.bad("the name of a rule is expected") };
            self.space();
            if !self.eat("::=") {
                return self.bad(&format!("::= is expected behind {name:?}"));
            }
            self.lines();
            let rule = self.rule(name);
            let node = self.choice(0)?;
            if self.rules[rule].node.is_some() {
                let said = format!("{:?} is defined twice", self.rules[rule].name);
                return self.bad(&said);
            }
            self.rules[rule].node = Some(node);
            self.space();
            if !matches!(self.peek(), None | Some('\n')) {
                return self.bad("the end of the line is expected");
            }
            self.lines();
        }
        Ok(())
    }

    /// Alternatives, at this depth of brackets.
    fn choice(&mut self, depth: usize) -> Result<Node, Error> {
        if depth > MAX_BRACKETS {
            let what = "open brackets";
            return Err(Error::GrammarTooLarge { kind: self.kind, what, found: depth, limit: MAX_BRACKETS });
        }
        let mut parts = vec![self.sequence(depth)?];
        while self.has_more(depth) {
            self.lines();
            parts.push(self.sequence(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Choice(parts) })
    }

    /// Takes a bar; it may stand on the next line.
    fn has_more(&mut self, depth: usize) -> bool {
        let (rest, line) = (self.rest, self.line);
        self.lines();
        let is_bar = self.eat("|");
        if !is_bar && depth == 0 {
            (self.rest, self.line) = (rest, line);
        }
        is_bar
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, Error> {
        let mut parts: Vec<Node> = Vec::new();
        loop {
            match depth {
                0 => self.space(),
                _ => self.lines(),
            }
            let Some(part) = self.atom(depth)? else { break };
            parts.push(self.repeated(part)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Sequence(parts) })
    }

    fn atom(&mut self, depth: usize) -> Result<Option<Node>, Error> {
        let Some(letter) = self.peek() else { return Ok(None) };
        let is_name = letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        Ok(Some(match letter {
            '"' => Node::Text(self.text()?),
            '[' => Node::Letter(self.letters()?),
            '.' => {
                self.next();
                Node::Letter("(?s:.)".into())
            }
            '(' => {
                self.next();
                let inner = self.choice(depth + 1)?;
                self.lines();
                if !self.eat(")") {
                    return self.bad(") is expected");
                }
                inner
            }
            '<' | '!' => {
                let (key, at) = ("a token by its name".to_owned(), format!("line {}", self.line));
                return Err(Error::GrammarUnsupported { kind: self.kind, key, at });
            }
            _ if is_name => {
                let name = self.name().unwrap_or_default();
                Node::Rule(self.rule(name))
            }
            '|' | ')' | '\n' => return Ok(None),
            other => return self.bad(&format!("{other:?} means nothing here")),
        }))
    }

    fn repeated(&mut self, part: Node) -> Result<Node, Error> {
        let mut node = part;
        for _ in 0..=MAX_SIGNS {
            let (least, most) = match self.peek() {
                Some('*') => self.sign((0, None)),
                Some('+') => self.sign((1, None)),
                Some('?') => self.sign((0, Some(1))),
                Some('{') => self.counts()?,
                _ => return Ok(node),
            };
            node = Node::Repeat(Box::new(node), least, most);
        }
        self.bad("too many signs of repetition follow each other")
    }

    /// Takes one sign, which says this.
    fn sign(&mut self, counts: (u32, Option<u32>)) -> (u32, Option<u32>) {
        self.next();
        counts
    }

    /// `{m}`, `{m,}`, `{m,n}`, `{,n}`.
    fn counts(&mut self) -> Result<(u32, Option<u32>), Error> {
        let Some((inner, rest)) = self.rest[1..].split_once('}') else { return self.bad("} is expected") };
        self.rest = rest;
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|count| *count <= MAX_REPETITIONS);
        let counts = match inner.split_once(',') {
            None => number(inner).map(|count| (count, Some(count))),
            Some((least, most)) => {
                let least = if least.trim().is_empty() { Some(0) } else { number(least) };
                let most = if most.trim().is_empty() { Some(None) } else { number(most).map(Some) };
                least.zip(most)
            }
        };
        match counts {
            Some((least, most)) if most.is_none_or(|most| least <= most) => Ok((least, most)),
            _ => self.bad(&format!("{{{inner}}} is no count of repetitions up to {MAX_REPETITIONS}")),
        }
    }

    fn text(&mut self) -> Result<String, Error> {
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                None | Some('\n') => return self.bad("a text does not end"),
                Some(_) => text.push(self.letter()?),
            }
        }
    }

    /// `[…]` as an expression.
    fn letters(&mut self) -> Result<String, Error> {
        self.next();
        let mut expression = String::from(if self.eat("^") { "[^" } else { "[" });
        let n_before = expression.len();
        while self.peek() != Some(']') {
            if matches!(self.peek(), None | Some('\n')) {
                return self.bad("] is expected");
            }
            let from = self.letter()?;
            let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            let to = match is_range {
                true => {
                    self.next();
                    self.letter()?
                }
                false => from,
            };
            if from > to {
                return self.bad(&format!("{from:?}-{to:?} is no range"));
            }
            let _ = write!(expression, "\\x{{{:X}}}-\\x{{{:X}}}", u32::from(from), u32::from(to));
        }
        if expression.len() == n_before {
            return self.bad("[] allows nothing");
        }
        self.next();
        expression.push(']');
        Ok(expression)
    }

    /// One letter, which may be written with a backslash.
    fn letter(&mut self) -> Result<char, Error> {
        match self.next() {
            None => self.bad("it ends within a text"),
            Some('\\') => match self.next() {
                Some('n') => Ok('\n'),
                Some('r') => Ok('\r'),
                Some('t') => Ok('\t'),
                Some(letter @ ('\\' | '"' | '[' | ']')) => Ok(letter),
                Some('x') => self.code(2),
                Some('u') => self.code(4),
                Some('U') => self.code(8),
                other => self.bad(&format!("{:?} behind a backslash means nothing", other.unwrap_or(' '))),
            },
            Some(letter) => Ok(letter),
        }
    }

    fn code(&mut self, n_digits: usize) -> Result<char, Error> {
        let digits =
            self.rest.get(..n_digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let letter = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        let Some(letter) = letter else { return self.bad("a letter's number is wrong") };
        self.rest = &self.rest[n_digits..];
        Ok(letter)
    }
}

/// Which rules lead to no recursion.
fn regular(rules: &[Node]) -> Vec<bool> {
    let mut needs = vec![0; rules.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); rules.len()];
    for (rule, node) in rules.iter().enumerate() {
        let mut found = Vec::new();
        node.rules(&mut found);
        needs[rule] = found.len();
        found.into_iter().for_each(|used| users[used].push(rule));
    }
    let mut ready: Vec<usize> = (0..rules.len()).filter(|&rule| needs[rule] == 0).collect();
    let mut regular = vec![false; rules.len()];
    while let Some(rule) = ready.pop() {
        regular[rule] = true;
        for &user in &users[rule] {
            needs[user] -= 1;
            if needs[user] == 0 {
                ready.push(user);
            }
        }
    }
    regular
}

struct Writer {
    regular: Vec<bool>,
    lines: String,
    n_runs: usize,
}

impl Writer {
    fn write(mut self, rules: &[Node], root: usize) -> String {
        let start = format!("start: {}\n", self.called(root));
        for (rule, node) in rules.iter().enumerate() {
            let text = if self.regular[rule] { self.terminal(node) } else { self.rule(node) };
            let line = format!("{}: {text}\n", self.called(rule));
            self.lines.push_str(&line);
        }
        start + &self.lines
    }

    fn called(&self, rule: usize) -> String {
        if self.regular[rule] { format!("T{rule}") } else { format!("r{rule}") }
    }

    fn is_regular(&self, node: &Node) -> bool {
        let mut found = Vec::new();
        node.rules(&mut found);
        found.into_iter().all(|rule| self.regular[rule])
    }

    fn terminal(&self, node: &Node) -> String {
        match node {
            Node::Text(text) => lark::literal(text),
            Node::Letter(expression) => format!("/{expression}/"),
            Node::Rule(rule) => self.called(*rule),
            Node::Sequence(parts) if parts.is_empty() => "\"\"".into(),
            Node::Sequence(parts) => joined(parts.iter().map(|part| self.terminal(part)), " "),
            Node::Choice(parts) => joined(parts.iter().map(|part| self.terminal(part)), " | "),
            Node::Repeat(part, least, most) => repeated(&self.terminal(part), *least, *most),
        }
    }

    /// A part with recursion; the parts in it that have none are terminals of their own, neighbours together.
    fn rule(&mut self, node: &Node) -> String {
        if self.is_regular(node) {
            return self.run(&[node]);
        }
        match node {
            Node::Sequence(parts) => {
                let mut said = Vec::new();
                for run in parts.chunk_by(|a, b| self.is_regular(a) && self.is_regular(b)).collect::<Vec<_>>()
                {
                    match self.is_regular(&run[0]) {
                        true => said.push(self.run(&run.iter().collect::<Vec<_>>())),
                        false => said.extend(run.iter().map(|part| self.rule(part))),
                    }
                }
                joined(said.into_iter(), " ")
            }
            Node::Choice(parts) => {
                let said: Vec<String> = parts.iter().map(|part| self.rule(part)).collect();
                joined(said.into_iter(), " | ")
            }
            Node::Repeat(part, least, most) => {
                let inner = self.rule(part);
                repeated(&inner, *least, *most)
            }
            Node::Rule(rule) => self.called(*rule),
            Node::Text(_) | Node::Letter(_) => self.terminal(node),
        }
    }

    /// Parts without recursion that follow one another, as one terminal.
    fn run(&mut self, parts: &[&Node]) -> String {
        let text = joined(parts.iter().map(|part| self.terminal(part)), " ");
        self.n_runs += 1;
        let name = format!("S{}", self.n_runs);
        let _ = writeln!(self.lines, "{name}: {text}");
        name
    }
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    format!("({})", parts.collect::<Vec<_>>().join(between))
}

fn repeated(part: &str, least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (0, None) => format!("({part})*"),
        (1, None) => format!("({part})+"),
        (0, Some(1)) => format!("({part})?"),
        (least, None) => format!("({part}){{{least},}}"),
        (least, Some(most)) => format!("({part}){{{least},{most}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(grammar: &str) -> String {
        to_lark(grammar, "GBNF grammar").expect(grammar)
    }

    #[test]
    fn rules_without_recursion_become_terminals() {
        let lark = said(
            "# what it is\nroot ::= word (\",\" word){1,3} # more\nword ::= [a-z_]+ | \n  \"\\\"\\x41\"",
        );
        let expected = concat!(
            "start: T0\n",
            "T0: (T1 ((\",\" T1)){1,3})\n",
            "T1: ((/[\\x{61}-\\x{7A}\\x{5F}-\\x{5F}]/)+ | \"\\\"A\")\n",
        );
        assert_eq!(lark, expected);
    }

    #[test]
    fn rules_with_recursion_stay_rules_and_their_runs_become_terminals() {
        let lark = said("root ::= \"(\" ws root? \")\" ws\nws ::= [ ]*");
        let expected = concat!(
            "start: r0\n",
            "S1: (\"(\" T1)\n",
            "S2: (\")\" T1)\n",
            "r0: (S1 (r0)? S2)\n",
            "T1: (/[\\x{20}-\\x{20}]/)*\n",
        );
        assert_eq!(lark, expected);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (grammar, told) in [
            ("", "no rule called root"),
            ("a ::= \"b\"", "no rule called root"),
            ("root ::= a\n", "line 1: no rule is called \"a\""),
            ("root ::= \"a\"\nroot ::= \"b\"", "line 2: \"root\" is defined twice"),
            ("root ::= \"a", "line 1: a text does not end"),
            ("root ::= \"a\"\n\nb = c", "line 3: ::= is expected behind \"b\""),
            ("root ::= [z-a]", "'z'-'a' is no range"),
            ("root ::= []", "allows nothing"),
            ("root ::= [a", "] is expected"),
            ("root ::= (\"a\"", ") is expected"),
            ("root ::= \"a\")", "the end of the line is expected"),
            ("root ::= \"\\q\"", "'q' behind a backslash"),
            ("root ::= \"\\uD800\"", "a letter's number is wrong"),
            ("root ::= \"a\"{3,2}", "no count of repetitions"),
            ("root ::= \"a\"{99999999}", "no count of repetitions"),
            ("root ::= \"a\"*****", "too many signs"),
            ("root ::= <think>", "a token by its name at line 1"),
            ("root ::= ^", "'^' means nothing here"),
        ] {
            let found = to_lark(grammar, "GBNF grammar").expect_err(grammar).to_string();
            assert!(found.contains(told), "{grammar}: {found}");
        }
        let deep = to_lark(&format!("root ::= {}", "(".repeat(5000)), "GBNF grammar");
        assert!(matches!(deep, Err(Error::GrammarTooLarge { what: "open brackets", .. })), "{deep:?}");
    }
}
