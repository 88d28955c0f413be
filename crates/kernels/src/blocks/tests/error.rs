//! How near blocks come to the weights that they were made from: nearer than rounding under the largest weight's
//! scale, and nearer than the GGML project's own library comes.

use super::reference::uniform;
use super::*;
use crate::blocks::iq4_nl::Uneven;
use crate::blocks::search::{Levels, Whole};
use crate::product::{from_f16, to_f16};

/// Sets of weights as models have them, by the formulas of `fixtures/blocks/make.py`.
pub(super) fn sets() -> [(&'static str, Vec<f32>); 5] {
    let bell = |index: u32| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| uniform(4 * index + k));
        (a + b) + (c + d)
    };
    let all = |weight: &dyn Fn(u32) -> f32| (0..8192).map(weight).collect();
    [
        ("flat", all(&|index| uniform(4 * index) * 0.03)),
        ("bell", all(&|index| bell(index) * 0.02)),
        ("heavy", all(&|index| bell(index) * bell(index) * bell(index) * 0.05)),
        ("lifted", all(&|index| bell(index) * 0.02 + 0.01)),
        ("outliers", all(&|index| bell(index) * if index % 97 == 0 { 0.16 } else { 0.02 })),
    ]
}

/// The relative square error, each weight counting alike, and with what `search` counts it.
fn errors(weights: &[f32], found: &[f32], n_weights: usize) -> [f64; 2] {
    let [mut plain, mut weighted] = [(0.0, 0.0); 2];
    for (weights, found) in weights.chunks(n_weights).zip(found.chunks(n_weights)) {
        let square = |weight: &f32| f64::from(*weight).powi(2);
        let mean = weights.iter().map(square).sum::<f64>() / n_weights as f64;
        for (weight, found) in weights.iter().zip(found) {
            let counts = 1.0 + square(weight) / mean;
            let error = (f64::from(*weight) - f64::from(*found)).powi(2);
            plain = (plain.0 + error, plain.1 + square(weight));
            weighted = (weighted.0 + counts * error, weighted.1 + counts * square(weight));
        }
    }
    [plain.0 / plain.1, weighted.0 / weighted.1]
}

/// Makes blocks of weights and widens them again.
pub(super) fn there_and_back(kind: &BlockType, weights: &[f32]) -> Vec<f32> {
    back_again(kind, weights, |blocks| kind.quantise(weights, blocks))
}

/// Makes blocks of rows of weights whose columns matter more and less, and widens them again.
pub(super) fn weighed_and_back(kind: &BlockType, weights: &[f32], importance: &[f32]) -> Vec<f32> {
    back_again(kind, weights, |blocks| kind.quantise_weighed(weights, importance, blocks))
}

fn back_again(kind: &BlockType, weights: &[f32], make: impl FnOnce(&mut [u8])) -> Vec<f32> {
    let (mut blocks, mut back) = (vec![0; kind.size_bytes(weights.len()).unwrap()], vec![9.0; weights.len()]);
    make(&mut blocks);
    kind.dequantise(&blocks, &mut back);
    back
}

fn halved(value: f32) -> f32 {
    from_f16(to_f16(value))
}

fn farthest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |far: f32, x| if x.abs() > far.abs() { *x } else { far })
}

/// One scale, the outermost level on the farthest weight.
fn naive<L: Levels>(block: &[f32], to: &mut [f32]) {
    let scale = halved(farthest(block) / L::LEAST);
    to.iter_mut().zip(block).for_each(|(to, x)| *to = scale * L::nearest(x / scale));
}

/// The same for each group, the scales rounded under one of the block.
fn naive_groups<L: Levels, S: Levels>(block: &[f32], n_groups: usize, to: &mut [f32]) {
    let length = block.len() / n_groups;
    let scales: Vec<f32> = block.chunks(length).map(|group| farthest(group) / L::LEAST).collect();
    let unit = halved(farthest(&scales) / S::LEAST);
    for ((group, to), scale) in block.chunks(length).zip(to.chunks_mut(length)).zip(scales) {
        let step = unit * S::nearest(scale / unit);
        let level = |x: f32| if step == 0.0 { 0.0 } else { L::nearest(x / step) };
        to.iter_mut().zip(group).for_each(|(to, x)| *to = step * level(*x));
    }
}

/// From the least weight, or zero, to the greatest, scales and minima rounded under those of the block.
fn naive_lines<L: Levels, S: Levels>(block: &[f32], n_groups: usize, to: &mut [f32]) {
    let length = block.len() / n_groups;
    let line = |group: &[f32]| {
        let least = group.iter().fold(0.0f32, |least, x| least.min(*x));
        ((group.iter().fold(0.0f32, |most, x| most.max(*x)) - least) / L::GREATEST, -least)
    };
    let (scales, minima): (Vec<f32>, Vec<f32>) = block.chunks(length).map(line).unzip();
    let units = [&scales, &minima].map(|all| halved(farthest(all) / S::GREATEST));
    let rounded = |value: f32, unit: f32| if unit == 0.0 { 0.0 } else { unit * S::nearest(value / unit) };
    for (index, (group, to)) in block.chunks(length).zip(to.chunks_mut(length)).enumerate() {
        let (step, minimum) = (rounded(scales[index], units[0]), rounded(minima[index], units[1]));
        let level = |x: f32| if step == 0.0 { 0.0 } else { L::nearest((x + minimum) / step) };
        to.iter_mut().zip(group).for_each(|(to, x)| *to = step * level(*x) - minimum);
    }
}

