//! Servers that stall, cut, lie, change their minds and send elsewhere: the right bytes, or a clear error and
//! nothing stored.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use testkit::clock::YEAR_MS;
use testkit::registry::Ending;

use super::*;

/// A file whose first requests for parts go wrong, as `harm` has it; each number of harmed requests is tried.
fn recovers(what: &str, harm: impl Fn(Reply, &Request, &[u8]) -> Reply + Copy + Send + Sync + 'static) {
    for n_harmed in [1, 4] {
        let count = AtomicUsize::new(0);
        let (registry, bytes) = one_model(move |request, bytes| {
            let reply = Reply::file(request, bytes, Some("\"v1\""));
            match count.fetch_add(1, Ordering::Relaxed) < n_harmed {
                true => harm(reply, request, bytes),
                false => reply,
            }
        });
        let home = Home::new();
        let pulled = home.pull("tiny", &hurried(&registry)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(home.files(&pulled.model), [bytes], "{what}");
    }
}

/// A file whose every request for a part goes wrong: what the error is.
fn fails(harm: impl Fn(Reply, &Request, &[u8]) -> Reply + Send + Sync + 'static) -> Problem {
    let (registry, _) =
        one_model(move |request, bytes| harm(Reply::file(request, bytes, Some("\"v1\"")), request, bytes));
    let home = Home::new();
    let settings = Settings { max_attempts: 3, ..hurried(&registry) };
    let error = home.pull("tiny", &settings).unwrap_err();
    home.assert_nothing_stored(&error.to_string());
    problem(error)
}

#[test]
fn a_cut_a_stall_or_a_restart_in_the_middle_is_survived() {
    recovers("cut", |reply, _, _| reply.ending(Ending::Cut(300)));
    recovers("cut at once", |reply, _, _| reply.ending(Ending::Cut(0)));
    recovers("stall", |reply, _, _| reply.ending(Ending::Stall(300)));
    recovers("silence", |reply, _, _| reply.ending(Ending::Silence));
    recovers("restart", |reply, _, _| reply.ending(Ending::NoAnswer));
}

#[test]
fn a_busy_server_is_left_alone_and_asked_again() {
    recovers("429", |_, _, _| Reply::status(429));
    recovers("429 for a second", |_, _, _| Reply::status(429).with("retry-after", "1"));
    recovers("503", |_, _, _| Reply::status(503).with("retry-after", "0"));
    recovers("500", |_, _, _| Reply::status(500));
    recovers("502", |_, _, _| Reply::status(502).with("retry-after", "nonsense"));
}

#[test]
fn a_lie_is_noticed_and_asked_about_again() {
    recovers("another part", |reply, _, bytes| {
        let last = bytes.len() - 1;
        reply.with("content-range", &format!("bytes {}-{last}/{}", last - 9, last + 1))
    });
    recovers("no range named", |mut reply, _, _| {
        reply.headers.clear();
        reply
    });
    recovers("a shorter length", |reply, _, _| Reply { length: Some(10), ..reply });
    recovers("a longer length", |reply, _, _| Reply { length: Some(5_000), ..reply });
    recovers("compressed", |reply, _, _| reply.with("content-encoding", "gzip"));
    recovers("the whole file instead", |_, _, bytes| Reply::bytes(bytes));
}

#[test]
fn who_never_gets_better_ends_in_a_clear_error() {
    let check = |problem: Problem, expected: &str| {
        assert!(problem.to_string().contains(expected), "{problem}");
    };
    check(fails(|reply, _, _| reply.ending(Ending::Cut(0))), "too early");
    check(
        fails(|reply, _, _| reply.ending(Ending::Silence)),
        "nothing came for 150 ms (waiting for an answer)",
    );
    check(fails(|reply, _, _| reply.ending(Ending::Stall(0))), "nothing came for 150 ms (waiting for more)");
    check(fails(|_, _, _| Reply::status(500)), "status 500");
    check(fails(|_, _, _| Reply::status(404)), "no such file");
    check(fails(|_, _, _| Reply::status(403)), "status 403 (no token was given)");
    check(fails(|reply, _, _| reply.with("content-range", "bytes 1-2/3")), "instead of 10500");
    check(fails(|reply, _, _| reply.with("content-range", "bytes 9-2/x")), "which part");
    check(fails(|_, _, bytes| Reply::bytes(&bytes[1..])), "10499 bytes instead of 10500");
    let busy = fails(|_, _, _| Reply::status(429).with("retry-after", "3600"));
    assert_eq!(busy, Problem::Busy { status: 429, retry_after_s: Some(3600) });
    assert!(busy.hint().contains("3600 s"));
}

#[test]
fn a_date_to_come_back_at_is_no_trap_for_a_wrong_clock() {
    for year in [0, 50, 300] {
        let count = AtomicUsize::new(0);
        let (registry, bytes) =
            one_model(move |request, bytes| match count.fetch_add(1, Ordering::Relaxed) {
                0 => Reply::status(503).with("retry-after", "Tue, 14 Nov 2023 22:13:20 GMT"),
                _ => Reply::file(request, bytes, None),
            });
        let home = Home::new();
        home.clock.set(year * YEAR_MS);
        let patient = Settings { longest_wait: Duration::from_millis(200), ..settings(&registry) };
        // The clock of this machine is before the date by decades, or after it.
        match home.pull("tiny", &patient) {
            Ok(pulled) => assert_eq!(home.files(&pulled.model), [bytes]),
            Err(error) => assert_eq!(problem(error), Problem::Busy { status: 503, retry_after_s: Some(120) }),
        }
    }
}

#[test]
fn a_server_without_ranges_is_read_in_one_go() {
    let (registry, bytes) = one_model(|_, bytes| Reply::bytes(bytes));
    let home = Home::new();
    let pulled = home.pull("tiny", &settings(&registry)).unwrap();
    assert_eq!(home.files(&pulled.model), std::slice::from_ref(&bytes));
    // Cut again and again: each time one piece further.
    let count = AtomicUsize::new(0);
    let (registry, _) = one_model(move |_, bytes| {
        let n_bytes = 1100 * count.fetch_add(1, Ordering::Relaxed);
        Reply::bytes(bytes).ending(if n_bytes < 11_000 { Ending::Cut(n_bytes) } else { Ending::Whole })
    });
    let home = Home::new();
    let pulled = home.pull("tiny", &hurried(&registry)).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
}

#[test]
fn corrupt_bytes_never_get_a_name() {
    // Once: it is fetched again and right. Always: an error, and nothing is kept.
    let corrupt = |mut reply: Reply| {
        reply.body.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        reply
    };
    recovers("corrupt", move |reply, _, _| corrupt(reply));
    let problem = fails(move |reply, _, _| corrupt(reply));
    assert!(matches!(problem, Problem::WrongHash { .. }), "{problem:?}");
    let (registry, _) = one_model(move |request, bytes| corrupt(Reply::file(request, bytes, None)));
    let home = Home::new();
    home.pull("tiny", &settings(&registry)).unwrap_err();
    assert_eq!(home.names_in("partial"), [""; 0], "useless bytes are not kept");
}

#[test]
fn a_file_that_changes_meanwhile_is_begun_anew_and_never_mixed() {
    let is_new = Arc::new(AtomicBool::new(false));
    let other = weights(10_501);
    let newer = other.clone();
    let old = weights(10_500);
    let (switch, served) = (Arc::clone(&is_new), old.clone());
    // The fifth request sees the new file.
    let registry = Registry::start(move |request| {
        if request.index == 5 {
            switch.store(true, Ordering::Relaxed);
        }
        match switch.load(Ordering::Relaxed) {
            true => Reply::file(request, &newer, Some("\"v2\"")),
            false => Reply::file(request, &served, Some("\"v1\"")),
        }
    });
    let home = Home::new();
    let pulled = home.pull(&file_url(&registry), &settings(&registry)).unwrap();
    assert_eq!(home.files(&pulled.model), [other]);
    // With every answer another validator: an error.
    let count = AtomicUsize::new(0);
    let (registry, _) = one_file(move |request, bytes| {
        let version = count.fetch_add(1, Ordering::Relaxed);
        Reply::file(request, bytes, Some(&format!("\"v{version}\"")))
    });
    let home = Home::new();
    let error = home.pull(&file_url(&registry), &settings(&registry)).unwrap_err();
    assert_eq!(problem(error), Problem::Changed);
    home.assert_nothing_stored("changed");
    // A validator that vanishes proves nothing either.
    let (registry, _) = one_file(|request, bytes| {
        Reply::file(request, bytes, (request.range() == Some((0, 0))).then_some("\"v1\""))
    });
    let error = Home::new().pull(&file_url(&registry), &settings(&registry)).unwrap_err();
    assert_eq!(problem(error), Problem::Changed);
}

#[test]
fn redirects_end_and_do_not_lead_into_the_house() {
    let to = |location: String| fails(move |_, _, _| Reply::redirect(&location));
    let forbidden = to("https://10.1.2.3/x".into());
    assert_eq!(forbidden, Problem::ForbiddenAddress { host: "10.1.2.3".into() });
    for inside in [
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://0x7f.1/x",
        "https://localhost/",
    ] {
        let problem = to(inside.into());
        let is_refused = matches!(problem, Problem::ForbiddenAddress { .. } | Problem::NotThere { .. });
        assert!(is_refused, "{inside}: {problem:?}");
    }
    assert!(matches!(to("http://host.example/x".into()), Problem::BadAddress { .. }));
    assert!(matches!(to("file:///etc/passwd".into()), Problem::BadAddress { .. }));
    assert_eq!(
        fails(|_, _, _| Reply::status(302)).to_string(),
        "the server's answer makes no sense: a redirect must say where to"
    );
    let (registry, _) = one_file(|request, _| Reply::redirect(&request.target));
    let error = Home::new().pull(&file_url(&registry), &settings(&registry)).unwrap_err();
    assert_eq!(problem(error), Problem::TooManyRedirects { limit: 5 });
    assert_eq!(registry.served().len(), 6);
}

#[test]
fn a_signed_address_that_expires_is_asked_for_again() {
    let bytes = weights(10_500);
    let count = AtomicUsize::new(0);
    let served = bytes.clone();
    let storage = Registry::start(move |request| match count.fetch_add(1, Ordering::Relaxed) % 4 {
        3 => Reply::status(403),
        _ => Reply::file(request, &served, None),
    });
    let to = storage.url();
    let (registry, _) =
        one_model(move |request, _| Reply::redirect(&format!("{to}/signed/{}", request.index)));
    let home = Home::new();
    let one = Settings { n_connections: 1, ..settings(&registry) };
    let pulled = home.pull("tiny", &one).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
}

#[test]
fn hostile_answers_are_bounded_and_lead_nowhere() {
    let ask = |remote: &str, answer: Reply| {
        let registry = Registry::start(move |_| answer.clone());
        let home = Home::new();
        let settings = Settings { max_attempts: 1, ..settings(&registry) };
        let error = home.pull(remote, &settings).unwrap_err();
        home.assert_nothing_stored(remote);
        problem(error)
    };
    let long = ask("hf.co/a/b", Reply { length: Some(1 << 40), ..Reply::bytes("{") });
    assert_eq!(long, Problem::TooLong { what: "the list of the repository's files", limit: 16 << 20 });
    let header = ask("hf.co/a/b", Reply::bytes("{}").with("x-long", &"x".repeat(100_000)));
    assert!(matches!(header, Problem::TooLong { .. } | Problem::BadAnswer { .. }), "{header:?}");
    for text in ["", "{", "[]", "{}", "<html>", "{\"sha\": \"../..\"}", "{\"sha\": 7}", &"[".repeat(100_000)]
    {
        let problem = ask("hf.co/a/b", Reply::bytes(text));
        assert!(matches!(problem, Problem::BadAnswer { .. }), "{text:.20}: {problem:?}");
        let problem = ask("a/b", Reply::bytes(text));
        assert!(matches!(problem, Problem::BadAnswer { .. }), "{text:.20}: {problem:?}");
    }
    for name in ["../x.gguf", "/x.gguf", "a/../../x.gguf", "a\\..\\x.gguf", "C:x.gguf", "a\n.gguf"] {
        let list = json!({"sha": "0123456789abcdef", "siblings": [{"rfilename": name, "size": 1}]});
        let problem = ask("hf.co/a/b", Reply::bytes(list.to_string()));
        assert!(matches!(problem, Problem::UnsafeName { .. }), "{name}: {problem:?}");
    }
    for digest in ["sha256:../../../etc/passwd", "sha256-00", "md5:1", "sha256:AB"] {
        let layer = json!({"mediaType": "application/vnd.ollama.image.model", "digest": digest, "size": 1});
        let problem = ask("a/b", Reply::bytes(json!({"layers": [layer]}).to_string()));
        assert!(matches!(problem, Problem::BadAnswer { .. }), "{digest}: {problem:?}");
    }
    let huge = json!({"sha": "0123456789abcdef", "siblings": [{"rfilename": "a.gguf", "size": u64::MAX}]});
    assert!(matches!(ask("hf.co/a/b", Reply::bytes(huge.to_string())), Problem::TooLong { .. }));
    assert_eq!(ask("a/b", Reply::bytes("{\"layers\": []}")), Problem::NoWeights);
}

/// Who is not there is not waited for: with these settings one wait alone would be an hour.
#[test]
fn nobody_there_is_told_at_once() {
    // A label of more than 63 letters is no name: nobody is asked for it.
    let no_name = format!("https://{}.invalid", "a".repeat(64));
    for address in ["http://127.0.0.1:1", &no_name] {
        let hour = Duration::from_secs(3600);
        let settings = Settings {
            hugging_face: address.into(),
            first_wait: hour,
            longest_wait: hour,
            ..Settings::default()
        };
        let problem = problem(Home::new().pull("hf.co/a/b", &settings).unwrap_err());
        assert!(matches!(problem, Problem::NotThere { .. }), "{address}: {problem:?}");
        assert!(problem.to_string().starts_with("no connection: "), "{problem}");
    }
}

/// Who was there a moment ago may come back.
#[test]
fn a_server_that_goes_away_in_the_middle_is_waited_for() {
    let bytes = weights(10_500);
    let gone = "http://127.0.0.1:1/gone";
    let count = AtomicUsize::new(0);
    let served = bytes.clone();
    let (registry, _) = one_model(move |request, _| match count.fetch_add(1, Ordering::Relaxed) % 3 {
        2 => Reply::redirect(gone),
        _ => Reply::file(request, &served, None),
    });
    let home = Home::new();
    let one = Settings { n_connections: 1, ..settings(&registry) };
    let pulled = home.pull("tiny", &one).unwrap();
    assert_eq!(home.files(&pulled.model), [bytes]);
}

#[test]
fn what_says_no_length_is_refused() {
    // A server that closes to end its answer cannot be told from one that broke off.
    let (registry, _) = one_file(|_, _| Reply::status(204));
    let error = Home::new().pull(&file_url(&registry), &settings(&registry)).unwrap_err();
    assert!(matches!(problem(error), Problem::BadAnswer { .. } | Problem::Changed), "no length");
}
