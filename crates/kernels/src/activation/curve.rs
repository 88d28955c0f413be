//! The curves ReLU, silu and GELU, each with its slope, for one f32 and for sixteen lanes.
//!
//! Goes over no slices: `plain` and `gated` do.
//!
//! - **ReLU** (V. Nair and G. Hinton, 2010): `max(x, 0)`, slope 1 above zero, else 0.
//! - **silu** (S. Elfwing, E. Uchibe and K. Doya, 2018): `x·σ(x)`, slope `σ + x·σ·(1 − σ)`.
//! - **GELU, tanh** (D. Hendrycks and K. Gimpel, "Gaussian Error Linear Units", 2016, section 2):
//!   `x/2 · (1 + tanh(u))` with `u = √(2/π)·(x + 0.044715·x³)`, which is `x·σ(2u)`; slope
//!   `σ + x·σ·(1 − σ)·2u'`.
//! - **GELU, erf** (the same): `x·Φ(x)` with the normal distribution Φ; slope `Φ(x) + x·φ(x)`. With the upper
//!   tail Q(a) = 1 − Φ(a), `x·Φ(x) = max(x, 0) − |x|·Q(|x|)`, in which nothing cancels.
//! - **quick GELU** (the same): `x·σ(a·x)` with a = 1.702; slope `σ + a·x·σ·(1 − σ)`.

use crate::lanes::{Lanes, exp};

/// Which formula of GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gelu {
    /// By tanh, as in GPT-2 (`gelu_new`, `gelu_pytorch_tanh`).
    Tanh,
    /// By the error function (`gelu`).
    Erf,
}

/// A curve with its slope.
pub(super) trait Curve {
    /// The value at `x` and the slope there.
    fn at(x: f32) -> (f32, f32);

    /// The same for sixteen lanes.
    ///
    /// # Safety
    /// As [`Lanes`].
    unsafe fn lanes<V: Lanes>(x: V) -> (V, V);
}

/// `1 − σ` is `exp(−u)·σ`, without the error that the difference has where σ is near 1. Where the exponential
/// is infinite σ is 0, and so shall be the product.
const HUGE: f32 = 1e30;

/// `x·σ(x)`.
pub(super) struct Silu;

impl Curve for Silu {
    fn at(x: f32) -> (f32, f32) {
        let below = (-x).exp();
        let sigmoid = 1.0 / (1.0 + below);
        let value = x * sigmoid;
        (value, sigmoid + value * (HUGE.min(below) * sigmoid))
    }

    #[inline(always)]
    unsafe fn lanes<V: Lanes>(x: V) -> (V, V) {
        // SAFETY: the caller promises the instruction set.
        unsafe {
            let one = V::splat(1.0);
            let below = exp(V::splat(0.0).sub(x));
            let sigmoid = one.div(below.add(one));
            let rest = V::splat(HUGE).min(below).mul(sigmoid);
            let value = x.mul(sigmoid);
            (value, value.mul_add(rest, sigmoid))
        }
    }
}

/// `max(x, 0)`; NaN passes through, and so does its gradient.
pub(super) struct Relu;

impl Curve for Relu {
    fn at(x: f32) -> (f32, f32) {
        (if x < 0.0 { 0.0 } else { x }, if x <= 0.0 { 0.0 } else { 1.0 })
    }

    #[inline(always)]
    unsafe fn lanes<V: Lanes>(x: V) -> (V, V) {
        // SAFETY: the caller promises the instruction set.
        unsafe {
            let (zero, one, huge) = (V::splat(0.0), V::splat(1.0), V::splat(HUGE));
            // Twice, so that the least number becomes 1 too.
            let step = zero.max(x.mul(huge).mul(huge).min(one));
            (zero.max(x), step)
        }
    }
}

/// `x·σ(1.702·x)`.
pub(super) struct QuickGelu;

/// What makes a logistic curve like the normal distribution.
const QUICK: f32 = 1.702;

impl Curve for QuickGelu {
    fn at(x: f32) -> (f32, f32) {
        let below = (-QUICK * x).exp();
        let sigmoid = 1.0 / (1.0 + below);
        let value = x * sigmoid;
        (value, sigmoid + QUICK * value * (HUGE.min(below) * sigmoid))
    }

    #[inline(always)]
    unsafe fn lanes<V: Lanes>(x: V) -> (V, V) {
        // SAFETY: the caller promises the instruction set.
        unsafe {
            let one = V::splat(1.0);
            let below = exp(x.mul(V::splat(-QUICK)));
            let sigmoid = one.div(below.add(one));
            let rest = V::splat(HUGE).min(below).mul(sigmoid);
            let value = x.mul(sigmoid);
            (value, value.mul(V::splat(QUICK)).mul_add(rest, sigmoid))
        }
    }
}

