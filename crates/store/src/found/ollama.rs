//! Ollama's folder of models: manifests that name blobs by their digests.
//!
//! Does not: follow a path in a manifest (`from`): only digests of 64 hex digits lead to a file. Templates there are
//! Go's; the weights bring the Jinja template that Hearth renders.
//!
//! Source: the OCI image manifest, version 2 of Docker; Ollama's media types `application/vnd.ollama.image.*`.

use std::path::{Path, PathBuf};

use base::disk::{Disk, Kind};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::place::{Candidate, facts_of};
use super::{Elsewhere, Folder, Found, FoundFile, Place, Reason, Skipped, text};
use crate::about::{Parameters, Settings};
use crate::error::shown;
use crate::{Digest, ModelName, Result, Role};

const REGISTRY: &str = "registry.ollama.ai";
const MEDIA_TYPE: &str = "application/vnd.ollama.image.";

/// The most manifests that are looked at.
const MAX_MANIFESTS: usize = 10_000;

/// The most bytes of a manifest, of the text of a prompt, and the most layers.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;
const MAX_SETTINGS_BYTES: u64 = 1 << 20;
const MAX_LAYERS: usize = 1024;

/// What a manifest says, as far as it is needed.
#[derive(Deserialize)]
struct OllamaManifest {
    #[serde(default)]
    config: Option<Layer>,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    size: u64,
}

