//! The tensors of a file as another dialect of the same family has them: under its names, parts put together or taken
//! apart, matrices turned, the rows of heads in its order.
//!
//! Numbers keep the storage that they have wherever rows only move; they become f32 where blocks would have to be cut
//! or something is added to them. Nothing is copied until a tensor is asked for. Does not: write bytes; `formats`
//! does.

mod plan;
mod strip;

use formats::Dtype;

use crate::parameters::Head;
use crate::tensors::{Found, Tensors, dtype_of};
use crate::{Config, Dialect, Error};
pub(crate) use plan::{Matrix, Spot};
use strip::{Finish, Strip};

/// A tensor of the new file.
pub struct Translated<'a> {
    /// Its name there.
    pub name: String,
    /// Its shape there, outermost first.
    pub shape: Vec<usize>,
    /// How its numbers are stored, unless they are asked for otherwise.
    pub dtype: Dtype,
    tensors: &'a dyn Tensors,
    /// What it is put together from, one below the other.
    strips: Vec<Strip>,
    finish: Finish,
}

impl Translated<'_> {
    /// Its numbers, stored as `dtype` says.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::MissingTensor`] for tensors of the file that are not as its settings say.
    pub fn bytes(&self) -> Result<Found, Error> {
        let found = strip::together(self.tensors, &self.strips, dtype_storage(self.dtype))?;
        Ok(self.finish.apply(found))
    }

    /// Its numbers, row after row.
    ///
    /// # Errors
    /// So too.
    pub fn values(&self) -> Result<Vec<f32>, Error> {
        let found = self.bytes()?;
        Ok(found.storage.widen(found.bytes.as_slice()))
    }
}

fn dtype_storage(dtype: Dtype) -> ops::weight::Storage {
    crate::tensors::storage(dtype).expect("it was made from a storage")
}

/// Every tensor of a model of `config` whose file speaks `from`, as `to` has it. `known` names the tensors of the file:
/// one that is none of the model is an error, because whoever writes the model again would lose it.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::UnknownTensor`], [`Error::Storage`] and those of the file.
pub fn translate<'a>(
    tensors: &'a dyn Tensors,
    known: &[String],
    config: &'a Config,
    [from, to]: [&'static Dialect; 2],
) -> Result<Vec<Translated<'a>>, Error> {
    let planned = plan::Plan::new(tensors, config, [from, to])?.all()?;
    let used: std::collections::BTreeSet<&str> =
        planned.iter().flat_map(|tensor| &tensor.strips).filter_map(Strip::tensor).collect();
    let is_used = |name: &str| {
        let long = format!("{}{name}", from.optional_prefix);
        let whole = name.strip_suffix("_blocks").or_else(|| name.strip_suffix("_scales"));
        let owners = super::scaled::owners(name);
        let is_scale = owners.is_some_and(|owners| owners.iter().any(|owner| used.contains(&**owner)));
        used.contains(name)
            || used.contains(&*long)
            || whole.is_some_and(|whole| used.contains(whole))
            || is_scale
    };
    let names = from.names;
    let is_about_angles = |name: &str| {
        [names.rope_divisors, names.rope_divisors_long, names.rope_divisors_short].contains(&name)
    };
    let lost = known.iter().find(|name| !is_used(name) && !is_about_angles(name) && !is_idle(name));
    match lost {
        Some(name) => Err(Error::UnknownTensor { file: tensors.label().into(), name: name.clone() }),
        None => Ok(planned),
    }
}

/// Where a matrix of a layer stands in a file of the first dialect, its rows as the second has them; `None` where the file
/// does not have it.
///
/// # Errors
/// Those of the file.
pub(crate) fn spot(
    tensors: &dyn Tensors,
    config: &Config,
    dialects: [&'static Dialect; 2],
    (matrix, layer): (Matrix, usize),
) -> Result<Option<Spot>, Error> {
    match plan::Plan::new(tensors, config, dialects)?.spot(matrix, layer) {
        Err(Error::MissingTensor { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// Whether a tensor takes no part: what follows from the settings, and what an encoder has for other tasks.
fn is_idle(name: &str) -> bool {
    const ENDS: [&str; 6] = [
        "inv_freq",
        ".attn.bias",
        ".attn.masked_bias",
        ".attention.bias",
        ".attention.masked_bias",
        "position_ids",
    ];
    const BEGINNINGS: [&str; 5] =
        ["pooler.", "bert.pooler.", "roberta.pooler.", "cls.predictions.", "cls.seq_relationship."];
    ENDS.iter().any(|end| name.ends_with(end)) || BEGINNINGS.iter().any(|start| name.starts_with(start))
}

/// Where the logits of a file come from.
///
/// # Errors
/// Those of the file.
pub fn head_of(tensors: &dyn Tensors, dialect: &Dialect) -> Result<Head, Error> {
    Ok(if tensors.find(dialect.names.head)?.is_some() { Head::Own } else { Head::Tied })
}

/// A planned tensor, with its storage from those of its parts.
fn translated<'a>(
    tensors: &'a dyn Tensors,
    name: String,
    shape: Vec<usize>,
    (strips, finish): (Vec<Strip>, Finish),
) -> Result<Translated<'a>, Error> {
    let mut storage = strip::storage(tensors, &strips)?;
    if finish.needs_numbers(storage) {
        storage = ops::weight::Storage::F32;
    }
    let dtype = dtype_of(storage);
    Ok(Translated { name, shape, dtype, tensors, strips, finish })
}
