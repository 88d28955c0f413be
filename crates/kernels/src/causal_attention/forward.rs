//! The forward pass of one task on vectors: for every block of queries, its blocks of keys from the first to
//! the one on the diagonal, with a running greatest score and sum of exponentials for each row.

use std::ops::Range;

use super::pack::columns;
use super::tile::{self, BLOCK, Meeting, Operands, n_vectors};
use super::{Forward, finite_shift, inverse};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Avx2, Avx512};
use crate::lanes::{LANES, Lanes, exp_normal, load_up_to, store_up_to};
use crate::room::Room;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2(task: &Forward<'_>) {
    // SAFETY: this function has the features, its caller the lengths.
    unsafe { body::<Avx2, 4, 1>(task) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
pub unsafe fn avx512(task: &Forward<'_>) {
    // SAFETY: as above.
    unsafe { body::<Avx512, 8, 3>(task) }
}

/// Tiles of `ROWS` rows (which divide a block) and at most `WIDE` vectors.
#[inline(always)]
pub unsafe fn body<V: Lanes, const ROWS: usize, const WIDE: usize>(task: &Forward<'_>) {
    let s = task.place.s;
    let (n_blocks, width) = (s.length.div_ceil(BLOCK), s.size.next_multiple_of(LANES));
    let rows = width * BLOCK;
    let lengths = [n_blocks * rows, n_blocks * rows, rows, BLOCK * BLOCK, rows];
    let mut room = Room::new(lengths);
    let [keys, values, queries, scores, y] = room.split(lengths);
    for (keys, block) in keys.chunks_exact_mut(rows).zip(0..n_blocks) {
        // SAFETY: the caller has the instruction set, here and below.
        unsafe { task.place.keys(task.k, block).pack::<V>(task.scale, queries) };
        columns(queries, keys);
    }
    for (values, block) in values.chunks_exact_mut(rows).zip(0..n_blocks) {
        // SAFETY: as above.
        unsafe { task.place.keys(task.v, block).pack::<V>(1.0, values) };
    }
    let blocks = (0..task.place.group()).flat_map(|member| (0..n_blocks).map(move |block| (member, block)));
    for (member, block) in blocks {
        // SAFETY: as above.
        unsafe { task.place.queries(task.q, member, block).pack::<V>(1.0, queries) };
        let mut running = Running::new(s.length - block * BLOCK);
        y.fill(0.0);
        for past in 0..=block {
            let meeting = if past == block { Meeting::Diagonal } else { Meeting::Below };
            let (keys, values) = (keys[past * rows..].as_ptr(), values[past * rows..].as_ptr());
            let (scores, y) = (scores.as_mut_ptr(), y.as_mut_ptr());
            let product =
                Operands { a: queries.as_ptr(), b: keys, b_stride: BLOCK, c: scores, c_stride: BLOCK };
            let sums = Operands { a: scores, b: values, b_stride: width, c: y, c_stride: width };
            // SAFETY: the blocks were packed with these strides, and the caller has the instruction set.
            unsafe {
                tile::scores::<V, ROWS, WIDE>(product, [s.size, width], running.n_rows, meeting);
                let keep = running.weigh::<V>(scores, meeting);
                tile::add_by_rows::<V, ROWS, WIDE>(sums, &keep, running.n_rows, meeting);
            }
        }
        // SAFETY: the rows of this head are this task's alone.
        unsafe { running.finish::<V>(task, (member, block * BLOCK), y, width) };
    }
}

/// What is kept for the rows of a block of queries while it walks over the keys.
struct Running {
    /// How many rows there are.
    n_rows: usize,
    /// The greatest score of each row so far.
    greatest: [f32; BLOCK],
    /// The sums of each row's exponentials, for keys ≡ lane (mod 16).
    sums: [[f32; LANES]; BLOCK],
}

impl Running {
    fn new(n_left: usize) -> Self {
        Self { n_rows: n_left.min(BLOCK), greatest: [f32::NEG_INFINITY; BLOCK], sums: [[0.0; LANES]; BLOCK] }
    }

    /// Turns a block of scores into weights; returns with what everything before is multiplied.
    #[inline(always)]
    unsafe fn weigh<V: Lanes>(&mut self, scores: *mut f32, meeting: Meeting) -> [f32; BLOCK] {
        let mut keep = [0.0; BLOCK];
        for first in (0..self.n_rows).step_by(LANES) {
            let rows = first..self.n_rows.min(first + LANES);
            // SAFETY: the scores are a block; sixteen rows on the diagonal have as many vectors as hold keys
            // that they see.
            unsafe {
                match n_vectors(first, meeting) {
                    1 => self.weigh_rows::<V, 1>(scores, &mut keep, rows, meeting),
                    2 => self.weigh_rows::<V, 2>(scores, &mut keep, rows, meeting),
                    3 => self.weigh_rows::<V, 3>(scores, &mut keep, rows, meeting),
                    _ => self.weigh_rows::<V, 4>(scores, &mut keep, rows, meeting),
                }
            }
        }
        keep
    }

    /// [`Self::weigh`] for at most sixteen rows of N vectors.
    #[inline(always)]
    unsafe fn weigh_rows<V: Lanes, const N: usize>(
        &mut self,
        scores: *mut f32,
        keep: &mut [f32; BLOCK],
        rows: Range<usize>,
        meeting: Meeting,
    ) {
        let mut shifts = [0.0; LANES];
        let keep = &mut keep[rows.start..rows.start + LANES];
        // SAFETY: the caller's scores; `keep` and `shifts` are whole vectors.
        unsafe {
            for (row, (keep, to)) in rows.clone().zip(keep.iter_mut().zip(&mut shifts)) {
                let scores: [V; N] = load_scores(scores.add(row * BLOCK), row, meeting);
                let greatest = scores.into_iter().fold(V::splat(f32::NEG_INFINITY), |a, b| b.max(a));
                let before = self.greatest[row];
                self.greatest[row] = before.max(greatest.greatest());
                *to = finite_shift(self.greatest[row]);
                *keep = before - *to;
            }
            exp_normal(V::load(keep.as_ptr())).store(keep.as_mut_ptr());
            for (row, (keep, shift)) in rows.zip(keep.iter().zip(&shifts)) {
                let to = scores.add(row * BLOCK);
                let scores: [V; N] = load_scores(to, row, meeting);
                let sums = &mut self.sums[row];
                let mut sum = V::load(sums.as_ptr()).mul(V::splat(*keep));
                for vector in 0..N {
                    let weight = exp_normal(scores[vector].sub(V::splat(*shift)));
                    weight.store(to.add(vector * LANES));
                    sum = sum.add(weight);
                }
                sum.store(sums.as_mut_ptr());
            }
        }
    }

    /// Writes the rows of a member of the group, from token `first` on, and the logarithms of their sums.
    ///
    /// # Safety
    /// As [`Lanes`]; nobody else uses these rows; `y [BLOCK, width]`.
    #[inline(always)]
    unsafe fn finish<V: Lanes>(
        &self,
        task: &Forward<'_>,
        (member, first): (usize, usize),
        y: &[f32],
        width: usize,
    ) {
        for (row, y) in y.chunks_exact(width).enumerate().take(self.n_rows) {
            let place = task.place.row(member, first + row);
            // SAFETY: the caller's promises.
            unsafe {
                let sum = V::load(self.sums[row].as_ptr()).sum();
                task.log_sums.part(place..place + 1)[0] = finite_shift(self.greatest[row]) + sum.ln();
                let to = task.y.part(task.place.query(member, first + row));
                for start in (0..to.len()).step_by(LANES) {
                    let lanes: V = load_up_to(y.as_ptr(), start, width);
                    store_up_to(lanes.mul(V::splat(inverse(sum))), to.as_mut_ptr(), start, to.len());
                }
            }
        }
    }
}

/// Of sixteen lanes, those that are seen keep what they have against the first half of this, the others
/// become minus infinity against the second.
static SEEN: [f32; 2 * LANES] = {
    let mut bounds = [f32::INFINITY; 2 * LANES];
    let mut lane = LANES;
    while lane < 2 * LANES {
        bounds[lane] = f32::NEG_INFINITY;
        lane += 1;
    }
    bounds
};

/// The scores of a row, minus infinity where it does not see the key. NaN in the last vector comes out as
/// infinity where it is seen, whose weight is NaN.
#[inline(always)]
unsafe fn load_scores<V: Lanes, const N: usize>(from: *const f32, row: usize, meeting: Meeting) -> [V; N] {
    let unseen = if meeting == Meeting::Diagonal { LANES - 1 - row % LANES } else { 0 };
    // SAFETY: N vectors stand there; at most fifteen lanes of the last are unseen.
    unsafe {
        let mut scores = [V::splat(0.0); N];
        for vector in 0..N {
            scores[vector] = V::load(from.add(vector * LANES));
        }
        scores[N - 1] = scores[N - 1].min(V::load(SEEN.as_ptr().add(unseen)));
        scores
    }
}
