//! The one table of commands: it makes the parser, the help, the manual pages and the completions.
//!
//! A command is one file below `commands/` and one line here.

mod bench;
mod completions;
mod copy;
mod create;
mod diff;
mod draw;
mod embed;
mod explain;
mod export;
mod fit;
mod gc;
mod help;
mod import;
mod key;
mod list;
mod man;
mod outdated;
mod pin;
mod ps;
mod pull;
mod quantize;
mod remove;
mod rollback;
mod run;
mod runs;
mod serve;
mod show;
mod stop;
mod train;
mod upscale;
mod verify;

use clap::{Arg, ArgAction, ArgMatches};

use crate::environment::VARIABLES;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

/// Longer lines are hard to read.
const MAX_HELP_COLUMNS: usize = 100;

/// A verb.
pub struct Command {
    pub name: &'static str,
    /// Its flags and help; the name is added from here.
    build: fn(clap::Command) -> clap::Command,
    pub run: fn(&ArgMatches, &mut Session) -> Result<Exit, Stop>,
}

/// All verbs, in the order of the help.
pub static COMMANDS: &[Command] = &[
    run::COMMAND,
    explain::COMMAND,
    embed::COMMAND,
    draw::COMMAND,
    upscale::COMMAND,
    pull::COMMAND,
    import::COMMAND,
    list::COMMAND,
    show::COMMAND,
    copy::COMMAND,
    remove::COMMAND,
    verify::COMMAND,
    outdated::COMMAND,
    create::COMMAND,
    diff::COMMAND,
    rollback::COMMAND,
    pin::COMMAND,
    gc::COMMAND,
    train::COMMAND,
    runs::COMMAND,
    quantize::COMMAND,
    export::COMMAND,
    fit::COMMAND,
    bench::COMMAND,
    serve::COMMAND,
    key::COMMAND,
    ps::COMMAND,
    stop::COMMAND,
    completions::COMMAND,
    man::COMMAND,
    help::COMMAND,
];

/// The command called `name`, if there is one.
pub fn named(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The parser of the whole program; its help fills lines of at most `columns`.
pub fn parser(columns: usize) -> clap::Command {
    let json = Arg::new("json")
        .long("json")
        .global(true)
        .action(ArgAction::SetTrue)
        .help("Write events to stdout, one JSON object on each line");
    clap::Command::new("hearth")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run, understand, customise, train, serve and protect AI models on your own machine")
        .after_help(after_help())
        .term_width(columns.min(MAX_HELP_COLUMNS))
        .arg(json)
        .arg_required_else_help(true)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommands(COMMANDS.iter().map(|command| (command.build)(clap::Command::new(command.name))))
}

fn after_help() -> String {
    let variables = VARIABLES.iter().map(|(name, does)| format!("  {name:<14}  {does}\n"));
    format!(
        "Environment:\n{}\n\
         Exit codes:\n  \
           0    done\n  \
           1    the job failed, or verify found damage\n  \
           2    the command was written wrongly\n  \
           130  stopped with Ctrl-C; what was made until then is printed\n\n\
         stdout is data, stderr is talk. Only `pull` and `outdated` open a connection.",
        variables.collect::<String>()
    )
}

/// The argument that names a model.
fn model_argument() -> Arg {
    Arg::new("model").value_name("MODEL").help("A model's name, or the path of a model file")
}

/// The value of an argument that the parser made sure of.
fn text(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).expect("required or with a default value").clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use expect_test::{ExpectFile, expect_file};

    #[test]
    fn the_parser_is_sound() {
        parser(80).debug_assert();
    }

    #[test]
    fn every_help_page() {
        let check = |name: &str, expected: ExpectFile| {
            let words: Vec<&str> = name.split_whitespace().chain(["--help"]).collect();
            let told = Script::new([]).run(&words);
            assert_eq!((told.exit, told.err.as_str()), (Exit::Done, ""));
            assert!(told.out.lines().all(|line| line.chars().count() <= 80), "{}", told.out);
            expected.assert_eq(&told.out);
        };
        check("", expect_file!["../snapshots/help.txt"]);
        check("run", expect_file!["../snapshots/help-run.txt"]);
        check("explain", expect_file!["../snapshots/help-explain.txt"]);
        check("import", expect_file!["../snapshots/help-import.txt"]);
        check("show", expect_file!["../snapshots/help-show.txt"]);
        check("create", expect_file!["../snapshots/help-create.txt"]);
        check("diff", expect_file!["../snapshots/help-diff.txt"]);
        check("rollback", expect_file!["../snapshots/help-rollback.txt"]);
        check("pin", expect_file!["../snapshots/help-pin.txt"]);
        check("gc", expect_file!["../snapshots/help-gc.txt"]);
        check("list", expect_file!["../snapshots/help-list.txt"]);
        check("verify", expect_file!["../snapshots/help-verify.txt"]);
        check("train", expect_file!["../snapshots/help-train.txt"]);
        check("runs", expect_file!["../snapshots/help-runs.txt"]);
        check("runs compare", expect_file!["../snapshots/help-runs-compare.txt"]);
        check("export", expect_file!["../snapshots/help-export.txt"]);
    }

    #[test]
    fn wrong_words_are_usage_errors_with_a_suggestion() {
        let told = Script::new([]).run(&["lst"]);
        assert_eq!(told.exit, Exit::Usage);
        assert!(told.err.contains("'list'"), "{}", told.err);
        for words in [&["rm"][..], &["cp", "a"], &["run", "m", "--temperature", "hot"], &["list", "--yes"]] {
            assert_eq!(Script::new([]).run(words).exit, Exit::Usage, "{words:?}");
        }
        assert_eq!(Script::new([]).run(&[]).exit, Exit::Usage);
    }
}
