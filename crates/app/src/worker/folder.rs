//! A model in several files, as `transformers` writes them: in a folder, or in the store under the names that they had
//! there.
//!
//! Does not: know what the settings mean to a model (`models` does) or to a conversation (`dialogue` does).

use std::path::{Path, PathBuf};

use base::TokenId;
use formats::sniff::{FileKind, sniff};
use formats::{FileBytes, TensorFile, shards};
use models::{Config, Family};
use serde_json::Value;
use store::{Role, Store};
use text::{Tokenizer, VocabularyParts};

use crate::Failure;

mod older;

/// The longest settings that are read.
const MAX_SETTINGS_BYTES: u64 = 16 << 20;
/// The most files of a folder that are looked at.
const MAX_FILES: usize = 4096;
/// How the rows of a text become one, as `sentence-transformers` has it.
pub(crate) const POOLING: &str = "1_Pooling/config.json";
/// Weights, the better format first; of shards their list.
const WEIGHTS: [&str; 12] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    // Parts of image models; those in half precision have a name of their own.
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
    "model.fp16.safetensors",
    // What people call a file that a trainer wrote.
    "model.pth",
    "model.pt",
    "pytorch_model.pth",
];

/// The files of a model.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// How errors name it.
    label: String,
    place: Place,
    /// The weights, where a person named their file.
    weights: Option<String>,
}

/// Where the files are.
#[derive(Clone, Debug)]
enum Place {
    Disk(PathBuf),
    /// Under the names that they had at their source.
    Store(Vec<(String, PathBuf)>),
}

impl Folder {
    /// A folder on disk.
    pub fn at(path: &Path) -> Self {
        Self { label: path.display().to_string(), place: Place::Disk(path.to_owned()), weights: None }
    }

    /// The folder of a file of weights, which is taken in place of those with the usual names.
    pub fn around(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let place = Place::Disk(folder.unwrap_or(Path::new(".")).to_owned());
        // A part of a set is read with the others, by their list.
        let weights = name.filter(|name| !is_shard(name));
        Self { label: path.display().to_string(), place, weights }
    }

    /// A model in the store.
    ///
    /// # Errors
    /// A file that is not there any more, or is not what it was.
    pub fn of(store: &Store, model: &store::Model) -> Result<Self, Failure> {
        let is_read = |role| !matches!(role, Role::License | Role::Card | Role::Adapter | Role::Projector);
        let named = model.manifest.files.iter().filter(|file| is_read(file.role));
        let named = named.filter_map(|file| Some((file.name.clone()?, file)));
        let located = named.map(|(name, file)| Ok((name, store.locate(file)?)));
        let files = located.collect::<Result<_, Failure>>()?;
        Ok(Self { label: model.name.to_string(), place: Place::Store(files), weights: None })
    }

    /// Files that lie anywhere, under the names that they have among each other.
    pub fn of_files(label: &str, files: Vec<(String, PathBuf)>) -> Self {
        Self { label: label.to_owned(), place: Place::Store(files), weights: None }
    }

    /// Whether a file of weights was named, and not the folder.
    pub fn is_file(&self) -> bool {
        self.weights.is_some()
    }

    /// A folder in this one.
    pub fn part(&self, name: &str) -> Self {
        let label = format!("{}/{name}", self.label);
        let place = match &self.place {
            Place::Disk(folder) => Place::Disk(folder.join(name)),
            Place::Store(files) => {
                let inside = |(file, path): &(String, PathBuf)| {
                    Some((file.strip_prefix(name)?.strip_prefix('/')?.to_owned(), path.clone()))
                };
                Place::Store(files.iter().filter_map(inside).collect())
            }
        };
        Self { label, place, weights: None }
    }

