//! From the text of a Modelfile to the value.
//!
//! Does not: stop at a parameter that nobody knows; it is kept, and `Parameters::unknown` names it.

use super::{MAX_BYTES, MAX_INSTRUCTIONS, Modelfile, ModelfileProblem as Problem};
use crate::about::{Message, Speaker};
use crate::error::shown;
use crate::nearest::nearest;
use crate::{Error, Result};

/// All instructions, as errors name them.
const INSTRUCTIONS: [&str; 11] = [
    "FROM",
    "PARAMETER",
    "TEMPLATE",
    "SYSTEM",
    "MESSAGE",
    "ADAPTER",
    "LICENSE",
    "REQUIRES",
    "DRAFT",
    "RENDERER",
    "PARSER",
];

type Found<T> = std::result::Result<T, Problem>;

impl Modelfile {
    /// Reads a Modelfile.
    ///
    /// # Errors
    /// [`Error::BadModelfile`] with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            let problem = Problem::TooLong { what: "bytes", limit: MAX_BYTES };
            return Err(Error::BadModelfile { line: None, problem });
        }
        let text = decode(bytes).ok_or(Error::BadModelfile { line: None, problem: Problem::NotText })?;
        let mut reader = Reader { text: &text, at: 0, begin: 0 };
        reader.modelfile().map_err(|problem| {
            let line = (problem != Problem::NoBase).then(|| line_of(&text, reader.begin));
            Error::BadModelfile { line, problem }
        })
    }
}

/// UTF-8 with or without a mark, or UTF-16 with one, as editors on Windows save it.
fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok().filter(|_| bytes.len().is_multiple_of(2))
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        bytes => std::str::from_utf8(bytes).ok().map(str::to_owned),
    }
}

/// The line, from 1, in which this byte stands. A line ends with `\n`, `\r` or both.
fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    let ends = before.iter().enumerate().filter(|(at, byte)| match byte {
        b'\n' => true,
        b'\r' => text.as_bytes().get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    1 + ends.count()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the instruction begins that is being read.
    begin: usize,
}

impl<'a> Reader<'a> {
    fn modelfile(&mut self) -> Found<Modelfile> {
        let mut modelfile = Modelfile::default();
        for n_instructions in 0.. {
            self.skip_blanks_and_comments();
            self.begin = self.at;
            if self.rest().is_empty() {
                break;
            }
            if n_instructions == MAX_INSTRUCTIONS {
                return Err(Problem::TooLong { what: "instructions", limit: MAX_INSTRUCTIONS });
            }
            self.instruction(&mut modelfile)?;
        }
        if modelfile.from.is_empty() { Err(Problem::NoBase) } else { Ok(modelfile) }
    }

    fn instruction(&mut self, modelfile: &mut Modelfile) -> Found<()> {
        let given = self.word();
        let known = INSTRUCTIONS.into_iter().find(|known| known.eq_ignore_ascii_case(given));
        let Some(instruction) = known else {
            let nearest = nearest(given, INSTRUCTIONS.into_iter().map(str::to_owned));
            return Err(Problem::UnknownInstruction { given: shown(given), nearest });
        };
        let no_value = |wanted| Problem::NoValue { instruction, wanted };
        let first = match instruction {
            "PARAMETER" => self.word_before_value().ok_or(no_value("a name and a value"))?,
            "MESSAGE" => self.word_before_value().ok_or(no_value("a role and a text"))?,
            _ => "",
        };
        if instruction == "MESSAGE" && Speaker::parse(first).is_none() {
            return Err(Problem::BadRole { given: shown(first) });
        }
        if instruction == "PARAMETER"
            && !first.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(Problem::BadParameterName { given: shown(first) });
        }
        let value = self.value(instruction)?.ok_or(no_value("a value"))?;
        let may_be_empty = ["SYSTEM", "TEMPLATE", "LICENSE", "MESSAGE"].contains(&instruction);
        if value.is_empty() && !may_be_empty && first != "stop" {
            return Err(no_value("a value"));
        }
        let text = value.to_owned();
        match instruction {
            "FROM" => modelfile.from.push(text),
            "ADAPTER" => modelfile.adapters.push(text),
            "DRAFT" => modelfile.drafts.push(text),
            "LICENSE" => modelfile.licenses.push(text),
            "TEMPLATE" => modelfile.template = Some(text),
            "SYSTEM" => modelfile.system = Some(text),
            "RENDERER" => modelfile.renderer = Some(text),
            "PARSER" => modelfile.parser = Some(text),
            "REQUIRES" if !is_version(value) => return Err(Problem::BadVersion { given: shown(value) }),
            "REQUIRES" => modelfile.requires = Some(text),
            "MESSAGE" => {
                let role = Speaker::parse(first).expect("it was looked at before the text was read");
                modelfile.messages.push(Message { role, content: text });
            }
            _ => {
                let bad = |wanted| {
                    let (key, given) = (shown(first), shown(value));
                    Problem::BadParameter { key, given, wanted }
                };
                modelfile.parameters.set(first, value).map_err(bad)?;
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_blank_or_end).len();
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find(is_end).unwrap_or(self.rest().len());
        }
    }

    /// Everything up to the next blank or line end.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(is_blank_or_end).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
    }

    /// The word between an instruction and its value, on the same line.
    fn word_before_value(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let word = self.word();
        (!word.is_empty()).then_some(word)
    }

    /// The value: the rest of the line, or what stands between quotes. `None` where nothing follows.
    fn value(&mut self, instruction: &'static str) -> Found<Option<&'a str>> {
        self.skip_blanks();
        let rest = self.rest();
        let Some(quote) = ["\"\"\"", "\""].into_iter().find(|quote| rest.starts_with(quote)) else {
            let line = &rest[..rest.find(is_end).unwrap_or(rest.len())];
            self.at += line.len();
            return Ok(Some(line.trim()).filter(|value| !value.is_empty()));
        };
        let mut end = 0;
        loop {
            // A line without letters ends no text, so only the line's own letters are looked at.
            let line = &rest[end..end + rest[end..].find(is_end).unwrap_or(rest.len() - end)];
            let text = &rest[..end + line.trim_end().len()];
            end += line.len();
            if text.len() >= 2 * quote.len() && !line.trim_end().is_empty() && text.ends_with(quote) {
                self.at += end;
                return Ok(Some(&text[quote.len()..text.len() - quote.len()]));
            }
            if end == rest.len() {
                return Err(Problem::NotClosed { instruction, quote });
            }
            end += 1;
        }
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

pub(super) fn is_end(c: char) -> bool {
    c == '\n' || c == '\r'
}

fn is_blank_or_end(c: char) -> bool {
    is_blank(c) || is_end(c)
}

/// One to three numbers between dots, with what may follow a `-` or `+`. Source: semver.org, 2.0.0.
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_tail = |c: char| c.is_ascii_alphanumeric() || "-+.".contains(c);
    numbers.split('.').count() <= 3 && numbers.split('.').all(is_number) && rest.chars().all(is_tail)
}
