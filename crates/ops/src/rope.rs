//! Rotary position embedding: pairs of a head's values are turned by an angle that grows with the position.
//!
//! For a pair `(a, b)` and an angle `t`: `(a·cos t − b·sin t, a·sin t + b·cos t)`. The angle of pair `i` at
//! position `p` is `p · θ^(−2i/d)`.
//! Source: J. Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding" (2021), equation 15.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};
use kernels::rope::Heads;
pub use kernels::rope::Layout;

use crate::cost::Cost;
use crate::host::{Cpu, host, values_mut};
use crate::value::Value;

/// The op; see [`rope`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait RopeOp: Backend {
    /// `x` `[R, H, d]`, `cos` and `sin` `[R, p]` with `2p ≤ d` → `[R, H, d]`; values from `2p` on stay.
    fn rope(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        layout: Layout,
    ) -> FloatTensor<Self> {
        definition::<Self>(x, cos, sin, layout)
    }

    /// The gradient of [`RopeOp::rope`] for `x`, given that of its output: both `[R, H, d]`. A turn is undone by the
    /// turn of the opposite angle, and its transpose is its inverse.
    fn rope_gradient(
        gradient: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        layout: Layout,
    ) -> FloatTensor<Self> {
        Self::rope(gradient, cos, Self::float_neg(sin), layout)
    }
}

/// The turn in Burn primitives.
pub(crate) fn definition<B: Backend>(
    x: FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    layout: Layout,
) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let [rows, heads, size] = x.dims()[..] else { panic!("rope: x must be [R, H, d]") };
    let cos = Value::<B>(cos);
    let pairs = cos.dims()[1];
    let cos = cos.reshape([rows, 1, pairs]);
    let sin = Value::<B>(sin).reshape([rows, 1, pairs]);
    let turned = x.clone().slice(&[0..rows, 0..heads, 0..2 * pairs]);
    let turned = match layout {
        Layout::Halves => {
            let a = turned.clone().slice(&[0..rows, 0..heads, 0..pairs]);
            let b = turned.slice(&[0..rows, 0..heads, pairs..2 * pairs]);
            let (a, b) = turn(a, b, cos, sin);
            Value::concatenate(vec![a, b], 2)
        }
        Layout::Interleaved => {
            let split = turned.reshape([rows, heads, pairs, 2]);
            let part = |half: usize| {
                let values = split.clone().slice(&[0..rows, 0..heads, 0..pairs, half..half + 1]);
                values.reshape([rows, heads, pairs])
            };
            let (a, b) = turn(part(0), part(1), cos, sin);
            let column = |values: Value<B>| values.reshape([rows, heads, pairs, 1]);
            let both = Value::concatenate(vec![column(a), column(b)], 3);
            both.reshape([rows, heads, 2 * pairs])
        }
    };
    if 2 * pairs == size {
        return turned.0; // [R, H, d]
    }
    let rest = x.slice(&[0..rows, 0..heads, 2 * pairs..size]);
    Value::concatenate(vec![turned, rest], 2).0 // [R, H, d]
}

fn turn<B: Backend>(a: Value<B>, b: Value<B>, cos: Value<B>, sin: Value<B>) -> (Value<B>, Value<B>) {
    let first = a.clone() * cos.clone() - b.clone() * sin.clone();
    let second = a * sin + b * cos;
    (first, second)
}

impl RopeOp for Flex {
    fn rope(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        layout: Layout,
    ) -> FloatTensor<Self> {
        in_place(x, [cos, sin], layout, kernels::rope::rope)
    }

    fn rope_gradient(
        gradient: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        layout: Layout,
    ) -> FloatTensor<Self> {
        in_place(gradient, [cos, sin], layout, kernels::rope::rope_backward)
    }
}

/// Turns `x` where it is when nobody else holds it, else a copy.
fn in_place(
    mut x: Cpu,
    [cos, sin]: [Cpu; 2],
    layout: Layout,
    turn: fn(&mut [f32], &[f32], &[f32], Heads),
) -> Cpu {
    let (cos, sin, dims) = (host(cos), host(sin), x.shape().to_vec());
    let (n_heads, head_size, rotary_size) = (dims[1], dims[2], 2 * cos.dims()[1]);
    let heads = Heads { n_heads, head_size, rotary_size, layout };
    turn(values_mut(&mut x), cos.values(), sin.values(), heads);
    x
}

#[cfg(feature = "gpu")]
impl RopeOp for crate::Gpu {}

#[derive(Debug)]
struct RopeBackward {
    layout: Layout,
}

impl<B: RopeOp> Backward<B, 1> for RopeBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (cos, sin) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let [node] = step.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::rope_gradient(gradient, cos, sin, self.layout));
        }
    }
}

impl<B: RopeOp, C: CheckpointStrategy> RopeOp for Autodiff<B, C> {
    fn rope(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        layout: Layout,
    ) -> FloatTensor<Self> {
        let step = RopeBackward { layout }.prepare::<C>([x.node()]).compute_bound();
        let (x, cos, sin) = (x.into_primitive(), cos.into_primitive(), sin.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::rope(x, cos.clone(), sin.clone(), layout);
                step.finish((cos, sin), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::rope(x, cos, sin, layout)),
        }
    }
}

/// Cosine and sine of every angle of a batch, made once for all layers.
#[derive(Clone)]
pub struct Angles {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Angles {
    /// The angles `position · frequency`; what is turned is also multiplied by `amplitude`, which is 1 but where
    /// angles are stretched for long contexts.
    ///
    /// # Shapes
    /// `positions` `R`, `frequencies` (radians a token) `p` → two tables `[R, p]`.
    pub fn new(positions: &[u32], frequencies: &[f32], amplitude: f32, device: &Device) -> Self {
        let shape = [positions.len(), frequencies.len()];
        let mut cos = vec![0.0; shape[0] * shape[1]];
        let mut sin = cos.clone();
        kernels::rope::rope_table(positions, frequencies, amplitude, &mut cos, &mut sin);
        let table = |values| Tensor::from_data(TensorData::new(values, shape), device);
        Self { cos: table(cos), sin: table(sin) }
    }

    /// These angles, and behind them those of the same rows on another axis.
    ///
    /// # Shapes
    /// `[R, p]` and `[R, q]` → `[R, p + q]`.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        let cos = Tensor::cat(vec![self.cos, other.cos], 1);
        Self { cos, sin: Tensor::cat(vec![self.sin, other.sin], 1) }
    }

    /// These angles for `n` sequences of the same rows, one after another.
    ///
    /// # Shapes
    /// `[R, p]` → `[n·R, p]`.
    #[must_use]
    pub fn repeated(self, n: usize) -> Self {
        Self { cos: self.cos.repeat_dim(0, n), sin: self.sin.repeat_dim(0, n) }
    }
}

/// Turns every head of every row by the angles of its position.
///
/// # Shapes
/// `x` `[R, H, d]`, angles `[R, p]` with `2p ≤ d` → `[R, H, d]`.
pub fn rope(x: Tensor<3>, angles: &Angles, layout: Layout) -> Tensor<3> {
    let (cos, sin) = (angles.cos.clone().into_dispatch(), angles.sin.clone().into_dispatch());
    Tensor::from_dispatch(Dispatch::rope(x.into_dispatch(), cos, sin, layout))
}

/// Work of one call over `values` values.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 3 * values, bytes: 8 * values }
}
