//! Products over quantised blocks: bit for bit those over the widened numbers, which the other tests hold
//! against exact sums, in every body, role, company and number of threads.

use super::*;
use crate::blocks::{BlockType, Blocks, TYPES};
use crate::embedding::embedding;

/// Blocks that are made of normal weights; after so many the same come again, because a search takes its time.
const N_MADE: usize = 61;

/// Quantised normal weights behind one byte, so that nothing is aligned, and what they widen to.
fn quantised(kind: &'static BlockType, rng: &mut Rng, n_weights: usize) -> (Vec<u8>, Vec<f32>) {
    let (n_bytes, n_made) = (kind.size_bytes(n_weights).unwrap(), n_weights.min(N_MADE * kind.n_weights()));
    let mut made = vec![0; kind.size_bytes(n_made).unwrap()];
    kind.quantise(&normal(rng, n_made), &mut made);
    let bytes: Vec<u8> = [0].into_iter().chain(made.into_iter().cycle().take(n_bytes)).collect();
    let mut wide = vec![0.0; n_weights];
    kind.dequantise(&bytes[1..], &mut wide);
    (bytes, wide)
}

fn over<'a>(kind: &'static BlockType, bytes: &'a [u8]) -> Weights<'a> {
    Weights::Blocks(Blocks::new(kind, &bytes[1..]))
}

#[test]
fn a_product_over_blocks_is_that_over_the_widened_numbers() {
    let mut rng = Rng::new(11);
    for kind in TYPES {
        for (rows, n_blocks, outer) in [
            (0, 1, 3),
            (1, 0, 3),
            (1, 1, 1),
            (1, 3, 7),
            (2, 2, 5),
            (3, 5, 4),
            (9, 4, 13),
            (33, 7, 70),
            (4, 17, 300),
        ] {
            let shape = Shape { rows, inner: n_blocks * kind.n_weights(), outer };
            let x = awkward(&mut rng, rows * shape.inner);
            let (bytes, wide) = quantised(kind, &mut rng, outer * shape.inner);
            for role in ROLES {
                for isa in isas_here() {
                    let (mut found, mut expected) = (vec![9.0; rows * outer], vec![9.0; rows * outer]);
                    run(role, isa, &x, over(kind, &bytes), &mut found, shape);
                    run(role, isa, &x, Weights::F32(&wide), &mut expected, shape);
                    assert_same_bits(&found, &expected, &format!("{kind:?} {role:?} {isa} {shape:?}"));
                }
            }
        }
    }
}

#[test]
fn a_row_over_blocks_is_the_same_alone_and_in_company() {
    let mut rng = Rng::new(12);
    for kind in TYPES {
        let (inner, outer) = (6 * kind.n_weights(), 301);
        let x = normal(&mut rng, 70 * inner);
        let (bytes, wide) = quantised(kind, &mut rng, outer * inner);
        let alone_shape = Shape { rows: 1, inner, outer };
        for role in ROLES {
            for isa in isas_here() {
                let mut alone = vec![0.0; 70 * outer];
                for (x, y) in x.chunks(inner).zip(alone.chunks_mut(outer)) {
                    run(role, isa, x, Weights::F32(&wide), y, alone_shape);
                }
                for (n_threads, first, rows) in
                    [(1, 0, 70), (2, 1, 1), (3, 3, 2), (5, 5, 3), (2, 2, 4), (3, 9, 13), (5, 11, 33)]
                {
                    pool::set_active_threads(n_threads);
                    let mut y = vec![0.0; rows * outer];
                    let x = &x[first * inner..][..rows * inner];
                    run(role, isa, x, over(kind, &bytes), &mut y, Shape { rows, inner, outer });
                    let context =
                        format!("{kind:?} {role:?} {isa} {n_threads} threads, {first}, {rows} rows");
                    assert_same_bits(&y, &alone[first * outer..][..rows * outer], &context);
                }
            }
        }
        pool::set_active_threads(2);
    }
}

#[test]
fn broken_scales_show_in_their_rows_only() {
    let mut rng = Rng::new(13);
    let kind = &crate::blocks::q8_0::Q8_0;
    let (mut bytes, _) = quantised(kind, &mut rng, 3 * 64);
    // The scale of the second block of row 1 becomes NaN.
    bytes[1 + 3 * 34..][..2].copy_from_slice(&[0, 0x7e]);
    for role in ROLES {
        for isa in isas_here() {
            let mut y = [0.0; 3];
            run(role, isa, &[1.0; 64], over(kind, &bytes), &mut y, Shape { rows: 1, inner: 64, outer: 3 });
            assert!(y[0].is_finite() && y[1].is_nan() && y[2].is_finite(), "{role:?} {isa}: {y:?}");
        }
    }
}

#[test]
fn rows_of_a_table_in_blocks() {
    let mut rng = Rng::new(14);
    for kind in TYPES {
        let width = 2 * kind.n_weights();
        let (bytes, wide) = quantised(kind, &mut rng, 5 * width);
        let ids = [4, 0, 4, 2];
        let (mut found, mut expected) = (vec![9.0; 4 * width], vec![9.0; 4 * width]);
        embedding(over(kind, &bytes), width, &ids, &mut found);
        embedding(Weights::F32(&wide), width, &ids, &mut expected);
        assert_same_bits(&found, &expected, &format!("{kind:?}"));
    }
}

#[test]
#[should_panic(expected = "rows of 16 are no blocks of Q8_0")]
fn rows_that_are_no_blocks_are_a_bug() {
    let weights = Weights::Blocks(Blocks::new(&crate::blocks::q8_0::Q8_0, &[0; 34]));
    let shape = Shape { rows: 1, inner: 16, outer: 2 };
    product(Role::Generated, &[0.0; 16], weights, &mut [0.0; 2], shape);
}
