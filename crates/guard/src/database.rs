//! Opens the guard's SQLite file: for the owner alone, durable, and shared by processes.
//!
//! Knows nothing of keys beyond the text of their table.
//!
//! Source of the settings: the SQLite documentation, "PRAGMA Statements" and "Write-Ahead Logging". With
//! `synchronous = FULL` a commit returns after its fsync: what was acknowledged survives a power loss.

use std::io;
use std::path::Path;
use std::time::Duration;

use base::disk::{Disk, Lock, RealDisk};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::{Error, Problem, Result};

/// How long one process waits for another.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// `HGrd`: tells this database from those of other programs (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x4847_7264;
/// The version of the tables below (`PRAGMA user_version`).
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    scopes TEXT NOT NULL,
    requests_per_minute INTEGER,
    requests_per_day INTEGER,
    tokens_per_day INTEGER,
    created_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER,
    revoked_unix_ms INTEGER,
    last_used_day INTEGER
) STRICT;
CREATE UNIQUE INDEX living_names ON keys (name) WHERE revoked_unix_ms IS NULL;
";

/// Opens the database, and makes it and its folder where they are missing.
pub(crate) fn open(folder: &Path, path: &Path) -> Result<Connection> {
    ensure_folder(&RealDisk, folder)?;
    // Who opens it switches its mode and makes its tables: one after the other.
    let _lock = lock(&RealDisk, &path.with_extension("lock"))?;
    ensure_private_file(folder, path)?;
    let failed = |error| from_sqlite("open", path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    configure(&connection).map_err(failed)?;
    ensure_tables(&mut connection, path)?;
    check(&connection, path)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", "ON")
}

fn ensure_tables(connection: &mut Connection, path: &Path) -> Result<()> {
    let failed = |error| from_sqlite("open", path, error);
    let number = |connection: &Connection, name: &str| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed)
    };
    let n_tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let (id, found) = (number(connection, "application_id")?, number(connection, "user_version")?);
    match (id, found) {
        (0, 0) if n_tables == 0 => {}
        (APPLICATION_ID, VERSION) => return Ok(()),
        (APPLICATION_ID, found) => {
            return Err(Error::FutureVersion { path: path.to_owned(), found, known: VERSION });
        }
        _ => return Err(Error::damaged(path, Problem::NotOurs)),
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// The guard's database is small: all of it is looked at before anybody is let in by it.
fn check(connection: &Connection, path: &Path) -> Result<()> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| from_sqlite("check", path, error))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => Err(Error::damaged(path, Problem::NotReadable { message: verdict })),
    }
}

/// Makes a folder and what is missing above it, for the owner alone.
pub(crate) fn ensure_folder(disk: &dyn Disk, folder: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for folder in folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        match disk.facts(folder) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(folder),
            Err(error) => return Err(Error::io("look at", folder, error)),
        }
    }
    for folder in missing.into_iter().rev() {
        disk.create_dir(folder).map_err(|error| Error::io("create", folder, error))?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        disk.sync_dir(parent).map_err(|error| Error::io("make durable", parent, error))?;
    }
    Ok(())
}

/// Waits for the lock that this file stands for.
pub(crate) fn lock(disk: &dyn Disk, path: &Path) -> Result<Lock> {
    disk.lock(path, WAIT).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => locked(path),
        _ => Error::io("lock", path, error),
    })
}

/// Makes the file 0600 before SQLite sees it, which gives its journals the same mode. An existing file is never
/// opened here: closing it would drop the locks that SQLite holds on it in this process (POSIX advisory locks).
fn ensure_private_file(folder: &Path, path: &Path) -> Result<()> {
    match RealDisk.create_new(path) {
        Ok(_) => RealDisk.sync_dir(folder).map_err(|error| Error::io("make durable", folder, error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            tighten(path).map_err(|error| Error::io("protect", path, error))
        }
        Err(error) => Err(Error::io("create", path, error)),
    }
}

/// Takes away what others may do with a file, such as one that a backup brought back.
fn tighten(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn locked(path: &Path) -> Error {
    let waited_ms = u64::try_from(WAIT.as_millis()).expect("ten seconds");
    Error::Locked { path: path.to_owned(), waited_ms }
}

/// An error of SQLite as one of ours.
pub(crate) fn from_sqlite(action: &'static str, path: &Path, error: rusqlite::Error) -> Error {
    let unreadable = |message| Error::damaged(path, Problem::NotReadable { message });
    let path_kept = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => unreadable(error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => locked(path),
        Some(ErrorCode::DiskFull) => Error::DiskFull { path: path_kept },
        Some(ErrorCode::ReadOnly) => Error::ReadOnly { action, path: path_kept },
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            Error::Permission { action, path: path_kept }
        }
        Some(_) => Error::Io { action, path: path_kept, source: io::Error::other(error) },
        // What SQLite did not object to is a value of another type than the table promises.
        None => unreadable(error.to_string()),
    }
}

/// A number as SQLite keeps it; what is too large becomes the largest.
pub(crate) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was before [`stored`]; a negative one, which was never stored, is 0.
pub(crate) fn loaded(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
