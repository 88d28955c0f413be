//! The parameters that go with a model, typed, as Ollama's `params` layer and the Modelfile's PARAMETER name them.
//!
//! Does not: know what is good for a model, nor fill in defaults. What it does not know is kept and named.
//!
//! Source: Ollama's documentation of the Modelfile, "Valid Parameters and Values", and of its API, `options`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// What a model is to be run with where nobody says otherwise. `None`: nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// How much chance there is in a choice; 0 takes the most likely token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Only the so many most likely tokens are chosen from; 0 for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// Only the most likely tokens are chosen from whose probabilities sum up to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Only tokens are chosen from that have this part of the most likely one's probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Only the most typical tokens are chosen from whose probabilities sum up to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_p: Option<f64>,
    /// The version of Mirostat that cuts in the place of all these; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat: Option<i64>,
    /// The surprise that it wants, in bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat_tau: Option<f64>,
    /// How much of the error its cut moves by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirostat_eta: Option<f64>,
    /// What the logit of a token is divided by that was there already; 1 for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f64>,
    /// How many tokens back count as there already; 0 for none, -1 for the whole context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_last_n: Option<i64>,
    /// What is taken from the logit of a token that was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// What is taken from the logit of a token for each time that it was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// The seed of the choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts at which an answer ends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Tokens of context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_ctx: Option<i64>,
    /// The most tokens of an answer; -1 for no end, -2 until the context is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_predict: Option<i64>,
    /// Tokens from the beginning that are kept when the context runs over; -1 for all of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_keep: Option<i64>,
    /// Everything else, as it stands: what concerns another program's machine (`num_gpu`), what is not known
    /// here, and known names with a value that they cannot have.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The most texts of `stop`, and the most bytes of one.
const MAX_STOPS: usize = 256;
const MAX_STOP_BYTES: usize = 4096;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A whole number from here to there.
    Whole(i64, i64),
    /// A number from here to there.
    Number(f64, f64),
    /// Texts; each line in a Modelfile adds one.
    Texts,
}

/// All typed parameters with what they may be.
static KNOWN: &[(&str, Kind)] = &[
    ("temperature", Kind::Number(0.0, 1e3)),
    ("top_k", Kind::Whole(0, i32::MAX as i64)),
    ("top_p", Kind::Number(0.0, 1.0)),
    ("min_p", Kind::Number(0.0, 1.0)),
    ("typical_p", Kind::Number(0.0, 1.0)),
    ("mirostat", Kind::Whole(0, 2)),
    ("mirostat_tau", Kind::Number(0.0, 100.0)),
    ("mirostat_eta", Kind::Number(0.0, 1.0)),
    ("repeat_penalty", Kind::Number(1e-3, 1e3)),
    ("repeat_last_n", Kind::Whole(-1, i32::MAX as i64)),
    ("presence_penalty", Kind::Number(-1e3, 1e3)),
    ("frequency_penalty", Kind::Number(-1e3, 1e3)),
    ("seed", Kind::Whole(i64::MIN, i64::MAX)),
    ("stop", Kind::Texts),
    ("num_ctx", Kind::Whole(1, i32::MAX as i64)),
    ("num_predict", Kind::Whole(-2, i32::MAX as i64)),
    ("num_keep", Kind::Whole(-1, i32::MAX as i64)),
];

/// Names of Ollama's that are about its process or have no meaning any more: neither misspelt nor used here.
static ELSEWHERE: &[&str] = &[
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_gqa",
    "numa",
    "use_mmap",
    "use_mlock",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "penalize_newline",
    "tfs_z",
    "draft_num_predict",
    "image_data",
];

impl Parameters {
    /// The parameters in a map by their names. What has a value that its name cannot have stays in `other`.
    pub fn read(map: &Map<String, Value>) -> Self {
        let mut known = Map::new();
        let mut other = Map::new();
        for (key, value) in map {
            match kind(key).and_then(|kind| kind.accept(value)) {
                Some(value) => known.insert(key.clone(), value),
                None => other.insert(key.clone(), value.clone()),
            };
        }
        // `other` is set after, since a refused value under a known name would not deserialise.
        let read = serde_json::from_value::<Self>(Value::Object(known));
        Self { other, ..read.expect("every value was accepted by the kind of its field") }
    }

