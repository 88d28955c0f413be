//! Which files of a repository make up which model: GGUF files by their quantisation, or one folder of weights.
//!
//! Does not: open anything; it goes by names. Source: the names that `transformers` and llama.cpp give their files.

use std::collections::{BTreeMap, BTreeSet};

use crate::{ModelName, Role};

/// What a file is by its name (with `/` between folders), or `None` for one that no model needs.
pub fn role_of(name: &str) -> Option<(Role, &'static str)> {
    let last = name.rsplit('/').next().unwrap_or(name);
    if let Some(stem) = last.strip_suffix(".gguf") {
        return match stem.to_ascii_lowercase() {
            stem if stem.contains("mmproj") => Some((Role::Projector, "gguf")),
            stem if stem.contains("imatrix") => None,
            _ => Some((Role::Model, "gguf")),
        };
    }
    if name == "1_Pooling/config.json" {
        return Some((Role::Config, "json"));
    }
    if name.contains('/') {
        return None;
    }
    let is_license = ["license", "licence", "copying"].iter().any(|word| {
        let lower = name.to_ascii_lowercase();
        lower == *word || lower.strip_prefix(word).is_some_and(|rest| [".txt", ".md"].contains(&rest))
    });
    Some(match name {
        _ if is_license => (Role::License, "text"),
        "README.md" => (Role::Card, "markdown"),
        "chat_template.jinja" => (Role::Template, "jinja"),
        "chat_template.json" => (Role::Template, "json"),
        "tokenizer.json"
        | "tokenizer_config.json"
        | "tekken.json"
        | "vocab.json"
        | "special_tokens_map.json"
        | "added_tokens.json" => (Role::Tokenizer, "json"),
        "tokenizer.model" => (Role::Tokenizer, "sentencepiece"),
        "vocab.txt" | "merges.txt" => (Role::Tokenizer, "text"),
        "tiktoken.model" => (Role::Tokenizer, "tiktoken"),
        _ if name.ends_with(".tiktoken") => (Role::Tokenizer, "tiktoken"),
        "config.json"
        | "generation_config.json"
        | "preprocessor_config.json"
        | "processor_config.json"
        | "modules.json"
        | "sentence_bert_config.json"
        | "config_sentence_transformers.json"
        | "adapter_config.json" => (Role::Config, "json"),
        "adapter_model.safetensors" => (Role::Adapter, "safetensors"),
        "adapter_model.bin" => (Role::Adapter, "pytorch"),
        "model.safetensors.index.json" | "pytorch_model.bin.index.json" => (Role::Index, "json"),
        _ if name.starts_with("model") && name.ends_with(".safetensors") => (Role::Model, "safetensors"),
        _ if name.starts_with("pytorch_model") && name.ends_with(".bin") => (Role::Model, "pytorch"),
        _ => return None,
    })
}

/// The weights of one model by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    /// The tag, for a GGUF file.
    pub tag: Option<String>,
    /// `gguf`, `safetensors`, `pytorch`.
    pub format: &'static str,
    /// The files, in order.
    pub names: Vec<String>,
}

/// The models whose weights are among these names: each GGUF file, and one folder of the better format.
pub(crate) fn weights<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Weights> {
    let mut ggufs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let (mut safetensors, mut pytorch) = (Vec::new(), Vec::new());
    for name in names {
        match role_of(name) {
            Some((Role::Model, "gguf")) => {
                let stem = name.strip_suffix(".gguf").unwrap_or(name);
                let stem = shard(name).map_or(stem, |(stem, _, _)| stem);
                ggufs.entry(stem).or_default().push(name.to_owned());
            }
            Some((Role::Model | Role::Adapter, "safetensors")) => safetensors.push(name.to_owned()),
            Some((Role::Model | Role::Adapter, "pytorch")) => pytorch.push(name.to_owned()),
            _ => {}
        }
    }
    let tags = tags(ggufs.keys().copied());
    let files = ggufs.into_values().zip(tags);
    let mut found: Vec<Weights> =
        files.map(|(names, tag)| Weights { tag: Some(tag), format: "gguf", names }).collect();
    let folder = if safetensors.is_empty() { ("pytorch", pytorch) } else { ("safetensors", safetensors) };
    if !folder.1.is_empty() {
        found.insert(0, Weights { tag: None, format: folder.0, names: folder.1 });
    }
    found
}

