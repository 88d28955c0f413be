//! A model that is ready: its weights, its vocabulary, and the answers that it is giving.

use std::time::Instant;

use base::TokenId;
use infer::draft::DraftModel;
use infer::{Beginning, Engine, Event as Step, Guessing, Limits, LocalModel, Request, SequenceId};
use store::Store;
use text::answer::AnswerParser;
use text::{CivilTime, Special, Tokenizer};

use super::Task;
use super::contents::Contents;
use super::dialogue::Dialogue;
use super::inspect::Inspector;
use super::live::{Live, Prepared};
use super::means::{Device, Means};
use super::open::Source;
use super::prefixes::Keeper;
use crate::Failure;
use crate::job::{Detail, Prompt, Sampling};

/// Bytes that keys and values may take, at most.
pub(super) const CACHE_BYTES: usize = 2 << 30;
/// Alternatives that may be asked for.
const MAX_ALTERNATIVES: usize = 100;

/// A model that is ready.
pub(crate) struct Loaded {
    /// What its weights are told by; several names may share them.
    pub key: String,
    engine: Engine<LocalModel>,
    tokenizer: Tokenizer,
    dialogue: Dialogue,
    live: Vec<Live>,
}

impl Loaded {
    /// Reads the files of `source`, and its vocabulary compiled where `store` keeps it so. What it computes is kept where
    /// there is a keeper.
    pub fn new(
        source: &Source,
        store: &Store,
        means: Means,
        keeper: Option<&Keeper>,
    ) -> Result<Self, Failure> {
        let contents = Contents::read(source)?;
        let decoder = contents.decoder(&means.device.tensors())?;
        let tokenizer = contents.compiled_tokenizer(store)?;
        check_fit(&tokenizer, decoder.config().vocabulary, contents.name())?;
        let dialogue = contents.dialogue(&tokenizer)?;
        let storage = means.storage(&decoder);
        let engine = Engine::new(means.model(decoder, contents.name())?, Limits::default());
        // Drivers of other devices may compute differently tomorrow.
        let keeper = keeper.filter(|_| means.device == Device::Cpu);
        let engine = match keeper.and_then(|keeper| keeper.shelf(source, storage)) {
            Some(shelf) => engine.with_shelf(shelf),
            None => engine,
        };
        Ok(Self { key: source.key.clone(), engine, tokenizer, dialogue, live: Vec::new() })
    }

    /// The same with a smaller model that guesses.
    ///
    /// # Errors
    /// What [`Loaded::new`] names, and a vocabulary that is another one.
    pub fn with_draft(self, source: &Source, store: &Store, means: Means) -> Result<Self, Failure> {
        let contents = Contents::read(source)?;
        let tokenizer = contents.compiled_tokenizer(store)?;
        let is_same = |index: usize| {
            let id = TokenId(index as u32);
            self.tokenizer.token_bytes(id) == tokenizer.token_bytes(id)
        };
        if tokenizer.len() != self.tokenizer.len() || !(0..tokenizer.len()).all(is_same) {
            let message =
                format!("{}: it has another vocabulary than the model that it is to guess for", source.name);
            return Err(Failure::new(
                "vocabulary_mismatch",
                message,
                "take a smaller model of the same family",
            ));
        }
        let decoder = contents.decoder(&means.device.tensors())?;
        check_fit(&tokenizer, decoder.config().vocabulary, contents.name())?;
        let draft = DraftModel::new(means.model(decoder, contents.name())?);
        Ok(Self {
            key: format!("{}\n{}", self.key, source.key),
            engine: self.engine.with_draft(draft),
            ..self
        })
    }

    /// Whether an answer is being given.
    pub fn is_busy(&self) -> bool {
        !self.live.is_empty()
    }

    /// Takes a task in for the model `source`, whose weights these are.
    pub fn submit(&mut self, mut task: Task, source: &Source, load_ms: f64) -> Result<(), Failure> {
        let own = source.said.template.as_deref().map(|template| self.dialogue.with_template(template));
        let own = own.transpose()?;
        let dialogue = own.as_ref().unwrap_or(&self.dialogue);
        let (prompt, parser) = self.encode(&source.said.begin(&task.generate.prompt), dialogue, &task)?;
        let ends = dialogue.ends.clone();
        let room = self.engine.context().saturating_sub(prompt.len());
        let sampling = task.generate.sampling.over(&source.said.sampling()).over(&Sampling::usual());
        let sampling = Sampling { seed: sampling.seed.or(Some(task.drawn_seed)), ..sampling };
        let request = Request {
            sampling: settings(&sampling),
            ends,
            max_tokens: sampling.max_tokens.unwrap_or(room).min(room),
            alternatives: task.generate.detail.alternatives.min(MAX_ALTERNATIVES),
            ..looked_at(task.generate.detail, prompt.clone())
        };
        let id = self.engine.submit(request)?;
        task.generate.sampling = sampling;
        let context = self.engine.context();
        let prompt = Prepared { tokens: &prompt, tokenizer: &self.tokenizer, model: &source.name, context };
        let live = Live::begin(id, task, &prompt, parser, load_ms);
        self.live.push(live);
        Ok(())
    }

