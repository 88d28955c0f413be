//! What quantised weights are multiplied with, in Burn primitives: rows of activations, rounded to eight bits.
//!
//! All in f32, whatever `x` is, because the rounding is defined there; halves are found by powers of two and rounding
//! down, which is exact. Gradients pass through as if nothing were rounded.
//!
//! Source: `kernels::product::integer::activations`, which names its own.

use burn::backend::Backend;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::FloatDType;

use super::Quantised;
use super::bits::half;
use crate::value::Value;

/// `x` `[R, K]` times the weights in `bytes` `[N, bytes of a row]` → `[R, N]`.
pub fn product<B: Backend>(x: FloatTensor<B>, bytes: IntTensor<B>, kind: Quantised) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let [rows, inner] = x.dims()[..] else { panic!("rows of activations are a matrix") };
    let unit = kind.blocks().n_activations();
    let n_blocks = inner / unit;
    let blocks = Value(B::float_cast(x.clone().detached().0, FloatDType::F32));
    let rounded = Rounded::new(blocks.reshape([rows * n_blocks, unit])); // [R · blocks, unit]
    let meant = rounded.codes.clone() * rounded.scale.clone(); // [R · blocks, unit]
    let meant = meant.reshape([rows, inner]).cast_as(&x); // [R, K]
    // The value of the first and the gradient of the second.
    let meant = meant + (x.clone() - x.clone().detached());
    let y = meant.matmul(kind.definition::<B>(bytes.clone()).cast_as(&x).transpose()); // [R, N]
    let Some(minima) = kind.minima::<B>(bytes) else { return y.0 };
    // These are multiplied with a sum that is rounded itself; the weights above held them times what it should be.
    let sums = rounded.codes.sum(1); // [R · blocks, 1]
    let [more, less] = [round_to_half(rounded.step * sums.clone()), rounded.scale * sums]
        .map(|total| total.reshape([rows, n_blocks]).cast_as(&x)); // [R, blocks]
    (y + (more - less).matmul(minima.cast_as(&x).transpose())).0 // [R, N]
}

impl Quantised {
    /// The minimum of every block where it is multiplied with a sum of a block of 32: `[N, blocks]`.
    fn minima<B: Backend>(self, bytes: IntTensor<B>) -> Option<Value<B>> {
        if !matches!(self, Self::Q4_1 | Self::Q5_1) {
            return None;
        }
        let bytes = Value::<B>::from_integers(bytes);
        let [n_rows, row_bytes] = bytes.dims()[..] else { panic!("the bytes of a matrix are one") };
        let block_bytes = self.blocks().size_bytes(32).expect("one block can be counted");
        let n_blocks = row_bytes / block_bytes;
        let blocks = bytes.reshape([n_rows * n_blocks, block_bytes]); // [N · blocks, bytes of a block]
        Some(half(&blocks, 2).reshape([n_rows, n_blocks])) // [N, blocks]
    }
}

/// Blocks of activations, rounded.
struct Rounded<B: Backend> {
    /// Whole numbers, `[blocks, unit]`.
    codes: Value<B>,
    /// What they are multiplied with, `[blocks, 1]`.
    scale: Value<B>,
    /// The same before it was rounded to half precision.
    step: Value<B>,
}

impl<B: Backend> Rounded<B> {
    /// Rounds each row of `x` `[blocks, unit]`.
    fn new(x: Value<B>) -> Self {
        let largest = x.clone().absolute().max(1); // [blocks, 1]
        // NaN may be lost in a maximum but not in a sum of products with zero, nor is infinity.
        let not_finite = x.clone().scale(0.0).sum(1);
        let one = largest.clone().scale(0.0).shift(1.0);
        let (step, scale) = if x.dims()[1] == 32 {
            let step = largest.clone() / one.clone().scale(127.0);
            (step.clone(), round_to_half(step))
        } else {
            let step = one.clone() / (one.clone().scale(127.0) / largest.clone());
            (step.clone(), step)
        };
        let is_some = at_least(&scale, f32::from_bits(1));
        let is_none = is_some.clone().negate().shift(1.0);
        // Where the scale is 0 all numbers are too small to be told from 0 beside 1.
        let largest = largest * is_some.clone() + is_none;
        let codes = round(x * (one.scale(127.0) / largest)) * is_some.clone();
        Self { codes, scale: scale + not_finite, step: step * is_some }
    }
}

/// 1 where a number is at least `least`, else 0.
fn at_least<B: Backend>(x: &Value<B>, least: f32) -> Value<B> {
    x.clone().shift(-least).sign().shift(2.0).scale(0.5).floor()
}

/// The nearest whole numbers, ties to even.
fn round<B: Backend>(x: Value<B>) -> Value<B> {
    let low = x.clone().floor();
    let rest = x - low.clone();
    let is_above = at_least(&rest.clone().negate(), -0.5).negate().shift(1.0);
    let is_tie = at_least(&rest, 0.5) - is_above.clone();
    let is_odd = low.clone() - low.clone().scale(0.5).floor().scale(2.0);
    low + is_above + is_tie * is_odd
}

