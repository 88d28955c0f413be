//! A model that is ready: its weights, its vocabulary, and the answers that it is giving.

use std::sync::Arc;
use std::time::Instant;

use base::TokenId;
use formats::FileBytes;
use infer::draft::DraftModel;
use infer::fair::Owner;
use infer::{Beginning, Engine, Event as Step, Guessing, Limits, LocalModel, Request, SequenceId};
use text::Tokenizer;
use text::answer::AnswerParser;
use text::grammar::{Guide, Plan};

use super::adapters::Attached;
use super::contents::Contents;
use super::dialogue::{Dialogue, written_last};
use super::form;
use super::forms::{Form, Forms, Unformed};
use super::inspect::Inspector;
use super::live::{Live, Prepared};
use super::means::Device;
use super::open::Source;
use super::tokens::{self, Given};
use super::{Hands, Task};
use crate::caller::{Caller, Class};
use crate::job::{Detail, Generate, Prompt, Sampling, Turn};
use crate::{Failure, event, job};

/// Bytes that keys and values may take, at most.
pub(super) const CACHE_BYTES: u64 = 2 << 30;
/// Alternatives that may be asked for.
const MAX_ALTERNATIVES: usize = 100;

/// A model that is ready.
pub(crate) struct Loaded {
    /// What its weights are told by; several names may share them.
    pub key: String,
    /// How long it took to load, until somebody is told.
    pub load_ms: f64,
    engine: Engine<LocalModel>,
    tokenizer: Arc<Tokenizer>,
    /// What answers were held to.
    forms: Arc<Forms>,
    dialogue: Dialogue,
    live: Vec<Live>,
    attached: Attached,
    /// Files that are to be read into large pages once somebody has a first token.
    to_hold: Vec<FileBytes>,
}

