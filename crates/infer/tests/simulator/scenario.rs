//! What people could ask for, made from a seed, and the run of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{Rng, TokenId};
use infer::fair::{Class, Owner};
use infer::sample::Choice;
use infer::{Beginning, Engine, Event, Guessing, Limits, Model, Reason, Request, Sampling, SequenceId};
use ops::linear::low_rank::AdapterId;

/// What a model must be like for a scenario to be made for it.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub vocabulary: usize,
    pub longest_prompt: usize,
    pub longest_answer: usize,
}

/// One request: when it comes, and when somebody loses patience.
#[derive(Clone)]
pub struct Arrival {
    pub step: usize,
    pub cancelled_after: Option<usize>,
    pub request: Request,
}

/// A sequence of arrivals, and how much a step may do.
pub struct Scenario {
    pub arrivals: Vec<Arrival>,
    pub limits: Limits,
}

/// What a sequence came to: each token with the bits of its log probability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub tokens: Vec<(u32, u32)>,
    /// The same of the tokens of a prompt, where somebody asked for them.
    pub scores: Vec<(u32, u32)>,
    pub reason: Option<Reason>,
}

/// What happened in a run.
#[derive(Default)]
pub struct Report {
    pub outcomes: Vec<Outcome>,
    pub n_preempted: usize,
    pub n_cancelled: usize,
    /// Pages that were found instead of computed.
    pub n_adopted: usize,
    /// Tokens that sequences began with, for whatever reason.
    pub n_found: usize,
    /// Tokens that were copied from pages that agreed for a part.
    pub n_copied: usize,
    /// Tokens that came in a step with others of their sequence.
    pub n_guessed_right: usize,
}

impl Scenario {
    pub fn new(seed: u64, sizes: Sizes) -> Self {
        let mut rng = Rng::new(seed);
        let n = 2 + rng.below(6);
        let beginning = tokens(&mut rng, sizes.longest_prompt, sizes.vocabulary);
        let arrivals = (0..n).map(|_| arrival(&mut rng, sizes, &beginning)).collect();
        let rows = [3, 7, 16, 40, 512][rng.below(5)];
        let sequences = [2, 4, 64][rng.below(3)];
        let (rows_beside, guesses) = ([2, 32][rng.below(2)], [2, 8, 32][rng.below(3)]);
        Self { arrivals, limits: Limits { rows, rows_beside, guesses, sequences, ..Limits::default() } }
    }
}

impl Scenario {
    /// The same with one of these adapters, or none, for each request.
    pub fn with_adapters(mut self, seed: u64, adapters: &[AdapterId]) -> Self {
        let mut rng = Rng::new(!seed);
        for arrival in &mut self.arrivals {
            arrival.request.adapter = adapters.get(rng.below(adapters.len() + 1)).copied();
        }
        self
    }
}

/// Between one and `most` tokens, at times the same few again and again.
fn tokens(rng: &mut Rng, most: usize, vocabulary: usize) -> Vec<TokenId> {
    let (n, period) = (1 + rng.below(most), [usize::MAX, 7][rng.below(2)]);
    let mut tokens: Vec<TokenId> = Vec::with_capacity(n);
    for index in 0..n {
        let repeated = index.checked_sub(period).map(|before| tokens[before]);
        tokens.push(repeated.unwrap_or_else(|| TokenId(rng.below(vocabulary) as u32)));
    }
    tokens
}

fn arrival(rng: &mut Rng, sizes: Sizes, beginning: &[TokenId]) -> Arrival {
    let mut prompt = tokens(rng, sizes.longest_prompt, sizes.vocabulary);
    if rng.below(2) == 0 {
        let n_shared = rng.below(prompt.len().min(beginning.len()) + 1);
        prompt[..n_shared].copy_from_slice(&beginning[..n_shared]);
    }
    let sampling = Sampling {
        temperature: [0.0, 0.8, 1.3][rng.below(3)],
        top_k: [0, 5, 40][rng.below(3)],
        top_p: [1.0, 0.9][rng.below(2)],
        repetition_penalty: [1.0, 1.2][rng.below(2)],
        seed: rng.next_u64(),
        ..Sampling::default()
    };
    let ends: Arc<[TokenId]> = if rng.below(2) == 0 { [TokenId(1), TokenId(2)].into() } else { [].into() };
    let request = Request {
        sampling,
        ends,
        owner: Owner(rng.below(3) as u64),
        class: [Class::Interactive, Class::Batch][rng.below(2)],
        beginning: [Beginning::Shared { salt: 0 }, Beginning::Shared { salt: 1 }, Beginning::Computed]
            [rng.below(3)],
        guessing: [Guessing::On, Guessing::On, Guessing::Off][rng.below(3)],
        scored: (rng.below(8) == 0).then_some(2),
        ..Request::new(prompt, 1 + rng.below(sizes.longest_answer))
    };
    let cancelled_after = (rng.below(5) == 0).then(|| rng.below(12));
    Arrival { step: rng.below(20), cancelled_after, request }
}

