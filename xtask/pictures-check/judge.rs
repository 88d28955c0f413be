//! Whether what was seen is what is expected, attribute by attribute.

use crate::item::{Expected, Group};
use crate::picture::SIDE;

/// What is told right or wrong for itself.
pub const ATTRIBUTES: [&str; 6] = ["kind", "colour", "number", "size", "place", "background"];

/// Longer sides up to which a thing is small, and from which it is large, in pixels.
const SMALL: f32 = 16.5;
const LARGE: f32 = 17.0;
/// A group is at a side whose centre is less than this share of the picture from it.
const AT_SIDE: f32 = 0.42;
/// A group is in the middle whose centre is at most this share of the picture away.
const IN_MIDDLE: f32 = 0.1;
/// How far the centres of two groups are apart at least, above or beside each other, as a share of the picture.
const APART: f32 = 0.15;

/// A thing as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub kind: Option<String>,
    pub colour: Option<&'static str>,
    /// The longer side, in pixels.
    pub extent: f32,
    /// In pixels from the top left corner.
    pub centre: [f32; 2],
}

/// For each attribute whether it is as expected; what nothing is expected of is right.
pub fn judge(expected: &Expected, seen: &[Seen], background: Option<&str>) -> [bool; 6] {
    let groups = assign(&expected.groups, seen);
    let each = |holds: &dyn Fn(&Group, &Seen) -> bool| {
        let mut pairs = expected.groups.iter().zip(&groups);
        pairs.all(|(group, found)| !found.is_empty() && found.iter().all(|thing| holds(group, thing)))
    };
    let is_background = expected.background.as_deref().is_none_or(|wanted| background == Some(wanted));
    [
        each(&|group, thing| thing.kind.as_deref() == Some(group.kind.as_str())),
        each(&|group, thing| thing.colour == Some(group.colour.as_str())),
        expected.groups.iter().zip(&groups).all(|(group, found)| group.number == found.len()),
        each(&|group, thing| is_size(group.size.as_deref(), thing.extent)),
        is_place(&expected.groups, &groups),
        is_background,
    ]
}

/// Which things are each group's: those that are more like it; of two groups that are as like, the one that lacks
/// more.
fn assign<'a>(groups: &[Group], seen: &'a [Seen]) -> Vec<Vec<&'a Seen>> {
    let mut found = vec![Vec::new(); groups.len()];
    let [first, second] = groups else {
        found.iter_mut().for_each(|group| group.extend(seen));
        return found;
    };
    let likeness = |group: &Group, thing: &Seen| {
        i32::from(thing.kind.as_deref() == Some(group.kind.as_str()))
            + i32::from(thing.colour == Some(group.colour.as_str()))
    };
    let preference = |thing: &Seen| likeness(first, thing) - likeness(second, thing);
    let mut undecided = Vec::new();
    for thing in seen {
        match preference(thing) {
            1.. => found[0].push(thing),
            0 => undecided.push(thing),
            _ => found[1].push(thing),
        }
    }
    for thing in undecided {
        let lacking = [0, 1].map(|at| groups[at].number as isize - found[at].len() as isize);
        found[usize::from(lacking[1] > lacking[0])].push(thing);
    }
    found
}

fn is_size(wanted: Option<&str>, extent: f32) -> bool {
    match wanted {
        Some("small") => extent < SMALL,
        Some("large") => extent > LARGE,
        Some(_) => false,
        None => true,
    }
}

fn is_place(groups: &[Group], found: &[Vec<&Seen>]) -> bool {
    let Some(wanted) = groups[0].place.as_deref() else { return true };
    let (Some(first), second) = (centre(&found[0]), found.get(1).and_then(|group| centre(group))) else {
        return false;
    };
    let is_low = |at: f32| at < AT_SIDE;
    let is_high = |at: f32| at > 1.0 - AT_SIDE;
    let [x, y] = first;
    match (wanted, second) {
        ("top", None) => is_low(y),
        ("bottom", None) => is_high(y),
        ("left", None) => is_low(x),
        ("right", None) => is_high(x),
        ("top left", None) => is_low(x) && is_low(y),
        ("top right", None) => is_high(x) && is_low(y),
        ("bottom left", None) => is_low(x) && is_high(y),
        ("bottom right", None) => is_high(x) && is_high(y),
        ("middle", None) => (x - 0.5).abs() < IN_MIDDLE && (y - 0.5).abs() < IN_MIDDLE,
        ("above", Some(other)) => is_before(&found[0], &found[1], 1) && is_along([x, y], other, 1),
        ("left of", Some(other)) => is_before(&found[0], &found[1], 0) && is_along([x, y], other, 0),
        _ => false,
    }
}

