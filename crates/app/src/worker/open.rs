//! From what a person calls a model to its files: the store, the model in the box, or a path.
//!
//! Does not: read them; that is [`contents`](super::contents).

use std::path::Path;

use formats::sniff::{FileKind, sniff};
use formats::{FileBytes, shards};
use store::{ModelName, Role, Store};

use super::adapters::{self, AdapterSource};
use super::draw::parts::INDEX;
use super::folder::Folder;
use super::prefixes;
use super::said::Said;
use super::training;
use crate::{Failure, starter};

/// A model that was found.
pub(crate) struct Source {
    /// The same for the same content: a digest, or a path.
    pub key: String,
    /// The name as people read it.
    pub name: String,
    /// Its files.
    pub files: Files,
    /// What is said of the model beside them.
    pub said: Said,
    /// What is the same for the same weights tomorrow too; absent where that is not known.
    pub identity: Option<String>,
    /// The adapter that its answers have.
    pub adapter: Option<AdapterSource>,
}

/// The files of a model, by the form that they have.
pub(crate) enum Files {
    /// A GGUF file, or all parts of one.
    Gguf(Vec<FileBytes>),
    /// Weights, settings and vocabulary apart, as `transformers` writes them.
    Folder(Folder),
}

impl Files {
    /// The files at a path: a folder, a file of a folder, a GGUF file or a part of one. What is none of these is taken
    /// for a GGUF file, whose reader says what it is.
    ///
    /// # Errors
    /// A file that cannot be read, or a part that is missing.
    pub fn at(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Ok(Self::Folder(Folder::at(path)));
        }
        let file = FileBytes::open(path)?;
        Ok(match sniff(file.as_slice()) {
            FileKind::Safetensors | FileKind::Zip | FileKind::Pickle | FileKind::Json => {
                Self::Folder(Folder::around(path))
            }
            _ => Self::Gguf(shards::parts(path)?),
        })
    }

    /// How many bytes they have together.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Gguf(parts) => parts.iter().map(FileBytes::size_bytes).sum(),
            Self::Folder(folder) => folder.size_bytes(),
        }
    }
}

/// What a name stands for.
pub(crate) enum Meant {
    /// A model of the store, or of others.
    Model(Box<store::Model>),
    /// The model in the box.
    Starter,
}

/// Finds what `wanted` stands for, and its weights; a model whose answers have an adapter is more than its weights.
///
/// # Errors
/// `model_not_found` with the nearest names, `adapter_not_applied`, or what is wrong with the store or the file.
pub(crate) fn find(store: &Store, wanted: &str) -> Result<Source, Failure> {
    let has_adapter = || {
        let message = format!("\"{wanted}\" has an adapter, which only answers and exports have");
        let hint = format!("name the model without it, or merge both first: hearth export {wanted}");
        Failure::new("adapter_not_applied", message, hint)
    };
    let (base, None) = adapters::split(wanted)? else { return Err(has_adapter()) };
    match find_base(store, base)? {
        source if source.adapter.is_some() => Err(has_adapter()),
        source => Ok(source),
    }
}

/// Finds a model for answers, or to be written: what `wanted` stands for, or `base+adapter`.
///
/// # Errors
/// Those of [`find`] but that of adapters; more adapters than one, and what is wrong with its files.
pub(crate) fn find_adapted(store: &Store, wanted: &str) -> Result<Source, Failure> {
    let (base, adapter) = adapters::split(wanted)?;
    let source = find_base(store, base)?;
    let Some(adapter) = adapter else { return Ok(source) };
    if source.adapter.is_some() {
        return Err(adapters::several(wanted));
    }
    let adapter = adapters::find(store, adapter)?;
    let name = format!("{}{}{}", source.name, adapters::PLUS, adapter.name);
    Ok(Source { name, adapter: Some(adapter), ..source })
}

