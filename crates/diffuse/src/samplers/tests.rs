//! What holds for every sampler, whatever it computes.

use super::*;
use crate::latent::Shape;
use crate::noise::Source;

/// Sees the same picture in everything.
struct Known(f32, Path);

impl Denoise for Known {
    fn denoise(&mut self, x: &Latent, _: f32) -> Result<Latent, Error> {
        Latent::new(vec![self.0; x.data().len()], x.shape())
    }

    fn path(&self) -> Path {
        self.1
    }
}

const SIGMAS: [f32; 6] = [14.6, 7.0, 3.0, 1.0, 0.2, 0.0];
const FLOW: [f32; 6] = [1.0, 0.9, 0.7, 0.4, 0.1, 0.0];

fn walk(
    sampler: &Sampler,
    denoise: &mut dyn Denoise,
    sigmas: &[f32],
    watch: &mut Watch<'_>,
) -> Result<Latent, Error> {
    let mut noise = Noise::new(Source::Cpu, 1, 2, None).unwrap();
    let x = noise.next(Shape::new(2, 1, 2, 4)?)?.scaled(sigmas.first().copied().unwrap_or(1.0));
    (sampler.walk)(denoise, x, sigmas, &mut noise, watch)
}

fn go(_: Step<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn every_sampler_comes_to_a_picture_that_is_known() {
    for sampler in SAMPLERS {
        for (path, sigmas) in [(Path::Exploding, SIGMAS), (Path::Flow, FLOW)] {
            let found = walk(sampler, &mut Known(0.25, path), &sigmas, &mut go).unwrap();
            let apart = found.data().iter().map(|value| (value - 0.25).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5, "{} {path:?}: {apart}", sampler.name);
        }
    }
}

#[test]
fn every_sampler_tells_its_steps_and_stops_when_told() {
    for sampler in SAMPLERS {
        let mut seen = Vec::new();
        let mut watch = |step: Step<'_>| {
            seen.push((step.index, step.n_steps, step.sigma));
            if step.index == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let stopped = walk(sampler, &mut Known(0.5, Path::Exploding), &SIGMAS, &mut watch);
        assert_eq!(stopped, Err(Error::Stopped { step: 3 }), "{}", sampler.name);
        let expected: Vec<_> = (0..4).map(|index| (index, 5, SIGMAS[index])).collect();
        assert_eq!(seen, expected, "{}", sampler.name);
    }
}

#[test]
fn levels_that_no_sampler_can_walk_are_refused() {
    let nan = f32::NAN;
    for sigmas in [
        &[1.0, 1.0, 0.0][..],
        &[1.0, 2.0],
        &[1.0, nan],
        &[nan, 0.0],
        &[1.0, -1.0],
        &[f32::INFINITY, 1.0, 0.0],
    ] {
        for sampler in SAMPLERS {
            let refused = walk(sampler, &mut Known(0.5, Path::Exploding), sigmas, &mut go);
            assert!(refused.is_err(), "{} {sigmas:?}: {refused:?}", sampler.name);
        }
    }
    for sampler in SAMPLERS {
        assert!(walk(sampler, &mut Known(0.5, Path::Flow), &[1.5, 0.0], &mut go).is_err());
        let long: Vec<f32> = (0..5000).rev().map(|level| level as f32).collect();
        assert!(walk(sampler, &mut Known(0.5, Path::Exploding), &long, &mut go).is_err());
        // No level, or one: there is nothing to walk, and the picture stays.
        assert!(walk(sampler, &mut Known(0.5, Path::Exploding), &[], &mut go).is_ok());
        assert!(walk(sampler, &mut Known(0.5, Path::Exploding), &[0.0], &mut go).is_ok());
    }
}

#[test]
fn a_model_that_answers_with_no_numbers_is_told() {
    for sampler in SAMPLERS {
        let found = walk(sampler, &mut Known(f32::NAN, Path::Exploding), &SIGMAS, &mut go);
        assert_eq!(found, Err(Error::NotFinite { step: 0 }), "{}", sampler.name);
    }
}

#[test]
fn a_picture_is_the_same_alone_and_among_others() {
    for sampler in SAMPLERS {
        let made = |seed, n_pictures| {
            let mut noise = Noise::new(Source::Cpu, seed, n_pictures, None).unwrap();
            let x = noise.first(Shape::new(n_pictures, 1, 4, 4).unwrap()).unwrap().scaled(SIGMAS[0]);
            (sampler.walk)(&mut Known(0.5, Path::Exploding), x, &SIGMAS[..5], &mut noise, &mut go).unwrap()
        };
        assert_eq!(made(8, 3).picture(2), made(10, 1).data(), "{}", sampler.name);
    }
}

#[test]
fn names_are_found_and_unlike() {
    let mut names: Vec<String> = SAMPLERS
        .iter()
        .flat_map(|sampler| std::iter::once(&sampler.name).chain(sampler.aliases))
        .map(|name| name.to_lowercase())
        .collect();
    assert!(names.iter().all(|name| named(name).is_ok()));
    let before = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), before);
    for sampler in SAMPLERS {
        assert!(crate::schedule::named(sampler.schedule).is_ok(), "{}", sampler.name);
    }
    let (sampler, schedule) = with_schedule("DPM++ 2M Karras").unwrap();
    assert_eq!((sampler.name, schedule), ("DPM++ 2M", "Karras"));
    assert_eq!(with_schedule("Euler a").unwrap().1, "Uniform");
    assert!(with_schedule("Oiler").is_err() && with_schedule("").is_err());
}
