//! Adapters that `peft` wrote, on the random models of the other fixtures: base and adapter give the logits that `peft`
//! gave, in every form that both files can have; rows without one are as if there were none; merged weights agree.

use formats::adapter::{self, Naming};
use formats::{FileBytes, TensorFile};
use models::families::{GPT_NEOX, GPT2, LLAMA, PHI3};
use models::tensors::adapter::Adapter;
use models::{Attend, Config, Decoder, Error, Family, Input};
use ops::Rows;
use ops::linear::low_rank::{AdapterId, AdapterRows};

use crate::files::{Named, as_gguf, as_safetensors, llama_settings};
use crate::reference::{MAX_ERROR, Reference, largest_difference};
use crate::run::numbers;
use crate::{llama, seeded};

/// How far a model into which the adapter was merged may be.
const MAX_MERGED: f32 = 1e-4;

fn fixture(path: &str) -> FileBytes {
    FileBytes::open(&testkit::shared::root().join(format!("fixtures/adapters/{path}"))).unwrap()
}

fn folder(name: &str) -> adapter::Adapter {
    let config = fixture(&format!("{name}/{}", adapter::CONFIG));
    let weights = adapter::WEIGHTS.map(|file| format!("fixtures/adapters/{name}/{file}"));
    let path = weights.iter().map(|path| testkit::shared::root().join(path)).find(|path| path.is_file());
    adapter::read_peft(&config, &FileBytes::open(&path.unwrap()).unwrap()).unwrap()
}

fn reference(name: &str, family: &Family) -> Reference {
    Reference::open(&format!("adapters/{name}"), &family.hugging_face)
}

const ID: AdapterId = AdapterId([7; 32]);

/// The logits of a text of which some rows have the adapters.
fn logits(decoder: &Decoder, ids: &[u32], adapters: &[AdapterRows]) -> Vec<f32> {
    let input = Input { ids, rows: Rows::prompt(ids.len()), wanted: None, adapters };
    numbers(decoder.forward(&input, &mut Attend::Causal { sequences: 1 }, None))
}

/// All rows with one adapter.
fn all(id: AdapterId, n_rows: usize) -> [AdapterRows; 1] {
    [AdapterRows { adapter: id, rows: (0..n_rows as u32).collect() }]
}

