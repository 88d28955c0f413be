//! The backward pass of [`super::rms_norm`]. With f = 1 / sqrt(mean(x²) + ε), g the gradient of the output
//! and o = mean(g·w·x): `dx = f·g·w − x·f³·o`, and `dw = Σ g·x·f` over all rows, in the order of
//! [`crate::row_sums`].
//!
//! Nothing is kept from the forward pass: x is read again anyway, and its sum of squares is free. The two
//! terms of dx can cancel; relative to the larger one the error is at most 4e-6 up to D = 16384.

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::row_sums;

/// One row: x, weight, gradient, epsilon, dx to be written, dw to be added to; all of the same length.
pub type BackwardBody = unsafe fn(&[f32], &[f32], &[f32], f32, &mut [f32], &mut [f32]);

/// The bodies for one row.
pub static RMS_NORM_BACKWARD: Kernel<BackwardBody> = Kernel::new(
    "rms_norm_backward",
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

/// The gradients of [`super::rms_norm`] for x and for the weight, given that of its output.
///
/// # Shapes
/// `x`, `gradient`, `dx` `[R, D]`, `weight`, `dw` `[D]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    epsilon: f32,
    dx: &mut [f32],
    dw: &mut [f32],
) {
    let width = weight.len();
    assert!(x.len() == gradient.len() && x.len() == dx.len(), "rms_norm_backward: rows differ in number");
    assert_eq!(width, dw.len(), "rms_norm_backward: weight and dw differ in length");
    if width == 0 {
        return assert!(x.is_empty(), "rms_norm_backward: rows of width 0");
    }
    assert!(x.len().is_multiple_of(width), "rms_norm_backward: x is not a whole number of rows of {width}");
    let body = RMS_NORM_BACKWARD.body();
    let output = Disjoint::new(dx);
    row_sums::over_rows(x.len() / width, dw, &|rows, dw| {
        for row in rows {
            let range = row * width..(row + 1) * width;
            let (x, gradient) = (&x[range.clone()], &gradient[range.clone()]);
            // SAFETY: rows do not overlap, and the table holds only bodies that this machine can run; all
            // slices are `width` long.
            unsafe { body(x, weight, gradient, epsilon, output.part(range), dw) };
        }
    });
}

