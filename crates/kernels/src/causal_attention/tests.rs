//! Causal attention against its formula in f64, its gradients against the formula's and against differences.

use super::*;
use crate::check::{assert_near, assert_same_bits, normal};
use base::Rng;

const SCALE: f32 = 0.3;

/// The inputs of both passes.
#[derive(Clone)]
struct Case {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dy: Vec<f32>,
    s: Sequences,
}

/// What both passes give.
#[derive(Clone, Debug)]
struct Results {
    y: Vec<f32>,
    log_sums: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

impl Results {
    fn all(&self) -> [(&str, &[f32]); 5] {
        let Self { y, log_sums, dq, dk, dv } = self;
        [("y", y), ("log sums", log_sums), ("dq", dq), ("dk", dk), ("dv", dv)]
    }
}

impl Case {
    fn new(seed: u64, [sequences, length, heads, kv_heads, size]: [usize; 5]) -> Self {
        let mut rng = Rng::new(seed);
        let s = Sequences { sequences, length, heads, kv_heads, size };
        let [queries, keys, _] = s.lengths().expect("small sizes");
        let mut draw = |length| normal(&mut rng, length);
        Self { q: draw(queries), k: draw(keys), v: draw(keys), dy: draw(queries), s }
    }

    fn run(&self, (forward, backward): (Body, BackwardBody)) -> Results {
        let Case { q, k, v, dy, s } = self;
        let [queries, keys, sums] = s.lengths().expect("small sizes");
        let empty = |length| vec![f32::NAN; length];
        let mut results = Results {
            y: empty(queries),
            log_sums: empty(sums),
            dq: empty(queries),
            dk: empty(keys),
            dv: empty(keys),
        };
        let Results { y, log_sums, dq, dk, dv } = &mut results;
        forward_with(forward, [q, k, v], SCALE, [y, log_sums], *s);
        let saved = Saved { q, k, v, y, log_sums };
        backward_with(backward, (saved, dy), SCALE, Gradients { q: dq, k: dk, v: dv }, *s);
        results
    }

    /// The formulas, in f64, with all the weights of a row at once.
    fn expected(&self) -> Results {
        let s = self.s;
        let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let inputs = [wide(&self.q), wide(&self.k), wide(&self.v), wide(&self.dy)];
        let [mut dq, mut dk, mut dv, mut y] = inputs.clone().map(|x| vec![0.0; x.len()]);
        let mut log_sums = Vec::new();
        let [q, k, v, dy] = inputs;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for row in 0..s.sequences * s.length * s.heads {
            let (token, head) = (row / s.heads % s.length, row % s.heads);
            let first = row / s.heads - token;
            let here = row * s.size..(row + 1) * s.size;
            let there: Vec<Range<usize>> = (first..=first + token)
                .map(|past| past * s.kv_heads + head * s.kv_heads / s.heads)
                .map(|row| row * s.size..(row + 1) * s.size)
                .collect();
            let score = |r: &Range<usize>| f64::from(SCALE) * dot(&q[here.clone()], &k[r.clone()]);
            let scores: Vec<f64> = there.iter().map(score).collect();
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - greatest).exp()).sum();
            log_sums.push((greatest + sum.ln()) as f32);
            let weights: Vec<f64> = scores.iter().map(|score| (score - greatest).exp() / sum).collect();
            let dweights: Vec<f64> = there.iter().map(|r| dot(&dy[here.clone()], &v[r.clone()])).collect();
            let mean = dot(&weights, &dweights);
            for ((r, weight), dweight) in there.into_iter().zip(weights).zip(dweights) {
                let ds = f64::from(SCALE) * weight * (dweight - mean);
                for (here, there) in here.clone().zip(r) {
                    y[here] += weight * v[there];
                    dq[here] += ds * k[there];
                    dk[there] += ds * q[here];
                    dv[there] += weight * dy[here];
                }
            }
        }
        let [y, dq, dk, dv] = [y, dq, dk, dv].map(|x| x.into_iter().map(|x| x as f32).collect());
        Results { y, log_sums, dq, dk, dv }
    }

    /// `Σ dy · y` in f64, where one number of q, k or v differs.
    fn loss(&self, which: usize, place: usize, change: f64) -> f64 {
        let s = self.s;
        let at = |index: usize, values: &[f32], i: usize| {
            f64::from(values[i]) + if (index, i) == (which, place) { change } else { 0.0 }
        };
        let mut loss = 0.0;
        for row in 0..s.sequences * s.length * s.heads {
            let (token, head) = (row / s.heads % s.length, row % s.heads);
            let first = row / s.heads - token;
            let (mut sum, mut total) = (0.0, 0.0);
            for past in first..=first + token {
                let there = (past * s.kv_heads + head * s.kv_heads / s.heads) * s.size;
                let product = |i: usize| {
                    at(0, &self.q, row * s.size + i) * at(1, &self.k, there + i) * f64::from(SCALE)
                };
                let weight = (0..s.size).map(product).sum::<f64>().exp();
                let value = |i: usize| f64::from(self.dy[row * s.size + i]) * at(2, &self.v, there + i);
                sum += weight;
                total += weight * (0..s.size).map(value).sum::<f64>();
            }
            loss += total / sum;
        }
        loss
    }
}

