//! The weights of a decoder as tensors that learn: made at random or from values, read, replaced, and put
//! together to a [`Decoder`] whose forward pass then writes the tape.
//!
//! Does not: compute a loss, step, or write files. Source of the starting sizes: A. Radford et al., "Language
//! Models are Unsupervised Multitask Learners" (GPT-2, 2019), section 2.3, for the division of what is added
//! to the stream by the root of the number of additions; Y. LeCun et al., "Efficient BackProp" (1998),
//! section 4.6, for one over the root of the inputs.

use base::Rng;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use ops::{Linear, Weight};

use crate::decoder::{Decoder, Layer};
use crate::family::of_layer;
use crate::{Config, Dialect};

/// Standard deviation of an embedding table at the start.
const EMBEDDING_DEVIATION: f64 = 0.02;

/// Where the logits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// From the embedding table.
    Tied,
    /// From a matrix of its own.
    Own,
}

/// One tensor that learns.
#[derive(Clone)]
pub enum Learned {
    /// A weight matrix, `[N, K]`.
    Matrix(Tensor<2>),
    /// The factors of a normalisation, `[D]`.
    Vector(Tensor<1>),
}

impl Learned {
    fn new(values: Vec<f32>, shape: &[usize], device: &Device) -> Self {
        match *shape {
            [rows, columns] => {
                let data = TensorData::new(values, [rows, columns]);
                Self::Matrix(Tensor::from_data(data, device).require_grad())
            }
            _ => Self::Vector(Tensor::from_data(TensorData::new(values, shape), device).require_grad()),
        }
    }

    /// Its values, row after row.
    pub fn values(&self) -> Vec<f32> {
        match self {
            Self::Matrix(tensor) => floats(tensor.to_data()),
            Self::Vector(tensor) => floats(tensor.to_data()),
        }
    }

    /// Takes its gradient, row after row; `None` where the loss does not depend on it.
    pub fn take_gradient(&self, gradients: &mut Gradients) -> Option<Vec<f32>> {
        match self {
            Self::Matrix(tensor) => Some(floats(tensor.grad_remove(gradients)?.into_data())),
            Self::Vector(tensor) => Some(floats(tensor.grad_remove(gradients)?.into_data())),
        }
    }
}

fn floats(data: TensorData) -> Vec<f32> {
    data.try_into_vec().expect("what learns is f32, by construction")
}

/// A tensor with its name in files and its shape, outermost first.
#[derive(Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// `[N, K]` or `[D]`.
    pub shape: Vec<usize>,
    /// Its values.
    pub tensor: Learned,
}

/// Every tensor of a decoder that learns, in a fixed order.
pub struct Parameters {
    config: Config,
    head: Head,
    device: Device,
    list: Vec<Parameter>,
}

impl Parameters {
    /// Weights at random: the same `rng`, the same weights.
    ///
    /// `device` has to be one that records a tape (`Device::autodiff`).
    pub fn random(config: Config, head: Head, dialect: &Dialect, rng: &mut Rng, device: &Device) -> Self {
        let additions = (2.0 * config.n_layers as f64).sqrt();
        Self::build(config, head, dialect, device, &mut |plan| match plan.start {
            Start::One => vec![1.0; plan.size()],
            Start::Table => normal(plan.size(), EMBEDDING_DEVIATION, rng),
            Start::Inner => normal(plan.size(), plan.inner_deviation(), rng),
            Start::Added => normal(plan.size(), plan.inner_deviation() / additions, rng),
        })
    }

    /// Weights from `values`, which is asked by name and number of values.
    ///
    /// # Panics
    /// When `values` gives another number than it was asked for.
    pub fn from_values(
        config: Config,
        head: Head,
        dialect: &Dialect,
        device: &Device,
        values: &mut dyn FnMut(&str, usize) -> Vec<f32>,
    ) -> Self {
        Self::build(config, head, dialect, device, &mut |plan| values(&plan.name, plan.size()))
    }

