//! Looking at a remote: true answers, lies about ranges, and nothing stored whatever comes.

use std::slice::from_ref;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::pull::{Look, Quantisation, look};
use testkit::registry::Ending;

use super::*;

/// Asks what is at `remote`, then for these ranges of its first file.
fn read(remote: &str, settings: &Settings, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Vec<u8>>, Error> {
    let clock = JumpingClock::new(NOW_MS);
    let mut rng = Rng::new(4);
    let surroundings = Surroundings { clock: &clock, rng: &mut rng };
    let mut look: Look<'_> = look(&Remote::parse(remote)?, settings, surroundings)?;
    ranges.iter().map(|range| look.read(0, range.clone())).collect()
}

#[test]
fn pieces_are_what_was_asked_for_and_no_more_is_sent() {
    let (registry, bytes) = one_file(|request, bytes| Reply::file(request, bytes, Some("\"v\"")));
    let found = read(&file_url(&registry), &settings(&registry), &[0..100, 100..1000, 10_400..20_000, 0..0]);
    let expected = [&bytes[..100], &bytes[100..1000], &bytes[10_400..], &[]];
    assert_eq!(found.unwrap(), expected);
    // One byte tells the length.
    assert_eq!(registry.sent_bytes("/m.gguf"), 1 + 100 + 900 + 100);
}

#[test]
fn a_server_that_sends_no_parts_is_read_from_the_beginning() {
    let (registry, bytes) = one_file(|_, bytes| Reply::bytes(bytes));
    let found = read(&file_url(&registry), &settings(&registry), &[0..10, 500..600]).unwrap();
    assert_eq!(found, [&bytes[..10], &bytes[500..600]]);
}

#[test]
fn lies_and_cuts_end_in_a_clear_error_or_the_right_bytes() {
    let n_asked = AtomicUsize::new(0);
    let (registry, bytes) = one_file(move |request, bytes| {
        let reply = Reply::file(request, bytes, None);
        match n_asked.fetch_add(1, Ordering::Relaxed) {
            1 => reply.ending(Ending::Cut(7)),
            2 => Reply::status(503),
            _ => reply,
        }
    });
    let first = from_ref(&(0..1000));
    assert_eq!(read(&file_url(&registry), &settings(&registry), first).unwrap(), [&bytes[..1000]]);

    let check = |lie: fn(&Request, &[u8], Reply) -> Reply, is_it: fn(&Problem) -> bool| {
        let n_asked = AtomicUsize::new(0);
        let (registry, _) = one_file(move |request, bytes| {
            let reply = Reply::file(request, bytes, Some("\"v\""));
            // The first question is for the length.
            if n_asked.fetch_add(1, Ordering::Relaxed) == 0 { reply } else { lie(request, bytes, reply) }
        });
        let settings = Settings { max_attempts: 2, ..hurried(&registry) };
        let problem = problem(read(&file_url(&registry), &settings, first).unwrap_err());
        assert!(is_it(&problem), "{problem:?}");
    };
    check(
        |_, _, reply| reply.with("content-range", "bytes 1-1000/10500"),
        |problem| matches!(problem, Problem::BadAnswer { .. }),
    );
    check(
        |_, _, reply| reply.with("content-range", "bytes 0-2000/10500"),
        |problem| matches!(problem, Problem::BadAnswer { .. }),
    );
    check(
        |_, _, reply| reply.with("content-range", "bytes 0-999/9"),
        |problem| matches!(problem, Problem::BadAnswer { .. }),
    );
    check(
        |_, _, reply| reply.with("content-range", "bytes 0-999/10501"),
        |problem| matches!(problem, Problem::WrongSize { expected: 10_500, found: 10_501 }),
    );
    check(|_, _, reply| reply.with("etag", "\"w\""), |problem| matches!(problem, Problem::Changed));
    check(
        |_, _, reply| reply.ending(Ending::Stall(10)),
        |problem| matches!(problem, Problem::TimedOut { .. }),
    );
    check(
        |_, _, reply| reply.ending(Ending::Cut(10)),
        |problem| matches!(problem, Problem::Truncated { .. } | Problem::Unreachable { .. }),
    );
    check(
        |_, _, _| Reply::redirect("http://169.254.169.254/latest"),
        |problem| matches!(problem, Problem::BadAddress { .. } | Problem::ForbiddenAddress { .. }),
    );
    check(|_, _, _| Reply::status(403), |problem| matches!(problem, Problem::Refused { status: 403, .. }));
}

#[test]
fn a_repository_tells_its_quantisations_with_their_sizes() {
    let hub = sources::hub(sources::gguf_files(), serde_json::json!(false), None);
    let (clock, settings) = (JumpingClock::new(NOW_MS), settings(&hub));
    let mut rng = Rng::new(4);
    let surroundings = Surroundings { clock: &clock, rng: &mut rng };
    let look = look(&Remote::parse("hf.co/anna/Poems").unwrap(), &settings, surroundings).unwrap();
    let offered = |name: &str, size_bytes| Quantisation { name: name.into(), size_bytes: Some(size_bytes) };
    assert_eq!(look.quantisations(), [offered("Q4_K_M", 3_100), offered("Q8_0", 3_700)]);
    let files: Vec<_> = look.files().map(|file| (file.name, file.size_bytes)).collect();
    assert_eq!(files[0], ("poems-Q4_K_M.gguf".into(), Some(3_100)));
    assert_eq!(hub.sent_bytes("/resolve/"), 0, "no file was touched");
}
