//! The loop: each call of [`Engine::step`] advances every sequence that the plan has room for.

use base::TokenId;
use models::Probe;

use crate::plan::{Limits, Plan, View, plan};
use crate::sample::Choice;
use crate::sequence::{Request, Sequence, SequenceId};
use crate::{Batch, Blocks, Error, Model};

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
    blocks: Blocks,
    /// The oldest first.
    sequences: Vec<Sequence>,
    n_submitted: u64,
}

impl<M: Model> Engine<M> {
    /// An engine with nothing to do.
    pub fn new(model: M, limits: Limits) -> Self {
        let blocks = Blocks::new(model.blocks(), limits.block);
        Self { model, limits, blocks, sequences: Vec::new(), n_submitted: 0 }
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
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
    /// Anything that [`Error`] names but [`Error::NotFinite`].
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
        if self.sequences.len() >= self.limits.waiting {
            return Err(Error::Full { waiting: self.sequences.len() });
        }
        self.n_submitted += 1;
        let id = SequenceId(self.n_submitted);
        self.sequences.push(Sequence::new(id, request));
        Ok(id)
    }

    /// Forgets a sequence; its pages are free at once. Whether there was one.
    pub fn cancel(&mut self, id: SequenceId) -> bool {
        let Some(index) = self.sequences.iter().position(|sequence| sequence.id == id) else { return false };
        let mut sequence = self.sequences.remove(index);
        self.blocks.release(&mut sequence.table);
        true
    }

    /// Plans and computes one batch, and tells what came of it. Does nothing when there is nothing to do.
    pub fn step(&mut self, probe: Option<&mut dyn Probe>) -> Vec<Event> {
        let plan = self.plan();
        self.step_with(&plan, probe)
    }

    /// The plan that [`Engine::step`] would follow.
    pub fn plan(&self) -> Plan {
        let views: Vec<View> = self.sequences.iter().map(view).collect();
        plan(&views, self.blocks.n_free(), self.limits)
    }

    /// Computes one batch by a plan that was made for this engine as it is.
    fn step_with(&mut self, plan: &Plan, probe: Option<&mut dyn Probe>) -> Vec<Event> {
        self.reserve(plan);
        let batch = Batch::new(plan, &self.sequences);
        if batch.ids.is_empty() {
            return Vec::new();
        }
        let logits = self.model.forward(&batch, probe);
        for planned in &plan.planned {
            self.sequence(planned.id).n_computed += planned.rows;
        }
        let rows = logits.chunks_exact(self.model.vocabulary().max(1));
        let mut events = Vec::new();
        for ((&id, &row), logits) in batch.owners.iter().zip(&batch.wanted).zip(rows) {
            let place = Place { row, is_prompt: row < batch.rows.prompt };
            self.commit(id, place, logits, &mut events);
        }
        events
    }

    /// Takes pages from the preempted and gives them to the planned.
    fn reserve(&mut self, plan: &Plan) {
        for &id in &plan.preempted {
            let index = self.index(id);
            let sequence = &mut self.sequences[index];
            self.blocks.release(&mut sequence.table);
            sequence.n_computed = 0;
        }
        for planned in &plan.planned {
            let index = self.index(planned.id);
            self.blocks.grow(&mut self.sequences[index].table, planned.from + planned.rows);
        }
    }

    fn commit(&mut self, id: SequenceId, place: Place, logits: &[f32], events: &mut Vec<Event>) {
        let context = self.context();
        let sequence = self.sequence(id);
        if sequence.request.max_tokens == 0 {
            self.cancel(id);
            return events.push(Event::Finished { id, reason: Reason::Length });
        }
        let Some(choice) = sequence.sampler.choose(logits, sequence.request.alternatives) else {
            let error = Error::NotFinite { sequence: id, position: sequence.tokens.len() - 1 };
            self.cancel(id);
            return events.push(Event::Failed { id, error });
        };
        let token: TokenId = choice.chosen.token;
        if sequence.request.ends.contains(&token) {
            self.cancel(id);
            return events.push(Event::Finished { id, reason: Reason::End });
        }
        sequence.tokens.push(token);
        let is_full =
            sequence.n_generated() >= sequence.request.max_tokens || sequence.tokens.len() >= context;
        events.push(Event::Token { id, choice, place });
        if is_full {
            self.cancel(id);
            events.push(Event::Finished { id, reason: Reason::Length });
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

fn view(sequence: &Sequence) -> View {
    View {
        id: sequence.id,
        n_tokens: sequence.tokens.len(),
        n_computed: sequence.n_computed,
        n_blocks: sequence.table.len(),
    }
}
