//! The store's way to models of others: they stand behind its own, under their names.
//!
//! Does not: remember anything of them. `Store::copy` and `Store::create` do, by a manifest that refers to the files
//! and notices when they change.

use crate::draft::hash_file;
use crate::manifest::to_json;
use crate::{Digest, Error, FileRef, Location, Manifest, Model, ModelInfo, ModelName, Result, Store};

use super::place::Candidate;
use super::{Elsewhere, Folder, Found, Place, candidates, hugging_face, list, ollama};

impl Store {
    /// The same store, which also finds the models in these folders. Its own go first.
    #[must_use]
    pub fn with_folders(self, folders: Vec<Folder>) -> Self {
        Self { folders, ..self }
    }

    /// The models in the folders of others, whatever the store's own are called.
    ///
    /// # Errors
    /// Those of [`list`].
    pub fn elsewhere(&self) -> Result<Elsewhere> {
        let mut all = Elsewhere::default();
        for folder in &self.folders {
            let Elsewhere { models, skipped } = list(&*self.disk, folder)?;
            all.models.extend(models);
            all.skipped.extend(skipped);
        }
        Ok(all)
    }

    /// The model that a text names: `name[:tag][@sha256:…]` as [`Store::get`] finds it, or
    /// `hf.co/user/repo[:TAG]@revision` with a branch or the first letters (at least seven) of a commit.
    ///
    /// # Errors
    /// Those of [`Store::get`].
    pub fn find(&self, text: &str) -> Result<Model> {
        let bad_name = match ModelName::parse(text) {
            Ok(name) => return self.get(&name),
            Err(error) => error,
        };
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) if !revision.starts_with("sha256:") => (path, Some(revision)),
            Some(_) => return Err(bad_name),
            None => (text, None),
        };
        // `hf.co/gpt2` is a repository of the first days.
        let path = match path.strip_prefix("hf.co/") {
            Some(repository) if !repository.contains('/') => format!("hf.co/library/{repository}"),
            _ => path.to_owned(),
        };
        let Ok(name) = ModelName::parse(&path) else { return Err(bad_name) };
        let is_meant = |found: &Found| match (revision, &found.revision) {
            (None, _) => true,
            (Some(wanted), Some(known)) => {
                known.label == wanted || (wanted.len() >= 7 && known.commit.starts_with(wanted))
            }
            (Some(_), None) => false,
        };
        self.find_elsewhere(&name, &is_meant)?.ok_or_else(|| self.not_found(&name))
    }

    /// The model of others that has this name, if there is one.
    pub(crate) fn find_elsewhere(
        &self,
        name: &ModelName,
        is_meant: &dyn Fn(&Found) -> bool,
    ) -> Result<Option<Model>> {
        let mut elsewhere = Elsewhere::default();
        for (folder, candidate) in self.candidates()? {
            if candidate.may_be(name) {
                candidate.read(&*self.disk, folder, &mut elsewhere);
            }
        }
        let Elsewhere { models, skipped } = elsewhere;
        let mut models: Vec<Found> = models.into_iter().filter(|found| is_meant(found)).collect();
        // Where no branch is named, `main` is meant, and then whichever comes first.
        models.sort_by_key(|found| found.revision.as_ref().is_some_and(|revision| revision.label != "main"));
        let exact = models.iter().position(|found| found.has_name(name));
        let only =
            || models.iter().position(|found| found.is_only && name.tag().eq_ignore_ascii_case("latest"));
        if let Some(at) = exact.or_else(only) {
            return self.model_of(&models[at]).map(Some);
        }
        let broken = skipped.into_iter().next().filter(|_| models.is_empty());
        match broken {
            Some(skipped) => Err(Error::Unusable(Box::new(skipped))),
            None => Ok(None),
        }
    }

    /// Whose model this name would be, if it is not the store's own.
    pub(crate) fn owner(&self, name: &ModelName) -> Option<Place> {
        let candidates = self.candidates().ok()?;
        candidates.into_iter().find(|(_, candidate)| candidate.may_be(name)).map(|(folder, _)| folder.place)
    }

    /// The names of the models of others, as they are shown.
    pub(crate) fn names_elsewhere(&self) -> Vec<String> {
        let candidates = self.candidates().unwrap_or_default();
        candidates.into_iter().map(|(_, candidate)| candidate.shown).collect()
    }

    fn candidates(&self) -> Result<Vec<(&Folder, Candidate)>> {
        let mut all = Vec::new();
        for folder in &self.folders {
            let found = candidates(&*self.disk, folder)?.into_iter().flatten();
            all.extend(found.map(|candidate| (folder, candidate)));
        }
        Ok(all)
    }

    /// A model of others as the store shows its own. Files without a known digest are read for it: the small files
    /// of a repository, and all of them where the system has no links.
    ///
    /// # Errors
    /// [`Error::Unusable`] for settings that cannot be read, and those of reading.
    pub fn model_of(&self, found: &Found) -> Result<Model> {
        let parameters = match found.place {
            Place::Ollama => ollama::settings(&*self.disk, found).map_err(|reason| found.unusable(reason))?,
            Place::HuggingFace => serde_json::Map::new(),
        };
        let mut files = Vec::with_capacity(found.files.len());
        for file in found.files.iter().cloned() {
            let digest = match file.digest {
                Some(digest) => digest,
                None => hash_file(&*self.disk, &file.path)?.0,
            };
            let location = Location::InPlace { path: file.path, modified_ns: file.modified_ns };
            let (role, size_bytes, format, name) = (file.role, file.size_bytes, file.format, file.name);
            files.push(FileRef { role, digest, size_bytes, format, name, location });
        }
        let source = format!("{} in {}", found.full_name(), found.place);
        let newest_ns = found.files.iter().map(|file| file.modified_ns).max().unwrap_or(0);
        let created_ms = u64::try_from(newest_ns / 1_000_000).unwrap_or(0);
        let manifest = Manifest::new(files, ModelInfo { parameters, source }, created_ms);
        let digest = Digest::of(&to_json(&manifest));
        Ok(Model {
            name: found.name.clone(),
            digest,
            manifest,
            versions: vec![digest],
            is_pinned: false,
            place: Some(found.place),
        })
    }
}

impl Candidate {
    fn may_be(&self, name: &ModelName) -> bool {
        match self.place {
            Place::Ollama => ollama::is_meant(&self.name, name),
            Place::HuggingFace => hugging_face::is_meant(&self.name, name),
        }
    }
}

impl Found {
    /// Whether this name, as somebody typed it, is that of this model.
    pub(crate) fn has_name(&self, name: &ModelName) -> bool {
        match self.place {
            Place::Ollama => ollama::is_meant(&self.name, name),
            Place::HuggingFace => self.name == name.without_digest(),
        }
    }

    fn unusable(&self, reason: super::Reason) -> Error {
        let path = self.files.first().map(|file| file.path.clone()).unwrap_or_default();
        let name = self.shown.clone();
        Error::Unusable(Box::new(super::Skipped { name, place: self.place, path, reason }))
    }
}
