//! One text that grows: its tokens, how many of them are computed, and how to choose the next.

use std::sync::Arc;

use base::TokenId;
use ops::linear::low_rank::AdapterId;
use text::grammar::Guide;

use crate::blocks::Known;
use crate::fair::{Class, Owner};
use crate::lookup::Lookup;
use crate::pace::{LONGEST_GUESS, Pace};
use crate::sample::{self, Allowed, Choice, Drawn, Sampler, Sampling};
use crate::times::StepTimes;
use crate::{Error, Reason};

/// Names a sequence for as long as the process lives; later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub u64);

impl std::fmt::Display for SequenceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What to continue, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The tokens to continue; at least one.
    pub prompt: Vec<TokenId>,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// Tokens that end the answer.
    pub ends: Arc<[TokenId]>,
    /// Tokens to generate at most.
    pub max_tokens: usize,
    /// Tokens to generate before one of `ends` is chosen, unless nothing else may come.
    pub min_tokens: usize,
    /// How many likely tokens to name beside each chosen one.
    pub alternatives: usize,
    /// Whose it is.
    pub owner: Owner,
    /// How urgent it is.
    pub class: Class,
    /// Whether computed beginnings of other texts serve it too.
    pub beginning: Beginning,
    /// Whether next tokens are guessed.
    pub guessing: Guessing,
    /// How likely each token of the prompt was behind those before it is told, with so many alternatives, where that is
    /// asked for; then every row is computed.
    pub scored: Option<usize>,
    /// Tokens that are taken whatever the logits say, as far as they reach: to measure how a given answer is computed.
    pub target: Arc<[TokenId]>,
    /// The adapter that its rows have; one that the model knows.
    pub adapter: Option<AdapterId>,
    /// The form that the answer has to keep. It ends where the form is complete.
    pub guide: Option<Guide>,
}

impl Request {
    /// To continue `prompt` by the likeliest token, `max_tokens` times.
    pub fn new(prompt: Vec<TokenId>, max_tokens: usize) -> Self {
        Self {
            prompt,
            sampling: Sampling::default(),
            ends: [].into(),
            max_tokens,
            min_tokens: 0,
            alternatives: 0,
            owner: Owner::default(),
            class: Class::default(),
            beginning: Beginning::default(),
            guessing: Guessing::default(),
            scored: None,
            target: [].into(),
            adapter: None,
            guide: None,
        }
    }
}

/// Whether computed beginnings of other texts serve a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Those of sequences with the same salt do: each of several people who must not notice each other has one.
    Shared {
        /// Who shares.
        salt: u64,
    },
    /// Every row is computed, so that it can be looked at.
    Computed,
}

impl Default for Beginning {
    fn default() -> Self {
        Self::Shared { salt: 0 }
    }
}

/// Whether next tokens are guessed and verified. The answer is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guessing {
    /// From the prompt and the answer so far, and by a smaller model where the engine has one.
    #[default]
    On,
    /// Never.
    Off,
}

/// Whether pages of prompts and of answers are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Roles {
    /// They are computed differently.
    Apart,
    /// They have the same bits.
    Alike,
}

/// What a row of logits gave a sequence.
pub(crate) enum Chosen {
    /// A token, and why it is the last if it is.
    Token(Choice, Option<Reason>),
    /// The end, without a token.
    Nothing(Reason),
    /// Nothing: logits that are no numbers, or a form that cannot be kept.
    Failed(Error),
}

/// A sequence in the engine.
pub(crate) struct Sequence {
    pub id: SequenceId,
    /// Prompt, then what was generated.
    pub tokens: Vec<TokenId>,
    /// Tokens of the prompt: they keep the role of prompt rows whenever they are computed again.
    pub n_prompt: usize,
    /// Tokens whose keys and values stand in the cache.
    pub n_computed: usize,
    /// Tokens of the prompt of which it was told how likely they were.
    pub n_scored: usize,
    /// Pages that may still be brought from the engine's shelf before it is begun; absent when that is done.
    pub to_bring: Option<usize>,
    /// Tokens that are guessed to follow.
    pub guessed: Vec<TokenId>,
    /// The pages that hold them, in order.
    pub table: Vec<u32>,
    /// When it was begun, among all that were.
    pub turn: Option<u64>,
    pub sampler: Sampler,
    pub request: Request,
    /// Of a sequence that generates: while it waits it needs none.
    lookup: Option<Lookup>,
    guesser: Guesser,
    /// How well each guesser does.
    paces: [Pace; 2],
}

/// Who guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guesser {
    Lookup,
    Draft,
}

impl Sequence {
    pub fn new(id: SequenceId, request: Request) -> Self {
        Self {
            id,
            tokens: request.prompt.clone(),
            n_prompt: request.prompt.len(),
            n_computed: 0,
            n_scored: 0,
            to_bring: None,
            guessed: Vec::new(),
            table: Vec::new(),
            turn: None,
            sampler: Sampler::new(request.sampling.clone(), &request.prompt),
            lookup: None,
            guesser: Guesser::Lookup,
            paces: [Pace::default(); 2],
            request,
        }
    }

    pub fn n_generated(&self) -> usize {
        self.tokens.len() - self.n_prompt
    }

    /// Whether it only lacks the row that gives the next token.
    pub fn is_generating(&self) -> bool {
        !self.table.is_empty() && self.tokens.len() - self.n_computed == 1
    }

