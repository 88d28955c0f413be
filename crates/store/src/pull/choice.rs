//! Which files of a repository make the model: one GGUF file (or its parts) of a quantisation, or a folder of
//! weights with what belongs to them.
//!
//! Does not: open a file or ask a server; it sees names only. Source: the names that llama.cpp's tools write
//! (`-00001-of-00003.gguf`, `Q4_K_M`) and that `transformers` reads.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use crate::Role;
use crate::error::shown;

/// Quantisations, the one to take first where nobody asks: small enough for a household's machine, then better
/// ones, then worse ones, then the unquantised.
const ORDER: &[&str] = &[
    "Q4_K_M",
    "Q4_K_S",
    "Q4_K_L",
    "Q4_K_XL",
    "Q4_0",
    "IQ4_NL",
    "IQ4_XS",
    "MXFP4",
    "MXFP4_MOE",
    "Q4_1",
    "Q5_K_M",
    "Q5_K_S",
    "Q5_K_L",
    "Q5_K_XL",
    "Q5_0",
    "Q5_1",
    "Q6_K",
    "Q6_K_L",
    "Q6_K_XL",
    "Q8_0",
    "Q8_K_XL",
    "Q3_K_L",
    "Q3_K_M",
    "Q3_K_XL",
    "Q3_K_S",
    "IQ3_M",
    "IQ3_S",
    "IQ3_XS",
    "IQ3_XXS",
    "Q2_K_L",
    "Q2_K_XL",
    "Q2_K",
    "Q2_K_S",
    "IQ2_M",
    "IQ2_S",
    "IQ2_XS",
    "IQ2_XXS",
    "IQ1_M",
    "IQ1_S",
    "TQ2_0",
    "TQ1_0",
    "BF16",
    "F16",
    "FP16",
    "F32",
    "FP32",
];

/// The most suggestions that an error lists.
const MAX_SHOWN: usize = 24;

/// Files beside the weights that models of `transformers` and `sentence-transformers` consist of.
const BESIDE: &[(&str, Role)] = &[
    ("config.json", Role::Config),
    ("generation_config.json", Role::Config),
    ("tokenizer.json", Role::Tokenizer),
    ("tokenizer_config.json", Role::Tokenizer),
    ("tokenizer.model", Role::Tokenizer),
    ("tekken.json", Role::Tokenizer),
    ("tiktoken.model", Role::Tokenizer),
    ("special_tokens_map.json", Role::Tokenizer),
    ("added_tokens.json", Role::Tokenizer),
    ("vocab.json", Role::Tokenizer),
    ("vocab.txt", Role::Tokenizer),
    ("merges.txt", Role::Tokenizer),
    ("chat_template.jinja", Role::Template),
    ("chat_template.json", Role::Template),
    ("preprocessor_config.json", Role::Config),
    ("processor_config.json", Role::Config),
    ("modules.json", Role::Config),
    ("sentence_bert_config.json", Role::Config),
    ("config_sentence_transformers.json", Role::Config),
    ("1_Pooling/config.json", Role::Config),
    ("adapter_config.json", Role::Config),
];

/// Names of files with the terms of use.
const LICENSES: &[&str] = &["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENCE.md"];

/// Weights that name no shards, the better format first; and lists of shards.
const WHOLE: &[&str] =
    &["model.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "adapter_model.bin"];
const LISTS: &[&str] = &["model.safetensors.index.json", "pytorch_model.bin.index.json"];

/// A file that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub name: String,
    pub role: Role,
    pub format: &'static str,
}

/// What a repository's weights are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// These files, complete.
    Files(Vec<Chosen>),
    /// These files and those that the list of shards names.
    Sharded { list: Chosen, beside: Vec<Chosen> },
}

/// Chooses among the names of a repository.
pub(super) fn choose(names: &BTreeSet<String>, wanted: Option<&str>) -> Result<Choice, Problem> {
    let has_gguf = names.iter().any(|name| is_gguf(name) && !is_projector(name));
    if has_gguf {
        return choose_gguf(names, wanted).map(Choice::Files);
    }
    if let Some(wanted) = wanted {
        return Err(Problem::NoSuchQuantisation { wanted: shown(wanted), available: Vec::new() });
    }
    choose_folder(names)
}

/// A name from a server: parts between single slashes, none of which leads elsewhere.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    const MAX_BYTES: usize = 255;
    let is_plain = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.bytes().any(|byte| b"\\:\0".contains(&byte))
    };
    let is_sound =
        name.len() <= MAX_BYTES && name.split('/').all(is_plain) && !name.chars().any(char::is_control);
    if is_sound { Ok(()) } else { Err(Problem::UnsafeName { given: shown(name) }) }
}

