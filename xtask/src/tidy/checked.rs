//! Every kernel, op, family and format has what proves it: a test and a bench row, a check, a fixture, a fuzz target.

use super::source::Source;
use super::{Finding, Tree};

const KERNELS: &str = "crates/kernels/src/";
const FORMATS: &str = "crates/formats/src/";

/// Kernels (modules that hold a `Kernel::new` table) without a test or without a row in a bench.
pub fn kernels(tree: &Tree) -> Vec<Finding> {
    let files = sources(tree, KERNELS).filter(|source| ships(source, "Kernel::new"));
    let mut findings = Vec::new();
    for source in files {
        let name = module(&source.path, KERNELS);
        let mut parts = sources(tree, KERNELS).filter(|part| module(&part.path, KERNELS) == name);
        if !parts.any(Source::has_tests) {
            findings.push(Finding::new(&source.path, 1, "no test holds its bodies against `scalar`"));
        }
        if !sources(tree, "crates/kernels/benches/").any(|bench| names(bench, name)) {
            findings.push(Finding::new(
                &source.path,
                1,
                format!("no bench in crates/kernels/benches has a row `{name}`"),
            ));
        }
    }
    findings
}

/// Op files (those that extend Burn) that no test of `ops` names.
pub fn ops(tree: &Tree) -> Vec<Finding> {
    let files = sources(tree, "crates/ops/src/").filter(|source| ships(source, "backend_extension"));
    let unchecked = files.filter(|source| {
        let name = stem(&source.path);
        !source.has_tests() && !sources(tree, "crates/ops/").any(|other| tests_name(other, name))
    });
    let text = "no test of `ops` names it: hold its override against its definition, its backward against differences";
    unchecked.map(|source| Finding::new(&source.path, 1, text)).collect()
}

/// Families without a fixture: a file under a `fixtures` folder whose path holds the family's name.
pub fn families(tree: &Tree) -> Vec<Finding> {
    let is_fixture = |path: &&String| path.starts_with("fixtures/") || path.contains("/fixtures/");
    let fixtures: Vec<&String> = tree.paths.iter().filter(is_fixture).collect();
    let files = sources(tree, "crates/models/src/families/");
    let text = |name| format!("no fixture is named for `{name}`: a reference's activations, with the script");
    let bare = files.filter(|source| !fixtures.iter().any(|path| path.contains(stem(&source.path))));
    bare.map(|source| Finding::new(&source.path, 1, text(stem(&source.path)))).collect()
}

/// Modules of `formats` with a public function `read…` or `parse…` that no fuzz target is named for.
pub fn formats(tree: &Tree) -> Vec<Finding> {
    let is_reader = |source: &&Source| module(&source.path, FORMATS) != "lib" && reads_bytes(source);
    let bare = sources(tree, FORMATS).filter(is_reader).filter(|source| {
        let name = module(&source.path, FORMATS);
        !sources(tree, "crates/formats/src/fuzz").any(|target| quotes(target, name))
    });
    let text = |name| format!("no target in crates/formats/src/fuzz.rs is called `{name}`");
    bare.map(|source| Finding::new(&source.path, 1, text(module(&source.path, FORMATS)))).collect()
}

/// Whether a free public function reads or parses; a method reads from what was parsed already.
fn reads_bytes(source: &Source) -> bool {
    source.file.items.iter().any(|item| {
        let syn::Item::Fn(item) = item else { return false };
        let name = item.sig.ident.to_string();
        let reads = name.starts_with("read") || name.starts_with("parse");
        reads && matches!(item.vis, syn::Visibility::Public(_))
    })
}

fn sources<'a>(tree: &'a Tree, folder: &'a str) -> impl Iterator<Item = &'a Source> {
    tree.sources.iter().filter(move |source| source.path.starts_with(folder))
}

/// Whether `code` stands in what ships of the file, outside its imports.
fn ships(source: &Source, code: &str) -> bool {
    let lines: Vec<&str> = source.text.lines().collect();
    let is_import = |line: usize| lines[line - 1].trim_start().starts_with("use ");
    source.lines_with(code).into_iter().any(|line| !source.is_test(line) && !is_import(line))
}

