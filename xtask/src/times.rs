//! Measures the two times that docs/benchmarks.md keeps: a clean release build of the binary and the whole gate,
//! both in target folders that start empty, and prints the rows to paste there.

use crate::workspace;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

struct Measure {
    what: &'static str,
    arguments: &'static [&'static str],
}

static MEASURES: &[Measure] = &[
    Measure { what: "release build", arguments: &["build", "--release", "--package", "cli"] },
    Measure { what: "gate", arguments: &["xtask", "ci"] },
];

/// Measures everything, or only what the first argument names (`release build` or `gate`).
pub fn run(arguments: &[String]) -> Result<()> {
    let only = arguments.first();
    if let Some(name) = only.filter(|name| MEASURES.iter().all(|measure| measure.what != name.as_str())) {
        bail!("no measure is called {name}: there are `release build` and `gate`");
    }
    let mut rows = Vec::new();
    for measure in MEASURES.iter().filter(|measure| only.is_none_or(|name| name == measure.what)) {
        rows.push(row(measure, seconds(measure)?));
    }
    println!("| command | commit | machine | threads | median | spread |\n|---|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

fn seconds(measure: &Measure) -> Result<f64> {
    let folder = std::env::temp_dir().join(format!("hearth-times-{}", std::process::id()));
    let begun = Instant::now();
    let status = workspace::cargo().args(measure.arguments).env("CARGO_TARGET_DIR", &folder).status();
    let seconds = begun.elapsed().as_secs_f64();
    let _ = std::fs::remove_dir_all(&folder);
    if !status?.success() {
        bail!("`cargo {}` failed, so that its time means nothing", measure.arguments.join(" "));
    }
    Ok(seconds)
}

fn row(measure: &Measure, seconds: f64) -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let command = format!("cargo {}", measure.arguments.join(" "));
    format!("| `{command}` | {} | {} | {threads} | {seconds:.0} s | one run |", commit(), machine())
}

/// The commit that is checked out, with `-dirty` where files differ from it.
pub fn commit() -> String {
    let describe = ["describe", "--always", "--dirty", "--exclude", "*"];
    let output = Command::new("git").current_dir(workspace::root()).args(describe).output();
    let text =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

/// The processor's name as Linux gives it, else only the architecture.
pub fn machine() -> String {
    let text = std::fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_six_columns() {
        let row = row(&MEASURES[0], 61.4);
        assert_eq!(row.matches('|').count(), 7, "{row}");
        assert!(row.contains("cargo build --release --package cli") && row.contains("| 61 s |"), "{row}");
    }

    #[test]
    fn an_unknown_measure_is_refused_before_anything_is_built() {
        assert!(run(&["nothing".to_owned()]).is_err());
    }
}