    fn build(
        config: Config,
        head: Head,
        dialect: &Dialect,
        device: &Device,
        values: &mut dyn FnMut(&Planned) -> Vec<f32>,
    ) -> Self {
        let make = |plan: Planned| {
            let tensor = Learned::new(values(&plan), &plan.shape, device);
            Parameter { name: plan.name, shape: plan.shape, tensor }
        };
        let list = plan(&config, head, dialect).into_iter().map(make).collect();
        Self { config, head, device: device.clone(), list }
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter> {
        self.list.iter()
    }

    /// How many numbers they are.
    pub fn n_values(&self) -> usize {
        self.list.iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// Replaces the values of the parameter at `index`.
    ///
    /// # Panics
    /// When there are more or fewer values than the parameter has.
    pub fn replace(&mut self, index: usize, values: Vec<f32>) {
        let parameter = &mut self.list[index];
        parameter.tensor = Learned::new(values, &parameter.shape, &self.device);
    }

    /// The model that they make; it shares their tensors.
    pub fn decoder(&self) -> Decoder {
        let mut rest = self.list.iter().map(|parameter| &parameter.tensor);
        let embedding = matrix(rest.next());
        let layers = (0..self.config.n_layers).map(|_| layer(&mut rest)).collect();
        let norm = vector(rest.next());
        let head = match self.head {
            Head::Tied => embedding.clone(),
            Head::Own => matrix(rest.next()),
        };
        Decoder {
            config: self.config.clone(),
            embedding,
            layers,
            norm,
            head: Linear::new(head),
            device: self.device.clone(),
        }
    }
}

/// The next layer's weights, in the order of [`plan`].
fn layer<'a>(rest: &mut impl Iterator<Item = &'a Learned>) -> Layer {
    let attention_norm = vector(rest.next());
    let [queries, keys, values, attention_output] = std::array::from_fn(|_| Linear::new(matrix(rest.next())));
    let feed_forward_norm = vector(rest.next());
    let [gate, up, down] = std::array::from_fn(|_| Linear::new(matrix(rest.next())));
    Layer { attention_norm, queries, keys, values, attention_output, feed_forward_norm, gate, up, down }
}

fn matrix(learned: Option<&Learned>) -> Weight {
    match learned {
        Some(Learned::Matrix(tensor)) => Weight::from_tensor(tensor.clone()),
        _ => unreachable!("the list was made by the plan, which has a matrix here"),
    }
}

fn vector(learned: Option<&Learned>) -> Tensor<1> {
    match learned {
        Some(Learned::Vector(tensor)) => tensor.clone(),
        _ => unreachable!("the list was made by the plan, which has a vector here"),
    }
}

/// How a tensor's values are at the start.
#[derive(Clone, Copy)]
enum Start {
    One,
    Table,
    /// Feeds something that is normalised or mixed later.
    Inner,
    /// Is added to the stream.
    Added,
}

/// A tensor that is to be made.
struct Planned {
    name: String,
    shape: Vec<usize>,
    start: Start,
}

impl Planned {
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    fn inner_deviation(&self) -> f64 {
        (self.shape[self.shape.len() - 1] as f64).powf(-0.5)
    }
}

/// Every tensor of such a decoder.
fn plan(config: &Config, head: Head, dialect: &Dialect) -> Vec<Planned> {
    let names = dialect.names;
    let (width, feed_forward, vocabulary) = (config.width, config.feed_forward, config.vocabulary);
    let (queries, keys) = (config.n_heads * config.head_size, config.n_kv_heads * config.head_size);
    let rows: [(&str, &[usize], Start); 9] = [
        (names.attention_norm, &[width], Start::One),
        (names.queries, &[queries, width], Start::Inner),
        (names.keys, &[keys, width], Start::Inner),
        (names.values, &[keys, width], Start::Inner),
        (names.attention_output, &[width, queries], Start::Added),
        (names.feed_forward_norm, &[width], Start::One),
        (names.gate, &[feed_forward, width], Start::Inner),
        (names.up, &[feed_forward, width], Start::Inner),
        (names.down, &[width, feed_forward], Start::Added),
    ];
    let planned = |name: String, shape: &[usize], start| Planned { name, shape: shape.to_vec(), start };
    let mut list = vec![planned(names.embedding.into(), &[vocabulary, width], Start::Table)];
    for index in 0..config.n_layers {
        list.extend(rows.iter().map(|&(name, shape, start)| planned(of_layer(name, index), shape, start)));
    }
    list.push(planned(names.norm.into(), &[width], Start::One));
    if head == Head::Own {
        list.push(planned(names.head.into(), &[vocabulary, width], Start::Inner));
    }
    list
}

fn normal(n: usize, deviation: f64, rng: &mut Rng) -> Vec<f32> {
    (0..n).map(|_| (rng.normal() * deviation) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::LLAMA;
    use crate::{Attend, Input};
    use ops::Rows;

    fn config() -> Config {
        Config {
            vocabulary: 32,
            width: 32,
            n_layers: 2,
            n_heads: 2,
            n_kv_heads: 1,
            head_size: 16,
            feed_forward: 64,
            context: 64,
            epsilon: 1e-5,
            frequencies: crate::config::frequencies(10_000.0, 16),
            rope_layout: LLAMA.gguf.rope_layout,
        }
    }

    fn tape() -> Device {
        ops::device::cpu().autodiff()
    }

    /// The mean of the squared logits of four tokens.
    fn loss(parameters: &Parameters) -> Tensor<1> {
        let input = Input { ids: &[1, 2, 3, 4], rows: Rows::prompt(4), wanted: None };
        let logits = parameters.decoder().forward(&input, &mut Attend::Causal { sequences: 1 }, None);
        (logits.clone() * logits).mean()
    }

    #[test]
    fn every_parameter_has_a_gradient_that_a_small_step_confirms() {
        for head in [Head::Tied, Head::Own] {
            let mut parameters = Parameters::random(config(), head, &LLAMA.gguf, &mut Rng::new(5), &tape());
            let before = loss(&parameters);
            let mut gradients = before.backward();
            let before = before.into_scalar::<f32>();
            for index in 0..parameters.list.len() {
                let Parameter { name, tensor, .. } = parameters.list[index].clone();
                let gradient = tensor.take_gradient(&mut gradients).unwrap_or_else(|| panic!("{name}"));
                let values = tensor.values();
                let norm_squared: f32 = gradient.iter().map(|g| g * g).sum();
                assert!(norm_squared > 0.0, "{name} has no gradient");
                // A step along the gradient that should raise the loss by one part in two hundred.
                let step = 0.005 * before / norm_squared;
                let moved =
                    |sign: f32| values.iter().zip(&gradient).map(|(v, g)| v + sign * step * g).collect();
                parameters.replace(index, moved(1.0));
                let up = loss(&parameters).into_scalar::<f32>();
                parameters.replace(index, moved(-1.0));
                let down = loss(&parameters).into_scalar::<f32>();
                parameters.replace(index, values);
                let ratio = (up - down) / (2.0 * step * norm_squared);
                assert!((ratio - 1.0).abs() < 0.05, "{name}: {ratio}");
            }
        }
    }

    #[test]
    fn values_go_out_and_in_again() {
        let first = Parameters::random(config(), Head::Tied, &LLAMA.gguf, &mut Rng::new(9), &tape());
        let mut asked = 0;
        let second = Parameters::from_values(config(), Head::Tied, &LLAMA.gguf, &tape(), &mut |name, n| {
            let found = first.iter().find(|parameter| parameter.name == name).expect("the same names");
            let values = found.tensor.values();
            assert_eq!(values.len(), n);
            asked += n;
            values
        });
        assert_eq!(asked, first.n_values());
        assert_eq!(loss(&first).into_scalar::<f32>(), loss(&second).into_scalar::<f32>());
    }
}
