//! Every body that this machine runs against sums in f64: within the contract's bound, exact for small
//! integers, the same bits in any company.

use super::*;
use crate::check::{assert_same_bits, normal};
use crate::product::{How, Precision, Shape, Weights, training_product};
use base::Rng;

/// The bodies that run here, with their names; AMX's on an emulator where the machine has none.
fn bodies() -> Vec<(&'static str, Half)> {
    let native = HALF.bodies_here().filter_map(|(isa, half)| half.map(|half| (isa.name(), half)));
    native.chain(emulated()).collect()
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn emulated() -> Option<(&'static str, Half)> {
    if crate::isa::detected() >= Isa::Amx {
        return None;
    }
    crate::amx::emulator::install();
    let is_wide = crate::isa::detected() >= Isa::Avx512Bf16;
    Some(("amx, emulated", if is_wide { amx::HALF } else { plain::AMX }))
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn emulated() -> Option<(&'static str, Half)> {
    None
}

/// Which way an operand lies.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Rows,
    Columns,
}

const LIES: [Lie; 2] = [Lie::Rows, Lie::Columns];

/// A matrix [outer, inner], and how it lies in memory.
struct Matrix {
    values: Vec<f32>,
    inner: usize,
    lie: Lie,
    stored: Vec<f32>,
}

impl Matrix {
    fn new(values: Vec<f32>, inner: usize, lie: Lie) -> Self {
        let outer = values.len().checked_div(inner).unwrap_or(0);
        let stored = match lie {
            Lie::Rows => values.clone(),
            Lie::Columns => (0..values.len()).map(|i| values[i % outer * inner + i / outer]).collect(),
        };
        Self { values, inner, lie, stored }
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.inner..][..self.inner]
    }

    /// The rows of `range`, where they lie.
    fn operand(&self, range: Range<usize>) -> Operand<'_> {
        let outer = self.values.len().checked_div(self.inner).unwrap_or(0);
        match self.lie {
            Lie::Rows => Operand::by_rows(Weights::F32(&self.stored[range.start * self.inner..]), self.inner),
            Lie::Columns => {
                let start = range.start.min(self.stored.len());
                Operand::by_columns(Weights::F32(&self.stored[start..]), outer)
            }
        }
    }
}

/// Numbers over sixty powers of two, as gradients are.
fn wide(rng: &mut Rng, length: usize) -> Vec<f32> {
    (0..length).map(|_| (rng.normal() * 2f64.powi(20 - rng.below(60) as i32)) as f32).collect()
}

/// Rows of very different size: some of zeros, some near the end of f32, some that are hardly normal.
fn uneven(rng: &mut Rng, length: usize) -> Vec<f32> {
    let mut scale = 1.0;
    let step = |rng: &mut Rng| [0.0, 1e30, 1e-37, 1.0, 1e4][rng.below(5)];
    (0..length)
        .map(|_| {
            if rng.below(50) == 0 {
                scale = step(rng);
            }
            (rng.normal() * scale) as f32
        })
        .collect()
}

fn largest(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |largest, x| f64::from(x.abs()).max(largest))
}

/// Checks one output, which began at `before`, against the contract.
#[track_caller]
fn assert_within(actual: f32, before: f32, (a, b): (&[f32], &[f32]), context: impl Fn() -> String) {
    let terms = || a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
    let exact = terms().sum::<f64>() + f64::from(before);
    if a.iter().chain(b).any(|x| !x.is_finite()) {
        return assert!(!actual.is_finite(), "{}: {actual:e} of what is not finite", context());
    }
    let size = terms().map(f64::abs).sum::<f64>() + f64::from(before.abs());
    let (k, a, b) = (a.len() as f64, largest(a), largest(b));
    let rounding = 2f64.powi(-7) + 2f64.powi(-8) + (k + 2.0) * 2f64.powi(-24);
    let smallest = 2f64.powi(-126);
    let bound = size * rounding + k * (2f64.powi(-24) * a * b + smallest * (a + b + 1.0));
    if size + bound >= f64::from(f32::MAX) && !actual.is_finite() {
        // An overflow on the way, as it is in f32 too.
        return;
    }
    let error = (f64::from(actual) - exact).abs();
    assert!(error <= bound, "{}: {actual:e}, exactly {exact:e}, bound {bound:e}", context());
}

fn check(half: (&str, Half), (a, b): (&Matrix, &Matrix), size: Size, seed: u64) {
    for into in [Into::Replace, Into::Add] {
        let before = match into {
            Into::Replace => vec![f32::NAN; size.m * size.n],
            Into::Add => normal(&mut Rng::new(seed), size.m * size.n),
        };
        let mut c = before.clone();
        multiply(half.1, (a.operand(0..size.m), b.operand(0..size.n)), into, &mut c, size);
        for (place, (c, before)) in c.iter().zip(before).enumerate() {
            let (row, column) = (place / size.n, place % size.n);
            let before = if into == Into::Add { before } else { 0.0 };
            let context = || {
                let (name, a, b) = (half.0, a.lie, b.lie);
                format!("{name} {into:?} a by {a:?}, b by {b:?}, {size:?} seed {seed} at {row}, {column}")
            };
            assert_within(*c, before, (a.row(row), b.row(column)), context);
        }
    }
}

