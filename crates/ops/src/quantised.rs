//! What the bytes of quantised weights mean, and what a product with them is, in Burn primitives: the definition that
//! judges the kernels.
//!
//! Not fast, and not for training the weights themselves: no gradient flows through bytes.
//!
//! Source: `kernels::blocks`, whose files name their own.

pub(crate) mod activations;
mod bits;
mod books;
mod grouped;
mod levels;
mod plain;
mod ternary;

use burn::backend::Backend;
use burn::backend::tensor::IntTensor;
use kernels::blocks::{self, BlockType};

use crate::value::Value;

/// A type of quantised block, as GGML calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, non_camel_case_types)]
pub enum Quantised {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS,
    MXFP4,
    IQ2_XXS,
    IQ2_XS,
    IQ2_S,
    IQ3_XXS,
    IQ3_S,
    IQ1_S,
    IQ1_M,
    TQ1_0,
    TQ2_0,
    NVFP4,
}

impl Quantised {
    /// Every type.
    pub const ALL: [Self; 23] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
        Self::IQ4_NL,
        Self::IQ4_XS,
        Self::MXFP4,
        Self::IQ2_XXS,
        Self::IQ2_XS,
        Self::IQ2_S,
        Self::IQ3_XXS,
        Self::IQ3_S,
        Self::IQ1_S,
        Self::IQ1_M,
        Self::TQ1_0,
        Self::TQ2_0,
        Self::NVFP4,
    ];

    /// The type of this name, as GGML writes it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.blocks().name() == name)
    }

    /// Its sizes and its kernels.
    pub fn blocks(self) -> &'static BlockType {
        match self {
            Self::Q4_0 => &blocks::q4_0::Q4_0,
            Self::Q4_1 => &blocks::q4_1::Q4_1,
            Self::Q5_0 => &blocks::q5_0::Q5_0,
            Self::Q5_1 => &blocks::q5_1::Q5_1,
            Self::Q8_0 => &blocks::q8_0::Q8_0,
            Self::Q2_K => &blocks::q2_k::Q2_K,
            Self::Q3_K => &blocks::q3_k::Q3_K,
            Self::Q4_K => &blocks::q4_k::Q4_K,
            Self::Q5_K => &blocks::q5_k::Q5_K,
            Self::Q6_K => &blocks::q6_k::Q6_K,
            Self::IQ4_NL => &blocks::iq4_nl::IQ4_NL,
            Self::IQ4_XS => &blocks::iq4_xs::IQ4_XS,
            Self::MXFP4 => &blocks::mxfp4::MXFP4,
            Self::IQ2_XXS => &blocks::iq2_xxs::IQ2_XXS,
            Self::IQ2_XS => &blocks::iq2_xs::IQ2_XS,
            Self::IQ2_S => &blocks::iq2_s::IQ2_S,
            Self::IQ3_XXS => &blocks::iq3_xxs::IQ3_XXS,
            Self::IQ3_S => &blocks::iq3_s::IQ3_S,
            Self::IQ1_S => &blocks::iq1_s::IQ1_S,
            Self::IQ1_M => &blocks::iq1_m::IQ1_M,
            Self::TQ1_0 => &blocks::tq1_0::TQ1_0,
            Self::TQ2_0 => &blocks::tq2_0::TQ2_0,
            Self::NVFP4 => &blocks::nvfp4::NVFP4,
        }
    }

    /// Its weights in f32: `bytes` `[N, bytes of a row]` → `[N, K]`.
    pub(crate) fn definition<B: Backend>(self, bytes: IntTensor<B>) -> Value<B> {
        let bytes = Value::<B>::from_integers(bytes);
        let [n_rows, row_bytes] = bytes.dims()[..] else { panic!("the bytes of a matrix are one") };
        let kind = self.blocks();
        let block_bytes = kind.size_bytes(kind.n_weights()).expect("one block can be counted");
        let row_blocks = row_bytes / block_bytes;
        let blocks = bytes.reshape([n_rows * row_blocks, block_bytes]); // [blocks, bytes of a block]
        let weights = match self {
            Self::Q4_0 => plain::q4_0(&blocks),
            Self::Q4_1 => plain::q4_1(&blocks),
            Self::Q5_0 => plain::q5_0(&blocks),
            Self::Q5_1 => plain::q5_1(&blocks),
            Self::Q8_0 => plain::q8_0(&blocks),
            Self::Q2_K => grouped::q2_k(&blocks),
            Self::Q3_K => grouped::q3_k(&blocks),
            Self::Q4_K => grouped::q4_k(&blocks),
            Self::Q5_K => grouped::q5_k(&blocks),
            Self::Q6_K => grouped::q6_k(&blocks),
            Self::IQ4_NL => levels::iq4_nl(&blocks),
            Self::IQ4_XS => levels::iq4_xs(&blocks),
            Self::MXFP4 => levels::mxfp4(&blocks),
            Self::IQ2_XXS => books::iq2_xxs(&blocks),
            Self::IQ2_XS => books::iq2_xs(&blocks),
            Self::IQ2_S => books::iq2_s(&blocks),
            Self::IQ3_XXS => books::iq3_xxs(&blocks),
            Self::IQ3_S => books::iq3_s(&blocks),
            Self::IQ1_S => books::iq1_s(&blocks),
            Self::IQ1_M => books::iq1_m(&blocks),
            Self::TQ1_0 => ternary::tq1_0(&blocks),
            Self::TQ2_0 => ternary::tq2_0(&blocks),
            Self::NVFP4 => levels::nvfp4(&blocks),
        };
        weights.reshape([n_rows, row_blocks * kind.n_weights()]) // [N, K]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;
    use burn::backend::Dispatch;
    use burn::tensor::{DType, Int, Tensor, TensorData};

    /// The definition of whole blocks, in rows, is what the kernel computes.
    fn check(kind: Quantised, bytes: Vec<u8>, n_rows: usize) {
        let blocks = blocks::Blocks::new(kind.blocks(), &bytes);
        let mut expected = vec![0.0; blocks.len()];
        kind.blocks().dequantise(&bytes, &mut expected);
        let data = TensorData::new(bytes.clone(), [n_rows, bytes.len() / n_rows]);
        let ints = Tensor::<2, Int>::from_data(data, (&crate::device::cpu(), DType::U8));
        let weights = Tensor::<2>::from_dispatch(kind.definition::<Dispatch>(ints.into_dispatch()).0);
        assert_eq!(weights.dims(), [n_rows, expected.len() / n_rows]);
        for (place, (found, expected)) in weights.into_data().iter::<f32>().zip(expected).enumerate() {
            let is_same = found == expected || found.is_nan() && expected.is_nan();
            let block = place / kind.blocks().n_weights();
            assert!(is_same, "{kind:?}: weight {place} in block {block}: {found:e}, not {expected:e}");
        }
    }

    /// Random bytes: every code and every kind of scale.
    #[test]
    fn the_definition_of_every_type_is_what_its_kernel_computes() {
        let mut rng = Rng::new(1);
        for kind in Quantised::ALL {
            let size = kind.blocks().size_bytes(32 * 256).unwrap();
            check(kind, (0..size).map(|_| rng.below(256) as u8).collect(), 4);
        }
    }

    /// Every pattern of a half-precision scale, with every value of a byte.
    #[test]
    fn the_definition_of_q8_0_is_what_its_kernel_computes_for_every_scale() {
        let block = |scale: u16| {
            let bytes = scale.to_le_bytes();
            let first = scale.wrapping_mul(37) as u8;
            bytes.into_iter().chain((0..32u8).map(move |place| first.wrapping_add(place.wrapping_mul(41))))
        };
        check(Quantised::Q8_0, (0..=u16::MAX).flat_map(block).collect(), 1024);
    }

    /// Every pattern of a scale that is a power of two.
    #[test]
    fn the_definition_of_mxfp4_is_what_its_kernel_computes_for_every_scale() {
        let codes = |scale: u8| (0..16u8).map(move |place| scale.wrapping_add(place.wrapping_mul(17)));
        let block = |scale: u8| [scale].into_iter().chain(codes(scale));
        check(Quantised::MXFP4, (0..=u8::MAX).flat_map(block).collect(), 2);
    }

    #[test]
    fn every_type_of_the_kernels_is_here() {
        let all: Vec<&str> = blocks::TYPES.iter().map(|kind| kind.name()).collect();
        assert_eq!(Quantised::ALL.map(|kind| kind.blocks().name()).to_vec(), all);
        for kind in Quantised::ALL {
            assert_eq!(
                (Quantised::named(&format!("{kind:?}")), kind.blocks().name()),
                (Some(kind), &*format!("{kind:?}"))
            );
        }
        assert_eq!(Quantised::named("Q8_1"), None);
    }
}
