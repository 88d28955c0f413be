//! `unsafe` stands only where it is allowed, and each block says why it is sound.

use super::source::Source;
use super::{Finding, Tree};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// The folders and files that may hold `unsafe`; a new one is a decision page first.
static PLACES: &[&str] = &[
    "crates/kernels/",
    "crates/formats/src/mmap.rs",
    // Memory that moves to where a file was mapped.
    "crates/formats/src/mmap/held.rs",
    // A counting allocator: the only way to see what a parser asks for.
    "crates/formats/tests/allocations.rs",
];

/// How many lines of a statement may stand between the comment and the word `unsafe`.
const MAX_STATEMENT_LINES: usize = 3;

/// `unsafe` outside the places that may hold it.
pub fn places(tree: &Tree) -> Vec<Finding> {
    let outside =
        tree.sources.iter().filter(|source| !PLACES.iter().any(|place| source.path.starts_with(place)));
    let text = "`unsafe` stands only in `kernels`, `formats::mmap` and the few that tidy names";
    outside
        .flat_map(|source| source.lines_with("unsafe").into_iter().map(move |line| (source, line)))
        .map(|(source, line)| Finding::new(&source.path, line, text))
        .collect()
}

/// Blocks and implementations without a `// SAFETY:` above them or at their top.
pub fn comments(tree: &Tree) -> Vec<Finding> {
    let text = "say in a `// SAFETY:` comment which invariant holds and who upholds it";
    let mut findings = Vec::new();
    for source in &tree.sources {
        let mut walker = Unsafe::default();
        walker.visit_file(&source.file);
        let bare = walker.lines.into_iter().filter(|line| !has_comment(source, *line));
        findings.extend(bare.map(|line| Finding::new(&source.path, line, text)));
    }
    findings
}

#[derive(Default)]
struct Unsafe {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Unsafe {
    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.lines.push(item.span().start().line);
        syn::visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(word) = &item.unsafety {
            self.lines.push(word.span().start().line);
        }
        syn::visit::visit_item_impl(self, item);
    }
}

fn has_comment(source: &Source, line: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let says = |text: &&str| text.contains("SAFETY:");
    let at = line - 1;
    // On the line itself, or as the first line of the block.
    if lines[at..].iter().take(2).any(says) {
        return true;
    }
    let mut between = 0;
    for text in lines[..at].iter().rev() {
        if text.starts_with("//") {
            if says(text) {
                return true;
            }
        } else if !text.starts_with("#[") {
            between += 1;
            // A finished statement ends the search: its comment belongs to it.
            if between > MAX_STATEMENT_LINES || text.ends_with(';') || text.ends_with('}') {
                return false;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tests::lines;

    #[test]
    fn unsafe_outside_its_places_is_caught() {
        let code = "fn f() {\n    unsafe { g() }\n}";
        assert_eq!(lines(places, "crates/ops/src/a.rs", code), [2]);
        assert_eq!(lines(places, "crates/formats/src/gguf.rs", code), [2]);
        assert!(lines(places, "crates/formats/src/mmap.rs", code).is_empty());
        assert!(
            lines(places, "crates/ops/src/a.rs", "//! Says unsafe.\nconst A: &str = \"unsafe\";").is_empty()
        );
    }

    #[test]
    fn a_block_without_its_reason_is_caught() {
        let path = "crates/kernels/src/a.rs";
        assert_eq!(lines(comments, path, "fn f() {\n    unsafe { g() }\n}"), [2]);
        assert_eq!(lines(comments, path, "unsafe impl Send for A {}"), [1]);
        assert!(
            lines(comments, path, "fn f() {\n    // SAFETY: g is sound.\n    unsafe { g() }\n}").is_empty()
        );
        assert!(
            lines(comments, path, "fn f() {\n    // SAFETY: g.\n    let a =\n        unsafe { g() };\n}")
                .is_empty()
        );
        assert!(
            lines(comments, path, "fn f() {\n    unsafe {\n        // SAFETY: g.\n        g()\n    }\n}")
                .is_empty()
        );
    }

    #[test]
    fn one_reason_serves_one_block() {
        let code = "fn f() {\n    // SAFETY: g.\n    unsafe { g() };\n    unsafe { h() };\n}";
        assert_eq!(lines(comments, "crates/kernels/src/a.rs", code), [4]);
    }
}
