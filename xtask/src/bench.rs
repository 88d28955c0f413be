//! `cargo xtask bench --peer NAME`: Hearth and another program by turns in one run, as a table of ratios.
//!
//! Both sides are programs: Hearth's are bench targets (`testkit::bench`), the peer's are scripts in
//! `benches/peers`. Both take the same options and end with the same line of JSON, so that this frame knows neither
//! tensors nor Python. A case is a file in `bench/cases` and a line in its list.

mod case;
mod cases;
mod history;
mod judge;
mod outcome;
pub mod peer;
mod programs;
mod standing;
mod statistics;
mod table;

use crate::{times, workspace};
use anyhow::{Context, Result, bail, ensure};
use case::Case;
use outcome::Round;
use peer::Peer;
use programs::Programs;
use std::path::{Path, PathBuf};

/// Above this share of the cores, other work is in the way of a measurement.
const QUIET_LOAD: f64 = 0.2;

/// What the command line asks for.
struct Wishes {
    peer: &'static Peer,
    case: Option<&'static Case>,
    pairs: Option<usize>,
    steps: Option<u64>,
    threads: usize,
    runs: Option<Vec<String>>,
    environment: PathBuf,
    history: History,
}

/// Whether runs are kept and compared.
#[derive(PartialEq, Eq)]
enum History {
    Keep,
    Leave,
}

/// Runs the cases and prints their tables.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let chosen = cases::CASES.iter().copied().filter(|case| {
        case.peer == wishes.peer.name && wishes.case.is_none_or(|wanted| wanted.name == case.name)
    });
    let chosen: Vec<&Case> = chosen.collect();
    ensure!(!chosen.is_empty(), "there is no such case of {}", wishes.peer.name);
    let python = wishes.peer.python(&wishes.environment)?;
    let programs = Programs::build(&chosen, python, workspace::target())?;
    let mut weak = Vec::new();
    for case in chosen {
        if let Err(reason) = measure(case, &wishes, &programs)? {
            weak.push(format!("{}: {reason}", case.name));
        }
    }
    ensure!(weak.is_empty(), "not counted, because a weak peer proves nothing:\n{}", weak.join("\n"));
    Ok(())
}

/// Runs one case and prints its table; the inner error is a peer that is too weak to count.
fn measure(case: &Case, wishes: &Wishes, programs: &Programs) -> Result<Result<(), String>> {
    let load = load_average();
    let rounds = rounds(case, wishes, programs)?;
    let judged = judge::judge(&(case.rows)(), &rounds)?;
    println!("\n## {}: {}\n", case.name, case.does);
    println!("commit {}, {}, {} threads", programs.commit, times::machine(), wishes.threads);
    match load {
        Some(load) if load > QUIET_LOAD * cores() as f64 => {
            println!(
                "load average {load:.2} at the start: other work is in the way, so this is no measurement"
            );
        }
        Some(load) => println!("load average {load:.2} at the start"),
        None => println!("load average unknown"),
    }
    outcome::facts(&rounds).iter().for_each(|line| println!("{line}"));
    println!("{} rounds; ratios within a round, their median and smallest–largest\n", rounds.len());
    println!("{}", table::of_rows(&judged, case.peer));
    println!("{}", table::of_other_figures(&(case.rows)(), &rounds));
    let standing = standing::standing(&judged, &rounds);
    println!("{standing}");
    if let Some(reason) = standing.reason_not_to_count() {
        return Ok(Err(reason));
    }
    if wishes.history == History::Keep {
        let entry = history::Entry::new(case, &programs.commit, wishes.threads, &judged);
        let path = workspace::target().join("bench-history.jsonl");
        println!("{}", entry.against(history::last(&path, &entry)?.as_ref()));
        history::append(&path, &entry)?;
    }
    Ok(Ok(()))
}

/// Every program once a round, in the order of the case.
fn rounds(case: &Case, wishes: &Wishes, programs: &Programs) -> Result<Vec<Round>> {
    let is_wanted = |name: &str| wishes.runs.as_ref().is_none_or(|runs| runs.iter().any(|run| run == name));
    let runs: Vec<_> = case.runs.iter().filter(|run| is_wanted(run.name)).collect();
    ensure!(!runs.is_empty(), "{} has none of these runs", case.name);
    let folder = workspace::target().join("bench").join(case.name);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let n_rounds = wishes.pairs.unwrap_or(case.pairs);
    let mut rounds = Vec::new();
    for round in 1..=n_rounds {
        let mut outcomes = Round::default();
        for run in &runs {
            eprintln!("{}, round {round} of {n_rounds}: {}", case.name, run.name);
            let mut options = vec!["--threads".to_owned(), wishes.threads.to_string()];
            options.extend(["--seed".to_owned(), round.to_string()]);
            options.extend(["--folder".to_owned(), folder.display().to_string()]);
            options.extend(wishes.steps.iter().flat_map(|steps| ["--steps".to_owned(), steps.to_string()]));
            outcomes.insert(run.name, programs.run(run, &options, wishes.threads)?);
        }
        rounds.push(outcomes);
    }
    Ok(rounds)
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let mut peer = None;
    let mut environment = None;
    let (mut case, mut pairs, mut steps, mut runs) = (None, None, None, None);
    let (mut threads, mut history) = (cores(), History::Leave);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--compare" {
            history = History::Keep;
            continue;
        }
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        let number = || value.parse::<usize>().with_context(|| format!("{name} is a number, not {value}"));
        match name.as_str() {
            "--peer" => peer = Some(peer::find(value)?),
            "--case" => case = Some(cases::find(value)?),
            "--pairs" => pairs = Some(number()?.max(1)),
            "--steps" => steps = Some(number()? as u64),
            "--threads" => threads = number()?.clamp(1, 1024),
            "--runs" => runs = Some(value.split(',').map(str::to_owned).collect()),
            "--environment" => environment = Some(std::env::current_dir()?.join(value)),
            unknown => bail!(
                "{unknown} is not known; there are --peer NAME --case CASE --pairs N --steps N --threads N \
                 --runs NAME,NAME --environment FOLDER --compare"
            ),
        }
    }
    let peer = peer.with_context(|| format!("beside which peer? --peer {}", peer::names()))?;
    let environment = environment.unwrap_or_else(|| workspace::target().join("peers").join(peer.name));
    Ok(Wishes { peer, case, pairs, steps, threads, runs, environment, history })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many programs wanted to run over the last minute, where the system tells.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string(Path::new("/proc/loadavg")).ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn wishes_are_read_and_unknown_ones_refused() {
        let wishes =
            read(&words("--peer torch --case product --pairs 2 --threads 3 --runs a,b --compare")).unwrap();
        assert_eq!((wishes.peer.name, wishes.case.map(|case| case.name)), ("torch", Some("product")));
        assert_eq!((wishes.pairs, wishes.threads, wishes.runs), (Some(2), 3, Some(words("a b"))));
        assert!(wishes.history == History::Keep);
        for wrong in
            ["", "--peer nobody", "--peer torch --case nothing", "--peer torch --pairs some", "--peer"]
        {
            assert!(read(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
