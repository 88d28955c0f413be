//! AMX's products over quantised blocks have the bits of the scalar body, for every type, any number of rows, the largest
//! numbers and several threads; on an emulator where the machine has none.

use super::blocks::{body, is_emulated, over, quantised};
use super::last_bytes::LastBytes;
use super::*;
use crate::blocks::tests::put_scales;
use crate::blocks::{BlockType, Blocks, TYPES};
use crate::product::integer::activations::{ROUNDING, Room};

/// Whether AMX's body runs here at all.
fn is_here(test: &str) -> bool {
    let is_here = is_emulated() || isa::detected() == Isa::Amx;
    if !is_here {
        println!("skipped: {test} needs the vectors of AVX512-FP16, which this machine lacks");
    }
    is_here
}

/// One of each way: two bytes with and without a sign, one with either, links of 32 with and without a minimum, and of 16.
fn kinds() -> impl Iterator<Item = &'static BlockType> {
    const NAMES: [&str; 8] = ["Q4_K", "Q5_K", "Q6_K", "Q2_K", "Q3_K", "Q8_0", "Q4_1", "NVFP4"];
    TYPES.iter().copied().filter(|kind| NAMES.contains(&kind.name()))
}

fn check(kind: &'static BlockType, x: &[f32], bytes: &[u8], shape: Shape, context: &str) {
    let mut expected = vec![9.0; shape.rows * shape.outer];
    run(Role::Prompt, Isa::Scalar, x, over(kind, bytes), &mut expected, shape);
    let mut found = Shifted::new(&vec![9.0; expected.len()], 1);
    run(Role::Prompt, Isa::Amx, x, over(kind, bytes), found.get_mut(), shape);
    assert_same_bits(found.get(), &expected, &format!("{kind:?} {shape:?} {context}"));
}

#[test]
fn tiles_give_the_bits_of_scalar() {
    if !is_here("tiles_give_the_bits_of_scalar") {
        return;
    }
    let mut rng = Rng::new(31);
    for kind in TYPES {
        for (rows, n_blocks, outer) in [
            (12, 1, 1),
            (13, 3, 17),
            (16, 2, 32),
            (31, 1, 33),
            (32, 5, 2),
            (33, 2, 5),
            (50, 1, 3),
            (17, 17, 1),
        ] {
            let shape = Shape { rows, inner: n_blocks * kind.n_weights(), outer };
            let (bytes, _) = quantised(kind, &mut rng, outer * shape.inner);
            for values in [normal, awkward] {
                let x = values(&mut rng, rows * shape.inner);
                check(kind, &x, &bytes, shape, "");
            }
        }
    }
}

#[test]
fn any_number_of_rows_gives_the_same_bits() {
    if !is_here("any_number_of_rows_gives_the_same_bits") {
        return;
    }
    let mut rng = Rng::new(32);
    for kind in kinds() {
        let (inner, outer) = (kind.n_weights(), 3);
        let (bytes, _) = quantised(kind, &mut rng, outer * inner);
        let x = normal(&mut rng, 70 * inner);
        let mut expected = vec![0.0; 70 * outer];
        run(
            Role::Prompt,
            Isa::Scalar,
            &x,
            over(kind, &bytes),
            &mut expected,
            Shape { rows: 70, inner, outer },
        );
        for rows in 1..=70 {
            let mut found = vec![9.0; rows * outer];
            let shape = Shape { rows, inner, outer };
            run(Role::Prompt, Isa::Amx, &x[..rows * inner], over(kind, &bytes), &mut found, shape);
            assert_same_bits(&found, &expected[..rows * outer], &format!("{kind:?} {rows} rows"));
        }
    }
}

/// More rows than a panel's sums are kept for, and parts of rows and columns for several threads.
#[test]
fn many_rows_and_several_threads_give_the_same_bits() {
    if !is_here("many_rows_and_several_threads_give_the_same_bits") {
        return;
    }
    let mut rng = Rng::new(33);
    for kind in kinds() {
        for (n_threads, rows, outer) in [(1, 530, 1), (3, 150, 40), (2, 20, 301)] {
            pool::set_active_threads(n_threads);
            let shape = Shape { rows, inner: kind.n_weights(), outer };
            let (bytes, _) = quantised(kind, &mut rng, outer * shape.inner);
            let x = normal(&mut rng, rows * shape.inner);
            check(kind, &x, &bytes, shape, &format!("{n_threads} threads"));
        }
    }
    pool::set_active_threads(2);
}

/// Whole numbers at their bounds, and with them products of values and scales at theirs.
#[test]
fn the_largest_numbers_overflow_in_no_tile() {
    if !is_here("the_largest_numbers_overflow_in_no_tile") {
        return;
    }
    for kind in TYPES {
        let shape = Shape { rows: 13, inner: 512, outer: 3 };
        let n_bytes = kind.size_bytes(shape.inner * shape.outer).unwrap();
        for fill in [0xff, 0x80, 0x7f, 0x08, 0] {
            let mut bytes = vec![fill; 1 + n_bytes];
            for block in bytes[1..].chunks_mut(kind.size_bytes(kind.n_weights()).unwrap()) {
                put_scales(kind, block, 0x3c00);
            }
            for sign in [1.0, -1.0] {
                let x = vec![sign; shape.rows * shape.inner];
                check(kind, &x, &bytes, shape, &format!("{fill} {sign}"));
            }
        }
    }
}

/// The last row ends where memory ends: a tile with a row or a byte too many ends the process.
#[test]
fn nothing_is_read_behind_the_last_row() {
    if !is_here("nothing_is_read_behind_the_last_row") {
        return;
    }
    let mut rng = Rng::new(34);
    for kind in kinds() {
        let (inner, outer) = (2 * kind.n_weights(), 2);
        let (bytes, _) = quantised(kind, &mut rng, outer * inner);
        for rows in [12, 13, 16, 17, 33, 34, 47] {
            let shape = Shape { rows, inner, outer };
            let x = normal(&mut rng, rows * inner);
            let mut room = Room::empty();
            let rounded = room.round(ROUNDING.body(), &x, inner, kind.rounding());
            let last = LastBytes::new(rounded.all_codes());
            let blocks = Blocks::new(kind, &bytes[1..]);
            let mut found = vec![9.0; rows * outer];
            integer::share(body(kind, Isa::Amx), &rounded.with_codes(last.get()), blocks, &mut found, shape);
            let mut expected = vec![9.0; rows * outer];
            run(Role::Prompt, Isa::Scalar, &x, over(kind, &bytes), &mut expected, shape);
            assert_same_bits(&found, &expected, &format!("{kind:?} {rows} rows"));
        }
    }
}
