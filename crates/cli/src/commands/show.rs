//! `hearth show`: everything about one model, in sections.

use std::collections::BTreeMap;

use app::event::Details;
use app::event::library::{Ability, About};
use app::job::Message;
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::table::{Side, pairs, table};
use crate::terminal::units;
use crate::terminal::visible;

pub const COMMAND: Command = Command { name: "show", build, run };

/// Lines of a licence that are shown before it is cut.
const LICENSE_LINES: usize = 3;
/// Lines of a template that are shown before it is cut.
const TEMPLATE_LINES: usize = 12;

fn build(command: clap::Command) -> clap::Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    command
        .about("Show everything about a model")
        .arg(super::model_argument().required(true))
        .arg(flag("tensors", "Also list every tensor"))
        .arg(flag("template", "Print the chat template alone").conflicts_with("tensors"))
        .arg(flag("license", "Print the licences alone").conflicts_with_all(["tensors", "template"]))
        .arg(
            flag("modelfile", "Print the Modelfile that makes the model again")
                .conflicts_with_all(["tensors", "template", "license"]),
        )
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let model = super::text(matches, "model");
    if matches.get_flag("modelfile") {
        session.follow(Job::Modelfile { model }, &mut |console, event| match event {
            Event::Modelfile { text } => console.stream(text),
            _ => Ok(()),
        })?;
        return Ok(Exit::Done);
    }
    let job = Job::Show { model };
    session.follow(job, &mut |console, event| {
        let Event::Details(details) = event else {
            return Ok(());
        };
        if matches.get_flag("template") {
            console.stream(&details.chat_template)?;
            return console.end_line();
        }
        if matches.get_flag("license") {
            console.stream(&details.about.licenses.join("\n\n"))?;
            return console.end_line();
        }
        let mut page = page(details, console.color());
        if matches.get_flag("tensors") {
            page += &section("Every tensor", &every_tensor(details), console.color());
        }
        console.print(page.trim_start_matches('\n'))
    })?;
    Ok(Exit::Done)
}

fn page(details: &Details, color: Color) -> String {
    [
        section("Model", &pairs(&facts(details)), color),
        section("Card", &pairs(&details.about.card), color),
        section("Licence", &licenses(&details.about), color),
        section("Runs with", &pairs(&runs_with(&details.about)), color),
        section("Versions", &versions(details), color),
        section("Sizes", &pairs(&details.sizes), color),
        section("Metadata", &pairs(&details.metadata), color),
        section("Tensors", &tensors(details), color),
        section("Chat template", &template(&details.chat_template), color),
    ]
    .concat()
}

/// A heading and its body; nothing where the body is empty.
fn section(heading: &str, body: &str, color: Color) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("\n{}\n{body}", color.paint(Ink::Bold, heading))
}

