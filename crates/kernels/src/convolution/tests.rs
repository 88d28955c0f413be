//! Against the formula in f64, for odd sizes, strides, borders and kernels; images alone against images in company.

use base::Rng;

use super::*;
use crate::check::{assert_same_bits, normal, on_every_number_of_threads};

/// Images, height, width, inputs, outputs, kernel, stride, border before and after.
type Sizes = (usize, usize, usize, usize, usize, [usize; 2], usize, [usize; 2]);

const SIZES: [Sizes; 13] = [
    (1, 1, 1, 1, 1, [1, 1], 1, [0, 0]),
    (2, 5, 7, 3, 4, [1, 1], 1, [0, 0]),
    (2, 6, 5, 4, 17, [3, 3], 1, [1, 1]),
    (1, 9, 8, 5, 33, [3, 3], 2, [1, 1]),
    (2, 8, 8, 6, 3, [3, 3], 2, [0, 1]),
    (1, 7, 10, 2, 5, [4, 4], 2, [1, 1]),
    (1, 11, 11, 3, 2, [5, 5], 3, [2, 2]),
    (1, 6, 9, 7, 1, [1, 3], 1, [0, 1]),
    (1, 9, 9, 1, 6, [2, 2], 2, [0, 0]),
    (1, 10, 9, 3, 8, [1, 1], 2, [0, 0]),
    (1, 70, 66, 20, 40, [3, 3], 1, [1, 1]),
    (3, 20, 19, 4, 300, [3, 3], 1, [1, 1]),
    (5, 8, 8, 12, 16, [3, 3], 1, [1, 1]),
];

fn shape((images, height, width, inputs, outputs, kernel, stride, [before, after]): Sizes) -> Shape {
    Shape { images, height, width, inputs, outputs, kernel, stride, padding: Padding { before, after } }
}

/// Calls `each` with the places in y, x and w of every product of the sum.
fn terms(shape: Shape, mut each: impl FnMut(usize, usize, usize)) {
    let ([height, width], [kernel_rows, columns]) = (shape.output(), shape.kernel);
    let Shape { inputs, outputs, .. } = shape;
    for y in 0..shape.images * height * width * outputs {
        let (place, o) = (y / outputs, y % outputs);
        let (n, i, j) = (place / (height * width), place / width % height, place % width);
        for w in 0..kernel_rows * columns * inputs {
            let (p, q, c) = (w / (columns * inputs), w / inputs % columns, w % inputs);
            let row = (i * shape.stride + p).checked_sub(shape.padding.before);
            let column = (j * shape.stride + q).checked_sub(shape.padding.before);
            let (Some(row), Some(column)) = (row, column) else { continue };
            if row < shape.height && column < shape.width {
                let x = ((n * shape.height + row) * shape.width + column) * inputs + c;
                each(y, x, o * kernel_rows * columns * inputs + w);
            }
        }
    }
}

/// What stands at `to` of the terms, in f64, with the sum of the magnitudes and the number of terms.
fn exact(
    shape: Shape,
    length: usize,
    (a, b): (&[f32], &[f32]),
    places: fn(usize, usize, usize) -> [usize; 3],
) -> Vec<(f64, f64, usize)> {
    let mut sums = vec![(0.0, 0.0, 0); length];
    terms(shape, |y, x, w| {
        let [to, of_a, of_b] = places(y, x, w);
        let term = f64::from(a[of_a]) * f64::from(b[of_b]);
        let sum = &mut sums[to];
        *sum = (sum.0 + term, sum.1 + term.abs(), sum.2 + 1);
    });
    sums
}

#[track_caller]
fn assert_within(actual: &[f32], exact: &[(f64, f64, usize)], context: &str) {
    assert_eq!(actual.len(), exact.len(), "{context}");
    for (place, (actual, (sum, size, n))) in actual.iter().zip(exact).enumerate() {
        let bound = size * (*n as f64 + 2.0) * 2f64.powi(-23);
        let is_near = (f64::from(*actual) - sum).abs() <= bound;
        assert!(is_near, "{context}: element {place}: {actual:e}, exactly {sum:e}, bound {bound:e}");
    }
}

