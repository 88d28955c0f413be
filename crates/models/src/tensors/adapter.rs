//! An adapter put to its places: for each product that it changes, what it adds.
//!
//! Its file may speak another dialect than the model's: matrices go by what they are, the rows of queries and keys into
//! the order of the model, parts of a fused matrix to their own products. Does not: compute; `ops` does, behind its dense
//! layer. Experts, tables and output heads cannot be adapted yet.

mod merge;

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use formats::adapter::{Adapter as File, Factors, Naming};
use ops::Linear;
use ops::linear::low_rank::{AdapterId, LowRank};
use ops::weight::{Lent, Storage};

use crate::families::{in_folder, name_in_text};
use crate::layer::{FeedForward, Layer};
use crate::tensors::translate::{Matrix, spot};
use crate::tensors::{Found, Tensors, storage};
use crate::{Config, Decoder, Dialect, Error, Family};

/// An adapter for models of one shape.
#[derive(Clone)]
pub struct Adapter {
    parts: Vec<Part>,
    rank: usize,
}

/// What is added to one product.
#[derive(Clone)]
struct Part {
    layer: usize,
    matrix: Matrix,
    low_rank: LowRank,
}

impl Adapter {
    /// For a model of `config` and `family` whose file has the names of `base`.
    ///
    /// # Errors
    /// [`Error::AdapterArchitecture`], [`Error::AdapterTarget`] and [`Error::AdapterShape`] where it belongs to another
    /// model, [`Error::Storage`] and those of its file.
    pub fn new(
        file: &File,
        config: &Config,
        (family, base): (&'static Family, Naming),
        device: &Device,
    ) -> Result<Self, Error> {
        check_architecture(file, family)?;
        let dialects = dialects(file.naming, (family, base), config);
        let targets = Targets::of(file);
        let mut loading =
            Loading { file, targets: &targets, config, dialects, device, known: BTreeMap::new() };
        let mut parts = Vec::new();
        for layer in 0..config.n_layers {
            for matrix in Matrix::adaptable(config) {
                if let Some(low_rank) = loading.low_rank(matrix, layer)? {
                    parts.push(Part { layer, matrix, low_rank });
                }
            }
        }
        let used: BTreeSet<&String> = loading.known.keys().collect();
        match targets.0.iter().find(|(name, _)| !used.contains(name)) {
            None => Ok(Self { parts, rank: file.rank() }),
            Some((_, factors)) => {
                let file = file.tensors.file().label().into();
                Err(Error::AdapterTarget { file, name: printable(&factors.target) })
            }
        }
    }

    /// The largest rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Bytes that it takes.
    pub fn size_bytes(&self) -> usize {
        let n_values = |part: &Part| part.low_rank.rank() * part.low_rank.shape().iter().sum::<usize>();
        self.parts.iter().map(n_values).sum::<usize>() * size_of::<f32>()
    }
}

impl Decoder {
    /// Lets rows have an adapter, under a name that tells its content.
    ///
    /// # Panics
    /// When it is for a model of another shape.
    pub fn attach(&mut self, id: AdapterId, adapter: &Adapter) {
        for part in &adapter.parts {
            let product = self.layers[part.layer].product_mut(part.matrix);
            product.expect("an adapter has places of the model's kind").attach(id, part.low_rank.clone());
        }
    }

    /// Takes an adapter away, where there is one of this name.
    pub fn detach(&mut self, id: AdapterId) {
        for layer in &mut self.layers {
            for matrix in Matrix::ADAPTABLE {
                layer.product_mut(matrix).into_iter().for_each(|linear| linear.detach(id));
            }
        }
    }
}

impl Layer {
    /// The product of a matrix, where the layer has it for every row.
    fn product_mut(&mut self, matrix: Matrix) -> Option<&mut Linear> {
        match (matrix, &mut self.feed_forward) {
            (Matrix::Queries, _) => Some(&mut self.queries),
            (Matrix::Keys, _) => Some(&mut self.keys),
            (Matrix::Values, _) => Some(&mut self.values),
            (Matrix::Output, _) => Some(&mut self.attention_output),
            (Matrix::Gate, FeedForward::Plain(ways)) => ways.gate.as_deref_mut(),
            (Matrix::Up, FeedForward::Plain(ways)) => Some(&mut ways.up),
            (Matrix::Down, FeedForward::Plain(ways)) => Some(&mut ways.down),
            (Matrix::Router, FeedForward::Experts(experts)) => Some(&mut experts.router),
            _ => None,
        }
    }
}

impl Matrix {
    const ADAPTABLE: [Self; 8] = [
        Self::Queries,
        Self::Keys,
        Self::Values,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
        Self::Router,
    ];

