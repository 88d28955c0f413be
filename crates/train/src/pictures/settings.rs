//! The knobs of a training on pictures, and the noise that it learns to see.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::sizes::Sizes;
use crate::{Error, Schedule};

/// How to train an image model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The model's sizes.
    pub sizes: Sizes,
    /// How the auto-encoder learns: its `length` is 1, its `batch` is pictures.
    pub auto_encoder: crate::Settings,
    /// How text encoder and U-Net learn, so too.
    pub denoiser: crate::Settings,
    /// How strongly latents are drawn to a normal distribution.
    pub latent_weight: f64,
    /// The share of pictures whose captions are left out, so that a drawing can be pulled towards its prompt.
    pub without_caption: f64,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// The tokens that begin and end a caption.
    pub marks: [u32; 2],
    /// Starts the weights, the order of the pictures and the noise.
    pub seed: u64,
}

impl Settings {
    /// The usual ones for `steps` of the auto-encoder and of the denoiser.
    pub fn new(sizes: Sizes, steps: [u64; 2], (vocabulary, marks): (usize, [u32; 2])) -> Self {
        let stage = |steps: u64, batch, learning_rate| crate::Settings {
            steps,
            length: 1,
            batch,
            accumulation: 1,
            learning_rate,
            last_learning_rate: 0.0,
            warm_up: (steps / 50).min(200),
            schedule: Schedule::Cosine,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: 1.0,
            precision: ops::Precision::F32,
            segments: 1,
            seed: 0,
        };
        Self {
            sizes,
            auto_encoder: stage(steps[0], 8, 2e-3),
            denoiser: stage(steps[1], 32, 1e-3),
            latent_weight: 1e-3,
            without_caption: 0.1,
            vocabulary,
            marks,
            seed: 0,
        }
    }

    /// Steps of both stages.
    pub fn steps(&self) -> u64 {
        self.auto_encoder.steps.saturating_add(self.denoiser.steps)
    }

    /// Bytes that a training takes, about: weights with their gradient and moments, and what the larger of the two stages
    /// keeps of each picture for its gradients, some forty numbers for each channel of each place of a level.
    pub fn memory_bytes(&self) -> u64 {
        const KEPT: u64 = 40;
        const LATENTS: u64 = 256 << 20;
        let Sizes { side, auto_encoder, unet, text, .. } = &self.sizes;
        let kept = |side: usize, channels: &[usize], blocks: usize| -> u64 {
            let level = |(level, channels): (usize, &usize)| {
                let side = (side >> level) as u64;
                side * side * *channels as u64
            };
            let places: u64 = channels.iter().enumerate().map(level).sum();
            4 * KEPT * places * (blocks as u64 + 1)
        };
        let first = kept(*side, auto_encoder, 1) * self.auto_encoder.batch as u64;
        let then = kept(self.sizes.latent_side(), &unet.channels, unet.blocks) * self.denoiser.batch as u64;
        let squares = |channels: &[usize], each: u64| -> u64 {
            channels.iter().map(|channels| each * (*channels as u64).pow(2)).sum()
        };
        let weights = squares(auto_encoder, 120)
            + squares(&unet.channels, 140 * (unet.blocks as u64 + 1))
            + (12 * text.layers * text.width * text.width + self.vocabulary * text.width) as u64;
        16 * weights + first.max(then) + LATENTS
    }

    /// # Errors
    /// [`Error::Setting`] for the first one that is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        self.sizes.check()?;
        self.auto_encoder.check()?;
        self.denoiser.check()?;
        let share = |name, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => {
                Err(Error::Setting { name, value: value.to_string(), reason: "it lies between 0 and 1" })
            }
        };
        share("latent_weight", self.latent_weight)?;
        share("without_caption", self.without_caption)?;
        for stage in [&self.auto_encoder, &self.denoiser] {
            if stage.accumulation != 1 || stage.segments != 1 {
                let value = stage.accumulation.max(stage.segments).to_string();
                let reason = "pictures are learned from in one part";
                return Err(Error::Setting { name: "accumulation or segments", value, reason });
            }
        }
        let largest = self.marks.into_iter().max().unwrap_or_default() as usize;
        match self.vocabulary > largest {
            true => Ok(()),
            false => Err(Error::Setting {
                name: "vocabulary",
                value: self.vocabulary.to_string(),
                reason: "it holds the tokens that begin and end a caption",
            }),
        }
    }
}

/// How much noise a picture has at each of the times that the model knows.
pub(super) struct Noise {
    /// How much of the picture's energy is left, ᾱ.
    kept: Vec<f64>,
}

impl Noise {
    const TIMES: usize = 1000;
    /// The first variance is Stable Diffusion's. The last is larger than its 0.012, so that at the last time a sixtieth of
    /// the picture is left instead of a fifteenth: a drawing begins with noise alone.
    const BETAS: [f64; 2] = [0.00085, 0.02];

    /// The roots of the variances lie on a line.
    pub fn new() -> Self {
        let [first, last] = Self::BETAS.map(f64::sqrt);
        let beta = |time: usize| {
            let share = time as f64 / (Self::TIMES - 1) as f64;
            (first + (last - first) * share).powi(2)
        };
        let mut left = 1.0;
        let kept = (0..Self::TIMES).map(|time| {
            left *= 1.0 - beta(time);
            left
        });
        Self { kept: kept.collect() }
    }

    pub fn times(&self) -> usize {
        self.kept.len()
    }

    /// What picture and noise are multiplied with at a time.
    pub fn shares(&self, time: usize) -> [f32; 2] {
        let kept = self.kept[time];
        [kept.sqrt() as f32, (1.0 - kept).sqrt() as f32]
    }

    /// The same as the settings of a scheduler.
    pub fn scheduler() -> Value {
        json!({
            "_class_name": "DDIMScheduler",
            "num_train_timesteps": Self::TIMES,
            "beta_schedule": "scaled_linear",
            "beta_start": Self::BETAS[0],
            "beta_end": Self::BETAS[1],
            "prediction_type": "v_prediction",
            "timestep_spacing": "trailing",
            "clip_sample": false,
            "set_alpha_to_one": true,
            "steps_offset": 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_grows_until_next_to_nothing_of_the_picture_is_left() {
        let noise = Noise::new();
        let shares: Vec<[f32; 2]> = (0..noise.times()).map(|time| noise.shares(time)).collect();
        assert!((shares[0][0] - (1.0f32 - 0.00085).sqrt()).abs() < 1e-6);
        assert!(shares.windows(2).all(|two| two[0][0] > two[1][0] && two[0][1] < two[1][1]));
        assert!(shares.iter().all(|[kept, noise]| (kept * kept + noise * noise - 1.0).abs() < 1e-6));
        let last = shares[999][0];
        assert!((0.01..0.02).contains(&last), "{last}");
    }
}
