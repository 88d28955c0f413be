//! How many tokens to guess, by how well guesses went.
//!
//! Computing a guessed token takes time whether it is right or not. So guesses grow while they are right, and where
//! nothing is, there is none for a while: the pauses grow so fast that guesses cost little where they never help.

/// Tokens of the first guess, and of the first after a wrong one.
const FIRST_GUESS: usize = 4;
/// Tokens of a guess at most: with the row that is computed anyway, as many as have the arithmetic of one.
pub(crate) const LONGEST_GUESS: usize = 31;
/// For how many tokens nothing is guessed after a guess with nothing right in it; then for twice as many, and so on.
const FIRST_PAUSE: usize = 4;
/// The longest such pause.
const LONGEST_PAUSE: usize = 256;

/// How many tokens to guess next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    n: usize,
    pause: usize,
    /// Tokens until something is guessed again.
    left: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { n: FIRST_GUESS, pause: FIRST_PAUSE, left: 0 }
    }
}

impl Pace {
    /// How many tokens to guess now.
    pub fn n(self) -> usize {
        if self.left > 0 { 0 } else { self.n }
    }

    /// One more token was chosen.
    pub fn pass(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Notes that the first `n_right` of `n_guessed` tokens were right.
    pub fn learn(&mut self, n_guessed: usize, n_right: usize) {
        if n_right == 0 {
            *self = Self { n: FIRST_GUESS, pause: (2 * self.pause).min(LONGEST_PAUSE), left: self.pause };
            return;
        }
        let next = if n_right == n_guessed { 2 * n_guessed } else { n_right + 1 };
        *self = Self { n: next.clamp(FIRST_GUESS, LONGEST_GUESS), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_grow_while_they_are_right_and_pause_when_they_are_wrong() {
        let mut pace = Pace::default();
        let mut lengths = Vec::new();
        for _ in 0..5 {
            lengths.push(pace.n());
            pace.learn(pace.n(), pace.n());
        }
        assert_eq!(lengths, [4, 8, 16, 31, 31]);
        pace.learn(31, 5);
        assert_eq!(pace.n(), 6);
        for pause in [4, 8, 16, 32, 64, 128, 256, 256] {
            pace.learn(6, 0);
            for _ in 0..pause {
                assert_eq!(pace.n(), 0);
                pace.pass();
            }
            assert_eq!(pace.n(), 4);
        }
    }

    #[test]
    fn guesses_that_are_never_right_are_few() {
        let (mut pace, mut n_wrong) = (Pace::default(), 0);
        for _ in 0..1000 {
            if pace.n() > 0 {
                n_wrong += 1;
                pace.learn(pace.n(), 0);
            }
            pace.pass();
        }
        assert!(n_wrong <= 9, "{n_wrong} guesses in a thousand tokens");
    }
}
