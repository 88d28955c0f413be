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

/// Writes tensors and reads them back.
pub fn as_safetensors(tensors: &[Named]) -> TensorFile {
    let metadata = Metadata::new("model.safetensors");
    let mut writer = safetensors::write(Vec::new(), &metadata, &specs(tensors)).unwrap();
    tensors.iter().for_each(|tensor| writer.append(&bytes(&tensor.values)).unwrap());
    safetensors::read(&FileBytes::from_vec("model.safetensors", writer.finish().unwrap())).unwrap()
}

/// Writes tensors behind the settings of a Llama and reads them back.
pub fn as_gguf(config: &Config, theta: f32, tensors: &[Named]) -> TensorFile {
    let stored = specs(tensors).into_iter().zip(tensors.iter().map(|tensor| bytes(&tensor.values)));
    as_gguf_stored(config, theta, &stored.collect::<Vec<_>>())
}

/// Writes tensors of any type behind the settings of a Llama and reads them back.
pub fn as_gguf_stored(config: &Config, theta: f32, tensors: &[(TensorSpec, Vec<u8>)]) -> TensorFile {
    let mut metadata = Metadata::new("model.gguf");
    metadata.insert("general.architecture", Value::String("llama".into()));
    let mut count = |key: &str, value: usize| {
        metadata.insert(&format!("llama.{key}"), Value::U32(u32::try_from(value).unwrap()));
    };
    count("vocab_size", config.vocabulary);
    count("embedding_length", config.width);
    count("block_count", config.n_layers);
    count("attention.head_count", config.n_heads);
    count("attention.head_count_kv", config.n_kv_heads);
    count("feed_forward_length", config.feed_forward);
    count("context_length", config.context);
    count("rope.dimension_count", 2 * config.frequencies.len());
    metadata.insert("llama.attention.layer_norm_rms_epsilon", Value::F32(config.epsilon));
    metadata.insert("llama.rope.freq_base", Value::F32(theta));
    let specs: Vec<TensorSpec> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
    tensors.iter().for_each(|(_, bytes)| writer.append(bytes).unwrap());
    gguf::read(&FileBytes::from_vec("model.gguf", writer.finish().unwrap())).unwrap()
}

/// The numbers of an F32 tensor of a file.
pub fn values(file: &TensorFile, name: &str) -> Vec<f32> {
    let bytes = file.tensor_bytes(file.tensor(name).unwrap()).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
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
