//! `hearth runs`: the trainings on this machine; one with its curve; two beside each other.

mod compare;
mod pictures;
mod show;

use app::event::training::Ending;
use app::job::training::Runs;
use app::{Event, Job, Record};
use clap::{Arg, ArgMatches};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, table};
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "runs", build, run };

fn build(command: clap::Command) -> clap::Command {
    let run = |name: &'static str, value: &'static str| {
        Arg::new(name).value_name(value).required(true).help("A run's name, or a model's for its newest run")
    };
    command
        .about("Look at trainings: list them, show one, compare two")
        .subcommand_negates_reqs(true)
        .disable_help_subcommand(true)
        .subcommand(
            clap::Command::new("list")
                .about("List the runs, the newest first; so does `runs` alone")
                .visible_alias("ls"),
        )
        .subcommand(
            clap::Command::new("show")
                .about("Show one run: knobs with reasons, results, the curve")
                .arg(run("run", "RUN")),
        )
        .subcommand(
            clap::Command::new("compare")
                .about("Compare two runs: knobs and results that differ, both curves")
                .arg(run("first", "A"))
                .arg(run("second", "B")),
        )
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let now_ms = session.world.now_ms;
    session.follow(Job::Runs(job(matches)), &mut |console, event| {
        let (color, columns) = (console.color(), console.columns());
        match event {
            Event::Runs { runs, pictures, broken } => {
                if !runs.is_empty() || pictures.is_empty() {
                    console.print(&listing(runs, now_ms))?;
                }
                if !pictures.is_empty() {
                    let gap = if runs.is_empty() { "" } else { "\n" };
                    console.print(&format!("{gap}{}", pictures::listing(pictures, now_ms)))?;
                }
                broken.iter().for_each(|failure| console.warn(failure));
                Ok(())
            }
            Event::Run(details) => console.print(&show::page(details, color, columns)),
            Event::PictureRun(run) => console.print(&pictures::page(run, color, columns)),
            Event::Compared(compared) => console.print(&compare::page(compared, color, columns)),
            _ => Ok(()),
        }
    })?;
    Ok(Exit::Done)
}

fn job(matches: &ArgMatches) -> Runs {
    match matches.subcommand() {
        Some(("show", matches)) => Runs::Show(super::text(matches, "run")),
        Some(("compare", matches)) => {
            Runs::Compare(super::text(matches, "first"), super::text(matches, "second"))
        }
        _ => Runs::List,
    }
}

fn listing(runs: &[Record], now_ms: u64) -> String {
    let headings = [
        ("RUN", Side::Left),
        ("MODEL", Side::Left),
        ("BEGAN", Side::Left),
        ("SIZE", Side::Left),
        ("PARAMETERS", Side::Right),
        ("STEPS", Side::Right),
        ("HELD OUT", Side::Right),
        ("PERPLEXITY", Side::Right),
        ("STATE", Side::Left),
    ];
    let row = |run: &Record| {
        let best = |digits: usize, value: fn(&app::event::training::HeldOut) -> f64| {
            run.best.map_or_else(|| "–".to_owned(), |best| format!("{:.digits$}", value(&best)))
        };
        vec![
            run.run.clone(),
            run.name.clone(),
            units::age(now_ms, run.began_unix_ms),
            run.knobs.size.name().to_owned(),
            units::count(run.plan.sizes.n_values()),
            format!("{}/{}", run.steps, run.plan.settings.steps),
            best(4, |best| best.loss),
            best(1, |best| best.perplexity),
            state(run.ending).to_owned(),
        ]
    };
    table(&headings, &runs.iter().map(row).collect::<Vec<_>>())
}

/// How a run ended, in a word or two.
fn state(ending: Option<Ending>) -> &'static str {
    match ending {
        Some(Ending::Done) => "done",
        Some(Ending::Patience) => "ended early",
        Some(Ending::Stopped) => "stopped",
        None => "unfinished",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, run_details};
    use app::Failure;
    use app::event::training::{Compared, Difference};
    use expect_test::{expect, expect_file};

    #[test]
    fn a_table_of_runs() {
        let mut runs = vec![run_details("stories-2").record, run_details("stories").record];
        runs[0].ending = None;
        runs[0].best = None;
        let broken = vec![Failure::new("damaged_run", "`old`: no record", "remove its folder")];
        let told = Script::new([Event::Runs { runs, pictures: Vec::new(), broken }]).run(&["runs"]);
        assert_eq!(told.jobs, [Job::Runs(Runs::List)]);
        expect![[r#"
            RUN        MODEL           BEGAN       SIZE  PARAMETERS    STEPS  HELD OUT  PERPLEXITY  STATE
            stories-2  stories:latest  1 hour ago  nano       140 k  400/400         –           –  unfinished
            stories    stories:latest  1 hour ago  nano       140 k  400/400    2.6000        13.5  done
        "#]]
        .assert_eq(&told.out);
        assert_eq!(told.err, "warning: `old`: no record\nhint: remove its folder\n");
    }

    #[test]
    fn words_become_jobs() {
        let jobs = |words: &[&str]| Script::new([]).run(words).jobs;
        assert_eq!(jobs(&["runs", "ls"]), [Job::Runs(Runs::List)]);
        assert_eq!(jobs(&["runs", "show", "a"]), [Job::Runs(Runs::Show("a".into()))]);
        assert_eq!(jobs(&["runs", "compare", "a", "b"]), [Job::Runs(Runs::Compare("a".into(), "b".into()))]);
        for words in [&["runs", "show"][..], &["runs", "compare", "a"], &["runs", "shw", "a"]] {
            assert_eq!(Script::new([]).run(words).exit, Exit::Usage, "{words:?}");
        }
    }

    #[test]
    fn a_page_of_one_run() {
        let told =
            Script::new([Event::Run(Box::new(run_details("stories")))]).run(&["runs", "show", "stories"]);
        expect_file!["../../snapshots/runs-show.txt"].assert_eq(&told.out);
    }

    #[test]
    fn a_page_of_two_runs() {
        let difference = |name: &str, first: &str, second: &str| Difference {
            name: name.into(),
            first: first.into(),
            second: second.into(),
        };
        let compared = Compared {
            first: run_details("stories"),
            second: run_details("stories-2"),
            differences: vec![
                difference("knobs.learning_rate", "-", "0.01"),
                difference("plan.settings.learning_rate", "0.002", "0.01"),
                difference("knobs.size", "nano", "tiny\x1b[2J"),
                difference("loss", "2.5", "2.25"),
                difference("best.loss", "2.6", "2.4"),
            ],
        };
        let told = Script::new([Event::Compared(Box::new(compared))]).run(&[
            "runs",
            "compare",
            "stories",
            "stories-2",
        ]);
        expect_file!["../../snapshots/runs-compare.txt"].assert_eq(&told.out);
    }

    #[test]
    fn json_is_the_event_itself() {
        let event = Event::Run(Box::new(run_details("stories")));
        let told = Script::new([event.clone()]).run(&["runs", "show", "stories", "--json"]);
        assert_eq!(serde_json::from_str::<Event>(&told.out).unwrap(), event);
    }
}
