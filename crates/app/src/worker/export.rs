//! Writing a model for other programs: a GGUF file in any storage, or a folder as `transformers` or `diffusers` reads it.

mod images;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base::disk::{Disk, RealDisk, replace};
use formats::metadata::Value;
use formats::{Dtype, Metadata, TensorSpec, gguf, safetensors};
use models::encoder::{Classifier, Pooling};
use models::families::in_folder;
use models::tensors::translate::{Translated, head_of, translate};
use models::{Config, Family};
use serde_json::json;
use store::Store;
use text::VocabularyKind;

use super::contents::Contents;
use super::draw::files::is_image_model;
use super::one_file::{self, OneFile, Tensor};
use super::training::record::io_failure;
use super::{embed, open, vocabulary};
use crate::event::training::Exported;
use crate::job::training::{Export, Format, Storage};
use crate::{Event, Failure};

/// Q8_0 keeps this many numbers together.
const BLOCK: usize = 32;

/// Writes the model; nothing that was there before is lost unless the whole is written.
pub(crate) fn run(store: &Store, export: &Export) -> Result<Event, Failure> {
    let source = open::find_adapted(store, &export.model)?;
    if let open::Files::Folder(folder) = &source.files
        && is_image_model(folder)
    {
        let files = images::write(store, folder, export)?;
        return Ok(Event::Exported(Exported { model: source.name, files }));
    }
    let mut contents = Contents::read(&source)?;
    source.adapter.iter().try_for_each(|adapter| contents.merge(adapter))?;
    let files = match export.format {
        Format::Gguf => {
            let (family, config) = contents.sizes()?;
            let file = OneFile::of(&contents, (family, &config), &source.said)?;
            vec![write_file(&export.out, |out| write_gguf(&file, export.storage, out))?]
        }
        Format::Safetensors => write_folder(&contents, &source, export)?,
    };
    Ok(Event::Exported(Exported { model: source.name, files }))
}

/// Writes a file in the place of the one that may be there; its path and its size in bytes.
pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<(PathBuf, u64), Failure> {
    let failed = |action: &'static str, path: &Path, error| io_failure(action, path, &error);
    replace(&RealDisk, path, write, failed)?;
    let size = RealDisk.facts(path).map_err(|error| failed("look at", path, error))?.size_bytes;
    Ok((path.to_path_buf(), size))
}

/// One file with its matrices in `storage`; vectors, what chooses experts and what classifies stay as exact as they can be.
fn write_gguf(file: &OneFile<'_>, storage: Option<Storage>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut metadata = file.metadata.clone();
    if let Some(storage) = storage {
        metadata.insert("general.file_type", Value::U32(file_type(storage)));
        metadata.insert("general.quantization_version", Value::U32(2));
    }
    let router = file.family.gguf.names.router.split_once("{}").map_or("", |(_, end)| end);
    let heads = [file.family.gguf.names.classifier, file.family.gguf.names.classifier_dense];
    let is_exact = |name: &str| !router.is_empty() && name.ends_with(router) || heads.contains(&name);
    let target = |spec: &TensorSpec| match storage {
        Some(storage) if spec.shape.len() >= 2 && !spec.name.ends_with(".bias") && !is_exact(&spec.name) => {
            dtype(storage, &spec.shape)
        }
        // Others read vectors as f32 only.
        Some(_) => Dtype::F32,
        None if spec.shape.len() < 2 || is_exact(&spec.name) || spec.name.ends_with(".bias") => Dtype::F32,
        None => spec.dtype,
    };
    let old: Vec<TensorSpec> = file.tensors.iter().map(Tensor::spec).collect();
    let specs: Vec<TensorSpec> =
        old.iter().map(|spec| TensorSpec { dtype: target(spec), ..spec.clone() }).collect();
    let mut writer = gguf::write(out, &metadata, &specs)?;
    for (tensor, (old, new)) in file.tensors.iter().zip(old.iter().zip(&specs)) {
        let bytes = tensor.bytes()?;
        if old.dtype == new.dtype {
            writer.append(bytes.as_slice())?;
        } else {
            let storage = models::tensors::storage(old.dtype).ok_or_else(|| {
                let (file, name) = (metadata_name(&metadata), old.name.clone());
                models::Error::Storage { file, name, found: old.dtype.to_string() }
            })?;
            writer.append(&stored(&storage.widen(bytes.as_slice()), new.dtype))?;
        }
    }
    writer.finish()?;
    Ok(())
}

