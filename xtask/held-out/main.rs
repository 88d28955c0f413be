//! The questions that test the starter model: 500 of each kind, in phrasings that its lessons do not have.
//!
//! A program of its own: the lessons are written by `xtask`, and neither program can import the other's sentences.
//! What both know, the meanings, is `starter_words`. Words and numbers are those of the lessons; what is said with
//! them is not, and no pair of numbers that is asked here occurs there.

mod hearth;
mod home;
mod item;
mod stories;
mod sums;

use anyhow::{Context, Result, bail};
use base::Rng;
use item::Item;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Questions of each kind.
const N_ITEMS: usize = 500;

/// A kind of question, as the lines name it, and how one is made.
struct Kind {
    name: &'static str,
    item: fn(&mut Rng) -> Item,
}

static KINDS: &[Kind] = &[
    Kind { name: "sums", item: sums::sum },
    Kind { name: "products", item: sums::product },
    Kind { name: "calls", item: home::call },
    Kind { name: "hearth", item: hearth::question },
    Kind { name: "stories", item: stories::wish },
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, seed) = read(&arguments)?;
    let file = File::create(&out).with_context(|| format!("{} cannot be written", out.display()))?;
    let mut file = BufWriter::new(file);
    for (index, kind) in KINDS.iter().enumerate() {
        let mut rng = Rng::new(seed ^ ((index as u64 + 1) << 32));
        for item in items(kind, &mut rng) {
            writeln!(file, "{}", item.line(kind.name))?;
        }
    }
    file.flush()?;
    println!("{} kinds of {N_ITEMS} questions in {}", KINDS.len(), out.display());
    Ok(())
}

/// Questions that are all different.
fn items(kind: &Kind, rng: &mut Rng) -> Vec<Item> {
    let mut asked = BTreeSet::new();
    let mut found = Vec::new();
    while found.len() < N_ITEMS {
        let item = (kind.item)(rng);
        if asked.insert(item.line(kind.name)) {
            found.push(item);
        }
    }
    found
}

fn read(arguments: &[String]) -> Result<(PathBuf, u64)> {
    let (mut out, mut seed) = (None, 1);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--out" => out = Some(PathBuf::from(value)),
            "--seed" => seed = value.parse()?,
            unknown => bail!("{unknown} is not known; there are --out FILE --seed N"),
        }
    }
    Ok((out.context("where to? --out FILE")?, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_questions_and_no_mark_of_a_template_is_left() {
        for kind in KINDS {
            let items = items(kind, &mut Rng::new(1));
            assert_eq!(items.len(), N_ITEMS);
            for item in &items {
                let said = &item.messages.last().unwrap().content;
                assert!(!said.contains(['{', '}', '|', '@']) && !said.contains("  "), "{said}");
                assert_eq!(item.messages.last().unwrap().role, "user");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_questions_for_ever() {
        let lines = |seed| {
            let items = items(&KINDS[2], &mut Rng::new(seed));
            items.iter().map(|item| item.line("calls")).collect::<Vec<_>>()
        };
        assert_eq!(lines(1), lines(1));
        assert_ne!(lines(1), lines(2));
    }

    #[test]
    fn a_command_line_without_a_file_is_refused() {
        assert!(read(&[]).is_err() && read(&["--out".to_owned()]).is_err());
        let arguments = ["--out", "a.jsonl", "--seed", "7"].map(str::to_owned);
        assert_eq!(read(&arguments).unwrap(), (PathBuf::from("a.jsonl"), 7));
    }
}
