//! From logits to one token.
//!
//! In this order: bias, penalties, what a form forbids, ends that come too early, temperature, top-k, typical-p, top-p, min-p, then one draw;
//! Mirostat takes the place of all cuts. What is reported as
//! a token's probability is the model's own, before any of them: that of a forbidden token too.
//!
//! Sources: A. Holtzman et al., "The Curious Case of Neural Text Degeneration" (2019) for top-p; M. Nguyen et al.,
//! "Min-p Sampling" (2024); C. Meister et al.,
//! "Locally Typical Sampling" (2022); N. Keskar et al., "CTRL" (2019) for the repetition penalty.

pub mod mirostat;

use std::collections::{BTreeMap, HashMap, VecDeque};

use base::{Rng, TokenId};
use text::grammar::TokenSet;

use crate::Error;
use mirostat::{Bound, Mirostat};

/// How to choose tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the best token always.
    pub temperature: f32,
    /// Keep the best `top_k`; 0 keeps all.
    pub top_k: usize,
    /// Keep the best whose probabilities sum to this.
    pub top_p: f32,
    /// Drop those less likely than this share of the best one's probability.
    pub min_p: f32,
    /// Keep those whose surprise is nearest to the expected one, up to this sum of probabilities; 1 keeps all.
    pub typical_p: f32,
    /// Takes the place of all of these.
    pub mirostat: Option<Mirostat>,
    /// Positive logits of tokens that occurred are divided by it, negative ones multiplied.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens that were generated.
    pub presence_penalty: f32,
    /// Subtracted from the logits of tokens for each time that they were generated.
    pub frequency_penalty: f32,
    /// How many of the last tokens, the prompt's among them, the three look at; all when absent.
    pub last_n: Option<usize>,
    /// Added to single logits.
    pub logit_bias: BTreeMap<TokenId, f32>,
    /// Starts the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    /// The best token always.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            mirostat: None,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            last_n: None,
            logit_bias: BTreeMap::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// # Errors
    /// [`Error::Setting`] for the first setting that has no meaning.
    pub fn check(&self) -> Result<(), Error> {
        let Mirostat { target, rate, .. } = self.mirostat.unwrap_or(Mirostat::USUAL);
        let rules: [(&'static str, f32, bool, &'static str); 9] = [
            ("temperature", self.temperature, (0.0..=100.0).contains(&self.temperature), "between 0 and 100"),
            ("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "above 0 and at most 1"),
            ("min_p", self.min_p, (0.0..=1.0).contains(&self.min_p), "between 0 and 1"),
            (
                "typical_p",
                self.typical_p,
                self.typical_p > 0.0 && self.typical_p <= 1.0,
                "above 0 and at most 1",
            ),
            ("mirostat_tau", target, (0.0..=100.0).contains(&target), "between 0 and 100"),
            ("mirostat_eta", rate, (0.0..=1.0).contains(&rate), "between 0 and 1"),
            (
                "repetition_penalty",
                self.repetition_penalty,
                self.repetition_penalty > 0.0 && self.repetition_penalty <= 100.0,
                "above 0 and at most 100",
            ),
            (
                "presence_penalty",
                self.presence_penalty,
                self.presence_penalty.abs() <= 100.0,
                "between -100 and 100",
            ),
            (
                "frequency_penalty",
                self.frequency_penalty,
                self.frequency_penalty.abs() <= 100.0,
                "between -100 and 100",
            ),
        ];
        for (setting, value, holds, wanted) in rules {
            if !holds {
                return Err(Error::Setting { setting, value: value.to_string(), wanted });
            }
        }
        match self.logit_bias.iter().find(|(_, bias)| bias.is_nan()) {
            Some((token, bias)) => {
                let value = format!("{bias} for token {token}");
                Err(Error::Setting { setting: "logit_bias", value, wanted: "a number" })
            }
            None => Ok(()),
        }
    }
}

/// A token and the natural logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likely {
    /// The token.
    pub token: TokenId,
    /// Natural logarithm of its probability.
    pub log_probability: f32,
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The token, with the model's own probability.
    pub chosen: Likely,
    /// The most likely tokens by the model itself, best first.
    pub alternatives: Vec<Likely>,
}

/// What a row of logits gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawn {
    /// A token.
    Choice(Choice),
    /// Nothing, because a logit is not a number.
    NotFinite,
    /// Nothing, because every allowed token is ruled out by a bias or by the model.
    NoneLeft,
}

