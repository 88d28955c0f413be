//! Adapters that `peft` and llama.cpp's converter would write, and such that nobody should.

use super::*;
use crate::{Dtype, FileBytes, Metadata, TensorSpec, safetensors};

fn fixture(path: &str) -> FileBytes {
    let path = format!("{}/../../fixtures/adapters/{path}", env!("CARGO_MANIFEST_DIR"));
    FileBytes::open(std::path::Path::new(&path)).unwrap()
}

fn folder(name: &str) -> Adapter {
    let pickled = name == "some";
    let weights = fixture(&format!("{name}/{}", WEIGHTS[usize::from(pickled)]));
    read_peft(&fixture(&format!("{name}/{CONFIG}")), &weights).unwrap()
}

fn found(adapter: &Adapter, target: &str) -> (usize, f32) {
    let factors = adapter.factors.iter().find(|factors| factors.target == target).unwrap();
    (factors.rank(), factors.scale)
}

#[test]
fn what_peft_wrote_is_read_with_the_factors_that_its_settings_give() {
    let all = folder("all");
    assert_eq!((all.naming, all.factors.len(), all.rank()), (Naming::HuggingFace, 14, 4));
    assert!(all.factors.iter().all(|factors| factors.scale == 1.5));
    // By the root of the rank, with ranks and alphas of some modules.
    let some = folder("some");
    let root = |alpha: f64, rank: f64| (alpha / rank.sqrt()) as f32;
    assert_eq!(found(&some, "model.layers.0.self_attn.q_proj.weight"), (5, root(2.0, 5.0)));
    assert_eq!(found(&some, "model.layers.0.self_attn.v_proj.weight"), (3, root(2.0, 3.0)));
    assert_eq!(found(&some, "model.layers.1.self_attn.v_proj.weight"), (3, root(7.0, 3.0)));
    assert_eq!(some.rank(), 5);
}

#[test]
fn a_gguf_adapter_is_the_folder_under_other_names() {
    let (file, whole) = (read_gguf(&fixture("all.gguf")).unwrap(), folder("all"));
    assert_eq!((file.naming, file.architecture.as_deref()), (Naming::Gguf, Some("llama")));
    assert_eq!((file.factors.len(), file.rank()), (14, 4));
    let bytes = |adapter: &Adapter, target: &str| {
        let factors = adapter.factors.iter().find(|factors| factors.target == target).unwrap();
        assert_eq!(factors.scale, 1.5);
        [&factors.down, &factors.up].map(|entry| adapter.tensors.tensor_bytes(entry).unwrap().to_vec())
    };
    let [gguf, peft] = ["blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight"];
    assert_eq!(bytes(&file, gguf), bytes(&whole, peft));
    assert!(is_adapter(&crate::gguf::read(&fixture("all.gguf")).unwrap()));
}

/// Matrices of zeros of these names and shapes.
fn matrices(shapes: &[(&str, &[usize])]) -> FileBytes {
    let spec = |(name, shape): &(&str, &[usize])| TensorSpec {
        name: format!("base_model.model.{name}"),
        dtype: Dtype::F32,
        shape: shape.to_vec(),
    };
    let specs: Vec<TensorSpec> = shapes.iter().map(spec).collect();
    let mut writer = safetensors::write(Vec::new(), &Metadata::new("m"), &specs).unwrap();
    for spec in &specs {
        writer.append(&vec![0; spec.size_bytes().unwrap() as usize]).unwrap();
    }
    FileBytes::from_vec("m", writer.finish().unwrap())
}

const PAIR: &[(&str, &[usize])] = &[("x.lora_A.weight", &[2, 5]), ("x.lora_B.weight", &[3, 2])];

fn with(settings: &str, shapes: &[(&str, &[usize])]) -> Result<Adapter, Error> {
    let settings = format!("{{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 4{settings}}}");
    read_peft(&FileBytes::from_vec("c", settings.into_bytes()), &matrices(shapes))
}

