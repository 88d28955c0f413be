//! Group normalisation of images: each group of channels over all pixels of an image to mean 0 and variance 1, then
//! `· w + b` for each channel.
//!
//! Source: Y. Wu and K. He, "Group Normalization" (2018), equations 1 to 3.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use kernels::norm::group_norm::{self as kernel, Groups};

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host};
use crate::value::Value;

/// How many groups there are, and what is added to the variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grouping {
    /// Groups of channels, all of the same size.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Grouping {
    fn of(self, images: usize) -> Groups {
        Groups { images, groups: self.groups, epsilon: self.epsilon }
    }
}

/// The op; see [`group_norm`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait GroupNormOp: Backend {
    /// `x` `[N, H, W, C]`, `weight` and `bias` `[C]` → `[N, H, W, C]`.
    fn group_norm_images(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self> {
        definition::<Self>(x, weight, bias, grouping)
    }

    /// The gradients of [`GroupNormOp::group_norm_images`] for `x`, `weight` and `bias`, given that of its output.
    fn group_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        grouping: Grouping,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        gradients_definition::<Self>(x, weight, gradient, grouping)
    }
}

/// The formula in Burn primitives.
pub(crate) fn definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    grouping: Grouping,
) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let (dims, channels) = (x.dims(), x.dims()[3]);
    let (normal, _) = normalised(x, grouping);
    let row = |vector| Value::<B>(vector).reshape([1, 1, 1, channels]);
    (normal.reshape(dims) * row(weight) + row(bias)).0 // [N, H, W, C]
}

/// The gradients in Burn primitives.
pub(crate) fn gradients_definition<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    grouping: Grouping,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (x, gradient) = (Value::<B>(x), Value::<B>(gradient));
    let (dims, channels) = (x.dims(), x.dims()[3]);
    let (normal, scale) = normalised(x, grouping); // [N, H·W, G, C/G], [N, 1, G, 1]
    let grouped = normal.dims();
    let weighted = gradient.clone() * Value::<B>(weight).reshape([1, 1, 1, channels]);
    let weighted = weighted.reshape(grouped); // [N, H·W, G, C/G]
    let overlap = group_mean(weighted.clone() * normal.clone()); // [N, 1, G, 1]
    let for_x = (weighted.clone() - group_mean(weighted) - normal.clone() * overlap) * scale;
    let all = |value: Value<B>| value.sum(0).sum(1).sum(2).reshape([channels]).0;
    let for_weight = all(gradient.clone() * normal.reshape(dims.clone()));
    (for_x.reshape(dims).0, for_weight, all(gradient))
}

/// Each group with mean 0 and variance 1, `[N, H·W, G, C/G]`, and one over its deviation, `[N, 1, G, 1]`.
fn normalised<B: Backend>(x: Value<B>, grouping: Grouping) -> (Value<B>, Value<B>) {
    let dims = x.dims();
    let x = x.reshape([dims[0], dims[1] * dims[2], grouping.groups, dims[3] / grouping.groups]);
    let centred = x.clone() - group_mean(x);
    let variance = group_mean(centred.clone() * centred.clone());
    let scale = variance.shift(grouping.epsilon).sqrt().reciprocal();
    (centred * scale.clone(), scale)
}

/// `[N, H·W, G, C/G]` → `[N, 1, G, 1]`.
fn group_mean<B: Backend>(x: Value<B>) -> Value<B> {
    x.mean(1).mean(3)
}

impl GroupNormOp for Flex {
    fn group_norm_images(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self> {
        let (x, weight, bias) = (host(x), host(weight), host(bias));
        let (dims, mut y) = (x.dims(), unwritten(x.values().len()));
        kernel::group_norm(x.values(), weight.values(), bias.values(), grouping.of(dims[0]), &mut y);
        from_host(y, dims)
    }

    fn group_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        grouping: Grouping,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (x, weight, gradient) = (host(x), host(weight), host(gradient));
        let (dims, width) = (x.dims(), weight.values().len());
        let (mut dx, mut dw, mut db) = (unwritten(x.values().len()), unwritten(width), unwritten(width));
        let gradients = kernel::Gradients { dx: &mut dx, dw: &mut dw, db: &mut db };
        let groups = grouping.of(dims[0]);
        kernel::group_norm_backward(x.values(), weight.values(), gradient.values(), groups, gradients);
        (from_host(dx, dims), from_host(dw, vec![width]), from_host(db, vec![width]))
    }
}

#[cfg(feature = "gpu")]
impl GroupNormOp for crate::Gpu {}

#[derive(Debug)]
struct GroupNormBackward {
    grouping: Grouping,
}

impl<B: GroupNormOp> Backward<B, 3> for GroupNormBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let (for_x, for_weight, for_bias) = B::group_norm_gradients(x, weight, gradient, self.grouping);
        for (node, gradient) in step.parents.into_iter().zip([for_x, for_weight, for_bias]) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: GroupNormOp, C: CheckpointStrategy> GroupNormOp for Autodiff<B, C> {
    fn group_norm_images(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grouping: Grouping,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let step = GroupNormBackward { grouping }.prepare::<C>(nodes).compute_bound();
        let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::group_norm_images(x.clone(), weight.clone(), bias, grouping);
                step.finish((x, weight), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::group_norm_images(x, weight, bias, grouping)),
        }
    }
}

/// Group normalisation of every image.
///
/// # Shapes
/// `x` `[N, H, W, C]`, `weight` and `bias` `[C]` → `[N, H, W, C]`.
pub fn group_norm(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, grouping: Grouping) -> Tensor<4> {
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::group_norm_images(x.into_dispatch(), weight, bias, grouping))
}

/// Work of one call over `pixels` pixels of `channels` channels.
pub fn cost(pixels: usize, channels: usize) -> Cost {
    Cost { flops: 8 * pixels * channels, bytes: 4 * (3 * pixels * channels + 2 * channels) }
}
