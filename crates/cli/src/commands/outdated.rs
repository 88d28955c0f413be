//! `hearth outdated`: which models are offered in a newer version where they came from.

use app::event::pull::Standing;
use app::{Event, Job};
use clap::ArgMatches;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, table};

pub const COMMAND: Command = Command { name: "outdated", build, run };

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Ask where models came from whether something newer is offered")
        .arg(super::model_argument().help("Its name; all models that were fetched when absent"))
        .after_help("Nothing is fetched: `hearth pull` does that. This opens a connection to each source.")
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let model = matches.get_one::<String>("model").cloned();
    let mut exit = Exit::Done;
    session.follow(Job::Outdated { model }, &mut |console, event| {
        let Event::Outdated { models, broken } = event else { return Ok(()) };
        for failure in broken {
            exit = Exit::Failed;
            console.warn(failure);
        }
        let rows: Vec<Vec<String>> =
            models.iter().filter(|model| !model.source.is_empty()).map(row).collect();
        if rows.is_empty() {
            console.say("No model here was fetched from a source that could be asked.");
            return Ok(());
        }
        let headings = [
            ("MODEL", Side::Left),
            ("STANDING", Side::Left),
            ("OFFERED", Side::Left),
            ("SOURCE", Side::Left),
        ];
        console.print(&table(&headings, &rows))
    })?;
    Ok(exit)
}

fn row(model: &Standing) -> Vec<String> {
    let standing = match model.standing.as_str() {
        "outdated" => "a newer one is offered",
        "pinned" => "a newer one is offered; pinned",
        "in_history" => "another of its versions is offered",
        "current" => "current",
        _ => "unknown",
    };
    let offered = model.offered.chars().take(12).collect();
    vec![model.model.clone(), standing.into(), offered, model.source.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::Failure;

    fn standing(model: &str, standing: &str, source: &str) -> Standing {
        let text = str::to_owned;
        Standing {
            model: text(model),
            source: text(source),
            standing: text(standing),
            offered: "0123456789abcdef".into(),
        }
    }

    #[test]
    fn what_is_newer_is_told_and_what_went_wrong_is_the_exit_code() {
        let models = vec![standing("poems", "outdated", "hf.co/anna/poems"), standing("mine", "unknown", "")];
        let event = Event::Outdated { models, broken: Vec::new() };
        let told = Script::new([event]).run(&["outdated"]);
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Outdated { model: None }]));
        assert!(told.out.contains("a newer one is offered") && !told.out.contains("mine"), "{}", told.out);
        let broken = vec![Failure::new("network", "the hub does not answer", "try again")];
        let told = Script::new([Event::Outdated { models: Vec::new(), broken }]).run(&["outdated", "poems"]);
        assert_eq!(told.exit, Exit::Failed);
        assert!(told.err.contains("the hub does not answer"), "{}", told.err);
    }
}
