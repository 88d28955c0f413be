//! What is seen of a drawing from inside: how much its pixels look at each word, and numbers as small pictures.
//!
//! Source of the maps: R. Tang and others, "What the DAAM: Interpreting Stable Diffusion Using Cross Attention" (2023):
//! the weights of every attention to the text, averaged over heads and layers at one size, summed over the tokens of a word.
//!
//! Does not: know words, or compute anything that a picture is made of.

use burn::tensor::Tensor;
use models::images::probe::{Part, Probe};

use crate::pipeline::{Condition, Text, values};
use crate::raster::Raster;
use crate::{Error, Latent};

const COLOURS: usize = 3;
/// Halvings that no model exceeds.
const MAX_HALVINGS: usize = 8;
/// What numbers below and above none become in a heat map: blue and orange, which the colour-blind tell apart too.
const HEAT: [[f32; COLOURS]; 2] = [[33.0, 102.0, 172.0], [224.0, 130.0, 20.0]];
const NEUTRAL: f32 = 247.0;
/// Deviations from which on a heat map has no stronger colour.
const STRONG: f32 = 2.5;

/// How much the pixels of one picture look at each word of its prompt.
pub struct Gaze {
    /// Rows and columns of the latents.
    size: [usize; 2],
    /// The rows of the text that each word has.
    words: Vec<Vec<usize>>,
    /// Which image of the next call is looked at; none where nobody does.
    image: Option<usize>,
    is_open: bool,
    /// One map behind another, each summed over `n` layers.
    sums: Vec<f32>,
    n: usize,
}

impl Gaze {
    /// For latents of these rows and columns, and the rows of the text that each word has.
    pub fn new(size: [usize; 2], words: Vec<Vec<usize>>) -> Self {
        let sums = vec![0.0; size[0] * size[1] * words.len()];
        Self { size, words, image: None, is_open: false, sums, n: 0 }
    }

    /// Looks from here on.
    pub fn open(&mut self) {
        self.is_open = !self.words.is_empty();
    }

    /// What was seen since it was opened, a map for each word; it is closed then. Nothing where no model was asked.
    ///
    /// # Shapes
    /// Words of Y X.
    pub fn take(&mut self) -> Option<Vec<Vec<f32>>> {
        self.is_open = false;
        let n = std::mem::take(&mut self.n);
        let area = self.size[0] * self.size[1];
        if n == 0 || area == 0 {
            return None;
        }
        let maps = self.sums.chunks_exact(area).map(|map| map.iter().map(|sum| sum / n as f32).collect());
        let maps = maps.collect();
        self.sums.fill(0.0);
        Some(maps)
    }

    /// Which image of the next call is the picture's beside its prompt.
    pub(crate) fn look_at(&mut self, image: Option<usize>) {
        self.image = image.filter(|_| self.is_open);
    }

    /// Rows and columns of a level of so many pixels.
    fn level(&self, pixels: usize) -> Option<[usize; 2]> {
        let halved = |halvings: usize| self.size.map(|side| side.div_ceil(1 << halvings));
        (0..MAX_HALVINGS).map(halved).find(|[rows, columns]| rows * columns == pixels)
    }

    /// Adds the weights of one layer.
    ///
    /// # Shapes
    /// `weights` T S, for a level of T pixels.
    fn add(&mut self, weights: &[f32], pixels: usize) {
        let n_tokens = weights.len() / pixels.max(1);
        let ([rows, columns], Some([y, x])) = (self.size, self.level(pixels)) else { return };
        for (word, map) in self.words.iter().zip(self.sums.chunks_exact_mut(rows * columns)) {
            for (at, sum) in map.iter_mut().enumerate() {
                // The nearest pixel of the level.
                let pixel = at / columns * y / rows * x + at % columns * x / columns;
                let of_tokens = word.iter().filter(|token| **token < n_tokens);
                *sum += of_tokens.map(|token| weights[pixel * n_tokens + token]).sum::<f32>();
            }
        }
        self.n += 1;
    }
}

impl Probe for Gaze {
    fn wants(&self, part: Part) -> bool {
        self.image.is_some() && matches!(part, Part::CrossAttention(..))
    }

