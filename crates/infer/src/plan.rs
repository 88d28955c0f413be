//! Who gets how many rows in the next step: a pure function from what is to what shall be done.
//!
//! Sequences are ranked: the interactive before the batch, and of a class those that were begun first before those
//! that wait to be begun. Of each class who generates is served first, one row each and some for guesses, so that a long
//! prompt does not stop anybody; then prompts, those first whose owner had least, in pieces that fit the budget. The
//! budget of prompts is small while somebody waits for the next word. The batch has what the interactive leave: rows,
//! places in the step and pages. When pages run short, the last in rank that has nothing in this step yet gives its pages
//! back and is computed again later. Nobody overtakes a sequence before it in rank that waits for pages, so that nobody of
//! a class starves.

use std::collections::HashMap;

use crate::SequenceId;
use crate::blocks::{Blocks, Rest};
use crate::fair::Class;

/// What planning needs to know of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    /// Which one.
    pub id: SequenceId,
    /// How urgent it is.
    pub class: Class,
    /// Rows that its owner had so far.
    pub served: u64,
    /// Tokens that it has.
    pub n_tokens: usize,
    /// Tokens whose keys and values stand in the cache; fewer than `n_tokens`.
    pub n_computed: usize,
    /// Whether it only lacks the row that gives the next token.
    pub is_generating: bool,
    /// Tokens that are guessed to follow.
    pub n_guessed: usize,
    /// Pages that it holds.
    pub table: &'a [u32],
    /// Pages that hold its first tokens already, if it holds none.
    pub found: &'a [u32],
    /// A page that holds some of those behind them.
    pub rest: Option<Rest>,
}

/// What a step may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows a step.
    pub rows: usize,
    /// Rows of prompts in a step in which somebody waits for the next token of an answer: so many, or fewer where the
    /// engine is told that they take long.
    pub rows_beside: usize,
    /// Generated rows a step up to which there are guesses.
    pub guesses: usize,
    /// Sequences a step.
    pub sequences: usize,
    /// Tokens a page.
    pub block: usize,
    /// Sequences that may wait.
    pub waiting: usize,
}

impl Default for Limits {
    /// Of a machine with two cores: a row of a prompt takes about a thirtieth of the time of a step that generates,
    /// so 32 of them beside it double that time; and up to 32 generated rows have the same arithmetic.
    fn default() -> Self {
        Self { rows: 512, rows_beside: 32, guesses: 32, sequences: 64, block: crate::BLOCK, waiting: 1024 }
    }
}

/// Rows for one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which sequence.
    pub id: SequenceId,
    /// How many of the pages found for it it takes first.
    pub adopted: usize,
    /// How many tokens behind them are copied from another page.
    pub copied: usize,
    /// The first of its tokens to compute.
    pub from: usize,
    /// How many, with guessed ones behind its own.
    pub rows: usize,
}

/// What the next step does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Sequences that give back all their pages first.
    pub preempted: Vec<SequenceId>,
    /// Sequences that are computed, in the order in which they came.
    pub planned: Vec<Planned>,
}

/// Plans one step for `views`, the first in rank first, whose pages are of `blocks`.
pub fn plan(views: &[View<'_>], blocks: &Blocks, limits: Limits) -> Plan {
    let mut planner = Planner {
        views,
        blocks,
        limits,
        n_free: blocks.n_free(),
        holders: HashMap::new(),
        rows_left: limits.rows,
        prompts_left: limits.rows,
        last: views.len(),
        plan: Plan::default(),
    };
    for class in [Class::Interactive, Class::Batch] {
        planner.generating(class);
        planner.prompts(class);
    }
    planner.plan.planned.sort_by_key(|planned| planned.id);
    planner.plan
}

struct Planner<'a> {
    views: &'a [View<'a>],
    blocks: &'a Blocks,
    limits: Limits,
    n_free: usize,
    /// How many hold a page, where that is no longer what `blocks` says.
    holders: HashMap<u32, u32>,
    rows_left: usize,
    /// How many of these may be of prompts.
    prompts_left: usize,
    /// Who waits for pages: it stops everybody behind it in rank.
    last: usize,
    plan: Plan,
}

