//! `hearth ps`: what a running server has in memory.

use app::event::loaded::{LoadedModel, Memory, Work};
use app::{Event, Job};
use clap::ArgMatches;

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, table};
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "ps", build, run };

fn build(command: clap::Command) -> clap::Command {
    command.about("Show what the running server has in memory")
}

fn run(_: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    session.follow_at_server(Job::Loaded, &mut |console, event| match event {
        Event::Loaded(memory) => {
            console.print(&models(memory))?;
            console.say(&summary(memory));
            Ok(())
        }
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

fn models(memory: &Memory) -> String {
    if memory.models.is_empty() && memory.work.is_empty() {
        return String::new();
    }
    let row = |model: &LoadedModel| {
        let context = if model.context == 0 { "vectors".to_owned() } else { model.context.to_string() };
        let (memory, answers) = (units::bytes(model.size_bytes), model.n_answers.to_string());
        vec![model.name.clone(), memory, context, answers, leaves(model)]
    };
    let headings = [
        ("NAME", Side::Left),
        ("MEMORY", Side::Right),
        ("CONTEXT", Side::Right),
        ("ANSWERS", Side::Right),
        ("LEAVES", Side::Left),
    ];
    let rows = memory.models.iter().map(row).chain(memory.work.iter().map(work));
    table(&headings, &rows.collect::<Vec<_>>())
}

/// A row of what is no model: no context and no answers, and how far it is.
fn work(work: &Work) -> Vec<String> {
    let leaves = match work.n_steps {
        0 => "at its end".to_owned(),
        n => format!("at its end (step {} of {n})", work.steps_done),
    };
    vec![work.name.clone(), units::bytes(work.size_bytes), String::new(), String::new(), leaves]
}

fn leaves(model: &LoadedModel) -> String {
    match model.ends_in_ms {
        None => "never".to_owned(),
        Some(_) if model.n_answers > 0 => "when unused".to_owned(),
        Some(left) => format!("in {} s", left.div_ceil(1000)),
    }
}

fn summary(memory: &Memory) -> String {
    let held = memory.held_bytes.map(units::bytes).unwrap_or_else(|| "unknown".to_owned());
    format!(
        "Models and trainings may take {}; they take {} at most, and the program holds {held} now. {} wait.",
        units::bytes(memory.limit_bytes),
        units::bytes(memory.predicted_bytes),
        units::many(memory.n_waiting, "request"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;

    #[test]
    fn what_is_in_memory_stands_in_a_table() {
        let model = |name: &str, ends_in_ms, n_answers| LoadedModel {
            name: name.into(),
            key: name.into(),
            size_bytes: 900_000_000,
            context: 4096,
            n_answers,
            n_pages_used: 1,
            n_pages: 128,
            ends_in_ms,
        };
        let models = vec![model("a", Some(1500), 0), model("b", Some(0), 2), model("c", None, 0)];
        let memory = Memory {
            limit_bytes: 8_000_000_000,
            predicted_bytes: 2_700_000_000,
            held_bytes: Some(1_500_000_000),
            models,
            work: vec![Work {
                name: "training d".into(),
                size_bytes: 2_000_000_000,
                steps_done: 7,
                n_steps: 400,
            }],
            n_waiting: 1,
        };
        let told = Script::new([Event::Loaded(memory)]).run(&["ps"]);
        assert_eq!(told.jobs, [Job::Loaded]);
        expect_test::expect![[r#"
            NAME        MEMORY  CONTEXT  ANSWERS  LEAVES
            a           900 MB     4096        0  in 2 s
            b           900 MB     4096        2  when unused
            c           900 MB     4096        0  never
            training d  2.0 GB                    at its end (step 7 of 400)
            Models and trainings may take 8.0 GB; they take 2.7 GB at most, and the program holds 1.5 GB now. 1 request wait.
        "#]].assert_eq(&(told.out + &told.err));
    }
}
