//! Code books: the rows of four or eight magnitudes that a code of IQ1, IQ2 and IQ3 stands for.
//!
//! Numbers without a formula. `grids.bin` holds them packed, one row in 16 bits, little endian: where a row has eight
//! numbers, two bits for each, where it has four, four bits; the first number lowest. The bits say which of the book's
//! levels it is. The books follow one another: 256 rows of IQ2_XXS, 512 of IQ2_XS, 1024 of IQ2_S, 256 of IQ3_XXS, 512 of
//! IQ3_S, 2048 of IQ1_S and IQ1_M. They are taken apart when the program is compiled: a code that is no level would not
//! compile.
//!
//! Not how a block names its rows: each type's file says so.
//!
//! Source: the GGML project's code books (`iq2xxs_grid` to `iq1s_grid`), as facts; `fixtures/blocks/make.py` packs them.

use super::bits::half;

/// The rows of all books, packed.
pub static PACKED: &[u8; 2 * 4608] = include_bytes!("grids.bin");

/// Where each book begins, in rows: IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ1; then their end.
const FIRST: [usize; 7] = [0, 256, 768, 1792, 2048, 2560, 4608];

pub(super) static IQ2_XXS: [[i8; 8]; 256] = book(FIRST[0], &[8, 25, 43]);
pub(super) static IQ2_XS: [[i8; 8]; 512] = book(FIRST[1], &[8, 25, 43]);
pub(super) static IQ2_S: [[i8; 8]; 1024] = book(FIRST[2], &[8, 25, 43]);
pub(super) static IQ3_XXS: [[i8; 4]; 256] = book(FIRST[3], &[4, 12, 20, 28, 36, 44, 52, 62]);
pub(super) static IQ3_S: [[i8; 4]; 512] = book(FIRST[4], &[1, 3, 5, 7, 9, 11, 13, 15]);
/// Of IQ1_S and IQ1_M, eight times what it is there, so that an eighth is a whole number.
pub(super) static IQ1: [[i8; 8]; 2048] = book(FIRST[5], &[-8, 0, 8]);

/// Takes a book apart whose first row is `first`.
const fn book<const WIDTH: usize, const N: usize>(first: usize, levels: &[i8]) -> [[i8; WIDTH]; N] {
    assert!(WIDTH == 4 || WIDTH == 8, "a row fills 16 bits");
    let n_bits = 16 / WIDTH;
    let (mut rows, mut row) = ([[0; WIDTH]; N], 0);
    while row < N {
        let at = 2 * (first + row);
        let packed = PACKED[at] as usize | (PACKED[at + 1] as usize) << 8;
        let mut place = 0;
        while place < WIDTH {
            rows[row][place] = levels[packed >> (n_bits * place) & ((1 << n_bits) - 1)];
            place += 1;
        }
        row += 1;
    }
    rows
}

/// 32 numbers from the rows that `code` names, one after the other.
#[inline(always)]
pub(super) fn joined<const WIDTH: usize, const N: usize>(
    book: &[[i8; WIDTH]; N],
    code: impl Fn(usize) -> usize,
) -> [i8; 32] {
    let mut numbers = [0; 32];
    // N is a power of two, and no code is beyond.
    let rows = numbers.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate();
    rows.for_each(|(index, row)| *row = book[code(index) % N]);
    numbers
}

/// 32 magnitudes with signs: minus where a bit is set, the first in the lowest.
#[inline(always)]
pub(super) fn signed(magnitudes: [i8; 32], signs: u32) -> [i8; 32] {
    std::array::from_fn(|i| {
        // All bits set for minus: the bits turned over and one added.
        let minus = -((signs >> i & 1) as i8);
        (magnitudes[i] ^ minus) - minus
    })
}

/// Four times seven bits as 32 signs: every eighth makes the number of minuses of its eight even.
#[inline(always)]
pub(super) fn even_signs(codes: [u32; 4]) -> u32 {
    let eight = |code: u32| (code & 127) | ((code & 127).count_ones() % 2) << 7;
    eight(codes[0]) | eight(codes[1]) << 8 | eight(codes[2]) << 16 | eight(codes[3]) << 24
}

/// The four bytes at `at` as one number, little endian.
#[inline(always)]
pub(super) fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// The scale of a block that begins with it, for eight times the weights: magnitudes in code books are whole numbers.
#[inline(always)]
pub(super) fn eighth_scale(block: &[u8]) -> f32 {
    half(block, 0) * 0.125
}

/// Half `index` of the bytes from `at` on, as an odd number: twice its four bits, and one.
#[inline(always)]
pub(super) fn odd_scale(block: &[u8], at: usize, index: usize) -> i16 {
    2 * i16::from(block[at + index / 2] >> (4 * (index % 2)) & 15) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKSUM: u64 = 0xb7c4_a1fc_05f2_7313;

    /// FNV-1a, 64 bits.
    fn checksum(bytes: &[u8]) -> u64 {
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    #[test]
    fn the_books_are_those_that_were_packed() {
        assert_eq!(checksum(PACKED), CHECKSUM);
    }

    /// Rows ascend when the last number counts most, so no two are the same; a row that is all one level is there.
    fn check<const WIDTH: usize, const N: usize>(book: &[[i8; WIDTH]; N], levels: &[i8]) {
        let reversed = |row: &[i8; WIDTH]| row.iter().rev().copied().collect::<Vec<i8>>();
        assert!(book.windows(2).all(|rows| reversed(&rows[0]) < reversed(&rows[1])));
        assert!(book.contains(&[levels[0]; WIDTH]));
        let numbers = book.as_flattened();
        assert!(numbers.iter().all(|number| levels.contains(number)));
        assert!(levels.iter().all(|level| numbers.contains(level)));
    }

    #[test]
    fn rows_ascend_and_use_every_level() {
        let [of_two, of_three] = [&[8, 25, 43][..], &[4, 12, 20, 28, 36, 44, 52, 62]];
        check(&IQ2_XXS, of_two);
        check(&IQ2_XS, of_two);
        check(&IQ2_S, of_two);
        check(&IQ3_XXS, of_three);
        check(&IQ3_S, &[1, 3, 5, 7, 9, 11, 13, 15]);
        check(&IQ1, &[-8, 0, 8]);
    }

    #[test]
    fn signs_are_even_in_number() {
        for code in 0..128u32 {
            let signs = even_signs([code, 127 - code, 0, code]);
            let eights = signs.to_le_bytes();
            assert!(eights.iter().all(|eight| eight.count_ones() % 2 == 0), "{signs:b}");
            assert_eq!(eights.map(|eight| u32::from(eight) & 127), [code, 127 - code, 0, code]);
        }
        assert_eq!(signed([5; 32], 0b101)[..4], [-5, 5, -5, 5]);
        assert_eq!(signed([62; 32], 1 << 31)[30..], [62, -62]);
    }
}
