//! The loop: each call of [`Engine::step`] advances every sequence that the plan has room for.

use std::time::Duration;

use models::probe::Probe;
use ops::Rows;
use ops::linear::low_rank::AdapterId;
use text::grammar::Guide;

use crate::beside::Beside;
use crate::blocks::{Blocks, Found, Rest};
use crate::draft::{Draft, Text};
use crate::fair::Shares;
use crate::plan::{Limits, Plan, Planned, View, plan};
use crate::sample::Choice;
use crate::sequence::{Chosen, Request, Roles, Sequence, SequenceId};
use crate::shelf::{self, Bringing, Shelf};
use crate::times::StepTimes;
use crate::{Batch, Error, Model};

/// Logits that a step makes at most where prompts are scored, unless one row alone has more: 64 MiB.
const SCORED_LOGITS: usize = 16 << 20;

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The model ended it.
    End,
    /// It has as many tokens as were asked for, or as fit.
    Length,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A sequence began with what was computed for others, or for itself before it had to give it back.
    Found {
        /// The sequence.
        id: SequenceId,
        /// The tokens that stood there.
        n_tokens: usize,
    },
    /// It was computed how likely tokens of a prompt were, in their order; the first token of a prompt has no such number.
    Scored {
        /// The sequence.
        id: SequenceId,
        /// The tokens, with likely ones in their place.
        tokens: Vec<Choice>,
    },
    /// A sequence got one more token. A token that ends the answer is not told.
    Token {
        /// The sequence.
        id: SequenceId,
        /// The token and its alternatives.
        choice: Choice,
        /// Which row of the batch it came from.
        place: Place,
    },
    /// A sequence is complete and gone.
    Finished {
        /// The sequence.
        id: SequenceId,
        /// Why it ended.
        reason: Reason,
    },
    /// A sequence came to nothing and is gone.
    Failed {
        /// The sequence.
        id: SequenceId,
        /// What went wrong.
        error: Error,
    },
}

/// A row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which one, counted from 0.
    pub row: usize,
    /// Whether it is a row of a prompt.
    pub is_prompt: bool,
}

/// Many sequences on one model.
pub struct Engine<M> {
    model: M,
    limits: Limits,
    roles: Roles,
    blocks: Blocks,
    draft: Option<Box<dyn Draft>>,
    shelf: Option<Box<dyn Shelf>>,
    /// The oldest first.
    sequences: Vec<Sequence>,
    shares: Shares,
    beside: Beside,
    times: StepTimes,
    /// The rows of the last step.
    last: Rows,
    n_submitted: u64,
    n_begun: u64,
}

impl<M: Model> Engine<M> {
    /// An engine with nothing to do.
    pub fn new(model: M, limits: Limits) -> Self {
        let blocks = Blocks::new(model.blocks(), limits.block);
        let roles = if model.computes_roles_alike() { Roles::Alike } else { Roles::Apart };
        Self {
            model,
            limits,
            roles,
            blocks,
            draft: None,
            shelf: None,
            sequences: Vec::new(),
            shares: Shares::default(),
            beside: Beside::default(),
            times: StepTimes::default(),
            last: Rows::default(),
            n_submitted: 0,
            n_begun: 0,
        }
    }

    /// The same with a smaller model that guesses.
    #[must_use]
    pub fn with_draft(self, draft: impl Draft + 'static) -> Self {
        Self { draft: Some(Box::new(draft)), ..self }
    }

