//! Pictures on their way by a tiny auto-encoder: one that a person names, or one that lies beside the model.

use diffuse::pipeline::{self, Kind, Packing};
use diffuse::raster::Raster;
use diffuse::{Latent, Shape};
use models::images::TinyDecoder;
use ops::Precision;
use ops::device::Device;

use super::files;
use super::parts::Parts;
use super::walk::Walk;
use crate::Failure;
use crate::job::draw::{Draw, Inside};
use crate::worker::folder::Folder;
use crate::worker::open::Files;

/// Folders of a model in which a tiny auto-encoder may lie.
const FOLDERS: [&str; 3] = ["vae_tiny", "tiny_vae", "taesd"];
const ENDINGS: [&str; 3] = ["safetensors", "pth", "pt"];
/// Bytes for each pixel of the picture: the widest activation, in, out and between.
const PIXEL_BYTES: u64 = 64 * 4 * 3;

/// A tiny auto-encoder.
pub(super) struct Previewer {
    decoder: TinyDecoder,
    device: Device,
}

impl Previewer {
    /// The one of a job whose pictures are seen on their way; `latents` are the channels of the model's.
    ///
    /// # Errors
    /// What is wrong with one that was named; one that only lies there is passed over then.
    pub fn of(
        job: &Draw,
        parts: &Parts<'_>,
        (walk, latents): (&Walk, usize),
    ) -> Result<Option<Self>, Failure> {
        let decoder = match &job.preview_decoder {
            Some(name) => Some(named(name, (walk, latents), parts)?),
            None if job.previews.is_some() || job.inside == Inside::Told => {
                found(parts, walk).filter(|decoder| decoder.latents() == latents)
            }
            None => None,
        };
        Ok(decoder.map(|decoder| Self { decoder, device: parts.device.clone() }))
    }

    /// The picture of latents.
    ///
    /// # Errors
    /// Latents that are too many for a picture.
    pub fn picture(&self, latent: &Latent, precision: Precision) -> Result<Raster, Failure> {
        Ok(pipeline::small(&self.decoder, latent, (precision, &self.device))?)
    }

    /// Bytes that a picture takes beside the model.
    pub fn bytes(&self, latent: Shape) -> u64 {
        let side = self.decoder.scale() as u64;
        let latents = (latent.rows as u64).saturating_mul(latent.columns as u64);
        latents.saturating_mul(side * side).saturating_mul(PIXEL_BYTES)
    }
}

const HINT: &str = "name a file or folder of TAESD, or of a tiny auto-encoder as diffusers writes it";

/// The one that a person names.
fn named(name: &str, (walk, latents): (&Walk, usize), parts: &Parts<'_>) -> Result<TinyDecoder, Failure> {
    if walk.packing() == Packing::Patches {
        let message = format!("{}: its latents are no tiny auto-encoder's yet", parts.files.label());
        return Err(Failure::new("bad_setting", message, "leave --preview-decoder out"));
    }
    let none = || Failure::new("unknown_family", format!("{name}: it holds no tiny auto-encoder"), HINT);
    let Files::Folder(folder) = Files::at(files::named(name, HINT)?)? else { return Err(none()) };
    let decoder = TinyDecoder::load(&folder.tensors()?, parts.device).map_err(|error| match error {
        models::Error::MissingTensor { .. } => none(),
        other => other.into(),
    })?;
    if decoder.latents() == latents {
        return Ok(decoder);
    }
    let message = format!(
        "{name}: this tiny auto-encoder reads latents of {} channels, and those of {} have {latents}",
        decoder.latents(),
        parts.files.label()
    );
    Err(Failure::new("wrong_base", message, "take the one for this model, or leave --preview-decoder out"))
}

/// The one that lies beside the model.
fn found(parts: &Parts<'_>, walk: &Walk) -> Option<TinyDecoder> {
    let folder = parts.files.folder();
    let stems: &[&str] = match (walk, walk.packing()) {
        (Walk::Noise(Kind::Stable, _), _) => &["taesd_decoder", "taesd"],
        (Walk::Noise(..), _) => &["taesdxl_decoder", "taesdxl"],
        (Walk::Flow(_), Packing::None) => &["taef1_decoder", "taef1"],
        (Walk::Flow(_), Packing::Patches) => return None,
    };
    let files = stems.iter().flat_map(|stem| ENDINGS.map(|ending| format!("{stem}.{ending}")));
    let files = files.filter_map(|name| Some(Folder::around(&folder.path(&name)?)));
    let folders = FOLDERS.into_iter().map(|name| folder.part(name));
    folders.chain(files).find_map(|folder| TinyDecoder::load(&folder.tensors().ok()?, parts.device).ok())
}
