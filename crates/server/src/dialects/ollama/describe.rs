//! Models as Ollama's lists describe them.
//!
//! Source: docs/api.md, "List Local Models"; for the numbers of file types the enumeration `llama_ftype` of llama.cpp.

use app::Event;
use app::event::{Details, Model};
use app::job::Job;
use serde_json::{Value as Json, json};

use super::names::shown;
use super::time::written;
use crate::call::Call;

/// Models that are looked into at once.
const TOGETHER: usize = 8;

/// What a file's weights are mostly stored in, by the number that it gives.
const FILE_TYPES: [(u64, &str); 32] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (38, "MXFP4"),
];

/// Everything about these models, as far as their files can be read.
pub async fn details(call: &Call, names: &[String]) -> Vec<Option<Details>> {
    let mut all = Vec::new();
    for names in names.chunks(TOGETHER) {
        let mut told = vec![None; names.len()];
        let mut jobs = call.run_all(names.iter().map(|model| Job::Show { model: model.clone() }));
        while let Some((index, event)) = jobs.next().await {
            if let Event::Details(details) = event {
                told[index] = Some(*details);
            }
        }
        all.append(&mut told);
    }
    all
}

/// A model of a list.
pub fn listed(model: &Model, details: Option<&Details>) -> Json {
    let name = shown(&model.name);
    json!({
        "name": name,
        "model": name,
        "modified_at": written(model.created_ms.saturating_mul(1_000_000)),
        "size": model.size_bytes,
        "digest": model.digest.trim_start_matches("sha256:"),
        "details": kind(model, details),
    })
}

/// What kind of model it is.
pub fn kind(model: &Model, details: Option<&Details>) -> Json {
    let is_gguf = details.is_none_or(|details| details.facts.contains_key("general.architecture"));
    let family = &model.architecture;
    json!({
        "parent_model": "",
        "format": if is_gguf { "gguf" } else { "safetensors" },
        "family": family,
        "families": [family],
        "parameter_size": details.map(|details| size(details.n_parameters)).unwrap_or_default(),
        "quantization_level": details.map(storage).unwrap_or_default(),
    })
}

/// What the weights are stored in: as the file says, else what most of its bytes are.
fn storage(details: &Details) -> String {
    let number = details.facts.get("general.file_type").and_then(Json::as_u64);
    if let Some((_, name)) = FILE_TYPES.iter().find(|(known, _)| Some(*known) == number) {
        return (*name).to_owned();
    }
    let mut bytes = std::collections::BTreeMap::<&str, u64>::new();
    for (_, _, storage, size) in &details.tensors {
        let sum = bytes.entry(storage).or_default();
        *sum = sum.saturating_add(*size);
    }
    bytes
        .into_iter()
        .max_by_key(|(_, size)| *size)
        .map(|(name, _)| name.to_ascii_uppercase())
        .unwrap_or_default()
}

/// A count as people say it: `3.2B`, `1.06M`.
fn size(n: u64) -> String {
    let (unit, digits, letter) = match n {
        1_000_000_000.. => (1e9, 1, "B"),
        1_000_000.. => (1e6, 2, "M"),
        1000.. => (1e3, 0, "K"),
        _ => return n.to_string(),
    };
    let number = n as f64 / unit;
    let digits = if number.fract() == 0.0 { 0 } else { digits };
    format!("{number:.digits$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_said_as_people_say_them() {
        for (n, expected) in [
            (3_200_000_000, "3.2B"),
            (7_000_000_000, "7B"),
            (1_060_000, "1.06M"),
            (2_000_000, "2M"),
            (12_345, "12K"),
            (999, "999"),
        ] {
            assert_eq!(size(n), expected);
        }
    }

    #[test]
    fn the_storage_is_what_the_file_says_or_what_most_bytes_are() {
        let details = |file_type: Option<u64>| {
            let model = json!({ "name": "m", "digest": "", "size_bytes": 0, "created_ms": 0, "architecture": "llama" });
            let facts = file_type.map_or_else(|| json!({}), |n| json!({ "general.file_type": n }));
            let tensors = json!([["a", [2, 2], "f32", 16], ["b", [9, 9], "q8_0", 90]]);
            serde_json::from_value::<Details>(
                json!({ "model": model, "n_parameters": 9, "sizes": [], "metadata": [],
                "tensors": tensors, "chat_template": "", "facts": facts }),
            )
            .unwrap()
        };
        assert_eq!(storage(&details(Some(15))), "Q4_K_M");
        assert_eq!(storage(&details(Some(999))), "Q8_0");
        assert_eq!(storage(&details(None)), "Q8_0");
    }
}
