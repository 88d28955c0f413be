//! Cross-encoders against `transformers`: the logits of questions and texts that are read together, from the files of a
//! Hugging Face folder and from what llama.cpp would convert them to, alone and among others, on every device.

use std::path::PathBuf;

use burn::tensor::Device;
use formats::metadata::Value;
use formats::{FileBytes, TensorFile, safetensors};
use models::encoder::{Classifier, Encoder, Pooling, Typed};
use models::families::{BERT, ROBERTA, recognise_config};
use models::{Config, Error, Family};
use serde_json::Value as Json;

use crate::converted::{Conversion, settings};
use crate::encoders::BERT_NAMES;
use crate::files::{Named, Stored, as_gguf_stored, as_safetensors, as_safetensors_stored, stored, values};
use crate::reference::{MAX_ERROR, MIN_QUIRK, largest_difference};
use crate::run::{devices, numbers};
use crate::table::{File, Subject};

/// How far logits of weights in bf16 may lie from those of the same weights in f32, where rows are rounded too.
const ENCODED: f32 = 1e-1;
/// What stands in a GGUF file for the head.
const DENSE: &str = "cls.weight";
const OUTPUT: &str = "cls.output.weight";

/// A fixture.
struct Case {
    name: &'static str,
    family: &'static Family,
    conversion: Conversion,
    /// Rows of the table of positions that stand for none, which a conversion leaves out.
    unused: usize,
}

/// Besides the names of an encoder. llama.cpp's conversion of BERT leaves the pooler out; where somebody puts it in, it
/// is the dense layer of the head.
const NAMES: &[(&str, &str)] = &[
    ("roberta.", ""),
    ("bert.", ""),
    ("pooler.dense", "cls"),
    ("classifier.dense", "cls"),
    ("classifier.out_proj", "cls.output"),
    ("classifier.", "cls.output."),
];

fn cases() -> [Case; 2] {
    let conversion = || Conversion { architecture: "bert", names: BERT_NAMES, steps: &[] };
    [
        Case { name: "bert", family: &BERT, conversion: conversion(), unused: 0 },
        Case { name: "xlm-roberta", family: &ROBERTA, conversion: conversion(), unused: 2 },
    ]
}

/// The pairs of a fixture, one after the other, and what `transformers` computed.
struct Pairs {
    ids: Vec<u32>,
    types: Vec<u32>,
    lengths: Vec<usize>,
    logits: Vec<f32>,
}

impl Pairs {
    fn typed(&self) -> Typed<'_> {
        Typed { ids: &self.ids, types: &self.types, lengths: &self.lengths }
    }

    fn read(told: &Json) -> Self {
        let mut pairs = Self { ids: vec![], types: vec![], lengths: vec![], logits: vec![] };
        let list = |value: &Json| -> Vec<u32> {
            value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
        };
        let questions = told.as_array().unwrap().iter();
        for document in questions.flat_map(|question| question["documents"].as_array().unwrap()) {
            let ids = list(&document["ids"]);
            pairs.lengths.push(ids.len());
            pairs.ids.extend(ids);
            pairs.types.extend(list(&document["types"]));
            pairs.logits.push(document["logit"].as_f64().unwrap() as f32);
        }
        assert!(pairs.lengths.len() > 8 && pairs.types.len() == pairs.ids.len());
        pairs
    }
}

struct Reference {
    settings: Json,
    config: Config,
    weights: TensorFile,
    pairs: Pairs,
}

