//! One random path through all noise levels, which follows from a seed alone: what SDE samplers add at each step is
//! how far the path went.
//!
//! The path is found by halving: between two known levels the middle one is a mean plus a normal number whose seed is
//! the place in the tree. Sources: P. Lévy's construction of Brownian motion; the seeds as torchsde draws them, from
//! NumPy's `SeedSequence` (M. E. O'Neill, "Developing a seed_seq alternative", 2015) with 24 words of state, so that
//! pictures of k-diffusion's SDE samplers come out the same. Sums are in f64.

use super::{Generator, Source};
use crate::Error;
use crate::latent::{Latent, Shape};

const POOL: usize = 24;
/// Levels are told apart to six digits, so a range below 1e4 is halved fewer times than this.
const MAX_DEPTH: u32 = 48;

/// The paths of the pictures that are made together.
#[derive(Clone, Debug)]
pub struct Path {
    source: Source,
    seeds: Vec<u64>,
    from: f64,
    to: f64,
    /// The last level asked for, and where each picture's path was there.
    last: Option<(f64, Vec<f64>)>,
}

impl Path {
    /// The paths of these seeds between the lowest and the highest of the levels that are not 0.
    ///
    /// # Errors
    /// `Range` when no level is above 0, or one is infinite.
    pub fn new(source: Source, seeds: &[u64], sigmas: &[f32]) -> Result<Self, Error> {
        let positive = sigmas.iter().copied().filter(|sigma| *sigma > 0.0);
        let (from, to) = positive
            .fold((f32::INFINITY, 0.0), |(from, to): (f32, f32), sigma| (from.min(sigma), to.max(sigma)));
        if !(to.is_finite() && to > 0.0) {
            return Err(Error::Range {
                name: "the largest noise level",
                value: f64::from(to),
                range: "0..infinity",
            });
        }
        Ok(Self { source, seeds: seeds.to_vec(), from: f64::from(from), to: f64::from(to), last: None })
    }

    /// How far the path goes from level `sigma` to level `next`, over the root of their distance: standard normal.
    ///
    /// # Errors
    /// `Shape` when there are more or fewer pictures than seeds.
    pub fn between(&mut self, sigma: f32, next: f32, shape: Shape) -> Result<Latent, Error> {
        if shape.pictures != self.seeds.len() {
            let expected = Shape { pictures: self.seeds.len(), ..shape };
            return Err(Error::Shape { what: "noise", found: shape, expected });
        }
        let distance = (f64::from(sigma) - f64::from(next)).abs().sqrt();
        let begin = self.at(f64::from(sigma), shape);
        let end = self.at(f64::from(next), shape);
        let noise = end.iter().zip(&begin).map(|(end, begin)| ((end - begin) / distance) as f32).collect();
        self.last = Some((f64::from(next), end));
        Latent::new(noise, shape)
    }

    fn at(&self, level: f64, shape: Shape) -> Vec<f64> {
        match &self.last {
            Some((known, values)) if *known == level && values.len() == shape.elements() => values.clone(),
            _ => self
                .seeds
                .iter()
                .flat_map(|seed| self.picture_at(*seed, level, shape.per_picture()))
                .collect(),
        }
    }

    /// Where one picture's path is at `level`, from 0 at the lowest.
    fn picture_at(&self, seed: u64, level: f64, size: usize) -> Vec<f64> {
        let (mut start, mut end) = (six_digits(self.from), six_digits(self.to));
        let level = six_digits(level).clamp(start, end);
        let mut noise = vec![0.0; size];
        self.normal(seed, None, &mut noise);
        let root = (self.to - self.from).sqrt();
        let mut low = vec![0.0; size];
        let mut high: Vec<f64> = noise.iter().map(|value| f64::from(*value) * root).collect();
        let (mut place, mut depth) = (0u64, 0);
        while level != start && level != end && depth < MAX_DEPTH {
            let middle = six_digits(0.5 * (end + start));
            self.normal(seed, Some((place, depth)), &mut noise);
            let (share, deviation) = bridge(start, middle, end);
            let values = low.iter().zip(&high).zip(&noise);
            let at_middle: Vec<f64> = values
                .map(|((low, high), noise)| low + share * (high - low) + deviation * f64::from(*noise))
                .collect();
            let is_right = level >= middle;
            (place, depth) = (2 * place + u64::from(is_right), depth + 1);
            if is_right {
                (start, low) = (middle, at_middle);
            } else {
                (end, high) = (middle, at_middle);
            }
        }
        if level == end && level != start { high } else { low }
    }

