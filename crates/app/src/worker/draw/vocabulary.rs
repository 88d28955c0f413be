//! The vocabulary of a model that is one file, which holds none: from where a person says, from beside the file, or from
//! another image model of the store.

use std::path::Path;

use store::Store;
use text::clip::ClipTokenizer;

use super::files::ImageFiles;
use crate::Failure;
use crate::worker::folder::Folder;
use crate::worker::open::{self, Files};

/// The files of a vocabulary: two that belong together, or the one that newer folders have.
pub(crate) const FILES: [&str; 3] = ["vocab.json", "merges.txt", "tokenizer.json"];
/// Where a model has them.
const PLACES: [&str; 2] = ["tokenizer", "tokenizer_2"];
/// The text encoders whose table says how many tokens there are.
const ENCODERS: [&str; 2] = ["text_encoder", "text_encoder_2"];

/// Files that a vocabulary of any text encoder is read from.
pub(crate) const WORD_FILES: [&str; 7] = [
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
];

/// A vocabulary, and the model of the store that it was found in where nobody named it.
pub(crate) struct Found {
    pub folder: Folder,
    pub of: Option<String>,
}

/// The vocabulary for a model; `None` for one that brings its own.
///
/// # Errors
/// `bad_setting` where one is named for a model that has its own, `bad_file` where there is none.
pub(crate) fn find(
    store: &Store,
    wanted: Option<&str>,
    files: &ImageFiles,
) -> Result<Option<Found>, Failure> {
    match (files.single(), wanted) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let message = format!("{}: this model brings its own vocabulary", files.label());
            Err(Failure::new("bad_setting", message, "leave `--tokenizer` out"))
        }
        (Some(_), Some(wanted)) => named(store, wanted).map(|folder| Some(Found { folder, of: None })),
        (Some(_), None) => match within(files.folder()) {
            Some(folder) => Ok(Some(Found { folder, of: None })),
            None => of_others(store, files).map(Some).ok_or_else(|| missing(files.label())),
        },
    }
}

/// The vocabulary that a person names: by its folder, by one of its files, or by a model.
fn named(store: &Store, wanted: &str) -> Result<Folder, Failure> {
    let path = Path::new(wanted);
    let folder = if path.is_dir() {
        Folder::at(path)
    } else if path.is_file() {
        Folder::at(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    } else if open::looks_like_path(wanted) {
        return Err(none_in(wanted));
    } else {
        match open::find(store, wanted)?.files {
            Files::Folder(folder) => folder,
            Files::Gguf(_) => return Err(none_in(wanted)),
        }
    };
    within(&folder).ok_or_else(|| none_in(wanted))
}

fn none_in(wanted: &str) -> Failure {
    let message = format!("{wanted}: there is no {} with {} for CLIP in it", FILES[0], FILES[1]);
    Failure::new("bad_file", message, "name the folder `tokenizer` of a Stable Diffusion model")
}

/// The vocabulary in a folder, or in those of a model.
fn within(folder: &Folder) -> Option<Folder> {
    let parts = PLACES.into_iter().map(|name| folder.part(name));
    std::iter::once(folder.clone()).chain(parts).find(|folder| matches!(read(folder), Ok(Some(_))))
}

/// The vocabulary that lies in a folder itself; `None` where there is none.
///
/// # Errors
/// What is wrong with its files.
pub(super) fn read(folder: &Folder) -> Result<Option<ClipTokenizer>, Failure> {
    let [words, merges, both] = FILES.map(|name| folder.file(name));
    Ok(match (words?, merges?, both?) {
        (Some(words), Some(merges), _) => {
            Some(ClipTokenizer::from_files(words.as_slice(), merges.as_slice())?)
        }
        (_, _, Some(both)) => Some(ClipTokenizer::from_tokenizer_json(both.as_slice())?),
        _ => None,
    })
}

/// The vocabulary of an image model of the store with as many tokens.
fn of_others(store: &Store, files: &ImageFiles) -> Option<Found> {
    let n_tokens = ENCODERS.iter().find_map(|encoder| {
        let (_, settings) = files.settings(encoder).ok()??;
        settings["vocab_size"].as_u64()
    })?;
    store.list().ok()?.models.iter().find_map(|model| {
        let is_place = |name: &String| PLACES.iter().any(|place| name.starts_with(&format!("{place}/")));
        let has_words = |file: &store::FileRef| file.name.as_ref().is_some_and(is_place);
        model.manifest.files.iter().any(has_words).then_some(())?;
        let folder = within(&Folder::of(store, model).ok()?)?;
        let tokenizer = read(&folder).ok()??;
        let is_it = u64::from(tokenizer.begin().max(tokenizer.end())) + 1 == n_tokens;
        is_it.then(|| Found { folder, of: Some(model.name.to_string()) })
    })
}

/// The failure of who has none.
pub(super) fn missing(label: &str) -> Failure {
    let message = format!(
        "{label}: prompts are read with CLIP's vocabulary, {} and {}, which such a file does not hold",
        FILES[0], FILES[1]
    );
    let hint = "name the folder that has both with --tokenizer: `tokenizer` of any Stable Diffusion folder, or that of \
                openai/clip-vit-large-patch14; once a model of the store has them, they are found by themselves";
    Failure::new("bad_file", message, hint)
}
