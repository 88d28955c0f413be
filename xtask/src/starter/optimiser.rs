//! AdamW over slices, with clipping by the norm of all gradients together, and the learning rate over time.
//!
//! Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, and
//! "SGDR" (2017), equation 5, for the cosine.

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.95;
const EPSILON: f32 = 1e-8;
const WEIGHT_DECAY: f32 = 0.1;
/// The longest gradient that is taken as it is.
const MAX_NORM: f64 = 1.0;
/// The share of the training in which the rate rises.
const WARM_UP: f64 = 0.03;
/// What is left of the rate at the end.
const LAST_SHARE: f64 = 0.02;

/// The running means of one tensor's gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Of the gradient.
    pub first: Vec<f32>,
    /// Of its square.
    pub second: Vec<f32>,
}

impl Moments {
    /// For `n` values that have not learned yet.
    pub fn new(n: usize) -> Self {
        Self { first: vec![0.0; n], second: vec![0.0; n] }
    }
}

/// Whether weights are drawn to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// They are: matrices.
    Weights,
    /// They are not: factors of a normalisation.
    None,
}

/// One step of all tensors.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The learning rate.
    pub rate: f32,
    /// What gradients are multiplied with first.
    pub clip: f32,
    /// Counts from 1.
    pub number: u32,
}

/// Moves `values` against `gradient`.
pub fn adam_w(values: &mut [f32], gradient: &[f32], moments: &mut Moments, step: Step, decay: Decay) {
    let decay = if decay == Decay::Weights { WEIGHT_DECAY } else { 0.0 };
    let number = step.number as i32;
    let (unbias_1, unbias_2) = (1.0 - BETA_1.powi(number), 1.0 - BETA_2.powi(number));
    let moments = moments.first.iter_mut().zip(&mut moments.second);
    for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient * step.clip;
        *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
        *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
        let direction = (*first / unbias_1) / ((*second / unbias_2).sqrt() + EPSILON);
        *value -= step.rate * (direction + decay * *value);
    }
}

/// What the gradients are multiplied with so that all together are no longer than allowed.
pub fn clip<'a>(gradients: impl Iterator<Item = &'a [f32]>) -> f32 {
    let square = |gradient: &[f32]| gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>();
    let norm = gradients.map(square).sum::<f64>().sqrt();
    (MAX_NORM / norm.max(MAX_NORM)) as f32
}

/// The learning rate when `progress` of the training, 0 to 1, is done: up in a line, down in half a cosine.
pub fn rate(highest: f64, progress: f64) -> f32 {
    if progress < WARM_UP {
        return (highest * (progress / WARM_UP).max(0.01)) as f32;
    }
    let done = ((progress - WARM_UP) / (1.0 - WARM_UP)).min(1.0);
    let share = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    (highest * (LAST_SHARE + (1.0 - LAST_SHARE) * share)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_whatever_the_gradient() {
        let mut values = [1.0, 1.0, 1.0];
        let step = Step { rate: 0.01, clip: 1.0, number: 1 };
        adam_w(&mut values, &[5.0, -0.02, 0.0], &mut Moments::new(3), step, Decay::None);
        assert!((values[0] - 0.99).abs() < 1e-6 && (values[1] - 1.01).abs() < 1e-6 && values[2] == 1.0);
        adam_w(&mut values, &[0.0; 3], &mut Moments::new(3), step, Decay::Weights);
        assert!((values[2] - 0.999).abs() < 1e-6);
    }

    #[test]
    fn a_bowl_is_walked_to_its_bottom() {
        let (mut values, mut moments) = ([3.0f32, -2.0], Moments::new(2));
        for number in 1..=500 {
            let gradient = [2.0 * (values[0] - 1.0), 8.0 * (values[1] + 1.0)];
            let step = Step { rate: 0.02, clip: clip([&gradient[..]].into_iter()), number };
            adam_w(&mut values, &gradient, &mut moments, step, Decay::None);
        }
        assert!((values[0] - 1.0).abs() < 0.02 && (values[1] + 1.0).abs() < 0.02, "{values:?}");
    }

    #[test]
    fn long_gradients_are_cut_and_short_ones_are_not() {
        assert_eq!(clip([&[3.0f32][..], &[4.0]].into_iter()), 0.2);
        assert_eq!(clip([&[0.3f32][..], &[0.4]].into_iter()), 1.0);
    }

    #[test]
    fn the_rate_rises_and_falls() {
        assert!(rate(1.0, 0.01) < rate(1.0, 0.03));
        assert!((rate(1.0, 0.03) - 1.0).abs() < 1e-6 && rate(1.0, 0.5) < 0.6 && rate(1.0, 1.0) < 0.03);
    }
}