    fn record(&mut self, _: Part, weights: &Tensor<4>) {
        let [images, _, pixels, _] = weights.dims();
        let Some(image) = self.image.filter(|image| *image < images) else { return };
        let mean = weights.clone().narrow(0, image, 1).mean_dim(1); // [1, 1, T, S]
        // Numbers that cannot be read are not looked at.
        if let Ok(weights) = values(mean) {
            self.add(&weights, pixels);
        }
    }
}

/// Numbers about the tokens of a prompt, row by row.
pub struct Rows {
    /// S D.
    pub values: Vec<f32>,
    /// Numbers of a row, D.
    pub width: usize,
}

impl Condition {
    /// What was read of the prompt, a row for each token.
    ///
    /// # Errors
    /// `Model` where it cannot be read back.
    pub fn rows(&self) -> Result<Rows, Error> {
        Ok(Rows { width: self.states.dims()[2], values: values(self.states.clone())? })
    }
}

impl Text {
    /// What was read of the prompt, a row for each token.
    ///
    /// # Errors
    /// `Model` where it cannot be read back.
    pub fn rows(&self) -> Result<Rows, Error> {
        Ok(Rows { width: self.states.dims()[1], values: values(self.states.clone())? })
    }
}

impl Rows {
    /// The first rows as a heat map, in at most so many columns, each the mean of its numbers; a row has no mean of its own,
    /// and a colour says how many deviations of all numbers it is away from none.
    ///
    /// # Shapes
    /// S D → S x 3; nothing of nothing.
    pub fn heat(&self, n_rows: usize, n_columns: usize) -> Option<Raster> {
        let columns = n_columns.min(self.width);
        if columns == 0 {
            return None;
        }
        let mut means = Vec::new();
        for row in self.values.chunks_exact(self.width).take(n_rows) {
            let mean = row.iter().sum::<f32>() / self.width as f32;
            let bounds = |column: usize| column * self.width / columns;
            means.extend((0..columns).map(|column| {
                let numbers = &row[bounds(column)..bounds(column + 1)];
                numbers.iter().sum::<f32>() / numbers.len() as f32 - mean
            }));
        }
        let deviation =
            (means.iter().map(|mean| mean * mean).sum::<f32>() / means.len().max(1) as f32).sqrt();
        let pixels = means.iter().flat_map(|mean| warmth(mean / deviation.max(f32::MIN_POSITIVE)));
        Raster::of(pixels.collect(), [columns, means.len() / columns]).filter(|_| !means.is_empty())
    }
}

/// The colour of a number of deviations.
fn warmth(deviations: f32) -> [u8; COLOURS] {
    let colour = HEAT[usize::from(deviations > 0.0)];
    let share = (deviations.abs() / STRONG).min(1.0);
    // What is no number has the colour of none.
    let share = if share.is_nan() { 0.0 } else { share };
    colour.map(|colour| (NEUTRAL + (colour - NEUTRAL) * share) as u8)
}

/// Numbers from 0 to `most` in grey, white where they are most.
///
/// # Shapes
/// `map` Y X → Y X 3; nothing of nothing.
pub fn grey(map: &[f32], [columns, rows]: [usize; 2], most: f32) -> Option<Raster> {
    let byte = |value: &f32| (value / most.max(f32::MIN_POSITIVE) * 255.0).round().clamp(0.0, 255.0) as u8;
    let pixels = map.iter().flat_map(|value| [byte(value); COLOURS]);
    Raster::of(pixels.collect(), [columns, rows]).filter(|_| !map.is_empty())
}

