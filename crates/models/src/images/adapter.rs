//! LoRAs of image models: what they add to which layer, put there while the model is loaded.
//!
//! ```text
//! a part's file ─▶ Adapted ─ find ─▶ weights ─────────────────────────┐
//! LoRAs, weighed ─▶   └──── additions ─▶ down, (middle,) up, scaled ──┴─▶ a layer: W · x + Σ s · up · (middle ·) down · x
//! ```
//! Weights are never changed: a layer keeps them as they are stored, and adds. A layer is found by its own name and by those
//! that it has in the layouts of the makers, with dots or with underscores for them; where one of theirs is several of ours,
//! rows are taken. What of a file no layer asked for does not fit, and is named.
//!
//! Sources: E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), section 4.1; S.-Y. Yeh et al.,
//! "Navigating Text-To-Image Customization" (2023), section 3, for convolutions and what stands between their halves; the names
//! of layers in the files of kohya-ss/sd-scripts, peft and diffusers, as facts.
//!
//! Does not: know files' names, prompts, or how strongly a person wants what.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use formats::TensorEntry;
use formats::adapter::image::{Alpha, ImageAdapter, Pair};
use ops::linear::convolution::{Convolution, Window};
use ops::weight::{Lent, Storage};
use ops::{Linear, Weight};

use super::bases;
use super::learning::Layer;
use super::parts::channels_last;
use super::single_file::{Makers, spots};
use crate::Error;
use crate::parameters::Learned;
use crate::tensors::{Found, Tensors};

/// Names of layers that do not fit which an error tells.
const TOLD: usize = 3;
/// What only names in transformers have.
const OF_FLUX: [&str; 3] = ["double_blocks", "single_blocks", "single_transformer_blocks"];
const OF_Z_IMAGE: [&str; 2] = ["context_refiner", "noise_refiner"];
/// What only names in U-Nets have.
const OF_UNETS: [&str; 6] =
    ["down_blocks", "up_blocks", "mid_block", "input_blocks", "output_blocks", "middle_block"];

/// The parts of an image model that LoRAs change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A U-Net, with so many residual blocks a level on the way down.
    UNet(usize),
    /// A transformer.
    Transformer,
    /// The first text encoder.
    Text,
    /// The second one.
    SecondText,
}

/// What the names of the layers of a part begin with; the longer beginnings come first.
const BEGINNINGS: [(&str, Place); 12] = [
    ("lora_te1_", Place::Text),
    ("lora_te2_", Place::SecondText),
    ("lora_te3_", Place::SecondText),
    ("lora_te_", Place::Text),
    ("lora_unet_", Place::Seer),
    ("lora_transformer_", Place::Seer),
    ("text_encoder_2.", Place::SecondText),
    ("text_encoder.", Place::Text),
    ("diffusion_model.", Place::Seer),
    ("transformer.", Place::Seer),
    ("unet.", Place::Seer),
    // Written for one model alone.
    ("", Place::Seer),
];

/// Where in an image model a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Seer,
    Text,
    SecondText,
}

impl Place {
    fn of(name: &str) -> Self {
        let found = BEGINNINGS.iter().find(|(beginning, _)| name.starts_with(beginning));
        found.map_or(Self::Seer, |(_, place)| *place)
    }
}

impl Part {
    fn place(self) -> Place {
        match self {
            Self::UNet(_) | Self::Transformer => Place::Seer,
            Self::Text => Place::Text,
            Self::SecondText => Place::SecondText,
        }
    }

    fn makers(self) -> Option<Makers> {
        match self {
            Self::UNet(n) => Some(Makers::UNet(n)),
            Self::Transformer => Some(Makers::Transformer),
            Self::Text | Self::SecondText => None,
        }
    }
}

/// A LoRA of an image model.
#[derive(Clone, Debug)]
pub struct Adapter {
    file: ImageAdapter,
}

