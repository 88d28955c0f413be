//! From a file to a model: which family it is, its sizes, its weights checked against them.

use burn::tensor::{Device, Tensor, TensorData};
use formats::TensorFile;
use ops::{Linear, Weight};
use serde_json::Value;

use crate::blocks::PositionsKind;
use crate::config::{ExpertSizes, Scaling};
use crate::decoder::Decoder;
use crate::encoder::{Classifier, Encoder};
use crate::families::{ENCODERS, FAMILIES};
use crate::family::{ExpertTensors, FusedHeads, Matrices, bias_of, of_layer};
use crate::layer::{Experts, FeedForward, Layer, Norm, Positions, Ways};
use crate::tensors::{Found, Tensors, blocks_and_scales};
use crate::{Config, Dialect, Error, Family};

/// The key under which a GGUF file says its architecture.
const ARCHITECTURE: &str = "general.architecture";
/// The key under which a Hugging Face folder says it.
const ARCHITECTURES: &str = "architectures";

/// Finds the family of a GGUF file.
///
/// # Errors
/// [`Error::NoArchitecture`] and [`Error::Architecture`].
pub fn recognise(file: &TensorFile) -> Result<&'static Family, Error> {
    let label = file.file().label();
    let Some(found) = file.metadata().find::<&str>(ARCHITECTURE)? else {
        return Err(Error::NoArchitecture { file: label.into(), key: ARCHITECTURE });
    };
    find(found, label, FAMILIES, |family| &family.gguf)
}

/// Finds the family of an encoder's GGUF file.
///
/// # Errors
/// [`Error::NoArchitecture`] and [`Error::Architecture`].
pub fn recognise_encoder(file: &TensorFile) -> Result<&'static Family, Error> {
    let label = file.file().label();
    let Some(found) = file.metadata().find::<&str>(ARCHITECTURE)? else {
        return Err(Error::NoArchitecture { file: label.into(), key: ARCHITECTURE });
    };
    find(found, label, ENCODERS, |family| &family.gguf)
}

/// Finds the family of a Hugging Face folder by its `config.json`.
///
/// # Errors
/// [`Error::NoArchitecture`] and [`Error::Architecture`].
pub fn recognise_config(config: &Value, file: &str) -> Result<&'static Family, Error> {
    let first = config.get(ARCHITECTURES).and_then(|list| list.get(0)).and_then(Value::as_str);
    let found = first.ok_or_else(|| Error::NoArchitecture { file: file.into(), key: ARCHITECTURES })?;
    let families = if is_encoder(found) { ENCODERS } else { FAMILIES };
    find(found, file, families, |family| &family.hugging_face)
}

fn is_encoder(architecture: &str) -> bool {
    ENCODERS.iter().any(|family| family.hugging_face.architectures.contains(&architecture))
}

fn find(
    found: &str,
    file: &str,
    families: &'static [&'static Family],
    dialect: fn(&Family) -> &Dialect,
) -> Result<&'static Family, Error> {
    let known = |family: &&&Family| dialect(family).architectures.contains(&found);
    families.iter().find(known).copied().ok_or_else(|| Error::Architecture {
        file: file.into(),
        found: found.chars().take(100).collect(),
        nearest: nearest(found, families, dialect),
    })
}

/// The known one that shares the longest beginning with `found`; of equals the first.
fn nearest(
    found: &str,
    families: &'static [&'static Family],
    dialect: fn(&Family) -> &Dialect,
) -> &'static str {
    let names = families.iter().rev().flat_map(|family| dialect(family).architectures.iter().rev());
    let shared = |name: &&&str| {
        let letters = name.chars().zip(found.chars());
        letters.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
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
        if let Some(divisors) = loader.divisors(&config)? {
            let frequencies = config.frequencies.iter_mut().zip(divisors);
            frequencies.for_each(|(frequency, divisor)| *frequency /= divisor);
        }
        let embedding = loader.table(names.embedding, [config.vocabulary, config.width])?;
        let positions = loader.positions(&config)?;
        let head = match loader.look_up(names.head)? {
            Some(_) => loader.table(names.head, [config.vocabulary, config.width])?,
            None => embedding.clone(),
        };
        let mut layers = Vec::new();
        for index in 0..config.n_layers {
            layers.push(loader.layer(&config, index)?);
        }
        let norm = loader.norm(&config, names.norm, 0, config.width)?;
        let (head, device) = (Linear::new(head), device.clone());
        Ok(Self { embedding, positions, layers, norm, head, device, config })
    }
}

