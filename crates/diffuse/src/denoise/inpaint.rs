//! Inpainting with any model: where the mask is 0 the picture that is known stands, at every step.
//!
//! As web UIs do it: the denoised picture is mixed, so that the sampler walks towards what is known. Models that were
//! made for inpainting also see the mask (`Guided::known`).

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
        let shape = x.shape();
        let pictures = if self.picture.shape().pictures == 1 { 1 } else { shape.pictures };
        self.picture.expect_shape("the picture under the mask", Shape { pictures, ..shape })?;
        let (plane, size) = (shape.rows * shape.columns, shape.per_picture());
        for (at, value) in x.data_mut().iter_mut().enumerate() {
            let known = self.picture.data()[at % (size * pictures)];
            let share = self.mask.data()[at % plane];
            *value = share * *value + (1.0 - share) * known;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
