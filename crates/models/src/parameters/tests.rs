//! What learns has gradients that small steps confirm, and goes out and in unchanged.

use super::*;
use crate::families::{GEMMA2, GLM4, GPT_NEOX, GPT2, LLAMA, PHI3, QWEN2, QWEN3};
use crate::tensors::Found;
use crate::{Attend, Error, Family, Input, Tensors};
use ops::Rows;
use ops::weight::{Lent, Storage};
use std::collections::BTreeMap;

fn llama() -> Config {
    let config = Config::new([32, 32, 2, 64, 64], [2, 1], &LLAMA.gguf);
    Config { epsilon: 1e-5, ..config }
}

fn gpt2(biases: Biases) -> Config {
    let blocks = Blocks { biases, ..GPT2.gguf.blocks };
    let config = Config::new([32, 32, 2, 64, 8], [2, 2], &GPT2.gguf);
    Config { blocks, ..config }
}

/// A small model of a family that turns.
fn turned(family: &Family, n_kv_heads: usize) -> Config {
    Config::new([32, 32, 2, 64, 64], [2, n_kv_heads], &family.gguf)
}

/// Gemma 2 without a cap on logits, with a window that is felt.
fn gemma2() -> Config {
    let mut config = turned(&GEMMA2, 1);
    config.layers[0].window = Some(2);
    Config { score_cap: Some(1.5), score_scale: 0.5, ..config }
}

/// Every kind of model that learns.
fn models() -> Vec<(&'static str, Config, &'static Family)> {
    vec![
        ("llama", llama(), &LLAMA),
        ("gpt2", gpt2(Biases::All), &GPT2),
        ("gpt2 without bias", gpt2(Biases::None), &GPT2),
        ("qwen2", turned(&QWEN2, 1), &QWEN2),
        ("qwen3", turned(&QWEN3, 1), &QWEN3),
        ("gemma2", gemma2(), &GEMMA2),
        ("phi3", turned(&PHI3, 1), &PHI3),
        ("glm4", turned(&GLM4, 1), &GLM4),
        ("gpt_neox", turned(&GPT_NEOX, 2), &GPT_NEOX),
    ]
}

#[test]
fn what_cannot_learn_says_so() {
    let capped = Config { logit_cap: Some(30.0), ..gemma2() };
    assert!(matches!(capped.check_learning("gemma2"), Err(Error::Learning { .. })));
    let experts = Some(crate::config::ExpertSizes { n_experts: 4, n_chosen: 2 });
    let routed = Config { experts, ..llama() };
    let error = routed.check_learning("llama").unwrap_err().to_string();
    assert_eq!(error, "llama models with routed experts cannot be trained or written in another form yet");
    let file = File(BTreeMap::new());
    let read = Parameters::read(&file, &[], routed, &LLAMA.gguf, &cpu());
    assert!(matches!(read, Err(Error::Learning { .. })));
    assert!(gemma2().check_learning("gemma2").is_ok());
}

fn cpu() -> Device {
    ops::device::cpu()
}

/// The mean of the squared logits of four tokens.
fn loss(decoder: &Decoder) -> Tensor<1> {
    let input = Input { ids: &[1, 2, 3, 4], rows: Rows::prompt(4), wanted: None, adapters: &[] };
    let logits = decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, None);
    (logits.clone() * logits).mean()
}

fn loss_of(parameters: &Parameters) -> f32 {
    loss(&parameters.decoder()).into_scalar::<f32>()
}

fn set(parameters: &mut Parameters, index: usize, values: Vec<f32>) {
    let shape = parameters.list[index].shape.clone();
    parameters.list[index].tensor = Learned::new(values, &shape, &cpu());
}

#[test]
fn every_parameter_has_a_gradient_that_a_small_step_confirms() {
    for (model, config, family) in models() {
        for head in [Head::Tied, Head::Own] {
            let mut parameters =
                Parameters::random(config.clone(), head, &family.gguf, &mut Rng::new(5), &cpu());
            let taped = parameters.taped();
            let before = loss(&taped.decoder);
            let gradients = taped.take_gradients(&mut before.backward());
            let before = before.into_scalar::<f32>();
            for (index, gradient) in gradients.iter().enumerate() {
                let name = parameters.list[index].name.clone();
                let context = format!("{model}, {head:?}, {name}");
                let gradient = gradient.as_ref().unwrap_or_else(|| panic!("{context}")).values();
                let norm_squared: f32 = gradient.iter().map(|g| g * g).sum();
                if name.ends_with("attn_k.bias") {
                    // It shifts all scores of a query alike, and so changes nothing; where keys are turned, often little.
                    assert!(config.rope.is_some() || norm_squared < 1e-10, "{context}: {norm_squared}");
                    if norm_squared < 1e-4 {
                        continue;
                    }
                }
                let ratio = confirm(&mut parameters, index, &gradient, before);
                assert!((ratio - 1.0).abs() < 0.05, "{context}: {ratio}");
            }
        }
    }
}

/// A step along the gradient that should raise the loss by one part in five hundred: what it does, in what it should.
fn confirm(parameters: &mut Parameters, index: usize, gradient: &[f32], before: f32) -> f32 {
    let values = parameters.list[index].tensor.values();
    let norm_squared: f32 = gradient.iter().map(|g| g * g).sum();
    let step = 0.002 * before / norm_squared;
    let moved = |sign: f32| values.iter().zip(gradient).map(|(v, g)| v + sign * step * g).collect();
    set(parameters, index, moved(1.0));
    let up = loss_of(parameters);
    set(parameters, index, moved(-1.0));
    let down = loss_of(parameters);
    set(parameters, index, values);
    (up - down) / (2.0 * step * norm_squared)
}

