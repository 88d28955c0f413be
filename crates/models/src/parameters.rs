//! The weights of a decoder as tensors that learn: made at random or from values, read, replaced, and put
//! together to a [`Decoder`] whose forward pass then writes the tape.
//!
//! Does not: compute a loss, step, or write files. Source of the starting sizes: A. Radford et al., "Language
//! Models are Unsupervised Multitask Learners" (GPT-2, 2019), section 2.3, for the division of what is added
//! to the stream by the root of the number of additions; Y. LeCun et al., "Efficient BackProp" (1998),
//! section 4.6, for one over the root of the inputs.

use base::Rng;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use ops::{Linear, Weight, embedding};

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

/// One tensor that learns, or its gradient, or a running mean of it.
#[derive(Clone)]
pub enum Learned {
    /// A weight matrix, `[N, K]`.
    Matrix(Tensor<2>),
    /// The factors of a normalisation, `[D]`.
    Vector(Tensor<1>),
}

impl Learned {
    /// A tensor of `shape`, `[N, K]` or `[D]`.
    ///
    /// # Panics
    /// When there are more or fewer values than `shape` says.
    pub fn new(values: Vec<f32>, shape: &[usize], device: &Device) -> Self {
        match *shape {
            [rows, columns] => {
                Self::Matrix(Tensor::from_data(TensorData::new(values, [rows, columns]), device))
            }
            _ => Self::Vector(Tensor::from_data(TensorData::new(values, shape), device)),
        }
    }

    /// Its values, row after row.
    pub fn values(&self) -> Vec<f32> {
        match self {
            Self::Matrix(tensor) => floats(tensor.to_data()),
            Self::Vector(tensor) => floats(tensor.to_data()),
        }
    }

    /// Takes the tensor out and leaves an empty one, so that nobody else holds it.
    #[must_use]
    pub fn take(&mut self) -> Self {
        match self {
            Self::Matrix(tensor) => {
                let empty = Tensor::empty([0, 0], &tensor.device());
                Self::Matrix(std::mem::replace(tensor, empty))
            }
            Self::Vector(tensor) => {
                let empty = Tensor::empty([0], &tensor.device());
                Self::Vector(std::mem::replace(tensor, empty))
            }
        }
    }

    /// The same numbers as the beginning of a tape.
    fn leaf(&self) -> Self {
        match self {
            Self::Matrix(tensor) => Self::Matrix(Tensor::from_inner(tensor.clone()).require_grad()),
            Self::Vector(tensor) => Self::Vector(Tensor::from_inner(tensor.clone()).require_grad()),
        }
    }

