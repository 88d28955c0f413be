//! docs/claims.md: each promise names the test that holds it, and that test exists.

use super::{Finding, Tree};
use crate::tidy::source::is_test;
use std::collections::BTreeSet;
use syn::visit::Visit;

const CLAIMS: &str = "docs/claims.md";

/// Claims without a test, and claims whose test does not exist.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(claims) = tree.text(CLAIMS) else {
        return vec![Finding::new(CLAIMS, 1, "the list of claims is missing")];
    };
    let tests = tree.sources.iter().flat_map(|source| {
        let mut tests = Tests::default();
        tests.visit_file(&source.file);
        tests.names.into_iter().map(|name| format!("{}::{name}", source.crate_name()))
    });
    judge(claims, &tests.collect())
}

#[derive(Default)]
struct Tests {
    names: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if is_test(&item.attrs) {
            self.names.insert(item.sig.ident.to_string());
        }
    }
}

fn judge(claims: &str, tests: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, row) in claims.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let is_head =
            cells.iter().all(|cell| cell.chars().all(|letter| "-: ".contains(letter))) || cells[0] == "claim";
        if is_head {
            continue;
        }
        let named = names(cells.last().copied().unwrap_or_default());
        if named.is_empty() {
            findings.push(Finding::new(CLAIMS, at + 1, format!("`{}` names no test", cells[0])));
        }
        let unknown = named.iter().filter(|name| !tests.contains(*name));
        findings
            .extend(unknown.map(|name| Finding::new(CLAIMS, at + 1, format!("no test is called `{name}`"))));
    }
    findings
}

/// Crate and test of each path between backticks: `` `store::blob::tests::a_full_disk` `` is `store::a_full_disk`.
fn names(cell: &str) -> Vec<String> {
    let paths = cell.split('`').skip(1).step_by(2);
    let ends = paths.filter_map(|path| Some((path.split_once("::")?.0, path.rsplit_once("::")?.1)));
    ends.map(|(home, name)| format!("{home}::{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_without_a_living_test_is_caught() {
        let tests = BTreeSet::from(["store::a_full_disk".to_owned()]);
        let table = |cell: &str| format!("| claim | test |\n|---|---|\n| nothing is lost | {cell} |\n");
        assert!(judge(&table("`store::tests::a_full_disk`"), &tests).is_empty());
        assert_eq!(judge(&table("`store::a_full_disk`, `store::a_gone_one`"), &tests).len(), 1);
        assert_eq!(judge(&table(""), &tests)[0].line, 3);
        assert_eq!(judge(&table("`text::tests::a_full_disk`"), &tests).len(), 1);
        assert_eq!(judge(&table("`a_full_disk`"), &tests).len(), 1);
        assert_eq!(judge(&table("later"), &tests).len(), 1);
    }

    #[test]
    fn only_tests_count_as_tests() {
        let mut found = Tests::default();
        found.visit_file(&syn::parse_str("#[test] fn holds() {} fn does_not() {}").unwrap());
        assert_eq!(found.names, BTreeSet::from(["holds".to_owned()]));
    }
}
