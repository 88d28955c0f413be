//! `hearth rollback`: goes back to an older version of a model, or forward again.

use app::job::library::{RollBack, Target};
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use super::list::short;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "rollback", build, run };

const AFTER_HELP: &str = "\
Whatever a name stood for before stays among its versions, 16 of them at most; `hearth show NAME` lists them. Going \
back forgets nothing.

  hearth rollback poems
  hearth rollback poems --to 3f2a9c
  hearth rollback poems --forward";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Go back to an older version of a model")
        .arg(super::model_argument().required(true).help("The model's name"))
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("VERSION")
                .conflicts_with("forward")
                .help("The version: the first digits of its digest"),
        )
        .arg(Arg::new("forward").long("forward").action(ArgAction::SetTrue).help("Go to the next newer one"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let target = match matches.get_one::<String>("to") {
        Some(version) => Target::Version(version.clone()),
        None if matches.get_flag("forward") => Target::Newer,
        None => Target::Older,
    };
    let job = RollBack { model: super::text(matches, "model"), target };
    session.follow(Job::RollBack(job), &mut |console, event| {
        if let Event::RolledBack { model, before } = event {
            let (now, before) = (short(&model.digest), short(before));
            console.say(&format!("{} is version {now} now; before, it was {before}.", model.name));
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
    fn back_forth_and_to_a_version() {
        let check = |words: &[&str], target: Target| {
            let before = format!("sha256:{}", "f".repeat(64));
            let told = Script::new([Event::RolledBack { model: model("poems"), before }]).run(words);
            assert_eq!(told.jobs, [Job::RollBack(RollBack { model: "poems".into(), target })]);
            assert_eq!(told.err, "poems is version 0123456789ab now; before, it was ffffffffffff.\n");
        };
        check(&["rollback", "poems"], Target::Older);
        check(&["rollback", "poems", "--forward"], Target::Newer);
        check(&["rollback", "poems", "--to", "0123"], Target::Version("0123".into()));
        let both = ["rollback", "poems", "--to", "0123", "--forward"];
        assert_eq!(Script::new([]).run(&both).exit, Exit::Usage);
    }
}
