//! Attention in vector lanes: AVX2 and AVX-512 in the same order of sums.

use std::ops::Range;

use super::{ROWS_AT_ONCE, Scoring, Stretch, TOKENS_AT_ONCE, finish, finite_shift};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Avx2, Avx512};
use crate::lanes::{F16, LANES, Lanes, exp, load_up_to, store_up_to};
use crate::product::Weights;

/// Heads whose running maxima and sums are kept beside one another.
const HEADS_AT_ONCE: usize = 16;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2(stretch: &Stretch<'_>) {
    // SAFETY: this function has the features, its caller the pools.
    unsafe { body::<Avx2, 4>(stretch) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
pub unsafe fn avx512(stretch: &Stretch<'_>) {
    // SAFETY: as above.
    unsafe { body::<Avx512, 8>(stretch) }
}

#[inline(always)]
pub unsafe fn body<V: Lanes, const CHAINS: usize>(stretch: &Stretch<'_>) {
    let pages = stretch.cache.pages;
    let group = stretch.row_size() / pages.n_key_heads;
    let step = pages.head_size * HEADS_AT_ONCE;
    for first in (0..group).step_by(step) {
        // SAFETY: the caller's promises.
        unsafe { heads::<V, CHAINS>(stretch, first..group.min(first + step)) };
    }
}

/// Up to sixteen heads of up to sixteen rows, so that a group of tokens is read once for all of them.
#[inline(always)]
unsafe fn heads<V: Lanes, const CHAINS: usize>(stretch: &Stretch<'_>, part: Range<usize>) {
    let size = stretch.cache.pages.head_size;
    let [mut keys, mut values] = [stretch.cache.keys, stretch.cache.values].map(|all| Group::new(all, size));
    let mut greatest = [[f32::NEG_INFINITY; HEADS_AT_ONCE]; ROWS_AT_ONCE];
    let mut sums = [[0.0; HEADS_AT_ONCE]; ROWS_AT_ONCE];
    let first_head = stretch.first_head() + part.start / size;
    for head in 0..HEADS_AT_ONCE {
        let (score, sum) = stretch.scoring.beginning(first_head + head);
        greatest.iter_mut().for_each(|row| row[head] = score);
        sums.iter_mut().for_each(|row| row[head] = sum);
    }
    let earliest = stretch.rows.iter().map(|row| row.first_visible).min().unwrap_or(0);
    let earliest = earliest - earliest % TOKENS_AT_ONCE;
    let longest = stretch.rows.iter().map(|row| row.n_visible).max().unwrap_or(0);
    for row in 0..stretch.rows.len() {
        // SAFETY: the row and the head are this task's alone.
        unsafe { stretch.group(row).1[part.clone()].fill(0.0) };
    }
    for start in (earliest..longest).step_by(TOKENS_AT_ONCE) {
        let mut places = [0; TOKENS_AT_ONCE];
        let places = &mut places[..TOKENS_AT_ONCE.min(longest - start)];
        stretch.places(start, places);
        // SAFETY: the places were taken from blocks that the wrapper has checked.
        unsafe {
            keys.read::<V>(places);
            values.read::<V>(places);
        }
        for (index, row) in stretch.rows.iter().enumerate() {
            let n_tokens = TOKENS_AT_ONCE.min(row.n_visible.saturating_sub(start));
            let n_unseen = row.first_visible.saturating_sub(start);
            if n_tokens <= n_unseen {
                continue;
            }
            let (keys, key_places) = keys.seen(n_unseen..n_tokens);
            let (values, value_places) = values.seen(n_unseen..n_tokens);
            // SAFETY: the row and the head are this task's alone, and the places were taken from blocks
            // that the wrapper has checked.
            unsafe {
                let (queries, y) = stretch.group(index);
                let queries = queries[part.clone()].chunks_exact(size);
                for (head, (query, y)) in queries.zip(y[part.clone()].chunks_exact_mut(size)).enumerate() {
                    let mut weights = scores::<V>(keys, key_places, query, stretch.scoring);
                    let keep = weigh::<V>(&mut weights, &mut greatest[index][head], &mut sums[index][head]);
                    accumulate::<V, CHAINS>(values, value_places, &weights, keep, y);
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate().take(stretch.rows.len()) {
        // SAFETY: as above.
        let y = unsafe { &mut stretch.group(row).1[part.clone()] };
        y.chunks_exact_mut(size).zip(sums).for_each(|(y, sum)| finish(y, *sum));
    }
}

/// The keys or the values of a group of tokens: in the pool, where it holds f32, else widened beside it.
struct Group<'a> {
    all: Weights<'a>,
    /// Elements of a head.
    size: usize,
    places: [usize; TOKENS_AT_ONCE],
    widened: Vec<f32>,
}

impl<'a> Group<'a> {
    fn new(all: Weights<'a>, size: usize) -> Self {
        let (places, widened) = match all {
            Weights::F32(_) => ([0; TOKENS_AT_ONCE], Vec::new()),
            _ => (std::array::from_fn(|token| token * size), vec![0.0; TOKENS_AT_ONCE * size]),
        };
        Self { all, size, places, widened }
    }

    /// Turns to the tokens at `places`.
    ///
    /// # Safety
    /// A head stands at every place, and the machine has the instruction set of `V`.
    #[inline(always)]
    unsafe fn read<V: Lanes>(&mut self, places: &[usize]) {
        let heads = places.iter().zip(self.widened.chunks_exact_mut(self.size));
        match self.all {
            Weights::F32(_) => self.places[..places.len()].copy_from_slice(places),
            Weights::F16(bits) => heads.for_each(|(place, head)| {
                for start in (0..self.size).step_by(LANES) {
                    // SAFETY: as many elements as the head has stand at the place.
                    unsafe {
                        let from = bits.as_ptr().add(*place).cast::<F16>();
                        let lanes: V = load_up_to(from, start, self.size);
                        store_up_to(lanes, head.as_mut_ptr(), start, self.size);
                    }
                }
            }),
            all => heads.for_each(|(place, head)| all.widen(*place..*place + self.size, head)),
        }
    }

    /// Where some tokens of the group stand, and in what.
    #[inline(always)]
    fn seen(&self, tokens: Range<usize>) -> (&[f32], &[usize]) {
        let elements = match self.all {
            Weights::F32(all) => all,
            _ => &self.widened,
        };
        (elements, &self.places[tokens])
    }
}

/// The scaled and capped scores of some tokens; minus infinity behind them.
#[inline(always)]
unsafe fn scores<V: Lanes>(
    keys: &[f32],
    places: &[usize],
    query: &[f32],
    scoring: Scoring<'_>,
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
    scores.iter_mut().for_each(|score| *score *= scoring.scale);
    if let Some(cap) = scoring.soft_cap {
        // SAFETY: the caller's promises.
        unsafe { soften::<V>(&mut scores, cap) };
        scores[places.len()..].fill(f32::NEG_INFINITY);
    }
    scores
}

/// `cap · tanh(score / cap)`, with `tanh(x) = 1 − 2 / (e²ˣ + 1)`: wrong by an ULP of the cap at most.
#[inline(always)]
unsafe fn soften<V: Lanes>(scores: &mut [f32; TOKENS_AT_ONCE], cap: f32) {
    // SAFETY: the scores are two groups of sixteen.
    unsafe {
        for start in [0, LANES] {
            let to = scores.as_mut_ptr().add(start);
            let power = exp(V::load(to).mul(V::splat(2.0 / cap)));
            let rest = V::splat(2.0 * cap).div(power.add(V::splat(1.0)));
            V::splat(cap).sub(rest).store(to);
        }
    }
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
        // Mostly nothing greater has come; the exponential of zero is exactly one.
        let keep = if before == shift { 1.0 } else { exp(V::splat(before - shift)).greatest() };
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
            chains::<V, CHAINS>(values.as_ptr().add(start), places, weights, keep, y.as_mut_ptr().add(start));
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
