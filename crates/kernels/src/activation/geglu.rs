//! The gate of a GeGLU block: `y = gelu(gate) · up`, and backward `dgate = g · up · gelu'(gate)`,
//! `dup = g · gelu(gate)`.
//!
//! Not the whole block: the three products around it are [`crate::product`]. Source: N. Shazeer, "GLU
//! Variants Improve Transformer" (2020). The error is that of [`super::gelu`], plus one rounding for each
//! product.

use super::curve::{Gelu, GeluErf, GeluTanh};
use super::{GatedBackwardBody, GatedBody, gated};
use crate::kernel::Kernel;

/// The bodies by tanh.
pub static GEGLU_TANH: Kernel<GatedBody> = gated::forward::<GeluTanh>("geglu by tanh");
/// The bodies by the error function.
pub static GEGLU_ERF: Kernel<GatedBody> = gated::forward::<GeluErf>("geglu by erf");
/// The bodies of the backward pass by tanh.
pub static GEGLU_TANH_BACKWARD: Kernel<GatedBackwardBody> =
    gated::backward::<GeluTanh>("geglu by tanh, backward");
/// The bodies of the backward pass by the error function.
pub static GEGLU_ERF_BACKWARD: Kernel<GatedBackwardBody> =
    gated::backward::<GeluErf>("geglu by erf, backward");

/// `y = gelu(gate) · up`, element by element.
///
/// # Shapes
/// gate, up, y: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn geglu(form: Gelu, gate: &[f32], up: &[f32], y: &mut [f32]) {
    let kernel = match form {
        Gelu::Tanh => &GEGLU_TANH,
        Gelu::Erf => &GEGLU_ERF,
    };
    gated::run(kernel, gate, up, y);
}

/// The gradients of [`geglu`] for gate and up, given that of y.
///
/// # Shapes
/// gate, up, gradient, dgate, dup: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn geglu_backward(form: Gelu, operands: [&[f32]; 3], dgate: &mut [f32], dup: &mut [f32]) {
    let kernel = match form {
        Gelu::Tanh => &GEGLU_TANH_BACKWARD,
        Gelu::Erf => &GEGLU_ERF_BACKWARD,
    };
    gated::run_backward(kernel, operands, dgate, dup);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::gelu::gelu;

    #[test]
    fn it_is_gelu_times_up_in_each_form() {
        let (gate, up, gradient) = ([-1.5, 0.3, 2.7], [2.0, -1.0, 4.0], [0.5, 2.0, -1.0]);
        for form in [Gelu::Tanh, Gelu::Erf] {
            let (mut curve, mut y) = ([0.0; 3], [0.0; 3]);
            gelu(form, &gate, &mut curve);
            geglu(form, &gate, &up, &mut y);
            assert_eq!(y, [0, 1, 2].map(|i: usize| curve[i] * up[i]));
            let (mut dgate, mut dup) = ([0.0; 3], [0.0; 3]);
            geglu_backward(form, [&gate, &up, &gradient], &mut dgate, &mut dup);
            assert_eq!(dup, [0, 1, 2].map(|i: usize| curve[i] * gradient[i]));
        }
    }
}
