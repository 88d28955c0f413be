//! Attention over paged keys and values: `y = softmax(scale · q · Kᵀ) · V` for each row and head, over the tokens that
//! the row sees, with grouped heads.
//!
//! Does not write keys and values ([`crate::kv`]), rotate them ([`crate::rope`]) or know sequences: a row names its
//! block table and how many tokens it sees (its position + 1 where it is causal). Source: M. Milakov and N. Gimelshein,
//! "Online normalizer calculation for softmax" (2018); W. Kwon and others, "Efficient Memory Management for Large
//! Language Model Serving with PagedAttention" (2023).
//!
//! A row walks its tokens in order, in groups of [`TOKENS_AT_ONCE`] from its first token, so its bits depend on its
//! query and the tokens that it sees: not on the other rows, the threads, the block size or where blocks lie. A score
//! of minus infinity counts nothing; NaN or plus infinity makes its head NaN; a row that sees nothing gives zeros.
//! Largest error against exact arithmetic: 1e-5 of the largest value seen, for scores up to 80.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

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
    /// Keys, [blocks, K, block size, d].
    pub keys: &'a [f32],
    /// Values, [blocks, K, block size, d].
    pub values: &'a [f32],
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
    /// How many tokens of its sequence the row sees, from the first.
    pub n_visible: usize,
}

impl Row {
    fn table(&self, block_size: usize) -> Range<usize> {
        self.table_start..self.table_start.saturating_add(self.n_visible.div_ceil(block_size))
    }
}

/// One key-value head of the cache, as one sequence sees it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    table: &'a [u32],
    head: usize,
    pages: Pages,
    n_visible: usize,
}

impl View<'_> {
    /// Where the tokens from `start` on stand in both pools; fills `places`.
    #[inline(always)]
    fn places(&self, start: usize, places: &mut [usize]) {
        let Pages { n_key_heads, head_size, block_size } = self.pages;
        let (mut block, mut skipped, mut places) = (start / block_size, start % block_size, places);
        while !places.is_empty() {
            let (here, rest) = places.split_at_mut((block_size - skipped).min(places.len()));
            let first = (self.table[block] as usize * n_key_heads + self.head) * block_size + skipped;
            here.iter_mut().zip(first..).for_each(|(place, token)| *place = token * head_size);
            (block, skipped, places) = (block + 1, 0, rest);
        }
    }
}

/// Attention of a group of query heads over their key-value head: queries [G, d], scale, y [G, d].
pub type Body = unsafe fn(View<'_>, &[f32], f32, &mut [f32]);

/// The bodies for one row and one group of heads.
pub static ATTENTION: Kernel<Body> = Kernel::new(
    "attention",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, x86::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, x86::avx512),
    ],
);

/// How many tokens' scores are taken together.
pub const TOKENS_AT_ONCE: usize = 32;

/// Multiply-adds that one task makes at least.
const WORK_PER_TASK: usize = 128 * 1024;

/// Attention of every row and head.
///
/// # Shapes
/// q [R, H, d], rows [R], y [R, H, d], with H a multiple of K; query head h reads key-value head h / (H/K).
///
/// # Panics
/// When the lengths do not fit together, a table or a block lies outside its slice, or the scale is not positive.
pub fn attention(q: &[f32], cache: &Cache<'_>, rows: &[Row], scale: f32, y: &mut [f32]) {
    attention_with(ATTENTION.body(), q, cache, rows, scale, y);
}

