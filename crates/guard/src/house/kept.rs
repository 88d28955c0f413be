//! The two files of the house: what stands in them, read with care and written whole.
//!
//! Does not: know what a certificate says beyond the facts that are kept beside it.

use std::io::{self, Read as _};
use std::path::Path;

use base::disk::{Disk, replace};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Problem, Result};

/// Longer than either file ever is.
const MAX_BYTES: u64 = 64 << 10;
const VERSION: i64 = 1;

/// `house-ca.json`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptAuthority {
    pub version: i64,
    /// The common name.
    pub name: String,
    /// The machine's name, where the certificate speaks of it.
    pub machine: Option<String>,
    pub from_unix_ms: u64,
    pub until_unix_ms: u64,
    /// PEM.
    pub certificate: String,
    /// PEM (PKCS #8).
    pub key: String,
}

/// `house-server.json`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptServer {
    pub version: i64,
    /// The fingerprint of the authority that made it.
    pub authority: String,
    /// Names and addresses, sorted.
    pub names: Vec<String>,
    pub from_unix_ms: u64,
    pub until_unix_ms: u64,
    /// PEM.
    pub certificate: String,
    /// PEM (PKCS #8).
    pub key: String,
}

impl KeptAuthority {
    pub(crate) const VERSION: i64 = VERSION;

    /// `None` when there is no such file.
    pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Self>> {
        read(disk, path)?.map(|bytes| Self::from_json(&bytes, path)).transpose()
    }

    pub(crate) fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        parse(bytes, path)
    }
}

impl KeptServer {
    pub(crate) const VERSION: i64 = VERSION;

    /// `None` when there is no such file.
    pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Self>> {
        read(disk, path)?.map(|bytes| Self::from_json(&bytes, path)).transpose()
    }

    pub(crate) fn from_json(bytes: &[u8], path: &Path) -> Result<Self> {
        parse(bytes, path)
    }
}

/// Puts one of the files in the place of what may be there: whole or not at all, 0600, durable.
pub(crate) fn write(disk: &dyn Disk, path: &Path, kept: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(kept).expect("texts and numbers are JSON");
    let failed = |action, path: &Path, error| Error::io(action, path, error);
    let written =
        |out: &mut dyn io::Write| out.write_all(&text).map_err(|error| failed("write", path, error));
    replace(disk, path, written, failed)
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::damaged(path, Problem::BreaksRule { rule: "it is longer than 64 KiB" }));
    }
    Ok(Some(bytes))
}

#[derive(Deserialize)]
struct Version {
    version: i64,
}

fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    let damaged = |error: serde_json::Error| {
        // What serde says of a wrong value may quote it, and it may be of the key: only the kind is told.
        let message =
            if error.is_data() { "a field is missing or of another kind" } else { "it is not JSON" };
        let (line, column) = (error.line(), error.column());
        Error::damaged(path, Problem::NotTheFormat { line, column, message: message.into() })
    };
    let Version { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version != VERSION {
        return Err(Error::FutureVersion { path: path.to_owned(), found: version, known: VERSION });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}
