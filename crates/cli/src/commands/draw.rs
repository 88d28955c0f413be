//! `hearth draw`: pictures from words, as PNG files.

pub mod flags;
mod previews;
pub mod wanted;

use std::path::{Path, PathBuf};

use app::event::draw::{Drawing, Drawn, Picture};
use app::{Event, Failure, Job};
use clap::ArgMatches;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "draw", build, run };

/// Names that are tried where a file is there already.
const MAX_NAMES: usize = 10_000;

const AFTER_HELP: &str = "\
A prompt may weigh its words, (more), (much more:1.4), [less], and be of any length; BREAK begins a new part of it. A seed \
gives the picture that it gives in other programs with the same model, sampler and schedule. Each PNG says how it was made.

Samplers: Euler, Euler a, Heun, DPM2, DPM2 a, DPM++ 2S a, DPM++ 2M, DPM++ SDE, DPM++ 2M SDE, DPM++ 3M SDE, DDIM, UniPC, LMS, LCM.
Schedules: Uniform, Karras, Exponential, Simple, Beta, SGM Uniform, Trailing, Linspace, Leading, DDIM, LCM, …

  hearth draw \"a corgi riding a unicorn\" --model ./stable-diffusion-v1-5 --seed 7
  hearth draw \"a red house\" --model ./sdxl --size 1024x768 --steps 30 --n 4 --negative \"people, text\"
  hearth draw \"a lighthouse\" --model ./dreamshaper.safetensors --tokenizer ./stable-diffusion-v1-5/tokenizer
  hearth draw \"a lighthouse\" --model ./FLUX.1-schnell --transformer ./flux1-schnell-Q4_K_S.gguf
  hearth draw \"a lighthouse\" --model ./sdxl --lora ./ink.safetensors=0.8 --lora ./fog.safetensors
  hearth draw \"a lighthouse <lora:ink:0.8>\" --model ./sdxl --lora-folder ./loras
  hearth draw \"a house in the style of moss\" --model ./sdxl --embedding ./moss.safetensors
  hearth draw \"in watercolours\" --model ./sdxl --image photo.jpg --strength 0.6
  hearth draw \"a red door\" --model ./sdxl --image house.png --mask door.png
  hearth draw \"a stone bridge\" --model ./stable-diffusion-v1-5 --control ./control-canny=edges.png:0.8
  hearth draw \"a lighthouse\" --model ./sdxl --upscale ./RealESRGAN_x4plus.pth
  hearth draw --from picture-7.png --model ./sdxl --seed 8
  hearth draw \"a corgi\" --model ./sdxl --seed 7 --variation-strength 0.2 --n 4";

fn build(command: clap::Command) -> clap::Command {
    command.about("Make pictures from words").args(flags::all()).after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let job = wanted::job(matches).map_err(Stop::Failed)?;
    let (out, n) = (matches.get_one::<PathBuf>("out").cloned().unwrap_or_default(), job.n);
    // Hours of work for a place that is not there would be lost.
    check(&out, n)?;
    let mut unwritten = None;
    let place = if is_file(&out, n) { previews::Place::Beside } else { previews::Place::In };
    let mut files = previews::Previews::new(place(out.clone()));
    session.follow(Job::Draw(job), &mut |console, event| match event {
        Event::Drawing(drawing) => {
            console.live(&[line(drawing, n)]);
            Ok(())
        }
        Event::Preview(preview) => {
            if let Some(path) = files.write(preview) {
                console.say(&format!("{}: what it looks like so far", path.display()));
            }
            Ok(())
        }
        Event::Picture(picture) => match write(&out, picture, n) {
            Ok(path) => console.print(&format!("{}\n", path.display())),
            Err(failure) => {
                unwritten.get_or_insert(failure);
                Ok(())
            }
        },
        Event::Note { text } => {
            console.say(text);
            Ok(())
        }
        Event::Drawn(drawn) => {
            console.say(&told(drawn));
            Ok(())
        }
        _ => Ok(()),
    })?;
    match unwritten {
        Some(failure) => Err(Stop::Failed(failure)),
        None => Ok(Exit::Done),
    }
}