/// Runs a scenario to its end and checks on the way that no page is lost and nobody starves.
pub fn run<M: Model>(engine: &mut Engine<M>, scenario: &Scenario) -> Report {
    let mut report =
        Report { outcomes: vec![Outcome::default(); scenario.arrivals.len()], ..Report::default() };
    let mut running: BTreeMap<SequenceId, usize> = BTreeMap::new();
    let mut arrived = BTreeSet::new();
    let (total, mut last_progress) = (engine.blocks().total(), 0);
    for step in 0.. {
        let n_arrived = arrived.len();
        for (index, arrival) in scenario.arrivals.iter().enumerate() {
            if arrival.step <= step && arrived.insert(index) {
                let id = engine.submit(arrival.request.clone()).expect("the request fits");
                running.insert(id, index);
            }
            let is_impatient = arrival.cancelled_after.is_some_and(|after| arrival.step + after <= step);
            let found = running.iter().find(|&(_, other)| *other == index).map(|(&id, _)| id);
            if let (true, Some(id)) = (is_impatient, found) {
                assert!(engine.cancel(id), "a running sequence can be cancelled");
                running.remove(&id);
                report.n_cancelled += 1;
            }
        }
        if running.is_empty() && arrived.len() == scenario.arrivals.len() {
            break;
        }
        let plan = engine.plan();
        report.n_preempted += plan.preempted.len();
        report.n_copied += plan.planned.iter().map(|planned| planned.copied).sum::<usize>();
        report.n_adopted += plan.planned.iter().map(|planned| planned.adopted).sum::<usize>();
        assert!(plan.planned.iter().map(|p| p.rows).sum::<usize>() <= scenario.limits.rows, "too many rows");
        assert!(plan.planned.len() <= scenario.limits.sequences, "too many sequences");
        let events = engine.step(None);
        // Who has just come, and waits for a shelf, stands in no plan before its first step.
        let has_come = arrived.len() > n_arrived;
        if !plan.planned.is_empty() || !events.is_empty() || running.is_empty() || has_come {
            last_progress = step;
        }
        assert!(step - last_progress < 2, "nothing was planned although sequences wait");
        let mut told = BTreeSet::new();
        for event in events {
            if let Event::Token { id, .. } = event {
                report.n_guessed_right += usize::from(!told.insert(id));
            }
            note(event, &mut running, &mut report);
        }
        assert!(step < 20_000, "somebody starves");
    }
    assert_eq!(engine.blocks().n_free(), total, "a page was lost");
    assert_eq!(engine.n_sequences(), 0);
    report
}

fn note(event: Event, running: &mut BTreeMap<SequenceId, usize>, report: &mut Report) {
    let likely = |choice: &Choice| (choice.chosen.token.0, choice.chosen.log_probability.to_bits());
    match event {
        Event::Token { id, choice, .. } => report.outcomes[running[&id]].tokens.push(likely(&choice)),
        Event::Scored { id, tokens } => {
            report.outcomes[running[&id]].scores.extend(tokens.iter().map(likely));
        }
        Event::Finished { id, reason } => {
            let index = running.remove(&id).expect("a sequence ends once");
            report.outcomes[index].reason = Some(reason);
        }
        Event::Failed { error, .. } => panic!("{error}"),
        Event::Found { n_tokens, .. } => {
            assert!(n_tokens > 0);
            report.n_found += n_tokens;
        }
    }
}

/// Runs one request with the engine to itself, without guesses.
pub fn alone<M: Model>(engine: &mut Engine<M>, request: &Request) -> Outcome {
    let request = Request { guessing: Guessing::Off, ..request.clone() };
    let arrival = Arrival { step: 0, cancelled_after: None, request };
    let scenario = Scenario { arrivals: vec![arrival], limits: Limits::default() };
    run(engine, &scenario).outcomes.remove(0)
}

/// Checks that every sequence of a run came to what it comes to alone, as far as it was let.
pub fn compare(scenario: &Scenario, report: &Report, mut alone: impl FnMut(&Request) -> Outcome, seed: u64) {
    for (index, (arrival, outcome)) in scenario.arrivals.iter().zip(&report.outcomes).enumerate() {
        let expected = alone(&arrival.request);
        if outcome.reason.is_some() {
            assert_eq!(outcome, &expected, "seed {seed}: sequence {index} differs from itself alone");
            let scored: Vec<u32> = outcome.scores.iter().map(|&(token, _)| token).collect();
            let prompt: Vec<u32> = arrival.request.prompt.iter().skip(1).map(|token| token.0).collect();
            let wanted = if arrival.request.scored.is_some() { &prompt[..] } else { &[] };
            assert_eq!(scored, wanted, "seed {seed}: sequence {index} scored other tokens than its prompt's");
        } else {
            let n = outcome.tokens.len();
            assert_eq!(
                outcome.tokens,
                expected.tokens[..n],
                "seed {seed}: cancelled sequence {index} differs"
            );
        }
    }
}
