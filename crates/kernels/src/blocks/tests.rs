//! What holds for every type of block: its bodies agree, any range of it can be read, threads change nothing.

mod error;
pub(crate) mod reference;
mod weighed;

use super::*;
use crate::check::{assert_same_bits, normal};
use crate::product::to_f16;
use base::Rng;

/// Random bytes: every scale, NaN and infinity among them, and every value.
fn random_blocks(kind: &BlockType, rng: &mut Rng, n_blocks: usize) -> Vec<u8> {
    (0..n_blocks * kind.n_bytes).map(|_| rng.below(256) as u8).collect()
}

/// Random blocks under scales as usual weights have them.
pub(crate) fn usual_blocks(kind: &BlockType, rng: &mut Rng, n_blocks: usize) -> Vec<u8> {
    let mut blocks = random_blocks(kind, rng, n_blocks);
    for block in blocks.chunks_mut(kind.n_bytes) {
        put_scales(kind, block, to_f16(0.001 * (1 + rng.below(99)) as f32));
    }
    blocks
}

/// Sets every half-precision number of a block.
pub(crate) fn put_scales(kind: &BlockType, block: &mut [u8], bits: u16) {
    let halves: &[usize] = match kind.name {
        "Q2_K" => &[80, 82],
        "Q3_K" => &[108],
        "Q6_K" => &[208],
        "TQ1_0" => &[52],
        "TQ2_0" => &[64],
        "Q4_1" | "Q5_1" | "Q4_K" | "Q5_K" => &[0, 2],
        "MXFP4" | "NVFP4" => &[],
        "IQ1_M" => {
            // Four bits in the upper half of every second byte from the 50th on.
            let uppers = [49, 51, 53, 55].into_iter().enumerate();
            return uppers
                .for_each(|(index, at)| block[at] = block[at] & 15 | ((bits >> (4 * index)) as u8) << 4);
        }
        _ => &[0],
    };
    halves.iter().for_each(|at| block[*at..at + 2].copy_from_slice(&bits.to_le_bytes()));
}

#[test]
fn every_body_widens_to_the_bits_of_scalar() {
    let mut rng = Rng::new(1);
    for kind in TYPES {
        for n_blocks in [0, 1, 2, 7, 500] {
            let blocks = random_blocks(kind, &mut rng, n_blocks);
            let scalar = kind.dequantise.body_for(Isa::Scalar);
            let mut expected = vec![9.0; n_blocks * kind.n_weights];
            kind.dequantise_with(scalar, &blocks, &mut expected);
            for (isa, body) in kind.dequantise.bodies_here() {
                for offset in [0, 1] {
                    let mut shifted = vec![0; offset];
                    shifted.extend_from_slice(&blocks);
                    let mut found = vec![9.0; expected.len()];
                    kind.dequantise_with(body, &shifted[offset..], &mut found);
                    assert_same_bits(&found, &expected, &format!("{} {isa} {n_blocks}", kind.name));
                }
            }
        }
    }
}

#[test]
fn any_range_is_widened() {
    let mut rng = Rng::new(2);
    for kind in TYPES {
        let bytes = random_blocks(kind, &mut rng, 9);
        let blocks = Blocks::new(kind, &bytes);
        let mut all = vec![0.0; blocks.len()];
        kind.dequantise(&bytes, &mut all);
        for _ in 0..300 {
            let start = rng.below(blocks.len() + 1);
            let end = start + rng.below(blocks.len() - start + 1);
            let mut found = vec![9.0; end - start];
            blocks.widen(start..end, &mut found);
            assert_same_bits(&found, &all[start..end], &format!("{} {start}..{end}", kind.name));
        }
    }
}

#[test]
fn blocks_are_the_same_for_any_number_of_threads() {
    let mut rng = Rng::new(3);
    for kind in TYPES.iter().filter(|kind| kind.is_writable()) {
        let weights = normal(&mut rng, 3 * WEIGHTS_PER_TASK + 5 * kind.n_weights);
        let size = kind.size_bytes(weights.len()).unwrap();
        let mut one_by_one = vec![0; size];
        for (weights, block) in weights.chunks(kind.n_weights).zip(one_by_one.chunks_mut(kind.n_bytes)) {
            kind.quantise_here(weights, block);
        }
        for n_threads in [2, 3] {
            pool::set_active_threads(n_threads);
            let mut found = vec![0; size];
            kind.quantise(&weights, &mut found);
            assert!(found == one_by_one, "{} on {n_threads} threads", kind.name);
        }
        pool::set_active_threads(2);
    }
}

#[test]
fn sizes_are_whole_blocks() {
    let kind = &q8_0::Q8_0;
    assert_eq!((kind.size_bytes(0), kind.size_bytes(64)), (Some(0), Some(68)));
    assert_eq!((kind.size_bytes(33), kind.size_bytes(usize::MAX - 31)), (None, None));
    assert_eq!(format!("{kind:?}"), "Q8_0");
}

#[test]
fn some_types_are_for_reading_only() {
    let names: Vec<&str> = TYPES.iter().filter(|kind| !kind.is_writable()).map(|kind| kind.name).collect();
    let of_books = ["IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M"];
    assert_eq!(names, [&of_books[..], &["TQ1_0", "TQ2_0", "NVFP4"]].concat());
}

#[test]
#[should_panic(expected = "IQ3_S: blocks of this type can only be read")]
fn making_blocks_of_a_type_for_reading_is_a_bug() {
    iq3_s::IQ3_S.quantise(&[0.0; 256], &mut [0; 110]);
}

#[test]
#[should_panic(expected = "no whole number of blocks")]
fn a_part_of_a_block_is_a_bug() {
    Blocks::new(&q8_0::Q8_0, &[0; 35]);
}

#[test]
#[should_panic(expected = "32 weights are not 33 bytes")]
fn wrong_room_is_a_bug() {
    q8_0::quantise(&[0.0; 32], &mut [0; 33]);
}
