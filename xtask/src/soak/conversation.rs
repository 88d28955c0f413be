//! One request and its streamed answer, with the time of its first token.

use crate::served::Served;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use testkit::wire;

/// The model in the box.
pub const STARTER: &str = "starter";

/// What came of a request.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// From before the connection to the first text.
    pub first: Option<Duration>,
    /// From piece to piece of the text.
    pub between: Vec<Duration>,
    pub text: String,
    pub n_tokens: usize,
    /// Whether its end came.
    pub is_whole: bool,
}

/// The body of a request for a text that does not end by itself before `n_tokens`.
pub fn story(model: &str, n_tokens: usize, seed: u64) -> Value {
    // The control tokens of the starter; a synthetic vocabulary has its own in the same places.
    json!({
        "model": model, "prompt": format!("Once upon a time there were {seed} friends."), "max_tokens": n_tokens,
        "temperature": 1, "seed": seed, "stream": true, "stream_options": { "include_usage": true },
        "logit_bias": { "0": -100, "1": -100, "2": -100 },
    })
}

/// Asks for a completion and reads it to its end. An answer that breaks off is no error here: its end is missing.
pub fn complete(address: SocketAddr, headers: &[&str], body: &Value) -> Result<Told> {
    let begun = Instant::now();
    let answer = wire::post(address, "/v1/completions", headers, &body.to_string())?;
    if answer.status != 200 {
        let status = answer.status;
        anyhow::bail!("it answers {status}: {}", answer.text()?);
    }
    let (mut told, mut last) = (Told::default(), None);
    for line in BufReader::new(answer.body).lines() {
        let Ok(line) = line else { return Ok(told) };
        let Some(data) = line.strip_prefix("data: ") else { continue };
        if data == "[DONE]" {
            told.is_whole = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).with_context(|| data.to_owned())?;
        ensure!(chunk["error"].is_null(), "it breaks off: {chunk}");
        if let Some(text) = chunk["choices"][0]["text"].as_str().filter(|text| !text.is_empty()) {
            told.first.get_or_insert_with(|| begun.elapsed());
            let now = Instant::now();
            told.between.extend(last.replace(now).map(|last| now - last));
            told.text.push_str(text);
        }
        told.n_tokens = chunk["usage"]["completion_tokens"].as_u64().map_or(told.n_tokens, |n| n as usize);
    }
    Ok(told)
}

/// The times of the first tokens of `n` short answers, one after the other.
pub fn first_tokens(server: &Served, model: &str, n: usize) -> Result<Vec<Duration>> {
    let one = |seed: usize| {
        let told = complete(server.address, &[], &story(model, 4, seed as u64))?;
        told.first.context("an answer without a token")
    };
    (0..n).map(one).collect()
}