#[test]
fn sums_stay_within_the_contract() {
    let sizes = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 95, 96, 97, 130];
    let inner = [0, 1, 2, 15, 16, 17, 31, 32, 33, 100, 288, 512, 513, 600];
    for half in bodies() {
        let mut rng = Rng::new(1);
        for seed in 0..60 {
            let numbers = [normal, wide, uneven][seed as usize % 3];
            let (m, n) = (sizes[rng.below(sizes.len())], sizes[rng.below(sizes.len())]);
            let size = Size { m, n, k: inner[rng.below(inner.len())] };
            let a = Matrix::new(numbers(&mut rng, size.m * size.k), size.k, LIES[rng.below(2)]);
            let b = Matrix::new(numbers(&mut rng, size.n * size.k), size.k, LIES[rng.below(2)]);
            check(half, (&a, &b), size, seed);
        }
    }
}

/// Beyond a block of columns, with few rows and with many, and enough work to be shared among threads.
#[test]
fn large_products_stay_within_the_contract() {
    for half in bodies() {
        let mut rng = Rng::new(2);
        let sizes = [(5, N_BLOCK + 70, 20), (FEW_ROWS + 1, N_BLOCK + 7, 3), (140, 200, 70)];
        for (seed, (m, n, k)) in sizes.into_iter().enumerate() {
            let size = Size { m, n, k };
            for (a_lie, b_lie) in [(Lie::Rows, Lie::Columns), (Lie::Columns, Lie::Rows)] {
                let a = Matrix::new(normal(&mut rng, size.m * size.k), size.k, a_lie);
                let b = Matrix::new(normal(&mut rng, size.n * size.k), size.k, b_lie);
                check(half, (&a, &b), size, seed as u64);
            }
        }
    }
}

#[test]
fn small_integers_are_exact() {
    let mut rng = Rng::new(3);
    let mut integers =
        |length: usize| -> Vec<f32> { (0..length).map(|_| rng.below(15) as f32 - 7.0).collect() };
    for (name, half) in bodies() {
        for k in [1, 5, 16, 64, 700] {
            let size = Size { m: 21, n: 99, k };
            let a = Matrix::new(integers(size.m * k), k, Lie::Rows);
            let b = Matrix::new(integers(size.n * k), k, Lie::Columns);
            let mut c = vec![0.5; size.m * size.n];
            multiply(half, (a.operand(0..size.m), b.operand(0..size.n)), Into::Add, &mut c, size);
            for (place, c) in c.iter().enumerate() {
                let terms = a.row(place / size.n).iter().zip(b.row(place % size.n)).map(|(a, b)| a * b);
                assert_eq!(*c, 0.5 + terms.sum::<f32>(), "{name}, {k} terms, at {place}");
            }
        }
    }
}

/// An element that is not finite spoils the outputs of its row or column and no other.
#[test]
fn what_is_not_finite_stays_so() {
    for (name, half) in bodies() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (a_lie, b_lie) in [(Lie::Rows, Lie::Rows), (Lie::Columns, Lie::Columns)] {
                let size = Size { m: 35, n: 100, k: 40 };
                let (mut a, mut b) = (vec![0.0; size.m * size.k], vec![1.0; size.n * size.k]);
                a[33 * size.k + 39] = bad;
                b[98 * size.k] = bad;
                let (a, b) = (Matrix::new(a, size.k, a_lie), Matrix::new(b, size.k, b_lie));
                let mut c = vec![7.0; size.m * size.n];
                let operands = (a.operand(0..size.m), b.operand(0..size.n));
                multiply(half, operands, Into::Replace, &mut c, size);
                for (place, c) in c.iter().enumerate() {
                    let is_spoilt = place / size.n == 33 || place % size.n == 98;
                    assert_eq!(!c.is_finite(), is_spoilt, "{name}: {bad} gives {c} at {place}");
                    assert!(is_spoilt || *c == 0.0, "{name}: {c} at {place}");
                }
            }
        }
    }
}

