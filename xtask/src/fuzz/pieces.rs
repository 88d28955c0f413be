//! `cargo xtask fuzz --until SECONDS`: feeds every target until the tally holds so many seconds of it, in pieces that
//! survive being stopped, two targets at a time on two processors.

use super::tally::{self, Tally};
use super::{Request, TEST, build, environment, repeat_with_trace};
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// The longest piece: who stops the chore loses no more of a target.
const PIECE_SECONDS: u64 = 60;

/// What the workers share.
struct State {
    tally: Tally,
    /// Targets that a worker feeds now, or that did not survive.
    taken: BTreeSet<String>,
    failed: Vec<String>,
    seed: u64,
}

/// Feeds the targets (or the one that is named) until each has `goal` seconds.
pub fn run(request: &Request, goal: u64) -> Result<()> {
    let feeder = Feeder { program: program()?, targets: targets(request)?, goal, commit: commit()? };
    let tally = Tally::read(&tally::path())?;
    let state = State { tally, taken: BTreeSet::new(), failed: Vec::new(), seed: request.seed };
    let state = Mutex::new(state);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| feeder.work(&state))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker returns its errors"))
    })?;
    let failed = state.into_inner().expect("no worker panics").failed;
    if failed.is_empty() { Ok(()) } else { bail!("not survived, see above: {}", failed.join(", ")) }
}

/// What all workers do.
struct Feeder {
    /// The built targets, aside from where later builds put theirs.
    program: PathBuf,
    targets: Vec<String>,
    goal: u64,
    commit: String,
}

impl Feeder {
    /// Feeds one target after the other until all have had their time.
    fn work(&self, state: &Mutex<State>) -> Result<()> {
        let lock = || state.lock().expect("no worker panics");
        loop {
            let target = lock().take(&self.targets, self.goal);
            let Some(target) = target else { return Ok(()) };
            loop {
                let piece = lock().piece(&target, self.goal);
                let Some((seconds, seed)) = piece else { break };
                let Some(cases) = self.feed(&target, seconds, seed)? else {
                    lock().failed.push(target.clone());
                    break;
                };
                let mut state = lock();
                state.tally.add(&target, seconds, cases, &self.commit);
                state.tally.write(&tally::path())?;
            }
            println!("{target:<24} {} s", lock().tally.seconds(&target));
        }
    }

    /// Feeds `target` for so long; how many cases it took, `None` if it did not survive one.
    fn feed(&self, target: &str, seconds: u64, seed: u64) -> Result<Option<u64>> {
        let request = Request { target: Some(target.to_owned()), seconds, seed, replay: None, until: None };
        let mut run = Command::new(&self.program);
        run.args([TEST, "--nocapture"]);
        environment(&mut run, &request);
        let output = run.output().context("the targets do not start")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            println!("{text}{}", String::from_utf8_lossy(&output.stderr));
            repeat_with_trace(&request)?;
            return Ok(None);
        }
        let cases = cases(&text, target);
        cases.map(Some).with_context(|| format!("the run of {target} does not say how many cases it had"))
    }
}

impl State {
    /// The next target that nobody feeds and that lacks time.
    fn take(&mut self, targets: &[String], goal: u64) -> Option<String> {
        let lacks = |target: &&String| !self.taken.contains(*target) && self.tally.seconds(target) < goal;
        let target = targets.iter().find(lacks)?.clone();
        self.taken.insert(target.clone());
        Some(target)
    }

    /// How long the next piece of `target` is, and its seed, another one for each; `None` when it had its time.
    fn piece(&mut self, target: &str, goal: u64) -> Option<(u64, u64)> {
        let left = goal.saturating_sub(self.tally.seconds(target));
        self.seed += 1;
        (left > 0).then_some((left.min(PIECE_SECONDS), self.seed))
    }
}

/// The number in the line `TARGET    NUMBER cases`.
fn cases(text: &str, target: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        // The test runner may have begun the line with the name of the test.
        let (before, number) = line.strip_suffix(" cases")?.rsplit_once(' ')?;
        before.trim_end().ends_with(target).then(|| number.parse().ok())?
    })
}

/// The names of the targets, as their corpora are called: a test holds that each has one and none is too many.
fn targets(request: &Request) -> Result<Vec<String>> {
    let folders =
        std::fs::read_dir(workspace::root().join("fuzz/corpus")).context("the corpus cannot be listed")?;
    let names = folders.filter_map(|folder| folder.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| request.target.as_ref().is_none_or(|only| only == name)).collect();
    names.sort();
    if names.is_empty() { bail!("no target is called {:?}", request.target) } else { Ok(names) }
}

/// Builds the targets and puts them aside, so that a build that follows does not change what runs.
fn program() -> Result<PathBuf> {
    let output = build().args(["--message-format", "json"]).output().context("cargo does not start")?;
    if !output.status.success() {
        bail!("the targets do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let built = messages.lines().find_map(executable).context("cargo does not say where the targets are")?;
    let aside = workspace::target().join("fuzz-targets");
    std::fs::copy(&built, &aside).with_context(|| format!("{built} cannot be copied"))?;
    Ok(aside)
}

/// The executable of the test `fuzz`, if this line of cargo's messages is the one that tells it.
fn executable(line: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let ours = message["target"]["name"] == "fuzz" && message["target"]["kind"][0] == "test";
    ours.then(|| message["executable"].as_str().map(str::to_owned))?
}

/// The short name of the commit that is built.
fn commit() -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args(["rev-parse", "--short", "HEAD"]);
    let output = git.output().context("git does not start")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_fed_in_pieces_until_it_had_its_time() {
        let mut tally = Tally::default();
        tally.add("any", 150, 9, "abc");
        let mut state = State { tally, taken: BTreeSet::new(), failed: Vec::new(), seed: 7 };
        let targets = ["adapter", "any", "digest"].map(str::to_owned);
        assert_eq!(state.take(&targets, 150).as_deref(), Some("adapter"));
        assert_eq!(state.take(&targets, 150).as_deref(), Some("digest"));
        assert_eq!(state.take(&targets, 150), None);
        assert_eq!(state.piece("digest", 150), Some((60, 8)));
        state.tally.add("digest", 60, 1, "abc");
        state.tally.add("digest", 60, 1, "abc");
        assert_eq!(state.piece("digest", 150), Some((30, 9)));
        state.tally.add("digest", 30, 1, "abc");
        assert_eq!(state.piece("digest", 150), None);
    }

    #[test]
    fn cases_are_read_from_what_a_run_prints() {
        let text = "\nrunning 1 test\ntest every_target_survives_damaged_files ... any                      1234 cases\nok\n";
        assert_eq!(cases(text, "any"), Some(1234));
        assert_eq!(cases(text, "gguf"), None);
        assert_eq!(cases("gguf                     7 cases\n", "gguf"), Some(7));
    }
}
