//! What the bytes of quantised weights mean, in Burn primitives: the definition that judges the kernels.
//!
//! Not fast, and not for training the weights themselves: no gradient flows through bytes. Bits are taken apart
//! by dividing by powers of two and rounding down, which is exact in f32 on every device.
//!
//! Source: `kernels::blocks`, which names its own; for half precision IEEE 754-2019, section 3.4.

use burn::backend::Backend;
use burn::backend::tensor::IntTensor;
use kernels::blocks::{BlockType, q8_0};

use crate::value::Value;

/// A type of quantised block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantised {
    /// 32 signed bytes under one half-precision scale.
    Q8_0,
}

impl Quantised {
    /// Its sizes and its kernels.
    pub fn blocks(self) -> &'static BlockType {
        match self {
            Self::Q8_0 => &q8_0::Q8_0,
        }
    }

    /// Its weights in f32: `bytes` `[N, bytes of a row]` → `[N, K]`.
    pub(crate) fn definition<B: Backend>(self, bytes: IntTensor<B>) -> Value<B> {
        let bytes = Value::<B>::from_integers(bytes);
        match self {
            Self::Q8_0 => q8_0(bytes),
        }
    }
}

/// `w = d · q`; the block is `d` in two bytes, then 32 `q`.
fn q8_0<B: Backend>(bytes: Value<B>) -> Value<B> {
    const BYTES: usize = 34;
    let [n_rows, row_bytes] = bytes.dims()[..] else { panic!("the bytes of a matrix are one") };
    let n_blocks = n_rows * row_bytes / BYTES;
    let blocks = bytes.reshape([n_blocks, BYTES]); // [blocks, 34]
    let columns = |range| blocks.clone().slice(&[0..n_blocks, range]);
    let scale = half(columns(0..1), columns(1..2)); // [blocks, 1]
    let weights = signed(columns(2..BYTES)) * scale; // [blocks, 32]
    weights.reshape([n_rows, row_bytes / BYTES * (BYTES - 2)]) // [N, K]
}

/// Bytes as signed numbers: 128 to 255 stand for -128 to -1.
fn signed<B: Backend>(bytes: Value<B>) -> Value<B> {
    let is_negative = bytes.clone().scale(1.0 / 128.0).floor();
    bytes - is_negative.scale(256.0)
}

/// Half-precision numbers from their two bytes.
fn half<B: Backend>(low: Value<B>, high: Value<B>) -> Value<B> {
    let sign = high.clone().scale(1.0 / 128.0).floor();
    let rest = high - sign.clone().scale(128.0);
    let exponent = rest.clone().scale(1.0 / 4.0).floor();
    let fraction = (rest - exponent.clone().scale(4.0)).scale(256.0) + low;
    let is_normal = exponent.clone().shift(31.0).scale(1.0 / 32.0).floor();
    let is_special = exponent.clone().shift(1.0).scale(1.0 / 32.0).floor();
    let is_not_zero = fraction.clone().shift(1023.0).scale(1.0 / 1024.0).floor();
    let whole = is_normal.clone().scale(1024.0) + fraction;
    let finite = (whole * power_of_two(exponent - is_normal)).scale(f32::powi(2.0, -24));
    // Over 1 where a number is finite, over 0 where it is infinite; 0 / 0 where it is none.
    let none = (is_special.clone() * is_not_zero).negate().shift(1.0);
    let magnitude = finite / is_special.negate().shift(1.0) + sign.clone().scale(0.0) / none;
    magnitude * sign.scale(-2.0).shift(1.0)
}

/// 2 to the power of integers from 0 to 31.
fn power_of_two<B: Backend>(exponent: Value<B>) -> Value<B> {
    let mut power = exponent.clone().scale(0.0).shift(1.0);
    let mut rest = exponent;
    for bit in [16.0f32, 8.0, 4.0, 2.0, 1.0] {
        let is_set = rest.clone().scale(1.0 / bit).floor();
        rest = rest - is_set.clone().scale(bit);
        power = power * is_set.scale(bit.exp2() - 1.0).shift(1.0);
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::backend::Dispatch;
    use burn::tensor::{DType, Int, Tensor, TensorData};

    /// Every pattern of a scale, with every value of a byte.
    #[test]
    fn the_definition_of_q8_0_is_what_its_kernel_computes() {
        let block = |scale: u16| {
            let bytes = scale.to_le_bytes();
            let first = scale.wrapping_mul(37) as u8;
            bytes.into_iter().chain((0..32u8).map(move |place| first.wrapping_add(place.wrapping_mul(41))))
        };
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(block).collect();
        let (n_rows, row_bytes) = (1024, bytes.len() / 1024);
        let mut expected = vec![0.0; bytes.len() / 34 * 32];
        q8_0::dequantise(&bytes, &mut expected);
        let data = TensorData::new(bytes, [n_rows, row_bytes]);
        let bytes = Tensor::<2, Int>::from_data(data, (&crate::device::cpu(), DType::U8));
        let weights = Quantised::Q8_0.definition::<Dispatch>(bytes.into_dispatch());
        let weights = Tensor::<2>::from_dispatch(weights.0);
        assert_eq!(weights.dims(), [n_rows, row_bytes / 34 * 32]);
        for (place, (found, expected)) in weights.into_data().iter::<f32>().zip(expected).enumerate() {
            let is_same = found == expected || found.is_nan() && expected.is_nan();
            assert!(
                is_same,
                "weight {} under scale {:#06x}: {found}, not {expected}",
                place % 32,
                place / 32
            );
        }
    }
}
