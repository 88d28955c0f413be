//! Makes commits survive a loss of power, many of them with one fsync.
//!
//! Not a part of SQLite's work: a commit with `synchronous = NORMAL` has written its pages to the log
//! (`ledger.db-wal`) and let go of SQLite's lock when it returns. This syncs the log afterwards, so that nobody who
//! begins a request waits behind somebody's fsync. Where a checkpoint came in between, SQLite has synced the log, the
//! database, or both, before it let the log begin anew; then the sync here is of no use and of no harm.
//!
//! Opening and closing the log a second time is safe: SQLite holds its locks on `-shm` and on the database, none on
//! the log (SQLite, "How To Corrupt", section 2.2, is about the database file).
//!
//! The first who waits syncs for all that have committed until then; those who commit meanwhile wait for the next.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What makes the log durable.
pub(crate) type SyncLog = Box<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Who waits for which commit.
pub(crate) struct Durable {
    sync: SyncLog,
    committed: AtomicU64,
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Default)]
struct State {
    /// All commits up to this one have been synced, apart from those that are lost.
    synced: u64,
    is_syncing: bool,
    /// Commits whose sync failed: after the first, up to the second; ascending, and none follows another at once.
    lost: Vec<(u64, u64, io::ErrorKind)>,
}

impl Durable {
    pub(crate) fn new(sync: SyncLog) -> Self {
        Self { sync, committed: AtomicU64::new(0), state: Mutex::default(), turned: Condvar::new() }
    }

    /// Counts a commit. The caller still holds the connection, so that numbers follow the order of commits.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Waits until this commit survives a loss of power.
    pub(crate) fn wait(&self, commit: u64) -> Result<(), io::ErrorKind> {
        let mut state = self.state();
        loop {
            // After a failed sync a second one proves nothing (`base::disk::WriteFile::sync`).
            if let Some((.., kind)) =
                state.lost.iter().find(|(after, to, _)| (after + 1..=*to).contains(&commit))
            {
                return Err(*kind);
            }
            if state.synced >= commit {
                return Ok(());
            }
            state = if state.is_syncing {
                self.turned.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.lead(state)
            };
        }
    }

    /// Syncs for everybody who has committed by now.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.is_syncing = true;
        drop(state);
        let to = self.committed.load(Ordering::Acquire);
        let result = (self.sync)();
        let mut state = self.state();
        state.is_syncing = false;
        if let Err(error) = result {
            state.lose(to, error.kind());
        }
        state.synced = to;
        self.turned.notify_all();
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Remembers that what is not synced up to here is lost. Only who waits now will ask: of very many losses the
    /// oldest are forgotten.
    fn lose(&mut self, to: u64, kind: io::ErrorKind) {
        const MAX_LOST: usize = 1_000;
        match self.lost.last_mut() {
            Some((_, end, last)) if *end == self.synced => (*end, *last) = (to, kind),
            _ => self.lost.push((self.synced, to, kind)),
        }
        if self.lost.len() > MAX_LOST {
            self.lost.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// A sync that tells when it begins, and ends with what it is told.
    fn told() -> (Arc<Durable>, Receiver<()>, SyncSender<io::Result<()>>) {
        let (begun, begins) = sync_channel(100);
        let (ends, ended) = sync_channel::<io::Result<()>>(100);
        let ended = Mutex::new(ended);
        let sync = move || {
            begun.send(()).unwrap();
            ended.lock().unwrap().recv().unwrap()
        };
        (Arc::new(Durable::new(Box::new(sync))), begins, ends)
    }

    fn waiter(durable: &Arc<Durable>) -> std::thread::JoinHandle<Result<(), io::ErrorKind>> {
        let (durable, commit) = (Arc::clone(durable), durable.committed());
        std::thread::spawn(move || durable.wait(commit))
    }

    #[test]
    fn all_that_commit_during_a_sync_share_the_next() {
        let (durable, begins, ends) = told();
        let first = waiter(&durable);
        begins.recv().unwrap();
        let others: Vec<_> = (0..7).map(|_| waiter(&durable)).collect();
        ends.send(Ok(())).unwrap();
        first.join().unwrap().unwrap();
        begins.recv().unwrap();
        assert!(others.iter().all(|other| !other.is_finished()), "they committed after the first sync began");
        ends.send(Ok(())).unwrap();
        others.into_iter().for_each(|other| other.join().unwrap().unwrap());
        assert!(begins.try_recv().is_err(), "eight commits, two syncs");
    }

    #[test]
    fn a_sync_that_fails_is_told_to_all_whom_it_was_for_and_to_nobody_else() {
        let (durable, begins, ends) = told();
        let early = durable.committed();
        ends.send(Ok(())).unwrap();
        durable.wait(early).unwrap();
        begins.recv().unwrap();
        let lost: Vec<u64> = (0..3).map(|_| durable.committed()).collect();
        ends.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        // No second sync is tried for those that the failed one was for.
        assert!(lost.iter().all(|commit| durable.wait(*commit) == Err(io::ErrorKind::StorageFull)));
        begins.recv().unwrap();
        assert!(begins.try_recv().is_err());
        let late = durable.committed();
        ends.send(Ok(())).unwrap();
        assert_eq!((durable.wait(early), durable.wait(late)), (Ok(()), Ok(())));
        assert_eq!(durable.wait(lost[1]), Err(io::ErrorKind::StorageFull), "a later sync mends nothing");
    }
}
