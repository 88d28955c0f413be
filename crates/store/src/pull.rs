//! Fetching a model from elsewhere: the only place below `server` that opens outgoing connections.
//!
//! Does not: read the environment (end points, tokens, proxy are passed in), look inside a model file, ask for
//! updates by itself, or use async.
//!
//! # How a pull proceeds
//! 1. **Ask.** The source says what the model consists of: Hugging Face lists a repository's files with their hashes
//!    at one commit, an Ollama registry has a manifest of layers named by their SHA-256, an address is asked for one
//!    byte. Which files make the model is chosen from their names; terms that were not accepted are told now.
//! 2. **Look.** What is here is not fetched: a blob or a finished file with the announced hash (it is hashed first, so
//!    a pull also mends a damaged blob), and the pieces of an earlier pull. For the rest there must be room.
//! 3. **Fetch.** A file is cut into pieces (8 MiB), which several connections ask for as ranges and write at their
//!    places in `models/partial/<key>.part`; a piece that is complete goes into the journal beside it, with its
//!    SHA-256. A connection that ends early, stalls or is sent away (429, 5xx) is tried again after a wait, from the
//!    byte that it reached. A server that sends no ranges is read in one go.
//! 4. **Check.** The whole is hashed. If it is not what was announced, pieces that changed on the disk are fetched
//!    again; if none did, the server sent something else, and the file is fetched once more from its beginning. After
//!    that it is an error and nothing is kept. Without an announced hash the validator (`ETag`) must stay the same
//!    over all parts, and [`Pulled::unchecked`] names the file.
//! 5. **Store.** The file gets its digest's name in `models/partial/`; when all are there they become blobs, then the
//!    manifest is written, then the name points at it, each durable before the next, as in an import.
//!
//! A kill at any moment costs at most the pieces that were on their way: the next pull hashes what the journal names
//! and goes on. A token goes to the end point that it is for and to nobody else, whatever redirects say; a redirect
//! from `https` to `http`, or into the local network, is refused.

mod address;
mod choice;
mod client;
mod direct;
pub(crate) mod fuzz;
mod header;
mod hugging_face;
mod journal;
mod look;
mod obtain;
mod ollama;
mod origin;
mod partial;
mod plan;
mod problem;
mod progress;
mod reach;
mod remote;
mod session;
mod settings;
mod transfer;

use std::ops::ControlFlow;

use base::Rng;
use base::clock::Clock;
use serde::de::DeserializeOwned;

use crate::manifest::{self, Manifest};
use crate::versions::Removed;
use crate::write::check_writable;
use crate::{Digest, Error, FileRef, Model, ModelInfo, ModelName, Result, Store};

pub use look::{Look, Quantisation, RemoteFile, look};
pub use origin::{Origin, RemoteVersion};
pub use problem::Problem;
pub use progress::{Phase, Progress};
pub use remote::Remote;
pub use settings::{Settings, Token};

use obtain::obtain;
use plan::Plan;
use problem::Announced;
use progress::Meter;
use session::Session;

/// How often a pull looks again when somebody took away files that were here.
const MAX_ROUNDS: usize = 3;

/// What a pull needs of the world around it.
pub struct Surroundings<'a> {
    /// For the rate, for dates in `Retry-After`, and for the time in the manifest; it may jump.
    pub clock: &'a dyn Clock,
    /// For the waits between attempts.
    pub rng: &'a mut Rng,
}

/// What was pulled.
#[derive(Debug)]
pub struct Pulled {
    /// The model as it stands under its name now.
    pub model: Model,
    /// Whether the name points at another version than before.
    pub is_new: bool,
    /// Bytes that came over the network for its files.
    pub fetched_bytes: u64,
    /// The files for which the source announced no hash: they are as long as announced and came in one version, and
    /// nothing more is known.
    pub unchecked: Vec<String>,
}

impl Store {
    /// Fetches what `remote` has now and makes `name` stand for it. What it stood for before stays among its
    /// versions; when nothing changed there, nothing changes here. `progress` is called from this thread, several
    /// times a second; when it breaks, the pull stops and keeps what came.
    ///
    /// # Errors
    /// [`Error::Remote`] with what the network or the source did; [`Error::DiskFull`] before the first byte, when it
    /// would not fit; those of a write.
    pub fn pull(
        &self,
        name: &ModelName,
        remote: &Remote,
        settings: &Settings,
        surroundings: Surroundings<'_>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Pulled> {
        check_writable(name)?;
        self.check_unpinned(name)?;
        let session = begin(remote, settings, surroundings)?;
        let mut meter = Meter::new(&session, progress);
        partial::stop_if(meter.begin(Phase::Asking, "").is_break(), &session)?;
        let mut plan = session.watched(&mut meter, || plan::make(&session, remote))?;
        for _ in 0..MAX_ROUNDS {
            let files = obtain(self, &session, &mut meter, (&mut plan, name))?;
            partial::stop_if(meter.begin(Phase::Storing, "").is_break(), &session)?;
            if let Some((model, is_new)) = self.point_at(name, files, &plan, (remote, &session))? {
                plan.files.iter().for_each(|file| self.remove_journal(file));
                let fetched_bytes = meter.fetched_bytes;
                return Ok(Pulled { model, is_new, fetched_bytes, unchecked: plan.unchecked() });
            }
        }
        let path = self.layout.blobs.clone();
        Err(Error::FileMissing { path })
    }

