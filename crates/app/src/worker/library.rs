//! Jobs on the store: import, list, show, copy, remove, verify.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use formats::metadata::Value;
use formats::{FileBytes, FileKind, TensorFile};
use models::Config;
use store::{ModelInfo, ModelName, NewFile, Role, Source, Store};

use super::convert::Converted;
use super::{loaded, open};
use crate::event::{Details, Model};
use crate::job::{Import, Job, Placement};
use crate::running::Reporter;
use crate::{Event, Failure, starter};

/// Texts of metadata longer than this are shortened where a model is shown.
const SHOWN_CHARACTERS: usize = 200;

/// Runs one job to its last event.
pub(crate) fn run(store: &Store, job: Job, now_ms: u64, reporter: &Reporter) {
    let library = Library { store, now_ms, reporter };
    let result = catch_unwind(AssertUnwindSafe(|| library.run(job)));
    match result.unwrap_or_else(|_| Err(Failure::internal())) {
        Ok(event) => reporter.tell(event),
        Err(failure) => reporter.tell(Event::Failed(failure)),
    }
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
            Job::Show { model } => Ok(Event::Details(Box::new(self.show(&model)?))),
            Job::Copy { from, to } => self.copy(&from, &to),
            Job::Remove { model } => self.remove(&model),
            Job::Verify { model } => self.verify(model.as_deref()),
            Job::Export(export) => super::export::run(self.store, &export),
            Job::Quantise(job) => super::quantise::run(self.store, &job, self.now_ms, self.reporter),
            Job::Generate(_)
            | Job::Train(_)
            | Job::Runs(_)
            | Job::Bench(_)
            | Job::Fit(_)
            | Job::Pull(_)
            | Job::Embed(_)
            | Job::Outdated { .. } => Err(Failure::internal()),
        }
    }

    fn import(&self, import: &Import) -> Result<Event, Failure> {
        let path = std::path::absolute(&import.path).unwrap_or_else(|_| import.path.clone());
        let name = match &import.name {
            Some(name) => ModelName::parse(name)?,
            None => name_of(&path)?,
        };
        let file = FileBytes::open(&path)?;
        let model = match formats::sniff(file.as_slice()) {
            FileKind::Gguf => self.import_gguf(&name, &file, &path, import)?,
            FileKind::Llama2c => self.import_llama2c(&name, &file, import)?,
            found => {
                let wanted = "a GGUF file or a llama2.c checkpoint";
                return Err(formats::Error::WrongKind { file: file.label().into(), wanted, found }.into());
            }
        };
        Ok(Event::Stored(self.model(&model)))
    }

    fn import_gguf(
        &self,
        name: &ModelName,
        file: &FileBytes,
        path: &Path,
        import: &Import,
    ) -> Result<store::Model, Failure> {
        if import.tokenizer.is_some() {
            let message = format!("{}: a GGUF file brings its own vocabulary", file.label());
            return Err(Failure::new("bad_setting", message, "leave `--tokenizer` out"));
        }
        check(&formats::gguf::read(file)?)?;
        let source = match import.placement {
            Placement::Copy => Source::Copy(path.to_owned()),
            Placement::InPlace => Source::InPlace(path.to_owned()),
        };
        self.store(name, source, path)
    }

    fn import_llama2c(
        &self,
        name: &ModelName,
        file: &FileBytes,
        import: &Import,
    ) -> Result<store::Model, Failure> {
        let label = file.label();
        let Some(tokenizer) = &import.tokenizer else {
            let message = format!("{label}: a llama2.c checkpoint has its vocabulary in a file of its own");
            return Err(Failure::new("bad_setting", message, "name it with `--tokenizer FILE`"));
        };
        if import.placement == Placement::InPlace {
            let message = format!("{label}: a llama2.c checkpoint is converted, so it cannot stay in place");
            return Err(Failure::new("bad_setting", message, "leave `--in-place` out"));
        }
        let checkpoint = formats::llama2c::read(file)?;
        let vocabulary = FileBytes::open(tokenizer)?;
        let vocabulary = formats::llama2c::read_tokenizer(&vocabulary, checkpoint.header.vocab_size)
            .map_err(|error| {
                let hint = "import the checkpoint with the vocabulary that it was trained with";
                Failure::new("vocabulary_mismatch", error.to_string(), hint)
            })?;
        let converted = Converted::new(checkpoint, &vocabulary, name.name());
        let at_most_bytes = converted.at_most_bytes();
        converted.stream(|reader| self.store(name, Source::Reader { reader, at_most_bytes }, &import.path))
    }

    fn store(&self, name: &ModelName, source: Source<'_>, from: &Path) -> Result<store::Model, Failure> {
        let file = NewFile { role: Role::Model, format: "gguf".into(), source };
        let info = ModelInfo { source: from.display().to_string(), ..ModelInfo::default() };
        Ok(self.store.import(name, vec![file], info, self.now_ms)?)
    }

    fn list(&self) -> Result<Event, Failure> {
        let listing = self.store.list()?;
        let mut models: Vec<Model> = listing.models.iter().map(|model| self.model(model)).collect();
        if !models.iter().any(|model| model.name == starter::NAME) {
            models.insert(0, starter_model());
        }
        let broken = listing.broken.into_iter().map(Failure::from).collect();
        Ok(Event::Models { models, broken })
    }

    fn copy(&self, from: &str, to: &str) -> Result<Event, Failure> {
        let (from, to) = (ModelName::parse(from)?, ModelName::parse(to)?);
        match self.store.copy(&from, &to) {
            Err(store::Error::NotFound { .. }) if open::is_starter(&from) => {
                let file = starter::file();
                let model = self.store(&to, Source::Bytes(file.as_slice()), Path::new(starter::NAME))?;
                Ok(Event::Stored(self.model(&model)))
            }
            copied => Ok(Event::Stored(self.model(&copied?))),
        }
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

    fn verify(&self, name: Option<&str>) -> Result<Event, Failure> {
        let what = name.unwrap_or("all models").to_owned();
        let mut progress = |progress: store::verify::Progress| {
            let store::verify::Progress { done_bytes, total_bytes } = progress;
            self.reporter.tell(Event::Progress { what: what.clone(), done_bytes, total_bytes });
        };
        let (checks, broken) = match name {
            Some(name) => match self.store.verify(&ModelName::parse(name)?, &mut progress) {
                Err(store::Error::NotFound { .. }) if open::is_starter(&ModelName::parse(name)?) => {
                    return self.verify_starter();
                }
                checks => (checks?, Vec::new()),
            },
            None => self.store.verify_all(&mut progress)?,
        };
        let n_files = checks.len() + broken.len();
        let mut n_damaged = broken.len();
        for check in checks {
            let (intact, outcome) = outcome(&check.outcome);
            n_damaged += usize::from(!intact);
            let (model, digest) = (check.name.to_string(), check.expected.to_string());
            self.reporter.tell(Event::Verified { model, digest, outcome, intact });
        }
        for error in broken {
            let (model, digest) = (String::new(), String::new());
            self.reporter.tell(Event::Verified { model, digest, outcome: error.to_string(), intact: false });
        }
        Ok(Event::AllVerified { n_files, n_damaged })
    }

    /// The model in the box is part of the binary: what can be checked is that it reads and loads.
    fn verify_starter(&self) -> Result<Event, Failure> {
        check(&formats::gguf::read(&starter::file())?)?;
        let (model, digest) = (starter::NAME.into(), String::new());
        self.reporter.tell(Event::Verified { model, digest, outcome: "ok".into(), intact: true });
        Ok(Event::AllVerified { n_files: 1, n_damaged: 0 })
    }

    fn show(&self, name: &str) -> Result<Details, Failure> {
        let source = open::find(self.store, name)?;
        let file = formats::gguf::read(&source.file)?;
        let model = match ModelName::parse(name).map(|name| self.store.get(&name)) {
            Ok(Ok(model)) => self.model(&model),
            _ => Model { name: source.name, size_bytes: source.file.size_bytes(), ..starter_model() },
        };
        Ok(details(model, &file))
    }

    fn model(&self, model: &store::Model) -> Model {
        described(self.store, model)
    }
}

