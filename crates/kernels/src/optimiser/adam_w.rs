//! One step of AdamW, in place: Adam with decoupled decay.
//!
//! With g the gradient times its factor and t the step, counted from 1:
//! `m ← m + (1 − β₁)·(g − m)`, `v ← β₂·v + (1 − β₂)·g²`,
//! `value ← value·(1 − rate·decay) − rate/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)`.
//! Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization" (2019), algorithm 2, with the
//! place of ε as in PyTorch's `AdamW`. What depends on the step alone is computed once, in f64. Against the
//! same step in f64 the value is within 2 ULP plus 1e-6 of what is subtracted.
//!
//! Not: a schedule, a norm (see [`super::sum_of_squares`]), or a choice of what decays. One pass reads 16
//! bytes an element and writes 12.

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// The settings of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub rate: f64,
    /// Share of the first moment that stays (β₁).
    pub beta_1: f64,
    /// Share of the second moment that stays (β₂).
    pub beta_2: f64,
    /// Added to the root of the second moment (ε).
    pub epsilon: f64,
    /// Share of the value that decays, times the rate.
    pub decay: f64,
    /// Which step this is, from 1.
    pub step: u64,
    /// What every gradient is multiplied with first: for clipping, and for the mean over accumulated batches.
    pub gradient_factor: f64,
}

impl Default for AdamW {
    /// PyTorch's defaults, for the first step.
    fn default() -> Self {
        Self {
            rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            decay: 0.01,
            step: 1,
            gradient_factor: 1.0,
        }
    }
}

/// The settings as the loop over elements needs them.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    gradient: f32,
    /// 1 − β₁.
    new_first: f32,
    /// β₂ and 1 − β₂.
    old_second: f32,
    new_second: f32,
    /// 1 − rate·decay.
    keep: f32,
    /// rate / (1 − β₁ᵗ).
    rate: f32,
    /// 1 / √(1 − β₂ᵗ).
    root: f32,
    epsilon: f32,
}

impl AdamW {
    fn factors(&self) -> Factors {
        let correction = |beta: f64| 1.0 - beta.powf(self.step as f64);
        Factors {
            gradient: self.gradient_factor as f32,
            new_first: (1.0 - self.beta_1) as f32,
            old_second: self.beta_2 as f32,
            new_second: (1.0 - self.beta_2) as f32,
            keep: (1.0 - self.rate * self.decay) as f32,
            rate: (self.rate / correction(self.beta_1)) as f32,
            root: (1.0 / correction(self.beta_2).sqrt()) as f32,
            epsilon: self.epsilon as f32,
        }
    }
}

/// Steps one stretch: factors, value, gradient, first moment, second moment, all of the same length.
pub type Body = unsafe fn(&Factors, &mut [f32], &[f32], &mut [f32], &mut [f32]);

/// The bodies for one stretch.
pub static ADAM_W: Kernel<Body> = Kernel::new(
    "adam_w",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::body::<crate::lanes::Neon>),
    ],
);

/// Elements of one task: 64 kB of each of the four.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// Moves `value` by one step and updates both moments. The moments are 0 before the first step.
///
/// # Shapes
/// value, gradient, first, second: any, all the same.
///
/// # Panics
/// When the lengths differ, or the step is 0.
pub fn adam_w(settings: &AdamW, value: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    let length = value.len();
    let fits = [gradient.len(), first.len(), second.len()].iter().all(|other| *other == length);
    assert!(fits, "adam_w: value, gradient and moments differ in length");
    assert!(settings.step > 0, "adam_w: steps are counted from 1");
    let (body, factors) = (ADAM_W.body(), settings.factors());
    let (value, first, second) = (Disjoint::new(value), Disjoint::new(first), Disjoint::new(second));
    pool::run_ranges(length, ELEMENTS_PER_TASK, &|range| {
        let gradient = &gradient[range.clone()];
        // SAFETY: ranges do not overlap, and the table holds only bodies that this machine can run; the
        // slices are equally long.
        unsafe {
            let (first, second) = (first.part(range.clone()), second.part(range.clone()));
            body(&factors, value.part(range), gradient, first, second);
        }
    });
}

fn scalar(factors: &Factors, value: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    let Factors { gradient: factor, new_first, old_second, new_second, keep, rate, root, epsilon } = *factors;
    for i in 0..value.len() {
        let g = gradient[i] * factor;
        first[i] += new_first * (g - first[i]);
        second[i] = old_second * second[i] + new_second * (g * g);
        let size = second[i].sqrt() * root + epsilon;
        value[i] = value[i] * keep - rate * (first[i] / size);
    }
}

