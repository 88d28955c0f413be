//! What a picture shows, as far as its caption says it, and which combinations no training sees.
//!
//! Does not know how things are drawn nor how it is said.

use super::kinds::{KINDS, Kind};
use super::layout;
use super::raster::Rgb;
use base::Rng;
use serde_json::{Value, json};
use starter_words::phrase::{one_in, pick};

/// A colour: its name, what else it is called, and its middle.
pub struct Colour {
    pub name: &'static str,
    pub words: &'static [&'static str],
    pub rgb: Rgb,
}

/// Every colour of things.
pub static COLOURS: &[Colour] = &[
    Colour { name: "red", words: &["red"], rgb: [216, 30, 36] },
    Colour { name: "orange", words: &["orange"], rgb: [248, 138, 18] },
    Colour { name: "yellow", words: &["yellow"], rgb: [246, 216, 32] },
    Colour { name: "green", words: &["green"], rgb: [38, 158, 62] },
    Colour { name: "blue", words: &["blue"], rgb: [36, 84, 220] },
    Colour { name: "purple", words: &["purple", "purple", "violet"], rgb: [128, 44, 176] },
    Colour { name: "pink", words: &["pink"], rgb: [250, 130, 190] },
    Colour { name: BLACK, words: &["black"], rgb: [22, 22, 24] },
];

/// The colour that nobody sees on a dark background.
const BLACK: &str = "black";

/// What a caption says of the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Background {
    Unsaid,
    Light,
    Dark,
}

/// What a caption says of the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    Unsaid,
    Small,
    Large,
}

/// Where a group is: in the picture where it is alone, to the other group where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Unsaid,
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
    Top,
    Bottom,
    Left,
    Right,
    Middle,
    Above,
    Below,
    LeftOf,
    RightOf,
}

/// The places of a group that is alone.
const ALONE: &[Place] = &[
    Place::Unsaid,
    Place::Unsaid,
    Place::Unsaid,
    Place::TopLeft,
    Place::TopRight,
    Place::BottomLeft,
    Place::BottomRight,
    Place::Top,
    Place::Bottom,
    Place::Left,
    Place::Right,
    Place::Middle,
];

/// The places of the first group and of the second.
const PAIRS: &[[Place; 2]] = &[
    [Place::Unsaid, Place::Unsaid],
    [Place::Above, Place::Below],
    [Place::Above, Place::Below],
    [Place::LeftOf, Place::RightOf],
    [Place::LeftOf, Place::RightOf],
];

impl Place {
    /// The name that the check knows; none where the caption says nothing.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Unsaid => None,
            Self::TopLeft => Some("top left"),
            Self::TopRight => Some("top right"),
            Self::BottomLeft => Some("bottom left"),
            Self::BottomRight => Some("bottom right"),
            Self::Top => Some("top"),
            Self::Bottom => Some("bottom"),
            Self::Left => Some("left"),
            Self::Right => Some("right"),
            Self::Middle => Some("middle"),
            Self::Above => Some("above"),
            Self::Below => Some("below"),
            Self::LeftOf => Some("left of"),
            Self::RightOf => Some("right of"),
        }
    }
}

/// One to four equal things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Index into [`KINDS`].
    pub kind: usize,
    /// Index into [`COLOURS`].
    pub colour: usize,
    pub number: usize,
    pub size: Size,
    pub place: Place,
}

impl Group {
    fn choose(rng: &mut Rng, place: Place) -> Self {
        let kind = rng.below(KINDS.len());
        let colour = rng.below(COLOURS.len());
        let number = *pick(rng, &[1, 1, 1, 1, 2, 2, 2, 3, 3, 4]);
        let size = *pick(rng, &[Size::Unsaid, Size::Unsaid, Size::Small, Size::Large]);
        Self { kind, colour, number, size, place }
    }

    /// Its row of the table of kinds.
    pub fn kind(&self) -> &'static Kind {
        &KINDS[self.kind]
    }

    /// Its row of the table of colours.
    pub fn colour(&self) -> &'static Colour {
        &COLOURS[self.colour]
    }

    /// Whether its kind, colour, number and place together are held out: one combination of eight. The rule goes by
    /// names, so a new kind or colour moves none of the others. FNV-1a, 64 bits; source: G. Fowler, L. C. Noll,
    /// K.-P. Vo, D. Eastlake, "The FNV Non-Cryptographic Hash Algorithm", section 2; the high bits are the mixed ones.
    pub fn is_held_out(&self) -> bool {
        let place = self.place.name().unwrap_or("anywhere");
        let key = format!("{} {} {} {place}", self.number, self.colour().name, self.kind().name);
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325, |state: u64, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash >> 32).is_multiple_of(8)
    }

    fn expected(&self) -> Value {
        let size = match self.size {
            Size::Unsaid => None,
            Size::Small => Some("small"),
            Size::Large => Some("large"),
        };
        let (kind, colour) = (self.kind().name, self.colour().name);
        json!({ "kind": kind, "colour": colour, "number": self.number, "size": size, "place": self.place.name() })
    }
}