fn attention_with(body: Body, q: &[f32], cache: &Cache<'_>, rows: &[Row], scale: f32, y: &mut [f32]) {
    assert_eq!(q.len(), y.len(), "attention: q and y differ in length");
    assert!(scale > 0.0, "attention: scale {scale}");
    if y.is_empty() {
        return;
    }
    check(q.len(), cache, rows);
    let pages = cache.pages;
    let group_size = q.len() / rows.len() / pages.n_key_heads;
    let n_visible: usize = rows.iter().map(|row| row.n_visible).sum();
    let work = (n_visible / rows.len()).max(1) * group_size * 2;
    let output = Disjoint::new(y);
    pool::run_ranges(rows.len() * pages.n_key_heads, WORK_PER_TASK.div_ceil(work), &|tasks| {
        for task in tasks {
            let (row, head) = (rows[task / pages.n_key_heads], task % pages.n_key_heads);
            let table = &cache.tables[row.table(pages.block_size)];
            let (keys, values) = (cache.keys, cache.values);
            let view = View { keys, values, table, head, pages, n_visible: row.n_visible };
            let range = task * group_size..(task + 1) * group_size;
            // SAFETY: groups of heads do not overlap; the table holds only bodies that this machine can run; `check`
            // has seen that every block lies inside both pools.
            unsafe { body(view, &q[range.clone()], scale, output.part(range)) };
        }
    });
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

fn scalar(view: View<'_>, queries: &[f32], scale: f32, y: &mut [f32]) {
    let size = view.pages.head_size;
    for (query, y) in queries.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
        let (mut greatest, mut sum) = (f32::NEG_INFINITY, 0.0);
        y.fill(0.0);
        for token in 0..view.n_visible {
            let mut place = [0];
            view.places(token, &mut place);
            let [place] = place;
            let key = &view.keys[place..place + size];
            let score = scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>();
            let before = greatest;
            greatest = greatest.max(score);
            let shift = finite_shift(greatest);
            let (keep, weight) = ((before - shift).exp(), (score - shift).exp());
            sum = sum * keep + weight;
            for (y, value) in y.iter_mut().zip(&view.values[place..place + size]) {
                *y = *y * keep + weight * value;
            }
        }
        finish(y, sum);
    }
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{TOKENS_AT_ONCE, View, finish, finite_shift};
    use crate::lanes::{Avx2, Avx512, LANES, Lanes, exp, load_up_to, store_up_to};

    /// Heads whose running maxima and sums are kept beside one another.
    const HEADS_AT_ONCE: usize = 16;

    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(view: View<'_>, queries: &[f32], scale: f32, y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the pools.
        unsafe { body::<Avx2, 4>(view, queries, scale, y) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(view: View<'_>, queries: &[f32], scale: f32, y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512, 8>(view, queries, scale, y) }
    }

    #[inline(always)]
    unsafe fn body<V: Lanes, const CHAINS: usize>(
        view: View<'_>,
        queries: &[f32],
        scale: f32,
        y: &mut [f32],
    ) {
        let stretch = view.pages.head_size * HEADS_AT_ONCE;
        for (queries, y) in queries.chunks(stretch).zip(y.chunks_mut(stretch)) {
            // SAFETY: the caller's promises.
            unsafe { heads::<V, CHAINS>(view, queries, scale, y) };
        }
    }

    /// Up to sixteen heads, so that a group of tokens is read from the caches once for all of them.
    #[inline(always)]
    unsafe fn heads<V: Lanes, const CHAINS: usize>(
        view: View<'_>,
        queries: &[f32],
        scale: f32,
        y: &mut [f32],
    ) {
        let size = view.pages.head_size;
        let mut greatest = [f32::NEG_INFINITY; HEADS_AT_ONCE];
        let mut sums = [0.0; HEADS_AT_ONCE];
        y.fill(0.0);
        for start in (0..view.n_visible).step_by(TOKENS_AT_ONCE) {
            let n_tokens = TOKENS_AT_ONCE.min(view.n_visible - start);
            let mut places = [0; TOKENS_AT_ONCE];
            let places = &mut places[..n_tokens];
            view.places(start, places);
            for (head, (query, y)) in queries.chunks_exact(size).zip(y.chunks_exact_mut(size)).enumerate() {
                // SAFETY: the places were taken from blocks that the wrapper has checked.
                unsafe {
                    let mut weights = scores::<V>(view.keys, places, query, scale);
                    let keep = weigh::<V>(&mut weights, &mut greatest[head], &mut sums[head]);
                    accumulate::<V, CHAINS>(view.values, places, &weights, keep, y);
                }
            }
        }
        for (sum, y) in sums.into_iter().zip(y.chunks_exact_mut(size)) {
            finish(y, sum);
        }
    }

    /// The scaled scores of some tokens; minus infinity behind them.
    #[inline(always)]
    unsafe fn scores<V: Lanes>(
        keys: &[f32],
        places: &[usize],
        query: &[f32],
        scale: f32,
    ) -> [f32; TOKENS_AT_ONCE] {
        let mut scores = [f32::NEG_INFINITY; TOKENS_AT_ONCE];
        // SAFETY: as many elements as the query has stand at every place.
        unsafe {
            let mut fours = places.chunks_exact(4);
            let mut to = scores.as_mut_ptr();
            for four in &mut fours {
                let [a, b, c, d] = std::array::from_fn(|i| keys.as_ptr().add(four[i]));
                V::store_sums(dots::<V, 4>(query, [a, b, c, d]), to);
                to = to.add(4);
            }
            for place in fours.remainder() {
                *to = dots::<V, 1>(query, [keys.as_ptr().add(*place)])[0].sum();
                to = to.add(1);
            }
        }
        // Behind the tokens this stays minus infinity: the scale is checked to be positive.
        scores.iter_mut().for_each(|score| *score *= scale);
        scores
    }

    /// The products of a query with N keys, not yet added up across lanes.
    #[inline(always)]
    unsafe fn dots<V: Lanes, const N: usize>(query: &[f32], keys: [*const f32; N]) -> [V; N] {
        let (size, query) = (query.len(), query.as_ptr());
        let whole = size - size % LANES;
        // SAFETY: `size` elements stand at every key.
        unsafe {
            let mut sums = [V::splat(0.0); N];
            for start in (0..whole).step_by(LANES) {
                let q = V::load(query.add(start));
                for i in 0..N {
                    sums[i] = q.mul_add(V::load(keys[i].add(start)), sums[i]);
                }
            }
            if whole < size {
                let q = V::load_first(query.add(whole), size - whole);
                for i in 0..N {
                    sums[i] = q.mul_add(V::load_first(keys[i].add(whole), size - whole), sums[i]);
                }
            }
            sums
        }
    }

    /// Turns scores into weights; returns by how much everything before is scaled down.
    #[inline(always)]
    unsafe fn weigh<V: Lanes>(scores: &mut [f32; TOKENS_AT_ONCE], greatest: &mut f32, sum: &mut f32) -> f32 {
        // SAFETY: the scores are two groups of sixteen.
        unsafe {
            let to = scores.as_mut_ptr();
            let (low, high) = (V::load(to), V::load(to.add(LANES)));
            let before = *greatest;
            // NaN loses here and shows again in the weights.
            let least = V::splat(f32::NEG_INFINITY);
            *greatest = before.max(high.max(low.max(least)).greatest());
            let shift = finite_shift(*greatest);
            let (low, high) = (exp(low.sub(V::splat(shift))), exp(high.sub(V::splat(shift))));
            low.store(to);
            high.store(to.add(LANES));
            let keep = exp(V::splat(before - shift)).greatest();
            *sum = *sum * keep + low.add(high).sum();
            keep
        }
    }

    /// `y = y · keep + Σ weight · value`, one chain over the tokens for each element.
    #[inline(always)]
    unsafe fn accumulate<V: Lanes, const CHAINS: usize>(
        values: &[f32],
        places: &[usize],
        weights: &[f32; TOKENS_AT_ONCE],
        keep: f32,
        y: &mut [f32],
    ) {
        let size = y.len();
        let whole = size - size % LANES;
        // SAFETY: `size` elements stand at every place, and no lane goes beyond.
        unsafe {
            let mut start = 0;
            while start + CHAINS * LANES <= whole {
                chains::<V, CHAINS>(
                    values.as_ptr().add(start),
                    places,
                    weights,
                    keep,
                    y.as_mut_ptr().add(start),
                );
                start += CHAINS * LANES;
            }
            while start + 4 * LANES <= whole {
                chains::<V, 4>(values.as_ptr().add(start), places, weights, keep, y.as_mut_ptr().add(start));
                start += 4 * LANES;
            }
            while start < size {
                let mut sum = load_up_to::<V, f32>(y.as_ptr(), start, size).mul(V::splat(keep));
                for (place, weight) in places.iter().zip(weights) {
                    let value: V = load_up_to(values.as_ptr().add(*place), start, size);
                    sum = V::splat(*weight).mul_add(value, sum);
                }
                store_up_to(sum, y.as_mut_ptr(), start, size);
                start += LANES;
            }
        }
    }

    /// [`accumulate`] for N vectors of a head side by side.
    #[inline(always)]
    unsafe fn chains<V: Lanes, const N: usize>(
        values: *const f32,
        places: &[usize],
        weights: &[f32; TOKENS_AT_ONCE],
        keep: f32,
        y: *mut f32,
    ) {
        // SAFETY: N vectors stand at every place and at `y`.
        unsafe {
            let mut sums = [V::splat(0.0); N];
            for i in 0..N {
                sums[i] = V::load(y.add(i * LANES)).mul(V::splat(keep));
            }
            for (place, weight) in places.iter().zip(weights) {
                let (value, weight) = (values.add(*place), V::splat(*weight));
                for i in 0..N {
                    sums[i] = weight.mul_add(V::load(value.add(i * LANES)), sums[i]);
                }
            }
            for i in 0..N {
                sums[i].store(y.add(i * LANES));
            }
        }
    }
}

#[cfg(test)]
mod tests;