impl Encoder {
    /// Loads weights that are named as in `dialect`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(
        tensors: &dyn Tensors,
        config: Config,
        dialect: &Dialect,
        device: &Device,
    ) -> Result<Self, Error> {
        let (names, width) = (dialect.names, config.width);
        let loader = Loader { tensors, dialect, device };
        let embedding = loader.table(names.embedding, [config.vocabulary, width])?;
        let positions = loader.positions(&config)?;
        let embedding_norm = loader.norm(&config, names.embedding_norm, 0, width)?;
        let layers = (0..config.n_layers).map(|index| loader.layer(&config, index));
        let layers = layers.collect::<Result<_, _>>()?;
        let types = loader.types(width)?;
        Ok(Self { embedding, types, positions, embedding_norm, layers, device: device.clone(), config })
    }
}

impl Classifier {
    /// Loads the head of an encoder of `config`, named as in `dialect`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`] and [`Error::Storage`].
    pub fn load(
        tensors: &dyn Tensors,
        config: &Config,
        dialect: &Dialect,
        device: &Device,
    ) -> Result<Self, Error> {
        let (loader, width) = (Loader { tensors, dialect, device }, config.width);
        let dense = loader.linear(dialect.names.classifier_dense, 0, [width, width])?;
        Ok(Self { dense: Some(dense), output: loader.classifier(width)? })
    }

    /// Loads the head of an encoder's GGUF file. llama.cpp's conversion of BERT leaves the dense layer out: what was
    /// converted so classifies the first row itself.
    ///
    /// # Errors
    /// So too.
    pub fn from_gguf(file: &TensorFile, config: &Config, device: &Device) -> Result<Self, Error> {
        let dialect = &recognise_encoder(file)?.gguf;
        if Tensors::find(file, dialect.names.classifier_dense)?.is_some() {
            return Self::load(file, config, dialect, device);
        }
        let loader = Loader { tensors: file, dialect, device };
        Ok(Self { dense: None, output: loader.classifier(config.width)? })
    }
}

struct Loader<'a> {
    tensors: &'a dyn Tensors,
    dialect: &'a Dialect,
    device: &'a Device,
}

