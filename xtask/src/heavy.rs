//! The tests that take minutes: marked `#[ignore]` where they stand, run here in release.

use anyhow::{Result, bail};

use crate::workspace;

/// Runs every ignored test.
pub fn run(_: &[String]) -> Result<()> {
    let arguments = ["test", "--release", "--workspace", "--", "--ignored"];
    if !workspace::cargo().args(arguments).status()?.success() {
        bail!("a heavy test failed; it is named above");
    }
    Ok(())
}
