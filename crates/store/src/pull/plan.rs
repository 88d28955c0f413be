//! What a pull will fetch: made by asking the source, before the first byte of a file comes.
//!
//! Does not: fetch files; it only asks how long an unknown one is.

use serde_json::{Map, Value};

use super::client::{Ask, Credential};
use super::header::{content_range, linked_digest, repr_digest, strong_etag};
use super::look::Quantisation;
use super::problem::Announced;
use super::remote::{Kind, Remote};
use super::session::Session;
use super::{Problem, address::Address, direct, hugging_face, ollama};
use crate::Role;

/// No file of a model is longer: 64 TiB.
const MAX_FILE_BYTES: u64 = 64 << 40;

/// The files and settings of the model as the source has it now.
pub(super) struct Plan {
    pub files: Vec<Wanted>,
    pub parameters: Map<String, Value>,
    pub version: String,
    pub license: Option<String>,
    pub credential: Option<Credential>,
    /// What else the source has of the model, where it has it in several quantisations.
    pub quantisations: Vec<Quantisation>,
}

/// A file that is to be fetched.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub role: Role,
    pub format: String,
    /// Its name at the source; for the manifest and for people.
    pub name: String,
    pub address: Address,
    pub announced: Announced,
    /// Its length; known for every file once [`measure`] has asked.
    pub size_bytes: Option<u64>,
    /// A strong validator, of a file without an announced hash.
    pub etag: Option<String>,
    /// The page with the terms, where a refusal means that they were not accepted.
    pub gate: Option<String>,
}

/// Asks the source.
pub(super) fn make(session: &Session<'_>, remote: &Remote) -> Result<Plan, Problem> {
    let end_point = remote.end_point(session.settings)?;
    let mut plan = match &remote.kind {
        Kind::HuggingFace { .. } => hugging_face::plan(session, remote, &end_point),
        Kind::Ollama { .. } => ollama::plan(session, remote, &end_point),
        Kind::Url(address) => direct::plan(session, address),
    }?;
    for file in plan.files.iter_mut().filter(|file| file.size_bytes.is_none()) {
        measure(session, file, plan.credential.as_ref())?;
    }
    if plan.files.iter().any(|file| file.size_bytes.is_some_and(|size| size > MAX_FILE_BYTES)) {
        return Err(Problem::TooLong { what: "a file", limit: MAX_FILE_BYTES });
    }
    Ok(plan)
}

/// Asks for one byte of a file, to learn its length, its validator and what hash is announced.
pub(super) fn measure(
    session: &Session<'_>,
    file: &mut Wanted,
    credential: Option<&Credential>,
) -> Result<Option<String>, Problem> {
    let headers = [("range", "bytes=0-0".to_owned())];
    let address = file.address.clone();
    session.ask(Ask { address: &address, credential, headers: &headers }, |answer| {
        if let Some(problem) = answer.refusal(credential, session.now_unix_ms()) {
            return Err(file.explain(problem, answer.first_header("x-error-code")));
        }
        let size_bytes = match answer.status.as_u16() {
            206 => answer.header("content-range").and_then(content_range).and_then(|range| range.total),
            _ => answer.body.content_length(),
        };
        let rule = "it must say how long the file is";
        file.size_bytes = Some(size_bytes.ok_or(Problem::BadAnswer { rule, shown: String::new() })?);
        let digest = answer.first_header("x-linked-etag").and_then(linked_digest);
        let digest = digest.or_else(|| answer.header("repr-digest").and_then(repr_digest));
        if let (Announced::Nothing, Some(digest)) = (file.announced, digest) {
            file.announced = Announced::Sha256(digest);
        }
        file.etag = answer.header("etag").and_then(strong_etag);
        Ok(file.etag.clone().or_else(|| answer.header("last-modified").map(crate::error::shown)))
    })
}

impl Wanted {
    /// A refusal as the person should read it, from what the server says of its reason.
    pub fn explain(&self, problem: Problem, code: Option<&str>) -> Problem {
        match (problem, &self.gate) {
            (Problem::Refused { with_token, .. }, Some(page))
                if code.is_none_or(|code| code == "GatedRepo") =>
            {
                Problem::Gated { page: page.clone(), with_token }
            }
            (problem, _) => problem,
        }
    }
}
