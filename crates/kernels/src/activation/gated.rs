//! Stretches of a gated curve: `y = f(gate) · up`, and backward `dgate = g · up · f'(gate)`,
//! `dup = g · f(gate)`.
//!
//! The error is that of the curve, plus one rounding for each product.

use super::ELEMENTS_PER_TASK;
use super::curve::Curve;
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Goes over one stretch: gate, up, y, all of the same length.
pub type Body = unsafe fn(&[f32], &[f32], &mut [f32]);
/// Goes back over one stretch: gate, up, the gradient of y, dgate, dup, all of the same length.
pub type BackwardBody = unsafe fn(&[f32], &[f32], &[f32], &mut [f32], &mut [f32]);

/// The kernel that goes over stretches of a gated curve.
pub(super) const fn forward<C: Curve + 'static>(name: &'static str) -> Kernel<Body> {
    Kernel::new(
        name,
        const {
            &[
                (Isa::Scalar, scalar::<C> as Body),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, vector::avx2::<C>),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, vector::avx512::<C>),
                #[cfg(target_arch = "aarch64")]
                (Isa::Neon, vector::body::<crate::lanes::Neon, C>),
            ]
        },
    )
}

/// The kernel that goes back over stretches of a gated curve.
pub(super) const fn backward<C: Curve + 'static>(name: &'static str) -> Kernel<BackwardBody> {
    Kernel::new(
        name,
        const {
            &[
                (Isa::Scalar, scalar_backward::<C> as BackwardBody),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, vector::backward_avx2::<C>),
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, vector::backward_avx512::<C>),
                #[cfg(target_arch = "aarch64")]
                (Isa::Neon, vector::backward::<crate::lanes::Neon, C>),
            ]
        },
    )
}

/// Runs a kernel over gate and up.
pub(super) fn run(kernel: &Kernel<Body>, gate: &[f32], up: &[f32], y: &mut [f32]) {
    let fits = gate.len() == up.len() && up.len() == y.len();
    assert!(fits, "{}: gate, up and y differ in length", kernel.name());
    let body = kernel.body();
    let output = Disjoint::new(y);
    pool::run_ranges(gate.len(), ELEMENTS_PER_TASK, &|range| {
        // SAFETY: ranges do not overlap, and the table holds only bodies that this machine can run; the
        // slices are equally long.
        unsafe { body(&gate[range.clone()], &up[range.clone()], output.part(range)) };
    });
}

/// Runs a kernel back over gate and up; the gradients go to `dgate` and `dup`.
pub(super) fn run_backward(
    kernel: &Kernel<BackwardBody>,
    [gate, up, gradient]: [&[f32]; 3],
    dgate: &mut [f32],
    dup: &mut [f32],
) {
    let lengths = [gate.len(), up.len(), dgate.len(), dup.len()];
    let fits = lengths.iter().all(|length| *length == gradient.len());
    assert!(fits, "{}: gate, up, gradient, dgate and dup differ in length", kernel.name());
    let body = kernel.body();
    let (for_gate, for_up) = (Disjoint::new(dgate), Disjoint::new(dup));
    pool::run_ranges(gate.len(), ELEMENTS_PER_TASK, &|range| {
        let (gate, up, gradient) = (&gate[range.clone()], &up[range.clone()], &gradient[range.clone()]);
        // SAFETY: as above.
        unsafe { body(gate, up, gradient, for_gate.part(range.clone()), for_up.part(range)) };
    });
}

fn scalar<C: Curve>(gate: &[f32], up: &[f32], y: &mut [f32]) {
    for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
        *y = C::at(*gate).0 * up;
    }
}

fn scalar_backward<C: Curve>(gate: &[f32], up: &[f32], gradient: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    for i in 0..gate.len() {
        let (value, slope) = C::at(gate[i]);
        dgate[i] = gradient[i] * up[i] * slope;
        dup[i] = gradient[i] * value;
    }
}

