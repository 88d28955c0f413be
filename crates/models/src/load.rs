//! From a file to a model: which family it is, its sizes, its weights checked against them.

use burn::tensor::{Device, Tensor, TensorData};
use formats::TensorFile;
use ops::{Linear, Weight};

use crate::blocks::{FeedForwardKind, PositionsKind};
use crate::decoder::Decoder;
use crate::families::FAMILIES;
use crate::family::{Matrices, bias_of, of_layer};
use crate::layer::{FeedForward, Layer, Norm, Positions};
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
        let loader = Loader { tensors, dialect, device };
        if let Some(divisors) = loader.optional_vector(names.rope_divisors, config.frequencies.len())? {
            config
                .frequencies
                .iter_mut()
                .zip(divisors)
                .for_each(|(frequency, divisor)| *frequency /= divisor);
        }
        let embedding = loader.table(names.embedding, [config.vocabulary, config.width])?;
        let positions = match config.blocks.positions {
            PositionsKind::Rotary => Positions::Rotary,
            PositionsKind::Learned => {
                let shape = [config.context, config.width];
                Positions::Learned(Box::new(loader.table(names.positions, shape)?))
            }
        };
        let head = match loader.look_up(names.head)? {
            Some(_) => loader.table(names.head, [config.vocabulary, config.width])?,
            None => embedding.clone(),
        };
        let mut layers = Vec::new();
        for index in 0..config.n_layers {
            layers.push(loader.layer(&config, index)?);
        }
        let norm = loader.norm(&config, names.norm, 0)?;
        let (head, device) = (Linear::new(head), device.clone());
        Ok(Self { embedding, positions, layers, norm, head, device, config })
    }
}

struct Loader<'a> {
    tensors: &'a dyn Tensors,
    dialect: &'a Dialect,
    device: &'a Device,
}

