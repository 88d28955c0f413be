//! Pictures made larger by a network: those that were drawn, and those of a file.

use std::ops::ControlFlow;
use std::time::Instant;

use diffuse::pipeline::{Tiling, enlarged};
use diffuse::raster::{MAX_PIXELS, MAX_SIDE, Raster};
use diffuse::recipe::{Recipe, picture};
use models::images::upscaler::Upscaler;
use ops::Precision;
use ops::device::Device;

use super::files::named;
use super::start::{READ_BYTES, of_file};
use super::{Place, SMALLER, behind_answers, repeat};
use crate::event::draw::{Drawing, Drawn, Picture, Seconds};
use crate::job::draw as job;
use crate::job::upscale::Upscale;
use crate::running::Reporter;
use crate::worker::open::Files;
use crate::{Event, Failure};

/// What web UIs call what made a picture larger, and by how much.
const NAMES: [&str; 2] = ["Postprocess upscaler", "Postprocess upscale by"];

/// A network that makes pictures larger.
pub(super) struct Enlarger<'a> {
    name: &'a str,
    model: Upscaler,
    size_bytes: u64,
}

/// How exactly is computed, and where.
pub(super) type How<'a> = (Precision, &'a Device);

impl<'a> Enlarger<'a> {
    /// The network of a file, or of a folder with one.
    ///
    /// # Errors
    /// What is wrong with its files.
    pub fn open(name: &'a str, device: &Device) -> Result<Self, Failure> {
        let no_network = |why: &str| {
            let message = format!("{name}: it holds no network of the kind of ESRGAN{why}");
            Failure::new("unknown_family", message, HINT)
        };
        let Files::Folder(folder) = Files::at(named(name, HINT)?)? else { return Err(no_network("")) };
        let tensors = folder.tensors()?;
        let model = Upscaler::load(&tensors, device).map_err(|error| match error {
            models::Error::MissingTensor { name, .. } => no_network(&format!(": there is no {name}")),
            other => other.into(),
        })?;
        Ok(Self { name, model, size_bytes: folder.size_bytes() })
    }

    /// Bytes that it takes for a picture of this size: its weights, a tile, and what comes out.
    pub fn bytes(&self, size: [usize; 2]) -> u64 {
        let pixels = size.map(|side| side as u64).into_iter().fold(1, u64::saturating_mul);
        let scale = self.model.scale() as u64;
        let out = pixels.saturating_mul(scale * scale).saturating_mul(READ_BYTES);
        self.size_bytes
            .saturating_add(self.model.bytes(pixels.min(Tiling::USUAL.pixels())))
            .saturating_add(out)
    }

    /// Refuses pictures that would become too large.
    ///
    /// # Errors
    /// `bad_setting`.
    pub fn expect(&self, size: [usize; 2]) -> Result<(), Failure> {
        let large = size.map(|side| side.saturating_mul(self.model.scale()));
        if large.iter().all(|side| *side <= MAX_SIDE) && large[0].saturating_mul(large[1]) <= MAX_PIXELS {
            return Ok(());
        }
        let message = format!(
            "{}: {} x {} pixels would become {} x {}, and a picture has at most {MAX_PIXELS}",
            self.name, size[0], size[1], large[0], large[1]
        );
        Err(Failure::new(
            "bad_setting",
            message,
            "take a smaller picture, or a network that makes it less larger",
        ))
    }

    /// A picture made larger; `watch` is told the tiles that are done, and all of them.
    ///
    /// # Errors
    /// `stopped` when the watcher says so.
    pub fn enlarged(
        &self,
        picture: &Raster,
        how: How<'_>,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Raster, Failure> {
        Ok(enlarged((&self.model, Tiling::USUAL), picture, how, watch)?)
    }

    /// What a picture's file says of it, as web UIs do.
    pub fn said(&self) -> [(String, String); 2] {
        let said = [repeat::shown(self.name).to_owned(), self.model.scale().to_string()];
        let [name, scale] = NAMES.map(str::to_owned);
        let [of_name, of_scale] = said;
        [(name, of_name), (scale, of_scale)]
    }
}

const HINT: &str = "name a .safetensors or .pth file of ESRGAN or Real-ESRGAN";

/// Makes the picture of a file larger, to the job's last event.
pub(crate) fn run(place: &Place<'_>, job: &Upscale, reporter: &Reporter) {
    reporter.finish(|| behind_answers(|| upscale(place, job, reporter)));
}

fn upscale(place: &Place<'_>, job: &Upscale, reporter: &Reporter) -> Result<Event, Failure> {
    let device = ops::device::cpu();
    let size = of_file(&job.picture, Raster::size_of)?;
    let enlarger = Enlarger::open(&job.model, &device)?;
    enlarger.expect(size)?;
    let pixels = size.map(|side| side as u64).into_iter().product::<u64>();
    let bytes = enlarger.bytes(size).saturating_add(pixels.saturating_mul(READ_BYTES));
    let name = format!("upscaling {} with {}", super::next_number(), enlarger.name);
    let _share = place.shares.take(name, (bytes, SMALLER), reporter)?;
    place.turn.wait(|| reporter.is_cancelled());
    if reporter.is_cancelled() {
        return Err(diffuse::Error::Stopped { step: 0 }.into());
    }
    let begun = Instant::now();
    let raster = of_file(&job.picture, Raster::read)?;
    let precision = match job.precision.unwrap_or_default() {
        job::Precision::Bf16 => Precision::Bf16,
        job::Precision::F32 => Precision::F32,
    };
    let mut last = Instant::now();
    let mut watch = |steps_done, n_steps| {
        let step_seconds = last.elapsed().as_secs_f64();
        reporter.tell(Event::Drawing(Drawing { index: 0, steps_done, n_steps, step_seconds }));
        place.turn.pass(Tiling::USUAL.pixels(), || reporter.is_cancelled());
        last = Instant::now();
        if reporter.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let large = enlarger.enlarged(&raster, (precision, &device), &mut watch)?;
    reporter.tell(Event::Picture(told(job, &enlarger, &large)?));
    let seconds = Seconds { pixels: begun.elapsed().as_secs_f64(), ..Seconds::default() };
    Ok(Event::Drawn(Drawn { model: repeat::shown(&job.model).to_owned(), n_pictures: 1, seconds }))
}

/// The file of a picture, which still says how it was made where it did.
fn told(job: &Upscale, enlarger: &Enlarger<'_>, large: &Raster) -> Result<Picture, Failure> {
    // Of a JPEG, or a file of others, nothing is known.
    let recipe = picture::read(&job.picture.bytes).ok().flatten().map(|mut recipe: Recipe| {
        recipe.other.retain(|(name, _)| !NAMES.contains(&name.as_str()));
        recipe.other.extend(enlarger.said());
        recipe
    });
    let size = large.size();
    let written = recipe.as_ref().filter(|_| job.recipe == job::Recipe::Written);
    let png = picture::write(large.data(), (size[0] as u32, size[1] as u32), written)?;
    let seed = recipe.as_ref().and_then(|recipe| recipe.seed).unwrap_or_default();
    let parameters = recipe.map(|recipe| recipe.to_text()).unwrap_or_default();
    Ok(Picture { index: 0, seed, size, png, parameters })
}
