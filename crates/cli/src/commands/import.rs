//! `hearth import`: brings a model into the store.

use std::path::{Path, PathBuf, absolute};

use app::event::library::Adapter;
use app::job::{Import, Placement};
use app::{Event, Failure, Job};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Command;
use super::list::short;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "import", build, run };

const AFTER_HELP: &str = "\
PATH is one of these:

  a GGUF file, or any part of a split one (model-00001-of-00003.gguf)
  a folder with config.json, its weights and its vocabulary, or a file of weights in such a folder:
    weights: .safetensors or PyTorch's .bin, .pth, .pt; whole, or in shards with their .index.json
    vocabulary: tokenizer.json, tokenizer.model (SentencePiece or tiktoken), tekken.json, a .tiktoken file, \
vocab.json with merges.txt, or vocab.txt
  a llama2.c checkpoint, with --tokenizer
  an image model: a folder as diffusers writes it, or one file (.safetensors, .ckpt) with the vocabulary for its prompts: \
--tokenizer names the folder of vocab.json and merges.txt, where no other image model here has them
  a LoRA adapter: a folder with adapter_config.json and its matrices, or a GGUF file of the type adapter

An adapter is used behind the model that it was made for: hearth run MODEL+ADAPTER

  hearth import ~/Downloads/model-Q4_K_M.gguf --name mine
  hearth import ~/models/Llama-3.2-1B --in-place";

fn build(command: clap::Command) -> clap::Command {
    let path = value_parser!(PathBuf);
    command
        .about("Bring a model file into the store")
        .arg(
            Arg::new("path")
                .required(true)
                .value_name("PATH")
                .value_parser(path.clone())
                .help("The model's file or folder"),
        )
        .arg(
            Arg::new("tokenizer")
                .long("tokenizer")
                .value_name("FILE")
                .value_parser(path)
                .help("The vocabulary of a llama2.c checkpoint, or of an image model in one file"),
        )
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .help("The name that it gets; from the file's name when absent"),
        )
        .arg(
            Arg::new("in-place")
                .long("in-place")
                .action(ArgAction::SetTrue)
                .help("Use the file where it is, without a copy"),
        )
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    session.follow(Job::Import(import(matches)?), &mut |console, event| {
        if let Event::Stored(model) = event {
            let (digest, size) = (short(&model.digest), units::bytes(model.size_bytes));
            console.say(&format!("{} is here: {digest}, {size}.", model.name));
            if let Some(Adapter { has_model: false, base, .. }) = &model.adapter {
                let base = if base.is_empty() { "MODEL" } else { base };
                console.say(&format!("It is an adapter: hearth run {base}+{}", model.name));
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}

fn import(matches: &ArgMatches) -> Result<Import, Failure> {
    let path = matches.get_one::<PathBuf>("path").expect("required");
    let tokenizer = matches.get_one::<PathBuf>("tokenizer").map(|path| whole(path)).transpose()?;
    Ok(Import {
        path: whole(path)?,
        tokenizer,
        name: matches.get_one::<String>("name").cloned(),
        placement: if matches.get_flag("in-place") { Placement::InPlace } else { Placement::Copy },
    })
}

/// From the root: whoever does the job may stand in another folder.
pub fn whole(path: &Path) -> Result<PathBuf, Failure> {
    absolute(path).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Failure::new("wrong_path", message, "name the file by its path from the root")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, model};

    #[test]
    fn flags_become_a_job_with_whole_paths() {
        let told = Script::new([Event::Stored(model("tiny"))]).run(&["import", "/a/m.gguf"]);
        let mut expected = Import {
            path: absolute("/a/m.gguf").unwrap(),
            tokenizer: None,
            name: None,
            placement: Placement::Copy,
        };
        assert_eq!(told.jobs, [Job::Import(expected.clone())]);
        assert_eq!(told.err, "tiny is here: 0123456789ab, 1.1 MB.\n");
        let words = ["import", "m.bin", "--tokenizer", "t.bin", "--name", "tiny", "--in-place"];
        expected.path = absolute("m.bin").unwrap();
        expected.tokenizer = Some(absolute("t.bin").unwrap());
        expected.name = Some("tiny".into());
        expected.placement = Placement::InPlace;
        assert_eq!(Script::new([]).run(&words).jobs, [Job::Import(expected)]);
    }

    #[test]
    fn an_adapter_is_told_how_it_is_used() {
        for (base, expected) in [("", "MODEL+lora"), ("team/base", "team/base+lora")] {
            let adapter = Some(Adapter { base: base.into(), rank: 4, has_model: false });
            let stored = Event::Stored(app::event::Model { adapter, ..model("lora") });
            let told = Script::new([stored]).run(&["import", "lora"]);
            assert!(
                told.err.ends_with(&format!("It is an adapter: hearth run {expected}\n")),
                "{}",
                told.err
            );
        }
    }

    #[test]
    fn progress_is_for_a_terminal_and_leaves_no_trace() {
        let events = || {
            let step = |done_bytes| Event::Progress { what: "copying".into(), done_bytes, total_bytes: 1000 };
            [step(0), step(500), step(500), step(1000), Event::Stored(model("tiny"))]
        };
        let told = Script::new(events()).run(&["import", "m.gguf"]);
        assert!(!told.err.contains("copying"));
        let told = Script::new(events()).on_terminal().run(&["import", "m.gguf"]);
        assert_eq!(told.err.matches("copying").count(), 3, "{}", told.err);
        assert!(told.err.contains(" 50% of 1.0 kB"), "{}", told.err);
        let last = told.err.rsplit('\r').next().unwrap();
        assert_eq!(last, "\x1b[2mtiny is here: 0123456789ab, 1.1 MB.\x1b[0m\n");
    }
}
