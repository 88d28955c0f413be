//! Model files in memory: tensors under the names of a dialect, written and read back by `formats`.

use formats::metadata::Value;
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, gguf, safetensors};
use models::Config;

/// A tensor to be written.
pub struct Named {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// A tensor of any type, as it stands in a file.
pub type Stored = (TensorSpec, Vec<u8>);

/// Writes tensors and reads them back.
pub fn as_safetensors(tensors: &[Named]) -> TensorFile {
    as_safetensors_stored(&stored(tensors))
}

/// Writes tensors of any type and reads them back.
pub fn as_safetensors_stored(tensors: &[Stored]) -> TensorFile {
    let specs: Vec<TensorSpec> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = safetensors::write(Vec::new(), &Metadata::new("model.safetensors"), &specs).unwrap();
    tensors.iter().for_each(|(_, bytes)| writer.append(bytes).unwrap());
    safetensors::read(&FileBytes::from_vec("model.safetensors", writer.finish().unwrap())).unwrap()
}

/// Writes tensors behind settings and reads them back.
pub fn as_gguf(settings: &[(&str, Value)], tensors: &[Named]) -> TensorFile {
    as_gguf_stored(settings, &stored(tensors))
}

/// Writes tensors of any type behind settings and reads them back.
pub fn as_gguf_stored(settings: &[(&str, Value)], tensors: &[Stored]) -> TensorFile {
    let mut metadata = Metadata::new("model.gguf");
    settings.iter().for_each(|(key, value)| metadata.insert(key, value.clone()));
    let specs: Vec<TensorSpec> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
    tensors.iter().for_each(|(_, bytes)| writer.append(bytes).unwrap());
    gguf::read(&FileBytes::from_vec("model.gguf", writer.finish().unwrap())).unwrap()
}

/// The settings of a Llama.
pub fn llama_settings(config: &Config, theta: f32) -> Vec<(&'static str, Value)> {
    let count = |value: usize| Value::U32(u32::try_from(value).unwrap());
    vec![
        ("general.architecture", Value::String("llama".into())),
        ("llama.vocab_size", count(config.vocabulary)),
        ("llama.embedding_length", count(config.width)),
        ("llama.block_count", count(config.n_layers)),
        ("llama.attention.head_count", count(config.n_heads)),
        ("llama.attention.head_count_kv", count(config.n_kv_heads)),
        ("llama.feed_forward_length", count(config.feed_forward)),
        ("llama.context_length", count(config.context)),
        ("llama.rope.dimension_count", count(2 * config.frequencies.len())),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(config.epsilon)),
        ("llama.rope.freq_base", Value::F32(theta)),
    ]
}

/// The numbers of an F32 tensor of a file.
pub fn values(file: &TensorFile, name: &str) -> Vec<f32> {
    let bytes = file.tensor_bytes(file.tensor(name).unwrap()).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Tensors in F32, as they stand in a file.
pub fn stored(tensors: &[Named]) -> Vec<Stored> {
    specs(tensors).into_iter().zip(tensors.iter().map(|tensor| bytes(&tensor.values))).collect()
}

/// The shapes of tensors in F32.
pub fn specs(tensors: &[Named]) -> Vec<TensorSpec> {
    let spec = |tensor: &Named| TensorSpec {
        name: tensor.name.clone(),
        dtype: Dtype::F32,
        shape: tensor.shape.clone(),
    };
    tensors.iter().map(spec).collect()
}

pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
