//! `hearth stop`: takes a model out of the running server's memory.

use app::{Event, Job};
use clap::ArgMatches;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "stop", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Take a model out of the running server's memory")
        .arg(super::model_argument().required(true).help("The model's name"))
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let job = Job::Unload { model: super::text(matches, "model") };
    session.follow_at_server(job, &mut |console, event| {
        if let Event::Unloaded { model } = event {
            console.say(&format!("{model} leaves when its answers have ended."));
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;

    #[test]
    fn a_model_leaves() {
        let told = Script::new([Event::Unloaded { model: "a".into() }]).run(&["stop", "a"]);
        assert_eq!(told.jobs, [Job::Unload { model: "a".into() }]);
        assert_eq!((told.exit, told.err.as_str()), (Exit::Done, "a leaves when its answers have ended.\n"));
    }
}
