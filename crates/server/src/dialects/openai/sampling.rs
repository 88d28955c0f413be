//! The fields by which OpenAI's clients choose how tokens are chosen, and those of others that their users send along.

use app::job::{Generate, Sampling};
use serde_json::Value as Json;

use crate::call::Call;
use crate::fields::{COUNT, Field, Kind, STOP};
use crate::refusal::Refusal;

/// Fields that chat and completions share.
pub const TEMPERATURE: Field = Field::may(
    "temperature",
    Kind::Number { least: 0.0, most: 100.0 },
    "Divides the logits; 0 takes the best token.",
);
pub const TOP_P: Field = Field::may(
    "top_p",
    Kind::Number { least: 0.0, most: 1.0 },
    "Keep the best tokens whose probabilities sum to this; 0 keeps the best alone.",
);
pub const TOP_K: Field = Field::may("top_k", COUNT, "Keep so many of the best tokens; 0 keeps all.");
pub const MIN_P: Field = Field::may(
    "min_p",
    Kind::Number { least: 0.0, most: 1.0 },
    "Drop tokens less likely than this share of the best one's probability.",
);
pub const PRESENCE: Field = Field::may(
    "presence_penalty",
    Kind::Number { least: -2.0, most: 2.0 },
    "Subtracted from the logits of tokens that occurred.",
);
pub const FREQUENCY: Field = Field::may(
    "frequency_penalty",
    Kind::Number { least: -2.0, most: 2.0 },
    "Subtracted from the logits of tokens for each time that they occurred.",
);
pub const REPETITION: Field = Field::may(
    "repetition_penalty",
    Kind::Number { least: 0.01, most: 100.0 },
    "Divides the logits of tokens that occurred.",
);
pub const BIAS: Field = Field::may(
    "logit_bias",
    Kind::Map { of: &Kind::Number { least: -100.0, most: 100.0 }, most: 4096 },
    "Added to the logits of tokens, by their ids.",
);
pub const SEED: Field = Field::may(
    "seed",
    Kind::Integer { least: i64::MIN, most: i64::MAX },
    "Starts the random numbers: the same seed gives the same answer.",
);
pub const IGNORE_EOS: Field = Field::may(
    "ignore_eos",
    Kind::Flag,
    "Go on until there are as many tokens as may be: the model ends nothing.",
);
pub const MIN_TOKENS: Field = Field::may(
    "min_tokens",
    COUNT,
    "Tokens before the model may end the answer; its form may, and texts to stop at.",
);
pub const STOPS: Field = Field::may("stop", STOP, "Texts that end the answer.");
pub const N: Field = Field::may(
    "n",
    Kind::Integer { least: 1, most: 128 },
    "How many answers; of a given seed each has the next one.",
);
pub const STREAM: Field = Field::may("stream", Kind::Flag, "Tell the answer while it is made.");
pub const STREAM_OPTIONS: Field = Field::may(
    "stream_options",
    Kind::Object(&[Field::may("include_usage", Kind::Flag, "Tell the counts of tokens at the end.")]),
    "How to stream.",
);
pub const KEEP_ALIVE: Field = Field::may(
    "keep_alive",
    Kind::Integer { least: -1, most: u32::MAX as i64 },
    "Seconds for which the model stays in memory; -1 for good.",
);

/// Reads them all.
///
/// # Errors
/// A bias of something that is no token id.
pub fn read(call: &Call, max_tokens: Option<usize>) -> Result<Sampling, Refusal> {
    let top_p = call.number("top_p");
    let is_best_only = top_p == Some(0.0);
    let mut sampling = Sampling {
        temperature: call.number("temperature"),
        top_k: if is_best_only { Some(1) } else { call.count("top_k") },
        top_p: top_p.filter(|_| !is_best_only),
        min_p: call.number("min_p"),
        repetition_penalty: call.number("repetition_penalty"),
        presence_penalty: call.number("presence_penalty"),
        frequency_penalty: call.number("frequency_penalty"),
        seed: call.integer("seed").map(i64::cast_unsigned),
        max_tokens,
        min_tokens: match call.is_set("ignore_eos") {
            true => Some(Sampling::ENDLESS),
            false => call.count("min_tokens"),
        },
        // An empty text would end every answer at once.
        stop: call.texts("stop").into_iter().filter(|text| !text.is_empty()).collect(),
        ..Sampling::default()
    };
    if let Some(Json::Object(biases)) = call.get("logit_bias") {
        for (id, bias) in biases {
            let token = id
                .parse::<u32>()
                .map_err(|_| Refusal::field("logit_bias", format!("{id:?} is no token id")))?;
            sampling.logit_bias.insert(token, bias.as_f64().unwrap_or_default() as f32);
        }
    }
    Ok(sampling)
}

/// The jobs of `n` answers to one request.
pub fn choices(call: &Call, generate: Generate) -> impl Iterator<Item = Generate> {
    let n = call.count("n").unwrap_or(1).clamp(1, call.shared.rules().settings.max_choices);
    (0..n).map(move |index| {
        let mut one = generate.clone();
        one.sampling.seed = one.sampling.seed.map(|seed| seed.wrapping_add(index as u64));
        one
    })
}

/// How long the model stays.
pub fn keep(call: &Call) -> Option<app::job::Keep> {
    call.integer("keep_alive").map(|seconds| match u64::try_from(seconds) {
        Ok(seconds) => app::job::Keep::Seconds(seconds),
        Err(_) => app::job::Keep::Always,
    })
}
