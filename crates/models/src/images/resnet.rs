//! The residual block of U-Nets and auto-encoders, and the convolutions that change the number of pixels.
//!
//! ```text
//! x ─┬─ norm ─ silu ─ 3×3 ─(+ time)─ norm ─ silu ─ 3×3 ─(+)─
//!    └───────────────── 1×1, where channels change ──────┘
//! ```
//! Source: J. Ho, A. Jain and P. Abbeel, "Denoising Diffusion Probabilistic Models" (2020), appendix B.

use burn::tensor::Tensor;
use ops::activation::pointwise::{Pointwise, pointwise};
use ops::linear::convolution::doubled::doubled;
use ops::linear::convolution::{Convolution, Padding, Window};
use ops::norm::group_norm::Grouping;
use ops::{Linear, Precision};

use super::parts::{Bias, GroupNorm, Parts, product};
use crate::Error;

const SAME: Window = Window::same(3);

/// A residual block with its weights.
#[derive(Clone)]
pub(super) struct Resnet {
    norms: [GroupNorm; 2],
    convolutions: [Convolution; 2],
    /// What the time adds to every pixel, where there is a time.
    time: Option<Linear>,
    shortcut: Option<Box<Convolution>>,
}

/// The sizes of a residual block.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub inputs: usize,
    pub outputs: usize,
    /// Width of the embedding of the time, where there is one.
    pub time: Option<usize>,
    pub grouping: Grouping,
}

impl Resnet {
    /// The block whose tensors begin with `name`.
    pub fn load(parts: &Parts<'_>, name: &str, sizes: Sizes) -> Result<Self, Error> {
        let Sizes { inputs, outputs, time, grouping } = sizes;
        let norm = |part: &str, channels| parts.group_norm(&format!("{name}.{part}"), channels, grouping);
        let convolution = |part: &str, sizes, window| {
            parts.convolution(&format!("{name}.{part}"), sizes, window, Bias::With)
        };
        let time =
            time.map(|width| parts.linear(&format!("{name}.time_emb_proj"), [outputs, width], Bias::With));
        let shortcut = (inputs != outputs)
            .then(|| convolution("conv_shortcut", [outputs, inputs], Window::same(1)).map(Box::new));
        Ok(Self {
            norms: [norm("norm1", inputs)?, norm("norm2", outputs)?],
            convolutions: [
                convolution("conv1", [outputs, inputs], SAME)?,
                convolution("conv2", [outputs, outputs], SAME)?,
            ],
            time: time.transpose()?,
            shortcut: shortcut.transpose()?,
        })
    }

    /// # Shapes
    /// `x` `[N, H, W, C]`, `time` `[N, T]` behind its activation → `[N, H, W, O]`.
    pub fn forward(&self, x: Tensor<4>, time: Option<&Tensor<2>>, precision: Precision) -> Tensor<4> {
        let ([first_norm, second_norm], [first, second]) = (&self.norms, &self.convolutions);
        let mut y = first.forward(silu(first_norm.forward(x.clone())), precision); // [N, H, W, O]
        if let (Some(layer), Some(time)) = (&self.time, time) {
            // A row for each image, which is added to all of its pixels.
            let shift = product(layer, time.clone(), Precision::F32); // [N, O]
            let [images, channels] = shift.dims();
            y = y + shift.reshape([images, 1, 1, channels]); // [N, H, W, O]
        }
        let y = second.forward(silu(second_norm.forward(y)), precision); // [N, H, W, O]
        let x = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, precision), // [N, H, W, O]
            None => x,
        };
        x + y
    }
}

/// silu of every number.
pub(super) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    pointwise(x, Pointwise::Silu)
}

/// Where a convolution to half as many rows and columns adds zeros.
#[derive(Clone, Copy)]
pub(super) enum Border {
    /// Around.
    Around,
    /// Below and to the right alone.
    Behind,
}

/// The convolution `name.downsamplers.0` to half as many rows and columns, rounded up with zeros around and down without.
pub(super) fn halving(
    parts: &Parts<'_>,
    name: &str,
    channels: usize,
    border: Border,
) -> Result<Convolution, Error> {
    let padding = match border {
        Border::Around => Padding::even(1),
        Border::Behind => Padding { before: 0, after: 1 },
    };
    let window = Window { padding, ..SAME.every(2) };
    parts.convolution(&format!("{name}.downsamplers.0.conv"), [channels; 2], window, Bias::With)
}

/// The convolution `name.upsamplers.0` behind every pixel four times.
pub(super) fn doubling(parts: &Parts<'_>, name: &str, channels: usize) -> Result<Convolution, Error> {
    parts.convolution(&format!("{name}.upsamplers.0.conv"), [channels; 2], SAME, Bias::With)
}

/// Twice as many rows and columns, or one less where `size` says so.
///
/// # Shapes
/// `x` `[N, H, W, C]` → `[N, 2·H, 2·W, C]`, or `size` rows and columns of it.
pub(super) fn grown(
    layer: &Convolution,
    x: Tensor<4>,
    size: Option<[usize; 2]>,
    precision: Precision,
) -> Tensor<4> {
    let mut x = doubled(x); // [N, 2·H, 2·W, C]
    if let Some([height, width]) = size {
        let [_, rows, columns, _] = x.dims();
        if height < rows {
            x = x.narrow(1, 0, height);
        }
        if width < columns {
            x = x.narrow(2, 0, width);
        }
    }
    layer.forward(x, precision)
}
