//! A model in several files, read as one set of tensors: an index and its shards, or the parts of a split GGUF.
//!
//! The index is JSON that says in which file each tensor stands; safetensors and PyTorch checkpoints both have
//! one. A shard is named as a file beside the index and by nothing else: no folder, no way up, no other place.
//! Tensors that the index does not list are left out. Does not fetch a file that is missing.
//!
//! Source: what `transformers` writes (`model.safetensors.index.json`, `pytorch_model.bin.index.json`), seen in
//! files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Place, Quoted};
use crate::metadata::{Metadata, Value, read_json};
use crate::tensors::{TensorEntry, TensorFile};
use crate::{FileBytes, gguf};

const WEIGHT_MAP: &str = "weight_map.";
const MAX_SHARDS: usize = 4096;
const MAX_NAME: usize = 255;
/// The weights of a folder, in the order of preference.
const FOLDER: &[&str] = &[
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];

/// Opens the model at `path`, with all files that belong to it: a folder as `transformers` writes it, an index, a
/// part of a split GGUF, or a file of its own.
///
/// # Errors
/// Those of the readers, [`Error::MissingPart`] when a file of the set is not there.
pub fn open(path: &Path) -> Result<TensorFile, Error> {
    if path.is_dir() {
        let known = FOLDER.iter().map(|name| path.join(name)).find(|file| file.is_file());
        let file: std::sync::Arc<str> = path.to_string_lossy().escape_debug().to_string().into();
        return open(&known.ok_or_else(|| Error::MissingPart { file, part: "model.safetensors".into() })?);
    }
    if path.file_name().unwrap_or_default().to_string_lossy().ends_with(".index.json") {
        let file = FileBytes::open(path)?;
        return read(&file, |part| beside(&file, path, part));
    }
    match &*parts(path)? {
        [file] => crate::read(file),
        parts => gguf::join(parts),
    }
}

/// The file at `path` and, where its name is that of a part of a split GGUF, all other parts; in their order.
///
/// # Errors
/// Those of opening, [`Error::MissingPart`] when a part is not there.
pub fn parts(path: &Path) -> Result<Vec<FileBytes>, Error> {
    let file = FileBytes::open(path)?;
    match split_names(&path.file_name().unwrap_or_default().to_string_lossy()) {
        Some(names) => names.map(|name| beside(&file, path, &name)).collect(),
        None => Ok(vec![file]),
    }
}

/// The names of all parts of the split GGUF of which the file at `path` is one; its own where it is none.
pub fn names_of_parts(path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    split_names(&name).map_or_else(|| vec![name.clone().into_owned()], Iterator::collect)
}

/// The names of the shards that `index` lists, each once.
///
/// # Errors
/// Those of [`read_json`]; [`Error::Invalid`] for a name that is no plain name.
pub fn names(index: &FileBytes) -> Result<Vec<String>, Error> {
    let settings = read_json(index)?;
    let map = weight_map(index, &settings)?;
    let mut shards: Vec<String> = map.values().map(|shard| (*shard).to_owned()).collect();
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}

/// The file called `part` in the folder of `file`, which stands at `path`.
fn beside(file: &FileBytes, path: &Path, part: &str) -> Result<FileBytes, Error> {
    match FileBytes::open(&path.with_file_name(part)) {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::MissingPart { file: file.shared_label(), part: part.to_owned() })
        }
        other => other,
    }
}

/// Reads the shards that `index` lists as one set; `open` gives the file of a name, which is a plain name.
///
/// # Errors
/// Those of [`read_json`] and of the shards' readers; [`Error::Invalid`] for a name that is no plain name and for a
/// tensor in another shard, [`Error::MissingTensor`] for one in none, [`Error::Duplicate`] for one in two.
pub fn read(
    index: &FileBytes,
    mut open: impl FnMut(&str) -> Result<FileBytes, Error>,
) -> Result<TensorFile, Error> {
    let settings = read_json(index)?;
    let map = weight_map(index, &settings)?;
    let mut shards: Vec<&str> = map.values().copied().collect();
    shards.sort_unstable();
    shards.dedup();
    if shards.len() > MAX_SHARDS {
        let at = Place { file: index.shared_label(), field: "weight_map: shards".into(), offset: 0 };
        return Err(Error::Limit { at, claimed: shards.len() as u64, limit: MAX_SHARDS as u64 });
    }
    let mut set = Set { index, map: &map, parts: Vec::new(), entries: BTreeMap::new(), first: None };
    for shard in &shards {
        let file = open(shard)?;
        set.add(shard, &crate::read(&file)?)?;
    }
    set.finish(&settings)
}

/// Tensor → shard, with every name checked.
fn weight_map<'a>(index: &FileBytes, settings: &'a Metadata) -> Result<BTreeMap<&'a str, &'a str>, Error> {
    let mut map = BTreeMap::new();
    for (key, _) in settings.iter() {
        let Some(tensor) = key.strip_prefix(WEIGHT_MAP) else { continue };
        let shard: &str = settings.read(key)?;
        if !is_plain_name(shard) {
            let at = place(index, tensor);
            let found = format!("in {}", Quoted(shard));
            return Err(Error::Invalid { at, found, expected: "the plain name of a file beside the index" });
        }
        map.insert(tensor, shard);
    }
    if map.is_empty() {
        let (file, key) = (index.shared_label(), "weight_map".to_owned());
        return Err(Error::MissingKey {
            file,
            key,
            expected: "an object of tensors and the files they stand in",
        });
    }
    Ok(map)
}

