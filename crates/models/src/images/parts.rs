//! Layers of image models from a file's tensors, with their shapes checked, and what has no weights.

use burn::tensor::{Device, Tensor, TensorData};
use ops::Weight;
use ops::linear::convolution::{Convolution, Window};
use ops::norm::group_norm::{Grouping, group_norm};
use ops::weight::{Lent, Storage};

use crate::Error;
use crate::tensors::{Found, Tensors};

/// Where layers come from.
pub(super) struct Parts<'a> {
    pub tensors: &'a dyn Tensors,
    pub device: &'a Device,
}

/// Whether a layer adds a bias.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bias {
    With,
    Without,
}

impl Parts<'_> {
    fn find(&self, name: &str) -> Result<Found, Error> {
        let missing = || Error::MissingTensor { file: self.tensors.label().into(), name: name.into() };
        self.tensors.find(name)?.ok_or_else(missing)
    }

    fn shape_error(&self, name: &str, found: Vec<usize>, expected: Vec<usize>) -> Error {
        Error::Shape { file: self.tensors.label().into(), name: name.into(), found, expected }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> Result<bool, Error> {
        Ok(self.tensors.find(name)?.is_some())
    }

    /// The sizes of a tensor, outermost first.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, Error> {
        Ok(self.find(name)?.shape)
    }

    /// Numbers of a vector of `length`, in f32.
    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>, Error> {
        let found = self.find(name)?;
        if found.shape != [length] {
            return Err(self.shape_error(name, found.shape, vec![length]));
        }
        let numbers = found.storage.widen(found.bytes.as_slice());
        Ok(Tensor::from_data(TensorData::new(numbers, [length]), self.device))
    }

    /// The convolution `name.weight` `[O, C, kernel rows, kernel columns]`, with `name.bias` `[O]`.
    pub fn convolution(
        &self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        window: Window,
        bias: Bias,
    ) -> Result<Convolution, Error> {
        let weight = format!("{name}.weight");
        let (found, [rows, columns]) = (self.find(&weight)?, window.kernel);
        let expected = vec![outputs, inputs, rows, columns];
        if found.shape != expected {
            return Err(self.shape_error(&weight, found.shape, expected));
        }
        // Blocks run along rows of a kernel, where numbers of one channel lie: they are widened.
        let (storage, bytes) = match found.storage {
            Storage::Blocks(_) => {
                (Storage::F32, Storage::F32.narrow(&found.storage.widen(found.bytes.as_slice())))
            }
            numbers => (numbers, found.bytes.as_slice().to_vec()),
        };
        let bytes = channels_last(&bytes, outputs, inputs, rows * columns);
        let shape = [outputs, rows * columns * inputs];
        let weight = Weight::new(Lent::new(bytes), shape, storage, self.device).map_err(|error| {
            Error::Setting { file: self.tensors.label().into(), key: weight, reason: error.to_string() }
        })?;
        let layer = Convolution::new(weight, window);
        match bias {
            Bias::With => Ok(layer.with_bias(self.vector(&format!("{name}.bias"), outputs)?)),
            Bias::Without => Ok(layer),
        }
    }

    /// The normalisation `name.weight` and `name.bias` of `channels`.
    pub fn group_norm(&self, name: &str, channels: usize, grouping: Grouping) -> Result<GroupNorm, Error> {
        let [weight, bias] = ["weight", "bias"].map(|part| self.vector(&format!("{name}.{part}"), channels));
        Ok(GroupNorm { weight: weight?, bias: bias?, grouping })
    }
}

/// `[O, C, places]` → `[O, places, C]`, for numbers of any size.
fn channels_last(bytes: &[u8], outputs: usize, inputs: usize, places: usize) -> Vec<u8> {
    let size = bytes.len() / (outputs * inputs * places).max(1);
    let mut turned = Vec::with_capacity(bytes.len());
    for kernel in bytes.chunks_exact((inputs * places * size).max(1)) {
        for place in 0..places {
            for input in 0..inputs {
                let at = (input * places + place) * size;
                turned.extend_from_slice(&kernel[at..at + size]);
            }
        }
    }
    turned
}

/// Group normalisation with its weights.
#[derive(Clone)]
pub(super) struct GroupNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    grouping: Grouping,
}

impl GroupNorm {
    /// `x` `[N, H, W, C]` → the same.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        group_norm(x, self.weight.clone(), self.bias.clone(), self.grouping)
    }
}

/// Every pixel four times: `[N, H, W, C]` → `[N, 2·H, 2·W, C]`.
pub(super) fn doubled(x: Tensor<4>) -> Tensor<4> {
    let [images, height, width, channels] = x.dims();
    let pixels: Tensor<3> = x.reshape([images * height * width, 1, channels]);
    let rows: Tensor<3> = pixels.repeat_dim(1, 2).reshape([images * height, 1, 2 * width * channels]);
    rows.repeat_dim(1, 2).reshape([images, 2 * height, 2 * width, channels])
}
