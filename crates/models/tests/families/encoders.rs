//! Every family of encoders against `transformers`, layer by layer and pooled: from the files of a Hugging Face folder and
//! from what llama.cpp would convert them to, alone and among other texts, on every device.

use burn::tensor::Device;
use formats::metadata::Value;
use formats::{FileBytes, TensorFile, safetensors};
use models::blocks::FeedForwardKind;
use models::encoder::{Encoder, Pooling};
use models::families::recognise_config;
use models::families::{BERT, NOMIC_BERT, ROBERTA};
use models::{Config, Family};
use ops::activation::gelu::Gelu;
use serde_json::Value as Json;

use crate::converted::{Conversion, settings};
use crate::files::{Named, Stored, as_gguf_stored, as_safetensors, as_safetensors_stored, stored, values};
use crate::parity::weights;
use crate::reference::{MAX_ERROR, MIN_QUIRK, gather, largest_difference};
use crate::run::{Seen, devices, numbers};
use crate::table::{File, Subject};

/// How far numbers of bf16 may lie from the same in f32, where x is rounded too.
const ENCODED: f32 = 1e-1;

/// A fixture of a family.
struct Case {
    name: &'static str,
    family: &'static Family,
    conversion: Conversion,
    /// Rows of the table of positions that stand for none, which a conversion leaves out.
    unused: usize,
}

