//! `hearth upscale`: a picture made larger by a network.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use app::event::draw::{Drawing, Picture};
use app::job::draw::{File, Precision, Recipe};
use app::job::upscale::Upscale;
use app::{Event, Failure, Job};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "upscale", build, run };

const AFTER_HELP: &str = "\
Networks are RRDBNets, in a .safetensors or .pth file as ESRGAN and Real-ESRGAN publish them; how much larger a picture \
becomes, a network decides. It is made part by part, so that memory holds large pictures too. A PNG that says how it was made \
goes on saying it. A drawing is made larger at once with `hearth draw … --upscale FILE`.

  hearth upscale picture-7.png --model ./RealESRGAN_x4plus.pth
  hearth upscale photo.jpg --model ./RealESRGAN_x2plus.pth --out large.png";

fn build(command: clap::Command) -> clap::Command {
    let picture =
        Arg::new("picture").value_name("PICTURE").required(true).value_parser(value_parser!(PathBuf));
    command
        .about("Make a picture larger with a network")
        .arg(picture.help("A PNG or JPEG file"))
        .arg(Arg::new("model").long("model").value_name("FILE").required(true).help("The network"))
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("FILE.png")
                .value_parser(value_parser!(PathBuf))
                .help("The larger picture; beside the other when absent, NAME.large.png"),
        )
        .arg(
            Arg::new("precision")
                .long("precision")
                .value_name("NAME")
                .value_parser(["bf16", "f32"])
                .help("f32, or bf16 for the large products [default: bf16]"),
        )
        .arg(
            Arg::new("no-metadata")
                .long("no-metadata")
                .action(ArgAction::SetTrue)
                .help("Leave out of the file how the picture was made"),
        )
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let path = matches.get_one::<PathBuf>("picture").expect("it is required");
    let out = matches.get_one::<PathBuf>("out").cloned().unwrap_or_else(|| path.with_extension("large.png"));
    // Minutes of work for a place that is not there would be lost.
    let folder = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(failed(&out, "there is no such folder").into());
    }
    if out.exists() {
        return Err(failed(&out, "it is there already").into());
    }
    let precision = matches.get_one::<String>("precision");
    let job = Upscale {
        model: super::text(matches, "model"),
        picture: File::read(path)?,
        precision: precision.map(|name| if name == "f32" { Precision::F32 } else { Precision::Bf16 }),
        recipe: if matches.get_flag("no-metadata") { Recipe::LeftOut } else { Recipe::Written },
    };
    let mut unwritten = None;
    session.follow(Job::Upscale(job), &mut |console, event| match event {
        Event::Drawing(drawing) => {
            console.live(&[line(drawing)]);
            Ok(())
        }
        Event::Picture(picture) => match write(&out, picture) {
            Ok(()) => {
                let [width, height] = picture.size;
                console.say(&format!("{width} x {height} pixels"));
                console.print(&format!("{}\n", out.display()))
            }
            Err(failure) => {
                unwritten = Some(failure);
                Ok(())
            }
        },
        _ => Ok(()),
    })?;
    unwritten.map_or(Ok(Exit::Done), |failure| Err(Stop::Failed(failure)))
}

fn line(drawing: &Drawing) -> String {
    let Drawing { steps_done, n_steps, step_seconds, .. } = *drawing;
    let left = (n_steps - steps_done) as f64 * step_seconds;
    format!("part {steps_done} of {n_steps}, {} left", units::duration(left))
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> Failure {
    let hint = "name another file with --out";
    Failure::new("cannot_write", format!("{}: {reason}", path.display()), hint)
}

/// Writes the picture; a file that is there stays.
fn write(path: &Path, picture: &Picture) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(&picture.png)).map_err(|error| failed(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::draw::{Drawn, Seconds};

    #[test]
    fn a_larger_picture_is_written_beside_the_other_and_over_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, [7, 7]).unwrap();
        let words = ["upscale", &path.display().to_string(), "--model", "x4.pth", "--precision", "f32"];
        let events = || {
            let picture =
                Picture { index: 0, seed: 0, size: [8, 4], png: vec![1, 2], parameters: String::new() };
            [
                Event::Drawing(Drawing { index: 0, steps_done: 1, n_steps: 3, step_seconds: 2.0 }),
                Event::Picture(picture),
                Event::Drawn(Drawn { model: "x4.pth".into(), n_pictures: 1, seconds: Seconds::default() }),
            ]
        };
        let told = Script::new(events()).run(&words);
        let out = folder.path().join("a.large.png");
        assert_eq!((told.exit, told.out), (Exit::Done, format!("{}\n", out.display())), "{}", told.err);
        assert_eq!(std::fs::read(&out).unwrap(), [1, 2]);
        assert!(told.err.contains("8 x 4 pixels"), "{}", told.err);
        let [Job::Upscale(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        assert_eq!((job.model.as_str(), &job.picture.bytes[..]), ("x4.pth", [7, 7].as_slice()));
        assert_eq!((job.precision, job.recipe), (Some(Precision::F32), Recipe::Written));
        let told = Script::new(events()).run(&words);
        assert!(told.jobs.is_empty() && told.err.contains("already"), "{}", told.err);
        let told = Script::new(events()).run(&["upscale", "no/such.png", "--model", "m", "--out", "b.png"]);
        assert!(told.jobs.is_empty() && told.err.contains("no/such.png"), "{}", told.err);
    }

    #[test]
    fn what_is_left_is_told() {
        let drawing = Drawing { index: 0, steps_done: 2, n_steps: 12, step_seconds: 3.0 };
        assert_eq!(line(&drawing), "part 2 of 12, 30 s left");
    }
}
