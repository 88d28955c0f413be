//! Making pictures: prompts are read, noise becomes latents step by step, latents become pixels.
//!
//! A part of the model is in memory only while it computes: first the text encoders, then the U-Net, then the auto-encoder.
//! The job has a share of the memory for the largest of them.

mod parts;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use base::TokenId;
use diffuse::denoise::Guided;
use diffuse::noise::{Noise, Source};
use diffuse::pipeline::{self, Condition, Encoding, Kind, Sight};
use diffuse::prompt::{self, LOOKBACK};
use diffuse::recipe::{Recipe, picture};
use diffuse::samplers::{self, Sampler};
use diffuse::schedule::{self, Begin, Clock, MAX_STEPS};
use diffuse::{Latent, Shape};
use models::images::auto_encoder::KlConfig;
use ops::Precision;
use ops::device::Device;

use super::open::{self, Files};
use super::share::Shares;
use crate::event::draw::{Drawing, Drawn, Picture, Seconds};
use crate::job::draw::{self as job, Draw, Generator};
use crate::running::Reporter;
use crate::{Event, Failure};
use parts::{Parts, Trained};

/// Steps, and how strongly the prompt pulls, where nobody says so.
const STEPS: usize = 20;
const GUIDANCE: f32 = 7.0;
const SAMPLER: &str = "DPM++ 2M";
/// The longest side of a picture, and the most pictures of one job.
const MAX_SIDE: usize = 4096;
const MAX_PICTURES: usize = 1000;
const MAX_GUIDANCE: f32 = 100.0;
const MAX_CLIP_SKIP: usize = 12;
/// Bytes that steps and pixels take for each pixel beside the weights: activations of the widest level.
const STEP_BYTES: u64 = 3 << 10;
const PIXEL_BYTES: u64 = 4 << 10;
/// What the program takes beside a picture.
const ROOM_BYTES: u64 = 64 << 20;
const SMALLER: &str = "make a smaller picture (--size), or stop what else is in memory (`hearth ps`)";

/// Drawings that were begun.
static N_DRAWINGS: AtomicU64 = AtomicU64::new(0);

/// What a job of drawing is done with.
pub(crate) struct Place<'a> {
    pub store: &'a store::Store,
    pub shares: Shares,
    pub drawn_seed: u64,
}

/// Runs one job to its last event.
pub(crate) fn run(place: &Place<'_>, job: &Draw, reporter: &Reporter) {
    reporter.finish(|| draw(place, job, reporter));
}

