//! A repository of Hugging Face: one question lists its files with their hashes at one commit, and every file is
//! then fetched at that commit, so that a branch that moves meanwhile mixes nothing.
//!
//! Source: the Hub's interface (`GET /api/models/{repo}/revision/{revision}?blobs=true`, `/resolve/`), which mirrors
//! speak too.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::address::Address;
use super::choice::{self, Choice, Chosen};
use super::client::{Answer, Ask, Credential};
use super::look::Quantisation;
use super::plan::{Plan, Wanted};
use super::problem::Announced;
use super::remote::{Kind, MAIN, Remote};
use super::session::Session;
use super::{Problem, json};
use crate::error::shown;
use crate::{Digest, Role};

/// The list of a repository's files; those of ten thousand are a fifth of it.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// A list of shards names every tensor: a thousand layers are half of it.
const MAX_SHARDS_BYTES: u64 = 32 << 20;

/// What the Hub says of a repository at a revision.
#[derive(Debug, Deserialize)]
pub(crate) struct Repository {
    /// The commit.
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
    /// `false`, or how access is given.
    #[serde(default)]
    gated: Value,
    #[serde(default, rename = "cardData")]
    card: Value,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, rename = "blobId")]
    blob_id: Option<String>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    sha256: String,
}

/// The list of shards of a safetensors or PyTorch folder: tensor name → file name.
#[derive(Debug, Deserialize)]
pub(crate) struct Shards {
    weight_map: std::collections::BTreeMap<String, String>,
}

pub(super) fn plan(session: &Session<'_>, remote: &Remote, end_point: &Address) -> Result<Plan, Problem> {
    let Kind::HuggingFace { user, repo, quantisation, revision } = &remote.kind else {
        unreachable!("only repositories of Hugging Face come here");
    };
    let token = session.settings.hugging_face_token.clone();
    let credential = token.map(|token| Credential { origin: end_point.origin.clone(), token });
    let page = end_point.below([user.as_str(), repo]).to_string();
    let revision = revision.as_deref().unwrap_or(MAIN);
    let list = end_point.below(["api", "models", user, repo, "revision", revision]).with_query("blobs=true");
    let ask = Ask { address: &list, credential: credential.as_ref(), headers: &[] };
    let bytes = session.ask(ask, |answer| {
        refusal(session, &answer, &page, credential.as_ref())?;
        answer.read_all(&session.client, "the list of the repository's files", MAX_LIST_BYTES)
    })?;
    let repository = Repository::read(&bytes)?;
    if repository.is_gated() && credential.is_none() {
        return Err(Problem::Gated { page, with_token: false });
    }
    let at = Commit { end_point, user, repo, repository: &repository, page, credential: credential.as_ref() };
    let files = at.files(session, quantisation.as_deref())?;
    let files = files.into_iter().map(|chosen| at.wanted(chosen)).collect();
    let (license, quantisations) = (repository.license(), repository.quantisations());
    let version = repository.sha.clone();
    Ok(Plan { files, parameters: Map::new(), version, license, credential, quantisations })
}

/// A repository at a commit, and how to reach its files.
struct Commit<'a> {
    end_point: &'a Address,
    user: &'a str,
    repo: &'a str,
    repository: &'a Repository,
    page: String,
    credential: Option<&'a Credential>,
}

impl Commit<'_> {
    fn files(&self, session: &Session<'_>, quantisation: Option<&str>) -> Result<Vec<Chosen>, Problem> {
        let names = self.repository.names();
        let (list, beside) = match choice::choose(&names, quantisation)? {
            Choice::Files(files) => return Ok(files),
            Choice::Sharded { list, beside } => (list, beside),
        };
        let address = self.address(&list.name);
        let ask = Ask { address: &address, credential: self.credential, headers: &[] };
        let bytes = session.ask(ask, |answer| {
            refusal(session, &answer, &self.page, self.credential)?;
            answer.read_all(&session.client, "the list of shards", MAX_SHARDS_BYTES)
        })?;
        let mut files = Shards::read(&bytes)?.of(&names, &list)?;
        files.push(Chosen { role: Role::Index, format: "json", ..list });
        files.extend(beside);
        Ok(files)
    }

    fn address(&self, name: &str) -> Address {
        let parts = [self.user, self.repo, "resolve", &self.repository.sha];
        self.end_point.below(parts.into_iter().chain(name.split('/')))
    }

    fn wanted(&self, chosen: Chosen) -> Wanted {
        let sibling = self.repository.siblings.iter().find(|sibling| sibling.rfilename == chosen.name);
        Wanted {
            role: chosen.role,
            format: chosen.format.to_owned(),
            address: self.address(&chosen.name),
            name: chosen.name,
            announced: sibling.map_or(Announced::Nothing, Sibling::announced),
            size_bytes: sibling.and_then(|sibling| sibling.size),
            etag: None,
            gate: Some(self.page.clone()).filter(|_| self.repository.is_gated()),
        }
    }
}