/// Whether each thing of one group has its centre before all of the other's.
fn is_before(one: &[&Seen], other: &[&Seen], axis: usize) -> bool {
    one.iter().all(|thing| other.iter().all(|follower| thing.centre[axis] < follower.centre[axis]))
}

/// Whether the way from one centre to the other goes along the axis more than across it, and far enough.
fn is_along(one: [f32; 2], other: [f32; 2], axis: usize) -> bool {
    let way = [other[0] - one[0], other[1] - one[1]];
    way[axis] > APART && way[axis] >= way[1 - axis].abs()
}

/// The middle of the box around the centres, as shares of the picture.
fn centre(things: &[&Seen]) -> Option<[f32; 2]> {
    let middle = |axis: usize| {
        let along = || things.iter().map(|thing| thing.centre[axis]);
        Some((along().reduce(f32::min)? + along().reduce(f32::max)?) / 2.0 / SIDE as f32)
    };
    Some([middle(0)?, middle(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: &str, colour: &str, number: usize, place: Option<&str>) -> Group {
        let (kind, colour, place) = (kind.to_owned(), colour.to_owned(), place.map(str::to_owned));
        Group { kind, colour, number, size: Some("small".to_owned()), place }
    }

    fn seen(kind: &str, colour: &'static str, x: f32, y: f32) -> Seen {
        Seen { kind: Some(kind.to_owned()), colour: Some(colour), extent: 13.0, centre: [x, y] }
    }

    fn wrong(expected: &Expected, seen: &[Seen]) -> Vec<&'static str> {
        let told = judge(expected, seen, Some("dark"));
        ATTRIBUTES.into_iter().zip(told).filter(|(_, is_right)| !is_right).map(|(name, _)| name).collect()
    }

    #[test]
    fn two_groups_are_told_apart_and_each_attribute_can_be_wrong() {
        let groups = vec![group("circle", "red", 2, Some("above")), group("house", "blue", 1, Some("below"))];
        let expected = Expected { background: Some("dark".to_owned()), groups };
        let right = vec![
            seen("house", "blue", 30.0, 50.0),
            seen("circle", "red", 20.0, 12.0),
            seen("circle", "red", 44.0, 15.0),
        ];
        let check = |change: &dyn Fn(&mut Vec<Seen>), expected_wrong: &[&str]| {
            let mut things = right.clone();
            change(&mut things);
            assert_eq!(wrong(&expected, &things), expected_wrong);
        };
        check(&|_| {}, &[]);
        check(&|things| things[0].kind = Some("tree".to_owned()), &["kind"]);
        check(&|things| things[0].kind = None, &["kind"]);
        check(&|things| things[1].colour = Some("green"), &["colour"]);
        check(&|things| things.truncate(2), &["number"]);
        check(&|things| things.push(seen("house", "blue", 10.0, 52.0)), &["number"]);
        check(&|things| things[0].extent = 25.0, &["size"]);
        check(&|things| things[0].centre = [30.0, 13.0], &["place"]);
        check(&|things| things[2].centre = [44.0, 55.0], &["place"]);
        check(&|things| things.clear(), &["kind", "colour", "number", "size", "place"]);
        let light = Expected { background: Some("light".to_owned()), ..expected.clone() };
        assert_eq!(wrong(&light, &right), ["background"]);
    }

    #[test]
    fn a_group_alone_is_where_it_is_said_to_be() {
        let check = |place: &str, x: f32, y: f32, is_there: bool| {
            let groups = vec![group("star", "pink", 1, Some(place))];
            let found = wrong(&Expected { background: None, groups }, &[seen("star", "pink", x, y)]);
            assert_eq!(found.is_empty(), is_there, "{place} {x} {y}: {found:?}");
        };
        check("top left", 12.0, 14.0, true);
        check("top left", 32.0, 14.0, false);
        check("bottom right", 50.0, 50.0, true);
        check("top", 32.0, 12.0, true);
        check("bottom", 32.0, 12.0, false);
        check("left", 10.0, 30.0, true);
        check("right", 10.0, 30.0, false);
        check("middle", 33.0, 30.0, true);
        check("middle", 45.0, 30.0, false);
        check("above", 32.0, 12.0, false);
    }
}
