//! The fields that `/completion` and `/infill` have in common.

use super::which::MODEL;
use crate::fields::{Field, Kind, LONG, STOP};

const ANY: Kind = Kind::Any;
const NUMBER: Kind = Kind::Number { least: -1e12, most: 1e12 };
const WHOLE: Kind = Kind::Integer { least: -2, most: i32::MAX as i64 };
const SHARE: Kind = Kind::Number { least: 0.0, most: 1.0 };
const PENALTY: Kind = Kind::Number { least: -100.0, most: 100.0 };
const LIST: Kind = Kind::List { of: &ANY, least: 0, most: 4096 };
const BIASES: Kind = Kind::Either(&[LIST, Kind::Map { of: &NUMBER, most: 4096 }]);

pub const COMMON: [Field; 39] = [
    MODEL,
    Field::may("n_predict", WHOLE, "Tokens of the answer at most; below 0 for as many as fit."),
    Field::may("stream", Kind::Flag, "Tell the answer while it is made."),
    Field::may("stop", STOP, "Texts that end the answer."),
    Field::may(
        "temperature",
        Kind::Number { least: 0.0, most: 100.0 },
        "Divides the logits; 0 takes the best.",
    ),
    Field::may("top_k", WHOLE, "Keep so many of the best tokens; 0 and below keep all."),
    Field::may("top_p", SHARE, "Keep the best tokens whose probabilities sum to this."),
    Field::may("min_p", SHARE, "Drop tokens less likely than this share of the best one's probability."),
    Field::may(
        "repeat_penalty",
        Kind::Number { least: 0.01, most: 100.0 },
        "Divides the logits of tokens that occurred.",
    ),
    Field::may("presence_penalty", PENALTY, "Subtracted from the logits of tokens that occurred."),
    Field::may("frequency_penalty", PENALTY, "The same for each time that they occurred."),
    Field::may("repeat_last_n", WHOLE, "How far back penalties look: 0 for not at all, -1 for everything."),
    Field::may(
        "seed",
        Kind::Integer { least: i64::MIN, most: i64::MAX },
        "Starts the random numbers; -1 draws one.",
    ),
    Field::may("logit_bias", BIASES, "Added to the logits of tokens, by ids or texts; false forbids them."),
    Field::may(
        "n_probs",
        Kind::Integer { least: 0, most: 100 },
        "Tell how likely tokens were, and so many others.",
    ),
    Field::may("grammar", LONG, "A grammar in llama.cpp's form that the answer has to match."),
    Field::may("json_schema", Kind::Map { of: &ANY, most: 4096 }, "A JSON schema that it has to match."),
    Field::may("return_tokens", Kind::Flag, "Tell the ids of the answer's tokens."),
    Field::may(
        "typical_p",
        SHARE,
        "Keep tokens whose surprise is nearest to the expected one, up to this sum; 0 and 1 keep all.",
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
    Field::may("dynatemp_range", NUMBER, "Not here; 0, which changes nothing, is passed over."),
    Field::may("dry_multiplier", NUMBER, "Not here; 0, which changes nothing, is passed over."),
    Field::may("xtc_probability", NUMBER, "Not here; 0, which changes nothing, is passed over."),
    Field::may("top_n_sigma", NUMBER, "Not here; 0 and below, which change nothing, are passed over."),
    Field::may("adaptive_target", NUMBER, "Not here; below 0, which changes nothing, is passed over."),
    Field::may("min_keep", NUMBER, "Not here; 0, which changes nothing, is passed over."),
    Field::may("n_indent", NUMBER, "Not here; 0, which changes nothing, is passed over."),
    Field::may("t_max_predict_ms", NUMBER, "Not here; 0 and below, which change nothing, are passed over."),
    Field::may("ignore_eos", Kind::Flag, "Go on until there are as many tokens as may be."),
    Field::may("post_sampling_probs", Kind::Flag, "Not here; probabilities are the model's own."),
    Field::may("timings_per_token", Kind::Flag, "Tell the times with every piece."),
    Field::may(
        "samplers",
        Kind::Either(&[LIST, LONG]),
        "Not here; the order of the ways to choose is fixed.",
    ),
    Field::may("lora", LIST, "Not here; name a model with its adapter."),
    Field::may("response_fields", LIST, "Not here; all fields are told."),
    Field::may("image_data", LIST, "Not here yet."),
    Field::may("n_cmpl", Kind::Integer { least: 1, most: 1 }, "One answer to a request."),
    Field::may("keep_alive", NUMBER, "Seconds for which the model stays in memory; below 0 for good."),
];

/// Two lists behind each other.
pub const fn joined<const A: usize, const B: usize, const C: usize>(
    a: [Field; A],
    b: [Field; B],
) -> [Field; C] {
    assert!(A + B == C);
    let mut all = [COMMON[0]; C];
    let mut at = 0;
    while at < C {
        all[at] = if at < A { a[at] } else { b[at - A] };
        at += 1;
    }
    all
}
