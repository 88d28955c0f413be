//! A part of a new tensor: some rows of an old one, seen as a matrix with a row for each output.

use ops::weight::{Lent, Storage};

use crate::Error;
use crate::tensors::{Found, Tensors, has_blocks};

/// A part of a new tensor.
#[derive(Clone, Debug)]
pub(super) enum Strip {
    /// Rows of a tensor, in this order.
    Rows { tensor: String, view: View, rows: Vec<usize> },
    /// A bias that the file does without.
    Zeros([usize; 2]),
    /// Numbers that follow from the settings.
    Numbers(Vec<f32>),
}

/// How a tensor of the file is seen as a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum View {
    /// As rows of this many numbers, in whatever shape it is.
    Rows([usize; 2]),
    /// With rows and columns exchanged: the file has `[K, N]`.
    Turned([usize; 2]),
    /// The file has `[E, K, N]`: each of the `E` turned, one below the other.
    ByInputs([usize; 3]),
    /// As rows, with a constant added to every number.
    Plus([usize; 2], f32),
}

impl Strip {
    /// The old tensor's name.
    pub fn tensor(&self) -> Option<&str> {
        match self {
            Self::Rows { tensor, .. } => Some(tensor),
            Self::Zeros(_) | Self::Numbers(_) => None,
        }
    }

    /// All rows of a tensor.
    pub fn whole(tensor: String, view: View) -> Self {
        let n_rows = match view {
            View::Rows([n, _]) | View::Turned([n, _]) | View::Plus([n, _], _) => n,
            View::ByInputs([experts, n, _]) => experts * n,
        };
        Self::Rows { tensor, view, rows: (0..n_rows).collect() }
    }

    fn found(&self, tensors: &dyn Tensors) -> Result<Found, Error> {
        match self {
            Self::Zeros([n, k]) => Ok(numbers(&vec![0.0; n * k], *k)),
            Self::Numbers(values) => Ok(numbers(values, 1)),
            Self::Rows { tensor, view, rows } => Ok(view.of(tensors, tensor)?.gathered(rows)),
        }
    }

    fn storage(&self, tensors: &dyn Tensors) -> Result<Storage, Error> {
        let Self::Rows { tensor, view, .. } = self else { return Ok(Storage::F32) };
        let storage = stored(tensors, tensor)?;
        let is_cut = match view {
            View::Rows(_) => false,
            View::Turned(_) | View::ByInputs(_) => storage.blocks().is_some(),
            View::Plus(..) => true,
        };
        Ok(if is_cut { Storage::F32 } else { storage })
    }
}

impl View {
    fn of(self, tensors: &dyn Tensors, name: &str) -> Result<Found, Error> {
        let found = fetch(tensors, name)?;
        let (expected, [n, k]) = match self {
            Self::Rows([n, k]) | Self::Turned([n, k]) | Self::Plus([n, k], _) => (n * k, [n, k]),
            Self::ByInputs([experts, n, k]) => (experts * n * k, [experts * n, k]),
        };
        if found.shape.iter().product::<usize>() != expected {
            let (file, name) = (tensors.label().into(), name.into());
            return Err(Error::Shape { file, name, found: found.shape, expected: vec![n, k] });
        }
        Ok(match self {
            Self::Rows(shape) => Found { shape: shape.to_vec(), ..found },
            Self::Turned([n, k]) => turnable(Found { shape: vec![k, n], ..found }).transposed(),
            Self::ByInputs([experts, n, k]) => {
                let whole = turnable(Found { shape: vec![experts * k, n], ..found });
                let turned: Vec<Found> =
                    (0..experts).map(|e| whole.rows(e * k..(e + 1) * k).transposed()).collect();
                stacked(&turned, whole.storage)
            }
            Self::Plus([_, k], constant) => {
                let values = found.storage.widen(found.bytes.as_slice());
                numbers(&values.iter().map(|value| value + constant).collect::<Vec<f32>>(), k)
            }
        })
    }
}

/// The tensor called `name`; of blocks whose scales stand apart, both together.
fn fetch(tensors: &dyn Tensors, name: &str) -> Result<Found, Error> {
    if let Some(found) = tensors.find(name)? {
        return Ok(found);
    }
    let found = crate::tensors::blocks_and_scales(tensors, name)?;
    found.ok_or_else(|| Error::MissingTensor { file: tensors.label().into(), name: name.into() })
}

