//! The program as a person meets it: a process with streams, an environment and an exit code.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// `hearth words`, in a home of its own.
fn hearth(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.args(words).env_clear().env("HEARTH_HOME", home).stdin(Stdio::null());
    command
}

fn run(home: &Path, words: &[&str]) -> Output {
    hearth(home, words).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program writes text")
}

#[test]
fn help_needs_no_home_and_a_job_does() {
    let bare =
        |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_hearth")).args(words).env_clear().output().unwrap();
    assert_eq!(bare(&["--version"]).status.code(), Some(0));
    assert_eq!(bare(&["completions", "fish"]).status.code(), Some(0));
    let failed = bare(&["list"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("hint: set HEARTH_HOME"), "{}", text(&failed.stderr));
}

#[test]
fn streams_and_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    let list = run(home.path(), &["list"]);
    assert_eq!((list.status.code(), text(&list.stderr)), (Some(0), ""));
    assert!(text(&list.stdout).starts_with("NAME "), "{}", text(&list.stdout));
    let missing = run(home.path(), &["show", "no-such-model"]);
    assert_eq!((missing.status.code(), text(&missing.stdout)), (Some(1), ""));
    let told = text(&missing.stderr);
    assert!(told.starts_with("error: ") && told.contains("\nhint: "), "{told}");
    let missing = run(home.path(), &["show", "no-such-model", "--json"]);
    let event: serde_json::Value = serde_json::from_slice(&missing.stdout).unwrap();
    assert_eq!((&event["event"], &event["code"]), (&"failed".into(), &"model_not_found".into()));
    assert_eq!(run(home.path(), &["lst"]).status.code(), Some(2));
}