/// How errors name the model.
fn metadata_name(metadata: &Metadata) -> String {
    metadata.find::<&str>("general.name").ok().flatten().unwrap_or("the model").to_owned()
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
fn write_folder(
    contents: &Contents<'_>,
    source: &open::Source,
    export: &Export,
) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let storage = storage_in_folder(export)?;
    let (family, config) = contents.sizes()?;
    let dialect = contents.dialect(family);
    let config = config.with_divisors(&contents.tensors, dialect)?;
    // A folder says what it is; a GGUF file may be of one of several families.
    let is_said = contents.folder().is_some() || contents.is_encoder()?;
    let family = if is_said { family } else { in_folder(family, &config) };
    let names: Vec<String> = contents.tensors.tensors().iter().map(|tensor| tensor.name.clone()).collect();
    let written = translate(&contents.tensors, &names, &config, [dialect, &family.hugging_face])?;
    let labels = one_file::labels(contents)?;
    let dense = family.hugging_face.names.classifier_dense;
    if labels.is_some() && !written.iter().any(|tensor| tensor.name == dense) {
        return Err(without_dense(contents.name()));
    }
    let parts = Vocabulary::of(contents)?;
    let folder = &export.out;
    let create =
        |folder: &Path| RealDisk.create_dir(folder).map_err(|error| io_failure("create", folder, &error));
    create(folder)?;
    let text = |name: &str, value: &serde_json::Value| {
        write_file(&folder.join(name), |out| {
            let written = serde_json::to_writer_pretty(out, value).map_err(io::Error::from);
            written.map_err(|error| io_failure("write", &folder.join(name), &error))
        })
    };
    let template = match &source.said.template {
        Some(template) => Some(template.clone()),
        None => contents.template()?,
    };
    let settings = settings(contents, (family, &config), &parts, storage)?;
    let mut files = vec![
        text("config.json", &settings)?,
        text("tokenizer.json", &parts.json)?,
        text("tokenizer_config.json", &tokenizer_config(&parts, template, config.context))?,
        write_file(&folder.join("model.safetensors"), |out| write_safetensors(&written, storage, out))?,
    ];
    if labels.is_some() {
        return Ok(files);
    }
    if contents.is_encoder()? {
        let pooling = embed::pooling_of(contents)?;
        create(&folder.join(POOLING_FOLDER))?;
        for (name, value) in for_sentences(pooling, &config) {
            files.push(text(name, &value)?);
        }
    } else {
        files.push(text("generation_config.json", &generation(&parts, source))?);
    }
    Ok(files)
}

/// What becomes of a head whose dense layer llama.cpp's conversion left out: `transformers` would make one up.
fn without_dense(name: &str) -> Failure {
    let message =
        format!("{name}: the dense layer before its head is missing, without which there is no folder of it");
    let hint = "use it as it is, or export it from the folder that it was converted from";
    Failure::new("bad_setting", message, hint)
}

/// How the weights of a folder are stored.
fn storage_in_folder(export: &Export) -> Result<Storage, Failure> {
    match export.storage.unwrap_or(Storage::F32) {
        Storage::Q8_0 => {
            let message = "safetensors files have no Q8_0 blocks";
            let hint = "take --storage f32, bf16 or f16, or --format gguf";
            Err(Failure::new("bad_setting", message, hint))
        }
        storage => Ok(storage),
    }
}

