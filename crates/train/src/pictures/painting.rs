//! A training on pictures: weights, moments and how far it is; a step takes it further.

use std::collections::HashMap;

use base::Rng;
use models::images::auto_encoder::AutoEncoder;
use models::images::learning::Weights;
use models::parameters::Learned;
use ops::Buffers;
use serde::{Deserialize, Serialize};

use super::settings::{Noise, Settings};
use super::sizes::{Configs, Parts};
use super::steps::{self, Images, Noisy, TEXT_ENCODER, UNET};
use crate::optimiser::{self, Optimiser};
use crate::{Error, Report};

/// Pictures by whose latents their scale is measured, at most.
const N_MEASURED: usize = 256;
/// Pictures that are encoded at once.
const N_ENCODED: usize = 32;
/// Numbers of latents that are kept for the next time that their picture comes up.
const MAX_KEPT: usize = 64 << 20;
/// What random numbers are for; each has its own row of them.
const WEIGHTS: u64 = 1;
const ORDER: u64 = 2;
const STEP: u64 = 3;

/// Pictures with captions, all of one size.
pub trait Pictures {
    /// How many there are; at least one.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The colours of a picture, -1 to 1.
    ///
    /// # Shapes
    /// `[side, side, 3]`.
    ///
    /// # Errors
    /// [`Error::Data`] when it is gone or broken.
    fn colours(&mut self, index: usize) -> Result<Vec<f32>, Error>;

    /// The ids of its caption, with its begin and its end, filled up to the context.
    fn caption(&self, index: usize) -> &[u32];

    /// The ids of a caption without words.
    fn no_caption(&self) -> &[u32];
}

/// How far a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Steps done, of both stages together.
    pub steps: u64,
    /// What latents are multiplied with, once the auto-encoder has learned.
    pub scale: Option<f32>,
}

/// Tensors that learn together.
pub(super) struct Learner {
    pub weights: Weights,
    pub optimiser: Optimiser,
}

impl Learner {
    fn new(weights: Weights) -> Self {
        let optimiser = Optimiser::new(weights.iter(), weights.device());
        Self { weights, optimiser }
    }

    /// Moves every weight; `step` counts from 0. The length of the gradients is given back.
    fn learn(
        &mut self,
        (loss, gradients): (f64, Vec<Learned>),
        (settings, step, global): (&crate::Settings, u64, u64),
    ) -> Result<Report, Error> {
        let not_finite = |what: String| Error::NotFinite { step: global + 1, what };
        if !loss.is_finite() {
            return Err(not_finite("the loss".into()));
        }
        let norm = optimiser::norm(self.weights.iter(), &gradients);
        let gradient_norm = norm.map_err(|name| not_finite(format!("the gradient of {name}")))?;
        let factor = optimiser::clipping(settings, gradient_norm);
        self.optimiser.step(self.weights.tensors_mut(), gradients, (settings, step, factor));
        Ok(Report { step: global + 1, loss, gradient_norm, learning_rate: settings.rate(step) })
    }
}

/// An image model that learns.
pub struct Painting {
    pub(super) settings: Settings,
    configs: Configs,
    /// The auto-encoder, then text encoder and U-Net.
    pub(super) learners: [Learner; 2],
    pub(super) progress: Progress,
    noise: Noise,
    /// The order of the pictures in an epoch.
    order: Option<(u64, Vec<usize>)>,
    /// Latents of pictures, as the auto-encoder says them.
    latents: HashMap<usize, Vec<f32>>,
    buffers: Buffers,
}

