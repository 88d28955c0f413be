//! What is wrong is told at once, with a code, the cause and the next step; and the program goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use app::{Failure, Job};

use crate::checkpoint;
use crate::home::{Home, greedy, import};

/// Runs a job that must fail within 100 ms.
fn fails(home: &Home, job: Job, code: &str, says: &str) -> Failure {
    let timed = || {
        let begun = Instant::now();
        (home.last(job.clone()).expect_err("the job must fail"), begun.elapsed())
    };
    let (failure, mut took) = timed();
    // On a machine that is busy with something else, the job is not what takes long: the quickest counts.
    for _ in 0..20 {
        if took >= Duration::from_millis(100) {
            took = took.min(timed().1);
        }
    }
    assert!(took < Duration::from_millis(100), "{failure} took {took:?}");
    assert_eq!(failure.code, code, "{failure:?}");
    assert!(failure.message.contains(says), "{failure:?} does not say {says:?}");
    assert!(!failure.hint.is_empty(), "{failure:?} has no next step");
    failure
}

#[test]
fn a_missing_model_is_named_with_the_nearest() {
    let home = Home::with_tiny();
    let failure = fails(&home, Job::Generate(greedy("tiyn", "", 1)), "model_not_found", "tiyn");
    assert!(failure.hint.contains("tiny"), "{failure:?}");
    fails(&home, Job::Remove { model: "nothing".into() }, "model_not_found", "nothing");
    fails(&home, Job::Show { model: "../../etc/passwd".into() }, "bad_name", "..");
    fails(&home, Job::Remove { model: "starter".into() }, "built_in", "starter");
}

#[test]
fn a_vocabulary_that_does_not_match_is_refused() {
    let home = Home::new();
    let path = checkpoint::write(home.path());
    for n in [checkpoint::VOCABULARY - 1, checkpoint::VOCABULARY - 20] {
        let vocabulary = checkpoint::write_vocabulary(home.path(), n);
        fails(&home, import(&path, Some(&vocabulary), "tiny"), "vocabulary_mismatch", "vocabulary");
    }
    fails(&home, import(&path, None, "tiny"), "bad_setting", "vocabulary");
}

#[test]
fn files_that_are_no_models_are_refused() {
    let home = Home::new();
    let cases: &[(&str, &[u8], &str)] = &[
        ("empty.gguf", b"", "wrong_kind"),
        ("page.gguf", b"<!DOCTYPE html><html>not here</html>", "wrong_kind"),
        ("four.gguf", b"GGUF", "bad_file"),
        ("cut.gguf", b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f\x01\0\0\0\0\0\0\0", "bad_file"),
        ("archive.zip", b"PK\x03\x04 and more", "bad_file"),
    ];
    for (name, bytes, code) in cases {
        let path = home.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        fails(&home, import(&path, None, "bad"), code, name);
        let direct = greedy(path.to_str().unwrap(), "a", 1);
        assert!(home.last(Job::Generate(direct)).is_err());
    }
    fails(&home, import(Path::new("/nowhere/at/all.gguf"), None, "bad"), "cannot_read", "all.gguf");
    fails(&home, import(home.path(), None, "bad"), "bad_file", "config.json");
}

#[test]
fn a_truncated_model_is_refused_wherever_it_is_cut() {
    let home = Home::new();
    let asset = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/starter.gguf");
    let whole = std::fs::read(asset).unwrap();
    for part in 1..16 {
        let path = home.path().join("cut.gguf");
        std::fs::write(&path, &whole[..whole.len() * part / 16]).unwrap();
        fails(&home, import(&path, None, "cut"), "bad_file", "cut.gguf");
    }
}

#[test]
fn settings_without_meaning_and_prompts_without_room_are_refused() {
    let home = Home::with_tiny();
    let mut hot = greedy("tiny", "a", 1);
    hot.sampling.temperature = Some(f32::NAN);
    fails(&home, Job::Generate(hot), "bad_setting", "temperature");
    let mut narrow = greedy("tiny", "a", 1);
    narrow.sampling.top_p = Some(0.0);
    fails(&home, Job::Generate(narrow), "bad_setting", "top_p");
    let long = greedy("tiny", &"abc".repeat(100), 1);
    fails(&home, Job::Generate(long), "prompt_too_long", "too many");
}

#[test]
fn weights_that_are_no_numbers_end_the_answer_and_not_the_program() {
    let home = Home::new();
    let path = checkpoint::write(home.path());
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 64 * 4 * 4;
    for number in bytes[28..end].chunks_exact_mut(4) {
        number.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(&path, bytes).unwrap();
    let vocabulary = checkpoint::write_vocabulary(home.path(), checkpoint::VOCABULARY);
    home.last(import(&path, Some(&vocabulary), "broken")).unwrap();
    fails(&home, Job::Generate(greedy("broken", "abc", 5)), "damaged_weights", "not finite");
    assert!(!home.text(greedy("starter", "Hello", 3)).is_empty(), "the program goes on");
}

#[cfg(unix)]
#[test]
fn a_home_that_cannot_be_written_says_so() {
    let home = Home::new();
    let path = checkpoint::write(home.path());
    let vocabulary = checkpoint::write_vocabulary(home.path(), checkpoint::VOCABULARY);
    // A file where the home should be: nobody, not even the superuser, can write below it.
    std::fs::write(home.path().join("home"), b"a file").unwrap();
    let failure = home.last(import(&path, Some(&vocabulary), "tiny")).expect_err("it cannot be written");
    assert!(!failure.hint.is_empty() && failure.message.contains("home"), "{failure:?}");
}
