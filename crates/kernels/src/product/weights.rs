//! Weights as they lie in a file: 32 bits, 16 that are widened exactly when they are read, or quantised
//! blocks.
//!
//! Not owned memory. What a block means is in [`crate::blocks`].

use std::ops::Range;

use crate::blocks::Blocks;

/// A matrix's elements, row by row.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// The bits of bf16 numbers: the upper half of an f32.
    Bf16(&'a [u16]),
    /// The bits of IEEE half-precision numbers.
    F16(&'a [u16]),
    /// Quantised blocks; each row is a whole number of them.
    Blocks(Blocks<'a>),
}

impl<'a> From<&'a [f32]> for Weights<'a> {
    fn from(values: &'a [f32]) -> Self {
        Weights::F32(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Weights<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Weights::F32(values)
    }
}

impl<'a> Weights<'a> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Weights::F32(values) => values.len(),
            Weights::Bf16(bits) | Weights::F16(bits) => bits.len(),
            Weights::Blocks(blocks) => blocks.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes all of them take.
    pub fn size_bytes(&self) -> usize {
        match self {
            Weights::F32(values) => size_of_val(*values),
            Weights::Bf16(bits) | Weights::F16(bits) => size_of_val(*bits),
            Weights::Blocks(blocks) => blocks.bytes().len(),
        }
    }

    /// Those from element `start` on.
    ///
    /// # Panics
    /// When there are fewer, or they are blocks.
    pub(crate) fn behind(self, start: usize) -> Self {
        match self {
            Weights::F32(values) => Weights::F32(&values[start..]),
            Weights::Bf16(bits) => Weights::Bf16(&bits[start..]),
            Weights::F16(bits) => Weights::F16(&bits[start..]),
            Weights::Blocks(_) => panic!("weights in blocks are not cut at any place"),
        }
    }

    /// Where element `index` stands or would stand, for asking the cache only.
    pub(crate) fn address(&self, index: usize) -> *const u8 {
        match self {
            Weights::F32(values) => values.as_ptr().wrapping_add(index).cast(),
            Weights::Bf16(bits) | Weights::F16(bits) => bits.as_ptr().wrapping_add(index).cast(),
            Weights::Blocks(blocks) => {
                let place = index * blocks.bytes().len() / blocks.len().max(1);
                blocks.bytes().as_ptr().wrapping_add(place)
            }
        }
    }

    /// The elements of `range`, widened into `to`.
    ///
    /// # Panics
    /// When the range lies outside or `to` has another length.
    pub fn widen(&self, range: Range<usize>, to: &mut [f32]) {
        assert_eq!(range.len(), to.len(), "widen: a range of one length into a slice of another");
        match self {
            Weights::F32(values) => to.copy_from_slice(&values[range]),
            Weights::Bf16(bits) => {
                to.iter_mut().zip(&bits[range]).for_each(|(to, bits)| *to = from_bf16(*bits))
            }
            Weights::F16(bits) => {
                to.iter_mut().zip(&bits[range]).for_each(|(to, bits)| *to = from_f16(*bits))
            }
            Weights::Blocks(blocks) => blocks.widen(range, to),
        }
    }
}

/// A bf16 number as f32.
#[inline(always)]
pub(super) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A half-precision number as f32, without branches so that loops over it become vector code.
#[inline(always)]
pub(crate) fn from_f16(bits: u16) -> f32 {
    // The exponents' biases differ by 112; the product is exact, also for denormals.
    const BIAS_SHIFT: f32 = f32::from_bits((112 + 127) << 23);
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let finite = (f32::from_bits(magnitude) * BIAS_SHIFT).to_bits();
    let is_special = magnitude >= 0x1f << 23;
    let value = if is_special { magnitude | 0xff << 23 } else { finite };
    f32::from_bits(value | u32::from(bits & 0x8000) << 16)
}

/// The nearest half-precision number, ties to even; beyond the greatest, infinity.
pub(crate) fn to_f16(value: f32) -> u16 {
    /// 65520, half a step above the greatest: from here on everything rounds to infinity.
    const INFINITE: u32 = 0x477f_f000;
    /// The least number with a full fraction, 2⁻¹⁴.
    const NORMAL: u32 = 0x3880_0000;
    /// 0.5: added to a number below 2⁻¹⁴, it leaves multiples of 2⁻²⁴ in the fraction, rounded as f32 rounds.
    const ALIGNER: u32 = 0x3f00_0000;
    let sign = (value.to_bits() >> 16 & 0x8000) as u16;
    let magnitude = value.to_bits() & 0x7fff_ffff;
    let half = match magnitude {
        _ if value.is_nan() => 0x7e00,
        INFINITE.. => 0x7c00,
        NORMAL.. => {
            // The exponents' biases differ by 112; what is cut off rounds up from its half, at the half only
            // where that makes the number even.
            let is_odd = magnitude >> 13 & 1;
            (magnitude - (112 << 23) + 0xfff + is_odd) >> 13
        }
        _ => (f32::from_bits(magnitude) + f32::from_bits(ALIGNER)).to_bits() - ALIGNER,
    };
    sign | half as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition of the format: sign, five bits of exponent, ten of fraction.
    fn f16_by_definition(bits: u16) -> f64 {
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
        match exponent {
            0 => sign * fraction * 2f64.powi(-14),
            31 if fraction == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
        }
    }

    #[test]
    fn every_half_is_widened_exactly() {
        for bits in 0..=u16::MAX {
            let (actual, expected) = (f64::from(from_f16(bits)), f16_by_definition(bits));
            assert!(
                actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan(),
                "{bits:#06x}"
            );
        }
    }

    #[test]
    fn every_half_comes_back() {
        for bits in 0..=u16::MAX {
            let back = to_f16(from_f16(bits));
            assert!(back == bits || from_f16(bits).is_nan() && from_f16(back).is_nan(), "{bits:#06x}");
        }
    }

    /// Between two neighbours the nearest is taken, in the middle the even one.
    #[test]
    fn numbers_between_two_halves_are_rounded() {
        for bits in 0..0x7bff {
            let (low, high) = (from_f16(bits), from_f16(bits + 1));
            let middle = (low + high) / 2.0;
            let even = if bits % 2 == 0 { bits } else { bits + 1 };
            for (value, expected) in
                [(middle.next_down(), bits), (middle, even), (middle.next_up(), bits + 1)]
            {
                assert_eq!((to_f16(value), to_f16(-value)), (expected, expected | 0x8000), "{value:e}");
            }
        }
        assert_eq!((to_f16(65519.996), to_f16(65520.0), to_f16(f32::MAX)), (0x7bff, 0x7c00, 0x7c00));
        assert_eq!((to_f16(f32::INFINITY), to_f16(1e-30), to_f16(-0.0)), (0x7c00, 0, 0x8000));
    }

    #[test]
    fn ranges_are_widened_from_every_type() {
        let mut to = [0.0; 2];
        Weights::F32(&[1.0, 2.0, 3.0]).widen(1..3, &mut to);
        assert_eq!(to, [2.0, 3.0]);
        Weights::Bf16(&[0, 0x3f80, 0xc000]).widen(1..3, &mut to);
        assert_eq!(to, [1.0, -2.0]);
        Weights::F16(&[0x3c00, 0xfc00, 0]).widen(0..2, &mut to);
        assert_eq!(to, [1.0, f32::NEG_INFINITY]);
    }
}
