//! The product on AMX: tiles of sixteen rows of bf16, two by two.
//!
//! Asks for no permission: `isa` did. Intrinsics for AMX are unstable, so the tile kernel is one block of
//! assembly; its test runs it on an emulator where the processor has none.
//!
//! Operands are rounded to bf16, to nearest even, which may double what is near the end of f32 to infinity.
//! The multiply-adds of even and of odd k are two chains of f32 over a tile's 32 k, then added to the sum;
//! numbers below 2⁻¹²⁶ count as zero. The error relative to Σ|a·b| is 2⁻⁷ for the operands and K · 2⁻²⁴ for
//! the sum. Sixteen rows by sixteen columns by 32 take sixteen cycles, as long as one of four tile loads
//! takes eight: two by two tiles need four loads for four products.
//!
//! Source: Intel SDM volume 2, LDTILECFG, TILELOADD, TDPBF16PS; volume 1 chapter 18.

use std::arch::asm;

use super::pairs::{STEP, WIDTH, pack_columns, pack_rows};
use super::{Half, Line, Pack, Side, Target};
use crate::amx::{Configuration, ROW_BYTES, TILE};
use crate::product::Into;

/// The body for AMX, on which there is AVX-512 too.
pub(super) const HALF: Half = body(pack_rows, pack_columns);

/// The tile kernel with one way to pack.
pub(super) const fn body(pack_a: Pack, pack_b: Pack) -> Half {
    Half {
        a: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_a },
        b: Side { width: WIDTH, n_head: 0, n_per_k: 1, pack: pack_b },
        step: STEP,
        multiply,
    }
}

/// Eight tiles of sixteen rows of 64 bytes.
static CONFIGURATION: Configuration = Configuration::of_products(TILE, ROW_BYTES);

/// Multiplies two groups; see [`super::Multiply`].
unsafe fn multiply(k: usize, a: &[Line], b: &[Line], target: &Target) {
    let n_lines = k.next_multiple_of(STEP);
    assert!(k > 0 && a.len() >= n_lines && b.len() >= n_lines, "both groups hold k, one at least");
    target.fetch();
    let mut sums = [[0.0f32; WIDTH]; WIDTH];
    // SAFETY: both groups hold so many steps of 2 kB, and the sums are 32 rows of 128 bytes.
    unsafe { tiles(n_lines / STEP, a.as_ptr(), b.as_ptr(), sums.as_mut_ptr().cast()) };
    for (row, sums) in sums.iter().enumerate().take(target.n_rows) {
        // SAFETY: the caller's promise about the target.
        let to = unsafe {
            std::slice::from_raw_parts_mut(target.first.add(row * target.stride), target.n_columns)
        };
        match target.into {
            Into::Replace => to.copy_from_slice(&sums[..target.n_columns]),
            Into::Add => to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum),
        }
    }
}

/// Two by two tiles of sums over `n_steps` steps of 32 k.
///
/// # Safety
/// AMX may be used; there is a step at least; each step has two tiles, of 1 kB each, at `a` and at `b`, and
/// four tiles may be written at `sums`, whose rows are 128 bytes apart.
unsafe fn tiles(n_steps: usize, a: *const Line, b: *const Line, sums: *mut f32) {
    // SAFETY: the caller's promise; the tiles' state is set at the beginning and given up at the end.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {row}]",
            "tileloadd tmm7, [{b} + {row} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{a} + {row} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 2048",
            "add {b}, 2048",
            "dec {n_steps}",
            "jnz 2b",
            "tilestored [{sums} + {row} * 2], tmm0",
            "tilestored [{sums} + {row} * 2 + 64], tmm1",
            "tilestored [{sums} + {row} * 2 + 2048], tmm2",
            "tilestored [{sums} + {row} * 2 + 2112], tmm3",
            "tilerelease",
            configuration = in(reg) &raw const CONFIGURATION,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            n_steps = inout(reg) n_steps => _,
            sums = in(reg) sums,
            row = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
