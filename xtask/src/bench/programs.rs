//! Builds Hearth's programs of a bench and runs those of both sides, each as a process of its own, so that its memory
//! is its own.

use super::case::{Case, Program, Run};
use super::outcome::Outcome;
use crate::{synth, times, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A word of a case that begins with this is a path below the shared data.
const SHARED: &str = "shared:";

/// A word that begins with this is a model of a published shape with random weights: `synth:SHAPE:QUANT`.
const SYNTH: &str = "synth:";

/// Every program, ready to run.
pub struct Programs {
    /// What was checked out when they were built.
    pub commit: String,
    /// Hearth's executables by the names of their bench targets.
    hearth: BTreeMap<String, PathBuf>,
    /// The program `hearth`, where a case serves it.
    program: Option<PathBuf>,
    python: PathBuf,
}

impl Programs {
    /// Builds what the cases need, as it is released, in the folder `target`.
    pub fn build(cases: &[&Case], python: PathBuf, target: PathBuf) -> Result<Self> {
        let mut names: Vec<&str> = cases
            .iter()
            .flat_map(|case| case.runs)
            .filter_map(|run| match run.program {
                Program::Hearth(name) => Some(name),
                Program::Served(_) | Program::Peer(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let commit = times::commit();
        let is_served = |run: &Run| matches!(run.program, Program::Served(_));
        let is_served = cases.iter().flat_map(|case| case.runs).any(is_served);
        let program = is_served.then(synth::build).transpose()?.map(|folder| folder.join("hearth"));
        if names.is_empty() {
            return Ok(Self { commit, hearth: BTreeMap::new(), program, python });
        }
        let mut command = workspace::cargo();
        command.env("CARGO_TARGET_DIR", target);
        // The whole workspace, because another selection of packages is another build of the same dependencies.
        command.args(["build", "--release", "--workspace", "--message-format", "json-render-diagnostics"]);
        command.args(names.iter().flat_map(|name| ["--bench", name]));
        let output = command.stderr(Stdio::inherit()).output().context("cargo does not start")?;
        ensure!(output.status.success(), "Hearth's programs do not build; the reason stands above");
        let hearth = executables(&String::from_utf8_lossy(&output.stdout));
        let missing = names.iter().find(|name| !hearth.contains_key(**name));
        ensure!(missing.is_none(), "cargo built no bench called {}", missing.copied().unwrap_or_default());
        Ok(Self { commit, hearth, program, python })
    }

    /// Runs one program to its end and reads what it found.
    pub fn run(&self, run: &Run, options: &[String], threads: usize) -> Result<Outcome> {
        let mut command = match run.program {
            Program::Hearth(name) => {
                Command::new(self.hearth.get(name).with_context(|| format!("{name} was not built"))?)
            }
            Program::Served(script) => {
                let mut command = self.script(script, threads);
                command.arg("--hearth").arg(self.program.as_ref().context("hearth was not built")?);
                command
            }
            Program::Peer(script) => self.script(script, threads),
        };
        for word in run.words {
            command.arg(meaning(word)?);
        }
        command.args(options).current_dir(workspace::root()).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().with_context(|| format!("{} does not start", run.name))?;
        ensure!(output.status.success(), "{} failed; the reason stands above", run.name);
        Outcome::read(&String::from_utf8_lossy(&output.stdout)).with_context(|| run.name.to_owned())
    }
}

impl Programs {
    /// A script of the peers, which keeps to so many threads.
    fn script(&self, name: &str, threads: usize) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(workspace::root().join("benches/peers").join(name));
        command.env("OMP_NUM_THREADS", threads.to_string()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// A word as a program gets it.
fn meaning(word: &str) -> Result<PathBuf> {
    if let Some(model) = word.strip_prefix(SYNTH) {
        return synthetic(model);
    }
    let Some(path) = word.strip_prefix(SHARED) else { return Ok(word.into()) };
    let data = workspace::shared_data().with_context(|| format!("this case needs ../shared/data/{path}"))?;
    Ok(data.join(path))
}

/// The file of a model with random weights, which is written where there is none.
fn synthetic(model: &str) -> Result<PathBuf> {
    let (shape, quant) = model.split_once(':').context("a model with random weights is SHAPE:QUANT")?;
    let folder = workspace::target().join("bench/models");
    let path = folder.join(format!("{shape}-{quant}.gguf"));
    if !path.is_file() {
        eprintln!("writing {}", path.display());
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let path = path.to_str().context("the target folder has a name that is no text")?;
        synth::run(&["--shape", shape, "--quant", quant, "--out", path].map(str::to_owned))?;
    }
    Ok(path)
}

/// The executables of bench targets in what cargo tells as JSON.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let built = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_bench = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "bench");
        let executable = PathBuf::from(message["executable"].as_str()?);
        is_bench.then_some((message["target"]["name"].as_str()?.to_owned(), executable))
    });
    built.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_of_benches_are_found_among_cargos_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"train"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"step"},"executable":"a/test"}
{"reason":"compiler-artifact","target":{"kind":["bench"],"name":"step"},"executable":"a/step-1"}
{"reason":"build-finished","success":true}
talk"#;
        let found = executables(messages);
        assert_eq!(found, BTreeMap::from([("step".to_owned(), PathBuf::from("a/step-1"))]));
    }

    #[test]
    fn a_word_may_stand_for_a_file_of_the_shared_data() {
        assert_eq!(meaning("bf16").unwrap(), PathBuf::from("bf16"));
        match workspace::shared_data() {
            Some(data) => assert_eq!(meaning("shared:a/b").unwrap(), data.join("a/b")),
            None => assert!(meaning("shared:a/b").unwrap_err().to_string().contains("a/b")),
        }
    }
}
