//! Making pictures: prompts are read, noise becomes latents step by step, latents become pixels.
//!
//! A part of the model is in memory only while it computes: first the text encoders, then the U-Net, then the auto-encoder,
//! which is also there before the U-Net where a picture is made of another. The job has a share of the memory for the
//! largest of them.

pub(crate) mod files;
pub(crate) mod flow;
pub(crate) mod order;
pub(crate) mod parts;
mod reading;
mod repeat;
mod start;
mod told;
pub(crate) mod vocabulary;
pub(crate) mod walk;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use diffuse::pipeline;

use super::open::{self, Files};
use super::share::Shares;
use crate::event::draw::{Drawn, Seconds};
use crate::job::draw::Draw;
use crate::running::Reporter;
use crate::{Event, Failure};
use order::Order;
use parts::{Parts, writes};
use start::Beginning;

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
    let (job, mut notes) = repeat::filled(job, place.store)?;
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
    let parts = Parts { files: &files, device: &device };
    let beginning = job.start.as_ref().map(Beginning::read).transpose()?;
    let order = Order::new((job, beginning.as_ref()), &parts, (&source.name, place.drawn_seed))?;
    notes.extend(order.note());
    notes.into_iter().for_each(|text| reporter.tell(Event::Note { text }));
    // No two shares have one name.
    let number = N_DRAWINGS.fetch_add(1, Ordering::Relaxed) + 1;
    let name = format!("drawing {number} with {}", source.name);
    let share = place.shares.take(name, (order.most_bytes(&parts), SMALLER), reporter)?;
    let mut seconds = Seconds::default();
    let begun = Instant::now();
    let conditions = order.conditions(&parts, &device)?;
    seconds.prompts = begun.elapsed().as_secs_f64();
    let canvas = beginning.map(|beginning| beginning.canvas(&order, &parts)).transpose()?;
    let (latents, stopped) = order.latents(&parts, (&conditions, canvas.as_ref()), |drawing| {
        let done = drawing.index * drawing.n_steps + drawing.steps_done;
        share.note(done as u64, (job.n * drawing.n_steps) as u64);
        reporter.tell(Event::Drawing(drawing));
        if reporter.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    seconds.steps = begun.elapsed().as_secs_f64() - seconds.prompts;
    let encoder = parts.auto_encoder()?;
    for (index, latent) in latents.iter().enumerate() {
        let pixels = pipeline::pixels(&encoder, &order.unpacked(latent)?, (order.precision, &device))?;
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
