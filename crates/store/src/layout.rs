//! Where everything lies below `HEARTH_HOME`.
//!
//! Not a builder of paths from texts: only checked names and digests go in.

use std::path::{Path, PathBuf};

use crate::{Digest, ModelName};

/// The paths of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub home: PathBuf,
    pub models: PathBuf,
    pub blobs: PathBuf,
    pub manifests: PathBuf,
    pub drafts: PathBuf,
    pub cache: PathBuf,
    pub prefixes: PathBuf,
    pub lock: PathBuf,
}

impl Layout {
    pub(crate) fn new(home: &Path) -> Self {
        let models = home.join("models");
        Self {
            home: home.to_owned(),
            blobs: models.join("blobs"),
            manifests: models.join("manifests"),
            drafts: models.join("tmp"),
            cache: models.join("cache"),
            prefixes: models.join("cache").join("prefixes"),
            lock: models.join("lock"),
            models,
        }
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.file_name())
    }

    /// The folders on the way to a name's record, the outermost first.
    pub(crate) fn record_folders(&self, name: &ModelName) -> [PathBuf; 3] {
        let [host, namespace, model, _] = name.folded();
        let host = self.manifests.join(host);
        let namespace = host.join(namespace);
        let model = namespace.join(model);
        [host, namespace, model]
    }

    pub(crate) fn record(&self, name: &ModelName) -> PathBuf {
        let [_, _, folder] = self.record_folders(name);
        let [_, _, _, tag] = name.folded();
        folder.join(format!("{tag}.json"))
    }
}
