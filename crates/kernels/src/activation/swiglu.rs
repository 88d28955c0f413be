//! The gate of a SwiGLU block: `y[i] = silu(gate[i]) · up[i]` with `silu(g) = g / (1 + exp(-g))`.
//!
//! Not the whole block: the three products around it are [`crate::product`]. Source: N. Shazeer, "GLU
//! Variants Improve Transformer" (2020). Largest error against exact arithmetic: 4 ULP for gates above -88;
//! below, where exp(-g) overflows, -0 instead of less than 1e-36. silu(-∞) is NaN (0 · ∞), as the formula
//! says.

use super::curve::Silu;
use super::{ELEMENTS_PER_TASK, GatedBackwardBody, GatedBody, gated};
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// The bodies for one stretch.
pub static SWIGLU: Kernel<GatedBody> = Kernel::new(
    "swiglu",
    &[
        (Isa::Scalar, scalar),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, vector::avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, vector::avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, vector::body::<crate::lanes::Neon>),
    ],
);

/// The bodies of the backward pass.
pub static SWIGLU_BACKWARD: Kernel<GatedBackwardBody> = gated::backward::<Silu>("swiglu, backward");

/// `y = silu(gate) · up`, element by element.
///
/// # Shapes
/// gate, up, y: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn swiglu(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == up.len() && up.len() == y.len(), "swiglu: gate, up and y differ in length");
    let body = SWIGLU.body();
    let output = Disjoint::new(y);
    pool::run_ranges(gate.len(), ELEMENTS_PER_TASK, &|range| {
        // SAFETY: ranges do not overlap, and the table holds only bodies that this machine can run; the three
        // slices are equally long.
        unsafe { body(&gate[range.clone()], &up[range.clone()], output.part(range)) };
    });
}

/// The gradients of [`swiglu`] for gate and up, given that of y: `dgate = g · up · silu'(gate)`,
/// `dup = g · silu(gate)`.
///
/// # Shapes
/// gate, up, gradient, dgate, dup: any, all the same.
///
/// # Panics
/// When the lengths differ.
pub fn swiglu_backward(operands: [&[f32]; 3], dgate: &mut [f32], dup: &mut [f32]) {
    gated::run_backward(&SWIGLU_BACKWARD, operands, dgate, dup);
}

fn scalar(gate: &[f32], up: &[f32], y: &mut [f32]) {
    for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
        *y = gate / (1.0 + (-gate).exp()) * up;
    }
}

mod vector {
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, exp, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2(gate: &[f32], up: &[f32], y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2>(gate, up, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512(gate: &[f32], up: &[f32], y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512>(gate, up, y) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes>(gate: &[f32], up: &[f32], y: &mut [f32]) {
        let length = gate.len();
        // SAFETY: the three slices are `length` long, and no lane goes beyond.
        unsafe {
            for start in (0..length).step_by(LANES) {
                let g: V = load_up_to(gate.as_ptr(), start, length);
                let u: V = load_up_to(up.as_ptr(), start, length);
                let below = exp(V::splat(0.0).sub(g)).add(V::splat(1.0));
                store_up_to(g.div(below).mul(u), y.as_mut_ptr(), start, length);
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
        for (seed, length) in (1..).zip(LENGTHS) {
            let mut rng = Rng::new(seed);
            check_stretch(seed, &normal(&mut rng, length), &normal(&mut rng, length));
            check_stretch(seed, &awkward(&mut rng, length), &awkward(&mut rng, length));
        }
    }

    fn check_stretch(seed: u64, gate: &[f32], up: &[f32]) {
        let mut expected = vec![0.0; gate.len()];
        scalar(gate, up, &mut expected);
        let mut vector: Option<Vec<f32>> = None;
        for (isa, body) in SWIGLU.bodies_here() {
            for offset in [0, 1, 3] {
                let context = format!("{isa}, seed {seed}, length {}, offset {offset}", gate.len());
                let mut y = Shifted::new(&vec![7.0; gate.len()], offset);
                // SAFETY: this machine can run the body, and the lengths agree.
                unsafe { body(Shifted::new(gate, offset).get(), up, y.get_mut()) };
                assert_near(y.get(), &expected, (5e-7, 1e-42), &context);
                if isa > Isa::Scalar {
                    assert_same_bits(y.get(), vector.get_or_insert_with(|| y.get().to_vec()), &context);
                }
            }
        }
    }

    #[test]
    fn the_backward_pass_is_that_of_silu() {
        let (gate, up, gradient) = ([0.0, 1.0, -40.0], [2.0, -1.0, 4.0], [0.5, 2.0, -1.0]);
        let (mut dgate, mut dup) = ([0.0; 3], [0.0; 3]);
        swiglu_backward([&gate, &up, &gradient], &mut dgate, &mut dup);
        // silu(0) = 0 with slope 1/2; silu(1) = 0.7310586 with slope 0.9276705.
        assert_near(&dgate, &[0.5, -1.855_341, 0.0], (1e-6, 1e-12), "dgate");
        assert_near(&dup, &[0.0, 1.462_117_2, 0.0], (1e-6, 1e-12), "dup");
    }

    #[test]
    fn the_error_is_within_four_ulp() {
        let gate: Vec<f32> = (-80_000..80_000).map(|i| i as f32 * 1e-3).collect();
        let up = vec![1.0; gate.len()];
        let mut y = vec![0.0; gate.len()];
        swiglu(&gate, &up, &mut y);
        for (gate, y) in gate.into_iter().zip(y) {
            let exact = f64::from(gate) / (1.0 + (-f64::from(gate)).exp());
            let ulp = f64::from((exact as f32).abs().next_up() - (exact as f32).abs());
            assert!((f64::from(y) - exact).abs() <= 4.0 * ulp, "silu({gate}) = {y:e}, exactly {exact:e}");
        }
    }
}
