//! A model as one GGUF file has it, whatever form its own files have: metadata, and each tensor on demand.
//!
//! A GGUF file is itself; the parts of one lose what made them parts; of a folder everything is said in GGUF's words.
//! Does not: store numbers otherwise than the files do; whoever writes them decides that.

use base::TokenId;
use formats::metadata::{Array, Strings, Value};
use formats::{Metadata, TensorEntry, TensorFile, TensorSpec};
use models::encoder::Pooling;
use models::tensors::translate::{Translated, translate};
use models::{Config, Family};
use ops::weight::Lent;
use text::answer::{StopSources, stop_tokens};
use text::{TokenType, VocabularyParts};

use super::contents::Contents;
use super::embed;
use super::folder::Folder;
use super::said::Said;
use super::vocabulary;
use crate::Failure;

/// Under how rows become one, that the first is classified.
const CLASSIFIED: u32 = 4;
/// Where a GGUF file names labels, behind its architecture.
const LABELS: &str = "classifier.output_labels";

/// A model as one GGUF file has it.
pub(crate) struct OneFile<'a> {
    pub family: &'static Family,
    pub config: &'a Config,
    pub metadata: Metadata,
    pub tensors: Vec<Tensor<'a>>,
}

/// A tensor of it.
pub(crate) enum Tensor<'a> {
    /// As the files have it.
    Own(&'a TensorFile, &'a TensorEntry),
    /// Made from those of a folder.
    Made(Translated<'a>),
}

impl Tensor<'_> {
    /// Name, type and shape.
    pub fn spec(&self) -> TensorSpec {
        match self {
            Self::Own(_, entry) => entry.spec(),
            Self::Made(made) => {
                TensorSpec { name: made.name.clone(), dtype: made.dtype, shape: made.shape.clone() }
            }
        }
    }

    /// Its numbers as they are stored.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn bytes(&self) -> Result<Lent, Failure> {
        match self {
            Self::Own(file, entry) => Ok(Lent::new(file.tensor_view(entry)?)),
            Self::Made(made) => Ok(made.bytes()?.bytes),
        }
    }
}

impl<'a> OneFile<'a> {
    /// The model `contents`, whose sizes are `family` and `config`, with what is said of it beside its files.
    ///
    /// # Errors
    /// A tensor that the family does not have, or a vocabulary that GGUF cannot say.
    pub fn of(
        contents: &'a Contents<'_>,
        (family, config): (&'static Family, &'a Config),
        said: &Said,
    ) -> Result<Self, Failure> {
        let file = &contents.tensors;
        let (mut metadata, tensors) = match contents.folder() {
            None => {
                let own = file.tensors().iter().map(|entry| Tensor::Own(file, entry));
                (file.metadata().clone(), own.collect())
            }
            Some(folder) => {
                let names: Vec<String> = file.tensors().iter().map(|tensor| tensor.name.clone()).collect();
                let made = translate(file, &names, config, [&family.hugging_face, &family.gguf])?;
                let metadata = described(contents, folder, (family, config))?;
                (metadata, made.into_iter().map(Tensor::Made).collect())
            }
        };
        if let Some(template) = &said.template {
            metadata.insert("tokenizer.chat_template", Value::String(template.clone()));
        }
        Ok(Self { family, config, metadata, tensors })
    }

    /// Bytes that a file with these tensors has at most.
    pub fn at_most_bytes(specs: &[TensorSpec]) -> u64 {
        const HEADER_BYTES: u64 = 256 << 20;
        let sizes = specs.iter().filter_map(|spec| spec.size_bytes().ok());
        sizes.fold(HEADER_BYTES, |sum, size| sum.saturating_add(size).saturating_add(64))
    }
}

