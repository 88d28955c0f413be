//! A small image model trained on four pictures, looked at from outside: what it promises about drawing them, its bits and
//! its checkpoints.
#![allow(clippy::unwrap_used, reason = "a test says where it fails")]

use base::Rng;
use base::disk::RealDisk;
use burn::tensor::{Tensor, TensorData};
use models::images::auto_encoder::{AutoEncoder, KlConfig};
use models::images::clip::{ClipConfig, ClipText, Ending, Reading};
use models::images::learning::Under;
use models::images::unet::{Input, UNet, UNetConfig};
use ops::Precision;
use train::Error;
use train::pictures::{Levels, Painting, Pictures, Saved, Settings, Sizes, TextSizes, save};

const SIDE: usize = 16;
const BEGIN: u32 = 6;
const END: u32 = 7;

/// Four pictures of one colour each; a caption is a token.
struct Colours {
    captions: Vec<Vec<u32>>,
    none: Vec<u32>,
    fails: bool,
}

const COLOURS: [[f32; 3]; 4] = [[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, 1.0]];

fn colours() -> Colours {
    let captions = (0..4).map(|index| vec![BEGIN, index, END, END]).collect();
    Colours { captions, none: vec![BEGIN, END, END, END], fails: false }
}

impl Pictures for Colours {
    fn len(&self) -> usize {
        COLOURS.len()
    }

    fn colours(&mut self, index: usize) -> Result<Vec<f32>, Error> {
        match self.fails {
            true => Err(Error::Data("it is gone".into())),
            false => Ok(COLOURS[index].repeat(SIDE * SIDE)),
        }
    }

    fn caption(&self, index: usize) -> &[u32] {
        &self.captions[index]
    }

    fn no_caption(&self) -> &[u32] {
        &self.none
    }
}

fn settings(steps: [u64; 2]) -> Settings {
    let sizes = Sizes {
        side: SIDE,
        auto_encoder: vec![8, 16],
        auto_encoder_groups: 2,
        unet: Levels { channels: vec![16, 32], heads: 2, groups: 4, ..Levels::default() },
        text: TextSizes { context: 4, width: 16, layers: 1, heads: 2 },
        ..Sizes::default()
    };
    let mut settings = Settings::new(sizes, steps, (8, [BEGIN, END]));
    settings.auto_encoder.batch = 4;
    settings.denoiser.batch = 8;
    settings.auto_encoder.learning_rate = 0.01;
    settings.denoiser.learning_rate = 0.004;
    settings
}

/// The bits of the losses of `n` steps.
fn losses(painting: &mut Painting, n: usize) -> Vec<u64> {
    (0..n).map(|_| painting.step(&mut colours()).unwrap().loss.to_bits()).collect()
}

fn weights(painting: &Painting) -> Vec<Vec<u32>> {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let parts = painting.weights().map(|(_, weights, _)| weights);
    parts.into_iter().flat_map(|weights| weights.iter().map(|one| bits(one.tensor.values()))).collect()
}

/// What the model makes of noise at the last time and a caption, in one step: with a picture for each caption there is
/// nothing to choose.
fn drawn(painting: &Painting, caption: &[u32]) -> Vec<f32> {
    let (parts, device) = (painting.parts(), ops::device::cpu());
    let [text, unet, auto_encoder] = painting.weights();
    let text = text.1.plain(|tensors, device| {
        let config = ClipConfig::from_json(&parts.text_encoder, "text").unwrap();
        ClipText::load(&Under { tensors, prefix: text.2 }, config, device)
    });
    let unet = unet.1.plain(|tensors, device| {
        let config = UNetConfig::from_json(&parts.unet, "unet").unwrap();
        UNet::load(&Under { tensors, prefix: unet.2 }, config, device)
    });
    let scaling = KlConfig::from_json(&parts.auto_encoder, "vae").unwrap();
    let auto_encoder =
        auto_encoder.1.plain(|tensors, device| AutoEncoder::load(tensors, scaling.clone(), device)).unwrap();
    let reading = Reading { n_skipped: 0, ending: Ending::Normalised };
    let text = text.unwrap().encode(caption, 1, reading, Precision::F32).states;
    let mut rng = Rng::new(5);
    let noise: Vec<f32> = (0..8 * 8 * 4).map(|_| rng.normal() as f32).collect();
    let latents = Tensor::<4>::from_data(TensorData::new(noise, [1, 8, 8, 4]), &device);
    let input = Input { latents: latents.clone(), times: &[999.0], text, added: None };
    let velocity = unet.unwrap().forward(input, Precision::F32, None);
    // Hardly anything of a picture is left at this time: it is the velocity backwards.
    let picture = auto_encoder.decode(auto_encoder.unscaled(velocity * -1.0), Precision::F32);
    picture.into_data().try_into_vec().unwrap()
}

