//! Making pictures: prompts are read, noise becomes latents step by step, latents become pixels.
//!
//! A part of the model is in memory only while it computes: first the text encoders, then the U-Net, then the auto-encoder,
//! which is also there before the U-Net where a picture is made of another. The job has a share of the memory for the
//! largest of them, and computes in turns with all others.

mod control;
pub(crate) mod embeddings;
pub(crate) mod files;
pub(crate) mod flow;
mod glass;
mod hashes;
pub(crate) mod loras;
pub(crate) mod order;
pub(crate) mod parts;
mod previewer;
mod reading;
mod repeat;
mod start;
mod told;
pub(crate) mod turns;
pub(crate) mod upscale;
pub(crate) mod vocabulary;
pub(crate) mod walk;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use diffuse::raster::Raster;
use diffuse::{Latent, pipeline, samplers};
use kernels::pool::{self, Priority};
use ops::device::Device;

use super::open::{self, Files};
use super::share::{Share, Shares};
use crate::event::draw::{Drawing, Drawn, Seconds};
use crate::job::draw::{Draw, Inside, Recipe, Unfinished};
use crate::running::Reporter;
use crate::{Event, Failure};
use control::Given;
use glass::Looker;
use hashes::{Counted, Digests};
use order::Order;
use parts::{Parts, writes};
use start::{Beginning, Canvas};
use turns::Turn;
use upscale::Enlarger;
use walk::Guides;

const SMALLER: &str = "make a smaller picture (--size), or stop what else is in memory (`hearth ps`)";

/// Drawings that were begun.
static N_DRAWINGS: AtomicU64 = AtomicU64::new(0);

/// What a job of drawing is done with.
pub(crate) struct Place<'a> {
    pub store: &'a store::Store,
    pub shares: Shares,
    pub drawn_seed: u64,
    /// Where LoRAs are looked for.
    pub home: &'a Path,
    /// Its seat among all that draw.
    pub turn: Turn,
    /// Pixels of all pictures together.
    pub most_pixels: u64,
}

