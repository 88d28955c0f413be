//! AMX for machines without it: executes the instructions of the tile kernels when the processor refuses them.
//!
//! Only compiled for tests, and only what those kernels use: LDTILECFG, TILERELEASE, TILEZERO, TILELOADD,
//! TILESTORED, TDPBF16PS and the four products of bytes, TDPBSSD to TDPBUUD. A signal handler finds the
//! instruction where the processor stopped, carries out the SDM's pseudo code on tiles of the thread's own, and
//! goes on behind it. Any other instruction, and one that AMX would refuse, ends the process as it would have
//! without the handler.
//!
//! Source: Intel SDM volume 2, chapter 2.3 (the VEX prefix) and the instructions' own pages.

use std::cell::RefCell;
use std::mem;
use std::ptr;
use std::sync::Once;

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use super::{ROW_BYTES, TILE};

/// Lets the process use AMX's tile instructions from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: zero is a valid `sigaction`; the handler touches only the faulting thread's context and its
        // own tiles.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = on_illegal_instruction as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(libc::SIGILL, &action, ptr::null_mut()), 0, "a handler is allowed");
        }
    });
}

/// Eight tiles and their configuration.
#[derive(Clone)]
struct Tiles {
    is_configured: bool,
    n_rows: [usize; 8],
    row_bytes: [usize; 8],
    data: [[[u8; ROW_BYTES]; TILE]; 8],
}

impl Tiles {
    const NONE: Tiles =
        Tiles { is_configured: false, n_rows: [0; 8], row_bytes: [0; 8], data: [[[0; ROW_BYTES]; TILE]; 8] };
}

thread_local! {
    /// Without a destructor and made at compile time, so that a signal handler may use it.
    static TILES: RefCell<Tiles> = const { RefCell::new(Tiles::NONE) };
}

/// The registers by their numbers in an instruction.
const REGISTERS: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

extern "C" fn on_illegal_instruction(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system gives a handler with SA_SIGINFO the context of the thread that faulted.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let rip = registers[libc::REG_RIP as usize] as usize as *const u8;
    let register = |number: usize| registers[REGISTERS[number] as usize] as usize;
    // SAFETY: the processor has read the instruction there, and one of these has ten bytes at most; fewer
    // are looked at than `decode` finds that it has.
    let decoded = unsafe { decode(rip, &register) };
    let is_done = decoded.is_some_and(|(instruction, _)| {
        // SAFETY: the tile kernel's addresses are good, as its own promise says.
        TILES.with_borrow_mut(|tiles| unsafe { tiles.execute(instruction) })
    });
    match decoded {
        Some((_, length)) if is_done => registers[libc::REG_RIP as usize] += length as i64,
        // Back to the instruction without a handler: the process ends with the signal that it earned.
        // SAFETY: the default action needs no handler.
        _ => unsafe {
            libc::signal(libc::SIGILL, libc::SIG_DFL);
        },
    }
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Instruction {
    Configure { from: usize },
    Release,
    Zero { tile: usize },
    Load { tile: usize, from: usize, stride: usize },
    Store { tile: usize, to: usize, stride: usize },
    MultiplyBf16 { sum: usize, a: usize, b: usize },
    MultiplyBytes { signs: [Sign; 2], sum: usize, a: usize, b: usize },
}

/// How the bytes of an operand are read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sign {
    Signed,
    Unsigned,
}

/// The signs of both operands, by the number of the prefix.
const SIGNS: [[Sign; 2]; 4] = [
    [Sign::Unsigned, Sign::Unsigned],
    [Sign::Unsigned, Sign::Signed],
    [Sign::Signed, Sign::Unsigned],
    [Sign::Signed, Sign::Signed],
];

