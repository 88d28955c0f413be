//! Products over quantised blocks: exact sums of the numbers that blocks and rounded activations stand for, within
//! their bound; the same bits in every body, role, company and number of threads; and what the GGML project computes.

use super::*;
use crate::blocks::tests::reference::WIDENED;
use crate::blocks::tests::{put_scales, usual_blocks};
use crate::blocks::{BlockType, Blocks, TYPES};
use crate::embedding::embedding;
use crate::product::integer::activations::tests::fixture_numbers;
use crate::product::integer::activations::{ROUNDING, Room};

/// Blocks that are made of normal weights; after so many the same come again, because a search takes its time.
const N_MADE: usize = 61;

/// Quantised normal weights, or random blocks where a type can only be read, behind one byte, so that nothing is aligned,
/// and what they widen to.
pub(super) fn quantised(kind: &'static BlockType, rng: &mut Rng, n_weights: usize) -> (Vec<u8>, Vec<f32>) {
    let (n_bytes, n_made) = (kind.size_bytes(n_weights).unwrap(), n_weights.min(N_MADE * kind.n_weights()));
    let mut made = vec![0; kind.size_bytes(n_made).unwrap()];
    if kind.is_writable() {
        kind.quantise(&normal(rng, n_made), &mut made);
    } else {
        made = usual_blocks(kind, rng, n_made / kind.n_weights());
    }
    let bytes: Vec<u8> = [0].into_iter().chain(made.into_iter().cycle().take(n_bytes)).collect();
    let mut wide = vec![0.0; n_weights];
    kind.dequantise(&bytes[1..], &mut wide);
    (bytes, wide)
}

pub(super) fn over<'a>(kind: &'static BlockType, bytes: &'a [u8]) -> Weights<'a> {
    Weights::Blocks(Blocks::new(kind, &bytes[1..]))
}

/// Whether AMX runs on an emulator here, which it does for those who have the vectors beside it.
pub(super) fn is_emulated() -> bool {
    cfg!(all(target_arch = "x86_64", target_os = "linux")) && isa::detected() == Isa::Avx512Fp16
}

/// The fastest body up to an instruction set; that of AMX on an emulator where the machine has none.
pub(super) fn body(kind: &BlockType, isa: Isa) -> integer::Body {
    match isa {
        Isa::Amx if is_emulated() => {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            crate::amx::emulator::install();
            kind.product.body_of(isa).expect("every type has one")
        }
        _ => kind.product.body_for(isa),
    }
}

/// Every body of a type that this machine has.
fn own_bodies(kind: &BlockType) -> impl Iterator<Item = Isa> {
    kind.product.bodies_here().map(|(isa, _)| isa)
}

/// Every body of a type that this machine runs.
fn bodies(kind: &BlockType) -> Vec<Isa> {
    own_bodies(kind).chain(is_emulated().then_some(Isa::Amx)).collect()
}

/// What a row of x means after rounding, in f64: its numbers, and for types whose minimum is multiplied with a rounded
/// sum, those sums.
fn meant(kind: &BlockType, x: &[f32], inner: usize) -> (Vec<f64>, Vec<f64>) {
    let mut room = Room::empty();
    let rounded = room.round(ROUNDING.body_for(Isa::Scalar), x, inner, kind.rounding());
    let unit = kind.n_activations();
    let (mut numbers, mut totals) = (Vec::new(), Vec::new());
    for row in 0..x.len() / inner {
        for block in 0..inner / unit {
            let scale = f64::from(rounded.scale(row, block));
            let codes = rounded.codes(row, block * unit, unit);
            numbers.extend(codes.iter().map(|code| f64::from(*code) * scale));
            if matches!(kind.name(), "Q4_1" | "Q5_1") {
                totals.push(f64::from(rounded.total(row, block)));
            }
        }
    }
    (numbers, totals)
}

