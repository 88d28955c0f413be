//! The model that is asked about: its sizes and the table of its tensors, from a file or folder here or from the headers
//! of the files that a source has. Of a source nothing is stored, and no weight is fetched.

use std::path::Path;

use base::Rng;
use formats::{FileBytes, TensorEntry, TensorFile, gguf, safetensors};
use models::families::{name_in_text, of_text};
use models::{Config, Dialect, recognise};
use serde_json::Value;
use store::Role;
use store::pull::{Look, Remote, RemoteFile, Surroundings, look};

use crate::Failure;
use crate::worker::contents::{Contents, makes_vectors, no_writer};
use crate::worker::fetch::Place;
use crate::worker::{folder, open};

/// The longest `config.json` that is fetched.
const MAX_CONFIG_BYTES: u64 = 16 << 20;
/// The first piece of a GGUF file's header that is fetched; the next ones are a quarter of what is here, or this.
const PIECE_BYTES: u64 = 64 << 10;
/// What a look-up says of something that nobody here has.
const NOT_HERE: [&str; 2] = ["model_not_found", "bad_name"];
/// The length that a safetensors file begins with.
const LENGTH_BYTES: u64 = 8;

/// A model that is asked about.
pub(crate) struct Subject {
    /// Its name as people read it.
    pub name: String,
    pub config: Config,
    pub dialect: &'static Dialect,
    pub tensors: Vec<TensorEntry>,
    /// The source, where it is not here.
    pub remote: Option<Remote>,
    /// In which quantisations the source has it, and their bytes.
    pub offered: Vec<(String, u64)>,
}

/// Finds the model: here, else where its name says that it can be had.
///
/// # Errors
/// `model_not_found`, what is wrong with its files, or what the network did.
pub(crate) fn find(place: &Place<'_>, wanted: &str) -> Result<Subject, Failure> {
    match open::find(place.store, wanted) {
        Ok(source) => of_contents(&Contents::read(&source)?),
        // What is here and damaged is told, not looked for elsewhere.
        Err(failure) if NOT_HERE.contains(&&*failure.code) && is_elsewhere(wanted) => {
            let there = of_remote(place, &Remote::parse(wanted)?);
            there.map_err(|there| Failure {
                message: format!("\"{wanted}\" is not here; {}", there.message),
                ..there
            })
        }
        Err(failure) => Err(failure),
    }
}

/// Whether a name says where it is to be had: an address, a host, or a tag of a registry. A bare name is one of here, and
/// a mistyped one asks nobody.
fn is_elsewhere(wanted: &str) -> bool {
    let host = wanted.split('/').next().filter(|_| wanted.contains('/')).unwrap_or_default();
    let is_path = Path::new(wanted).is_absolute() || wanted.starts_with('.');
    wanted.contains("://") || !is_path && (host.contains('.') || wanted.contains(':'))
}

fn of_contents(contents: &Contents<'_>) -> Result<Subject, Failure> {
    let (family, config) = contents.decoder_sizes()?;
    let tensors = contents.tensors.tensors().to_vec();
    Ok(Subject::new(contents.name(), config, contents.dialect(family), tensors))
}

/// A GGUF file, or the parts of one: the first has what is said of the whole.
fn of_gguf(name: &str, parts: Vec<TensorFile>) -> Result<Subject, Failure> {
    let first = parts.first().ok_or_else(Failure::internal)?;
    let family = recognise(first)?;
    let config = Config::from_gguf(first.metadata(), &family.gguf, name)?;
    let tensors = parts.iter().flat_map(|part| part.tensors().iter().cloned()).collect();
    Ok(Subject::new(name, config, &family.gguf, tensors))
}

/// A folder of `transformers` by its `config.json`.
fn of_settings(name: &str, settings: &Value, tensors: Vec<TensorEntry>) -> Result<Subject, Failure> {
    let (family, config) = folder::sizes(settings, name)?;
    if makes_vectors(family) {
        return Err(no_writer(name));
    }
    Ok(Subject::new(name, config, &family.hugging_face, tensors))
}

impl Subject {
    fn new(name: &str, config: Config, dialect: &'static Dialect, tensors: Vec<TensorEntry>) -> Self {
        Self { name: name.into(), config, dialect, tensors, remote: None, offered: Vec::new() }
    }
}

fn of_remote(place: &Place<'_>, remote: &Remote) -> Result<Subject, Failure> {
    let mut rng = Rng::new(place.clock.now_unix_ms());
    let surroundings = Surroundings { clock: place.clock, rng: &mut rng };
    let look = look(remote, place.settings, surroundings)?;
    let mut headers = Headers { name: remote.to_string(), place, look };
    let sized = headers.look.quantisations().iter();
    let offered = sized.filter_map(|one| Some((one.name.clone(), one.size_bytes?))).collect();
    let subject = headers.subject()?;
    Ok(Subject { remote: Some(remote.clone()), offered, ..subject })
}

