//! The output head and its loss in one: `logits = x · Wᵀ`, `loss = ln Σ exp(logits) - logits[target]` for each
//! row, and the gradients of both operands. Rows go in chunks, so that the whole [R, V] of logits, by far the
//! largest tensor of a training step, never exists; a chunk's logits become their own gradient in place.
//!
//! Adds no losses up and smooths no labels. A row that is ignored costs nothing: only the others are
//! gathered and multiplied. A row whose logits hold NaN or plus infinity gives NaN. The products are those of
//! [`crate::product`]; beyond theirs, the largest error of a loss is 1e-6 and one of its own 2^-23, that of a
//! gradient 4e-6 of the softmax. How many rows a chunk has changes no bit where the products are f32.

use std::cell::Cell;

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;
use crate::product::{
    How, Into, Precision, Shape, product_backward_input, product_backward_weights, training_product,
};

/// The target of a row that does not count.
pub const IGNORED: u32 = u32::MAX;

/// What becomes of a row of logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Nothing that is used again.
    Loss,
    /// The gradient of the row's loss, times a factor.
    Gradient(f32),
}

/// The loss of one row of logits, which is not empty, for a target among them.
pub type Body = unsafe fn(&mut [f32], usize, Goal) -> f32;

/// The bodies for one row.
pub static CROSS_ENTROPY: Kernel<Body> = Kernel::new(
    "cross_entropy",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::body::<crate::lanes::Neon>),
    ],
);

/// The rows that go into the head, its weights, and what each row should have said.
#[derive(Clone, Copy, Debug)]
pub struct HeadLoss<'a> {
    /// The last hidden states, [R, D].
    pub x: &'a [f32],
    /// The head, or the embedding that it is tied to, [V, D].
    pub weights: &'a [f32],
    /// For each of the R rows the index of its target among V, or [`IGNORED`].
    pub targets: &'a [u32],
}

/// The loss of every row; 0 where it is ignored.
///
/// # Shapes
/// `losses [R]`; the others as their fields say.
///
/// # Panics
/// When the lengths do not fit together, or a target is neither below V nor [`IGNORED`].
pub fn head_loss(input: &HeadLoss<'_>, precision: Precision, losses: &mut [f32]) {
    let head = Head::new("head_loss", input, precision, CROSS_ENTROPY.body());
    head.for_each_chunk(Goal::Loss, losses, |_, _| {});
}

/// The loss of every row, and the gradients of `factor · Σ losses`: `dx` is overwritten (with zeros where a
/// row is ignored), `dw` is overwritten or added to, as `how` says.
///
/// # Shapes
/// `losses [R]`, `dx [R, D]`, `dw [V, D]`.
///
/// # Panics
/// As [`head_loss`].
pub fn head_loss_with_gradients(
    input: &HeadLoss<'_>,
    how: How,
    losses: &mut [f32],
    dx: &mut [f32],
    dw: &mut [f32],
    factor: f32,
) {
    let head = Head::new("head_loss_with_gradients", input, how.precision, CROSS_ENTROPY.body());
    head.loss_with_gradients(losses, dx, (dw, how.into), factor);
}

/// Bytes of the logits of a chunk, unless it would have fewer than `LEAST_ROWS`.
const CHUNK_BYTES: usize = 32 << 20;
/// Each chunk reads all weights three times: with fewer rows that would outweigh the arithmetic.
const LEAST_ROWS: usize = 64;
/// Measured at R 2048, D 288, V 4096: 64 rows reach 63 % of the peak, 128 reach 71 %, 256 and 512 reach 75 %.
const MOST_ROWS: usize = 512;

/// One call: its input, its sizes, and the body for a row.
struct Head<'a> {
    input: &'a HeadLoss<'a>,
    precision: Precision,
    body: Body,
    /// D.
    width: usize,
    /// V.
    vocabulary: usize,
    /// The rows that are not ignored.
    counted: Vec<usize>,
}

/// Rows that are computed together, gathered without those between them that are ignored.
#[derive(Default)]
struct Chunk {
    /// [rows, D].
    x: Vec<f32>,
    /// Logits, or their gradients, [rows, V].
    logits: Vec<f32>,
    /// [rows, D].
    dx: Vec<f32>,
}

thread_local! {
    /// Kept from call to call, at most a chunk; taken out while in use.
    static CHUNK: Cell<Chunk> =
        const { Cell::new(Chunk { x: Vec::new(), logits: Vec::new(), dx: Vec::new() }) };
}

