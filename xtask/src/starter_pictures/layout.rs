//! Where the things of a scene stand, so that nothing touches and every word of the caption is plainly true.
//!
//! Each group has a region of the picture; in it its things stand in rows, each in a cell of its own.

use super::raster::{SIDE, Spot};
use super::scene::{Group, Place, Scene, Size};
use base::Rng;
use starter_words::phrase::pick;

/// Pixels between things at least.
const GAP: f64 = 3.5;
/// Sides of small things, of those whose size is unsaid, and of large ones, in pixels.
const SMALL: [f64; 2] = [11.5, 14.0];
const PLAIN: [f64; 2] = [15.5, 20.0];
const LARGE: [f64; 2] = [22.5, 27.0];
/// Pixels of a side of a corner, and of the short side of a half.
const HALF: f64 = 31.0;
/// Pixels of the band at a side of the picture.
const BAND: f64 = 28.0;
/// How far a group that is alone may stand from the middle of its region, in pixels.
const FREE: f64 = 10.0;

/// A part of the picture, in pixels.
#[derive(Clone, Copy)]
struct Region {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// How many things each row has, by their number.
fn arrangements(number: usize) -> &'static [&'static [usize]] {
    match number {
        1 => &[&[1]],
        2 => &[&[2], &[1, 1]],
        3 => &[&[3], &[1, 1, 1], &[1, 2], &[2, 1]],
        _ => &[&[4], &[1, 1, 1, 1], &[2, 2]],
    }
}

/// Whether the things of a group of a scene find room in the size that is said.
pub fn has_room(group: &Group, n_groups: usize) -> bool {
    let is_corner =
        matches!(group.place, Place::TopLeft | Place::TopRight | Place::BottomLeft | Place::BottomRight);
    let most = match group.place {
        _ if is_corner => 1,
        Place::Top | Place::Bottom | Place::Left | Place::Right => 3,
        _ => 4,
    };
    // A pair whose place is unsaid may stand either way, in halves of the same measures.
    let place = if n_groups == 2 && group.place == Place::Unsaid { Place::Above } else { group.place };
    let least = if group.size == Size::Large { LARGE[0] } else { SMALL[0] };
    group.number <= most && best_fit(region(place), group.number) >= least
}

/// Where each thing stands, group by group.
pub fn spots(rng: &mut Rng, scene: &Scene) -> Vec<Vec<Spot>> {
    let either = *pick(
        rng,
        &[
            [Place::Above, Place::Below],
            [Place::Below, Place::Above],
            [Place::LeftOf, Place::RightOf],
            [Place::RightOf, Place::LeftOf],
        ],
    );
    let is_pair = scene.groups.len() == 2;
    let groups = scene.groups.iter().zip(either);
    groups
        .map(|(group, other)| {
            let place = if is_pair && group.place == Place::Unsaid { other } else { group.place };
            in_region(rng, group, place)
        })
        .collect()
}

fn in_region(rng: &mut Rng, group: &Group, place: Place) -> Vec<Spot> {
    let region = region(place);
    let side = side(rng, group.size, best_fit(region, group.number));
    let fitting: Vec<&[usize]> = arrangements(group.number)
        .iter()
        .copied()
        .filter(|rows| fit(region, rows) >= side.min(best_fit(region, group.number)))
        .collect();
    let rows = *pick(rng, &fitting);
    let free = if place == Place::Middle { 1.0 } else { FREE };
    let [width, height] = cell(region, rows).map(|whole| {
        let least = side + GAP;
        least + (whole - least) * between(rng, [0.2, 0.9])
    });
    let block = [width * widest(rows) as f64, height * rows.len() as f64];
    let slack = [(region.width - block[0]) / 2.0, (region.height - block[1]) / 2.0];
    let [shift_x, shift_y] = slack.map(|slack| between(rng, [-1.0, 1.0]) * slack.clamp(0.0, free));
    let middle = [region.left + region.width / 2.0 + shift_x, region.top + region.height / 2.0 + shift_y];
    let slack = [width - side - GAP, height - side - GAP];
    let mut found = Vec::new();
    for (row, n) in rows.iter().enumerate() {
        for column in 0..*n {
            let x = middle[0] + width * (column as f64 - (*n as f64 - 1.0) / 2.0);
            let y = middle[1] + height * (row as f64 - (rows.len() as f64 - 1.0) / 2.0);
            let [x, y] = [(x, slack[0]), (y, slack[1])]
                .map(|(at, slack)| at + between(rng, [-0.5, 0.5]) * slack.clamp(0.0, 1.5));
            found.push(Spot { centre: [x, y], side: side * between(rng, [0.97, 1.0]) });
        }
    }
    found
}