    /// The same as a map, which [`Parameters::read`] reads back.
    pub fn to_map(&self) -> Map<String, Value> {
        match serde_json::to_value(self).expect("names, numbers and texts always have a JSON form") {
            Value::Object(mut map) => {
                // A number that JSON cannot write (infinite, not a number) is nothing that was said.
                map.retain(|key, value| !value.is_null() || self.other.contains_key(key));
                map
            }
            _ => Map::new(),
        }
    }

    /// Sets what a Modelfile's `PARAMETER key text` says; a further `stop` is added. A name that is not known is
    /// kept in `other`.
    ///
    /// # Errors
    /// What the value of this name must be.
    pub(crate) fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        let Some(kind) = kind(key) else {
            self.other.insert(key.to_owned(), value_of(text));
            return Ok(());
        };
        let value = match kind {
            Kind::Texts => {
                let stops = self.stop.iter().cloned().chain([text.to_owned()]);
                kind.accept(&Value::Array(stops.map(Value::String).collect()))
            }
            _ => {
                serde_json::from_str::<Number>(&plain(text)).ok().and_then(|n| kind.accept(&Value::Number(n)))
            }
        };
        let value = value.ok_or_else(|| kind.wanted())?;
        let mut map = self.to_map();
        let other = std::mem::take(&mut self.other);
        map.retain(|key, _| !other.contains_key(key));
        map.insert(key.to_owned(), value);
        *self = Self { other, ..Self::read(&map) };
        Ok(())
    }

    /// These parameters over a base's: what is said here counts, the rest stays.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        let mut map = base.to_map();
        map.extend(self.to_map());
        Self::read(&map)
    }

    /// The names in `other` that nobody knows, each with the known names that it may have been meant for.
    pub fn unknown(&self) -> Vec<(String, Vec<String>)> {
        let names = || KNOWN.iter().map(|(name, _)| *name).chain(ELSEWHERE.iter().copied());
        let strange = self.other.keys().filter(|key| names().all(|name| name != key.as_str()));
        strange.map(|key| (key.clone(), crate::nearest::nearest(key, names().map(str::to_owned)))).collect()
    }

    /// The parameters as a Modelfile says them, name and text, a line for each; then those that it cannot say.
    pub(crate) fn lines(&self) -> (Vec<(String, String)>, Map<String, Value>) {
        let (mut lines, mut unsayable) = (Vec::new(), Map::new());
        let typed = Self { other: Map::new(), ..self.clone() }.to_map();
        for (key, value) in typed {
            match value {
                Value::Array(texts) => lines.extend(texts.iter().map(|text| (key.clone(), text_of(text)))),
                value => lines.push((key, text_of(&value))),
            }
        }
        for (key, value) in &self.other {
            let is_word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let text = text_of(value);
            let is_sayable = is_word && kind(key).is_none() && !text.is_empty() && value_of(&text) == *value;
            match is_sayable {
                true => lines.push((key.clone(), text)),
                false => drop(unsayable.insert(key.clone(), value.clone())),
            }
        }
        (lines, unsayable)
    }
}

fn kind(key: &str) -> Option<Kind> {
    KNOWN.iter().find(|(name, _)| *name == key).map(|(_, kind)| *kind)
}

impl Kind {
    /// The value in the one form that the field has, or `None` if the field cannot have it.
    fn accept(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Whole(least, most), Value::Number(number)) => {
                let whole = number.as_i64().or_else(|| whole(number.as_f64()?))?;
                (least..=most).contains(&whole).then(|| whole.into())
            }
            (Self::Number(least, most), Value::Number(number)) => {
                let number = number.as_f64()?;
                (least..=most).contains(&number).then(|| number.into())
            }
            (Self::Texts, Value::String(text)) if text.len() <= MAX_STOP_BYTES => {
                Some(Value::Array(vec![value.clone()]))
            }
            (Self::Texts, Value::Array(values)) if values.len() <= MAX_STOPS => {
                let fits = |value: &Value| value.as_str().is_some_and(|text| text.len() <= MAX_STOP_BYTES);
                values.iter().all(fits).then(|| value.clone())
            }
            _ => None,
        }
    }

    fn wanted(self) -> String {
        match self {
            Self::Whole(i64::MIN, i64::MAX) => "a whole number".into(),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Texts => format!("at most {MAX_STOPS} texts of {MAX_STOP_BYTES} bytes"),
        }
    }
}

