//! A part of a picture that is made anew by itself: masks with soft edges, the region around a mask, what is begun with
//! there, and putting it back.
//!
//! Masks are pictures here, white where something is made anew. Source: how AUTOMATIC1111's web UI treats them, tried with
//! Pillow and OpenCV (`fixtures/draw/parts.py`).

use super::{COLOURS, Raster, WHITE, expect_multiple, expect_size, grey, resize};
use crate::{Error, Latent, Shape};

/// How far colours come from around, in pixels of a Gaussian's deviation, and how often each layer is laid.
const AROUND: [(f64, usize); 6] = [(256.0, 1), (64.0, 1), (16.0, 2), (4.0, 4), (2.0, 2), (0.0, 1)];
/// Boxes that follow one another in place of a Gaussian.
const N_BOXES: usize = 3;
/// Deviations below which the taps of a Gaussian end, twice.
const REACH: f64 = 2.5;

/// A rectangle of a picture, inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first column and row.
    pub start: [usize; 2],
    /// Its width and height, both at least 1.
    pub size: [usize; 2],
}

impl Region {
    /// A whole picture.
    pub fn whole(size: [usize; 2]) -> Self {
        Self { start: [0; 2], size }
    }

    /// What is not black in a mask with `padding` pixels around it, made as wide to its height as `ratio` is where the
    /// picture has room; `None` for a mask that is black.
    pub fn around(mask: &Raster, padding: usize, ratio: [usize; 2]) -> Option<Self> {
        let [width, height] = mask.size;
        let (mut first, mut end) = ([width, height], [0; 2]);
        for (at, pixel) in mask.data.chunks_exact(COLOURS).enumerate() {
            if grey(pixel) > 0 {
                for (axis, place) in [at % width, at / width].into_iter().enumerate() {
                    first[axis] = first[axis].min(place);
                    end[axis] = end[axis].max(place + 1);
                }
            }
        }
        if end == [0; 2] {
            return None;
        }
        let mut sides = [0, 1].map(|axis| Side {
            start: first[axis].saturating_sub(padding),
            end: end[axis].saturating_add(padding).min(mask.size[axis]),
            most: mask.size[axis],
        });
        let [across, down] = sides.map(|side| side.end - side.start);
        match across * ratio[1] > down * ratio[0] {
            true => sides[1].widen(across * ratio[1] / ratio[0] - down),
            false => sides[0].widen((down * ratio[0] / ratio[1]).saturating_sub(across)),
        }
        Some(Self { start: sides.map(|side| side.start), size: sides.map(|side| side.end - side.start) })
    }
}

/// From where to where along one axis, and where the picture ends.
#[derive(Clone, Copy)]
struct Side {
    start: usize,
    end: usize,
    most: usize,
}

impl Side {
    /// Takes so many pixels more, half of them before it, as far as the picture goes.
    fn widen(&mut self, more: usize) {
        let length = (self.end - self.start + more).min(self.most);
        self.start = self.start.saturating_sub(more / 2).min(self.most - length);
        self.end = self.start + length;
    }
}

impl Raster {
    /// A mask whose edge is softened by a Gaussian of these deviations, across and down, as OpenCV does it.
    #[must_use]
    pub fn softened(&self, [across, down]: [usize; 2]) -> Self {
        let mut shade: Vec<u8> = self.data.chunks_exact(COLOURS).map(grey).collect();
        let [width, height] = self.size;
        if across > 0 {
            shade = smoothed(&shade, (width, 1), (height, width), across);
        }
        if down > 0 {
            shade = smoothed(&shade, (height, width), (width, 1), down);
        }
        Self { data: shade.into_iter().flat_map(|shade| [shade; COLOURS]).collect(), size: self.size }
    }

    /// What of it lies in a region.
    ///
    /// # Errors
    /// `Image` for a region that reaches outside.
    pub fn cut(&self, Region { start, size }: Region) -> Result<Self, Error> {
        self.expect_inside(Region { start, size })?;
        let rows = (start[1]..start[1] + size[1]).map(|row| (row * self.size[0] + start[0]) * COLOURS);
        let data = rows.flat_map(|first| &self.data[first..first + size[0] * COLOURS]).copied().collect();
        Ok(Self { data, size })
    }

