//! How fast a model reads and writes here: a prompt, then tokens behind it, several times over.

use std::time::Instant;

use base::{Rng, TokenId};
use infer::{Beginning, Engine, Event as Step, Guessing, Limits, LocalModel, Request};

use crate::event::measure::Spread;
use crate::{Failure, job};

/// Tokens a second of one run: the prompt's, and the generated ones'.
pub(crate) struct Run {
    pub prompt: f64,
    pub generated: f64,
}

/// Runs a model as often as was asked for; stops between two runs when `is_cancelled`.
pub(crate) fn runs(
    model: LocalModel,
    bench: &job::measure::Bench,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Vec<Run>, Failure> {
    let vocabulary = model.decoder().config().vocabulary;
    let mut engine = Engine::new(model, Limits::default());
    let room = engine.context();
    if bench.n_prompt + bench.n_generated > room {
        let message = format!(
            "{} tokens of prompt and {} more do not fit the {room} that the model takes",
            bench.n_prompt, bench.n_generated
        );
        return Err(Failure::new("prompt_too_long", message, "ask for a shorter --prompt"));
    }
    let mut runs = Vec::new();
    // One more than was asked for: the first warms up.
    for seed in 0..=bench.n_runs as u64 {
        if is_cancelled() {
            return Err(Failure::new("stopped", "stopped before it was measured", "begin again any time"));
        }
        let mut rng = Rng::new(seed);
        let prompt = (0..bench.n_prompt).map(|_| TokenId(rng.below(vocabulary) as u32)).collect();
        runs.push(run(&mut engine, prompt, bench.n_generated)?);
    }
    runs.remove(0);
    Ok(runs)
}

fn run(engine: &mut Engine<LocalModel>, prompt: Vec<TokenId>, n_generated: usize) -> Result<Run, Failure> {
    let n_prompt = prompt.len();
    let plain = Request::new(prompt, n_generated + 1);
    let request = Request { beginning: Beginning::Computed, guessing: Guessing::Off, ..plain };
    engine.submit(request)?;
    let begun = Instant::now();
    let mut first = None;
    while engine.n_sequences() > 0 {
        for event in engine.step(None) {
            match event {
                Step::Token { .. } => _ = first.get_or_insert_with(|| begun.elapsed()),
                Step::Failed { error, .. } => return Err(error.into()),
                Step::Finished { .. } | Step::Found { .. } => {}
            }
        }
    }
    let first = first.ok_or_else(Failure::internal)?;
    let rest = begun.elapsed() - first;
    Ok(Run {
        prompt: n_prompt as f64 / first.as_secs_f64(),
        generated: n_generated as f64 / rest.as_secs_f64(),
    })
}

/// The lowest, the middle and the highest of what each run gives.
pub(crate) fn spread(runs: &[Run], of: impl Fn(&Run) -> f64) -> Spread {
    let mut sorted: Vec<f64> = runs.iter().map(of).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    Spread { lowest: at(0), median: at(sorted.len() / 2), highest: at(sorted.len().saturating_sub(1)) }
}
