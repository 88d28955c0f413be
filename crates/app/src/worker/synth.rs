//! Models of real shapes with random weights, for measuring: the sizes and the vocabulary's length of a published model,
//! in any mix of types, as a GGUF file or as a folder.
//!
//! Such a model says nothing that means anything, and is as fast and as large as the one whose sizes it has. Is not a
//! model that was converted: no published weight is read. Memory stays small: a tensor is written row by row from a few
//! rows that are drawn at random and stored once.

mod images;
mod rows;
mod shapes;
mod vocabulary;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base::disk::{Disk, RealDisk};
use formats::metadata::Value;
use formats::{Dtype, Metadata, TensorSpec, TensorWriter, gguf, safetensors};
use models::parameters::{Listed, list};
use models::{Config, Dialect, Family};
use serde_json::json;

use super::export::{Vocabulary, tokenizer_config, write_file};
use super::quantise;
use super::quantise::mix::Mix;
use super::training::conversation::chat_template;
use super::training::record::io_failure;
use crate::Failure;
use crate::job::training::Format;
use images::ImageShape;
use rows::Rows;
use shapes::Shape;

/// A model to make.
#[derive(Clone, Debug)]
pub struct Synthesis {
    /// The shape, by its name: see [`shape_names`].
    pub shape: String,
    /// The mix of types, as `hearth quantize` names it; of a folder F32, BF16 or F16.
    pub mix: String,
    /// The file, or the folder.
    pub out: PathBuf,
    /// A GGUF file, or a folder as `transformers` reads it.
    pub format: Format,
}

/// The shapes that there are, each with the published model that has it.
pub fn shape_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_images = images::SHAPES.iter().map(|shape| (shape.name, shape.like));
    shapes::SHAPES.iter().map(|shape| (shape.name, shape.like)).chain(of_images)
}

/// Makes a model; the files that were written, with their bytes.
///
/// # Errors
/// A shape or mix that is not known, or what the disk says.
pub fn synthesise(order: &Synthesis) -> Result<Vec<(PathBuf, u64)>, Failure> {
    if let Some(shape) = ImageShape::named(&order.shape) {
        return shape.write(order);
    }
    let shape = Shape::named(&order.shape)?;
    let mix = quantise::named(&order.mix)?;
    let model = Model::new(shape, mix)?;
    match order.format {
        Format::Gguf => {
            let list = model.tensors(&model.family.gguf)?;
            Ok(vec![write_file(&order.out, |out| model.write_gguf(&list, out))?])
        }
        Format::Safetensors => model.write_folder(&order.out),
    }
}

/// The type of a folder's numbers, and what PyTorch calls it.
fn folder_type(mix: &str) -> Result<(Dtype, &'static str), Failure> {
    match mix {
        "F32" => Ok((Dtype::F32, "float32")),
        "BF16" => Ok((Dtype::BF16, "bfloat16")),
        "F16" => Ok((Dtype::F16, "float16")),
        other => {
            let message = format!("safetensors files have no {other}");
            Err(Failure::new("bad_setting", message, "take F32, BF16 or F16, or a GGUF file"))
        }
    }
}

/// A shape in a mix.
struct Model {
    shape: &'static Shape,
    mix: &'static Mix,
    family: &'static Family,
    /// What the shape says of itself.
    settings: serde_json::Value,
    config: Config,
}

impl Model {
    fn new(shape: &'static Shape, mix: &'static Mix) -> Result<Self, Failure> {
        let settings: serde_json::Value =
            serde_json::from_str(shape.config).expect("a test reads every shape");
        let family = models::families::recognise_config(&settings, shape.name)?;
        let config = Config::from_hugging_face(&settings, &family.hugging_face, shape.name)?;
        Ok(Self { shape, mix, family, settings, config })
    }

    /// Every tensor of a file of this dialect and its type.
    fn tensors(&self, dialect: &Dialect) -> Result<Vec<(Listed, TensorSpec)>, Failure> {
        let list = list(&self.config, self.shape.head, dialect);
        let spec = |listed: &Listed| TensorSpec {
            name: listed.name.clone(),
            dtype: Dtype::F32,
            shape: listed.shape.clone(),
        };
        let specs: Vec<TensorSpec> = list.iter().map(spec).collect();
        let specs = quantise::specs(&specs, dialect, &self.config, self.mix);
        Ok(list.into_iter().zip(specs).collect())
    }

