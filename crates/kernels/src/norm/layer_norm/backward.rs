//! The backward pass of [`super::layer_norm`]. With n = (x − mean)·f the normalised row, f one over its
//! deviation, g the gradient of the output and h = g·w:
//! `dx = f · (h − mean(h) − n · mean(h·n))`, and over all rows `dw = Σ g·n`, `db = Σ g`, in the order of
//! [`crate::row_sums`].
//!
//! Nothing is kept from the forward pass: x is read again anyway. The terms of dx can cancel; relative to the
//! largest one the error is at most 4e-6 up to D = 16384.

use super::statistics;
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::row_sums;

/// One row: x, weight, gradient, epsilon, dx to be written, all of the same length; and sums to be added to,
/// twice as long: first for the weight, then for the bias.
pub type BackwardBody = unsafe fn(&[f32], &[f32], &[f32], f32, &mut [f32], &mut [f32]);

/// The bodies for one row.
pub static LAYER_NORM_BACKWARD: Kernel<BackwardBody> = Kernel::new(
    "layer_norm_backward",
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

/// Where the gradients go: all is overwritten.
pub struct Gradients<'a> {
    /// For x, `[R, D]`.
    pub dx: &'a mut [f32],
    /// For the weight, `[D]`.
    pub dw: &'a mut [f32],
    /// For the bias, `[D]`.
    pub db: &'a mut [f32],
}

/// The gradients of [`super::layer_norm`] for x, weight and bias, given that of its output.
///
/// # Shapes
/// `x`, `gradient` `[R, D]`, `weight [D]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn layer_norm_backward(
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    epsilon: f32,
    gradients: Gradients<'_>,
) {
    let Gradients { dx, dw, db } = gradients;
    let width = weight.len();
    assert!(x.len() == gradient.len() && x.len() == dx.len(), "layer_norm_backward: rows differ in number");
    assert!(
        width == dw.len() && width == db.len(),
        "layer_norm_backward: weight, dw and db differ in length"
    );
    if width == 0 {
        return assert!(x.is_empty(), "layer_norm_backward: rows of width 0");
    }
    assert!(x.len().is_multiple_of(width), "layer_norm_backward: x is not a whole number of rows of {width}");
    let body = LAYER_NORM_BACKWARD.body();
    let output = Disjoint::new(dx);
    let mut sums = vec![0.0; 2 * width];
    row_sums::over_rows(x.len() / width, &mut sums, &|rows, sums| {
        for row in rows {
            let range = row * width..(row + 1) * width;
            let (x, gradient) = (&x[range.clone()], &gradient[range.clone()]);
            // SAFETY: rows do not overlap, and the table holds only bodies that this machine can run; all
            // slices are `width` long, `sums` twice that.
            unsafe { body(x, weight, gradient, epsilon, output.part(range), sums) };
        }
    });
    dw.copy_from_slice(&sums[..width]);
    db.copy_from_slice(&sums[width..]);
}

