//! What is diffused: pictures in the model's own space, as plain numbers on the host.
//!
//! Latents are small (a picture of 1024² in four channels is 64 KB), so samplers compute on slices in one order, and a
//! seed gives the same bits on every device and with any number of threads.

use crate::Error;
use std::fmt;

/// The largest number of values in a latent: half a gigabyte.
pub const MAX_VALUES: usize = 1 << 27;

/// The sides of a latent: N C Y X.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// N: pictures that are made together.
    pub pictures: usize,
    /// C: channels.
    pub channels: usize,
    /// Y: rows.
    pub rows: usize,
    /// X: columns.
    pub columns: usize,
}

impl Shape {
    /// The shape N C Y X.
    ///
    /// # Errors
    /// `TooLarge` above [`MAX_VALUES`].
    pub fn new(pictures: usize, channels: usize, rows: usize, columns: usize) -> Result<Self, Error> {
        let sides = [pictures, channels, rows, columns];
        let values = sides.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        match values {
            Some(values) if values <= MAX_VALUES => Ok(Self { pictures, channels, rows, columns }),
            _ => Err(Error::TooLarge { pictures, channels, rows, columns, limit: MAX_VALUES }),
        }
    }

    /// Values in all pictures.
    pub fn elements(&self) -> usize {
        self.pictures * self.per_picture()
    }

    /// Values in one picture.
    pub fn per_picture(&self) -> usize {
        self.channels * self.rows * self.columns
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}, {}, {}]", self.pictures, self.channels, self.rows, self.columns)
    }
}

/// Pictures in a model's own space.
///
/// # Shapes
/// `data`: N C Y X, the last side nearest, as PyTorch lays them out; so noise from a seed lands where users expect it.
#[derive(Clone, Debug, PartialEq)]
pub struct Latent {
    data: Vec<f32>,
    shape: Shape,
}

impl Latent {
    /// A latent of these values.
    ///
    /// # Errors
    /// `Length` when their number is not the shape's, `TooLarge` above [`MAX_VALUES`].
    pub fn new(data: Vec<f32>, shape: Shape) -> Result<Self, Error> {
        let shape = Shape::new(shape.pictures, shape.channels, shape.rows, shape.columns)?;
        if data.len() != shape.elements() {
            return Err(Error::Length { shape, found: data.len() });
        }
        Ok(Self { data, shape })
    }

    /// A latent of zeros.
    ///
    /// # Errors
    /// `TooLarge` above [`MAX_VALUES`].
    pub fn zeros(shape: Shape) -> Result<Self, Error> {
        let shape = Shape::new(shape.pictures, shape.channels, shape.rows, shape.columns)?;
        Ok(Self { data: vec![0.0; shape.elements()], shape })
    }

    /// N C Y X.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The values, N C Y X.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values, to be changed.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The values, without the latent around them.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// One picture's values (C Y X); empty when there is no such picture.
    pub fn picture(&self, picture: usize) -> &[f32] {
        let size = self.shape.per_picture();
        self.data.get(picture * size..(picture + 1) * size).unwrap_or(&[])
    }

    /// Every value times `factor`.
    pub fn scaled(mut self, factor: f32) -> Self {
        self.data.iter_mut().for_each(|value| *value *= factor);
        self
    }

    /// The pictures of both, one list after the other.
    ///
    /// # Errors
    /// `Shape` when their pictures have different sides, `TooLarge` above [`MAX_VALUES`].
    pub fn stacked(&self, other: &Self) -> Result<Self, Error> {
        let expected = Shape { pictures: other.shape.pictures, ..self.shape };
        other.expect_shape("a second list of pictures", expected)?;
        let shape = Shape { pictures: self.shape.pictures + other.shape.pictures, ..self.shape };
        Self::new([self.data.as_slice(), other.data.as_slice()].concat(), shape)
    }

    /// The same with the numbers of `other` where `mask`, of one channel of one picture, is 1.
    ///
    /// # Errors
    /// `Shape` when the shapes do not fit.
    pub fn with(mut self, other: &Self, mask: &Self) -> Result<Self, Error> {
        other.expect_shape("what stands instead", self.shape)?;
        mask.expect_shape("a mask", Shape { pictures: 1, channels: 1, ..self.shape })?;
        let plane = mask.data.len();
        for (at, (value, other)) in self.data.iter_mut().zip(&other.data).enumerate() {
            let share = mask.data[at % plane];
            *value = *value * (1.0 - share) + other * share;
        }
        Ok(self)
    }

    /// The channels of both, picture by picture; `other` may be one picture for all.
    ///
    /// # Errors
    /// `Shape` when their pictures have other rows or columns, `TooLarge` above [`MAX_VALUES`].
    pub fn beside(&self, other: &Self) -> Result<Self, Error> {
        let (shape, extra) = (self.shape, other.shape);
        let pictures = if extra.pictures == 1 { 1 } else { shape.pictures };
        other.expect_shape("known channels", Shape { pictures, channels: extra.channels, ..shape })?;
        let channels = shape.channels + extra.channels;
        let wide = Shape::new(shape.pictures, channels, shape.rows, shape.columns)?;
        let both = |picture| [self.picture(picture), other.picture(picture % pictures)].concat();
        Self::new((0..shape.pictures).flat_map(both).collect(), wide)
    }

    /// Says that the shape is wrong, and of what.
    pub(crate) fn expect_shape(&self, what: &'static str, expected: Shape) -> Result<(), Error> {
        if self.shape == expected { Ok(()) } else { Err(Error::Shape { what, found: self.shape, expected }) }
    }
}

/// The sum of latents of one shape, each times its factor: first to last, in f32.
///
/// Callers have checked the shapes; what is beyond the shortest is left out.
pub(crate) fn sum(terms: &[(f64, &Latent)]) -> Latent {
    let Some(((first, latent), rest)) = terms.split_first() else {
        unreachable!("a sum has at least one term");
    };
    let mut total = (*latent).clone().scaled(*first as f32);
    for (factor, latent) in rest {
        let factor = *factor as f32;
        total.data.iter_mut().zip(&latent.data).for_each(|(value, add)| *value += factor * add);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_bounded_before_memory_is_taken() {
        for sides in [[1 << 28, 1, 1, 1], [usize::MAX, 2, 3, 4], [1 << 20, 1 << 20, 1 << 20, 1 << 20]] {
            let found = Shape::new(sides[0], sides[1], sides[2], sides[3]);
            assert!(matches!(found, Err(Error::TooLarge { .. })), "{sides:?}");
        }
        let shape = Shape::new(2, 4, 8, 8).unwrap();
        assert_eq!((shape.elements(), shape.per_picture()), (512, 256));
        assert_eq!(Latent::new(vec![0.0; 3], shape), Err(Error::Length { shape, found: 3 }));
    }

    #[test]
    fn a_sum_is_weighted_and_pictures_stack() {
        let shape = Shape::new(1, 1, 1, 2).unwrap();
        let (a, b) =
            (Latent::new(vec![1.0, 2.0], shape).unwrap(), Latent::new(vec![10.0, 20.0], shape).unwrap());
        assert_eq!(sum(&[(2.0, &a), (0.5, &b)]).data(), [7.0, 14.0]);
        let both = a.stacked(&b).unwrap();
        assert_eq!((both.shape().pictures, both.picture(1)), (2, b.data()));
        assert_eq!(both.picture(2), [0.0; 0]);
    }
}