/// Whether the file's code names `name`, as an identifier or inside a string.
fn names(source: &Source, name: &str) -> bool {
    source.words.iter().any(|word| is_named(&word.text, name))
}

/// Whether a string of the file's code is `name`.
fn quotes(source: &Source, name: &str) -> bool {
    source.words.iter().any(|word| word.text.trim_matches('"') == name && word.text.starts_with('"'))
}

fn tests_name(source: &Source, name: &str) -> bool {
    source.words.iter().any(|word| source.is_test(word.line) && is_named(&word.text, name))
}

fn is_named(word: &str, name: &str) -> bool {
    let mut pieces = word.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    word == name || (word.starts_with('"') && pieces.any(|piece| piece == name))
}

/// `crates/kernels/src/rms_norm.rs` is `rms_norm`.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".rs").unwrap_or(file)
}

/// `crates/formats/src/gguf/header.rs` is `gguf`: the parts of a module are judged with it.
fn module<'a>(path: &'a str, folder: &str) -> &'a str {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    stem(inside.split('/').next().unwrap_or(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let sources = files.iter().map(|(path, text)| Source::parse(path, (*text).to_owned()).unwrap());
        Tree { sources: sources.collect(), ..Tree::default() }
    }

    const TESTED: &str = "static A: K = Kernel::new(\"a\");\n#[cfg(test)]\nmod tests { #[test]\nfn t() {} }";

    #[test]
    fn a_kernel_without_test_or_bench_is_caught() {
        let path = "crates/kernels/src/softmax.rs";
        let bench = ("crates/kernels/benches/rows.rs", "static ROWS: &[Row] = &[row(\"softmax\")];");
        assert!(kernels(&tree(&[(path, TESTED), bench])).is_empty());
        assert_eq!(kernels(&tree(&[(path, TESTED)])).len(), 1);
        assert_eq!(kernels(&tree(&[(path, "static A: K = Kernel::new(\"a\");"), bench])).len(), 1);
        let parts = [
            ("crates/kernels/src/softmax/wide.rs", "static A: K = Kernel::new(\"a\");"),
            (path, TESTED),
            bench,
        ];
        assert!(kernels(&tree(&parts)).is_empty());
        assert!(kernels(&tree(&[("crates/kernels/src/pool.rs", "fn f() {}")])).is_empty());
    }

    #[test]
    fn an_op_that_no_test_names_is_caught() {
        let op = ("crates/ops/src/rope.rs", "#[backend_extension(Flex)]\npub trait RopeOp {}");
        assert_eq!(ops(&tree(&[op])).len(), 1);
        assert!(ops(&tree(&[op, ("crates/ops/tests/check.rs", "fn f() { ops::rope::rope(); }")])).is_empty());
        assert_eq!(ops(&tree(&[op, ("crates/ops/src/a.rs", "fn f() { rope(); }")])).len(), 1);
        assert!(ops(&tree(&[("crates/ops/src/lib.rs", "use burn::backend_extension;")])).is_empty());
    }

    #[test]
    fn a_family_without_a_fixture_is_caught() {
        let mut tree = tree(&[("crates/models/src/families/llama.rs", "")]);
        assert_eq!(families(&tree).len(), 1);
        tree.paths.push("crates/models/src/families/llama.rs".to_owned());
        assert_eq!(families(&tree).len(), 1);
        tree.paths.push("fixtures/models/llama.safetensors".to_owned());
        assert!(families(&tree).is_empty());
    }

    #[test]
    fn a_format_without_a_target_is_caught() {
        let reader = ("crates/formats/src/gguf/header.rs", "pub fn parse(bytes: &[u8]) {}");
        assert_eq!(formats(&tree(&[reader])).len(), 1);
        let fuzz = ("crates/formats/src/fuzz.rs", "pub static TARGETS: &[T] = &[(\"gguf\", gguf)];");
        assert!(formats(&tree(&[reader, fuzz])).is_empty());
        let import = ("crates/formats/src/fuzz.rs", "use crate::gguf;");
        assert_eq!(formats(&tree(&[reader, import])).len(), 1);
        assert!(formats(&tree(&[("crates/formats/src/error.rs", "pub fn hint() {}")])).is_empty());
    }
}
