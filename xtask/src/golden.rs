//! `cargo xtask golden templates [--folder FOLDER]`: every chat template, rendered by Hearth and by Python's jinja2.
//!
//! Makes a Python environment of its own below `target-golden` and fills it with pip; needs the shared data or a
//! folder of templates. What differs is told by template, conversation and first place. The gate needs none of this:
//! it holds the digests that were kept. Both sides are programs (`fixtures/templates/render.py` and the example
//! `render_templates` of the crate `text`) that print the same JSON.

use crate::bench::peer::Peer;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const JINJA: Peer = Peer { name: "jinja2", packages: &[("jinja2", "3.1.6")] };
/// Letters that are shown on both sides of a difference.
const AROUND: usize = 40;

/// Runs the comparison that is named.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [what] if what == "templates" => templates(None),
        [what, flag, folder] if what == "templates" && flag == "--folder" => templates(Some(folder.into())),
        _ => bail!("golden compares templates: cargo xtask golden templates [--folder FOLDER]"),
    }
}

fn templates(folder: Option<PathBuf>) -> Result<()> {
    let shared = || Some(workspace::shared_data()?.join("tokenizer/chat-templates"));
    let folder = folder.or_else(shared).context("../shared is not here: name a folder with --folder")?;
    let folder = std::path::absolute(folder)?;
    let python = JINJA.python(&workspace::root().join("target-golden").join(JINJA.name))?;
    let mut n_compared = 0;
    let mut differences = Vec::new();
    for argument in [folder.as_path(), Path::new("--expressions")] {
        let expected = told_by(Command::new(&python).arg("fixtures/templates/render.py").arg(argument))?;
        let example = ["run", "--quiet", "--package", "text", "--example", "render_templates", "--"];
        let found = told_by(workspace::cargo().args(example).arg(argument))?;
        n_compared += compare("", &expected, &found, &mut differences);
    }
    ensure!(n_compared > 0, "{} holds no template", folder.display());
    println!("{n_compared} renderings, {} differ", differences.len());
    differences.iter().for_each(|difference| println!("{difference}"));
    ensure!(differences.is_empty(), "Hearth and jinja2 render differently; where stands above");
    Ok(())
}

/// The JSON that a program prints.
fn told_by(command: &mut Command) -> Result<Value> {
    let output = command.current_dir(workspace::root()).output();
    let output = output.with_context(|| format!("{command:?} does not start"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).with_context(|| format!("{command:?} prints no JSON"))
}

/// Counts outcomes and tells those that differ. An outcome is `{"text": …}`, `{"raised": …}` or `{"failed": …}`; all
/// failures count as equal, since each side has its own words for them.
fn compare(place: &str, expected: &Value, found: &Value, differences: &mut Vec<String>) -> usize {
    let Some(fields) = expected.as_object() else { return 0 };
    let is_outcome = fields.len() == 1 && fields.values().all(Value::is_string);
    if !is_outcome {
        let inner = |(name, value): (&String, &Value)| {
            compare(&format!("{place}{name}: "), value, &found[name], differences)
        };
        return fields.iter().map(inner).sum();
    }
    if expected["failed"].is_string() && found["failed"].is_string() || expected == found {
        return 1;
    }
    differences.push(match (expected["text"].as_str(), found["text"].as_str()) {
        (Some(expected), Some(found)) => format!("{place}{}", first_difference(expected, found)),
        _ => format!("{place}\n  Python: {}\n  Hearth: {}", shortened(expected), shortened(found)),
    });
    1
}

fn first_difference(expected: &str, found: &str) -> String {
    let same = expected.chars().zip(found.chars()).take_while(|(a, b)| a == b).count();
    let around =
        |text: &str| -> String { text.chars().skip(same.saturating_sub(AROUND)).take(2 * AROUND).collect() };
    format!("letter {same}\n  Python: {:?}\n  Hearth: {:?}", around(expected), around(found))
}

fn shortened(outcome: &Value) -> String {
    outcome.to_string().chars().take(4 * AROUND).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outcomes_are_counted_and_differences_told_by_place() {
        let expected =
            json!({"a": {"plain": {"text": "xy"}, "tools": {"failed": "TypeError"}}, "b": {"raised": "no"}});
        let mut differences = Vec::new();
        let same = json!({"a": {"plain": {"text": "xy"}, "tools": {"failed": "other words"}}, "b": {"raised": "no"}});
        assert_eq!((compare("", &expected, &same, &mut differences), differences.len()), (3, 0));
        let other = json!({"a": {"plain": {"text": "xz"}, "tools": {"text": ""}}, "b": {"raised": "yes"}});
        assert_eq!((compare("", &expected, &other, &mut differences), differences.len()), (3, 3));
        assert!(differences[0].starts_with("a: plain: letter 1"), "{}", differences[0]);
        assert!(
            differences[1].starts_with("a: tools: ") && differences[2].contains("yes"),
            "{differences:?}"
        );
        // A template that one side does not have.
        assert_eq!((compare("", &expected, &json!({}), &mut differences), differences.len()), (3, 6));
    }

    #[test]
    fn only_what_is_known_is_compared() {
        assert!(run(&["songs".to_owned()]).unwrap_err().to_string().contains("golden templates"));
    }
}
