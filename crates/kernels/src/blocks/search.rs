//! The search for scales: which codes, under which scale, stand nearest to given weights.
//!
//! Nearest is the least `Σ wᵢ (xᵢ - yᵢ)²` over the weights x and what their codes widen to, y, with
//! `wᵢ = 1 + xᵢ² / σ²`, σ² being the mean square of the block: without knowing what a weight is multiplied with,
//! every error counts, and that of a large weight more, because an input that matters tends to have large weights. Where
//! it is known how much each column of the matrix matters, mᵢ, because what it is multiplied with was measured:
//! `wᵢ = mᵢ · √(1 + xᵢ² / σ²)`, mᵢ taken relative to its mean over the block, see [`Group::whole`].
//!
//! One group of weights under one scale: a candidate scale gives each weight its nearest level; for those levels the
//! best scale follows in closed form (least squares); the candidates are scales around that which puts the farthest
//! weight on the outermost level, and from the best of them the two steps alternate. The types with two levels of
//! scales build on that: [`symmetric`] where a group has a scale, [`affine`] where it has a minimum too.
//!
//! Does not: measure what matters. Types that are written by plain rounding are searched only where that is known.
//! Deterministic: sums run over sixteen lanes in one order. An own design; that scales are searched by weighted least
//! squares, and that a measured importance counts times the root, is common knowledge of the GGML project and of the
//! literature on quantisation (S. Lloyd, 1982, alternates the same way).

mod affine;
mod symmetric;

pub(super) use affine::{Affine, affine, lifted};
pub(super) use symmetric::{Symmetric, symmetric};

use super::plain::{Lifted, not_finite};
use crate::product::{from_f16, to_f16};

/// Weights of a block in two levels of scales.
const BLOCK: usize = 256;
/// The bits of a half-precision number that is none: the scale of a block that no scale fits.
pub(super) const NONE: u16 = 0x7e00;
/// No type reaches beyond 2²⁸, a scale of 2¹⁶ with codes and scales of codes of 12 bits together; squares of
/// squares of numbers up to here are still far from the end of f32.
const BEYOND: f32 = 1e9;

/// What a column counts that what was measured never reached, as a share of the mean: a text is never all that a
/// model reads.
const UNSEEN: f32 = 0.01;

/// Candidate scales on each side of that which fits the farthest weight.
const REACH: i32 = 8;
/// How far they stand apart, relatively.
const STRIDE: f32 = 1.0 / 40.0;
/// How often levels and scale are fitted to each other after the best candidate is known.
const ALTERNATIONS: usize = 2;

/// The numbers that codes stand for, before scaling.
pub(super) trait Levels: Copy {
    const LEAST: f32;
    const GREATEST: f32;

    /// The level nearest to a number; for infinity the outermost.
    fn nearest(x: f32) -> f32;
}

/// Whole numbers in a range.
#[derive(Clone, Copy)]
pub(super) struct Whole<const LEAST: i32, const GREATEST: i32>;

impl<const LEAST: i32, const GREATEST: i32> Levels for Whole<LEAST, GREATEST> {
    const LEAST: f32 = LEAST as f32;
    const GREATEST: f32 = GREATEST as f32;

    #[inline(always)]
    fn nearest(x: f32) -> f32 {
        /// 1.5 · 2²³: added to a small number, it leaves no fraction, rounded to the nearest as f32 rounds.
        const ALIGNER: f32 = 12_582_912.0;
        x.clamp(Self::LEAST, Self::GREATEST) + ALIGNER - ALIGNER
    }
}

/// Some weights and how much the error of each counts.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    weights: &'a [f32],
    importance: &'a [f32],
}

impl<'a> Group<'a> {
    /// The weights of a block, how much their columns matter where that is known, and room for what each counts.
    /// `None` where a weight is not finite or too large for every type. Columns none of which matter matter alike.
    pub fn whole(weights: &'a [f32], columns: Option<&[f32]>, importance: &'a mut [f32]) -> Option<Self> {
        let squares: f32 = weights.iter().map(|weight| weight * weight).sum();
        let is_within = weights.iter().all(|weight| weight.abs() < BEYOND);
        if not_finite(weights).is_nan() || !is_within {
            return None;
        }
        let mean = squares / weights.len() as f32;
        let inverse = if mean > 0.0 { (1.0 / mean).min(f32::MAX) } else { 0.0 };
        importance.iter_mut().zip(weights).for_each(|(to, weight)| *to = 1.0 + weight * weight * inverse);
        if let Some(columns) = columns {
            let all = importance.iter_mut().zip(relative(columns));
            all.for_each(|(to, column)| *to = column * to.sqrt());
        }
        Some(Self { weights, importance })
    }

