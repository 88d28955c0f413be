//! Group normalisation of images: `y[p, c] = (x[p, c] − mean) / sqrt(variance + epsilon) · weight[c] + bias[c]`, mean and
//! variance being those of all pixels p of one image and all channels of the group that c is in; channels lie side by side.
//!
//! Source: Y. Wu and K. He, "Group Normalization" (2018), equations 1 to 3. An image is read once for its statistics: sums
//! of the differences from its first pixel and of their squares, in f32 over blocks of 64 pixels, then in f64. Relative to
//! the largest |y − bias| of a channel the error is at most 1e-5 while the means of a group's channels lie within a hundred
//! deviations.
//!
//! Plain loops over channels that the compiler turns into vector code: memory is their limit, so they have one body, as in
//! [`crate::element`].

use std::ops::Range;

use crate::disjoint::Disjoint;
use crate::pool;

/// Pixels whose sums are added in f32.
const BLOCK: usize = 64;
/// Numbers that one task goes over at least.
const ELEMENTS_PER_TASK: usize = 32 * 1024;

/// What is normalised together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Groups {
    /// How many images there are.
    pub images: usize,
    /// Groups of channels, all of the same size.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
}

/// Adds the numbers of a block of one image to two sums for each channel.
type AddUp<'a> = &'a (dyn Fn(Range<usize>, [&mut [f32]; 2]) + Sync);

/// Sizes that go with slices.
#[derive(Clone, Copy)]
struct Sizes {
    pixels: usize,
    channels: usize,
    per_group: usize,
}

/// Normalises groups of channels, multiplies by `weight` and adds `bias`.
///
/// # Shapes
/// `x [images, pixels, channels]`, `weight [channels]`, `bias [channels]`, `y` as x.
///
/// # Panics
/// When the lengths do not fit together.
pub fn group_norm(x: &[f32], weight: &[f32], bias: &[f32], groups: Groups, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "group_norm: x and y differ in length");
    let Some(sizes) = sizes(x, (weight, bias), groups) else { return };
    let length = sizes.pixels * sizes.channels;
    let images = x.chunks_exact(length).zip(y.chunks_exact_mut(length));
    for (x, y) in images {
        let (mean, scale) = statistics(x, sizes, groups);
        let factor: Vec<f32> =
            weight.iter().enumerate().map(|(c, w)| w * scale[c / sizes.per_group]).collect();
        let mean: Vec<f32> = (0..sizes.channels).map(|c| mean[c / sizes.per_group]).collect();
        let output = Disjoint::new(y);
        over_pixels(sizes, &|pixels| {
            let range = pixels.start * sizes.channels..pixels.end * sizes.channels;
            // SAFETY: ranges of pixels do not overlap.
            let y = unsafe { output.part(range.clone()) };
            for (x, y) in x[range].chunks_exact(sizes.channels).zip(y.chunks_exact_mut(sizes.channels)) {
                for (c, (x, y)) in x.iter().zip(y).enumerate() {
                    *y = (x - mean[c]) * factor[c] + bias[c];
                }
            }
        });
    }
}

/// Where the gradients go: all is overwritten.
pub struct Gradients<'a> {
    /// For x, `[images, pixels, channels]`.
    pub dx: &'a mut [f32],
    /// For the weight, `[channels]`.
    pub dw: &'a mut [f32],
    /// For the bias, `[channels]`.
    pub db: &'a mut [f32],
}

