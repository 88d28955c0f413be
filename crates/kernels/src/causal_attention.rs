//! Causal attention over whole sequences, for training: `y = softmax(scale · q · Kᵀ) · V` for each row and
//! head over the tokens up to its own, with grouped heads, and its gradients. A matrix of T × T scores is
//! never in memory: only blocks of 64 × 64.
//!
//! Not for a cache in pages or for rows that see something else than their past ([`crate::attention`]).
//! Source: T. Dao and others, "FlashAttention" (2022) and T. Dao, "FlashAttention-2" (2023). The forward pass
//! keeps for every row and head the logarithm of its sum of exponentials, from which the backward pass
//! computes the weights again:
//!
//! - `weight[t, u] = exp(scale · q[t]·k[u] - log_sum[t])` for u ≤ t,
//! - `dv[u] = Σ_t weight[t, u] · dy[t]`,
//! - `ds[t, u] = weight[t, u] · (dy[t]·v[u] - dy[t]·y[t])`,
//! - `dq[t] = scale · Σ_u ds[t, u] · k[u]` and `dk[u] = scale · Σ_t ds[t, u] · q[t]`.
//!
//! One task does the query heads of one key-value head in one sequence, and walks its blocks of queries and
//! keys in one order, so the bits depend on the sequence alone: not on its neighbours, nor on the threads.
//! Nothing that a row may not see is ever multiplied with its weight, so not even a NaN reaches back in
//! time. A score of minus infinity counts nothing; NaN or plus infinity makes its head's row NaN; a row whose
//! scores are all minus infinity gives zeros. Largest error against exact arithmetic, of the largest value:
//! forward 1e-5, backward 2e-5, for scores up to 80.

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

mod backward;
mod forward;
mod pack;
mod tile;

use pack::Rows;
use tile::BLOCK;

/// The sizes of a batch of sequences of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequences {
    /// Sequences (B).
    pub sequences: usize,
    /// Tokens of each (T).
    pub length: usize,
    /// Query heads (H), a multiple of the key-value heads.
    pub heads: usize,
    /// Key-value heads (K).
    pub kv_heads: usize,
    /// Elements of a head (d).
    pub size: usize,
}

impl Sequences {
    /// Elements of q, of k, and of one number for each row and head; nothing where they are too many to count.
    fn lengths(&self) -> Option<[usize; 3]> {
        let rows = self.sequences.checked_mul(self.length)?;
        let heads = rows.checked_mul(self.heads)?;
        let keys = rows.checked_mul(self.kv_heads)?.checked_mul(self.size)?;
        Some([heads.checked_mul(self.size)?, keys, heads])
    }

    fn check(&self, name: &str, [queries, keys, sums]: [&[usize]; 3]) {
        assert!(
            self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads),
            "{name}: {} heads share {} key-value heads",
            self.heads,
            self.kv_heads
        );
        assert!(self.size > 0, "{name}: heads of no elements");
        let fits = self.lengths().is_some_and(|lengths| {
            let groups = [queries, keys, sums].into_iter().zip(lengths);
            groups.into_iter().all(|(given, length)| given.iter().all(|given| *given == length))
        });
        assert!(fits, "{name}: {queries:?}, {keys:?} and {sums:?} elements do not fit {self:?}");
    }

    /// Runs `task` for every key-value head of every sequence on the pool.
    fn for_each_group(&self, n_products: usize, task: &(dyn Fn(Place) + Sync)) {
        let n_tasks = self.sequences * self.kv_heads;
        let group = self.heads / self.kv_heads;
        // Half of the scores are computed, each over d.
        let scores = group.saturating_mul(self.length).saturating_mul(self.length) / 2;
        let work = scores.saturating_mul(n_products * self.size);
        pool::run_ranges(n_tasks, WORK_OF_A_TASK.div_ceil(work.max(1)), &|tasks| {
            for index in tasks {
                task(Place { s: *self, sequence: index / self.kv_heads, kv_head: index % self.kv_heads });
            }
        });
    }
}

/// Multiply-adds that are worth being shared: about 5 µs of one core.
const WORK_OF_A_TASK: usize = 256 * 1024;

/// Which key-value head of which sequence.
#[derive(Clone, Copy)]
struct Place {
    s: Sequences,
    sequence: usize,
    kv_head: usize,
}

impl Place {
    /// How many query heads share the key-value head.
    fn group(&self) -> usize {
        self.s.heads / self.s.kv_heads
    }

    /// Which of all rows and heads is the one of token `token` and the `member`-th query head.
    fn row(&self, member: usize, token: usize) -> usize {
        let head = self.kv_head * self.group() + member;
        (self.sequence * self.s.length + token) * self.s.heads + head
    }

