//! Adapters: from what a person calls one to its files, and those that a loaded model was given.
//!
//! A model and its adapter are named together as `base+adapter`, one adapter at a time. Does not: know how an adapter is
//! computed, or merge it.

use std::path::Path;
use std::time::Instant;

use formats::FileBytes;
use formats::adapter::{self, Adapter as Read, Naming};
use formats::sniff::{FileKind, sniff};
use infer::{Engine, LocalModel};
use models::Family;
use ops::linear::low_rank::AdapterId;
use store::{Digest, Role, Store};

use super::open::{self, Meant};
use super::prefixes;
use crate::Failure;

/// Adapters that a loaded model keeps besides those that answers have.
const MAX_KEPT: usize = 8;
/// What stands between a model and its adapter.
pub(crate) const PLUS: char = '+';

/// The files of an adapter.
pub(crate) struct AdapterSource {
    /// The name as people read it.
    pub name: String,
    /// The same for the same content; absent where that is not known before it is read.
    key: Option<String>,
    files: AdapterFiles,
}

/// The files of an adapter, by the form that they have.
enum AdapterFiles {
    Gguf(FileBytes),
    Peft { config: FileBytes, weights: FileBytes },
}

impl AdapterSource {
    /// The adapter at a path: a folder as `peft` writes it, a file of it, or a GGUF file. `None` where there is none.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn at(path: &Path) -> Result<Option<Self>, Failure> {
        let Some(places) = places(path)? else { return Ok(None) };
        let open = |place: &Path| FileBytes::open(place);
        let files = match places.as_slice() {
            [one] => AdapterFiles::Gguf(open(one)?),
            [config, weights, ..] => AdapterFiles::Peft { config: open(config)?, weights: open(weights)? },
            [] => return Ok(None),
        };
        let facts = places.iter().map(|place| prefixes::facts(place)).collect::<Option<Vec<_>>>();
        Ok(Some(Self { name: path.display().to_string(), key: facts.map(|facts| facts.join("\n")), files }))
    }

    /// The adapter of a model in the store, or that which it is. `None` where it has none.
    ///
    /// # Errors
    /// Files that are not there any more, and more adapters than one.
    pub fn of_model(store: &Store, model: &store::Model) -> Result<Option<Self>, Failure> {
        let name = model.name.to_string();
        let (configs, weights): (Vec<_>, Vec<_>) = model
            .manifest
            .files
            .iter()
            .filter(Self::has)
            .partition(|file| file.name.as_deref() == Some(adapter::CONFIG));
        let Some(first) = weights.first() else { return Ok(None) };
        if weights.len() > 1 {
            return Err(several(&name));
        }
        let open = |file: &store::FileRef| -> Result<FileBytes, Failure> {
            Ok(FileBytes::open(&store.locate(file)?)?.with_label(&name))
        };
        let files = match (first.format.as_str(), configs.last()) {
            ("gguf", _) => AdapterFiles::Gguf(open(first)?),
            (_, Some(config)) => AdapterFiles::Peft { config: open(config)?, weights: open(first)? },
            (_, None) => return Err(no_config(&name)),
        };
        let digest = |file: &&store::FileRef| file.digest.to_string();
        let key = weights.iter().chain(&configs).map(digest).collect::<Vec<_>>().join("\n");
        Ok(Some(Self { name, key: Some(key), files }))
    }

    /// Whether a file of a model is one of its adapter.
    pub fn has(file: &&store::FileRef) -> bool {
        file.role == Role::Adapter || file.name.as_deref() == Some(adapter::CONFIG)
    }

    /// What its files say.
    ///
    /// # Errors
    /// What is wrong with them, or cannot be applied.
    pub fn read(&self) -> Result<Read, Failure> {
        Ok(match &self.files {
            AdapterFiles::Gguf(file) => adapter::read_gguf(file)?,
            AdapterFiles::Peft { config, weights } => adapter::read_peft(config, weights)?,
        })
    }

    /// What its content is told by: all bytes of its files.
    fn id(&self) -> AdapterId {
        let digest = |file: &FileBytes| Digest::of(file.as_slice()).to_string();
        let digests = match &self.files {
            AdapterFiles::Gguf(file) => digest(file),
            AdapterFiles::Peft { config, weights } => format!("{} {}", digest(config), digest(weights)),
        };
        AdapterId(*Digest::of(digests.as_bytes()).as_bytes())
    }
}

