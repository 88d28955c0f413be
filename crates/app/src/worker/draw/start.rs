//! What pictures begin as beside noise: a picture, and the mask of what is made anew.
//!
//! Noise is drawn in the order of diffusers, so that a seed gives its pictures: what an auto-encoder leaves open of the
//! picture, the noise of the walk, what it leaves open of the picture without the part that is made anew. Models that
//! walk patches (FLUX.2) take the likeliest latents, and see them beside their own.

use diffuse::denoise::{Known, Path};
use diffuse::noise::Noise;
use diffuse::pipeline::{self, Encoded, Packing};
use diffuse::raster::{Mask, Raster, Region};
use diffuse::schedule::Begin;
use diffuse::{Latent, Shape};

use super::order::Order;
use super::parts::Parts;
use super::walk::Walk;
use crate::Failure;
use crate::job::draw::{File, Fill, Masked, Part, Start};

/// Bytes for each pixel of a file while it is read and brought to its size.
pub(super) const READ_BYTES: u64 = 8;
/// The same where it is kept to put a part of it back, with numbers in between for colours from around.
const KEPT_BYTES: u64 = 80;
/// The largest deviation of a mask's edge.
const MAX_BLUR: usize = 64;

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
    /// What a part of it that was drawn becomes part of.
    frame: Option<Frame>,
}

/// A picture of which a part is drawn.
struct Frame {
    part: Part,
    picture: Raster,
    /// Of the region, as it is laid over the picture.
    mask: Raster,
    region: Region,
}

/// What is drawn: a picture and a mask, in the order's size, and what they are a part of.
struct Drawn {
    picture: Raster,
    mask: Option<Raster>,
    frame: Option<Frame>,
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
        if let Some(Part { blur, .. }) = start.part
            && blur.into_iter().any(|blur| blur > MAX_BLUR)
        {
            let message =
                format!("mask blur is {} and {}: it lies between 0 and {MAX_BLUR}", blur[0], blur[1]);
            return Err(Failure::new("bad_setting", message, "soften the edge less"));
        }
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

    /// Whether only a part is drawn, as large as a whole picture.
    pub fn is_cut_out(&self) -> bool {
        self.has_mask() && self.start.part.is_some_and(|part| part.padding.is_some())
    }

    /// Whether only a part is made anew.
    pub fn has_mask(&self) -> bool {
        self.start.mask.is_some()
    }

    /// Bytes that reading its files takes.
    pub fn bytes(&self) -> u64 {
        let pixels = self.size.map(|side| side as u64).into_iter().product::<u64>();
        let each = if self.start.part.is_some() { KEPT_BYTES } else { READ_BYTES };
        (1 + u64::from(self.has_mask())) * pixels * each
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

    /// Reads the picture and brings what of it is drawn to the order's size.
    fn drawn(&self, size: [usize; 2]) -> Result<Drawn, Failure> {
        let (picture, mask) = (of_file(&self.start.picture, Raster::read)?, self.mask()?);
        let (Some(part), Some(mask)) = (self.start.part, &mask) else {
            let mask = mask.map(|mask| mask.resized(size)).transpose()?;
            return Ok(Drawn { picture: picture.resized(size)?, mask, frame: None });
        };
        let mask = mask.softened(part.blur);
        let (picture, mask, region) = match part.padding {
            Some(padding) => {
                let region = Region::around(&mask, padding, size).ok_or_else(|| self.black())?;
                (picture, mask.cut(region)?, region)
            }
            None => (picture.resized(size)?, mask.resized(size)?, Region::whole(size)),
        };
        let (cut, drawn) = (picture.cut(region)?.resized(size)?, mask.resized(size)?);
        let cut = if part.fill == Fill::Colours { cut.filled_from_around(&drawn)? } else { cut };
        let mask = if part.padding.is_some() { mask } else { mask.brightened() };
        let frame = Frame { part, picture, mask, region };
        Ok(Drawn { picture: cut, mask: Some(drawn), frame: Some(frame) })
    }

    /// The failure of a mask that shows nothing.
    fn black(&self) -> Failure {
        let name = self.start.mask.as_ref().map_or("mask", |file| file.name.as_str());
        let message = format!("{name}: the mask shows nothing that is to be made anew");
        Failure::new("bad_setting", message, "make white what is to be drawn")
    }

    /// Reads the picture, brings it to the order's size and encodes it.
    ///
    /// # Errors
    /// What is wrong with the files, or the auto-encoder.
    pub fn canvas(self, order: &Order<'_>, parts: &Parts<'_>) -> Result<Canvas, Failure> {
        let Drawn { picture, mask: drawn, frame } = self.drawn(order.size)?;
        let encoder = parts.auto_encoder()?;
        let mask: Option<Mask> = drawn.as_ref().map(Raster::mask);
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
            mask: match (&frame, &drawn, &mask) {
                (Some(_), Some(drawn), _) => Some(drawn.latent_mask(shrinking)?),
                (_, _, mask) => mask.as_ref().map(|mask| mask.latent(shrinking)).transpose()?,
            },
            frame,
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
        let picture = self.emptied(picture, &fresh)?;
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

    /// A picture's latents with noise, or nothing, in place of what is made anew, where that is wanted.
    fn emptied(&self, picture: Latent, fresh: &Latent) -> Result<Latent, Failure> {
        let (Some(mask), Some(frame)) = (&self.mask, &self.frame) else { return Ok(picture) };
        match frame.part.fill {
            Fill::Picture | Fill::Colours => Ok(picture),
            Fill::Noise => Ok(picture.with(fresh, mask)?),
            Fill::Nothing => {
                let nothing = Latent::zeros(picture.shape())?;
                Ok(picture.with(&nothing, mask)?)
            }
        }
    }

    /// The whole picture of which a part was drawn.
    ///
    /// # Errors
    /// `Image` for pixels of another size than the order's, which is our own mistake.
    pub fn framed(&self, drawn: Raster) -> Result<Raster, Failure> {
        let Some(Frame { picture, mask, region, .. }) = &self.frame else { return Ok(drawn) };
        Ok(picture.with(&drawn.resized(region.size)?, (mask, *region))?)
    }
}

/// What is read of a file; a mistake is told with its name.
pub(super) fn of_file<T>(file: &File, read: fn(&[u8]) -> Result<T, diffuse::Error>) -> Result<T, Failure> {
    read(&file.bytes).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("{}: {}", file.name, failure.message), ..failure }
    })
}
