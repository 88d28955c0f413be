//! How a request of llama.cpp's clients wants tokens to be chosen.

use app::Event;
use app::job::vocabulary::{Ends, Names, Tokenise};
use app::job::{Constraint, Job, Keep, Mirostat, Sampling};
use serde_json::Value as Json;

use crate::call::Call;
use crate::fields::whole;
use crate::refusal::Refusal;

/// The bias of a token that must not come: no logit comes near it.
const NEVER: f32 = -1e9;

/// Whether a number changes nothing.
type IsNeutral = fn(f64) -> bool;

/// Ways to choose that are not here, by where they change nothing.
const NEUTRAL: [(&str, IsNeutral); 8] = [
    ("dynatemp_range", |x| x == 0.0),
    ("dry_multiplier", |x| x == 0.0),
    ("xtc_probability", |x| x == 0.0),
    ("top_n_sigma", |x| x <= 0.0),
    ("adaptive_target", |x| x < 0.0),
    ("min_keep", |x| x == 0.0),
    ("n_indent", |x| x == 0.0),
    ("t_max_predict_ms", |x| x <= 0.0),
];

/// Refuses what would change the answer and is not here.
///
/// # Errors
/// The field.
pub fn check(call: &Call) -> Result<(), Refusal> {
    let not_here = |field: &str| Err(Refusal::field(field, "it is not here: leave it out"));
    let number = |name: &str| call.get(name).and_then(Json::as_f64);
    if let Some((field, _)) =
        NEUTRAL.iter().find(|(name, is_neutral)| number(name).is_some_and(|x| !is_neutral(x)))
    {
        return not_here(field);
    }
    if call.is_set("post_sampling_probs") {
        return not_here("post_sampling_probs");
    }
    let has_some = |name: &&str| match call.get(name) {
        Some(Json::Array(list)) => !list.is_empty(),
        Some(Json::String(text)) => !text.is_empty(),
        _ => false,
    };
    match ["samplers", "lora", "response_fields"].iter().find(|name| has_some(name)) {
        Some(field) => not_here(field),
        None if has_some(&"image_data") => Err(Refusal::not_here("looking at pictures")),
        None => Ok(()),
    }
}

/// Reads how tokens are chosen.
///
/// # Errors
/// A bias that is none.
pub async fn sampling(call: &Call, model: &str) -> Result<Sampling, Refusal> {
    let count = |name: &str| call.integer(name).map(|n| usize::try_from(n).unwrap_or(0));
    let top_p = call.number("top_p");
    let is_best_only = top_p == Some(0.0);
    let mut sampling = Sampling {
        temperature: call.number("temperature"),
        top_k: if is_best_only { Some(1) } else { count("top_k") },
        top_p: top_p.filter(|_| !is_best_only),
        min_p: call.number("min_p"),
        typical_p: call.number("typical_p").map(|share| if share == 0.0 { 1.0 } else { share }),
        mirostat: call.integer("mirostat").map(Mirostat::numbered),
        mirostat_tau: call.number("mirostat_tau"),
        mirostat_eta: call.number("mirostat_eta"),
        repeat_last_n: call.integer("repeat_last_n").map(Sampling::last_n),
        repetition_penalty: call.number("repeat_penalty"),
        presence_penalty: call.number("presence_penalty"),
        frequency_penalty: call.number("frequency_penalty"),
        seed: call.integer("seed").filter(|seed| *seed != -1).map(i64::cast_unsigned),
        max_tokens: call.integer("n_predict").map(|n| usize::try_from(n).unwrap_or(u32::MAX as usize)),
        min_tokens: call.is_set("ignore_eos").then_some(Sampling::ENDLESS),
        // An empty text would end every answer at once.
        stop: call.texts("stop").into_iter().filter(|text| !text.is_empty()).collect(),
        ..Sampling::default()
    };
    for (what, bias) in biases(call)? {
        for token in tokens(call, model, what).await? {
            sampling.logit_bias.insert(token, bias);
        }
    }
    Ok(sampling)
}

/// What a bias is for.
#[derive(Debug, PartialEq)]
enum Biased {
    Token(u32),
    Text(String),
}

