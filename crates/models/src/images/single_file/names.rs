//! What tensors are called in one file and in another, as tables.
//!
//! A rule turns a name that begins and ends as it says; `#` stands for a number, a last `*` for the rest, in which an
//! inner table then replaces one beginning.

use std::ops::Range;

use ops::weight::Lent;

use super::Writer;
use crate::Error;
use crate::tensors::{Found, Tensors};

/// What one name becomes.
struct Rule {
    from: &'static str,
    to: &'static str,
    number: Number,
    inner: &'static [Inner],
}

/// Which number stands in the new name.
#[derive(Clone, Copy)]
enum Number {
    /// The same numbers.
    Same,
    /// The only one, and one more.
    Next,
    /// A convolution of a map: every other layer, behind the first one.
    Hint,
    /// Level and block of the way down: how many blocks come before, those that change the number of pixels counted, and
    /// the first convolution.
    Down,
    /// A level of the way down: what changes the number of pixels behind its blocks.
    DownEnd,
    /// Level and block of the way up.
    Up,
    /// A level of the way up: its last block.
    UpEnd,
    /// A level, and what stays behind it, where levels are counted from the other end.
    Backwards,
}

/// One beginning of the rest of a name, what stands in its place, and which part of that tensor is meant.
type Inner = (&'static str, &'static str, Taken);

/// Which part of a tensor is meant.
#[derive(Clone, Copy)]
enum Taken {
    Whole,
    /// Some of equal parts that lie one below another.
    Below(Parts),
    /// All, with rows and columns exchanged.
    Turned,
    /// All, the lower half first.
    Swapped,
}

/// Some of equal parts.
#[derive(Clone, Copy)]
struct Parts {
    /// How many there are.
    of: usize,
    /// The first that is meant, counted from 0.
    first: usize,
    /// How many are meant.
    n: usize,
}

/// One of `of` equal parts.
const fn part(first: usize, of: usize) -> Taken {
    Taken::Below(Parts { of, first, n: 1 })
}

const fn rule(from: &'static str, to: &'static str) -> Rule {
    Rule { from, to, number: Number::Same, inner: &[] }
}

const fn placed(from: &'static str, to: &'static str, number: Number, inner: &'static [Inner]) -> Rule {
    Rule { from, to, number, inner }
}

static RESIDUAL: &[Inner] = &[
    ("norm1.", "in_layers.0.", Taken::Whole),
    ("conv1.", "in_layers.2.", Taken::Whole),
    ("time_emb_proj.", "emb_layers.1.", Taken::Whole),
    ("norm2.", "out_layers.0.", Taken::Whole),
    ("conv2.", "out_layers.3.", Taken::Whole),
    ("conv_shortcut.", "skip_connection.", Taken::Whole),
];

static UNET: &[Rule] = &[
    rule("conv_in.*", "input_blocks.0.0.*"),
    rule("time_embedding.linear_1.*", "time_embed.0.*"),
    rule("time_embedding.linear_2.*", "time_embed.2.*"),
    rule("add_embedding.linear_1.*", "label_emb.0.0.*"),
    rule("add_embedding.linear_2.*", "label_emb.0.2.*"),
    placed("down_blocks.#.resnets.#.*", "input_blocks.#.0.*", Number::Down, RESIDUAL),
    placed("down_blocks.#.attentions.#.*", "input_blocks.#.1.*", Number::Down, &[]),
    placed("down_blocks.#.downsamplers.0.conv.*", "input_blocks.#.0.op.*", Number::DownEnd, &[]),
    placed("mid_block.resnets.0.*", "middle_block.0.*", Number::Same, RESIDUAL),
    rule("mid_block.attentions.0.*", "middle_block.1.*"),
    placed("mid_block.resnets.1.*", "middle_block.2.*", Number::Same, RESIDUAL),
    placed("up_blocks.#.resnets.#.*", "output_blocks.#.0.*", Number::Up, RESIDUAL),
    placed("up_blocks.#.attentions.#.*", "output_blocks.#.1.*", Number::Up, &[]),
    // Behind a transformer, or where there is none behind the residual block.
    placed("up_blocks.#.upsamplers.0.conv.*", "output_blocks.#.2.conv.*", Number::UpEnd, &[]),
    placed("up_blocks.#.upsamplers.0.conv.*", "output_blocks.#.1.conv.*", Number::UpEnd, &[]),
    rule("conv_norm_out.*", "out.0.*"),
    rule("conv_out.*", "out.2.*"),
];

