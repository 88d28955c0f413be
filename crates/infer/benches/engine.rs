//! Hearth's side of `cargo xtask bench --peer llama.cpp`: tokens a second of a prompt and of answers, one and several at
//! once, and the most memory that was taken: `cargo bench --package infer --bench engine -- FILE [what,what]`.
//!
//! What may be asked for: `prompt`, `alone`, `8`, `16` (users), `start`, `filled` (a prompt that fills a context
//! of 4,096 tokens, for the memory that it takes). Prompts are random tokens; nothing is guessed
//! and nothing found again, so that every token is computed. Choosing is greedy.
//!
//! Without a peer: `turn`, the second turn of a conversation of 4,000 tokens, beside its new tokens alone; `between`, the
//! time between two tokens of one user (the 99th of a hundred) alone and while another's prompt of 4,000 is computed.

use std::path::Path;
use std::time::Instant;

use base::{Rng, TokenId};
use formats::{FileBytes, gguf};
use infer::{Beginning, Engine, Event, Guessing, Limits, LocalModel, Model, Request};
use kernels::{isa, machine, pool};
use testkit::bench::{Options, Outcome, median, peak_memory_mb};

/// Bytes that keys and values may take, at most.
const CACHE_BYTES: usize = 2 << 30;
/// Tokens of the long prompt.
const PROMPT: usize = 512;
/// Tokens of the prompt before each of several answers.
const SHORT_PROMPT: usize = 32;
/// Tokens of the prompt of a start.
const START_PROMPT: usize = 16;
/// Tokens of the context that is filled.
const CONTEXT: usize = 4096;
/// Tokens of a conversation, and of the prompt of somebody who disturbs.
const LONG: usize = 4000;
/// Tokens that a second turn adds.
const NEW: usize = 128;
/// Tokens between which the time is taken: as many as a long prompt is computed beside.
const BETWEEN: usize = 120;
/// Tokens of each answer.
const ANSWER: usize = 64;
/// Bytes that are read to measure bandwidth.
const STREAM_BYTES: usize = 256 << 20;

fn main() {
    let begun = Instant::now();
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let path = options.word(0, "");
    let parts = options.word(1, "prompt,alone,8,16");
    // A program reads weights into large pages behind its first token.
    let mut bench = Bench { engine: engine(Path::new(path), parts != "start"), rng: Rng::new(options.seed) };
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    let n_times = options.steps.unwrap_or(3);
    for what in parts.split(',') {
        match what {
            "start" => {
                bench.first(START_PROMPT);
                outcome.figure("start_ms", begun.elapsed().as_secs_f64() * 1e3);
            }
            "prompt" => {
                bench.first(SHORT_PROMPT);
                let seconds = median((0..n_times).map(|_| bench.first(PROMPT)).collect());
                outcome.figure("prompt_tokens_per_second", PROMPT as f64 / seconds);
            }
            "alone" => _ = outcome.figure("tokens_per_second_1", bench.answers(1)),
            "filled" => _ = outcome.figure("filled_seconds", bench.first(CONTEXT - 1)),
            "turn" => bench.turns(n_times, &mut outcome),
            "between" => {
                outcome.figure("between_alone_ms", bench.between(0));
                outcome.figure("between_ms", bench.between(LONG));
            }
            users => {
                let n_users = users.parse().expect("a number of users");
                outcome.figure(&format!("tokens_per_second_{users}"), bench.answers(n_users));
            }
        }
    }
    peak_memory_mb().into_iter().for_each(|memory| _ = outcome.figure("memory_mb", memory));
    let file_bytes = std::fs::metadata(path).map_or(0.0, |file| file.len() as f64);
    drop(bench);
    outcome.figure("file_gb", file_bytes / 1e9);
    outcome.figure("read_gb_per_second", bandwidth(options.threads) / 1e9).print();
}

fn engine(path: &Path, is_held: bool) -> Engine<LocalModel> {
    let file = FileBytes::open(path).expect("the model's file can be opened");
    if is_held {
        file.hold(pool::active_threads());
    }
    let file = gguf::read(&file).expect("a GGUF file");
    let decoder = models::load(&file, &ops::device::cpu()).expect("a model of a known family");
    Engine::new(LocalModel::new(decoder, CACHE_BYTES), Limits::default())
}

struct Bench {
    engine: Engine<LocalModel>,
    rng: Rng,
}