/// Whether a file would be written, and no folder be filled.
fn is_file(out: &Path, n: usize) -> bool {
    n == 1 && out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// Refuses a place where nothing can be written.
fn check(out: &Path, n: usize) -> Result<(), Stop> {
    let is_file = is_file(out, n);
    let folder =
        if is_file { out.parent().filter(|parent| !parent.as_os_str().is_empty()) } else { Some(out) };
    let problem = match folder {
        Some(folder) if !folder.is_dir() => format!("{}: there is no such folder", folder.display()),
        _ if is_file && out.exists() => format!("{}: it is there already", out.display()),
        _ => return Ok(()),
    };
    Err(Stop::Failed(Failure::new("cannot_write", problem, "name another folder or file with --out")))
}

/// How far it is, in a line.
pub fn line(drawing: &Drawing, n: usize) -> String {
    let Drawing { index, steps_done, n_steps, step_seconds } = *drawing;
    let left = (n_steps - steps_done + (n - index - 1) * n_steps) as f64 * step_seconds;
    let which = if n > 1 { format!("picture {} of {n}, ", index + 1) } else { String::new() };
    format!(
        "{which}step {steps_done} of {n_steps}, {} a step, {} left",
        units::duration(step_seconds),
        units::duration(left)
    )
}

fn told(drawn: &Drawn) -> String {
    let seconds = &drawn.seconds;
    let parts =
        [("reading the prompts", seconds.prompts), ("steps", seconds.steps), ("pixels", seconds.pixels)];
    let parts = parts.map(|(name, seconds)| format!("{name} {}", units::duration(seconds))).join(", ");
    format!("{}: {parts}.", units::many(drawn.n_pictures, "picture"))
}

/// Writes a picture; files that are there stay.
fn write(out: &Path, picture: &Picture, n: usize) -> Result<PathBuf, Failure> {
    let is_file = is_file(out, n);
    let names = (1..=MAX_NAMES).map(|at| match (is_file, at) {
        (true, _) => out.to_owned(),
        (false, 1) => out.join(format!("picture-{}.png", picture.seed)),
        (false, at) => out.join(format!("picture-{}-{at}.png", picture.seed)),
    });
    let failed = |path: &Path, error: &std::io::Error| {
        let hint = "name another folder or file with --out";
        Failure::new("cannot_write", format!("{}: {error}", path.display()), hint)
    };
    for path in names {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        match file {
            Ok(mut file) => {
                let written = std::io::Write::write_all(&mut file, &picture.png);
                return written.map(|()| path.clone()).map_err(|error| failed(&path, &error));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && !is_file => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Err(Failure::new(
        "cannot_write",
        format!("{} is full of pictures", out.display()),
        "name another folder with --out",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::draw::{Preview, Seconds};
    use app::job::draw::{Previews, Recipe};

    fn events() -> [Event; 3] {
        let picture =
            Picture { index: 0, seed: 7, size: [8, 8], png: vec![1, 2, 3], parameters: String::new() };
        let seconds = Seconds { prompts: 1.0, steps: 2.0, pixels: 3.0 };
        [
            Event::Drawing(Drawing { index: 0, steps_done: 1, n_steps: 3, step_seconds: 0.5 }),
            Event::Picture(picture),
            Event::Drawn(Drawn { model: "m".into(), n_pictures: 1, seconds }),
        ]
    }

    #[test]
    fn pictures_are_written_and_none_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        let words = ["draw", "a cat", "--model", "m", "--size", "64x32", "--seed", "7", "--out", &out];
        for name in ["picture-7.png", "picture-7-2.png"] {
            let told = Script::new(events()).run(&words);
            let path = folder.path().join(name);
            assert_eq!((told.exit, told.out), (Exit::Done, format!("{}\n", path.display())));
            assert_eq!(std::fs::read(path).unwrap(), [1, 2, 3]);
            let [Job::Draw(draw)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
            assert_eq!(
                (draw.size, draw.seed, draw.n, draw.recipe),
                (Some([64, 32]), Some(7), 1, Recipe::Written)
            );
            assert!(told.err.contains("1 picture: reading the prompts 1"), "{}", told.err);
        }
        let file = folder.path().join("picture-7.png").display().to_string();
        let told = Script::new(events()).run(&["draw", "a cat", "--model", "m", "--out", &file]);
        assert!(told.jobs.is_empty() && told.err.contains("already"), "{}", told.err);
        let told = Script::new(events()).run(&["draw", "a cat", "--model", "m", "--out", "no/such/folder"]);
        assert!(told.jobs.is_empty() && told.err.contains("no such folder"), "{}", told.err);
    }

    #[test]
    fn previews_are_asked_for_and_gone_with_their_picture() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().display().to_string();
        let words = ["draw", "a cat", "--model", "m", "--preview", "3", "--out", &out];
        let preview = Preview { index: 0, seed: 7, steps_done: 3, size: [1, 1], png: vec![9] };
        let [drawing, picture, drawn] = events();
        let told = Script::new([drawing, Event::Preview(preview), picture, drawn]).run(&words);
        let [Job::Draw(draw)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        assert_eq!(draw.previews, Some(Previews::Every(3)));
        assert!(told.err.contains("picture-7.preview.png: what it looks like so far"), "{}", told.err);
        let names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["picture-7.png"]);
    }

    #[test]
    fn what_is_left_counts_the_pictures_to_come() {
        let drawing = Drawing { index: 1, steps_done: 5, n_steps: 10, step_seconds: 2.0 };
        assert!(line(&drawing, 3).starts_with("picture 2 of 3, step 5 of 10, 2"));
        assert!(line(&drawing, 3).ends_with("30 s left"), "{}", line(&drawing, 3));
    }
}
