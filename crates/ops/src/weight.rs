//! The weights of a model as they lie in memory: one type for every way to store numbers.
//!
//! Does not: compute. [`crate::linear`] and [`crate::embedding`] do.

use std::fmt;
use std::ops::Range;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, ExtensionType, TensorMetadata};
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Int, Shape, Tensor, TensorData, bf16, f16};
use kernels::blocks::BlockType;

pub use crate::quantised::Quantised;
use crate::value::Value;

/// Weights on backend `B`.
#[derive(ExtensionType, Clone)]
pub enum WeightTensor<B: Backend> {
    /// One number an element, F32, BF16 or F16, `[N, K]`.
    Dense(FloatTensor<B>),
    /// Quantised blocks as U8, `[N, bytes of a row]`; never trained.
    Blocks(IntTensor<B>, Quantised),
}

impl<B: Backend> WeightTensor<B> {
    /// The numbers in f32, or as they are where they are wider, in Burn primitives: `[N, K]`.
    pub(crate) fn widened(self) -> Value<B> {
        match self {
            Self::Dense(numbers) => Value(numbers).widened(),
            Self::Blocks(bytes, kind) => kind.definition(bytes),
        }
    }
}

/// A weight matrix `[N, K]` on whichever device it was made for.
#[derive(Clone)]
pub struct Weight {
    tensor: WeightTensor<Dispatch>,
    shape: [usize; 2],
}

/// How the numbers of a weight matrix are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// 32-bit floats: computed in f32.
    F32,
    /// The upper half of 32-bit floats, widened exactly.
    Bf16,
    /// IEEE half precision, widened exactly.
    F16,
    /// Quantised blocks; what they are multiplied with is rounded to eight bits.
    Blocks(Quantised),
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => f.write_str("F32"),
            Self::Bf16 => f.write_str("Bf16"),
            Self::F16 => f.write_str("F16"),
            Self::Blocks(kind) => kind.fmt(f),
        }
    }
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

    /// Tensor data over these bytes: without a copy when they lie aligned for `dtype`, else with one.
    fn into_data(self, shape: Shape, dtype: DType) -> TensorData {
        let aligned = (self.shared.as_ptr() as usize).is_multiple_of(dtype.size());
        let bytes = if aligned {
            Bytes::from_shared(self.shared, AllocationProperty::File)
        } else {
            let mut copy: Vec<f32> = vec![0.0; self.shared.len().div_ceil(4)];
            let target: &mut [u8] = bytemuck::cast_slice_mut(&mut copy);
            target[..self.shared.len()].copy_from_slice(&self.shared);
            Bytes::from_elems(copy)
        };
        TensorData::from_bytes(bytes, shape, dtype)
    }
}

/// What the elements of a tensor in memory are.
enum Elements {
    Numbers(DType),
    Blocks(Quantised),
}

impl Storage {
    /// Blocks of 32 signed bytes under one half-precision scale.
    pub const Q8_0: Self = Self::Blocks(Quantised::Q8_0);

    /// Blocks of the type that GGML calls `name`.
    pub fn blocks_named(name: &str) -> Option<Self> {
        Quantised::named(name).map(Self::Blocks)
    }

    fn elements(self) -> Elements {
        match self {
            Self::F32 => Elements::Numbers(DType::F32),
            Self::Bf16 => Elements::Numbers(DType::BF16),
            Self::F16 => Elements::Numbers(DType::F16),
            Self::Blocks(kind) => Elements::Blocks(kind),
        }
    }

