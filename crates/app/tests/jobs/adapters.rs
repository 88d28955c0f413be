//! Adapters: they are brought in, named behind a model, answered with beside others, and never mixed up.

use std::path::{Path, PathBuf};

use app::event::library::Adapter;
use app::event::{Finished, Model};
use app::job::library::Create;
use app::job::quantise::Quantise;
use app::job::training::{Export, Format, Storage};
use app::job::{Generate, Placement};
use app::{App, Event, Failure, Job, Settings};
use formats::metadata::Value;
use formats::{Dtype, FileBytes, Metadata, TensorSpec, gguf, safetensors};

use crate::home::{Home, greedy, import};

const PROMPT: &str = "The cat sat on the mat and looked at the moon, and then it";
const ALPHA: f32 = 6.0;
const RANK: usize = 4;

/// What a file of the starter says of its sizes.
fn size(key: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf");
    let file = gguf::read(&FileBytes::open(&path).unwrap()).unwrap();
    file.metadata().read(key).unwrap()
}

/// Numbers that follow from a seed.
fn numbers(seed: u32, n: usize, amplitude: f32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).flat_map(|_| (amplitude * next()).to_le_bytes()).collect()
}

/// A pair of an adapter of the starter: its layer, whether it goes down, outputs and inputs, and the numbers of both
/// halves.
type Pair = (usize, bool, [usize; 2], [Vec<u8>; 2]);

fn pairs(seed: u32) -> Vec<Pair> {
    let (width, inner) = (size("llama.embedding_length"), size("llama.feed_forward_length"));
    let mut pairs = Vec::new();
    for layer in 0..size("llama.block_count") {
        for (is_down, [outer, inner]) in [(false, [width, width]), (true, [width, inner])] {
            let seed = seed * 1000 + 2 * layer as u32 + u32::from(is_down);
            let halves = [numbers(seed, RANK * inner, 0.3), numbers(seed + 500, outer * RANK, 0.2)];
            pairs.push((layer, is_down, [outer, inner], halves));
        }
    }
    pairs
}

fn specs(pairs: &[(String, [usize; 2])], [down, up]: [&str; 2]) -> Vec<TensorSpec> {
    let spec =
        |name: String, shape: [usize; 2]| TensorSpec { name, dtype: Dtype::F32, shape: shape.to_vec() };
    let both = |(name, [outer, inner]): &(String, [usize; 2])| {
        [spec(format!("{name}{down}"), [RANK, *inner]), spec(format!("{name}{up}"), [*outer, RANK])]
    };
    pairs.iter().flat_map(both).collect()
}

/// An adapter of the starter as `peft` writes it. It changes values and what goes down.
fn folder(home: &Path, name: &str, seed: u32) -> PathBuf {
    let (folder, pairs) = (home.join(name), pairs(seed));
    std::fs::create_dir(&folder).unwrap();
    let module = |is_down| if is_down { "mlp.down_proj" } else { "self_attn.v_proj" };
    let name = |layer, is_down| format!("base_model.model.model.layers.{layer}.{}", module(is_down));
    let named: Vec<_> =
        pairs.iter().map(|(layer, is_down, shape, _)| (name(*layer, *is_down), *shape)).collect();
    let specs = specs(&named, [".lora_A.weight", ".lora_B.weight"]);
    let mut writer = safetensors::write(Vec::new(), &Metadata::new("adapter"), &specs).unwrap();
    pairs.iter().flat_map(|(.., halves)| halves).for_each(|half| writer.append(half).unwrap());
    std::fs::write(folder.join("adapter_model.safetensors"), writer.finish().unwrap()).unwrap();
    let config = format!(
        "{{\"peft_type\": \"LORA\", \"r\": {RANK}, \"lora_alpha\": {ALPHA}, \"base_model_name_or_path\": \"starter\"}}"
    );
    std::fs::write(folder.join("adapter_config.json"), config).unwrap();
    folder
}

/// The same adapter as a GGUF file.
fn file(home: &Path, name: &str, seed: u32) -> PathBuf {
    let (path, pairs) = (home.join(name), pairs(seed));
    let mut metadata = Metadata::new(name);
    let texts = [("general.type", "adapter"), ("general.architecture", "llama"), ("adapter.type", "lora")];
    texts.iter().for_each(|(key, text)| metadata.insert(key, Value::String((*text).into())));
    metadata.insert("adapter.lora.alpha", Value::F32(ALPHA));
    let name = |layer, is_down| format!("blk.{layer}.{}.weight", if is_down { "ffn_down" } else { "attn_v" });
    let named: Vec<_> =
        pairs.iter().map(|(layer, is_down, shape, _)| (name(*layer, *is_down), *shape)).collect();
    let mut writer = gguf::write(Vec::new(), &metadata, &specs(&named, [".lora_a", ".lora_b"])).unwrap();
    pairs.iter().flat_map(|(.., halves)| halves).for_each(|half| writer.append(half).unwrap());
    std::fs::write(&path, writer.finish().unwrap()).unwrap();
    path
}

