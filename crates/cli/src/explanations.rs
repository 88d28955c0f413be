//! What each knob is, in plain words: those of training and those of sampling, each table in its own file.

mod sampling;
mod training;

use crate::terminal::paint::{Color, Ink};
use crate::terminal::width::wrap;
use crate::training_settings::nearest;

/// When a knob is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Training,
    Sampling,
}

impl Use {
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Sampling => "sampling",
        }
    }
}

/// A knob in plain words.
pub struct Explanation {
    /// As in a file of settings, with `_`; flags have `-`.
    pub name: &'static str,
    pub what: &'static str,
    pub higher: &'static str,
    pub lower: &'static str,
    /// A symptom, and what to do.
    pub watch: &'static str,
    pub usual: &'static str,
}

/// Names that flags have for settings of another name.
const OTHER_NAMES: [(&str, &str); 1] = [("vocabulary_size", "vocabulary")];

/// All knobs of one use.
pub fn of(knob_use: Use) -> &'static [Explanation] {
    match knob_use {
        Use::Training => training::KNOBS,
        Use::Sampling => sampling::KNOBS,
    }
}

/// Everything that is called `name`, however its words are joined.
pub fn find(name: &str) -> Vec<(Use, &'static Explanation)> {
    let name = plain(name);
    let name = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name.as_str(), |(_, name)| name);
    all().filter(|(_, knob)| knob.name == name).collect()
}

/// All names, those like `name` first.
pub fn names(name: &str) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for (_, knob) in all() {
        if !known.iter().any(|known| known == knob.name) {
            known.push(knob.name.to_owned());
        }
    }
    let mut names = nearest(&plain(name), &known);
    known.retain(|name| !names.contains(name));
    names.extend(known);
    names
}

/// One explanation as a page of at most `columns`.
pub fn page((knob_use, knob): (Use, &Explanation), color: Color, columns: usize) -> String {
    let mut page = format!("{} ({})\n", color.paint(Ink::Bold, knob.name), knob_use.name());
    let parts = [
        ("", knob.what),
        ("higher", knob.higher),
        ("lower", knob.lower),
        ("watch for", knob.watch),
        ("usual", knob.usual),
    ];
    for (name, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
        let indent = if name.is_empty() { 2 } else { 13 };
        let mut begin = if name.is_empty() { "  ".to_owned() } else { format!("  {name:<11}") };
        for line in wrap(text, columns.saturating_sub(indent).max(16)) {
            page += &format!("{begin}{line}\n");
            begin = " ".repeat(indent);
        }
    }
    page
}

fn all() -> impl Iterator<Item = (Use, &'static Explanation)> {
    [Use::Training, Use::Sampling]
        .into_iter()
        .flat_map(|knob_use| of(knob_use).iter().map(move |knob| (knob_use, knob)))
}

fn plain(name: &str) -> String {
    name.trim_start_matches('-').replace('-', "_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{knobs, training_settings};

    #[test]
    fn every_knob_is_explained_and_nothing_else() {
        let names = |knob_use: Use| of(knob_use).iter().map(|knob| knob.name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(Use::Training), training_settings::names());
        let sampling: Vec<String> = knobs::KNOBS.iter().map(|knob| knob.name.replace('-', "_")).collect();
        assert_eq!(names(Use::Sampling), sampling);
    }

    #[test]
    fn explanations_are_whole_and_short() {
        for (_, knob) in all() {
            for text in [knob.what, knob.watch, knob.usual] {
                assert!(text.ends_with('.') && text.len() <= 420, "{}: {text}", knob.name);
            }
            for text in [knob.higher, knob.lower] {
                assert!(text.is_empty() || text.ends_with('.') && text.len() <= 300, "{}: {text}", knob.name);
            }
            assert_eq!(knob.higher.is_empty(), knob.lower.is_empty(), "{}", knob.name);
        }
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        for name in ["learning_rate", "--learning-rate", "Learning-Rate"] {
            assert_eq!(find(name)[0].1.name, "learning_rate");
        }
        assert_eq!(find("seed").len(), 2);
        assert_eq!(find("vocabulary-size")[0].1.name, "vocabulary");
        assert!(find("nonsense").is_empty());
        assert_eq!(names("lerning-rate")[0], "learning_rate");
        let mut sorted = names("");
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), names("x").len());
    }

    #[test]
    fn pages_fit_their_columns() {
        for knob in all() {
            for columns in [20, 40, 80] {
                let page = page(knob, Color::Off, columns);
                let widest = page.lines().map(crate::terminal::width::width).max().unwrap();
                assert!(widest <= columns.max(30), "{page}");
            }
        }
    }
}
