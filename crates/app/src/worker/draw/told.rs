//! What is told of a picture: its file, and how it was made.

use diffuse::raster::Raster;
use diffuse::recipe::{Recipe, picture};
use diffuse::{Latent, preview};

use super::order::Order;
use super::repeat;
use crate::Failure;
use crate::event::draw::{Begun, Drawing, Picture, Preview};
use crate::job::draw as job;

impl Order<'_> {
    /// The file of a picture, and what was done to it.
    ///
    /// # Errors
    /// A recipe that is too long.
    pub fn picture(
        &self,
        index: usize,
        pixels: &Raster,
        done: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Picture, Failure> {
        let (seed, _) = self.seeds(index);
        let size = pixels.size();
        let mut recipe = self.recipe(index);
        recipe.other.extend(done);
        let written = match self.job.recipe {
            job::Recipe::LeftOut => None,
            job::Recipe::Written => Some(&recipe),
        };
        let png = picture::write(pixels.data(), (size[0] as u32, size[1] as u32), written)?;
        Ok(Picture { index, seed, size, png, parameters: recipe.to_text() })
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
        let Some(rough) = self.rough(denoised)? else { return Ok(None) };
        let size = rough.size();
        let png = picture::write(rough.data(), (size[0] as u32, size[1] as u32), None)?;
        let Drawing { index, steps_done, .. } = *drawing;
        Ok(Some(Preview { index, seed: self.seeds(index).0, steps_done, size, png }))
    }

    /// The same as pixels.
    pub fn rough(&self, latent: &Latent) -> Result<Option<Raster>, Failure> {
        let latent = self.unpacked(latent)?;
        match &self.previewer {
            Some(previewer) => Ok(Some(previewer.picture(&latent, self.precision)?)),
            None => Ok(preview::rough(&latent, self.walk.kind())),
        }
    }

    /// What web UIs have no field for, or extensions of theirs.
    fn other(&self) -> Vec<(String, String)> {
        let control = |(at, control): (usize, &job::Control)| {
            let job::Control { weight, from, to, .. } = control;
            let model = repeat::shown(&control.model);
            let said = format!(
                "Module: none, Model: {model}, Weight: {weight}, Guidance Start: {from}, Guidance End: {to}"
            );
            (format!("{}{at}", repeat::CONTROL), said)
        };
        let part = self.job.start.as_ref().filter(|start| start.mask.is_some()).and_then(|start| start.part);
        let controls = self.job.controls.iter().enumerate().map(control);
        let precision = repeat::precision_name(self.precision);
        let part = part.iter().flat_map(repeat::part_words);
        controls.chain(part).chain([(repeat::PRECISION.to_owned(), precision.to_owned())]).collect()
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
            other: self.other(),
            version: Some(format!("Hearth {}", env!("CARGO_PKG_VERSION"))),
            ..Recipe::default()
        }
    }
}