/// The way down of a ControlNet is that of a U-Net; its last convolution of maps stands behind as many as there are.
static CONTROL: &[Rule] = &[
    rule("controlnet_cond_embedding.conv_in.*", "input_hint_block.0.*"),
    placed("controlnet_cond_embedding.blocks.#.*", "input_hint_block.#.*", Number::Hint, &[]),
    rule("controlnet_cond_embedding.conv_out.*", "input_hint_block.14.*"),
    rule("controlnet_cond_embedding.conv_out.*", "input_hint_block.10.*"),
    rule("controlnet_cond_embedding.conv_out.*", "input_hint_block.6.*"),
    rule("controlnet_down_blocks.#.*", "zero_convs.#.0.*"),
    rule("controlnet_mid_block.*", "middle_block_out.0.*"),
];

static SHORTCUT: &[Inner] = &[("conv_shortcut.", "nin_shortcut.", Taken::Whole)];
static MIDDLE: &[Inner] = &[
    ("group_norm.", "norm.", Taken::Whole),
    ("to_q.", "q.", Taken::Whole),
    ("to_k.", "k.", Taken::Whole),
    ("to_v.", "v.", Taken::Whole),
    ("to_out.0.", "proj_out.", Taken::Whole),
];

static AUTO_ENCODER: &[Rule] = &[
    placed("encoder.down_blocks.#.resnets.#.*", "encoder.down.#.block.#.*", Number::Same, SHORTCUT),
    rule("encoder.down_blocks.#.downsamplers.0.conv.*", "encoder.down.#.downsample.conv.*"),
    placed("decoder.up_blocks.#.resnets.#.*", "decoder.up.#.block.#.*", Number::Backwards, SHORTCUT),
    placed("decoder.up_blocks.#.upsamplers.0.conv.*", "decoder.up.#.upsample.conv.*", Number::Backwards, &[]),
    placed("encoder.mid_block.resnets.#.*", "encoder.mid.block_#.*", Number::Next, SHORTCUT),
    placed("decoder.mid_block.resnets.#.*", "decoder.mid.block_#.*", Number::Next, SHORTCUT),
    placed("encoder.mid_block.attentions.0.*", "encoder.mid.attn_1.*", Number::Same, MIDDLE),
    placed("decoder.mid_block.attentions.0.*", "decoder.mid.attn_1.*", Number::Same, MIDDLE),
    rule("encoder.conv_norm_out.*", "encoder.norm_out.*"),
    rule("decoder.conv_norm_out.*", "decoder.norm_out.*"),
    rule("*", "*"),
];

static CLIP_LAYER: &[Inner] = &[
    ("layer_norm1.", "ln_1.", Taken::Whole),
    ("layer_norm2.", "ln_2.", Taken::Whole),
    ("self_attn.q_proj.", "attn.in_proj_", part(0, 3)),
    ("self_attn.k_proj.", "attn.in_proj_", part(1, 3)),
    ("self_attn.v_proj.", "attn.in_proj_", part(2, 3)),
    ("self_attn.out_proj.", "attn.out_proj.", Taken::Whole),
    ("mlp.fc1.", "mlp.c_fc.", Taken::Whole),
    ("mlp.fc2.", "mlp.c_proj.", Taken::Whole),
];

