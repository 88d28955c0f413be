//! The gradients of attention to whole sequences on the processor.
//!
//! The scores of some rows are made again, so that no matrix of T × S scores is ever in memory. With the weights
//! `P = softmax(Q · Kᵀ · s)` and the gradient `G` of the output: `dV = Pᵀ · G`, `dS = P ∘ (G · Vᵀ − Σ P ∘ (G · Vᵀ)) · s`, `dQ =
//! dS · K`, `dK = dSᵀ · Q`. Source: T. Dao and others, "FlashAttention" (2022), appendix B.2.
//!
//! Heads that share keys are one task; its rows are taken in one order, whatever the number of threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use kernels::pool;
use kernels::product::{self, How, Shape};
use kernels::softmax::softmax;

use super::three;
use crate::buffers::unwritten;

/// Rows whose scores are in memory at once.
const TILE: usize = 128;

/// The sizes of one call.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    sequences: usize,
    /// Rows of a sequence, `T`.
    rows: usize,
    /// What they see, `S`.
    tokens: usize,
    heads: usize,
    groups: usize,
    size: usize,
}

impl Sizes {
    pub fn new(q: &[usize], k: &[usize], sequences: usize) -> Self {
        let ([rows, heads, size], [tokens, groups, _]) = (three(q), three(k));
        Self { sequences, rows: rows / sequences, tokens: tokens / sequences, heads, groups, size }
    }

    /// The heads of queries that share the keys of `group`.
    fn heads_of(self, group: usize) -> Range<usize> {
        let shared = self.heads / self.groups;
        group * shared..(group + 1) * shared
    }
}

/// The gradients for queries, keys and values in their shapes, from these and the gradient of the output.
pub(super) fn gradients([q, k, v, gradient]: [&[f32]; 4], scale: f32, sizes: Sizes) -> [Vec<f32>; 3] {
    let Sizes { sequences, rows, tokens, heads, groups, size } = sizes;
    let n_tasks = sequences * groups;
    // Head by head; what a task writes lies together.
    let mut found = [q.len(), k.len(), v.len()].map(unwritten);
    let [for_q, for_k, for_v] = &mut found;
    let lengths = [heads / groups * rows * size, tokens * size];
    let parts = for_q.chunks_exact_mut(lengths[0]).zip(for_k.chunks_exact_mut(lengths[1]));
    let parts: Vec<_> = parts.zip(for_v.chunks_exact_mut(lengths[1])).map(Mutex::new).collect();
    assert_eq!(parts.len(), n_tasks, "whole_attention: a task for each group of each sequence");
    pool::run(n_tasks, &|task| {
        let (sequence, group) = (task / groups, task % groups);
        let mut part = parts[task].lock().unwrap_or_else(PoisonError::into_inner);
        let ((for_q, for_k), for_v) = &mut *part;
        for_k.fill(0.0);
        for_v.fill(0.0);
        let of_group = |x| gathered(x, sequence * tokens..(sequence + 1) * tokens, (group, groups), size);
        let mut keys = Keys { k: &of_group(k), v: &of_group(v), for_k, for_v, scale, size };
        for (index, head) in sizes.heads_of(group).enumerate() {
            for first in (0..rows).step_by(TILE) {
                let tile = first..rows.min(first + TILE);
                let at = sequence * rows + tile.start..sequence * rows + tile.end;
                let [q, gradient] = [q, gradient].map(|x| gathered(x, at.clone(), (head, heads), size));
                let for_q = &mut for_q[(index * rows + tile.start) * size..(index * rows + tile.end) * size];
                keys.tile(&q, &gradient, for_q);
            }
        }
    });
    drop(parts);
    let [for_q, for_k, for_v] = found;
    [
        scattered(&for_q, [sequences, heads, rows, size]),
        scattered(&for_k, [sequences, groups, tokens, size]),
        scattered(&for_v, [sequences, groups, tokens, size]),
    ]
}

/// The keys and values of one group, `[S, d]` each, and what they learn.
struct Keys<'a> {
    k: &'a [f32],
    v: &'a [f32],
    for_k: &'a mut [f32],
    for_v: &'a mut [f32],
    scale: f32,
    size: usize,
}

impl Keys<'_> {
    /// Some rows of one head: `q`, `gradient` and `for_q` are `[R, d]`.
    fn tile(&mut self, q: &[f32], gradient: &[f32], for_q: &mut [f32]) {
        let (rows, tokens) = (q.len() / self.size, self.k.len() / self.size);
        let shape = Shape { rows, inner: self.size, outer: tokens };
        let mut scores = vec![0.0; rows * tokens]; // [R, S]
        product::training_product(How::F32, q, self.k, &mut scores, shape);
        scores.iter_mut().for_each(|score| *score *= self.scale);
        let mut weights = vec![0.0; rows * tokens]; // [R, S]
        softmax(&scores, tokens, &mut weights);
        product::product_backward_weights(How::F32_ADD, &weights, gradient, self.for_v, shape);
        let mut for_weights = scores; // [R, S]
        product::training_product(How::F32, gradient, self.v, &mut for_weights, shape);
        for (weights, slopes) in weights.chunks_exact(tokens).zip(for_weights.chunks_exact_mut(tokens)) {
            let overlap: f32 = weights.iter().zip(&*slopes).map(|(weight, slope)| weight * slope).sum();
            for (slope, weight) in slopes.iter_mut().zip(weights) {
                *slope = weight * (*slope - overlap) * self.scale;
            }
        }
        product::product_backward_input(How::F32, &for_weights, self.k, for_q, shape);
        product::product_backward_weights(How::F32_ADD, &for_weights, q, self.for_k, shape);
    }
}

/// Some rows of one head of `[R, heads, d]`, one after another.
fn gathered(x: &[f32], rows: Range<usize>, (head, heads): (usize, usize), size: usize) -> Vec<f32> {
    rows.flat_map(|row| &x[(row * heads + head) * size..(row * heads + head + 1) * size]).copied().collect()
}

/// `[B, heads, T, d]` → `[B·T, heads, d]`.
fn scattered(x: &[f32], [sequences, heads, rows, size]: [usize; 4]) -> Vec<f32> {
    let mut y = unwritten(x.len());
    for (place, value) in x.chunks_exact(size).enumerate() {
        let (row, head, sequence) = (place % rows, place / rows % heads, place / rows / heads);
        let to = ((sequence * rows + row) * heads + head) * size;
        y[to..to + size].copy_from_slice(value);
    }
    debug_assert_eq!(x.len(), sequences * heads * rows * size, "a value for each place");
    y
}
