//! Jobs on the models that there are: import, list, show, create, copy, remove, verify, versions.

use std::path::Path;

use formats::{FileBytes, TensorFile};
use store::found::Found;
use store::{ModelName, Role, Source, Store};

use super::adapters::AdapterSource;
use super::folder::Folder;
use super::open::{self, Meant};
use crate::event::Model;
use crate::event::library::{Adapter, Skipped};
use crate::job::Job;
use crate::running::Reporter;
use crate::{Event, Failure, starter};

mod bring;
mod check;
mod create;
mod difference;
mod images;
mod lines;
mod make;
mod show;
mod versions;

/// Runs one job to its last event.
pub(crate) fn run(store: &Store, job: Job, now_ms: u64, reporter: &Reporter) {
    let library = Library { store, now_ms, reporter };
    reporter.finish(|| library.run(job));
}

struct Library<'a> {
    store: &'a Store,
    now_ms: u64,
    reporter: &'a Reporter,
}

impl Library<'_> {
    fn run(&self, job: Job) -> Result<Event, Failure> {
        match job {
            Job::Import(import) => self.import(&import),
            Job::List => self.list(),
            Job::Show { model } => self.show(&model),
            Job::Create(create) => self.create(&create),
            Job::Make(make) => self.make(&make),
            Job::Blob { digest } => self.blob(&digest),
            Job::Tokenise(job) => super::words::tokenise(self.store, &job),
            Job::Detokenise(job) => super::words::detokenise(self.store, &job),
            Job::Modelfile { model } => self.modelfile(&model),
            Job::PlanCollection { n_versions } => self.plan_collection(n_versions),
            Job::Collect(collectable) => self.collect(&collectable),
            Job::Pin { model } => self.pin(&model),
            Job::Unpin { model } => self.unpin(&model),
            Job::RollBack(roll_back) => self.roll_back(&roll_back),
            Job::Compare { from, to } => self.compare(&from, &to),
            Job::Copy { from, to } => self.copy(&from, &to),
            Job::Remove { model } => self.remove(&model),
            Job::Verify { model } => self.verify(model.as_deref()),
            Job::Export(export) => super::export::run(self.store, &export),
            Job::Generate(_)
            | Job::Train(_)
            | Job::Quantise(_)
            | Job::Runs(_)
            | Job::Bench(_)
            | Job::Fit(_)
            | Job::Pull(_)
            | Job::Embed(_)
            | Job::Draw(_)
            | Job::Upscale(_)
            | Job::Rerank(_)
            | Job::Keys(_)
            | Job::Render(_)
            | Job::Loaded
            | Job::Unload { .. }
            | Job::Outdated { .. } => Err(Failure::internal()),
        }
    }

    fn list(&self) -> Result<Event, Failure> {
        let listing = self.store.list()?;
        let mut models: Vec<Model> = listing.models.iter().map(|model| self.model(model)).collect();
        if !models.iter().any(|model| model.name == starter::NAME) {
            models.insert(0, starter_model());
        }
        models.extend(listing.found.iter().map(found_model));
        let broken = listing.broken.into_iter().map(Failure::from).collect();
        let skipped = |skipped: &store::found::Skipped| Skipped {
            name: skipped.name.clone(),
            place: skipped.place.to_string(),
            reason: skipped.reason.to_string(),
        };
        Ok(Event::Models { models, broken, skipped: listing.skipped.iter().map(skipped).collect() })
    }

    fn copy(&self, from: &str, to: &str) -> Result<Event, Failure> {
        let to = ModelName::parse(to)?;
        let model = match open::named(self.store, from)? {
            Meant::Model(_) => self.store.copy(&ModelName::parse(from)?, &to)?,
            Meant::Starter => {
                let file = starter::file();
                self.store(&to, Source::Bytes(file.as_slice()), Path::new(starter::NAME))?
            }
        };
        Ok(Event::Stored(self.model(&model)))
    }

    fn remove(&self, name: &str) -> Result<Event, Failure> {
        let name = ModelName::parse(name)?;
        match self.store.remove(&name) {
            Err(store::Error::NotFound { .. }) if open::is_starter(&name) => {
                let message = format!("\"{}\" is part of Hearth and cannot be removed", starter::NAME);
                Err(Failure::new("built_in", message, "it takes no room in your store"))
            }
            removed => {
                let freed_bytes = removed?.freed_bytes;
                Ok(Event::Removed { model: name.to_string(), freed_bytes })
            }
        }
    }

    fn model(&self, model: &store::Model) -> Model {
        described(self.store, model)
    }
}