/// The instruction at `at` and its length, if it is one of those.
///
/// # Safety
/// An instruction can be read there.
unsafe fn decode(at: *const u8, register: &dyn Fn(usize) -> usize) -> Option<(Instruction, usize)> {
    // SAFETY: the caller's promise; the operation and its operand byte belong to the instruction once the
    // prefix has said that it is a VEX one of three bytes.
    let byte = |index: usize| unsafe { at.add(index).read() };
    if byte(0) != 0xc4 || byte(1) & 0x1f != 2 {
        return None;
    }
    // R, X and B are stored inverted, in the map's byte; W, v, L and p in the next.
    let (extend_index, extend_base) =
        (usize::from(!byte(1) >> 6 & 1) * 8, usize::from(!byte(1) >> 5 & 1) * 8);
    let (last, operation, operand) = (byte(2), byte(3), byte(4));
    if last & 0x84 != 0 {
        return None;
    }
    let source = usize::from(!last >> 3 & 0xf);
    let (mode, reg, rm) = (operand >> 6, usize::from(operand >> 3 & 7), usize::from(operand & 7));
    let memory = |size: usize| -> Option<(usize, usize, usize)> {
        let (index, base, at) = match rm {
            4 => {
                let sib = byte(5);
                let index = usize::from(sib >> 3 & 7) + extend_index;
                let scaled = if index == 4 { 0 } else { register(index) << (sib >> 6) };
                (scaled, usize::from(sib & 7) + extend_base, 6)
            }
            _ => (0, rm + extend_base, 5),
        };
        let displacement = match mode {
            // Without a base, or relative to RIP: the kernel has neither.
            0 if base % 8 == 5 => return None,
            0 => 0,
            1 => isize::from(byte(at) as i8),
            _ => i32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)]) as isize,
        };
        let length = at + [0, 1, 4][usize::from(mode)];
        Some((register(base).wrapping_add_signed(displacement), index, length)).filter(|_| size > 0)
    };
    // The prefix that p stands for: 0 none, 1 66, 2 F3, 3 F2.
    let (instruction, length) = match (operation, last & 3, mode) {
        (0x49, 0, 3) if operand == 0xc0 => (Instruction::Release, 5),
        (0x49, 0, 0..3) if reg == 0 => {
            let (from, index, length) = memory(64)?;
            (Instruction::Configure { from: from.wrapping_add(index) }, length)
        }
        (0x49, 3, 3) if rm == 0 => (Instruction::Zero { tile: reg }, 5),
        (0x4b, 3, 0..3) if rm == 4 => {
            let (from, stride, length) = memory(64)?;
            (Instruction::Load { tile: reg, from, stride }, length)
        }
        (0x4b, 2, 0..3) if rm == 4 => {
            let (to, stride, length) = memory(64)?;
            (Instruction::Store { tile: reg, to, stride }, length)
        }
        (0x5c, 2, 3) if source < 8 => (Instruction::MultiplyBf16 { sum: reg, a: rm, b: source }, 5),
        (0x5e, prefix, 3) if source < 8 => {
            let signs = SIGNS[usize::from(prefix)];
            (Instruction::MultiplyBytes { signs, sum: reg, a: rm, b: source }, 5)
        }
        _ => return None,
    };
    Some((instruction, length))
}

impl Tiles {
    /// Carries an instruction out; false where the processor would refuse it.
    ///
    /// # Safety
    /// Its addresses are good.
    unsafe fn execute(&mut self, instruction: Instruction) -> bool {
        if let Instruction::Configure { from } = instruction {
            // SAFETY: the caller's promise: 64 bytes.
            return self.configure(unsafe { &*(from as *const [u8; 64]) });
        }
        if !self.is_configured {
            // Giving up nothing is allowed.
            return instruction == Instruction::Release;
        }
        match instruction {
            Instruction::Zero { tile } | Instruction::Load { tile, .. } | Instruction::Store { tile, .. }
                if self.n_rows[tile] == 0 =>
            {
                return false;
            }
            Instruction::Configure { .. } | Instruction::Release => *self = Tiles::NONE,
            Instruction::Zero { tile } => self.data[tile] = [[0; ROW_BYTES]; TILE],
            Instruction::Load { tile, from, stride } => {
                self.data[tile] = [[0; ROW_BYTES]; TILE];
                for row in 0..self.n_rows[tile] {
                    let from = from.wrapping_add(row.wrapping_mul(stride)) as *const u8;
                    let to = &mut self.data[tile][row][..self.row_bytes[tile]];
                    // SAFETY: the caller's promise.
                    unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
                }
            }
            Instruction::Store { tile, to, stride } => {
                for row in 0..self.n_rows[tile] {
                    let to = to.wrapping_add(row.wrapping_mul(stride)) as *mut u8;
                    let from = &self.data[tile][row][..self.row_bytes[tile]];
                    // SAFETY: the caller's promise.
                    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
                }
            }
            Instruction::MultiplyBf16 { sum, a, b } => return self.multiply_bf16(sum, a, b),
            Instruction::MultiplyBytes { signs, sum, a, b } => {
                return self.multiply_bytes(signs, [sum, a, b]);
            }
        }
        true
    }