fn biases(call: &Call) -> Result<Vec<(Biased, f32)>, Refusal> {
    match call.get("logit_bias") {
        Some(Json::Object(map)) => {
            map.iter().map(|(key, value)| pair(&Json::from(key.as_str()), value)).collect()
        }
        Some(Json::Array(list)) => list
            .iter()
            .map(|entry| match entry.as_array().map(Vec::as_slice) {
                Some([what, bias]) => pair(what, bias),
                _ => Err(Refusal::field("logit_bias", format!("{entry} is no pair of a token and a number"))),
            })
            .collect(),
        _ => Ok(Vec::new()),
    }
}

fn pair(what: &Json, bias: &Json) -> Result<(Biased, f32), Refusal> {
    let biased = match what {
        Json::String(text) => match text.parse() {
            Ok(id) => Some(Biased::Token(id)),
            Err(_) => Some(Biased::Text(text.clone())),
        },
        value => whole(value).and_then(|id| u32::try_from(id).ok()).map(Biased::Token),
    };
    let bias = match bias {
        Json::Bool(false) => Some(NEVER),
        value => value.as_f64().map(|bias| (bias as f32).clamp(NEVER, -NEVER)),
    };
    match (biased, bias) {
        (Some(biased), Some(bias)) => Ok((biased, bias)),
        _ => Err(Refusal::field("logit_bias", format!("{what} is no token, or its bias no number"))),
    }
}

async fn tokens(call: &Call, model: &str, what: Biased) -> Result<Vec<u32>, Refusal> {
    match what {
        Biased::Token(id) => Ok(vec![id]),
        Biased::Text(text) => of_text(call, model, text, Ends::LeftOut).await,
    }
}

/// The tokens of a text.
///
/// # Errors
/// What the model's vocabulary says.
pub async fn of_text(call: &Call, model: &str, text: String, ends: Ends) -> Result<Vec<u32>, Refusal> {
    let job = Tokenise { model: model.to_owned(), text, names: Names::Tokens, ends };
    match call.run(Job::Tokenise(job)).last().await? {
        Event::Tokenised { tokens } => Ok(tokens.iter().map(|piece| piece.id).collect()),
        _ => Ok(Vec::new()),
    }
}

/// What the answer has to match.
///
/// # Errors
/// Two things at once.
pub fn constraint(call: &Call) -> Result<Option<Constraint>, Refusal> {
    let grammar = call.text("grammar").filter(|text| !text.is_empty());
    let schema = call.get("json_schema");
    match (grammar, schema) {
        (Some(_), Some(_)) => {
            Err(Refusal::field("json_schema", "an answer matches this or `grammar`, not both"))
        }
        (Some(grammar), None) => Ok(Some(Constraint::Gbnf(grammar.to_owned()))),
        (None, schema) => Ok(schema.cloned().map(Constraint::JsonSchema)),
    }
}

/// How long the model stays.
pub fn keep(call: &Call) -> Option<Keep> {
    let seconds = call.get("keep_alive").and_then(Json::as_f64)?;
    Some(if seconds < 0.0 { Keep::Always } else { Keep::Seconds(seconds.ceil() as u64) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn biases_are_of_ids_and_of_texts() {
        assert_eq!(pair(&json!(17), &json!(1.5)).unwrap(), (Biased::Token(17), 1.5));
        assert_eq!(pair(&json!("17"), &json!(-1)).unwrap(), (Biased::Token(17), -1.0));
        assert_eq!(pair(&json!("cat"), &json!(false)).unwrap(), (Biased::Text("cat".into()), NEVER));
        for (what, bias) in
            [(json!(-1), json!(1)), (json!(1.5), json!(1)), (json!(1), json!(true)), (json!([]), json!(1))]
        {
            assert!(pair(&what, &bias).is_err(), "{what} {bias}");
        }
    }

    #[test]
    fn what_is_neutral_is_known() {
        let is_neutral = |name: &str, x: f64| NEUTRAL.iter().find(|(known, _)| *known == name).unwrap().1(x);
        assert!(is_neutral("top_n_sigma", -1.0) && !is_neutral("top_n_sigma", 1.0));
        assert!(is_neutral("t_max_predict_ms", 0.0) && !is_neutral("t_max_predict_ms", 5.0));
    }
}