static OPEN_CLIP: &[Rule] = &[
    rule("text_model.embeddings.token_embedding.*", "token_embedding.*"),
    rule("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    placed("text_model.encoder.layers.#.*", "transformer.resblocks.#.*", Number::Same, CLIP_LAYER),
    rule("text_model.final_layer_norm.*", "ln_final.*"),
    placed("text_projection.*", "*", Number::Same, &[("weight", "text_projection", Taken::Turned)]),
];

static DOUBLE: &[Inner] = &[
    ("norm1.linear.", "img_mod.lin.", Taken::Whole),
    ("norm1_context.linear.", "txt_mod.lin.", Taken::Whole),
    ("attn.to_q.", "img_attn.qkv.", part(0, 3)),
    ("attn.to_k.", "img_attn.qkv.", part(1, 3)),
    ("attn.to_v.", "img_attn.qkv.", part(2, 3)),
    ("attn.add_q_proj.", "txt_attn.qkv.", part(0, 3)),
    ("attn.add_k_proj.", "txt_attn.qkv.", part(1, 3)),
    ("attn.add_v_proj.", "txt_attn.qkv.", part(2, 3)),
    ("attn.norm_q.weight", "img_attn.norm.query_norm.scale", Taken::Whole),
    ("attn.norm_k.weight", "img_attn.norm.key_norm.scale", Taken::Whole),
    ("attn.norm_added_q.weight", "txt_attn.norm.query_norm.scale", Taken::Whole),
    ("attn.norm_added_k.weight", "txt_attn.norm.key_norm.scale", Taken::Whole),
    ("attn.to_out.0.", "img_attn.proj.", Taken::Whole),
    ("attn.to_add_out.", "txt_attn.proj.", Taken::Whole),
    ("ff.net.0.proj.", "img_mlp.0.", Taken::Whole),
    ("ff.net.2.", "img_mlp.2.", Taken::Whole),
    ("ff_context.net.0.proj.", "txt_mlp.0.", Taken::Whole),
    ("ff_context.net.2.", "txt_mlp.2.", Taken::Whole),
];

/// Queries, keys, values and a plain block four times as wide lie one below another.
static SINGLE: &[Inner] = &[
    ("norm.linear.", "modulation.lin.", Taken::Whole),
    ("attn.to_q.", "linear1.", part(0, 7)),
    ("attn.to_k.", "linear1.", part(1, 7)),
    ("attn.to_v.", "linear1.", part(2, 7)),
    ("proj_mlp.", "linear1.", Taken::Below(Parts { of: 7, first: 3, n: 4 })),
    ("proj_out.", "linear2.", Taken::Whole),
    ("attn.norm_q.weight", "norm.query_norm.scale", Taken::Whole),
    ("attn.norm_k.weight", "norm.key_norm.scale", Taken::Whole),
];

static FLUX: &[Rule] = &[
    rule("x_embedder.*", "img_in.*"),
    rule("context_embedder.*", "txt_in.*"),
    rule("time_text_embed.timestep_embedder.linear_1.*", "time_in.in_layer.*"),
    rule("time_text_embed.timestep_embedder.linear_2.*", "time_in.out_layer.*"),
    rule("time_text_embed.guidance_embedder.linear_1.*", "guidance_in.in_layer.*"),
    rule("time_text_embed.guidance_embedder.linear_2.*", "guidance_in.out_layer.*"),
    rule("time_text_embed.text_embedder.linear_1.*", "vector_in.in_layer.*"),
    rule("time_text_embed.text_embedder.linear_2.*", "vector_in.out_layer.*"),
    placed("transformer_blocks.#.*", "double_blocks.#.*", Number::Same, DOUBLE),
    placed("single_transformer_blocks.#.*", "single_blocks.#.*", Number::Same, SINGLE),
    // What shifts comes before what stretches there.
    placed(
        "norm_out.linear.*",
        "final_layer.adaLN_modulation.1.*",
        Number::Same,
        &[("", "", Taken::Swapped)],
    ),
    rule("proj_out.*", "final_layer.linear.*"),
];

static DOUBLE_2: &[Inner] = &[
    ("attn.to_q.", "img_attn.qkv.", part(0, 3)),
    ("attn.to_k.", "img_attn.qkv.", part(1, 3)),
    ("attn.to_v.", "img_attn.qkv.", part(2, 3)),
    ("attn.add_q_proj.", "txt_attn.qkv.", part(0, 3)),
    ("attn.add_k_proj.", "txt_attn.qkv.", part(1, 3)),
    ("attn.add_v_proj.", "txt_attn.qkv.", part(2, 3)),
    ("attn.norm_q.weight", "img_attn.norm.query_norm.scale", Taken::Whole),
    ("attn.norm_k.weight", "img_attn.norm.key_norm.scale", Taken::Whole),
    ("attn.norm_added_q.weight", "txt_attn.norm.query_norm.scale", Taken::Whole),
    ("attn.norm_added_k.weight", "txt_attn.norm.key_norm.scale", Taken::Whole),
    ("attn.to_out.0.", "img_attn.proj.", Taken::Whole),
    ("attn.to_add_out.", "txt_attn.proj.", Taken::Whole),
    ("ff.linear_in.", "img_mlp.0.", Taken::Whole),
    ("ff.linear_out.", "img_mlp.2.", Taken::Whole),
    ("ff_context.linear_in.", "txt_mlp.0.", Taken::Whole),
    ("ff_context.linear_out.", "txt_mlp.2.", Taken::Whole),
];

static SINGLE_2: &[Inner] = &[
    ("attn.to_qkv_mlp_proj.", "linear1.", Taken::Whole),
    ("attn.to_out.", "linear2.", Taken::Whole),
    ("attn.norm_q.weight", "norm.query_norm.scale", Taken::Whole),
    ("attn.norm_k.weight", "norm.key_norm.scale", Taken::Whole),
];

static FLUX_2: &[Rule] = &[
    rule("x_embedder.*", "img_in.*"),
    rule("context_embedder.*", "txt_in.*"),
    rule("time_guidance_embed.timestep_embedder.linear_1.*", "time_in.in_layer.*"),
    rule("time_guidance_embed.timestep_embedder.linear_2.*", "time_in.out_layer.*"),
    rule("time_guidance_embed.guidance_embedder.linear_1.*", "guidance_in.in_layer.*"),
    rule("time_guidance_embed.guidance_embedder.linear_2.*", "guidance_in.out_layer.*"),
    rule("double_stream_modulation_img.linear.*", "double_stream_modulation_img.lin.*"),
    rule("double_stream_modulation_txt.linear.*", "double_stream_modulation_txt.lin.*"),
    rule("single_stream_modulation.linear.*", "single_stream_modulation.lin.*"),
    placed("transformer_blocks.#.*", "double_blocks.#.*", Number::Same, DOUBLE_2),
    placed("single_transformer_blocks.#.*", "single_blocks.#.*", Number::Same, SINGLE_2),
    placed(
        "norm_out.linear.*",
        "final_layer.adaLN_modulation.1.*",
        Number::Same,
        &[("", "", Taken::Swapped)],
    ),
    rule("proj_out.*", "final_layer.linear.*"),
];

static Z_BLOCK: &[Inner] = &[
    ("attention.to_q.", "attention.qkv.", part(0, 3)),
    ("attention.to_k.", "attention.qkv.", part(1, 3)),
    ("attention.to_v.", "attention.qkv.", part(2, 3)),
    ("attention.to_out.0.", "attention.out.", Taken::Whole),
    ("attention.norm_q.", "attention.q_norm.", Taken::Whole),
    ("attention.norm_k.", "attention.k_norm.", Taken::Whole),
];

static Z_IMAGE: &[Rule] = &[
    placed("layers.#.*", "layers.#.*", Number::Same, Z_BLOCK),
    placed("noise_refiner.#.*", "noise_refiner.#.*", Number::Same, Z_BLOCK),
    placed("context_refiner.#.*", "context_refiner.#.*", Number::Same, Z_BLOCK),
    rule("all_x_embedder.2-1.*", "x_embedder.*"),
    rule("all_final_layer.2-1.*", "final_layer.*"),
    rule("*", "*"),
];

static UNCHANGED: &[Rule] = &[rule("*", "*")];

/// The layouts of their makers in which adapters call the layers of a model, beside that of its folder.
#[derive(Clone, Copy, Debug)]
pub(in crate::images) enum Makers {
    /// A U-Net of so many residual blocks a level on the way down.
    UNet(usize),
    /// FLUX.1, FLUX.2 or Z-Image.
    Transformer,
}

/// A layer in some layout.
pub(in crate::images) struct Spot {
    /// What it is called there.
    pub name: String,
    /// Its outputs there, which may be more than are meant.
    pub outputs: usize,
    /// Those that are meant, in their order.
    pub rows: Vec<Range<usize>>,
}

/// The layer `name` of `outputs` outputs in the layout of its folder, and in those of the makers.
pub(in crate::images) fn spots(makers: Option<Makers>, name: &str, outputs: usize) -> Vec<Spot> {
    let own = Spot { name: name.to_owned(), outputs, rows: std::iter::once(0..outputs).collect() };
    let (tables, n): (&[&[Rule]], _) = match makers {
        None => (&[], 0),
        Some(Makers::UNet(n)) => (&[UNET], n),
        Some(Makers::Transformer) => (&[FLUX, FLUX_2, Z_IMAGE], 0),
    };
    let weight = format!("{name}.weight");
    let found = tables.iter().flat_map(|rules| rules.iter()).filter_map(|rule| rule.apply(&weight, n));
    let spot = |(new, taken): (String, Taken)| {
        let name = new.strip_suffix(".weight")?.to_owned();
        let whole = || std::iter::once(0..outputs).collect();
        Some(match taken {
            Taken::Whole => Spot { name, outputs, rows: whole() },
            Taken::Below(Parts { of, first, n }) if outputs.is_multiple_of(n) => {
                let size = outputs / n;
                let rows = std::iter::once(first * size..(first + n) * size).collect();
                Spot { name, outputs: size * of, rows }
            }
            Taken::Swapped => Spot { name, outputs, rows: vec![outputs / 2..outputs, 0..outputs / 2] },
            Taken::Below(_) | Taken::Turned => return None,
        })
    };
    let mut spots = vec![own];
    for spot in found.filter_map(spot) {
        if spots.iter().all(|known| known.name != spot.name) {
            spots.push(spot);
        }
    }
    spots
}

/// The tensors of one part of a file that holds a whole model, under the names that they have where every part has its own
/// file.
pub struct Renamed<'a> {
    tensors: &'a dyn Tensors,
    prefix: &'static str,
    rules: &'static [Rule],
    /// Those for names that no rule before knows.
    more: &'static [Rule],
    /// Blocks of a level, or levels.
    n: usize,
}

