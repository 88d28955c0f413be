//! Storing a model in fewer bits: which tensor gets which type, the new model in the store, and what it costs in
//! exactness.
//!
//! Rows are widened and stored again a few at a time, so that no tensor is ever whole in memory.

mod compare;
mod importance;
pub(super) mod mix;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base::TokenId;
use formats::metadata::Value;
use formats::{TensorEntry, TensorSpec, gguf};
use infer::LocalModel;
use models::{Config, Dialect, KvCache};
use store::{ModelInfo, ModelName, NewFile, Role, Source, Store};
use text::Special;

use super::contents::Contents;
use super::means::Means;
use super::measure::fit::Needs;
use super::one_file::{OneFile, Tensor};
use super::open;
use super::share::{Share, Shares};
use super::small_text::small_text;
use super::stream::{Sink, stream};
use crate::event::quantise::{self, Divergence, Quantised, QuantisedTensor};
use crate::job::quantise::Quantise;
use crate::running::Reporter;
use crate::{Event, Failure};
use importance::Importance;
use mix::{MIXES, Mix, Part, Sizes};

/// A text of the project's own, for comparing.
const SAMPLE: &str = include_str!("quantise/sample.txt");
/// The longest text that is read for comparing.
const MOST_TEXT_BYTES: u64 = 1 << 20;
/// Elements that are widened and stored again at once, about.
const PIECE: usize = 1 << 21;

/// Pieces that are widened and stored again, and operands as threads pack them, beside the models.
const EXTRA_BYTES: u64 = 128 << 20;
/// What a person can do where there is no room.
const MORE_ROOM: &str = "raise HEARTH_MEMORY, or do it on a machine with more memory";

/// Where it happens.
pub(crate) struct Place {
    pub store: Arc<Store>,
    pub now_unix_ms: u64,
    /// Where it has its share of the memory from.
    pub shares: Shares,
}

/// Runs one job to its last event.
pub(crate) fn run(place: &Place, job: &Quantise, reporter: &Reporter) {
    reporter.finish(|| quantise(place, job, reporter));
}

fn quantise(place: &Place, job: &Quantise, reporter: &Reporter) -> Result<Event, Failure> {
    let (store, now_unix_ms) = (&*place.store, place.now_unix_ms);
    let mix = named(&job.mix)?;
    let text = text(job.text.as_deref())?;
    let source = open::find(store, &job.model)?;
    let name = new_name(job, mix, &source.name)?;
    let contents = Contents::read(&source)?;
    let (family, config) = contents.decoder_sizes()?;
    let file = OneFile::of(&contents, (family, &config), &source.said)?;
    let mut plan = Plan::new(&file, mix, &source.name)?;
    let share = place.shares.take(
        format!("quantization of {} to {}", source.name, mix.name),
        (most_bytes(&contents, mix)?, MORE_ROOM),
        reporter,
    )?;
    plan.importance = importance(job, &source, (&file, reporter))?;
    let mut changes = Changes::default();
    let model = stream(
        |out| plan.write(&file, out, &mut changes, (&share, reporter)),
        |reader| {
            let from = format!("{} as {}", source.name, mix.name);
            // What a Modelfile said of the model goes on to hold.
            let info = ModelInfo { source: from, parameters: source.said.settings.to_map() };
            let new = Source::Reader { reader, at_most_bytes: OneFile::at_most_bytes(&plan.specs) };
            let files = vec![NewFile { role: Role::Model, format: "gguf".into(), name: None, source: new }];
            store.import(&name, files, info, now_unix_ms).map_err(Failure::from)
        },
    )?;
    let name = model.name.to_string();
    let divergence = diverge(&source, &open::find(store, &name)?, &text)?;
    let now: u64 = plan.specs.iter().filter_map(|spec| spec.size_bytes().ok()).sum();
    let before: u64 = contents.tensors.tensors().iter().map(|tensor| tensor.range.len() as u64).sum();
    let n_weights: usize = contents.tensors.tensors().iter().map(TensorEntry::n_elements).sum();
    Ok(Event::Quantised(Box::new(Quantised {
        model: name,
        mix: mix.name.into(),
        bytes: [before, now],
        bits_per_weight: now as f64 * 8.0 / n_weights.max(1) as f64,
        relative_error: changes.relative_error(),
        importance: plan.importance.as_ref().zip(job.importance.as_deref()).map(|(importance, path)| {
            let n_known =
                changes.tensors.iter().filter(|tensor| importance.of(&tensor.name).is_some()).count();
            quantise::Importance {
                source: path.display().to_string(),
                n_tokens: importance.n_tokens,
                tensors: [n_known, changes.tensors.len()],
            }
        }),
        tensors: changes.tensors,
        divergence,
    })))
}

