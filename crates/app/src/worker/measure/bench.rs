//! How fast a model reads and writes here: a prompt and an answer behind it, the answers of several users at once, and
//! the answers to edits, several times over.

use std::time::Instant;

use base::{Rng, TokenId};
use infer::{Beginning, Engine, Event as Step, Guessing, Limits, LocalModel, Model, Request};

use super::edits::Edit;
use crate::event::measure::{Edited, Spread};
use crate::{Failure, job};

/// Tokens of the prompt before each of several answers.
const SHORT_PROMPT: usize = 32;

/// Tokens a second of one run: the prompt's, and the generated ones'.
pub(crate) struct Run {
    pub prompt: f64,
    pub generated: f64,
}

/// A model that is measured.
pub(crate) struct Trial<'a> {
    engine: Engine<LocalModel>,
    bench: &'a job::measure::Bench,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl<'a> Trial<'a> {
    /// # Errors
    /// A prompt with an answer that does not fit the model.
    pub fn new(
        model: LocalModel,
        bench: &'a job::measure::Bench,
        is_cancelled: &'a dyn Fn() -> bool,
    ) -> Result<Self, Failure> {
        let engine = Engine::new(model, Limits::default());
        let longest = bench.n_prompt.max(if bench.users.is_empty() { 0 } else { SHORT_PROMPT });
        let (wanted, room) = (longest.saturating_add(bench.n_generated), engine.context());
        if wanted >= room {
            let message = format!(
                "{longest} tokens of prompt and {} more do not fit the {room} that the model takes",
                bench.n_generated
            );
            return Err(Failure::new("prompt_too_long", message, "ask for a shorter --prompt"));
        }
        Ok(Self { engine, bench, is_cancelled })
    }

    /// A prompt and an answer behind it, as often as was asked for.
    pub fn alone(&mut self) -> Result<Vec<Run>, Failure> {
        let bench = self.bench;
        self.repeated(|trial, seed| {
            let seconds = trial.answers(1, bench.n_prompt, seed)?;
            Ok(Run {
                prompt: bench.n_prompt as f64 / seconds.before,
                generated: bench.n_generated as f64 / seconds.after,
            })
        })
    }

    /// Tokens a second of all answers together of so many users, as often as was asked for.
    pub fn together(&mut self, n_users: usize) -> Result<Vec<f64>, Failure> {
        let n_tokens = (n_users * self.bench.n_generated) as f64;
        self.repeated(|trial, seed| Ok(n_tokens / trial.answers(n_users, SHORT_PROMPT, seed)?.after))
    }

    /// The answers to edits, one after the other, without guesses and with them.
    pub fn edits(&mut self, edits: &[Edit]) -> Result<Edited, Failure> {
        let is_forced = self.bench.edits.as_ref().is_some_and(|edits| edits.is_forced);
        let longest = edits.iter().map(|edit| edit.prompt.len() + edit.target.len()).max().unwrap_or(0);
        if longest > self.engine.context() {
            let room = self.engine.context();
            let message = format!("an edit of {longest} tokens does not fit the {room} that the model takes");
            return Err(Failure::new("prompt_too_long", message, "give shorter --edits, or another model"));
        }
        let n_tokens: usize = edits.iter().map(|edit| edit.target.len()).sum();
        let runs = self.repeated(|trial, _| {
            let mut seconds = [0.0; 2];
            for edit in edits {
                for (seconds, guessing) in seconds.iter_mut().zip([Guessing::Off, Guessing::On]) {
                    let plain = Request::new(edit.prompt.clone(), edit.target.len());
                    let target = if is_forced { edit.target.as_slice().into() } else { plain.target.clone() };
                    trial.submit(Request { guessing, target, ..plain })?;
                    *seconds += trial.finish(1)?.after;
                }
            }
            Ok(seconds)
        })?;
        // The first token of each answer is the end of its prompt.
        let speed =
            |way: usize| spread(runs.iter().map(|seconds| (n_tokens - edits.len()) as f64 / seconds[way]));
        Ok(Edited {
            n_edits: edits.len(),
            n_tokens,
            is_forced,
            plain_tokens_per_s: speed(0),
            guessed_tokens_per_s: speed(1),
        })
    }

    /// One run more than was asked for: the first warms up. Stops between two of them when somebody wants that.
    fn repeated<T>(
        &mut self,
        mut run: impl FnMut(&mut Self, u64) -> Result<T, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let mut runs = Vec::new();
        for seed in 0..=self.bench.n_runs as u64 {
            if (self.is_cancelled)() {
                return Err(Failure::new(
                    "stopped",
                    "stopped before it was measured",
                    "begin again any time",
                ));
            }
            runs.push(run(self, seed)?);
        }
        runs.remove(0);
        Ok(runs)
    }

    /// Prompts of random tokens, all at once, and an answer to each.
    fn answers(&mut self, n_users: usize, n_prompt: usize, seed: u64) -> Result<Seconds, Failure> {
        let vocabulary = self.engine.model().vocabulary();
        let mut rng = Rng::new(seed);
        for _ in 0..n_users {
            let prompt = (0..n_prompt).map(|_| TokenId(rng.below(vocabulary) as u32)).collect();
            let plain = Request::new(prompt, self.bench.n_generated + 1);
            self.submit(Request { guessing: Guessing::Off, ..plain })?;
        }
        self.finish(n_users)
    }

    fn submit(&mut self, request: Request) -> Result<(), Failure> {
        self.engine.submit(Request { beginning: Beginning::Computed, ..request })?;
        Ok(())
    }

    /// Computes all that was submitted, for so many users.
    fn finish(&mut self, n_users: usize) -> Result<Seconds, Failure> {
        let begun = Instant::now();
        let (mut n_begun, mut before) = (0, None);
        let mut is_begun = std::collections::BTreeSet::new();
        while self.engine.n_sequences() > 0 {
            let step = Instant::now();
            let events = self.engine.step(None);
            // As where answers are made.
            self.engine.learn(step.elapsed());
            for event in events {
                match event {
                    Step::Token { id, .. } => n_begun += usize::from(is_begun.insert(id)),
                    Step::Failed { error, .. } => return Err(error.into()),
                    Step::Finished { .. } | Step::Found { .. } | Step::Scored { .. } => {}
                }
            }
            if n_begun == n_users {
                before.get_or_insert_with(|| begun.elapsed());
            }
        }
        let before = before.ok_or_else(Failure::internal)?;
        Ok(Seconds { before: before.as_secs_f64(), after: (begun.elapsed() - before).as_secs_f64() })
    }
}

/// How long answers took until each had its first token, and from then on.
struct Seconds {
    before: f64,
    after: f64,
}

/// The lowest, the middle and the highest.
pub(crate) fn spread(runs: impl IntoIterator<Item = f64>) -> Spread {
    let mut sorted: Vec<f64> = runs.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    Spread { lowest: at(0), median: at(sorted.len() / 2), highest: at(sorted.len().saturating_sub(1)) }
}
