//! A run on disk: one folder with everything that a training needs to go on and that a person needs to understand
//! it afterwards.
//!
//! ```text
//! runs/<run>/
//!   record.json          what it is, what it was made with, how far it is
//!   vocabulary.gguf      the vocabulary, as a GGUF file without tensors
//!   tokens               the documents as tokens
//!   last.safetensors     the last checkpoint: weights, moments, progress
//!   best.safetensors     the checkpoint with the lowest held-out loss
//!   curve.jsonl          a line for each step
//!   held-out.jsonl       a line for each measurement
//!   loss.svg  README.md  the plot and the model card, at the end
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base::disk::{Disk, Kind, replace};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use train::{Knobs, Plan};

use crate::Failure;
use crate::event::training::{Ending, HeldOut};
use crate::job::training::{Vocabulary, Watch};

/// The version of the record's form.
const VERSION: u32 = 1;

/// What is written down of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Its name, which is its folder's.
    pub run: String,
    /// The name of its model.
    pub name: String,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The version of Hearth that began it.
    pub hearth: String,
    /// The instruction set that computes.
    pub isa: String,
    /// Threads that compute.
    pub n_threads: usize,
    /// The folder or file that it learns from.
    pub data: PathBuf,
    /// The digest of everything in it.
    pub data_digest: String,
    /// Documents that were read.
    pub n_documents: u64,
    /// Tokens to learn from.
    pub n_training_tokens: u64,
    /// Tokens that only measure.
    pub n_held_out_tokens: u64,
    /// Where the vocabulary came from.
    pub vocabulary: Vocabulary,
    /// The model whose weights it began with; random ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_from: Option<String>,
    /// What was set.
    pub knobs: Knobs,
    /// When it is looked at.
    pub watch: Watch,
    /// What followed, with reasons.
    pub plan: Plan,
    /// Steps done.
    pub steps: u64,
    /// Seconds spent on them.
    pub seconds: f64,
    /// The mean loss of the last steps, in nats a token.
    pub loss: Option<f64>,
    /// The lowest held-out loss.
    pub best: Option<HeldOut>,
    /// How it ended, when it did.
    pub ending: Option<Ending>,
    /// The digest of every file of the data.
    pub fingerprint: data::Fingerprint,
}

/// What a new record begins with.
pub(crate) struct Beginning {
    pub run: String,
    pub name: String,
    pub began_unix_ms: u64,
    pub data: PathBuf,
    pub fingerprint: data::Fingerprint,
    pub n_documents: u64,
    pub n_tokens: [u64; 2],
    pub vocabulary: Vocabulary,
    pub weights_from: Option<String>,
    pub knobs: Knobs,
    pub watch: Watch,
    pub plan: Plan,
}

impl Record {
    pub(crate) fn new(beginning: Beginning) -> Self {
        let Beginning { run, name, began_unix_ms, data, fingerprint, .. } = beginning;
        let [n_training_tokens, n_held_out_tokens] = beginning.n_tokens;
        Self {
            version: VERSION,
            run,
            name,
            began_unix_ms,
            hearth: env!("CARGO_PKG_VERSION").into(),
            isa: kernels::isa::current().to_string(),
            n_threads: kernels::pool::active_threads(),
            data,
            data_digest: fingerprint.digest().to_string(),
            n_documents: beginning.n_documents,
            n_training_tokens,
            n_held_out_tokens,
            vocabulary: beginning.vocabulary,
            weights_from: beginning.weights_from,
            knobs: beginning.knobs,
            watch: beginning.watch,
            plan: beginning.plan,
            steps: 0,
            seconds: 0.0,
            loss: None,
            best: None,
            ending: None,
            fingerprint,
        }
    }
}

/// The folder of one run.
#[derive(Clone)]
pub(crate) struct Folder<'a> {
    pub disk: &'a dyn Disk,
    pub path: PathBuf,
}

impl<'a> Folder<'a> {
    /// The folder of the run called `run`, which need not be there.
    pub fn of(disk: &'a dyn Disk, home: &Path, run: &str) -> Self {
        Self { disk, path: home.join("runs").join(run) }
    }