mod vector {
    use super::Curve;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2<C: Curve>(gate: &[f32], up: &[f32], y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2, C>(gate, up, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512<C: Curve>(gate: &[f32], up: &[f32], y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512, C>(gate, up, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn backward_avx2<C: Curve>(
        gate: &[f32],
        up: &[f32],
        gradient: &[f32],
        dgate: &mut [f32],
        dup: &mut [f32],
    ) {
        // SAFETY: as above.
        unsafe { backward::<Avx2, C>(gate, up, gradient, dgate, dup) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn backward_avx512<C: Curve>(
        gate: &[f32],
        up: &[f32],
        gradient: &[f32],
        dgate: &mut [f32],
        dup: &mut [f32],
    ) {
        // SAFETY: as above.
        unsafe { backward::<Avx512, C>(gate, up, gradient, dgate, dup) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes, C: Curve>(gate: &[f32], up: &[f32], y: &mut [f32]) {
        let length = gate.len();
        // SAFETY: the three slices are `length` long, and no lane goes beyond.
        unsafe {
            for start in (0..length).step_by(LANES) {
                let (value, _) = C::lanes::<V>(load_up_to(gate.as_ptr(), start, length));
                let u: V = load_up_to(up.as_ptr(), start, length);
                store_up_to(value.mul(u), y.as_mut_ptr(), start, length);
            }
        }
    }

    #[inline(always)]
    pub unsafe fn backward<V: Lanes, C: Curve>(
        gate: &[f32],
        up: &[f32],
        gradient: &[f32],
        dgate: &mut [f32],
        dup: &mut [f32],
    ) {
        let length = gate.len();
        // SAFETY: the five slices are `length` long, and no lane goes beyond.
        unsafe {
            for start in (0..length).step_by(LANES) {
                let (value, slope) = C::lanes::<V>(load_up_to(gate.as_ptr(), start, length));
                let u: V = load_up_to(up.as_ptr(), start, length);
                let g: V = load_up_to(gradient.as_ptr(), start, length);
                store_up_to(g.mul(u).mul(slope), dgate.as_mut_ptr(), start, length);
                store_up_to(g.mul(value), dup.as_mut_ptr(), start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::curve::exact::{Exact, gelu_erf, gelu_tanh, silu};
    use super::super::curve::{GeluErf, GeluTanh, Silu};
    use super::*;
    use crate::check::{
        LENGTHS, Shifted, assert_near, assert_same_bits, awkward, differences, normal, widened,
    };
    use base::Rng;

    static KERNELS: [(Kernel<Body>, Kernel<BackwardBody>, Exact); 3] = [
        (forward::<Silu>("swiglu"), backward::<Silu>("swiglu backward"), silu),
        (forward::<GeluTanh>("geglu by tanh"), backward::<GeluTanh>("geglu by tanh backward"), gelu_tanh),
        (forward::<GeluErf>("geglu by erf"), backward::<GeluErf>("geglu by erf backward"), gelu_erf),
    ];

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS) {
            let mut rng = Rng::new(seed);
            for gate in [normal(&mut rng, length), awkward(&mut rng, length)] {
                let (up, gradient) = (normal(&mut rng, length), normal(&mut rng, length));
                for (forward, backward, _) in &KERNELS {
                    check(forward, backward, [&gate, &up, &gradient]);
                }
            }
        }
    }

    fn check(forward: &Kernel<Body>, backward: &Kernel<BackwardBody>, [gate, up, gradient]: [&[f32]; 3]) {
        let length = gate.len();
        let mut expected = vec![vec![0.0; length]; 3];
        let [y, dgate, dup] = &mut expected[..] else { unreachable!("three were made") };
        // SAFETY: the scalar bodies run everywhere, and the lengths agree.
        unsafe {
            forward.body_for(Isa::Scalar)(gate, up, y);
            backward.body_for(Isa::Scalar)(gate, up, gradient, dgate, dup);
        }
        let mut vector: Option<Vec<f32>> = None;
        for ((isa, body), (_, back)) in forward.bodies_here().zip(backward.bodies_here()) {
            for offset in [0, 1, 3] {
                let context = format!("{} {isa}, length {length}, offset {offset}", forward.name());
                let mut found: Vec<Shifted> =
                    (0..3).map(|_| Shifted::new(&vec![7.0; length], offset)).collect();
                let [y, dgate, dup] = &mut found[..] else { unreachable!("three were made") };
                let gate = Shifted::new(gate, offset);
                // SAFETY: this machine can run the bodies, and the lengths agree.
                unsafe {
                    body(gate.get(), up, y.get_mut());
                    back(gate.get(), up, gradient, dgate.get_mut(), dup.get_mut());
                }
                for (found, expected) in found.iter().zip(&expected) {
                    assert_near(found.get(), expected, (1e-6, 4e-6), &context);
                }
                if isa > Isa::Scalar {
                    let all: Vec<f32> = found.iter().flat_map(|found| found.get().to_vec()).collect();
                    assert_same_bits(&all, vector.get_or_insert(all.clone()), &context);
                }
            }
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let length = ELEMENTS_PER_TASK + 77;
        let mut rng = Rng::new(3);
        let [gate, up, gradient] = [0; 3].map(|_| normal(&mut rng, length));
        for (forward, backward, exact) in &KERNELS {
            let mut found = [0; 3].map(|_| vec![f32::NAN; length]);
            let [y, dgate, dup] = &mut found;
            run(forward, &gate, &up, y);
            run_backward(backward, [&gate, &up, &gradient], dgate, dup);
            let (gate, up, gradient) = (widened(&gate), widened(&up), widened(&gradient));
            let value: Vec<f32> = (0..length).map(|i| (exact(gate[i]) * up[i]) as f32).collect();
            assert_near(y, &value, (1e-6, 1e-6), forward.name());
            // Element by element, so that each difference moves a loss of one term.
            for i in (0..length).step_by(37) {
                let by_gate = differences(&gate[i..=i], &|gate| exact(gate[0]) * up[i] * gradient[i]);
                let by_up = differences(&up[i..=i], &|up| exact(gate[i]) * up[0] * gradient[i]);
                assert_near(&dgate[i..=i], &by_gate, (1e-6, 4e-6), backward.name());
                assert_near(&dup[i..=i], &by_up, (1e-6, 4e-6), backward.name());
            }
        }
    }
}
