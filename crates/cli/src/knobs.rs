//! The knobs of sampling: one table for the flags of `run` and `explain` and for `/set` in a chat.

use app::job::{Mirostat, Sampling};
use clap::{Arg, ArgAction, ArgMatches};

/// Something that can be turned.
pub struct Knob {
    /// As in `--name` and `/set name`.
    pub name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Sampling, &str) -> Result<(), String>,
    restore: fn(&mut Sampling, &Sampling),
    show: fn(&Sampling) -> String,
}

pub static KNOBS: &[Knob] = &[
    Knob {
        name: "temperature",
        value: "NUMBER",
        help: "How bold the choice of words is; 0 always takes the likeliest",
        set: |sampling, text| number(text, 0.0, 100.0).map(|value| sampling.temperature = Some(value)),
        restore: |sampling, from| sampling.temperature = from.temperature,
        show: |sampling| or_dash(sampling.temperature),
    },
    Knob {
        name: "top-k",
        value: "COUNT",
        help: "Choose among this many likeliest tokens; 0 for all",
        set: |sampling, text| count(text).map(|value| sampling.top_k = Some(value)),
        restore: |sampling, from| sampling.top_k = from.top_k,
        show: |sampling| or_dash(sampling.top_k),
    },
    Knob {
        name: "top-p",
        value: "SHARE",
        help: "Choose among the likeliest tokens that make up this share; 1 for all",
        set: |sampling, text| number(text, 0.0, 1.0).map(|value| sampling.top_p = Some(value)),
        restore: |sampling, from| sampling.top_p = from.top_p,
        show: |sampling| or_dash(sampling.top_p),
    },
    Knob {
        name: "min-p",
        value: "SHARE",
        help: "Drop tokens less likely than this share of the likeliest; 0 for none",
        set: |sampling, text| number(text, 0.0, 1.0).map(|value| sampling.min_p = Some(value)),
        restore: |sampling, from| sampling.min_p = from.min_p,
        show: |sampling| or_dash(sampling.min_p),
    },
    Knob {
        name: "typical-p",
        value: "SHARE",
        help: "Choose among the tokens whose surprise is nearest to the expected one, up to this share; 1 for all",
        set: |sampling, text| {
            number(text, f32::MIN_POSITIVE, 1.0).map(|value| sampling.typical_p = Some(value))
        },
        restore: |sampling, from| sampling.typical_p = from.typical_p,
        show: |sampling| or_dash(sampling.typical_p),
    },
    Knob {
        name: "mirostat",
        value: "VERSION",
        help: "Hold the surprise of the text steady instead of all these cuts: 1 or 2; 0 for not at all",
        set: |sampling, text| mirostat(text).map(|value| sampling.mirostat = Some(value)),
        restore: |sampling, from| sampling.mirostat = from.mirostat,
        show: |sampling| or_dash(sampling.mirostat.map(Mirostat::number)),
    },
    Knob {
        name: "mirostat-tau",
        value: "BITS",
        help: "The surprise that Mirostat wants",
        set: |sampling, text| number(text, 0.0, 100.0).map(|value| sampling.mirostat_tau = Some(value)),
        restore: |sampling, from| sampling.mirostat_tau = from.mirostat_tau,
        show: |sampling| or_dash(sampling.mirostat_tau),
    },
    Knob {
        name: "mirostat-eta",
        value: "SHARE",
        help: "How much of the error Mirostat's cut moves by",
        set: |sampling, text| number(text, 0.0, 1.0).map(|value| sampling.mirostat_eta = Some(value)),
        restore: |sampling, from| sampling.mirostat_eta = from.mirostat_eta,
        show: |sampling| or_dash(sampling.mirostat_eta),
    },
    Knob {
        name: "repetition-penalty",
        value: "FACTOR",
        help: "Above 1, tokens that occurred become less likely",
        set: |sampling, text| {
            number(text, 0.01, 100.0).map(|value| sampling.repetition_penalty = Some(value))
        },
        restore: |sampling, from| sampling.repetition_penalty = from.repetition_penalty,
        show: |sampling| or_dash(sampling.repetition_penalty),
    },
    Knob {
        name: "presence-penalty",
        value: "NUMBER",
        help: "Taken from the score of tokens that the answer holds",
        set: |sampling, text| {
            number(text, -100.0, 100.0).map(|value| sampling.presence_penalty = Some(value))
        },
        restore: |sampling, from| sampling.presence_penalty = from.presence_penalty,
        show: |sampling| or_dash(sampling.presence_penalty),
    },
    Knob {
        name: "frequency-penalty",
        value: "NUMBER",
        help: "Taken from the score of tokens for each time that the answer holds them",
        set: |sampling, text| {
            number(text, -100.0, 100.0).map(|value| sampling.frequency_penalty = Some(value))
        },
        restore: |sampling, from| sampling.frequency_penalty = from.frequency_penalty,
        show: |sampling| or_dash(sampling.frequency_penalty),
    },
    Knob {
        name: "repeat-last-n",
        value: "COUNT",
        help: "How many of the last tokens the three penalties look at; -1 for all",
        set: |sampling, text| last_n(text).map(|value| sampling.repeat_last_n = Some(value)),
        restore: |sampling, from| sampling.repeat_last_n = from.repeat_last_n,
        show: |sampling| or_dash(sampling.repeat_last_n.map(in_all)),
    },
    Knob {
        name: "max-tokens",
        value: "COUNT",
        help: "Tokens of the answer at most; as many as fit when absent",
        set: |sampling, text| count(text).map(|value| sampling.max_tokens = Some(value)),
        restore: |sampling, from| sampling.max_tokens = from.max_tokens,
        show: |sampling| or_dash(sampling.max_tokens),
    },
    Knob {
        name: "min-tokens",
        value: "COUNT",
        help: "Tokens before the model may end its answer; -1 to go on until there is no room",
        set: |sampling, text| last_n(text).map(|value| sampling.min_tokens = Some(value)),
        restore: |sampling, from| sampling.min_tokens = from.min_tokens,
        show: |sampling| or_dash(sampling.min_tokens.map(in_all)),
    },
    Knob {
        name: "seed",
        value: "NUMBER",
        help: "The same seed gives the same answer; drawn when absent",
        set: |sampling, text| whole(text).map(|value| sampling.seed = Some(value)),
        restore: |sampling, from| sampling.seed = from.seed,
        show: |sampling| or_dash(sampling.seed),
    },
    Knob {
        name: "stop",
        value: "TEXT",
        help: "End the answer before this text; may be given again",
        set: |sampling, text| stop(sampling, text),
        restore: |sampling, from| sampling.stop.clone_from(&from.stop),
        show: |sampling| or_dash((!sampling.stop.is_empty()).then(|| format!("{:?}", sampling.stop))),
    },
];