/// Both passes' bodies that this machine runs.
fn bodies() -> impl Iterator<Item = (Isa, (Body, BackwardBody))> {
    let both = CAUSAL_ATTENTION.bodies_here().zip(CAUSAL_ATTENTION_BACKWARD.bodies_here());
    both.map(|((isa, forward), (_, backward))| (isa, (forward, backward)))
}

/// The largest difference, as a share of the largest value or of 1: of one token, no gradient reaches its query.
fn distance(actual: &[f32], expected: &[f32]) -> f32 {
    let greatest = expected.iter().fold(0.0f32, |greatest, x| greatest.max(x.abs()));
    let differences = actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
    assert!(actual.iter().all(|a| a.is_finite()));
    differences.fold(0.0f32, f32::max) / greatest.max(1.0)
}

/// [B, T, H, K, d]: every tile's edge, blocks that are full and not, plain and grouped heads.
const SHAPES: [[usize; 5]; 16] = [
    [1, 1, 1, 1, 1],
    [2, 1, 2, 1, 16],
    [3, 2, 1, 1, 3],
    [1, 5, 4, 2, 7],
    [2, 15, 2, 2, 8],
    [1, 16, 3, 1, 17],
    [1, 17, 2, 1, 32],
    [1, 31, 1, 1, 31],
    [2, 33, 2, 2, 48],
    [1, 63, 2, 1, 64],
    [1, 64, 2, 2, 33],
    [1, 65, 4, 2, 80],
    [1, 100, 6, 2, 20],
    [1, 128, 1, 1, 96],
    [1, 130, 2, 1, 128],
    [2, 193, 3, 3, 12],
];

#[test]
fn every_body_follows_the_formula() {
    for (seed, shape) in (1..).zip(SHAPES) {
        let case = Case::new(seed, shape);
        let expected = case.expected();
        let mut vector: Option<Results> = None;
        for (isa, bodies) in bodies() {
            let results = case.run(bodies);
            for ((name, actual), (_, expected)) in results.all().into_iter().zip(expected.all()) {
                let distance = distance(actual, expected);
                assert!(distance <= 3e-6, "{isa}, {name} of {:?}: {distance:e}", case.s);
            }
            if isa > Isa::Scalar {
                let first = vector.get_or_insert_with(|| results.clone());
                for ((name, actual), (_, first)) in results.all().into_iter().zip(first.all()) {
                    assert_same_bits(actual, first, &format!("{isa}, {name} of {:?}", case.s));
                }
            }
        }
    }
}

