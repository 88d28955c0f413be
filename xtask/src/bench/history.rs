//! What was measured before: a line of JSON for each run that counted, in the target folder.
//!
//! Is for comparing two states of one checkout on one machine; what is to stay is written to docs/benchmarks.md.

use super::case::Case;
use super::judge::Judged;
use crate::times;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    case: String,
    peer: String,
    commit: String,
    machine: String,
    threads: usize,
    /// The number of each row.
    values: BTreeMap<String, f64>,
    /// Hearth's own figure of each row that has one.
    hearth: BTreeMap<String, f64>,
}

impl Entry {
    /// What is kept of a run.
    pub fn new(case: &Case, commit: &str, threads: usize, judged: &[Judged]) -> Self {
        let hearth = judged.iter().filter_map(|row| Some((row.what.clone(), row.figures?[0])));
        Self {
            case: case.name.into(),
            peer: case.peer.into(),
            commit: commit.into(),
            machine: times::machine(),
            threads,
            values: judged.iter().map(|row| (row.what.clone(), row.value)).collect(),
            hearth: hearth.collect(),
        }
    }

    fn is_of_the_same(&self, other: &Self) -> bool {
        let key =
            |entry: &Self| (entry.case.clone(), entry.peer.clone(), entry.machine.clone(), entry.threads);
        key(self) == key(other)
    }

    /// How this run differs from an earlier one, a line for each row that both have.
    pub fn against(&self, earlier: Option<&Self>) -> String {
        let Some(earlier) = earlier else { return format!("{}: nothing was kept before", self.case) };
        let mut lines = vec![format!("against commit {}:", earlier.commit)];
        for (what, value) in &self.values {
            let Some(before) = earlier.values.get(what) else { continue };
            let own = self.hearth.get(what).zip(earlier.hearth.get(what));
            let own = own.map_or_else(String::new, |(now, before)| {
                format!("; Hearth alone {}", change(*before, *now))
            });
            lines.push(format!("  {what}: {}{own}", change(*before, *value)));
        }
        lines.join("\n")
    }
}

fn change(before: f64, now: f64) -> String {
    format!("{before:.4} → {now:.4} ({:+.1} %)", 100.0 * (now / before - 1.0))
}

/// The last run of the same case, peer, machine and threads.
pub fn last(path: &Path, like: &Entry) -> Result<Option<Entry>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let entries = text.lines().enumerate().map(|(at, line)| {
        serde_json::from_str::<Entry>(line)
            .with_context(|| format!("{}:{} is no entry of the history", path.display(), at + 1))
    });
    let entries = entries.collect::<Result<Vec<_>>>()?;
    Ok(entries.into_iter().rev().find(|entry| entry.is_of_the_same(like)))
}

/// Adds a run.
pub fn append(path: &Path, entry: &Entry) -> Result<()> {
    let line = serde_json::to_string(entry)? + "\n";
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(case: &str, commit: &str, value: f64) -> Entry {
        Entry {
            case: case.into(),
            peer: "torch".into(),
            commit: commit.into(),
            machine: "a machine".into(),
            threads: 2,
            values: BTreeMap::from([("speed".to_owned(), value)]),
            hearth: BTreeMap::from([("speed".to_owned(), 10.0 * value)]),
        }
    }

    #[test]
    fn the_last_run_of_the_same_case_is_found_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let now = entry("train", "c", 3.0);
        assert_eq!(last(&path, &now).unwrap(), None);
        assert!(now.against(None).contains("nothing"));
        for earlier in [entry("train", "a", 1.0), entry("train", "b", 2.0), entry("product", "b", 9.0)] {
            append(&path, &earlier).unwrap();
        }
        append(&path, &Entry { threads: 1, ..entry("train", "b", 7.0) }).unwrap();
        let found = last(&path, &now).unwrap().unwrap();
        assert_eq!(found, entry("train", "b", 2.0));
        let text = now.against(Some(&found));
        assert!(text.contains("commit b") && text.contains("2.0000 → 3.0000 (+50.0 %)"), "{text}");
        assert!(text.contains("Hearth alone 20.0000 → 30.0000"), "{text}");
    }

    #[test]
    fn a_damaged_history_is_named_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append(&path, &entry("train", "a", 1.0)).unwrap();
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "{\n").unwrap();
        let error = last(&path, &entry("train", "b", 1.0)).unwrap_err().to_string();
        assert!(error.contains("history.jsonl:2"), "{error}");
    }
}
