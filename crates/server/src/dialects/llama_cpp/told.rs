//! Answers of `/completion` and `/infill`: whole, or as server-sent events.

use app::Event;
use app::event::{Alternative, Finished, Reason, Started, Token};
use app::job::{Mirostat, Sampling};
use serde_json::{Value as Json, json};

use crate::answer::Answer;
use crate::refusal::Refusal;
use crate::telling::{Telling, data};

/// What all parts of an answer have.
pub struct Head {
    pub model: String,
    /// The prompt, where it was given as text.
    pub prompt: Option<String>,
    /// How many alternatives to tell, where somebody wants to know how likely tokens were.
    pub n_alternatives: Option<usize>,
    pub tokens: Tokens,
    pub times: Times,
}

/// Whether the ids of tokens are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    Told,
    Untold,
}

/// Whether times are told with every piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    WithPieces,
    AtTheEnd,
}

impl Head {
    /// A whole answer.
    pub fn whole(&self, answer: &Answer) -> Json {
        let mut told = self.end(answer.started.as_ref(), &answer.end(), answer.text.contains('\n'));
        told["content"] = Json::from(answer.text.as_str());
        self.add_tokens(&mut told, &answer.tokens);
        told
    }

    /// Why an answer ended, and what it took.
    fn end(&self, started: Option<&Started>, end: &Finished, has_new_line: bool) -> Json {
        let stop_type = match (end.reason, &end.stop_text) {
            (Reason::Length, _) => "limit",
            (_, Some(_)) => "word",
            (Reason::Stop, None) => "eos",
            (Reason::Cancelled, None) => "none",
        };
        let prompt = self.prompt.clone().unwrap_or_else(|| {
            let pieces = started.map(|started| started.prompt_tokens.iter().map(|piece| piece.text.as_str()));
            pieces.map(Iterator::collect).unwrap_or_default()
        });
        json!({
            "index": 0,
            "content": "",
            "tokens": [],
            "id_slot": 0,
            "stop": true,
            "model": self.model,
            "tokens_predicted": end.n_generated_tokens,
            "tokens_evaluated": end.n_prompt_tokens,
            "tokens_cached": end.n_prompt_tokens + end.n_generated_tokens,
            "generation_settings": started.map(settings).unwrap_or_default(),
            "prompt": prompt,
            "has_new_line": has_new_line,
            "truncated": false,
            "stop_type": stop_type,
            "stopping_word": end.stop_text.as_deref().unwrap_or_default(),
            "timings": timings(end),
        })
    }

    /// Adds the ids and probabilities of tokens, as far as somebody wants them.
    fn add_tokens(&self, told: &mut Json, tokens: &[Token]) {
        if self.tokens == Tokens::Told {
            told["tokens"] = tokens.iter().map(|token| Json::from(token.piece.id)).collect();
        }
        if let Some(n) = self.n_alternatives.filter(|_| !tokens.is_empty()) {
            told["completion_probabilities"] = tokens.iter().map(|token| likely(token, n)).collect();
        }
    }
}

fn likely(token: &Token, n_alternatives: usize) -> Json {
    let one = |piece: &app::event::Piece, log_probability: f32| {
        // JSON has no infinity.
        let logprob = log_probability.max(-9999.0);
        json!({ "id": piece.id, "token": piece.text, "bytes": piece.bytes(), "logprob": logprob })
    };
    let other = |other: &Alternative| one(&other.piece, other.log_probability);
    let mut told = one(&token.piece, token.log_probability);
    told["top_logprobs"] = token.alternatives.iter().take(n_alternatives).map(other).collect();
    told
}

/// How tokens were chosen.
fn settings(started: &Started) -> Json {
    let mut told = chosen(&started.sampling);
    told["n_ctx"] = Json::from(started.context);
    told["seed"] = Json::from(started.seed);
    told
}

/// How tokens are chosen, by llama.cpp's names.
pub fn chosen(sampling: &Sampling) -> Json {
    json!({
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": sampling.repeat_last_n.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1),
        "typical_p": sampling.typical_p.unwrap_or(1.0),
        "mirostat": sampling.mirostat.map_or(0, Mirostat::number),
        "mirostat_tau": sampling.mirostat_tau.unwrap_or(5.0),
        "mirostat_eta": sampling.mirostat_eta.unwrap_or(0.1),
        "ignore_eos": sampling.min_tokens == Some(Sampling::ENDLESS),
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": sampling.stop,
        "n_predict": sampling.max_tokens.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1),
        "logit_bias": sampling.logit_bias.iter().map(|(id, bias)| json!([id, bias])).collect::<Vec<_>>(),
    })
}

/// Milliseconds, and tokens a second.
fn timings(end: &Finished) -> Json {
    let n_computed = end.n_prompt_tokens.saturating_sub(end.n_found_tokens);
    let each = |ms: f64, n: usize| if n > 0 { ms / n as f64 } else { 0.0 };
    let rate = |ms: f64, n: usize| if ms > 0.0 { n as f64 / ms * 1e3 } else { 0.0 };
    json!({
        "cache_n": end.n_found_tokens,
        "prompt_n": n_computed,
        "prompt_ms": end.prompt_ms,
        "prompt_per_token_ms": each(end.prompt_ms, n_computed),
        "prompt_per_second": rate(end.prompt_ms, n_computed),
        "predicted_n": end.n_generated_tokens,
        "predicted_ms": end.generate_ms,
        "predicted_per_token_ms": each(end.generate_ms, end.n_generated_tokens),
        "predicted_per_second": rate(end.generate_ms, end.n_generated_tokens),
    })
}

