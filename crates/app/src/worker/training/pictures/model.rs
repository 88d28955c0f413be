//! The files of an image model that was trained, as `diffusers` reads them.

use base::disk::replace;
use formats::metadata::Value as Text;
use formats::{Dtype, Metadata, TensorSpec, safetensors};
use ops::weight::Storage as Stored;
use serde_json::{Value, json};
use text::clip::learn::Files;
use train::pictures::{Painting, Storage};

use super::super::record::{Folder, io_failure};
use crate::Failure;

/// What the weights of each part are called.
const WEIGHTS: [(&str, &str); 3] = [
    ("text_encoder", "model.safetensors"),
    ("unet", "diffusion_pytorch_model.safetensors"),
    ("vae", "diffusion_pytorch_model.safetensors"),
];

/// Writes the folder `model` of a run and gives its place.
pub(super) fn write<'a>(
    run: &Folder<'a>,
    (painting, storage): (&Painting, Storage),
    files: &Files,
) -> Result<Folder<'a>, Failure> {
    let model = below(run, "model")?;
    let parts = painting.parts();
    let settings = [
        ("text_encoder", "config.json", &parts.text_encoder),
        ("unet", "config.json", &parts.unet),
        ("vae", "config.json", &parts.auto_encoder),
        ("scheduler", "scheduler_config.json", &parts.scheduler),
        ("tokenizer", "tokenizer_config.json", &tokenizer(painting)),
        ("tokenizer", "special_tokens_map.json", &marks()),
    ];
    for (part, name, value) in settings {
        below(&model, part)?.write(name, pretty(value).as_bytes())?;
    }
    let vocabulary = below(&model, "tokenizer")?;
    vocabulary.write("vocab.json", files.vocabulary.as_bytes())?;
    vocabulary.write("merges.txt", files.merges.as_bytes())?;
    for (part, name) in WEIGHTS {
        weights(&below(&model, part)?, name, (part, painting, storage))?;
    }
    // Last: whoever finds it finds everything.
    model.write("model_index.json", pretty(&index()).as_bytes())?;
    Ok(model)
}

fn below<'a>(folder: &Folder<'a>, name: &str) -> Result<Folder<'a>, Failure> {
    let path = folder.file(name);
    folder.disk.create_dir(&path).map_err(|error| io_failure("create", &path, &error))?;
    Ok(Folder { disk: folder.disk, path })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn index() -> Value {
    json!({
        "_class_name": "StableDiffusionPipeline",
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "safety_checker": [null, null],
        "feature_extractor": [null, null],
        "image_encoder": [null, null],
        "requires_safety_checker": false,
    })
}

pub(crate) fn marks() -> Value {
    let [begin, end] = ["<|startoftext|>", "<|endoftext|>"];
    json!({ "bos_token": begin, "eos_token": end, "unk_token": end, "pad_token": end })
}

fn tokenizer(painting: &Painting) -> Value {
    let mut settings = marks();
    settings["tokenizer_class"] = "CLIPTokenizer".into();
    settings["model_max_length"] = painting.settings().sizes.text.context.into();
    settings
}

fn weights(
    folder: &Folder<'_>,
    name: &str,
    (part, painting, storage): (&str, &Painting, Storage),
) -> Result<(), Failure> {
    let path = folder.file(name);
    let all = painting.weights();
    let Some((_, weights, prefix)) = all.into_iter().find(|(found, ..)| *found == part) else {
        return Err(Failure::internal());
    };
    let (stored, dtype) = match storage {
        Storage::F32 => (Stored::F32, Dtype::F32),
        Storage::F16 => (Stored::F16, Dtype::F16),
    };
    let mut metadata = Metadata::new(&path.display().to_string());
    metadata.insert("format", Text::String("pt".into()));
    let spec = |tensor: models::images::learning::Written<'_>| TensorSpec {
        name: tensor.name.to_owned(),
        dtype,
        shape: tensor.shape,
    };
    let specs: Vec<TensorSpec> = weights.written(prefix).map(spec).collect();
    let failed = |action: &'static str, path: &std::path::Path, error| io_failure(action, path, &error);
    replace(
        folder.disk,
        &path,
        |out| {
            let mut writer = safetensors::write(out, &metadata, &specs)?;
            for tensor in weights.written(prefix) {
                writer.append(&stored.narrow(&tensor.values()))?;
            }
            writer.finish()?;
            Ok(())
        },
        failed,
    )
}