#[test]
fn four_pictures_are_learned_and_drawn() {
    let mut painting = Painting::new(settings([60, 150])).unwrap();
    let first = painting.step(&mut colours()).unwrap().loss;
    while painting.steps_done() < 60 {
        painting.step(&mut colours()).unwrap();
    }
    assert!(first > 0.5, "nothing is known at first: {first}");
    while !painting.is_done() {
        painting.step(&mut colours()).unwrap();
    }
    for (caption, colour) in colours().captions.iter().zip(COLOURS) {
        let drawn = drawn(&painting, caption);
        let wrong =
            drawn.chunks_exact(3).flat_map(|pixel| pixel.iter().zip(colour)).map(|(a, b)| (a - b).abs());
        let wrong = wrong.sum::<f32>() / drawn.len() as f32;
        assert!(wrong < 0.25, "{caption:?}: {wrong} from {colour:?}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let before = kernels::pool::active_threads();
    let all = [1, 2, 3].map(|n_threads| {
        kernels::pool::set_active_threads(n_threads);
        let mut painting = Painting::new(settings([2, 2])).unwrap();
        (losses(&mut painting, 4), weights(&painting))
    });
    kernels::pool::set_active_threads(before);
    assert!(all.windows(2).all(|two| two[0] == two[1]));
}

/// Stopped in either stage, and between them.
#[test]
fn a_training_that_was_saved_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let mut whole = Painting::new(settings([3, 5])).unwrap();
    let curve = losses(&mut whole, 8);
    for stop in [2, 3, 5] {
        let mut first = Painting::new(settings([3, 5])).unwrap();
        let mut found = losses(&mut first, stop);
        save(&RealDisk, &path, &first, "a note").unwrap();
        drop(first);
        let saved = Saved::open(&path).unwrap();
        assert_eq!((saved.notes.as_str(), saved.steps_done()), ("a note", stop as u64));
        let mut second = saved.restore().unwrap();
        found.extend(losses(&mut second, 8 - stop));
        assert_eq!(found, curve, "stopped after {stop} steps");
        assert_eq!(weights(&second), weights(&whole), "stopped after {stop} steps");
        assert_eq!(second.parts().auto_encoder, whole.parts().auto_encoder);
    }
}

#[test]
fn pictures_that_fail_and_numbers_that_are_none_stop_and_change_nothing() {
    let mut painting = Painting::new(settings([1, 1])).unwrap();
    let before = weights(&painting);
    let error = painting.step(&mut Colours { fails: true, ..colours() }).unwrap_err();
    assert_eq!(error.to_string(), "it is gone");
    struct NoNumber(Colours);
    impl Pictures for NoNumber {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn colours(&mut self, _: usize) -> Result<Vec<f32>, Error> {
            Ok(vec![f32::NAN; SIDE * SIDE * 3])
        }
        fn caption(&self, index: usize) -> &[u32] {
            self.0.caption(index)
        }
        fn no_caption(&self) -> &[u32] {
            self.0.no_caption()
        }
    }
    let error = painting.step(&mut NoNumber(colours())).unwrap_err();
    assert_eq!(error.to_string(), "step 1: the loss is not a finite number");
    assert_eq!(weights(&painting), before);
    assert_eq!(painting.steps_done(), 0);
}

#[test]
fn sizes_that_are_no_model_are_refused_by_name() {
    let check = |change: fn(&mut Settings), expected: &str| {
        let mut settings = settings([1, 1]);
        change(&mut settings);
        let found = Painting::new(settings).map(drop).unwrap_err().to_string();
        assert!(found.starts_with(expected), "{found}");
    };
    check(|settings| settings.sizes.side = 18, "size is 18: ");
    check(|settings| settings.sizes.side = 0, "size is 0: ");
    check(|settings| settings.sizes.unet.channels = vec![], "unet_channels is []: ");
    check(|settings| settings.sizes.auto_encoder = vec![7], "auto_encoder_channels is [7]: ");
    check(|settings| settings.without_caption = 1.5, "without_caption is 1.5: ");
    check(|settings| settings.vocabulary = 7, "vocabulary is 7: ");
}
