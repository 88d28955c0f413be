//! `hearth diff`: what differs from one model, or version, to another.

use app::event::library::{Change, Difference, Line, Vocabulary};
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::{units, visible};

pub const COMMAND: Command = Command { name: "diff", build, run };

/// Tensors that are listed before the rest is only counted.
const TENSORS: usize = 20;
/// Lines around a change that are shown.
const AROUND: usize = 2;

fn build(command: clap::Command) -> clap::Command {
    let model = |name: &'static str, value: &'static str| {
        Arg::new(name).value_name(value).required(true).help("A model's name, NAME@sha256:… or a path")
    };
    command
        .about("Say what differs from one model, or version, to another")
        .arg(model("from", "A"))
        .arg(model("to", "B"))
        .arg(Arg::new("tensors").long("tensors").action(ArgAction::SetTrue).help("List every tensor"))
        .after_help("Templates are told line by line, weights by shape and storage: - is A, + is B.")
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let (from, to) = (super::text(matches, "from"), super::text(matches, "to"));
    let most = if matches.get_flag("tensors") { usize::MAX } else { TENSORS };
    session.follow(Job::Compare { from, to }, &mut |console, event| match event {
        Event::Difference(difference) if difference.is_empty() => {
            console.say("Nothing differs.");
            Ok(())
        }
        Event::Difference(difference) => console.print(&page(difference, most, console.color())),
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

fn page(difference: &Difference, most: usize, color: Color) -> String {
    let n_more = difference.tensors.len().saturating_sub(most);
    let mut tensors = changes(&difference.tensors[..difference.tensors.len() - n_more], color);
    if n_more > 0 {
        tensors += &format!("  … {n_more} more: --tensors lists all\n");
    }
    let license: Vec<Change> = difference.license.iter().cloned().collect();
    let heading = format!(
        "{}\n{}\n",
        color.paint(Ink::Bad, &format!("- {}", visible::line(&difference.from))),
        color.paint(Ink::Good, &format!("+ {}", visible::line(&difference.to)))
    );
    let sections = [
        ("Files", changes(&difference.files, color)),
        ("Licence", changes(&license, color)),
        ("Parameters", changes(&difference.parameters, color)),
        ("Chat template", template(&difference.template, color)),
        ("Vocabulary", vocabulary(difference.vocabulary)),
        ("Tensors", tensors),
    ];
    let shown = sections.into_iter().filter(|(_, body)| !body.is_empty());
    let shown = shown.map(|(heading, body)| format!("\n{}\n{body}", color.paint(Ink::Bold, heading)));
    heading + &shown.collect::<String>()
}

fn changes(changes: &[Change], color: Color) -> String {
    let mut text = String::new();
    for change in changes {
        let name = visible::line(&change.name);
        for (sign, ink, side) in [("-", Ink::Bad, &change.from), ("+", Ink::Good, &change.to)] {
            if let Some(side) = side {
                text += &color.paint(ink, &format!("  {sign} {name}: {}", visible::line(side)));
                text.push('\n');
            }
        }
    }
    text
}

/// The changed lines with a few around them.
fn template(lines: &[Line], color: Color) -> String {
    let is_changed = |at: usize| !matches!(lines[at], Line::Same(_));
    let is_near = |at: usize| {
        let around = at.saturating_sub(AROUND)..lines.len().min(at + AROUND + 1);
        around.into_iter().any(is_changed)
    };
    let (mut text, mut is_left_out) = (String::new(), false);
    for (at, line) in lines.iter().enumerate() {
        if !is_near(at) {
            is_left_out = true;
            continue;
        }
        if std::mem::take(&mut is_left_out) {
            text += "    …\n";
        }
        text += &match line {
            Line::Same(line) => format!("    {}", visible::line(line)),
            Line::Removed(line) => color.paint(Ink::Bad, &format!("  - {}", visible::line(line))),
            Line::Added(line) => color.paint(Ink::Good, &format!("  + {}", visible::line(line))),
        };
        text.push('\n');
    }
    text
}

fn vocabulary(vocabulary: Vocabulary) -> String {
    let [from, to] = vocabulary.n_tokens;
    let mut text = String::new();
    if from != to {
        text += &format!("  - {from} tokens\n  + {to} tokens\n");
    }
    if vocabulary.n_changed > 0 {
        text += &format!("    {} for another token\n", units::many(vocabulary.n_changed, "id"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use expect_test::expect;

    fn change(name: &str, from: Option<&str>, to: Option<&str>) -> Change {
        Change { name: name.into(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
    }

    fn difference() -> Event {
        let same = |n: usize| Line::Same(format!("line {n}"));
        let template = (0..5)
            .map(same)
            .chain([Line::Removed("old".into()), Line::Added("new\x1b[2J".into())])
            .chain((5..10).map(same));
        let tensor =
            |n: usize| change(&format!("blk.{n}.attn_q.weight"), Some("F16 [64, 64]"), Some("Q8_0 [64, 64]"));
        Event::Difference(Box::new(Difference {
            from: "a@sha256:01".into(),
            to: "b@sha256:02".into(),
            files: vec![change("model", Some("sha256:03, 10 bytes"), Some("sha256:04, 9 bytes"))],
            parameters: vec![change("temperature", None, Some("0.2"))],
            template: template.collect(),
            vocabulary: Vocabulary { n_tokens: [512, 514], n_changed: 1 },
            tensors: (0..22).map(tensor).collect(),
            license: Some(change("licence", Some("MIT"), None)),
        }))
    }

    #[test]
    fn what_differs_is_shown_side_by_side() {
        let told = Script::new([difference()]).run(&["diff", "a", "b"]);
        assert_eq!(told.jobs, [Job::Compare { from: "a".into(), to: "b".into() }]);
        let (begin, tensors) = told.out.split_once("\nTensors\n").unwrap();
        expect![[r#"
            - a@sha256:01
            + b@sha256:02

            Files
              - model: sha256:03, 10 bytes
              + model: sha256:04, 9 bytes

            Licence
              - licence: MIT

            Parameters
              + temperature: 0.2

            Chat template
                …
                line 3
                line 4
              - old
              + new␛[2J
                line 5
                line 6

            Vocabulary
              - 512 tokens
              + 514 tokens
                1 id for another token
        "#]]
        .assert_eq(begin);
        assert!(tensors.ends_with("  … 2 more: --tensors lists all\n"), "{tensors}");
        assert_eq!(tensors.lines().count(), 41);
        let told = Script::new([difference()]).run(&["diff", "a", "b", "--tensors"]);
        assert!(told.out.contains("blk.21"), "{}", told.out);
    }

    #[test]
    fn the_same_is_said_too() {
        let told = Script::new([Event::Difference(Box::default())]).run(&["diff", "a", "a"]);
        assert_eq!((told.out.as_str(), told.err.as_str()), ("", "Nothing differs.\n"));
    }
}
