//! Several processes on one ledger: killed at any moment, writing at once, under a careless umask; and a damaged one.
//!
//! Most tests start this very program again as the other process; a variable tells it so.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base::{KeyId, Limits, Rng};
use ledger::{Entry, Error, Ledger, Outcome, Problem, Span};

const ROLE: &str = "HEARTH_LEDGER_TEST_ROLE";
const HOME: &str = "HEARTH_LEDGER_TEST_HOME";
const NOW: u64 = 1_795_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const N_KEYS: u64 = 3;

/// This program again, running only `test`, in another role.
fn child(test: &str, role: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role).env(HOME, home);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What this process was started as, if it was started by a test: role and home.
fn role() -> Option<(String, PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(HOME).unwrap().into()))
}

fn entry(job: &str, tokens: u32) -> Entry {
    Entry {
        at_unix_ms: NOW,
        job: job.into(),
        key: None,
        model: "starter".into(),
        prompt_tokens: tokens,
        found_tokens: 0,
        answer_tokens: 1,
        queue_ms: 0,
        compute_ms: 0,
        outcome: Outcome::Done,
    }
}

fn say(line: &str) {
    // In one write, so that a line is in the pipe wholly or not at all.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Takes, settles and records for ever on four threads, and says each thing once it is acknowledged.
fn write_for_ever(home: &Path, seed: u64) -> ! {
    let ledger = Ledger::open(home).unwrap();
    say("open");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || {
                let mut rng = Rng::new(seed * 10 + thread);
                for number in 0.. {
                    let key = KeyId::from_bits(rng.below(N_KEYS as usize) as u64);
                    let job = format!("{seed}-{thread}-{number}");
                    let entry = entry(&job, rng.below(1_000) as u32);
                    match rng.below(4) {
                        0 => {
                            ledger.record(&Entry { key: Some(key), ..entry.clone() }).unwrap();
                            say(&format!("took {key}"));
                            say(&format!("done {job} {key} {}", entry.tokens()));
                        }
                        1 => {
                            drop(ledger.take(key, &Limits::default(), NOW).unwrap());
                            say(&format!("took {key}"));
                        }
                        _ => {
                            let grant = ledger.take(key, &Limits::default(), NOW).unwrap();
                            say(&format!("took {key}"));
                            ledger.settle(grant, &entry).unwrap();
                            say(&format!("done {job} {key} {}", entry.tokens()));
                        }
                    }
                }
            });
        }
    });
    unreachable!("the threads never end")
}

/// What killed writers acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Requests by key.
    requests: BTreeMap<String, u64>,
    /// Key and tokens by job.
    jobs: BTreeMap<String, (String, u64)>,
}

impl Acknowledged {
    fn hear(&mut self, said: impl BufRead) {
        for line in said.lines() {
            let line = line.unwrap();
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["open"] => {}
                ["took", key] => *self.requests.entry(key.into()).or_default() += 1,
                ["done", job, key, tokens] => {
                    self.jobs.insert(job.into(), (key.into(), tokens.parse().unwrap()));
                }
                _ => panic!("the writer said {line:?}"),
            }
        }
    }
}

