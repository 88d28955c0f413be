//! `hearth train`: makes a model from a folder of texts, or goes on with one that was stopped.
//!
//! What is told of it is `view` (of one on pictures `pictures`), the block that is redrawn while it runs `block`, the flags of the commonest
//! settings `flags`.

mod block;
mod flags;
mod pictures;
mod view;

use std::path::PathBuf;

use app::Job;
use app::job::training::{Start, Train};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use super::import::whole;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::training_settings::{Settings, file};
use view::View;

pub const COMMAND: Command = Command { name: "train", build, run };

const AFTER_HELP: &str = "\
The data is a folder of .txt, .md and .jsonl files, or one of them. From the size follows everything else; \
each value is shown with its reason, and each can be set: the commonest by a flag, all in the file of --config, \
one `name: value` on each line. `hearth explain --knob NAME` explains one.

With --kind image it learns to draw: the data is a folder of PNG files with a metadata.jsonl of lines \
{\"file_name\": \"a.png\", \"text\": \"a cat\"}, or with a.txt beside each a.png; --size is pixels on a side. The \
model is a folder in the run's, which `hearth draw --model` and diffusers read.

Ctrl-C saves and stops; --resume goes on from there, bit by bit as if nothing had happened.

  hearth train --data texts --name stories --size nano
  hearth train --data texts --name stories --config settings.yaml --steps 500
  hearth train --data pictures --name shapes --kind image --size 64
  hearth train --resume stories";

fn build(command: clap::Command) -> clap::Command {
    let path = value_parser!(PathBuf);
    let arg = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    let new = ["data", "name", "config"].into_iter().chain(flags::names());
    command
        .about("Train a language model of your own from a folder of texts")
        .arg(
            arg("data", "PATH")
                .value_parser(path.clone())
                .required_unless_present("resume")
                .help("What it learns from: a folder, or a .txt, .md or .jsonl file"),
        )
        .arg(arg("name", "NAME").required_unless_present("resume").help("The name that the model gets"))
        .arg(
            arg("resume", "NAME")
                .conflicts_with_all(new.collect::<Vec<_>>())
                .help("Go on with the run of this name, or with the newest of this model"),
        )
        .arg(
            arg("kind", "KIND")
                .value_parser(["text", "image"])
                .conflicts_with("resume")
                .help("text for a language model (default), image for one that draws"),
        )
        .arg(arg("config", "FILE").value_parser(path).help("Settings in a YAML file; flags win over it"))
        .args(flags::arguments())
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let job = job(matches)?;
    let mut view = View::new(session.world.elapsed_ms.clone());
    view.begin(session.console(), &job);
    session.follow_anywhere(Job::Train(job), &mut |console, event| {
        view.take(console, event);
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn job(matches: &ArgMatches) -> Result<Train, Stop> {
    if let Some(name) = matches.get_one::<String>("resume") {
        return Ok(Train { name: name.clone(), start: Start::Resume });
    }
    let data = whole(matches.get_one::<PathBuf>("data").expect("required without --resume"))?;
    let from_file = match matches.get_one::<PathBuf>("config") {
        Some(path) => file::read(path)?,
        None => Settings::default(),
    };
    let settings = from_file.with(flags::settings(matches));
    let name = super::text(matches, "name");
    if matches.get_one::<String>("kind").is_some_and(|kind| kind == "image") {
        return Ok(Train { name, start: Start::NewPictures(Box::new(settings.pictures(data)?)) });
    }
    settings.check_language()?;
    Ok(Train { name, start: Start::New(Box::new(settings.training(data))) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::job::training::{NewTraining, Size, Vocabulary};
    use std::path::absolute;

    fn new(words: &[&str]) -> NewTraining {
        let told = Script::new([]).run(words);
        let [Job::Train(Train { name, start: Start::New(new) })] = told.jobs.as_slice() else {
            panic!("{:?} {}", told.jobs, told.err)
        };
        assert_eq!(name, "n");
        (**new).clone()
    }

    #[test]
    fn flags_become_a_job() {
        let plain = new(&["train", "--data", "d", "--name", "n"]);
        let nothing = Settings::default().training(absolute("d").unwrap());
        assert_eq!(plain, nothing);
        let words = [
            "train",
            "--data",
            "/d",
            "--name",
            "n",
            "--size",
            "small",
            "--steps",
            "10",
            "--learning-rate",
            "0.01",
            "--batch",
            "2",
            "--length",
            "64",
            "--precision",
            "f32",
            "--vocabulary",
            "characters",
            "--vocabulary-size",
            "300",
            "--sample",
            "Once",
            "--seed",
            "7",
            "--seed",
            "8",
        ];
        let job = new(&words);
        let knobs = &job.knobs;
        assert_eq!((knobs.size, knobs.steps, knobs.learning_rate), (Size::Small, Some(10), Some(0.01)));
        assert_eq!(
            (knobs.batch, knobs.length, knobs.vocabulary, knobs.seed),
            (Some(2), Some(64), Some(300), Some(8))
        );
        assert_eq!((job.vocabulary, job.watch.sample.as_deref()), (Vocabulary::Characters, Some("Once")));
        assert!(knobs.precision.is_some());
    }

    #[test]
    fn a_file_gives_everything_and_flags_win() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        std::fs::write(&path, "size: nano\nsteps: 5\nbeta_2: 0.99\npatience: 0\n").unwrap();
        let path = path.to_str().unwrap();
        let job = new(&["train", "--data", "/d", "--name", "n", "--config", path, "--steps", "6"]);
        assert_eq!((job.knobs.size, job.knobs.steps, job.knobs.beta_2), (Size::Nano, Some(6), Some(0.99)));
        assert_eq!(job.watch.patience, Some(0));
        std::fs::write(path, "size: nano\nstep: 5\n").unwrap();
        let told = Script::new([]).run(&["train", "--data", "/d", "--name", "n", "--config", path]);
        assert_eq!((told.exit, told.jobs.len()), (Exit::Failed, 0));
        assert!(told.err.contains("no setting `step`; did you mean `steps`? at line 2"), "{}", told.err);
    }

    #[test]
    fn resume_needs_a_name_alone() {
        let told = Script::new([]).run(&["train", "--resume", "stories"]);
        assert_eq!(told.jobs, [Job::Train(Train { name: "stories".into(), start: Start::Resume })]);
        for words in [
            &["train"][..],
            &["train", "--data", "d"],
            &["train", "--name", "n"],
            &["train", "--resume", "n", "--steps", "3"],
            &["train", "--resume", "n", "--data", "d"],
            &["train", "--data", "d", "--name", "n", "--steps", "many"],
            &["train", "--data", "d", "--name", "n", "--size", "huge"],
        ] {
            assert_eq!(Script::new([]).run(words).exit, Exit::Usage, "{words:?}");
        }
    }
}
