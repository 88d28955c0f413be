//! Blocks as the GGML project's own package reads and writes them.

use super::*;

/// `weights()` and `sets()` of `fixtures/blocks/make.py` stand on this: a number in [-1, 1) for each index.
pub(crate) fn uniform(index: u32) -> f32 {
    let mut x = index.wrapping_mul(0x9e37_79b9);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^= x >> 16;
    (x >> 8) as f32 / (1 << 23) as f32 - 1.0
}

/// Weights that `fixtures/blocks/make.py` makes by the same formula.
fn fixture_weights() -> Vec<f32> {
    const SIZES: [f32; 8] = [1.0, 0.02, 1e-3, 30.0, 1e-6, 5e4, 1e-8, 0.0];
    let weight = |index: u32| match (index / 32 % 16, index % 32) {
        // Blocks of half steps: every second value is a tie of Q8_0.
        (15, 0) => 127.0,
        (15, place) => (place as f32 - 16.0) / 2.0,
        (block, _) => uniform(index) * SIZES[block as usize % 8] + 0.0,
    };
    (0..32 * 128).map(weight).collect()
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../fixtures/blocks/", $name))
    };
}

/// Random blocks of every type, then what they widen to.
pub(crate) static WIDENED: &[(&BlockType, &[u8])] = &[
    (&q4_0::Q4_0, fixture!("q4_0.bin")),
    (&q4_1::Q4_1, fixture!("q4_1.bin")),
    (&q5_0::Q5_0, fixture!("q5_0.bin")),
    (&q5_1::Q5_1, fixture!("q5_1.bin")),
    (&q8_0::Q8_0, fixture!("q8_0.bin")),
    (&q2_k::Q2_K, fixture!("q2_k.bin")),
    (&q3_k::Q3_K, fixture!("q3_k.bin")),
    (&q4_k::Q4_K, fixture!("q4_k.bin")),
    (&q5_k::Q5_K, fixture!("q5_k.bin")),
    (&q6_k::Q6_K, fixture!("q6_k.bin")),
    (&iq4_nl::IQ4_NL, fixture!("iq4_nl.bin")),
    (&iq4_xs::IQ4_XS, fixture!("iq4_xs.bin")),
    (&mxfp4::MXFP4, fixture!("mxfp4.bin")),
    (&iq2_xxs::IQ2_XXS, fixture!("iq2_xxs.bin")),
    (&iq2_xs::IQ2_XS, fixture!("iq2_xs.bin")),
    (&iq2_s::IQ2_S, fixture!("iq2_s.bin")),
    (&iq3_xxs::IQ3_XXS, fixture!("iq3_xxs.bin")),
    (&iq3_s::IQ3_S, fixture!("iq3_s.bin")),
    (&iq1_s::IQ1_S, fixture!("iq1_s.bin")),
    (&iq1_m::IQ1_M, fixture!("iq1_m.bin")),
    (&tq1_0::TQ1_0, fixture!("tq1_0.bin")),
    (&tq2_0::TQ2_0, fixture!("tq2_0.bin")),
    (&nvfp4::NVFP4, fixture!("nvfp4.bin")),
];

/// The weights of the formula above, for the types that are rounded plainly.
static ROUNDED: &[(&BlockType, &[u8])] = &[
    (&q4_0::Q4_0, fixture!("q4_0.quantised.bin")),
    (&q4_1::Q4_1, fixture!("q4_1.quantised.bin")),
    (&q5_0::Q5_0, fixture!("q5_0.quantised.bin")),
    (&q5_1::Q5_1, fixture!("q5_1.quantised.bin")),
    (&q8_0::Q8_0, fixture!("q8_0.quantised.bin")),
];

#[test]
fn every_type_widens_to_the_bits_of_ggml() {
    let names =
        |kinds: &mut dyn Iterator<Item = &&BlockType>| kinds.map(|kind| kind.name).collect::<Vec<_>>();
    assert_eq!(names(&mut WIDENED.iter().map(|(kind, _)| kind)), names(&mut TYPES.iter()));
    for (kind, bytes) in WIDENED {
        const N_VALUES: usize = 2048;
        let (blocks, values) = bytes.split_at(kind.size_bytes(N_VALUES).unwrap());
        let values = values.as_chunks::<4>().0;
        assert_eq!(values.len(), N_VALUES);
        for (isa, body) in kind.dequantise.bodies_here() {
            let mut found = vec![9.0; N_VALUES];
            kind.dequantise_with(body, blocks, &mut found);
            for (place, (found, expected)) in found.iter().zip(values).enumerate() {
                let expected = f32::from_le_bytes(*expected);
                let (name, block) = (kind.name, place / kind.n_weights);
                assert_eq!(
                    found.to_bits(),
                    expected.to_bits(),
                    "{name} {isa}: weight {place} in block {block}: {found:e}, not {expected:e}"
                );
            }
        }
    }
}

#[test]
fn what_is_rounded_plainly_has_the_bytes_of_ggml() {
    let weights = fixture_weights();
    for (kind, expected) in ROUNDED {
        let mut found = vec![0; expected.len()];
        kind.quantise(&weights, &mut found);
        let blocks = found.chunks(kind.n_bytes).zip(expected.chunks(kind.n_bytes));
        for (place, (found, expected)) in blocks.enumerate() {
            assert_eq!(found, expected, "{}: block {place}", kind.name);
        }
    }
}
