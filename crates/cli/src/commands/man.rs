//! `hearth man`: the manual pages, made from the table of commands.

use std::path::PathBuf;

use app::Failure;
use clap::{Arg, ArgMatches, value_parser};
use clap_mangen::Man;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "man", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Print the manual page, or write all of them into a folder")
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Write hearth.1 and a page for each verb into this folder"),
        )
        .after_help("For example: hearth man | man -l -")
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let Some(dir) = matches.get_one::<PathBuf>("dir") else {
        let mut page = Vec::new();
        Man::new(super::parser(80)).render(&mut page)?;
        session.console().write_file(&page)?;
        return Ok(Exit::Done);
    };
    clap_mangen::generate_to(super::parser(80), dir).map_err(|error| {
        let message = format!("{}: {error}", dir.display());
        Failure::new("unwritable", message, "name a folder that exists and that you may write to")
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use crate::commands::COMMANDS;
    use crate::outcome::Exit;
    use crate::scripted::Script;

    #[test]
    fn there_is_a_page_for_each_verb() {
        let folder = tempfile::tempdir().unwrap();
        let told = Script::new([]).run(&["man", "--dir", folder.path().to_str().unwrap()]);
        assert_eq!(told.exit, Exit::Done);
        for command in COMMANDS {
            let path = folder.path().join(format!("hearth-{}.1", command.name));
            assert!(std::fs::read_to_string(path).unwrap().contains(".TH"), "{}", command.name);
        }
        assert!(Script::new([]).run(&["man"]).out.contains("Exit codes:"));
        assert_eq!(Script::new([]).run(&["man", "--dir", "/nowhere/at/all"]).exit, Exit::Failed);
    }
}
