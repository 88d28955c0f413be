//! The activation GELU, in both of its forms: `y = gelu(x)`, and backward `dx = g · gelu'(x)`.
//!
//! Source and formulas: [`super::Gelu`] and the head of `curve`. Largest error against exact arithmetic: 2e-7
//! times the larger of 1 and |x|, and 3e-7 for the slope. By tanh, gelu(-∞) is NaN (0 · ∞), as the formula
//! says; by erf it is 0.

use super::curve::{Gelu, GeluErf, GeluTanh};
use super::{BackwardBody, Body, plain};
use crate::kernel::Kernel;

/// The bodies by tanh.
pub static GELU_TANH: Kernel<Body> = plain::forward::<GeluTanh>("gelu by tanh");
/// The bodies by the error function.
pub static GELU_ERF: Kernel<Body> = plain::forward::<GeluErf>("gelu by erf");
/// The bodies of the backward pass by tanh.
pub static GELU_TANH_BACKWARD: Kernel<BackwardBody> = plain::backward::<GeluTanh>("gelu by tanh, backward");
/// The bodies of the backward pass by the error function.
pub static GELU_ERF_BACKWARD: Kernel<BackwardBody> = plain::backward::<GeluErf>("gelu by erf, backward");

/// `y = gelu(x)`, element by element.
///
/// # Shapes
/// x, y: any, the same.
///
/// # Panics
/// When the lengths differ.
pub fn gelu(form: Gelu, x: &[f32], y: &mut [f32]) {
    let kernel = match form {
        Gelu::Tanh => &GELU_TANH,
        Gelu::Erf => &GELU_ERF,
    };
    plain::run(kernel, x, y);
}

/// `dx = gradient · gelu'(x)`: the gradient of [`gelu`] for x, given that of y.
///
/// # Shapes
/// x, gradient, dx: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn gelu_backward(form: Gelu, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    let kernel = match form {
        Gelu::Tanh => &GELU_TANH_BACKWARD,
        Gelu::Erf => &GELU_ERF_BACKWARD,
    };
    plain::run_backward(kernel, x, gradient, dx);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::assert_near;

    #[test]
    fn each_form_is_its_own() {
        // The two forms are furthest apart, by 4.7e-4, near 2.7.
        let x = [2.7, -2.7];
        let (mut tanh, mut erf) = ([0.0; 2], [0.0; 2]);
        gelu(Gelu::Tanh, &x, &mut tanh);
        gelu(Gelu::Erf, &x, &mut erf);
        assert_near(&tanh, &[2.691_112_4, -0.008_887_595], (2e-7, 4e-7), "tanh");
        assert_near(&erf, &[2.690_639_2, -0.009_360_829], (2e-7, 4e-7), "erf");
        let x = [1.5, -1.5];
        gelu_backward(Gelu::Tanh, &x, &[1.0; 2], &mut tanh);
        gelu_backward(Gelu::Erf, &x, &[1.0; 2], &mut erf);
        assert_near(&tanh, &[1.1277108, -0.1277108], (0.0, 1e-6), "slope of tanh");
        assert_near(&erf, &[1.1274692, -0.1274692], (0.0, 1e-6), "slope of erf");
    }
}
