//! Token embedding: row `id` of a table for every id.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Int, Tensor};

use crate::cost::Cost;
use crate::host::{from_host, indices, weights};
use crate::weight::{Weight, WeightTensor};

/// The op; see [`embedding`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait EmbeddingOp: Backend {
    /// `table` `[V, D]`, `ids` `[R]`, each below `V` → `[R, D]` in f32.
    fn embedding(#[extension_type] table: WeightTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        definition::<Self>(table, ids)
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
    fn embedding(table: WeightTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let (table, ids) = (weights(&table), indices(ids));
        let width = table.dims()[1];
        let mut y = vec![0.0; ids.len() * width];
        kernels::embedding::embedding(table.view(), width, &ids, &mut y);
        from_host(y, vec![ids.len(), width])
    }
}

#[cfg(feature = "gpu")]
impl EmbeddingOp for crate::Gpu {}

// The gradient of a selection is the sum of the rows that chose it: Burn's own backward of `float_select`.
impl<B: EmbeddingOp, C: CheckpointStrategy> EmbeddingOp for Autodiff<B, C> {}

/// Looks up the row of each id.
///
/// # Shapes
/// `table` `[V, D]`, `ids` `[R]`, each below `V` → `[R, D]`.
pub fn embedding(table: &Weight, ids: Tensor<1, Int>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::embedding(table.dispatch(), ids.into_dispatch()))
}

/// Work of one call for `rows` ids of width `width`.
pub fn cost(rows: usize, width: usize) -> Cost {
    Cost { flops: 0, bytes: 8 * rows * width }
}
