//! What a model reads and computes for each token, from the table of its tensors alone: no weight is looked at. What
//! lies between the products can be rehearsed.
//!
//! Does not: know speeds, machines or how long anything takes.

mod rehearsal;

pub use rehearsal::Rehearsal;

use formats::{Dtype, TensorEntry};

use crate::family::{Matrices, of_layer};
use crate::{Config, Dialect};

/// Matrices of one shape and type that rows are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Products {
    /// How they are stored.
    pub dtype: Dtype,
    /// Outputs and inputs of each, `[N, K]`.
    pub shape: [usize; 2],
    /// How many there are.
    pub n_matrices: u64,
    /// The share of them that each row goes through: 1, but of experts the chosen ones.
    pub share: f64,
    /// Bytes of all.
    pub n_bytes: u64,
}

impl Products {
    /// Weights of all.
    pub fn n_weights(&self) -> u64 {
        self.n_matrices * self.shape[0] as u64 * self.shape[1] as u64
    }
}

/// What a model reads and computes for each token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The matrices of the layers, a row for each shape and way of storing.
    pub layers: Vec<Products>,
    /// The output head, which only the last row of a prompt needs.
    pub head: Option<Products>,
    /// Bytes of the tables of which only a row a token is read.
    pub table_bytes: u64,
    /// Bytes of matrices that are turned when they are read, which leaves two of each in memory.
    pub turned_bytes: u64,
    /// Bytes of everything in the file.
    pub file_bytes: u64,
}

impl Traffic {
    /// Sorts the tensors of a file by what is done with them.
    pub fn of(config: &Config, dialect: &Dialect, tensors: &[TensorEntry]) -> Self {
        let mut traffic = Self::default();
        let names = dialect.names;
        // Some files leave out the prefix that all names of a dialect have.
        let is = |tensor: &TensorEntry, name: &str| {
            let short = name.strip_prefix(dialect.optional_prefix).unwrap_or(name);
            !name.is_empty() && (tensor.name == name || tensor.name == short)
        };
        let has_head = tensors.iter().any(|tensor| is(tensor, names.head));
        for tensor in tensors {
            let n_bytes = tensor.range.len() as u64;
            traffic.file_bytes += n_bytes;
            let Some(products) = products(config, dialect, tensor) else { continue };
            if is(tensor, names.head) || (is(tensor, names.embedding) && !has_head) {
                // Tables lie one way in every file.
                let shape = [tensor.shape[0], tensor.shape[1]];
                traffic.head = Some(Products { shape, ..products });
            } else if is(tensor, names.embedding) || is(tensor, names.positions) {
                traffic.table_bytes += n_bytes;
            } else if is_of_a_layer(config, &tensor.name) {
                if dialect.matrices == Matrices::InputsByOutputs {
                    traffic.turned_bytes += n_bytes;
                }
                traffic.add(products);
            }
        }
        traffic
    }

    fn add(&mut self, products: Products) {
        let key = |products: &Products| (products.dtype, products.shape, products.share.to_bits());
        match self.layers.iter_mut().find(|same| key(same) == key(&products)) {
            Some(same) => {
                same.n_matrices += products.n_matrices;
                same.n_bytes += products.n_bytes;
            }
            None => self.layers.push(products),
        }
    }

    /// Weights of the layers that a row is multiplied with.
    pub fn n_layer_weights(&self) -> f64 {
        self.layers.iter().map(|products| products.n_weights() as f64 * products.share).sum()
    }

    /// Bytes of weights that a generated row reads.
    pub fn n_bytes(&self) -> f64 {
        let all = self.layers.iter().chain(&self.head);
        all.map(|products| products.n_bytes as f64 * products.share).sum()
    }
}

/// A tensor as matrices of products; nothing where it has fewer than two dimensions.
fn products(config: &Config, dialect: &Dialect, tensor: &TensorEntry) -> Option<Products> {
    let names = dialect.names;
    let (n_matrices, [rows, columns]) = match tensor.shape[..] {
        [rows, columns] => (1, [rows, columns]),
        [n, rows, columns] => (n as u64, [rows, columns]),
        _ => return None,
    };
    let experts = [names.expert_gate, names.expert_up, names.expert_down];
    let is_expert = experts.iter().any(|name| is_like(name, &tensor.name));
    let share = match config.experts {
        Some(sizes) if is_expert => sizes.n_chosen as f64 / sizes.n_experts.max(1) as f64,
        _ => 1.0,
    };
    let shape = match dialect.matrices {
        Matrices::OutputsByInputs => [rows, columns],
        Matrices::InputsByOutputs => [columns, rows],
    };
    Some(Products { dtype: tensor.dtype, shape, n_matrices, share, n_bytes: tensor.range.len() as u64 })
}

