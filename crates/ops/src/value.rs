//! A float tensor of any backend with readable operators, for the definitions of ops.
//!
//! Does not: choose arithmetic. Every method is one Burn primitive, so that a definition written with it runs on
//! every device and is differentiable.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{DType, FloatDType, IntDType, Shape, Slice, TensorData};

/// A float tensor of backend `B`.
#[derive(Clone)]
pub(crate) struct Value<B: Backend>(pub FloatTensor<B>);

impl<B: Backend> Value<B> {
    /// Integers as f32.
    pub fn from_integers(tensor: IntTensor<B>) -> Self {
        Self(B::int_into_float(tensor, FloatDType::F32))
    }

    /// Numbers that are no input, on the device and in the type of `self`.
    pub fn constant(&self, numbers: Vec<f32>, dims: impl Into<Shape>) -> Self {
        let data = TensorData::new::<f32, _>(numbers, dims.into()).convert_dtype(self.0.dtype());
        Self(B::float_from_data(data, &self.0.device()))
    }

    /// The rows that `places` `[N]` name, whole numbers: `[rows, …]` → `[N, …]`.
    pub fn rows(self, places: Self) -> Self {
        Self(B::float_select(self.0, 0, B::float_into_int(places.0, IntDType::I32)))
    }

    pub fn dims(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }

    pub fn reshape(self, dims: impl Into<Shape>) -> Self {
        Self(B::float_reshape(self.0, dims.into()))
    }

    pub fn permute(self, axes: &[usize]) -> Self {
        Self(B::float_permute(self.0, axes))
    }

    /// Swaps the last two dimensions.
    pub fn transpose(self) -> Self {
        Self(B::float_transpose(self.0))
    }

    pub fn matmul(self, right: Self) -> Self {
        Self(B::float_matmul(self.0, right.0))
    }

    pub fn slice(self, ranges: &[std::ops::Range<usize>]) -> Self {
        let slices: Vec<Slice> = ranges.iter().map(|range| Slice::from(range.clone())).collect();
        Self(B::float_slice(self.0, &slices))
    }

    pub fn slice_assign(self, ranges: &[std::ops::Range<usize>], values: Self) -> Self {
        let slices: Vec<Slice> = ranges.iter().map(|range| Slice::from(range.clone())).collect();
        Self(B::float_slice_assign(self.0, &slices, values.0))
    }

    pub fn concatenate(parts: Vec<Self>, dim: usize) -> Self {
        Self(B::float_cat(parts.into_iter().map(|part| part.0).collect(), dim))
    }

    /// The same numbers in f32, where they were narrower.
    pub fn widened(self) -> Self {
        match self.0.dtype() {
            DType::F32 | DType::F64 => self,
            _ => Self(B::float_cast(self.0, FloatDType::F32)),
        }
    }

    /// The same numbers in the type of `like`.
    pub fn cast_as(self, like: &Self) -> Self {
        if self.0.dtype() == like.0.dtype() {
            return self;
        }
        Self(B::float_cast(self.0, like.0.dtype().into()))
    }

    /// What to add to the scores of `n` rows that follow `past` tokens, in the type of `self`: 0 where row `i` sees
    /// token `j` (`j ≤ past + i`), else `-inf`: `[n, past + n]`.
    pub fn causal_mask(&self, n: usize, past: usize) -> Self {
        self.mask(n, past + n, |row, token| token <= past + row)
    }

    /// What to add to the scores of `n` rows for `n_tokens` tokens, in the type of `self`: 0 where a row sees a
    /// token, else `-inf`: `[n, n_tokens]`.
    pub fn mask(&self, n: usize, n_tokens: usize, sees: impl Fn(usize, usize) -> bool) -> Self {
        let sees = &sees;
        let value = |row: usize, token: usize| if sees(row, token) { 0.0 } else { f32::NEG_INFINITY };
        let mask = (0..n).flat_map(|row| (0..n_tokens).map(move |token| value(row, token))).collect();
        let data = TensorData::new::<f32, _>(mask, [n, n_tokens]).convert_dtype(self.0.dtype());
        Self(B::float_from_data(data, &self.0.device()))
    }

    pub fn scale(self, factor: f32) -> Self {
        Self(B::float_mul_scalar(self.0, factor.into()))
    }

    pub fn shift(self, offset: f32) -> Self {
        Self(B::float_add_scalar(self.0, offset.into()))
    }

    pub fn negate(self) -> Self {
        Self(B::float_neg(self.0))
    }

    pub fn exp(self) -> Self {
        Self(B::float_exp(self.0))
    }

    /// The greatest integers that are not greater.
    pub fn floor(self) -> Self {
        Self(B::float_floor(self.0))
    }

    pub fn absolute(self) -> Self {
        Self(B::float_abs(self.0))
    }

    /// 1, 0 or -1.
    pub fn sign(self) -> Self {
        Self(B::float_sign(self.0))
    }

    pub fn tanh(self) -> Self {
        Self(B::float_tanh(self.0))
    }

    /// The error function.
    pub fn erf(self) -> Self {
        Self(B::float_erf(self.0))
    }

    pub fn log(self) -> Self {
        Self(B::float_log(self.0))
    }

    pub fn reciprocal(self) -> Self {
        Self(B::float_recip(self.0))
    }

    pub fn sqrt(self) -> Self {
        Self(B::float_sqrt(self.0))
    }

    pub fn sum(self, dim: usize) -> Self {
        Self(B::float_sum_dim(self.0, dim))
    }

    pub fn mean(self, dim: usize) -> Self {
        Self(B::float_mean_dim(self.0, dim))
    }

    pub fn max(self, dim: usize) -> Self {
        Self(B::float_max_dim(self.0, dim))
    }

    /// The same numbers, through which no gradient flows.
    pub fn detached(self) -> Self {
        Self(B::float_detach(self.0))
    }

    /// Softmax along `dim`: `exp(x - max) / sum(exp(x - max))`.
    pub fn softmax(self, dim: usize) -> Self {
        let largest = self.clone().max(dim).detached();
        let weights = (self - largest).exp();
        weights.clone() / weights.sum(dim)
    }

    /// `1 / (1 + exp(-x))`.
    pub fn sigmoid(self) -> Self {
        self.negate().exp().shift(1.0).reciprocal()
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $primitive:ident) => {
        impl<B: Backend> std::ops::$trait for Value<B> {
            type Output = Self;
            fn $method(self, right: Self) -> Self {
                Self(B::$primitive(self.0, right.0))
            }
        }
    };
}
operator!(Add, add, float_add);
operator!(Sub, sub, float_sub);
operator!(Mul, mul, float_mul);
operator!(Div, div, float_div);
