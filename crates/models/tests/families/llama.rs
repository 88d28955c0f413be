//! Two random two-layer Llamas, layer by layer, against the activations that `transformers` gave: read from the
//! names and settings of Hugging Face and from a GGUF file, whole and in pieces, on every device of the build.

use burn::tensor::{Device, Tensor, TensorData};
use models::families::LLAMA;
use models::{Attend, Config, Decoder, Dialect, Input};
use ops::Rows;
use ops::rope::Layout;

use crate::files::{Named, as_gguf, as_gguf_stored, as_safetensors, as_safetensors_stored, llama_settings};
use crate::reference::{MIN_QUIRK, Reference, check, check_quirk, gather, largest_difference};
use crate::run::{Conversation, Seen, devices, numbers, run_causal};
use crate::seeded;
use crate::table::{File, Subject, answers};

pub const CASES: [&str; 2] = ["separate-head", "tied-head"];
pub fn open(case: &str) -> Reference {
    Reference::open(&format!("llama-two-layers/{case}"), &LLAMA.hugging_face)
}

pub fn theta(reference: &Reference) -> f32 {
    reference.settings["rope_parameters"]["rope_theta"].as_f64().unwrap() as f32
}

/// The model's weights under the names of `dialect`.
pub fn weights(reference: &Reference, dialect: &Dialect) -> Vec<Named> {
    let (config, names) = (&reference.config, dialect.names);
    let other = LLAMA.hugging_face.names;
    let (width, hidden) = (config.width, config.feed_forward);
    let (queries, keys) = (config.n_heads * config.head_size, config.n_kv_heads * config.head_size);
    let named = |name: &str, seed: &str, shape: &[usize]| Named {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: seeded::llama(seed, shape),
    };
    let mut tensors = vec![
        named(names.embedding, other.embedding, &[config.vocabulary, width]),
        named(names.norm, other.norm, &[width]),
    ];
    if !reference.is_tied() {
        tensors.push(named(names.head, other.head, &[config.vocabulary, width]));
    }
    for layer in 0..config.n_layers {
        let mut add = |name: &str, seed: &str, shape: &[usize]| {
            let of_layer = |name: &str| name.replace("{}", &layer.to_string());
            tensors.push(named(&of_layer(name), &of_layer(seed), shape));
        };
        add(names.attention_norm, other.attention_norm, &[width]);
        add(names.queries, other.queries, &[queries, width]);
        add(names.keys, other.keys, &[keys, width]);
        add(names.values, other.values, &[keys, width]);
        add(names.attention_output, other.attention_output, &[width, queries]);
        add(names.feed_forward_norm, other.feed_forward_norm, &[width]);
        add(names.gate, other.gate, &[hidden, width]);
        add(names.up, other.up, &[hidden, width]);
        add(names.down, other.down, &[width, hidden]);
    }
    tensors
}

/// The model as a Hugging Face folder holds it.
pub fn as_hugging_face(reference: &Reference, device: &Device) -> Decoder {
    let file = as_safetensors(&weights(reference, &LLAMA.hugging_face));
    Decoder::load(&file, reference.config.clone(), &LLAMA.hugging_face, device).unwrap()
}

fn from_gguf(reference: &Reference, device: &Device) -> Decoder {
    let settings = llama_settings(&reference.config, theta(reference));
    models::load(&as_gguf(&settings, &gguf_tensors(reference)), device).unwrap()
}

/// The weights as a GGUF file holds them: the rows of queries and keys stand so that neighbours make a pair.
pub fn gguf_tensors(reference: &Reference) -> Vec<Named> {
    let mut tensors = weights(reference, &LLAMA.gguf);
    let (width, size) = (reference.config.width, reference.config.head_size);
    for tensor in &mut tensors {
        if tensor.name.contains("attn_q") || tensor.name.contains("attn_k") {
            let rows: Vec<usize> = (0..tensor.shape[0]).map(|row| paired(row, size)).collect();
            tensor.values = gather(&tensor.values, width, &rows);
        }
    }
    tensors
}

/// Which row of the layout by halves stands at `row` of the layout by neighbours, in heads of `size`.
fn paired(row: usize, size: usize) -> usize {
    let (head, place) = (row / size, row % size);
    head * size + place / 2 + (place % 2) * size / 2
}

/// What the table of parity compares.
pub fn subjects() -> Vec<Subject> {
    let subject = |case: &str| {
        let reference = open(case);
        let (ids, config) = (reference.ids.clone(), reference.config.clone());
        let folder = File::new(weights(&reference, &LLAMA.hugging_face), move |tensors| {
            let (file, device) = (as_safetensors_stored(tensors), ops::device::cpu());
            answers(&Decoder::load(&file, config.clone(), &LLAMA.hugging_face, &device).unwrap(), &ids)
        });
        let (ids, settings) = (reference.ids.clone(), llama_settings(&reference.config, theta(&reference)));
        let gguf = File::new(gguf_tensors(&reference), move |tensors| {
            answers(&models::load(&as_gguf_stored(&settings, tensors), &ops::device::cpu()).unwrap(), &ids)
        });
        Subject {
            rounded: None,
            fixture: format!("llama-two-layers/{case}"),
            family: LLAMA.name,
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
            let hugging_face = as_hugging_face(&reference, &device);
            check(&reference, &hugging_face, &format!("{case}, Hugging Face, {label}"));
            check(&reference, &from_gguf(&reference, &device), &format!("{case}, GGUF, {label}"));
        }
    }
}

