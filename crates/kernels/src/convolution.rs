//! Convolution over images whose channels lie side by side, and the gradients of its input and its weights.
//!
//! `y[n, i, j, o] = b[o] + Σ x[n, i·s + p − before, j·s + q − before, c] · w[o, p, q, c]` over the rows p and columns q of
//! the kernel and the channels c; what lies outside of the image is zero. This is what deep learning calls a convolution:
//! the kernel is not turned round. Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning"
//! (2018), chapters 2 and 4.
//!
//! Nothing is gathered patch by patch. Images are laid out once with their borders; then the pixels under one row of the
//! kernel are `columns · channels` numbers in a row, whichever the output, and a whole band of outputs, of as many images
//! as it takes, is one product per row of the kernel, whose rows overlap (`frame`) and are found where a row and an image
//! of outputs end (`product::Fold`).
//!
//! An output is one chain over p, then q and c, as [`crate::product`] has it for training in the same precision, and
//! depends on its own pixels alone: neither the other images nor the number of threads change a bit.

mod backward;
mod frame;
#[cfg(test)]
mod tests;

pub use backward::{convolution_backward_input, convolution_backward_weights};

use crate::disjoint::Disjoint;
use crate::pool;
use crate::product::{Axis, How, Into, Operand, Precision, Size, Weights, multiply};
use frame::Frame;

/// Outputs of a band: what its products add up in, 1 MB, stays in a second-level cache.
const BAND: usize = 256 * 1024;
/// Rows that a product has at least where there are as many: the weights are packed for each product.
const BAND_ROWS: usize = 512;
/// Numbers that are laid out at once, 16 MB, where an image has not more. Tests see both with small images.
const LAID: usize = if cfg!(test) { 4 << 10 } else { 4 << 20 };
/// Numbers that one task copies at least.
const COPIED_PER_TASK: usize = 64 * 1024;

/// Rows and columns that are added around an image, all zero, on both axes alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Above and on the left.
    pub before: usize,
    /// Below and on the right.
    pub after: usize,
}

impl Padding {
    /// As much on every side.
    pub const fn even(n: usize) -> Self {
        Self { before: n, after: n }
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// How many images there are.
    pub images: usize,
    /// Pixels of an image from above to below.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that go out.
    pub outputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Pixels from one output to the next, on both axes.
    pub stride: usize,
    /// What is added around.
    pub padding: Padding,
}

impl Shape {
    /// Height and width of what goes out.
    ///
    /// # Panics
    /// When the kernel is larger than the image with its border, or empty, or the stride is zero.
    pub fn output(&self) -> [usize; 2] {
        let Padding { before, after } = self.padding;
        let along = |length: usize, kernel: usize| {
            let room =
                (length + before + after).checked_sub(kernel).filter(|_| kernel > 0 && self.stride > 0);
            room.expect("convolution: the kernel lies within the image and its border") / self.stride + 1
        };
        [along(self.height, self.kernel[0]), along(self.width, self.kernel[1])]
    }

    /// Numbers that come in, that go out, and of the weights.
    pub fn lengths(&self) -> [usize; 3] {
        let [height, width] = self.output();
        let [rows, columns] = self.kernel;
        [
            self.images * self.height * self.width * self.inputs,
            self.images * height * width * self.outputs,
            self.outputs * rows * columns * self.inputs,
        ]
    }

    /// An image laid out for this convolution.
    fn frame(&self) -> Frame {
        Frame {
            image: [self.height, self.width],
            channels: self.inputs,
            spread: 1,
            before: [self.padding.before; 2],
            kernel: self.kernel,
            stride: self.stride,
            output: self.output(),
        }
    }
}

/// The convolution, with `bias` added where there is one.
///
/// # Shapes
/// `x [images, height, width, inputs]`, `w [outputs, kernel rows, kernel columns, inputs]`, `bias [outputs]`,
/// `y [images, output height, output width, outputs]`.
///
/// # Panics
/// When the lengths do not fit the shape, or the weights are blocks.
pub fn convolution<'a>(
    precision: Precision,
    x: &[f32],
    w: impl std::convert::Into<Weights<'a>>,
    bias: Option<&[f32]>,
    y: &mut [f32],
    shape: Shape,
) {
    let w = w.into();
    assert_eq!([x.len(), y.len(), w.len()], shape.lengths(), "convolution: x, y and w fit the shape");
    assert!(bias.is_none_or(|bias| bias.len() == shape.outputs), "convolution: a bias for each output");
    let frame = shape.frame();
    slide(precision, &frame, (x, w), y, shape.outputs);
    if let Some(bias) = bias {
        add_to_rows(y, bias);
    }
}

/// Every image of x under the weights `[outputs, kernel rows, kernel columns, channels]`.
fn slide(precision: Precision, frame: &Frame, (x, w): (&[f32], Weights<'_>), y: &mut [f32], outputs: usize) {
    let ([height, width], [in_height, in_width]) = (frame.output, frame.image);
    let (in_length, out_length) = (in_height * in_width * frame.channels, height * width * outputs);
    if in_length == 0 || out_length == 0 {
        return y.fill(0.0);
    }
    let band = (BAND / outputs).max(BAND_ROWS);
    let n_images = images_at_once(frame);
    for (x, y) in x.chunks(n_images * in_length).zip(y.chunks_mut(n_images * out_length)) {
        let laid = frame.lay(x);
        for (index, y) in y.chunks_mut(band * outputs).enumerate() {
            band_of(precision, frame, (&laid, w), (index * band, outputs), y);
        }
    }
}

/// How many images are laid out together.
fn images_at_once(frame: &Frame) -> usize {
    (LAID / frame.length()).max(1)
}

/// Some outputs from `first` on, each `[outputs]`: one product for each row of the kernel.
fn band_of(
    precision: Precision,
    frame: &Frame,
    (laid, w): (&[f32], Weights<'_>),
    (first, outputs): (usize, usize),
    to: &mut [f32],
) {
    let [kernel_rows, columns] = frame.kernel;
    let inner = columns * frame.channels;
    let size = Size { m: to.len() / outputs, n: outputs, k: inner };
    for row in 0..kernel_rows {
        let (pixels, fold) = frame.places(laid, first, row);
        let weights = Operand::by_rows(w.behind(row * inner), kernel_rows * inner);
        let into = if row == 0 { Into::Replace } else { Into::Add };
        let operands = (pixels.folded(Axis::Outer, fold), weights);
        multiply(How { precision, into }, operands, to, size);
    }
}

/// Adds `bias` to each row of `y` as long as it.
fn add_to_rows(y: &mut [f32], bias: &[f32]) {
    each_row(y, bias.len(), &|_, row| row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
}

/// Lets tasks go over the rows of a matrix.
fn each_row(matrix: &mut [f32], width: usize, work: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    let (n_rows, matrix) = (matrix.len() / width.max(1), Disjoint::new(matrix));
    pool::run_ranges(n_rows, COPIED_PER_TASK.div_ceil(width.max(1)), &|rows| {
        // SAFETY: rows do not overlap.
        rows.for_each(|row| work(row, unsafe { matrix.part(row * width..(row + 1) * width) }));
    });
}
