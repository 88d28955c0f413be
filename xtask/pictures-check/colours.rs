//! Which colour a thing has, and whether a background is light.
//!
//! A thin thing in a blurred picture is nowhere covered in full: its colour is then a mixture with the background, so
//! the middle of each colour is sought on the way from the background to it.

use crate::things::{Rgb, distance};

/// The colours that are told apart, and their middles.
static COLOURS: &[(&str, Rgb)] = &[
    ("red", [216.0, 30.0, 36.0]),
    ("orange", [248.0, 138.0, 18.0]),
    ("yellow", [246.0, 216.0, 32.0]),
    ("green", [38.0, 158.0, 62.0]),
    ("blue", [36.0, 84.0, 220.0]),
    ("purple", [128.0, 44.0, 176.0]),
    ("pink", [250.0, 130.0, 190.0]),
    ("black", [22.0, 22.0, 24.0]),
];
/// How little of a colour may be there, in the thinnest thing.
const LEAST: f32 = 0.75;
/// A colour is none of them that is farther from all.
const FARTHEST: f32 = 60.0;

/// The name of the colour of a thing on a background; none where it is between them.
pub fn name(colour: Rgb, background: Rgb) -> Option<&'static str> {
    let mut near: Vec<(f32, &str)> =
        COLOURS.iter().map(|(name, middle)| (farness(colour, background, *middle), *name)).collect();
    near.sort_by(|one, other| one.0.total_cmp(&other.0));
    near.first().filter(|(far, _)| *far < FARTHEST).map(|(_, name)| *name)
}

/// How far a colour is from the last part of the way from the background to a middle.
fn farness(colour: Rgb, background: Rgb, middle: Rgb) -> f32 {
    let way: Rgb = std::array::from_fn(|channel| middle[channel] - background[channel]);
    let gone: f32 = (0..3).map(|channel| (colour[channel] - background[channel]) * way[channel]).sum();
    let share = gone / way.iter().map(|part| part * part).sum::<f32>().max(1.0);
    let share = share.clamp(LEAST, 1.0);
    distance(colour, std::array::from_fn(|channel| background[channel] + share * way[channel]))
}

/// `light` or `dark`; none between them.
pub fn shade(background: Rgb) -> Option<&'static str> {
    let [least, most] =
        [f32::min, f32::max].map(|choose| background.into_iter().reduce(choose).unwrap_or(0.0));
    match (least, most) {
        (180.0.., _) => Some("light"),
        (_, ..80.0) => Some("dark"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_named_in_full_and_mixed_with_the_background() {
        let check = |colour: Rgb, background: Rgb, expected: Option<&str>| {
            assert_eq!(name(colour, background), expected, "{colour:?} {background:?}");
        };
        for (name, middle) in COLOURS {
            for background in
                [[235.0; 3], [30.0; 3]].into_iter().filter(|ground| distance(*ground, *middle) > 80.0)
            {
                check(*middle, background, Some(*name));
                let mixed =
                    std::array::from_fn(|channel| 0.85 * middle[channel] + 0.15 * background[channel]);
                check(mixed, background, Some(*name));
            }
        }
        check([128.0; 3], [240.0; 3], None);
        check([0.0, 255.0, 255.0], [240.0; 3], None);
    }

    #[test]
    fn backgrounds_are_light_dark_or_neither() {
        assert_eq!(shade([240.0, 230.0, 236.0]), Some("light"));
        assert_eq!(shade([30.0, 20.0, 33.0]), Some("dark"));
        assert_eq!(shade([128.0; 3]), None);
        assert_eq!(shade([250.0, 20.0, 20.0]), None);
    }
}
