//! The gradients of a convolution.
//!
//! That of the input is a convolution itself: of the gradient with its pixels spread by the stride, under the kernel turned
//! round, with inputs and outputs changing places. Source: Dumoulin and Visin, as above, chapter 4.

use super::frame::Frame;
use super::{Shape, each_row, images_at_once, slide};
use crate::product::{Axis, How, Into, Operand, Precision, Size, Weights, multiply};

/// The gradient for x, given that of the output.
///
/// # Shapes
/// `gradient [images, output height, output width, outputs]`, `w [outputs, kernel rows, kernel columns, inputs]`,
/// `dx [images, height, width, inputs]`, which is overwritten.
///
/// # Panics
/// When the lengths do not fit the shape, or the border before is as wide as the kernel.
pub fn convolution_backward_input<'a>(
    precision: Precision,
    gradient: &[f32],
    w: impl std::convert::Into<Weights<'a>>,
    dx: &mut [f32],
    shape: Shape,
) {
    let w = w.into();
    assert_eq!(
        [dx.len(), gradient.len(), w.len()],
        shape.lengths(),
        "convolution: gradient and w fit the shape"
    );
    let before = shape.kernel.map(|length| {
        let turned = (length - 1).checked_sub(shape.padding.before);
        turned.expect("convolution: the border before is narrower than the kernel")
    });
    let frame = Frame {
        image: shape.output(),
        channels: shape.outputs,
        spread: shape.stride,
        before,
        kernel: shape.kernel,
        stride: 1,
        output: [shape.height, shape.width],
    };
    let turned = turned(w, shape);
    slide(precision, &frame, (gradient, Weights::F32(&turned)), dx, shape.inputs);
}

/// The weights `[inputs, kernel rows, kernel columns, outputs]`, with the kernel turned round.
fn turned(w: Weights<'_>, shape: Shape) -> Vec<f32> {
    let (inputs, outputs, places) = (shape.inputs, shape.outputs, shape.kernel[0] * shape.kernel[1]);
    let mut wide = vec![0.0; w.len()];
    w.widen(0..wide.len(), &mut wide);
    let mut turned = vec![0.0; wide.len()];
    each_row(&mut turned, places * outputs, &|input, to| {
        for (place, to) in to.chunks_exact_mut(outputs).enumerate() {
            let from = (places - 1 - place) * inputs + input;
            to.iter_mut().enumerate().for_each(|(output, to)| *to = wide[output * places * inputs + from]);
        }
    });
    turned
}

/// The gradient for the weights, given that of the output; the images' follow each other in one sum.
///
/// # Shapes
/// `x [images, height, width, inputs]`, `gradient [images, output height, output width, outputs]`,
/// `dw [outputs, kernel rows, kernel columns, inputs]`, which is overwritten.
///
/// # Panics
/// When the lengths do not fit the shape.
pub fn convolution_backward_weights(
    precision: Precision,
    x: &[f32],
    gradient: &[f32],
    dw: &mut [f32],
    shape: Shape,
) {
    assert_eq!(
        [x.len(), gradient.len(), dw.len()],
        shape.lengths(),
        "convolution: x and gradient fit the shape"
    );
    dw.fill(0.0);
    let (frame, [height, width], outputs) = (shape.frame(), shape.output(), shape.outputs);
    let (in_length, out_length) = (shape.height * shape.width * shape.inputs, height * width * outputs);
    if in_length == 0 || out_length == 0 {
        return;
    }
    let [kernel_rows, columns] = shape.kernel;
    let inner = columns * shape.inputs;
    let mut sums = vec![0.0; kernel_rows * outputs * inner];
    let n_images = images_at_once(&frame);
    let images = x.chunks(n_images * in_length).zip(gradient.chunks(n_images * out_length));
    for (index, (x, gradient)) in images.enumerate() {
        let laid = frame.lay(x);
        let into = if index == 0 { Into::Replace } else { Into::Add };
        for (row, sums) in sums.chunks_exact_mut(outputs * inner).enumerate() {
            let (pixels, fold) = frame.places(&laid, 0, row);
            let pixels = Operand::by_columns(pixels.values, pixels.outer_stride).folded(Axis::Inner, fold);
            let gradients = Operand::by_columns(Weights::F32(gradient), outputs);
            let size = Size { m: outputs, n: inner, k: gradient.len() / outputs };
            multiply(How { precision, into }, (gradients, pixels), sums, size);
        }
    }
    each_row(dw, kernel_rows * inner, &|output, to| {
        for (row, to) in to.chunks_exact_mut(inner).enumerate() {
            to.copy_from_slice(&sums[(row * outputs + output) * inner..][..inner]);
        }
    });
}
