//! Numbers as waves: sines and cosines of frequencies from 1 down to about 1/10000.
//!
//! Source: A. Vaswani and others, "Attention Is All You Need" (2017), section 3.5.

use burn::tensor::{Device, Tensor, TensorData};

/// The longest wave by the shortest.
const LONGEST: f64 = 10_000.0;

/// How waves are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waves {
    /// Which half comes first.
    pub first: First,
    /// What is taken from the number of frequencies before they are spread.
    pub shift: usize,
}

/// Which half of the waves comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The cosines.
    Cosines,
    /// The sines.
    Sines,
}

/// # Shapes
/// `n` numbers → `[n, width]`, an odd last column 0.
pub(super) fn waves(numbers: &[f32], width: usize, waves: Waves, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let spread = half.saturating_sub(waves.shift).max(1) as f64;
    let mut values = vec![0.0; numbers.len() * width];
    for (number, row) in numbers.iter().zip(values.chunks_exact_mut(width.max(1))) {
        for at in 0..half {
            let (sine, cosine) = (f64::from(*number) * LONGEST.powf(-(at as f64) / spread)).sin_cos();
            let [first, second] = match waves.first {
                First::Cosines => [cosine, sine],
                First::Sines => [sine, cosine],
            };
            (row[at], row[half + at]) = (first as f32, second as f32);
        }
    }
    Tensor::from_data(TensorData::new(values, [numbers.len(), width]), device)
}
