//! Somebody who reads an answer along while a training runs on the same machine: how long they wait for each token, beside
//! how long without the training; and that the training goes on meanwhile.

use super::Soak;
use super::conversation::{complete, story};
use super::figures::{ms, quantile};
use super::many_models::synthesised;
use crate::served::{Home, Served, Started};
use anyhow::{Context, Result, ensure};
use base::Rng;
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A model of middle size.
const MODEL: (&str, &str) = ("llama-110m", "Q8_0");
/// How much longer the slowest of a hundred tokens may take beside a training.
const MOST_TIMES: f64 = 2.0;
/// Tokens of an answer.
const TOKENS: usize = 256;
/// Documents that the training learns from: more than it reads while this lasts.
const DOCUMENTS: usize = 20_000;
/// How long reading them and learning a vocabulary may take.
const PREPARING: Duration = Duration::from_secs(240);

/// Measures both.
pub fn run(soak: &Soak) -> Result<String> {
    let home = Home::new(&soak.program)?;
    let file = soak.model.clone().map_or_else(|| synthesised(MODEL), Ok)?;
    home.import(&file, "model")?;
    let data = documents(&home)?;
    let server = home.serve(&[])?;
    let time = soak.seconds(20, 120);
    // The first answer loads the model.
    complete(server.address, &[], &story("model", TOKENS, 0))?;
    let alone = read_along(&server, time)?;
    let mut training = begin(&home, data.to_str().context("a path that is no text")?)?;
    let (before, begun) = (steps(&home)?, Instant::now());
    let beside = read_along(&server, time)?;
    let (after, took) = (steps(&home)?, begun.elapsed());
    ensure!(!training.has_ended()?, "the training has ended before it was measured beside");
    drop(training);
    let of = |times: &[Duration], share: f64| quantile(times, share).context("no token came");
    let [[half, most], [half_beside, most_beside]] =
        [[of(&alone, 0.5)?, of(&alone, 0.99)?], [of(&beside, 0.5)?, of(&beside, 0.99)?]];
    let ratio = most_beside.as_secs_f64() / most.as_secs_f64();
    let found = format!(
        "between tokens alone: half within {}, 99 of 100 within {} ({} of them); beside `hearth train --size tiny`: {} and \
         {} ({}), which is {ratio:.2} times as long for the 99th; the training made {:.2} steps a second meanwhile",
        ms(half),
        ms(most),
        alone.len(),
        ms(half_beside),
        ms(most_beside),
        beside.len(),
        (after - before) as f64 / took.as_secs_f64()
    );
    ensure!(after > before, "the training stands still: {found}");
    ensure!(ratio <= MOST_TIMES, "who reads along waits too long: {found}");
    Ok(found)
}

/// The times between tokens of one answer after the other.
fn read_along(server: &Served, time: Duration) -> Result<Vec<Duration>> {
    let (begun, mut times) = (Instant::now(), Vec::new());
    for seed in 1.. {
        let told = complete(server.address, &[], &story("model", TOKENS, seed))?;
        ensure!(told.is_whole, "an answer breaks off: {told:?}");
        times.extend(told.between);
        if begun.elapsed() > time {
            break;
        }
    }
    Ok(times)
}

/// Starts a training in the server, and waits until it has made its first steps.
fn begin(home: &Home, data: &str) -> Result<Started> {
    let words = ["train", "--data", data, "--name", "meanwhile", "--size", "tiny", "--steps", "100000"];
    let mut training = home.start(&words)?;
    let begun = Instant::now();
    while steps(home)? < 2 {
        ensure!(!training.has_ended()?, "the training does not begin");
        ensure!(begun.elapsed() < PREPARING, "the training makes no step");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(training)
}

/// Steps that the training in the server has made; 0 while there is none.
fn steps(home: &Home) -> Result<u64> {
    let told = home.hearth(&["ps", "--json"])?;
    let event: Value = serde_json::from_str(told.lines().next().unwrap_or_default()).context(told.clone())?;
    Ok(event["work"][0]["steps_done"].as_u64().unwrap_or(0))
}

/// Texts of words that are put together from syllables, so that a vocabulary has something to find.
fn documents(home: &Home) -> Result<PathBuf> {
    let syllables = [
        "ba", "lo", "ti", "men", "ra", "su", "kel", "no", "vi", "dar", "po", "she", "gin", "ul", "fa", "tor",
    ];
    let mut rng = Rng::new(11);
    let mut word =
        || (0..1 + rng.below(3)).map(|_| syllables[rng.below(syllables.len())]).collect::<String>();
    let words: Vec<String> = (0..3000).map(|_| word()).collect();
    let (mut rng, mut text) = (Rng::new(12), String::new());
    for _ in 0..DOCUMENTS {
        let line: Vec<&str> = (0..60).map(|_| words[rng.below(words.len())].as_str()).collect();
        writeln!(text, "{{\"text\": \"{}.\"}}", line.join(" "))?;
    }
    let path = home.room().join("texts.jsonl");
    std::fs::write(&path, text)?;
    Ok(path)
}
