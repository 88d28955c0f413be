//! The cache of Hugging Face's hub: repositories with commits, whose files are links to blobs.
//!
//! Does not: follow a link out of the cache, or look at data sets and spaces. Where the system has no links a
//! snapshot holds the files themselves; then no digest is known before they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base::disk::{Disk, Kind};
use serde::Deserialize;

use super::contents::{Weights, role_of, weights};
use super::place::{Candidate, Revision, facts_of};
use super::{Elsewhere, Folder, Found, FoundFile, Place, Reason, Skipped, text};
use crate::error::shown;
use crate::{Digest, ModelName, Result, Role};

/// The most repositories of a cache, snapshots and references of a repository, and files of a snapshot.
const MAX_REPOSITORIES: usize = 10_000;
const MAX_REVISIONS: usize = 256;
const MAX_FILES: usize = 4096;

/// How deep folders are looked into: `snapshot/Q8_0/part.gguf`, `refs/pr/1`.
const MAX_DEPTH: usize = 3;

/// The most bytes of a list of shards; that of a model with 90,000 tensors has 9 MB.
const MAX_INDEX_BYTES: u64 = 32 << 20;

/// The letters of a commit that stand for it where no branch does.
const SHORT_COMMIT: usize = 12;

/// Every repository with a model, by its folder's name.
pub(super) fn candidates(
    disk: &dyn Disk,
    folder: &Folder,
) -> Result<Vec<std::result::Result<Candidate, Skipped>>> {
    let folders = text::folders(disk, &folder.path)?.into_iter();
    let candidates = folders.filter_map(|path| {
        let id = text::last_part(&path).strip_prefix("models--")?.to_owned();
        Some(candidate(&id, path))
    });
    Ok(candidates.take(MAX_REPOSITORIES).collect())
}

/// Repositories of the first days have no user: they are named as if it were `library`.
fn candidate(id: &str, path: PathBuf) -> std::result::Result<Candidate, Skipped> {
    let (full, shown_name) = match id.split_once("--") {
        Some((user, repository)) => {
            (format!("hf.co/{user}/{repository}"), format!("hf.co/{user}/{repository}"))
        }
        None => (format!("hf.co/library/{id}"), format!("hf.co/{id}")),
    };
    match ModelName::parse(&full) {
        Ok(name) => Ok(Candidate { name, shown: shown_name, place: Place::HuggingFace, path }),
        Err(error) => {
            let reason = Reason::BadName { rule: error.to_string() };
            Err(Skipped { name: shown(&shown_name), place: Place::HuggingFace, path, reason })
        }
    }
}

/// Whether a name that somebody typed may be that of a model of this repository.
pub(super) fn is_meant(name: &ModelName, wanted: &ModelName) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let host = same(name.host(), wanted.host());
    host && same(name.namespace(), wanted.namespace()) && same(name.name(), wanted.name())
}

pub(super) fn read(candidate: &Candidate, disk: &dyn Disk, folder: &Folder, elsewhere: &mut Elsewhere) {
    let snapshots = revisions(candidate, disk).and_then(|revisions| {
        // The folder may itself be reached by a link; what counts is where it leads.
        let root = real_path(disk, &folder.path)?;
        Ok((revisions, root))
    });
    let (revisions, root) = match snapshots {
        Ok(found) => found,
        Err(reason) => return elsewhere.skipped.push(candidate.skip(reason)),
    };
    if revisions.is_empty() {
        return elsewhere.skipped.push(candidate.skip(no_weights(candidate, disk)));
    }
    for revision in revisions {
        let snapshot = Snapshot {
            candidate,
            disk,
            root: &root,
            folder: candidate.path.join("snapshots").join(&revision.commit),
            revision,
        };
        snapshot.read(elsewhere);
    }
}

