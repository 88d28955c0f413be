//! By which angles queries and keys are turned, and how these are stretched for a context longer than the one that a
//! model was first trained on.
//!
//! The angles of a model follow from the context that it is opened for, not from how long a sequence happens to be:
//! a key that is kept cannot be turned again.
//! Sources: J. Su et al., "RoFormer" (2021); S. Chen et al., "Extending Context Window of Large Language Models via
//! Positional Interpolation" (2023), for linear; B. Peng et al., "YaRN" (2023), which has the dynamic one in section
//! 3.3; Llama Team, "The Llama 3 Herd of Models" (2024), section 3.4.1, with the numbers of its reference code;
//! Y. Ding et al., "LongRoPE" (2024).

use std::f64::consts::PI;

use serde_json::Value;

use super::settings::Settings;
use crate::blocks::YarnRange;
use crate::family::Keys;
use crate::{Dialect, Error};

/// The base of the angles where a file does not say it.
pub(super) const BASE: f64 = 10_000.0;

/// How queries and keys are turned.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// θ in `θ^(−2i/d)`.
    pub base: f64,
    /// θ of the layers that see a window, where it is another; their angles are never stretched.
    pub local_base: Option<f64>,
    /// How many values of a head are turned.
    pub dims: usize,
    /// How angles are stretched.
    pub scaling: Scaling,
    /// A factor of what is turned, besides that of the scaling.
    pub amplitude: f64,
}

/// How angles are stretched.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All by one factor.
    Linear {
        /// By what frequencies are divided.
        factor: f64,
    },
    /// By a base that grows with the context beyond the original one.
    Dynamic {
        /// How steeply.
        factor: f64,
        /// Tokens of the original context.
        original: f64,
    },
    /// The slow ones, with a ramp between.
    Yarn {
        /// By what the slow frequencies are divided.
        factor: f64,
        /// Tokens of the original context.
        original: f64,
        /// Pairs that turn more often than this over the original context stay as they are.
        fast: f64,
        /// Pairs that turn less often than this are stretched.
        slow: f64,
        /// Whether the ramp is between whole pairs.
        range: YarnRange,
    },
    /// The slow ones, with a ramp between, by wavelength.
    Llama3 {
        /// By what the slow frequencies are divided.
        factor: f64,
        /// Wavelengths above the original context divided by this are stretched.
        low: f64,
        /// Wavelengths below the original context divided by this stay as they are.
        high: f64,
        /// Tokens of the original context.
        original: f64,
    },
    /// Each by a factor of its own, others beyond the original context than within.
    LongRope {
        /// By what each frequency is divided up to the original context; empty where tensors say it.
        short: Vec<f64>,
        /// By what beyond; empty where tensors say it.
        long: Vec<f64>,
        /// Tokens of the original context.
        original: f64,
    },
}

impl Rope {
    /// Angles as they were first proposed.
    pub(crate) fn plain(base: f64, dims: usize) -> Self {
        Self { base, local_base: None, dims, scaling: Scaling::None, amplitude: 1.0 }
    }

    /// The angle a token of each pair, in radians, of a model that is opened for `context` tokens.
    pub(crate) fn frequencies(&self, context: usize) -> Vec<f32> {
        let (context, dims) = (context as f64, self.dims as f64);
        let base = match &self.scaling {
            Scaling::Dynamic { factor, original } => {
                let stretched = factor * context.max(*original) / original - (factor - 1.0);
                self.base * stretched.powf(dims / (dims - 2.0))
            }
            _ => self.base,
        };
        let plain = (0..self.dims / 2).map(|pair| base.powf(-2.0 * pair as f64 / dims));
        plain.enumerate().map(|(pair, plain)| self.stretched(pair, plain, context) as f32).collect()
    }

    /// What divides the frequencies so: the stretching of Llama 3 where its numbers are found, else a factor for each.
    pub(crate) fn divided(&self, divisors: &[f64], context: usize) -> Scaling {
        let factor = divisors.iter().copied().fold(1.0, f64::max);
        let plain = self.plain_frequencies();
        let fits = |scaling: &Scaling| {
            let stretched = Self { scaling: scaling.clone(), ..self.clone() }.frequencies(context);
            let found = plain.iter().zip(&stretched).map(|(plain, slow)| f64::from(plain / slow));
            found.zip(divisors).all(|(found, wanted)| (found / wanted - 1.0).abs() < 1e-4)
        };
        let llama =
            |power: u32| Scaling::Llama3 { factor, low: 1.0, high: 4.0, original: f64::from(1 << power) };
        let known = (4..20).map(llama).find(|scaling| factor > 1.0 && fits(scaling));
        known.unwrap_or_else(|| Scaling::LongRope {
            short: divisors.to_vec(),
            long: divisors.to_vec(),
            original: context as f64,
        })
    }

