//! Between Flex tensors and the slices that kernels work on.
//!
//! Does not: compute. A contiguous f32 tensor is lent without a copy; anything else is copied once.

use std::borrow::Cow;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, TensorData, bf16, f16};
use half::slice::HalfFloatSliceExt;
use kernels::blocks::Blocks;
use kernels::product::Weights;

use crate::buffers::put_back;
use crate::quantised::Quantised;
use crate::weight::WeightTensor;

/// A CPU tensor.
pub(crate) type Cpu = FloatTensor<Flex>;

/// A contiguous f32 tensor in memory, whose buffer is used again when its last holder lets go of it here.
pub(crate) struct Host(Option<Cpu>);

/// Makes the values of an f32 tensor readable as one slice.
pub(crate) fn host(tensor: Cpu) -> Host {
    assert_eq!(tensor.dtype(), DType::F32, "this operand of an op is f32 by its contract");
    Host(Some(tensor.to_contiguous()))
}

impl Host {
    fn tensor(&self) -> &Cpu {
        self.0.as_ref().expect("taken out only when dropped")
    }

    pub fn values(&self) -> &[f32] {
        self.tensor().as_slice::<f32>().expect("contiguous f32, by construction")
    }

    pub fn dims(&self) -> Vec<usize> {
        self.tensor().shape().to_vec()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(tensor) = self.0.take() {
            put_back(tensor);
        }
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

/// The bytes of a U8 tensor, as [`values_mut`].
pub(crate) fn bytes_mut(tensor: &mut Cpu) -> &mut [u8] {
    if !tensor.is_contiguous() {
        *tensor = tensor.to_contiguous();
    }
    let (start, end) = tensor.layout().contiguous_offsets().expect("contiguous, by construction");
    &mut tensor.storage_mut::<u8>()[start..end]
}

/// Ids and indices as numbers.
pub(crate) fn indices(tensor: IntTensor<Flex>) -> Vec<u32> {
    let data = tensor.into_data();
    data.iter::<i64>().map(|id| u32::try_from(id).expect("ids are checked where they come in")).collect()
}

/// A contiguous weight matrix in memory, in its own storage.
pub(crate) struct HostWeights {
    elements: Cpu,
    blocks: Option<Quantised>,
}

/// Makes a weight matrix readable as one slice of its own storage.
pub(crate) fn weights(weight: &WeightTensor<Flex>) -> HostWeights {
    match weight {
        WeightTensor::Dense(numbers) => HostWeights { elements: numbers.to_contiguous(), blocks: None },
        WeightTensor::Blocks(bytes, kind) => {
            HostWeights { elements: bytes.to_contiguous(), blocks: Some(*kind) }
        }
    }
}

impl HostWeights {
    /// Rows and columns.
    pub fn dims(&self) -> [usize; 2] {
        let view = self.view();
        let rows = self.elements.shape()[0];
        [rows, view.len().checked_div(rows).unwrap_or(0)]
    }

    pub fn view(&self) -> Weights<'_> {
        let why = "contiguous and of this type, by construction";
        if let Some(kind) = self.blocks {
            return Weights::Blocks(Blocks::new(kind.blocks(), self.elements.as_slice().expect(why)));
        }
        match self.elements.dtype() {
            DType::F32 => Weights::F32(self.elements.as_slice().expect(why)),
            DType::BF16 => Weights::Bf16(self.elements.as_slice::<bf16>().expect(why).reinterpret_cast()),
            DType::F16 => Weights::F16(self.elements.as_slice::<f16>().expect(why).reinterpret_cast()),
            other => panic!("weights are f32, bf16 or f16 by the constructor of Weight, not {other:?}"),
        }
    }

    /// The numbers as f32: in place where they are, else a copy.
    pub fn widened(&self) -> Cow<'_, [f32]> {
        match self.view() {
            Weights::F32(values) => Cow::Borrowed(values),
            narrow => {
                let mut values = vec![0.0; narrow.len()];
                narrow.widen(0..values.len(), &mut values);
                Cow::Owned(values)
            }
        }
    }
}