    fn write_gguf(&self, list: &[(Listed, TensorSpec)], out: &mut dyn Write) -> Result<(), Failure> {
        let mut metadata = Metadata::new(self.shape.name);
        let mut text = |key: &str, value: String| metadata.insert(key, Value::String(value));
        text("general.name", self.shape.name.into());
        text("general.description", self.description());
        self.config.describe_gguf(self.family, &mut metadata);
        metadata.insert("general.file_type", Value::U32(self.mix.file_type));
        metadata.insert("general.quantization_version", Value::U32(2));
        let parts = vocabulary::parts(self.config.vocabulary)?;
        super::vocabulary::describe(&parts, Some(&chat_template()), &mut metadata);
        let specs: Vec<TensorSpec> = list.iter().map(|(_, spec)| spec.clone()).collect();
        write_tensors(gguf::write(out, &metadata, &specs)?, list)
    }

    fn write_folder(&self, folder: &Path) -> Result<Vec<(PathBuf, u64)>, Failure> {
        let (_, torch_dtype) = folder_type(self.mix.name)?;
        let list = self.tensors(&self.family.hugging_face)?;
        RealDisk.create_dir(folder).map_err(|error| io_failure("create", folder, &error))?;
        let parts = vocabulary::parts(self.config.vocabulary)?;
        let tokenizer = parts.to_tokenizer_json()?.expect("it is byte-level and has a list of merges");
        let eos = parts.eos.map(|id| id.0);
        let vocabulary = Vocabulary::new(parts, tokenizer);
        let mut settings = self.settings.clone();
        settings["torch_dtype"] = json!(torch_dtype);
        settings["eos_token_id"] = json!(eos);
        let text = |name: &str, value: &serde_json::Value| {
            write_file(&folder.join(name), |out| {
                let written = serde_json::to_writer_pretty(out, value).map_err(io::Error::from);
                written.map_err(|error| io_failure("write", &folder.join(name), &error))
            })
        };
        let mut metadata = Metadata::new("model.safetensors");
        metadata.insert("format", Value::String("pt".into()));
        Ok(vec![
            text("config.json", &settings)?,
            text("tokenizer.json", &vocabulary.json)?,
            text(
                "tokenizer_config.json",
                &tokenizer_config(&vocabulary, Some(chat_template()), self.config.context),
            )?,
            write_file(&folder.join("model.safetensors"), |out| {
                let specs: Vec<TensorSpec> = list.iter().map(|(_, spec)| spec.clone()).collect();
                write_tensors(safetensors::write(out, &metadata, &specs)?, &list)
            })?,
        ])
    }

    fn description(&self) -> String {
        format!("random weights of the shape of {}, for measuring", self.shape.like)
    }
}

