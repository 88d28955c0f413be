//! The weights of a decoder as tensors that learn: made at random or from values, read, replaced, and put
//! together to a [`Decoder`] whose forward pass then writes the tape.
//!
//! Does not: compute a loss, step, or write files. Source of the starting sizes: A. Radford et al., "Language
//! Models are Unsupervised Multitask Learners" (GPT-2, 2019), section 2.3, for the division of what is added
//! to the stream by the root of the number of additions; Y. LeCun et al., "Efficient BackProp" (1998),
//! section 4.6, for one over the root of the inputs.

mod listed;
mod read;
mod written;

pub use listed::{Listed, list};
pub use written::Written;

use base::Rng;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use ops::{Linear, Weight, embedding};

use crate::blocks::{Biases, Blocks, NormKind, PositionsKind};
use crate::decoder::Decoder;
use crate::family::{bias_of, of_layer};
use crate::layer::{FeedForward, Layer, Norm, Positions, Ways};
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
    /// The factors of a normalisation or a bias, `[N]`.
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
    pub(crate) fn leaf(&self) -> Self {
        match self {
            Self::Matrix(tensor) => Self::Matrix(Tensor::from_inner(tensor.clone()).require_grad()),
            Self::Vector(tensor) => Self::Vector(Tensor::from_inner(tensor.clone()).require_grad()),
        }
    }

    pub(crate) fn take_gradient(&self, gradients: &mut Gradients) -> Option<Self> {
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
    norms: Norms,
    device: Device,
    list: Vec<Parameter>,
}

