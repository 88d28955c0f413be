//! A rough picture of latents on their way: every colour is a weighted sum of the channels, so that it costs nothing beside
//! a step and needs no auto-encoder.
//!
//! The weights are fits by least squares of pictures to the latents of their auto-encoders, brought to the scale at which a
//! model sees them. Source of the numbers: ComfyUI, `latent_formats.py` (`latent_rgb_factors`), the first of them by
//! K. Turner ("Decoding latents to RGB without upscaling", 2022).
//!
//! Does not: replace an auto-encoder. One pixel stands for all that one latent becomes.

use crate::Latent;
use crate::pipeline::Kind;
use crate::raster::Raster;

const COLOURS: usize = 3;

/// How the channels of an auto-encoder's latents become red, green and blue, from -1 to 1.
struct Fit {
    /// A row for each channel.
    weights: &'static [[f32; COLOURS]],
    /// What is added.
    bias: [f32; COLOURS],
}

/// Stable Diffusion 1 and 2.
static STABLE: Fit = Fit {
    weights: &[
        [0.3512, 0.2297, 0.3227],
        [0.3250, 0.4974, 0.2350],
        [-0.2829, 0.1762, 0.2721],
        [-0.2120, -0.2616, -0.7177],
    ],
    bias: [0.0; COLOURS],
};

/// SDXL.
static XL: Fit = Fit {
    weights: &[
        [0.3651, 0.4232, 0.4341],
        [-0.2533, -0.0042, 0.1068],
        [0.1076, 0.1111, -0.0362],
        [-0.3165, -0.2492, -0.2188],
    ],
    bias: [0.1084, -0.0175, -0.0011],
};

/// FLUX.1, and others with its auto-encoder.
static FLUX: Fit = Fit {
    weights: &[
        [-0.0346, 0.0244, 0.0681],
        [0.0034, 0.0210, 0.0687],
        [0.0275, -0.0668, -0.0433],
        [-0.0174, 0.0160, 0.0617],
        [0.0859, 0.0721, 0.0329],
        [0.0004, 0.0383, 0.0115],
        [0.0405, 0.0861, 0.0915],
        [-0.0236, -0.0185, -0.0259],
        [-0.0245, 0.0250, 0.1180],
        [0.1008, 0.0755, -0.0421],
        [-0.0515, 0.0201, 0.0011],
        [0.0428, -0.0012, -0.0036],
        [0.0817, 0.0765, 0.0749],
        [-0.1264, -0.0522, -0.1103],
        [-0.0280, -0.0881, -0.0499],
        [-0.1262, -0.0982, -0.0778],
    ],
    bias: [-0.0329, -0.0718, -0.0851],
};

/// What the first picture of latents roughly looks like; nothing where no weights are known for so many channels.
///
/// # Shapes
/// `latent`: N C y x, at the scale at which the model sees them; → y x 3.
pub fn rough(latent: &Latent, kind: Kind) -> Option<Raster> {
    let shape = latent.shape();
    let fit = match (kind, shape.channels) {
        (Kind::Xl, 4) => &XL,
        (_, 4) => &STABLE,
        (_, 16) => &FLUX,
        _ => return None,
    };
    let (values, area) = (latent.picture(0), shape.rows * shape.columns);
    if area == 0 || values.is_empty() {
        return None;
    }
    let colour = |at: usize, colour: usize| {
        let channels = fit.weights.iter().enumerate();
        let sum: f32 = channels.map(|(channel, row)| row[colour] * values[channel * area + at]).sum();
        // What is no number becomes black.
        ((sum + fit.bias[colour] + 1.0) * 127.5).clamp(0.0, 255.0) as u8
    };
    let pixels = (0..area).flat_map(|at| (0..COLOURS).map(move |index| (at, index)));
    let data = pixels.map(|(at, index)| colour(at, index)).collect();
    Raster::of(data, [shape.columns, shape.rows])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;

    fn latent(channels: usize, values: &[f32]) -> Latent {
        let columns = values.len() / channels;
        Latent::new(values.to_vec(), Shape::new(1, channels, 1, columns).unwrap()).unwrap()
    }

    #[test]
    fn channels_become_colours_by_their_weights() {
        // Two pixels: nothing, and one in the first channel.
        let found = rough(&latent(4, &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), Kind::Stable).unwrap();
        assert_eq!((found.size(), found.data()), ([2, 1], [127, 127, 127, 172, 156, 168].as_slice()));
        let found = rough(&latent(4, &[0.0, 0.0, 0.0, -2.0]), Kind::Xl).unwrap();
        assert_eq!(found.data(), [222, 188, 183]);
        let found = rough(&latent(16, &[0.0; 16]), Kind::Stable).unwrap();
        assert_eq!(found.data(), [123, 118, 116]);
    }

    #[test]
    fn numbers_that_are_none_make_no_trouble_and_unknown_latents_no_picture() {
        let found = rough(&latent(4, &[f32::NAN, f32::INFINITY, 1e30, -1e30]), Kind::Stable).unwrap();
        assert_eq!(found.data().len(), 3);
        assert!(rough(&latent(5, &[0.0; 5]), Kind::Stable).is_none());
        assert!(rough(&Latent::zeros(Shape::new(0, 4, 2, 2).unwrap()).unwrap(), Kind::Stable).is_none());
    }
}
