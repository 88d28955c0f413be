//! A block of groups that have a scale each, themselves whole numbers under one scale of the block.
//!
//! The scale of the block is tried around that which puts the largest scale of a group on its outermost number;
//! under each, every group takes the best of the three whole numbers around its own scale. Then the scale of the
//! block is fitted to the levels found, and the groups choose again.

use super::{BLOCK, Group, Levels, NONE, inverse};
use crate::product::{from_f16, to_f16};

/// What the block's scale puts the largest scale on, counted from the outermost whole number.
const STARTS: usize = 6;

/// Weight i of group g is `scale · scales[g] · values[i]`; the scale is half-precision bits.
pub struct Symmetric<const GROUPS: usize> {
    pub scale: u16,
    pub scales: [i8; GROUPS],
    pub values: [i8; BLOCK],
}

/// Searches the levels `L` under scales among `S` that stand nearest to 256 weights.
pub fn symmetric<L: Levels, S: Levels, const GROUPS: usize>(
    weights: &[f32],
    columns: Option<&[f32]>,
) -> Symmetric<GROUPS> {
    let mut importance = [0.0; BLOCK];
    let mut made = Symmetric { scale: NONE, scales: [0; GROUPS], values: [0; BLOCK] };
    let Some(block) = Group::whole(weights, columns, &mut importance) else { return made };
    let search = Search::<GROUPS> { groups: std::array::from_fn(|group| block.part(group, BLOCK / GROUPS)) };
    let best = search.best::<L, S>();
    made.scale = best.scale;
    for (group, values) in made.values.chunks_exact_mut(BLOCK / GROUPS).enumerate() {
        let mut levels = [0.0; BLOCK];
        let levels = &mut levels[..values.len()];
        search.groups[group].levels::<L>((best.step(group), 0.0), levels);
        values.iter_mut().zip(levels).for_each(|(value, level)| *value = *level as i8);
        made.scales[group] = best.scales[group] as i8;
    }
    made
}

struct Search<'a, const GROUPS: usize> {
    groups: [Group<'a>; GROUPS],
}

/// Scales and their error.
struct Choice<const GROUPS: usize> {
    scale: u16,
    scales: [f32; GROUPS],
    error: f32,
}

impl<const GROUPS: usize> Choice<GROUPS> {
    fn step(&self, group: usize) -> f32 {
        from_f16(self.scale) * self.scales[group]
    }
}

impl<const GROUPS: usize> Search<'_, GROUPS> {
    fn best<L: Levels, S: Levels>(&self) -> Choice<GROUPS> {
        let wanted = self.groups.map(Group::scale::<L>);
        let largest = wanted.iter().fold(0.0, |far: f32, x| if x.abs() > far.abs() { *x } else { far });
        let mut best = self.choose::<L, S>(to_f16(largest / S::LEAST), &wanted);
        for start in 1..STARTS {
            let scale = to_f16(largest / (S::LEAST + start as f32));
            best = nearer(best, self.choose::<L, S>(scale, &wanted));
        }
        let fitted = self.fitted::<L>(&best);
        let steps = std::array::from_fn(|group| best.step(group));
        nearer(best, self.choose::<L, S>(to_f16(fitted), &steps))
    }

    /// The best scale of each group near those wanted, under a scale of the block.
    fn choose<L: Levels, S: Levels>(&self, scale: u16, wanted: &[f32; GROUPS]) -> Choice<GROUPS> {
        let unit = from_f16(scale);
        let mut choice = Choice { scale, scales: [0.0; GROUPS], error: 0.0 };
        for (group, weights) in self.groups.iter().enumerate() {
            let middle = S::nearest(wanted[group] * inverse(unit));
            let mut least = f32::INFINITY;
            for near in [0.0, -1.0, 1.0].map(|step| S::nearest(middle + step)) {
                let error = weights.error::<L>((unit * near, 0.0));
                if error < least {
                    (least, choice.scales[group]) = (error, near);
                }
            }
            choice.error += least;
        }
        choice
    }

    /// The block's scale that fits the levels of a choice best.
    fn fitted<L: Levels>(&self, choice: &Choice<GROUPS>) -> f32 {
        let (mut product, mut square) = (0.0, 0.0);
        for (group, weights) in self.groups.iter().enumerate() {
            let [of_product, of_square] = weights.moments::<L>(inverse(choice.step(group)));
            let scale = choice.scales[group];
            product += of_product * scale;
            square += of_square * scale * scale;
        }
        if square > 0.0 { product / square } else { 0.0 }
    }
}

fn nearer<const GROUPS: usize>(a: Choice<GROUPS>, b: Choice<GROUPS>) -> Choice<GROUPS> {
    if b.error < a.error { b } else { a }
}