/// A number that no other share's name has.
fn next_number() -> u64 {
    N_DRAWINGS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Runs one job to its last event.
pub(crate) fn run(place: &Place<'_>, job: &Draw, reporter: &Reporter) {
    reporter.finish(|| behind_answers(|| draw(place, job, reporter)));
}

/// Computes behind answers: whose words come one by one waits for each, and a picture takes what is left, a fifth at least.
fn behind_answers<R>(work: impl FnOnce() -> R) -> R {
    pool::with_priority(Priority::Batch, work)
}

fn draw(place: &Place<'_>, job: &Draw, reporter: &Reporter) -> Result<Event, Failure> {
    let (mut job, mut notes, made_of) = repeat::filled(job, place.store)?;
    let loras = loras::worn(&mut job, place.home).map_err(|failure| made_of.missing(failure))?;
    let embeddings = embeddings::open(&job.embeddings)?;
    let job = &job;
    let wanted = job.model.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(Failure::new("bad_setting", "no model is named", "name one with --model"));
    }
    let source = open::find(place.store, wanted)?;
    let Files::Folder(folder) = &source.files else {
        return Err(writes(&source.name));
    };
    let device = ops::device::cpu();
    let files = files::ImageFiles::open(folder)?.with_seer(job.transformer.as_deref())?;
    let vocabulary = vocabulary::find(place.store, job.tokenizer.as_deref(), &files)?;
    let of = vocabulary.as_ref().and_then(|found| found.of.as_deref());
    notes.extend(of.map(|of| format!("prompts are read with the vocabulary of {of}")));
    let files = files.with_vocabulary(vocabulary.map(|found| found.folder));
    let parts = Parts { files: &files, device: &device, loras: &loras, embeddings: &embeddings };
    parts.expect_loras()?;
    let beginning = job.start.as_ref().map(Beginning::open).transpose()?;
    let given = Given::all(job)?;
    let mut order = Order::new((job, beginning.as_ref()), &parts, (&source.name, place.drawn_seed))?;
    order.expect_pixels(place.most_pixels)?;
    notes.extend(order.note());
    notes.into_iter().for_each(|text| reporter.tell(Event::Note { text }));
    // No two shares have one name.
    let name = format!("drawing {} with {}", next_number(), source.name);
    let enlarger = enlarger(job, &order, &device)?;
    let bytes = bytes((&order, &parts), (&given, beginning.as_ref(), enlarger.as_ref()));
    let is_told = job.recipe == Recipe::Written || made_of.tells_files();
    order.digests = if is_told { digests(place.store, &parts)? } else { Digests::default() };
    made_of.differences(&order.digests).into_iter().for_each(|text| reporter.tell(Event::Note { text }));
    let share = place.shares.take(name, (bytes, SMALLER), reporter)?;
    place.turn.wait(|| reporter.is_cancelled());
    if reporter.is_cancelled() {
        return Err(diffuse::Error::Stopped { step: 0 }.into());
    }
    let mut seconds = Seconds::default();
    let begun = Instant::now();
    let (conditions, tokens) = order.conditions(&parts, &device)?;
    seconds.prompts = begun.elapsed().as_secs_f64();
    reporter.tell(Event::Begun(Box::new(order.beginning(conditions.n_tokens()))));
    let canvas = beginning.map(|beginning| beginning.canvas(&order, &parts)).transpose()?;
    let looker =
        (job.inside == Inside::Told).then(|| Looker::new(&order, tokens, &conditions)).transpose()?;
    let nets = control::load(&given, &order, &parts)?;
    let controls = control::controls((&given, &nets), &order, &parts)?;
    let (looks, reference) = (looker.as_ref(), canvas.as_ref().and_then(Canvas::reference));
    let guides = Guides { gaze: looks.map(Looker::gaze), controls: Some(&controls), reference };
    let mut watch = Watch { job, order: &order, place, reporter, share: &share, looks, unfinished: None };
    let with = (&conditions, canvas.as_ref(), &guides);
    let (mut latents, stopped) = order.latents(&parts, with, |drawing, step| watch.step(drawing, step))?;
    latents.extend(watch.unfinished);
    seconds.steps = begun.elapsed().as_secs_f64() - seconds.prompts;
    tell_pictures((place, &order, &parts), (&latents, canvas.as_ref(), enlarger.as_ref()), reporter)?;
    // Who stops has the pictures that were ready.
    if let Some(stopped) = stopped {
        return Err(stopped);
    }
    if let Some(looker) = looker {
        reporter.tell(Event::Glass(Box::new(looker.end(latents.first())?)));
    }
    seconds.pixels = begun.elapsed().as_secs_f64() - seconds.prompts - seconds.steps;
    Ok(Event::Drawn(Drawn { model: source.name.clone(), n_pictures: latents.len(), seconds }))
}

/// What the files are told by that pictures are made of.
fn digests(store: &store::Store, parts: &Parts<'_>) -> Result<Digests, Failure> {
    let model = parts.files.single_path().map(|path| hashes::of(store, &path, Counted::All));
    let loras = parts.loras.iter().map(|lora| lora.digest(store));
    let embeddings = parts.embeddings.iter().map(|embedding| embedding.digest(store));
    Ok(Digests {
        model: model.transpose()?,
        loras: loras.collect::<Result<_, _>>()?,
        embeddings: embeddings.collect::<Result<_, _>>()?,
    })
}

/// The network that makes an order's pictures larger, where one does.
fn enlarger<'a>(job: &'a Draw, order: &Order<'_>, device: &Device) -> Result<Option<Enlarger<'a>>, Failure> {
    let Some(name) = &job.upscaler else { return Ok(None) };
    let enlarger = Enlarger::open(name, device)?;
    enlarger.expect(order.size)?;
    Ok(Some(enlarger))
}

