//! Rotary position embedding: turns each pair of a head's elements by an angle that grows with the position.
//!
//! Knows nothing of how frequencies are scaled for long contexts: `inv_freq` comes ready. Source: J. Su and
//! others, "RoFormer: Enhanced Transformer with Rotary Position Embedding" (2021). With a pair (a, b) and its
//! cosine c and sine s: a' = a·c − b·s, b' = b·c + a·s. Largest error: 2 ULP of the larger of the two terms.
//! The backward pass is the turn by the opposite angle: the same with the sines negated.

use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Which elements of a head form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// (0, 1), (2, 3), …: the original, llama2.c and most GGUF files of the Llama family.
    Interleaved,
    /// (0, n/2), (1, n/2 + 1), …, with n the rotary size: GPT-NeoX and `transformers`.
    Halves,
}

/// The sizes and the layout of the heads that are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Heads in each row (H).
    pub n_heads: usize,
    /// Elements of a head (d).
    pub head_size: usize,
    /// How many of them, from the first, are turned: an even number; the others stay.
    pub rotary_size: usize,
    /// Which of them form a pair.
    pub layout: Layout,
}

/// Turns one head's rotary elements: `x [n]`, cosines [n/2], sines [n/2].
pub type Body = unsafe fn(&mut [f32], &[f32], &[f32]);

/// The bodies for [`Layout::Interleaved`].
pub static ROPE_INTERLEAVED: Kernel<Body> = Kernel::new(
    "rope (interleaved)",
    &[
        (Isa::Scalar, scalar_interleaved),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::interleaved_avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::interleaved_avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::interleaved::<crate::lanes::Neon>),
    ],
);

/// The bodies for [`Layout::Halves`].
pub static ROPE_HALVES: Kernel<Body> = Kernel::new(
    "rope (halves)",
    &[
        (Isa::Scalar, scalar_halves),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::halves_avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::halves_avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::halves::<crate::lanes::Neon>),
    ],
);

/// Elements that one task turns at least.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// The cosines and sines of `position · inv_freq`, times `amplitude` (1 but for YaRN).
///
/// The angle is rounded to f32 before its cosine is taken, as the reference implementations do; cosine and
/// sine are computed in f64 and rounded once.
///
/// # Shapes
/// `positions [R]`, `inv_freq [n/2]` in radians per position, cosines and `sines [R, n/2]`.
///
/// # Panics
/// When the lengths do not fit together.
pub fn rope_table(
    positions: &[u32],
    inv_freq: &[f32],
    amplitude: f32,
    cosines: &mut [f32],
    sines: &mut [f32],
) {
    assert_eq!(Some(cosines.len()), positions.len().checked_mul(inv_freq.len()), "rope_table: cosines");
    assert_eq!(cosines.len(), sines.len(), "rope_table: cosines and sines differ in length");
    let angles =
        positions.iter().flat_map(|position| inv_freq.iter().map(move |freq| *position as f32 * freq));
    for ((angle, cosine), sine) in angles.zip(cosines).zip(sines) {
        let (s, c) = f64::from(angle).sin_cos();
        *cosine = (c * f64::from(amplitude)) as f32;
        *sine = (s * f64::from(amplitude)) as f32;
    }
}

/// Turns every head of every row of `x` in place by the row's angles.
///
/// # Shapes
/// `x [R, H, d]`, cosines and `sines [R, n/2]` with n the rotary size.
///
/// # Panics
/// When the lengths do not fit together, or the rotary size is odd or above d.
pub fn rope(x: &mut [f32], cosines: &[f32], sines: &[f32], heads: Heads) {
    turn_rows(x, cosines, sines, heads, Direction::Forth);
}

/// Turns every head of every row back by the row's angles: what [`rope`] does to x undone, and, in place, the
/// gradient of its output made that of its input. The bits are those of [`rope`] with negated sines.
///
/// # Shapes
/// As [`rope`].
///
/// # Panics
/// As [`rope`].
pub fn rope_backward(gradient: &mut [f32], cosines: &[f32], sines: &[f32], heads: Heads) {
    turn_rows(gradient, cosines, sines, heads, Direction::Back);
}

/// Which way a pair is turned.
#[derive(Clone, Copy)]
enum Direction {
    Forth,
    Back,
}

