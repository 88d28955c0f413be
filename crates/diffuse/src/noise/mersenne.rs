//! PyTorch's generator for the CPU: the Mersenne Twister, and how normal numbers are made of it.
//!
//! Sources: M. Matsumoto and T. Nishimura, "Mersenne Twister" (1998), MT19937 seeded with 32 bits; Box and Muller
//! (1958). Sixteen or more numbers come in groups of sixteen, from 24 random bits each, by the single-precision
//! logarithm, sine and cosine of the Cephes library; fewer come in pairs, from 53 bits each, in double precision.

use super::cephes;

const STATE: usize = 624;
const SHIFT: usize = 397;
const GROUP: usize = 16;

/// A generator as `torch.Generator("cpu").manual_seed(seed)`.
#[derive(Clone, Debug)]
pub(super) struct Mersenne {
    state: [u32; STATE],
    next: usize,
    /// The second number of a pair, kept for the next call.
    spare: Option<f64>,
}

impl Mersenne {
    /// PyTorch takes the low 32 bits of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = [seed as u32; STATE];
        for at in 1..STATE {
            let before = state[at - 1];
            state[at] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        Self { state, next: STATE, spare: None }
    }

    /// `torch.randn(count)` with this generator.
    pub(super) fn normal(&mut self, values: &mut [f32]) {
        if values.len() < GROUP {
            values.iter_mut().for_each(|value| *value = self.one_of_a_pair() as f32);
            return;
        }
        values.iter_mut().for_each(|value| *value = self.uniform());
        values.chunks_exact_mut(GROUP).for_each(to_normal);
        if !values.len().is_multiple_of(GROUP) {
            // The last sixteen are made anew, over some that were done.
            let begin = values.len() - GROUP;
            values[begin..].iter_mut().for_each(|value| *value = self.uniform());
            to_normal(&mut values[begin..]);
        }
    }

    fn one_of_a_pair(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (angle, radius) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-radius).ln_1p()).sqrt();
        let angle = 2.0 * std::f64::consts::PI * angle;
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// Uniform in `[0, 1)`, with 24 bits.
    fn uniform(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in `[0, 1)`, with 53 bits; the first draw is the upper half.
    fn uniform_f64(&mut self) -> f64 {
        let high = u64::from(self.next_u32());
        let bits = (high << 32 | u64::from(self.next_u32())) & ((1 << 53) - 1);
        bits as f64 / (1u64 << 53) as f64
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == STATE {
            self.turn();
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    fn turn(&mut self) {
        for at in 0..STATE {
            let mixed = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % STATE] & 0x7fff_ffff);
            let twist = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + SHIFT) % STATE] ^ (mixed >> 1) ^ twist;
        }
        self.next = 0;
    }
}

/// Sixteen uniform numbers to sixteen normal ones: the first eight are radii, the others angles.
fn to_normal(group: &mut [f32]) {
    let (radii, angles) = group.split_at_mut(GROUP / 2);
    for (first, second) in radii.iter_mut().zip(angles) {
        let radius = (-2.0 * cephes::ln(1.0 - *first)).sqrt();
        let (sine, cosine) = cephes::sin_cos(2.0 * std::f32::consts::PI * *second);
        (*first, *second) = (radius * cosine, radius * sine);
    }
}
