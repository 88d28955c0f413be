//! Which tokens may follow, where an answer has to keep a form: a JSON schema, a regular expression, a grammar.
//!
//! A [`Grammar`] is compiled from a [`Source`] over a [`Vocabulary`]; a [`Guide`] follows one answer through it, token by
//! token, and tells the set of tokens that may come next. A [`Plan`] says what the grammar applies to: the whole answer, or
//! what comes after the thinking, or each call of a tool from its opening on.
//!
//! What a source asks for is kept or refused by name, never left out. Work and memory are bounded before anything is
//! compiled and while it is, so that a source made to be expensive ends as an error.
//!
//! Matching is done by the library llguidance: M. Moskal et al., "llguidance" (2024). Sources: JSON Schema 2020-12; the
//! regular expressions of the crate regex-syntax; the grammars of Lark and of llama.cpp (GBNF).
//!
//! Does not: know logits, choose tokens, read files, look at the clock.

mod calls;
mod gbnf;
mod guide;
mod lark;
mod matcher;
mod schema;
mod vocabulary;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::Error;
pub use calls::{Choice, Offer, PerAnswer, calls};
pub use guide::{Guide, Plan};
pub(crate) use matcher::Matcher;
pub use vocabulary::{TokenSet, Vocabulary};

/// Longest source, in bytes.
pub const MAX_SOURCE_BYTES: usize = 256 << 10;
/// Deepest nesting of a source, references that are followed included.
pub(crate) const MAX_DEPTH: usize = 128;
/// Stack of the thread that compiles: what is nested as deep as may be has room.
const STACK_BYTES: usize = 64 << 20;

/// What an answer has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A JSON object.
    JsonObject,
    /// A JSON value that a schema describes.
    JsonSchema(Json),
    /// A text that a regular expression matches from its beginning to its end.
    Regex(String),
    /// A text by a grammar in the notation of Lark.
    Lark(String),
    /// A text by a grammar in the notation of llama.cpp.
    Gbnf(String),
}

impl Source {
    /// What it is called in errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::JsonObject | Self::JsonSchema(_) => "JSON schema",
            Self::Regex(_) => "regex",
            Self::Lark(_) => "Lark grammar",
            Self::Gbnf(_) => "GBNF grammar",
        }
    }

    /// Checked, and in the notation that is compiled.
    fn checked(&self) -> Result<String, Error> {
        let kind = self.kind();
        match self {
            Self::JsonObject => Ok(schema::as_lark(json!({ "type": "object" }))),
            Self::JsonSchema(given) => Ok(schema::as_lark(schema::check(given, kind)?)),
            Self::Regex(regex) => {
                check_length(kind, regex.len())?;
                if lark::is_escaped(regex) {
                    let reason = "it ends with a backslash".to_owned();
                    return Err(Error::BadGrammar { kind, reason });
                }
                Ok(format!("start: {}", lark::regex(regex)))
            }
            Self::Lark(grammar) => {
                check_length(kind, grammar.len())?;
                lark::check(grammar, kind)?;
                Ok(grammar.clone())
            }
            Self::Gbnf(grammar) => {
                check_length(kind, grammar.len())?;
                let lark = gbnf::to_lark(grammar, kind)?;
                lark::check(&lark, kind)?;
                Ok(lark)
            }
        }
    }
}

/// A form that answers can be held to, ready for a vocabulary.
#[derive(Clone, Debug)]
pub struct Grammar {
    vocabulary: Vocabulary,
    start: Arc<Matcher>,
}

impl Grammar {
    /// Checks a source and compiles it.
    ///
    /// # Errors
    /// [`Error::BadGrammar`] for what cannot be read or costs too much, [`Error::GrammarUnsupported`] for what cannot be
    /// kept, [`Error::GrammarTooLarge`] for what is too long or too deep.
    pub fn compile(source: &Source, vocabulary: &Vocabulary) -> Result<Self, Error> {
        Self::from_lark(source.checked()?, source.kind(), vocabulary)
    }

    /// A grammar that was checked, or written by us.
    pub(crate) fn from_lark(
        lark: String,
        kind: &'static str,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Error> {
        let compile = || Matcher::new(lark, kind, vocabulary);
        let compiled = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("grammar".into()).stack_size(STACK_BYTES);
            let thread = thread.spawn_scoped(scope, compile).map_err(|error| error.to_string())?;
            thread.join().map_err(|_| "it cannot be compiled".to_owned())
        });
        let start = compiled.map_err(|reason| Error::BadGrammar { kind, reason })??;
        Ok(Self { vocabulary: vocabulary.clone(), start: Arc::new(start) })
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Before the first token.
    pub(crate) fn matcher(&self) -> Matcher {
        self.start.apart()
    }
}

/// # Errors
/// When a source is longer than may be.
pub(crate) fn check_length(kind: &'static str, found: usize) -> Result<(), Error> {
    match found > MAX_SOURCE_BYTES {
        true => Err(Error::GrammarTooLarge { kind, what: "bytes", found, limit: MAX_SOURCE_BYTES }),
        false => Ok(()),
    }
}
