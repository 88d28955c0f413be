//! Two random two-layer Llamas, layer by layer, against the activations that `transformers` gave: read from the
//! names and settings of Hugging Face and from a GGUF file, whole and in pieces, on every device of the build.

use burn::tensor::{Device, Tensor, TensorData};
use formats::{FileBytes, TensorFile, safetensors};
use models::families::LLAMA;
use models::{Attend, Config, Decoder, Dialect, Input};
use ops::Rows;
use ops::rope::Layout;

use crate::files::{Named, as_gguf, as_safetensors, values};
use crate::run::{Conversation, Pieces, Seen, devices, numbers, run_causal, run_paged};
use crate::seeded::weight;

/// The largest difference from `transformers`, at the logits and at every layer.
const MAX_ERROR: f32 = 2e-4;
/// How far a quirk that is switched off moves the logits at least.
const MIN_QUIRK: f32 = 1e-2;
/// `make.py` stores every third row of what is not logits.
const STORED_EVERY: usize = 3;

pub const CASES: [&str; 2] = ["separate-head", "tied-head"];
const PIECES: [Pieces; 5] = [
    Pieces { prompt: 72, generated_from: 72, block: 16 },
    Pieces { prompt: 7, generated_from: 72, block: 5 },
    Pieces { prompt: 64, generated_from: 40, block: 16 },
    Pieces { prompt: 13, generated_from: 65, block: 32 },
    Pieces { prompt: 1, generated_from: 0, block: 1 },
];

/// A reference: what the model is, what it read, what it computed.
pub struct Reference {
    file: TensorFile,
    settings: serde_json::Value,
    pub config: Config,
    pub theta: f32,
    pub ids: Vec<u32>,
}

impl Reference {
    pub fn open(case: &str) -> Self {
        let path = testkit::shared::root().join(format!("fixtures/llama-two-layers/{case}.safetensors"));
        let file = safetensors::read(&FileBytes::open(&path).unwrap()).unwrap();
        let json = |key: &str| {
            let text: &str = file.metadata().read(key).unwrap();
            serde_json::from_str::<serde_json::Value>(text).unwrap()
        };
        let settings = json("config");
        let config = Config::from_hugging_face(&settings, &LLAMA.hugging_face, "config.json").unwrap();
        let theta = settings["rope_parameters"]["rope_theta"].as_f64().unwrap() as f32;
        let ids: Vec<u32> =
            json("ids").as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert!(ids.len() > 64, "longer than any tile or page");
        Self { settings, config, theta, ids, file }
    }

    pub fn logits(&self) -> Vec<f32> {
        values(&self.file, "logits")
    }

    /// The model's weights under the names of `dialect`.
    fn weights(&self, dialect: &Dialect) -> Vec<Named> {
        let (config, names) = (&self.config, dialect.names);
        let other = LLAMA.hugging_face.names;
        let (width, hidden) = (config.width, config.feed_forward);
        let (queries, keys) = (config.n_heads * config.head_size, config.n_kv_heads * config.head_size);
        let named = |name: &str, seed: &str, shape: &[usize]| Named {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: weight(seed, shape),
        };
        let mut tensors = vec![
            named(names.embedding, other.embedding, &[config.vocabulary, width]),
            named(names.norm, other.norm, &[width]),
        ];
        if self.settings["tie_word_embeddings"] == false {
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
    fn as_hugging_face(&self, device: &Device) -> Decoder {
        let file = as_safetensors(&self.weights(&LLAMA.hugging_face));
        Decoder::load(&file, self.config.clone(), &LLAMA.hugging_face, device).unwrap()
    }

    fn as_gguf(&self, device: &Device) -> Decoder {
        models::load(&as_gguf(&self.config, self.theta, &self.gguf_tensors()), device).unwrap()
    }

    /// The weights as a GGUF file holds them: the rows of queries and keys stand so that neighbours make a pair.
    pub fn gguf_tensors(&self) -> Vec<Named> {
        let mut tensors = self.weights(&LLAMA.gguf);
        let (width, size) = (self.config.width, self.config.head_size);
        for tensor in &mut tensors {
            if tensor.name.contains("attn_q") || tensor.name.contains("attn_k") {
                let rows: Vec<usize> = (0..tensor.shape[0]).map(|row| paired(row, size)).collect();
                tensor.values = gather(&tensor.values, width, &rows);
            }
        }
        tensors
    }
}

/// Which row of the layout by halves stands at `row` of the layout by neighbours, in heads of `size`.
fn paired(row: usize, size: usize) -> usize {
    let (head, place) = (row / size, row % size);
    head * size + place / 2 + (place % 2) * size / 2
}

fn gather(values: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()
}

pub fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |largest, difference| if difference <= largest { largest } else { difference })
}