    /// Makes a folder for a run of this name: the name itself, or the first free number behind it.
    pub fn create(disk: &'a dyn Disk, home: &Path, name: &str) -> Result<Self, Failure> {
        let runs = home.join("runs");
        let make = |path: &Path| disk.create_dir(path).map_err(|error| io_failure("create", path, &error));
        make(home)?;
        make(&runs)?;
        let stem = name.replace(['/', ':'], "-");
        let names = std::iter::once(stem.clone()).chain((2..).map(|number| format!("{stem}-{number}")));
        for candidate in names {
            let path = runs.join(candidate);
            match disk.facts(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make(&path)?;
                    return Ok(Self { disk, path });
                }
                Err(error) => return Err(io_failure("look at", &path, &error)),
                Ok(_) => {}
            }
        }
        unreachable!("there is always another number")
    }

    /// The name of the run.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The record of this run.
    pub fn record(&self) -> Result<Record, Failure> {
        let path = self.file("record.json");
        let text = self.read(&path)?;
        let record: Record = serde_json::from_str(&text).map_err(|error| {
            let message = format!("{}: {error}", path.display());
            Failure::new("damaged_run", message, "the folder of a run can be removed as a whole")
        })?;
        match record.version {
            VERSION => Ok(record),
            newer => {
                let message = format!("{}: version {newer} is not known", path.display());
                Err(Failure::new("future_version", message, "use the newer Hearth that wrote it"))
            }
        }
    }

    /// Writes the record: the old one or the new one is there at any time.
    pub fn write_record(&self, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(record).expect("a record is plain values");
        self.write("record.json", text.as_bytes())
    }

    /// Writes a small file beside the old one, makes it durable, and puts it in its place.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.file(name);
        let failed = |action: &'static str, path: &Path, error| io_failure(action, path, &error);
        let all = |out: &mut dyn Write| out.write_all(bytes).map_err(|error| failed("write", &path, error));
        replace(self.disk, &path, all, failed)
    }

    /// A small text file.
    pub fn read(&self, path: &Path) -> Result<String, Failure> {
        const MOST_BYTES: u64 = 256 << 20;
        let read = || -> io::Result<String> {
            let mut text = String::new();
            io::Read::read_to_string(&mut io::Read::take(self.disk.open(path)?, MOST_BYTES), &mut text)?;
            Ok(text)
        };
        read().map_err(|error| io_failure("read", path, &error))
    }

    /// The lines of a file of JSON lines; a last line that was cut off is left out, a missing file is empty.
    pub fn lines<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Failure> {
        match self.disk.facts(&self.file(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            _ => {}
        }
        let text = self.read(&self.file(name))?;
        Ok(text.lines().map_while(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Takes the folder away, as far as that can be done: nothing in it was acknowledged.
    pub fn remove(&self) {
        for entry in self.disk.list(&self.path).unwrap_or_default() {
            let _ = self.disk.remove_file(&self.path.join(entry.name));
        }
        let _ = self.disk.remove_dir(&self.path);
    }

    /// Whether there is such a run.
    pub fn exists(&self) -> bool {
        self.disk.facts(&self.file("record.json")).is_ok_and(|facts| facts.kind == Kind::File)
    }
}

/// Names of all runs, sorted.
pub(crate) fn names(disk: &dyn Disk, home: &Path) -> Result<Vec<String>, Failure> {
    let runs = home.join("runs");
    match disk.list(&runs) {
        Ok(entries) => Ok(entries
            .into_iter()
            .filter(|entry| entry.kind == Kind::Directory)
            .map(|entry| entry.name.to_string_lossy().into_owned())
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_failure("list", &runs, &error)),
    }
}

/// What went wrong with a file of a run.
pub(crate) fn io_failure(action: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::new(
            "disk_full",
            message,
            "free some space, then go on with `hearth train --resume NAME`",
        ),
        io::ErrorKind::PermissionDenied => {
            Failure::new("permission_denied", message, "make the folder writable for you")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Failure::new("read_only", message, "set HEARTH_HOME to another folder")
        }
        _ => Failure::new("cannot_read", message, "check the disk and the permissions, then try again"),
    }
}
