//! One answer on its way: what may come free, what is held to a form, and from where on.
//!
//! Thinking is free, up to the text that closes it. Behind it a form holds from the first token on, or, where a model may
//! answer in words as well, from the opening of a call. Free text costs nothing: no set is made for it.

use std::sync::Arc;

use base::TokenId;

use super::{Grammar, Matcher, TokenSet, Vocabulary};
use crate::{Error, Tokenizer};

/// A text that changes what holds.
#[derive(Clone, Debug)]
pub(crate) enum Marker {
    /// A control token: only itself counts, not text that looks like it.
    Token(TokenId),
    /// Text, in whatever tokens.
    Text(Vec<u8>),
}

impl Marker {
    /// How a vocabulary writes a marker.
    pub fn new(text: &str, tokenizer: &Tokenizer) -> Self {
        match tokenizer.find(text).filter(|&id| tokenizer.is_special(id)) {
            Some(id) => Self::Token(id),
            None => Self::Text(text.as_bytes().to_vec()),
        }
    }
}

/// Thinking before an answer.
#[derive(Clone, Debug)]
pub(crate) struct Thinking {
    pub closes: Marker,
    /// The token that opens it, where it is one.
    pub opens: Option<TokenId>,
    /// The prompt has opened it.
    pub is_open: bool,
}

/// What holds behind the thinking.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// All of the rest.
    Form(Grammar),
    /// What follows this marker, and again after it is complete.
    Each(Marker, Grammar),
    /// The same, and nothing more after it is complete.
    Once(Marker, Grammar),
}

impl Then {
    pub fn grammar(&self) -> &Grammar {
        match self {
            Self::Form(grammar) | Self::Each(_, grammar) | Self::Once(_, grammar) => grammar,
        }
    }
}

/// What an answer is held to, and from where on.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) thinking: Option<Thinking>,
    pub(crate) then: Then,
}

impl Plan {
    /// All of an answer has a form, from its first token on.
    pub fn whole(grammar: Grammar) -> Self {
        Self { thinking: None, then: Then::Form(grammar) }
    }

    /// An answer that `ends` end, before its first token.
    pub fn guide(self, ends: Arc<[TokenId]>) -> Guide {
        let vocabulary = self.then.grammar().vocabulary().clone();
        let stage = match &self.thinking {
            Some(thinking) if thinking.is_open => Stage::Thinking,
            _ => Stage::behind(&self.then),
        };
        let is_start = matches!(&self.thinking, Some(thinking) if !thinking.is_open);
        Guide { plan: Arc::new(self), vocabulary, ends, stage, is_start, tail: Vec::new(), allowed: None }
    }
}

/// Where an answer is.
#[derive(Clone, Debug)]
enum Stage {
    Thinking,
    /// Free, while the marker is looked for.
    Free,
    Held(Box<Matcher>),
    /// Complete: only an end may follow.
    Done,
}

impl Stage {
    fn behind(then: &Then) -> Self {
        match then {
            Then::Form(grammar) => Self::Held(Box::new(grammar.matcher())),
            Then::Each(..) | Then::Once(..) => Self::Free,
        }
    }
}

/// What a look at the next token said, until that token comes.
type Allowed = Result<Option<TokenSet>, Error>;

/// One answer on its way.
#[derive(Clone, Debug)]
pub struct Guide {
    plan: Arc<Plan>,
    vocabulary: Vocabulary,
    ends: Arc<[TokenId]>,
    stage: Stage,
    /// Nothing has come, and thinking may begin.
    is_start: bool,
    /// The end of the free text, as long as a marker could begin in it.
    tail: Vec<u8>,
    allowed: Option<Allowed>,
}

impl Guide {
    /// The same where the answer has begun with `text` already.
    ///
    /// # Errors
    /// [`Error::BeginningDoesNotFit`] where no answer of this form begins so.
    pub fn behind(mut self, text: &str) -> Result<Self, Error> {
        self.is_start = false;
        if let Stage::Held(matcher) = &mut self.stage {
            if !matcher.push_bytes(text.as_bytes()) {
                return Err(Error::BeginningDoesNotFit);
            }
            self.settle();
        }
        if let (Stage::Free, Then::Each(marker, _) | Then::Once(marker, _)) = (&self.stage, &self.plan.then)
            && let Marker::Text(marker) = marker
        {
            let kept = text.len().saturating_sub(marker.len().saturating_sub(1));
            self.tail.extend_from_slice(&text.as_bytes()[kept..]);
        }
        Ok(self)
    }

    /// Looks which tokens may come next, so that [`Guide::allowed`] has it ready.
    pub fn prepare(&mut self) {
        if self.allowed.is_none() {
            self.allowed = Some(self.look());
        }
    }

    /// The tokens that may come next, ends included; absent where all may.
    ///
    /// # Errors
    /// [`Error::NoTokenFits`] where none may, [`Error::GrammarFailed`] where following the grammar costs too much.
    pub fn allowed(&mut self) -> Result<Option<&TokenSet>, Error> {
        self.prepare();
        match self.allowed.as_ref().expect("it was just made ready") {
            Ok(allowed) => Ok(allowed.as_ref()),
            Err(error) => Err(error.clone()),
        }
    }

