//! One dial for everything: from a size and a few facts about the data follow width, depth, batch, rate and length,
//! each with the reason for it; whatever a person sets is taken as it is and what depends on it follows.
//!
//! Sources: J. Hoffmann et al., "Training Compute-Optimal Large Language Models" (2022), for twenty tokens a
//! parameter; N. Muennighoff et al., "Scaling Data-Constrained Language Models" (2023), for four passes over the
//! data; N. Shazeer, "GLU Variants Improve Transformer" (2020), for the width of a gated feed-forward block.

use std::str::FromStr;

use models::blocks::Biases;
use models::families::{GPT2, LLAMA};
use models::{Config, Family};
use ops::Precision;
use serde::{Deserialize, Serialize};

use crate::{Error, Schedule, Settings};

/// How large a model is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// For trying out: seconds to minutes.
    Nano,
    /// Short simple texts: minutes to two hours.
    #[default]
    Tiny,
    /// Several hours.
    Small,
    /// Days.
    Medium,
}

impl Size {
    /// Every size, the smallest first.
    pub const ALL: [Self; 4] = [Self::Nano, Self::Tiny, Self::Small, Self::Medium];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nano => "nano",
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Medium => "medium",
        }
    }

    /// Width, layers, entries of the vocabulary, tokens of a sequence, sequences of a step.
    fn table(self) -> [usize; 5] {
        match self {
            Self::Nano => [64, 2, 512, 64, 16],
            Self::Tiny => [256, 6, 4096, 256, 16],
            Self::Small => [512, 8, 8192, 512, 8],
            Self::Medium => [768, 12, 16384, 512, 16],
        }
    }
}

impl FromStr for Size {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|size| size.name() == name).ok_or_else(|| Error::Setting {
            name: "size",
            value: name.into(),
            reason: "it is nano, tiny, small or medium",
        })
    }
}

/// What a model is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Llama: turned queries and keys, gated feed-forward blocks, no biases.
    #[default]
    Llama,
    /// GPT-2: learned positions, GELU, layer normalisation.
    Gpt2,
}

impl Kind {
    /// How its models are written in files.
    pub fn family(self) -> &'static Family {
        match self {
            Self::Llama => &LLAMA,
            Self::Gpt2 => &GPT2,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.family().name)
    }
}

/// What a person set; everything else is derived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs {
    /// How large the model is to be.
    pub size: Size,
    /// What it is made of.
    pub family: Option<Kind>,
    /// Whether its products and norms have biases, where the family can have them.
    pub biases: Option<bool>,
    /// Width of the stream.
    pub width: Option<usize>,
    /// Layers.
    pub layers: Option<usize>,
    /// Query heads.
    pub heads: Option<usize>,
    /// Key and value heads.
    pub kv_heads: Option<usize>,
    /// Width of the feed-forward block.
    pub feed_forward: Option<usize>,
    /// Entries of the vocabulary.
    pub vocabulary: Option<usize>,
    /// Tokens of a sequence, and the context of the model.
    pub length: Option<usize>,
    /// Sequences that are computed together.
    pub batch: Option<usize>,
    /// Batches of one step.
    pub accumulation: Option<usize>,
    /// Steps of the optimiser.
    pub steps: Option<u64>,
    /// The highest learning rate.
    pub learning_rate: Option<f64>,
    /// The learning rate at the end.
    pub last_learning_rate: Option<f64>,
    /// Steps in which the rate rises.
    pub warm_up: Option<u64>,
    /// The way down.
    pub schedule: Option<Schedule>,
    /// How much of the running mean of gradients is kept.
    pub beta_1: Option<f64>,
    /// How much of the running mean of their squares is kept.
    pub beta_2: Option<f64>,
    /// Added below the division by the root of that mean.
    pub epsilon: Option<f64>,
    /// How strongly matrices are drawn to zero.
    pub weight_decay: Option<f64>,
    /// The longest gradient that is taken as it is.
    pub clip: Option<f64>,
    /// `f32` or `bf16`.
    #[serde(with = "named_precision")]
    pub precision: Option<Precision>,
    /// Parts of the layers between which the stream is kept.
    pub segments: Option<usize>,
    /// Starts the weights and the order of the data.
    pub seed: Option<u64>,
}

