//! One answer that is being given: its text so far, its times, and who listens.

use std::time::Instant;

use base::TokenId;
use infer::SequenceId;
use infer::sample::{Choice, Likely};
use text::answer::AnswerParser;
use text::{Begin, Tokenizer};

use super::Task;
use super::inspect::{Inspector, LayerChoice, Phase, Times};
use super::reading::Reading;
use super::vocabulary::piece;
use crate::event::{Alternative, Finished, LayerView, Reason, Started, Token};
use crate::job::{Detail, Prompt};
use crate::running::Reporter;
use crate::{Event, Failure};

/// One answer that is being given.
pub(crate) struct Live {
    pub id: SequenceId,
    pub detail: Detail,
    reading: Reading,
    reporter: Reporter,
    n_prompt_tokens: usize,
    n_found_tokens: usize,
    n_generated_tokens: usize,
    load_ms: f64,
    begun: Instant,
    first_token: Option<Instant>,
    times: Times,
}

impl Live {
    /// Begins an answer, which `parser` reads in a conversation, and tells so.
    pub fn begin(
        id: SequenceId,
        task: Task,
        prompt: &Prepared<'_>,
        parser: Option<AnswerParser>,
        load_ms: f64,
    ) -> Self {
        let Task { generate, reporter, .. } = task;
        let is_text_start = matches!(&generate.prompt, Prompt::Raw(text) if text.is_empty());
        let begin = if is_text_start { Begin::Text } else { Begin::Continuation };
        let stops = generate.sampling.stop.clone();
        let reading = match parser {
            Some(parser) => Reading::chat(parser, stops),
            None => Reading::raw(begin, stops),
        };
        let pieces = || prompt.tokens.iter().map(|&token| piece(prompt.tokenizer, token)).collect();
        reporter.tell(Event::Started(Started {
            model: prompt.model.to_owned(),
            context: prompt.context,
            n_prompt_tokens: prompt.tokens.len(),
            prompt_tokens: if generate.detail.prompt_tokens { pieces() } else { Vec::new() },
            seed: generate.sampling.seed.unwrap_or_default(),
            sampling: generate.sampling.clone(),
        }));
        Self {
            id,
            detail: generate.detail,
            reading,
            reporter,
            n_prompt_tokens: prompt.tokens.len(),
            n_found_tokens: 0,
            n_generated_tokens: 0,
            load_ms,
            begun: Instant::now(),
            first_token: None,
            times: Times::default(),
        }
    }

    /// Whether nobody waits for this answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.reporter.is_cancelled()
    }

    /// Whether a stop text came.
    pub fn is_stopped(&self) -> bool {
        self.reading.is_stopped()
    }

    /// Notes where the time of a step went, before or after the first token.
    pub fn time(&mut self, inspector: &Inspector) {
        if self.detail.timing {
            let phase = if self.first_token.is_some() { Phase::Answer } else { Phase::Prompt };
            self.times.add(inspector, phase);
        }
    }

    /// Notes that the first tokens of the prompt were computed before.
    pub fn found(&mut self, n_tokens: usize) {
        // An answer that is computed again finds its own pages.
        if self.first_token.is_none() {
            self.n_found_tokens = n_tokens;
        }
    }

    /// Tells one more token.
    pub fn token(&mut self, tokenizer: &Tokenizer, choice: &Choice, lens: &[LayerChoice]) {
        self.first_token.get_or_insert_with(Instant::now);
        self.n_generated_tokens += 1;
        if self.detail.alternatives > 0 || self.detail.lens {
            let view = |layer: &LayerChoice| LayerView {
                layer: layer.layer,
                best: alternative(tokenizer, layer.best),
                chosen_log_probability: layer.chosen_log_probability,
            };
            self.reporter.tell(Event::Token(Token {
                piece: piece(tokenizer, choice.chosen.token),
                log_probability: choice.chosen.log_probability,
                alternatives: choice
                    .alternatives
                    .iter()
                    .map(|&likely| alternative(tokenizer, likely))
                    .collect(),
                lens: lens.iter().map(view).collect(),
            }));
        }
        for event in self.reading.push(tokenizer, choice.chosen.token) {
            self.reporter.tell(event);
        }
    }

    /// Tells the rest of the answer and the end.
    pub fn finish(mut self, reason: Reason) {
        for event in self.reading.finish() {
            self.reporter.tell(event);
        }
        let now = Instant::now();
        let first_token = self.first_token.unwrap_or(now);
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        self.reporter.tell(Event::Finished(Finished {
            reason,
            n_prompt_tokens: self.n_prompt_tokens,
            n_found_tokens: self.n_found_tokens,
            n_generated_tokens: self.n_generated_tokens,
            load_ms: self.load_ms,
            prompt_ms: ms(self.begun, first_token),
            generate_ms: ms(first_token, now),
            timing: self.times.into_timings(),
        }));
    }

    /// Tells that nothing came of it.
    pub fn fail(self, failure: Failure) {
        self.reporter.tell(Event::Failed(failure));
    }
}

/// A prompt as tokens, and what is told of its model.
pub(crate) struct Prepared<'a> {
    pub tokens: &'a [TokenId],
    pub tokenizer: &'a Tokenizer,
    pub model: &'a str,
    pub context: usize,
}

fn alternative(tokenizer: &Tokenizer, likely: Likely) -> Alternative {
    Alternative { piece: piece(tokenizer, likely.token), log_probability: likely.log_probability }
}
