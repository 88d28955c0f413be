//! What stands on a picture: its background by the border, and each connected piece that differs from it.
//!
//! Does not know what the pieces are. An edge pixel is a mixture of a thing's colour and the background's, so each
//! piece keeps the share of every pixel that it covers; that makes measures finer than a pixel.

use crate::picture::{Picture, SIDE};

/// Red, green and blue, each from 0 to 255.
pub type Rgb = [f32; 3];

/// Distance in colour from which a pixel may belong to something, of 442 between black and white.
const SEEN: f32 = 45.0;
/// The share of its colour that the pixels of a thing have at least.
const COVERED: f32 = 0.4;
/// The share with which a pixel counts as full.
const FULL: f32 = 0.85;
/// Below this share a pixel beside a thing is noise.
const NOISE: f32 = 0.12;
/// Pieces that cover fewer pixels are specks.
const LEAST_AREA: f32 = 12.0;

/// A connected piece.
#[derive(Clone, Debug)]
pub struct Thing {
    pub colour: Rgb,
    /// The share of each pixel that it covers, row by row.
    pub cover: Vec<f32>,
    /// The centroid, in pixels from the top left corner.
    pub centre: [f32; 2],
    /// Pixels that it covers.
    pub area: f32,
    /// The longer side of the box around what it covers by half at least, in pixels.
    pub extent: f32,
}

/// The colour of the border: the median of each channel.
pub fn background(picture: &Picture) -> Rgb {
    let is_border = |at: usize| {
        let (column, row) = (at % SIDE, at / SIDE);
        column.min(row).min(SIDE - 1 - column).min(SIDE - 1 - row) < 2
    };
    let border: Vec<Rgb> =
        (0..SIDE * SIDE).filter(|at| is_border(*at)).map(|at| picture.pixels[at]).collect();
    std::array::from_fn(|channel| {
        let mut values: Vec<f32> = border.iter().map(|pixel| pixel[channel]).collect();
        values.sort_by(f32::total_cmp);
        values[values.len() / 2]
    })
}

/// Everything that is no background and no speck.
pub fn things(picture: &Picture) -> Vec<Thing> {
    let background = background(picture);
    let contrast: Vec<f32> = picture.pixels.iter().map(|pixel| distance(*pixel, background)).collect();
    let rough = pieces(&contrast.iter().map(|value| *value > SEEN).collect::<Vec<_>>());
    let mut is_covered = vec![false; SIDE * SIDE];
    for piece in rough {
        let least = COVERED * high(&contrast, &piece);
        piece.into_iter().filter(|at| contrast[*at] > least).for_each(|at| is_covered[at] = true);
    }
    let pieces = pieces(&is_covered);
    let found = pieces.iter().map(|piece| thing(picture, piece, &is_covered, background));
    found.filter(|thing| thing.area >= LEAST_AREA).collect()
}

/// A value that one in twenty pixels of a piece exceeds.
fn high(values: &[f32], piece: &[usize]) -> f32 {
    let mut found: Vec<f32> = piece.iter().map(|at| values[*at]).collect();
    found.sort_by(f32::total_cmp);
    found[(found.len() * 19 / 20).min(found.len() - 1)]
}

/// The connected pieces of a mask, corners included; each has a pixel.
fn pieces(mask: &[bool]) -> Vec<Vec<usize>> {
    let mut is_taken: Vec<bool> = mask.iter().map(|is_set| !is_set).collect();
    let mut found = Vec::new();
    for first in 0..mask.len() {
        if is_taken[first] {
            continue;
        }
        is_taken[first] = true;
        let mut piece = vec![first];
        let mut next = 0;
        while next < piece.len() {
            for at in around(piece[next]) {
                if !is_taken[at] {
                    is_taken[at] = true;
                    piece.push(at);
                }
            }
            next += 1;
        }
        found.push(piece);
    }
    found
}

/// The eight neighbours, as far as they are on the picture.
fn around(at: usize) -> impl Iterator<Item = usize> {
    let (column, row) = ((at % SIDE) as isize, (at / SIDE) as isize);
    let all = (0..9).map(move |step| (column + step % 3 - 1, row + step / 3 - 1));
    let inside = 0..SIDE as isize;
    let kept =
        all.filter(move |(x, y)| inside.contains(x) && inside.contains(y) && (*x, *y) != (column, row));
    kept.map(|(x, y)| y as usize * SIDE + x as usize)
}

