//! Attention over paged keys and values: `y = softmax(scale · q · Kᵀ) · V` for each row and head, over the
//! tokens that the row sees, with grouped heads.
//!
//! Does not write keys and values ([`crate::kv`]), rotate them ([`crate::rope`]) or know sequences: a row
//! names its block table, the first token that it sees and how many there are up to its last (its position + 1
//! where it is causal). Source: M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax"
//! (2018); W. Kwon and others, "Efficient Memory Management for Large Language Model Serving with
//! PagedAttention" (2023). Of what [`Scoring`] adds: I. Bello and others, "Neural Combinatorial Optimization
//! with Reinforcement Learning" (2016), for the soft cap `cap · tanh(score / cap)`; G. Xiao and others,
//! "Efficient Streaming Language Models with Attention Sinks" (2023), for a score that takes weight and gives
//! no value.
//!
//! A row walks its tokens in order, in groups of [`TOKENS_AT_ONCE`] from its sequence's first token. A score is one chain
//! over the elements of its key, 0, 1, 2, …, and an element of y one chain over the tokens, in fused multiply-adds (the
//! scalar body rounds twice); the weights of a group are added up over one tree. So a row's bits depend on its query and
//! the tokens that it sees: not on the other rows, the threads, the block size or where blocks lie. What a row does not
//! see has no part in it, not even NaN. A score of minus infinity counts nothing, and so does a weight below 2⁻¹²⁶ of
//! the greatest; NaN or plus infinity makes its head NaN (under a soft cap an infinite score is the cap); a row that sees
//! nothing gives zeros. Largest error against exact arithmetic over the same keys and values: 1e-5 of the largest value
//! seen, for scores up to 80. What is kept in fewer bits is widened exactly, a group of tokens at a time, and then meets
//! the same arithmetic.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;
use crate::product::Weights;

/// How a pool of pages is laid out: [blocks, K, block size, d], for keys and for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// Key-value heads (K).
    pub n_key_heads: usize,
    /// Elements of a head (d).
    pub head_size: usize,
    /// Tokens in a block.
    pub block_size: usize,
}

impl Pages {
    /// How many blocks a pool of `n_elements` holds.
    ///
    /// # Panics
    /// When that is not a whole number.
    pub fn n_blocks(&self, n_elements: usize) -> usize {
        let block = self.n_key_heads * self.head_size * self.block_size;
        assert!(
            block > 0 && n_elements.is_multiple_of(block),
            "pages: {n_elements} elements in blocks of {block}"
        );
        n_elements / block
    }
}

/// The pools, and the block tables of all sequences one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Cache<'a> {
    /// Keys, [blocks, K, block size, d]; in quantised blocks only where d is a whole number of them.
    pub keys: Weights<'a>,
    /// Values, [blocks, K, block size, d]; as keys.
    pub values: Weights<'a>,
    /// Block numbers.
    pub tables: &'a [u32],
    /// The layout of both pools.
    pub pages: Pages,
}

/// What one row sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where the block table of the row's sequence starts in [`Cache::tables`].
    pub table_start: usize,
    /// The first token of its sequence that the row sees.
    pub first_visible: usize,
    /// How many tokens of its sequence there are up to the last that the row sees.
    pub n_visible: usize,
}

/// How scores are made.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// By what the products of queries and keys are multiplied; positive.
    pub scale: f32,
    /// What no score's magnitude goes beyond: `cap · tanh(score / cap)`; positive.
    pub soft_cap: Option<f32>,
    /// A score for each query head that belongs to no token, `[H]`; empty where there is none.
    pub sinks: &'a [f32],
}

impl Scoring<'_> {
    /// Scores that are only scaled.
    pub fn scaled(scale: f32) -> Self {
        Self { scale, soft_cap: None, sinks: &[] }
    }

    /// What the online softmax of a head begins with: the greatest score so far, and the sum of weights.
    #[inline(always)]
    fn beginning(&self, head: usize) -> (f32, f32) {
        match self.sinks.get(head) {
            Some(sink) if *sink != f32::NEG_INFINITY => (*sink, 1.0),
            _ => (f32::NEG_INFINITY, 0.0),
        }
    }

    fn check(&self, n_heads: usize) {
        assert!(self.scale > 0.0, "attention: scale {}", self.scale);
        assert!(self.soft_cap.is_none_or(|cap| cap > 0.0), "attention: soft cap {:?}", self.soft_cap);
        let n_sinks = self.sinks.len();
        assert!(n_sinks == 0 || n_sinks == n_heads, "attention: {n_sinks} sinks for {n_heads} heads");
    }
}

