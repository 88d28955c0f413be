//! A GGUF model split over several files: each is a file of its own, and says which of how many it is.
//!
//! The first part holds the metadata of the model, every part some of the tensors. Does not look for the parts:
//! that is [`shards`](crate::shards), by the names that the tools give them.
//!
//! Source: `gguf-split` of the llama.cpp project (keys), as facts.

use std::collections::BTreeSet;

use super::{MAX_TENSORS, read};
use crate::error::{Error, Place};
use crate::metadata::{Metadata, Value};
use crate::tensors::{TensorEntry, TensorFile};
use crate::{FileBytes, FileKind};

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";

/// Reads all parts of a split model, in any order, as one set of tensors with the metadata of the first part.
///
/// # Errors
/// Those of [`read`](super::read()) for each part; [`Error::MissingKey`] and [`Error::WrongType`] for a file that is
/// no part; [`Error::MissingPart`], [`Error::Duplicate`] and [`Error::Invalid`] for parts that are not one model.
pub fn join(files: &[FileBytes]) -> Result<TensorFile, Error> {
    let mut parts = files.iter().map(read).collect::<Result<Vec<TensorFile>, Error>>()?;
    let mut numbers = BTreeSet::new();
    for part in &parts {
        let count: usize = part.metadata().read(COUNT)?;
        let number: usize = part.metadata().read(NUMBER)?;
        if count != parts.len() {
            let found = format!("a part of {count}");
            return Err(invalid(part, COUNT, found, "as many as there are files"));
        }
        if number >= count {
            return Err(invalid(part, NUMBER, number.to_string(), "a number below the count of parts"));
        }
        if !numbers.insert(number) {
            return Err(Error::Duplicate { at: place(part, NUMBER) });
        }
    }
    parts.sort_by_key(|part| part.metadata().read::<usize>(NUMBER).unwrap_or_default());
    let Some(first) = parts.first() else {
        return Err(Error::MissingPart { file: "the model".into(), part: "the first".into() });
    };
    let claimed: usize = first.metadata().read(TENSORS)?;
    let entries = joined(&parts)?;
    if claimed != entries.len() {
        let found = format!("{claimed} tensors, {} in the parts", entries.len());
        return Err(invalid(first, TENSORS, found, "as many as there are"));
    }
    let own = first.metadata().iter().filter(|(key, _)| ![NUMBER, COUNT, TENSORS].contains(key));
    let own: Vec<(String, Value)> = own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let metadata = Metadata::from_entries(first.file().shared_label(), own);
    let whole = TensorFile::new(first.file().clone(), FileKind::Gguf, metadata, Vec::new());
    Ok(whole.with_parts(parts.iter().map(|part| part.file().clone()).collect(), entries))
}

/// The tensors of all parts, none of which may have the name of another.
fn joined(parts: &[TensorFile]) -> Result<Vec<TensorEntry>, Error> {
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        for entry in part.tensors() {
            let at = || Place {
                file: part.file().shared_label(),
                field: entry.field(),
                offset: entry.range.start as u64,
            };
            if entries.len() >= MAX_TENSORS {
                let claimed = entries.len().saturating_add(1) as u64;
                return Err(Error::Limit { at: at(), claimed, limit: MAX_TENSORS as u64 });
            }
            if !seen.insert(&entry.name) {
                return Err(Error::Duplicate { at: at() });
            }
            entries.push(TensorEntry { part: number, ..entry.clone() });
        }
    }
    Ok(entries)
}

fn place(part: &TensorFile, key: &str) -> Place {
    Place { file: part.file().shared_label(), field: format!("metadata key {key:?}"), offset: 0 }
}

fn invalid(part: &TensorFile, key: &str, found: String, expected: &'static str) -> Error {
    Error::Invalid { at: place(part, key), found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dtype, TensorSpec, gguf};

    fn part(number: u32, count: u32, tensors: u32, names: &[&str]) -> FileBytes {
        let label = format!("m-{number}.gguf");
        let mut metadata = Metadata::new(&label);
        for (key, value) in [(NUMBER, number), (COUNT, count), (TENSORS, tensors), ("a", 7 + number)] {
            metadata.insert(key, value.into());
        }
        let spec = |name: &&str| TensorSpec { name: (*name).into(), dtype: Dtype::I8, shape: vec![2] };
        let specs: Vec<TensorSpec> = names.iter().map(spec).collect();
        let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
        for spec in &specs {
            writer.append(spec.name.repeat(2).as_bytes()).unwrap();
        }
        FileBytes::from_vec(&label, writer.finish().unwrap())
    }

    #[test]
    fn parts_in_any_order_are_one_set() {
        let file = join(&[part(1, 2, 3, &["c"]), part(0, 2, 3, &["b", "a"])]).unwrap();
        let names: Vec<&str> = file.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["b", "a", "c"]);
        for name in names {
            assert_eq!(file.tensor_bytes(file.tensor(name).unwrap()).unwrap(), name.repeat(2).as_bytes());
        }
        let keys: Vec<_> = file.metadata().iter().map(|(key, value)| (key, value.integer())).collect();
        assert_eq!(keys, [("a", Some(7))]);
        assert_eq!((file.file().label(), file.parts().len()), ("m-0.gguf", 2));
    }

    #[test]
    fn parts_that_are_not_one_model_are_refused() {
        let check = |files: &[FileBytes], text: &str| {
            let error = join(files).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        check(&[], "its part \"the first\" is missing");
        check(&[part(0, 2, 1, &["a"])], "m-0.gguf: metadata key \"split.count\": a part of 2");
        check(&[part(0, 2, 1, &["a"]), part(0, 2, 1, &[])], "key \"split.no\": the name stands twice");
        check(
            &[part(0, 2, 1, &["a"]), part(2, 2, 1, &[])],
            "m-2.gguf: metadata key \"split.no\": 2, expected",
        );
        check(
            &[part(0, 2, 2, &["a"]), part(1, 2, 2, &["a"])],
            "m-1.gguf: tensor \"a\": the name stands twice",
        );
        check(&[part(0, 2, 3, &["a"]), part(1, 2, 3, &["b"])], "3 tensors, 2 in the parts");
        let alone = gguf::write(Vec::new(), &Metadata::new("m"), &[]).unwrap().finish().unwrap();
        check(&[FileBytes::from_vec("m", alone)], "m: metadata key \"split.count\" is missing");
    }
}
