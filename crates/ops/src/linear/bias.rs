//! A bias: the same numbers added to every row, as behind a product or a convolution.
//!
//! Its gradient is the sum over all rows, which are summed in stretches of a fixed length: the same bits on any number of
//! threads.

use std::sync::{Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use kernels::pool;

use crate::cost::Cost;
use crate::host::{from_host, host, values_mut};
use crate::value::Value;

/// Numbers of a task, about.
const STRETCH: usize = 1 << 16;

/// The op; see [`biased`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait BiasOp: Backend {
    /// `x` `[.., N]`, `bias` `[N]` → the shape of `x`.
    fn bias_rows(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        definition::<Self>(x, bias)
    }

    /// The gradient of [`BiasOp::bias_rows`] for the bias, `[N]`, given that of its output, `[.., N]`.
    fn bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        gradient_definition::<Self>(gradient)
    }
}

/// The sum in Burn primitives.
pub(crate) fn definition<B: Backend>(x: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let (x, bias) = (Value::<B>(x), Value::<B>(bias));
    let (dims, width) = (x.dims(), bias.dims()[0]);
    let rows = dims.iter().product::<usize>() / width.max(1);
    (x.reshape([rows, width]) + bias.reshape([1, width])).reshape(dims).0
}

/// The gradient in Burn primitives.
pub(crate) fn gradient_definition<B: Backend>(gradient: FloatTensor<B>) -> FloatTensor<B> {
    let gradient = Value::<B>(gradient);
    let dims = gradient.dims();
    let width = dims[dims.len() - 1];
    let rows = dims.iter().product::<usize>() / width.max(1);
    gradient.reshape([rows, width]).sum(0).reshape([width]).0
}

/// Numbers of a task: whole rows.
fn stretch(width: usize) -> usize {
    (STRETCH / width.max(1)).max(1) * width.max(1)
}

impl BiasOp for Flex {
    fn bias_rows(mut x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let bias = host(bias);
        let width = bias.values().len();
        let values = values_mut(&mut x);
        assert!(values.len().is_multiple_of(width.max(1)), "bias: rows are as long as the bias");
        let parts: Vec<Mutex<&mut [f32]>> = values.chunks_mut(stretch(width)).map(Mutex::new).collect();
        pool::run(parts.len(), &|task| {
            let mut rows = parts[task].lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows.chunks_exact_mut(width.max(1)) {
                row.iter_mut().zip(bias.values()).for_each(|(number, bias)| *number += bias);
            }
        });
        drop(parts);
        x
    }

    fn bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let gradient = host(gradient);
        let width = gradient.dims().last().copied().unwrap_or(0);
        let stretches: Vec<&[f32]> = gradient.values().chunks(stretch(width)).collect();
        let sums: Vec<Mutex<Vec<f32>>> = stretches.iter().map(|_| Mutex::new(vec![0.0; width])).collect();
        let add = |sums: &mut [f32], row: &[f32]| {
            sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        };
        pool::run(stretches.len(), &|task| {
            let mut sums = sums[task].lock().unwrap_or_else(PoisonError::into_inner);
            stretches[task].chunks_exact(width.max(1)).for_each(|row| add(&mut sums, row));
        });
        let mut all = vec![0.0; width];
        for part in sums {
            add(&mut all, &part.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        from_host(all, vec![width])
    }
}

#[cfg(feature = "gpu")]
impl BiasOp for crate::Gpu {}

#[derive(Debug)]
struct BiasBackward;

impl<B: BiasOp> Backward<B, 2> for BiasBackward {
    type State = ();

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        let [x, bias] = step.parents;
        if let Some(node) = bias {
            gradients.register::<B>(node.id, B::bias_gradient(gradient.clone()));
        }
        if let Some(node) = x {
            gradients.register::<B>(node.id, gradient);
        }
    }
}

impl<B: BiasOp, C: CheckpointStrategy> BiasOp for Autodiff<B, C> {
    fn bias_rows(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let step = BiasBackward.prepare::<C>([x.node(), bias.node()]).compute_bound();
        let y = B::bias_rows(x.into_primitive(), bias.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => step.finish((), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }
}

/// `bias` added to every row.
///
/// # Shapes
/// `x` `[.., N]`, `bias` `[N]` → the shape of `x`.
pub fn biased<const D: usize>(x: Tensor<D>, bias: Tensor<1>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::bias_rows(x.into_dispatch(), bias.into_dispatch()))
}

/// Work of one call over `rows` rows of `width` numbers.
pub fn cost(rows: usize, width: usize) -> Cost {
    Cost { flops: rows * width, bytes: 4 * (2 * rows * width + width) }
}
