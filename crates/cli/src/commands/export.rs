//! `hearth export`: writes a model for other programs.

use std::path::{Path, PathBuf};

use app::job::training::{Export, Format, Storage};
use app::{Event, Job};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;
use super::import::whole;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "export", build, run };

const FORMATS: [(&str, Format); 2] = [("gguf", Format::Gguf), ("safetensors", Format::Safetensors)];
const STORAGES: [(&str, Storage); 4] =
    [("f32", Storage::F32), ("bf16", Storage::Bf16), ("f16", Storage::F16), ("q8_0", Storage::Q8_0)];

const AFTER_HELP: &str = "\
gguf is one file, which llama.cpp and Ollama read; safetensors is a folder, which `transformers` reads. \
f32 keeps every bit, bf16 and f16 take half the room, q8_0 (gguf only) a quarter. An image model becomes a folder that \
diffusers reads.

  hearth export stories --out stories.gguf --storage q8_0
  hearth export stories --out stories-for-python";

fn build(command: clap::Command) -> clap::Command {
    let choice = |name: &'static str, value: &'static str, words: Vec<&'static str>| {
        Arg::new(name).long(name).value_name(value).value_parser(words)
    };
    command
        .about("Write a model for other programs: llama.cpp, Ollama, transformers")
        .arg(super::model_argument().required(true))
        .arg(
            Arg::new("out")
                .long("out")
                .required(true)
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("The file, or the folder of a safetensors model"),
        )
        .arg(
            choice("format", "FORMAT", FORMATS.map(|(name, _)| name).to_vec())
                .help("What it is written as (default: gguf for a path that ends so, else safetensors)"),
        )
        .arg(
            choice("storage", "STORAGE", STORAGES.map(|(name, _)| name).to_vec())
                .help("How its matrices are stored (default: as they are, or f32)"),
        )
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let path = matches.get_one::<PathBuf>("out").expect("required");
    let export = Export {
        model: super::text(matches, "model"),
        format: chosen(matches, "format", &FORMATS).unwrap_or_else(|| format(path)),
        storage: chosen(matches, "storage", &STORAGES),
        out: whole(path)?,
    };
    session.follow(Job::Export(export), &mut |console, event| {
        if let Event::Exported(exported) = event {
            for (path, size_bytes) in &exported.files {
                console.say(&format!("{} is written, {}.", path.display(), units::bytes(*size_bytes)));
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

/// What the word of a flag stands for.
fn chosen<T: Copy>(matches: &ArgMatches, name: &str, words: &[(&str, T)]) -> Option<T> {
    let given = matches.get_one::<String>(name)?;
    words.iter().find(|(word, _)| word == given).map(|(_, meaning)| *meaning)
}

fn format(path: &Path) -> Format {
    let is_gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
    if is_gguf { Format::Gguf } else { Format::Safetensors }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::training::Exported;
    use std::path::absolute;

    fn exported(words: &[&str]) -> Export {
        let told = Script::new([]).run(words);
        let [Job::Export(job)] = told.jobs.as_slice() else { panic!("{:?} {}", told.jobs, told.err) };
        job.clone()
    }

    #[test]
    fn the_format_follows_from_the_path_unless_it_is_said() {
        let job = exported(&["export", "m", "--out", "a/m.GGUF"]);
        let out = absolute("a/m.GGUF").unwrap();
        assert_eq!(job, Export { model: "m".into(), format: Format::Gguf, storage: None, out });
        assert_eq!(exported(&["export", "m", "--out", "folder"]).format, Format::Safetensors);
        for (word, format) in FORMATS {
            assert_eq!(exported(&["export", "m", "--out", "x.gguf", "--format", word]).format, format);
        }
        for (word, storage) in STORAGES {
            assert_eq!(exported(&["export", "m", "--out", "x", "--storage", word]).storage, Some(storage));
        }
    }

    #[test]
    fn what_was_written_is_said_and_what_cannot_be_meant_is_refused() {
        let files = vec![(PathBuf::from("/x/m\x1b[2J.gguf"), 1_060_000)];
        let event = Event::Exported(Exported { model: "m".into(), files });
        let told = Script::new([event]).run(&["export", "m", "--out", "/x/m.gguf"]);
        assert_eq!(told.exit, Exit::Done);
        assert_eq!(told.out, "");
        assert_eq!(told.err, "/x/m␛[2J.gguf is written, 1.1 MB.\n");
        for words in [
            &["export", "m"][..],
            &["export", "--out", "x"],
            &["export", "m", "--out", "x", "--storage", "q4"],
            &["export", "m", "--out", "x", "--format", "onnx"],
        ] {
            assert_eq!(Script::new([]).run(words).exit, Exit::Usage, "{words:?}");
        }
    }
}
