//! Every pixel four times, as before a convolution that makes a picture larger.
//!
//! What is called nearest-neighbour upsampling by two: `y[r, c] = x[r / 2, c / 2]`.

use std::sync::{Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use kernels::pool;

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// The op; see [`doubled`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait DoubledOp: Backend {
    /// `x` `[N, H, W, C]` → `[N, 2·H, 2·W, C]`.
    fn doubled_pixels(x: FloatTensor<Self>) -> FloatTensor<Self> {
        definition::<Self>(x)
    }

    /// The gradient of [`DoubledOp::doubled_pixels`], `[N, H, W, C]`, given that of its output: the sum of the four.
    fn doubled_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        gradient_definition::<Self>(gradient)
    }
}

/// The copies in Burn primitives.
pub(crate) fn definition<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let [images, height, width, channels] = x.dims()[..] else { panic!("doubled: x must be [N, H, W, C]") };
    let twice = |x: Value<B>| Value::concatenate(vec![x.clone(), x], 1);
    let rows = twice(x.reshape([images * height * width, 1, channels])); // [N·H·W, 2, C]
    let rows = twice(rows.reshape([images * height, 1, 2 * width * channels])); // [N·H, 2, 2·W·C]
    rows.reshape([images, 2 * height, 2 * width, channels]).0
}

/// The sums in Burn primitives.
pub(crate) fn gradient_definition<B: Backend>(gradient: FloatTensor<B>) -> FloatTensor<B> {
    let gradient = Value::<B>(gradient);
    let [images, height, width, channels] = gradient.dims()[..] else {
        panic!("doubled: the gradient must be [N, 2·H, 2·W, C]")
    };
    let (height, width) = (height / 2, width / 2);
    let rows = gradient.reshape([images * height, 2, 2 * width * channels]).sum(1); // [N·H, 1, 2·W·C]
    let pixels = rows.reshape([images * height * width, 2, channels]).sum(1); // [N·H·W, 1, C]
    pixels.reshape([images, height, width, channels]).0
}

impl DoubledOp for Flex {
    fn doubled_pixels(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = host(x);
        let [images, height, width, channels] = x.dims()[..] else {
            panic!("doubled: x must be [N, H, W, C]")
        };
        let mut y = unwritten(4 * x.values().len());
        // Two rows of the result come from one: no two tasks meet.
        let row = width * channels;
        let pairs: Vec<Mutex<&mut [f32]>> = y.chunks_exact_mut((4 * row).max(1)).map(Mutex::new).collect();
        pool::run(pairs.len(), &|at| {
            let mut pair = pairs[at].lock().unwrap_or_else(PoisonError::into_inner);
            let (first, second) = pair.split_at_mut(2 * row);
            let pixels = x.values()[at * row..(at + 1) * row].chunks_exact(channels);
            for (pixel, two) in pixels.zip(first.chunks_exact_mut(2 * channels)) {
                two[..channels].copy_from_slice(pixel);
                two[channels..].copy_from_slice(pixel);
            }
            second.copy_from_slice(first);
        });
        drop(pairs);
        from_host(y, vec![images, 2 * height, 2 * width, channels])
    }

    fn doubled_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let gradient = host(gradient);
        let [images, height, width, channels] = gradient.dims()[..] else {
            panic!("doubled: the gradient must be [N, 2·H, 2·W, C]")
        };
        let (height, width) = (height / 2, width / 2);
        let mut for_x = unwritten(gradient.values().len() / 4);
        let row = width * channels;
        let rows: Vec<Mutex<&mut [f32]>> = for_x.chunks_exact_mut(row.max(1)).map(Mutex::new).collect();
        pool::run(rows.len(), &|at| {
            let mut sums = rows[at].lock().unwrap_or_else(PoisonError::into_inner);
            let (first, second) = gradient.values()[4 * at * row..4 * (at + 1) * row].split_at(2 * row);
            let fours = first.chunks_exact(2 * channels).zip(second.chunks_exact(2 * channels));
            for (sum, (above, below)) in sums.chunks_exact_mut(channels).zip(fours) {
                for (channel, sum) in sum.iter_mut().enumerate() {
                    let [left, right] = [channel, channel + channels].map(|at| above[at] + below[at]);
                    *sum = left + right;
                }
            }
        });
        drop(rows);
        from_host(for_x, vec![images, height, width, channels])
    }
}

#[cfg(feature = "gpu")]
impl DoubledOp for crate::Gpu {}

#[derive(Debug)]
struct DoubledBackward;

impl<B: DoubledOp> Backward<B, 1> for DoubledBackward {
    type State = ();

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        if let [Some(node)] = step.parents {
            gradients.register::<B>(node.id, B::doubled_gradient(gradient));
        }
    }
}

impl<B: DoubledOp, C: CheckpointStrategy> DoubledOp for Autodiff<B, C> {
    fn doubled_pixels(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = DoubledBackward.prepare::<C>([x.node()]).compute_bound();
        let y = B::doubled_pixels(x.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => step.finish((), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

/// Every pixel four times.
///
/// # Shapes
/// `x` `[N, H, W, C]` → `[N, 2·H, 2·W, C]`.
pub fn doubled(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::doubled_pixels(x.into_dispatch()))
}

/// Work of one call over `values` values.
pub fn cost(values: usize) -> Cost {
    Cost { flops: 0, bytes: 20 * values }
}
