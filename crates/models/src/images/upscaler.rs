//! Networks that make pictures larger: RRDBNet, the generator of ESRGAN and Real-ESRGAN.
//!
//! ```text
//! picture ─ (pixels of a square as channels) ─ 3×3 ─┬─ block × n ─ 3×3 ─(+)─ (double ─ 3×3 ─ leaky) × 2 ─ 3×3 ─ leaky ─ 3×3
//!                                                   └──────────────────┘
//! block: x + 0.2 · dense(dense(dense(x)));  dense: x + 0.2 · five convolutions, each of which sees what all before it made
//! ```
//! Sources: X. Wang and others, "ESRGAN" (2018), section 3.1; X. Wang and others, "Real-ESRGAN" (2021), section 3.3, for the
//! squares of pixels. How many blocks there are, how wide, and how much larger the picture becomes, the tensors tell.

use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor};
use ops::Precision;
use ops::linear::convolution::doubled::doubled;
use ops::linear::convolution::{Convolution, Window};

use super::parts::{Bias, Parts};
use crate::Error;
use crate::tensors::Tensors;

const COLOURS: usize = 3;
const SLOPE: f64 = 0.2;
const SHARE: f32 = 0.2;
const CONVOLUTIONS: usize = 5;
const DENSE: usize = 3;
const MAX_BLOCKS: usize = 256;
const MAX_DOUBLINGS: usize = 4;
const MAX_WIDTH: usize = 1 << 10;

/// An RRDBNet with its weights.
#[derive(Clone)]
pub struct Upscaler {
    /// Rows and columns of pixels that come in as the channels of one.
    square: usize,
    first: Convolution,
    blocks: Vec<Block>,
    body: Convolution,
    doublings: Vec<Convolution>,
    high: Convolution,
    last: Convolution,
    width: usize,
}

#[derive(Clone)]
struct Block([[Convolution; CONVOLUTIONS]; DENSE]);

/// How a file names its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Of Real-ESRGAN.
    New,
    /// Of ESRGAN's code.
    Trunk,
    /// Of the training code before that, by the place in a sequence; doublings are counted.
    Sequence { n_blocks: usize, n_doublings: usize },
}

impl Layout {
    /// The layouts by a tensor that only they have.
    fn of(parts: &Parts<'_>) -> Result<Self, Error> {
        let sequence = Self::Sequence { n_blocks: 0, n_doublings: 0 };
        for layout in [Self::New, Self::Trunk, sequence] {
            if parts.has(&format!("{}.weight", layout.dense([0, 0, 0])))? {
                return layout.counted(parts);
            }
        }
        let name = format!("{}.weight", Self::New.dense([0; 3]));
        Err(Error::MissingTensor { file: parts.tensors.label().into(), name })
    }

    /// The same, with what a sequence counts.
    fn counted(self, parts: &Parts<'_>) -> Result<Self, Error> {
        let Self::Sequence { .. } = self else { return Ok(self) };
        let n_blocks = self.n_blocks(parts)?;
        for n_doublings in (0..=MAX_DOUBLINGS).rev() {
            let layout = Self::Sequence { n_blocks, n_doublings };
            if parts.has(&format!("{}.weight", layout.last()))? {
                return Ok(layout);
            }
        }
        Ok(Self::Sequence { n_blocks, n_doublings: 0 })
    }

    fn n_blocks(self, parts: &Parts<'_>) -> Result<usize, Error> {
        let mut n = 0;
        while n < MAX_BLOCKS && parts.has(&format!("{}.weight", self.dense([n, 0, 0])))? {
            n += 1;
        }
        Ok(n)
    }

    fn n_doublings(self, parts: &Parts<'_>) -> Result<usize, Error> {
        if let Self::Sequence { n_doublings, .. } = self {
            return Ok(n_doublings);
        }
        let mut n = 0;
        while n < MAX_DOUBLINGS && parts.has(&format!("{}.weight", self.doubling(n)))? {
            n += 1;
        }
        Ok(n)
    }