/// Whether a name can only mean a file in the same folder, on every system.
fn is_plain_name(name: &str) -> bool {
    let is_plain = |letter: char| !letter.is_control() && !matches!(letter, '/' | '\\' | ':');
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.chars().all(is_plain)
}

/// Where the index speaks of a tensor: looked for only once an error names it.
fn place(index: &FileBytes, tensor: &str) -> Place {
    let quoted = serde_json::Value::from(tensor).to_string();
    let found = index.as_slice().windows(quoted.len()).position(|window| window == quoted.as_bytes());
    let field = format!("tensor {}", Quoted(tensor));
    Place { file: index.shared_label(), field, offset: found.unwrap_or_default() as u64 }
}

/// The set while its shards are added.
struct Set<'a> {
    index: &'a FileBytes,
    map: &'a BTreeMap<&'a str, &'a str>,
    parts: Vec<FileBytes>,
    entries: BTreeMap<&'a str, (TensorEntry, &'a str)>,
    /// The first shard: of whose kind the set is.
    first: Option<TensorFile>,
}

impl<'a> Set<'a> {
    fn add(&mut self, shard: &'a str, file: &TensorFile) -> Result<(), Error> {
        let first_part = self.parts.len();
        for entry in file.tensors() {
            let Some((name, said)) = self.map.get_key_value(entry.name.as_str()) else { continue };
            let at = || place(self.index, name);
            if let Some((_, other)) = self.entries.get(name) {
                let found = format!("in {} and in {}", Quoted(other), Quoted(shard));
                return Err(Error::Invalid { at: at(), found, expected: "one place" });
            }
            if *said != shard {
                let found = format!("said to be in {}, is in {}", Quoted(said), Quoted(shard));
                return Err(Error::Invalid { at: at(), found, expected: "the shard that holds it" });
            }
            let part = first_part.saturating_add(entry.part);
            self.entries.insert(name, (TensorEntry { part, ..entry.clone() }, shard));
        }
        self.parts.extend(file.parts().iter().cloned());
        self.first.get_or_insert_with(|| file.clone());
        Ok(())
    }

    /// The tensors in the order of the index, once all are there.
    fn finish(mut self, settings: &Metadata) -> Result<TensorFile, Error> {
        let listed = settings.iter().filter_map(|(key, _)| key.strip_prefix(WEIGHT_MAP));
        let mut entries = Vec::with_capacity(self.map.len());
        for name in listed {
            let found = self.entries.remove(name);
            let (entry, _) = found.ok_or_else(|| Error::MissingTensor {
                file: self.map.get(name).copied().unwrap_or_default().escape_debug().to_string().into(),
                name: name.to_owned(),
                n_tensors: self.map.len(),
            })?;
            entries.push(entry);
        }
        let missing = || Error::MissingPart { file: self.index.shared_label(), part: "the first".into() };
        let first = self.first.take().ok_or_else(missing)?;
        let own = settings.iter().filter(|(key, _)| !key.starts_with(WEIGHT_MAP));
        let own: Vec<(String, Value)> = own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        let metadata = Metadata::from_entries(self.index.shared_label(), own);
        Ok(first.described_by(self.index.clone(), metadata).with_parts(self.parts, entries))
    }
}

/// All names of a split model, when `name` is one of them: `…-00002-of-00003.gguf`.
fn split_names(name: &str) -> Option<impl Iterator<Item = String>> {
    let stem = name.strip_suffix(".gguf")?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (start, number) = rest.rsplit_once('-')?;
    let read = |digits: &str| {
        let is_five = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_five { digits.parse::<usize>().ok() } else { None }
    };
    let (number, count) = (read(number)?, read(count)?);
    let is_part = (1..=count).contains(&number) && count <= MAX_SHARDS;
    let start = start.to_owned();
    is_part.then(|| (1..=count).map(move |number| format!("{start}-{number:05}-of-{count:05}.gguf")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_no_plain_names() {
        assert!(is_plain_name("model-00001-of-00002.safetensors"));
        let others =
            ["", "..", "../a", "a/b", "/etc/passwd", "a\\b", "C:a", ".hidden", "a\0", "a\n", "a/../b"];
        for name in others {
            assert!(!is_plain_name(name), "{name:?}");
        }
        assert!(!is_plain_name(&"a".repeat(256)));
    }

    #[test]
    fn parts_of_a_split_model_are_named() {
        let names = |name: &str| split_names(name).map(|names| names.collect::<Vec<_>>());
        let both = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"].map(str::to_owned);
        assert_eq!(names("m-00002-of-00002.gguf"), Some(both.to_vec()));
        for name in
            ["m.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf", "m-1-of-2.gguf", "-of-00002.gguf"]
        {
            assert_eq!(names(name), None, "{name}");
        }
    }
}