/// One flag for each knob.
pub fn arguments() -> impl Iterator<Item = Arg> {
    KNOBS.iter().map(|knob| {
        let check = |text: &str| {
            (knob.set)(&mut Sampling::default(), text)?;
            Ok::<String, String>(text.to_owned())
        };
        Arg::new(knob.name)
            .long(knob.name)
            .value_name(knob.value)
            .help(knob.help)
            .value_parser(check)
            .allow_negative_numbers(true)
            .action(ArgAction::Append)
            .help_heading("Sampling")
    })
}

/// `sampling`, with what the flags say. Of a flag given twice the last counts.
pub fn sampling(matches: &ArgMatches, mut sampling: Sampling) -> Sampling {
    for knob in KNOBS {
        for text in matches.get_many::<String>(knob.name).into_iter().flatten() {
            (knob.set)(&mut sampling, text).expect("the parser tried it");
        }
    }
    sampling
}

/// Turns the knob called `name`; without a value, back to `from`. Says what is wrong otherwise.
pub fn turn(sampling: &mut Sampling, name: &str, value: &str, from: &Sampling) -> Result<(), String> {
    let name = name.trim_start_matches('-').replace('_', "-");
    let Some(knob) = KNOBS.iter().find(|knob| knob.name == name) else {
        let names: Vec<_> = KNOBS.iter().map(|knob| knob.name).collect();
        return Err(format!("there is no knob `{name}`; there are {}", names.join(", ")));
    };
    if value.is_empty() {
        (knob.restore)(sampling, from);
        return Ok(());
    }
    (knob.set)(sampling, value).map_err(|error| format!("{name}: {error}"))
}

