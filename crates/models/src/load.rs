//! From a file to a model: which family it is, its sizes, its weights checked against them.

use burn::tensor::{Device, Tensor, TensorData};
use formats::TensorFile;
use ops::{Linear, Weight};

use crate::decoder::{Decoder, Layer};
use crate::families::FAMILIES;
use crate::family::of_layer;
use crate::tensors::{Found, Tensors};
use crate::{Config, Dialect, Error, Family};

/// The key under which a GGUF file says its architecture.
const ARCHITECTURE: &str = "general.architecture";

/// Finds the family of a GGUF file.
///
/// # Errors
/// [`Error::NoArchitecture`] and [`Error::Architecture`].
pub fn recognise(file: &TensorFile) -> Result<&'static Family, Error> {
    let label = file.file().label();
    let Some(found) = file.metadata().find::<&str>(ARCHITECTURE)? else {
        return Err(Error::NoArchitecture { file: label.into(), key: ARCHITECTURE });
    };
    let known = |family: &&&Family| family.gguf.architectures.contains(&found);
    FAMILIES.iter().find(known).copied().ok_or_else(|| Error::Architecture {
        file: label.into(),
        found: found.chars().take(100).collect(),
        nearest: nearest(found),
    })
}

fn nearest(found: &str) -> &'static str {
    let names = FAMILIES.iter().flat_map(|family| family.gguf.architectures);
    let shared = |name: &&&str| name.chars().zip(found.chars()).take_while(|(a, b)| a == b).count();
    names.max_by_key(shared).expect("there is at least one family")
}

/// Loads a GGUF file.
///
/// # Errors
/// Anything that [`Error`] names.
pub fn load(file: &TensorFile, device: &Device) -> Result<Decoder, Error> {
    let family = recognise(file)?;
    let config = Config::from_gguf(file.metadata(), &family.gguf, file.file().label())?;
    Decoder::load(file, config, &family.gguf, device)
}

impl Decoder {
    /// Loads weights that are named as in `dialect`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(
        tensors: &dyn Tensors,
        mut config: Config,
        dialect: &Dialect,
        device: &Device,
    ) -> Result<Self, Error> {
        let names = dialect.names;
        let loader = Loader { tensors, device };
        if let Some(divisors) = loader.optional_vector(names.rope_divisors, config.frequencies.len())? {
            config
                .frequencies
                .iter_mut()
                .zip(divisors)
                .for_each(|(frequency, divisor)| *frequency /= divisor);
        }
        let embedding = loader.weight(names.embedding, [config.vocabulary, config.width])?;
        let head = match tensors.find(names.head)? {
            Some(_) => loader.weight(names.head, [config.vocabulary, config.width])?,
            None => embedding.clone(),
        };
        let mut layers = Vec::new();
        for index in 0..config.n_layers {
            layers.push(loader.layer(&config, dialect, index)?);
        }
        let norm = loader.vector(names.norm, config.width)?;
        Ok(Self { embedding, layers, norm, head: Linear::new(head), device: device.clone(), config })
    }
}

struct Loader<'a> {
    tensors: &'a dyn Tensors,
    device: &'a Device,
}

impl Loader<'_> {
    fn layer(&self, config: &Config, dialect: &Dialect, index: usize) -> Result<Layer, Error> {
        let names = dialect.names;
        let (width, feed_forward) = (config.width, config.feed_forward);
        let (queries, keys) = (config.n_heads * config.head_size, config.n_kv_heads * config.head_size);
        let linear = |name: &str, shape| -> Result<Linear, Error> {
            Ok(Linear::new(self.weight(&of_layer(name, index), shape)?))
        };
        let vector = |name: &str| self.vector(&of_layer(name, index), width);
        Ok(Layer {
            attention_norm: vector(names.attention_norm)?,
            queries: linear(names.queries, [queries, width])?,
            keys: linear(names.keys, [keys, width])?,
            values: linear(names.values, [keys, width])?,
            attention_output: linear(names.attention_output, [width, queries])?,
            feed_forward_norm: vector(names.feed_forward_norm)?,
            gate: linear(names.gate, [feed_forward, width])?,
            up: linear(names.up, [feed_forward, width])?,
            down: linear(names.down, [width, feed_forward])?,
        })
    }

    fn find(&self, name: &str, expected: &[usize]) -> Result<Found, Error> {
        let file = || self.tensors.label().to_owned();
        let found = self.tensors.find(name)?;
        let found = found.ok_or_else(|| Error::MissingTensor { file: file(), name: name.into() })?;
        let size = found.storage.size_bytes(expected);
        if found.shape != expected || Some(found.bytes.as_slice().len()) != size {
            let (name, expected) = (name.into(), expected.to_vec());
            return Err(Error::Shape { file: file(), name, found: found.shape, expected });
        }
        Ok(found)
    }

    fn weight(&self, name: &str, shape: [usize; 2]) -> Result<Weight, Error> {
        let found = self.find(name, &shape)?;
        let weight = Weight::new(found.bytes, shape, found.storage, self.device);
        Ok(weight.expect("the size was checked when the tensor was found"))
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>, Error> {
        let values = widen(&self.find(name, &[length])?);
        Ok(Tensor::from_data(TensorData::new(values, [length]), self.device))
    }

    fn optional_vector(&self, name: &str, length: usize) -> Result<Option<Vec<f32>>, Error> {
        if name.is_empty() || self.tensors.find(name)?.is_none() {
            return Ok(None);
        }
        Ok(Some(widen(&self.find(name, &[length])?)))
    }
}

/// The numbers of a small tensor as f32, exactly.
fn widen(found: &Found) -> Vec<f32> {
    found.storage.widen(found.bytes.as_slice())
}