#[test]
fn values_go_out_and_in_again() {
    for (model, config, family) in models() {
        let dialect = &family.gguf;
        let first = Parameters::random(config.clone(), Head::Tied, dialect, &mut Rng::new(9), &cpu());
        let mut asked = 0;
        let second = Parameters::from_values(config, Head::Tied, dialect, &cpu(), &mut |name, n| {
            let found = first.iter().find(|parameter| parameter.name == name).expect("the same names");
            let values = found.tensor.values();
            assert_eq!(values.len(), n);
            asked += n;
            values
        });
        assert_eq!(asked, first.n_values());
        let [first, second] = [first, second].map(|model| loss_of(&model));
        assert_eq!(first, second, "{model}");
    }
}

/// A file in memory.
struct File(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Tensors for File {
    fn label(&self) -> &str {
        "memory"
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        Ok(self.0.get(name).map(|(shape, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Found { shape: shape.clone(), storage: Storage::F32, bytes: Lent::new(bytes) }
        }))
    }
}

#[test]
fn what_is_written_in_any_dialect_loads_as_the_same_model() {
    for (model, config, family) in models() {
        for head in [Head::Tied, Head::Own] {
            let mut parameters =
                Parameters::random(config.clone(), head, &family.gguf, &mut Rng::new(2), &cpu());
            // No tensor may be like another, biases least of all.
            let mut rng = Rng::new(3);
            for index in 0..parameters.list.len() {
                let n: usize = parameters.list[index].shape.iter().product();
                set(&mut parameters, index, normal(n, 0.3, &mut rng));
            }
            let expected = logits(&parameters.decoder());
            for dialect in [&family.gguf, &family.hugging_face] {
                let written = parameters.written(dialect);
                let file = written.iter().map(|w| (w.name.clone(), (w.shape.clone(), w.values())));
                let file = File(file.collect());
                // Zeros stand for the biases that a model of a family with biases does without.
                let is_learned = |value: &&f32| **value != 0.0;
                let n_values: usize =
                    file.0.values().map(|(_, values)| values.iter().filter(is_learned).count()).sum();
                assert_eq!(n_values, parameters.n_values(), "{model}: every value once");
                let has_biases = file.0.keys().any(|name| name.ends_with(".bias"));
                assert_eq!(has_biases, dialect.blocks.biases != Biases::None, "{model}");
                let config = Config { rope_layout: dialect.rope_layout, ..config.clone() };
                let names: Vec<String> = file.0.keys().cloned().collect();
                // A file of a family that expects biases has them, of zeros where none were learned.
                let as_filed = Config { blocks: dialect.blocks, ..config.clone() };
                let read = Parameters::read(&file, &names, as_filed.clone(), dialect, &cpu()).unwrap();
                assert_eq!(read.head(), head, "{model}");
                for (read, known) in read.written(dialect).iter().zip(&written) {
                    assert_eq!((&read.name, read.values()), (&known.name, known.values()), "{model}");
                }
                let mut more = names.clone();
                more.push("blk.0.unheard_of".into());
                let refused = Parameters::read(&file, &more, as_filed, dialect, &cpu());
                assert!(matches!(refused, Err(Error::UnknownTensor { .. })), "{model}");
                let loaded = Decoder::load(&file, config, dialect, &ops::device::cpu()).unwrap();
                let found = logits(&loaded);
                let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                let size = expected.iter().map(|x| x.abs()).fold(0.0, f32::max);
                assert!(largest <= 1e-5 * size, "{model}, {head:?}: {largest} of {size}");
            }
        }
    }
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    let input = Input { ids: &[1, 2, 3, 4, 2], rows: Rows::prompt(5), wanted: None, adapters: &[] };
    let logits = decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, None);
    floats(logits.into_data())
}

/// The tables of an embedding that stands before the tape learn what they learn on it.
#[test]
fn gradients_of_an_embedding_before_the_tape_are_those_on_it() {
    let (ids, positions) = ([3, 1, 3, 4, 0, 3], [0, 1, 2, 0, 1, 2]);
    for (model, config, family) in models() {
        let parameters = Parameters::random(config, Head::Tied, &family.gguf, &mut Rng::new(4), &cpu());
        let taped = parameters.taped();
        let cost = |x: Tensor<2>| {
            let end = taped.decoder.layers(0..2, x, Rows::prompt(6), &mut Attend::Causal { sequences: 2 });
            let logits = taped.decoder.logits(end, Rows::prompt(6));
            (logits.clone() * logits).mean()
        };
        let mut gradients = cost(taped.decoder.embed(&ids, &positions)).backward();
        let expected = taped.take_gradients(&mut gradients);
        let stream = parameters.decoder().embed(&ids, &positions);
        let stream = Tensor::from_inner(stream).require_grad();
        let mut gradients = cost(stream.clone()).backward();
        let gradient = stream.grad_remove(&mut gradients).unwrap();
        let without = taped.take_gradients(&mut gradients);
        let found = parameters.with_embedding_gradients(without, [&ids, &positions], gradient);
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (found, expected) = (found.values(), expected.as_ref().unwrap().values());
            let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let size = expected.iter().map(|x| x.abs()).fold(1e-6, f32::max);
            assert!(largest <= 1e-5 * size, "{model}, {}: {largest}", parameters.list[index].name);
        }
    }
}