    /// Takes the next token, which is no end.
    ///
    /// # Errors
    /// [`Error::GrammarFailed`] for a token that may not come.
    pub fn push(&mut self, token: TokenId) -> Result<(), Error> {
        self.allowed = None;
        let is_start = std::mem::take(&mut self.is_start);
        let opens = self.plan.thinking.as_ref().and_then(|thinking| thinking.opens);
        if is_start && opens == Some(token) {
            self.stage = Stage::Thinking;
            return Ok(());
        }
        match &mut self.stage {
            Stage::Thinking => self.think(token),
            Stage::Free => self.free(token),
            Stage::Held(matcher) => {
                matcher.push(token)?;
                self.settle();
            }
            Stage::Done => return Err(Error::GrammarFailed { reason: "more came than may".into() }),
        }
        Ok(())
    }

    /// Whether nothing may come any more.
    pub fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    fn think(&mut self, token: TokenId) {
        let plan = Arc::clone(&self.plan);
        let Some(thinking) = &plan.thinking else { return };
        if self.find(&thinking.closes, token).is_some() {
            self.tail.clear();
            self.stage = Stage::behind(&plan.then);
        }
    }

    fn free(&mut self, token: TokenId) {
        let plan = Arc::clone(&self.plan);
        let (Then::Each(marker, grammar) | Then::Once(marker, grammar)) = &plan.then else { return };
        let Some(rest) = self.find(marker, token) else { return };
        self.tail.clear();
        let mut matcher = grammar.matcher();
        // What does not fit is a call that was broken from the first: what reads answers tells so.
        if matcher.push_bytes(&rest) {
            self.stage = Stage::Held(Box::new(matcher));
            self.settle();
        }
    }

    /// Goes on where a form is complete.
    fn settle(&mut self) {
        if !matches!(&self.stage, Stage::Held(matcher) if matcher.is_complete()) {
            return;
        }
        self.stage = match &self.plan.then {
            Then::Form(_) | Then::Once(..) => Stage::Done,
            Then::Each(..) => Stage::Free,
        };
    }

    /// Whether a marker is complete with this token, and what of the token follows it.
    fn find(&mut self, marker: &Marker, token: TokenId) -> Option<Vec<u8>> {
        match marker {
            Marker::Token(id) => (*id == token).then(Vec::new),
            Marker::Text(text) => {
                let bytes = self.vocabulary.bytes(token);
                if bytes.is_empty() {
                    // A control token divides texts.
                    self.tail.clear();
                    return None;
                }
                self.tail.extend_from_slice(bytes);
                let found = self.tail.windows(text.len()).position(|window| window == text);
                let rest = found.map(|at| self.tail[at + text.len()..].to_vec());
                let kept = self.tail.len().saturating_sub(text.len().saturating_sub(1));
                self.tail.drain(..kept);
                rest
            }
        }
    }

    fn look(&mut self) -> Allowed {
        let ends = Arc::clone(&self.ends);
        let (mut set, may_end) = match &mut self.stage {
            Stage::Thinking => match self.plan.then {
                Then::Form(_) => (TokenSet::all(&self.vocabulary), false),
                Then::Each(..) | Then::Once(..) => return Ok(None),
            },
            Stage::Free => return Ok(self.without_broken_openings()),
            Stage::Held(matcher) => {
                let may_end = matcher.may_end();
                match matcher.allowed() {
                    Ok(set) => (set, may_end),
                    Err(Error::GrammarFailed { .. }) if may_end => {
                        (TokenSet::of_bits(&[], self.vocabulary.n_tokens()), true)
                    }
                    Err(error) => return Err(error),
                }
            }
            Stage::Done => (TokenSet::of_bits(&[], self.vocabulary.n_tokens()), true),
        };
        let opens = self.plan.thinking.as_ref().and_then(|thinking| thinking.opens);
        if let Some(opens) = opens.filter(|_| self.is_start) {
            set.add(opens);
        }
        for &end in ends.iter() {
            match may_end {
                true => set.add(end),
                false => set.remove(end),
            }
        }
        if set.is_empty() { Err(Error::NoTokenFits) } else { Ok(Some(set)) }
    }

    /// Where a text that opens a call has begun: all tokens but those that end it and go on in a way that no call does.
    fn without_broken_openings(&self) -> Option<TokenSet> {
        let (Then::Each(Marker::Text(text), grammar) | Then::Once(Marker::Text(text), grammar)) =
            &self.plan.then
        else {
            return None;
        };
        let begun = (1..text.len()).rev().find(|&length| self.tail.ends_with(&text[..length]))?;
        let missing = &text[begun..];
        let mut set = TokenSet::all(&self.vocabulary);
        for token in (0..self.vocabulary.n_tokens() as u32).map(TokenId) {
            let rest = self.vocabulary.bytes(token).strip_prefix(missing);
            if rest.is_some_and(|rest| !rest.is_empty() && !grammar.matcher().push_bytes(rest)) {
                set.remove(token);
            }
        }
        Some(set)
    }
}
