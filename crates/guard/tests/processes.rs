//! Several processes on one home, a careless umask, and a damaged database.
//!
//! Each test of the first two kinds starts this very program again as the other process; a variable tells it so.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use base::Rng;
use base::disk::RealDisk;
use guard::hosts::HostName;
use guard::house::Authority;
use guard::{Error, Guard, NewKey, Problem, Refusal, Scope, Scopes};

const ROLE: &str = "HEARTH_GUARD_TEST_ROLE";
const HOME: &str = "HEARTH_GUARD_TEST_HOME";
const NOW: u64 = 1_795_000_000_000;

fn new(name: &str) -> NewKey {
    NewKey { name: name.into(), scopes: Scopes::of(&[Scope::Use]), ..NewKey::default() }
}

/// This program again, running only `test`, in another role.
fn child(test: &str, role: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(ROLE, role).env(HOME, home);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What this process was started as, if it was started by a test: role and home.
fn role() -> Option<(String, std::path::PathBuf)> {
    Some((std::env::var(ROLE).ok()?, std::env::var_os(HOME).unwrap().into()))
}

#[test]
fn two_processes_make_keys_at_once_and_a_third_checks_them() {
    const N_KEYS: usize = 25;
    const N_CHECKS: usize = 10;
    /// Who is never told that it is enough ends all the same.
    const MOST_KEYS: usize = 1000;
    /// What the one who checks leaves behind when the writers may end.
    const ENOUGH: &str = "enough";
    if let Some((role, home)) = role() {
        let guard = Guard::open(&home).unwrap();
        let mut number = 0;
        while number < N_KEYS || (number < MOST_KEYS && !home.join(ENOUGH).exists()) {
            guard.create_key(&new(&format!("{role} {number}")), NOW).unwrap();
            match guard.create_key(&new(&format!("both {number}")), NOW) {
                Ok(_) | Err(Error::NameTaken { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            number += 1;
        }
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::open(folder.path()).unwrap();
    let (_, secret) = guard.create_key(&new("reader"), NOW).unwrap();
    let test = "two_processes_make_keys_at_once_and_a_third_checks_them";
    let mut writers = ["left", "right"].map(|role| child(test, role, folder.path()).spawn().unwrap());
    let count = |guard: &Guard| guard.keys().unwrap().len();
    let mut any_ended = || writers.iter_mut().any(|writer| writer.try_wait().unwrap().is_some());
    while count(&guard) < 2 && !any_ended() {
        std::thread::yield_now();
    }
    for _ in 0..N_CHECKS {
        guard.check(secret.expose(), NOW).unwrap();
    }
    std::fs::write(folder.path().join(ENOUGH), []).unwrap();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let keys = guard.keys().unwrap();
    let names: std::collections::BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names.len(), keys.len(), "of two who ask for one name, one gets it");
    let of = |prefix: &str| names.iter().filter(|name| name.starts_with(prefix)).count();
    let (left, right) = (of("left "), of("right "));
    assert!(left >= N_KEYS && right >= N_KEYS, "{left} and {right}");
    assert_eq!(of("both "), left.max(right));
    assert_eq!(names.len(), left + right + left.max(right) + 1);
}

#[test]
fn what_one_process_revokes_no_other_lets_in() {
    if let Some((name, home)) = role() {
        Guard::open(&home).unwrap().revoke(&name, NOW + 1).unwrap();
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::open(folder.path()).unwrap();
    let (_, secret) = guard.create_key(&new("lost phone"), NOW).unwrap();
    guard.check(secret.expose(), NOW).unwrap();
    let test = "what_one_process_revokes_no_other_lets_in";
    let output = child(test, "lost phone", folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(matches!(guard.check(secret.expose(), NOW), Err(Refusal::Revoked { .. })));
}

#[cfg(unix)]
#[test]
fn modes_are_0700_and_0600_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    if let Some((_, home)) = role() {
        let guard = Guard::open(&home).unwrap();
        guard.create_key(&new("a"), NOW).unwrap();
        let authority = Authority::open_or_create(Arc::new(RealDisk), &home, None, NOW).unwrap();
        authority.server_certificate(&[HostName::parse("a.lan").unwrap()], NOW).unwrap();
        // A process that ends without closing leaves the journals behind, to be looked at.
        std::process::exit(0);
    }
    let process = |home: &Path| child("modes_are_0700_and_0600_whatever_the_umask", "writer", home);
    for n_paths in testkit::modes::paths_under_every_umask(process) {
        // Two folders, the database with its two journals, two locks, two files of the house.
        assert_eq!(n_paths, 9);
    }
    // A database that a backup brought back for everybody is taken back.
    let folder = tempfile::tempdir().unwrap();
    drop(Guard::open(folder.path()).unwrap());
    let path = folder.path().join("guard.db");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _guard = Guard::open(folder.path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_damaged_database_lets_nobody_in_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let guard = Guard::open(folder.path()).unwrap();
    let secrets: Vec<_> =
        (0..200).map(|number| guard.create_key(&new(&format!("key {number}")), NOW).unwrap().1).collect();
    drop(guard);
    let good = std::fs::read(&path).unwrap();

    std::fs::write(&path, "no database, but longer than the header of one: ".repeat(40)).unwrap();
    let error = Guard::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { problem: Problem::NotReadable { .. }, .. }), "{error}");
    assert!(error.to_string().contains("guard.db") && error.hint().contains("backup"), "{error}");
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(matches!(Guard::open(folder.path()), Err(Error::Damaged { .. })));

    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut n_told = 0;
    for _ in 0..150 {
        let mut bytes = good.clone();
        let (at, length) = (rng.below(bytes.len()), 1 + rng.below(200));
        bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte = rng.next_u64() as u8);
        std::fs::write(&path, &bytes).unwrap();
        for journal in ["guard.db-wal", "guard.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(journal));
        }
        match Guard::open(folder.path()) {
            Ok(guard) => {
                // Damage within a text or a hash is no damage to SQLite: a key may be unknown then, and nothing panics.
                let _ = guard.keys();
                secrets.iter().take(20).for_each(|secret| drop(guard.check(secret.expose(), NOW)));
            }
            Err(error) => {
                n_told += 1;
                assert!(!error.hint().is_empty(), "{error}");
            }
        }
    }
    assert!(n_told > 20, "{n_told}");
}

#[test]
fn a_database_of_another_program_or_of_the_future_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(other);
    let error = Guard::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged { problem: Problem::NotOurs, .. }), "{error}");

    std::fs::remove_file(&path).unwrap();
    drop(Guard::open(folder.path()).unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    let error = Guard::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::FutureVersion { found: 7, known: 1, .. }), "{error}");
}
