//! Layers of image models from a file's tensors, with their shapes checked, and what has no weights.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use ops::linear::convolution::{Convolution, Window};
use ops::norm::group_norm::{Grouping, group_norm};
use ops::norm::layer_norm::layer_norm;
use ops::norm::rms_norm::rms_norm;
use ops::weight::{Lent, Storage};
use ops::{Linear, Precision, Rows, Weight};

use super::learning::Layer;
use crate::Error;
use crate::parameters::Learned;
use crate::tensors::{Found, Tensors};

/// Where layers come from.
pub(super) struct Parts<'a> {
    pub tensors: &'a dyn Tensors,
    pub device: &'a Device,
}

/// Whether a layer adds a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// The tensor called `name`, of this shape.
    fn of_shape(&self, name: &str, expected: &[usize]) -> Result<Found, Error> {
        let found = self.find(name)?;
        self.check(name, &found, expected)?;
        Ok(found)
    }

    fn check(&self, name: &str, found: &Found, expected: &[usize]) -> Result<(), Error> {
        let is_whole = found.storage.size_bytes(expected) == Some(found.bytes.as_slice().len());
        if found.shape != expected || !is_whole {
            return Err(self.shape_error(name, found.shape.clone(), expected.to_vec()));
        }
        Ok(())
    }

    /// Numbers of a vector of `length`, in f32.
    pub fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>, Error> {
        if let Some(Learned::Vector(vector)) = self.tensors.learned(name, Layer::Vector(length)) {
            return Ok(vector);
        }
        let found = self.of_shape(name, &[length])?;
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
        let kernels = Layer::Kernels { sizes: [outputs, inputs], kernel: window.kernel };
        let weight = match self.learned_matrix(&weight, kernels) {
            Some(learned) => learned,
            None => self.kernels(&weight, [outputs, inputs], window)?,
        };
        let mut layer = Convolution::new(weight, window);
        for addition in self.tensors.additions(&format!("{name}.weight"), kernels)? {
            layer = layer.with_added(addition.convolutions([outputs, inputs], window, self.device));
        }
        match bias {
            Bias::With => Ok(layer.with_bias(self.vector(&format!("{name}.bias"), outputs)?)),
            Bias::Without => Ok(layer),
        }
    }

    /// A matrix that learns, where it does.
    fn learned_matrix(&self, name: &str, layer: Layer) -> Option<Weight> {
        match self.tensors.learned(name, layer)? {
            Learned::Matrix(matrix) => Some(Weight::from_tensor(matrix)),
            Learned::Vector(_) => None,
        }
    }

    /// The kernels of a convolution, channels last.
    fn kernels(&self, weight: &str, [outputs, inputs]: [usize; 2], window: Window) -> Result<Weight, Error> {
        let [rows, columns] = window.kernel;
        let found = self.of_shape(weight, &[outputs, inputs, rows, columns])?;
        // Blocks run along rows of a kernel, where numbers of one channel lie: they are widened.
        let (storage, bytes) = match found.storage {
            Storage::Blocks(_) => {
                (Storage::F32, Storage::F32.narrow(&found.storage.widen(found.bytes.as_slice())))
            }
            numbers => (numbers, found.bytes.as_slice().to_vec()),
        };
        let bytes = channels_last(&bytes, outputs, inputs, rows * columns);
        let shape = [outputs, rows * columns * inputs];
        let weight = Weight::new(Lent::new(bytes), shape, storage, self.device);
        Ok(weight.expect("the size was checked when the tensor was found"))
    }

    /// The product `name.weight` `[O, C]`, with `name.bias` `[O]`; a convolution of single pixels is one too.
    pub fn linear(&self, name: &str, sizes: [usize; 2], bias: Bias) -> Result<Linear, Error> {
        self.linear_rows(name, sizes, 0..sizes[0], bias)
    }

    /// Some outputs of a product that is stored as one with others: `rows` of `[whole, C]`.
    pub fn linear_rows(
        &self,
        name: &str,
        [whole, inputs]: [usize; 2],
        rows: Range<usize>,
        bias: Bias,
    ) -> Result<Linear, Error> {
        let weight = format!("{name}.weight");
        let bias_of = |layer: Linear| -> Result<Linear, Error> {
            let bias = self.vector(&format!("{name}.bias"), whole)?;
            Ok(layer.with_bias(bias.narrow(0, rows.start, rows.len())))
        };
        if let Some(Learned::Matrix(matrix)) = self.tensors.learned(&weight, Layer::Product([whole, inputs]))
        {
            let layer = Linear::new(Weight::from_tensor(match rows.len() == whole {
                true => matrix,
                false => matrix.narrow(0, rows.start, rows.len()),
            }));
            return match bias {
                Bias::With => bias_of(layer),
                Bias::Without => Ok(layer),
            };
        }
        let mut found = self.find(&weight)?;
        if found.shape.iter().skip(2).all(|size| *size == 1) {
            found.shape.truncate(2);
        }
        self.check(&weight, &found, &[whole, inputs])?;
        let found = found.rows(rows.clone());
        let own = Weight::new(found.bytes, [rows.len(), inputs], found.storage, self.device);
        let mut layer = Linear::new(own.expect("the size was checked when the tensor was found"));
        for addition in self.tensors.additions(&weight, Layer::Product([whole, inputs]))? {
            let [down, up] = addition.products(inputs, rows.clone(), self.device);
            layer = layer.with_added(down, up);
        }
        match bias {
            Bias::With => bias_of(layer),
            Bias::Without => Ok(layer),
        }
    }

    /// A matrix in f32.
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, Error> {
        let found = self.of_shape(name, &shape)?;
        let numbers = found.storage.widen(found.bytes.as_slice());
        Ok(Tensor::from_data(TensorData::new(numbers, shape), self.device))
    }

    /// The table `name.weight` of `n` rows, `[n, D]`.
    pub fn table(&self, name: &str, [rows, width]: [usize; 2]) -> Result<Weight, Error> {
        let name = format!("{name}.weight");
        if let Some(learned) = self.learned_matrix(&name, Layer::Table([rows, width])) {
            return Ok(learned);
        }
        let found = self.of_shape(&name, &[rows, width])?;
        let weight = Weight::new(found.bytes, [rows, width], found.storage, self.device);
        Ok(weight.expect("the size was checked when the tensor was found"))
    }

    /// The normalisation of rows `name.weight` and `name.bias`, `[D]` each.
    pub fn layer_norm(&self, name: &str, width: usize, epsilon: f32) -> Result<LayerNorm, Error> {
        let [weight, bias] = ["weight", "bias"].map(|part| self.vector(&format!("{name}.{part}"), width));
        Ok(LayerNorm { weight: weight?, bias: bias?, epsilon })
    }

    /// The normalisation of rows by their root mean square, `name.weight` `[D]`.
    pub fn rms_norm(&self, name: &str, width: usize, epsilon: f32) -> Result<RmsNorm, Error> {
        Ok(RmsNorm { weight: self.vector(&format!("{name}.weight"), width)?, epsilon })
    }

    /// The normalisation `name.weight` and `name.bias` of `channels`.
    pub fn group_norm(&self, name: &str, channels: usize, grouping: Grouping) -> Result<GroupNorm, Error> {
        let [weight, bias] = ["weight", "bias"].map(|part| self.vector(&format!("{name}.{part}"), channels));
        Ok(GroupNorm { weight: weight?, bias: bias?, grouping })
    }
}

