//! Versions of models: collecting what is not needed, holding a name, going back and forth.

use std::path::PathBuf;

use store::versions::{Keep, Leftover, OldVersion, Plan, Target, Unused};
use store::{Digest, ModelName};

use super::Library;
use crate::event::library::{Collectable, Collected};
use crate::job::library::{self, RollBack};
use crate::{Event, Failure};

/// Fewer digits of a digest could mean another version tomorrow.
const LEAST_DIGITS: usize = 4;

impl Library<'_> {
    pub fn plan_collection(&self, n_versions: Option<usize>) -> Result<Event, Failure> {
        let plan = self.store.gc_plan(Keep { n_versions })?;
        let size_bytes = plan.size_bytes();
        let version = |old: OldVersion| (old.name.to_string(), old.digest.to_string());
        let file = |unused: &Unused| (unused.digest.to_string(), unused.size_bytes);
        Ok(Event::Collectable(Collectable {
            versions: plan.versions.into_iter().map(version).collect(),
            blobs: plan.blobs.iter().map(file).collect(),
            prefixes: plan.prefixes.iter().map(file).collect(),
            drafts: plan.drafts.into_iter().map(|draft| (draft.path, draft.size_bytes)).collect(),
            size_bytes,
        }))
    }

    pub fn collect(&self, collectable: &Collectable) -> Result<Event, Failure> {
        let removed = self.store.gc(&plan(collectable)?)?;
        Ok(Event::Collected(Collected {
            n_versions: removed.n_versions,
            n_blobs: removed.n_blobs,
            n_prefixes: removed.n_prefixes,
            freed_bytes: removed.freed_bytes,
            not_collected: removed.not_collected.map(Failure::from),
        }))
    }

    pub fn pin(&self, model: &str) -> Result<Event, Failure> {
        let name = ModelName::parse(model)?;
        self.store.pin(&name)?;
        Ok(Event::Pinned { model: name.to_string(), is_pinned: true })
    }

    pub fn unpin(&self, model: &str) -> Result<Event, Failure> {
        let name = ModelName::parse(model)?;
        self.store.unpin(&name)?;
        Ok(Event::Pinned { model: name.to_string(), is_pinned: false })
    }

    pub fn roll_back(&self, job: &RollBack) -> Result<Event, Failure> {
        let name = ModelName::parse(&job.model)?;
        let before = self.store.get(&name)?;
        let target = match &job.target {
            library::Target::Older => Target::Older,
            library::Target::Newer => Target::Newer,
            library::Target::Version(digits) => Target::Version(version(&before, digits)?),
        };
        let model = self.store.rollback(&name, target)?;
        Ok(Event::RolledBack { model: self.model(&model), before: before.digest.to_string() })
    }
}

/// The version of a model whose digest begins with these digits.
fn version(model: &store::Model, digits: &str) -> Result<Digest, Failure> {
    let text = format!("sha256:{}", digits.strip_prefix("sha256:").unwrap_or(digits));
    let hint = format!("`hearth show {}` lists the versions", model.name);
    if text.len() < "sha256:".len() + LEAST_DIGITS {
        let message = format!("\"{digits}\" is too short to tell a version");
        return Err(Failure::new("no_such_version", message, hint));
    }
    let mut found = model.versions.iter().filter(|digest| digest.to_string().starts_with(&text));
    match (found.next(), found.next()) {
        (Some(digest), None) => Ok(*digest),
        (None, _) => {
            let message = format!("model \"{}\" has no version {digits}", model.name);
            Err(Failure::new("no_such_version", message, hint))
        }
        (Some(_), Some(_)) => {
            let message = format!("model \"{}\" has several versions {digits}…", model.name);
            Err(Failure::new("no_such_version", message, "give more digits"))
        }
    }
}

/// The store's plan that was told.
fn plan(collectable: &Collectable) -> Result<Plan, Failure> {
    let version = |(name, digest): &(String, String)| {
        Ok::<_, store::Error>(OldVersion { name: ModelName::parse(name)?, digest: Digest::parse(digest)? })
    };
    let file = |(digest, size_bytes): &(String, u64)| {
        Ok::<_, store::Error>(Unused { digest: Digest::parse(digest)?, size_bytes: *size_bytes })
    };
    let draft =
        |(path, size_bytes): &(PathBuf, u64)| Leftover { path: path.clone(), size_bytes: *size_bytes };
    Ok(Plan {
        versions: collectable.versions.iter().map(version).collect::<Result<_, _>>()?,
        blobs: collectable.blobs.iter().map(file).collect::<Result<_, _>>()?,
        prefixes: collectable.prefixes.iter().map(file).collect::<Result<_, _>>()?,
        drafts: collectable.drafts.iter().map(draft).collect(),
    })
}
