//! Four pixels of latents as one row, as FLUX has them, and back.

use burn::tensor::Tensor;

/// Rows and columns of latents in one row.
pub(super) const PATCH: usize = 2;

/// Four pixels as one row, each channel's four side by side: `[N, H, W, C]` → `[N·H/2·W/2, 4·C]`.
pub(super) fn patches(x: Tensor<4>) -> Tensor<2> {
    let [images, height, width, channels] = x.dims();
    let (rows, columns) = (height / PATCH, width / PATCH);
    let x = x.reshape([images, rows, PATCH, columns, PATCH, channels]);
    let x = x.permute([0, 1, 3, 5, 2, 4]); // [N, h, w, C, 2, 2]
    x.reshape([images * rows * columns, channels * PATCH * PATCH])
}

/// The way back: `[N·h·w, 4·C]` → `[N, 2·h, 2·w, C]`.
pub(super) fn picture(x: Tensor<2>, [images, rows, columns]: [usize; 3]) -> Tensor<4> {
    let channels = x.dims()[1] / (PATCH * PATCH);
    let x = x.reshape([images, rows, columns, channels, PATCH, PATCH]);
    let x = x.permute([0, 1, 4, 2, 5, 3]); // [N, h, 2, w, 2, C]
    x.reshape([images, rows * PATCH, columns * PATCH, channels])
}