fn facts(details: &Details) -> Vec<(String, String)> {
    let model = &details.model;
    let created = match model.created_ms {
        0 => "built in".to_owned(),
        ms => units::date(ms),
    };
    let facts = [
        ("name", model.name.clone()),
        ("digest", model.digest.clone()),
        ("size", units::bytes(model.size_bytes)),
        ("created", created),
        ("place", model.place.clone()),
        ("came from", details.about.source.clone()),
        ("pinned", if model.is_pinned { "yes".to_owned() } else { String::new() }),
        ("adapter", model.adapter.as_ref().map(super::list::adapter).unwrap_or_default()),
        ("architecture", model.architecture.clone()),
        ("parameters", units::count(details.n_parameters)),
        ("can", abilities(&details.abilities)),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the model can be asked for, in words.
fn abilities(abilities: &[Ability]) -> String {
    let word = |ability: &Ability| match ability {
        Ability::Write => "write",
        Ability::FillIn => "fill in",
        Ability::CallTools => "call tools",
        Ability::Think => "think",
        Ability::Embed => "turn texts into vectors",
        Ability::Draw => "make pictures",
        Ability::Rerank => "judge how well texts answer a question",
    };
    abilities.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// The parameters, the system prompt and the first messages; those are not twice among the parameters.
fn runs_with(about: &About) -> Vec<(String, String)> {
    let system = (!about.system.is_empty()).then(|| ("system".to_owned(), about.system.clone()));
    let message = |message: &Message| (message.role.clone(), message.content.clone());
    let messages = about.messages.iter().map(message);
    about.parameters.iter().cloned().chain(system).chain(messages).collect()
}

/// The versions, the newest first, with a mark at the current one.
fn versions(details: &Details) -> String {
    if details.about.versions.len() < 2 {
        return String::new();
    }
    let mark = |version: &String| if *version == details.model.digest { "current" } else { "" }.to_owned();
    let rows = details.about.versions.iter().rev().map(|version| (version.clone(), mark(version)));
    pairs(&rows.collect::<Vec<_>>())
}

/// The beginning of each licence.
fn licenses(about: &About) -> String {
    about.licenses.iter().map(|text| beginning(text, LICENSE_LINES, "--license")).collect()
}

/// The tensors summed up by how they are stored.
fn tensors(details: &Details) -> String {
    let mut sums: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for (_, _, storage, size_bytes) in &details.tensors {
        let (count, bytes) = sums.entry(storage).or_default();
        *count += 1;
        *bytes = bytes.saturating_add(*size_bytes);
    }
    let sums = sums.iter().map(|(storage, (count, bytes))| {
        ((*storage).to_owned(), format!("{}, {}", units::many(*count, "tensor"), units::bytes(*bytes)))
    });
    pairs(&sums.collect::<Vec<_>>())
}

fn every_tensor(details: &Details) -> String {
    let headings =
        [("NAME", Side::Left), ("SHAPE", Side::Left), ("STORAGE", Side::Left), ("SIZE", Side::Right)];
    let rows = details.tensors.iter().map(|(name, shape, storage, size_bytes)| {
        vec![name.clone(), format!("{shape:?}"), storage.clone(), units::bytes(*size_bytes)]
    });
    table(&headings, &rows.collect::<Vec<_>>()).lines().map(|line| format!("  {line}\n")).collect()
}

fn template(template: &str) -> String {
    beginning(template, TEMPLATE_LINES, "--template")
}

/// The first lines of a text, and which flag prints all of it.
fn beginning(text: &str, n_lines: usize, flag: &str) -> String {
    let indented = |line: &str| format!("  {}", visible::line(line)).trim_end().to_owned() + "\n";
    let mut shown: String = text.lines().take(n_lines).map(indented).collect();
    let n_more = text.lines().count().saturating_sub(n_lines);
    if n_more > 0 {
        shown += &format!("  … {}: {flag} prints all\n", units::many(n_more, "more line"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, model};
    use expect_test::expect;

    fn details() -> Event {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let tensor = |name: &str, shape: &[usize], storage: &str| {
            let size = shape.iter().product::<usize>() as u64 * 4;
            (name.to_owned(), shape.to_vec(), storage.to_owned(), size)
        };
        Event::Details(Box::new(Details {
            model: model("tiny"),
            n_parameters: 260_032,
            sizes: vec![pair("n_layers", "5"), pair("context", "512")],
            metadata: vec![pair("general.name", "tiny\x1b]0;title\x07\nsecond line")],
            tensors: vec![
                tensor("token_embd.weight", &[512, 64], "F32"),
                tensor("blk.0.attn_norm.weight", &[64], "F32"),
                tensor("blk.0.attn_q.weight", &[64, 64], "BF16"),
            ],
            chat_template: (0..14).map(|n| format!("line {n}\n")).collect(),
            facts: serde_json::Map::new(),
            abilities: Vec::new(),
            about: About::default(),
        }))
    }

    #[test]
    fn sections_of_a_model() {
        let told = Script::new([details()]).run(&["show", "tiny"]);
        assert_eq!(told.jobs, [Job::Show { model: "tiny".into() }]);
        expect![[r#"
            Model
              name          tiny
              digest        sha256:0123456789abcdef0123456789abcdef
              size          1.1 MB
              created       2026-11-20
              architecture  llama
              parameters    260 k

            Sizes
              n_layers  5
              context   512

            Metadata
              general.name  tiny␛]0;title␇␊second line

            Tensors
              BF16  1 tensor, 16 kB
              F32   2 tensors, 131 kB

            Chat template
              line 0
              line 1
              line 2
              line 3
              line 4
              line 5
              line 6
              line 7
              line 8
              line 9
              line 10
              line 11
              … 2 more lines: --template prints all
        "#]]
        .assert_eq(&told.out);
    }

    fn created() -> Event {
        let Event::Details(mut details) = details() else { unreachable!("these are details") };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        details.model.is_pinned = true;
        details.about = About {
            source: "starter@sha256:ff".into(),
            parameters: vec![pair("temperature", "0.2")],
            system: "You answer\nin rhymes.".into(),
            messages: vec![Message::new("user", "Hello\x1b[2J")],
            card: vec![pair("licence", "mit"), pair("languages", "en, de")],
            licenses: vec!["MIT License\n\nCopyright\nPermission\n".into()],
            versions: vec!["sha256:ee".into(), details.model.digest.clone()],
        };
        Event::Details(details)
    }

    #[test]
    fn what_is_said_of_a_model_is_shown() {
        let told = Script::new([created()]).run(&["show", "tiny"]);
        expect![[r#"
            Model
              name          tiny
              digest        sha256:0123456789abcdef0123456789abcdef
              size          1.1 MB
              created       2026-11-20
              came from     starter@sha256:ff
              pinned        yes
              architecture  llama
              parameters    260 k

            Card
              licence    mit
              languages  en, de

            Licence
              MIT License

              Copyright
              … 1 more line: --license prints all

            Runs with
              temperature  0.2
              system       You answer␊in rhymes.
              user         Hello␛[2J

            Versions
              sha256:0123456789abcdef0123456789abcdef  current
              sha256:ee
        "#]]
        .assert_eq(&told.out[..told.out.find("\nSizes").unwrap()]);
        let told = Script::new([created()]).run(&["show", "tiny", "--license"]);
        assert_eq!(told.out, "MIT License\n\nCopyright\nPermission\n");
    }

    #[test]
    fn the_modelfile_alone() {
        let told =
            Script::new([Event::Modelfile { text: "FROM a\n".into() }]).run(&["show", "a", "--modelfile"]);
        assert_eq!(told.jobs, [Job::Modelfile { model: "a".into() }]);
        assert_eq!(told.out, "FROM a\n");
    }

    #[test]
    fn every_tensor_and_the_template_alone() {
        let told = Script::new([details()]).run(&["show", "tiny", "--tensors"]);
        expect![[r#"
            Every tensor
              NAME                    SHAPE      STORAGE    SIZE
              token_embd.weight       [512, 64]  F32      131 kB
              blk.0.attn_norm.weight  [64]       F32       256 B
              blk.0.attn_q.weight     [64, 64]   BF16      16 kB
        "#]]
        .assert_eq(&told.out[told.out.find("Every tensor").unwrap()..]);
        let told = Script::new([details()]).run(&["show", "tiny", "--template"]);
        assert_eq!(told.out, (0..14).map(|n| format!("line {n}\n")).collect::<String>());
    }
}
