//! Three random two-layer GPT-2s, one without any bias, layer by layer, against the activations that `transformers`
//! gave: read from the names and settings of Hugging Face and from a GGUF file, whole and in pieces, on every device.

use burn::tensor::Device;
use formats::TensorFile;
use formats::metadata::Value;
use models::blocks::{FeedForwardKind, NormKind};
use models::families::GPT2;
use models::{Config, Decoder, Error};
use ops::activation::gelu::Gelu;

use crate::files::{Named, as_gguf, as_gguf_stored, as_safetensors, as_safetensors_stored};
use crate::reference::{MAX_ERROR, MIN_QUIRK, Reference, check, check_quirk};
use crate::run::devices;
use crate::seeded;
use crate::table::{File, Subject, answers};

const CASES: [&str; 3] = ["tied-head", "separate-head", "without-bias"];

fn open(case: &str) -> Reference {
    Reference::open(&format!("gpt2-two-layers/{case}"), &GPT2.hugging_face)
}

/// The model's tensors as `transformers` saves them; a model without bias has none.
fn weights(case: &str, reference: &Reference) -> Vec<Named> {
    let Config { width, feed_forward, vocabulary, context, n_layers, .. } = reference.config;
    let mut list = vec![
        ("wte.weight".to_owned(), vec![vocabulary, width]),
        ("wpe.weight".to_owned(), vec![context, width]),
        ("ln_f.weight".to_owned(), vec![width]),
        ("ln_f.bias".to_owned(), vec![width]),
    ];
    for layer in 0..n_layers {
        let products = [
            ("attn.c_attn", [width, 3 * width]),
            ("attn.c_proj", [width, width]),
            ("mlp.c_fc", [width, feed_forward]),
            ("mlp.c_proj", [feed_forward, width]),
        ];
        for (name, [inputs, outputs]) in products {
            list.push((format!("h.{layer}.{name}.weight"), vec![inputs, outputs]));
            list.push((format!("h.{layer}.{name}.bias"), vec![outputs]));
        }
        for name in ["ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"] {
            list.push((format!("h.{layer}.{name}"), vec![width]));
        }
    }
    let mut list: Vec<(String, Vec<usize>)> =
        list.into_iter().map(|(name, shape)| (format!("transformer.{name}"), shape)).collect();
    if !reference.is_tied() {
        list.push(("lm_head.weight".into(), vec![vocabulary, width]));
    }
    list.retain(|(name, _)| case != "without-bias" || !name.ends_with(".bias"));
    let named =
        |(name, shape): (String, Vec<usize>)| Named { values: seeded::gpt2(&name, &shape), name, shape };
    list.into_iter().map(named).collect()
}

/// The model's folder, and its GGUF file.
pub fn files(case: &str) -> [TensorFile; 2] {
    let reference = open(case);
    let file = as_gguf(&settings(&reference.config), &converted(weights(case, &reference)));
    [as_safetensors(&weights(case, &reference)), file]
}

/// As llama.cpp's conversion would name and lay the same tensors.
fn converted(tensors: Vec<Named>) -> Vec<Named> {
    const NAMES: [(&str, &str); 10] = [
        ("transformer.wte", "token_embd"),
        ("transformer.wpe", "position_embd"),
        ("transformer.ln_f", "output_norm"),
        ("lm_head", "output"),
        ("attn.c_attn", "attn_qkv"),
        ("attn.c_proj", "attn_output"),
        ("mlp.c_fc", "ffn_up"),
        ("mlp.c_proj", "ffn_down"),
        ("ln_1", "attn_norm"),
        ("ln_2", "ffn_norm"),
    ];
    let convert = |Named { name, shape, values }| {
        let converted = NAMES
            .iter()
            .fold(name.replace("transformer.h.", "blk."), |name, (from, to)| name.replace(from, to));
        match shape[..] {
            [inputs, outputs] if name.contains(".c_") => {
                let column = |output| (0..inputs).map(move |input| input * outputs + output);
                let values = (0..outputs).flat_map(column).map(|place| values[place]).collect();
                Named { name: converted, shape: vec![outputs, inputs], values }
            }
            _ => Named { name: converted, shape, values },
        }
    };
    tensors.into_iter().map(convert).collect()
}

fn settings(config: &Config) -> Vec<(&'static str, Value)> {
    let count = |value: usize| Value::U32(u32::try_from(value).unwrap());
    vec![
        ("general.architecture", Value::String("gpt2".into())),
        ("gpt2.vocab_size", count(config.vocabulary)),
        ("gpt2.context_length", count(config.context)),
        ("gpt2.embedding_length", count(config.width)),
        ("gpt2.feed_forward_length", count(config.feed_forward)),
        ("gpt2.block_count", count(config.n_layers)),
        ("gpt2.attention.head_count", count(config.n_heads)),
        ("gpt2.attention.layer_norm_epsilon", Value::F32(config.epsilon)),
    ]
}

fn load(tensors: &[Named], config: &Config, device: &Device) -> Result<Decoder, Error> {
    Decoder::load(&as_safetensors(tensors), config.clone(), &GPT2.hugging_face, device)
}

