//! The gate: the same steps here and in continuous integration, each timed, stopping at the first failure.
//!
//! Is not where rules live: they are tidy rules, and tidy is a test.

mod tally;

use crate::workspace;
use anyhow::{Result, bail};
use std::process::Command;
use std::time::{Duration, Instant};
use tally::Tally;

/// Without the shared data, at least this share of the tests must still run, in percent.
const MIN_SHARE_RUN: usize = 80;

/// One step that is a plain command.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    hint: &'static str,
}

const FORMAT: Step = Step {
    name: "format",
    arguments: &["fmt", "--all", "--check"],
    environment: &[],
    hint: "run `cargo fmt --all` and look at what it changed",
};
const CLIPPY: Step = Step {
    name: "clippy",
    arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    environment: &[],
    hint: "mend each warning above; an `#[expect(lint, reason = \"…\")]` is the last resort",
};
const DOCS: Step = Step {
    name: "docs",
    arguments: &["doc", "--no-deps", "--workspace"],
    environment: &[("RUSTDOCFLAGS", "-D warnings")],
    hint: "mend each broken link or missing page above",
};

/// Runs the gate; the last line printed is the tally of the tests.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.first() {
        bail!("the gate takes no argument, and so not {unknown}");
    }
    let mut times = Vec::new();
    let mut tally = Tally::default();
    let outcome = steps(&mut times, &mut tally);
    print_times(&times);
    // The last line of the gate is the tally, also when a step failed.
    if let Err(error) = outcome {
        eprintln!("error: {error:#}");
        println!("{tally}");
        std::process::exit(1);
    }
    println!("{tally}");
    Ok(())
}

fn steps(times: &mut Vec<(&'static str, Duration)>, tally: &mut Tally) -> Result<()> {
    plain(&FORMAT, times)?;
    plain(&CLIPPY, times)?;
    *tally = tests(times)?;
    tally.judge(workspace::shared_data().as_deref(), MIN_SHARE_RUN)?;
    plain(&DOCS, times)
}

fn plain(step: &Step, times: &mut Vec<(&'static str, Duration)>) -> Result<()> {
    println!("== {}: cargo {}", step.name, step.arguments.join(" "));
    let mut command = workspace::cargo();
    command.args(step.arguments).envs(step.environment.iter().copied());
    let begun = Instant::now();
    let status = command.status();
    times.push((step.name, begun.elapsed()));
    if !status?.success() {
        bail!("the step `{}` failed; {}", step.name, step.hint);
    }
    Ok(())
}

fn tests(times: &mut Vec<(&'static str, Duration)>) -> Result<Tally> {
    let arguments = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
    println!("== tests: cargo {}", arguments.join(" "));
    let log = std::env::temp_dir().join(format!("hearth-skips-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&log);
    let mut command: Command = workspace::cargo();
    command.args(arguments).env("HEARTH_SKIP_LOG", &log);
    let begun = Instant::now();
    let outcome = tally::watch(command);
    times.push(("tests", begun.elapsed()));
    let mut tally = outcome?;
    tally.add_skip_log(&std::fs::read_to_string(&log).unwrap_or_default());
    let _ = std::fs::remove_file(&log);
    Ok(tally)
}

fn print_times(times: &[(&'static str, Duration)]) {
    println!("\nstep         seconds");
    for (name, time) in times {
        println!("{name:<10} {:>9.1}", time.as_secs_f64());
    }
    let whole: Duration = times.iter().map(|(_, time)| *time).sum();
    println!("{:<10} {:>9.1}\n", "whole", whole.as_secs_f64());
}
