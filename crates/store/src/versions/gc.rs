//! Collecting what is not needed any more: first a plan that says what would go, then, if wanted, its execution.
//!
//! Does not: touch files in place, collect more than its plan says, nor anything while some record cannot be read:
//! it may name blobs. Drafts of living writers are locked and stay.
//!
//! Order: records forget old versions, each durably, before any blob goes. A power loss in between leaves blobs
//! that nobody names, never names without their blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use base::disk::Kind;
use serde::Serialize;

use crate::manifest::Record;
use crate::{Digest, Error, Location, ModelName, Result, Store};

/// What is kept although no name stands for it now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Of each name that is not pinned, the current version and so many of the newest, itself among them where it
    /// is one. `None`: all.
    pub n_versions: Option<usize>,
}

/// What a collection would remove. Nothing else goes when it is carried out, and what has come into use by then
/// stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Versions that their names would forget.
    pub versions: Vec<OldVersion>,
    /// Blobs that nobody names, or only those versions.
    pub blobs: Vec<Unused>,
    /// Files that dead writers left.
    pub drafts: Vec<Leftover>,
    /// Computed beginnings of texts: see [`crate::prefixes`].
    pub prefixes: Vec<Unused>,
}

/// A version beyond those that are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OldVersion {
    /// The model.
    pub name: ModelName,
    /// The version.
    pub digest: Digest,
}

/// A blob that could go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Unused {
    /// The digest of its content.
    pub digest: Digest,
    /// Its bytes.
    pub size_bytes: u64,
}

/// A file that a dead writer left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
}

/// What was collected.
#[derive(Debug, Default)]
pub struct Removed {
    /// The number of versions that were forgotten.
    pub n_versions: usize,
    /// The number of blobs that are gone.
    pub n_blobs: usize,
    /// The number of computed beginnings that are gone.
    pub n_prefixes: usize,
    /// The bytes of all that is gone.
    pub freed_bytes: u64,
    /// Why not all that could go is gone; the next removal or collection tries again.
    pub not_collected: Option<Error>,
}

impl Plan {
    /// Bytes that would become free.
    pub fn size_bytes(&self) -> u64 {
        let sizes = self.blobs.iter().chain(&self.prefixes).map(|file| file.size_bytes);
        sizes.chain(self.drafts.iter().map(|draft| draft.size_bytes)).fold(0, u64::saturating_add)
    }

    /// Whether nothing would go.
    pub fn is_empty(&self) -> bool {
        let has_files = !self.blobs.is_empty() || !self.drafts.is_empty() || !self.prefixes.is_empty();
        self.versions.is_empty() && !has_files
    }
}

impl Store {
    /// What a collection would remove now. Reads only, and takes no lock: a writer may be at work meanwhile.
    ///
    /// # Errors
    /// Those of reading; a record or manifest that cannot be read names the file.
    pub fn gc_plan(&self, keep: Keep) -> Result<Plan> {
        let mut used = BTreeSet::new();
        let mut plan = Plan::default();
        for record in self.records()? {
            let old = old_versions(&record, keep);
            let kept = record.versions.iter().filter(|digest| !old.contains(digest));
            kept.copied().try_for_each(|digest| self.add_blobs_of(digest, &mut used))?;
            let name = || record.name.clone();
            plan.versions.extend(old.into_iter().map(|digest| OldVersion { name: name(), digest }));
        }
        plan.blobs = self.blobs_beside(&used)?;
        plan.drafts = self.leftovers()?;
        plan.prefixes = self.prefixes_to_collect();
        Ok(plan)
    }

    /// Carries out a plan: of what it says, everything that is still not needed goes.
    ///
    /// # Errors
    /// Those of taking the lock. What stayed, and why, is in the answer.
    pub fn gc(&self, plan: &Plan) -> Result<Removed> {
        let drafts = plan.drafts.iter().filter(|draft| self.disk.facts(&draft.path).is_ok());
        let drafts: Vec<&Leftover> = drafts.collect();
        let _lock = self.begin_write()?; // This removes the leftovers.
        let mut removed = Removed::default();
        for draft in drafts.iter().filter(|draft| self.is_gone(draft)) {
            removed.freed_bytes = removed.freed_bytes.saturating_add(draft.size_bytes);
        }
        let prefixes = self.remove_prefixes(plan, &mut removed);
        removed.not_collected = self.carry_out(plan, &mut removed).and(prefixes).err();
        Ok(removed)
    }

    /// Removes the blobs that no version of any model names, such as an import leaves that was interrupted.
    ///
    /// # Errors
    /// Those of a write.
    pub fn collect(&self) -> Result<Removed> {
        let _lock = self.begin_write()?;
        Ok(self.collect_unused())
    }

    /// The caller holds the lock, so that no import is between its blobs and its record.
    pub(crate) fn collect_unused(&self) -> Removed {
        let mut removed = Removed::default();
        removed.not_collected = self.remove_unused(None, &mut removed).err();
        removed
    }

