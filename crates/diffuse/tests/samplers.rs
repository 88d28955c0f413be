//! Every sampler walks as k-diffusion's and diffusers' do, step by step, drawing the same noise.

// Whoever reads a fixture may insist.
#![allow(clippy::unwrap_used)]

use diffuse::denoise::{Consistency, Denoise, Path};
use diffuse::noise::{Noise, Source, Steps};
use diffuse::samplers::{self, Step};
use diffuse::schedule::{self, Begin, Betas, Clock, Spacing, Training};
use diffuse::{Error, Latent, Shape};
use serde_json::Value;
use std::ops::ControlFlow;

/// What stands for a model: the formula of the script's `denoised`.
struct Formula(Path);

impl Denoise for Formula {
    fn denoise(&mut self, x: &Latent, sigma: f32) -> Result<Latent, Error> {
        let scale = (1.0 + f64::from(sigma).powi(2)).sqrt().recip();
        let seen = x.data().iter().enumerate().map(|(place, x)| {
            let place = place as f64;
            let bent = (scale * f64::from(*x) + 0.3 * place.sin()).tanh() * (0.5 + 0.5 * scale);
            (bent + 0.1 * place.cos()) as f32
        });
        Latent::new(seen.collect(), x.shape())
    }

    fn path(&self) -> Path {
        self.0
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn noise_of(case: &Value) -> Noise {
    let mut noise = Noise::new(Source::Cpu, case["seed"].as_u64().unwrap(), 1, None).unwrap();
    let setting = |name: &str| case["settings"][name].as_f64();
    noise.settings.eta = setting("eta");
    noise.settings.scale = setting("s_noise").unwrap_or(1.0);
    noise.settings.churn = setting("s_churn").unwrap_or(0.0);
    if let (Some(low), Some(high)) = (setting("s_tmin"), setting("s_tmax")) {
        noise.settings.churn_between = (low as f32, high as f32);
    }
    let is_one_path = case["brownian"].as_bool().unwrap();
    noise.settings.steps = if is_one_path { Steps::Path } else { Steps::Independent };
    noise
}

/// The pictures before each step and at the end.
fn walked(case: &Value) -> Vec<Latent> {
    let (mut noise, sigmas) = (noise_of(case), numbers(&case["sigmas"]));
    let begin = if case["begin"] == "unit" { Begin::Whole } else { Begin::Level };
    let x = noise.first(Shape::new(1, 1, 2, 8).unwrap()).unwrap().scaled(begin.factor(sigmas[0]));
    let path = if case["path"] == "flow" { Path::Flow } else { Path::Exploding };
    let mut formula = Formula(path);
    let clock = Clock::Trained(Training::new(Betas::STABLE).unwrap());
    let mut consistency;
    let (name, order) = (case["name"].as_str().unwrap(), case["settings"]["order"].as_u64());
    let denoise: &mut dyn Denoise = if name == "LCM" {
        consistency = Consistency { inner: &mut formula, clock };
        &mut consistency
    } else {
        &mut formula
    };
    let walk = match order {
        Some(1) => samplers::unipc::<1>,
        Some(3) => samplers::unipc::<3>,
        _ => samplers::named(name).unwrap().walk,
    };
    let mut seen = Vec::new();
    let mut watch = |step: Step<'_>| {
        seen.push(step.x.clone());
        ControlFlow::Continue(())
    };
    let last = walk(denoise, x, &sigmas, &mut noise, &mut watch).unwrap();
    seen.push(last);
    seen
}

#[test]
fn walks_of_ddim_end_where_diffusers_ends_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/diffusion/samplers.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let case = cases.iter().find(|case| case["name"] == "DDIM").unwrap();
    let (expected, training) = (numbers(&case["sigmas"]), Training::new(Betas::STABLE).unwrap());
    let spaced = Spacing::Leading { offset: 1 }.sigmas(&training, expected.len() - 1).unwrap();
    let found = schedule::to_lowest(spaced, &training);
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b), "{found:?} {expected:?}");
    // A walk that came to the lowest level already ends there.
    let down = Spacing::Linspace.sigmas(&training, 5).unwrap();
    assert_eq!(schedule::to_lowest(down.clone(), &training), down[..5]);
}

#[test]
fn every_step_is_that_of_diffusers_or_k_diffusion() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/diffusion/samplers.json");
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut missing: Vec<&str> = samplers::SAMPLERS.iter().map(|sampler| sampler.name).collect();
    let mut worst = 0.0_f32;
    for case in &cases {
        let (found, expected) = (walked(case), case["steps"].as_array().unwrap());
        let name = case["name"].as_str().unwrap();
        let what = format!("{name} {} {} {}", case["settings"], case["path"], case["sigmas"]);
        assert_eq!(found.len(), expected.len(), "{what}");
        for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
            let expected = numbers(expected);
            let size = expected.iter().fold(0.0_f32, |size, value| size.max(value.abs()));
            let apart = found.data().iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= 5e-6 * size, "{what}: step {step} is {apart} off {size}");
            worst = worst.max(apart / size);
        }
        missing.retain(|known| *known != name && !(case["settings"]["order"] == 3 && *known == "UniPC 3"));
    }
    assert_eq!(missing, [""; 0], "samplers that nothing was compared with");
    println!("{} walks, at most {worst:.1e} off", cases.len());
}