/// The gradients of [`group_norm`] for x, weight and bias, given that of its output. With n the normalised x, f one over
/// its deviation, g the gradient and h = g · weight: `dx = f · (h − mean(h) − n · mean(h · n))`, the means over the group,
/// `dw = Σ g · n` and `db = Σ g` over all pixels and images.
///
/// # Shapes
/// `x`, `gradient` `[images, pixels, channels]`, `weight [channels]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn group_norm_backward(
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    groups: Groups,
    gradients: Gradients<'_>,
) {
    let Gradients { dx, dw, db } = gradients;
    assert!(
        x.len() == gradient.len() && x.len() == dx.len(),
        "group_norm_backward: x, gradient and dx differ"
    );
    assert!(
        weight.len() == dw.len() && weight.len() == db.len(),
        "group_norm_backward: weight, dw and db differ"
    );
    dw.fill(0.0);
    db.fill(0.0);
    let Some(sizes) = sizes(x, (weight, weight), groups) else { return };
    let Sizes { pixels, channels, per_group } = sizes;
    let length = pixels * channels;
    let images = x.chunks_exact(length).zip(gradient.chunks_exact(length)).zip(dx.chunks_exact_mut(length));
    for ((x, gradient), dx) in images {
        let (mean, scale) = statistics(x, sizes, groups);
        let normal = |c: usize, x: f32| (x - mean[c / per_group]) * scale[c / per_group];
        // For each channel Σ g and Σ g · n.
        let sums = channel_sums(sizes, &|range, [for_bias, for_weight]| {
            let rows = x[range.clone()].chunks_exact(channels).zip(gradient[range].chunks_exact(channels));
            for (x, gradient) in rows {
                for (c, (x, g)) in x.iter().zip(gradient).enumerate() {
                    for_bias[c] += g;
                    for_weight[c] += g * normal(c, *x);
                }
            }
        });
        let [of_bias, of_weight] = &sums;
        for c in 0..channels {
            db[c] += of_bias[c] as f32;
            dw[c] += of_weight[c] as f32;
        }
        let count = (pixels * per_group) as f64;
        let group_mean = |sums: &[f64]| -> Vec<f32> {
            let of_group = |(sums, weight): (&[f64], &[f32])| {
                sums.iter().zip(weight).map(|(sum, weight)| sum * f64::from(*weight)).sum::<f64>() / count
            };
            sums.chunks_exact(per_group)
                .zip(weight.chunks_exact(per_group))
                .map(of_group)
                .map(|mean| mean as f32)
                .collect()
        };
        let (mean_h, mean_hn) = (group_mean(of_bias), group_mean(of_weight));
        let output = Disjoint::new(dx);
        over_pixels(sizes, &|pixels| {
            let range = pixels.start * channels..pixels.end * channels;
            // SAFETY: ranges of pixels do not overlap.
            let dx = unsafe { output.part(range.clone()) };
            for (at, (dx, (x, g))) in
                dx.iter_mut().zip(x[range.clone()].iter().zip(&gradient[range])).enumerate()
            {
                let (c, group) = (at % channels, at % channels / per_group);
                *dx = scale[group] * (g * weight[c] - mean_h[group] - normal(c, *x) * mean_hn[group]);
            }
        });
    }
}

/// `None` where there is nothing to do.
fn sizes(x: &[f32], (weight, bias): (&[f32], &[f32]), groups: Groups) -> Option<Sizes> {
    let channels = weight.len();
    assert_eq!(channels, bias.len(), "group_norm: weight and bias differ in length");
    let fits = groups.groups > 0 && channels.is_multiple_of(groups.groups);
    assert!(fits, "group_norm: {channels} channels are no {} groups", groups.groups);
    let rows = groups.images * channels;
    let fits = if rows == 0 { x.is_empty() } else { x.len().is_multiple_of(rows) };
    assert!(fits, "group_norm: x is not {} images of whole pixels of {channels} channels", groups.images);
    let pixels = x.len().checked_div(rows).unwrap_or(0);
    (pixels > 0).then_some(Sizes { pixels, channels, per_group: channels / groups.groups })
}

