//! `hearth gc`: frees what is not needed, after it has said what that is.

use app::event::library::Collectable;
use app::{Event, Failure, Job};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Command;
use super::list::short;
use crate::chat::lines::Typed;
use crate::outcome::{Exit, Stop};
use crate::session::{Session, Stdin};
use crate::terminal::{units, visible};

pub const COMMAND: Command = Command { name: "gc", build, run };

const AFTER_HELP: &str = "\
First it says what would go: files that no version of any model names, what interrupted downloads and imports left, \
what `hearth run --keep-prefixes` keeps of texts, and with --versions the older versions of each name that is not pinned. At a terminal it asks then; elsewhere it \
ends there, unless --yes stands on the command line. Files in place and models of other programs are never touched.

  hearth gc
  hearth gc --versions 2 --yes";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Free what is not needed any more")
        .arg(
            Arg::new("versions")
                .long("versions")
                .value_name("COUNT")
                .value_parser(value_parser!(u16).range(1..))
                .help("Keep the current and so many of the newest versions of each name (default: all)"),
        )
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("Do not ask"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let n_versions = matches.get_one::<u16>("versions").map(|&count| count.into());
    let mut told = Collectable::default();
    session.follow(Job::PlanCollection { n_versions }, &mut |console, event| {
        if let Event::Collectable(collectable) = event {
            told = collectable.clone();
            console.print(&page(collectable))?;
        }
        Ok(())
    })?;
    if told.is_empty() {
        session.console().say("Nothing is there that is not needed.");
        return Ok(Exit::Done);
    }
    if !matches.get_flag("yes") && !agrees(session)? {
        return Ok(Exit::Done);
    }
    session.follow(Job::Collect(told), &mut |console, event| {
        if let Event::Collected(collected) = event {
            console.say(&format!("{} are free.", units::bytes(collected.freed_bytes)));
            collected.not_collected.iter().for_each(|failure| console.warn(failure));
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// Whether the person at the terminal says yes; nobody does where no person is.
fn agrees(session: &mut Session) -> Result<bool, Stop> {
    if !matches!(session.world.stdin, Stdin::Terminal) {
        session.console().say("Nothing was removed; --yes removes it.");
        return Ok(false);
    }
    let failed = |error: std::io::Error| {
        let message = format!("the terminal cannot be read: {error}");
        Failure::new("no_terminal", message, "agree with --yes")
    };
    let mut lines = (session.world.edit)().map_err(failed)?;
    let agrees = match lines.read("Remove it? [y/N] ").map_err(failed)? {
        Typed::Line(line) => ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str()),
        Typed::Interrupted | Typed::End => false,
    };
    if !agrees {
        session.console().say("Nothing was removed.");
    }
    Ok(agrees)
}

/// What would go, and how much that is.
fn page(collectable: &Collectable) -> String {
    if collectable.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    for (name, digest) in &collectable.versions {
        text += &format!("version  {}  {}\n", short(digest), visible::line(name));
    }
    for (digest, size_bytes) in &collectable.blobs {
        text += &format!("file     {}  {}\n", short(digest), units::bytes(*size_bytes));
    }
    for (path, size_bytes) in &collectable.drafts {
        let path = path.display().to_string();
        text += &format!("left     {}  {}\n", visible::line(&path), units::bytes(*size_bytes));
    }
    if !collectable.prefixes.is_empty() {
        let (n_files, sizes) =
            (collectable.prefixes.len(), collectable.prefixes.iter().map(|(_, size)| *size));
        let size_bytes = sizes.fold(0, u64::saturating_add);
        text += &format!("texts    {}  {}\n", units::many(n_files, "kept page"), units::bytes(size_bytes));
    }
    text + &format!("{} would be free.\n", units::bytes(collectable.size_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::library::Collected;
    use expect_test::expect;

    fn collectable() -> Collectable {
        Collectable {
            versions: vec![("poems".into(), format!("sha256:{}", "ab".repeat(32)))],
            blobs: vec![(format!("sha256:{}", "cd".repeat(32)), 1_100_000)],
            drafts: vec![("/home/models/tmp/draft-1\x1b[2J".into(), 300)],
            prefixes: vec![(format!("sha256:{}", "ef".repeat(32)), 20_000); 2],
            size_bytes: 1_140_300,
        }
    }

    fn script() -> Script {
        let freed_bytes = 1_140_300;
        let collected =
            Collected { n_versions: 1, n_blobs: 1, n_prefixes: 2, freed_bytes, not_collected: None };
        Script::new([Event::Collectable(collectable())]).then([Event::Collected(collected)])
    }

    #[test]
    fn it_says_what_would_go_and_collects_just_that() {
        let told = script().run(&["gc", "--versions", "2", "--yes"]);
        assert_eq!(told.jobs, [Job::PlanCollection { n_versions: Some(2) }, Job::Collect(collectable())]);
        expect![[r#"
            version  abababababab  poems
            file     cdcdcdcdcdcd  1.1 MB
            left     /home/models/tmp/draft-1␛[2J  300 B
            texts    2 kept pages  40 kB
            1.1 MB would be free.
        "#]]
        .assert_eq(&told.out);
        assert_eq!(told.err, "1.1 MB are free.\n");
    }

    #[test]
    fn nothing_goes_before_somebody_agrees() {
        let check = |script: Script, n_jobs: usize| {
            let told = script.run(&["gc"]);
            assert_eq!((told.exit, told.jobs.len()), (Exit::Done, n_jobs), "{}", told.err);
        };
        check(script(), 1);
        check(script().types(["n"]), 1);
        check(script().types([""]), 1);
        check(script().types(["^C"]), 1);
        check(script().types([]), 1);
        check(script().types(["y"]), 2);
        check(script().types([" Yes "]), 2);
        check(Script::new([Event::Collectable(Collectable::default())]).types(["y"]), 1);
        assert_eq!(Script::new([]).run(&["gc", "--versions", "0"]).exit, Exit::Usage);
    }
}