fn write_tensors(
    mut writer: TensorWriter<&mut dyn Write>,
    list: &[(Listed, TensorSpec)],
) -> Result<(), Failure> {
    let mut rows = Rows::default();
    for (listed, spec) in list {
        rows.write(listed, spec, &mut |bytes| writer.append(bytes))?;
    }
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::contents::Contents;
    use crate::worker::open::Files;

    /// The published numbers of parameters, tables that are read twice counted once.
    #[test]
    fn shapes_have_the_sizes_of_the_models_that_they_are_named_after() {
        let wanted: &[(&str, f64)] = &[
            ("llama-110m", 109.5e6),
            ("smollm2-135m", 134.5e6),
            ("gpt2", 124.4e6),
            ("qwen2.5-0.5b", 494.0e6),
            ("qwen3-0.6b", 596.0e6),
            ("gemma3-1b", 999.9e6),
            ("llama-1b", 1235.8e6),
            ("qwen3-1.7b", 1720.6e6),
            ("gemma2-2b", 2614.3e6),
            ("phi3-mini", 3821.1e6),
            ("moe-7b-a1b", 6919.2e6),
            ("mistral-7b", 7248.0e6),
            ("llama-8b", 8030.3e6),
        ];
        assert_eq!(wanted.len(), shapes::SHAPES.len());
        for (name, n_parameters) in wanted {
            let model = Model::new(Shape::named(name).unwrap(), Mix::named("F32").unwrap()).unwrap();
            for dialect in [&model.family.gguf, &model.family.hugging_face] {
                let list = model.tensors(dialect).unwrap();
                let n: usize = list.iter().map(|(listed, _)| listed.shape.iter().product::<usize>()).sum();
                assert!((n as f64 / n_parameters - 1.0).abs() < 1e-3, "{name}: {n} of {n_parameters}");
            }
        }
    }

    /// Whatever a shape says is found again in the GGUF file that it becomes.
    #[test]
    fn a_shape_is_the_same_in_both_kinds_of_file() {
        for shape in shapes::SHAPES {
            let model = Model::new(shape, Mix::named("Q4_K_M").unwrap()).unwrap();
            let mut metadata = Metadata::new(shape.name);
            model.config.describe_gguf(model.family, &mut metadata);
            let found = Config::from_gguf(&metadata, &model.family.gguf, shape.name).unwrap();
            let (blocks, rope_layout) = (found.blocks, found.rope_layout);
            let score_scale = found.score_scale;
            assert!((score_scale / model.config.score_scale - 1.0).abs() < 1e-6, "{}", shape.name);
            assert_eq!(
                found,
                Config { blocks, rope_layout, score_scale, ..model.config.clone() },
                "{}",
                shape.name
            );
        }
    }

    /// Small enough to be made in a test, with all that a large one has.
    static SMALL: Shape = Shape {
        name: "small",
        like: "nothing",
        head: models::parameters::Head::Own,
        config: r#"{"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "vocab_size": 300,
            "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 64, "intermediate_size": 256, "moe_intermediate_size": 256, "num_experts": 4,
            "num_experts_per_tok": 2, "norm_topk_prob": false, "decoder_sparse_step": 1, "mlp_only_layers": [],
            "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
            "use_sliding_window": false, "tie_word_embeddings": false}"#,
    };

    /// The logits behind a text are numbers, and not all the same.
    fn check_speaks(decoder: models::Decoder, tokenizer: &text::Tokenizer) {
        let tokens = tokenizer.encode("to be or not", text::Special::Plain).unwrap();
        let logits = infer::LocalModel::new(decoder, 1 << 20).logits(&tokens);
        let mean = logits.iter().sum::<f32>() / logits.len() as f32;
        let deviation = logits.iter().map(|logit| (logit - mean).powi(2)).sum::<f32>() / logits.len() as f32;
        assert!(deviation.is_finite() && deviation > 0.01, "{deviation}");
    }

    #[test]
    fn a_made_model_runs_from_a_file_in_any_mix() {
        for mix in ["F16", "Q8_0", "Q4_K_M"] {
            let model = Model::new(&SMALL, Mix::named(mix).unwrap()).unwrap();
            let mut bytes = Vec::new();
            model.write_gguf(&model.tensors(&model.family.gguf).unwrap(), &mut bytes).unwrap();
            let files = Files::Gguf(vec![formats::FileBytes::from_vec("small.gguf", bytes)]);
            let contents = Contents::of(&files, "small").unwrap();
            let (decoder, tokenizer) = contents.decoder_and_tokenizer(&ops::device::cpu()).unwrap();
            assert!(contents.template().unwrap().is_some());
            let head = contents.tensors.tensor("output.weight").unwrap();
            assert_eq!(head.dtype.name(), if mix == "Q4_K_M" { "Q6_K" } else { mix });
            check_speaks(decoder, &tokenizer);
        }
    }

    #[test]
    fn a_made_model_runs_from_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::new(&SMALL, Mix::named("BF16").unwrap()).unwrap();
        let written = model.write_folder(&folder.path().join("small")).unwrap();
        assert_eq!(written.len(), 4);
        let path = folder.path().join("small");
        let files = Files::at(&path).unwrap();
        let contents = Contents::of(&files, "small").unwrap();
        let (decoder, tokenizer) = contents.decoder_and_tokenizer(&ops::device::cpu()).unwrap();
        check_speaks(decoder, &tokenizer);
    }

    #[test]
    fn unknown_shapes_and_mixes_are_refused_with_a_list() {
        let make = |shape: &str, mix: &str, format| {
            let (shape, mix) = (shape.into(), mix.into());
            synthesise(&Synthesis { shape, mix, out: "/nowhere/out".into(), format }).unwrap_err()
        };
        assert!(make("llama-2b", "Q8_0", Format::Gguf).hint.contains("llama-8b"));
        assert!(make("gpt2", "Q9", Format::Gguf).hint.contains("Q4_K_M"));
        assert_eq!(make("gpt2", "Q8_0", Format::Safetensors).code, "bad_setting");
    }
}
