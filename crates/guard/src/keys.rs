//! API keys: made, listed, revoked, and checked against what a client presents.
//!
//! Does not: count what a key spends (`ledger`), slow down who guesses ([`crate::backoff`]), or know routes.
//!
//! A check takes the same steps whether the id is known or not: the same query (which falls back to a row that no
//! secret fits), the same hash, a comparison in constant time. Only who holds the right secret is told that a key is
//! revoked or has expired.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::{KeyId, Limits};
use rusqlite::{
    Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params, params,
};
use subtle::ConstantTimeEq as _;

use crate::database::{self, from_sqlite, loaded, stored};
use crate::error::shown;
use crate::secret::{Hash, Presented};
use crate::{Error, Problem, Result, Scope, Scopes, Secret};

/// More keys than a house, a school or an office has programs; a list of them still fits into memory.
const MAX_KEYS: u64 = 10_000;
const MAX_NAME_CHARS: usize = 64;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

const COLUMNS: &str = "id, name, hash, scopes, requests_per_minute, requests_per_day, tokens_per_day, \
                       created_unix_ms, expires_unix_ms, revoked_unix_ms, last_used_day";
/// The row of nobody: found where no key is, so that the work is the same. No secret has the hash of zeros.
const NOBODY: &str = "SELECT -1, 'nobody', zeroblob(32), 'use', NULL, NULL, NULL, 0, NULL, NULL, NULL";

/// What a new key is to be.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// What people call it; no two living keys share a name.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends by itself, in milliseconds since 1970.
    pub expires_unix_ms: Option<u64>,
    /// What it may spend.
    pub limits: Limits,
}

/// What is known of a key: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// What it may spend.
    pub limits: Limits,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// When it ends by itself.
    pub expires_unix_ms: Option<u64>,
    /// When it was ended by a person.
    pub revoked_unix_ms: Option<u64>,
    /// The start of the last day (UTC) on which it was used, in milliseconds since 1970.
    pub last_used_unix_ms: Option<u64>,
}

/// Who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The key's id.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// What it may spend.
    pub limits: Limits,
}

/// Why a key was not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No key has this text. Count it against the address that it came from ([`crate::backoff`]).
    #[error("this key is not known here")]
    Unknown,
    /// The key was right, and a person has ended it.
    #[error("the key \"{name}\" ({id}) was revoked")]
    Revoked {
        /// The key's id.
        id: KeyId,
        /// What people call it.
        name: String,
        /// When it was revoked, in milliseconds since 1970.
        revoked_unix_ms: u64,
    },
    /// The key was right, and its time is over.
    #[error("the key \"{name}\" ({id}) has expired")]
    Expired {
        /// The key's id.
        id: KeyId,
        /// What people call it.
        name: String,
        /// When it ended, in milliseconds since 1970.
        expires_unix_ms: u64,
    },
    /// The key is good, but not for this.
    #[error("the key \"{name}\" ({id}) may do \"{has}\", and this wants \"{wants}\"")]
    OutOfScope {
        /// The key's id.
        id: KeyId,
        /// What people call it.
        name: String,
        /// What was to be done.
        wants: Scope,
        /// What the key may do.
        has: Scopes,
    },
    /// The keys could not be read: nobody is let in.
    #[error(transparent)]
    Unreadable(#[from] Error),
}

impl Refusal {
    /// The next step, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown => {
                "`hearth key create NAME` makes one; send it as `Authorization: Bearer KEY`".into()
            }
            Self::Revoked { name, .. } | Self::Expired { name, .. } => {
                format!("ask who runs this server for a new key (`hearth key create {name}`)")
            }
            Self::OutOfScope { wants, .. } => {
                format!("ask who runs this server for a key with the scope {wants}")
            }
            Self::Unreadable(error) => error.hint(),
        }
    }
}

impl Admitted {
    /// Whether the key may do this.
    ///
    /// # Errors
    /// [`Refusal::OutOfScope`] when it may not.
    pub fn require(&self, wants: Scope) -> std::result::Result<(), Refusal> {
        if self.scopes.allow(wants) {
            return Ok(());
        }
        Err(Refusal::OutOfScope { id: self.id, name: self.name.clone(), wants, has: self.scopes })
    }
}

/// The keys of a home. Several processes may have it open; what one changes the others see at once.
pub struct Guard {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// The last day of use of keys, where it is newer than what the database says.
    uses: Mutex<BTreeMap<KeyId, u64>>,
}

