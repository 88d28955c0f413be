//! Every case: a new one is a file and a line here.

mod encoder;
mod engine;
mod images;
mod losses;
mod product;
mod serve;
mod shakespeare;
mod train;

use super::case::Case;
use anyhow::{Context, Result};

/// The cases, in the order in which they run.
pub static CASES: &[&Case] = &[
    &train::TRAIN_15M,
    &train::TRAIN_110M,
    &product::PRODUCT,
    &losses::LOSSES_15M,
    &shakespeare::SHAKESPEARE,
    &encoder::MINILM,
    &images::STEP,
    &images::DECODE,
    &engine::Q4_K_M,
    &engine::Q8_0,
    &engine::Q4_0,
    &engine::LARGE,
    &engine::MEMORY,
    &engine::START,
    &serve::SERVE,
];

/// The case of that name.
pub fn find(name: &str) -> Result<&'static Case> {
    let known =
        || CASES.iter().map(|case| format!("  {:<14} {}\n", case.name, case.does)).collect::<String>();
    let found = CASES.iter().copied().find(|case| case.name == name);
    found.with_context(|| format!("no case is called {name}; there are\n{}", known()))
}

#[cfg(test)]
mod tests {
    use super::super::case::Program;
    use super::*;
    use crate::bench::peer;
    use crate::workspace;

    #[test]
    fn every_case_names_programs_and_runs_that_are_there() {
        for case in CASES {
            peer::find(case.peer).unwrap();
            for run in case.runs {
                let (Program::Peer(script) | Program::Served(script)) = run.program else { continue };
                let path = workspace::root().join("benches/peers").join(script);
                assert!(path.is_file(), "{}: {}", case.name, path.display());
            }
            let is_side = |name: &str, hearth: bool| {
                let runs = case.runs.iter().filter(|run| run.name == name);
                runs.filter(|run| matches!(run.program, Program::Peer(_)) != hearth).count() == 1
            };
            for row in (case.rows)() {
                assert!(
                    is_side(row.hearth, true) && is_side(row.peer, false),
                    "{}: {}",
                    case.name,
                    row.figure
                );
            }
        }
    }

    #[test]
    fn names_are_unique_and_unknown_ones_refused_with_the_list() {
        let mut names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
        let refused = find("nothing").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(CASES.iter().all(|case| refused.contains(case.name)), "{refused}");
    }

    #[test]
    fn every_bench_of_a_case_is_a_target_of_the_workspace() {
        let metadata = workspace::metadata().unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let targets = packages.iter().flat_map(|package| package["targets"].as_array().unwrap());
        let benches: Vec<&str> = targets
            .filter(|target| target["kind"][0] == "bench")
            .map(|target| target["name"].as_str().unwrap())
            .collect();
        for run in CASES.iter().flat_map(|case| case.runs) {
            let Program::Hearth(bench) = run.program else { continue };
            assert_eq!(benches.iter().filter(|name| **name == bench).count(), 1, "{bench}");
        }
    }
}