/// What the table of parity compares.
pub fn subjects() -> Vec<Subject> {
    let subject = |case: &str| {
        let reference = open(case);
        let (ids, config) = (reference.ids.clone(), reference.config.clone());
        let folder = File::new(weights(case, &reference), move |tensors| {
            let (file, device) = (as_safetensors_stored(tensors), ops::device::cpu());
            answers(&Decoder::load(&file, config.clone(), &GPT2.hugging_face, &device).unwrap(), &ids)
        });
        let (ids, settings) = (reference.ids.clone(), settings(&reference.config));
        let gguf = File::new(converted(weights(case, &reference)), move |tensors| {
            answers(&models::load(&as_gguf_stored(&settings, tensors), &ops::device::cpu()).unwrap(), &ids)
        });
        Subject {
            rounded: None,
            fixture: format!("gpt2-two-layers/{case}"),
            family: GPT2.name,
            row: reference.config.vocabulary,
            expected: reference.logits(),
            folder,
            gguf: Some(gguf),
        }
    };
    CASES.map(subject).into()
}

#[test]
fn every_layer_is_as_in_transformers() {
    for case in CASES {
        let reference = open(case);
        for (label, device) in devices() {
            let mut tensors = weights(case, &reference);
            let decoder = load(&tensors, &reference.config, &device).unwrap();
            check(&reference, &decoder, &format!("{case}, Hugging Face, {label}"));
            let file = as_gguf(&settings(&reference.config), &converted(weights(case, &reference)));
            check(&reference, &models::load(&file, &device).unwrap(), &format!("{case}, GGUF, {label}"));
            // The first files of GPT-2 leave the prefix out.
            for tensor in &mut tensors {
                tensor.name = tensor.name.replace("transformer.", "");
            }
            let decoder = load(&tensors, &reference.config, &device).unwrap();
            check(&reference, &decoder, &format!("{case}, without prefix, {label}"));
        }
    }
}

#[test]
fn a_file_that_lacks_a_tensor_or_one_bias_is_refused() {
    let reference = open(CASES[0]);
    let device = ops::device::cpu();
    for missing in [
        "transformer.wpe.weight",
        "transformer.h.1.attn.c_attn.weight",
        "transformer.h.1.attn.c_attn.bias",
        "transformer.h.1.ln_2.bias",
        "transformer.h.0.mlp.c_proj.weight",
    ] {
        let mut tensors = weights(CASES[0], &reference);
        tensors.retain(|tensor| tensor.name != missing);
        match load(&tensors, &reference.config, &device) {
            Err(Error::MissingTensor { name, .. }) => assert_eq!(name, missing),
            Err(other) => panic!("{missing}: {other}"),
            Ok(_) => panic!("{missing} is not missed"),
        }
    }
    // A matrix that lies the other way is told by its shape.
    let mut tensors = weights(CASES[0], &reference);
    let turned = tensors.iter_mut().find(|tensor| tensor.name.ends_with("0.mlp.c_fc.weight")).unwrap();
    turned.shape.reverse();
    assert!(matches!(load(&tensors, &reference.config, &device), Err(Error::Shape { .. })));
}

/// One thing done wrongly: the settings, the tensors, or both.
type Quirk = fn(&mut Config, &mut Vec<Named>);

fn change(tensors: &mut [Named], name: &str, how: impl Fn(&mut Named)) {
    let found: Vec<&mut Named> = tensors.iter_mut().filter(|tensor| tensor.name.contains(name)).collect();
    assert!(!found.is_empty(), "{name} is no tensor");
    found.into_iter().for_each(how);
}

#[test]
fn every_quirk_that_is_switched_off_shows() {
    let quirks: [(&str, Quirk); 8] = [
        ("the other gelu", |config, _| config.blocks.feed_forward = FeedForwardKind::Gelu(Gelu::Erf)),
        ("norms that subtract no mean", |config, _| config.blocks.norm = NormKind::RootMeanSquare),
        ("another epsilon", |config, _| config.epsilon = 1e-2),
        ("no positions", |_, tensors| change(tensors, "wpe", |tensor| tensor.values.fill(0.0))),
        ("positions from 1", |config, tensors| {
            change(tensors, "wpe", |tensor| tensor.values.rotate_left(config.width));
        }),
        ("keys before queries", |config, tensors| {
            let width = config.width;
            change(tensors, "c_attn.weight", |tensor| {
                for row in tensor.values.chunks_mut(3 * width) {
                    let (queries, keys) = row[..2 * width].split_at_mut(width);
                    queries.swap_with_slice(keys);
                }
            });
        }),
        ("no bias in attention", |_, tensors| tensors.retain(|tensor| !tensor.name.contains("c_attn.bias"))),
        ("no bias in norms", |_, tensors| {
            tensors.retain(|tensor| !(tensor.name.contains("ln_") && tensor.name.ends_with(".bias")));
        }),
    ];
    for case in CASES {
        let reference = open(case);
        for (name, quirk) in quirks {
            if case == "without-bias" && name.starts_with("no bias") {
                continue;
            }
            let (mut config, mut tensors) = (reference.config.clone(), weights(case, &reference));
            quirk(&mut config, &mut tensors);
            let decoder = load(&tensors, &config, &ops::device::cpu()).unwrap();
            // The two forms of GELU differ by 5e-4 at most.
            let least = if name == "the other gelu" { 5.0 * MAX_ERROR } else { MIN_QUIRK };
            check_quirk(&reference, &decoder, &format!("{case}, {name}"), least);
        }
    }
}
