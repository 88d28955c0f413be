//! Running a server: its settings are read anew while it answers, it ends when the last answer has, and a model that is
//! fetched for nobody is not fetched.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use app::job::pull::Pull;
use app::{Event, Job, Limits, Network};
use serde_json::{Value as Json, json};
use server::{Keys, Renewed, Settings};
use testkit::registry::{Ending, Registry, Reply};
use testkit::wire;

use crate::house::House;

/// So long that no test waits for it to its end.
const LONG: Duration = Duration::from_secs(600);

/// A connection on which these bytes were sent.
fn send(house: &House, text: &str) -> TcpStream {
    let mut client = TcpStream::connect(house.address).unwrap();
    client.set_read_timeout(Some(LONG / 4)).unwrap();
    client.write_all(text.as_bytes()).unwrap();
    client
}

fn to_the_end(client: &mut TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

/// A completion of the model in the box that goes on for so many tokens.
fn story(max_tokens: usize, stream: bool) -> Json {
    json!({
        "model": "starter", "prompt": "Once", "max_tokens": max_tokens, "stream": stream, "temperature": 1.5,
        "logit_bias": { "0": -100, "1": -100, "2": -100 },
    })
}

#[test]
fn a_stop_takes_as_long_as_the_answers_that_are_being_given() {
    let mut house = House::with(Settings { grace: LONG, ..Settings::default() });
    let request = |body: &Json, headers: &[&str]| {
        wire::request("POST", "/v1/completions", (house.address, headers), &body.to_string())
    };
    // A connection that is kept for later, one with half a request, one whose request lacks the end of its body.
    let mut idle = send(&house, &format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", house.address));
    assert_eq!(idle.read(&mut [0]).unwrap(), 1);
    let mut half = send(&house, "POST /v1/completions HTTP/1.1\r\nHost: ");
    let whole = request(&story(3, false), &["Expect: 100-continue"]);
    let (most, rest) = whole.split_at(whole.len() - 5);
    let mut late = send(&house, most);
    // The server says so when it waits for the body: from here on the request is one that is open.
    let mut awaited = *b"HTTP/1.1 100 Continue\r\n\r\n";
    late.read_exact(&mut awaited).unwrap();
    assert!(awaited.starts_with(b"HTTP/1.1 100"), "{}", awaited.escape_ascii());
    let mut answer = send(&house, &request(&story(200, true), &[]));
    answer.read_exact(&mut [0; 400]).unwrap();

    let stopped = Instant::now();
    house.begin_to_stop();
    to_the_end(&mut idle);
    // What the server had not read yet makes a reset of its end.
    assert_eq!(half.read(&mut [0]).unwrap_or(0), 0);
    let refused = house.post("/v1/completions", &story(3, false));
    assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
    assert!(refused.header("retry-after").is_some());
    let told: Json = serde_json::from_str(&refused.text().unwrap()).unwrap();
    assert_eq!(told["error"]["code"], "ending");
    let told = to_the_end(&mut answer);
    assert!(told.contains("data: [DONE]") && told.contains("\"finish_reason\":\"length\""), "{told}");
    // It had not begun: it is refused as well.
    late.write_all(rest.as_bytes()).unwrap();
    let told = to_the_end(&mut late);
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    house.stop();
    assert!(stopped.elapsed() < LONG / 5, "{:?}", stopped.elapsed());
}

#[test]
fn the_grace_ends_what_goes_on() {
    let mut house = House::with(Settings { grace: Duration::ZERO, ..Settings::default() });
    let body = "{\"model\": \"starter\"";
    let head = wire::request("POST", "/v1/completions", (house.address, &[]), &format!("{body}}}"));
    let mut never = send(&house, &head[..head.len() - 1]);
    while !house.get("/metrics").text().unwrap().contains("hearth_requests_open 2\n") {}
    house.stop();
    assert_eq!(never.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn settings_that_are_read_anew_hold_for_what_comes_and_disturb_nobody() {
    let house = House::new();
    let body = json!({ "model": "starter", "prompt": "Once", "max_tokens": 2 });
    house.ask("/v1/completions", &body);
    let limits = |memory_bytes, max_requests| Limits { memory_bytes, max_requests };
    let renew = |settings: Settings, limits: Limits| {
        house.reload.apply(Renewed { settings, limits, fixed: vec!["threads".into()] })
    };
    let same = || Settings {
        addresses: vec![([127, 0, 0, 1], 0).into()],
        origins: vec!["https://mine.example".into()],
        hosts: vec!["house.example".into()],
        max_body_bytes: 4000,
        ..Settings::default()
    };
    let status = |line: &str| wire::get(house.address, "/v1/models", &[line]).unwrap().status;
    let before = [status("Origin: https://mine.example"), status("Host: house.example")];
    assert_eq!(before, [403, 403]);
    let mut answer = send(
        &house,
        &wire::request("POST", "/v1/completions", (house.address, &[]), &story(100, true).to_string()),
    );
    assert_eq!(answer.read(&mut [0]).unwrap(), 1);

    // One mistake, and all stays as it was.
    let wrong = Settings { hosts: vec!["no host".into()], ..same() };
    assert!(renew(wrong, limits(Some(1 << 20), None)).is_err());
    assert_eq!(status("Origin: https://mine.example"), 403);
    house.ask("/v1/completions", &body);

    let waiting = renew(same(), limits(None, None)).unwrap();
    assert!(waiting.len() == 1 && waiting[0].starts_with("threads: cannot change"), "{waiting:?}");
    let after = [status("Origin: https://mine.example"), status("Host: house.example")];
    assert_eq!(after, [200, 200]);
    assert_eq!(house.refused("/v1/completions", &json!({ "prompt": "a".repeat(5000) })).0, 413);
    assert!(to_the_end(&mut answer).contains("data: [DONE]"));

    assert_eq!(
        house
            .refused("/v1/completions", &{
                renew(same(), limits(None, Some(0))).unwrap();
                body.clone()
            })
            .0,
        503
    );
    renew(same(), limits(Some(1 << 20), None)).unwrap();
    assert_eq!(house.refused("/v1/completions", &body).0, 507);
    renew(same(), limits(None, None)).unwrap();
    house.ask("/v1/completions", &body);

    let elsewhere = Settings { addresses: vec![([127, 0, 0, 1], 1).into()], keys: Keys::Always, ..same() };
    let waiting = renew(elsewhere, limits(None, None)).unwrap();
    assert!(waiting.len() == 2 && waiting[1].contains("127.0.0.1:1: cannot change"), "{waiting:?}");
    assert_eq!(status("X-Nothing: 1"), 401);
}

/// A program whose models come from here.
fn fetching_from(registry: &str) -> House {
    let network = Network { registry: Some(registry.into()), ..Network::default() };
    House::of(app::Settings { network, ..app::Settings::default() }, Settings::default())
}

#[test]
fn a_client_that_leaves_ends_its_pull() {
    let bytes = vec![7; 100_000];
    let digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let registry = Registry::start(move |request| match request.target.contains("/manifests/") {
        true => {
            let media_type = "application/vnd.ollama.image.model";
            let layer = json!({ "mediaType": media_type, "digest": digest, "size": 100_000 });
            Reply::bytes(json!({ "schemaVersion": 2, "layers": [layer] }).to_string())
        }
        false => Reply::file(request, &bytes, None).ending(Ending::Stall(1000)),
    });
    let house = fetching_from(&registry.url());
    for stream in [true, false] {
        registry.forget();
        let body = json!({ "model": "tiny", "stream": stream }).to_string();
        let client = send(&house, &wire::request("POST", "/api/pull", (house.address, &[]), &body));
        let begun = Instant::now();
        let is_fetched = || registry.served().iter().any(|served| served.request.target.contains("/blobs/"));
        while !is_fetched() {
            assert!(begun.elapsed() < LONG / 4, "it never began (stream: {stream})");
        }
        drop(client);
        while !house.get("/metrics").text().unwrap().contains("hearth_connections 1\n") {
            assert!(begun.elapsed() < LONG / 4, "its socket is still open (stream: {stream})");
        }
        // Two cannot fetch the same file: another can begin as soon as the first has ended.
        loop {
            let mut pull = house.app.run(Job::Pull(Pull { from: "tiny".into(), name: None }));
            let first = pull.find(|event| match event {
                Event::Fetching(fetching) => fetching.done_bytes > 0,
                event => event.is_last(),
            });
            match first {
                Some(Event::Failed(failure)) => {
                    assert!(failure.message.contains("pulling this file"), "{failure:?}");
                    assert!(begun.elapsed() < LONG / 4, "it goes on (stream: {stream})");
                }
                first => {
                    assert!(matches!(first, Some(Event::Fetching(_))), "{first:?}");
                    pull.cancel();
                    pull.for_each(drop);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_pull_without_a_network_says_so() {
    let house = fetching_from("http://127.0.0.1:1");
    for stream in [true, false] {
        let answer = house.post("/api/pull", &json!({ "model": "tiny", "stream": stream }));
        let (status, text) = (answer.status, answer.text().unwrap());
        assert!(status == if stream { 200 } else { 502 }, "{status} {text}");
        assert!(text.contains("no connection") && text.contains("online"), "{text}");
    }
}