impl Loader<'_> {
    fn layer(&self, config: &Config, index: usize) -> Result<Layer, Error> {
        let (names, width) = (self.dialect.names, config.width);
        let [queries, keys, values] = self.queries_keys_values(config, index)?;
        let attended = config.n_heads * config.head_size;
        Ok(Layer {
            attention_norm: self.norm(config, names.attention_norm, index)?,
            queries,
            keys,
            values,
            attention_output: self.linear(names.attention_output, index, [width, attended])?,
            feed_forward_norm: self.norm(config, names.feed_forward_norm, index)?,
            feed_forward: self.feed_forward(config, index)?,
        })
    }

    fn queries_keys_values(&self, config: &Config, index: usize) -> Result<[Linear; 3], Error> {
        let (names, width) = (self.dialect.names, config.width);
        let [queries, keys] = [config.n_heads, config.n_kv_heads].map(|heads| heads * config.head_size);
        if names.queries_keys_values.is_empty() {
            return Ok([
                self.linear(names.queries, index, [queries, width])?,
                self.linear(names.keys, index, [keys, width])?,
                self.linear(names.values, index, [keys, width])?,
            ]);
        }
        let name = of_layer(names.queries_keys_values, index);
        let whole = self.matrix(&name, [queries + 2 * keys, width])?;
        let bias = self.bias(names.queries_keys_values, index, queries + 2 * keys)?;
        let ranges = [0..queries, queries..queries + keys, queries + keys..queries + 2 * keys];
        Ok(ranges.map(|rows| {
            let linear = Linear::new(self.weight(whole.rows(rows.clone())));
            match &bias {
                Some(bias) => linear.with_bias(bias.clone().slice([rows])),
                None => linear,
            }
        }))
    }

    fn feed_forward(&self, config: &Config, index: usize) -> Result<FeedForward, Error> {
        let (names, width, inner) = (self.dialect.names, config.width, config.feed_forward);
        let up = self.linear(names.up, index, [inner, width])?;
        let down = self.linear(names.down, index, [width, inner])?;
        Ok(match config.blocks.feed_forward {
            FeedForwardKind::SwiGlu => {
                let gate = self.linear(names.gate, index, [inner, width])?;
                FeedForward::SwiGlu { gate: Box::new(gate), up, down }
            }
            FeedForwardKind::Gelu(form) => FeedForward::Gelu { up, down, form },
        })
    }

    fn norm(&self, config: &Config, name: &str, index: usize) -> Result<Norm, Error> {
        let weight = self.vector(&of_layer(name, index), config.width)?;
        let bias = self.bias(name, index, config.width)?;
        Ok(Norm::new(config.blocks.norm, weight, bias, self.device))
    }

    /// A product of one layer with the bias that the file has for it.
    fn linear(&self, name: &str, index: usize, shape: [usize; 2]) -> Result<Linear, Error> {
        let linear = Linear::new(self.weight(self.matrix(&of_layer(name, index), shape)?));
        Ok(match self.bias(name, index, shape[0])? {
            Some(bias) => linear.with_bias(bias),
            None => linear,
        })
    }

    /// The bias of a weight, where the file has one; one that the first layer has, no other layer may lack.
    fn bias(&self, weight: &str, index: usize, length: usize) -> Result<Option<Tensor<1>>, Error> {
        let Some(name) = bias_of(weight) else { return Ok(None) };
        let has = |index| Ok::<bool, Error>(self.look_up(&of_layer(&name, index))?.is_some());
        if !has(0)? && !has(index)? {
            return Ok(None);
        }
        self.vector(&of_layer(&name, index), length).map(Some)
    }

    /// The tensor called `name`, with the prefix of the dialect or without.
    fn look_up(&self, name: &str) -> Result<Option<Found>, Error> {
        let prefix = self.dialect.optional_prefix;
        match (self.tensors.find(name)?, name.strip_prefix(prefix)) {
            (None, Some(short)) if !prefix.is_empty() => self.tensors.find(short),
            (found, _) => Ok(found),
        }
    }

    fn find(&self, name: &str, expected: &[usize]) -> Result<Found, Error> {
        let file = || self.tensors.label().to_owned();
        let found = self.look_up(name)?;
        let found = found.ok_or_else(|| Error::MissingTensor { file: file(), name: name.into() })?;
        let size = found.storage.size_bytes(expected);
        if found.shape != expected || Some(found.bytes.as_slice().len()) != size {
            let (name, expected) = (name.into(), expected.to_vec());
            return Err(Error::Shape { file: file(), name, found: found.shape, expected });
        }
        Ok(found)
    }

    /// The matrix of a product, a row for each output however the file has it: `[N, K]`.
    fn matrix(&self, name: &str, [outputs, inputs]: [usize; 2]) -> Result<Found, Error> {
        match self.dialect.matrices {
            Matrices::OutputsByInputs => self.find(name, &[outputs, inputs]),
            Matrices::InputsByOutputs => {
                let found = self.find(name, &[inputs, outputs])?;
                if found.storage.blocks().is_some() {
                    // Blocks run along rows, and these would be columns.
                    let (file, name) = (self.tensors.label().into(), name.into());
                    return Err(Error::Storage { file, name, found: format!("{:?}", found.storage) });
                }
                Ok(found.transposed())
            }
        }
    }

    /// A table of rows, which lies the same way in every file: `[N, K]`.
    fn table(&self, name: &str, shape: [usize; 2]) -> Result<Weight, Error> {
        Ok(self.weight(self.find(name, &shape)?))
    }

    fn weight(&self, found: Found) -> Weight {
        let weight = Weight::new(found.bytes, [found.shape[0], found.shape[1]], found.storage, self.device);
        weight.expect("the size was checked when the tensor was found")
    }

    fn vector(&self, name: &str, length: usize) -> Result<Tensor<1>, Error> {
        let values = widen(&self.find(name, &[length])?);
        Ok(Tensor::from_data(TensorData::new(values, [length]), self.device))
    }

    fn optional_vector(&self, name: &str, length: usize) -> Result<Option<Vec<f32>>, Error> {
        if name.is_empty() || self.look_up(name)?.is_none() {
            return Ok(None);
        }
        Ok(Some(widen(&self.find(name, &[length])?)))
    }
}

/// The numbers of a small tensor as f32, exactly.
fn widen(found: &Found) -> Vec<f32> {
    found.storage.widen(found.bytes.as_slice())
}
