//! The head and its loss against their formula in f64, their gradients against central differences.

use super::*;
use crate::check::{LENGTHS, Shifted, assert_near, assert_same_bits, normal};
use base::Rng;

const FACTOR: f32 = 0.125;

struct Case {
    x: Vec<f32>,
    weights: Vec<f32>,
    targets: Vec<u32>,
    width: usize,
}

/// Losses, dx and dw.
struct Results {
    losses: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

impl Case {
    /// One row in three is ignored.
    fn new(seed: u64, [rows, width, vocabulary]: [usize; 3]) -> Self {
        let mut rng = Rng::new(seed);
        let targets =
            (0..rows).map(|row| if row % 3 == 1 { IGNORED } else { rng.below(vocabulary) as u32 }).collect();
        Self {
            x: normal(&mut rng, rows * width),
            weights: normal(&mut rng, vocabulary * width),
            targets,
            width,
        }
    }

    fn input(&self) -> HeadLoss<'_> {
        HeadLoss { x: &self.x, weights: &self.weights, targets: &self.targets }
    }

    /// With `dw` beginning at 1.
    fn run(&self, body: Body, precision: Precision) -> Results {
        let (mut losses, mut dx) = (vec![f32::NAN; self.targets.len()], vec![f32::NAN; self.x.len()]);
        let mut dw = vec![1.0; self.weights.len()];
        let input = self.input();
        let head = Head::new("test", &input, precision, body);
        head.loss_with_gradients(&mut losses, &mut dx, (&mut dw, Into::Add), FACTOR);
        let mut alone = vec![f32::NAN; losses.len()];
        Head::new("test", &input, precision, body).for_each_chunk(Goal::Loss, &mut alone, |_, _| {});
        assert_same_bits(&alone, &losses, "the loss alone");
        Results { losses, dx, dw }
    }

