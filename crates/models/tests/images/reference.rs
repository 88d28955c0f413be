//! What `diffusers` and `transformers` computed with small random models (`fixtures/images/make.py`), and the weights of
//! these models.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use formats::{FileBytes, TensorFile, safetensors};
use models::Error;
use models::tensors::{Found, Tensors};
use ops::weight::{Lent, Storage};
use serde_json::Value;

use crate::seeded;

/// The largest difference from the reference.
pub const MAX_ERROR: f32 = 2e-4;
/// The same of what reads a time up to 999 and sizes up to 1024 as waves, whose angles the reference rounds to f32: that
/// alone moves the output of the refiner by 2e-4.
pub const MAX_ERROR_OF_WAVES: f32 = 4e-4;
/// How far something done wrongly moves a result at least.
pub const MIN_QUIRK: f32 = 1e-2;

/// The tensor called `name`: the formula of `weight` in `make.py`.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let uniform = seeded::uniform(name, shape.iter().product());
    if name.ends_with("bias") {
        return uniform.map(|number| 0.2 * number).collect();
    }
    if shape.len() == 1 {
        return uniform.map(|number| 1.0 + 0.5 * number).collect();
    }
    if ["token_embedding", "position_embedding"].iter().any(|part| name.contains(part)) {
        return uniform.collect();
    }
    let is_sharp = ["to_q", "to_k", "q_proj", "k_proj"].iter().any(|part| name.contains(part));
    let inputs: usize = shape[1..].iter().product();
    let gain = if is_sharp { 2.0 } else { 1.0 };
    let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

/// The input called `name`, of variance 1.
pub fn wide<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let variance_one = 3f64.sqrt() as f32;
    let values: Vec<f32> =
        seeded::uniform(name, shape.iter().product()).map(|number| variance_one * number).collect();
    Tensor::from_data(TensorData::new(values, shape), &ops::device::cpu())
}

/// Tensors in F32 by name.
#[derive(Clone, Default)]
pub struct Made(pub BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Tensors for Made {
    fn label(&self) -> &str {
        "made.safetensors"
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        Ok(self.0.get(name).map(|(shape, values)| Found {
            shape: shape.clone(),
            storage: Storage::F32,
            bytes: Lent::new(Storage::F32.narrow(values)),
        }))
    }
}

/// A fixture.
pub struct Reference {
    file: TensorFile,
    pub config: Value,
}

impl Reference {
    pub fn open(case: &str) -> Self {
        let path = testkit::shared::root().join(format!("fixtures/images/{case}.safetensors"));
        let file = safetensors::read(&FileBytes::open(&path).unwrap()).unwrap();
        let mut reference = Self { file, config: Value::Null };
        reference.config = reference.json("config");
        reference
    }

    pub fn json(&self, key: &str) -> Value {
        let text: &str = self.file.metadata().read(key).unwrap();
        serde_json::from_str(text).unwrap()
    }

    /// Numbers in a list.
    pub fn numbers(&self, key: &str) -> Vec<f32> {
        self.json(key).as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    }

    /// What the reference computed: its shape and its numbers.
    pub fn result(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let entry = self.file.tensor(name).unwrap();
        let bytes = self.file.tensor_bytes(entry).unwrap();
        let numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        (entry.shape.clone(), numbers.collect())
    }

    /// The names of all results.
    pub fn results(&self) -> Vec<String> {
        self.file.tensors().iter().map(|entry| entry.name.to_string()).collect()
    }

    /// Name and shape of each tensor in the folder's file.
    fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        serde_json::from_value(self.json("tensors")).unwrap()
    }

    /// The tensors as they stand in a folder of `diffusers`.
    pub fn tensors(&self) -> Made {
        let made = self.shapes().into_iter().map(|(name, shape)| {
            let values = weight(&name, &shape);
            (name, (shape, values))
        });
        Made(made.collect())
    }

    /// The tensors as they stand in a file that holds a whole model.
    pub fn single(&self) -> Made {
        let shapes = self.shapes();
        let single: Vec<(String, Vec<usize>, Vec<String>, Value)> =
            serde_json::from_value(self.json("single")).unwrap();
        assert!(!single.is_empty(), "this fixture has the layout of one file");
        let made = single.into_iter().map(|(name, shape, parts, how)| {
            let mut values: Vec<f32> = parts.iter().flat_map(|part| weight(part, &shapes[part])).collect();
            match how {
                Value::Bool(true) => values = turned(&values, shape[0]),
                Value::String(_) => {
                    let half = values.len() / 2;
                    values.rotate_left(half);
                }
                _ => (),
            }
            (name, (shape, values))
        });
        Made(made.collect())
    }

    /// Holds what was computed against `name`.
    pub fn check<const D: usize>(&self, name: &str, found: Tensor<D>, most: f32) {
        let (shape, expected) = self.result(name);
        assert_eq!(found.dims().to_vec(), shape, "{name}");
        let difference = farthest(&values(found), &expected);
        println!("{name}: {difference:.1e}");
        assert!(difference <= most, "{name}: {difference:e}");
    }
}

/// `rows` rows, each a column of what it was.
fn turned(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    (0..values.len()).map(|at| values[at % columns * rows + at / columns]).collect()
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The largest difference between two lists; of NaN, infinity.
pub fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, next| if next.is_nan() { f32::INFINITY } else { most.max(next) })
}

/// The ratio of the greatest signal of `expected` to the noise of `found`, in decibel.
pub fn psnr(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares: f64 = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let [least, most] = expected.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[least, most], number| {
        [least.min(*number), most.max(*number)]
    });
    20.0 * f64::from(most - least).log10() + 10.0 * (found.len() as f64 / squares).log10()
}
