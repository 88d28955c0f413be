//! Image models of real shapes with random weights: folders as `diffusers` writes them.

use std::path::{Path, PathBuf};

use base::disk::{Disk, RealDisk};
use formats::metadata::Value as Text;
use formats::{Dtype, Metadata, TensorSpec, safetensors};
use models::images::auto_encoder::{AutoEncoder, KlConfig};
use models::images::clip::{ClipConfig, ClipText};
use models::images::listed;
use models::images::unet::{UNet, UNetConfig};
use models::parameters::Listed;
use serde_json::{Value, json};
use text::clip::ClipTokenizer;
use text::clip::learn::{FEWEST, Files, Words};

use super::rows::Rows;
use super::{Synthesis, folder_type};
use crate::Failure;
use crate::worker::export::write_file;
use crate::worker::training::pictures::model::marks;
use crate::worker::training::record::io_failure;

/// The sizes of a published image model.
pub(super) struct ImageShape {
    /// What it is called here.
    pub name: &'static str,
    /// Which model has it.
    pub like: &'static str,
    /// The pipeline that draws with it.
    class: &'static str,
    parts: &'static [Part],
}

/// A part with weights.
struct Part {
    folder: &'static str,
    class: &'static str,
    settings: &'static str,
}

/// CLIP-L, which both have.
const CLIP_L: &str = r#"{"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "quick_gelu",
    "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
    "max_position_embeddings": 77, "projection_dim": 768, "vocab_size": 49408, "layer_norm_eps": 1e-5}"#;
const CLIP_G: &str = r#"{"architectures": ["CLIPTextModelWithProjection"], "model_type": "clip_text_model",
    "hidden_act": "gelu", "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20,
    "num_hidden_layers": 32, "max_position_embeddings": 77, "projection_dim": 1280, "vocab_size": 49408,
    "layer_norm_eps": 1e-5}"#;

/// Every shape, the smallest first. Source: the configurations that are published with each model, as facts.
pub(super) static SHAPES: &[ImageShape] = &[
    ImageShape {
        name: "sd1.5",
        like: "Stable Diffusion 1.5",
        class: "StableDiffusionPipeline",
        parts: &[
            Part { folder: "text_encoder", class: "CLIPTextModel", settings: CLIP_L },
            Part {
                folder: "unet",
                class: "UNet2DConditionModel",
                settings: r#"{"sample_size": 64, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 768,
                    "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2, "attention_head_dim": 8,
                    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                    "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                    "CrossAttnUpBlock2D"], "norm_num_groups": 32, "act_fn": "silu"}"#,
            },
            Part { folder: "vae", class: "AutoencoderKL", settings: VAE },
        ],
    },
    ImageShape {
        name: "sdxl",
        like: "Stable Diffusion XL",
        class: "StableDiffusionXLPipeline",
        parts: &[
            Part { folder: "text_encoder", class: "CLIPTextModel", settings: CLIP_L },
            Part { folder: "text_encoder_2", class: "CLIPTextModelWithProjection", settings: CLIP_G },
            Part {
                folder: "unet",
                class: "UNet2DConditionModel",
                settings: r#"{"sample_size": 128, "in_channels": 4, "out_channels": 4, "cross_attention_dim": 2048,
                    "block_out_channels": [320, 640, 1280], "layers_per_block": 2, "attention_head_dim": [5, 10, 20],
                    "transformer_layers_per_block": [1, 2, 10], "use_linear_projection": true,
                    "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
                    "projection_class_embeddings_input_dim": 2816, "down_block_types": ["DownBlock2D",
                    "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D",
                    "CrossAttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 32, "act_fn": "silu"}"#,
            },
            Part { folder: "vae", class: "AutoencoderKL", settings: VAE },
        ],
    },
];

/// Both have an auto-encoder of this shape.
const VAE: &str = r#"{"in_channels": 3, "out_channels": 3, "latent_channels": 4, "sample_size": 512,
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "down_block_types": ["DownEncoderBlock2D",
    "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D",
    "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"], "norm_num_groups": 32, "act_fn": "silu",
    "scaling_factor": 0.18215}"#;

impl ImageShape {
    /// The shape of this name, where it is one of images.
    pub fn named(wanted: &str) -> Option<&'static Self> {
        SHAPES.iter().find(|shape| shape.name == wanted)
    }

    /// Writes the folder; the files, with their bytes.
    ///
    /// # Errors
    /// A mix that folders do not have, or what the disk says.
    pub fn write(&self, order: &Synthesis) -> Result<Vec<(PathBuf, u64)>, Failure> {
        let (dtype, torch_dtype) = folder_type(&order.mix)?;
        let out = Out(&order.out);
        let words = Words::default().learn(FEWEST);
        let tokenizer = ClipTokenizer::from_files(words.vocabulary.as_bytes(), words.merges.as_bytes())?;
        let mut files = Vec::new();
        for part in self.parts {
            let mut settings = part.settings();
            settings["torch_dtype"] = json!(torch_dtype);
            if part.is_text() {
                settings["bos_token_id"] = json!(tokenizer.begin());
                settings["eos_token_id"] = json!(tokenizer.end());
                files.extend(out.tokenizer(&part.folder.replace("text_encoder", "tokenizer"), &words)?);
            } else {
                settings["_class_name"] = json!(part.class);
            }
            files.push(out.json(part.folder, "config.json", &settings)?);
            files.push(out.weights(part, (&settings, dtype))?);
        }
        let scheduler = json!({
            "_class_name": "EulerDiscreteScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "prediction_type": "epsilon", "steps_offset": 1,
            "timestep_spacing": "leading",
        });
        files.push(out.json("scheduler", "scheduler_config.json", &scheduler)?);
        files.push(out.json("", "model_index.json", &self.index())?);
        Ok(files)
    }

    fn index(&self) -> Value {
        let mut index = json!({
            "_class_name": self.class,
            "scheduler": ["diffusers", "EulerDiscreteScheduler"],
            "feature_extractor": [null, null],
            "image_encoder": [null, null],
        });
        if self.class == "StableDiffusionPipeline" {
            index["safety_checker"] = json!([null, null]);
            index["requires_safety_checker"] = json!(false);
        }
        for part in self.parts {
            let library = if part.is_text() { "transformers" } else { "diffusers" };
            index[part.folder] = json!([library, part.class]);
            if part.is_text() {
                let tokenizer = part.folder.replace("text_encoder", "tokenizer");
                index[tokenizer] = json!(["transformers", "CLIPTokenizer"]);
            }
        }
        index
    }
}

