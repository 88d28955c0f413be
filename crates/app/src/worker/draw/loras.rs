//! The LoRAs that a drawing has: those that a person names by their files, and those that tags in its prompt name.
//!
//! A tag's file is one of those that are named, or one in a folder: a tag may come from a picture of anybody, so its name is
//! compared with those in the folder and never becomes a path. The prompt then says all of them, so that a picture's file
//! does.

use std::path::{Path, PathBuf};

use diffuse::prompt::{self, Tag};
use formats::FileBytes;
use formats::adapter::image;
use models::images::adapter::{Adapted, Adapter, Part};
use models::tensors::Tensors;
use store::Store;

use super::hashes::{self, Counted};
use super::parts::Parts;
use crate::Failure;
use crate::job::draw::{self as job, Draw};

/// The folder of LoRAs in the home, as people see it.
pub(crate) const FOLDER: &str = "loras";
/// What tags of LoRAs begin with.
const KINDS: [&str; 2] = ["lora", "lyco"];
/// Files of LoRAs end so.
const ENDINGS: [&str; 4] = ["safetensors", "pt", "ckpt", "bin"];
/// The most LoRAs of a drawing, files of a folder, folders in one another, and names that an error tells.
const MAX_LORAS: usize = 64;
const MAX_FILES: usize = 4096;
const MAX_DEPTH: usize = 3;
const TOLD: usize = 20;

/// A LoRA, and how strongly it acts.
pub(crate) struct Worn {
    name: String,
    path: PathBuf,
    lora: Adapter,
    text_weight: f64,
    weight: f64,
}

/// A file that a person named.
struct Named {
    name: String,
    path: PathBuf,
    weight: Option<f64>,
    is_used: bool,
}

/// The LoRAs of a job; its prompt then says each of them.
///
/// # Errors
/// Names that there are not, files that hold something else, weights that are no numbers.
pub(super) fn worn(job: &mut Draw, home: &Path) -> Result<Vec<Worn>, Failure> {
    let prompt = job.prompt.clone().unwrap_or_default();
    let (words, mut tags) = prompt::without_tags(&prompt)?;
    if job.loras.is_empty() && tags.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(other) = tags.iter().find(|tag| !KINDS.contains(&tag.kind.as_str())) {
        let message = format!("prompt: <{}:{}>: there are no tags of this kind", other.kind, other.name);
        return Err(Failure::new("bad_prompt", message, "a LoRA is named as <lora:NAME:0.8>"));
    }
    let files = folder_files(job, home)?;
    let mut named = job.loras.iter().map(|lora| Named::of(lora, &files)).collect::<Result<Vec<_>, _>>()?;
    let mut worn = Vec::new();
    for tag in &mut tags {
        worn.push(of_tag(tag, &mut named, &files)?);
    }
    for file in named.iter().filter(|file| !file.is_used) {
        let weight = file.weight.unwrap_or(1.0);
        tags.push(tag(&file.name, weight)?);
        worn.push(Worn::open(&file.name, &file.path, [weight; 2])?);
    }
    if worn.len() > MAX_LORAS {
        let message = format!("{} LoRAs are more than {MAX_LORAS}", worn.len());
        return Err(Failure::new("bad_setting", message, "leave some out"));
    }
    if !job.loras.is_empty() {
        let said: Vec<String> = tags.iter().map(written).collect();
        job.prompt = Some(format!("{} {}", words.trim_end(), said.join(" ")));
    }
    Ok(worn)
}

/// What is read of a prompt: all but its tags.
///
/// # Errors
/// Weights that are no numbers.
pub(super) fn words(prompt: &str) -> Result<String, Failure> {
    let (words, tags) = prompt::without_tags(prompt)?;
    // What stood before tags is read as if there were none.
    Ok(if tags.is_empty() { words } else { words.trim_end().to_owned() })
}

/// The LoRA of a tag; where its file was named with a weight, that is the tag's.
fn of_tag(tag: &mut Tag, named: &mut [Named], files: &[PathBuf]) -> Result<Worn, Failure> {
    if let Some(file) = named.iter_mut().find(|file| file.name == tag.name) {
        file.is_used = true;
        if let Some(weight) = file.weight {
            (tag.text_weight, tag.weight) = (weight, weight);
        }
        return Worn::open(&tag.name, &file.path, [tag.text_weight, tag.weight]);
    }
    let path = in_folder(&tag.name, files).ok_or_else(|| none(&tag.name, files))?;
    Worn::open(&tag.name, path, [tag.text_weight, tag.weight])
}

fn tag(name: &str, weight: f64) -> Result<Tag, Failure> {
    if name.contains([':', '<', '>', '=']) {
        let message = format!("{name}: a LoRA's name has no `:`, `=`, `<` or `>`: a prompt could not say it");
        return Err(Failure::new("bad_setting", message, "rename the file"));
    }
    Ok(Tag { kind: KINDS[0].to_owned(), name: name.to_owned(), text_weight: weight, weight })
}

