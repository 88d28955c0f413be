//! Token embedding: row `id` of a table for every id.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Parents, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{IndexingUpdateOp, Int, Shape, Tensor, TensorData};

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{from_host, host, indices, values_mut, weights};
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

    /// `table` `[V, D]` with each row of `gradient` `[R, D]` added to the row that its id names.
    fn embedding_add_gradient(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::float_select_assign(table, 0, ids, gradient, IndexingUpdateOp::Add)
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

impl EmbeddingOp for Flex {
    fn embedding_rows(table: WeightTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, ids) = (weights(&table), indices(ids));
        let width = table.dims()[1];
        let mut y = unwritten(ids.len() * width);
        kernels::embedding::embedding(table.view(), width, &ids, &mut y);
        from_host(y, vec![ids.len(), width])
    }

    fn embedding_add_gradient(
        mut table: FloatTensor<Self>,
        ids: IntTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (ids, gradient) = (indices(ids), host(gradient));
        let width = gradient.dims()[1];
        kernels::embedding::embedding_backward(&ids, gradient.values(), width, values_mut(&mut table));
        table
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
            let shape = Shape::from([self.rows, gradient.shape().to_vec()[1]]);
            let zeros = B::float_zeros(shape, &gradient.device(), gradient.dtype().into());
            gradients.register::<B>(node.id, B::embedding_add_gradient(zeros, step.state, gradient));
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

/// Adds the gradient of looked-up rows to that of their table, in its memory where nobody else holds it.
///
/// # Shapes
/// `table` `[V, D]`, `R` ids, each below `V`, `gradient` `[R, D]` → `[V, D]`.
pub fn add_gradient(table: Tensor<2>, ids: &[u32], gradient: Tensor<2>) -> Tensor<2> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let n_ids = ids.len();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [n_ids]), &table.device());
    let (table, gradient) = (table.into_dispatch(), gradient.into_dispatch());
    Tensor::from_dispatch(Dispatch::embedding_add_gradient(table, ids.into_dispatch(), gradient))
}

/// Work of one call for `rows` ids of width `width`.
pub fn cost(rows: usize, width: usize) -> Cost {
    Cost { flops: 0, bytes: 8 * rows * width }
}