impl Part {
    fn is_text(&self) -> bool {
        self.class.starts_with("CLIP")
    }

    fn settings(&self) -> Value {
        serde_json::from_str(self.settings).expect("a test reads every shape")
    }

    /// Every tensor of its file.
    fn list(&self, settings: &Value) -> Result<Vec<Listed>, Failure> {
        let device = ops::device::cpu();
        if !self.is_text() {
            return Ok(listed::list(&device, |tensors| match self.class {
                "AutoencoderKL" => {
                    AutoEncoder::load(tensors, KlConfig::from_json(settings, self.folder)?, &device).map(drop)
                }
                _ => UNet::load(tensors, UNetConfig::from_json(settings, self.folder)?, &device).map(drop),
            })?);
        }
        let config = ClipConfig::from_json(settings, self.folder)?;
        let (width, projection) = (config.width, config.projection);
        let mut list = listed::list(&device, |tensors| ClipText::load(tensors, config, &device).map(drop))?;
        if self.class.ends_with("WithProjection") {
            // Loading takes one where there is one.
            let (name, shape) = ("text_projection.weight".to_owned(), vec![projection, width]);
            list.push(Listed { name, shape, mean: 0.0, deviation: (width as f32).powf(-0.5) });
        }
        Ok(list)
    }
}

/// The folder of a model.
struct Out<'a>(&'a Path);

impl Out<'_> {
    fn path(&self, part: &str, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.0.join(part);
        for folder in [self.0, &folder] {
            RealDisk.create_dir(folder).map_err(|error| io_failure("create", folder, &error))?;
        }
        Ok(folder.join(name))
    }

    fn bytes(&self, part: &str, name: &str, bytes: &[u8]) -> Result<(PathBuf, u64), Failure> {
        let path = self.path(part, name)?;
        write_file(&path, |out| out.write_all(bytes).map_err(|error| io_failure("write", &path, &error)))
    }

    fn json(&self, part: &str, name: &str, value: &Value) -> Result<(PathBuf, u64), Failure> {
        self.bytes(part, name, format!("{value:#}\n").as_bytes())
    }

    fn tokenizer(&self, part: &str, words: &Files) -> Result<Vec<(PathBuf, u64)>, Failure> {
        let mut settings = marks();
        settings["tokenizer_class"] = "CLIPTokenizer".into();
        settings["model_max_length"] = 77.into();
        Ok(vec![
            self.bytes(part, "vocab.json", words.vocabulary.as_bytes())?,
            self.bytes(part, "merges.txt", words.merges.as_bytes())?,
            self.json(part, "tokenizer_config.json", &settings)?,
            self.json(part, "special_tokens_map.json", &marks())?,
        ])
    }

    fn weights(&self, part: &Part, (settings, dtype): (&Value, Dtype)) -> Result<(PathBuf, u64), Failure> {
        let list = part.list(settings)?;
        let name = if part.is_text() { "model.safetensors" } else { "diffusion_pytorch_model.safetensors" };
        let path = self.path(part.folder, name)?;
        let mut metadata = Metadata::new(name);
        metadata.insert("format", Text::String("pt".into()));
        let spec =
            |shape: Vec<usize>, listed: &Listed| TensorSpec { name: listed.name.clone(), dtype, shape };
        let specs: Vec<TensorSpec> = list.iter().map(|listed| spec(listed.shape.clone(), listed)).collect();
        write_file(&path, |out| {
            let mut writer = safetensors::write(out, &metadata, &specs)?;
            let mut rows = Rows::default();
            for listed in &list {
                // A kernel is one row.
                let columns = listed.shape.iter().skip(1).product::<usize>();
                let flat = match listed.shape.len() {
                    1 => listed.shape.clone(),
                    _ => vec![listed.shape[0], columns],
                };
                rows.write(listed, &spec(flat, listed), &mut |bytes| writer.append(bytes))?;
            }
            writer.finish().map(drop).map_err(Failure::from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published numbers of parameters of each part.
    #[test]
    fn parts_have_the_sizes_of_the_models_that_they_are_named_after() {
        let wanted = [
            ("sd1.5", &[("text_encoder", 123_060_480), ("unet", 859_520_964), ("vae", 83_653_863)][..]),
            (
                "sdxl",
                &[
                    ("text_encoder", 123_060_480),
                    ("text_encoder_2", 694_659_840),
                    ("unet", 2_567_463_684),
                    ("vae", 83_653_863),
                ],
            ),
        ];
        assert_eq!(wanted.len(), SHAPES.len());
        for (name, parts) in wanted {
            let shape = ImageShape::named(name).unwrap();
            assert_eq!(shape.parts.len(), parts.len());
            for (part, (folder, n_parameters)) in shape.parts.iter().zip(parts) {
                let list = part.list(&part.settings()).unwrap();
                let n: usize = list.iter().map(|listed| listed.shape.iter().product::<usize>()).sum();
                assert_eq!((part.folder, n), (*folder, *n_parameters), "{name}");
            }
        }
    }
}