/// Bytes that it takes at most, beside what the program holds: both models are in memory when they are compared.
fn most_bytes(contents: &Contents<'_>, mix: &Mix) -> Result<u64, Failure> {
    let (family, config) = contents.decoder_sizes()?;
    // Both logits of a window, and what one row of them becomes.
    let n_logits = (compare::WINDOW as u64).saturating_mul(config.vocabulary as u64);
    let tensors = contents.tensors.tensors().to_vec();
    let old = Needs::new(config, contents.dialect(family), tensors, Means::parse(None, None)?);
    let models = [&old, &old.stored_as(mix)].map(|needs| needs.memory_bytes(compare::WINDOW, 0));
    let models = models.into_iter().fold(EXTRA_BYTES, u64::saturating_add);
    Ok(models.saturating_add(n_logits.saturating_mul(2 * 4)))
}

/// How much the columns of the model's matrices matter, where that was asked for.
fn importance(
    job: &Quantise,
    source: &open::Source,
    (file, reporter): (&OneFile<'_>, &Reporter),
) -> Result<Option<Importance>, Failure> {
    let Some(path) = &job.importance else { return Ok(None) };
    let tensors: Vec<TensorSpec> = file.tensors.iter().map(Tensor::spec).collect();
    let (dialect, config) = (&file.family.gguf, file.config);
    let model = importance::Model { source, tensors: &tensors, dialect, config };
    Importance::find(path, &model, reporter).map(Some)
}

/// The mix of this name.
///
/// # Errors
/// `bad_setting` with the names that there are.
pub(super) fn named(wanted: &str) -> Result<&'static Mix, Failure> {
    Mix::named(wanted).ok_or_else(|| {
        let names: Vec<&str> = MIXES.iter().map(|mix| mix.name).collect();
        let message = format!("there is no mix \"{wanted}\"");
        Failure::new("bad_setting", message, format!("take one of {}", names.join(", ")))
    })
}

/// The text over which the models are compared.
fn text(path: Option<&Path>) -> Result<String, Failure> {
    let Some(path) = path else { return Ok(SAMPLE.into()) };
    let failed = |message: String| {
        Failure::new("cannot_read", message, "give a plain text file to --text, or leave it out")
    };
    small_text(path, MOST_TEXT_BYTES).map_err(failed)
}

/// What the new model is called: as was asked for, or as the old one with the mix for its tag.
fn new_name(job: &Quantise, mix: &Mix, old: &str) -> Result<ModelName, Failure> {
    if let Some(name) = &job.name {
        return Ok(ModelName::parse(name)?);
    }
    let stem =
        Path::new(old).file_stem().map_or_else(|| old.into(), |stem| stem.to_string_lossy().into_owned());
    let base = if old.ends_with(".gguf") { stem } else { old.into() };
    let name = ModelName::parse(&base)?;
    let tagless = base.strip_suffix(&format!(":{}", name.tag())).unwrap_or(&base);
    Ok(ModelName::parse(&format!("{tagless}:{}", mix.name.to_ascii_lowercase()))?)
}

/// What is to be written.
struct Plan {
    specs: Vec<TensorSpec>,
    metadata: formats::Metadata,
    importance: Option<Importance>,
}

impl Plan {
    fn new(file: &OneFile<'_>, mix: &Mix, name: &str) -> Result<Self, Failure> {
        let old: Vec<TensorSpec> = file.tensors.iter().map(Tensor::spec).collect();
        let specs = specs(&old, &file.family.gguf, file.config, mix);
        for (old, new) in old.iter().zip(&specs) {
            if old.dtype != new.dtype && models::tensors::storage(old.dtype).is_none() {
                let (file, name) = (name.into(), old.name.clone());
                return Err(models::Error::Storage { file, name, found: old.dtype.to_string() }.into());
            }
        }
        let mut metadata = file.metadata.clone();
        metadata.insert("general.file_type", Value::U32(mix.file_type));
        metadata.insert("general.quantization_version", Value::U32(2));
        Ok(Self { specs, metadata, importance: None })
    }

