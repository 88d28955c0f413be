//! Every body against exact sums, and every row alone against the same row in company.

mod blocks;
#[cfg(target_os = "linux")]
mod few_rows;
#[cfg(target_os = "linux")]
mod last_bytes;
// Elsewhere AMX is not permitted.
#[cfg(target_os = "linux")]
mod tiles;

use super::*;
use crate::check::{Shifted, assert_near, assert_same_bits, awkward, normal};
use crate::isa::{self, Isa};
use crate::pool;
use base::Rng;

const ROLES: [Role; 2] = [Role::Prompt, Role::Generated];
const TYPES: [&str; 3] = ["f32", "bf16", "f16"];

/// Weights in one of the three types; 16-bit ones are random bits of moderate size.
enum Owned {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
    F16(Vec<u16>),
}

impl Owned {
    fn new(name: &str, values: Vec<f32>) -> Self {
        // Cutting the fraction gives a value of the type; which one does not matter here.
        let bf16 = |x: &f32| (x.to_bits() >> 16) as u16;
        let f16 = |x: &f32| {
            let exponent = (x.to_bits() >> 23 & 0xff) as i32 - 127 + 15;
            let sign = (x.to_bits() >> 16 & 0x8000) as u16;
            match exponent {
                1..=30 => sign | (exponent as u16) << 10 | (x.to_bits() >> 13 & 0x3ff) as u16,
                31.. => sign | 0x7c00 | u16::from(x.is_nan()),
                _ => sign | (x.to_bits() & 0x3ff) as u16,
            }
        };
        match name {
            "f32" => Owned::F32(values),
            "bf16" => Owned::Bf16(values.iter().map(bf16).collect()),
            _ => Owned::F16(values.iter().map(f16).collect()),
        }
    }

    fn get(&self) -> Weights<'_> {
        match self {
            Owned::F32(values) => Weights::F32(values),
            Owned::Bf16(bits) => Weights::Bf16(bits),
            Owned::F16(bits) => Weights::F16(bits),
        }
    }

    fn widened(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.get().len()];
        self.get().widen(0..values.len(), &mut values);
        values
    }
}

fn run(role: Role, isa: Isa, x: &[f32], w: Weights<'_>, y: &mut [f32], shape: Shape) {
    match (w, role) {
        (Weights::Blocks(blocks), _) => blocks_product(blocks::body(blocks.kind(), isa), x, blocks, y, shape),
        (_, Role::Prompt) => prompt_product(PROMPT.body_for(isa), x, w, y, shape),
        (_, Role::Generated) => generated_product(GENERATED.body_for(isa), x, w, y, shape),
    }
}

fn isas_here() -> Vec<Isa> {
    PROMPT.bodies_here().map(|(isa, _)| isa).collect()
}

/// The sum in f64 and the sum of magnitudes, for y[row, column] = Σ a(row, k) · b(column, k).
fn exact(k: usize, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32) -> (f64, f64) {
    let terms = (0..k).map(|k| f64::from(a(k)) * f64::from(b(k)));
    terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
}

#[track_caller]
fn assert_within(actual: f32, (sum, size): (f64, f64), k: usize, context: &str) {
    let actual = f64::from(actual);
    if !sum.is_finite() {
        let is_same = actual == sum || actual.is_nan() && sum.is_nan();
        return assert!(is_same, "{context}: {actual:e}, exactly {sum:e}");
    }
    // One rounding for each of product and sum, and the smallest denormal for each step.
    let bound = size * (k as f64 + 1.0) * 2f64.powi(-23) + k as f64 * 2e-45;
    assert!((actual - sum).abs() <= bound, "{context}: {actual:e}, exactly {sum:e}, bound {bound:e}");
}

fn check_product(seed: u64, shape: Shape, kind: &str, is_awkward: fn(&mut Rng, usize) -> Vec<f32>) {
    let mut rng = Rng::new(seed);
    let x = is_awkward(&mut rng, shape.rows * shape.inner);
    let w = Owned::new(kind, is_awkward(&mut rng, shape.outer * shape.inner));
    let wide = w.widened();
    for role in ROLES {
        for isa in isas_here() {
            let mut y = Shifted::new(&vec![f32::NAN; shape.rows * shape.outer], 1);
            run(role, isa, Shifted::new(&x, 3).get(), w.get(), y.get_mut(), shape);
            for (place, y) in y.get().iter().enumerate() {
                let (row, column) = (place / shape.outer, place % shape.outer);
                let a = |k| x[row * shape.inner + k];
                let b = |k| wide[column * shape.inner + k];
                let context = format!("{role:?} {isa} {kind} {shape:?} seed {seed} at {row}, {column}");
                assert_within(*y, exact(shape.inner, a, b), shape.inner, &context);
            }
        }
    }
}

