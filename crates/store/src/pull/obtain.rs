//! Getting every file of a plan here, whole and right: what is here already is used, the rest is fetched and checked.
//!
//! Does not: make them blobs; they lie under their digests' names until all of them are here.

use std::path::Path;

use super::Problem;
use super::client::Credential;
use super::journal::Shape;
use super::partial::{Partial, hash_here, known, stop_if};
use super::plan::{Plan, Wanted, measure};
use super::problem::Announced;
use super::progress::{Meter, Phase};
use super::session::Session;
use super::transfer::fetch;
use crate::{Digest, Error, FileRef, Location, Manifest, ModelName, Result, Store};

/// Room that a pull leaves free, so that the records of other models can still be written.
const SPARE_BYTES: u64 = 16 << 20;

/// How often a file is put together from nothing: once, and once more when its content was wrong or changed.
const MAX_BEGINNINGS: usize = 2;

/// How often pieces are fetched again that a disk does not give back as they were written.
const MAX_MENDS: usize = 2;

/// Gets all files. Gives what the manifest says of them, in the order of the plan.
pub(super) fn obtain(
    store: &Store,
    session: &Session<'_>,
    meter: &mut Meter<'_>,
    (plan, name): (&mut Plan, &ModelName),
) -> Result<Vec<FileRef>> {
    let total_bytes =
        plan.files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size_bytes.unwrap_or(0)));
    meter.set_total(total_bytes);
    let here = store.get_own(&name.without_digest()).ok().map(|model| model.manifest);
    let mut digests = Vec::with_capacity(plan.files.len());
    for file in &plan.files {
        stop_if(meter.begin(Phase::Checking, &file.name).is_break(), session)?;
        digests.push(store.find_here(session, meter, (file, plan, here.as_ref()))?);
    }
    store.check_space(session, (plan, &digests))?;
    let credential = plan.credential.clone();
    let files = plan.files.iter_mut().zip(digests);
    files
        .map(|(file, found)| {
            let digest = match found {
                Some(digest) => digest,
                None => store.get_file(session, meter, (file, credential.as_ref()))?,
            };
            Ok(file.reference(digest))
        })
        .collect()
}

/// How getting a file once went.
enum Outcome {
    Right(Digest),
    /// It changed at the server meanwhile.
    Changed(Problem),
    /// Pieces that were written are not what is read back.
    Damaged {
        expected: String,
        found: String,
    },
    /// The pieces are as they came, and the whole is not what was announced.
    Wrong {
        expected: String,
        found: String,
    },
}

impl Store {
    /// The digest of a file that is here already, checked by hashing it.
    fn find_here(
        &self,
        session: &Session<'_>,
        meter: &mut Meter<'_>,
        (wanted, plan, here): (&Wanted, &Plan, Option<&Manifest>),
    ) -> Result<Option<Digest>> {
        let size_bytes = wanted.size_bytes.unwrap_or(0);
        let same_name = || {
            let files = here.into_iter().flat_map(|manifest| &manifest.files);
            files.filter(|file| file.name.as_deref() == Some(&*wanted.name)).map(|file| file.digest)
        };
        let mut candidates: Vec<Digest> = match wanted.announced {
            Announced::Sha256(digest) => vec![digest],
            Announced::GitBlob(_) => same_name().collect(),
            // The same strong validator means the same bytes (RFC 9110, 8.8.1).
            Announced::Nothing if wanted.etag.is_some() && plan.is_version_of(here, session) => {
                same_name().collect()
            }
            Announced::Nothing => Vec::new(),
        };
        candidates.extend(known(self, wanted, &wanted.shape(session))?.finished);
        for digest in candidates {
            for path in [self.finished_path(&digest), self.layout.blob(&digest)] {
                if self.size_of(&path)? == Some(size_bytes)
                    && self.is_right(&path, (&digest, wanted), &mut || {
                        stop_if(meter.tick().is_break(), session)
                    })?
                {
                    meter.found(size_bytes);
                    return Ok(Some(digest));
                }
            }
        }
        Ok(None)
    }

    /// Whether a file has both the digest of its name and the announced hash.
    fn is_right(
        &self,
        path: &Path,
        (digest, wanted): (&Digest, &Wanted),
        tick: &mut dyn FnMut() -> Result<()>,
    ) -> Result<bool> {
        let hashes = hash_here(self, path, wanted.size_bytes.unwrap_or(0), tick)?;
        Ok(hashes.digest == *digest && hashes.difference(wanted.announced).is_none())
    }