impl Guard {
    /// Opens the keys in this folder (`guard.db`), which is made when it is missing.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::FutureVersion`], [`Error::Locked`] and those of the disk.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("guard.db");
        let connection = Mutex::new(database::open(folder, &path)?);
        Ok(Self { path, connection, uses: Mutex::default() })
    }

    /// Makes a key. Its secret is in the answer and nowhere else; when this returns, the key survives a power loss.
    ///
    /// # Errors
    /// Those of the name, the scopes and the end; [`Error::TooManyKeys`]; those of the database.
    pub fn create_key(&self, new: &NewKey, now_unix_ms: u64) -> Result<(KeyRecord, Secret)> {
        check_new(new, now_unix_ms)?;
        self.write("create a key in", |transaction| {
            let count =
                "SELECT count(*), count(*) FILTER (WHERE name = ?1 AND revoked_unix_ms IS NULL) FROM keys";
            let (n_keys, n_of_name): (i64, i64) =
                transaction.query_row(count, [&new.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if n_of_name > 0 {
                return Ok(Err(Error::NameTaken { name: new.name.clone() }));
            }
            if loaded(n_keys) >= MAX_KEYS {
                return Ok(Err(Error::TooManyKeys { limit: MAX_KEYS }));
            }
            let presented = match draw_unused(transaction)? {
                Ok(presented) => presented,
                Err(error) => return Ok(Err(error)),
            };
            insert(transaction, &presented, new, now_unix_ms)?;
            let record = KeyRecord {
                id: presented.id,
                name: new.name.clone(),
                scopes: new.scopes,
                limits: new.limits,
                created_unix_ms: now_unix_ms,
                expires_unix_ms: new.expires_unix_ms,
                revoked_unix_ms: None,
                last_used_unix_ms: None,
            };
            Ok(Ok((record, presented.to_secret())))
        })
    }

    /// All keys, the oldest first, revoked and expired ones too.
    ///
    /// # Errors
    /// Those of the database.
    pub fn keys(&self) -> Result<Vec<KeyRecord>> {
        let rows: Vec<Stored> = self.read("list the keys in", |connection| {
            let mut statement =
                connection.prepare(&format!("SELECT {COLUMNS} FROM keys ORDER BY created_unix_ms, rowid"))?;
            statement.query_map([], Stored::read)?.collect()
        })?;
        let uses = self.uses().clone();
        rows.into_iter()
            .map(|mut row| {
                row.last_used_day = row.last_used_day.max(uses.get(&row.id).copied());
                row.into_record(&self.path)
            })
            .collect()
    }

    /// Ends a key, given by its id or by its name. One that is revoked already stays as it is. When this returns, no
    /// process that shares this home lets the key in.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`] and those of the database.
    pub fn revoke(&self, id_or_name: &str, now_unix_ms: u64) -> Result<KeyRecord> {
        let id = KeyId::parse(id_or_name).map(|id| stored(id.bits()));
        let row = self.write("revoke a key in", |transaction| {
            // Of several keys of a name the living one is meant, else the last that was revoked.
            let find = format!(
                "SELECT {COLUMNS} FROM keys WHERE id = ?1 OR name = ?2 \
                 ORDER BY revoked_unix_ms IS NULL DESC, revoked_unix_ms DESC, rowid DESC LIMIT 1"
            );
            let found = transaction.query_row(&find, params![id, id_or_name], Stored::read).optional()?;
            let Some(mut row) = found else {
                return Ok(Err(Error::NoSuchKey { given: shown(id_or_name) }));
            };
            if row.revoked_unix_ms.is_none() {
                row.revoked_unix_ms = Some(now_unix_ms);
                let revoke = "UPDATE keys SET revoked_unix_ms = ?1 WHERE id = ?2";
                transaction.execute(revoke, [stored(now_unix_ms), stored(row.id.bits())])?;
            }
            Ok(Ok(row))
        })?;
        row.into_record(&self.path)
    }

    /// Checks what a client presents: the text of a key, without `Bearer` or anything else around it.
    ///
    /// # Errors
    /// The refusal, which tells more than "unknown" only to who holds the right secret.
    pub fn check(&self, presented: &str, now_unix_ms: u64) -> std::result::Result<Admitted, Refusal> {
        let presented = Presented::parse(presented).ok_or(Refusal::Unknown)?;
        let row = self.row_or_nobody(presented.id)?;
        let is_right = presented.hash().ct_eq(&row.hash);
        if !bool::from(is_right) || row.id != presented.id {
            return Err(Refusal::Unknown);
        }
        let (id, last_used_day) = (row.id, row.last_used_day);
        let record = row.into_record(&self.path)?;
        if let Some(revoked_unix_ms) = record.revoked_unix_ms {
            return Err(Refusal::Revoked { id, name: record.name, revoked_unix_ms });
        }
        if let Some(expires_unix_ms) = record.expires_unix_ms.filter(|end| *end <= now_unix_ms) {
            return Err(Refusal::Expired { id, name: record.name, expires_unix_ms });
        }
        let today = now_unix_ms / DAY_MS;
        if last_used_day.is_none_or(|day| day < today) {
            self.uses().insert(id, today);
        }
        Ok(Admitted { id, name: record.name, scopes: record.scopes, limits: record.limits })
    }

    /// Writes down on which day each key was last used. A check only remembers it: call this now and then (an hour is
    /// often enough) and at the end; dropping the guard does it too.
    ///
    /// # Errors
    /// Those of the database; what was not written is remembered.
    pub fn write_uses(&self) -> Result<()> {
        let uses = self.uses().clone();
        if uses.is_empty() {
            return Ok(());
        }
        self.write("note the use of keys in", |transaction| {
            // A clock that goes back takes nothing away.
            let note = "UPDATE keys SET last_used_day = max(coalesce(last_used_day, 0), ?1) WHERE id = ?2";
            for (id, day) in &uses {
                transaction.execute(note, [stored(*day), stored(id.bits())])?;
            }
            Ok(Ok(()))
        })?;
        self.uses().retain(|id, day| uses.get(id) != Some(day));
        Ok(())
    }

    fn row_or_nobody(&self, id: KeyId) -> Result<Stored> {
        let find = format!("SELECT {COLUMNS} FROM keys WHERE id = ?1 UNION ALL {NOBODY} LIMIT 1");
        self.read("look for a key in", |connection| {
            connection.query_row(&find, [stored(id.bits())], Stored::read)
        })
    }

    fn read<T>(
        &self,
        action: &'static str,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        ask(&self.connection()).map_err(|error| from_sqlite(action, &self.path, error))
    }

    /// Runs one change; an error of either kind leaves everything as it was.
    fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Transaction) -> rusqlite::Result<Result<T>>,
    ) -> Result<T> {
        let failed = |error| from_sqlite(action, &self.path, error);
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let result = change(&transaction).map_err(failed)??;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in between has rolled its transaction back: the connection is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<KeyId, u64>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The day of the last use is a courtesy: a disk that fails now costs nothing else.
        let _ = self.write_uses();
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A row as it lies in the database.
struct Stored {
    id: KeyId,
    name: String,
    hash: Hash,
    scopes: String,
    limits: Limits,
    created_unix_ms: u64,
    expires_unix_ms: Option<u64>,
    revoked_unix_ms: Option<u64>,
    last_used_day: Option<u64>,
}

impl Stored {
    fn read(row: &Row) -> rusqlite::Result<Self> {
        let number = |column: &str| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(loaded));
        let per_minute = number("requests_per_minute")?;
        Ok(Self {
            id: KeyId::from_bits(row.get::<_, i64>(0)?.cast_unsigned()),
            name: row.get(1)?,
            hash: row.get(2)?,
            scopes: row.get(3)?,
            limits: Limits {
                requests_per_minute: per_minute.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
                requests_per_day: number("requests_per_day")?,
                tokens_per_day: number("tokens_per_day")?,
            },
            created_unix_ms: number("created_unix_ms")?.unwrap_or(0),
            expires_unix_ms: number("expires_unix_ms")?,
            revoked_unix_ms: number("revoked_unix_ms")?,
            last_used_day: number("last_used_day")?,
        })
    }

    fn into_record(self, path: &Path) -> Result<KeyRecord> {
        let rule = "a key has scopes that this Hearth does not know";
        let damaged = |_| Error::damaged(path, Problem::BreaksRule { rule });
        Ok(KeyRecord {
            id: self.id,
            scopes: Scopes::parse(&self.scopes).map_err(damaged)?,
            name: self.name,
            limits: self.limits,
            created_unix_ms: self.created_unix_ms,
            expires_unix_ms: self.expires_unix_ms,
            revoked_unix_ms: self.revoked_unix_ms,
            last_used_unix_ms: self.last_used_day.map(|day| day.saturating_mul(DAY_MS)),
        })
    }
}

