//! What a person would type to get a scene: one of many ways to say it.
//!
//! Says everything that the scene has settled and nothing else.

use super::scene::{Background, Group, Place, Scene, Size};
use base::Rng;
use starter_words::phrase::{capital, fill, one_in, phrase, pick, with_article};

/// A way of saying the scene.
pub fn caption(rng: &mut Rng, scene: &Scene) -> String {
    let said = match &scene.groups[..] {
        [group] if one_in(rng, 8) => listed(rng, group),
        [group] => alone(rng, group),
        [first, second, ..] => together(rng, first, second),
        [] => String::new(),
    };
    let said = with_background(rng, said, scene.background);
    match rng.below(8) {
        0 => format!("{}.", capital(&said)),
        1 => capital(&said),
        _ => said,
    }
}

/// How a group is named.
#[derive(Clone, Copy)]
enum Manner {
    /// `a red star`, `two red stars`.
    Full,
    /// `red star`, `two red stars`.
    Short,
}

fn manner(rng: &mut Rng) -> Manner {
    if one_in(rng, 6) { Manner::Short } else { Manner::Full }
}

/// The group with its number, size, colour and kind.
fn named(rng: &mut Rng, group: &Group, manner: Manner) -> String {
    let (one, several) = *pick(rng, group.kind().words);
    let noun = if group.number == 1 { one } else { several };
    let colour = *pick(rng, group.colour().words);
    let size = size(rng, group.size);
    // The size stands first, or behind the noun.
    let (before, after) = match size {
        "" => (format!("{colour} {noun}"), String::new()),
        size if one_in(rng, 8) => {
            let is = if group.number == 1 { "is" } else { "are" };
            (format!("{colour} {noun}"), format!(" that {is} {size}"))
        }
        size => (format!("{size} {colour} {noun}"), String::new()),
    };
    let counted = match (group.number, manner) {
        (1, Manner::Short) => before,
        (1, Manner::Full) => match rng.below(8) {
            0 => format!("one {before}"),
            1 => format!("a single {before}"),
            _ => with_article(&before),
        },
        (number, _) => format!("{} {before}", number_word(rng, number)),
    };
    counted + &after
}

fn size(rng: &mut Rng, size: Size) -> &'static str {
    match size {
        Size::Unsaid => "",
        Size::Small => pick::<&str>(rng, &["small", "small", "little", "tiny"]),
        Size::Large => pick::<&str>(rng, &["large", "big", "big"]),
    }
}

fn number_word(rng: &mut Rng, number: usize) -> &'static str {
    let (word, figure) = match number {
        1 => ("one", "1"),
        2 => ("two", "2"),
        3 => ("three", "3"),
        _ => ("four", "4"),
    };
    if one_in(rng, 6) { figure } else { word }
}

/// `star, red, large, in the middle`.
fn listed(rng: &mut Rng, group: &Group) -> String {
    let (one, several) = *pick(rng, group.kind().words);
    let mut parts = vec![match group.number {
        1 => one.to_owned(),
        number => format!("{} {several}", number_word(rng, number)),
    }];
    parts.push((*pick(rng, group.colour().words)).to_owned());
    parts.extend(Some(size(rng, group.size).to_owned()).filter(|size| !size.is_empty()));
    parts.extend(place(rng, group.place));
    parts.join(", ")
}

fn alone(rng: &mut Rng, group: &Group) -> String {
    let manner = manner(rng);
    let things = named(rng, group, manner);
    let there = if group.number == 1 { "there is" } else { "there are" };
    let pattern = match (place(rng, group.place), manner) {
        (None, Manner::Short) => "@things",
        (None, Manner::Full) => "{@things|@things|@things|@there @things|a picture of @things|draw @things}",
        (Some(_), Manner::Short) => "@things @place",
        (Some(_), Manner::Full) => {
            "{@things @place|@things @place|@things @place|@place, @things|@place @there @things|@there @things @place|a picture of @things @place}"
        }
    };
    let at = place(rng, group.place).unwrap_or_default();
    let said = phrase(rng, pattern);
    fill(&said, &|blank| match blank {
        "things" => Some(things.clone()),
        "there" => Some(there.to_owned()),
        "place" => Some(at.clone()),
        _ => None,
    })
}

