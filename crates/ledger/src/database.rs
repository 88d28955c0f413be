//! Opens the ledger's SQLite file: for the owner alone, and shared by processes.
//!
//! Knows nothing of entries beyond the text of their table. Does not make a commit durable: [`crate::durable`] does.
//!
//! Source of the settings: the SQLite documentation, "PRAGMA Statements" and "Write-Ahead Logging". With
//! `synchronous = NORMAL` a commit is in the system's hands when it returns (a kill loses nothing), and a checkpoint
//! syncs the log before and the database after it.

use std::io;
use std::path::Path;
use std::time::Duration;

use base::disk::{Disk, RealDisk};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::{Error, Problem, Result};

/// How long one process waits for another.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// `HLed`: tells this database from those of other programs (`PRAGMA application_id`).
const APPLICATION_ID: i64 = 0x484c_6564;
/// The version of the tables below (`PRAGMA user_version`).
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE entries (
    sequence INTEGER PRIMARY KEY,
    at_unix_ms INTEGER NOT NULL,
    day INTEGER NOT NULL,
    job TEXT NOT NULL,
    key INTEGER,
    model TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    found_tokens INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL,
    queue_ms INTEGER NOT NULL,
    compute_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX entries_at ON entries (at_unix_ms);
CREATE TRIGGER entries_stay BEFORE DELETE ON entries
    BEGIN SELECT raise(ABORT, 'entries are never deleted'); END;
CREATE TRIGGER entries_stand BEFORE UPDATE ON entries
    BEGIN SELECT raise(ABORT, 'entries are never changed'); END;
CREATE TABLE days (
    key INTEGER NOT NULL,
    day INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (key, day)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER days_stay BEFORE DELETE ON days
    BEGIN SELECT raise(ABORT, 'days are never deleted'); END;
CREATE TRIGGER days_grow BEFORE UPDATE ON days WHEN new.requests < old.requests OR new.tokens < old.tokens
    BEGIN SELECT raise(ABORT, 'a counter never goes back'); END;
";

/// Opens the database twice, to write and to read, and makes it and its folder where they are missing.
pub(crate) fn open(folder: &Path, path: &Path) -> Result<[Connection; 2]> {
    ensure_folder(folder)?;
    // Who opens it switches its mode and makes its tables: one after the other.
    let lock_path = path.with_extension("lock");
    let _lock = RealDisk.lock(&lock_path, WAIT).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => locked(&lock_path),
        _ => Error::io("lock", &lock_path, error),
    })?;
    ensure_private_file(folder, path)?;
    let mut writer = connect(path)?;
    ensure_tables(&mut writer, path)?;
    let reader = connect(path)?;
    // The name of the log is durable before anything in it is promised to be.
    RealDisk.sync_dir(folder).map_err(|error| Error::io("make durable", folder, error))?;
    Ok([writer, reader])
}

fn connect(path: &Path) -> Result<Connection> {
    let failed = |error| from_sqlite("open", path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let mode = configure(&connection).map_err(failed)?;
    if mode != "wal" {
        // A network's file system, say. Without its log nothing here is durable as promised.
        let source =
            io::Error::new(io::ErrorKind::Unsupported, "this file system cannot share a database's log");
        return Err(Error::io("open", path, source));
    }
    Ok(connection)
}

/// Gives the mode of its journal, which is `wal` where the file system can share one.
fn configure(connection: &Connection) -> rusqlite::Result<String> {
    connection.busy_timeout(WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    let mode = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // A checkpoint waits for the disk; the ledger chooses when.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    Ok(mode)
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

/// Makes a folder and what is missing above it, for the owner alone.
fn ensure_folder(folder: &Path) -> Result<()> {
    let mut missing = Vec::new();
    for folder in folder.ancestors().filter(|folder| !folder.as_os_str().is_empty()) {
        match RealDisk.facts(folder) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(folder),
            Err(error) => return Err(Error::io("look at", folder, error)),
        }
    }
    for folder in missing.into_iter().rev() {
        RealDisk.create_dir(folder).map_err(|error| Error::io("create", folder, error))?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        RealDisk.sync_dir(parent).map_err(|error| Error::io("make durable", parent, error))?;
    }
    Ok(())
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
