//! From what a person calls a model to its file: the store, the model in the box, or a path.

use std::path::Path;

use formats::FileBytes;
use store::{ModelName, Role, Store};

use crate::{Failure, starter};

/// A model file that was found.
pub(crate) struct Source {
    /// The same for the same content: a digest, or a path.
    pub key: String,
    /// The name as people read it.
    pub name: String,
    /// Its bytes.
    pub file: FileBytes,
}

/// Finds what `wanted` stands for.
///
/// # Errors
/// `model_not_found` with the nearest names, or what is wrong with the store or the file.
pub(crate) fn find(store: &Store, wanted: &str) -> Result<Source, Failure> {
    let path = Path::new(wanted);
    if looks_like_path(wanted) && path.is_file() {
        let file = FileBytes::open(path)?;
        return Ok(Source { key: format!("path:{wanted}"), name: wanted.into(), file });
    }
    let name = ModelName::parse(wanted).map_err(|error| bad_name(error, wanted))?;
    match store.get(&name) {
        Ok(model) => {
            let file = model.manifest.file(Role::Model).ok_or_else(|| {
                let message = format!("\"{name}\" has no weights");
                Failure::new("bad_file", message, "import it again with its model file")
            })?;
            let label = model.name.to_string();
            let bytes = FileBytes::open(&store.locate(file)?)?.with_label(&label);
            Ok(Source { key: file.digest.to_string(), name: label, file: bytes })
        }
        Err(store::Error::NotFound { .. }) if is_starter(&name) => {
            Ok(Source { key: starter::NAME.into(), name: starter::NAME.into(), file: starter::file() })
        }
        Err(error) => Err(not_found(error, wanted)),
    }
}

/// Whether this name stands for the model in the box.
pub(crate) fn is_starter(name: &ModelName) -> bool {
    ModelName::parse(starter::NAME).is_ok_and(|starter| starter == name.without_digest())
}

fn looks_like_path(wanted: &str) -> bool {
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
