//! Rounded rows against the definition in f64, every body against the scalar one, and against what the GGML
//! project's own library makes.

use super::*;
use crate::blocks::tests::reference::uniform;
use crate::blocks::{BlockType, TYPES, q4_0, q4_1, q4_k};
use crate::check::{Shifted, awkward, normal};
use base::Rng;

/// Everything that a row is rounded to.
fn rounded(body: RowBody, x: &[f32], inner: usize, rounding: Rounding) -> Room {
    let mut room = Room::empty();
    // Without what stands before the first line of them and behind the last.
    room.codes = room.round(body, x, inner, rounding).codes.to_vec();
    room
}

/// The bits of everything, so that NaN equals NaN.
fn bits(room: &Room) -> [Vec<u32>; 5] {
    let of = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect();
    let whole = |numbers: &[i32]| numbers.iter().map(|number| *number as u32).collect();
    let codes = room.codes.iter().map(|code| *code as u32).collect();
    [codes, of(&room.scales), whole(&room.starts), of(&room.totals), whole(&room.pairs)]
}

/// The nearest whole number, ties to even.
fn nearest(x: f64) -> f64 {
    let (low, rest) = (x.floor(), x - x.floor());
    if rest > 0.5 || rest == 0.5 && low % 2.0 != 0.0 { low + 1.0 } else { low }
}

/// The nearest half-precision number by its definition: multiples of 2⁻²⁴, or of 2⁻¹⁰ of the power of two below,
/// up to 65504.
fn half(x: f64) -> f64 {
    if x == 0.0 {
        return 0.0;
    }
    let step = (x.abs().log2().floor() - 10.0).max(-24.0).exp2();
    let half = nearest(x / step) * step;
    if half.abs() < 65536.0 { half } else { half.signum() * f64::INFINITY }
}

fn check_block(x: &[f32], codes: &[i8], scale: f32, total: Option<f32>) {
    let largest = x.iter().fold(0.0f64, |largest, x| largest.max(f64::from(*x).abs()));
    // Each of the few divisions in f32 is right to 2⁻²⁴.
    let step =
        f64::from(if x.len() == 32 { (largest / 127.0) as f32 } else { 1.0 / (127.0 / largest as f32) });
    let expected = if x.len() == 32 { half(step) } else { step };
    assert_eq!(f64::from(scale), expected, "the scale of a block whose largest is {largest:e}");
    let inverse = 127.0 / largest as f32;
    for (x, code) in x.iter().zip(codes) {
        let expected = if expected == 0.0 { 0.0 } else { nearest(f64::from(x * inverse)) };
        assert_eq!(f64::from(*code), expected, "{x:e} beside {largest:e}");
        assert!(expected == 0.0 || (f64::from(*x) - expected * step).abs() <= step * 0.500_02, "{x:e}");
    }
    let sum: i32 = codes.iter().map(|code| i32::from(*code)).sum();
    if let Some(total) = total {
        let product = if expected == 0.0 { 0.0 } else { step as f32 * sum as f32 };
        assert_eq!(f64::from(total), half(f64::from(product)), "{step:e} times {sum}");
    }
}

#[test]
fn rows_are_rounded_as_defined() {
    let mut rng = Rng::new(1);
    for (kind, unit) in [(&q4_0::Q4_0, 32), (&q4_1::Q4_1, 32), (&q4_k::Q4_K, 256)] {
        let mut x = normal(&mut rng, 40 * 256);
        // Sizes over the whole range that f32 and half precision have, zeros, and ties.
        for (index, block) in x.chunks_mut(256).enumerate() {
            let size = [1.0, 1e-3, 3e5, 1e-6, 2e-8, 0.0, 1e-30, 1e-42][index % 8];
            block.iter_mut().for_each(|x| *x *= size);
        }
        for (place, x) in x[..512].iter_mut().enumerate() {
            *x = if place % 32 == 0 { -127.0 } else { (place % 32) as f32 / 2.0 };
        }
        let room = rounded(ROUNDING.body_for(Isa::Scalar), &x, 512, kind.rounding());
        assert_eq!(kind.rounding().unit, unit);
        for (block, (x, codes)) in x.chunks(unit).zip(room.codes.chunks(unit)).enumerate() {
            check_block(x, codes, room.scales[block], room.totals.get(block).copied());
        }
    }
}

#[test]
fn sums_of_groups_are_those_of_their_codes() {
    let mut rng = Rng::new(2);
    for kind in TYPES {
        let rounding = kind.rounding();
        let x = normal(&mut rng, 3 * 512);
        let room = rounded(ROUNDING.body_for(Isa::Scalar), &x, 512, rounding);
        let sums: Vec<i32> = room.codes.chunks(rounding.group).map(sum).collect();
        let starts: Vec<i32> = sums.iter().map(|sum| -i32::from(rounding.offset) * sum).collect();
        assert_eq!(room.starts, if rounding.offset > 0 { starts } else { vec![] }, "{kind:?}");
        let halves = |pair: &i32| [i32::from(*pair as i16), *pair >> 16];
        // The lower half of a pair is signed and takes nothing from the upper.
        let pairs: Vec<i32> = room.pairs.iter().flat_map(halves).collect();
        let wanted = rounding.has_minima && rounding.unit == 256;
        assert_eq!(pairs, if wanted { sums } else { vec![] }, "{kind:?}");
    }
}

