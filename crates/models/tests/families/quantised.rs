//! Models in Q8_0: what they compute is what the same weights compute when they are widened to f32.

use formats::{Dtype, TensorFile, TensorSpec};
use models::{Config, Decoder};
use ops::weight::Storage;

use crate::files::{Named, as_gguf_stored, bytes, llama_settings, specs};
use crate::llama::{self, CASES};
use crate::reference::largest_difference;
use crate::run::{Pieces, devices, run_paged};
use crate::stories;

/// The largest difference of a logit on a device whose arithmetic does not follow the storage exactly.
const MAX_ERROR: f32 = 1e-4;

/// One model twice: with every matrix in Q8_0 whose rows are whole blocks, and with what they widen to.
struct Twice {
    quantised: TensorFile,
    widened: TensorFile,
    /// Names of the matrices that stay in F32, because their rows are not.
    left: Vec<String>,
}

fn twice(config: &Config, theta: f32, tensors: &[Named]) -> Twice {
    let kind = Storage::Q8_0.blocks().unwrap();
    let (mut quantised, mut widened, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for (tensor, spec) in tensors.iter().zip(specs(tensors)) {
        let size = Storage::Q8_0.size_bytes(&tensor.shape).filter(|_| tensor.shape.len() == 2);
        let Some(size) = size else {
            if tensor.shape.len() == 2 {
                left.push(tensor.name.clone());
            }
            quantised.push((spec.clone(), bytes(&tensor.values)));
            widened.push((spec, bytes(&tensor.values)));
            continue;
        };
        let mut blocks = vec![0; size];
        kind.quantise(&tensor.values, &mut blocks);
        widened.push((spec.clone(), bytes(&Storage::Q8_0.widen(&blocks))));
        quantised.push((TensorSpec { dtype: Dtype::Q8_0, ..spec }, blocks));
    }
    let settings = llama_settings(config, theta);
    let [quantised, widened] = [quantised, widened].map(|tensors| as_gguf_stored(&settings, &tensors));
    Twice { quantised, widened, left }
}

/// Logits of a text, part prompt and part generated, of both; the largest difference of any.
fn compare(twice: &Twice, ids: &[u32], what: &str) -> Vec<f32> {
    let mut first = Vec::new();
    for (label, device) in devices() {
        let logits = |file: &TensorFile| {
            let decoder: Decoder = models::load(file, &device).unwrap();
            run_paged(&decoder, ids, Pieces { prompt: 13, generated_from: ids.len() / 2, block: 16 }).0
        };
        let (found, expected) = (logits(&twice.quantised), logits(&twice.widened));
        let largest = largest_difference(&found, &expected);
        println!("{what}, {label}: Q8_0 within {largest:.1e} of its widened weights");
        assert!(largest <= MAX_ERROR, "{what}, {label}: {largest:e}");
        if label == "cpu" {
            // Widening is exact and both take the same arithmetic.
            assert!(found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{what}");
        }
        first = found;
    }
    first
}

#[test]
fn a_quantised_llama_computes_with_its_widened_weights() {
    let reference = llama::open(CASES[0]);
    let tensors = llama::gguf_tensors(&reference);
    let twice = twice(&reference.config, llama::theta(&reference), &tensors);
    let n_quantised = twice.quantised.tensors().iter().filter(|tensor| tensor.dtype == Dtype::Q8_0).count();
    // Embedding, head, and of each layer everything but the way down, whose rows are 172 long.
    assert_eq!(
        (n_quantised, &twice.left[..]),
        (2 + 2 * 6, &["blk.0.ffn_down.weight", "blk.1.ffn_down.weight"].map(String::from)[..])
    );
    let found = compare(&twice, &reference.ids, CASES[0]);
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>();
    let expected = reference.logits();
    let noise = squares(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
    let moved = (noise / squares(&mut expected.iter().copied())).sqrt();
    println!("{}: Q8_0 moves the logits by {:.1} % of their size", CASES[0], 100.0 * moved);
    // Uniform weights lose 0.4 % in every matrix, and the wide attention of this model makes more of it.
    assert!((0.002..0.04).contains(&moved), "quantising moves the logits by {moved:.1e}");
}

#[test]
fn stories260k_in_q8_0_computes_with_its_widened_weights() {
    let test = "models::families::quantised::stories260k_in_q8_0_computes_with_its_widened_weights";
    let Some(data) = testkit::shared::shared(test) else { return };
    let folder = data.join("llm/stories260K");
    let (config, tensors) = stories::read(&folder);
    let twice = twice(&config, stories::THETA, &tensors);
    assert!(twice.left.iter().all(|name| name.contains("ffn_down")), "{:?}", twice.left);
    let reference = stories::json(&folder.join("stories260K.reference.json"));
    for case in reference["cases"].as_array().unwrap() {
        compare(&twice, &stories::ids(&case["tokens"]), &case["prompt"].to_string());
    }
}
