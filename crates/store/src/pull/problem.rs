//! What can go wrong between here and a server: one variant per thing that a caller can do something about.
//!
//! Not an error by itself: [`crate::Error::Remote`] adds what was being fetched.

use std::time::Duration;

use crate::Digest;

/// Why something could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A text that names nothing that can be pulled.
    #[error("\"{given}\" cannot be pulled: {rule}")]
    BadAddress {
        /// The text, made safe to show, without its query.
        given: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A setting that cannot be used.
    #[error("the setting {setting} cannot be used: {rule}")]
    BadSetting {
        /// Its name.
        setting: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// There is no such repository, revision, tag or file.
    #[error("there is no such {what} there")]
    NotFound {
        /// Repository, revision, file …
        what: &'static str,
    },
    /// The terms of use must be accepted first, or no token was given.
    #[error("its owner gives it only to people who accepted its terms on {page}{}", token_words(*with_token))]
    Gated {
        /// The page on which the terms stand.
        page: String,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The server wants to know who asks, or does not let this one in.
    #[error("the server refuses: status {status}{}", token_words(*with_token))]
    Refused {
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// The server is busy or asks for patience, longer than the settings allow.
    #[error("the server is busy: status {status}{}", patience(*retry_after_s))]
    Busy {
        /// 429 or 503.
        status: u16,
        /// How long it asks to wait, in seconds.
        retry_after_s: Option<u64>,
    },
    /// A status that nothing better is known of.
    #[error("the server answers with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Nobody is there: the host's name is not known, or a connection is refused at once.
    #[error("no connection: {reason}")]
    NotThere {
        /// What the system says.
        reason: String,
    },
    /// A connection that broke.
    #[error("no connection: {reason}")]
    Unreachable {
        /// What the system says.
        reason: String,
    },
    /// The server stopped talking.
    #[error("nothing came for {after_ms} ms ({phase})")]
    TimedOut {
        /// While what was waited for.
        phase: &'static str,
        /// The limit, in milliseconds.
        after_ms: u64,
    },
    /// A transfer ended before its end.
    #[error("the connection ended {missing_bytes} bytes too early")]
    Truncated {
        /// Bytes that were still to come.
        missing_bytes: u64,
    },
    /// An answer is not what the protocol says.
    #[error("the server's answer makes no sense: {rule}{}", detail(shown))]
    BadAnswer {
        /// The rule that it breaks.
        rule: &'static str,
        /// The offending part, made safe to show; may be empty.
        shown: String,
    },
    /// An answer is longer than it may be.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which answer.
        what: &'static str,
        /// The most that is read.
        limit: u64,
    },
    /// The file's content is not what was announced, also when fetched a second time.
    #[error("its content has {found} instead of {expected}, and had so twice")]
    WrongHash {
        /// The hash that was announced: a digest or Git's name of the content.
        expected: String,
        /// That of what came.
        found: String,
    },
    /// The file has another length than was announced.
    #[error("it has {found} bytes instead of {expected}")]
    WrongSize {
        /// The length that was announced.
        expected: u64,
        /// The length that the server says now.
        found: u64,
    },
    /// The file changed at the server while it was fetched, twice.
    #[error("it changed at the server while it was fetched")]
    Changed,
    /// The server sends the whole file when asked for a part of it. Known here and answered by fetching it whole.
    #[error("the server does not send parts of a file")]
    NoParts,
    /// Redirected again and again.
    #[error("redirected more than {limit} times")]
    TooManyRedirects {
        /// The most that is followed.
        limit: u32,
    },
    /// Redirected from `https` to `http`.
    #[error("redirected to {to}, which is not encrypted")]
    InsecureRedirect {
        /// Where to, without the query.
        to: String,
    },
    /// A name on the network led into this machine or its own network.
    #[error("{host} leads into the local network, where no server may send us")]
    ForbiddenAddress {
        /// The host.
        host: String,
    },
    /// A file name from the server that could lead out of its folder.
    #[error("the server names a file \"{given}\", which could lead out of its folder")]
    UnsafeName {
        /// The name, made safe to show.
        given: String,
    },
    /// The repository holds no weights in a format that is known.
    #[error("it holds no weights in a known format (GGUF, safetensors, PyTorch)")]
    NoWeights,
    /// The repository holds no file of the quantisation that was asked for.
    #[error("it holds no {wanted}; it has {}", choices(available))]
    NoSuchQuantisation {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// Parts of a file are missing at the server.
    #[error("of the {n_parts} parts of {file} not all are there")]
    MissingParts {
        /// The file.
        file: String,
        /// How many parts its name promises.
        n_parts: u32,
    },
    /// Another process is pulling the same file.
    #[error("another Hearth process is pulling this file")]
    UnderWay,
    /// The caller wanted no more.
    #[error("stopped; what came so far is kept")]
    Stopped,
}

impl Problem {
    /// The next step, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::BadAddress { .. } => {
                "write hf.co/user/repo[:QUANT][@REVISION], name:tag of an Ollama registry, or https://….gguf"
                    .into()
            }
            Self::BadSetting { .. } => "mend the setting, or leave it out".into(),
            Self::NotFound { .. } => "look at the name; a private repository also needs a token".into(),
            Self::Gated { page, with_token } => gated_hint(page, *with_token),
            Self::Refused { with_token: false, .. } => {
                "give a token of an account that may read it (HF_TOKEN)".into()
            }
            Self::Refused { .. } => {
                "use a token that may read it; this one may not, or is no longer valid".into()
            }
            Self::Busy { retry_after_s: Some(seconds), .. } => {
                format!("pull again in {seconds} s; it goes on where it stopped")
            }
            Self::Busy { .. } | Self::Status { .. } | Self::TimedOut { .. } | Self::Truncated { .. } => {
                "pull again later; it goes on where it stopped".into()
            }
            Self::NotThere { .. } => {
                "look whether this machine is online, and at HTTPS_PROXY and the host's name".into()
            }
            Self::Unreachable { .. } => {
                "check the network, HTTPS_PROXY and the host's name; what came so far is kept".into()
            }
            Self::BadAnswer { .. } | Self::TooLong { .. } | Self::UnsafeName { .. } => {
                "the server is broken or hostile; use another source".into()
            }
            Self::WrongHash { .. } | Self::WrongSize { .. } => {
                "nothing was kept; pull again, and if it stays so ask the model's owner or use another source"
                    .into()
            }
            Self::Changed => "pull again".into(),
            Self::NoParts => "pull again".into(),
            Self::TooManyRedirects { .. } | Self::InsecureRedirect { .. } | Self::ForbiddenAddress { .. } => {
                "use the address that the model's owner names; if it was that one, tell the owner".into()
            }
            Self::NoWeights => "open the repository's page: it may name another one with the weights".into(),
            Self::NoSuchQuantisation { available, .. } => match available.first() {
                Some(first) => format!("ask for one of them, such as :{first}"),
                None => "leave the quantisation out to get the weights as they are".into(),
            },
            Self::MissingParts { .. } => "ask the model's owner, or choose another quantisation".into(),
            Self::UnderWay => "wait for it, or stop it".into(),
            Self::Stopped => "pull again; it goes on where it stopped".into(),
        }
    }

    /// Whether trying again may help, and the least time that the server wants to be left alone. Whoever was there a
    /// moment ago may come back; whoever never was is not waited for.
    pub(super) fn patience(&self, course: Course) -> Option<Duration> {
        match self {
            Self::NotThere { .. } => (course == Course::UnderWay).then_some(Duration::ZERO),
            Self::Busy { retry_after_s, .. } => Some(Duration::from_secs(retry_after_s.unwrap_or(0))),
            Self::Status { status } if *status >= 500 || *status == 408 => Some(Duration::ZERO),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Truncated { .. }
            | Self::BadAnswer { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }
}

/// How far a pull has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The source is asked what it has.
    Beginning,
    /// It has answered: files are on their way.
    UnderWay,
}

fn gated_hint(page: &str, with_token: bool) -> String {
    if with_token {
        return format!("log in with the token's account, accept the terms on {page}, then pull again");
    }
    format!(
        "accept the terms on {page}, make a token that may read on https://huggingface.co/settings/tokens, give it as HF_TOKEN"
    )
}

fn token_words(with_token: bool) -> &'static str {
    if with_token { " (a token was given)" } else { " (no token was given)" }
}

fn patience(retry_after_s: Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |seconds| format!(", wait {seconds} s"))
}

fn detail(shown: &str) -> String {
    if shown.is_empty() { String::new() } else { format!(" (\"{shown}\")") }
}

fn choices(available: &[String]) -> String {
    if available.is_empty() { "no GGUF files".into() } else { available.join(", ") }
}

/// A hash that was announced, and how it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// SHA-256 of the bytes.
    Sha256(Digest),
    /// SHA-1 of `blob <length>\0` and the bytes: Git's name of a file.
    GitBlob([u8; 20]),
    /// Nothing was announced.
    Nothing,
}
