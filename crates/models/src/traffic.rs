//! What a model reads and computes for each token, from the table of its tensors alone: no weight is looked at.
//!
//! Does not: know speeds, machines or how long anything takes.

use formats::{Dtype, TensorEntry};

use crate::family::of_layer;
use crate::{Config, Dialect};

/// Weights of one type that take part in products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Products {
    /// How they are stored.
    pub dtype: Dtype,
    /// Weights that a row is multiplied with.
    pub n_weights: u64,
    /// Bytes of those weights.
    pub n_bytes: u64,
}

/// What a model reads and computes for each token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    /// The matrices of the layers, a row for each way of storing.
    pub layers: Vec<Products>,
    /// The output head, which only the last row of a prompt needs.
    pub head: Option<Products>,
    /// Bytes of the tables of which only a row a token is read.
    pub table_bytes: u64,
    /// Bytes of everything in the file.
    pub file_bytes: u64,
}

impl Traffic {
    /// Sorts the tensors of a file by what is done with them.
    pub fn of(config: &Config, dialect: &Dialect, tensors: &[TensorEntry]) -> Self {
        let mut traffic = Self::default();
        let names = dialect.names;
        let has_head = tensors.iter().any(|tensor| tensor.name == names.head);
        for tensor in tensors {
            let n_bytes = tensor.range.len() as u64;
            traffic.file_bytes += n_bytes;
            let products = Products { dtype: tensor.dtype, n_weights: tensor.n_elements() as u64, n_bytes };
            let is_table = [names.embedding, names.positions].contains(&tensor.name.as_str());
            let is_embedding = tensor.name == names.embedding;
            if tensor.name == names.head || (is_embedding && !has_head) {
                traffic.head = Some(products);
            } else if is_table {
                traffic.table_bytes += n_bytes;
            } else if tensor.shape.len() > 1 && is_of_a_layer(config, &tensor.name) {
                traffic.add(products);
            }
        }
        traffic
    }

    fn add(&mut self, products: Products) {
        match self.layers.iter_mut().find(|same| same.dtype == products.dtype) {
            Some(same) => {
                same.n_weights += products.n_weights;
                same.n_bytes += products.n_bytes;
            }
            None => self.layers.push(products),
        }
    }

    /// Weights that a generated row is multiplied with.
    pub fn n_weights(&self) -> u64 {
        self.layers.iter().chain(&self.head).map(|products| products.n_weights).sum()
    }

    /// Bytes of weights that a generated row reads.
    pub fn n_bytes(&self) -> u64 {
        self.layers.iter().chain(&self.head).map(|products| products.n_bytes).sum()
    }
}

/// Whether a name carries the number of a layer that there is.
fn is_of_a_layer(config: &Config, name: &str) -> bool {
    name.split('.')
        .filter_map(|part| part.parse::<usize>().ok())
        .any(|layer| layer < config.n_layers && name.contains(&of_layer(".{}.", layer)))
}
