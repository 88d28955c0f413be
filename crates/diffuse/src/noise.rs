//! The random numbers of pictures: the generators that users know, so that a seed gives here what it gives elsewhere.
//!
//! "CPU" is PyTorch's own generator, "NV" what web UIs compute in NVIDIA's way on any machine. Each picture has its
//! own generator, so a picture is the same alone and among others. Everything is computed on the host in one order.
//! Not for anything but pictures: `base::Rng` is Hearth's own generator.

mod brownian;
mod cephes;
mod mersenne;
mod philox;

use crate::Error;
use crate::latent::{Latent, Shape};
use mersenne::Mersenne;
use philox::Philox;
use std::str::FromStr;

pub use brownian::Path;

/// The largest number of pictures that are made together.
pub const MAX_PICTURES: usize = 1024;

/// Where random numbers come from; the names are those of the setting "RNG" in web UIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// `CPU`: `torch.Generator("cpu")`, as on a machine with AVX2; others of PyTorch's builds differ in the last bit.
    #[default]
    Cpu,
    /// `NV`: as a picture made on one of NVIDIA's cards.
    Nv,
}

impl Source {
    /// The name in parameters texts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Nv => "NV",
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// `CPU`, `NV`, and `GPU`, which web UIs write for pictures made on a card.
    fn from_str(name: &str) -> Result<Self, Error> {
        match name.to_ascii_uppercase().as_str() {
            "CPU" => Ok(Self::Cpu),
            "NV" | "GPU" => Ok(Self::Nv),
            _ => Err(Error::Unknown {
                kind: "source of noise",
                name: name.to_owned(),
                known: "CPU, NV".to_owned(),
            }),
        }
    }
}

/// How far a picture's noise goes towards that of a second seed ("variation seed", "subseed").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variation {
    /// The seed that is approached.
    pub seed: u64,
    /// From 0, the picture of the first seed, to 1, that of the second.
    pub strength: f32,
}

/// What a sampler does with the noise that it may add; `Default` is what users have without saying anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The share of each step's noise that is fresh; `None` leaves it to the sampler (1 where its name ends in `a` or
    /// says SDE, 0 for DDIM).
    pub eta: Option<f64>,
    /// Fresh noise times this (`s_noise`).
    pub scale: f64,
    /// How much noise Euler and Heun add before each step (`s_churn`), over the whole walk.
    pub churn: f64,
    /// Noise levels at which `churn` is added (`s_tmin`, `s_tmax`).
    pub churn_between: (f32, f32),
    /// What the SDE samplers draw from.
    pub steps: Steps,
}

impl Default for Settings {
    fn default() -> Self {
        let churn_between = (0.0, f32::INFINITY);
        Self { eta: None, scale: 1.0, churn: 0.0, churn_between, steps: Steps::default() }
    }
}

/// What the noise of an SDE sampler's steps is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    /// One path through all noise levels that follows from the seed, as in k-diffusion and web UIs: with twice the
    /// steps it is the same path, looked at more often.
    #[default]
    Path,
    /// Numbers of their own for each step, as in diffusers.
    Independent,
}

/// The generators of the pictures that are made together.
#[derive(Clone, Debug)]
pub struct Noise {
    source: Source,
    seeds: Vec<u64>,
    variation: Option<Variation>,
    generators: Vec<Generator>,
    /// What samplers do with it.
    pub settings: Settings,
}

impl Noise {
    /// Generators for `n_pictures`: the first has `seed`, the next `seed + 1` and so on. With a variation all have
    /// `seed`, and the variation's seeds go up.
    ///
    /// # Errors
    /// `Range` for more than [`MAX_PICTURES`]: each has its generator.
    pub fn new(
        source: Source,
        seed: u64,
        n_pictures: usize,
        variation: Option<Variation>,
    ) -> Result<Self, Error> {
        if n_pictures > MAX_PICTURES {
            let value = n_pictures as f64;
            return Err(Error::Range { name: "the number of pictures", value, range: "0..1024" });
        }
        let varies = variation.is_some_and(|variation| variation.strength != 0.0);
        let seed_of = |picture: usize| if varies { seed } else { seed.wrapping_add(picture as u64) };
        let seeds: Vec<u64> = (0..n_pictures).map(seed_of).collect();
        let generators = seeds.iter().map(|seed| Generator::new(source, *seed)).collect();
        let variation = variation.filter(|_| varies);
        Ok(Self { source, seeds, variation, generators, settings: Settings::default() })
    }

    /// The seed of each picture.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The noise that pictures begin as: standard normal, mixed with the variation's.
    ///
    /// # Errors
    /// `Shape` when there are more or fewer pictures than seeds.
    pub fn first(&mut self, shape: Shape) -> Result<Latent, Error> {
        let mut noise = self.next(shape)?;
        let Some(variation) = self.variation else { return Ok(noise) };
        let size = shape.per_picture();
        let mut other = vec![0.0; size];
        for (picture, values) in noise.data_mut().chunks_exact_mut(size.max(1)).enumerate() {
            let seed = variation.seed.wrapping_add(picture as u64);
            Generator::new(self.source, seed).normal(&mut other);
            slerp(values, &other, variation.strength, shape);
        }
        Ok(noise)
    }