fn draw(place: &Place<'_>, job: &Draw, reporter: &Reporter) -> Result<Event, Failure> {
    let source = open::find(place.store, &job.model)?;
    let Files::Folder(folder) = &source.files else {
        let message = format!("{}: it is no folder of an image model", source.name);
        let hint = "name a folder as diffusers writes it, with unet, vae and text_encoder";
        return Err(Failure::new("wrong_task", message, hint));
    };
    let device = ops::device::cpu();
    let parts = Parts { folder, device: &device };
    let order = Order::new(job, &parts, (&source.name, place.drawn_seed))?;
    // No two shares have one name.
    let number = N_DRAWINGS.fetch_add(1, Ordering::Relaxed) + 1;
    let name = format!("drawing {number} with {}", source.name);
    let share = place.shares.take(name, (order.most_bytes(&parts), SMALLER), reporter)?;
    let mut seconds = Seconds::default();
    let begun = Instant::now();
    let conditions = order.conditions(&parts, &device)?;
    seconds.prompts = begun.elapsed().as_secs_f64();
    let (latents, stopped) = order.latents(&parts, (&conditions, &device), |drawing| {
        let done = drawing.index * drawing.n_steps + drawing.steps_done;
        share.note(done as u64, (job.n * drawing.n_steps) as u64);
        reporter.tell(Event::Drawing(drawing));
        if reporter.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    seconds.steps = begun.elapsed().as_secs_f64() - seconds.prompts;
    let encoder = parts.auto_encoder()?;
    for (index, latent) in latents.iter().enumerate() {
        let pixels = pipeline::pixels(&encoder, latent, (order.precision, &device))?;
        let pixels = pixels.first().ok_or_else(Failure::internal)?;
        reporter.tell(Event::Picture(order.picture(index, pixels)?));
    }
    // Who stops has the pictures that were ready.
    if let Some(stopped) = stopped {
        return Err(stopped);
    }
    seconds.pixels = begun.elapsed().as_secs_f64() - seconds.prompts - seconds.steps;
    Ok(Event::Drawn(Drawn { model: source.name.clone(), n_pictures: latents.len(), seconds }))
}

/// What is asked for, with everything that was not said.
struct Order<'a> {
    job: &'a Draw,
    model: &'a str,
    kind: Kind,
    trained: Trained,
    size: [usize; 2],
    steps: usize,
    latent: Shape,
    seed: u64,
    guidance: f32,
    sampler: &'static Sampler,
    schedule: String,
    sigmas: Vec<f32>,
    precision: Precision,
}

impl<'a> Order<'a> {
    fn new(job: &'a Draw, parts: &Parts<'_>, (model, drawn_seed): (&'a str, u64)) -> Result<Self, Failure> {
        let (kind, trained) = (parts.kind()?, parts.trained()?);
        let config = parts.auto_encoder_config()?;
        let size = size(job, parts, &config)?;
        let shrinking = config.shrinking();
        let latent = Shape::new(1, config.latents, size[1] / shrinking, size[0] / shrinking)?;
        within("n", job.n as f64, 1.0, MAX_PICTURES as f64)?;
        let guidance = job.guidance.unwrap_or(GUIDANCE);
        within("guidance", guidance.into(), 0.0, MAX_GUIDANCE.into())?;
        within("clip_skip", job.clip_skip.unwrap_or(1) as f64, 1.0, MAX_CLIP_SKIP as f64)?;
        let steps = job.steps.unwrap_or(STEPS);
        within("steps", steps as f64, 1.0, MAX_STEPS as f64)?;
        let sampler = samplers::named(job.sampler.as_deref().unwrap_or(SAMPLER))?;
        let (schedule, sigmas) = trained.sigmas(job.schedule.as_deref(), (sampler, steps))?;
        Ok(Self {
            job,
            model,
            kind,
            trained,
            size,
            steps,
            latent,
            seed: job.seed.unwrap_or(drawn_seed),
            guidance,
            sampler,
            schedule,
            sigmas,
            precision: match job.precision {
                job::Precision::Bf16 => Precision::Bf16,
                job::Precision::F32 => Precision::F32,
            },
        })
    }

    /// Bytes that the largest part takes, weights and what it computes with.
    fn most_bytes(&self, parts: &Parts<'_>) -> u64 {
        let pixels = (self.size[0] * self.size[1]) as u64;
        let [texts, unet, encoder] = parts.sizes();
        let most = texts.max(unet + pixels * STEP_BYTES).max(encoder + pixels * PIXEL_BYTES);
        most.saturating_add(ROOM_BYTES)
    }

    /// What the model reads of the prompt, and of the negative one.
    fn conditions(&self, parts: &Parts<'_>, device: &Device) -> Result<[Condition; 2], Failure> {
        let readers = parts.readers()?;
        let read = |text: &str| -> Result<Condition, Failure> {
            let pieces = prompt::pieces(text)?;
            let mut chunks = Vec::new();
            for reader in &readers {
                let ids = |text: &str| reader.tokenizer.encode(text).into_iter().map(TokenId).collect();
                chunks.push(prompt::chunks(&pieces, reader.marks, LOOKBACK, &mut |text| Ok(ids(text)))?);
            }
            let encodings = readers.iter().zip(&chunks);
            let encodings: Vec<_> =
                encodings.map(|(reader, chunks)| Encoding { model: &reader.model, chunks }).collect();
            let n_skipped = self.job.clip_skip.map_or(0, |skip| skip.saturating_sub(1));
            Ok(pipeline::read(&encodings, (self.kind, n_skipped), (self.precision, device))?)
        };
        Ok([read(&self.job.prompt)?, read(&self.job.negative)?])
    }

    /// The latents of all pictures, one after the other; with what stopped it, of those that were ready.
    fn latents(
        &self,
        parts: &Parts<'_>,
        ([positive, negative], device): (&[Condition; 2], &Device),
        mut watch: impl FnMut(Drawing) -> ControlFlow<()>,
    ) -> Result<(Vec<Latent>, Option<Failure>), Failure> {
        let unet = parts.unet()?;
        let mut latents = Vec::new();
        for index in 0..self.job.n {
            let what = (self.kind, self.size);
            let mut sight = Sight::new(&unet, [positive, negative], what, (self.precision, device))?;
            let clock = Clock::Trained(self.trained.training.clone());
            let mut guided =
                Guided { scale: self.guidance, ..Guided::new(&mut sight, self.trained.prediction, clock) };
            let mut noise = Noise::new(self.source(), self.seed.wrapping_add(index as u64), 1, None)?;
            let first = self.sigmas.first().copied().unwrap_or_default();
            let x = noise.first(self.latent)?.scaled(Begin::Level.factor(first));
            let mut last = Instant::now();
            let mut tell = |step: samplers::Step<'_>| {
                let step_seconds = last.elapsed().as_secs_f64();
                last = Instant::now();
                watch(Drawing { index, steps_done: step.index + 1, n_steps: step.n_steps, step_seconds })
            };
            match (self.sampler.walk)(&mut guided, x, &self.sigmas, &mut noise, &mut tell) {
                Err(stopped @ diffuse::Error::Stopped { .. }) => return Ok((latents, Some(stopped.into()))),
                latent => latents.push(latent?),
            }
        }
        Ok((latents, None))
    }

    fn source(&self) -> Source {
        match self.job.noise {
            Generator::Cpu => Source::Cpu,
            Generator::Nv => Source::Nv,
        }
    }

    fn picture(&self, index: usize, pixels: &[u8]) -> Result<Picture, Failure> {
        let seed = self.seed.wrapping_add(index as u64);
        let size = self.size.map(|side| side as u32);
        let recipe = match self.job.recipe {
            job::Recipe::LeftOut => None,
            job::Recipe::Written => Some(self.recipe(seed)),
        };
        let png = picture::write(pixels, (size[0], size[1]), recipe.as_ref())?;
        Ok(Picture { index, seed, size: self.size, png })
    }

    fn recipe(&self, seed: u64) -> Recipe {
        Recipe {
            prompt: self.job.prompt.clone(),
            negative_prompt: self.job.negative.clone(),
            steps: Some(self.steps as u32),
            sampler: Some(self.sampler.name.to_owned()),
            schedule: Some(self.schedule.clone()),
            guidance: Some(self.guidance.into()),
            seed: Some(seed),
            size: Some((self.size[0] as u32, self.size[1] as u32)),
            model: Some(self.model.to_owned()),
            clip_skip: self.job.clip_skip.map(|skip| skip as u32),
            noise: Some(self.source().name().to_owned()),
            version: Some(format!("Hearth {}", env!("CARGO_PKG_VERSION"))),
            ..Recipe::default()
        }
    }
}

impl Trained {
    /// The name of the schedule and its levels: the one that is asked for, else the one that the model's files want, else the
    /// one that the sampler is used with.
    fn sigmas(
        &self,
        wanted: Option<&str>,
        (sampler, steps): (&Sampler, usize),
    ) -> Result<(String, Vec<f32>), Failure> {
        let name = match (wanted, self.spacing) {
            (Some(name), _) => name,
            // Models of few steps were trained at the ends of the steps.
            (None, schedule::Spacing::Trailing) => "Trailing",
            (None, _) => sampler.schedule,
        };
        let schedule = schedule::named(name)?;
        Ok((schedule.name.to_owned(), (schedule.sigmas)(&self.training, steps)?))
    }
}

/// Width and height of a picture: what is asked for, or what the model was made for.
fn size(job: &Draw, parts: &Parts<'_>, config: &KlConfig) -> Result<[usize; 2], Failure> {
    let shrinking = config.shrinking();
    let size = match job.size {
        Some(size) => size,
        None => [parts.usual_side()?.saturating_mul(shrinking); 2],
    };
    // The model halves its latents on the way, as often as it has levels.
    let multiple = shrinking.saturating_mul(parts.halvings()?);
    for side in size {
        if side == 0 || side > MAX_SIDE || !side.is_multiple_of(multiple) {
            let message = format!(
                "size {} x {}: a side is a multiple of {multiple}, at most {MAX_SIDE}",
                size[0], size[1]
            );
            let near =
                side.clamp(multiple, MAX_SIDE).next_multiple_of(multiple).min(MAX_SIDE / multiple * multiple);
            return Err(Failure::new("bad_setting", message, format!("{near} is near")));
        }
    }
    Ok(size)
}

fn within(name: &str, value: f64, least: f64, most: f64) -> Result<(), Failure> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let message = format!("{name} is {value}: it lies between {least} and {most}");
    Err(Failure::new("bad_setting", message, "`hearth draw --help` explains each"))
}
