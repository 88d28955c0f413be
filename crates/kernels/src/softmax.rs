//! Softmax over the last axis: `y[i] = exp(x[i] - max) / Σ exp(x[j] - max)`.
//!
//! Not a log-softmax, takes no temperature. A row whose every value is minus infinity (everything masked)
//! gives zeros; a row that holds NaN or plus infinity gives NaN throughout. Largest relative error against
//! exact arithmetic: 4e-6 up to 131072 columns (exponential within 1.1 ULP, sums in sixteen lanes of positive
//! terms).

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Softmax of one row, which is not empty, into another of the same length.
pub type Body = unsafe fn(&[f32], &mut [f32]);

/// The bodies for one row.
pub static SOFTMAX: Kernel<Body> = Kernel::new(
    "softmax",
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

/// Elements that one task handles at least.
const ELEMENTS_PER_TASK: usize = 8 * 1024;

/// Softmax of every row of `x`.
///
/// # Shapes
/// `x [R, columns]`, `y [R, columns]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn softmax(x: &[f32], columns: usize, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "softmax: x and y differ in length");
    if columns == 0 {
        return assert!(x.is_empty(), "softmax: rows of no columns");
    }
    assert_eq!(x.len() % columns, 0, "softmax: x is not a whole number of rows of {columns}");
    let body = SOFTMAX.body();
    let output = Disjoint::new(y);
    pool::run_ranges(x.len() / columns, ELEMENTS_PER_TASK.div_ceil(columns), &|rows| {
        for row in rows {
            let range = row * columns..(row + 1) * columns;
            // SAFETY: rows do not overlap, and the table holds only bodies that this machine can run; both
            // slices are `columns` long.
            unsafe { body(&x[range.clone()], output.part(range)) };
        }
    });
}

fn scalar(x: &[f32], y: &mut [f32]) {
    let greatest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if greatest == f32::NEG_INFINITY {
        return fill_masked(x, y);
    }
    let mut sum = 0.0;
    for (y, x) in y.iter_mut().zip(x) {
        *y = (x - greatest).exp();
        sum += *y;
    }
    for y in y {
        *y /= sum;
    }
}

/// A row without a number above minus infinity: zeros, or NaN if there was one.
fn fill_masked(x: &[f32], y: &mut [f32]) {
    y.fill(if x.iter().any(|x| x.is_nan()) { f32::NAN } else { 0.0 });
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, exp, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(x: &[f32], y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(x, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(x: &[f32], y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(x, y) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(x: &[f32], y: &mut [f32]) {
        let length = x.len();
        let (from, to) = (x.as_ptr(), y.as_mut_ptr());
        let whole = length - length % LANES;
        // SAFETY: both slices are `length` long, and no lane goes beyond.
        unsafe {
            let mut greatest = V::splat(f32::NEG_INFINITY);
            for start in (0..whole).step_by(LANES) {
                // NaN loses here (the second operand wins) and shows again in the exponentials.
                greatest = V::load(from.add(start)).max(greatest);
            }
            // The tail is at the row's own end, so its lanes are the same wherever the row stands.
            let tail = x[whole..].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let greatest = greatest.greatest().max(tail);
            if greatest == f32::NEG_INFINITY {
                return super::fill_masked(x, y);
            }
            let shift = V::splat(greatest);
            let mut sum = V::splat(0.0);
            for start in (0..whole).step_by(LANES) {
                let e = exp(V::load(from.add(start)).sub(shift));
                sum = sum.add(e);
                e.store(to.add(start));
            }
            let mut total = sum.sum();
            if whole < length {
                let e = exp(load_up_to::<V, f32>(from, whole, length).sub(shift));
                store_up_to(e, to, whole, length);
                total += V::load_first(to.add(whole), length - whole).sum();
            }
            let factor = V::splat(1.0 / total);
            for start in (0..length).step_by(LANES) {
                let e: V = load_up_to(to.cast_const(), start, length);
                store_up_to(e.mul(factor), to, start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{LENGTHS, Shifted, assert_near, assert_same_bits, awkward, normal};
    use base::Rng;

    fn check_row(seed: u64, x: &[f32]) {
        let mut expected = vec![0.0; x.len()];
        scalar(x, &mut expected);
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in SOFTMAX.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", x.len());
                let mut y = Shifted::new(&vec![7.0; x.len()], offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(Shifted::new(x, offset).get(), y.get_mut()) };
                assert_near(y.get(), &expected, (8e-6, 1e-44), &context);
                if isa > Isa::Scalar {
                    assert_same_bits(y.get(), vector.get_or_insert_with(|| y.get().to_vec()), &context);
                }
            }
        }
    }

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS.into_iter().filter(|length| *length > 0)) {
            let mut rng = Rng::new(seed);
            let x = normal(&mut rng, length);
            let masked: Vec<f32> =
                x.iter().map(|x| if rng.below(3) == 0 { f32::NEG_INFINITY } else { x * 30.0 }).collect();
            let with_nan: Vec<f32> =
                masked.iter().map(|x| if rng.below(9) == 0 { f32::NAN } else { *x }).collect();
            for x in [x, masked, with_nan, awkward(&mut rng, length), vec![1e-40; length]] {
                check_row(seed, &x);
            }
            check_row(seed, &vec![f32::NEG_INFINITY; length]);
        }
    }

    #[test]
    fn a_row_sums_to_one_and_a_masked_row_to_zero() {
        let mut y = [1.0; 6];
        softmax(
            &[0.0, 2f32.ln(), f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY],
            3,
            &mut y,
        );
        assert_near(&y, &[1.0 / 3.0, 2.0 / 3.0, 0.0, 0.0, 0.0, 0.0], (1e-6, 0.0), "by hand");
    }

    #[test]
    fn plus_infinity_and_nan_spoil_their_row_alone() {
        for bad in [f32::INFINITY, f32::NAN] {
            let mut y = [0.0; 4];
            softmax(&[1.0, bad, 0.0, 0.0], 2, &mut y);
            assert!(y[0].is_nan() && y[1].is_nan());
            assert_eq!(y[2..], [0.5, 0.5]);
        }
    }
}