/// Whether a name is one of those that `pattern` stands for, with any numbers in the places of its braces.
fn is_like(pattern: &str, name: &str) -> bool {
    let (mut parts, mut found) = (pattern.split('.'), name.split('.'));
    !pattern.is_empty()
        && loop {
            match (parts.next(), found.next()) {
                (None, None) => break true,
                (Some("{}" | "{e}"), Some(number)) if number.parse::<usize>().is_ok() => {}
                (Some(part), Some(found)) if part == found => {}
                _ => break false,
            }
        }
}

/// Whether a name carries the number of a layer that there is.
fn is_of_a_layer(config: &Config, name: &str) -> bool {
    name.split('.')
        .filter_map(|part| part.parse::<usize>().ok())
        .any(|layer| layer < config.n_layers && name.contains(&of_layer(".{}.", layer)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExpertSizes;
    use crate::families::{GPT2, LLAMA, QWEN3_MOE};
    use crate::parameters::{Head, list};

    /// Of a model in F32.
    fn traffic(config: &Config, head: Head, dialect: &Dialect) -> Traffic {
        let entry = |listed: crate::parameters::Listed| {
            let range = 0..4 * listed.shape.iter().product::<usize>();
            TensorEntry { name: listed.name, dtype: Dtype::F32, shape: listed.shape, part: 0, range }
        };
        let tensors: Vec<TensorEntry> = list(config, head, dialect).into_iter().map(entry).collect();
        Traffic::of(config, dialect, &tensors)
    }

    #[test]
    fn a_tied_head_is_read_and_a_table_of_its_own_is_not() {
        let config = Config::new([100, 16, 2, 24, 8], [4, 4], &LLAMA.gguf);
        let layer = 4 * 16 * 16 + 3 * 16 * 24;
        for (head, table) in [(Head::Tied, 0), (Head::Own, 4 * 1600)] {
            let traffic = traffic(&config, head, &LLAMA.gguf);
            assert_eq!((traffic.n_layer_weights(), traffic.table_bytes), (2.0 * f64::from(layer), table));
            assert_eq!(traffic.n_bytes(), f64::from(4 * (2 * layer + 1600)));
            assert_eq!(traffic.head.unwrap().shape, [100, 16]);
            let shapes: Vec<_> = traffic.layers.iter().map(|p| (p.shape, p.n_matrices)).collect();
            assert_eq!(shapes, [([16, 16], 8), ([24, 16], 4), ([16, 24], 2)]);
        }
    }

    /// The same model has the same products in both kinds of file.
    #[test]
    fn of_experts_a_row_reads_the_chosen_ones() {
        for dialect in [&QWEN3_MOE.gguf, &QWEN3_MOE.hugging_face] {
            let mut config = Config::new([100, 16, 2, 24, 8], [4, 4], dialect);
            config.experts = Some(ExpertSizes { n_experts: 8, n_chosen: 2 });
            let traffic = traffic(&config, Head::Own, dialect);
            let row = 2 * (4 * 16 * 16 + 8 * 16 + 2 * 3 * 16 * 24);
            assert_eq!(traffic.n_layer_weights(), f64::from(row));
            let experts = traffic.layers.iter().find(|products| products.shape == [16, 24]).unwrap();
            assert_eq!((experts.n_matrices, experts.share), (16, 0.25));
        }
    }

    #[test]
    fn turned_matrices_are_counted_twice() {
        let of = |dialect: &Dialect| {
            let config = Config::new([100, 16, 2, 64, 8], [4, 4], dialect);
            traffic(&config, Head::Tied, dialect)
        };
        let (gguf, folder) = (of(&GPT2.gguf), of(&GPT2.hugging_face));
        assert_eq!((gguf.layers, gguf.turned_bytes), (folder.layers.clone(), 0));
        assert_eq!(folder.turned_bytes, folder.layers.iter().map(|products| products.n_bytes).sum::<u64>());
        assert_eq!(folder.table_bytes, 4 * 8 * 16);
    }
}
