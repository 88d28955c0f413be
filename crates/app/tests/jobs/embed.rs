//! Texts that become vectors, by a small encoder in a folder as `transformers` writes it.

use std::path::{Path, PathBuf};

use app::event::embed::Embedding;
use app::job::embed::{Embed, Text, TooLong};
use app::job::training::{Export, Format};
use app::{Event, Failure, Job};
use base::Rng;
use formats::{Dtype, Metadata, TensorSpec, safetensors};

use crate::home::Home;

const WIDTH: usize = 32;
const INNER: usize = 48;
const CONTEXT: usize = 12;
const WORDS: [&str; 9] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "dog", "sleeps", "."];

/// An encoder of one layer with random weights.
pub fn encoder(folder: &Path) -> PathBuf {
    let path = folder.join("encoder");
    std::fs::create_dir_all(&path).unwrap();
    let config = format!(
        r#"{{"architectures": ["BertModel"], "hidden_act": "gelu", "hidden_size": {WIDTH}, "intermediate_size": {INNER},
            "layer_norm_eps": 1e-12, "max_position_embeddings": {CONTEXT}, "model_type": "bert",
            "num_attention_heads": 2, "num_hidden_layers": 1, "type_vocab_size": 2, "vocab_size": {}}}"#,
        WORDS.len()
    );
    std::fs::write(path.join("config.json"), config).unwrap();
    std::fs::write(path.join("vocab.txt"), WORDS.join("\n") + "\n").unwrap();
    let spec = |name: &str, shape: &[usize]| TensorSpec {
        name: name.into(),
        dtype: Dtype::F32,
        shape: shape.into(),
    };
    let mut specs = vec![
        spec("embeddings.word_embeddings.weight", &[WORDS.len(), WIDTH]),
        spec("embeddings.position_embeddings.weight", &[CONTEXT, WIDTH]),
        spec("embeddings.token_type_embeddings.weight", &[2, WIDTH]),
    ];
    let mut linear = |name: &str, outer: usize, inner: usize| {
        specs.push(spec(&format!("{name}.weight"), &[outer, inner]));
        specs.push(spec(&format!("{name}.bias"), &[outer]));
    };
    for name in ["query", "key", "value"] {
        linear(&format!("encoder.layer.0.attention.self.{name}"), WIDTH, WIDTH);
    }
    linear("encoder.layer.0.attention.output.dense", WIDTH, WIDTH);
    linear("encoder.layer.0.intermediate.dense", INNER, WIDTH);
    linear("encoder.layer.0.output.dense", WIDTH, INNER);
    for norm in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        specs.push(spec(&format!("{norm}.LayerNorm.weight"), &[WIDTH]));
        specs.push(spec(&format!("{norm}.LayerNorm.bias"), &[WIDTH]));
    }
    let mut rng = Rng::new(3);
    let mut writer = safetensors::write(Vec::new(), &Metadata::new("model.safetensors"), &specs).unwrap();
    for spec in &specs {
        let n: usize = spec.shape.iter().product();
        let bytes: Vec<u8> =
            (0..n).flat_map(|_| (rng.below(2001) as f32 / 1000.0 - 1.0).to_le_bytes()).collect();
        writer.append(&bytes).unwrap();
    }
    std::fs::write(path.join("model.safetensors"), writer.finish().unwrap()).unwrap();
    path
}

pub fn embed(home: &Home, model: &Path, texts: &[&str]) -> Result<Vec<Embedding>, Failure> {
    let texts: Vec<Text> = texts.iter().map(|text| Text::Written((*text).to_owned())).collect();
    let n_texts = texts.len();
    let mut found = Vec::new();
    let embed = Embed { model: model.to_str().unwrap().into(), texts, too_long: TooLong::Cut, keep: None };
    for event in home.app.run(Job::Embed(embed)) {
        match event {
            Event::Embedding(embedding) => found.push(embedding),
            Event::Embedded { n_texts: told, .. } => assert_eq!((told, found.len()), (n_texts, n_texts)),
            Event::Failed(failure) => return Err(failure),
            other => panic!("{other:?}"),
        }
    }
    Ok(found)
}

fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.vector.iter().zip(&b.vector).map(|(a, b)| a * b).sum()
}

