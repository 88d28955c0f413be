//! The losses of both stages with their gradients.

use burn::tensor::{Device, Tensor, TensorData};
use models::images::auto_encoder::{AutoEncoder, KlConfig};
use models::images::clip::{ClipConfig, ClipText, Ending, Reading};
use models::images::learning::{Under, Weights};
use models::images::unet::{Input, UNet, UNetConfig};
use models::parameters::Learned;
use models::tensors::Tensors;
use ops::Precision;

/// What the names of the parts of a denoiser begin with.
pub(super) const TEXT_ENCODER: &str = "text_encoder/";
pub(super) const UNET: &str = "unet/";
/// What an image model reads of a caption: what Stable Diffusion reads.
const READING: Reading = Reading { n_skipped: 0, ending: Ending::Normalised };

/// Numbers of images one after another, `[N, H, W, C]`.
pub(super) struct Images {
    pub values: Vec<f32>,
    pub dims: [usize; 4],
}

impl Images {
    fn tensor(self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values, self.dims), device)
    }
}

/// A loss, and the gradient of every weight in its order.
pub(super) type Learning = (f64, Vec<Learned>);

/// The mean square of what an auto-encoder changes in some pictures, and `weight` times how far its latents are from a
/// normal distribution (D. P. Kingma and M. Welling (2014), appendix B, per number of the latents).
pub(super) fn auto_encoder(
    (weights, config): (&Weights, &KlConfig),
    (pictures, noise): (Images, Images),
    weight: f64,
    precision: Precision,
) -> Result<Learning, models::Error> {
    let (model, leaves) =
        weights.taped(|tensors, device| AutoEncoder::load(tensors, config.clone(), device))?;
    let device = weights.device().clone().autodiff();
    let pictures = pictures.tensor(&device); // [N, H, W, 3]
    let moments = model.encode(pictures.clone(), precision);
    let (mean, log_variance) = (moments.mean.clone(), moments.log_variance.clone());
    let distance = mean.clone() * mean + log_variance.clone().exp() - log_variance - 1.0; // [N, h, w, L]
    let latents = moments.sample(noise.tensor(&device)); // [N, h, w, L]
    let change = model.decode(latents, precision) - pictures; // [N, H, W, 3]
    let loss = (change.clone() * change).mean() + distance.mean() * (0.5 * weight);
    let mut gradients = loss.backward();
    let found = leaves.take_gradients(&mut gradients);
    Ok((f64::from(loss.into_scalar::<f32>()), complete(weights, found)))
}

/// The latents of some pictures: the means that the encoder says.
pub(super) fn latents(
    (weights, config): (&Weights, &KlConfig),
    pictures: Images,
    precision: Precision,
) -> Result<Vec<f32>, models::Error> {
    let model = weights.plain(|tensors, device| AutoEncoder::load(tensors, config.clone(), device))?;
    let moments = model.encode(pictures.tensor(weights.device()), precision);
    Ok(moments.mean.into_data().try_into_vec().expect("latents are f32, by construction"))
}

/// Loads text encoder and U-Net.
pub(super) fn denoiser_of(
    (text, unet): (&ClipConfig, &UNetConfig),
    tensors: &dyn Tensors,
    device: &Device,
) -> Result<(ClipText, UNet), models::Error> {
    let under = |prefix| Under { tensors, prefix };
    let text = ClipText::load(&under(TEXT_ENCODER), text.clone(), device)?;
    Ok((text, UNet::load(&under(UNET), unet.clone(), device)?))
}

/// What a denoiser is shown.
pub(super) struct Noisy<'a> {
    /// Latents with noise.
    pub latents: Images,
    /// What it should say: the velocity.
    pub target: Images,
    /// How much noise there is.
    pub times: &'a [f32],
    /// The captions, one after another.
    pub ids: &'a [u32],
}

/// The mean square of what a denoiser says wrongly.
pub(super) fn denoiser(
    (weights, configs): (&Weights, (&ClipConfig, &UNetConfig)),
    noisy: Noisy<'_>,
    precision: Precision,
) -> Result<Learning, models::Error> {
    let load = |tensors: &dyn Tensors, device: &Device| denoiser_of(configs, tensors, device);
    let ((text, unet), leaves) = weights.taped(load)?;
    let device = weights.device().clone().autodiff();
    let text = text.encode(noisy.ids, noisy.times.len(), READING, precision).states; // [N, S, D]
    let latents = noisy.latents.tensor(&device); // [N, h, w, L]
    let said = unet.forward(Input { latents, times: noisy.times, text, added: None }, precision, None);
    let wrong = said - noisy.target.tensor(&device); // [N, h, w, L]
    let loss = (wrong.clone() * wrong).mean();
    let mut gradients = loss.backward();
    let found = leaves.take_gradients(&mut gradients);
    Ok((f64::from(loss.into_scalar::<f32>()), complete(weights, found)))
}

/// What nothing depends on learns nothing.
fn complete(weights: &Weights, gradients: Vec<Option<Learned>>) -> Vec<Learned> {
    let zeros = |shape: &[usize]| Learned::new(vec![0.0; shape.iter().product()], shape, weights.device());
    let all = weights.iter().zip(gradients);
    all.map(|(parameter, found)| found.unwrap_or_else(|| zeros(&parameter.shape))).collect()
}