/// The `config.json` of a model that becomes a folder.
fn settings(
    contents: &Contents<'_>,
    (family, config): (&'static Family, &Config),
    parts: &Vocabulary,
    storage: Storage,
) -> Result<serde_json::Value, Failure> {
    let head = head_of(&contents.tensors, contents.dialect(family))?;
    let mut settings = config.describe_hugging_face(family, head);
    settings["torch_dtype"] = json!(match storage {
        Storage::Bf16 => "bfloat16",
        Storage::F16 => "float16",
        Storage::F32 | Storage::Q8_0 => "float32",
    });
    let id = |token: Option<base::TokenId>| token.map(|id| id.0);
    settings["bos_token_id"] = json!(id(parts.bos));
    settings["eos_token_id"] = json!(id(parts.eos));
    // Where nothing is said, some have a number of their own, which may be none of this vocabulary.
    settings["pad_token_id"] = json!(id(parts.pad));
    if contents.is_encoder()? {
        settings["type_vocab_size"] = json!(one_file::n_text_types(contents, contents.dialect(family)));
        // Positions count from the one behind that of padding.
        let before_first = family.hugging_face.first_position.checked_sub(1);
        settings["pad_token_id"] = json!(before_first.or(id(parts.pad).map(|id| id as usize)).unwrap_or(0));
    }
    if let Some(labels) = one_file::labels(contents)? {
        settings["architectures"] = json!([Classifier::architecture(&family.hugging_face)]);
        for (id, label) in labels.iter().enumerate() {
            settings["id2label"][id.to_string()] = json!(label);
            settings["label2id"][label] = json!(id);
        }
    }
    Ok(settings)
}

/// Where `sentence-transformers` looks for how rows become one.
const POOLING_FOLDER: &str = "1_Pooling";

/// What `sentence-transformers` wants to make the vectors that `hearth embed` makes: of length 1.
fn for_sentences(pooling: Pooling, config: &Config) -> [(&'static str, serde_json::Value); 3] {
    let step = |number: usize, path: &str, kind: &str| {
        let kind = format!("sentence_transformers.models.{kind}");
        json!({ "idx": number, "name": number.to_string(), "path": path, "type": kind })
    };
    [
        (
            super::folder::POOLING,
            json!({
                "word_embedding_dimension": config.width,
                "pooling_mode_cls_token": pooling == Pooling::First,
                "pooling_mode_mean_tokens": pooling == Pooling::Mean,
                "pooling_mode_lasttoken": pooling == Pooling::Last,
                "pooling_mode_max_tokens": false,
                "pooling_mode_mean_sqrt_len_tokens": false,
                "pooling_mode_weightedmean_tokens": false,
            }),
        ),
        (
            "modules.json",
            json!([
                step(0, "", "Transformer"),
                step(1, POOLING_FOLDER, "Pooling"),
                step(2, "2_Normalize", "Normalize"),
            ]),
        ),
        ("sentence_bert_config.json", json!({ "max_seq_length": config.context, "do_lower_case": false })),
    ]
}

/// A vocabulary on its way to a folder.
pub(super) struct Vocabulary {
    /// `tokenizer.json`.
    pub json: serde_json::Value,
    bos: Option<base::TokenId>,
    eos: Option<base::TokenId>,
    unk: Option<base::TokenId>,
    pad: Option<base::TokenId>,
    /// Further tokens that end an answer.
    ends: Vec<base::TokenId>,
    add_bos: bool,
    add_eos: bool,
    tokens: Vec<String>,
    kind: VocabularyKind,
}

impl Vocabulary {
    fn of(contents: &Contents<'_>) -> Result<Self, Failure> {
        let mut parts = match contents.folder() {
            Some(folder) => one_file::parts(contents, folder)?,
            None => vocabulary::parts(contents.tensors.metadata(), contents.name())?.with_listed_merges()?,
        };
        if parts.token_types.is_empty() {
            parts.token_types = vec![text::TokenType::Normal; parts.tokens.len()];
        }
        let tokenizer = contents.tokenizer()?;
        parts.add_bos = Some(parts.add_bos.unwrap_or(tokenizer.add_bos()));
        parts.add_eos = Some(parts.add_eos.unwrap_or(tokenizer.add_eos()));
        let own = match contents.folder() {
            Some(folder) => folder.settings("tokenizer.json")?,
            None => None,
        };
        let json = match own {
            Some(json) => json,
            None => parts.to_tokenizer_json()?.ok_or_else(|| {
                let message =
                    format!("{}: its vocabulary cannot be written as tokenizer.json", contents.name());
                Failure::new("unknown_vocabulary", message, "export it as --format gguf")
            })?,
        };
        Ok(Self::new(parts, json))
    }

    /// The vocabulary of `parts`, written as `json`.
    pub fn new(parts: text::VocabularyParts, json: serde_json::Value) -> Self {
        let is_bert = parts.kind == VocabularyKind::WordPiece;
        let (unk, pad, kind) = (parts.unk, parts.pad, parts.kind);
        let (bos, eos) =
            if is_bert { (parts.cls.or(parts.bos), parts.sep.or(parts.eos)) } else { (parts.bos, parts.eos) };
        let (add_bos, add_eos) = (parts.add_bos.unwrap_or(false), parts.add_eos.unwrap_or(false));
        Self { json, bos, eos, unk, pad, ends: parts.ends, add_bos, add_eos, tokens: parts.tokens, kind }
    }
}

/// Which tokens end an answer, and how a model that was made by a Modelfile samples.
fn generation(parts: &Vocabulary, source: &open::Source) -> serde_json::Value {
    let id = |token: Option<base::TokenId>| token.map(|id| id.0);
    let ends: Vec<u32> = parts.eos.iter().chain(&parts.ends).map(|id| id.0).collect();
    let mut generation =
        json!({ "bos_token_id": id(parts.bos), "eos_token_id": ends, "pad_token_id": id(parts.pad) });
    let said = &source.said.settings.parameters;
    let mut add = |key: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            generation[key] = value;
        }
    };
    add("temperature", said.temperature.filter(|temperature| *temperature > 0.0).map(|value| json!(value)));
    add("do_sample", said.temperature.map(|temperature| json!(temperature > 0.0)));
    add("top_k", said.top_k.map(|value| json!(value)));
    add("top_p", said.top_p.map(|value| json!(value)));
    add("min_p", said.min_p.map(|value| json!(value)));
    add("repetition_penalty", said.repeat_penalty.map(|value| json!(value)));
    generation
}

