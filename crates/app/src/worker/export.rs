//! Writing a model for other programs: a GGUF file in any storage, or a folder as `transformers` reads it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base::disk::{Disk, RealDisk, replace};
use formats::metadata::Value;
use formats::{Dtype, Metadata, TensorFile, TensorSpec, gguf, safetensors};
use models::Config;
use models::parameters::{Parameters, Written};
use serde_json::json;
use store::Store;

use super::training::record::io_failure;
use super::contents::Contents;
use super::{open, vocabulary};
use crate::event::training::Exported;
use crate::job::training::{Export, Format, Storage};
use crate::{Event, Failure};

/// Q8_0 keeps this many numbers together.
const BLOCK: usize = 32;

/// Writes the model; nothing that was there before is lost unless the whole is written.
pub(crate) fn run(store: &Store, export: &Export) -> Result<Event, Failure> {
    let source = open::find(store, &export.model)?;
    let file = Contents::read(&source)?.tensors;
    let files = match export.format {
        Format::Gguf => vec![write_file(&export.out, |out| write_gguf(&file, export.storage, out))?],
        Format::Safetensors => write_folder(&file, export)?,
    };
    Ok(Event::Exported(Exported { model: source.name, files }))
}

/// Writes a file in the place of the one that may be there; its path and its size in bytes.
fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(PathBuf, u64), Failure> {
    let failed = |action: &'static str, path: &Path, error| io_failure(action, path, &error);
    replace(&RealDisk, path, write, failed)?;
    let size = RealDisk.facts(path).map_err(|error| failed("look at", path, error))?.size_bytes;
    Ok((path.to_path_buf(), size))
}

/// The same file with its matrices in `storage`; vectors stay as exact as they can be.
fn write_gguf(file: &TensorFile, storage: Option<Storage>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut metadata = file.metadata().clone();
    if let Some(storage) = storage {
        metadata.insert("general.file_type", Value::U32(file_type(storage)));
        metadata.insert("general.quantization_version", Value::U32(2));
    }
    let target = |entry: &formats::TensorEntry| match storage {
        Some(storage) if entry.shape.len() == 2 => dtype(storage, &entry.shape),
        Some(_) => Dtype::F32,
        None => entry.dtype,
    };
    let spec = |entry: &formats::TensorEntry| TensorSpec { dtype: target(entry), ..entry.spec() };
    let specs: Vec<TensorSpec> = file.tensors().iter().map(spec).collect();
    let mut writer = gguf::write(out, &metadata, &specs)?;
    for (entry, spec) in file.tensors().iter().zip(&specs) {
        let bytes = file.tensor_bytes(entry)?;
        if entry.dtype == spec.dtype {
            writer.append(bytes)?;
        } else {
            writer.append(&stored(&widened(file, entry, bytes)?, spec.dtype))?;
        }
    }
    writer.finish()?;
    Ok(())
}

fn widened(file: &TensorFile, entry: &formats::TensorEntry, bytes: &[u8]) -> Result<Vec<f32>, Failure> {
    let storage = models::tensors::storage(entry.dtype).ok_or_else(|| {
        let (file, name) = (file.file().label().into(), entry.name.clone());
        models::Error::Storage { file, name, found: entry.dtype.to_string() }
    })?;
    Ok(storage.widen(bytes))
}

/// The type in which a matrix of this shape is stored.
fn dtype(storage: Storage, shape: &[usize]) -> Dtype {
    match storage {
        Storage::Bf16 => Dtype::BF16,
        Storage::F16 => Dtype::F16,
        Storage::Q8_0 if shape.last().is_some_and(|row| row.is_multiple_of(BLOCK)) => Dtype::Q8_0,
        Storage::F32 | Storage::Q8_0 => Dtype::F32,
    }
}

/// The number of `general.file_type` in the GGUF specification.
fn file_type(storage: Storage) -> u32 {
    match storage {
        Storage::F32 => 0,
        Storage::F16 => 1,
        Storage::Q8_0 => 7,
        Storage::Bf16 => 32,
    }
}

fn stored(values: &[f32], dtype: Dtype) -> Vec<u8> {
    let storage = models::tensors::storage(dtype).expect("only types that can be stored are asked for");
    storage.narrow(values)
}