#[test]
fn large_scores_stay_within_the_promised_error() {
    let mut case = Case::new(40, [1, 150, 4, 2, 48]);
    case.q.iter_mut().for_each(|q| *q *= 8.0);
    let expected = case.expected();
    for (isa, bodies) in bodies() {
        for ((name, actual), (_, expected)) in case.run(bodies).all().into_iter().zip(expected.all()) {
            let distance = distance(actual, expected);
            assert!(distance <= if name == "y" { 1e-5 } else { 2e-5 }, "{isa}, {name}: {distance:e}");
        }
    }
    let greatest = expected.log_sums.iter().copied().fold(0.0, f32::max);
    assert!((60.0..100.0).contains(&greatest), "the case is what it says: {greatest}");
}

#[test]
fn gradients_are_those_of_central_differences() {
    const CHANGE: f64 = 1e-5;
    for (seed, shape) in [(30, [2, 5, 2, 1, 3]), (31, [1, 9, 2, 2, 5]), (32, [1, 18, 4, 2, 2])] {
        let case = Case::new(seed, shape);
        for (isa, bodies) in bodies() {
            let Results { dq, dk, dv, .. } = case.run(bodies);
            for (which, actual) in [dq, dk, dv].into_iter().enumerate() {
                let difference =
                    |i| (case.loss(which, i, CHANGE) - case.loss(which, i, -CHANGE)) / (2.0 * CHANGE);
                let expected: Vec<f32> = (0..actual.len()).map(|i| difference(i) as f32).collect();
                let distance = distance(&actual, &expected);
                assert!(distance <= 2e-6, "{isa}, input {which} of {:?}: {distance:e}", case.s);
            }
        }
    }
}

#[test]
fn a_sequence_is_the_same_alone_and_whatever_the_threads() {
    let together = Case::new(7, [5, 70, 4, 2, 24]);
    let queries = 70 * 4 * 24;
    for (isa, bodies) in bodies() {
        let results = together.run(bodies);
        for sequence in 0..5 {
            let cut = |all: &[f32]| all[sequence * all.len() / 5..(sequence + 1) * all.len() / 5].to_vec();
            let Case { q, k, v, dy, s } = &together;
            let s = Sequences { sequences: 1, ..*s };
            let alone = Case { q: cut(q), k: cut(k), v: cut(v), dy: cut(dy), s }.run(bodies);
            assert_eq!(alone.y.len(), queries);
            for ((name, alone), (_, all)) in alone.all().into_iter().zip(results.all()) {
                assert_same_bits(alone, &cut(all), &format!("{isa}, {name} of sequence {sequence}"));
            }
        }
        for n_threads in [1, 2, 3, 5] {
            pool::set_active_threads(n_threads);
            for ((name, again), (_, first)) in together.run(bodies).all().into_iter().zip(results.all()) {
                assert_same_bits(again, first, &format!("{isa}, {name}, {n_threads} threads"));
            }
        }
    }
    pool::set_active_threads(2);
}

#[test]
fn nothing_of_the_future_reaches_a_row() {
    let case = Case::new(8, [1, 90, 2, 1, 20]);
    let row = |heads: usize, token: usize| token * heads * 20;
    for (isa, bodies) in bodies() {
        let expected = case.run(bodies);
        for token in [1, 3, 8, 17, 63, 64, 70, 89] {
            // What comes after is NaN: rows before it stay as they are, and so does what they send back where
            // the later rows' gradients are none of theirs.
            let mut spoilt = case.clone();
            spoilt.q[row(2, token)..].fill(f32::NAN);
            spoilt.k[row(1, token)..].fill(f32::NAN);
            spoilt.v[row(1, token)..].fill(f32::NAN);
            let results = spoilt.run(bodies);
            let context = format!("{isa}, from token {token}");
            assert_same_bits(&results.y[..row(2, token)], &expected.y[..row(2, token)], &context);
            assert_same_bits(&results.dq[..row(2, token)], &expected.dq[..row(2, token)], &context);
            assert_same_bits(&results.log_sums[..2 * token], &expected.log_sums[..2 * token], &context);
            assert!(results.y[row(2, token)..].iter().all(|y| y.is_nan()), "{context}");
            assert!(results.dk.iter().all(|dk| dk.is_nan()), "{context}");
        }
    }
}