fn text(home: &Home, model: &str) -> String {
    home.text(greedy(model, PROMPT, 24))
}

fn stored(home: &Home, path: &Path, name: &str) -> Model {
    match home.last(import(path, None, name)) {
        Ok(Event::Stored(model)) => model,
        other => panic!("{other:?}"),
    }
}

fn refused(home: &Home, model: &str) -> Failure {
    let failure = home.last(Job::Generate(greedy(model, PROMPT, 2))).unwrap_err();
    assert!(!failure.hint.is_empty(), "{failure:?}");
    failure
}

fn answer(app: &App, generate: Generate) -> (String, Finished) {
    let (mut text, mut last) = (String::new(), None);
    for event in app.run(Job::Generate(generate)) {
        match event {
            Event::Text { text: piece } => text += &piece,
            Event::Finished(finished) => last = Some(finished),
            Event::Failed(failure) => panic!("{failure}"),
            _ => {}
        }
    }
    (text, last.unwrap())
}

#[test]
fn an_adapter_is_kept_shown_and_named_behind_its_model_in_every_form() {
    let home = Home::new();
    let (peft, gguf) = (folder(home.path(), "poet", 1), file(home.path(), "poet.gguf", 1));
    let model = stored(&home, &peft, "poet");
    let adapter = Adapter { base: "starter".into(), rank: RANK, has_model: false };
    assert_eq!(model.adapter, Some(adapter));
    assert_eq!(stored(&home, &gguf, "poet-file").adapter.unwrap().rank, RANK);
    let Job::Import(mut placed) = import(&peft, None, "placed") else { unreachable!() };
    placed.placement = Placement::InPlace;
    home.last(Job::Import(placed)).unwrap();
    let (plain, adapted) = (text(&home, "starter"), text(&home, "starter+poet"));
    assert_ne!(plain, adapted, "the adapter shows");
    let path = |path: &Path| format!("starter+{}", path.display());
    let all = ["starter+poet-file", "starter+placed"].map(str::to_owned);
    let weights = peft.join("adapter_model.safetensors");
    for wanted in all.into_iter().chain([path(&peft), path(&gguf), path(&weights)]) {
        assert_eq!(text(&home, &wanted), adapted, "{wanted}");
    }
    assert_eq!(text(&home, "starter"), plain);
    let Ok(Event::Details(details)) = home.last(Job::Show { model: "poet".into() }) else { panic!() };
    assert!(details.sizes.contains(&("rank".into(), RANK.to_string())), "{:?}", details.sizes);
    assert_eq!(details.tensors.len(), 4 * size("llama.block_count"));
    let Ok(Event::Models { models, broken, .. }) = home.last(Job::List) else { panic!() };
    assert!(broken.is_empty());
    assert_eq!(models.iter().filter(|model| model.adapter.is_some()).count(), 3);
    assert!(matches!(home.last(Job::Verify { model: None }), Ok(Event::AllVerified { n_damaged: 0, .. })));
}

