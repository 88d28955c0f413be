//! The things that can be drawn: what they are called and their shape in a square from −1 to 1.
//!
//! Each is a silhouette of one colour, which its outline and its holes alone tell apart from the others, 12 pixels
//! wide too. A new kind is a row here and a page of the book of the program that checks (`xtask/pictures-check`).

use super::raster::Form::{Disc, Polygon};
use super::raster::Stroke::{self, Add, Cut, Keep};

/// A kind of thing.
pub struct Kind {
    /// Its first name, which the check knows.
    pub name: &'static str,
    /// What it is called, one and several of it.
    pub words: &'static [(&'static str, &'static str)],
    /// Its shape.
    pub strokes: &'static [Stroke],
}

/// Every kind.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "circle",
        words: &[("circle", "circles"), ("circle", "circles"), ("disc", "discs"), ("ball", "balls")],
        strokes: &[Add(Disc([0.0, 0.0], 1.0))],
    },
    Kind {
        name: "square",
        words: &[("square", "squares"), ("square", "squares"), ("box", "boxes")],
        strokes: &[Add(Polygon(&[[-0.92, -0.92], [0.92, -0.92], [0.92, 0.92], [-0.92, 0.92]]))],
    },
    Kind {
        name: "triangle",
        words: &[("triangle", "triangles")],
        strokes: &[Add(Polygon(&[[0.0, -0.95], [1.0, 0.85], [-1.0, 0.85]]))],
    },
    Kind { name: "star", words: &[("star", "stars")], strokes: &[Add(Polygon(STAR))] },
    Kind {
        name: "heart",
        words: &[("heart", "hearts")],
        strokes: &[
            Add(Disc([-0.49, -0.36], 0.5)),
            Add(Disc([0.49, -0.36], 0.5)),
            Add(Polygon(&[[0.0, -0.36], [0.8596, -0.0232], [0.0, 0.92], [-0.8596, -0.0232]])),
        ],
    },
    Kind {
        name: "ring",
        words: &[("ring", "rings"), ("ring", "rings"), ("hoop", "hoops")],
        strokes: &[Add(Disc([0.0, 0.0], 1.0)), Cut(Disc([0.0, 0.0], 0.55))],
    },
    Kind {
        name: "diamond",
        words: &[("diamond", "diamonds"), ("diamond", "diamonds"), ("rhombus", "rhombuses")],
        strokes: &[Add(Polygon(&[[0.0, -1.0], [0.7, 0.0], [0.0, 1.0], [-0.7, 0.0]]))],
    },
    Kind {
        name: "cross",
        words: &[("cross", "crosses"), ("cross", "crosses"), ("plus sign", "plus signs")],
        strokes: &[
            Add(Polygon(&[[-0.32, -1.0], [0.32, -1.0], [0.32, 1.0], [-0.32, 1.0]])),
            Add(Polygon(&[[-1.0, -0.32], [1.0, -0.32], [1.0, 0.32], [-1.0, 0.32]])),
        ],
    },
    Kind {
        name: "moon",
        words: &[("moon", "moons"), ("crescent moon", "crescent moons"), ("crescent", "crescents")],
        strokes: &[Add(Disc([0.1, 0.0], 1.0)), Cut(Disc([0.6, 0.0], 0.85))],
    },
    Kind {
        name: "sun",
        words: &[("sun", "suns")],
        strokes: &[Add(Disc([0.0, 0.0], 0.56)), Add(Polygon(SUN))],
    },
    Kind {
        name: "cloud",
        words: &[("cloud", "clouds")],
        strokes: &[
            Add(Disc([-0.58, 0.22], 0.42)),
            Add(Disc([0.02, -0.12], 0.58)),
            Add(Disc([0.6, 0.24], 0.4)),
            Add(Polygon(&[[-0.58, 0.1], [0.6, 0.1], [0.6, 0.64], [-0.58, 0.64]])),
        ],
    },
    Kind {
        name: "house",
        words: &[("house", "houses"), ("house", "houses"), ("hut", "huts")],
        strokes: &[
            Add(Polygon(&[[0.0, -1.0], [1.0, -0.08], [-1.0, -0.08]])),
            Add(Polygon(&[[-0.76, -0.2], [0.76, -0.2], [0.76, 0.95], [-0.76, 0.95]])),
            Cut(Polygon(&[[-0.24, 0.28], [0.24, 0.28], [0.24, 1.2], [-0.24, 1.2]])),
        ],
    },
    Kind {
        name: "tree",
        words: &[("tree", "trees")],
        strokes: &[
            Add(Disc([0.0, -0.5], 0.5)),
            Add(Disc([-0.4, 0.0], 0.44)),
            Add(Disc([0.4, 0.0], 0.44)),
            Add(Polygon(&[[-0.2, 0.2], [0.2, 0.2], [0.2, 1.0], [-0.2, 1.0]])),
        ],
    },
    Kind {
        name: "flower",
        words: &[("flower", "flowers"), ("flower", "flowers"), ("blossom", "blossoms")],
        strokes: &[
            Add(Disc([0.0, -0.6], 0.4)),
            Add(Disc([0.5706, -0.1854], 0.4)),
            Add(Disc([0.3527, 0.4854], 0.4)),
            Add(Disc([-0.3527, 0.4854], 0.4)),
            Add(Disc([-0.5706, -0.1854], 0.4)),
            Add(Disc([0.0, 0.0], 0.5)),
            Cut(Disc([0.0, 0.0], 0.26)),
        ],
    },
    Kind {
        name: "fish",
        words: &[("fish", "fish")],
        strokes: &[
            Add(Disc([-0.17, 0.4], 0.92)),
            Keep(Disc([-0.17, -0.4], 0.92)),
            Add(Polygon(&[[0.3, 0.0], [1.0, -0.6], [0.82, 0.0], [1.0, 0.6]])),
            Cut(Disc([-0.5, -0.1], 0.15)),
        ],
    },
    Kind {
        name: "cup",
        words: &[("cup", "cups"), ("cup", "cups"), ("mug", "mugs")],
        strokes: &[
            Add(Disc([0.5, -0.08], 0.5)),
            Cut(Disc([0.5, -0.08], 0.24)),
            Add(Polygon(&[[-1.0, -0.8], [0.48, -0.8], [0.34, 0.85], [-0.86, 0.85]])),
        ],
    },
    Kind {
        name: "boat",
        words: &[("boat", "boats"), ("boat", "boats"), ("ship", "ships"), ("sailing boat", "sailing boats")],
        strokes: &[
            Add(Polygon(&[[-1.0, 0.34], [1.0, 0.34], [0.62, 0.92], [-0.62, 0.92]])),
            Add(Polygon(&[[-0.14, -0.98], [0.1, -0.98], [0.1, 0.5], [-0.14, 0.5]])),
            Add(Polygon(&[[0.0, -0.95], [0.86, 0.1], [0.0, 0.1]])),
        ],
    },
    Kind {
        name: "car",
        words: &[("car", "cars")],
        strokes: &[
            Add(Polygon(&[[-1.0, -0.05], [1.0, -0.05], [1.0, 0.45], [-1.0, 0.45]])),
            Add(Polygon(&[[-0.66, 0.0], [-0.42, -0.62], [0.34, -0.62], [0.68, 0.0]])),
            Cut(Polygon(&[[-0.4, -0.1], [-0.26, -0.42], [0.2, -0.42], [0.38, -0.1]])),
            Add(Disc([-0.54, 0.42], 0.28)),
            Add(Disc([0.54, 0.42], 0.28)),
        ],
    },
];

/// Five points of radius 1.05, and between them corners of radius 0.45.
const STAR: &[[f64; 2]] = &[
    [0.0, -1.05],
    [0.2645, -0.3641],
    [0.9986, -0.3245],
    [0.4280, 0.1391],
    [0.6172, 0.8495],
    [0.0, 0.45],
    [-0.6172, 0.8495],
    [-0.4280, 0.1391],
    [-0.9986, -0.3245],
    [-0.2645, -0.3641],
];

/// Eight rays of radius 1, and between them corners of radius 0.5.
#[expect(clippy::approx_constant, reason = "every corner has four digits, so that it is the same everywhere")]
const SUN: &[[f64; 2]] = &[
    [0.0, -1.0],
    [0.1914, -0.4619],
    [0.7071, -0.7071],
    [0.4619, -0.1914],
    [1.0, 0.0],
    [0.4619, 0.1914],
    [0.7071, 0.7071],
    [0.1914, 0.4619],
    [0.0, 1.0],
    [-0.1914, 0.4619],
    [-0.7071, 0.7071],
    [-0.4619, 0.1914],
    [-1.0, 0.0],
    [-0.4619, -0.1914],
    [-0.7071, -0.7071],
    [-0.1914, -0.4619],
];
