//! Pictures as a model or a lossy file would leave them: blurred, noisy, with the wobble of blocks.
//!
//! Serves to measure how much the check bears.

use crate::picture::{Picture, SIDE};
use base::Rng;

/// What is done to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wear {
    None,
    /// Gaussian noise of a standard deviation of 6 in each channel.
    Noise,
    /// A Gaussian blur of a standard deviation of one pixel.
    Blur,
    /// The cosine coefficients of blocks of eight by eight pixels, rounded as JPEG does at a quality of about 50.
    Blocks,
    /// Half the blur, the blocks, then the noise.
    All,
}

/// The names that the command line knows.
pub const NAMES: [(&str, Wear); 5] = [
    ("none", Wear::None),
    ("noise", Wear::Noise),
    ("blur", Wear::Blur),
    ("blocks", Wear::Blocks),
    ("all", Wear::All),
];

/// The picture after it.
pub fn worn(picture: Picture, wear: Wear, rng: &mut Rng) -> Picture {
    match wear {
        Wear::None => picture,
        Wear::Noise => noisy(picture, rng),
        Wear::Blur => blurred(picture, 1.0),
        Wear::Blocks => in_blocks(picture),
        Wear::All => noisy(in_blocks(blurred(picture, 0.5)), rng),
    }
}

fn noisy(mut picture: Picture, rng: &mut Rng) -> Picture {
    for channel in picture.pixels.as_flattened_mut() {
        *channel = (*channel + 6.0 * rng.normal() as f32).clamp(0.0, 255.0);
    }
    picture
}

/// Rows, then columns, each with a Gaussian of five taps; the border is continued.
fn blurred(picture: Picture, deviation: f32) -> Picture {
    let taps: [f32; 5] = std::array::from_fn(|at| {
        let far = (at as f32 - 2.0) / deviation;
        (-far * far / 2.0).exp()
    });
    let sum: f32 = taps.iter().sum();
    let along = |pixels: &[[f32; 3]], right: isize, down: isize| -> Vec<[f32; 3]> {
        let at = |index: usize, step: isize| {
            let last = SIDE as isize - 1;
            let column = ((index % SIDE) as isize + right * step).clamp(0, last);
            let row = ((index / SIDE) as isize + down * step).clamp(0, last);
            pixels[row as usize * SIDE + column as usize]
        };
        let mixed = |index: usize| {
            std::array::from_fn(|channel| {
                taps.iter()
                    .enumerate()
                    .map(|(tap, weight)| weight / sum * at(index, tap as isize - 2)[channel])
                    .sum()
            })
        };
        (0..SIDE * SIDE).map(mixed).collect()
    };
    Picture { pixels: along(&along(&picture.pixels, 1, 0), 0, 1) }
}

/// Pixels of a side of a block.
const BLOCK: usize = 8;

/// Each channel's blocks with rounded coefficients. The steps grow with the frequency, as those of the standard's
/// example do (ITU-T T.81, annex K.1): 12 for the mean, 10 more for each wave.
fn in_blocks(mut picture: Picture) -> Picture {
    for at in 0..(SIDE / BLOCK) * (SIDE / BLOCK) {
        let (left, top) = (at % (SIDE / BLOCK) * BLOCK, at / (SIDE / BLOCK) * BLOCK);
        for channel in 0..3 {
            let place = |cell: usize| (top + cell / BLOCK) * SIDE + left + cell % BLOCK;
            let values: [f32; BLOCK * BLOCK] =
                std::array::from_fn(|cell| picture.pixels[place(cell)][channel]);
            for (cell, value) in rounded(values).into_iter().enumerate() {
                picture.pixels[place(cell)][channel] = value.clamp(0.0, 255.0);
            }
        }
    }
    picture
}

fn rounded(values: [f32; BLOCK * BLOCK]) -> [f32; BLOCK * BLOCK] {
    // The orthonormal cosine transform: row `wave`, column `place`.
    let wave: [f32; BLOCK * BLOCK] = std::array::from_fn(|at| {
        let (frequency, place) = ((at / BLOCK) as f32, (at % BLOCK) as f32);
        let length = if frequency == 0.0 { 0.125_f32.sqrt() } else { 0.5 };
        length * (std::f32::consts::PI * (place + 0.5) * frequency / BLOCK as f32).cos()
    });
    let product = |left: &dyn Fn(usize, usize) -> f32, right: &dyn Fn(usize, usize) -> f32| {
        let cell = |at: usize| {
            (0..BLOCK).map(|inner| left(at / BLOCK, inner) * right(inner, at % BLOCK)).sum::<f32>()
        };
        std::array::from_fn::<f32, { BLOCK * BLOCK }, _>(cell)
    };
    let forth = |row: usize, column: usize| wave[row * BLOCK + column];
    let back = |row: usize, column: usize| wave[column * BLOCK + row];
    let half = product(&forth, &|row, column| values[row * BLOCK + column]);
    let mut waves = product(&|row, column| half[row * BLOCK + column], &back);
    for (at, value) in waves.iter_mut().enumerate() {
        let step = 12.0 + 10.0 * (at / BLOCK + at % BLOCK) as f32;
        *value = (*value / step).round() * step;
    }
    let half = product(&back, &|row, column| waves[row * BLOCK + column]);
    product(&|row, column| half[row * BLOCK + column], &forth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Picture {
        let pixel = |at: usize| if at % SIDE < 30 { [220.0, 30.0, 40.0] } else { [240.0; 3] };
        Picture { pixels: (0..SIDE * SIDE).map(pixel).collect() }
    }

    fn difference(one: &Picture, other: &Picture) -> f32 {
        let channels = one.pixels.as_flattened().iter().zip(other.pixels.as_flattened());
        let sum: f32 = channels.map(|(one, other)| (one - other) * (one - other)).sum();
        (sum / (SIDE * SIDE * 3) as f32).sqrt()
    }

    #[test]
    fn each_wear_changes_a_picture_by_about_as_much_as_it_says() {
        let check = |wear: Wear, least: f32, most: f32| {
            let found = difference(&edge(), &worn(edge(), wear, &mut Rng::new(1)));
            assert!((least..=most).contains(&found), "{wear:?}: {found}");
        };
        check(Wear::None, 0.0, 0.0);
        check(Wear::Noise, 5.0, 6.5);
        check(Wear::Blur, 5.0, 25.0);
        check(Wear::Blocks, 0.5, 15.0);
        check(Wear::All, 5.0, 25.0);
    }

    #[test]
    fn what_has_no_edge_stays_as_it_is_but_for_noise() {
        let plain = Picture { pixels: vec![[96.0; 3]; SIDE * SIDE] };
        assert!(difference(&plain, &worn(plain.clone(), Wear::Blur, &mut Rng::new(1))) < 1e-3);
        assert!(difference(&plain, &worn(plain.clone(), Wear::Blocks, &mut Rng::new(1))) < 1.0);
    }
}
