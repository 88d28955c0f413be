//! What an adapter adds to a dense layer: `y + s · B · (A · x)`, for some of its rows.
//!
//! `W + s · B · A` is never made, so that rows with different adapters, and rows with none, go through one product with
//! `W`. A row that has none is not touched. On the CPU a row is computed by the arithmetic of generated rows, whatever it
//! is for: so prompts and answers are alike to the bit where the layer's own weights make no difference between them.
//!
//! Source: E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), section 4.1.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, IndexingUpdateOp, IntDType, Tensor, TensorData};
use kernels::product::{self, Role, Shape, Weights};

use crate::buffers::unwritten;
use crate::cost::Cost;
use crate::host::{Host, host, values_mut};
use crate::rows::Rows;
use crate::value::Value;

/// The op; see [`LowRank::add`].
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait LowRankOp: Backend {
    /// `y` `[R, N]`, `x` `[R, K]`, `down` `[r, K]`, `up` `[N, r]` → `[R, N]`, where only the rows of `part` differ from
    /// `y`.
    fn add_low_rank(
        y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        part: Part,
    ) -> FloatTensor<Self> {
        definition::<Self>(y, x, [down, up], part)
    }
}

/// Which rows get what an adapter adds, and by what it is multiplied.
#[derive(Clone, Debug)]
pub struct Part {
    /// Each once.
    pub rows: Arc<[u32]>,
    /// `s`.
    pub scale: f32,
}

/// The sum in Burn primitives.
pub(crate) fn definition<B: Backend>(
    y: FloatTensor<B>,
    x: FloatTensor<B>,
    [down, up]: [FloatTensor<B>; 2],
    part: Part,
) -> FloatTensor<B> {
    let x = Value::<B>(x);
    let places = x.constant(part.rows.iter().map(|&row| row as f32).collect(), [part.rows.len()]);
    let inner = x.rows(places.clone()).matmul(Value(down).transpose()).scale(part.scale); // [n, r]
    let added = inner.matmul(Value(up).transpose()); // [n, N]
    let places = B::float_into_int(places.0, IntDType::I32);
    B::float_select_assign(y, 0, places, added.0, IndexingUpdateOp::Add) // [R, N]
}

impl LowRankOp for Flex {
    fn add_low_rank(
        mut y: FloatTensor<Self>,
        x: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        part: Part,
    ) -> FloatTensor<Self> {
        let (x, down, up) = (host(x), host(down), host(up));
        let [rank, inner, outer] = [down.dims()[0], down.dims()[1], up.dims()[0]];
        let rows = part.rows.len();
        let gathered = gathered(&x, &part.rows, inner);
        let mut middle = unwritten(rows * rank);
        let (down, shape) = (Weights::F32(down.values()), Shape { rows, inner, outer: rank });
        product::product(Role::Generated, &gathered, down, &mut middle, shape);
        middle.iter_mut().for_each(|value| *value *= part.scale);
        let mut added = unwritten(rows * outer);
        let (up, shape) = (Weights::F32(up.values()), Shape { rows, inner: rank, outer });
        product::product(Role::Generated, &middle, up, &mut added, shape);
        let values = values_mut(&mut y);
        for (&row, added) in part.rows.iter().zip(added.chunks_exact(outer.max(1))) {
            let row = &mut values[row as usize * outer..][..outer];
            row.iter_mut().zip(added).for_each(|(value, added)| *value += added);
        }
        y
    }
}

/// Some rows of `[R, K]`, one behind the other.
fn gathered(x: &Host, rows: &[u32], inner: usize) -> Vec<f32> {
    let mut gathered = Vec::with_capacity(rows.len() * inner);
    for &row in rows {
        gathered.extend_from_slice(&x.values()[row as usize * inner..][..inner]);
    }
    gathered
}

#[cfg(feature = "gpu")]
impl LowRankOp for crate::Gpu {}

impl<B: LowRankOp, C: CheckpointStrategy> LowRankOp for Autodiff<B, C> {}