/// The nearest half-precision numbers, ties to even; beyond the greatest, infinite.
fn round_to_half<B: Backend>(x: Value<B>) -> Value<B> {
    /// From here on everything is nearer to infinity.
    const INFINITE: f32 = 65520.0;
    let sign = at_least(&x, 0.0).scale(2.0).shift(-1.0);
    let magnitude = x * sign.clone();
    // The power of two below a number, or that with the least full fraction.
    let power =
        |power: Value<B>, exponent: i32| power * at_least(&magnitude, f32::powi(2.0, exponent)).shift(1.0);
    let least = magnitude.clone().scale(0.0).shift(f32::powi(2.0, -14));
    let steps = (-13..=15).fold(least, power).scale(f32::powi(2.0, -10));
    let finite = round(magnitude.clone() / steps.clone()) * steps;
    let is_finite = at_least(&magnitude, INFINITE).negate().shift(1.0);
    finite / is_finite * sign
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;
    use burn::backend::Dispatch;
    use burn::tensor::{DType, Tensor, TensorData, f16};

    fn values(numbers: Vec<f32>, shape: [usize; 2]) -> Value<Dispatch> {
        let data = TensorData::new(numbers, shape);
        Value(Tensor::<2>::from_data(data, (&crate::device::cpu(), DType::F32)).into_dispatch())
    }

    fn numbers(values: Value<Dispatch>) -> Vec<f32> {
        Tensor::<2>::from_dispatch(values.0).into_data().iter::<f32>().collect()
    }

    /// Every half-precision number, the middle to the next, and what lies beside that.
    #[test]
    fn numbers_are_rounded_to_the_nearest_half() {
        let pairs = (0..0x7c00u16).map(|bits| [bits, bits + 1].map(|bits| f16::from_bits(bits).to_f32()));
        let beside = pairs.flat_map(|[low, high]| {
            // Behind the greatest number comes what would be next.
            let middle = if high.is_finite() { (low + high) / 2.0 } else { 65520.0 };
            [low, middle.next_down(), middle, middle.next_up()]
        });
        let all: Vec<f32> = beside.flat_map(|number| [number, -number]).collect();
        let found = numbers(round_to_half(values(all.clone(), [1, all.len()])));
        for (number, found) in all.into_iter().zip(found) {
            assert_eq!(found, f16::from_f32(number).to_f32(), "{number:e}");
        }
    }

    #[test]
    fn ties_go_to_even() {
        let all = vec![0.5, 1.5, 2.5, -0.5, -1.5, 0.499_999_97, 0.500_000_1, -126.5, -127.0, 0.0];
        let expected = vec![0.0, 2.0, 2.0, 0.0, -2.0, 0.0, 1.0, -126.0, -127.0, 0.0];
        assert_eq!(numbers(round(values(all, [1, 10]))), expected);
    }

    /// Blocks of every size, of zeros and of what is not finite: what the definition multiplies is what the kernel
    /// does, seen through weights that are 1 in one place.
    #[test]
    fn activations_are_rounded_as_the_kernel_rounds_them() {
        let mut rng = Rng::new(1);
        for kind in [Quantised::Q8_0, Quantised::Q6_K] {
            let unit = kind.blocks().n_weights();
            let (rows, inner) = (40, 2 * unit);
            let size = |row: usize| [1.0, 1e-3, 3e4, 1e-6, 0.0, 1e-30, 1e-42, 2e-8][row % 8];
            let number = |place: usize| rng.normal() as f32 * size(place / inner);
            let mut x: Vec<f32> = (0..rows * inner).map(number).collect();
            (x[3], x[inner + unit + 1]) = (f32::NAN, f32::INFINITY);
            let mut one = vec![0.0; inner * inner];
            (0..inner).for_each(|place| one[place * inner + place] = 1.0);
            let mut bytes = vec![0; kind.blocks().size_bytes(one.len()).unwrap()];
            kind.blocks().quantise(&one, &mut bytes);
            let shape = kernels::product::Shape { rows, inner, outer: inner };
            let mut expected = vec![0.0; rows * inner];
            let blocks = kernels::blocks::Blocks::new(kind.blocks(), &bytes);
            let weights = kernels::product::Weights::Blocks(blocks);
            kernels::product::product(kernels::product::Role::Prompt, &x, weights, &mut expected, shape);
            let data = TensorData::new(bytes.clone(), [inner, bytes.len() / inner]);
            let ints = Tensor::<2, burn::tensor::Int>::from_data(data, (&crate::device::cpu(), DType::U8));
            let found = product::<Dispatch>(values(x, [rows, inner]).0, ints.into_dispatch(), kind);
            for (place, (found, expected)) in numbers(Value(found)).into_iter().zip(expected).enumerate() {
                // Several scales are multiplied in another order.
                let near = (found - expected).abs() <= 3e-7 * expected.abs();
                let same = near || found.is_nan() && expected.is_nan();
                assert!(same, "{kind:?} row {}: {found:e}, not {expected:e}", place / inner);
            }
        }
    }
}
