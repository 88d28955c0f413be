//! Training steps at the two shapes of PEERS.md beside PyTorch: tokens a second, and the most memory.
//!
//! Random tokens and AdamW with clipping on both sides; the median step after two that warm up.

use crate::bench::case::{Case, Goal, Program, Row, Run};

const SPEED: &str = "tokens_per_second";
const MEMORY: &str = "memory_mb";
const HEARTH: Program = Program::Hearth("step");
const TORCH: Program = Program::Peer("torch_train.py");

/// 15 million parameters: 6 layers, D 288, F 768, H 6, V 32000, tied; 8 × 256 tokens.
pub static TRAIN_15M: Case = Case {
    name: "train-15m",
    does: "training steps, 15 M parameters, 8 x 256 tokens",
    peer: "torch",
    pairs: 5,
    runs: &[
        Run { name: "hearth-bf16", program: HEARTH, words: &["15m", "bf16"] },
        Run { name: "compile-bf16", program: TORCH, words: &["15m", "compile", "bf16"] },
        Run { name: "eager-bf16", program: TORCH, words: &["15m", "eager", "bf16"] },
        Run { name: "hearth-f32", program: HEARTH, words: &["15m", "f32"] },
        Run { name: "compile-f32", program: TORCH, words: &["15m", "compile", "f32"] },
        Run { name: "eager-f32", program: TORCH, words: &["15m", "eager", "f32"] },
    ],
    rows: || {
        let [compiled, eager, memory] = rows_of_bf16();
        vec![
            compiled.goal(Goal::AtLeast(3.5)).peer_reaches(4424.0),
            eager.goal(Goal::AtLeast(6.0)).peer_reaches(2411.0),
            Row::ratio(SPEED, "hearth-f32", "compile-f32"),
            Row::ratio(SPEED, "hearth-f32", "eager-f32"),
            memory.goal(Goal::AtMost(0.5)),
            Row::ratio(MEMORY, "hearth-bf16", "compile-bf16"),
            Row::ratio(MEMORY, "hearth-f32", "eager-f32"),
        ]
    },
};

/// 110 million parameters: 12 layers, D 768, F 2048, H 12, V 32000, tied; 4 × 512 tokens.
pub static TRAIN_110M: Case = Case {
    name: "train-110m",
    does: "training steps, 110 M parameters, 4 x 512 tokens",
    peer: "torch",
    pairs: 5,
    runs: &[
        Run { name: "hearth-bf16", program: HEARTH, words: &["110m", "bf16"] },
        Run { name: "compile-bf16", program: TORCH, words: &["110m", "compile", "bf16"] },
        Run { name: "eager-bf16", program: TORCH, words: &["110m", "eager", "bf16"] },
        Run { name: "hearth-f32", program: HEARTH, words: &["110m", "f32"] },
        Run { name: "compile-f32", program: TORCH, words: &["110m", "compile", "f32"] },
        Run { name: "eager-f32", program: TORCH, words: &["110m", "eager", "f32"] },
    ],
    rows: || {
        let [compiled, eager, memory] = rows_of_bf16();
        vec![
            compiled,
            eager.goal(Goal::AtLeast(4.0)).peer_reaches(525.0),
            Row::ratio(SPEED, "hearth-f32", "compile-f32"),
            Row::ratio(SPEED, "hearth-f32", "eager-f32"),
            memory.goal(Goal::AtMost(0.55)),
            Row::ratio(MEMORY, "hearth-bf16", "compile-bf16"),
            Row::ratio(MEMORY, "hearth-f32", "eager-f32"),
        ]
    },
};

fn rows_of_bf16() -> [Row; 3] {
    [
        Row::ratio(SPEED, "hearth-bf16", "compile-bf16"),
        Row::ratio(SPEED, "hearth-bf16", "eager-bf16"),
        Row::ratio(MEMORY, "hearth-bf16", "eager-bf16"),
    ]
}
