//! Sentence vectors of MiniLM's shape in bf16 beside PyTorch: random weights, which the peer writes into the case's folder, so
//! that it stands first; Hearth reads them and says how near its vectors are to the peer's.

use crate::bench::case::{Case, Goal, How, Program, Row, Run};

const SPEED: &str = "texts_per_second";

/// 32 texts of 128 tokens; 6 layers, D 384, F 1536, H 12, V 30522.
pub static MINILM: Case = Case {
    name: "minilm",
    does: "vectors of 32 texts of 128 tokens, MiniLM's shape, bf16",
    peer: "sentence-transformers",
    pairs: 5,
    runs: &[
        Run { name: "eager-bf16", program: Program::Peer("torch_encoder.py"), words: &[] },
        Run { name: "hearth-bf16", program: Program::Hearth("encoder"), words: &[] },
    ],
    rows: || {
        vec![
            Row::ratio(SPEED, "hearth-bf16", "eager-bf16").goal(Goal::AtLeast(2.5)),
            Row::ratio("memory_mb", "hearth-bf16", "eager-bf16"),
            Row::ratio("lowest_cosine", "hearth-bf16", "eager-bf16")
                .how(How::Mean)
                .goal(Goal::AtLeast(0.9995)),
        ]
    },
};
