//! What files are called and how they begin.

use super::{Finding, Tree};

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "manager", "common", "misc"];

/// Rust files that do not begin with `//!`.
pub fn headers(tree: &Tree) -> Vec<Finding> {
    let bare = tree.sources.iter().filter(|source| !source.text.starts_with("//! "));
    let text = "begin with `//!`: what this is, what it is not, its source";
    bare.map(|source| Finding::new(&source.path, 1, text)).collect()
}

/// Files called `mod.rs`, and files or inline modules whose name says nothing.
pub fn file_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        if source.path.ends_with("/mod.rs") {
            findings.push(Finding::new(&source.path, 1, "`foo.rs` beside `foo/`, never `foo/mod.rs`"));
        }
        let stems = source.path.split(['/', '.']);
        let modules = source.file.items.iter().filter_map(|item| match item {
            syn::Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        });
        for name in stems.map(str::to_owned).chain(modules) {
            if EMPTY_NAMES.contains(&name.as_str()) {
                findings.push(Finding::new(&source.path, 1, format!("`{name}` says nothing; name the idea")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::lines;

    #[test]
    fn a_missing_header_is_caught() {
        assert_eq!(lines(headers, "crates/base/src/a.rs", "fn f() {}"), [1]);
        assert_eq!(lines(headers, "crates/base/src/a.rs", "\n//! Late.\n"), [1]);
        assert!(lines(headers, "crates/base/src/a.rs", "//! What it is.\n").is_empty());
    }

    #[test]
    fn empty_names_and_mod_rs_are_caught() {
        assert_eq!(lines(file_names, "crates/base/src/a/mod.rs", ""), [1]);
        assert_eq!(lines(file_names, "crates/base/src/utils.rs", ""), [1]);
        assert_eq!(lines(file_names, "crates/base/src/common/a.rs", ""), [1]);
        assert_eq!(lines(file_names, "crates/base/src/a.rs", "mod helpers {}"), [1]);
        assert!(lines(file_names, "crates/base/src/commons_of_words.rs", "").is_empty());
    }
}
