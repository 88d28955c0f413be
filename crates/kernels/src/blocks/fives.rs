//! 32 codes of five bits, as Q5_0 and Q5_1 hold them: four bytes with the fifth bits, that of q₀ lowest in the first; 16
//! bytes whose lower halves are the rest of q₀ to q₁₅ and whose upper halves are that of q₁₆ to q₃₁.
//!
//! Only how they are put into a panel. They are not those of Q5_K, whose fifth bits lie apart.
//!
//! Source: `block_q5_0` of the GGML project, as a fact.

use super::Format;
use crate::lanes::bytes::Bytes;
#[cfg(target_arch = "x86_64")]
use crate::lanes::bytes::{fields, turn_16, turn_nibbles};
use crate::product::integer::pack;

/// Puts those of one block of each of `V::ROWS` rows into a panel; the fifth bits stand at `at`, the others behind them.
///
/// # Safety
/// As [`Format::pack`].
#[inline(always)]
pub(super) unsafe fn pack<F: Format, V: Bytes>(rows: &[*const u8; 16], at: usize, to: *mut u8) {
    // SAFETY: the caller's promises.
    unsafe {
        // AVX2 alone was measured and tested with it; others go the way that every type allows.
        #[cfg(target_arch = "x86_64")]
        if V::ROWS == 8 {
            let (mut codes, bits) = (turn_nibbles::<V>(rows, at + 4), fifth_bits::<V>(rows, at));
            for step in 0..8 {
                codes[step] = codes[step].or(bits[step]);
            }
            return pack::put(codes, to, 0);
        }
        let _ = at;
        pack::by_parts::<F, V>(rows, to);
    }
}

/// The bits of four bytes of each row, turned: register k holds bits 4k to 4k + 3 of every row, each where a byte has its
/// fifth.
///
/// # Safety
/// Sixteen bytes stand there, of which four are used; as [`Bytes`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fifth_bits<V: Bytes>(rows: &[*const u8; 16], at: usize) -> [V; 8] {
    // SAFETY: the caller's promises; the table has sixteen bytes.
    unsafe {
        let [all, ..] = turn_16::<V>(rows, at);
        let halves = [fields(all, 0, 15), fields(all, 4, 15)];
        let one_each = V::load_16(&[ONE_EACH.as_ptr(); 16], 0, 0);
        let mut turned = [all; 8];
        for step in 0..8 {
            let bits = halves[step % 2].take(&FOUR_TIMES[step / 2]).and(one_each);
            turned[step] = bits.look_up(&FIFTH);
        }
        turned
    }
}

/// In each four bytes each byte as often as there are bytes.
#[cfg(target_arch = "x86_64")]
static FOUR_TIMES: [[u8; 16]; 4] = [
    [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12],
    [1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13],
    [2, 2, 2, 2, 6, 6, 6, 6, 10, 10, 10, 10, 14, 14, 14, 14],
    [3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15],
];
/// Of four bits the first, the second, the third, the fourth.
#[cfg(target_arch = "x86_64")]
static ONE_EACH: [u8; 16] = [1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8];
/// The fifth bit for what [`ONE_EACH`] leaves.
#[cfg(target_arch = "x86_64")]
static FIFTH: [u8; 16] = [0, 16, 16, 0, 16, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0];
