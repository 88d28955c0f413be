//! How long each target was fed in all, kept in `fuzz/tally.tsv`: name, seconds of computing, cases, last commit.

use crate::workspace;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const HEADER: &str = "target\tseconds\tcases\tcommit\n";

/// What one target was fed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fed {
    /// Seconds of the processor's time.
    pub seconds: u64,
    /// Cases.
    pub cases: u64,
    /// The commit of the last piece.
    pub commit: String,
}

/// What all targets were fed, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, Fed>);

/// Where it is kept.
pub fn path() -> PathBuf {
    workspace::root().join("fuzz/tally.tsv")
}

impl Tally {
    /// Reads the file at `path`; an empty tally where there is none.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        parse(&text).with_context(|| format!("{shown} is not a tally"))
    }

    /// The seconds that `target` was fed.
    pub fn seconds(&self, target: &str) -> u64 {
        self.0.get(target).map_or(0, |fed| fed.seconds)
    }

    /// Adds a piece to `target`.
    pub fn add(&mut self, target: &str, seconds: u64, cases: u64, commit: &str) {
        let fed = self.0.entry(target.to_owned()).or_default();
        fed.seconds += seconds;
        fed.cases += cases;
        commit.clone_into(&mut fed.commit);
    }

    /// Replaces the file at `path` whole.
    pub fn write(&self, path: &Path) -> Result<()> {
        let next = path.with_extension("tsv.next");
        std::fs::write(&next, self.text())
            .with_context(|| format!("{} cannot be written", next.display()))?;
        std::fs::rename(&next, path).with_context(|| format!("{} cannot be replaced", path.display()))
    }

    fn text(&self) -> String {
        let mut text = HEADER.to_owned();
        for (target, fed) in &self.0 {
            let _ = writeln!(text, "{target}\t{}\t{}\t{}", fed.seconds, fed.cases, fed.commit);
        }
        text
    }
}

fn parse(text: &str) -> Result<Tally> {
    let rows = text.strip_prefix(HEADER).context("its first line is another one")?;
    let rows = rows.lines().map(|line| row(line).with_context(|| format!("the line {line:?}")));
    Ok(Tally(rows.collect::<Result<_>>()?))
}

fn row(line: &str) -> Result<(String, Fed)> {
    let mut cells = line.split('\t');
    let mut cell = || cells.next().context("has too few columns");
    let target = cell()?.to_owned();
    let (seconds, cases) = (cell()?.parse()?, cell()?.parse()?);
    Ok((target, Fed { seconds, cases, commit: cell()?.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally.tsv");
        let mut tally = Tally::read(&path).unwrap();
        tally.add("gguf", 60, 1_000, "abc");
        tally.add("any", 60, 5, "abc");
        tally.add("gguf", 60, 2_000, "def");
        tally.write(&path).unwrap();
        assert_eq!(Tally::read(&path).unwrap(), tally);
        assert_eq!((tally.seconds("gguf"), tally.seconds("any"), tally.seconds("shards")), (120, 60, 0));
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(kept, "target\tseconds\tcases\tcommit\nany\t60\t5\tabc\ngguf\t120\t3000\tdef\n");
    }

    #[test]
    fn what_is_no_tally_is_refused() {
        for nonsense in
            ["", "gguf\t60\t1\tabc\n", &format!("{HEADER}gguf\tmany\t1\tabc\n"), &format!("{HEADER}gguf\n")]
        {
            assert!(parse(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