    /// The picture with another one laid over a region, as much of it as the mask is white.
    ///
    /// # Errors
    /// `Image` where the sizes do not fit.
    pub fn with(&self, new: &Self, (mask, region): (&Self, Region)) -> Result<Self, Error> {
        self.expect_inside(region)?;
        if new.size != region.size || mask.size != region.size {
            return Err(Error::Image("picture, mask and region are of several sizes".into()));
        }
        let mut whole = self.clone();
        for (at, (new, mask)) in
            new.data.chunks_exact(COLOURS).zip(mask.data.chunks_exact(COLOURS)).enumerate()
        {
            let [column, row] =
                [at % region.size[0] + region.start[0], at / region.size[0] + region.start[1]];
            let share = u32::from(grey(mask));
            let first = (row * self.size[0] + column) * COLOURS;
            for (colour, new) in whole.data[first..first + COLOURS].iter_mut().zip(new) {
                let sum = u32::from(*new) * share + u32::from(*colour) * (255 - share);
                *colour = ((sum + 127) / 255) as u8;
            }
        }
        Ok(whole)
    }

    /// A mask that is white from half on, and twice as bright below.
    #[must_use]
    pub fn brightened(mut self) -> Self {
        self.data.iter_mut().for_each(|shade| *shade = shade.saturating_mul(2));
        self
    }

    /// The mask of latents, as web UIs make it: made smaller, 1 from half on, else 0.
    ///
    /// # Shapes
    /// → 1 1 y x, with `shrinking` times fewer rows and columns.
    ///
    /// # Errors
    /// `Image` when a side is no multiple of `shrinking`.
    pub fn latent_mask(&self, shrinking: usize) -> Result<Latent, Error> {
        expect_multiple(self.size, shrinking)?;
        let size = self.size.map(|side| side / shrinking);
        let small = resize::resized(&self.data, (self.size, size), resize::CUBIC);
        let values = small.chunks_exact(COLOURS).map(|pixel| f32::from(u8::from(grey(pixel) >= WHITE)));
        Latent::new(values.collect(), Shape::new(1, 1, size[1], size[0])?)
    }

    /// The picture with colours from around where a mask is white.
    ///
    /// # Errors
    /// `Image` for a mask of another size.
    pub fn filled_from_around(&self, mask: &Self) -> Result<Self, Error> {
        if mask.size != self.size {
            return Err(Error::Image("the mask has another size than its picture".into()));
        }
        // Red, green and blue times how much is left, then that.
        let mut left: [Vec<f32>; COLOURS + 1] = Default::default();
        for (pixel, mask) in self.data.chunks_exact(COLOURS).zip(mask.data.chunks_exact(COLOURS)) {
            let share = 1.0 - f32::from(grey(mask)) / 255.0;
            left.iter_mut().zip(pixel).for_each(|(plane, colour)| plane.push(share * f32::from(*colour)));
            left[COLOURS].push(share);
        }
        let mut laid = vec![[0.0f32; COLOURS + 1]; left[0].len()];
        for (deviation, times) in AROUND {
            let layer = left.each_ref().map(|plane| boxed(plane, self.size, deviation));
            for (at, laid) in laid.iter_mut().enumerate() {
                let over: [f32; COLOURS + 1] = std::array::from_fn(|plane| layer[plane][at]);
                for _ in 0..times {
                    let seen = 1.0 - over[COLOURS];
                    laid.iter_mut().zip(over).for_each(|(below, over)| *below = over + *below * seen);
                }
            }
        }
        let bright = |[red, green, blue, share]: [f32; COLOURS + 1]| {
            [red, green, blue].map(|colour| (colour / share.max(1e-6)).round().clamp(0.0, 255.0) as u8)
        };
        Ok(Self { data: laid.into_iter().flat_map(bright).collect(), size: self.size })
    }