impl Planner<'_> {
    /// A row for each sequence of a class that generates, and as many guesses as there is room for.
    fn generating(&mut self, class: Class) {
        let n_generating = self.views.iter().filter(|view| view.is_generating).count();
        let guesses = self.limits.guesses.saturating_sub(n_generating) / n_generating.max(1);
        for (index, view) in self.views.iter().enumerate().take(self.last) {
            if view.is_generating && view.class == class {
                self.give(index, 1, view.n_guessed.min(guesses));
            }
        }
    }

    /// Rows for those of a class that have more than one to go, those first whose owner had least.
    fn prompts(&mut self, class: Class) {
        let is_awaited = |view: &View<'_>| view.class == Class::Interactive && self.is_done(view.id);
        if class == Class::Interactive && self.views.iter().any(is_awaited) {
            self.prompts_left = self.prompts_left.min(self.limits.rows_beside);
        }
        let mut order: Vec<usize> =
            (0..self.views.len()).filter(|&index| self.views[index].class == class).collect();
        order.sort_by_key(|&index| (self.views[index].served, index));
        for index in order {
            if index > self.last || self.is_done(self.views[index].id) {
                continue;
            }
            let before = self.rows_left;
            let missing = self.give(index, self.prompts_left, 0);
            self.prompts_left -= before - self.rows_left;
            if missing > 0 && self.rows_left > 0 && self.prompts_left > 0 {
                self.last = index;
            }
        }
    }

    fn is_done(&self, id: SequenceId) -> bool {
        self.plan.planned.iter().any(|planned| planned.id == id) || self.plan.preempted.contains(&id)
    }

    /// Gives a sequence as many of its rows as there is room for, `most` at most, and says how many it could not
    /// have of these; and of `guesses` as many as need nobody's pages.
    fn give(&mut self, index: usize, most: usize, guesses: usize) -> usize {
        let view = self.views[index];
        if self.is_done(view.id) || self.plan.planned.len() == self.limits.sequences {
            return 0;
        }
        let mut start = Start::new(view, self.limits.block);
        let most = most.min(self.rows_left);
        let wanted = start.rows.min(most);
        if wanted == 0 {
            return 0;
        }
        while self.room(&start) < wanted && self.preempt_behind(index) {}
        // A page that is found costs no more than a page that is computed, but with none free it cannot be had.
        while self.room(&start) == 0 && start.shorten() {}
        let (wanted, room) = (start.rows.min(most), self.room(&start));
        let rows = wanted.min(room);
        if rows == 0 {
            return wanted;
        }
        let taken = (rows + guesses).min(self.rows_left).min(room);
        self.n_free -= self.n_unheld(&start) + start.n_new_pages(taken);
        for page in start.used() {
            *self.holders.entry(page).or_insert_with(|| self.blocks.n_holders(page)) += 1;
        }
        self.rows_left -= taken;
        let (adopted, copied) = (start.adopted.len(), start.n_copied());
        self.plan.planned.push(Planned { id: view.id, adopted, copied, from: start.from, rows: taken });
        wanted - rows
    }

    /// Rows for which there are pages: those that are found and held by nobody are taken from the free ones too, one to be
    /// copied until that is done.
    fn room(&self, start: &Start<'_>) -> usize {
        let n_new = self.n_free.checked_sub(self.n_unheld(start));
        n_new.map_or(0, |n_new| ((start.n_pages + n_new) * start.block).saturating_sub(start.from))
    }

    /// Pages that are found for a sequence and held by nobody.
    fn n_unheld(&self, start: &Start<'_>) -> usize {
        let n_holders =
            |page: &u32| self.holders.get(page).copied().unwrap_or_else(|| self.blocks.n_holders(*page));
        start.used().filter(|page| n_holders(page) == 0).count()
    }

    /// Takes the pages of the last in rank behind `index` that holds some and is not planned yet.
    fn preempt_behind(&mut self, index: usize) -> bool {
        let mut behind = self.views[index + 1..].iter().rev();
        let Some(victim) = behind.find(|view| !view.table.is_empty() && !self.is_done(view.id)) else {
            return false;
        };
        for &page in victim.table {
            let holders = self.holders.entry(page).or_insert_with(|| self.blocks.n_holders(page));
            *holders -= 1;
            self.n_free += usize::from(*holders == 0);
        }
        self.plan.preempted.push(victim.id);
        true
    }
}

