//! The chore `starter-pictures-check`: whether pictures show what their captions say.
//!
//! The work is another program's (`xtask/pictures-check`), which is only started here: it sees pixels and shares no
//! code with what drew them.

use crate::workspace;
use anyhow::{Result, ensure};

/// Starts the program that checks, with the same arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--bin", "starter-pictures-check", "--"]);
    // Paths are meant from where the chore was called.
    command.current_dir(std::env::current_dir()?).args(arguments);
    ensure!(command.status()?.success(), "the pictures are not as wanted; the reason stands above");
    Ok(())
}
