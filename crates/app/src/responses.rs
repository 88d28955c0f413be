//! Answers that are kept for their owners, so that a conversation goes on where it was: one file each, below
//! `people/<owner>/responses/`.
//!
//! ```text
//! people/<owner>/responses/<id>.json    what was asked, what was answered, which answer came before
//! ```
//!
//! A file is whole or not there, survives a power loss once it was told to be kept, and is read by its owner alone. The
//! oldest go when there are many. Does not: seal them, know what a dialect writes into an item.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::disk::{Disk, Kind, replace};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Failure;

/// Answers of one owner; the oldest go.
const MOST: usize = 1000;
/// Bytes that the answers of one owner take; the oldest go.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes of one answer with its question.
const MOST_BYTES_EACH: u64 = 128 << 20;
/// Items of one conversation.
const MOST_ITEMS: usize = 65_536;

/// The name of an answer. Nothing that is one leads out of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResponseId(String);

impl ResponseId {
    const BEGIN: &str = "resp_";

    /// A name, if it is one: `resp_` and 1 to 64 small letters and digits.
    ///
    /// # Errors
    /// The failure of an answer that is not there: nothing has such a name.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        let rest = name.strip_prefix(Self::BEGIN).unwrap_or_default();
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if (1..=64).contains(&rest.len()) && is_plain { Ok(Self(name.to_owned())) } else { Err(none(name)) }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ResponseId {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).map_err(|failure| failure.message)
    }
}

impl From<ResponseId> for String {
    fn from(id: ResponseId) -> Self {
        id.0
    }
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The answer before it in the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ResponseId>,
    /// What was asked, item by item.
    pub input: Vec<Json>,
    /// What was answered, item by item.
    pub output: Vec<Json>,
    /// The answer as its dialect tells it.
    pub response: Json,
}

/// The answers that are kept.
#[derive(Clone)]
pub struct Responses {
    disk: Arc<dyn Disk>,
    home: PathBuf,
}

impl Responses {
    /// Those of a home folder, which need not be there yet.
    pub(crate) fn new(disk: Arc<dyn Disk>, home: &Path) -> Self {
        Self { disk, home: home.to_owned() }
    }

    /// Keeps an answer. It survives a power loss from now on.
    ///
    /// # Errors
    /// An answer that is too long, or what is wrong with the disk.
    pub fn keep(&self, owner: u64, id: &ResponseId, kept: &Kept) -> Result<(), Failure> {
        let text = serde_json::to_vec(kept).expect("JSON is written as JSON");
        if text.len() as u64 > MOST_BYTES_EACH {
            let message = format!("{}: {} bytes are too many to be kept", id.as_str(), text.len());
            return Err(Failure::new("too_large", message, "send `store: false`"));
        }
        let folder = self.make_folder(owner)?;
        let path = folder.join(format!("{}.json", id.as_str()));
        let failed = |action: &'static str, path: &Path, error| told(action, path, &error);
        let all = |out: &mut dyn Write| out.write_all(&text).map_err(|error| failed("write", &path, error));
        replace(&*self.disk, &path, all, failed)?;
        self.forget_oldest(&folder)
    }

    /// An answer.
    ///
    /// # Errors
    /// `response_not_found` where its owner has none of this name, or what is wrong with the disk.
    pub fn find(&self, owner: u64, id: &ResponseId) -> Result<Kept, Failure> {
        let path = self.folder(owner).join(format!("{}.json", id.as_str()));
        let file = self.disk.open(&path).map_err(|error| gone_or(id, "open", &path, &error))?;
        let mut bytes = Vec::new();
        let read = file.take(MOST_BYTES_EACH + 1).read_to_end(&mut bytes);
        read.map_err(|error| told("read", &path, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("{}: it is damaged: {error}", path.display());
            Failure::new("damaged_store", message, "remove it, and begin the conversation anew")
        })
    }

    /// Takes an answer away.
    ///
    /// # Errors
    /// `response_not_found` where its owner has none of this name, or what is wrong with the disk.
    pub fn remove(&self, owner: u64, id: &ResponseId) -> Result<(), Failure> {
        let folder = self.folder(owner);
        let path = folder.join(format!("{}.json", id.as_str()));
        self.disk.remove_file(&path).map_err(|error| gone_or(id, "remove", &path, &error))?;
        self.disk.sync_dir(&folder).map_err(|error| told("make durable", &folder, &error))
    }