    fn write(
        &self,
        file: &OneFile<'_>,
        out: Sink,
        changes: &mut Changes,
        (share, reporter): (&Share, &Reporter),
    ) -> Result<Sink, Failure> {
        let mut writer = gguf::write(out, &self.metadata, &self.specs)?;
        let old: Vec<TensorSpec> = file.tensors.iter().map(Tensor::spec).collect();
        let total_bytes = old.iter().filter_map(|spec| spec.size_bytes().ok()).sum();
        let (mut done_bytes, old_len) = (0, old.len());
        for (index, (tensor, (old, new))) in file.tensors.iter().zip(old.iter().zip(&self.specs)).enumerate()
        {
            share.note(index as u64, old_len as u64);
            let bytes = tensor.bytes()?;
            let bytes = bytes.as_slice();
            if old.dtype == new.dtype {
                writer.append(bytes)?;
            } else {
                let mut change = Change::default();
                let importance = self.importance.as_ref().and_then(|importance| importance.of(&old.name));
                store_again((old, new), (bytes, importance), &mut |piece, before, after| {
                    change.add(before, after);
                    writer.append(piece)
                })?;
                changes.push((old, new), change);
            }
            done_bytes += bytes.len() as u64;
            let what = "storing in fewer bits".into();
            reporter.tell(Event::Progress { what, done_bytes, total_bytes });
        }
        Ok(writer.finish()?)
    }
}

/// The tensors of a file of this dialect with the types that a mix gives them.
pub(super) fn specs(old: &[TensorSpec], dialect: &Dialect, config: &Config, mix: &Mix) -> Vec<TensorSpec> {
    let sizes = Sizes { n_layers: config.n_layers, n_sharing: config.n_heads / config.n_kv_heads.max(1) };
    let parts = parts(old, dialect, config);
    let spec = |spec: &TensorSpec| {
        let row = spec.shape.last().copied().unwrap_or(1);
        let dtype = match parts.get(&spec.name) {
            Some(part) => mix.dtype(*part, sizes, row),
            None => spec.dtype,
        };
        TensorSpec { dtype, ..spec.clone() }
    };
    old.iter().map(spec).collect()
}

/// What each matrix that takes part in products does; everything else stays as it is, what chooses experts too.
fn parts(specs: &[TensorSpec], dialect: &Dialect, config: &Config) -> HashMap<String, Part> {
    let names = dialect.names;
    let mut parts = HashMap::new();
    for spec in specs.iter().filter(|spec| spec.shape.len() > 1) {
        let is_of_a_layer = spec.name.split('.').any(|part| part.parse::<usize>().is_ok());
        // Biases of stacked experts are vectors, a row for each.
        let is_bias = spec.name.ends_with(".bias");
        if (is_of_a_layer && !is_bias) || spec.name == names.embedding {
            parts.insert(spec.name.clone(), Part::Other);
        }
    }
    let has_head = specs.iter().any(|spec| spec.name == names.head);
    parts.insert((if has_head { names.head } else { names.embedding }).into(), Part::Head);
    for layer in 0..config.n_layers {
        let of_layer = |name: &str| name.replace("{}", &layer.to_string());
        parts.remove(&of_layer(names.router));
        let mut name = |name: &str, part: Part| {
            if let Some(known) = parts.get_mut(&of_layer(name)) {
                *known = part;
            }
        };
        name(names.values, Part::Values(layer));
        name(names.queries_keys_values, Part::Fused(layer));
        name(names.attention_output, Part::Output(layer));
        name(names.down, Part::Down(layer));
        name(names.expert_down, Part::Down(layer));
    }
    parts
}

/// Widens a tensor a few rows at a time and gives them away as they are to be stored, with the numbers before and after.
/// How much the columns matter is `[K]`, or of a stack of matrices `[E, K]`.
fn store_again(
    (entry, spec): (&TensorSpec, &TensorSpec),
    (bytes, importance): (&[u8], Option<&[f32]>),
    give: &mut impl FnMut(&[u8], &[f32], &[f32]) -> Result<(), formats::Error>,
) -> Result<(), formats::Error> {
    let storage = |dtype| models::tensors::storage(dtype).expect("the plan was checked");
    let (old, new) = (storage(entry.dtype), storage(spec.dtype));
    let row = entry.shape.last().copied().unwrap_or(1).max(1);
    let n_rows = entry.shape.iter().product::<usize>() / row;
    let row_bytes = bytes.len() / n_rows.max(1);
    let n_matrices = importance.map_or(1, |importance| importance.len() / row).max(1);
    for (matrix, bytes) in bytes.chunks((bytes.len() / n_matrices).max(1)).enumerate() {
        let columns = importance.map(|importance| &importance[matrix * row..(matrix + 1) * row]);
        for rows in bytes.chunks(row_bytes.max(1) * (PIECE / row).max(1)) {
            let before = old.widen(rows);
            let stored = match columns {
                Some(columns) => new.narrow_weighed(&before, columns),
                None => new.narrow(&before),
            };
            give(&stored, &before, &new.widen(&stored))?;
        }
    }
    Ok(())
}