    /// Those that every row goes through.
    fn adaptable(config: &Config) -> impl Iterator<Item = Self> {
        let (has_experts, is_gated) = (config.experts.is_some(), config.blocks.feed_forward.is_gated());
        Self::ADAPTABLE.into_iter().filter(move |matrix| match matrix {
            Self::Gate => !has_experts && is_gated,
            Self::Up | Self::Down => !has_experts,
            Self::Router => has_experts,
            _ => true,
        })
    }
}

/// The dialect of the adapter's file, then that of the model's.
fn dialects(
    naming: Naming,
    (family, base): (&'static Family, Naming),
    config: &Config,
) -> [&'static Dialect; 2] {
    // A GGUF file may be of one of several families; a folder says what it is.
    let from = match (naming, base) {
        (Naming::Gguf, _) => &family.gguf,
        (Naming::HuggingFace, Naming::Gguf) => &in_folder(family, config).hugging_face,
        (Naming::HuggingFace, Naming::HuggingFace) => &family.hugging_face,
    };
    let to = match base {
        Naming::Gguf => &family.gguf,
        Naming::HuggingFace => &family.hugging_face,
    };
    [from, to]
}

fn check_architecture(file: &File, family: &Family) -> Result<(), Error> {
    match &file.architecture {
        Some(found) if !family.gguf.architectures.contains(&found.as_str()) => {
            let (file, found) = (file.tensors.file().label().into(), printable(found));
            Err(Error::AdapterArchitecture { file, found, expected: family.gguf.architectures[0] })
        }
        _ => Ok(()),
    }
}

/// A name from a file, short enough for a message.
fn printable(name: &str) -> String {
    name.chars().take(100).flat_map(char::escape_debug).collect()
}

/// What an adapter changes, by the names under which a text's matrices stand alone.
struct Targets<'a>(BTreeMap<String, &'a Factors>);

impl<'a> Targets<'a> {
    fn of(file: &'a File) -> Self {
        let name = |factors: &Factors| match file.naming {
            Naming::Gguf => factors.target.clone(),
            Naming::HuggingFace => name_in_text(&factors.target).unwrap_or_else(|| factors.target.clone()),
        };
        Self(file.factors.iter().map(|factors| (name(factors), factors)).collect())
    }
}

/// Tensors without content: only which there are is asked for.
impl Tensors for Targets<'_> {
    fn label(&self) -> &str {
        ""
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let empty = || Found { shape: Vec::new(), storage: Storage::F32, bytes: Lent::new(Vec::new()) };
        Ok(self.0.contains_key(name).then(empty))
    }
}

/// What was read so far.
struct Loading<'a> {
    file: &'a File,
    targets: &'a Targets<'a>,
    config: &'a Config,
    dialects: [&'static Dialect; 2],
    device: &'a Device,
    /// The pairs that were used, with the numbers of their way up.
    known: BTreeMap<String, Pair>,
}

/// The two matrices of one target.
struct Pair {
    /// As the file has it.
    whole: LowRank,
    /// `[N, r]`.
    up: Vec<f32>,
}

impl Loading<'_> {
    /// What is added to one product; nothing where the adapter leaves it alone.
    fn low_rank(&mut self, matrix: Matrix, layer: usize) -> Result<Option<LowRank>, Error> {
        let Some(spot) = spot(self.targets, self.config, self.dialects, (matrix, layer))? else {
            return Ok(None);
        };
        if !self.known.contains_key(&spot.tensor) {
            let pair = self.pair(self.targets.0[&spot.tensor], [spot.n_rows, spot.n_columns])?;
            self.known.insert(spot.tensor.clone(), pair);
        }
        let pair = &self.known[&spot.tensor];
        let is_whole = spot.rows.len() == spot.n_rows && spot.rows.iter().enumerate().all(|(a, b)| a == *b);
        if is_whole {
            return Ok(Some(pair.whole.clone()));
        }
        let rank = pair.whole.rank();
        let rows = spot.rows.iter().flat_map(|row| &pair.up[row * rank..(row + 1) * rank]);
        Ok(Some(pair.whole.with_up(rows.copied().collect(), spot.rows.len())))
    }

    fn pair(&self, factors: &Factors, [outer, inner]: [usize; 2]) -> Result<Pair, Error> {
        let rank = factors.rank();
        let down = self.values(&factors.down, [rank, inner])?;
        let up = self.values(&factors.up, [outer, rank])?;
        let whole =
            LowRank::from_values((down, [rank, inner]), (up.clone(), outer), factors.scale, self.device);
        Ok(Pair { whole, up })
    }

    /// The numbers of half of a pair, which must have this shape.
    fn values(&self, entry: &formats::TensorEntry, expected: [usize; 2]) -> Result<Vec<f32>, Error> {
        let label = || self.file.tensors.file().label().to_owned();
        if entry.shape != expected {
            let (name, found) = (printable(&entry.name), entry.shape.clone());
            return Err(Error::AdapterShape { file: label(), name, found, expected: expected.to_vec() });
        }
        let storage = storage(entry.dtype).ok_or_else(|| {
            let (name, found) = (printable(&entry.name), entry.dtype.to_string());
            Error::Storage { file: label(), name, found }
        })?;
        Ok(storage.widen(self.file.tensors.tensor_bytes(entry)?))
    }
}
