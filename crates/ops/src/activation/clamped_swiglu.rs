//! The gated activation of gpt-oss: a SwiGLU whose operands are held within a limit, with a steeper sigmoid and a gate
//! that is never shut: `g · σ(slope · g) · (u + 1)` with `g = min(gate, limit)` and `u = up` within `-limit … limit`.
//!
//! Source: OpenAI, "gpt-oss-120b & gpt-oss-20b Model Card" (2025), section 2.2, and its reference implementation for
//! the numbers.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// How operands are held, and how steep the sigmoid is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// The largest magnitude; of the gate the largest value.
    pub limit: f32,
    /// By what the argument of the sigmoid is multiplied; positive.
    pub slope: f32,
}

impl Clamp {
    /// As in gpt-oss.
    pub const GPT_OSS: Self = Self { limit: 7.0, slope: 1.702 };
}

/// The op; see [`clamped_swiglu`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait ClampedSwigluOp: Backend {
    /// `gate` and `up` `[R, F]` → `[R, F]`.
    fn clamped_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>, clamp: Clamp) -> FloatTensor<Self> {
        definition::<Self>(gate, up, clamp)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    Clamp { limit, slope }: Clamp,
) -> FloatTensor<B> {
    let gate = Value::<B>(B::float_clamp_max(gate, limit.into()));
    let up = Value::<B>(B::float_clamp(up, (-limit).into(), limit.into()));
    (gate.clone() * gate.scale(slope).sigmoid() * up.shift(1.0)).0 // [R, F]
}

impl ClampedSwigluOp for Flex {
    /// `g · σ(s · g)` is `silu(s · g) / s`, for which there is a kernel.
    fn clamped_swiglu(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        Clamp { limit, slope }: Clamp,
    ) -> FloatTensor<Self> {
        let (gate, up) = (host(gate), host(up));
        // Written so that NaN passes through.
        let held = |x: f32| if x > limit { limit } else { x };
        let steep: Vec<f32> = gate.values().iter().map(|gate| slope * held(*gate)).collect();
        let open = |up: f32| (if up < -limit { -limit } else { held(up) } + 1.0) / slope;
        let open: Vec<f32> = up.values().iter().map(|up| open(*up)).collect();
        let mut y = unwritten(steep.len());
        kernels::activation::swiglu::swiglu(&steep, &open, &mut y);
        from_host(y, gate.dims())
    }
}

#[cfg(feature = "gpu")]
impl ClampedSwigluOp for crate::Gpu {}

// The definition is differentiable.
impl<B: ClampedSwigluOp, C: CheckpointStrategy> ClampedSwigluOp for Autodiff<B, C> {}

/// `g · σ(slope · g) · (u + 1)` of held operands, element by element.
///
/// # Shapes
/// `gate` and `up` `[R, F]` → `[R, F]`.
pub fn clamped_swiglu(gate: Tensor<2>, up: Tensor<2>, clamp: Clamp) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::clamped_swiglu(gate.into_dispatch(), up.into_dispatch(), clamp))
}

/// Work of one call over `values` values; `exp` and the division count as one each.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 9 * values, bytes: 12 * values }
}