/// Sums of squares: of what changed, and of the weights.
#[derive(Clone, Copy, Default)]
struct Change {
    difference: f64,
    weights: f64,
}

impl Change {
    fn add(&mut self, old: &[f32], new: &[f32]) {
        for (old, new) in old.iter().zip(new) {
            self.difference += f64::from(old - new).powi(2);
            self.weights += f64::from(*old).powi(2);
        }
    }

    fn relative_error(self) -> f64 {
        if self.weights > 0.0 { (self.difference / self.weights).sqrt() } else { 0.0 }
    }
}

#[derive(Default)]
struct Changes {
    tensors: Vec<QuantisedTensor>,
    all: Change,
}

impl Changes {
    fn push(&mut self, (entry, spec): (&TensorSpec, &TensorSpec), change: Change) {
        self.all.difference += change.difference;
        self.all.weights += change.weights;
        self.tensors.push(QuantisedTensor {
            name: entry.name.clone(),
            before: entry.dtype.name().into(),
            now: spec.dtype.name().into(),
            relative_error: change.relative_error(),
        });
    }

    fn relative_error(&self) -> f64 {
        self.all.relative_error()
    }
}

/// Compares the old model and the new one.
fn diverge(old: &open::Source, new: &open::Source, text: &str) -> Result<Divergence, Failure> {
    let device = ops::device::cpu();
    let (decoder, tokenizer) = Contents::read(old)?.decoder_and_tokenizer(&device)?;
    let stored = Contents::read(new)?.decoder(&device)?;
    let mut tokens: Vec<TokenId> = tokenizer.bos().filter(|_| tokenizer.add_bos()).into_iter().collect();
    tokens.extend(tokenizer.encode(text, Special::Plain)?);
    // No more keys and values than a window has: an allocator may touch what nobody uses.
    let mut models = [decoder, stored].map(|decoder| {
        let block = KvCache::block_bytes(decoder.config(), infer::BLOCK, decoder.usual_cache()).unwrap_or(0);
        LocalModel::new(decoder, block.saturating_mul(compare::WINDOW.div_ceil(infer::BLOCK)))
    });
    compare::compare(&mut models, &tokens).ok_or_else(|| {
        let hint = "give a text with words to --text";
        Failure::new("no_data", "there is no text over which the models could be compared", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::Dtype;

    /// Of a stack every matrix is stored with what its own columns say.
    #[test]
    fn a_stack_is_stored_matrix_by_matrix() {
        let mut rng = base::Rng::new(3);
        let values: Vec<f32> = (0..2 * 3 * 32).map(|_| rng.uniform() as f32 - 0.5).collect();
        let importance: Vec<f32> = (0..2 * 32).map(|place| (1 + place % 5 * place) as f32).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let stored = |shape: &[usize], bytes: &[u8], importance: Option<&[f32]>| {
            let spec = |dtype| TensorSpec { name: "stack".into(), dtype, shape: shape.to_vec() };
            let mut all = Vec::new();
            let (old, new) = (spec(Dtype::F32), spec(Dtype::Q4_0));
            let mut give = |piece: &[u8], _: &[f32], _: &[f32]| {
                all.extend_from_slice(piece);
                Ok(())
            };
            store_again((&old, &new), (bytes, importance), &mut give).unwrap();
            all
        };
        let whole = stored(&[2, 3, 32], &bytes, Some(&importance));
        let alone = bytes.chunks(bytes.len() / 2).zip(importance.chunks(32));
        let alone: Vec<u8> =
            alone.flat_map(|(bytes, importance)| stored(&[3, 32], bytes, Some(importance))).collect();
        assert_eq!(whole, alone);
        assert_ne!(whole, stored(&[2, 3, 32], &bytes, Some(&importance[..32])));
        assert_ne!(whole, stored(&[2, 3, 32], &bytes, None));
    }
}
