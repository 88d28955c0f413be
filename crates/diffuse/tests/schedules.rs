//! Noise levels and timesteps are those of diffusers, k-diffusion and web UIs.

// Whoever reads a fixture may insist.
#![allow(clippy::unwrap_used)]

use diffuse::schedule::flow::{self, Shift};
use diffuse::schedule::{self, Betas, Counting, Curve, Spacing, Training};
use serde_json::Value;

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/diffusion/schedules.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn count(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn near(found: impl IntoIterator<Item = f64>, expected: &Value, relative: f64, what: &str) {
    let (found, expected): (Vec<f64>, _) = (found.into_iter().collect(), numbers(expected));
    assert_eq!(found.len(), expected.len(), "{what}: {found:?} {expected:?}");
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let apart = (found - expected).abs();
        assert!(apart <= relative * expected.abs() + 1e-9, "{what} at {at}: {found} instead of {expected}");
    }
}

fn widened(values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    values.iter().copied().map(f64::from)
}

fn stable() -> Training {
    Training::new(Betas::STABLE).unwrap()
}

#[test]
fn trainings_have_the_levels_of_diffusers() {
    let linear = Betas { start: 1e-4, end: 0.02, n_steps: 1000, curve: Curve::Linear };
    let cosine = Betas { curve: Curve::SquaredCosine, ..Betas::STABLE };
    let fixture = &fixture()["trained"];
    for (name, training, relative) in [
        ("scaled_linear", stable(), 1e-6),
        ("linear", Training::new(linear).unwrap(), 1e-6),
        ("squared_cosine", Training::new(cosine).unwrap(), 1e-5),
        ("zero_terminal", stable().zero_terminal(), 1e-4),
    ] {
        let case = &fixture[name];
        let at: Vec<usize> = numbers(&case["at"]).iter().map(|at| *at as usize).collect();
        near(at.iter().map(|at| training.alpha(*at)), &case["alphas"], 2.0 * relative, name);
        near(at.iter().map(|at| training.level(*at)), &case["sigmas"], relative, name);
    }
    let between = &fixture["between"];
    let timesteps = numbers(&between["timesteps"]);
    near(timesteps.iter().map(|at| stable().sigma(*at)), &between["sigmas"], 1e-6, "between");
    let sigmas: Vec<f32> = numbers(&between["sigmas"]).iter().map(|sigma| *sigma as f32).collect();
    near(sigmas.iter().map(|sigma| f64::from(stable().timestep(*sigma))), &between["back"], 1e-5, "back");
    near(sigmas.iter().map(|sigma| stable().nearest(*sigma) as f64), &between["nearest"], 0.0, "nearest");
}

#[test]
fn schedules_are_those_of_web_uis() {
    let fixture = fixture();
    for case in fixture["web"].as_array().unwrap() {
        let (name, n) = (case["name"].as_str().unwrap(), count(&case["n"]));
        let found = (schedule::named(name).unwrap().sigmas)(&stable(), n).unwrap();
        near(widened(&found), &case["sigmas"], 2e-6, &format!("{name} of {n}"));
    }
    assert!(fixture["web"].as_array().unwrap().len() > 60);
}

#[test]
fn spacings_are_those_of_diffusers() {
    for case in fixture()["spaced"].as_array().unwrap() {
        let (n, every) = (count(&case["n"]), count(&case["every"]));
        let spacing = match case["spacing"].as_str().unwrap() {
            "linspace" => Spacing::Linspace,
            "leading" => Spacing::Leading { offset: count(&case["offset"]) },
            _ => Spacing::Trailing,
        };
        let what = format!("{spacing:?} of {n}");
        let timesteps = spacing.timesteps(&stable(), n).unwrap();
        near(timesteps.into_iter().step_by(every), &case["timesteps"], 1e-6, &what);
        let sigmas = spacing.sigmas(&stable(), n).unwrap();
        near(widened(&sigmas).step_by(every), &case["sigmas"], 2e-6, &what);
        let begin = if matches!(spacing, Spacing::Leading { .. }) {
            schedule::Begin::Whole
        } else {
            schedule::Begin::Level
        };
        near([f64::from(begin.factor(sigmas[0]))], &case["begin"], 2e-6, &what);
    }
}

