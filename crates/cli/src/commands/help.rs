//! `hearth help`: the help pages, and with `--json` the table of commands for programs.

use std::io;

use app::Failure;
use clap::{Arg, ArgMatches};
use serde_json::{Value, json};

use super::Command;
use crate::console::Format;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "help", build, run };

fn build(command: clap::Command) -> clap::Command {
    let words = Arg::new("command").value_name("COMMAND").num_args(0..);
    command
        .about("Print the help of the program or of a command")
        .arg(words.help("The command; the whole program when absent"))
        .after_help("With --json every command is one line: its usage, arguments, options and notes.")
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let words: Vec<&String> = matches.get_many("command").into_iter().flatten().collect();
    let mut root = super::parser(session.console().columns());
    root.build();
    let mut command = &mut root;
    for word in &words {
        let Some(found) = command.find_subcommand_mut(word.as_str()) else {
            session.console().fail(&unknown(word));
            return Ok(Exit::Usage);
        };
        command = found;
    }
    let console = session.console();
    match console.format {
        Format::People => console.print(&command.render_help().to_string())?,
        Format::Json => {
            let names = words.into_iter().cloned().collect();
            let mut lines = Vec::new();
            table(command, names, &mut lines).map_err(Stop::Output)?;
            console.write_file(&lines)?;
        }
    }
    Ok(Exit::Done)
}

fn unknown(word: &str) -> Failure {
    let message = format!("there is no command `{word}`");
    Failure::new("no_such_command", message, "hearth help lists the commands")
}

/// One line for each command that can be called, at any depth.
fn table(command: &mut clap::Command, names: Vec<String>, lines: &mut Vec<u8>) -> io::Result<()> {
    if command.has_subcommands() {
        for below in command.get_subcommands_mut() {
            let mut names = names.clone();
            names.push(below.get_name().to_owned());
            // A parser with commands of its own gets a `help` that belongs to the parser.
            if names.len() == 1 || below.get_name() != "help" {
                table(below, names, lines)?;
            }
        }
        return Ok(());
    }
    serde_json::to_writer(&mut *lines, &entry(command, &names.join(" ")))?;
    lines.push(b'\n');
    Ok(())
}

fn entry(command: &mut clap::Command, name: &str) -> Value {
    let usage = command.render_usage().to_string();
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help");
    let argument = |arg: &Arg| json!({ "name": value_name(arg), "help": text(arg.get_help()), "required": arg.is_required_set() });
    let option = |arg: &Arg| {
        let takes_value = arg.get_action().takes_values();
        json!({
            "name": format!("--{}", arg.get_long().unwrap_or_default()),
            "value": takes_value.then(|| value_name(arg)),
            "help": text(arg.get_help()),
        })
    };
    let options = shown().filter(|arg| !arg.is_positional()).map(option);
    json!({
        "event": "command",
        "name": name,
        "aliases": command.get_visible_aliases().collect::<Vec<_>>(),
        "summary": text(command.get_about()),
        "usage": usage.trim_start_matches("Usage: "),
        "arguments": shown().filter(|arg| arg.is_positional()).map(argument).collect::<Vec<_>>(),
        "options": options.collect::<Vec<_>>(),
        "notes": text(command.get_after_help()),
    })
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::COMMANDS;
    use crate::scripted::Script;
    use expect_test::expect_file;

    fn lines(words: &[&str]) -> Vec<Value> {
        let told = Script::new([]).run(words);
        assert_eq!((told.exit, told.err.as_str()), (Exit::Done, ""));
        told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_page_is_the_one_that_the_flag_prints() {
        for command in COMMANDS {
            let page = Script::new([]).run(&["help", command.name]);
            assert_eq!(page.out, Script::new([]).run(&[command.name, "--help"]).out, "{}", command.name);
        }
        assert_eq!(Script::new([]).run(&["help"]).out, Script::new([]).run(&["--help"]).out);
        let told = Script::new([]).run(&["help", "lst"]);
        assert_eq!((told.exit, told.out.as_str()), (Exit::Usage, ""));
        assert!(told.err.contains("`lst`") && told.err.contains("hint: hearth help"), "{}", told.err);
    }

    /// The starter model learns about Hearth from this copy; `UPDATE_EXPECT=1` writes it anew, and then the
    /// model is to be trained again.
    #[test]
    fn the_copy_of_the_table_from_which_the_starter_learns_is_current() {
        let told = Script::new([]).run(&["help", "--json"]);
        expect_file!["../../../../xtask/starter-words/commands.jsonl"].assert_eq(&told.out);
    }

    #[test]
    fn the_table_has_every_command_with_its_arguments_and_options() {
        let table = lines(&["help", "--json"]);
        let names: Vec<&str> = table.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"runs compare"));
        let mut verbs: Vec<&str> = names.iter().filter_map(|name| name.split(' ').next()).collect();
        verbs.dedup();
        assert_eq!(verbs, COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>());
        let [import] = &lines(&["help", "import", "--json"])[..] else { panic!("one line is wanted") };
        assert_eq!(import["usage"], "hearth import [OPTIONS] <PATH>");
        assert_eq!(import["arguments"][0]["name"], "PATH");
        let options = import["options"].as_array().unwrap();
        let name = options.iter().find(|option| option["name"] == "--name").unwrap();
        assert_eq!(name["value"], "NAME");
        let in_place = options.iter().find(|option| option["name"] == "--in-place").unwrap();
        assert!(in_place["value"].is_null() && !options.iter().any(|option| option["name"] == "--help"));
    }

    #[test]
    fn commands_below_commands_are_listed_by_their_whole_name() {
        let mut root = clap::Command::new("hearth").disable_help_subcommand(true).subcommand(
            clap::Command::new("runs").subcommand(clap::Command::new("compare").about("Compare two runs")),
        );
        root.build();
        let mut lines = Vec::new();
        table(&mut root, Vec::new(), &mut lines).unwrap();
        let entry: Value = serde_json::from_slice(&lines).unwrap();
        assert_eq!(
            (&entry["name"], &entry["usage"]),
            (&"runs compare".into(), &"hearth runs compare".into())
        );
    }
}