fn turn_rows(x: &mut [f32], cosines: &[f32], sines: &[f32], heads: Heads, direction: Direction) {
    let Heads { n_heads, head_size, rotary_size, layout } = heads;
    assert!(
        rotary_size <= head_size && rotary_size.is_multiple_of(2),
        "rope: rotary size {rotary_size} of {head_size}"
    );
    assert_eq!(cosines.len(), sines.len(), "rope: cosines and sines differ in length");
    let (width, half) = (n_heads * head_size, rotary_size / 2);
    if width == 0 || half == 0 {
        return;
    }
    let n_rows = x.len() / width;
    assert!(
        x.len().is_multiple_of(width) && Some(cosines.len()) == n_rows.checked_mul(half),
        "rope: rows differ in number"
    );
    let body = match layout {
        Layout::Interleaved => ROPE_INTERLEAVED.body(),
        Layout::Halves => ROPE_HALVES.body(),
    };
    let output = Disjoint::new(x);
    pool::run_ranges(n_rows, ELEMENTS_PER_TASK.div_ceil(width), &|rows| {
        let mut turned = vec![0.0; half];
        for row in rows {
            let (c, s) = (&cosines[row * half..][..half], &sines[row * half..][..half]);
            let sign = match direction {
                Direction::Forth => 1.0,
                Direction::Back => -1.0,
            };
            turned.iter_mut().zip(s).for_each(|(turned, s)| *turned = sign * s);
            for head in 0..n_heads {
                let start = row * width + head * head_size;
                // SAFETY: heads do not overlap, the table holds only bodies that this machine can run, and
                // the lengths are n, n/2 and n/2.
                unsafe { body(output.part(start..start + rotary_size), c, &turned) };
            }
        }
    });
}

fn scalar_interleaved(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
    for ((pair, c), s) in x.chunks_exact_mut(2).zip(cosines).zip(sines) {
        (pair[0], pair[1]) = (pair[0] * c - pair[1] * s, pair[1] * c + pair[0] * s);
    }
}

