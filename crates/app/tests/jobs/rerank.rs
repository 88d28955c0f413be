//! Texts judged by how well they answer a question: by small rerankers that `transformers` ran, and by an encoder.

use std::path::{Path, PathBuf};

use app::event::library::Ability;
use app::event::rerank::{Judged, Ranked};
use app::job::embed::{Embed, Text, TooLong};
use app::job::rerank::Rerank;
use app::job::training::{Export, Format, Storage};
use app::{Event, Failure, Job};
use formats::{Dtype, FileBytes, Metadata, TensorFile, TensorSpec, gguf, safetensors};
use serde_json::{Value as Json, json};

use crate::home::Home;

/// How far a logit may lie from that of `transformers`.
const MAX_ERROR: f64 = 2e-4;
const NAMES: [&str; 2] = ["bert", "xlm-roberta"];

fn fixture(name: &str) -> PathBuf {
    testkit::shared::root().join("fixtures/rerankers").join(name)
}

/// What `transformers` made of questions and their texts.
fn pairs(name: &str) -> Vec<Json> {
    let text = std::fs::read(fixture(name).join("pairs.json")).unwrap();
    serde_json::from_slice::<Json>(&text).unwrap().as_array().unwrap().clone()
}

fn job(model: &Path, query: &str, documents: &[&str]) -> Rerank {
    let documents = documents.iter().map(|text| (*text).to_owned()).collect();
    let (model, query) = (model.to_str().unwrap().into(), query.into());
    Rerank { model, query, documents, too_long: TooLong::Cut, keep: None }
}

fn ranked(home: &Home, job: Rerank) -> Result<Ranked, Failure> {
    match home.last(Job::Rerank(job))? {
        Event::Ranked(ranked) => Ok(ranked),
        other => panic!("{other:?}"),
    }
}

fn texts(question: &Json) -> Vec<&str> {
    let documents = question["documents"].as_array().unwrap().iter();
    documents.map(|document| document["text"].as_str().unwrap()).collect()
}

/// Holds every logit of every question against the fixture's; `most` away at most.
fn check(home: &Home, model: &Path, name: &str, most: f64) {
    for question in pairs(name) {
        let query = question["query"].as_str().unwrap();
        let told = ranked(home, job(model, query, &texts(&question))).unwrap();
        assert_eq!(told.judged, Judged::Together);
        let mut n_tokens = 0;
        for (found, expected) in told.scores.iter().zip(question["documents"].as_array().unwrap()) {
            let logit = expected["logit"].as_f64().unwrap();
            let difference = (f64::from(found.logit.unwrap()) - logit).abs();
            assert!(difference <= most, "{}: {expected}: {difference:.1e} away", model.display());
            assert!((found.relevance - 1.0 / (1.0 + (-logit).exp())).abs() <= most);
            assert_eq!(found.n_tokens, expected["ids"].as_array().unwrap().len(), "{expected}");
            assert_eq!(found.is_cut, expected["is_cut"].as_bool().unwrap(), "{expected}");
            n_tokens += found.n_tokens;
        }
        assert_eq!(told.n_tokens, n_tokens);
    }
}

#[test]
fn questions_and_texts_are_judged_as_in_transformers() {
    let home = Home::new();
    for name in NAMES {
        check(&home, &fixture(name), name, MAX_ERROR);
        let (question, again) = (&pairs(name)[0], fixture(name));
        let query = question["query"].as_str().unwrap();
        let together = ranked(&home, job(&again, query, &texts(question))).unwrap().scores;
        for (text, expected) in texts(question).into_iter().zip(together) {
            let alone = ranked(&home, job(&again, query, &[text])).unwrap().scores;
            assert_eq!(alone, [expected], "{name}: {text:?} alone and in company");
        }
    }
    assert!(pairs("bert")[0]["documents"][5]["is_cut"].as_bool().unwrap(), "one text is too long");
}

