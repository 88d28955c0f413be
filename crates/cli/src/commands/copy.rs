//! `hearth cp`: a second name for a model; its bytes are shared.

use app::{Event, Job};
use clap::{Arg, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "cp", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Give a model a second name; its bytes are shared")
        .arg(Arg::new("from").required(true).value_name("FROM").help("The model"))
        .arg(Arg::new("to").required(true).value_name("TO").help("The new name"))
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let (from, to) = (super::text(matches, "from"), super::text(matches, "to"));
    session.follow(Job::Copy { from: from.clone(), to }, &mut |console, event| {
        if let Event::Stored(model) = event {
            console.say(&format!("{from} is also {}.", model.name));
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, model};

    #[test]
    fn two_names_make_a_job() {
        let told = Script::new([Event::Stored(model("b"))]).run(&["cp", "a", "b"]);
        assert_eq!(told.jobs, [Job::Copy { from: "a".into(), to: "b".into() }]);
        assert_eq!((told.out.as_str(), told.err.as_str()), ("", "a is also b.\n"));
    }
}
