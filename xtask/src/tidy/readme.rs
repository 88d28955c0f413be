//! The README's tree names every crate.

use super::{Finding, Tree};

const README: &str = "README.md";

/// Crates that the tree leaves out.
pub fn check(tree: &Tree) -> Vec<Finding> {
    // The README is written with the first command; until then there is nothing to keep current.
    let Some(readme) = tree.text(README) else { return Vec::new() };
    let crates = tree
        .packages
        .iter()
        .filter_map(|package| package.manifest.strip_prefix("crates/")?.split('/').next());
    judge(readme, &crates.collect::<Vec<_>>())
}

fn judge(readme: &str, crates: &[&str]) -> Vec<Finding> {
    let drawn = drawn(readme);
    let missing = crates.iter().filter(|name| !drawn.contains(name));
    missing.map(|name| Finding::new(README, 1, format!("the tree has no line for `crates/{name}`"))).collect()
}

/// The first word of each line inside fenced blocks, without the marks that draw the tree.
fn drawn(readme: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in readme.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if inside {
            let line = line.trim_start_matches(['│', '├', '└', '─', '|', '`', '+', '-', ' ', '\u{a0}']);
            let first = line.split_whitespace().next().unwrap_or_default();
            names.push(first.trim_end_matches('/').trim_start_matches("crates/"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str =
        "# Hearth\n\ntext is a word here\n```\ncrates/\n├── base/   words\n└── kernels  arithmetic\n```\n";

    #[test]
    fn a_crate_that_the_tree_leaves_out_is_caught() {
        assert!(judge(README, &["base", "kernels"]).is_empty());
        let found = judge(README, &["base", "text"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("crates/text"));
    }
}
