//! Values of the check as numbers, as a model file holds them, and rounded.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData, bf16, f16};

use crate::value::Value;
use crate::weight::{Lent, Storage, Weight};

pub(super) fn device_of(value: &Value<Dispatch>) -> Device {
    Tensor::<1>::from_dispatch(value.clone().reshape([value.dims().iter().product::<usize>()]).0).device()
}

/// Numbers that have no gradient, on the device and in the type of `like`.
pub(super) fn constant(numbers: Vec<f64>, shape: &[usize], like: &Value<Dispatch>) -> Value<Dispatch> {
    use burn::backend::TensorMetadata;
    let (device, dtype, length) = (device_of(like), like.0.dtype(), numbers.len());
    let data = TensorData::new(numbers, [length]).convert_dtype(dtype);
    Value(Tensor::<1>::from_data(data, (&device, dtype)).into_dispatch()).reshape(shape)
}

/// The bytes of a matrix in `storage`.
pub(super) fn bytes_of(value: &Value<Dispatch>, storage: Storage) -> Vec<u8> {
    let numbers = numbers_of(value).into_iter().map(|number| number as f32);
    if let Some(kind) = storage.blocks() {
        let numbers: Vec<f32> = numbers.collect();
        let mut blocks = vec![0; kind.size_bytes(numbers.len()).unwrap()];
        kind.quantise(&numbers, &mut blocks);
        return blocks;
    }
    match storage {
        Storage::F32 => numbers.flat_map(f32::to_le_bytes).collect(),
        Storage::Bf16 => numbers.flat_map(|number| bf16::from_f32(number).to_le_bytes()).collect(),
        Storage::F16 => numbers.flat_map(|number| f16::from_f32(number).to_le_bytes()).collect(),
        Storage::Blocks(_) => unreachable!("blocks are made above"),
    }
}

pub(super) fn numbers_of(value: &Value<Dispatch>) -> Vec<f64> {
    let length: usize = value.dims().iter().product();
    Tensor::<1>::from_dispatch(value.clone().reshape([length]).0).into_data().iter::<f64>().collect()
}

/// A matrix as a model file would hold it.
pub(super) fn stored(value: &Value<Dispatch>, storage: Storage) -> Weight {
    let [rows, columns] = value.dims()[..] else { panic!("a weight is a matrix") };
    let bytes = Lent::new(bytes_of(value, storage));
    Weight::new(bytes, [rows, columns], storage, &device_of(value)).unwrap()
}

/// The numbers that are left of a matrix when `storage` has rounded them, in its own type.
pub(super) fn rounded(value: &Value<Dispatch>, round: fn(f32) -> f32) -> Value<Dispatch> {
    let numbers = numbers_of(value).into_iter().map(|number| f64::from(round(number as f32))).collect();
    constant(numbers, &value.dims(), value)
}

pub(super) fn through_bf16(number: f32) -> f32 {
    bf16::from_f32(number).to_f32()
}

pub(super) fn through_f16(number: f32) -> f32 {
    f16::from_f32(number).to_f32()
}