impl Repository {
    /// Reads the Hub's answer; every name in it is checked.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let repository: Self = json(bytes, "the list of files must name the commit and its files")?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !(7..=64).contains(&repository.sha.len()) || !repository.sha.bytes().all(is_hex) {
            let rule = "a commit is written in hex digits";
            return Err(Problem::BadAnswer { rule, shown: shown(&repository.sha) });
        }
        repository.siblings.iter().try_for_each(|sibling| choice::check_name(&sibling.rfilename))?;
        Ok(repository)
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.siblings.iter().map(|sibling| sibling.rfilename.clone()).collect()
    }

    /// Every quantisation that is there whole, with its bytes where the list has them.
    fn quantisations(&self) -> Vec<Quantisation> {
        let size = |name: &String| {
            self.siblings.iter().find(|sibling| sibling.rfilename == *name).and_then(|sibling| sibling.size)
        };
        let sum =
            |names: &[String]| names.iter().map(size).try_fold(0u64, |sum, size| sum.checked_add(size?));
        let all = choice::quantisations(&self.names());
        all.into_iter().map(|(name, files)| Quantisation { size_bytes: sum(&files), name }).collect()
    }

    fn is_gated(&self) -> bool {
        !matches!(self.gated, Value::Null | Value::Bool(false))
    }

    fn license(&self) -> Option<String> {
        let text = |key| self.card.get(key).and_then(Value::as_str);
        let name = match text("license") {
            Some("other") => text("license_name").or(Some("other")),
            other => other,
        };
        name.map(shown)
    }
}

impl Shards {
    /// Reads a list of shards; its names are checked where they are chosen.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        json(bytes, "the list of shards must map tensors to files")
    }

    /// The files, each checked to be among the repository's.
    pub(crate) fn of(&self, names: &BTreeSet<String>, list: &Chosen) -> Result<Vec<Chosen>, Problem> {
        choice::shards(self.weight_map.values().map(String::as_str), names, list)
    }
}

impl Sibling {
    fn announced(&self) -> Announced {
        if let Some(lfs) = &self.lfs {
            // Large files: Git holds only a pointer, and `blobId` is the pointer's name.
            let digest = Digest::parse(&format!("sha256:{}", lfs.sha256.trim_start_matches("sha256:")));
            return digest.map_or(Announced::Nothing, Announced::Sha256);
        }
        self.blob_id.as_deref().and_then(git_name).map_or(Announced::Nothing, Announced::GitBlob)
    }
}

/// Forty hex digits.
fn git_name(text: &str) -> Option<[u8; 20]> {
    let text: &[u8; 40] = text.as_bytes().try_into().ok()?;
    let mut name = [0; 20];
    for (byte, pair) in name.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(name)
}

/// What a refusal means: the Hub says its reason in a header.
fn refusal(
    session: &Session<'_>,
    answer: &Answer,
    page: &str,
    sent: Option<&Credential>,
) -> Result<(), Problem> {
    let with_token = sent.is_some();
    let Some(problem) = answer.refusal(sent, session.now_unix_ms()) else { return Ok(()) };
    Err(match (answer.first_header("x-error-code"), problem) {
        (Some("GatedRepo"), _) => Problem::Gated { page: page.to_owned(), with_token },
        (Some("RepoNotFound"), _) => Problem::NotFound { what: "repository, or it is private," },
        (Some("RevisionNotFound"), _) => Problem::NotFound { what: "revision" },
        (Some("EntryNotFound"), _) => Problem::NotFound { what: "file" },
        (_, Problem::NotFound { .. }) => Problem::NotFound { what: "repository or revision" },
        (_, problem) => problem,
    })
}
