//! `cargo xtask agree --model FILE --texts FILE`: whether Hearth and llama.cpp say the same on the same GGUF file.
//!
//! Prompts are stretches of the texts as Hearth's vocabulary cuts them; llama.cpp is given their ids. The two agree
//! where all of the likeliest tokens are the same. Where the first difference lies between two tokens that Hearth
//! holds almost equally likely, rounding decides: it counts as equal and is listed.

use crate::bench::peer;
use anyhow::{Context, Result, bail, ensure};
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
/// Words of a prompt, by turns.
const WORDS: [usize; 5] = [4, 9, 14, 20, 30];

/// What the command line asks for.
struct Wishes {
    model: PathBuf,
    texts: PathBuf,
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
}

/// Asks both programs and counts.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let python = peer::find("llama.cpp")?.python(&wishes.environment)?;
    let text = std::fs::read_to_string(&wishes.texts)
        .with_context(|| format!("{} cannot be read", wishes.texts.display()))?;
    let mut answers = Vec::new();
    for prompt in prompts(&text, wishes.n_prompts) {
        answers.push(ask(&wishes, &prompt)?);
    }
    let others = ask_peer(&python, &wishes.model, &answers)?;
    let (mut n_equal, mut n_ties) = (0, 0);
    for (at, (answer, other)) in answers.iter().zip(&others).enumerate() {
        match meeting(answer, other) {
            Meeting::Equal => n_equal += 1,
            Meeting::Tie(token, margin) => {
                n_ties += 1;
                println!("prompt {at}: a tie at token {token}, {margin:.1e} apart");
            }
            Meeting::Differs(token, margin) => {
                println!(
                    "prompt {at}: differs at token {token}, where the two likeliest lie {margin:.1e} apart"
                );
            }
        }
    }
    let n_all = answers.len();
    println!(
        "{}: {n_equal} of {n_all} equal in all {N_TOKENS} tokens, {n_ties} ties",
        wishes.model.display()
    );
    ensure!((n_equal + n_ties) as f64 >= WANTED_SHARE * n_all as f64, "too few agree");
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let target = crate::bench::target();
    let (mut model, mut texts, mut n_prompts) = (None, None, 200);
    let mut program = target.join("release/hearth");
    let mut environment = target.join("peers/llama.cpp");
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--model" => model = Some(PathBuf::from(value)),
            "--texts" => texts = Some(PathBuf::from(value)),
            "--program" => program = value.into(),
            "--environment" => environment = value.into(),
            "--prompts" => n_prompts = value.parse().with_context(|| format!("{value} is no number"))?,
            unknown => bail!(
                "{unknown} is not known; there are --model FILE --texts FILE --program FILE --environment FOLDER \
                 --prompts N"
            ),
        }
    }
    let model = model.context("which model? --model FILE.gguf")?;
    let texts = texts.context("which texts? --texts FILE, of words that the model knows")?;
    ensure!(n_prompts > 0, "at least one prompt is needed");
    Ok(Wishes { model, texts, program, environment, n_prompts })
}

/// Stretches of a text, evenly spread over it.
fn prompts(text: &str, n: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let prompt = |at: usize| {
        let length = WORDS[at % WORDS.len()].min(words.len());
        let from = (words.len() - length) * at / n;
        words[from..from + length].join(" ")
    };
    (0..n).map(prompt).collect()
}

/// What Hearth says, from its events.
fn ask(wishes: &Wishes, prompt: &str) -> Result<Answer> {
    let n_tokens = N_TOKENS.to_string();
    let output = Command::new(&wishes.program)
        .args(["explain", "--json", "--raw", "--alternatives", "2", "--max-tokens", &n_tokens, "--"])
        .arg(&wishes.model)
        .arg(prompt)
        .output()
        .with_context(|| format!("{} does not start", wishes.program.display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    answer(&events).context("the program's events are not as they were")
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

/// Where they part; an answer that the model ended is compared as far as it goes.
fn meeting(answer: &Answer, other: &[u64]) -> Meeting {
    let parting = answer.tokens.iter().zip(other).position(|(ours, theirs)| ours != theirs);
    match parting {
        None => Meeting::Equal,
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
        assert_eq!(meeting(&answer, &[5, 6, 7, 8]), Meeting::Equal);
        assert_eq!(meeting(&answer, &[5, 9, 7]), Meeting::Tie(1, 5e-4));
        assert_eq!(meeting(&answer, &[5, 6, 9]), Meeting::Differs(2, 0.3));
    }

    #[test]
    fn prompts_are_spread_over_the_text() {
        let text: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let prompts = prompts(&text.join(" "), 10);
        assert_eq!(prompts.len(), 10);
        assert!(prompts[0].starts_with("0 1 2") && prompts[9].starts_with("87"), "{prompts:?}");
        assert_eq!(super::prompts("one two", 3), ["one two"; 3]);
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
