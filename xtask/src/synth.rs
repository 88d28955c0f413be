//! `cargo xtask synth --shape NAME --quant NAME --out PATH [--format gguf|folder]`: a model of a published model's shape
//! with random weights, to measure with; without a shape, the list of shapes.
//!
//! The work is an example of `app`, which is only built and started here, so that the chores need no tensors.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds what writes models and starts it with the same arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    let programs = build()?;
    // Paths are meant from where the chore was called.
    let status = Command::new(program(&programs)).args(arguments).status()?;
    ensure!(status.success(), "no model was written; the reason stands above");
    Ok(())
}

/// Builds the program `hearth` and what writes models, as they are released; the folder that they are in.
pub fn build() -> Result<PathBuf> {
    let target = workspace::target();
    let mut command = workspace::cargo();
    command.env("CARGO_TARGET_DIR", &target);
    // The whole workspace, because another selection of packages is another build of the same dependencies.
    command.args(["build", "--release", "--workspace", "--bin", "hearth", "--example", "synth"]);
    ensure!(command.status().context("cargo does not start")?.success(), "Hearth does not build");
    Ok(target.join("release"))
}

/// What writes models, among the programs of a build.
pub fn program(programs: &Path) -> PathBuf {
    programs.join("examples/synth")
}
