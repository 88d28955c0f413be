//! Models of real shapes beside llama.cpp on the same GGUF file: prompts, and answers for one and for many.
//!
//! Figures with a promise are those of the table at the shape of 1 B; what a figure means stands in the two
//! programs.

use crate::bench::case::{Case, Goal, Program, Row, Run};

const HEARTH: Program = Program::Hearth("engine");
const LLAMA_CPP: Program = Program::Peer("llama_cpp_speed.py");
const PROMPT: &str = "prompt_tokens_per_second";
const ALONE: &str = "tokens_per_second_1";
const EIGHT: &str = "tokens_per_second_8";
const SIXTEEN: &str = "tokens_per_second_16";
const ALL: &str = "prompt,alone,8,16";

fn row(figure: &str, least: f64) -> Row {
    Row::ratio(figure, "hearth", "llama.cpp").goal(Goal::AtLeast(least))
}

/// 1 B in Q4_K_M.
pub static Q4_K_M: Case = Case {
    name: "1b-q4_k_m",
    does: "prompt of 512, answers for 1, 8 and 16; 1 B in Q4_K_M",
    peer: "llama.cpp",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: HEARTH, words: &["synth:llama-1b:Q4_K_M", ALL] },
        Run { name: "llama.cpp", program: LLAMA_CPP, words: &["synth:llama-1b:Q4_K_M", ALL] },
    ],
    rows: || {
        vec![
            row(PROMPT, 4.0).peer_reaches(251.0),
            row(ALONE, 1.7).peer_reaches(17.5),
            row(EIGHT, 3.0).peer_reaches(55.0),
            row(SIXTEEN, 3.5).peer_reaches(88.0),
            Row::ratio("memory_mb", "hearth", "llama.cpp"),
        ]
    },
};

/// 1 B in Q8_0.
pub static Q8_0: Case = Case {
    name: "1b-q8_0",
    does: "prompt of 512, answers for 1, 8 and 16; 1 B in Q8_0",
    peer: "llama.cpp",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: HEARTH, words: &["synth:llama-1b:Q8_0", ALL] },
        Run { name: "llama.cpp", program: LLAMA_CPP, words: &["synth:llama-1b:Q8_0", ALL] },
    ],
    rows: || {
        vec![
            row(PROMPT, 4.0).peer_reaches(262.0),
            row(ALONE, 1.15).peer_reaches(19.8),
            row(EIGHT, 1.9).peer_reaches(80.0),
            row(SIXTEEN, 2.3).peer_reaches(123.0),
        ]
    },
};

/// 1 B in Q4_0.
pub static Q4_0: Case = Case {
    name: "1b-q4_0",
    does: "prompt of 512 and an answer; 1 B in Q4_0",
    peer: "llama.cpp",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: HEARTH, words: &["synth:llama-1b:Q4_0", "prompt,alone"] },
        Run { name: "llama.cpp", program: LLAMA_CPP, words: &["synth:llama-1b:Q4_0", "prompt,alone"] },
    ],
    rows: || vec![row(PROMPT, 4.0), Row::ratio(ALONE, "hearth", "llama.cpp").peer_reaches(24.5)],
};

/// 8 B in Q4_K_M.
pub static LARGE: Case = Case {
    name: "8b-q4_k_m",
    does: "prompt of 512 and an answer; 8 B in Q4_K_M",
    peer: "llama.cpp",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: HEARTH, words: &["synth:llama-8b:Q4_K_M", "prompt,alone"] },
        Run { name: "llama.cpp", program: LLAMA_CPP, words: &["synth:llama-8b:Q4_K_M", "prompt,alone"] },
    ],
    rows: || vec![row(PROMPT, 4.0).peer_reaches(36.0), row(ALONE, 1.5).peer_reaches(3.8)],
};

/// The memory of a full context.
pub static MEMORY: Case = Case {
    name: "1b-memory",
    does: "the most memory with 4,096 tokens in the context; 1 B in Q4_K_M",
    peer: "llama.cpp",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: HEARTH, words: &["synth:llama-1b:Q4_K_M", "filled"] },
        Run { name: "llama.cpp", program: LLAMA_CPP, words: &["synth:llama-1b:Q4_K_M", "filled"] },
    ],
    rows: || {
        vec![
            Row::ratio("memory_mb", "hearth", "llama.cpp").goal(Goal::AtMost(0.6)),
            Row::ratio("filled_seconds", "hearth", "llama.cpp"),
        ]
    },
};

/// From the start of a program to its first token.
pub static START: Case = Case {
    name: "1b-start",
    does: "from the start to the first token behind 16; 1 B in Q4_K_M",
    peer: "llama.cpp",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: HEARTH, words: &["synth:llama-1b:Q4_K_M", "start"] },
        Run { name: "llama.cpp", program: LLAMA_CPP, words: &["synth:llama-1b:Q4_K_M", "start"] },
    ],
    rows: || vec![Row::ratio("start_ms", "hearth", "llama.cpp").goal(Goal::AtMost(0.25))],
};