/// Reads the headers of the files that a source has.
struct Headers<'a> {
    name: String,
    place: &'a Place<'a>,
    look: Look<'a>,
}

impl Headers<'_> {
    fn subject(&mut self) -> Result<Subject, Failure> {
        let files: Vec<RemoteFile> = self.look.files().collect();
        let weights: Vec<usize> =
            (0..files.len()).filter(|&index| files[index].role == Role::Model).collect();
        let format = weights.first().map_or("", |&index| files[index].format.as_str());
        match format {
            "gguf" => {
                let read = |&index: &usize| self.header(index, &files[index], &GGUF);
                let parts = weights.iter().map(read).collect::<Result<Vec<TensorFile>, Failure>>()?;
                of_gguf(&self.name, parts)
            }
            "safetensors" => {
                let mut tensors = Vec::new();
                for index in weights {
                    let header = self.header(index, &files[index], &SAFETENSORS)?;
                    tensors.extend_from_slice(header.renamed(name_in_text)?.tensors());
                }
                // A model inside a multimodal one is found as in a folder.
                let settings = of_text(self.settings(&files)?);
                of_settings(&self.name, &settings, tensors)
            }
            _ => {
                let message = format!("{}: its weights have no header that could be read alone", self.name);
                let hint = format!("`hearth pull {}`, then ask again", self.name);
                Err(Failure::new("bad_file", message, hint))
            }
        }
    }

    fn settings(&mut self, files: &[RemoteFile]) -> Result<Value, Failure> {
        let bad = |reason: &str| {
            let message = format!("{}: config.json: {reason}", self.name);
            Failure::new("bad_file", message, "name a repository, which has it beside the weights")
        };
        let index = files.iter().position(|file| file.name == "config.json");
        let index = index.ok_or_else(|| bad("it is not there"))?;
        let bytes = self.look.read(index, 0..MAX_CONFIG_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))
    }

    /// Fetches the beginning of a file until its header is whole.
    fn header(&mut self, index: usize, file: &RemoteFile, kind: &Kind) -> Result<TensorFile, Failure> {
        let size_bytes = file.size_bytes.unwrap_or(u64::MAX);
        let (mut bytes, mut wanted) = (Vec::new(), kind.first_bytes);
        loop {
            if self.place.reporter.is_cancelled() {
                let message = "stopped before the model was known";
                return Err(Failure::new("stopped", message, "begin again any time"));
            }
            let here = bytes.len() as u64;
            let piece = self.look.read(index, here..here.saturating_add(wanted))?;
            let is_end = piece.is_empty();
            bytes.extend(piece);
            let beginning = FileBytes::from_vec(&file.name, bytes.clone());
            match (kind.read)(&beginning, size_bytes) {
                Err(formats::Error::Truncated { needed, left, .. }) if !is_end => {
                    let known = needed.saturating_sub(left);
                    wanted = known.max((kind.next_bytes)(bytes.len() as u64)).max(1);
                }
                read => return Ok(read?),
            }
        }
    }
}

/// A kind of file, and how much of one is fetched at a time.
struct Kind {
    read: fn(&FileBytes, u64) -> Result<TensorFile, formats::Error>,
    first_bytes: u64,
    /// Least bytes of the next piece, where so many are here.
    next_bytes: fn(u64) -> u64,
}

/// How long its header is, it does not say: the last piece may reach beyond it.
const GGUF: Kind = Kind {
    read: gguf::read_beginning,
    first_bytes: PIECE_BYTES,
    next_bytes: |here| PIECE_BYTES.max(here / 4),
};
/// It begins with the length of its header, of which nothing more is fetched.
const SAFETENSORS: Kind =
    Kind { read: safetensors::read_beginning, first_bytes: LENGTH_BYTES, next_bytes: |_| 0 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_says_where_is_looked_for_elsewhere() {
        for wanted in ["https://h.example/a.gguf", "hf.co/a/b", "hf.co/a/b:Q8_0", "llama3.2:1b", "reg.io/a/b"]
        {
            assert!(is_elsewhere(wanted), "{wanted}");
        }
        for wanted in ["llama3.2", "anna/poems", "./a.gguf", "/models/a.b/c.gguf", "../x:y", "poems"] {
            assert!(!is_elsewhere(wanted), "{wanted}");
        }
    }
}
