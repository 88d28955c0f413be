//! The pictures that the starter image model learns from: simple things with words for their colour, number, size
//! and place, drawn by this program.
//!
//! Is not a collection: nothing is read, nothing is copied, every pixel follows from the seed and the tables beside
//! this file. The same seed gives the same bytes on every machine. Whether a picture shows what it should is judged
//! by another program (`xtask/pictures-check`), which sees pixels only.

mod caption;
mod kinds;
mod layout;
mod raster;
mod scene;
mod write;

use base::Rng;
use raster::{Picture, Rgb};
use scene::{Background, Part, Scene};

pub use write::run;

/// A picture and what is said of it.
struct Sample {
    scene: Scene,
    caption: String,
    picture: Picture,
}

impl Sample {
    /// The sample of a seed and a number, the same whatever others are made.
    fn new(seed: u64, index: usize, part: Part) -> Self {
        let mut rng = Rng::new(seed ^ ((index as u64 + 1) << 32));
        let scene = Scene::choose(&mut rng, part);
        let caption = caption::caption(&mut rng, &scene);
        let picture = draw(&mut rng, &scene);
        Self { scene, caption, picture }
    }
}

/// The picture of a scene; what the caption leaves open is left to chance.
fn draw(rng: &mut Rng, scene: &Scene) -> Picture {
    let mut picture = Picture::plain(shade(rng, scene));
    for (group, spots) in scene.groups.iter().zip(layout::spots(rng, scene)) {
        let colour = jitter(rng, group.colour().rgb, 12.0);
        for spot in spots {
            picture.paint(group.kind().strokes, spot, colour);
        }
    }
    picture
}

/// The colour of the background: nearly white or nearly black.
fn shade(rng: &mut Rng, scene: &Scene) -> Rgb {
    let is_dark = match scene.background {
        Background::Light => false,
        Background::Dark => true,
        Background::Unsaid => !scene.has_black() && rng.below(5) == 0,
    };
    let (least, range) = if is_dark { (16.0, 24.0) } else { (222.0, 28.0) };
    let grey = (least + range * rng.uniform()) as u8;
    jitter(rng, [grey; 3], 5.0)
}

/// The colour with each channel up to `most` steps brighter or darker.
fn jitter(rng: &mut Rng, colour: Rgb, most: f64) -> Rgb {
    colour.map(|channel| {
        let moved = f64::from(channel) + (2.0 * rng.uniform() - 1.0) * most;
        moved.clamp(0.0, 255.0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_for_ever() {
        let bytes: Vec<u8> =
            (0..50).flat_map(|index| Sample::new(1, index, Part::Training).picture.png().unwrap()).collect();
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |state: u64, byte| {
            (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        assert_eq!(
            hash, 0x0493_de4e_1e0b_b05f,
            "the pictures of a seed have changed; so will the model that learns from them"
        );
        let [one, other] = [1, 2].map(|seed| Sample::new(seed, 0, Part::Training));
        assert!(one.picture != other.picture && one.scene != other.scene);
    }
}