    /// All items of the conversation that ends with an answer, the first one first.
    ///
    /// # Errors
    /// `response_not_found` where one of its answers is gone: a conversation never loses its beginning silently.
    pub fn conversation(&self, owner: u64, id: &ResponseId) -> Result<Vec<Json>, Failure> {
        let (mut turns, mut n_items, mut next) = (Vec::new(), 0, Some(id.clone()));
        while let Some(id) = next {
            let kept = self.find(owner, &id)?;
            n_items += kept.input.len() + kept.output.len();
            if n_items > MOST_ITEMS || turns.len() > MOST {
                let message = format!("{}: the conversation has more than {MOST_ITEMS} items", id.as_str());
                return Err(Failure::new("prompt_too_long", message, "begin a new one with what matters"));
            }
            next = kept.previous;
            turns.push((kept.input, kept.output));
        }
        let items = turns.into_iter().rev().flat_map(|(input, output)| input.into_iter().chain(output));
        Ok(items.collect())
    }

    fn folder(&self, owner: u64) -> PathBuf {
        self.home.join("people").join(format!("{owner:016x}")).join("responses")
    }

    /// The folder of an owner, which is there from now on.
    fn make_folder(&self, owner: u64) -> Result<PathBuf, Failure> {
        let folder = self.folder(owner);
        if self.disk.facts(&folder).is_ok() {
            return Ok(folder);
        }
        let mut outer = self.home.clone();
        for inner in folder.strip_prefix(&self.home).expect("the folder lies below the home") {
            let path = outer.join(inner);
            self.disk.create_dir(&path).map_err(|error| told("create", &path, &error))?;
            self.disk.sync_dir(&outer).map_err(|error| told("make durable", &outer, &error))?;
            outer = path;
        }
        Ok(folder)
    }

    /// Removes the oldest answers until the others are few enough.
    fn forget_oldest(&self, folder: &Path) -> Result<(), Failure> {
        let entries = self.disk.list(folder).map_err(|error| told("list", folder, &error))?;
        let paths = entries.into_iter().filter(|entry| entry.kind == Kind::File);
        let paths = paths.map(|entry| folder.join(entry.name));
        let is_kept = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        // What another request removed meanwhile counts no more.
        let facts = |path: PathBuf| {
            let facts = self.disk.facts(&path).ok()?;
            Some((facts.modified_ns, facts.size_bytes, path))
        };
        let mut files: Vec<(i64, u64, PathBuf)> = paths.filter(is_kept).filter_map(facts).collect();
        files.sort();
        let mut n_bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        let n_files = files.len();
        for (index, (_, bytes, path)) in files.into_iter().enumerate() {
            // The newest one stays, whatever it takes.
            let n_left = n_files - index;
            if n_left == 1 || n_left <= MOST && n_bytes <= MOST_BYTES {
                return Ok(());
            }
            match self.disk.remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(told("remove", &path, &error));
                }
                _ => n_bytes -= bytes,
            }
        }
        Ok(())
    }
}

fn none(id: &str) -> Failure {
    let shown: String = id.chars().take(80).collect();
    let message = format!("there is no answer {shown:?} of yours");
    let hint = "the oldest go when there are many, and those with `store: false` are never kept";
    Failure::new("response_not_found", message, hint)
}

fn gone_or(id: &ResponseId, action: &str, path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::NotFound { none(id.as_str()) } else { told(action, path, error) }
}

