//! What has learned, as a file of any dialect has it: under its names, parts put together, matrices turned, the rows
//! of heads in its order.
//!
//! Does not: write bytes; `formats` does.

use ops::rope::Layout;

use super::{FileRows, Parameter, Parameters, Planned, plan};
use crate::Dialect;
use crate::blocks::Biases;
use crate::family::{FusedHeads, Matrices};

/// One tensor of a file.
pub struct Written<'a> {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file, outermost first.
    pub shape: Vec<usize>,
    /// What it is put together from, one below the other.
    parts: Vec<Part<'a>>,
    matrices: Matrices,
    /// The size of a head, where the file has queries, keys and values head by head.
    by_head: Option<usize>,
}

enum Part<'a> {
    /// What has learned, with the order of its rows where that changes.
    Learned(&'a Parameter, Option<RowOrder>),
    /// The factors of a norm, less what the file leaves out.
    Less(&'a Parameter, f32),
    /// As many zeros: a bias that the model does without.
    Zeros(usize),
}

impl Part<'_> {
    fn append_to(&self, values: &mut Vec<f32>) {
        match self {
            Self::Learned(parameter, None) => values.extend(parameter.tensor.values()),
            Self::Learned(parameter, Some(order)) => {
                values.extend(order.apply(&parameter.tensor.values(), parameter.shape[0]));
            }
            Self::Less(parameter, offset) => {
                values.extend(parameter.tensor.values().iter().map(|factor| factor - offset));
            }
            Self::Zeros(n) => values.resize(values.len() + n, 0.0),
        }
    }
}

impl Written<'_> {
    /// Its values in the file, row after row.
    pub fn values(&self) -> Vec<f32> {
        let mut values = Vec::new();
        self.parts.iter().for_each(|part| part.append_to(&mut values));
        if let Some(size) = self.by_head {
            values = by_head(&values, self.shape[0] / 3, size);
        }
        match (self.matrices, &self.shape[..]) {
            (Matrices::InputsByOutputs, &[inputs, outputs]) => {
                let column = |input| (0..outputs).map(move |output| output * inputs + input);
                (0..inputs).flat_map(column).map(|place| values[place]).collect()
            }
            _ => values,
        }
    }
}

impl Parameters {
    /// The tensors of a file of `dialect`, which has to be one of the family that these parameters are of. Where the
    /// family has biases and this model none, they are written as zeros: other programs ask for them. Values are
    /// copied only when they are asked for.
    pub fn written(&self, dialect: &Dialect) -> Vec<Written<'_>> {
        let mut full = self.config.clone();
        if dialect.blocks.biases == Biases::All {
            full.blocks.biases = Biases::All;
        }
        let own = plan(&self.config, self.head, dialect).into_iter().map(|planned| planned.name);
        let mut own = own.zip(&self.list).peekable();
        let mut list: Vec<Written<'_>> = Vec::new();
        for planned in plan(&full, self.head, dialect) {
            let part = match own.next_if(|(name, _)| *name == planned.name) {
                Some((_, parameter)) if planned.file.rows == FileRows::Norm && dialect.norm_offset != 0.0 => {
                    Part::Less(parameter, dialect.norm_offset)
                }
                Some((_, parameter)) => Part::Learned(parameter, self.row_order(&planned, dialect)),
                None => Part::Zeros(planned.size()),
            };
            // Parts of one tensor stand close together, with at most their biases between.
            match list.iter_mut().rev().take(2).find(|written| written.name == planned.file.name) {
                Some(whole) => {
                    whole.shape[0] += planned.shape[0];
                    whole.parts.push(part);
                }
                None => list.push(Written {
                    by_head: is_by_head(&planned.file.name, dialect).then_some(self.config.head_size),
                    matrices: match planned.file.rows {
                        FileRows::Plain | FileRows::Norm => Matrices::OutputsByInputs,
                        FileRows::Product | FileRows::Turned => dialect.matrices,
                    },
                    name: planned.file.name,
                    shape: planned.shape,
                    parts: vec![part],
                }),
            }
        }
        for written in list.iter_mut().filter(|written| written.matrices == Matrices::InputsByOutputs) {
            written.shape.reverse();
        }
        list
    }

    /// None where the rows of a tensor stay as they are.
    fn row_order(&self, planned: &Planned, dialect: &Dialect) -> Option<RowOrder> {
        let changes = planned.file.rows == FileRows::Turned && self.config.rope_layout != dialect.rope_layout;
        changes.then(|| RowOrder {
            to: dialect.rope_layout,
            head_size: self.config.head_size,
            turned: 2 * self.config.frequencies.len(),
        })
    }
}

/// Whether a file has queries, keys and values in the tensor called `name`, head by head.
pub(super) fn is_by_head(name: &str, dialect: &Dialect) -> bool {
    let whole = dialect.names.queries_keys_values;
    let stem =
        |name: &str| name.rsplit_once('.').map(|(stem, _)| stem.rsplit('.').next().unwrap_or("").to_owned());
    dialect.fused_heads == FusedHeads::ByHead && !whole.is_empty() && stem(name) == stem(whole)
}

/// All queries, all keys and all values of `width` rows each, put head by head of `size`.
fn by_head(values: &[f32], width: usize, size: usize) -> Vec<f32> {
    let columns = values.len() / (3 * width).max(1);
    let head = |head: usize| (0..3).map(move |part| part * width + head * size);
    let starts = (0..width / size.max(1)).flat_map(head);
    starts.flat_map(|row| values[row * columns..(row + size) * columns].iter().copied()).collect()
}

/// The way back of [`by_head`]: all queries, all keys and all values, of `3 · width` rows head by head.
pub(super) fn by_kind(values: &[f32], width: usize, size: usize) -> Vec<f32> {
    let columns = values.len() / (3 * width).max(1);
    let kind = |part: usize| (0..width / size.max(1)).map(move |head| (3 * head + part) * size);
    let starts = (0..3).flat_map(kind);
    starts.flat_map(|row| values[row * columns..(row + size) * columns].iter().copied()).collect()
}

/// In which order a file wants the rows of each head, whose first `turned` are the pairs.
#[derive(Clone, Copy)]
struct RowOrder {
    to: Layout,
    head_size: usize,
    turned: usize,
}

impl RowOrder {
    fn apply(self, values: &[f32], n_rows: usize) -> Vec<f32> {
        let columns = values.len() / n_rows.max(1);
        let rows = (0..n_rows).map(|row| self.source(row) * columns);
        rows.flat_map(|start| values[start..start + columns].iter().copied()).collect()
    }

    /// The row that comes to stand at `row`.
    fn source(self, row: usize) -> usize {
        let (head, place) = (row / self.head_size * self.head_size, row % self.head_size);
        let half = self.turned / 2;
        let place = match self.to {
            _ if place >= self.turned => place,
            Layout::Interleaved => place / 2 + place % 2 * half,
            Layout::Halves => place % half * 2 + place / half,
        };
        head + place
    }
}