    /// The type of block, where numbers are stored in blocks.
    pub fn blocks(self) -> Option<&'static BlockType> {
        match self.elements() {
            Elements::Numbers(_) => None,
            Elements::Blocks(kind) => Some(kind.blocks()),
        }
    }

    /// Whether numbers can be stored so; some types of block can only be read.
    pub fn is_writable(self) -> bool {
        self.blocks().is_none_or(BlockType::is_writable)
    }

    /// Bytes of a tensor of this shape, outermost first. `None` where a row is no whole number of blocks, or the
    /// bytes cannot be counted.
    pub fn size_bytes(self, shape: &[usize]) -> Option<usize> {
        let (columns, rows) = shape.split_last().unwrap_or((&1, &[]));
        let row_bytes = match self.elements() {
            Elements::Numbers(dtype) => columns.checked_mul(dtype.size())?,
            Elements::Blocks(kind) => kind.blocks().size_bytes(*columns)?,
        };
        rows.iter().try_fold(row_bytes, |size, &rows| size.checked_mul(rows))
    }

    /// `values` stored so (little-endian), each as a number rounded to the nearest, or together as the blocks that
    /// their type makes.
    ///
    /// # Panics
    /// When `values` end inside a block, or this is not [writable](Self::is_writable).
    pub fn narrow(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
            Self::Blocks(kind) => {
                let blocks = kind.blocks();
                let size = blocks.size_bytes(values.len()).expect("whole blocks, by the contract");
                let mut bytes = vec![0; size];
                blocks.quantise(values, &mut bytes);
                bytes
            }
        }
    }

    /// As [`narrow`](Self::narrow), where blocks are made so that the errors of columns that matter are small.
    ///
    /// # Shapes
    /// `values` `[N, K]` row after row, `importance` `[K]`, each 0 or more.
    ///
    /// # Panics
    /// As [`narrow`](Self::narrow), and when `values` end inside a row or an importance is negative or no number.
    pub fn narrow_weighed(self, values: &[f32], importance: &[f32]) -> Vec<u8> {
        let Some(blocks) = self.blocks() else { return self.narrow(values) };
        let size = blocks.size_bytes(values.len()).expect("whole blocks, by the contract");
        let mut bytes = vec![0; size];
        blocks.quantise_weighed(values, importance, &mut bytes);
        bytes
    }

    /// The numbers that `bytes` (little-endian) stand for, exactly.
    ///
    /// # Panics
    /// When `bytes` holds a part of a number or block.
    pub fn widen(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => numbers(bytes, f32::from_le_bytes),
            Self::Bf16 => numbers(bytes, |number| bf16::from_le_bytes(number).to_f32()),
            Self::F16 => numbers(bytes, |number| f16::from_le_bytes(number).to_f32()),
            Self::Blocks(kind) => {
                let blocks = kernels::blocks::Blocks::new(kind.blocks(), bytes);
                let mut values = vec![0.0; blocks.len()];
                blocks.widen(0..values.len(), &mut values);
                values
            }
        }
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    assert!(rest.is_empty(), "{} bytes are no whole number of {N}", bytes.len());
    chunks.iter().map(|bytes| number(*bytes)).collect()
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
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// The storage has no matrix of this shape: its rows are no whole blocks, or its bytes cannot be counted.
    #[error("there is no {storage:?} weight of shape {shape:?}")]
    Shape {
        /// Rows and columns.
        shape: [usize; 2],
        /// The storage asked for.
        storage: Storage,
    },
}

impl Weight {
    /// A weight matrix over `bytes` (little-endian, row after row). On the CPU the bytes are used where they
    /// are; another device gets a copy, widened to f32, for which nothing is rounded to eight bits.
    ///
    /// # Errors
    /// [`WeightError::Shape`] when `storage` has no such shape, [`WeightError::Size`] when `bytes` is not as long
    /// as `shape` and `storage` say.
    pub fn new(
        bytes: Lent,
        shape: [usize; 2],
        storage: Storage,
        device: &Device,
    ) -> Result<Self, WeightError> {
        let found = bytes.as_slice().len();
        let expected = storage.size_bytes(&shape).ok_or(WeightError::Shape { shape, storage })?;
        if expected != found {
            return Err(WeightError::Size { shape, storage, expected, found });
        }
        if !crate::device::is_cpu(device) {
            let data = TensorData::new(storage.widen(bytes.as_slice()), shape);
            return Ok(Self::from_tensor(Tensor::from_data(data, (device, DType::F32))));
        }
        Ok(match storage.elements() {
            Elements::Numbers(dtype) => {
                let data = bytes.into_data(Shape::from(shape), dtype);
                Self::from_tensor(Tensor::from_data(data, (device, dtype)))
            }
            Elements::Blocks(kind) => {
                let rows = [shape[0], found.checked_div(shape[0]).unwrap_or(0)];
                let data = bytes.into_data(Shape::from(rows), DType::U8);
                let bytes = Tensor::<2, Int>::from_data(data, (device, DType::U8));
                Self { shape, tensor: WeightTensor::Blocks(bytes.into_dispatch(), kind) }
            }
        })
    }