impl Painting {
    /// A training that begins with random weights.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting is out of its range, [`Error::Model`] for sizes of which no model is made.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let configs = settings.sizes.configs((settings.vocabulary, settings.marks))?;
        let device = ops::device::cpu();
        let rng = |stage| random(settings.seed, WEIGHTS, stage);
        let auto_encoder = Weights::random(rng(0), &device, |tensors| {
            AutoEncoder::load(tensors, configs.auto_encoder.clone(), &device).map(drop)
        })?;
        let denoiser = Weights::random(rng(1), &device, |tensors| {
            steps::denoiser_of((&configs.text_encoder, &configs.unet), tensors, &device).map(drop)
        })?;
        Ok(Self {
            configs,
            learners: [auto_encoder, denoiser].map(Learner::new),
            progress: Progress::default(),
            noise: Noise::new(),
            order: None,
            latents: HashMap::new(),
            buffers: Buffers::default(),
            settings,
        })
    }

    /// How it trains.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Steps done, of both stages together.
    pub fn steps_done(&self) -> u64 {
        self.progress.steps
    }

    /// Whether every planned step is done.
    pub fn is_done(&self) -> bool {
        self.progress.steps >= self.settings.steps()
    }

    /// How many numbers learn.
    pub fn n_values(&self) -> usize {
        self.learners.iter().map(|learner| learner.weights.n_values()).sum()
    }

    /// One step of the optimiser.
    ///
    /// # Errors
    /// [`Error::NotFinite`] and those of the pictures. Weights, moments and progress are then as they were before.
    ///
    /// # Panics
    /// When there are no pictures.
    pub fn step(&mut self, pictures: &mut dyn Pictures) -> Result<Report, Error> {
        assert!(!pictures.is_empty(), "a training has pictures, by its contract");
        let mut buffers = std::mem::take(&mut self.buffers);
        let report = buffers.lend(|| match self.progress.steps < self.settings.auto_encoder.steps {
            true => self.encode_step(pictures),
            false => self.denoise_step(pictures),
        });
        self.buffers = buffers;
        let report = report?;
        self.progress.steps += 1;
        Ok(report)
    }

    /// A step of the auto-encoder.
    fn encode_step(&mut self, pictures: &mut dyn Pictures) -> Result<Report, Error> {
        let step = self.progress.steps;
        let settings = self.settings.auto_encoder.clone();
        let chosen = self.chosen((0, step, settings.batch), pictures.len());
        let mut rng = random(self.settings.seed, STEP, step);
        let noise = self.normal_latents(chosen.len(), &mut rng);
        let shown = (self.shown(&chosen, pictures)?, noise);
        let [learner, _] = &mut self.learners;
        let model = (&learner.weights, &self.configs.auto_encoder);
        let found = steps::auto_encoder(model, shown, self.settings.latent_weight, settings.precision)?;
        learner.learn(found, (&settings, step, step))
    }

    /// A step of text encoder and U-Net.
    fn denoise_step(&mut self, pictures: &mut dyn Pictures) -> Result<Report, Error> {
        let (global, settings) = (self.progress.steps, self.settings.denoiser.clone());
        let step = global - self.settings.auto_encoder.steps;
        let scale = self.scale(pictures)?;
        let chosen = self.chosen((1, step, settings.batch), pictures.len());
        self.encode(&chosen, pictures)?;
        let mut rng = random(self.settings.seed, STEP, global);
        let dims = self.latent_dims(chosen.len());
        let (mut latents, mut target) = (Vec::new(), Vec::new());
        let (mut times, mut ids) = (Vec::new(), Vec::new());
        for index in &chosen {
            let time = rng.below(self.noise.times());
            let [kept, added] = self.noise.shares(time);
            let picture = self.latents.get(index).expect("it was just encoded");
            for latent in picture {
                let (latent, noise) = (latent * scale, rng.normal() as f32);
                latents.push(kept * latent + added * noise);
                target.push(kept * noise - added * latent);
            }
            times.push(time as f32);
            let is_without = rng.uniform() < self.settings.without_caption;
            ids.extend(if is_without { pictures.no_caption() } else { pictures.caption(*index) });
        }
        let [latents, target] = [latents, target].map(|values| Images { values, dims });
        let noisy = Noisy { latents, target, times: &times, ids: &ids };
        let configs = (&self.configs.text_encoder, &self.configs.unet);
        let [_, learner] = &mut self.learners;
        let found = steps::denoiser((&learner.weights, configs), noisy, settings.precision)?;
        let report = learner.learn(found, (&settings, step, global));
        if self.latents.values().map(Vec::len).sum::<usize>() > MAX_KEPT {
            self.latents.clear();
        }
        report
    }

    /// What latents are multiplied with, so that their variance is 1; measured once.
    fn scale(&mut self, pictures: &mut dyn Pictures) -> Result<f32, Error> {
        if let Some(scale) = self.progress.scale {
            return Ok(scale);
        }
        let measured: Vec<usize> = (0..pictures.len().min(N_MEASURED)).collect();
        self.encode(&measured, pictures)?;
        let all = || measured.iter().filter_map(|index| self.latents.get(index)).flatten();
        let squares: f64 = all().map(|latent| f64::from(*latent).powi(2)).sum();
        let deviation = (squares / all().count().max(1) as f64).sqrt();
        let scale = (1.0 / deviation.max(1e-6)) as f32;
        self.progress.scale = Some(scale);
        Ok(scale)
    }

    /// Makes the latents of those of `chosen` that are not known.
    fn encode(&mut self, chosen: &[usize], pictures: &mut dyn Pictures) -> Result<(), Error> {
        let unknown: Vec<usize> =
            chosen.iter().copied().filter(|index| !self.latents.contains_key(index)).collect();
        for some in unknown.chunks(N_ENCODED) {
            let shown = self.shown(some, pictures)?;
            let [learner, _] = &self.learners;
            let precision = self.settings.denoiser.precision;
            let found = steps::latents((&learner.weights, &self.configs.auto_encoder), shown, precision)?;
            let each = found.chunks_exact(found.len() / some.len());
            self.latents.extend(some.iter().copied().zip(each.map(<[f32]>::to_vec)));
        }
        Ok(())
    }

    /// The pictures of these numbers.
    fn shown(&self, chosen: &[usize], pictures: &mut dyn Pictures) -> Result<Images, Error> {
        let side = self.settings.sizes.side;
        let mut values = Vec::with_capacity(chosen.len() * side * side * 3);
        for index in chosen {
            values.extend(pictures.colours(*index)?);
        }
        Ok(Images { values, dims: [chosen.len(), side, side, 3] })
    }

    /// The pictures of a step of a stage: each epoch shows all of them in an order of its own.
    fn chosen(&mut self, (stage, step, batch): (u64, u64, usize), n: usize) -> Vec<usize> {
        let first = step * batch as u64;
        (first..first + batch as u64)
            .map(|at| self.in_epoch(2 * (at / n as u64) + stage, (at % n as u64) as usize, n))
            .collect()
    }

    fn in_epoch(&mut self, epoch: u64, at: usize, n: usize) -> usize {
        let is_known = self.order.as_ref().is_some_and(|(known, order)| *known == epoch && order.len() == n);
        if !is_known {
            let mut rng = random(self.settings.seed, ORDER, epoch);
            let mut order: Vec<usize> = (0..n).collect();
            for last in (1..n).rev() {
                order.swap(last, rng.below(last + 1));
            }
            self.order = Some((epoch, order));
        }
        self.order.as_ref().map_or(0, |(_, order)| order[at])
    }

    fn latent_dims(&self, n: usize) -> [usize; 4] {
        let side = self.settings.sizes.latent_side();
        [n, side, side, self.settings.sizes.latents]
    }

    fn normal_latents(&self, n: usize, rng: &mut Rng) -> Images {
        let dims = self.latent_dims(n);
        let values = (0..dims.iter().product()).map(|_| rng.normal() as f32).collect();
        Images { values, dims }
    }

    /// The settings of each part, for the files of the model.
    pub fn parts(&self) -> Parts {
        let Settings { vocabulary, marks, .. } = self.settings;
        self.settings.sizes.parts((vocabulary, marks), self.progress.scale.unwrap_or(1.0))
    }

    /// The weights of each part, for the files of the model: the folder's name, and its weights with what their names
    /// begin with.
    pub fn weights(&self) -> [(&'static str, &Weights, &'static str); 3] {
        let [auto_encoder, denoiser] = &self.learners;
        [
            ("text_encoder", &denoiser.weights, TEXT_ENCODER),
            ("unet", &denoiser.weights, UNET),
            ("vae", &auto_encoder.weights, ""),
        ]
    }
}

/// A row of random numbers of its own for each purpose and number.
fn random(seed: u64, purpose: u64, number: u64) -> Rng {
    let first = Rng::new(seed).next_u64();
    let second = Rng::new(first ^ purpose).next_u64();
    Rng::new(second ^ number)
}
