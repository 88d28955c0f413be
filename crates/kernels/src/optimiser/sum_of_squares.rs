//! The sum of the squares of many numbers, for the norm of a gradient: in blocks of a fixed size, whose sums
//! are added from first to last, so that every number of threads gives the same bits.
//!
//! Not a norm: the caller adds up its tensors and takes the root. It also tells of numbers that are none: the
//! sum is not finite when one of them is NaN or infinite, or, in the vector bodies, greater than 1.8e19, whose
//! square f32 cannot hold. Relative error at most 2e-5, about 1e-7 for what gradients are like; squares below
//! 1e-38 are lost.

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Sums the squares of one block.
pub type Body = unsafe fn(&[f32]) -> f64;

/// The bodies for one block.
pub static SUM_OF_SQUARES: Kernel<Body> = Kernel::new(
    "sum_of_squares",
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

/// Elements of one block: each of the 64 chains of f32 adds up 256 squares.
const BLOCK: usize = 16 * 1024;

/// `Σ x²`; not finite when a number is not, see the module.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let body = SUM_OF_SQUARES.body();
    let mut sums = vec![0.0; values.len().div_ceil(BLOCK)];
    let output = Disjoint::new(&mut sums);
    pool::run_ranges(values.len(), BLOCK, &|range| {
        let block = range.start / BLOCK;
        // SAFETY: blocks do not overlap, and the table holds only bodies that this machine can run.
        unsafe { output.part(block..block + 1)[0] = body(&values[range]) };
    });
    sums.iter().sum()
}

fn scalar(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(values: &[f32]) -> f64 {
        // SAFETY: this function has the features.
        unsafe { body::<Avx2>(values) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(values: &[f32]) -> f64 {
        // SAFETY: as above.
        unsafe { body::<Avx512>(values) }
    }

    /// Four sums of alternate groups of sixteen: one alone would wait for each addition.
    #[inline(always)]
    pub unsafe fn body<V: Lanes>(values: &[f32]) -> f64 {
        let (length, from) = (values.len(), values.as_ptr());
        let whole = length - length % (4 * LANES);
        // SAFETY: four times sixteen elements stand at every start below `whole`, and no lane goes beyond
        // `length`.
        unsafe {
            let mut sums = [V::splat(0.0); 4];
            for start in (0..whole).step_by(4 * LANES) {
                for group in 0..4 {
                    let x = V::load(from.add(start + group * LANES));
                    sums[group] = x.mul_add(x, sums[group]);
                }
            }
            for start in (whole..length).step_by(LANES) {
                let x: V = load_up_to(from, start, length);
                sums[0] = x.mul_add(x, sums[0]);
            }
            f64::from(sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{LENGTHS, Shifted, normal, on_every_number_of_threads};
    use base::Rng;

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS) {
            let values = normal(&mut Rng::new(seed), length);
            let expected = scalar(&values);
            let mut vector: Option<f64> = None;
            for (isa, body) in SUM_OF_SQUARES.bodies_here() {
                for offset in [0, 1, 3] {
                    let values = Shifted::new(&values, offset);
                    // SAFETY: this machine can run the body.
                    let sum = unsafe { body(values.get()) };
                    assert!((sum - expected).abs() <= 1e-6 * expected, "{isa}, {length}: {sum}, {expected}");
                    if isa > Isa::Scalar {
                        assert_eq!(sum.to_bits(), vector.get_or_insert(sum).to_bits(), "{isa}, {length}");
                    }
                }
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits_near_the_exact_sum() {
        let values = normal(&mut Rng::new(2), 9 * BLOCK + 7);
        let (expected, first) = (scalar(&values), sum_of_squares(&values));
        assert!((first - expected).abs() <= 2e-7 * expected, "{first}, {expected}");
        on_every_number_of_threads(|n_threads| {
            assert_eq!(sum_of_squares(&values).to_bits(), first.to_bits(), "{n_threads} threads");
        });
        assert_eq!(sum_of_squares(&[]), 0.0);
    }

    #[test]
    fn a_number_that_is_none_shows_wherever_it_stands() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 1, 63, 64, BLOCK - 1, BLOCK, 2 * BLOCK + 4, 2 * BLOCK + 69] {
                let mut values = vec![1e-3; 2 * BLOCK + 70];
                values[place] = bad;
                assert!(!sum_of_squares(&values).is_finite(), "{bad} at {place}");
            }
        }
    }
}
