//! `cargo xtask clients`: other people's clients, unmodified, against a `hearth serve`, and the table of what works.
//!
//! A script in `benches/clients` tries one client, the one in `web/test` Hearth's own page in a browser: it is started
//! with the server's address and a key and prints a line of JSON for each feature. Each line is a test: one that is not
//! well fails the run. When all ran and all is well, `docs/clients.md` is written anew; it holds neither times nor
//! numbers, so that the same clients give the same page. The clients are pinned, and live in an environment of their own
//! outside the tree; the browser is the machine's.
//!
//! Not a part of the gate, which has no network to fetch clients from.

mod encoder;
mod environment;
mod suites;
mod table;

use crate::served::{self, Home};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use suites::Suite;

/// What the command line asks for.
struct Wishes {
    /// Names of suites; all where nothing is said.
    only: Vec<String>,
    program: Option<PathBuf>,
    environment: PathBuf,
    /// An encoder's folder; a small random one where nothing is said.
    encoder: Option<PathBuf>,
}

/// Runs the suites and writes the table.
pub fn run(arguments: &[String]) -> Result<()> {
    let wishes = read(arguments)?;
    let suites = suites::all()?;
    let known: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    for name in &wishes.only {
        ensure!(known.contains(&name.as_str()), "there is no {name}; there are {}", known.join(", "));
    }
    let is_wanted = |suite: &&Suite| wishes.only.is_empty() || wishes.only.contains(&suite.name);
    let chosen: Vec<&Suite> = suites.iter().filter(is_wanted).collect();
    let program = served::program(wishes.program.clone())?;
    let home = Home::new(&program)?;
    prepare(&home, &wishes, &chosen)?;
    let server = home.serve(&[])?;
    let mut cells = Vec::new();
    for suite in &chosen {
        eprintln!("{}", suite.script.display());
        let found = suite.run(&wishes.environment, &server.base(), home.room())?;
        found.iter().filter(|cell| !cell.ok).for_each(|cell| println!("{cell}"));
        cells.extend(found);
    }
    print!("{}", table::of(&cells));
    let n_failed = cells.iter().filter(|cell| !cell.ok).count();
    ensure!(n_failed == 0, "{n_failed} of {} cells are not well; which and why stands above", cells.len());
    if wishes.only.is_empty() {
        let path = crate::workspace::root().join("docs/clients.md");
        std::fs::write(&path, table::page(&cells)).with_context(|| path.display().to_string())?;
        println!("{} is written", path.display());
    }
    Ok(())
}

/// Puts into the home what the suites ask for.
fn prepare(home: &Home, wishes: &Wishes, chosen: &[&Suite]) -> Result<()> {
    let encoder = match &wishes.encoder {
        Some(folder) => folder.clone(),
        None => encoder::write(&home.room().join("encoder"))?,
    };
    home.import(&encoder, suites::ENCODER)?;
    // A miniature with random weights, which draws what diffusers draws with it.
    home.import(&crate::workspace::root().join("fixtures/draw/stable"), suites::PAINTER)?;
    if chosen.iter().any(|suite| suite.needs_exported()) {
        // What is in the box has 16 bits a weight; both sides are to compute with the same numbers.
        let folder = home.room().join(suites::EXPORTED);
        let out = folder.to_str().context("a path that is no text")?;
        home.hearth(&[
            "export",
            suites::STARTER,
            "--format",
            "safetensors",
            "--storage",
            "f32",
            "--out",
            out,
        ])?;
        home.import(&folder, suites::EXPORTED)?;
    }
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wishes> {
    let environment = crate::workspace::target().join("clients");
    let mut wishes = Wishes { only: Vec::new(), program: None, environment, encoder: None };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--only" => wishes.only = value.split(',').map(str::to_owned).collect(),
            "--program" => wishes.program = Some(value.into()),
            "--environment" => wishes.environment = std::path::absolute(value)?,
            "--encoder" => wishes.encoder = Some(value.into()),
            unknown => bail!(
                "{unknown} is not known; there are --only NAME,NAME --program FILE --environment FOLDER --encoder FOLDER"
            ),
        }
    }
    Ok(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn wishes_are_read_and_unknown_ones_refused() {
        let wishes = read(&words("--only openai,lm-eval --program a/hearth --encoder b")).unwrap();
        assert_eq!((wishes.only, wishes.program), (words("openai lm-eval"), Some("a/hearth".into())));
        assert_eq!(wishes.encoder, Some("b".into()));
        assert!(read(&words("--only")).is_err() && read(&words("--colour red")).is_err());
        assert!(run(&words("--only nobody")).unwrap_err().to_string().contains("schemathesis"));
    }
}
