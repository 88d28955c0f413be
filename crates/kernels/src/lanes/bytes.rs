//! Bytes of several rows side by side: eight rows in an AVX2 register or two of NEON, sixteen in an AVX-512 one, four
//! bytes each.
//!
//! Not arithmetic on numbers: only what taking blocks apart needs, which is bits, tables, and turning rows into
//! columns of four bytes.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::NeonBytes;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Bytes32, Bytes64};

/// 32 or 64 bytes.
///
/// # Safety
/// Every method may be called only on a machine that has NEON, AVX2, or AVX-512 F, BW and VL, as the type has it, and
/// should be inlined into a function with its `target_feature`. The first [`Self::ROWS`] rows of a `load` must be
/// good for the bytes that it reads from `at` on.
pub(crate) trait Bytes: Copy {
    /// Rows whose four bytes one register holds.
    const ROWS: usize;
    /// 32 bytes of row `row`, and behind them those of the row eight further where there is room.
    unsafe fn load_32(rows: &[*const u8; 16], row: usize, at: usize) -> Self;
    /// 16 bytes of row `row`, and behind them those of the rows four, eight and twelve further.
    unsafe fn load_16(rows: &[*const u8; 16], row: usize, at: usize) -> Self;
    /// Writes all bytes.
    unsafe fn store(self, to: *mut u8);
    /// All bytes `byte`.
    unsafe fn splat(byte: u8) -> Self;
    /// Bit by bit, 1 where both are.
    unsafe fn and(self, other: Self) -> Self;
    /// Bit by bit, 1 where either is.
    unsafe fn or(self, other: Self) -> Self;
    /// Bit by bit, 1 where one is.
    unsafe fn xor(self, other: Self) -> Self;
    /// Shifts pairs of bytes towards their lower bits; what comes in from the upper byte is the caller's to clear.
    unsafe fn shift_right(self, bits: i32) -> Self;
    /// Shifts pairs of bytes towards their upper bits; what comes in from the lower byte is the caller's to clear.
    unsafe fn shift_left(self, bits: i32) -> Self;
    /// For each byte below 16 that of the table.
    unsafe fn look_up(self, table: &[u8; 16]) -> Self;
    /// In each 16 bytes those at `places`, or 0 where a place is 128.
    unsafe fn take(self, places: &[u8; 16]) -> Self;
    /// Byte `index` of each four as a signed number of 32 bits.
    unsafe fn widen(self, index: i32) -> Self;
    /// Of each 16 bytes the lower, then the upper eight, four bytes of self and of other in turn.
    unsafe fn interleave_fours(self, other: Self) -> [Self; 2];
    /// Of each 16 bytes the lower eight, then the upper, of self and of other.
    unsafe fn interleave_eights(self, other: Self) -> [Self; 2];
    /// Of each 32 bytes the lower sixteen, then the upper, of self and of other.
    unsafe fn interleave_sixteens(self, other: Self) -> [Self; 2];
}

// Below there are loops where `map` and `from_fn` would do: those would be functions of their own, without the
// instruction set, and go through memory byte by byte.

/// 32 bytes of each row, turned: register k holds bytes 4k to 4k + 3 of every row.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn turn_32<V: Bytes>(rows: &[*const u8; 16], at: usize) -> [V; 8] {
    // SAFETY: the caller's promises.
    unsafe {
        let [mut low, mut high] = [[V::splat(0); 4]; 2];
        for row in 0..4 {
            low[row] = V::load_32(rows, row, at);
            high[row] = V::load_32(rows, row + 4, at);
        }
        let (low, high) = (turn_fours(low), turn_fours(high));
        let mut turned = [V::splat(0); 8];
        for k in 0..4 {
            [turned[k], turned[k + 4]] = low[k].interleave_sixteens(high[k]);
        }
        turned
    }
}

/// 16 bytes of each row, turned: register k holds bytes 4k to 4k + 3 of every row.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn turn_16<V: Bytes>(rows: &[*const u8; 16], at: usize) -> [V; 4] {
    // SAFETY: the caller's promises.
    unsafe {
        let mut four = [V::splat(0); 4];
        for row in 0..4 {
            four[row] = V::load_16(rows, row, at);
        }
        turn_fours(four)
    }
}

/// 16 bytes of each row as 32 codes of four bits, turned: the lower halves, then the upper.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn turn_nibbles<V: Bytes>(rows: &[*const u8; 16], at: usize) -> [V; 8] {
    // SAFETY: the caller's promises.
    unsafe {
        let both = turn_16::<V>(rows, at);
        let mut codes = [V::splat(0); 8];
        for step in 0..4 {
            codes[step] = fields(both[step], 0, 15);
            codes[step + 4] = fields(both[step], 4, 15);
        }
        codes
    }
}

/// [`fields`] of each register.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn all_fields<V: Bytes>(mut bytes: [V; 8], shift: i32, mask: u8) -> [V; 8] {
    for step in 0..8 {
        // SAFETY: the caller's instruction set.
        bytes[step] = unsafe { fields(bytes[step], shift, mask) };
    }
    bytes
}

/// For each byte below 16 that of the table.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn all_levels<V: Bytes>(mut codes: [V; 8], table: &[u8; 16]) -> [V; 8] {
    for step in 0..8 {
        // SAFETY: the caller's instruction set.
        codes[step] = unsafe { codes[step].look_up(table) };
    }
    codes
}

/// The bits of both, those of `high` moved up by `shift`.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn all_joined<V: Bytes>(mut low: [V; 8], high: [V; 8], shift: i32) -> [V; 8] {
    for step in 0..8 {
        // SAFETY: the caller's instruction set.
        low[step] = unsafe { low[step].or(high[step].shift_left(shift)) };
    }
    low
}

/// The bits of `mask` of each byte, after dropping the lowest `shift`.
///
/// # Safety
/// As [`Bytes`].
#[inline(always)]
pub(crate) unsafe fn fields<V: Bytes>(bytes: V, shift: i32, mask: u8) -> V {
    // SAFETY: the caller's instruction set.
    unsafe { bytes.shift_right(shift).and(V::splat(mask)) }
}

/// In each 16 bytes of four registers, a 4 x 4 of four bytes turned.
#[inline(always)]
unsafe fn turn_fours<V: Bytes>([a, b, c, d]: [V; 4]) -> [V; 4] {
    // SAFETY: the caller's instruction set.
    unsafe {
        let ([ab_low, ab_high], [cd_low, cd_high]) = (a.interleave_fours(b), c.interleave_fours(d));
        let [first, second] = ab_low.interleave_eights(cd_low);
        let [third, fourth] = ab_high.interleave_eights(cd_high);
        [first, second, third, fourth]
    }
}
