//! Who comes in: hosts, pages, keys, addresses, encryption.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use app::job::keys::{Create, Keys as KeyJob, Limits};
use app::{App, Event, Job, Settings};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use server::{Keys, Renewed, Server, Tls};
use testkit::wire;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

use crate::house::House;

fn strict() -> House {
    House::with(server::Settings { keys: Keys::Always, ..server::Settings::default() })
}

fn key(house: &House, scopes: &str, limits: Limits) -> String {
    let n = house.app.run(Job::Keys(KeyJob::List)).last();
    let name = match n {
        Some(Event::Keys { keys }) => format!("key-{}", keys.len()),
        other => panic!("{other:?}"),
    };
    let create = Create { name, scopes: scopes.into(), lasts_ms: None, limits };
    match house.app.run(Job::Keys(KeyJob::Create(create))).last() {
        Some(Event::KeyCreated { secret, .. }) => secret,
        other => panic!("{other:?}"),
    }
}

/// T31: on every route, loopback too.
#[test]
fn a_host_that_is_not_this_one_is_refused_on_every_route() {
    let house = House::new();
    let document: Json = serde_json::from_str(&house.get("/openapi.json").text().unwrap()).unwrap();
    let port = house.address.port();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = path.split('{').next().unwrap();
            for host in [
                format!("evil.example:{port}"),
                "evil.example".into(),
                format!("127.0.0.1.evil.example:{port}"),
            ] {
                let line = format!("Host: {host}");
                let method = method.to_ascii_uppercase();
                let request = wire::request(&method, path, (house.address, &[&line]), "");
                let status = wire::send(house.address, &request).unwrap().status;
                assert_eq!(status, 403, "{method} {path} {host}");
            }
        }
    }
    for host in [
        format!("localhost:{port}"),
        format!("LOCALHOST:{port}"),
        format!("[::1]:{port}"),
        format!("127.0.0.1:{port}"),
    ] {
        let status = wire::get(house.address, "/health", &[&format!("Host: {host}")]).unwrap().status;
        assert_eq!(status, 200, "{host}");
    }
    let none = wire::send(house.address, "GET /health HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(none.status, 400);
}

/// T32: no page of somebody else, and never a star.
#[test]
fn pages_of_strangers_are_refused_and_named_ones_may_read() {
    let origins = vec!["https://mine.example".to_owned()];
    let house = House::with(server::Settings { origins, ..server::Settings::default() });
    let ask = |origin: &str| {
        let body = r#"{"model": "starter", "prompt": "a", "max_tokens": 1}"#;
        wire::post(house.address, "/v1/completions", &[&format!("Origin: {origin}")], body).unwrap()
    };
    for origin in ["https://evil.example", "null", "http://mine.example", "https://mine.example.evil.example"]
    {
        let answer = ask(origin);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{origin}");
    }
    let answer = ask("https://mine.example");
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://mine.example"))
    );
    let own = format!("http://{}", house.address);
    let answer = ask(&own);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    let preflight = |origin: &str| {
        let line = format!("Origin: {origin}");
        let lines = [&*line, "Access-Control-Request-Method: POST"];
        let request = wire::request("OPTIONS", "/v1/completions", (house.address, &lines), "");
        let answer = wire::send(house.address, &request).unwrap();
        (answer.status, answer.header("access-control-allow-origin").map(str::to_owned))
    };
    assert_eq!(preflight("https://mine.example"), (204, Some("https://mine.example".into())));
    assert_eq!(preflight("https://evil.example"), (403, None));
}

/// T34: every route of the document, with every credential, in every carrier.
#[test]
fn every_route_wants_the_scope_that_it_says() {
    let house = strict();
    let keys: Vec<(&str, String)> = ["use", "read", "manage", "metrics", "admin"]
        .map(|scopes| (scopes, key(&house, scopes, Limits::default())))
        .into();
    let revoked = key(&house, "admin", Limits::default());
    house.app.run(Job::Keys(KeyJob::Revoke { key: "key-5".into() })).last();
    let document: Json = serde_json::from_str(&house.get("/openapi.json").text().unwrap()).unwrap();
    let mut n_checked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let wanted = operation["x-scope"].as_str().unwrap();
            let part = |part: &str| if part.starts_with('{') { "none".to_owned() } else { part.to_owned() };
            let path = &path.split('/').map(part).collect::<Vec<_>>().join("/");
            let method = method.to_ascii_uppercase();
            let status = |line: &str| {
                let request = wire::request(&method, path, (house.address, &[line]), "");
                wire::send(house.address, &request).unwrap().status
            };
            let is_open = wanted == "open";
            let check = |who: &str, line: &str, is_let_in: bool, other: u16| {
                let told = status(line);
                let is_turned_away = matches!(told, 401 | 403 | 429);
                assert_eq!(is_turned_away, !is_let_in, "{method} {path} with {who}: {told}");
                // Guessing is slowed down too.
                assert!(
                    is_let_in || told == other || (other, told) == (401, 429),
                    "{method} {path} with {who}: {told}"
                );
            };
            check("nothing", "X-Nothing: 1", is_open, 401);
            check("a wrong key", "Authorization: Bearer sk-nothing", is_open, 401);
            check("an empty key", "Authorization: Bearer ", is_open, 401);
            check("a wrong password", "Authorization: Basic YTpiOmM=", is_open, 401);
            check("no password", "Authorization: Basic !!", is_open, 401);
            check("a revoked key", &format!("Authorization: Bearer {revoked}"), false, 401);
            for (scope, secret) in &keys {
                let is_let_in = is_open || *scope == wanted || *scope == "admin";
                check(scope, &format!("Authorization: Bearer {secret}"), is_let_in, 403);
                check(scope, &format!("X-Api-Key: {secret}"), is_let_in, 403);
                let pair = STANDARD.encode(format!("anybody:{secret}"));
                check(scope, &format!("Authorization: Basic {pair}"), is_let_in, 403);
                n_checked += 3;
            }
        }
    }
    assert!(n_checked > 100, "{n_checked}");
}

