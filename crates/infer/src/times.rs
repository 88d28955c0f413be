//! How long steps without rows of prompts take, by how many rows they have.
//!
//! Reads no clock: who calls the engine tells the time of each step. One machine computes sixteen rows in the time of two,
//! another in that of eight.

use std::time::Duration;

/// Steps of more rows are not looked at.
const MOST_ROWS: usize = 32;
/// How much of what is known of other numbers of rows is left after a step, so that what went badly once is tried again.
const KEPT: f64 = 0.998;

/// How long steps take that were told of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepTimes {
    /// Seconds of a step of so many rows and one.
    seconds: [Option<f64>; MOST_ROWS],
}

impl StepTimes {
    /// Notes that a step of so many rows took so long.
    pub fn learn(&mut self, n_rows: usize, took: Duration) {
        let Some(place) = n_rows.checked_sub(1).filter(|place| *place < MOST_ROWS) else { return };
        let took = took.as_secs_f64();
        let others = self.seconds.iter_mut().enumerate().filter(|(other, _)| *other > 0 && *other != place);
        others.for_each(|(_, seconds)| *seconds = seconds.map(|seconds| KEPT * seconds));
        self.seconds[place] = Some(self.seconds[place].map_or(took, |before| 0.5 * (before + took)));
    }

    /// How long a step of so many rows takes, in any unit: between two that are known as far as it lies between them,
    /// elsewhere in proportion to a guess of how it may be.
    pub fn of(&self, n_rows: usize) -> f64 {
        let known = |rows: usize| Some((rows, self.seconds.get(rows.checked_sub(1)?).copied()??));
        let below = (1..=n_rows.min(MOST_ROWS)).rev().find_map(known);
        let above = (n_rows..=MOST_ROWS).find_map(known);
        match (below, above) {
            (Some((rows, seconds)), Some((more, longer))) if more > rows => {
                seconds + (longer - seconds) * (n_rows - rows) as f64 / (more - rows) as f64
            }
            (Some((rows, seconds)), _) | (None, Some((rows, seconds))) => {
                seconds * untold(n_rows) / untold(rows)
            }
            (None, None) => untold(n_rows),
        }
    }
}

/// Where nothing is known, so many rows as have the arithmetic of one take twice its time.
fn untold(n_rows: usize) -> f64 {
    1.0 + n_rows.saturating_sub(1) as f64 / (MOST_ROWS - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_lies_between_what_is() {
        let mut times = StepTimes::default();
        assert!((times.of(32) / times.of(1) - 2.0).abs() < 1e-12);
        let seconds = Duration::from_secs_f64;
        times.learn(1, seconds(0.04));
        assert!((times.of(32) - 0.08).abs() < 1e-12, "in proportion");
        times.learn(5, seconds(0.2));
        assert!((times.of(3) - 0.12).abs() < 1e-12, "between");
        assert!((times.of(5) - 0.2).abs() < 1e-12 && times.of(32) > 0.2);
        times.learn(0, seconds(9.0));
        times.learn(33, seconds(9.0));
        assert!(times.of(32) < 1.0, "rows that are not looked at");
    }

    #[test]
    fn what_went_badly_once_is_forgotten() {
        let mut times = StepTimes::default();
        times.learn(1, Duration::from_millis(40));
        times.learn(8, Duration::from_secs(4));
        (0..2000).for_each(|_| times.learn(1, Duration::from_millis(40)));
        assert!(times.of(8) < 0.1 && (times.of(1) - 0.04).abs() < 1e-12);
    }
}