#[test]
fn curves_are_those_of_diffusers() {
    for case in fixture()["curved"].as_array().unwrap() {
        let (n, training) = (count(&case["n"]), stable());
        let curve = match case["curve"].as_str().unwrap() {
            "karras" => schedule::karras,
            "exponential" => schedule::exponential,
            _ => schedule::beta,
        };
        let sigmas = curve(n, training.sigma_min(), training.sigma_max()).unwrap();
        near(widened(&sigmas), &case["sigmas"], 2e-6, &format!("{} of {n}", case["curve"]));
        let timesteps = sigmas[..n].iter().map(|sigma| f64::from(training.timestep(*sigma)));
        for (found, expected) in timesteps.zip(numbers(&case["timesteps"])) {
            assert!((found - expected).abs() < 2e-3, "{} of {n}: {found} {expected}", case["curve"]);
        }
    }
}

#[test]
fn consistency_models_take_the_timesteps_of_diffusers() {
    for case in fixture()["few"].as_array().unwrap() {
        let (n, strength) = (count(&case["n"]), case["strength"].as_f64().unwrap());
        let found = schedule::consistency(&stable(), n, strength).unwrap();
        near(
            found.into_iter().map(|step| step as f64),
            &case["timesteps"],
            0.0,
            &format!("{n} at {strength}"),
        );
    }
    assert!(schedule::consistency(&stable(), 4, 0.05).is_err());
}

#[test]
fn flows_are_bent_as_in_diffusers() {
    for case in fixture()["flows"].as_array().unwrap() {
        let (settings, given) = (&case["settings"], &case["given"]);
        let found = match (case["mu"].as_f64(), given["num_inference_steps"].as_u64()) {
            (Some(mu), _) => {
                let is_linear = settings["time_shift_type"] == "linear";
                let shift = if is_linear { Shift::DynamicLinear(mu) } else { Shift::Dynamic(mu) };
                flow::sigmas(given["sigmas"].as_array().unwrap().len(), shift)
            }
            (None, n) => {
                let (shift, last) =
                    (settings["shift"].as_f64().unwrap(), settings["shift_terminal"].as_f64());
                flow::trained_sigmas(n.unwrap() as usize, shift, last)
            }
        };
        near(widened(&found.unwrap()), &case["sigmas"], 2e-6, &case.to_string());
    }
}

#[test]
fn the_shift_follows_from_the_picture() {
    let shifts = &fixture()["shifts"];
    let tokens: Vec<usize> = numbers(&shifts["tokens"]).iter().map(|count| *count as usize).collect();
    near(tokens.iter().map(|count| flow::mu(*count)), &shifts["linear"], 1e-7, "linear");
    for (steps, expected) in numbers(&shifts["steps"]).iter().zip(shifts["empirical"].as_array().unwrap()) {
        near(
            tokens.iter().map(|count| flow::mu_of_steps(*count, *steps as usize)),
            expected,
            1e-7,
            "empirical",
        );
    }
}

#[test]
fn an_image_to_image_begins_where_others_begin() {
    for case in fixture()["strengths"].as_array().unwrap() {
        let (n, strength) = (count(&case["n"]), case["strength"].as_f64().unwrap());
        let sigmas: Vec<f32> = (0..=n).rev().map(|level| level as f32).collect();
        for (counting, key) in [(Counting::Diffusers, "diffusers"), (Counting::WebUi, "web")] {
            let left = schedule::from_strength(&sigmas, strength, counting).unwrap();
            assert_eq!(sigmas.len() - left.len(), count(&case[key]), "{n} at {strength} in {key}");
        }
    }
}
