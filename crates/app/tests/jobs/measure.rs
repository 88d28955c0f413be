//! Measuring a model and saying beforehand what it needs: figures that belong together, and what is refused.

use std::path::Path;

use app::event::measure::{Edited, Fitting, Measured};
use app::job::measure::{Bench, Edits, Fit};
use app::job::training::{Export, Format};
use app::{App, Event, Failure, Job, Network, Settings};
use serde_json::{Value, json};
use testkit::registry::{Registry, Reply};

use crate::home::{Home, greedy};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with the repository `anna/poems`, whose large files have no announced hashes.
fn hub(files: Vec<(String, Vec<u8>)>) -> Registry {
    let sibling = |(name, bytes): &(String, Vec<u8>)| json!({ "rfilename": name, "size": bytes.len() });
    let siblings: Vec<Value> = files.iter().map(sibling).collect();
    let list = json!({ "sha": COMMIT, "gated": false, "siblings": siblings });
    Registry::start(move |request| {
        let target = request.target.as_str();
        if target == "/api/models/anna/poems/revision/main?blobs=true" {
            return Reply::bytes(list.to_string());
        }
        let name = target.strip_prefix(&format!("/anna/poems/resolve/{COMMIT}/"));
        match files.iter().find(|(known, _)| Some(known.as_str()) == name) {
            Some((_, bytes)) => Reply::file(request, bytes, Some("\"v\"")),
            None => Reply::status(404),
        }
    })
}

/// What is expected of a model of this hub, and the program that was asked.
fn fit_there(hub: &Registry, model: &str) -> (Result<Fitting, Failure>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let network = Network { hugging_face: Some(hub.url()), ..Network::default() };
    let home = folder.path().join("home");
    let app = App::open(Settings { home, network, ..Settings::default() }).unwrap();
    let job = Job::Fit(Fit { model: model.into(), contexts: vec![64] });
    let fitting = match app.run(job).last().unwrap() {
        Event::Fitting(fitting) => Ok(*fitting),
        Event::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    };
    (fitting, folder)
}

fn starter() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf")).unwrap()
}

fn bench(home: &Home, n_prompt: usize) -> Result<Measured, Failure> {
    let job =
        Bench { model: "tiny".into(), n_prompt, n_generated: 4, n_runs: 2, users: vec![3], edits: None };
    match home.last(Job::Bench(job))? {
        Event::Measured(measured) => Ok(*measured),
        other => panic!("{other:?}"),
    }
}

/// How the starter answers the edits of a file.
fn edited(path: &Path, is_forced: bool) -> Result<Edited, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let app = App::open(Settings { home, ..Settings::default() }).unwrap();
    let edits = Some(Edits { path: path.into(), is_forced });
    let model = "starter".into();
    let bench = Bench { model, n_prompt: 8, n_generated: 4, n_runs: 1, users: Vec::new(), edits };
    match app.run(Job::Bench(bench)).last().unwrap() {
        Event::Measured(measured) => Ok(measured.edited.unwrap()),
        Event::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    }
}