/// Whether scenes are for learning or for the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// No group is of a combination that is held out.
    Training,
    /// Every group is.
    HeldOut,
}

/// What a picture shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scene {
    pub groups: Vec<Group>,
    pub background: Background,
}

impl Scene {
    /// A scene of the part.
    pub fn choose(rng: &mut Rng, part: Part) -> Self {
        loop {
            let scene = Self::any(rng);
            let is_of_part = |group: &Group| group.is_held_out() == (part == Part::HeldOut);
            if scene.groups.iter().all(is_of_part) && scene.can_be_drawn() {
                return scene;
            }
        }
    }

    fn any(rng: &mut Rng) -> Self {
        let background = match rng.below(8) {
            0 => Background::Light,
            1 => Background::Dark,
            _ => Background::Unsaid,
        };
        let groups = if one_in(rng, 2) {
            let place = *pick(rng, ALONE);
            vec![Group::choose(rng, place)]
        } else {
            let places = *pick(rng, PAIRS);
            places.map(|place| Group::choose(rng, place)).into()
        };
        Self { groups, background }
    }

    /// Whether every group has room, can be seen, and can be told from the other.
    fn can_be_drawn(&self) -> bool {
        let is_seen = self.background != Background::Dark || !self.has_black();
        let is_told = match &self.groups[..] {
            [first, second] => (first.kind, first.colour) != (second.kind, second.colour),
            _ => true,
        };
        is_seen && is_told && self.groups.iter().all(|group| layout::has_room(group, self.groups.len()))
    }

    /// Whether something in it is black.
    pub fn has_black(&self) -> bool {
        self.groups.iter().any(|group| group.colour().name == BLACK)
    }

    /// What a program that sees only the picture has to find: `{"background", "groups": [{"kind", "colour",
    /// "number", "size", "place"}]}`, null where the caption says nothing.
    pub fn expected(&self) -> Value {
        let background = match self.background {
            Background::Unsaid => None,
            Background::Light => Some("light"),
            Background::Dark => Some("dark"),
        };
        let groups: Vec<Value> = self.groups.iter().map(Group::expected).collect();
        json!({ "background": background, "groups": groups })
    }
}

/// How many combinations of kind, colour, number and place there are, and how many of them are held out.
pub fn count() -> (usize, usize) {
    let alone = ALONE.iter().map(|place| (*place, 1));
    let pairs = PAIRS.iter().flatten().map(|place| (*place, 2));
    let mut found = std::collections::BTreeSet::new();
    for (place, n_groups) in alone.chain(pairs) {
        for at in 0..KINDS.len() * COLOURS.len() * 4 {
            let (rest, number) = (at / 4, at % 4 + 1);
            let (kind, colour) = (rest / COLOURS.len(), rest % COLOURS.len());
            let group = Group { kind, colour, number, size: Size::Unsaid, place };
            if layout::has_room(&group, n_groups) {
                found.insert(group);
            }
        }
    }
    (found.len(), found.iter().filter(|group| group.is_held_out()).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn scenes(seed: u64, n: usize, part: Part) -> Vec<Scene> {
        let mut rng = Rng::new(seed);
        (0..n).map(|_| Scene::choose(&mut rng, part)).collect()
    }

    #[test]
    fn no_combination_of_the_test_is_in_the_training() {
        let keys = |scenes: &[Scene]| -> BTreeSet<(usize, usize, usize, Place)> {
            let groups = scenes.iter().flat_map(|scene| &scene.groups);
            groups.map(|group| (group.kind, group.colour, group.number, group.place)).collect()
        };
        let learned = keys(&scenes(1, 20_000, Part::Training));
        let asked = keys(&scenes(2, 2000, Part::HeldOut));
        assert!(learned.is_disjoint(&asked));
        assert!(learned.len() > 3000 && asked.len() > 400, "{} {}", learned.len(), asked.len());
        let (all, held_out) = count();
        assert!((all / 9..all / 7).contains(&held_out), "{held_out} of {all}");
    }

    #[test]
    fn every_kind_in_every_colour_every_number_and_every_place_is_learned() {
        let learned = scenes(3, 20_000, Part::Training);
        let groups = || learned.iter().flat_map(|scene| &scene.groups);
        let pairs: BTreeSet<_> = groups().map(|group| (group.kind, group.colour)).collect();
        assert_eq!(pairs.len(), KINDS.len() * COLOURS.len());
        let numbers: BTreeSet<_> = groups().map(|group| (group.number, group.kind)).collect();
        assert_eq!(numbers.len(), 4 * KINDS.len());
        let places: BTreeSet<_> = groups().map(|group| group.place).collect();
        assert_eq!(places.len(), 14);
        let sizes: BTreeSet<_> = groups().map(|group| (group.size, group.number)).collect();
        assert_eq!(sizes.len(), 12);
    }

    #[test]
    fn nothing_black_is_on_a_dark_background_and_groups_differ() {
        for scene in scenes(4, 5000, Part::Training) {
            assert!(scene.background != Background::Dark || !scene.has_black());
            if let [first, second] = &scene.groups[..] {
                assert_ne!((first.kind, first.colour), (second.kind, second.colour));
            }
        }
    }
}
