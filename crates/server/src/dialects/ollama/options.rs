//! `options`: how tokens are chosen, and how much context an answer has.
//!
//! Source: docs/modelfile.md, "Valid Parameters and Values". Options that concern a machine (`num_gpu`, `num_thread`, …)
//! are passed over: no answer depends on them. Those that would change an answer and are not here are refused by name,
//! unless they stand where they change nothing.

use app::job::{Mirostat, Sampling};
use serde_json::{Map, Value as Json};

use crate::call::{Call, get};
use crate::fields::{COUNT, Field, Kind, STOP, whole};
use crate::refusal::Refusal;

/// How far back penalties look, and other whole numbers for which -1 stands for all.
const WHOLE: Kind = Kind::Integer { least: -2, most: i32::MAX as i64 };
const SHARE: Kind = Kind::Number { least: 0.0, most: 1.0 };
const PENALTY: Kind = Kind::Number { least: -100.0, most: 100.0 };

pub const FIELDS: &[Field] = &[
    Field::may(
        "temperature",
        Kind::Number { least: 0.0, most: 100.0 },
        "Divides the logits; 0 takes the best.",
    ),
    Field::may("top_k", WHOLE, "Keep so many of the best tokens; 0 and below keep all."),
    Field::may("top_p", SHARE, "Keep the best tokens whose probabilities sum to this."),
    Field::may("min_p", SHARE, "Drop tokens less likely than this share of the best one's probability."),
    Field::may(
        "seed",
        Kind::Integer { least: i64::MIN, most: i64::MAX },
        "Starts the random numbers; -1 draws one.",
    ),
    Field::may("num_predict", WHOLE, "Tokens of the answer at most; -1 and -2 for as many as fit."),
    Field::may("stop", STOP, "Texts that end the answer."),
    Field::may(
        "repeat_penalty",
        Kind::Number { least: 0.01, most: 100.0 },
        "Divides the logits of tokens that occurred.",
    ),
    Field::may("presence_penalty", PENALTY, "Subtracted from the logits of tokens that occurred."),
    Field::may("frequency_penalty", PENALTY, "The same for each time that they occurred."),
    Field::may("repeat_last_n", WHOLE, "How far back penalties look: 0 for not at all, -1 for everything."),
    Field::may("num_ctx", COUNT, "Tokens that prompt and answer may have together."),
    Field::may(
        "typical_p",
        SHARE,
        "Keep tokens whose surprise is nearest to the expected one, up to this sum; 0 and 1 keep all.",
    ),
    Field::may(
        "tfs_z",
        Kind::Number { least: 0.0, most: 100.0 },
        "Not here; 1, which changes nothing, is passed over.",
    ),
    Field::may(
        "mirostat",
        Kind::Integer { least: 0, most: 2 },
        "The version of Mirostat that takes the place of all cuts; 0 for none.",
    ),
    Field::may(
        "mirostat_tau",
        Kind::Number { least: 0.0, most: 100.0 },
        "The surprise that it wants, in bits.",
    ),
    Field::may("mirostat_eta", SHARE, "How much of the error its cut moves by."),
    Field::may("penalize_newline", Kind::Flag, "Penalties count for all tokens; false is refused."),
];
/// The field that holds them.
pub const OPTIONS: Field = Field::may("options", Kind::Object(FIELDS), "How to answer.");

/// What options say.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    pub sampling: Sampling,
    pub context: Option<usize>,
}

/// Reads `options`.
///
/// # Errors
/// One that would change the answer and is not here.
pub fn read(call: &Call) -> Result<Options, Refusal> {
    call.get("options").and_then(Json::as_object).map_or_else(|| Ok(Options::default()), of)
}

/// The options of an object that fits [`FIELDS`].
///
/// # Errors
/// So too.
pub fn of(options: &Map<String, Json>) -> Result<Options, Refusal> {
    let integer = |name: &str| get(options, name).and_then(whole);
    let number = |name: &str| get(options, name).and_then(Json::as_f64).map(|number| number as f32);
    if number("tfs_z").is_some_and(|value| value != 1.0) {
        return Err(not_here("tfs_z"));
    }
    if get(options, "penalize_newline") == Some(&Json::Bool(false)) {
        return Err(not_here("penalize_newline"));
    }
    let top_p = number("top_p");
    let is_best_only = top_p == Some(0.0);
    let sampling = Sampling {
        temperature: number("temperature"),
        top_k: match is_best_only {
            true => Some(1),
            false => integer("top_k").map(|n| usize::try_from(n).unwrap_or(0)),
        },
        top_p: top_p.filter(|_| !is_best_only),
        min_p: number("min_p"),
        typical_p: number("typical_p").map(|share| if share == 0.0 { 1.0 } else { share }),
        mirostat: integer("mirostat").map(Mirostat::numbered),
        mirostat_tau: number("mirostat_tau"),
        mirostat_eta: number("mirostat_eta"),
        repeat_last_n: integer("repeat_last_n").map(Sampling::last_n),
        repetition_penalty: number("repeat_penalty"),
        presence_penalty: number("presence_penalty"),
        frequency_penalty: number("frequency_penalty"),
        seed: integer("seed").filter(|seed| *seed != -1).map(i64::cast_unsigned),
        max_tokens: integer("num_predict").map(|n| usize::try_from(n).unwrap_or(u32::MAX as usize)),
        stop: stops(options),
        ..Sampling::default()
    };
    let context = integer("num_ctx").and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    Ok(Options { sampling, context })
}

