//! Dense products in both precisions beside PyTorch's `linear`.
//!
//! Hearth's operands are f32 in memory whatever the precision, PyTorch's are of the product's own type. But 16 rows are
//! those of generated tokens, which meet weights as a file stores them.

use crate::bench::case::{Case, Goal, Program, Row, Run};

/// A shape, what PEERS.md says of PyTorch's bf16 in TFLOP/s, and what is promised of bf16.
struct Shape {
    name: &'static str,
    peer_reaches: f64,
    goal: Option<Goal>,
}

static SHAPES: &[Shape] = &[
    Shape { name: "2048x2048x2048", peer_reaches: 1.9, goal: Some(Goal::AtLeast(1.8)) },
    Shape { name: "2048x288x768", peer_reaches: 2.7, goal: None },
    Shape { name: "2048x288x32000", peer_reaches: 0.6, goal: Some(Goal::AtLeast(2.0)) },
    Shape { name: "16x2048x8192", peer_reaches: 0.5, goal: Some(Goal::AtLeast(2.0)) },
    Shape { name: "512x2048x8192", peer_reaches: 2.1, goal: None },
];

/// Rows × inner size × outer size, in TFLOP/s.
pub static PRODUCT: Case = Case {
    name: "product",
    does: "dense products x · Wᵀ, rows x inner x outer size",
    peer: "torch",
    pairs: 5,
    runs: &[
        Run { name: "hearth", program: Program::Hearth("product"), words: &[] },
        Run { name: "linear", program: Program::Peer("torch_product.py"), words: &[] },
    ],
    rows: || {
        let row = |precision, shape: &Shape| {
            Row::ratio(&format!("tflops {precision} {}", shape.name), "hearth", "linear")
        };
        let half = SHAPES.iter().map(|shape| {
            let row = row("bf16", shape).peer_reaches(shape.peer_reaches);
            Row { goal: shape.goal, ..row }
        });
        half.chain(SHAPES.iter().map(|shape| row("f32", shape))).collect()
    },
};