/// Holds every stored activation against what was seen; the largest difference.
fn compare(reference: &Reference, seen: &Seen, sequences: usize, what: &str) -> f32 {
    let n_tokens = reference.ids.len();
    let mut largest = 0.0f32;
    for entry in reference.file.tensors() {
        let every = if entry.name == "logits" { 1 } else { STORED_EVERY };
        let (width, expected) = (entry.shape[1], values(&reference.file, &entry.name));
        for sequence in 0..sequences {
            let rows: Vec<usize> =
                (0..n_tokens).step_by(every).map(|row| sequence * n_tokens + row).collect();
            let found = gather(&seen.0[&entry.name], width, &rows);
            let difference = largest_difference(&found, &expected);
            assert!(difference <= MAX_ERROR, "{what}: {} is {difference:.1e} away", entry.name);
            largest = largest.max(difference);
        }
    }
    largest
}

#[test]
fn every_layer_is_as_in_transformers() {
    for case in CASES {
        let reference = Reference::open(case);
        let mean_square = reference.logits().iter().map(|logit| logit * logit).sum::<f32>();
        assert!(mean_square / reference.logits().len() as f32 > 1.0, "logits wide enough to show a fault");
        for (label, device) in devices() {
            let decoders =
                [("Hugging Face", reference.as_hugging_face(&device)), ("GGUF", reference.as_gguf(&device))];
            for (source, decoder) in decoders {
                let what = format!("{case}, {source}, {label}");
                for sequences in [1, 2] {
                    let (_, seen) = run_causal(&decoder, &reference.ids, sequences);
                    let largest =
                        compare(&reference, &seen, sequences, &format!("{what}, {sequences} whole"));
                    println!("{what}, {sequences} whole: {largest:.1e}");
                }
                for pieces in PIECES {
                    let (logits, seen) = run_paged(&decoder, &reference.ids, pieces);
                    assert_eq!(seen.0["logits"], logits, "the probe sees what is given back");
                    let largest = compare(&reference, &seen, 1, &format!("{what}, {pieces:?}"));
                    println!("{what}, {pieces:?}: {largest:.1e}");
                }
            }
        }
    }
}

/// The model with one thing done wrongly.
type Quirk = fn(&Reference) -> Decoder;

fn with_config(reference: &Reference, change: fn(&mut Config)) -> Decoder {
    let file = as_safetensors(&reference.weights(&LLAMA.hugging_face));
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
    let mut tensors = reference.weights(&LLAMA.hugging_face);
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
        let reference = Reference::open(case);
        for (name, quirk) in quirks {
            let (logits, _) = run_causal(&quirk(&reference), &reference.ids, 1);
            let moved = largest_difference(&logits, &reference.logits());
            println!("{case}, {name}: {moved:.1e}");
            assert!(moved >= MIN_QUIRK, "{case}: {name} moves the logits by {moved:.1e} only");
        }
    }
}

#[test]
fn the_lens_on_the_last_layer_gives_the_emitted_logits() {
    for case in CASES {
        let reference = Reference::open(case);
        let decoder = reference.as_hugging_face(&ops::device::cpu());
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

#[test]
fn the_wanted_rows_alone_are_as_among_all() {
    let reference = Reference::open(CASES[0]);
    let decoder = reference.as_gguf(&ops::device::cpu());
    let vocabulary = reference.config.vocabulary;
    let rows = Rows::prompt(reference.ids.len());
    let (all, _) = run_causal(&decoder, &reference.ids, 1);
    for wanted in [&[71][..], &[0, 3, 70], &[]] {
        let input = Input { ids: &reference.ids, rows, wanted: Some(wanted) };
        let logits = decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, None);
        assert_eq!(logits.dims(), [wanted.len(), vocabulary]);
        assert!(numbers(logits) == gather(&all, vocabulary, wanted), "{wanted:?}");
    }
}
