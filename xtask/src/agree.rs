//! `cargo xtask agree --model FILE --texts FILE`: whether Hearth and llama.cpp say the same on the same GGUF files.
//!
//! Prompts are what [`asks`] makes of the texts, as Hearth's template and vocabulary turn them into ids; llama.cpp is
//! given the ids. The two agree where all of the likeliest tokens are the same, up to the end where Hearth sees one.
//! Where the first difference lies between two tokens that Hearth holds almost equally likely, rounding decides: it
//! counts as equal and is listed. `--all` asks the files that [`files`] makes.

mod asks;
mod files;

use crate::bench::peer;
use anyhow::{Context, Result, bail, ensure};
use asks::Ask;
use files::File;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tokens of an answer.
const N_TOKENS: usize = 64;
/// Natural logarithms of two probabilities that lie nearer are a tie.
const TIE: f64 = 1e-3;
/// Of 200 prompts, so many have to agree.
const WANTED_SHARE: f64 = 0.95;

/// What the command line asks for.
struct Wishes {
    /// None: all that can be made.
    models: Vec<PathBuf>,
    texts: Option<PathBuf>,
    program: PathBuf,
    environment: PathBuf,
    n_prompts: usize,
}

/// What Hearth says to one prompt.
struct Answer {
    prompt: Vec<u64>,
    tokens: Vec<u64>,
    /// How far the two likeliest lie apart, at each token.
    margins: Vec<f64>,
}

/// Where two answers part.
#[derive(Debug, PartialEq)]
enum Meeting {
    Equal,
    /// At a token whose margin is this.
    Tie(usize, f64),
    Differs(usize, f64),
    /// Hearth's answer ends at this token, the other goes on.
    GoesOn(usize),
}

/// How often each kind of meeting came.
#[derive(Default)]
struct Count {
    equal: usize,
    ties: usize,
    all: usize,
}

/// Asks both programs about every file and counts.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let python = peer::find("llama.cpp")?.python(&wishes.environment)?;
    let files = if wishes.models.is_empty() { files::make(&wishes)? } else { named(&wishes)? };
    let mut rows = Vec::new();
    let mut is_short = false;
    for file in &files {
        let Count { equal, ties, all } = count(file, &wishes, &python)?;
        is_short |= ((equal + ties) as f64) < WANTED_SHARE * all as f64;
        let name = file.model.file_name().unwrap_or_default().to_string_lossy();
        rows.push(format!("| {name} | {equal} | {ties} | {} |", all - equal - ties));
    }
    println!("\n| file | equal | ties | different |\n|---|---|---|---|\n{}", rows.join("\n"));
    ensure!(!is_short, "too few answers of a file agree");
    Ok(())
}

/// The files that the command line names.
fn named(wishes: &Wishes) -> Result<Vec<File>> {
    let texts = wishes.texts.as_ref().context("which texts? --texts FILE, of words that the model knows")?;
    Ok(wishes.models.iter().map(|model| File { model: model.clone(), texts: texts.clone() }).collect())
}

/// Asks both programs about one file, and tells what differs.
fn count(file: &File, wishes: &Wishes, python: &Path) -> Result<Count> {
    let ends = ends(&wishes.program, &file.model)?;
    let asks = asks::read(&file.texts, wishes.n_prompts)?;
    let asked = asks.iter().map(|ask| Answer::of(&wishes.program, &file.model, ask));
    let answers = asked.collect::<Result<Vec<Answer>>>()?;
    let others = ask_peer(python, &file.model, &answers)?;
    let mut count = Count { all: answers.len(), ..Count::default() };
    for (at, (answer, other)) in answers.iter().zip(&others).enumerate() {
        let what = match meeting(answer, other, &ends) {
            Meeting::Equal => {
                count.equal += 1;
                continue;
            }
            Meeting::Tie(token, margin) => {
                count.ties += 1;
                format!("a tie at token {token}, {margin:.1e} apart")
            }
            Meeting::Differs(token, margin) => {
                format!("differs at token {token}, where the two likeliest lie {margin:.1e} apart")
            }
            Meeting::GoesOn(token) => format!("ends at token {token}, where llama.cpp goes on"),
        };
        println!("{}, prompt {at}: {what}", file.model.display());
    }
    Ok(count)
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let target = crate::workspace::target();
    let (mut models, mut texts, mut n_prompts, mut is_all) = (Vec::new(), None, 200, false);
    let mut program = target.join("release/hearth");
    let mut environment = target.join("peers/llama.cpp");
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--all" {
            is_all = true;
            continue;
        }
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--model" => models.push(PathBuf::from(value)),
            "--texts" => texts = Some(PathBuf::from(value)),
            "--program" => program = value.into(),
            "--environment" => environment = value.into(),
            "--prompts" => n_prompts = value.parse().with_context(|| format!("{value} is no number"))?,
            unknown => bail!(
                "{unknown} is not known; there are --all --model FILE --texts FILE --program FILE \
                 --environment FOLDER --prompts N"
            ),
        }
    }
    ensure!(is_all == models.is_empty(), "which models? --model FILE.gguf, as often as wished, or --all");
    ensure!(n_prompts > 0, "at least one prompt is needed");
    Ok(Wishes { models, texts, program, environment, n_prompts })
}

