//! Importance read: the file that the imatrix tool of llama.cpp writes.
//!
//! It is a GGUF file of the type `imatrix`. For each tensor NAME of a model it has `NAME.in_sum2`, `[E, K]`, the sums
//! of the squares of what each column was multiplied with, and `NAME.counts`, `[E, 1]`, over how many rows; E is 1
//! but for a stack of experts. `imatrix.chunk_count` chunks of `imatrix.chunk_size` tokens were read. Older tools
//! wrote a form of their own, which is not read.
//!
//! Source: the documentation of llama.cpp's imatrix tool and files of it, as facts.

use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec};

use super::{Importance, Model, Sums, means};
use crate::Failure;

const OTHER_MODEL: &str = "take the importance matrix that was made for this model, or give a text";

/// # Errors
/// Another kind of file, one for another model, numbers that are none or negative.
pub(super) fn read(file: &FileBytes, model: &Model<'_>) -> Result<Importance, Failure> {
    let tensors = formats::gguf::read(file)?;
    let kind = tensors.metadata().find::<&str>("general.type")?.unwrap_or("model");
    if kind != "imatrix" {
        let message = format!("{}: a GGUF file of the type \"{kind}\", not \"imatrix\"", file.label());
        let hint = "give --importance a text, or a file that llama-imatrix wrote";
        return Err(Failure::new("wrong_kind", message, hint));
    }
    let n_tokens = n_tokens(tensors.metadata())?;
    let mut importance = Importance { columns: Default::default(), n_tokens };
    for spec in model.tensors.iter().filter(|spec| spec.shape.len() > 1) {
        if let Some(columns) = columns(&tensors, spec)? {
            importance.columns.insert(spec.name.clone(), columns);
        }
    }
    if importance.columns.is_empty() {
        let message = format!("{}: it knows no tensor of {}", file.label(), model.source.name);
        return Err(Failure::new("bad_file", message, OTHER_MODEL));
    }
    Ok(importance)
}

fn n_tokens(metadata: &Metadata) -> Result<Option<u64>, Failure> {
    let chunks = metadata.find::<u32>("imatrix.chunk_count")?;
    let size = metadata.find::<u32>("imatrix.chunk_size")?;
    Ok(chunks.zip(size).map(|(chunks, size)| u64::from(chunks) * u64::from(size)))
}

/// How much the columns of a tensor matter, where the file knows it.
fn columns(file: &TensorFile, spec: &TensorSpec) -> Result<Option<Vec<f32>>, Failure> {
    let [sums, counts] = [".in_sum2", ".counts"].map(|end| file.find(&format!("{}{end}", spec.name)));
    let (Some(sums), Some(counts)) = (sums, counts) else { return Ok(None) };
    let (row, outer) = spec.shape.split_last().unwrap_or((&1, &[]));
    let n_stacked: usize = outer.split_last().map_or(1, |(_, stack)| stack.iter().product());
    let n_matrices = counts.n_elements();
    let is_of_it = n_matrices == 1 || n_matrices == n_stacked;
    if !is_of_it || Some(sums.n_elements()) != row.checked_mul(n_matrices) {
        let message = format!(
            "{}: \"{}\" has shape {:?} and {n_matrices} counts, but the model's \"{}\" has shape {:?}",
            file.file().label(),
            sums.name,
            sums.shape,
            spec.name,
            spec.shape
        );
        return Err(Failure::new("bad_file", message, OTHER_MODEL));
    }
    let (squares, n_rows) = (numbers(file, &sums.name)?, numbers(file, &counts.name)?);
    let sums = |(squares, n_rows): (&[f64], &f64)| Sums { squares: squares.to_vec(), n_rows: *n_rows };
    Ok(means(&squares.chunks((*row).max(1)).zip(&n_rows).map(sums).collect::<Vec<_>>()))
}

/// The numbers of a tensor, none below zero.
fn numbers(file: &TensorFile, name: &str) -> Result<Vec<f64>, Failure> {
    let entry = file.tensor(name)?;
    let failed = |what: String| {
        let message = format!("{}: \"{name}\" {what}", file.file().label());
        Failure::new("bad_file", message, "measure it anew: give --importance a text")
    };
    if entry.dtype != Dtype::F32 {
        return Err(failed(format!("is stored as {}, not as F32", entry.dtype)));
    }
    let numbers = file.tensor_bytes(entry)?.as_chunks::<4>().0;
    let number = |(place, bytes): (usize, &[u8; 4])| {
        let number = f32::from_le_bytes(*bytes);
        let is_sound = number.is_finite() && number >= 0.0;
        let problem = || failed(format!("has {number} as number {place}, and a sum of squares is 0 or more"));
        if is_sound { Ok(f64::from(number)) } else { Err(problem()) }
    };
    numbers.iter().enumerate().map(number).collect()
}
