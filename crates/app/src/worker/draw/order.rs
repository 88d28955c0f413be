//! An order for pictures: what is asked for, with everything that was not said, and the walk from noise to latents.

use std::ops::ControlFlow;
use std::time::Instant;

use base::TokenId;
use diffuse::denoise::{Denoise, Guided, Path, Renoised};
use diffuse::noise::{self, Noise, Source};
use diffuse::pipeline::{self, Condition, Encoding, Packing};
use diffuse::prompt::{self, Chunk, LOOKBACK};
use diffuse::samplers::{self, Sampler};
use diffuse::schedule::{self, Begin, Counting, MAX_STEPS};
use diffuse::{Latent, Shape};
use models::images::auto_encoder::KlConfig;
use ops::Precision;

use super::embeddings;
use super::flow::Knowledge;
use super::glass;
use super::hashes::Digests;
use super::loras;
use super::parts::{Parts, Reader};
use super::previewer::Previewer;
use super::reading::Readers;
use super::start::{Beginning, Begun, Canvas};
use super::walk::{Conditions, Guides, Walk};
use crate::Failure;
use crate::event::draw::Drawing;
use crate::event::glass::Encoder;
use crate::job::draw::{self as job, Draw, Generator};

/// How much of a picture is made anew where nobody says so: of a whole one, and of what a mask shows.
const STRENGTHS: [f64; 2] = [0.75, 1.0];
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
/// Parts a drawn seed from the one of a variation.
const OTHER_SEED: u64 = 0x9e37_79b9;

/// What is asked for, with everything that was not said.
pub(super) struct Order<'a> {
    pub job: &'a Draw,
    pub model: &'a str,
    pub size: [usize; 2],
    pub steps: usize,
    pub latent: Shape,
    pub seed: u64,
    pub variation: Option<noise::Variation>,
    /// How much is made anew of the picture that is begun with, where there is one.
    pub strength: Option<f64>,
    pub guidance: f32,
    pub sampler: &'static Sampler,
    pub schedule: String,
    pub precision: Precision,
    /// The size of the picture that is begun with.
    begun_with: Option<[usize; 2]>,
    /// What the files are told by that it is made of.
    pub digests: Digests,
    /// What makes pictures on their way better than rough colours do.
    pub previewer: Option<Previewer>,
    pub walk: Walk,
    sigmas: Vec<f32>,
}

/// Bytes that each part takes while it computes: the text encoders, the model, the auto-encoder.
pub(crate) fn memory(parts: &Parts<'_>, size: [usize; 2]) -> [u64; 3] {
    let pixels = (size[0] as u64).saturating_mul(size[1] as u64);
    let [texts, model, encoder] = parts.sizes();
    let with = |weights: u64, bytes: u64| weights.saturating_add(pixels.saturating_mul(bytes));
    [texts, with(model, STEP_BYTES), with(encoder, PIXEL_BYTES)]
}

