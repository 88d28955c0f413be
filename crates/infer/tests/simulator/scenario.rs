//! What people could ask for, made from a seed, and the run of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{Rng, TokenId};
use infer::{Engine, Event, Limits, Model, Reason, Request, Sampling, SequenceId};

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
    pub reason: Option<Reason>,
}

/// What happened in a run.
#[derive(Default)]
pub struct Report {
    pub outcomes: Vec<Outcome>,
    pub n_preempted: usize,
    pub n_cancelled: usize,
}

impl Scenario {
    pub fn new(seed: u64, sizes: Sizes) -> Self {
        let mut rng = Rng::new(seed);
        let n = 2 + rng.below(6);
        let arrivals = (0..n).map(|_| arrival(&mut rng, sizes)).collect();
        let rows = [3, 7, 16, 40, 512][rng.below(5)];
        let sequences = [2, 4, 64][rng.below(3)];
        Self { arrivals, limits: Limits { rows, sequences, ..Limits::default() } }
    }
}

fn arrival(rng: &mut Rng, sizes: Sizes) -> Arrival {
    let length = 1 + rng.below(sizes.longest_prompt);
    let prompt = (0..length).map(|_| TokenId(rng.below(sizes.vocabulary) as u32)).collect();
    let sampling = Sampling {
        temperature: [0.0, 0.8, 1.3][rng.below(3)],
        top_k: [0, 5, 40][rng.below(3)],
        top_p: [1.0, 0.9][rng.below(2)],
        repetition_penalty: [1.0, 1.2][rng.below(2)],
        seed: rng.next_u64(),
        ..Sampling::default()
    };
    let ends: Arc<[TokenId]> = if rng.below(2) == 0 { [TokenId(1), TokenId(2)].into() } else { [].into() };
    let request =
        Request { prompt, sampling, ends, max_tokens: 1 + rng.below(sizes.longest_answer), alternatives: 0 };
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
        assert!(plan.planned.iter().map(|p| p.rows).sum::<usize>() <= scenario.limits.rows, "too many rows");
        assert!(plan.planned.len() <= scenario.limits.sequences, "too many sequences");
        if !plan.planned.is_empty() || running.is_empty() {
            last_progress = step;
        }
        assert!(step - last_progress < 2, "nothing was planned although sequences wait");
        for event in engine.step(None) {
            note(event, &mut running, &mut report);
        }
        assert!(step < 20_000, "somebody starves");
    }
    assert_eq!(engine.blocks().n_free(), total, "a page was lost");
    assert_eq!(engine.n_sequences(), 0);
    report
}

fn note(event: Event, running: &mut BTreeMap<SequenceId, usize>, report: &mut Report) {
    match event {
        Event::Token { id, choice, .. } => {
            let chosen = choice.chosen;
            report.outcomes[running[&id]].tokens.push((chosen.token.0, chosen.log_probability.to_bits()));
        }
        Event::Finished { id, reason } => {
            let index = running.remove(&id).expect("a sequence ends once");
            report.outcomes[index].reason = Some(reason);
        }
        Event::Failed { error, .. } => panic!("{error}"),
    }
}

/// Runs one request with the engine to itself.
pub fn alone<M: Model>(engine: &mut Engine<M>, request: &Request) -> Outcome {
    let arrival = Arrival { step: 0, cancelled_after: None, request: request.clone() };
    let scenario = Scenario { arrivals: vec![arrival], limits: Limits::default() };
    run(engine, &scenario).outcomes.remove(0)
}

/// Checks that every sequence of a run came to what it comes to alone, as far as it was let.
pub fn compare(scenario: &Scenario, report: &Report, mut alone: impl FnMut(&Request) -> Outcome, seed: u64) {
    for (index, (arrival, outcome)) in scenario.arrivals.iter().zip(&report.outcomes).enumerate() {
        let expected = alone(&arrival.request);
        if outcome.reason.is_some() {
            assert_eq!(outcome, &expected, "seed {seed}: sequence {index} differs from itself alone");
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