#[test]
fn settings_that_change_nothing_are_passed_over() {
    for settings in [
        "",
        r#", "bias": "none", "use_dora": false, "modules_to_save": null, "layer_replication": null"#,
        r#", "modules_to_save": [], "lora_bias": false, "init_lora_weights": "gaussian", "loftq_config": {}"#,
        r#", "auto_mapping": {"base_model_class": "A", "parent_library": "b"}, "target_modules": "all-linear""#,
        r#", "something_new": null, "something_else": false"#,
        r#", "rank_pattern": {"y": 9}, "alpha_pattern": {"yx": 9, "x.": 3}"#,
    ] {
        let adapter = with(settings, PAIR).unwrap();
        assert_eq!(found(&adapter, "x.weight"), (2, 2.0), "{settings}");
    }
    assert_eq!(found(&with(r#", "alpha_pattern": {"x": 9}"#, PAIR).unwrap(), "x.weight"), (2, 4.5));
    assert_eq!(found(&with(r#", "alpha_pattern": {"^x": 8}"#, PAIR).unwrap(), "x.weight"), (2, 4.0));
    let inner: &[(&str, &[usize])] = &[("a.x.lora_A.weight", &[2, 5]), ("a.x.lora_B.weight", &[3, 2])];
    assert_eq!(found(&with(r#", "alpha_pattern": {"^x": 8}"#, inner).unwrap(), "a.x.weight"), (2, 2.0));
    assert_eq!(found(&with(r#", "alpha_pattern": {"a\\.x": 8}"#, inner).unwrap(), "a.x.weight"), (2, 4.0));
}

#[test]
fn what_is_more_than_products_is_refused_by_name() {
    for (settings, named) in [
        (r#", "use_dora": true"#, "\"use_dora\""),
        (r#", "modules_to_save": ["lm_head"]"#, "\"modules_to_save\""),
        (r#", "bias": "lora_only""#, "bias \"lora_only\""),
        (r#", "lora_bias": true"#, "\"lora_bias\""),
        (r#", "init_lora_weights": "pissa""#, "init_lora_weights \"pissa\""),
        (r#", "trainable_token_indices": [1]"#, "\"trainable_token_indices\""),
        (r#", "alora_invocation_tokens": [1, 2]"#, "\"alora_invocation_tokens\""),
        (r#", "target_parameters": ["a"]"#, "\"target_parameters\""),
        (r#", "layer_replication": [[0, 1]]"#, "\"layer_replication"),
        (r#", "something_new": 3"#, "\"something_new\""),
        (r#", "rank_pattern": {"x.*": 2}"#, "pattern \"x.*\""),
    ] {
        let error = with(settings, PAIR).unwrap_err();
        assert!(
            matches!(&error, Error::Unapplied { what, .. } if what.contains(named)),
            "{settings}: {error}"
        );
    }
    let kind = FileBytes::from_vec("c", br#"{"peft_type": "IA3"}"#.to_vec());
    let refused = read_peft(&kind, &matrices(PAIR)).unwrap_err();
    assert!(refused.to_string().contains("of the kind \"IA3\""), "{refused}");
    for odd in ["x.lora_magnitude_vector", "x.lora_embedding_A", "lm_head.weight"] {
        let error = with("", &[PAIR, &[(odd, &[2, 2])]].concat()).unwrap_err();
        assert!(matches!(&error, Error::Unapplied { what, .. } if what.contains(odd)), "{odd}: {error}");
    }
}

#[test]
fn hostile_numbers_and_shapes_are_refused() {
    let refused = |settings: &str, shapes: &[(&str, &[usize])]| with(settings, shapes).unwrap_err();
    assert!(matches!(refused(r#", "lora_alpha": 1"#, PAIR), Error::Json { .. }), "a key twice");
    let only = |settings: &str| {
        let settings = FileBytes::from_vec("c", settings.as_bytes().to_vec());
        read_peft(&settings, &matrices(PAIR)).unwrap_err()
    };
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": 2}"#), Error::MissingKey { .. }));
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": -2, "lora_alpha": 1}"#), Error::WrongType { .. }));
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": 2, "lora_alpha": "1"}"#), Error::WrongType { .. }));
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": 2, "lora_alpha": NaN}"#), Error::Json { .. }));
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 1e300}"#), Error::Invalid { .. }));
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": 3, "lora_alpha": 1}"#), Error::Invalid { .. }));
    assert!(matches!(only(r#"{"peft_type": "LORA", "r": 0, "lora_alpha": 1}"#), Error::Invalid { .. }));
    for shapes in [[&[0, 5][..], &[3, 0]], [&[2, 0], &[3, 2]], [&[2, 5], &[3, 1]], [&[2], &[3, 2]]] {
        let shapes = [("x.lora_A.weight", shapes[0]), ("x.lora_B.weight", shapes[1])];
        assert!(matches!(refused("", &shapes), Error::Shape { .. }), "{shapes:?}");
    }
    assert!(matches!(refused("", &PAIR[..1]), Error::MissingTensor { .. }));
    assert!(matches!(refused("", &PAIR[1..]), Error::MissingTensor { .. }));
    assert!(matches!(refused("", &[]), Error::Unapplied { .. }));
}

#[test]
fn a_gguf_adapter_says_what_it_is() {
    let tensors = [("a.lora_a", vec![2usize, 5]), ("a.lora_b", vec![3, 2])];
    let specs: Vec<TensorSpec> = tensors
        .iter()
        .map(|(name, shape)| TensorSpec { name: (*name).into(), dtype: Dtype::F32, shape: shape.clone() })
        .collect();
    let read = |settings: &[(&str, crate::metadata::Value)]| {
        let mut metadata = Metadata::new("g");
        settings.iter().for_each(|(key, value)| metadata.insert(key, value.clone()));
        let mut writer = crate::gguf::write(Vec::new(), &metadata, &specs).unwrap();
        specs.iter().for_each(|spec| writer.append(&vec![0; spec.size_bytes().unwrap() as usize]).unwrap());
        read_gguf(&FileBytes::from_vec("g", writer.finish().unwrap()))
    };
    let sound = |alpha: f32| {
        vec![
            ("general.type", "adapter".into()),
            ("adapter.type", "lora".into()),
            ("adapter.lora.alpha", alpha.into()),
        ]
    };
    assert_eq!(found(&read(&sound(3.0)).unwrap(), "a"), (2, 1.5));
    assert_eq!(found(&read(&sound(0.0)).unwrap(), "a"), (2, 1.0));
    for alpha in [f32::NAN, f32::INFINITY] {
        assert!(matches!(read(&sound(alpha)), Err(Error::Invalid { .. })), "{alpha}");
    }
    assert!(matches!(read(&sound(1.0)[..2]), Err(Error::MissingKey { .. })));
    assert!(matches!(read(&sound(1.0)[1..]), Err(Error::MissingKey { .. })));
    let other = [sound(1.0), vec![("adapter.type", "other".into())]].concat();
    assert!(matches!(read(&other), Err(Error::Invalid { .. })));
    let more = [sound(1.0), vec![("adapter.alora.invocation_tokens", vec![1i32].into())]].concat();
    assert!(matches!(read(&more), Err(Error::Unapplied { .. })));
}
