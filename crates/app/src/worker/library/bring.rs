//! Bringing a model into the store: a file, the parts of one, or a folder.
//!
//! What is stored is what a pull of the same files stores: the files as they are, under their names.

use std::path::{Path, PathBuf};

use formats::sniff::{FileKind, sniff};
use formats::{FileBytes, shards};
use store::found::role_of;
use store::{ModelInfo, ModelName, NewFile, Role, Source};

use super::{Library, images};
use crate::job::{Import, Placement};
use crate::worker::adapters::{self, AdapterSource};
use crate::worker::contents::Contents;
use crate::worker::convert::Converted;
use crate::worker::draw::files::is_image_model;
use crate::worker::folder::Folder;
use crate::worker::loaded;
use crate::worker::open::Files;
use crate::{Event, Failure};

impl Library<'_> {
    pub fn import(&self, import: &Import) -> Result<Event, Failure> {
        let path = std::path::absolute(&import.path).unwrap_or_else(|_| import.path.clone());
        let name = match &import.name {
            Some(name) => ModelName::parse(name)?,
            None => name_of(&path)?,
        };
        if path.is_file() {
            let file = FileBytes::open(&path)?;
            if sniff(file.as_slice()) == FileKind::Llama2c {
                let model = self.import_llama2c(&name, &file, import)?;
                return Ok(Event::Stored(self.model(&model)));
            }
        }
        if let Some(adapter) = AdapterSource::at(&path)? {
            return self.import_adapter(&name, &adapter, (&path, import));
        }
        let parts = self.parts(&path, import)?;
        let new = |part: Part| NewFile {
            role: part.role,
            format: part.format.into(),
            name: part.name,
            source: placed(import.placement, part.path),
        };
        let info = ModelInfo { source: path.display().to_string(), ..ModelInfo::default() };
        let new = parts.into_iter().map(new).collect();
        Ok(Event::Stored(self.model(&self.store.import(&name, new, info, self.now_ms)?)))
    }

    /// The files of a model that could be used.
    fn parts(&self, path: &Path, import: &Import) -> Result<Vec<Part>, Failure> {
        let files = Files::at(path)?;
        let words = import.tokenizer.as_ref().map(|path| path.display().to_string());
        if let Files::Folder(folder) = &files
            && is_image_model(folder)
        {
            return images::files(self.store, folder, words.as_deref());
        }
        if words.is_some() {
            let message = format!("{}: this model brings its own vocabulary", path.display());
            return Err(Failure::new("bad_setting", message, "leave `--tokenizer` out"));
        }
        check(&files, &path.display().to_string())?;
        match &files {
            Files::Gguf(parts) => Ok(gguf_parts(parts, path)),
            Files::Folder(folder) => folder_parts(folder),
        }
    }

    /// An adapter, by itself: which model it fits is seen when it is named behind one.
    fn import_adapter(
        &self,
        name: &ModelName,
        adapter: &AdapterSource,
        (path, import): (&Path, &Import),
    ) -> Result<Event, Failure> {
        adapter.read()?;
        if import.tokenizer.is_some() {
            let message = format!("{}: an adapter has the vocabulary of its model", path.display());
            return Err(Failure::new("bad_setting", message, "leave `--tokenizer` out"));
        }
        let files = adapter_files(path, |path| placed(import.placement, path))?;
        let info = ModelInfo { source: path.display().to_string(), ..ModelInfo::default() };
        Ok(Event::Stored(self.model(&self.store.import(name, files, info, self.now_ms)?)))
    }

    fn import_llama2c(
        &self,
        name: &ModelName,
        file: &FileBytes,
        import: &Import,
    ) -> Result<store::Model, Failure> {
        let label = file.label();
        let Some(tokenizer) = &import.tokenizer else {
            let message = format!("{label}: a llama2.c checkpoint has its vocabulary in a file of its own");
            return Err(Failure::new("bad_setting", message, "name it with `--tokenizer FILE`"));
        };
        if import.placement == Placement::InPlace {
            let message = format!("{label}: a llama2.c checkpoint is converted, so it cannot stay in place");
            return Err(Failure::new("bad_setting", message, "leave `--in-place` out"));
        }
        let checkpoint = formats::llama2c::read(file)?;
        let vocabulary = FileBytes::open(tokenizer)?;
        let vocabulary = formats::llama2c::read_tokenizer(&vocabulary, checkpoint.header.vocab_size)
            .map_err(|error| {
                let hint = "import the checkpoint with the vocabulary that it was trained with";
                Failure::new("vocabulary_mismatch", error.to_string(), hint)
            })?;
        let converted = Converted::new(checkpoint, &vocabulary, name.name());
        let at_most_bytes = converted.at_most_bytes();
        converted.stream(|reader| self.store(name, Source::Reader { reader, at_most_bytes }, &import.path))
    }

    pub fn store(&self, name: &ModelName, source: Source<'_>, from: &Path) -> Result<store::Model, Failure> {
        let file = NewFile { role: Role::Model, format: "gguf".into(), name: None, source };
        let info = ModelInfo { source: from.display().to_string(), ..ModelInfo::default() };
        Ok(self.store.import(name, vec![file], info, self.now_ms)?)
    }
}

