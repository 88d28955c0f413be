//! Counts what `cargo test` did, from what it prints: tests that passed, failed and were skipped.
//!
//! A test that lacks the shared data prints `skipped: NAME: ../shared is not here` and returns; libtest counts
//! it as passed, so it is taken out of that number here. An `#[ignore]`d test is a heavy
//! one: it takes minutes, and `cargo xtask heavy` runs it.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const SKIPPED: &str = "skipped: ";
const MISSING: &str = ": ../shared is not here";

/// What the tests came to.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// The number of the test program and the name of the test in it.
    skipped: BTreeSet<(usize, String)>,
    program: usize,
    broken: bool,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ran = self.passed.saturating_sub(self.skipped.len());
        write!(f, "{ran} passed, {} failed, {} skipped", self.failed, self.skipped())
    }
}

impl Tally {
    fn skipped(&self) -> usize {
        self.skipped.len()
    }

    /// Takes in one line that the tests printed.
    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, " passed");
            self.failed += count(counts, " failed");
            self.ignored += count(counts, " ignored");
        } else if line.starts_with("running ") {
            self.program += 1;
        } else if let Some(name) = skipped_name(line) {
            self.skipped.insert((self.program, name.to_owned()));
        }
    }

    /// Takes in the lines that tests left in the file named by `HEARTH_SKIP_LOG`, where stdout did not tell.
    pub fn add_skip_log(&mut self, text: &str) {
        for name in text.lines().filter_map(skipped_name) {
            if self.skipped.iter().all(|(_, known)| known != name) {
                self.skipped.insert((usize::MAX, name.to_owned()));
            }
        }
    }

    /// Whether the gate may go on: all green, and no more skipped than what the machine excuses.
    pub fn judge(&self, shared: Option<&Path>, min_share_run: usize) -> Result<()> {
        let whole = self.passed + self.failed;
        let run = whole.saturating_sub(self.skipped());
        let share = (run * 100).checked_div(whole).unwrap_or(0);
        println!(
            "tests run: {run} of {whole} ({share} %); heavy ones, for `cargo xtask heavy`: {}",
            self.ignored
        );
        for (_, name) in &self.skipped {
            println!("skipped: {name}");
        }
        if self.failed > 0 || self.broken {
            bail!("tests failed; run the one named above alone with `cargo test -p CRATE NAME`");
        }
        if shared.is_some() && self.skipped() > 0 {
            bail!(
                "{} tests were skipped although ../shared is here; mend what they look for",
                self.skipped()
            );
        }
        if share < min_share_run {
            bail!(
                "only {share} % of the tests run without ../shared, {min_share_run} % must: give them own data"
            );
        }
        Ok(())
    }
}

fn skipped_name(line: &str) -> Option<&str> {
    line.strip_prefix(SKIPPED)?.strip_suffix(MISSING)
}

fn count(counts: &str, word: &str) -> usize {
    let before = counts.split(word).next().filter(|before| before.len() < counts.len());
    before.and_then(|before| before.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Runs the tests, shows their lines as they come (without what passing tests printed), and counts.
pub fn watch(mut command: Command) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo test does not start")?;
    let stdout = child.stdout.take().expect("stdout was asked for above");
    let mut tally = Tally::default();
    let mut in_successes = false;
    for line in BufReader::new(stdout).split(b'\n') {
        let bytes = line.context("what the tests print cannot be read")?;
        let line = String::from_utf8_lossy(&bytes);
        tally.read(&line);
        in_successes = match &*line {
            "successes:" => true,
            "failures:" => false,
            other => in_successes && !other.starts_with("test result: "),
        };
        if !in_successes {
            println!("{line}");
        }
    }
    tally.broken = !child.wait()?.success();
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "running 4 tests
test a ... ok
test b ... ok

successes:

---- b stdout ----
skipped: b: ../shared is not here

test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn a_skip_is_no_pass_and_counts_once() {
        let mut tally = tally(PRINTED);
        tally.add_skip_log("skipped: b: ../shared is not here\n");
        assert_eq!(tally.to_string(), "3 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn tests_of_one_name_in_two_programs_are_two() {
        let text = "running 1 test\nskipped: a: ../shared is not here\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        assert_eq!(tally(&text.repeat(2)).to_string(), "0 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn a_failure_or_a_broken_build_stops_the_gate() {
        assert!(tally(PRINTED).judge(None, 0).is_err());
        let green = tally("test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured");
        assert!(green.judge(Some(Path::new("shared")), 80).is_ok());
        assert!(Tally { broken: true, ..green }.judge(Some(Path::new("shared")), 80).is_err());
    }

    #[test]
    fn a_skip_is_excused_only_without_the_shared_data_and_only_up_to_the_share() {
        let one = tally("test result: ok. 9 passed; 0 failed; 0 ignored\nskipped: b: ../shared is not here");
        assert!(one.judge(None, 80).is_ok());
        assert!(one.judge(Some(Path::new("shared")), 80).is_err());
        assert!(one.judge(None, 90).is_err());
        assert!(tally("").judge(None, 80).is_err());
    }
}