#[test]
fn products_are_exact_sums_within_their_bound() {
    let sizes = [0, 1, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 31, 32, 33, 70];
    let mut rng = Rng::new(1);
    for seed in 0..90 {
        let shape = Shape {
            rows: sizes[rng.below(sizes.len())],
            inner: [0, 1, 7, 8, 15, 16, 17, 33, 100, 255, 256, 257, 600][rng.below(13)],
            outer: sizes[rng.below(sizes.len())],
        };
        check_product(seed, shape, TYPES[seed as usize % 3], normal);
        check_product(seed, shape, TYPES[seed as usize % 3], awkward);
    }
}

#[test]
fn products_beyond_one_block_are_exact_sums() {
    check_product(7, Shape { rows: 2030, inner: 3, outer: 40 }, "f32", normal);
    check_product(8, Shape { rows: 5, inner: 20, outer: 2100 }, "f16", normal);
}

#[test]
fn vector_bodies_agree_bit_for_bit() {
    let mut rng = Rng::new(2);
    for shape in [Shape { rows: 29, inner: 300, outer: 77 }, Shape { rows: 3, inner: 19, outer: 9 }] {
        let x = awkward(&mut rng, shape.rows * shape.inner);
        for kind in TYPES {
            let w = Owned::new(kind, normal(&mut rng, shape.outer * shape.inner));
            for role in ROLES {
                let mut first: Option<Vec<f32>> = None;
                for isa in isas_here().into_iter().filter(|isa| *isa > Isa::Scalar) {
                    let mut y = vec![0.0; shape.rows * shape.outer];
                    run(role, isa, &x, w.get(), &mut y, shape);
                    assert_same_bits(
                        first.get_or_insert_with(|| y.clone()),
                        &y,
                        &format!("{role:?} {isa} {kind}"),
                    );
                }
            }
        }
    }
}

/// A row's result in a batch of any size, at any place, on any number of threads, is the row's result alone.
#[test]
fn a_row_is_the_same_alone_and_in_company() {
    let mut rng = Rng::new(3);
    let (inner, outer) = (273, 301);
    let most = 70;
    let x = normal(&mut rng, most * inner);
    for kind in TYPES {
        let w = Owned::new(kind, normal(&mut rng, outer * inner));
        for role in ROLES {
            for isa in isas_here() {
                let mut alone = vec![0.0; most * outer];
                for row in 0..most {
                    let shape = Shape { rows: 1, inner, outer };
                    run(
                        role,
                        isa,
                        &x[row * inner..][..inner],
                        w.get(),
                        &mut alone[row * outer..][..outer],
                        shape,
                    );
                }
                check_company(role, isa, (&x, &w, &alone), (inner, outer));
            }
        }
    }
    pool::set_active_threads(2);
}

fn check_company(
    role: Role,
    isa: Isa,
    (x, w, alone): (&[f32], &Owned, &[f32]),
    (inner, outer): (usize, usize),
) {
    for n_threads in [1, 2, 3, 5] {
        pool::set_active_threads(n_threads);
        for (first, rows) in
            [(0, 70), (1, 1), (3, 2), (5, 3), (2, 4), (9, 13), (8, 14), (7, 15), (11, 32), (20, 33)]
        {
            let mut y = vec![0.0; rows * outer];
            run(
                role,
                isa,
                &x[first * inner..][..rows * inner],
                w.get(),
                &mut y,
                Shape { rows, inner, outer },
            );
            let context = format!("{role:?} {isa} {n_threads} threads, rows {first}..{}", first + rows);
            assert_same_bits(&y, &alone[first * outer..][..rows * outer], &context);
        }
    }
}

/// Which of the three products of training.
#[derive(Clone, Copy, Debug)]
enum Which {
    Forward,
    Input,
    Weights,
}

const ALL: [Which; 3] = [Which::Forward, Which::Input, Which::Weights];

/// The operands of all three: x [rows, inner], w [outer, inner] and g [rows, outer].
struct Operands {
    x: Vec<f32>,
    w: Vec<f32>,
    g: Vec<f32>,
    shape: Shape,
}