#[test]
fn a_reranker_that_is_written_either_way_judges_the_same() {
    let (home, name) = (Home::new(), "bert");
    let (file, folder) = (home.path().join("bert.gguf"), home.path().join("bert"));
    for (from, to, format) in [(&fixture(name), &file, Format::Gguf), (&file, &folder, Format::Safetensors)] {
        let job = Export { model: from.to_str().unwrap().into(), format, storage: None, out: to.clone() };
        assert!(matches!(home.last(Job::Export(job)), Ok(Event::Exported(_))), "{}", from.display());
        check(&home, to, name, MAX_ERROR);
    }
    let config: Json = serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
    assert_eq!(config["id2label"], json!({ "0": "LABEL_0" }));
    assert_eq!(config["label2id"], json!({ "LABEL_0": 0 }));
    assert!(!folder.join("modules.json").exists(), "it makes no vectors");
    // What classifies stays exact where the rest is rounded.
    let (small, storage) = (home.path().join("q8.gguf"), Some(Storage::Q8_0));
    let model = fixture(name).to_str().unwrap().into();
    let job = Export { model, format: Format::Gguf, storage, out: small.clone() };
    assert!(matches!(home.last(Job::Export(job)), Ok(Event::Exported(_))));
    let written = gguf::read(&FileBytes::open(&small).unwrap()).unwrap();
    let dtype = |name: &str| written.tensor(name).unwrap().dtype;
    assert_eq!([dtype("cls.weight"), dtype("cls.output.weight")], [Dtype::F32; 2]);
    assert_eq!(dtype("blk.0.attn_q.weight"), Dtype::Q8_0);
    assert_eq!(written.metadata().read::<u32>("bert.pooling_type").unwrap(), 4);
    check(&home, &small, name, 1.0);
}

/// XLM-RoBERTa's vocabulary with SentencePiece's map of letters, as published models have it.
#[test]
fn pieces_of_sentences_are_written_to_one_file_and_judge_the_same() {
    let (home, name) = (Home::new(), "xlm-roberta");
    let folder = changed(&home, name, |spec, bytes| Some((spec, bytes)));
    let file = home.path().join("xlm.gguf");
    let export = |out: &Path| {
        let model = folder.to_str().unwrap().into();
        home.last(Job::Export(Export { model, format: Format::Gguf, storage: None, out: out.into() }))
    };
    let refused = export(&file).unwrap_err();
    assert_eq!(refused.code, "unknown_vocabulary", "without the map it is not SentencePiece's");
    let model = testkit::shared::root().join("fixtures/sentencepiece/unigram-nfkc.model");
    let parts = text::VocabularyParts::from_sentencepiece(&std::fs::read(model).unwrap()).unwrap();
    let written = parts.to_tokenizer_json().unwrap().unwrap();
    let stages = written["normalizer"]["normalizers"].as_array().unwrap();
    let path = folder.join("tokenizer.json");
    let mut vocabulary: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    vocabulary["normalizer"] = stages.iter().find(|stage| stage["type"] == "Precompiled").unwrap().clone();
    std::fs::write(&path, vocabulary.to_string()).unwrap();
    check(&home, &folder, name, MAX_ERROR);
    assert!(matches!(export(&file), Ok(Event::Exported(_))));
    let written = gguf::read(&FileBytes::open(&file).unwrap()).unwrap();
    assert_eq!(written.metadata().read::<&str>("tokenizer.ggml.model").unwrap(), "t5");
    check(&home, &file, name, MAX_ERROR);
}

/// The tensors of a file, some of them left out or changed.
fn rewritten(
    file: &TensorFile,
    change: impl Fn(TensorSpec, Vec<u8>) -> Option<(TensorSpec, Vec<u8>)>,
) -> (Vec<TensorSpec>, Vec<Vec<u8>>) {
    let tensors =
        file.tensors().iter().map(|entry| (entry.spec(), file.tensor_bytes(entry).unwrap().to_vec()));
    tensors.filter_map(|(spec, bytes)| change(spec, bytes)).unzip()
}