/// Holds base and adapter against what `peft` gave.
fn check(reference: &Reference, decoder: &Decoder, file: &adapter::Adapter, base: (&'static Family, Naming)) {
    let device = ops::device::cpu();
    let label = file.tensors.file().label();
    let adapter = Adapter::new(file, decoder.config(), base, &device).unwrap();
    assert!(adapter.rank() > 0 && adapter.size_bytes() > 0);
    let mut adapted = decoder.clone();
    adapted.attach(ID, &adapter);
    let plain = logits(decoder, &reference.ids, &[]);
    let found = logits(&adapted, &reference.ids, &all(ID, reference.ids.len()));
    let difference = largest_difference(&found, &reference.logits());
    println!("{label} on {:?}: {difference:.1e}", base.1);
    assert!(difference <= MAX_ERROR, "{label}: {difference:.1e} away from peft");
    assert!(largest_difference(&plain, &found) > 1.0, "the adapter shows");
    assert!(logits(&adapted, &reference.ids, &[]) == plain, "rows without an adapter are not touched");
    adapted.detach(ID);
    assert!(logits(&adapted, &reference.ids, &all(ID, 1)) == plain, "what was taken away is gone");
}

fn llamas() -> [(Decoder, Naming); 2] {
    let reference = llama::open("separate-head");
    let device = ops::device::cpu();
    let settings = llama_settings(&reference.config, llama::theta(&reference));
    let gguf = models::load(&as_gguf(&settings, &llama::gguf_tensors(&reference)), &device).unwrap();
    [(llama::as_hugging_face(&reference, &device), Naming::HuggingFace), (gguf, Naming::Gguf)]
}

#[test]
fn base_and_adapter_are_as_in_peft_in_every_form_of_both() {
    for (decoder, naming) in llamas() {
        let all = reference("all", &LLAMA);
        check(&all, &decoder, &folder("all"), (&LLAMA, naming));
        check(&all, &decoder, &adapter::read_gguf(&fixture("all.gguf")).unwrap(), (&LLAMA, naming));
        check(&reference("some", &LLAMA), &decoder, &folder("some"), (&LLAMA, naming));
    }
}

/// The weights of a model of `fixtures/families`, as its folder holds them.
fn family_weights(case: &str, family: &Family) -> TensorFile {
    let base = Reference::open(&format!("families/{case}"), &family.hugging_face);
    let shapes: &str = base.file.metadata().read("tensors").unwrap();
    let shapes: std::collections::BTreeMap<String, Vec<usize>> = serde_json::from_str(shapes).unwrap();
    let named =
        |(name, shape): (String, Vec<usize>)| Named { values: seeded::families(&name, &shape), name, shape };
    as_safetensors(&shapes.into_iter().map(named).collect::<Vec<_>>())
}

#[test]
fn fused_matrices_are_adapted_as_in_peft() {
    let device = ops::device::cpu();
    let [gpt2, gpt2_gguf] = crate::gpt2::files("separate-head");
    let decoder = models::load(&gpt2_gguf, &device).unwrap();
    check(&reference("gpt2", &GPT2), &decoder, &folder("gpt2"), (&GPT2, Naming::Gguf));
    let cases: [(&str, &'static Family, TensorFile); 3] = [
        ("gpt2", &GPT2, gpt2),
        ("gpt_neox", &GPT_NEOX, family_weights("gpt_neox", &GPT_NEOX)),
        ("phi3", &PHI3, family_weights("phi3", &PHI3)),
    ];
    for (name, family, file) in cases {
        let reference = reference(name, family);
        let dialect = &family.hugging_face;
        let decoder = Decoder::load(&file, reference.config.clone(), dialect, &device).unwrap();
        check(&reference, &decoder, &folder(name), (family, Naming::HuggingFace));
    }
}

/// Three texts in one batch, one with each adapter and one with none: each is as alone, to the bit.
#[test]
fn several_adapters_in_one_batch_are_as_each_alone() {
    let others = AdapterId([9; 32]);
    for (mut decoder, naming) in llamas() {
        let plain = decoder.clone();
        for (id, name) in [(ID, "all"), (others, "some")] {
            let config = decoder.config().clone();
            let adapter = Adapter::new(&folder(name), &config, (&LLAMA, naming), decoder.device()).unwrap();
            decoder.attach(id, &adapter);
        }
        let ids = &reference("all", &LLAMA).ids[..40];
        let batch = [ids, ids, ids].concat();
        let rows = |from: u32| (from..from + 40).collect();
        let adapters =
            [AdapterRows { adapter: ID, rows: rows(0) }, AdapterRows { adapter: others, rows: rows(80) }];
        let rows = Rows::prompt(120);
        let input = Input { ids: &batch, rows, wanted: None, adapters: &adapters };
        let together = numbers(decoder.forward(&input, &mut Attend::Causal { sequences: 3 }, None));
        let parts: Vec<&[f32]> = together.chunks(together.len() / 3).collect();
        assert!(parts[0] == logits(&decoder, ids, &all(ID, 40)));
        assert!(parts[1] == logits(&plain, ids, &[]));
        assert!(parts[2] == logits(&decoder, ids, &all(others, 40)));
        assert!(parts[0] != parts[1] && parts[1] != parts[2] && parts[0] != parts[2]);
    }
}

/// A model into which the adapter was merged, whose file is given, against base and adapter.
fn check_merged(file: TensorFile, config: &Config, name: &str, base: (&'static Family, Naming)) {
    let device = ops::device::cpu();
    let dialect = match base.1 {
        Naming::Gguf => &base.0.gguf,
        Naming::HuggingFace => &base.0.hugging_face,
    };
    let load = |file: &TensorFile| Decoder::load(file, config.clone(), dialect, &device).unwrap();
    let adapter = Adapter::new(&folder(name), config, base, &device).unwrap();
    let mut adapted = load(&file);
    adapted.attach(ID, &adapter);
    let merged = load(&adapter.merged(file, config, base).unwrap());
    let reference = reference(name, base.0);
    let found = logits(&adapted, &reference.ids, &all(ID, reference.ids.len()));
    let merged = logits(&merged, &reference.ids, &[]);
    let difference = largest_difference(&merged, &found);
    println!("{name}, {:?}, merged: {difference:.1e}", base.1);
    assert!(difference <= MAX_MERGED, "{name}: merged weights are {difference:.1e} away");
    assert!(largest_difference(&merged, &reference.logits()) <= MAX_ERROR);
}

#[test]
fn merged_weights_give_what_the_adapter_gives() {
    let plain = llama::open("separate-head");
    let settings = llama_settings(&plain.config, llama::theta(&plain));
    for name in ["all", "some"] {
        let file = as_safetensors(&llama::weights(&plain, &LLAMA.hugging_face));
        check_merged(file, &plain.config, name, (&LLAMA, Naming::HuggingFace));
        let file = as_gguf(&settings, &llama::gguf_tensors(&plain));
        let config = Config::from_gguf(file.metadata(), &LLAMA.gguf, "model.gguf").unwrap();
        check_merged(file, &config, name, (&LLAMA, Naming::Gguf));
    }
    let [folder, file] = crate::gpt2::files("separate-head");
    let config = reference("gpt2", &GPT2).config;
    check_merged(folder, &config, "gpt2", (&GPT2, Naming::HuggingFace));
    let config = Config::from_gguf(file.metadata(), &GPT2.gguf, "model.gguf").unwrap();
    check_merged(file, &config, "gpt2", (&GPT2, Naming::Gguf));
    for (name, family) in [("gpt_neox", &GPT_NEOX), ("phi3", &PHI3)] {
        let config = reference(name, family).config;
        check_merged(family_weights(name, family), &config, name, (family, Naming::HuggingFace));
    }
}

#[test]
fn an_adapter_of_another_model_is_refused_by_name() {
    let [(decoder, naming), _] = llamas();
    let device = ops::device::cpu();
    let refused = |file: &adapter::Adapter, family| {
        Adapter::new(file, decoder.config(), (family, naming), &device).err().unwrap()
    };
    let gguf = adapter::read_gguf(&fixture("all.gguf")).unwrap();
    assert!(matches!(refused(&gguf, &PHI3), Error::AdapterArchitecture { found, .. } if found == "llama"));
    assert!(
        matches!(refused(&folder("gpt2"), &LLAMA), Error::AdapterTarget { name, .. } if name.contains("c_attn"))
    );
    let mut head = folder("all");
    head.factors[3].target = "lm_head.weight".into();
    assert!(matches!(refused(&head, &LLAMA), Error::AdapterTarget { name, .. } if name == "lm_head.weight"));
    let mut layer = folder("all");
    layer.factors[0].target = layer.factors[0].target.replace("layers.0", "layers.2");
    assert!(matches!(refused(&layer, &LLAMA), Error::AdapterTarget { .. }));
    // The way down of one matrix with the way up of another.
    let mut crossed = folder("all");
    let place = |part: &str| crossed.factors.iter().position(|some| some.target.contains(part)).unwrap();
    let (down, keys) = (place("0.mlp.down_proj"), place("0.self_attn.k_proj"));
    crossed.factors[down].down = crossed.factors[keys].down.clone();
    assert!(matches!(refused(&crossed, &LLAMA), Error::AdapterShape { found, .. } if found == [4, 64]));
    let tied = Reference::open("llama-two-layers/tied-head", &LLAMA.hugging_face);
    let narrow = Adapter::new(&folder("all"), &tied.config, (&LLAMA, naming), &device);
    assert!(matches!(narrow, Err(Error::AdapterShape { .. })));
}