/// Bytes that a drawing takes at most.
fn bytes(
    (order, parts): (&Order<'_>, &Parts<'_>),
    (given, beginning, enlarger): (&[Given<'_>], Option<&Beginning<'_>>, Option<&Enlarger<'_>>),
) -> u64 {
    let beginning = beginning.map(Beginning::bytes);
    let enlarging = enlarger.map(|enlarger| enlarger.bytes(order.size));
    let worn = parts.loras.iter().map(loras::Worn::size_bytes);
    let more = given.iter().map(Given::bytes).chain(beginning).chain(enlarging).chain(worn);
    more.fold(order.most_bytes(parts), u64::saturating_add)
}

/// Makes pixels of latents, for as long as somebody listens.
fn tell_pictures(
    (place, order, parts): (&Place<'_>, &Order<'_>, &Parts<'_>),
    (latents, canvas, enlarger): (&[Latent], Option<&Canvas>, Option<&Enlarger<'_>>),
    reporter: &Reporter,
) -> Result<(), Failure> {
    if latents.is_empty() || reporter.is_alone() {
        return Ok(());
    }
    // Who has stopped gave the turn away, and wants the pictures all the same.
    place.turn.wait(|| reporter.is_alone());
    let encoder = parts.auto_encoder()?;
    for (index, latent) in latents.iter().enumerate() {
        if reporter.is_alone() {
            break;
        }
        let pixels = pipeline::pixels(&encoder, &order.unpacked(latent)?, (order.precision, parts.device))?;
        let pixels = pixels.into_iter().next().ok_or_else(Failure::internal)?;
        let drawn = Raster::new(pixels, order.size)?;
        let mut picture = match canvas {
            Some(canvas) => canvas.framed(drawn)?,
            None => drawn,
        };
        if let Some(enlarger) = enlarger {
            let is_unwanted =
                || if reporter.is_alone() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            picture =
                enlarger.enlarged(&picture, (order.precision, parts.device), &mut |_, _| is_unwanted())?;
        }
        let done = enlarger.map(Enlarger::said);
        reporter.tell(Event::Picture(order.picture(index, &picture, done.into_iter().flatten())?));
        if index + 1 < latents.len() {
            place.turn.pass(order.pixels(), || reporter.is_alone());
        }
    }
    Ok(())
}

/// What is done after each step.
struct Watch<'a> {
    job: &'a Draw,
    order: &'a Order<'a>,
    place: &'a Place<'a>,
    reporter: &'a Reporter,
    share: &'a Share,
    /// Who looks into the drawing.
    looks: Option<&'a Looker<'a>>,
    /// The picture at which somebody stopped, as far as it was, where that is wanted.
    unfinished: Option<Latent>,
}

impl Watch<'_> {
    fn step(&mut self, drawing: Drawing, step: &samplers::Step<'_>) -> ControlFlow<()> {
        let seen = step.denoised;
        let done = drawing.index * drawing.n_steps + drawing.steps_done;
        self.share.note(done as u64, (self.job.n * drawing.n_steps) as u64);
        let previews =
            self.job.previews.filter(|previews| previews.are_due(drawing.steps_done, drawing.n_steps));
        self.reporter.tell(Event::Drawing(drawing));
        // A picture that nobody saw into is a picture.
        let _ = self.looks.map(|looker| looker.step(&drawing, step));
        if previews.is_some()
            // A picture without a preview is a picture.
            && let Ok(Some(preview)) = self.order.preview(&drawing, seen)
        {
            self.reporter.tell(Event::Preview(preview));
        }
        self.place.turn.pass(self.order.pixels(), || self.reporter.is_cancelled());
        if !self.reporter.is_cancelled() {
            return ControlFlow::Continue(());
        }
        self.unfinished = (self.job.unfinished == Unfinished::Told).then(|| seen.clone());
        ControlFlow::Break(())
    }
}