mod named_precision {
    use ops::Precision;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Named(#[serde(with = "crate::settings::precision")] Precision);

    pub fn serialize<S: Serializer>(precision: &Option<Precision>, serializer: S) -> Result<S::Ok, S::Error> {
        precision.map(Named).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Precision>, D::Error> {
        Ok(Option::<Named>::deserialize(deserializer)?.map(|named| named.0))
    }
}

/// What the plan depends on besides the knobs.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Tokens of the data that are trained on.
    pub n_tokens: u64,
    /// Entries of the vocabulary that the data gave; at most what was asked for.
    pub vocabulary: usize,
    /// Whether this machine multiplies sixteen-bit numbers faster than f32.
    pub has_16_bit_units: bool,
}

/// A value with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// The knob.
    pub name: String,
    /// What it is set to.
    pub value: String,
    /// Why.
    pub reason: String,
}

/// The sizes of a model that is to be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// What it is made of.
    pub family: Kind,
    /// Whether its products and norms have biases.
    pub biases: bool,
    /// Entries of the vocabulary, `V`.
    pub vocabulary: usize,
    /// Width of the stream, `D`.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads, `H`.
    pub heads: usize,
    /// Key and value heads, `K`.
    pub kv_heads: usize,
    /// Width of the feed-forward block, `F`.
    pub feed_forward: usize,
    /// Tokens of the context.
    pub context: usize,
}

impl Sizes {
    /// Numbers of the layers and the (tied) embedding table, without biases.
    pub fn n_values(&self) -> u64 {
        let head = self.width / self.heads.max(1);
        let attention = 2 * self.width * head * (self.heads + self.kv_heads);
        let (n_matrices, positions) = match self.family {
            Kind::Llama => (3, 0),
            Kind::Gpt2 => (2, self.context),
        };
        let layer = attention + n_matrices * self.width * self.feed_forward + 2 * self.width;
        ((self.vocabulary + positions) * self.width + self.layers * layer + self.width) as u64
    }

    /// The decoder of these sizes.
    pub fn config(&self) -> Config {
        let mut config = Config::new(
            [self.vocabulary, self.width, self.layers, self.feed_forward, self.context],
            [self.heads, self.kv_heads],
            &self.family.family().gguf,
        );
        config.blocks.biases = if self.biases { Biases::All } else { Biases::None };
        config
    }

    /// # Errors
    /// [`Error::Setting`] when two sizes do not fit each other.
    pub fn check(&self) -> Result<(), Error> {
        let counts = [
            ("vocabulary", self.vocabulary),
            ("width", self.width),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("feed_forward", self.feed_forward),
            ("length", self.context),
        ];
        for (name, value) in counts {
            if value == 0 || value > 1 << 20 {
                let reason = "it is at least 1 and at most 1048576";
                return Err(Error::Setting { name, value: value.to_string(), reason });
            }
        }
        let refuse =
            |name, value: usize, reason| Err(Error::Setting { name, value: value.to_string(), reason });
        if !self.width.is_multiple_of(2 * self.heads) {
            return refuse("heads", self.heads, "the width is no even multiple of it");
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return refuse("kv_heads", self.kv_heads, "it does not divide the number of heads");
        }
        if self.family == Kind::Gpt2 && self.kv_heads != self.heads {
            return refuse("kv_heads", self.kv_heads, "GPT-2 has as many as query heads");
        }
        if self.layers > 1024 {
            return refuse("layers", self.layers, "at most 1024 can be loaded again");
        }
        Ok(())
    }
}

/// Everything that a training needs to know, with its reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The sizes of the model.
    pub sizes: Sizes,
    /// How it is trained.
    pub settings: Settings,
    /// Each value with its reason, in the order in which they follow from one another.
    pub derived: Vec<Derived>,
}

/// The reason for a value that was given.
const AS_SET: &str = "as you set it";

/// Values as they are derived.
#[derive(Default)]
struct Derivation(Vec<Derived>);

impl Derivation {
    /// What was set, else what follows.
    fn take<T: ToString + Copy>(&mut self, name: &str, set: Option<T>, derived: T, reason: &str) -> T {
        let value = set.unwrap_or(derived);
        let reason = if set.is_some() { AS_SET } else { reason };
        self.0.push(Derived { name: name.into(), value: value.to_string(), reason: reason.into() });
        value
    }
}

