//! The scheduler with a model that is a hash: its "keys and values" are the tokens themselves, so that a page that
//! is mixed up, or a row of the wrong role, gives another answer.

use base::TokenId;
use infer::draft::DraftModel;
use infer::{BLOCK, Batch, Engine, Model, Request};
use models::probe::Probe;
use ops::linear::low_rank::AdapterId;

use crate::scenario::{Scenario, Sizes, alone, compare, run};

pub const VOCABULARY: usize = 50;

/// Each place of each page holds what was written there last.
pub struct Hashed {
    pages: Vec<[u64; BLOCK]>,
    vocabulary: usize,
}

impl Hashed {
    pub fn new(blocks: usize) -> Self {
        Self { pages: vec![[0; BLOCK]; blocks], vocabulary: VOCABULARY }
    }

    pub fn engine(blocks: usize, limits: infer::Limits) -> Engine<Self> {
        Engine::new(Self::new(blocks), limits)
    }
}

fn mix(a: u64, b: u64) -> u64 {
    (a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(23).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

impl Model for Hashed {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn context(&self) -> usize {
        1000
    }

    fn blocks(&self) -> usize {
        self.pages.len()
    }

    fn has_adapter(&self, adapter: AdapterId) -> bool {
        ADAPTERS.contains(&adapter)
    }

    fn forward(&mut self, batch: &Batch, _: Option<&mut dyn Probe>) -> Vec<f32> {
        let mut logits = Vec::new();
        let mut row = 0;
        let adapter = |row: usize| {
            let some = batch.adapters.iter().find(|some| some.rows.contains(&(row as u32)));
            some.map_or(0, |some| u64::from(some.adapter.0[0]) + 1)
        };
        for span in &batch.spans.0 {
            for position in span.past..span.past + span.rows {
                let role = u64::from(row < batch.rows.prompt);
                let value = mix(mix(u64::from(batch.ids[row]) + 1, position as u64), role);
                let value = mix(value, adapter(row));
                self.pages[span.table[position / BLOCK] as usize][position % BLOCK] = value;
                if batch.wanted.contains(&row) {
                    let seen = |p: usize| self.pages[span.table[p / BLOCK] as usize][p % BLOCK];
                    let state = (0..=position).fold(7, |state, p| mix(state, seen(p)));
                    // Seven times in eight the token of this place in a round of seven, so that guesses can be right.
                    let expected = (state % 8 != 0).then_some(10 + position as u64 % 7);
                    let bonus = |id: u64| if expected == Some(id) { 10.0 } else { 0.0 };
                    logits.extend(
                        (0..self.vocabulary as u64).map(|id| (mix(state, id) >> 40) as f32 / 2e6 + bonus(id)),
                    );
                }
                row += 1;
            }
        }
        assert_eq!(row, batch.ids.len(), "every row belongs to a span");
        logits
    }

    fn read_page(&self, page: u32, n_tokens: usize) -> Vec<u8> {
        self.pages[page as usize][..n_tokens].iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn write_page(&mut self, page: u32, n_tokens: usize, bytes: &[u8]) -> bool {
        let page = &mut self.pages[page as usize];
        // What was not brought is not there: a row that looks at it gives another answer.
        *page = [u64::MAX; BLOCK];
        for (value, bytes) in page.iter_mut().zip(bytes.chunks_exact(8)) {
            *value = u64::from_le_bytes(bytes.try_into().unwrap());
        }
        bytes.len() == 8 * n_tokens
    }
}

pub const ADAPTERS: [AdapterId; 2] = [AdapterId([1; 32]), AdapterId([2; 32])];

pub const SIZES: Sizes = Sizes { vocabulary: VOCABULARY, longest_prompt: 150, longest_answer: 60 };

#[test]
fn in_a_batch_is_as_alone_for_two_thousand_scenarios() {
    let (mut n_preempted, mut n_cancelled) = (0, 0);
    let (mut n_adopted, mut n_copied, mut n_guessed_right) = (0, 0, 0);
    for seed in 0..2000 {
        let scenario = Scenario::new(seed, SIZES);
        let blocks = [7, 9, 14, 100][seed as usize % 4];
        let mut engine = Hashed::engine(blocks, scenario.limits);
        if seed % 3 == 0 {
            // One that is often wrong, at times without pages, and with more tokens or fewer.
            let vocabulary = [VOCABULARY, VOCABULARY + 9, VOCABULARY - 9][(seed / 3) as usize % 3];
            engine = engine.with_draft(DraftModel::new(Hashed { vocabulary, ..Hashed::new(11) }));
        }
        let report = run(&mut engine, &scenario);
        compare(
            &scenario,
            &report,
            |r| alone(&mut Hashed::engine(blocks, infer::Limits::default()), r),
            seed,
        );
        n_preempted += report.n_preempted;
        n_cancelled += report.n_cancelled;
        n_adopted += report.n_adopted;
        n_copied += report.n_copied;
        n_guessed_right += report.n_guessed_right;
    }
    assert!(n_preempted > 500, "the scenarios run out of memory only {n_preempted} times");
    assert!(n_cancelled > 500, "the scenarios cancel only {n_cancelled} times");
    assert!(n_adopted > 300, "only {n_adopted} pages are found again");
    assert!(n_copied > 3000, "only {n_copied} tokens are copied");
    assert!(n_guessed_right > 1000, "only {n_guessed_right} guesses are right");
}

#[test]
fn with_adapters_in_a_batch_is_as_alone_and_no_page_serves_another_adapter() {
    let (mut n_adopted, mut n_copied) = (0, 0);
    for seed in 0..600 {
        let scenario = Scenario::new(seed, SIZES).with_adapters(seed, &ADAPTERS);
        let blocks = [7, 14, 100][seed as usize % 3];
        let report = run(&mut Hashed::engine(blocks, scenario.limits), &scenario);
        let alone = |request: &Request| alone(&mut Hashed::engine(blocks, infer::Limits::default()), request);
        compare(&scenario, &report, alone, seed);
        n_adopted += report.n_adopted;
        n_copied += report.n_copied;
    }
    assert!(n_adopted > 20 && n_copied > 200, "{n_adopted} pages are found again, {n_copied} tokens copied");
}

#[test]
fn an_adapter_that_the_model_was_not_given_is_refused() {
    let mut engine = Hashed::engine(9, infer::Limits::default());
    let request = Request { adapter: Some(AdapterId([9; 32])), ..Request::new(vec![TokenId(3)], 1) };
    assert_eq!(engine.submit(request), Err(infer::Error::NoAdapter));
}

/// What a model does wrong.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    /// Every third page loses a token.
    LosesTokens,
    /// A copy lacks its last token.
    CopiesTooFew,
    /// A copy is made of the page beside.
    CopiesAnother,
    /// A copy is made the other way round.
    CopiesBackwards,
}

struct Confused(Hashed, Mistake);

impl Model for Confused {
    fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    fn context(&self) -> usize {
        self.0.context()
    }

    fn blocks(&self) -> usize {
        self.0.blocks()
    }

    fn forward(&mut self, batch: &Batch, probe: Option<&mut dyn Probe>) -> Vec<f32> {
        let logits = self.0.forward(batch, probe);
        if let Mistake::LosesTokens = self.1 {
            self.0.pages.iter_mut().step_by(3).for_each(|page| page[5] = 0);
        }
        logits
    }

    fn read_page(&self, page: u32, n_tokens: usize) -> Vec<u8> {
        self.0.read_page(page, n_tokens)
    }

    fn write_page(&mut self, page: u32, n_tokens: usize, bytes: &[u8]) -> bool {
        self.0.write_page(page, n_tokens, bytes)
    }

    fn copy_page(&mut self, from: u32, to: u32, n_tokens: usize) {
        match self.1 {
            Mistake::LosesTokens => self.0.copy_page(from, to, n_tokens),
            Mistake::CopiesTooFew => self.0.copy_page(from, to, n_tokens - 1),
            Mistake::CopiesAnother => self.0.copy_page((from + 1) % self.blocks() as u32, to, n_tokens),
            Mistake::CopiesBackwards => self.0.copy_page(to, from, n_tokens),
        }
    }
}

#[test]
fn a_model_that_mixes_up_pages_is_found_out() {
    use Mistake::{CopiesAnother, CopiesBackwards, CopiesTooFew, LosesTokens};
    for mistake in [LosesTokens, CopiesTooFew, CopiesAnother, CopiesBackwards] {
        let caught = (0..120).filter(|&seed| {
            let scenario = Scenario::new(seed, SIZES);
            let confused = Confused(Hashed::new(14), mistake);
            let report = run(&mut Engine::new(confused, scenario.limits), &scenario);
            let alone = |request: &Request| alone(&mut Hashed::engine(14, infer::Limits::default()), request);
            let check = || compare(&scenario, &report, alone, seed);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
        });
        let n_caught = caught.count();
        assert!(n_caught > 8, "{mistake:?} is noticed in {n_caught} of 120 scenarios");
    }
}