#[test]
fn a_key_gets_only_what_its_future_sends_back() {
    let case = Case::new(9, [1, 77, 1, 1, 16]);
    for (isa, bodies) in bodies() {
        let expected = case.run(bodies);
        for token in [1, 7, 8, 40, 64, 76] {
            let mut spoilt = case.clone();
            spoilt.dy[..token * 16].fill(f32::NAN);
            let results = spoilt.run(bodies);
            let context = format!("{isa}, up to token {token}");
            assert_same_bits(&results.dk[token * 16..], &expected.dk[token * 16..], &context);
            assert_same_bits(&results.dv[token * 16..], &expected.dv[token * 16..], &context);
            assert!(results.dv[..token * 16].iter().all(|dv| dv.is_nan()), "{context}");
        }
    }
}

#[test]
fn scores_that_are_extreme_do_what_the_contract_says() {
    let s = Sequences { sequences: 1, length: 3, heads: 1, kv_heads: 1, size: 2 };
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let case = |first_keys: [f32; 3]| Case {
        q: [1.0 / SCALE, 0.5].repeat(3),
        k: first_keys.iter().flat_map(|key| [*key, 0.0]).collect(),
        v: vec![1.0, 10.0, 2.0, 20.0, 4.0, 40.0],
        dy: vec![1.0; 6],
        s,
    };
    for (isa, bodies) in bodies() {
        for (first_keys, expected) in [
            ([-inf, 0.0, 0.0], [0.0, 0.0, 2.0, 20.0, 3.0, 30.0]),
            ([-inf; 3], [0.0; 6]),
            ([0.0, inf, 0.0], [1.0, 10.0, nan, nan, nan, nan]),
            ([0.0, 0.0, nan], [1.0, 10.0, 1.5, 15.0, nan, nan]),
            ([1e4, -1e4, 1e4], [1.0, 10.0, 1.0, 10.0, 2.5, 25.0]),
            ([-1e4, 1e4, -1e4], [1.0, 10.0, 2.0, 20.0, 2.0, 20.0]),
        ] {
            let results = case(first_keys).run(bodies);
            assert_near(&results.y, &expected, (1e-6, 0.0), &format!("{isa}, keys {first_keys:?}"));
            // What is finite forward is so backward: no weight of 1e4 runs over.
            let is_finite =
                expected.iter().all(|y| y.is_finite()) && first_keys.iter().all(|k| k.is_finite());
            let gradients = [&results.dq, &results.dk, &results.dv];
            assert!(
                !is_finite || gradients.into_iter().flatten().all(|x| x.is_finite()),
                "{isa} {results:?}"
            );
        }
    }
}

#[test]
fn nothing_gives_nothing() {
    for shape in [[0, 5, 2, 1, 4], [3, 0, 2, 1, 4], [1, 4, 0, 1, 4]] {
        for (_, bodies) in bodies() {
            let results = Case::new(1, shape).run(bodies);
            assert!(results.y.is_empty() && results.dk.iter().all(|dk| *dk == 0.0));
        }
    }
}

#[test]
#[should_panic(expected = "do not fit")]
fn a_wrong_length_is_a_bug() {
    let s = Sequences { sequences: 1, length: 2, heads: 1, kv_heads: 1, size: 2 };
    causal_attention(&[0.0; 4], &[0.0; 4], &[0.0; 2], 1.0, &mut [0.0; 4], &mut [0.0; 2], s);
}
