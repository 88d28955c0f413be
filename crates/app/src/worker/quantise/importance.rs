//! How much each column of each matrix matters: the mean square of what it is multiplied with.
//!
//! Measured over a text (`measured`), or read from a file that the imatrix tool of llama.cpp wrote (`file`). What of
//! it follows for blocks is a matter of `kernels`. Tensors have the names of GGUF here, whatever form the model has.
//!
//! Source: that the error of a product is the sum over the columns of the squared errors of the weights, each times
//! the mean square of its input, where inputs do not depend on each other; B. Hassibi and D. Stork, "Second order
//! derivatives for network pruning: Optimal Brain Surgeon" (1992), keeps what is left out here.

mod file;
mod measured;

use std::collections::HashMap;
use std::path::Path;

use formats::sniff::{FileKind, sniff};
use formats::{FileBytes, TensorSpec};
use models::probe::Part;
use models::{Config, Dialect};

use crate::Failure;
use crate::running::Reporter;
use crate::worker::open;

/// The model whose columns are meant.
pub(super) struct Model<'a> {
    pub source: &'a open::Source,
    pub tensors: &'a [TensorSpec],
    pub dialect: &'a Dialect,
    pub config: &'a Config,
}

/// How much the columns of a model's matrices matter.
pub(super) struct Importance {
    /// By the name of a tensor: `[K]`, or of a stack of matrices `[E, K]`.
    columns: HashMap<String, Vec<f32>>,
    /// How many tokens they were measured over, where it is known.
    pub n_tokens: Option<u64>,
}

impl Importance {
    /// The importance that the file at `path` says or, where it is a text, that the model shows over it.
    ///
    /// # Errors
    /// A file that cannot be read or is neither, a text that is too short, numbers of another model, numbers that are
    /// none.
    pub fn find(path: &Path, model: &Model<'_>, reporter: &Reporter) -> Result<Self, Failure> {
        let file = FileBytes::open(path)?;
        match sniff(file.as_slice()) {
            FileKind::Gguf => file::read(&file, model),
            _ => measured::over(&file, model, reporter),
        }
    }

    /// How much the columns of a tensor matter: `[K]`, or of a stack of matrices `[E, K]`.
    pub fn of(&self, name: &str) -> Option<&[f32]> {
        self.columns.get(name).map(Vec::as_slice)
    }
}

/// Sums over what a matrix was multiplied with.
#[derive(Clone, Default)]
struct Sums {
    /// Of the squares of each column.
    squares: Vec<f64>,
    n_rows: f64,
}

/// The mean squares of one matrix after the other. One that nothing reached has the mean of the others; `None` where
/// nothing reached any.
fn means(matrices: &[Sums]) -> Option<Vec<f32>> {
    let width = matrices.iter().map(|matrix| matrix.squares.len()).max().unwrap_or(0);
    let mut all = Sums { squares: vec![0.0; width], n_rows: 0.0 };
    for matrix in matrices.iter().filter(|matrix| matrix.n_rows > 0.0) {
        all.squares.iter_mut().zip(&matrix.squares).for_each(|(sum, square)| *sum += square);
        all.n_rows += matrix.n_rows;
    }
    let mean = |matrix: &Sums| {
        let sums = if matrix.n_rows > 0.0 { matrix } else { &all };
        sums.squares.iter().map(|square| (square / sums.n_rows) as f32).collect::<Vec<_>>()
    };
    (all.n_rows > 0.0).then(|| matrices.iter().flat_map(mean).collect())
}

/// For each tensor that takes part in products the parts of a forward pass that it is multiplied with: one, or of a
/// stack one for each expert.
fn inputs(model: &Model<'_>) -> HashMap<String, Vec<Part>> {
    let names = model.dialect.names;
    let has_head = model.tensors.iter().any(|tensor| tensor.name == names.head);
    let head = if has_head { names.head } else { names.embedding };
    let mut inputs = HashMap::from([(head.to_owned(), vec![Part::Norm])]);
    let n_experts = model.config.experts.map_or(0, |experts| experts.n_experts);
    for layer in 0..model.config.n_layers {
        let mut add =
            |name: &str, parts: Vec<Part>| inputs.insert(name.replace("{}", &layer.to_string()), parts);
        for name in [names.queries_keys_values, names.queries, names.keys, names.values] {
            add(name, vec![Part::AttentionNorm(layer)]);
        }
        add(names.attention_output, vec![Part::AttentionMix(layer)]);
        for name in [names.gate_up, names.gate, names.up] {
            add(name, vec![Part::FeedForwardNorm(layer)]);
        }
        add(names.down, vec![Part::FeedForwardInner(layer)]);
        let each =
            |part: fn(usize, usize) -> Part| (0..n_experts).map(|expert| part(layer, expert)).collect();
        add(names.expert_gate, each(Part::ExpertInput));
        add(names.expert_up, each(Part::ExpertInput));
        add(names.expert_down, each(Part::ExpertInner));
    }
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_that_nothing_reached_takes_the_mean_of_the_others() {
        let sums = |squares: &[f64], n_rows| Sums { squares: squares.to_vec(), n_rows };
        let matrices = [sums(&[2.0, 4.0], 2.0), Sums::default(), sums(&[10.0, 2.0], 4.0)];
        assert_eq!(means(&matrices).unwrap(), [1.0, 2.0, 2.0, 1.0, 2.5, 0.5]);
        assert_eq!(means(&[Sums::default(), sums(&[0.0], 0.0)]), None);
        assert_eq!(means(&[]), None);
    }
}