impl Operands {
    fn new(seed: u64, shape: Shape) -> Self {
        let Shape { rows, inner, outer } = shape;
        let rng = &mut Rng::new(seed);
        Self {
            x: normal(rng, rows * inner),
            w: normal(rng, outer * inner),
            g: normal(rng, rows * outer),
            shape,
        }
    }

    /// Rows, columns and summed index of a product's output.
    fn size(&self, which: Which) -> Size {
        let Shape { rows, inner, outer } = self.shape;
        match which {
            Which::Forward => Size { m: rows, n: outer, k: inner },
            Which::Input => Size { m: rows, n: inner, k: outer },
            Which::Weights => Size { m: outer, n: inner, k: rows },
        }
    }

    fn output(&self, which: Which) -> Vec<f32> {
        let Size { m, n, .. } = self.size(which);
        normal(&mut Rng::new(99), m * n)
    }

    fn run(&self, which: Which, how: How, output: &mut [f32]) {
        match which {
            Which::Forward => training_product(how, &self.x, &self.w, output, self.shape),
            Which::Input => product_backward_input(how, &self.g, &self.w, output, self.shape),
            Which::Weights => product_backward_weights(how, &self.g, &self.x, output, self.shape),
        }
    }

    /// The same product in the body of one instruction set.
    fn run_on(&self, isa: Isa, which: Which, into: Into, output: &mut [f32]) {
        let Shape { inner, outer, .. } = self.shape;
        let [x, w, g] = [&self.x, &self.w, &self.g].map(|values| Weights::F32(values));
        let operands = match which {
            Which::Forward => (Operand::by_rows(x, inner), Operand::by_rows(w, inner)),
            Which::Input => (Operand::by_rows(g, outer), Operand::by_columns(w, inner)),
            Which::Weights => (Operand::by_columns(g, outer), Operand::by_columns(x, inner)),
        };
        prompt::multiply(PROMPT.body_for(isa), operands, into, output, self.size(which));
    }

    /// One output in f64 beside the sum of magnitudes, begun with what stood there.
    fn exact(&self, which: Which, (row, column): (usize, usize), before: f32) -> (f64, f64) {
        let Shape { inner, outer, .. } = self.shape;
        let Self { x, w, g, .. } = self;
        let k = self.size(which).k;
        let (sum, size) = match which {
            Which::Forward => exact(k, |k| x[row * inner + k], |k| w[column * inner + k]),
            Which::Input => exact(k, |k| g[row * outer + k], |k| w[k * inner + column]),
            Which::Weights => exact(k, |k| g[k * outer + row], |k| x[k * inner + column]),
        };
        (sum + f64::from(before), size + f64::from(before.abs()))
    }
}

/// Every body, replacing and adding, against f64; only every `step`-th output where that would take long.
fn check_training(seed: u64, shape: Shape, step: usize) {
    let operands = Operands::new(seed, shape);
    for which in ALL {
        let Size { n, k, .. } = operands.size(which);
        let before = operands.output(which);
        for (isa, into) in isas_here().into_iter().flat_map(|isa| [(isa, Into::Replace), (isa, Into::Add)]) {
            // What is replaced must not be read: a NaN would stay.
            let mut output = if into == Into::Add { before.clone() } else { vec![f32::NAN; before.len()] };
            operands.run_on(isa, which, into, &mut output);
            for (place, output) in output.iter().enumerate().step_by(step) {
                let before = if into == Into::Add { before[place] } else { 0.0 };
                let exact = operands.exact(which, (place / n, place % n), before);
                let context = format!("{which:?} {isa} {into:?} {shape:?} at {place}");
                assert_within(*output, exact, k + 1, &context);
            }
        }
    }
}

#[test]
fn training_products_are_exact_sums() {
    let sizes = [0, 1, 2, 3, 5, 6, 7, 13, 14, 15, 27, 29, 31, 32, 33, 45, 64, 65];
    let mut rng = Rng::new(4);
    for seed in 0..60 {
        let [rows, inner, outer] = std::array::from_fn(|_| sizes[rng.below(sizes.len())]);
        check_training(seed, Shape { rows, inner, outer }, 1);
    }
    // Several blocks of k for each of the three, unevenly cut.
    check_training(60, Shape { rows: 1030, inner: 40, outer: 21 }, 13);
    check_training(61, Shape { rows: 17, inner: 1025, outer: 35 }, 13);
    check_training(62, Shape { rows: 15, inner: 35, outer: 1537 }, 13);
    // A stride at which columns are packed, and a product whose tasks pack stretches of b for themselves.
    check_training(63, Shape { rows: 40, inner: 50, outer: 1024 }, 13);
    check_training(64, Shape { rows: 30, inner: 33, outer: 2085 }, 13);
    check_training(65, Shape { rows: 9, inner: 530, outer: 2200 }, 101);
}

