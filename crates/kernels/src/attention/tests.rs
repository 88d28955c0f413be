//! Attention against its formula in f64, and rows alone against rows in company.

use super::*;
use crate::blocks::{Blocks, q4_0::Q4_0, q8_0::Q8_0};
use crate::check::{assert_near, assert_same_bits, normal};
use crate::kv::Kept;
use base::Rng;

/// Sequences of some lengths, each with its blocks scattered over one pool.
struct Case {
    keys: Vec<f32>,
    values: Vec<f32>,
    tables: Vec<u32>,
    rows: Vec<Row>,
    soft_cap: Option<f32>,
    sinks: Vec<f32>,
    queries: Vec<f32>,
    n_heads: usize,
    pages: Pages,
    /// For each row, its sequence's keys and values in order, [tokens, K, d].
    plain: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Case {
    fn new(seed: u64, lengths: &[usize], n_heads: usize, pages: Pages) -> Self {
        let mut rng = Rng::new(seed);
        let Pages { n_key_heads, head_size, block_size } = pages;
        let n_blocks: usize = lengths.iter().map(|length| length.div_ceil(block_size)).sum::<usize>() + 2;
        let mut free: Vec<u32> = (0..n_blocks as u32).collect();
        for i in (1..n_blocks).rev() {
            free.swap(i, rng.below(i + 1));
        }
        // What no row sees is NaN, so that reading it would show.
        let pool = vec![f32::NAN; n_blocks * n_key_heads * block_size * head_size];
        let (mut keys, mut values) = (pool.clone(), pool);
        let (mut tables, mut rows, mut plain) = (vec![7; 3], Vec::new(), Vec::new());
        for &length in lengths {
            let table_start = tables.len();
            tables.extend(free.drain(..length.div_ceil(block_size)));
            let slot =
                |t: usize| tables[table_start + t / block_size] * block_size as u32 + (t % block_size) as u32;
            let slots: Vec<u32> = (0..length).map(slot).collect();
            let width = n_key_heads * head_size;
            let (k, v) = (normal(&mut rng, length * width), normal(&mut rng, length * width));
            crate::kv::kv_write(&k, &slots, &mut Kept::F32(&mut keys), pages);
            crate::kv::kv_write(&v, &slots, &mut Kept::F32(&mut values), pages);
            // Enough rows for more than one stretch, out of order, some of which see nothing of a group of
            // tokens.
            let many = (0..40).map(|i| length.saturating_sub(i * 7 % 40)).filter(|_| length == 200);
            for n_visible in [length, length.div_ceil(2), length.saturating_sub(1)].into_iter().chain(many) {
                rows.push(Row { table_start, first_visible: 0, n_visible });
                plain.push((k.clone(), v.clone()));
            }
        }
        let queries = normal(&mut rng, rows.len() * n_heads * head_size);
        let (soft_cap, sinks) = (None, Vec::new());
        Self { keys, values, tables, rows, soft_cap, sinks, queries, n_heads, pages, plain }
    }

    /// The same where each row sees `window` tokens at most.
    fn windowed(mut self, window: usize) -> Self {
        self.rows.iter_mut().for_each(|row| row.first_visible = row.n_visible.saturating_sub(window));
        self
    }

    fn capped(self, cap: f32) -> Self {
        Self { soft_cap: Some(cap), ..self }
    }

    /// The same with a sink for each head, one of which counts nothing.
    fn with_sinks(mut self, seed: u64) -> Self {
        self.sinks = normal(&mut Rng::new(seed), self.n_heads);
        self.sinks[0] = f32::NEG_INFINITY;
        self
    }

    fn scoring(&self) -> Scoring<'_> {
        Scoring { scale: 0.3, soft_cap: self.soft_cap, sinks: &self.sinks }
    }

