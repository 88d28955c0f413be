//! An image with its border, laid out so that what lies under the kernel is found by its place alone.
//!
//! Holds no arithmetic.

use super::each_row;
use crate::product::{Operand, Weights};

/// How an image is laid out. With a stride of s its rows are dealt out to s planes, row r to plane r mod s: then the rows
/// under one row of the kernel, for all outputs, follow each other in one plane. The pixels of a row stay together.
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

    /// Places of outputs in a row, those included that are left behind.
    pub fn per_row(&self) -> usize {
        self.row_pixels() / self.stride
    }

    /// Places of outputs in so many rows, up to the last output.
    pub fn n_places(&self, n_rows: usize) -> usize {
        (n_rows - 1) * self.per_row() + self.output[1]
    }

    /// Lays an image out.
    pub fn lay(&self, image: &[f32], laid: &mut Vec<f32>) {
        let width = self.row_pixels() * self.channels;
        laid.resize(self.stride * self.plane_rows() * width, 0.0);
        each_row(laid, width, &|index, to| {
            let row = index % self.plane_rows() * self.stride + index / self.plane_rows();
            to.fill(0.0);
            let Some(row) = row.checked_sub(self.before[0]).filter(|row| row.is_multiple_of(self.spread))
            else {
                return;
            };
            let from = image.chunks_exact(self.image[1] * self.channels).nth(row / self.spread);
            let to = to.get_mut(self.before[1] * self.channels..);
            if let (Some(from), Some(to)) = (from, to) {
                self.lay_row(from, to);
            }
        });
    }

    fn lay_row(&self, from: &[f32], to: &mut [f32]) {
        if self.spread == 1 {
            let length = from.len().min(to.len());
            return to[..length].copy_from_slice(&from[..length]);
        }
        let pixels = to.chunks_exact_mut(self.channels).step_by(self.spread);
        pixels.zip(from.chunks_exact(self.channels)).for_each(|(to, from)| to.copy_from_slice(from));
    }

    /// Where one row of the kernel stands for each place of an output, from the output row `first` on: rows of as many
    /// numbers as the kernel has columns and the image channels, which overlap.
    pub fn places<'a>(&self, laid: &'a [f32], first: usize, kernel_row: usize) -> Operand<'a> {
        let (plane, row) = (kernel_row % self.stride, kernel_row / self.stride + first);
        let start = (plane * self.plane_rows() + row) * self.row_pixels() * self.channels;
        Operand {
            values: Weights::F32(&laid[start..]),
            outer_stride: self.stride * self.channels,
            inner_stride: 1,
        }
    }
}