/// What is added to one layer.
pub struct Addition {
    rank: usize,
    /// `[r, K]`, or kernels of `[r, C, rows, columns]`.
    down: Vec<f32>,
    /// `[r, r, rows, columns]`.
    middle: Option<Vec<f32>>,
    /// `[N, r]`, times the scale.
    up: Vec<f32>,
}

impl Adapter {
    /// The LoRA in a file.
    pub fn new(file: ImageAdapter) -> Self {
        Self { file }
    }

    /// How errors name it.
    pub fn label(&self) -> &str {
        self.file.tensors.file().label()
    }

    /// Bytes that its numbers take in memory, at most.
    pub fn size_bytes(&self) -> u64 {
        let numbers = self.file.tensors.tensors().iter().map(|entry| entry.n_elements() as u64 * 4);
        numbers.fold(0, u64::saturating_add)
    }

    /// Refuses one that was made for another model than that of these parts, which reads text of this width where it is a
    /// U-Net, as far as that is seen without the model's weights.
    ///
    /// # Errors
    /// [`Error::AdapterBase`].
    pub fn check(&self, parts: &[Part], text_width: Option<usize>) -> Result<(), Error> {
        let has_place = |name: &str| parts.iter().any(|part| part.place() == Place::of(name));
        let is_unet = text_width.is_some();
        let is_other = |name: &str| match is_unet {
            true => OF_FLUX.iter().chain(&OF_Z_IMAGE).any(|of| name.contains(of)),
            false => OF_UNETS.iter().any(|of| name.contains(of)),
        };
        let width = |name: &str, pair: &Pair| width_of_text(name, pair).zip(text_width);
        let misfits = self.file.pairs.iter().filter(|(name, pair)| {
            !has_place(name) || is_other(name) || width(name, pair).is_some_and(|(found, own)| found != own)
        });
        self.expect_none(misfits.map(|(name, _)| name.clone()).collect(), self.file.pairs.len())
    }

    fn expect_none(&self, misfits: Vec<String>, n_layers: usize) -> Result<(), Error> {
        if misfits.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = misfits.iter().take(TOLD).map(|name| format!("{name:?}")).collect();
        Err(Error::AdapterBase {
            file: self.label().into(),
            layers: told.join(", "),
            n_misfits: misfits.len(),
            n_layers,
            base: self.base(),
        })
    }

    /// What it was made for, where that can be seen.
    pub fn base(&self) -> Option<String> {
        let pairs = &self.file.pairs;
        let has = |parts: &[&str]| pairs.keys().any(|name| parts.iter().any(|part| name.contains(part)));
        if has(&OF_FLUX) {
            return Some("FLUX".into());
        }
        if has(&OF_Z_IMAGE) {
            return Some("Z-Image".into());
        }
        let width = pairs.iter().find_map(|(name, pair)| width_of_text(name, pair));
        let Some(width) = width else {
            return has(&["lora_te2_", "text_encoder_2."]).then(|| "Stable Diffusion XL".into());
        };
        let unknown = || format!("a model whose text is {width} wide");
        Some(bases::of_width(width).map_or_else(unknown, Into::into))
    }
}

/// The width of the text that a layer reads, where it is one that reads it.
fn width_of_text(name: &str, pair: &Pair) -> Option<usize> {
    let reads = ["attn2.to_k", "attn2_to_k"].iter().any(|end| name.ends_with(end));
    pair.down.shape.get(1).copied().filter(|_| reads)
}

/// The tensors of a part of a model, with what LoRAs add to its layers.
pub struct Adapted<'a> {
    tensors: &'a dyn Tensors,
    part: Part,
    /// Each with how strongly it acts.
    adapters: &'a [(&'a Adapter, f32)],
    /// Of each the layers that were asked for, and those that have another shape.
    asked: Mutex<Vec<Asked>>,
}

