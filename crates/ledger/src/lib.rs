//! What each job took, append-only, and the quotas that are counted from it.
//!
//! Does not: decide who may ask (that is `guard`), keep what was asked or answered, read the clock or the environment,
//! or print. The time is always passed in; a day is a day of UTC.
//!
//! ```text
//! ledger.db     SQLite: `entries`, one row for each job, which nothing changes or deletes;
//!               `days`, requests and tokens of each key on each day
//! ledger.lock   who opens the database, one after the other
//! ```
//!
//! Files are 0600 and folders that are made here 0700, whatever the umask. Several processes may have it open.
//!
//! A request is counted when it is let in ([`Ledger::take`]), its tokens when it ends ([`Ledger::settle`]), in the
//! transaction that appends its entry: sums and entries always agree. What is promised when a call returns:
//!
//! | call | a kill of the process | a loss of power |
//! |---|---|---|
//! | `take` | nothing is lost | requests may be uncounted that had not ended |
//! | `settle`, `record` | nothing is lost | nothing is lost |
//!
//! `take` stands before the first token, so it waits for no disk. `settle` and `record` wait for one fsync, which all
//! that end at the same time share; call them after the last token. Never does a counter go backwards.
//!
//! ```
//! use base::{KeyId, Limits};
//! use ledger::{Entry, Error, Ledger, Outcome, Span};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let (key, now_unix_ms) = (KeyId::from_bits(7), 1_700_000_000_000);
//! let limits = Limits { requests_per_day: Some(1), ..Limits::default() };
//! let ledger = Ledger::open(folder)?;
//! let grant = ledger.take(key, &limits, now_unix_ms)?;
//! let entry = Entry {
//!     at_unix_ms: now_unix_ms,
//!     job: "chat-1".into(),
//!     key: Some(key),
//!     model: "starter".into(),
//!     prompt_tokens: 20,
//!     found_tokens: 16,
//!     answer_tokens: 5,
//!     queue_ms: 1,
//!     compute_ms: 40,
//!     outcome: Outcome::Done,
//! };
//! ledger.settle(grant, &entry)?;
//! assert!(matches!(ledger.take(key, &limits, now_unix_ms), Err(Error::Over(_))));
//! assert_eq!(ledger.per_model(Span::ALL)?[0].1.tokens(), 25);
//! # Ok::<(), Error>(())
//! ```

mod book;
mod database;
mod durable;
mod entry;
mod error;
mod quota;
pub mod rate;
mod sums;

pub use book::Ledger;
pub use entry::{Entry, Outcome};
pub use error::{Error, Problem};
pub use quota::{Grant, Over, Quota, Used};
pub use sums::{Span, Sum};

/// What a call of this crate gives, or why not.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Milliseconds of a day of UTC; leap seconds are not counted, as in all Unix time.
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;
