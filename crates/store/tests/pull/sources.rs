//! The three sources as they are when all is well, and what becomes of their files.

use serde_json::{Value, json};
use sha2::Digest as _;
use store::pull::{RemoteVersion, Token, remote_version};
use store::{Role, pull};

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git_name(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    let mut hasher = sha1::Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file of a repository, as the Hub lists it: large ones by SHA-256, small ones by Git's name.
fn listed(name: &str, bytes: &[u8]) -> Value {
    if name.ends_with(".gguf") || name.ends_with(".safetensors") {
        return json!({"rfilename": name, "size": bytes.len(), "blobId": git_name(b"a pointer"),
            "lfs": {"sha256": sha256(bytes), "size": bytes.len()}});
    }
    json!({"rfilename": name, "size": bytes.len(), "blobId": git_name(bytes)})
}

/// A hub with one repository at one commit; weights lie on another host, `cdn`.
pub(crate) fn hub(files: Vec<(&'static str, Vec<u8>)>, gated: Value, cdn: Option<&Registry>) -> Registry {
    let siblings: Vec<Value> = files.iter().map(|(name, bytes)| listed(name, bytes)).collect();
    let list = json!({"id": "anna/Poems", "sha": COMMIT, "gated": gated, "siblings": siblings,
        "cardData": {"license": "apache-2.0"}});
    let cdn = cdn.map(Registry::url);
    Registry::start(move |request| {
        let target = request.target.as_str();
        if ["main", "v2"]
            .iter()
            .any(|branch| target == format!("/api/models/anna/Poems/revision/{branch}?blobs=true"))
        {
            return Reply::bytes(list.to_string());
        }
        let Some(name) = target.strip_prefix(&format!("/anna/Poems/resolve/{COMMIT}/")) else {
            return Reply::status(404).with("x-error-code", "RepoNotFound");
        };
        if gated != Value::Bool(false) && request.header("authorization") != Some("Bearer hf_right") {
            return Reply::status(403).with("x-error-code", "GatedRepo");
        }
        match (files.iter().find(|(known, _)| *known == name), &cdn) {
            (None, _) => Reply::status(404),
            (Some((_, _)), Some(cdn)) if name.ends_with(".gguf") => {
                Reply::redirect(&format!("{cdn}/{name}?signature=SIGNED"))
            }
            (Some((_, bytes)), _) => Reply::file(request, bytes, None),
        }
    })
}

pub(crate) fn gguf_files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("README.md", b"# Poems".to_vec()),
        ("LICENSE", b"Do as you like.".to_vec()),
        ("Q8_0/poems-Q8_0-00001-of-00002.gguf", weights(2_500)),
        ("Q8_0/poems-Q8_0-00002-of-00002.gguf", weights(1_200)),
        ("mmproj-F16.gguf", weights(800)),
        ("poems-Q4_K_M.gguf", weights(3_100)),
    ]
}

/// Where the weights lie; they are given to whoever asks.
fn cdn() -> Registry {
    Registry::start(|request| {
        let name = request.target.trim_start_matches('/').split('?').next().unwrap().to_owned();
        match gguf_files().into_iter().find(|(known, _)| *known == name) {
            Some((_, bytes)) => Reply::file(request, &bytes, Some("\"cdn\"")),
            None => Reply::status(404),
        }
    })
}

#[test]
fn a_gguf_comes_from_a_repository_with_what_belongs_to_it() {
    let hub = hub(gguf_files(), json!(false), None);
    let home = Home::new();
    let pulled = home.pull("hf.co/anna/Poems", &settings(&hub)).unwrap();
    let model = &pulled.model;
    assert_eq!(home.files(model), [weights(3_100), weights(800), b"Do as you like.".to_vec()]);
    let roles: Vec<Role> = model.manifest.files.iter().map(|file| file.role).collect();
    assert_eq!(roles, [Role::Model, Role::Projector, Role::License]);
    assert!(pulled.is_new && pulled.unchecked.is_empty());
    assert_eq!(pulled.fetched_bytes, 3_100 + 800 + 15);
    let origin = model.manifest.origin.as_ref().unwrap();
    assert_eq!((origin.remote.as_str(), origin.version.as_str()), ("hf.co/anna/Poems", COMMIT));
    assert_eq!(origin.license.as_deref(), Some("apache-2.0"));
    assert_eq!(model.manifest.created_ms, NOW_MS);
    assert_eq!(home.store.get(&name("hf.co/anna/poems")).unwrap(), *model);
    assert_eq!(home.names_in("partial"), [""; 0], "nothing is left");
}