impl Weights {
    /// The names of parts that must be there too and are not, going by the names of those that are.
    pub fn missing_parts(&self) -> Vec<String> {
        let here: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
        let ending = |name: &'_ str| name.rfind('.').map_or(String::new(), |at| name[at..].to_owned());
        let part_of =
            |name: &String| shard(name).map(|(stem, _, n_parts)| (stem.to_owned(), n_parts, ending(name)));
        let wholes: BTreeSet<(String, usize, String)> = self.names.iter().filter_map(part_of).collect();
        let first_missing = |(stem, n_parts, ending): (String, usize, String)| {
            let mut parts = (1..=n_parts).map(|part| format!("{stem}-{part:05}-of-{n_parts:05}{ending}"));
            parts.find(|part| !here.contains(part.as_str()))
        };
        wholes.into_iter().filter_map(first_missing).collect()
    }
}

/// The most parts of one model; the largest so far have 200.
const MAX_PARTS: usize = 1000;

/// The stem, number and count of a part such as `model-00001-of-00003.safetensors`.
fn shard(name: &str) -> Option<(&str, usize, usize)> {
    let (stem, _) = name.rsplit_once('.')?;
    let (stem, count) = stem.rsplit_once("-of-")?;
    let (stem, number) = stem.rsplit_once('-')?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, count) = match digits(number) && digits(count) {
        true => (number.parse().ok()?, count.parse().ok()?),
        false => return None,
    };
    (1..=MAX_PARTS).contains(&count).then_some((stem, number, count))
}

/// A tag for each stem: the quantisation that it ends with, or the stem's last part where two would be equal.
fn tags<'a>(stems: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let short: Vec<String> = stems.clone().map(tag).collect();
    let tags = stems.zip(&short).map(|(stem, tag)| {
        let is_own = short.iter().filter(|other| other.eq_ignore_ascii_case(tag)).count() == 1;
        if is_own { tag.clone() } else { whole(stem) }
    });
    tags.collect()
}

fn whole(stem: &str) -> String {
    stem.rsplit('/').next().unwrap_or(stem).to_owned()
}

/// `Q4_K_M` of `dir/Llama-3.2-1B-Instruct-Q4_K_M`; the whole last part where it ends with no quantisation.
fn tag(stem: &str) -> String {
    let last = whole(stem);
    let end = last.rsplit(['-', '.']).next().unwrap_or(&last).to_ascii_uppercase();
    let is_quantisation = ["Q", "IQ", "TQ", "F", "BF", "FP", "MXFP"].iter().any(|kind| {
        end.strip_prefix(kind).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    if is_quantisation && ModelName::parse(&format!("a:{end}")).is_ok() { end } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_roles() {
        for (name, expected) in [
            ("config.json", Some((Role::Config, "json"))),
            ("model-00002-of-00003.safetensors", Some((Role::Model, "safetensors"))),
            ("model.safetensors.index.json", Some((Role::Index, "json"))),
            ("sub/model.safetensors", None),
            ("Q4/x-Q4_0.gguf", Some((Role::Model, "gguf"))),
            ("mmproj-F16.gguf", Some((Role::Projector, "gguf"))),
            ("LICENSE", Some((Role::License, "text"))),
            ("license.txt", Some((Role::License, "text"))),
            ("licenses.py", None),
            ("modeling_x.py", None),
            ("training_args.bin", None),
            ("tekken.json", Some((Role::Tokenizer, "json"))),
            ("qwen.tiktoken", Some((Role::Tokenizer, "tiktoken"))),
            ("sub/qwen.tiktoken", None),
        ] {
            assert_eq!(role_of(name), expected, "{name}");
        }
    }

    #[test]
    fn files_of_quantisations_are_models_of_their_own() {
        let names = [
            "README.md",
            "a-Q4_K_M.gguf",
            "big/a-Q8_0-00001-of-00002.gguf",
            "big/a-Q8_0-00002-of-00002.gguf",
            "a.f16.gguf",
            "a-special.gguf",
            "b-Q4_0.gguf",
            "c-q4_0.gguf",
        ];
        let found = weights(names.into_iter());
        let tags: Vec<_> = found.iter().map(|weights| weights.tag.as_deref().unwrap()).collect();
        assert_eq!(tags, ["Q4_K_M", "a-special", "F16", "b-Q4_0", "Q8_0", "c-q4_0"]);
        assert_eq!(found[4].names.len(), 2);
        assert!(found.iter().all(|weights| weights.missing_parts().is_empty()));
    }

    #[test]
    fn a_folder_of_weights_is_one_model_of_the_better_format() {
        let found =
            weights(["pytorch_model.bin", "model-00001-of-00003.safetensors", "config.json"].into_iter());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].format, found[0].tag.as_deref()), ("safetensors", None));
        assert_eq!(found[0].missing_parts(), ["model-00002-of-00003.safetensors"]);
        assert!(weights(["config.json"].into_iter()).is_empty());
        let hostile = weights(["model-00001-of-99999.safetensors", "model-0-of-é.safetensors"].into_iter());
        assert!(hostile[0].missing_parts().is_empty());
    }
}
