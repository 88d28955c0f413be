//! The learning rate over the steps of a training: a rise in a line, then one of two ways down.
//!
//! Sources: I. Loshchilov and F. Hutter, "SGDR" (2017), equation 5, for the cosine; S. Hu et al., "MiniCPM" (2024),
//! section 4, for a constant rate that decays at the end.

use serde::{Deserialize, Serialize};

/// The way from the highest rate to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine.
    Cosine,
    /// The highest rate for most of the way, then a line down over the last fifth.
    ConstantDecay,
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cosine => "cosine",
            Self::ConstantDecay => "constant-decay",
        })
    }
}

/// The last share of a [`Schedule::ConstantDecay`] that goes down.
const DECAY_SHARE: f64 = 0.2;

/// What the rate depends on besides the step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub schedule: Schedule,
    /// Steps of the whole training.
    pub steps: u64,
    /// Steps in which the rate rises.
    pub warm_up: u64,
    pub highest: f64,
    pub last: f64,
}

impl Course {
    /// The rate of a step, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.highest * (step + 1) as f64 / (self.warm_up + 1) as f64;
        }
        let rest = self.steps.saturating_sub(self.warm_up).max(1) as f64;
        let done = ((step - self.warm_up) as f64 / rest).min(1.0);
        let share = match self.schedule {
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Schedule::ConstantDecay => ((1.0 - done) / DECAY_SHARE).min(1.0),
        };
        self.last + (self.highest - self.last) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(schedule: Schedule) -> Course {
        Course { schedule, steps: 110, warm_up: 10, highest: 1.0, last: 0.1 }
    }

    #[test]
    fn the_rate_rises_in_a_line_and_reaches_its_highest() {
        for schedule in [Schedule::Cosine, Schedule::ConstantDecay] {
            let course = course(schedule);
            assert!((course.rate(0) - 1.0 / 11.0).abs() < 1e-12);
            assert!((course.rate(9) - 10.0 / 11.0).abs() < 1e-12);
            assert_eq!(course.rate(10), 1.0);
        }
    }

    #[test]
    fn a_cosine_is_half_way_in_the_middle_and_ends_at_the_last_rate() {
        let course = course(Schedule::Cosine);
        assert!((course.rate(60) - 0.55).abs() < 1e-12);
        assert!((course.rate(110) - 0.1).abs() < 1e-12);
        assert!((course.rate(1000) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_constant_rate_decays_in_its_last_fifth() {
        let course = course(Schedule::ConstantDecay);
        assert!((course.rate(89) - 1.0).abs() < 1e-12);
        assert!((course.rate(100) - 0.55).abs() < 1e-12);
        assert!((course.rate(110) - 0.1).abs() < 1e-12);
    }
}
