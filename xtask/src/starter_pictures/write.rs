//! The chore `starter-pictures`: writes pictures, their captions, and what a check has to find in them.

use super::Sample;
use super::scene::{self, Part};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Pictures of one folder at most, so that a slip of the finger does not fill a disk.
const MOST: usize = 200_000;

/// What the command line asks for.
struct Wishes {
    out: PathBuf,
    n_pictures: usize,
    seed: u64,
    part: Part,
}

/// What is known of a picture that was written.
struct Written {
    caption: String,
    expected: serde_json::Value,
    n_bytes: usize,
}

/// Writes `NNNNN.png`, `metadata.jsonl` and `items.jsonl`.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let folder = &wishes.out;
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let written = pictures(&wishes)?;
    let create = |name: &str| -> Result<BufWriter<File>> {
        let path = folder.join(name);
        let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(BufWriter::new(file))
    };
    let (mut captions, mut items) = (create("metadata.jsonl")?, create("items.jsonl")?);
    for (index, picture) in written.iter().enumerate() {
        let (file_name, text) = (file_name(index), &picture.caption);
        let line = serde_json::json!({ "file_name": file_name, "text": text });
        writeln!(captions, "{line}")?;
        let line = serde_json::json!({ "file_name": file_name, "text": text, "expected": picture.expected });
        writeln!(items, "{line}")?;
    }
    captions.flush()?;
    items.flush()?;
    report(&written, folder);
    Ok(())
}

fn report(written: &[Written], folder: &Path) {
    let n_bytes: usize = written.iter().map(|picture| picture.n_bytes).sum();
    let captions: BTreeSet<&str> = written.iter().map(|picture| picture.caption.as_str()).collect();
    let (n_combinations, n_held_out) = scene::count();
    println!(
        "{} pictures of {} bytes on average, {} different captions, in {}",
        written.len(),
        n_bytes / written.len().max(1),
        captions.len(),
        folder.display()
    );
    println!(
        "{n_held_out} of {n_combinations} combinations of kind, colour, number and place are kept for the test"
    );
}

fn file_name(index: usize) -> String {
    format!("{index:05}.png")
}

/// Draws and writes all of them, on every core. Each has random numbers of its own, so that the order does not matter
/// and a larger set begins as a smaller one.
fn pictures(wishes: &Wishes) -> Result<Vec<Written>> {
    let n_workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = wishes.n_pictures.div_ceil(n_workers);
    let shares = (0..wishes.n_pictures).step_by(share.max(1));
    let ends = shares.map(|first| first..(first + share).min(wishes.n_pictures));
    std::thread::scope(|scope| {
        let workers: Vec<_> = ends
            .map(|range| scope.spawn(move || range.map(|index| picture(wishes, index)).collect::<Vec<_>>()))
            .collect();
        let done = workers.into_iter().flat_map(|worker| worker.join().expect("drawing does not panic"));
        done.collect()
    })
}

fn picture(wishes: &Wishes, index: usize) -> Result<Written> {
    let sample = Sample::new(wishes.seed, index, wishes.part);
    let bytes = sample.picture.png()?;
    let path = wishes.out.join(file_name(index));
    std::fs::write(&path, &bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(Written { caption: sample.caption, expected: sample.scene.expected(), n_bytes: bytes.len() })
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let (mut out, mut n_pictures, mut seed, mut part) = (None, 50_000, 1, Part::Training);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--held-out" {
            part = Part::HeldOut;
            continue;
        }
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--out" => out = Some(PathBuf::from(value)),
            "--pictures" => n_pictures = value.parse().with_context(|| format!("--pictures {value}"))?,
            "--seed" => seed = value.parse().with_context(|| format!("--seed {value}"))?,
            unknown => {
                bail!("{unknown} is not known; there are --out FOLDER --pictures N --seed N --held-out")
            }
        }
    }
    ensure!((1..=MOST).contains(&n_pictures), "--pictures {n_pictures}: from 1 to {MOST}");
    Ok(Wishes { out: out.context("where to? --out FOLDER")?, n_pictures, seed, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_command_line_is_read_and_what_is_wrong_is_named() {
        let wishes = read(&words("--out a --pictures 7 --held-out --seed 3")).unwrap();
        let found = (wishes.out, wishes.n_pictures, wishes.seed, wishes.part);
        assert_eq!(found, (PathBuf::from("a"), 7, 3, Part::HeldOut));
        let cases = ["", "--out", "--out a --pictures 0", "--out a --pictures 200001", "--out a --size 9 "];
        for case in cases {
            assert!(read(&words(case)).is_err(), "{case}");
        }
    }

    #[test]
    fn a_larger_set_begins_as_a_smaller_one_and_files_are_small() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, n: usize| {
            let out = folder.path().join(name);
            run(&words(&format!("--out {} --pictures {n} --seed 4", out.display()))).unwrap();
            out
        };
        let (few, many) = (write("few", 30), write("many", 101));
        let mut n_bytes = 0;
        for index in 0..30 {
            let read = |out: &Path| std::fs::read(out.join(file_name(index))).unwrap();
            assert_eq!(read(&few), read(&many));
            assert!(read(&few).len() < 4096, "{}", read(&few).len());
            n_bytes += read(&few).len();
        }
        assert!(n_bytes < 30 * 2048, "{n_bytes}");
        let lines = |out: &Path| {
            let text = std::fs::read_to_string(out.join("metadata.jsonl")).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&few), lines(&many)[..30]);
        assert_eq!(lines(&many).len(), 101);
    }
}
