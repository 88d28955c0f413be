//! How many tokens to guess, by how well guesses went and how long steps take.
//!
//! Computing a guessed token takes time whether it is right or not. So as many are guessed as give the most tokens in a
//! second, by how often the ones before were right; and where nothing is, there is none for a while: the pauses grow so fast
//! that guesses cost little where they never help.

use crate::times::StepTimes;

/// Tokens of the first guess, and of the first after a wrong one: with the row that is computed anyway, as many as go
/// straight over blocks of weights.
const FIRST_GUESS: usize = 3;
/// Tokens that a guess may have behind a right one; with the row that is computed anyway, rows of whole tiles.
const GUESSES: [usize; 4] = [FIRST_GUESS, 7, 15, LONGEST_GUESS];
/// Tokens of a guess at most.
pub(crate) const LONGEST_GUESS: usize = 31;
/// For how many tokens nothing is guessed after a guess with nothing right in it; then for twice as many, and so on.
const FIRST_PAUSE: usize = 4;
/// The longest such pause.
const LONGEST_PAUSE: usize = 256;
/// How many right tokens a wrong one is among, before anything is known.
const RIGHT_AT_FIRST: f64 = 8.0;
/// How much of what was right and wrong before counts beside what is now.
const KEPT: f64 = 0.5;
/// No token is surer than this.
const SUREST: f64 = 0.99;

/// How many tokens to guess next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Right tokens, and guesses that ended with a wrong one: the latest count most.
    right: f64,
    wrong: f64,
    /// Whether anything of the last guess was right.
    is_right: bool,
    pause: usize,
    /// Tokens until something is guessed again.
    left: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { right: RIGHT_AT_FIRST, wrong: 1.0, is_right: false, pause: FIRST_PAUSE, left: 0 }
    }
}

impl Pace {
    /// How many tokens to guess now, where steps take so long.
    pub fn n(self, times: &StepTimes) -> usize {
        if self.left > 0 {
            return 0;
        }
        if !self.is_right {
            return FIRST_GUESS;
        }
        let sure = (self.right / (self.right + self.wrong)).min(SUREST);
        // Tokens of a step: each guess is right if all before it were, and one more comes anyway.
        let tokens = |n: usize| (1.0 - sure.powi(n as i32 + 1)) / (1.0 - sure);
        let rate = |n: &usize| tokens(*n) / times.of(n + 1);
        GUESSES.into_iter().max_by(|a, b| rate(a).total_cmp(&rate(b))).unwrap_or(FIRST_GUESS)
    }

    /// One more token was chosen.
    pub fn pass(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Notes that the first `n_right` of `n_guessed` tokens were right.
    pub fn learn(&mut self, n_guessed: usize, n_right: usize) {
        if n_right == 0 {
            let pause = (2 * self.pause).min(LONGEST_PAUSE);
            *self = Self { pause, left: self.pause, ..Self::default() };
            return;
        }
        *self = Self {
            right: KEPT * self.right + n_right as f64,
            wrong: KEPT * self.wrong + f64::from(n_right < n_guessed),
            is_right: true,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A machine whose steps take one unit, and so much more for each further row.
    fn steps(row: f64) -> StepTimes {
        let mut times = StepTimes::default();
        (1..=32).for_each(|rows| times.learn(rows, Duration::from_secs_f64(1.0 + row * (rows - 1) as f64)));
        times
    }

    /// How many tokens are guessed behind five guesses of which nothing was wrong.
    fn lengths(times: &StepTimes) -> Vec<usize> {
        let mut pace = Pace::default();
        let next = |_| {
            let n = pace.n(times);
            pace.learn(n, n);
            n
        };
        (0..5).map(next).collect()
    }

    #[test]
    fn guesses_grow_while_they_are_right_as_far_as_rows_are_cheap() {
        for times in [StepTimes::default(), steps(0.02)] {
            let lengths = lengths(&times);
            assert!(
                lengths[0] == FIRST_GUESS && lengths.is_sorted() && lengths[4] == LONGEST_GUESS,
                "{lengths:?}"
            );
        }
        assert_eq!(lengths(&steps(0.9)), [FIRST_GUESS; 5], "rows that cost as much as steps");
    }

    #[test]
    fn guesses_pause_when_they_are_wrong_and_are_shorter_when_half_of_them_is() {
        let times = steps(0.02);
        let mut pace = Pace::default();
        (0..3).for_each(|_| pace.learn(31, 31));
        assert_eq!(pace.n(&times), 31);
        (0..4).for_each(|_| pace.learn(31, 1));
        assert!(pace.n(&times) < 15);
        for pause in [4, 8, 16, 32, 64, 128, 256, 256] {
            pace.learn(6, 0);
            for _ in 0..pause {
                assert_eq!(pace.n(&times), 0);
                pace.pass();
            }
            assert_eq!(pace.n(&times), FIRST_GUESS);
        }
    }

    #[test]
    fn guesses_that_are_never_right_are_few() {
        let (mut pace, mut n_wrong, times) = (Pace::default(), 0, StepTimes::default());
        for _ in 0..1000 {
            if pace.n(&times) > 0 {
                n_wrong += 1;
                pace.learn(pace.n(&times), 0);
            }
            pace.pass();
        }
        assert!(n_wrong <= 9, "{n_wrong} guesses in a thousand tokens");
    }
}