#[test]
fn every_body_rounds_to_the_bits_of_scalar() {
    let mut rng = Rng::new(3);
    for kind in TYPES {
        for values in [normal, awkward] {
            let x = values(&mut rng, 7 * 768);
            let expected = rounded(ROUNDING.body_for(Isa::Scalar), &x, 768, kind.rounding());
            for (isa, body) in ROUNDING.bodies_here() {
                let found = rounded(body, Shifted::new(&x, 1).get(), 768, kind.rounding());
                assert!(bits(&found) == bits(&expected), "{kind:?} {isa}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_makes_the_scale_of_its_block_nan() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (kind, unit) in [(&q4_1::Q4_1, 32), (&q4_k::Q4_K, 256)] {
            let mut x = vec![1.0; 512];
            x[unit + 7] = wrong;
            for (isa, body) in ROUNDING.bodies_here() {
                let room = rounded(body, &x, 512, kind.rounding());
                let are_nan: Vec<bool> = room.scales.iter().map(|scale| scale.is_nan()).collect();
                let expected: Vec<bool> = (0..512 / unit).map(|block| block == 1).collect();
                assert_eq!(are_nan, expected, "{isa} {kind:?} {wrong}");
                assert!(room.codes[unit..2 * unit].iter().all(|code| *code == 0), "{isa} {kind:?} {wrong}");
            }
        }
    }
}

/// Rows that come after longer ones are read where they are, not where those were.
#[test]
fn room_is_used_again() {
    let mut rng = Rng::new(4);
    let mut room = Room::empty();
    for (kind, n_rows, inner) in [(&q4_k::Q4_K, 5, 768), (&q4_1::Q4_1, 3, 64), (&q4_k::Q4_K, 2, 256)] {
        let x = normal(&mut rng, n_rows * inner);
        let fresh = rounded(ROUNDING.body(), &x, inner, kind.rounding());
        let again = room.round(ROUNDING.body(), &x, inner, kind.rounding());
        assert_eq!((again.codes, again.scales), (&fresh.codes[..], &fresh.scales[..]));
        assert_eq!((again.totals, again.pairs), (&fresh.totals[..], &fresh.pairs[..]));
        assert_eq!(again.codes(n_rows - 1, inner - 32, 32), &fresh.codes[n_rows * inner - 32..]);
    }
}

/// Numbers that `fixtures/activations/make.py` makes by the same formula.
pub(crate) fn fixture_numbers() -> Vec<f32> {
    const SIZES: [f32; 8] = [1.0, 0.02, 1e-3, 30.0, 1e-5, 5e3, 0.3, 0.0];
    let number = |index: u32| match (index / 256 % 16, index % 256) {
        // Blocks of half steps: every second number is a tie.
        (15, place) if place % 32 == 0 => 127.0,
        (15, place) => (place % 32) as f32 / 2.0 - 8.0,
        (block, _) => uniform(index) * SIZES[block as usize % 8] + 0.0,
    };
    (0..256 * 16).map(number).collect()
}

/// What the fixture holds for one type of activations: blocks, each a scale in f32, a total in f32 and its codes.
fn check_fixture(kind: &BlockType, fixture: &[u8]) {
    let (x, unit) = (fixture_numbers(), kind.rounding().unit);
    assert_eq!(fixture.len(), x.len() / unit * (8 + unit));
    let room = rounded(ROUNDING.body(), &x, x.len(), kind.rounding());
    for (block, bytes) in fixture.chunks_exact(8 + unit).enumerate() {
        let number = |at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        // Blocks of 256 have there the sign of the largest number, and their codes the other.
        let sign = number(0).signum() as i8;
        assert_eq!(room.scales[block], number(0).abs(), "{kind:?} block {block}");
        if !room.totals.is_empty() {
            assert_eq!(room.totals[block], number(4), "{kind:?} block {block}");
        }
        let codes: Vec<i8> = bytes[8..].iter().map(|code| sign * *code as i8).collect();
        assert_eq!(room.codes[block * unit..(block + 1) * unit], codes, "{kind:?} block {block}");
    }
}

#[test]
fn rows_are_rounded_as_the_ggml_project_rounds_them() {
    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../../../../fixtures/activations/", $name))
        };
    }
    check_fixture(&q4_0::Q4_0, fixture!("q8_0.bin"));
    check_fixture(&q4_1::Q4_1, fixture!("q8_1.bin"));
    check_fixture(&q4_k::Q4_K, fixture!("q8_k.bin"));
}
