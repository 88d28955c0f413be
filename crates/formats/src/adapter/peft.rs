//! An adapter as Hugging Face's `peft` writes it: settings, and matrices in a file of their own.
//!
//! Settings that change what is computed are followed or refused by name; so is one that is not known here, where it is
//! set. Patterns of ranks and alphas are read as plain names of modules or ends of them.

use super::{Adapter, Naming, Suffixes, pairs, scale};
use crate::error::{Error, Place, Quoted};
use crate::metadata::{Metadata, Value, read_json};
use crate::{FileBytes, TensorFile};

/// What the file of settings is called.
pub const CONFIG: &str = "adapter_config.json";
/// What the file of matrices is called, the better format first.
pub const WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

/// What the names of all tensors begin with: the wrapper around the model, and the model.
const PREFIX: &str = "base_model.model.";
const SUFFIXES: Suffixes = Suffixes { down: ".lora_A.weight", up: ".lora_B.weight" };
const ALPHAS: &str = "alpha_pattern.";
const RANKS: &str = "rank_pattern.";

/// Settings that say how it was trained, where it belongs, or what is read by itself below.
const FOLLOWED: [&str; 22] = [
    "base_model_name_or_path",
    "bias",
    "ensure_weight_tying",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "parent_library",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "task_type",
    "unsloth_fixed",
    "use_rslora",
];
/// So too, of settings with others in them.
const FOLLOWED_GROUPS: [&str; 6] =
    [ALPHAS, RANKS, "auto_mapping.", "eva_config.", "loftq_config.", "runtime_config."];
/// Beginnings that leave the model as it is; others change the weights that the adapter is added to.
const PLAIN_BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Reads settings and the file of matrices that goes with them.
///
/// # Errors
/// Those of [`read_json`] and [`crate::read`], [`Error::Unapplied`] for what is more than products, and what is wrong with
/// its tensors.
pub fn read_peft(config: &FileBytes, weights: &FileBytes) -> Result<Adapter, Error> {
    let settings = Settings::read(config)?;
    let tensors: TensorFile = crate::read(weights)?;
    let target = |stem: &str| Some(format!("{}.weight", stem.strip_prefix(PREFIX)?));
    let factors = pairs(&tensors, &SUFFIXES, target, |target, rank| settings.scale(target, rank))?;
    let base = settings.base;
    Ok(Adapter { naming: Naming::HuggingFace, base, architecture: None, factors, tensors })
}

/// What of the settings is needed.
struct Settings {
    metadata: Metadata,
    base: String,
    rank: usize,
    alpha: f64,
    ranks: Vec<(Pattern, usize)>,
    alphas: Vec<(Pattern, f64)>,
    /// Whether products are divided by the root of the rank.
    by_root: bool,
}

impl Settings {
    fn read(config: &FileBytes) -> Result<Self, Error> {
        let metadata = read_json(config)?;
        check(&metadata)?;
        let (mut ranks, mut alphas) = (Vec::new(), Vec::new());
        for (key, _) in metadata.iter() {
            if let Some(pattern) = key.strip_prefix(RANKS) {
                ranks.push((Pattern::parse(pattern, &metadata)?, metadata.read(key)?));
            }
            if let Some(pattern) = key.strip_prefix(ALPHAS) {
                alphas.push((Pattern::parse(pattern, &metadata)?, metadata.read(key)?));
            }
        }
        Ok(Self {
            base: metadata.find::<&str>("base_model_name_or_path")?.unwrap_or_default().to_owned(),
            rank: metadata.read("r")?,
            alpha: metadata.read("lora_alpha")?,
            by_root: metadata.find("use_rslora")?.unwrap_or(false),
            ranks,
            alphas,
            metadata,
        })
    }

    /// By what the product for a matrix is multiplied.
    fn scale(&self, target: &str, rank: usize) -> Result<f32, Error> {
        let module = target.strip_suffix(".weight").unwrap_or(target);
        let said = first(&self.ranks, module).unwrap_or(self.rank);
        if said != rank {
            let at = Place { file: self.metadata.label(), field: "r".into(), offset: 0 };
            let found = format!("{said}, where the matrices for {} have {rank}", Quoted(module));
            return Err(Error::Invalid { at, found, expected: "the rank of the matrices" });
        }
        let alpha = first(&self.alphas, module).unwrap_or(self.alpha);
        let rank = rank as f64;
        let divisor = if self.by_root { rank.sqrt() } else { rank };
        scale(&self.metadata.label(), "lora_alpha", alpha, divisor)
    }
}

/// The value of the first pattern that fits.
fn first<T: Copy>(patterns: &[(Pattern, T)], module: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.fits(module)).map(|(_, value)| *value)
}

/// The name of a module, or the end of some.
struct Pattern {
    name: String,
    is_whole: bool,
}

impl Pattern {
    /// `peft` takes a regular expression; those that are more than a name are refused.
    fn parse(text: &str, metadata: &Metadata) -> Result<Self, Error> {
        let name = text.strip_prefix('^').unwrap_or(text).replace("\\.", ".");
        let is_plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(unapplied(metadata, format!("the pattern {}", Quoted(text))));
        }
        Ok(Self { name, is_whole: text.starts_with('^') })
    }

    fn fits(&self, module: &str) -> bool {
        let before = module.strip_suffix(&self.name);
        before.is_some_and(|before| before.is_empty() || (!self.is_whole && before.ends_with('.')))
    }
}

/// Refuses what is more than products of two matrices.
fn check(metadata: &Metadata) -> Result<(), Error> {
    let kind: &str = metadata.read("peft_type")?;
    if kind != "LORA" {
        return Err(unapplied(metadata, format!("an adapter of the kind {}", Quoted(kind))));
    }
    let bias = metadata.find::<&str>("bias")?.unwrap_or("none");
    if bias != "none" {
        return Err(unapplied(metadata, format!("bias {}", Quoted(bias))));
    }
    if let Some(Value::String(beginning)) = metadata.get("init_lora_weights")
        && !PLAIN_BEGINNINGS.contains(&beginning.as_str())
    {
        return Err(unapplied(metadata, format!("init_lora_weights {}", Quoted(beginning))));
    }
    let is_followed = |key: &str| {
        FOLLOWED.contains(&key)
            || FOLLOWED_GROUPS.iter().any(|group| key.starts_with(group) || is_group(key, group))
    };
    match metadata.iter().find(|(key, value)| !is_followed(key) && is_set(value)) {
        Some((key, _)) => Err(unapplied(metadata, format!("the setting {}", Quoted(key)))),
        None => Ok(()),
    }
}

/// Whether a key is that of a group itself.
fn is_group(key: &str, group: &str) -> bool {
    group.strip_suffix('.') == Some(key)
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => !text.is_empty(),
        Value::Array(array) => !array.is_empty(),
        _ => true,
    }
}

fn unapplied(metadata: &Metadata, what: String) -> Error {
    Error::Unapplied { file: metadata.label(), what }
}
