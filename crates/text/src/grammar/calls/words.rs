//! Texts of a format as parts of a grammar: control tokens as themselves, all else as literals; and free text up to one.

use std::cmp::Reverse;

use base::TokenId;

use crate::Tokenizer;
use crate::grammar::guide::Marker;
use crate::grammar::lark;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Token(TokenId),
}

/// How a vocabulary writes the texts of a format.
#[derive(Debug)]
pub(super) struct Words {
    /// Its control tokens.
    control: Vec<(String, TokenId)>,
}

impl Words {
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let all = (0..tokenizer.len() as u32).map(TokenId).filter(|&id| tokenizer.is_special(id));
        let named = all.map(|id| (tokenizer.token_text(id).into_owned(), id));
        Self { control: named.filter(|(name, _)| !name.is_empty()).collect() }
    }

    /// The pieces of a text, in their order.
    pub fn pieces<'t>(&self, text: &'t str) -> Vec<Piece<'t>> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let found = |(name, id): &(String, TokenId)| Some((rest.find(name)?, Reverse(name.len()), *id));
            // The first one, and of two at the same place the longer one.
            let Some((at, Reverse(length), id)) = self.control.iter().filter_map(found).min() else {
                pieces.push(Piece::Text(rest));
                break;
            };
            if at > 0 {
                pieces.push(Piece::Text(&rest[..at]));
            }
            pieces.push(Piece::Token(id));
            rest = &rest[at + length..];
        }
        pieces
    }

    /// A text as terminals; empty for nothing.
    pub fn terminals(&self, text: &str) -> String {
        joined(&self.pieces(text))
    }

    /// What tells that `text` has come, and what of it is still to come then.
    pub fn marker(&self, text: &str) -> (Marker, String) {
        let pieces = self.pieces(text);
        let first = pieces.iter().position(|piece| matches!(piece, Piece::Token(_)));
        match first.map(|at| (&pieces[at], &pieces[at + 1..])) {
            Some((Piece::Token(id), behind)) => (Marker::Token(*id), joined(behind)),
            _ => (Marker::Text(text.as_bytes().to_vec()), String::new()),
        }
    }

    /// Any text up to and with the first `end`, as the body of a rule and what stands in brackets behind its name.
    pub fn until(&self, end: &str) -> (String, String) {
        let pieces = self.pieces(end);
        let Some(first) = pieces.iter().position(|piece| matches!(piece, Piece::Token(_))) else {
            return (format!("[suffix={}]", lark::literal(end)), "/(?s:.*)/".to_owned());
        };
        // No text can look like a control token.
        let before = match &pieces[..first] {
            [Piece::Text(text)] => format!("/(?s:.*){}/", escaped(text)),
            _ => "/(?s:.+)/?".to_owned(),
        };
        (String::new(), format!("{before} {}", joined(&pieces[first..])))
    }
}

fn joined(pieces: &[Piece<'_>]) -> String {
    let terminal = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => lark::literal(text),
        Piece::Token(id) => format!("<[{}]>", id.0),
    };
    pieces.iter().map(terminal).collect::<Vec<_>>().join(" ")
}

/// A text as a regular expression that matches only it.
fn escaped(text: &str) -> String {
    let letter = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_string(),
        false => format!("\\x{{{:X}}}", u32::from(letter)),
    };
    text.chars().map(letter).collect()
}