    fn expect_inside(&self, Region { start, size }: Region) -> Result<(), Error> {
        expect_size(size)?;
        let is_inside =
            |axis: usize| start[axis].checked_add(size[axis]).is_some_and(|end| end <= self.size[axis]);
        if is_inside(0) && is_inside(1) {
            return Ok(());
        }
        Err(Error::Image("a part reaches outside of its picture".into()))
    }
}

/// A plane smoothed along one of its axes: how many elements there are in it and how far they are apart, and the same of the
/// other. Behind an end it is as before it, the outermost element once.
fn smoothed(
    plane: &[u8],
    (n, stride): (usize, usize),
    (n_others, other_stride): (usize, usize),
    deviation: usize,
) -> Vec<u8> {
    let deviation = deviation as f64;
    let reach = (REACH * deviation + 0.5) as usize;
    let taps: Vec<f64> = (0..=2 * reach)
        .map(|tap| (-(tap as f64 - reach as f64).powi(2) / (2.0 * deviation * deviation)).exp())
        .collect();
    let sum: f64 = taps.iter().sum();
    let mut smooth = vec![0; plane.len()];
    for first in (0..n_others).map(|other| other * other_stride) {
        for at in 0..n {
            let near = taps.iter().enumerate().map(|(tap, weight)| {
                let place = folded(at as i64 + tap as i64 - reach as i64, n as i64);
                weight * f64::from(plane[first + place * stride])
            });
            smooth[first + at * stride] = (near.sum::<f64>() / sum).round() as u8;
        }
    }
    smooth
}

/// The place inside of `n` at which one outside is seen in its mirrors.
fn folded(place: i64, n: i64) -> usize {
    let period = (2 * (n - 1)).max(1);
    let place = place.rem_euclid(period);
    place.min(period - place).clamp(0, n - 1) as usize
}

/// A plane, Y X, behind boxes that are together as wide as a Gaussian, as Pillow has them; behind an end stands its last
/// element.
fn boxed(plane: &[f32], [width, height]: [usize; 2], deviation: f64) -> Vec<f32> {
    let mut plane = plane.to_vec();
    if deviation == 0.0 {
        return plane;
    }
    let radius = radius(deviation);
    for row in plane.chunks_exact_mut(width) {
        (0..N_BOXES).for_each(|_| one_box(row, radius));
    }
    let mut column = vec![0.0; height];
    for x in 0..width {
        column.iter_mut().zip(plane[x..].iter().step_by(width)).for_each(|(to, from)| *to = *from);
        (0..N_BOXES).for_each(|_| one_box(&mut column, radius));
        plane[x..].iter_mut().step_by(width).zip(&column).for_each(|(to, from)| *to = *from);
    }
    plane
}

/// The half width of boxes whose variances add up. Source: P. Gwosdek et al., "Theoretical Foundations of Gaussian Convolution
/// by Extended Box Filtering" (2011), formulas 7 and 8.
fn radius(deviation: f64) -> f64 {
    let variance = deviation * deviation / N_BOXES as f64;
    let whole = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
    let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
    whole + part / (6.0 * (variance - (whole + 1.0).powi(2)))
}