#[test]
fn a_reader_who_leaves_ends_the_program_quietly() {
    let home = tempfile::tempdir().unwrap();
    let mut child =
        hearth(home.path(), &["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

/// The model of the tests, imported into `home`; nothing where the shared data is not here.
fn import_stories(home: &Path, test: &str) -> Option<std::path::PathBuf> {
    let folder = testkit::shared::shared(test)?.join("llm/stories260K");
    let path = |name: &str| folder.join(name).to_str().expect("the path is text").to_owned();
    let (model, tokenizer) = (path("stories260K.bin"), path("tok512.bin"));
    let imported = run(home, &["import", &model, "--tokenizer", &tokenizer, "--name", "stories260k"]);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    Some(folder)
}

const GREEDY: [&str; 8] = ["run", "stories260k", "--raw", "--temperature", "0", "--max-tokens", "200", ""];

#[test]
fn stories260k_tells_the_expected_story() {
    let home = tempfile::tempdir().unwrap();
    let Some(folder) = import_stories(home.path(), "stories260k_tells_the_expected_story") else {
        return;
    };
    let expected = std::fs::read(folder.join("expected_greedy_200.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let told = run(home.path(), &GREEDY);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert_eq!(text(&told.stdout).trim_end(), expected["expected_stdout"].as_str().unwrap().trim_end());
    assert_eq!(text(&told.stderr), "");
    assert_eq!(run(home.path(), &["verify"]).status.code(), Some(0));
}

#[test]
fn an_empty_prompt_does_not_wait_for_stdin() {
    let home = tempfile::tempdir().unwrap();
    if import_stories(home.path(), "an_empty_prompt_does_not_wait_for_stdin").is_none() {
        return;
    }
    // The pipe stays open: a program that read it would never end.
    let words = ["run", "stories260k", "--raw", "--temperature", "0", "--max-tokens", "3", ""];
    let mut child = hearth(home.path(), &words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told, "Once upon a\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_piped_text_is_continued() {
    let home = tempfile::tempdir().unwrap();
    if import_stories(home.path(), "a_piped_text_is_continued").is_none() {
        return;
    }
    let words = ["run", "stories260k", "--raw", "--temperature", "0", "--max-tokens", "2"];
    let mut child = hearth(home.path(), &words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Once upon a\n").unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), " time,\n");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_job_and_keeps_what_was_said() {
    let home = tempfile::tempdir().unwrap();
    if import_stories(home.path(), "ctrl_c_stops_a_job_and_keeps_what_was_said").is_none() {
        return;
    }
    // As long an answer as the model holds, so that the signal comes while it is made.
    let mut words = GREEDY.to_vec();
    words.extend(["--json", "--max-tokens", "511"]);
    let mut child = hearth(home.path(), &words).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("started"));
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let last = lines.last().unwrap().unwrap();
    assert!(last.contains("\"reason\":\"cancelled\""), "{last}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// A prompt of several pages for the model in the box.
fn long_prompt() -> Vec<String> {
    let words = ["run", "starter", "--raw", "--temperature", "0", "--max-tokens", "80", "--json"];
    let prompt = "Once upon a time a cat saw a boat on the lake. ".repeat(9);
    words.into_iter().map(str::to_owned).chain([prompt]).collect()
}

/// The text of an answer, and how many tokens of the prompt were known.
fn told(output: &Output) -> (String, u64) {
    let (mut answer, mut n_found) = (String::new(), None);
    for line in text(&output.stdout).lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("each line is an event");
        match event["event"].as_str() {
            Some("text") => answer += event["text"].as_str().unwrap_or_default(),
            Some("finished") => n_found = event["n_found_tokens"].as_u64(),
            _ => {}
        }
    }
    (answer, n_found.unwrap_or_else(|| panic!("{}", text(&output.stderr))))
}

#[test]
fn a_later_call_goes_on_from_what_an_earlier_one_kept_where_a_person_wants_that() {
    let home = tempfile::tempdir().unwrap();
    let prompt = long_prompt();
    let ask = |more: &[&str]| {
        let words: Vec<&str> = prompt.iter().map(String::as_str).chain(more.iter().copied()).collect();
        told(&run(home.path(), &words))
    };
    let (answer, n_found) = ask(&[]);
    assert_eq!((n_found, home.path().join("models").exists()), (0, false));
    assert_eq!(ask(&["--keep-prefixes=100MB"]), (answer.clone(), 0));
    let (again, n_found) = ask(&["--keep-prefixes"]);
    assert!(again == answer && n_found > 64, "{n_found} tokens are known");
    assert_eq!(ask(&[]), (answer.clone(), 0), "without the flag nothing is looked for");
    // Another instruction set may compute other bits.
    let words: Vec<&str> = prompt.iter().map(String::as_str).chain(["--keep-prefixes"]).collect();
    let other = hearth(home.path(), &words).env("HEARTH_ISA", "scalar").output().unwrap();
    assert_eq!(told(&other).1, 0);
    let freed = run(home.path(), &["gc", "--yes"]);
    assert!(text(&freed.stdout).contains("kept page"), "{}", text(&freed.stdout));
    assert_eq!(ask(&["--keep-prefixes"]), (answer, 0));
    assert_eq!(run(home.path(), &[&words[..], &["--keep-prefixes=much"]].concat()).status.code(), Some(2));
}

#[test]
#[cfg(unix)]
fn a_kill_at_any_moment_changes_no_later_answer() {
    let home = tempfile::tempdir().unwrap();
    let prompt = long_prompt();
    let words: Vec<&str> = prompt.iter().map(String::as_str).chain(["--keep-prefixes"]).collect();
    let (expected, _) = told(&run(tempfile::tempdir().unwrap().path(), &words[..words.len() - 1]));
    let mut rng = base::Rng::new(17);
    for round in 0..8 {
        let mut child =
            hearth(home.path(), &words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let n_lines = rng.below(70);
        let out = BufReader::new(child.stdout.take().unwrap());
        let n_read = out.lines().take(n_lines).count();
        child.kill().unwrap();
        child.wait().unwrap();
        let (answer, n_found) = told(&run(home.path(), &words));
        assert!(answer == expected, "round {round}: killed after {n_read} lines, {n_found} tokens known");
    }
}

/// A server of this home, its address and what it says.
#[cfg(unix)]
fn serve(
    home: &Path,
    config: &str,
) -> (std::process::Child, std::net::SocketAddr, impl Iterator<Item = String>) {
    std::fs::write(home.join("config.toml"), config).unwrap();
    let mut child = hearth(home, &["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let first = said.next().unwrap();
    let address = first.rsplit('/').next().unwrap().parse().unwrap_or_else(|_| panic!("{first}"));
    (child, address, said)
}

#[cfg(unix)]
#[test]
fn a_server_reads_its_file_again_at_sighup_and_ends_at_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let (mut child, address, mut said) = serve(home.path(), "[serve]\nport = 0\n");
    let process = child.id().to_string();
    let tell =
        |signal: &str| assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    let mut read_again = |config: &str| {
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        tell("-HUP");
        said.next().unwrap()
    };
    let status = || {
        let line = ["Origin: https://mine.example"];
        testkit::wire::get(address, "/v1/models", &line).unwrap().status
    };
    assert_eq!(status(), 403);
    let origins = "[serve]\nport = 0\norigins = [\"https://mine.example\"]\n";
    let told = read_again(origins);
    assert!(told.ends_with("the settings were read anew"), "{told}");
    assert_eq!(status(), 200);
    let told = read_again("[serve]\nprt = 0\n");
    let parts = ["stay as they were", "config.toml: line 2", "did you mean `port`?"];
    assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    assert_eq!(status(), 200);
    read_again(&format!("threads = 1\n{origins}").replace("port = 0", "port = 1"));
    for part in ["threads: cannot change", "127.0.0.1:1: cannot change"] {
        let told = said.next().unwrap();
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(status(), 200);
    tell("-TERM");
    assert_eq!(said.last().as_deref(), Some("Stopped."));
    assert!(child.wait().unwrap().success());
}

#[cfg(unix)]
#[test]
fn a_mistake_in_the_file_stops_every_job_and_names_its_place() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), "memory = \"8GB\"\n[serve]\nhots = []\n").unwrap();
    for words in [&["serve", "--port", "0"][..], &["list"]] {
        let failed = run(home.path(), words);
        let told = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{told}");
        assert!(told.contains("config.toml: line 3") && told.contains("did you mean `hosts`?"), "{told}");
    }
    std::fs::write(home.path().join("config.toml"), "memory = \"8GB\"\n").unwrap();
    assert_eq!(run(home.path(), &["list"]).status.code(), Some(0));
}
