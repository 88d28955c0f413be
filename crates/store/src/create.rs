//! Making a model from another one by reference: its weights stay where they are, what is said about it changes.
//!
//! Does not: open the paths that a Modelfile names; whoever calls imports a base that is a path, and brings the
//! adapters as files.

use std::io::Read;

use crate::about::{Card, Modelfile, Settings, TemplateLanguage};
use crate::{
    Digest, Error, FileRef, Manifest, Model, ModelInfo, ModelName, NewFile, Problem, Result, Role, Source,
    Store,
};

/// The most bytes of a text (template, licence) that are read.
const MAX_TEXT_BYTES: u64 = 4 << 20;

/// What a model is made of.
pub struct Recipe<'a> {
    /// The model that FROM names, in the store or found elsewhere; `None` where FROM names a file, which is then
    /// among `files`.
    pub base: Option<&'a Model>,
    /// What is said of the new one.
    pub modelfile: &'a Modelfile,
    /// Files that it has beside the base's, such as adapters.
    pub files: Vec<NewFile<'a>>,
}

impl Store {
    /// Makes `name` stand for a model of the base's files and the Modelfile's words. No weights are copied. A
    /// template takes the base's place; one in Go's language is kept beside the base's, since Hearth renders
    /// Jinja ([`TemplateLanguage::of`] tells which it is, so that a caller can say so). Licences are added: the base's go on
    /// to hold.
    ///
    /// # Errors
    /// Those of [`Store::import`], [`Error::NoFiles`] without a base and files among them, and
    /// [`Error::FileMissing`] when a file of the base is gone.
    pub fn create(&self, name: &ModelName, recipe: Recipe<'_>, now_ms: u64) -> Result<Model> {
        let Recipe { base, modelfile, mut files } = recipe;
        let nothing = Manifest::new(Vec::new(), ModelInfo::default(), 0);
        let below = base.map_or(&nothing, |base| &base.manifest);
        let kept = kept_files(below, modelfile.template.as_deref());
        let texts = modelfile.template.iter().filter(|text| !text.is_empty()).map(|text| {
            let source = Source::Bytes(text.as_bytes());
            NewFile {
                role: Role::Template,
                format: TemplateLanguage::of(text).format().into(),
                name: None,
                source,
            }
        });
        let is_kept = |text: &&String| {
            let digest = Digest::of(text.as_bytes());
            kept.iter().any(|file| file.role == Role::License && file.digest == digest)
        };
        let licenses = modelfile.licenses.iter().filter(|text| !text.is_empty() && !is_kept(text));
        let licenses = licenses.map(|text| {
            let source = Source::Bytes(text.as_bytes());
            NewFile { role: Role::License, format: "text".into(), name: None, source }
        });
        files.extend(texts.chain(licenses));
        let settings = modelfile.settings().over(&Settings::read(&below.parameters));
        let mut parameters = settings.to_map();
        for (key, value) in [
            ("requires", &modelfile.requires),
            ("renderer", &modelfile.renderer),
            ("parser", &modelfile.parser),
        ] {
            parameters.extend(value.iter().map(|value| (key.to_owned(), value.clone().into())));
        }
        let named = |base: &Model| format!("{}@{}", base.name.without_digest(), base.digest);
        let source = base.map_or_else(|| modelfile.from.join(", "), named);
        self.import_beside(name, kept, files, (ModelInfo { parameters, source }, now_ms))
    }

    /// The Modelfile that makes this model again, from itself.
    ///
    /// # Errors
    /// Those of [`Store::locate`] for a template or licence that cannot be read.
    pub fn modelfile(&self, model: &Model) -> Result<Modelfile> {
        let manifest = &model.manifest;
        let mut settings = Settings::read(&manifest.parameters);
        let mut word = |key: &str| match settings.parameters.other.get(key) {
            Some(serde_json::Value::String(text)) => {
                let text = text.clone();
                settings.parameters.other.remove(key);
                Some(text)
            }
            _ => None,
        };
        let (requires, renderer, parser) = (word("requires"), word("renderer"), word("parser"));
        let templates = || manifest.files.iter().filter(|file| file.role == Role::Template);
        let is_jinja = |file: &&FileRef| file.format == TemplateLanguage::Jinja.format();
        let template = templates().find(is_jinja).or_else(|| templates().next());
        let license_files = manifest.files.iter().filter(|file| file.role == Role::License);
        let licenses = license_files.map(|file| self.read_text_file(file)).collect::<Result<_>>()?;
        Ok(Modelfile {
            from: vec![format!("{}@{}", model.name.without_digest(), model.digest)],
            template: template.map(|file| self.read_text_file(file)).transpose()?,
            system: settings.system,
            parameters: settings.parameters,
            messages: settings.messages,
            licenses,
            requires,
            renderer,
            parser,
            ..Modelfile::default()
        })
    }

    /// The model's card, where it has one.
    ///
    /// # Errors
    /// Those of [`Store::locate`], and [`Error::TooLarge`].
    pub fn card(&self, model: &Model) -> Result<Option<Card>> {
        let file = model.manifest.file(Role::Card);
        file.map(|file| Ok(Card::parse(&self.read_text_file(file)?))).transpose()
    }

    /// The text of a small file of a model: a template, licence, card. What is no UTF-8 is replaced by `�`.
    ///
    /// # Errors
    /// Those of [`Store::locate`], [`Error::TooLarge`] over 4 MiB, and [`Error::Corrupt`] or [`Error::Changed`]
    /// where the bytes are not the model's.
    pub fn read_text_file(&self, file: &FileRef) -> Result<String> {
        if file.size_bytes > MAX_TEXT_BYTES {
            return Err(Error::TooLarge { what: "the length of a text", limit: MAX_TEXT_BYTES });
        }
        let path = self.locate(file)?;
        let failed = |error| Error::io("read", &path, error);
        let mut bytes = Vec::new();
        let reader = self.disk.open(&path).map_err(failed)?;
        reader.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        match Digest::of(&bytes) {
            found if found == file.digest => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            found => Err(Error::corrupt(&path, Problem::WrongHash { found })),
        }
    }
}

/// The base's files that the new model has too, by reference. A Jinja template makes way for the new one whatever
/// its language, unless the new one is Go's, which cannot take its place. Files of parameters have been read.
fn kept_files(base: &Manifest, template: Option<&str>) -> Vec<FileRef> {
    let makes_way = |file: &FileRef| match (file.role, template) {
        (Role::Parameters, _) => true,
        (Role::Template, Some(text))
            if !text.is_empty() && TemplateLanguage::of(text) == TemplateLanguage::Go =>
        {
            file.format == TemplateLanguage::Go.format()
        }
        (Role::Template, Some(_)) => true,
        _ => false,
    };
    base.files.iter().filter(|file| !makes_way(file)).cloned().collect()
}
