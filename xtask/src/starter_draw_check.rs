//! The chore `starter-draw-check`: lets an image model draw what held-out lines say, and has the pictures checked.
//!
//! It asks the built program `hearth`, a process for each picture. Whether a picture is right another program says, from
//! the pixels alone (`starter-pictures-check`).

use crate::{at_once, starter_pictures_check, workspace};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Percent of the pictures that have to be right in everything.
const WANTED: &str = "90";

/// What the chore reads of a line.
#[derive(Deserialize)]
struct Item {
    file_name: String,
    text: String,
}

/// What the command line asks for.
struct Wishes {
    model: String,
    items: PathBuf,
    pictures: PathBuf,
    program: PathBuf,
    /// What `hearth draw` is told besides.
    flags: Vec<String>,
}

/// Draws a picture for each line, whose place is its seed, and checks them.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let text = std::fs::read_to_string(&wishes.items)
        .with_context(|| format!("{} cannot be read", wishes.items.display()))?;
    let items: Vec<Item> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    std::fs::create_dir_all(&wishes.pictures)?;
    at_once::for_all(&items, |seed, item| draw(&wishes, seed, item))?;
    let path = |path: &Path| path.display().to_string();
    let check = ["--items".into(), path(&wishes.items), "--pictures".into(), path(&wishes.pictures)];
    let least = ["--least".into(), WANTED.into()];
    starter_pictures_check::run(&[&check[..], &least].concat())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let (mut model, mut items, mut pictures) = (None, None, None);
    let mut program = workspace::target().join("release/hearth");
    let mut flags = Vec::new();
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--model" => model = Some(value.clone()),
            "--items" => items = Some(PathBuf::from(value)),
            "--out" => pictures = Some(PathBuf::from(value)),
            "--program" => program = PathBuf::from(value),
            "--steps" | "--guidance" | "--sampler" => flags.extend([name.clone(), value.clone()]),
            unknown => bail!(
                "{unknown} is not known; there are --model NAME_OR_FOLDER --items FILE --out FOLDER --program FILE --steps N --guidance NUMBER --sampler NAME"
            ),
        }
    }
    ensure!(
        program.is_file(),
        "{} is not there: cargo build --release --bin hearth, or --program FILE",
        program.display()
    );
    Ok(Wishes {
        model: model.context("which model? --model NAME_OR_FOLDER")?,
        items: items
            .context("what is to be drawn? --items FILE, from cargo xtask starter-pictures --held-out")?,
        pictures: pictures.context("where do the pictures go? --out FOLDER")?,
        program,
        flags,
    })
}

fn draw(wishes: &Wishes, seed: usize, item: &Item) -> Result<()> {
    let output = Command::new(&wishes.program)
        .args(["draw", &item.text, "--model", &wishes.model, "--seed", &seed.to_string()])
        .args(&wishes.flags)
        .arg("--out")
        .arg(wishes.pictures.join(&item.file_name))
        .env("HEARTH_THREADS", "1")
        .output()
        .with_context(|| format!("{} does not start", wishes.program.display()))?;
    ensure!(
        output.status.success(),
        "{:?} was not drawn: {}",
        item.text,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