impl Row {
    fn table(&self, block_size: usize) -> Range<usize> {
        self.table_start..self.table_start.saturating_add(self.n_visible.div_ceil(block_size))
    }
}

/// Some rows of one sequence over one key-value head of the cache: what one task computes.
pub struct Stretch<'a> {
    cache: &'a Cache<'a>,
    table: &'a [u32],
    head: usize,
    rows: &'a [Row],
    /// The rows' queries, [R, H, d], of which the head's group is taken.
    queries: &'a [f32],
    /// Where the results of the rows go, [R, H, d].
    y: Disjoint<'a, f32>,
    /// Where in `y` the first of the rows starts.
    y_start: usize,
    scoring: Scoring<'a>,
}

impl<'a> Stretch<'a> {
    /// Where the tokens from `start` on stand in both pools; fills `places`.
    #[inline(always)]
    fn places(&self, start: usize, places: &mut [usize]) {
        let Pages { n_key_heads, head_size, block_size } = self.cache.pages;
        let (mut block, mut skipped, mut places) = (start / block_size, start % block_size, places);
        while !places.is_empty() {
            let (here, rest) = places.split_at_mut((block_size - skipped).min(places.len()));
            let first = (self.table[block] as usize * n_key_heads + self.head) * block_size + skipped;
            here.iter_mut().zip(first..).for_each(|(place, token)| *place = token * head_size);
            (block, skipped, places) = (block + 1, 0, rest);
        }
    }

    /// The first query head that shares the key-value head.
    #[inline(always)]
    fn first_head(&self) -> usize {
        self.row_size() / self.cache.pages.head_size / self.cache.pages.n_key_heads * self.head
    }

    /// Elements of a row, of all heads.
    fn row_size(&self) -> usize {
        self.queries.len() / self.rows.len()
    }

    /// The queries of row `row` that share the key-value head, and where their results go, [G, d] each.
    ///
    /// # Safety
    /// No other part of these results is in use.
    #[inline(always)]
    unsafe fn group(&self, row: usize) -> (&'a [f32], &'a mut [f32]) {
        let group = self.row_size() / self.cache.pages.n_key_heads;
        let start = row * self.row_size() + self.head * group;
        let to = self.y_start + start;
        // SAFETY: a row and a head belong to one task only.
        (&self.queries[start..start + group], unsafe { self.y.part(to..to + group) })
    }
}

/// Attention of a stretch of rows for the query heads of one key-value head.
pub type Body = unsafe fn(&Stretch<'_>);

/// The bodies for a stretch of rows and one group of heads.
pub static ATTENTION: Kernel<Body> = Kernel::new(
    "attention",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::body::<crate::lanes::Neon, 2, 2, 4>),
    ],
);

/// How many tokens' scores are taken together.
pub const TOKENS_AT_ONCE: usize = 32;

/// Rows of one sequence that a task takes at most: they read each group of tokens from the first cache.
const ROWS_AT_ONCE: usize = 16;

/// Tasks wanted, so that threads end together.
const TASKS_WANTED: usize = 16;

/// Multiply-adds below which a call is not worth sharing: about 10 µs of one core.
const SMALL: usize = 256 * 1024;

/// Attention of every row and head.
///
/// # Shapes
/// `q [R, H, d]`, `rows [R]`, `y [R, H, d]`, with H a multiple of K; query head h reads key-value head h /
/// (H/K).
///
/// # Panics
/// When the lengths do not fit together, a table or a block lies outside its slice, or the scale or a soft cap is
/// not positive.
pub fn attention(q: &[f32], cache: &Cache<'_>, rows: &[Row], scoring: Scoring<'_>, y: &mut [f32]) {
    attention_with(ATTENTION.body(), q, cache, rows, scoring, y);
}

fn attention_with(
    body: Body,
    q: &[f32],
    cache: &Cache<'_>,
    rows: &[Row],
    scoring: Scoring<'_>,
    y: &mut [f32],
) {
    assert_eq!(q.len(), y.len(), "attention: q and y differ in length");
    if y.is_empty() {
        return;
    }
    check(q.len(), cache, rows);
    scoring.check(q.len() / rows.len() / cache.pages.head_size);
    let n_key_heads = cache.pages.n_key_heads;
    let row_size = q.len() / rows.len();
    let stretches = stretches(rows, n_key_heads);
    let output = Disjoint::new(y);
    let n_visible: usize = rows.iter().map(|row| row.n_visible.saturating_sub(row.first_visible)).sum();
    let n_tasks = stretches.len() * n_key_heads;
    let grain = if 2 * n_visible * row_size < SMALL { n_tasks } else { 1 };
    pool::run_ranges(n_tasks, grain, &|tasks| {
        for task in tasks {
            let range = stretches[task / n_key_heads].clone();
            let elements = range.start * row_size..range.end * row_size;
            let longest = rows[range.clone()].iter().max_by_key(|row| row.n_visible);
            let longest = longest.expect("a stretch has rows");
            let stretch = Stretch {
                cache,
                table: &cache.tables[longest.table(cache.pages.block_size)],
                head: task % n_key_heads,
                rows: &rows[range],
                queries: &q[elements.clone()],
                y: output,
                y_start: elements.start,
                scoring,
            };
            // SAFETY: stretches and heads do not overlap; the table holds only bodies that this machine can
            // run; `check` has seen that every block lies inside both pools.
            unsafe { body(&stretch) };
        }
    });
}

