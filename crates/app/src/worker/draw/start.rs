//! What pictures begin as beside noise: a picture, and the mask of what is made anew.
//!
//! Noise is drawn in the order of diffusers, so that a seed gives its pictures: what an auto-encoder leaves open of the
//! picture, the noise of the walk, what it leaves open of the picture without the part that is made anew. Models that
//! walk patches (FLUX.2) take the likeliest latents, and see them beside their own.

use diffuse::denoise::{Known, Path};
use diffuse::noise::Noise;
use diffuse::pipeline::{self, Encoded, Packing};
use diffuse::raster::{Mask, Raster};
use diffuse::schedule::Begin;
use diffuse::{Latent, Shape};

use super::order::Order;
use super::parts::Parts;
use super::walk::Walk;
use crate::Failure;
use crate::job::draw::{File, Masked, Start};

/// Bytes for each pixel of a file while it is read and brought to its size.
pub(super) const READ_BYTES: u64 = 8;

/// A picture to begin with, as it was given: its pixels are read when there is memory for them.
pub(super) struct Beginning<'a> {
    start: &'a Start,
    /// Width and height, of its mask too.
    size: [usize; 2],
}

/// What an auto-encoder made of it.
pub(super) struct Canvas {
    picture: Picture,
    mask: Option<Latent>,
    /// The picture without what is made anew, for models that see it.
    left: Option<Encoded>,
}

enum Picture {
    /// Noise chooses its latents.
    Open(Encoded),
    /// The likeliest latents, and the same as they are walked; the model sees them beside its own.
    Seen { latents: Latent, walked: Latent },
}

/// What a walk begins with.
pub(super) struct Begun {
    /// The latents, with the noise of the first level.
    pub x: Latent,
    /// What stands all the way.
    pub known: Option<Known>,
    /// Channels that the model sees beside the latents.
    pub seen: Option<Latent>,
}

impl<'a> Beginning<'a> {
    /// Looks at the beginnings of the files.
    ///
    /// # Errors
    /// Files that are no pictures, or too large, and a mask of another size than its picture.
    pub fn open(start: &'a Start) -> Result<Self, Failure> {
        let size = of_file(&start.picture, Raster::size_of)?;
        if let Some(file) = &start.mask {
            let of_mask = of_file(file, Raster::size_of)?;
            if of_mask == size {
                return Ok(Self { start, size });
            }
            let ([width, height], [columns, rows]) = (of_mask, size);
            let message = format!(
                "{}: the mask has {width} x {height} pixels, the picture {} {columns} x {rows}",
                file.name, start.picture.name
            );
            return Err(Failure::new("bad_setting", message, "give a mask of the picture's size"));
        }
        Ok(Self { start, size })
    }

    /// Width and height.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Whether only a part is made anew.
    pub fn has_mask(&self) -> bool {
        self.start.mask.is_some()
    }

    /// Bytes that reading its files takes.
    pub fn bytes(&self) -> u64 {
        let pixels = self.size.map(|side| side as u64).into_iter().product::<u64>();
        (1 + u64::from(self.has_mask())) * pixels * READ_BYTES
    }

    /// The mask, white where something is made anew.
    fn mask(&self) -> Result<Option<Raster>, Failure> {
        let read = |file| match self.start.masked {
            Masked::White => of_file(file, Raster::read),
            Masked::Black => of_file(file, Raster::read).map(Raster::inverted),
            Masked::Clear => of_file(file, Raster::read_clear),
        };
        self.start.mask.as_ref().map(read).transpose()
    }

    /// Reads the picture, brings it to the order's size and encodes it.
    ///
    /// # Errors
    /// What is wrong with the files, or the auto-encoder.
    pub fn canvas(self, order: &Order<'_>, parts: &Parts<'_>) -> Result<Canvas, Failure> {
        let picture = of_file(&self.start.picture, Raster::read)?.resized(order.size)?;
        let mask = self.mask()?.map(|mask| mask.resized(order.size)).transpose()?;
        let encoder = parts.auto_encoder()?;
        let mask: Option<Mask> = mask.as_ref().map(Raster::mask);
        let how = (order.precision, parts.device);
        let of_unet = matches!(order.walk, Walk::Noise(..));
        let is_filling = mask.is_some() && of_unet && parts.is_filling(order.latent.channels)?;
        let left = is_filling.then(|| pipeline::encoded(&encoder, (&picture, mask.as_ref()), how));
        let (packing, encoded) = (order.walk.packing(), pipeline::encoded(&encoder, (&picture, None), how)?);
        let shrinking = encoder.config().shrinking() * packing.side();
        Ok(Canvas {
            picture: match packing {
                Packing::None => Picture::Open(encoded),
                Packing::Patches => {
                    let latents = encoded.mean().clone();
                    Picture::Seen { walked: packing.packed(&latents)?, latents }
                }
            },
            left: left.transpose()?,
            mask: mask.map(|mask| mask.latent(shrinking)).transpose()?,
        })
    }
}

impl Canvas {
    /// What models see beside their own latents that were trained so.
    pub fn reference(&self) -> Option<&Latent> {
        match &self.picture {
            Picture::Open(_) => None,
            Picture::Seen { latents, .. } => Some(latents),
        }
    }

    /// What one picture's walk begins with; `is_whole` where nothing of the picture shows through its noise.
    ///
    /// # Errors
    /// `Shape` when a part does not fit, which is our own mistake.
    pub fn begin(
        &self,
        (shape, is_whole): (Shape, bool),
        noise: &mut Noise,
        (path, sigma): (Path, f32),
    ) -> Result<Begun, Failure> {
        // A model that sees what is left needs the picture only where it shows through.
        let is_unused = self.left.is_some() && is_whole;
        let picture = match &self.picture {
            _ if is_unused => Latent::zeros(shape)?,
            Picture::Open(encoded) => encoded.sample(&noise.next(shape)?)?,
            Picture::Seen { walked, .. } => walked.clone(),
        };
        let fresh = noise.first(shape)?;
        let x = match self.mask.is_some() && is_whole {
            true => fresh.clone().scaled(Begin::Level.factor(sigma)),
            false => path.noised(&picture, &fresh, sigma)?,
        };
        let Some(mask) = &self.mask else { return Ok(Begun { x, known: None, seen: None }) };
        // Drawn for every mask, so that samplers that add noise go on with the same numbers.
        let open = noise.next(shape)?;
        match &self.left {
            Some(left) => Ok(Begun { x, known: None, seen: Some(mask.beside(&left.sample(&open)?)?) }),
            None => Ok(Begun { x, known: Some(Known::new(picture, fresh, mask.clone())?), seen: None }),
        }
    }
}

/// What is read of a file; a mistake is told with its name.
pub(super) fn of_file<T>(file: &File, read: fn(&[u8]) -> Result<T, diffuse::Error>) -> Result<T, Failure> {
    read(&file.bytes).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("{}: {}", file.name, failure.message), ..failure }
    })
}
