//! What is run: every script in `benches/clients`, lm-eval, schemathesis and the page in a browser; and what each prints.

use super::environment;
use super::table::Cell;
use crate::served::NO_KEY;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The model in the box, the encoder, the image model, and the model in the box as it was exported and brought in again.
pub const STARTER: &str = "starter";
pub const ENCODER: &str = "encoder";
pub const PAINTER: &str = "painter";
pub const EXPORTED: &str = "exported";

/// A script and what runs it.
pub struct Suite {
    /// As `--only` names it: several scripts for one client in several languages have one name.
    pub name: String,
    /// Relative to the root.
    pub script: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Python,
    Node,
    Evaluation,
    /// Node, with a browser.
    Page,
}

/// All suites, sorted by their scripts.
pub fn all() -> Result<Vec<Suite>> {
    let folder = Path::new("benches/clients");
    let mut suites = Vec::new();
    for entry in std::fs::read_dir(workspace::root().join(folder)).context("benches/clients is not here")? {
        let name = PathBuf::from(entry?.file_name());
        let kind = match name.extension().and_then(|extension| extension.to_str()) {
            Some("py") => Kind::Python,
            Some("mjs") => Kind::Node,
            _ => continue,
        };
        let stem =
            name.file_stem().and_then(|stem| stem.to_str()).context("a script whose name is no text")?;
        suites.push(Suite { name: stem.to_owned(), script: folder.join(&name), kind });
    }
    suites.sort_by(|one, other| one.script.cmp(&other.script));
    let further = [
        ("lm-eval", "benches/lm-eval/compare.py", Kind::Evaluation),
        ("schemathesis", "benches/schemathesis/check.py", Kind::Python),
        ("page", "web/test/page.mjs", Kind::Page),
    ];
    suites.extend(further.map(|(name, script, kind)| Suite {
        name: name.into(),
        script: script.into(),
        kind,
    }));
    Ok(suites)
}

impl Suite {
    /// Whether it asks for the exported model.
    pub fn needs_exported(&self) -> bool {
        self.kind == Kind::Evaluation
    }

    /// Runs it against the server at `base`; `room` holds the exported model.
    pub fn run(&self, environment: &Path, base: &str, room: &Path) -> Result<Vec<Cell>> {
        let script = workspace::root().join(&self.script);
        let mut command = match self.kind {
            Kind::Python => with_script(environment::python(environment)?, &script),
            Kind::Node => with_script("node".into(), &environment::beside_packages(environment, &script)?),
            Kind::Evaluation => with_script(environment::evaluation(environment)?, &script),
            Kind::Page => with_script("node".into(), &script),
        };
        if self.kind == Kind::Page {
            let (playwright, browser) = (environment::playwright(environment)?, environment::browser()?);
            command.env("PLAYWRIGHT_CORE", playwright).env("CHROMIUM", browser);
            command.args(["--cells", "--model", STARTER]);
        }
        command.args([base, NO_KEY]).current_dir(workspace::root()).env("PYTHONDONTWRITEBYTECODE", "1");
        if self.needs_exported() {
            command.arg(EXPORTED).arg(room.join(EXPORTED));
        }
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("{} does not start", self.script.display()))?;
        let cells = cells(&String::from_utf8_lossy(&output.stdout)).with_context(|| self.name.clone())?;
        ensure!(!cells.is_empty(), "{} tried nothing", self.script.display());
        let is_well = cells.iter().all(|cell| cell.ok);
        ensure!(output.status.success() || !is_well, "{} broke off", self.script.display());
        Ok(cells)
    }
}

fn with_script(program: PathBuf, script: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(script);
    command
}

/// The lines of JSON among what was printed.
fn cells(printed: &str) -> Result<Vec<Cell>> {
    let mut cells: Vec<Cell> = Vec::new();
    for line in printed.lines().filter(|line| line.starts_with('{')) {
        let cell: Cell = serde_json::from_str(line).with_context(|| line.to_owned())?;
        if cells.iter().any(|known| (&known.client, &known.feature) == (&cell.client, &cell.feature)) {
            bail!("{} tells twice of {}", cell.client, cell.feature);
        }
        cells.push(cell);
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_with_what_runs_them() {
        let suites = all().unwrap();
        let found = |name: &str, kind: Kind| {
            suites.iter().any(|suite| (suite.name.as_str(), suite.kind) == (name, kind))
        };
        assert!(
            found("openai", Kind::Python)
                && found("openai", Kind::Node)
                && found("lm-eval", Kind::Evaluation)
                && found("page", Kind::Page)
        );
        for suite in &suites {
            assert!(workspace::root().join(&suite.script).is_file(), "{}", suite.script.display());
        }
    }

    #[test]
    fn talk_is_passed_over_and_a_feature_counts_once() {
        let line = r#"{"client": "a", "version": "1", "feature": "chat", "ok": true, "note": ""}"#;
        assert_eq!(cells(&format!("warming up\n{line}\n\n")).unwrap().len(), 1);
        assert!(cells(&format!("{line}\n{line}")).is_err() && cells("{}").is_err());
    }

    #[test]
    fn a_script_that_ends_badly_without_saying_why_fails() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("one.mjs");
        for package in environment::of_packages(&folder.path().join("node")) {
            std::fs::create_dir_all(package).unwrap();
        }
        std::fs::write(&script, "console.log('nothing')").unwrap();
        let suite = Suite { name: "one".into(), script, kind: Kind::Node };
        let told = suite.run(folder.path(), "http://127.0.0.1:1", folder.path()).unwrap_err();
        assert!(told.to_string().contains("tried nothing"), "{told:#}");
    }
}
