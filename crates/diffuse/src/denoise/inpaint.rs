//! Inpainting with any model: where the mask is 0 the picture that is known stands, at every step.
//!
//! In two ways. As web UIs do it ([`Inpaint`]): the denoised picture is mixed, so that the sampler walks towards what is
//! known. As diffusers does it ([`Renoised`]): the model is shown what is known with the noise of its level. Models that
//! were made for inpainting also see the mask (`Guided::known`).

use super::{Denoise, Path};
use crate::latent::Shape;
use crate::{Error, Latent};

/// A denoiser around a denoiser.
pub struct Inpaint<'a> {
    inner: &'a mut dyn Denoise,
    picture: Latent,
    mask: Latent,
}

impl<'a> Inpaint<'a> {
    /// Paints `picture` anew where `mask` is 1; between 0 and 1 both are mixed.
    ///
    /// # Shapes
    /// `picture`: N C Y X, or one picture for all; `mask`: 1 1 Y X.
    ///
    /// # Errors
    /// `Shape` when the mask has other rows or columns than the picture.
    pub fn new(inner: &'a mut dyn Denoise, picture: Latent, mask: Latent) -> Result<Self, Error> {
        mask.expect_shape("mask", Shape { pictures: 1, channels: 1, ..picture.shape() })?;
        Ok(Self { inner, picture, mask })
    }

    /// `x` with what is known put back: for the end of the walk too.
    ///
    /// # Errors
    /// `Shape` when `x` is of other sides than the picture.
    pub fn blend(&self, mut x: Latent) -> Result<Latent, Error> {
        blend(&mut x, &self.picture, &self.mask)?;
        Ok(x)
    }
}

impl Denoise for Inpaint<'_> {
    fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let seen = self.inner.denoise(x, sigma)?;
        self.blend(seen)
    }

    fn path(&self) -> Path {
        self.inner.path()
    }
}

/// `x` where `mask` is 1, `known` where it is 0.
fn blend(x: &mut Latent, known: &Latent, mask: &Latent) -> Result<(), Error> {
    let shape = x.shape();
    let pictures = if known.shape().pictures == 1 { 1 } else { shape.pictures };
    known.expect_shape("the picture under the mask", Shape { pictures, ..shape })?;
    let (plane, size) = (shape.rows * shape.columns, shape.per_picture());
    for (at, value) in x.data_mut().iter_mut().enumerate() {
        let (share, known) = (mask.data()[at % plane], known.data()[at % (size * pictures)]);
        *value = share * *value + (1.0 - share) * known;
    }
    Ok(())
}

/// A denoiser around a denoiser, which sees what is known with one noise at every level but the first: there it sees what the
/// walk begins with, which is noise alone where all is made anew.
pub struct Renoised<'a> {
    inner: &'a mut dyn Denoise,
    known: Known,
    has_begun: bool,
}

/// What stands while the rest is made anew.
#[derive(Clone, Debug)]
pub struct Known {
    picture: Latent,
    noise: Latent,
    mask: Latent,
}

impl Known {
    /// A picture where `mask` is 0, and the noise that it is shown with.
    ///
    /// # Shapes
    /// `picture` and `noise`: N C Y X; `mask`: 1 1 Y X.
    ///
    /// # Errors
    /// `Shape` when they do not fit.
    pub fn new(picture: Latent, noise: Latent, mask: Latent) -> Result<Self, Error> {
        noise.expect_shape("noise", picture.shape())?;
        mask.expect_shape("mask", Shape { pictures: 1, channels: 1, ..picture.shape() })?;
        Ok(Self { picture, noise, mask })
    }

    /// `x` with what is known put back: for the end of the walk.
    ///
    /// # Errors
    /// `Shape` when `x` is of other sides than the picture.
    pub fn put_back(&self, mut x: Latent) -> Result<Latent, Error> {
        blend(&mut x, &self.picture, &self.mask)?;
        Ok(x)
    }
}

impl<'a> Renoised<'a> {
    /// Paints anew what is not `known`.
    pub fn new(inner: &'a mut dyn Denoise, known: Known) -> Self {
        Self { inner, known, has_begun: false }
    }
}

impl Denoise for Renoised<'_> {
    fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return self.inner.denoise(x, sigma);
        }
        let known = self.inner.path().noised(&self.known.picture, &self.known.noise, sigma)?;
        let mut shown = x.clone();
        blend(&mut shown, &known, &self.known.mask)?;
        self.inner.denoise(&shown, sigma)
    }

    fn path(&self) -> Path {
        self.inner.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers what it is shown.
    struct Mirror;

    impl Denoise for Mirror {
        fn denoise(&mut self, x: &Latent, _: f32) -> Result<Latent, Error> {
            Ok(x.clone())
        }
    }

    #[test]
    fn what_is_known_is_shown_with_its_noise() {
        let shape = Shape::new(1, 2, 1, 2).unwrap();
        let of = |values: [f32; 4]| Latent::new(values.to_vec(), shape).unwrap();
        let mask = Latent::new(vec![0.0, 1.0], Shape { channels: 1, ..shape }).unwrap();
        let known = Known::new(of([1.0, 2.0, 3.0, 4.0]), of([0.5; 4]), mask.clone()).unwrap();
        let mut inner = Mirror;
        let mut renoised = Renoised::new(&mut inner, known.clone());
        assert_eq!(renoised.denoise(&of([9.0; 4]), 2.0).unwrap().data(), [9.0; 4]);
        assert_eq!(renoised.denoise(&of([9.0; 4]), 2.0).unwrap().data(), [2.0, 9.0, 4.0, 9.0]);
        assert_eq!(known.put_back(of([9.0; 4])).unwrap().data(), [1.0, 9.0, 3.0, 9.0]);
        let wide = Latent::zeros(Shape { columns: 3, ..shape }).unwrap();
        assert!(known.put_back(wide.clone()).is_err());
        assert!(Known::new(of([0.0; 4]), wide, mask).is_err());
    }

    struct Ones;

    impl Denoise for Ones {
        fn denoise(&mut self, x: &Latent, _: f32) -> Result<Latent, Error> {
            Latent::new(vec![1.0; x.data().len()], x.shape())
        }
    }

    #[test]
    fn what_is_known_stands() {
        let shape = Shape::new(2, 2, 1, 3).unwrap();
        let picture =
            Latent::new((0..6).map(|at| 10.0 + at as f32).collect(), Shape { pictures: 1, ..shape }).unwrap();
        let mask = Latent::new(vec![0.0, 0.5, 1.0], Shape::new(1, 1, 1, 3).unwrap()).unwrap();
        let mut inner = Ones;
        let mut inpaint = Inpaint::new(&mut inner, picture, mask).unwrap();
        let found = inpaint.denoise(&Latent::zeros(shape).unwrap(), 1.0).unwrap();
        assert_eq!(found.picture(0), [10.0, 6.0, 1.0, 13.0, 7.5, 1.0]);
        assert_eq!(found.picture(1), found.picture(0));
    }

    #[test]
    fn masks_and_pictures_that_do_not_fit_are_refused() {
        let shape = Shape::new(1, 2, 2, 3).unwrap();
        let zeros = |shape| Latent::zeros(shape).unwrap();
        let mask = Shape { channels: 1, ..shape };
        let mut inner = Ones;
        assert!(Inpaint::new(&mut inner, zeros(shape), zeros(shape)).is_err());
        let mut inpaint = Inpaint::new(&mut inner, zeros(shape), zeros(mask)).unwrap();
        assert!(inpaint.denoise(&zeros(Shape { columns: 4, ..shape }), 1.0).is_err());
    }
}