impl<'a> Renamed<'a> {
    /// The U-Net of a file, whose names begin with `prefix`;
    /// a level has `n_residuals` residual blocks on the way down.
    pub fn unet(tensors: &'a dyn Tensors, prefix: &'static str, n_residuals: usize) -> Self {
        Self { tensors, prefix, rules: UNET, more: &[], n: n_residuals }
    }

    /// The ControlNet of a file, whose names begin with `prefix`, and whose levels are those of such a U-Net.
    pub fn control(tensors: &'a dyn Tensors, prefix: &'static str, n_residuals: usize) -> Self {
        Self { rules: CONTROL, more: UNET, ..Self::unet(tensors, prefix, n_residuals) }
    }

    /// The auto-encoder of a file, of `n_levels` levels.
    pub fn auto_encoder(tensors: &'a dyn Tensors, n_levels: usize) -> Self {
        Self { tensors, prefix: "first_stage_model.", rules: AUTO_ENCODER, more: &[], n: n_levels }
    }

    /// A text encoder of a file whose tensors begin with `prefix`.
    pub fn text(tensors: &'a dyn Tensors, prefix: &'static str, writer: Writer) -> Self {
        let rules = match writer {
            Writer::Transformers => UNCHANGED,
            Writer::OpenClip => OPEN_CLIP,
        };
        Self { tensors, prefix, rules, more: &[], n: 0 }
    }

