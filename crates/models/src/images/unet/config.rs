//! The sizes of a U-Net, as the `config.json` of `diffusers`' `UNet2DConditionModel` says them.

use serde_json::{Value, json};

use crate::Error;
use crate::images::settings::Settings;
use crate::images::waves::{First, Waves};

const MAX_LEVELS: usize = 8;
const MAX_RESIDUALS: usize = 16;
const MAX_LAYERS: usize = 64;
const MAX_HEADS: usize = 1 << 10;

/// The sizes and settings of a U-Net.
#[derive(Clone, Debug, PartialEq)]
pub struct UNetConfig {
    /// Channels of the latents.
    pub inputs: usize,
    /// Channels of what comes out.
    pub outputs: usize,
    /// From the most pixels to the fewest; at least one.
    pub levels: Vec<LevelConfig>,
    /// Between the ways down and up; absent in some that were made smaller.
    pub middle: Option<LevelConfig>,
    /// Residual blocks of a level on the way down; on the way up there is one more.
    pub n_residuals: usize,
    /// Width of the rows of the text.
    pub text_width: usize,
    /// Groups of the normalisations.
    pub groups: usize,
    /// Added to the variances of residual blocks.
    pub epsilon: f32,
    /// How times are written as waves.
    pub waves: Waves,
    /// What is added to the time, where something is.
    pub added: Option<AddedConfig>,
}

/// One level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelConfig {
    /// Channels.
    pub channels: usize,
    /// Layers of each transformer; 0 where the level has none.
    pub n_layers: usize,
    /// Heads of an attention, of which the channels are a multiple.
    pub heads: usize,
}

/// What SDXL adds to the time: the pooled row of the text, and numbers about the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedConfig {
    /// Width of the waves of one number.
    pub wave: usize,
    /// Width of all together.
    pub width: usize,
}

/// Settings whose other values are not computed, with the values that are.
fn fixed() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("center_input_sample", vec![json!(false)]),
        ("mid_block_type", vec![json!("UNetMidBlock2DCrossAttn")]),
        ("only_cross_attention", vec![json!(false)]),
        ("downsample_padding", vec![json!(1)]),
        ("mid_block_scale_factor", vec![json!(1), json!(1.0)]),
        ("act_fn", vec![json!("silu"), json!("swish")]),
        ("reverse_transformer_layers_per_block", vec![]),
        ("encoder_hid_dim", vec![]),
        ("encoder_hid_dim_type", vec![]),
        ("dual_cross_attention", vec![json!(false)]),
        ("class_embed_type", vec![]),
        ("addition_embed_type", vec![json!("text_time")]),
        ("num_class_embeds", vec![]),
        ("resnet_time_scale_shift", vec![json!("default")]),
        ("resnet_skip_time_act", vec![json!(false)]),
        ("resnet_out_scale_factor", vec![json!(1), json!(1.0)]),
        ("time_embedding_type", vec![json!("positional")]),
        ("time_embedding_dim", vec![]),
        ("time_embedding_act_fn", vec![]),
        ("timestep_post_act", vec![]),
        ("time_cond_proj_dim", vec![]),
        ("conv_in_kernel", vec![json!(3)]),
        ("conv_out_kernel", vec![json!(3)]),
        ("attention_type", vec![json!("default")]),
        ("class_embeddings_concat", vec![json!(false)]),
        ("mid_block_only_cross_attention", vec![json!(false)]),
        ("cross_attention_norm", vec![]),
    ]
}

impl UNetConfig {
    /// As the `config.json` of a U-Net says it.
    ///
    /// # Errors
    /// [`Error::Setting`] names what is missing or not computed.
    pub fn from_json(config: &Value, file: &str) -> Result<Self, Error> {
        let settings = Settings { config, file };
        fixed().iter().try_for_each(|(key, known)| settings.only(key, known))?;
        let levels = levels(settings)?;
        let groups = settings.size_or("norm_num_groups", 32, MAX_HEADS)?;
        if let Some(level) = levels.iter().find(|level| !level.channels.is_multiple_of(groups)) {
            let reason = format!("{} channels are no multiple of {groups}", level.channels);
            return Err(settings.wrong("norm_num_groups", reason));
        }
        let texts = settings.sizes_of_levels("cross_attention_dim", levels.len(), usize::MAX)?;
        let texts = texts.unwrap_or_else(|| vec![1280]);
        if texts.iter().any(|width| *width != texts[0]) {
            return Err(settings.wrong("cross_attention_dim", "differs from level to level"));
        }
        Ok(Self {
            inputs: settings.size_or("in_channels", 4, MAX_HEADS)?,
            outputs: settings.size_or("out_channels", 4, MAX_HEADS)?,
            middle: middle(settings, &levels)?,
            n_residuals: residuals(settings, levels.len())?,
            text_width: texts[0],
            groups,
            epsilon: settings.positive("norm_eps")?.unwrap_or(1e-5),
            waves: waves(settings)?,
            added: added(settings)?,
            levels,
        })
    }
}