impl Bench {
    fn random(&mut self, n_tokens: usize) -> Vec<TokenId> {
        let vocabulary = self.engine.model().vocabulary();
        (0..n_tokens).map(|_| TokenId(self.rng.below(vocabulary) as u32)).collect()
    }

    fn submit(&mut self, n_prompt: usize, n_tokens: usize) {
        let plain = Request::new(self.random(n_prompt), n_tokens);
        let request = Request { beginning: Beginning::Computed, guessing: Guessing::Off, ..plain };
        self.engine.submit(request).expect("the request fits");
    }

    /// Seconds until the first token behind a prompt.
    fn first(&mut self, n_prompt: usize) -> f64 {
        self.submit(n_prompt, 1);
        self.finish().0
    }

    /// Computes all that was submitted: the seconds, and the tokens.
    fn finish(&mut self) -> (f64, Vec<TokenId>) {
        let (begun, mut tokens) = (Instant::now(), Vec::new());
        while self.engine.n_sequences() > 0 {
            for event in self.engine.step(None) {
                if let Event::Token { choice, .. } = event {
                    tokens.push(choice.chosen.token);
                }
            }
        }
        (begun.elapsed().as_secs_f64(), tokens)
    }

    /// Milliseconds until the first token of a second turn, and of a prompt of its new tokens alone; what lies behind 20
    /// granted ones as a multiple.
    fn turns(&mut self, n_times: u64, outcome: &mut Outcome) {
        let [mut known, mut alone] = [const { Vec::new() }; 2];
        for _ in 0..n_times {
            let mut text = self.random(LONG);
            let mut turn = |text: &[TokenId], n_tokens: usize| {
                let plain = Request::new(text.to_vec(), n_tokens);
                let request = Request { guessing: Guessing::Off, ..plain };
                self.engine.submit(request).expect("the request fits");
                self.finish()
            };
            text.extend(turn(&text, ANSWER).1);
            text.extend(self.random(NEW));
            let plain = Request { guessing: Guessing::Off, ..Request::new(text, 1) };
            self.engine.submit(plain).expect("the request fits");
            known.push(self.finish().0 * 1e3);
            alone.push(self.first(NEW) * 1e3);
        }
        let (known, alone) = (median(known), median(alone));
        outcome.figure("second_turn_ms", known).figure("new_tokens_ms", alone);
        outcome.figure("second_turn_share", (known - 20.0) / alone);
    }

    /// Milliseconds that 99 of 100 next tokens of one user take at most, while the prompt of another of so many tokens is
    /// computed.
    fn between(&mut self, n_beside: usize) -> f64 {
        self.submit(SHORT_PROMPT, BETWEEN + 2);
        while self.step() == 0 {}
        if n_beside > 0 {
            self.submit(n_beside, 1);
        }
        let mut next = |_| {
            let begun = Instant::now();
            while self.step() == 0 {}
            begun.elapsed().as_secs_f64() * 1e3
        };
        let mut times: Vec<f64> = (0..BETWEEN).map(&mut next).collect();
        self.finish();
        times.sort_by(f64::total_cmp);
        times[BETWEEN * 99 / 100]
    }

    /// Tokens a second of several answers together, behind their prompts.
    fn answers(&mut self, n_users: usize) -> f64 {
        (0..n_users).for_each(|_| self.submit(SHORT_PROMPT, ANSWER + 1));
        let mut n_tokens = 0;
        while n_tokens < n_users {
            n_tokens += self.step();
        }
        let (begun, n_before) = (Instant::now(), n_tokens);
        while self.engine.n_sequences() > 0 {
            n_tokens += self.step();
        }
        (n_tokens - n_before) as f64 / begun.elapsed().as_secs_f64()
    }

    fn step(&mut self) -> usize {
        let begun = Instant::now();
        let events = self.engine.step(None);
        self.engine.learn(begun.elapsed());
        events.iter().filter(|event| matches!(event, Event::Token { .. })).count()
    }
}

/// Bytes a second that can be read from memory that was allocated.
fn bandwidth(n_threads: usize) -> f64 {
    let values = vec![1.0f32; STREAM_BYTES / 4];
    let once = |_| {
        let begun = Instant::now();
        std::hint::black_box(machine::read(&values, n_threads));
        STREAM_BYTES as f64 / begun.elapsed().as_secs_f64()
    };
    (0..5).map(once).fold(0.0, f64::max)
}