/// The mean of each group of one image, and one over its deviation.
fn statistics(x: &[f32], sizes: Sizes, groups: Groups) -> (Vec<f32>, Vec<f32>) {
    let Sizes { pixels, channels, per_group } = sizes;
    let first = &x[..channels];
    let [sums, squares] = channel_sums(sizes, &|range, [sums, squares]| {
        for x in x[range].chunks_exact(channels) {
            for ((sum, square), (x, first)) in
                sums.iter_mut().zip(squares.iter_mut()).zip(x.iter().zip(first))
            {
                let difference = x - first;
                *sum += difference;
                *square += difference * difference;
            }
        }
    });
    let (n, count) = (pixels as f64, (pixels * per_group) as f64);
    let of_group = |group: usize| {
        let of_group = group * per_group..(group + 1) * per_group;
        let at = |c: usize| (f64::from(first[c]), sums[c], squares[c]);
        let mean = of_group.clone().map(at).map(|(first, sum, _)| n * first + sum).sum::<f64>() / count;
        // Σ (d + f − m)² = Σ d² + 2 (f − m) Σ d + n (f − m)².
        let spread = of_group.map(at).map(|(first, sum, square)| {
            let off = first - mean;
            square + 2.0 * off * sum + n * off * off
        });
        let variance = spread.sum::<f64>().max(0.0) / count;
        (mean as f32, (1.0 / (variance + f64::from(groups.epsilon)).sqrt()) as f32)
    };
    (0..groups.groups).map(of_group).unzip()
}

/// Two sums for each channel of one image, which `add` adds up for blocks of numbers, in an order that the number of pixels
/// alone decides.
fn channel_sums(sizes: Sizes, add: AddUp<'_>) -> [Vec<f64>; 2] {
    let Sizes { pixels, channels, .. } = sizes;
    let n_blocks = pixels.div_ceil(BLOCK);
    let mut partials = vec![0.0f32; n_blocks * 2 * channels];
    let blocks = Disjoint::new(&mut partials);
    pool::run_ranges(n_blocks, ELEMENTS_PER_TASK.div_ceil(BLOCK * channels), &|range| {
        for block in range {
            // SAFETY: blocks do not overlap.
            let sums = unsafe { blocks.part(block * 2 * channels..(block + 1) * 2 * channels) };
            let (one, other) = sums.split_at_mut(channels);
            add(block * BLOCK * channels..pixels.min((block + 1) * BLOCK) * channels, [one, other]);
        }
    });
    let total = |which: usize| -> Vec<f64> {
        let of_channel = |c: usize| {
            let partials = partials.iter().skip(which * channels + c).step_by(2 * channels);
            partials.map(|sum| f64::from(*sum)).sum()
        };
        (0..channels).map(of_channel).collect()
    };
    [total(0), total(1)]
}

