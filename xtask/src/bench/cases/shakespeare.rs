//! nanoGPT's published small configuration on Shakespeare's characters beside the same model in PyTorch f32: the
//! time of the whole training and the loss over the last tenth of the text, over three seeds.
//!
//! Source: the README of nanoGPT, "quick start" on a computer without a GPU.

use crate::bench::case::{Case, Goal, How, Program, Row, Run};

const TEXT: &str = "shared:text/tinyshakespeare/input.txt";
const PEER: Program = Program::Peer("torch_shakespeare.py");

/// A seed for each round.
pub static SHAKESPEARE: Case = Case {
    name: "shakespeare",
    does: "a model of characters from scratch, 2,000 steps, a seed for each round",
    peer: "torch",
    pairs: 3,
    runs: &[
        Run { name: "hearth", program: Program::Hearth("shakespeare"), words: &[TEXT, "f32"] },
        Run { name: "eager", program: PEER, words: &[TEXT, "eager"] },
        Run { name: "compile", program: PEER, words: &[TEXT, "compile"] },
    ],
    rows: || {
        vec![
            Row::ratio("validation_loss", "hearth", "eager").how(How::Mean).goal(Goal::AtMost(1.88)),
            Row::ratio("seconds", "hearth", "eager").goal(Goal::AtMost(0.25)),
            Row::ratio("seconds", "hearth", "compile"),
            Row::ratio("memory_mb", "hearth", "eager"),
        ]
    },
};