#[test]
fn texts_become_vectors_of_length_one_the_same_in_any_company() {
    let home = Home::new();
    let model = encoder(home.path());
    let found = embed(&home, &model, &["The cat sleeps.", "the cat sleeps .", "The dog"]).unwrap();
    assert_eq!(found.iter().map(|text| text.n_tokens).collect::<Vec<_>>(), [6, 6, 4]);
    for text in &found {
        assert!((cosine(text, text) - 1.0).abs() < 1e-5 && text.vector.len() == WIDTH && !text.is_cut);
    }
    assert_eq!(found[0].vector, found[1].vector, "this vocabulary has small letters only");
    assert!(cosine(&found[0], &found[2]) < 0.999);
    let alone = embed(&home, &model, &["The dog"]).unwrap();
    assert_eq!(alone[0].vector, found[2].vector);
}

#[test]
fn what_is_too_long_loses_its_end_and_says_so() {
    let home = Home::new();
    let model = encoder(home.path());
    let long = "the ".repeat(50);
    let found = embed(&home, &model, &[&long, &"the ".repeat(CONTEXT - 2)]).unwrap();
    assert_eq!((found[0].n_tokens, found[0].is_cut, found[1].is_cut), (CONTEXT, true, false));
    assert_eq!(found[0].vector, found[1].vector);
}

#[test]
fn what_is_no_encoder_is_refused() {
    let home = Home::new();
    let model = encoder(home.path());
    assert_eq!(embed(&home, &model, &[]).unwrap_err().code, "no_prompt");
    assert_eq!(embed(&home, Path::new("starter"), &["a"]).unwrap_err().code, "unknown_architecture");
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    let missing = embed(&home, &model, &["a"]).unwrap_err();
    assert!(missing.code == "bad_file" && missing.message.contains("model.safetensors"), "{missing:?}");
    std::fs::write(model.join("config.json"), "{").unwrap();
    assert_eq!(embed(&home, &model, &["a"]).unwrap_err().code, "bad_file");
}

#[test]
fn an_imported_encoder_makes_the_same_vectors() {
    let home = Home::new();
    let model = encoder(home.path());
    let expected = embed(&home, &model, &["the cat sleeps ."]).unwrap();
    match home.last(crate::home::import(&model, None, "small")) {
        Ok(Event::Stored(stored)) => assert_eq!(stored.architecture, "BertModel"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        embed(&home, Path::new("small"), &["the cat sleeps ."]).unwrap()[0].vector,
        expected[0].vector
    );
    let failure = home.last(Job::Generate(crate::home::greedy("small", "the", 1))).unwrap_err();
    assert!(failure.hint.contains("hearth embed"), "{failure:?}");
}

#[test]
fn an_encoder_that_is_written_either_way_makes_the_same_vectors() {
    let home = Home::new();
    let model = encoder(home.path());
    let texts = ["The cat sleeps.", "a dog", "the the cat . dog"];
    let expected = embed(&home, &model, &texts).unwrap();
    let (file, folder) = (home.path().join("encoder.gguf"), home.path().join("again"));
    for (from, to, format) in [(&model, &file, Format::Gguf), (&file, &folder, Format::Safetensors)] {
        let job = Export { model: from.to_str().unwrap().into(), format, storage: None, out: to.clone() };
        assert!(matches!(home.last(Job::Export(job)), Ok(Event::Exported(_))));
        let found = embed(&home, to, &texts).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.n_tokens, expected.n_tokens);
            assert!(cosine(found, expected) > 0.999_99, "{}", to.display());
        }
    }
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let config = read("config.json");
    assert_eq!((&config["architectures"][0], &config["model_type"]), (&"BertModel".into(), &"bert".into()));
    assert_eq!((&config["type_vocab_size"], &config["pad_token_id"]), (&2.into(), &0.into()));
    assert_eq!(read("1_Pooling/config.json")["pooling_mode_mean_tokens"], true);
    assert_eq!(read("modules.json").as_array().unwrap().len(), 3);
    let tokenizer = read("tokenizer_config.json");
    assert_eq!((&tokenizer["cls_token"], &tokenizer["sep_token"]), (&"[CLS]".into(), &"[SEP]".into()));
    assert!(tokenizer.get("add_bos_token").is_none());
    assert!(!folder.join("generation_config.json").exists());
}
