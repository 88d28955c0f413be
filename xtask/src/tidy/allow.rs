//! Today's exceptions: `xtask/allow.toml`, each a rule, a path and a reason, and how many there may be.
//!
//! The list only gets shorter: the recorded count is lowered with it, and an exception that nothing needs fails.

use super::{RULES, Tree};
use crate::workspace;
use anyhow::{Context, Result, bail};

/// The file, relative to the root.
const PATH: &str = "xtask/allow.toml";

/// All exceptions.
#[derive(Default)]
pub struct List {
    recorded: usize,
    entries: Vec<Entry>,
}

#[derive(Default)]
struct Entry {
    rule: String,
    path: String,
    reason: String,
}

impl List {
    /// Reads the list.
    pub fn read() -> Result<Self> {
        let text =
            std::fs::read_to_string(workspace::root().join(PATH)).context("xtask/allow.toml is missing")?;
        Self::parse(&text)
    }

    /// Reads the few lines of TOML that the list is made of: `recorded = N`, then `[[allow]]` with three strings.
    fn parse(text: &str) -> Result<Self> {
        let mut list = Self::default();
        for (at, line) in text.lines().enumerate() {
            list.take(line.trim()).with_context(|| format!("{PATH}:{}", at + 1))?;
        }
        Ok(list)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line == "[[allow]]" {
            self.entries.push(Entry::default());
            return Ok(());
        }
        let (key, value) = line.split_once(" = ").context("a line is `key = value`")?;
        if key == "recorded" {
            self.recorded = value.parse().context("`recorded` is a number")?;
            return Ok(());
        }
        let entry = self.entries.last_mut().context("a key stands before the first [[allow]]")?;
        let value = value.trim_matches('"').to_owned();
        match key {
            "rule" => entry.rule = value,
            "path" => entry.path = value,
            "reason" => entry.reason = value,
            other => bail!("`{other}` is neither rule nor path nor reason"),
        }
        Ok(())
    }

    /// Whether the list excuses what `rule` finds in `path`.
    pub fn covers(&self, rule: &str, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.rule == rule && entry.path == path)
    }

    /// Refuses a list that is longer than recorded, that gives no reason, or that excuses what is not there.
    pub fn check(&self, tree: &Tree) -> Result<()> {
        if self.entries.len() != self.recorded {
            bail!(
                "{PATH} has {} exceptions, {} are recorded: the list only gets shorter",
                self.entries.len(),
                self.recorded
            );
        }
        for entry in &self.entries {
            let rule = RULES.iter().find(|rule| rule.name == entry.rule);
            let rule = rule.with_context(|| format!("{PATH}: no rule is called `{}`", entry.rule))?;
            if entry.reason.split(' ').count() < 3 {
                bail!("{PATH}: {} in {} has no reason", entry.rule, entry.path);
            }
            if !(rule.check)(tree).iter().any(|finding| finding.path == entry.path) {
                bail!(
                    "{PATH}: {} no longer needs its exception from {}; take it out",
                    entry.path,
                    entry.rule
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::tree;

    fn list(recorded: usize, rule: &str, path: &str, reason: &str) -> List {
        let entry = format!("[[allow]]\nrule = \"{rule}\"\npath = \"{path}\"\nreason = \"{reason}\"\n");
        List::parse(&format!("# Exceptions.\nrecorded = {recorded}\n\n{entry}")).unwrap()
    }

    #[test]
    fn the_list_covers_one_rule_in_one_file() {
        let list = list(1, "header", "crates/base/src/a.rs", "it is made by a program");
        assert!(list.covers("header", "crates/base/src/a.rs"));
        assert!(
            !list.covers("header", "crates/base/src/b.rs") && !list.covers("unsafe", "crates/base/src/a.rs")
        );
        list.check(&tree("crates/base/src/a.rs", "fn f() {}")).unwrap();
    }

    #[test]
    fn a_longer_list_a_bare_entry_and_a_stale_entry_are_refused() {
        let path = "crates/base/src/a.rs";
        let bad = tree(path, "fn f() {}");
        let good = tree(path, "//! Good.\n");
        assert!(list(0, "header", path, "it is made by a program").check(&bad).is_err());
        assert!(list(1, "header", path, "because").check(&bad).is_err());
        assert!(list(1, "header", path, "it is made by a program").check(&good).is_err());
        assert!(list(1, "taste", path, "it is made by a program").check(&bad).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(List::parse("recorded = many").is_err());
        assert!(List::parse("rule = \"header\"").is_err());
        assert!(List::parse("[[allow]]\nmood = \"good\"").is_err());
    }
}