/// One output in f64 beside its sum of magnitudes, from the widened weights and the rounded activations.
fn exactly(wide: &[f32], block_minima: &[f64], numbers: &[f64], totals: &[f64]) -> (f64, f64) {
    let (mut sum, mut size) = (0.0, 0.0);
    for (place, (w, x)) in wide.iter().zip(numbers).enumerate() {
        // A minimum is taken out of every weight, and multiplied with the sum of its block instead. The size is that
        // of both parts of a weight.
        let minimum = block_minima.get(place / 32).copied().unwrap_or(0.0);
        sum += (f64::from(*w) - minimum) * x;
        size += (f64::from(w.abs()) + 2.0 * minimum.abs()) * x.abs();
    }
    let pairs = block_minima.iter().zip(totals);
    (pairs.fold(sum, |sum, (minimum, total)| sum + minimum * total), size)
}

#[test]
fn a_product_over_blocks_is_that_of_its_numbers_with_rounded_activations() {
    let mut rng = Rng::new(11);
    for kind in TYPES {
        let (rows, inner, outer) = (3, 3 * 256, 7);
        let x = normal(&mut rng, rows * inner);
        let (bytes, wide) = quantised(kind, &mut rng, outer * inner);
        let mut y = vec![0.0; rows * outer];
        run(Role::Prompt, Isa::Scalar, &x, over(kind, &bytes), &mut y, Shape { rows, inner, outer });
        let (numbers, totals) = meant(kind, &x, inner);
        let minimum = |block: &[u8]| f64::from(from_f16(u16::from_le_bytes([block[2], block[3]])));
        let minima: Vec<f64> = match totals.len() {
            0 => vec![],
            _ => bytes[1..].chunks(kind.size_bytes(32).unwrap()).map(minimum).collect(),
        };
        for (place, y) in y.iter().enumerate() {
            let (row, column) = (place / outer, place % outer);
            let of = |all: &[f64], index: usize| match all.len() {
                0 => vec![],
                _ => all[index * inner / 32..(index + 1) * inner / 32].to_vec(),
            };
            let (sum, size) = exactly(
                &wide[column * inner..][..inner],
                &of(&minima, column),
                &numbers[row * inner..][..inner],
                &of(&totals, row),
            );
            // Two roundings for each scale and what it stands for; and those of the widened weights, twice as large with
            // their minima taken apart.
            let n_links = inner / if kind.n_weights() == 64 { 16 } else { 32 };
            let bound = size * ((2 * n_links + 3 + 4) as f64) * 2f64.powi(-24);
            let found = f64::from(*y);
            assert!(
                (found - sum).abs() <= bound,
                "{kind:?} at {place}: {found:e}, exactly {sum:e}, bound {bound:e}"
            );
            assert!(bound < 1e-3 * size, "the bound says something");
        }
    }
}

/// How far eight bits move a product: as the definition says, and not less than chance would have it.
#[test]
fn rounding_activations_moves_a_product_as_little_as_said() {
    let mut rng = Rng::new(15);
    for kind in TYPES {
        let (inner, outer) = (4 * 256, 40);
        let x = normal(&mut rng, inner);
        let (bytes, wide) = quantised(kind, &mut rng, outer * inner);
        let mut y = vec![0.0; outer];
        run(Role::Generated, Isa::Scalar, &x, over(kind, &bytes), &mut y, Shape { rows: 1, inner, outer });
        let (mut error, mut size) = (0.0, 0.0);
        for (y, wide) in y.iter().zip(wide.chunks(inner)) {
            let (exact, magnitudes) = exact(inner, |k| x[k], |k| wide[k]);
            let largest = x.iter().fold(0.0f64, |largest, x| largest.max(f64::from(x.abs())));
            let weights: f64 = wide.iter().map(|w| f64::from(w.abs())).sum();
            assert!((f64::from(*y) - exact).abs() <= weights * largest / 254.0 + magnitudes * 2f64.powi(-11));
            (error, size) = (error + (f64::from(*y) - exact).powi(2), size + exact * exact);
        }
        let relative = (error / size).sqrt();
        assert!((1e-3..2e-2).contains(&relative), "{kind:?}: {relative:e}");
    }
}