fn check_new(new: &NewKey, now_unix_ms: u64) -> Result<()> {
    let name = &new.name;
    let rule = if name.is_empty() || name.trim() != name {
        Some("it is empty, or begins or ends with a space")
    } else if name.chars().count() > MAX_NAME_CHARS {
        Some("it has more than 64 characters")
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character")
    } else if KeyId::parse(name).is_some() {
        Some("it looks like the id of a key")
    } else {
        None
    };
    match (rule, new.expires_unix_ms) {
        (Some(rule), _) => Err(Error::BadKeyName { given: shown(name), rule }),
        _ if new.scopes.is_empty() => Err(Error::NoScope),
        (None, Some(expires_unix_ms)) if expires_unix_ms <= now_unix_ms => {
            Err(Error::ExpiresInThePast { expires_unix_ms, now_unix_ms })
        }
        _ => Ok(()),
    }
}

/// A new key whose id no row has. Of 2^48 ids hardly two meet, so the loop all but never runs twice.
fn draw_unused(transaction: &Transaction) -> rusqlite::Result<Result<Presented>> {
    loop {
        let presented = match Presented::draw() {
            Ok(presented) => presented,
            Err(error) => return Ok(Err(error)),
        };
        let id = stored(presented.id.bits());
        let find = "SELECT count(*) FROM keys WHERE id = ?1";
        if transaction.query_row(find, [id], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Ok(presented));
        }
    }
}

