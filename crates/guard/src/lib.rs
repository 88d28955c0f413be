//! Who may come in, and the proof: API keys, back-off against guessing, Host and Origin checks, and the
//! certificates of the house.
//!
//! Does not: open a connection, speak HTTP or TLS, count what a key spends (that is `ledger`), read the clock or the
//! environment, or print. The time is always passed in; only secret random bytes come from the system.
//!
//! ```text
//! guard.db           the keys (SQLite); of a key's secret its SHA-256 alone
//! guard.lock         who opens the database, one after the other
//! house-ca.json      the house's own authority: certificate and key in one file, so that they cannot part
//! house-server.json  the certificate that the server shows now, with its key
//! house.lock         one maker of certificates at a time
//! ```
//!
//! All files are 0600 and folders that are made here 0700, whatever the umask.
//!
//! ```
//! use guard::{Guard, NewKey, Refusal, Scope, Scopes};
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let now_unix_ms = 1_700_000_000_000;
//! let guard = Guard::open(folder)?;
//! let new = NewKey { name: "kitchen".into(), scopes: Scopes::of(&[Scope::Use]), ..NewKey::default() };
//! let (key, secret) = guard.create_key(&new, now_unix_ms)?;
//!
//! let admitted = guard.check(secret.expose(), now_unix_ms).expect("the key was just made");
//! assert!(admitted.id == key.id && admitted.scopes.allow(Scope::Use) && !admitted.scopes.allow(Scope::Manage));
//!
//! guard.revoke("kitchen", now_unix_ms)?;
//! assert!(matches!(guard.check(secret.expose(), now_unix_ms), Err(Refusal::Revoked { .. })));
//! # Ok::<(), guard::Error>(())
//! ```

pub mod backoff;
mod database;
mod error;
pub mod fuzz;
pub mod hosts;
pub mod house;
mod keys;
pub mod qr;
mod scope;
mod secret;

pub use error::{Error, Problem};
pub use keys::{Admitted, Guard, KeyRecord, NewKey, Refusal};
pub use scope::{Scope, Scopes};
pub use secret::Secret;

/// What a call of this crate gives, or why not.
pub(crate) type Result<T> = std::result::Result<T, Error>;
