//! `hearth pin`: holds a name at its version, or lets it move again.

use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "pin", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Hold a model at its version, so that nothing changes or removes it")
        .arg(super::model_argument().required(true).help("The model's name"))
        .arg(Arg::new("off").long("off").action(ArgAction::SetTrue).help("Let it change again"))
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let model = super::text(matches, "model");
    let job = if matches.get_flag("off") { Job::Unpin { model } } else { Job::Pin { model } };
    session.follow(job, &mut |console, event| {
        match event {
            Event::Pinned { model, is_pinned: true } => console.say(&format!("{model} stays as it is.")),
            Event::Pinned { model, is_pinned: false } => console.say(&format!("{model} may change again.")),
            _ => {}
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
    fn a_name_is_held_and_let_go() {
        let pinned = |is_pinned| Script::new([Event::Pinned { model: "a".into(), is_pinned }]);
        let told = pinned(true).run(&["pin", "a"]);
        assert_eq!(
            (told.jobs, told.err.as_str()),
            (vec![Job::Pin { model: "a".into() }], "a stays as it is.\n")
        );
        let told = pinned(false).run(&["pin", "--off", "a"]);
        assert_eq!(told.jobs, [Job::Unpin { model: "a".into() }]);
        assert_eq!(told.err, "a may change again.\n");
    }
}
