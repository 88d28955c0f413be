//! How far the next tokens of two models lie apart, over a text.

use base::TokenId;
use infer::{LocalModel, Model};

use crate::event::quantise::Divergence;

/// Tokens that are computed together; each such window begins anew.
pub(super) const WINDOW: usize = 256;
/// Tokens that are compared at most.
const MOST_TOKENS: usize = 10_240;

/// Sums over tokens.
#[derive(Default)]
struct Sums {
    n: usize,
    divergence: f64,
    n_same: usize,
    losses: [f64; 2],
    n_losses: usize,
}

/// Compares a model and the one that was made of it; nothing where there is no text.
pub(crate) fn compare(models: &mut [LocalModel; 2], tokens: &[TokenId]) -> Option<Divergence> {
    let tokens = &tokens[..tokens.len().min(MOST_TOKENS)];
    let window = models.iter().map(Model::context).fold(WINDOW, usize::min);
    let size = models[0].vocabulary();
    let mut sums = Sums::default();
    for part in tokens.chunks(window) {
        let rows = models.each_mut().map(|model| model.logits(part));
        for (at, (old, new)) in rows[0].chunks_exact(size).zip(rows[1].chunks_exact(size)).enumerate() {
            sums.add(old, new, part.get(at + 1).copied());
        }
    }
    let mean = |sum: f64, n: usize| sum / n.max(1) as f64;
    (sums.n > 0).then(|| Divergence {
        n_tokens: sums.n,
        mean: mean(sums.divergence, sums.n),
        same_best: mean(sums.n_same as f64, sums.n),
        perplexity: sums.losses.map(|loss| mean(loss, sums.n_losses).exp()),
    })
}

impl Sums {
    fn add(&mut self, old: &[f32], new: &[f32], next: Option<TokenId>) {
        let [old, new] = [old, new].map(log_probabilities);
        self.n += 1;
        self.divergence += old.iter().zip(&new).map(|(old, new)| old.exp() * (old - new)).sum::<f64>();
        self.n_same += usize::from(best(&old) == best(&new));
        if let Some(next) = next {
            self.n_losses += 1;
            self.losses[0] -= old[next.index()];
            self.losses[1] -= new[next.index()];
        }
    }
}

fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = logits.iter().map(|&logit| f64::from(logit) - f64::from(highest));
    let sum: f64 = shifted.clone().map(f64::exp).sum();
    shifted.map(|logit| logit - sum.ln()).collect()
}

fn best(values: &[f64]) -> usize {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_does_not_diverge_and_what_is_not_does() {
        let mut sums = Sums::default();
        sums.add(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0], Some(TokenId(2)));
        assert!(sums.divergence.abs() < 1e-12 && sums.n_same == 1);
        // Half and half against one and three quarters: (ln 2 + ln 2/3) / 2.
        sums.add(&[0.0, 0.0], &[0.0, f32::ln(3.0)], None);
        let expected = 0.5 * (2.0f64.ln() + (2.0f64 / 3.0).ln());
        assert!((sums.divergence - expected).abs() < 1e-6, "{}", sums.divergence);
        assert_eq!((sums.n, sums.n_losses), (2, 1));
    }
}
