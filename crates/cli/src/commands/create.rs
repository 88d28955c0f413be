//! `hearth create`: makes a model from another one by a Modelfile.

use std::path::PathBuf;

use app::event::library::Note;
use app::job::library::Create;
use app::{Event, Job};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;

pub const COMMAND: Command = Command { name: "create", build, run };

const AFTER_HELP: &str = "\
A Modelfile is a text such as

  FROM starter
  SYSTEM You answer in rhymes.
  PARAMETER temperature 0.2

FROM names a model here, one of Ollama or of the Hugging Face cache, or a GGUF file. PARAMETER, SYSTEM, MESSAGE, \
TEMPLATE (in Jinja), ADAPTER (a folder as peft writes it, a GGUF file, or an adapter here) and LICENSE are kept with \
the new model; weights that are here are not copied.

  hearth create poet -f Modelfile
  hearth show --modelfile poet";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Make a model from another one by a Modelfile")
        .arg(Arg::new("name").value_name("NAME").required(true).help("The new model's name"))
        .arg(
            Arg::new("file")
                .long("file")
                .short('f')
                .value_name("FILE")
                .default_value("Modelfile")
                .value_parser(value_parser!(PathBuf))
                .help("The Modelfile"),
        )
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let path = matches.get_one::<PathBuf>("file").expect("it has a default").clone();
    let job = Create { model: super::text(matches, "name"), path };
    session.follow(Job::Create(job), &mut |console, event| {
        if let Event::Created { model, notes } = event {
            notes.iter().for_each(|note| console.say(&sentence(note)));
            console.say(&format!("{} is here: hearth run {}", model.name, model.name));
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn sentence(note: &Note) -> String {
    match note {
        Note::UnknownParameter { name, nearest } if nearest.is_empty() => {
            format!("Nobody knows the parameter {name}; it is kept and has no effect.")
        }
        Note::UnknownParameter { name, nearest } => {
            let nearest = nearest.join(" or ");
            format!("Nobody knows the parameter {name}; it is kept and has no effect. Is {nearest} meant?")
        }
        Note::UnusedParameter { name } => {
            format!("The parameter {name} is kept; it has no effect in Hearth.")
        }
        Note::GoTemplate => {
            "The template is in Go's language: it is kept, but Hearth takes Jinja templates, so the \
                             weights' own is used."
                .into()
        }
        Note::LeftOut { instruction } => format!("{instruction} is left out: Hearth has no use for it."),
        Note::KeptForOthers { instruction } => {
            format!("{instruction} is kept for other programs; it has no effect in Hearth.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, model};
    use expect_test::expect;

    #[test]
    fn what_takes_no_effect_is_said() {
        let unknown = |name: &str, nearest: &[&str]| Note::UnknownParameter {
            name: name.into(),
            nearest: nearest.iter().map(|&name| name.into()).collect(),
        };
        let notes = vec![
            unknown("temprature", &["temperature"]),
            unknown("zzz\x1b", &[]),
            Note::UnusedParameter { name: "num_ctx".into() },
            Note::GoTemplate,
            Note::LeftOut { instruction: "DRAFT".into() },
            Note::KeptForOthers { instruction: "REQUIRES".into() },
        ];
        let created = Event::Created { model: model("poet"), notes };
        let told = Script::new([created]).run(&["create", "poet", "-f", "poet.txt"]);
        assert_eq!(told.jobs, [Job::Create(Create { model: "poet".into(), path: "poet.txt".into() })]);
        expect![[r#"
            Nobody knows the parameter temprature; it is kept and has no effect. Is temperature meant?
            Nobody knows the parameter zzz␛; it is kept and has no effect.
            The parameter num_ctx is kept; it has no effect in Hearth.
            The template is in Go's language: it is kept, but Hearth takes Jinja templates, so the weights' own is used.
            DRAFT is left out: Hearth has no use for it.
            REQUIRES is kept for other programs; it has no effect in Hearth.
            poet is here: hearth run poet
        "#]]
        .assert_eq(&told.err);
    }

    #[test]
    fn the_modelfile_is_in_this_folder_by_default() {
        let told = Script::new([Event::Created { model: model("poet"), notes: Vec::new() }])
            .run(&["create", "poet"]);
        assert_eq!(told.jobs, [Job::Create(Create { model: "poet".into(), path: "Modelfile".into() })]);
        assert_eq!(Script::new([]).run(&["create"]).exit, Exit::Usage);
    }
}
