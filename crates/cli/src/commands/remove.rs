//! `hearth rm`: takes models away, without asking.

use app::{Event, Job};
use clap::ArgMatches;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "rm", build, run };

fn build(command: clap::Command) -> clap::Command {
    let models = super::model_argument().required(true).num_args(1..).help("The models' names");
    command.about("Take models away; asks nothing").arg(models)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    for model in matches.get_many::<String>("model").into_iter().flatten() {
        session.follow(Job::Remove { model: model.clone() }, &mut |console, event| {
            if let Event::Removed { model, freed_bytes } = event {
                console.say(&format!("{model} is gone; {} are free.", units::bytes(*freed_bytes)));
            }
            Ok(())
        })?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::Failure;

    #[test]
    fn each_name_is_a_job() {
        let removed = Event::Removed { model: "a".into(), freed_bytes: 1_100_000 };
        let told = Script::new([removed]).run(&["rm", "a", "b"]);
        assert_eq!(told.jobs, ["a", "b"].map(|model| Job::Remove { model: model.into() }));
        assert_eq!(told.err, "a is gone; 1.1 MB are free.\na is gone; 1.1 MB are free.\n");
    }

    #[test]
    fn a_failure_names_the_next_step_and_shows_no_escape() {
        let failure = Failure::new("model_not_found", "no model `\x1b[2J`", "did you mean `starter`?");
        let script = || Script::new([Event::Failed(failure.clone())]);
        let told = script().run(&["rm", "a", "b"]);
        assert_eq!((told.exit, told.jobs.len()), (Exit::Failed, 1));
        assert_eq!(told.err, "error: no model `␛[2J`\nhint: did you mean `starter`?\n");
        let told = script().run(&["rm", "a", "--json"]);
        assert_eq!(serde_json::from_str::<Event>(&told.out).unwrap(), Event::Failed(failure.clone()));
        assert!(told.err.starts_with("error: "));
    }
}