#[test]
fn the_parts_of_a_split_gguf_come_in_their_order() {
    let hub = hub(gguf_files(), json!(false), None);
    let home = Home::new();
    let model = home.pull("hf.co/anna/Poems:q8_0", &settings(&hub)).unwrap().model;
    assert_eq!(home.files(&model)[..2], [weights(2_500), weights(1_200)]);
    assert_eq!(model.manifest.files[1].name.as_deref(), Some("Q8_0/poems-Q8_0-00002-of-00002.gguf"));
    assert_eq!(model.name.to_string(), "hf.co/anna/Poems:q8_0");
}

#[test]
fn a_folder_of_shards_comes_with_its_index_and_tokenizer() {
    let map = json!({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
        "c": "model-00001-of-00002.safetensors"}});
    let files = vec![
        ("config.json", b"{}".to_vec()),
        ("model-00001-of-00002.safetensors", weights(2_000)),
        ("model-00002-of-00002.safetensors", weights(1_999)),
        ("model.safetensors.index.json", map.to_string().into_bytes()),
        ("chat_template.jinja", b"{{ messages }}".to_vec()),
        ("tokenizer.json", b"{\"model\": {}}".to_vec()),
    ];
    let hub = hub(files.clone(), json!(false), None);
    let home = Home::new();
    let model = home.pull("hf.co/anna/Poems@v2", &settings(&hub)).unwrap().model;
    let found: Vec<(String, Role)> =
        model.manifest.files.iter().map(|file| (file.name.clone().unwrap(), file.role)).collect();
    let expected = [
        ("model-00001-of-00002.safetensors", Role::Model),
        ("model-00002-of-00002.safetensors", Role::Model),
        ("model.safetensors.index.json", Role::Index),
        ("config.json", Role::Config),
        ("tokenizer.json", Role::Tokenizer),
        ("chat_template.jinja", Role::Template),
    ];
    assert_eq!(found, expected.map(|(name, role)| (name.to_owned(), role)));
    for (bytes, (name, _)) in home.files(&model).iter().zip(found) {
        assert_eq!(*bytes, files.iter().find(|(known, _)| *known == name).unwrap().1);
    }
    assert_eq!(model.manifest.origin.unwrap().remote, "hf.co/anna/Poems@v2");
}

#[test]
fn a_token_reaches_the_hub_and_nobody_after_a_redirect() {
    let cdn = cdn();
    let hub = hub(gguf_files(), json!("manual"), Some(&cdn));
    let home = Home::new();
    let token = Token::new(" hf_right\n");
    let settings = Settings { hugging_face_token: token, ..settings(&hub) };
    let pulled = home.pull("hf.co/anna/Poems", &settings).unwrap();
    assert_eq!(home.files(&pulled.model)[0], weights(3_100));
    let served = hub.served();
    assert!(served.iter().all(|one| one.request.header("authorization") == Some("Bearer hf_right")));
    let at_cdn = cdn.served();
    assert!(at_cdn.len() >= 5, "{at_cdn:?}");
    for one in at_cdn {
        assert_eq!(one.request.header("authorization"), None);
        assert!(one.request.headers.iter().all(|(_, value)| !value.contains("hf_right")));
    }
    let n_redirects = served.iter().filter(|one| one.status == 302).count();
    assert!(n_redirects <= 2 * settings.n_connections, "the redirect is remembered: {n_redirects}");
    assert!(!format!("{settings:?}").contains("hf_right"));
}

#[test]
fn gated_weights_are_explained_before_a_byte_comes() {
    let hub = hub(gguf_files(), json!("auto"), None);
    let home = Home::new();
    let error = home.pull("hf.co/anna/Poems", &settings(&hub)).unwrap_err();
    let page = format!("{}/anna/Poems", hub.url());
    assert!(error.hint().contains(&page) && error.hint().contains("HF_TOKEN"), "{}", error.hint());
    assert_eq!(problem(error), Problem::Gated { page: page.clone(), with_token: false });
    let settings = Settings { hugging_face_token: Token::new("hf_WRONG"), ..settings(&hub) };
    let error = home.pull("hf.co/anna/Poems", &settings).unwrap_err();
    assert!(!format!("{error:?} {error} {}", error.hint()).contains("hf_WRONG"));
    assert_eq!(problem(error), Problem::Gated { page, with_token: true });
    home.assert_nothing_stored("gated");
}

