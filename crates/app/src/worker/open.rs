//! From what a person calls a model to its file: the store, the model in the box, or a path.

use std::path::Path;

use formats::FileBytes;
use store::{ModelName, Role, Store};

use super::said::Said;
use crate::{Failure, starter};

/// A model file that was found.
pub(crate) struct Source {
    /// The same for the same content: a digest, or a path.
    pub key: String,
    /// The name as people read it.
    pub name: String,
    /// Its bytes.
    pub file: FileBytes,
    /// What is said of the model beside them.
    pub said: Said,
}

/// What a name stands for.
pub(crate) enum Meant {
    /// A model of the store, or of others.
    Model(Box<store::Model>),
    /// The model in the box.
    Starter,
}

/// Finds what `wanted` stands for, and its weights.
///
/// # Errors
/// `model_not_found` with the nearest names, or what is wrong with the store or the file.
pub(crate) fn find(store: &Store, wanted: &str) -> Result<Source, Failure> {
    if let Some(path) = as_path(wanted) {
        let file = FileBytes::open(path)?;
        return Ok(Source {
            key: format!("path:{wanted}"),
            name: wanted.into(),
            file,
            said: Said::default(),
        });
    }
    match named(store, wanted)? {
        Meant::Model(model) => of_model(store, &model),
        Meant::Starter => Ok(starter_source()),
    }
}

/// The weights of a model that was found.
///
/// # Errors
/// What is wrong with its files.
pub(crate) fn of_model(store: &Store, model: &store::Model) -> Result<Source, Failure> {
    let name = model.name.to_string();
    let file = model.manifest.file(Role::Model).ok_or_else(|| {
        let message = format!("\"{name}\" has no weights");
        Failure::new("bad_file", message, "import it again with its model file")
    })?;
    let bytes = FileBytes::open(&store.locate(file)?)?.with_label(&name);
    Ok(Source { key: file.digest.to_string(), name, file: bytes, said: Said::of(store, model)? })
}

/// The weights of the model in the box.
pub(crate) fn starter_source() -> Source {
    let (key, name) = (starter::NAME.into(), starter::NAME.into());
    Source { key, name, file: starter::file(), said: Said::default() }
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
        Err(error) => Err(not_found(error, wanted)),
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

/// The path of the file that is meant, where one is.
pub(crate) fn as_path(wanted: &str) -> Option<&Path> {
    let path = Path::new(wanted);
    (looks_like_path(wanted) && path.is_file()).then_some(path)
}

/// Whether this name stands for the model in the box.
pub(crate) fn is_starter(name: &ModelName) -> bool {
    ModelName::parse(starter::NAME).is_ok_and(|starter| starter == name.without_digest())
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

/// The failure of a look-up; where no name is near, the model in the box is the next step.
fn not_found(error: store::Error, wanted: &str) -> Failure {
    let is_lonely = matches!(&error, store::Error::NotFound { nearest, .. } if nearest.is_empty());
    let mut failure = Failure::from(error);
    if looks_like_path(wanted) && failure.code == "model_not_found" {
        failure.hint = format!("there is no file {wanted} either; `hearth list` shows the models here");
    } else if is_lonely {
        failure.hint = format!("`hearth list` shows the models here; \"{}\" is always there", starter::NAME);
    }
    failure
}