fn fit(home: &Home, model: &str, contexts: &[usize]) -> Result<Fitting, Failure> {
    match home.last(Job::Fit(Fit { model: model.into(), contexts: contexts.into() }))? {
        Event::Fitting(fitting) => Ok(*fitting),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_is_measured_as_often_as_was_asked_for() {
    let home = Home::with_tiny();
    let measured = bench(&home, 8).unwrap();
    for spread in [measured.prompt_tokens_per_s, measured.generated_tokens_per_s] {
        assert!(0.0 < spread.lowest && spread.lowest <= spread.median && spread.median <= spread.highest);
    }
    assert!(measured.share_of_bandwidth > 0.0 && measured.share_of_arithmetic > 0.0, "{measured:?}");
    assert!(measured.machine.flops_per_s > 1e8 && measured.machine.read_bytes_per_s > 1e8, "{measured:?}");
    let [together] = &measured.together[..] else { panic!("{measured:?}") };
    assert!(together.n_users == 3 && together.tokens_per_s.lowest > 0.0, "{together:?}");
    assert_eq!(bench(&home, 0).unwrap_err().code, "bad_setting");
    let alone = Bench {
        model: "tiny".into(),
        n_prompt: 8,
        n_generated: 4,
        n_runs: 1,
        users: Vec::new(),
        edits: None,
    };
    let crowd = Bench { users: vec![9999], ..alone };
    assert_eq!(home.last(Job::Bench(crowd)).unwrap_err().code, "bad_setting");
    assert_eq!(bench(&home, 1 << 20).unwrap_err().code, "prompt_too_long");
}

#[test]
fn a_longer_context_takes_more_memory_and_fewer_bits_take_less() {
    let home = Home::with_tiny();
    let fitting = fit(&home, "starter", &[64, 512]).unwrap();
    let [short, long] = fitting.lengths[..] else { panic!("{fitting:?}") };
    assert_eq!(long.cache_bytes, 8 * short.cache_bytes);
    assert!(long.memory_bytes > short.memory_bytes + long.cache_bytes - short.cache_bytes);
    assert!(long.generated_tokens_per_s < short.generated_tokens_per_s);
    let bytes: Vec<u64> = fitting.storages.iter().map(|stored| stored.weight_bytes).collect();
    assert!(bytes.len() >= 2 && bytes.is_sorted_by(|more, fewer| more > fewer), "{:?}", fitting.storages);
    assert!(fitting.storages.iter().filter(|stored| stored.is_best).count() <= 1);
    let usual = fit(&home, "starter", &[]).unwrap();
    assert_eq!(usual.lengths.last().unwrap().n_tokens, usual.context);
    assert_eq!(fit(&home, "starter", &[1 << 22]).unwrap_err().code, "bad_setting");
    assert_eq!(fit(&home, "nothing", &[]).unwrap_err().code, "model_not_found");
}

/// The heads of the model in the box have 64 numbers: two blocks.
#[test]
fn keys_and_values_take_less_in_fewer_bits() {
    let bytes = |home: &Home| fit(home, "starter", &[64]).unwrap().lengths[0].cache_bytes;
    let full = bytes(&Home::keeping("f32"));
    assert_eq!(bytes(&Home::new()), full / 2, "half precision where nobody says anything");
    for (kept, block_bytes) in [("q8_0", 34), ("Q4_0", 18)] {
        let home = Home::keeping(kept);
        assert_eq!(bytes(&home), full / 128 * block_bytes, "{kept}");
        assert!(!home.text(greedy("starter", "Once", 4)).is_empty(), "{kept}");
    }
    let wrong = App::open(Settings { home: "none".into(), kept: Some("q2".into()), ..Settings::default() });
    assert_eq!(wrong.err().map(|failure| failure.code), Some("bad_setting".into()));
}

#[test]
fn heads_that_are_no_whole_number_of_blocks_are_not_kept_in_blocks() {
    let home = Home::with_tiny_keeping("q8_0");
    for failure in
        [fit(&home, "tiny", &[8]).unwrap_err(), home.last(Job::Generate(greedy("tiny", "a", 1))).unwrap_err()]
    {
        assert!(failure.code == "bad_setting" && failure.message.contains("heads of"), "{failure:?}");
    }
}

/// What is the same wherever the model is.
fn sizes(fitting: &Fitting) -> (u64, usize, u64) {
    (fitting.file_bytes, fitting.context, fitting.lengths[0].cache_bytes)
}

#[test]
fn a_model_that_is_elsewhere_is_known_by_its_header_alone() {
    let (small, large) = ("poems-Q8_0.gguf", "poems-F16.gguf");
    let (bytes, home) = (starter(), Home::new());
    let n_bytes = bytes.len() as u64;
    let hub = hub(vec![(small.into(), bytes), (large.into(), vec![0; 40_000_000])]);
    let (fitting, folder) = fit_there(&hub, "hf.co/anna/poems");
    let fitting = fitting.unwrap();
    assert_eq!(sizes(&fitting), sizes(&fit(&home, "starter", &[64]).unwrap()));
    let offered: Vec<_> =
        fitting.storages.iter().map(|row| (row.storage.as_str(), row.weight_bytes)).collect();
    assert_eq!(offered, [("F16", 40_000_000), ("Q8_0", n_bytes)]);
    assert!(fitting.is_offered && fitting.storages.iter().all(|row| row.generated_tokens_per_s.is_some()));
    assert_eq!(fitting.take.as_deref(), Some("hf.co/anna/poems:Q8_0"), "sixteen bits are not for use");
    // The header, and at most a quarter of it more: the file does not say how long its header is.
    let header = n_bytes - fitting.file_bytes;
    let sent = hub.sent_bytes(small);
    assert!(sent <= header + header / 4 + (64 << 10), "{sent} bytes for a header of {header}");
    assert_eq!(hub.sent_bytes(large), 0, "one header tells all");
    assert!(!folder.path().join("home").exists(), "nothing is stored");
    let (missing, _) = fit_there(&hub, "hf.co/anna/poems:Q4_0");
    assert_eq!(missing.unwrap_err().code, "not_found_there");
}

/// The files of the starter as a folder, and what `fit` says of that folder here.
fn exported_starter() -> (Vec<(String, Vec<u8>)>, Fitting) {
    let home = Home::new();
    let out = home.path().join("exported");
    let export =
        Export { model: "starter".into(), out: out.clone(), format: Format::Safetensors, storage: None };
    home.last(Job::Export(export)).unwrap();
    let file = |name: &str| (name.to_owned(), std::fs::read(out.join(name)).unwrap());
    let files = ["config.json", "tokenizer.json", "model.safetensors"].into_iter().map(file).collect();
    (files, fit(&home, out.to_str().unwrap(), &[64]).unwrap())
}

/// The bytes of a safetensors file before its tensors.
fn header_bytes(file: &[u8]) -> u64 {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap())
}

#[test]
fn a_folder_that_is_elsewhere_is_known_by_its_settings_and_headers() {
    let (files, here) = exported_starter();
    let (n_bytes, header) = (files[2].1.len() as u64, header_bytes(&files[2].1));
    let settings = files[0].1.len() as u64;
    let hub = hub(files);
    let there = fit_there(&hub, "hf.co/anna/poems").0.unwrap();
    assert_eq!(sizes(&there), sizes(&here));
    assert_eq!(there.file_bytes, n_bytes - header);
    assert_eq!((there.take.as_deref(), there.is_offered), (Some("hf.co/anna/poems"), false));
    assert_eq!(hub.sent_bytes("model.safetensors"), header, "not a byte more than the header");
    assert_eq!(hub.sent_bytes("config.json"), settings);
    assert_eq!(hub.sent_bytes("tokenizer.json"), 0);
}

#[test]
fn a_model_inside_a_multimodal_one_is_found_from_afar() {
    let (mut files, here) = exported_starter();
    let text: Value = serde_json::from_slice(&files[0].1).unwrap();
    let whole =
        json!({ "architectures": ["SomethingForPictures"], "model_type": "both", "text_config": text });
    files[0].1 = whole.to_string().into_bytes();
    let start = header_bytes(&files[2].1) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&files[2].1[8..start]).unwrap();
    let inside = |(name, entry): (String, Value)| match name.strip_prefix("model.") {
        Some(rest) => (format!("model.language_model.{rest}"), entry),
        None => (name, entry),
    };
    let header = Value::Object(header.into_iter().map(inside).collect()).to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    files[2].1 = [&length[..], &header, &files[2].1[start..]].concat();
    let there = fit_there(&hub(files), "hf.co/anna/poems").0.unwrap();
    assert_eq!(sizes(&there), sizes(&here));
}

