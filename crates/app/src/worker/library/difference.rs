//! What differs from one model to another: their files, parameters, templates, vocabularies, tensors and licences.
//!
//! Does not: compare weights number by number; files with the same digest are the same.

use std::collections::BTreeMap;
use std::fmt::Display;

use formats::TensorFile;
use formats::metadata::Strings;
use serde_json::Value;
use store::versions::{self, Diff};
use store::{FileRef, Role};

use super::{Library, lines};
use crate::event::library::{Change, Difference, Vocabulary};
use crate::worker::contents::Contents;
use crate::worker::open;
use crate::{Event, Failure};

/// One of two models.
struct Side {
    /// Its name and version.
    name: String,
    /// What the store or another program keeps of it; nothing for a path and for the model in the box.
    model: Option<store::Model>,
    template: String,
    license: Option<String>,
    /// The texts of its vocabulary.
    tokens: Vec<String>,
    file: TensorFile,
}

impl Library<'_> {
    pub fn compare(&self, from: &str, to: &str) -> Result<Event, Failure> {
        let (from, to) = (self.side(from)?, self.side(to)?);
        let mut difference = Difference {
            template: lines::differences(&from.template, &to.template),
            vocabulary: vocabulary(&from.tokens, &to.tokens),
            tensors: changes(tensors(&from.file), tensors(&to.file)),
            license: change("licence", from.license.as_ref(), to.license.as_ref()),
            ..Difference::default()
        };
        if let (Some(a), Some(b)) = (&from.model, &to.model) {
            let Diff { files, parameters } = Diff::between(&a.manifest, &b.manifest);
            difference.files =
                files.into_iter().map(|file| of(role(file.role), file.change, &file_text)).collect();
            let parameters = parameters.into_iter();
            difference.parameters = parameters.map(|one| of(one.name, one.change, &value_text)).collect();
        } else if from.file.file().as_slice() != to.file.file().as_slice() {
            let size = |side: &Side| format!("{} bytes", side.file.file().size_bytes());
            difference.files.extend(change("model", Some(size(&from)), Some(size(&to))));
        }
        (difference.from, difference.to) = (from.name, to.name);
        Ok(Event::Difference(Box::new(difference)))
    }

    fn side(&self, name: &str) -> Result<Side, Failure> {
        let model = self.stored(name)?;
        let source = match &model {
            Some(model) => open::of_model(self.store, model)?,
            None => open::find(self.store, name)?,
        };
        let contents = Contents::read(&source)?;
        let template = match &source.said.template {
            Some(template) => template.clone(),
            None => contents.template()?.unwrap_or_default(),
        };
        let tokens = tokens(&contents)?;
        let file = contents.tensors;
        let license = match &model {
            Some(model) => self.license(model)?,
            None => None,
        };
        let stated = || file.metadata().find::<&str>("general.license").ok().flatten().map(str::to_owned);
        let license = license.or_else(stated);
        let shown = |model: &store::Model| format!("{}@{}", model.name.without_digest(), model.digest);
        let name = model.as_ref().map_or(source.name, shown);
        Ok(Side { name, model, template, license, tokens, file })
    }

    /// What the card calls the licence, or the first line of each licence's text.
    fn license(&self, model: &store::Model) -> Result<Option<String>, Failure> {
        let card = self.store.card(model)?.unwrap_or_default();
        if let Some(name) = card.license_name.or(card.license) {
            return Ok(Some(name));
        }
        let files = model.manifest.files.iter().filter(|file| file.role == Role::License);
        let texts = files.map(|file| self.store.read_text_file(file)).collect::<Result<Vec<_>, _>>()?;
        let first =
            |text: &String| text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
        let firsts: Vec<String> = texts.iter().filter_map(first).collect();
        Ok((!firsts.is_empty()).then(|| firsts.join(", ")))
    }
}

fn role(role: Role) -> String {
    match serde_json::to_value(role) {
        Ok(Value::String(word)) => word,
        _ => "file".into(),
    }
}

fn of<T>(name: String, change: versions::Change<T>, text: &dyn Fn(&T) -> String) -> Change {
    let (from, to) = match &change {
        versions::Change::Added(to) => (None, Some(to)),
        versions::Change::Removed(from) => (Some(from), None),
        versions::Change::Changed { from, to } => (Some(from), Some(to)),
    };
    Change { name, from: from.map(text), to: to.map(text) }
}

fn file_text(file: &FileRef) -> String {
    let name = file.name.iter().map(|name| format!("{name}, "));
    format!("{}{}, {} bytes", name.collect::<String>(), file.digest, file.size_bytes)
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn change<T: Display + PartialEq>(name: &str, from: Option<T>, to: Option<T>) -> Option<Change> {
    let text = |side: &Option<T>| side.as_ref().map(ToString::to_string);
    (from != to).then(|| Change { name: name.into(), from: text(&from), to: text(&to) })
}

/// Shape and storage of each tensor, by name.
fn tensors(file: &TensorFile) -> BTreeMap<&str, String> {
    let tensors = file.tensors().iter();
    tensors.map(|tensor| (tensor.name.as_str(), format!("{} {:?}", tensor.dtype, tensor.shape))).collect()
}

fn changes(from: BTreeMap<&str, String>, mut to: BTreeMap<&str, String>) -> Vec<Change> {
    let mut changes: Vec<Change> =
        from.into_iter().filter_map(|(name, from)| change(name, Some(from), to.remove(name))).collect();
    changes.extend(to.into_iter().filter_map(|(name, to)| change(name, None, Some(to))));
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}

fn vocabulary(from: &[String], to: &[String]) -> Vocabulary {
    let n_changed = from.iter().zip(to).filter(|(from, to)| from != to).count();
    Vocabulary { n_tokens: [from.len(), to.len()], n_changed }
}

/// The texts of a vocabulary, where the files bring one.
fn tokens(contents: &Contents<'_>) -> Result<Vec<String>, Failure> {
    if contents.folder().is_some() {
        let tokenizer = contents.tokenizer()?;
        let ids = (0..).map(base::TokenId).take(tokenizer.len());
        return Ok(ids.map(|id| tokenizer.token_text(id).into_owned()).collect());
    }
    let tokens = contents.tensors.metadata().find::<&Strings>("tokenizer.ggml.tokens")?;
    Ok(tokens.map(|tokens| tokens.iter().map(str::to_owned).collect()).unwrap_or_default())
}
