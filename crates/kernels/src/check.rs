//! What the tests of kernels share: inputs with awkward values, and the comparison of two bodies.
//!
//! Only compiled for tests.

use base::Rng;

/// Lengths around the lane counts of every body, and a large odd one.
pub(crate) const LENGTHS: [usize; 14] = [0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 4099];

/// Normal random numbers.
pub(crate) fn normal(rng: &mut Rng, length: usize) -> Vec<f32> {
    (0..length).map(|_| rng.normal() as f32).collect()
}

/// Values among which one in eight is awkward: zeros, denormals, infinities, NaN, the greatest.
pub(crate) fn awkward(rng: &mut Rng, length: usize) -> Vec<f32> {
    const VALUES: [f32; 9] =
        [0.0, -0.0, 1e-40, -3e-42, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 80.0, -80.0];
    let pick = |rng: &mut Rng| if rng.below(8) == 0 { VALUES[rng.below(9)] } else { rng.normal() as f32 };
    (0..length).map(|_| pick(rng)).collect()
}

/// A copy that starts `offset` elements into its allocation, so that vector loads are not aligned.
pub(crate) struct Shifted(Vec<f32>, usize);

impl Shifted {
    pub fn new(values: &[f32], offset: usize) -> Self {
        let mut all = vec![f32::NAN; offset];
        all.extend_from_slice(values);
        Self(all, offset)
    }

    pub fn get(&self) -> &[f32] {
        &self.0[self.1..]
    }

    pub fn get_mut(&mut self) -> &mut [f32] {
        &mut self.0[self.1..]
    }
}

/// Equal, both NaN, or within `relative` of the larger magnitude plus `absolute`.
#[track_caller]
pub(crate) fn assert_near(actual: &[f32], expected: &[f32], (relative, absolute): (f32, f32), context: &str) {
    assert_eq!(actual.len(), expected.len(), "{context}");
    for (place, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let is_near = a == e
            || a.is_nan() && e.is_nan()
            || (a - e).abs() <= relative * a.abs().max(e.abs()) + absolute && a.is_finite() && e.is_finite();
        assert!(is_near, "{context}: element {place}: {a:e}, expected {e:e}");
    }
}

/// The same bits; NaN equals NaN of any kind.
#[track_caller]
pub(crate) fn assert_same_bits(actual: &[f32], expected: &[f32], context: &str) {
    assert_eq!(actual.len(), expected.len(), "{context}");
    for (place, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let is_same = a.to_bits() == e.to_bits() || a.is_nan() && e.is_nan();
        assert!(is_same, "{context}: element {place}: {a:e}, expected {e:e}");
    }
}

/// Runs `work` with 1, 2, 3 and 5 threads of the pool. Other tests of this process may change the number at
/// any moment, which is one more reason for results not to depend on it.
pub(crate) fn on_every_number_of_threads(mut work: impl FnMut(usize)) {
    let before = crate::pool::active_threads();
    for n_threads in [1, 2, 3, 5] {
        crate::pool::set_active_threads(n_threads);
        work(n_threads);
    }
    crate::pool::set_active_threads(before);
}

/// Central differences in f64 of `loss` for every element of `x`.
pub(crate) fn differences(x: &[f64], loss: &dyn Fn(&[f64]) -> f64) -> Vec<f32> {
    const STEP: f64 = 1e-5;
    let mut moved = x.to_vec();
    let slope = |place: usize| {
        moved[place] = x[place] + STEP;
        let above = loss(&moved);
        moved[place] = x[place] - STEP;
        let below = loss(&moved);
        moved[place] = x[place];
        ((above - below) / (2.0 * STEP)) as f32
    };
    (0..x.len()).map(slope).collect()
}

/// The same numbers in f64.
pub(crate) fn widened(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}