    fn first(self) -> &'static str {
        if matches!(self, Self::Sequence { .. }) { "model.0" } else { "conv_first" }
    }

    /// A convolution of a dense part of a block.
    fn dense(self, [block, dense, convolution]: [usize; 3]) -> String {
        let (dense, convolution) = (dense + 1, convolution + 1);
        match self {
            Self::New => format!("body.{block}.rdb{dense}.conv{convolution}"),
            Self::Trunk => format!("RRDB_trunk.{block}.RDB{dense}.conv{convolution}"),
            Self::Sequence { .. } => format!("model.1.sub.{block}.RDB{dense}.conv{convolution}.0"),
        }
    }

    fn body(self) -> String {
        match self {
            Self::New => "conv_body".into(),
            Self::Trunk => "trunk_conv".into(),
            Self::Sequence { n_blocks, .. } => format!("model.1.sub.{n_blocks}"),
        }
    }

    fn doubling(self, index: usize) -> String {
        match self {
            Self::New => format!("conv_up{}", index + 1),
            Self::Trunk => format!("upconv{}", index + 1),
            Self::Sequence { .. } => format!("model.{}", 3 * (index + 1)),
        }
    }

    fn high(self) -> String {
        match self {
            Self::New => "conv_hr".into(),
            Self::Trunk => "HRconv".into(),
            Self::Sequence { n_doublings, .. } => format!("model.{}", 3 * n_doublings + 2),
        }
    }

    fn last(self) -> String {
        match self {
            Self::New | Self::Trunk => "conv_last".into(),
            Self::Sequence { n_doublings, .. } => format!("model.{}", 3 * n_doublings + 4),
        }
    }
}

impl Upscaler {
    /// Loads the weights, in any of the three layouts in which such networks are published.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] where it is none, [`Error::Setting`] for one that is not computed, [`Error::Shape`] and
    /// [`Error::Storage`].
    pub fn load(tensors: &dyn Tensors, device: &Device) -> Result<Self, Error> {
        let parts = Parts { tensors, device };
        let layout = Layout::of(&parts)?;
        let convolution = |name: &str, sizes| parts.convolution(name, sizes, Window::same(3), Bias::With);
        let size = |name: &str, dimension: usize| -> Result<usize, Error> {
            let shape = parts.shape(&format!("{name}.weight"))?;
            Ok(shape.get(dimension).copied().unwrap_or(0).clamp(1, MAX_WIDTH))
        };
        let wrong = |key: &str, reason: &str| Error::Setting {
            file: tensors.label().into(),
            key: key.into(),
            reason: reason.into(),
        };
        if parts.has("body.0.rdb1.conv1x1.weight")? || parts.has("model.1.sub.0.RDB1.conv1x1.weight")? {
            return Err(wrong("conv1x1", "networks with it (ESRGAN+) are not computed yet"));
        }
        let (inputs, width) = (size(layout.first(), 1)?, size(layout.first(), 0)?);
        let square = [1, 2, 4].into_iter().find(|square| inputs == COLOURS * square * square);
        let square = square.ok_or_else(|| wrong(layout.first(), "its channels are no colours of pixels"))?;
        let growth = size(&layout.dense([0; 3]), 0)?;
        let dense = |block: usize, dense: usize| -> Result<[Convolution; CONVOLUTIONS], Error> {
            let one = |at: usize| {
                let outputs = if at + 1 == CONVOLUTIONS { width } else { growth };
                convolution(&layout.dense([block, dense, at]), [outputs, width + at * growth])
            };
            Ok([one(0)?, one(1)?, one(2)?, one(3)?, one(4)?])
        };
        let block = |at: usize| Ok(Block([dense(at, 0)?, dense(at, 1)?, dense(at, 2)?]));
        let n_doublings = layout.n_doublings(&parts)?;
        if 1 << n_doublings < square {
            return Err(wrong(layout.first(), "it would make pictures smaller"));
        }
        let doublings = (0..n_doublings).map(|at| convolution(&layout.doubling(at), [width; 2]));
        Ok(Self {
            square,
            first: convolution(layout.first(), [width, inputs])?,
            blocks: (0..layout.n_blocks(&parts)?).map(block).collect::<Result<_, Error>>()?,
            body: convolution(&layout.body(), [width; 2])?,
            doublings: doublings.collect::<Result<_, _>>()?,
            high: convolution(&layout.high(), [width; 2])?,
            last: convolution(&layout.last(), [COLOURS, width])?,
            width,
        })
    }

