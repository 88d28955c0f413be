//! What a data set is made of, so that a run that goes on later can tell whether it still is the same.
//!
//! The digest of a data set is SHA-256 over its files in order: for each its name (length, bytes), its size and the
//! digest of its content. Does not: look at times or permissions, which change without the text changing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Hasher;
use crate::{Digest, Error};

/// So many names stand in a message about a difference.
const MAX_NAMED: usize = 5;

/// The files of a data set and what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// The files, in the order in which they are read.
    pub files: Vec<FileFacts>,
}

/// One file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Its name below the folder, with forward slashes.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// How two data sets differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Names that are new.
    pub added: Vec<String>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// Names whose content is another.
    pub changed: Vec<String>,
}

impl Fingerprint {
    /// The digest of the whole data set.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for file in &self.files {
            hasher.update_text(&file.name);
            hasher.update(&file.size_bytes.to_le_bytes());
            hasher.update(&file.digest.0);
        }
        hasher.finish()
    }

    /// Bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes))
    }

    /// What has happened to the files from `self` to `now`; `None` if nothing has.
    pub fn difference(&self, now: &Self) -> Option<Difference> {
        let contents = |fingerprint: &Self| -> BTreeMap<String, Digest> {
            fingerprint.files.iter().map(|file| (file.name.clone(), file.digest)).collect()
        };
        let (before, after) = (contents(self), contents(now));
        let missing_in = |from: &BTreeMap<String, Digest>, other: &BTreeMap<String, Digest>| {
            from.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        let changed =
            before.iter().filter(|(name, digest)| after.get(*name).is_some_and(|now| now != *digest));
        let difference = Difference {
            added: missing_in(&after, &before),
            removed: missing_in(&before, &after),
            changed: changed.map(|(name, _)| name.clone()).collect(),
        };
        (difference != Difference::default()).then_some(difference)
    }

    /// That nothing has happened to the files from `self` to `now`.
    ///
    /// # Errors
    /// [`Error::DataChanged`] with the files that were added, removed or changed.
    pub fn check_same(&self, now: &Self) -> Result<(), Error> {
        match self.difference(now) {
            None => Ok(()),
            Some(difference) => Err(Error::DataChanged { difference: Box::new(difference) }),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (names, verb) in [(&self.added, "added"), (&self.removed, "removed"), (&self.changed, "changed")]
        {
            if names.is_empty() {
                continue;
            }
            let first: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
            write!(f, "{between}{} {verb} ({}", names.len(), first.join(", "))?;
            f.write_str(if names.len() > MAX_NAMED { ", …)" } else { ")" })?;
            between = "; ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(files: &[(&str, &str)]) -> Fingerprint {
        let facts = |(name, content): &(&str, &str)| FileFacts {
            name: (*name).to_owned(),
            size_bytes: content.len() as u64,
            digest: Digest::of(content.as_bytes()),
        };
        Fingerprint { files: files.iter().map(facts).collect() }
    }

    #[test]
    fn every_change_is_named() {
        let before = fingerprint(&[("a.txt", "one"), ("b.txt", "two"), ("c.txt", "three")]);
        assert_eq!(before.difference(&before), None);
        let after = fingerprint(&[("a.txt", "one"), ("b.txt", "TWO"), ("d.txt", "three")]);
        assert_ne!(before.digest(), after.digest());
        let error = before.check_same(&after).unwrap_err().to_string();
        assert_eq!(error, "the data set has changed: 1 added (d.txt); 1 removed (c.txt); 1 changed (b.txt)");
        let many: Vec<String> = (0..7).map(|index| format!("{index}.txt")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        let difference = fingerprint(&[]).difference(&fingerprint(&many)).unwrap();
        assert_eq!(difference.to_string(), "7 added (0.txt, 1.txt, 2.txt, 3.txt, 4.txt, …)");
    }

    #[test]
    fn names_and_contents_are_not_mixed_up() {
        let digests = [
            fingerprint(&[("ab", "c")]).digest(),
            fingerprint(&[("a", "bc")]).digest(),
            fingerprint(&[("a", ""), ("b", "")]).digest(),
            fingerprint(&[("b", ""), ("a", "")]).digest(),
            fingerprint(&[]).digest(),
        ];
        let different: std::collections::BTreeSet<Digest> = digests.into_iter().collect();
        assert_eq!(different.len(), 5);
    }
}
