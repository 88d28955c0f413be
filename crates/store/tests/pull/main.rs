//! Pulling from a server of our own that tells the truth, stalls, cuts, lies and sends elsewhere: every case ends in
//! the right bytes or a clear error, and what was verified is not fetched again.

#![allow(clippy::unwrap_used)]

mod faults;
mod hostile;
mod look;
mod resume;
mod sources;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::Rng;
use base::disk::{Disk, RealDisk};
use store::pull::{Problem, Progress, Pulled, Remote, Settings, Surroundings};
use store::{Digest, Error, Model, ModelName, Store};
use testkit::clock::JumpingClock;
use testkit::registry::{Registry, Reply, Request};

/// Some time in 2023.
pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// A home, and a clock.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) clock: JumpingClock,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::on(|_| Arc::new(RealDisk))
    }

    pub(crate) fn on(disk: impl FnOnce(&Path) -> Arc<dyn Disk>) -> Self {
        let folder = testkit::disk::quick_folder().unwrap();
        let store = Store::open(disk(folder.path()), &folder.path().join("home")).unwrap();
        Self { folder, store, clock: JumpingClock::new(NOW_MS) }
    }

    pub(crate) fn pull(&self, remote: &str, settings: &Settings) -> Result<Pulled, Error> {
        self.pull_watched(remote, settings, &mut |_| ControlFlow::Continue(()))
    }

    pub(crate) fn pull_watched(
        &self,
        remote: &str,
        settings: &Settings,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Pulled, Error> {
        let remote = Remote::parse(remote)?;
        let mut rng = Rng::new(4);
        let surroundings = Surroundings { clock: &self.clock, rng: &mut rng };
        self.store.pull(&remote.default_name()?, &remote, settings, surroundings, progress)
    }

    /// The bytes of a model's files, each checked to have the digest that the manifest says.
    pub(crate) fn files(&self, model: &Model) -> Vec<Vec<u8>> {
        let read = |file| {
            let bytes = std::fs::read(self.store.locate(file).unwrap()).unwrap();
            assert_eq!(Digest::of(&bytes), file.digest);
            bytes
        };
        model.manifest.files.iter().map(read).collect()
    }

    /// What lies in a folder of the store.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("home/models").join(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// No model, and nothing that looks like one.
    pub(crate) fn assert_nothing_stored(&self, context: &str) {
        assert!(self.store.list().unwrap().models.is_empty(), "{context}");
        assert_eq!(self.names_in("blobs"), [""; 0], "{context}");
    }
}

/// Patience for a busy machine, waits for a hurried test.
pub(crate) fn settings(registry: &Registry) -> Settings {
    Settings {
        hugging_face: registry.url(),
        ollama: registry.url(),
        piece_bytes: 1000,
        n_connections: 3,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(2000),
        progress_every: Duration::from_millis(1),
        ..Settings::default()
    }
}

/// Short waits, for servers that fall silent.
pub(crate) fn hurried(registry: &Registry) -> Settings {
    let silence = Duration::from_millis(150);
    Settings { first_byte_timeout: silence, stall_timeout: silence, ..settings(registry) }
}

/// Bytes that differ everywhere.
pub(crate) fn weights(n_bytes: usize) -> Vec<u8> {
    let mut rng = Rng::new(n_bytes as u64);
    (0..n_bytes).map(|_| rng.next_u64() as u8).collect()
}

pub(crate) fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

/// What went wrong at the network, with the promises that every such error keeps.
pub(crate) fn problem(error: Error) -> Problem {
    let (message, hint) = (error.to_string(), error.hint());
    assert!(!hint.is_empty() && !message.chars().any(char::is_control), "{message}");
    match error {
        Error::Remote { problem, .. } => *problem,
        other => panic!("{other:?}"),
    }
}

/// A server with one file, `/m.gguf`, answered by `answer`.
pub(crate) fn one_file(
    answer: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static,
) -> (Registry, Vec<u8>) {
    let bytes = weights(10_500);
    let served = bytes.clone();
    let registry = Registry::start(move |request| match request.target.split('?').next() {
        Some("/m.gguf") => answer(request, &served),
        _ => Reply::status(404),
    });
    (registry, bytes)
}

pub(crate) fn file_url(registry: &Registry) -> String {
    format!("{}/m.gguf", registry.url())
}

/// A server like an Ollama registry with one model, `tiny`, whose weights are answered by `answer`.
pub(crate) fn one_model(
    answer: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static,
) -> (Registry, Vec<u8>) {
    let bytes = weights(10_500);
    let (served, digest) = (bytes.clone(), Digest::of(&bytes));
    let registry = Registry::start(move |request| {
        if request.target == "/v2/library/tiny/manifests/latest" {
            let media_type = "application/vnd.ollama.image.model";
            let layer = serde_json::json!({"mediaType": media_type, "digest": digest, "size": served.len()});
            return Reply::bytes(serde_json::json!({"schemaVersion": 2, "layers": [layer]}).to_string());
        }
        if request.target == format!("/v2/library/tiny/blobs/{digest}") {
            return answer(request, &served);
        }
        Reply::status(404)
    });
    (registry, bytes)
}