impl Case {
    fn open(&self) -> Reference {
        let folder: PathBuf = testkit::shared::root().join("fixtures/rerankers").join(self.name);
        let json = |name: &str| -> Json {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let settings = json("config.json");
        let config = Config::from_hugging_face(&settings, &self.family.hugging_face, "config.json").unwrap();
        let weights =
            safetensors::read(&FileBytes::open(&folder.join("model.safetensors")).unwrap()).unwrap();
        Reference { settings, config, weights, pairs: Pairs::read(&json("pairs.json")) }
    }

    fn folder(&self, tensors: &TensorFile, config: &Config, device: &Device) -> Result<Reranker, Error> {
        let dialect = &self.family.hugging_face;
        let head = Classifier::load(tensors, config, dialect, device)?;
        Ok(Reranker { encoder: Encoder::load(tensors, config.clone(), dialect, device)?, head })
    }

    /// The settings and the tensors of the GGUF file.
    fn converted(&self, reference: &Reference) -> (Vec<(String, Value)>, Vec<Named>) {
        let mut described = reference.settings.clone();
        let context = described["max_position_embeddings"].as_u64().unwrap() - self.unused as u64;
        described["max_position_embeddings"] = context.into();
        let mut list = settings(self.conversion.architecture, &described);
        list.push((format!("{}.pooling_type", self.conversion.architecture), Value::U32(4)));
        let mut named = weights(&reference.weights);
        for tensor in &mut named {
            let names = NAMES.iter();
            tensor.name = names.fold(tensor.name.clone(), |name, (from, to)| name.replace(from, to));
        }
        let mut tensors = self.conversion.tensors(&named, &described);
        for table in tensors.iter_mut().filter(|tensor| tensor.name.starts_with("position_embd")) {
            table.values.drain(..self.unused * table.shape[1]);
            table.shape[0] -= self.unused;
        }
        (list, tensors)
    }

    /// What the table of parity compares.
    fn subject(self) -> Subject {
        let reference = self.open();
        let (settings, tensors) = self.converted(&reference);
        let expected = reference.pairs.logits.clone();
        let pairs = std::rc::Rc::new(reference.pairs);
        let (for_gguf, config, family, name) = (pairs.clone(), reference.config, self.family, self.name);
        let folder = File::new(weights(&reference.weights), move |tensors| {
            let file = as_safetensors_stored(tensors);
            self.folder(&file, &config, &ops::device::cpu()).unwrap().logits(pairs.typed())
        });
        let gguf = File::new(tensors, move |tensors| {
            from_gguf(&settings, tensors, &ops::device::cpu()).unwrap().logits(for_gguf.typed())
        });
        Subject {
            rounded: Some(ENCODED),
            fixture: format!("{name}, reranker"),
            family: family.name,
            row: expected.len(),
            expected,
            folder,
            gguf: Some(gguf),
        }
    }
}

/// An encoder and its head.
struct Reranker {
    encoder: Encoder,
    head: Classifier,
}

impl Reranker {
    fn logits(&self, pairs: Typed<'_>) -> Vec<f32> {
        self.encoder.classify(&self.head, pairs).concat()
    }
}

fn from_gguf(settings: &[(String, Value)], tensors: &[Stored], device: &Device) -> Result<Reranker, Error> {
    let list: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let file = as_gguf_stored(&list, tensors);
    assert!(Classifier::is_in_gguf(&file)?);
    assert_eq!(Pooling::of_gguf(&file)?, None);
    let encoder = Encoder::from_gguf(&file, device)?;
    let head = Classifier::from_gguf(&file, encoder.config(), device)?;
    Ok(Reranker { encoder, head })
}

fn weights(file: &TensorFile) -> Vec<Named> {
    let named = file.tensors().iter().map(|entry| Named {
        name: entry.name.clone(),
        shape: entry.shape.clone(),
        values: values(file, &entry.name),
    });
    named.collect()
}

/// What the table of parity compares.
pub fn subjects() -> Vec<Subject> {
    cases().map(Case::subject).into()
}

fn check(reranker: &Reranker, pairs: &Pairs, what: &str) {
    let found = reranker.logits(pairs.typed());
    let largest = largest_difference(&found, &pairs.logits);
    println!("{what}: {largest:.1e}");
    assert!(largest <= MAX_ERROR, "{what}: {largest:.1e} away");
    // Every pair alone, to the bit.
    let mut start = 0;
    for (index, length) in pairs.lengths.iter().enumerate() {
        let (ids, types) = (&pairs.ids[start..start + length], &pairs.types[start..start + length]);
        let alone = reranker.logits(Typed { ids, types, lengths: &[*length] });
        assert!(alone == found[index..=index], "{what}: pair {index} in company");
        start += length;
    }
    assert!(reranker.logits(Typed { ids: &[], types: &[], lengths: &[] }).is_empty());
}

#[test]
fn every_logit_is_as_in_transformers() {
    for case in cases() {
        let reference = case.open();
        assert!(Classifier::is_in_folder(&reference.settings));
        let found = recognise_config(&reference.settings, "config.json").unwrap();
        assert_eq!(found.name, case.family.name);
        let (settings, tensors) = case.converted(&reference);
        for (label, device) in devices() {
            let folder = case.folder(&reference.weights, &reference.config, &device).unwrap();
            check(&folder, &reference.pairs, &format!("{}, Hugging Face, {label}", case.name));
            let gguf = from_gguf(&settings, &stored(&tensors), &device).unwrap();
            check(&gguf, &reference.pairs, &format!("{}, GGUF, {label}", case.name));
            assert!(folder.head.has_dense() && gguf.head.has_dense() && gguf.head.n_labels() == 1);
        }
    }
}

/// As llama.cpp converts BERT: the first row itself is classified.
#[test]
fn without_its_dense_layer_a_head_reads_the_first_row_itself() {
    let [bert, _] = cases();
    let reference = bert.open();
    let (settings, mut tensors) = bert.converted(&reference);
    tensors.retain(|tensor| tensor.name != DENSE && tensor.name != "cls.bias");
    let reranker = from_gguf(&settings, &stored(&tensors), &ops::device::cpu()).unwrap();
    assert!(!reranker.head.has_dense());
    // A pair whose tokens are all of the first type, so that the rows are those of an encoder.
    let ids = &reference.pairs.ids[..reference.pairs.lengths[0]];
    let first = &numbers(reranker.encoder.forward(ids, &[ids.len()], None))[..reference.config.width];
    let of = |name: &str| &tensors.iter().find(|tensor| tensor.name == name).unwrap().values;
    let expected: f64 = first.iter().zip(of(OUTPUT)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let expected = expected + f64::from(of("cls.output.bias")[0]);
    let types = vec![0; ids.len()];
    let found = reranker.logits(Typed { ids, types: &types, lengths: &[ids.len()] })[0];
    assert!((f64::from(found) - expected).abs() < 1e-4, "{found} and {expected}");
}

#[test]
fn every_quirk_that_is_switched_off_shows() {
    type Quirk = fn(&mut Config, &mut Vec<Named>, &mut Pairs);
    let quirks: [(&str, Quirk); 4] = [
        ("one type for both", |_, tensors, pairs| {
            // Where a model knows one type only, what tells it is left out.
            pairs.types.fill(0);
            let tables = tensors.iter_mut().filter(|tensor| tensor.name.contains("token_type"));
            tables.filter(|table| table.shape[0] == 1).for_each(|table| table.values.fill(0.0));
        }),
        ("one position further", |config, tensors, _| {
            let tables = tensors.iter_mut().filter(|tensor| tensor.name.contains("position_emb"));
            tables.for_each(|table| table.values.rotate_left(config.width));
        }),
        ("a dense layer that does nothing", |_, tensors, _| {
            let dense = tensors.iter_mut().filter(|tensor| {
                tensor.name.contains("pooler.dense") || tensor.name.contains("classifier.dense")
            });
            dense.for_each(|tensor| tensor.values.fill(0.0));
        }),
        ("no bias behind it", |_, tensors, _| {
            let of_output = |name: &str| name == "classifier.bias" || name == "classifier.out_proj.bias";
            tensors
                .iter_mut()
                .filter(|tensor| of_output(&tensor.name))
                .for_each(|tensor| tensor.values.fill(0.0));
        }),
    ];
    for case in cases() {
        for (name, quirk) in quirks {
            let mut reference = case.open();
            let mut tensors = weights(&reference.weights);
            quirk(&mut reference.config, &mut tensors, &mut reference.pairs);
            let file = as_safetensors(&tensors);
            let reranker = case.folder(&file, &reference.config, &ops::device::cpu()).unwrap();
            let found = reranker.logits(reference.pairs.typed());
            let moved = largest_difference(&found, &reference.pairs.logits);
            println!("{}, {name}: {moved:.1e}", case.name);
            assert!(moved >= MIN_QUIRK, "{}, {name} moves the logits by {moved:.1e} only", case.name);
        }
    }
}

#[test]
fn a_head_that_is_not_there_or_does_not_fit_is_named() {
    for case in cases() {
        let reference = case.open();
        let names = case.family.hugging_face.names;
        let load = |tensors: &[Named]| {
            case.folder(&as_safetensors(tensors), &reference.config, &ops::device::cpu()).err()
        };
        for name in [names.classifier, names.classifier_dense] {
            let mut tensors = weights(&reference.weights);
            tensors.retain(|tensor| tensor.name != name);
            match load(&tensors) {
                Some(Error::MissingTensor { name: found, .. }) => assert_eq!(found, name),
                other => panic!("{name}: {other:?}"),
            }
            let mut tensors = weights(&reference.weights);
            let tensor = tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
            tensor.shape = vec![tensor.values.len()];
            assert!(matches!(load(&tensors), Some(Error::Shape { .. })), "{name}");
        }
    }
}