pub const BERT_NAMES: &[(&str, &str)] = &[
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("encoder.layer.", "blk."),
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.LayerNorm", "layer_output_norm"),
    ("output.dense", "ffn_down"),
];
const NOMIC_NAMES: &[(&str, &str)] = &[
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("emb_ln", "token_embd_norm"),
    ("encoder.layers.", "blk."),
    ("attn.Wqkv", "attn_qkv"),
    ("attn.out_proj", "attn_output"),
    ("mlp.fc12", "ffn_gate"),
    ("mlp.fc11", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
    ("norm1", "attn_output_norm"),
    ("norm2", "layer_output_norm"),
];

fn cases() -> [Case; 3] {
    let bert = || Conversion { architecture: "bert", names: BERT_NAMES, steps: &[] };
    let nomic = Conversion { architecture: "nomic-bert", names: NOMIC_NAMES, steps: &[] };
    [
        Case { name: "bert", family: &BERT, conversion: bert(), unused: 0 },
        Case { name: "roberta", family: &ROBERTA, conversion: bert(), unused: 2 },
        Case { name: "nomic_bert", family: &NOMIC_BERT, conversion: nomic, unused: 0 },
    ]
}

/// What `transformers` computed.
struct Reference {
    file: TensorFile,
    settings: Json,
    config: Config,
    ids: Vec<u32>,
}

impl Case {
    fn open(&self) -> Reference {
        let path = testkit::shared::root().join(format!("fixtures/families/{}.safetensors", self.name));
        let file = safetensors::read(&FileBytes::open(&path).unwrap()).unwrap();
        let json = |key: &str| serde_json::from_str::<Json>(file.metadata().read(key).unwrap()).unwrap();
        let settings = json("config");
        let config = Config::from_hugging_face(&settings, &self.family.hugging_face, "config.json").unwrap();
        let ids = json("ids").as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        Reference { file, settings, config, ids }
    }

    fn load(&self, tensors: &[Named], config: Config, device: &Device) -> Encoder {
        Encoder::load(&as_safetensors(tensors), config, &self.family.hugging_face, device).unwrap()
    }

    /// The settings and the tensors that llama.cpp converts them to.
    fn conversion(&self, reference: &Reference) -> (Vec<(String, Value)>, Vec<Named>) {
        let mut described = reference.settings.clone();
        let context = described["max_position_embeddings"].as_u64().unwrap() - self.unused as u64;
        described["max_position_embeddings"] = context.into();
        let mut list = settings(self.conversion.architecture, &described);
        list.push((format!("{}.pooling_type", self.conversion.architecture), Value::U32(1)));
        let mut tensors = self.conversion.tensors(&weights(&reference.file), &described);
        tensors.retain(|tensor| !tensor.name.starts_with("pooler"));
        for table in tensors.iter_mut().filter(|tensor| tensor.name.starts_with("position_embd")) {
            table.values.drain(..self.unused * table.shape[1]);
            table.shape[0] -= self.unused;
        }
        (list, tensors)
    }

    fn converted(&self, reference: &Reference, device: &Device) -> Encoder {
        let (settings, tensors) = self.conversion(reference);
        from_gguf(&settings, &stored(&tensors), device)
    }

    /// What the table of parity compares.
    fn subject(self) -> Subject {
        let reference = self.open();
        let (ids, config, dialect) =
            (reference.ids.clone(), reference.config.clone(), &self.family.hugging_face);
        let folder = File::new(weights(&reference.file), move |tensors| {
            let (file, device) = (as_safetensors_stored(tensors), ops::device::cpu());
            rows(&Encoder::load(&file, config.clone(), dialect, &device).unwrap(), &ids)
        });
        let (settings, tensors) = self.conversion(&reference);
        let ids = reference.ids.clone();
        let gguf = File::new(tensors, move |tensors| {
            rows(&from_gguf(&settings, tensors, &ops::device::cpu()), &ids)
        });
        Subject {
            rounded: Some(ENCODED),
            fixture: self.name.into(),
            family: self.family.name,
            row: reference.config.width,
            expected: values(&reference.file, "layers.1.output"),
            folder,
            gguf: Some(gguf),
        }
    }
}

/// From the tensors that llama.cpp converts a model to, stored in any way.
fn from_gguf(settings: &[(String, Value)], tensors: &[Stored], device: &Device) -> Encoder {
    let list: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let file = as_gguf_stored(&list, tensors);
    assert_eq!(Pooling::of_gguf(&file).unwrap(), Some(Pooling::Mean));
    Encoder::from_gguf(&file, device).unwrap()
}

/// The rows of the last layer that a reference stores.
fn rows(encoder: &Encoder, ids: &[u32]) -> Vec<f32> {
    let mut seen = Seen::default();
    encoder.forward(ids, &[ids.len()], Some(&mut seen));
    gather(&seen.0["layers.1.output"], encoder.config().width, &(0..ids.len()).step_by(3).collect::<Vec<_>>())
}

/// What the table of parity compares.
pub fn subjects() -> Vec<Subject> {
    cases().map(Case::subject).into()
}

/// Holds every stored row against what was seen, and the pooled one.
fn check(reference: &Reference, encoder: &Encoder, what: &str) {
    let (ids, n) = (&reference.ids, reference.ids.len());
    let mut seen = Seen::default();
    encoder.forward(ids, &[n], Some(&mut seen));
    let mut largest = 0f32;
    for entry in reference.file.tensors().iter().filter(|entry| entry.name != "mean") {
        let rows: Vec<usize> = (0..n).step_by(3).collect();
        let found = gather(&seen.0[&entry.name], entry.shape[1], &rows);
        let difference = largest_difference(&found, &values(&reference.file, &entry.name));
        assert!(difference <= MAX_ERROR, "{what}: {} is {difference:.1e} away", entry.name);
        largest = largest.max(difference);
    }
    let pooled = encoder.embed(ids, &[n], Pooling::Mean).concat();
    let difference = largest_difference(&pooled, &values(&reference.file, "mean"));
    assert!(difference <= MAX_ERROR, "{what}: the mean is {difference:.1e} away");
    println!("{what}: {:.1e}", largest.max(difference));
    // Among others every text is as alone, to the bit.
    let (lengths, starts) = ([5, n, 33], [0, 5, 5 + n]);
    let together: Vec<u32> = [&ids[..5], &ids[..], &ids[7..40]].concat();
    let rows = numbers(encoder.forward(&together, &lengths, None));
    let width = encoder.config().width;
    for (length, start) in lengths.into_iter().zip(starts) {
        let alone = numbers(encoder.forward(&together[start..start + length], &[length], None));
        assert!(alone == rows[start * width..(start + length) * width], "{what}: {length} rows in company");
    }
}

#[test]
fn every_layer_is_as_in_transformers() {
    for case in cases() {
        let reference = case.open();
        let found = recognise_config(&reference.settings, "config.json").unwrap();
        assert_eq!(found.name, case.family.name);
        for (label, device) in devices() {
            let encoder = case.load(&weights(&reference.file), reference.config.clone(), &device);
            check(&reference, &encoder, &format!("{}, Hugging Face, {label}", case.name));
            check(&reference, &case.converted(&reference, &device), &format!("{}, GGUF, {label}", case.name));
        }
    }
}

#[test]
fn every_quirk_that_is_switched_off_shows() {
    type Quirk = fn(&mut Config, &mut Vec<Named>);
    let quirks: [(&str, Quirk); 4] = [
        ("no kinds of text", |_, tensors| {
            let kinds = tensors.iter_mut().filter(|tensor| tensor.name.contains("token_type"));
            kinds.for_each(|tensor| tensor.values.fill(0.0));
        }),
        ("one position further", |config, tensors| {
            let tables = tensors.iter_mut().filter(|tensor| tensor.name.contains("position_emb"));
            let mut n_tables = 0;
            for table in tables {
                table.values.rotate_left(config.width);
                n_tables += 1;
            }
            if n_tables == 0 {
                config.frequencies.iter_mut().for_each(|frequency| *frequency *= 1.1);
            }
        }),
        ("another epsilon", |config, _| config.epsilon = 1e-1),
        ("another feed-forward", |config, _| {
            config.blocks.feed_forward = match config.blocks.feed_forward {
                FeedForwardKind::SwiGlu => FeedForwardKind::GeGlu(Gelu::Erf),
                _ => FeedForwardKind::Gelu(Gelu::Tanh),
            };
        }),
    ];
    for case in cases() {
        let reference = case.open();
        for (name, quirk) in quirks {
            let (mut config, mut tensors) = (reference.config.clone(), weights(&reference.file));
            quirk(&mut config, &mut tensors);
            let encoder = case.load(&tensors, config, &ops::device::cpu());
            let mut seen = Seen::default();
            let (ids, n) = (&reference.ids, reference.ids.len());
            encoder.forward(ids, &[n], Some(&mut seen));
            let rows: Vec<usize> = (0..n).step_by(3).collect();
            let found = gather(&seen.0["layers.1.output"], reference.config.width, &rows);
            let moved = largest_difference(&found, &values(&reference.file, "layers.1.output"));
            println!("{}, {name}: {moved:.1e}", case.name);
            // The two forms of GELU differ by 5e-4 at most.
            let least = if name == "another feed-forward" { 4e-4 } else { MIN_QUIRK };
            assert!(moved >= least, "{}, {name} moves the rows by {moved:.1e} only", case.name);
        }
    }
}