/// Tells an answer while it is made.
pub struct Stream {
    head: Head,
    started: Option<Started>,
    /// Tokens whose text did not come yet.
    tokens: Vec<Token>,
    n_tokens: usize,
    has_new_line: bool,
}

impl Stream {
    pub fn new(head: Head) -> Self {
        Self { head, started: None, tokens: Vec::new(), n_tokens: 0, has_new_line: false }
    }
}

impl Telling for Stream {
    fn tell(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started(started) => self.started = Some(started),
            Event::Token(token) => {
                self.tokens.push(token);
                self.n_tokens += 1;
            }
            Event::Text { text } => {
                self.has_new_line |= text.contains('\n');
                let n_prompt = self.started.as_ref().map_or(0, |started| started.n_prompt_tokens);
                let mut told = json!({
                    "index": 0,
                    "content": text,
                    "tokens": [],
                    "stop": false,
                    "id_slot": 0,
                    "tokens_predicted": self.n_tokens,
                    "tokens_evaluated": n_prompt,
                });
                if self.head.times == Times::WithPieces {
                    told["timings"] = json!({ "prompt_n": n_prompt, "predicted_n": self.n_tokens });
                }
                self.head.add_tokens(&mut told, &std::mem::take(&mut self.tokens));
                data(&told, out);
            }
            Event::Finished(end) => {
                let mut told = self.head.end(self.started.as_ref(), &end, self.has_new_line);
                self.head.add_tokens(&mut told, &std::mem::take(&mut self.tokens));
                data(&told, out);
            }
            Event::Failed(failure) => data(&super::refuse(&Refusal::from(failure)), out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::event::Piece;

    fn head() -> Head {
        let (tokens, times) = (Tokens::Told, Times::AtTheEnd);
        Head { model: "m".into(), prompt: Some("Once".into()), n_alternatives: Some(1), tokens, times }
    }

    fn events(end: Finished) -> Vec<Event> {
        let piece = |id, text: &str| Piece { id, text: text.into(), bytes: None };
        let sampling = Sampling {
            temperature: Some(0.5),
            top_k: Some(3),
            stop: vec!["X".into()],
            ..Sampling::default()
        };
        let started = Started {
            model: "m".into(),
            context: 64,
            n_prompt_tokens: 2,
            prompt_tokens: Vec::new(),
            seed: 7,
            sampling,
        };
        let others = vec![Alternative { piece: piece(8, " a"), log_probability: f32::NEG_INFINITY }];
        let token =
            Token { piece: piece(9, " upon"), log_probability: -0.5, alternatives: others, lens: Vec::new() };
        vec![
            Event::Started(started),
            Event::Token(token),
            Event::Text { text: " upon".into() },
            Event::Finished(end),
        ]
    }

    fn end(reason: Reason, stop_text: Option<&str>) -> Finished {
        Finished {
            reason,
            stop_text: stop_text.map(str::to_owned),
            n_prompt_tokens: 2,
            n_found_tokens: 1,
            n_generated_tokens: 4,
            prompt_ms: 2.0,
            generate_ms: 8.0,
            ..Answer::default().end()
        }
    }

    #[test]
    fn an_answer_is_told_piece_by_piece() {
        let (mut stream, mut out) = (Stream::new(head()), Vec::new());
        for event in events(end(Reason::Stop, Some("X"))) {
            stream.tell(0, event, &mut out);
        }
        let expected = concat!(
            r#"data: {"index":0,"content":" upon","tokens":[9],"stop":false,"id_slot":0,"tokens_predicted":1,"#,
            r#""tokens_evaluated":2,"completion_probabilities":[{"id":9,"token":" upon","bytes":[32,117,112,111,110],"#,
            r#""logprob":-0.5,"top_logprobs":[{"id":8,"token":" a","bytes":[32,97],"logprob":-9999.0}]}]}"#,
            "\n\n",
            r#"data: {"index":0,"content":"","tokens":[],"id_slot":0,"stop":true,"model":"m","tokens_predicted":4,"#,
            r#""tokens_evaluated":2,"tokens_cached":6,"generation_settings":{"temperature":0.5,"top_k":3,"top_p":null,"#,
            r#""min_p":null,"repeat_penalty":null,"repeat_last_n":-1,"typical_p":1.0,"mirostat":0,"mirostat_tau":5.0,"#,
            r#""mirostat_eta":0.10000000149011612,"ignore_eos":false,"presence_penalty":null,"frequency_penalty":null,"#,
            r#""stop":["X"],"n_predict":-1,"logit_bias":[],"n_ctx":64,"seed":7},"prompt":"Once","has_new_line":false,"#,
            r#""truncated":false,"stop_type":"word","stopping_word":"X","timings":{"cache_n":1,"prompt_n":1,"#,
            r#""prompt_ms":2.0,"prompt_per_token_ms":2.0,"prompt_per_second":500.0,"predicted_n":4,"predicted_ms":8.0,"#,
            r#""predicted_per_token_ms":2.0,"predicted_per_second":500.0}}"#,
            "\n\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_end_says_why() {
        for (reason, stop_text, expected) in [
            (Reason::Length, None, "limit"),
            (Reason::Stop, None, "eos"),
            (Reason::Stop, Some("X"), "word"),
            (Reason::Cancelled, None, "none"),
        ] {
            let mut answer = Answer::default();
            events(end(reason, stop_text)).into_iter().for_each(|event| answer.take(event).unwrap());
            let whole = head().whole(&answer);
            assert_eq!((&whole["stop_type"], &whole["content"]), (&json!(expected), &json!(" upon")));
            assert_eq!(whole["tokens"], json!([9]));
        }
    }
}
