//! `hearth embed`: texts as vectors, a line of JSON for each.

use app::event::embed::Embedding;
use app::job::embed::{Embed, Text, TooLong};
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::prompt;
use crate::session::Session;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "embed", build, run };

const AFTER_HELP: &str = "\
Without texts, every line of stdin is one. Each vector has length 1, so that the sum of the products of two is the \
cosine of their angle: near 1 for texts that mean the same. A reranker judges a question and texts together and makes \
no vectors: ask it by POST /v1/rerank of `hearth serve`.

  hearth embed ./all-MiniLM-L6-v2 \"How warm is it?\" \"What is the temperature?\"
  hearth embed bge < lines.txt > vectors.jsonl";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Turn texts into vectors")
        .arg(super::model_argument().required(true).help("An encoder: its name, its file, or its folder"))
        .arg(Arg::new("text").value_name("TEXT").action(ArgAction::Append).help("The texts"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let texts: Vec<String> = match matches.get_many::<String>("text") {
        Some(texts) => texts.cloned().collect(),
        None => prompt::piped(session)?.lines().map(str::to_owned).collect(),
    };
    let texts = texts.into_iter().map(Text::from).collect();
    let job = Embed { model: super::text(matches, "model"), texts, too_long: TooLong::Cut, keep: None };
    session.follow(Job::Embed(job), &mut |console, event| match event {
        Event::Embedding(Embedding { index, is_cut, vector, .. }) => {
            if *is_cut {
                console
                    .say(&format!("Text {} is longer than the model reads: its end is left out.", index + 1));
            }
            console.print(&format!("{}\n", serde_json::to_string(vector).expect("numbers can be written")))
        }
        Event::Embedded { n_texts, .. } => {
            console.say(&format!("{} read.", units::many(*n_texts, "text")));
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;

    fn embedded() -> [Event; 2] {
        let vector = vec![0.6, -0.8];
        let one = Embedding { index: 0, n_tokens: 4, is_cut: true, vector };
        [Event::Embedding(one), Event::Embedded { model: "m".into(), n_texts: 1, n_tokens: 4 }]
    }

    #[test]
    fn a_vector_is_a_line_and_what_was_cut_is_told() {
        let told = Script::new(embedded()).run(&["embed", "m", "a", "b c"]);
        let texts = ["a", "b c"].map(|text| Text::Written(text.into())).into();
        assert_eq!(
            (told.exit, told.jobs),
            (
                Exit::Done,
                vec![Job::Embed(Embed { model: "m".into(), texts, too_long: TooLong::Cut, keep: None })]
            )
        );
        assert_eq!(told.out, "[0.6,-0.8]\n");
        assert!(told.err.contains("Text 1 is longer"), "{}", told.err);
    }

    #[test]
    fn lines_that_are_piped_in_are_texts() {
        let told = Script::new(embedded()).piped("a\nb c\n").run(&["embed", "m"]);
        let texts = ["a", "b c"].map(|text| Text::Written(text.into())).into();
        assert_eq!(
            told.jobs,
            [Job::Embed(Embed { model: "m".into(), texts, too_long: TooLong::Cut, keep: None })]
        );
    }
}