impl Parameters {
    /// Weights at random: the same `rng`, the same weights.
    pub fn random(config: Config, head: Head, dialect: &Dialect, rng: &mut Rng, device: &Device) -> Self {
        let additions = (2.0 * config.n_layers as f64).sqrt();
        Self::build(config, head, dialect, device, &mut |plan| match plan.start {
            Start::Zero => vec![0.0; plan.size()],
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
        Self { config, head, norms: Norms::of(dialect), device: device.clone(), list }
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where its logits come from.
    pub fn head(&self) -> Head {
        self.head
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
        self.decoder_of(&mut self.list.iter().map(|parameter| &parameter.tensor), &self.device)
    }

    /// The model that they make, writing a tape.
    pub fn taped(&self) -> Taped {
        let leaves: Vec<Learned> = self.list.iter().map(|parameter| parameter.tensor.leaf()).collect();
        let decoder = self.decoder_of(&mut leaves.iter(), &self.device.clone().autodiff());
        Taped { decoder, leaves }
    }

    /// Adds what the embeddings learn from the gradient `[R, D]` of [`Decoder::embed`] to the gradients of all
    /// parameters in their order, in the memory of a table's gradient that is there already.
    ///
    /// # Panics
    /// When a parameter besides the embedding tables has no gradient.
    pub fn with_embedding_gradients(
        &self,
        mut gradients: Vec<Option<Learned>>,
        [ids, positions]: [&[u32]; 2],
        gradient: Tensor<2>,
    ) -> Vec<Learned> {
        let tables = match self.config.blocks.positions {
            PositionsKind::Rotary => vec![ids],
            PositionsKind::Learned => vec![ids, positions],
        };
        let scales = [self.config.embedding_scale, 1.0];
        for (index, (rows, scale)) in tables.into_iter().zip(scales).enumerate() {
            let gradient = if scale == 1.0 { gradient.clone() } else { gradient.clone() * scale };
            let shape = &self.list[index].shape;
            let table = match gradients[index].take() {
                Some(Learned::Matrix(table)) => table,
                _ => Tensor::zeros([shape[0], shape[1]], &self.device),
            };
            let table = embedding::add_gradient(table, rows, gradient);
            gradients[index] = Some(Learned::Matrix(table));
        }
        let found = |gradient: Option<Learned>| gradient.expect("the logits depend on every parameter");
        gradients.into_iter().map(found).collect()
    }

    fn decoder_of(&self, list: &mut dyn Iterator<Item = &Learned>, device: &Device) -> Decoder {
        let config = &self.config;
        let mut rest = Rest { list, config, norms: self.norms, device };
        let embedding = rest.matrix();
        let positions = match config.blocks.positions {
            PositionsKind::Rotary => Positions::Rotary,
            PositionsKind::Learned => Positions::Learned(Box::new(rest.matrix())),
        };
        let layers = (0..config.n_layers).map(|_| rest.layer()).collect();
        let norm = rest.norm();
        let head = match self.head {
            Head::Tied => embedding.clone(),
            Head::Own => rest.matrix(),
        };
        let (head, device) = (Linear::new(head), device.clone());
        Decoder { config: config.clone(), embedding, positions, layers, norm, head, device }
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

/// The tensors that are not yet put to their places, in the order of [`plan`].
struct Rest<'a, 'b> {
    list: &'b mut dyn Iterator<Item = &'a Learned>,
    config: &'b Config,
    norms: Norms,
    device: &'b Device,
}

impl Rest<'_, '_> {
    fn layer(&mut self) -> Layer {
        let kind = self.config.blocks.feed_forward;
        let [of_inputs, others] = product_biases(self.config.blocks.biases);
        let attention_norm = self.norm();
        let [queries, keys, values] = std::array::from_fn(|_| self.linear(of_inputs));
        let query_norm = self.norms.of_heads.then(|| self.norm());
        let key_norm = self.norms.of_heads.then(|| self.norm());
        let attention_output = self.linear(others);
        let attention_post_norm = self.norms.of_sums.then(|| self.norm());
        let feed_forward_norm = self.norm();
        let gate = kind.is_gated().then(|| Box::new(self.linear(others)));
        let [up, down] = std::array::from_fn(|_| self.linear(others));
        let feed_forward = FeedForward::Plain(Box::new(Ways { kind, gate, up, down }));
        Layer {
            attention_norm,
            queries,
            keys,
            values,
            query_norm,
            key_norm,
            sinks: None,
            attention_output,
            attention_post_norm,
            feed_forward_norm,
            feed_forward,
            feed_forward_post_norm: self.norms.of_sums.then(|| self.norm()),
        }
    }

    fn norm(&mut self) -> Norm {
        let blocks = self.config.blocks;
        let weight = self.vector();
        let bias = (norm_biases(blocks) == Biases::All).then(|| self.vector());
        Norm::new(blocks.norm, weight, bias, self.device)
    }

    fn linear(&mut self, biases: Biases) -> Linear {
        let linear = Linear::new(self.matrix());
        if biases == Biases::All { linear.with_bias(self.vector()) } else { linear }
    }

    fn matrix(&mut self) -> Weight {
        match self.list.next() {
            Some(Learned::Matrix(tensor)) => Weight::from_tensor(tensor.clone()),
            _ => unreachable!("the list was made by the plan, which has a matrix here"),
        }
    }

    fn vector(&mut self) -> Tensor<1> {
        match self.list.next() {
            Some(Learned::Vector(tensor)) => tensor.clone(),
            _ => unreachable!("the list was made by the plan, which has a vector here"),
        }
    }
}

/// A norm by the mean square has no bias, whatever the products have.
fn norm_biases(blocks: Blocks) -> Biases {
    match blocks.norm {
        NormKind::RootMeanSquare => Biases::None,
        NormKind::Layer => blocks.biases,
    }
}

/// Whether the products that make queries, keys and values have biases, and whether the others do.
fn product_biases(biases: Biases) -> [Biases; 2] {
    match biases {
        Biases::None => [Biases::None; 2],
        Biases::QueriesKeysValues => [Biases::All, Biases::None],
        Biases::All => [Biases::All; 2],
    }
}

/// Which norms a layer has besides the two that every family has.
#[derive(Clone, Copy)]
struct Norms {
    /// Of each query and key.
    of_heads: bool,
    /// Of what its parts add to the stream.
    of_sums: bool,
}

impl Norms {
    fn of(dialect: &Dialect) -> Self {
        let has = |name: &str| !name.is_empty();
        let names = dialect.names;
        Self { of_heads: has(names.query_norm), of_sums: has(names.attention_post_norm) }
    }
}

/// How a tensor's values are at the start.
#[derive(Clone, Copy)]
enum Start {
    Zero,
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
    /// What it is in a file: its name there, and how its rows lie.
    file: InFile,
}

/// A tensor's place in a file.
#[derive(Clone)]
struct InFile {
    /// Its name, or that of the tensor of which it is a part.
    name: String,
    rows: FileRows,
}

/// How the rows of a tensor lie in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileRows {
    /// As they are.
    Plain,
    /// As the dialect has the matrices of products.
    Product,
    /// So too, and in the order in which the dialect turns pairs.
    Turned,
    /// As they are, less what the dialect's norms leave out.
    Norm,
}

impl Planned {
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    fn inner_deviation(&self) -> f64 {
        (self.shape[self.shape.len() - 1] as f64).powf(-0.5)
    }
}

/// Every tensor of such a decoder, each bias behind its weight.
fn plan(config: &Config, head: Head, dialect: &Dialect) -> Vec<Planned> {
    let (names, blocks) = (dialect.names, config.blocks);
    let (width, vocabulary) = (config.width, config.vocabulary);
    let mut list = Plan { list: Vec::new() };
    list.table(names.embedding, [vocabulary, width], Start::Table);
    if blocks.positions == PositionsKind::Learned {
        list.table(names.positions, [config.context, width], Start::Table);
    }
    for index in 0..config.n_layers {
        list.layer(config, dialect, index);
    }
    list.norm(names.norm, width, norm_biases(blocks));
    if head == Head::Own {
        list.table(names.head, [vocabulary, width], Start::Inner);
    }
    list.list
}

/// A plan that grows.
struct Plan {
    list: Vec<Planned>,
}

impl Plan {
    fn layer(&mut self, config: &Config, dialect: &Dialect, index: usize) {
        let (names, blocks) = (dialect.names, config.blocks);
        let (width, inner, norms) = (config.width, config.feed_forward, Norms::of(dialect));
        let name = |name: &str| of_layer(name, index);
        let of_norms = norm_biases(blocks);
        self.norm(&name(names.attention_norm), width, of_norms);
        self.queries_keys_values(config, dialect, index);
        if norms.of_heads {
            self.norm(&name(names.query_norm), config.head_size, of_norms);
            self.norm(&name(names.key_norm), config.head_size, of_norms);
        }
        let [_, biases] = product_biases(blocks.biases);
        let in_file = |part: &str| InFile { name: name(part), rows: FileRows::Product };
        let whole = |part| in_file(if names.gate_up.is_empty() { part } else { names.gate_up });
        self.sinks(config, dialect, index);
        let attended = config.n_heads * config.head_size;
        let output = (&*name(names.attention_output), in_file(names.attention_output));
        self.linear(output, [width, attended], Start::Added, biases);
        if norms.of_sums {
            self.norm(&name(names.attention_post_norm), width, of_norms);
        }
        self.norm(&name(names.feed_forward_norm), width, of_norms);
        if let Some(sizes) = config.experts {
            self.experts(config, sizes, dialect, index);
        } else {
            if blocks.feed_forward.is_gated() {
                self.linear((&name(names.gate), whole(names.gate)), [inner, width], Start::Inner, biases);
            }
            self.linear((&name(names.up), whole(names.up)), [inner, width], Start::Inner, biases);
            self.linear((&name(names.down), in_file(names.down)), [width, inner], Start::Added, biases);
        }
        if norms.of_sums {
            self.norm(&name(names.feed_forward_post_norm), width, of_norms);
        }
    }

    fn queries_keys_values(&mut self, config: &Config, dialect: &Dialect, index: usize) {
        let (names, blocks, width) = (dialect.names, config.blocks, config.width);
        let [queries, keys] = [config.n_heads, config.n_kv_heads].map(|heads| heads * config.head_size);
        let whole = |part: &str| match names.queries_keys_values {
            "" => of_layer(part, index),
            whole => of_layer(whole, index),
        };
        let turned = match blocks.positions {
            PositionsKind::Rotary => FileRows::Turned,
            PositionsKind::Learned => FileRows::Product,
        };
        let [biases, _] = product_biases(blocks.biases);
        let rows = [
            (names.queries, [queries, width], turned),
            (names.keys, [keys, width], turned),
            (names.values, [keys, width], FileRows::Product),
        ];
        for (part, shape, rows) in rows {
            let file = InFile { name: whole(part), rows };
            self.linear((&of_layer(part, index), file), shape, Start::Inner, biases);
        }
    }

    fn table(&mut self, name: &str, shape: [usize; 2], start: Start) {
        let file = InFile { name: name.into(), rows: FileRows::Plain };
        self.list.push(Planned { name: name.into(), shape: shape.to_vec(), start, file });
    }

    fn norm(&mut self, name: &str, width: usize, biases: Biases) {
        let file = InFile { name: name.into(), rows: FileRows::Norm };
        let (name, shape) = (name.to_owned(), vec![width]);
        self.list.push(Planned { name, shape, start: Start::One, file });
        self.bias(biases);
    }

    fn linear(&mut self, (name, file): (&str, InFile), shape: [usize; 2], start: Start, biases: Biases) {
        self.list.push(Planned { name: name.into(), shape: shape.to_vec(), start, file });
        self.bias(biases);
    }

    /// The bias of the weight that came last.
    fn bias(&mut self, biases: Biases) {
        let Some(weight) = self.list.last().filter(|_| biases == Biases::All) else { return };
        let rows = match weight.file.rows {
            FileRows::Norm => FileRows::Plain,
            rows => rows,
        };
        let file = InFile { name: bias_of(&weight.file.name), rows };
        // One for each output: of experts in one tensor, for each output of each.
        let inputs = if weight.shape.len() > 1 { weight.shape.len() - 1 } else { 1 };
        let (name, shape) = (bias_of(&weight.name), weight.shape[..inputs].to_vec());
        self.list.push(Planned { name, shape, start: Start::Zero, file });
    }
}

fn normal(n: usize, deviation: f64, rng: &mut Rng) -> Vec<f32> {
    (0..n).map(|_| (rng.normal() * deviation) as f32).collect()
}

#[cfg(test)]
mod tests;
