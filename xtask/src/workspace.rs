//! Where things stand in this checkout: its root, its files, the shared data beside it, and what cargo knows.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold no source, for a checkout that git cannot list.
const NO_SOURCE: &[&str] = &[".git", "target", "node_modules", "__pycache__"];

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies one folder below the root")
}

/// Where cargo builds, and where chores keep what they make.
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The shared test data beside the checkout, where it is present.
pub fn shared_data() -> Option<PathBuf> {
    let folder = root().parent()?.join("shared/data");
    folder.is_dir().then_some(folder)
}

/// The cargo that runs this chore.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).stdin(std::process::Stdio::null());
    // Set by the outer `cargo run` for this package; an inner cargo must not take them for its own.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "RUST_RECURSION_COUNT"] {
        command.env_remove(name);
    }
    command
}

/// What `cargo metadata` says, without the dependencies of dependencies.
pub fn metadata() -> Result<serde_json::Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .context("cargo metadata does not start")?;
    if !output.status.success() {
        bail!("cargo metadata fails: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata does not print JSON")
}

/// Every file that git tracks or would track, relative to the root, sorted; without git, every file found.
pub fn files() -> Result<Vec<PathBuf>> {
    let mut found = match listed_by_git() {
        Some(files) => files,
        None => {
            let mut files = Vec::new();
            walk(root(), &mut files)?;
            files
        }
    };
    found.retain(|file| root().join(file).is_file());
    found.sort();
    found.dedup();
    Ok(found)
}

fn listed_by_git() -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let files: Vec<PathBuf> = text.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    (output.status.success() && !files.is_empty()).then_some(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() {
            if !NO_SOURCE.contains(&name) && !name.starts_with("target-") {
                walk(&path, files)?;
            }
        } else if let Ok(relative) = path.strip_prefix(root()) {
            files.push(relative.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_listings_find_this_file() {
        let this = Path::new("xtask/src/workspace.rs");
        assert!(files().unwrap().iter().any(|file| file == this));
        let mut walked = Vec::new();
        walk(root(), &mut walked).unwrap();
        assert!(walked.iter().any(|file| file == this));
    }

    #[test]
    fn cargo_knows_this_crate() {
        let metadata = metadata().unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        assert!(packages.iter().any(|package| package["name"] == "xtask"));
    }
}
