//! The dense layer: `y = x · Wᵀ + b`, behind which storage, precision and adapters live.

pub mod bias;
pub mod convolution;
pub mod low_rank;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use kernels::product::{self, How, Into, Precision, Role, Shape, Weights};

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::head_loss::{Targets, head_loss};
use crate::host::{from_host, host, weights};
use crate::quantised::{Quantised, activations};
use crate::rows::Rows;
use crate::value::Value;
use crate::weight::{Storage, Weight, WeightTensor};
use low_rank::{AdapterId, LowRank, MixedRows};

/// The op; see [`Linear`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait LinearOp: Backend {
    /// `x` `[R, K]`, `weight` `[N, K]` → `[R, N]`. On the CPU the first rows are computed as prompt rows, the
    /// others as generated rows; quantised weights, which take x in eight bits, make no difference between them, nor
    /// one for a training.
    fn linear_rows(
        x: FloatTensor<Self>,
        #[extension_type] weight: WeightTensor<Self>,
        _rows: Rows,
    ) -> FloatTensor<Self> {
        definition::<Self>(x, weight)
    }

    /// The gradient of [`LinearOp::linear_rows`] for `x`: `gradient` `[R, N]`, `weight` `[N, K]` → `[R, K]`.
    fn linear_input_gradient(
        gradient: FloatTensor<Self>,
        #[extension_type] weight: WeightTensor<Self>,
        _precision: Precision,
    ) -> FloatTensor<Self> {
        let gradient = Value::<Self>(gradient);
        let weight = weight.widened().cast_as(&gradient);
        gradient.matmul(weight).0 // [R, K]
    }

    /// The gradient of [`LinearOp::linear_rows`] for the weight: `gradient` `[R, N]`, `x` `[R, K]` → `[N, K]`.
    fn linear_weight_gradient(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        _precision: Precision,
    ) -> FloatTensor<Self> {
        Value::<Self>(gradient).transpose().matmul(Value::<Self>(x)).0 // [N, K]
    }
}

/// `x · Wᵀ` in Burn primitives; for quantised weights with x rounded to eight bits.
pub(crate) fn definition<B: Backend>(x: FloatTensor<B>, weight: WeightTensor<B>) -> FloatTensor<B> {
    let weight = match weight {
        WeightTensor::Blocks(bytes, kind) => return activations::product::<B>(x, bytes, kind),
        dense => dense,
    };
    let x = Value::<B>(x);
    let weight = weight.widened().cast_as(&x);
    x.matmul(weight.transpose()).0 // [R, N]
}

impl LinearOp for Flex {
    fn linear_rows(x: FloatTensor<Self>, weight: WeightTensor<Self>, rows: Rows) -> FloatTensor<Self> {
        let (x, weight) = (host(x), weights(&weight));
        let [outer, inner] = weight.dims();
        assert_eq!(x.dims(), [rows.total(), inner], "linear: x must be [R, K] for weight [{outer}, {inner}]");
        let mut y = unwritten(rows.total() * outer);
        if let blocks @ Weights::Blocks(_) = weight.view() {
            let shape = Shape { rows: rows.total(), inner, outer };
            product::product(Role::Prompt, x.values(), blocks, &mut y, shape);
            return from_host(y, vec![rows.total(), outer]);
        }
        let (prompt, generated) = x.values().split_at(rows.prompt * inner);
        let (prompt_y, generated_y) = y.split_at_mut(rows.prompt * outer);
        let shape = |rows| Shape { rows, inner, outer };
        match rows.training {
            None => product::product(Role::Prompt, prompt, weight.view(), prompt_y, shape(rows.prompt)),
            Some(precision) => {
                product::training_product(
                    how(precision),
                    prompt,
                    weight.view(),
                    prompt_y,
                    shape(rows.prompt),
                );
            }
        }
        product::product(Role::Generated, generated, weight.view(), generated_y, shape(rows.generated));
        from_host(y, vec![rows.total(), outer])
    }

