//! An image with its border, laid out so that what lies under the kernel is found by its place alone.
//!
//! Holds no arithmetic.

use std::borrow::Cow;

use super::each_row;
use crate::product::{Fold, Operand, Weights};

/// How an image is laid out. With a stride of s its rows are dealt out to s planes, row r to plane r mod s: then the rows
/// under one row of the kernel, for all outputs, follow each other in one plane. The pixels of a row stay together. One
/// image follows the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Height and width of the image.
    pub image: [usize; 2],
    pub channels: usize,
    /// From one pixel of the image to the next, with zeros between them: 1 for an image as it is.
    pub spread: usize,
    /// Rows above, columns on the left.
    pub before: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Height and width of what goes out.
    pub output: [usize; 2],
}

impl Frame {
    /// Rows of one plane.
    fn plane_rows(&self) -> usize {
        self.output[0] - 1 + self.kernel[0].div_ceil(self.stride)
    }

    /// Pixels of one row with its border.
    fn row_pixels(&self) -> usize {
        ((self.output[1] - 1) * self.stride + self.kernel[1]).next_multiple_of(self.stride)
    }

    /// Numbers of an image that is laid out.
    pub fn length(&self) -> usize {
        self.stride * self.plane_rows() * self.row_pixels() * self.channels
    }

    /// Whether an image that lies as it comes is laid out.
    fn is_as_it_comes(&self) -> bool {
        let is_plain = self.before == [0, 0] && self.spread == 1 && self.stride == 1;
        is_plain && self.image == [self.plane_rows(), self.row_pixels()]
    }

    /// Lays images out.
    pub fn lay<'a>(&self, images: &'a [f32]) -> Cow<'a, [f32]> {
        if self.is_as_it_comes() {
            return Cow::Borrowed(images);
        }
        let row_length = self.image[1] * self.channels;
        let (width, rows) = (self.row_pixels() * self.channels, self.stride * self.plane_rows());
        let mut laid = vec![0.0; images.len() / (self.image[0] * row_length) * self.length()];
        each_row(&mut laid, width, &|index, to| {
            let (image, index) = (index / rows, index % rows);
            let row = index % self.plane_rows() * self.stride + index / self.plane_rows();
            let row = row.checked_sub(self.before[0]).filter(|row| row.is_multiple_of(self.spread));
            let row = row.map(|row| row / self.spread).filter(|row| *row < self.image[0]);
            let (Some(row), Some(to)) = (row, to.get_mut(self.before[1] * self.channels..)) else { return };
            self.lay_row(&images[(image * self.image[0] + row) * row_length..][..row_length], to);
        });
        Cow::Owned(laid)
    }

    fn lay_row(&self, from: &[f32], to: &mut [f32]) {
        if self.spread == 1 {
            let length = from.len().min(to.len());
            return to[..length].copy_from_slice(&from[..length]);
        }
        let pixels = to.chunks_exact_mut(self.channels).step_by(self.spread);
        pixels.zip(from.chunks_exact(self.channels)).for_each(|(to, from)| to.copy_from_slice(from));
    }

    /// Where one row of the kernel stands for each output, from the output `first` on: rows of as many numbers as the
    /// kernel has columns and the image channels, which overlap. Beside it how the outputs fold.
    pub fn places<'a>(&self, laid: &'a [f32], first: usize, kernel_row: usize) -> (Operand<'a>, Fold) {
        let (plane, row) = (kernel_row % self.stride, kernel_row / self.stride);
        let row_length = self.row_pixels() * self.channels;
        let values = Weights::F32(&laid[(plane * self.plane_rows() + row) * row_length..]);
        let operand = Operand::by_rows(values, self.stride * self.channels);
        let counts = [self.output[1], self.output[0]];
        (operand, Fold { first, counts, strides: [row_length, self.length()] })
    }
}
