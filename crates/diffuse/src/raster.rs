//! Pictures as pixels: read out of PNG and JPEG files, brought to a size, and masks made of them.
//!
//! A picture's sides are looked at before memory is taken for its pixels. Transparency is left out, sixteen bits become
//! eight, grey becomes three equal colours, and a JPEG is turned as its camera says. Does not: read files, know colour profiles.

mod part;
mod read;
mod resize;
mod turn;

use crate::{Error, Latent, Shape};
pub use part::Region;

/// The longest side and the most pixels of a picture that is read.
pub const MAX_SIDE: usize = 1 << 14;
/// So too: more than the cameras of most telephones take.
pub const MAX_PIXELS: usize = 1 << 26;
/// The longest file.
pub const MAX_FILE_BYTES: usize = 64 << 20;

/// From this grey on a mask's pixel is made anew: half, rounded up, as diffusers has it.
const WHITE: u8 = 128;
const COLOURS: usize = 3;

/// A picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Raster {
    /// Y X 3: red, green and blue in eight bits.
    data: Vec<u8>,
    /// Width and height.
    size: [usize; 2],
}

impl std::fmt::Debug for Raster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Raster({} x {})", self.size[0], self.size[1])
    }
}

impl Raster {
    /// The picture in a PNG or JPEG file.
    ///
    /// # Errors
    /// `Image` for other files, damaged ones, and those above [`MAX_FILE_BYTES`], [`MAX_SIDE`] or [`MAX_PIXELS`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Error::Image(format!("{} bytes are more than {MAX_FILE_BYTES}", bytes.len())));
        }
        read::read(bytes)
    }

    /// Width and height of the picture in such a file, of which only the beginning is looked at.
    ///
    /// # Errors
    /// So too, as far as the beginning shows it.
    pub fn size_of(bytes: &[u8]) -> Result<[usize; 2], Error> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Error::Image(format!("{} bytes are more than {MAX_FILE_BYTES}", bytes.len())));
        }
        read::size(bytes)
    }

    /// How transparent a PNG file is: white where nothing of it is seen, black where all is.
    ///
    /// # Errors
    /// `Image` as of [`Raster::read`], and for files that tell of no transparency.
    pub fn read_clear(bytes: &[u8]) -> Result<Self, Error> {
        Self::size_of(bytes)?;
        read::clear(bytes)
    }

    /// A picture of these pixels, Y X 3, if there are as many as its size says.
    pub(crate) fn of(data: Vec<u8>, size: [usize; 2]) -> Option<Self> {
        (data.len() == size[0] * size[1] * COLOURS).then_some(Self { data, size })
    }

    /// A picture of these pixels.
    ///
    /// # Shapes
    /// `data`: Y X 3.
    ///
    /// # Errors
    /// `Image` for a size of nothing, or another than the pixels have.
    pub fn new(data: Vec<u8>, size: [usize; 2]) -> Result<Self, Error> {
        expect_size(size)?;
        let n = data.len();
        Self::of(data, size)
            .ok_or_else(|| Error::Image(format!("{n} bytes are no picture of {} x {}", size[0], size[1])))
    }

    /// The same with white for black and black for white.
    #[must_use]
    pub fn inverted(mut self) -> Self {
        self.data.iter_mut().for_each(|colour| *colour = !*colour);
        self
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Red, green and blue.
    ///
    /// # Shapes
    /// Y X 3.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The same picture in another size, as Pillow's Lanczos filter makes it.
    ///
    /// # Errors
    /// `Image` for a size of nothing, or above [`MAX_SIDE`] or [`MAX_PIXELS`].
    pub fn resized(&self, size: [usize; 2]) -> Result<Self, Error> {
        expect_size(size)?;
        if size == self.size {
            return Ok(self.clone());
        }
        Ok(Self { data: resize::resized(&self.data, (self.size, size), resize::LANCZOS), size })
    }

    /// The colours as auto-encoders read them, from -1 to 1.
    ///
    /// # Shapes
    /// Y X 3.
    pub fn colours(&self) -> Vec<f32> {
        self.data.iter().map(|byte| f32::from(*byte) / 255.0 * 2.0 - 1.0).collect()
    }

    /// What is white in the picture; grey counts as white from half on.
    pub fn mask(&self) -> Mask {
        let is_new = self.data.chunks_exact(COLOURS).map(|pixel| grey(pixel) >= WHITE).collect();
        Mask { is_new, size: self.size }
    }
}

/// How bright a pixel is. Source: ITU-R BT.601, in the sixteen bits of Pillow.
fn grey(pixel: &[u8]) -> u8 {
    let weights = [19_595u32, 38_470, 7_471];
    let sum: u32 = pixel.iter().zip(weights).map(|(colour, weight)| u32::from(*colour) * weight).sum();
    ((sum + (1 << 15)) >> 16) as u8
}

/// Which pixels of a picture are made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    is_new: Vec<bool>,
    size: [usize; 2],
}

impl Mask {
    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Whether each pixel is made anew.
    ///
    /// # Shapes
    /// Y X.
    pub fn is_new(&self) -> &[bool] {
        &self.is_new
    }

    /// The mask of latents: 1 where the first pixel below one is made anew, else 0.
    ///
    /// # Shapes
    /// → 1 1 y x, with `shrinking` times fewer rows and columns.
    ///
    /// # Errors
    /// `Image` when a side is no multiple of `shrinking`.
    pub fn latent(&self, shrinking: usize) -> Result<Latent, Error> {
        expect_multiple(self.size, shrinking)?;
        let [width, height] = self.size;
        let rows = (0..height).step_by(shrinking);
        let places =
            rows.flat_map(|row| (0..width).step_by(shrinking).map(move |column| row * width + column));
        let values = places.map(|at| f32::from(u8::from(self.is_new[at]))).collect();
        Latent::new(values, Shape::new(1, 1, height / shrinking, width / shrinking)?)
    }
}

/// Refuses sides that are no multiples.
pub(crate) fn expect_multiple([width, height]: [usize; 2], multiple: usize) -> Result<(), Error> {
    if multiple > 0 && width.is_multiple_of(multiple) && height.is_multiple_of(multiple) {
        return Ok(());
    }
    Err(Error::Image(format!("{width} x {height} pixels: its sides are multiples of {multiple}")))
}

/// Refuses sizes before memory is taken.
pub(crate) fn expect_size([width, height]: [usize; 2]) -> Result<(), Error> {
    let fits = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
    if fits && width * height <= MAX_PIXELS {
        return Ok(());
    }
    Err(Error::Image(format!(
        "{width} x {height} pixels: a side has 1 to {MAX_SIDE}, both together at most {MAX_PIXELS}"
    )))
}
