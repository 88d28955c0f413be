//! Making a model from another one by a Modelfile.
//!
//! Does not: copy weights that the store has, or keep silent about an instruction that takes no effect here.

use std::path::{Path, PathBuf};

use formats::FileBytes;
use store::about::{Modelfile, Recipe, TemplateLanguage};
use store::{FileRef, ModelName, NewFile, Role, Source};
use text::ChatTemplate;

use super::{Library, bring};
use crate::event::library::Note;
use crate::job::library::Create;
use crate::worker::adapters::{self, AdapterSource};
use crate::worker::contents::Contents;
use crate::worker::open::{self, Files, Meant};
use crate::worker::said::UNUSED;
use crate::{Event, Failure, starter};

/// The files that ADAPTER adds.
enum Added {
    /// Those of a path.
    Path(PathBuf),
    /// Those of an adapter here.
    Files(Vec<Place>),
}

/// A file of an adapter here.
struct Place {
    path: PathBuf,
    file: FileRef,
}

impl Place {
    /// The same file of another model.
    fn file<'a>(&self) -> NewFile<'a> {
        let FileRef { format, name, .. } = self.file.clone();
        NewFile { role: Role::Adapter, format, name, source: Source::Copy(self.path.clone()) }
    }
}

fn adapter_at(path: &Path) -> Result<AdapterSource, Failure> {
    let found = AdapterSource::at(path)?;
    found.ok_or_else(|| {
        let message = format!("{}: it is no adapter", path.display());
        let hint =
            "ADAPTER names a folder as peft writes it, a GGUF file of the type adapter, or an adapter here";
        Failure::new("not_an_adapter", message, hint)
    })
}

/// What FROM names.
enum Base {
    Model(Box<store::Model>),
    File(PathBuf),
    Starter,
}

impl Library<'_> {
    pub fn create(&self, create: &Create) -> Result<Event, Failure> {
        let name = ModelName::parse(&create.model)?;
        let modelfile = Modelfile::parse(FileBytes::open(&create.path)?.as_slice())?;
        if let Some(template) = modelfile.template.as_deref().filter(|template| !is_go(template)) {
            ChatTemplate::new(template)?;
        }
        let path = std::path::absolute(&create.path).unwrap_or_else(|_| create.path.clone());
        let folder = path.parent().unwrap_or(Path::new("/"));
        let base = self.base(&modelfile, folder)?;
        let starter = starter::file();
        let mut files: Vec<NewFile<'_>> = Vec::new();
        let adapter = self.adapter(&modelfile, (folder, &base))?;
        match &adapter {
            Some(Added::Path(path)) => files.extend(bring::adapter_files(path, Source::Copy)?),
            Some(Added::Files(places)) => files.extend(places.iter().map(|place| place.file())),
            None => {}
        }
        let weights = match &base {
            Base::Model(_) => None,
            Base::File(path) => Some(Source::Copy(path.clone())),
            Base::Starter => Some(Source::Bytes(starter.as_slice())),
        };
        files.extend(weights.map(|source| NewFile {
            role: Role::Model,
            format: "gguf".into(),
            name: None,
            source,
        }));
        let below = if let Base::Model(model) = &base { Some(&**model) } else { None };
        let recipe = Recipe { base: below, modelfile: &modelfile, files };
        let model = self.store.create(&name, recipe, self.now_ms)?;
        Ok(Event::Created { model: self.model(&model), notes: notes(&modelfile) })
    }

    /// What ADAPTER names: a path beside the Modelfile, or an adapter here. It has to fit the base.
    fn adapter(
        &self,
        modelfile: &Modelfile,
        (folder, base): (&Path, &Base),
    ) -> Result<Option<Added>, Failure> {
        let [named] = modelfile.adapters.as_slice() else {
            return match modelfile.adapters.is_empty() {
                true => Ok(None),
                false => Err(adapters::several("Modelfile")),
            };
        };
        let path = folder.join(named);
        let is_path = path.exists() || open::looks_like_path(named);
        let (adapter, added) = match is_path {
            true => (adapter_at(&path)?, Added::Path(path)),
            false => {
                let adapter = adapters::find(self.store, named)?;
                let Meant::Model(model) = open::named(self.store, named)? else {
                    return Err(Failure::internal());
                };
                let place = |file: &FileRef| Ok(Place { path: self.store.locate(file)?, file: file.clone() });
                let places = model.manifest.files.iter().filter(AdapterSource::has).map(place);
                (adapter, Added::Files(places.collect::<Result<_, Failure>>()?))
            }
        };
        let source = match base {
            Base::Model(model) => open::of_model(self.store, model)?,
            Base::File(path) => open::at_path(path)?,
            Base::Starter => open::starter_source(),
        };
        if source.adapter.is_some() {
            return Err(adapters::several(&source.name));
        }
        let contents = Contents::read(&source)?;
        let (_, config) = contents.decoder_sizes()?;
        models::tensors::adapter::Adapter::new(
            &adapter.read()?,
            &config,
            contents.form()?,
            &ops::device::cpu(),
        )?;
        Ok(Some(added))
    }

    /// What FROM names: a file beside the Modelfile, or a model.
    fn base(&self, modelfile: &Modelfile, folder: &Path) -> Result<Base, Failure> {
        let [from] = modelfile.from.as_slice() else {
            let message = format!("Modelfile: FROM stands there {} times", modelfile.from.len());
            return Err(Failure::new("bad_modelfile", message, "name one base with one FROM"));
        };
        let path = folder.join(from);
        if path.is_file() {
            bring::check(&Files::Gguf(vec![FileBytes::open(&path)?]), from)?;
            return Ok(Base::File(path));
        }
        match open::named(self.store, from)? {
            Meant::Model(model) => Ok(Base::Model(model)),
            Meant::Starter => Ok(Base::Starter),
        }
    }
}

pub(super) fn is_go(template: &str) -> bool {
    TemplateLanguage::of(template) == TemplateLanguage::Go
}

/// What of the Modelfile takes no effect here, or not as written.
pub(super) fn notes(modelfile: &Modelfile) -> Vec<Note> {
    let parameters = &modelfile.parameters;
    let unknown = parameters.unknown().into_iter();
    let mut notes: Vec<Note> =
        unknown.map(|(name, nearest)| Note::UnknownParameter { name, nearest }).collect();
    let is_unknown = |key: &str| parameters.unknown().iter().any(|(name, _)| name == key);
    let unused = parameters.to_map().into_iter().map(|(name, _)| name).filter(|name| {
        UNUSED.contains(&name.as_str()) || (parameters.other.contains_key(name) && !is_unknown(name))
    });
    notes.extend(unused.map(|name| Note::UnusedParameter { name }));
    if modelfile.template.as_deref().is_some_and(is_go) {
        notes.push(Note::GoTemplate);
    }
    if !modelfile.drafts.is_empty() {
        notes.push(Note::LeftOut { instruction: "DRAFT".into() });
    }
    for (word, value) in
        [("REQUIRES", &modelfile.requires), ("RENDERER", &modelfile.renderer), ("PARSER", &modelfile.parser)]
    {
        notes.extend(value.iter().map(|_| Note::KeptForOthers { instruction: word.into() }));
    }
    notes
}
