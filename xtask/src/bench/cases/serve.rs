//! Sixty-four clients in a closed loop, beside llama.cpp's server and beside its batched decode.
//!
//! Each client asks for the next answer when it has the last one. The same script asks both servers and is a process
//! beside each of them; `--steps N` is the time in seconds. The batched decode is the best that llama.cpp does for so
//! many at once, without a server and without a client: all prompts, then all answers in lock-step.

use crate::bench::case::{Case, Goal, Program, Row, Run};

const SCRIPT: &str = "serving.py";
const MODEL: &str = "synth:llama-110m:Q8_0";

/// Prompts of 128 tokens, answers of 64; 110 M in Q8_0.
pub static SERVE: Case = Case {
    name: "serve",
    does: "64 clients, prompt 128, answer 64, for five minutes or --steps N seconds; 110 M in Q8_0",
    peer: "llama.cpp",
    pairs: 1,
    runs: &[
        Run { name: "hearth", program: Program::Served(SCRIPT), words: &[MODEL, "hearth"] },
        Run { name: "server", program: Program::Peer(SCRIPT), words: &[MODEL, "server"] },
        Run { name: "batched", program: Program::Peer(SCRIPT), words: &[MODEL, "batched"] },
    ],
    rows: || {
        let row = |figure: &str, peer: &'static str| Row::ratio(figure, "hearth", peer);
        vec![
            row("tokens_per_second", "server").goal(Goal::AtLeast(2.0)),
            row("tokens_per_second", "batched").goal(Goal::AtLeast(2.0)),
            row("first_p50_ms", "server"),
            row("first_p95_ms", "server").goal(Goal::AtMost(1.0)),
            row("between_p99_ms", "server"),
        ]
    },
};
