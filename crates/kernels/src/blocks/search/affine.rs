//! A block of groups that have a scale and a minimum each, whole numbers under two scales of the block.
//!
//! A group is fitted by a line: candidate scales, each with the levels nearest to the weights above their minimum,
//! give the best scale and minimum for those levels in closed form. Then as in [`super::symmetric`], with the nine
//! pairs of whole numbers around each group's scale and minimum, and both scales of the block fitted together.

use super::{ALTERNATIONS, BLOCK, Group, Levels, Lifted, NONE, REACH, STRIDE, inverse};
use crate::product::{from_f16, to_f16};

/// What the block's scales put the largest scale and minimum on, counted from the greatest whole number.
const STARTS: usize = 3;
/// Below this share of what it could be, the spread of levels is too small to tell a scale from a minimum.
const LEAST_SPREAD: f64 = 1e-6;

/// Weight i of group g is `scale · scales[g] · codes[i] - minimum · minima[g]`; scale and minimum are half-precision
/// bits.
pub struct Affine<const GROUPS: usize> {
    pub scale: u16,
    pub minimum: u16,
    pub scales: [u8; GROUPS],
    pub minima: [u8; GROUPS],
    pub codes: [u8; BLOCK],
}

/// Searches the levels `L` (from 0) under a scale and above a minimum of any sign that stand nearest to 32 weights;
/// `None` as in [`Group::whole`].
pub fn lifted<L: Levels>(weights: &[f32], columns: Option<&[f32]>) -> Option<Lifted> {
    let mut importance = [0.0; 32];
    let group = Group::whole(weights, columns, &mut importance)?;
    let greatest = weights.iter().fold(f32::NEG_INFINITY, |greatest, x| greatest.max(*x));
    // Below the greatest weight every minimum is one below zero.
    let below: [f32; 32] = std::array::from_fn(|place| weights[place] - greatest);
    let (scale, minimum) = Group { weights: &below, ..group }.line::<L>();
    let (scale, minimum) = (to_f16(scale), to_f16(greatest - minimum));
    let mut levels = [0.0; 32];
    group.levels::<L>((from_f16(scale), -from_f16(minimum)), &mut levels);
    Some(Lifted { scale, minimum, codes: levels.map(|level| level as u8) })
}

/// Searches the levels `L` (from 0) under scales and minima among `S` (from 0) that stand nearest to 256 weights.
pub fn affine<L: Levels, S: Levels, const GROUPS: usize>(
    weights: &[f32],
    columns: Option<&[f32]>,
) -> Affine<GROUPS> {
    let mut importance = [0.0; BLOCK];
    let none = [0; GROUPS];
    let mut made = Affine { scale: NONE, minimum: NONE, scales: none, minima: none, codes: [0; BLOCK] };
    let Some(block) = Group::whole(weights, columns, &mut importance) else { return made };
    let search = Search::<GROUPS> { groups: std::array::from_fn(|group| block.part(group, BLOCK / GROUPS)) };
    let best = search.best::<L, S>();
    (made.scale, made.minimum) = (best.scale, best.minimum);
    for (group, codes) in made.codes.chunks_exact_mut(BLOCK / GROUPS).enumerate() {
        let mut levels = [0.0; BLOCK];
        let levels = &mut levels[..codes.len()];
        search.groups[group].levels::<L>(best.line(group), levels);
        codes.iter_mut().zip(levels).for_each(|(code, level)| *code = *level as u8);
        let (scale, minimum) = best.pairs[group];
        (made.scales[group], made.minima[group]) = (scale as u8, minimum as u8);
    }
    made
}

impl Group<'_> {
    /// The scale and the minimum, at least 0, with which `level · scale - minimum` stands nearest to the weights.
    fn line<L: Levels>(self) -> (f32, f32) {
        let least = self.weights.iter().fold(0.0f32, |least, x| least.min(*x));
        let greatest = self.weights.iter().fold(f32::NEG_INFINITY, |greatest, x| greatest.max(*x));
        let extent = greatest - least;
        if extent <= 0.0 {
            return (0.0, -least);
        }
        let mut best = Line { error: f64::INFINITY, scale: extent / L::GREATEST, minimum: -least };
        for step in -REACH..=REACH {
            let inverse = L::GREATEST * (1.0 + step as f32 * STRIDE) / extent;
            best = best.or(self.fit_line::<L>(inverse, -least));
        }
        for _ in 0..ALTERNATIONS {
            best = best.or(self.fit_line::<L>(inverse(best.scale), best.minimum));
        }
        (best.scale, best.minimum)
    }

    /// The best line through the levels nearest to `(weight + offset) · inverse`.
    fn fit_line<L: Levels>(self, inverse: f32, offset: f32) -> Line {
        let sums = self.sums(|x, w| {
            // Above the offset little is lost where weights lie close together, far from zero.
            let y = x + offset;
            let level = L::nearest(y * inverse);
            [w, w * level, w * level * level, w * y, w * y * level, w * y * y]
        });
        let [w, l, ll, y, yl, yy] = sums.map(f64::from);
        let offset = f64::from(offset);
        let spread = w * ll - l * l;
        let scale = (w * yl - y * l) / spread;
        // y = scale · level - more
        let more = (scale * l - y) / w;
        let is_line = spread > LEAST_SPREAD * w * ll && offset + more >= 0.0;
        let (scale, more) = match ll > 0.0 {
            _ if is_line => (scale, more),
            true => ((yl - offset * l) / ll, -offset),
            false => (0.0, -y / w),
        };
        let error = yy - 2.0 * scale * yl + 2.0 * more * y + scale * scale * ll - 2.0 * scale * more * l
            + more * more * w;
        Line { error, scale: scale as f32, minimum: (offset + more).max(0.0) as f32 }
    }
}

