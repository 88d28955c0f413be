//! A picture in another size: columns, then rows, each pixel a weighed sum of those below a window.
//!
//! Source: C. Duchon, "Lanczos Filtering in One and Two Dimensions" (1979), with three lobes; R. Keys, "Cubic Convolution
//! Interpolation for Digital Image Processing" (1981), with a = -1/2; sums in whole numbers of 22
//! bits and a rounding between both passes, as Pillow has them, so that diffusers' pictures are these.

use super::COLOURS;

const LOBES: f64 = 3.0;
const BITS: u32 = 22;

/// A window: how far it reaches, and what a pixel so far from its middle weighs.
#[derive(Clone, Copy)]
pub(super) struct Filter {
    reach: f64,
    weight: fn(f64) -> f64,
}

pub(super) const LANCZOS: Filter = Filter { reach: LOBES, weight: lanczos };
pub(super) const CUBIC: Filter = Filter { reach: 2.0, weight: cubic };

/// # Shapes
/// Y X 3 → y x 3; both sizes are width and height.
pub(super) fn resized(
    data: &[u8],
    ([width, height], [columns, rows]): ([usize; 2], [usize; 2]),
    filter: Filter,
) -> Vec<u8> {
    let across = windows((width, columns), filter);
    let wide: Vec<u8> = match width == columns {
        true => data.to_vec(),
        false => data
            .chunks_exact(width * COLOURS)
            .flat_map(|line| across.iter().flat_map(move |window| summed(window, line, COLOURS, 0)))
            .collect(),
    };
    if height == rows {
        return wide;
    }
    let line = columns * COLOURS;
    let below = windows((height, rows), filter);
    let pixels = below.iter().flat_map(|window| (0..columns).map(move |column| (window, column)));
    pixels.flat_map(|(window, column)| summed(window, &wide, line, column * COLOURS)).collect()
}

/// The pixels that a new one is a sum of, and their weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// The colours below a window whose pixels lie `stride` numbers apart, the first of them at `offset`.
fn summed(window: &Window, data: &[u8], stride: usize, offset: usize) -> [u8; COLOURS] {
    let mut sums = [1i64 << (BITS - 1); COLOURS];
    for (place, weight) in window.weights.iter().enumerate() {
        let at = (window.first + place) * stride + offset;
        for (sum, colour) in sums.iter_mut().zip(&data[at..at + COLOURS]) {
            *sum += i64::from(*weight) * i64::from(*colour);
        }
    }
    sums.map(|sum| (sum >> BITS).clamp(0, 255) as u8)
}

/// A window for each of `after` pixels in a line of `before`.
fn windows((before, after): (usize, usize), filter: Filter) -> Vec<Window> {
    let scale = before as f64 / after as f64;
    let stretch = scale.max(1.0);
    let reach = filter.reach * stretch;
    let window = |at: usize| {
        let centre = (at as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let last = ((centre + reach + 0.5) as usize).min(before);
        let weights: Vec<f64> =
            (first..last).map(|place| (filter.weight)((place as f64 - centre + 0.5) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        let whole = |weight: &f64| (weight / sum * f64::from(1 << BITS)).round() as i32;
        Window { first, weights: weights.iter().map(whole).collect() }
    };
    (0..after).map(window).collect()
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match x {
        ..1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        1.0..2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

fn lanczos(x: f64) -> f64 {
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    let turn = x * std::f64::consts::PI;
    if turn == 0.0 { 1.0 } else { turn.sin() / turn }
}

#[cfg(test)]
mod tests {
    use crate::raster::{MAX_SIDE, Raster};

    const PHOTO: &[u8] = include_bytes!("../../../../fixtures/draw/photo.png");
    const SIZES: &str = include_str!("../../../../fixtures/draw/sizes.json");

    #[test]
    fn pictures_of_another_size_are_those_of_pillow() {
        let photo = Raster::read(PHOTO).unwrap();
        let cases: Vec<serde_json::Value> = serde_json::from_str(SIZES).unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            let size: [usize; 2] = serde_json::from_value(case["size"].clone()).unwrap();
            let expected: Vec<u8> = serde_json::from_value(case["pixels"].clone()).unwrap();
            assert_eq!(photo.resized(size).unwrap().data(), expected, "{size:?}");
        }
    }

    #[test]
    fn sizes_of_nothing_and_too_large_ones_are_refused() {
        let photo = Raster::read(PHOTO).unwrap();
        for size in [[0, 8], [8, 0], [MAX_SIDE + 1, 8], [MAX_SIDE, MAX_SIDE], [usize::MAX, 2]] {
            assert!(photo.resized(size).is_err(), "{size:?}");
        }
        assert_eq!(photo.resized([1, 1]).unwrap().data().len(), 3);
    }
}
