//! Parts of image models beside diffusers in bf16: random weights, which the peer writes into the case's folder, so that it
//! stands first; Hearth reads them and says how near its answer is to the peer's in f32.

use crate::bench::case::{Case, Goal, How, Program, Row, Run};

const PEER: Program = Program::Peer("diffusers_images.py");
const HEARTH: Program = Program::Hearth("images");

/// Seconds and memory as shares of the peer's, and how near the answer is.
fn rows(most: f64, peer_reaches: f64) -> Vec<Row> {
    let ratio = |figure| Row::ratio(figure, "hearth-bf16", "diffusers-bf16");
    vec![
        ratio("seconds").goal(Goal::AtMost(most)).peer_reaches(peer_reaches),
        ratio("memory_mb").goal(Goal::AtMost(1.0)),
        ratio("cosine").how(How::Mean).goal(Goal::AtLeast(0.999)),
    ]
}

/// Both rows of guidance at 512 x 512.
pub static STEP: Case = Case {
    name: "sd15-step",
    does: "a denoising step, both rows of guidance; Stable Diffusion 1.5's U-Net at 512 x 512, bf16",
    peer: "diffusers",
    pairs: 5,
    runs: &[
        Run { name: "diffusers-bf16", program: PEER, words: &["step"] },
        Run { name: "hearth-bf16", program: HEARTH, words: &["step"] },
    ],
    rows: || rows(0.35, 2.08),
};

/// Latents of 512 x 512 pixels.
pub static DECODE: Case = Case {
    name: "sd15-decode",
    does: "latents to pixels; Stable Diffusion 1.5's auto-encoder at 512 x 512, bf16",
    peer: "diffusers",
    pairs: 5,
    runs: &[
        Run { name: "diffusers-bf16", program: PEER, words: &["decode"] },
        Run { name: "hearth-bf16", program: HEARTH, words: &["decode"] },
    ],
    rows: || rows(0.25, 5.3),
};
