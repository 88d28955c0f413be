//! What has learned, as a file of any dialect has it: under its names, parts put together, matrices turned, the rows
//! of heads in its order.
//!
//! Does not: write bytes; `formats` does.

use ops::rope::Layout;

use super::{FileRows, Parameter, Parameters, plan};
use crate::Dialect;
use crate::family::Matrices;

/// One tensor of a file.
pub struct Written<'a> {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file, outermost first.
    pub shape: Vec<usize>,
    /// What it is put together from, one below the other, each with the order of its rows.
    parts: Vec<(&'a Parameter, Option<RowOrder>)>,
    matrices: Matrices,
}

impl Written<'_> {
    /// Its values in the file, row after row.
    pub fn values(&self) -> Vec<f32> {
        let mut values = Vec::new();
        for (parameter, order) in &self.parts {
            let part = parameter.tensor.values();
            match order {
                Some(order) => values.extend(order.apply(&part, parameter.shape[0])),
                None => values.extend(part),
            }
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
    /// The tensors of a file of `dialect`, which has to be one of the family that these parameters are of. Their
    /// values are copied only when they are asked for.
    pub fn written(&self, dialect: &Dialect) -> Vec<Written<'_>> {
        let mut list: Vec<Written<'_>> = Vec::new();
        for (planned, parameter) in plan(&self.config, self.head, dialect).into_iter().zip(&self.list) {
            let file = planned.file;
            let order = (file.rows == FileRows::Turned).then(|| RowOrder::between(self, dialect)).flatten();
            match list.iter_mut().rev().take(6).find(|written| written.name == file.name) {
                Some(whole) => {
                    whole.shape[0] += parameter.shape[0];
                    whole.parts.push((parameter, order));
                }
                None => list.push(Written {
                    name: file.name,
                    shape: parameter.shape.clone(),
                    parts: vec![(parameter, order)],
                    matrices: match file.rows {
                        FileRows::Plain => Matrices::OutputsByInputs,
                        FileRows::Product | FileRows::Turned => dialect.matrices,
                    },
                }),
            }
        }
        for written in list.iter_mut().filter(|written| written.matrices == Matrices::InputsByOutputs) {
            written.shape.reverse();
        }
        list
    }
}

/// In which order a file wants the rows of each head, whose first `turned` are the pairs.
#[derive(Clone, Copy)]
struct RowOrder {
    to: Layout,
    head_size: usize,
    turned: usize,
}

impl RowOrder {
    /// None where the order stays.
    fn between(parameters: &Parameters, dialect: &Dialect) -> Option<Self> {
        let config = &parameters.config;
        let order = Self {
            to: dialect.rope_layout,
            head_size: config.head_size,
            turned: 2 * config.frequencies.len(),
        };
        (config.rope_layout != dialect.rope_layout).then_some(order)
    }

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