    /// Nothing is fetched that will not fit.
    fn check_space(&self, session: &Session<'_>, (plan, found): (&Plan, &[Option<Digest>])) -> Result<()> {
        let mut needed_bytes = 0_u64;
        for (file, _) in plan.files.iter().zip(found).filter(|(_, found)| found.is_none()) {
            let shape = file.shape(session);
            let known = known(self, file, &shape)?;
            needed_bytes = needed_bytes.saturating_add(shape.missing_bytes(&known));
        }
        if needed_bytes == 0 {
            return Ok(());
        }
        let needed_bytes = needed_bytes.saturating_add(SPARE_BYTES);
        let path = self.begin_partial()?;
        match self.disk.free_bytes(&path).map_err(|error| Error::io("look at", &path, error))? {
            Some(free) if free < needed_bytes => {
                Err(Error::DiskFull { path, needed_bytes: Some(needed_bytes), free_bytes: Some(free) })
            }
            _ => Ok(()),
        }
    }

    /// Fetches one file, checks it and leaves it under its digest's name.
    fn get_file(
        &self,
        session: &Session<'_>,
        meter: &mut Meter<'_>,
        (wanted, credential): (&mut Wanted, Option<&Credential>),
    ) -> Result<Digest> {
        stop_if(meter.begin(Phase::Checking, &wanted.name).is_break(), session)?;
        let mut partial = Partial::open(self, session, wanted, wanted.shape(session))?;
        let present_bytes = partial.check_pieces(session, meter)?;
        meter.found(present_bytes);
        let (mut n_beginnings, mut n_mends) = (1, 0);
        loop {
            match attempt(session, meter, &mut partial, (wanted, credential))? {
                Outcome::Right(digest) => {
                    partial.finish(digest)?;
                    return Ok(digest);
                }
                Outcome::Damaged { .. } if n_mends < MAX_MENDS => n_mends += 1,
                Outcome::Damaged { expected, found } => {
                    return Err(session.failed(Problem::WrongHash { expected, found }));
                }
                Outcome::Changed(_) if n_beginnings < MAX_BEGINNINGS => {
                    n_beginnings += 1;
                    session.watched(meter, || measure(session, wanted, credential))?;
                    partial.forget(wanted.shape(session))?;
                }
                Outcome::Changed(problem) => return Err(session.failed(problem)),
                Outcome::Wrong { .. } if n_beginnings < MAX_BEGINNINGS => {
                    n_beginnings += 1;
                    partial.forget(wanted.shape(session))?;
                }
                Outcome::Wrong { expected, found } => {
                    partial.remove()?;
                    return Err(session.failed(Problem::WrongHash { expected, found }));
                }
            }
        }
    }
}

/// Fetches what is missing of a file and hashes the whole.
fn attempt(
    session: &Session<'_>,
    meter: &mut Meter<'_>,
    partial: &mut Partial<'_>,
    (wanted, credential): (&Wanted, Option<&Credential>),
) -> Result<Outcome> {
    stop_if(meter.begin(Phase::Fetching, &wanted.name).is_break(), session)?;
    match fetch(session, meter, partial, (wanted, credential)) {
        Err(Error::Remote { problem, .. }) if wanted.may_have_changed(&problem) => {
            meter.lost(partial.present_bytes());
            return Ok(Outcome::Changed(*problem));
        }
        other => other?,
    }
    stop_if(meter.begin(Phase::Checking, &wanted.name).is_break(), session)?;
    let hashes = partial.hash(session, meter)?;
    let Some((expected, found)) = hashes.difference(wanted.announced) else {
        return Ok(Outcome::Right(hashes.digest));
    };
    let before = partial.present_bytes();
    let sound = partial.check_pieces(session, meter)?;
    if sound < before {
        meter.lost(before - sound);
        return Ok(Outcome::Damaged { expected, found });
    }
    meter.lost(before);
    Ok(Outcome::Wrong { expected, found })
}

impl Wanted {
    fn shape(&self, session: &Session<'_>) -> Shape {
        let etag = self.etag.clone().filter(|_| self.announced == Announced::Nothing);
        Shape::new(self.size_bytes.unwrap_or(0), session.settings.piece_bytes, etag)
    }

    /// Whether a new beginning may help: with an announced hash the content is what it is.
    fn may_have_changed(&self, problem: &Problem) -> bool {
        self.announced == Announced::Nothing
            && matches!(problem, Problem::Changed | Problem::WrongSize { .. })
    }

    fn reference(&self, digest: Digest) -> FileRef {
        FileRef {
            role: self.role,
            digest,
            size_bytes: self.size_bytes.unwrap_or(0),
            format: self.format.clone(),
            name: Some(self.name.clone()),
            location: Location::Blob,
        }
    }
}

impl Plan {
    /// Whether a model came from the same place in the same version.
    fn is_version_of(&self, here: Option<&Manifest>, session: &Session<'_>) -> bool {
        let origin = here.and_then(|manifest| manifest.origin.as_ref());
        origin.is_some_and(|origin| origin.remote == session.what && origin.version == self.version)
    }
}