#[test]
fn a_training_product_has_the_same_bits_on_any_threads_and_vectors() {
    for shape in [
        Shape { rows: 150, inner: 290, outer: 70 },
        Shape { rows: 600, inner: 65, outer: 33 },
        Shape { rows: 40, inner: 20, outer: 2100 },
        Shape { rows: 30, inner: 100, outer: 1024 },
    ] {
        let operands = Operands::new(7, shape);
        for (which, into) in ALL.into_iter().flat_map(|which| [(which, Into::Replace), (which, Into::Add)]) {
            let mut first: Option<Vec<f32>> = None;
            for isa in isas_here().into_iter().filter(|isa| *isa > Isa::Scalar) {
                for n_threads in [1, 2, 3, 5] {
                    pool::set_active_threads(n_threads);
                    let mut output = operands.output(which);
                    operands.run_on(isa, which, into, &mut output);
                    let context = format!("{which:?} {into:?} {isa} {n_threads} threads {shape:?}");
                    assert_same_bits(first.get_or_insert_with(|| output.clone()), &output, &context);
                }
            }
        }
    }
    pool::set_active_threads(2);
}

/// Adding goes on with the chain of each output: two halves of k are the whole.
#[test]
fn adding_continues_the_sums() {
    let (rows, inner, outer) = (31, 40, 37);
    let operands = Operands::new(8, Shape { rows, inner, outer });
    let mut whole = vec![0.0; outer * inner];
    operands.run(Which::Weights, How::F32, &mut whole);
    let (g, x) = (&operands.g, &operands.x);
    let mut sums = vec![f32::NAN; outer * inner];
    let half = 12;
    let shape = |rows| Shape { rows, inner, outer };
    product_backward_weights(How::F32, &g[..half * outer], &x[..half * inner], &mut sums, shape(half));
    let rest = rows - half;
    product_backward_weights(How::F32_ADD, &g[half * outer..], &x[half * inner..], &mut sums, shape(rest));
    assert_same_bits(&sums, &whole, "two halves");
}

#[test]
fn a_training_product_rounds_no_more_than_its_precision_says() {
    let operands = Operands::new(9, Shape { rows: 19, inner: 34, outer: 23 });
    for (which, precision) in
        ALL.into_iter().flat_map(|which| [(which, Precision::F32), (which, Precision::Bf16)])
    {
        let before = operands.output(which);
        let mut output = before.clone();
        operands.run(which, How { precision, into: Into::Add }, &mut output);
        let n = operands.size(which).n;
        for (place, output) in output.iter().enumerate() {
            let (sum, size) = operands.exact(which, (place / n, place % n), before[place]);
            let bits = if precision == Precision::F32 { 18 } else { 7 };
            let error = (f64::from(*output) - sum).abs();
            assert!(error <= size * 2f64.powi(-bits), "{which:?} {precision:?} at {place}: {error:e} off");
        }
    }
}

#[test]
fn nothing_summed_leaves_or_clears_the_output() {
    let shape = Shape { rows: 2, inner: 0, outer: 3 };
    let mut y = [5.0; 6];
    training_product(How::F32_ADD, &[], &[][..], &mut y, shape);
    assert_eq!(y, [5.0; 6]);
    training_product(How::F32, &[], &[][..], &mut y, shape);
    assert_eq!(y, [0.0; 6]);
}

#[test]
fn a_small_product_by_hand() {
    for role in ROLES {
        let mut y = [0.0; 4];
        let w = [1.0, 0.0, -1.0, 2.0, 1.0, 0.5];
        product(
            role,
            &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            Weights::F32(&w),
            &mut y,
            Shape { rows: 2, inner: 3, outer: 2 },
        );
        assert_near(&y, &[-2.0, 5.5, -2.0, 16.0], (1e-7, 0.0), "by hand");
    }
}

#[test]
#[should_panic(expected = "do not fit")]
fn wrong_lengths_are_a_bug() {
    let shape = Shape { rows: 1, inner: 3, outer: 1 };
    product(Role::Prompt, &[0.0; 2], Weights::F32(&[0.0; 3]), &mut [0.0], shape);
}
