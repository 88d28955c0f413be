//! The loss of every step beside PyTorch in f32: the same weights, batches, optimiser, clipping and schedule.
//!
//! The peer's first run writes weights and batches into the folder of the case, so it stands before Hearth's.

use crate::bench::case::{Case, Goal, How, Program, Row, Run};

const LOSSES: &str = "losses";
const PEER: Program = Program::Peer("torch_losses.py");
const HEARTH: Program = Program::Hearth("losses");

/// 200 steps at the 15 M shape; `--steps` for fewer.
pub static LOSSES_15M: Case = Case {
    name: "losses-15m",
    does: "the loss of every step, 15 M parameters, against PyTorch f32",
    peer: "torch",
    pairs: 1,
    runs: &[
        Run { name: "eager-f32", program: PEER, words: &["f32"] },
        Run { name: "hearth-f32", program: HEARTH, words: &["f32"] },
        Run { name: "hearth-bf16", program: HEARTH, words: &["bf16"] },
    ],
    rows: || {
        let row = |hearth, how| Row::ratio(LOSSES, hearth, "eager-f32").how(how);
        vec![
            row("hearth-f32", How::FirstDifference).goal(Goal::AtMost(1e-4)),
            row("hearth-f32", How::LargestDifference).goal(Goal::AtMost(0.01)),
            row("hearth-bf16", How::LargestDifference).goal(Goal::AtMost(0.02)),
        ]
    },
};
