//! An adapter of an image model (a LoRA), in one file: as kohya's scripts write it, or as `peft` and `diffusers` do.
//!
//! Layouts differ in how they call the halves of a pair, and the layer that it is for: with dots as in the model, or with
//! underscores for dots behind `lora_unet_` or `lora_te_`. Here pairs are found, and the names of layers kept; what they mean
//! is for the model to say. A convolution's pair may have a third part between the two (LoCon). Products of other kinds (LoHa,
//! LoKr, OFT, GLoRA) and magnitudes beside directions (DoRA) are refused by name.
//!
//! Source: the names in the files of kohya-ss/sd-scripts, LyCORIS and diffusers, as facts.

use std::collections::BTreeMap;

use super::{place, unapplied};
use crate::error::{Error, Quoted};
use crate::metadata::{Value, read_json};
use crate::{FileBytes, TensorEntry, TensorFile};

/// How layouts call a half of a pair behind the name of its layer.
const ENDINGS: [(&str, Half); 16] = [
    (".lora_down.weight", Half::Down),
    (".lora_up.weight", Half::Up),
    (".lora_mid.weight", Half::Middle),
    (".lora_A.weight", Half::Down),
    (".lora_B.weight", Half::Up),
    (".lora_A.default.weight", Half::Down),
    (".lora_B.default.weight", Half::Up),
    (".lora_linear_layer.down.weight", Half::Down),
    (".lora_linear_layer.up.weight", Half::Up),
    (".lora.down.weight", Half::Down),
    (".lora.up.weight", Half::Up),
    // Of the first diffusers that had them: `attn1.processor.to_q_lora.down.weight`.
    ("_lora.down.weight", Half::Down),
    ("_lora.up.weight", Half::Up),
    (".lora_down", Half::Down),
    (".lora_up", Half::Up),
    (".alpha", Half::Alpha),
];
/// What else stands in such files, and what it is called.
const OTHERS: [(&str, &str); 9] = [
    ("hada_", "products of the kind of LoHa"),
    ("lokr_", "products of the kind of LoKr"),
    ("oft_", "rotations of the kind of OFT"),
    ("glora", "products of the kind of GLoRA"),
    ("dora_scale", "magnitudes of the kind of DoRA"),
    ("lora_magnitude_vector", "magnitudes of the kind of DoRA"),
    ("lora_B.bias", "biases"),
    ("emb_params", "embeddings"),
    (".diff", "whole differences of weights"),
];
/// The settings that diffusers writes beside the tensors.
const SETTINGS: &str = "lora_adapter_metadata";
const ALPHA: &str = ".lora_alpha";
/// Settings that do more than to multiply all pairs of a part by one factor.
const REFUSED: [&str; 4] = [".alpha_pattern.", ".use_dora", ".lora_bias", ".use_rslora"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Down,
    Middle,
    Up,
    Alpha,
}

/// A LoRA, read and checked as far as a file goes.
#[derive(Clone, Debug)]
pub struct ImageAdapter {
    /// What holds the numbers.
    pub tensors: TensorFile,
    /// What is added to each layer, by the name that the file has for it; never empty.
    pub pairs: BTreeMap<String, Pair>,
}

/// What is added to one layer: `alpha / r · up · down`, for a convolution with what stands between the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// `[r, K]`, or `[r, C, kernel rows, kernel columns]`.
    pub down: TensorEntry,
    /// `[r, r, kernel rows, kernel columns]`, where `down` looks at single pixels.
    pub middle: Option<TensorEntry>,
    /// `[N, r]`, or `[N, r, 1, 1]`.
    pub up: TensorEntry,
    /// By what the product is multiplied, `r` times: `r` itself where nothing is said.
    pub alpha: Alpha,
}

/// Where an alpha stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Alpha {
    /// Nowhere: it is the rank.
    Rank,
    /// In a tensor of one number.
    Tensor(TensorEntry),
    /// In the settings.
    Said(f64),
}

impl Pair {
    /// The size between the halves, at least 1.
    pub fn rank(&self) -> usize {
        self.down.shape.first().copied().unwrap_or(1)
    }

    /// Whether it is one for a convolution of more than single pixels.
    pub fn is_wide(&self) -> bool {
        let of = |entry: &TensorEntry| entry.shape.iter().skip(2).any(|size| *size > 1);
        of(&self.down) || self.middle.as_ref().is_some_and(of)
    }
}

/// Finds the pairs of a file.
///
/// # Errors
/// [`Error::Unapplied`] for what is more than pairs, [`Error::Shape`] for halves that do not fit each other.
pub fn read_image(tensors: TensorFile) -> Result<ImageAdapter, Error> {
    let mut halves: BTreeMap<String, Halves> = BTreeMap::new();
    for entry in tensors.tensors() {
        let Some((stem, half)) = half(&entry.name) else { return Err(more(&tensors, &entry.name)) };
        let found = halves.entry(layer(stem)).or_default();
        let place = match half {
            Half::Down => &mut found.down,
            Half::Middle => &mut found.middle,
            Half::Up => &mut found.up,
            Half::Alpha => &mut found.alpha,
        };
        if place.replace(entry.clone()).is_some() {
            return Err(Error::Duplicate { at: self::place(&tensors, entry) });
        }
    }
    let said = settings(&tensors)?;
    let pairs = halves.into_iter().map(|(name, halves)| {
        let said = said.iter().find(|(part, _)| name.starts_with(part.as_str())).map(|(_, alpha)| *alpha);
        let pair = halves.pair(&tensors, (&name, said))?;
        Ok((name, pair))
    });
    let pairs = pairs.collect::<Result<BTreeMap<_, _>, Error>>()?;
    if pairs.is_empty() {
        return Err(unapplied(&tensors, "a file without a pair of matrices".into()));
    }
    Ok(ImageAdapter { tensors, pairs })
}