/// What an adapter's content is told by, a SHA-256: two with one name are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdapterId(pub [u8; 32]);

/// The rows of a batch that have one adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterRows {
    /// The adapter.
    pub adapter: AdapterId,
    /// Which rows, ascending.
    pub rows: Arc<[u32]>,
}

/// The rows of a batch of which some have an adapter; no row has two.
#[derive(Clone, Copy, Debug)]
pub struct MixedRows<'a> {
    /// Which rows are of which role.
    pub roles: Rows,
    /// Which rows have which adapter.
    pub adapters: &'a [AdapterRows],
}

/// Rows without adapters.
impl From<Rows> for MixedRows<'_> {
    fn from(roles: Rows) -> Self {
        Self { roles, adapters: &[] }
    }
}

/// What an adapter adds to one layer.
#[derive(Clone)]
pub struct LowRank {
    down: Tensor<2>,
    up: Tensor<2>,
    scale: f32,
}

impl LowRank {
    /// `s · B · A` with `down` A, `up` B and `scale` s.
    ///
    /// # Shapes
    /// `down` `[r, K]`, `up` `[N, r]`, both f32.
    ///
    /// # Panics
    /// When the two do not fit each other.
    pub fn new(down: Tensor<2>, up: Tensor<2>, scale: f32) -> Self {
        assert_eq!(down.dims()[0], up.dims()[1], "both parts of an adapter have its rank");
        Self { down, up, scale }
    }

    /// From numbers, row after row.
    ///
    /// # Panics
    /// When there are not as many as the shapes say.
    pub fn from_values(
        (down, [rank, inner]): (Vec<f32>, [usize; 2]),
        (up, outer): (Vec<f32>, usize),
        scale: f32,
        device: &Device,
    ) -> Self {
        let down = Tensor::from_data(TensorData::new(down, [rank, inner]), device);
        Self::new(down, Tensor::from_data(TensorData::new(up, [outer, rank]), device), scale)
    }

    /// The same way down with other rows of the way up, `[N, r]`: what it adds to a layer that is a part of this one.
    ///
    /// # Panics
    /// When there are not as many numbers as the shape says.
    #[must_use]
    pub fn with_up(&self, up: Vec<f32>, outer: usize) -> Self {
        let up = TensorData::new(up, [outer, self.rank()]);
        Self::new(self.down.clone(), Tensor::from_data(up, &self.down.device()), self.scale)
    }

    /// Outputs `N` and inputs `K` of the layer.
    pub fn shape(&self) -> [usize; 2] {
        [self.up.dims()[0], self.down.dims()[1]]
    }

    /// `r`.
    pub fn rank(&self) -> usize {
        self.down.dims()[0]
    }

    /// A `[r, K]` and B `[N, r]` row after row, and s.
    pub fn values(&self) -> (Vec<f32>, Vec<f32>, f32) {
        let values = |tensor: &Tensor<2>| tensor.clone().into_data().iter::<f32>().collect();
        (values(&self.down), values(&self.up), self.scale)
    }

    /// Adds `s · B · (A · x)` to some rows.
    ///
    /// # Shapes
    /// `y` `[R, N]`, `x` `[R, K]`, `rows` below `R`, each once → `[R, N]`.
    pub fn add(&self, y: Tensor<2>, x: Tensor<2>, rows: Arc<[u32]>) -> Tensor<2> {
        let (down, up) = (self.down.clone().into_dispatch(), self.up.clone().into_dispatch());
        let part = Part { rows, scale: self.scale };
        Tensor::from_dispatch(Dispatch::add_low_rank(y.into_dispatch(), x.into_dispatch(), down, up, part))
    }
}

/// Work of one call for `rows` rows.
pub fn cost(rows: usize, rank: usize, [outer, inner]: [usize; 2]) -> Cost {
    let factors = rank * (outer + inner);
    Cost { flops: 2 * rows * factors, bytes: 4 * (factors + rows * (2 * outer + inner)) }
}
