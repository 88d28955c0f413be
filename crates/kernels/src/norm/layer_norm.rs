//! Layer normalisation of rows: `y[i] = (x[i] − mean) / sqrt(variance + epsilon) · weight[i] + bias[i]`, the
//! variance being the mean of (x − mean)².
//!
//! Not a root-mean-square norm, which subtracts no mean. Source: J. Ba, J. Kiros and G. Hinton, "Layer
//! Normalization" (2016). The variance is taken in a second pass over the row, from the differences, so
//! nothing cancels in it: the largest error is 4e-6 of |y − bias| plus 2e-6 of |mean| over the deviation, up
//! to D = 16384. A row of equal elements gives its bias, to within that.

mod backward;

pub use backward::{BackwardBody, Gradients, LAYER_NORM_BACKWARD, layer_norm_backward};

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Normalises one row: x, weight, bias, epsilon, y, all of the same length.
pub type Body = unsafe fn(&[f32], &[f32], &[f32], f32, &mut [f32]);

/// The bodies for one row.
pub static LAYER_NORM: Kernel<Body> = Kernel::new(
    "layer_norm",
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

/// Normalises every row of `x` to mean 0 and variance 1, multiplies by `weight` and adds `bias`.
///
/// # Shapes
/// `x [R, D]`, `weight [D]`, `bias [D]`, `y [R, D]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "layer_norm: x and y differ in length");
    assert_eq!(weight.len(), bias.len(), "layer_norm: weight and bias differ in length");
    let width = weight.len();
    if width == 0 {
        return assert!(x.is_empty(), "layer_norm: rows of width 0");
    }
    assert!(x.len().is_multiple_of(width), "layer_norm: x is not a whole number of rows of {width}");
    let body = LAYER_NORM.body();
    let output = Disjoint::new(y);
    pool::run_ranges(x.len() / width, ELEMENTS_PER_TASK.div_ceil(width), &|rows| {
        for row in rows {
            let range = row * width..(row + 1) * width;
            // SAFETY: rows do not overlap, and the table holds only bodies that this machine can run; all
            // slices are `width` long.
            unsafe { body(&x[range.clone()], weight, bias, epsilon, output.part(range)) };
        }
    });
}

/// The mean of a row, and one over the root of its variance plus epsilon.
fn statistics(x: &[f32], epsilon: f32) -> (f32, f32) {
    let length = x.len() as f32;
    let mean = x.iter().sum::<f32>() / length;
    let sum_of_squares: f32 = x.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, 1.0 / (sum_of_squares / length + epsilon).sqrt())
}

fn scalar(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
    let (mean, factor) = statistics(x, epsilon);
    for i in 0..x.len() {
        y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
    }
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, splat_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(x, weight, bias, epsilon, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(x, weight, bias, epsilon, y) }
    }

    /// As [`super::statistics`].
    ///
    /// # Safety
    /// As [`Lanes`].
    #[inline(always)]
    pub unsafe fn statistics<V: Lanes>(x: &[f32], epsilon: f32) -> (f32, f32) {
        let length = x.len();
        // SAFETY: no lane goes beyond `length`.
        unsafe {
            // Two sums of alternate groups of sixteen: one alone would wait for each addition.
            let mut sums = [V::splat(0.0); 2];
            for start in (0..length).step_by(LANES) {
                let sum = &mut sums[start / LANES % 2];
                *sum = sum.add(load_up_to(x.as_ptr(), start, length));
            }
            let mean = sums[0].add(sums[1]).sum() / length as f32;
            let mut squares = [V::splat(0.0); 2];
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let centred = a.sub(splat_up_to(mean, start, length));
                let sum = &mut squares[start / LANES % 2];
                *sum = centred.mul_add(centred, *sum);
            }
            let variance = squares[0].add(squares[1]).sum() / length as f32;
            (mean, 1.0 / (variance + epsilon).sqrt())
        }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
        let length = x.len();
        // SAFETY: all slices are `length` long by the wrapper's checks, and no lane goes beyond.
        unsafe {
            let (mean, factor) = statistics::<V>(x, epsilon);
            let (mean, factor) = (V::splat(mean), V::splat(factor));
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let w: V = load_up_to(weight.as_ptr(), start, length);
                let b: V = load_up_to(bias.as_ptr(), start, length);
                let normal = a.sub(mean).mul(factor);
                store_up_to(normal.mul_add(w, b), y.as_mut_ptr(), start, length);
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
                check_row(seed, &x, &normal(&mut rng, length), &normal(&mut rng, length));
            }
        }
    }

    fn check_row(seed: u64, x: &[f32], weight: &[f32], bias: &[f32]) {
        let mut expected = vec![0.0; x.len()];
        scalar(x, weight, bias, 1e-5, &mut expected);
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in LAYER_NORM.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", x.len());
                let mut y = Shifted::new(&vec![7.0; x.len()], offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(Shifted::new(x, offset).get(), weight, bias, 1e-5, y.get_mut()) };
                assert_near(y.get(), &expected, (4e-6, 4e-6), &context);
                if isa > Isa::Scalar {
                    assert_same_bits(y.get(), vector.get_or_insert_with(|| y.get().to_vec()), &context);
                }
            }
        }
    }

    #[test]
    fn a_row_is_normalised_by_the_formula() {
        for (shift, length) in [(0.0, 3), (3.0, 100), (-40.0, 4097)] {
            let mut rng = Rng::new(length as u64);
            let x: Vec<f32> = normal(&mut rng, length).into_iter().map(|x| x + shift).collect();
            let (weight, bias) = (normal(&mut rng, length), normal(&mut rng, length));
            let mut y = vec![0.0; length];
            layer_norm(&x, &weight, &bias, 1e-5, &mut y);
            let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / length as f64;
            let squares = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>();
            let deviation = (squares / length as f64 + f64::from(1e-5f32)).sqrt();
            let exact = |i: usize| {
                let normal = (f64::from(x[i]) - mean) / deviation;
                (normal * f64::from(weight[i]) + f64::from(bias[i])) as f32
            };
            let exact: Vec<f32> = (0..length).map(exact).collect();
            assert_near(&y, &exact, (4e-6, 8e-6 + 2e-6 * shift.abs()), "against f64");
        }
    }

    #[test]
    fn a_row_is_the_same_alone_and_among_others() {
        let mut rng = Rng::new(5);
        let (rows, width) = (301, 130);
        let (x, weight) = (normal(&mut rng, rows * width), normal(&mut rng, width));
        let bias = normal(&mut rng, width);
        let mut all = vec![0.0; x.len()];
        layer_norm(&x, &weight, &bias, 1e-6, &mut all);
        for row in 0..rows {
            let mut alone = vec![0.0; width];
            layer_norm(&x[row * width..][..width], &weight, &bias, 1e-6, &mut alone);
            assert_same_bits(&alone, &all[row * width..][..width], "alone");
        }
    }
}