    /// The loss of a row in f64, where one number of x (0) or of the weights (1) differs.
    fn loss(&self, row: usize, (which, place, change): (usize, usize, f64)) -> f64 {
        if self.targets[row] == IGNORED {
            return 0.0;
        }
        let at = |index: usize, values: &[f32], i: usize| {
            f64::from(values[i]) + if (index, i) == (which, place) { change } else { 0.0 }
        };
        let logit = |id: usize| -> f64 {
            let product =
                |i| at(0, &self.x, row * self.width + i) * at(1, &self.weights, id * self.width + i);
            (0..self.width).map(product).sum()
        };
        let logits: Vec<f64> = (0..self.weights.len() / self.width).map(logit).collect();
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
        sum.ln() + greatest - logits[self.targets[row] as usize]
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_formula_and_of_central_differences() {
    const CHANGE: f64 = 1e-5;
    for (seed, shape) in [(1, [1, 1, 1]), (2, [2, 3, 2]), (3, [5, 4, 17]), (4, [7, 9, 70])] {
        let case = Case::new(seed, shape);
        let rows = 0..case.targets.len();
        let expected: Vec<f32> = rows.clone().map(|row| case.loss(row, (0, 0, 0.0)) as f32).collect();
        let difference = |which, place| {
            let total = |change| rows.clone().map(|row| case.loss(row, (which, place, change))).sum::<f64>();
            (f64::from(FACTOR) * (total(CHANGE) - total(-CHANGE)) / (2.0 * CHANGE)) as f32
        };
        let dx: Vec<f32> = (0..case.x.len()).map(|place| difference(0, place)).collect();
        let dw: Vec<f32> = (0..case.weights.len()).map(|place| 1.0 + difference(1, place)).collect();
        for (isa, body) in CROSS_ENTROPY.bodies_here() {
            let context = format!("{isa}, {shape:?}");
            let results = case.run(body, Precision::F32);
            assert_near(&results.losses, &expected, (1e-6, 2e-6), &context);
            assert_near(&results.dx, &dx, (2e-6, 2e-7), &context);
            assert_near(&results.dw, &dw, (2e-6, 2e-7), &context);
            let half = case.run(body, Precision::Bf16);
            assert_near(&half.losses, &expected, (2e-2, 5e-2), &context);
            assert_near(&half.dw, &dw, (2e-2, 2e-2), &context);
        }
    }
}

#[test]
fn bodies_agree_on_a_row() {
    let lengths = LENGTHS.into_iter().filter(|length| *length > 0).chain([63, 64, 65, 130]);
    for (seed, length) in (1..).zip(lengths) {
        let mut rng = Rng::new(seed);
        let plain = normal(&mut rng, length);
        let wide = plain.iter().map(|x| x * 40.0).collect();
        for logits in [plain, wide, vec![1e-40; length]] {
            for goal in [Goal::Loss, Goal::Gradient(0.5)] {
                check_row(&logits, rng.below(length), goal);
            }
        }
    }
}

fn check_row(logits: &[f32], target: usize, goal: Goal) {
    let mut expected = logits.to_vec();
    let loss = scalar(&mut expected, target, goal);
    let mut vector: Option<(f32, Vec<f32>)> = None;
    for (isa, body) in CROSS_ENTROPY.bodies_here() {
        for offset in [0, 1, 3] {
            let context = format!("{isa}, {goal:?}, length {}, offset {offset}", logits.len());
            let mut row = Shifted::new(logits, offset);
            // SAFETY: this machine can run the body, and the target is among the logits.
            let actual = unsafe { body(row.get_mut(), target, goal) };
            assert_near(&[actual], &[loss], (2e-6, 2e-6), &context);
            assert_near(row.get(), &expected, (8e-6, 1e-7), &context);
            if isa > Isa::Scalar {
                let first = vector.get_or_insert_with(|| (actual, row.get().to_vec()));
                assert_same_bits(&[actual], &[first.0], &context);
                assert_same_bits(row.get(), &first.1, &context);
            }
        }
    }
}

#[test]
fn extreme_logits_keep_their_loss_and_what_is_no_number_spoils_its_row() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let ln_3 = 3f32.ln();
    for (isa, body) in CROSS_ENTROPY.bodies_here() {
        for (logits, loss, gradient) in [
            ([1e4, -1e4, -1e4, -1e4], 0.0, [0.0; 4]),
            ([-1e4, 1e4, -1e4, -1e4], 2e4, [-2.0, 2.0, 0.0, 0.0]),
            ([1e4, 1e4, 1e4, -1e4], ln_3, [-4.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 0.0]),
            ([-1e4, -1e4, -1e4, -inf], ln_3, [-4.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, 0.0]),
            ([-inf, 0.0, 0.0, 0.0], inf, [-2.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]),
            ([0.0, nan, 0.0, 0.0], nan, [nan; 4]),
            ([0.0, inf, 0.0, 0.0], nan, [nan; 4]),
            ([-inf; 4], nan, [nan; 4]),
        ] {
            // With more behind that counts nothing, so that every part of a vector body is met.
            for padding in [0, 60, 64, 70] {
                let mut row = logits.to_vec();
                row.extend(std::iter::repeat_n(-inf, padding));
                let mut expected = gradient.to_vec();
                expected.extend(std::iter::repeat_n(gradient[3] * 0.0, padding));
                let context = format!("{isa}, {logits:?}, {padding} more");
                // SAFETY: this machine can run the body, and the target is among the logits.
                let actual = unsafe { body(&mut row, 0, Goal::Gradient(2.0)) };
                assert_near(&[actual], &[loss], (1e-6, 0.0), &context);
                assert_near(&row, &expected, (1e-6, 1e-30), &context);
            }
        }
    }
}

#[test]
fn an_ignored_row_costs_nothing_and_spoils_nothing() {
    let case = Case::new(5, [40, 6, 33]);
    let mut spoilt = Case::new(5, [40, 6, 33]);
    for row in (0..40).filter(|row| row % 3 == 1) {
        spoilt.x[row * 6..(row + 1) * 6].fill(f32::NAN);
    }
    for (isa, body) in CROSS_ENTROPY.bodies_here() {
        let (plain, spoilt) = (case.run(body, Precision::F32), spoilt.run(body, Precision::F32));
        assert_same_bits(&plain.losses, &spoilt.losses, &format!("{isa}"));
        assert_same_bits(&plain.dx, &spoilt.dx, &format!("{isa}"));
        assert_same_bits(&plain.dw, &spoilt.dw, &format!("{isa}"));
        for row in (0..40).filter(|row| row % 3 == 1) {
            assert_eq!(plain.losses[row], 0.0);
            assert_eq!(plain.dx[row * 6..(row + 1) * 6], [0.0; 6]);
        }
    }
    let nothing = Case { targets: vec![IGNORED; 40], ..case }.run(scalar, Precision::F32);
    assert!(nothing.losses.iter().chain(&nothing.dx).all(|x| *x == 0.0));
    assert!(nothing.dw.iter().all(|dw| *dw == 1.0), "added to, by nothing");
}

#[test]
fn chunks_and_threads_change_no_bit() {
    // More than two chunks of counted rows, cut anywhere into two calls that add to the same dw.
    let case = Case::new(6, [1700, 5, 40]);
    for (isa, body) in CROSS_ENTROPY.bodies_here() {
        let whole = case.run(body, Precision::F32);
        for n_threads in [1, 2, 3, 5] {
            pool::set_active_threads(n_threads);
            let again = case.run(body, Precision::F32);
            assert_same_bits(&again.losses, &whole.losses, &format!("{isa}, {n_threads} threads"));
            assert_same_bits(&again.dx, &whole.dx, &format!("{isa}, {n_threads} threads"));
            assert_same_bits(&again.dw, &whole.dw, &format!("{isa}, {n_threads} threads"));
        }
        for cut in [1, 511, 900] {
            let (mut losses, mut dx) = (vec![0.0; 1700], vec![0.0; 1700 * 5]);
            let mut dw = vec![1.0; 40 * 5];
            for range in [0..cut, cut..1700] {
                let elements = range.start * 5..range.end * 5;
                let input = HeadLoss {
                    x: &case.x[elements.clone()],
                    weights: &case.weights,
                    targets: &case.targets[range.clone()],
                };
                let head = Head::new("test", &input, Precision::F32, body);
                head.loss_with_gradients(&mut losses[range], &mut dx[elements], (&mut dw, Into::Add), FACTOR);
            }
            assert_same_bits(&losses, &whole.losses, &format!("{isa}, cut at {cut}"));
            assert_same_bits(&dx, &whole.dx, &format!("{isa}, cut at {cut}"));
            assert_same_bits(&dw, &whole.dw, &format!("{isa}, cut at {cut}"));
        }
    }
    pool::set_active_threads(2);
}

#[test]
fn the_public_functions_give_the_loss_by_hand() {
    let input = HeadLoss { x: &[1.0, 2.0], weights: &[2f32.ln(), 0.0], targets: &[0, 1] };
    let (mut losses, mut dx, mut dw) = ([7.0; 2], [7.0; 2], [7.0; 2]);
    head_loss(&input, Precision::F32, &mut losses);
    assert_near(&losses, &[1.5f32.ln(), 5f32.ln()], (1e-6, 0.0), "ln 3/2 and ln 5");
    head_loss_with_gradients(&input, How::F32, &mut losses, &mut dx, &mut dw, 1.0);
    let (first, second) = (-1.0 / 3.0, 4.0 / 5.0);
    assert_near(&dx, &[first * 2f32.ln(), second * 2f32.ln()], (1e-6, 0.0), "dx");
    assert_near(&dw, &[first + 2.0 * second, -first - 2.0 * second], (1e-6, 0.0), "dw");
    let ignored = HeadLoss { targets: &[IGNORED; 2], ..input };
    head_loss_with_gradients(&ignored, How::F32, &mut losses, &mut dx, &mut dw, 1.0);
    assert_eq!((losses, dx, dw), ([0.0; 2], [0.0; 2], [0.0; 2]), "overwritten, by nothing");
    head_loss(&HeadLoss { x: &[], weights: &[], targets: &[] }, Precision::F32, &mut []);
}

#[test]
#[should_panic(expected = "a target is among 2")]
fn a_target_beyond_the_vocabulary_is_a_bug() {
    let input = HeadLoss { x: &[1.0], weights: &[1.0, 2.0], targets: &[2] };
    head_loss(&input, Precision::F32, &mut [0.0]);
}
