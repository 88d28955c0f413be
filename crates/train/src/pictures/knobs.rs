//! What a person sets of a training on pictures; the rest is derived.

use ops::Precision;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::sizes::{Levels, Sizes, TextSizes};
use crate::{Derived, Error};

/// Steps where nobody says how many.
const STEPS: [u64; 2] = [2000, 10_000];
const VOCABULARY: usize = 1024;

/// How the numbers of the finished model are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// As they were learned.
    #[default]
    F32,
    /// In half as many bytes.
    F16,
}

/// What was set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// Pixels on a side.
    pub size: Option<usize>,
    /// Steps of text encoder and U-Net.
    pub steps: Option<u64>,
    /// Steps of the auto-encoder, before these.
    pub auto_encoder_steps: Option<u64>,
    /// Pictures of a step of text encoder and U-Net.
    pub batch: Option<usize>,
    /// Pictures of a step of the auto-encoder.
    pub auto_encoder_batch: Option<usize>,
    /// The highest learning rate of text encoder and U-Net.
    pub learning_rate: Option<f64>,
    /// The same of the auto-encoder.
    pub auto_encoder_learning_rate: Option<f64>,
    /// The share of pictures whose captions are left out.
    pub without_caption: Option<f64>,
    /// How strongly latents are drawn to a normal distribution.
    pub latent_weight: Option<f64>,
    /// Channels of latents.
    pub latent_channels: Option<usize>,
    /// Channels of the auto-encoder's levels, as in `16,32,64`.
    pub auto_encoder_channels: Option<String>,
    /// Channels of the U-Net's levels, as in `64,128`.
    pub unet_channels: Option<String>,
    /// Levels of the U-Net that look at the text, counted from the one with the fewest latents.
    pub text_levels: Option<usize>,
    /// Heads of the U-Net's attentions.
    pub heads: Option<usize>,
    /// Residual blocks of a level of the U-Net.
    pub blocks: Option<usize>,
    /// Width of the text encoder.
    pub text_width: Option<usize>,
    /// Layers of the text encoder.
    pub text_layers: Option<usize>,
    /// Tokens of the vocabulary at most.
    pub vocabulary: Option<usize>,
    /// `f32` or `bf16`, for the large products.
    #[serde(with = "precision")]
    pub precision: Option<Precision>,
    /// How the numbers of the finished model are stored; as they were learned when absent.
    pub storage: Option<Storage>,
    /// Starts the weights, the order of the pictures and the noise.
    pub seed: Option<u64>,
    /// Seconds from one checkpoint to the next; 300 when absent.
    pub save_every_s: Option<f64>,
}

