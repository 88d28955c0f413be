//! What an answer took, in one line.

use app::event::{Finished, Reason, Started};

use crate::terminal::units::{many, milliseconds};

/// Tokens, times and rates of an answer, and how it can be had again.
pub fn line(started: Option<&Started>, finished: &Finished) -> String {
    let found = match finished.n_found_tokens {
        0 => String::new(),
        n => format!(" ({n} known already)"),
    };
    let n_computed = finished.n_prompt_tokens.saturating_sub(finished.n_found_tokens);
    let prompt = format!(
        "{}{found} in {}{}",
        many(finished.n_prompt_tokens, "prompt token"),
        milliseconds(finished.prompt_ms),
        rate(n_computed, finished.prompt_ms)
    );
    // The first token belongs to the prompt's time.
    let rest = finished.n_generated_tokens.saturating_sub(1);
    let answer = format!(
        "{} in {}{}",
        many(finished.n_generated_tokens, "answer token"),
        milliseconds(finished.generate_ms),
        rate(rest, finished.generate_ms)
    );
    let load = format!("loaded in {}", milliseconds(finished.load_ms));
    let end = match finished.reason {
        Reason::Stop => "ended by the model",
        Reason::Length => "ended at its limit",
        Reason::Cancelled => "stopped",
    };
    let seed = started.map_or_else(String::new, |started| format!("; seed {}", started.seed));
    format!("{prompt}; {answer}; {load}; {end}{seed}")
}

fn rate(n_tokens: usize, ms: f64) -> String {
    if n_tokens == 0 || ms <= 0.0 {
        return String::new();
    }
    format!(" ({:.0}/s)", n_tokens as f64 * 1000.0 / ms)
}