/// Which tokens may come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed<'a> {
    /// Those of this set; all where there is none.
    pub form: Option<&'a TokenSet>,
    /// None of these, unless nothing else may come.
    pub unless_alone: &'a [TokenId],
}

impl Allowed<'_> {
    /// Those candidates that may come.
    fn of(self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        if let Some(form) = self.form {
            candidates.retain(|candidate| form.has(candidate.token) && candidate.logit > f32::NEG_INFINITY);
        }
        if self.unless_alone.is_empty() {
            return candidates;
        }
        let is_last = |candidate: &Candidate| self.unless_alone.contains(&candidate.token);
        let (last, first): (Vec<_>, Vec<_>) = candidates.into_iter().partition(is_last);
        if first.is_empty() { last } else { first }
    }
}

/// Chooses the tokens of one sequence.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    rng: Rng,
    seen: HashMap<TokenId, Seen>,
    /// The last tokens, where penalties look at no more of them.
    last: VecDeque<(TokenId, Whose)>,
    bound: Option<Bound>,
}

/// Where a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Prompt,
    Answer,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    in_all: u32,
    in_answer: u32,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: TokenId,
    logit: f32,
}

impl Sampler {
    /// A sampler for a sequence that begins with `prompt`.
    pub fn new(sampling: Sampling, prompt: &[TokenId]) -> Self {
        let (rng, bound) = (Rng::new(sampling.seed), sampling.mirostat.map(Bound::new));
        let mut sampler = Self { sampling, rng, seen: HashMap::new(), last: VecDeque::new(), bound };
        let first = prompt.len().saturating_sub(sampler.sampling.last_n.unwrap_or(prompt.len()));
        prompt[first..].iter().for_each(|&token| sampler.see(token, Whose::Prompt));
        sampler
    }

    /// Notes that a token occurred, and forgets the one that penalties look at no more.
    fn see(&mut self, token: TokenId, whose: Whose) {
        let seen = self.seen.entry(token).or_default();
        seen.in_all += 1;
        seen.in_answer += u32::from(whose == Whose::Answer);
        let Some(last_n) = self.sampling.last_n else { return };
        self.last.push_back((token, whose));
        while self.last.len() > last_n
            && let Some((gone, whose)) = self.last.pop_front()
        {
            let seen = self.seen.entry(gone).or_default();
            seen.in_all = seen.in_all.saturating_sub(1);
            seen.in_answer = seen.in_answer.saturating_sub(u32::from(whose == Whose::Answer));
            if seen.in_all == 0 {
                self.seen.remove(&gone);
            }
        }
    }

    /// Chooses a token from a row of logits `[V]`; `None` when one of them is not a number.
    pub fn choose(&mut self, logits: &[f32], n_alternatives: usize) -> Option<Choice> {
        match self.choose_of(Allowed::default(), logits, n_alternatives) {
            Drawn::Choice(choice) => Some(choice),
            Drawn::NotFinite | Drawn::NoneLeft => None,
        }
    }

    /// Chooses one of the tokens that are allowed.
    pub fn choose_of(&mut self, allowed: Allowed<'_>, logits: &[f32], n_alternatives: usize) -> Drawn {
        if !is_finite(logits) {
            return Drawn::NotFinite;
        }
        let Some(token) = self.draw(logits, allowed) else { return Drawn::NoneLeft };
        let Some(choice) = judge(logits, token, n_alternatives) else { return Drawn::NotFinite };
        self.see(token, Whose::Answer);
        Drawn::Choice(choice)
    }

    /// One token of those that are allowed; none where the bias or the model itself rules out all of them.
    fn draw(&mut self, logits: &[f32], allowed: Allowed<'_>) -> Option<TokenId> {
        let mut all = candidates(logits);
        self.bias_and_penalise(&mut all);
        let candidates = allowed.of(all);
        if candidates.is_empty() {
            return None;
        }
        if self.sampling.temperature == 0.0 {
            return Some(best(candidates, 1)[0].token);
        }
        if self.bound.is_some() {
            return Some(self.draw_within_bound(candidates));
        }
        let candidates = self.filter(candidates);
        let largest = candidates[0].logit;
        let weights: Vec<f64> = candidates.iter().map(|c| self.weight(c.logit, largest)).collect();
        Some(candidates[self.pick(&weights)].token)
    }

    /// The place of one of these, each as likely as its weight.
    fn pick(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.rng.uniform() * weights.iter().sum::<f64>();
        let found = weights.iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        found.unwrap_or(0)
    }