/// Where in the picture.
fn place(rng: &mut Rng, place: Place) -> Option<String> {
    let pattern = match place {
        Place::TopLeft => "{in the {top|upper} left corner|at the top left|in the top left}",
        Place::TopRight => "{in the {top|upper} right corner|at the top right|in the top right}",
        Place::BottomLeft => "{in the {bottom|lower} left corner|at the bottom left|in the bottom left}",
        Place::BottomRight => "{in the {bottom|lower} right corner|at the bottom right|in the bottom right}",
        Place::Top => "{at the top|at the top|near the top}",
        Place::Bottom => "{at the bottom|at the bottom|near the bottom}",
        Place::Left => "on the left{| side}",
        Place::Right => "on the right{| side}",
        Place::Middle => "in the {middle|middle|centre|center}",
        _ => return None,
    };
    Some(phrase(rng, pattern))
}

/// Two groups and how they stand to each other, in either order.
fn together(rng: &mut Rng, first: &Group, second: &Group) -> String {
    let manner = manner(rng);
    let names = [named(rng, first, manner), named(rng, second, manner)];
    let pattern = match first.place {
        Place::Above => {
            "{@first above @second|@first above @second|@first over @second|@second below @first|@second under @first|@second beneath @first|@second with @first above @them|above @second, @first|@first with @second below @those}"
        }
        Place::LeftOf => {
            "{@first {to the |}left of @second|@first to the left of @second|@second {to the |}right of @first|@second to the right of @first|@first on the left and @second on the right|on the left @first, on the right @second|@second with @first to the left of @them}"
        }
        _ => "{@first and @second|@second and @first|@first and @second|@first with @second|@second, @first}",
    };
    let said = phrase(rng, pattern);
    let it = |group: &Group| if group.number == 1 { "it" } else { "them" };
    fill(&said, &|blank| match blank {
        "first" => Some(names[0].clone()),
        "second" => Some(names[1].clone()),
        "those" => Some(it(first).to_owned()),
        "them" => Some(it(second).to_owned()),
        _ => None,
    })
}

fn with_background(rng: &mut Rng, said: String, background: Background) -> String {
    let shade = match background {
        Background::Unsaid => return said,
        Background::Light => *pick::<&str>(rng, &["light", "light", "white", "bright"]),
        Background::Dark => *pick::<&str>(rng, &["dark", "dark", "black"]),
    };
    match rng.below(8) {
        0 => format!("{shade} background, {said}"),
        1 => format!("on a {shade} background, {said}"),
        2 => format!("{said}, {shade} background"),
        _ => format!("{said} on a {shade} background"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::Part;
    use super::*;
    use std::collections::BTreeSet;

    /// Whether one of the words stands in the text, as whole words.
    fn has(text: &str, words: &[&str]) -> bool {
        let text = format!(" {} ", text.to_lowercase().replace([',', '.'], ""));
        words.iter().any(|word| text.contains(&format!(" {word} ")))
    }

    #[test]
    fn a_caption_says_what_is_settled() {
        let mut rng = Rng::new(1);
        for _ in 0..5000 {
            let scene = Scene::choose(&mut rng, Part::Training);
            let text = caption(&mut rng, &scene);
            assert!(!text.contains(['{', '}', '|', '@']) && !text.contains("  "), "{text}");
            for group in &scene.groups {
                let nouns: Vec<&str> =
                    group.kind().words.iter().flat_map(|(one, many)| [*one, *many]).collect();
                assert!(has(&text, &nouns) && has(&text, group.colour().words), "{text}");
                let sizes: &[&str] = match group.size {
                    Size::Unsaid => continue,
                    Size::Small => &["small", "little", "tiny"],
                    Size::Large => &["large", "big"],
                };
                assert!(has(&text, sizes), "{text}");
            }
            match scene.background {
                Background::Unsaid => assert!(!text.contains("background"), "{text}"),
                Background::Light => assert!(has(&text, &["light", "white", "bright"]), "{text}"),
                Background::Dark => assert!(has(&text, &["dark", "black"]), "{text}"),
            }
        }
    }

    #[test]
    fn a_scene_is_said_in_many_ways_that_mean_the_same() {
        let things = |kind, colour, number, place| Group { kind, colour, number, size: Size::Unsaid, place };
        let groups = vec![things(0, 0, 2, Place::Above), things(11, 4, 1, Place::Below)];
        let scene = Scene { groups, background: Background::Unsaid };
        let mut rng = Rng::new(2);
        let found: BTreeSet<String> =
            (0..2000).map(|_| caption(&mut rng, &scene).trim_end_matches('.').to_lowercase()).collect();
        for text in ["two red circles above a blue house", "a blue house with two red circles above it"] {
            assert!(found.contains(text), "{text}");
        }
        assert!(found.len() > 60, "{}", found.len());
    }
}
