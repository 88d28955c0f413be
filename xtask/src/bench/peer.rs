//! The programs that Hearth is measured beside, each in a Python environment of its own outside the project.
//!
//! An environment that is there is used as it is; one that is not is made and filled with the pinned packages. Where
//! pip takes them from is pip's own configuration: a build without what this machine lacks saves gigabytes.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program to be measured beside.
pub struct Peer {
    /// As `--peer` names it.
    pub name: &'static str,
    /// Its packages with their versions, the program itself first.
    pub packages: &'static [(&'static str, &'static str)],
}

/// Every peer: a new one is a line here and scripts in `benches/peers`.
static PEERS: &[Peer] = &[
    Peer { name: "torch", packages: &[("torch", "2.15.0"), ("numpy", "2.4.6")] },
    Peer { name: "llama.cpp", packages: &[("llama-cpp-python[server]", "0.3.36"), ("numpy", "2.4.6")] },
    Peer {
        name: "sentence-transformers",
        packages: &[
            ("sentence-transformers", "6.2.0"),
            ("transformers", "5.23.0"),
            ("torch", "2.15.0"),
            ("numpy", "2.4.6"),
        ],
    },
    Peer {
        name: "diffusers",
        packages: &[
            ("diffusers", "0.42.1"),
            ("transformers", "5.23.0"),
            ("torch", "2.15.0"),
            ("numpy", "2.4.6"),
        ],
    },
];

/// Tells the version of every package that is named to it, `null` for one that is not there.
const VERSIONS: &str = "\
import importlib.metadata as metadata, json, sys
def version(name):
    try: return metadata.version(name.split('[')[0])
    except metadata.PackageNotFoundError: return None
print(json.dumps([version(name) for name in sys.argv[1:]]))";

/// The peer of that name.
pub fn find(name: &str) -> Result<&'static Peer> {
    let found = PEERS.iter().find(|peer| peer.name == name);
    found.with_context(|| format!("no peer is called {name}; there are {}", names()))
}

/// Their names.
pub fn names() -> String {
    PEERS.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ")
}

impl Peer {
    /// The Python of the environment in `folder`, which is made where there is none.
    pub fn python(&self, folder: &Path) -> Result<PathBuf> {
        let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        if !python.exists() {
            eprintln!("making an environment in {}", folder.display());
            let mut make = Command::new(if cfg!(windows) { "python" } else { "python3" });
            succeed(make.args(["-m", "venv"]).arg(folder))?;
            succeed(Command::new(&python).args(["-m", "pip", "install"]).args(self.pins()))?;
        }
        let names = self.packages.iter().map(|(name, _)| name);
        let output = Command::new(&python).args(["-c", VERSIONS]).args(names).output();
        let output = output.with_context(|| format!("{} does not start", python.display()))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        for note in self.differences(&found).map_err(|missing| self.hint(&missing, &python))? {
            eprintln!("{note}");
        }
        Ok(python)
    }

    fn pins(&self) -> Vec<String> {
        self.packages.iter().map(|(name, version)| format!("{name}=={version}")).collect()
    }

    fn hint(&self, missing: &str, python: &Path) -> anyhow::Error {
        let install = format!("{} -m pip install {}", python.display(), self.pins().join(" "));
        anyhow::anyhow!("{missing} is not in the environment\nhint: {install}")
    }

    /// What is there in another version than the pinned one, as lines to print; a package that is missing is the
    /// error.
    fn differences(&self, found: &[Value]) -> Result<Vec<String>, String> {
        let mut notes = Vec::new();
        for (at, (name, pinned)) in self.packages.iter().enumerate() {
            let Some(version) = found.get(at).and_then(Value::as_str) else { return Err((*name).to_owned()) };
            // What stands behind `+` says for which hardware it was built.
            if version.split('+').next() != Some(*pinned) {
                notes.push(format!("{name} is {version} here, {pinned} is what is pinned"));
            }
        }
        Ok(notes)
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not start"))?;
    if !status.success() {
        bail!("{command:?} failed; the reason stands above");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_are_held_against_the_pins() {
        const PEER: Peer = Peer { name: "one", packages: &[("a", "1.2"), ("b", "3")] };
        let differences = |found: Value| PEER.differences(found.as_array().unwrap());
        assert_eq!(differences(json!(["1.2+cpu", "3"])), Ok(vec![]));
        assert_eq!(differences(json!(["1.2", "4"])).unwrap(), ["b is 4 here, 3 is what is pinned"]);
        assert_eq!(differences(json!(["1.2", null])), Err("b".to_owned()));
        assert_eq!(differences(json!([])), Err("a".to_owned()));
        assert!(PEER.hint("b", Path::new("python")).to_string().contains("pip install a==1.2 b==3"));
    }

    #[test]
    fn an_unknown_peer_is_refused_with_the_list() {
        assert!(find("nobody").err().unwrap().to_string().contains("torch"));
        assert_eq!(find("torch").unwrap().name, "torch");
    }
}
