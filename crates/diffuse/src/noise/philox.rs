//! The generator of NVIDIA's library (Philox), as Stable Diffusion web UIs reproduce it on any machine ("NV").
//!
//! Sources: J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011), Philox4x32-10; Box and Muller
//! (1958), of whose two numbers one is used. The counter holds the call (word 0) and the place in it (word 2), the key
//! is the seed. The angle and the radius are of products rounded to f32 and arithmetic in f64, as CUDA's constants are.

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const STEPS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;
/// 2^-32 as CUDA writes it.
const UNIT: f32 = 2.328_306_4e-10;
/// 2π · 2^-32, rounded once.
const UNIT_TURN: f32 = (2.328_306_4e-10_f64 * 6.283_185_5) as f32;

/// A generator as `torch.Generator("cuda").manual_seed(seed)`.
#[derive(Clone, Debug)]
pub(super) struct Philox {
    seed: u64,
    call: u32,
}

impl Philox {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, call: 0 }
    }

    /// The next call's normal numbers.
    pub(super) fn normal(&mut self, values: &mut [f32]) {
        for (place, value) in values.iter_mut().enumerate() {
            let words = rounds([self.call, 0, place as u32, 0], self.seed);
            *value = box_muller(words[0], words[1]);
        }
        self.call = self.call.wrapping_add(1);
    }
}

fn rounds(mut counter: [u32; 4], seed: u64) -> [u32; 4] {
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..ROUNDS {
        let first = u64::from(counter[0]) * u64::from(MULTIPLIERS[0]);
        let second = u64::from(counter[2]) * u64::from(MULTIPLIERS[1]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = [key[0].wrapping_add(STEPS[0]), key[1].wrapping_add(STEPS[1])];
    }
    counter
}

fn box_muller(radius: u32, angle: u32) -> f32 {
    let part = |word: u32, unit: f32| f64::from(word) * f64::from(unit) + f64::from(unit / 2.0);
    let radius = (-2.0 * part(radius, UNIT).ln()).sqrt();
    (radius * part(angle, UNIT_TURN).sin()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_are_those_of_the_paper() {
        // Known answers of the authors' library Random123 (kat_vectors, philox4x32-10).
        assert_eq!(rounds([0; 4], 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = rounds([u32::MAX; 4], u64::MAX);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }
}