    /// LDTILECFG, with the checks of palette 1.
    fn configure(&mut self, from: &[u8; 64]) -> bool {
        *self = Tiles::NONE;
        if from[0] == 0 {
            return true;
        }
        for tile in 0..8 {
            self.row_bytes[tile] =
                usize::from(u16::from_le_bytes([from[16 + 2 * tile], from[17 + 2 * tile]]));
            self.n_rows[tile] = usize::from(from[48 + tile]);
        }
        let fits = |sizes: &[usize], most: usize| sizes.iter().all(|size| *size <= most);
        let is_whole = |tile: usize| (self.row_bytes[tile] == 0) == (self.n_rows[tile] == 0);
        let unused = from[2..16].iter().chain(&from[32..48]).chain(&from[56..]);
        self.is_configured = from[0] == 1
            && from[1] == 0
            && unused.copied().all(|byte| byte == 0)
            && (0..8).all(is_whole)
            && fits(&self.row_bytes, ROW_BYTES)
            && fits(&self.n_rows, TILE);
        self.is_configured
    }

    /// Whether three tiles have the shapes of a product, K being pairs of bf16 or fours of bytes.
    fn fit(&self, [sum, a, b]: [usize; 3]) -> bool {
        let are_different = sum != a && sum != b && a != b;
        let are_whole =
            [sum, a, b].iter().all(|tile| self.n_rows[*tile] > 0 && self.row_bytes[*tile].is_multiple_of(4));
        are_different
            && are_whole
            && self.n_rows[sum] == self.n_rows[a]
            && self.row_bytes[sum] == self.row_bytes[b]
            && self.n_rows[b] == self.row_bytes[a] / 4
    }

    /// TDPBSSD and its like: sums of 32 bits that wrap.
    fn multiply_bytes(&mut self, signs: [Sign; 2], [sum, a, b]: [usize; 3]) -> bool {
        if !self.fit([sum, a, b]) {
            return false;
        }
        let (n_rows, n_columns, n_fours) = (self.n_rows[sum], self.row_bytes[sum] / 4, self.n_rows[b]);
        let mut wide = [[0; ROW_BYTES]; TILE];
        for (wide, row) in wide.iter_mut().zip(&self.data[b]) {
            *wide = widened(row, signs[1]);
        }
        for row in 0..n_rows {
            let products = products(&widened(&self.data[a][row], signs[0]), &wide[..n_fours]);
            let places = self.data[sum][row].as_chunks_mut::<4>().0;
            for (place, product) in places.iter_mut().zip(products).take(n_columns) {
                *place = i32::from_le_bytes(*place).wrapping_add(product).to_le_bytes();
            }
        }
        self.clear_behind(sum);
        true
    }

    /// Makes what a tile has not, but a register has, zero.
    fn clear_behind(&mut self, tile: usize) {
        let (n_rows, n_bytes) = (self.n_rows[tile], self.row_bytes[tile]);
        self.data[tile][n_rows..].fill([0; ROW_BYTES]);
        self.data[tile][..n_rows].iter_mut().for_each(|row| row[n_bytes..].fill(0));
    }

    /// TDPBF16PS: the products of even and of odd k in two chains, then both into the sum.
    fn multiply_bf16(&mut self, sum: usize, a: usize, b: usize) -> bool {
        if !self.fit([sum, a, b]) {
            return false;
        }
        let (n_columns, n_pairs) = (self.row_bytes[sum] / 4, self.row_bytes[a] / 4);
        for row in 0..self.n_rows[sum] {
            let (even, odd) = chains(&self.data[a][row], &self.data[b][..n_pairs]);
            for column in 0..n_columns {
                let place = &mut self.data[sum][row][4 * column..4 * column + 4];
                let before = f32::from_le_bytes([place[0], place[1], place[2], place[3]]);
                let after = flush(flush(before) + flush(even[column] + odd[column]));
                place.copy_from_slice(&after.to_le_bytes());
            }
        }
        self.clear_behind(sum);
        true
    }
}

/// A row of bytes as numbers.
fn widened(row: &[u8; ROW_BYTES], sign: Sign) -> [i16; ROW_BYTES] {
    match sign {
        Sign::Signed => row.map(|byte| i16::from(byte as i8)),
        Sign::Unsigned => row.map(i16::from),
    }
}

