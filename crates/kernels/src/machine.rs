//! Loops that measure what this machine can do at most: multiply-adds that touch no memory, and reads that do
//! nothing else; and beside them what its allocator is told ([`memory`]).
//!
//! Holds no clock: the caller times a call and divides. Shares of a peak in the benches are shares of these.

pub mod memory;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
        (Isa::Avx2, vector::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::body::<crate::lanes::Neon, 6>),
    ],
);

/// Runs the multiply-add loop of `isa` on `n_threads` threads of the pool, `rounds` rounds each; returns the
/// floating-point operations made by all of them.
pub fn multiply_add(isa: Isa, n_threads: usize, rounds: u64) -> u64 {
    let body = ARITHMETIC.body_for(isa);
    let before = pool::active_threads();
    pool::set_active_threads(n_threads);
    let total = AtomicU64::new(0);
    pool::run(n_threads, &|_| {
        // SAFETY: `body_for` gives only bodies that this machine can run.
        total.fetch_add(unsafe { body(rounds) }, Ordering::Relaxed);
    });
    pool::set_active_threads(before);
    total.into_inner()
}

/// Adds up a stretch of memory whose length is a multiple of 64.
pub type Read = unsafe fn(&[f32]) -> f32;

/// The reading loops.
pub static READ: Kernel<Read> = Kernel::new(
    "read",
    &[
        (Isa::Scalar, scalar_read),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::read_avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::read_avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::read::<crate::lanes::Neon>),
    ],
);

/// Floats of one task of [`read`]: 1 MiB.
const READ_TASK: usize = 256 * 1024;

/// Reads all of `values` (but for a rest of less than 64) once on `n_threads` threads of the pool; returns
/// their sum, in no order that counts, so that the reads cannot be left out.
pub fn read(values: &[f32], n_threads: usize) -> f32 {
    let body = READ.body();
    let before = pool::active_threads();
    pool::set_active_threads(n_threads);
    let total = Mutex::new(0.0);
    let whole = values.len() - values.len() % 64;
    pool::run_ranges(whole, READ_TASK, &|range| {
        // SAFETY: the table holds only bodies that this machine can run; the task's size is a multiple of 64.
        let sum = unsafe { body(&values[range]) };
        *total.lock().unwrap_or_else(PoisonError::into_inner) += sum;
    });
    pool::set_active_threads(before);
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Four streams, as a product reads several rows: one alone leaves memory idle.
fn scalar_read(values: &[f32]) -> f32 {
    let mut sums = [[0.0f32; 16]; 4];
    let quarters: Vec<&[f32]> = values.chunks(values.len() / 4).collect();
    for start in (0..values.len() / 4).step_by(16) {
        for (sums, quarter) in sums.iter_mut().zip(&quarters) {
            for (sum, value) in sums.iter_mut().zip(&quarter[start..start + 16]) {
                *sum += value;
            }
        }
    }
    sums.as_flattened().iter().sum()
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

mod vector {
    use std::hint::black_box;

    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(rounds: u64) -> u64 {
        // SAFETY: this function has the features.
        unsafe { body::<Avx2, 6>(rounds) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(rounds: u64) -> u64 {
        // SAFETY: as above.
        unsafe { body::<Avx512, 16>(rounds) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn read_avx2(values: &[f32]) -> f32 {
        // SAFETY: this function has the features, its caller the length.
        unsafe { read::<Avx2>(values) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn read_avx512(values: &[f32]) -> f32 {
        // SAFETY: as above.
        unsafe { read::<Avx512>(values) }
    }

    /// Four streams of sixteen lanes.
    #[inline(always)]
    pub unsafe fn read<V: Lanes>(values: &[f32]) -> f32 {
        let (quarter, from) = (values.len() / 4, values.as_ptr());
        // SAFETY: the length is a multiple of 64, so each quarter is one of sixteen.
        unsafe {
            let mut sums = [V::splat(0.0); 4];
            for start in (0..quarter).step_by(LANES) {
                for stream in 0..4 {
                    sums[stream] = sums[stream].add(V::load(from.add(stream * quarter + start)));
                }
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
        }
    }

    /// At least twelve independent registers, so that two units with a latency of four to five stay busy.
    #[inline(always)]
    pub unsafe fn body<V: Lanes, const CHAINS: usize>(rounds: u64) -> u64 {
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
    }

    #[test]
    fn every_value_is_read_once() {
        let values: Vec<f32> = (0..64 * 9).map(|i| (i % 7) as f32).collect();
        for (isa, body) in READ.bodies_here() {
            // SAFETY: this machine can run the body, and the length is a multiple of 64.
            assert_eq!(unsafe { body(&values) }, values.iter().sum::<f32>(), "{isa}");
        }
        assert_eq!(read(&vec![1.0; READ_TASK * 3 + 70], 2), (READ_TASK * 3 + 64) as f32);
    }
}