/// T35: wrong keys are slowed down, a right one never.
#[test]
fn guessing_is_slowed_down_and_the_owner_is_not() {
    let house = strict();
    let right = key(&house, "read", Limits::default());
    let status = |secret: &str| {
        wire::get(house.address, "/v1/models", &[&format!("Authorization: Bearer {secret}")]).unwrap().status
    };
    let (beginning, last) = right.split_at(right.len() - 1);
    let wrong = format!("{beginning}{}", if last == "0" { "1" } else { "0" });
    let statuses: Vec<u16> = (0..40).map(|_| status(&wrong)).collect();
    assert!(statuses[0] == 401 && statuses.contains(&429), "{statuses:?}");
    assert_eq!(status(&right), 200);
}

#[test]
fn limits_of_a_key_hold_and_are_told() {
    let house = strict();
    let limits = |requests_per_minute, tokens_per_day| Limits {
        requests_per_minute,
        tokens_per_day,
        ..Limits::default()
    };
    let ask = |secret: &str| {
        let body = r#"{"model": "starter", "prompt": "Once", "max_tokens": 5}"#;
        wire::post(house.address, "/v1/completions", &[&format!("Authorization: Bearer {secret}")], body)
            .unwrap()
    };
    let few = key(&house, "use", limits(Some(2), None));
    let first = ask(&few);
    assert_eq!((first.status, first.header("x-ratelimit-limit-requests")), (200, Some("2")));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    ask(&few);
    let third = ask(&few);
    assert!(third.status == 429 && third.header("retry-after").is_some(), "{}", third.status);
    let small = key(&house, "use", limits(None, Some(8)));
    let statuses: Vec<u16> = (0..4).map(|_| ask(&small).status).collect();
    assert_eq!((statuses[0], statuses[3]), (200, 429), "{statuses:?}");
    let told = ask(&small).text().unwrap();
    assert!(told.contains("over_quota") && told.contains("tokens"), "{told}");
}

/// T33: nobody from outside without keys and encryption.
#[test]
fn another_address_wants_keys_and_encryption() {
    let home = tempfile::TempDir::new().unwrap();
    let app = Arc::new(App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap());
    let addresses = vec![SocketAddr::from(([0, 0, 0, 0], 0))];
    let settings = server::Settings { addresses, ..server::Settings::default() };
    let refused = |settings: &server::Settings| {
        Server::bind(app.clone(), settings.clone()).err().map(|f| (f.code, f.hint))
    };
    let (code, hint) = refused(&settings).unwrap();
    assert!(code == "not_guarded" && hint.contains("hearth key create") && hint.contains("--lan"), "{hint}");
    let create = Create { name: "a".into(), scopes: "use".into(), lasts_ms: None, limits: Limits::default() };
    app.run(Job::Keys(KeyJob::Create(create))).last();
    let (code, hint) = refused(&settings).unwrap();
    assert!(code == "not_guarded" && hint.contains("--lan") && !hint.contains("key"), "{hint}");
    let house = app.house(&[], &[]).unwrap();
    let tls = Tls { chain_pem: house.chain_pem, key_pem: house.key_pem.0 };
    assert_eq!(refused(&server::Settings { tls: Some(tls), ..settings }), None);
    assert_eq!(server::Settings::default().addresses, [SocketAddr::from(([127, 0, 0, 1], 4242))]);
}

