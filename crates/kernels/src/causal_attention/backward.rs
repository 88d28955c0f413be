//! The backward pass of one task on vectors: for every block of queries, its blocks of keys from the first to
//! the one on the diagonal, whose gradients gather in packed rows until the task ends.

use std::ops::Range;

use super::pack::columns;
use super::tile::{self, BLOCK, Meeting, Operands, n_vectors};
use super::{Backward, finite_shift};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Avx2, Avx512};
use crate::lanes::{LANES, Lanes, exp_normal, load_up_to, store_up_to};
use crate::room::Room;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
pub unsafe fn avx2(task: &Backward<'_>) {
    // SAFETY: this function has the features, its caller the lengths.
    unsafe { body::<Avx2, 4, 1>(task) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
pub unsafe fn avx512(task: &Backward<'_>) {
    // SAFETY: as above.
    unsafe { body::<Avx512, 8, 3>(task) }
}

/// Tiles of `ROWS` rows (which divide a block) and at most `WIDE` vectors.
#[inline(always)]
pub unsafe fn body<V: Lanes, const ROWS: usize, const WIDE: usize>(task: &Backward<'_>) {
    let s = task.place.s;
    let n_blocks = s.length.div_ceil(BLOCK);
    let lengths = Blocks::lengths(n_blocks, s.size);
    let mut room = Room::new(lengths);
    let mut blocks = Blocks::new(room.split(lengths), s.size);
    // SAFETY: the caller has the instruction set and checked the lengths; what belongs to the key-value head
    // is this task's alone.
    unsafe {
        for block in 0..n_blocks {
            blocks.pack_keys::<V>(task, block);
        }
        for member in 0..task.place.group() {
            for block in 0..n_blocks {
                blocks.pack_queries::<V>(task, member, block);
                for past in 0..block {
                    blocks.meet::<V, ROWS, WIDE>(past, Meeting::Below);
                }
                blocks.meet::<V, ROWS, WIDE>(block, Meeting::Diagonal);
                for row in 0..blocks.n_rows {
                    let to = task.dq.part(task.place.query(member, block * BLOCK + row));
                    write::<V>(&blocks.dq[row * blocks.width..], 1.0, to);
                }
            }
        }
        for token in 0..s.length {
            let (from, to) = (token * blocks.width, task.place.key(token));
            write::<V>(&blocks.dk[from..], task.scale, task.dk.part(to.clone()));
            write::<V>(&blocks.dv[from..], 1.0, task.dv.part(to));
        }
    }
}

/// The packed blocks of a key-value head, and of one block of queries.
struct Blocks<'a> {
    /// Elements of a head.
    size: usize,
    /// The same in whole vectors.
    width: usize,
    /// Keys times the scale, [blocks, BLOCK, width].
    keys: &'a mut [f32],
    /// The same by columns, [blocks, width, BLOCK].
    key_columns: &'a mut [f32],
    /// Values by columns, [blocks, width, BLOCK].
    value_columns: &'a mut [f32],
    /// The gradient of the keys but for the scale, [blocks, BLOCK, width].
    dk: &'a mut [f32],
    /// The gradient of the values, [blocks, BLOCK, width].
    dv: &'a mut [f32],
    /// Queries, [BLOCK, width].
    queries: &'a mut [f32],
    /// The gradient of the results, [BLOCK, width].
    dy: &'a mut [f32],
    /// The gradient of the queries, [BLOCK, width].
    dq: &'a mut [f32],
    /// Scores, then weights, [BLOCK, BLOCK].
    weights: &'a mut [f32],
    /// Gradients of the weights, then of the scores, [BLOCK, BLOCK].
    ds: &'a mut [f32],
    /// How many rows the block of queries has.
    n_rows: usize,
    /// What is subtracted from each row's scores.
    shifts: [f32; BLOCK],
    /// `dy·y` of each row: the mean of its weights' gradients, each counted by its weight.
    means: [f32; BLOCK],
}

impl<'a> Blocks<'a> {
    /// How much room the blocks need, in the order of [`Self::new`].
    fn lengths(n_blocks: usize, size: usize) -> [usize; 10] {
        let rows = size.next_multiple_of(LANES) * BLOCK;
        let (all, square) = (n_blocks * rows, BLOCK * BLOCK);
        [all, all, all, all, all, rows, rows, rows, square, square]
    }

    fn new(room: [&'a mut [f32]; 10], size: usize) -> Self {
        let [keys, key_columns, value_columns, dk, dv, queries, dy, dq, weights, ds] = room;
        dk.fill(0.0);
        dv.fill(0.0);
        Self {
            size,
            width: size.next_multiple_of(LANES),
            keys,
            key_columns,
            value_columns,
            dk,
            dv,
            queries,
            dy,
            dq,
            weights,
            ds,
            n_rows: 0,
            shifts: [0.0; BLOCK],
            means: [0.0; BLOCK],
        }
    }

    #[inline(always)]
    unsafe fn pack_keys<V: Lanes>(&mut self, task: &Backward<'_>, block: usize) {
        let rows = block * BLOCK * self.width..(block + 1) * BLOCK * self.width;
        let (keys, values) = (task.place.keys(task.saved.k, block), task.place.keys(task.saved.v, block));
        // SAFETY: the caller has the instruction set.
        unsafe {
            values.pack::<V>(1.0, self.queries);
            keys.pack::<V>(task.scale, &mut self.keys[rows.clone()]);
        }
        columns(&self.keys[rows.clone()], &mut self.key_columns[rows.clone()]);
        columns(self.queries, &mut self.value_columns[rows]);
    }

    #[inline(always)]
    unsafe fn pack_queries<V: Lanes>(&mut self, task: &Backward<'_>, member: usize, block: usize) {
        let place = task.place;
        let queries = place.queries(task.saved.q, member, block);
        let dy = place.queries(task.gradient, member, block);
        self.dq.fill(0.0);
        self.n_rows = BLOCK.min(place.s.length - block * BLOCK);
        // SAFETY: the caller has the instruction set; the packed rows are whole vectors.
        unsafe {
            queries.pack::<V>(1.0, self.queries);
            dy.pack::<V>(1.0, self.dy);
            for row in 0..self.n_rows {
                let token = block * BLOCK + row;
                self.shifts[row] = finite_shift(task.saved.log_sums[place.row(member, token)]);
                let y = &task.saved.y[place.query(member, token)];
                let dy = self.dy.as_ptr().add(row * self.width);
                let mut sum = V::splat(0.0);
                for start in (0..self.size).step_by(LANES) {
                    let y: V = load_up_to(y.as_ptr(), start, self.size);
                    sum = V::load(dy.add(start)).mul_add(y, sum);
                }
                self.means[row] = sum.sum();
            }
        }
    }

    /// Adds to the gradients what the block of queries and block `past` of keys give one another.
    #[inline(always)]
    unsafe fn meet<V: Lanes, const ROWS: usize, const WIDE: usize>(&mut self, past: usize, meeting: Meeting) {
        let rows = past * BLOCK * self.width;
        let keys = self.keys[rows..].as_ptr();
        let (dk, dv) = (self.dk[rows..].as_mut_ptr(), self.dv[rows..].as_mut_ptr());
        let (weights, ds, width) = (self.weights.as_mut_ptr(), self.ds.as_mut_ptr(), self.width);
        let sides = [
            (self.queries.as_ptr(), self.key_columns[rows..].as_ptr(), weights),
            (self.dy.as_ptr(), self.value_columns[rows..].as_ptr(), ds),
        ];
        // SAFETY: the blocks have the lengths of `lengths`, and the caller has the instruction set.
        unsafe {
            for (a, b, c) in sides {
                let product = Operands { a, b, b_stride: BLOCK, c, c_stride: BLOCK };
                tile::scores::<V, ROWS, WIDE>(product, [self.size, width], self.n_rows, meeting);
            }
            self.weigh::<V>(meeting);
            let product =
                Operands { a: ds, b: keys, b_stride: width, c: self.dq.as_mut_ptr(), c_stride: width };
            tile::add_by_rows::<V, ROWS, WIDE>(product, &[1.0; BLOCK], self.n_rows, meeting);
            for (a, b, c) in
                [(weights.cast_const(), self.dy.as_ptr(), dv), (ds.cast_const(), self.queries.as_ptr(), dk)]
            {
                let product = Operands { a, b, b_stride: width, c, c_stride: width };
                let n_keys = if meeting == Meeting::Diagonal { self.n_rows } else { BLOCK };
                tile::add_by_columns::<V, ROWS, WIDE>(product, self.n_rows, n_keys, meeting);
            }
        }
    }

    /// Scores become weights, gradients of weights become gradients of scores. What a row does not see is
    /// never read again, so it may become anything.
    #[inline(always)]
    unsafe fn weigh<V: Lanes>(&mut self, meeting: Meeting) {
        for first in (0..self.n_rows).step_by(LANES) {
            let rows = first..self.n_rows.min(first + LANES);
            // SAFETY: the caller's promises; sixteen rows have the same number of vectors.
            unsafe {
                match n_vectors(first, meeting) {
                    1 => self.weigh_rows::<V, 1>(rows),
                    2 => self.weigh_rows::<V, 2>(rows),
                    3 => self.weigh_rows::<V, 3>(rows),
                    _ => self.weigh_rows::<V, 4>(rows),
                }
            }
        }
    }

    /// [`Self::weigh`] for rows of N vectors.
    #[inline(always)]
    unsafe fn weigh_rows<V: Lanes, const N: usize>(&mut self, rows: Range<usize>) {
        for row in rows {
            // SAFETY: both are blocks.
            unsafe {
                let (shift, mean) = (V::splat(self.shifts[row]), V::splat(self.means[row]));
                for vector in 0..N {
                    let start = row * BLOCK + vector * LANES;
                    let (weights, ds) =
                        (self.weights.as_mut_ptr().add(start), self.ds.as_mut_ptr().add(start));
                    let weight = exp_normal(V::load(weights).sub(shift));
                    weight.store(weights);
                    weight.mul(V::load(ds).sub(mean)).store(ds);
                }
            }
        }
    }
}

/// Writes a packed row, times a factor.
#[inline(always)]
unsafe fn write<V: Lanes>(from: &[f32], factor: f32, to: &mut [f32]) {
    for start in (0..to.len()).step_by(LANES) {
        // SAFETY: the packed row is at least as long as the other, in whole vectors.
        unsafe {
            let lanes = V::load(from.as_ptr().add(start)).mul(V::splat(factor));
            store_up_to(lanes, to.as_mut_ptr(), start, to.len());
        }
    }
}
