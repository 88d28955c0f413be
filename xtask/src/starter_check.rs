//! The chores about held-out questions: `starter-held-out` writes them, `starter-check` asks a model.
//!
//! The questions are another program's (`xtask/held-out`), which is only started here. The check knows the lines
//! of the file and nothing of how they were made; it asks the built program `hearth`, a process for each question.

mod judge;

use crate::{at_once, workspace};
use anyhow::{Context, Result, bail, ensure};
use judge::Expected;
use serde::Deserialize;
use starter_words::conversation::Message;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How many percent of a kind have to be right.
const WANTED: &[(&str, usize)] = &[("sums", 95), ("calls", 97), ("hearth", 90)];
/// No right answer is longer, in tokens.
const MAX_TOKENS: &str = "320";

/// A line of the file.
#[derive(Deserialize)]
struct Item {
    kind: String,
    messages: Vec<Message>,
    expected: Expected,
}

/// What the command line asks for.
struct Wishes {
    model: String,
    items: PathBuf,
    program: PathBuf,
    kind: Option<String>,
}

/// Starts the program that writes the questions, with the same arguments.
pub fn write_held_out(arguments: &[String]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--bin", "starter-held-out", "--"]);
    // Paths are meant from where the chore was called.
    command.current_dir(std::env::current_dir()?).args(arguments);
    ensure!(command.status()?.success(), "no questions were written; the reason stands above");
    Ok(())
}

/// Asks every question and says how many answers are right, and which are wrong.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let text = std::fs::read_to_string(&wishes.items)
        .with_context(|| format!("{} cannot be read", wishes.items.display()))?;
    let lines = text.lines().enumerate();
    let read = lines.map(|(at, line)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", wishes.items.display(), at + 1))
    });
    let mut items: Vec<Item> = read.collect::<Result<_>>()?;
    items.retain(|item| wishes.kind.as_ref().is_none_or(|kind| *kind == item.kind));
    ensure!(!items.is_empty(), "there is no such question");
    let answers = at_once::for_all(&items, |_, item| ask(item, &wishes))?;
    let mut kinds: Vec<&str> = items.iter().map(|item| item.kind.as_str()).collect();
    kinds.dedup();
    let reports: Vec<Report> = kinds.iter().map(|kind| report(kind, &items, &answers)).collect();
    println!();
    let mut is_short = false;
    for report in &reports {
        println!("{report}");
        is_short |= report.is_short();
    }
    ensure!(!is_short, "a kind of question is answered less often than wanted");
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let (mut model, mut items, mut kind) = (None, None, None);
    let mut program = workspace::target().join("release/hearth");
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--model" => model = Some(value.clone()),
            "--items" => items = Some(PathBuf::from(value)),
            "--program" => program = PathBuf::from(value),
            "--kind" => kind = Some(value.clone()),
            unknown => bail!(
                "{unknown} is not known; there are --model NAME_OR_FILE --items FILE --program FILE --kind KIND"
            ),
        }
    }
    ensure!(
        program.is_file(),
        "{} is not there: cargo build --release --bin hearth, or --program FILE",
        program.display()
    );
    let items = items.context("which questions? --items FILE, from cargo xtask starter-held-out")?;
    Ok(Wishes { model: model.context("which model? --model NAME_OR_FILE")?, items, program, kind })
}

/// What the program answers to one conversation: the likeliest token each time.
fn ask(item: &Item, wishes: &Wishes) -> Result<String> {
    let mut child = Command::new(&wishes.program)
        .args(["run", &wishes.model, "--messages", "-", "--temperature", "0", "--max-tokens", MAX_TOKENS])
        .env("HEARTH_THREADS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", wishes.program.display()))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let written = stdin.write_all(serde_json::to_string(&item.messages)?.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    // A program that fails before it reads says more than the pipe that it broke.
    ensure!(output.status.success(), "the program failed; the reason stands above");
    written.context("the program does not read what it is asked")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// How many of one kind are right.
struct Report {
    kind: String,
    n_right: usize,
    n_all: usize,
}

impl Report {
    fn wanted(&self) -> Option<usize> {
        WANTED.iter().find(|(kind, _)| *kind == self.kind).map(|(_, percent)| *percent)
    }

    fn is_short(&self) -> bool {
        self.wanted().is_some_and(|percent| self.n_right * 100 < percent * self.n_all)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = 100.0 * self.n_right as f64 / self.n_all as f64;
        write!(f, "{:<9} {:>4} of {} right, {share:.1} %", self.kind, self.n_right, self.n_all)?;
        match self.wanted() {
            Some(percent) if self.is_short() => write!(f, "; {percent} % wanted: MISSED"),
            Some(percent) => write!(f, "; {percent} % wanted"),
            None => Ok(()),
        }
    }
}

/// Counts the right ones and prints the wrong ones.
fn report(kind: &str, items: &[Item], answers: &[String]) -> Report {
    let mut report = Report { kind: kind.to_owned(), n_right: 0, n_all: 0 };
    for (item, answer) in items.iter().zip(answers).filter(|(item, _)| item.kind == kind) {
        report.n_all += 1;
        if item.expected.is_met_by(answer) {
            report.n_right += 1;
        } else {
            let question = item.messages.last().map_or("", |message| message.content.as_str());
            println!("{kind}: {question}\n    wanted {}\n    got    {answer:?}", item.expected);
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(line: &str) -> Item {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn right_answers_are_counted_and_a_short_kind_is_missed() {
        let line =
            r#"{"kind":"sums","messages":[{"role":"user","content":"2 + 3"}],"expected":{"integer":5}}"#;
        let items = [item(line), item(line)];
        let count = |answers: [&str; 2]| report("sums", &items, &answers.map(str::to_owned));
        let all = count(["5.", "It is 5."]);
        assert_eq!(
            (all.to_string().as_str(), all.is_short()),
            ("sums         2 of 2 right, 100.0 %; 95 % wanted", false)
        );
        let half = count(["6", "5"]);
        assert_eq!((half.n_right, half.is_short()), (1, true));
        assert!(half.to_string().ends_with("50.0 %; 95 % wanted: MISSED"), "{half}");
    }

    #[test]
    fn a_line_that_is_no_question_is_refused() {
        for line in ["{}", r#"{"kind":"sums","messages":[],"expected":{"number":5}}"#] {
            assert!(serde_json::from_str::<Item>(line).is_err(), "{line}");
        }
    }
}