impl<'a> Head<'a> {
    fn new(name: &str, input: &'a HeadLoss<'a>, precision: Precision, body: Body) -> Self {
        let HeadLoss { x, weights, targets } = input;
        let width = x.len() / targets.len().max(1);
        assert_eq!(width * targets.len(), x.len(), "{name}: {} x of {} rows", x.len(), targets.len());
        let vocabulary = weights.len() / width.max(1);
        let fits = targets.is_empty() || width > 0 && vocabulary * width == weights.len();
        assert!(fits, "{name}: {} weights of rows of {width}", weights.len());
        let is_wrong = |target: &&u32| **target != IGNORED && **target as usize >= vocabulary;
        let wrong = targets.iter().find(is_wrong);
        assert_eq!(wrong, None, "{name}: a target is among {vocabulary}");
        let counted = (0..targets.len()).filter(|row| targets[*row] != IGNORED).collect();
        Self { input, precision, body, width, vocabulary, counted }
    }

    fn loss_with_gradients(
        &self,
        losses: &mut [f32],
        dx: &mut [f32],
        (dw, mut into): (&mut [f32], Into),
        factor: f32,
    ) {
        let HeadLoss { x, weights, targets } = self.input;
        assert_eq!(dx.len(), x.len(), "head_loss_with_gradients: x and dx differ in length");
        assert_eq!(dw.len(), weights.len(), "head_loss_with_gradients: weights and dw differ in length");
        let width = self.width;
        for (row, _) in targets.iter().enumerate().filter(|(_, target)| **target == IGNORED) {
            dx[row * width..(row + 1) * width].fill(0.0);
        }
        if self.counted.is_empty() && into == Into::Replace {
            dw.fill(0.0);
        }
        self.for_each_chunk(Goal::Gradient(factor), losses, |rows, chunk| {
            let shape = self.shape(rows);
            let how = |into| How { precision: self.precision, into };
            let Chunk { x, logits, dx: packed } = chunk;
            packed.resize(x.len(), 0.0);
            product_backward_input(how(Into::Replace), logits, *weights, packed, shape);
            for (row, from) in rows.iter().zip(packed.chunks_exact(width)) {
                dx[row * width..(row + 1) * width].copy_from_slice(from);
            }
            product_backward_weights(how(into), logits, x, dw, shape);
            into = Into::Add;
        });
    }

    /// Computes the logits and losses of every chunk, makes of the logits what the goal wants, and calls
    /// `then` with the chunk and its rows.
    fn for_each_chunk(&self, goal: Goal, losses: &mut [f32], mut then: impl FnMut(&[usize], &mut Chunk)) {
        assert_eq!(losses.len(), self.input.targets.len(), "head_loss: losses and targets differ in length");
        losses.fill(0.0);
        let mut chunk = CHUNK.take();
        for rows in self.counted.chunks(self.rows_at_once()) {
            self.logits(rows, &mut chunk);
            self.losses(rows, goal, &mut chunk.logits, losses);
            then(rows, &mut chunk);
        }
        CHUNK.set(chunk);
    }

    fn rows_at_once(&self) -> usize {
        (CHUNK_BYTES / 4 / self.vocabulary.max(1)).clamp(LEAST_ROWS, MOST_ROWS)
    }

    fn shape(&self, rows: &[usize]) -> Shape {
        Shape { rows: rows.len(), inner: self.width, outer: self.vocabulary }
    }

    fn logits(&self, rows: &[usize], chunk: &mut Chunk) {
        chunk.x.clear();
        for row in rows {
            chunk.x.extend_from_slice(&self.input.x[row * self.width..(row + 1) * self.width]);
        }
        chunk.logits.resize(rows.len() * self.vocabulary, 0.0);
        let how = How { precision: self.precision, into: Into::Replace };
        training_product(how, &chunk.x, self.input.weights, &mut chunk.logits, self.shape(rows));
    }