/// GELU by tanh.
pub(super) struct GeluTanh;

/// 2·√(2/π), and the same times 0.044715.
const TWO_ROOT: f32 = 1.595_769;
const TWO_ROOT_CUBIC: f32 = TWO_ROOT * 0.044_715;
/// From here on, and below its negative, the curves are straight to the last bit: what grows with a power of
/// x is taken no further out, so that it cannot overflow.
const STRAIGHT: f32 = 15.0;

impl Curve for GeluTanh {
    fn at(x: f32) -> (f32, f32) {
        let near = if x.is_nan() { x } else { x.clamp(-STRAIGHT, STRAIGHT) };
        let square = near * near;
        let below = (-near * (TWO_ROOT + TWO_ROOT_CUBIC * square)).exp();
        let sigmoid = 1.0 / (1.0 + below);
        let rest = HUGE.min(below) * sigmoid;
        let steepness = TWO_ROOT + 3.0 * TWO_ROOT_CUBIC * square;
        (x * sigmoid, sigmoid + near * sigmoid * rest * steepness)
    }

    #[inline(always)]
    unsafe fn lanes<V: Lanes>(x: V) -> (V, V) {
        // SAFETY: the caller promises the instruction set.
        unsafe {
            let (one, root, cubic) = (V::splat(1.0), V::splat(TWO_ROOT), V::splat(TWO_ROOT_CUBIC));
            // In this order NaN passes through: the second operand wins.
            let near = V::splat(-STRAIGHT).max(V::splat(STRAIGHT).min(x));
            let square = near.mul(near);
            let below = exp(V::splat(0.0).sub(near.mul(square.mul_add(cubic, root))));
            let sigmoid = one.div(below.add(one));
            let steepness = square.mul_add(V::splat(3.0 * TWO_ROOT_CUBIC), root);
            let rest = V::splat(HUGE).min(below).mul(sigmoid);
            let bend = near.mul(sigmoid).mul(rest);
            (x.mul(sigmoid), bend.mul_add(steepness, sigmoid))
        }
    }
}

/// GELU by the error function.
pub(super) struct GeluErf;

/// `Q(a)·exp(a²/2)` for 0 ≤ a ≤ 15 is t times the polynomial with these coefficients, highest power first, in
/// `t = 1/(1 + 0.35·a)`: the form of M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions"
/// (1964), 7.1.26. Fitted by weighted least squares to values of 30 digits; with the coefficients rounded to
/// f32 the relative error is 8.2e-8.
const TAIL: [f32; 9] = [
    -0.029_163_966,
    0.144_061,
    -0.255_902_23,
    0.159_393_33,
    -0.023_264_09,
    0.105_574_9,
    0.119_815_476,
    0.139_864_34,
    0.139_621_26,
];
const TAIL_SCALE: f32 = 0.35;
/// 1/√(2π).
const DENSITY: f32 = 0.398_942_3;
/// Far above any slope of Φ: x times this, held between 0 and 1, is the step at 0, but for |x| < 1e-30, where
/// both sides of the step are the same to the last bit but one.
const STEP: f32 = 1e30;

impl Curve for GeluErf {
    fn at(x: f32) -> (f32, f32) {
        let size = if x.is_nan() { x } else { x.abs().min(STRAIGHT) };
        let bell = (size * size * -0.5).exp();
        let t = 1.0 / (1.0 + TAIL_SCALE * size);
        let tail = TAIL.iter().fold(0.0, |sum, coefficient| sum * t + coefficient) * t * bell;
        let share = if x > 0.0 { 1.0 - tail } else { tail };
        let near = if x > 0.0 { size } else { -size };
        (x.max(0.0) - size * tail, share + near * bell * DENSITY)
    }

    #[inline(always)]
    unsafe fn lanes<V: Lanes>(x: V) -> (V, V) {
        // SAFETY: the caller promises the instruction set.
        unsafe {
            let (zero, one) = (V::splat(0.0), V::splat(1.0));
            // In these orders NaN passes through: the second operand wins.
            let near = V::splat(-STRAIGHT).max(V::splat(STRAIGHT).min(x));
            let size = zero.sub(near).max(near);
            let bell = exp(size.mul(size).mul(V::splat(-0.5)));
            let t = one.div(size.mul_add(V::splat(TAIL_SCALE), one));
            let mut sum = V::splat(TAIL[0]);
            for coefficient in &TAIL[1..] {
                sum = sum.mul_add(t, V::splat(*coefficient));
            }
            let tail = sum.mul(t).mul(bell);
            let value = size.neg_mul_add(tail, zero.max(x));
            // Φ(x) = Q + step·(1 − 2Q).
            let step = zero.max(one.min(near.mul(V::splat(STEP))));
            let share = step.mul_add(tail.neg_mul_add(V::splat(2.0), one), tail);
            (value, near.mul(bell).mul_add(V::splat(DENSITY), share))
        }
    }
}