/// Cuts rows into stretches of one sequence each.
fn stretches(rows: &[Row], n_key_heads: usize) -> Vec<Range<usize>> {
    let most = (rows.len() * n_key_heads / TASKS_WANTED).clamp(1, ROWS_AT_ONCE);
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match stretches.last_mut() {
            Some(last) if last.len() < most && rows[last.start].table_start == row.table_start => {
                last.end += 1
            }
            _ => stretches.push(index..index + 1),
        }
    }
    stretches
}

fn check(n_queries: usize, cache: &Cache<'_>, rows: &[Row]) {
    let pages = cache.pages;
    assert_eq!(cache.keys.len(), cache.values.len(), "attention: keys and values differ in length");
    let n_blocks = pages.n_blocks(cache.keys.len());
    let unit = rows.len() * pages.n_key_heads * pages.head_size;
    assert!(
        unit > 0 && n_queries.is_multiple_of(unit),
        "attention: {n_queries} queries for {} rows of {pages:?}",
        rows.len()
    );
    // Rows of one sequence follow one another and see ever more, so each table is looked at about once.
    let mut seen: Range<usize> = 0..0;
    for row in rows {
        let table = row.table(pages.block_size);
        assert!(table.end <= cache.tables.len(), "attention: table {table:?} of {}", cache.tables.len());
        let unseen =
            if table.start == seen.start { seen.end.min(table.end)..table.end } else { table.clone() };
        let wrong = cache.tables[unseen].iter().find(|block| **block as usize >= n_blocks);
        assert_eq!(wrong, None, "attention: no such block among {n_blocks}");
        seen = if table.start == seen.start { seen.start..seen.end.max(table.end) } else { table };
    }
}

fn scalar(stretch: &Stretch<'_>) {
    let size = stretch.cache.pages.head_size;
    for (index, row) in stretch.rows.iter().enumerate() {
        // SAFETY: the row and the head are this task's alone.
        let (queries, y) = unsafe { stretch.group(index) };
        let heads = queries.chunks_exact(size).zip(y.chunks_exact_mut(size));
        for ((query, y), head) in heads.zip(stretch.first_head()..) {
            scalar_head(stretch, row.first_visible..row.n_visible, head, (query, y));
        }
    }
}

fn scalar_head(stretch: &Stretch<'_>, visible: Range<usize>, head: usize, (query, y): (&[f32], &mut [f32])) {
    let scoring = stretch.scoring;
    let (mut greatest, mut sum) = scoring.beginning(head);
    let mut row = vec![0.0; query.len()];
    y.fill(0.0);
    for token in visible {
        let mut place = [0];
        stretch.places(token, &mut place);
        let elements = place[0]..place[0] + query.len();
        stretch.cache.keys.widen(elements.clone(), &mut row);
        let score = scoring.scale * query.iter().zip(&row).map(|(q, k)| q * k).sum::<f32>();
        let score = scoring.soft_cap.map_or(score, |cap| cap * (score / cap).tanh());
        let before = greatest;
        greatest = greatest.max(score);
        let shift = finite_shift(greatest);
        let (keep, weight) = ((before - shift).exp(), (score - shift).exp());
        sum = sum * keep + weight;
        stretch.cache.values.widen(elements, &mut row);
        for (y, value) in y.iter_mut().zip(&row) {
            *y = *y * keep + weight * value;
        }
    }
    finish(y, sum);
}

/// What is subtracted from scores: their greatest, unless nothing has counted yet.
#[inline(always)]
fn finite_shift(greatest: f32) -> f32 {
    if greatest == f32::NEG_INFINITY { 0.0 } else { greatest }
}

/// Divides by the sum of the weights; zeros if nothing counted.
#[inline(always)]
fn finish(y: &mut [f32], sum: f32) {
    let factor = if sum == 0.0 { 0.0 } else { 1.0 / sum };
    y.iter_mut().for_each(|y| *y *= factor);
}

mod group;
mod vector;

#[cfg(test)]
mod tests;
