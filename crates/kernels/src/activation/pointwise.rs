//! The activations that convolutions and text encoders of image models use: `y = f(x)`, and backward `dx = g · f'(x)`.
//!
//! Formulas and sources: the head of `curve`. Largest error against exact arithmetic: 2e-7 times the larger of 1 and |x|,
//! and 3e-7 for the slope; ReLU is exact.

use super::curve::{QuickGelu, Relu, Silu};
use super::{BackwardBody, Body, plain};
use crate::kernel::Kernel;

/// Which curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pointwise {
    /// `max(x, 0)`.
    Relu,
    /// `x·σ(x)`.
    Silu,
    /// `x·σ(1.702·x)`.
    QuickGelu,
}

static RELU: Kernel<Body> = plain::forward::<Relu>("relu");
static SILU: Kernel<Body> = plain::forward::<Silu>("silu");
static QUICK_GELU: Kernel<Body> = plain::forward::<QuickGelu>("quick gelu");
static RELU_BACKWARD: Kernel<BackwardBody> = plain::backward::<Relu>("relu, backward");
static SILU_BACKWARD: Kernel<BackwardBody> = plain::backward::<Silu>("silu, backward");
static QUICK_GELU_BACKWARD: Kernel<BackwardBody> = plain::backward::<QuickGelu>("quick gelu, backward");

/// `y = f(x)`, element by element.
///
/// # Shapes
/// x, y: any, the same.
///
/// # Panics
/// When the lengths differ.
pub fn pointwise(curve: Pointwise, x: &[f32], y: &mut [f32]) {
    let kernel = match curve {
        Pointwise::Relu => &RELU,
        Pointwise::Silu => &SILU,
        Pointwise::QuickGelu => &QUICK_GELU,
    };
    plain::run(kernel, x, y);
}

/// `dx = gradient · f'(x)`: the gradient of [`pointwise`] for x, given that of y.
///
/// # Shapes
/// x, gradient, dx: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn pointwise_backward(curve: Pointwise, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    let kernel = match curve {
        Pointwise::Relu => &RELU_BACKWARD,
        Pointwise::Silu => &SILU_BACKWARD,
        Pointwise::QuickGelu => &QUICK_GELU_BACKWARD,
    };
    plain::run_backward(kernel, x, gradient, dx);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::assert_near;

    #[test]
    fn each_curve_is_its_own() {
        let (x, mut y) = ([2.0, -1.0, 0.5], [0.0; 3]);
        for (curve, values, slopes) in [
            (Pointwise::Relu, [2.0, 0.0, 0.5], [1.0, 0.0, 1.0]),
            (
                Pointwise::Silu,
                [1.761_594_2, -0.268_941_4, 0.311_229_7],
                [1.090_784_2, 0.072_329_5, 0.739_961_2],
            ),
            (
                Pointwise::QuickGelu,
                [1.935_658_6, -0.154_204_23, 0.350_388_44],
                [1.073_815_4, -0.067_779_56, 0.879_221_9],
            ),
        ] {
            pointwise(curve, &x, &mut y);
            assert_near(&y, &values, (3e-7, 3e-7), &format!("{curve:?}"));
            pointwise_backward(curve, &x, &[1.0; 3], &mut y);
            assert_near(&y, &slopes, (0.0, 1e-6), &format!("slope of {curve:?}"));
        }
    }
}