/// The fixture `name` in a folder of its own, its weights changed.
fn changed(
    home: &Home,
    name: &str,
    change: impl Fn(TensorSpec, Vec<u8>) -> Option<(TensorSpec, Vec<u8>)>,
) -> PathBuf {
    let folder = home.path().join("changed");
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture(name).join(file), folder.join(file)).unwrap();
    }
    let weights =
        safetensors::read(&FileBytes::open(&fixture(name).join("model.safetensors")).unwrap()).unwrap();
    let (specs, bytes) = rewritten(&weights, change);
    let mut writer = safetensors::write(Vec::new(), &Metadata::new("model.safetensors"), &specs).unwrap();
    bytes.iter().for_each(|bytes| writer.append(bytes).unwrap());
    std::fs::write(folder.join("model.safetensors"), writer.finish().unwrap()).unwrap();
    folder
}

/// As llama.cpp converts BERT.
#[test]
fn a_file_without_the_layer_before_its_head_is_judged_by_and_makes_no_folder() {
    let home = Home::new();
    let (whole, without) = (home.path().join("whole.gguf"), home.path().join("without.gguf"));
    let export = |from: &Path, format, out: &Path| {
        let model = from.to_str().unwrap().into();
        home.last(Job::Export(Export { model, format, storage: None, out: out.into() }))
    };
    export(&fixture("bert"), Format::Gguf, &whole).unwrap();
    let file = gguf::read(&FileBytes::open(&whole).unwrap()).unwrap();
    let (specs, bytes) = rewritten(&file, |spec, bytes| {
        (!["cls.weight", "cls.bias"].contains(&&*spec.name)).then_some((spec, bytes))
    });
    let mut writer = gguf::write(Vec::new(), file.metadata(), &specs).unwrap();
    bytes.iter().for_each(|bytes| writer.append(bytes).unwrap());
    std::fs::write(&without, writer.finish().unwrap()).unwrap();
    let [a, b] = [&whole, &without]
        .map(|model| ranked(&home, job(model, "what do pandas eat", &["They eat bamboo"])).unwrap().scores);
    assert!((a[0].relevance - b[0].relevance).abs() > 1e-3, "{a:?} {b:?}");
    let refused = export(&without, Format::Safetensors, &home.path().join("folder")).unwrap_err();
    assert!(refused.message.contains("dense layer"), "{refused:?}");
}

#[test]
fn what_is_too_long_loses_its_end_or_is_refused() {
    let home = Home::new();
    let long = "bear ".repeat(60);
    for name in NAMES {
        let asked = job(&fixture(name), "what do pandas eat", &["bamboo", &long]);
        let told = ranked(&home, asked.clone()).unwrap().scores;
        assert_eq!(told.iter().map(|score| score.is_cut).collect::<Vec<_>>(), [false, true]);
        assert_eq!(told[1].n_tokens, 40, "the model reads so many");
        let refused = ranked(&home, Rerank { too_long: TooLong::Refuse, ..asked }).unwrap_err();
        assert_eq!(refused.code, "prompt_too_long");
        assert!(refused.message.contains("document 1"), "{refused:?}");
        let refused = ranked(&home, job(&fixture(name), &long, &["bamboo"])).unwrap_err();
        assert!(refused.code == "prompt_too_long" && refused.message.contains("question"), "{refused:?}");
        assert_eq!(ranked(&home, job(&fixture(name), "what", &[])).unwrap_err().code, "no_prompt");
    }
}

