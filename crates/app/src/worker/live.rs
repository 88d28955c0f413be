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
    thought: Thought,
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
            Some(parser) => Reading::chat(parser, stops).with_calls(generate.tool_calls),
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
            thought: Thought::default(),
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

    /// Whether a stop text came, or the call that is enough.
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

    /// Tells how likely tokens of the prompt were.
    pub fn scored(&mut self, tokenizer: &Tokenizer, tokens: &[Choice]) {
        let tokens = tokens.iter().map(|choice| told(tokenizer, choice, Vec::new())).collect();
        self.reporter.tell(Event::Scored { tokens });
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
            let lens = lens.iter().map(view).collect();
            self.reporter.tell(Event::Token(told(tokenizer, choice, lens)));
        }
        let events = self.reading.push(tokenizer, choice.chosen.token);
        self.thought.see(&events);
        for event in events {
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
            stop_text: self.reading.stop_text().map(str::to_owned),
            n_prompt_tokens: self.n_prompt_tokens,
            n_found_tokens: self.n_found_tokens,
            n_generated_tokens: self.n_generated_tokens,
            n_thinking_tokens: self.thought.n_tokens,
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

/// How many tokens the model thought with.
#[derive(Default)]
struct Thought {
    n_tokens: usize,
    /// Tokens since the last that let something out: what they are is told by what comes out next.
    n_held: usize,
}

impl Thought {
    /// Notes what one more token let out.
    fn see(&mut self, events: &[Event]) {
        self.n_held += 1;
        match events.last() {
            Some(Event::Thinking { .. }) => self.n_tokens += std::mem::take(&mut self.n_held),
            Some(_) => self.n_held = 0,
            None => {}
        }
    }
}

/// A prompt as tokens, and what is told of its model.
pub(crate) struct Prepared<'a> {
    pub tokens: &'a [TokenId],
    pub tokenizer: &'a Tokenizer,
    pub model: &'a str,
    pub context: usize,
}

fn told(tokenizer: &Tokenizer, choice: &Choice, lens: Vec<LayerView>) -> Token {
    Token {
        piece: piece(tokenizer, choice.chosen.token),
        log_probability: choice.chosen.log_probability,
        alternatives: choice.alternatives.iter().map(|&likely| alternative(tokenizer, likely)).collect(),
        lens,
    }
}

fn alternative(tokenizer: &Tokenizer, likely: Likely) -> Alternative {
    Alternative { piece: piece(tokenizer, likely.token), log_probability: likely.log_probability }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_count_as_what_comes_out_of_them() {
        let thinking = || vec![Event::Thinking { text: "hm".into() }];
        let text = || vec![Event::Text { text: "a".into() }];
        let count = |seen: &[Vec<Event>]| {
            let mut thought = Thought::default();
            seen.iter().for_each(|events| thought.see(events));
            thought.n_tokens
        };
        // What opens the thinking and what is half a character belong to it; what closes it does not.
        assert_eq!(count(&[vec![], thinking(), vec![], thinking(), vec![], text()]), 4);
        assert_eq!(count(&[text(), vec![], text()]), 0);
        assert_eq!(count(&[]), 0);
    }
}
