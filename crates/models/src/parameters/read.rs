//! What has learned, read back from a file of any dialect: the way back of `written`.
//!
//! The rows of heads keep the order that the file has them in, as the config that was read from it says.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;

use super::written::{by_kind, is_by_head};
use super::{FileRows, Head, Learned, Norms, Parameter, Parameters, plan};
use crate::blocks::Biases;
use crate::family::{Matrices, bias_of, of_layer};
use crate::{Config, Dialect, Error, Tensors};

impl Parameters {
    /// Reads all parameters of a model, widened to f32. `known` names the tensors of the file: one that is no
    /// parameter of this family is an error, because whoever writes the model again would lose it.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and [`Error::Shape`] for a tensor that is not there or not as large as it has to be,
    /// [`Error::UnknownTensor`] for one that the family does not have, [`Error::Learning`] for a model of parts that are
    /// no parameters yet, and those of the file.
    pub fn read(
        file: &dyn Tensors,
        known: &[String],
        config: Config,
        dialect: &Dialect,
        device: &Device,
    ) -> Result<Self, Error> {
        config.check_parts(file.label())?;
        let head = match file.find(dialect.names.head)? {
            Some(_) => Head::Own,
            None => Head::Tied,
        };
        let config = with_biases(config, file, dialect)?;
        let planned = plan(&config, head, dialect);
        let expected: BTreeSet<&str> = planned.iter().map(|plan| plan.file.name.as_str()).collect();
        if let Some(name) = known.iter().find(|name| !expected.contains(name.as_str())) {
            return Err(Error::UnknownTensor { file: file.label().into(), name: name.clone() });
        }
        // Where the next part of a tensor that holds several begins.
        let mut whole: BTreeMap<String, (Vec<f32>, usize)> = BTreeMap::new();
        let mut list = Vec::new();
        for plan in planned {
            let name = &plan.file.name;
            if !whole.contains_key(name) {
                let is_turned =
                    matches!(plan.file.rows, FileRows::Product | FileRows::Turned) && plan.shape.len() == 2;
                let mut values = values(file, name, is_turned, dialect.matrices)?;
                let width = config.n_heads * config.head_size;
                // Anything else is told by its size below.
                if is_by_head(name, dialect) && values.len().is_multiple_of(3 * width) {
                    values = by_kind(&values, width, config.head_size);
                }
                whole.insert(name.clone(), (values, 0));
            }
            let (values, start) = whole.get_mut(name).expect("it was just put there");
            let n: usize = plan.shape.iter().product();
            let part = values.get(*start..*start + n).ok_or_else(|| Error::Shape {
                file: file.label().into(),
                name: name.clone(),
                expected: plan.shape.clone(),
                found: vec![values.len()],
            })?;
            let mut part = part.to_vec();
            if plan.file.rows == FileRows::Norm {
                part.iter_mut().for_each(|factor| *factor += dialect.norm_offset);
            }
            let tensor = Learned::new(part, &plan.shape, device);
            *start += n;
            list.push(Parameter { name: plan.name, shape: plan.shape, tensor });
        }
        for (name, (values, read)) in &whole {
            if *read != values.len() {
                let (expected, found) = (vec![*read], vec![values.len()]);
                return Err(Error::Shape { file: file.label().into(), name: name.clone(), expected, found });
            }
        }
        Ok(Self { config, head, norms: Norms::of(dialect), device: device.clone(), list })
    }
}

/// The config of a model that has biases where its file has them: all, those of queries, keys and values, or none.
fn with_biases(mut config: Config, file: &dyn Tensors, dialect: &Dialect) -> Result<Config, Error> {
    let names = dialect.names;
    let queries =
        if names.queries_keys_values.is_empty() { names.queries } else { names.queries_keys_values };
    let has = |name: &str| Ok::<bool, Error>(file.find(&bias_of(&of_layer(name, 0)))?.is_some());
    if config.blocks.biases != Biases::All {
        config.blocks.biases = match (has(queries)?, has(names.down)?) {
            (false, _) => Biases::None,
            (true, false) => Biases::QueriesKeysValues,
            (true, true) => Biases::All,
        };
    }
    Ok(config)
}

/// The numbers of a tensor, a row for each output.
fn values(file: &dyn Tensors, name: &str, is_product: bool, matrices: Matrices) -> Result<Vec<f32>, Error> {
    let found = file.find(name)?;
    let found = found.ok_or_else(|| Error::MissingTensor { file: file.label().into(), name: name.into() })?;
    let values = found.storage.widen(found.bytes.as_slice());
    match (matrices, &found.shape[..]) {
        (Matrices::InputsByOutputs, &[inputs, outputs]) if is_product => {
            let row = |output| (0..inputs).map(move |input| input * outputs + output);
            Ok((0..outputs).flat_map(row).map(|place| values[place]).collect())
        }
        _ => Ok(values),
    }
}
