//! Attention in vector lanes: AVX2, AVX-512 and NEON in the same order of sums.
//!
//! A group of tokens is read once and meets the queries of all rows and heads of a stretch, some at a time: with
//! every element of a key, read once, go as many queries as registers allow, and so with the elements of a value. A
//! score is one chain of fused multiply-adds over d = 0, 1, 2, …, its token one of 32 lanes; an element of y is one
//! chain over the tokens. No chain meets another, so it changes no bit which queries go together.

use std::ops::Range;

use super::group::{Keys, Places, Rows};
use super::{Pages, Scoring, Stretch, TOKENS_AT_ONCE, finish, finite_shift};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Avx2, Avx512};
use crate::lanes::{LANES, Lanes, exp, exp_normal};
use crate::room::Room;

/// Heads of rows that walk the tokens side by side: their queries and results stay in the second cache.
const HEADS_AT_ONCE: usize = 256;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2(stretch: &Stretch<'_>) {
    // SAFETY: this function has the features, its caller the pools.
    unsafe { body::<Avx2, 2, 2, 4>(stretch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
pub unsafe fn avx512(stretch: &Stretch<'_>) {
    // SAFETY: as above.
    unsafe { body::<Avx512, 4, 4, 8>(stretch) }
}

/// `QUERIES` go together, with `VECTORS` vectors of each one's y at once; one alone with `ALONE`.
#[inline(always)]
pub unsafe fn body<V: Lanes, const QUERIES: usize, const VECTORS: usize, const ALONE: usize>(
    stretch: &Stretch<'_>,
) {
    let (cache, size) = (stretch.cache, stretch.cache.pages.head_size);
    let [turned, widened] = Keys::lengths(size);
    let lengths = [turned, widened, widened];
    let mut room = Room::new(lengths);
    let [turned, key_rows, value_rows] = room.split(lengths);
    let mut keys = Keys::new(cache.keys, size, turned, key_rows);
    let mut values = Rows::new(cache.values, size, value_rows);
    // SAFETY: the caller's promises, here and below.
    let mut heads = unsafe { heads(stretch) };
    let mut seeing = Vec::with_capacity(heads.len().min(HEADS_AT_ONCE));
    for heads in heads.chunks_mut(HEADS_AT_ONCE) {
        let earliest = heads.iter().map(|head| head.visible.start).min().unwrap_or(0);
        let longest = heads.iter().map(|head| head.visible.end).max().unwrap_or(0);
        let places_from = |start| {
            (start < longest).then(|| Places::new(stretch, start, TOKENS_AT_ONCE.min(longest - start)))
        };
        let mut start = earliest - earliest % TOKENS_AT_ONCE;
        let mut places = places_from(start);
        while let Some(here) = places {
            places = places_from(start + TOKENS_AT_ONCE);
            let next = places.as_ref().unwrap_or(&here);
            // SAFETY: the places were taken from blocks that the wrapper has checked.
            unsafe {
                keys.read::<V>(&here, next);
                values.read::<V>(&here, next);
                let group = Group { start, keys: &keys, values: &values, scoring: stretch.scoring };
                group.meet_all::<V, QUERIES, VECTORS, ALONE>(heads, &mut seeing);
            }
            start += TOKENS_AT_ONCE;
        }
    }
    heads.iter_mut().for_each(|head| finish(head.y, head.sum));
}

/// A query head of a row, and what has come of it so far.
struct Head<'a> {
    query: &'a [f32],
    y: &'a mut [f32],
    /// The tokens that the row sees.
    visible: Range<usize>,
    greatest: f32,
    sum: f32,
}

impl Head<'_> {
    /// Which tokens of the group that begins with token `start` it sees.
    #[inline(always)]
    fn seen(&self, start: usize) -> Range<usize> {
        let within = |token: usize| token.saturating_sub(start).min(TOKENS_AT_ONCE);
        within(self.visible.start)..within(self.visible.end)
    }
}

/// All heads of all rows of a stretch, before the first token.
///
/// # Safety
/// The stretch's part of y is not in use.
unsafe fn heads<'a>(stretch: &Stretch<'a>) -> Vec<Head<'a>> {
    let Pages { n_key_heads, head_size, .. } = stretch.cache.pages;
    let mut heads = Vec::with_capacity(stretch.queries.len() / n_key_heads / head_size);
    for (index, row) in stretch.rows.iter().enumerate() {
        // SAFETY: the row and the head are this task's alone.
        let (queries, y) = unsafe { stretch.group(index) };
        let parts = queries.chunks_exact(head_size).zip(y.chunks_exact_mut(head_size));
        for ((query, y), head) in parts.zip(stretch.first_head()..) {
            y.fill(0.0);
            let (greatest, sum) = stretch.scoring.beginning(head);
            heads.push(Head { query, y, visible: row.first_visible..row.n_visible, greatest, sum });
        }
    }
    heads
}