fn scalar(x: &[f32], weight: &[f32], gradient: &[f32], epsilon: f32, dx: &mut [f32], dw: &mut [f32]) {
    let length = x.len() as f32;
    let sum_of_squares: f32 = x.iter().map(|x| x * x).sum();
    let factor = 1.0 / (sum_of_squares / length + epsilon).sqrt();
    let overlap: f32 = (0..x.len()).map(|i| gradient[i] * weight[i] * x[i]).sum();
    let along = factor * factor * factor * (overlap / length);
    for i in 0..x.len() {
        dx[i] = gradient[i] * weight[i] * factor - x[i] * along;
        dw[i] += gradient[i] * (x[i] * factor);
    }
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(x: &[f32], weight: &[f32], gradient: &[f32], e: f32, dx: &mut [f32], dw: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(x, weight, gradient, e, dx, dw) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(
        x: &[f32],
        weight: &[f32],
        gradient: &[f32],
        epsilon: f32,
        dx: &mut [f32],
        dw: &mut [f32],
    ) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(x, weight, gradient, epsilon, dx, dw) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(
        x: &[f32],
        weight: &[f32],
        gradient: &[f32],
        epsilon: f32,
        dx: &mut [f32],
        dw: &mut [f32],
    ) {
        let length = x.len();
        // SAFETY: all slices are `length` long by the wrapper's checks, and no lane goes beyond.
        unsafe {
            let (mut squares, mut overlaps) = (V::splat(0.0), V::splat(0.0));
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let w: V = load_up_to(weight.as_ptr(), start, length);
                let g: V = load_up_to(gradient.as_ptr(), start, length);
                squares = a.mul_add(a, squares);
                overlaps = g.mul(w).mul_add(a, overlaps);
            }
            let factor = 1.0 / (squares.sum() / length as f32 + epsilon).sqrt();
            let along = V::splat(factor * factor * factor * (overlaps.sum() / length as f32));
            let factor = V::splat(factor);
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let w: V = load_up_to(weight.as_ptr(), start, length);
                let g: V = load_up_to(gradient.as_ptr(), start, length);
                let d = a.neg_mul_add(along, g.mul(w).mul(factor));
                store_up_to(d, dx.as_mut_ptr(), start, length);
                let sum: V = load_up_to(dw.as_ptr(), start, length);
                store_up_to(g.mul_add(a.mul(factor), sum), dw.as_mut_ptr(), start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        LENGTHS, Shifted, assert_near, assert_same_bits, awkward, differences, normal,
        on_every_number_of_threads, widened,
    };
    use base::Rng;

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS.into_iter().filter(|length| *length > 0)) {
            let mut rng = Rng::new(seed);
            for x in [normal(&mut rng, length), awkward(&mut rng, length), vec![1e-40; length]] {
                let (weight, gradient) = (normal(&mut rng, length), normal(&mut rng, length));
                check_row(seed, &x, &weight, &gradient);
            }
        }
    }

    fn check_row(seed: u64, x: &[f32], weight: &[f32], gradient: &[f32]) {
        let (mut expected, mut sums) = (vec![0.0; x.len()], vec![2.0; x.len()]);
        scalar(x, weight, gradient, 1e-5, &mut expected, &mut sums);
        let size = |values: &[f32]| values.iter().filter(|x| x.is_finite()).fold(0f32, |m, x| m.max(x.abs()));
        let (size_dx, size_dw) = (size(&expected), size(&sums));
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in RMS_NORM_BACKWARD.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", x.len());
                let mut dx = Shifted::new(&vec![7.0; x.len()], offset);
                let mut dw = Shifted::new(&vec![2.0; x.len()], offset);
                let x = Shifted::new(x, offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(x.get(), weight, gradient, 1e-5, dx.get_mut(), dw.get_mut()) };
                assert_near(dx.get(), &expected, (4e-6, 4e-6 * size_dx), &context);
                assert_near(dw.get(), &sums, (4e-6, 4e-6 * size_dw), &context);
                if isa > Isa::Scalar {
                    let both = [dx.get(), dw.get()].concat();
                    assert_same_bits(&both, vector.get_or_insert(both.clone()), &context);
                }
            }
        }
    }

    /// Σ c · y over all rows, in f64.
    fn loss(x: &[f64], weight: &[f64], c: &[f64], epsilon: f64) -> f64 {
        let rows = x.chunks(weight.len()).zip(c.chunks(weight.len()));
        let row = |(x, c): (&[f64], &[f64])| {
            let factor = 1.0 / (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + epsilon).sqrt();
            (0..x.len()).map(|i| c[i] * x[i] * factor * weight[i]).sum::<f64>()
        };
        rows.map(row).sum()
    }

    #[test]
    fn the_gradients_are_those_of_finite_differences() {
        for (seed, rows, width) in [(1, 1, 1), (2, 3, 17), (3, 40, 48)] {
            let mut rng = Rng::new(seed);
            let (x, c) = (normal(&mut rng, rows * width), normal(&mut rng, rows * width));
            let weight = normal(&mut rng, width);
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; width]);
            rms_norm_backward(&x, &weight, &c, 0.01, &mut dx, &mut dw);
            let (x, c, weight) = (widened(&x), widened(&c), widened(&weight));
            let epsilon = f64::from(0.01f32);
            let for_x = differences(&x, &|x| loss(x, &weight, &c, epsilon));
            let for_weight = differences(&weight, &|weight| loss(&x, weight, &c, epsilon));
            assert_near(&dx, &for_x, (1e-5, 1e-5), "dx");
            assert_near(&dw, &for_weight, (1e-5, 1e-5), "dw");
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits_and_a_row_its_own() {
        let mut rng = Rng::new(6);
        let (rows, width) = (301, 130);
        let (x, c) = (normal(&mut rng, rows * width), normal(&mut rng, rows * width));
        let weight = normal(&mut rng, width);
        let run = |x: &[f32], c: &[f32]| {
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; width]);
            rms_norm_backward(x, &weight, c, 1e-6, &mut dx, &mut dw);
            (dx, dw)
        };
        let (all, sums) = run(&x, &c);
        on_every_number_of_threads(|n_threads| {
            let (dx, dw) = run(&x, &c);
            assert_same_bits(&dx, &all, &format!("{n_threads} threads"));
            assert_same_bits(&dw, &sums, &format!("{n_threads} threads"));
        });
        for row in [0, 150, 300] {
            let range = row * width..(row + 1) * width;
            assert_same_bits(&run(&x[range.clone()], &c[range.clone()]).0, &all[range], "alone");
        }
    }
}
