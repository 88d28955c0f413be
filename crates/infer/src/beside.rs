//! How many rows of prompts go into a step in which somebody waits for the next token, by how long such steps took.
//!
//! Reads no clock: who calls the engine tells the time of each step. A row of a prompt costs more on one machine than on
//! another, and more behind a long text than at its beginning.

use std::time::Duration;

use ops::Rows;

/// Rows before anything is known of their time: few, because the first of them is waited for too.
const FIRST: usize = 8;
/// Rows at least, so that a prompt gets on.
const LEAST: usize = 4;
/// How many times as long as without prompts a step may take; above, there are fewer rows in the next one.
const MOST_TIMES: f64 = 2.6;
/// Below, there are more.
const FEW_TIMES: f64 = 2.0;

/// How long a step takes without rows of prompts, and how many rows there may be beside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside {
    /// Seconds of a step without; absent before there was one.
    alone: Option<f64>,
    rows: Option<usize>,
}

impl Beside {
    /// Rows of prompts in the next step beside others, at most `most`; `most` while no time was told.
    pub fn rows(self, most: usize) -> usize {
        self.rows.map_or(most, |rows| rows.min(most))
    }

    /// Notes that a step of such rows took so long; `most` rows of prompts were allowed at most.
    pub fn learn(&mut self, of: Rows, took: Duration, most: usize) {
        let took = took.as_secs_f64();
        let rows = self.rows.get_or_insert(FIRST);
        match (of.prompt, of.generated, self.alone) {
            (0, 1.., None) => self.alone = Some(took),
            // Steps differ; what is usual counts.
            (0, 1.., Some(alone)) => self.alone = Some(0.8 * alone + 0.2 * took),
            (1.., 1.., Some(alone)) if took > MOST_TIMES * alone => *rows = (*rows * 3 / 4).max(LEAST),
            (n_prompt, 1.., Some(alone)) if n_prompt >= *rows && took < FEW_TIMES * alone => {
                *rows = (*rows + *rows / 4 + 1).min(most.max(LEAST));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// The rows after a hundred steps of a machine that takes 40 ms for a step, and so long for each row beside it.
    fn settled(row: f64, most: usize) -> (usize, f64) {
        let mut beside = Beside::default();
        beside.learn(Rows::generated(1), seconds(0.04), most);
        let mut last = 0.0;
        for _ in 0..100 {
            let rows = beside.rows(most);
            last = 0.04 + row * rows as f64;
            beside.learn(Rows { generated: 1, ..Rows::prompt(rows) }, seconds(last), most);
        }
        (beside.rows(most), last)
    }

    #[test]
    fn steps_settle_below_three_times_their_length_with_as_many_rows_as_that_allows() {
        for row in [0.002, 0.005, 0.01] {
            let (rows, last) = settled(row, 64);
            assert!((0.06..=0.12).contains(&last), "{row}: {rows} rows, {last} s");
        }
        assert_eq!(settled(1e-5, 64).0, 64, "cheap rows come as many as may be");
        assert_eq!(settled(1.0, 64).0, LEAST, "dear ones still come");
    }

    #[test]
    fn nothing_changes_before_times_are_told_and_prompts_alone_teach_nothing() {
        let mut beside = Beside::default();
        assert_eq!(beside.rows(32), 32);
        beside.learn(Rows::prompt(512), seconds(9.0), 32);
        assert_eq!((beside.rows(32), beside.alone), (FIRST, None));
    }
}