impl<'a> Order<'a> {
    pub fn new(
        (job, beginning): (&'a Draw, Option<&Beginning<'_>>),
        parts: &Parts<'_>,
        (model, drawn_seed): (&'a str, u64),
    ) -> Result<Self, Failure> {
        let walk = Walk::of(parts)?;
        let config = parts.auto_encoder_config()?;
        let begun_with = beginning.map(Beginning::size);
        // A part has the size that the model draws best.
        let like = begun_with.filter(|_| !beginning.is_some_and(Beginning::is_cut_out));
        let size = size((job, like), parts, &config)?;
        let shrinking = config.shrinking();
        let latent = Shape::new(1, config.latents, size[1] / shrinking, size[0] / shrinking)?;
        // Four pixels of latents are one row of a transformer.
        let n_tokens = latent.rows * latent.columns / 4;
        let side = walk.packing().side();
        let latent = Shape::new(1, config.latents * side * side, latent.rows / side, latent.columns / side)?;
        let usual = walk.usual();
        let (guidance, steps) = (job.guidance.unwrap_or(usual.guidance), job.steps.unwrap_or(usual.steps));
        check(job, (guidance, steps))?;
        match walk {
            Walk::Noise(..) => parts.expect_inputs(config.latents, beginning)?,
            Walk::Flow(_) => expect_flow(job, (guidance, usual.knowledge), model)?,
        }
        // Web UIs once wrote the schedule behind the sampler.
        let (sampler, behind) = samplers::with_schedule(job.sampler.as_deref().unwrap_or(walk.sampler()))?;
        let behind = (behind != sampler.schedule).then_some(behind);
        let (schedule, sigmas) =
            walk.sigmas(job.schedule.as_deref().or(behind), (sampler, steps), n_tokens)?;
        let strength = job.start.as_ref().map(|start| strength(start, walk.packing()));
        let sigmas = match strength {
            Some(strength) => from_strength(&sigmas, strength, walk.counting())?,
            None => sigmas,
        };
        let varied = job.variation.filter(|variation| variation.strength != 0.0);
        let variation = varied.map(|variation| noise::Variation {
            seed: variation.seed.unwrap_or(drawn_seed ^ OTHER_SEED),
            strength: variation.strength as f32,
        });
        let precision = match job.precision.unwrap_or_default() {
            job::Precision::Bf16 => Precision::Bf16,
            job::Precision::F32 => Precision::F32,
        };
        let seed = job.seed.unwrap_or(drawn_seed);
        let previewer = Previewer::of(job, parts, (&walk, config.latents))?;
        Ok(Self {
            job,
            model,
            size,
            steps,
            latent,
            seed,
            variation,
            strength,
            guidance,
            sampler,
            schedule,
            precision,
            begun_with,
            digests: Digests::default(),
            previewer,
            walk,
            sigmas,
        })
    }

    /// Pixels of one picture.
    pub fn pixels(&self) -> u64 {
        self.size.map(|side| side as u64).into_iter().product()
    }

    /// Refuses more pixels of all pictures together than `most`.
    ///
    /// # Errors
    /// `too_many_pixels`.
    pub fn expect_pixels(&self, most: u64) -> Result<(), Failure> {
        let pixels = self.pixels().saturating_mul(self.job.n as u64);
        if pixels <= most {
            return Ok(());
        }
        let message = format!(
            "{} of {} x {} are {pixels} pixels, and one request makes at most {most}",
            self.job.n, self.size[0], self.size[1]
        );
        Err(Failure::new("too_many_pixels", message, "ask for fewer or smaller pictures at once"))
    }

    /// What a person should know before hours of work begin.
    pub fn note(&self) -> Option<String> {
        let ([width, height], [from, high]) = (self.size, self.begun_with?);
        let is_other = self.job.size.is_none() && [from, high] != self.size;
        is_other.then(|| format!("the picture of {from} x {high} pixels is drawn on as {width} x {height}"))
    }

    /// The seed of a picture's noise, and that of its variation: with one, only it goes up.
    pub fn seeds(&self, index: usize) -> (u64, Option<noise::Variation>) {
        let up = |seed: u64| seed.wrapping_add(index as u64);
        match self.variation {
            Some(variation) => (self.seed, Some(noise::Variation { seed: up(variation.seed), ..variation })),
            None => (up(self.seed), None),
        }
    }

    /// Whether all of what a mask shows is made anew, of noise alone.
    pub fn is_whole(&self) -> bool {
        self.strength == Some(1.0)
    }

    /// Bytes that the largest part takes, weights and what it computes with.
    pub fn most_bytes(&self, parts: &Parts<'_>) -> u64 {
        let previews = self.previewer.as_ref().map_or(0, |previewer| previewer.bytes(self.latent));
        let [width, height] = self.size;
        // A picture that is seen beside has as many rows again.
        let is_seen = self.begun_with.is_some() && self.walk.packing() == Packing::Patches;
        let size = [width * (1 + usize::from(is_seen)), height];
        let most = memory(parts, size).into_iter().max().unwrap_or_default();
        most.saturating_add(ROOM_BYTES).saturating_add(previews)
    }

    /// What the model reads of the prompt, and of the negative one; of the prompt also its tokens, where somebody looks.
    pub fn conditions(
        &self,
        parts: &Parts<'_>,
        device: &ops::device::Device,
    ) -> Result<(Conditions, Vec<Encoder>), Failure> {
        let is_told = self.job.inside == job::Inside::Told;
        let positive = &loras::words(self.job.prompt.as_deref().unwrap_or_default())?;
        // Web UIs read tags of adapters in the prompt alone.
        let negative = self.job.negative.as_deref().unwrap_or_default();
        let kind = match &self.walk {
            Walk::Noise(kind, _) => *kind,
            Walk::Flow(flow) => {
                let readers = Readers::load(parts, flow.family)?;
                let read = readers.read(positive, self.precision)?;
                let other = match self.pull() == 1.0 {
                    // Nobody asks for it.
                    true => read.clone(),
                    false => readers.read(negative, self.precision)?,
                };
                let tokens = if is_told { readers.tokens(positive)? } else { Vec::new() };
                return Ok((Conditions::Flow([read, other]), tokens));
            }
        };
        let readers = parts.readers()?;
        let cut = |text: &str| -> Result<Vec<Vec<Chunk>>, Failure> {
            let pieces = prompt::pieces(text)?;
            let of = |reader: &Reader| {
                let ids = |text: &str| reader.tokenizer.encode(text).into_iter().map(TokenId).collect();
                let words = (reader.marks, reader.names.as_slice());
                prompt::chunks(&pieces, words, LOOKBACK, &mut |text| Ok(ids(text)))
            };
            Ok(readers.iter().map(of).collect::<Result<_, _>>()?)
        };
        let both = [cut(positive)?, cut(negative)?];
        if let Some(reader) = readers.first() {
            let chunks: Vec<Chunk> =
                both.iter().filter_map(|chunks| chunks.first()).flatten().cloned().collect();
            embeddings::expect_used(parts.embeddings, &reader.names, &chunks)?;
        }
        let read = |chunks: &[Vec<Chunk>]| -> Result<(Condition, Vec<Encoder>), Failure> {
            let encodings = readers.iter().zip(chunks);
            let encodings: Vec<_> =
                encodings.map(|(reader, chunks)| Encoding { model: &reader.model, chunks }).collect();
            let n_skipped = self.job.clip_skip.map_or(0, |skip| skip.saturating_sub(1));
            let read = pipeline::read(&encodings, (kind, n_skipped), (self.precision, device))?;
            let told = readers.iter().zip(chunks).filter(|_| is_told);
            let told =
                told.map(|(reader, chunks)| glass::clip_tokens((reader.name, &reader.tokenizer), chunks));
            Ok((read, told.collect()))
        };
        let (positive, tokens) = read(&both[0])?;
        Ok((Conditions::Noise([positive, read(&both[1])?.0]), tokens))
    }

    /// How far to go from what the model says of the negative prompt through what it says of the prompt.
    fn pull(&self) -> f32 {
        match self.walk.usual().knowledge {
            Knowledge::OfModel => 1.0,
            Knowledge::OfNegative => self.guidance,
        }
    }

    /// Latents as the auto-encoder has them.
    pub fn unpacked(&self, latent: &Latent) -> Result<Latent, Failure> {
        Ok(self.walk.packing().unpacked(latent)?)
    }

    /// The latents of all pictures, one after the other; with what stopped it, of those that were ready.
    pub fn latents(
        &self,
        parts: &Parts<'_>,
        (conditions, canvas, guides): (&Conditions, Option<&Canvas>, &Guides<'_>),
        mut watch: impl FnMut(Drawing, &samplers::Step<'_>) -> ControlFlow<()>,
    ) -> Result<(Vec<Latent>, Option<Failure>), Failure> {
        let seer = self.walk.seer(parts)?;
        let mut latents = Vec::new();
        for index in 0..self.job.n {
            let what = (&seer, conditions, guides);
            let mut sight =
                self.walk.sight(what, (self.size, self.guidance), (self.precision, parts.device))?;
            let (prediction, clock) = self.walk.meaning();
            let mut guided = Guided { scale: self.pull(), ..Guided::new(&mut *sight, prediction, clock) };
            let (seed, variation) = self.seeds(index);
            let mut noise = Noise::new(self.source(), seed, 1, variation)?;
            let begun = self.begun(canvas, &mut noise, guided.path())?;
            guided.known = begun.seen;
            guides.at(0, self.sigmas.len().saturating_sub(1));
            let mut last = Instant::now();
            let mut tell = |step: samplers::Step<'_>| {
                let (index, steps_done, n_steps) = (index, step.index + 1, step.n_steps);
                let step_seconds = last.elapsed().as_secs_f64();
                let next = watch(Drawing { index, steps_done, n_steps, step_seconds }, &step);
                guides.at(steps_done, n_steps);
                last = Instant::now();
                next
            };
            let mut walk = |denoise: &mut dyn Denoise| {
                (self.sampler.walk)(denoise, begun.x.clone(), &self.sigmas, &mut noise, &mut tell)
            };
            let walked = match &begun.known {
                Some(known) => walk(&mut Renoised::new(&mut guided, known.clone()))
                    .and_then(|latent| known.put_back(latent)),
                None => walk(&mut guided),
            };
            match walked {
                Err(stopped @ diffuse::Error::Stopped { .. }) => return Ok((latents, Some(stopped.into()))),
                latent => latents.push(latent?),
            }
        }
        Ok((latents, None))
    }

    /// What a walk begins with: noise, or what is there with noise.
    fn begun(&self, canvas: Option<&Canvas>, noise: &mut Noise, path: Path) -> Result<Begun, Failure> {
        let first = self.sigmas.first().copied().unwrap_or_default();
        match canvas {
            Some(canvas) => canvas.begin((self.latent, self.is_whole()), noise, (path, first)),
            None => {
                let x = noise.first(self.latent)?.scaled(Begin::Level.factor(first));
                Ok(Begun { x, known: None, seen: None })
            }
        }
    }

    pub fn source(&self) -> Source {
        match self.job.noise.unwrap_or_default() {
            Generator::Cpu => Source::Cpu,
            Generator::Nv => Source::Nv,
        }
    }
}

/// Width and height of a picture: what is asked for, those of the one that is begun with, rounded down, or what the model was
/// made for.
fn size(
    (job, begun_with): (&Draw, Option<[usize; 2]>),
    parts: &Parts<'_>,
    config: &KlConfig,
) -> Result<[usize; 2], Failure> {
    let shrinking = config.shrinking();
    // The model halves its latents on the way, as often as it has levels.
    let multiple = shrinking.saturating_mul(parts.halvings()?);
    let size = match (job.size, begun_with) {
        (Some(size), _) => size,
        (None, Some(size)) => size.map(|side| (side - side % multiple).max(multiple)),
        (None, None) => [parts.usual_side()?.saturating_mul(shrinking); 2],
    };
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

/// Refuses numbers outside their ranges.
fn check(job: &Draw, (guidance, steps): (f32, usize)) -> Result<(), Failure> {
    within("n", job.n as f64, 1.0, MAX_PICTURES as f64)?;
    within("guidance", guidance.into(), 0.0, MAX_GUIDANCE.into())?;
    within("clip_skip", job.clip_skip.unwrap_or(1) as f64, 1.0, MAX_CLIP_SKIP as f64)?;
    within("steps", steps as f64, 1.0, MAX_STEPS as f64)?;
    within("variation strength", job.variation.map_or(0.0, |variation| variation.strength), 0.0, 1.0)
}

/// Refuses what transformers of flow matching do not see.
fn expect_flow(job: &Draw, (guidance, knowledge): (f32, Knowledge), model: &str) -> Result<(), Failure> {
    let refused = |what: &str, hint: &str| Err(Failure::new("bad_setting", format!("{model}: {what}"), hint));
    let has_negative = job.negative.as_deref().is_some_and(|negative| !negative.is_empty());
    if !job.embeddings.is_empty() {
        return refused(
            "embeddings are read by models of the kind of Stable Diffusion",
            "leave --embedding out",
        );
    }
    if job.clip_skip.is_some_and(|skip| skip > 1) {
        return refused("clip_skip: of its text encoders no layer is left out", "leave --clip-skip out");
    }
    match knowledge {
        Knowledge::OfModel if has_negative => {
            refused("it knows guidance itself, and reads no negative prompt", "leave --negative out")
        }
        Knowledge::OfNegative if has_negative && guidance == 1.0 => refused(
            "with guidance 1 it reads no negative prompt",
            "ask for --guidance 3, or leave --negative out",
        ),
        _ => Ok(()),
    }
}

/// How much is made anew: all of it where the model sees the picture anyway.
fn strength(start: &job::Start, packing: Packing) -> f64 {
    let is_whole = start.mask.is_some() || packing == Packing::Patches;
    start.strength.unwrap_or(STRENGTHS[usize::from(is_whole)])
}

/// The levels that are left of a walk when so much is made anew.
fn from_strength(sigmas: &[f32], strength: f64, counting: Counting) -> Result<Vec<f32>, Failure> {
    let left = schedule::from_strength(sigmas, strength, counting)?;
    if left.len() < 2 {
        let n_steps = sigmas.len().saturating_sub(1);
        let message = format!("strength {strength} of {n_steps} steps leaves none");
        return Err(Failure::new("bad_setting", message, "ask for more --steps, or a higher --strength"));
    }
    Ok(left.to_vec())
}