/// The snapshots, those with a branch first, `main` before all.
fn revisions(candidate: &Candidate, disk: &dyn Disk) -> std::result::Result<Vec<Revision>, Reason> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error: crate::Error| Reason::NotTheFormat { path, message: error.to_string() }
    };
    let refs = candidate.path.join("refs");
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (label, path, kind) in walk(disk, &refs, MAX_REVISIONS).map_err(unreadable(&refs))? {
        let bytes = if kind == Kind::File { text::read(disk, &path, 256) } else { continue };
        let commit = String::from_utf8_lossy(&bytes?).trim().to_owned();
        let known = labels.entry(commit).or_insert_with(|| label.clone());
        if label == "main" {
            *known = label;
        }
    }
    let snapshots = candidate.path.join("snapshots");
    let folders = text::folders(disk, &snapshots).map_err(unreadable(&snapshots))?;
    if folders.len() > MAX_REVISIONS {
        return Err(Reason::TooMany { what: "snapshots", limit: MAX_REVISIONS });
    }
    let mut revisions: Vec<Revision> = folders
        .iter()
        .map(|folder| text::last_part(folder))
        .filter(|commit| commit.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .map(|commit| {
            let short = || commit.chars().take(SHORT_COMMIT).collect();
            let label = labels.get(&commit).filter(|label| is_label(label)).cloned();
            Revision { label: label.unwrap_or_else(short), commit }
        })
        .collect();
    let rank = |revision: &Revision| match (revision.label == "main", labels.contains_key(&revision.commit)) {
        (true, _) => 0,
        (false, is_labelled) => 2 - usize::from(is_labelled),
    };
    revisions.sort_by_key(rank);
    Ok(revisions)
}

/// Whether a branch's name can be shown and typed.
fn is_label(label: &str) -> bool {
    label.len() <= 96 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
}

/// Everything below a folder that is no folder itself: name with slashes, path, kind.
fn walk(disk: &dyn Disk, folder: &Path, limit: usize) -> Result<Vec<(String, PathBuf, Kind)>> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), folder.to_owned(), 1)];
    while let Some((prefix, folder, depth)) = open.pop() {
        for entry in text::entries(disk, &folder)? {
            // What is not in UTF-8 is no file of a model, and could not be written down.
            let Some(name) = entry.name.to_str().map(|name| format!("{prefix}{name}")) else { continue };
            let path = folder.join(&entry.name);
            match entry.kind {
                Kind::Directory if depth < MAX_DEPTH => open.push((format!("{name}/"), path, depth + 1)),
                Kind::Directory => {}
                kind if found.len() < limit => found.push((name, path, kind)),
                _ => return Ok(found),
            }
        }
    }
    found.sort();
    Ok(found)
}

fn real_path(disk: &dyn Disk, path: &Path) -> std::result::Result<PathBuf, Reason> {
    disk.real_path(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Reason::MissingFile { path: path.to_owned() },
        _ => Reason::NotTheFormat { path: path.to_owned(), message: error.to_string() },
    })
}

/// Why a snapshot without weights has none: perhaps they are on their way.
fn no_weights(candidate: &Candidate, disk: &dyn Disk) -> Reason {
    let blobs = candidate.path.join("blobs");
    let entries = text::entries(disk, &blobs).unwrap_or_default();
    let is_partial = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(b".incomplete");
    let partial = entries.into_iter().find(|entry| is_partial(&entry.name));
    partial.map_or(Reason::NoWeights, |entry| Reason::HalfDownloaded { path: blobs.join(entry.name) })
}

/// One commit of a repository, as far as it was fetched.
struct Snapshot<'a> {
    candidate: &'a Candidate,
    disk: &'a dyn Disk,
    root: &'a Path,
    folder: PathBuf,
    revision: Revision,
}