/// Every knob with its value; a dash where nothing is said.
pub fn values(sampling: &Sampling) -> Vec<(String, String)> {
    KNOBS.iter().map(|knob| (knob.name.to_owned(), (knob.show)(sampling))).collect()
}

fn number(text: &str, least: f32, most: f32) -> Result<f32, String> {
    let wrong = || format!("a number from {least} to {most} is wanted, not `{text}`");
    text.parse().ok().filter(|value| (least..=most).contains(value)).ok_or_else(wrong)
}

fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("a whole number from 0 is wanted, not `{text}`"))
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a whole number from 0 is wanted, not `{text}`"))
}

/// A count, or -1 for all that there is.
fn last_n(text: &str) -> Result<usize, String> {
    let wrong = || format!("a whole number from 0, or -1, is wanted, not `{text}`");
    text.parse().ok().filter(|n| *n >= -1).map(Sampling::last_n).ok_or_else(wrong)
}

/// The same as it is said.
fn in_all(n: usize) -> String {
    if n == usize::MAX { "-1".to_owned() } else { n.to_string() }
}

fn mirostat(text: &str) -> Result<Mirostat, String> {
    let wrong = || format!("0, 1 or 2 is wanted, not `{text}`");
    text.parse().ok().filter(|version| (0..=2).contains(version)).map(Mirostat::numbered).ok_or_else(wrong)
}

fn stop(sampling: &mut Sampling, text: &str) -> Result<(), String> {
    const MOST: usize = 64;
    if text.is_empty() {
        return Err("an empty text would end every answer at once".to_owned());
    }
    if sampling.stop.len() == MOST {
        return Err(format!("{MOST} texts at most"));
    }
    sampling.stop.push(text.to_owned());
    Ok(())
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_is_turned_shown_and_restored() {
        for knob in KNOBS {
            let mut sampling = Sampling::default();
            (knob.set)(&mut sampling, "1").unwrap();
            assert_ne!(sampling, Sampling::default(), "{}", knob.name);
            assert!((knob.show)(&sampling).contains('1'), "{}", knob.name);
            turn(&mut sampling, &knob.name.replace('-', "_"), "", &Sampling::default()).unwrap();
            assert_eq!(sampling, Sampling::default(), "{}", knob.name);
        }
    }

    #[test]
    fn everything_is_said_as_minus_one() {
        for name in ["repeat-last-n", "min-tokens"] {
            let mut sampling = Sampling::default();
            turn(&mut sampling, name, "-1", &Sampling::default()).unwrap();
            let told = values(&sampling).into_iter().find(|(known, _)| known == name).unwrap();
            assert_eq!(told.1, "-1");
            assert!([sampling.repeat_last_n, sampling.min_tokens].contains(&Some(usize::MAX)));
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let mut sampling = Sampling::default();
        for (name, value) in [
            ("temperature", "NaN"),
            ("temperature", "-1"),
            ("top-p", "1.5"),
            ("top-k", "-3"),
            ("typical-p", "0"),
            ("mirostat", "3"),
            ("mirostat-eta", "2"),
            ("repeat-last-n", "-2"),
            ("seed", "18446744073709551616"),
            ("repetition-penalty", "0"),
            ("nonsense", "1"),
        ] {
            assert!(turn(&mut sampling, name, value, &Sampling::default()).is_err(), "{name} {value}");
        }
        assert_eq!(sampling, Sampling::default());
        for _ in 0..100 {
            let _ = turn(&mut sampling, "stop", "x", &Sampling::default());
        }
        assert_eq!(sampling.stop.len(), 64);
    }
}