/// `[O, C, places]` → `[O, places, C]`, for numbers of any size.
pub(super) fn channels_last(bytes: &[u8], outputs: usize, inputs: usize, places: usize) -> Vec<u8> {
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

/// Normalisation of rows with its weights.
#[derive(Clone)]
pub(super) struct LayerNorm {
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f32,
}

impl LayerNorm {
    /// `x` `[R, D]` → the same.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        layer_norm(x, self.weight.clone(), self.bias.clone(), self.epsilon)
    }
}

/// Normalisation of rows by their root mean square, with its weight.
#[derive(Clone)]
pub(super) struct RmsNorm {
    weight: Tensor<1>,
    epsilon: f32,
}

impl RmsNorm {
    /// `x` `[R, D]` → the same.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, self.weight.clone(), self.epsilon)
    }

    /// Numbers of a row, `D`.
    pub fn size(&self) -> usize {
        self.weight.dims()[0]
    }
}

/// The product of every row, as exact as asked for.
///
/// # Shapes
/// `x` `[R, K]` → `[R, N]`.
pub(super) fn product(layer: &Linear, x: Tensor<2>, precision: Precision) -> Tensor<2> {
    let rows = Rows::training(x.dims()[0], precision);
    layer.forward(x, rows)
}

/// Every pixel as a row: `[N, H, W, C]` → `[N·H·W, C]`.
pub(super) fn as_rows(x: Tensor<4>) -> Tensor<2> {
    let [images, height, width, channels] = x.dims();
    x.reshape([images * height * width, channels])
}
