//! Words that no file of the project may hold: paths of one machine, addresses of package registries.
//!
//! The words are put together here from halves, so that this file does not hold them.

use super::{Finding, Tree};

static WORDS: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("index.", "crates.io"), "a registry's address: cargo knows it"),
    (concat!("static.", "crates.io"), "a registry's address: cargo knows it"),
    (concat!("registry.", "npmjs.org"), "a registry's address: npm knows it"),
    (concat!("pypi.org/", "simple"), "a registry's address: pip knows it"),
    (concat!("files.", "pythonhosted.org"), "a registry's address: pip knows it"),
    (concat!("sparse+", "http"), "a registry's address: cargo knows it"),
];

/// Every forbidden word in a file that people read.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.sources.iter().map(|source| (source.path.as_str(), source.text.as_str()));
    let texts = tree.texts.iter().map(|text| (text.path.as_str(), text.content.as_str()));
    sources.chain(texts).flat_map(|(path, content)| in_file(path, content)).collect()
}

fn in_file(path: &str, content: &str) -> Vec<Finding> {
    // Most files hold none, so the whole text is looked through before its lines.
    let present: Vec<_> = WORDS.iter().filter(|(word, _)| content.contains(word)).collect();
    let mut findings = Vec::new();
    for (word, why) in present {
        let lines = content.lines().enumerate().filter(|(_, line)| line.contains(word));
        findings.extend(lines.map(|(at, _)| Finding::new(path, at + 1, format!("`{word}`: {why}"))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_caught_with_its_line() {
        for (word, _) in WORDS {
            let found = in_file("a.md", &format!("first\nsee {word}here\n"));
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2);
        }
        assert!(in_file("a.md", "work/here, the root of it, crates.io\n").is_empty());
    }
}
