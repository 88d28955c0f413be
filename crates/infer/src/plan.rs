//! Who gets how many rows in the next step: a pure function from what is to what shall be done.
//!
//! Sequences that need one row (they are generating) are served first, so that a long prompt does not stop them;
//! then prompts, the oldest first, in pieces that fit the budget. When pages run short, the youngest sequence that
//! has nothing in this step yet gives its pages back and is computed again later. Nobody overtakes a sequence that
//! waits for pages, so nobody starves.

use crate::SequenceId;

/// What planning needs to know of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Which one.
    pub id: SequenceId,
    /// Tokens that it has.
    pub n_tokens: usize,
    /// Tokens whose keys and values stand in the cache; fewer than `n_tokens`.
    pub n_computed: usize,
    /// Pages that it holds.
    pub n_blocks: usize,
}

/// What a step may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows a step.
    pub rows: usize,
    /// Sequences a step.
    pub sequences: usize,
    /// Tokens a page.
    pub block: usize,
    /// Sequences that may wait.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 512, sequences: 64, block: crate::BLOCK, waiting: 1024 }
    }
}

/// Rows for one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which sequence.
    pub id: SequenceId,
    /// The first of its tokens to compute.
    pub from: usize,
    /// How many.
    pub rows: usize,
}

/// What the next step does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Sequences that give back all their pages first.
    pub preempted: Vec<SequenceId>,
    /// Sequences that are computed, the oldest first.
    pub planned: Vec<Planned>,
}

/// Plans one step for `views`, the oldest first.
pub fn plan(views: &[View], n_free: usize, limits: Limits) -> Plan {
    let mut planner = Planner { views, limits, n_free, rows_left: limits.rows, plan: Plan::default() };
    for (index, view) in views.iter().enumerate() {
        if view.n_tokens - view.n_computed == 1 && view.n_blocks > 0 {
            planner.give(index, 1);
        }
    }
    for (index, view) in views.iter().enumerate() {
        if planner.is_done(view.id) {
            continue;
        }
        let wanted = view.n_tokens - view.n_computed;
        let given = planner.give(index, wanted);
        if given < wanted.min(limits.rows) {
            break; // Nobody younger may take what this one waits for.
        }
    }
    planner.plan.planned.sort_by_key(|planned| planned.id);
    planner.plan
}

struct Planner<'a> {
    views: &'a [View],
    limits: Limits,
    n_free: usize,
    rows_left: usize,
    plan: Plan,
}

impl Planner<'_> {
    fn is_done(&self, id: SequenceId) -> bool {
        self.plan.planned.iter().any(|planned| planned.id == id) || self.plan.preempted.contains(&id)
    }

    /// Gives a sequence as many of `wanted` rows as there is room for, and says how many.
    fn give(&mut self, index: usize, wanted: usize) -> usize {
        let view = self.views[index];
        if self.is_done(view.id) || self.plan.planned.len() == self.limits.sequences {
            return 0;
        }
        let wanted = wanted.min(self.rows_left);
        let block = self.limits.block;
        let missing = |rows: usize| (view.n_computed + rows).div_ceil(block) - view.n_blocks;
        let needed = missing(wanted);
        while needed > self.n_free && self.preempt_younger_than(index) {}
        let room = (view.n_blocks + self.n_free) * block - view.n_computed;
        let rows = wanted.min(room);
        if rows == 0 {
            return 0;
        }
        self.n_free -= missing(rows);
        self.rows_left -= rows;
        self.plan.planned.push(Planned { id: view.id, from: view.n_computed, rows });
        rows
    }

    /// Takes the pages of the youngest sequence after `index` that holds some and is not planned yet.
    fn preempt_younger_than(&mut self, index: usize) -> bool {
        let victim = self.views[index + 1..].iter().rev().find(|v| v.n_blocks > 0 && !self.is_done(v.id));
        let Some(victim) = victim.copied() else { return false };
        self.n_free += victim.n_blocks;
        self.plan.preempted.push(victim.id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(id: u64, n_tokens: usize, n_computed: usize, n_blocks: usize) -> View {
        View { id: SequenceId(id), n_tokens, n_computed, n_blocks }
    }

    fn check(views: &[View], n_free: usize, expected: &str) {
        let limits = Limits { rows: 8, sequences: 3, block: 4, waiting: 9 };
        let Plan { preempted, planned } = plan(views, n_free, limits);
        let preempted: Vec<String> = preempted.iter().map(|id| format!("-{id}")).collect();
        let planned: Vec<String> =
            planned.iter().map(|p| format!("{}:{}+{}", p.id, p.from, p.rows)).collect();
        assert_eq!([preempted, planned].concat().join(" "), expected);
    }

    #[test]
    fn rows_go_to_generating_sequences_first_and_then_to_the_oldest_prompts() {
        check(&[], 9, "");
        check(&[view(1, 5, 0, 0)], 9, "1:0+5");
        check(&[view(1, 20, 0, 0)], 9, "1:0+8");
        check(&[view(1, 20, 8, 2), view(2, 3, 2, 1)], 9, "1:8+7 2:2+1");
        check(&[view(1, 5, 0, 0), view(2, 5, 0, 0), view(3, 5, 0, 0)], 9, "1:0+5 2:0+3");
        check(
            &[view(1, 2, 1, 1), view(2, 2, 1, 1), view(3, 2, 1, 1), view(4, 2, 1, 1)],
            9,
            "1:1+1 2:1+1 3:1+1",
        );
    }

    #[test]
    fn the_youngest_gives_its_pages_to_the_oldest() {
        check(&[view(1, 5, 4, 1), view(2, 5, 4, 1)], 0, "-2 1:4+1");
        check(&[view(1, 5, 4, 1), view(2, 3, 2, 1), view(3, 3, 2, 1)], 0, "-3 1:4+1 2:2+1");
    }

    #[test]
    fn nobody_overtakes_a_sequence_that_waits_for_pages() {
        check(&[view(1, 8, 0, 0), view(2, 2, 0, 0)], 1, "1:0+4");
        check(&[view(1, 2, 1, 1), view(2, 20, 0, 0), view(3, 1, 0, 0)], 0, "1:1+1");
    }
}