/// The shards of a list, in the order of their names, each checked to be among the repository's names.
pub(super) fn shards<'a>(
    listed: impl Iterator<Item = &'a str>,
    names: &BTreeSet<String>,
    list: &Chosen,
) -> Result<Vec<Chosen>, Problem> {
    let listed: BTreeSet<&str> = listed.collect();
    let mut chosen = Vec::with_capacity(listed.len());
    for name in &listed {
        check_name(name)?;
        if !names.contains(*name) {
            let n_parts = u32::try_from(listed.len()).unwrap_or(u32::MAX);
            return Err(Problem::MissingParts { file: shown(name), n_parts });
        }
        chosen.push(Chosen { name: (*name).to_owned(), role: list.role, format: list.format });
    }
    if chosen.is_empty() { Err(Problem::NoWeights) } else { Ok(chosen) }
}

fn choose_gguf(names: &BTreeSet<String>, wanted: Option<&str>) -> Result<Vec<Chosen>, Problem> {
    let sets = gguf_sets(names);
    let stem = match wanted {
        Some(wanted) => best_match(&sets, wanted).ok_or_else(|| {
            let available = labels(&sets);
            Problem::NoSuchQuantisation { wanted: shown(wanted), available }
        })?,
        None => first_in_order(&sets).ok_or(Problem::NoWeights)?,
    };
    let set = &sets[stem];
    if !set.is_complete() {
        return Err(Problem::MissingParts { file: shown(stem), n_parts: set.n_parts });
    }
    let file = |name: &String, role| Chosen { name: name.clone(), role, format: "gguf" };
    let mut chosen: Vec<Chosen> = set.names.values().map(|name| file(name, Role::Model)).collect();
    chosen.extend(projector(names).map(|name| file(name, Role::Projector)));
    chosen.extend(license(names));
    Ok(chosen)
}

/// The known quantisations that are there whole, in the order in which they are taken, each with its files.
pub(super) fn quantisations(names: &BTreeSet<String>) -> Vec<(String, Vec<String>)> {
    let sets = gguf_sets(names);
    let files = |label: &&str| {
        let stem = best_match(&sets, label).filter(|stem| label_of(stem) == Some(*label))?;
        let set = &sets[stem];
        set.is_complete().then(|| ((*label).to_owned(), set.names.values().cloned().collect()))
    };
    ORDER.iter().filter_map(files).collect()
}

/// A GGUF file, or the parts of one.
struct Set {
    /// How many parts their names promise.
    n_parts: u32,
    /// By their number, from 1.
    names: BTreeMap<u32, String>,
}

impl Set {
    fn is_complete(&self) -> bool {
        self.names.len() as u64 == u64::from(self.n_parts) && self.names.keys().copied().eq(1..=self.n_parts)
    }
}

/// By the stem that all parts share: the path without `-00001-of-00003` and `.gguf`.
fn gguf_sets(names: &BTreeSet<String>) -> BTreeMap<&str, Set> {
    let mut sets = BTreeMap::new();
    for name in names.iter().filter(|name| is_gguf(name) && !is_projector(name)) {
        let stem = &name[..name.len() - ".gguf".len()];
        let (stem, number, n_parts) = part_of(stem).unwrap_or((stem, 1, 1));
        let set = sets.entry(stem).or_insert_with(|| Set { n_parts, names: BTreeMap::new() });
        set.n_parts = set.n_parts.max(n_parts);
        set.names.insert(number, name.clone());
    }
    sets
}

/// Reads `stem-00001-of-00003`.
fn part_of(stem: &str) -> Option<(&str, u32, u32)> {
    const SUFFIX_BYTES: usize = "-00001-of-00003".len();
    let (stem, suffix) = stem.split_at_checked(stem.len().checked_sub(SUFFIX_BYTES)?)?;
    let (number, n_parts) = suffix.strip_prefix('-')?.split_once("-of-")?;
    let parse = |text: &str| {
        (text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())?
    };
    let (number, n_parts) = (parse(number)?, parse(n_parts)?);
    (!stem.is_empty() && (1..=n_parts).contains(&number)).then_some((stem, number, n_parts))
}

/// The set whose name ends in what was asked for: the plainest where several do.
fn best_match<'a>(sets: &BTreeMap<&'a str, Set>, wanted: &str) -> Option<&'a str> {
    let wanted = wanted.to_ascii_lowercase();
    let is_match = |stem: &&&str| {
        let lower = stem.to_ascii_lowercase();
        let before = lower.strip_suffix(&wanted);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_', '/']))
    };
    // `UD-Q4_K_M` also ends in `Q4_K_M`, and `IQ2_M` is no `Q2_M`: the shortest name is the plainest.
    sets.keys().filter(is_match).min_by_key(|stem| (is_special(stem), stem.len())).copied()
}

