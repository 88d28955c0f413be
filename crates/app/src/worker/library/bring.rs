//! Bringing a model file into the store.

use std::path::Path;

use formats::{FileBytes, FileKind};
use store::{ModelInfo, ModelName, NewFile, Role, Source};

use super::Library;
use crate::job::{Import, Placement};
use crate::worker::convert::Converted;
use crate::worker::contents::Contents;
use crate::worker::loaded;
use crate::worker::open::Files;
use crate::{Event, Failure};

impl Library<'_> {
    pub fn import(&self, import: &Import) -> Result<Event, Failure> {
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
        check(&Files::Gguf(vec![file.clone()]), file.label())?;
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

    pub fn store(&self, name: &ModelName, source: Source<'_>, from: &Path) -> Result<store::Model, Failure> {
        let file = NewFile { role: Role::Model, format: "gguf".into(), source };
        let info = ModelInfo { source: from.display().to_string(), ..ModelInfo::default() };
        Ok(self.store.import(name, vec![file], info, self.now_ms)?)
    }
}

/// Refuses a file that could not run, before a byte of it is stored.
pub(super) fn check(files: &Files, name: &str) -> Result<(), Failure> {
    let contents = Contents::of(files, name)?;
    let device = ops::device::cpu();
    if !contents.is_encoder()? {
        contents.decoder_and_tokenizer(&device)?;
        return Ok(());
    }
    let encoder = contents.encoder(&device)?;
    loaded::check_fit(&contents.tokenizer()?, encoder.config().vocabulary, name)
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
