//! UniPC: a multistep prediction whose error the next look corrects, without another call of the model.
//!
//! Source: W. Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models"
//! (2023), for predictions of the picture with B(h) = e^−h − 1 ("bh2"), as diffusers takes its orders: low at the
//! begin, and low again at the end.

use super::{Stop, Watch, stops};
use crate::denoise::{Denoise, Path};
use crate::latent::sum;
use crate::noise::Noise;
use crate::{Error, Latent};

/// The pictures that were seen, the newest first, with their λ.
type Seen = Vec<(Latent, f64)>;

/// Walks with predictions and corrections of this order, 1 to 3; see [`Function`](super::Function).
///
/// # Errors
/// Those of every sampler.
pub fn unipc<const ORDER: usize>(
    denoise: &mut dyn Denoise,
    mut x: Latent,
    sigmas: &[f32],
    _: &mut Noise,
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    const { assert!(ORDER >= 1 && ORDER <= 3) };
    let path = denoise.path();
    let mut seen: Seen = Vec::new();
    let mut begun: Option<(Latent, Stop, usize)> = None;
    for stop in stops(denoise, sigmas)? {
        let denoised = stop.look(denoise, &x, watch)?;
        if let Some((from, last, order)) = begun.take() {
            let step = Update::new(path, &last, order, &seen);
            x = step.corrected(&from, &denoised);
        }
        seen.insert(0, (denoised, path.lambda(stop.sigma)));
        seen.truncate(ORDER);
        let order = ORDER.min(stop.n_steps - stop.index).min(seen.len());
        let ahead = Update::new(path, &stop, order, &seen).predicted(&x);
        begun = Some((x, stop, order));
        x = ahead;
    }
    Ok(x)
}

/// One step from the newest picture's level on.
struct Update<'a> {
    /// σ'/σ.
    keep: f64,
    /// α'·B(h).
    scale: f64,
    /// Pictures seen, the newest first: as many as the order.
    seen: &'a [(Latent, f64)],
    /// Where the earlier ones lie, in steps from the newest; then 1, where the step goes.
    places: Vec<f64>,
    /// The right sides of the conditions of each order.
    conditions: Vec<f64>,
}

impl<'a> Update<'a> {
    fn new(path: Path, stop: &Stop, order: usize, seen: &'a Seen) -> Self {
        let seen = &seen[..order];
        let from = seen[0].1;
        let h = path.lambda(stop.next) - from;
        let places = seen[1..].iter().map(|(_, lambda)| (lambda - from) / h).chain([1.0]).collect();
        let b = (-h).exp_m1();
        let (mut phi, mut factorial) = (b / -h - 1.0, 1.0);
        let conditions = (1..=order)
            .map(|at| {
                let condition = phi * factorial / b;
                factorial *= at as f64 + 1.0;
                phi = phi / -h - 1.0 / factorial;
                condition
            })
            .collect();
        let keep = f64::from(stop.next) / f64::from(stop.sigma);
        Self { keep, scale: path.signal(stop.next) * b, seen, places, conditions }
    }

    fn predicted(&self, x: &Latent) -> Latent {
        let n_earlier = self.seen.len() - 1;
        let weights = match n_earlier {
            0 => Vec::new(),
            1 => vec![0.5],
            _ => self.weights(n_earlier),
        };
        self.updated(x, &weights, None)
    }

    fn corrected(&self, x: &Latent, denoised: &Latent) -> Latent {
        let order = self.seen.len();
        let weights = if order == 1 { vec![0.5] } else { self.weights(order) };
        self.updated(x, &weights[..order - 1], Some((weights[order - 1], denoised)))
    }

    /// The straight line, and what slopes add to it: those to earlier pictures, and the one to a picture ahead.
    fn updated(&self, x: &Latent, weights: &[f64], ahead: Option<(f64, &Latent)>) -> Latent {
        let newest = &self.seen[0].0;
        let mut terms = vec![(self.keep, x), (1.0 - self.keep, newest)];
        for ((weight, place), (earlier, _)) in weights.iter().zip(&self.places).zip(&self.seen[1..]) {
            let factor = -self.scale * weight / place;
            terms.extend([(factor, earlier), (-factor, newest)]);
        }
        if let Some((weight, denoised)) = ahead {
            terms.extend([(-self.scale * weight, denoised), (self.scale * weight, newest)]);
        }
        sum(&terms)
    }

    /// Weights w with Σ w·placeᵏ = conditionₖ for k below `order`: Gauss's elimination of at most three rows.
    fn weights(&self, order: usize) -> Vec<f64> {
        let row = |power: usize| {
            let left = self.places[..order].iter().map(|place| place.powi(power as i32));
            left.chain([self.conditions[power]]).collect::<Vec<f64>>()
        };
        let mut rows: Vec<Vec<f64>> = (0..order).map(row).collect();
        for at in 0..order {
            let largest = (at..order).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()));
            rows.swap(at, largest.unwrap_or(at));
            let pivot = rows[at].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|(other, _)| *other != at) {
                let factor = row[at] / pivot[at];
                row.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
        (0..order).map(|at| rows[at][order] / rows[at][at]).collect()
    }
}