impl Loader<'_> {
    fn layer(&self, config: &Config, index: usize) -> Result<Layer, Error> {
        let (names, width, size) = (self.dialect.names, config.width, config.head_size);
        let [queries, keys, values] = self.queries_keys_values(config, index)?;
        let attended = config.n_heads * size;
        let sinks = match names.sinks {
            "" => None,
            name => Some(self.vector(&of_layer(name, index), config.n_heads)?),
        };
        Ok(Layer {
            attention_norm: self.norm(config, names.attention_norm, index, width)?,
            queries,
            keys,
            values,
            query_norm: self.optional_norm(config, names.query_norm, index, size)?,
            key_norm: self.optional_norm(config, names.key_norm, index, size)?,
            sinks,
            attention_output: self.linear(names.attention_output, index, [width, attended])?,
            attention_post_norm: self.optional_norm(config, names.attention_post_norm, index, width)?,
            feed_forward_norm: self.norm(config, names.feed_forward_norm, index, width)?,
            feed_forward: match config.experts {
                Some(sizes) => self.experts(config, sizes, index)?,
                None => FeedForward::Plain(Box::new(self.ways(config, index)?)),
            },
            feed_forward_post_norm: self.optional_norm(config, names.feed_forward_post_norm, index, width)?,
        })
    }

    fn positions(&self, config: &Config) -> Result<Positions, Error> {
        if config.blocks.positions == PositionsKind::Rotary {
            return Ok(Positions::Rotary);
        }
        let first = self.dialect.first_position;
        let whole = self.find(self.dialect.names.positions, &[first + config.context, config.width])?;
        let weight = self.weight(whole.rows(first..first + config.context));
        Ok(Positions::Learned(Box::new(weight)))
    }

    /// What the kinds of text are told by, `[kinds, D]`; a row of zeros where a model knows no kinds.
    fn types(&self, width: usize) -> Result<Tensor<2>, Error> {
        let name = self.dialect.names.token_types;
        let values = match self.look_up(name)? {
            None => vec![0.0; width],
            // A file with one kind may have a row or a matrix of one row.
            Some(found) if found.shape.len() == 2 && found.shape[0] > 0 => {
                widen(&self.find(name, &[found.shape[0], width])?)
            }
            Some(_) => widen(&self.find(name, &[width])?),
        };
        let shape = [values.len() / width, width];
        Ok(Tensor::from_data(TensorData::new(values, shape), self.device)) // [kinds, D]
    }

    /// What classifies a row of an encoder, a row for each label that the file has.
    fn classifier(&self, width: usize) -> Result<Linear, Error> {
        let name = self.dialect.names.classifier;
        let n_labels = self.look_up(name)?.and_then(|found| found.shape.first().copied()).unwrap_or(1);
        self.linear(name, 0, [n_labels.max(1), width])
    }

    fn queries_keys_values(&self, config: &Config, index: usize) -> Result<[Linear; 3], Error> {
        let (names, width, size) = (self.dialect.names, config.width, config.head_size);
        let [queries, keys] = [config.n_heads, config.n_kv_heads].map(|heads| heads * size);
        if names.queries_keys_values.is_empty() {
            return Ok([
                self.linear(names.queries, index, [queries, width])?,
                self.linear(names.keys, index, [keys, width])?,
                self.linear(names.values, index, [keys, width])?,
            ]);
        }
        let parts = [0..queries, queries..queries + keys, queries + keys..queries + 2 * keys];
        let [queries, keys, values] = match self.dialect.fused_heads {
            FusedHeads::ByKind => parts.map(Iterator::collect::<Vec<usize>>),
            FusedHeads::ByHead => {
                // Of each head its query, its key, its value.
                let rows = |part: usize| {
                    let head = move |head: usize| (3 * head + part) * size..(3 * head + part + 1) * size;
                    (0..config.n_heads).flat_map(head).collect::<Vec<usize>>()
                };
                [rows(0), rows(1), rows(2)]
            }
        };
        let n_rows = queries.len() + keys.len() + values.len();
        let whole = self.fused(names.queries_keys_values, index, [n_rows, width])?;
        Ok([queries, keys, values].map(|rows| self.part(&whole, &rows)))
    }

    /// The products of a feed-forward block.
    fn ways(&self, config: &Config, index: usize) -> Result<Ways, Error> {
        let (names, width, inner) = (self.dialect.names, config.width, config.feed_forward);
        let kind = config.blocks.feed_forward;
        let down = self.linear(names.down, index, [width, inner])?;
        if !names.gate_up.is_empty() {
            let whole = self.fused(names.gate_up, index, [2 * inner, width])?;
            let [gate, up] =
                [0..inner, inner..2 * inner].map(|rows| self.part(&whole, &Vec::from_iter(rows)));
            return Ok(Ways { kind, gate: Some(Box::new(gate)), up, down });
        }
        let gate = match kind.is_gated() {
            true => Some(Box::new(self.linear(names.gate, index, [inner, width])?)),
            false => None,
        };
        Ok(Ways { kind, gate, up: self.linear(names.up, index, [inner, width])?, down })
    }

    fn experts(&self, config: &Config, sizes: ExpertSizes, index: usize) -> Result<FeedForward, Error> {
        let ExpertSizes { n_experts, n_chosen } = sizes;
        let names = self.dialect.names;
        let router = self.linear(names.router, index, [n_experts, config.width])?;
        let list = match self.dialect.experts {
            ExpertTensors::Alone => self.experts_alone(config, n_experts, index)?,
            ExpertTensors::Stacked => self.stacked_experts(config, n_experts, index)?,
            ExpertTensors::StackedByInputs => self.experts_by_inputs(config, n_experts, index)?,
        };
        let weighing = config.blocks.weighing;
        Ok(FeedForward::Experts(Box::new(Experts { router, list, n_chosen, weighing })))
    }

    fn experts_alone(&self, config: &Config, n_experts: usize, index: usize) -> Result<Vec<Ways>, Error> {
        let (names, width, inner) = (self.dialect.names, config.width, config.feed_forward);
        let expert = |expert: usize| {
            let linear =
                |name: &str, shape| self.linear(&name.replace("{e}", &expert.to_string()), index, shape);
            Ok(Ways {
                kind: config.blocks.feed_forward,
                gate: Some(Box::new(linear(names.expert_gate, [inner, width])?)),
                up: linear(names.expert_up, [inner, width])?,
                down: linear(names.expert_down, [width, inner])?,
            })
        };
        (0..n_experts).map(expert).collect()
    }

    fn stacked_experts(&self, config: &Config, n_experts: usize, index: usize) -> Result<Vec<Ways>, Error> {
        let (names, width, inner) = (self.dialect.names, config.width, config.feed_forward);
        let stack = |name, shape| self.stack(name, index, n_experts, shape);
        let gate = stack(names.expert_gate, [inner, width])?;
        let up = stack(names.expert_up, [inner, width])?;
        let down = stack(names.expert_down, [width, inner])?;
        let linear = |stack: &Fused, expert: usize| {
            let rows = stack.weight.shape[0] / n_experts;
            self.part(stack, &Vec::from_iter(expert * rows..(expert + 1) * rows))
        };
        let expert = |expert: usize| Ways {
            kind: config.blocks.feed_forward,
            gate: Some(Box::new(linear(&gate, expert))),
            up: linear(&up, expert),
            down: linear(&down, expert),
        };
        Ok((0..n_experts).map(expert).collect())
    }

    fn experts_by_inputs(&self, config: &Config, n_experts: usize, index: usize) -> Result<Vec<Ways>, Error> {
        let (names, width, inner) = (self.dialect.names, config.width, config.feed_forward);
        let both = self.stack_of_experts(names.expert_gate, index, [n_experts, 2 * inner, width])?;
        let down = self.stack_of_experts(names.expert_down, index, [n_experts, width, inner])?;
        let expert = |(both, down): (&Fused, &Fused)| {
            let of = |first: usize| Vec::from_iter((first..2 * inner).step_by(2));
            Ways {
                kind: config.blocks.feed_forward,
                gate: Some(Box::new(self.part(both, &of(0)))),
                up: self.part(both, &of(1)),
                down: self.part(down, &Vec::from_iter(0..width)),
            }
        };
        Ok(both.iter().zip(&down).map(expert).collect())
    }

    /// All experts' matrices of one kind, one below the other: `[E · N, K]`.
    fn stack(&self, name: &str, index: usize, n: usize, [rows, columns]: [usize; 2]) -> Result<Fused, Error> {
        let mut weight = self.find(&of_layer(name, index), &[n, rows, columns])?;
        weight.shape = vec![n * rows, columns];
        let bias = self.optional_values(&of_layer(&bias_of(name), index), &[n, rows])?;
        Ok(Fused { weight, bias })
    }

    /// A matrix for each expert: by inputs in the file, or in blocks, which run along the inputs of each output.
    fn stack_of_experts(
        &self,
        name: &str,
        index: usize,
        [n, rows, columns]: [usize; 3],
    ) -> Result<Vec<Fused>, Error> {
        let full = of_layer(name, index);
        let None = self.look_up(&full)? else { return self.stack_by_inputs(name, index, [n, rows, columns]) };
        let missing = || Error::MissingTensor { file: self.tensors.label().into(), name: full.clone() };
        let mut whole = blocks_and_scales(self.tensors, &full)?.ok_or_else(missing)?;
        if whole.shape != [n, rows, columns] {
            let (file, expected) = (self.tensors.label().into(), vec![n, rows, columns]);
            return Err(Error::Shape { file, name: full, found: whole.shape, expected });
        }
        whole.shape = vec![n * rows, columns];
        let bias = self.optional_values(&bias_of(&full), &[n, rows])?;
        let expert = |expert: usize| {
            let of = expert * rows..(expert + 1) * rows;
            Fused { weight: whole.rows(of.clone()), bias: bias.as_ref().map(|bias| bias[of].to_vec()) }
        };
        Ok((0..n).map(expert).collect())
    }

    /// So too where a file has them by inputs, `[E, K, N]`: each turned, `[N, K]`.
    fn stack_by_inputs(
        &self,
        name: &str,
        index: usize,
        [n, rows, columns]: [usize; 3],
    ) -> Result<Vec<Fused>, Error> {
        let name = of_layer(name, index);
        let mut whole = self.find(&name, &[n, columns, rows])?;
        self.check_turnable(&whole, &name)?;
        whole.shape = vec![n * columns, rows];
        let bias = self.optional_values(&bias_of(&name), &[n, rows])?;
        let expert = |expert: usize| {
            let bias = bias.as_ref().map(|bias| bias[expert * rows..(expert + 1) * rows].to_vec());
            Fused { weight: whole.rows(expert * columns..(expert + 1) * columns).transposed(), bias }
        };
        Ok((0..n).map(expert).collect())
    }

    /// A matrix that holds several, with its bias.
    fn fused(&self, name: &str, index: usize, shape: [usize; 2]) -> Result<Fused, Error> {
        let weight = self.matrix(&of_layer(name, index), shape)?;
        let bias = self.bias(name, index, shape[0])?;
        Ok(Fused { weight, bias: bias.map(|bias| bias.into_data().iter::<f32>().collect()) })
    }

    /// Some rows of a matrix that holds several.
    fn part(&self, whole: &Fused, rows: &[usize]) -> Linear {
        let linear = Linear::new(self.weight(whole.weight.gathered(rows)));
        match &whole.bias {
            Some(bias) => linear.with_bias(self.tensor(rows.iter().map(|row| bias[*row]).collect())),
            None => linear,
        }
    }

    /// By what the file divides the frequencies, besides what its settings say.
    fn divisors(&self, config: &Config) -> Result<Option<Vec<f32>>, Error> {
        let (names, n_pairs) = (self.dialect.names, config.frequencies.len());
        let original = match config.rope.as_ref().map(|rope| &rope.scaling) {
            Some(Scaling::LongRope { original, .. }) => *original,
            _ => f64::INFINITY,
        };
        let name = if config.context as f64 > original {
            names.rope_divisors_long
        } else {
            names.rope_divisors_short
        };
        match self.optional_values(name, &[n_pairs])? {
            None => self.optional_values(names.rope_divisors, &[n_pairs]),
            divisors => Ok(divisors),
        }
    }

    fn optional_norm(
        &self,
        config: &Config,
        name: &str,
        index: usize,
        width: usize,
    ) -> Result<Option<Norm>, Error> {
        if name.is_empty() { Ok(None) } else { self.norm(config, name, index, width).map(Some) }
    }

    fn norm(&self, config: &Config, name: &str, index: usize, width: usize) -> Result<Norm, Error> {
        let mut weight = widen(&self.find(&of_layer(name, index), &[width])?);
        weight.iter_mut().for_each(|factor| *factor += self.dialect.norm_offset);
        let (weight, bias) = (self.tensor(weight), self.bias(name, index, width)?);
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
        let name = bias_of(weight);
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
                self.check_turnable(&found, name)?;
                Ok(found.transposed())
            }
        }
    }

    /// Refuses a matrix in blocks, which run along rows: turned, they would be columns.
    fn check_turnable(&self, found: &Found, name: &str) -> Result<(), Error> {
        if found.storage.blocks().is_some() {
            let (file, name) = (self.tensors.label().into(), name.into());
            return Err(Error::Storage { file, name, found: format!("{:?}", found.storage) });
        }
        Ok(())
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
        Ok(self.tensor(widen(&self.find(name, &[length])?)))
    }

    fn tensor(&self, values: Vec<f32>) -> Tensor<1> {
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [length]), self.device)
    }

    /// The numbers of a small tensor, where the family has it and the file too.
    fn optional_values(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, Error> {
        if name.is_empty() || self.look_up(name)?.is_none() {
            return Ok(None);
        }
        Ok(Some(widen(&self.find(name, shape)?)))
    }
}