impl Knobs {
    /// How many entries the vocabulary is to have, before it is learned.
    pub fn wanted_vocabulary(&self) -> usize {
        self.vocabulary.unwrap_or(self.size.table()[2])
    }

    /// Derives everything.
    ///
    /// # Errors
    /// [`Error::Setting`] when what was set does not fit together.
    pub fn plan(&self, facts: Facts) -> Result<Plan, Error> {
        let mut derivation = Derivation::default();
        let sizes = self.sizes(facts, &mut derivation);
        sizes.check()?;
        let settings = self.settings(&sizes, facts, &mut derivation);
        settings.check()?;
        Ok(Plan { sizes, settings, derived: derivation.0 })
    }

    fn sizes(&self, facts: Facts, derivation: &mut Derivation) -> Sizes {
        let [width, layers, vocabulary, length, _] = self.size.table();
        let by_size = format!("what `--size {}` stands for", self.size.name());
        let d = derivation;
        let family = d.take("family", self.family, Kind::Llama, "what most small models are made of today");
        let biases = self.biases.unwrap_or(family == Kind::Gpt2) && family == Kind::Gpt2;
        let reason = match facts.vocabulary == self.wanted_vocabulary() {
            true if self.vocabulary.is_some() => AS_SET.into(),
            true => format!("{by_size}: {vocabulary} entries"),
            false => format!("all that this vocabulary has ({} were asked for)", self.wanted_vocabulary()),
        };
        let vocabulary = d.take("vocabulary", None, facts.vocabulary, &reason);
        let width = d.take("width", self.width, width, &by_size);
        let layers = d.take("layers", self.layers, layers, &by_size);
        let heads = if width >= 128 { width / 64 } else { (width / 32).max(1) };
        let heads = d.take("heads", self.heads, heads, "heads of 64 values, or 32 in a narrow model");
        let reason = "one for each query head: a model this small saves nothing by sharing";
        let kv_heads = d.take("kv_heads", self.kv_heads, heads, reason);
        let step = if width >= 256 { 256 } else { 64 };
        let (feed_forward, reason) = match family {
            Kind::Llama => (
                (8 * width).div_ceil(3 * step) * step,
                format!("8/3 of the width, as gated blocks have it, up to a multiple of {step}"),
            ),
            Kind::Gpt2 => (4 * width, "four times the width, as GPT-2 has it".into()),
        };
        let feed_forward = d.take("feed_forward", self.feed_forward, feed_forward, &reason);
        let context = d.take("length", self.length, length, &by_size);
        Sizes { family, biases, vocabulary, width, layers, heads, kv_heads, feed_forward, context }
    }

    fn settings(&self, sizes: &Sizes, facts: Facts, d: &mut Derivation) -> Settings {
        let by_size = format!("what `--size {}` stands for", self.size.name());
        let batch = d.take("batch", self.batch, self.size.table()[4], &by_size);
        let accumulation = d.take("accumulation", self.accumulation, 1, "a step fits the memory as it is");
        let per_step = (batch * accumulation * sizes.context).max(1) as u64;
        let (steps, reason) = n_steps(sizes.n_values(), facts.n_tokens, per_step);
        let steps = d.take("steps", self.steps, steps, &reason);
        let rate = round_rate((2e-3 * (256.0 / sizes.width as f64).sqrt()).min(3e-3));
        let reason = "0.002 at width 256, less by the root of the width, at most 0.003";
        let learning_rate = d.take("learning_rate", self.learning_rate, rate, reason);
        let reason = "a tenth of the highest";
        let tenth = round_rate(learning_rate / 10.0);
        let last = d.take("last_learning_rate", self.last_learning_rate, tenth, reason);
        let warm_up = (steps / 20).clamp(1, 200);
        let warm_up = d.take("warm_up", self.warm_up, warm_up, "a twentieth of the steps, at most 200");
        let reason = "falls slowly, then fast, then slowly again: good wherever the end is known";
        let schedule = d.take("schedule", self.schedule, Schedule::Cosine, reason);
        let beta_1 = d.take("beta_1", self.beta_1, 0.9, "what language models are trained with");
        let beta_2 = d.take("beta_2", self.beta_2, 0.95, "what language models are trained with");
        let epsilon = d.take("epsilon", self.epsilon, 1e-8, "keeps a division by nothing away");
        let weight_decay =
            d.take("weight_decay", self.weight_decay, 0.1, "what language models are trained with");
        let clip = d.take("clip", self.clip, 1.0, "longer gradients are cut to this length");
        let (fast, reason) = match facts.has_16_bit_units {
            true => (Precision::Bf16, "this machine multiplies sixteen-bit numbers faster"),
            false => (Precision::F32, "this machine multiplies sixteen-bit numbers no faster"),
        };
        let precision = self.precision.unwrap_or(fast);
        let name = if precision == Precision::F32 { "f32" } else { "bf16" };
        d.take("precision", self.precision.map(|_| name), name, reason);
        let segments = d.take("segments", self.segments, 1, "everything is kept, nothing is computed twice");
        let seed = d.take("seed", self.seed, 1, "any number will do; the same one gives the same model");
        Settings {
            steps,
            length: sizes.context,
            batch,
            accumulation,
            learning_rate,
            last_learning_rate: last,
            warm_up,
            schedule,
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
            clip,
            precision,
            segments,
            seed,
        }
    }
}