    /// How errors name it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Where a file lies; `None` where there is none of that name.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        match &self.place {
            Place::Disk(folder) => Some(folder.join(name)).filter(|path| path.is_file()),
            Place::Store(files) => {
                files.iter().find(|(known, _)| known == name).map(|(_, path)| path.clone())
            }
        }
    }

    /// A file by its name; `None` where there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn file(&self, name: &str) -> Result<Option<FileBytes>, Failure> {
        Ok(match self.path(name) {
            Some(path) => Some(FileBytes::open(&path)?.with_label(&format!("{}: {name}", self.label))),
            None => None,
        })
    }

    /// A file of settings; `None` where there is none.
    ///
    /// # Errors
    /// Settings that are too long or no JSON.
    pub fn settings(&self, name: &str) -> Result<Option<Value>, Failure> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let bad = |reason: String| {
            let message = format!("{}: {name}: {reason}", self.label);
            Failure::new("bad_file", message, "fetch the model again from its source")
        };
        if file.size_bytes() > MAX_SETTINGS_BYTES {
            return Err(bad(format!("{} bytes, at most {MAX_SETTINGS_BYTES} are read", file.size_bytes())));
        }
        serde_json::from_slice(file.as_slice()).map(Some).map_err(|error| bad(error.to_string()))
    }

    /// `config.json`; of a model with eyes or ears what it says of the text.
    ///
    /// # Errors
    /// When it is not there or no JSON.
    pub fn config(&self) -> Result<Value, Failure> {
        let config = self.settings("config.json")?.ok_or_else(|| self.missing("config.json"))?;
        Ok(models::families::of_text(config))
    }

    /// Its family and its sizes.
    ///
    /// # Errors
    /// A family that is not known, or sizes that make no sense.
    pub fn family(&self) -> Result<(&'static Family, Config), Failure> {
        sizes(&self.config()?, &self.label)
    }

    /// The name of the file with the weights, or with the list of their shards.
    ///
    /// # Errors
    /// When there is none.
    pub fn weights_name(&self) -> Result<&str, Failure> {
        if let Some(name) = &self.weights {
            return Ok(name);
        }
        let found = WEIGHTS.into_iter().find(|name| self.path(name).is_some());
        found.ok_or_else(|| self.missing(WEIGHTS[0]))
    }

    /// Every file with weights, the list of shards among them, by the name that a model of several files has for it.
    ///
    /// # Errors
    /// When there are none, or a shard is missing.
    pub fn weights_names(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let name = self.weights_name()?;
        let file = self.file(name)?.ok_or_else(|| self.missing(name))?;
        let path = self.path(name).ok_or_else(|| self.missing(name))?;
        let usual = match sniff(file.as_slice()) {
            FileKind::Json => {
                let mut names = vec![(name.to_owned(), path)];
                for shard in shards::names(&file)? {
                    let path = self.path(&shard).ok_or_else(|| self.missing(&shard))?;
                    names.push((shard, path));
                }
                return Ok(names);
            }
            FileKind::Safetensors => WEIGHTS[0],
            _ => WEIGHTS[2],
        };
        Ok(vec![(usual.to_owned(), path)])
    }

    /// The names of all files, those one folder down with a slash.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let root = match &self.place {
            Place::Store(files) => return Ok(files.iter().map(|(name, _)| name.clone()).collect()),
            Place::Disk(root) => root,
        };
        let failed = |error| crate::worker::training::record::io_failure("list", root, &error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(root).map_err(failed)?.take(MAX_FILES) {
            if let Some(name) = entry.map_err(failed)?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        names.push(POOLING.into());
        names.sort();
        Ok(names)
    }

    /// The weights, in however many files.
    ///
    /// # Errors
    /// When there are none, or what is wrong with them.
    pub fn weights(&self) -> Result<TensorFile, Failure> {
        Ok(self.tensors()?.renamed(models::families::name_in_text)?)
    }

    /// The weights under the names that the files have for them.
    ///
    /// # Errors
    /// When there are none, or what is wrong with them.
    pub fn tensors(&self) -> Result<TensorFile, Failure> {
        let name = self.weights_name()?;
        let file = self.file(name)?.ok_or_else(|| self.missing(name))?;
        Ok(match sniff(file.as_slice()) {
            FileKind::Json => shards::read(&file, |shard| self.shard(shard))?,
            _ => formats::read(&file)?,
        })
    }

    fn shard(&self, name: &str) -> Result<FileBytes, formats::Error> {
        let missing =
            || formats::Error::MissingPart { file: self.label.as_str().into(), part: name.to_owned() };
        FileBytes::open(&self.path(name).ok_or_else(missing)?)
    }

    /// How many bytes the weights take in their files.
    pub fn size_bytes(&self) -> u64 {
        let parts = self.tensors().map(|file| file.parts().iter().map(FileBytes::size_bytes).sum());
        parts.unwrap_or(0)
    }

    /// The vocabulary, with the tokens that begin and end a text.
    ///
    /// # Errors
    /// When there is none, or what is wrong with it.
    pub fn tokenizer(&self) -> Result<Tokenizer, Failure> {
        let Some(file) = self.file("tokenizer.json")? else {
            return Ok(Tokenizer::from_parts(self.older_vocabulary()?)?);
        };
        let tokenizer = Tokenizer::from_json(file.as_slice())?;
        let settings = self.settings("tokenizer_config.json")?.unwrap_or_default();
        let named = |key: &str| {
            let token = settings.get(key)?;
            tokenizer.find(token.as_str().or(token.get("content")?.as_str())?)
        };
        let id = |key: &str| {
            let id = self.config().ok()?.get(key)?.as_u64()?;
            u32::try_from(id).ok().filter(|id| (*id as usize) < tokenizer.len()).map(TokenId)
        };
        // What the file itself puts around a text is what the model knows.
        let bos = tokenizer.bos().or_else(|| named("bos_token")).or_else(|| id("bos_token_id"));
        let eos = tokenizer.eos().or_else(|| named("eos_token")).or_else(|| id("eos_token_id"));
        Ok(tokenizer.with_ends(bos, eos, &[])?)
    }

    /// The vocabulary as plain values; `None` where these cannot say what its `tokenizer.json` does.
    ///
    /// # Errors
    /// When there is no vocabulary, or what is wrong with it.
    pub fn parts(&self) -> Result<Option<VocabularyParts>, Failure> {
        if self.has_sentencepiece()? {
            return self.older_vocabulary().map(Some);
        }
        match self.file("tokenizer.json")? {
            Some(file) => Ok(VocabularyParts::from_tokenizer_json(file.as_slice())?),
            None => self.older_vocabulary().map(Some),
        }
    }

    /// The chat template: in a file of its own, or among the settings of the tokenizer.
    ///
    /// # Errors
    /// A file that is no text or no JSON.
    pub fn template(&self) -> Result<Option<String>, Failure> {
        if let Some(file) = self.file("chat_template.jinja")? {
            let text = String::from_utf8(file.as_slice().to_vec());
            let bad = || {
                let message = format!("{}: chat_template.jinja is not UTF-8", self.label);
                Failure::new("bad_template", message, "fetch the model again from its source")
            };
            return text.map(Some).map_err(|_| bad());
        }
        for name in ["chat_template.json", "tokenizer_config.json"] {
            let settings = self.settings(name)?;
            if let Some(template) = settings.as_ref().and_then(|settings| settings.get("chat_template")) {
                return Ok(chosen(template));
            }
        }
        Ok(None)
    }

    fn missing(&self, name: &str) -> Failure {
        let message = format!("{}: there is no {name}", self.label);
        let hint = match name {
            "config.json" => {
                "weights alone do not say what model they are: put config.json and the vocabulary from the model's \
                 source beside them"
            }
            "tokenizer.json" => {
                "put tokenizer.json (or tokenizer.model, tekken.json, a .tiktoken file, vocab.json with merges.txt, \
                 vocab.txt) from the model's source beside the weights"
            }
            _ => "name a folder with config.json, the weights and the vocabulary",
        };
        Failure::new("bad_file", message, hint)
    }
}

