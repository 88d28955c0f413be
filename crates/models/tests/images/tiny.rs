//! The tiny auto-encoder of FLUX.2, real weights: a photo to latents and back, as its reference implementation does it.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use formats::{FileBytes, TensorFile};
use models::images::TinyAutoEncoder;
use ops::Precision;

const SIZE: usize = 256;
const LATENTS: usize = 32;

fn weights(folder: &Path, name: &str) -> TensorFile {
    formats::read(&FileBytes::open(&folder.join(name)).unwrap()).unwrap()
}

/// The colours of a picture between 0 and 1, `[H, W, 3]`.
fn picture(path: &Path) -> Vec<f32> {
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (SIZE as u32, SIZE as u32, png::ColorType::Rgb));
    bytes[..info.buffer_size()].iter().map(|byte| f32::from(*byte) / 255.0).collect()
}

/// The numbers of a file of `numpy` in f32, as they lie behind its head.
fn numbers(path: &Path, expected: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let described = String::from_utf8_lossy(&bytes[10..head]);
    assert!(described.contains("'<f4'") && described.contains(expected), "{described}");
    bytes[head..].chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The ratio of the greatest signal, 1, to the noise, in decibel.
fn psnr(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    10.0 * (a.len() as f64 / squares).log10()
}

#[test]
fn a_photo_becomes_the_latents_and_the_picture_of_the_reference() {
    let Some(data) = testkit::shared::shared("models::images::tiny") else { return };
    let folder = data.join("diffusion/taef2");
    let device = ops::device::cpu();
    let [encoder, decoder] = ["taef2_encoder.pth", "taef2_decoder.pth"].map(|name| weights(&folder, name));
    let model = TinyAutoEncoder::load(&encoder, &decoder, &device).unwrap();
    assert_eq!(model.latents(), LATENTS);

    let photo = picture(&folder.join("roundtrip_input_256.png"));
    let photo = Tensor::<4>::from_data(TensorData::new(photo, [1, SIZE, SIZE, 3]), &device);
    // The reference has channels first.
    let side = SIZE / 8;
    let expected = numbers(&folder.join("roundtrip_latent.npy"), "(1, 32, 32, 32)");
    let expected: Vec<f32> =
        (0..expected.len()).map(|at| expected[at % LATENTS * side * side + at / LATENTS]).collect();
    let output = picture(&folder.join("roundtrip_output_256.png"));

    for (precision, most, least) in [(Precision::F32, 1e-2, 45.0), (Precision::Bf16, 0.25, 35.0)] {
        let latents = model.encode(photo.clone(), precision);
        let found = values(latents.clone());
        assert_eq!(found.len(), expected.len());
        let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let farthest = differences.fold(0.0, f32::max);
        let decoded = values(model.decode(latents, precision));
        let psnr = psnr(&decoded, &output);
        println!("{precision:?}: latents within {farthest:.1e}, picture {psnr:.1} dB");
        assert!(farthest <= most && psnr >= least, "{precision:?}: {farthest:e}, {psnr} dB");
    }
}

#[test]
fn weights_of_something_else_are_refused_by_name() {
    let Some(data) = testkit::shared::shared("models::images::tiny") else { return };
    let decoder = weights(&data.join("diffusion/taef2"), "taef2_decoder.pth");
    let error = TinyAutoEncoder::load(&decoder, &decoder, &ops::device::cpu()).map(drop).unwrap_err();
    assert!(error.to_string().contains("14.weight"), "{error}");
}
