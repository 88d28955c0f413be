//! `hearth bench`: how fast a model reads and writes on this machine.

use std::path::PathBuf;

use app::event::measure::{Machine, Measured, Spread, Together};
use app::job::measure::{Bench, Edits};
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::pairs;
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "bench", build, run };

const AFTER_HELP: &str = "\
The prompt is random tokens. Every figure is the median of the runs, with the lowest and the highest behind it. \
Close other programs first: they share the processor and the memory.";

fn build(command: clap::Command) -> clap::Command {
    let count = |name: &'static str, default: &'static str, help: &'static str| {
        let counts = value_parser!(u32).range(1..);
        Arg::new(name).long(name).value_name("N").value_parser(counts).default_value(default).help(help)
    };
    command
        .about("Measure how fast a model reads and writes on this machine")
        .arg(super::model_argument().required(true))
        .arg(count("prompt", "512", "Tokens of the prompt"))
        .arg(count("tokens", "64", "Tokens that are generated behind it"))
        .arg(count("runs", "5", "How often everything is done"))
        .arg(
            Arg::new("users")
                .long("users")
                .value_name("N,N")
                .value_delimiter(',')
                .value_parser(value_parser!(u32).range(1..))
                .help("Also measure the answers of so many users together"),
        )
        .arg(
            Arg::new("edits")
                .long("edits")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Also measure answers that repeat much of their prompt, with guesses and without: a file with lines {\"prompt\": …, \"target\": …}"),
        )
        .arg(
            Arg::new("force-target")
                .long("force-target")
                .action(ArgAction::SetTrue)
                .requires("edits")
                .help("Take the targets of the edits as answers, whatever the model says"),
        )
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let count = |name: &str| *matches.get_one::<u32>(name).expect("has a default value") as usize;
    let job = Bench {
        model: super::text(matches, "model"),
        n_prompt: count("prompt"),
        n_generated: count("tokens"),
        n_runs: count("runs"),
        users: matches.get_many::<u32>("users").into_iter().flatten().map(|n| *n as usize).collect(),
        edits: matches
            .get_one("edits")
            .cloned()
            .map(|path| Edits { path, is_forced: matches.get_flag("force-target") }),
    };
    session.console().say(&format!("Measuring {} …", job.model));
    session.follow(Job::Bench(job), &mut |console, event| match event {
        Event::Measured(measured) => console.print(&page(measured)),
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

fn page(measured: &Measured) -> String {
    let share = |share: f64, of: &str| format!("{} of {of}", units::percent(share));
    let mut rows: Vec<(&str, String)> = vec![
        ("model", format!("{}, {}", measured.model, units::bytes(measured.file_bytes))),
        ("ready in", units::milliseconds(measured.load_ms)),
        ("prompt", format!("{} tokens: {}", measured.n_prompt, speed(&measured.prompt_tokens_per_s))),
        ("", share(measured.share_of_arithmetic, "the arithmetic")),
        (
            "generated",
            format!("{} tokens: {}", measured.n_generated, speed(&measured.generated_tokens_per_s)),
        ),
        ("", share(measured.share_of_bandwidth, "the bandwidth")),
    ];
    for Together { n_users, tokens_per_s } in &measured.together {
        rows.push(("together", format!("{}: {}", units::many(*n_users, "user"), speed(tokens_per_s))));
    }
    if let Some(edited) = &measured.edited {
        let (with, without) = (&edited.guessed_tokens_per_s, &edited.plain_tokens_per_s);
        let tokens = units::many(edited.n_tokens, "token");
        rows.push(("edits", format!("{}, {tokens}: {}", edited.n_edits, speed(with))));
        let factor = with.median / without.median;
        rows.push(("", format!("{factor:.2} times as fast as without guesses, {}", speed(without))));
    }
    rows.extend(measured.peak_bytes.map(|bytes| ("memory", units::bytes(bytes))));
    rows.push(("machine", machine(&measured.machine)));
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    pairs(&rows)
}

fn speed(spread: &Spread) -> String {
    let Spread { lowest, median, highest } = spread;
    format!("{} tokens/s ({} to {})", units::rate(*median), units::rate(*lowest), units::rate(*highest))
}

/// What the machine can do at most, in a line.
pub(super) fn machine(machine: &Machine) -> String {
    format!(
        "{}, {:.1} GB/s of memory, {:.2} TFLOP/s in f32",
        units::many(machine.n_threads, "thread"),
        machine.read_bytes_per_s / 1e9,
        machine.flops_per_s / 1e12
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::measure::Edited;
    use expect_test::expect_file;

    fn measured() -> Measured {
        let spread = |median: f64| Spread { lowest: median * 0.9, median, highest: median * 1.1 };
        Measured {
            model: "poems".into(),
            file_bytes: 807_000_000,
            load_ms: 41.0,
            n_prompt: 512,
            n_generated: 64,
            prompt_tokens_per_s: spread(1234.5),
            generated_tokens_per_s: spread(23.45),
            together: vec![Together { n_users: 8, tokens_per_s: spread(120.5) }],
            edited: Some(Edited {
                n_edits: 5,
                n_tokens: 2600,
                is_forced: true,
                plain_tokens_per_s: spread(25.0),
                guessed_tokens_per_s: spread(75.0),
            }),
            share_of_arithmetic: 0.71,
            share_of_bandwidth: 0.88,
            peak_bytes: Some(1_100_000_000),
            machine: Machine {
                n_threads: 2,
                read_bytes_per_s: 27.4e9,
                flops_per_s: 0.44e12,
                available_bytes: Some(20_000_000_000),
            },
        }
    }

    #[test]
    fn the_page() {
        let told = Script::new([Event::Measured(Box::new(measured()))]).run(&[
            "bench",
            "poems",
            "--runs",
            "3",
            "--users",
            "8,16",
            "--edits",
            "e.jsonl",
            "--force-target",
        ]);
        let users = vec![8, 16];
        let edits = Some(Edits { path: "e.jsonl".into(), is_forced: true });
        let job = Bench { model: "poems".into(), n_prompt: 512, n_generated: 64, n_runs: 3, users, edits };
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Bench(job)]));
        expect_file!["../../snapshots/bench.txt"].assert_eq(&told.out);
        assert_eq!(Script::new([]).run(&["bench", "poems", "--prompt", "0"]).exit, Exit::Usage);
    }
}