/// Whether a maker's own mix stands in place of the usual one of that name.
fn is_special(stem: &str) -> bool {
    let lower = stem.to_ascii_lowercase();
    lower.contains("ud-") || lower.contains("-i1-") || lower.contains("imat")
}

fn first_in_order<'a>(sets: &BTreeMap<&'a str, Set>) -> Option<&'a str> {
    ORDER.iter().find_map(|label| best_match(sets, label)).or_else(|| sets.keys().next().copied())
}

/// What the sets are called: the quantisations in their order, else the names.
fn labels(sets: &BTreeMap<&str, Set>) -> Vec<String> {
    let mut labels: Vec<String> = ORDER
        .iter()
        .filter(|label| best_match(sets, label).is_some_and(|stem| label_of(stem) == Some(*label)))
        .map(|label| (*label).to_owned())
        .collect();
    let unknown = sets.keys().filter(|stem| label_of(stem).is_none());
    labels.extend(unknown.map(|stem| shown(stem.rsplit('/').next().unwrap_or(stem))));
    labels.truncate(MAX_SHOWN);
    labels
}

/// The longest known label that a name ends in.
fn label_of(stem: &str) -> Option<&'static str> {
    let lower = stem.to_ascii_lowercase();
    let ends = |label: &&&str| {
        let before = lower.strip_suffix(&label.to_ascii_lowercase());
        before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '.', '_', '/']))
    };
    ORDER.iter().filter(ends).max_by_key(|label| label.len()).copied()
}

fn is_gguf(name: &str) -> bool {
    name.len() > ".gguf".len() && name.to_ascii_lowercase().ends_with(".gguf") && !name.contains("imatrix")
}

/// What turns images into the model's width lies in a file of its own, called `mmproj…`.
fn is_projector(name: &str) -> bool {
    name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase().contains("mmproj")
}

/// The projector in sixteen bits where there is one, else the first.
fn projector(names: &BTreeSet<String>) -> Option<&String> {
    let all = || names.iter().filter(|name| is_gguf(name) && is_projector(name));
    let is_f16 = |name: &&String| {
        let lower = name.to_ascii_lowercase();
        lower.contains("f16") && !lower.contains("bf16")
    };
    all().find(is_f16).or_else(|| all().next())
}

fn license(names: &BTreeSet<String>) -> Option<Chosen> {
    let name = LICENSES.iter().find(|name| names.contains(**name))?;
    Some(Chosen { name: (*name).to_owned(), role: Role::License, format: "text" })
}

fn choose_folder(names: &BTreeSet<String>) -> Result<Choice, Problem> {
    let beside = BESIDE.iter().filter(|(name, _)| names.contains(*name)).map(|(name, role)| Chosen {
        name: (*name).to_owned(),
        role: *role,
        format: text_format(name),
    });
    let ranks = names.iter().filter(|name| name.ends_with(".tiktoken") && !name.contains('/'));
    let ranks =
        ranks.map(|name| Chosen { name: name.clone(), role: Role::Tokenizer, format: text_format(name) });
    let beside: Vec<Chosen> = beside.chain(ranks).chain(license(names)).collect();
    let find = |candidates: &[&'static str]| candidates.iter().find(|name| names.contains(**name)).copied();
    let of = |name: &str| {
        let format = if name.contains("safetensors") { "safetensors" } else { "pytorch" };
        let role = if name.starts_with("adapter") { Role::Adapter } else { Role::Model };
        Chosen { name: name.to_owned(), role, format }
    };
    let (whole, list) = (find(WHOLE), find(LISTS));
    let is_better = |whole: &str, list: &str| whole.contains("safetensors") || list.contains("pytorch");
    match (whole, list) {
        (Some(whole), list) if list.is_none_or(|list| is_better(whole, list)) => {
            let mut files = vec![of(whole)];
            files.extend(beside);
            Ok(Choice::Files(files))
        }
        (_, Some(list)) => Ok(Choice::Sharded { list: of(list), beside }),
        _ => Err(Problem::NoWeights),
    }
}

fn text_format(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "json")) => "json",
        Some((_, "jinja")) => "jinja",
        Some(("tiktoken", "model")) | Some((_, "tiktoken")) => "tiktoken",
        Some((_, "model")) => "sentencepiece",
        _ => "text",
    }
}

#[cfg(test)]
mod tests;
