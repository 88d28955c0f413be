//! `cargo xtask soak`: a server under what clients can do to it, in full counts.
//!
//! The gate tests the same promises in short; here they are held for as long and as often as TRUST.md and the issue say,
//! against a built program in a process of its own. `--short` is about a minute for each case. Figures are told as they
//! are found, and a promise that does not hold fails the run. Clients are threads on plain sockets.
//!
//! Worth something only on a machine that does nothing else: several promises are about time.

mod conversation;
mod fair;
mod figures;
mod leave;
mod many_models;
mod prefix;
mod slow;
mod stop;
mod training;

use crate::served;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// How much is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// About a minute.
    Short,
    /// As promised.
    Full,
}

/// What the cases need.
pub struct Soak {
    pub program: PathBuf,
    pub measure: Measure,
    /// A folder of GGUF files to be used as the many models; made where nothing is said.
    pub models: Option<PathBuf>,
    /// A file to be asked instead of the model in the box, where answers have to take their time.
    pub model: Option<PathBuf>,
}

impl Soak {
    /// One of two, by the measure.
    pub fn pick<T>(&self, short: T, full: T) -> T {
        match self.measure {
            Measure::Short => short,
            Measure::Full => full,
        }
    }

    /// Seconds, by the measure.
    pub fn seconds(&self, short: u64, full: u64) -> Duration {
        Duration::from_secs(self.pick(short, full))
    }
}

/// A promise: its name, what it is in a line, and what holds the server to it; what it returns is what was found.
struct Case {
    name: &'static str,
    does: &'static str,
    run: fn(&Soak) -> Result<String>,
}

static CASES: &[Case] = &[
    Case { name: "slow", does: "T23: readers of a byte a second, and half requests", run: slow::run },
    Case { name: "leave", does: "T24: clients that leave at any point", run: leave::run },
    Case { name: "stop", does: "T25: SIGTERM under load", run: stop::run },
    Case {
        name: "many-models",
        does: "five models, three times as large as the memory that they may take",
        run: many_models::run,
    },
    Case { name: "prefix", does: "T30: prompts that somebody else asked before", run: prefix::run },
    Case { name: "fair", does: "users of the same and of different appetite", run: fair::run },
    Case { name: "training", does: "somebody who reads along while a training runs", run: training::run },
];

/// Runs the cases, one after the other; all of them, even behind one that failed.
pub fn run(arguments: &[String]) -> Result<()> {
    let (mut soak, Chosen { only, program }) = read(arguments)?;
    soak.program = served::program(program)?;
    let mut failed = Vec::new();
    for case in CASES.iter().filter(|case| only.is_empty() || only.iter().any(|name| name == case.name)) {
        println!("## {}: {}", case.name, case.does);
        match (case.run)(&soak) {
            Ok(found) => println!("{found}\n"),
            Err(error) => {
                println!("FAILED: {error:#}\n");
                failed.push(case.name);
            }
        }
    }
    ensure!(failed.is_empty(), "not held: {}", failed.join(", "));
    Ok(())
}

/// What the command line asks for besides the measure.
struct Chosen {
    /// Names of cases; all where nothing is said.
    only: Vec<String>,
    program: Option<PathBuf>,
}

/// What was asked for; the program is still to be found or built.
fn read(arguments: &[String]) -> Result<(Soak, Chosen)> {
    let mut soak = Soak { program: PathBuf::new(), measure: Measure::Full, models: None, model: None };
    let (mut only, mut program) = (Vec::<String>::new(), None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--short" {
            soak.measure = Measure::Short;
            continue;
        }
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--only" => only = value.split(',').map(str::to_owned).collect(),
            "--program" => program = Some(value.into()),
            "--models" => soak.models = Some(std::path::absolute(value)?),
            "--model" => soak.model = Some(std::path::absolute(value)?),
            unknown => bail!(
                "{unknown} is not known; there are --short --only NAME,NAME --program FILE --models FOLDER --model FILE"
            ),
        }
    }
    let is_known = |name: &&String| CASES.iter().any(|case| case.name == name.as_str());
    if let Some(unknown) = only.iter().find(|name| !is_known(name)) {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        bail!("there is no case {unknown}; there are {}", names.join(", "));
    }
    Ok((soak, Chosen { only, program }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_unknown_ones_refused() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (soak, chosen) = read(&words("--short --only slow,fair --program a")).unwrap();
        assert_eq!((soak.measure, chosen.only), (Measure::Short, words("slow fair")));
        assert_eq!(chosen.program, Some("a".into()));
        assert!(read(&words("--only nothing")).err().unwrap().to_string().contains("many-models"));
        assert!(read(&words("--short --loud")).is_err() && read(&words("--loud yes")).is_err());
        assert_eq!(read(&[]).unwrap().0.pick(1, 2), 2);
    }
}
