//! Which kind a thing is: its silhouette against a book of silhouettes.
//!
//! A silhouette is the cover around the centroid, in units of the radius of gyration: neither place nor size nor a
//! soft edge moves it much. The book (`book.txt`) was measured by this program on pictures whose kind was told
//! (`--renew-book`); it has several pages for a kind, because a small thing shows less than a large one and a blurred
//! one less than a sharp one. Source of the radius of gyration as a measure that a shift does not change: M.-K. Hu,
//! "Visual Pattern Recognition by Moment Invariants" (1962).

use crate::picture::SIDE;
use crate::things::Thing;
use anyhow::{Context, Result, ensure};
use std::fmt::Write;

/// Cells of a side.
const CELLS: usize = 14;
/// Radii of gyration from the middle to a side.
const REACH: f32 = 2.3;
/// Samples of a side of a cell.
const SAMPLES: usize = 2;
/// A thing is of no kind whose silhouette is farther from every page: the root mean square over the cells.
const FARTHEST: f32 = 0.14;

/// The share of each cell that is covered, row by row.
pub type Silhouette = [f32; CELLS * CELLS];

/// The silhouette of a thing.
pub fn silhouette(thing: &Thing) -> Silhouette {
    let [x, y] = thing.centre;
    let moment: f32 = thing
        .cover
        .iter()
        .enumerate()
        .map(|(at, share)| {
            let (right, down) = ((at % SIDE) as f32 + 0.5 - x, (at / SIDE) as f32 + 0.5 - y);
            share * (right * right + down * down)
        })
        .sum();
    let gyration = (moment / thing.area.max(1e-6)).sqrt();
    let step = 2.0 * REACH * gyration / (CELLS * SAMPLES) as f32;
    let first = -REACH * gyration + step / 2.0;
    let mut found = [0.0; CELLS * CELLS];
    for at in 0..CELLS * SAMPLES * CELLS * SAMPLES {
        let (column, row) = (at % (CELLS * SAMPLES), at / (CELLS * SAMPLES));
        let cover = between(&thing.cover, x + first + step * column as f32, y + first + step * row as f32);
        found[row / SAMPLES * CELLS + column / SAMPLES] += cover / (SAMPLES * SAMPLES) as f32;
    }
    found
}

/// The cover at a point between the middles of four pixels; outside the picture 0.
fn between(cover: &[f32], x: f32, y: f32) -> f32 {
    let (left, top) = ((x - 0.5).floor(), (y - 0.5).floor());
    let (right, down) = (x - 0.5 - left, y - 0.5 - top);
    let inside = 0.0..SIDE as f32;
    let value = |column: f32, row: f32| match inside.contains(&column) && inside.contains(&row) {
        true => cover[row as usize * SIDE + column as usize],
        false => 0.0,
    };
    let upper = value(left, top) * (1.0 - right) + value(left + 1.0, top) * right;
    let lower = value(left, top + 1.0) * (1.0 - right) + value(left + 1.0, top + 1.0) * right;
    upper * (1.0 - down) + lower * down
}

/// The root mean square of the differences.
fn farness(one: &Silhouette, other: &Silhouette) -> f32 {
    let sum: f32 = one.iter().zip(other).map(|(one, other)| (one - other) * (one - other)).sum();
    (sum / one.len() as f32).sqrt()
}

/// The silhouettes of the kinds that are known.
pub struct Book {
    pages: Vec<(String, Silhouette)>,
}

impl Book {
    /// The book that belongs to the program.
    pub fn own() -> Result<Self> {
        Self::parse(include_str!("book.txt"))
    }

    /// Pages of a title, whose first word is the kind, and lines of digits: tenths of a cell that are covered.
    pub fn parse(text: &str) -> Result<Self> {
        let read = |page: &str| -> Result<(String, Silhouette)> {
            let (title, cells) = page.split_once('\n').context("a title and cells")?;
            let kind = title.split_whitespace().next().context("a kind")?;
            let digits: Option<Vec<u32>> = cells.split_whitespace().flat_map(str::chars).map(digit).collect();
            let digits = digits.with_context(|| format!("{title}: a cell is no tenth"))?;
            ensure!(digits.len() == CELLS * CELLS, "{title}: {} cells, not {CELLS} x {CELLS}", digits.len());
            Ok((kind.to_owned(), std::array::from_fn(|at| digits[at] as f32 / 10.0)))
        };
        let pages = text.split("\n\n").filter(|page| !page.trim().is_empty());
        let pages = pages.map(|page| read(page).with_context(|| format!("the book of silhouettes: {page}")));
        Ok(Self { pages: pages.collect::<Result<_>>()? })
    }