/// The curves in f64, by other formulas than above.
#[cfg(test)]
pub(super) mod exact {
    /// A curve in f64.
    pub type Exact = fn(f64) -> f64;

    pub fn silu(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }

    pub fn quick_gelu(x: f64) -> f64 {
        x / (1.0 + (-1.702 * x).exp())
    }

    pub fn gelu_tanh(x: f64) -> f64 {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
        // 1 + tanh(u), without cancellation below 0.
        x * if u < 0.0 { (2.0 * u).exp() / (1.0 + (2.0 * u).exp()) } else { 0.5 * (1.0 + u.tanh()) }
    }

    pub fn gelu_erf(x: f64) -> f64 {
        x * if x < 0.0 { upper_tail(-x) } else { 1.0 - upper_tail(x) }
    }

    /// Q(a): by the series of Φ below 3, by the continued fraction of Mills' ratio from there on.
    fn upper_tail(a: f64) -> f64 {
        let density = (-a * a / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if a < 3.0 {
            let mut term = a;
            let mut sum = a;
            for n in 1..80 {
                term *= a * a / (2.0 * f64::from(n) + 1.0);
                sum += term;
            }
            return 0.5 - density * sum;
        }
        let fraction = (1..=200).rev().fold(a, |below, n| a + f64::from(n) / below);
        density / fraction
    }
}

#[cfg(test)]
mod tests {
    use super::exact::{Exact, gelu_erf, gelu_tanh, quick_gelu, silu};
    use super::*;

    /// Values within 2e-7 of exact for the larger of 1 and |x|, slopes within 3e-7.
    fn check<C: Curve>(name: &str, exact: Exact) {
        let (mut worst_value, mut worst_slope) = (0f64, 0f64);
        for i in -64_000..=64_000 {
            let x = i as f32 * 2.5e-4;
            let (value, slope) = C::at(x);
            let at = f64::from(x);
            worst_value = worst_value.max((f64::from(value) - exact(at)).abs() / at.abs().max(1.0));
            let exact_slope = (exact(at + 1e-5) - exact(at - 1e-5)) / 2e-5;
            worst_slope = worst_slope.max((f64::from(slope) - exact_slope).abs());
        }
        println!("{name}: value {worst_value:.1e}, slope {worst_slope:.1e}");
        assert!(worst_value <= 2e-7 && worst_slope <= 3e-7, "{name}: {worst_value:e}, {worst_slope:e}");
    }

    #[test]
    fn curves_and_their_slopes_are_right() {
        check::<Silu>("silu", silu);
        check::<QuickGelu>("quick gelu", quick_gelu);
        check::<GeluTanh>("gelu by tanh", gelu_tanh);
        check::<GeluErf>("gelu by erf", gelu_erf);
    }

    #[test]
    fn relu_is_straight_on_both_sides() {
        for (x, expected) in [(3.0, (3.0, 1.0)), (-3.0, (0.0, 0.0)), (0.0, (0.0, 0.0)), (1e-45, (1e-45, 1.0))]
        {
            assert_eq!(Relu::at(x), expected, "{x}");
        }
        assert!(Relu::at(f32::NAN).0.is_nan());
    }

    #[test]
    fn known_values_of_gelu() {
        // From tables of the normal distribution: Φ(1) = 0.841345, Φ(2) = 0.977250.
        for (x, expected) in [(1.0, 0.841_344_7), (-1.0, -0.158_655_25), (2.0, 1.954_499_7), (0.0, 0.0)] {
            assert!((gelu_erf(f64::from(x)) - f64::from(expected)).abs() < 2e-7, "{x}");
            assert!((GeluErf::at(x).0 - expected).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn far_out_the_curves_are_straight() {
        for x in [20.0, 1e10, 1e30, f32::MAX] {
            assert_eq!((GeluTanh::at(x), GeluErf::at(x), Silu::at(x).0), ((x, 1.0), (x, 1.0), x), "{x}");
            let (below, erf) = (GeluTanh::at(-x), GeluErf::at(-x));
            assert_eq!((below.0, below.1, erf.0, erf.1), (0.0, 0.0, 0.0, 0.0), "{x}");
        }
    }
}
