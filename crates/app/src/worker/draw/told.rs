//! What is told of a picture: its file, and how it was made.

use diffuse::recipe::{Recipe, picture};
use diffuse::{Latent, preview};

use super::order::Order;
use super::repeat;
use crate::Failure;
use crate::event::draw::{Begun, Drawing, Picture, Preview};
use crate::job::draw as job;

impl Order<'_> {
    /// The file of a picture.
    ///
    /// # Shapes
    /// `pixels`: Y X 3.
    ///
    /// # Errors
    /// A recipe that is too long.
    pub fn picture(&self, index: usize, pixels: &[u8]) -> Result<Picture, Failure> {
        let (seed, _) = self.seeds(index);
        let size = self.size.map(|side| side as u32);
        let recipe = self.recipe(index);
        let written = match self.job.recipe {
            job::Recipe::LeftOut => None,
            job::Recipe::Written => Some(&recipe),
        };
        let png = picture::write(pixels, (size[0], size[1]), written)?;
        Ok(Picture { index, seed, size: self.size, png, parameters: recipe.to_text() })
    }

    /// What there is to say before the first step.
    pub fn beginning(&self, n_prompt_tokens: usize) -> Begun {
        let (seed, variation) = self.seeds(0);
        Begun {
            model: repeat::shown(self.model).to_owned(),
            n_pictures: self.job.n,
            seed,
            variation: variation.map(|noise| noise.seed).zip(self.job.variation.map(|given| given.strength)),
            size: self.size,
            steps: self.steps,
            guidance: self.guidance,
            sampler: self.sampler.name.to_owned(),
            schedule: self.schedule.clone(),
            strength: self.strength,
            n_prompt_tokens,
        }
    }

    /// What a picture roughly looks like on its way, where that is known of the model's latents.
    ///
    /// # Errors
    /// None but our own mistakes.
    pub fn preview(&self, drawing: &Drawing, denoised: &Latent) -> Result<Option<Preview>, Failure> {
        let Some(rough) = preview::rough(&self.unpacked(denoised)?, self.walk.kind()) else {
            return Ok(None);
        };
        let size = rough.size();
        let png = picture::write(rough.data(), (size[0] as u32, size[1] as u32), None)?;
        let Drawing { index, steps_done, .. } = *drawing;
        Ok(Some(Preview { index, seed: self.seeds(index).0, steps_done, size, png }))
    }

    fn recipe(&self, index: usize) -> Recipe {
        let (seed, variation) = self.seeds(index);
        Recipe {
            prompt: self.job.prompt.clone().unwrap_or_default(),
            negative_prompt: self.job.negative.clone().unwrap_or_default(),
            steps: Some(self.steps as u32),
            sampler: Some(self.sampler.name.to_owned()),
            schedule: Some(self.schedule.clone()),
            guidance: Some(self.guidance.into()),
            seed: Some(seed),
            size: Some((self.size[0] as u32, self.size[1] as u32)),
            model: Some(repeat::shown(self.model).to_owned()),
            model_hash: self.digests.model.clone(),
            adapters: self.digests.loras.clone(),
            embeddings: self.digests.embeddings.clone(),
            variation_seed: variation.map(|variation| variation.seed),
            variation_strength: variation.and(self.job.variation).map(|variation| variation.strength),
            strength: self.strength,
            clip_skip: self.job.clip_skip.map(|skip| skip as u32),
            noise: Some(self.source().name().to_owned()),
            other: vec![(repeat::PRECISION.to_owned(), repeat::precision_name(self.precision).to_owned())],
            version: Some(format!("Hearth {}", env!("CARGO_PKG_VERSION"))),
            ..Recipe::default()
        }
    }
}