    fn take_gradient(&self, gradients: &mut Gradients) -> Option<Self> {
        match self {
            Self::Matrix(tensor) => Some(Self::Matrix(tensor.grad_remove(gradients)?)),
            Self::Vector(tensor) => Some(Self::Vector(tensor.grad_remove(gradients)?)),
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

    /// Where they are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Parameter> {
        self.list.iter()
    }

    /// How many numbers they are.
    pub fn n_values(&self) -> usize {
        self.list.iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// The tensors themselves, to be changed.
    pub fn tensors_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Learned> {
        self.list.iter_mut().map(|parameter| &mut parameter.tensor)
    }

    /// The model that they make; it shares their tensors and writes no tape.
    pub fn decoder(&self) -> Decoder {
        self.decoder_of(self.list.iter().map(|parameter| &parameter.tensor), &self.device)
    }

    /// The model that they make, writing a tape.
    pub fn taped(&self) -> Taped {
        let leaves: Vec<Learned> = self.list.iter().map(|parameter| parameter.tensor.leaf()).collect();
        let decoder = self.decoder_of(leaves.iter(), &self.device.clone().autodiff());
        Taped { decoder, leaves }
    }

    /// Adds what the embedding of `ids` learns from the gradient of its output, `[R, D]`, to the gradients of all
    /// parameters in their order.
    ///
    /// # Panics
    /// When a parameter besides the embedding table has no gradient.
    pub fn with_embedding_gradients(
        &self,
        mut gradients: Vec<Option<Learned>>,
        ids: &[u32],
        gradient: Tensor<2>,
    ) -> Vec<Learned> {
        let first = &self.list[0];
        let table = match gradients[0].take() {
            Some(Learned::Matrix(table)) => table,
            _ => Tensor::zeros([first.shape[0], first.shape[1]], &self.device),
        };
        gradients[0] = Some(Learned::Matrix(embedding::add_gradient(table, ids, gradient)));
        gradients
            .into_iter()
            .map(|gradient| gradient.expect("the logits depend on every parameter"))
            .collect()
    }

    fn decoder_of<'a>(&self, mut rest: impl Iterator<Item = &'a Learned>, device: &Device) -> Decoder {
        let embedding = matrix(rest.next());
        let layers = (0..self.config.n_layers).map(|_| layer(&mut rest)).collect();
        let norm = vector(rest.next());
        let head = match self.head {
            Head::Tied => embedding.clone(),
            Head::Own => matrix(rest.next()),
        };
        let (config, device, head) = (self.config.clone(), device.clone(), Linear::new(head));
        Decoder { config, embedding, layers, norm, head, device }
    }
}

/// A decoder whose forward pass writes a tape, with the tensors that begin it.
pub struct Taped {
    /// The model.
    pub decoder: Decoder,
    leaves: Vec<Learned>,
}

impl Taped {
    /// The gradient of every parameter in its order; `None` where the loss does not depend on it.
    pub fn take_gradients(&self, gradients: &mut Gradients) -> Vec<Option<Learned>> {
        self.leaves.iter().map(|leaf| leaf.take_gradient(gradients)).collect()
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

    fn cpu() -> Device {
        ops::device::cpu()
    }

    /// The mean of the squared logits of four tokens.
    fn loss(decoder: &Decoder) -> Tensor<1> {
        let input = Input { ids: &[1, 2, 3, 4], rows: Rows::prompt(4), wanted: None };
        let logits = decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, None);
        (logits.clone() * logits).mean()
    }

    fn loss_of(parameters: &Parameters) -> f32 {
        loss(&parameters.decoder()).into_scalar::<f32>()
    }

    fn set(parameters: &mut Parameters, index: usize, values: Vec<f32>) {
        let shape = parameters.list[index].shape.clone();
        parameters.list[index].tensor = Learned::new(values, &shape, &cpu());
    }

    #[test]
    fn every_parameter_has_a_gradient_that_a_small_step_confirms() {
        for head in [Head::Tied, Head::Own] {
            let mut parameters = Parameters::random(config(), head, &LLAMA.gguf, &mut Rng::new(5), &cpu());
            let taped = parameters.taped();
            let before = loss(&taped.decoder);
            let gradients = taped.take_gradients(&mut before.backward());
            let before = before.into_scalar::<f32>();
            for (index, gradient) in gradients.iter().enumerate() {
                let Parameter { name, tensor, .. } = parameters.list[index].clone();
                let gradient = gradient.as_ref().unwrap_or_else(|| panic!("{name}")).values();
                let values = tensor.values();
                let norm_squared: f32 = gradient.iter().map(|g| g * g).sum();
                assert!(norm_squared > 0.0, "{name} has no gradient");
                // A step along the gradient that should raise the loss by one part in two hundred.
                let step = 0.005 * before / norm_squared;
                let moved =
                    |sign: f32| values.iter().zip(&gradient).map(|(v, g)| v + sign * step * g).collect();
                set(&mut parameters, index, moved(1.0));
                let up = loss_of(&parameters);
                set(&mut parameters, index, moved(-1.0));
                let down = loss_of(&parameters);
                set(&mut parameters, index, values);
                let ratio = (up - down) / (2.0 * step * norm_squared);
                assert!((ratio - 1.0).abs() < 0.05, "{name}: {ratio}");
            }
        }
    }

    #[test]
    fn values_go_out_and_in_again() {
        let first = Parameters::random(config(), Head::Tied, &LLAMA.gguf, &mut Rng::new(9), &cpu());
        let mut asked = 0;
        let second = Parameters::from_values(config(), Head::Tied, &LLAMA.gguf, &cpu(), &mut |name, n| {
            let found = first.iter().find(|parameter| parameter.name == name).expect("the same names");
            let values = found.tensor.values();
            assert_eq!(values.len(), n);
            asked += n;
            values
        });
        assert_eq!(asked, first.n_values());
        assert_eq!(loss_of(&first), loss_of(&second));
    }
}
