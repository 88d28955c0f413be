//! `hearth explain --draw PROMPT`: how a picture came to be, as one page that opens in any browser and asks nobody for
//! anything.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use app::job::draw::{Draw, Inside, Recipe};
use app::{Event, Failure, Job};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, value_parser};

use super::page::{self, Story};
use crate::commands::draw::{flags, line, wanted};
use crate::knobs;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use app::job::Sampling;

const HEADING: &str = "With --draw";
/// The page where nobody names one.
const PAGE: &str = "drawing.html";
/// Flags of `hearth draw` that mean nothing for one picture on a page, and those that have another name here.
const WITHOUT: [&str; 8] = ["prompt", "model", "seed", "from", "n", "out", "preview", "no-metadata"];

/// The flag that asks for a drawing, and those that say which.
pub fn arguments() -> Vec<Arg> {
    let draw = Arg::new("draw")
        .long("draw")
        .value_name("PROMPT")
        .conflicts_with_all(["model", "prompt", "raw", "system", "device", "knob"])
        .help("Draw a picture instead, and show on a page how it came to be");
    let model = Arg::new("image-model")
        .long("model")
        .value_name("MODEL")
        .help("An image model's name, folder or file");
    let out = Arg::new("page")
        .long("out")
        .value_name("PAGE.html")
        .value_parser(value_parser!(PathBuf))
        .default_value(PAGE)
        .help("Where the page is written");
    let others = flags::all().into_iter().filter(|arg| !WITHOUT.contains(&arg.get_id().as_str()));
    let mut all = vec![draw.help_heading(HEADING)];
    all.extend([model, out].into_iter().chain(others).map(|arg| arg.requires("draw").help_heading(HEADING)));
    all
}

/// The prompt that was asked for.
pub fn asked(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>("draw").map(String::as_str)
}

/// Fails where a flag says how a picture is drawn and none is asked for.
///
/// # Errors
/// `bad_setting`, with the flag's name.
pub fn expect_none(matches: &ArgMatches) -> Result<(), Failure> {
    let is_given = |arg: &&Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let all = arguments();
    let Some(flag) = all.iter().filter(is_given).find_map(Arg::get_long) else { return Ok(()) };
    let message = format!("--{flag} says how a picture is drawn, and no --draw asks for one");
    Err(Failure::new("bad_setting", message, "hearth explain --draw \"a red house\" --model FOLDER"))
}

/// Draws, and writes the page.
pub fn explain(prompt: &str, matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let Some(model) = matches.get_one::<String>("image-model") else {
        let hint = "hearth explain --draw \"a red house\" --model FOLDER";
        return Err(Failure::new("no_model", "no image model is named", hint).into());
    };
    let path = matches.get_one::<PathBuf>("page").expect("it has a default");
    // Minutes of work for a place that is not there would be lost.
    check(path)?;
    let job = Draw {
        model: Some(model.clone()),
        prompt: Some(prompt.to_owned()),
        seed: knobs::sampling(matches, Sampling::default()).seed,
        n: 1,
        recipe: Recipe::LeftOut,
        inside: Inside::Told,
        ..wanted::job(matches).map_err(Stop::Failed)?
    };
    let mut story = Story { prompt: prompt.to_owned(), negative: job.negative.clone(), ..Story::default() };
    session.follow(Job::Draw(job), &mut |console, event| {
        match event {
            Event::Drawing(drawing) => console.live(&[line(drawing, 1)]),
            Event::Note { text } => console.say(text),
            Event::Begun(begun) => story.begun = Some(begun.as_ref().clone()),
            Event::Picture(picture) => story.picture = Some(picture.clone()),
            Event::Glass(glass) => story.glass = Some(glass.as_ref().clone()),
            Event::Drawn(drawn) => story.drawn = Some(drawn.clone()),
            _ => {}
        }
        Ok(())
    })?;
    write(path, &page::draw(&story))?;
    session.console().print(&format!("{}\n", path.display()))?;
    Ok(Exit::Done)
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> Stop {
    let hint = "name another file with --out";
    Failure::new("cannot_write", format!("{}: {reason}", path.display()), hint).into()
}

/// Refuses a place where nothing can be written.
fn check(path: &Path) -> Result<(), Stop> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(failed(path, "there is no such folder"));
    }
    if path.exists() { Err(failed(path, "it is there already")) } else { Ok(()) }
}

/// Writes the page; a file that is there stays.
fn write(path: &Path, page: &str) -> Result<(), Stop> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| failed(path, error))?;
    file.write_all(page.as_bytes()).map_err(|error| failed(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::explain::page::tests::story;
    use crate::scripted::Script;

    fn events() -> Vec<Event> {
        let story = story();
        vec![
            Event::Begun(Box::new(story.begun.unwrap())),
            Event::Picture(story.picture.unwrap()),
            Event::Glass(Box::new(story.glass.unwrap())),
            Event::Drawn(story.drawn.unwrap()),
        ]
    }

    #[test]
    fn a_page_is_written_and_none_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.html").display().to_string();
        let words =
            ["explain", "--draw", "a <b> cat", "--model", "m", "--steps", "3", "--seed", "9", "--out", &out];
        let told = Script::new(events()).run(&words);
        assert_eq!((told.exit, told.out), (Exit::Done, format!("{out}\n")), "{}", told.err);
        let [Job::Draw(job)] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        assert_eq!((job.steps, job.seed, job.n, job.inside), (Some(3), Some(9), 1, Inside::Told));
        assert_eq!((job.model.as_deref(), job.prompt.as_deref()), (Some("m"), Some("a <b> cat")));
        let page = std::fs::read_to_string(&out).unwrap();
        assert!(page.contains("a &lt;b&gt; cat"));
        let told = Script::new(events()).run(&words);
        assert!(told.jobs.is_empty() && told.err.contains("already"), "{}", told.err);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), page);
    }

    #[test]
    fn flags_of_drawings_need_a_drawing() {
        let told = Script::new(events()).run(&["explain", "--steps", "3", "a cat"]);
        assert_eq!(told.exit, Exit::Failed);
        assert!(told.err.contains("--steps says how a picture is drawn"), "{}", told.err);
    }

    #[test]
    fn words_that_mean_nothing_together_are_wrong() {
        for words in [
            &["explain", "starter", "--draw", "a cat", "--model", "m"][..],
            &["explain", "--draw", "a cat", "--model", "m", "--n", "3"],
        ] {
            assert_eq!(Script::new(events()).run(words).exit, Exit::Usage, "{words:?}");
        }
        let told = Script::new(events()).run(&["explain", "--draw", "a cat"]);
        assert!(told.err.contains("no image model is named"), "{}", told.err);
        let words = ["explain", "--draw", "a", "--model", "m", "--out", "no/such/folder/a.html"];
        assert!(Script::new(events()).run(&words).err.contains("no such folder"));
    }
}
