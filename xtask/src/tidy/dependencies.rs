//! Every dependency from outside has a reason in deny.toml: a comment line `# NAME: why it is here`.

use super::{Finding, Tree};
use std::collections::BTreeSet;

const REASONS: &str = "deny.toml";
const MANIFEST: &str = "Cargo.toml";

/// Dependencies without a reason, and reasons without a dependency.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(manifest), Some(reasons)) = (tree.text(MANIFEST), tree.text(REASONS)) else {
        return vec![Finding::new(REASONS, 1, "deny.toml or Cargo.toml is missing")];
    };
    let mut declared = declared(manifest);
    let direct = tree.packages.iter().flat_map(|package| &package.dependencies);
    declared
        .extend(direct.filter(|dependency| !dependency.is_ours).map(|dependency| dependency.name.clone()));
    judge(&declared, &reasoned(reasons))
}

fn judge(declared: &BTreeSet<String>, reasoned: &BTreeSet<String>) -> Vec<Finding> {
    let missing =
        declared.difference(reasoned).map(|name| format!("`{name}` has no line `# {name}: reason`"));
    let stale =
        reasoned.difference(declared).map(|name| format!("`{name}` has a reason, but nothing uses it"));
    missing.chain(stale).map(|text| Finding::new(REASONS, 1, text)).collect()
}

/// The names under `[workspace.dependencies]` that are not crates of this workspace.
fn declared(manifest: &str) -> BTreeSet<String> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    let entries = section.take_while(|line| !line.starts_with('['));
    let outside = entries.filter(|line| !line.contains("path = \""));
    outside.filter_map(|line| line.split_once(" =")).map(|(name, _)| name.trim().to_owned()).collect()
}

/// The names that have a reason of at least a few words.
fn reasoned(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(": "));
    let given = lines.filter(|(name, reason)| !name.contains(' ') && reason.split(' ').count() >= 3);
    given.map(|(name, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.dependencies]\nbase = { path = \"crates/base\" }\nhalf = \"2\"\n\n[profile.dev]\ndebug = false\n";

    #[test]
    fn a_dependency_without_a_reason_is_caught_and_so_is_a_stale_reason() {
        let none = judge(&declared(MANIFEST), &reasoned("# Reasons\n# half: why not\n"));
        assert_eq!(none.len(), 1);
        assert!(none[0].text.contains("half"));
        let stale = judge(
            &declared(MANIFEST),
            &reasoned("# half: the sixteen-bit float types\n# left: a pad for strings\n"),
        );
        assert_eq!(stale.len(), 1);
        assert!(stale[0].text.contains("left"));
        assert!(judge(&declared(MANIFEST), &reasoned("# half: the sixteen-bit float types\n")).is_empty());
    }
}
