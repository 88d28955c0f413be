//! One Rust file as the rules see it: its text, its syntax tree, its code words, and which lines are tests.

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// A parsed file.
pub struct Source {
    /// Relative to the root, with forward slashes.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The syntax tree.
    pub file: syn::File,
    /// Every identifier, literal and punctuation mark of the code in order; comments and docs are not code.
    pub words: Vec<Word>,
    tests: Vec<(usize, usize)>,
}

/// One word of code and the line (from 1) that it stands on.
pub struct Word {
    pub text: String,
    pub line: usize,
}

impl Source {
    /// Parses `text`; a file that Rust cannot parse is an error.
    pub fn parse(path: &str, text: String) -> Result<Self> {
        let file = syn::parse_file(&text).with_context(|| format!("{path} is not Rust"))?;
        let tokens: TokenStream = text.parse().ok().with_context(|| format!("{path} has no tokens"))?;
        let mut tests = TestLines::default();
        tests.visit_file(&file);
        Ok(Self { path: path.to_owned(), words: words(tokens), file, tests: tests.ranges, text })
    }

    /// Whether the line belongs to a test, a bench, an example or a build script: not to what ships.
    pub fn is_test(&self, line: usize) -> bool {
        let folder = |name: &str| {
            self.path.starts_with(&format!("{name}/")) || self.path.contains(&format!("/{name}/"))
        };
        let dev = self.path.starts_with("crates/testkit/") || self.path.ends_with("/build.rs");
        let outside = ["tests", "benches", "examples", "fuzz"].iter().any(|name| folder(name));
        let file_name = self.path.rsplit('/').next() == Some("tests.rs");
        dev || outside || file_name || self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// The crate folder's name (`kernels`), or `xtask`.
    pub fn crate_name(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or(path)
    }

    /// The lines where `pattern` (a piece of Rust, such as `env::var`) stands in the code.
    pub fn lines_with(&self, pattern: &str) -> Vec<usize> {
        let wanted: Vec<String> = match pattern.parse() {
            Ok(tokens) => words(tokens).into_iter().map(|word| word.text).collect(),
            Err(_) => return Vec::new(),
        };
        let windows = self.words.windows(wanted.len().max(1));
        let hits = windows.filter(|window| window.iter().map(|word| &word.text).eq(wanted.iter()));
        hits.map(|window| window[0].line).collect()
    }

    /// The number of lines before `#[cfg(test)] mod tests`, or of all lines.
    pub fn lines_before_tests(&self) -> usize {
        let is_tests = |item: &&syn::Item| matches!(item, syn::Item::Mod(module) if is_test(&module.attrs));
        let tests = self.file.items.iter().find(is_tests).map(|item| item.span().start().line - 1);
        tests.unwrap_or_else(|| self.text.lines().count())
    }

    /// Whether a `#[test]` stands in the file.
    pub fn has_tests(&self) -> bool {
        !self.lines_with("#[test]").is_empty()
    }
}

fn words(tokens: TokenStream) -> Vec<Word> {
    let mut found = Vec::new();
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                found.push(Word { text: open.to_owned(), line });
                found.extend(words(group.stream()));
                found.push(Word { text: close.to_owned(), line: group.span_close().start().line });
            }
            other => found.push(Word { text: other.to_string(), line }),
        }
    }
    found
}

/// Whether the attributes make an item a test: `#[test]` or `#[cfg(test)]` (alone or inside `all(…)`).
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let inside: Vec<String> = words(list.tokens.clone()).into_iter().map(|word| word.text).collect();
        let negated = inside.iter().any(|word| word == "not");
        attribute.path().is_ident("cfg") && inside.iter().any(|word| word == "test") && !negated
    })
}

#[derive(Default)]
struct TestLines {
    ranges: Vec<(usize, usize)>,
}

impl TestLines {
    fn note(&mut self, attributes: &[syn::Attribute], span: proc_macro2::Span) {
        if is_test(attributes) {
            self.ranges.push((span.start().line, span.end().line));
        }
    }
}

impl<'ast> Visit<'ast> for TestLines {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.note(&item.attrs, item.span());
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.attrs, item.span());
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.note(&item.attrs, item.span());
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item.span());
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note(&item.attrs, item.span());
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::tidy::{Finding, Tree};

    /// A tree of one file, for the tests of the rules.
    pub fn tree(path: &str, text: &str) -> Tree {
        Tree { sources: vec![Source::parse(path, text.to_owned()).unwrap()], ..Tree::default() }
    }

    /// The lines that a rule objects to in one file.
    pub fn lines(check: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        check(&tree(path, text)).iter().map(|finding| finding.line).collect()
    }

    const SAMPLE: &str = "//! A sample.
fn ships() { std::env::var(\"X\"); }
#[cfg(not(test))]
fn ships_too() {}
/// Speaks of env::var only.
#[cfg(test)]
mod tests {
    #[test]
    fn is_a_test() {}
}
";

    #[test]
    fn code_is_found_and_comments_are_not() {
        let source = Source::parse("crates/base/src/a.rs", SAMPLE.to_owned()).unwrap();
        assert_eq!(source.lines_with("env::var"), [2]);
        assert_eq!(source.lines_before_tests(), 4);
        assert!(source.has_tests() && source.crate_name() == "base");
    }

    #[test]
    fn test_lines_are_told_from_what_ships() {
        let source = Source::parse("crates/base/src/a.rs", SAMPLE.to_owned()).unwrap();
        assert!(!source.is_test(2) && !source.is_test(4) && source.is_test(9));
        let bench = Source::parse("crates/base/benches/a.rs", SAMPLE.to_owned()).unwrap();
        assert!(bench.is_test(2));
    }
}