/// A folder with `config.json`, `model.safetensors` and the vocabulary.
fn write_folder(file: &TensorFile, export: &Export) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let storage = match export.storage.unwrap_or(Storage::F32) {
        Storage::Q8_0 => {
            let message = "safetensors files have no Q8_0 blocks";
            return Err(Failure::new(
                "bad_setting",
                message,
                "take --storage f32, bf16 or f16, or --format gguf",
            ));
        }
        storage => storage,
    };
    let label = file.file().label();
    let family = models::recognise(file)?;
    let config = Config::from_gguf(file.metadata(), &family.gguf, label)?;
    let names: Vec<String> = file.tensors().iter().map(|tensor| tensor.name.clone()).collect();
    let parameters = Parameters::read(file, &names, config, &family.gguf, &ops::device::cpu())?;
    let mut parts = vocabulary::parts(file.metadata(), label)?;
    if parts.token_types.is_empty() {
        parts.token_types = vec![text::TokenType::Normal; parts.tokens.len()];
    }
    let Some(tokenizer) = parts.to_tokenizer_json()? else {
        let message = format!("{label}: only byte-level vocabularies can be written as tokenizer.json");
        return Err(Failure::new("unknown_vocabulary", message, "export it as --format gguf"));
    };
    let folder = &export.out;
    RealDisk.create_dir(folder).map_err(|error| io_failure("create", folder, &error))?;
    let mut settings = parameters.config().describe_hugging_face(family, parameters.head());
    settings["torch_dtype"] = json!(match storage {
        Storage::Bf16 => "bfloat16",
        Storage::F16 => "float16",
        Storage::F32 | Storage::Q8_0 => "float32",
    });
    let id = |token: Option<base::TokenId>| token.map(|id| id.0);
    settings["bos_token_id"] = json!(id(parts.bos));
    settings["eos_token_id"] = json!(id(parts.eos));
    let ends: Vec<u32> = parts.eos.iter().chain(&parts.ends).map(|id| id.0).collect();
    let generation =
        json!({ "bos_token_id": id(parts.bos), "eos_token_id": ends, "pad_token_id": id(parts.pad) });
    let text = |name: &str, value: &serde_json::Value| {
        write_file(&folder.join(name), |out| {
            let written = serde_json::to_writer_pretty(out, value).map_err(io::Error::from);
            written.map_err(|error| io_failure("write", &folder.join(name), &error))
        })
    };
    let context = parameters.config().context;
    Ok(vec![
        text("config.json", &settings)?,
        text("generation_config.json", &generation)?,
        text("tokenizer.json", &tokenizer)?,
        text("tokenizer_config.json", &tokenizer_config(&parts, file.metadata(), context))?,
        write_file(&folder.join("model.safetensors"), |out| {
            write_safetensors(&parameters.written(&family.hugging_face), storage, out)
        })?,
    ])
}

fn write_safetensors(written: &[Written<'_>], storage: Storage, out: &mut dyn Write) -> Result<(), Failure> {
    let mut metadata = Metadata::new("model.safetensors");
    metadata.insert("format", Value::String("pt".into()));
    let spec = |tensor: &Written<'_>| TensorSpec {
        name: tensor.name.clone(),
        dtype: dtype(storage, &tensor.shape),
        shape: tensor.shape.clone(),
    };
    let specs: Vec<TensorSpec> = written.iter().map(spec).collect();
    let mut writer = safetensors::write(out, &metadata, &specs)?;
    for (tensor, spec) in written.iter().zip(&specs) {
        writer.append(&stored(&tensor.values(), spec.dtype))?;
    }
    writer.finish()?;
    Ok(())
}

fn tokenizer_config(parts: &text::VocabularyParts, metadata: &Metadata, context: usize) -> serde_json::Value {
    let token = |id: Option<base::TokenId>| id.and_then(|id| parts.tokens.get(id.0 as usize));
    let template = metadata.find::<&str>("tokenizer.chat_template").ok().flatten();
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": token(parts.bos),
        "eos_token": token(parts.eos),
        "pad_token": token(parts.pad),
        "unk_token": token(parts.unk),
        "add_bos_token": parts.add_bos.unwrap_or(false),
        "chat_template": template,
        "clean_up_tokenization_spaces": false,
        "model_max_length": context,
    })
}