    fn linear_input_gradient(
        gradient: FloatTensor<Self>,
        weight: WeightTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let (gradient, weight) = (host(gradient), weights(&weight));
        let (rows, [outer, inner]) = (gradient.dims()[0], weight.dims());
        let mut result = unwritten(rows * inner);
        let shape = Shape { rows, inner, outer };
        let wide = weight.widened();
        product::product_backward_input(
            how(precision),
            gradient.values(),
            Weights::F32(&wide),
            &mut result,
            shape,
        );
        from_host(result, vec![rows, inner])
    }

    fn linear_weight_gradient(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let (gradient, x) = (host(gradient), host(x));
        let [rows, outer, inner] = [gradient.dims()[0], gradient.dims()[1], x.dims()[1]];
        let mut result = unwritten(outer * inner);
        let shape = Shape { rows, inner, outer };
        product::product_backward_weights(how(precision), gradient.values(), x.values(), &mut result, shape);
        from_host(result, vec![outer, inner])
    }
}

fn how(precision: Precision) -> How {
    How { precision, into: Into::Replace }
}

#[cfg(feature = "gpu")]
impl LinearOp for crate::Gpu {}

#[derive(Debug)]
struct LinearBackward {
    precision: Precision,
}

impl<B: LinearOp> Backward<B, 2> for LinearBackward {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, step: Parents<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        let [x_node, weight_node] = step.parents;
        if let Some(node) = x_node {
            let weight = WeightTensor::Dense(weight);
            let for_x = B::linear_input_gradient(gradient.clone(), weight, self.precision);
            gradients.register::<B>(node.id, for_x);
        }
        if let Some(node) = weight_node {
            gradients.register::<B>(node.id, B::linear_weight_gradient(gradient, x, self.precision));
        }
    }
}

/// The step over quantised weights, which are never trained themselves. It passes through the rounding of x.
#[derive(Debug)]
struct FrozenBackward;

impl<B: LinearOp> Backward<B, 1> for FrozenBackward {
    type State = (IntTensor<B>, Quantised);

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (bytes, kind) = step.state;
        let gradient = gradients.consume::<B>(&step.node);
        if let [Some(node)] = step.parents {
            let weight = WeightTensor::Blocks(bytes, kind);
            gradients.register::<B>(node.id, B::linear_input_gradient(gradient, weight, Precision::F32));
        }
    }
}

fn frozen_rows<B: LinearOp, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    (bytes, kind): (IntTensor<B>, Quantised),
    rows: Rows,
) -> FloatTensor<Autodiff<B, C>> {
    let step = FrozenBackward.prepare::<C>([x.node()]).compute_bound();
    let weight = WeightTensor::Blocks(bytes.clone(), kind);
    let y = B::linear_rows(x.into_primitive(), weight, rows);
    match step.stateful() {
        OpsKind::Tracked(step) => step.finish((bytes, kind), y),
        OpsKind::UnTracked(step) => step.finish(y),
    }
}

impl<B: LinearOp, C: CheckpointStrategy> LinearOp for Autodiff<B, C> {
    fn linear_rows(x: FloatTensor<Self>, weight: WeightTensor<Self>, rows: Rows) -> FloatTensor<Self> {
        let weight = match weight {
            WeightTensor::Dense(weight) => weight,
            WeightTensor::Blocks(bytes, kind) => return frozen_rows::<B, C>(x, (bytes, kind), rows),
        };
        let precision = rows.training.unwrap_or(Precision::F32);
        let step = LinearBackward { precision }.prepare::<C>([x.node(), weight.node()]).compute_bound();
        let (x, weight) = (x.into_primitive(), weight.into_primitive());
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::linear_rows(x.clone(), WeightTensor::Dense(weight.clone()), rows);
                step.finish((x, weight), y)
            }
            OpsKind::UnTracked(step) => step.finish(B::linear_rows(x, WeightTensor::Dense(weight), rows)),
        }
    }
}

/// A dense layer. A model only ever calls [`Linear::forward`].
#[derive(Clone)]
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor<1>>,
    adapters: Vec<(AdapterId, LowRank)>,
    added: Vec<[Linear; 2]>,
}

impl Linear {
    /// A layer `x · Wᵀ` over `weight` `[N, K]`.
    pub fn new(weight: Weight) -> Self {
        Self { weight, bias: None, adapters: Vec::new(), added: Vec::new() }
    }

