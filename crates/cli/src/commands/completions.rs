//! `hearth completions`: a script with which a shell completes verbs and flags.

use clap::{Arg, ArgMatches, value_parser};
use clap_complete::Shell;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "completions", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Print a shell's completion script")
        .arg(Arg::new("shell").required(true).value_name("SHELL").value_parser(value_parser!(Shell)))
        .after_help(
            "For example: hearth completions bash > ~/.local/share/bash-completion/completions/hearth",
        )
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let shell = *matches.get_one::<Shell>("shell").expect("required");
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::parser(80), "hearth", &mut script);
    session.console().write_file(&script)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use crate::commands::COMMANDS;
    use crate::scripted::Script;

    #[test]
    fn every_shell_gets_every_verb() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = Script::new([]).run(&["completions", shell]).out;
            for command in COMMANDS {
                assert!(script.contains(command.name), "{shell} {}", command.name);
            }
            assert!(script.contains("repetition-penalty"), "{shell}");
        }
    }
}