/// The mean of what lies `radius` around each element, the outermost ones in part.
fn one_box(line: &mut [f32], radius: f64) {
    let (whole, share) = (radius as i64, radius.fract());
    let last = line.len() as i64 - 1;
    let before = line.to_vec();
    let of = |at: i64| f64::from(before[at.clamp(0, last) as usize]);
    let mut sum: f64 = (-whole..=whole).map(of).sum();
    for (at, to) in line.iter_mut().enumerate() {
        let at = at as i64;
        let ends = of(at - whole - 1) + of(at + whole + 1);
        *to = ((sum + share * ends) / (2.0 * radius + 1.0)) as f32;
        sum += of(at + whole + 1) - of(at - whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    const PHOTO: &[u8] = include_bytes!("../../../../fixtures/draw/photo.png");
    const CASES: &str = include_str!("../../../../fixtures/draw/parts.json");

    fn cases(kind: &str) -> Vec<Json> {
        let all: Vec<Json> = serde_json::from_str(CASES).unwrap();
        let found: Vec<Json> = all.into_iter().filter(|case| case["kind"] == kind).collect();
        assert!(!found.is_empty(), "{kind}");
        found
    }

    fn numbers<T: serde::de::DeserializeOwned>(value: &Json) -> T {
        serde_json::from_value(value.clone()).unwrap()
    }

    /// A grey picture of these pixels, Y X.
    fn shade(case: &Json, name: &str) -> Raster {
        let values: Vec<u8> = numbers(&case[name]);
        Raster::new(values.into_iter().flat_map(|shade| [shade; COLOURS]).collect(), numbers(&case["size"]))
            .unwrap()
    }

    fn farthest(a: &Raster, b: &[u8]) -> u8 {
        assert_eq!(a.data().len(), b.len());
        a.data().iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn edges_are_softened_as_by_opencv() {
        for case in cases("soft") {
            let soft = shade(&case, "mask").softened(numbers(&case["deviations"]));
            // OpenCV rounds the weights of the taps to eight bits.
            assert!(farthest(&soft, shade(&case, "soft").data()) <= 2, "{}", case["deviations"]);
        }
    }

    #[test]
    fn regions_are_those_of_web_uis() {
        for case in cases("region") {
            let region =
                Region::around(&shade(&case, "mask"), numbers(&case["padding"]), numbers(&case["ratio"]));
            let [left, top, right, bottom]: [usize; 4] = numbers(&case["region"]);
            let expected = Region { start: [left, top], size: [right - left, bottom - top] };
            assert_eq!(region, Some(expected), "{} {}", case["padding"], case["ratio"]);
        }
        let black = Raster::new(vec![0; 12], [2, 2]).unwrap();
        assert_eq!(Region::around(&black, 3, [1, 1]), None);
    }

    #[test]
    fn colours_come_from_around_as_in_web_uis() {
        for case in cases("fill") {
            let picture = Raster::read(PHOTO).unwrap().resized(numbers(&case["size"])).unwrap();
            let filled = picture.filled_from_around(&shade(&case, "mask")).unwrap();
            let expected: Vec<u8> = numbers(&case["filled"]);
            // Pillow rounds each box to eight bits, of colours times their share.
            let apart: u32 =
                filled.data().iter().zip(&expected).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let mean = f64::from(apart) / expected.len() as f64;
            assert!(
                mean < 1.0 && farthest(&filled, &expected) < 24,
                "{mean} {}",
                farthest(&filled, &expected)
            );
        }
    }

    #[test]
    fn masks_of_latents_are_those_of_web_uis() {
        for case in cases("latent") {
            let mask = shade(&case, "mask").latent_mask(numbers(&case["shrinking"])).unwrap();
            let expected: Vec<f32> = numbers(&case["latent"]);
            assert_eq!(mask.data(), expected, "{}", case["size"]);
        }
    }

    #[test]
    fn what_is_put_back_is_where_it_was_cut_out() {
        let picture = Raster::read(PHOTO).unwrap();
        let region = Region { start: [3, 5], size: [10, 7] };
        let part = picture.cut(region).unwrap();
        let white = Raster::new(vec![255; 10 * 7 * COLOURS], [10, 7]).unwrap();
        assert_eq!(picture.with(&part, (&white, region)).unwrap(), picture);
        let inverted = part.clone().inverted();
        let changed = picture.with(&inverted, (&white, region)).unwrap();
        assert_eq!(changed.cut(region).unwrap(), inverted);
        let black = white.clone().inverted();
        assert_eq!(picture.with(&inverted, (&black, region)).unwrap(), picture);
        let outside = Region { start: [picture.size()[0], 0], size: [1, 1] };
        assert!(
            picture.cut(outside).is_err() && picture.with(&part, (&white, Region::whole([4, 4]))).is_err()
        );
    }
}