/// The same bits on any number of threads, and for rows and columns at any place in any company.
#[test]
fn an_output_is_the_same_in_any_company() {
    let mut rng = Rng::new(4);
    let (m, n, k) = (70, 130, 550);
    for (name, half) in bodies() {
        for lie in LIES {
            let (a, b) =
                (Matrix::new(normal(&mut rng, m * k), k, lie), Matrix::new(normal(&mut rng, n * k), k, lie));
            pool::set_active_threads(1);
            let mut whole = vec![0.0; m * n];
            let all = (a.operand(0..m), b.operand(0..n));
            multiply(half, all, Into::Replace, &mut whole, Size { m, n, k });
            for n_threads in [1, 2, 3, 5] {
                pool::set_active_threads(n_threads);
                for (rows, columns) in
                    [(0..m, 0..n), (3..4, 0..n), (5..40, 7..9), (0..m, 1..98), (69..70, 129..130)]
                {
                    let size = Size { m: rows.len(), n: columns.len(), k };
                    let mut part = vec![0.0; size.m * size.n];
                    let operands = (a.operand(rows.clone()), b.operand(columns.clone()));
                    multiply(half, operands, Into::Replace, &mut part, size);
                    let expected: Vec<f32> =
                        rows.clone().flat_map(|row| whole[row * n..][columns.clone()].to_vec()).collect();
                    let context = format!("{name} {n_threads} threads, {rows:?} x {columns:?} by {lie:?}");
                    assert_same_bits(&part, &expected, &context);
                }
            }
        }
    }
    pool::set_active_threads(2);
}

/// Weights of 16 bits are widened before they are scaled.
#[test]
fn frozen_weights_of_16_bits_are_read() {
    let bits: Vec<u16> = (0..70 * 40).map(|i: u32| 0x3c00 + (i * 37 % 0x300) as u16).collect();
    let a = Matrix::new(normal(&mut Rng::new(5), 18 * 40), 40, Lie::Rows);
    for (name, half) in bodies() {
        for weights in [Weights::Bf16(&bits), Weights::F16(&bits)] {
            let mut wide = vec![0.0; bits.len()];
            weights.widen(0..bits.len(), &mut wide);
            for (by_rows, size) in
                [(true, Size { m: 18, n: 70, k: 40 }), (false, Size { m: 18, n: 70, k: 40 })]
            {
                let operand = |weights| match by_rows {
                    true => Operand::by_rows(weights, size.k),
                    false => Operand::by_columns(weights, size.n),
                };
                let (mut actual, mut expected) = (vec![0.0; 18 * 70], vec![1.0; 18 * 70]);
                let rows = a.operand(0..18);
                multiply(half, (rows, operand(weights)), Into::Replace, &mut actual, size);
                multiply(half, (rows, operand(Weights::F32(&wide))), Into::Replace, &mut expected, size);
                assert_same_bits(&actual, &expected, name);
            }
        }
    }
}

/// A training product of 16 bits takes the body that there is, and the f32 arithmetic where there is none.
#[test]
fn training_products_of_16_bits_take_the_fastest_body() {
    let mut rng = Rng::new(7);
    let (m, n, k) = (33, 40, 50);
    let (x, w) = (normal(&mut rng, m * k), normal(&mut rng, n * k));
    let how = |precision| How { precision, into: Into::Replace };
    let shape = Shape { rows: m, inner: k, outer: n };
    let (mut actual, mut expected) = (vec![0.0; m * n], vec![0.0; m * n]);
    training_product(how(Precision::Bf16), &x, Weights::F32(&w), &mut actual, shape);
    match HALF.body() {
        Some(half) => {
            let (a, b) = (Operand::by_rows(Weights::F32(&x), k), Operand::by_rows(Weights::F32(&w), k));
            multiply(half, (a, b), Into::Replace, &mut expected, Size { m, n, k });
        }
        None => training_product(how(Precision::F32), &x, Weights::F32(&w), &mut expected, shape),
    }
    assert_same_bits(&actual, &expected, "precision Bf16");
}

/// The packing that AMX machines use and the one for any processor make the same groups.
#[cfg(target_arch = "x86_64")]
#[test]
fn groups_for_amx_are_the_same_with_and_without_vectors() {
    if crate::isa::detected() < Isa::Avx512Bf16 {
        return println!("skipped: packing for AMX needs AVX512-BF16, which this machine lacks");
    }
    let mut rng = Rng::new(6);
    for (outer, inner) in [(1, 1), (5, 40), (32, 64), (17, 31), (31, 100)] {
        for lie in LIES {
            let matrix = Matrix::new(wide(&mut rng, outer * inner), inner, lie);
            for (fast, plain) in [(amx::HALF.a, plain::AMX.a), (amx::HALF.b, plain::AMX.b)] {
                let mut groups = [(); 2].map(|()| vec![Line([7; 16]); plain.n_lines(inner, 32)]);
                for (side, group) in [fast, plain].into_iter().zip(&mut groups) {
                    // SAFETY: the machine has the vectors, and the ranges are the whole operand.
                    unsafe { (side.pack)(&matrix.operand(0..outer), 0..outer, 0..inner, group) };
                }
                let [fast, plain] = groups.map(|group| group.iter().map(|line| line.0).collect::<Vec<_>>());
                assert_eq!(fast, plain, "{outer} x {inner} by {lie:?}");
            }
        }
    }
}