/// The name of the layer, and which half the tensor is.
fn half(name: &str) -> Option<(&str, Half)> {
    let of_others = OTHERS.iter().any(|(part, _)| name.contains(part));
    let found = ENDINGS.iter().find_map(|(ending, half)| Some((name.strip_suffix(ending)?, *half)));
    found.filter(|(stem, _)| !of_others && !stem.is_empty())
}

/// A layer's name without what the first diffusers put into it.
fn layer(stem: &str) -> String {
    let stem = stem.strip_prefix("base_model.model.").unwrap_or(stem);
    if !stem.contains(".processor.") {
        return stem.to_owned();
    }
    let plain = stem.replace(".processor.", ".");
    if plain.ends_with(".to_out") { format!("{plain}.0") } else { plain }
}

fn more(tensors: &TensorFile, name: &str) -> Error {
    let known = OTHERS.iter().find(|(part, _)| name.contains(part));
    let what = known.map_or("a tensor that is no half of a pair", |(_, what)| *what);
    unapplied(tensors, format!("{what} ({})", Quoted(name)))
}

/// Alphas that stand in the settings, each with what the names of its layers begin with.
fn settings(tensors: &TensorFile) -> Result<Vec<(String, f64)>, Error> {
    let Ok(Some(text)) = tensors.metadata().find::<&str>(SETTINGS) else { return Ok(Vec::new()) };
    let settings = read_json(&FileBytes::from_vec(tensors.file().label(), text.as_bytes().to_vec()))?;
    let mut alphas = Vec::new();
    for (key, value) in settings.iter() {
        if REFUSED.iter().any(|part| key.contains(part)) && *value != Value::Bool(false) {
            return Err(unapplied(tensors, format!("the setting {}", Quoted(key))));
        }
        if let Some(part) = key.strip_suffix(ALPHA) {
            alphas.push((format!("{part}."), settings.read::<f64>(key)?));
        }
    }
    Ok(alphas)
}

#[derive(Default)]
struct Halves {
    down: Option<TensorEntry>,
    middle: Option<TensorEntry>,
    up: Option<TensorEntry>,
    alpha: Option<TensorEntry>,
}

impl Halves {
    fn pair(self, tensors: &TensorFile, (name, said): (&str, Option<f64>)) -> Result<Pair, Error> {
        let missing = |half: &str| unapplied(tensors, format!("{} without its way {half}", Quoted(name)));
        let down = self.down.ok_or_else(|| missing("down"))?;
        let up = self.up.ok_or_else(|| missing("up"))?;
        let alpha = match (self.alpha, said) {
            (Some(entry), _) => Alpha::Tensor(entry),
            (None, Some(alpha)) => Alpha::Said(alpha),
            (None, None) => Alpha::Rank,
        };
        let pair = Pair { down, middle: self.middle, up, alpha };
        pair.check(tensors)?;
        Ok(pair)
    }
}

impl Pair {
    /// Refuses halves that do not fit each other.
    fn check(&self, tensors: &TensorFile) -> Result<(), Error> {
        let wrong = |entry: &TensorEntry, problem| {
            let shape = entry.shape.iter().map(|&size| size as u64).collect();
            Error::Shape { at: place(tensors, entry), shape, dtype: entry.dtype, problem }
        };
        for entry in [Some(&self.down), self.middle.as_ref(), Some(&self.up)].into_iter().flatten() {
            if !matches!(entry.shape.len(), 2 | 4) || entry.shape.contains(&0) {
                return Err(wrong(entry, "half of a pair is a matrix or kernels, and not empty"));
            }
        }
        if let Alpha::Tensor(alpha) = &self.alpha
            && alpha.n_elements() != 1
        {
            return Err(wrong(alpha, "an alpha is one number"));
        }
        let rank = self.rank();
        let sizes = |entry: &TensorEntry| (entry.shape.first().copied(), entry.shape.get(1).copied());
        if sizes(&self.up).1 != Some(rank) || self.up.shape.iter().skip(2).any(|size| *size != 1) {
            return Err(wrong(&self.up, "it does not fit the other half of its pair"));
        }
        match &self.middle {
            Some(middle) if sizes(middle) != (Some(rank), Some(rank)) => {
                Err(wrong(middle, "it does not fit the halves of its pair"))
            }
            Some(_) if self.down.shape.iter().skip(2).any(|size| *size != 1) => {
                Err(wrong(&self.down, "before a part between the halves it looks at single pixels"))
            }
            _ => Ok(()),
        }
    }
}