#[test]
fn a_header_that_lies_is_refused() {
    let mut cut = starter();
    cut.truncate(5_000);
    let mut strange = starter();
    // The number of tensors.
    strange[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    for (bytes, code) in [(cut, "bad_file"), (strange, "bad_file"), (b"GGUF".to_vec(), "bad_file")] {
        let hub = hub(vec![("poems-Q8_0.gguf".into(), bytes)]);
        let failure = fit_there(&hub, "hf.co/anna/poems").0.unwrap_err();
        assert!(failure.code == code && !failure.hint.is_empty(), "{failure:?}");
    }
}

#[test]
fn edits_are_answered_with_guesses_and_without() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/edits");
    let folder = tempfile::tempdir().unwrap();
    let story = folder.path().join("story.jsonl");
    let short = std::fs::read_to_string(fixtures.join("short.jsonl")).unwrap();
    std::fs::write(&story, short.lines().nth(2).unwrap()).unwrap();
    let forced = edited(&story, true).unwrap();
    assert_eq!((forced.n_edits, forced.is_forced), (1, true));
    assert!((100..200).contains(&forced.n_tokens) && forced.plain_tokens_per_s.lowest > 0.0, "{forced:?}");
    // What is repeated is guessed.
    assert!(forced.guessed_tokens_per_s.median > forced.plain_tokens_per_s.median, "{forced:?}");
    let free = edited(&story, false).unwrap();
    assert!(!free.is_forced && free.n_tokens == forced.n_tokens && free.guessed_tokens_per_s.lowest > 0.0);
    for (file, code) in
        [("edits.jsonl", "prompt_too_long"), ("make.py", "cannot_read"), ("nothing.jsonl", "cannot_read")]
    {
        assert_eq!(edited(&fixtures.join(file), true).unwrap_err().code, code, "{file}");
    }
}
