//! A model in Q8_0 from import to answer: it is named right, and says what its widened weights say, as far as the
//! rounding of activations lets it.

use std::path::{Path, PathBuf};

use app::{Event, Job};
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, gguf};
use kernels::blocks::q8_0;
use ops::weight::Storage;

use crate::home::{Home, greedy, import};

/// Writes a model file with other tensors than `file` has.
fn write(path: PathBuf, file: &TensorFile, tensors: &[(TensorSpec, Vec<u8>)]) -> PathBuf {
    let mut metadata = Metadata::new("model.gguf");
    file.metadata().iter().for_each(|(key, value)| metadata.insert(key, value.clone()));
    let specs: Vec<TensorSpec> = tensors.iter().map(|(spec, _)| spec.clone()).collect();
    let mut writer = gguf::write(Vec::new(), &metadata, &specs).unwrap();
    tensors.iter().for_each(|(_, bytes)| writer.append(bytes).unwrap());
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    path
}

fn read(path: &Path) -> TensorFile {
    gguf::read(&FileBytes::open(path).unwrap()).unwrap()
}

/// The tensors of a file, each as `change` makes it.
fn changed(
    file: &TensorFile,
    change: impl Fn(TensorSpec, &[u8]) -> (TensorSpec, Vec<u8>),
) -> Vec<(TensorSpec, Vec<u8>)> {
    let tensors = file.tensors().iter();
    tensors.map(|entry| change(entry.spec(), file.tensor_bytes(entry).unwrap())).collect()
}

fn quantised(spec: TensorSpec, bytes: &[u8]) -> (TensorSpec, Vec<u8>) {
    let quantised = TensorSpec { dtype: Dtype::Q8_0, ..spec.clone() };
    let storage = match spec.dtype {
        Dtype::F32 => Storage::F32,
        Dtype::BF16 => Storage::Bf16,
        Dtype::F16 => Storage::F16,
        _ => return (spec, bytes.to_vec()),
    };
    let (2, Ok(size)) = (spec.shape.len(), quantised.size_bytes()) else { return (spec, bytes.to_vec()) };
    let values = storage.widen(bytes);
    let mut blocks = vec![0; size as usize];
    q8_0::quantise(&values, &mut blocks);
    (quantised, blocks)
}

fn widened(spec: TensorSpec, bytes: &[u8]) -> (TensorSpec, Vec<u8>) {
    if spec.dtype != Dtype::Q8_0 {
        return (spec, bytes.to_vec());
    }
    let mut values = vec![0.0; spec.shape.iter().product()];
    q8_0::dequantise(bytes, &mut values);
    (TensorSpec { dtype: Dtype::F32, ..spec }, values.into_iter().flat_map(f32::to_le_bytes).collect())
}

#[test]
fn a_model_in_q8_0_is_imported_shown_and_answers_nearly_as_its_widened_weights() {
    let home = Home::new();
    let starter = read(&testkit::shared::root().join("assets/starter.gguf"));
    let small = write(home.path().join("small.gguf"), &starter, &changed(&starter, quantised));
    let large = write(home.path().join("large.gguf"), &starter, &changed(&read(&small), widened));
    for (path, name) in [(&small, "small"), (&large, "large")] {
        let Ok(Event::Stored(model)) = home.last(import(path, None, name)) else {
            panic!("{name} is not stored")
        };
        assert_eq!(model.name, name);
    }
    let Ok(Event::Details(details)) = home.last(Job::Show { model: "small".into() }) else {
        panic!("no details")
    };
    let storage =
        |part: &str| details.tensors.iter().find(|tensor| tensor.0.contains(part)).unwrap().2.clone();
    assert_eq!(
        (storage("attn_q"), storage("token_embd"), storage("attn_norm")),
        ("Q8_0".into(), "Q8_0".into(), "F32".into())
    );
    let [small, large] = ["small", "large"].map(|name| home.text(greedy(name, "Once upon a time", 40)));
    assert!(small.len() > 40, "{small}");
    // Activations of eight bits move the logarithm of a probability by some 0.03: the answers part where two tokens lie
    // nearer than that, and not at their beginning, where a matrix that is read wrongly shows.
    let n_same = small.bytes().zip(large.bytes()).take_while(|(a, b)| a == b).count();
    assert!(n_same > 25, "{small:?} after {n_same} bytes is not {large:?}");
}
