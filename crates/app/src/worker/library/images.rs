//! Image models in the store: which files of a folder belong to one, and what is shown of it.

use serde_json::Map;
use store::Role;
use store::found::role_of;

use super::bring::Part;
use super::show::{n_parameters, tensors};
use crate::Failure;
use crate::event::library::{Ability, About};
use crate::event::{Details, Model};
use crate::worker::draw::parts::{INDEX, Parts, SCHEDULER_CONFIG};
use crate::worker::folder::Folder;

/// The name of the pipeline that the files were written for; `None` where they are of no image model.
pub(super) fn class(folder: &Folder) -> Option<String> {
    Some(folder.settings(INDEX).ok()??["_class_name"].as_str()?.to_owned())
}

/// Refuses files that could not draw, before a byte of them is stored.
pub(super) fn check(folder: &Folder) -> Result<(), Failure> {
    Parts { folder, device: &ops::device::cpu() }.check()
}

/// Everything in a folder that belongs to the model, under its name with a slash.
pub(super) fn files(folder: &Folder) -> Result<Vec<Part>, Failure> {
    let device = ops::device::cpu();
    let parts = Parts { folder, device: &device };
    let mut files = Vec::new();
    for (name, folder) in parts.folders() {
        for file in ["config.json", SCHEDULER_CONFIG, "vocab.json", "merges.txt", "tokenizer_config.json"] {
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
    let parts = Parts { folder, device: &device };
    let architecture = class(folder).unwrap_or_default();
    let encoder = parts.auto_encoder_config()?;
    let side = parts.usual_side()?.saturating_mul(encoder.shrinking());
    let [texts, unet, pixels] = parts.sizes();
    let sizes = [
        ("picture", format!("{side} x {side}")),
        ("channels of latents", encoder.latents.to_string()),
        ("pixels below one latent", format!("{0} x {0}", encoder.shrinking())),
        ("bytes of the text encoders", texts.to_string()),
        ("bytes of the U-Net", unet.to_string()),
        ("bytes of the auto-encoder", pixels.to_string()),
    ];
    let (mut all, mut n_weights) = (Vec::new(), 0);
    for (name, folder) in
        parts.folders().into_iter().filter(|(_, folder)| folder.path("config.json").is_some())
    {
        let file = folder.tensors()?;
        n_weights += n_parameters(&file);
        all.extend(
            tensors(&file)
                .into_iter()
                .map(|(tensor, shape, storage, bytes)| (format!("{name}.{tensor}"), shape, storage, bytes)),
        );
    }
    let index = folder.settings(INDEX)?.unwrap_or_default();
    Ok(Details {
        model: Model { architecture, ..model },
        n_parameters: n_weights,
        sizes: sizes.map(|(name, value)| (name.to_owned(), value)).into(),
        metadata: Vec::new(),
        tensors: all,
        chat_template: String::new(),
        facts: index.as_object().cloned().unwrap_or_else(Map::new),
        abilities: vec![Ability::Draw],
        about: About::default(),
    })
}