/// Against the GGML project's own library, over random blocks with every kind of scale: the same sums of whole numbers
/// under the same scales, added up in another order.
#[test]
fn products_are_those_of_the_ggml_project() {
    let fixture = include_str!("../../../../../fixtures/activations/products.tsv");
    let x = fixture_numbers();
    let mut n_checked = 0;
    for line in fixture.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let (kind, bytes) = WIDENED.iter().find(|(kind, _)| kind.name() == fields[0]).unwrap();
        let (first, expected): (usize, f64) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        let size = kind.size_bytes(kind.n_weights()).unwrap();
        let n_blocks = 2048 / kind.n_weights();
        let mut row = Vec::new();
        for block in 0..x.len() / kind.n_weights() {
            let start = (first + block) % n_blocks * size;
            row.extend_from_slice(&bytes[start..start + size]);
            if kind.name() == "MXFP4" {
                let last = row.len() - size;
                row[last] = 120 + row[last] % 8;
            }
        }
        let mut wide = vec![0.0; x.len()];
        kind.dequantise(&row, &mut wide);
        let (numbers, _) = meant(kind, &x, x.len());
        let size: f64 = wide.iter().zip(&numbers).map(|(w, x)| (f64::from(*w) * x).abs()).sum();
        let shape = Shape { rows: 1, inner: x.len(), outer: 1 };
        for isa in bodies(kind) {
            let mut y = [0.0];
            run(Role::Generated, isa, &x, Weights::Blocks(Blocks::new(kind, &row)), &mut y, shape);
            let error = (f64::from(y[0]) - expected).abs();
            // Theirs adds up to 128 blocks in f32 as well; a minimum can be far larger than the weights above it.
            assert!(error <= size * 2e-6, "{line} {isa}: {:e}, of {size:e}", y[0]);
            n_checked += 1;
        }
    }
    assert!(n_checked >= 8 * TYPES.len(), "{n_checked}");
}

#[test]
fn every_body_and_role_gives_the_bits_of_scalar() {
    let mut rng = Rng::new(16);
    for kind in TYPES {
        for (rows, n_blocks, outer) in [
            (0, 1, 3),
            (1, 0, 3),
            (2, 1, 0),
            (1, 1, 1),
            (1, 3, 32),
            (2, 2, 33),
            (3, 5, 31),
            (9, 4, 13),
            (7, 17, 70),
            (33, 3, 40),
            (1, 16, 5),
            (2, 37, 3),
            (3, 32, 33),
            (4, 16, 2),
        ] {
            let shape = Shape { rows, inner: n_blocks * kind.n_weights(), outer };
            let (bytes, _) = quantised(kind, &mut rng, outer * shape.inner);
            for values in [normal, awkward] {
                let x = values(&mut rng, rows * shape.inner);
                let mut expected = vec![9.0; rows * outer];
                run(Role::Prompt, Isa::Scalar, &x, over(kind, &bytes), &mut expected, shape);
                for (isa, role) in bodies(kind).into_iter().flat_map(|isa| ROLES.map(|role| (isa, role))) {
                    let mut found = Shifted::new(&vec![9.0; rows * outer], 1);
                    let x = Shifted::new(&x, 3);
                    run(role, isa, x.get(), over(kind, &bytes), found.get_mut(), shape);
                    assert_same_bits(found.get(), &expected, &format!("{kind:?} {role:?} {isa} {shape:?}"));
                }
            }
        }
    }
}

