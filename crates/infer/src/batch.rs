//! From a plan to the rows of one forward pass: prompt rows first, then generated rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ops::Rows;
use ops::attention::{Span, Spans};
use ops::linear::low_rank::{AdapterId, AdapterRows};

use crate::plan::Plan;
use crate::sequence::Sequence;
use crate::{Place, SequenceId};

/// The rows of one forward pass.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// One token a row.
    pub ids: Vec<u32>,
    /// Which rows are of which role.
    pub rows: Rows,
    /// Which sequence each row belongs to, and where its pages are.
    pub spans: Arc<Spans>,
    /// Rows whose logits are wanted, ascending.
    pub wanted: Vec<usize>,
    /// The sequence of each wanted row.
    pub owners: Vec<SequenceId>,
    /// Which rows have which adapter.
    pub adapters: Vec<AdapterRows>,
}

impl Batch {
    /// Lays out `plan`, for which every planned sequence has its pages already.
    pub(crate) fn new(plan: &Plan, sequences: &[Sequence]) -> Self {
        let mut batch = Self::default();
        let mut spans = Spans::default();
        let mut adapted: BTreeMap<AdapterId, Vec<u32>> = BTreeMap::new();
        for role in [Role::Prompt, Role::Generated] {
            for planned in &plan.planned {
                let found = sequences.iter().find(|sequence| sequence.id == planned.id);
                let sequence = found.expect("a plan is made of the sequences that there are");
                let (from, to) = role.part(sequence, planned.from, planned.from + planned.rows);
                if from >= to {
                    continue;
                }
                if let Some(adapter) = sequence.request.adapter {
                    let first = batch.ids.len();
                    adapted
                        .entry(adapter)
                        .or_default()
                        .extend((first..first + to - from).map(|row| row as u32));
                }
                for index in from..to {
                    // Behind its last token, behind those that are guessed, and where somebody asked how likely a prompt is.
                    if index + 1 >= sequence.tokens.len() || sequence.is_scored(index) {
                        batch.wanted.push(batch.ids.len());
                        batch.owners.push(sequence.id);
                    }
                    batch.ids.push(sequence.token(index).0);
                }
                spans.0.push(Span { table: sequence.table.as_slice().into(), past: from, rows: to - from });
                *role.count(&mut batch.rows) += to - from;
            }
        }
        batch.spans = Arc::new(spans);
        let some = |(adapter, rows): (AdapterId, Vec<u32>)| AdapterRows { adapter, rows: rows.into() };
        batch.adapters = adapted.into_iter().map(some).collect();
        batch
    }

    /// The wanted rows of a sequence; they follow one another.
    pub(crate) fn wanted_of(&self, id: SequenceId) -> Range<usize> {
        let from = self.owners.iter().position(|owner| *owner == id).unwrap_or(self.owners.len());
        let n = self.owners[from..].iter().take_while(|owner| **owner == id).count();
        from..from + n
    }

    /// What row `row` is called.
    pub(crate) fn place(&self, row: usize) -> Place {
        Place { row, is_prompt: row < self.rows.prompt }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Prompt,
    Generated,
}

impl Role {
    /// The part of the tokens `from..to` that has this role.
    fn part(self, sequence: &Sequence, from: usize, to: usize) -> (usize, usize) {
        match self {
            Self::Prompt => (from, to.min(sequence.n_prompt)),
            Self::Generated => (from.max(sequence.n_prompt), to),
        }
    }

    fn count(self, rows: &mut Rows) -> &mut usize {
        match self {
            Self::Prompt => &mut rows.prompt,
            Self::Generated => &mut rows.generated,
        }
    }
}