#[test]
fn users_with_different_adapters_are_answered_together_as_alone_and_the_model_is_loaded_once() {
    let folder_of_home = tempfile::tempdir().unwrap();
    let home = folder_of_home.path().join("home");
    let start = |prefix_bytes| {
        App::open(Settings { home: home.clone(), prefix_bytes, ..Settings::default() }).unwrap()
    };
    let (first, second) =
        (folder(folder_of_home.path(), "first", 1), folder(folder_of_home.path(), "second", 2));
    let names = [
        "starter".to_owned(),
        format!("starter+{}", first.display()),
        format!("starter+{}", second.display()),
    ];
    // Longer than a page, so that pages could be found again where they must not.
    let generate = |name: &String| greedy(name, &PROMPT.repeat(4), 40);
    let alone: Vec<String> = names.iter().map(|name| answer(&start(None), generate(name)).0).collect();
    assert!(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2]);
    for prefix_bytes in [None, Some(1 << 30), Some(1 << 30)] {
        let app = start(prefix_bytes);
        let (text, finished) = answer(&app, generate(&names[0]));
        assert!(text == alone[0] && finished.load_ms > 0.0);
        for (name, expected) in names.iter().zip(&alone) {
            let (text, finished) = answer(&app, generate(name));
            assert_eq!(&text, expected, "{name}");
            assert_eq!(finished.load_ms, 0.0, "the model was there already");
        }
        let running: Vec<_> =
            names.iter().rev().chain(&names).map(|name| app.run(Job::Generate(generate(name)))).collect();
        let texts = running.into_iter().map(|running| {
            let piece = |event| match event {
                Event::Text { text } => text,
                Event::Failed(failure) => panic!("{failure}"),
                _ => String::new(),
            };
            running.map(piece).collect::<String>()
        });
        let expected: Vec<String> = alone.iter().rev().chain(&alone).cloned().collect();
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn more_adapters_than_are_kept_make_way_and_come_back() {
    let home = Home::new();
    let names: Vec<String> = (1..=10)
        .map(|seed| format!("starter+{}", folder(home.path(), &format!("a{seed}"), seed).display()))
        .collect();
    let first: Vec<String> = names.iter().map(|name| text(&home, name)).collect();
    let again: Vec<String> = names.iter().map(|name| text(&home, name)).collect();
    assert_eq!(first, again);
    let different: std::collections::BTreeSet<&String> = first.iter().collect();
    assert!(different.len() > 8, "the adapters differ");
}

#[test]
fn a_model_made_with_an_adapter_has_it() {
    let home = Home::new();
    folder(home.path(), "poet", 1);
    file(home.path(), "poet.gguf", 1);
    stored(&home, &home.path().join("poet"), "kept");
    let adapted = text(&home, "starter+kept");
    let create = |name: &str, text: &str| {
        let path = home.path().join("Modelfile");
        std::fs::write(&path, text).unwrap();
        home.last(Job::Create(Create { model: name.into(), path }))
    };
    for (name, adapter) in [("one", "poet"), ("two", "poet.gguf"), ("three", "kept"), ("four", "./poet")] {
        match create(name, &format!("FROM starter\nADAPTER {adapter}\n")) {
            Ok(Event::Created { model, notes }) => {
                assert_eq!(notes, []);
                assert!(model.adapter.unwrap().has_model);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(text(&home, name), adapted, "{adapter}");
    }
    // What was made of it has it too.
    create("five", "FROM one\nSYSTEM You rhyme.\n").unwrap();
    assert_eq!(text(&home, "five"), adapted);
    let code = |text: &str| create("never", text).unwrap_err().code;
    assert_eq!(code("FROM starter\nADAPTER starter\n"), "not_an_adapter");
    assert_eq!(code("FROM one\nADAPTER poet\n"), "bad_setting");
    assert_eq!(code("FROM starter\nADAPTER poet\nADAPTER poet.gguf\n"), "bad_setting");
    assert_eq!(refused(&home, "one+kept").code, "bad_setting");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let home = Home::with_tiny();
    let path = folder(home.path(), "poet", 1);
    stored(&home, &path, "poet");
    assert_eq!(refused(&home, "starter+poet+poet").code, "bad_name");
    assert_eq!(refused(&home, "starter+nobody").code, "model_not_found");
    assert_eq!(refused(&home, "nobody+poet").code, "model_not_found");
    assert_eq!(refused(&home, "starter+tiny").code, "not_an_adapter");
    assert_eq!(refused(&home, "starter+starter").code, "not_an_adapter");
    let failure = refused(&home, "poet");
    assert!(failure.message.contains("is an adapter"), "{failure:?}");
    let failure = refused(&home, "tiny+poet");
    assert!(failure.message.contains("lora_A"), "the adapter has other sizes: {failure:?}");
    let (model, mix) = ("starter+poet".into(), "Q4_0".into());
    let job = Quantise { model, mix, name: None, text: None, importance: None };
    let failure = home.last(Job::Quantise(job)).unwrap_err();
    assert_eq!(failure.code, "adapter_not_applied");
    assert!(failure.hint.contains("hearth export starter+poet"), "{failure:?}");
    // One that does more than add products is not brought in.
    let config = path.join("adapter_config.json");
    let text = std::fs::read_to_string(&config).unwrap().replacen('{', "{\"use_dora\": true, ", 1);
    std::fs::write(&config, text).unwrap();
    let failure = home.last(import(&path, None, "dora")).unwrap_err();
    assert!(failure.message.contains("use_dora"), "{failure:?}");
    std::fs::write(&config, "{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 1}").unwrap();
    assert_eq!(home.last(import(&path, None, "other")).unwrap_err().code, "bad_file");
}

/// A model with its adapter is written as one model, in both forms.
#[test]
fn an_export_has_the_adapter_in_its_weights() {
    let home = Home::new();
    let poet = folder(home.path(), "poet", 1);
    let export = |model: &str, name: &str, format| {
        let out = home.path().join(name);
        let storage = Some(Storage::F32);
        let job = Export { model: model.into(), format, storage, out: out.clone() };
        home.last(Job::Export(job)).unwrap();
        out.to_str().unwrap().to_owned()
    };
    // In numbers that nobody rounds.
    let base = export("starter", "base", Format::Safetensors);
    let adapted = format!("{base}+{}", poet.display());
    let expected = text(&home, &adapted);
    assert_ne!(expected, text(&home, &base));
    assert_eq!(text(&home, &export(&adapted, "merged", Format::Safetensors)), expected);
    assert_eq!(text(&home, &export(&adapted, "merged.gguf", Format::Gguf)), expected);
    let base = export("starter", "base.gguf", Format::Gguf);
    let adapted = format!("{base}+{}", poet.display());
    assert_eq!(text(&home, &adapted), expected);
    assert_eq!(text(&home, &export(&adapted, "again.gguf", Format::Gguf)), expected);
    // Blocks become numbers where something was added.
    export(&format!("starter+{}", poet.display()), "of-blocks.gguf", Format::Gguf);
}