    /// The transformer of FLUX.1 as its makers wrote it, and GGUF files have it; names begin with `prefix`.
    pub fn flux(tensors: &'a dyn Tensors, prefix: &'static str) -> Self {
        Self { tensors, prefix, rules: FLUX, more: &[], n: 0 }
    }

    /// The transformer of FLUX.2 in the same layout.
    pub fn flux_2(tensors: &'a dyn Tensors, prefix: &'static str) -> Self {
        Self { tensors, prefix, rules: FLUX_2, more: &[], n: 0 }
    }

    /// The transformer of Z-Image in the layout of its makers.
    pub fn z_image(tensors: &'a dyn Tensors, prefix: &'static str) -> Self {
        Self { tensors, prefix, rules: Z_IMAGE, more: &[], n: 0 }
    }

    /// Tensors that have the names of a folder, behind `prefix`.
    pub fn unchanged(tensors: &'a dyn Tensors, prefix: &'static str) -> Self {
        Self { tensors, prefix, rules: UNCHANGED, more: &[], n: 0 }
    }

    /// What `name` is called in the file, and which part of it is meant, by each rule that knows it.
    fn names(&self, name: &str) -> impl Iterator<Item = (String, Taken)> {
        self.rules.iter().chain(self.more).filter_map(move |rule| {
            let (name, taken) = rule.apply(name, self.n)?;
            Some((format!("{}{name}", self.prefix), taken))
        })
    }