    /// The same layer with `bias` `[N]` added to every row.
    #[must_use]
    pub fn with_bias(self, bias: Tensor<1>) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// The same layer with `up · down` added for every row, as adapters of image models are.
    ///
    /// Not a [`LowRank`]: that is for few rows of many, which it gathers and computes as generated ones; here each of
    /// thousands of pixels has the addition, and it is as exact as the layer itself.
    ///
    /// # Panics
    /// When the two do not fit the layer or each other.
    #[must_use]
    pub fn with_added(mut self, down: Self, up: Self) -> Self {
        let ([outer, inner], [rank, width]) = (self.shape(), down.shape());
        assert_eq!((up.shape(), width), ([outer, rank], inner), "an addition to another layer");
        self.added.push([down, up]);
        self
    }

    /// Outputs `N` and inputs `K`.
    pub fn shape(&self) -> [usize; 2] {
        self.weight.shape()
    }

    /// How its weights are stored.
    pub fn storage(&self) -> Storage {
        self.weight.storage()
    }

    /// What the rows of `x` cost when this layer is the output head.
    ///
    /// # Shapes
    /// `x` `[R, K]`, `R` targets → `[1]`, in nats.
    ///
    /// # Panics
    /// When the layer has a bias or its weight is no float tensor: such heads are not trained.
    pub fn loss(&self, x: Tensor<2>, targets: Targets) -> Tensor<1> {
        assert!(self.bias.is_none(), "an output head that learns has no bias");
        head_loss(x, self.weight.learning(), targets)
    }

    /// Lets rows have an adapter, which takes the place of one with the same name.
    ///
    /// # Panics
    /// When it is for another shape.
    pub fn attach(&mut self, id: AdapterId, low_rank: LowRank) {
        assert_eq!(low_rank.shape(), self.shape(), "an adapter of another layer");
        self.detach(id);
        self.adapters.push((id, low_rank));
    }

    /// Takes an adapter away, where there is one of this name.
    pub fn detach(&mut self, id: AdapterId) {
        self.adapters.retain(|(known, _)| *known != id);
    }

    /// Rows that have an adapter which this layer knows get what it adds; the others are not touched.
    ///
    /// # Shapes
    /// `x` `[R, K]` → `[R, N]`, where `R` is the number of rows.
    pub fn forward<'a>(&self, x: Tensor<2>, rows: impl std::convert::Into<MixedRows<'a>>) -> Tensor<2> {
        let MixedRows { roles, adapters } = rows.into();
        let has = |id: AdapterId| self.adapters.iter().find(|(known, _)| *known == id);
        let adapted: Vec<_> =
            adapters.iter().filter_map(|some| Some((&has(some.adapter)?.1, some))).collect();
        let is_plain = adapted.is_empty() && self.added.is_empty();
        let own = if is_plain { None } else { Some(x.clone()) };
        let y = linear(x, &self.weight, roles);
        let mut y = match &self.bias {
            Some(added) => bias::biased(y, added.clone()), // [R, N]
            None => y,
        };
        if let Some(x) = own {
            for (low_rank, some) in adapted {
                y = low_rank.add(y, x.clone(), some.rows.clone()); // [R, N]
            }
            for [down, up] in &self.added {
                y = y + up.forward(down.forward(x.clone(), roles), roles); // [R, N]
            }
        }
        y
    }
}

/// `x · Wᵀ`.
///
/// # Shapes
/// `x` `[R, K]`, `weight` `[N, K]` → `[R, N]`, where `R` is `rows.total()`.
pub fn linear(x: Tensor<2>, weight: &Weight, rows: Rows) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::linear_rows(x.into_dispatch(), weight.dispatch(), rows))
}

/// Work of one call over `rows` rows, with `weight_bytes` bytes of weights.
pub fn cost(rows: usize, [outer, inner]: [usize; 2], weight_bytes: usize) -> Cost {
    Cost { flops: 2 * rows * outer * inner, bytes: weight_bytes + 4 * rows * (outer + inner) }
}