mod vector {
    use super::Factors;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(f: &Factors, value: &mut [f32], gradient: &[f32], m: &mut [f32], v: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(f, value, gradient, m, v) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(f: &Factors, value: &mut [f32], gradient: &[f32], m: &mut [f32], v: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(f, value, gradient, m, v) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(
        factors: &Factors,
        value: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let length = value.len();
        // SAFETY: all four slices are `length` long by the wrapper's checks, and no lane goes beyond.
        unsafe {
            let factor = V::splat(factors.gradient);
            let (new_first, new_second) = (V::splat(factors.new_first), V::splat(factors.new_second));
            let (old_second, keep) = (V::splat(factors.old_second), V::splat(factors.keep));
            let (root, epsilon) = (V::splat(factors.root), V::splat(factors.epsilon));
            let rate = V::splat(factors.rate);
            for start in (0..length).step_by(LANES) {
                let g = load_up_to::<V, _>(gradient.as_ptr(), start, length).mul(factor);
                let m: V = load_up_to(first.as_ptr(), start, length);
                let v: V = load_up_to(second.as_ptr(), start, length);
                let x: V = load_up_to(value.as_ptr(), start, length);
                let m = g.sub(m).mul_add(new_first, m);
                let v = g.mul(g).mul_add(new_second, v.mul(old_second));
                let size = v.sqrt().mul_add(root, epsilon);
                let x = m.div(size).neg_mul_add(rate, x.mul(keep));
                store_up_to(m, first.as_mut_ptr(), start, length);
                store_up_to(v, second.as_mut_ptr(), start, length);
                store_up_to(x, value.as_mut_ptr(), start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{LENGTHS, Shifted, assert_near, assert_same_bits, awkward, normal, widened};
    use base::Rng;

    const SETTINGS: AdamW = AdamW {
        rate: 2e-3,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
        decay: 0.1,
        step: 3,
        gradient_factor: 0.7,
    };

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS) {
            let mut rng = Rng::new(seed);
            for gradient in [normal(&mut rng, length), awkward(&mut rng, length)] {
                let (value, first) = (normal(&mut rng, length), normal(&mut rng, length));
                let second: Vec<f32> = normal(&mut rng, length).into_iter().map(|x| x * x).collect();
                check(seed, &gradient, [&value, &first, &second]);
            }
        }
    }

    fn check(seed: u64, gradient: &[f32], state: [&[f32]; 3]) {
        let factors = SETTINGS.factors();
        let [mut value, mut first, mut second] = state.map(<[f32]>::to_vec);
        scalar(&factors, &mut value, gradient, &mut first, &mut second);
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in ADAM_W.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", gradient.len());
                let [mut x, mut m, mut v] = state.map(|state| Shifted::new(state, offset));
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(&factors, x.get_mut(), gradient, m.get_mut(), v.get_mut()) };
                assert_near(m.get(), &first, (5e-7, 1e-6), &context);
                assert_near(v.get(), &second, (5e-7, 0.0), &context);
                assert_near(x.get(), &value, (5e-7, 1e-6), &context);
                if isa > Isa::Scalar {
                    let all = [x.get(), m.get(), v.get()].concat();
                    assert_same_bits(&all, vector.get_or_insert(all.clone()), &context);
                }
            }
        }
    }

    /// The paper's algorithm 2 in f64, with the moments corrected first.
    fn exact_step(settings: &AdamW, state: &mut [Vec<f64>; 3], gradient: &[f32]) {
        let AdamW { rate, beta_1, beta_2, epsilon, decay, step, gradient_factor } = *settings;
        let [value, first, second] = state;
        for i in 0..gradient.len() {
            let g = f64::from(gradient[i]) * gradient_factor;
            first[i] = beta_1 * first[i] + (1.0 - beta_1) * g;
            second[i] = beta_2 * second[i] + (1.0 - beta_2) * g * g;
            let first = first[i] / (1.0 - beta_1.powi(step as i32));
            let second = second[i] / (1.0 - beta_2.powi(step as i32));
            value[i] -= rate * decay * value[i];
            value[i] -= rate * first / (second.sqrt() + epsilon);
        }
    }

    #[test]
    fn fifty_steps_follow_the_definition() {
        let length = 3 * ELEMENTS_PER_TASK + 11;
        let mut rng = Rng::new(8);
        let mut value = normal(&mut rng, length);
        let (mut first, mut second) = (vec![0.0; length], vec![0.0; length]);
        let mut exact = [widened(&value), vec![0.0; length], vec![0.0; length]];
        for step in 1..=50 {
            let mut gradient = normal(&mut rng, length);
            // Gradients from 1e-9, below ε, to 1.
            gradient.iter_mut().enumerate().for_each(|(i, g)| *g *= 10f32.powi(-((i % 10) as i32)));
            let settings = AdamW { step, rate: 1e-3 * step as f64 / 50.0, ..SETTINGS };
            adam_w(&settings, &mut value, &gradient, &mut first, &mut second);
            exact_step(&settings, &mut exact, &gradient);
        }
        let [exact, ..] = exact.map(|values| values.into_iter().map(|x| x as f32).collect::<Vec<f32>>());
        assert_near(&value, &exact, (3e-6, 1e-6), "value");
    }

    #[test]
    fn the_first_step_is_the_rate_in_the_direction_of_the_sign() {
        let (mut value, mut first, mut second) = ([1.0, 1.0, 1.0], [0.0; 3], [0.0; 3]);
        let settings = AdamW { decay: 0.0, ..AdamW::default() };
        adam_w(&settings, &mut value, &[0.3, -1e-3, 0.0], &mut first, &mut second);
        assert_near(&value, &[0.999, 1.001, 1.0], (2e-7, 1e-8), "value");
        assert_near(&first, &[0.03, -1e-4, 0.0], (1e-6, 0.0), "first");
        assert_near(&second, &[9e-5, 1e-9, 0.0], (1e-6, 0.0), "second");
    }

    #[test]
    #[should_panic(expected = "counted from 1")]
    fn step_0_is_a_bug() {
        adam_w(&AdamW { step: 0, ..AdamW::default() }, &mut [], &[], &mut [], &mut []);
    }
}