    /// The next standard normal numbers of every picture.
    ///
    /// # Errors
    /// `Shape` when there are more or fewer pictures than seeds.
    pub fn next(&mut self, shape: Shape) -> Result<Latent, Error> {
        if shape.pictures != self.generators.len() {
            let expected = Shape { pictures: self.generators.len(), ..shape };
            return Err(Error::Shape { what: "noise", found: shape, expected });
        }
        let mut noise = Latent::zeros(shape)?;
        let pictures = noise.data_mut().chunks_exact_mut(shape.per_picture().max(1));
        self.generators.iter_mut().zip(pictures).for_each(|(generator, values)| generator.normal(values));
        Ok(noise)
    }

    /// The noise of an SDE sampler's walk between these levels.
    ///
    /// # Errors
    /// `Range` when no level is above 0.
    pub(crate) fn path(&self, sigmas: &[f32]) -> Result<Path, Error> {
        Path::new(self.source, &self.seeds, sigmas)
    }
}

/// One picture's generator.
#[derive(Clone, Debug)]
enum Generator {
    Mersenne(Box<Mersenne>),
    Philox(Philox),
}

impl Generator {
    fn new(source: Source, seed: u64) -> Self {
        match source {
            Source::Cpu => Self::Mersenne(Box::new(Mersenne::new(seed))),
            Source::Nv => Self::Philox(Philox::new(seed)),
        }
    }

    fn normal(&mut self, values: &mut [f32]) {
        match self {
            Self::Mersenne(generator) => generator.normal(values),
            Self::Philox(generator) => generator.normal(values),
        }
    }
}

/// Turns each column of each channel from `low` towards `high`, keeping its length in between: what web UIs call
/// slerp. Source: K. Shoemake, "Animating Rotation with Quaternion Curves" (1985).
///
/// # Shapes
/// `low`, `high`: C Y X; a column is the Y values of one channel and one X. Nearly equal noise is mixed in a line, and
/// there, as in web UIs, `strength` counts from the other end.
fn slerp(low: &mut [f32], high: &[f32], strength: f32, shape: Shape) {
    let (rows, columns) = (shape.rows, shape.columns);
    let n_lines = shape.channels * columns;
    let places = |line: usize| {
        let begin = line / columns * rows * columns + line % columns;
        (0..rows).map(move |row| begin + row * columns)
    };
    let cosines: Vec<f64> = (0..n_lines)
        .map(|line| {
            let dot = |a: &[f32], b: &[f32]| {
                places(line).map(|at| f64::from(a[at]) * f64::from(b[at])).sum::<f64>()
            };
            dot(low, high) / (dot(low, low) * dot(high, high)).sqrt()
        })
        .collect();
    let is_near = cosines.iter().sum::<f64>() / n_lines as f64 > 0.9995;
    let strength = f64::from(strength);
    for (line, cosine) in cosines.iter().enumerate() {
        let angle = cosine.clamp(-1.0, 1.0).acos();
        let share = |part: f64| (part * angle).sin() / angle.sin();
        let is_one_direction = angle.sin() == 0.0;
        let (of_low, of_high) = match is_near || is_one_direction {
            true => (strength, 1.0 - strength),
            false => (share(1.0 - strength), share(strength)),
        };
        for at in places(line) {
            low[at] = (of_low * f64::from(low[at]) + of_high * f64::from(high[at])) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pictures: usize) -> Shape {
        Shape::new(pictures, 4, 8, 6).unwrap()
    }

    #[test]
    fn a_picture_is_the_same_alone_and_among_others() {
        for source in [Source::Cpu, Source::Nv] {
            let mut together = Noise::new(source, 40, 3, None).unwrap();
            let (first, second) = (together.next(shape(3)).unwrap(), together.next(shape(3)).unwrap());
            let mut alone = Noise::new(source, 42, 1, None).unwrap();
            assert_eq!(first.picture(2), alone.next(shape(1)).unwrap().data());
            assert_eq!(second.picture(2), alone.next(shape(1)).unwrap().data());
            assert_ne!(first.picture(0), first.picture(1));
        }
    }

    #[test]
    fn a_variation_of_strength_zero_is_none_and_of_one_is_the_other() {
        let noise =
            |seed, variation| Noise::new(Source::Cpu, seed, 1, variation).unwrap().first(shape(1)).unwrap();
        let towards = |strength| noise(1, Some(Variation { seed: 2, strength }));
        assert_eq!(towards(0.0), noise(1, None));
        let apart = towards(1.0)
            .data()
            .iter()
            .zip(noise(2, None).data())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
        assert_ne!(towards(0.5), towards(0.6));
    }

    #[test]
    fn more_pictures_than_anybody_looks_at_are_refused() {
        let refused = Noise::new(Source::Cpu, 1, usize::MAX, None);
        assert!(matches!(refused, Err(Error::Range { .. })), "{refused:?}");
    }

    #[test]
    fn noise_for_another_number_of_pictures_is_refused() {
        let refused = Noise::new(Source::Cpu, 1, 2, None).unwrap().next(shape(3));
        assert!(matches!(refused, Err(Error::Shape { what: "noise", .. })), "{refused:?}");
    }
}