/// What is told of a model in the store.
pub(super) fn described(store: &Store, model: &store::Model) -> Model {
    let file = model.manifest.file(Role::Model);
    let opened = file.and_then(|file| FileBytes::open(&store.locate(file).ok()?).ok());
    let read = opened.and_then(|file| formats::gguf::read(&file).ok());
    Model {
        name: model.name.to_string(),
        digest: model.digest.to_string(),
        size_bytes: model.manifest.size_bytes(),
        created_ms: model.manifest.created_ms,
        architecture: read.as_ref().map(architecture).unwrap_or_default(),
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
    }
}

fn architecture(file: &TensorFile) -> String {
    file.metadata().find::<&str>("general.architecture").ok().flatten().unwrap_or_default().to_owned()
}

/// Refuses a file that could not run, before a byte of it is stored.
fn check(file: &TensorFile) -> Result<(), Failure> {
    loaded::read(file, file.file().label(), &ops::device::cpu())?;
    Ok(())
}

fn name_of(path: &Path) -> Result<ModelName, Failure> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(allowed).collect();
    ModelName::parse(&name).map_err(|_| {
        let message = format!("{} does not make a model name", path.display());
        Failure::new("bad_name", message, "choose one with `--name NAME`")
    })
}

fn outcome(outcome: &store::verify::Outcome) -> (bool, String) {
    match outcome {
        store::verify::Outcome::Right => (true, "ok".into()),
        store::verify::Outcome::Missing => (false, "the file is missing".into()),
        store::verify::Outcome::Wrong { found, found_bytes } => {
            (false, format!("damaged: {found_bytes} bytes with digest {found}"))
        }
        store::verify::Outcome::Unreadable { reason } => (false, format!("cannot be read: {reason}")),
        _ => (false, "not as it should be".into()),
    }
}

