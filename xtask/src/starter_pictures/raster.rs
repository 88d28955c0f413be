//! Shapes as signed distances, painted with soft edges on a small picture.
//!
//! Does not know what the shapes mean. Only `+ − × ÷ √` and comparisons are used, which IEEE 754 rounds in one way,
//! so that a scene has the same bytes on every machine. Source of the distance to a polygon: I. Quilez, "2D distance
//! functions", <https://iquilezles.org/articles/distfunctions2d>.

use anyhow::Result;

/// Pixels of a side.
pub const SIDE: usize = 64;
/// Red, green and blue, each from 0 to 255.
pub type Rgb = [u8; 3];
/// To the right and downwards.
pub type Point = [f64; 2];

/// A closed area.
#[derive(Clone, Copy)]
pub enum Form {
    /// Centre and radius.
    Disc(Point, f64),
    /// The corners in turn.
    Polygon(&'static [Point]),
}

/// How a form changes the area that the forms before it cover.
#[derive(Clone, Copy)]
pub enum Stroke {
    /// Both are covered.
    Add(Form),
    /// What the form covers is taken away.
    Cut(Form),
    /// Only what both cover is left.
    Keep(Form),
}

/// Where a shape stands: its unit square from −1 to 1 becomes a square of `side` pixels around `centre`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    pub centre: Point,
    pub side: f64,
}

/// A square picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    pixels: Vec<Rgb>,
}

impl Picture {
    /// All of one colour.
    pub fn plain(colour: Rgb) -> Self {
        Self { pixels: vec![colour; SIDE * SIDE] }
    }

    /// Paints a shape; a pixel on its edge takes the share of the colour that the shape covers of it.
    pub fn paint(&mut self, strokes: &[Stroke], spot: Spot, colour: Rgb) {
        let half = spot.side / 2.0;
        let [columns, rows] = spot.centre.map(|middle| span(middle, half));
        for row in rows {
            for column in columns.clone() {
                let at = [column as f64 + 0.5, row as f64 + 0.5];
                let unit = [(at[0] - spot.centre[0]) / half, (at[1] - spot.centre[1]) / half];
                let covered = (0.5 - distance(strokes, unit) * half).clamp(0.0, 1.0);
                blend(&mut self.pixels[row * SIDE + column], colour, covered);
            }
        }
    }

    /// The picture as a PNG file. The fast coder is written in Rust throughout and has one body, so its bytes do not
    /// depend on what else is built.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, SIDE as u32, SIDE as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Up);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.pixels.as_flattened())?;
        writer.finish()?;
        Ok(bytes)
    }
}

/// The pixels of a line that a shape may touch.
fn span(middle: f64, half: f64) -> std::ops::Range<usize> {
    let first = (middle - half - 1.0).max(0.0);
    let end = (middle + half + 2.0).clamp(0.0, SIDE as f64);
    first as usize..end as usize
}

fn blend(pixel: &mut Rgb, colour: Rgb, covered: f64) {
    for (old, new) in pixel.iter_mut().zip(colour) {
        let mixed = f64::from(*old) + (f64::from(new) - f64::from(*old)) * covered;
        *old = (mixed + 0.5) as u8;
    }
}

/// How far outside the edge a point is; inside less than 0.
fn distance(strokes: &[Stroke], at: Point) -> f64 {
    strokes.iter().fold(f64::INFINITY, |found, stroke| match stroke {
        Stroke::Add(form) => found.min(to_form(*form, at)),
        Stroke::Cut(form) => found.max(-to_form(*form, at)),
        Stroke::Keep(form) => found.max(to_form(*form, at)),
    })
}

fn to_form(form: Form, at: Point) -> f64 {
    match form {
        Form::Disc(centre, radius) => length([at[0] - centre[0], at[1] - centre[1]]) - radius,
        Form::Polygon(corners) => to_polygon(corners, at),
    }
}

/// The distance to the nearest side, with the sign of the winding.
fn to_polygon(corners: &[Point], at: Point) -> f64 {
    let mut nearest = f64::INFINITY;
    let mut is_inside = false;
    let before = corners.iter().cycle().skip(corners.len().saturating_sub(1));
    for (from, to) in before.zip(corners) {
        let side = [to[0] - from[0], to[1] - from[1]];
        let offset = [at[0] - from[0], at[1] - from[1]];
        let along = (offset[0] * side[0] + offset[1] * side[1]) / (side[0] * side[0] + side[1] * side[1]);
        let along = along.clamp(0.0, 1.0);
        nearest = nearest.min(length([offset[0] - along * side[0], offset[1] - along * side[1]]));
        // A ray to the right crosses the side.
        let crosses = (from[1] > at[1]) != (to[1] > at[1]);
        if crosses && at[0] < from[0] + side[0] * (offset[1] / side[1]) {
            is_inside = !is_inside;
        }
    }
    if is_inside { -nearest } else { nearest }
}

fn length(vector: Point) -> f64 {
    (vector[0] * vector[0] + vector[1] * vector[1]).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARE: Form = Form::Polygon(&[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]);

    #[test]
    fn distances_are_those_of_geometry() {
        let check = |strokes: &[Stroke], at: Point, expected: f64| {
            assert!((distance(strokes, at) - expected).abs() < 1e-12, "{at:?}");
        };
        check(&[Stroke::Add(SQUARE)], [0.0, 0.0], -1.0);
        check(&[Stroke::Add(SQUARE)], [4.0, 5.0], 5.0);
        check(&[Stroke::Add(SQUARE)], [0.5, -1.25], 0.25);
        let ring = [Stroke::Add(Form::Disc([0.0, 0.0], 1.0)), Stroke::Cut(Form::Disc([0.0, 0.0], 0.5))];
        check(&ring, [0.0, 0.0], 0.5);
        check(&ring, [0.75, 0.0], -0.25);
        check(&[Stroke::Add(SQUARE), Stroke::Keep(Form::Disc([1.0, 0.0], 1.0))], [-0.5, 0.0], 0.5);
    }

    #[test]
    fn what_is_painted_has_the_area_of_its_shape() {
        let mut picture = Picture::plain([0; 3]);
        picture.paint(&[Stroke::Add(SQUARE)], Spot { centre: [20.25, 31.5], side: 10.5 }, [200, 100, 0]);
        let sum = |channel: usize| picture.pixels.iter().map(|pixel| f64::from(pixel[channel])).sum::<f64>();
        assert!((sum(0) / 200.0 - 110.25).abs() < 1.0, "{}", sum(0) / 200.0);
        assert!((sum(1) / 100.0 - 110.25).abs() < 1.0 && sum(2) == 0.0);
    }

    #[test]
    fn what_reaches_over_the_frame_is_cut_off() {
        let mut picture = Picture::plain([9; 3]);
        for centre in [[-3.0, 70.0], [-300.0, -300.0], [500.0, 20.0], [63.9, 0.0]] {
            picture.paint(&[Stroke::Add(SQUARE)], Spot { centre, side: 20.0 }, [1; 3]);
        }
        assert_eq!(picture.pixels[SIDE - 1], [1; 3]);
    }

    #[test]
    fn a_file_holds_the_picture() {
        let mut picture = Picture::plain([250, 240, 230]);
        picture.paint(&[Stroke::Add(SQUARE)], Spot { centre: [30.0, 30.0], side: 20.0 }, [10, 20, 30]);
        let bytes = picture.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut read = vec![0; SIDE * SIDE * 3];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, picture.pixels.as_flattened());
    }
}