/// Lets tasks go over the pixels of one image.
fn over_pixels(sizes: Sizes, work: &(dyn Fn(Range<usize>) + Sync)) {
    pool::run_ranges(sizes.pixels, ELEMENTS_PER_TASK.div_ceil(sizes.channels), work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        assert_near, assert_same_bits, differences, normal, on_every_number_of_threads, widened,
    };
    use base::Rng;

    /// The formula in f64.
    fn formula(x: &[f64], weight: &[f64], bias: &[f64], groups: Groups) -> Vec<f64> {
        let (channels, n_images) = (weight.len(), groups.images);
        let (length, per_group) = (x.len() / n_images, channels / groups.groups);
        let mut y = vec![0.0; x.len()];
        for image in 0..n_images {
            for group in 0..groups.groups {
                let places: Vec<usize> = (image * length..(image + 1) * length)
                    .filter(|place| place % channels / per_group == group)
                    .collect();
                let mean = places.iter().map(|place| x[*place]).sum::<f64>() / places.len() as f64;
                let squares = places.iter().map(|place| (x[*place] - mean).powi(2));
                let variance = squares.sum::<f64>() / places.len() as f64;
                for place in places {
                    let normal = (x[place] - mean) / (variance + f64::from(groups.epsilon)).sqrt();
                    y[place] = normal * weight[place % channels] + bias[place % channels];
                }
            }
        }
        y
    }

    const SIZES: [(usize, usize, usize, usize); 6] =
        [(1, 1, 2, 1), (2, 5, 6, 3), (1, 64, 32, 32), (3, 65, 8, 1), (1, 1000, 24, 4), (2, 4096, 3, 3)];

    #[test]
    fn every_group_follows_the_formula() {
        for (images, pixels, channels, n_groups) in SIZES {
            let (groups, mut rng) = (Groups { images, groups: n_groups, epsilon: 1e-5 }, Rng::new(3));
            // Means far from zero and from each other.
            let mut x = normal(&mut rng, images * pixels * channels);
            x.iter_mut().enumerate().for_each(|(at, x)| *x += 20.0 + (at % channels) as f32);
            let (weight, bias) = (normal(&mut rng, channels), normal(&mut rng, channels));
            let mut y = vec![f32::NAN; x.len()];
            group_norm(&x, &weight, &bias, groups, &mut y);
            let expected = formula(&widened(&x), &widened(&weight), &widened(&bias), groups);
            let expected: Vec<f32> = expected.iter().map(|y| *y as f32).collect();
            assert_near(&y, &expected, (1e-5, 3e-5), &format!("{images} {pixels} {channels} {n_groups}"));
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_the_formula() {
        for (images, pixels, channels, n_groups) in &SIZES[..2] {
            let (groups, mut rng) =
                (Groups { images: *images, groups: *n_groups, epsilon: 1e-3 }, Rng::new(4));
            let n = images * pixels * channels;
            let (x, g) = (normal(&mut rng, n), normal(&mut rng, n));
            let (weight, bias) = (normal(&mut rng, *channels), normal(&mut rng, *channels));
            let (mut dx, mut dw, mut db) = (vec![9.0; n], vec![9.0; *channels], vec![9.0; *channels]);
            group_norm_backward(&x, &weight, &g, groups, Gradients { dx: &mut dx, dw: &mut dw, db: &mut db });
            let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
                formula(x, weight, bias, groups).iter().zip(&g).map(|(y, g)| y * f64::from(*g)).sum::<f64>()
            };
            let (x, weight, bias) = (widened(&x), widened(&weight), widened(&bias));
            assert_near(&dx, &differences(&x, &|x| loss(x, &weight, &bias)), (1e-3, 1e-4), "dx");
            assert_near(&dw, &differences(&weight, &|weight| loss(&x, weight, &bias)), (1e-3, 1e-4), "dw");
            assert_near(&db, &differences(&bias, &|bias| loss(&x, &weight, bias)), (1e-3, 1e-4), "db");
        }
    }

    #[test]
    fn an_image_is_the_same_alone_in_company_and_on_any_number_of_threads() {
        let (groups, mut rng) = (Groups { images: 3, groups: 4, epsilon: 1e-6 }, Rng::new(5));
        let length = 3000 * 16;
        let (x, weight) = (normal(&mut rng, 3 * length), normal(&mut rng, 16));
        on_every_number_of_threads(|n_threads| {
            let mut all = vec![f32::NAN; x.len()];
            group_norm(&x, &weight, &weight, groups, &mut all);
            for (x, expected) in x.chunks_exact(length).zip(all.chunks_exact(length)) {
                let mut y = vec![f32::NAN; length];
                group_norm(x, &weight, &weight, Groups { images: 1, ..groups }, &mut y);
                assert_same_bits(&y, expected, &format!("{n_threads} threads"));
            }
        });
    }

    #[test]
    fn nothing_gives_nothing_and_equal_pixels_their_bias() {
        let groups = Groups { images: 1, groups: 1, epsilon: 1e-5 };
        group_norm(&[], &[], &[], Groups { images: 0, ..groups }, &mut []);
        let mut y = [9.0; 4];
        group_norm(&[3.0; 4], &[2.0; 2], &[0.5, -1.0], groups, &mut y);
        assert_eq!(y, [0.5, -1.0, 0.5, -1.0]);
    }
}