    /// The same, stretched by nothing.
    pub(crate) fn plain_frequencies(&self) -> Vec<f32> {
        Self::plain(self.base, self.dims).frequencies(0)
    }

    /// The frequency of one pair.
    fn stretched(&self, pair: usize, plain: f64, context: f64) -> f64 {
        match &self.scaling {
            Scaling::None | Scaling::Dynamic { .. } => plain,
            Scaling::Linear { factor } => plain / factor,
            Scaling::Yarn { factor, .. } => {
                let ramp = self.yarn_ramp(pair);
                plain * (1.0 - ramp) + plain / factor * ramp
            }
            Scaling::Llama3 { factor, low, high, original } => {
                let turns = original * plain / (2.0 * PI);
                let unchanged = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                plain * unchanged + plain / factor * (1.0 - unchanged)
            }
            Scaling::LongRope { short, long, original } => {
                let factors = if context > *original { long } else { short };
                factors.get(pair).map_or(plain, |factor| plain / factor)
            }
        }
    }

    /// How far pair number `pair` is stretched: 0 not at all, 1 wholly.
    fn yarn_ramp(&self, pair: usize) -> f64 {
        let Scaling::Yarn { original, fast, slow, range, .. } = &self.scaling else { return 0.0 };
        let dims = self.dims as f64;
        // The pair, as a fraction, that turns so often over the original context.
        let pair_of = |turns: f64| dims * (original / (turns * 2.0 * PI)).ln() / (2.0 * self.base.ln());
        let (first, last) = match range {
            YarnRange::WholePairs => (pair_of(*fast).floor(), pair_of(*slow).ceil()),
            YarnRange::Exact => (pair_of(*fast), pair_of(*slow)),
        };
        let (first, mut last) = (first.max(0.0), last.min(dims - 1.0));
        if first == last {
            last += 0.001;
        }
        ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0)
    }

    /// The frequencies of the layers that see a window, where they are others.
    pub(crate) fn local_frequencies(&self) -> Vec<f32> {
        let plain = |base| Self::plain(base, self.dims).frequencies(0);
        self.local_base.map_or_else(Vec::new, plain)
    }
}

/// Reads how queries and keys of `head_size` values are turned, in a model for `context` tokens.
pub(super) fn read(
    settings: &Settings<'_>,
    dialect: &Dialect,
    head_size: usize,
    context: usize,
) -> Result<Rope, Error> {
    let (keys, yarn_range) = (dialect.keys, dialect.blocks.yarn_range);
    let described = Described::find(settings, keys)?;
    let base = match described.real("rope_theta")? {
        None => settings.positive(keys.rope_base)?.unwrap_or(BASE),
        Some(base) => base,
    };
    let dims = dims(settings, keys, &described, head_size)?;
    let local_base = match described.local {
        Some(local) => Described { global: Some(local), ..described }.real("rope_theta")?,
        None => settings.positive(keys.rope_local_base)?.or(dialect.blocks.local_base.map(f64::from)),
    };
    let (scaling, amplitude) = match settings {
        Settings::Gguf { .. } => gguf_scaling(settings, yarn_range)?,
        Settings::HuggingFace { .. } => described.scaling(context, dims, yarn_range)?,
    };
    Ok(Rope { base, local_base, dims, scaling, amplitude })
}

fn dims(
    settings: &Settings<'_>,
    keys: &Keys,
    described: &Described<'_>,
    head_size: usize,
) -> Result<usize, Error> {
    let part = match described.real("partial_rotary_factor")? {
        None => settings.positive(keys.rope_part)?,
        part => part,
    };
    let dims = match settings.count(keys.rope_dims)? {
        Some(dims) => dims,
        None => part.map_or(head_size as f64, |part| (head_size as f64 * part).floor()) as u64,
    };
    if dims == 0 || dims > head_size as u64 || !dims.is_multiple_of(2) {
        let key = if keys.rope_dims.is_empty() { keys.rope_part } else { keys.rope_dims };
        return Err(settings.wrong(key, format!("{dims} is not an even part of a head of {head_size}")));
    }
    Ok(dims as usize)
}