/// What went wrong with a file.
fn told(action: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {action} {}: {error}", path.display());
    let (code, hint) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ("disk_full", "free some space, or send `store: false`")
        }
        io::ErrorKind::PermissionDenied => ("permission_denied", "make the folder writable for Hearth"),
        io::ErrorKind::ReadOnlyFilesystem => ("read_only", "set HEARTH_HOME to another folder"),
        _ => ("cannot_read", "check the disk and the permissions, then try again"),
    };
    Failure::new(code, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::disk::RealDisk;
    use serde_json::json;
    use tempfile::TempDir;
    use testkit::disk::{Fault, FaultyDisk, Lasting, Plan, Survives};

    fn id(name: &str) -> ResponseId {
        ResponseId::parse(name).unwrap()
    }

    fn answer(previous: Option<&str>, text: &str) -> Kept {
        let (input, output) = (vec![json!({ "in": text })], vec![json!({ "out": text })]);
        Kept { previous: previous.map(id), input, output, response: json!({ "text": text }) }
    }

    fn real(home: &TempDir) -> Responses {
        Responses::new(Arc::new(RealDisk), home.path())
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["resp_", "resp_../a", "resp_a/b", "resp_A", "a", "", "resp_a.json", "resp_\0", "resp_é"]
        {
            assert_eq!(ResponseId::parse(name).unwrap_err().code, "response_not_found", "{name:?}");
        }
        assert!(ResponseId::parse(&format!("resp_{}", "a".repeat(65))).is_err());
        assert_eq!(id("resp_0az").as_str(), "resp_0az");
    }

    #[test]
    fn a_conversation_is_put_together_from_its_answers_and_belongs_to_its_owner() {
        let home = TempDir::new().unwrap();
        let kept = real(&home);
        for (name, previous) in [("resp_1", None), ("resp_2", Some("resp_1")), ("resp_3", Some("resp_2"))] {
            kept.keep(7, &id(name), &answer(previous, name)).unwrap();
        }
        // Another process finds them.
        let kept = real(&home);
        let items = kept.conversation(7, &id("resp_2")).unwrap();
        let expected = [
            json!({ "in": "resp_1" }),
            json!({ "out": "resp_1" }),
            json!({ "in": "resp_2" }),
            json!({ "out": "resp_2" }),
        ];
        assert_eq!(items, expected);
        let code = |result: Result<(), Failure>| result.unwrap_err().code;
        assert_eq!(code(kept.find(8, &id("resp_1")).map(drop)), "response_not_found");
        assert_eq!(code(kept.remove(8, &id("resp_1"))), "response_not_found");
        kept.remove(7, &id("resp_1")).unwrap();
        assert_eq!(code(kept.conversation(7, &id("resp_3")).map(drop)), "response_not_found");
        assert_eq!(kept.find(7, &id("resp_3")).unwrap(), answer(Some("resp_2"), "resp_3"));
    }

    #[test]
    fn an_answer_that_comes_before_itself_ends() {
        let home = TempDir::new().unwrap();
        let kept = real(&home);
        kept.keep(0, &id("resp_1"), &answer(Some("resp_1"), "round")).unwrap();
        assert_eq!(kept.conversation(0, &id("resp_1")).unwrap_err().code, "prompt_too_long");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_files() {
        use std::os::unix::fs::PermissionsExt;
        let home = TempDir::new().unwrap();
        real(&home).keep(1, &id("resp_1"), &answer(None, "mine")).unwrap();
        let folder = home.path().join("people").join("0000000000000001").join("responses");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("resp_1.json"))), (0o700, 0o600));
    }

    #[test]
    fn the_oldest_go() {
        let home = TempDir::new().unwrap();
        let kept = real(&home);
        kept.keep(1, &id("resp_new"), &answer(None, "a")).unwrap();
        let folder = kept.folder(1);
        for index in 0..MOST {
            let path = folder.join(format!("resp_{index}.json"));
            let file = std::fs::File::create(&path).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(index as u64);
            file.set_modified(time).unwrap();
        }
        kept.keep(1, &id("resp_last"), &answer(None, "b")).unwrap();
        let left = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(left, MOST);
        assert!(!folder.join("resp_1.json").exists() && folder.join("resp_2.json").exists());
        assert!(kept.find(1, &id("resp_new")).is_ok() && kept.find(1, &id("resp_last")).is_ok());
    }

    /// At every write: either the old state is found or the new one, whole; and what was told to be kept is there.
    #[test]
    fn what_was_kept_survives_a_power_loss() {
        let mut at = 0;
        loop {
            let home = TempDir::new().unwrap();
            real(&home).keep(1, &id("resp_1"), &answer(None, "first")).unwrap();
            let plan = Plan {
                fault: Fault::PowerLoss(Survives::Nothing),
                at,
                lasting: Lasting::FromThenOn,
                seed: at,
            };
            let disk = Arc::new(FaultyDisk::new(home.path(), Some(plan)));
            let outcome = Responses::new(disk, home.path()).keep(1, &id("resp_2"), &answer(None, "second"));
            let after = real(&home);
            assert_eq!(after.find(1, &id("resp_1")).unwrap(), answer(None, "first"), "at {at}");
            match after.find(1, &id("resp_2")) {
                Ok(found) => assert_eq!(found, answer(None, "second"), "at {at}"),
                Err(failure) => {
                    assert_eq!(failure.code, "response_not_found", "at {at}");
                    assert!(outcome.is_err(), "it was told to be kept, at {at}");
                }
            }
            if outcome.is_ok() {
                break;
            }
            at += 1;
        }
        assert!(at > 3, "{at} operations failed");
    }
}
