//! Seeds give the numbers that they give in PyTorch, in NVIDIA's library and in torchsde.

// Whoever reads a fixture may insist.
#![allow(clippy::unwrap_used)]

use diffuse::noise::{Noise, Path, Source, Variation};
use diffuse::{Latent, Shape};
use serde_json::Value;

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/diffusion/noise.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn seed(case: &Value) -> u64 {
    case["seed"].as_str().unwrap().parse().unwrap()
}

/// A row of `count` numbers.
fn row(count: usize) -> Shape {
    Shape::new(1, 1, 1, count).unwrap()
}

/// FNV-1a over the values' bytes, as the script takes it.
fn checksum(noise: &Latent) -> String {
    let bytes = noise.data().iter().flat_map(|value| value.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn a_seed_gives_the_bits_of_pytorch() {
    for case in fixture()["cpu"].as_array().unwrap() {
        let mut noise = Noise::new(Source::Cpu, seed(case), 1, None).unwrap();
        for (call, count) in numbers(&case["counts"]).into_iter().enumerate() {
            let values = noise.next(row(count as usize)).unwrap();
            let first: Vec<f32> = numbers(&case["first"][call]).iter().map(|value| *value as f32).collect();
            assert_eq!(values.data()[..first.len()], first, "seed {} call {call}", case["seed"]);
            assert_eq!(checksum(&values), case["bits"][call], "seed {} call {call} of {count}", case["seed"]);
        }
    }
}

#[test]
fn a_seed_gives_the_numbers_of_nvidias_library() {
    for case in fixture()["nv"].as_array().unwrap() {
        let mut noise = Noise::new(Source::Nv, seed(case), 1, None).unwrap();
        for call in case["calls"].as_array().unwrap() {
            let expected: Vec<f32> = numbers(call).iter().map(|value| *value as f32).collect();
            let found = noise.next(row(expected.len())).unwrap();
            let apart = found.data().iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart <= 2.4e-7, "seed {}: {apart}", case["seed"]);
        }
    }
    // What torch.randn on a card gives for seed 0, as the authors of a web UI wrote it down.
    let on_a_card = [-0.924_662_6, -0.425_344_14, -2.643_845_6, 0.145_183_88, -0.120_867_47, -0.579_725_6];
    let found = Noise::new(Source::Nv, 0, 1, None).unwrap().next(row(12)).unwrap();
    assert!(found.data().iter().zip(on_a_card).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{found:?}");
}

#[test]
fn a_seed_gives_the_path_of_torchsde() {
    for case in fixture()["paths"].as_array().unwrap() {
        let sigmas: Vec<f32> = numbers(&case["sigmas"]).iter().map(|value| *value as f32).collect();
        let mut path = Path::new(Source::Cpu, &[seed(case)], &sigmas).unwrap();
        for (pair, expected) in
            case["pairs"].as_array().unwrap().iter().zip(case["steps"].as_array().unwrap())
        {
            let pair = numbers(pair);
            let (from, to) = (sigmas[pair[0] as usize], sigmas[pair[1] as usize]);
            let found = path.between(from, to, Shape::new(1, 1, 2, 8).unwrap()).unwrap();
            for (found, expected) in found.data().iter().zip(numbers(expected)) {
                assert!((f64::from(*found) - expected).abs() < 2e-5, "{from} to {to}: {found} {expected}");
            }
        }
    }
}

#[test]
fn a_variation_turns_every_column() {
    for case in fixture()["varied"].as_array().unwrap() {
        let (seeds, sides) = (numbers(&case["seeds"]), numbers(&case["shape"]));
        let strength = case["strength"].as_f64().unwrap() as f32;
        let variation = Variation { seed: seeds[1] as u64, strength };
        let shape = Shape::new(1, sides[0] as usize, sides[1] as usize, sides[2] as usize).unwrap();
        let found =
            Noise::new(Source::Cpu, seeds[0] as u64, 1, Some(variation)).unwrap().first(shape).unwrap();
        for (found, expected) in found.data().iter().zip(numbers(&case["values"])) {
            assert!((f64::from(*found) - expected).abs() < 2e-6, "{strength}: {found} {expected}");
        }
    }
}
