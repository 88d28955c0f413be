//! The weights of a model as they lie in memory: one type for every way to store numbers.
//!
//! Does not: compute. [`crate::linear`] and [`crate::embedding`] do.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType};
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Shape, Tensor, TensorData};

/// Weights on backend `B`.
#[derive(ExtensionType, Clone)]
pub enum WeightTensor<B: Backend> {
    /// One number an element, F32, BF16 or F16, `[N, K]`.
    Dense(FloatTensor<B>),
}

/// A weight matrix `[N, K]` on whichever device it was made for.
#[derive(Clone)]
pub struct Weight {
    tensor: WeightTensor<Dispatch>,
    shape: [usize; 2],
}

/// How the numbers of a weight matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// 32-bit floats: computed in f32.
    F32,
    /// The upper half of 32-bit floats, widened exactly.
    Bf16,
    /// IEEE half precision, widened exactly.
    F16,
}

/// Bytes that a weight matrix is made of: a part of something that several weights share.
#[derive(Clone)]
pub struct Lent {
    shared: bytes::Bytes,
}

impl Lent {
    /// Takes hold of `lender`; nothing is copied.
    pub fn new(lender: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self { shared: bytes::Bytes::from_owner(lender) }
    }

    /// A part of it; `None` when `range` ends outside.
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        (range.start <= range.end && range.end <= self.shared.len())
            .then(|| Self { shared: self.shared.slice(range) })
    }

    /// The bytes themselves.
    pub fn as_slice(&self) -> &[u8] {
        &self.shared
    }

    /// Tensor data over these bytes: without a copy when they lie aligned for `storage`, else with one.
    fn into_data(self, shape: Shape, storage: Storage) -> TensorData {
        let aligned = (self.shared.as_ptr() as usize).is_multiple_of(storage.size_bytes());
        let bytes = if aligned {
            Bytes::from_shared(self.shared, AllocationProperty::File)
        } else {
            let mut copy: Vec<f32> = vec![0.0; self.shared.len().div_ceil(4)];
            let target: &mut [u8] = bytemuck::cast_slice_mut(&mut copy);
            target[..self.shared.len()].copy_from_slice(&self.shared);
            Bytes::from_elems(copy)
        };
        TensorData::from_bytes(bytes, shape, storage.dtype())
    }
}

impl Storage {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Bytes of one number.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }
}

/// What is wrong with the bytes of a weight.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightError {
    /// The number of bytes does not fit the shape.
    #[error("a {storage:?} weight of shape {shape:?} has {expected} bytes, not {found}")]
    Size {
        /// Rows and columns.
        shape: [usize; 2],
        /// The storage asked for.
        storage: Storage,
        /// Bytes that the shape needs.
        expected: u128,
        /// Bytes given.
        found: usize,
    },
}

impl Weight {
    /// A weight matrix over `bytes` (little-endian, row after row). On the CPU the bytes are used where they
    /// are; another device gets a copy, widened to f32.
    ///
    /// # Errors
    /// [`WeightError::Size`] when `bytes` is not as long as `shape` and `storage` say.
    pub fn new(
        bytes: Lent,
        shape: [usize; 2],
        storage: Storage,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let found = bytes.as_slice().len();
        let expected = shape[0] as u128 * shape[1] as u128 * storage.size_bytes() as u128;
        if expected != found as u128 {
            return Err(WeightError::Size { shape, storage, expected, found });
        }
        let data = bytes.into_data(Shape::from(shape), storage);
        let tensor = if crate::device::is_cpu(device) {
            Tensor::<2>::from_data(data, (device, storage.dtype()))
        } else {
            Tensor::<2>::from_data(data.convert_dtype(DType::F32), (device, DType::F32))
        };
        Ok(Self::from_tensor(tensor))
    }

    /// A weight matrix that is a tensor already, as in training: `[N, K]`.
    pub fn from_tensor(tensor: Tensor<2>) -> Self {
        Self { shape: tensor.dims(), tensor: WeightTensor::Dense(tensor.into_dispatch()) }
    }

    /// Rows `N` and columns `K`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    pub(crate) fn dispatch(&self) -> WeightTensor<Dispatch> {
        self.tensor.clone()
    }
}
