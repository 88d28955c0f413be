//! `hearth show`: everything about one model, in sections.

use std::collections::BTreeMap;

use app::event::Details;
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
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let job = Job::Show { model: super::text(matches, "model") };
    session.follow(job, &mut |console, event| {
        let Event::Details(details) = event else {
            return Ok(());
        };
        if matches.get_flag("template") {
            console.stream(&details.chat_template)?;
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
        ("architecture", model.architecture.clone()),
        ("parameters", units::count(details.n_parameters)),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| (name.to_owned(), value)).collect()
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
    let indented = |line: &str| format!("  {}\n", visible::line(line));
    let mut shown: String = template.lines().take(TEMPLATE_LINES).map(indented).collect();
    let n_more = template.lines().count().saturating_sub(TEMPLATE_LINES);
    if n_more > 0 {
        shown += &format!("  … {n_more} more lines: --template prints all\n");
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