/// The template that is meant: the only one, or of several that with the name `default`.
fn chosen(template: &Value) -> Option<String> {
    let Some(list) = template.as_array() else { return template.as_str().map(str::to_owned) };
    let is_default = |named: &&Value| named.get("name").and_then(Value::as_str) == Some("default");
    let named = list.iter().find(is_default).or(list.first())?;
    named.get("template").and_then(Value::as_str).map(str::to_owned)
}

/// Whether a name is that of one of several files of weights.
fn is_shard(name: &str) -> bool {
    let Some((stem, count)) = name.rsplit_once('.').and_then(|(stem, _)| stem.rsplit_once("-of-")) else {
        return false;
    };
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(count) && stem.rsplit_once('-').is_some_and(|(_, number)| is_number(number))
}

/// The family and the sizes that a `config.json`, that of the text, speaks of; errors call it `label`.
///
/// # Errors
/// A family that is not known, or sizes that make no sense.
pub(crate) fn sizes(config: &Value, label: &str) -> Result<(&'static Family, Config), Failure> {
    let family = models::families::recognise_config(config, label)?;
    Ok((family, Config::from_hugging_face(config, &family.hugging_face, label)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_default_template_is_chosen() {
        assert_eq!(chosen(&json!("a")).as_deref(), Some("a"));
        let named = |name: &str, template: &str| json!({ "name": name, "template": template });
        assert_eq!(chosen(&json!([named("tool_use", "t"), named("default", "d")])).as_deref(), Some("d"));
        assert_eq!(chosen(&json!([named("rag", "r")])).as_deref(), Some("r"));
        assert_eq!(chosen(&json!([])), None);
        assert_eq!(chosen(&json!(null)), None);
    }

    #[test]
    fn shards_are_told_by_their_names() {
        assert!(is_shard("model-00002-of-00003.safetensors"));
        for name in ["model.safetensors", "model-2-of-3.safetensors", "00002-of-00003.bin", "a"] {
            assert!(!is_shard(name), "{name}");
        }
    }
}