fn thing(picture: &Picture, piece: &[usize], is_covered: &[bool], background: Rgb) -> Thing {
    let contrast: Vec<f32> = picture.pixels.iter().map(|pixel| distance(*pixel, background)).collect();
    let full = FULL * high(&contrast, piece);
    let core: Vec<Rgb> =
        piece.iter().filter(|at| contrast[**at] >= full).map(|at| picture.pixels[*at]).collect();
    let colour: Rgb = std::array::from_fn(|channel| {
        core.iter().map(|pixel| pixel[channel]).sum::<f32>() / core.len().max(1) as f32
    });
    let mut cover = vec![0.0; SIDE * SIDE];
    for at in piece {
        cover[*at] = share(picture.pixels[*at], background, colour);
        for beside in around(*at).filter(|beside| !is_covered[*beside]) {
            cover[beside] = share(picture.pixels[beside], background, colour);
        }
    }
    measured(colour, cover)
}

/// How far a pixel is on the way from one colour to another, from 0 to 1.
fn share(pixel: Rgb, from: Rgb, to: Rgb) -> f32 {
    let way: Rgb = std::array::from_fn(|channel| to[channel] - from[channel]);
    let gone: f32 = (0..3).map(|channel| (pixel[channel] - from[channel]) * way[channel]).sum();
    let share = gone / way.iter().map(|part| part * part).sum::<f32>().max(1.0);
    if share < NOISE { 0.0 } else { share.min(1.0) }
}

fn measured(colour: Rgb, cover: Vec<f32>) -> Thing {
    let area: f32 = cover.iter().sum();
    let mean = |value: fn(usize) -> usize| {
        let sum: f32 = cover.iter().enumerate().map(|(at, share)| (value(at) as f32 + 0.5) * share).sum();
        sum / area.max(1e-6)
    };
    let centre = [mean(|at| at % SIDE), mean(|at| at / SIDE)];
    let length = |value: fn(usize) -> usize| {
        let half = || cover.iter().enumerate().filter(|(_, share)| **share >= 0.5).map(|(at, _)| value(at));
        half().max().zip(half().min()).map_or(0.0, |(last, first)| (last - first + 1) as f32)
    };
    let extent = length(|at| at % SIDE).max(length(|at| at / SIDE));
    Thing { colour, cover, centre, area, extent }
}

/// The length of the difference of two colours.
pub fn distance(one: Rgb, other: Rgb) -> f32 {
    one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum::<f32>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_boxes(background: Rgb, boxes: &[(usize, usize, usize, Rgb)]) -> Picture {
        let mut pixels = vec![background; SIDE * SIDE];
        for (left, top, side, colour) in boxes {
            for at in 0..side * side {
                pixels[(top + at / side) * SIDE + left + at % side] = *colour;
            }
        }
        Picture { pixels }
    }

    #[test]
    fn each_piece_is_found_with_its_colour_place_and_size() {
        let (red, blue) = ([210.0, 30.0, 30.0], [30.0, 80.0, 220.0]);
        let picture = with_boxes([240.0; 3], &[(4, 6, 12, red), (40, 30, 20, blue), (60, 60, 3, red)]);
        assert_eq!(background(&picture), [240.0; 3]);
        let found = things(&picture);
        let told: Vec<_> =
            found.iter().map(|thing| (thing.colour, thing.centre, thing.area, thing.extent)).collect();
        assert_eq!(told, [(red, [10.0, 12.0], 144.0, 12.0), (blue, [50.0, 40.0], 400.0, 20.0)]);
    }

    #[test]
    fn a_half_covered_pixel_counts_half_and_nothing_is_found_on_nothing() {
        let half = [125.0; 3];
        let picture = with_boxes([240.0; 3], &[(10, 10, 11, half), (11, 11, 10, [10.0; 3])]);
        let found = things(&picture);
        assert_eq!(found.len(), 1);
        assert!((found[0].area - 110.5).abs() < 0.1, "{}", found[0].area);
        assert!(things(&with_boxes([20.0; 3], &[])).is_empty());
    }
}