#[test]
fn a_reranker_says_what_it_is_for() {
    let home = Home::new();
    let import = crate::home::import(&fixture("bert"), None, "judge");
    assert!(matches!(home.last(import), Ok(Event::Stored(_))));
    check(&home, Path::new("judge"), "bert", MAX_ERROR);
    let texts = vec![Text::Written("a bear".into())];
    let embed = Embed { model: "judge".into(), texts, too_long: TooLong::Cut, keep: None };
    let refused = home.last(Job::Embed(embed)).unwrap_err();
    assert!(refused.code == "wrong_task" && refused.hint.contains("/v1/rerank"), "{refused:?}");
    match home.last(Job::Show { model: "judge".into() }).unwrap() {
        Event::Details(details) => assert_eq!(details.abilities, [Ability::Rerank]),
        other => panic!("{other:?}"),
    }
    let refused = home.last(Job::Generate(crate::home::greedy("judge", "the", 1))).unwrap_err();
    assert_eq!(refused.code, "wrong_task");
    let refused = ranked(&home, job(Path::new("starter"), "a", &["b"])).unwrap_err();
    assert_eq!(refused.code, "unknown_architecture");
}

#[test]
fn what_tells_kinds_of_texts_apart_is_no_reranker() {
    let home = Home::new();
    let folder = changed(&home, "bert", |mut spec, bytes| {
        if spec.name.starts_with("classifier.") {
            spec.shape[0] = 3;
            return Some((spec, bytes.repeat(3)));
        }
        Some((spec, bytes))
    });
    let refused = ranked(&home, job(&folder, "a", &["b"])).unwrap_err();
    assert!(refused.code == "wrong_task" && refused.message.contains("3 kinds"), "{refused:?}");
    let texts = vec![Text::Written("a bear".into())];
    let embed = Embed { model: folder.to_str().unwrap().into(), texts, too_long: TooLong::Cut, keep: None };
    assert_eq!(home.last(Job::Embed(embed)).unwrap_err().code, "wrong_task");
}

#[test]
fn a_broken_reranker_is_refused() {
    let home = Home::new();
    let headless =
        changed(&home, "bert", |spec, bytes| (spec.name != "classifier.weight").then_some((spec, bytes)));
    let refused = ranked(&home, job(&headless, "a", &["b"])).unwrap_err();
    assert!(refused.message.contains("classifier.weight"), "{refused:?}");
    let import = home.last(crate::home::import(&headless, None, "broken")).unwrap_err();
    assert!(import.message.contains("classifier.weight"), "{import:?}");
    let home = Home::new();
    let without_numbers = changed(&home, "xlm-roberta", |spec, bytes| match &*spec.name {
        "classifier.dense.bias" => Some((spec, f32::NAN.to_le_bytes().repeat(bytes.len() / 4))),
        _ => Some((spec, bytes)),
    });
    assert_eq!(ranked(&home, job(&without_numbers, "a", &["b"])).unwrap_err().code, "damaged_weights");
}

#[test]
fn without_a_reranker_vectors_are_compared() {
    let home = Home::new();
    let model = crate::embed::encoder(home.path());
    let long = "the ".repeat(40);
    let texts = ["the dog .", "the cat sleeps .", long.as_str()];
    let told = ranked(&home, job(&model, "the cat sleeps .", &texts)).unwrap();
    assert_eq!(told.judged, Judged::Apart);
    let all = [&["the cat sleeps ."][..], &texts].concat();
    let vectors = crate::embed::embed(&home, &model, &all).unwrap();
    for (score, vector) in told.scores.iter().zip(&vectors[1..]) {
        let product: f64 =
            vectors[0].vector.iter().zip(&vector.vector).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((score.relevance - product).abs() < 1e-6 && score.logit.is_none());
        assert_eq!((score.n_tokens, score.is_cut), (vector.n_tokens, vector.is_cut));
    }
    assert!((told.scores[1].relevance - 1.0).abs() < 1e-5 && told.scores[2].is_cut);
    assert_eq!(told.n_tokens, vectors.iter().map(|vector| vector.n_tokens).sum::<usize>());
    let asked = Rerank { too_long: TooLong::Refuse, ..job(&model, "the cat", &texts) };
    assert!(ranked(&home, asked).unwrap_err().message.contains("document 2"));
    let refused = ranked(&home, job(&model, &long, &["the dog"])).unwrap_err();
    assert_eq!(refused.code, "prompt_too_long");
}
