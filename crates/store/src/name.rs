//! The name of a model as a type: `[host/][namespace/]name[:tag][@sha256:…]`, the only way from a text to a
//! record's path.
//!
//! Not a path, and never one: a part begins with a letter or digit, holds only ASCII letters, digits and `._-`,
//! has no `..`, ends in no dot and is no device name of Windows, so that no text can lead out of its folder
//! (the lesson of CVE-2024-37032) or mean two things on two file systems.
//!
//! Case is kept for showing and ignored for finding: `Qwen3` and `qwen3` are one model everywhere, also where
//! the file system would hold them apart. Missing parts: host `hearth.local`, namespace `library`, tag `latest`.
//! `hf.co/user/repo[:QUANT]` is the same grammar with a foreign host. A host has no port.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::error::shown;
use crate::{Digest, Error, Result};

const DEFAULT_HOST: &str = "hearth.local";
const DEFAULT_NAMESPACE: &str = "library";
const DEFAULT_TAG: &str = "latest";

/// Hugging Face allows 96 bytes in a name; with `.json` every file system holds twice that.
const MAX_PART_BYTES: usize = 96;

/// Which version of which model. Two names that differ only in case are equal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    host: String,
    namespace: String,
    name: String,
    tag: String,
    digest: Option<Digest>,
}

impl ModelName {
    /// Reads `[host/][namespace/]name[:tag][@sha256:…]`.
    ///
    /// # Errors
    /// [`Error::BadName`] with the rule that the text breaks; [`Error::BadDigest`] for what follows the `@`.
    pub fn parse(text: &str) -> Result<Self> {
        let (path, digest) = match text.split_once('@') {
            Some((path, digest)) => (path, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let broken = |rule| Error::BadName { given: shown(text), rule };
        let parts = split(path).map_err(broken)?;
        for part in [parts.host, parts.namespace, parts.name, parts.tag] {
            check_part(part).map_err(broken)?;
        }
        Ok(Self {
            host: parts.host.to_owned(),
            namespace: parts.namespace.to_owned(),
            name: parts.name.to_owned(),
            tag: parts.tag.to_owned(),
            digest,
        })
    }

    /// Where the model comes from: `hearth.local` for one that is at home here, or `hf.co`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The person or group at the host; `library` by default.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The model's own name, without host, namespace and tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variant; `latest` by default.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The version that was asked for by the digest of its manifest, if one was.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same name without a digest: whatever version is current.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        Self { digest: None, ..self.clone() }
    }

    /// Whether no other host is named.
    pub(crate) fn is_at_home(&self) -> bool {
        self.host.eq_ignore_ascii_case(DEFAULT_HOST)
    }

    /// The four parts in lower case, as they stand on disk.
    pub(crate) fn folded(&self) -> [String; 4] {
        [&self.host, &self.namespace, &self.name, &self.tag].map(|part| part.to_ascii_lowercase())
    }
}

/// The shortest text that means this name: default parts are left out.
impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own_host = self.host.eq_ignore_ascii_case(DEFAULT_HOST);
        if !own_host {
            write!(f, "{}/", self.host)?;
        }
        if !own_host || !self.namespace.eq_ignore_ascii_case(DEFAULT_NAMESPACE) {
            if own_host && self.namespace.contains('.') {
                write!(f, "{}/", self.host)?;
            }
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)?;
        if !self.tag.eq_ignore_ascii_case(DEFAULT_TAG) {
            write!(f, ":{}", self.tag)?;
        }
        match self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for ModelName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ModelName {}

impl PartialOrd for ModelName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ModelName {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.folded(), self.digest).cmp(&(other.folded(), other.digest))
    }
}

impl Hash for ModelName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.folded(), self.digest).hash(state);
    }
}

impl TryFrom<String> for ModelName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

struct Parts<'a> {
    host: &'a str,
    namespace: &'a str,
    name: &'a str,
    tag: &'a str,
}

fn split(path: &str) -> std::result::Result<Parts<'_>, &'static str> {
    let parts: Vec<&str> = path.splitn(4, '/').collect();
    let (host, namespace, last) = match parts[..] {
        [last] => (DEFAULT_HOST, DEFAULT_NAMESPACE, last),
        [namespace, _] if namespace.contains('.') => {
            return Err("a host needs a namespace too: host/namespace/name, such as hf.co/user/repo");
        }
        [namespace, last] => (DEFAULT_HOST, namespace, last),
        [host, namespace, last] => (host, namespace, last),
        _ => return Err("at most three parts stand between slashes: host/namespace/name"),
    };
    let (name, tag) = last.split_once(':').unwrap_or((last, DEFAULT_TAG));
    Ok(Parts { host, namespace, name, tag })
}

/// The rule that one part breaks, if any.
fn check_part(part: &str) -> std::result::Result<(), &'static str> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    match part.as_bytes() {
        [] => Err("no part may be empty"),
        bytes if bytes.len() > MAX_PART_BYTES => Err("a part has at most 96 bytes"),
        bytes if !bytes.iter().all(allowed) => Err("a part holds only letters a-z, digits and . _ -"),
        [first, ..] if !first.is_ascii_alphanumeric() => Err("a part begins with a letter or digit"),
        [.., b'.'] => Err("no part may end in a dot"),
        _ if part.contains("..") => Err("no part may hold two dots in a row"),
        _ if is_device(part) => Err("a part must not be a device name of Windows (CON, NUL, COM1 …)"),
        _ => Ok(()),
    }
}

/// Whether Windows takes a file of this name for a device, whatever its extension.
/// Source: Microsoft, "Naming Files, Paths, and Namespaces".
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| matches!(rest.as_bytes(), [digit] if digit.is_ascii_digit()))
    };
    ["con", "prn", "aux", "nul"].contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests;
