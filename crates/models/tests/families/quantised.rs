//! Quantised models: what they compute is what the same weights compute when they are widened to f32, but for the
//! rounding of activations. That rounding itself is judged where products are: in `kernels` and `ops`.

use base::Rng;
use formats::{Dtype, TensorFile, TensorSpec};
use models::families::LLAMA;
use models::parameters::{Head, Parameters};
use models::{Config, Decoder};
use ops::weight::{Quantised, Storage};

use crate::files::{Named, as_gguf_stored, bytes, llama_settings, specs};
use crate::llama::{self, CASES};
use crate::reference::largest_difference;
use crate::run::{Pieces, devices, run_paged};
use crate::stories;

/// The largest difference of a logit on a device whose arithmetic does not follow the storage exactly.
const MAX_ERROR: f32 = 1e-4;

/// One model twice: with every matrix in blocks whose rows are whole blocks, and with what they widen to.
struct Twice {
    quantised: TensorFile,
    widened: TensorFile,
    /// Names of the matrices that stay in F32, because their rows are not.
    left: Vec<String>,
}

/// Every type of block that weights can be written in.
pub fn writable() -> Vec<Quantised> {
    Quantised::ALL.into_iter().filter(|kind| kind.blocks().is_writable()).collect()
}

/// The type of a file that is called as a type of block.
pub fn dtype(kind: Quantised) -> Dtype {
    (0..64).filter_map(Dtype::from_ggml).find(|dtype| dtype.name() == kind.blocks().name()).unwrap()
}

/// Matrix after matrix in the next of `kinds`.
fn twice(config: &Config, theta: f32, tensors: &[Named], kinds: &[Quantised]) -> Twice {
    let mut kinds = kinds.iter().copied().cycle();
    let (mut quantised, mut widened, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for (tensor, spec) in tensors.iter().zip(specs(tensors)) {
        let is_matrix = tensor.shape.len() == 2;
        let kind = if is_matrix { kinds.next() } else { None };
        let whole = kind.map(Storage::Blocks).filter(|storage| storage.size_bytes(&tensor.shape).is_some());
        let (Some(kind), Some(storage)) = (kind, whole) else {
            if is_matrix {
                left.push(tensor.name.clone());
            }
            quantised.push((spec.clone(), bytes(&tensor.values)));
            widened.push((spec, bytes(&tensor.values)));
            continue;
        };
        let blocks = storage.narrow(&tensor.values);
        widened.push((spec.clone(), bytes(&storage.widen(&blocks))));
        quantised.push((TensorSpec { dtype: dtype(kind), ..spec }, blocks));
    }
    let settings = llama_settings(config, theta);
    let [quantised, widened] = [quantised, widened].map(|tensors| as_gguf_stored(&settings, &tensors));
    Twice { quantised, widened, left }
}

/// What is left between a model in blocks and its widened weights on the CPU, relative to the size of the logits. There
/// the blocks meet activations of eight bits, which moves each product by 0.5 % of its size (0.65 % in blocks of 256);
/// the products of a layer add up, and wide attention makes more of it. One matrix read wrongly moves them by a fifth at
/// least.
const ROUNDED: std::ops::Range<f32> = 0.001..0.04;

/// The size of the difference relative to that of what is expected.
fn moved(found: &[f32], expected: &[f32]) -> f32 {
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>();
    let noise = squares(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    (noise / squares(&mut expected.iter().copied())).sqrt()
}

/// Logits of a text, part prompt and part generated, of both; those of the blocks.
fn compare(twice: &Twice, ids: &[u32], what: &str) -> Vec<f32> {
    let mut first = Vec::new();
    for (label, device) in devices() {
        let logits = |file: &TensorFile| {
            let decoder: Decoder = models::load(file, &device).unwrap();
            run_paged(&decoder, ids, Pieces { prompt: 13, generated_from: ids.len() / 2, block: 16 }).0
        };
        let (found, expected) = (logits(&twice.quantised), logits(&twice.widened));
        let (largest, moved) = (largest_difference(&found, &expected), moved(&found, &expected));
        println!(
            "{what}, {label}: blocks within {largest:.1e} of its widened weights, {:.2} %",
            100.0 * moved
        );
        if label == "cpu" {
            assert!(ROUNDED.contains(&moved), "{what}: {moved:e}");
            first = found;
        } else {
            // Other devices widen.
            assert!(largest <= MAX_ERROR, "{what}, {label}: {largest:e}");
        }
    }
    first
}

#[test]
fn a_quantised_llama_computes_with_its_widened_weights() {
    let reference = llama::open(CASES[0]);
    let tensors = llama::gguf_tensors(&reference);
    let twice = twice(&reference.config, llama::theta(&reference), &tensors, &[Quantised::Q8_0]);
    let n_quantised = twice.quantised.tensors().iter().filter(|tensor| tensor.dtype == Dtype::Q8_0).count();
    // Embedding, head, and of each layer everything but the way down, whose rows are 172 long.
    assert_eq!(
        (n_quantised, &twice.left[..]),
        (2 + 2 * 6, &["blk.0.ffn_down.weight", "blk.1.ffn_down.weight"].map(String::from)[..])
    );
    let found = compare(&twice, &reference.ids, CASES[0]);
    let moved = moved(&found, &reference.logits());
    println!("{}: Q8_0 moves the logits by {:.1} % of their size", CASES[0], 100.0 * moved);
    // Uniform weights lose 0.4 % in every matrix, activations as much again.
    assert!((0.002..0.05).contains(&moved), "quantising moves the logits by {moved:.1e}");
}

#[test]
fn stories260k_in_q8_0_computes_with_its_widened_weights() {
    let test = "models::families::quantised::stories260k_in_q8_0_computes_with_its_widened_weights";
    let Some(data) = testkit::shared::shared(test) else { return };
    let folder = data.join("llm/stories260K");
    let (config, tensors) = stories::read(&folder);
    let twice = twice(&config, stories::THETA, &tensors, &[Quantised::Q8_0]);
    assert!(twice.left.iter().all(|name| name.contains("ffn_down")), "{:?}", twice.left);
    let reference = stories::json(&folder.join("stories260K.reference.json"));
    for case in reference["cases"].as_array().unwrap() {
        compare(&twice, &stories::ids(&case["tokens"]), &case["prompt"].to_string());
    }
}

/// As files have them whose matrices differ in what they can lose: here every type there is.
#[test]
fn a_model_of_many_types_computes_with_its_widened_weights() {
    let config = Config::new([97, 256, 2, 512, 64], [4, 2], &LLAMA.gguf);
    let mut rng = Rng::new(3);
    let device = ops::device::cpu();
    let parameters = Parameters::random(config.clone(), Head::Own, &LLAMA.gguf, &mut rng, &device);
    let written = parameters.written(&LLAMA.gguf);
    let named = |tensor: &models::parameters::Written<'_>| Named {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        values: tensor.values(),
    };
    let tensors: Vec<Named> = written.iter().map(named).collect();
    let kinds = writable();
    let twice = twice(&config, stories::THETA, &tensors, &kinds);
    assert!(twice.left.is_empty(), "{:?}", twice.left);
    for kind in kinds {
        assert!(twice.quantised.tensors().iter().any(|tensor| tensor.dtype == dtype(kind)), "{kind:?}");
    }
    let ids: Vec<u32> = (0..40).map(|place| (place * 37 + 5) % 97).collect();
    let logits = compare(&twice, &ids, "many types");
    assert!(logits.iter().any(|logit| logit.abs() > 0.1), "the logits say something");
}