    /// One of the tokens that Mirostat keeps; moves its bound.
    fn draw_within_bound(&mut self, candidates: Vec<Candidate>) -> TokenId {
        let n = candidates.len();
        let candidates = best(candidates, n);
        let probabilities = self.probabilities(&candidates);
        let n_kept = self.bound.as_ref().map_or(n, |bound| bound.n_kept(&probabilities));
        let place = self.pick(&probabilities[..n_kept]);
        self.bound.iter_mut().for_each(|bound| bound.see(probabilities[place]));
        candidates[place].token
    }

    /// Probabilities of candidates, of which the first is the best.
    fn probabilities(&self, candidates: &[Candidate]) -> Vec<f64> {
        let largest = candidates[0].logit;
        let weights: Vec<f64> = candidates.iter().map(|c| self.weight(c.logit, largest)).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect()
    }

    fn weight(&self, logit: f32, largest: f32) -> f64 {
        ((f64::from(logit) - f64::from(largest)) / f64::from(self.sampling.temperature)).exp()
    }

    fn bias_and_penalise(&self, candidates: &mut [Candidate]) {
        let sampling = &self.sampling;
        for (token, bias) in &sampling.logit_bias {
            if let Some(candidate) = candidates.get_mut(token.index()) {
                candidate.logit += bias;
            }
        }
        for (token, seen) in &self.seen {
            let Some(candidate) = candidates.get_mut(token.index()) else { continue };
            let logit = &mut candidate.logit;
            let penalty = sampling.repetition_penalty;
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            if seen.in_answer > 0 {
                *logit -= sampling.presence_penalty + sampling.frequency_penalty * seen.in_answer as f32;
            }
        }
    }

    /// The candidates that top-k, typical-p, top-p and min-p leave, the best first.
    fn filter(&self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let sampling = &self.sampling;
        let top_k = if sampling.top_k == 0 { candidates.len() } else { sampling.top_k };
        let mut kept = best(candidates, top_k);
        if sampling.typical_p < 1.0 {
            kept = self.typical(kept);
        }
        let largest = kept[0].logit;
        if sampling.top_p < 1.0 {
            let total: f64 = kept.iter().map(|c| self.weight(c.logit, largest)).sum();
            let mut sum = 0.0;
            let enough = kept.iter().position(|c| {
                sum += self.weight(c.logit, largest);
                sum >= f64::from(sampling.top_p) * total
            });
            kept.truncate(enough.map_or(kept.len(), |last| last + 1));
        }
        if sampling.min_p > 0.0 {
            kept.retain(|c| self.weight(c.logit, largest) >= f64::from(sampling.min_p));
        }
        kept
    }
}

impl Sampler {
    /// Of candidates, the best first, those that are most typical, in their order.
    fn typical(&self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let probabilities = self.probabilities(&candidates);
        let surprise = |place: usize| -probabilities[place].max(f64::MIN_POSITIVE).ln();
        let expected: f64 = (0..candidates.len()).map(|place| probabilities[place] * surprise(place)).sum();
        let distance = |place: &usize| (surprise(*place) - expected).abs();
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        let mut sum = 0.0;
        let enough = order.iter().position(|&place| {
            sum += probabilities[place];
            sum >= f64::from(self.sampling.typical_p)
        });
        order.truncate(enough.map_or(order.len(), |last| last + 1));
        order.sort_unstable();
        order.into_iter().map(|place| candidates[place]).collect()
    }
}

/// How likely `token` is by a row of logits `[V]` itself, with `n_alternatives` likely ones beside it; nothing where the
/// logits are no probabilities.
pub(crate) fn judge(logits: &[f32], token: TokenId, n_alternatives: usize) -> Option<Choice> {
    let total = log_sum_exp(logits);
    if !is_finite(logits) || !total.is_finite() {
        return None;
    }
    let likely =
        |token: TokenId| Likely { token, log_probability: (f64::from(logits[token.index()]) - total) as f32 };
    let best = best(candidates(logits), n_alternatives);
    let alternatives = best.into_iter().map(|candidate| likely(candidate.token)).collect();
    Some(Choice { chosen: likely(token), alternatives })
}

/// Whether something can be chosen by these logits.
fn is_finite(logits: &[f32]) -> bool {
    let is_number = |logit: &f32| !logit.is_nan() && *logit != f32::INFINITY;
    logits.iter().all(is_number) && logits.iter().any(|logit| logit.is_finite())
}