/// By what sine and cosine are multiplied where slow frequencies are divided by `factor`.
pub(crate) fn yarn_amplitude(factor: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * factor.ln() + 1.0 }
}

/// The same where each has its own factor, for a context so many times the original one.
fn long_amplitude(times: f64, original: f64) -> f64 {
    if times <= 1.0 { 1.0 } else { (1.0 + times.ln() / original.ln()).sqrt() }
}

fn gguf_scaling(settings: &Settings<'_>, range: YarnRange) -> Result<(Scaling, f64), Error> {
    let key = |name: &str| format!("rope.scaling.{name}");
    let real = |name: &str| settings.positive(&key(name));
    let factor = || real("factor")?.ok_or_else(|| settings.wrong(&key("factor"), "is missing"));
    let original = settings.count(&key("original_context_length"))?.map(|tokens| tokens as f64);
    let amplitude = real("attn_factor")?.unwrap_or(1.0);
    match settings.word(&key("type"))?.unwrap_or("none") {
        // Files with a factor for each frequency say it in tensors.
        "none" | "longrope" => match original.filter(|original| *original > 0.0) {
            Some(original) => {
                Ok((Scaling::LongRope { short: Vec::new(), long: Vec::new(), original }, amplitude))
            }
            None => Ok((Scaling::None, amplitude)),
        },
        "linear" => Ok((Scaling::Linear { factor: factor()? }, amplitude)),
        "yarn" => {
            let original = original.filter(|original| *original > 0.0);
            let original =
                original.ok_or_else(|| settings.wrong(&key("original_context_length"), "is missing"))?;
            let factor = factor()?;
            let fast = real("yarn_beta_fast")?.unwrap_or(32.0);
            let slow = real("yarn_beta_slow")?.unwrap_or(1.0);
            let amplitude = amplitude * yarn_amplitude(factor);
            Ok((Scaling::Yarn { factor, original, fast, slow, range }, amplitude))
        }
        other => Err(settings.wrong(&key("type"), format!("scaling \"{other}\" is not known"))),
    }
}

/// What a `config.json` says about turning: of today in `rope_parameters`, where families with two kinds of layers
/// have it twice; older files in `rope_scaling`, with the base at the top.
#[derive(Clone, Copy)]
struct Described<'a> {
    settings: Settings<'a>,
    key: &'static str,
    global: Option<&'a Value>,
    local: Option<&'a Value>,
}

impl<'a> Described<'a> {
    fn find(settings: &Settings<'a>, keys: &Keys) -> Result<Self, Error> {
        let settings = *settings;
        let Some(today) = settings.json("rope_parameters") else {
            let global = settings.json("rope_scaling");
            return Ok(Self { settings, key: "rope_scaling", global, local: None });
        };
        let key = "rope_parameters";
        let whole = Self { settings, key, global: Some(today), local: None };
        match today.get("full_attention") {
            Some(global) if !keys.rope_local_base.is_empty() => {
                Ok(Self { global: Some(global), local: today.get("sliding_attention"), ..whole })
            }
            Some(_) => Err(settings.wrong(key, format!("{today} is not known"))),
            None if whole.real("rope_theta")?.is_none() => Err(settings.wrong(key, "has no rope_theta")),
            None => Ok(whole),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.global?.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, reason: String) -> Error {
        self.settings.wrong(self.key, reason)
    }

    /// A number above 0.
    fn real(&self, name: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(real) if real.is_finite() && real > 0.0 => Ok(Some(real)),
            _ => Err(self.wrong(format!("{name} {value} is not a positive number"))),
        }
    }

    fn needed(&self, name: &str) -> Result<f64, Error> {
        self.real(name)?.ok_or_else(|| self.wrong(format!("has no {name}")))
    }

    /// A factor for each pair.
    fn factors(&self, name: &str, n_pairs: usize) -> Result<Vec<f64>, Error> {
        let list = self.get(name).and_then(Value::as_array);
        let list: Option<Vec<f64>> = list.and_then(|list| list.iter().map(Value::as_f64).collect());
        match list {
            Some(list) if list.len() == n_pairs && list.iter().all(|factor| *factor > 0.0) => Ok(list),
            _ => Err(self.wrong(format!("{name} is no list of {n_pairs} positive numbers"))),
        }
    }

    /// Tokens of the original context: said here, or at the top of the file.
    fn original(&self) -> Result<Option<f64>, Error> {
        let name = "original_max_position_embeddings";
        match self.real(name)? {
            None => self.settings.positive(name),
            original => Ok(original),
        }
    }