#[test]
fn what_a_hub_does_not_have_is_named() {
    let hub = hub(gguf_files(), json!(false), None);
    let home = Home::new();
    let check = |remote, expected: &str| {
        let error = home.pull(remote, &settings(&hub)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("hf.co/anna/Prose", "no such repository");
    check("hf.co/anna/Poems:Q2_K", "Q4_K_M, Q8_0");
    check("nobody", "no such model or tag");
}

#[test]
fn a_second_pull_fetches_nothing_and_changes_nothing() {
    let hub = hub(gguf_files(), json!(false), None);
    let home = Home::new();
    let first = home.pull("hf.co/anna/Poems", &settings(&hub)).unwrap();
    hub.forget();
    home.clock.set(NOW_MS * 2);
    let second = home.pull("hf.co/anna/Poems", &settings(&hub)).unwrap();
    assert!(!second.is_new && second.fetched_bytes == 0);
    assert_eq!(second.model, first.model);
    assert_eq!(hub.sent_bytes("resolve"), 0);
    // A damaged blob is fetched again, alone.
    let path = home.store.locate(&first.model.manifest.files[1]).unwrap();
    std::fs::write(&path, vec![0; 800]).unwrap();
    let third = home.pull("hf.co/anna/Poems", &settings(&hub)).unwrap();
    assert_eq!((third.fetched_bytes, third.is_new), (800, false));
    assert_eq!(home.files(&third.model)[1], weights(800));
}

#[test]
fn one_can_ask_whether_there_is_a_newer_version() {
    let old = hub(gguf_files(), json!(false), None);
    let home = Home::new();
    let model = home.pull("hf.co/anna/Poems", &settings(&old)).unwrap().model;
    let ask = |registry: &Registry| -> RemoteVersion {
        let remote = Remote::parse(&model.manifest.origin.as_ref().unwrap().remote).unwrap();
        let mut rng = Rng::new(1);
        let surroundings = Surroundings { clock: &home.clock, rng: &mut rng };
        remote_version(&remote, &settings(registry), surroundings).unwrap()
    };
    assert!(ask(&old).is_here(&model.manifest));
    assert_eq!(ask(&old).size_bytes, Some(3_100 + 800 + 15));
    assert_eq!(old.sent_bytes("resolve"), 3_100 + 800 + 15, "asking fetches nothing");
    let mut files = gguf_files();
    files[5].1[7] ^= 1;
    let mut newer = ask(&hub(files, json!(false), None));
    newer.version = "another".into();
    assert!(!newer.is_here(&model.manifest));
    let only_the_read_me = RemoteVersion { version: "another".into(), ..ask(&old) };
    assert!(only_the_read_me.is_here(&model.manifest));
}

#[test]
fn a_model_of_an_ollama_registry_comes_with_its_settings() {
    let layers: Vec<(&str, Vec<u8>)> = vec![
        ("application/vnd.ollama.image.model", weights(5_000)),
        ("application/vnd.ollama.image.projector", weights(700)),
        ("application/vnd.ollama.image.template", b"{{ .Prompt }}".to_vec()),
        ("application/vnd.ollama.image.license", b"MIT".to_vec()),
        ("application/vnd.ollama.image.params", br#"{"temperature":0.6,"stop":["<|x|>"]}"#.to_vec()),
        ("application/vnd.ollama.image.system", "Répondez.".into()),
        ("application/vnd.ollama.image.messages", br#"[{"role":"user","content":"a"}]"#.to_vec()),
        ("application/vnd.ollama.image.something.new", b"?".to_vec()),
    ];
    let config = br#"{"model_format":"gguf"}"#.to_vec();
    let of = |(media_type, bytes): &(&str, Vec<u8>)| json!({"mediaType": media_type, "size": bytes.len(), "digest": Digest::of(bytes)});
    let manifest = json!({"schemaVersion": 2, "config": of(&("application/json", config.clone())),
        "layers": layers.iter().map(of).collect::<Vec<_>>()})
    .to_string();
    let version = Digest::of(manifest.as_bytes());
    let mut blobs: Vec<Vec<u8>> = layers.into_iter().map(|(_, bytes)| bytes).collect();
    blobs.push(config);
    let registry = Registry::start(move |request| {
        if request.target == "/v2/anna/tiny/manifests/1b" {
            assert!(request.header("accept").unwrap().contains("manifest.v2+json"));
            return Reply::bytes(manifest.clone());
        }
        let digest = request.target.strip_prefix("/v2/anna/tiny/blobs/").unwrap_or_default();
        match blobs.iter().find(|bytes| Digest::of(bytes).to_string() == digest) {
            Some(bytes) => Reply::file(request, bytes, None),
            None => Reply::status(404),
        }
    });
    let home = Home::new();
    let model = home.pull("anna/tiny:1b", &settings(&registry)).unwrap().model;
    assert_eq!(model.name.to_string(), "anna/tiny:1b");
    let files: Vec<(Role, &str)> =
        model.manifest.files.iter().map(|file| (file.role, file.format.as_str())).collect();
    let expected = [
        (Role::Model, "gguf"),
        (Role::Projector, "gguf"),
        (Role::Template, "go-template"),
        (Role::License, "text"),
    ];
    assert_eq!(files, expected);
    assert_eq!(home.files(&model)[0], weights(5_000));
    let parameters = Value::Object(model.manifest.parameters.clone());
    let messages = json!([{"role": "user", "content": "a"}]);
    let expected =
        json!({"temperature": 0.6, "stop": ["<|x|>"], "system": "Répondez.", "messages": messages});
    assert_eq!(parameters, expected);
    assert_eq!(model.manifest.origin.unwrap().version, version.to_string());
}

#[test]
fn a_file_at_an_address_comes_and_what_is_not_known_of_it_is_said() {
    let (registry, bytes) = one_file(|request, bytes| Reply::file(request, bytes, Some("\"v1\"")));
    let home = Home::new();
    let pulled = home.pull(&file_url(&registry), &settings(&registry)).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
    assert_eq!(pulled.unchecked, ["m.gguf"]);
    assert_eq!(pulled.model.name.to_string(), "m");
    let again = home.pull(&file_url(&registry), &settings(&registry)).unwrap();
    assert!(!again.is_new && again.fetched_bytes == 0, "the same validator is the same file");
    let hashed = one_file(|request, bytes| {
        let digest = sha256(bytes);
        Reply::file(request, bytes, None).with("x-linked-etag", &format!("\"{digest}\""))
    });
    let pulled = Home::new().pull(&file_url(&hashed.0), &settings(&hashed.0)).unwrap();
    assert!(pulled.unchecked.is_empty());
}

#[test]
fn a_signed_address_is_used_and_never_repeated() {
    let (registry, bytes) = one_file(|request, bytes| match request.target.contains("signature=SECRET") {
        true => Reply::file(request, bytes, Some("\"v1\"")),
        false => Reply::status(403),
    });
    let home = Home::new();
    let pulled =
        home.pull(&format!("{}?signature=SECRET", file_url(&registry)), &settings(&registry)).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
    let text = serde_json::to_string(&pulled.model.manifest).unwrap();
    assert!(!text.contains("SECRET") && !format!("{pulled:?}").contains("SECRET"), "{text}");
    assert_eq!(pulled.model.manifest.origin.unwrap().remote, "", "without the secret nobody can ask again");
    let error =
        home.pull(&format!("{}?signature=WRONG", file_url(&registry)), &settings(&registry)).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("WRONG"), "{error}");
}

#[test]
fn a_proxy_is_used_unless_the_host_is_exempt() {
    let (proxy, bytes) = one_file(|request, bytes| Reply::file(request, bytes, Some("\"v1\"")));
    let through = Registry::start({
        let bytes = bytes.clone();
        move |request| match request.method.as_str() {
            // After a CONNECT the rest of the connection is the target's.
            "CONNECT" => Reply::status(200),
            _ => Reply::file(request, &bytes, Some("\"v1\"")),
        }
    });
    let with_proxy = Settings { proxy: Some(through.url()), ..settings(&proxy) };
    let home = Home::new();
    let pulled = home.pull(&file_url(&proxy), &with_proxy).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
    assert!(proxy.served().is_empty() && !through.served().is_empty());
    through.forget();
    let exempt = Settings { no_proxy: vec!["127.0.0.1".into()], ..with_proxy };
    Home::new().pull(&file_url(&proxy), &exempt).unwrap();
    assert!(through.served().is_empty() && !proxy.served().is_empty());
}

#[test]
fn progress_tells_bytes_rate_and_the_time_left() {
    let (registry, _) = one_file(|request, bytes| Reply::file(request, bytes, Some("\"v1\"")));
    let home = Home::new();
    let mut seen: Vec<Progress> = Vec::new();
    let settings = Settings { progress_every: Duration::ZERO, ..settings(&registry) };
    home.pull_watched(&file_url(&registry), &settings, &mut |progress| {
        // A second passes between two looks, then a year, backwards.
        let step = if seen.len() % 7 == 6 { 0 } else { home.clock_ms() + 1000 };
        home.clock.set(step.max(1));
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    let fetching: Vec<_> = seen.iter().filter(|progress| progress.phase == pull::Phase::Fetching).collect();
    assert!(fetching.len() > 10, "{}", fetching.len());
    assert!(fetching.iter().all(|progress| progress.total_bytes == 10_500 && progress.file == "m.gguf"));
    assert!(fetching.windows(2).all(|pair| pair[0].done_bytes <= pair[1].done_bytes));
    assert!(fetching.iter().any(|progress| progress.rate_bytes_per_s > 0.0 && progress.eta_s.is_some()));
    assert_eq!(seen.last().unwrap().phase, pull::Phase::Storing);
    assert_eq!(seen.last().unwrap().done_bytes, 10_500);
}

impl Home {
    fn clock_ms(&self) -> u64 {
        use base::clock::Clock;
        self.clock.now_unix_ms()
    }
}