impl Snapshot<'_> {
    fn read(&self, elsewhere: &mut Elsewhere) {
        let files = match walk(self.disk, &self.folder, MAX_FILES) {
            Ok(files) => files,
            Err(error) => {
                let message = error.to_string();
                let reason = Reason::NotTheFormat { path: self.folder.clone(), message };
                return elsewhere.skipped.push(self.skip(None, reason));
            }
        };
        let needed = files.iter().map(|(name, _, _)| name.as_str()).filter(|name| role_of(name).is_some());
        let names: BTreeSet<&str> = needed.collect();
        let models = weights(names.iter().copied());
        if models.is_empty() {
            return elsewhere.skipped.push(self.skip(None, no_weights(self.candidate, self.disk)));
        }
        let is_only = models.len() == 1;
        for model in models {
            match self.found(&model, &names) {
                Ok(found) => elsewhere.models.push(Found { is_only, ..found }),
                Err(reason) => elsewhere.skipped.push(self.skip(model.tag.as_deref(), reason)),
            }
        }
    }

    fn found(&self, model: &Weights, names: &BTreeSet<&str>) -> std::result::Result<Found, Reason> {
        let missing = self.missing_parts(model, names)?;
        if let Some(missing) = missing.into_iter().next() {
            return Err(Reason::HalfDownloaded { path: self.folder.join(missing) });
        }
        let name = match &model.tag {
            Some(tag) => ModelName::parse(&format!("{}:{tag}", self.candidate.name)),
            None => Ok(self.candidate.name.clone()),
        };
        let name = name.map_err(|error| Reason::BadName { rule: error.to_string() })?;
        let mut files = Vec::new();
        for file in &model.names {
            files.push(self.file(file)?);
        }
        for file in names.iter().filter(|name| belongs(name, model)) {
            files.push(self.file(file)?);
        }
        // The files that say most of their kind stand first.
        let rank = |file: &FoundFile| {
            let name = file.name.as_deref().unwrap_or_default();
            (file.role, !["config.json", "tokenizer.json"].contains(&name))
        };
        files.sort_by_key(rank);
        let tag = model.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let shown = format!("{}{tag}@{}", self.candidate.shown, self.revision.label);
        let revision = Some(self.revision.clone());
        Ok(Found { name, shown, place: Place::HuggingFace, revision, is_only: false, files })
    }

    /// The parts of the weights that are not here, by the list of parts or else by the parts' own names.
    fn missing_parts(
        &self,
        model: &Weights,
        names: &BTreeSet<&str>,
    ) -> std::result::Result<Vec<String>, Reason> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let index = match model.format {
            "safetensors" => "model.safetensors.index.json",
            "pytorch" => "pytorch_model.bin.index.json",
            _ => return Ok(model.missing_parts()),
        };
        if !names.contains(index) {
            return Ok(model.missing_parts());
        }
        let path = self.file(index)?.path;
        let index: Index = text::read_json(self.disk, &path, MAX_INDEX_BYTES)?;
        let parts: BTreeSet<String> = index.weight_map.into_values().collect();
        let wrong = parts.iter().find(|part| !matches!(role_of(part), Some((Role::Model, _))));
        if let Some(wrong) = wrong {
            let message = format!("\"{}\" is no name of a part", shown(wrong));
            return Err(Reason::NotTheFormat { path, message });
        }
        Ok(parts.into_iter().filter(|part| !names.contains(part.as_str())).collect())
    }

    /// A file, once its link is seen to end inside the cache.
    fn file(&self, name: &str) -> std::result::Result<FoundFile, Reason> {
        let path = self.folder.join(name);
        let real = real_path(self.disk, &path)?;
        if !real.starts_with(self.root) {
            return Err(Reason::LeadsOutside { path });
        }
        let facts = facts_of(self.disk, &path)?;
        let (role, format) = role_of(name).ok_or(Reason::NoWeights)?;
        let is_blob = real.parent().and_then(Path::file_name).is_some_and(|folder| folder == "blobs");
        // A blob of Git's own has a name of 40 digits, which is no digest of its bytes alone.
        let digest = Digest::parse(&format!("sha256:{}", text::last_part(&real))).ok().filter(|_| is_blob);
        Ok(FoundFile {
            role,
            format: format.into(),
            name: Some(name.to_owned()),
            path,
            size_bytes: facts.size_bytes,
            modified_ns: facts.modified_ns,
            digest,
        })
    }

    fn skip(&self, tag: Option<&str>, reason: Reason) -> Skipped {
        let tag = tag.map(|tag| format!(":{}", shown(tag))).unwrap_or_default();
        let name = format!("{}{tag}@{}", self.candidate.shown, self.revision.label);
        Skipped { name, place: Place::HuggingFace, path: self.folder.clone(), reason }
    }
}

/// Whether a file that is no weights goes with these weights.
fn belongs(name: &str, model: &Weights) -> bool {
    match role_of(name) {
        None | Some((Role::Model | Role::Adapter, _)) => false,
        Some((Role::Card | Role::License, _)) => true,
        Some((Role::Projector, _)) => model.format == "gguf",
        Some((Role::Index, _)) => name.starts_with("model.") == (model.format == "safetensors"),
        Some(_) => model.format != "gguf",
    }
}