    /// How many times more rows and columns come out.
    pub fn scale(&self) -> usize {
        (1 << self.doublings.len()) / self.square
    }

    /// What the rows and columns that come in are multiples of.
    pub fn multiple(&self) -> usize {
        self.square
    }

    /// Bytes that a picture of so many pixels takes on its way: the widest activation, in, out and between.
    pub fn bytes(&self, pixels: u64) -> u64 {
        let scale = self.scale() as u64;
        pixels.saturating_mul(scale * scale).saturating_mul(self.width as u64 * 4 * 4)
    }

    /// Makes pictures larger.
    ///
    /// # Shapes
    /// `[N, Y, X, 3]` from 0 to 1, Y and X multiples of [`Upscaler::multiple`] → `[N, s·Y, s·X, 3]`.
    ///
    /// # Panics
    /// For other sides.
    pub fn forward(&self, pictures: Tensor<4>, precision: Precision) -> Tensor<4> {
        let x = self.first.forward(squares(pictures, self.square), precision); // [N, H, W, C]
        let body = self.blocks.iter().fold(x.clone(), |x, block| block.forward(x, precision));
        let mut x = x + self.body.forward(body, precision);
        for layer in &self.doublings {
            x = active(layer.forward(doubled(x), precision)); // [N, 2·H, 2·W, C]
        }
        self.last.forward(active(self.high.forward(x, precision)), precision) // [N, s·Y, s·X, 3]
    }
}

impl Block {
    /// `x` `[N, H, W, C]` → the same.
    fn forward(&self, x: Tensor<4>, precision: Precision) -> Tensor<4> {
        let dense = |x: Tensor<4>, layers: &[Convolution; CONVOLUTIONS]| {
            let [inner @ .., last] = layers;
            let mut made = x.clone();
            for layer in inner {
                let more = active(layer.forward(made.clone(), precision));
                made = Tensor::cat(vec![made, more], 3); // [N, H, W, C + growth · …]
            }
            last.forward(made, precision) * SHARE + x
        };
        self.0.iter().fold(x.clone(), dense) * SHARE + x
    }
}

fn active(x: Tensor<4>) -> Tensor<4> {
    leaky_relu(x, SLOPE)
}

/// Squares of pixels as channels of one, colour by colour, then row by row.
///
/// # Shapes
/// `[N, s·H, s·W, C]` → `[N, H, W, C·s·s]`.
fn squares(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x;
    }
    let [images, rows, columns, colours] = x.dims();
    assert!(rows.is_multiple_of(side) && columns.is_multiple_of(side), "upscaler: sides of the picture");
    let x = x.reshape([images, rows / side, side, columns / side, side, colours]); // [N, H, s, W, s, C]
    let x = x.permute([0, 1, 3, 5, 2, 4]); // [N, H, W, C, s, s]
    x.reshape([images, rows / side, columns / side, colours * side * side]) // [N, H, W, C·s·s]
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn squares_of_pixels_become_channels() {
        let values: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 2, 4, 2]), &ops::device::cpu());
        let found: Vec<f32> = squares(x, 2).into_data().iter::<f32>().collect();
        let expected = [0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15].map(|value| value as f32);
        assert_eq!(found, expected);
    }

    #[test]
    fn sequences_are_named_by_their_places() {
        let four = Layout::Sequence { n_blocks: 23, n_doublings: 2 };
        assert_eq!((four.body(), four.doubling(1)), ("model.1.sub.23".into(), "model.6".into()));
        assert_eq!((four.high(), four.last()), ("model.8".into(), "model.10".into()));
        let two = Layout::Sequence { n_blocks: 23, n_doublings: 1 };
        assert_eq!(
            (two.doubling(0), two.high(), two.last()),
            ("model.3".into(), "model.5".into(), "model.7".into())
        );
    }
}