    fn losses(&self, rows: &[usize], goal: Goal, logits: &mut [f32], losses: &mut [f32]) {
        let (logits, losses) = (Disjoint::new(logits), Disjoint::new(losses));
        pool::run_ranges(rows.len(), LOGITS_PER_TASK.div_ceil(self.vocabulary), &|range| {
            for place in range {
                let (row, first) = (rows[place], place * self.vocabulary);
                let target = self.input.targets[row] as usize;
                // SAFETY: rows do not overlap, the table holds only bodies that this machine can run, and
                // the target was checked.
                unsafe {
                    let logits = logits.part(first..first + self.vocabulary);
                    losses.part(row..row + 1)[0] = (self.body)(logits, target, goal);
                }
            }
        });
    }
}

/// Logits that one task handles at least: about 5 µs of one core.
const LOGITS_PER_TASK: usize = 8 * 1024;

fn scalar(logits: &mut [f32], target: usize, goal: Goal) -> f32 {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let below = greatest - logits[target];
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - greatest).exp();
        sum += *logit;
    }
    if let Goal::Gradient(factor) = goal {
        logits.iter_mut().for_each(|weight| *weight *= factor / sum);
        logits[target] -= factor;
    }
    sum.ln() + below
}

mod vector {
    use super::Goal;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, exp_normal, load_up_to, store_up_to};

    /// Vectors side by side: enough sums that none waits for another.
    const CHAINS: usize = 4;

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(logits: &mut [f32], target: usize, goal: Goal) -> f32 {
        // SAFETY: this function has the features.
        unsafe { body::<Avx2>(logits, target, goal) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(logits: &mut [f32], target: usize, goal: Goal) -> f32 {
        // SAFETY: as above.
        unsafe { body::<Avx512>(logits, target, goal) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(logits: &mut [f32], target: usize, goal: Goal) -> f32 {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let greatest = greatest::<V>(logits);
            let below = greatest - logits[target];
            let sum = weigh::<V>(logits, greatest);
            if let Goal::Gradient(factor) = goal {
                scale::<V>(logits, factor / sum);
                logits[target] -= factor;
            }
            sum.ln() + below
        }
    }

    /// The greatest that is not NaN.
    #[inline(always)]
    unsafe fn greatest<V: Lanes>(logits: &[f32]) -> f32 {
        let (from, length) = (logits.as_ptr(), logits.len());
        let whole = length - length % (CHAINS * LANES);
        // SAFETY: no lane goes beyond.
        unsafe {
            let mut greatest = [V::splat(f32::NEG_INFINITY); CHAINS];
            for start in (0..whole).step_by(CHAINS * LANES) {
                for chain in 0..CHAINS {
                    // NaN loses here (the second operand wins) and shows again in the exponentials.
                    greatest[chain] = V::load(from.add(start + chain * LANES)).max(greatest[chain]);
                }
            }
            let [a, b, c, d] = greatest;
            let rest = logits[whole..].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            a.max(b).max(c.max(d)).greatest().max(rest)
        }
    }

    /// Turns logits into exponentials of their distance from the greatest; returns their sum.
    #[inline(always)]
    unsafe fn weigh<V: Lanes>(logits: &mut [f32], greatest: f32) -> f32 {
        let (to, length) = (logits.as_mut_ptr(), logits.len());
        let whole = length - length % (CHAINS * LANES);
        // SAFETY: no lane goes beyond.
        unsafe {
            let shift = V::splat(greatest);
            let mut sums = [V::splat(0.0); CHAINS];
            for start in (0..whole).step_by(CHAINS * LANES) {
                for chain in 0..CHAINS {
                    let to = to.add(start + chain * LANES);
                    let weight = exp_normal(V::load(to).sub(shift));
                    weight.store(to);
                    sums[chain] = sums[chain].add(weight);
                }
            }
            for start in (whole..length).step_by(LANES) {
                let weight = exp_normal(load_up_to::<V, f32>(to, start, length).sub(shift));
                store_up_to(weight, to, start, length);
                // Read again, because the lanes behind the last logit are not 0 before.
                sums[0] = sums[0].add(load_up_to(to.cast_const(), start, length));
            }
            let [a, b, c, d] = sums;
            a.add(b).add(c.add(d)).sum()
        }
    }

    #[inline(always)]
    unsafe fn scale<V: Lanes>(weights: &mut [f32], factor: f32) {
        let (to, length) = (weights.as_mut_ptr(), weights.len());
        for start in (0..length).step_by(LANES) {
            // SAFETY: no lane goes beyond.
            unsafe {
                let weight: V = load_up_to(to.cast_const(), start, length);
                store_up_to(weight.mul(V::splat(factor)), to, start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests;
