//! What can go wrong in the guard: one variant per thing that a caller can do something about, each with its facts
//! and a next step.
//!
//! Not the refusal of a key, which is an answer ([`crate::Refusal`]), and not the text that a dialect sends.

use std::io;
use std::path::{Path, PathBuf};

use crate::hosts::HostProblem;

/// Why the guard could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that cannot be the name of a key.
    #[error("\"{given}\" cannot be the name of a key: {rule}")]
    BadKeyName {
        /// The text, made safe to show.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A key of this name is there and not revoked.
    #[error("there is a key \"{name}\" already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// No key has this name or id.
    #[error("there is no key \"{given}\"")]
    NoSuchKey {
        /// What was asked for, made safe to show.
        given: String,
    },
    /// There are as many keys as there may be.
    #[error("there are {limit} keys, and there may be no more")]
    TooManyKeys {
        /// The most that there may be.
        limit: u64,
    },
    /// A key that may do nothing.
    #[error("a key without a scope could do nothing")]
    NoScope,
    /// A word that is no scope.
    #[error("\"{given}\" is not a scope")]
    BadScope {
        /// The word, made safe to show.
        given: String,
    },
    /// A key that would have ended before it began.
    #[error("the key would have expired already ({expires_unix_ms} ms since 1970, and now is {now_unix_ms})")]
    ExpiresInThePast {
        /// When it was to end.
        expires_unix_ms: u64,
        /// What the clock shows.
        now_unix_ms: u64,
    },
    /// A text that is no host name or address.
    #[error("\"{given}\" is not a host: {problem}")]
    BadHost {
        /// The text, made safe to show.
        given: String,
        /// What is wrong with it.
        problem: HostProblem,
    },
    /// A text that is no origin.
    #[error("\"{given}\" is not an origin: {rule}")]
    BadOrigin {
        /// The text, made safe to show.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The authority of the house may not vouch for this name: its own certificate says so.
    #[error("the authority of this house may not vouch for \"{name}\"")]
    OutsideTheHouse {
        /// The name or address.
        name: String,
    },
    /// A server certificate needs a name, and not too many of them.
    #[error("a certificate is for 1 to {limit} names; {given} were given")]
    NameCount {
        /// How many were given.
        given: usize,
        /// The most that it takes.
        limit: usize,
    },
    /// The clock stands where the authority's certificate does not hold.
    #[error(
        "the authority in {} holds from {from_unix_ms} to {until_unix_ms} ms since 1970, and the clock shows {now_unix_ms}",
        path.display()
    )]
    AuthorityNotValid {
        /// Its file.
        path: PathBuf,
        /// When it begins to hold.
        from_unix_ms: u64,
        /// When it ends.
        until_unix_ms: u64,
        /// What the clock shows.
        now_unix_ms: u64,
    },
    /// A time that no certificate can show.
    #[error("the clock shows {now_unix_ms} ms since 1970, which no certificate can hold")]
    BadClock {
        /// What the clock shows.
        now_unix_ms: u64,
    },
    /// The library that makes certificates refused.
    #[error("cannot {action}: {source}")]
    Certificate {
        /// What was tried.
        action: &'static str,
        /// What the library says.
        source: rcgen::Error,
    },
    /// A text that does not fit into a QR code.
    #[error("{size_bytes} bytes do not fit into a QR code, which holds {limit_bytes}")]
    TooLongForQr {
        /// The text's length.
        size_bytes: usize,
        /// The most that is taken.
        limit_bytes: usize,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {source}")]
    NoRandomness {
        /// What the system says.
        source: getrandom::Error,
    },
    /// A file of the guard is not what it must be.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A file was written by a newer Hearth.
    #[error("{} is of format version {found}; this Hearth knows versions up to {known}", path.display())]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// Another process has been writing all the while.
    #[error("another Hearth process is writing ({} is locked; waited {waited_ms} ms)", path.display())]
    Locked {
        /// The file that is locked.
        path: PathBuf,
        /// How long this process waited.
        waited_ms: u64,
    },
    /// The disk has no room.
    #[error("the disk is full: {}", path.display())]
    DiskFull {
        /// What could not be written.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("cannot {action} {}: the file system is read-only", path.display())]
    ReadOnly {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The system forbids it.
    #[error("cannot {action} {}: permission denied", path.display())]
    Permission {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The disk or the system failed in another way.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What is wrong with a damaged file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// SQLite cannot read the database.
    #[error("{message}")]
    NotReadable {
        /// What SQLite says.
        message: String,
    },
    /// A database of another program.
    #[error("it is a database of another program")]
    NotOurs,
    /// Its text does not follow the format.
    #[error("line {line}, column {column}: {message}")]
    NotTheFormat {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// It lacks what it must have.
    #[error("{rule}")]
    BreaksRule {
        /// The rule.
        rule: &'static str,
    },
}

impl Error {
    /// The next step, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::BadKeyName { .. } => "give a name such as kitchen or anna-laptop".into(),
            Self::NameTaken { name } => {
                format!("choose another name, or end that key with `hearth key revoke {name}`")
            }
            Self::NoSuchKey { .. } => "`hearth key list` shows the keys with their names and ids".into(),
            Self::TooManyKeys { .. } => "give several programs one key, or start a new home".into(),
            Self::NoScope | Self::BadScope { .. } => "the scopes are use, read, manage, metrics, admin".into(),
            Self::ExpiresInThePast { .. } => "give a later end, and look whether the clock is right".into(),
            Self::BadHost { .. } => "a host looks like desk.local, 192.168.1.20 or [fd00::1]:4242".into(),
            Self::BadOrigin { .. } => "an origin looks like https://desk.local:3000, without a path".into(),
            Self::OutsideTheHouse { .. } => {
                "use a name that ends in .local, .lan, .home.arpa or .internal, the machine's own name, or a private \
                 address; for a public name bring a certificate of your own"
                    .into()
            }
            Self::NameCount { .. } => "name the addresses under which clients reach this machine".into(),
            Self::AuthorityNotValid { path, .. } => format!(
                "look whether the clock is right; if it is, move {} away, start again, and trust the new authority on \
                 every device",
                path.display()
            ),
            Self::BadClock { .. } => "set the clock of this machine".into(),
            Self::Certificate { .. } => "this is a bug in Hearth: please report it with these words".into(),
            Self::TooLongForQr { .. } => "show the text itself, or a shorter address".into(),
            Self::NoRandomness { .. } => "a key made without them could be guessed: mend the system first".into(),
            Self::Damaged { path, problem: Problem::NotOurs } => {
                format!("move {} away, or set HEARTH_HOME to a folder of its own", path.display())
            }
            Self::Damaged { path, .. } => format!(
                "bring {} back from a backup; without one move it away and start again, which makes a new one: keys \
                 are then made anew with `hearth key create`, a new authority is trusted anew on every device",
                path.display()
            ),
            Self::FutureVersion { .. } => "use the newer Hearth that wrote it; nothing was changed".into(),
            Self::Locked { .. } => "wait for the other process to end its work, then try again".into(),
            Self::DiskFull { .. } => "free some space, then try again; nothing was lost".into(),
            Self::ReadOnly { .. } => "set HEARTH_HOME to a folder that can be written".into(),
            Self::Permission { .. } => {
                "give this folder to the user who runs hearth, or set HEARTH_HOME to one of your own".into()
            }
            Self::Io { .. } => "check the disk, then try again; nothing was lost".into(),
        }
    }

    /// An error of the disk with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { action, path },
            io::ErrorKind::PermissionDenied => Self::Permission { action, path },
            _ => Self::Io { action, path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, problem: Problem) -> Self {
        Self::Damaged { path: path.to_owned(), problem }
    }
}

/// A text from outside, made safe to show: no control characters, at most 80 characters.
pub(crate) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut shown: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