fn placed<'a>(placement: Placement, path: PathBuf) -> Source<'a> {
    match placement {
        Placement::Copy => Source::Copy(path),
        Placement::InPlace => Source::InPlace(path),
    }
}

/// A file that is to be stored.
pub(super) struct Part {
    pub path: PathBuf,
    pub role: Role,
    pub format: &'static str,
    /// Its name among the others, where there are some.
    pub name: Option<String>,
}

/// A GGUF file, or all parts of one under their names.
fn gguf_parts(parts: &[FileBytes], path: &Path) -> Vec<Part> {
    let part = |path: PathBuf, name| Part { path, role: Role::Model, format: "gguf", name };
    if parts.len() == 1 {
        return vec![part(path.to_owned(), None)];
    }
    let names = shards::names_of_parts(path);
    names.into_iter().map(|name| part(path.with_file_name(&name), Some(name))).collect()
}

/// Everything in a folder that belongs to the model, as a pull of it would store it.
fn folder_parts(folder: &Folder) -> Result<Vec<Part>, Failure> {
    let weights = folder.weights_names()?;
    let mut parts = Vec::new();
    for (name, path) in &weights {
        let (role, format) = role_of(name).unwrap_or((Role::Model, "safetensors"));
        parts.push(Part { path: path.clone(), role, format, name: Some(name.clone()) });
    }
    for name in folder.names()? {
        let Some((role, format)) = role_of(&name) else { continue };
        // Other weights that lie there too are another form of the same.
        if matches!(role, Role::Model | Role::Index | Role::Adapter | Role::Projector) {
            continue;
        }
        if let Some(path) = folder.path(&name) {
            parts.push(Part { path, role, format, name: Some(name) });
        }
    }
    Ok(parts)
}

/// The files of an adapter, which are found again by these roles and names.
pub(super) fn adapter_files<'a>(
    path: &Path,
    source: impl Fn(PathBuf) -> Source<'a>,
) -> Result<Vec<NewFile<'a>>, Failure> {
    let places = adapters::places(path)?.unwrap_or_default();
    let is_alone = places.len() == 1;
    let new = |place: PathBuf| {
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (role, format) = match role_of(&name) {
            _ if is_alone => (Role::Adapter, "gguf"),
            // The settings of the model, where there are some, are others.
            Some((_, format)) => (Role::Adapter, format),
            None => (Role::Adapter, "safetensors"),
        };
        NewFile { role, format: format.into(), name: Some(name).filter(|_| !is_alone), source: source(place) }
    };
    Ok(places.into_iter().map(new).collect())
}

/// Refuses files that could not run, before a byte of it is stored.
pub(super) fn check(files: &Files, name: &str) -> Result<(), Failure> {
    let contents = Contents::of(files, name)?;
    let device = ops::device::cpu();
    if !contents.is_encoder()? {
        contents.decoder_and_tokenizer(&device)?;
        return Ok(());
    }
    let encoder = contents.encoder(&device)?;
    contents.classifier(&encoder, &device)?;
    loaded::check_fit(&contents.tokenizer()?, encoder.config().vocabulary, name)
}

fn name_of(path: &Path) -> Result<ModelName, Failure> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(allowed).collect();
    ModelName::parse(&name).map_err(|_| {
        let message = format!("{} does not make a model name", path.display());
        Failure::new("bad_name", message, "choose one with `--name NAME`")
    })
}