/// A matrix that holds several, with its bias.
struct Fused {
    weight: Found,
    bias: Option<Vec<f32>>,
}

/// The numbers of a small tensor as f32, exactly.
fn widen(found: &Found) -> Vec<f32> {
    found.storage.widen(found.bytes.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_architecture_is_named_with_the_nearest_that_works() {
        for (found, expected) in [
            ("Qwen2MoeForCausalLM", "Qwen2ForCausalLM"),
            ("Gemma3nForCausalLM", "Gemma3ForCausalLM"),
            ("Phi4ForCausalLM", "Phi3ForCausalLM"),
            ("XglmForCausalLM", "LlamaForCausalLM"),
            ("", "LlamaForCausalLM"),
        ] {
            match recognise_config(&json!({ "architectures": [found] }), "config.json") {
                Err(Error::Architecture { nearest, found: named, .. }) => {
                    assert_eq!((nearest, &*named), (expected, found));
                }
                _ => panic!("{found} is not refused"),
            }
        }
        for config in [json!({}), json!({ "architectures": [] }), json!({ "architectures": [7] }), json!(3)] {
            let refused = recognise_config(&config, "config.json");
            assert!(matches!(refused, Err(Error::NoArchitecture { .. })), "{config}");
        }
    }

    #[test]
    fn every_family_is_found_under_its_own_names() {
        for family in FAMILIES.iter().chain(ENCODERS) {
            for name in family.hugging_face.architectures {
                let found = recognise_config(&json!({ "architectures": [name] }), "config.json");
                assert_eq!(found.map(|found| found.name).ok(), Some(family.name));
            }
        }
    }
}
