//! Weights as they lie in a file: 32 bits, or 16 that are widened exactly when they are read.
//!
//! Not quantised blocks, and not owned memory.

use std::ops::Range;

/// A matrix's elements, row by row.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// The bits of bf16 numbers: the upper half of an f32.
    Bf16(&'a [u16]),
    /// The bits of IEEE half-precision numbers.
    F16(&'a [u16]),
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
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes an element takes.
    pub fn element_bytes(&self) -> usize {
        match self {
            Weights::F32(_) => 4,
            Weights::Bf16(_) | Weights::F16(_) => 2,
        }
    }

    /// Where element `index` stands or would stand, for asking the cache only.
    pub(super) fn address(&self, index: usize) -> *const u8 {
        match self {
            Weights::F32(values) => values.as_ptr().wrapping_add(index).cast(),
            Weights::Bf16(bits) | Weights::F16(bits) => bits.as_ptr().wrapping_add(index).cast(),
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
pub(super) fn from_f16(bits: u16) -> f32 {
    // The exponents' biases differ by 112; the product is exact, also for denormals.
    const BIAS_SHIFT: f32 = f32::from_bits((112 + 127) << 23);
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let finite = (f32::from_bits(magnitude) * BIAS_SHIFT).to_bits();
    let is_special = magnitude >= 0x1f << 23;
    let value = if is_special { magnitude | 0xff << 23 } else { finite };
    f32::from_bits(value | u32::from(bits & 0x8000) << 16)
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