fn write_safetensors(
    written: &[Translated<'_>],
    storage: Storage,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut metadata = Metadata::new("model.safetensors");
    metadata.insert("format", Value::String("pt".into()));
    let spec = |tensor: &Translated<'_>| TensorSpec {
        name: tensor.name.clone(),
        dtype: dtype(storage, &tensor.shape),
        shape: tensor.shape.clone(),
    };
    let specs: Vec<TensorSpec> = written.iter().map(spec).collect();
    let mut writer = safetensors::write(out, &metadata, &specs)?;
    for (tensor, spec) in written.iter().zip(&specs) {
        writer.append(&stored(&tensor.values()?, spec.dtype))?;
    }
    writer.finish()?;
    Ok(())
}

/// The `tokenizer_config.json` of a vocabulary.
pub(super) fn tokenizer_config(
    parts: &Vocabulary,
    template: Option<String>,
    context: usize,
) -> serde_json::Value {
    let token = |id: Option<base::TokenId>| id.and_then(|id| parts.tokens.get(id.0 as usize));
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": token(parts.pad),
        "unk_token": token(parts.unk),
        "chat_template": template,
        "clean_up_tokenization_spaces": false,
        "model_max_length": context,
    });
    // BERT's have names of their own.
    let names = match parts.kind {
        VocabularyKind::WordPiece => ["cls_token", "sep_token"],
        _ => ["bos_token", "eos_token"],
    };
    (config[names[0]], config[names[1]]) = (json!(token(parts.bos)), json!(token(parts.eos)));
    let mask = || parts.tokens.iter().find(|token| ["[MASK]", "<mask>"].contains(&token.as_str()));
    if let Some(mask) = mask() {
        config["mask_token"] = json!(mask);
    }
    // Said here, it takes the place of what `tokenizer.json` puts around a text, which may be more.
    if !parts.add_eos {
        config["add_bos_token"] = json!(parts.add_bos);
    }
    config
}
