//! `hearth explain --knob NAME`: what a knob of training or sampling does, and what to watch for.

use app::Failure;
use clap::{Arg, ArgMatches};
use serde_json::json;

use crate::console::{Console, Format};
use crate::explanations::{self, Explanation, Use};
use crate::outcome::{Exit, Stop};
use crate::terminal::width::wrap;

/// Names that are offered for one that is not known.
const MOST_OFFERED: usize = 3;

/// The flag; without a name it lists all.
pub fn argument() -> Arg {
    Arg::new("knob")
        .long("knob")
        .value_name("NAME")
        .num_args(0..=1)
        .default_missing_value("")
        .conflicts_with_all(["prompt", "raw", "system", "device"])
        .help("Explain a knob of training or sampling instead; without a name, list them")
}

/// The name that was asked for; empty where the list was.
pub fn asked(matches: &ArgMatches) -> Option<&str> {
    matches.get_one::<String>("knob").map(String::as_str)
}

/// Prints the explanations of `name`, or the names that there are.
pub fn explain(name: &str, console: &mut Console) -> Result<Exit, Stop> {
    let found = explanations::find(name);
    match (console.format, name) {
        (Format::Json, "") => print_json(console, &every())?,
        (Format::People, "") => console.print(&list(console.columns()))?,
        (_, unknown) if found.is_empty() => return Err(failure(unknown).into()),
        (Format::Json, _) => print_json(console, &found)?,
        (Format::People, _) => {
            let (color, columns) = (console.color(), console.columns());
            let pages = found.iter().map(|&found| explanations::page(found, color, columns));
            console.print(&pages.collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn failure(name: &str) -> Failure {
    let nearest = explanations::names(name).into_iter().take(MOST_OFFERED).collect::<Vec<_>>();
    let hint = format!("nearest are {}; `hearth explain --knob` lists all", nearest.join(", "));
    Failure::new("no_such_knob", format!("there is no knob `{name}`"), hint)
}

fn every() -> Vec<(Use, &'static Explanation)> {
    let of = |knob_use| explanations::of(knob_use).iter().map(move |knob| (knob_use, knob));
    of(Use::Training).chain(of(Use::Sampling)).collect()
}

fn list(columns: usize) -> String {
    let section = |knob_use: Use| {
        let names: Vec<&str> = explanations::of(knob_use).iter().map(|knob| knob.name).collect();
        let lines = wrap(&names.join(", "), columns.saturating_sub(2));
        let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        format!("Knobs of {}:\n{lines}", knob_use.name())
    };
    format!("{}{}", section(Use::Training), section(Use::Sampling))
}

fn print_json(console: &mut Console, knobs: &[(Use, &'static Explanation)]) -> std::io::Result<()> {
    let line = |(knob_use, knob): &(Use, &Explanation)| {
        let value = json!({
            "event": "knob",
            "name": knob.name,
            "use": knob_use.name(),
            "what": knob.what,
            "higher": knob.higher,
            "lower": knob.lower,
            "watch": knob.watch,
            "usual": knob.usual,
        });
        format!("{value}\n")
    };
    console.write_file(knobs.iter().map(line).collect::<String>().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use expect_test::expect;

    #[test]
    fn a_knob_is_explained_without_a_job() {
        let told = Script::new([]).run(&["explain", "--knob", "warm-up"]);
        assert_eq!((told.exit, told.jobs.len(), told.err.as_str()), (Exit::Done, 0, ""));
        expect![[r#"
            warm_up (training)
              Steps in which the rate rises from near zero. The first gradients of random
              weights point anywhere; they should not be followed far.
              higher     A gentler beginning; some steps are spent slowly.
              lower      A bolder beginning; with a high rate it may break at once.
              watch for  The loss jumps up within the first steps → more warm-up, or a lower
                         learning_rate.
              usual      A twentieth of the steps, at most 200.
        "#]]
        .assert_eq(&told.out);
        let told = Script::new([]).run(&["explain", "--knob", "seed"]);
        assert!(
            told.out.contains("seed (training)") && told.out.contains("\n\nseed (sampling)"),
            "{}",
            told.out
        );
    }

    #[test]
    fn without_a_name_all_are_listed() {
        let told = Script::new([]).run(&["explain", "--knob"]);
        expect![[r#"
            Knobs of training:
              size, family, biases, width, layers, heads, kv_heads, feed_forward,
              vocabulary, length, batch, accumulation, steps, learning_rate,
              last_learning_rate, warm_up, schedule, beta_1, beta_2, epsilon, weight_decay,
              clip, precision, segments, seed, held_out, evaluate_every, sample, patience,
              save_every_s, vocabulary_from, weights_from
            Knobs of sampling:
              temperature, top_k, top_p, min_p, typical_p, mirostat, mirostat_tau,
              mirostat_eta, repetition_penalty, presence_penalty, frequency_penalty,
              repeat_last_n, max_tokens, min_tokens, seed, stop
        "#]]
        .assert_eq(&told.out);
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let told = Script::new([]).run(&["explain", "--knob", "lerning_rate"]);
        assert_eq!((told.exit, told.out.as_str()), (Exit::Failed, ""));
        assert!(
            told.err.starts_with("error: there is no knob `lerning_rate`\nhint: nearest are learning_rate, "),
            "{}",
            told.err
        );
        assert_eq!(Script::new([]).run(&["explain", "m", "hello", "--knob", "seed"]).exit, Exit::Usage);
    }

    #[test]
    fn json_has_a_line_for_each() {
        let lines = |words: &[&str]| -> Vec<serde_json::Value> {
            Script::new([]).run(words).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(lines(&["explain", "--knob", "seed", "--json"]).len(), 2);
        assert_eq!(lines(&["explain", "--knob", "--json"]).len(), every().len());
        assert_eq!(lines(&["explain", "--knob", "clip", "--json"])[0]["usual"], "1.");
    }
}
