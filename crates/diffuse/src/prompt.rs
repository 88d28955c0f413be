//! Prompts as users of web UIs write them: weights in brackets, `BREAK`, tags of adapters, any length.
//!
//! `(word)` weighs 1.1 times as much, `(word:1.3)` 1.3 times, `[word]` 1.1 times less, each inside the others;
//! a backslash makes a bracket a letter. Not here: prompts that change on the way (`[from:to:when]`) and `AND`.
//!
//! Source: the syntax of AUTOMATIC1111's stable-diffusion-webui, with which `fixtures/diffusion/prompts.json` was made.
//! Three things differ on purpose: a `BREAK` in brackets is a break, two of them are two, and a weight that is no
//! number is text.

mod chunks;
mod emphasis;
mod tags;

use crate::Error;

pub use chunks::{CHUNK_TOKENS, Chunk, LOOKBACK, Marks, Name, chunks};
pub use emphasis::Emphasis;
pub use tags::{Tag, without_tags};

/// The longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 1 << 15;

/// What a pair of round brackets multiplies by; square ones divide.
const BRACKET: f64 = 1.1;
/// Weights beyond this are this: products of many brackets stay numbers.
pub const MAX_WEIGHT: f64 = 1000.0;

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text of one weight.
    Text {
        /// The text, without brackets.
        text: String,
        /// 1 where nothing is said.
        weight: f64,
    },
    /// What follows begins a new chunk.
    Break,
}

/// The pieces of a prompt; at least one.
///
/// # Errors
/// `Prompt` above [`MAX_PROMPT_BYTES`].
pub fn pieces(prompt: &str) -> Result<Vec<Piece>, Error> {
    expect_length(prompt)?;
    let mut reader = Reader::default();
    let mut rest = prompt;
    while !rest.is_empty() {
        rest = reader.step(rest);
    }
    Ok(reader.finish())
}

/// A prompt in which brackets are letters: one piece.
///
/// # Errors
/// `Prompt` above [`MAX_PROMPT_BYTES`].
pub fn literal(prompt: &str) -> Result<Vec<Piece>, Error> {
    expect_length(prompt)?;
    Ok(vec![Piece::Text { text: prompt.to_owned(), weight: 1.0 }])
}

fn expect_length(prompt: &str) -> Result<(), Error> {
    if prompt.len() <= MAX_PROMPT_BYTES {
        return Ok(());
    }
    Err(Error::Prompt(format!(
        "{} bytes are more than {MAX_PROMPT_BYTES}; say it in fewer words",
        prompt.len()
    )))
}