    /// The caller holds the lock.
    fn carry_out(&self, plan: &Plan, removed: &mut Removed) -> Result<()> {
        let records = self.records()?;
        // Whatever cannot be read is found before anything goes.
        self.used_blobs(&records)?;
        let mut old: BTreeMap<&ModelName, BTreeSet<Digest>> = BTreeMap::new();
        for version in &plan.versions {
            old.entry(&version.name).or_default().insert(version.digest);
        }
        for record in records {
            if let Some(old) = old.get(&record.name) {
                removed.n_versions += self.forget(record, old)?;
            }
        }
        let told = plan.blobs.iter().map(|blob| blob.digest).collect();
        self.remove_unused(Some(&told), removed)
    }

    /// Takes versions out of a record, durably; gives how many. The current one stays, and all of a pinned name.
    fn forget(&self, mut record: Record, old: &BTreeSet<Digest>) -> Result<usize> {
        let (before, current) = (record.versions.len(), record.current);
        if record.is_pinned {
            return Ok(0);
        }
        record.versions.retain(|digest| *digest == current || !old.contains(digest));
        let n_forgotten = before - record.versions.len();
        if n_forgotten > 0 {
            self.put_record(&record)?;
        }
        Ok(n_forgotten)
    }

    /// Removes what nobody names, of `told` only where that is given.
    fn remove_unused(&self, told: Option<&BTreeSet<Digest>>, removed: &mut Removed) -> Result<()> {
        let used = self.used_blobs(&self.records()?)?;
        let unused = self.blobs_beside(&used)?.into_iter();
        for blob in unused.filter(|blob| told.is_none_or(|told| told.contains(&blob.digest))) {
            let path = self.layout.blob(&blob.digest);
            self.disk.remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
            removed.n_blobs += 1;
            removed.freed_bytes = removed.freed_bytes.saturating_add(blob.size_bytes);
        }
        if removed.n_blobs > 0 { self.sync_folder(&self.layout.blobs) } else { Ok(()) }
    }

    fn remove_prefixes(&self, plan: &Plan, removed: &mut Removed) -> Result<()> {
        for prefix in &plan.prefixes {
            let freed_bytes = self.collect_prefix(prefix)?;
            removed.n_prefixes += 1;
            removed.freed_bytes = removed.freed_bytes.saturating_add(freed_bytes);
        }
        Ok(())
    }

    fn records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for name in self.record_names()? {
            records.extend(self.read_record(&name?)?);
        }
        Ok(records)
    }

    /// The digests that some version of some model names: its manifest and its files in the store.
    fn used_blobs(&self, records: &[Record]) -> Result<BTreeSet<Digest>> {
        let mut used = BTreeSet::new();
        let mut versions = records.iter().flat_map(|record| &record.versions);
        versions.try_for_each(|digest| self.add_blobs_of(*digest, &mut used))?;
        Ok(used)
    }

    fn add_blobs_of(&self, version: Digest, used: &mut BTreeSet<Digest>) -> Result<()> {
        let files = self.read_manifest(&version)?.files.into_iter();
        used.extend(files.filter(|file| file.location == Location::Blob).map(|file| file.digest));
        used.insert(version);
        Ok(())
    }

    fn blobs_beside(&self, used: &BTreeSet<Digest>) -> Result<Vec<Unused>> {
        let entries = self.entries(&self.layout.blobs)?.into_iter();
        let digests = entries.filter_map(|entry| entry.name.to_str().and_then(Digest::from_file_name));
        let size_bytes = |digest: &Digest| {
            let facts = self.disk.facts(&self.layout.blob(digest));
            facts.map_or(0, |facts| facts.size_bytes)
        };
        let unused = digests.filter(|digest| !used.contains(digest));
        Ok(unused.map(|digest| Unused { digest, size_bytes: size_bytes(&digest) }).collect())
    }

    /// The drafts that no living writer holds.
    fn leftovers(&self) -> Result<Vec<Leftover>> {
        let mut leftovers = Vec::new();
        for entry in self.entries(&self.layout.drafts)? {
            let is_draft = entry.kind == Kind::File && entry.name.as_encoded_bytes().starts_with(b"draft-");
            let path = self.layout.drafts.join(entry.name);
            if is_draft && self.disk.is_leftover(&path).unwrap_or(false) {
                let size_bytes = self.disk.facts(&path).map_or(0, |facts| facts.size_bytes);
                leftovers.push(Leftover { path, size_bytes });
            }
        }
        Ok(leftovers)
    }

    fn is_gone(&self, draft: &Leftover) -> bool {
        matches!(self.disk.facts(&draft.path), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The versions of a record beyond those that are kept.
fn old_versions(record: &Record, keep: Keep) -> Vec<Digest> {
    let Some(n_versions) = keep.n_versions.filter(|_| !record.is_pinned) else { return Vec::new() };
    let n_old = record.versions.len().saturating_sub(n_versions);
    let old = record.versions[..n_old].iter();
    old.filter(|digest| **digest != record.current).copied().collect()
}
