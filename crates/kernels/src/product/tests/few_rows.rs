//! Products of few rows, which some bodies multiply straight over the blocks, have the bits of the scalar body: for any
//! number of blocks and of rows of weights, in one row and in those that a task shares, with the last row of weights where
//! memory ends.

use super::blocks::quantised;
use super::last_bytes::LastBytes;
use super::*;
use crate::blocks::{BlockType, Blocks, TYPES};
use crate::product::integer::activations::{ROUNDING, Room};

/// One more than any body takes straight.
const MOST_ROWS: usize = 5;
/// Rows of weights: one, those that stand side by side, one more, and two times as many less one.
const OUTERS: [usize; 4] = [1, 8, 9, 15];

/// Every body of this machine beside the scalar one, for one shape.
fn check(kind: &'static BlockType, rng: &mut Rng, values: fn(&mut Rng, usize) -> Vec<f32>, shape: Shape) {
    let (bytes, _) = quantised(kind, rng, shape.outer * shape.inner);
    let weights = LastBytes::new(&bytes[1..]);
    let weights = Blocks::new(kind, weights.get());
    let x = values(rng, shape.rows * shape.inner);
    let mut room = Room::empty();
    let rounded = room.round(ROUNDING.body(), &x, shape.inner, kind.rounding());
    let codes = LastBytes::new(rounded.all_codes());
    let rounded = rounded.with_codes(codes.get());
    let mut expected = vec![9.0; shape.rows * shape.outer];
    integer::share(kind.product.body_for(Isa::Scalar), &rounded, weights, &mut expected, shape);
    for (isa, body) in kind.product.bodies_here() {
        let mut found = Shifted::new(&vec![9.0; expected.len()], 1);
        integer::share(body, &rounded, weights, found.get_mut(), shape);
        assert_same_bits(found.get(), &expected, &format!("{kind:?} {isa} {shape:?}"));
    }
}

#[test]
fn few_rows_give_the_bits_of_scalar_for_any_number_of_blocks() {
    let mut rng = Rng::new(41);
    for kind in TYPES {
        // More than two times as many as any body takes at once.
        let most_blocks = if kind.n_weights() == 256 { 9 } else { 37 };
        for (n_blocks, rows) in (1..=most_blocks).flat_map(|n| (1..=MOST_ROWS).map(move |rows| (n, rows))) {
            let outer = OUTERS[(n_blocks + rows) % OUTERS.len()];
            let shape = Shape { rows, inner: n_blocks * kind.n_weights(), outer };
            for values in [normal, awkward] {
                check(kind, &mut rng, values, shape);
            }
        }
    }
}

/// Each row of few has the bits that it has alone, however many threads share the rows of weights.
#[test]
fn few_rows_are_the_same_alone_and_together() {
    let mut rng = Rng::new(42);
    for kind in TYPES {
        let (inner, outer) = (9 * kind.n_weights().max(128), 77);
        let (bytes, _) = quantised(kind, &mut rng, outer * inner);
        let weights = Weights::Blocks(Blocks::new(kind, &bytes[1..]));
        let x = normal(&mut rng, MOST_ROWS * inner);
        for isa in kind.product.bodies_here().map(|(isa, _)| isa) {
            let mut alone = vec![0.0; MOST_ROWS * outer];
            for (x, y) in x.chunks(inner).zip(alone.chunks_mut(outer)) {
                run(Role::Generated, isa, x, weights, y, Shape { rows: 1, inner, outer });
            }
            for (rows, n_threads) in [(2, 1), (3, 2), (4, 3), (5, 2)] {
                pool::set_active_threads(n_threads);
                let mut together = vec![0.0; rows * outer];
                let x = &x[..rows * inner];
                run(Role::Prompt, isa, x, weights, &mut together, Shape { rows, inner, outer });
                assert_same_bits(&together, &alone[..rows * outer], &format!("{kind:?} {isa} {rows} rows"));
            }
        }
    }
    pool::set_active_threads(2);
}
