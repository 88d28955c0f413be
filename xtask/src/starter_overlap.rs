//! The chore `starter-overlap`: how much of the held-out questions stands in the lessons, in runs of words.
//!
//! Words are compared in small letters and without the marks around them. A question that stands whole in the
//! lessons is an error; runs of eight words (or the whole question, where it is shorter) are counted.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Words of a run.
const RUN: usize = 8;

/// What is looked for: for each kind its runs and its whole questions, as hashes.
#[derive(Default)]
struct Kind {
    runs: HashSet<u64>,
    questions: HashMap<u64, String>,
}

/// What was found.
#[derive(Default)]
struct Found {
    runs: HashSet<u64>,
    questions: HashSet<u64>,
}

/// Compares the questions with the lessons.
pub fn run(arguments: &[String]) -> Result<()> {
    let (folder, items) = read(arguments)?;
    let kinds = kinds(&items)?;
    let wanted: HashSet<u64> = kinds.values().flat_map(|kind| kind.runs.iter().copied()).collect();
    let whole: HashSet<u64> = kinds.values().flat_map(|kind| kind.questions.keys().copied()).collect();
    let mut found = Found::default();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    ensure!(!files.is_empty(), "there are no lessons in {}", folder.display());
    for path in &files {
        each_text(path, &mut |text, is_question| {
            let words = words(text);
            let hashes = words.iter().enumerate().flat_map(|(at, _)| runs_from(&words[at..]));
            found.runs.extend(hashes.filter(|hash| wanted.contains(hash)));
            if is_question && whole.contains(&hash(&words)) {
                found.questions.insert(hash(&words));
            }
        })?;
    }
    report(&kinds, &found)
}

fn read(arguments: &[String]) -> Result<(PathBuf, PathBuf)> {
    let (mut folder, mut items) = (None, None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--text" => folder = Some(PathBuf::from(value)),
            "--items" => items = Some(PathBuf::from(value)),
            unknown => bail!("{unknown} is not known; there are --text FOLDER --items FILE"),
        }
    }
    Ok((folder.context("which lessons? --text FOLDER")?, items.context("which questions? --items FILE")?))
}

fn kinds(path: &Path) -> Result<BTreeMap<String, Kind>> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    each_line(path, &mut |item| {
        let name = item["kind"].as_str().context("a question without a kind")?;
        let messages = item["messages"].as_array().context("a question without messages")?;
        let question = messages.last().and_then(|message| message["content"].as_str());
        let question = question.context("a question without words")?;
        let kind = kinds.entry(name.to_owned()).or_default();
        let words = words(question);
        kind.questions.insert(hash(&words), question.to_owned());
        kind.runs.extend(words.windows(RUN.min(words.len()).max(1)).map(hash));
        Ok(())
    })?;
    Ok(kinds)
}

fn report(kinds: &BTreeMap<String, Kind>, found: &Found) -> Result<()> {
    let mut n_whole = 0;
    for (name, kind) in kinds {
        let n_runs = kind.runs.intersection(&found.runs).count();
        let whole: Vec<&String> = kind
            .questions
            .iter()
            .filter(|(hash, _)| found.questions.contains(hash))
            .map(|(_, question)| question)
            .collect();
        println!(
            "{name:<9} {n_runs:>5} of {:>5} runs of {RUN} words stand in the lessons, {:.1} %; {} of {} questions do",
            kind.runs.len(),
            100.0 * n_runs as f64 / kind.runs.len().max(1) as f64,
            whole.len(),
            kind.questions.len()
        );
        whole.iter().for_each(|question| println!("    {question}"));
        n_whole += whole.len();
    }
    ensure!(n_whole == 0, "{n_whole} questions stand whole in the lessons");
    Ok(())
}

/// Every text of the lessons, and whether a person says it.
fn each_text(path: &Path, take: &mut dyn FnMut(&str, bool)) -> Result<()> {
    each_line(path, &mut |document| {
        if let Some(text) = document["text"].as_str() {
            take(text, false);
        }
        for message in document["messages"].as_array().into_iter().flatten() {
            take(message["content"].as_str().unwrap_or_default(), message["role"] == "user");
        }
        Ok(())
    })
}

fn each_line(path: &Path, take: &mut dyn FnMut(&Value) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let place = || format!("{}:{}", path.display(), at + 1);
        let value: Value = serde_json::from_str(&line.with_context(place)?).with_context(place)?;
        take(&value).with_context(place)?;
    }
    Ok(())
}

fn words(text: &str) -> Vec<String> {
    let is_mark = |letter: char| letter.is_ascii_punctuation() && !matches!(letter, '+' | '-' | '*');
    let words = text.split_whitespace().map(|word| word.trim_matches(is_mark).to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

/// The runs that begin with the first word, from one word to eight. A shorter run has another hash than a longer.
fn runs_from(words: &[String]) -> impl Iterator<Item = u64> + '_ {
    words.iter().take(RUN).scan(FNV_OFFSET, |state, word| {
        *state = add(*state, word);
        Some(*state)
    })
}

fn hash(words: &[String]) -> u64 {
    words.iter().fold(FNV_OFFSET, |state, word| add(state, word))
}

/// FNV-1a, 64 bits, with a zero after each word. Source: G. Fowler, L. C. Noll, K.-P. Vo, D. Eastlake, "The FNV
/// Non-Cryptographic Hash Algorithm", section 2.
fn add(state: u64, word: &str) -> u64 {
    word.bytes()
        .chain([0])
        .fold(state, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(lesson: &str, question: &str) -> (usize, usize, Result<()>) {
        let folder = tempfile::tempdir().unwrap();
        let line = serde_json::json!({ "messages": [{ "role": "user", "content": lesson }] });
        std::fs::write(folder.path().join("a.jsonl"), format!("{line}\n")).unwrap();
        let item = serde_json::json!({ "kind": "k", "messages": [{ "role": "user", "content": question }] });
        let items = folder.path().join("items");
        std::fs::write(&items, format!("{item}\n")).unwrap();
        let kinds = kinds(&items).unwrap();
        let n_runs = kinds["k"].runs.len();
        let mut found = 0;
        each_text(&folder.path().join("a.jsonl"), &mut |text, _| {
            let words = words(text);
            let all =
                words.iter().enumerate().flat_map(|(at, _)| runs_from(&words[at..]).collect::<Vec<_>>());
            found += all.filter(|hash| kinds["k"].runs.contains(hash)).count();
        })
        .unwrap();
        let arguments = ["--text", folder.path().to_str().unwrap(), "--items", items.to_str().unwrap()];
        (found, n_runs, run(&arguments.map(str::to_owned)))
    }

    #[test]
    fn runs_of_words_are_found_whatever_their_marks_and_a_whole_question_is_an_error() {
        let (found, n_runs, outcome) = compare("Well, a b c d e f g h: so!", "a b c d e F g h i?");
        assert_eq!((found, n_runs, outcome.is_ok()), (1, 2, true));
        let (found, n_runs, outcome) = compare("What is 47 + 38?", "what is 47 + 38");
        assert_eq!((found, n_runs, outcome.is_ok()), (1, 1, false));
        let (found, _, outcome) = compare("What is 47 + 38?", "What is 47 + 39?");
        assert_eq!((found, outcome.is_ok()), (0, true));
    }
}
