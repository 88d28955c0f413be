//! Writing an image model for other programs: a folder as `diffusers` reads it, of a folder or of one file.

use std::path::{Path, PathBuf};

use base::disk::{Disk, RealDisk};
use formats::metadata::Value as Said;
use formats::{Dtype, Metadata, TensorSpec, safetensors};
use models::tensors::recorded::Recorded;
use models::tensors::{Tensors, dtype_of};
use serde_json::{Value, json};
use store::Store;

use super::write_file;
use crate::Failure;
use crate::job::training::{Export, Format, Storage};
use crate::worker::draw::files::{ImageFiles, Part};
use crate::worker::draw::parts::{INDEX, Parts, SCHEDULER, SCHEDULER_CONFIG};
use crate::worker::draw::vocabulary;
use crate::worker::folder::Folder;
use crate::worker::training::record::io_failure;

type Files = Vec<(PathBuf, u64)>;

/// The version of diffusers whose folders these are.
const VERSION: &str = "0.42.1";
/// What stands beside a vocabulary, where its model chats.
const TEMPLATE: &str = "chat_template.jinja";

/// Writes the folder.
///
/// # Errors
/// What cannot be written so, and what is wrong with the model's files.
pub(super) fn write(store: &Store, folder: &Folder, export: &Export) -> Result<Files, Failure> {
    if export.format == Format::Gguf || export.storage == Some(Storage::Q8_0) {
        let message = "image models are written as a folder of safetensors, in f32, bf16 or f16";
        return Err(Failure::new("bad_setting", message, "name a folder with --out, and --storage f16"));
    }
    let files = ImageFiles::open(folder)?;
    let words = vocabulary::find(store, None, &files)?.map(|found| found.folder);
    let files = files.with_vocabulary(words);
    let device = ops::device::cpu();
    let parts = Parts { files: &files, device: &device, loras: &[], embeddings: &[] };
    let out = Out { folder: &export.out, storage: export.storage };
    out.create("")?;
    let mut written = Files::new();
    let mut index = json!({ "_diffusers_version": VERSION });
    for name in Parts::names() {
        let is_words = name.starts_with("tokenizer");
        let listed = match files.settings(name)? {
            _ if is_words => out.words(&files, name, &mut written)?,
            Some(_) => Some(out.part(&parts, name, &mut written)?),
            None => None,
        };
        if let Some(listed) = listed {
            index[name] = listed;
        }
    }
    let mut scheduler = files.scheduler()?;
    let class = scheduler["_class_name"].as_str().unwrap_or("EulerDiscreteScheduler").to_owned();
    scheduler["_class_name"] = json!(class);
    out.create(SCHEDULER)?;
    written.push(out.json(&format!("{SCHEDULER}/{SCHEDULER_CONFIG}"), &scheduler)?);
    index[SCHEDULER] = json!(["diffusers", class]);
    if let Some(own) = files.index()?.as_object() {
        // What is no part: settings of the pipeline, and parts that this one does without.
        let is_said = |value: &Value| !value.is_array() || value[0].is_null();
        own.iter().filter(|(_, value)| is_said(value)).for_each(|(key, value)| index[key] = value.clone());
    }
    if index["_class_name"] == "StableDiffusionPipeline" {
        index["requires_safety_checker"] = json!(false);
        for absent in ["safety_checker", "feature_extractor", "image_encoder"] {
            index[absent] = json!([null, null]);
        }
    }
    written.push(out.json(INDEX, &index)?);
    Ok(written)
}

/// Where the folder goes, and how its numbers are stored.
struct Out<'a> {
    folder: &'a Path,
    storage: Option<Storage>,
}

