//! Making a model from another one, or from files that came before, by what is said of it.
//!
//! Does not: copy weights that the store has, or look for anything outside of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use formats::FileBytes;
use formats::sniff::{FileKind, sniff};
use store::about::{Message, Modelfile, Parameters, Recipe, Speaker};
use store::found::role_of;
use store::{Digest, ModelName, NewFile, Role, Source};
use text::ChatTemplate;

use super::create::{is_go, notes};
use super::{Library, bring};
use crate::job::library::{Base, Make};
use crate::worker::folder::Folder;
use crate::worker::open::{self, Files, Meant};
use crate::{Event, Failure, starter};

impl Library<'_> {
    pub fn make(&self, make: &Make) -> Result<Event, Failure> {
        let name = ModelName::parse(&make.model)?;
        let modelfile = modelfile(make)?;
        if let Some(template) = modelfile.template.as_deref().filter(|template| !is_go(template)) {
            ChatTemplate::new(template)?;
        }
        let starter = starter::file();
        let mut files = self.adapters(&make.adapters)?;
        let below = match &make.base {
            Base::Files(parts) => {
                files.extend(self.weights(parts)?);
                None
            }
            Base::Model(from) => match open::named(self.store, from)? {
                Meant::Model(model) => Some(model),
                Meant::Starter => {
                    let source = Source::Bytes(starter.as_slice());
                    files.push(NewFile { role: Role::Model, format: "gguf".into(), name: None, source });
                    None
                }
            },
        };
        let recipe = Recipe { base: below.as_deref(), modelfile: &modelfile, files };
        let model = self.store.create(&name, recipe, self.now_ms)?;
        Ok(Event::Created { model: self.model(&model), notes: notes(&modelfile) })
    }

    /// Whether the store has a file; the last event.
    pub fn blob(&self, digest: &str) -> Result<Event, Failure> {
        let size_bytes = self.store.blob_size(&Digest::parse(digest)?)?;
        Ok(Event::Blob { digest: digest.to_owned(), size_bytes })
    }

    /// The files of a model that came before, which are seen to be one that runs.
    fn weights<'f>(&self, parts: &BTreeMap<String, String>) -> Result<Vec<NewFile<'f>>, Failure> {
        let mut files = Vec::new();
        let mut located = Vec::new();
        for (name, digest) in parts {
            let (digest, path) = self.located(name, digest)?;
            let Some((role, format)) = role_of(name) else {
                let message = format!("{name}: models have no file of this name");
                return Err(Failure::new("bad_setting", message, "leave it out, or give it its usual name"));
            };
            located.push((name.clone(), path));
            let name = (parts.len() > 1).then(|| name.clone());
            files.push(NewFile { role, format: format.into(), name, source: Source::Stored(digest) });
        }
        let is_gguf = |(name, _): &&(String, PathBuf)| name.ends_with(".gguf");
        let gguf: Vec<_> = located.iter().filter(is_gguf).collect();
        let files_here = match gguf.is_empty() {
            true => Files::Folder(Folder::of_files(&format!("{} files", located.len()), located.clone())),
            false => {
                let open = |(name, path): &&(String, PathBuf)| Ok(FileBytes::open(path)?.with_label(name));
                Files::Gguf(gguf.iter().map(open).collect::<Result<_, Failure>>()?)
            }
        };
        bring::check(&files_here, "the files")?;
        Ok(files)
    }

    fn adapters<'f>(&self, adapters: &BTreeMap<String, String>) -> Result<Vec<NewFile<'f>>, Failure> {
        let mut files = Vec::new();
        for (name, digest) in adapters {
            let (digest, path) = self.located(name, digest)?;
            let file = FileBytes::open(&path)?.with_label(name);
            let format = match sniff(file.as_slice()) {
                FileKind::Gguf => "gguf",
                FileKind::Safetensors => "safetensors",
                found => {
                    let wanted = "an adapter as GGUF or safetensors";
                    return Err(
                        formats::Error::WrongKind { file: name.as_str().into(), wanted, found }.into()
                    );
                }
            };
            let source = Source::Stored(digest);
            files.push(NewFile { role: Role::Adapter, format: format.into(), name: None, source });
        }
        Ok(files)
    }

    /// The digest of a file that came before, and where it lies.
    fn located(&self, name: &str, digest: &str) -> Result<(Digest, PathBuf), Failure> {
        let digest = Digest::parse(digest)?;
        match self.store.blob_path(&digest) {
            Ok(path) => Ok((digest, path)),
            Err(store::Error::FileMissing { .. }) => {
                let message = format!("{name}: there is no file {digest}");
                Err(Failure::new("no_such_file", message, "send the file first, under its digest"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What is said of the model, as a Modelfile would say it.
fn modelfile(make: &Make) -> Result<Modelfile, Failure> {
    let message = |message: &crate::job::Message| {
        let speakers = [Speaker::System, Speaker::User, Speaker::Assistant];
        let role = speakers.into_iter().find(|speaker| speaker.word() == message.role).ok_or_else(|| {
            let problem = format!("a message is of system, user or assistant, not of {:?}", message.role);
            Failure::new("bad_setting", problem, "leave the message out")
        })?;
        Ok(Message { role, content: message.content.clone() })
    };
    let from = match &make.base {
        Base::Model(name) => vec![name.clone()],
        Base::Files(files) => files.keys().cloned().collect(),
    };
    Ok(Modelfile {
        from,
        template: make.template.clone(),
        system: make.system.clone(),
        parameters: Parameters::read(&make.parameters),
        messages: make.messages.iter().map(message).collect::<Result<_, Failure>>()?,
        licenses: make.licenses.clone(),
        ..Modelfile::default()
    })
}