/// The largest sums there can be: whole numbers at their bounds, in every register that adds them up.
#[test]
fn the_largest_numbers_overflow_in_no_body() {
    for (kind, rows) in TYPES.iter().flat_map(|kind| [(kind, 9), (kind, 5), (kind, 1)]) {
        let shape = Shape { rows, inner: 1024, outer: 35 };
        let n_bytes = kind.size_bytes(shape.inner * shape.outer).unwrap();
        for (fill, sign) in
            [(0xff, 1.0), (0xff, -1.0), (0x80, 1.0), (0x80, -1.0), (0x7f, -1.0), (0, 1.0), (0, -1.0)]
        {
            // Every half-precision scale stays below infinity.
            let mut bytes = vec![fill; n_bytes];
            for block in bytes.chunks_mut(kind.size_bytes(kind.n_weights()).unwrap()) {
                put_scales(kind, block, 0x3c00);
            }
            let x = vec![sign; shape.rows * shape.inner];
            let weights = Weights::Blocks(Blocks::new(kind, &bytes));
            let mut expected = vec![0.0; shape.rows * shape.outer];
            run(Role::Prompt, Isa::Scalar, &x, weights, &mut expected, shape);
            let mut wide = vec![0.0; shape.inner];
            kind.dequantise(&bytes[..kind.size_bytes(shape.inner).unwrap()], &mut wide);
            let exact: f64 = wide.iter().map(|w| f64::from(*w) * f64::from(sign)).sum();
            let size: f64 = wide.iter().map(|w| f64::from(w.abs())).sum();
            let near = (f64::from(expected[0]) - exact).abs() <= 2e-3 * size.max(1e-6);
            assert!(
                near || !exact.is_finite() || exact.abs() > 1e38,
                "{kind:?} {fill}: {} {exact}",
                expected[0]
            );
            for isa in bodies(kind) {
                let mut found = vec![0.0; expected.len()];
                run(Role::Prompt, isa, &x, weights, &mut found, shape);
                assert_same_bits(&found, &expected, &format!("{kind:?} {isa} {fill} {sign}"));
            }
        }
    }
}

#[test]
fn a_row_that_is_not_finite_is_nan_and_no_other() {
    let mut rng = Rng::new(17);
    for kind in TYPES {
        let (rows, inner, outer) = (9, 2 * kind.n_weights(), 37);
        let (bytes, _) = quantised(kind, &mut rng, outer * inner);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = normal(&mut rng, rows * inner);
            x[4 * inner + 3] = wrong;
            for isa in bodies(kind) {
                let mut y = vec![0.0; rows * outer];
                run(Role::Prompt, isa, &x, over(kind, &bytes), &mut y, Shape { rows, inner, outer });
                for (row, y) in y.chunks(outer).enumerate() {
                    assert!(y.iter().all(|y| y.is_nan() == (row == 4)), "{kind:?} {isa} {wrong} row {row}");
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
        let x = normal(&mut rng, 140 * inner);
        let (bytes, _) = quantised(kind, &mut rng, outer * inner);
        let alone_shape = Shape { rows: 1, inner, outer };
        let mut alone = vec![0.0; 140 * outer];
        for (x, y) in x.chunks(inner).zip(alone.chunks_mut(outer)) {
            run(Role::Generated, Isa::Amx, x, over(kind, &bytes), y, alone_shape);
        }
        // On an emulator so many rows take too long; `tiles` has fewer.
        for isa in own_bodies(kind).filter(|isa| *isa > Isa::Scalar) {
            for (n_threads, first, rows) in [
                (1, 0, 140),
                (2, 1, 1),
                (3, 3, 2),
                (5, 5, 3),
                (2, 2, 4),
                (3, 9, 13),
                (5, 11, 33),
                (3, 2, 138),
            ] {
                pool::set_active_threads(n_threads);
                let mut y = vec![0.0; rows * outer];
                let x = &x[first * inner..][..rows * inner];
                run(Role::Prompt, isa, x, over(kind, &bytes), &mut y, Shape { rows, inner, outer });
                let context = format!("{kind:?} {isa} {n_threads} threads, {first}, {rows} rows");
                assert_same_bits(&y, &alone[first * outer..][..rows * outer], &context);
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
        for isa in bodies(kind) {
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