    /// The elements of that row in `q`.
    fn query(&self, member: usize, token: usize) -> Range<usize> {
        let row = self.row(member, token);
        row * self.s.size..(row + 1) * self.s.size
    }

    /// The elements of token `token` in `k`.
    fn key(&self, token: usize) -> Range<usize> {
        let row = (self.sequence * self.s.length + token) * self.s.kv_heads + self.kv_head;
        row * self.s.size..(row + 1) * self.s.size
    }

    /// Block `block` of the `member`-th query head, in `q` or what is laid out like it.
    fn queries<'a>(&self, all: &'a [f32], member: usize, block: usize) -> Rows<'a> {
        let first = self.query(member, block * BLOCK).start;
        Rows::new(all, first, self.s.heads * self.s.size, self.shape(block))
    }

    /// Block `block` of the key-value head, in `k` or what is laid out like it.
    fn keys<'a>(&self, all: &'a [f32], block: usize) -> Rows<'a> {
        let first = self.key(block * BLOCK).start;
        Rows::new(all, first, self.s.kv_heads * self.s.size, self.shape(block))
    }

    /// Rows of a block and elements of a row.
    fn shape(&self, block: usize) -> [usize; 2] {
        [(self.s.length - block * BLOCK).min(BLOCK), self.s.size]
    }
}

/// What one task of the forward pass reads and writes.
pub struct Forward<'a> {
    place: Place,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    scale: f32,
    y: Disjoint<'a, f32>,
    log_sums: Disjoint<'a, f32>,
}

/// Attention of the query heads of one key-value head in one sequence.
pub type Body = unsafe fn(&Forward<'_>);

/// The bodies of the forward pass.
pub static CAUSAL_ATTENTION: Kernel<Body> = Kernel::new(
    "causal_attention",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, forward::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, forward::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, forward::body::<crate::lanes::Neon, 4, 1>),
    ],
);

/// Attention of every row of every sequence over its past and itself.
///
/// # Shapes
/// `q [B·T, H, d]`, `k`, `v [B·T, K, d]`, `y [B·T, H, d]`, `log_sums [B·T, H]`; query head h reads key-value
/// head h / (H/K).
///
/// # Panics
/// When the lengths do not fit the sequences, H is not a multiple of K, or d is 0.
pub fn causal_attention(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    scale: f32,
    y: &mut [f32],
    log_sums: &mut [f32],
    s: Sequences,
) {
    let lengths: [&[usize]; 3] = [&[q.len(), y.len()], &[k.len(), v.len()], &[log_sums.len()]];
    s.check("causal_attention", lengths);
    forward_with(CAUSAL_ATTENTION.body(), [q, k, v], scale, [y, log_sums], s);
}

fn forward_with(
    body: Body,
    [q, k, v]: [&[f32]; 3],
    scale: f32,
    [y, log_sums]: [&mut [f32]; 2],
    s: Sequences,
) {
    let (y, log_sums) = (Disjoint::new(y), Disjoint::new(log_sums));
    s.for_each_group(2, &|place| {
        // SAFETY: the table holds only bodies that this machine can run; the lengths were checked, and what
        // belongs to a key-value head of a sequence is written by its task alone.
        unsafe { body(&Forward { place, q, k, v, scale, y, log_sums }) };
    });
}

/// What the backward pass needs of the forward pass.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Queries, [B·T, H, d].
    pub q: &'a [f32],
    /// Keys, [B·T, K, d].
    pub k: &'a [f32],
    /// Values, [B·T, K, d].
    pub v: &'a [f32],
    /// Results, [B·T, H, d].
    pub y: &'a [f32],
    /// Logarithms of the sums of exponentials, [B·T, H].
    pub log_sums: &'a [f32],
}

/// Where the gradients go; what stood there is overwritten.
pub struct Gradients<'a> {
    /// Of the queries, [B·T, H, d].
    pub q: &'a mut [f32],
    /// Of the keys, [B·T, K, d].
    pub k: &'a mut [f32],
    /// Of the values, [B·T, K, d].
    pub v: &'a mut [f32],
}

/// What one task of the backward pass reads and writes.
pub struct Backward<'a> {
    place: Place,
    saved: Saved<'a>,
    gradient: &'a [f32],
    scale: f32,
    dq: Disjoint<'a, f32>,
    dk: Disjoint<'a, f32>,
    dv: Disjoint<'a, f32>,
}

/// The gradients of one key-value head in one sequence and of its query heads.
pub type BackwardBody = unsafe fn(&Backward<'_>);

/// The bodies of the backward pass.
pub static CAUSAL_ATTENTION_BACKWARD: Kernel<BackwardBody> = Kernel::new(
    "causal_attention_backward",
    &[
        (Isa::Scalar, scalar_backward),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, backward::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, backward::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, backward::body::<crate::lanes::Neon, 4, 1>),
    ],
);

