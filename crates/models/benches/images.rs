//! Hearth's side of `cargo xtask bench --case sd15-step` and `sd15-decode`: seconds of a denoising step and of turning latents
//! to pixels, from the weights and the numbers that the peer wrote into the folder, and the cosine of what comes out to what
//! the peer computes in f32.

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use formats::{FileBytes, TensorFile, safetensors};
use kernels::{isa, pool};
use models::images::auto_encoder::{AutoEncoder, KlConfig};
use models::images::unet::{Input, UNet, UNetConfig};
use ops::Precision;
use ops::device::{Device, cpu};
use serde_json::Value;
use testkit::bench::{Options, Outcome, median, peak_memory_mb};

/// Channels of latents, the width of a text's rows, and how many there are.
const LATENTS: usize = 4;
const WIDTH: usize = 768;
const N_TOKENS: usize = 77;
/// The time of the step.
const TIME: f32 = 500.0;

fn main() {
    let options = Options::of_this_process();
    pool::set_active_threads(options.threads);
    let (folder, device) = (options.folder(), cpu());
    let run: Box<dyn Fn() -> Vec<f32>> = match options.word(0, "step") {
        "step" => step(folder, &device),
        "decode" => decode(folder, &device),
        other => panic!("{other} is not known; there are step and decode"),
    };
    let answer = run();
    let timing = |_| {
        let begun = Instant::now();
        run();
        begun.elapsed().as_secs_f64()
    };
    let seconds = median((0..options.steps.unwrap_or(3).max(1)).map(timing).collect());
    let mut outcome = Outcome::default();
    outcome.fact("program", "Hearth").fact("threads", options.threads).fact("isa", isa::current());
    outcome.figure("seconds", seconds);
    outcome.figure("cosine", cosine(&answer, &numbers(&folder.join("answer.f32"))));
    peak_memory_mb().into_iter().for_each(|memory| _ = outcome.figure("memory_mb", memory));
    outcome.print();
}

/// Both rows of guidance by a U-Net.
fn step(folder: &Path, device: &Device) -> Box<dyn Fn() -> Vec<f32>> {
    let (settings, tensors) = files(folder);
    let config = UNetConfig::from_json(&settings, "config.json").expect("its sizes");
    let unet = UNet::load(&tensors, config, device).expect("every weight is there");
    let latents = picture(&folder.join("latents.f32"), 2, LATENTS, device);
    let text = numbers(&folder.join("text.f32"));
    let text = Tensor::<3>::from_data(TensorData::new(text, [2, N_TOKENS, WIDTH]), device);
    Box::new(move || {
        let input = Input { latents: latents.clone(), times: &[TIME, TIME], text: text.clone(), added: None };
        values(unet.forward(input, Precision::Bf16, None))
    })
}

/// One picture by an auto-encoder.
fn decode(folder: &Path, device: &Device) -> Box<dyn Fn() -> Vec<f32>> {
    let (settings, tensors) = files(folder);
    let config = KlConfig::from_json(&settings, "config.json").expect("its sizes");
    let encoder = AutoEncoder::load(&tensors, config, device).expect("every weight is there");
    let latents = picture(&folder.join("latents.f32"), 1, LATENTS, device);
    Box::new(move || values(encoder.decode(latents.clone(), Precision::Bf16)))
}

fn files(folder: &Path) -> (Value, TensorFile) {
    let settings = std::fs::read(folder.join("config.json")).expect("the peer has written the settings");
    let file = FileBytes::open(&folder.join("diffusion_pytorch_model.safetensors"));
    let file = safetensors::read(&file.expect("the peer has written weights")).expect("they are whole");
    (serde_json::from_slice(&settings).expect("they are JSON"), file)
}

/// `[N, H, W, C]`, as high as wide.
fn picture(path: &Path, n: usize, channels: usize, device: &Device) -> Tensor<4> {
    let numbers = numbers(path);
    let side = (numbers.len() / (n * channels)).isqrt();
    Tensor::from_data(TensorData::new(numbers, [n, side, side, channels]), device)
}

fn numbers(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("the peer has written what both need");
    bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("numbers of 32 bits")
}

fn cosine(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len(), "both have as many numbers");
    let dot =
        |x: &[f32], y: &[f32]| -> f64 { x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum() };
    dot(found, expected) / (dot(found, found) * dot(expected, expected)).sqrt()
}