fn scalar(x: &[f32], weight: &[f32], gradient: &[f32], epsilon: f32, dx: &mut [f32], sums: &mut [f32]) {
    let (mean, factor) = statistics(x, epsilon);
    let (dw, db) = sums.split_at_mut(x.len());
    let (mut total, mut overlap) = (0.0, 0.0);
    for i in 0..x.len() {
        let normal = (x[i] - mean) * factor;
        total += gradient[i] * weight[i];
        overlap += gradient[i] * weight[i] * normal;
        dw[i] += gradient[i] * normal;
        db[i] += gradient[i];
    }
    let (total, overlap) = (total / x.len() as f32, overlap / x.len() as f32);
    for i in 0..x.len() {
        let normal = (x[i] - mean) * factor;
        dx[i] = (gradient[i] * weight[i] - total - normal * overlap) * factor;
    }
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};
    use crate::norm::layer_norm::vector::statistics;

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(x: &[f32], weight: &[f32], gradient: &[f32], e: f32, dx: &mut [f32], s: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(x, weight, gradient, e, dx, s) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(x: &[f32], weight: &[f32], gradient: &[f32], e: f32, dx: &mut [f32], s: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(x, weight, gradient, e, dx, s) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(
        x: &[f32],
        weight: &[f32],
        gradient: &[f32],
        epsilon: f32,
        dx: &mut [f32],
        sums: &mut [f32],
    ) {
        let length = x.len();
        let (dw, db) = sums.split_at_mut(length);
        // SAFETY: all slices are `length` long by the wrapper's checks, and no lane goes beyond.
        unsafe {
            let (mean, factor) = statistics::<V>(x, epsilon);
            let (mean, factor) = (V::splat(mean), V::splat(factor));
            let (mut totals, mut overlaps) = (V::splat(0.0), V::splat(0.0));
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let w: V = load_up_to(weight.as_ptr(), start, length);
                // Where there is no element, the gradient is 0 and so is every product with it.
                let g: V = load_up_to(gradient.as_ptr(), start, length);
                let normal = a.sub(mean).mul(factor);
                let weighted = g.mul(w);
                totals = totals.add(weighted);
                overlaps = weighted.mul_add(normal, overlaps);
                let sum: V = load_up_to(dw.as_ptr(), start, length);
                store_up_to(g.mul_add(normal, sum), dw.as_mut_ptr(), start, length);
                let sum: V = load_up_to(db.as_ptr(), start, length);
                store_up_to(g.add(sum), db.as_mut_ptr(), start, length);
            }
            let total = V::splat(totals.sum() / length as f32);
            let overlap = V::splat(overlaps.sum() / length as f32);
            for start in (0..length).step_by(LANES) {
                let a: V = load_up_to(x.as_ptr(), start, length);
                let w: V = load_up_to(weight.as_ptr(), start, length);
                let g: V = load_up_to(gradient.as_ptr(), start, length);
                let normal = a.sub(mean).mul(factor);
                let d = normal.neg_mul_add(overlap, g.mul(w).sub(total)).mul(factor);
                store_up_to(d, dx.as_mut_ptr(), start, length);
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
        // A row of one element is its bias whatever it is: its gradient is 0, and what is left is rounding.
        for (seed, length) in (1..).zip(LENGTHS.into_iter().filter(|length| *length > 1)) {
            let mut rng = Rng::new(seed);
            for x in [normal(&mut rng, length), awkward(&mut rng, length), vec![1e-40; length]] {
                let (weight, gradient) = (normal(&mut rng, length), normal(&mut rng, length));
                check_row(seed, &x, &weight, &gradient);
            }
        }
    }

    fn check_row(seed: u64, x: &[f32], weight: &[f32], gradient: &[f32]) {
        let (mut expected, mut sums) = (vec![0.0; x.len()], vec![2.0; 2 * x.len()]);
        scalar(x, weight, gradient, 1e-5, &mut expected, &mut sums);
        let size = |values: &[f32]| values.iter().filter(|x| x.is_finite()).fold(0f32, |m, x| m.max(x.abs()));
        let (size_dx, size_sums) = (size(&expected), size(&sums));
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in LAYER_NORM_BACKWARD.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", x.len());
                let mut dx = Shifted::new(&vec![7.0; x.len()], offset);
                let mut found = Shifted::new(&vec![2.0; 2 * x.len()], offset);
                let x = Shifted::new(x, offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(x.get(), weight, gradient, 1e-5, dx.get_mut(), found.get_mut()) };
                assert_near(dx.get(), &expected, (4e-6, 4e-6 * size_dx), &context);
                assert_near(found.get(), &sums, (4e-6, 4e-6 * size_sums), &context);
                if isa > Isa::Scalar {
                    let both = [dx.get(), found.get()].concat();
                    assert_same_bits(&both, vector.get_or_insert(both.clone()), &context);
                }
            }
        }
    }

    /// Σ c · y over all rows, in f64.
    fn loss(x: &[f64], weight: &[f64], bias: &[f64], c: &[f64]) -> f64 {
        let row = |(x, c): (&[f64], &[f64])| {
            let length = x.len() as f64;
            let mean = x.iter().sum::<f64>() / length;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / length;
            let deviation = (variance + f64::from(0.01f32)).sqrt();
            (0..x.len()).map(|i| c[i] * ((x[i] - mean) / deviation * weight[i] + bias[i])).sum::<f64>()
        };
        x.chunks(weight.len()).zip(c.chunks(weight.len())).map(row).sum()
    }

    fn run(x: &[f32], weight: &[f32], gradient: &[f32]) -> [Vec<f32>; 3] {
        let mut found = [vec![0.0; x.len()], vec![0.0; weight.len()], vec![0.0; weight.len()]];
        let [dx, dw, db] = &mut found;
        layer_norm_backward(x, weight, gradient, 0.01, Gradients { dx, dw, db });
        found
    }

    #[test]
    fn the_gradients_are_those_of_finite_differences() {
        for (seed, rows, width) in [(1, 1, 1), (2, 3, 17), (3, 40, 48)] {
            let mut rng = Rng::new(seed);
            let (x, c) = (normal(&mut rng, rows * width), normal(&mut rng, rows * width));
            let (weight, bias) = (normal(&mut rng, width), normal(&mut rng, width));
            let [dx, dw, db] = run(&x, &weight, &c);
            let (x, c, weight, bias) = (widened(&x), widened(&c), widened(&weight), widened(&bias));
            assert_near(&dx, &differences(&x, &|x| loss(x, &weight, &bias, &c)), (1e-5, 1e-5), "dx");
            assert_near(&dw, &differences(&weight, &|w| loss(&x, w, &bias, &c)), (1e-5, 1e-5), "dw");
            assert_near(&db, &differences(&bias, &|b| loss(&x, &weight, b, &c)), (1e-5, 1e-5), "db");
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let mut rng = Rng::new(6);
        let (rows, width) = (301, 130);
        let (x, c) = (normal(&mut rng, rows * width), normal(&mut rng, rows * width));
        let weight = normal(&mut rng, width);
        let first = run(&x, &weight, &c);
        on_every_number_of_threads(|n_threads| {
            for (found, first) in run(&x, &weight, &c).iter().zip(&first) {
                assert_same_bits(found, first, &format!("{n_threads} threads"));
            }
        });
    }
}