/// What a folder says, in GGUF's words.
fn described(
    contents: &Contents<'_>,
    folder: &Folder,
    (family, config): (&'static Family, &Config),
) -> Result<Metadata, Failure> {
    let mut metadata = Metadata::new(contents.name());
    config.describe_gguf(family, &mut metadata);
    let architecture = family.gguf.architectures[0];
    let mut add = |key: &str, value: Value| metadata.insert(key, value);
    add("general.name", Value::String(short_name(contents.name())));
    add("general.type", Value::String("model".into()));
    add("general.quantization_version", Value::U32(2));
    if contents.is_encoder()? {
        add(&format!("{architecture}.attention.causal"), Value::Bool(false));
        let labels = labels(contents)?;
        let pooling = match embed::pooling_of(contents)? {
            _ if labels.is_some() => CLASSIFIED,
            Pooling::Mean => 1,
            Pooling::First => 2,
            Pooling::Last => 3,
        };
        add(&format!("{architecture}.pooling_type"), Value::U32(pooling));
        if let Some(labels) = labels {
            let key = format!("{architecture}.{LABELS}");
            add(&key, Value::Array(Array::Strings(labels.iter().collect())));
        }
        let n_kinds = n_text_types(contents, &family.hugging_face);
        let n_kinds = u32::try_from(n_kinds).unwrap_or(1);
        add("tokenizer.ggml.token_type_count", Value::U32(n_kinds));
    }
    let mut parts = parts(contents, folder)?;
    fill_up(&mut parts, config.vocabulary);
    vocabulary::describe(&parts, folder.template()?.as_deref(), &mut metadata);
    Ok(metadata)
}

/// The names of the labels that an encoder tells apart; `None` where it was not taught to classify.
pub(super) fn labels(contents: &Contents<'_>) -> Result<Option<Vec<String>>, Failure> {
    let Some(n_labels) = contents.n_labels()? else { return Ok(None) };
    let said: Vec<String> = match contents.folder() {
        Some(folder) => {
            let config = folder.config()?;
            let names = (0..n_labels).map_while(|id| config.get("id2label")?.get(id.to_string())?.as_str());
            names.map(str::to_owned).collect()
        }
        None => {
            let architecture: &str = contents.tensors.metadata().read("general.architecture")?;
            let key = format!("{architecture}.{LABELS}");
            let list = contents.tensors.metadata().find::<&Strings>(&key)?;
            list.map(|list| list.iter().map(str::to_owned).collect()).unwrap_or_default()
        }
    };
    // As `transformers` calls labels that nobody named.
    let unnamed = || (0..n_labels).map(|id| format!("LABEL_{id}")).collect();
    Ok(Some(if said.len() == n_labels { said } else { unnamed() }))
}

/// How many types of text an encoder tells apart.
pub(super) fn n_text_types(contents: &Contents<'_>, dialect: &models::Dialect) -> usize {
    let name = dialect.names.token_types;
    let short = || contents.tensors.find(name.strip_prefix(dialect.optional_prefix)?);
    match contents.tensors.find(name).or_else(short).map(|table| table.shape.as_slice()) {
        Some([n_types, _]) => *n_types,
        // A single row may stand without its table.
        _ => 1,
    }
}

/// The last part of a path or name.
fn short_name(name: &str) -> String {
    name.rsplit(['/', std::path::MAIN_SEPARATOR]).find(|part| !part.is_empty()).unwrap_or(name).to_owned()
}

/// The vocabulary of a folder as plain values, with every token that ends an answer.
pub(crate) fn parts(contents: &Contents<'_>, folder: &Folder) -> Result<VocabularyParts, Failure> {
    let mut parts = folder.parts()?.ok_or_else(|| {
        let message = format!("{}: its tokenizer.json does what a GGUF file cannot say", contents.name());
        Failure::new("unknown_vocabulary", message, "use the model as it is: Hearth runs it from its folder")
    })?;
    let tokenizer = contents.tokenizer()?;
    parts.bos = parts.bos.or(tokenizer.bos());
    parts.eos = parts.eos.or(tokenizer.eos());
    let sayings = contents.sayings()?;
    let ends = stop_tokens(&StopSources {
        generation_config: sayings.generation_config.as_ref(),
        config: sayings.config.as_ref(),
        tokenizer_config: sayings.tokenizer_config.as_ref(),
        ..StopSources::default()
    });
    let is_new = |id: &TokenId| Some(*id) != parts.eos && id.index() < parts.tokens.len();
    parts.ends = ends.into_iter().map(|token| token.id).filter(is_new).collect();
    // Other programs want the merges, whatever the numbers of the tokens say.
    Ok(parts.with_listed_merges()?)
}

/// Tokens that nothing produces, for the rows of weights that have none: other programs ask for as many as rows.
fn fill_up(parts: &mut VocabularyParts, n_rows: usize) {
    for place in parts.tokens.len()..n_rows {
        parts.tokens.push(format!("[PAD{place}]"));
        parts.token_types.push(TokenType::Unused);
        if !parts.scores.is_empty() {
            parts.scores.push(0.0);
        }
    }
}

/// What a vocabulary says besides its tokens, under the keys of a GGUF file.
pub(crate) fn describe_more(parts: &VocabularyParts, metadata: &mut Metadata) {
    let ids = [("seperator", parts.sep), ("cls", parts.cls), ("eom", parts.ends.get(1).copied())];
    for (key, id) in ids {
        if let Some(id) = id {
            metadata.insert(&format!("tokenizer.ggml.{key}_token_id"), Value::U32(id.0));
        }
    }
    let flags = [
        ("add_space_prefix", parts.add_space_prefix),
        ("remove_extra_whitespaces", parts.remove_extra_spaces),
    ];
    for (key, flag) in flags {
        if let Some(flag) = flag {
            metadata.insert(&format!("tokenizer.ggml.{key}"), Value::Bool(flag));
        }
    }
    if !parts.letter_map.is_empty() {
        let map = Value::Array(Array::U8(parts.letter_map.clone()));
        metadata.insert("tokenizer.ggml.precompiled_charsmap", map);
    }
}
