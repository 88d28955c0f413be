//! Making a model from another one by a Modelfile.
//!
//! Does not: copy weights that the store has, or keep silent about an instruction that takes no effect here.

use std::path::{Path, PathBuf};

use formats::{FileBytes, FileKind};
use store::about::{Modelfile, Recipe, TemplateLanguage};
use store::{ModelName, NewFile, Role, Source};
use text::ChatTemplate;

use super::{Library, bring};
use crate::event::library::Note;
use crate::job::library::Create;
use crate::worker::open::{self, Files, Meant};
use crate::worker::said::UNUSED;
use crate::{Event, Failure, starter};

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
        for path in &modelfile.adapters {
            files.push(adapter(folder, path)?);
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

/// The file that ADAPTER names.
fn adapter<'a>(folder: &Path, path: &str) -> Result<NewFile<'a>, Failure> {
    let path = folder.join(path);
    let file = FileBytes::open(&path)?;
    let format = match formats::sniff(file.as_slice()) {
        FileKind::Gguf => "gguf",
        FileKind::Safetensors => "safetensors",
        found => {
            let wanted = "an adapter as GGUF or safetensors";
            return Err(formats::Error::WrongKind { file: file.label().into(), wanted, found }.into());
        }
    };
    Ok(NewFile { role: Role::Adapter, format: format.into(), name: None, source: Source::Copy(path) })
}

fn is_go(template: &str) -> bool {
    TemplateLanguage::of(template) == TemplateLanguage::Go
}

/// What of the Modelfile takes no effect here, or not as written.
fn notes(modelfile: &Modelfile) -> Vec<Note> {
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
    if !modelfile.adapters.is_empty() {
        notes.push(Note::AdapterNotApplied);
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
