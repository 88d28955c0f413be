//! From the words of a command line to an exit code.

use std::ffi::OsString;
use std::io;

use app::Failure;

use crate::commands;
use crate::console::Format;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

/// Parses, runs and reports.
pub fn main(arguments: impl IntoIterator<Item = OsString>, session: &mut Session) -> Exit {
    let matches = match commands::parser(session.console().columns()).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error, session),
    };
    let (name, matches) = matches.subcommand().expect("the parser wants a command");
    if matches.get_flag("json") {
        session.console().format = Format::Json;
    }
    let command = commands::named(name).expect("the parser knows only the commands of the table");
    match (command.run)(matches, session) {
        Ok(exit) => exit,
        Err(stop) => report(stop, session),
    }
}

/// Help and version go to stdout, complaints to stderr.
fn usage(error: &clap::Error, session: &mut Session) -> Exit {
    let text = error.to_string();
    if error.use_stderr() {
        session.console().complain(text.trim_end());
        return Exit::Usage;
    }
    match session.console().print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => report(Stop::Output(error), session),
    }
}

fn report(stop: Stop, session: &mut Session) -> Exit {
    let console = session.console();
    if !matches!(stop, Stop::Output(_)) {
        // What was made ends with its own line; when even that fails there is nothing left to save.
        drop(console.end_line());
    }
    match stop {
        Stop::Failed(failure) => {
            console.fail(&failure);
            Exit::Failed
        }
        Stop::Interrupted => {
            console.say("Stopped.");
            Exit::Interrupted
        }
        // `hearth list | head -1`: who reads has enough.
        Stop::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Stop::Output(error) => {
            let message = format!("stdout cannot be written: {error}");
            let failure = Failure::new("output", message, "look at the disk, or where stdout leads to");
            console.fail(&failure);
            Exit::Failed
        }
    }
}