/// The channels of the first picture of latents in grey, each from its least number to its most.
///
/// # Shapes
/// N C y x → C of y x 3.
pub fn channels(latent: &Latent) -> Vec<Raster> {
    let shape = latent.shape();
    let area = shape.rows * shape.columns;
    if latent.data().is_empty() {
        return Vec::new();
    }
    let channels = latent.picture(0).chunks_exact(area);
    let shown = channels.filter_map(|channel| {
        let finite = || channel.iter().copied().filter(|value| value.is_finite());
        let (least, most) = (finite().fold(f32::MAX, f32::min), finite().fold(f32::MIN, f32::max));
        let above: Vec<f32> = channel.iter().map(|value| value - least).collect();
        grey(&above, [shape.columns, shape.rows], most - least)
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use burn::tensor::TensorData;
    use models::images::probe::Stage;

    const PART: Part = Part::CrossAttention(Stage::Down(0), 0, 0);

    /// Two images, two heads, four tokens; `at` says the weight of an image, head, pixel and token.
    fn weights(pixels: usize, at: impl Fn([usize; 4]) -> f32) -> Tensor<4> {
        let sizes = [2, 2, pixels, 4];
        let places = (0..2 * 2 * pixels * 4).map(|place| {
            let (image, rest) = (place / (2 * pixels * 4), place % (2 * pixels * 4));
            [image, rest / (pixels * 4), rest % (pixels * 4) / 4, rest % 4]
        });
        Tensor::from_data(TensorData::new(places.map(at).collect::<Vec<_>>(), sizes), &ops::device::cpu())
    }

    #[test]
    fn maps_are_means_of_heads_and_layers_and_sums_of_tokens() {
        let mut gaze = Gaze::new([2, 3], vec![vec![1], vec![2, 3], vec![9]]);
        gaze.open();
        gaze.look_at(Some(1));
        assert!(gaze.wants(PART) && !gaze.wants(Part::Residual(Stage::Middle, 0)));
        // All pixels, then half the rows and columns: 1 x 2 of them. Of the other image nothing is taken.
        gaze.record(
            PART,
            &weights(
                6,
                |[image, head, pixel, token]| {
                    if image == 1 { (head * 100 + pixel * 10 + token) as f32 } else { 1e9 }
                },
            ),
        );
        gaze.record(PART, &weights(2, |[_, _, pixel, token]| (pixel * 1000 + token) as f32));
        let maps = gaze.take().unwrap();
        // The mean of heads adds 50; the nearest small pixel of three columns is 0, 0, 1.
        let expected = |pixel: usize, column: usize| {
            let small = if column == 2 { 1000.0 } else { 0.0 };
            (50.0 + 10.0 * pixel as f32 + 1.0 + small + 1.0) / 2.0
        };
        let of_first: Vec<f32> = (0..6).map(|pixel| expected(pixel, pixel % 3)).collect();
        assert_eq!(maps[0], of_first);
        let of_second: Vec<f32> = of_first.iter().map(|value| 2.0 * value + 3.0).collect();
        assert_eq!(maps[1], of_second);
        assert_eq!(maps[2], [0.0; 6], "a token that there is not");
        assert_eq!(gaze.take(), None, "nobody looks any more");
    }

    #[test]
    fn who_does_not_look_sees_nothing() {
        let mut gaze = Gaze::new([2, 2], vec![vec![0]]);
        gaze.look_at(Some(0));
        assert!(!gaze.wants(PART));
        gaze.open();
        gaze.look_at(None);
        assert!(!gaze.wants(PART));
        // A level of so many pixels there is not.
        gaze.look_at(Some(0));
        gaze.record(PART, &weights(7, |_| 1.0));
        assert_eq!(gaze.take(), None);
        let mut nobody = Gaze::new([2, 2], Vec::new());
        nobody.open();
        nobody.look_at(Some(0));
        assert!(!nobody.wants(PART));
    }

    #[test]
    fn numbers_become_colours() {
        let rows = Rows { values: vec![1.0, 1.0, -1.0, -1.0, 0.0, 0.0, f32::NAN, 0.0], width: 4 };
        let heat = rows.heat(1, 2).unwrap();
        // One deviation of two and a half.
        assert_eq!((heat.size(), heat.data()), ([2, 1], [237, 200, 156, 161, 189, 217].as_slice()));
        assert_eq!(rows.heat(9, 3).unwrap().size(), [3, 2]);
        assert!(rows.heat(0, 3).is_none() && rows.heat(3, 0).is_none());
        let grey = grey(&[0.0, 0.5, 1.0, 9.0], [2, 2], 1.0).unwrap();
        assert_eq!(grey.data(), [0, 0, 0, 128, 128, 128, 255, 255, 255, 255, 255, 255]);
        let latent = Latent::new(vec![-1.0, 1.0, 7.0, 7.0], Shape::new(1, 2, 1, 2).unwrap()).unwrap();
        let channels = channels(&latent);
        assert_eq!(channels[0].data(), [0, 0, 0, 255, 255, 255]);
        assert_eq!(channels[1].data(), [0; 6]);
    }
}
