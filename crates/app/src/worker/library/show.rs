//! Everything about one model: what its file says, and what is said of it beside its weights.

use formats::metadata::Value;
use models::Config;
use store::Role;
use store::about::Card;

use super::{Library, starter_model};
use crate::event::library::About;
use crate::event::{Details, Model};
use crate::worker::contents::Contents;
use crate::worker::open::{self, Meant, Source};
use crate::{Event, Failure};

/// Texts of metadata longer than this are shortened where a model is shown.
const SHOWN_CHARACTERS: usize = 200;

impl Library<'_> {
    pub fn show(&self, name: &str) -> Result<Event, Failure> {
        let details = match self.stored(name)? {
            Some(model) => {
                let source = open::of_model(self.store, &model)?;
                let details = self.details(self.model(&model), &source)?;
                Details { about: self.about(&model, &source)?, ..details }
            }
            None => {
                let source = open::find(self.store, name)?;
                let size_bytes = source.files.size_bytes();
                let model = Model { name: source.name.clone(), size_bytes, ..starter_model() };
                self.details(model, &source)?
            }
        };
        Ok(Event::Details(Box::new(details)))
    }

    /// The Modelfile that makes a model again.
    pub fn modelfile(&self, name: &str) -> Result<Event, Failure> {
        let text = match self.stored(name)? {
            Some(model) => self.store.modelfile(&model)?.to_text()?,
            None => format!("FROM {}\n", open::find(self.store, name)?.name),
        };
        Ok(Event::Modelfile { text })
    }

    /// The model of the store or of others that is meant; nothing for a path and for the model in the box.
    pub fn stored(&self, wanted: &str) -> Result<Option<store::Model>, Failure> {
        if open::as_path(wanted).is_some() {
            return Ok(None);
        }
        match open::named(self.store, wanted)? {
            Meant::Model(model) => Ok(Some(*model)),
            Meant::Starter => Ok(None),
        }
    }

    fn details(&self, model: Model, source: &Source) -> Result<Details, Failure> {
        let contents = Contents::read(source)?;
        let details = details(model, &contents)?;
        let template = source.said.template.clone().unwrap_or(details.chat_template);
        Ok(Details { chat_template: template, ..details })
    }

    fn about(&self, model: &store::Model, source: &Source) -> Result<About, Failure> {
        let files = model.manifest.files.iter();
        let licenses = files.filter(|file| file.role == Role::License);
        let parameters = source.said.settings.parameters.to_map();
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(About {
            source: model.manifest.source.clone(),
            parameters: parameters.into_iter().map(|(name, value)| (name, text(value))).collect(),
            system: source.said.settings.system.clone().unwrap_or_default(),
            messages: source.said.messages().collect(),
            card: self.store.card(model)?.map(|card| facts(&card)).unwrap_or_default(),
            licenses: licenses.map(|file| self.store.read_text_file(file)).collect::<Result<_, _>>()?,
            versions: model.versions.iter().map(ToString::to_string).collect(),
        })
    }
}

/// What a card says, without its text.
fn facts(card: &Card) -> Vec<(String, String)> {
    let problem = card.problem.as_ref().map(ToString::to_string);
    let list = |list: &[String]| (!list.is_empty()).then(|| list.join(", "));
    let facts = [
        ("licence", card.license_name.clone().or_else(|| card.license.clone())),
        ("licence text", card.license_link.clone()),
        ("made from", list(&card.base_models)),
        ("made by", card.base_model_relation.clone()),
        ("languages", list(&card.languages)),
        ("task", card.task.clone()),
        ("library", card.library.clone()),
        ("learned from", list(&card.datasets)),
        ("tags", list(&card.tags)),
        ("problem", problem),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn details(model: Model, contents: &Contents<'_>) -> Result<Details, Failure> {
    let file = &contents.tensors;
    let tensor = |entry: &formats::TensorEntry| {
        (entry.name.clone(), entry.shape.clone(), entry.dtype.to_string(), entry.range.len() as u64)
    };
    let architecture = contents.family().map(|family| contents.dialect(family).architectures[0].to_owned());
    let architecture = match contents.folder() {
        Some(_) => architecture.unwrap_or_default(),
        None => model.architecture,
    };
    Ok(Details {
        model: Model { architecture, ..model },
        n_parameters: file.tensors().iter().map(|entry| entry.n_elements() as u64).sum(),
        sizes: contents.sizes().map(|(_, config)| sizes(&config)).unwrap_or_default(),
        metadata: metadata(contents)?,
        tensors: file.tensors().iter().map(tensor).collect(),
        chat_template: contents.template()?.unwrap_or_default(),
        about: About::default(),
    })
}

/// What the files say of themselves: the metadata of a GGUF file, or `config.json`.
fn metadata(contents: &Contents<'_>) -> Result<Vec<(String, String)>, Failure> {
    let Some(folder) = contents.folder() else {
        let metadata = contents.tensors.metadata().iter();
        return Ok(metadata.map(|(key, value)| (key.into(), shown(value))).collect());
    };
    let config = folder.config()?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => shortened(text),
        other => shortened(&other.to_string()),
    };
    Ok(config.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect())
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
    shortened(&text)
}

fn shortened(text: &str) -> String {
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