/// What was read so far, and the brackets that are open: where their first piece stands.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Reader {
    /// Reads one element, and leaves the rest.
    fn step<'a>(&mut self, rest: &'a str) -> &'a str {
        let mut letters = rest.chars();
        let (first, after) = (letters.next().unwrap_or_default(), letters.as_str());
        match first {
            '\\' => return self.escaped(after),
            '(' => self.round.push(self.pieces.len()),
            '[' => self.square.push(self.pieces.len()),
            ')' if !self.round.is_empty() => weigh(&mut self.pieces, self.round.pop(), BRACKET),
            ']' if !self.square.is_empty() => weigh(&mut self.pieces, self.square.pop(), BRACKET.recip()),
            ')' | ']' => self.text(&rest[..1]),
            ':' => return self.colon(rest, after),
            _ => {
                let end = rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len());
                self.broken_text(&rest[..end]);
                return &rest[end..];
            }
        }
        after
    }

    /// A backslash makes the bracket or backslash after it a letter; alone it vanishes.
    fn escaped<'a>(&mut self, after: &'a str) -> &'a str {
        let length = usize::from(after.starts_with(['(', ')', '[', ']', '\\']));
        self.text(&after[..length]);
        &after[length..]
    }

    /// A weight at the end of round brackets, or a colon.
    fn colon<'a>(&mut self, rest: &'a str, after: &'a str) -> &'a str {
        let Some((weight, behind)) = weight_at(after).filter(|_| !self.round.is_empty()) else {
            self.text(&rest[..1]);
            return after;
        };
        weigh(&mut self.pieces, self.round.pop(), weight);
        behind
    }

    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Text { text: text.to_owned(), weight: 1.0 });
    }

    /// Text in which the word BREAK is none.
    fn broken_text(&mut self, text: &str) {
        let mut begin = 0;
        for at in breaks(text) {
            self.text(text[begin..at].trim_end());
            self.pieces.push(Piece::Break);
            let after = &text[at + BREAK.len()..];
            begin = text.len() - after.trim_start().len();
        }
        self.text(&text[begin..]);
    }

    /// Brackets that nobody closed reach to the end; neighbours of one weight are one piece.
    fn finish(mut self) -> Vec<Piece> {
        for begin in std::mem::take(&mut self.round) {
            weigh(&mut self.pieces, Some(begin), BRACKET);
        }
        for begin in std::mem::take(&mut self.square) {
            weigh(&mut self.pieces, Some(begin), BRACKET.recip());
        }
        let mut merged: Vec<Piece> = Vec::new();
        for piece in self.pieces {
            match (merged.last_mut(), piece) {
                (Some(Piece::Text { text, weight }), Piece::Text { text: more, weight: same })
                    if *weight == same =>
                {
                    text.push_str(&more);
                }
                (_, piece) => merged.push(piece),
            }
        }
        if merged.is_empty() {
            merged.push(Piece::Text { text: String::new(), weight: 1.0 });
        }
        merged
    }
}

const BREAK: &str = "BREAK";

/// Where the word BREAK stands alone.
fn breaks(text: &str) -> Vec<usize> {
    let is_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let stands_alone = |at: &usize| {
        let after = &text[at + BREAK.len()..];
        !is_word(text[..*at].chars().next_back()) && !is_word(after.chars().next())
    };
    text.match_indices(BREAK).map(|(at, _)| at).filter(stands_alone).collect()
}

/// Every piece from `begin` on, times a factor.
fn weigh(pieces: &mut [Piece], begin: Option<usize>, factor: f64) {
    let begin = begin.unwrap_or(pieces.len()).min(pieces.len());
    for piece in &mut pieces[begin..] {
        if let Piece::Text { weight, .. } = piece {
            *weight = (*weight * factor).clamp(-MAX_WEIGHT, MAX_WEIGHT);
        }
    }
}

/// A number and the closing bracket behind it, and what is left then.
fn weight_at(text: &str) -> Option<(f64, &str)> {
    let number = text.trim_start();
    let end = number.find(|letter: char| !(letter.is_ascii_digit() || "+-.".contains(letter)))?;
    let behind = number[end..].trim_start().strip_prefix(')')?;
    let weight: f64 = number[..end].parse().ok()?;
    weight.is_finite().then_some((weight, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_web_uis() {
        let text = |text: &str, weight| Piece::Text { text: text.to_owned(), weight };
        assert_eq!(pieces("(a BREAK b)").unwrap(), [text("a", 1.1), Piece::Break, text("b", 1.1)]);
        let two = pieces("a BREAK BREAK b").unwrap();
        assert_eq!(two.iter().filter(|piece| **piece == Piece::Break).count(), 2);
        assert_eq!(pieces("(a:1.2.3)").unwrap(), [text("a:1.2.3", 1.1)]);
        assert!(pieces(&"a".repeat(MAX_PROMPT_BYTES + 1)).is_err());
    }

    #[test]
    fn weights_stay_numbers() {
        for prompt in [
            format!("{}a", "(".repeat(20_000)),
            format!("(a:{})", "9".repeat(400)),
            "((a:999):999)".to_owned(),
        ] {
            for piece in pieces(&prompt).unwrap() {
                assert!(matches!(piece, Piece::Text { weight, .. } if weight.abs() <= MAX_WEIGHT));
            }
        }
    }
}