impl Out<'_> {
    fn create(&self, name: &str) -> Result<(), Failure> {
        let folder = self.folder.join(name);
        RealDisk.create_dir(&folder).map_err(|error| io_failure("create", &folder, &error))
    }

    fn bytes(&self, name: &str, bytes: &[u8]) -> Result<(PathBuf, u64), Failure> {
        let path = self.folder.join(name);
        write_file(&path, |out| out.write_all(bytes).map_err(|error| io_failure("write", &path, &error)))
    }

    fn json(&self, name: &str, value: &Value) -> Result<(PathBuf, u64), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|_| Failure::internal())?;
        self.bytes(name, text.as_bytes())
    }

    /// The settings and weights of a part; how the index names it.
    fn part(&self, parts: &Parts<'_>, name: &str, written: &mut Files) -> Result<Value, Failure> {
        let part = parts.part(name)?;
        self.create(name)?;
        written.push(self.json(&format!("{name}/config.json"), &part.settings)?);
        let is_text = name.starts_with("text_encoder");
        let file = if is_text { "model.safetensors" } else { "diffusion_pytorch_model.safetensors" };
        let names = names(parts, name, &part)?;
        let path = self.folder.join(name).join(file);
        written.push(write_file(&path, |out| self.tensors(&*part.tensors, &names, out))?);
        let class = match is_text {
            true => part.settings["architectures"][0].as_str(),
            false => part.settings["_class_name"].as_str(),
        };
        let class = class.unwrap_or(if name == "vae" { "AutoencoderKL" } else { "UNet2DConditionModel" });
        Ok(json!([if is_text { "transformers" } else { "diffusers" }, class]))
    }

    fn tensors(
        &self,
        tensors: &dyn Tensors,
        names: &[String],
        out: &mut dyn std::io::Write,
    ) -> Result<(), Failure> {
        let mut metadata = Metadata::new("model.safetensors");
        metadata.insert("format", Said::String("pt".into()));
        let found = |name: &String| tensors.find(name)?.ok_or_else(Failure::internal);
        let mut specs = Vec::new();
        for name in names {
            let tensor = found(name)?;
            specs.push(TensorSpec {
                name: name.clone(),
                dtype: self.dtype(dtype_of(tensor.storage)),
                shape: flat(name, tensor.shape),
            });
        }
        let mut writer = safetensors::write(out, &metadata, &specs)?;
        for spec in &specs {
            let tensor = found(&spec.name)?;
            match models::tensors::storage(spec.dtype) {
                Some(storage) if storage != tensor.storage => {
                    writer.append(&storage.narrow(&tensor.storage.widen(tensor.bytes.as_slice())))?;
                }
                _ => writer.append(tensor.bytes.as_slice())?,
            }
        }
        writer.finish()?;
        Ok(())
    }

    /// How numbers are stored that are stored so now: as they are, but blocks as whole numbers.
    fn dtype(&self, now: Dtype) -> Dtype {
        match (self.storage, now) {
            (Some(Storage::F32), _) => Dtype::F32,
            (Some(Storage::Bf16), _) => Dtype::BF16,
            (Some(Storage::F16), _) => Dtype::F16,
            (_, Dtype::F32 | Dtype::BF16 | Dtype::F16) => now,
            _ => Dtype::F32,
        }
    }

    /// The vocabulary of a text encoder; how the index names it, where there is one.
    fn words(&self, files: &ImageFiles, name: &str, written: &mut Files) -> Result<Option<Value>, Failure> {
        let encoder = name.replace("tokenizer", "text_encoder");
        if files.settings(&encoder)?.is_none() {
            return Ok(None);
        }
        self.create(name)?;
        if files.single().is_none() {
            let from = files.folder().part(name);
            for file in vocabulary::WORD_FILES.into_iter().chain([TEMPLATE]) {
                if let Some(bytes) = from.file(file)? {
                    written.push(self.bytes(&format!("{name}/{file}"), bytes.as_slice())?);
                }
            }
            let listed = files.index()?[name].clone();
            return Ok(Some(if listed.is_array() { listed } else { clip() }));
        }
        files.clip_words(name)?;
        for file in vocabulary::FILES {
            if let Some(bytes) = files.word_file(name, file)? {
                written.push(self.bytes(&format!("{name}/{file}"), bytes.as_slice())?);
            }
        }
        let end = "<|endoftext|>";
        let padding = files.padding(&encoder, name)?;
        let context =
            files.settings(&encoder)?.map(|(_, settings)| settings["max_position_embeddings"].clone());
        let settings = json!({
            "tokenizer_class": "CLIPTokenizer", "model_max_length": context, "bos_token": "<|startoftext|>",
            "eos_token": end, "unk_token": end, "pad_token": padding.as_deref().unwrap_or(end),
        });
        written.push(self.json(&format!("{name}/tokenizer_config.json"), &settings)?);
        Ok(Some(clip()))
    }
}

fn clip() -> Value {
    json!(["transformers", "CLIPTokenizer"])
}

/// The names of the tensors of a part: all of its own file, or of one file those that it is made of.
fn names(parts: &Parts<'_>, name: &str, part: &Part<'_>) -> Result<Vec<String>, Failure> {
    if parts.files.is_alone(name) {
        let file = parts.files.folder().part(name).tensors()?;
        let known = |dtype| models::tensors::storage(dtype).is_some();
        // Counters and the like are numbers that nothing is computed with.
        let kept = file.tensors().iter().filter(|tensor| known(tensor.dtype));
        return Ok(kept.map(|tensor| tensor.name.clone()).collect());
    }
    let recorded = Recorded::new(&*part.tensors);
    parts.load(name, (&part.settings, &part.label), &recorded)?;
    Ok(recorded.names())
}

/// Products of single pixels are matrices in the attention of auto-encoders of `diffusers`.
fn flat(name: &str, mut shape: Vec<usize>) -> Vec<usize> {
    if name.contains("mid_block.attentions.0.to_") && shape.ends_with(&[1, 1]) && shape.len() == 4 {
        shape.truncate(2);
    }
    shape
}