    /// Group `index` of several of one length.
    fn part(self, index: usize, length: usize) -> Self {
        let range = index * length..(index + 1) * length;
        Self { weights: &self.weights[range.clone()], importance: &self.importance[range] }
    }

    /// The weight that is farthest from zero.
    fn farthest(self) -> f32 {
        self.weights.iter().fold(0.0, |far: f32, x| if x.abs() > far.abs() { *x } else { far })
    }

    /// The scale under which `level · scale` stands nearest to the weights.
    pub fn scale<L: Levels>(self) -> f32 {
        let farthest = self.farthest();
        let mut best = Fit { explained: 0.0, scale: 0.0 };
        if farthest == 0.0 {
            return best.scale;
        }
        for outermost in [L::LEAST, L::GREATEST] {
            for step in -REACH..=REACH {
                let inverse = outermost * (1.0 + step as f32 * STRIDE) / farthest;
                best = best.or(self.fit::<L>(inverse));
            }
        }
        for _ in 0..ALTERNATIONS {
            best = best.or(self.fit::<L>(inverse(best.scale)));
        }
        best.scale
    }

    /// The best scale for the levels nearest to `weight · inverse`.
    fn fit<L: Levels>(self, inverse: f32) -> Fit {
        let [product, square] = self.moments::<L>(inverse);
        match square > 0.0 {
            true => Fit { explained: product * product / square, scale: product / square },
            false => Fit { explained: 0.0, scale: 0.0 },
        }
    }

    /// `Σ w x l` and `Σ w l²` over the levels l nearest to `weight · inverse`.
    fn moments<L: Levels>(self, inverse: f32) -> [f32; 2] {
        self.sums(|x, importance| {
            let level = L::nearest(x * inverse);
            [importance * x * level, importance * level * level]
        })
    }

    /// The error of the levels nearest under a step and above a minimum.
    fn error<L: Levels>(self, (step, minimum): (f32, f32)) -> f32 {
        let inverse = inverse(step);
        let [error] = self.sums(|x, importance| {
            let miss = x - (step * L::nearest((x + minimum) * inverse) - minimum);
            [importance * miss * miss]
        });
        error
    }

    /// Writes the level nearest to each weight under a step and above a minimum.
    pub fn levels<L: Levels>(self, (step, minimum): (f32, f32), to: &mut [f32]) {
        let inverse = inverse(step);
        to.iter_mut().zip(self.weights).for_each(|(to, x)| *to = L::nearest((x + minimum) * inverse));
    }

    /// Sums of `term(weight, importance)`, each over sixteen lanes, so that they become vector code.
    #[inline(always)]
    fn sums<const N: usize>(self, term: impl Fn(f32, f32) -> [f32; N]) -> [f32; N] {
        let mut lanes = [[0.0; 16]; N];
        let (weights, importance) = (self.weights.as_chunks::<16>().0, self.importance.as_chunks::<16>().0);
        for (weights, importance) in weights.iter().zip(importance) {
            for lane in 0..16 {
                let terms = term(weights[lane], importance[lane]);
                for n in 0..N {
                    lanes[n][lane] += terms[n];
                }
            }
        }
        lanes.map(|lanes| lanes.iter().sum())
    }
}

/// How much columns of a block matter, relative to their mean; alike where none does.
pub(super) fn relative(columns: &[f32]) -> impl Iterator<Item = f32> {
    // In f64 the sum of numbers of f32 stays finite.
    let mean = columns.iter().map(|column| f64::from(*column)).sum::<f64>() / columns.len() as f64;
    let share = move |column: f32| if mean > 0.0 { (f64::from(column) / mean) as f32 } else { 1.0 };
    columns.iter().map(move |column| share(*column) + UNSEEN)
}

/// One scale for 32 weights, as half-precision bits, and their levels; `None` as in [`Group::whole`].
pub(super) fn scaled<L: Levels>(weights: &[f32], columns: Option<&[f32]>) -> Option<(u16, [i8; 32])> {
    let mut importance = [0.0; 32];
    let group = Group::whole(weights, columns, &mut importance)?;
    let scale = to_f16(group.scale::<L>());
    let mut levels = [0.0; 32];
    group.levels::<L>((from_f16(scale), 0.0), &mut levels);
    Some((scale, levels.map(|level| level as i8)))
}

/// A scale and how much of the weighted square sum it explains.
#[derive(Clone, Copy)]
struct Fit {
    explained: f32,
    scale: f32,
}

impl Fit {
    fn or(self, other: Self) -> Self {
        if other.explained > self.explained { other } else { self }
    }
}

fn inverse(step: f32) -> f32 {
    if step == 0.0 { 0.0 } else { 1.0 / step }
}
