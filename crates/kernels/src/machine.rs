//! Loops that measure what this machine can do at most: multiply-adds that touch no memory, and reads that do nothing
//! else.
//!
//! Holds no clock: the caller times a call and divides. Shares of a peak in the benches are shares of these.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Runs multiply-adds in registers for a number of rounds; returns the floating-point operations made.
pub type Arithmetic = unsafe fn(u64) -> u64;

/// The f32 multiply-add loops; a multiply-add counts as two operations.
pub static ARITHMETIC: Kernel<Arithmetic> = Kernel::new(
    "f32 multiply-add",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, x86::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, x86::avx512),
    ],
);

/// Runs the multiply-add loop of `isa` on `n_threads` threads of the pool, `rounds` rounds each; returns the
/// floating-point operations made by all of them.
pub fn multiply_add(isa: Isa, n_threads: usize, rounds: u64) -> u64 {
    let body = ARITHMETIC.body_for(isa);
    let before = pool::active_threads();
    pool::set_active_threads(n_threads);
    let total = std::sync::atomic::AtomicU64::new(0);
    pool::run(n_threads, &|_| {
        // SAFETY: `body_for` gives only bodies that this machine can run.
        total.fetch_add(unsafe { body(rounds) }, Ordering::Relaxed);
    });
    pool::set_active_threads(before);
    total.into_inner()
}

/// Reads all of `values` once on `n_threads` threads of the pool; returns a mix of their bits, so that the reads
/// cannot be left out.
pub fn read(values: &[f32], n_threads: usize) -> u32 {
    let before = pool::active_threads();
    pool::set_active_threads(n_threads);
    let mixed = AtomicU32::new(0);
    pool::run_ranges(values.len(), 256 * 1024, &|range| {
        let mut lanes = [0u32; 64];
        for chunk in values[range].chunks_exact(64) {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane ^= value.to_bits();
            }
        }
        mixed.fetch_xor(lanes.into_iter().fold(0, |all, lane| all ^ lane), Ordering::Relaxed);
    });
    pool::set_active_threads(before);
    mixed.into_inner()
}

/// Sixteen chains of four, which the compiler turns into whatever vectors the target's baseline has.
fn scalar(rounds: u64) -> u64 {
    let mut sums = [[1.0f32; 4]; 16];
    let factor: [f32; 4] = black_box([0.5; 4]);
    for _ in 0..rounds {
        for sum in &mut sums {
            for (sum, factor) in sum.iter_mut().zip(&factor) {
                *sum = *sum * factor + factor;
            }
        }
    }
    black_box(sums);
    rounds * 16 * 4 * 2
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::hint::black_box;

    use crate::lanes::{Avx2, Avx512, LANES, Lanes};

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(rounds: u64) -> u64 {
        // SAFETY: this function has the features.
        unsafe { body::<Avx2, 6>(rounds) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(rounds: u64) -> u64 {
        // SAFETY: as above.
        unsafe { body::<Avx512, 16>(rounds) }
    }

    /// At least twelve independent registers, so that two units with a latency of four to five stay busy.
    #[inline(always)]
    unsafe fn body<V: Lanes, const CHAINS: usize>(rounds: u64) -> u64 {
        // SAFETY: no memory but a local is touched.
        unsafe {
            let mut sums = [V::splat(1.0); CHAINS];
            let factor = V::splat(black_box(0.5));
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, factor);
                }
            }
            let mut total = V::splat(0.0);
            for sum in sums {
                total = total.add(sum);
            }
            black_box(total.sum());
        }
        rounds * (CHAINS * LANES * 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_count_their_operations() {
        assert_eq!(multiply_add(Isa::Scalar, 2, 10), 2 * 10 * 128);
        for (isa, _) in ARITHMETIC.bodies_here() {
            assert_eq!(multiply_add(isa, 1, 20), 2 * multiply_add(isa, 1, 10));
        }
        assert_eq!(read(&[1.0; 64], 2), 0, "an even number of equal values");
    }
}