    /// A weight matrix that is a tensor already, as in training: `[N, K]`.
    pub fn from_tensor(tensor: Tensor<2>) -> Self {
        Self { shape: tensor.dims(), tensor: WeightTensor::Dense(tensor.into_dispatch()) }
    }

    /// Rows `N` and columns `K`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// How its numbers are stored.
    pub fn storage(&self) -> Storage {
        match &self.tensor {
            WeightTensor::Dense(numbers) => match numbers.dtype() {
                DType::BF16 => Storage::Bf16,
                DType::F16 => Storage::F16,
                _ => Storage::F32,
            },
            WeightTensor::Blocks(_, kind) => Storage::Blocks(*kind),
        }
    }

    /// The tensor of a weight that learns.
    pub(crate) fn learning(&self) -> Tensor<2> {
        match self.tensor.clone() {
            WeightTensor::Dense(tensor) => Tensor::from_dispatch(tensor),
            WeightTensor::Blocks(..) => panic!("quantised weights do not learn"),
        }
    }

    pub(crate) fn dispatch(&self) -> WeightTensor<Dispatch> {
        self.tensor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked_for_every_storage() {
        let size = |storage: Storage, shape: [usize; 2]| storage.size_bytes(&shape);
        assert_eq!(size(Storage::F32, [3, 5]), Some(60));
        assert_eq!(size(Storage::Bf16, [3, 5]), Some(30));
        assert_eq!(size(Storage::F16, [0, 5]), Some(0));
        assert_eq!(size(Storage::Q8_0, [3, 64]), Some(204));
        assert_eq!(size(Storage::Q8_0, [32, 5]), None);
        assert_eq!(size(Storage::Blocks(Quantised::Q6_K), [3, 512]), Some(3 * 420));
        assert_eq!(size(Storage::Blocks(Quantised::Q6_K), [3, 128]), None);
        assert_eq!(size(Storage::F32, [usize::MAX / 2, 3]), None);
        assert_eq!(Storage::F16.size_bytes(&[]), Some(2));
    }

    #[test]
    fn bytes_that_do_not_fit_are_refused() {
        let new = |n_bytes: usize, shape: [usize; 2]| {
            Weight::new(Lent::new(vec![0; n_bytes]), shape, Storage::Q8_0, &crate::device::cpu())
        };
        assert_eq!(new(68, [1, 64]).map(|weight| weight.shape()), Ok([1, 64]));
        assert_eq!(new(0, [0, 64]).map(|weight| weight.shape()), Ok([0, 64]));
        let text = |result: Result<Weight, WeightError>| result.err().unwrap().to_string();
        assert_eq!(text(new(67, [1, 64])), "a Q8_0 weight of shape [1, 64] has 68 bytes, not 67");
        assert_eq!(text(new(34, [2, 16])), "there is no Q8_0 weight of shape [2, 16]");
    }

    /// Blocks are read where they lie, wherever that is: a file's tensor may begin at any address.
    #[test]
    fn blocks_are_not_copied() {
        use burn::backend::{BackendTensor, DispatchTensorKind};
        let part = Lent::new(vec![1u8; 1 + 2 * 68]).part(1..1 + 2 * 68).unwrap();
        let lent = part.as_slice().as_ptr();
        let weight = Weight::new(part, [2, 64], Storage::Q8_0, &crate::device::cpu()).unwrap();
        let WeightTensor::Blocks(bytes, kind) = weight.dispatch() else { panic!("not in blocks") };
        let DispatchTensorKind::Flex(BackendTensor::Int(bytes)) = bytes.kind else {
            panic!("not on the CPU")
        };
        let weights = crate::host::weights(&WeightTensor::Blocks(bytes, kind));
        assert_eq!((weights.dims(), weights.view().len()), ([2, 64], 128));
        let kernels::product::Weights::Blocks(blocks) = weights.view() else { panic!("not in blocks") };
        assert_eq!(blocks.bytes().as_ptr(), lent);
    }
}
