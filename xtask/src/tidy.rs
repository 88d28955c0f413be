//! The rules that a stranger relies on, as checks over the tree: `cargo xtask tidy`, and one test each.
//!
//! Is not a style guide: CONVENTIONS are written for people; here stands only what a machine can hold.

mod allow;
mod calls;
mod checked;
mod claims;
mod dependencies;
mod layers;
mod names;
mod readme;
mod sizes;
mod source;
mod unsafety;
mod words;

use crate::workspace;
use anyhow::{Context, Result, bail};
use source::Source;
use std::path::PathBuf;

/// One thing that a rule objects to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl Finding {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

/// What the rules look at: every path, parsed Rust sources, other text files, and the packages as cargo sees them.
#[derive(Default)]
struct Tree {
    paths: Vec<String>,
    sources: Vec<Source>,
    texts: Vec<Text>,
    packages: Vec<layers::Package>,
}

/// A text file that is not Rust.
struct Text {
    path: String,
    content: String,
}

impl Tree {
    fn read() -> Result<Self> {
        let mut tree = Self { packages: layers::packages(&workspace::metadata()?)?, ..Self::default() };
        for file in workspace::files()? {
            tree.add(file)?;
        }
        Ok(tree)
    }

    fn add(&mut self, file: PathBuf) -> Result<()> {
        let path = file.to_string_lossy().replace('\\', "/");
        self.paths.push(path.clone());
        let bytes =
            std::fs::read(workspace::root().join(&file)).with_context(|| format!("cannot read {path}"))?;
        // What is not UTF-8 is data, not something that people read.
        let Ok(content) = String::from_utf8(bytes) else { return Ok(()) };
        if path.ends_with(".rs") {
            self.sources.push(Source::parse(&path, content)?);
        } else {
            self.texts.push(Text { path, content });
        }
        Ok(())
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|text| text.path == path).map(|text| text.content.as_str())
    }
}

/// One rule: its name as allow.toml writes it, and the check.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

static RULES: &[Rule] = &[
    Rule { name: "layers", check: layers::check },
    Rule { name: "file-size", check: sizes::files },
    Rule { name: "function-size", check: sizes::functions },
    Rule { name: "parameters", check: sizes::parameters },
    Rule { name: "bool-parameter", check: sizes::bool_parameters },
    Rule { name: "nesting", check: sizes::nesting },
    Rule { name: "crate-root", check: sizes::crate_roots },
    Rule { name: "header", check: names::headers },
    Rule { name: "file-name", check: names::file_names },
    Rule { name: "unsafe", check: unsafety::places },
    Rule { name: "safety-comment", check: unsafety::comments },
    Rule { name: "forbidden-call", check: calls::check },
    Rule { name: "kernel-checked", check: checked::kernels },
    Rule { name: "op-checked", check: checked::ops },
    Rule { name: "family-checked", check: checked::families },
    Rule { name: "format-fuzzed", check: checked::formats },
    Rule { name: "dependency-reason", check: dependencies::check },
    Rule { name: "readme-tree", check: readme::check },
    Rule { name: "claims", check: claims::check },
    Rule { name: "forbidden-word", check: words::check },
];

/// Checks every rule, or those that the arguments name, and prints what they object to.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.iter().find(|name| RULES.iter().all(|rule| rule.name != name.as_str())) {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        bail!("no rule is called {unknown}; there are {}", names.join(", "));
    }
    let tree = Tree::read()?;
    let allowed = allow::List::read()?;
    let is_chosen = |rule: &&Rule| arguments.is_empty() || arguments.iter().any(|name| name == rule.name);
    let chosen: Vec<&Rule> = RULES.iter().filter(is_chosen).collect();
    let found: usize = chosen.iter().map(|rule| report(rule, &tree, &allowed)).sum();
    if arguments.is_empty() {
        allowed.check(&tree)?;
    }
    if found > 0 {
        bail!("{found} findings; what each rule wants stands in xtask/src/tidy");
    }
    println!("tidy: {} rules over {} Rust files hold", chosen.len(), tree.sources.len());
    Ok(())
}

fn report(rule: &Rule, tree: &Tree, allowed: &allow::List) -> usize {
    let mut findings = (rule.check)(tree);
    findings.retain(|finding| !allowed.covers(rule.name, &finding.path));
    findings.sort();
    for finding in &findings {
        println!("{}:{}: {}: {}", finding.path, finding.line, rule.name, finding.text);
    }
    findings.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let tree = Tree::read().unwrap();
        let allowed = allow::List::read().unwrap();
        let found: usize = RULES.iter().map(|rule| report(rule, &tree, &allowed)).sum();
        assert_eq!(found, 0, "each finding is printed above; `cargo xtask tidy` prints them alone");
        allowed.check(&tree).unwrap();
    }

    #[test]
    fn the_tree_is_seen() {
        let tree = Tree::read().unwrap();
        assert!(tree.sources.iter().any(|source| source.path == "crates/base/src/rng.rs"));
        assert!(tree.text("Cargo.toml").is_some());
        assert!(tree.packages.iter().any(|package| package.name == "base"));
    }

    #[test]
    fn an_unknown_rule_is_refused() {
        assert!(run(&["taste".to_owned()]).unwrap_err().to_string().contains("file-size"));
    }
}