/// A group of tokens that has been read.
struct Group<'a> {
    /// The first token.
    start: usize,
    keys: &'a Keys<'a>,
    values: &'a Rows<'a>,
    scoring: Scoring<'a>,
}

impl Group<'_> {
    /// Meets every head that sees something of it, as many at once as can be; `seeing` is room for their numbers.
    ///
    /// # Safety
    /// The heads are of the group's size, and the machine has the instruction set of `V`.
    #[inline(always)]
    unsafe fn meet_all<V: Lanes, const QUERIES: usize, const VECTORS: usize, const ALONE: usize>(
        &self,
        heads: &mut [Head<'_>],
        seeing: &mut Vec<usize>,
    ) {
        seeing.clear();
        seeing.extend((0..heads.len()).filter(|index| !heads[*index].seen(self.start).is_empty()));
        let (most, rest) = seeing.as_chunks::<QUERIES>();
        let (pairs, rest) = rest.as_chunks::<2>();
        // SAFETY: the caller's promises.
        unsafe {
            for some in most {
                self.meet::<V, QUERIES, VECTORS, ALONE>(heads, *some);
            }
            for some in pairs {
                self.meet::<V, 2, VECTORS, ALONE>(heads, *some);
            }
            for one in rest {
                self.meet::<V, 1, ALONE, ALONE>(heads, [*one]);
            }
        }
    }

    /// Takes the group's tokens into N heads. What one of them does not see has no part in it: not even NaN.
    #[inline(always)]
    unsafe fn meet<V: Lanes, const N: usize, const VECTORS: usize, const ALONE: usize>(
        &self,
        heads: &mut [Head<'_>],
        some: [usize; N],
    ) {
        let size = heads[some[0]].query.len();
        let (mut seen, mut queries) = ([const { 0..0 }; N], [std::ptr::null(); N]);
        for i in 0..N {
            let head = &heads[some[i]];
            (seen[i], queries[i]) = (head.seen(self.start), head.query.as_ptr());
        }
        let (values, places) = self.values.read_heads();
        // SAFETY: the caller's promises: `size` elements stand at every place, query and y.
        unsafe {
            let mut scores = scores::<V, N>(self.keys.turned(), queries, size, self.scoring);
            let mut sums = [Weighted { weights: scores[0].as_ptr(), keep: 0.0, y: std::ptr::null_mut() }; N];
            for i in 0..N {
                let head = &mut heads[some[i]];
                scores[i][..seen[i].start].fill(f32::NEG_INFINITY);
                scores[i][seen[i].end..].fill(f32::NEG_INFINITY);
                let keep = weigh::<V>(&mut scores[i], &mut head.greatest, &mut head.sum);
                sums[i] = Weighted { weights: scores[i].as_ptr(), keep, y: head.y.as_mut_ptr() };
            }
            if seen.iter().all(|seen_by_one| *seen_by_one == seen[0]) {
                accumulate::<V, N, VECTORS>(values, places, seen[0].clone(), sums, size);
            } else {
                for (seen, sum) in seen.into_iter().zip(sums) {
                    accumulate::<V, 1, ALONE>(values, places, seen, [sum], size);
                }
            }
        }
    }
}

/// The scaled and capped scores of N queries and a group of turned keys.
#[inline(always)]
unsafe fn scores<V: Lanes, const N: usize>(
    keys: *const f32,
    queries: [*const f32; N],
    size: usize,
    scoring: Scoring<'_>,
) -> [[f32; TOKENS_AT_ONCE]; N] {
    let mut scores = [[0.0; TOKENS_AT_ONCE]; N];
    // SAFETY: every query has `size` elements, and as many times 32 stand at `keys`.
    unsafe {
        let mut sums = [[V::splat(0.0); TOKENS_AT_ONCE / LANES]; N];
        for element in 0..size {
            let keys = keys.add(element * TOKENS_AT_ONCE);
            let (low, high) = (V::load(keys), V::load(keys.add(LANES)));
            for i in 0..N {
                let query = V::splat(*queries[i].add(element));
                sums[i] = [query.mul_add(low, sums[i][0]), query.mul_add(high, sums[i][1])];
            }
        }
        for i in 0..N {
            for half in 0..TOKENS_AT_ONCE / LANES {
                let mut score = sums[i][half].mul(V::splat(scoring.scale));
                if let Some(cap) = scoring.soft_cap {
                    score = soften(score, cap);
                }
                score.store(scores[i].as_mut_ptr().add(half * LANES));
            }
        }
    }
    scores
}

/// `cap · tanh(score / cap)`, with `tanh(x) = 1 − 2 / (e²ˣ + 1)`: wrong by an ULP of the cap at most.
#[inline(always)]
unsafe fn soften<V: Lanes>(scores: V, cap: f32) -> V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let power = exp(scores.mul(V::splat(2.0 / cap)));
        let rest = V::splat(2.0 * cap).div(power.add(V::splat(1.0)));
        V::splat(cap).sub(rest)
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
        let (low, high) = (exp_normal(low.sub(V::splat(shift))), exp_normal(high.sub(V::splat(shift))));
        low.store(to);
        high.store(to.add(LANES));
        // Mostly nothing greater has come; the exponential of zero is exactly one.
        let keep = if before == shift { 1.0 } else { exp_normal(V::splat(before - shift)).greatest() };
        *sum = *sum * keep + low.add(high).sum();
        keep
    }
}