/// Where a sequence begins in this step.
struct Start<'a> {
    adopted: &'a [u32],
    /// The page of which it copies the first tokens.
    rest: Option<Rest>,
    block: usize,
    /// The first token to compute.
    from: usize,
    /// Tokens to compute from there.
    rows: usize,
    /// Pages that it has, with the adopted.
    n_pages: usize,
}

impl<'a> Start<'a> {
    fn new(view: View<'a>, block: usize) -> Self {
        let (adopted, rest) = if view.table.is_empty() { (view.found, view.rest) } else { (&[][..], None) };
        let n_found = adopted.len() * block + rest.map_or(0, |rest| rest.n_tokens);
        let from = view.n_computed.max(n_found);
        let n_pages = view.table.len() + adopted.len();
        Self { adopted, rest, block, from, rows: view.n_tokens - from, n_pages }
    }

    /// Pages that were found for it: those that it shares, and the one that it copies from.
    fn used(&self) -> impl Iterator<Item = u32> {
        self.adopted.iter().copied().chain(self.rest.map(|rest| rest.page))
    }

    fn n_copied(&self) -> usize {
        self.rest.map_or(0, |rest| rest.n_tokens)
    }

    /// Pages that it needs for `rows` rows and does not have.
    fn n_new_pages(&self, rows: usize) -> usize {
        (self.from + rows).div_ceil(self.block).saturating_sub(self.n_pages)
    }

