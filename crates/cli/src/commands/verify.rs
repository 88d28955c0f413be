//! `hearth verify`: reads every byte again and compares it with its hash.

use app::{Event, Job};
use clap::ArgMatches;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::paint::Ink;
use crate::terminal::units;
use crate::terminal::visible;

pub const COMMAND: Command = Command { name: "verify", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Read every byte of a model again and compare it with its hash")
        .arg(super::model_argument().help("Its name; all models when absent"))
        .after_help("Ends with exit code 1 when something is not as it should be.")
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let model = matches.get_one::<String>("model").cloned();
    let mut exit = Exit::Done;
    session.follow(Job::Verify { model }, &mut |console, event| {
        let (model, digest, outcome, intact) = match event {
            Event::Verified { model, digest, outcome, intact } => (model, digest, outcome, intact),
            Event::AllVerified { n_files, n_damaged } => {
                console.say(&format!("{}, {n_damaged} damaged.", units::many(*n_files, "file")));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let (ink, word) = if *intact { (Ink::Good, "ok     ") } else { (Ink::Bad, "damaged") };
        let word = console.color().paint(ink, word);
        let (model, digest) = (visible::line(model), visible::line(digest));
        let reason = if *intact { String::new() } else { format!("  {}", visible::line(outcome)) };
        exit = if *intact { exit } else { Exit::Failed };
        console.print(&format!("{word}  {model}  {digest}{reason}\n"))
    })?;
    Ok(exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;

    fn verified(intact: bool) -> Event {
        let outcome = if intact { "ok" } else { "byte 17 differs" };
        Event::Verified { model: "a".into(), digest: "sha256:01".into(), outcome: outcome.into(), intact }
    }

    #[test]
    fn damage_is_shown_and_is_the_exit_code() {
        let all = Event::AllVerified { n_files: 2, n_damaged: 1 };
        let told = Script::new([verified(false), verified(true), all]).run(&["verify"]);
        assert_eq!(told.err, "2 files, 1 damaged.\n");
        assert_eq!(told.jobs, [Job::Verify { model: None }]);
        assert_eq!(told.exit, Exit::Failed);
        assert_eq!(told.out, "damaged  a  sha256:01  byte 17 differs\nok       a  sha256:01\n");
        assert_eq!(Script::new([verified(false)]).run(&["verify", "--json"]).exit, Exit::Failed);
        let told = Script::new([verified(true)]).run(&["verify", "a"]);
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Verify { model: Some("a".into()) }]));
    }
}