    /// Advances every answer by one step.
    pub fn step(&mut self) {
        for index in (0..self.live.len()).rev() {
            if self.live[index].is_cancelled() {
                let live = self.live.swap_remove(index);
                self.engine.cancel(live.id);
                live.finish(crate::event::Reason::Cancelled);
            }
        }
        if self.live.is_empty() {
            return;
        }
        let mut inspector = Inspector::for_all(self.live.iter().map(|live| live.detail));
        let begun = Instant::now();
        let events = match &mut inspector {
            Some(inspector) => self.engine.step(Some(inspector)),
            None => self.engine.step(None),
        };
        self.engine.learn(begun.elapsed());
        if let Some(inspector) = &inspector {
            self.live.iter_mut().for_each(|live| live.time(inspector));
        }
        for event in events {
            self.tell(event, inspector.as_ref());
        }
    }

    fn tell(&mut self, event: Step, inspector: Option<&Inspector>) {
        match event {
            Step::Token { id, choice, place } => {
                let Some(index) = self.index(id) else { return };
                let live = &mut self.live[index];
                let lens = match inspector {
                    Some(inspector) if live.detail.lens => {
                        inspector.lens(self.engine.model().decoder(), place, choice.chosen.token)
                    }
                    _ => Vec::new(),
                };
                live.token(&self.tokenizer, &choice, &lens);
                if live.is_stopped() {
                    self.engine.cancel(id);
                    self.live.swap_remove(index).finish(crate::event::Reason::Stop);
                }
            }
            Step::Found { id, n_tokens } => {
                let Some(index) = self.index(id) else { return };
                self.live[index].found(n_tokens);
            }
            Step::Finished { id, reason } => {
                let Some(index) = self.index(id) else { return };
                self.live.swap_remove(index).finish(match reason {
                    infer::Reason::End => crate::event::Reason::Stop,
                    infer::Reason::Length => crate::event::Reason::Length,
                });
            }
            Step::Failed { id, error } => {
                let Some(index) = self.index(id) else { return };
                self.live.swap_remove(index).fail(error.into());
            }
        }
    }

    /// Ends every answer with the same failure.
    pub fn fail(self, failure: &Failure) {
        for live in self.live {
            live.fail(failure.clone());
        }
    }

    fn index(&self, id: SequenceId) -> Option<usize> {
        self.live.iter().position(|live| live.id == id)
    }

    /// The prompt as tokens and, in a conversation, what reads the answer.
    fn encode(
        &self,
        prompt: &Prompt,
        dialogue: &Dialogue,
        task: &Task,
    ) -> Result<(Vec<TokenId>, Option<AnswerParser>), Failure> {
        let generate = &task.generate;
        let (tokens, begins_itself, parser) = match prompt {
            Prompt::Raw(text) => (self.tokenizer.encode(text, Special::Parse)?, false, None),
            Prompt::Chat(messages) => {
                let now = CivilTime::from_unix_ms(task.now_unix_ms);
                let segments = dialogue.render(messages, generate, now)?;
                let tokens = self.tokenizer.encode_segments(&segments)?;
                let begins_itself = tokens.first().copied() == self.tokenizer.bos();
                (tokens, begins_itself, dialogue.parser(&segments, generate))
            }
        };
        let bos = self.tokenizer.bos().filter(|_| self.tokenizer.add_bos() && !begins_itself);
        Ok((bos.into_iter().chain(tokens).collect(), parser))
    }
}

/// What the weights of a model, and of one that guesses for it, are told by.
pub(super) fn key(source: &Source, draft: Option<&Source>) -> String {
    draft.map_or_else(|| source.key.clone(), |draft| format!("{}\n{}", source.key, draft.key))
}

/// # Errors
/// When the vocabulary has more tokens than the model: ids could have no row of weights.
pub(super) fn check_fit(tokenizer: &Tokenizer, rows: usize, name: &str) -> Result<(), Failure> {
    if tokenizer.len() <= rows {
        return Ok(());
    }
    let message =
        format!("{name}: the vocabulary has {} tokens, but the model {rows} rows for them", tokenizer.len());
    Err(Failure::new(
        "vocabulary_mismatch",
        message,
        "import the model with the vocabulary that belongs to it",
    ))
}

/// A request with nothing left out and nothing guessed where somebody looks at what each step does.
fn looked_at(detail: Detail, prompt: Vec<TokenId>) -> Request {
    let plain = Request::new(prompt, 0);
    match detail.lens || detail.timing {
        true => Request { beginning: Beginning::Computed, guessing: Guessing::Off, ..plain },
        false => plain,
    }
}

/// The sampler's settings; what nobody says changes nothing.
fn settings(sampling: &Sampling) -> infer::Sampling {
    let neutral = infer::Sampling::default();
    infer::Sampling {
        temperature: sampling.temperature.unwrap_or(neutral.temperature),
        top_k: sampling.top_k.unwrap_or(neutral.top_k),
        top_p: sampling.top_p.unwrap_or(neutral.top_p),
        min_p: sampling.min_p.unwrap_or(neutral.min_p),
        repetition_penalty: sampling.repetition_penalty.unwrap_or(neutral.repetition_penalty),
        presence_penalty: sampling.presence_penalty.unwrap_or(neutral.presence_penalty),
        frequency_penalty: sampling.frequency_penalty.unwrap_or(neutral.frequency_penalty),
        logit_bias: sampling.logit_bias.iter().map(|(&id, &bias)| (TokenId(id), bias)).collect(),
        seed: sampling.seed.unwrap_or_default(),
    }
}