#[derive(Clone, Copy)]
struct Line {
    error: f64,
    scale: f32,
    minimum: f32,
}

impl Line {
    fn or(self, other: Self) -> Self {
        if other.error < self.error { other } else { self }
    }
}

struct Search<'a, const GROUPS: usize> {
    groups: [Group<'a>; GROUPS],
}

/// Scales and minima and their error.
struct Choice<const GROUPS: usize> {
    scale: u16,
    minimum: u16,
    pairs: [(f32, f32); GROUPS],
    error: f32,
}

impl<const GROUPS: usize> Choice<GROUPS> {
    /// Step and minimum of a group.
    fn line(&self, group: usize) -> (f32, f32) {
        let (scale, minimum) = self.pairs[group];
        (from_f16(self.scale) * scale, from_f16(self.minimum) * minimum)
    }
}

impl<const GROUPS: usize> Search<'_, GROUPS> {
    fn best<L: Levels, S: Levels>(&self) -> Choice<GROUPS> {
        let wanted = self.groups.map(Group::line::<L>);
        let largest =
            wanted.iter().fold((0.0f32, 0.0f32), |far, line| (far.0.max(line.0), far.1.max(line.1)));
        let start = |start: usize| {
            let outermost = S::GREATEST - start as f32;
            let units = (to_f16(largest.0 / outermost), to_f16(largest.1 / outermost));
            self.again::<L, S>(self.choose::<L, S>(units, &wanted))
        };
        let mut best = start(0);
        for later in (1..STARTS).map(start) {
            best = nearer(best, later);
        }
        self.again::<L, S>(best)
    }

    /// A choice, or the better one with the block's scales fitted to it.
    fn again<L: Levels, S: Levels>(&self, choice: Choice<GROUPS>) -> Choice<GROUPS> {
        let (scale, minimum) = self.fitted::<L>(&choice);
        let lines = std::array::from_fn(|group| choice.line(group));
        nearer(choice, self.choose::<L, S>((to_f16(scale), to_f16(minimum)), &lines))
    }

    /// The best scale and minimum of each group near those wanted, under scales of the block.
    fn choose<L: Levels, S: Levels>(
        &self,
        (scale, minimum): (u16, u16),
        wanted: &[(f32, f32); GROUPS],
    ) -> Choice<GROUPS> {
        let units = (from_f16(scale), from_f16(minimum));
        let mut choice = Choice { scale, minimum, pairs: [(0.0, 0.0); GROUPS], error: 0.0 };
        for (group, weights) in self.groups.iter().enumerate() {
            let near = |wanted: f32, unit: f32| {
                let middle = S::nearest(wanted * inverse(unit));
                [0.0, -1.0, 1.0].map(|step| S::nearest(middle + step))
            };
            let minima = near(wanted[group].1, units.1);
            let mut least = f32::INFINITY;
            for scale in near(wanted[group].0, units.0) {
                for minimum in minima {
                    let error = weights.error::<L>((units.0 * scale, units.1 * minimum));
                    if error < least {
                        (least, choice.pairs[group]) = (error, (scale, minimum));
                    }
                }
            }
            choice.error += least;
        }
        choice
    }

    /// The block's scale and minimum that fit the levels of a choice best.
    fn fitted<L: Levels>(&self, choice: &Choice<GROUPS>) -> (f32, f32) {
        // Over a = scale · level and b = minimum: x = u · a - v · b.
        let (mut aa, mut ab, mut bb, mut xa, mut xb) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (group, weights) in self.groups.iter().enumerate() {
            let (scale, minimum) = choice.pairs[group];
            let (step, offset) = choice.line(group);
            let inverse = inverse(step);
            let sums = weights.sums(|x, w| {
                let level = L::nearest((x + offset) * inverse);
                [w, w * level, w * level * level, w * x, w * x * level]
            });
            let [w, l, ll, x, xl] = sums.map(f64::from);
            let (scale, minimum) = (f64::from(scale), f64::from(minimum));
            aa += ll * scale * scale;
            ab += l * scale * minimum;
            bb += w * minimum * minimum;
            xa += xl * scale;
            xb += x * minimum;
        }
        let spread = aa * bb - ab * ab;
        if spread > LEAST_SPREAD * aa * bb {
            let scale = (xa * bb - ab * xb) / spread;
            return (scale as f32, ((ab * scale - xb) / bb) as f32);
        }
        (if aa > 0.0 { (xa / aa) as f32 } else { 0.0 }, 0.0)
    }
}

fn nearer<const GROUPS: usize>(a: Choice<GROUPS>, b: Choice<GROUPS>) -> Choice<GROUPS> {
    if b.error < a.error { b } else { a }
}