    fn take(&self, name: &str, found: Found, taken: Taken) -> Result<Found, Error> {
        let file = || self.tensors.label().to_owned();
        match taken {
            Taken::Whole => Ok(found),
            Taken::Below(parts) => below(&found, parts).ok_or_else(|| {
                let expected =
                    vec![found.shape.first().map_or(parts.of, |rows| rows.next_multiple_of(parts.of))];
                Error::Shape { file: file(), name: name.into(), found: found.shape, expected }
            }),
            Taken::Swapped => {
                let bytes = found.bytes.as_slice();
                let (first, second) = bytes.split_at(bytes.len() / 2);
                let swapped = [second, first].concat();
                Ok(Found { bytes: Lent::new(swapped), ..found })
            }
            Taken::Turned if found.shape.len() == 2 && found.storage.blocks().is_none() => {
                Ok(found.transposed())
            }
            Taken::Turned => {
                let found = format!("{:?} of shape {:?}", found.storage, found.shape);
                Err(Error::Storage { file: file(), name: name.into(), found })
            }
        }
    }
}

/// Some of equal parts that lie one below another, over the same bytes.
fn below(found: &Found, Parts { of, first, n }: Parts) -> Option<Found> {
    let (rows, rest) = found.shape.split_first().filter(|(rows, _)| rows.is_multiple_of(of))?;
    let size = found.bytes.as_slice().len() / of;
    let bytes = found.bytes.part(first * size..(first + n) * size)?;
    Some(Found { shape: [&[rows / of * n], rest].concat(), storage: found.storage, bytes })
}

impl Tensors for Renamed<'_> {
    fn label(&self) -> &str {
        self.tensors.label()
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        for (name, taken) in self.names(name) {
            if let Some(found) = self.tensors.find(&name)? {
                return self.take(&name, found, taken).map(Some);
            }
        }
        Ok(None)
    }
}

impl Rule {
    /// The new name, where the rule is one for `name`.
    fn apply(&self, name: &str, n: usize) -> Option<(String, Taken)> {
        let (numbers, rest) = matched(self.from, name)?;
        let numbers = self.number.of(&numbers, n)?;
        let inner = self
            .inner
            .iter()
            .find_map(|(from, to, taken)| Some((format!("{to}{}", rest.strip_prefix(from)?), *taken)));
        let (rest, taken) = inner.unwrap_or_else(|| (rest.to_owned(), Taken::Whole));
        let mut numbers = numbers.into_iter();
        let mut new = String::new();
        for letter in self.to.chars() {
            match letter {
                '#' => new += &numbers.next()?.to_string(),
                '*' => new += &rest,
                letter => new.push(letter),
            }
        }
        Some((new, taken))
    }
}

/// The numbers and the rest of a name that is as `pattern` says.
fn matched<'a>(pattern: &str, mut name: &'a str) -> Option<(Vec<usize>, &'a str)> {
    let mut numbers = Vec::new();
    let (pattern, has_rest) = match pattern.strip_suffix('*') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    for (index, part) in pattern.split('#').enumerate() {
        if index > 0 {
            let end = name.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(name.len());
            numbers.push(name[..end].parse().ok()?);
            name = &name[end..];
        }
        name = name.strip_prefix(part)?;
    }
    (has_rest || name.is_empty()).then_some((numbers, name))
}

impl Number {
    fn of(self, numbers: &[usize], n: usize) -> Option<Vec<usize>> {
        // Before each level stand its predecessors, each with one block more than it has residual ones.
        let before = |level: usize| level.checked_mul(n + 1);
        let number = match (self, numbers) {
            (Self::Same, numbers) => return Some(numbers.to_vec()),
            (Self::Next, [number]) => number.checked_add(1)?,
            (Self::Hint, [number]) => number.checked_add(1)?.checked_mul(2)?,
            (Self::Down, [level, block]) => before(*level)?.checked_add(*block)?.checked_add(1)?,
            (Self::DownEnd, [level]) => before(*level)?.checked_add(n + 1)?,
            (Self::Up, [level, block]) => before(*level)?.checked_add(*block)?,
            (Self::UpEnd, [level]) => before(*level)?.checked_add(n)?,
            (Self::Backwards, [level, rest @ ..]) => {
                let level = n.checked_sub(level.checked_add(1)?)?;
                return Some([&[level], rest].concat());
            }
            _ => return None,
        };
        Some(vec![number])
    }
}
