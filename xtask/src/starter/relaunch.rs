//! The chore `starter` as `cargo xtask` knows it: builds it with what it needs, optimised, and runs that.
//!
//! Is not the training itself: that needs the crates of Hearth, and the other chores must build without them.

use crate::workspace;
use anyhow::{Result, bail};

/// Runs the real chore with the same arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["run", "--release", "--package", "xtask", "--features", "starter", "--", "starter"]);
    match command.args(arguments).status()?.success() {
        true => Ok(()),
        false => bail!("the starter model was not made; the reason stands above"),
    }
}