/// An encrypted connection of who trusts these authorities.
fn encrypted(
    address: SocketAddr,
    authorities: &[&str],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    for pem in authorities {
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(address).unwrap());
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

fn ask_trusting(address: SocketAddr, authorities: &[&str]) -> std::io::Result<String> {
    ask_over(&mut encrypted(address, authorities)?, address)
}

fn ask_over(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    address: SocketAddr,
) -> std::io::Result<String> {
    stream.write_all(wire::request("GET", "/health", (address, &[]), "").as_bytes())?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() { read.map(|_| String::new()) } else { Ok(String::from_utf8(answer).unwrap()) }
}

/// A certificate that was renewed is shown to who comes from then on; who is there already notices nothing.
#[test]
fn a_renewed_certificate_is_shown_to_new_connections() {
    let of_another_house = || {
        let home = tempfile::TempDir::new().unwrap();
        let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
        app.house(&[], &[]).unwrap()
    };
    let (old, new) = (of_another_house(), of_another_house());
    let settings = |house: &app::house::House| server::Settings {
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        tls: Some(Tls { chain_pem: house.chain_pem.clone(), key_pem: house.key_pem.0.clone() }),
        ..server::Settings::default()
    };
    let house = House::with(settings(&old));
    let mut before = encrypted(house.address, &[&old.authority_pem]).unwrap();
    let renew = |settings: server::Settings| {
        let limits = Settings::default().limits();
        house.reload.apply(Renewed { settings, limits, fixed: Vec::new() })
    };
    let broken = Tls { chain_pem: new.chain_pem.clone(), key_pem: old.key_pem.0.clone() };
    let broken = server::Settings { tls: Some(broken), ..settings(&new) };
    assert_eq!(renew(broken).unwrap_err().code, "bad_certificate");
    assert!(ask_trusting(house.address, &[&old.authority_pem]).is_ok());
    assert_eq!(renew(settings(&new)).unwrap(), [""; 0]);
    assert!(ask_trusting(house.address, &[&new.authority_pem]).unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask_trusting(house.address, &[&old.authority_pem]).is_err());
    assert!(ask_over(&mut before, house.address).unwrap().starts_with("HTTP/1.1 200"));
}

/// T41: the certificate of the house is enough to trust the server, and nothing else is.
#[test]
fn a_device_that_trusts_the_house_speaks_encrypted() {
    let home = tempfile::TempDir::new().unwrap();
    let app = Arc::new(App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap());
    let certificates = app.house(&[], &[]).unwrap();
    let settings = server::Settings {
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        tls: Some(Tls { chain_pem: certificates.chain_pem.clone(), key_pem: certificates.key_pem.0.clone() }),
        authority_pem: Some(certificates.authority_pem.clone()),
        ..server::Settings::default()
    };
    let server = Server::bind(app, settings).unwrap();
    let (address, stop) = (server.addresses()[0], server.stop());
    let running = std::thread::spawn(move || server.run());
    let plain = wire::get(address, "/house.crt", &[]).unwrap();
    let fetched = plain.text().unwrap();
    assert_eq!(fetched, certificates.authority_pem);
    assert!(ask_trusting(address, &[&fetched]).unwrap().starts_with("HTTP/1.1 200"));
    assert!(ask_trusting(address, &[]).is_err());
    let elsewhere = wire::get(address, "/v1/models", &[]).unwrap();
    assert_eq!(elsewhere.status, 426);
    assert!(elsewhere.text().unwrap().contains("https://"));
    stop.stop();
    running.join().unwrap().unwrap();
}

/// What is computed for one key serves no other.
#[test]
fn prefixes_are_not_shared_between_keys() {
    let house = strict();
    let keys = [key(&house, "use", Limits::default()), key(&house, "use", Limits::default())];
    let prompt: Vec<u32> = (300..420).collect();
    let body = json!({ "model": "starter", "prompt": prompt, "max_tokens": 1 }).to_string();
    let found = |secret: &str| {
        let line = format!("Authorization: Bearer {secret}");
        let answer = wire::post(house.address, "/v1/completions", &[&line], &body).unwrap();
        let answer: Json = serde_json::from_str(&answer.text().unwrap()).unwrap();
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(found(&keys[0]), 0);
    assert!(found(&keys[0]) > 90);
    assert_eq!(found(&keys[1]), 0, "another key finds nothing of it");
}

#[test]
fn a_browser_gets_the_page_and_programs_one_line() {
    let house = House::new();
    let page = wire::get(house.address, "/", &["Accept: text/html,*/*"]).unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let line = house.get("/");
    assert_eq!(line.text().unwrap(), "Ollama is running");
    assert_eq!(house.get("/page/main.js").header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(house.get("/page/..%2fmain.js").status, 404);
    let told: Json = serde_json::from_str(&house.get("/page/house.json").text().unwrap()).unwrap();
    assert_eq!((&told["models"][0]["name"], &told["tls"]), (&json!("starter"), &json!(false)));
}
