//! AMX's tiles: which shapes they have while a kernel multiplies them.
//!
//! Multiplies nothing: each kernel's tiles are its own assembly, because the intrinsics are unstable. Asks for no
//! permission: [`crate::isa`] did. `emulator` is for tests on processors without AMX.
//!
//! Source: Intel SDM volume 2, LDTILECFG and TILERELEASE; volume 1 chapter 18.

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod emulator;

use std::arch::asm;

/// Rows of a tile, and numbers of four bytes in one of its rows.
pub(crate) const TILE: usize = 16;
/// Bytes of a row of a tile.
pub(crate) const ROW_BYTES: usize = 64;

/// What LDTILECFG reads.
#[repr(C, align(64))]
pub(crate) struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    n_rows: [u8; 16],
}

impl Configuration {
    /// Four tiles of sums (0 to 3), two of a (4, 5) and two of b (6, 7): `n_rows` rows of a, at most sixteen, with
    /// `a_bytes` each, at most 64, a multiple of four; sixteen columns of b, four bytes of each in a row.
    pub const fn of_products(n_rows: usize, a_bytes: usize) -> Self {
        assert!(0 < n_rows && n_rows <= TILE, "a tile has as many rows");
        assert!(0 < a_bytes && a_bytes <= ROW_BYTES && a_bytes.is_multiple_of(4), "a row has as many bytes");
        let (mut all_bytes, mut all_rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            all_bytes[tile] = if tile == 4 || tile == 5 { a_bytes as u16 } else { ROW_BYTES as u16 };
            all_rows[tile] = if tile < 6 { n_rows as u8 } else { (a_bytes / 4) as u8 };
            tile += 1;
        }
        Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: all_bytes, n_rows: all_rows }
    }

    /// Gives this thread's tiles these shapes, and zeros, until [`release`].
    ///
    /// # Safety
    /// AMX may be used.
    pub unsafe fn load(&self) {
        // SAFETY: the caller's promise; 64 bytes of a sound configuration. No code but the tile kernels' touches
        // tiles, so the shapes stay until the next such block of assembly asks for them.
        unsafe {
            asm!(
                "ldtilecfg [{at}]", at = in(reg) &raw const *self,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// Gives this thread's tiles up: a thread that holds them costs more to interrupt, and its core more power.
///
/// # Safety
/// AMX may be used.
pub(crate) unsafe fn release() {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilerelease",
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout of the SDM: bytes of a row from byte 16 on, rows from byte 48 on.
    #[test]
    fn a_configuration_lies_as_the_processor_reads_it() {
        let configuration = Configuration::of_products(5, 32);
        // SAFETY: plain bytes without padding.
        let bytes: [u8; 64] = unsafe { std::mem::transmute_copy(&configuration) };
        assert_eq!(size_of::<Configuration>(), 64);
        assert_eq!(bytes[..16], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..32], [64, 0, 64, 0, 64, 0, 64, 0, 32, 0, 32, 0, 64, 0, 64, 0]);
        assert_eq!(bytes[32..48], [0; 16]);
        assert_eq!(bytes[48..], [5, 5, 5, 5, 5, 5, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
