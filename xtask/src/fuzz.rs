//! `cargo xtask fuzz [TARGET] [--seconds N] [--seed N] [--until SECONDS]` and `cargo xtask fuzz --replay FILE`.
//!
//! Only asks: the work is the test `xtask/tests/fuzz.rs`, built as the gate builds it (overflow checks on). If
//! that process dies (an abort, a full stack), the run is repeated with a trace that keeps the deadly case.

mod pieces;
mod tally;

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const DEFAULT_SECONDS: u64 = 60;
/// The test that feeds.
const TEST: &str = "every_target_survives";

/// What to feed, and for how long.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    target: Option<String>,
    seconds: u64,
    seed: u64,
    replay: Option<String>,
    /// The seconds that the tally shall hold of each target.
    until: Option<u64>,
}

/// Feeds every target, or the one that is named, for a minute of the processor's time each or as long as asked.
pub fn run(arguments: &[String]) -> Result<()> {
    let request = parse(arguments, fresh_seed())?;
    if let Some(goal) = request.until {
        return pieces::run(&request, goal);
    }
    if !build().status().context("cargo does not start")?.success() {
        bail!("the targets do not build");
    }
    println!("seed {} (give it again with --seed {})", request.seed, request.seed);
    let report = std::env::temp_dir().join(format!("hearth-fuzz-{}", std::process::id()));
    let status =
        command(&request).env("HEARTH_FUZZ_REPORT", &report).status().context("cargo does not start")?;
    // The test writes its report whatever it found; only a process that died leaves none.
    let lived = std::fs::remove_file(&report).is_ok();
    if status.success() {
        return Ok(());
    }
    if !lived && request.replay.is_none() {
        repeat_with_trace(&request)?;
    }
    bail!("a target did not survive; what and how to see it again stands above")
}

/// A seed that differs from run to run.
fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs())
}

fn parse(arguments: &[String], seed: u64) -> Result<Request> {
    let mut request = Request { target: None, seconds: DEFAULT_SECONDS, seed, replay: None, until: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--seconds" => request.seconds = value()?.parse().context("--seconds wants a number")?,
            "--seed" => request.seed = value()?.parse().context("--seed wants a number")?,
            "--until" => request.until = Some(value()?.parse().context("--until wants a number of seconds")?),
            "--replay" => request.replay = Some(value()?.clone()),
            flag if flag.starts_with('-') => {
                bail!("no flag is called {flag}: there are --seconds, --seed, --until, --replay")
            }
            name if request.target.is_none() => request.target = Some(name.to_owned()),
            other => bail!("one target at a time, or none for all: {other}"),
        }
    }
    Ok(request)
}

fn build() -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--quiet", "--package", "xtask", "--test", "fuzz", "--no-run"]);
    command
}

fn command(request: &Request) -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--quiet", "--package", "xtask", "--test", "fuzz", TEST, "--", "--nocapture"]);
    environment(&mut command, request);
    command
}

/// Tells the test what is asked for.
fn environment(command: &mut Command, request: &Request) {
    command.env("HEARTH_FUZZ_SECONDS", request.seconds.to_string());
    command.env("HEARTH_FUZZ_SEED", request.seed.to_string());
    if let Some(target) = &request.target {
        command.env("HEARTH_FUZZ_TARGET", target);
    }
    if let Some(path) = &request.replay {
        command.env("HEARTH_FUZZ_REPLAY", path);
    }
}

/// Repeats a run whose process died, and keeps the case that it died of.
fn repeat_with_trace(request: &Request) -> Result<()> {
    println!("the process died; the same run again, with a trace");
    command(request).env("HEARTH_FUZZ_TRACE", "1").status().context("cargo does not start")?;
    for path in left_running()? {
        let kept = path.with_file_name(format!("died-with-seed-{}", request.seed));
        std::fs::rename(&path, &kept)?;
        let shown = kept.strip_prefix(workspace::root()).unwrap_or(&kept).display().to_string();
        println!("the process died of {shown}\n  again: cargo xtask fuzz --replay {shown}");
    }
    Ok(())
}

/// The cases that were running when their process died.
fn left_running() -> Result<Vec<PathBuf>> {
    let found = workspace::root().join("fuzz/found");
    if !found.is_dir() {
        return Ok(Vec::new());
    }
    let folders = std::fs::read_dir(found).context("fuzz/found cannot be listed")?;
    let cases = folders.filter_map(|folder| Some(folder.ok()?.path().join("running")));
    Ok(cases.filter(|case| case.is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arguments: &str) -> Result<Request> {
        parse(&arguments.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), 7)
    }

    #[test]
    fn arguments_are_read_and_nonsense_is_refused() {
        let plain = Request { target: None, seconds: 60, seed: 7, replay: None, until: None };
        assert_eq!(request("").unwrap(), plain);
        let full = Request { target: Some("gguf".to_owned()), seconds: 5, seed: 9, ..plain };
        assert_eq!(request("gguf --seconds 5 --seed 9").unwrap(), full);
        assert_eq!(request("--until 600").unwrap().until, Some(600));
        for nonsense in ["--seconds", "--seconds many", "--until long", "--fast", "gguf safetensors"] {
            assert!(request(nonsense).is_err(), "{nonsense}");
        }
    }
}