    fn scaling(&self, context: usize, dims: usize, range: YarnRange) -> Result<(Scaling, f64), Error> {
        let context = context as f64;
        let kind = self.get("rope_type").or(self.get("type")).map(Value::as_str);
        let original = self.original()?;
        let needed_original =
            || original.ok_or_else(|| self.wrong("has no original_max_position_embeddings".into()));
        let given = self.real("attention_factor")?;
        Ok(match kind {
            None if self.global.is_none() || self.key == "rope_parameters" => (Scaling::None, 1.0),
            Some(Some("default")) => (Scaling::None, 1.0),
            Some(Some("linear")) => (Scaling::Linear { factor: self.needed("factor")? }, 1.0),
            Some(Some("dynamic")) if dims > 2 => {
                (Scaling::Dynamic { factor: self.needed("factor")?, original: context }, 1.0)
            }
            Some(Some("yarn")) => {
                let original = needed_original()?;
                let factor = self.real("factor")?.unwrap_or(context / original);
                let fast = self.real("beta_fast")?.unwrap_or(32.0);
                let slow = self.real("beta_slow")?.unwrap_or(1.0);
                let range = match self.get("truncate").and_then(Value::as_bool) {
                    Some(true) => YarnRange::WholePairs,
                    Some(false) => YarnRange::Exact,
                    None => range,
                };
                let mscale = (self.real("mscale")?, self.real("mscale_all_dim")?);
                let inferred = match mscale {
                    (Some(part), Some(all)) => {
                        let amplitude = |weight: f64| 1.0 + weight * (yarn_amplitude(factor) - 1.0);
                        amplitude(part) / amplitude(all)
                    }
                    _ => yarn_amplitude(factor),
                };
                (Scaling::Yarn { factor, original, fast, slow, range }, given.unwrap_or(inferred))
            }
            Some(Some("llama3")) => {
                let (low, high) = (self.needed("low_freq_factor")?, self.needed("high_freq_factor")?);
                if low >= high {
                    return Err(self.wrong(format!("{low} is not below {high}")));
                }
                let (factor, original) = (self.needed("factor")?, needed_original()?);
                (Scaling::Llama3 { factor, low, high, original }, 1.0)
            }
            // "su" is what LongRoPE was called in the first files.
            Some(Some("longrope" | "su")) => {
                let original = needed_original()?;
                let times = self.real("factor")?.unwrap_or(context / original);
                let [short, long] = ["short_factor", "long_factor"].map(|name| self.factors(name, dims / 2));
                let amplitude = given.unwrap_or_else(|| long_amplitude(times, original));
                (Scaling::LongRope { short: short?, long: long?, original }, amplitude)
            }
            _ => return Err(self.wrong(format!("{} is not known", self.global.unwrap_or(&Value::Null)))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: Scaling) -> Rope {
        Rope { scaling, ..Rope::plain(10_000.0, 8) }
    }

    #[test]
    fn stretched_angles_are_slower_and_the_first_pair_of_yarn_and_llama_stays() {
        let plain = rope(Scaling::None).frequencies(100);
        let (factor, original) = (4.0, 64.0);
        let all = |scaling| rope(scaling).frequencies(256);
        let linear = all(Scaling::Linear { factor });
        assert!(linear.iter().zip(&plain).all(|(a, b)| a * 4.0 == *b));
        let (fast, slow, range) = (8.0, 1.0, YarnRange::WholePairs);
        for scaling in [
            Scaling::Yarn { factor, original, fast, slow, range },
            Scaling::Llama3 { factor, low: 1.0, high: 4.0, original },
        ] {
            let found = all(scaling);
            assert_eq!(found[0], plain[0]);
            assert!((found[3] * 4.0 - plain[3]).abs() < 1e-9);
        }
    }

    #[test]
    fn the_context_that_a_model_is_opened_for_decides() {
        let dynamic = rope(Scaling::Dynamic { factor: 2.0, original: 64.0 });
        assert_eq!(dynamic.frequencies(64), rope(Scaling::None).frequencies(64));
        assert!(dynamic.frequencies(128)[3] < dynamic.frequencies(64)[3]);
        let long = rope(Scaling::LongRope { short: vec![1.0; 4], long: vec![2.0; 4], original: 64.0 });
        assert_eq!(long.frequencies(64)[1], 0.1);
        assert_eq!(long.frequencies(65)[1], 0.05);
    }
}
