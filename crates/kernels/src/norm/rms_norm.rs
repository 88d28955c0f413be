//! Root-mean-square normalisation of rows: `y[i] = x[i] · weight[i] / sqrt(mean(x²) + epsilon)`.
//!
//! Not a layer norm: no mean is subtracted, no bias added. Source: B. Zhang and R. Sennrich, "Root Mean
//! Square Layer Normalization" (2019). Largest relative error against exact arithmetic: 2e-6 up to D = 16384
//! (the sum of squares has no cancellation; the vector bodies add in sixteen lanes).

mod backward;

pub use backward::{BackwardBody, RMS_NORM_BACKWARD, rms_norm_backward};

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Normalises one row: x, weight, epsilon, y, all of the same length.
pub type Body = unsafe fn(&[f32], &[f32], f32, &mut [f32]);

/// The bodies for one row.
pub static RMS_NORM: Kernel<Body> = Kernel::new(
    "rms_norm",
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

/// Elements that one task handles at least, so that handing it out costs little.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// Normalises every row of `x` by its root mean square and multiplies by `weight`. An empty `weight` gives
/// nothing.
///
/// # Shapes
/// `x [R, D]`, `weight [D]`, `y [R, D]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "rms_norm: x and y differ in length");
    let width = weight.len();
    if width == 0 {
        return assert!(x.is_empty(), "rms_norm: rows of width 0");
    }
    assert_eq!(x.len() % width, 0, "rms_norm: x is not a whole number of rows of {width}");
    let body = RMS_NORM.body();
    let output = Disjoint::new(y);
    pool::run_ranges(x.len() / width, ELEMENTS_PER_TASK.div_ceil(width), &|rows| {
        for row in rows {
            let range = row * width..(row + 1) * width;
            // SAFETY: rows do not overlap, and the table holds only bodies that this machine can run; all
            // three slices are `width` long.
            unsafe { body(&x[range.clone()], weight, epsilon, output.part(range)) };
        }
    });
}

fn scalar(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
    let sum_of_squares: f32 = x.iter().map(|x| x * x).sum();
    let factor = 1.0 / (sum_of_squares / x.len() as f32 + epsilon).sqrt();
    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
        *y = x * factor * weight;
    }
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(x, weight, epsilon, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(x, weight, epsilon, y) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
        let length = x.len();
        // SAFETY: all three slices are `length` long by the wrapper's checks, and no lane goes beyond.
        unsafe {
            // Two sums of alternate groups of sixteen: one alone would wait for each addition.
            let (mut even, mut odd) = (V::splat(0.0), V::splat(0.0));
            for start in (0..length).step_by(2 * LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                even = a.mul_add(a, even);
                if start + LANES < length {
                    let b: V = load_up_to(x.as_ptr(), start + LANES, length);
                    odd = b.mul_add(b, odd);
                }
            }
            let factor = 1.0 / (even.add(odd).sum() / length as f32 + epsilon).sqrt();
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let w: V = load_up_to(weight.as_ptr(), start, length);
                store_up_to(a.mul(V::splat(factor)).mul(w), y.as_mut_ptr(), start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{LENGTHS, Shifted, assert_near, assert_same_bits, awkward, normal};
    use base::Rng;

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS.into_iter().filter(|length| *length > 0)) {
            let mut rng = Rng::new(seed);
            for x in [normal(&mut rng, length), awkward(&mut rng, length), vec![1e-40; length]] {
                check_row(seed, &x, &normal(&mut rng, length));
            }
        }
    }

    fn check_row(seed: u64, x: &[f32], weight: &[f32]) {
        let mut expected = vec![0.0; x.len()];
        scalar(x, weight, 1e-5, &mut expected);
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in RMS_NORM.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", x.len());
                let mut y = Shifted::new(&vec![7.0; x.len()], offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(Shifted::new(x, offset).get(), weight, 1e-5, y.get_mut()) };
                assert_near(y.get(), &expected, (4e-6, 0.0), &context);
                if isa > Isa::Scalar {
                    assert_same_bits(y.get(), vector.get_or_insert_with(|| y.get().to_vec()), &context);
                }
            }
        }
    }

    #[test]
    fn a_row_is_normalised_by_the_formula() {
        let mut y = [0.0; 4];
        rms_norm(&[3.0, 4.0, 0.0, 2.0], &[1.0, 2.0], 0.0, &mut y);
        let (a, b) = (12.5f32.sqrt(), 2f32.sqrt());
        assert_near(&y, &[3.0 / a, 8.0 / a, 0.0, 4.0 / b], (1e-6, 0.0), "by hand");
    }

    #[test]
    fn a_row_is_the_same_alone_and_among_others() {
        let mut rng = Rng::new(5);
        let (rows, width) = (301, 130);
        let (x, weight) = (normal(&mut rng, rows * width), normal(&mut rng, width));
        let mut all = vec![0.0; x.len()];
        rms_norm(&x, &weight, 1e-6, &mut all);
        for row in 0..rows {
            let mut alone = vec![0.0; width];
            rms_norm(&x[row * width..][..width], &weight, 1e-6, &mut alone);
            assert_same_bits(&alone, &all[row * width..][..width], "alone");
        }
    }
}