    /// The kind of the nearest page; none where all are far.
    pub fn kind(&self, thing: &Thing) -> Option<&str> {
        self.nearest(thing).filter(|(far, _)| *far < FARTHEST).map(|(_, kind)| kind)
    }

    /// The nearest page: how far it is and its kind.
    fn nearest(&self, thing: &Thing) -> Option<(f32, &str)> {
        let silhouette = silhouette(thing);
        let pages = self.pages.iter().map(|(kind, page)| (farness(&silhouette, page), kind.as_str()));
        pages.min_by(|one, other| one.0.total_cmp(&other.0))
    }
}

/// `.` for nothing, 1 to 9 for tenths, `#` for all.
fn digit(letter: char) -> Option<u32> {
    match letter {
        '.' => Some(0),
        '#' => Some(10),
        _ => letter.to_digit(10),
    }
}

/// A page of the book: the mean of some silhouettes.
pub fn page(title: &str, silhouettes: &[Silhouette]) -> String {
    let mut text = format!("{title}\n");
    for row in 0..CELLS {
        for column in 0..CELLS {
            let at = row * CELLS + column;
            let sum: f32 = silhouettes.iter().map(|silhouette| silhouette[at]).sum();
            let letter = match (10.0 * sum / silhouettes.len().max(1) as f32).round() as u32 {
                0 => '.',
                10.. => '#',
                tenths => char::from_digit(tenths, 10).unwrap_or('.'),
            };
            text.push(letter);
        }
        text.push('\n');
    }
    let _ = writeln!(text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Picture;
    use crate::things::things;

    fn disc(middle: f32, radius: f32) -> Thing {
        let pixel = |at: usize| {
            let (x, y) = ((at % SIDE) as f32 + 0.5 - middle, (at / SIDE) as f32 + 0.5 - middle);
            let cover = (radius - (x * x + y * y).sqrt() + 0.5).clamp(0.0, 1.0);
            [240.0 - 200.0 * cover; 3]
        };
        things(&Picture { pixels: (0..SIDE * SIDE).map(pixel).collect() }).remove(0)
    }

    #[test]
    fn neither_place_nor_size_changes_a_silhouette_much() {
        let one = silhouette(&disc(31.3, 12.0));
        for (middle, radius) in [(20.0, 12.0), (31.7, 7.0), (12.2, 6.0)] {
            let far = farness(&one, &silhouette(&disc(middle, radius)));
            assert!(far < 0.06, "{middle} {radius}: {far}");
        }
    }

    #[test]
    fn a_page_is_read_as_it_is_written() {
        let circle = silhouette(&disc(30.0, 11.0));
        let text = format!("{}{}", page("circle large", &[circle]), page("nothing", &[[0.0; CELLS * CELLS]]));
        let book = Book::parse(&text).unwrap();
        assert_eq!(book.kind(&disc(25.5, 9.0)), Some("circle"));
        assert!(Book::parse(&text.replacen('#', "x", 1)).is_err());
        assert!(Book::parse(&text.replacen('#', "", 1)).is_err());
        assert_eq!(Book::parse("").unwrap().kind(&disc(30.0, 9.0)), None);
    }

    #[test]
    fn every_kind_has_its_pages_in_the_own_book() {
        let book = Book::own().unwrap();
        let kinds: std::collections::BTreeSet<&str> =
            book.pages.iter().map(|(kind, _)| kind.as_str()).collect();
        assert!(kinds.len() == 18 && book.pages.len() == 18 * 4, "{kinds:?} {}", book.pages.len());
        let sun = disc(30.0, 8.0);
        assert_eq!(book.kind(&sun), Some("circle"));
    }
}
