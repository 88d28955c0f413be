//! How long everything but products takes here: what a layer does between them, attending, choosing a token.
//!
//! Timed at the sizes that the model's file says, without its weights.

use infer::sample::Sampler;
use infer::{BLOCK, Limits, Sampling};
use models::traffic::Rehearsal;
use models::{Config, Dialect, KvCache};
use ops::Rows;
use ops::weight::Storage;

use super::machine::{middle, usual};

/// Tokens of the longest context that is tried; a longer one takes as much more as it has more.
const LONGEST: usize = 2048;
/// Most bytes of keys and values that are read in turn: more than any cache of a personal machine holds.
const MOST_BYTES: usize = 96 << 20;

/// What was timed, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Rows of a prompt that are computed at once.
    pub n_rows: usize,
    /// Between the products of a layer, for all of those rows.
    pub prompt_passes_s: f64,
    /// So too, for a generated one.
    pub generated_passes_s: f64,
    /// The rows of a prompt attend, in one layer.
    pub prompt_attends: Line,
    /// A generated row attends, in one layer.
    pub generated_attends: Line,
    /// Choosing a token.
    pub choosing_s: f64,
}

/// Seconds that grow with what is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// Of looking at all.
    pub least_s: f64,
    /// Of each key that each row looks at.
    pub key_s: f64,
}

impl Line {
    /// Through what two numbers of keys took.
    fn through([few, many]: [(f64, f64); 2]) -> Self {
        let grows = many.0 > few.0 && many.1 > few.1;
        let key_s = if grows { (many.1 - few.1) / (many.0 - few.0) } else { many.1 / many.0.max(1.0) };
        Self { least_s: (few.1 - key_s * few.0).max(0.0), key_s }
    }

    /// Seconds for so many keys, each counted for each row that looks at it.
    pub fn at(self, n_keys: f64) -> f64 {
        self.least_s + self.key_s * n_keys
    }
}

/// Times everything for a model of some sizes, in rounds.
pub(crate) struct Timer {
    rehearsal: Rehearsal,
    /// Tokens of the longest context that is tried.
    longest: usize,
    /// Caches of one layer that are read in turn.
    n_caches: usize,
    n_rows: usize,
    vocabulary: usize,
    /// The seconds of every round, in the order of [`Timer::round`].
    rounds: Vec<[f64; 7]>,
}

impl Timer {
    /// For a model of these sizes, nothing timed yet.
    pub fn new(config: &Config, dialect: &Dialect, cache: Storage) -> Self {
        let longest = config.context.clamp(2, LONGEST);
        let n_rows = Limits::default().rows.min(longest);
        let page_bytes = KvCache::block_bytes(config, BLOCK, cache).unwrap_or(1);
        let cache_bytes = page_bytes.saturating_mul(longest.div_ceil(BLOCK));
        let layer_bytes = (cache_bytes / config.n_layers.max(1)).max(1);
        let n_caches = (MOST_BYTES / layer_bytes).clamp(1, config.n_layers.max(1));
        let sizes = [n_caches, longest, BLOCK];
        let rehearsal = Rehearsal::new(config, dialect, sizes, cache, &ops::device::cpu());
        let vocabulary = config.vocabulary;
        Self { rehearsal, longest, n_caches, n_rows, vocabulary, rounds: Vec::new() }
    }

    /// Times everything once more, and gives the middle of what was timed so far.
    pub fn round(&mut self) -> Work {
        let (longest, n_rows) = (self.longest, self.n_rows);
        let attends = self.attends();
        let rehearsal = &mut self.rehearsal;
        let passes = [
            usual(|| rehearsal.passes(Rows::prompt(n_rows))),
            // So short that one call could be lost in the clock.
            usual(|| (0..16).for_each(|_| rehearsal.passes(Rows::generated(1)))) / 16.0,
        ];
        let [a, b, c, d] = attends;
        self.rounds.push([a, b, c, d, passes[0], passes[1], choosing(self.vocabulary)]);
        let at = |place: usize| {
            let times: Vec<f64> = self.rounds.iter().map(|round| round[place]).collect();
            middle(&times)
        };
        let keys = places(longest, n_rows).map(|(past, rows)| visible(past, rows, usize::MAX));
        Work {
            n_rows,
            prompt_attends: Line::through([(keys[0], at(0)), (keys[1], at(1))]),
            generated_attends: Line::through([(keys[2], at(2)), (keys[3], at(3))]),
            prompt_passes_s: at(4),
            generated_passes_s: at(5),
            choosing_s: at(6),
        }
    }

    /// The rows of a prompt and a generated one attend, at the beginning and behind as much as is tried.
    fn attends(&mut self) -> [f64; 4] {
        places(self.longest, self.n_rows).map(|(past, rows)| {
            let once = || (0..self.n_caches).for_each(|_| self.rehearsal.attend(past, rows));
            usual(once) / self.n_caches as f64
        })
    }
}

/// Where rows attend that are timed: behind how many tokens, and how many they are.
fn places(longest: usize, n_rows: usize) -> [(usize, usize); 4] {
    [(0, n_rows), (longest - n_rows, n_rows), (0, 1), (longest - 1, 1)]
}

/// How many keys rows look at, each counted for each row, where a row sees `window` tokens up to itself.
pub(crate) fn visible(past: usize, rows: usize, window: usize) -> f64 {
    let (past, rows, window) = (past as f64, rows as f64, window as f64);
    // Rows whose whole sequence lies within the window see one more each.
    let growing = (window - past).clamp(0.0, rows);
    growing * past + growing * (growing + 1.0) / 2.0 + (rows - growing) * window
}

fn choosing(vocabulary: usize) -> f64 {
    let logits: Vec<f32> = (0..vocabulary).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut sampler = Sampler::new(Sampling::default(), &[]);
    // The engine takes the logits out of a tensor.
    usual(|| _ = std::hint::black_box(sampler.choose(&logits.clone(), 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_as_rows_see_them() {
        for (past, rows, window) in [(0, 4, 100), (5, 3, 100), (5, 3, 4), (2, 6, 4), (0, 1, 1), (9, 1, 10)] {
            let each = (0..rows).map(|row| (past + row + 1).min(window)).sum::<usize>();
            assert_eq!(visible(past, rows, window), each as f64, "{past} {rows} {window}");
        }
    }

    #[test]
    fn a_line_goes_through_what_was_measured() {
        let line = Line::through([(10.0, 3.0), (30.0, 5.0)]);
        assert_eq!((line.least_s, line.at(10.0), line.at(50.0)), (2.0, 3.0, 7.0));
        let noisy = Line::through([(10.0, 3.0), (30.0, 2.0)]);
        assert!(noisy.key_s > 0.0 && noisy.least_s >= 0.0);
    }
}
