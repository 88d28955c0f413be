//! Between Flex tensors and the slices that kernels work on.
//!
//! Does not: compute. A contiguous f32 tensor is lent without a copy; anything else is copied once.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, TensorData, bf16, f16};
use half::slice::HalfFloatSliceExt;
use kernels::product::Weights;

/// A CPU tensor.
pub(crate) type Cpu = FloatTensor<Flex>;

/// A contiguous f32 tensor in memory.
pub(crate) struct Host(Cpu);

/// Makes the values of an f32 tensor readable as one slice.
pub(crate) fn host(tensor: &Cpu) -> Host {
    assert_eq!(tensor.dtype(), DType::F32, "this operand of an op is f32 by its contract");
    Host(tensor.to_contiguous())
}

impl Host {
    pub fn values(&self) -> &[f32] {
        self.0.as_slice::<f32>().expect("contiguous f32, by construction")
    }

    pub fn dims(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }
}

/// A tensor that owns `values`.
pub(crate) fn from_host(values: Vec<f32>, dims: Vec<usize>) -> Cpu {
    Cpu::from_data(TensorData::new(values, dims))
}

/// The values of an f32 tensor, writable in place when nobody else holds it, else a copy of its own.
pub(crate) fn values_mut(tensor: &mut Cpu) -> &mut [f32] {
    assert_eq!(tensor.dtype(), DType::F32, "this operand of an op is f32 by its contract");
    if !tensor.is_contiguous() {
        *tensor = tensor.to_contiguous();
    }
    let (start, end) = tensor.layout().contiguous_offsets().expect("contiguous, by construction");
    &mut tensor.storage_mut::<f32>()[start..end]
}

/// Ids and indices as numbers.
pub(crate) fn indices(tensor: IntTensor<Flex>) -> Vec<u32> {
    let data = tensor.into_data();
    data.iter::<i64>().map(|id| u32::try_from(id).expect("ids are checked where they come in")).collect()
}

/// A contiguous weight matrix in memory, in its own storage.
pub(crate) struct HostWeights(Cpu);

/// Makes a weight matrix readable as one slice of its own storage.
pub(crate) fn weights(tensor: &Cpu) -> HostWeights {
    HostWeights(tensor.to_contiguous())
}

impl HostWeights {
    pub fn dims(&self) -> Vec<usize> {
        self.0.shape().to_vec()
    }

    pub fn view(&self) -> Weights<'_> {
        let why = "contiguous and of this type, by construction";
        match self.0.dtype() {
            DType::F32 => Weights::F32(self.0.as_slice().expect(why)),
            DType::BF16 => Weights::Bf16(self.0.as_slice::<bf16>().expect(why).reinterpret_cast()),
            DType::F16 => Weights::F16(self.0.as_slice::<f16>().expect(why).reinterpret_cast()),
            other => panic!("weights are f32, bf16 or f16 by the constructor of Weight, not {other:?}"),
        }
    }
}