/// A precision by its name, or none.
mod precision {
    use ops::Precision;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(precision: &Option<Precision>, serializer: S) -> Result<S::Ok, S::Error> {
        match precision {
            Some(precision) => crate::settings::precision::serialize(precision, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Precision>, D::Error> {
        #[derive(Deserialize)]
        struct Named(#[serde(with = "crate::settings::precision")] Precision);
        Ok(Option::<Named>::deserialize(deserializer)?.map(|Named(precision)| precision))
    }
}

/// `64,128` as numbers.
fn channels(name: &'static str, text: Option<&String>, usual: Vec<usize>) -> Result<Vec<usize>, Error> {
    let Some(text) = text else { return Ok(usual) };
    let numbers: Result<Vec<usize>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    numbers.map_err(|_| Error::Setting {
        name,
        value: text.clone(),
        reason: "numbers are wanted with commas between them, as in 64,128",
    })
}

/// As many groups as there can be of four channels or more: in smaller ones a flat colour would normalise to nothing.
fn groups(channels: &[usize]) -> usize {
    let most = channels.iter().min().map_or(1, |fewest| fewest / 4);
    (1..=most.clamp(1, 32))
        .rev()
        .find(|groups| channels.iter().all(|size| size.is_multiple_of(*groups)))
        .unwrap_or(1)
}

impl Knobs {
    /// The sizes of the model.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first one that cannot be.
    pub fn sizes(&self) -> Result<Sizes, Error> {
        let usual = Sizes::default();
        let auto_encoder =
            channels("auto_encoder_channels", self.auto_encoder_channels.as_ref(), usual.auto_encoder)?;
        let unet = channels("unet_channels", self.unet_channels.as_ref(), usual.unet.channels)?;
        let sizes = Sizes {
            side: self.size.unwrap_or(usual.side),
            latents: self.latent_channels.unwrap_or(usual.latents),
            auto_encoder_groups: groups(&auto_encoder),
            auto_encoder,
            unet: Levels {
                n_with_text: self.text_levels.unwrap_or(usual.unet.n_with_text),
                heads: self.heads.unwrap_or(usual.unet.heads),
                blocks: self.blocks.unwrap_or(usual.unet.blocks),
                groups: groups(&unet),
                channels: unet,
            },
            text: TextSizes {
                context: usual.text.context,
                width: self.text_width.unwrap_or(usual.text.width),
                layers: self.text_layers.unwrap_or(usual.text.layers),
                heads: usual.text.heads,
            },
        };
        sizes.check()?;
        Ok(sizes)
    }

    /// Tokens that the vocabulary may have.
    pub fn wanted_vocabulary(&self) -> usize {
        self.vocabulary.unwrap_or(VOCABULARY)
    }

    /// Everything, of a vocabulary of so many tokens with these marks.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first one that cannot be.
    pub fn settings(&self, vocabulary: (usize, [u32; 2])) -> Result<Settings, Error> {
        let steps = [self.auto_encoder_steps.unwrap_or(STEPS[0]), self.steps.unwrap_or(STEPS[1])];
        let mut settings = Settings::new(self.sizes()?, steps, vocabulary);
        let set = |place: &mut f64, value: Option<f64>| *place = value.unwrap_or(*place);
        set(&mut settings.denoiser.learning_rate, self.learning_rate);
        set(&mut settings.auto_encoder.learning_rate, self.auto_encoder_learning_rate);
        set(&mut settings.without_caption, self.without_caption);
        set(&mut settings.latent_weight, self.latent_weight);
        settings.denoiser.batch = self.batch.unwrap_or(settings.denoiser.batch);
        settings.auto_encoder.batch = self.auto_encoder_batch.unwrap_or(settings.auto_encoder.batch);
        if let Some(precision) = self.precision {
            (settings.denoiser.precision, settings.auto_encoder.precision) = (precision, precision);
        }
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings.check()?;
        Ok(settings)
    }

    /// Every setting with the reason for its value.
    pub fn derived(&self, settings: &Settings) -> Vec<Derived> {
        let Settings { sizes, auto_encoder, denoiser, .. } = settings;
        let said = serde_json::to_value(self).unwrap_or_default();
        let list =
            |channels: &[usize]| channels.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let latents = format!("{0}×{0} latents of a picture", sizes.latent_side());
        let rows: [(&str, String, &str); 14] = [
            ("size", sizes.side.to_string(), "pixels on a side; larger pictures are made smaller"),
            ("auto_encoder_channels", list(&sizes.auto_encoder), &latents),
            ("latent_channels", sizes.latents.to_string(), "as in Stable Diffusion"),
            ("unet_channels", list(&sizes.unet.channels), "each level but the last halves the latents"),
            ("text_levels", sizes.unet.n_with_text.to_string(), "few latents look at the text: it is cheap"),
            ("text_width", sizes.text.width.to_string(), "of the rows that stand for words"),
            ("vocabulary", settings.vocabulary.to_string(), "letters, and the words of the captions"),
            (
                "auto_encoder_steps",
                auto_encoder.steps.to_string(),
                "first it learns to see and to draw again",
            ),
            ("auto_encoder_batch", auto_encoder.batch.to_string(), "pictures of such a step"),
            (
                "auto_encoder_learning_rate",
                auto_encoder.learning_rate.to_string(),
                "falls to zero as a cosine",
            ),
            ("steps", denoiser.steps.to_string(), "then it learns to draw from words"),
            ("batch", denoiser.batch.to_string(), "pictures of such a step"),
            ("learning_rate", denoiser.learning_rate.to_string(), "falls to zero as a cosine"),
            ("without_caption", settings.without_caption.to_string(), "so that --guidance can pull"),
        ];
        let row = |(name, value, reason): (&str, String, &str)| {
            let reason = if said[name].is_null() { reason } else { "what was set" };
            Derived { name: name.to_owned(), value, reason: reason.to_owned() }
        };
        rows.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_taken_and_what_cannot_be_is_named() {
        let knobs = Knobs {
            size: Some(32),
            unet_channels: Some("32, 48".into()),
            batch: Some(3),
            learning_rate: Some(0.25),
            ..Knobs::default()
        };
        let settings = knobs.settings((600, [598, 599])).unwrap();
        assert_eq!((settings.sizes.side, &settings.sizes.unet.channels), (32, &vec![32, 48]));
        assert_eq!((settings.sizes.unet.groups, settings.denoiser.batch), (8, 3));
        assert_eq!((settings.denoiser.learning_rate, settings.auto_encoder.learning_rate), (0.25, 2e-3));
        let derived = knobs.derived(&settings);
        let row = |name: &str| derived.iter().find(|row| row.name == name).unwrap();
        assert_eq!((row("batch").value.as_str(), row("batch").reason.as_str()), ("3", "what was set"));
        assert_ne!(row("steps").reason, "what was set");
        let refused = Knobs { unet_channels: Some("64;128".into()), ..Knobs::default() };
        let refused = refused.sizes().unwrap_err().to_string();
        assert!(refused.starts_with("unet_channels is 64;128: "), "{refused}");
    }
}
