//! Stretches of a curve: `y = f(x)`, and backward `dx = g · f'(x)`.
//!
//! Not gated: see `gated`. The error is that of the curve, plus one rounding for the product.

use super::ELEMENTS_PER_TASK;
use super::curve::Curve;
use crate::disjoint::Disjoint;
use crate::isa::Isa;
use crate::kernel::Kernel;
use crate::pool;

/// Goes over one stretch: x, y, both of the same length.
pub type Body = unsafe fn(&[f32], &mut [f32]);
/// Goes back over one stretch: x, the gradient of y, dx, all of the same length.
pub type BackwardBody = unsafe fn(&[f32], &[f32], &mut [f32]);

/// The kernel that goes over stretches of a curve.
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

/// The kernel that goes back over stretches of a curve.
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

/// Runs a kernel over x.
pub(super) fn run(kernel: &Kernel<Body>, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "{}: x and y differ in length", kernel.name());
    let body = kernel.body();
    let output = Disjoint::new(y);
    pool::run_ranges(x.len(), ELEMENTS_PER_TASK, &|range| {
        // SAFETY: ranges do not overlap, and the table holds only bodies that this machine can run; the
        // slices are equally long.
        unsafe { body(&x[range.clone()], output.part(range)) };
    });
}

/// Runs a kernel back over x.
pub(super) fn run_backward(kernel: &Kernel<BackwardBody>, x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    let fits = x.len() == gradient.len() && x.len() == dx.len();
    assert!(fits, "{}: x, gradient and dx differ in length", kernel.name());
    let body = kernel.body();
    let output = Disjoint::new(dx);
    pool::run_ranges(x.len(), ELEMENTS_PER_TASK, &|range| {
        // SAFETY: as above.
        unsafe { body(&x[range.clone()], &gradient[range.clone()], output.part(range)) };
    });
}

fn scalar<C: Curve>(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = C::at(*x).0;
    }
}

fn scalar_backward<C: Curve>(x: &[f32], gradient: &[f32], dx: &mut [f32]) {
    for ((dx, x), gradient) in dx.iter_mut().zip(x).zip(gradient) {
        *dx = gradient * C::at(*x).1;
    }
}

mod vector {
    use super::Curve;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes, load_up_to, store_up_to};

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn avx2<C: Curve>(x: &[f32], y: &mut [f32]) {
        // SAFETY: this function has the features, its caller the lengths.
        unsafe { body::<Avx2, C>(x, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn avx512<C: Curve>(x: &[f32], y: &mut [f32]) {
        // SAFETY: as above.
        unsafe { body::<Avx512, C>(x, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn backward_avx2<C: Curve>(x: &[f32], gradient: &[f32], dx: &mut [f32]) {
        // SAFETY: as above.
        unsafe { backward::<Avx2, C>(x, gradient, dx) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
    pub unsafe fn backward_avx512<C: Curve>(x: &[f32], gradient: &[f32], dx: &mut [f32]) {
        // SAFETY: as above.
        unsafe { backward::<Avx512, C>(x, gradient, dx) }
    }

    #[inline(always)]
    pub unsafe fn body<V: Lanes, C: Curve>(x: &[f32], y: &mut [f32]) {
        let length = x.len();
        // SAFETY: both slices are `length` long, and no lane goes beyond.
        unsafe {
            for start in (0..length).step_by(LANES) {
                let (value, _) = C::lanes::<V>(load_up_to(x.as_ptr(), start, length));
                store_up_to(value, y.as_mut_ptr(), start, length);
            }
        }
    }

    #[inline(always)]
    pub unsafe fn backward<V: Lanes, C: Curve>(x: &[f32], gradient: &[f32], dx: &mut [f32]) {
        let length = x.len();
        // SAFETY: the three slices are `length` long, and no lane goes beyond.
        unsafe {
            for start in (0..length).step_by(LANES) {
                let (_, slope) = C::lanes::<V>(load_up_to(x.as_ptr(), start, length));
                let g: V = load_up_to(gradient.as_ptr(), start, length);
                store_up_to(g.mul(slope), dx.as_mut_ptr(), start, length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::curve::{GeluErf, GeluTanh, QuickGelu, Relu, Silu};
    use super::*;
    use crate::check::{LENGTHS, Shifted, assert_near, assert_same_bits, awkward, normal};
    use base::Rng;

    static KERNELS: [(Kernel<Body>, Kernel<BackwardBody>); 5] = [
        (forward::<Silu>("silu"), backward::<Silu>("silu backward")),
        (forward::<GeluTanh>("gelu by tanh"), backward::<GeluTanh>("gelu by tanh backward")),
        (forward::<GeluErf>("gelu by erf"), backward::<GeluErf>("gelu by erf backward")),
        (forward::<Relu>("relu"), backward::<Relu>("relu backward")),
        (forward::<QuickGelu>("quick gelu"), backward::<QuickGelu>("quick gelu backward")),
    ];

    #[test]
    fn bodies_agree() {
        for (seed, length) in (1..).zip(LENGTHS) {
            let mut rng = Rng::new(seed);
            for x in [normal(&mut rng, length), awkward(&mut rng, length)] {
                let gradient = normal(&mut rng, length);
                KERNELS.iter().for_each(|(forward, backward)| check(forward, backward, &x, &gradient));
            }
        }
    }

    fn check(forward: &Kernel<Body>, backward: &Kernel<BackwardBody>, x: &[f32], gradient: &[f32]) {
        let (mut value, mut slope) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        // SAFETY: the scalar bodies run everywhere, and the lengths agree.
        unsafe {
            forward.body_for(Isa::Scalar)(x, &mut value);
            backward.body_for(Isa::Scalar)(x, gradient, &mut slope);
        }
        let mut vector: Option<Vec<f32>> = None;
        for ((isa, body), (_, back)) in forward.bodies_here().zip(backward.bodies_here()) {
            for offset in [0, 1, 3] {
                let context = format!("{} {isa}, length {}, offset {offset}", forward.name(), x.len());
                let mut y = Shifted::new(&vec![7.0; x.len()], offset);
                let mut dx = Shifted::new(&vec![7.0; x.len()], offset);
                let x = Shifted::new(x, offset);
                // SAFETY: this machine can run the bodies, and the lengths agree.
                unsafe {
                    body(x.get(), y.get_mut());
                    back(x.get(), gradient, dx.get_mut());
                }
                assert_near(y.get(), &value, (5e-7, 5e-7), &context);
                assert_near(dx.get(), &slope, (5e-7, 2e-6), &context);
                if isa > Isa::Scalar {
                    let both = [y.get(), dx.get()].concat();
                    assert_same_bits(&both, vector.get_or_insert(both.clone()), &context);
                }
            }
        }
    }

    #[test]
    fn every_task_does_its_part() {
        let x: Vec<f32> = (0..3 * ELEMENTS_PER_TASK + 5).map(|i| (i % 97) as f32 * 0.1 - 4.0).collect();
        let (forward, backward) = &KERNELS[1];
        let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        run(forward, &x, &mut y);
        run_backward(backward, &x, &vec![2.0; x.len()], &mut dx);
        let (value, slope): (Vec<f32>, Vec<f32>) =
            x.iter().map(|x| (GeluTanh::at(*x).0, 2.0 * GeluTanh::at(*x).1)).unzip();
        assert_near(&y, &value, (5e-7, 5e-7), "value");
        assert_near(&dx, &slope, (5e-7, 2e-6), "slope");
    }
}