    /// The same with a shelf on which computed pages are kept, and from which those of earlier engines come back.
    #[must_use]
    pub fn with_shelf(self, shelf: impl Shelf + 'static) -> Self {
        Self { shelf: Some(Box::new(shelf)), ..self }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The model, to be given or relieved of adapters.
    pub fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    /// Whether a sequence that is not complete has this adapter.
    pub fn uses(&self, adapter: AdapterId) -> bool {
        self.sequences.iter().any(|sequence| sequence.request.adapter == Some(adapter))
    }

    /// Sequences that are not complete.
    pub fn n_sequences(&self) -> usize {
        self.sequences.len()
    }

    /// The pages of the cache.
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Tokens that one sequence may have.
    pub fn context(&self) -> usize {
        self.model.context().min(self.blocks.total() * self.limits.block)
    }

    /// Takes a request in; it is computed by the steps that follow.
    ///
    /// # Errors
    /// Anything that [`Error`] names but [`Error::NotFinite`] and [`Error::Form`].
    pub fn submit(&mut self, request: Request) -> Result<SequenceId, Error> {
        request.sampling.check()?;
        let (n_tokens, room) = (request.prompt.len(), self.context().saturating_sub(1));
        if n_tokens == 0 {
            return Err(Error::EmptyPrompt);
        }
        if n_tokens > room {
            return Err(Error::TooLong { n_tokens, room });
        }
        let vocabulary = self.model.vocabulary();
        if let Some(token) = request.prompt.iter().find(|token| token.index() >= vocabulary) {
            return Err(Error::Token { token: token.0, vocabulary });
        }
        if request.adapter.is_some_and(|adapter| !self.model.has_adapter(adapter)) {
            return Err(Error::NoAdapter);
        }
        if self.sequences.len() >= self.limits.waiting {
            return Err(Error::Full { waiting: self.sequences.len() });
        }
        self.shares.enter(request.owner, self.sequences.iter().map(|sequence| sequence.request.owner));
        self.n_submitted += 1;
        let id = SequenceId(self.n_submitted);
        let mut sequence = Sequence::new(id, request);
        let is_shared = self.shelf.is_some() && sequence.known(self.roles).is_some();
        // What is overwritten before it is used is not brought again and again.
        sequence.to_bring = is_shared.then_some(n_tokens / self.limits.block);
        self.sequences.push(sequence);
        Ok(id)
    }

    /// Forgets a sequence; its pages are free at once, and can be found until they are overwritten. Whether there was one.
    pub fn cancel(&mut self, id: SequenceId) -> bool {
        let Some(index) = self.sequences.iter().position(|sequence| sequence.id == id) else { return false };
        let mut sequence = self.sequences.remove(index);
        self.keep_end(&sequence);
        self.blocks.release(&mut sequence.table);
        if let Some(draft) = &mut self.draft {
            draft.forget(id);
        }
        true
    }

    /// Tells how long the last step took. From then on there are as many rows of prompts beside answers as let a step take
    /// less than three times as long as without them, and as many tokens are guessed as make answers fastest. No answer
    /// depends on it.
    pub fn learn(&mut self, took: Duration) {
        if self.last.prompt == 0 {
            self.times.learn(self.last.generated, took);
        }
        self.beside.learn(self.last, took, self.limits.rows_beside);
    }

    /// Plans and computes one batch, and tells what came of it. Does nothing when there is nothing to do.
    pub fn step(&mut self, probe: Option<&mut dyn Probe>) -> Vec<Event> {
        self.bring();
        self.let_draft_guess();
        let plan = self.plan();
        self.step_with(&plan, probe)
    }

    /// Brings pages of new sequences from the shelf, if there is one, as many as a step may.
    fn bring(&mut self) {
        let Self { shelf: Some(shelf), model, blocks, sequences, roles, .. } = self else { return };
        let mut bringing = Bringing { shelf: &mut **shelf, model, blocks };
        let mut n_left = shelf::PAGES_A_STEP;
        for sequence in sequences {
            let (Some(most), Some(known)) = (sequence.to_bring, sequence.known(*roles)) else { continue };
            if n_left == 0 {
                break;
            }
            let brought = bringing.bring(known, most.min(n_left));
            n_left -= brought.n_pages;
            sequence.to_bring = Some(most - brought.n_pages).filter(|most| brought.has_more && *most > 0);
        }
    }

    /// Asks the smaller model, if there is one, for those who have no guess from their text.
    fn let_draft_guess(&mut self) {
        let (context, times) = (self.context(), self.times);
        let Some(draft) = &mut self.draft else { return };
        let wants = |sequence: &&mut Sequence| sequence.wanted_from_a_draft(context, &times) > 0;
        let mut wanting: Vec<&mut Sequence> = self.sequences.iter_mut().filter(wants).collect();
        if wanting.is_empty() || wanting.len() >= self.limits.guesses {
            return;
        }
        let text = |sequence: &&mut Sequence| {
            (sequence.id, sequence.tokens.clone(), sequence.wanted_from_a_draft(context, &times))
        };
        let texts: Vec<_> = wanting.iter().map(text).collect();
        let texts: Vec<Text> = texts.iter().map(|(id, tokens, n)| Text { id: *id, tokens, n: *n }).collect();
        let vocabulary = self.model.vocabulary();
        for (sequence, mut guessed) in wanting.iter_mut().zip(draft.guess(&texts)) {
            let known = guessed.iter().position(|token| token.index() >= vocabulary);
            guessed.truncate(known.unwrap_or(guessed.len()));
            sequence.take_draft(guessed);
        }
    }

    /// The plan that [`Engine::step`] would follow, were nothing on a shelf. Who waits for a shelf is not in it.
    pub fn plan(&self) -> Plan {
        let is_ready = |sequence: &&Sequence| sequence.to_bring.is_none();
        let mut ranked: Vec<&Sequence> = self.sequences.iter().filter(is_ready).collect();
        let served = |sequence: &Sequence| self.shares.of(sequence.request.owner);
        ranked.sort_by_cached_key(|sequence| {
            let turn = sequence.turn.unwrap_or(u64::MAX);
            let served = if sequence.turn.is_some() { 0 } else { served(sequence) };
            (sequence.request.class, turn, served, sequence.id)
        });
        // Who cannot be begun in this step need not be looked for.
        let mut n_sought = self.limits.sequences;
        let found: Vec<Found> = ranked.iter().map(|sequence| self.found(sequence, &mut n_sought)).collect();
        let mut views = Vec::with_capacity(ranked.len());
        for (sequence, found) in ranked.iter().zip(&found) {
            views.push(View {
                id: sequence.id,
                class: sequence.request.class,
                served: served(sequence),
                n_tokens: sequence.tokens.len(),
                n_computed: sequence.n_computed,
                is_generating: sequence.is_generating(),
                n_guessed: sequence.guessed.len(),
                table: &sequence.table,
                found: &found.pages,
                rest: found.rest,
            });
        }
        let rows_beside = self.beside.rows(self.limits.rows_beside);
        let rows = if ranked.iter().any(|sequence| sequence.request.scored.is_some()) {
            (SCORED_LOGITS / self.model.vocabulary().max(1)).clamp(1, self.limits.rows)
        } else {
            self.limits.rows
        };
        plan(&views, &self.blocks, Limits { rows, rows_beside: rows_beside.min(rows), ..self.limits })
    }

    /// What is computed already of a sequence without pages, while there are more to be looked for.
    fn found(&self, sequence: &Sequence, n_sought: &mut usize) -> Found {
        match sequence.known(self.roles) {
            Some(known) if sequence.table.is_empty() && *n_sought > 0 => {
                *n_sought -= 1;
                self.blocks.find(known)
            }
            _ => Found::default(),
        }
    }

    /// Computes one batch by a plan that was made for this engine as it is.
    fn step_with(&mut self, plan: &Plan, probe: Option<&mut dyn Probe>) -> Vec<Event> {
        self.reserve(plan);
        let batch = Batch::new(plan, &self.sequences);
        self.last = batch.rows;
        if batch.ids.is_empty() {
            return Vec::new();
        }
        let logits = forward_beside_guides(&mut self.model, &batch, probe, &mut self.sequences);
        let rows: Vec<&[f32]> = logits.chunks_exact(self.model.vocabulary().max(1)).collect();
        let mut events = Vec::new();
        for &planned in &plan.planned {
            if planned.adopted + planned.copied > 0 {
                events.push(Event::Found { id: planned.id, n_tokens: planned.from });
            }
            let wanted = batch.wanted_of(planned.id);
            let places = batch.wanted[wanted.clone()].iter().map(|&row| batch.place(row));
            let rows: Vec<(Place, &[f32])> = places.zip(rows[wanted].iter().copied()).collect();
            self.commit(planned, &rows, &mut events);
        }
        events
    }

    /// Takes pages from the preempted and gives them to the planned: those that were found first, because the others
    /// may overwrite what nobody holds.
    fn reserve(&mut self, plan: &Plan) {
        for &id in &plan.preempted {
            let index = self.index(id);
            let sequence = &mut self.sequences[index];
            self.blocks.release(&mut sequence.table);
            sequence.n_computed = 0;
        }
        let mut copies = Vec::new();
        for &planned in &plan.planned {
            copies.extend(self.begin(planned).map(|rest| (planned, rest)));
        }
        for planned in &plan.planned {
            let index = self.index(planned.id);
            self.blocks.grow(&mut self.sequences[index].table, planned.from + planned.rows);
        }
        for (planned, rest) in copies {
            let to = self.sequence(planned.id).table[planned.adopted];
            self.model.copy_page(rest.page, to, planned.copied);
            self.blocks.let_go(rest.page);
        }
    }

    /// Gives a sequence what was found for it; holds the page that it copies from, and says which that is.
    fn begin(&mut self, planned: Planned) -> Option<Rest> {
        let index = self.index(planned.id);
        let sequence = &mut self.sequences[index];
        if sequence.turn.is_none() {
            self.n_begun += 1;
            sequence.turn = Some(self.n_begun);
        }
        if planned.adopted + planned.copied == 0 {
            return None;
        }
        let found =
            self.blocks.find(sequence.known(self.roles).expect("pages are found for those who share"));
        self.blocks.adopt(&mut sequence.table, &found.pages[..planned.adopted]);
        sequence.n_computed = planned.from;
        let rest = found.rest.filter(|_| planned.copied > 0)?;
        self.blocks.hold(rest.page);
        Some(rest)
    }

    /// Takes in what was computed for a sequence: of a prompt that is scored its rows, and of the rows behind its last token and behind guessed ones as many
    /// as it would have chosen itself, and one more.
    fn commit(&mut self, planned: Planned, rows: &[(Place, &[f32])], events: &mut Vec<Event>) {
        let (id, context, times) = (planned.id, self.context(), self.times);
        let sequence = self.sequence(id);
        let (mut n_right, mut end) = (0, None);
        let n_scored =
            (planned.from..planned.from + planned.rows).filter(|&at| sequence.is_scored(at)).count();
        let (scored, rows) = rows.split_at(n_scored);
        match scored.iter().map(|(_, logits)| sequence.score(logits)).collect::<Result<Vec<_>, _>>() {
            Ok(tokens) if tokens.is_empty() => {}
            Ok(tokens) => events.push(Event::Scored { id, tokens }),
            Err(error) => end = Some(Event::Failed { id, error }),
        }
        let rows = if end.is_some() { &[] } else { rows };
        let guessed = std::mem::take(&mut sequence.guessed);
        let n_guessed = rows.len().saturating_sub(1);
        for (index, &(place, logits)) in rows.iter().enumerate() {
            match sequence.choose(logits, context) {
                Chosen::Token(choice, reason) => {
                    let is_right = index < n_guessed && guessed[index] == choice.chosen.token;
                    events.push(Event::Token { id, choice, place });
                    end = reason.map(|reason| Event::Finished { id, reason });
                    if end.is_some() || !is_right {
                        break;
                    }
                    n_right += 1;
                }
                Chosen::Nothing(reason) => {
                    end = Some(Event::Finished { id, reason });
                    break;
                }
                Chosen::Failed(error) => {
                    end = Some(Event::Failed { id, error });
                    break;
                }
            }
        }
        if !rows.is_empty() {
            sequence.guess((n_guessed, n_right), context, &times);
        }
        let owner = sequence.request.owner;
        self.keep(planned);
        self.shares.add(owner, planned.rows);
        if let Some(event) = end {
            self.cancel(id);
            events.push(event);
        }
    }

    /// Notes what is computed of a sequence, and lets others find it: full pages, and the end of a prompt.
    fn keep(&mut self, planned: Planned) {
        let index = self.index(planned.id);
        let sequence = &mut self.sequences[index];
        // Its last token is not computed; where that was guessed wrong, what stands there is of no use.
        sequence.n_computed = (planned.from + planned.rows).min(sequence.tokens.len() - 1);
        let mut table = std::mem::take(&mut sequence.table);
        if let Some(known) = sequence.known(self.roles) {
            self.blocks.keep(&mut table, known, planned.from..sequence.n_computed);
            if planned.from < sequence.n_prompt && sequence.n_computed >= sequence.n_prompt {
                self.blocks.keep_rest(&table, known, sequence.n_computed);
            }
            if let Some(shelf) = &mut self.shelf {
                let size = self.limits.block;
                let full = planned.from / size..sequence.n_computed / size;
                for (index, &page) in full.clone().zip(&table[full]) {
                    let bytes = self.model.read_page(page, size);
                    shelf.put_page(known.first((index + 1) * size), size, bytes);
                }
            }
        }
        sequence.table = table;
    }

    /// Lets others find the end of a sequence too.
    fn keep_end(&mut self, sequence: &Sequence) {
        let Some(known) = sequence.known(self.roles).filter(|_| sequence.n_computed > 0) else { return };
        self.blocks.keep_rest(&sequence.table, known, sequence.n_computed);
        if let Some(shelf) = &mut self.shelf {
            let read = |page: usize, n_tokens| self.model.read_page(sequence.table[page], n_tokens);
            let text = known.first(sequence.n_computed);
            shelf::put_end(&mut **shelf, text, sequence.n_prompt, read, self.limits.block);
        }
    }

    fn index(&self, id: SequenceId) -> usize {
        let found = self.sequences.iter().position(|sequence| sequence.id == id);
        found.expect("a plan is made of the sequences that there are")
    }

    fn sequence(&mut self, id: SequenceId) -> &mut Sequence {
        let index = self.index(id);
        &mut self.sequences[index]
    }
}

/// Computes a batch, and meanwhile which tokens may follow where answers have to keep a form: on a thread of its own.
fn forward_beside_guides<M: Model>(
    model: &mut M,
    batch: &Batch,
    probe: Option<&mut dyn Probe>,
    sequences: &mut [Sequence],
) -> Vec<f32> {
    let is_wanted = |sequence: &&mut Sequence| batch.owners.contains(&sequence.id);
    let guides =
        sequences.iter_mut().filter(is_wanted).filter_map(|sequence| sequence.request.guide.as_mut());
    let mut guides: Vec<&mut Guide> = guides.collect();
    if guides.is_empty() {
        return model.forward(batch, probe);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| guides.iter_mut().for_each(|guide| guide.prepare()));
        model.forward(batch, probe)
    })
}