fn details(model: Model, file: &TensorFile) -> Details {
    let metadata = file.metadata();
    let family = models::recognise(file);
    let config = family.and_then(|f| Config::from_gguf(metadata, &f.gguf, file.file().label()));
    let template = metadata.find::<&str>("tokenizer.chat_template").ok().flatten();
    let tensor = |entry: &formats::TensorEntry| {
        (entry.name.clone(), entry.shape.clone(), entry.dtype.to_string(), entry.range.len() as u64)
    };
    Details {
        model,
        n_parameters: file.tensors().iter().map(|entry| entry.n_elements() as u64).sum(),
        sizes: config.map(|config| sizes(&config)).unwrap_or_default(),
        metadata: metadata.iter().map(|(key, value)| (key.into(), shown(value))).collect(),
        tensors: file.tensors().iter().map(tensor).collect(),
        chat_template: template.unwrap_or_default().into(),
    }
}

/// A value of a file's metadata as one line.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(array) => return format!("{} values", array.len()),
        other => {
            let debug = format!("{other:?}");
            let inner = debug.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
            inner.map(str::to_owned).unwrap_or(debug)
        }
    };
    let is_long = text.chars().count() > SHOWN_CHARACTERS;
    let short: String = text.chars().take(SHOWN_CHARACTERS).collect();
    if is_long { format!("{short}…") } else { short }
}

fn sizes(config: &Config) -> Vec<(String, String)> {
    let size = |name: &str, value: usize| (name.to_owned(), value.to_string());
    vec![
        size("context", config.context),
        size("vocabulary", config.vocabulary),
        size("width", config.width),
        size("layers", config.n_layers),
        size("heads", config.n_heads),
        size("key-value heads", config.n_kv_heads),
        size("head size", config.head_size),
        size("feed-forward", config.feed_forward),
    ]
}