/// The products of one row of a with all columns of b, four by four of k.
fn products(a: &[i16; ROW_BYTES], b: &[[i16; ROW_BYTES]]) -> [i32; TILE] {
    let mut sums = [0i32; TILE];
    for (a, b) in a.as_chunks::<4>().0.iter().zip(b) {
        for (sum, b) in sums.iter_mut().zip(b.as_chunks::<4>().0) {
            let four: i32 = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
            *sum = sum.wrapping_add(four);
        }
    }
    sums
}

/// The chains of products of one row of a by all columns of b, over even and over odd k.
fn chains(a: &[u8; ROW_BYTES], b: &[[u8; ROW_BYTES]]) -> ([f32; TILE], [f32; TILE]) {
    if is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has both.
        return unsafe { chains_fma(a, b) };
    }
    chains_anywhere(a, b)
}

/// The same with the processor's multiply-add instead of the system library's, which takes the tests seconds.
#[target_feature(enable = "fma,avx2")]
fn chains_fma(a: &[u8; ROW_BYTES], b: &[[u8; ROW_BYTES]]) -> ([f32; TILE], [f32; TILE]) {
    chains_anywhere(a, b)
}

#[inline(always)]
fn chains_anywhere(a: &[u8; ROW_BYTES], b: &[[u8; ROW_BYTES]]) -> ([f32; TILE], [f32; TILE]) {
    let (mut even, mut odd) = ([0.0f32; TILE], [0.0f32; TILE]);
    for (pair, b) in b.iter().enumerate() {
        let (a_even, a_odd) = (bf16(a, 2 * pair), bf16(a, 2 * pair + 1));
        for column in 0..TILE {
            even[column] = flush(a_even.mul_add(bf16(b, 2 * column), even[column]));
            odd[column] = flush(a_odd.mul_add(bf16(b, 2 * column + 1), odd[column]));
        }
    }
    (even, odd)
}

/// Element `index` of a row of bf16; denormals count as zero.
#[inline(always)]
fn bf16(row: &[u8; ROW_BYTES], index: usize) -> f32 {
    let bits = u32::from(u16::from_le_bytes([row[2 * index], row[2 * index + 1]]));
    flush(f32::from_bits(bits << 16))
}

