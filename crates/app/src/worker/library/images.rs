//! Image models in the store: which files of a folder belong to one, and what is shown of it.

use serde_json::Map;
use store::found::role_of;
use store::{Role, Store};

use super::bring::Part;
use super::show::{n_parameters, tensors};
use crate::Failure;
use crate::event::library::{Ability, About};
use crate::event::{Details, Model};
use crate::worker::draw::files::ImageFiles;
use crate::worker::draw::parts::{INDEX, Parts, SCHEDULER_CONFIG};
use crate::worker::draw::vocabulary;
use crate::worker::folder::Folder;

/// What stands in the folder of a part before a vocabulary, and behind it.
const SETTINGS: [&[&str]; 2] = [&["config.json", SCHEDULER_CONFIG], &["generation_config.json"]];

/// The name of the pipeline that the files were written for; `None` where they are of no image model.
pub(super) fn class(folder: &Folder) -> Option<String> {
    Some(ImageFiles::open(folder).ok()?.index().ok()?["_class_name"].as_str()?.to_owned())
}

/// Everything that belongs to the model, under its name with a slash; files that could not draw are refused before a byte
/// of them is stored. One file that holds a whole model is stored with the vocabulary `wanted`, or one that is found.
pub(super) fn files(store: &Store, folder: &Folder, wanted: Option<&str>) -> Result<Vec<Part>, Failure> {
    let files = ImageFiles::open(folder)?;
    let words = vocabulary::find(store, wanted, &files)?.map(|found| found.folder);
    let files = files.with_vocabulary(words.clone());
    Parts { files: &files, device: &ops::device::cpu(), loras: &[], embeddings: &[] }.check()?;
    match words {
        Some(words) => single(folder, &words),
        None => of_folder(folder),
    }
}

/// One file that holds a whole model, and its vocabulary.
fn single(folder: &Folder, words: &Folder) -> Result<Vec<Part>, Failure> {
    let mut files = Vec::new();
    for (file, path) in folder.weights_names()? {
        let (role, format) = role_of(&file).unwrap_or((Role::Model, "safetensors"));
        files.push(Part { path, role, format, name: Some(file) });
    }
    for file in vocabulary::FILES {
        let Some(path) = words.path(file) else { continue };
        let (role, format) = role_of(file).unwrap_or((Role::Config, "json"));
        files.push(Part { path, role, format, name: Some(format!("tokenizer/{file}")) });
    }
    Ok(files)
}

fn of_folder(folder: &Folder) -> Result<Vec<Part>, Failure> {
    let mut files = Vec::new();
    for name in Parts::names() {
        let folder = folder.part(name);
        for file in [SETTINGS[0], &vocabulary::WORD_FILES, SETTINGS[1]].concat() {
            let Some(path) = folder.path(file) else { continue };
            let (role, format) = role_of(file).unwrap_or((Role::Config, "json"));
            files.push(Part { path, role, format, name: Some(format!("{name}/{file}")) });
        }
        let has_weights = folder.path("config.json").is_some();
        for (file, path) in has_weights.then(|| folder.weights_names()).transpose()?.unwrap_or_default() {
            let (role, format) = role_of(&file).unwrap_or((Role::Model, "safetensors"));
            files.push(Part { path, role, format, name: Some(format!("{name}/{file}")) });
        }
    }
    for file in [INDEX, "README.md", "LICENSE", "LICENSE.md"] {
        let Some(path) = folder.path(file) else { continue };
        let (role, format) = role_of(file).unwrap_or((Role::Config, "json"));
        files.push(Part { path, role, format, name: Some(file.to_owned()) });
    }
    Ok(files)
}

/// What is shown of one.
pub(super) fn details(model: Model, folder: &Folder) -> Result<Details, Failure> {
    let device = ops::device::cpu();
    let files = ImageFiles::open(folder)?;
    let parts = Parts { files: &files, device: &device, loras: &[], embeddings: &[] };
    let facts = files.index()?;
    let architecture = facts["_class_name"].as_str().unwrap_or_default().to_owned();
    let encoder = parts.auto_encoder_config()?;
    let side = parts.usual_side()?.saturating_mul(encoder.shrinking());
    let [texts, unet, pixels] = parts.sizes();
    let sizes = [
        ("picture", format!("{side} x {side}")),
        ("channels of latents", encoder.latents.to_string()),
        ("pixels below one latent", format!("{0} x {0}", encoder.shrinking())),
        ("bytes of the text encoders", texts.to_string()),
        ("bytes of the model", unet.to_string()),
        ("bytes of the auto-encoder", pixels.to_string()),
    ];
    let (mut all, mut n_weights) = (Vec::new(), 0);
    let with_weights =
        |name: &'static str| Some(folder.part(name)).filter(|part| part.path("config.json").is_some());
    let opened = match files.single() {
        Some(file) => vec![(String::new(), file.clone())],
        None => Parts::names()
            .filter_map(|name| Some((format!("{name}."), with_weights(name)?)))
            .map(|(prefix, part)| Ok((prefix, part.tensors()?)))
            .collect::<Result<_, Failure>>()?,
    };
    for (prefix, file) in opened {
        n_weights += n_parameters(&file);
        let named = |(tensor, shape, storage, bytes)| (format!("{prefix}{tensor}"), shape, storage, bytes);
        all.extend(tensors(&file).into_iter().map(named));
    }
    Ok(Details {
        model: Model { architecture, ..model },
        n_parameters: n_weights,
        sizes: sizes.map(|(name, value)| (name.to_owned(), value)).into(),
        metadata: Vec::new(),
        tensors: all,
        chat_template: String::new(),
        facts: facts.as_object().cloned().unwrap_or_else(Map::new),
        abilities: vec![Ability::Draw],
        about: About::default(),
    })
}