    /// Does without what was found last: a copy, or a page. Whether there was one.
    fn shorten(&mut self) -> bool {
        let n_tokens = match (self.rest.take(), self.adopted.split_last()) {
            (Some(rest), _) => rest.n_tokens,
            (None, Some((_, others))) => {
                self.adopted = others;
                self.n_pages -= 1;
                self.block
            }
            (None, None) => return false,
        };
        self.from -= n_tokens;
        self.rows += n_tokens;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence of a test: its id, tokens, computed tokens and pages.
    #[derive(Clone, Copy)]
    struct Case {
        id: u64,
        counts: [usize; 3],
        class: Class,
        served: u64,
        n_guessed: usize,
    }

    fn case(id: u64, n_tokens: usize, n_computed: usize, n_pages: usize) -> Case {
        let counts = [n_tokens, n_computed, n_pages];
        Case { id, counts, class: Class::Interactive, served: 0, n_guessed: 0 }
    }

    const LIMITS: Limits = Limits { rows: 8, rows_beside: 8, guesses: 4, sequences: 3, block: 4, waiting: 9 };

    fn check(cases: &[Case], n_free: usize, expected: &str) {
        check_with(cases, n_free, LIMITS, expected);
    }

    fn check_with(cases: &[Case], n_free: usize, limits: Limits, expected: &str) {
        let n_held: usize = cases.iter().map(|case| case.counts[2]).sum();
        let mut blocks = Blocks::new(n_held + n_free, limits.block);
        let mut tables = vec![Vec::new(); cases.len()];
        for (table, case) in tables.iter_mut().zip(cases) {
            blocks.grow(table, case.counts[2] * limits.block);
        }
        let view = |(case, table): (&Case, &'static [u32])| View {
            id: SequenceId(case.id),
            class: case.class,
            served: case.served,
            n_tokens: case.counts[0],
            n_computed: case.counts[1],
            is_generating: case.counts[0] - case.counts[1] == 1 && case.counts[2] > 0,
            n_guessed: case.n_guessed,
            table,
            found: &[],
            rest: None,
        };
        let tables = tables.into_iter().map(|table| &*table.leak());
        let views: Vec<View> = cases.iter().zip(tables).map(view).collect();
        assert_eq!(told(&plan(&views, &blocks, limits)), expected);
    }

    fn told(Plan { preempted, planned }: &Plan) -> String {
        let preempted = preempted.iter().map(|id| format!("-{id}"));
        let planned = planned.iter().map(|p| match p.adopted {
            0 => format!("{}:{}+{}", p.id, p.from, p.rows),
            n => format!("{}:{}+{} on {n}", p.id, p.from, p.rows),
        } + &if p.copied > 0 { format!(" and {}", p.copied) } else { String::new() });
        preempted.chain(planned).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rows_go_to_generating_sequences_first_and_then_to_the_first_prompts() {
        check(&[], 9, "");
        check(&[case(1, 5, 0, 0)], 9, "1:0+5");
        check(&[case(1, 20, 0, 0)], 9, "1:0+8");
        check(&[case(1, 20, 8, 2), case(2, 3, 2, 1)], 9, "1:8+7 2:2+1");
        check(&[case(1, 5, 0, 0), case(2, 5, 0, 0), case(3, 5, 0, 0)], 9, "1:0+5 2:0+3");
        let four = [1, 2, 3, 4].map(|id| case(id, 2, 1, 1));
        check(&four, 9, "1:1+1 2:1+1 3:1+1");
    }

    #[test]
    fn the_last_in_rank_gives_its_pages_to_the_first() {
        check(&[case(1, 5, 4, 1), case(2, 5, 4, 1)], 0, "-2 1:4+1");
        check(&[case(1, 5, 4, 1), case(2, 3, 2, 1), case(3, 3, 2, 1)], 0, "-3 1:4+1 2:2+1");
    }

    #[test]
    fn nobody_overtakes_a_sequence_that_waits_for_pages() {
        check(&[case(1, 8, 0, 0), case(2, 2, 0, 0)], 1, "1:0+4");
        check(&[case(1, 2, 1, 1), case(2, 20, 0, 0), case(3, 1, 0, 0)], 0, "1:1+1");
        // But one before it in rank may go on.
        let served = Case { served: 9, ..case(1, 8, 4, 2) };
        check(&[served, case(2, 20, 0, 0)], 0, "1:4+4");
    }

    #[test]
    fn prompts_of_those_who_had_least_come_first() {
        let anna = Case { served: 512, ..case(1, 20, 8, 2) };
        check(&[anna, case(2, 3, 0, 0)], 9, "1:8+5 2:0+3");
        let batch = Case { class: Class::Batch, ..case(2, 3, 0, 0) };
        check(&[anna, batch], 9, "1:8+8");
    }

    #[test]
    fn a_prompt_is_cut_small_while_somebody_waits_for_words() {
        let limits = Limits { rows_beside: 2, ..LIMITS };
        check_with(&[case(1, 3, 2, 1), case(2, 20, 0, 0)], 9, limits, "1:2+1 2:0+2");
        let batch = Case { class: Class::Batch, ..case(1, 3, 2, 1) };
        check_with(&[case(2, 20, 0, 0), batch], 9, limits, "2:0+8");
        check_with(&[case(2, 5, 0, 0), batch], 9, limits, "1:2+1 2:0+5");
        // What the batch generates is none of the rows of prompts.
        check_with(&[case(2, 3, 2, 1), case(3, 20, 0, 0), batch], 9, limits, "1:2+1 2:2+1 3:0+2");
    }

    #[test]
    fn the_batch_has_what_the_interactive_leave() {
        let batch = |id| Case { class: Class::Batch, ..case(id, 3, 2, 1) };
        let patient = [batch(1), batch(2), batch(3)];
        check(&patient, 9, "1:2+1 2:2+1 3:2+1");
        // Places in a step: there are three.
        let with = |new: &[Case]| [new, &patient].concat();
        check(&with(&[case(4, 2, 0, 0)]), 9, "1:2+1 2:2+1 4:0+2");
        check(&with(&[case(4, 2, 1, 1), case(5, 2, 0, 0)]), 9, "1:2+1 4:1+1 5:0+2");
        // Pages, of which the last in rank give theirs.
        check(&with(&[case(4, 2, 0, 0)]), 0, "-3 1:2+1 2:2+1 4:0+2");
        check(&with(&[case(4, 20, 0, 0)]), 0, "-3 -2 4:0+8");
        check(&with(&[Case { n_guessed: 9, ..case(4, 20, 0, 0) }]), 1, "-3 4:0+8");
        // And who waits for pages stops all of the batch.
        let waiting = Case { class: Class::Batch, ..case(5, 2, 0, 0) };
        check(&[case(4, 8, 0, 0), batch(1), waiting], 0, "-1 4:0+4");
    }

    #[test]
    fn guesses_share_the_rows_that_generated_rows_leave_and_take_no_pages_from_others() {
        let guessing = |id, n_tokens, n_pages, n_guessed| Case {
            n_guessed,
            ..case(id, n_tokens, n_tokens - 1, n_pages)
        };
        check(&[guessing(1, 2, 1, 9)], 9, "1:1+4");
        check(&[guessing(1, 2, 1, 2)], 9, "1:1+3");
        check(&[guessing(1, 2, 1, 9), guessing(2, 2, 1, 9)], 9, "1:1+2 2:1+2");
        check(&[guessing(1, 3, 1, 9), case(2, 2, 1, 1)], 0, "1:2+2 2:1+1");
        check(&[guessing(1, 4, 1, 3), case(2, 8, 4, 2)], 0, "1:3+1 2:4+4");
    }

    #[test]
    fn pages_that_are_found_are_not_computed() {
        let mut blocks = Blocks::new(5, 4);
        let mut held = Vec::new();
        blocks.grow(&mut held, 8);
        let view = |id, table, found| View {
            id: SequenceId(id),
            class: Class::Interactive,
            served: 0,
            n_tokens: 10,
            n_computed: 4 * usize::min(<[u32]>::len(table), 1),
            is_generating: false,
            n_guessed: 0,
            table,
            found,
            rest: None,
        };
        let views = [view(1, &held[..1], &[]), view(2, &[], &held)];
        assert_eq!(told(&plan(&views[1..], &blocks, LIMITS)), "2:8+2 on 2");
        assert_eq!(told(&plan(&views, &blocks, LIMITS)), "1:4+6 2:8+2 on 2");
        // What another sequence still holds is not free when that one is preempted for it.
        let mut full = Blocks::new(2, 4);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        full.grow(&mut first, 4);
        full.grow(&mut second, 4);
        let generating = View { n_tokens: 5, is_generating: true, ..view(1, &first, &[]) };
        let views = [generating, view(2, &second, &[]), view(3, &[], &second)];
        assert_eq!(told(&plan(&views, &full, LIMITS)), "-2 1:4+1");
    }

    #[test]
    fn tokens_of_another_page_are_copied_where_there_is_room_for_both() {
        let check = |n_pages: usize, n_held: usize, expected: &str| {
            let mut blocks = Blocks::new(n_pages, 4);
            let tokens: Vec<_> = (0..7).map(base::TokenId).collect();
            let known = crate::blocks::Known { salt: 0, adapter: None, tokens: &tokens, n_prompt: 7 };
            let (mut kept, mut held) = (Vec::new(), Vec::new());
            blocks.grow(&mut kept, 7);
            blocks.keep(&mut kept, known, 0..7);
            blocks.keep_rest(&kept, known, 7);
            blocks.release(&mut kept);
            blocks.grow(&mut held, 4 * n_held);
            let text: Vec<_> = (0..10).map(base::TokenId).collect();
            let found = blocks.find(crate::blocks::Known { tokens: &text, n_prompt: 10, ..known });
            let view = View {
                id: SequenceId(1),
                class: Class::Interactive,
                served: 0,
                n_tokens: 10,
                n_computed: 0,
                is_generating: false,
                n_guessed: 0,
                table: &[],
                found: &found.pages,
                rest: found.rest,
            };
            assert_eq!(told(&plan(&[view], &blocks, LIMITS)), expected);
        };
        check(9, 0, "1:7+3 on 1 and 3");
        check(4, 0, "1:7+3 on 1 and 3");
        // The page that is copied from takes the room of the last one, until the next step.
        check(3, 0, "1:7+1 on 1 and 3");
        check(3, 1, "1:4+4 on 1");
    }
}
