//! `hearth quantize`: stores a model in fewer bits and says what that costs in exactness.

use std::path::{Path, PathBuf};

use app::event::quantise::{Importance, Quantised};
use app::job::quantise::Quantise;
use app::{Event, Job};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Command;
use super::import::whole;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::terminal::table::{Side, pairs, table};
use crate::terminal::units;

pub const COMMAND: Command = Command { name: "quantize", build, run };

const AFTER_HELP: &str = "\
The mixes have the names that llama.cpp gave them: Q8_0 loses nothing that anybody has measured, Q4_K_M is what most \
people take, Q4_0 and IQ4_NL are smaller and less exact. Take the most exact that fits: `hearth fit MODEL` tells.

  hearth quantize poems Q4_K_M
  hearth quantize poems Q8_0 --name poems-small

With --importance the model reads a text first, up to 16,384 tokens of it, and errors count more where what it is \
multiplied with is large. Take a text such as the model is used for, not the one of --text. Below five bits it pays \
most.

  hearth quantize poems Q4_K_M --importance letters.txt";

fn build(command: clap::Command) -> clap::Command {
    command
        .about("Store a model in fewer bits")
        .arg(super::model_argument().required(true))
        .arg(
            Arg::new("mix")
                .value_name("MIX")
                .required(true)
                .help("Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, IQ4_NL, …"),
        )
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .help("The new model's name; the mix as its tag when absent"),
        )
        .arg(
            Arg::new("text")
                .long("text")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A text over which both models are compared"),
        )
        .arg(
            Arg::new("importance")
                .long("importance")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A text that tells which columns matter, or an imatrix file of llama.cpp"),
        )
        .arg(Arg::new("tensors").long("tensors").action(ArgAction::SetTrue).help("Also list every tensor"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let file = |name: &str| matches.get_one::<PathBuf>(name).map(|path| whole(path)).transpose();
    let (text, importance) = (file("text")?, file("importance")?);
    let model = super::text(matches, "model");
    // Another process may do it, which stands elsewhere.
    let path = Some(Path::new(&model)).filter(|path| path.exists()).map(whole).transpose()?;
    let job = Quantise {
        model: path.map_or(model, |path| path.display().to_string()),
        mix: super::text(matches, "mix"),
        name: matches.get_one::<String>("name").cloned(),
        text,
        importance,
    };
    session.follow_anywhere(Job::Quantise(job), &mut |console, event| match event {
        Event::Progress { what, done_bytes, total_bytes } => {
            console.progress(what, *done_bytes, *total_bytes);
            Ok(())
        }
        Event::Quantised(quantised) => {
            let mut text = page(quantised);
            if matches.get_flag("tensors") {
                text += &format!("\n{}", tensors(quantised));
            }
            console.print(&text)
        }
        _ => Ok(()),
    })?;
    Ok(Exit::Done)
}

fn page(quantised: &Quantised) -> String {
    let [before, now] = quantised.bytes;
    let divergence = &quantised.divergence;
    let [old, new] = divergence.perplexity;
    let mut rows = vec![
        ("model", quantised.model.clone()),
        ("mix", format!("{}, {:.2} bits a weight", quantised.mix, quantised.bits_per_weight)),
        ("weights", format!("{}, of {} before", units::bytes(now), units::bytes(before))),
        (
            "error",
            format!("{} of the weights (root of the mean square)", units::percent(quantised.relative_error)),
        ),
        ("divergence", format!("{:.5} nats a token over {} tokens", divergence.mean, divergence.n_tokens)),
        ("same token", format!("{} of the time", units::percent(divergence.same_best))),
        ("perplexity", format!("{new:.3}, of {old:.3} before")),
    ];
    if let Some(importance) = &quantised.importance {
        rows.insert(3, ("importance", told(importance)));
    }
    pairs(&rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>())
}

fn told(importance: &Importance) -> String {
    let over = importance.n_tokens.map(|n| format!(", {} tokens", units::count(n))).unwrap_or_default();
    let [known, all] = importance.tensors;
    format!("by {}{over}; known of {known} of {all} tensors", importance.source)
}

fn tensors(quantised: &Quantised) -> String {
    let headings =
        [("TENSOR", Side::Left), ("BEFORE", Side::Left), ("NOW", Side::Left), ("ERROR", Side::Right)];
    let row = |tensor: &app::event::quantise::QuantisedTensor| {
        let error = units::percent(tensor.relative_error);
        vec![tensor.name.clone(), tensor.before.clone(), tensor.now.clone(), error]
    };
    table(&headings, &quantised.tensors.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;
    use app::event::loaded::{Holder, Waiting};
    use app::event::quantise::{Divergence, QuantisedTensor};
    use expect_test::expect;

    fn quantised() -> Event {
        let tensor = QuantisedTensor {
            name: "blk.0.attn_v.weight".into(),
            before: "F16".into(),
            now: "Q6_K".into(),
            relative_error: 0.0123,
        };
        let divergence =
            Divergence { n_tokens: 800, mean: 0.01234, same_best: 0.961, perplexity: [7.5, 7.62] };
        Event::Quantised(Box::new(Quantised {
            model: "poems:q4_k_m".into(),
            mix: "Q4_K_M".into(),
            bytes: [2_470_000_000, 807_000_000],
            bits_per_weight: 5.18,
            relative_error: 0.061,
            tensors: vec![tensor],
            importance: None,
            divergence,
        }))
    }

    #[test]
    fn what_it_costs_is_told() {
        let told = Script::new([quantised()]).run(&["quantize", "poems", "Q4_K_M", "--tensors"]);
        let job = Quantise {
            model: "poems".into(),
            mix: "Q4_K_M".into(),
            name: None,
            text: None,
            importance: None,
        };
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Quantise(job)]));
        expect![[r#"
              model       poems:q4_k_m
              mix         Q4_K_M, 5.18 bits a weight
              weights     807 MB, of 2.5 GB before
              error       6.1% of the weights (root of the mean square)
              divergence  0.01234 nats a token over 800 tokens
              same token  96.1% of the time
              perplexity  7.620, of 7.500 before

            TENSOR               BEFORE  NOW   ERROR
            blk.0.attn_v.weight  F16     Q6_K   1.2%
        "#]]
        .assert_eq(&told.out);
        assert_eq!(Script::new([]).run(&["quantize", "poems"]).exit, Exit::Usage);
    }

    #[test]
    fn what_it_waits_for_is_told() {
        let waiting = Waiting {
            name: "quantization of poems to Q4_K_M".into(),
            size_bytes: 4_000_000_000,
            missing_bytes: 1_500_000_000,
            holders: vec![
                Holder { name: "training stories".into(), size_bytes: 2_000_000_000 },
                Holder { name: "tiny".into(), size_bytes: 300_000_000 },
            ],
        };
        let told = Script::new([Event::Waiting(waiting), quantised()]).run(&["quantize", "poems", "Q4_K_M"]);
        let line = "Waiting for memory: quantization of poems to Q4_K_M takes 4.0 GB, of which 1.5 GB are missing. Held by \
                    training stories (2.0 GB) and tiny (300 MB); it goes on by itself.\n";
        assert_eq!((told.exit, told.err.as_str()), (Exit::Done, line));
    }

    #[test]
    fn what_errors_counted_by_is_told() {
        let Event::Quantised(mut weighed) = quantised() else { unreachable!() };
        let source = "/letters.txt".into();
        weighed.importance = Some(Importance { source, n_tokens: Some(16_128), tensors: [56, 57] });
        let told = Script::new([Event::Quantised(weighed)]).run(&[
            "quantize",
            "poems",
            "Q4_K_M",
            "--importance",
            "/letters.txt",
        ]);
        let importance = Some("/letters.txt".into());
        let job =
            Quantise { model: "poems".into(), mix: "Q4_K_M".into(), name: None, text: None, importance };
        assert_eq!((told.exit, told.jobs), (Exit::Done, vec![Job::Quantise(job)]));
        let row = "  importance  by /letters.txt, 16 k tokens; known of 56 of 57 tensors\n";
        assert!(told.out.contains(row), "{}", told.out);
    }
}
