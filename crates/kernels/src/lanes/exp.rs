//! The exponential of sixteen lanes, within 1.1 ULP of the true value: each test run looks at every 1009th
//! f32, an ignored test at all of them.
//!
//! exp(x) = 2^n · exp(r) with n = round(x / ln 2) and r = x - n·ln 2 in [-0.35, 0.35], ln 2 in two parts (W.
//! J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980); exp(r) by its Taylor
//! polynomial of degree 7, whose next term is below 6e-9. 2^n is applied in two steps, so that results below
//! the normal range are rounded once, as they should be. Not for f64, and no other function.

use super::Lanes;

/// Below this the result is 0, above `HIGH` it is infinite.
const LOW: f32 = -104.0;
const HIGH: f32 = 89.0;
/// Where n is -127, of which [`Lanes::power_of_two`] makes 0, and the last below which n is 127.
const NORMAL_LOW: f32 = -88.0;
const NORMAL_HIGH: f32 = 88.3;
/// The upper part of ln 2 has 9 trailing zero bits, so that its product with n is exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// e to the power of each lane; NaN stays NaN.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the caller promises the instruction set.
    unsafe {
        // In this order NaN passes through: the second operand wins.
        let x = V::splat(LOW).max(V::splat(HIGH).min(x));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let whole = power_of_remainder(x, n);
        let half = n.mul(V::splat(0.5)).round();
        whole.mul(half.power_of_two()).mul(n.sub(half).power_of_two())
    }
}

/// exp(x - n·ln 2), for n within 0.5 of x / ln 2.
#[inline(always)]
unsafe fn power_of_remainder<V: Lanes>(x: V, n: V) -> V {
    // SAFETY: the caller promises the instruction set.
    unsafe {
        let r = n.neg_mul_add(V::splat(LN2_HIGH), x);
        let r = n.neg_mul_add(V::splat(LN2_LOW), r);
        let mut p = V::splat(1.0 / 5040.0);
        for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
            p = p.mul_add(r, V::splat(coefficient));
        }
        // 1 + (r + r²·p): the small terms first, so that the last addition rounds almost alone.
        let small = r.mul(r).mul_add(p, r);
        small.add(V::splat(1.0))
    }
}

/// e to the power of each lane, 0 where that is below the normal range (2^-126); NaN stays NaN, and from 88.3
/// on the result stays at 2e38. Cheaper than [`exp`] by a third, and by far where many lanes are minus
/// infinity: results below the normal range take this and other processors a hundred cycles.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp_normal<V: Lanes>(x: V) -> V {
    // SAFETY: the caller promises the instruction set.
    unsafe {
        // In this order NaN passes through: the second operand wins.
        let x = V::splat(NORMAL_LOW).max(V::splat(NORMAL_HIGH).min(x));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        power_of_remainder(x, n).mul(n.power_of_two())
    }
}

#[cfg(test)]
mod tests {
    use crate::Isa;
    use crate::isa;
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{Avx2, Avx512};
    use crate::lanes::{LANES, Lanes};

    type Body = unsafe fn(&[f32; LANES], &mut [f32; LANES]);

