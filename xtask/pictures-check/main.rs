//! Whether pictures show what their captions say: `starter-pictures-check --items FILE --pictures FOLDER`.
//!
//! A program of its own that sees pixels only: it cannot import what draws the pictures of the lessons, and judges
//! those of a model in the same way. A line of the items says what has to be seen; see `item`.

mod colours;
mod item;
mod judge;
mod picture;
mod shapes;
mod things;
mod wear;

use anyhow::{Context, Result, bail, ensure};
use base::Rng;
use item::Item;
use judge::{ATTRIBUTES, Seen};
use picture::Picture;
use shapes::{Book, Silhouette};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wear::Wear;

/// How many pictures that are wrong are named.
const N_NAMED: usize = 20;

/// What the command line asks for.
struct Wishes {
    items: PathBuf,
    pictures: PathBuf,
    wear: Wear,
    /// Each picture is held against the caption of the next one.
    is_shuffled: bool,
    least: Option<f64>,
    most: Option<f64>,
    /// Another book of silhouettes than the program's own.
    book: Option<PathBuf>,
    renew_book: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wishes = read(&arguments)?;
    let items = item::read(&wishes.items)?;
    ensure!(!items.is_empty(), "{}: there is no item", wishes.items.display());
    match &wishes.renew_book {
        Some(path) => renew_book(path, &items, &wishes.pictures),
        None => check(&items, &wishes),
    }
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let (mut items, mut pictures) = (None, None);
    let (mut wear, mut is_shuffled, mut least, mut most) = (Wear::None, false, None, None);
    let (mut book, mut renew_book) = (None, None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        if name == "--shuffled" {
            is_shuffled = true;
            continue;
        }
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--items" => items = Some(PathBuf::from(value)),
            "--pictures" => pictures = Some(PathBuf::from(value)),
            "--worn" => {
                let known = wear::NAMES.iter().find(|(name, _)| *name == value.as_str());
                let names = wear::NAMES.map(|(name, _)| name).join(", ");
                wear = known.with_context(|| format!("--worn {value}: there are {names}"))?.1;
            }
            "--least" => least = Some(value.parse().with_context(|| format!("--least {value}"))?),
            "--most" => most = Some(value.parse().with_context(|| format!("--most {value}"))?),
            "--book" => book = Some(PathBuf::from(value)),
            "--renew-book" => renew_book = Some(PathBuf::from(value)),
            unknown => bail!(
                "{unknown} is not known; there are --items FILE --pictures FOLDER --shuffled --worn HOW --least PERCENT --most PERCENT --book FILE --renew-book FILE"
            ),
        }
    }
    let items = items.context("what has to be seen? --items FILE, from cargo xtask starter-pictures")?;
    let pictures = pictures.context("which pictures? --pictures FOLDER")?;
    Ok(Wishes { items, pictures, wear, is_shuffled, least, most, book, renew_book })
}

/// Checks every picture and says how many are right, and which are wrong.
fn check(items: &[Item], wishes: &Wishes) -> Result<()> {
    let book = match &wishes.book {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Book::parse(&text.with_context(|| format!("{} cannot be read", path.display()))?)?
        }
        None => Book::own()?,
    };
    let mut n_right = [0; ATTRIBUTES.len()];
    let (mut n_whole, mut n_named) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        let (seen, shade) = look(&wishes.pictures.join(&item.file_name), at, wishes.wear, &book)?;
        let wanted = if wishes.is_shuffled { another(items, at) } else { item };
        let told = judge::judge(&wanted.expected, &seen, shade);
        n_right.iter_mut().zip(told).for_each(|(n, is_right)| *n += usize::from(is_right));
        let is_whole = told.iter().all(|is_right| *is_right);
        n_whole += usize::from(is_whole);
        if !is_whole && !wishes.is_shuffled && n_named < N_NAMED {
            n_named += 1;
            let wrong = ATTRIBUTES.iter().zip(told).filter(|(_, is_right)| !is_right).map(|(name, _)| *name);
            println!("{}: {:?}: wrong: {}", item.file_name, item.text, wrong.collect::<Vec<_>>().join(", "));
            println!("    seen: {}", seen.iter().map(told_briefly).collect::<Vec<_>>().join(", "));
        }
    }
    let percent = |n: usize| 100.0 * n as f64 / items.len() as f64;
    for (name, n) in ATTRIBUTES.iter().zip(n_right) {
        println!("{name:<11} {n:>5} of {:>5} are right, {:>5.1} %", items.len(), percent(n));
    }
    println!("{:<11} {n_whole:>5} of {:>5} are right, {:>5.1} %", "all", items.len(), percent(n_whole));
    let found = percent(n_whole);
    ensure!(wishes.least.is_none_or(|least| found >= least), "fewer pictures are all right than wanted");
    ensure!(wishes.most.is_none_or(|most| found <= most), "more pictures are all right than wanted");
    Ok(())
}

/// An item whose expectation is another.
fn another(items: &[Item], at: usize) -> &Item {
    let rest = items[at + 1..].iter().chain(&items[..at]);
    let mut others = rest.filter(|item| item.expected != items[at].expected);
    others.next().unwrap_or(&items[at])
}

/// What stands on a picture, and whether its background is light.
fn look(path: &Path, at: usize, wear: Wear, book: &Book) -> Result<(Vec<Seen>, Option<&'static str>)> {
    let picture = wear::worn(Picture::read(path)?, wear, &mut Rng::new(at as u64));
    let background = things::background(&picture);
    let seen = things::things(&picture).into_iter().map(|thing| Seen {
        kind: book.kind(&thing).map(str::to_owned),
        colour: colours::name(thing.colour, background),
        extent: thing.extent,
        centre: thing.centre,
    });
    Ok((seen.collect(), colours::shade(background)))
}

fn told_briefly(seen: &Seen) -> String {
    let [x, y] = seen.centre;
    let (colour, kind) = (seen.colour.unwrap_or("some"), seen.kind.as_deref().unwrap_or("thing"));
    format!("{colour} {kind} of {} at {x:.0}, {y:.0}", seen.extent)
}

/// Measures the silhouettes of each kind, small and large, sharp and blurred, on pictures of a single group, and
/// writes the book.
fn renew_book(path: &Path, items: &[Item], pictures: &Path) -> Result<()> {
    let mut found: BTreeMap<String, Vec<Silhouette>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let [group] = &item.expected.groups[..] else { continue };
        for (wear, name) in [(Wear::None, "sharp"), (Wear::Blur, "blurred")] {
            let picture = Picture::read(&pictures.join(&item.file_name))?;
            for thing in things::things(&wear::worn(picture, wear, &mut Rng::new(at as u64))) {
                let size = if thing.extent < 18.0 { "small" } else { "large" };
                let silhouettes = found.entry(format!("{} {size} {name}", group.kind)).or_default();
                silhouettes.push(shapes::silhouette(&thing));
            }
        }
    }
    let book: String = found.iter().map(|(title, silhouettes)| shapes::page(title, silhouettes)).collect();
    std::fs::write(path, book).with_context(|| format!("{} cannot be written", path.display()))?;
    println!("{} pages in {}", found.len(), path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read_and_what_is_wrong_is_named() {
        let read = |line: &str| read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let wishes = read("--items a --pictures b --shuffled --worn blur --most 5").unwrap();
        assert!(wishes.is_shuffled && wishes.wear == Wear::Blur && wishes.most == Some(5.0));
        for line in
            ["", "--items a", "--pictures b", "--items a --pictures b --worn out", "--items a --depth 3"]
        {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
