//! Mirostat: tokens are cut off so that answers surprise by a wanted amount, neither dull nor wild.
//!
//! The surprise of a token is `-log2 p`, with `p` at the temperature of the answer. Behind each token the bound of the
//! next one moves by how far the surprise was from the wanted one.
//!
//! Source: S. Basu et al., "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity" (2021),
//! algorithm 1; the second version cuts off by the bound itself, without an estimate of the distribution's exponent.

/// How Mirostat is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirostat {
    /// Which of its two versions.
    pub version: Version,
    /// The surprise that is wanted, in bits.
    pub target: f32,
    /// How much of the error the bound moves by.
    pub rate: f32,
}

impl Mirostat {
    /// What clients of Ollama and llama.cpp take where nothing is said.
    pub const USUAL: Self = Self { version: Version::Second, target: 5.0, rate: 0.1 };
}

/// A version of Mirostat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Keeps so many tokens as a distribution of Zipf's with the exponent of the best hundred would need.
    First,
    /// Keeps those that surprise no more than the bound.
    Second,
}

/// Tokens by which the exponent is estimated.
const ESTIMATED: usize = 100;

/// Where an answer's bound stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    setting: Mirostat,
    /// In bits.
    bound: f64,
}

impl Bound {
    pub fn new(setting: Mirostat) -> Self {
        Self { setting, bound: 2.0 * f64::from(setting.target) }
    }

    /// How many of the best tokens are kept, of probabilities `[V]`, the largest first; one at least.
    pub fn n_kept(&self, probabilities: &[f64]) -> usize {
        let n = match self.setting.version {
            Version::First => self.first(probabilities),
            Version::Second => probabilities.iter().take_while(|p| -p.log2() <= self.bound).count(),
        };
        n.clamp(1, probabilities.len().max(1))
    }

    fn first(&self, probabilities: &[f64]) -> usize {
        let n = probabilities.len();
        let known = probabilities.iter().take(ESTIMATED).take_while(|p| **p > 0.0).count();
        let (mut sum_products, mut sum_squares) = (0.0, 0.0);
        for (at, pair) in probabilities[..known].windows(2).enumerate() {
            let step = ((at + 2) as f64 / (at + 1) as f64).ln();
            sum_products += step * (pair[0] / pair[1]).ln();
            sum_squares += step * step;
        }
        let exponent = sum_products / sum_squares;
        let excess = exponent - 1.0;
        let whole = 1.0 - (n as f64).powf(-excess);
        let k = (excess * self.bound.exp2() / whole).powf(1.0 / exponent);
        // A flat or single distribution has no exponent: all of it is kept.
        if k.is_finite() { k.round() as usize } else { n }
    }

    /// Moves behind a token of this probability.
    pub fn see(&mut self, probability: f64) {
        let error = -probability.log2() - f64::from(self.setting.target);
        self.bound -= f64::from(self.setting.rate) * error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(version: Version, target: f32) -> Bound {
        Bound::new(Mirostat { version, target, rate: 0.1 })
    }

    #[test]
    fn the_second_version_keeps_what_surprises_no_more_than_the_bound() {
        // Surprises of 1, 2, 3 and 3 bits.
        let probabilities = [0.5, 0.25, 0.125, 0.125];
        for (target, expected) in [(0.25, 1), (0.5, 1), (1.0, 2), (1.25, 2), (1.5, 4)] {
            assert_eq!(bound(Version::Second, target).n_kept(&probabilities), expected, "{target}");
        }
    }

    #[test]
    fn the_first_version_finds_the_exponent_of_zipfs_law() {
        // p(rank) is as 1 / rank^s: the estimate is s itself, and k as the formula says.
        let (n, s) = (1000, 1.5f64);
        let weights: Vec<f64> = (1..=n).map(|rank| f64::from(rank).powf(-s)).collect();
        let total: f64 = weights.iter().sum();
        let probabilities: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        for target in [1.0f32, 2.0, 3.0] {
            let excess = s - 1.0;
            let mu = 2.0 * f64::from(target);
            let expected = (excess * mu.exp2() / (1.0 - f64::from(n).powf(-excess))).powf(1.0 / s).round();
            assert_eq!(bound(Version::First, target).n_kept(&probabilities), expected as usize, "{target}");
        }
        assert_eq!(bound(Version::First, 3.0).n_kept(&[1.0]), 1);
        assert_eq!(bound(Version::First, 3.0).n_kept(&[0.5, 0.5]), 2);
    }

    #[test]
    fn the_bound_moves_against_the_error() {
        let mut moving = bound(Version::Second, 2.0);
        assert_eq!(moving.bound, 4.0);
        moving.see(0.0625); // 4 bits: 2 more than wanted
        assert!((moving.bound - 3.8).abs() < 1e-7, "{}", moving.bound);
        moving.see(1.0); // 0 bits: 2 fewer than wanted
        assert!((moving.bound - 4.0).abs() < 1e-7, "{}", moving.bound);
    }
}