/// A denormal as the zero of its sign.
#[inline(always)]
fn flush(value: f32) -> f32 {
    if value.is_subnormal() { 0f32.copysign(value) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instructions as an assembler writes them.
    #[test]
    fn instructions_are_told_apart() {
        let register = |number: usize| 1000 * number;
        let bytes = |signs, [sum, a, b]: [usize; 3]| Instruction::MultiplyBytes { signs, sum, a, b };
        let [signed, unsigned] = [Sign::Signed, Sign::Unsigned];
        let cases: [(&[u8], Instruction); 13] = [
            // ldtilecfg [rax]
            (&[0xc4, 0xe2, 0x78, 0x49, 0x00], Instruction::Configure { from: 0 }),
            // tilerelease
            (&[0xc4, 0xe2, 0x78, 0x49, 0xc0], Instruction::Release),
            // tilezero tmm3
            (&[0xc4, 0xe2, 0x7b, 0x49, 0xd8], Instruction::Zero { tile: 3 }),
            // tileloadd tmm4, [rdi + rdx]
            (&[0xc4, 0xe2, 0x7b, 0x4b, 0x24, 0x17], Instruction::Load { tile: 4, from: 7000, stride: 2000 }),
            // tileloadd tmm5, [r8 + r9 * 2 + 64]
            (
                &[0xc4, 0x82, 0x7b, 0x4b, 0x6c, 0x48, 0x40],
                Instruction::Load { tile: 5, from: 8064, stride: 18000 },
            ),
            // tilestored [rcx + rdx * 2 + 2048], tmm2
            (
                &[0xc4, 0xe2, 0x7a, 0x4b, 0x94, 0x51, 0x00, 0x08, 0x00, 0x00],
                Instruction::Store { tile: 2, to: 3048, stride: 4000 },
            ),
            // tdpbf16ps tmm0, tmm4, tmm6
            (&[0xc4, 0xe2, 0x4a, 0x5c, 0xc4], Instruction::MultiplyBf16 { sum: 0, a: 4, b: 6 }),
            // tdpbf16ps tmm3, tmm5, tmm7
            (&[0xc4, 0xe2, 0x42, 0x5c, 0xdd], Instruction::MultiplyBf16 { sum: 3, a: 5, b: 7 }),
            // tdpbssd tmm0, tmm4, tmm6
            (&[0xc4, 0xe2, 0x4b, 0x5e, 0xc4], bytes([signed, signed], [0, 4, 6])),
            // tdpbsud tmm3, tmm5, tmm7
            (&[0xc4, 0xe2, 0x42, 0x5e, 0xdd], bytes([signed, unsigned], [3, 5, 7])),
            // tdpbusd tmm1, tmm2, tmm3
            (&[0xc4, 0xe2, 0x61, 0x5e, 0xca], bytes([unsigned, signed], [1, 2, 3])),
            // tdpbuud tmm7, tmm0, tmm1
            (&[0xc4, 0xe2, 0x70, 0x5e, 0xf8], bytes([unsigned, unsigned], [7, 0, 1])),
            // tileloadd tmm7, [rsi + rax + 8192]
            (
                &[0xc4, 0xe2, 0x7b, 0x4b, 0xbc, 0x06, 0x00, 0x20, 0x00, 0x00],
                Instruction::Load { tile: 7, from: 14192, stride: 0 },
            ),
        ];
        for (bytes, expected) in cases {
            // SAFETY: the bytes are an instruction.
            let decoded = unsafe { decode(bytes.as_ptr(), &register) };
            assert_eq!(decoded, Some((expected, bytes.len())), "{bytes:02x?}");
        }
        // tdpfp16ps, tdpbssd of 256 bits, vaddps and ud2 are none of its business.
        for bytes in [
            [0xc4, 0xe2, 0x6b, 0x5c, 0xc1],
            [0xc4, 0xe2, 0x6f, 0x5e, 0xc1],
            [0xc4, 0xc1, 0x70, 0x58, 0xc0],
            [0x0f, 0x0b, 0, 0, 0],
        ] {
            // SAFETY: as above.
            assert_eq!(unsafe { decode(bytes.as_ptr(), &register) }, None, "{bytes:02x?}");
        }
    }

    /// Of the first three tiles rows and bytes of a row; the others have none.
    fn configuration(shapes: [(u8, u8); 3]) -> [u8; 64] {
        let mut configuration = [0u8; 64];
        configuration[0] = 1;
        for (tile, (rows, bytes)) in shapes.into_iter().enumerate() {
            configuration[16 + 2 * tile] = bytes;
            configuration[48 + tile] = rows;
        }
        configuration
    }

    /// Configurations that the processor refuses leave nothing that can be used.
    #[test]
    fn configurations_are_checked() {
        let good = configuration([(16, 64), (16, 64), (16, 64)]);
        // Another palette, a row to begin with, reserved bytes, too many bytes or rows, rows without bytes, bytes
        // without rows, a ninth tile.
        let wrong = [
            (0, 2),
            (1, 1),
            (2, 1),
            (15, 255),
            (16, 65),
            (17, 1),
            (32, 1),
            (48, 17),
            (20, 0),
            (50, 0),
            (56, 1),
        ];
        for (at, byte) in wrong {
            let mut configuration = good;
            configuration[at] = byte;
            let mut tiles = Tiles::NONE;
            assert!(!tiles.configure(&configuration), "byte {at} as {byte}");
            // SAFETY: without addresses.
            assert!(!unsafe { tiles.execute(Instruction::Zero { tile: 0 }) }, "byte {at} as {byte}");
        }
        let mut tiles = Tiles::NONE;
        assert!(tiles.configure(&good));
        // SAFETY: as above.
        unsafe {
            assert!(tiles.execute(Instruction::Zero { tile: 2 }));
            assert!(!tiles.execute(Instruction::Zero { tile: 3 }), "tile 3 has no shape");
            assert!(tiles.execute(Instruction::Release));
            assert!(!tiles.execute(Instruction::Zero { tile: 2 }), "nothing after its release");
            assert!(tiles.execute(Instruction::Release), "giving up nothing is allowed");
        }
    }

    /// Two rows of a by three columns of b over eight k, bytes with every sign, from sums near their end; against the
    /// definition, and by hand.
    #[test]
    fn products_of_bytes_by_hand() {
        for (signs, expected) in SIGNS.into_iter().zip([
            // Four times 255 · 128 + 1 · 2, then 255 · -128 + 1 · 2, -1 · 128 + 1 · 2, -1 · -128 + 1 · 2.
            130_568, -130_552, -504, 520,
        ]) {
            let mut tiles = Tiles::NONE;
            assert!(tiles.configure(&configuration([(2, 12), (2, 8), (2, 12)])));
            // Row 1 of a is -1 or 255 four times, then 1; column 2 of b is -128 or 128 four times, then 2.
            tiles.data[1][1][..8].copy_from_slice(&[255, 255, 255, 255, 1, 1, 1, 1]);
            tiles.data[2][0][8..12].fill(128);
            tiles.data[2][1][8..12].fill(2);
            tiles.data[0][1][8..12].copy_from_slice(&i32::MAX.to_le_bytes());
            // What no tile has is not read, and zero afterwards.
            tiles.data[2][2].fill(77);
            tiles.data[1][1][8..].fill(77);
            tiles.data[0][0][12..].fill(77);
            tiles.data[0][2].fill(77);
            assert!(tiles.multiply_bytes(signs, [0, 1, 2]));
            let mut rows = [[0u8; ROW_BYTES]; TILE];
            rows[1][8..12].copy_from_slice(&i32::MAX.wrapping_add(expected).to_le_bytes());
            assert_eq!(tiles.data[0], rows, "{signs:?}");
        }
    }

    #[test]
    fn products_of_wrong_shapes_are_refused() {
        let signs = SIGNS[3];
        for (shapes, is_good) in [
            ([(3, 8), (3, 12), (3, 8)], true),
            // Rows of the sums, columns of the sums, k, bytes that are no whole numbers.
            ([(2, 8), (3, 12), (3, 8)], false),
            ([(3, 8), (3, 12), (3, 12)], false),
            ([(3, 8), (3, 12), (2, 8)], false),
            ([(3, 8), (3, 13), (3, 8)], false),
            ([(3, 6), (3, 12), (3, 6)], false),
            ([(3, 8), (3, 12), (0, 0)], false),
        ] {
            let mut tiles = Tiles::NONE;
            assert!(tiles.configure(&configuration(shapes)));
            assert_eq!(tiles.multiply_bytes(signs, [0, 1, 2]), is_good, "{shapes:?}");
        }
        let mut tiles = Tiles::NONE;
        assert!(tiles.configure(&configuration([(4, 16), (4, 16), (4, 16)])));
        for same in [[0, 0, 1], [0, 1, 0], [0, 1, 1]] {
            assert!(!tiles.multiply_bytes(signs, same), "three different tiles are wanted");
        }
    }

    /// A product of 1 x 2 pairs by 2 x 1, by hand: (1·3 + 0.5·(-8)) for even k, (2·5 + 4·0.25) for odd k.
    #[test]
    fn a_tile_product_by_hand() {
        let mut tiles = Tiles::NONE;
        assert!(tiles.configure(&configuration([(1, 4), (1, 8), (2, 4)])));
        let row = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()).collect()
        };
        tiles.data[0][0][..4].copy_from_slice(&100f32.to_le_bytes());
        tiles.data[1][0][..8].copy_from_slice(&row(&[1.0, 2.0, 0.5, 4.0]));
        tiles.data[2][0][..4].copy_from_slice(&row(&[3.0, 5.0]));
        tiles.data[2][1][..4].copy_from_slice(&row(&[-8.0, 0.25]));
        assert!(tiles.multiply_bf16(0, 1, 2));
        assert_eq!(tiles.data[0][0][..4], 110f32.to_le_bytes());
        // Rounding between: 2²⁴ + 1 in the even chain loses the 1, which the odd chain would have kept.
        tiles.data[0][0][..4].copy_from_slice(&0f32.to_le_bytes());
        tiles.data[1][0][..8].copy_from_slice(&row(&[16_777_216.0, 0.0, 1.0, 1.0]));
        tiles.data[2][0][..4].copy_from_slice(&row(&[1.0, 0.0]));
        tiles.data[2][1][..4].copy_from_slice(&row(&[1.0, 2.0]));
        assert!(tiles.multiply_bf16(0, 1, 2));
        assert_eq!(tiles.data[0][0][..4], 16_777_218f32.to_le_bytes());
        // A denormal operand counts as zero, however large the other.
        tiles.data[0][0][..4].copy_from_slice(&0f32.to_le_bytes());
        tiles.data[1][0][..8].copy_from_slice(&row(&[f32::from_bits(1 << 16), 0.0, 0.0, 0.0]));
        tiles.data[2][0][..4].copy_from_slice(&row(&[1e38, 0.0]));
        assert!(tiles.multiply_bf16(0, 1, 2));
        assert_eq!(tiles.data[0][0][..4], 0f32.to_le_bytes());
        assert!(!tiles.multiply_bf16(0, 1, 1), "three different tiles are wanted");
    }
}