fn between(rng: &mut Rng, [least, most]: [f64; 2]) -> f64 {
    least + (most - least) * rng.uniform()
}

fn side(rng: &mut Rng, size: Size, fit: f64) -> f64 {
    let [least, most] = match size {
        Size::Unsaid => PLAIN,
        Size::Small => SMALL,
        Size::Large => LARGE,
    };
    between(rng, [least.min(fit), most.min(fit)])
}

fn region(place: Place) -> Region {
    let whole = SIDE as f64 - 2.0;
    let (left, width) = match place {
        Place::TopLeft | Place::BottomLeft | Place::LeftOf => (1.0, HALF),
        Place::TopRight | Place::BottomRight | Place::RightOf => (1.0 + whole - HALF, HALF),
        Place::Left => (1.0, BAND),
        Place::Right => (1.0 + whole - BAND, BAND),
        _ => (1.0, whole),
    };
    let (top, height) = match place {
        Place::TopLeft | Place::TopRight | Place::Above => (1.0, HALF),
        Place::BottomLeft | Place::BottomRight | Place::Below => (1.0 + whole - HALF, HALF),
        Place::Top => (1.0, BAND),
        Place::Bottom => (1.0 + whole - BAND, BAND),
        _ => (1.0, whole),
    };
    Region { left, top, width, height }
}

fn widest(rows: &[usize]) -> usize {
    rows.iter().copied().max().unwrap_or(1)
}

/// Width and height of the cells that fill a region.
fn cell(region: Region, rows: &[usize]) -> [f64; 2] {
    [region.width / widest(rows) as f64, region.height / rows.len() as f64]
}

/// The longest side of things that leaves a gap.
fn fit(region: Region, rows: &[usize]) -> f64 {
    let [width, height] = cell(region, rows);
    width.min(height) - GAP
}

fn best_fit(region: Region, number: usize) -> f64 {
    arrangements(number).iter().map(|rows| fit(region, rows)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::scene::Part;
    use super::*;

    /// Nothing touches, nothing leaves the picture, and sizes are apart.
    #[test]
    fn things_have_room_around_them() {
        let mut rng = Rng::new(1);
        for _ in 0..5000 {
            let scene = Scene::choose(&mut rng, Part::Training);
            let spots = spots(&mut rng, &scene);
            for (group, spots) in scene.groups.iter().zip(&spots) {
                assert_eq!(group.number, spots.len());
                for spot in spots {
                    match group.size {
                        Size::Small => assert!(spot.side < 14.5),
                        Size::Large => assert!(spot.side > 21.5),
                        Size::Unsaid => assert!((11.0..20.5).contains(&spot.side)),
                    }
                }
            }
            let all: Vec<Spot> = spots.into_iter().flatten().collect();
            for (at, one) in all.iter().enumerate() {
                let frame = one
                    .centre
                    .map(|middle| (middle - one.side / 2.0).min(SIDE as f64 - middle - one.side / 2.0));
                assert!(frame[0] > 1.0 && frame[1] > 1.0, "{scene:?} {one:?}");
                for other in &all[..at] {
                    let apart = [0, 1].map(|axis| {
                        (one.centre[axis] - other.centre[axis]).abs() - (one.side + other.side) / 2.0
                    });
                    assert!(apart[0].max(apart[1]) > 3.0, "{scene:?} {one:?} {other:?}");
                }
            }
        }
    }
}