/// Every manifest, by its path.
pub(super) fn candidates(
    disk: &dyn Disk,
    folder: &Folder,
) -> Result<Vec<std::result::Result<Candidate, Skipped>>> {
    let mut found = Vec::new();
    for host in text::folders(disk, &folder.path.join("manifests"))? {
        for namespace in text::folders(disk, &host)? {
            for model in text::folders(disk, &namespace)? {
                let entries = text::entries(disk, &model)?.into_iter();
                let manifests = entries.filter(|entry| entry.kind == Kind::File);
                found.extend(manifests.map(|entry| candidate(&model.join(entry.name))));
                if found.len() > MAX_MANIFESTS {
                    let reason = Reason::TooMany { what: "manifests", limit: MAX_MANIFESTS };
                    let (name, path) = ("Ollama".to_owned(), folder.path.clone());
                    found.truncate(MAX_MANIFESTS);
                    found.push(Err(Skipped { name, place: Place::Ollama, path, reason }));
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

fn candidate(path: &Path) -> std::result::Result<Candidate, Skipped> {
    let parts: Vec<String> = path.ancestors().take(4).map(text::last_part).collect();
    let [tag, model, namespace, host] = &parts[..] else { unreachable!("it lies four folders deep") };
    let full = format!("{host}/{namespace}/{model}:{tag}");
    let name = ModelName::parse(&full).map_err(|error| Skipped {
        name: shown(&full),
        place: Place::Ollama,
        path: path.to_owned(),
        reason: Reason::BadName { rule: error.to_string() },
    })?;
    let short = ModelName::parse(&format!("{namespace}/{model}:{tag}")).ok();
    let short = short.filter(|_| host.eq_ignore_ascii_case(REGISTRY));
    let shown = short.unwrap_or_else(|| name.clone()).to_string();
    Ok(Candidate { name, shown, place: Place::Ollama, path: path.to_owned() })
}

/// Whether a name that somebody typed may be that of a model of Ollama's, whose registry it need not name.
pub(super) fn is_meant(name: &ModelName, wanted: &ModelName) -> bool {
    let wanted = wanted.without_digest();
    let short = || ModelName::parse(&format!("{}/{}:{}", name.namespace(), name.name(), name.tag())).ok();
    *name == wanted
        || (name.host().eq_ignore_ascii_case(REGISTRY) && short().is_some_and(|name| name == wanted))
}

pub(super) fn read(candidate: &Candidate, disk: &dyn Disk, folder: &Folder, elsewhere: &mut Elsewhere) {
    match files_of(candidate, disk, &folder.path.join("blobs")) {
        Ok(files) => elsewhere.models.push(Found {
            name: candidate.name.clone(),
            shown: candidate.shown.clone(),
            place: Place::Ollama,
            revision: None,
            is_only: false,
            files,
        }),
        Err(reason) => elsewhere.skipped.push(candidate.skip(reason)),
    }
}

fn files_of(
    candidate: &Candidate,
    disk: &dyn Disk,
    blobs: &Path,
) -> std::result::Result<Vec<FoundFile>, Reason> {
    let manifest: OllamaManifest = text::read_json(disk, &candidate.path, MAX_MANIFEST_BYTES)?;
    if manifest.layers.len() > MAX_LAYERS {
        return Err(Reason::TooMany { what: "layers", limit: MAX_LAYERS });
    }
    let mut files = Vec::new();
    for layer in &manifest.layers {
        let Some((role, format)) = role_of(&layer.media_type) else { continue };
        files.push(file_of(candidate, disk, blobs, (layer, role, format))?);
    }
    if !files.iter().any(|file| file.role == Role::Model) {
        return Err(Reason::NoWeights);
    }
    if let Some(config) = &manifest.config {
        files.push(file_of(candidate, disk, blobs, (config, Role::Config, "ollama-config"))?);
    }
    Ok(files)
}

fn role_of(media_type: &str) -> Option<(Role, &'static str)> {
    Some(match media_type.strip_prefix(MEDIA_TYPE)? {
        "model" => (Role::Model, "gguf"),
        "projector" => (Role::Projector, "gguf"),
        "adapter" => (Role::Adapter, "gguf"),
        "template" => (Role::Template, "go-template"),
        "license" => (Role::License, "text"),
        "params" => (Role::Parameters, "params"),
        "system" => (Role::Parameters, "system"),
        "messages" => (Role::Parameters, "messages"),
        _ => return None,
    })
}

fn file_of(
    candidate: &Candidate,
    disk: &dyn Disk,
    blobs: &Path,
    (layer, role, format): (&Layer, Role, &str),
) -> std::result::Result<FoundFile, Reason> {
    let digest = Digest::parse(&layer.digest).map_err(|error| {
        let message = error.to_string();
        Reason::NotTheFormat { path: candidate.path.clone(), message }
    })?;
    let (path, facts) = blob(disk, blobs, &digest)?;
    if facts.size_bytes != layer.size {
        return Err(Reason::WrongSize { path, expected: layer.size, found: facts.size_bytes });
    }
    let (size_bytes, modified_ns) = (facts.size_bytes, facts.modified_ns);
    let digest = Some(digest);
    Ok(FoundFile { role, format: format.into(), name: None, path, size_bytes, modified_ns, digest })
}

/// Where a blob lies: older versions of Ollama put a colon into its name.
fn blob(
    disk: &dyn Disk,
    blobs: &Path,
    digest: &Digest,
) -> std::result::Result<(PathBuf, base::disk::Facts), Reason> {
    let path = blobs.join(digest.file_name());
    let missing = match facts_of(disk, &path) {
        Err(missing @ Reason::MissingFile { .. }) => missing,
        other => return other.map(|facts| (path, facts)),
    };
    let old = blobs.join(digest.to_string());
    if let Ok(facts) = facts_of(disk, &old) {
        return Ok((old, facts));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push("-partial");
    if disk.facts(Path::new(&partial)).is_ok() { Err(Reason::HalfDownloaded { path }) } else { Err(missing) }
}

/// The digests that a manifest names, as far as they are some; for fuzzing.
pub(crate) fn digests(manifest: &[u8]) -> Vec<Digest> {
    let manifest = serde_json::from_slice::<OllamaManifest>(manifest).ok();
    let layers = manifest.into_iter().flat_map(|manifest| manifest.layers.into_iter().chain(manifest.config));
    layers.filter_map(|layer| Digest::parse(&layer.digest).ok()).collect()
}

/// What the files of settings say, as a manifest of Hearth's keeps it.
pub(super) fn settings(disk: &dyn Disk, found: &Found) -> std::result::Result<Map<String, Value>, Reason> {
    let mut settings = Settings::default();
    for file in found.files.iter().filter(|file| file.role == Role::Parameters) {
        match file.format.as_str() {
            "params" => {
                let map: Map<String, Value> = text::read_json(disk, &file.path, MAX_SETTINGS_BYTES)?;
                settings.parameters = Parameters::read(&map);
            }
            "system" => {
                let bytes = text::read(disk, &file.path, MAX_SETTINGS_BYTES)?;
                settings.system = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
            _ => {
                let messages: Value = text::read_json(disk, &file.path, MAX_SETTINGS_BYTES)?;
                settings.messages = crate::about::messages(&messages).ok_or_else(|| {
                    let message = "it is no list of messages with role and content".into();
                    Reason::NotTheFormat { path: file.path.clone(), message }
                })?;
            }
        }
    }
    Ok(settings.to_map())
}
