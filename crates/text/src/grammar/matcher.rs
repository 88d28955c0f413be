//! One text on its way through a grammar, without anything around it.

use base::TokenId;
use llguidance::api::{StopReason, TopLevelGrammar};

use super::vocabulary::{TokenSet, Vocabulary};
use crate::Error;

/// Longest piece of what the library says that is handed on.
const MAX_REASON: usize = 300;

/// One text on its way through a grammar.
pub(crate) struct Matcher {
    inner: llguidance::Matcher,
    vocabulary: Vocabulary,
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher").field("stop_reason", &self.inner.stop_reason()).finish_non_exhaustive()
    }
}

impl Clone for Matcher {
    fn clone(&self) -> Self {
        self.apart()
    }
}

impl Matcher {
    /// Compiles a grammar in Lark's notation, and looks whether anything can begin.
    pub fn new(lark: String, kind: &'static str, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let parser = vocabulary.factory().create_parser(TopLevelGrammar::from_lark(lark));
        let inner = llguidance::Matcher::new(parser);
        if let Some(reason) = inner.get_error() {
            return Err(Error::BadGrammar { kind, reason: short(&reason) });
        }
        let mut matcher = Self { inner, vocabulary: vocabulary.clone() };
        match matcher.apart().allowed() {
            Err(Error::GrammarFailed { reason }) => Err(Error::BadGrammar { kind, reason }),
            Err(error) => Err(error),
            Ok(allowed) if allowed.is_empty() && !matcher.may_end() => Err(Error::NoTokenFits),
            Ok(_) => Ok(matcher),
        }
    }

    /// The same, with nothing in common: two threads never wait for each other.
    pub fn apart(&self) -> Self {
        Self { inner: self.inner.deep_clone(), vocabulary: self.vocabulary.clone() }
    }

    /// The tokens that may follow; none where the text is complete.
    pub fn allowed(&mut self) -> Result<TokenSet, Error> {
        let n_tokens = self.vocabulary.n_tokens();
        if self.is_complete() {
            return Ok(TokenSet::of_bits(&[], n_tokens));
        }
        match self.inner.compute_mask() {
            Ok(mask) => Ok(TokenSet::of_bits(mask.as_slice(), n_tokens)),
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    /// Whether the text may end here.
    pub fn may_end(&mut self) -> bool {
        self.is_complete() || self.inner.is_accepting().unwrap_or(false)
    }

    /// Whether the text has to end here.
    pub fn is_complete(&self) -> bool {
        matches!(self.inner.stop_reason(), StopReason::NoExtension | StopReason::EndOfSentence)
    }

    /// The next token.
    pub fn push(&mut self, token: TokenId) -> Result<(), Error> {
        self.inner.consume_token(token.0).map_err(|error| failed(&error.to_string()))
    }

    /// A part of a token; whether it fits.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> bool {
        let singles: Vec<u32> = bytes.iter().map(|&byte| self.vocabulary.single(byte)).collect();
        matches!(self.inner.try_consume_tokens(&singles), Ok(n) if n == singles.len())
    }
}

fn failed(reason: &str) -> Error {
    Error::GrammarFailed { reason: short(reason) }
}

/// What the library says, in few words of its own or in ours.
fn short(reason: &str) -> String {
    if reason.starts_with("NoExtensionBias") {
        return "no text can fit it".to_owned();
    }
    if reason.contains("oneOf constraints are not supported") {
        return "oneOf is kept only where no value can fit two of its alternatives; anyOf is kept always"
            .to_owned();
    }
    // Behind the first line the library shows the source again.
    let is_drawing =
        |line: &&str| line.trim_start().starts_with(|letter: char| letter.is_ascii_digit() || letter == '^');
    let lines = reason.lines().enumerate().filter(|(at, line)| *at == 0 || !is_drawing(line));
    let lines = lines.map(|(_, line)| line.trim()).take_while(|line| !line.starts_with('<'));
    let mut text = lines.take(3).collect::<Vec<_>>().join("; ");
    text.truncate(text.floor_char_boundary(MAX_REASON));
    let own = "failed to compile JSON schema: ";
    let text = text.find(own).map_or(text.as_str(), |at| &text[at + own.len()..]);
    text.trim_end_matches([' ', ';']).to_owned()
}