/// The model with one thing done wrongly.
type Quirk = fn(&Reference) -> Decoder;

fn with_config(reference: &Reference, change: fn(&mut Config)) -> Decoder {
    let file = as_safetensors(&weights(reference, &LLAMA.hugging_face));
    let mut config = reference.config.clone();
    change(&mut config);
    Decoder::load(&file, config, &LLAMA.hugging_face, &ops::device::cpu()).unwrap()
}

/// Query heads in another order, which is what it would be to give them their keys by turns instead of in groups.
fn with_heads_by_turns(reference: &Reference) -> Decoder {
    let Config { n_heads, n_kv_heads, head_size, width, .. } = reference.config;
    let group = n_heads / n_kv_heads;
    let source = |place: usize| {
        let head = place / head_size;
        ((head % group) * n_kv_heads + head / group) * head_size + place % head_size
    };
    let order: Vec<usize> = (0..n_heads * head_size).map(source).collect();
    let mut tensors = weights(reference, &LLAMA.hugging_face);
    for tensor in &mut tensors {
        if tensor.name.contains("q_proj") {
            tensor.values = gather(&tensor.values, width, &order);
        } else if tensor.name.contains("o_proj") {
            let rows = tensor.values.chunks(order.len());
            tensor.values = rows.flat_map(|row| order.iter().map(|&place| row[place])).collect();
        }
    }
    let file = as_safetensors(&tensors);
    Decoder::load(&file, reference.config.clone(), &LLAMA.hugging_face, &ops::device::cpu()).unwrap()
}

#[test]
fn every_quirk_that_is_switched_off_shows() {
    let quirks: [(&str, Quirk); 5] = [
        ("pairs of the other layout", |reference| {
            with_config(reference, |config| config.rope_layout = Layout::Interleaved)
        }),
        ("another epsilon", |reference| with_config(reference, |config| config.epsilon = 1e-2)),
        ("angles of another base", |reference| {
            with_config(reference, |config| {
                config.frequencies.iter_mut().skip(1).for_each(|frequency| *frequency *= 1.1);
            })
        }),
        ("half of each head turned", |reference| {
            with_config(reference, |config| config.frequencies.truncate(config.head_size / 4))
        }),
        ("heads by turns", with_heads_by_turns),
    ];
    for case in CASES {
        let reference = open(case);
        for (name, quirk) in quirks {
            check_quirk(&reference, &quirk(&reference), &format!("{case}, {name}"), MIN_QUIRK);
        }
    }
}

#[test]
fn the_lens_on_the_last_layer_gives_the_emitted_logits() {
    for case in CASES {
        let reference = open(case);
        let decoder = as_hugging_face(&reference, &ops::device::cpu());
        let width = reference.config.width;
        let last = format!("layers.{}.output", reference.config.n_layers - 1);
        let mut conversation = Conversation::new(&decoder, reference.ids.len(), 16);
        let (prompt, generated) = reference.ids.split_at(70);
        for (ids, rows) in [(prompt, Rows::prompt(70)), (generated, Rows::generated(generated.len()))] {
            let mut seen = Seen::default();
            let emitted = numbers(conversation.add(ids, rows, Some(&mut seen)));
            let stream = TensorData::new(seen.0.remove(&last).unwrap(), [ids.len(), width]);
            let read = numbers(decoder.logits(Tensor::from_data(stream, decoder.device()), rows));
            let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&read) == bits(&emitted), "{case}, {rows:?}");
        }
    }
}

/// Whoever measures what weights are multiplied with relies on it.
#[test]
fn the_probe_sees_what_products_take() {
    let reference = open(CASES[0]);
    let (_, seen) = run_causal(&as_hugging_face(&reference, &ops::device::cpu()), &reference.ids, 1);
    for (input, weight, output) in [
        ("attention.norm", "self_attn.v_proj", "attention.values"),
        ("attention.mix", "self_attn.o_proj", "attention.output"),
        ("feed_forward.inner", "mlp.down_proj", "feed_forward.output"),
    ] {
        let [input, output] = [input, output].map(|part| &seen.0[&format!("layers.1.{part}")]);
        let name = format!("model.layers.1.{weight}.weight");
        let tensors = weights(&reference, &LLAMA.hugging_face);
        let weight = tensors.iter().find(|tensor| tensor.name == name).unwrap();
        let width = weight.shape[1];
        let product = |row: &[f32], weights: &[f32]| row.iter().zip(weights).map(|(a, b)| a * b).sum::<f32>();
        let rows = input.chunks(width);
        let expected: Vec<f32> = rows
            .flat_map(|row| weight.values.chunks(width).map(move |weights| product(row, weights)))
            .collect();
        let difference = largest_difference(output, &expected);
        assert!(difference < 1e-3, "{name}: {difference:.1e} away");
    }
}

#[test]
fn the_wanted_rows_alone_are_as_among_all() {
    let reference = open(CASES[0]);
    let decoder = from_gguf(&reference, &ops::device::cpu());
    let vocabulary = reference.config.vocabulary;
    let rows = Rows::prompt(reference.ids.len());
    let (all, _) = run_causal(&decoder, &reference.ids, 1);
    for wanted in [&[71][..], &[0, 3, 70], &[]] {
        let input = Input { ids: &reference.ids, rows, wanted: Some(wanted), adapters: &[] };
        let logits = decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, None);
        assert_eq!(logits.dims(), [wanted.len(), vocabulary]);
        assert!(numbers(logits) == gather(&all, vocabulary, wanted), "{wanted:?}");
    }
}
