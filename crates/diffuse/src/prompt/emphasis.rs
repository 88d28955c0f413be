//! What weights do to a chunk's vectors.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui ("Emphasis mode"): vectors are multiplied, and then all of them so
//! that their mean over the chunk is what it was.

use crate::Error;
use std::str::FromStr;

/// What is done with weights; the names are those of web UIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// Brackets are letters: the prompt is read with [`literal`](super::literal).
    None,
    /// Weights are read and let go.
    Ignore,
    /// Vectors are multiplied, their mean stays.
    #[default]
    Original,
    /// Vectors are multiplied: for Stable Diffusion XL.
    NoNorm,
}

impl Emphasis {
    /// The name in parameters texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Ignore => "Ignore",
            Self::Original => "Original",
            Self::NoNorm => "No norm",
        }
    }

    /// Weighs a chunk's vectors.
    ///
    /// # Shapes
    /// `vectors`: T D, `weights`: T. When they do not fit, the vectors beyond the last weight stay.
    pub fn weigh(self, vectors: &mut [f32], weights: &[f64]) {
        let is_plain = weights.iter().all(|weight| *weight == 1.0);
        let width = vectors.len() / weights.len().max(1);
        if is_plain || width == 0 || matches!(self, Self::None | Self::Ignore) {
            return;
        }
        let before = mean(vectors);
        for (vector, weight) in vectors.chunks_exact_mut(width).zip(weights) {
            vector.iter_mut().for_each(|value| *value *= *weight as f32);
        }
        let ratio = before / mean(vectors);
        // Vectors whose mean is nothing would be blown up beyond numbers.
        if self == Self::Original && ratio.is_finite() {
            vectors.iter_mut().for_each(|value| *value *= ratio as f32);
        }
    }
}

impl FromStr for Emphasis {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::None, Self::Ignore, Self::Original, Self::NoNorm];
        all.into_iter().find(|emphasis| emphasis.name().eq_ignore_ascii_case(name.trim())).ok_or_else(|| {
            let known = all.map(Self::name).join(", ");
            Error::Unknown { kind: "emphasis", name: name.chars().take(80).collect(), known }
        })
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_weighed_and_their_mean_stays() {
        let plain = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let weighed = |emphasis: Emphasis, weights: &[f64]| {
            let mut vectors = plain;
            emphasis.weigh(&mut vectors, weights);
            vectors
        };
        assert_eq!(weighed(Emphasis::NoNorm, &[1.0, 2.0, 1.0]), [1.0, 2.0, 6.0, 8.0, 5.0, 6.0]);
        let found = weighed(Emphasis::Original, &[1.0, 2.0, 1.0]);
        let expected = [1.0, 2.0, 6.0, 8.0, 5.0, 6.0].map(|value: f32| value * 21.0 / 28.0);
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6),
            "{found:?}"
        );
        for (emphasis, weights) in
            [(Emphasis::Ignore, [3.0; 3]), (Emphasis::None, [3.0; 3]), (Emphasis::Original, [1.0; 3])]
        {
            assert_eq!(weighed(emphasis, &weights), plain);
        }
    }

    #[test]
    fn vectors_without_a_mean_stay_numbers() {
        let mut vectors = [1.0, -1.0, 2.0, -2.0];
        Emphasis::Original.weigh(&mut vectors, &[1.5, 0.0]);
        assert!(vectors.iter().all(|value| value.is_finite()), "{vectors:?}");
        Emphasis::Original.weigh(&mut [], &[2.0]);
        Emphasis::Original.weigh(&mut [1.0], &[]);
    }
}