/// A number without a fraction, as JSON writers of other languages put whole numbers.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A number as JSON writes it: `.5`, `+1` and `1.` are said in Modelfiles too.
fn plain(text: &str) -> String {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_suffix('.').unwrap_or(digits);
    let zero = if digits.starts_with('.') { "0" } else { "" };
    format!("{sign}{zero}{digits}")
}

/// The value of a name that is not known: a number or switch where it reads as one and writes as itself again.
fn value_of(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) if text_of(&value) == text => value,
        _ => Value::String(text.to_owned()),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Parameters {
        Parameters::read(value.as_object().unwrap())
    }

    #[test]
    fn a_params_layer_is_read_and_the_rest_of_it_kept() {
        let stop = ["<|start_header_id|>", "<|eot_id|>"];
        let layer = json!({"num_keep": 24, "stop": stop, "temperature": 0.6, "num_gpu": 3, "tempp": [1]});
        let parameters = read(layer.clone());
        assert_eq!((parameters.num_keep, parameters.temperature), (Some(24), Some(0.6)));
        assert_eq!(parameters.stop, stop);
        assert_eq!(Value::Object(parameters.other.clone()), json!({"num_gpu": 3, "tempp": [1]}));
        assert_eq!(read(Value::Object(parameters.to_map())), parameters);
        let null = read(json!({"top_p": null}));
        assert_eq!(read(Value::Object(null.to_map())), null);
        let unknown = parameters.unknown();
        assert_eq!(unknown.len(), 1, "num_gpu is Ollama's: {unknown:?}");
        assert_eq!(unknown[0].0, "tempp");
    }

    #[test]
    fn a_value_that_a_name_cannot_have_is_kept_aside() {
        for (key, value) in [
            ("temperature", json!("warm")),
            ("temperature", json!(-1)),
            ("top_p", json!(1.5)),
            ("top_k", json!(2.5)),
            ("mirostat", json!(3)),
            ("num_ctx", json!(0)),
            ("num_ctx", json!(1e300)),
            ("seed", json!(null)),
            ("stop", json!([1])),
            ("stop", json!({"a": 1})),
        ] {
            let parameters = read(json!({key: value.clone()}));
            assert_eq!(parameters.other.get(key), Some(&value), "{key} {value}");
            assert_eq!(Parameters { other: Map::new(), ..parameters }, Parameters::default());
        }
        assert_eq!(read(json!({"top_k": 40.0})).top_k, Some(40));
        assert_eq!(read(json!({"stop": "a"})).stop, ["a"]);
    }

    #[test]
    fn lines_of_a_modelfile_set_and_add() {
        let mut parameters = Parameters::default();
        for (key, text) in [
            ("stop", "a b"),
            ("temperature", ".5"),
            ("stop", "c"),
            ("temperature", "0.25"),
            ("num_predict", "-1"),
            ("use_mmap", "true"),
            ("strange", "01"),
        ] {
            parameters.set(key, text).unwrap();
        }
        assert_eq!(parameters.stop, ["a b", "c"]);
        assert_eq!((parameters.temperature, parameters.num_predict), (Some(0.25), Some(-1)));
        assert_eq!(Value::Object(parameters.other.clone()), json!({"use_mmap": true, "strange": "01"}));
        assert!(parameters.lines().1.is_empty());
        let mut again = Parameters::default();
        parameters.lines().0.iter().for_each(|(key, text)| again.set(key, text).unwrap());
        assert_eq!(again, parameters);
    }

    #[test]
    fn a_wrong_line_says_what_is_wanted() {
        let mut parameters = Parameters::default();
        for (key, text, wanted) in [
            ("temperature", "warm", "a number from 0 to 1000"),
            ("temperature", "NaN", "a number from 0 to 1000"),
            ("top_p", "2", "a number from 0 to 1"),
            ("seed", "1.5", "a whole number"),
            ("num_ctx", "-5", "a whole number from 1 to 2147483647"),
        ] {
            assert_eq!(parameters.set(key, text).unwrap_err(), wanted, "{key} {text}");
        }
        assert_eq!(parameters, Parameters::default());
    }

    #[test]
    fn what_is_said_counts_over_the_base() {
        let base = read(json!({"temperature": 1, "top_k": 5, "stop": ["a"], "x": 1}));
        let over = read(json!({"temperature": 0.5, "stop": ["b", "c"], "y": 2})).over(&base);
        assert_eq!(over, read(json!({"temperature": 0.5, "top_k": 5, "stop": ["b", "c"], "x": 1, "y": 2})));
    }
}