    /// What its pages are found by, if they may be. Where roles are computed alike, all of it counts as prompt.
    pub fn known(&self, roles: Roles) -> Option<Known<'_>> {
        let n_prompt = match roles {
            Roles::Apart => self.n_prompt,
            Roles::Alike => self.tokens.len(),
        };
        match self.request.beginning {
            _ if self.request.scored.is_some() => None,
            Beginning::Shared { salt } => {
                Some(Known { salt, adapter: self.request.adapter, tokens: &self.tokens, n_prompt })
            }
            Beginning::Computed => None,
        }
    }

    /// The token `index`, of its own or guessed.
    pub fn token(&self, index: usize) -> TokenId {
        match index.checked_sub(self.tokens.len()) {
            None => self.tokens[index],
            Some(index) => self.guessed[index],
        }
    }

    /// Whether the logits behind token `index` tell how likely the next one of the prompt was, to somebody who asked.
    pub fn is_scored(&self, index: usize) -> bool {
        self.request.scored.is_some() && (self.n_scored..self.n_prompt - 1).contains(&index)
    }

    /// How likely the next token of the prompt was, by the logits `[V]` behind the last that was told of.
    ///
    /// # Errors
    /// Logits that are no numbers.
    pub fn score(&mut self, logits: &[f32]) -> Result<Choice, Error> {
        let position = self.n_scored;
        let token = self.tokens[position + 1];
        let choice = sample::judge(logits, token, self.request.scored.unwrap_or_default());
        self.n_scored += 1;
        choice.ok_or(Error::NotFinite { sequence: self.id, position })
    }

    /// Chooses the next token from a row of logits `[V]`.
    pub fn choose(&mut self, logits: &[f32], context: usize) -> Chosen {
        if self.request.max_tokens == 0 {
            return Chosen::Nothing(Reason::Length);
        }
        let mut choice = match self.draw(logits) {
            Ok(choice) => choice,
            Err(error) => return Chosen::Failed(error),
        };
        if let Some(&token) = self.request.target.get(self.n_generated()) {
            choice.chosen.token = token;
        }
        let token = choice.chosen.token;
        if self.request.ends.contains(&token) {
            return Chosen::Nothing(Reason::End);
        }
        if let Err(error) = self.guide(token) {
            return Chosen::Failed(error);
        }
        self.tokens.push(token);
        if let Some(lookup) = &mut self.lookup {
            lookup.push(token);
            self.paces.iter_mut().for_each(Pace::pass);
        }
        let is_complete = self.request.guide.as_ref().is_some_and(Guide::is_complete);
        let is_full = self.n_generated() >= self.request.max_tokens || self.tokens.len() >= context;
        let reason = is_full.then_some(Reason::Length);
        Chosen::Token(choice, if is_complete { Some(Reason::End) } else { reason })
    }

    /// A token that the form allows, where there is one.
    fn draw(&mut self, logits: &[f32]) -> Result<Choice, Error> {
        let (id, n_alternatives) = (self.id, self.request.alternatives);
        let broken = |reason: text::Error| Error::Form { sequence: id, reason: reason.to_string() };
        let is_too_early = self.n_generated() < self.request.min_tokens;
        let unless_alone = if is_too_early { &self.request.ends[..] } else { &[] };
        let form = match &mut self.request.guide {
            Some(guide) => guide.allowed().map_err(broken)?,
            None => None,
        };
        match self.sampler.choose_of(Allowed { form, unless_alone }, logits, n_alternatives) {
            Drawn::Choice(choice) => Ok(choice),
            Drawn::NotFinite => Err(Error::NotFinite { sequence: id, position: self.tokens.len() - 1 }),
            Drawn::NoneLeft => Err(broken(text::Error::NoTokenFits)),
        }
    }

    /// Lets the form take the token that was chosen.
    fn guide(&mut self, token: TokenId) -> Result<(), Error> {
        let Some(guide) = &mut self.request.guide else { return Ok(()) };
        guide.push(token).map_err(|reason| Error::Form { sequence: self.id, reason: reason.to_string() })
    }

    /// Learns that of so many guessed tokens that were computed so many were right, and guesses anew from the text.
    pub fn guess(&mut self, (n_guessed, n_right): (usize, usize), context: usize, times: &StepTimes) {
        if n_guessed > 0 {
            self.paces[self.guesser as usize].learn(n_guessed, n_right);
        }
        self.guesser = Guesser::Lookup;
        if self.request.guessing == Guessing::Off {
            return;
        }
        let most = self.most_guesses(Guesser::Lookup, context, times);
        let lookup = self.lookup.get_or_insert_with(|| Lookup::new(&self.tokens));
        self.guessed = lookup.guess(most);
    }

    /// How many tokens a draft shall guess: none where there are guesses, or nobody wants any.
    pub fn wanted_from_a_draft(&self, context: usize, times: &StepTimes) -> usize {
        let is_on = self.request.guessing == Guessing::On;
        let wants = is_on && self.guessed.is_empty() && self.is_generating();
        if wants { self.most_guesses(Guesser::Draft, context, times) } else { 0 }
    }

    /// Takes the guesses of a draft.
    pub fn take_draft(&mut self, guessed: Vec<TokenId>) {
        (self.guesser, self.guessed) = (Guesser::Draft, guessed);
    }

    fn most_guesses(&self, guesser: Guesser, context: usize, times: &StepTimes) -> usize {
        // The last token of an answer needs no successor.
        let n_left = self.request.max_tokens.saturating_sub(self.n_generated() + 1);
        let n_room = context.saturating_sub(self.tokens.len() + 1);
        self.paces[guesser as usize].n(times).min(n_left).min(n_room).min(LONGEST_GUESS)
    }
}