/// What is told of a model in the store.
pub(super) fn described(store: &Store, model: &store::Model) -> Model {
    let file = model.manifest.file(Role::Model);
    let architecture = match file {
        Some(file) if file.format == "gguf" => store.locate(file).ok().map(|path| architecture_of(&path)),
        _ => Folder::of(store, model).ok().and_then(|folder| architecture_in(&folder)),
    };
    Model {
        name: model.name.to_string(),
        digest: model.digest.to_string(),
        size_bytes: model.manifest.size_bytes(),
        created_ms: model.manifest.created_ms,
        architecture: architecture.unwrap_or_default(),
        place: model.place.map(|place| place.to_string()).unwrap_or_default(),
        is_pinned: model.is_pinned,
        n_versions: model.versions.len(),
        adapter: adapter(store, model),
    }
}

/// The adapter that a model is or has; one that cannot be read has no rank.
fn adapter(store: &Store, model: &store::Model) -> Option<Adapter> {
    model.manifest.file(Role::Adapter)?;
    let has_model = model.manifest.file(Role::Model).is_some();
    let read = AdapterSource::of_model(store, model).ok().flatten().and_then(|source| source.read().ok());
    let told = |read: formats::adapter::Adapter| Adapter { rank: read.rank(), base: read.base, has_model };
    Some(read.map_or_else(|| Adapter { has_model, ..Adapter::default() }, told))
}

/// A model of others, of which no byte of the weights is read.
fn found_model(found: &Found) -> Model {
    let weights = found.files.iter().find(|file| file.role == Role::Model);
    let settings = found.files.iter().find(|file| file.name.as_deref() == Some("config.json"));
    let architecture = match (weights, settings.and_then(|file| file.path.parent())) {
        (Some(file), _) if file.format == "gguf" => Some(architecture_of(&file.path)),
        (_, Some(folder)) => architecture_in(&Folder::at(folder)),
        _ => None,
    };
    let newest_ns = found.files.iter().map(|file| file.modified_ns).max().unwrap_or(0);
    Model {
        // The short name of the model in the box is taken.
        name: if found.shown == starter::NAME { found.full_name() } else { found.shown.clone() },
        digest: String::new(),
        size_bytes: found.size_bytes(),
        created_ms: u64::try_from(newest_ns / 1_000_000).unwrap_or(0),
        architecture: architecture.unwrap_or_default(),
        place: found.place.to_string(),
        is_pinned: false,
        n_versions: 1,
        adapter: None,
    }
}

fn starter_model() -> Model {
    let file = starter::file();
    Model {
        name: starter::NAME.into(),
        digest: String::new(),
        size_bytes: file.size_bytes(),
        created_ms: 0,
        architecture: formats::gguf::read(&file).map(|file| architecture(&file)).unwrap_or_default(),
        place: String::new(),
        is_pinned: false,
        n_versions: 0,
        adapter: None,
    }
}

/// The architecture that a folder's settings name.
fn architecture_in(folder: &Folder) -> Option<String> {
    if let Some(class) = images::class(folder) {
        return Some(class);
    }
    let config = folder.config().ok()?;
    Some(config.get("architectures")?.get(0)?.as_str()?.to_owned())
}

/// The architecture of a GGUF file; empty for any other.
fn architecture_of(path: &Path) -> String {
    let read = FileBytes::open(path).and_then(|file| formats::gguf::read(&file));
    read.as_ref().map(architecture).unwrap_or_default()
}

fn architecture(file: &TensorFile) -> String {
    file.metadata().find::<&str>("general.architecture").ok().flatten().unwrap_or_default().to_owned()
}
