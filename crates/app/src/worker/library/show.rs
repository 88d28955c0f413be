//! Everything about one model: what its file says, and what is said of it beside its weights.

use formats::TensorFile;
use formats::metadata::Value;
use models::Config;
use serde_json::{Map, Value as Json};
use store::Role;
use store::about::Card;

use super::{Library, images, starter_model};
use crate::event::library::{Ability, About};
use crate::event::{Details, Model};
use crate::worker::adapters::AdapterSource;
use crate::worker::contents::Contents;
use crate::worker::draw::files::is_image_model;
use crate::worker::fill_in;
use crate::worker::open::{self, Files, Meant, Source};
use crate::{Event, Failure};

/// Texts of metadata longer than this are shortened where a model is shown.
const SHOWN_CHARACTERS: usize = 200;

impl Library<'_> {
    pub fn show(&self, name: &str) -> Result<Event, Failure> {
        let details = match self.stored(name)? {
            Some(model) if model.manifest.file(Role::Model).is_none() => self.adapter_details(&model)?,
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

    /// An adapter by itself: what its files say, and nothing of a model.
    fn adapter_details(&self, model: &store::Model) -> Result<Details, Failure> {
        let Some(adapter) = AdapterSource::of_model(self.store, model)? else {
            // It says why it has no weights.
            return Err(open::of_model(self.store, model).err().unwrap_or_else(Failure::internal));
        };
        let (adapter, shown) = (adapter.read()?, self.model(model));
        let architecture = adapter.architecture.clone().unwrap_or_default();
        let mut sizes = vec![("rank".to_owned(), adapter.rank().to_string())];
        sizes.push(("matrices that it changes".into(), adapter.factors.len().to_string()));
        let metadata = adapter.tensors.metadata().iter().map(|(key, value)| (key.into(), self::shown(value)));
        let about = About {
            source: model.manifest.source.clone(),
            versions: model.versions.iter().map(ToString::to_string).collect(),
            ..About::default()
        };
        Ok(Details {
            model: Model { architecture, ..shown },
            n_parameters: n_parameters(&adapter.tensors),
            sizes,
            metadata: metadata.collect(),
            tensors: tensors(&adapter.tensors),
            chat_template: String::new(),
            about,
            facts: Map::new(),
            abilities: Vec::new(),
        })
    }

    fn details(&self, model: Model, source: &Source) -> Result<Details, Failure> {
        if let Files::Folder(folder) = &source.files
            && is_image_model(folder)
        {
            return images::details(model, folder);
        }
        let contents = Contents::read(source)?;
        let details = details(model, &contents)?;
        let template = source.said.template.clone().unwrap_or(details.chat_template);
        let abilities = self.abilities(&contents, &template);
        Ok(Details { chat_template: template, abilities, ..details })
    }

    /// What a model can be asked for; nothing where that is not known.
    fn abilities(&self, contents: &Contents<'_>, template: &str) -> Vec<Ability> {
        match contents.is_encoder() {
            Ok(true) => {
                return match contents.n_labels() {
                    Ok(None) => vec![Ability::Embed],
                    Ok(Some(1)) => vec![Ability::Rerank],
                    // What tells kinds of texts apart is not asked for here yet.
                    Ok(Some(_)) | Err(_) => Vec::new(),
                };
            }
            Ok(false) => {}
            Err(_) => return Vec::new(),
        }
        let has = |words: &[&str]| words.iter().any(|word| template.contains(word));
        let tokenizer = contents.compiled_tokenizer(self.store);
        let fills_in = tokenizer.is_ok_and(|tokenizer| fill_in::marks(&tokenizer).is_some());
        let abilities = [
            (Ability::Write, true),
            (Ability::FillIn, fills_in),
            (Ability::CallTools, has(&["tools"])),
            (Ability::Think, has(&["enable_thinking", "thinking", "reasoning_effort", "<think>"])),
        ];
        abilities.into_iter().filter(|(_, can)| *can).map(|(ability, _)| ability).collect()
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
    let architecture = contents.family().map(|family| contents.dialect(family).architectures[0].to_owned());
    let architecture = match contents.folder() {
        Some(_) => architecture.unwrap_or_default(),
        None => model.architecture,
    };
    Ok(Details {
        model: Model { architecture, ..model },
        n_parameters: n_parameters(file),
        sizes: contents.sizes().map(|(_, config)| sizes(&config)).unwrap_or_default(),
        metadata: metadata(contents)?,
        tensors: tensors(file),
        chat_template: contents.template()?.unwrap_or_default(),
        facts: facts_of(contents)?,
        abilities: Vec::new(),
        about: About::default(),
    })
}

pub(super) fn n_parameters(file: &TensorFile) -> u64 {
    file.tensors().iter().map(|entry| entry.n_elements() as u64).sum()
}

/// Name, shape, storage and bytes of every tensor.
pub(super) fn tensors(file: &TensorFile) -> Vec<(String, Vec<usize>, String, u64)> {
    let tensor = |entry: &formats::TensorEntry| {
        (entry.name.clone(), entry.shape.clone(), entry.dtype.to_string(), entry.range.len() as u64)
    };
    file.tensors().iter().map(tensor).collect()
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

/// What the files say of themselves as JSON, without lists.
fn facts_of(contents: &Contents<'_>) -> Result<Map<String, Json>, Failure> {
    if let Some(folder) = contents.folder() {
        let config = folder.config()?;
        let facts = config.as_object().into_iter().flatten();
        let plain = facts.filter(|(_, value)| !value.is_array() && !value.is_object());
        return Ok(plain.map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    let facts = contents.tensors.metadata().iter();
    Ok(facts.filter_map(|(key, value)| Some((key.to_owned(), plain(value)?))).collect())
}

/// A value of a file's metadata as JSON; nothing for a list.
fn plain(value: &Value) -> Option<Json> {
    Some(match value {
        Value::U8(n) => Json::from(*n),
        Value::I8(n) => Json::from(*n),
        Value::U16(n) => Json::from(*n),
        Value::I16(n) => Json::from(*n),
        Value::U32(n) => Json::from(*n),
        Value::I32(n) => Json::from(*n),
        Value::U64(n) => Json::from(*n),
        Value::I64(n) => Json::from(*n),
        Value::F32(x) => Json::from(*x),
        Value::F64(x) => Json::from(*x),
        Value::Bool(flag) => Json::from(*flag),
        Value::String(text) => Json::from(text.as_str()),
        _ => return None,
    })
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