    /// Both functions for every instruction set.
    const BODIES: &[(Isa, Body, Body)] = &[
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx2, avx2, normal_avx2),
        #[cfg(target_arch = "x86_64")]
        (Isa::Avx512, avx512, normal_avx512),
        #[cfg(target_arch = "aarch64")]
        (Isa::Neon, all::<crate::lanes::Neon>, normal::<crate::lanes::Neon>),
    ];

    #[inline(always)]
    unsafe fn all<V: Lanes>(x: &[f32; LANES], y: &mut [f32; LANES]) {
        // SAFETY: the test asked the machine, and the arrays have sixteen elements.
        unsafe { super::exp(V::load(x.as_ptr())).store(y.as_mut_ptr()) }
    }

    #[inline(always)]
    unsafe fn normal<V: Lanes>(x: &[f32; LANES], y: &mut [f32; LANES]) {
        // SAFETY: as above.
        unsafe { super::exp_normal(V::load(x.as_ptr())).store(y.as_mut_ptr()) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn avx2(x: &[f32; LANES], y: &mut [f32; LANES]) {
        // SAFETY: as above.
        unsafe { all::<Avx2>(x, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn avx512(x: &[f32; LANES], y: &mut [f32; LANES]) {
        // SAFETY: as above.
        unsafe { all::<Avx512>(x, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn normal_avx2(x: &[f32; LANES], y: &mut [f32; LANES]) {
        // SAFETY: as above.
        unsafe { normal::<Avx2>(x, y) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    unsafe fn normal_avx512(x: &[f32; LANES], y: &mut [f32; LANES]) {
        // SAFETY: as above.
        unsafe { normal::<Avx512>(x, y) }
    }

    /// The largest error in ULP of the f32 nearest to the true value, over every `step`-th f32.
    fn worst_ulp(body: Body, step: u32) -> f64 {
        let mut worst = 0.0f64;
        let mut bits = 0u32;
        loop {
            let mut next = bits;
            let x: [f32; LANES] = std::array::from_fn(|_| {
                let x = f32::from_bits(next);
                next = next.saturating_add(step);
                x
            });
            let mut y = [0.0; LANES];
            // SAFETY: the caller asked the machine for the instruction set of the body.
            unsafe { body(&x, &mut y) };
            for (x, y) in x.into_iter().zip(y) {
                worst = worst.max(error_ulp(x, y));
            }
            if next == u32::MAX {
                return worst;
            }
            bits = next;
        }
    }

    fn error_ulp(x: f32, y: f32) -> f64 {
        let exact = f64::from(x).exp();
        let nearest = exact as f32;
        if nearest.is_nan() || nearest.is_infinite() {
            assert!(y.is_nan() == nearest.is_nan() && (y.is_nan() || y >= f32::MAX), "exp({x:e}) = {y:e}");
            return if y == nearest || y.is_nan() { 0.0 } else { 1.0 };
        }
        if y == nearest {
            return 0.0;
        }
        let ulp = f64::from(nearest.next_up()) - f64::from(nearest);
        (f64::from(y) - exact).abs() / ulp
    }

    fn check(step: u32) {
        for (isa, all, _) in BODIES.iter().filter(|(isa, ..)| *isa <= isa::detected()) {
            let worst = worst_ulp(*all, step);
            assert!(worst <= 1.1, "{isa}: {worst} ULP");
        }
    }

    #[test]
    fn exp_is_within_1_1_ulp() {
        check(1009);
    }

    #[test]
    fn exp_normal_is_exp_but_for_its_ends() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let ends = [-inf, f32::MIN, -1e4, -104.0, -88.0, -0.0, 1e-40, -1e-40, nan, 0.0, -1.0, 1.0];
        let numbers = (0..20_000).map(|i| i as f32 * 0.00877 - 87.3).filter(|x| *x < 88.2).chain(ends);
        let numbers: Vec<f32> = numbers.collect();
        for (isa, all, normal) in BODIES.iter().filter(|(isa, ..)| *isa <= isa::detected()) {
            for x in numbers.iter().copied() {
                let (mut y, mut expected) = ([7.0; LANES], [7.0; LANES]);
                // SAFETY: this machine can run both.
                unsafe {
                    normal(&[x; LANES], &mut y);
                    all(&[x; LANES], &mut expected);
                }
                let expected = if expected[0] < f32::MIN_POSITIVE { 0.0 } else { expected[0] };
                assert!(y[0].to_bits() == expected.to_bits() || x.is_nan() && y[0].is_nan(), "{isa}: {x:e}");
            }
        }
    }

    #[test]
    #[ignore = "every f32 takes minutes"]
    fn exp_is_within_its_bound_everywhere() {
        check(1);
    }
}
