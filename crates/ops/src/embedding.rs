//! Token embedding: row `id` of a table for every id.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{IndexingUpdateOp, Int, Shape, Tensor};

use crate::cost::Cost;
use crate::host::{from_host, host, indices, weights};
use crate::weight::{Weight, WeightTensor};

/// The op; see [`embedding`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait EmbeddingOp: Backend {
    /// `table` `[V, D]`, `ids` `[R]`, each below `V` → `[R, D]` in f32.
    fn embedding_rows(
        #[extension_type] table: WeightTensor<Self>,
        ids: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        definition::<Self>(table, ids)
    }

    /// The gradient of [`EmbeddingOp::embedding_rows`] for a table of `rows` rows: the sum of the rows of `gradient`
    /// `[R, D]` that chose each → `[V, D]`.
    fn embedding_gradient(
        gradient: FloatTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        gradient_definition::<Self>(gradient, ids, rows)
    }
}

/// Rows of a table in Burn primitives.
pub(crate) fn definition<B: Backend>(table: WeightTensor<B>, ids: IntTensor<B>) -> FloatTensor<B> {
    let rows = match table {
        WeightTensor::Dense(table) => WeightTensor::<B>::Dense(B::float_select(table, 0, ids)),
        WeightTensor::Blocks(bytes, kind) => WeightTensor::Blocks(B::int_select(bytes, 0, ids), kind),
    };
    rows.widened().0 // [R, D]
}

/// Sums of rows in Burn primitives.
pub(crate) fn gradient_definition<B: Backend>(
    gradient: FloatTensor<B>,
    ids: IntTensor<B>,
    rows: usize,
) -> FloatTensor<B> {
    let shape = Shape::from([rows, gradient.shape().to_vec()[1]]);
    let zeros = B::float_zeros(shape, &gradient.device(), gradient.dtype().into());
    B::float_select_assign(zeros, 0, ids, gradient, IndexingUpdateOp::Add) // [V, D]
}

impl EmbeddingOp for Flex {
    fn embedding_rows(table: WeightTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, ids) = (weights(&table), indices(ids));
        let width = table.dims()[1];
        let mut y = vec![0.0; ids.len() * width];
        kernels::embedding::embedding(table.view(), width, &ids, &mut y);
        from_host(y, vec![ids.len(), width])
    }

    fn embedding_gradient(
        gradient: FloatTensor<Self>,
        ids: IntTensor<Self>,
        rows: usize,
    ) -> FloatTensor<Self> {
        let (gradient, ids) = (host(&gradient), indices(ids));
        let width = gradient.dims()[1];
        let mut sums = vec![0.0; rows * width];
        kernels::embedding::embedding_backward(&ids, gradient.values(), width, &mut sums);
        from_host(sums, vec![rows, width])
    }
}

#[cfg(feature = "gpu")]
impl EmbeddingOp for crate::Gpu {}

#[derive(Debug)]
struct EmbeddingBackward {
    rows: usize,
}

impl<B: EmbeddingOp> Backward<B, 1> for EmbeddingBackward {
    type State = IntTensor<B>;

    fn backward(self, step: Parents<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&step.node);
        let [node] = step.parents;
        if let Some(node) = node {
            gradients.register::<B>(node.id, B::embedding_gradient(gradient, step.state, self.rows));
        }
    }
}

impl<B: EmbeddingOp, C: CheckpointStrategy> EmbeddingOp for Autodiff<B, C> {
    fn embedding_rows(table: WeightTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let table = match table {
            WeightTensor::Dense(table) => table,
            // Quantised tables do not learn.
            WeightTensor::Blocks(bytes, kind) => {
                let y = B::embedding_rows(WeightTensor::Blocks(bytes, kind), ids);
                return <Self as AutodiffBackend>::from_inner(y);
            }
        };
        let node = table.node();
        let table = table.into_primitive();
        let rows = table.shape().to_vec()[0];
        let step = EmbeddingBackward { rows }.prepare::<C>([node]).compute_bound();
        match step.stateful() {
            OpsKind::Tracked(step) => {
                let y = B::embedding_rows(WeightTensor::Dense(table), ids.clone());
                step.finish(ids, y)
            }
            OpsKind::UnTracked(step) => step.finish(B::embedding_rows(WeightTensor::Dense(table), ids)),
        }
    }
}

/// Looks up the row of each id.
///
/// # Shapes
/// `table` `[V, D]`, `ids` `[R]`, each below `V` → `[R, D]`.
pub fn embedding(table: &Weight, ids: Tensor<1, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::embedding_rows(table.dispatch(), ids.into_dispatch()))
}

/// Work of one call for `rows` ids of width `width`.
pub fn cost(rows: usize, width: usize) -> Cost {
    Cost { flops: 0, bytes: 8 * rows * width }
}