    fn cache(&self) -> Cache<'_> {
        self.cache_of([(&self.keys).into(), (&self.values).into()])
    }

    fn cache_of<'a>(&'a self, [keys, values]: [Weights<'a>; 2]) -> Cache<'a> {
        Cache { keys, values, tables: &self.tables, pages: self.pages }
    }

    fn run(&self, body: Body) -> Vec<f32> {
        self.run_rows(body, [(&self.keys).into(), (&self.values).into()], 0..self.rows.len())
    }

    /// Some rows, over pools in the place of the case's own.
    fn run_rows(&self, body: Body, pools: [Weights<'_>; 2], rows: Range<usize>) -> Vec<f32> {
        let size = self.n_heads * self.pages.head_size;
        let queries = &self.queries[rows.start * size..rows.end * size];
        let mut y = vec![f32::NAN; queries.len()];
        attention_with(body, queries, &self.cache_of(pools), &self.rows[rows], self.scoring(), &mut y);
        y
    }

    /// The formula, in f64, with two passes and no blocks.
    fn expected(&self) -> Vec<f32> {
        let Pages { n_key_heads, head_size, .. } = self.pages;
        let mut y = Vec::new();
        for (row, (keys, values)) in self.rows.iter().zip(&self.plain) {
            for head in 0..self.n_heads {
                let query = &self.queries[y.len()..y.len() + head_size];
                let key_head = head / (self.n_heads / n_key_heads);
                let at = |token: usize, i: usize| (token * n_key_heads + key_head) * head_size + i;
                let score = |token| -> f64 {
                    (0..head_size).map(|i| f64::from(query[i]) * f64::from(keys[at(token, i)])).sum::<f64>()
                        * 0.3
                };
                let capped = |score: f64| {
                    self.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
                };
                let is_seen = |token: usize| (row.first_visible..row.n_visible).contains(&token);
                let weight = |token| if is_seen(token) { f64::exp(capped(score(token))) } else { 0.0 };
                let weights: Vec<f64> = (0..row.n_visible).map(weight).collect();
                let sink = self.sinks.get(head).map_or(0.0, |sink| f64::from(*sink).exp());
                let total: f64 = weights.iter().sum::<f64>() + sink;
                for i in 0..head_size {
                    let sum: f64 = weights
                        .iter()
                        .enumerate()
                        .map(|(t, weight)| weight * f64::from(values[at(t, i)]))
                        .sum();
                    y.push(if total == 0.0 { 0.0 } else { (sum / total) as f32 });
                }
            }
        }
        y
    }
}

fn cases() -> Vec<Case> {
    let sizes = [1, 7, 8, 15, 16, 17, 64, 80, 128, 100];
    let pages = |n_key_heads, head_size, block_size| Pages { n_key_heads, head_size, block_size };
    let mut cases: Vec<Case> = (1..)
        .zip(sizes)
        .map(|(seed, size)| Case::new(seed, &[1, 33, 5], 6, pages(2, size, [1, 16, 5][size % 3])))
        .collect();
    cases.push(Case::new(20, &[0, 0], 3, pages(1, 8, 4)));
    let long = |seed| Case::new(seed, &[31, 32, 33, 64, 65, 200, 700], 40, pages(2, 24, 16));
    cases.push(long(21));
    cases.extend([1, 31, 32, 50, 1000].map(|window| long(22).windowed(window)));
    cases.push(long(23).capped(1.5));
    cases.push(long(24).with_sinks(25));
    cases.push(Case::new(26, &[0, 3], 6, pages(2, 17, 4)).with_sinks(27));
    cases.push(long(28).windowed(40).capped(2.0).with_sinks(29));
    cases
}

#[test]
fn every_body_follows_the_formula() {
    for (number, case) in cases().iter().enumerate() {
        let expected = case.expected();
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in ATTENTION.bodies_here() {
            let context = format!("{isa}, case {number}, {:?}", case.pages);
            let y = case.run(body);
            assert_near(&y, &expected, (1e-5, 1e-5), &context);
            if isa > Isa::Scalar {
                assert_same_bits(&y, vector.get_or_insert_with(|| y.clone()), &context);
            }
        }
    }
}

#[test]
fn a_row_is_the_same_alone_in_company_and_in_blocks_of_another_size() {
    let lengths = [33, 1, 70, 200];
    let case = |block_size| Case::new(5, &lengths, 4, Pages { n_key_heads: 2, head_size: 40, block_size });
    for case_16 in [case(16), case(16).windowed(37).capped(2.0).with_sinks(7)] {
        same_in_company(&case_16);
    }
}

fn same_in_company(case_16: &Case) {
    for (isa, body) in ATTENTION.bodies_here() {
        let together = case_16.run(body);
        for (index, row) in case_16.rows.iter().enumerate() {
            let range = index * 160..(index + 1) * 160;
            let mut alone = vec![0.0; 160];
            let query = &case_16.queries[range.clone()];
            attention_with(body, query, &case_16.cache(), &[*row], case_16.scoring(), &mut alone);
            assert_same_bits(&alone, &together[range], &format!("{isa} row {index}"));
        }
        for n_threads in [1, 2, 3, 5] {
            pool::set_active_threads(n_threads);
            assert_same_bits(&case_16.run(body), &together, &format!("{isa} {n_threads} threads"));
        }
    }
    pool::set_active_threads(2);
}

#[test]
fn large_scores_stay_within_the_promised_error() {
    for (seed, size, factor) in [(40, 128, 4.5), (41, 128, 4.5), (42, 64, 6.5)] {
        let mut case = prompt(seed, [6, size], 1000);
        case.queries.iter_mut().for_each(|query| *query *= factor);
        let (keys, values) = &case.plain[0];
        let score =
            |(query, key): (&[f32], &[f32])| 0.3 * query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>();
        let heads = case.queries.chunks(size);
        let greatest = heads.flat_map(|query| keys.chunks(size).map(move |key| score((query, key))));
        let greatest = greatest.fold(0.0, f32::max);
        assert!((65.0..85.0).contains(&greatest), "the case is what it says: {greatest}");
        let largest = values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        let expected = case.expected();
        for (isa, body) in ATTENTION.bodies_here() {
            let wrong =
                case.run(body).iter().zip(&expected).fold(0.0, |wrong: f32, (y, e)| wrong.max((y - e).abs()));
            assert!(wrong <= 1e-5 * largest, "{isa}, heads of {size}: {:e} of the largest", wrong / largest);
        }
    }
}

/// A prompt of one sequence: row t sees the tokens up to t, of a window the last `window`.
fn prompt(seed: u64, [n_heads, head_size]: [usize; 2], window: usize) -> Case {
    const LENGTH: usize = 130;
    let mut case = Case::new(seed, &[LENGTH], n_heads, Pages { n_key_heads: 2, head_size, block_size: 16 });
    let table_start = case.rows[0].table_start;
    case.rows = (1..=LENGTH).map(|n_visible| Row { table_start, first_visible: 0, n_visible }).collect();
    case.queries = normal(&mut Rng::new(seed + 100), LENGTH * n_heads * head_size);
    assert_eq!(stretches(&case.rows, 2)[0], 0..ROWS_AT_ONCE, "rows go together");
    case.windowed(window)
}

/// Rows of a prompt go in stretches of sixteen, with several queries at once; generated rows come one by one.
#[test]
fn a_row_of_a_prompt_is_the_same_alone() {
    for (seed, head_size) in (1..).zip([8, 64, 80, 128]) {
        for (n_heads, window) in [(2, 1000), (6, 1000), (2, 16), (14, 37)] {
            let case = prompt(seed, [n_heads, head_size], window);
            prompt_as_alone(&case, [(&case.keys).into(), (&case.values).into()]);
            in_fewer_bits(&case, &|pools| prompt_as_alone(&case, pools));
        }
    }
}

fn prompt_as_alone(case: &Case, pools: [Weights<'_>; 2]) {
    let size = case.n_heads * case.pages.head_size;
    for (isa, body) in ATTENTION.bodies_here() {
        let together = case.run_rows(body, pools, 0..case.rows.len());
        // So every place in a stretch comes up.
        for row in (0..case.rows.len()).step_by(3) {
            let alone = case.run_rows(body, pools, row..row + 1);
            let context = format!("{isa} row {row} of {:?}, {} heads", case.pages, case.n_heads);
            assert_same_bits(&alone, &together[row * size..(row + 1) * size], &context);
        }
    }
}

#[test]
fn what_a_row_does_not_see_has_no_part_in_it() {
    const TOKEN: usize = 70;
    for (n_heads, window) in [(2, 1000), (2, 20), (6, 1000), (6, 20)] {
        let clean = prompt(9, [n_heads, 24], window);
        // Keys that are NaN, and values that are NaN or infinite.
        for (of_values, awkward) in [(0, f32::NAN), (1, f32::NAN), (1, f32::INFINITY)] {
            let mut case = prompt(9, [n_heads, 24], window);
            let block = case.tables[case.rows[0].table_start + TOKEN / 16];
            let slot = [block * 16 + TOKEN as u32 % 16];
            let pool = [&mut case.keys, &mut case.values].into_iter().nth(of_values).unwrap();
            crate::kv::kv_write(&[awkward; 48], &slot, &mut Kept::F32(pool), case.pages);
            seen_or_not(&case, &clean, TOKEN);
        }
    }
}

/// The rows that see `token` are not finite, the others are as in `clean`.
fn seen_or_not(case: &Case, clean: &Case, token: usize) {
    let size = case.n_heads * case.pages.head_size;
    for (isa, body) in ATTENTION.bodies_here() {
        let (y, expected) = (case.run(body), clean.run(body));
        for (row, (y, expected)) in case.rows.iter().zip(y.chunks(size).zip(expected.chunks(size))) {
            let context = format!("{isa} {row:?}");
            if (row.first_visible..row.n_visible).contains(&token) {
                assert!(y.iter().all(|y| !y.is_finite()), "{context}");
            } else {
                assert!(y.iter().all(|y| y.is_finite()), "{context}");
                assert_same_bits(y, expected, &context);
            }
        }
    }
}

#[test]
fn the_block_size_and_the_blocks_do_not_matter() {
    let pages = |block_size| Pages { n_key_heads: 1, head_size: 12, block_size };
    let mut rng = Rng::new(6);
    let (keys, values) = (normal(&mut rng, 96 * 12), normal(&mut rng, 96 * 12));
    let queries = normal(&mut rng, 24);
    let row = Row { table_start: 0, first_visible: 0, n_visible: 90 };
    for (isa, body) in ATTENTION.bodies_here() {
        let mut first: Option<Vec<f32>> = None;
        for block_size in [1, 3, 16, 48, 96] {
            let tables: Vec<u32> = (0..96 / block_size as u32).collect();
            let (keys, values) = ((&keys).into(), (&values).into());
            let cache = Cache { keys, values, tables: &tables, pages: pages(block_size) };
            let mut y = vec![0.0; 24];
            attention_with(body, &queries, &cache, &[row], Scoring::scaled(0.5), &mut y);
            assert_same_bits(
                &y,
                first.get_or_insert_with(|| y.clone()),
                &format!("{isa} blocks of {block_size}"),
            );
        }
    }
}

#[test]
fn scores_that_are_not_finite_do_what_the_contract_says() {
    let pages = Pages { n_key_heads: 1, head_size: 2, block_size: 4 };
    let values = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0];
    let row = [Row { table_start: 0, first_visible: 0, n_visible: 4 }];
    let inf = f32::INFINITY;
    for (isa, body) in ATTENTION.bodies_here() {
        for (first_keys, expected) in [
            ([-inf, -inf, 0.0, 0.0], [3.5, 35.0]),
            ([0.0, 0.0, -inf, -inf], [1.5, 15.0]),
            ([-inf; 4], [0.0, 0.0]),
            ([0.0, inf, 0.0, 0.0], [f32::NAN; 2]),
            ([0.0, 0.0, f32::NAN, 0.0], [f32::NAN; 2]),
        ] {
            let keys: Vec<f32> = first_keys.iter().flat_map(|key| [*key, 0.0]).collect();
            let (keys, values) = ((&keys).into(), values[..].into());
            let cache = Cache { keys, values, tables: &[0], pages };
            let mut y = [7.0; 2];
            attention_with(body, &[1.0, 0.5], &cache, &row, Scoring::scaled(1.0), &mut y);
            assert_near(&y, &expected, (1e-6, 0.0), &format!("{isa}, keys {first_keys:?}"));
        }
    }
}

/// Keys and values in fewer bits give the very bits that their widened numbers give.
#[test]
fn what_is_kept_in_fewer_bits_is_widened_and_then_the_same() {
    for (seed, size) in [(1, 64), (2, 96), (3, 32), (4, 40)] {
        let pages = Pages { n_key_heads: 2, head_size: size, block_size: 16 };
        let case = Case::new(seed, &[1, 33, 200], 8, pages).windowed(90);
        in_fewer_bits(&case, &|pools| check_kept(&case, pools));
    }
}

/// Calls `check` with both pools in halves and, where heads are whole numbers of them, in blocks.
fn in_fewer_bits(case: &Case, check: &dyn Fn([Weights<'_>; 2])) {
    let n = case.keys.len();
    // Nothing is read that no row sees; in blocks it cannot be NaN alone.
    let pools = [&case.keys, &case.values];
    let pools =
        pools.map(|pool| pool.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect::<Vec<f32>>());
    let halves =
        pools.each_ref().map(|pool| pool.iter().map(|x| crate::product::to_f16(*x)).collect::<Vec<u16>>());
    check(halves.each_ref().map(|bits| Weights::F16(bits)));
    for kind in [&Q8_0, &Q4_0].into_iter().filter(|_| case.pages.head_size.is_multiple_of(32)) {
        let blocks = pools.each_ref().map(|pool| {
            let mut bytes = vec![0; kind.size_bytes(n).unwrap()];
            kind.quantise(pool, &mut bytes);
            bytes
        });
        check(blocks.each_ref().map(|bytes| Weights::Blocks(Blocks::new(kind, bytes))));
    }
}

fn check_kept(case: &Case, pools: [Weights<'_>; 2]) {
    let widened = pools.map(|kept| {
        let mut all = vec![0.0; kept.len()];
        kept.widen(0..all.len(), &mut all);
        all
    });
    for (isa, body) in ATTENTION.bodies_here() {
        let rows = 0..case.rows.len();
        let expected = case.run_rows(body, widened.each_ref().map(|pool| pool.into()), rows.clone());
        let context = format!("{isa}, {:.0?}", pools[0]).chars().take(40).collect::<String>();
        assert_same_bits(&case.run_rows(body, pools, rows), &expected, &context);
    }
}

#[test]
#[should_panic(expected = "no such block")]
fn a_block_beyond_the_pool_is_a_bug() {
    let pages = Pages { n_key_heads: 1, head_size: 2, block_size: 2 };
    let zeros = [0.0; 8][..].into();
    let cache = Cache { keys: zeros, values: zeros, tables: &[0, 2], pages };
    let row = Row { table_start: 0, first_visible: 0, n_visible: 3 };
    attention(&[0.0; 2], &cache, &[row], Scoring::scaled(1.0), &mut [0.0; 2]);
}
