//! Logarithm, sine and cosine in single precision, as the Cephes library computes them.
//!
//! PyTorch on processors with AVX2 makes normal numbers with these polynomials and fused multiply-adds, and a seed
//! only gives the same bits if every operation is the same. Not for anything else: the standard library is nearer to
//! the true values. Source: S. L. Moshier, Cephes Mathematical Library, `logf.c`, `sinf.c` (1989).

const LN: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461e-1,
    1.167_699_84e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_8e-1,
    2.000_071_4e-1,
    -2.499_999_4e-1,
    3.333_333e-1,
];
/// The natural logarithm of 2 is the sum of these two.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];
const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];
/// A quarter of pi is the sum of these three.
const QUARTER_PI: [f32; 3] = [0.785_156_25, 2.418_756_5e-4, 3.774_895e-8];

/// The natural logarithm of a positive, normal number.
pub(super) fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as f32 - 126.0;
    let mut mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    if mantissa < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1.0;
        mantissa = (mantissa - 1.0) + mantissa;
    } else {
        mantissa -= 1.0;
    }
    let square = mantissa * mantissa;
    let series = LN[1..].iter().fold(LN[0], |sum, term| sum.mul_add(mantissa, *term)) * mantissa;
    let series = series.mul_add(square, exponent * LN_2.1);
    let series = square.mul_add(-0.5, series);
    exponent.mul_add(LN_2.0, mantissa + series)
}

/// Sine and cosine of an angle in `[0, 2π]`.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    let octant = ((angle * (4.0 / std::f32::consts::PI)) as i32 + 1) & !1;
    let multiple = octant as f32;
    let rest = QUARTER_PI.iter().fold(angle, |rest, part| multiple.mul_add(-part, rest));
    let square = rest * rest;
    let cosine = COSINE[1..].iter().fold(COSINE[0], |sum, term| sum.mul_add(square, *term)) * square;
    let cosine = cosine.mul_add(square, -(square * 0.5)) + 1.0;
    let sine = SINE[1..].iter().fold(SINE[0], |sum, term| sum.mul_add(square, *term)) * square;
    let sine = sine.mul_add(rest, rest);
    let (sine, cosine) = if octant & 2 == 0 { (sine, cosine) } else { (cosine, sine) };
    let turn = |value: f32, is_negative: bool| if is_negative { -value } else { value };
    (turn(sine, octant & 4 != 0), turn(cosine, (octant - 2) & 4 == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_near_the_true_values() {
        for at in 1..20_000u16 {
            let x = f32::from(at) / 20_000.0;
            let angle = 2.0 * std::f32::consts::PI * x;
            assert!((f64::from(ln(x)) - f64::from(x).ln()).abs() < 1e-6 * (1.0 + f64::from(x).ln().abs()));
            let (sine, cosine) = sin_cos(angle);
            let exact = f64::from(angle).sin_cos();
            assert!((f64::from(sine) - exact.0).abs() < 3e-7 && (f64::from(cosine) - exact.1).abs() < 3e-7);
        }
    }
}