fn insert(
    transaction: &Transaction,
    presented: &Presented,
    new: &NewKey,
    now_unix_ms: u64,
) -> rusqlite::Result<()> {
    let insert = "INSERT INTO keys (id, name, hash, scopes, requests_per_minute, requests_per_day, tokens_per_day, \
                  created_unix_ms, expires_unix_ms) VALUES (:id, :name, :hash, :scopes, :requests_per_minute, \
                  :requests_per_day, :tokens_per_day, :created_unix_ms, :expires_unix_ms)";
    let values = named_params! {
        ":id": stored(presented.id.bits()),
        ":name": new.name,
        ":hash": presented.hash(),
        ":scopes": new.scopes.to_string(),
        ":requests_per_minute": new.limits.requests_per_minute,
        ":requests_per_day": new.limits.requests_per_day.map(stored),
        ":tokens_per_day": new.limits.tokens_per_day.map(stored),
        ":created_unix_ms": stored(now_unix_ms),
        ":expires_unix_ms": new.expires_unix_ms.map(stored),
    };
    transaction.execute(insert, values).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000_000;

    fn open() -> (tempfile::TempDir, Guard) {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::open(folder.path()).unwrap();
        (folder, guard)
    }

    fn new(name: &str) -> NewKey {
        NewKey { name: name.into(), scopes: Scopes::of(&[Scope::Use]), ..NewKey::default() }
    }

    #[test]
    fn a_key_is_let_in_with_what_it_was_given() {
        let (folder, guard) = open();
        let limits =
            Limits { requests_per_minute: Some(7), requests_per_day: None, tokens_per_day: Some(u64::MAX) };
        let scopes = Scopes::of(&[Scope::Use, Scope::Metrics]);
        let wanted = NewKey { name: "küche".into(), scopes, expires_unix_ms: Some(NOW + 5), limits };
        let (record, secret) = guard.create_key(&wanted, NOW).unwrap();
        drop(guard);
        let guard = Guard::open(folder.path()).unwrap();
        let admitted = guard.check(secret.expose(), NOW + 4).unwrap();
        assert_eq!((admitted.id, admitted.name.as_str(), admitted.scopes), (record.id, "küche", scopes));
        assert_eq!(admitted.limits.requests_per_minute, Some(7));
        assert_eq!(admitted.limits.tokens_per_day, Some(i64::MAX as u64));
        assert!(admitted.require(Scope::Metrics).is_ok());
        assert!(matches!(
            admitted.require(Scope::Manage),
            Err(Refusal::OutOfScope { wants: Scope::Manage, .. })
        ));
    }

    #[test]
    fn only_the_right_secret_learns_that_a_key_has_ended() {
        let (_folder, guard) = open();
        let expiring = NewKey { expires_unix_ms: Some(NOW + 10), ..new("old") };
        let (_, old) = guard.create_key(&expiring, NOW).unwrap();
        let (gone_record, gone) = guard.create_key(&new("gone"), NOW).unwrap();
        assert_eq!(guard.revoke("gone", NOW + 3).unwrap().revoked_unix_ms, Some(NOW + 3));
        // Again, by id, later: it stays revoked as it was.
        let again = guard.revoke(&gone_record.id.to_string(), NOW + 9).unwrap();
        assert_eq!(again.revoked_unix_ms, Some(NOW + 3));

        assert!(guard.check(old.expose(), NOW + 9).is_ok());
        let expired = guard.check(old.expose(), NOW + 10);
        assert!(
            matches!(expired, Err(Refusal::Expired { expires_unix_ms, .. }) if expires_unix_ms == NOW + 10)
        );
        assert!(
            matches!(guard.check(gone.expose(), 0), Err(Refusal::Revoked { .. })),
            "whatever the clock shows"
        );
        for secret in [&old, &gone] {
            let text = secret.expose();
            let other = if text.ends_with('0') { '1' } else { '0' };
            let wrong = format!("{}{other}", &text[..text.len() - 1]);
            assert!(matches!(guard.check(&wrong, NOW + 20), Err(Refusal::Unknown)));
        }
    }

    #[test]
    fn what_is_no_key_is_unknown() {
        let (_folder, guard) = open();
        let (_, secret) = guard.create_key(&new("a"), NOW).unwrap();
        let zeros = format!("hearth-{}-{}", "0".repeat(12), "0".repeat(64));
        let nobody = format!("hearth-{}-{}", "f".repeat(12), "0".repeat(64));
        let id_of_another = format!("hearth-{}{}", "0".repeat(12), &secret.expose()[19..]);
        for text in ["", "hearth", "Bearer x", &zeros, &nobody, &id_of_another, &"x".repeat(1 << 20)] {
            assert!(matches!(guard.check(text, NOW), Err(Refusal::Unknown)));
        }
    }

    #[test]
    fn names_are_unique_among_the_living_and_bounded() {
        let (_folder, guard) = open();
        let (first, _) = guard.create_key(&new("a"), NOW).unwrap();
        assert!(matches!(guard.create_key(&new("a"), NOW), Err(Error::NameTaken { .. })));
        guard.revoke("a", NOW).unwrap();
        let (second, secret) = guard.create_key(&new("a"), NOW + 1).unwrap();
        // The name means the living key.
        assert_eq!(guard.revoke("a", NOW + 2).unwrap().id, second.id);
        assert!(guard.check(secret.expose(), NOW + 2).is_err());
        assert_eq!(guard.keys().unwrap().iter().map(|key| key.id).collect::<Vec<_>>(), [first.id, second.id]);
        for name in ["", " a", "a ", "a\u{7}b", "0123456789ab", &"n".repeat(65)] {
            assert!(matches!(guard.create_key(&new(name), NOW), Err(Error::BadKeyName { .. })), "{name}");
        }
        let nothing = NewKey { scopes: Scopes::default(), ..new("b") };
        assert!(matches!(guard.create_key(&nothing, NOW), Err(Error::NoScope)));
        let past = NewKey { expires_unix_ms: Some(NOW), ..new("b") };
        assert!(matches!(guard.create_key(&past, NOW), Err(Error::ExpiresInThePast { .. })));
        assert!(matches!(guard.revoke("nobody", NOW), Err(Error::NoSuchKey { .. })));
    }

    #[test]
    fn the_last_use_is_kept_by_the_day_and_never_goes_back() {
        let (folder, guard) = open();
        let (_, secret) = guard.create_key(&new("a"), NOW).unwrap();
        let day = NOW / DAY_MS * DAY_MS;
        let used = |guard: &Guard| guard.keys().unwrap()[0].last_used_unix_ms;
        assert_eq!(used(&guard), None);
        guard.check(secret.expose(), NOW).unwrap();
        assert_eq!(used(&guard), Some(day), "it is known before it is written");
        drop(guard);
        let guard = Guard::open(folder.path()).unwrap();
        assert_eq!(used(&guard), Some(day), "the drop has written it");
        guard.check(secret.expose(), NOW - 365 * DAY_MS).unwrap();
        guard.write_uses().unwrap();
        assert_eq!(used(&guard), Some(day), "a clock set back takes nothing away");
        guard.check(secret.expose(), NOW + DAY_MS).unwrap();
        guard.write_uses().unwrap();
        assert!(guard.uses().is_empty());
        assert_eq!(used(&guard), Some(day + DAY_MS));
    }

    #[test]
    fn the_database_holds_no_secret() {
        let (folder, guard) = open();
        let (record, secret) = guard.create_key(&new("canary"), NOW).unwrap();
        guard.check(secret.expose(), NOW).unwrap();
        let digits = &secret.expose()[20..];
        let raw: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
        let mut n_files = 0;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let holds = |piece: &[u8]| bytes.windows(piece.len()).any(|window| window == piece);
            assert!(!holds(&raw[..16]) && !holds(&digits.as_bytes()[..16]));
            n_files += 1;
        }
        assert!(n_files >= 2);
        let shown = format!("{record:?} {guard:?} {:?}", guard.check(secret.expose(), NOW));
        assert!(!shown.contains(&digits[..8]), "{shown}");
    }
}