/// What comes to a y: `y = y · keep + Σ weight · value`.
#[derive(Clone, Copy)]
struct Weighted {
    /// Of all tokens of a group.
    weights: *const f32,
    keep: f32,
    y: *mut f32,
}

/// The sums of N heads over the same tokens of a group, one chain over the tokens for each element.
#[inline(always)]
unsafe fn accumulate<V: Lanes, const N: usize, const VECTORS: usize>(
    values: *const f32,
    places: &[usize; TOKENS_AT_ONCE],
    tokens: Range<usize>,
    mut sums: [Weighted; N],
    size: usize,
) {
    let places = &places[tokens.clone()];
    sums.iter_mut().for_each(|sum| sum.weights = sum.weights.wrapping_add(tokens.start));
    let mut start = 0;
    // SAFETY: `size` elements stand at every place and at each y, and no lane goes beyond.
    unsafe {
        while start + VECTORS * LANES <= size {
            chains::<V, N, VECTORS>(values, places, sums, start);
            start += VECTORS * LANES;
        }
        while VECTORS > 4 && start + 4 * LANES <= size {
            chains::<V, N, 4>(values, places, sums, start);
            start += 4 * LANES;
        }
        while start + LANES <= size {
            chains::<V, N, 1>(values, places, sums, start);
            start += LANES;
        }
        if start < size {
            last_chains::<V, N>(values, places, sums, start..size);
        }
    }
}

/// [`accumulate`] for M vectors of every head from element `start` on.
#[inline(always)]
unsafe fn chains<V: Lanes, const N: usize, const M: usize>(
    values: *const f32,
    places: &[usize],
    heads: [Weighted; N],
    start: usize,
) {
    // SAFETY: M vectors stand there at every place and at each y.
    unsafe {
        let mut sums = [[V::splat(0.0); M]; N];
        for i in 0..N {
            for part in 0..M {
                let y = V::load(heads[i].y.add(start + part * LANES));
                sums[i][part] = y.mul(V::splat(heads[i].keep));
            }
        }
        for (token, place) in places.iter().enumerate() {
            let mut value = [V::splat(0.0); M];
            for part in 0..M {
                value[part] = V::load(values.add(place + start + part * LANES));
            }
            for i in 0..N {
                let weight = V::splat(*heads[i].weights.add(token));
                for part in 0..M {
                    sums[i][part] = weight.mul_add(value[part], sums[i][part]);
                }
            }
        }
        for i in 0..N {
            for part in 0..M {
                sums[i][part].store(heads[i].y.add(start + part * LANES));
            }
        }
    }
}

/// [`accumulate`] for the elements that are no whole vector.
#[inline(always)]
unsafe fn last_chains<V: Lanes, const N: usize>(
    values: *const f32,
    places: &[usize],
    heads: [Weighted; N],
    elements: Range<usize>,
) {
    let (start, n) = (elements.start, elements.len());
    // SAFETY: `n` elements stand there at every place and at each y.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        for i in 0..N {
            sums[i] = V::load_first(heads[i].y.add(start), n).mul(V::splat(heads[i].keep));
        }
        for (token, place) in places.iter().enumerate() {
            let value = V::load_first(values.add(place + start), n);
            for i in 0..N {
                sums[i] = V::splat(*heads[i].weights.add(token)).mul_add(value, sums[i]);
            }
        }
        for i in 0..N {
            sums[i].store_first(heads[i].y.add(start), n);
        }
    }
}