    /// Normal numbers of one place in the tree, or of the whole range.
    fn normal(&self, seed: u64, place: Option<(u64, u32)>, values: &mut [f32]) {
        Generator::new(self.source, u64::from(seed_of(seed, place))).normal(values);
    }
}

/// Of a path known at both ends, what the middle takes of the difference, and how far it strays.
fn bridge(start: f64, middle: f64, end: f64) -> (f64, f64) {
    let (left, right, whole) = (middle - start, end - middle, end - start);
    (left / whole, (left * right / whole).sqrt())
}

fn six_digits(level: f64) -> f64 {
    format!("{level:.6}").parse().expect("a number was just written")
}

/// The first word of NumPy's `SeedSequence(seed, spawn_key=place, pool_size=24)`.
fn seed_of(seed: u64, place: Option<(u64, u32)>) -> u32 {
    let mut entropy = words(seed);
    if let Some((place, depth)) = place {
        entropy.resize(POOL, 0);
        entropy.extend(words(place));
        entropy.push(depth);
    }
    let mut hash = Hash(0x43b0_d7e5);
    let mut pool: Vec<u32> = (0..POOL).map(|at| hash.of(entropy.get(at).copied().unwrap_or(0))).collect();
    for from in 0..POOL {
        for to in (0..POOL).filter(|to| *to != from) {
            pool[to] = mixed(pool[to], hash.of(pool[from]));
        }
    }
    for word in entropy.iter().skip(POOL) {
        pool.iter_mut().for_each(|to| *to = mixed(*to, hash.of(*word)));
    }
    let drawn = (pool[0] ^ 0x8b51_f9dd).wrapping_mul(0x8b51_f9dd_u32.wrapping_mul(0x58f3_8ded));
    drawn ^ (drawn >> 16)
}

/// A number's 32-bit words, low ones first; 0 is one word.
fn words(number: u64) -> Vec<u32> {
    let (low, high) = (number as u32, (number >> 32) as u32);
    if high == 0 { vec![low] } else { vec![low, high] }
}

/// A hash whose constant changes with every word.
struct Hash(u32);

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.0;
        self.0 = self.0.wrapping_mul(0x931e_8875);
        let word = word.wrapping_mul(self.0);
        word ^ (word >> 16)
    }
}

fn mixed(x: u32, y: u32) -> u32 {
    let result = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
    result ^ (result >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_steps_look_at_one_path() {
        let shape = Shape::new(1, 1, 2, 2).unwrap();
        let sigmas = [8.0, 4.0, 2.0, 0.5];
        let walk = |stops: &[f32]| {
            let mut path = Path::new(Source::Cpu, &[7], &sigmas).unwrap();
            let pairs = stops.windows(2).map(|pair| (pair[0], pair[1]));
            let far = |(a, b): (f32, f32)| -> Vec<f64> {
                let noise = path.between(a, b, shape).unwrap();
                noise.data().iter().map(|value| f64::from(*value) * f64::from(a - b).sqrt()).collect()
            };
            pairs.map(far).reduce(|a, b| a.iter().zip(&b).map(|(a, b)| a + b).collect()).unwrap()
        };
        let (few, many) = (walk(&[8.0, 0.5]), walk(&[8.0, 6.1, 4.0, 2.0, 1.25, 0.5]));
        assert!(few.iter().zip(&many).all(|(a, b)| (a - b).abs() < 1e-5), "{few:?} {many:?}");
    }

    #[test]
    fn levels_without_noise_are_refused() {
        assert!(matches!(Path::new(Source::Cpu, &[7], &[0.0]), Err(Error::Range { .. })));
        assert!(matches!(Path::new(Source::Cpu, &[7], &[f32::INFINITY, 0.0]), Err(Error::Range { .. })));
    }
}
