//! Rounding 32 weights under the scale that their extremes ask for: no search, unless it is known what matters.
//!
//! Q4_0, Q4_1, Q5_0 and Q5_1 are written so, byte for byte as the GGML project's reference does, so that a file
//! made here is the file made there. Where it is known how much each column matters, their scales are searched as
//! those of other types: `search`.

use super::search::{self, Levels};
use crate::product::to_f16;

/// 32 codes under one scale, as half-precision bits.
pub(super) struct Scaled {
    pub scale: u16,
    pub codes: [u8; 32],
}

/// 32 codes under a scale and above a minimum, both as half-precision bits.
pub(super) struct Lifted {
    pub scale: u16,
    pub minimum: u16,
    pub codes: [u8; 32],
}

/// 0 for finite weights, else NaN, which a maximum loses but a sum of products with zero does not.
pub(super) fn not_finite(weights: &[f32]) -> f32 {
    weights.iter().fold(0.0, |sum, weight| sum + weight * 0.0)
}

/// Codes 0 to `2 · middle - 1` for `scale · (code - middle)`: the weight that is farthest from zero, the first of
/// several, gets code 0 exactly.
pub(super) fn scaled<L: Levels>(weights: &[f32], columns: Option<&[f32]>) -> Scaled {
    let middle = -L::LEAST;
    if let Some((scale, levels)) = columns.and_then(|_| search::scaled::<L>(weights, columns)) {
        return Scaled { scale, codes: levels.map(|level| (f32::from(level) + middle) as u8) };
    }
    let farther = |far: f32, weight: &f32| if weight.abs() > far.abs() { *weight } else { far };
    // A difference, because the scale of nothing but zeros is a negative zero there.
    let step = weights.iter().fold(0.0, farther) / -middle - not_finite(weights);
    let inverse = inverse(step);
    let code = |weight: f32| ((weight * inverse + (middle + 0.5)) as u8).min(2 * middle as u8 - 1);
    Scaled { scale: to_f16(step), codes: std::array::from_fn(|i| code(weights[i])) }
}

/// Codes 0 to the greatest level for `scale · code + minimum`, between the least weight and the greatest.
pub(super) fn lifted<L: Levels>(weights: &[f32], columns: Option<&[f32]>) -> Lifted {
    if let Some(searched) = columns.and_then(|_| search::lifted::<L>(weights, columns)) {
        return searched;
    }
    let least = weights.iter().fold(f32::INFINITY, |least, weight| least.min(*weight));
    let greatest = weights.iter().fold(f32::NEG_INFINITY, |greatest, weight| greatest.max(*weight));
    let step = (greatest - least) / L::GREATEST + not_finite(weights);
    let inverse = inverse(step);
    let code = |weight: f32| (((weight - least) * inverse + 0.5) as u8).min(L::GREATEST as u8);
    Lifted { scale: to_f16(step), minimum: to_f16(least), codes: std::array::from_fn(|i| code(weights[i])) }
}

fn inverse(step: f32) -> f32 {
    if step == 0.0 { 0.0 } else { 1.0 / step }
}