fn scalar_halves(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
    let (lower, upper) = x.split_at_mut(cosines.len());
    for (((a, b), c), s) in lower.iter_mut().zip(upper).zip(cosines).zip(sines) {
        (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
    }
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn interleaved_avx2(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { interleaved::<Avx2>(x, cosines, sines) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn interleaved_avx512(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        // SAFETY: as above.
        unsafe { interleaved::<Avx512>(x, cosines, sines) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn halves_avx2(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        // SAFETY: as above.
        unsafe { halves::<Avx2>(x, cosines, sines) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn halves_avx512(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        // SAFETY: as above.
        unsafe { halves::<Avx512>(x, cosines, sines) }
    }

    #[inline(always)]
    pub unsafe fn interleaved<V: Lanes>(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        let whole = x.len() - x.len() % LANES;
        // SAFETY: sixteen elements of x and eight of each table stand at every start.
        unsafe {
            for start in (0..whole).step_by(LANES) {
                let here = x.as_mut_ptr().add(start);
                let c = V::load_twice(cosines.as_ptr().add(start / 2));
                let s = V::load_twice(sines.as_ptr().add(start / 2));
                let pairs = V::load(here);
                pairs.mul_sub_add(c, pairs.swap_pairs().mul(s)).store(here);
            }
        }
        for pair in whole / 2..x.len() / 2 {
            let (a, b, c, s) = (x[2 * pair], x[2 * pair + 1], cosines[pair], sines[pair]);
            x[2 * pair] = a.mul_add(c, -(b * s));
            x[2 * pair + 1] = b.mul_add(c, a * s);
        }
    }

    #[inline(always)]
    pub unsafe fn halves<V: Lanes>(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        let half = cosines.len();
        let (lower, upper) = x.split_at_mut(half);
        // SAFETY: all four slices are `half` long, and no lane goes beyond.
        unsafe {
            for start in (0..half).step_by(LANES) {
                let a: V = load_up_to(lower.as_ptr(), start, half);
                let b: V = load_up_to(upper.as_ptr(), start, half);
                let c: V = load_up_to(cosines.as_ptr(), start, half);
                let s: V = load_up_to(sines.as_ptr(), start, half);
                store_up_to(b.neg_mul_add(s, a.mul(c)), lower.as_mut_ptr(), start, half);
                store_up_to(a.mul_add(s, b.mul(c)), upper.as_mut_ptr(), start, half);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{LENGTHS, Shifted, assert_near, assert_same_bits, awkward, normal};
    use base::Rng;

    #[test]
    fn bodies_agree() {
        for kernel in [&ROPE_INTERLEAVED, &ROPE_HALVES] {
            for (seed, half) in (1..).zip(LENGTHS) {
                let mut rng = Rng::new(seed);
                check_head(kernel, seed, normal(&mut rng, 2 * half), &mut rng);
                check_head(kernel, seed, awkward(&mut rng, 2 * half), &mut rng);
            }
        }
    }

    fn check_head(kernel: &Kernel<Body>, seed: u64, x: Vec<f32>, rng: &mut Rng) {
        let (c, s) = (normal(rng, x.len() / 2), normal(rng, x.len() / 2));
        let expected = Shifted::new(&x, 0);
        let mut expected = expected.get().to_vec();
        // SAFETY: the scalar body runs everywhere; the lengths agree.
        unsafe { kernel.body_for(Isa::Scalar)(&mut expected, &c, &s) };
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in kernel.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{} {isa}, seed {seed}, length {}", kernel.name(), x.len());
                let mut y = Shifted::new(&x, offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(y.get_mut(), &c, &s) };
                // The two terms can cancel: the bound is on their size, here below 80 · 5.
                let largest = x.iter().filter(|x| x.is_finite()).fold(0f32, |most, x| most.max(x.abs()));
                assert_near(y.get(), &expected, (2e-7, largest * 6e-7), &context);
                if isa > Isa::Scalar {
                    assert_same_bits(y.get(), vector.get_or_insert_with(|| y.get().to_vec()), &context);
                }
            }
        }
    }

    #[test]
    fn pairs_turn_by_their_angle_and_the_rest_stays() {
        let (mut c, mut s) = ([0.0; 4], [0.0; 4]);
        rope_table(&[0, 2], &[1.0, 0.25], 1.0, &mut c, &mut s);
        assert_near(&c, &[1.0, 1.0, 2f32.cos(), 0.5f32.cos()], (1e-7, 0.0), "cosines");
        let start = [1.0, 0.0, 0.0, 3.0, 7.0];
        let heads = Heads { n_heads: 1, head_size: 5, rotary_size: 4, layout: Layout::Interleaved };
        let mut x = [start, start].concat();
        rope(&mut x, &c, &s, heads);
        assert_eq!(x[..5], start, "position 0 turns nothing");
        assert_near(&x[5..], &[c[2], s[2], -3.0 * s[3], 3.0 * c[3], 7.0], (1e-6, 0.0), "interleaved");
        let mut x = [start, start].concat();
        rope(&mut x, &c, &s, Heads { layout: Layout::Halves, ..heads });
        assert_near(&x[5..], &[c[2], -3.0 * s[3], s[2], 3.0 * c[3], 7.0], (1e-6, 0.0), "halves");
    }

    #[test]
    fn the_backward_pass_turns_back_and_is_the_turn_with_negated_sines() {
        let mut rng = Rng::new(9);
        let heads = Heads { n_heads: 3, head_size: 50, rotary_size: 48, layout: Layout::Halves };
        let x = normal(&mut rng, 200 * 150);
        let positions: Vec<u32> = (0..200).collect();
        let inv_freq: Vec<f32> = (0..24).map(|i| 10_000f32.powf(-(i as f32) / 24.0)).collect();
        let (mut c, mut s) = (vec![0.0; 200 * 24], vec![0.0; 200 * 24]);
        rope_table(&positions, &inv_freq, 1.0, &mut c, &mut s);
        let mut y = x.clone();
        rope(&mut y, &c, &s, heads);
        let there = y.clone();
        rope_backward(&mut y, &c, &s, heads);
        assert_near(&y, &x, (0.0, 2e-6), "there and back");
        s.iter_mut().for_each(|s| *s = -*s);
        let mut negated = there;
        rope(&mut negated, &c, &s, heads);
        assert_same_bits(&negated, &y, "negated sines");
    }
}
