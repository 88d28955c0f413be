//! Feeds mutated files to every parser: seconds in the gate, as long as asked by `cargo xtask fuzz`.
//!
//! A target is one line in its crate's `fuzz::TARGETS`; its files stand in `fuzz/corpus/<target>/`, one folder for
//! each; what it does not survive is written to `fuzz/found/<target>/`. Once mended, a finding moves to the corpus.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::fuzz::{self, Plan, Target};
use testkit::shared::root;

/// In the gate each target gets so many cases, and no more than this time.
const GATE_CASES: u64 = 3_000;
const GATE_SECONDS: u64 = 2;
const GATE_SEED: u64 = 1;

/// The targets of all crates; a crate is one line here.
fn targets() -> Vec<Target> {
    let formats = formats::fuzz::TARGETS.iter().map(|target| (target.name, target.run));
    let store = store::fuzz::TARGETS.iter().copied();
    let text = text::fuzz::TARGETS.iter().copied();
    let data = data::fuzz::TARGETS.iter().copied();
    let guard = guard::fuzz::TARGETS.iter().copied();
    let diffuse = diffuse::fuzz::TARGETS.iter().copied();
    formats.chain(store).chain(text).chain(data).chain(guard).chain(diffuse).collect()
}

fn corpus_folder(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The plan for one target: that of the gate, unless `cargo xtask fuzz` says otherwise.
fn plan(target: &str) -> Plan {
    let seconds = number("HEARTH_FUZZ_SECONDS");
    let trace = std::env::var_os("HEARTH_FUZZ_TRACE").map(|_| found_folder(target).join("running"));
    Plan {
        corpus: fuzz::corpus(&corpus_folder(target)),
        seed: number("HEARTH_FUZZ_SEED").unwrap_or(GATE_SEED),
        max_cases: if seconds.is_some() { u64::MAX } else { GATE_CASES },
        max_time: Duration::from_secs(seconds.unwrap_or(GATE_SECONDS)),
        trace,
    }
}

/// The folder for what `target` does not survive, made if it is missing.
fn found_folder(target: &str) -> PathBuf {
    let folder = root().join("fuzz/found").join(target);
    std::fs::create_dir_all(&folder).expect("the checkout can be written to");
    folder
}

/// Runs one target; what it did not survive, in words with the way to see it again.
fn survive((name, target): Target) -> Result<u64, String> {
    let plan = plan(name);
    let outcome = fuzz::run(target, &plan);
    if let Some(trace) = plan.trace {
        let _ = std::fs::remove_file(trace);
    }
    let Some(found) = outcome.found else { return Ok(outcome.cases) };
    let path = found_folder(name).join(fuzz::name(&found.bytes));
    std::fs::write(&path, &found.bytes).expect("the folder was made above");
    let shown = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
    Err(format!("{name} {} on {shown}\n  again: cargo xtask fuzz --replay {shown}", found.what))
}

#[test]
fn every_target_survives_damaged_files() {
    if let Some(path) = std::env::var_os("HEARTH_FUZZ_REPLAY") {
        return replay(Path::new(&path));
    }
    let only = std::env::var("HEARTH_FUZZ_TARGET").ok();
    let chosen: Vec<Target> =
        targets().into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)).collect();
    let names: Vec<&str> = targets().iter().map(|(name, _)| *name).collect();
    let mut failures = Vec::new();
    if chosen.is_empty() {
        failures.push(format!("no target is called {only:?}; there are {names:?}"));
    }
    for target in chosen {
        match survive(target) {
            Ok(cases) => println!("{:<24} {cases} cases", target.0),
            Err(text) => failures.push(text),
        }
    }
    if let Some(report) = std::env::var_os("HEARTH_FUZZ_REPORT") {
        std::fs::write(report, failures.join("\n")).expect("the chore made a place for its report");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs one file through the target that its folder is named for, without a net: a panic shows its place.
fn replay(path: &Path) {
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    let (_, target) = targets()
        .into_iter()
        .find(|(name, _)| *name == folder)
        .expect("the file lies in its target's folder");
    let bytes = std::fs::read(root().join(path)).expect("the file can be read");
    target(&bytes);
    assert_eq!(fuzz::judge(target, &bytes), None);
}

#[test]
fn every_target_has_a_name_of_its_own_and_a_corpus() {
    let mut names = BTreeSet::new();
    for (name, _) in targets() {
        assert!(names.insert(name), "two targets are called {name}");
        assert!(!fuzz::corpus(&corpus_folder(name)).is_empty(), "fuzz/corpus/{name} holds no file");
    }
}

#[test]
fn every_corpus_has_its_target() {
    let known: BTreeSet<&str> = targets().iter().map(|(name, _)| *name).collect();
    for entry in std::fs::read_dir(root().join("fuzz/corpus")).expect("the corpus is kept").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(!entry.path().is_dir() || known.contains(name.as_str()), "fuzz/corpus/{name} has no target");
    }
}