fn find_base(store: &Store, wanted: &str) -> Result<Source, Failure> {
    if let Some(path) = as_path(wanted) {
        return at(path, wanted);
    }
    match named(store, wanted) {
        Ok(Meant::Model(model)) => of_model(store, &model),
        Ok(Meant::Starter) => Ok(starter_source()),
        // A folder or a file of weights beside the person, named without a slash.
        Err(_) if is_folder_of_a_model(Path::new(wanted)) || is_file_of_weights(Path::new(wanted)) => {
            at(Path::new(wanted), wanted)
        }
        Err(failure) => Err(failure),
    }
}

fn is_folder_of_a_model(folder: &Path) -> bool {
    folder.join("config.json").is_file() || folder.join(INDEX).is_file()
}

fn is_file_of_weights(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["safetensors", "ckpt", "pth", "pt", "bin"].contains(&ending) && path.is_file()
}

/// The model at a path.
///
/// # Errors
/// Files that cannot be read.
pub(crate) fn at_path(path: &Path) -> Result<Source, Failure> {
    at(path, &path.display().to_string())
}

fn at(path: &Path, wanted: &str) -> Result<Source, Failure> {
    let (facts, name) = (facts(path), wanted.to_owned());
    // What changed is another model.
    let key = format!("path:{wanted} {}", facts.as_deref().unwrap_or_default());
    let files = Files::at(path)?;
    let is_one = matches!(&files, Files::Gguf(parts) if parts.len() == 1);
    let identity = facts.filter(|_| is_one);
    Ok(Source { key, name, files, said: Said::default(), identity, adapter: None })
}

/// What shows that a file, or one in a folder, changed.
fn facts(path: &Path) -> Option<String> {
    if !path.is_dir() {
        return prefixes::facts(path);
    }
    let mut files: Vec<_> =
        std::fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let fact = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} {}", prefixes::facts(path).unwrap_or_default())
    };
    Some(files.iter().map(fact).collect::<Vec<_>>().join(", "))
}

/// The weights of a model that was found.
///
/// # Errors
/// What is wrong with its files.
pub(crate) fn of_model(store: &Store, model: &store::Model) -> Result<Source, Failure> {
    let name = model.name.to_string();
    let weights: Vec<_> = model.manifest.files.iter().filter(|file| file.role == Role::Model).collect();
    let Some(first) = weights.first() else {
        let is_adapter = model.manifest.file(Role::Adapter).is_some();
        let (message, hint) = match is_adapter {
            true => (
                format!("\"{name}\" is an adapter: it changes a model and is none itself"),
                "name it behind the model that it was made for, as in base+adapter",
            ),
            false => (format!("\"{name}\" has no weights"), "import it again with its model file"),
        };
        return Err(Failure::new("bad_file", message, hint));
    };
    let said = Said::of(store, model)?;
    let adapter = AdapterSource::of_model(store, model)?;
    if first.format != "gguf" {
        let files = Files::Folder(Folder::of(store, model)?);
        let identity = identity(model.manifest.files.iter());
        return Ok(Source { key: model.digest.to_string(), name, files, said, identity, adapter });
    }
    let identity = identity(weights.iter().copied());
    let open = |file: &&store::FileRef| Ok(FileBytes::open(&store.locate(file)?)?.with_label(&name));
    let parts = weights.iter().map(open).collect::<Result<Vec<FileBytes>, Failure>>()?;
    // One file is the same model under every name that it has.
    let key = if parts.len() == 1 { first.digest } else { model.digest };
    Ok(Source { key: key.to_string(), name, files: Files::Gguf(parts), said, identity, adapter })
}

/// What tells files of the store apart: their digests, and of those in place what shows that they changed.
fn identity<'a>(files: impl Iterator<Item = &'a store::FileRef>) -> Option<String> {
    let identity = |file: &store::FileRef| match &file.location {
        store::Location::Blob => Some(file.digest.to_string()),
        store::Location::InPlace { path, .. } => Some(format!("{} {}", file.digest, prefixes::facts(path)?)),
        _ => None,
    };
    files.map(identity).collect::<Option<Vec<_>>>().map(|files| files.join(", "))
}