/// How many steps, and why.
fn n_steps(n_values: u64, n_tokens: u64, per_step: u64) -> (u64, String) {
    const PER_VALUE: u64 = 20;
    const PASSES: u64 = 4;
    const FEWEST: u64 = 50;
    let (by_size, by_data) = (PER_VALUE * n_values / per_step, PASSES * n_tokens / per_step);
    let steps = by_size.min(by_data);
    if steps < FEWEST {
        (
            FEWEST,
            format!(
                "the fewest that teach anything; the data is read {} times",
                FEWEST * per_step / n_tokens.max(1)
            ),
        )
    } else if by_size <= by_data {
        (steps, format!("{PER_VALUE} tokens for each of {n_values} parameters, {per_step} a step"))
    } else {
        (
            steps,
            format!(
                "{PASSES} passes over {n_tokens} tokens, {per_step} a step; more of the same teaches little"
            ),
        )
    }
}

/// Two digits, so that people can read it.
fn round_rate(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().expect("a number that was just written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { n_tokens: 3_000_000, vocabulary: 4096, has_16_bit_units: false }
    }

    #[test]
    fn widths_from_tiny_on_fit_every_quantisation() {
        for size in Size::ALL.into_iter().filter(|size| *size != Size::Nano) {
            let plan = Knobs { size, ..Knobs::default() }.plan(facts()).unwrap();
            assert!(plan.sizes.width.is_multiple_of(256) && plan.sizes.feed_forward.is_multiple_of(256));
            let head = plan.sizes.width / plan.sizes.heads;
            assert!((plan.sizes.kv_heads * head).is_multiple_of(256), "{size:?}");
        }
    }

    #[test]
    fn what_is_set_stays_and_what_depends_on_it_follows() {
        let knobs = Knobs { width: Some(512), learning_rate: Some(0.01), ..Knobs::default() };
        let plan = knobs.plan(facts()).unwrap();
        assert_eq!((plan.sizes.width, plan.sizes.heads, plan.sizes.feed_forward), (512, 8, 1536));
        assert_eq!((plan.settings.learning_rate, plan.settings.last_learning_rate), (0.01, 0.001));
        let row = |name: &str| plan.derived.iter().find(|row| row.name == name).unwrap().clone();
        assert_eq!(row("width").reason, "as you set it");
        assert_ne!(row("heads").reason, "as you set it");
    }

    #[test]
    fn little_data_means_few_passes_and_much_data_twenty_tokens_a_parameter() {
        assert_eq!(n_steps(1_000_000, u64::MAX / 8, 1000).0, 20_000);
        assert_eq!(n_steps(1_000_000, 1_000_000, 1000).0, 4_000);
        assert_eq!(n_steps(1_000_000, 10, 1000).0, 50);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let refused = |knobs: Knobs| matches!(knobs.plan(facts()), Err(Error::Setting { .. }));
        assert!(refused(Knobs { heads: Some(3), ..Knobs::default() }));
        assert!(refused(Knobs { width: Some(0), ..Knobs::default() }));
        assert!(refused(Knobs { kv_heads: Some(3), ..Knobs::default() }));
        assert!(refused(Knobs { batch: Some(0), ..Knobs::default() }));
        assert!(refused(Knobs { learning_rate: Some(f64::NAN), ..Knobs::default() }));
        assert!(!refused(Knobs::default()));
    }
}