fn written(tag: &Tag) -> String {
    let Tag { kind, name, text_weight, weight } = tag;
    match text_weight == weight {
        true => format!("<{kind}:{name}:{weight}>"),
        false => format!("<{kind}:{name}:{text_weight}:{weight}>"),
    }
}

impl Named {
    fn of(lora: &job::Lora, files: &[PathBuf]) -> Result<Self, Failure> {
        let path = Path::new(&lora.file);
        let path = match path.is_file() {
            true => path.to_owned(),
            false => in_folder(&lora.file, files).ok_or_else(|| none(&lora.file, files))?.to_owned(),
        };
        if let Some(weight) =
            lora.weight.filter(|weight| !(weight.is_finite() && weight.abs() <= prompt::MAX_WEIGHT))
        {
            let message = format!("{}: the weight {weight} lies beyond {}", lora.file, prompt::MAX_WEIGHT);
            return Err(Failure::new("bad_setting", message, "most LoRAs act well from 0.5 to 1"));
        }
        let name = stem(&path).unwrap_or_default().to_owned();
        Ok(Self { name, path, weight: lora.weight, is_used: false })
    }
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem().and_then(|name| name.to_str())
}

fn in_folder<'a>(name: &str, files: &'a [PathBuf]) -> Option<&'a Path> {
    files.iter().find(|path| stem(path) == Some(name)).map(PathBuf::as_path)
}

fn none(name: &str, files: &[PathBuf]) -> Failure {
    let mut names: Vec<&str> = files.iter().filter_map(|path| stem(path)).collect();
    names.dedup();
    let there = match names.as_slice() {
        [] => "there are none in the folder".to_owned(),
        [..] if names.len() > TOLD => format!("there are {}, …", names[..TOLD].join(", ")),
        names => format!("there are {}", names.join(", ")),
    };
    let message = format!("there is no LoRA called {name:?}; {there}");
    Failure::new(
        "no_such_file",
        message,
        "name its file with --lora, or the folder that it is in with --lora-folder",
    )
}

/// The files of the folder, in the order of their names.
fn folder_files(job: &Draw, home: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (folder, is_named) = match &job.lora_folder {
        Some(folder) => (PathBuf::from(folder), true),
        None => (home.join(FOLDER), false),
    };
    if is_named && !folder.is_dir() {
        let message = format!("{}: there is no such folder", folder.display());
        return Err(Failure::new("no_such_file", message, "name a folder of LoRAs with --lora-folder"));
    }
    let (mut found, mut folders) = (Vec::new(), vec![(folder, 0)]);
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).take(MAX_FILES) {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() && depth + 1 < MAX_DEPTH && folders.len() < MAX_FILES {
                folders.push((path, depth + 1));
            } else if ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) && found.len() < MAX_FILES {
                found.push(path);
            }
        }
    }
    found.sort_by(|a, b| (a.file_stem(), a).cmp(&(b.file_stem(), b)));
    Ok(found)
}

impl Worn {
    fn open(name: &str, path: &Path, [text_weight, weight]: [f64; 2]) -> Result<Self, Failure> {
        // What errors say goes to whoever asks, a path does not.
        let file = FileBytes::open(path)?.with_label(name);
        let lora = Adapter::new(image::read_image(formats::read(&file)?)?);
        Ok(Self { name: name.to_owned(), path: path.to_owned(), lora, text_weight, weight })
    }

    /// Its name, and what its file is told by.
    ///
    /// # Errors
    /// A file that cannot be read any more.
    pub fn digest(&self, store: &Store) -> Result<(String, String), Failure> {
        Ok((self.name.clone(), hashes::of(store, &self.path, Counted::Numbers)?))
    }

    /// Bytes that it takes in memory.
    pub fn size_bytes(&self) -> u64 {
        self.lora.size_bytes()
    }
}

impl Parts<'_> {
    /// Refuses LoRAs that were made for another model, as far as that is seen before it is loaded.
    ///
    /// # Errors
    /// What does not fit, and what it looks like.
    pub(super) fn expect_loras(&self) -> Result<(), Failure> {
        if self.loras.is_empty() {
            return Ok(());
        }
        let (parts, text_width) = self.adaptable()?;
        self.loras.iter().try_for_each(|worn| Ok(worn.lora.check(&parts, text_width)?))
    }

    /// A part with what the LoRAs add to it.
    ///
    /// # Errors
    /// Those of `load`, and LoRAs that do not fit.
    pub(super) fn adapted<T>(
        &self,
        (tensors, part): (&dyn Tensors, Part),
        load: impl FnOnce(&dyn Tensors) -> Result<T, models::Error>,
    ) -> Result<T, Failure> {
        if self.loras.is_empty() {
            return Ok(load(tensors)?);
        }
        let is_text = matches!(part, Part::Text | Part::SecondText);
        let weighed = self.loras.iter().map(|worn| {
            let weight = if is_text { worn.text_weight } else { worn.weight };
            (&worn.lora, weight as f32)
        });
        let weighed: Vec<(&Adapter, f32)> = weighed.collect();
        let adapted = Adapted::new(tensors, part, &weighed);
        let made = load(&adapted)?;
        adapted.finish()?;
        Ok(made)
    }
}