impl Answer {
    /// What Hearth says to one prompt, from its events.
    fn of(program: &Path, model: &Path, ask: &Ask) -> Result<Self> {
        let n_tokens = N_TOKENS.to_string();
        let mut command = Command::new(program);
        command.args(["explain", "--json", "--alternatives", "2", "--temperature", "0"]);
        command.args(["--max-tokens", &n_tokens]);
        let text = match ask {
            Ask::Plain(text) => {
                command.arg("--raw");
                text
            }
            Ask::Chat { system, user } => {
                command.args(system.iter().map(|system| format!("--system={system}")));
                user
            }
        };
        let events = events(command.arg("--").arg(model).arg(text))?;
        answer(&events).context("the program's events are not as they were")
    }
}

/// What a command of Hearth tells.
fn events(command: &mut Command) -> Result<Vec<Value>> {
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The special tokens that a model's file names: an answer ends at one of them.
fn ends(program: &Path, model: &Path) -> Result<Vec<u64>> {
    let events = events(Command::new(program).args(["show", "--json"]).arg(model))?;
    let details = events.iter().find(|event| event["event"] == "details");
    let metadata = details.and_then(|details| details["metadata"].as_array());
    let metadata = metadata.context("the program does not show what the file says")?;
    let is_id = |entry: &&Value| {
        entry[0].as_str().is_some_and(|key| key.starts_with("tokenizer.") && key.ends_with("_token_id"))
    };
    Ok(metadata.iter().filter(is_id).filter_map(|entry| entry[1].as_str()?.parse().ok()).collect())
}

fn answer(events: &[Value]) -> Option<Answer> {
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let pieces = of("started").next()?["prompt_tokens"].as_array()?;
    let prompt = pieces.iter().map(|piece| piece["id"].as_u64()).collect::<Option<Vec<_>>>()?;
    let tokens = of("token").map(|token| token["piece"]["id"].as_u64()).collect::<Option<Vec<_>>>()?;
    let margin = |token: &Value| {
        let likely = |at: usize| token["alternatives"][at]["log_probability"].as_f64();
        Some(likely(0)? - likely(1)?)
    };
    let margins = of("token").map(margin).collect::<Option<Vec<_>>>()?;
    Some(Answer { prompt, tokens, margins })
}

fn ask_peer(python: &Path, model: &Path, answers: &[Answer]) -> Result<Vec<Vec<u64>>> {
    let script = crate::workspace::root().join("benches/peers/llama_cpp_greedy.py");
    let prompts: Vec<&[u64]> = answers.iter().map(|answer| &answer.prompt[..]).collect();
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let wanted = json!({ "model": model, "n_tokens": N_TOKENS, "prompts": prompts });
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(wanted.to_string().as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "llama.cpp failed; the reason stands above");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Where they part. An answer that ends is compared as far as it goes, and there the other has to end too.
fn meeting(answer: &Answer, other: &[u64], ends: &[u64]) -> Meeting {
    let parting = answer.tokens.iter().zip(other).position(|(ours, theirs)| ours != theirs);
    match parting {
        None => match other.get(answer.tokens.len()) {
            Some(token) if !ends.contains(token) => Meeting::GoesOn(answer.tokens.len()),
            _ => Meeting::Equal,
        },
        Some(at) if answer.margins[at] <= TIE => Meeting::Tie(at, answer.margins[at]),
        Some(at) => Meeting::Differs(at, answer.margins[at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_part_at_a_tie_or_at_a_difference() {
        let answer = Answer { prompt: vec![1], tokens: vec![5, 6, 7], margins: vec![1.0, 5e-4, 0.3] };
        let meet = |other: &[u64]| meeting(&answer, other, &[2, 8]);
        assert_eq!((meet(&[5, 6, 7, 8]), meet(&[5, 6, 7])), (Meeting::Equal, Meeting::Equal));
        assert_eq!(meet(&[5, 6, 7, 9]), Meeting::GoesOn(3));
        assert_eq!(meet(&[5, 9, 7]), Meeting::Tie(1, 5e-4));
        assert_eq!(meet(&[5, 6, 9]), Meeting::Differs(2, 0.3));
    }

    #[test]
    fn files_are_named_or_all_are_made() {
        let wish = |line: &str| read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let two = wish("--model a.gguf --texts t.jsonl --model b.gguf").unwrap();
        assert_eq!(two.models, ["a.gguf", "b.gguf"].map(PathBuf::from));
        assert_eq!(named(&two).unwrap().len(), 2);
        assert!(
            wish("--all --prompts 9").is_ok_and(|wishes| wishes.models.is_empty() && wishes.n_prompts == 9)
        );
        for line in ["--all --model a.gguf", "--prompts 9", "--all --prompts 0", "--song x", "--model"] {
            assert!(wish(line).is_err(), "{line}");
        }
        assert!(named(&wish("--model a.gguf").unwrap()).is_err(), "no texts");
    }

    #[test]
    fn events_become_an_answer() {
        let events = [
            json!({ "event": "started", "prompt_tokens": [{ "id": 3, "text": "a" }] }),
            json!({ "event": "token", "piece": { "id": 4 }, "alternatives": [
                { "log_probability": -0.5 }, { "log_probability": -1.5 }] }),
        ];
        let answer = answer(&events).unwrap();
        assert_eq!((answer.prompt, answer.tokens, answer.margins), (vec![3], vec![4], vec![1.0]));
        assert!(super::answer(&[json!({ "event": "token" })]).is_none());
    }
}