impl Loaded {
    /// Reads the files of `source`, and its vocabulary compiled where it is kept so. Keys and values may take
    /// `cache_bytes`.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn new(source: &Source, hands: &Hands, cache_bytes: u64) -> Result<Self, Failure> {
        let Hands { store, means, keeper } = hands;
        let means = *means;
        let contents = Contents::read(source)?;
        let device = means.device.tensors();
        let (decoder, to_hold) = (contents.decoder(&device)?, contents.worth_holding(&device));
        let tokenizer = contents.compiled_tokenizer(store)?;
        check_fit(&tokenizer, decoder.config().vocabulary, contents.name())?;
        let dialogue = contents.dialogue(&tokenizer)?;
        let storage = means.storage(&decoder);
        let engine = Engine::new(means.model(decoder, contents.name(), cache_bytes)?, Limits::default());
        // Drivers of other devices may compute differently tomorrow.
        let keeper = keeper.as_ref().filter(|_| means.device == Device::Cpu);
        let engine = match keeper.and_then(|keeper| keeper.shelf(source, storage)) {
            Some(shelf) => engine.with_shelf(shelf),
            None => engine,
        };
        let attached = Attached::new(contents.form()?);
        let (key, load_ms) = (source.key.clone(), 0.0);
        let tokenizer = Arc::new(tokenizer);
        let forms = Arc::new(Forms::new(tokenizer.clone()));
        Ok(Self { key, load_ms, engine, tokenizer, forms, dialogue, live: Vec::new(), attached, to_hold })
    }

    /// The same with a smaller model that guesses.
    ///
    /// # Errors
    /// What [`Loaded::new`] names, and a vocabulary that is another one.
    pub fn with_draft(self, source: &Source, hands: &Hands, cache_bytes: u64) -> Result<Self, Failure> {
        let Hands { store, means, .. } = hands;
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
        let device = means.device.tensors();
        let (decoder, own) = (contents.decoder(&device)?, contents.worth_holding(&device));
        check_fit(&tokenizer, decoder.config().vocabulary, contents.name())?;
        let draft = DraftModel::new(means.model(decoder, contents.name(), cache_bytes)?);
        Ok(Self {
            key: format!("{}\n{}", self.key, source.key),
            engine: self.engine.with_draft(draft),
            to_hold: [self.to_hold, own].concat(),
            ..self
        })
    }

    /// What is told of it: how many tokens one text may have, and how many answers it is giving.
    pub fn describe(&self) -> (usize, usize) {
        (self.engine.context(), self.live.len())
    }

    /// Pages of keys and values: how many are in use, and how many there are.
    pub fn pages(&self) -> (usize, usize) {
        let blocks = self.engine.blocks();
        (blocks.total() - blocks.n_free(), blocks.total())
    }

    /// Whether an answer is being given.
    pub fn is_busy(&self) -> bool {
        !self.live.is_empty()
    }

    /// Whether the form of an answer is compiled, which begins then.
    pub fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.forms) > 1
    }

    /// Takes a task in for the model `source`, whose weights these are; gives it back where its form has to be compiled
    /// first.
    pub fn submit(&mut self, mut task: Task, source: &Source) -> Result<Option<Unformed>, Failure> {
        let own = source.said.template_for(&task.generate)?;
        let own = own.map(|template| self.dialogue.with_template(template)).transpose()?;
        let dialogue = own.as_ref().unwrap_or(&self.dialogue);
        let Some(plan) = self.form(&mut task, dialogue)? else {
            let (forms, format) = (self.forms.clone(), dialogue.format());
            return Ok(Some(Unformed { task, forms, format }));
        };
        let Encoded { tokens: prompt, parser, guide } =
            self.encode(&source.said.begin(&task.generate.prompt), dialogue, (&task, plan))?;
        let ends = dialogue.ends.clone();
        let adapter = source.adapter.as_ref();
        let adapter = adapter.map(|adapter| self.attached.attach(adapter, &mut self.engine)).transpose()?;
        let room = room(&task.generate, self.engine.context(), prompt.len())?;
        let sampling = task.generate.sampling.over(&source.said.sampling()).over(&Sampling::usual());
        let sampling = Sampling { seed: sampling.seed.or(Some(task.drawn_seed)), ..sampling };
        let request = Request {
            sampling: settings(&sampling),
            ends,
            max_tokens: sampling.max_tokens.unwrap_or(room).min(room),
            min_tokens: sampling.min_tokens.unwrap_or(0),
            alternatives: task.generate.detail.alternatives.min(MAX_ALTERNATIVES),
            adapter,
            guide,
            ..looked_at(task.generate.detail, task.caller, prompt.clone())
        };
        let id = self.engine.submit(request)?;
        task.generate.sampling = sampling;
        let context = self.engine.context();
        let prompt = Prepared { tokens: &prompt, tokenizer: &self.tokenizer, model: &source.name, context };
        // Who asked first had to wait for it.
        let load_ms = std::mem::take(&mut self.load_ms);
        let live = Live::begin(id, task, &prompt, parser, load_ms);
        self.live.push(live);
        Ok(None)
    }

    /// Tells what a prompt is to the model `source`, whose weights these are.
    pub fn render(&self, task: &Task, source: &Source) -> Result<crate::Event, Failure> {
        tokens::render(&self.dialogue, &self.tokenizer, task, source)
    }

    /// Advances every answer by one step.
    pub fn step(&mut self) {
        for index in (0..self.live.len()).rev() {
            if self.live[index].is_cancelled() {
                let live = self.live.swap_remove(index);
                self.engine.cancel(live.id);
                live.finish(event::Reason::Cancelled);
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
                hold(std::mem::take(&mut self.to_hold));
                if live.is_stopped() {
                    self.engine.cancel(id);
                    self.live.swap_remove(index).finish(event::Reason::Stop);
                }
            }
            Step::Scored { id, tokens } => {
                let Some(index) = self.index(id) else { return };
                self.live[index].scored(&self.tokenizer, &tokens);
            }
            Step::Found { id, n_tokens } => {
                let Some(index) = self.index(id) else { return };
                self.live[index].found(n_tokens);
            }
            Step::Finished { id, reason } => {
                let Some(index) = self.index(id) else { return };
                self.live.swap_remove(index).finish(match reason {
                    infer::Reason::End => event::Reason::Stop,
                    infer::Reason::Length => event::Reason::Length,
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

    /// What an answer is held to, if that is known.
    ///
    /// # Errors
    /// Wishes that exclude each other.
    fn form(&self, task: &mut Task, dialogue: &Dialogue) -> Result<Option<Option<Plan>>, Failure> {
        if !form::is_wanted(&task.generate)? {
            return Ok(Some(None));
        }
        match std::mem::take(&mut task.form) {
            Form::Compiled { plan, .. } => Ok(Some(plan)),
            Form::Unknown => Ok(self.forms.find(&form::key(&task.generate, dialogue.format()))),
        }
    }

    /// The prompt as tokens, what reads the answer, and what holds it to a form.
    fn encode(
        &self,
        prompt: &Prompt,
        dialogue: &Dialogue,
        (task, plan): (&Task, Option<Plan>),
    ) -> Result<Encoded, Failure> {
        let generate = &task.generate;
        let Given { tokens, segments } = tokens::give(prompt, dialogue, &self.tokenizer, task)?;
        let last = segments.as_deref().map_or("", written_last);
        let parser = segments.as_deref().and_then(|segments| dialogue.parser(segments, generate));
        let guide = |plan: Plan| plan.guide(dialogue.ends.clone());
        let guide = match (plan, begun(prompt, generate)) {
            (Some(plan), Some(text)) => Some(guide(plan).behind(text)?),
            (Some(plan), None) if segments.is_some() => {
                Some(guide(plan.after_thinking(dialogue.format(), last, &self.tokenizer)))
            }
            (plan, _) => plan.map(guide),
        };
        Ok(Encoded { tokens, parser, guide })
    }
}

/// A prompt, and what its answer is read by and held to.
struct Encoded {
    tokens: Vec<TokenId>,
    /// In a conversation.
    parser: Option<AnswerParser>,
    guide: Option<Guide>,
}

/// Reads files into large pages beside what is computed meanwhile: no first token waits for it.
fn hold(files: Vec<FileBytes>) {
    if !files.is_empty() {
        let read = move || files.iter().for_each(FileBytes::hold_for_others);
        // Without a thread for it they stay as they are.
        let _ = std::thread::Builder::new().name("hold".into()).spawn(read);
    }
}

/// The text with which an answer has begun already.
fn begun<'a>(prompt: &'a Prompt, generate: &Generate) -> Option<&'a str> {
    match prompt {
        Prompt::Chat(messages) if generate.turn == Turn::Continued => {
            messages.last().map(|message| message.content.as_str())
        }
        _ => None,
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

/// Tokens that an answer may have behind a prompt, by the context that was asked for.
///
/// # Errors
/// More context than the model has, or less than the prompt needs.
fn room(generate: &Generate, context: usize, n_prompt: usize) -> Result<usize, Failure> {
    let wanted = generate.context.unwrap_or(context);
    if wanted > context {
        let message = format!(
            "{}: a context of {wanted} tokens was asked for, and it has {context} here",
            generate.model
        );
        return Err(Failure::new("bad_setting", message, "ask for less, or leave it out"));
    }
    if generate.context.is_some() && n_prompt > wanted {
        let message = format!(
            "the prompt has {n_prompt} tokens, {} more than the context asked for",
            n_prompt - wanted
        );
        return Err(Failure::new("prompt_too_long", message, "shorten it, or ask for a larger context"));
    }
    Ok(wanted.saturating_sub(n_prompt))
}

/// A request of a caller, with nothing left out and nothing guessed where somebody looks at what each step does.
fn looked_at(detail: Detail, caller: Caller, prompt: Vec<TokenId>) -> Request {
    let plain = Request {
        owner: Owner(caller.owner),
        class: match caller.class {
            Class::Interactive => infer::fair::Class::Interactive,
            Class::Batch => infer::fair::Class::Batch,
        },
        beginning: Beginning::Shared { salt: caller.owner },
        scored: detail.prompt_alternatives.map(|n| n.min(MAX_ALTERNATIVES)),
        ..Request::new(prompt, 0)
    };
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
        typical_p: sampling.typical_p.unwrap_or(neutral.typical_p),
        mirostat: mirostat(sampling),
        repetition_penalty: sampling.repetition_penalty.unwrap_or(neutral.repetition_penalty),
        presence_penalty: sampling.presence_penalty.unwrap_or(neutral.presence_penalty),
        frequency_penalty: sampling.frequency_penalty.unwrap_or(neutral.frequency_penalty),
        last_n: sampling.repeat_last_n,
        logit_bias: sampling.logit_bias.iter().map(|(&id, &bias)| (TokenId(id), bias)).collect(),
        seed: sampling.seed.unwrap_or_default(),
    }
}

fn mirostat(sampling: &Sampling) -> Option<infer::sample::mirostat::Mirostat> {
    use infer::sample::mirostat::{Mirostat, Version};
    let version = match sampling.mirostat? {
        job::Mirostat::Off => return None,
        job::Mirostat::First => Version::First,
        job::Mirostat::Second => Version::Second,
    };
    let Mirostat { target, rate, .. } = Mirostat::USUAL;
    let target = sampling.mirostat_tau.unwrap_or(target);
    Some(Mirostat { version, target, rate: sampling.mirostat_eta.unwrap_or(rate) })
}