/// All entries as jobs with key and tokens; each job once.
fn jobs(ledger: &Ledger) -> BTreeMap<String, (String, u64)> {
    let (mut found, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = ledger.entries(after, 500).unwrap();
        let Some((last, _)) = page.last() else { return found };
        assert!(*last > after);
        after = *last;
        for (_, entry) in page {
            let key = entry.key.map(|key| key.to_string()).unwrap_or_default();
            let tokens = entry.tokens();
            assert_eq!(found.insert(entry.job, (key, tokens)), None, "no job is counted twice");
        }
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_no_counter_goes_back() {
    if let Some((role, home)) = role() {
        write_for_ever(&home, role.parse().unwrap());
    }
    const N_KILLS: u64 = 25;
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut before: BTreeMap<KeyId, (u64, u64)> = BTreeMap::new();
    // Longer where a busy machine hardly comes to a job.
    let mut longest = Duration::from_millis(60);
    for round in 0..N_KILLS {
        if acknowledged.jobs.len() < 8 * round as usize && longest < Duration::from_secs(2) {
            longest = longest * 5 / 4;
        }
        let test = "a_kill_at_any_moment_loses_nothing_and_no_counter_goes_back";
        let mut writer = child(test, &(seed + round).to_string(), folder.path()).spawn().unwrap();
        let mut said = BufReader::new(writer.stderr.take().unwrap());
        said.fill_buf().unwrap();
        // The pipe is emptied while the writer lives, else a full one would hold it up.
        let hearing = std::thread::spawn(move || {
            let mut all = Vec::new();
            std::io::Read::read_to_end(&mut said, &mut all).map(|_| all)
        });
        std::thread::sleep(longest.mul_f64(rng.uniform()));
        writer.kill().unwrap(); // SIGKILL on Unix
        writer.wait().unwrap();
        acknowledged.hear(&*hearing.join().unwrap().unwrap());

        let ledger = Ledger::open(folder.path()).unwrap();
        ledger.verify().unwrap();
        let found = jobs(&ledger);
        for (job, expected) in &acknowledged.jobs {
            assert_eq!(found.get(job), Some(expected), "round {round}: {job}");
        }
        for key in (0..N_KEYS).map(KeyId::from_bits) {
            let used = ledger.used(key, NOW).unwrap();
            let n_acknowledged = acknowledged.requests.get(&key.to_string()).copied().unwrap_or(0);
            // Each of four threads may have been killed between a commit and its word, in each round.
            let most = n_acknowledged + 4 * (round + 1);
            assert!((n_acknowledged..=most).contains(&used.requests), "{n_acknowledged} {}", used.requests);
            let (requests, tokens) = before.insert(key, (used.requests, used.tokens)).unwrap_or_default();
            assert!(used.requests >= requests && used.tokens >= tokens, "round {round}: a counter went back");
        }
    }
    let n_jobs = acknowledged.jobs.len();
    println!("{n_jobs} jobs acknowledged before {N_KILLS} kills");
    assert!(n_jobs > 100, "{n_jobs} are too few to mean much");
}

#[test]
fn two_processes_write_at_once_and_readers_go_on() {
    const N_JOBS: u64 = 60;
    let key = KeyId::from_bits(9);
    let limits = Limits { requests_per_day: Some(100), ..Limits::default() };
    if let Some((role, home)) = role() {
        let ledger = Ledger::open(&home).unwrap();
        for number in 0..N_JOBS {
            match ledger.take(key, &limits, NOW) {
                Ok(grant) => ledger.settle(grant, &entry(&format!("{role} {number}"), 9)).unwrap(),
                Err(Error::Over(over)) => assert_eq!(over.used, 100),
                Err(error) => panic!("{error}"),
            }
        }
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "two_processes_write_at_once_and_readers_go_on";
    let ledger = Ledger::open(folder.path()).unwrap();
    let mut writers = ["left", "right"].map(|role| child(test, role, folder.path()).spawn().unwrap());
    let (mut n_reads, mut last) = (0, 0);
    while writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_none()) {
        let sum = ledger.per_key(Span::ALL).unwrap().first().map_or(0, |(_, sum)| sum.jobs);
        assert!(sum >= last, "what was seen once is there");
        (n_reads, last) = (n_reads + 1, sum);
    }
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    println!("{n_reads} reads meanwhile");
    assert!(n_reads > 0);
    // Of 120 requests of two processes exactly the hundred that the quota allows were let in.
    assert_eq!(jobs(&ledger).len(), 100);
    assert_eq!(ledger.used(key, NOW).unwrap().tokens, 1_000);
    ledger.verify().unwrap();
}

#[test]
fn threads_share_one_quota_to_the_last_request() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let key = KeyId::from_bits(5);
    let limits = Limits { requests_per_day: Some(50), ..Limits::default() };
    let n_let_in: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..20).filter(|_| ledger.take(key, &limits, NOW).is_ok()).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((n_let_in, ledger.used(key, NOW).unwrap().requests), (50, 50));
    assert_eq!(ledger.used(key, NOW).unwrap().resets_unix_ms, (NOW / DAY_MS + 1) * DAY_MS);
}

#[cfg(unix)]
#[test]
fn modes_are_0700_and_0600_whatever_the_umask() {
    if let Some((_, home)) = role() {
        let ledger = Ledger::open(&home).unwrap();
        ledger.record(&entry("a", 1)).unwrap();
        // A process that ends without closing leaves the journals behind, to be looked at.
        std::process::exit(0);
    }
    let process = |home: &Path| child("modes_are_0700_and_0600_whatever_the_umask", "writer", home);
    for n_paths in testkit::modes::paths_under_every_umask(process) {
        // Two folders, the database with its two journals, the lock.
        assert_eq!(n_paths, 6);
    }
}

#[test]
fn a_damaged_ledger_is_told_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = Ledger::open(folder.path()).unwrap();
    let key = Some(KeyId::from_bits(1));
    (0..300).for_each(|number| ledger.record(&Entry { key, ..entry(&format!("job {number}"), 7) }).unwrap());
    drop(ledger);
    let good = std::fs::read(&path).unwrap();

    std::fs::write(&path, "no database, but longer than the header of one: ".repeat(40)).unwrap();
    let error = Ledger::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { problem: Problem::NotReadable { .. }, .. }), "{error}");
    assert!(error.to_string().contains("ledger.db") && error.hint().contains("backup"), "{error}");

    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut n_told = 0;
    for _ in 0..100 {
        let mut bytes = good.clone();
        let (at, length) = (rng.below(bytes.len()), 1 + rng.below(200));
        bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte = rng.next_u64() as u8);
        std::fs::write(&path, &bytes).unwrap();
        for journal in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(journal));
        }
        let told = Ledger::open(folder.path()).and_then(|ledger| {
            let _ = ledger.per_model(Span::ALL);
            let _ = ledger.take(KeyId::from_bits(1), &Limits::default(), NOW);
            let _ = ledger.record(&entry("after", 1));
            ledger.verify()
        });
        n_told += usize::from(told.is_err_and(|error| !error.hint().is_empty()));
    }
    assert!(n_told > 20, "{n_told}");
}

#[test]
fn a_database_of_another_program_or_of_the_future_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(other);
    let error = Ledger::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { problem: Problem::NotOurs, .. }), "{error}");

    std::fs::remove_file(&path).unwrap();
    drop(Ledger::open(folder.path()).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    let error = Ledger::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::FutureVersion { found: 7, known: 1, .. }), "{error}");
}