/// The levels, each with its heads and its layers.
fn levels(settings: Settings<'_>) -> Result<Vec<LevelConfig>, Error> {
    let channels = settings.sizes("block_out_channels", MAX_LEVELS)?;
    let n = channels.len();
    let has_transformers = kinds(settings, n)?;
    let heads = heads(settings, n)?;
    let layers = settings.sizes_of_levels("transformer_layers_per_block", n, MAX_LAYERS)?;
    let layers = layers.unwrap_or_else(|| vec![1; n]);
    let level = |index: usize| {
        let (channels, heads) = (channels[index], heads[index]);
        let n_layers = if has_transformers[index] { layers[index] } else { 0 };
        if !channels.is_multiple_of(heads) {
            let reason = format!("{channels} channels are no multiple of {heads} heads");
            return Err(settings.wrong("attention_head_dim", reason));
        }
        Ok(LevelConfig { channels, n_layers, heads })
    };
    (0..n).map(level).collect()
}

/// Which levels have transformers: the blocks of the way up must be those of the way down.
fn kinds(settings: Settings<'_>, n: usize) -> Result<Vec<bool>, Error> {
    let read = |key: &str, [plain, with]: [&str; 2]| -> Result<Vec<bool>, Error> {
        let kinds = settings.words(key)?;
        if kinds.len() != n {
            return Err(settings.wrong(key, format!("has {} blocks for {n} levels", kinds.len())));
        }
        let kind = |kind: &&str| match *kind {
            kind if kind == plain => Ok(false),
            kind if kind == with => Ok(true),
            other => Err(settings.wrong(key, format!("\"{other}\" is not computed yet"))),
        };
        kinds.iter().map(kind).collect()
    };
    let down = read("down_block_types", ["DownBlock2D", "CrossAttnDownBlock2D"])?;
    let mut up = read("up_block_types", ["UpBlock2D", "CrossAttnUpBlock2D"])?;
    up.reverse();
    if down != up {
        return Err(settings.wrong("up_block_types", "are not those of the way down, backwards"));
    }
    Ok(down)
}

/// The heads of each level; the key that names their size has always held their number.
fn heads(settings: Settings<'_>, n: usize) -> Result<Vec<usize>, Error> {
    let heads = match settings.sizes_of_levels("num_attention_heads", n, MAX_HEADS)? {
        Some(heads) => Some(heads),
        None => settings.sizes_of_levels("attention_head_dim", n, MAX_HEADS)?,
    };
    Ok(heads.unwrap_or_else(|| vec![8; n]))
}

/// The middle has the heads of the last level, and as many layers as that names, also where it has none itself.
fn middle(settings: Settings<'_>, levels: &[LevelConfig]) -> Result<Option<LevelConfig>, Error> {
    if settings.config.get("mid_block_type").is_some_and(Value::is_null) {
        return Ok(None);
    }
    let layers = settings.sizes_of_levels("transformer_layers_per_block", levels.len(), MAX_LAYERS)?;
    let n_layers = layers.and_then(|layers| layers.last().copied()).unwrap_or(1);
    Ok(levels.last().map(|level| LevelConfig { n_layers, ..level.clone() }))
}

fn residuals(settings: Settings<'_>, n: usize) -> Result<usize, Error> {
    let residuals =
        settings.sizes_of_levels("layers_per_block", n, MAX_RESIDUALS)?.unwrap_or_else(|| vec![2]);
    if residuals.iter().any(|number| *number != residuals[0]) {
        return Err(settings.wrong("layers_per_block", "differs from level to level"));
    }
    Ok(residuals[0])
}

fn waves(settings: Settings<'_>) -> Result<Waves, Error> {
    let first =
        if settings.truth("flip_sin_to_cos")?.unwrap_or(true) { First::Cosines } else { First::Sines };
    let shift = match settings.find("freq_shift").map(Value::as_u64) {
        None | Some(Some(0)) => 0,
        Some(Some(1)) => 1,
        Some(_) => return Err(settings.wrong("freq_shift", "is neither 0 nor 1")),
    };
    Ok(Waves { first, shift })
}

fn added(settings: Settings<'_>) -> Result<Option<AddedConfig>, Error> {
    if settings.find("addition_embed_type").is_none() {
        return Ok(None);
    }
    let wave = settings.size("addition_time_embed_dim")?;
    let width = settings.size("projection_class_embeddings_input_dim")?;
    Ok(Some(AddedConfig { wave, width }))
}