/// How the tensor called `name` is stored; nothing is copied.
fn stored(tensors: &dyn Tensors, name: &str) -> Result<Storage, Error> {
    match (tensors.find(name)?, Storage::blocks_named("MXFP4")) {
        (Some(found), _) => Ok(found.storage),
        (None, Some(storage)) if has_blocks(tensors, name)? => Ok(storage),
        _ => Err(Error::MissingTensor { file: tensors.label().into(), name: name.into() }),
    }
}

/// In numbers of their own, where they are in blocks.
fn turnable(found: Found) -> Found {
    match found.storage.blocks() {
        Some(_) => as_storage(found, Storage::F32),
        None => found,
    }
}

fn as_storage(found: Found, storage: Storage) -> Found {
    if found.storage == storage {
        return found;
    }
    let bytes = storage.narrow(&found.storage.widen(found.bytes.as_slice()));
    Found { shape: found.shape, storage, bytes: Lent::new(bytes) }
}

fn numbers(values: &[f32], columns: usize) -> Found {
    let shape = vec![values.len() / columns.max(1), columns];
    Found { shape, storage: Storage::F32, bytes: Lent::new(Storage::F32.narrow(values)) }
}

/// Matrices of one storage and as many columns, one below the other.
fn stacked(parts: &[Found], storage: Storage) -> Found {
    let n_rows = parts.iter().map(|part| part.shape[0]).sum();
    let columns = parts.first().map_or(1, |part| part.shape[1]);
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes.as_slice().iter().copied()).collect();
    Found { shape: vec![n_rows, columns], storage, bytes: Lent::new(bytes) }
}

/// What all strips can be stored as: what they are, or f32 where they differ or need numbers that could not be written.
pub(super) fn storage(tensors: &dyn Tensors, strips: &[Strip]) -> Result<Storage, Error> {
    let mut all = None;
    for strip in strips {
        // Zeros are zeros in every storage of numbers that can be written.
        if matches!(strip, Strip::Zeros(_)) {
            continue;
        }
        let storage = strip.storage(tensors)?;
        if all.is_some_and(|known| known != storage) {
            return Ok(Storage::F32);
        }
        all = Some(storage);
    }
    let has_zeros = strips.iter().any(|strip| matches!(strip, Strip::Zeros(_)));
    let storage = all.filter(|storage| !has_zeros || storage.is_writable());
    Ok(storage.unwrap_or(Storage::F32))
}

/// All strips in one matrix.
pub(super) fn together(tensors: &dyn Tensors, strips: &[Strip], storage: Storage) -> Result<Found, Error> {
    let mut parts = Vec::with_capacity(strips.len());
    // Strips of one tensor often follow one another: it is seen once.
    let mut last: Option<(&str, View, Found)> = None;
    for strip in strips {
        let part = match (strip, &last) {
            (Strip::Rows { tensor, view, rows }, Some((name, known, found)))
                if tensor == name && view == known =>
            {
                found.gathered(rows)
            }
            (Strip::Rows { tensor, view, rows }, _) => {
                let found = view.of(tensors, tensor)?;
                let part = found.gathered(rows);
                last = Some((tensor, *view, found));
                part
            }
            _ => strip.found(tensors)?,
        };
        parts.push(as_storage(part, storage));
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { stacked(&parts, storage) })
}

/// What happens to all strips together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finish {
    /// Nothing.
    None,
    /// Rows and columns are exchanged.
    Turned,
    /// So too, of each of so many matrices.
    ByInputs(usize),
}

impl Finish {
    pub fn needs_numbers(self, storage: Storage) -> bool {
        self != Self::None && storage.blocks().is_some()
    }

    pub fn apply(self, found: Found) -> Found {
        match self {
            Self::None => found,
            Self::Turned => turnable(found).transposed(),
            Self::ByInputs(experts) => {
                let found = turnable(found);
                let rows = found.shape[0] / experts.max(1);
                let part = |e: usize| found.rows(e * rows..(e + 1) * rows).transposed();
                stacked(&(0..experts).map(part).collect::<Vec<Found>>(), found.storage)
            }
        }
    }
}
