//! The ledger itself: requests are let in and counted, and entries are appended with their tokens.
//!
//! Does not: sum up ([`crate::sums`]), or know how a commit is made durable ([`crate::durable`]).

use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base::{KeyId, Limits};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, named_params};

use crate::database::{self, from_sqlite, loaded, stored};
use crate::durable::Durable;
use crate::quota::{Grant, Used, end_of};
use crate::{DAY_MS, Entry, Error, Outcome, Problem, Result};

/// After so many commits who ends a job copies the log into the database; about 6 MiB of log.
const CHECKPOINT_COMMITS: u64 = 256;
/// After so many who begins one does it, if nobody ended any.
const LATE_CHECKPOINT_COMMITS: u64 = 16 * CHECKPOINT_COMMITS;
/// More entries than anybody reads at once.
const MAX_PAGE: usize = 10_000;

/// What jobs took, and what keys have spent. Several processes may have it open.
pub struct Ledger {
    path: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    durable: Durable,
    /// The commit at which the log was last copied.
    checkpointed: AtomicU64,
}

impl Ledger {
    /// Opens the ledger in this folder (`ledger.db`), which is made when it is missing.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::FutureVersion`], [`Error::Locked`] and those of the disk.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("ledger.db");
        let [writer, reader] = database::open(folder, &path)?;
        let log = folder.join("ledger.db-wal");
        // A log that may be written to is what Windows wants for a sync.
        let sync = move || match OpenOptions::new().write(true).open(&log) {
            Ok(file) => file.sync_data(),
            Err(error) => Err(error),
        };
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            durable: Durable::new(Box::new(sync)),
            checkpointed: AtomicU64::new(0),
        })
    }

    /// Lets a request of a key in and counts it, before anything is computed. It waits for no disk.
    ///
    /// # Errors
    /// [`Error::Over`] where the requests or tokens of this day (UTC) are used up: nothing was counted then. Those of
    /// the database.
    pub fn take(&self, key: KeyId, limits: &Limits, now_unix_ms: u64) -> Result<Grant> {
        let day = now_unix_ms / DAY_MS;
        let (used, commit) = self.write("count a request in", |transaction| {
            let used = used_on(transaction, key, day)?;
            if let Some(over) = used.over(limits) {
                return Ok(Err(Error::Over(over)));
            }
            add(transaction, key, &Used { requests: 1, tokens: 0, ..used }, day).map(Ok)
        })?;
        self.checkpoint_after(commit, LATE_CHECKPOINT_COMMITS);
        Ok(Grant { key, day, used, limits: *limits })
    }

    /// Appends the entry of a job that was let in, and counts its tokens against the day on which it was. The entry's
    /// key is that of the grant. When this returns, both survive a loss of power.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::NotDurable`], those of the database. Without an error of the first kind the
    /// request stays counted.
    pub fn settle(&self, grant: Grant, entry: &Entry) -> Result<()> {
        self.append(entry, Some(grant.key), grant.day, 0)
    }

    /// Appends the entry of a job that nobody asked to let in, such as one of the command line. Where it has a key, a
    /// request and its tokens are counted on the day of the entry. When this returns, it survives a loss of power.
    ///
    /// # Errors
    /// As [`Ledger::settle`].
    pub fn record(&self, entry: &Entry) -> Result<()> {
        self.append(entry, entry.key, entry.at_unix_ms / DAY_MS, 1)
    }

    /// What a key has spent on this day.
    ///
    /// # Errors
    /// Those of the database.
    pub fn used(&self, key: KeyId, now_unix_ms: u64) -> Result<Used> {
        self.read("look into", |connection| used_on(connection, key, now_unix_ms / DAY_MS))
    }

    /// Entries in the order in which they were appended, with their numbers: those after this number (0 for the
    /// first), as many as are wanted and at most 10,000.
    ///
    /// # Errors
    /// Those of the database.
    pub fn entries(&self, after: u64, at_most: usize) -> Result<Vec<(u64, Entry)>> {
        let at_most = stored(at_most.min(MAX_PAGE) as u64);
        self.read("list the entries of", |connection| {
            let list = "SELECT * FROM entries WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
            let mut statement = connection.prepare(list)?;
            statement.query_map([stored(after), at_most], read_entry)?.collect()
        })
    }

    /// Looks at every page, and adds all entries up again. For `doctor` and after a restore: it reads everything.
    ///
    /// # Errors
    /// [`Error::Damaged`] with what is wrong.
    pub fn verify(&self) -> Result<()> {
        let verdict: String = self.read("check", |connection| {
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        })?;
        if verdict != "ok" {
            return Err(Error::damaged(&self.path, Problem::NotReadable { message: verdict }));
        }
        // A request that was let in and never settled has no entry: there may be more requests than entries.
        let differ = "WITH sums AS (
                SELECT key, day, count(*) AS n, sum(prompt_tokens + answer_tokens) AS tokens
                FROM entries WHERE key IS NOT NULL GROUP BY key, day)
            SELECT (SELECT count(*) FROM sums LEFT JOIN days USING (key, day)
                    WHERE days.tokens IS NOT sums.tokens OR days.requests < sums.n)
                 + (SELECT count(*) FROM days LEFT JOIN sums USING (key, day)
                    WHERE sums.key IS NULL AND days.tokens != 0)";
        let n_days: i64 =
            self.read("check", |connection| connection.query_row(differ, [], |row| row.get(0)))?;
        match loaded(n_days) {
            0 => Ok(()),
            n_days => Err(Error::damaged(&self.path, Problem::CountsDiffer { n_days })),
        }
    }

    fn append(&self, entry: &Entry, key: Option<KeyId>, day: u64, requests: u64) -> Result<()> {
        entry.check()?;
        let ((), commit) = self.write("append an entry to", |transaction| {
            insert(transaction, entry, key, day)?;
            if let Some(key) = key {
                let more = Used { requests, tokens: entry.tokens(), resets_unix_ms: end_of(day) };
                add(transaction, key, &more, day)?;
            }
            Ok(Ok(()))
        })?;
        let durable = self.durable.wait(commit);
        durable.map_err(|kind| Error::NotDurable { path: self.path.clone(), kind })?;
        self.checkpoint_after(commit, CHECKPOINT_COMMITS);
        Ok(())
    }

    pub(crate) fn read<T>(
        &self,
        action: &'static str,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        ask(&locked(&self.reader)).map_err(|error| from_sqlite(action, &self.path, error))
    }

    /// Runs one change, and gives the number of its commit. An error of either kind leaves everything as it was.
    fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Transaction) -> rusqlite::Result<Result<T>>,
    ) -> Result<(T, u64)> {
        let failed = |error| from_sqlite(action, &self.path, error);
        let mut connection = locked(&self.writer);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let result = change(&transaction).map_err(failed)??;
        transaction.commit().map_err(failed)?;
        Ok((result, self.durable.committed()))
    }

    /// Copies the log into the database when it has grown by so many commits. It hinders no writer, and is put off
    /// where somebody reads.
    fn checkpoint_after(&self, commit: u64, n_commits: u64) {
        let last = self.checkpointed.load(Ordering::Relaxed);
        if commit < last.saturating_add(n_commits) {
            return;
        }
        let Ok(connection) = self.reader.try_lock() else { return };
        let turn = self.checkpointed.compare_exchange(last, commit, Ordering::Relaxed, Ordering::Relaxed);
        if turn.is_ok() {
            // What could not be copied stays in the log, where it is as safe; the next one tries again.
            let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A panic in between has rolled its transaction back: the connection is sound.
fn locked(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn used_on(connection: &Connection, key: KeyId, day: u64) -> rusqlite::Result<Used> {
    let find = "SELECT requests, tokens FROM days WHERE key = ?1 AND day = ?2";
    let row = connection
        .query_row(find, [stored(key.bits()), stored(day)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (requests, tokens) = row.unwrap_or((0, 0));
    Ok(Used { requests: loaded(requests), tokens: loaded(tokens), resets_unix_ms: end_of(day) })
}

/// Adds to the counters of a day, and gives what they are then.
fn add(connection: &Connection, key: KeyId, more: &Used, day: u64) -> rusqlite::Result<Used> {
    let before = used_on(connection, key, day)?;
    let after = Used {
        requests: before.requests.saturating_add(more.requests),
        tokens: before.tokens.saturating_add(more.tokens),
        ..before
    };
    let put = "INSERT INTO days (key, day, requests, tokens) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (key, day) DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens";
    connection.execute(put, [key.bits(), day, after.requests, after.tokens].map(stored))?;
    Ok(after)
}

fn insert(connection: &Connection, entry: &Entry, key: Option<KeyId>, day: u64) -> rusqlite::Result<()> {
    let insert = "INSERT INTO entries (at_unix_ms, day, job, key, model, prompt_tokens, found_tokens, answer_tokens, \
                  queue_ms, compute_ms, outcome) VALUES (:at_unix_ms, :day, :job, :key, :model, :prompt_tokens, \
                  :found_tokens, :answer_tokens, :queue_ms, :compute_ms, :outcome)";
    let [queue_ms, compute_ms] = entry.durations_ms();
    let values = named_params! {
        ":at_unix_ms": stored(entry.at_unix_ms),
        ":day": stored(day),
        ":job": entry.job,
        ":key": key.map(|key| stored(key.bits())),
        ":model": entry.model,
        ":prompt_tokens": entry.prompt_tokens,
        ":found_tokens": entry.found_tokens,
        ":answer_tokens": entry.answer_tokens,
        ":queue_ms": queue_ms,
        ":compute_ms": compute_ms,
        ":outcome": entry.outcome.word(),
    };
    connection.execute(insert, values).map(drop)
}

fn read_entry(row: &Row) -> rusqlite::Result<(u64, Entry)> {
    let number = |column| row.get::<_, i64>(column).map(loaded);
    let tokens = |column| number(column).map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
    let outcome: String = row.get("outcome")?;
    let entry = Entry {
        at_unix_ms: number("at_unix_ms")?,
        job: row.get("job")?,
        key: row.get::<_, Option<i64>>("key")?.map(|key| KeyId::from_bits(loaded(key))),
        model: row.get("model")?,
        prompt_tokens: tokens("prompt_tokens")?,
        found_tokens: tokens("found_tokens")?,
        answer_tokens: tokens("answer_tokens")?,
        queue_ms: number("queue_ms")?,
        compute_ms: number("compute_ms")?,
        // A word that this Hearth does not know is of a later one.
        outcome: Outcome::ALL.into_iter().find(|known| known.word() == outcome).unwrap_or(Outcome::Failed),
    };
    Ok((number("sequence")?, entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Over, Quota};
    use std::io;

    const NOW: u64 = 1_790_000_000_000;
    const YEAR_MS: u64 = testkit::clock::YEAR_MS;

    fn open() -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        (folder, ledger)
    }

    fn entry(job: &str, tokens: u32) -> Entry {
        Entry {
            at_unix_ms: NOW,
            job: job.into(),
            key: None,
            model: "starter".into(),
            prompt_tokens: tokens,
            found_tokens: tokens / 2,
            answer_tokens: 1,
            queue_ms: 2,
            compute_ms: u64::MAX,
            outcome: Outcome::Cancelled,
        }
    }

    #[test]
    fn entries_read_back_in_their_order() {
        let (folder, ledger) = open();
        let key = KeyId::from_bits(u64::MAX);
        let first = Entry { key: Some(key), ..entry("a", u32::MAX) };
        let grant = ledger.take(key, &Limits::default(), NOW).unwrap();
        ledger.settle(grant, &first).unwrap();
        // The clock has gone back a year; the order is that of appending.
        let second = Entry { at_unix_ms: NOW - YEAR_MS, outcome: Outcome::Done, ..entry("b", 3) };
        ledger.record(&second).unwrap();
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        let capped = |entry: Entry| Entry { compute_ms: 1 << 40, ..entry };
        assert_eq!(ledger.entries(0, usize::MAX).unwrap(), [(1, capped(first)), (2, capped(second.clone()))]);
        assert_eq!(ledger.entries(1, 5).unwrap(), [(2, capped(second))]);
        assert_eq!(ledger.used(key, NOW).unwrap().tokens, u64::from(u32::MAX) + 1);
        ledger.verify().unwrap();
    }

    #[test]
    fn a_day_of_requests_ends_and_the_next_begins() {
        let (folder, ledger) = open();
        let key = KeyId::from_bits(1);
        let limits = Limits { requests_per_day: Some(3), ..Limits::default() };
        let first = ledger.take(key, &limits, NOW).unwrap();
        assert_eq!((first.requests_left(), first.tokens_left()), (Some(2), None));
        drop(first);
        drop(ledger);
        let ledger = Ledger::open(folder.path()).unwrap();
        (0..2).for_each(|_| drop(ledger.take(key, &limits, NOW).unwrap()));
        let resets_unix_ms = (NOW / DAY_MS + 1) * DAY_MS;
        let over = Over { what: Quota::RequestsPerDay, limit: 3, used: 3, resets_unix_ms };
        let last_ms = resets_unix_ms - 1;
        assert!(matches!(ledger.take(key, &limits, last_ms), Err(Error::Over(found)) if found == over));
        assert_eq!(ledger.used(key, NOW).unwrap().requests, 3, "a refusal is not counted");
        assert_eq!(ledger.take(key, &limits, resets_unix_ms).unwrap().requests_left(), Some(2));
        assert!(ledger.take(KeyId::from_bits(2), &limits, NOW).is_ok(), "another key is another key");
    }

    #[test]
    fn tokens_count_on_the_day_on_which_their_job_was_let_in() {
        let (_folder, ledger) = open();
        let key = KeyId::from_bits(1);
        let limits = Limits { tokens_per_day: Some(10), ..Limits::default() };
        let midnight = (NOW / DAY_MS + 1) * DAY_MS;
        let grant = ledger.take(key, &limits, midnight - 1).unwrap();
        ledger.settle(grant, &Entry { at_unix_ms: midnight + 5, ..entry("a", 11) }).unwrap();
        assert_eq!(ledger.take(key, &limits, midnight).unwrap().tokens_left(), Some(10));
        let over = Over { what: Quota::TokensPerDay, limit: 10, used: 12, resets_unix_ms: midnight };
        assert!(matches!(ledger.take(key, &limits, midnight - 1), Err(Error::Over(found)) if found == over));
        // A job without a grant counts on its own day.
        ledger.record(&Entry { key: Some(key), at_unix_ms: midnight, ..entry("b", 4) }).unwrap();
        let used = ledger.used(key, midnight).unwrap();
        assert_eq!((used.requests, used.tokens), (2, 5));
        ledger.verify().unwrap();
    }

    #[test]
    fn a_clock_that_jumps_corrupts_nothing_and_no_counter_goes_back() {
        let (_folder, ledger) = open();
        let key = KeyId::from_bits(1);
        let limits = Limits { requests_per_day: Some(2), ..Limits::default() };
        for now in [NOW, NOW - YEAR_MS, NOW + 10 * YEAR_MS, NOW, 0, u64::MAX] {
            let grant = ledger.take(key, &limits, now).unwrap();
            ledger.settle(grant, &Entry { at_unix_ms: now, ..entry("a", 1) }).unwrap();
        }
        assert!(
            ledger.take(key, &limits, NOW).is_err(),
            "both of its requests of that day are still counted"
        );
        assert_eq!(ledger.entries(0, 10).unwrap().len(), 6);
        ledger.verify().unwrap();
    }

    #[test]
    fn what_stands_in_the_ledger_is_neither_changed_nor_deleted() {
        let (_folder, ledger) = open();
        ledger.record(&Entry { key: Some(KeyId::from_bits(1)), ..entry("a", 1) }).unwrap();
        for statement in [
            "DELETE FROM entries",
            "UPDATE entries SET answer_tokens = 0",
            "DELETE FROM days",
            "UPDATE days SET tokens = tokens - 1",
            "UPDATE days SET requests = 0",
        ] {
            let error = ledger.write("test", |transaction| transaction.execute(statement, []).map(Ok));
            assert!(matches!(error, Err(Error::Io { .. })), "{statement}: {error:?}");
        }
        ledger.verify().unwrap();
    }

    #[test]
    fn counts_that_do_not_add_up_are_found() {
        let (_folder, ledger) = open();
        ledger.record(&Entry { key: Some(KeyId::from_bits(1)), ..entry("a", 1) }).unwrap();
        let more = "UPDATE days SET tokens = tokens + 1";
        ledger.write("test", |transaction| transaction.execute(more, []).map(Ok)).unwrap();
        let error = ledger.verify().unwrap_err();
        assert!(
            matches!(error, Error::Damaged { problem: Problem::CountsDiffer { n_days: 1 }, .. }),
            "{error}"
        );
    }

    #[test]
    fn counters_at_their_end_stay_there() {
        let (_folder, ledger) = open();
        let key = KeyId::from_bits(1);
        let most = Used { requests: u64::MAX, tokens: u64::MAX, resets_unix_ms: 0 };
        ledger.write("test", |transaction| add(transaction, key, &most, NOW / DAY_MS).map(Ok)).unwrap();
        let grant = ledger.take(key, &Limits::default(), NOW).unwrap();
        ledger.settle(grant, &entry("a", 7)).unwrap();
        assert_eq!(ledger.used(key, NOW).unwrap().tokens, i64::MAX as u64);
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_before_anything_is_written() {
        let (_folder, ledger) = open();
        let long = Entry { model: "m".repeat(1_001), ..entry("a", 1) };
        assert!(matches!(ledger.record(&long), Err(Error::TooLong { what: "model", size_bytes: 1_001, .. })));
        assert!(matches!(
            ledger.record(&entry(&"j".repeat(201), 1)),
            Err(Error::TooLong { what: "job", .. })
        ));
        assert!(ledger.entries(0, 10).unwrap().is_empty());
    }

    #[test]
    fn an_entry_that_could_not_be_made_durable_is_not_acknowledged() {
        let (_folder, mut ledger) = open();
        ledger.durable = Durable::new(Box::new(|| Err(io::ErrorKind::StorageFull.into())));
        let error = ledger.record(&entry("a", 1)).unwrap_err();
        assert!(matches!(error, Error::NotDurable { kind: io::ErrorKind::StorageFull, .. }), "{error}");
        let grant = ledger.take(KeyId::from_bits(1), &Limits::default(), NOW);
        assert!(grant.is_ok(), "who begins a request waits for no disk");
    }

    #[test]
    fn the_log_is_copied_now_and_then() {
        let (folder, ledger) = open();
        let key = KeyId::from_bits(1);
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        let before = size("ledger.db");
        let write = |n_rounds: u64| {
            for number in 0..n_rounds * CHECKPOINT_COMMITS {
                let grant = ledger.take(key, &Limits::default(), NOW).unwrap();
                if number % 16 == 15 {
                    ledger.settle(grant, &entry("a", 1)).unwrap();
                }
            }
        };
        write(1);
        let one_round = size("ledger.db-wal");
        write(4);
        assert!(size("ledger.db") > before, "entries have reached the database");
        assert!(size("ledger.db-wal") < 2 * one_round, "the log begins anew instead of growing fivefold");
        ledger.verify().unwrap();
    }
}