    /// Removes what pulls left that were never finished.
    ///
    /// # Errors
    /// [`Error::Remote`] with [`Problem::UnderWay`] while a pull works there; those of a write.
    pub fn forget_partial_pulls(&self) -> Result<Removed> {
        let _lock = self.begin_write()?;
        let folder = self.partial_folder();
        let mut removed = Removed::default();
        // Files with an ending are locked while a pull holds them; if one is, its model's finished files stay too.
        let mut entries = self.entries(&folder)?;
        entries.sort_by_key(|entry| std::path::Path::new(&entry.name).extension().is_none());
        for entry in entries {
            let path = folder.join(entry.name);
            let size_bytes = self.size_of(&path)?.unwrap_or(0);
            if !self.disk.remove_leftover(&path).map_err(|error| Error::io("remove", &path, error))? {
                return Err(Error::remote("(unfinished)", Problem::UnderWay));
            }
            removed.n_blobs += 1;
            removed.freed_bytes = removed.freed_bytes.saturating_add(size_bytes);
        }
        if removed.n_blobs > 0 {
            self.sync_folder(&folder)?;
        }
        Ok(removed)
    }

    /// Under the lock: blobs, then the manifest, then the record; each durable before the next. `None` when a file is
    /// gone that was here: somebody collected it meanwhile.
    fn point_at(
        &self,
        name: &ModelName,
        files: Vec<FileRef>,
        plan: &Plan,
        (remote, session): (&Remote, &Session<'_>),
    ) -> Result<Option<(Model, bool)>> {
        let remote = remote.text_to_ask_again();
        let origin = Origin { remote, version: plan.version.clone(), license: plan.license.clone() };
        let info = ModelInfo { parameters: plan.parameters.clone(), source: session.what.clone() };
        let mut manifest = Manifest::new(files, info, session.now_unix_ms());
        manifest.origin = Some(origin);
        let text = manifest::to_json(&manifest);
        if text.len() as u64 > manifest::MAX_TEXT_BYTES || manifest.files.len() > manifest::MAX_FILES {
            return Err(Error::TooLarge { what: "the manifest", limit: manifest::MAX_TEXT_BYTES });
        }
        let _lock = self.begin_write()?;
        if !self.make_blobs(&manifest.files)? {
            return Ok(None);
        }
        if let Some(model) = self.unchanged(name, &manifest) {
            return Ok(Some((model, false)));
        }
        let mut draft = crate::draft::Draft::create(&*self.disk, &self.layout.drafts)?;
        let (digest, _) = draft.fill(&mut &*text, &self.layout.drafts)?;
        draft.publish(&self.layout.blob(&digest))?;
        self.sync_folder(&self.layout.blobs)?;
        let record = self.write_record(name, digest)?;
        Ok(Some((Model::of(record, manifest), true)))
    }

    /// Moves finished files to the blobs; `false` when one is in neither place.
    fn make_blobs(&self, files: &[FileRef]) -> Result<bool> {
        for file in files {
            let (finished, blob) = (self.finished_path(&file.digest), self.layout.blob(&file.digest));
            if self.size_of(&finished)? == Some(file.size_bytes) {
                self.disk.rename(&finished, &blob).map_err(|error| Error::io("rename to", &blob, error))?;
            } else if self.size_of(&blob)? != Some(file.size_bytes) {
                return Ok(false);
            }
        }
        self.sync_folder(&self.layout.blobs)?;
        Ok(true)
    }

    /// The model of this name, if it is the same in all but the time.
    fn unchanged(&self, name: &ModelName, manifest: &Manifest) -> Option<Model> {
        let model = self.get_own(name).ok()?;
        let mut same = manifest.clone();
        same.created_ms = model.manifest.created_ms;
        (model.manifest == same).then_some(model)
    }
}

/// What a remote has now, without fetching a file.
///
/// # Errors
/// [`Error::Remote`].
pub fn remote_version(
    remote: &Remote,
    settings: &Settings,
    surroundings: Surroundings<'_>,
) -> Result<RemoteVersion> {
    let session = begin(remote, settings, surroundings)?;
    let plan = plan::make(&session, remote).map_err(|problem| session.failed(problem))?;
    let digests: Vec<Digest> = plan
        .files
        .iter()
        .filter_map(|file| match file.announced {
            Announced::Sha256(digest) => Some(digest),
            _ => None,
        })
        .collect();
    let sizes = plan.files.iter().map(|file| file.size_bytes);
    let size_bytes = sizes.sum::<Option<u64>>();
    Ok(RemoteVersion { version: plan.version, digests, size_bytes })
}

fn begin<'a>(
    remote: &Remote,
    settings: &'a Settings,
    mut surroundings: Surroundings<'a>,
) -> Result<Session<'a>> {
    let what = remote.to_string();
    let failed = |problem| Error::remote(&what, problem);
    let end_point = remote.end_point(settings).map_err(failed)?;
    Session::new(what.clone(), vec![end_point.origin.host], settings, &mut surroundings).map_err(failed)
}

impl Plan {
    fn unchecked(&self) -> Vec<String> {
        let unchecked = self.files.iter().filter(|file| file.announced == Announced::Nothing);
        unchecked.map(|file| file.name.clone()).collect()
    }
}

/// Reads an answer's JSON. The error repeats none of it: it may be anything.
fn json<T: DeserializeOwned>(bytes: &[u8], rule: &'static str) -> std::result::Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let shown = format!("line {}, column {}", error.line(), error.column());
        Problem::BadAnswer { rule, shown }
    })
}
