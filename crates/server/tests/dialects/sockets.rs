//! What clients do that no dialect knows of: leave early, send half, break the rules.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use app::event::loaded::Memory;
use app::{Event, Job};
use serde_json::json;

use crate::house::House;

fn memory(house: &House) -> Memory {
    match house.app.run(Job::Loaded).last() {
        Some(Event::Loaded(memory)) => memory,
        other => panic!("{other:?}"),
    }
}

/// T24: who leaves frees its slot.
#[test]
fn a_client_that_leaves_ends_its_answer() {
    let house = House::new();
    for stream in [true, false] {
        let body = json!({
            "model": "starter", "stream": stream, "max_tokens": 900, "temperature": 1.5, "n": 2,
            "logit_bias": { "0": -100, "1": -100, "2": -100 },
            "prompt": "Once",
        });
        let request =
            testkit::wire::request("POST", "/v1/completions", (house.address, &[]), &body.to_string());
        let mut client = TcpStream::connect(house.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let begun = Instant::now();
        let n_answers = || memory(&house).models.iter().map(|model| model.n_answers).sum::<usize>();
        while n_answers() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never began");
        }
        drop(client);
        let left = Instant::now();
        while n_answers() > 0 {
            assert!(left.elapsed() < Duration::from_secs(60), "the slot is not free (stream: {stream})");
        }
        let counted = || house.get("/metrics").text().unwrap();
        // The request that asks is one itself.
        while !counted().contains("hearth_requests_open 1\n") {
            assert!(left.elapsed() < Duration::from_secs(60), "it is still counted (stream: {stream})");
        }
    }
}

#[test]
fn bodies_that_are_no_json_name_the_field() {
    let house = House::new();
    let told = |body: &str| {
        let answer = testkit::wire::post(house.address, "/v1/chat/completions", &[], body).unwrap();
        (answer.status, answer.text().unwrap())
    };
    let (status, text) = told(r#"{"model": "starter", "temperature": NaN}"#);
    assert!(status == 400 && text.contains(r#""param":"temperature""#), "{status} {text}");
    let deep = format!(r#"{{"messages": {}"#, "[".repeat(1000));
    let (status, text) = told(&deep);
    assert!(status == 400 && text.contains(r#""param":"messages""#), "{status} {text}");
    let (status, _) = told("[1, 2]");
    assert_eq!(status, 400);
    let (status, text) = told(r#"{"model": "starter", "temperature": 1e999}"#);
    assert!(status == 400 && text.contains("temperature"), "{status} {text}");
}

#[test]
fn rubbish_and_half_requests_harm_nobody() {
    let house = House::new();
    for rubbish in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\n",
    ] {
        let mut client = TcpStream::connect(house.address).unwrap();
        client.write_all(rubbish).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
    }
    assert_eq!(house.get("/health").status, 200);
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let house = House::with(server::Settings { max_body_bytes: 1000, ..server::Settings::default() });
    let (status, told) =
        house.refused("/v1/completions", &json!({ "model": "starter", "prompt": "a".repeat(2000) }));
    assert_eq!((status, told["error"]["code"].as_str().unwrap()), (413, "body_too_large"));
}

#[test]
fn counters_count() {
    let house = House::new();
    house.ask("/v1/completions", &json!({ "model": "starter", "prompt": "Once", "max_tokens": 3 }));
    let text = house.get("/metrics").text().unwrap();
    let value = |name: &str| -> f64 {
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("hearth_answer_tokens_total"), 3.0);
    assert_eq!(value("hearth_answers_total"), 1.0);
    assert_eq!(value("hearth_first_token_seconds_count"), 1.0);
    assert_eq!(value("hearth_models_loaded"), 1.0);
    assert!(value("hearth_memory_held_bytes") > 1e6);
}

#[test]
fn the_server_ends_while_somebody_waits() {
    let mut house = House::new();
    let body = json!({ "model": "starter", "prompt": "Once", "max_tokens": 5, "stream": true });
    let request = testkit::wire::request("POST", "/v1/completions", (house.address, &[]), &body.to_string());
    let mut client = TcpStream::connect(house.address).unwrap();
    client.write_all(request.as_bytes()).unwrap();
    let idle = TcpStream::connect(house.address).unwrap();
    let begun = Instant::now();
    house.stop();
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    drop(idle);
}

/// T23 in short: who reads a byte at a time, or never ends a request, takes no room from the others.
#[test]
fn slow_readers_and_half_requests_hold_nobody_up() {
    const N: usize = 60;
    let house = House::new();
    let body = json!({ "model": "starter", "prompt": "Once", "max_tokens": 3 });
    let time = || {
        let mut times: Vec<Duration> = (0..15)
            .map(|_| {
                let begun = Instant::now();
                house.ask("/v1/completions", &body);
                begun.elapsed()
            })
            .collect();
        times.sort();
        times[times.len() / 2]
    };
    time();
    let alone = time();
    let long = json!({ "model": "starter", "prompt": "Once", "max_tokens": 400, "stream": true, "temperature": 1.5 });
    let request = testkit::wire::request("POST", "/v1/completions", (house.address, &[]), &long.to_string());
    let open = |text: &str| {
        let mut client = TcpStream::connect(house.address).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client
    };
    let half: Vec<TcpStream> = (0..N).map(|_| open("POST /v1/completions HTTP/1.1\r\nHost: ")).collect();
    let mut slow: Vec<TcpStream> = (0..4).map(|_| open(&request)).collect();
    // Each has begun to get an answer, and reads no further.
    slow.iter_mut().for_each(|client| assert_eq!(client.read(&mut [0]).unwrap(), 1));
    let begun = Instant::now();
    while memory(&house).models.iter().any(|model| model.n_answers > 0) {
        assert!(begun.elapsed() < Duration::from_secs(60), "an answer waits for its reader");
    }
    // What else the machine does comes and goes; what held somebody up would stay.
    let beside = (0..5).map(|_| time()).find(|&beside| beside < alone * 3 + Duration::from_millis(50));
    assert!(beside.is_some(), "at {alone:?} alone");
    drop((half, slow));
}
