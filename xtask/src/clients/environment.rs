//! The clients, pinned, in folders of their own outside the tree; what is there is used as it is.

use crate::bench::peer::Peer;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON: Peer = Peer {
    name: "clients",
    packages: &[
        ("openai", "2.54.0"),
        ("anthropic", "2.12.0"),
        ("ollama", "0.6.3"),
        ("litellm", "1.106.2"),
        // LiteLLM takes it for granted as soon as there are tools.
        ("mcp", "2.3.0"),
        ("llm", "0.32.1"),
        ("langchain-openai", "1.7.3"),
        ("pydantic", "2.14.3"),
        ("schemathesis", "4.32.5"),
        ("webuiapi", "0.9.17"),
        // Its parallel requests, and the pictures of all scripts.
        ("aiohttp", "3.14.5"),
        ("pillow", "13.0.0"),
    ],
};
/// Apart from the others, because its other back-end needs torch.
const EVALUATION: Peer = Peer {
    name: "lm-eval",
    packages: &[
        ("lm-eval", "0.4.13"),
        ("torch", "2.15.0"),
        ("transformers", "5.23.0"),
        ("datasets", "5.2.0"),
        ("tenacity", "9.2.1"),
        ("accelerate", "1.15.0"),
    ],
};
const NODE: &[&str] = &["openai@6.49.0", "ollama@0.6.4", "playwright-core@1.65.1"];

/// The Python of the clients.
pub fn python(environment: &Path) -> Result<PathBuf> {
    PYTHON.python(&environment.join("python"))
}

/// The Python of lm-eval.
pub fn evaluation(environment: &Path) -> Result<PathBuf> {
    EVALUATION.python(&environment.join("lm-eval"))
}

/// The browser that draws the page: what `CHROMIUM` names, or Debian's.
pub fn browser() -> Result<PathBuf> {
    let path = std::env::var_os("CHROMIUM").map_or_else(|| "/usr/bin/chromium".into(), PathBuf::from);
    ensure!(path.is_file(), "{} is not there: install chromium, or name it in CHROMIUM", path.display());
    Ok(path)
}

/// The folder of playwright-core.
pub fn playwright(environment: &Path) -> Result<PathBuf> {
    Ok(node(environment)?.join("node_modules/playwright-core"))
}

/// The folders of the packages for Node.
pub fn of_packages(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let modules = folder.join("node_modules");
    NODE.iter().map(move |package| modules.join(package.rsplit_once('@').map_or(*package, |(name, _)| name)))
}

/// Where the packages for Node are.
fn node(environment: &Path) -> Result<PathBuf> {
    let folder = environment.join("node");
    if !of_packages(&folder).all(|package| package.is_dir()) {
        eprintln!("making an environment in {}", folder.display());
        std::fs::create_dir_all(&folder)?;
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund"]).args(NODE).current_dir(&folder);
        let status = install.status().context("npm does not start")?;
        ensure!(status.success(), "{install:?} failed; the reason stands above");
    }
    Ok(folder)
}

/// A script for Node, copied with what it shares to where its packages are, because Node looks for them there alone.
pub fn beside_packages(environment: &Path, script: &Path) -> Result<PathBuf> {
    let folder = node(environment)?;
    let copies = folder.join("scripts");
    copy_shared(&copies.join("shared"))?;
    let copy = copies.join(script.file_name().context("a script without a name")?);
    std::fs::copy(script, &copy).with_context(|| script.display().to_string())?;
    Ok(copy)
}

fn copy_shared(copies: &Path) -> Result<()> {
    std::fs::create_dir_all(copies)?;
    for entry in std::fs::read_dir(workspace::root().join("benches/clients/shared"))? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.extension().is_some_and(|end| end == "mjs")) {
            std::fs::copy(&path, copies.join(name))?;
        }
    }
    Ok(())
}