/// The files of an adapter at a path: of `peft` the settings first. `None` where there is none.
///
/// # Errors
/// A file that cannot be read, or settings without matrices.
pub(crate) fn places(path: &Path) -> Result<Option<Vec<std::path::PathBuf>>, Failure> {
    let is_model = |folder: &Path| folder.join("config.json").is_file();
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let config = folder.map(|folder| folder.join(adapter::CONFIG)).filter(|config| config.is_file());
    if path.is_dir() {
        let Some(config) = config.filter(|_| !is_model(path)) else { return Ok(None) };
        let mut weights = adapter::WEIGHTS.iter().map(|name| path.join(name));
        let missing = || {
            let message = format!("{}: there is no {}", path.display(), adapter::WEIGHTS[0]);
            Failure::new("bad_file", message, "name a folder with all that the adapter was saved as")
        };
        return Ok(Some(vec![config, weights.find(|file| file.is_file()).ok_or_else(missing)?]));
    }
    let file = FileBytes::open(path)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match (sniff(file.as_slice()), config) {
        (FileKind::Gguf, _) => {
            // What is wrong with a file that is no adapter is said by whoever takes it for a model.
            let is_adapter = formats::gguf::read(&file).is_ok_and(|file| adapter::is_adapter(&file));
            Ok(is_adapter.then(|| vec![path.to_owned()]))
        }
        (_, Some(config)) if adapter::WEIGHTS.contains(&name) => Ok(Some(vec![config, path.to_owned()])),
        (_, Some(config)) if name == adapter::CONFIG => match config.parent() {
            Some(folder) if !is_model(folder) => places(folder),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Finds the adapter that `wanted` stands for: a name of the store, or a path.
///
/// # Errors
/// `model_not_found` with the nearest names, what is wrong with its files, and a model that is no adapter.
pub(crate) fn find(store: &Store, wanted: &str) -> Result<AdapterSource, Failure> {
    let none = || {
        let message = format!("\"{wanted}\" is no adapter");
        Failure::new("not_an_adapter", message, "`hearth list` says which of the models here are adapters")
    };
    if let Some(path) = open::as_path(wanted) {
        return AdapterSource::at(path)?.ok_or_else(none);
    }
    match open::named(store, wanted)? {
        Meant::Model(model) if model.manifest.file(Role::Model).is_none() => {
            AdapterSource::of_model(store, &model)?.ok_or_else(none)
        }
        _ => Err(none()),
    }
}

/// The model and the adapter that `wanted` names. A `+` that is a part of a path or an address separates nothing.
///
/// # Errors
/// More adapters than one, or nothing on one side.
pub(crate) fn split(wanted: &str) -> Result<(&str, Option<&str>), Failure> {
    let is_address = wanted.contains("://");
    if !wanted.contains(PLUS) || is_address || open::as_path(wanted).is_some() {
        return Ok((wanted, None));
    }
    let is_one = |name: &str| !name.is_empty() && (!name.contains(PLUS) || open::as_path(name).is_some());
    let sides = wanted.match_indices(PLUS).map(|(at, plus)| (&wanted[..at], &wanted[at + plus.len()..]));
    let mut fitting = sides.filter(|(base, adapter)| is_one(base) && is_one(adapter));
    match fitting.next() {
        Some((base, adapter)) => Ok((base, Some(adapter))),
        None => {
            let message = format!("\"{wanted}\" does not name one model and one adapter");
            Err(Failure::new(
                "bad_name",
                message,
                "name them as in `base+adapter`; adapters are not added up yet",
            ))
        }
    }
}

/// What is said where more adapters than one meet.
pub(crate) fn several(name: &str) -> Failure {
    let message = format!("\"{name}\" has more than one adapter");
    let hint = "adapters are not added up yet: merge all but one of them into the model";
    Failure::new("bad_setting", message, hint)
}

fn no_config(name: &str) -> Failure {
    let message = format!("\"{name}\" has no {}, which says how its matrices are meant", adapter::CONFIG);
    Failure::new("bad_file", message, "import the folder that the adapter was saved as")
}

/// The adapters that a loaded model was given.
pub(crate) struct Attached {
    /// The family of the model, and whose names its file has.
    pub form: (&'static Family, Naming),
    list: Vec<One>,
}

struct One {
    key: Option<String>,
    id: AdapterId,
    used: Instant,
}

impl Attached {
    pub fn new(form: (&'static Family, Naming)) -> Self {
        Self { form, list: Vec::new() }
    }

    /// Lets the model have an adapter, unless it has it already; those that were not used for longest make way.
    ///
    /// # Errors
    /// What is wrong with its files, or that it belongs to another model.
    pub fn attach(
        &mut self,
        source: &AdapterSource,
        engine: &mut Engine<LocalModel>,
    ) -> Result<AdapterId, Failure> {
        let by_key = |one: &One| source.key.is_some() && one.key == source.key;
        let known = self.list.iter().position(by_key);
        let id = known.map_or_else(|| source.id(), |at| self.list[at].id);
        let known = known.or_else(|| self.list.iter().position(|one| one.id == id));
        if let Some(at) = known {
            self.list[at].used = Instant::now();
            return Ok(id);
        }
        let decoder = engine.model().decoder();
        let adapter = models::tensors::adapter::Adapter::new(
            &source.read()?,
            decoder.config(),
            self.form,
            decoder.device(),
        )?;
        engine.model_mut().attach(id, &adapter);
        self.list.push(One { key: source.key.clone(), id, used: Instant::now() });
        self.make_way(engine, id);
        Ok(id)
    }

    /// Forgets what was not used for longest, beyond what is kept.
    fn make_way(&mut self, engine: &mut Engine<LocalModel>, newest: AdapterId) {
        while self.list.len() > MAX_KEPT {
            let idle =
                self.list.iter().enumerate().filter(|(_, one)| one.id != newest && !engine.uses(one.id));
            let Some((at, _)) = idle.min_by_key(|(_, one)| one.used) else { return };
            engine.model_mut().detach(self.list.swap_remove(at).id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_parts_a_model_from_its_adapter() {
        let check = |wanted: &str, expected| assert_eq!(split(wanted).ok(), expected, "{wanted}");
        check("base", Some(("base", None)));
        check("base:q8+team/lora:latest", Some(("base:q8", Some("team/lora:latest"))));
        check("a+b+c", None);
        check("+b", None);
        check("a+", None);
        check("+", None);
        let folder = tempfile::tempdir().unwrap();
        let (base, adapter) = (folder.path().join("a+b.gguf"), folder.path().join("c+d"));
        std::fs::write(&base, "").unwrap();
        std::fs::create_dir(&adapter).unwrap();
        let (base, adapter) = (base.to_str().unwrap(), adapter.to_str().unwrap());
        check(base, Some((base, None)));
        check(&format!("{base}+{adapter}"), Some((base, Some(adapter))));
        check(&format!("{base}+lora"), Some((base, Some("lora"))));
        check(&format!("starter+{adapter}"), Some(("starter", Some(adapter))));
        check(&format!("{base}+lora+lora"), None);
    }
}