/// The weights of the model in the box.
pub(crate) fn starter_source() -> Source {
    let (key, name) = (starter::NAME.into(), starter::NAME.into());
    // It is a part of the program.
    let identity = Some(starter::NAME.into());
    let files = Files::Gguf(vec![starter::file()]);
    Source { key, name, files, said: Said::default(), identity, adapter: None }
}

/// What the name `wanted` stands for: the store's own models go first, then the model in the box, then others'.
///
/// # Errors
/// `model_not_found` with the nearest names, or what is wrong with the store.
pub(crate) fn named(store: &Store, wanted: &str) -> Result<Meant, Failure> {
    let is_starter = ModelName::parse(wanted).is_ok_and(|name| is_starter(&name));
    match store.find(wanted) {
        Ok(model) if is_starter && model.place.is_some() => Ok(Meant::Starter),
        Ok(model) => Ok(Meant::Model(Box::new(model))),
        Err(error) if is_starter && !is_about_own(&error) => Ok(Meant::Starter),
        Err(error @ store::Error::BadName { .. }) => Err(bad_name(error, wanted)),
        Err(error) => Err(not_found(store, error, wanted)),
    }
}

/// Whether the store has a model of its own of this name that cannot be had.
fn is_about_own(error: &store::Error) -> bool {
    use store::Error as E;
    matches!(
        error,
        E::Corrupt { .. } | E::FutureVersion { .. } | E::FileMissing { .. } | E::VersionNotFound { .. }
    )
}

/// The path of the file or folder that is meant, where one is.
pub(crate) fn as_path(wanted: &str) -> Option<&Path> {
    let path = Path::new(wanted);
    (looks_like_path(wanted) && (path.is_file() || path.is_dir())).then_some(path)
}

/// Whether this name stands for the model in the box.
pub(crate) fn is_starter(name: &ModelName) -> bool {
    ModelName::parse(starter::NAME).is_ok_and(|starter| starter == name.without_digest())
}

/// Whether this can be taken for a file or folder of this machine, there or not.
pub(crate) fn is_a_path(wanted: &str) -> bool {
    let begins = ["/", ".", "~", "\\"].iter().any(|begin| wanted.starts_with(begin));
    let has = wanted.contains("..") || wanted.contains('\\') || wanted.ends_with(".gguf");
    begins || has || Path::new(wanted).exists()
}

pub(crate) fn looks_like_path(wanted: &str) -> bool {
    wanted.contains(std::path::MAIN_SEPARATOR) || wanted.ends_with(".gguf")
}

/// The failure of a name that is none; a sentence was meant as a prompt.
fn bad_name(error: store::Error, wanted: &str) -> Failure {
    let mut failure = Failure::from(error);
    if wanted.contains(char::is_whitespace) {
        failure.hint =
            format!("name the model before the prompt, as in `hearth run {} \"…\"`", starter::NAME);
    }
    failure
}

/// The failure of a look-up; the next step is a training that was stopped, and the model in the box where no name is near.
fn not_found(store: &Store, error: store::Error, wanted: &str) -> Failure {
    let is_lonely = matches!(&error, store::Error::NotFound { nearest, .. } if nearest.is_empty());
    let is_unknown = matches!(&error, store::Error::NotFound { .. });
    let mut failure = Failure::from(error);
    if is_unknown && let Some(run) = training::unfinished(store.home(), wanted) {
        failure.hint = format!("its training was stopped: `hearth train --resume {run}` goes on with it");
    } else if is_unknown && looks_like_path(wanted) {
        failure.hint = format!("there is no file {wanted} either; `hearth list` shows the models here");
    } else if is_lonely {
        failure.hint = format!("`hearth list` shows the models here; \"{}\" is always there", starter::NAME);
    }
    failure
}