/// Texts that end an answer; an empty one would end every answer at once.
fn stops(options: &Map<String, Json>) -> Vec<String> {
    let texts: Vec<&Json> = match get(options, "stop") {
        Some(Json::Array(list)) => list.iter().collect(),
        other => other.into_iter().collect(),
    };
    let texts = texts.into_iter().filter_map(Json::as_str).filter(|text| !text.is_empty());
    texts.map(str::to_owned).collect()
}

fn not_here(name: &str) -> Refusal {
    Refusal::field(&format!("options.{name}"), "this way of choosing tokens is not here: leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::check;
    use serde_json::json;

    fn read(options: Json) -> Result<Options, String> {
        let options = options.as_object().unwrap();
        check(options, FIELDS).map_err(|wrong| wrong.field)?;
        of(options).map_err(|refusal| refusal.field.unwrap_or_default().into())
    }

    #[test]
    fn options_become_sampling() {
        let read_all = read(json!({
            "temperature": 0.5, "top_k": -1, "top_p": 0.9, "min_p": 0.1, "seed": 7, "num_predict": 5, "stop": ["", "END"],
            "repeat_penalty": 1.1, "presence_penalty": 0.2, "frequency_penalty": 0.3, "num_ctx": 512, "num_gpu": 99,
            "repeat_last_n": -1, "typical_p": 1.0, "mirostat": 0, "mirostat_tau": 5.0, "tfs_z": 1, "num_keep": 4,
        }));
        let sampling = Sampling {
            temperature: Some(0.5),
            top_k: Some(0),
            top_p: Some(0.9),
            min_p: Some(0.1),
            repetition_penalty: Some(1.1),
            repeat_last_n: Some(usize::MAX),
            typical_p: Some(1.0),
            mirostat: Some(Mirostat::Off),
            mirostat_tau: Some(5.0),
            presence_penalty: Some(0.2),
            frequency_penalty: Some(0.3),
            seed: Some(7),
            max_tokens: Some(5),
            stop: vec!["END".into()],
            ..Sampling::default()
        };
        assert_eq!(read_all, Ok(Options { sampling, context: Some(512) }));
        let of = |options| read(options).unwrap().sampling;
        assert_eq!(of(json!({ "seed": -1 })).seed, None);
        assert_eq!(of(json!({ "num_predict": -1 })).max_tokens, Some(u32::MAX as usize));
        assert_eq!(of(json!({ "num_predict": -2 })).max_tokens, Some(u32::MAX as usize));
        assert_eq!(of(json!({ "top_p": 0 })).top_k, Some(1));
        assert_eq!(of(json!({ "stop": "x" })).stop, ["x"]);
        assert_eq!(of(json!({ "repeat_last_n": 0 })).repeat_last_n, Some(0));
        assert_eq!(of(json!({ "repeat_last_n": 64 })).repeat_last_n, Some(64));
        assert_eq!(of(json!({ "typical_p": 0 })).typical_p, Some(1.0));
        let mirostat = of(json!({ "mirostat": 2, "mirostat_eta": 0.2 }));
        assert_eq!((mirostat.mirostat, mirostat.mirostat_eta), (Some(Mirostat::Second), Some(0.2)));
    }

    #[test]
    fn what_would_change_the_answer_and_is_not_here_is_refused() {
        for (options, field) in [
            (json!({ "typical_p": 1.5 }), "typical_p"),
            (json!({ "mirostat": 3 }), "mirostat"),
            (json!({ "tfs_z": 0.5 }), "options.tfs_z"),
            (json!({ "penalize_newline": false }), "options.penalize_newline"),
            (json!({ "temperature": -1 }), "temperature"),
            (json!({ "num_ctx": -1 }), "num_ctx"),
        ] {
            assert_eq!(read(options.clone()), Err(field.to_owned()), "{options}");
        }
    }
}