type Naive = fn(&[f32], &mut [f32]);

static SEARCHED: &[(&BlockType, Naive)] = &[
    (&q2_k::Q2_K, |block, to| naive_lines::<Whole<0, 3>, Whole<0, 15>>(block, 16, to)),
    (&q3_k::Q3_K, |block, to| naive_groups::<Whole<-4, 3>, Whole<-32, 31>>(block, 16, to)),
    (&q4_k::Q4_K, |block, to| naive_lines::<Whole<0, 15>, Whole<0, 63>>(block, 8, to)),
    (&q5_k::Q5_K, |block, to| naive_lines::<Whole<0, 31>, Whole<0, 63>>(block, 8, to)),
    (&q6_k::Q6_K, |block, to| naive_groups::<Whole<-32, 31>, Whole<-128, 127>>(block, 16, to)),
    (&iq4_nl::IQ4_NL, naive::<Uneven>),
    (&iq4_xs::IQ4_XS, |block, to| naive_groups::<Uneven, Whole<-32, 31>>(block, 8, to)),
];

#[test]
fn a_search_comes_nearer_than_the_scale_of_the_largest_weight() {
    for (kind, naive) in SEARCHED {
        for (label, weights) in sets() {
            let mut rounded = vec![0.0; weights.len()];
            let pairs = weights.chunks(kind.n_weights).zip(rounded.chunks_mut(kind.n_weights));
            pairs.for_each(|(block, to)| naive(block, to));
            let expected = errors(&weights, &rounded, kind.n_weights);
            let found = errors(&weights, &there_and_back(kind, &weights), kind.n_weights);
            let is_nearer = found[0] < expected[0] && found[1] < expected[1];
            assert!(is_nearer, "{kind:?}, {label}: {found:?}, rounded {expected:?}");
        }
    }
}

#[test]
fn a_search_comes_nearer_than_ggml() {
    let rows = include_str!("../../../../../fixtures/blocks/errors.tsv").lines();
    for row in rows {
        let fields: Vec<&str> = row.split('\t').collect();
        let [name, label, plain, weighted] = fields[..] else { panic!("{row}") };
        let kind = TYPES.iter().find(|kind| kind.name == name).unwrap();
        let (_, weights) = sets().into_iter().find(|set| set.0 == label).unwrap();
        let expected = [plain, weighted].map(|number| number.parse::<f64>().unwrap());
        let found = errors(&weights, &there_and_back(kind, &weights), kind.n_weights);
        // With every weight counted alike, a search that counts large ones more may lose a little.
        let is_near = found[0] < 1.03 * expected[0] && found[1] < expected[1];
        assert!(is_near, "{name}, {label}: {found:?}, theirs {expected:?}");
    }
}

/// What every type that is written does with weights that it cannot hold, cannot tell from zero, or holds exactly.
#[test]
fn odd_weights_have_honest_blocks() {
    for kind in TYPES.iter().filter(|kind| kind.is_writable()) {
        check_odd_weights(kind, there_and_back);
        check_odd_weights(kind, |kind, weights| {
            let importance: Vec<f32> = (0..weights.len()).map(|place| (1 + place % 3) as f32).collect();
            weighed_and_back(kind, weights, &importance)
        });
    }
}

fn check_odd_weights(kind: &BlockType, there_and_back: fn(&BlockType, &[f32]) -> Vec<f32>) {
    let n = kind.n_weights;
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut weights = vec![1.0; 2 * n];
        weights[n + 5] = wrong;
        let back = there_and_back(kind, &weights);
        assert!(back[..n].iter().all(|x| (x - 1.0).abs() < 0.1), "{kind:?}: {back:?}");
        assert!(back[n..].iter().all(|x| !x.is_finite()), "{kind:?} {wrong}: {back:?}");
    }
    for small in [0.0, -0.0, 1e-40, -1e-40, 1e-20, -1e-12] {
        let back = there_and_back(kind, &vec![small; n]);
        assert!(back.iter().all(|x| x.abs() <= 2.0 * small.abs()), "{kind:?} {small:e}: {back:?}");
    }
    for same in [3.0, -3.0, 1e-3, -1e-3, 400.0] {
        let back = there_and_back(kind, &vec![same; n]);
        // A type of few bits has minima of few bits as well.
        let bound = 0.07f32 * same.abs();
        assert!(back.iter().all(|x| (x - same).abs() <= bound), "{kind:?} {same}: {back:?}");
    }
    for huge in [1e6, 3e20, f32::MAX, f32::MIN] {
        let weights: Vec<f32> = (0..n).map(|place| if place % 3 == 0 { huge } else { 1.0 }).collect();
        let back = there_and_back(kind, &weights);
        let is_near = |(x, back): (&f32, &f32)| !back.is_finite() || (x - back).abs() < 0.2 * huge.abs();
        assert!(weights.iter().zip(&back).all(is_near), "{kind:?} {huge:e}: {back:?}");
    }
}