#[test]
fn every_output_is_the_sum_of_the_formula() {
    for sizes in SIZES {
        let (shape, mut rng) = (shape(sizes), Rng::new(5));
        let [n_x, n_y, n_w] = shape.lengths();
        let (x, w) = (normal(&mut rng, n_x), normal(&mut rng, n_w));
        let mut y = vec![f32::NAN; n_y];
        convolution(Precision::F32, &x, &w, None, &mut y, shape);
        assert_within(&y, &exact(shape, n_y, (&x, &w), |y, x, w| [y, x, w]), &format!("{sizes:?}"));
        let bias = normal(&mut rng, shape.outputs);
        let mut with_bias = vec![f32::NAN; n_y];
        convolution(Precision::F32, &x, &w, Some(&bias), &mut with_bias, shape);
        let expected: Vec<f32> = y.iter().enumerate().map(|(at, y)| y + bias[at % shape.outputs]).collect();
        assert_same_bits(&with_bias, &expected, &format!("{sizes:?}"));
    }
}

#[test]
fn gradients_are_those_of_the_formula() {
    for sizes in SIZES {
        let (shape, mut rng) = (shape(sizes), Rng::new(6));
        let [n_x, n_y, n_w] = shape.lengths();
        let (x, w, g) = (normal(&mut rng, n_x), normal(&mut rng, n_w), normal(&mut rng, n_y));
        let (mut dx, mut dw) = (vec![f32::NAN; n_x], vec![f32::NAN; n_w]);
        convolution_backward_input(Precision::F32, &g, &w, &mut dx, shape);
        assert_within(&dx, &exact(shape, n_x, (&g, &w), |y, x, w| [x, y, w]), &format!("dx {sizes:?}"));
        convolution_backward_weights(Precision::F32, &x, &g, &mut dw, shape);
        assert_within(&dw, &exact(shape, n_w, (&x, &g), |y, x, w| [w, x, y]), &format!("dw {sizes:?}"));
    }
}

#[test]
fn sixteen_bits_cost_what_they_promise() {
    let (shape, mut rng) = (shape((1, 12, 12, 32, 24, [3, 3], 1, [1, 1])), Rng::new(7));
    let [n_x, n_y, n_w] = shape.lengths();
    let (x, w) = (normal(&mut rng, n_x), normal(&mut rng, n_w));
    let mut y = vec![f32::NAN; n_y];
    convolution(Precision::Bf16, &x, &w, None, &mut y, shape);
    for (actual, (sum, size, _)) in y.iter().zip(exact(shape, n_y, (&x, &w), |y, x, w| [y, x, w])) {
        assert!((f64::from(*actual) - sum).abs() <= size * 2f64.powi(-6), "{actual} {sum}");
    }
}

#[test]
fn weights_of_sixteen_bits_are_read_as_they_are() {
    let (shape, mut rng) = (shape((1, 6, 5, 8, 9, [3, 3], 1, [1, 1])), Rng::new(8));
    let [n_x, n_y, n_w] = shape.lengths();
    let x = normal(&mut rng, n_x);
    let bits: Vec<u16> = normal(&mut rng, n_w).iter().map(|w| (w.to_bits() >> 16) as u16).collect();
    let wide: Vec<f32> = bits.iter().map(|bits| f32::from_bits(u32::from(*bits) << 16)).collect();
    let (mut narrow, mut expected) = (vec![f32::NAN; n_y], vec![f32::NAN; n_y]);
    convolution(Precision::F32, &x, Weights::Bf16(&bits), None, &mut narrow, shape);
    convolution(Precision::F32, &x, &wide, None, &mut expected, shape);
    assert_same_bits(&narrow, &expected, "bf16 beside the same numbers in f32");
}

#[test]
fn an_image_is_the_same_alone_in_company_and_on_any_number_of_threads() {
    let company = shape((3, 40, 37, 16, 24, [3, 3], 1, [1, 1]));
    let alone = Shape { images: 1, ..company };
    let mut rng = Rng::new(9);
    let [n_x, n_y, n_w] = company.lengths();
    let (x, w) = (normal(&mut rng, n_x), normal(&mut rng, n_w));
    on_every_number_of_threads(|n_threads| {
        let mut all = vec![f32::NAN; n_y];
        convolution(Precision::F32, &x, &w, None, &mut all, company);
        for (x, expected) in x.chunks_exact(n_x / 3).zip(all.chunks_exact(n_y / 3)) {
            let mut y = vec![f32::NAN; n_y / 3];
            convolution(Precision::F32, x, &w, None, &mut y, alone);
            assert_same_bits(&y, expected, &format!("{n_threads} threads"));
        }
    });
}

#[test]
#[should_panic(expected = "lies within")]
fn a_kernel_beyond_the_image_is_a_bug() {
    shape((1, 2, 2, 1, 1, [4, 4], 1, [0, 1])).output();
}