#[derive(Clone, Default)]
struct Asked {
    used: BTreeSet<String>,
    misfits: BTreeSet<String>,
}

impl<'a> Adapted<'a> {
    /// With LoRAs, each by how strongly it acts.
    pub fn new(tensors: &'a dyn Tensors, part: Part, adapters: &'a [(&'a Adapter, f32)]) -> Self {
        Self { tensors, part, adapters, asked: Mutex::new(vec![Asked::default(); adapters.len()]) }
    }

    /// Ends the loading of the part.
    ///
    /// # Errors
    /// [`Error::AdapterBase`] where a LoRA has pairs for this part that no layer asked for, or of another shape.
    pub fn finish(self) -> Result<(), Error> {
        let asked = self.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        for ((adapter, _), Asked { used, misfits }) in self.adapters.iter().zip(asked) {
            let own = || adapter.file.pairs.keys().filter(|name| Place::of(name) == self.part.place());
            let unused = own().filter(|name| !used.contains(*name)).cloned();
            adapter.expect_none(misfits.into_iter().chain(unused).collect(), own().count())?;
        }
        Ok(())
    }

    /// What one LoRA adds to a layer.
    fn addition(&self, index: usize, name: &str, layer: Layer) -> Result<Option<Addition>, Error> {
        let Some((adapter, weight)) = self.adapters.get(index) else { return Ok(None) };
        let outputs = match layer {
            Layer::Product([outputs, _]) | Layer::Kernels { sizes: [outputs, _], .. } => outputs,
            Layer::Table(_) | Layer::Vector(_) => return Ok(None),
        };
        for spot in spots(self.part.makers(), &whole_name(self.part, name), outputs) {
            let Some((key, pair)) =
                names(self.part, &spot.name).find_map(|key| adapter.file.pairs.get_key_value(&key))
            else {
                continue;
            };
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(asked) = asked.get_mut(index) else { return Ok(None) };
            asked.used.insert(key.clone());
            if !fits(pair, layer, spot.outputs) {
                asked.misfits.insert(key.clone());
                return Ok(None);
            }
            return adapter.addition((pair, *weight), &spot.rows).map(Some);
        }
        Ok(None)
    }
}

/// What files call the layer `name` of a part.
fn names(part: Part, name: &str) -> impl Iterator<Item = String> {
    let beginnings = BEGINNINGS.iter().filter(move |(_, place)| *place == part.place());
    beginnings.map(move |(beginning, _)| match beginning.ends_with('_') {
        true => format!("{beginning}{}", name.replace('.', "_")),
        false => format!("{beginning}{name}"),
    })
}

/// The name of a layer as files have it; text encoders of newer versions leave the beginning out.
fn whole_name(part: Part, name: &str) -> String {
    match part {
        Part::Text | Part::SecondText if name.starts_with("encoder.layers.") => format!("text_model.{name}"),
        _ => name.to_owned(),
    }
}

/// Whether a pair is one for a layer, which has so many outputs where the pair was made.
fn fits(pair: &Pair, layer: Layer, outputs: usize) -> bool {
    let shape = |entry: &TensorEntry| -> Vec<usize> {
        let missing = 4usize.saturating_sub(entry.shape.len());
        entry.shape.iter().copied().chain(std::iter::repeat_n(1, missing)).collect()
    };
    let rank = pair.rank();
    let (inputs, kernel) = match layer {
        Layer::Kernels { sizes: [_, inputs], kernel } => (inputs, kernel),
        Layer::Product([_, inputs]) | Layer::Table([_, inputs]) | Layer::Vector(inputs) => (inputs, [1, 1]),
    };
    let looks = [kernel[0], kernel[1]];
    let down = match &pair.middle {
        None => [rank, inputs, looks[0], looks[1]],
        Some(middle) if shape(middle) == [rank, rank, looks[0], looks[1]] => [rank, inputs, 1, 1],
        Some(_) => return false,
    };
    let is_product = matches!(layer, Layer::Product(_));
    shape(&pair.down) == down
        && shape(&pair.up) == [outputs, rank, 1, 1]
        && !(is_product && pair.middle.is_some())
}

impl Adapter {
    fn addition(&self, (pair, weight): (&Pair, f32), rows: &[Range<usize>]) -> Result<Addition, Error> {
        let rank = pair.rank();
        let alpha = match &pair.alpha {
            Alpha::Rank => rank as f32,
            Alpha::Said(alpha) => *alpha as f32,
            Alpha::Tensor(entry) => self.values(entry)?.first().copied().unwrap_or_default(),
        };
        let scale = weight * (alpha / rank as f32);
        let whole = self.values(&pair.up)?;
        let up = rows.iter().flat_map(|rows| &whole[rows.start * rank..rows.end * rank]);
        Ok(Addition {
            rank,
            up: up.map(|value| scale * value).collect(),
            middle: pair.middle.as_ref().map(|entry| self.values(entry)).transpose()?,
            down: self.values(&pair.down)?,
        })
    }

    fn values(&self, entry: &TensorEntry) -> Result<Vec<f32>, Error> {
        let tensors: &dyn Tensors = &self.file.tensors;
        let missing = || Error::MissingTensor { file: self.label().into(), name: entry.name.clone() };
        let found = tensors.find(&entry.name)?.ok_or_else(missing)?;
        Ok(found.storage.widen(found.bytes.as_slice()))
    }
}

impl Addition {
    /// Both halves for some outputs of a product.
    pub(super) fn products(self, inputs: usize, rows: Range<usize>, device: &Device) -> [Linear; 2] {
        let up = &self.up[rows.start * self.rank..rows.end * self.rank];
        let down = weight(&self.down, [self.rank, inputs], device);
        [Linear::new(down), Linear::new(weight(up, [rows.len(), self.rank], device))]
    }

    /// The convolutions that one behind the other give what is added to one of `window`.
    pub(super) fn convolutions(
        self,
        [outputs, inputs]: [usize; 2],
        window: Window,
        device: &Device,
    ) -> Vec<Convolution> {
        let points = Window::same(1);
        let layer = |values: &[f32], [outputs, inputs]: [usize; 2], window: Window| {
            let places = window.kernel[0] * window.kernel[1];
            let bytes = channels_last(&Storage::F32.narrow(values), outputs, inputs, places);
            let made = Weight::new(Lent::new(bytes), [outputs, places * inputs], Storage::F32, device);
            Convolution::new(made.expect("the shape was checked when the pair was found"), window)
        };
        let first = if self.middle.is_some() { points } else { window };
        let down = layer(&self.down, [self.rank, inputs], first);
        let middle = self.middle.map(|values| layer(&values, [self.rank; 2], window));
        let up = layer(&self.up, [outputs, self.rank], points);
        [Some(down), middle, Some(up)].into_iter().flatten().collect()
    }
}

fn weight(values: &[f32], shape: [usize; 2], device: &Device) -> Weight {
    let made = Weight::new(Lent::new(Storage::F32.narrow(values)), shape, Storage::F32, device);
    made.expect("the shape was checked when the pair was found")
}

impl Tensors for Adapted<'_> {
    fn label(&self) -> &str {
        self.tensors.label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        self.tensors.find(name)
    }

    fn raw(&self, name: &str) -> Result<Option<(Vec<usize>, Lent)>, Error> {
        self.tensors.raw(name)
    }

    fn learned(&self, name: &str, layer: Layer) -> Option<Learned> {
        self.tensors.learned(name, layer)
    }

    fn additions(&self, name: &str, layer: Layer) -> Result<Vec<Addition>, Error> {
        let Some(name) = name.strip_suffix(".weight") else { return Ok(Vec::new()) };
        let each = (0..self.adapters.len()).map(|index| self.addition(index, name, layer));
        Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