fn candidates(logits: &[f32]) -> Vec<Candidate> {
    logits.iter().zip(0..).map(|(&logit, id)| Candidate { token: TokenId(id), logit }).collect()
}

/// The `n` largest, the best first; of equals the one with the lower id.
fn best(mut candidates: Vec<Candidate>, n: usize) -> Vec<Candidate> {
    let order = |a: &Candidate, b: &Candidate| b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token));
    let n = n.min(candidates.len());
    if n == 0 {
        return Vec::new();
    }
    if n < candidates.len() {
        candidates.select_nth_unstable_by(n - 1, order);
        candidates.truncate(n);
    }
    candidates.sort_unstable_by(order);
    candidates
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - f64::from(largest)).exp()).sum();
    f64::from(largest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

    /// How often each token is drawn, in percent, over 20,000 draws from fresh samplers.
    fn shares(sampling: &Sampling, prompt: &[u32], logits: &[f32]) -> Vec<f64> {
        let prompt: Vec<TokenId> = prompt.iter().map(|&id| TokenId(id)).collect();
        let mut counts = vec![0.0; logits.len()];
        for seed in 0..20_000 {
            let mut sampler = Sampler::new(Sampling { seed, ..sampling.clone() }, &prompt);
            counts[sampler.choose(logits, 0).unwrap().chosen.token.index()] += 100.0 / 20_000.0;
        }
        counts
    }

    fn free() -> Sampling {
        Sampling { temperature: 1.0, ..Sampling::default() }
    }

    fn check(sampling: &Sampling, prompt: &[u32], logits: &[f32], expected: &[f64]) {
        let found = shares(sampling, prompt, logits);
        for (found, expected) in found.iter().zip(expected) {
            // Four standard deviations of a share at 20,000 draws are 1.4 percent at most.
            assert!((found - expected).abs() < 1.5, "{sampling:?}: {found:.1} instead of {expected:.1}");
            assert_eq!(*expected == 0.0, *found == 0.0, "{sampling:?}: what is dropped is never drawn");
        }
    }

    #[test]
    fn each_knob_changes_the_shares_as_its_formula_says() {
        let two = [0.0, 3f32.ln()]; // 25 % and 75 %
        check(&free(), &[], &two, &[25.0, 75.0]);
        check(&Sampling { temperature: 0.5, ..free() }, &[], &two, &[10.0, 90.0]);
        check(&Sampling { logit_bias: [(TokenId(0), 3f32.ln())].into(), ..free() }, &[], &two, &[50.0, 50.0]);
        check(
            &Sampling { logit_bias: [(TokenId(1), f32::NEG_INFINITY)].into(), ..free() },
            &[],
            &two,
            &[100.0, 0.0],
        );
        let four = [0.1f32, 0.2, 0.3, 0.4].map(f32::ln);
        check(&Sampling { top_k: 2, ..free() }, &[], &four, &[0.0, 0.0, 300.0 / 7.0, 400.0 / 7.0]);
        check(&Sampling { top_p: 0.65, ..free() }, &[], &four, &[0.0, 0.0, 300.0 / 7.0, 400.0 / 7.0]);
        check(&Sampling { top_p: 0.75, ..free() }, &[], &four, &[0.0, 200.0 / 9.0, 300.0 / 9.0, 400.0 / 9.0]);
        check(&Sampling { min_p: 0.45, ..free() }, &[], &four, &[0.0, 200.0 / 9.0, 300.0 / 9.0, 400.0 / 9.0]);
        // The prompt's tokens count for the repetition penalty and not for the others.
        let even = [2.0, 2.0];
        let unlikely = 100.0 / (1.0 + 1f64.exp());
        check(&Sampling { repetition_penalty: 2.0, ..free() }, &[0], &even, &[unlikely, 100.0 - unlikely]);
        check(&Sampling { presence_penalty: 5.0, ..free() }, &[0], &even, &[50.0, 50.0]);
    }

    #[test]
    fn penalties_look_back_as_far_as_is_said() {
        let even = [0.0f32, 0.0, 0.0, 0.0];
        let drawn = |last_n: Option<usize>, prompt: &[u32], penalty: f32| -> Vec<u32> {
            let prompt: Vec<TokenId> = prompt.iter().map(|&id| TokenId(id)).collect();
            let sampling = Sampling { presence_penalty: penalty, last_n, ..Sampling::default() };
            let mut sampler = Sampler::new(sampling, &prompt);
            (0..7).map(|_| sampler.choose(&even, 0).unwrap().chosen.token.0).collect()
        };
        // The first that was not among the last two; among all, the fourth round begins anew.
        assert_eq!(drawn(Some(2), &[], 1.0), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(drawn(Some(1), &[], 1.0), [0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(drawn(Some(0), &[], 1.0), [0; 7]);
        assert_eq!(drawn(None, &[], 1.0), [0, 1, 2, 3, 0, 0, 0]);
        // A scalar look at the last n tokens of prompt and answer, step by step, by the formula.
        let logits = [1.0f32, -0.5, 0.75, 0.9, -2.0];
        for last_n in [0usize, 1, 2, 3, 5, 100] {
            let prompt = [2u32, 0, 3, 3];
            let (repetition_penalty, presence_penalty, frequency_penalty) = (1.3, 0.2, 0.15);
            let penalties =
                Sampling { repetition_penalty, presence_penalty, frequency_penalty, ..Sampling::default() };
            let sampling = Sampling { last_n: Some(last_n), ..penalties };
            let mut sampler = Sampler::new(sampling, &prompt.map(TokenId));
            let mut all: Vec<(u32, f32)> = prompt.iter().map(|&id| (id, 0.0)).collect();
            for _ in 0..12 {
                let window = &all[all.len().saturating_sub(last_n)..];
                let penalised = |id: u32| {
                    let logit = logits[id as usize];
                    if !window.iter().any(|(seen, _)| *seen == id) {
                        return logit;
                    }
                    let n: f32 = window.iter().filter(|(seen, _)| *seen == id).map(|(_, own)| own).sum();
                    let logit =
                        if logit > 0.0 { logit / repetition_penalty } else { logit * repetition_penalty };
                    if n > 0.0 { logit - (presence_penalty + frequency_penalty * n) } else { logit }
                };
                let expected =
                    (0..5u32).rev().max_by(|a, b| penalised(*a).total_cmp(&penalised(*b))).unwrap();
                assert_eq!(sampler.choose(&logits, 0).unwrap().chosen.token.0, expected, "{last_n} {all:?}");
                all.push((expected, 1.0));
            }
        }
    }

    #[test]
    fn typical_tokens_are_those_whose_surprise_is_the_expected_one() {
        // Surprises of 0.36, 1.90 and 1.90 nats, expected 0.82: 0.46 and 1.08 away.
        let three = [0.7f32, 0.15, 0.15].map(f32::ln);
        check(&Sampling { typical_p: 0.6, ..free() }, &[], &three, &[100.0, 0.0, 0.0]);
        check(&Sampling { typical_p: 0.8, ..free() }, &[], &three, &[700.0 / 8.5, 150.0 / 8.5, 0.0]);
        // Surprises of 0.92, 1.61 and 1.61, …: expected 1.47, so that the best token is the least typical one.
        let flat = [0.4f32, 0.2, 0.2, 0.1, 0.1].map(f32::ln);
        check(&Sampling { typical_p: 0.35, ..free() }, &[], &flat, &[0.0, 50.0, 50.0, 0.0, 0.0]);
        check(&Sampling { typical_p: 1.0, ..free() }, &[], &flat, &[40.0, 20.0, 20.0, 10.0, 10.0]);
    }

    #[test]
    fn mirostat_cuts_by_its_bound_alone() {
        use super::mirostat::Version;
        let four = [0.5f32, 0.25, 0.125, 0.125].map(f32::ln);
        let mirostat = |target| Some(Mirostat { version: Version::Second, target, rate: 0.1 });
        let at = |target| Sampling { mirostat: mirostat(target), top_k: 1, min_p: 0.9, ..free() };
        check(&at(0.5), &[], &four, &[100.0, 0.0, 0.0, 0.0]);
        check(&at(1.25), &[], &four, &[200.0 / 3.0, 100.0 / 3.0, 0.0, 0.0]);
        check(&at(2.0), &[], &four, &[50.0, 25.0, 12.5, 12.5]);
        // Over a long answer the mean surprise comes to the target: the best token's is 2.4 bits, the expected one 6.3.
        let logits: Vec<f32> = (1..=500).map(|rank| -1.1 * (rank as f32).ln()).collect();
        for (version, target) in [(Version::Second, 3.0f32), (Version::Second, 4.0), (Version::First, 3.0)] {
            let mirostat = Some(Mirostat { version, target, rate: 0.1 });
            let mut sampler = Sampler::new(Sampling { mirostat, seed: 7, ..free() }, &[]);
            let surprise = |sampler: &mut Sampler| {
                -f64::from(sampler.choose(&logits, 0).unwrap().chosen.log_probability) / 2f64.ln()
            };
            let mean = (0..2000).map(|_| surprise(&mut sampler)).sum::<f64>() / 2000.0;
            assert!((mean - f64::from(target)).abs() < 0.1, "{version:?} {target}: {mean}");
        }
    }

    #[test]
    fn ends_that_come_too_early_come_only_where_nothing_else_may() {
        let chosen = |sampling: &Sampling, logits: &[f32]| {
            let allowed = Allowed { form: None, unless_alone: &[TokenId(1), TokenId(3)] };
            match Sampler::new(sampling.clone(), &[]).choose_of(allowed, logits, 0) {
                Drawn::Choice(choice) => choice.chosen.token.0,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(chosen(&Sampling::default(), &LOGITS), 2);
        let mirostat = Some(Mirostat::USUAL);
        for sampling in [free(), Sampling { typical_p: 0.5, ..free() }, Sampling { mirostat, ..free() }] {
            for seed in 0..200 {
                let token = chosen(&Sampling { seed, ..sampling.clone() }, &LOGITS);
                assert!(token != 1 && token != 3, "{sampling:?}");
            }
        }
    }

    #[test]
    fn zero_temperature_takes_the_best_and_of_equals_the_first() {
        let mut sampler = Sampler::new(Sampling::default(), &[]);
        let choice = sampler.choose(&LOGITS, 3).unwrap();
        assert_eq!(choice.chosen.token, TokenId(1));
        let best: Vec<u32> = choice.alternatives.iter().map(|likely| likely.token.0).collect();
        assert_eq!(best, [1, 3, 2]);
        let total: f64 = LOGITS.iter().map(|&logit| f64::from(logit).exp()).sum();
        let expected = 3.0 - total.ln();
        assert!((f64::from(choice.chosen.log_probability) - expected).abs() < 1e-6);
    }

    #[test]
    fn penalties_grow_with_what_was_generated() {
        let sampling = Sampling { frequency_penalty: 0.75, ..Sampling::default() };
        let mut sampler = Sampler::new(sampling, &[]);
        let drawn: Vec<u32> = (0..6).map(|_| sampler.choose(&LOGITS, 0).unwrap().chosen.token.0).collect();
        // 3.0, 3.0 | 2.25, 2.25 and 2.0 | then token 2 after two of each.
        assert_eq!(drawn, [1, 3, 1, 3, 2, 1]);
        let sampling = Sampling { presence_penalty: 10.0, ..Sampling::default() };
        let mut sampler = Sampler::new(sampling, &[]);
        let drawn: Vec<u32> = (0..5).map(|_| sampler.choose(&LOGITS, 0).unwrap().chosen.token.0).collect();
        assert_eq!(drawn, [1, 3, 2, 0, 4]);
    }

    #[test]
    fn logits_that_are_no_numbers_choose_nothing() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(Sampler::new(free(), &[]).choose(&[0.0, bad], 1), None);
        }
        assert_eq!(Sampler::new(free(), &[]).choose(&[f32::NEG_INFINITY; 3], 1), None);
        assert_eq!(Sampler::new(free(), &[]).choose(&[], 1), None);
        assert!(Sampler::new(free(), &[]).choose(&[f32::NEG_INFINITY, 0.0], 1).is_some());
    }

    #[test]
    fn settings_without_meaning_are_refused_by_name() {
        let mirostat = |target, rate| Some(Mirostat { target, rate, ..Mirostat::USUAL });
        let cases: [(&str, Sampling); 9] = [
            ("typical_p", Sampling { typical_p: 0.0, ..free() }),
            ("mirostat_tau", Sampling { mirostat: mirostat(f32::NAN, 0.1), ..free() }),
            ("mirostat_eta", Sampling { mirostat: mirostat(5.0, -0.1), ..free() }),
            ("temperature", Sampling { temperature: -1.0, ..free() }),
            ("temperature", Sampling { temperature: f32::NAN, ..free() }),
            ("top_p", Sampling { top_p: 0.0, ..free() }),
            ("min_p", Sampling { min_p: 1.5, ..free() }),
            ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..free() }),
            ("logit_bias", Sampling { logit_bias: [(TokenId(1), f32::NAN)].into(), ..free() }),
        ];
        for (name, sampling) in cases {
            let Err(Error::Setting { setting, .. }) = sampling.check() else { panic!("{sampling:?}") };
            assert_eq!(setting, name);
        }
        assert!(free().check().is_ok());
    }
}