/// The gradients of [`causal_attention`] with respect to its queries, keys and values, from the gradient of
/// its result.
///
/// # Shapes
/// `gradient [B·T, H, d]`; the others as their fields say.
///
/// # Panics
/// When the lengths do not fit the sequences, H is not a multiple of K, or d is 0.
pub fn causal_attention_backward(
    saved: Saved<'_>,
    gradient: &[f32],
    scale: f32,
    gradients: Gradients<'_>,
    s: Sequences,
) {
    let Gradients { q: dq, k: dk, v: dv } = &gradients;
    let queries = [saved.q.len(), saved.y.len(), gradient.len(), dq.len()];
    let keys = [saved.k.len(), saved.v.len(), dk.len(), dv.len()];
    s.check("causal_attention_backward", [&queries, &keys, &[saved.log_sums.len()]]);
    backward_with(CAUSAL_ATTENTION_BACKWARD.body(), (saved, gradient), scale, gradients, s);
}

fn backward_with(
    body: BackwardBody,
    (saved, gradient): (Saved<'_>, &[f32]),
    scale: f32,
    gradients: Gradients<'_>,
    s: Sequences,
) {
    let Gradients { q, k, v } = gradients;
    let (dq, dk, dv) = (Disjoint::new(q), Disjoint::new(k), Disjoint::new(v));
    s.for_each_group(5, &|place| {
        // SAFETY: as in `causal_attention`.
        unsafe { body(&Backward { place, saved, gradient, scale, dq, dk, dv }) };
    });
}

fn scalar(task: &Forward<'_>) {
    let place = task.place;
    for member in 0..place.group() {
        for token in 0..place.s.length {
            let query = &task.q[place.query(member, token)];
            let row = place.row(member, token);
            // SAFETY: the row of this head is this task's alone.
            let (y, log_sum) =
                unsafe { (task.y.part(place.query(member, token)), task.log_sums.part(row..row + 1)) };
            y.fill(0.0);
            let (mut greatest, mut sum) = (f32::NEG_INFINITY, 0.0);
            for past in 0..=token {
                let score = task.scale * dot(query, &task.k[place.key(past)]);
                let before = greatest;
                greatest = greatest.max(score);
                let shift = finite_shift(greatest);
                let (keep, weight) = ((before - shift).exp(), (score - shift).exp());
                sum = sum * keep + weight;
                for (y, value) in y.iter_mut().zip(&task.v[place.key(past)]) {
                    *y = *y * keep + weight * value;
                }
            }
            y.iter_mut().for_each(|y| *y *= inverse(sum));
            log_sum[0] = finite_shift(greatest) + sum.ln();
        }
    }
}

fn scalar_backward(task: &Backward<'_>) {
    let (place, saved) = (task.place, task.saved);
    for token in 0..place.s.length {
        // SAFETY: the key-value head is this task's alone, here and below.
        unsafe {
            task.dk.part(place.key(token)).fill(0.0);
            task.dv.part(place.key(token)).fill(0.0);
        }
    }
    for member in 0..place.group() {
        for token in 0..place.s.length {
            let here = place.query(member, token);
            let (query, gradient) = (&saved.q[here.clone()], &task.gradient[here.clone()]);
            let expected = dot(gradient, &saved.y[here.clone()]);
            let shift = finite_shift(saved.log_sums[place.row(member, token)]);
            // SAFETY: the row of this head is this task's alone.
            let dq = unsafe { task.dq.part(here) };
            dq.fill(0.0);
            for past in 0..=token {
                let (key, value) = (&saved.k[place.key(past)], &saved.v[place.key(past)]);
                let weight = (task.scale * dot(query, key) - shift).exp();
                let ds = task.scale * weight * (dot(gradient, value) - expected);
                // SAFETY: see above.
                let (dk, dv) = unsafe { (task.dk.part(place.key(past)), task.dv.part(place.key(past))) };
                add(dq, ds, key);
                add(dk, ds, query);
                add(dv, weight, gradient);
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `y += factor · x`.
fn add(y: &mut [f32], factor: f32, x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// What is subtracted from scores: their greatest or the logarithm of their sum, unless nothing has counted.
#[inline(always)]
fn finite_shift(shift: f32) -> f32 {
    if shift == f32::NEG_INFINITY { 0.0 } else { shift }
}

/// What a sum of weighted values is multiplied with; 0 if nothing counted.
#[inline(always)]
fn inverse(sum: f32) -> f32 {
    if sum == 0.0 { 0.0 } else { 1.0 / sum }
}

#[cfg(test)]
mod tests;
